"""SageMaker Model Monitor's files on the quality of a model: metrics, constraints, violations.

The metrics have the documented names, each with a ``value`` and a ``standard_deviation`` from five
random draws of 80 % of the rows, which is ``"NaN"`` for fewer than 200 rows. The form is theirs;
for how sure a metric is, ask ``utils.monitors.performance``: five draws that share most of their
rows vary about half as much as the metric itself does.

Source: Amazon SageMaker Developer Guide, "Model quality metrics and Amazon CloudWatch monitoring".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.exporters import _forms
from utils.exporters._forms import Value
from utils.monitors.intervals import ratio

Problem = Literal["Regression", "BinaryClassification", "MulticlassClassification"]

LEAST_ROWS = 200
"""Rows below which there is no standard deviation."""

N_DRAWS = 5
SHARE_DRAWN = 0.8
MOST_POINTS = 1_000
"""Points that a curve has at most; the ones in between are left out."""

_BETAS = {"f0_5": 0.5, "f1": 1.0, "f2": 2.0}
_RATES = {
    "Regression": {"mae": "Greater", "mse": "Greater", "rmse": "Greater", "r2": "Less"},
    "BinaryClassification": {
        "recall": "Less",
        "precision": "Less",
        "accuracy": "Less",
        "true_positive_rate": "Less",
        "true_negative_rate": "Less",
        "false_positive_rate": "Greater",
        "false_negative_rate": "Greater",
        "auc": "Less",
        "f0_5": "Less",
        "f1": "Less",
        "f2": "Less",
    },
    "MulticlassClassification": {
        "accuracy": "Less",
        "weighted_recall": "Less",
        "weighted_precision": "Less",
        "weighted_f0_5": "Less",
        "weighted_f1": "Less",
        "weighted_f2": "Less",
    },
}
"""The metrics that are constrained, and on which side of its threshold a value is bad."""

_PREFIXES = {
    "Regression": "regression",
    "BinaryClassification": "binary_classification",
    "MulticlassClassification": "multiclass_classification",
}

Values = Mapping[str, float]
Counted = Callable[[np.ndarray], Values]
"""From the rows that count to the metrics on them."""


# Metrics


def regression_metrics(
    labels: pd.Series, predictions: pd.Series, *, rng: np.random.Generator
) -> dict[str, Any]:
    """Return mae, mse, rmse and r2 as Model Monitor has them: ``{"regression_metrics": …}``.

    Rows without a label or a prediction do not count. ``r2`` of labels that do not vary is
    ``"NaN"``, as every metric of no rows is.

    Raises ``ValueError`` for series of different lengths.

    >>> found = regression_metrics(
    ...     pd.Series([1.0, 2.0]), pd.Series([1.5, 2.5]), rng=np.random.default_rng(0))
    >>> found["regression_metrics"]["mae"]
    {'value': 0.5, 'standard_deviation': 'NaN'}
    """
    label, prediction = _together(labels, predictions, None)[:2]
    label, prediction = label.to_numpy(dtype=float), prediction.to_numpy(dtype=float)

    def measured(rows: np.ndarray) -> Values:
        true, error = label[rows], prediction[rows] - label[rows]
        n, squares = float(len(error)), float((error**2).sum())
        mse = ratio(squares, n)
        spread = float(((true - true.mean()) ** 2).sum()) if n else 0.0
        return {
            "mae": ratio(np.abs(error).sum(), n),
            "mse": mse,
            "rmse": np.sqrt(mse),
            "r2": 1 - ratio(squares, spread),
        }

    return {"regression_metrics": _with_deviation(measured, len(label), rng=rng)}


def binary_classification_metrics(
    labels: pd.Series,
    predictions: pd.Series,
    scores: pd.Series | None = None,
    *,
    rng: np.random.Generator,
    positive: Any = 1,
) -> dict[str, Any]:
    """Return the metrics of two classes: ``{"binary_classification_metrics": …}``.

    The confusion matrix counts the labels (outer) by the predictions (inner), under the names of
    the classes as text. The *best constant classifier* always answers ``positive``: of the two
    constants it is the one whose recall, precision and F are not 0 (this is what the documented
    example shows). Its accuracy may be far below that of always answering no: it is no bar to be
    proud of passing.

    Curves and ``auc`` are there with ``scores``, and rest on the rows that have one.

    Raises ``ValueError`` for series of different lengths, and for more than two classes.

    >>> labels, predictions = pd.Series([0, 0, 0, 1]), pd.Series([0, 1, 1, 1])
    >>> found = binary_classification_metrics(labels, predictions, rng=np.random.default_rng(0))
    >>> metrics = found["binary_classification_metrics"]
    >>> metrics["confusion_matrix"], metrics["f2_best_constant_classifier"]["value"]
    ({'0': {'0': 1, '1': 2}, '1': {'0': 0, '1': 1}}, 0.625)
    """
    label, prediction, score = _together(labels, predictions, scores)
    classes = _classes(label, prediction, positive)
    if len(classes) > 2:
        shown = ", ".join(map(str, classes[:4])) + (", …" if len(classes) > 4 else "")
        raise ValueError(
            f"labels, predictions: hold {len(classes)} classes, of which positive={positive!r} is "
            f"one ({shown}); see multiclass_classification_metrics"
        )
    is_true, is_told = (label == positive).to_numpy(), (prediction == positive).to_numpy()
    has_score = score is not None and bool(score.notna().any())
    value = score.to_numpy(dtype=float, na_value=np.nan) if has_score else None

    def measured(rows: np.ndarray) -> Values:
        true, told = is_true[rows], is_told[rows]
        found = _of_two(true, told) | _constant(_of_two(true, np.ones_like(true)))
        return found | ({"auc": _auc(true, value[rows])} if has_score else {})

    found = _with_deviation(measured, len(label), rng=rng)
    found["confusion_matrix"] = _confusion(label, prediction, classes)
    if has_score:
        found |= _curves(is_true, value)
    return {"binary_classification_metrics": {n: found[n] for n in _BINARY_ORDER if n in found}}


_RATIOS = ("recall", "precision", "accuracy")
_BINARY_ORDER = (
    "confusion_matrix",
    *_RATIOS,
    *(f"{name}_best_constant_classifier" for name in _RATIOS),
    "true_positive_rate",
    "true_negative_rate",
    "false_positive_rate",
    "false_negative_rate",
    "receiver_operating_characteristic_curve",
    "precision_recall_curve",
    "auc",
    *_BETAS,
    *(f"{name}_best_constant_classifier" for name in _BETAS),
)


def multiclass_classification_metrics(
    labels: pd.Series,
    predictions: pd.Series,
    *,
    rng: np.random.Generator,
    constant: Any = None,
) -> dict[str, Any]:
    """Return the metrics of several classes: ``{"multiclass_classification_metrics": …}``.

    Recall, precision and F are means over the classes weighted by how often each is the label; a
    class that is never predicted has a precision of 0. The *best constant classifier* always
    answers ``constant``, by default the commonest label (the documented example shows the rarer of
    its two classes).

    Raises ``ValueError`` for series of different lengths.

    >>> labels, predictions = pd.Series(["a", "a", "b", "c"]), pd.Series(["a", "b", "b", "b"])
    >>> found = multiclass_classification_metrics(
    ...     labels, predictions, rng=np.random.default_rng(0))
    >>> metrics = found["multiclass_classification_metrics"]
    >>> metrics["accuracy"]["value"], metrics["accuracy_best_constant_classifier"]["value"]
    (0.5, 0.5)
    """
    label, prediction, _ = _together(labels, predictions, None)
    classes = _classes(label, prediction, constant)
    places = {value: at for at, value in enumerate(classes)}
    true = label.map(places).to_numpy(dtype=np.int64)
    told = prediction.map(places).to_numpy(dtype=np.int64)
    n_each = np.bincount(true, minlength=len(classes))
    answer = places[constant] if constant is not None else int(n_each.argmax()) if len(true) else 0

    def measured(rows: np.ndarray) -> Values:
        always = np.full(len(rows), answer)
        found = _of_many(true[rows], told[rows], len(classes))
        return found | _constant(_of_many(true[rows], always, len(classes)))

    matrix = {"confusion_matrix": _confusion(label, prediction, classes)}
    deviating = _with_deviation(measured, len(label), rng=rng)
    return {"multiclass_classification_metrics": matrix | deviating}


def _together(
    labels: pd.Series, predictions: pd.Series, scores: pd.Series | None
) -> tuple[pd.Series, pd.Series, pd.Series | None]:
    """Return the rows that have both a label and a prediction."""
    lengths = {len(each) for each in (labels, predictions, scores) if each is not None}
    if len(lengths) > 1:
        raise ValueError(f"labels, predictions, scores: are of different lengths {sorted(lengths)}")
    there = labels.notna().to_numpy() & predictions.notna().to_numpy()
    return labels[there], predictions[there], None if scores is None else scores[there]


def _classes(label: pd.Series, prediction: pd.Series, named: Any) -> list[Any]:
    found = {*label.unique(), *prediction.unique()} | ({named} - {None})
    return sorted(found, key=lambda each: (isinstance(each, str), each))


def _confusion(
    label: pd.Series, prediction: pd.Series, classes: Sequence[Any]
) -> dict[str, dict[str, int]]:
    counts = pd.DataFrame({"true": label.to_numpy(), "told": prediction.to_numpy()}).value_counts()
    found = counts.to_dict()
    return {
        _text(true): {_text(told): int(found.get((true, told), 0)) for told in classes}
        for true in classes
    }


def _text(value: Any) -> str:
    """Return a class as text, a whole number without its fraction."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _of_two(true: np.ndarray, told: np.ndarray) -> dict[str, float]:
    tp, fp = float((true & told).sum()), float((~true & told).sum())
    fn, tn = float((true & ~told).sum()), float((~true & ~told).sum())
    recall, precision = ratio(tp, tp + fn), ratio(tp, tp + fp)
    fall_out = ratio(fp, fp + tn)
    return {
        "recall": recall,
        "precision": precision,
        "accuracy": ratio(tp + tn, len(true)),
        "true_positive_rate": recall,
        "true_negative_rate": 1 - fall_out,
        "false_positive_rate": fall_out,
        "false_negative_rate": 1 - recall,
        **{name: _f(tp, fp, fn, beta=beta) for name, beta in _BETAS.items()},
    }


