"""Was the model right? Performance as sums over the rows whose label is known: a measure.

The same metrics as ``performance``, from sums over blocks of rows, for a dashboard of many windows
and for thresholds that are found by adding blocks. What needs the order of the rows (the area under
the ROC curve) is taken from fine bins of the score; everything else is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.intervals import ratio
from utils.monitors.measures import Line, Side, sums
from utils.text import nearest

Task = Literal["classification", "regression"]
MONITOR = "performance"
CALIBRATION = "calibration"

SCORE_BINS = 64
"""Bins of the score for the area under the ROC curve."""

CALIBRATION_BINS = 10
MAX_CLASSES = 20
"""With more classes than these, accuracy alone is measured."""


@dataclass(frozen=True)
class _Metric:
    """How a metric is judged: the bad side, the scale of its interval, what it needs."""

    side: Side
    scale: str
    needs: str = ""
    monitor: str = MONITOR
    minimum: int = 30
    of: str = "prediction"  # what a row must have beside its label
    by_default: bool = True


_METRICS: Mapping[str, Mapping[str, _Metric]] = {
    "classification": {
        "accuracy": _Metric("low", "logit"),
        "precision": _Metric("low", "logit", "positive"),
        "recall": _Metric("low", "logit", "positive"),
        "specificity": _Metric("low", "logit", "positive", by_default=False),
        "f1": _Metric("low", "logit", "positive"),
        "balanced_accuracy": _Metric("low", "logit", "classes", by_default=False),
        "macro_f1": _Metric("low", "logit", "classes"),
        "roc_auc": _Metric("low", "logit", "score", of="score"),
        "log_loss": _Metric("high", "log", "probability", of="score"),
        "brier": _Metric("high", "log", "probability", of="score"),
        "calibration_bias": _Metric("both", "linear", "probability", CALIBRATION, of="score"),
        "calibration_error": _Metric(
            "high", "linear", "probability", CALIBRATION, minimum=100, of="score"
        ),
    },
    "regression": {
        "mae": _Metric("high", "log"),
        "rmse": _Metric("high", "log"),
        "bias": _Metric("both", "linear"),
        "r2": _Metric("low", "log of the rest"),
    },
}


# ------------------------------------------------------------------------------ reading the frame


def probabilities(frame: pd.DataFrame, name: str, *, argument: str) -> np.ndarray:
    """Return a column of numbers between 0 and 1, ``NaN`` where missing.

    >>> probabilities(pd.DataFrame({"score": [1.5]}), "score", argument="score_column")
    Traceback (most recent call last):
    ValueError: score_column='score' holds 1.5; a probability is in 0..1
    """
    values = windows.numbers(frame, name, argument=argument)
    outside = values[(values < 0) | (values > 1)]
    if len(outside):
        raise ValueError(f"{argument}={name!r} holds {outside[0]:g}; a probability is in 0..1")
    return values


def quantile_edges(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the edges of bins of about as many values each: bin k is edges[k-1] < v <= edges[k].

    Equal values stay together, so there may be fewer bins; where there are no more distinct values
    than bins, each has its own. Missing values do not count.

    >>> quantile_edges(np.array([1.0, 1.0, 2.0, 5.0]), 3).tolist()
    [1.0, 2.0]
    """
    values = values[~np.isnan(values)]
    distinct = np.unique(values)
    if len(distinct) <= n_bins:
        return distinct[:-1]
    return np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1]))


def classes_of(frame: pd.DataFrame, *, prediction_column: str, label_column: str) -> list[Any]:
    """Return the classes that are labels or predictions, sorted.

    Raises ``ValueError`` where some are text and some numbers: they would never be equal.

    >>> frame = pd.DataFrame({"prediction": ["b", "a"], "label": ["a", None]})
    >>> classes_of(frame, prediction_column="prediction", label_column="label")
    ['a', 'b']
    """
    both = _both(frame, prediction_column=prediction_column, label_column=label_column)
    found = list(pd.factorize(both, sort=True)[1])
    _check_alike(found, prediction_column=prediction_column, label_column=label_column)
    return found


