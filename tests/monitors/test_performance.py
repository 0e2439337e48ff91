"""Performance by window: values, intervals, what is known when, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from utils.monitors.performance import (
    LABELLED_SHARE,
    MISSING_GROUP,
    change,
    label_arrival,
    metric_names,
    performance,
)
from utils.records import MEASUREMENT_COLUMNS

START = pd.Timestamp("2013-07-01", tz="UTC")  # a Monday


def seeded():
    return np.random.default_rng(7)


def times(n, *, every="1h", start=START):
    return pd.date_range(start, periods=n, freq=every, tz="UTC")


def flights(n=600, *, every="1h", seed=0):
    rng = np.random.default_rng(seed)
    label = rng.gamma(2, 10, n)
    return pd.DataFrame(
        {
            "event_time": times(n, every=every),
            "prediction": label + rng.normal(1, 5, n),
            "label": label,
            "label_known_at": times(n, every=every) + pd.to_timedelta(rng.gamma(2, 24, n), "h"),
            "origin": rng.choice(["EWR", "JFK", "LGA"], n),
        }
    )


def loans(n=600, *, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, n).round(2)  # rounded, so that scores tie
    return pd.DataFrame(
        {
            "event_time": times(n),
            "score": score,
            "prediction": (score > 0.5).astype(int),
            "label": (rng.random(n) < score).astype(int),
        }
    )


def measure(frame, *, rng=None, minimum=1, **settings):
    return performance(frame, rng=rng or seeded(), minimum=minimum, **settings)


def by_metric(table, column="value"):
    assert not table.duplicated(["metric", "group"]).any()
    return table[table["group"] == ""].set_index("metric")[column]


# ---------------------------------------------------------------------------------------- values


def test_regression_metrics_are_what_scikit_learn_computes():
    frame = flights()
    found = by_metric(measure(frame, task="regression", window=None, tolerance=5.0))
    truth, answer = frame["label"], frame["prediction"]
    expected = {
        "mae": oracle.mean_absolute_error(truth, answer),
        "rmse": oracle.root_mean_squared_error(truth, answer),
        "bias": (answer - truth).mean(),
        "r2": oracle.r2_score(truth, answer),
        "median_absolute_error": oracle.median_absolute_error(truth, answer),
        "within": ((answer - truth).abs() <= 5.0).mean(),
        LABELLED_SHARE: 1.0,
    }
    assert dict(found) == pytest.approx(expected)


def test_binary_metrics_are_what_scikit_learn_computes():
    frame = loans()
    found = by_metric(measure(frame, task="classification", window=None))
    truth, answer, score = frame["label"], frame["prediction"], frame["score"]
    expected = {
        "accuracy": oracle.accuracy_score(truth, answer),
        "precision": oracle.precision_score(truth, answer),
        "recall": oracle.recall_score(truth, answer),
        "specificity": oracle.recall_score(truth, answer, pos_label=0),
        "f1": oracle.f1_score(truth, answer),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, answer),
        "macro_f1": oracle.f1_score(truth, answer, average="macro"),
        "positive_rate": answer.mean(),
        "base_rate": truth.mean(),
        "roc_auc": oracle.roc_auc_score(truth, score),
        "average_precision": oracle.average_precision_score(truth, score),
        "log_loss": oracle.log_loss(truth, score),
        "brier": oracle.brier_score_loss(truth, score),
        "calibration_bias": (score - truth).mean(),
        LABELLED_SHARE: 1.0,
    }
    assert dict(found) == pytest.approx(expected)


def test_a_draw_with_weights_is_what_scikit_learn_computes_with_sample_weights():
    """The bootstrap rests on weights: each metric is held against the oracle's own."""
    from utils.monitors.metrics import METRICS, Rows

    rng, n = np.random.default_rng(5), 300
    weights = rng.integers(0, 4, n).astype(float)
    frame = loans(n)
    truth, answer, score = (frame[c].to_numpy() for c in ("label", "prediction", "score"))
    blank = {"time": np.arange(n), "group": np.zeros(n, dtype=int)}
    rows = Rows(label=truth, prediction=answer, score=score, positive=1, n_classes=2, **blank)
    y, x = flights(n)["label"].to_numpy(), flights(n)["prediction"].to_numpy()
    numbers = Rows(label=y, prediction=x, score=np.full(n, np.nan), **blank)

    def weighted(task, name, of):
        return METRICS[task][name].prepare(of, np.arange(n), n)(weights[None, :])[0]

    classification = {
        "accuracy": oracle.accuracy_score(truth, answer, sample_weight=weights),
        "f1": oracle.f1_score(truth, answer, sample_weight=weights),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, answer, sample_weight=weights),
        "roc_auc": oracle.roc_auc_score(truth, score, sample_weight=weights),
        "average_precision": oracle.average_precision_score(truth, score, sample_weight=weights),
        "log_loss": oracle.log_loss(truth, score, sample_weight=weights),
    }
    for name, expected in classification.items():
        assert weighted("classification", name, rows) == pytest.approx(expected), name
    repeated = np.repeat(np.abs(x - y), weights.astype(int))
    regression = {
        "mae": oracle.mean_absolute_error(y, x, sample_weight=weights),
        "rmse": oracle.root_mean_squared_error(y, x, sample_weight=weights),
        "r2": oracle.r2_score(y, x, sample_weight=weights),
        "median_absolute_error": np.median(repeated),
    }
    for name, expected in regression.items():
        assert weighted("regression", name, numbers) == pytest.approx(expected), name


