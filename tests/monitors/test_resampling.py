"""Windows made of a quiet period's own blocks."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.monitors.performance import performance
from utils.monitors.resampling import resampled_windows

START = pd.Timestamp("2013-01-01T05:00Z")


def quarter(*, n_days=30, per_day=20, rng):
    """Return rows of which each day's share an error of their own."""
    days = np.arange(n_days).repeat(per_day)
    minutes = np.sort(rng.integers(0, 24 * 60, n_days * per_day).reshape(n_days, -1)).ravel()
    return pd.DataFrame(
        {
            "event_time": START + pd.to_timedelta(days * 1440 + minutes, unit="min"),
            "prediction": rng.normal(0, 3, n_days)[days] + rng.normal(0, 1, len(days)),
            "label": 0.0,
            "day": days,
        }
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), n_windows=st.integers(1, 5))
def test_each_window_holds_different_whole_days_each_in_its_place(seed, n_windows):
    rng = np.random.default_rng(seed)
    frame = quarter(rng=rng)
    drawn = resampled_windows(frame, n_windows=n_windows, start=START, rng=rng)
    place = (drawn["event_time"] - START) // pd.Timedelta("1D")
    assert sorted(place.unique()) == list(range(7 * n_windows))
    assert drawn.groupby(place)["day"].nunique().eq(1).all()
    assert drawn.groupby(place // 7)["day"].nunique().eq(7).all()
    within = drawn["event_time"] - START - place * pd.Timedelta("1D")
    for _, rows in drawn.assign(within=within).groupby(place):
        source = frame[frame["day"] == rows["day"].iloc[0]]
        times = source["event_time"] - START - source["day"] * pd.Timedelta("1D")
        assert rows["within"].tolist() == times.tolist()
        assert rows["prediction"].tolist() == source["prediction"].tolist()


def test_it_counts_how_often_an_interval_holds_the_truth():
    rng = np.random.default_rng(7)
    frame = quarter(n_days=90, rng=rng)
    truth = frame["prediction"].mean()
    drawn = resampled_windows(frame, n_windows=200, start=START, rng=rng)
    held = {}
    for block in (None, "1D"):
        table = performance(
            drawn, task="regression", metrics=["bias"], start=START, block=block, draws=100, rng=rng
        )
        weeks = table[table["metric"] == "bias"]
        held[block] = weeks["low"].le(truth).mul(weeks["high"].ge(truth)).mean()
    assert held["1D"] > 0.9
    assert held[None] < 0.6


def test_the_frame_stays_as_it_was_and_the_same_seed_draws_the_same():
    frame = quarter(rng=np.random.default_rng(0))
    before = frame.copy()
    one, other = (
        resampled_windows(frame, n_windows=2, start=START, rng=np.random.default_rng(3))
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"block": "2D"}, "window='7D' is no whole number of block='2D'"),
        ({"n_windows": 0}, "n_windows=0: at least 1 is needed"),
        ({"window": "60D"}, "frame has 30 blocks of '1D'; window='60D' needs 60"),
        ({"time_column": "event_tine"}, "did you mean 'event_time'"),
        ({"start": "2013-01-01"}, "a time with its zone is needed"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changed, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        resampled_windows(
            quarter(rng=rng), **{"n_windows": 1, "start": START, "rng": rng} | changed
        )