def class_codes(
    frame: pd.DataFrame,
    classes: Sequence[Any],
    *,
    prediction_column: str,
    label_column: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the codes of labels and predictions, and which predictions are right.

    A code is the place among ``classes``, their number for any other class, -1 for a missing one.
    Without a label column all labels are missing.

    >>> frame = pd.DataFrame({"prediction": [1, 0, 7], "label": [1.0, None, 7.0]})
    >>> names = {"prediction_column": "prediction", "label_column": "label"}
    >>> [each.tolist() for each in class_codes(frame, [0, 1], **names)]
    [[1, -1, 2], [1, 0, 2], [True, False, True]]
    """
    both = _both(frame, prediction_column=prediction_column, label_column=label_column)
    codes, found = pd.factorize(both)
    _check_alike([*classes, *found], prediction_column=prediction_column, label_column=label_column)
    place = {each: code for code, each in enumerate(classes)}
    to_code = np.array([*(place.get(each, len(classes)) for each in found), -1])
    label, prediction = np.split(codes, 2)
    return to_code[label], to_code[prediction], (label == prediction) & (label >= 0)


def _both(frame: pd.DataFrame, *, prediction_column: str, label_column: str | None) -> pd.Series:
    prediction = windows.column(frame, prediction_column, argument="prediction_column")
    if label_column is None:
        return pd.concat(
            [prediction.where(np.zeros(len(frame), dtype=bool)), prediction], ignore_index=True
        )
    label = windows.column(frame, label_column, argument="label_column")
    return pd.concat([label, prediction], ignore_index=True)


def _check_alike(classes: list[Any], *, prediction_column: str, label_column: str | None) -> None:
    if len({isinstance(each, str) for each in classes}) > 1:
        of_label = "" if label_column is None else f"label_column={label_column!r} and "
        raise ValueError(
            f"{of_label}prediction_column={prediction_column!r}: there are both text and numbers "
            f"({classes!r}); the classes must be written alike"
        )


def positive_class(classes: Sequence[Any], positive: Any) -> int | None:
    """Return the code of the class that counts as positive: 1 or True of 0 and 1 unless named.

    >>> positive_class([0, 1], None), positive_class(["a", "b"], None)
    (1, None)
    """
    if positive is None:
        return list(classes).index(1) if 1 in classes and set(classes) <= {0, 1} else None
    if positive not in classes:
        raise ValueError(f"positive={positive!r} is no class of the reference: {list(classes)!r}")
    return list(classes).index(positive)


# ----------------------------------------------------------------------------------------- groups


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Everyone and the commonest groups of a column: where a row's sums are added.

    The rest, and groups that the reference did not have, count for everyone only.
    """

    column: str | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, reference: pd.DataFrame, column: str | None, *, most: int = 8) -> Groups:
        """Return everyone and the ``most`` commonest groups, sorted by name.

        >>> Groups.of(pd.DataFrame({"origin": ["JFK", "EWR", "JFK"]}), "origin", most=1).names
        ('JFK',)
        """
        if column is None:
            return cls()
        if most < 1:
            raise ValueError(f"max_groups={most!r}: at least 1 is needed")
        codes, names = _group_codes(reference, column)
        commonest = np.argsort(-np.bincount(codes, minlength=len(names)), kind="stable")[:most]
        return cls(column=column, names=tuple(sorted(names[each] for each in commonest)))

    def __len__(self) -> int:
        return 1 + len(self.names)

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the place of each row's group among the names; their number for the rest."""
        if self.column is None:
            return np.zeros(len(frame), dtype=int)
        codes, names = _group_codes(frame, self.column)
        place = {name: code for code, name in enumerate(self.names)}
        return np.array([place.get(name, len(self.names)) for name in names], dtype=int)[codes]

    def cells(
        self,
        frame: pd.DataFrame,
        block: np.ndarray,
        n_blocks: int,
        summed: Callable[[np.ndarray, int], np.ndarray],
    ) -> np.ndarray:
        """Return the sums of everyone and of each group, side by side (n_blocks × cells).

        ``summed`` returns the sums of so many blocks from the block of each row.
        """
        by_group = summed(block * len(self) + self.codes(frame), n_blocks * len(self))
        by_group = by_group.reshape(n_blocks, len(self), -1)
        everyone = by_group.sum(axis=1, keepdims=True)
        return np.concatenate([everyone, by_group[:, :-1]], axis=1).reshape(n_blocks, -1)

    def split(self, cells: np.ndarray) -> np.ndarray:
        """Return the cells by everyone and group (…, groups, cells)."""
        return cells.reshape(*cells.shape[:-1], len(self), -1)

    def lines(self, of_one: Sequence[dict[str, Any]]) -> tuple[Line, ...]:
        """Return the lines of everyone, then those of each group."""
        return tuple(Line(group=name, **each) for name in ("", *self.names) for each in of_one)


