"""Calibration: the table, the line on the log-odds, and what chance adds to a distance."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve

from utils.monitors.calibration import METRICS, calibration, reliability
from utils.monitors.intervals import wilson


def frame_of(score, label, *, per_day=None):
    n = len(score)
    step = pd.Timedelta("1h") if per_day is None else pd.Timedelta("1D") / per_day
    times = pd.Timestamp("2024-01-01", tz="UTC") + step * np.arange(n)
    return pd.DataFrame({"event_time": times, "score": score, "label": label})


def drawn(n, *, slope=1.0, intercept=0.0, seed=0, per_day=None):
    """Return scores whose log-odds must be stretched and moved to come true."""
    rng = np.random.default_rng(seed)
    score = rng.beta(5, 1.2, n)
    truth = expit(intercept + slope * logit(score))
    return frame_of(score, (rng.random(n) < truth).astype(int), per_day=per_day)


def values(frame, **settings):
    return calibration(frame, **settings).set_index("metric")


def samples(*, n_samples, n, slope=1.0, block=None):
    """Return what is measured of many samples of one world: a window for each."""
    frame = drawn(n_samples * n, slope=slope, per_day=n)
    return calibration(frame, window="1D", start="2024-01-01T00:00Z", block=block)


def mean_of(table):
    return table.groupby("metric")["value"].mean()


# the table --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bins", [1, 5, 10])
def test_the_table_is_the_curve_of_scikit_learn(n_bins):
    frame = drawn(997)
    share, score = calibration_curve(
        frame["label"], frame["score"], n_bins=n_bins, strategy="quantile"
    )
    table = reliability(frame, n_bins=n_bins)
    np.testing.assert_allclose(table["share"], share)
    np.testing.assert_allclose(table["score"], score)
    assert table["n"].sum() == len(frame)


def test_equal_scores_stay_together():
    frame = frame_of([0.2] * 6 + [0.9] * 2, [0, 0, 0, 1, 0, 0, 1, 1])
    table = reliability(frame, n_bins=4)
    assert table[["score_low", "score_high", "n"]].to_numpy().tolist() == [
        [0.2, 0.2, 6],
        [0.9, 0.9, 2],
    ]


def test_shares_have_wilsons_interval_where_rows_are_independent():
    table = reliability(drawn(500), n_bins=3)
    low, high = wilson(table["share"] * table["n"], table["n"])
    np.testing.assert_allclose(table["low"], low)
    np.testing.assert_allclose(table["high"], high)


def test_days_that_are_all_good_or_all_bad_widen_the_interval():
    rng = np.random.default_rng(3)
    good_day = rng.random(40) < 0.7
    label = np.repeat(good_day, 50).astype(int)
    frame = frame_of(np.full(2000, 0.7), label, per_day=50)
    by_row, by_day = (reliability(frame, n_bins=1, block=block).iloc[0] for block in (None, "1D"))
    assert by_day["high"] - by_day["low"] > 4 * (by_row["high"] - by_row["low"])


def test_independent_days_are_never_surer_than_the_rows_allow():
    frame = drawn(3000, per_day=100)
    by_row, by_day = (reliability(frame, block=block) for block in (None, "1D"))
    assert (by_day["low"] <= by_row["low"]).all() and (by_day["high"] >= by_row["high"]).all()


def test_groups_have_bins_of_their_own():
    frame = drawn(600).assign(sex=["f", "m", None] * 200)
    table = reliability(frame, n_bins=2, group_column="sex")
    assert table["group"].unique().tolist() == ["", "(missing)", "f", "m"]
    alone = reliability(frame[frame["sex"] == "f"], n_bins=2)
    of_f = table[table["group"] == "f"].drop(columns="group").reset_index(drop=True)
    pd.testing.assert_frame_equal(of_f, alone.drop(columns="group"))


def test_rows_without_a_label_or_a_score_are_left_out():
    frame = drawn(300)
    extra = frame_of([0.5, np.nan], [None, 1.0])
    both = pd.concat([frame, extra], ignore_index=True)
    pd.testing.assert_frame_equal(reliability(both), reliability(frame))
    pd.testing.assert_frame_equal(calibration(both).iloc[:, 6:9], calibration(frame).iloc[:, 6:9])


def test_no_rows_give_an_empty_table():
    assert reliability(drawn(10).head(0)).empty
    assert calibration(drawn(10).head(0)).empty


# the line ---------------------------------------------------------------------------------------


def test_the_slope_is_the_maximum_of_the_likelihood():
    frame = drawn(800, slope=0.6, intercept=0.4)
    x, y = logit(frame["score"]).to_numpy(), frame["label"].to_numpy()

    def loss(line):
        return np.logaddexp(0, -(2 * y - 1) * (line[0] + line[1] * x)).sum()

    best = minimize(loss, [0.0, 1.0]).x
    moved = minimize(lambda a: loss([a[0], 1.0]), [0.0]).x
    table = values(frame)
    assert table.loc["calibration_slope", "value"] == pytest.approx(best[1], abs=1e-4)
    assert table.loc["calibration_intercept", "value"] == pytest.approx(moved[0], abs=1e-4)


def test_the_intercept_of_one_score_is_a_difference_of_log_odds():
    frame = frame_of([0.5] * 400, [1] * 300 + [0] * 100)
    row = values(frame).loc["calibration_intercept"]
    assert row["value"] == pytest.approx(np.log(3))
    # The sandwich of a mean, √(0.25 · 0.75 / 400), over the slope of the log-odds there.
    half = (row["high"] - row["low"]) / 2
    assert half == pytest.approx(1.966 * np.sqrt(1 / (400 * 0.1875)), rel=2e-3)
    assert np.isnan(values(frame).loc["calibration_slope", "value"])


def test_a_stretch_and_a_shift_are_found():
    table = values(drawn(40_000, slope=0.7, intercept=0.3, seed=1))
    assert table.loc["calibration_slope", "low"] < 0.7 < table.loc["calibration_slope", "high"] < 1
    promises_too_much = values(drawn(40_000, intercept=-0.5, seed=1))
    assert promises_too_much.loc["calibration_intercept", "high"] < 0


@pytest.mark.parametrize("block", [None, "1h"])
def test_the_interval_of_the_slope_holds_the_truth_as_often_as_it_says(block):
    table = samples(n_samples=120, n=800, slope=0.8, block=block)
    slopes = table[table["metric"] == "calibration_slope"]
    assert 0.88 < ((slopes["low"] < 0.8) & (0.8 < slopes["high"])).mean() < 0.995


# distances --------------------------------------------------------------------------------------


def test_distances_by_hand():
    # Two bins of a hundred: 0.3 is promised and 0.5 comes; 0.8 is promised and 0.7 comes.
    frame = frame_of([0.3] * 100 + [0.8] * 100, [1] * 50 + [0] * 50 + [1] * 70 + [0] * 30)
    table = values(frame, n_bins=2)
    assert table.loc["expected_calibration_error", "value"] == pytest.approx((0.2 + 0.1) / 2)
    chance = (0.25 + 0.21) / 99  # p(1 - p)/(n - 1), of the two bins
    square = (0.2**2 + 0.1**2 - chance) / 2
    assert table.loc["calibration_error", "value"] == pytest.approx(np.sqrt(square))
    v = np.array([0.3 * 0.7, 0.8 * 0.2]) / 100
    mean, spread = np.sqrt(2 * v / np.pi).mean(), np.sqrt((v * (1 - 2 / np.pi)).sum()) / 2
    bound = table.loc["expected_calibration_error", "threshold_high"]
    assert bound == pytest.approx(mean + 1.6449 * spread, rel=1e-4)


def test_the_usual_error_grows_as_the_sample_shrinks_and_the_other_does_not():
    few, many = (mean_of(samples(n_samples=40, n=n)) for n in (200, 4000))
    assert few["expected_calibration_error"] > 3 * many["expected_calibration_error"]
    few, many = (samples(n_samples=40, n=n, slope=0.5) for n in (500, 4000))
    squares = [mean_of(each.assign(value=each["value"] ** 2)) for each in (few, many)]
    assert squares[0]["calibration_error"] == pytest.approx(
        squares[1]["calibration_error"], rel=0.3
    )


def test_a_perfect_model_rarely_alarms_and_its_interval_begins_at_nothing():
    table = samples(n_samples=120, n=400)
    usual, other = (table[table["metric"] == name] for name in METRICS[2:])
    assert usual["alarm"].mean() < 0.13
    assert (other["low"] == 0).mean() > 0.93
    assert values(drawn(800, slope=0.4))["alarm"].any()


def test_only_the_usual_error_has_a_bound_and_no_interval():
    table = values(drawn(500))
    usual = table.loc["expected_calibration_error"]
    others = table.drop("expected_calibration_error")
    assert np.isnan(usual["low"]) and usual["threshold_high"] > 0
    assert others[["low", "high"]].notna().all().all() and others["threshold_high"].isna().all()


# windows, groups, too little ----------------------------------------------------------------------


def test_windows_and_groups_are_those_of_the_measurements():
    frame = drawn(1000, per_day=100).assign(sex=["f", "m"] * 500)
    table = calibration(frame, window="5D", start="2024-01-01T00:00Z", group_column="sex")
    assert len(table) == 2 * 3 * len(METRICS)
    assert table["n_current"].unique().tolist() == [500, 250]
    first = table[(table["group"] == "f") & (table["window_start"] == "2024-01-01")]
    alone = calibration(frame[(frame["sex"] == "f") & (frame["event_time"] < "2024-01-06")])
    np.testing.assert_allclose(first["value"], alone["value"])


def test_too_few_rows_and_one_class_alone_say_nothing_and_how_many_there_were():
    few = calibration(drawn(99))
    assert few["value"].isna().all() and (few["n_current"] == 99).all()
    assert calibration(drawn(99), minimum=99)["value"].notna().all()
    assert calibration(drawn(200).assign(label=1))["value"].isna().all()


def test_classes_that_the_score_parts_have_no_slope_and_an_intercept():
    frame = frame_of([0.2] * 100 + [0.8] * 100, [0] * 100 + [1] * 100)
    table = values(frame)
    assert np.isnan(table.loc["calibration_slope", "value"])
    assert table.loc["calibration_intercept", "value"] == pytest.approx(0, abs=1e-6)


def test_scores_of_nothing_and_of_certainty_are_kept_off_the_bounds():
    frame = drawn(500)
    frame.loc[[0, 1], "score"] = [0.0, 1.0]
    assert calibration(frame)["value"].notna().all()


def test_a_single_day_has_values_and_no_intervals():
    table = values(drawn(200, per_day=1000), block="1D")
    assert table["value"].drop("calibration_error").notna().all()
    assert table[["low", "high"]].isna().all().all()


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({"label": 2.5}, {}, "label_column='label' holds 2.5: 0 or 1 is needed"),
        ({"score": 1.5}, {}, "score_column='score' holds 1.5; a probability is in 0..1"),
        ({"score": "0.5"}, {}, "numbers are needed"),
        ({}, {"n_bins": 0}, "n_bins=0: at least 1 is needed"),
        ({}, {"level": 1.0}, "level=1.0: a number between 0 and 1"),
        ({}, {"label_column": "labels"}, "did you mean 'label'"),
        ({}, {"group_column": "sexo"}, "group_column='sexo' is no column"),
        ({}, {"block": "a while"}, "block='a while'"),
    ],
)
def test_what_cannot_be_measured_is_named(change, settings, message):
    frame = drawn(200).assign(**change)
    for measure in (reliability, calibration):
        with pytest.raises(ValueError, match=message):
            measure(frame, **settings)


def test_a_minimum_of_nothing_is_refused():
    with pytest.raises(ValueError, match="minimum=0: at least 1"):
        calibration(drawn(200), minimum=0)


def test_the_frame_is_left_as_it_was():
    frame = drawn(300)
    before = frame.copy()
    reliability(frame), calibration(frame)
    pd.testing.assert_frame_equal(frame, before)