def _f(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, *, beta: float) -> np.ndarray:
    return ratio((1 + beta**2) * tp, (1 + beta**2) * tp + beta**2 * fn + fp)


def _of_many(true: np.ndarray, told: np.ndarray, n_classes: int) -> dict[str, float]:
    tp = np.bincount(true[true == told], minlength=n_classes).astype(float)
    n_true = np.bincount(true, minlength=n_classes).astype(float)
    n_told = np.bincount(told, minlength=n_classes).astype(float)
    fp, fn = n_told - tp, n_true - tp

    def weighted(values: np.ndarray) -> np.ndarray:
        return ratio((np.nan_to_num(values) * n_true).sum(), n_true.sum())

    return {
        "accuracy": ratio(tp.sum(), n_true.sum()),
        "weighted_recall": weighted(ratio(tp, n_true)),
        "weighted_precision": weighted(ratio(tp, n_told)),
        **{
            f"weighted_{name}": weighted(_f(tp, fp, fn, beta=beta)) for name, beta in _BETAS.items()
        },
    }


def _constant(metrics: Values) -> dict[str, float]:
    return {
        f"{name}_best_constant_classifier": value
        for name, value in metrics.items()
        if not name.endswith("_rate")
    }


def _auc(true: np.ndarray, score: np.ndarray) -> float:
    """Return the share of pairs (positive, negative) that the score orders; a tie is half."""
    from scipy.stats import rankdata

    there = ~np.isnan(score)
    true, score = true[there], score[there]
    n, m = float(true.sum()), float((~true).sum())
    above = rankdata(score)[true].sum() - n * (n + 1) / 2
    return ratio(above, n * m)


