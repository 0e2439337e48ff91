"""A window is measured alike in this process and by a notebook through papermill."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.operations.conftest import weeks
from utils.course.reports import monitor_of
from utils.monitors import suite
from utils.operations.life import Window
from utils.operations.loop import Seen
from utils.operations.monitors import ByNotebook, InProcess, NoMeasurements
from utils.records import MEASUREMENT_COLUMNS
from utils.report.sources import Unusable

START = datetime(2024, 3, 11, tzinfo=UTC)
END = START + timedelta(days=7)
WINDOW = Window(start=START, end=END, run=END + timedelta(hours=12))
ROLES = suite.Roles(
    task="regression",
    prediction_column="prediction",
    label_column="label",
    known_at_column="label_known_at",
    group_columns=("carrier",),
)


def captured(rng, start, days, *, late=0.0):
    """Return rows as they were captured, an hour each, known three hours later."""
    times = pd.date_range(start, periods=days * 24, freq="1h", tz="UTC")
    miles = rng.gamma(4, 200, len(times))
    return pd.DataFrame(
        {
            "prediction_id": [f"{each:%m%d%H}" for each in times],
            "event_time": times,
            "client": "tower",
            "prediction": miles / 100,
            "miles": miles,
            "carrier": rng.choice(["NA", "B6"], len(times)),
            "label": miles / 100 + rng.normal(size=len(times)) + late,
            "label_known_at": times + pd.Timedelta("3h"),
        }
    )


@pytest.fixture(scope="module")
def seen():
    """Give a window whose last day is silent, and its reference of ten weeks."""
    rng = np.random.default_rng(0)
    return Seen(
        window=WINDOW,
        current=captured(rng, "2024-03-11", 6, late=3.0),
        reference=captured(rng, "2024-01-01", 70).drop(columns=["prediction_id", "client"]),
        version="1",
        features=("miles", "carrier"),
    )


def changed(seen, **fields):
    return Seen(**{**vars(seen), **fields})


# ------------------------------------------------------------------------------- in this process


@pytest.fixture(scope="module")
def measured(seen):
    return InProcess(roles=ROLES, seed=3)(seen)


def test_every_monitor_measures_the_window_and_finds_the_error_that_rose(measured):
    assert list(measured) == list(MEASUREMENT_COLUMNS)
    assert set(measured["window_start"]) == {pd.Timestamp(START)}
    assert set(measured["window_end"]) == {pd.Timestamp(END)}
    assert {"quality", "drift", "performance"} <= set(measured["monitor"])
    alarmed = measured[measured["alarm"]]
    assert {"mae", "bias"} <= set(alarmed["metric"])
    assert set(measured["group"]) == {"", "NA", "B6"}


def test_the_features_are_those_of_the_model_unless_the_roles_say_others(seen, measured):
    assert {"miles", "carrier"} <= set(measured["feature"])
    few = suite.Roles(**{**vars(ROLES), "features": ("miles",), "group_columns": ()})
    assert "carrier" not in set(InProcess(roles=few)(seen)["feature"])


def test_monitors_are_fitted_once_for_a_version(seen, monkeypatch):
    fitted = []
    real = suite.fitted
    monkeypatch.setattr(suite, "fitted", lambda *a, **b: fitted.append(1) or real(*a, **b))
    monitor = InProcess(roles=ROLES)
    one, again = monitor(seen), monitor(seen)
    assert one.equals(again) and len(fitted) == 1
    monitor(changed(seen, version="2"))
    assert len(fitted) == 2


def test_a_version_of_that_number_with_another_reference_is_another_version(seen):
    monitor = InProcess(roles=ROLES)
    first = monitor(seen)
    other = changed(seen, reference=seen.reference.assign(miles=seen.reference["miles"] + 500))
    alone = InProcess(roles=ROLES)(other)
    pd.testing.assert_frame_equal(monitor(other), alone)
    assert not first.equals(alone)


def test_silence_before_the_end_of_the_window_is_measured(seen, measured):
    whole = InProcess(roles=ROLES, seed=3)(
        changed(seen, window=Window(start=START, end=START + timedelta(days=14), run=END))
    )
    volumes = whole.loc[whole["metric"].eq("volume"), ["value", "alarm"]]
    assert len(volumes) == 2 and volumes["alarm"].iloc[1]


def test_a_reference_that_does_not_say_when_labels_were_known_has_had_them(seen, measured):
    reference = seen.reference.drop(columns="label_known_at")
    assert InProcess(roles=ROLES, seed=3)(changed(seen, reference=reference)).equals(measured)


@pytest.mark.parametrize(
    ("moved", "said"),
    [
        ({"start": START + timedelta(days=1)}, "start=2024-03-12T00:00:00+00:00: windows of"),
        ({"end": END - timedelta(hours=3)}, "end=2024-03-17T21:00:00+00:00: windows of"),
    ],
)
def test_a_window_that_is_none_of_the_monitors_is_refused(seen, moved, said):
    window = Window(**{**vars(WINDOW), **moved})
    with pytest.raises(ValueError) as error:
        InProcess(roles=ROLES)(changed(seen, window=window))
    assert str(error.value).startswith(said)
    assert "Monday 1970-01-05 00:00 UTC" in str(error.value)


# ------------------------------------------------------------------------------- by a notebook


def writes(table):
    """Return a report that writes a table, and the list of what it was called with."""
    called = []

    def report(*sources, out, **settings):
        called.append({"sources": sources, "out": out, **settings})
        if table is not None:
            table.to_csv(out / "measurements.csv", index=False)

    return report, called


TABLE = weeks(*range(12), known_as_of=END)
"""Twelve weeks from 1 January 2024, of which the eleventh is the window."""


def test_the_notebook_reads_two_files_in_a_folder_of_the_windows_own(seen, tmp_path):
    report, called = writes(TABLE)
    ByNotebook(report=report, out=tmp_path)(seen)
    [call] = called
    folder = tmp_path / "2024-03-18T0000Z"
    names = ("reference", "current")
    assert call == {
        "sources": tuple(str(folder / f"{name}.parquet") for name in names),
        "out": folder,
        "features": ("miles", "carrier"),
        "until": END,
    }
    for name, path in zip(names, call["sources"], strict=True):
        written, given = pd.read_parquet(path), getattr(seen, name)
        assert list(written) == list(given) and len(written) == len(given)
        assert written["miles"].equals(given["miles"])


def test_what_it_measured_within_the_window_comes_back_as_it_was_written(seen, tmp_path):
    table = pd.concat(
        [TABLE, weeks(*range(12), metric="share", feature="NA", group="null", alarm=True)]
    )
    report, _ = writes(table)
    found = ByNotebook(report=report, out=tmp_path)(seen)
    assert found["value"].tolist() == [10.0, 10.0]
    assert found["feature"].tolist() == ["", "NA"]
    assert found["group"].tolist() == ["", "null"]
    assert found["alarm"].tolist() == [False, True]
    assert found["low"].isna().all() and found["window_start"].dt.day.tolist() == [11, 11]
    assert list(found) == list(MEASUREMENT_COLUMNS)


def test_a_notebook_that_writes_nothing_is_no_quiet_window(seen, tmp_path):
    report, _ = writes(None)
    with pytest.raises(NoMeasurements, match="measurements.csv: the notebook wrote no measureme"):
        ByNotebook(report=report, out=tmp_path)(seen)


def test_what_a_run_that_broke_off_left_behind_is_not_taken_for_new(seen, tmp_path):
    ByNotebook(report=writes(TABLE)[0], out=tmp_path)(seen)
    with pytest.raises(NoMeasurements):
        ByNotebook(report=writes(None)[0], out=tmp_path)(seen)


def test_measurements_of_other_windows_alone_are_none(seen, tmp_path):
    report, _ = writes(weeks(1.0, 2.0))
    with pytest.raises(NoMeasurements, match="measures no window within 2024-03-11"):
        ByNotebook(report=report, out=tmp_path)(seen)


# ------------------------------------------------------------------------------- by the report


@pytest.fixture
def by_report(tmp_path):
    """Give the monitor of the loop that runs the course's report through papermill."""
    measuring = SimpleNamespace(
        roles=ROLES, window="604800s", false_alarms_per_year=4.0, language="pt", seed=3
    )
    return monitor_of(measuring, out=tmp_path / "runs")


def test_the_report_measures_what_the_monitors_in_this_process_do(
    seen, measured, by_report, tmp_path
):
    found = by_report(seen)
    same = ["monitor", "metric", "feature", "group", "window_start", "window_end", "alarm"]
    same += ["n_reference", "n_current"]
    assert found[same].equals(measured[same])
    for name in ("value", "low", "high", "threshold_low", "threshold_high"):
        assert np.allclose(found[name], measured[name], rtol=1e-9, equal_nan=True)
    folder = tmp_path / "runs" / "2024-03-18T0000Z"
    left = {each.name for each in folder.iterdir()}
    assert {"report.html", "alerts.json", "monitoring_report.ipynb"} <= left
    assert 'lang="pt-BR"' in (folder / "report.html").read_text(encoding="utf-8")


def test_the_report_refuses_a_reference_from_the_time_of_the_window(seen, by_report):
    reference = pd.concat([seen.reference, seen.current])
    with pytest.raises(Unusable, match="não podem ter tempo em comum"):
        by_report(changed(seen, reference=reference))
