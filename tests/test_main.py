"""The commands, as a person types them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from utils import __main__ as commands
from utils.course import ROOT, runs
from utils.serving.example import FLIGHTS, example_model
from utils.store import open_store


def code(source, *tags):
    return nbformat.v4.new_code_cell(textwrap.dedent(source).strip(), metadata={"tags": list(tags)})


def prose(source, *tags):
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def source(*cells):
    """Return a source notebook: prose in both languages, parameters, and the cells given."""
    parameters = """
        # pt: o idioma
        # en: the language
        language = "pt"

        # pt: quantos dias
        # en: how many days
        n_days = 3
    """
    return nbformat.v4.new_notebook(
        cells=[
            prose("# Vigiar", "pt"),
            prose("# Watch", "en"),
            code("import os\n\nfrom utils.text import set_language, tr"),
            code(parameters, "parameters"),
            code(
                """
                set_language(language)
                print(tr(pt=f"{n_days} dias", en=f"{n_days} days"))
                print(os.environ["VIGIA_WORKSPACE"])
                """
            ),
            *cells,
        ]
    )


BREAKS = code(
    """
    # BEGIN SOLUTION
    share = 1 / (n_days - 3)
    # END SOLUTION
    """
)


@pytest.fixture
def notebooks(tmp_path):
    """Write two small source notebooks: the second fails with its defaults."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(source(), folder / "01_works.ipynb")
    nbformat.write(source(BREAKS), folder / "02_breaks.ipynb")
    return folder


