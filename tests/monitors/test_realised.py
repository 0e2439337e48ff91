"""Realised performance from sums: what ``performance`` says of the same rows, and what it adds."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as oracle

from utils.monitors import realised
from utils.monitors.calibration import calibration
from utils.monitors.metrics import METRICS
from utils.monitors.performance import performance
from utils.monitors.realised import MAX_CLASSES, Groups, Realised, binned_roc_auc, quantile_edges

EVERY = [name for name in realised._METRICS["classification"] if name != "calibration_error"]
WEEK = pd.Timedelta("7D")


def times(n):
    return pd.date_range("2024-01-01", periods=n, freq="1h", tz="UTC")


def loans(n=2000, *, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 2, n)
    frame = pd.DataFrame(
        {
            "event_time": times(n),
            "score": score,
            "prediction": (score > 0.5).astype(int),
            "label": (rng.random(n) < score**1.3).astype(float),
            "region": rng.choice(["Norte", "Sul", None], n, p=[0.2, 0.7, 0.1]),
        }
    )
    frame.loc[rng.random(n) < 0.1, "label"] = np.nan
    frame.loc[rng.random(n) < 0.05, "score"] = np.nan
    frame.loc[rng.random(n) < 0.05, "prediction"] = np.nan
    return frame


def flights(n=2000, *, seed=0):
    rng = np.random.default_rng(seed)
    label = 1000 + rng.gamma(2, 10, n)
    frame = pd.DataFrame(
        {
            "event_time": times(n),
            "prediction": label + rng.normal(1, 5, n),
            "label": label,
            "origin": rng.choice(["EWR", "JFK", "LGA"], n),
        }
    )
    return frame.mask(rng.random(frame.shape) < [0.0, 0.05, 0.1, 0.0])


def animals(n=900, *, seed=0):
    rng = np.random.default_rng(seed)
    label = rng.choice(["cat", "dog", "emu"], n, p=[0.5, 0.4, 0.1])
    guess = rng.choice(["cat", "dog", "emu"], n)
    prediction = np.where(rng.random(n) < 0.6, label, guess)
    return pd.DataFrame({"event_time": times(n), "prediction": prediction, "label": label})


def by_week(frame):
    block = ((frame["event_time"] - frame["event_time"].iloc[0]) // WEEK).to_numpy()
    return block, int(block.max()) + 1


def measured(measure, frame, *, block=None):
    """Return the values and the counts by line, one row for all or for each block."""
    at, n_blocks = (np.zeros(len(frame), dtype=int), 1) if block is None else block
    cells = measure.cells(frame, at, n_blocks)
    assert cells.shape == (n_blocks, measure.n_cells) and cells.dtype == float
    columns = pd.MultiIndex.from_tuples([(line.metric, line.group) for line in measure.lines])
    values = measure.values(cells, cells.sum(axis=0))
    return tuple(pd.DataFrame(each, columns=columns) for each in (values, measure.counts(cells)))


def by_performance(frame, *, task, metrics, **settings):
    table = performance(
        frame,
        task=task,
        metrics=metrics,
        rng=np.random.default_rng(0),
        minimum=1,
        draws=1,
        **settings,
    )
    return table[table["metric"] != "labelled_share"]


def check_the_same(measure, frame, *, task, tolerance=1e-12, **settings):
    metrics = list(measure.metrics)
    values, counts = measured(measure, frame, block=by_week(frame))
    table = by_performance(
        frame, task=task, metrics=metrics, window="7D", start="2024-01-01T00Z", **settings
    )
    for (metric, group), rows in table.groupby(["metric", "group"]):
        np.testing.assert_allclose(values[metric, group], rows["value"], atol=tolerance)
        np.testing.assert_array_equal(counts[metric, group], rows["n_current"])


# -------------------------------------------------------------------------------- against the other


def test_regression_is_what_performance_measures_in_each_window_and_group():
    frame = flights()
    measure = Realised.of(frame, task="regression", group_column="origin")
    assert measure.metrics == ("mae", "rmse", "bias", "r2")
    assert len(measure.lines) == 16
    check_the_same(measure, frame, task="regression", group_column="origin", tolerance=1e-9)


def test_a_far_centre_costs_r2_no_digits():
    frame = flights().assign(label=lambda f: f["label"] + 1e7, prediction=lambda f: f["prediction"])
    frame["prediction"] += 1e7
    check_the_same(Realised.of(frame, task="regression"), frame, task="regression", tolerance=1e-6)


def test_two_classes_are_what_performance_measures_in_each_window():
    frame = loans()
    metrics = [name for name in EVERY if name != "roc_auc"]
    check_the_same(
        Realised.of(frame, task="classification", metrics=metrics), frame, task="classification"
    )


def test_many_classes_are_what_performance_measures_a_new_one_included():
    reference = animals()
    measure = Realised.of(reference, task="classification")
    assert measure.metrics == ("accuracy", "macro_f1")
    every = Realised.of(
        reference, task="classification", metrics=["accuracy", "macro_f1", "balanced_accuracy"]
    )
    later = animals(seed=1)
    later["label"] = later["label"].where(later.index % 7 > 0, "yak")
    later["prediction"] = later["prediction"].where(later.index % 5 > 0, "yak")
    for frame in (reference, later):
        check_the_same(every, frame, task="classification")


def test_a_class_named_positive_is_judged_against_the_rest():
    frame = animals().assign(score=lambda f: (f["prediction"] == "emu") * 0.6 + 0.2)
    metrics = ["precision", "recall", "specificity", "f1", "brier"]
    measure = Realised.of(frame, task="classification", metrics=metrics, positive="emu")
    check_the_same(measure, frame, task="classification", positive="emu")


def test_the_area_of_few_scores_is_exact_and_of_many_within_its_bound():
    frame = loans(168 * 100).dropna()
    rounded = frame.assign(score=frame["score"].round(1))
    check_the_same(
        Realised.of(rounded, task="classification", metrics=["roc_auc"]),
        rounded,
        task="classification",
    )
    measure = Realised.of(frame, task="classification", metrics=["roc_auc"])
    values, _ = measured(measure, frame, block=by_week(frame))
    exact = [
        oracle.roc_auc_score(rows["label"], rows["score"])
        for _, rows in frame.groupby(by_week(frame)[0])
    ]
    off = np.abs(values["roc_auc", ""] - exact)
    assert off.max() < 1 / 128
    assert off.mean() < 1e-3


def test_half_the_pairs_within_bins_bound_what_the_area_is_wrong_by():
    rng = np.random.default_rng(3)
    score, label = rng.random(300), rng.integers(0, 2, 300)
    for n_bins in (2, 3, 10):
        bins = np.searchsorted(quantile_edges(score, n_bins), score)
        positives, negatives = (
            np.bincount(bins[label == each], minlength=n_bins) for each in (1, 0)
        )
        pairs = (positives * negatives).sum() / (positives.sum() * negatives.sum())
        off = abs(binned_roc_auc(positives, negatives) - oracle.roc_auc_score(label, score))
        assert 0 < off <= pairs / 2
        worst = np.lexsort((1 - label, bins))  # in each bin the positives last, then first
        for order in (worst, np.lexsort((label, bins))):
            ranked = np.empty(300)
            ranked[order] = np.arange(300)
            exact = oracle.roc_auc_score(label, ranked)
            assert abs(binned_roc_auc(positives, negatives) - exact) == pytest.approx(pairs / 2)


def test_the_calibration_error_is_that_of_calibration_where_the_bins_are_the_same():
    frame = loans(5000).dropna(subset=["label", "score"])
    values, counts = measured(Realised.of(frame, task="classification"), frame)
    table = calibration(frame).set_index("metric")
    assert values["calibration_error", ""][0] == pytest.approx(
        table.loc["calibration_error", "value"]
    )
    assert counts["calibration_error", ""][0] == len(frame)


def test_a_drift_of_the_calibration_moves_its_lines_and_leaves_the_area():
    quiet, drifted = loans(20_000), loans(20_000, seed=1)
    rng = np.random.default_rng(2)
    fewer = drifted["label"].where(rng.random(len(drifted)) < 0.8, 0.0).where(drifted["label"] >= 0)
    measure = Realised.of(quiet, task="classification")
    before, after = (
        measured(measure, frame)[0].iloc[0].droplevel(1)
        for frame in (quiet, drifted.assign(label=fewer))
    )
    assert after["calibration_error"] > before["calibration_error"] + 0.04
    assert after["calibration_bias"] > before["calibration_bias"] + 0.05
    assert abs(after["roc_auc"] - before["roc_auc"]) < 0.07


# ------------------------------------------------------------------------ as a measure of the suite


def test_lines_say_which_side_is_bad_and_where_they_belong():
    lines = {each.metric: each for each in Realised.of(loans(), task="classification").lines}
    assert list(lines) == [
        "accuracy",
        "precision",
        "recall",
        "f1",
        "macro_f1",
        "roc_auc",
        "log_loss",
        "brier",
        "calibration_bias",
        "calibration_error",
    ]
    assert {name for name, line in lines.items() if line.monitor == "calibration"} == {
        "calibration_bias",
        "calibration_error",
    }
    assert {name for name, line in lines.items() if line.side == "high"} == {
        "log_loss",
        "brier",
        "calibration_error",
    }
    assert lines["calibration_bias"].side == "both" and lines["recall"].side == "low"
    assert lines["calibration_error"].minimum == 100 and lines["recall"].minimum == 30
    assert all(each.labelled for each in lines.values())
    sides = {each.metric: each.side for each in Realised.of(flights(), task="regression").lines}
    assert sides == {"mae": "high", "rmse": "high", "bias": "both", "r2": "low"}


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_intervals_are_made_on_the_scales_of_performance(task):
    for name, metric in realised._METRICS[task].items():
        if name in METRICS[task]:
            assert metric.scale == METRICS[task][name].scale, name


@pytest.mark.parametrize(("make", "task"), [(loans, "classification"), (flights, "regression")])
def test_windows_are_added_and_leading_axes_are_taken_at_once(make, task):
    frame = make()
    measure = Realised.of(frame, task=task, group_column=frame.columns[-1])
    at, n_blocks = by_week(frame)
    cells = measure.cells(frame, at, n_blocks)
    whole = measure.cells(frame, np.zeros(len(frame), dtype=int), 1)
    np.testing.assert_allclose(cells.sum(axis=0), whole[0])
    drawn = np.random.default_rng(0).integers(n_blocks, size=(5, 3, 2))
    many = cells[drawn].sum(axis=2)
    values, counts = measure.values(many, whole), measure.counts(many)
    assert values.shape == counts.shape == (5, 3, len(measure.lines))
    for index in np.ndindex(5, 3):
        np.testing.assert_array_equal(values[index], measure.values(many[index], whole[0]))
        np.testing.assert_array_equal(counts[index], measure.counts(many[index]))


@pytest.mark.parametrize(("make", "task"), [(loans, "classification"), (flights, "regression")])
def test_a_block_without_known_labels_says_nothing(make, task):
    frame = make()
    measure = Realised.of(frame, task=task)
    unknown = frame.assign(label=np.nan)
    values, counts = measured(measure, unknown)
    assert values.isna().all().all() and (counts == 0).all().all()
    none = measure.cells(frame.iloc[:0], np.zeros(0, dtype=int), 3)
    assert none.shape == (3, measure.n_cells) and not none.any()


def test_one_class_alone_has_no_area_and_no_recall():
    values, _ = measured(Realised.of(loans(), task="classification"), loans().assign(label=0.0))
    assert values[["roc_auc", "recall"]].isna().all().all()
    assert values["precision", ""][0] == 0


def test_groups_are_the_commonest_and_the_rest_counts_for_everyone():
    frame = loans()
    groups = Groups.of(frame, "region", most=2)
    assert groups.names == ("Norte", "Sul")
    assert Groups.of(frame, "region").names == ("(missing)", "Norte", "Sul")
    measure = Realised.of(frame, task="classification", group_column="region", max_groups=2)
    new = frame.assign(region=frame["region"].replace("Norte", "Oeste"))
    values, counts = measured(measure, new)
    pd.testing.assert_series_equal(
        values.xs("", axis=1, level=1).iloc[0],
        measured(measure, frame)[0].xs("", axis=1, level=1).iloc[0],
    )
    assert counts["accuracy", "Norte"][0] == 0 and np.isnan(values["accuracy", "Norte"][0])
    south = frame[frame["region"] == "Sul"]
    assert values["recall", "Sul"][0] == measured(measure, south)[0]["recall", ""][0]


@pytest.mark.parametrize(
    "retyped",
    [
        lambda f: f.assign(label=f["label"].astype("boolean"), prediction=f["prediction"] == 1),
        lambda f: f.convert_dtypes(),
        lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
        lambda f: f.assign(label=f["label"].astype("category")),
        lambda f: f.astype({"label": object, "prediction": object, "score": object}),
    ],
    ids=["boolean", "nullable", "arrow", "category", "object"],
)
def test_the_type_of_the_columns_does_not_matter(retyped):
    frame = loans().dropna(subset=["prediction"])
    measure = Realised.of(frame, task="classification")
    again = Realised.of(retyped(frame), task="classification")
    expected = measured(measure, frame)[0]
    for each in (measured(measure, retyped(frame))[0], measured(again, frame)[0]):
        pd.testing.assert_frame_equal(each, expected)


def test_text_classes_may_be_arrow_or_categories():
    frame = animals()
    measure = Realised.of(frame, task="classification")
    expected = measured(measure, frame)[0]
    for kind in ("string[pyarrow]", "category", object):
        retyped = frame.astype({"label": kind, "prediction": kind})
        pd.testing.assert_frame_equal(measured(measure, retyped)[0], expected)


def test_the_frame_is_left_as_it_was():
    for frame, task in ((loans(), "classification"), (flights(), "regression")):
        before = frame.copy(deep=True)
        measured(Realised.of(frame, task=task), frame)
        pd.testing.assert_frame_equal(frame, before)


# -------------------------------------------------------------------------------------- too little


def test_without_a_score_or_a_positive_class_the_rest_is_measured():
    frame = loans()
    every = set(Realised.of(frame, task="classification").metrics)
    judged = {"roc_auc", "log_loss", "brier", "calibration_bias", "calibration_error"}

    def metrics(frame):
        return set(Realised.of(frame, task="classification").metrics)

    assert metrics(frame.drop(columns="score")) == every - judged
    assert metrics(frame.assign(score=None)) == every - judged
    assert metrics(frame.assign(score=frame["score"] * 10)) == every - judged | {"roc_auc"}
    text = frame.dropna().replace({"label": {0: "no", 1: "yes"}, "prediction": {0: "no", 1: "yes"}})
    assert metrics(text) == {"accuracy", "macro_f1"}
    assert set(Realised.of(text, task="classification", positive="yes").metrics) == every


def test_of_very_many_classes_there_is_accuracy():
    frame = pd.DataFrame({"label": range(MAX_CLASSES + 1), "prediction": range(MAX_CLASSES + 1)})
    frame.loc[0, "prediction"] = 5
    measure = Realised.of(frame, task="classification")
    assert measure.metrics == ("accuracy",) and measure.n_cells == 2
    assert measured(measure, frame)[0].iloc[0, 0] == MAX_CLASSES / (MAX_CLASSES + 1)
    assert len(Realised.of(frame.iloc[1:], task="classification").metrics) == 2


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"task": "ranking"}, "task='ranking': one of classification, regression"),
        ({}, {"metrics": "brier"}, r"metrics='brier': a list of names is needed"),
        ({}, {"metrics": ["brierr"]}, r"'brierr' is none of task=.* did you mean 'brier'\?"),
        ({}, {"metrics": ["average_precision"]}, "'average_precision' is none .* that sums give"),
        ({}, {"label_column": "labels"}, r"label_column='labels' is no column .* 'label'\?"),
        ({}, {"group_column": "regiao"}, "group_column='regiao' is no column"),
        ({}, {"group_column": "region", "max_groups": 0}, "max_groups=0: at least 1"),
        ({}, {"positive": 2}, r"positive=2 is no class of the reference: \[0.0, 1.0\]"),
        ({}, {"score_column": "scores", "metrics": ["roc_auc"]}, "needs more: score_column='scor"),
        ({"score": 1.5}, {"metrics": ["brier"]}, "'brier' needs more: .*holds 1.5; a prob"),
        ({"score": "high"}, {}, "score_column='score' holds 'high': a number is needed"),
        ({"label": "1"}, {}, "there are both text and numbers .* must be written alike"),
        ({"prediction": "x"}, {"task": "regression"}, "prediction_column='prediction' holds 'x'"),
        ({"label": np.inf}, {"task": "regression"}, "label_column='label' holds 2000 infinite"),
    ],
)
def test_a_refusal_names_the_argument_the_value_and_the_rule(change, settings, message):
    with pytest.raises(ValueError, match=message):
        Realised.of(loans().assign(**change), **{"task": "classification", **settings})


def test_what_the_reference_had_and_a_window_spoils_is_refused_by_name():
    measure = Realised.of(loans(), task="classification")
    for change, message in (
        ({"score": 1.5}, "score_column='score' holds 1.5; a probability is in 0..1"),
        ({"label": "yes"}, "there are both text and numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            measured(measure, loans().assign(**change))
    with pytest.raises(ValueError, match="score_column='score' is no column"):
        measured(measure, loans().drop(columns="score"))
