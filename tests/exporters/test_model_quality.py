"""Model quality files: the numbers of the documented examples, scikit-learn's, and their form."""

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from tests.exporters.test_model_monitor import closed, in_order, listed
from utils.exporters import model_quality
from utils.exporters._files import UnreadableFile
from utils.exporters.model_quality import (
    binary_classification_metrics,
    multiclass_classification_metrics,
    read_constraints,
    read_statistics,
    read_violations,
    regression_metrics,
    suggested_constraints,
    violations,
    write_constraints,
    write_statistics,
    write_violations,
)

VALUE = {"anyOf": [{"type": "number"}, {"const": "NaN"}]}
METRIC = closed({"value": VALUE, "standard_deviation": VALUE})
MATRIX = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": {"type": "integer"}},
}
NUMBERS = listed({"type": "number"})
REGRESSION = ("mae", "mse", "rmse", "r2")
BINARY = (
    *("confusion_matrix", "recall", "precision", "accuracy"),
    *(f"{name}_best_constant_classifier" for name in ("recall", "precision", "accuracy")),
    *("true_positive_rate", "true_negative_rate", "false_positive_rate", "false_negative_rate"),
    *("receiver_operating_characteristic_curve", "precision_recall_curve", "auc"),
    *("f0_5", "f1", "f2"),
    *(f"{name}_best_constant_classifier" for name in ("f0_5", "f1", "f2")),
)
_OF_MANY = (
    "accuracy",
    *(f"weighted_{name}" for name in ("recall", "precision", "f0_5", "f1", "f2")),
)
MULTICLASS = (
    "confusion_matrix",
    *_OF_MANY,
    *(f"{name}_best_constant_classifier" for name in _OF_MANY),
)
"""The metrics of each problem, in the documented order."""

FORMS = {
    "confusion_matrix": MATRIX,
    "receiver_operating_characteristic_curve": closed(
        {"false_positive_rates": NUMBERS, "true_positive_rates": NUMBERS}
    ),
    "precision_recall_curve": closed({"precisions": NUMBERS, "recalls": NUMBERS}),
}


def schema(key, names):
    metrics = closed({name: FORMS.get(name, METRIC) for name in names})
    item_count = closed({"item_count": {"type": "integer"}})
    return closed({"version": {"const": 0.0}, "dataset": item_count, key: metrics})


def rng():
    return np.random.default_rng(0)


def scored(n, *, seed=0, dtype="int64"):
    draw = np.random.default_rng(seed)
    labels = pd.Series(draw.random(n) < 0.3).astype(dtype)
    scores = pd.Series((draw.random(n) + 0.5 * labels.astype(float)).round(1) / 1.5)
    return labels, (scores > 0.5).astype(dtype), scores


def classes(n, *, seed=0):
    draw = np.random.default_rng(seed)
    labels = pd.Series(draw.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]))
    return labels, labels.where(draw.random(n) < 0.6, pd.Series(draw.choice(["a", "b", "d"], n)))


def values(metrics):
    return {
        name: each["value"] for name, each in metrics.items() if set(each) >= {"standard_deviation"}
    }


# --------------------------------------------------------------- the numbers that are documented


def test_the_documented_example_of_two_classes_is_found_to_the_last_digit():
    found = binary_classification_metrics(
        pd.Series([0, 0, 0, 1]), pd.Series([0, 1, 1, 1]), pd.Series([0.1, 0.6, 0.7, 0.9]), rng=rng()
    )["binary_classification_metrics"]
    assert found["confusion_matrix"] == {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}
    assert values(found) == pytest.approx(
        {
            "recall": 1.0,
            "precision": 0.3333333333333333,
            "accuracy": 0.5,
            "recall_best_constant_classifier": 1.0,
            "precision_best_constant_classifier": 0.25,
            "accuracy_best_constant_classifier": 0.25,
            "true_positive_rate": 1.0,
            "true_negative_rate": 0.33333333333333337,
            "false_positive_rate": 0.6666666666666666,
            "false_negative_rate": 0.0,
            "auc": 1.0,
            "f0_5": 0.3846153846153846,
            "f1": 0.5,
            "f2": 0.7142857142857143,
            "f0_5_best_constant_classifier": 0.29411764705882354,
            "f1_best_constant_classifier": 0.4,
            "f2_best_constant_classifier": 0.625,
        },
        rel=1e-15,
    )
    assert {each["standard_deviation"] for each in found.values() if "value" in each} == {"NaN"}