def test_classes_may_be_any_number_of_words():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "event_time": times(300),
            "prediction": rng.choice(["approve", "review", "refuse"], 300),
            "label": rng.choice(["approve", "review", "refuse", "fraud"], 300),
        }
    )
    found = by_metric(measure(frame, task="classification", window=None))
    truth, answer = frame["label"], frame["prediction"]
    expected = {
        "accuracy": oracle.accuracy_score(truth, answer),
        "balanced_accuracy": oracle.recall_score(truth, answer, average="macro"),
        "macro_f1": oracle.f1_score(truth, answer, average="macro"),
        LABELLED_SHARE: 1.0,
    }
    assert dict(found) == pytest.approx(expected)
    against_rest = measure(
        frame, task="classification", window=None, metrics=["recall"], positive="refuse"
    )
    assert by_metric(against_rest)["recall"] == pytest.approx(
        oracle.recall_score(truth == "refuse", answer == "refuse")
    )


@pytest.mark.parametrize(
    "of",
    [
        lambda s: s.astype(bool),
        lambda s: s.astype("Int64"),
        lambda s: s.astype("category"),
        lambda s: s.astype(object),
        lambda s: s.astype(float),
    ],
)
def test_labels_and_predictions_may_be_of_different_types(of):
    frame = loans(200)
    expected = by_metric(measure(frame, task="classification", window=None))
    found = by_metric(
        measure(frame.assign(label=of(frame["label"])), task="classification", window=None)
    )
    pd.testing.assert_series_equal(found, expected)


def test_hand_computed_windows():
    frame = pd.DataFrame(
        {
            "event_time": pd.to_datetime(
                ["2013-07-01T00:00Z", "2013-07-07T23:59Z", "2013-07-08T00:00Z", "2013-07-22T00:00Z"]
            ),
            "prediction": [10.0, 20.0, 30.0, 40.0],
            "label": [12.0, 16.0, 31.0, None],
        }
    )
    table = measure(frame, task="regression", metrics=["mae", "bias"])
    mae = table[table["metric"] == "mae"]
    assert mae["window_start"].dt.day.tolist() == [1, 8, 15, 22]
    assert mae["n_current"].tolist() == [2, 1, 0, 0]
    assert mae["value"].tolist() == pytest.approx([3.0, 1.0, np.nan, np.nan], nan_ok=True)
    share = table[table["metric"] == LABELLED_SHARE]
    assert share["value"].tolist() == pytest.approx([1.0, 1.0, np.nan, 0.0], nan_ok=True)
    assert share["n_current"].tolist() == [2, 1, 0, 1]


# --------------------------------------------------------------------------------------- windows


