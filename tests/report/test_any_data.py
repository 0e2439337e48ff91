"""Data of anybody, through the monitors to the page: a report, or a refusal in one line."""

import datetime
import random
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from tests.report.builders import ASKED, current, reference
from utils.monitors import suite
from utils.report.inputs import Asked, prepared
from utils.report.report import Report
from utils.report.sources import Unusable
from utils.text import using


def reported(before, now, asked):
    """Return a report in English, with fewer draws than a real one."""
    with using("en"):
        inputs = prepared(before, now, asked)
        rng = np.random.default_rng(7)
        monitors = suite.fitted(
            inputs.reference, inputs.roles, window=inputs.window, rng=rng, draws=200
        )
        findings = monitors.run(inputs.current, known_as_of=inputs.known_as_of)
        made = Report(
            inputs=inputs,
            measurements=findings.measurements,
            alerts=findings.alerts,
            notes=monitors.notes,
        )
        assert made.page().endswith("</html>\n")
    return made


def both(change, **options):
    return [change(frame) for frame in (reference(), current(**options))]


def measured(made):
    return set(made.measurements["monitor"])


def by_class(frame):
    """Answer and label with one of four classes."""
    return frame.assign(
        answer=(frame["score"] * 3).round().map("k{:.0f}".format),
        label=(frame["score"] * 3.2).round().clip(0, 3).map("k{:.0f}".format),
    )


def by_amount(frame):
    """Answer and label with a number."""
    noise = np.random.default_rng(0).normal(size=len(frame))
    return frame.assign(answer=frame["amount"] * 2, label=frame["amount"] * 2 + noise)


PLAIN = Asked(time_column="at")


def test_two_classes_with_scores_labels_and_groups():
    made = reported(reference(), current(shift=25, wrong=0.35), ASKED)
    assert measured(made) >= {
        "quality",
        "drift",
        "prediction_drift",
        "label_drift",
        "estimated_performance",
        "performance",
        "calibration",
        "fairness",
    }
    alerts = {(each.monitor, each.feature) for each in made.alerts}
    assert {("drift", "amount"), ("performance", "")} <= alerts
    assert ("drift", "channel") not in alerts
    assert made.answers[1].lines[0].startswith("Yes: measured on labels")


@pytest.mark.parametrize(
    "change",
    [
        by_class,
        lambda f: by_class(f).assign(
            answer=f["score"].round(1) * 10, label=(f["score"] * 0.9).round(1) * 10
        ),
    ],
)
def test_many_classes_without_groups(change):
    made = reported(*both(change), replace(ASKED, group_columns=()))
    assert made.inputs.roles.task == "classification"
    metrics = made.measurements.query("monitor == 'performance'")["metric"]
    assert {"accuracy", "macro_f1"} <= set(metrics)


def test_numbers_with_groups_and_no_word_on_when_labels_came():
    made = reported(*both(by_amount), replace(ASKED, score_column=None, known_at_column=None))
    assert made.inputs.roles.task == "regression"
    rows = made.measurements.query("monitor == 'performance' and metric == 'mae'")
    assert set(rows["group"]) == {"", "north", "south"}


def test_no_labels_yet():
    now = current().drop(columns=["label", "known_at"])
    made = reported(reference(), now, ASKED)
    assert "estimated_performance" in measured(made)
    assert any("labels are missing" in line for line in made.answers[1].lines)
    realised = made.measurements.query("monitor == 'performance'")["value"]
    assert realised.isna().all()


@pytest.mark.parametrize(
    ("columns", "asked", "monitors"),
    [
        (["amount", "channel"], PLAIN, {"quality", "drift"}),
        (["answer"], replace(PLAIN, prediction_column="answer"), {"prediction_drift"}),
        (["score"], replace(PLAIN, score_column="score"), {"prediction_drift"}),
        (["label"], replace(PLAIN, target_column="label"), {"label_drift"}),
    ],
)
def test_few_columns_are_enough(columns, asked, monitors):
    made = reported(*both(lambda frame: frame[["at", *columns]]), asked)
    assert measured(made) == monitors


def test_short_windows_with_few_rows():
    made = reported(*both(lambda frame: frame.iloc[::6]), replace(ASKED, window="1D"))
    assert made.measurements["window_start"].nunique() == 28


# --------------------------------------------------------------------------------- any column

