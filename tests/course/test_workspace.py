"""The workspace: stages brought up on demand, once, whole, in order."""

import subprocess
import sys
import textwrap
import time

import pytest

from utils.course import ROOT
from utils.course.exercises import both
from utils.course.workspace import Workspace, stage
from utils.text import using


class Toys:
    """Three stages, each built on the one before; they tell what was done, in order."""

    def __init__(self, root, *, versions=(1, 1, 1)):
        self.stages = {}
        self.done = []
        self.workspace = Workspace(root, self.stages)
        names = ("data", "model", "traffic")
        texts = (both(pt=f"{name} (pt)", en=f"{name} (en)") for name in names)
        needs = ((), ("data",), ("model",))
        for name, says, before, version in zip(names, texts, needs, versions, strict=True):
            stage(
                name,
                says=says,
                needs=before,
                undo=lambda workspace, name=name: self.done.append(f"undo {name}"),
                version=version,
                registry=self.stages,
            )(lambda workspace, name=name: self.build(name))

    def build(self, name):
        self.done.append(name)
        (self.workspace.folder(name) / "made.txt").write_text(name)


@pytest.fixture
def toys(tmp_path):
    return Toys(tmp_path / "workspace")


def test_what_is_missing_is_brought_up_in_order_with_one_line(toys, capsys):
    with using("pt"):
        toys.workspace.need("traffic")
    assert toys.done == ["data", "model", "traffic"]
    assert capsys.readouterr().out == "Preparado agora: data (pt), model (pt), traffic (pt).\n"


def test_what_stands_is_not_brought_up_again(toys, capsys):
    toys.workspace.need("model")
    capsys.readouterr()
    toys.workspace.need("traffic")
    assert toys.done == ["data", "model", "traffic"]
    assert capsys.readouterr().out == "Brought up now: traffic (en).\n"
    toys.workspace.need("traffic")
    assert capsys.readouterr().out == ""
    assert toys.workspace.is_up("traffic")


def test_a_new_process_finds_what_stands(toys, tmp_path):
    toys.workspace.need("traffic")
    again = Toys(tmp_path / "workspace")
    again.workspace.need("traffic")
    assert again.done == []


def test_renewing_drops_a_stage_and_those_built_on_it(toys):
    toys.workspace.need("traffic")
    toys.workspace.renew("model")
    assert toys.done[3:] == ["undo traffic", "undo model"]
    assert [toys.workspace.is_up(name) for name in toys.stages] == [True, False, False]
    assert not (toys.workspace.root / "files" / "model").exists()
    toys.workspace.need("model")
    assert toys.done[5:] == ["model"]
    assert not toys.workspace.is_up("traffic")


def test_renewing_what_never_was_does_nothing(toys):
    toys.workspace.renew("data")
    assert toys.done == []


def test_a_newer_version_is_brought_up_again_with_all_built_on_it(toys, tmp_path):
    toys.workspace.need("traffic")
    newer = Toys(tmp_path / "workspace", versions=(1, 2, 1))
    newer.workspace.need("model")
    assert newer.done == ["undo traffic", "undo model", "model"]
    assert not newer.workspace.is_up("traffic")


def test_a_stage_that_fails_is_undone_before_the_next_attempt(toys, monkeypatch):
    def fail(name):
        (toys.workspace.folder(name) / "half.txt").write_text("half")
        raise OSError("no room")

    toys.workspace.need("data")
    monkeypatch.setattr(toys, "build", fail)
    with pytest.raises(OSError, match="no room"):
        toys.workspace.need("model")
    assert not toys.workspace.is_up("model")
    monkeypatch.undo()
    toys.workspace.need("model")
    assert toys.done == ["data", "undo model", "model"]
    assert [path.name for path in toys.workspace.folder("model").iterdir()] == ["made.txt"]


SLOW = """
    import sys, time
    from pathlib import Path
    from utils.course.exercises import both
    from utils.course.workspace import Workspace, stage

    toys, root = {}, Path(sys.argv[1])

    @stage("slow", says=both(pt="lento", en="slow"), registry=toys)
    def slow(workspace):
        with (root / "built.txt").open("a") as file:
            file.write("built\\n")
        if "wait" in sys.argv:
            time.sleep(60)
        time.sleep(0.3)

    Workspace(root, toys).need("slow")
"""


def start(root, *arguments):
    root.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW), str(root), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_stage_killed_half_way_is_not_taken_for_done(tmp_path):
    killed = start(tmp_path, "wait")
    with killed:
        while not (tmp_path / "built.txt").exists():
            assert killed.poll() is None
            time.sleep(0.02)
        killed.kill()
    with start(tmp_path) as second:
        assert second.stdout.read() == "Brought up now: slow.\n"
    assert (tmp_path / "built.txt").read_text() == "built\nbuilt\n"


def test_of_two_processes_at_once_one_builds_and_the_other_waits(tmp_path):
    processes = [start(tmp_path) for _ in range(2)]
    said = [process.communicate()[0] for process in processes]
    assert sorted(said) == ["", "Brought up now: slow.\n"]
    assert (tmp_path / "built.txt").read_text() == "built\n"


def test_a_stage_names_what_it_needs_and_does_not_ask_for_it(tmp_path):
    toys = {}
    stage("data", says=both(pt="dados", en="data"), registry=toys)(lambda workspace: None)
    stage("model", says=both(pt="modelo", en="model"), registry=toys)(
        lambda workspace: workspace.need("data")
    )
    with pytest.raises(RuntimeError, match="stage 'model' asks for 'data': name it in its needs"):
        Workspace(tmp_path, toys).need("model")


def test_an_unknown_stage_is_refused_with_the_nearest(toys):
    for ask in (toys.workspace.need, toys.workspace.renew, toys.workspace.is_up):
        with pytest.raises(ValueError, match="name='trafic' is no stage; the nearest is traffic"):
            ask("trafic")


def test_a_stage_is_declared_once_and_after_what_it_needs():
    toys = {}
    says = both(pt="dados", en="data")
    stage("data", says=says, registry=toys)(lambda workspace: None)
    with pytest.raises(ValueError, match="name='data': a stage of this name is declared"):
        stage("data", says=says, registry=toys)
    with pytest.raises(ValueError, match="name='dat' is no stage; the nearest is data"):
        stage("model", says=says, needs=("dat",), registry=toys)


def test_the_current_workspace_is_the_one_named_else_that_of_the_clone(workspace, monkeypatch):
    assert Workspace.current().root == workspace
    assert not workspace.exists()
    assert Workspace.current().store_url == f"sqlite:///{workspace.as_posix()}/store.db"
    assert Workspace.current().tracking_uri == f"sqlite:///{workspace.as_posix()}/mlflow.db"
    assert Workspace.current().artifacts == workspace / "artifacts"
    assert workspace.is_dir()
    monkeypatch.delenv("VIGIA_WORKSPACE")
    assert Workspace.current().root == ROOT / "workspace"