@given(
    offsets=st.lists(st.integers(0, 60 * 24 * 3600), min_size=1, max_size=40),
    window=st.sampled_from(["1D", "7D", "36h"]),
)
@settings(max_examples=40, deadline=None)
def test_every_row_is_counted_once_in_whatever_order_they_come(offsets, window):
    frame = pd.DataFrame(
        {"event_time": START + pd.to_timedelta(offsets, "s"), "prediction": 1.0, "label": 1.0}
    )
    frame["prediction"] = np.arange(len(frame), dtype=float)
    table = measure(frame, task="regression", metrics=["bias"], window=window, draws=20)
    share = table[table["metric"] == LABELLED_SHARE]
    assert share["n_current"].sum() == len(frame)
    assert share["window_start"].tolist()[1:] == share["window_end"].tolist()[:-1]
    backwards = measure(frame[::-1], task="regression", metrics=["bias"], window=window, draws=20)
    pd.testing.assert_frame_equal(backwards, table, rtol=1e-9)


def test_a_window_does_not_depend_on_the_windows_groups_and_metrics_beside_it():
    frame = flights()
    alone = frame[frame["event_time"] < START + pd.Timedelta("7D")]
    one = measure(alone, task="regression", metrics=["mae"])
    many = measure(
        frame,
        task="regression",
        metrics=["rmse", "mae", "within"],
        tolerance=3,
        group_column="origin",
    )
    same = many[(many["group"] == "") & many["metric"].isin(["mae", LABELLED_SHARE])]
    same = same[same["window_start"] == START].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, same)