def _curves(true: np.ndarray, score: np.ndarray) -> dict[str, dict[str, list[float]]]:
    from sklearn.metrics import precision_recall_curve, roc_curve

    there = ~np.isnan(score)
    true, score = true[there], score[there]
    if true.all() or not true.any():
        return {}
    false_rates, true_rates, _ = roc_curve(true, score)
    precisions, recalls, _ = precision_recall_curve(true, score, drop_intermediate=True)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": _thinned(false_rates),
            "true_positive_rates": _thinned(true_rates),
        },
        "precision_recall_curve": {
            "precisions": _thinned(precisions[::-1]),
            "recalls": _thinned(recalls[::-1]),
        },
    }


def _thinned(values: np.ndarray) -> list[float]:
    if len(values) > MOST_POINTS:
        values = values[np.linspace(0, len(values) - 1, MOST_POINTS).round().astype(int)]
    return values.tolist()


def _with_deviation(
    measured: Counted, n: int, *, rng: np.random.Generator
) -> dict[str, dict[str, float | str]]:
    """Return each metric with its standard deviation over the draws (n-1 in the denominator)."""
    values = measured(np.arange(n))
    drawn = [
        measured(rng.choice(n, size=round(SHARE_DRAWN * n), replace=False))
        for _ in range(N_DRAWS if n >= LEAST_ROWS else 0)
    ]
    return {
        name: {
            "value": _forms.written(value),
            "standard_deviation": _forms.written(
                np.std([float(each[name]) for each in drawn], ddof=1) if drawn else np.nan
            ),
        }
        for name, value in values.items()
    }


