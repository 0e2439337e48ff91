"""What performance is made of: each metric as a function of weighted rows.

A metric is estimated from the weights of *units*: all ones for its value, and how often each unit
was drawn for a bootstrap sample. A unit is a row, or a block of rows such as a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from utils.monitors.intervals import ratio


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows in order of time; labels and predictions are numbers, or codes of classes."""

    time: np.ndarray  # microseconds since 1970
    group: np.ndarray  # code of the group
    label: np.ndarray  # NaN or -1 where unknown
    prediction: np.ndarray  # NaN or -1 where missing
    score: np.ndarray  # NaN where missing
    positive: int = 0  # code of the positive class
    n_classes: int = 0
    tolerance: float = np.nan

    def __len__(self) -> int:
        return len(self.time)

    def take(self, index: np.ndarray | slice) -> Rows:
        columns = ("time", "group", "label", "prediction", "score")
        return replace(self, **{name: getattr(self, name)[index] for name in columns})

    def present(self, column: str) -> np.ndarray:
        values = getattr(self, column)
        return ~np.isnan(values) if values.dtype.kind == "f" else values >= 0

    @property
    def actual(self) -> np.ndarray:
        """Whether the label is the positive class."""
        return self.label == self.positive

    @property
    def predicted(self) -> np.ndarray:
        """Whether the prediction is the positive class."""
        return self.prediction == self.positive

    @property
    def error(self) -> np.ndarray:
        return self.prediction - self.label

    @property
    def one(self) -> np.ndarray:
        return np.ones(len(self))


Estimator = Callable[[np.ndarray], np.ndarray]
"""From the weights of the units (draws × units) to the metric in each draw."""

Preparation = Callable[[Rows, np.ndarray, int], Estimator]
"""From the rows, the unit of each row and the number of units to the estimator."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a metric is estimated, what it uses, and the scale on which it is unbounded.

    ``share`` is there for a plain proportion: which rows succeed, of which rows.
    ``needs`` names what must be given beside the columns: see ``_lacking``.
    """

    uses: tuple[str, ...]
    prepare: Preparation
    scale: str
    needs: str = ""
    share: Callable[[Rows], tuple[np.ndarray, np.ndarray]] | None = None


def _from_sums(
    parts: Callable[[Rows], Sequence[np.ndarray]], value: Callable[..., np.ndarray]
) -> Preparation:
    """Prepare a metric that is a function of sums over the rows.

    The sums are taken once for each unit, so a draw costs as much as there are units (seven days
    in a week), however many rows these have.
    """

    def prepare(rows: Rows, units: np.ndarray, n_units: int) -> Estimator:
        totals = [np.bincount(units, weights=part, minlength=n_units) for part in parts(rows)]
        return lambda weights: value(*(weights @ np.transpose(totals)).T)

    return prepare


def _from_curve(
    key: Callable[[Rows], np.ndarray],
    parts: Callable[[Rows], Sequence[np.ndarray]],
    value: Callable[..., np.ndarray],
) -> Preparation:
    """Prepare a metric that depends on the order of the rows by ``key``.

    ``value`` is given the distinct keys, ascending, and the weight that each part of the rows has
    at each of them (keys × draws).
    """

    def prepare(rows: Rows, units: np.ndarray, n_units: int) -> Estimator:
        keys, at = np.unique(key(rows), return_inverse=True)
        counts = [
            sparse.csr_array(
                (np.ones(part.sum()), (at[part], units[part])), shape=(len(keys), n_units)
            )
            for part in parts(rows)
        ]
        return lambda weights: value(keys, *(count @ weights.T for count in counts))

    return prepare


def _share(
    parts: Callable[[Rows], tuple[np.ndarray, np.ndarray]], *uses: str, needs: str = ""
) -> Metric:
    prepare = _from_sums(parts, ratio)
    return Metric(uses=uses, prepare=prepare, scale="logit", needs=needs, share=parts)


def _mean(part: Callable[[Rows], np.ndarray], *uses: str, scale: str, needs: str = "") -> Metric:
    prepare = _from_sums(lambda rows: (part(rows), rows.one), ratio)
    return Metric(uses=uses, prepare=prepare, scale=scale, needs=needs)


def _by_class(rows: Rows) -> list[np.ndarray]:
    """Return which rows are right, predicted and actual, for each class."""
    classes = np.arange(rows.n_classes)[:, None]
    actual, predicted = rows.label == classes, rows.prediction == classes
    return [*(actual & predicted), *predicted, *actual]


def _mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Average over the classes that a draw has; of the others it says nothing."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0.0).sum(axis=0), there.sum(axis=0))


def _balanced_accuracy(*sums: np.ndarray) -> np.ndarray:
    right, _, actual = np.split(np.array(sums), 3)
    return _mean_over_classes(ratio(right, actual))