def test_the_documented_example_of_several_classes_is_found():
    matrix = {"0": {"0": 1180, "1": 510}, "1": {"0": 268, "1": 138}}
    pairs = [(a, b) for a in matrix for b, n in matrix[a].items() for _ in range(n)]
    labels, predictions = (pd.Series(each) for each in zip(*pairs, strict=True))
    found = multiclass_classification_metrics(labels, predictions, rng=rng(), constant="1")
    found = found["multiclass_classification_metrics"]
    assert found["confusion_matrix"] == matrix
    assert values(found) == pytest.approx(
        {
            "accuracy": 0.6288167938931297,
            "weighted_recall": 0.6288167938931297,
            "weighted_precision": 0.6983172269629505,
            "weighted_f0_5": 0.6803947317178771,
            "weighted_f1": 0.6571162346664904,
            "weighted_f2": 0.6384024354394601,
            "accuracy_best_constant_classifier": 0.19370229007633588,
            "weighted_recall_best_constant_classifier": 0.19370229007633588,
            "weighted_precision_best_constant_classifier": 0.03752057718081697,
            "weighted_f0_5_best_constant_classifier": 0.04473443104152011,
            "weighted_f1_best_constant_classifier": 0.06286421244683643,
            "weighted_f2_best_constant_classifier": 0.10570313141262414,
        },
        rel=1e-12,
    )
    commonest = multiclass_classification_metrics(labels, predictions, rng=rng())
    best = commonest["multiclass_classification_metrics"]["accuracy_best_constant_classifier"]
    assert best["value"] == pytest.approx(1690 / 2096)


# --------------------------------------------------------------------------- scikit-learn's numbers


