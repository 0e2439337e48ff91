"""Windows of time: half-open, tiling the period, the same for every frame."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.monitors import windows

YEARS = st.integers(-(10**15), 2 * 10**15)  # microseconds: 1938 to 2033
LENGTHS = st.integers(1, 400).map(lambda hours: pd.Timedelta(hours, "h"))


def us(text):
    return windows.whole_microseconds(windows.moment(text, argument="t"))


def days(edges):
    return pd.to_datetime(edges, unit="us").strftime("%Y-%m-%d %H:%M").tolist()


@given(st.lists(YEARS, min_size=1, max_size=20), LENGTHS)
def test_every_time_lies_in_exactly_one_window(times, length):
    span = max(times) - min(times)
    length = max(length, pd.Timedelta(span // 1000, "us"))
    edges = windows.cut(np.array(times), window=length)
    holding = [(edges[:-1] <= time) & (time < edges[1:]) for time in times]
    assert (np.sum(holding, axis=1) == 1).all()


@given(st.lists(YEARS, min_size=1, max_size=5), st.lists(YEARS, min_size=1, max_size=5))
def test_two_frames_have_the_same_windows_where_they_overlap(one, other):
    step = pd.Timedelta("400D")
    edges = set(windows.cut(np.array(one), window=step).tolist())
    others = set(windows.cut(np.array(other), window=step).tolist())
    both = set(windows.cut(np.array(one + other), window=step).tolist())
    assert edges | others <= both


def test_windows_are_half_open_at_both_edges():
    monday, next_monday = us("2013-07-01T00Z"), us("2013-07-08T00Z")
    assert days(windows.cut(np.array([monday]), window="7D")) == [
        "2013-07-01 00:00",
        "2013-07-08 00:00",
    ]
    assert days(windows.cut(np.array([next_monday - 1]), window="7D"))[0] == "2013-07-01 00:00"
    assert days(windows.cut(np.array([next_monday]), window="7D"))[0] == "2013-07-08 00:00"


def test_windows_between_two_rows_are_there_though_empty():
    edges = windows.cut(np.array([us("2013-07-01T00Z"), us("2013-07-29T00Z")]), window="7D")
    assert len(edges) - 1 == 5


def test_a_start_is_the_first_edge_and_an_end_cuts_the_last_window_short():
    edges = windows.cut(
        np.array([us("2013-07-05T00Z")]),
        window="7D",
        start="2013-07-02T12:00Z",
        end="2013-07-12T00:00Z",
    )
    assert days(edges) == ["2013-07-02 12:00", "2013-07-09 12:00", "2013-07-12 00:00"]


def test_bounds_alone_make_windows_and_nothing_makes_none():
    none = np.array([], dtype=np.int64)
    assert len(windows.cut(none, window="1D", start="2013-07-01T00Z", end="2013-07-04T00Z")) == 4
    assert len(windows.cut(none, window="1D")) == 0
    assert len(windows.cut(none, window="1D", start="2013-07-01T00Z")) == 0


def test_no_window_is_one_window_over_the_period():
    times = np.array([us("2013-07-05T00Z"), us("2013-07-09T00Z")])
    assert windows.cut(times, window=None).tolist() == [times[0], times[1] + 1]
    bounded = windows.cut(times, window=None, start="2013-07-01T00Z", end="2013-08-01T00Z")
    assert days(bounded) == ["2013-07-01 00:00", "2013-08-01 00:00"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: windows.length("1M", argument="window"), r"window='1M': a positive, fixed length"),
        (lambda: windows.length("0D", argument="window"), r"window='0D': a positive"),
        (lambda: windows.length("-1D", argument="block"), r"block='-1D': a positive"),
        (lambda: windows.length(None, argument="window"), r"window=None: a positive"),
        (lambda: windows.moment("2013-07-01", argument="start"), r"start='2013-07-01': .* zone"),
        (lambda: windows.moment("someday", argument="end"), r"end='someday' is no time"),
        (
            lambda: windows.cut(
                np.array([0]), window="1D", start="2013-07-02T00Z", end="2013-07-02T00Z"
            ),
            r"end=2013-07-02 .* must be after start=2013-07-02",
        ),
    ],
)
def test_a_refusal_names_the_argument_the_value_and_the_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_times_in_any_zone_and_unit_are_the_same_microseconds():
    utc = pd.Series(pd.to_datetime(["2013-07-01T04:00Z"]))
    local = utc.dt.tz_convert("America/New_York").dt.as_unit("ns")
    expected = [us("2013-07-01T04:00Z")]
    assert windows.microseconds(utc, argument="t").tolist() == expected
    assert windows.microseconds(local, argument="t").tolist() == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.to_datetime(["2013-07-01"]), "holds times without a zone"),
        (["2013-07-01"], "holds str, not times"),
        ([1372636800], "holds int64, not times"),
    ],
)
def test_a_column_that_holds_no_aware_times_is_refused(values, message):
    with pytest.raises(ValueError, match=f"time_column='event_time' {message}"):
        windows.times(pd.DataFrame({"event_time": values}), "event_time", argument="time_column")