def vigia(*arguments, **environment):
    """Run a command in a process of its own, away from the clone."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [sys.executable, "-m", "utils", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )


def outputs(path):
    executed = nbformat.read(path, as_version=4)
    return [out.text for cell in executed.cells for out in cell.get("outputs", ()) if "text" in out]


def test_both_languages_run_each_in_its_workspace_from_an_empty_home(notebooks, tmp_path):
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    # An empty VIGIA_WORKSPACE is none: the run makes new ones and removes them.
    ran = vigia(
        "run", notebooks / "01_works.ipynb", "--out", out, HOME=str(home), VIGIA_WORKSPACE=""
    )
    assert ran.returncode == 0, ran.stderr
    assert str(out / "index.html") in ran.stdout
    said = {line.split(":")[0] for line in ran.stderr.splitlines()}
    assert said == {"01_works (pt)", "01_works (en)"}
    workspaces = set()
    for language, days in (("pt", "3 dias"), ("en", "3 days")):
        (printed,) = outputs(out / language / "01_works.ipynb")
        assert printed.splitlines()[0] == days
        workspaces.add(Path(printed.splitlines()[1]))
        page = (out / language / "01_works.html").read_text()
        assert ("Vigiar" in page, "Watch" in page) == (language == "pt", language == "en")
    assert len(workspaces) == 2
    assert sorted(path.name for path in out.iterdir()) == ["en", "index.html", "pt"]
    index = (out / "index.html").read_text()
    assert 'href="pt/01_works.html">Vigiar' in index
    assert 'href="en/01_works.html">Watch' in index


def test_a_named_workspace_is_kept_with_a_folder_for_each_language(notebooks, tmp_path):
    ran = vigia("run", notebooks / "01_works.ipynb", "--language", "en", "--out", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    (printed,) = outputs(tmp_path / "out" / "en" / "01_works.ipynb")
    assert printed.splitlines()[1] == str(tmp_path / "workspace" / "en")


def test_a_failed_notebook_is_named_and_the_others_still_run(notebooks, tmp_path):
    paths = [notebooks / "02_breaks.ipynb", notebooks / "01_works.ipynb"]
    ran = vigia("run", *paths, "--language", "en", "--out", tmp_path / "out")
    assert ran.returncode == 1
    first, second = ran.stderr.splitlines()
    assert first == ("02_breaks (en): failed: cell 6 (In [4]): ZeroDivisionError: division by zero")
    assert second.startswith("01_works (en): done in ")
    assert "ZeroDivisionError" in (tmp_path / "out" / "index.html").read_text()


def test_a_parameter_reaches_the_notebook(notebooks, tmp_path):
    arguments = ["--language", "en", "-p", "n_days", "4", "--out", tmp_path / "out"]
    ran = vigia("run", notebooks / "02_breaks.ipynb", *arguments)
    assert ran.returncode == 0, ran.stderr
    assert outputs(tmp_path / "out" / "en" / "02_breaks.ipynb")[0].startswith("4 days\n")


def test_the_language_may_be_given_as_papermill_gives_it(notebooks, tmp_path):
    out = tmp_path / "out"
    ran = vigia("run", notebooks / "01_works.ipynb", "-p", "language", "en", "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert outputs(out / "en" / "01_works.ipynb")[0].startswith("3 days\n")
    assert not (out / "pt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "n_day", "4"], "no notebook has the parameter n_day; the nearest is n_days"),
        (["-p", "n_days", "abc"], "parameter n_days takes int, not 'abc'"),
        (["-p", "language", "fr"], "language='fr': the languages are pt, en"),
        (["--language", "fr"], "invalid choice: 'fr'"),
        (["--jobs", "0"], "0 < 1"),
    ],
)
def test_a_bad_name_or_value_is_refused_before_anything_runs(
    notebooks, tmp_path, capsys, arguments, message
):
    command = ["run", str(notebooks / "01_works.ipynb"), "--out", str(tmp_path / "out"), *arguments]
    try:
        status = commands.main(command)
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_source_that_cannot_be_built_is_named_and_the_others_still_run(
    notebooks, tmp_path, capsys
):
    nbformat.write(source(prose("Só", "pt")), notebooks / "03_half.ipynb")
    names = [str(notebooks / name) for name in ("03_half.ipynb", "01_works.ipynb")]
    status = commands.main(["run", *names, "--language", "pt", "--out", str(tmp_path / "out")])
    assert status == 1
    assert "03_half.ipynb: cell 6: tagged pt, with no cell tagged en" in capsys.readouterr().err
    assert (tmp_path / "out" / "pt" / "01_works.ipynb").exists()


def test_a_file_that_is_no_notebook_is_refused(tmp_path, capsys):
    (tmp_path / "bad.ipynb").write_text("{")
    assert commands.main(["run", str(tmp_path / "bad.ipynb"), "--out", str(tmp_path / "out")]) == 2
    assert "bad.ipynb: not a notebook" in capsys.readouterr().err


def test_an_interruption_stops_the_cell_that_runs(tmp_path):
    path = tmp_path / "slow.ipynb"
    sleeping = f"""
        import os, time
        from pathlib import Path
        Path({str(tmp_path)!r}, "kernel.txt").write_text(str(os.getpid()))
        time.sleep(60)
    """
    nbformat.write(nbformat.v4.new_notebook(cells=[code(sleeping)]), path)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "utils",
            "run",
            str(path),
            str(path),
            "--out",
            str(tmp_path / "out"),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        # Whoever runs the tests in the background of a shell leaves this signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "kernel.txt").exists() or not (tmp_path / "kernel.txt").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "KeyboardInterrupt" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "kernel.txt").read_text()), 0)


# Which notebooks


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Make a clone with two chapters and a report."""
    folder = tmp_path / "clone" / "notebooks"
    folder.mkdir(parents=True)
    for name in ("06_model_simulation", "07_model_monitoring", "monitoring_report", "draft"):
        nbformat.write(source(), folder / f"{name}.ipynb")
    monkeypatch.setattr(runs, "NOTEBOOKS", folder)
    return folder


def test_no_name_means_the_whole_course_in_order(course):
    assert [path.stem for path in runs.course_notebooks()] == [
        "06_model_simulation",
        "07_model_monitoring",
        "monitoring_report",
    ]


@pytest.mark.parametrize("name", ["06", "06_model_simulation", "06_model_simulation.ipynb"])
def test_a_notebook_is_found_by_number_name_or_path(course, name):
    assert runs.found_notebook(name) == course / "06_model_simulation.ipynb"
    path = course / "06_model_simulation.ipynb"
    assert runs.found_notebook(str(path)) == path


@pytest.mark.parametrize(
    "name", ["06_model_simulatio", "6_model_simulations", "x/06_simulation.ipynb"]
)
def test_an_unknown_notebook_is_refused_with_the_nearest(course, name, capsys):
    assert commands.main(["run", name]) == 2
    said = capsys.readouterr().err
    assert said == f"no notebook {name}; the nearest is 06_model_simulation\n"