# Files

_METRIC = {"value": Value.NUMBER, "standard_deviation": Value.NUMBER}
_CURVE = {"*": [Value.NUMBER]}
_MATRIX = {"*": {"*": Value.COUNT}}
_WHOLE = {
    "confusion_matrix?": _MATRIX,
    "receiver_operating_characteristic_curve?": _CURVE,
    "precision_recall_curve?": _CURVE,
}


def _metrics_form(problem: Problem) -> dict[str, Any]:
    names = [*_RATES[problem], *(f"{n}_best_constant_classifier" for n in _RATES[problem])]
    return {**_WHOLE, **{f"{name}?": _METRIC for name in names}}


STATISTICS: Mapping[str, Any] = {
    "version?": Value.NUMBER,
    "dataset?": {"item_count": Value.COUNT},
    **{f"{_PREFIXES[problem]}_metrics?": _metrics_form(problem) for problem in _PREFIXES},
}
"""The form of ``statistics.json`` of a model's quality."""

_THRESHOLD = {
    "threshold": Value.NUMBER,
    "comparison_operator": ("LessThanThreshold", "GreaterThanThreshold"),
}
CONSTRAINTS: Mapping[str, Any] = {
    "version": Value.NUMBER,
    **{f"{prefix}_constraints?": {"*": _THRESHOLD} for prefix in _PREFIXES.values()},
}
"""The form of ``constraints.json`` of a model's quality."""

VIOLATIONS: Mapping[str, Any] = {
    "violations": [
        {
            "constraint_check_type": ("LessThanThreshold", "GreaterThanThreshold"),
            "description": str,
            "metric_name": str,
        }
    ]
}
"""The form of ``constraint_violations.json`` of a model's quality."""


def write_statistics(
    metrics: Mapping[str, Any],
    path: Path | str,
    *,
    item_count: int,
    keeping: Mapping[str, Any] | None = None,
) -> Path:
    """Write the metrics of a model, of so many rows, as ``statistics.json``; return its path.

    Raises ``UnreadableFile`` for metrics that have not the form.

    >>> from tempfile import TemporaryDirectory
    >>> metrics = regression_metrics(
    ...     pd.Series([1.0, 2.0]), pd.Series([1.5, 2.5]), rng=np.random.default_rng(0))
    >>> with TemporaryDirectory() as folder:
    ...     path = write_statistics(metrics, f"{folder}/statistics.json", item_count=2)
    ...     read_statistics(path)["regression_metrics"] == metrics["regression_metrics"]
    True
    """
    document = {"version": 0.0, "dataset": {"item_count": item_count}, **metrics}
    _forms.check(document, STATISTICS, place="metrics")
    return _forms.write(document, path, STATISTICS, keeping=keeping)


def read_statistics(path: Path | str) -> dict[str, Any]:
    """Return the document of a ``statistics.json`` of a model's quality, ours or SageMaker's.

    Raises ``UnreadableFile`` naming the file, the key and the rule.
    """
    return _forms.read(path, STATISTICS)


