"""The dashboard under one budget: what it measures, what it alarms at, and what it lets pass."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from utils.monitors import suite
from utils.records import MEASUREMENT_COLUMNS
from utils.text import using

START = pd.Timestamp("2024-01-01", tz="UTC")
ROLES = suite.Roles(
    time_column="event_time",
    features=("income", "region"),
    task="classification",
    prediction_column="prediction",
    score_column="score",
    label_column="label",
    known_at_column="known_at",
)
INPUTS = suite.Roles(time_column="event_time", features=("income", "region"))


def traffic(weeks, *, rng, start=START, rows_a_week=300, concept=1.0, income=0.0):
    """Return requests whose labels follow their scores, known a week later."""
    n = rng.poisson(rows_a_week * weeks)
    seconds = np.sort(rng.integers(weeks * 7 * 86_400, size=n))
    x = rng.normal(size=n) + income
    region = rng.choice(["north", "south", "west"], p=[0.5, 0.3, 0.2], size=n)
    score = 1 / (1 + np.exp(-1.5 * x - 0.3 * (region == "south")))
    times = start + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame(
        {
            "event_time": times,
            "income": np.exp(8 + 0.5 * x),
            "region": region,
            "score": score,
            "prediction": (score >= 0.5).astype(int),
            "label": (rng.random(n) < 0.5 + concept * (score - 0.5)).astype(float),
            "known_at": times + pd.Timedelta("7D"),
        }
    )


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture(scope="module")
def monitors():
    rng = np.random.default_rng(3)
    return suite.fitted(traffic(40, rng=rng), ROLES, rng=rng, false_alarms_per_year=2)


LATER = START + pd.Timedelta(40 * 7, "D")


def alarmed(findings, **where):
    table = findings.measurements
    for name, value in where.items():
        table = table[table[name].eq(value)]
    return table.groupby("window_start")["alarm"].any()


# ------------------------------------------------------------------------------- what is refused


def test_a_column_has_one_role():
    with pytest.raises(ValueError, match="prediction_column='p' is score_column too"):
        suite.Roles(prediction_column="p", score_column="p")
    with pytest.raises(ValueError, match="label_column='y' is features too"):
        suite.Roles(label_column="y", features=("y",))
    with pytest.raises(ValueError, match="task='regresion': did you mean 'regression'"):
        suite.Roles(task="regresion")


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"false_alarms_per_year": 0}, "false_alarms_per_year=0: .* above 0"),
        ({"false_alarms_per_year": 40}, "there are 52.2 windows a year; .* up to half of them"),
        ({"critical_per_year": -1}, "critical_per_year=-1"),
        ({"persistence": 0}, "persistence=0: a whole number"),
        ({"window": "30 moons"}, "window='30 moons': a positive, fixed length"),
        ({"window": "140D", "false_alarms_per_year": 1}, "window='140D': the reference covers 1.0"),
        ({"level": 1.5}, "level=1.5"),
    ],
)
def test_settings_that_no_dashboard_can_keep_are_refused(settings, rule, rng):
    with pytest.raises(ValueError, match=rule):
        suite.fitted(traffic(20, rng=rng, rows_a_week=20), INPUTS, rng=rng, **settings)


def test_a_frame_without_a_column_or_rows_or_zones_is_refused(monitors, rng):
    frame = traffic(2, rng=rng, start=LATER)
    with pytest.raises(ValueError, match="features='income' is no column of the frame; did you"):
        monitors.run(frame.rename(columns={"income": "incomes"}))
    with pytest.raises(ValueError, match="current: has no rows"):
        monitors.run(frame.iloc[:0])
    with pytest.raises(ValueError, match="current: has no rows by then"):
        monitors.run(frame, known_as_of=START)
    with pytest.raises(ValueError, match="times without a zone"):
        monitors.run(frame.assign(event_time=frame["event_time"].dt.tz_localize(None)))
    with pytest.raises(ValueError, match="roles: name nothing that can be measured"):
        suite.fitted(frame, suite.Roles(time_column="event_time"), rng=rng, window="1D")


# ------------------------------------------------------------------------------- the table


def test_the_measurements_are_one_tidy_table_of_every_line_in_every_window(monitors, rng):
    current = traffic(5, rng=rng, start=LATER)
    before = current.copy()
    table = monitors.run(current.sample(frac=1, random_state=0)).measurements
    pd.testing.assert_frame_equal(current, before)
    assert tuple(table.columns) == MEASUREMENT_COLUMNS
    assert len(table) == 5 * len(monitors.lines)
    starts = table["window_start"].drop_duplicates()
    assert starts.tolist() == [LATER + pd.Timedelta(7 * at, "D") for at in range(5)]
    assert (table["window_end"] - table["window_start"]).eq(pd.Timedelta("7D")).all()
    known = table[table["low"].notna()]
    assert (known["low"] <= known["value"]).all() and (known["value"] <= known["high"]).all()
    assert known["low"].notna().mean() > 0.9
    beyond = (table["value"] > table["threshold_high"]) | (table["value"] < table["threshold_low"])
    assert beyond.eq(table["alarm"]).all()
    volume = table[table["metric"].eq("volume")]
    assert volume["n_current"].sum() == len(current)
    assert {
        "quality",
        "drift",
        "prediction_drift",
        "label_drift",
        "estimated_performance",
        "performance",
        "calibration",
    } == set(table["monitor"])


def test_the_same_seed_gives_the_same_table_whatever_was_run_before(rng):
    reference, current = traffic(20, rng=rng), traffic(4, rng=rng, start=LATER)
    first, second = (suite.fitted(reference, ROLES, rng=np.random.default_rng(5)) for _ in range(2))
    second.run(current.iloc[:100])
    pd.testing.assert_frame_equal(first.run(current).measurements, second.run(current).measurements)


# ------------------------------------------------------------------------------- the budget


@pytest.mark.parametrize("window", ["7D", "1D"])
def test_quiet_years_have_as_many_false_alarms_as_were_budgeted(window):
    """References of their own: what was counted lies about what was asked, rather below.

    Of a hundred rows a day most rates can only be 0 or 1 %, so a threshold is between two of them.
    """
    rng = np.random.default_rng(1)
    n, weeks = (30, 52) if window == "7D" else (12, 12)
    budget = 12.0 if window == "7D" else 60.0
    counted, quiet = 0, 0
    for _ in range(n):
        monitors = suite.fitted(
            traffic(weeks, rng=rng, rows_a_week=100 if window == "7D" else 700),
            INPUTS,
            rng=rng,
            window=window,
            false_alarms_per_year=budget,
            draws=500,
        )
        rows = 100 if window == "7D" else 700
        current = traffic(26 if window == "7D" else 8, rng=rng, start=LATER, rows_a_week=rows)
        seen = alarmed(monitors.run(current))
        counted, quiet = counted + int(seen.sum()), quiet + len(seen)
    expected = quiet * budget / monitors.windows_a_year
    assert expected > 80
    assert 0.65 * expected < counted < 1.25 * expected


def test_a_smaller_budget_has_wider_thresholds_and_critical_ones_are_wider_still(rng):
    reference, current = traffic(30, rng=rng), traffic(3, rng=rng, start=LATER)
    few, many = (
        suite.fitted(reference, INPUTS, rng=np.random.default_rng(1), false_alarms_per_year=budget)
        .run(current)
        .measurements["threshold_high"]
        for budget in (1, 12)
    )
    assert (few.dropna() >= many.dropna()).all() and (few > many).mean() > 0.5


def test_windows_of_fewer_rows_have_wider_thresholds_and_no_more_alarms(monitors, rng):
    whole = traffic(20, rng=rng, start=LATER)
    thin = whole[rng.random(len(whole)) < 0.3]
    of_whole, of_thin = monitors.run(whole).measurements, monitors.run(thin).measurements
    drift = of_whole["monitor"].eq("drift")
    assert (of_thin.loc[drift, "threshold_high"] > of_whole.loc[drift, "threshold_high"]).all()
    others = of_thin[of_thin["metric"].ne("volume")]
    assert others.groupby("window_start")["alarm"].any().sum() <= 4
    assert alarmed(monitors.run(thin), metric="volume").all()


def test_a_window_that_is_only_begun_is_judged_by_its_part(monitors, rng):
    current = traffic(4, rng=rng, start=LATER)
    begun = current[current["event_time"] < LATER + pd.Timedelta("17D")]
    assert not alarmed(monitors.run(begun), metric="volume").any()
    silent = monitors.run(begun, until=LATER + pd.Timedelta("28D"))
    assert alarmed(silent, metric="volume").tolist() == [False, False, True, True]


def test_of_a_window_of_next_to_no_rows_only_how_few_they_are_is_judged(monitors, rng):
    current = traffic(1, rng=rng, start=LATER).iloc[::30].assign(region="east")
    table = monitors.run(current, until=LATER + pd.Timedelta("7D")).measurements
    assert table.loc[table["alarm"], "metric"].tolist() == ["volume"]
    others = table[table["metric"].ne("volume")]
    assert others["threshold_high"].isna().all()
    assert others["n_current"].max() == len(current)


def test_an_alarm_that_must_persist_needs_two_windows_in_a_row(rng):
    reference = traffic(40, rng=rng)
    monitors = suite.fitted(reference, INPUTS, rng=rng, persistence=2, false_alarms_per_year=1)
    current = traffic(6, rng=rng, start=LATER)
    week = (current["event_time"] - LATER).dt.days // 7
    once = current.assign(income=current["income"].where(week != 2, 1000 * current["income"]))
    twice = current.assign(
        income=current["income"].where(~week.isin([2, 3]), 1000 * current["income"])
    )
    assert not alarmed(monitors.run(once)).any()
    assert alarmed(monitors.run(twice)).tolist() == [False, False, False, True, False, False]


def test_a_short_reference_says_so(rng):
    short = suite.fitted(traffic(3, rng=rng), INPUTS, rng=rng, false_alarms_per_year=1)
    assert short.least_budget > 5
    with using("en"):
        assert "too short for a budget of 1 a year" in short.notes[-1]
    with using("pt"):
        assert "curta para um orçamento de 1 por ano" in short.notes[-1]
    long = suite.fitted(traffic(60, rng=rng), INPUTS, rng=rng, false_alarms_per_year=4)
    assert len(long.notes) <= 1


def test_a_burst_in_the_reference_leaves_the_thresholds_of_the_other_lines_nearly_as_they_were(rng):
    """Forty rows without a region on one day of thirty weeks: one burst, and not forty events."""
    reference = traffic(30, rng=rng)
    on_a_day = reference["event_time"].dt.floor("1D").eq(START + pd.Timedelta("80D"))
    burst = reference.assign(region=reference["region"].where(~on_a_day))
    bounds = []
    for each in (reference, burst):
        monitors = suite.fitted(each, INPUTS, rng=np.random.default_rng(1), false_alarms_per_year=1)
        table = monitors.run(traffic(1, rng=np.random.default_rng(2), start=LATER)).measurements
        bounds.append(table.set_index(["monitor", "metric", "feature"])["threshold_high"])
    drift = ("drift", "jensen_shannon", "income")
    assert bounds[1][drift] < 1.5 * bounds[0][drift]
    missing = ("quality", "null_value_rate", "region")
    assert bounds[1][missing] > bounds[0][missing]


# ------------------------------------------------------------------------------- what it finds


def test_a_unit_that_changes_is_a_critical_alert_of_that_column_with_its_evidence(monitors, rng):
    current = traffic(4, rng=rng, start=LATER)
    last = current["event_time"] >= LATER + pd.Timedelta("14D")
    current["income"] = current["income"].where(~last, current["income"] * 100)
    with using("en"):
        findings = monitors.run(current)
    (alert,) = [a for a in findings.alerts if (a.feature, a.monitor) == ("income", "drift")]
    assert alert.severity == "critical" and alert.value > alert.threshold
    assert alert.window_start == LATER + pd.Timedelta("14D")
    assert "income, Jensen–Shannon distance: " in alert.evidence
    assert "beyond the threshold" in alert.evidence and "2 windows in a row" in alert.evidence
    assert "What moved most: " in alert.evidence and "quiet" in alert.evidence
    assert not [a for a in findings.alerts if a.feature == "region"]


def test_evidence_is_in_the_language_in_force(monitors, rng):
    current = traffic(1, rng=rng, start=LATER, income=2.0)
    with using("pt"):
        (alert, *_) = monitors.run(current).alerts
    assert "além do limiar" in alert.evidence and "janela" in alert.evidence


def test_a_concept_that_turns_is_seen_when_its_labels_come_and_not_before(monitors, rng):
    current = traffic(6, rng=rng, start=LATER, concept=-0.5)
    early = monitors.run(current, known_as_of=LATER + pd.Timedelta("7D"))
    assert not alarmed(early, monitor="performance").any()
    assert early.measurements.query("monitor == 'performance'")["n_current"].max() < 60
    late = monitors.run(current, known_as_of=LATER + pd.Timedelta("60D"))
    assert alarmed(late, monitor="performance").all()
    assert not alarmed(late, monitor="drift").any()
    actions = {a.metric: a.action for a in late.alerts if a.monitor == "performance"}
    assert actions["accuracy"] == "roll back"


def test_drift_that_leaves_the_performance_as_it_was_is_dismissed_with_its_reason(rng):
    reference = traffic(40, rng=rng, rows_a_week=1000)
    monitors = suite.fitted(reference, ROLES, rng=rng)
    current = traffic(2, rng=rng, start=LATER, rows_a_week=1000)
    north = current["region"].eq("north") & (rng.random(len(current)) < 0.5)
    current["region"] = current["region"].where(~north, "west")
    with using("en"):
        (alert,) = [a for a in monitors.run(current).alerts if a.monitor == "drift"]
    assert (alert.feature, alert.action) == ("region", "dismiss")
    assert "measured on labels is in its quiet range" in alert.reason
    inputs = suite.fitted(reference, INPUTS, rng=rng)
    (alert,) = [a for a in inputs.run(current).alerts if a.monitor == "drift"]
    assert alert.action == "investigate"


def test_broken_data_are_to_be_quarantined_and_nothing_is_retrained_on_them(monitors, rng):
    current = traffic(2, rng=rng, start=LATER, concept=0.0)
    current["income"] = current["income"].where(rng.random(len(current)) < 0.5)
    alerts = monitors.run(current).alerts
    actions = {(a.monitor, a.metric): a.action for a in alerts}
    assert actions["quality", "null_value_rate"] == "quarantine"
    assert not {"retrain", "roll back"} & set(actions.values())


def test_alerts_are_the_most_severe_first_and_one_for_each_time_a_line_leaves_its_range(rng):
    reference = traffic(40, rng=rng)
    monitors = suite.fitted(reference, INPUTS, rng=rng, false_alarms_per_year=2)
    current = traffic(8, rng=rng, start=LATER)
    week = (current["event_time"] - LATER).dt.days // 7
    current["income"] = current["income"].where(~week.isin([1, 2, 5]), 1e6)
    alerts = monitors.run(current).alerts
    severity = [a.severity for a in alerts]
    assert severity == sorted(severity)
    ours = [a for a in alerts if (a.feature, a.metric) == ("income", "jensen_shannon")]
    assert [(a.window_start - LATER).days // 7 for a in ours] == [1, 5]


def test_the_monitors_of_a_copy_with_another_budget_share_what_was_learned(monitors, rng):
    current = traffic(2, rng=rng, start=LATER)
    monitors.run(current)
    loose = replace(monitors, false_alarms_per_year=20.0)
    tight, wide = (m.run(current).measurements["threshold_high"] for m in (loose, monitors))
    assert (tight.dropna() <= wide.dropna()).all()


def test_many_classes_with_groups_are_watched_without_a_positive_one(rng):
    frame = traffic(20, rng=rng)
    names = np.array(["no", "maybe", "yes"])
    frame["prediction"] = names[np.digitize(frame["score"], [0.3, 0.6])]
    frame["label"] = np.where(rng.random(len(frame)) < 0.7, frame["prediction"], "maybe")
    roles = replace(ROLES, score_column=None, group_columns=("region",), features=("income",))
    lines = suite.fitted(frame, roles, rng=rng).lines
    assert {"performance", "label_drift"} <= {line.monitor for line in lines}
    assert "fairness" not in {line.monitor for line in lines}


def test_no_threshold_lies_where_no_value_can_be(rng):
    short = suite.fitted(traffic(3, rng=rng, rows_a_week=40), ROLES, rng=rng)
    table = short.run(traffic(3, rng=rng, start=LATER, rows_a_week=40)).measurements
    assert not np.isinf(table[["threshold_low", "threshold_high"]]).any().any()
    shares = table[table["metric"].str.endswith(("_rate", "_share", "accuracy"))]
    assert not (shares["threshold_high"] >= 1).any() and not (shares["threshold_low"] <= 0).any()


def test_regular_traffic_that_ends_within_a_window_has_its_usual_volume(rng):
    times = pd.date_range("2024-01-01", periods=4 * 7 * 30, freq="6h", tz="UTC")
    frame = pd.DataFrame({"event_time": times, "x": rng.normal(size=len(times))})
    roles = suite.Roles(time_column="event_time", features=("x",))
    monitors = suite.fitted(frame[: 4 * 7 * 26], roles, rng=rng)
    for ends in (4 * 7 * 27 + 5, 4 * 7 * 28 + 9):
        table = monitors.run(frame[4 * 7 * 26 : ends]).measurements
        volume = table[table["metric"].eq("volume")]
        assert volume["value"].tolist() == pytest.approx([1.0] * len(volume), rel=0.06)
        assert not volume["alarm"].any()
