"""The book of alerts: once each, whatever is evaluated again, by whom, and after which crash."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from tests.operations.conftest import NOON, weeks
from utils.operations.alerting import (
    UnknownAlert,
    acknowledge,
    alerts,
    escalate,
    evaluate,
    resolve,
    silence,
    stream_of,
)
from utils.records import AlertRule
from utils.store import open_store
from utils.text import using

RULE = AlertRule(
    name="error-rose",
    metric="mae",
    high=15.0,
    severity="critical",
    action="retrain",
    owner="flights-team",
    runbook="performance.md",
)
HOUR = timedelta(hours=1)


def book(store, at=NOON):
    return alerts(store, "flights", at=at)


def run(store, table, rules=(RULE,), at=NOON, **settings):
    return evaluate(store, "flights", rules, table, at=at, **settings)


def test_an_alert_carries_what_its_rule_says_and_what_was_seen(store):
    (new,) = run(store, weeks(12, 16, 18))
    (alert,) = book(store)
    assert alert == new
    assert (alert.rule, alert.state, alert.severity) == ("error-rose", "firing", "critical")
    assert (alert.action, alert.owner, alert.runbook) == (
        "retrain",
        "flights-team",
        "performance.md",
    )
    assert alert.since == pd.Timestamp("2024-01-08", tz="UTC")
    assert alert.last_seen == pd.Timestamp("2024-01-22", tz="UTC")
    assert (alert.value, alert.high, alert.n_windows) == (16.0, 15.0, 2)
    with using("en"):
        assert "16, beyond the bound 15" in alert.evidence and "2 windows" in alert.evidence
    with using("pt"):
        assert "além do limite 15" in alert.evidence


def test_windows_that_follow_are_the_same_alert_and_nobody_is_told_again(store):
    assert len(run(store, weeks(12, 16))) == 1
    assert run(store, weeks(12, 16, 17)) == []
    assert run(store, weeks(12, 16, 17)) == []
    (alert,) = book(store)
    assert alert.n_windows == 2


def test_it_is_resolved_when_quiet_and_fires_anew_as_another(store):
    run(store, weeks(16, 12, 17))
    states = {each.since.day: each.state for each in book(store)}
    assert states == {15: "firing", 1: "resolved"}


def test_so_many_quiet_windows_are_needed_and_unknown_ones_do_not_count(store):
    run(store, weeks(16, 12, np.nan, 17, 12, 12), clear_after=2)
    (alert,) = book(store)
    assert alert.state == "resolved" and alert.n_windows == 2
    with pytest.raises(ValueError, match="clear_after=0: must be at least 1"):
        run(store, weeks(16), clear_after=0)


def test_evaluating_the_windows_one_by_one_or_all_at_once_writes_the_same_book(store):
    table = weeks(12, 16, 17, 12, 18, np.nan, 19)
    with open_store("sqlite://") as other:
        from utils.store.example import DEPLOYMENT, SCHEMA

        other.add_deployment(DEPLOYMENT, SCHEMA)
        run(other, table)
        for n in range(1, 8):
            run(store, table[:n])
        keys = [{e.key for e in s.events(stream_of("flights"))} for s in (store, other)]
        assert keys[0] == keys[1]
        assert book(store) == book(other)


def test_each_line_has_its_own_alert_and_causes_stand_first(store):
    table = pd.concat(
        [
            weeks(16, group="JFK"),
            weeks(0.4, metric="null_value_rate", monitor="quality", feature="hour"),
            weeks(0.4, metric="jensen_shannon", monitor="drift", feature="hour"),
        ]
    )
    rules = [
        RULE,
        AlertRule(name="nulls", metric="null_value_rate", high=0.1, severity="critical"),
        AlertRule(name="drift", metric="jensen_shannon", high=0.3, severity="critical"),
    ]
    assert len(run(store, table, rules)) == 3
    assert [each.rule for each in book(store)] == ["nulls", "drift", "error-rose"]


def test_people_acknowledge_resolve_and_say_why(store):
    (alert,) = run(store, weeks(16))
    assert acknowledge(store, "flights", alert.id, by="ana", at=NOON)
    assert not acknowledge(store, "flights", alert.id, by="bia", at=NOON)
    (seen,) = book(store)
    assert (seen.state, seen.acknowledged_by, seen.is_open) == ("acknowledged", "ana", True)
    assert resolve(store, "flights", alert.id, by="ana", reason="a snowstorm", at=NOON)
    (seen,) = book(store)
    assert (seen.state, seen.reason) == ("resolved", "a snowstorm")
    assert run(store, weeks(16, 17)) == []
    assert not acknowledge(store, "flights", alert.id, by="ana", at=NOON)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s, a: acknowledge(s, "flights", "fired/none", by="ana", at=NOON), "no such alert"),
        (lambda s, a: acknowledge(s, "flights", a, by=" ", at=NOON), "by=' ': must not be empty"),
        (
            lambda s, a: resolve(s, "flights", a, by="ana", reason="", at=NOON),
            "reason='': must not be empty",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(store, call, said):
    (alert,) = run(store, weeks(16))
    with pytest.raises((UnknownAlert, ValueError), match=said):
        call(store, alert.id)


def test_a_silence_has_a_matcher_a_beginning_an_end_and_a_reason(store):
    run(store, pd.concat([weeks(16, group="JFK"), weeks(16, group="EWR")]))
    about = {"start": NOON, "end": NOON + HOUR, "by": "ana", "reason": "works", "at": NOON}
    assert silence(store, "flights", {"group": "J*"}, **about)
    assert not silence(store, "flights", {"group": "J*"}, **about)
    quiet = {each.line[3]: each.silenced for each in book(store)}
    assert quiet == {"JFK": True, "EWR": False}
    assert not any(each.silenced for each in book(store, at=NOON + HOUR))
    for wrong, said in (
        ({"grp": "J*"}, "matcher: 'grp' is none of"),
        ({}, "matcher: is empty"),
    ):
        with pytest.raises(ValueError, match=said):
            silence(store, "flights", wrong, **about)
    with pytest.raises(ValueError, match="must be after start"):
        silence(store, "flights", {"group": "*"}, **about | {"end": NOON})


def test_what_nobody_answers_is_escalated_so_often_and_no_more(store):
    (alert,) = run(store, weeks(16))

    def loud(hours):
        return [e.escalated for e in escalate(store, "flights", after=HOUR, at=NOON + hours * HOUR)]

    assert loud(0.5) == [] and loud(1) == [1] and loud(1.5) == []
    # The clock jumped: once now, and the next only after as long again.
    assert loud(100) == [2] and loud(100) == [] and loud(101) == [3] and loud(200) == []
    acknowledge(store, "flights", alert.id, by="ana", at=NOON)
    assert loud(300) == []


def test_an_alert_written_by_a_clock_far_ahead_is_escalated_all_the_same(store):
    run(store, weeks(16), at=NOON + 400 * 24 * HOUR)
    assert len(escalate(store, "flights", after=HOUR, at=NOON)) == 1
    assert escalate(store, "flights", after=HOUR, at=NOON + HOUR / 2) == []


def test_values_that_are_revised_keep_one_alert_and_leave_none_open(store):
    (alert,) = run(store, weeks(12, 12, 16))
    assert run(store, weeks(12, 17, 16)) == []
    (seen,) = book(store)
    assert (seen.id, seen.n_windows, seen.since.day) == (alert.id, 2, 8)
    run(store, weeks(12, 17, 16, 12))
    assert [each.state for each in book(store)] == ["resolved"]


def test_an_alert_whose_window_turns_out_quiet_is_resolved(store):
    run(store, weeks(12, 16))
    run(store, weeks(12, 12))
    assert [each.state for each in book(store)] == ["resolved"]


def test_a_quiet_window_that_turns_out_bad_does_not_hide_what_lasts(store):
    run(store, weeks(16, 12))
    assert len(run(store, weeks(16, 17, 18))) == 1
    assert [each.state for each in book(store)] == ["firing", "resolved"]


def test_a_window_in_the_middle_that_turns_out_quiet_ends_one_alert_and_the_rest_is_another(store):
    run(store, weeks(16, 16, 16, 16))
    assert len(run(store, weeks(16, 12, 16, 16))) == 1
    assert [each.state for each in book(store)] == ["firing", "resolved"]


def test_the_last_windows_alone_go_on_with_the_alert_of_the_whole_table(store):
    table = weeks(16, 17, 18, 12)
    run(store, table[:2])
    assert run(store, table[2:3]) == [] and run(store, table[3:]) == []
    (alert,) = book(store)
    assert (alert.state, alert.n_windows) == ("resolved", 3)


@pytest.mark.parametrize("seed", [18, 55, 93, 95, 1028, 1075, *range(6)])
def test_however_values_are_revised_what_is_outside_has_one_alert_and_what_is_quiet_none(seed):
    from utils.store.example import DEPLOYMENT, SCHEMA

    rng = np.random.default_rng(seed)
    rule = AlertRule(name="r", metric="mae", high=15, persistence=int(rng.integers(1, 3)))
    clear_after = int(rng.integers(1, 3))
    values = rng.choice([12.0, 16.0, np.nan], 8, p=[0.45, 0.45, 0.1])
    with open_store("sqlite://") as own:
        own.add_deployment(DEPLOYMENT, SCHEMA)
        for n in range(1, 9):
            values[rng.integers(n)] = rng.choice([12.0, 16.0])
            run(own, weeks(*values[:n]), [rule], clear_after=clear_after)
        with open_store("sqlite://") as fresh:
            fresh.add_deployment(DEPLOYMENT, SCHEMA)
            run(fresh, weeks(*values), [rule], clear_after=clear_after)
            is_open = [sum(each.is_open for each in book(one)) for one in (own, fresh)]
    # One that was told lasts until it is quiet, also where a first look would not begin it.
    assert is_open[1] <= is_open[0] <= 1
    known = values[~np.isnan(values)]
    if len(known) >= clear_after and (known[-clear_after:] < 15).all():
        assert is_open[0] == 0


def test_a_store_that_is_locked_says_so_and_the_next_evaluation_writes_what_is_missing(
    tmp_path, monkeypatch
):
    import sqlite3

    from utils.store import StoreUnavailable, engines
    from utils.store.example import DEPLOYMENT, SCHEMA

    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.1)
    with open_store(f"sqlite:///{tmp_path}/store.db") as own:
        own.add_deployment(DEPLOYMENT, SCHEMA)
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another program held it"):
            run(own, weeks(16))
        other.execute("ROLLBACK")
        other.close()
        assert len(run(own, weeks(16))) == 1


def test_a_clock_that_is_set_back_escalates_nothing_twice(store):
    run(store, weeks(16))
    assert len(escalate(store, "flights", after=HOUR, at=NOON + HOUR)) == 1
    assert escalate(store, "flights", after=HOUR, at=NOON - 5 * HOUR) == []
    assert escalate(store, "flights", after=HOUR, at=NOON + HOUR) == []


def test_two_who_evaluate_at_once_write_one_book(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from utils.store.example import DEPLOYMENT, SCHEMA

    url = f"sqlite:///{tmp_path}/store.db"
    with open_store(url) as first:
        first.add_deployment(DEPLOYMENT, SCHEMA)
    table = weeks(16, 17, 12, 18)

    def one(_):
        with open_store(url) as own:
            return len(run(own, table))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(one, range(4))) == 2
    with open_store(url) as again:
        assert [each.n_windows for each in book(again)] == [1, 2]
