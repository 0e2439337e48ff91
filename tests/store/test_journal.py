"""Events that happen once, leases that one holds, and measurements that are kept once."""

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from utils.records import UnknownDeployment, measurements
from utils.store import open_store

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def table(*values, metric="mae", known_as_of="2024-03-05T00:00Z", **more):
    weeks = pd.date_range("2024-01-01", periods=len(values), freq="7D", tz="UTC")
    return measurements(
        {
            "monitor": "performance",
            "metric": metric,
            "window_start": week,
            "window_end": week + pd.Timedelta("7D"),
            "value": value,
            "known_as_of": known_as_of,
            **more,
        }
        for week, value in zip(weeks, values, strict=True)
    )


# ------------------------------------------------------------------------------- events


def test_an_event_is_written_once_whatever_is_said_of_it_again(store):
    assert store.record("alert/x", "fired", kind="fired", at=NOON, body={"value": 1.5})
    again = NOON + timedelta(hours=1)
    assert not store.record("alert/x", "fired", kind="other", at=again, body={"value": 9})
    (event,) = store.events("alert/x")
    assert (event.kind, event.at, event.body) == ("fired", NOON, {"value": 1.5})


def test_events_come_in_the_order_of_writing_from_where_one_left_off(store):
    for key in "cab":
        store.record("run/1", key, kind="step", at=NOON, body={})
    store.record("run/2", "c", kind="step", at=NOON, body={})
    first = store.events("run/1", limit=1)[0]
    assert [each.key for each in store.events("run/1")] == ["c", "a", "b"]
    assert [each.key for each in store.events("run/1", after=first.id)] == ["a", "b"]
    assert store.events("run/3") == []


def test_streams_are_listed_by_their_beginning_taken_literally(store):
    for stream in ("run/b", "run/a", "run%", "alert/a"):
        store.record(stream, "k", kind="k", at=NOON, body={})
    assert store.streams("run/") == ["run/a", "run/b"]
    assert store.streams("run%") == ["run%"]
    assert len(store.streams()) == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"body": {"value": float("inf")}}, "body: .* is not JSON"),
        ({"body": {"value": object()}}, "body: .* is not JSON"),
        ({"at": datetime(2024, 1, 1)}, "at: .* has no time zone"),
        ({"kind": None}, "kind: is missing"),
    ],
)
def test_an_event_that_cannot_be_kept_is_refused_by_name(store, wrong, said):
    about = {"kind": "k", "at": NOON, "body": {}} | wrong
    with pytest.raises(ValueError, match=said):
        store.record("s", "k", **about)
    assert store.events("s") == []


def test_of_many_who_write_one_event_at_once_one_is_told_that_it_is_new(store, store_url):
    new = []

    def write(number):
        with open_store(store_url) as own:
            new.append(own.record("alert/x", "fired", kind="k", at=NOON, body={"by": number}))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == 1 and len(new) == 8 and len(store.events("alert/x")) == 1


def test_events_are_there_after_the_store_was_closed(store, store_url):
    store.record("run/1", "k", kind="k", at=NOON, body={"a": [1, None]})
    with open_store(store_url) as again:
        assert again.events("run/1")[0].body == {"a": [1, None]}


# ------------------------------------------------------------------------------- leases


def test_a_lease_is_one_holders_until_it_runs_out_or_is_given_back(store):
    def take(holder, at, seconds=60):
        return store.take_lease("loop", holder=holder, now=at, seconds=seconds)

    assert take("a", NOON) and not take("b", NOON + timedelta(seconds=59))
    assert take("a", NOON + timedelta(seconds=59))
    assert not take("b", NOON + timedelta(seconds=61))
    assert take("b", NOON + timedelta(seconds=119))
    store.release_lease("loop", holder="a")
    assert not take("a", NOON + timedelta(seconds=120))
    store.release_lease("loop", holder="b")
    assert take("a", NOON + timedelta(seconds=120))
    assert store.take_lease("other", holder="b", now=NOON, seconds=1)


def test_a_lease_of_no_length_is_refused(store):
    with pytest.raises(ValueError, match="seconds=0: must be above 0"):
        store.take_lease("loop", holder="a", now=NOON, seconds=0)


# ------------------------------------------------------------------------------- measurements


def test_measurements_come_back_as_they_were_missing_values_and_all(store):
    sent = table(1.0, np.nan, 3.0, low=0.5, threshold_high=2.5, alarm=True, n_current=12)
    assert store.write_measurements("flights", sent) == 3
    pd.testing.assert_frame_equal(store.measurements("flights"), sent)


def test_the_same_line_of_the_same_moment_is_replaced_and_of_a_later_one_stands_beside(store):
    name = "flights"
    store.write_measurements(name, table(1.0, 2.0))
    store.write_measurements(name, table(5.0))
    assert store.measurements(name)["value"].tolist() == [5.0, 2.0]
    store.write_measurements(name, table(7.0, known_as_of="2024-03-09T00:00Z"))
    assert store.measurements(name)["value"].tolist() == [7.0, 2.0]
    assert sorted(store.measurements(name, latest=False)["value"]) == [2.0, 5.0, 7.0]


def test_a_measurement_without_a_moment_is_replaced_by_its_like(store):
    name = "flights"
    for value in (1.0, 2.0):
        store.write_measurements(name, table(value, known_as_of=None))
    found = store.measurements(name, latest=False)
    assert found["value"].tolist() == [2.0] and found["known_as_of"].isna().all()


def test_measurements_are_found_by_metric_monitor_and_the_start_of_their_window(store):
    name = "flights"
    store.write_measurements(name, table(1.0, 2.0, 3.0))
    store.write_measurements(name, table(9.0, metric="rmse", monitor="other"))
    assert store.measurements(name, metric="rmse")["value"].tolist() == [9.0]
    assert store.measurements(name, monitor="other")["value"].tolist() == [9.0]
    start, end = (datetime(2024, 1, day, tzinfo=UTC) for day in (8, 15))
    assert store.measurements(name, start=start, end=end)["value"].tolist() == [2.0]


def test_two_rows_of_one_line_and_an_unknown_deployment_are_refused(store):
    twice = pd.concat([table(1.0), table(2.0)])
    with pytest.raises(ValueError, match="table: has several rows for monitor='performance'"):
        store.write_measurements("flights", twice)
    with pytest.raises(UnknownDeployment):
        store.write_measurements("nobody", table(1.0))
    assert store.write_measurements("flights", table()) == 0
    assert len(store.measurements("flights")) == 0
