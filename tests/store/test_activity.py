"""What a live page asks of the store, on both engines."""

import pandas as pd
import pytest

from tests.store.builders import row
from utils.records import UnknownDeployment


def measured(start, value=1.0, known_as_of=None):
    start = pd.Timestamp(start, tz="UTC")
    return {
        "monitor": "performance",
        "metric": "mae",
        "value": value,
        "window_start": start,
        "window_end": start + pd.Timedelta("7D"),
        "known_as_of": known_as_of,
    }


def test_an_empty_store_has_nothing_new(store):
    seen = store.activity("flights")
    assert (seen.last_id, seen.n_new, seen.latencies_ms, seen.predictions) == (0, 0, (), ())


def test_only_what_came_after_an_id_is_told_oldest_first(store):
    store.append("flights", [row("a"), row("b")])
    first = store.activity("flights")
    assert first.n_new == 2
    store.append("flights", [row("c", latency_ms=7.0), row("d", latency_ms=9.0)])
    later = store.activity("flights", after=first.last_id)
    assert (later.n_new, list(later.latencies_ms)) == (2, [7.0, 9.0])
    assert store.activity("flights", after=later.last_id).n_new == 0
    assert store.activity("flights", after=later.last_id).last_id == later.last_id


def test_of_a_burst_the_newest_are_told_and_all_are_counted(store):
    store.append("flights", [row(str(at), latency_ms=float(at)) for at in range(5)])
    seen = store.activity("flights", limit=2)
    assert (seen.n_new, list(seen.latencies_ms)) == (5, [3.0, 4.0])
    assert store.count("flights") == 5


def test_another_deployment_is_not_asked(store):
    with pytest.raises(UnknownDeployment, match="flight"):
        store.activity("flight")


def test_the_number_of_the_newest_measurement_grows_as_more_come_and_with_nothing_else(store):
    assert store.last_measurement("flights") == 0
    store.write_measurements("flights", pd.DataFrame([measured("2013-04-01")]))
    first = store.last_measurement("flights")
    store.append("flights", [row("a")])
    assert store.last_measurement("flights") == first > 0
    store.write_measurements("flights", pd.DataFrame([measured("2013-04-08")]))
    assert store.last_measurement("flights") > first


def test_the_newest_windows_are_told_once_each_in_order(store):
    days = ["2013-04-15", "2013-04-01", "2013-04-08"]
    rows = [measured(day) for day in days]
    rows.append(measured("2013-04-15", known_as_of=pd.Timestamp("2013-05-01", tz="UTC")))
    store.write_measurements("flights", pd.DataFrame(rows))
    found = store.window_starts("flights", newest=2)
    assert [f"{each:%d}" for each in found] == ["08", "15"]
