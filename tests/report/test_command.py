"""The command, as a person or a scheduler types it."""

import json
import os
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from tests.report.builders import current, reference
from utils import __main__ as commands
from utils.course import ROOT, reports
from utils.records import MEASUREMENT_COLUMNS
from utils.runner import parameters_of
from utils.store import open_store
from utils.store.example import DEPLOYMENT, SCHEMA

FILES = ["alerts.json", "measurements.csv", "monitoring_report.ipynb", "report.html"]
COLUMNS = {
    "--time-column": "at",
    "--prediction-column": "answer",
    "--score-column": "score",
    "--target-column": "label",
    "--known-at-column": "known_at",
    "--group-column": "region",
}


def options(**changes):
    """Return the options of the columns, some of them changed; ``None`` leaves one out."""
    named = {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    chosen = COLUMNS | named
    return [text for pair in chosen.items() if pair[1] is not None for text in pair]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Write a reference, and current data that moved or did not."""
    folder = tmp_path_factory.mktemp("data")
    reference().to_csv(folder / "ref.csv", index=False)
    current(shift=25, wrong=0.35).to_parquet(folder / "moved.parquet")
    current().to_parquet(folder / "quiet.parquet")
    return folder


@pytest.fixture
def vigia(data, tmp_path, monkeypatch, capsys):
    """Run the command in this process, in the folder of the data."""
    monkeypatch.chdir(data)

    def run(*arguments, out=tmp_path / "out"):
        try:
            status = commands.main(["report", *map(str, arguments), "--out", str(out)])
        except SystemExit as stopped:
            status = stopped.code
        return status, *capsys.readouterr()

    return run


def test_what_moved_is_alerted_in_the_language_asked_for(vigia, data, tmp_path):
    out = tmp_path / "new" / "out"
    status, said, complained = vigia(
        "--reference",
        "ref.csv",
        "--current",
        "moved.parquet",
        "--language",
        "pt",
        *options(),
        out=out,
    )
    assert (status, complained) == (1, "")
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    alerts = json.loads((out / "alerts.json").read_text())
    assert said == f"Alertas: {len(alerts)}; a página: {out}/report.html\n"
    assert {"accuracy", "jensen_shannon"} <= {each["metric"] for each in alerts}
    table = pd.read_csv(out / "measurements.csv")
    assert list(table) == list(MEASUREMENT_COLUMNS)
    assert {"drift", "performance"} <= set(table["monitor"])
    for name in ("window_start", "window_end"):
        table[name] = pd.to_datetime(table[name], utc=True)
    for each in alerts:
        rows = table[table["window_start"].eq(pd.Timestamp(each["window_start"]))]
        for name in ("monitor", "metric", "feature", "group"):
            rows = rows[rows[name].fillna("").eq(each[name])]
        assert rows["alarm"].tolist() == [True]
        assert rows["value"].tolist() == [pytest.approx(each["value"])]
    page = BeautifulSoup((out / "report.html").read_text(), "html.parser")
    assert page.html["lang"] == "pt-BR"
    assert "moved.parquet" in page.get_text()

    executed = nbformat.read(out / "monitoring_report.ipynb", as_version=4)
    text = nbformat.writes(executed)
    assert "O que mudou?" in text and "What changed?" not in text
    (injected,) = [c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert f'out = "{out}"' in injected.source
    assert f".{out.name}-" not in text


def test_what_stayed_is_no_alert_and_a_report_there_is_replaced_and_the_rest_left(vigia, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "alerts.json").write_text("old")
    (out / "mine.txt").write_text("kept")
    status, said, complained = vigia(
        "--reference",
        "ref.csv",
        "--current",
        "quiet.parquet",
        "--language",
        "en",
        "--time-column",
        "at",
        "--feature-column",
        "amount",
        "channel",
        "--false-alarms-per-year",
        "0.1",
    )
    assert (status, complained) == (0, "")
    assert said == f"Alerts: 0; the page: {out}/report.html\n"
    assert (out / "alerts.json").read_text() == "[]\n"
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, "mine.txt"])
    assert "No alert in" in (out / "report.html").read_text()


UNUSABLE = {
    "missing file": (
        {"reference": "nothing.csv"},
        "nothing.csv: no such file or folder",
        "nothing.csv: não há tal arquivo nem pasta",
    ),
    "unreadable file": (
        {"current": "broken.parquet"},
        "broken.parquet: cannot be read: ",
        "broken.parquet: não se deixa ler: ",
    ),
    "empty file": (
        {"current": "empty.csv"},
        "empty.csv: the file is empty",
        "empty.csv: o arquivo está vazio",
    ),
    "wrong column": (
        {"score_column": "scores"},
        "score_column='scores' is no column of the reference; did you mean 'score'?",
        "score_column='scores' não é coluna da referência; você quis dizer 'score'?",
    ),
    "no time column": (
        {"time_column": None},
        "time_column: say which column holds the time of the event; there are: at,",
        "time_column: diga que coluna tem o momento do evento; as que há: at,",
    ),
    "times that are none": (
        {"current": "times.csv"},
        "at (the current data): row 1: '01/04/2024' is no ISO 8601 time",
        "at (os dados atuais): linha 1: '01/04/2024' não é um momento ISO 8601",
    ),
    "overlap": (
        {"current": "ref.csv"},
        "the reference ends on 24 Mar 2024, 23:30 UTC and the current data begin on 1 Jan 2024",
        "a referência termina em 24 mar 2024, 23:30 UTC e os dados atuais começam em 1 jan 2024",
    ),
    "no common columns": (
        {"current": "other.csv"}
        | dict.fromkeys(
            [
                "prediction_column",
                "score_column",
                "target_column",
                "known_at_column",
                "group_column",
            ]
        ),
        "no columns in common to compare: the reference has at, amount",
        "nenhuma coluna em comum para comparar: a referência tem at, amount",
    ),
    "window longer than the data": (
        {"window": "30D"},
        "window='30D' is longer than the current data: 28 days",
        "window='30D' é mais longa que os dados atuais: 28 dias",
    ),
    "bad window": (
        {"window": "a week"},
        "window='a week': a positive, fixed length of time is needed",
        "window='a week': é preciso uma duração fixa e positiva",
    ),
    "bad budget": (
        {"false_alarms_per_year": "few"},
        "false_alarms_per_year='few': with these windows, a number above 0",
        "false_alarms_per_year='few': com estas janelas, é preciso um número acima de 0",
    ),
    "no such store": (
        {"current": "sqlite:///typo.db#flights"},
        "sqlite:///typo.db#flights: no such file",
        "sqlite:///typo.db#flights: não há tal arquivo",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def broken(data):
    (data / "broken.parquet").write_bytes(b"PAR1 and no more")
    (data / "empty.csv").touch()
    now = current()
    now.assign(at="01/04/2024").to_csv(data / "times.csv", index=False)
    now.rename(columns=lambda name: name if name == "at" else f"x_{name}").to_csv(
        data / "other.csv", index=False
    )


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_is_said_in_one_line_and_nothing_is_written(
    vigia, tmp_path, name, language
):
    changes, en, pt = UNUSABLE[name]
    given = {"reference": "ref.csv", "current": "quiet.parquet"} | changes
    status, said, complained = vigia(*options(**given), "--language", language)
    assert (status, said) == (2, "")
    assert complained.startswith(en if language == "en" else pt)
    assert complained.endswith("\n") and complained.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: --reference, --current"),
        (
            ["--reference", "a", "--current", "b", "--task", "guessing"],
            "invalid choice: 'guessing'",
        ),
        (["--reference", "a", "--current", "b", "--language", "fr"], "invalid choice: 'fr'"),
        (["--reference", "a", "--current", "b", "--seed", "x"], "invalid int value: 'x'"),
    ],
)
def test_a_command_that_is_none_is_refused_in_one_line(vigia, arguments, message):
    status, _, complained = vigia(*arguments)
    assert status == 2
    assert message in complained
    assert complained.count("\n") == 1


def test_a_folder_that_is_a_file_is_refused(vigia, data):
    status, _, complained = vigia(
        "--reference",
        "ref.csv",
        "--current",
        "quiet.parquet",
        "--language",
        "en",
        *options(),
        out=data / "ref.csv",
    )
    assert (status, complained) == (2, f"--out {data / 'ref.csv'}: is a file\n")


def test_it_fails_alike_in_a_process_of_its_own(data, tmp_path):
    out = tmp_path / "out"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "utils", "report", "--reference", "ref.csv"),
            *("--current", "nothing.csv", "--time-column", "at", "--out", str(out)),
        ],
        capture_output=True,
        text=True,
        cwd=data,
        env=os.environ | {"PYTHONPATH": str(ROOT), "VIGIA_LANGUAGE": "pt"},
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "nothing.csv: não há tal arquivo nem pasta\n"
    assert not out.exists()


def test_a_notebook_that_fails_leaves_nothing_behind(vigia, tmp_path, monkeypatch):
    path = tmp_path / "clone" / "monitoring_report.ipynb"
    path.parent.mkdir()
    parameters = nbformat.v4.new_code_cell(
        "# pt: o idioma\n# en: the language\nlanguage = 'pt'", metadata={"tags": ["parameters"]}
    )
    breaks = nbformat.v4.new_code_cell("raise ValueError('the suite\\ndoes not like it')")
    prose = [
        nbformat.v4.new_markdown_cell("# Relatório", metadata={"tags": ["pt"]}),
        nbformat.v4.new_markdown_cell("# Report", metadata={"tags": ["en"]}),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=[*prose, parameters, breaks]), path)
    monkeypatch.setattr(reports, "found_notebook", lambda name: path)
    status, said, complained = vigia(
        "--reference", "ref.csv", "--current", "quiet.parquet", "--language", "en", *options()
    )
    assert (status, said) == (2, "")
    assert complained == "cell 4 (In [3]): ValueError: the suite does not like it\n"
    assert [each.name for each in tmp_path.iterdir()] == ["clone"]


def test_a_password_is_in_nothing_that_is_written(tmp_path, monkeypatch):
    jobs = []

    def no_run(planned, **_):
        jobs.extend(planned)
        raise reports.Unusable("enough")

    monkeypatch.setattr(reports, "loaded", lambda *_: None)
    monkeypatch.setattr(reports, "run_all", no_run)
    urls = [f"postgresql://ana:{secret}@host/db#flights" for secret in ("hush", "hush-too")]
    with pytest.raises(reports.Unusable):
        reports.report(*urls, reports.Asked(), language="en", seed=7, out=tmp_path / "out")
    (job,) = jobs
    assert job.parameters["reference"] == (
        "postgresql://ana:${VIGIA_REFERENCE_PASSWORD}@host/db#flights"
    )
    assert "hush" not in str(job.parameters) + nbformat.writes(job.notebook)
    assert job.environment["VIGIA_REFERENCE_PASSWORD"] == "hush"
    assert job.environment["VIGIA_CURRENT_PASSWORD"] == "hush-too"


def test_a_store_is_reported_on_without_naming_its_columns(vigia, postgresql_url, tmp_path):
    rng = np.random.default_rng(0)
    n = 24 * 70
    miles = rng.uniform(100, 2000, n)
    frame = pd.DataFrame(
        {
            "prediction_id": [f"p{i}" for i in range(n)],
            "event_time": pd.date_range("2013-01-01", periods=n, freq="1h", tz="UTC"),
            "latency_ms": rng.gamma(4, 2, n),
            "prediction": miles / 100,
            "distance_miles": miles,
            "carrier": rng.choice(["UA", "B6"], n),
        }
    )
    with open_store(postgresql_url) as store:
        store.add_deployment(DEPLOYMENT, SCHEMA)
        store.write_predictions("flights", frame)
    status, said, complained = vigia(
        *("--reference", f"{postgresql_url}#flights?end=2013-02-12"),
        *("--current", f"{postgresql_url}#flights?start=2013-02-12", "--language", "en"),
        *("--false-alarms-per-year", "0.1"),
    )
    assert (status, complained) == (0, "")
    table = pd.read_csv(tmp_path / "out" / "measurements.csv")
    assert {"distance_miles", "carrier"} <= set(table["feature"].dropna())
    assert {"drift", "prediction_drift", "infrastructure"} <= set(table["monitor"])


def test_the_notebook_has_a_parameter_for_all_that_may_be_asked():
    source = nbformat.read(reports.found_notebook(reports.NOTEBOOK), as_version=4)
    parameters = parameters_of(source)
    asked = set(reports.Asked.__dataclass_fields__)
    assert asked | {"reference", "current", "out", "seed", "language"} <= set(parameters)
    for name in asked - {"false_alarms_per_year", "window"}:
        assert not parameters[name].default
