"""Intervals: against scipy where it has them, by hand where it has not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from utils.monitors.intervals import (
    bootstrap_t,
    difference,
    resampled_weights,
    share_by,
    wilson,
)


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_is_what_scipy_computes(successes, failures, level):
    trials = successes + failures
    low, high = wilson(successes, trials, level=level)
    if trials == 0:
        assert np.isnan(low) and np.isnan(high)
        return
    oracle = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert low == pytest.approx(oracle.low, abs=1e-12)
    assert high == pytest.approx(oracle.high, abs=1e-12)


def test_wilson_reaches_the_bounds_exactly_where_all_trials_agree():
    low, high = wilson([0, 20], [20, 20])
    assert (low[0], high[1]) == (0.0, 1.0)
    assert 0 < high[0] < 0.2 and 0.8 < low[1] < 1


@pytest.mark.parametrize("level", [0, 1, -0.1, 95])
def test_a_level_outside_0_and_1_is_refused(level):
    with pytest.raises(ValueError, match=f"level={level}: a number between 0 and 1"):
        wilson(1, 2, level=level)


def test_resampled_weights_draw_as_many_units_as_there_are_in_chunks_of_any_size():
    chunks = list(resampled_weights(50, draws=7, n_rows=400_000, rng=np.random.default_rng(1)))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 1]
    assert (np.concatenate(chunks).sum(axis=1) == 50).all()


def test_the_bootstrap_of_a_mean_is_students_interval():
    rng = np.random.default_rng(3)
    sample = rng.normal(10, 2, 12)
    weights = np.concatenate(list(resampled_weights(12, draws=20_000, n_rows=12, rng=rng)))
    low, high = bootstrap_t(
        sample.mean(), weights @ sample / 12, n_units=12, scale="linear", level=0.9
    )
    oracle = stats.ttest_1samp(sample, 0).confidence_interval(0.9)
    assert (low, high) == pytest.approx((oracle.low, oracle.high), rel=0.005)


@pytest.mark.parametrize(
    ("scale", "value", "lowest", "highest"),
    [
        ("log", 0.3, 0, np.inf),
        ("logit", 0.97, 0, 1),
        ("log of the rest", 0.97, -np.inf, 1),
        ("linear", 0.1, -np.inf, np.inf),
    ],
)
def test_an_interval_stays_where_its_metric_can_be(scale, value, lowest, highest):
    draws = np.array([value - 0.5, value, value + 0.5])
    low, high = bootstrap_t(value, draws, n_units=3, scale=scale)
    assert lowest <= low < value < high <= highest


@pytest.mark.parametrize(
    ("value", "draws", "n_units", "scale"),
    [
        (1.0, [0.5, 1.5], 1, "linear"),  # one unit
        (1.0, [1.0, 1.0], 9, "linear"),  # no variation
        (np.nan, [0.5, 1.5], 9, "linear"),
        (1.0, [np.nan, np.nan], 9, "linear"),
        (1.0, [], 9, "linear"),
        (1.0, [0.9, 1.0], 9, "logit"),  # at the bound of the scale
        (0.0, [0.0, 0.1], 9, "log"),
    ],
)
def test_where_nothing_can_be_said_there_is_no_interval(value, draws, n_units, scale):
    found = bootstrap_t(value, np.array(draws, dtype=float), n_units=n_units, scale=scale)
    assert np.isnan(found).all()


def test_the_difference_of_two_proportions_has_newcombes_interval():
    low, high = wilson([56, 48], [70, 80])
    change, below, above = difference(
        56 / 70, low[0], high[0], reference=48 / 80, reference_low=low[1], reference_high=high[1]
    )
    # R. G. Newcombe (1998), Statistics in Medicine 17, table II, method 10, contrast (a)
    assert (change, below, above) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_the_share_of_each_group_is_that_of_its_rows_with_its_interval():
    groups = pd.Series(["b", "a", "b", "a", "b", "c", None], name="region")
    for dtype in ("float64", "Int64", "boolean", "object"):
        values = pd.Series([1, 0, 0, None, 1, None, 1]).astype(dtype)
        table = share_by(values, groups)
        assert list(table.columns) == ["region", "value", "low", "high", "n"]
        assert table["region"].tolist() == ["a", "b", "c"]
        assert table["n"].tolist() == [1, 3, 0]
        np.testing.assert_allclose(table["value"], [0, 2 / 3, np.nan])
        low, high = wilson([0, 2, 0], [1, 3, 0])
        np.testing.assert_allclose(table[["low", "high"]], np.transpose([low, high]))
    assert share_by(values, groups, level=0.5)["low"].iloc[1] > table["low"].iloc[1]


def test_a_share_is_of_zeros_and_ones_and_of_the_same_rows():
    groups = pd.Series(["a", "b"], name="region")
    with pytest.raises(ValueError, match="values: 'income' holds others than 0 and 1"):
        share_by(pd.Series([1, 2], name="income"), groups)
    with pytest.raises(ValueError, match="groups: its rows are not those of values"):
        share_by(pd.Series([1, 0], index=[5, 6]), groups)
