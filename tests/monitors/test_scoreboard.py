"""The scoreboard: what a rule noticed, how late, how often for nothing, and what that costs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.monitors.intervals import wilson
from utils.monitors.scoreboard import (
    ALWAYS,
    NEVER,
    Prices,
    alarms_by_window,
    matched,
    quiet_windows,
    scoreboard,
)
from utils.records import measurements

START = pd.Timestamp("2024-01-01", tz="UTC")
PRICES = Prices(false_alarm=1.0, harmful_window=10.0)


def weeks(at):
    return START + pd.Timedelta(7 * at, "D")


def alarms(*marks):
    starts = [weeks(at) for at in range(len(marks))]
    ends = [each + pd.Timedelta("7D") for each in starts]
    return pd.DataFrame(
        {"window_start": starts, "window_end": ends, "alarm": list(map(bool, marks))}
    )


def ledger(*incidents):
    """Each incident as (first week, week after the last, harmful)."""
    return pd.DataFrame(
        {
            "incident": range(1, len(incidents) + 1),
            "kind": ["stuck_sensor" if harmful else "new_category" for *_, harmful in incidents],
            "columns": "wait_min",
            "strength": 1.0,
            "start": [weeks(first) for first, *_ in incidents],
            "end": [weeks(after) for _, after, _ in incidents],
            "harmful": [harmful for *_, harmful in incidents],
        }
    )


def test_an_incident_is_noticed_in_the_first_window_that_alarms_while_it_lasts():
    (row,) = matched(ledger((2, 5, True)), alarms(0, 1, 0, 1, 1, 0)).to_dict("records")
    assert row["noticed"] and row["delay_windows"] == 1 and row["unnoticed_windows"] == 1
    assert row["noticed_at"] == weeks(4)
    assert row["n_windows"] == 3


def test_an_alarm_before_or_after_does_not_notice_it_unless_it_lingers():
    incident, said = ledger((2, 4, True)), alarms(0, 1, 0, 0, 1, 0)
    (missed,) = matched(incident, said).to_dict("records")
    assert not missed["noticed"] and missed["unnoticed_windows"] == 2
    assert np.isnan(missed["delay_windows"]) and missed["noticed_at"] is pd.NaT
    (late,) = matched(incident, said, lingers="7D").to_dict("records")
    assert late["noticed"] and late["delay_windows"] == 2 and late["unnoticed_windows"] == 2


def test_windows_are_half_open_so_an_incident_touches_neither_neighbour():
    quiet = quiet_windows(ledger((2, 4, True)), alarms(0, 0, 0, 0, 0))
    assert quiet.tolist() == [True, True, False, False, True]
    partly = ledger((2, 4, True)).assign(end=weeks(4) + pd.Timedelta("1s"))
    assert quiet_windows(partly, alarms(0, 0, 0, 0, 0)).tolist()[-1] is False


def test_each_number_is_what_counting_by_hand_gives():
    known = ledger((2, 4, True), (6, 8, True), (9, 10, False))
    said = alarms(1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0)
    ours, never, always = scoreboard(known, {"ours": said}, prices=PRICES).to_dict("records")
    assert (ours["rule"], never["rule"], always["rule"]) == ("ours", NEVER, ALWAYS)
    assert ours["detected"] == 0.5 and ours["n_harmful"] == 2
    assert (ours["detected_low"], ours["detected_high"]) == pytest.approx(
        tuple(map(float, wilson(1, 2)))
    )
    assert ours["delay_windows"] == 1 and ours["harmless_alarmed"] == 1
    assert ours["n_quiet"] == 7 and ours["false_alarms_per_100"] == pytest.approx(100 * 2 / 7)
    low, high = wilson(2, 7)
    assert ours["false_alarms_per_100_low"] == pytest.approx(100 * low)
    assert ours["false_alarms_per_100_high"] == pytest.approx(100 * high)
    assert ours["cost"] == 10 * (1 + 2) + 1 * (2 + 1)
    assert never["cost"] == 10 * 4 and never["detected"] == 0
    assert always["cost"] == 7 + 1 and always["delay_windows"] == 0
    assert ours["cost_low"] <= ours["cost"] <= ours["cost_high"]


def test_many_incidents_narrow_the_interval_of_the_cost_for_each():
    few = ledger((1, 2, True), (3, 4, True), (5, 6, True))
    many = ledger(*((2 * at + 1, 2 * at + 2, True) for at in range(60)))
    widths = []
    for known, n in ((few, 8), (many, 122)):
        said = alarms(*([0, 1, 0, 0] * n)[:n])
        scored = scoreboard(known, {"ours": said}, prices=PRICES).iloc[0]
        widths.append((scored["cost_high"] - scored["cost_low"]) / scored["cost"])
    assert widths[1] < widths[0] / 2


def test_a_window_of_measurements_alarms_when_any_of_its_lines_does():
    table = measurements(
        {
            "monitor": "drift",
            "metric": metric,
            "window_start": weeks(at),
            "window_end": weeks(at + 1),
            "value": 1.0,
            "alarm": alarm,
        }
        for at, metric, alarm in [(1, "a", False), (0, "a", False), (0, "b", True), (1, "b", False)]
    )
    assert alarms_by_window(table)["alarm"].tolist() == [True, False]


def test_the_same_seed_gives_the_same_score():
    known, said = ledger((1, 2, True), (4, 5, True)), alarms(0, 1, 0, 1, 0, 0)
    first, second = (
        scoreboard(known, {"a": said}, prices=PRICES, rng=np.random.default_rng(3))
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)


def test_kinds_are_scored_apart_and_windows_of_the_others_are_not_quiet():
    known = ledger((1, 2, True), (3, 4, False))
    scored = scoreboard(known, {"a": alarms(0, 1, 0, 1, 0)}, prices=PRICES, kinds=["stuck_sensor"])
    assert scored["n_harmless"].eq(0).all() and scored["harmless_alarmed"].isna().all()
    assert scored["n_quiet"].eq(3).all()


@pytest.mark.parametrize(
    ("known", "rules", "rule"),
    [
        (ledger((20, 21, True)), {"a": alarms(0, 1)}, "incident 1 .* lies in no window"),
        (ledger((0, 1, True)), {"a": alarms(0, 1), "b": alarms(0, 1, 0)}, "'b' and 'a' are of"),
        (ledger((0, 1, True)), {NEVER: alarms(0, 1)}, "'never alarm' is always there"),
        (ledger((0, 2, True)), {"a": alarms(0, 1)}, "touches every window"),
        (
            ledger((0, 1, True)).drop(columns="harmful"),
            {"a": alarms(0, 1)},
            "ledger='harmful' is no",
        ),
        (ledger((0, 1, True)), {"a": alarms(0, 1).drop(columns="alarm")}, "measurements='alarm'"),
        (ledger((0, 1, True)), {}, "rules: none"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(known, rules, rule):
    with pytest.raises(ValueError, match=rule):
        scoreboard(known, rules, prices=PRICES)


def test_a_price_is_not_negative():
    with pytest.raises(ValueError, match="false_alarm=-1: a price of 0 or more"):
        Prices(false_alarm=-1, harmful_window=1)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.booleans(), min_size=12, max_size=12))
def test_no_rule_notices_more_than_always_nor_cries_less_than_never(marks):
    known = ledger((2, 4, True), (6, 9, True), (10, 11, False))
    ours, never, always = scoreboard(known, {"a": alarms(*marks)}, prices=PRICES).to_dict("records")
    assert never["detected"] <= ours["detected"] <= always["detected"] == 1
    assert never["false_alarms_per_100"] <= ours["false_alarms_per_100"] <= 100
    more = alarms(*[True] * 12)
    assert scoreboard(known, {"a": more}, prices=PRICES)["cost"].iloc[0] == always["cost"]
