"""Chapter 09: its parameters change what their comments say, and its helpers what theirs do."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from tests.course.running import ran_once
from utils.course import NOTEBOOKS, ROOT, builder, drift_plots, drifting, exercises
from utils.datasets import credit
from utils.monitors.scoreboard import Prices, scoreboard
from utils.text import LANGUAGES, using

SOURCE = NOTEBOOKS / "09_drift.ipynb"

other = ran_once(
    SOURCE,
    seed=7,
    per_day=100,
    loud="population_cut",
    silent="concept_drift_gradual",
    strength=0.8,
    window_days=14,
    false_alarms_per_year=1.0,
    harmful_window_price=5.0,
)


@pytest.fixture(scope="module")
def few():
    """Return a quarter of few loans, and the model fitted on them."""
    loans = drifting.loans(drifting.CURRENT_FROM, per_day=30, seed=3, n_days=91)
    return loans, drifting.trained(loans)


# The parameters


def test_the_scenario_is_the_one_asked_for(other):
    assert other["panel"]["A"].idxmax() == "region"
    # Gradually: later in the month the same people are less often right.
    late = other["worlds"]["B"]["event_time"] >= "2024-03-18"
    right = other["worlds"]["B"]["prediction"] == other["worlds"]["B"]["label"]
    assert right[late].mean() < right[~late].mean()


def test_windows_are_of_the_length_asked_for(other):
    for table in (other["calm"], other["with_labels"].measurements, *other["rules"].values()):
        length = table["window_end"] - table["window_start"]
        assert set(length) == {pd.Timedelta("14D")}
    assert len(other["strays"]) == 364 - 14 + 1


def test_strength_and_scale_are_those_asked_for(other):
    usual = [each.strength for each in drifting.nine_incidents()]
    np.testing.assert_allclose(other["ledger"]["strength"], 0.8 * np.array(usual))
    assert 0.7 < len(other["reference"]) / (100 * 364) < 1.1


def test_the_budget_is_that_of_the_dashboard(other):
    assert other["monitors"].false_alarms_per_year == 1.0
    assert other["alarmed"]["p < 0.05"].sum() > 0.5 * len(other["alarmed"]["p < 0.05"])


def test_the_price_is_that_of_the_board(other):
    board = other["board"].set_index("rule")["cost"]
    n = scoreboard(
        other["ledger"],
        other["ours"],
        prices=Prices(false_alarm=1, harmful_window=1),
        rng=np.random.default_rng(0),
    ).set_index("rule")["cost"]
    assert board["never alarm"] == 5 * n["never alarm"]


def test_the_report_on_the_file_is_written_where_it_says(other):
    names = {path.name for path in (other["folder"] / "report").iterdir()}
    assert names == {"alerts.json", "measurements.csv", "report.html"}


# What it is made of


def test_every_loan_is_granted_and_has_a_label(few):
    loans, model = few
    told = drifting.answered(loans, model)
    assert loans["approved"].all() and told["label"].notna().all()
    assert not set(credit.SENSITIVE) & set(told)
    np.testing.assert_allclose(told["loss"], (told["score"] - told["label"]) ** 2)
    assert ((told["score"] >= 0.5) == (told["prediction"] == 1)).all()


def test_during_is_half_open():
    times = pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-15"], utc=True)
    frame = pd.DataFrame({"event_time": times})
    assert list(drifting.during(frame, times[0], times[2])["event_time"]) == list(times[:2])


def test_nine_incidents_leave_quiet_weeks_between_them():
    planned = drifting.nine_incidents()
    weeks = [(each.start - drifting.CURRENT_FROM) / drifting.WEEK for each in planned]
    ends = [(each.end - drifting.CURRENT_FROM) / drifting.WEEK for each in planned]
    assert all(end < start for end, start in zip(ends, weeks[1:], strict=False))
    assert ends[-1] <= 52 and len(planned) == 9
    assert all(week == int(week) for week in [*weeks, *ends])


def test_the_harmful_ones_harm_and_the_harmless_do_not():
    """By the squared error of the score, against the same weeks without the incident."""
    year = {"per_day": 60, "seed": 11}
    model = drifting.trained(drifting.loans(drifting.LEARNED_FROM, **year))
    asked = drifting.loans(drifting.CURRENT_FROM, **year)
    changed, ledger = drifting.happened(asked, drifting.nine_incidents(), seed=1)
    was, now = (drifting.answered(each, model) for each in (asked, changed))
    for each in ledger.itertuples():
        before, after = (drifting.during(x, each.start, each.end)["loss"] for x in (was, now))
        lost = after.mean() - before.mean()
        assert lost > 0.005 if each.harmful else lost < 0.02, each.kind


def test_the_rules_of_thumb_alarm_by_their_own_thresholds(few):
    loans, model = few
    told = drifting.answered(loans, model)
    end = drifting.CURRENT_FROM + 13 * drifting.WEEK
    rules = drifting.rules_of_thumb(told, told, window="7D", start=drifting.CURRENT_FROM, end=end)
    for name, above in (("PSI > 0.2", 0.2), ("Azure 0.1", 0.1)):
        assert (rules[name]["alarm"] == (rules[name]["value"] > above)).all()
    unlikely = rules["p < 0.05"]
    assert (unlikely["alarm"] == (unlikely["value"] < 0.05)).all()
    of_azure = rules["Azure 0.1"].groupby("feature")["metric"].agg(set)
    for feature, metrics in of_azure.items():
        is_category = feature in credit.CATEGORICAL_FEATURES
        assert metrics == {"jensen_shannon" if is_category else "normalized_wasserstein"}


def test_both_editions_pass_every_exercise_of_the_source():
    source = builder.read(SOURCE)
    said = [
        output["data"]["text/markdown"]
        for cell in source.cells
        for output in cell.get("outputs", ())
        if "text/markdown" in output.get("data", {}) and "check(" in cell.source
    ]
    assert len(said) == 5 and all("Certo" in each for each in said)
    for code in LANGUAGES:
        assert (ROOT / f"labs_{code}" / SOURCE.name).is_file()


# What learners write


def verdict(name, answer, **given):
    said = {}
    for language in LANGUAGES:
        with using(language):
            said[language] = exercises.verdict(f"09.{name}", answer, **given)
    assert said["pt"].mistake == said["en"].mistake
    return said["en"].mistake or said["en"].kind


@pytest.fixture(scope="module")
def parts():
    rows = [("covariate", -0.02, 0.02), ("label", 0.04, 0.08), ("concept", 0.05, 0.09)]
    return pd.DataFrame(rows, columns=["world", "low", "high"]).assign(
        metric="loss_change_by_concept", value=lambda each: (each["low"] + each["high"]) / 2
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (["concept", "label"], "right"),
        (["label", "concept"], "right"),
        (["concept"], "one_missing"),
        ("concept", "one_missing"),
        (["label"], "one_missing"),
        (["covariate", "label", "concept"], "wrong"),
    ],
)
def test_worlds_are_right_in_any_order_and_one_alone_is_told_that_one_is_missing(
    parts, answer, expected
):
    assert verdict("concept", answer, parts=parts) == expected


def test_a_chance_is_not_a_number_of_weeks():
    assert verdict("many_columns", lambda n_columns, weeks=52: 1 - 0.95**n_columns) == "share"


def test_a_rule_that_another_outdoes_is_told_so(other):
    board = pd.DataFrame(
        {
            "rule": ["PSI > 0.2", "p < 0.05", "ours", "never alarm", "always alarm"],
            "detected": [0.5, 1.0, 0.5, 0.0, 1.0],
            "false_alarms_per_100": [16.0, 80.0, 0.0, 0.0, 100.0],
            "cost": [34.0, 23.0, 30.0, 54.0, 28.0],
        }
    )
    given = {"before_labels": board, "year": other["year"] | {"price": 3.0}}
    assert verdict("cheapest", "ours", **given) == "right"
    assert verdict("cheapest", "PSI > 0.2", **given) == "outdone"
    assert verdict("cheapest", "p < 0.05", **given) == "this_year"


# What is drawn


def test_a_point_stands_in_the_middle_of_its_window_and_the_incident_where_it_was():
    start = drifting.CURRENT_FROM
    begin = pd.date_range(start, periods=10, freq="14D")
    table = pd.DataFrame({"window_start": begin, "window_end": begin + 2 * drifting.WEEK})
    table = table.assign(estimate=0.8, realised=0.8, low=0.7, high=0.9)
    since, until = start + 8 * drifting.WEEK, start + 16 * drifting.WEEK
    fig = drift_plots.plot_estimated(
        {"covariate": table, "concept": table}, since=since, until=until, title=""
    )
    for ax in fig.axes:
        estimated, _, dotted = ax.lines
        assert list(estimated.get_xdata())[:3] == [1, 3, 5]
        assert list(dotted.get_xdata()) == [8, 8]
        (shade,) = ax.patches
        assert (shade.get_x(), shade.get_x() + shade.get_width()) == (8, 16)
    plt.close(fig)