def test_the_same_seed_gives_the_same_table_and_another_seed_another_interval():
    frame = flights()
    first, again = (measure(frame, task="regression") for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    other = measure(frame, task="regression", rng=np.random.default_rng(8))
    assert (first["value"].dropna() == other["value"].dropna()).all()
    assert (first["low"].dropna() != other["low"].dropna()).any()


def test_the_index_of_the_frame_says_nothing():
    frame = flights(80)
    settings = {"task": "regression", "known_as_of": START + pd.Timedelta("2D")}
    repeated = frame.set_axis([0, 1] * 40)
    pd.testing.assert_frame_equal(measure(repeated, **settings), measure(frame, **settings))


def test_the_frame_is_left_as_it_was():
    frame = flights(50)
    before = frame.copy(deep=True)
    measure(frame, task="regression", known_as_of=START + pd.Timedelta("1D"), group_column="origin")
    pd.testing.assert_frame_equal(frame, before)


def test_the_table_is_the_measurements_table():
    table = measure(flights(50), task="regression")
    assert tuple(table.columns) == MEASUREMENT_COLUMNS
    assert set(table["monitor"]) == {"performance"}
    assert not table["alarm"].any()


def test_no_rows_give_no_windows_and_with_bounds_empty_ones():
    empty = flights(10).iloc[:0]
    assert len(measure(empty, task="regression")) == 0
    bounded = measure(
        empty, task="regression", metrics=["mae"], start=START, end=START + pd.Timedelta("14D")
    )
    assert bounded["n_current"].tolist() == [0, 0, 0, 0]
    assert bounded["value"].isna().all()
    assert len(measure(loans(10).iloc[:0], task="classification")) == 0


# ---------------------------------------------------------------------------------------- groups


def test_a_group_is_measured_as_if_it_were_alone():
    frame = flights()
    table = measure(frame, task="regression", metrics=["mae"], window=None, group_column="origin")
    mae = table[table["metric"] == "mae"].set_index("group")["value"]
    assert list(mae.index) == ["", "EWR", "JFK", "LGA"]
    for origin, rows in frame.groupby("origin"):
        assert mae[origin] == pytest.approx((rows["prediction"] - rows["label"]).abs().mean())
    assert mae[""] == pytest.approx((frame["prediction"] - frame["label"]).abs().mean())


def test_a_group_that_is_absent_from_a_window_is_there_with_no_rows():
    frame = flights(400)
    frame.loc[frame["event_time"] >= START + pd.Timedelta("7D"), "origin"] = "JFK"
    table = measure(frame, task="regression", metrics=["mae"], group_column="origin")
    lga = table[(table["group"] == "LGA") & (table["metric"] == "mae")]
    assert len(lga) == 3 and lga["n_current"].iloc[1:].tolist() == [0, 0]


def test_rows_without_a_group_are_a_group_of_their_own():
    frame = flights(90).assign(gate=[None, "", 7] * 30)
    table = measure(frame, task="regression", metrics=[], window=None, group_column="gate")
    counts = table.set_index("group")["n_current"]
    assert dict(counts) == {"": 90, MISSING_GROUP: 60, "7": 30}


# ----------------------------------------------------------------------------------- known as of


def test_labels_of_august_do_not_judge_july_on_31_july():
    frame = flights(1200)
    as_of = pd.Timestamp("2013-07-31", tz="UTC")
    table = measure(frame, task="regression", metrics=["mae"], known_as_of=as_of)
    judged = frame[(frame["event_time"] <= as_of) & (frame["label_known_at"] <= as_of)]
    mae = table[table["metric"] == "mae"]
    assert mae["n_current"].sum() == len(judged)
    assert (table["known_as_of"] == as_of).all()
    share = table[table["metric"] == LABELLED_SHARE]
    assert share["n_current"].sum() == (frame["event_time"] <= as_of).sum()
    assert share["value"].iloc[-1] < share["value"].iloc[0] == 1.0


@given(
    late=st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(-1e6, 1e6), st.booleans()),
        min_size=12,
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_what_becomes_known_later_changes_nothing(late):
    as_of = START + pd.Timedelta("10D")
    frame = flights(12, every="1D")
    frame["label_known_at"] = frame["event_time"]
    unknown = frame["event_time"] > START + pd.Timedelta("6D")
    before = frame.assign(
        label=frame["label"].mask(unknown), label_known_at=frame["label_known_at"].mask(unknown)
    )
    after = before.copy()
    for i, (seconds, label, comes) in enumerate(late):
        if unknown[i] and comes:
            after.loc[i, "label"] = label
            after.loc[i, "label_known_at"] = as_of + pd.Timedelta(seconds, "s")
    tables = [
        measure(each, task="regression", known_as_of=as_of, group_column="origin")
        for each in (before[before["event_time"] <= as_of], after)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_a_label_known_at_that_very_moment_is_known():
    frame = flights(1)
    at = frame["label_known_at"].iloc[0]
    known, unknown = (
        measure(frame, task="regression", metrics=["mae"], known_as_of=as_of)["n_current"].iloc[0]
        for as_of in (at, at - pd.Timedelta(1, "us"))
    )
    assert (known, unknown) == (1, 0)


def test_a_label_that_does_not_say_since_when_it_is_known_is_unknown_as_of_any_moment():
    frame = flights(40).assign(label_known_at=pd.Series([pd.NaT] * 40, dtype="datetime64[us, UTC]"))
    table = measure(frame, task="regression", known_as_of="2014-01-01T00Z", window=None)
    assert by_metric(table, "n_current")["mae"] == 0
    assert by_metric(table)[LABELLED_SHARE] == 0


# ------------------------------------------------------------------------------------ too little


def test_fewer_than_the_minimum_is_nan_with_its_n():
    frame = flights(60).iloc[:29]
    table = measure(frame, task="regression", minimum=30, metrics=["mae", "within"], tolerance=5)
    first = by_metric(table)
    assert first[["mae", "within"]].isna().all()
    assert table["low"][:2].isna().all()
    assert by_metric(table, "n_current")["mae"] == 29
    assert first[LABELLED_SHARE] == 1.0
    enough = measure(frame, task="regression", minimum=29, metrics=["mae"])
    assert by_metric(enough).notna().all()


def test_one_class_alone_has_no_auc_and_no_positives_no_recall():
    frame = loans(100).assign(label=0)
    table = measure(frame, task="classification", window=None)
    found = by_metric(table)
    undefined = ["roc_auc", "average_precision", "recall"]
    assert found[undefined].isna().all()
    assert by_metric(table, "n_current")[undefined].tolist() == [100, 100, 100]
    assert found["accuracy"] == (frame["prediction"] == 0).mean()
    assert found["base_rate"] == 0


def test_a_constant_label_has_no_r2():
    frame = flights(100).assign(label=0.1)
    for block in (None, "1D"):
        table = measure(frame, task="regression", metrics=["r2"], window=None, block=block)
        assert np.isnan(by_metric(table)["r2"])


def test_rows_without_a_prediction_or_score_are_not_judged_and_are_counted():
    frame = loans(100).astype({"prediction": float})
    frame.loc[:9, "prediction"] = np.nan
    frame.loc[10:29, "score"] = np.nan
    frame["label"] = frame["label"].astype(float).mask(frame.index >= 95)
    n = by_metric(measure(frame, task="classification", window=None), "n_current")
    expected = {
        "accuracy": 85,
        "positive_rate": 90,
        "base_rate": 95,
        "brier": 75,
        LABELLED_SHARE: 100,
    }
    assert dict(n[list(expected)]) == expected


def test_a_window_of_one_block_has_a_value_and_no_interval():
    table = measure(loans(24), task="classification", window="1D", block="1D")
    assert table["value"].notna().all()
    assert table[["low", "high"]].isna().all(axis=None)


# ------------------------------------------------------------------------------------- intervals


def test_proportions_of_independent_rows_have_wilsons_interval():
    frame = loans(100)
    table = measure(frame, task="classification", window=None, level=0.9).set_index("metric")
    counts = {
        "accuracy": (frame["prediction"] == frame["label"], frame["label"] >= 0),
        "precision": (frame["label"] == 1, frame["prediction"] == 1),
        "recall": (frame["prediction"] == 1, frame["label"] == 1),
        "specificity": (frame["prediction"] == 0, frame["label"] == 0),
    }
    for name, (succeeds, counted) in counts.items():
        exact = stats.binomtest(int((succeeds & counted).sum()), int(np.sum(counted)))
        low, high = exact.proportion_ci(0.9, method="wilson")
        assert table.loc[name, ["low", "high"]].tolist() == pytest.approx([low, high]), name


@pytest.mark.parametrize("metric", ["mae", "rmse", "bias", "r2", "median_absolute_error"])
def test_the_bootstrap_of_rows_agrees_with_scipys(metric):
    frame = flights(400)
    ours = measure(frame, task="regression", metrics=[metric], window=None, draws=4000).iloc[0]

    def statistic(label, prediction):
        return by_hand[metric](label, prediction)

    by_hand = {
        "mae": oracle.mean_absolute_error,
        "rmse": oracle.root_mean_squared_error,
        "bias": lambda label, prediction: np.mean(prediction - label),
        "r2": oracle.r2_score,
        "median_absolute_error": oracle.median_absolute_error,
    }
    theirs = stats.bootstrap(
        (frame["label"].to_numpy(), frame["prediction"].to_numpy()),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=600,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours["low"] == pytest.approx(theirs.confidence_interval.low, abs=0.3 * width)
    assert ours["high"] == pytest.approx(theirs.confidence_interval.high, abs=0.3 * width)
    assert ours["high"] - ours["low"] == pytest.approx(width, rel=0.3)


def test_the_bootstrap_of_blocks_resamples_whole_days():
    """Held against scipy's bootstrap over the list of days."""
    frame = stormy(n_weeks=1, rows_a_day=30, days=40, seed=4)
    ours = measure(
        frame, task="regression", metrics=["bias"], window=None, block="1D", draws=4000
    ).iloc[0]
    by_day = (frame["prediction"] - frame["label"]).groupby(frame["event_time"].dt.date).mean()
    theirs = stats.ttest_1samp(by_day, 0).confidence_interval(0.95)  # days are of one size
    assert [ours["low"], ours["high"]] == pytest.approx([theirs.low, theirs.high], rel=0.1, abs=0.1)


def stormy(*, n_weeks, rows_a_day, seed, spread=3.0, days=7):
    """Return rows whose errors share the weather of their day."""
    rng = np.random.default_rng(seed)
    n_days = n_weeks * days
    day = np.repeat(np.arange(n_days), rows_a_day)
    weather = np.repeat(rng.normal(0, spread, n_days), rows_a_day)
    error = weather + rng.normal(0, 3.0, len(day))
    at = START + pd.to_timedelta(day, "D") + pd.to_timedelta(rng.integers(0, 86400, len(day)), "s")
    return pd.DataFrame({"event_time": at, "prediction": error, "label": 0.0})


def covered(table, metric, truth):
    rows = table[(table["metric"] == metric)]
    assert rows["low"].notna().all()
    return ((rows["low"] <= truth) & (truth <= rows["high"])).mean()


WEEKS = 400
WITHIN_LUCK = stats.binom.ppf([0.001, 0.999], WEEKS, 0.95) / WEEKS  # 0.912 to 0.98


def test_intervals_of_independent_rows_cover_as_often_as_they_promise():
    frame = stormy(n_weeks=WEEKS, rows_a_day=10, seed=1, spread=0.0)
    table = measure(frame, task="regression", tolerance=3.0)
    truths = {
        "bias": 0.0,
        "mae": 3 * np.sqrt(2 / np.pi),
        "rmse": 3.0,
        "median_absolute_error": 3 * stats.norm.ppf(0.75),
        "within": stats.norm.cdf(1) - stats.norm.cdf(-1),
    }
    for metric, truth in truths.items():
        share = covered(table, metric, truth)
        assert WITHIN_LUCK[0] <= share <= WITHIN_LUCK[1], (metric, share)


def test_intervals_of_ranks_and_scores_cover_as_often_as_they_promise():
    rng = np.random.default_rng(6)
    n = WEEKS * 7 * 10
    label = rng.integers(0, 2, n)
    latent = rng.normal(label * 1.0, 1.0)
    frame = pd.DataFrame(
        {
            "event_time": times(n, every="144min"),
            "score": 1 / (1 + np.exp(-(latent - 0.5))),  # the true probability
            "prediction": (latent > 0.5).astype(int),
            "label": label,
        }
    )
    metrics = ["roc_auc", "f1", "calibration_bias", "accuracy", "precision"]
    table = measure(frame, task="classification", metrics=metrics, draws=300)
    right = stats.norm.cdf(0.5)
    truths = {
        "roc_auc": stats.norm.cdf(1 / np.sqrt(2)),
        "f1": right,
        "accuracy": right,
        "precision": right,
        "calibration_bias": 0.0,
    }
    for metric, truth in truths.items():
        share = covered(table, metric, truth)
        assert WITHIN_LUCK[0] <= share <= WITHIN_LUCK[1], (metric, share)


def test_blocks_of_days_cover_where_rows_are_far_too_sure():
    frame = stormy(n_weeks=WEEKS, rows_a_day=20, seed=2)
    spread = np.sqrt(18.0)
    truths = {
        "bias": 0.0,
        "mae": spread * np.sqrt(2 / np.pi),
        "rmse": spread,
        "within": stats.norm.cdf(3 / spread) - stats.norm.cdf(-3 / spread),
    }
    by_days, by_rows = (
        measure(frame, task="regression", metrics=list(truths), tolerance=3.0, block=block)
        for block in ("1D", None)
    )
    for metric, truth in truths.items():
        assert covered(by_days, metric, truth) >= 0.87, metric
        assert covered(by_rows, metric, truth) <= 0.85, metric
    assert covered(by_days, "bias", 0.0) >= WITHIN_LUCK[0]
    assert covered(by_rows, "bias", 0.0) <= 0.5


def test_days_that_all_agree_do_not_prove_certainty():
    frame = loans(24 * 7)
    frame["prediction"] = frame["label"]
    table = measure(frame, task="classification", block="1D", window=None).set_index("metric")
    low, high = stats.binomtest(168, 168).proportion_ci(method="wilson")
    assert table.loc["accuracy", ["low", "high"]].tolist() == pytest.approx([low, high])
    assert table.loc["f1", "value"] == 1 and np.isnan(table.loc["f1", "low"])


@given(st.integers(0, 2**32), st.sampled_from([None, "1D"]))
@settings(max_examples=10, deadline=None)
def test_the_value_lies_in_its_interval(seed, block):
    for frame, task in (
        (flights(100, seed=seed), "regression"),
        (loans(100, seed=seed), "classification"),
    ):
        table = measure(frame, task=task, window=None, block=block, draws=50)
        table = table.dropna(subset=["low"])
        assert (table["low"] <= table["value"] + 1e-12).all()
        assert (table["value"] <= table["high"] + 1e-12).all()


# ----------------------------------------------------------------- against a reference, and labels


def test_a_change_is_the_difference_with_an_interval_that_knows_both_samples():
    spring, summer = (stormy(n_weeks=8, rows_a_day=20, seed=seed) for seed in (1, 2))
    summer = summer.assign(prediction=summer["prediction"] * 2)
    reference, current = (
        measure(frame, task="regression", metrics=["mae"], window=None, block="1D")
        for frame in (spring, summer)
    )
    changed = change(reference, current)
    assert changed["metric"].tolist() == ["mae_change", "labelled_share_change"]
    row = changed.iloc[0]
    assert row["value"] == pytest.approx(current["value"][0] - reference["value"][0])
    assert 0 < row["low"] < row["value"] < row["high"]
    assert (row["n_reference"], row["n_current"]) == (1120, 1120)
    assert tuple(changed.columns) == MEASUREMENT_COLUMNS
    assert changed.dtypes.equals(current.dtypes)


def test_a_change_follows_the_windows_and_the_groups():
    frame = flights(1200)
    reference = measure(
        frame[:400], task="regression", metrics=["mae"], window=None, group_column="origin"
    )
    current = measure(frame[400:], task="regression", metrics=["mae"], group_column="origin")
    changed = change(reference, current)
    assert len(changed) == len(current)
    pd.testing.assert_frame_equal(
        changed[["group", "window_start"]], current[["group", "window_start"]]
    )


def test_changes_of_nothing_leave_out_zero_as_seldom_as_promised():
    frame = stormy(n_weeks=WEEKS, rows_a_day=10, seed=9, spread=0.0)
    weekly = measure(frame, task="regression", metrics=["mae"])
    weekly = weekly[weekly["metric"] == "mae"].reset_index(drop=True)
    even, odd = (
        weekly.iloc[half::2].assign(group=[str(i) for i in range(WEEKS // 2)]) for half in (0, 1)
    )
    changed = change(even, odd)
    includes = (changed["low"] <= 0) & (0 <= changed["high"])
    bounds = stats.binom.ppf([0.001, 0.999], len(includes), 0.95) / len(includes)
    assert bounds[0] <= np.mean(includes) <= bounds[1]


def test_a_reference_of_many_windows_is_refused():
    weekly = measure(flights(), task="regression", metrics=["mae"])
    with pytest.raises(ValueError, match="several rows for metric='mae', group=''; .*window=None"):
        change(weekly, weekly)


def test_the_arrival_of_labels_is_a_plain_share_when_all_have_had_time():
    frame = flights(500)
    delay = (frame["label_known_at"] - frame["event_time"]) / pd.Timedelta("1h")
    found = label_arrival(frame, delays_hours=[12, 48, 96], known_as_of="2014-07-01T00Z")
    assert found["delay_hours"].tolist() == [12.0, 48.0, 96.0]
    expected = [(delay <= hours).mean() for hours in (12, 48, 96)]
    assert found["share"].tolist() == pytest.approx(expected)
    assert (found["low"] < found["share"]).all() and (found["share"] < found["high"]).all()
    assert found["n"].tolist() == [500, 500, 500]


def test_recent_predictions_do_not_make_labels_look_slow():
    frame = flights(4000)
    as_of = frame["event_time"].iloc[-1]
    waiting = frame[(frame["event_time"] > as_of - pd.Timedelta("3D"))]
    naive = (waiting["label_known_at"] <= as_of).mean()
    truth = ((waiting["label_known_at"] - waiting["event_time"]) <= pd.Timedelta("3D")).mean()
    found = label_arrival(frame, delays_hours=[72], known_as_of=as_of)["share"][0]
    assert abs(found - truth) < 0.05 < truth - naive


def test_a_delay_before_the_prediction_is_refused():
    with pytest.raises(ValueError, match=r"delays_hours=\[1, -2\]: each must be 0 or more"):
        label_arrival(flights(5), delays_hours=[1, -2], known_as_of=START)


def test_nothing_is_said_beyond_the_age_of_the_oldest_prediction():
    frame = flights(48)
    found = label_arrival(frame, delays_hours=[0, 1, 216], known_as_of=START + pd.Timedelta("2D"))
    assert found["share"].notna().tolist() == [True, True, False]
    assert found["share"][0] == 0
    assert found["n"].tolist() == [48, 48, 0]
    nothing = label_arrival(frame.iloc[:0], delays_hours=[1], known_as_of=START)
    assert nothing["share"].isna().all()


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task": "ranking"}, "task='ranking': one of classification, regression"),
        ({"metrics": ["maee"]}, r"'maee' is no metric of task='regression'; did you mean 'mae'\?"),
        ({"metrics": ["xyzzy"]}, "'xyzzy' is no metric of task='regression'; known: mae, rmse"),
        ({"metrics": "mae"}, r"metrics='mae': a list of names is needed, such as \['mae'\]"),
        (
            {"metrics": ["recall"]},
            "'recall' is no metric of task='regression'; a metric of classification",
        ),
        ({"metrics": ["within"]}, "'within' needs more: tolerance=None: give the largest error"),
        ({"tolerance": -1}, "tolerance=-1: an error of 0 or more"),
        ({"label_column": "labels"}, r"label_column='labels' is no column .* mean 'label'\?"),
        ({"prediction_column": "predicted"}, "prediction_column='predicted' is no column"),
        ({"time_column": "eventtime"}, r"time_column='eventtime' .* did you mean 'event_time'\?"),
        ({"group_column": "origim"}, r"group_column='origim' .* did you mean 'origin'\?"),
        (
            {"known_at_column": "known", "known_as_of": START},
            "known_at_column='known' is no column",
        ),
        ({"prediction_column": "origin"}, "prediction_column='origin' holds '[A-Z]{3}': a number"),
        ({"label_column": "late"}, "label_column='late' holds .*True.*: a number"),
        ({"prediction_column": "endless"}, "'endless' holds 1 infinite values"),
        ({"time_column": "naive"}, "time_column='naive' holds times without a zone"),
        ({"known_as_of": "2013-07-31"}, "known_as_of='2013-07-31': a time with its zone"),
        ({"start": "2013-07-31"}, "start='2013-07-31': a time with its zone"),
        ({"window": "1M"}, "window='1M': a positive, fixed length"),
        ({"block": "soon"}, "block='soon': a positive, fixed length"),
        ({"block": "8D"}, "block='8D' is longer than window='7D'"),
        ({"level": 95}, "level=95: a number between 0 and 1"),
        ({"minimum": 0}, "minimum=0: at least 1"),
        ({"draws": 0}, "draws=0: at least 1"),
    ],
)
def test_a_refusal_names_the_argument_the_value_and_the_rule(settings, message):
    frame = flights(50)
    frame["naive"] = frame["event_time"].dt.tz_localize(None)
    frame["late"] = frame["label"] > 15
    frame["endless"] = frame["prediction"].where(frame.index > 0, np.inf)
    with pytest.raises(ValueError, match=message):
        performance(frame, rng=seeded(), **{"task": "regression", **settings})


@pytest.mark.parametrize(
    ("columns", "settings", "message"),
    [
        ({}, {"score_column": "scores"}, r"'roc_auc' needs more: score_column='scores' .* 'score'"),
        ({"score": None}, {}, "'roc_auc' needs more: score_column='score' holds no score"),
        ({"score": 1.5}, {"metrics": ["brier"]}, "'brier' needs more: .*holds 1.5; a probability"),
        ({"label": "paid", "prediction": "late"}, {}, r"positive=None: name .*\['late', 'paid'\]"),
        ({"label": "1"}, {}, "hold both text and numbers .* must be written alike"),
    ],
)
def test_what_a_metric_lacks_is_named(columns, settings, message):
    frame = loans(50).assign(**columns)
    with pytest.raises(ValueError, match=message):
        measure(frame, **{"task": "classification", "metrics": ["roc_auc"], **settings})


def test_a_missing_time_is_refused():
    frame = flights(10)
    frame.loc[3, "event_time"] = pd.NaT
    with pytest.raises(ValueError, match="time_column='event_time' lacks 1 of 10 times"):
        measure(frame, task="regression")


def test_without_names_only_what_can_be_measured_is():
    frame = loans(50)
    every = set(metric_names("classification"))
    scored = {"roc_auc", "average_precision", "log_loss", "brier", "calibration_bias"}

    def measured(frame):
        return set(measure(frame, task="classification")["metric"]) - {LABELLED_SHARE}

    assert measured(frame) == every
    assert measured(frame.drop(columns="score")) == every - scored
    assert measured(frame.assign(score=None)) == every - scored
    assert measured(frame.assign(score=frame["score"] * 10)) == every - {
        "log_loss",
        "brier",
        "calibration_bias",
    }