@pytest.mark.parametrize("dtype", ["int64", "Int64", "bool", "float64", "boolean"])
def test_two_classes_are_measured_as_scikit_learn_does(dtype):
    labels, predictions, scores = scored(400, dtype=dtype)
    true, told = labels.astype(int), predictions.astype(int)
    found = binary_classification_metrics(labels, predictions, scores, rng=rng())
    found = values(found["binary_classification_metrics"])
    assert found["recall"] == pytest.approx(sklearn_metrics.recall_score(true, told))
    assert found["precision"] == pytest.approx(sklearn_metrics.precision_score(true, told))
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(true, told))
    assert found["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(true, scores))
    for name, beta in (("f0_5", 0.5), ("f1", 1), ("f2", 2)):
        assert found[name] == pytest.approx(sklearn_metrics.fbeta_score(true, told, beta=beta))
        assert found[f"{name}_best_constant_classifier"] == pytest.approx(
            sklearn_metrics.fbeta_score(true, np.ones_like(true), beta=beta)
        )
    tn, fp, fn, tp = sklearn_metrics.confusion_matrix(true, told).ravel()
    assert found["true_negative_rate"] == pytest.approx(tn / (tn + fp))
    assert found["false_negative_rate"] == pytest.approx(fn / (fn + tp))


def test_several_classes_are_measured_as_scikit_learn_does():
    labels, predictions = classes(500)
    found = multiclass_classification_metrics(labels, predictions, rng=rng())
    found = found["multiclass_classification_metrics"]
    names = ["a", "b", "c", "d"]
    expected = sklearn_metrics.confusion_matrix(labels, predictions, labels=names).tolist()
    assert [list(row.values()) for row in found["confusion_matrix"].values()] == expected
    assert list(found["confusion_matrix"]["c"]) == names
    weighted = {"average": "weighted", "zero_division": 0}
    for told, suffix in ((predictions, ""), (pd.Series(["a"] * 500), "_best_constant_classifier")):
        for name, measure, more in (
            ("recall", sklearn_metrics.recall_score, {}),
            ("precision", sklearn_metrics.precision_score, {}),
            ("f0_5", sklearn_metrics.fbeta_score, {"beta": 0.5}),
            ("f1", sklearn_metrics.f1_score, {}),
            ("f2", sklearn_metrics.fbeta_score, {"beta": 2}),
        ):
            expected = measure(labels, told, **weighted, **more)
            assert found[f"weighted_{name}{suffix}"]["value"] == pytest.approx(expected)


def test_a_regression_is_measured_as_scikit_learn_does():
    draw = np.random.default_rng(3)
    labels = pd.Series(draw.normal(10, 20, 500))
    predictions = labels + draw.normal(1, 5, 500)
    predictions[7], labels[8] = np.nan, np.nan
    found = values(regression_metrics(labels, predictions, rng=rng())["regression_metrics"])
    there = labels.notna() & predictions.notna()
    pair = labels[there], predictions[there]
    assert found == pytest.approx(
        {
            "mae": sklearn_metrics.mean_absolute_error(*pair),
            "mse": sklearn_metrics.mean_squared_error(*pair),
            "rmse": sklearn_metrics.root_mean_squared_error(*pair),
            "r2": sklearn_metrics.r2_score(*pair),
        }
    )


def test_the_curves_are_scikit_learns_from_the_first_point_to_the_last():
    labels, predictions, scores = scored(300)
    scores[5] = np.nan
    found = binary_classification_metrics(labels, predictions, scores, rng=rng())
    found = found["binary_classification_metrics"]
    there = scores.notna()
    false_rates, true_rates, _ = sklearn_metrics.roc_curve(labels[there], scores[there])
    assert found["receiver_operating_characteristic_curve"] == {
        "false_positive_rates": false_rates.tolist(),
        "true_positive_rates": true_rates.tolist(),
    }
    curve = found["precision_recall_curve"]
    assert (curve["precisions"][0], curve["recalls"][0], curve["recalls"][-1]) == (1.0, 0.0, 1.0)
    assert curve["recalls"] == sorted(curve["recalls"])


def test_a_curve_has_at_most_a_thousand_points():
    draw = np.random.default_rng(1)
    labels, scores = pd.Series(draw.integers(0, 2, 20_000)), pd.Series(draw.random(20_000))
    found = binary_classification_metrics(labels, (scores > 0.5).astype(int), scores, rng=rng())
    curve = found["binary_classification_metrics"]["receiver_operating_characteristic_curve"]
    assert [len(each) for each in curve.values()] == [1_000, 1_000]
    assert (curve["false_positive_rates"][0], curve["true_positive_rates"][-1]) == (0.0, 1.0)


# ------------------------------------------------------------------------------ standard deviations


def test_below_200_rows_there_is_no_deviation_and_from_200_on_it_is_that_of_five_draws():
    labels, predictions, _ = scored(200)
    few = binary_classification_metrics(labels[:199], predictions[:199], rng=rng())
    assert few["binary_classification_metrics"]["accuracy"]["standard_deviation"] == "NaN"
    enough = binary_classification_metrics(labels, predictions, rng=rng())
    found = enough["binary_classification_metrics"]["accuracy"]["standard_deviation"]
    draw, right = rng(), (labels == predictions).to_numpy()
    drawn = [right[draw.choice(200, size=160, replace=False)].mean() for _ in range(5)]
    assert found == pytest.approx(np.std(drawn, ddof=1))
    assert found > 0


def test_the_deviation_is_about_half_of_the_metrics_own():
    draw = np.random.default_rng(5)
    found = []
    for _ in range(200):
        labels = pd.Series(draw.normal(0, 1, 400))
        metrics = regression_metrics(labels, labels + draw.normal(0, 1, 400), rng=draw)
        found.append(metrics["regression_metrics"]["mae"]["standard_deviation"])
    own = np.sqrt(1 - 2 / np.pi) / np.sqrt(400)  # of the mean of 400 |normal|
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(own / 2, rel=0.1)


# ------------------------------------------------------------------------------------- little data


def test_no_rows_give_metrics_that_are_none(tmp_path):
    none = pd.Series([], dtype="float64")
    for metrics in (
        regression_metrics(none, none, rng=rng()),
        binary_classification_metrics(none, none, none, rng=rng()),
        multiclass_classification_metrics(none, none, rng=rng(), constant="a"),
    ):
        [found] = metrics.values()
        assert set(values(found).values()) == {"NaN"}
        constraints = suggested_constraints(metrics)
        assert violations(metrics, constraints) == []
        assert list(constraints.values())[1] == {}
        read_statistics(write_statistics(metrics, tmp_path / "statistics.json", item_count=0))


def test_labels_that_do_not_vary_have_no_r2_and_one_class_no_curve():
    found = regression_metrics(pd.Series([3.0, 3.0]), pd.Series([3.0, 4.0]), rng=rng())
    assert values(found["regression_metrics"])["r2"] == "NaN"
    ones = pd.Series([1, 1, 1])
    found = binary_classification_metrics(ones, ones, pd.Series([0.2, 0.5, 0.9]), rng=rng())
    found = found["binary_classification_metrics"]
    assert found["auc"]["value"] == found["false_positive_rate"]["value"] == "NaN"
    assert "receiver_operating_characteristic_curve" not in found


def test_more_than_two_classes_and_unequal_lengths_are_refused():
    labels, predictions = classes(50)
    with pytest.raises(ValueError) as error:
        binary_classification_metrics(labels, predictions, rng=rng(), positive="a")
    assert str(error.value) == (
        "labels, predictions: hold 4 classes, of which positive='a' is one (a, b, c, d); see "
        "multiclass_classification_metrics"
    )
    with pytest.raises(ValueError, match=r"are of different lengths \[49, 50\]"):
        multiclass_classification_metrics(labels, predictions[:49], rng=rng())


# ------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("n", [150, 400])
def test_each_problem_has_the_documented_schema_and_order_and_comes_back(tmp_path, n):
    labels, predictions, scores = scored(n)
    for key, names, metrics in (
        (
            "regression_metrics",
            REGRESSION,
            regression_metrics(scores, predictions.astype(float), rng=rng()),
        ),
        (
            "binary_classification_metrics",
            BINARY,
            binary_classification_metrics(labels, predictions, scores, rng=rng()),
        ),
        (
            "multiclass_classification_metrics",
            MULTICLASS,
            multiclass_classification_metrics(*classes(n), rng=rng()),
        ),
    ):
        path = write_statistics(metrics, tmp_path / "statistics.json", item_count=n)
        jsonschema.validate(json.loads(path.read_text()), schema(key, names))
        order = [each.split(".")[2] for each in in_order(path) if each.startswith(f".{key}.")]
        assert tuple(dict.fromkeys(order)) == names
        assert read_statistics(path)[key] == metrics[key]
        path = write_constraints(suggested_constraints(metrics), tmp_path / "constraints.json")
        assert read_constraints(path) == suggested_constraints(metrics)


def test_constraints_are_the_baselines_values_each_with_its_bad_side(tmp_path):
    baseline = binary_classification_metrics(*scored(400), rng=rng())
    document = json.loads(
        write_constraints(suggested_constraints(baseline), tmp_path / "c.json").read_text()
    )
    assert document["version"] == 0.0
    rules = document["binary_classification_constraints"]
    assert rules["f1"] == {
        "threshold": baseline["binary_classification_metrics"]["f1"]["value"],
        "comparison_operator": "LessThanThreshold",
    }
    assert [n for n, rule in rules.items() if rule["comparison_operator"].startswith("G")] == [
        "false_positive_rate",
        "false_negative_rate",
    ]
    assert set(rules) == {
        *("recall", "precision", "accuracy", "auc", "f0_5", "f1", "f2"),
        *(f"{a}_{b}_rate" for a in ("true", "false") for b in ("positive", "negative")),
    }
    assert violations(baseline, suggested_constraints(baseline)) == []


def test_what_is_worse_is_violated_and_what_is_better_is_not(tmp_path):
    def of(mae, r2):
        return {"regression_metrics": {"mae": {"value": mae}, "r2": {"value": r2}}}

    constraints = suggested_constraints(of(10.0, 0.5))
    assert violations(of(9.0, 0.6), constraints) == []
    found = violations(of(11.5, 0.25), constraints)
    assert found == [
        {
            "constraint_check_type": "GreaterThanThreshold",
            "description": "Metric mae with 11.5 was GreaterThanThreshold 10.0",
            "metric_name": "mae",
        },
        {
            "constraint_check_type": "LessThanThreshold",
            "description": "Metric r2 with 0.25 was LessThanThreshold 0.5",
            "metric_name": "r2",
        },
    ]
    path = write_violations(found, tmp_path / "constraint_violations.json")
    assert json.loads(path.read_text()) == {"violations": found}
    assert read_violations(path) == found
    assert violations(of("NaN", 0.6), constraints) == []


def test_problems_that_differ_and_forms_that_are_wrong_are_refused(tmp_path):
    regression = {"regression_metrics": {"mae": {"value": 1.0}}}
    binary = {"binary_classification_constraints": {}}
    with pytest.raises(ValueError, match="^constraints: are of BinaryClassification, and the metr"):
        violations(regression, binary)
    with pytest.raises(ValueError, match="^metrics: has 0 of regression_metrics, binary_class"):
        suggested_constraints({})
    with pytest.raises(UnreadableFile) as error:
        write_statistics(regression, tmp_path / "s.json", item_count=1)
    assert str(error.value) == "metrics: regression_metrics.mae.standard_deviation is missing"
    assert not (tmp_path / "s.json").exists()
    path = tmp_path / "constraints.json"
    path.write_text(
        '{"version": 0.0, "regression_constraints": {"mae": {"threshold": 1, '
        '"comparison_operator": "Less"}}}'
    )
    with pytest.raises(UnreadableFile) as error:
        read_constraints(path)
    assert str(error.value) == (
        f'{path}: regression_constraints.mae.comparison_operator is "Less", and must be one of '
        "LessThanThreshold, GreaterThanThreshold"
    )


def test_a_real_file_with_more_in_it_is_read_and_its_more_is_kept(tmp_path):
    real = {
        "version": 0.0,
        "dataset": {"item_count": 3, "evaluation_time": "2022-04-18T00:21:48Z"},
        "regression_metrics": {"mae": {"value": 1.0, "standard_deviation": "NaN"}, "mape": 3},
    }
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(real))
    assert read_statistics(path) == real
    metrics = {"regression_metrics": {"mae": {"value": 2.0, "standard_deviation": 0.5}}}
    again = json.loads(
        write_statistics(metrics, path, item_count=4, keeping=read_statistics(path)).read_text()
    )
    assert again["dataset"] == {"item_count": 4, "evaluation_time": "2022-04-18T00:21:48Z"}
    assert again["regression_metrics"] == metrics["regression_metrics"] | {"mape": 3}


def test_the_module_says_what_is_documented():
    assert (model_quality.LEAST_ROWS, model_quality.N_DRAWS, model_quality.SHARE_DRAWN) == (
        200,
        5,
        0.8,
    )