def _macro_f1(*sums: np.ndarray) -> np.ndarray:
    right, predicted, actual = np.split(np.array(sums), 3)
    return _mean_over_classes(ratio(2 * right, predicted + actual))


def _log_loss(rows: Rows) -> np.ndarray:
    tiny = np.finfo(float).eps
    score = np.clip(rows.score, tiny, 1 - tiny)
    return -np.log(np.where(rows.actual, score, 1 - score))


def _squares(rows: Rows) -> list[np.ndarray]:
    centred = rows.label - np.median(rows.label)
    return [rows.error**2, centred**2, centred, rows.one]


def _r2(residual: np.ndarray, squares: np.ndarray, total: np.ndarray, n: np.ndarray) -> np.ndarray:
    spread = squares - ratio(total**2, n)
    varies = spread > 1e-12 * squares
    return 1 - ratio(residual, np.where(varies, spread, 0.0))


def _roc_auc(_: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return the share of pairs (positive, negative) that the score orders; a tie is half."""
    below = np.cumsum(negatives, axis=0)
    pairs = positives.sum(axis=0) * below[-1]
    below -= negatives / 2
    return ratio((positives * below).sum(axis=0), pairs)


def _average_precision(_: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    found = np.cumsum(positives[::-1], axis=0)
    taken = found + np.cumsum(negatives[::-1], axis=0)
    precision = found / np.maximum(taken, 1)
    return ratio((positives[::-1] * precision).sum(axis=0), found[-1])


def _median(errors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the median; where the middle falls between two errors, their mean."""
    up_to = np.cumsum(weights, axis=0)
    half = up_to[-1] / 2
    return (errors[(up_to >= half).argmax(axis=0)] + errors[(up_to > half).argmax(axis=0)]) / 2


_BOTH = ("label", "prediction")
_SCORED = ("label", "score")

METRICS: Mapping[str, Mapping[str, Metric]] = {
    "classification": {
        "accuracy": _share(lambda r: (r.label == r.prediction, r.one), *_BOTH),
        "precision": _share(
            lambda r: (r.actual & r.predicted, r.predicted), *_BOTH, needs="positive"
        ),
        "recall": _share(lambda r: (r.actual & r.predicted, r.actual), *_BOTH, needs="positive"),
        "specificity": _share(
            lambda r: (~r.actual & ~r.predicted, ~r.actual), *_BOTH, needs="positive"
        ),
        "f1": Metric(
            uses=_BOTH,
            prepare=_from_sums(
                lambda r: (r.actual & r.predicted, r.predicted, r.actual),
                lambda right, predicted, actual: ratio(2 * right, predicted + actual),
            ),
            scale="logit",
            needs="positive",
        ),
        "balanced_accuracy": Metric(
            uses=_BOTH, prepare=_from_sums(_by_class, _balanced_accuracy), scale="logit"
        ),
        "macro_f1": Metric(uses=_BOTH, prepare=_from_sums(_by_class, _macro_f1), scale="logit"),
        "positive_rate": _share(lambda r: (r.predicted, r.one), "prediction", needs="positive"),
        "base_rate": _share(lambda r: (r.actual, r.one), "label", needs="positive"),
        "roc_auc": Metric(
            uses=_SCORED,
            prepare=_from_curve(lambda r: r.score, lambda r: (r.actual, ~r.actual), _roc_auc),
            scale="logit",
            needs="score",
        ),
        "average_precision": Metric(
            uses=_SCORED,
            prepare=_from_curve(
                lambda r: r.score, lambda r: (r.actual, ~r.actual), _average_precision
            ),
            scale="logit",
            needs="score",
        ),
        "log_loss": _mean(_log_loss, *_SCORED, scale="log", needs="probability"),
        "brier": _mean(
            lambda r: (r.score - r.actual) ** 2, *_SCORED, scale="log", needs="probability"
        ),
        "calibration_bias": _mean(
            lambda r: r.score - r.actual, *_SCORED, scale="linear", needs="probability"
        ),
    },
    "regression": {
        "mae": _mean(lambda r: np.abs(r.error), *_BOTH, scale="log"),
        "rmse": Metric(
            uses=_BOTH,
            prepare=_from_sums(lambda r: (r.error**2, r.one), lambda s, n: np.sqrt(ratio(s, n))),
            scale="log",
        ),
        "bias": _mean(lambda r: r.error, *_BOTH, scale="linear"),
        "r2": Metric(uses=_BOTH, prepare=_from_sums(_squares, _r2), scale="log of the rest"),
        "median_absolute_error": Metric(
            uses=_BOTH,
            prepare=_from_curve(lambda r: np.abs(r.error), lambda r: (r.one > 0,), _median),
            scale="log",
        ),
        "within": _share(
            lambda r: (np.abs(r.error) <= r.tolerance, r.one), *_BOTH, needs="tolerance"
        ),
    },
}
COVERAGE = _share(lambda r: (r.present("label"), r.one))