N_ROWS = 200
KINDS = {
    "fractions": lambda r: r.normal(size=N_ROWS),
    "whole": lambda r: r.integers(0, 5, N_ROWS),
    "small": lambda r: r.integers(0, 5, N_ROWS).astype("uint8"),
    "single": lambda r: r.normal(size=N_ROWS).astype("float32"),
    "truth": lambda r: r.random(N_ROWS) > 0.5,
    "truth with gaps": lambda r: pd.array([True, None] * (N_ROWS // 2), dtype="boolean"),
    "words": lambda r: r.choice(["a", "b"], N_ROWS),
    "numbers as text": lambda r: r.integers(0, 9, N_ROWS).astype(str),
    "mixed": lambda r: pd.Series([1, "a", 2.5, None, True] * (N_ROWS // 5), dtype=object),
    "nothing": lambda r: [None] * N_ROWS,
    "nan": lambda r: np.full(N_ROWS, np.nan),
    "lists": lambda r: [[1]] * N_ROWS,
    "objects": lambda r: [{"a": 1}] * N_ROWS,
    "bytes": lambda r: [b"x"] * N_ROWS,
    "dates": lambda r: [datetime.date(2020, 1, 1)] * N_ROWS,
    "moments": lambda r: pd.date_range("2020", periods=N_ROWS),
    "moments as text": lambda r: ["2020-01-01T00:00:00-03:00"] * N_ROWS,
    "lengths": lambda r: pd.to_timedelta(np.arange(N_ROWS), unit="h"),
    "categories": lambda r: pd.Categorical(r.choice(["x", "y"], N_ROWS)),
    "categories of numbers": lambda r: pd.Categorical(r.choice([1, 2], N_ROWS)),
    "nullable": lambda r: pd.array(r.integers(0, 2, N_ROWS), dtype="Int64"),
    "infinite": lambda r: np.where(np.arange(N_ROWS) % 3 == 0, np.inf, 1.0),
    "arrow": lambda r: pd.array([1.5, None] * (N_ROWS // 2), dtype="double[pyarrow]"),
    "arrow text": lambda r: pd.array(["u", "v"] * (N_ROWS // 2), dtype="string[pyarrow]"),
    "decimals": lambda r: [Decimal("1.5")] * N_ROWS,
    "ids": lambda r: [f"u{at}" for at in range(N_ROWS)],
    "large": lambda r: np.arange(N_ROWS) * 10**15,
    "constant": lambda r: np.ones(N_ROWS),
    "empty text": lambda r: ["", None] * (N_ROWS // 2),
    "yes and no": lambda r: np.where(np.arange(N_ROWS) % 2 == 0, "yes", "no"),
    "0 and 1": lambda r: np.arange(N_ROWS) % 2,
    "shares": lambda r: r.random(N_ROWS),
}


def of_kinds(kinds, start, rng):
    at = pd.date_range(start, periods=N_ROWS, freq="4h", tz="UTC")
    return pd.DataFrame({"at": at} | {name: KINDS[kind](rng) for name, kind in kinds.items()})


@pytest.mark.parametrize("seed", range(6))
def test_columns_of_any_kind_that_may_change_it_are_reported_on(seed):
    chosen, rng = random.Random(seed), np.random.default_rng(seed)
    before = {f"f{at}": kind for at, kind in enumerate(chosen.sample(list(KINDS), 12))}
    now = {
        name: kind if chosen.random() < 0.6 else chosen.choice(list(KINDS))
        for name, kind in before.items()
        if chosen.random() < 0.95
    }
    frames = of_kinds(before, "2024-01-01", rng), of_kinds(now, "2024-03-01", rng)
    made = reported(*frames, PLAIN)
    assert set(made.measurements["feature"]) >= set(made.inputs.kinds)


@pytest.mark.parametrize("seed", range(60))
def test_columns_of_any_kind_in_any_part_are_prepared_or_refused_in_one_line(seed):
    chosen, rng = random.Random(seed), np.random.default_rng(seed)
    parts = {
        "prediction_column": "p",
        "score_column": "s",
        "target_column": "y",
        "known_at_column": "k",
        "latency_column": "l",
        "client_column": "c",
    }
    kinds = {name: chosen.choice(list(KINDS)) for name in ["x", "g", *parts.values()]}
    asked = replace(
        PLAIN,
        **{part: name for part, name in parts.items() if chosen.random() < 0.4},
        group_columns=("g",) if chosen.random() < 0.4 else (),
        task=chosen.choice([None, None, "classification", "regression"]),
    )
    frames = of_kinds(kinds, "2024-01-01", rng), of_kinds(kinds, "2024-03-01", rng)
    with using("en"):
        try:
            found = prepared(*frames, asked)
        except Unusable as refused:
            assert "\n" not in str(refused)
        else:
            assert set(found.reference) == set(found.current)