def _group_codes(frame: pd.DataFrame, column: str) -> tuple[np.ndarray, list[str]]:
    from utils.monitors.performance import group_codes

    return group_codes(windows.column(frame, column, argument="group_column"))


# ------------------------------------------------------------------------------------ the measure

Sums = Mapping[str, np.ndarray]
"""Sums by name, each (…, width)."""


def by_code(
    code: np.ndarray,
    width: int,
    block: np.ndarray,
    n_blocks: int,
    *,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Return how many rows of each block have each code (n_blocks × width), or their weights.

    >>> by_code(np.array([0, 1, 1]), 2, np.array([0, 0, 1]), 2).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    found = np.bincount(block * width + code, weights=weights, minlength=n_blocks * width)
    return found.reshape(n_blocks, width).astype(float)


@dataclass(frozen=True, kw_only=True)
class Realised:
    """Realised performance as a measure: what the labels that are known say of the model.

    The lines are the metrics of ``performance``, by the same names, and ``calibration_error`` of
    ``calibration``, of everyone and of each group. Those of calibration are a monitor of their own.

    **What it does not tell.** As ``performance``: it judges by the rows whose label is known, which
    are no fair sample, and it is late by as long as labels take. A threshold on it says that the
    model does worse than in the reference, not why.

    **Exact, and not.** All values are those of ``performance`` but one. ``roc_auc`` counts as ties
    the pairs within one of the ``SCORE_BINS`` bins of the score, so it is wrong by at most half the
    share of such pairs: by less than 0.01 while scores spread as in the reference (a thousandth on
    average in windows of 150 rows), by more once they crowd into few bins, and not at all where
    there are no more distinct scores than bins. ``calibration_error`` has the bins of the reference
    where ``calibration`` takes each window's own, and leaves out a bin of one row. Classes that the
    reference did not have count as one class. With more than ``MAX_CLASSES`` there is accuracy
    alone.
    """

    task: Task
    metrics: tuple[str, ...]
    groups: Groups
    prediction_column: str
    score_column: str
    label_column: str
    classes: tuple[Any, ...] = ()
    positive: int | None = None
    score_edges: tuple[float, ...] = ()
    calibration_edges: tuple[float, ...] = ()
    centre: float = 0.0

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        task: Task,
        prediction_column: str = "prediction",
        score_column: str = "score",
        label_column: str = "label",
        group_column: str | None = None,
        max_groups: int = 8,
        positive: Any = None,
        metrics: Sequence[str] | None = None,
    ) -> Realised:
        """Return the measure: classes, bins of the score and groups are those of the reference.

        ``metrics=None`` takes what the columns allow: of classification accuracy, precision,
        recall, f1 and macro_f1, roc_auc, log_loss, brier, calibration_bias and calibration_error;
        of regression mae, rmse, bias and r2. ``specificity`` and ``balanced_accuracy`` are measured
        when named. The score is that of the class ``positive`` (1 or True unless named).

        Raises ``ValueError`` naming the argument, the value and the rule.

        >>> frame = pd.DataFrame({"prediction": [10.0, 20.0, 5.0], "label": [13.0, 21.0, None]})
        >>> measure = Realised.of(frame, task="regression", metrics=["mae", "bias"])
        >>> cells = measure.cells(frame, np.array([0, 1, 1]), 2)
        >>> measure.values(cells.sum(axis=0), cells.sum(axis=0)).tolist()
        [2.0, -2.0]
        """
        columns = {"prediction_column": prediction_column, "label_column": label_column}
        groups = Groups.of(reference, group_column, most=max_groups)
        _check_task(task)
        if task == "regression":
            windows.numbers(reference, prediction_column, argument="prediction_column")
            label = windows.numbers(reference, label_column, argument="label_column")
            known = label[~np.isnan(label)]
            held = {"centre": float(np.median(known)) if len(known) else 0.0}
            lacking = {}
        else:
            held, lacking = _of_classes(reference, positive, score_column=score_column, **columns)
        return cls(
            task=task,
            metrics=_chosen(metrics, task=task, lacking=lacking),
            groups=groups,
            score_column=score_column,
            **columns,
            **held,
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        chosen = [(name, _METRICS[self.task][name]) for name in self.metrics]
        return self.groups.lines(
            [
                {
                    "monitor": metric.monitor,
                    "metric": name,
                    "side": metric.side,
                    "minimum": metric.minimum,
                    "scale": metric.scale,
                    "labelled": True,
                }
                for name, metric in chosen
            ]
        )

    @property
    def n_cells(self) -> int:
        return len(self.groups) * sum(self._widths.values())

    @property
    def _widths(self) -> dict[str, int]:
        """How many sums of each name there are of everyone, and of each group."""
        if self.task == "regression":
            return dict.fromkeys(("n", "absolute", "square", "error", "label", "label_square"), 1)
        by_class = len(self.classes) + 1 if self.classes else 0
        widths = {"n": 1, "right": 1}
        widths |= dict.fromkeys(("right_by", "predicted_by", "actual_by"), by_class)
        if self._uses("roc_auc"):
            widths |= dict.fromkeys(("positives", "negatives"), len(self.score_edges) + 1)
        if self._uses("log_loss", "brier", "calibration_bias", "calibration_error"):
            widths |= dict.fromkeys(("n_scored", "log_loss", "brier", "gap"), 1)
            n_bins = len(self.calibration_edges) + 1
            widths |= dict.fromkeys(("n_by_bin", "gap_by_bin", "gap_square_by_bin"), n_bins)
        return widths

    def _uses(self, *metrics: str) -> bool:
        return any(name in self.metrics for name in metrics)

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        """Return the sums over the rows of each block whose label is known.

        Raises ``ValueError`` as ``of``: for labels that are no numbers, scores outside 0..1, …
        """
        read = self._errors if self.task == "regression" else self._answers
        rows = read(frame)

        def summed(at: np.ndarray, n: int) -> np.ndarray:
            found = rows(at, n)
            return np.concatenate([found[name] for name in self._widths], axis=1)

        return self.groups.cells(frame, block, n_blocks, summed)

    def _errors(self, frame: pd.DataFrame) -> Callable[[np.ndarray, int], Sums]:
        label = windows.numbers(frame, self.label_column, argument="label_column")
        prediction = windows.numbers(frame, self.prediction_column, argument="prediction_column")
        error = prediction - label
        known = ~np.isnan(error)
        centred = np.where(known, label - self.centre, np.nan)
        parts = {
            "n": known.astype(float),
            "absolute": np.abs(error),
            "square": error**2,
            "error": error,
            "label": centred,
            "label_square": centred**2,
        }
        return lambda at, n: {name: sums(each, at, n)[:, None] for name, each in parts.items()}

    def _answers(self, frame: pd.DataFrame) -> Callable[[np.ndarray, int], Sums]:
        label, prediction, right = class_codes(
            frame,
            self.classes,
            prediction_column=self.prediction_column,
            label_column=self.label_column,
        )
        there = (label >= 0) & (prediction >= 0)
        score = gap = loss = np.array([])
        scored = np.zeros(len(frame), dtype=bool)
        actual = label == self.positive
        widths = self._widths
        if "n_scored" in widths or "positives" in widths:
            read = probabilities if "n_scored" in widths else windows.numbers
            score = read(frame, self.score_column, argument="score_column")
            scored = (label >= 0) & ~np.isnan(score)
        if "n_scored" in widths:
            gap, loss = score - actual, _log_loss(score, actual)

        def summed(at: np.ndarray, n: int) -> Sums:
            found = {
                "n": sums(there, at, n)[:, None],
                "right": sums(right, at, n)[:, None],
            }
            for name, code, rows in (
                ("right_by", label, right),
                ("predicted_by", prediction, there),
                ("actual_by", label, there),
            ):
                if widths[name]:
                    found[name] = by_code(code[rows], widths[name], at[rows], n)
                else:
                    found[name] = np.zeros((n, 0))
            for name, rows in (("positives", scored & actual), ("negatives", scored & ~actual)):
                if name in widths:
                    bins = np.searchsorted(self.score_edges, score[rows])
                    found[name] = by_code(bins, widths[name], at[rows], n)
            if "n_scored" in widths:
                at, gaps = at[scored], gap[scored]
                bins = np.searchsorted(self.calibration_edges, score[scored])
                width = widths["n_by_bin"]
                found |= {
                    "n_scored": sums(np.ones(len(at)), at, n)[:, None],
                    "log_loss": sums(loss[scored], at, n)[:, None],
                    "brier": sums(gaps**2, at, n)[:, None],
                    "gap": sums(gaps, at, n)[:, None],
                    "n_by_bin": by_code(bins, width, at, n),
                    "gap_by_bin": by_code(bins, width, at, n, weights=gaps),
                    "gap_square_by_bin": by_code(bins, width, at, n, weights=gaps**2),
                }
            return found

        return summed

    def _sums(self, cells: np.ndarray) -> Sums:
        """Return the sums by name, each (…, groups, width), or (…, groups) where it is one."""
        widths = self._widths
        parts = np.split(self.groups.split(cells), np.cumsum([*widths.values()])[:-1], axis=-1)
        one = {"n", "right", "n_scored", "log_loss", "brier", "gap"}
        if self.task == "regression":
            one = set(widths)
        return {
            name: part[..., 0] if name in one else part
            for name, part in zip(widths, parts, strict=True)
        }

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return the metrics of the windows; the reference does not matter to them."""
        known = self._sums(current)
        found = [_VALUES[name](known, self.positive) for name in self.metrics]
        return np.stack(found, axis=-1).reshape(*current.shape[:-1], -1)

    def counts(self, current: np.ndarray) -> np.ndarray:
        """Return on how many rows each metric rests: those with a label and what it judges."""
        known = self._sums(current)
        n = {"prediction": known["n"]}
        if self._uses("roc_auc"):
            n["score"] = (known["positives"] + known["negatives"]).sum(axis=-1)
        elif "n_scored" in known:
            n["score"] = known["n_scored"]
        found = [n[_METRICS[self.task][name].of] for name in self.metrics]
        return np.stack(found, axis=-1).reshape(*current.shape[:-1], -1)


def _check_task(task: str) -> None:
    if task not in _METRICS:
        raise ValueError(f"task={task!r}: one of {', '.join(_METRICS)}")


def _of_classes(
    reference: pd.DataFrame,
    positive: Any,
    *,
    prediction_column: str,
    label_column: str,
    score_column: str,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a measure holds of a classification, and what keeps a metric from measurement."""
    classes = classes_of(reference, prediction_column=prediction_column, label_column=label_column)
    if len(classes) > MAX_CLASSES:
        many = f"there are {len(classes)} classes, more than {MAX_CLASSES}: accuracy alone"
        return {}, dict.fromkeys(("positive", "classes", "score", "probability"), many)
    code = positive_class(classes, positive)
    held = {"classes": tuple(classes), "positive": code}
    if code is None:
        unnamed = f"positive=None: name the class that counts as positive, one of {classes!r}"
        return held, dict.fromkeys(("positive", "score", "probability"), unnamed)
    if score_column not in reference.columns:
        near = nearest(score_column, reference.columns)
        absent = f"score_column={score_column!r} is no column of the frame; {near}"
        return held, dict.fromkeys(("score", "probability"), absent)
    score = windows.numbers(reference, score_column, argument="score_column")
    if np.isnan(score).all():
        none = f"score_column={score_column!r} holds no score"
        return held, dict.fromkeys(("score", "probability"), none)
    held |= {
        "score_edges": tuple(quantile_edges(score, SCORE_BINS)),
        "calibration_edges": tuple(quantile_edges(score, CALIBRATION_BINS)),
    }
    outside = score[(score < 0) | (score > 1)]
    if len(outside):
        beyond = f"score_column={score_column!r} holds {outside[0]:g}; a probability is in 0..1"
        return held, {"probability": beyond}
    return held, {}


def _chosen(
    metrics: Sequence[str] | None, *, task: Task, lacking: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the metrics asked for, or all of the usual ones that can be measured."""
    known = _METRICS[task]
    if metrics is None:
        return tuple(
            name for name, each in known.items() if each.by_default and each.needs not in lacking
        )
    if isinstance(metrics, str):
        raise ValueError(f"metrics={metrics!r}: a list of names is needed, such as [{metrics!r}]")
    for name in metrics:
        if name not in known:
            raise ValueError(
                f"metrics: {name!r} is none of task={task!r} that sums give; {nearest(name, known)}"
            )
        if known[name].needs in lacking:
            raise ValueError(f"metrics: {name!r} needs more: {lacking[known[name].needs]}")
    return tuple(dict.fromkeys(metrics))


# ------------------------------------------------------------------------------- what sums give


def _log_loss(score: np.ndarray, actual: np.ndarray) -> np.ndarray:
    tiny = np.finfo(float).eps
    score = np.clip(score, tiny, 1 - tiny)
    return -np.log(np.where(actual, score, 1 - score))


def f1(right: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return F1 from how many were rightly predicted, predicted, and so.

    >>> float(f1(np.array(2.0), np.array(3.0), np.array(2.0)))
    0.8
    """
    return ratio(2 * right, predicted + actual)


def binned_roc_auc(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve from counts in bins of the score, by its last axis.

    It is the share of pairs of a positive and a negative row that the score orders; pairs within
    one bin count half, so it is wrong by at most half their share. ``NaN`` with one class alone.

    >>> float(binned_roc_auc(np.array([1.0, 0.0, 3.0]), np.array([2.0, 1.0, 1.0])))
    0.71875
    """
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    pairs = positives.sum(axis=-1) * negatives.sum(axis=-1)
    return ratio((positives * below).sum(axis=-1), pairs)


def _mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Average over the classes that a window has; of the others it says nothing."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1))


def _specificity(known: Sums, k: int) -> np.ndarray:
    negatives = known["n"] - known["actual_by"][..., k]
    wrongly = known["predicted_by"][..., k] - known["right_by"][..., k]
    return ratio(negatives - wrongly, negatives)


def _r2(known: Sums, _: None) -> np.ndarray:
    spread = known["label_square"] - ratio(known["label"] ** 2, known["n"])
    varies = spread > 1e-12 * known["label_square"]
    return 1 - ratio(known["square"], np.where(varies, spread, 0.0))


def _calibration_error(known: Sums, _: int) -> np.ndarray:
    """Return the root mean squared gap over the bins, without what chance adds to it.

    The square of a bin's mean gap, less the variance of that mean, is on average the square of the
    true gap: see ``calibration.calibration``.
    """
    n, gap, square = known["n_by_bin"], known["gap_by_bin"], known["gap_square_by_bin"]
    n = np.where(n > 1, n, 0.0)
    by_chance = ratio(square - ratio(gap**2, n), n * (n - 1))
    squares = n * (ratio(gap, n) ** 2 - by_chance)
    mean = ratio(np.where(n > 0, squares, 0.0).sum(axis=-1), n.sum(axis=-1))
    return np.sqrt(np.maximum(mean, 0))


_VALUES: Mapping[str, Callable[[Sums, Any], np.ndarray]] = {
    "accuracy": lambda known, k: ratio(known["right"], known["n"]),
    "precision": lambda known, k: ratio(known["right_by"][..., k], known["predicted_by"][..., k]),
    "recall": lambda known, k: ratio(known["right_by"][..., k], known["actual_by"][..., k]),
    "specificity": _specificity,
    "f1": lambda known, k: f1(
        known["right_by"][..., k], known["predicted_by"][..., k], known["actual_by"][..., k]
    ),
    "balanced_accuracy": lambda known, k: _mean_over_classes(
        ratio(known["right_by"], known["actual_by"])
    ),
    "macro_f1": lambda known, k: _mean_over_classes(
        f1(known["right_by"], known["predicted_by"], known["actual_by"])
    ),
    "roc_auc": lambda known, k: binned_roc_auc(known["positives"], known["negatives"]),
    "log_loss": lambda known, k: ratio(known["log_loss"], known["n_scored"]),
    "brier": lambda known, k: ratio(known["brier"], known["n_scored"]),
    "calibration_bias": lambda known, k: ratio(known["gap"], known["n_scored"]),
    "calibration_error": _calibration_error,
    "mae": lambda known, k: ratio(known["absolute"], known["n"]),
    "rmse": lambda known, k: np.sqrt(ratio(known["square"], known["n"])),
    "bias": lambda known, k: ratio(known["error"], known["n"]),
    "r2": _r2,
}