def planned(names, tmp_path):
    return runs.planned(
        names, languages=("pt", "en"), parameters=(), out=tmp_path, workspaces=tmp_path / "w"
    ).jobs


def test_a_lab_runs_in_its_own_language_only(course, tmp_path):
    from utils.course import builder

    lab = builder.edition(source(BREAKS), "en", solutions=False)
    nbformat.write(lab, tmp_path / "lab.ipynb")
    (job,) = planned([str(tmp_path / "lab.ipynb")], tmp_path)
    assert (job.language, job.lane, job.output) == ("en", "en", tmp_path / "en" / "lab.ipynb")
    assert job.notebook == builder.read(tmp_path / "lab.ipynb")


def test_any_other_notebook_runs_once_in_the_language_in_force(tmp_path, course):
    plain = nbformat.v4.new_notebook(cells=[code("print(1)"), prose("Any prose.")])
    nbformat.write(plain, tmp_path / "plain.ipynb")
    assert [job.language for job in planned([str(tmp_path / "plain.ipynb")], tmp_path)] == ["en"]
    own = nbformat.v4.new_notebook(cells=[code("language = 'pt'", "parameters")])
    nbformat.write(own, tmp_path / "own.ipynb")
    assert [job.language for job in planned([str(tmp_path / "own.ipynb")], tmp_path)] == ["pt"]


def test_a_name_given_twice_runs_once_and_two_files_of_a_name_are_refused(course, tmp_path):
    assert len(planned(["06", "06_model_simulation"], tmp_path)) == 2
    nbformat.write(source(), tmp_path / "06_model_simulation.ipynb")
    with pytest.raises(runs.UnknownNotebook, match=r"two notebooks 06_model_simulation \(pt\)"):
        planned(["06", str(tmp_path / "06_model_simulation.ipynb")], tmp_path)


# The other commands


def test_serve_passes_on_what_it_was_given(monkeypatch):
    asked = {}
    module = type(sys)("utils.serving.app")
    module.serve = lambda **given: asked.update(given)
    monkeypatch.setitem(sys.modules, "utils.serving.app", module)
    status = commands.main(
        ["serve", "--model-uri", "models:/m@champion", "--store", "sqlite:///s.db", "--port", "9"]
        + ["--follow"]
    )
    assert status == 0
    assert callable(asked.pop("prepare"))
    assert asked == {
        "model_uri": "models:/m@champion",
        "store_url": "sqlite:///s.db",
        "deployment": None,
        "host": "127.0.0.1",
        "port": 9,
        "tracking_uri": None,
        "accept_event_time": False,
        "capture": True,
        "follow": True,
    }


def test_what_is_served_shows_its_models_measurements_at_metrics(monkeypatch):
    from prometheus_client import generate_latest

    from utils.serving.app import create_app
    from utils.serving.example import example_endpoint

    prepared = {}
    monkeypatch.setattr("utils.serving.app.serve", lambda **given: prepared.update(given))
    commands.main(["serve", "--model-uri", "models:/m@champion", "--store", "sqlite:///s.db"])
    with example_endpoint() as endpoint:
        app = create_app(endpoint, access_keys={"a secret": "tower"})
        prepared["prepare"](app, endpoint)
        assert b"vigia_store_up 1.0" in generate_latest(app.state.routes.metrics.registry)


@pytest.fixture
def to_transform(tmp_path):
    """Return the arguments of a transform of two files, one of them bad, and its folders."""
    source, target, model = tmp_path / "in", tmp_path / "out", tmp_path / "ten_minutes"
    source.mkdir()
    with example_model() as folder:
        shutil.copytree(folder, model)
    at = pd.Timestamp("2013-04-01T12:00Z")
    frame = FLIGHTS[["departure_delay_min"]].assign(flight=["UA1", "B62"], left_at=at)
    frame.to_parquet(source / "april.parquet")
    frame.drop(columns="departure_delay_min").to_parquet(source / "may.parquet")
    store = f"sqlite:///{tmp_path / 'store.db'}"
    arguments = ["--model-uri", model, "--store", store, "--input", source, "--output", target]
    return [*map(str, arguments), "--keep-column", "flight", "--time-column", "left_at"], target


