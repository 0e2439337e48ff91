"""The tracking store: what goes wrong in one line, who waits for whom, and who meets nobody."""

import ast
import logging
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from sqlalchemy import Engine, event

import utils
from utils.records import VigiaError
from utils.serving import models, runs, tracking
from utils.serving.tracking import (
    RegistryLocked,
    UnknownRun,
    UnusableRegistry,
    experiment_id_of,
)

HOLDS = {
    "a writer that lets nobody read": ["BEGIN EXCLUSIVE"],
    "a writer": ["BEGIN IMMEDIATE"],
    "a reader": ["BEGIN", "SELECT * FROM experiments"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a tracking store with one experiment and one run, once."""
    folder = tmp_path_factory.mktemp("tracking")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    with tracking.tracking(uri) as client:
        experiment_id = experiment_id_of(client, "credit")
        client.create_run(experiment_id, run_name="one")
    return folder


@pytest.fixture
def database(made, tmp_path):
    """Return the path of a copy of that store."""
    return Path(shutil.copy(made / "mlflow.db", tmp_path / "mlflow.db"))


def uri_of(database):
    return f"sqlite:///{database}"


@contextmanager
def held(database, statements):
    """Hold a database from another process while the block lasts."""
    code = (
        "import sqlite3, sys\n"
        f"connection = sqlite3.connect({str(database)!r}, isolation_level=None)\n"
        f"rows = [connection.execute(each) for each in {statements!r}]\n"
        "rows[-1].fetchone()\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code], text=True, **pipes)
    try:
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.communicate("")


def content(database):
    """Return all that a database holds, as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("how", HOLDS)
def test_a_registry_that_is_held_is_waited_for_then_named_and_unharmed(
    database, monkeypatch, capfd, how
):
    monkeypatch.setattr(tracking, "LOCK_WAIT_S", 1)
    before, uri = content(database), uri_of(database)
    with tracking.tracking(uri) as client:
        experiment_id = experiment_id_of(client, "credit")
    with held(database, HOLDS[how]):
        began = time.monotonic()
        with pytest.raises(RegistryLocked) as refused, tracking.tracking(uri) as client:
            client.create_run(experiment_id)
        waited = time.monotonic() - began
    assert str(refused.value).startswith(f"{uri}: another process holds it")
    assert "wait until that process is done, or stop it, and try again" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert 0.9 < waited < 15, "MLflow alone waits for 20 s"
    assert capfd.readouterr().err == ""
    assert content(database) == before
    with tracking.tracking(uri) as client:
        client.create_run(experiment_id)
        assert len(client.search_runs([experiment_id])) == 2


def test_who_lets_go_in_time_is_not_noticed(database):
    uri = uri_of(database)
    with tracking.tracking(uri) as client:
        experiment_id = experiment_id_of(client, "credit")
    code = (
        "import sqlite3, time\n"
        f"connection = sqlite3.connect({str(database)!r}, isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('held', flush=True)\n"
        "time.sleep(1)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "held\n"
    with tracking.tracking(uri) as client:
        assert client.create_run(experiment_id)
    process.communicate()


@pytest.mark.parametrize(
    "use",
    [
        lambda uri: models.load("models:/credit/1", tracking_uri=uri),
        lambda uri: models.load("models:/credit@champion", tracking_uri=uri),
        lambda uri: models.register("models:/m-0", name="credit", tracking_uri=uri),
        lambda uri: models.set_alias("credit", "champion", "1", tracking_uri=uri),
        lambda uri: runs.runs_table("credit", tracking_uri=uri),
        lambda uri: runs.measurements_of("0" * 32, tracking_uri=uri),
    ],
    ids=["load", "load by alias", "register", "alias", "table", "measurements"],
)
def test_every_use_of_a_registry_that_is_held_says_so(database, monkeypatch, use):
    monkeypatch.setattr(tracking, "LOCK_WAIT_S", 0.2)
    with tracking.tracking(uri_of(database)) as client:
        client.search_experiments()
    with (
        held(database, HOLDS["a writer that lets nobody read"]),
        pytest.raises(RegistryLocked, match="another process holds it"),
    ):
        use(uri_of(database))


@pytest.mark.parametrize("run_id", ["0" * 32, "no id!"])
def test_a_run_that_does_not_exist_is_named(database, run_id):
    uri = uri_of(database)
    with (
        pytest.raises(UnknownRun, match=re.escape(f"run {run_id}: there is none of this id in")),
        tracking.tracking(uri),
    ):
        mlflow.get_run(run_id)
    with pytest.raises(UnknownRun), tracking.tracking(uri), mlflow.start_run(run_id=run_id):
        pass
    assert mlflow.active_run() is None


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path):
    path = tmp_path / "notes.db"
    path.write_text("these are my notes\n" * 100)
    with pytest.raises(UnusableRegistry) as refused, tracking.tracking(uri_of(path)) as client:
        client.search_experiments()
    assert "notes.db: is no database that can be used (file is not a database)" in str(
        refused.value
    )
    assert path.read_text() == "these are my notes\n" * 100


def test_a_database_of_another_mlflow_is_named_and_left_alone(database):
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'cafe'")
        connection.commit()
    before = content(database)
    with pytest.raises(UnusableRegistry, match="another version of MLflow") as refused:
        with tracking.tracking(uri_of(database)) as client:
            client.search_experiments()
    assert "mlflow db upgrade" in str(refused.value)
    assert content(database) == before


def test_other_errors_of_mlflow_stay_its_own(database):
    with pytest.raises(MlflowException, match="already exists"):
        with tracking.tracking(uri_of(database)) as client:
            client.create_experiment("credit")


def test_what_the_block_raises_itself_is_not_touched(database):
    with pytest.raises(ZeroDivisionError), tracking.tracking(uri_of(database)):
        1 / 0  # noqa: B018


def test_nothing_of_it_stays_behind(database):
    levels = {name: logging.getLogger(name).level for name in tracking._LOUD}
    with tracking.tracking(uri_of(database)), tracking.tracking(uri_of(database)):
        assert event.contains(Engine, "before_cursor_execute", tracking._wait_less)
    assert not event.contains(Engine, "before_cursor_execute", tracking._wait_less)
    assert {name: logging.getLogger(name).level for name in tracking._LOUD} == levels


def test_our_errors_are_of_the_domain():
    for kind in (UnknownRun, RegistryLocked, UnusableRegistry):
        assert issubclass(kind, VigiaError)


# Two at once

LOGS = """
import sys
import mlflow
import pandas as pd
from sklearn.linear_model import LinearRegression
from utils.serving import models, runs
from utils.serving.tracking import experiment_id_of, resolve_tracking_uri, tracking

uri, who = sys.argv[1:]
frame = pd.DataFrame({"wait_min": [1.0, 2.0, 3.0]})
model = LinearRegression().fit(frame, [1.0, 2.0, 3.0])
print("ready", flush=True)
sys.stdin.readline()
for number in range(2):
    models.log_model(
        model, name="waits", inputs=frame, predictions=[1.0, 2.0, 3.0], tracking_uri=uri,
        experiment="waits", tags={"who": who},
    )
"""


def log_at_once(uris, environment=None):
    """Log two versions to each of two tracking stores, by two processes at the same time."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = [
        subprocess.Popen([sys.executable, "-c", LOGS, uri, who], text=True, **pipes)
        for who, uri in zip("ab", uris, strict=True)
    ]
    for each in processes:
        assert each.stdout.readline() == "ready\n"
    for each in processes:
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in processes:
        _, errors = each.communicate()
        assert each.returncode == 0, errors


def tags_of(uri):
    """Return who logged each version of the model, by its number."""
    with tracking.tracking(uri) as client:
        versions = client.search_model_versions("name='waits'")
        return {
            int(each.version): client.get_run(each.run_id).data.tags["who"] for each in versions
        }


def test_two_processes_in_two_workspaces_do_not_meet(made, tmp_path):
    uris = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        uris.append(uri_of(shutil.copy(made / "mlflow.db", tmp_path / name / "mlflow.db")))
    log_at_once(uris)
    assert tags_of(uris[0]) == {1: "a", 2: "a"}
    assert tags_of(uris[1]) == {1: "b", 2: "b"}
    artifacts = {path.name for path in tmp_path.glob("*/mlartifacts")}
    assert artifacts == {"mlartifacts"}


def test_two_processes_in_one_workspace_both_succeed(database):
    log_at_once([uri_of(database)] * 2)
    logged = tags_of(uri_of(database))
    assert sorted(logged) == [1, 2, 3, 4]
    assert sorted(logged.values()) == list("aabb")


# MLflow is quiet from the beginning


def test_an_experiment_that_another_process_makes_meanwhile_is_used(database, monkeypatch):
    look = mlflow.MlflowClient.get_experiment_by_name
    answers = iter([None])  # it is not there when it is looked for, and is there after that
    with tracking.tracking(uri_of(database)) as client:
        made = experiment_id_of(client, "gates")
        monkeypatch.setattr(
            mlflow.MlflowClient,
            "get_experiment_by_name",
            lambda self, name: next(answers, look(self, name)),
        )
        assert experiment_id_of(client, "gates") == made


def test_the_rooms_above_take_mlflow_from_the_room_that_quiets_it():
    loud = []
    for path in Path(utils.__file__).parent.rglob("*.py"):
        if path.parent.name == "serving":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            loud += [str(path) for name in names if name.split(".")[0] == "mlflow"]
    assert loud == []