def suggested_constraints(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constraints that a baseline's metrics suggest: each must be no worse than there.

    A metric that is none (``"NaN"``) has no constraint, nor have constants and curves.

    **What it does not tell.** A model that is as good as ever falls below its own baseline every
    other time: give a threshold room, by the interval of a window as large as those to come.

    Raises ``ValueError`` for metrics of no problem.

    >>> suggested_constraints({"regression_metrics": {"mae": {"value": 11.9}}})
    {'version': 0.0, 'regression_constraints': {'mae': {'threshold': 11.9, 'comparison_operator': \
'GreaterThanThreshold'}}}
    """
    problem, found = _of_a_problem(metrics, "metrics")
    values = {
        name: _forms.number(found[name]["value"]) for name in _RATES[problem] if name in found
    }
    return {
        "version": 0.0,
        f"{_PREFIXES[problem]}_constraints": {
            name: {
                "threshold": value,
                "comparison_operator": f"{_RATES[problem][name]}ThanThreshold",
            }
            for name, value in values.items()
            if np.isfinite(value)
        },
    }


def violations(metrics: Mapping[str, Any], constraints: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return which constraints the metrics of a window break, as their files tell it.

    A metric that is none, or is not there, breaks nothing.

    Raises ``ValueError`` where metrics and constraints are of different problems.

    >>> baseline = {"regression_metrics": {"mae": {"value": 11.9}}}
    >>> worse = {"regression_metrics": {"mae": {"value": 14.0}}}
    >>> [found] = violations(worse, suggested_constraints(baseline))
    >>> found["description"]
    'Metric mae with 14.0 was GreaterThanThreshold 11.9'
    """
    problem, found = _of_a_problem(metrics, "metrics")
    asked_of, asked = _of_a_problem(constraints, "constraints")
    if problem != asked_of:
        raise ValueError(f"constraints: are of {asked_of}, and the metrics of {problem}")
    broken = []
    for name, rule in asked.items():
        value = _forms.number(found.get(name, {}).get("value", "NaN"))
        threshold, operator = _forms.number(rule["threshold"]), rule["comparison_operator"]
        if value < threshold if operator == "LessThanThreshold" else value > threshold:
            broken.append(
                {
                    "constraint_check_type": operator,
                    "description": f"Metric {name} with {value} was {operator} {threshold}",
                    "metric_name": name,
                }
            )
    return broken


def _of_a_problem(document: Mapping[str, Any], what: str) -> tuple[Problem, Mapping[str, Any]]:
    found = [p for p, prefix in _PREFIXES.items() if f"{prefix}_{what}" in document]
    if len(found) != 1:
        keys = ", ".join(f"{prefix}_{what}" for prefix in _PREFIXES.values())
        raise ValueError(f"{what}: has {len(found)} of {keys}; one is needed")
    return found[0], document[f"{_PREFIXES[found[0]]}_{what}"]


def write_constraints(
    constraints: Mapping[str, Any],
    path: Path | str,
    *,
    keeping: Mapping[str, Any] | None = None,
) -> Path:
    """Write the constraints on a model's quality as ``constraints.json``; return its path.

    Raises ``UnreadableFile`` for constraints that have not the form.
    """
    _forms.check(constraints, CONSTRAINTS, place="constraints")
    return _forms.write(constraints, path, CONSTRAINTS, keeping=keeping)


def read_constraints(path: Path | str) -> dict[str, Any]:
    """Return the document of a ``constraints.json`` of a model's quality.

    Raises ``UnreadableFile`` naming the file, the key and the rule.
    """
    return _forms.read(path, CONSTRAINTS)


def write_violations(broken: Sequence[Mapping[str, str]], path: Path | str) -> Path:
    """Write what was broken as ``constraint_violations.json``; return its path.

    Raises ``UnreadableFile`` for violations that have not the form.
    """
    document = {"violations": [dict(each) for each in broken]}
    _forms.check(document, VIOLATIONS, place="violations")
    return _forms.write(document, path, VIOLATIONS)


def read_violations(path: Path | str) -> list[dict[str, str]]:
    """Return the violations in a ``constraint_violations.json`` of a model's quality.

    Raises ``UnreadableFile`` naming the file, the key and the rule.
    """
    return _forms.read(path, VIOLATIONS)["violations"]