def test_transform_answers_a_folder_says_what_it_refused_and_exits_with_1(to_transform, capsys):
    arguments, target = to_transform
    assert commands.main(["transform", *arguments, "--deployment", "arrivals"]) == 1
    said = capsys.readouterr()
    assert said.err == (
        "may.parquet: column 'departure_delay_min' is missing; the model needs it\n"
    )
    assert said.out == "Files written: 1 (2 rows); unchanged: 0; refused: 1\n"
    written = pd.read_parquet(target / "april.parquet")
    assert written["flight"].tolist() == ["UA1", "B62"]
    with open_store(arguments[3]) as store:
        stored = store.read("arrivals")
    assert stored["prediction_id"].tolist() == written["prediction_id"].tolist()
    assert set(stored["event_time"]) == {pd.Timestamp("2013-04-01T12:00Z")}


def test_transform_again_in_a_process_of_its_own_does_nothing_and_exits_with_0(to_transform):
    arguments, target = to_transform
    commands.main(["transform", *arguments])
    (target.parent / "in" / "may.parquet").unlink()
    ran = vigia("transform", *arguments, VIGIA_LANGUAGE="pt")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "Arquivos escritos: 0 (0 linhas); sem mudança: 1; recusados: 0\n"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"--model-uri": "models:/nobody@champion"}, "models:/nobody@champion"),
        ({"--input": "nowhere"}, "input_folder='nowhere': is no folder"),
        ({"--keep-column": "score"}, "keep_columns: 'score' would stand twice"),
        ({"--store": "mysql://here"}, "mysql://here"),
    ],
)
def test_transform_refuses_what_it_cannot_use_in_a_line_with_2(
    to_transform, capsys, wrong, message
):
    arguments, target = to_transform
    for name, value in wrong.items():
        arguments[arguments.index(name) + 1] = value
    assert commands.main(["transform", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["test"], ["-m", "pytest", "-n", "auto", "--dist", "loadfile"]),
        (
            ["test", "--", "-k", "psi"],
            ["-m", "pytest", "-n", "auto", "--dist", "loadfile", "-k", "psi"],
        ),
        (
            ["lab", "--language", "en", "--", "--no-browser"],
            [
                "-m",
                "jupyterlab",
                f"--ServerApp.root_dir={ROOT}",
                "--LabApp.default_url=/lab/tree/labs_en",
                "--LabApp.news_url=None",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                "--no-browser",
            ],
        ),
    ],
)
def test_a_command_for_another_program_runs_it_on_the_clone(monkeypatch, arguments, expected):
    called = {}

    def call(command, **settings):
        called.update(settings, command=command)
        return 5

    monkeypatch.setattr(subprocess, "call", call)
    assert commands.main(arguments) == 5
    assert called["command"] == [sys.executable, *expected]
    assert called["cwd"] == ROOT
    assert called["env"]["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)


def test_bench_hands_its_arguments_on(monkeypatch):
    module = type(sys)("benchmarks.serving")
    given = []
    module.main = given.append
    monkeypatch.setitem(sys.modules, "benchmarks", type(sys)("benchmarks"))
    monkeypatch.setitem(sys.modules, "benchmarks.serving", module)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert commands.main(["bench", "--", "--quick"]) == 0
    assert given == [["--quick"]]


@pytest.mark.parametrize("command", ["run", "test", "lab", "labs", "serve", "transform", "bench"])
@pytest.mark.parametrize("language", ["pt", "en"])
def test_each_command_says_what_it_does(command, language, capsys, monkeypatch):
    monkeypatch.setenv("VIGIA_LANGUAGE", language)
    with pytest.raises(SystemExit) as stopped:
        commands.main([command, "-h"])
    assert stopped.value.code == 0
    assert f"python -m utils {command}" in capsys.readouterr().out


def test_help_needs_none_of_the_heavy_libraries():
    script = "import sys, utils.__main__ as m; m._parser(); print(sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"pandas", "numpy", "mlflow", "papermill", "nbformat", "sqlalchemy", "libcst"}
    assert not heavy & set(json.loads(ran.stdout.replace("'", '"')))
