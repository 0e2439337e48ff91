"""Chapter 12: its parameters change what their comments say, and its helpers what theirs do."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy.stats import poisson

from tests.course.running import ran_once
from utils.course import NOTEBOOKS, exercises, telling, telling_plots
from utils.exporters.prometheus import ModelCollector
from utils.operations import alerting
from utils.operations.aws_stand_in import state_of
from utils.operations.notifications import through_apprise
from utils.operations.rules import BadRules, judged
from utils.records import LEDGER_COLUMNS, AlertRule, measurements
from utils.store import open_store

SOURCE = NOTEBOOKS / "12_alerts_and_dashboards.ipynb"
START = pd.Timestamp("2024-01-01", tz="UTC")
WEEK = pd.Timedelta("7D")


other = ran_once(
    SOURCE,
    seed=7,
    per_day=130,
    window_days=14,
    false_alarms_per_year=2.0,
    strength=0.4,
    patience=2,
    muted_weeks=10,
    scenario="unit_change",
    harmful_window_price=5.0,
)


def lines(**values):
    """Return lines of measurements by their feature, a week each; the value is 1 in an alarm."""
    return measurements(
        {
            "monitor": "drift",
            "metric": "psi",
            "feature": feature,
            "window_start": START + place * WEEK,
            "window_end": START + (place + 1) * WEEK,
            "value": value,
            "alarm": value == 1,
            "n_current": 50,
        }
        for feature, own in values.items()
        for place, value in enumerate(own)
    )


def ledger(*incidents):
    """Return a ledger of (first week, weeks, harmful)."""
    rows = [
        (place, "kind", "column", 1.0, START + first * WEEK, START + (first + n) * WEEK, harmful)
        for place, (first, n, harmful) in enumerate(incidents, 1)
    ]
    return pd.DataFrame(rows, columns=list(LEDGER_COLUMNS))


# The parameters


def test_windows_budget_scale_and_strength_are_those_asked_for(other):
    for table in (other["calm"], other["ill"], other["story"]):
        assert set(table["window_end"] - table["window_start"]) == {pd.Timedelta("14D")}
    assert other["monitors"].false_alarms_per_year == 2.0
    assert {rule.false_alarms_per_year for rule in other["rules"]} == {2.0}
    assert 0.8 < len(other["reference"]) / (130 * 364) < 1.2
    assert other["ledger"]["strength"].iloc[1] == pytest.approx(0.4)


def test_the_team_is_as_patient_as_asked_and_mutes_for_so_many_weeks(other):
    assert other["tires"] == {"patience": 2, "muted": 5}
    assert other["tired"]["value"] < other["always"]["value"]


def test_the_story_is_of_the_incident_asked_for(other):
    fired = {each.line[2] for each in other["new"] if each.line[0] == "quality"}
    assert fired == {"income_brl"}


def test_an_unnoticed_window_costs_what_it_was_said_to(other):
    never = other["scored"].loc["never alarm", "cost"]
    harmful = other["ledger"][other["ledger"]["harmful"]]
    touched = sum(
        (
            (other["lived"]["window_start"] < each.end)
            & (other["lived"]["window_end"] > each.start)
        ).sum()
        for each in harmful.itertuples()
    )
    assert never == 5.0 * touched


def test_the_exercise_of_m_of_n_is_what_cloudwatch_and_our_rules_do(other):
    persistent = other["persistent"]
    outside = [True, True, False, True, False, True, True, True]
    table = lines(a=[float(each) for each in outside])
    for n in (1, 2, 3):
        rule = AlertRule(name="r", metric="psi", high=0.5, persistence=n)
        assert persistent(outside, n, n) == judged([rule], table)["alarm"].tolist()
    for last in range(3, len(outside) + 1):
        state = state_of(outside[:last], beyond=bool, needed=2, of=3)
        assert (state == "ALARM") == persistent(outside, 2, 3)[last - 1]


def test_what_is_told_is_in_the_store_and_at_metrics(other):
    assert [status for status, *_ in other["webhook"].heard] == [500, 500, 200]
    with open_store(other["place"].store_url) as store:
        names = {each.name for each in ModelCollector(store).collect()}
        assert names <= set(other["scraped"]["family"])
        assert store.streams("action/") == ["action/loans"]


# Never seen


def test_a_rule_is_made_of_each_line_that_varies_and_lets_through_all_that_was_seen():
    table = lines(a=[0.1, 0.4, 0.2], b=[0.0, 0.0, 0.0])
    (rule,) = telling.never_seen(table, window="7D")
    assert (rule.feature, rule.low, rule.high) == ("a", 0.1, 0.4)
    assert not judged([rule], table)["alarm"].any()
    assert judged([rule], lines(a=[0.41, 0.09, 0.3]))["alarm"].tolist() == [True, True, False]


def test_where_nothing_changes_each_end_is_passed_one_time_in_as_many_windows():
    rng = np.random.default_rng(0)
    n_lines, n_before, n_after = 60, 12, 20
    passed = 0
    for _ in range(n_lines):
        rules = telling.never_seen(lines(a=rng.normal(size=n_before)), window="7D")
        passed += judged(rules, lines(a=rng.normal(size=n_after)))["outside"].sum()
    assert passed / (n_lines * n_after) == pytest.approx(2 / (n_before + 1), rel=0.25)


# Who listens


def test_a_line_that_stays_in_alarm_is_told_once_and_a_second_line_anew():
    found = telling.told(lines(a=[1, 1, 0, 1], b=[0, 1, 1, 1]), ledger((1, 2, True)))
    assert found["told"].tolist() == [True, True, False, True]
    assert found["alarm"].all()
    assert found["incident"].tolist() == [-1, 0, 0, -1]
    assert found["harmful"].tolist() == [False, True, True, False]


def test_what_was_right_restores_the_patience():
    told = [True] * 6
    right = [False, True, False, False, False, False]
    listens = telling.listening(told, right, patience=2, muted=1)
    assert listens.tolist() == [True, True, True, True, False, True]


def test_who_is_told_nothing_is_never_tired():
    assert telling.listening([False] * 9, [False] * 9, patience=1, muted=9).all()


def test_no_patience_is_refused():
    with pytest.raises(ValueError, match="patience=0, muted=1: at least 1, and at least 0"):
        telling.listening([True], [False], patience=0, muted=1)


def test_who_always_listens_hears_of_all_that_is_told():
    windows = telling.told(lines(a=[0, 1, 0, 0, 0, 1, 0, 0]), ledger((1, 2, True), (4, 2, True)))
    about = {"quiet": 5, "draws": 50, "rng": np.random.default_rng(0)}
    assert (telling.years(windows, patience=None, **about) == 1).all()
    deaf = windows.assign(told=False)
    assert (telling.years(deaf, patience=None, **about) == 0).all()


def test_a_team_that_is_told_each_quiet_week_hears_of_little():
    noisy = telling.told(lines(a=[1, 0] * 10, b=[0, 1] * 10), ledger((5, 2, True)))
    about = {"quiet": 60, "draws": 200, "rng": np.random.default_rng(0)}
    heard = telling.years(noisy, patience=2, muted=8, **about)
    # It listens for two weeks of ten, and an incident of two weeks is met in three of them.
    assert heard.mean() == pytest.approx(0.3, abs=0.12)


def test_a_year_without_a_harmful_incident_has_nothing_to_be_heard_of():
    windows = telling.told(lines(a=[0, 1]), ledger((0, 1, False)))
    with pytest.raises(ValueError, match="windows: no harmful incident is there"):
        telling.years(windows, quiet=2, patience=None, draws=1, rng=np.random.default_rng(0))


# Persistence


def test_windows_in_a_row_are_those_of_our_rules():
    outside = np.array([True, True, True, False, True, True])
    for n in (1, 2, 3):
        rule = AlertRule(name="r", metric="psi", high=0.5, persistence=n)
        expected = judged([rule], lines(a=outside.astype(float)))["alarm"]
        assert telling.in_a_row(outside, n).tolist() == expected.tolist()


def test_waiting_costs_and_brings_what_the_theory_says():
    rng = np.random.default_rng(1)
    quiet, ill = rng.random((4000, 52)), {"all": np.ones((100, 8))}
    rows = telling.waiting(quiet, ill, bounds={1: 0.9, 2: 0.9}, windows_a_year=52)
    one, two = rows.itertuples()
    # Of independent windows, an alert of n begins where n are outside and the one before is not.
    assert one.false_alerts == pytest.approx(52 * 0.1 * 0.9, rel=0.03)
    assert two.false_alerts == pytest.approx(52 * 0.01 * 0.9, rel=0.08)
    assert (one.delay, two.delay, two.noticed) == (0, 1, 1)
    assert one.false_alerts_low < one.false_alerts < one.false_alerts_high


def test_bounds_of_one_budget_give_as_many_windows_with_an_alarm():
    quiet = np.random.default_rng(2).normal(size=(3000, 52))
    bounds = telling.same_budget(quiet, a_year=2, windows_a_year=52, most=3)
    for n, bound in bounds.items():
        fires = telling.in_a_row(quiet > bound, n)[:, n - 1 :]
        assert fires.mean() == pytest.approx(2 / 52, rel=0.02)


# The exercise on a rule


def test_the_past_of_the_exercise_is_the_same_each_time_and_no_bound_parts_its_week():
    table, key = telling.past()
    pd.testing.assert_frame_equal(table, telling.past()[0])
    own = table[table["feature"] == "debt_share"].reset_index(drop=True)
    ill = own["window_start"].between(key["start"][0], key["end"][0], inclusive="left")
    assert ill.sum() == 3 and own["value"].idxmax() == 6
    assert own.loc[ill, "value"].min() > 0.03 > own.loc[~ill, "value"].drop(6).max()


def test_a_rule_is_tried_on_the_past():
    told = (
        "- {name: nulls, metric: null_value_rate, feature: debt_share, high: %s, persistence: %s}"
    )
    assert telling.tried(told % (0.03, 2)) == {"in_time": True, "false_alerts": 0}
    assert telling.tried(told % (0.03, 1)) == {"in_time": True, "false_alerts": 1}
    assert telling.tried(told % (0.03, 3)) == {"in_time": False, "false_alerts": 0}
    assert telling.tried(told % (0.2, 1)) == {"in_time": False, "false_alerts": 0}


def test_a_rule_that_cannot_be_read_is_refused_without_a_path():
    with pytest.raises(BadRules, match="^rules.yaml: rule 'nulls': 'hihg' is no field"):
        telling.tried("- {name: nulls, metric: null_value_rate, hihg: 1}")


def test_a_rule_that_looks_at_nothing_is_refused():
    with pytest.raises(ValueError, match="looks at nothing here"):
        telling.tried("- {name: nulls, metric: nul_rate, high: 1}")


def named(name, answer):
    """Return the mistake that an answer is, or what it is instead."""
    found = exercises.verdict(f"12.{name}", answer)
    return found.mistake or found.kind


def test_a_bound_in_per_cent_below_or_of_a_budget_is_told_so():
    rule = "- {name: nulls, metric: null_value_rate, feature: debt_share, persistence: 2, %s}"
    assert named("rule", rule % "high: 0.03") == "right"
    assert named("rule", rule % "high: 3") == "per_cent"
    assert named("rule", rule % "high: 4.5") == "per_cent"
    assert named("rule", rule % "low: 0.03") == "below"
    assert named("rule", rule % "false_alarms_per_year: 4") == "budget"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda deliveries: list(deliveries), "deliveries"),
        (lambda deliveries: list({each["id"]: each for each in deliveries}.values()), "deliveries"),
        (lambda deliveries: list(dict.fromkeys(each["id"] for each in deliveries)), "ids"),
        (lambda deliveries: [None for _ in deliveries], "wrong"),
        (lambda deliveries: 3, "raised"),
    ],
)
def test_what_is_not_a_list_of_titles_is_told_so(answer, said):
    assert named("once", answer) == said


def _in_a_row(outside, m, n):
    run, fires = 0, []
    for each in outside:
        run = run + 1 if each else 0
        fires.append(run >= m)
    return fires


def _with_n_there(outside, m, n):
    known, fires = [], []
    for each in outside:
        if each is not None:
            known.append(each)
        fires.append(each is not None and len(known) >= n and sum(known[-n:]) >= m)
    return fires


@pytest.mark.parametrize(
    ("answer", "said"), [(_in_a_row, "in_a_row"), (_with_n_there, "after_n"), (all, "raised")]
)
def test_windows_in_a_row_and_waiting_for_n_are_told_so(answer, said):
    assert named("persistent", answer) == said


def _budget(most, weeks, chance):
    return max(b for b in range(500) if poisson.sf(most, b * weeks / 52) <= chance)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_budget, "right"),
        (lambda *team: float(_budget(*team)), "right"),
        (lambda *team: _budget(*team) + 0.3, "not_whole"),
        (lambda *team: max(_budget(*team), 1), "at_least_one"),
        (lambda most, weeks, chance: "many", "wrong"),
        (lambda most, weeks, chance: None if weeks > 50 else 1, "wrong"),
    ],
)
def test_a_budget_is_whole_and_may_be_none_at_all(answer, said):
    assert named("budget", answer) == said


# What receives, and what is read


def test_a_webhook_answers_what_it_was_told_to_and_then_well():
    with telling.receiver(503) as webhook:
        assert not through_apprise(webhook.url, "first", "body")
        assert through_apprise(webhook.url, "second", "body")
    assert webhook.heard == [(503, "first", "body"), (200, "second", "body")]


def test_the_local_server_is_empty_each_time():
    alarm = {"AlarmName": "a", "MetricName": "m", "Namespace": "n", "Statistic": "Average"}
    alarm |= {"Period": 60, "EvaluationPeriods": 1, "Threshold": 1.0}
    alarm["ComparisonOperator"] = "GreaterThanThreshold"
    for _ in range(2):
        with telling.local_aws("cloudwatch") as client:
            assert client.describe_alarms()["MetricAlarms"] == []
            client.put_metric_alarm(**alarm)
            assert len(client.describe_alarms()["MetricAlarms"]) == 1


def test_the_lives_of_alerts_say_what_happened_to_them():
    rule = AlertRule(name="rose", metric="psi", high=0.5)
    table = lines(a=[0, 1, 1, 0], b=[0, 1, 1, 1])
    with open_store("sqlite://") as store:
        alerting.evaluate(store, "loans", [rule], table, at=START + 5 * WEEK)
        first, _ = alerting.alerts(store, "loans", at=START + 5 * WEEK)
        alerting.acknowledge(store, "loans", first.id, by="ana", at=START + 6 * WEEK)
        lives = telling.lives(store, "loans")
    assert lives["what"].tolist() == ["a", "b"] and lives["n_windows"].tolist() == [2, 3]
    assert lives["resolved"].notna().tolist() == [True, False]
    assert lives["acknowledged"].notna().sum() == 1 and lives["escalated"].isna().all()
    ax = telling_plots.plot_lives(lives, names=["a", "b"], title="two")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]
    plt.close(ax.figure)
