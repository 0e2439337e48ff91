"""How right is the model, before the labels come? Estimates, and whether they came true.

While labels are on their way, what is known of a window is its inputs and the model's answers. An
``ErrorModel`` learns from a labelled reference how right such answers are; so what the labels of a
window will say can be foretold, if nothing changed but the inputs. When the labels come, a realised
value outside the interval of its estimate says that something else did.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtrit

from utils.monitors import windows
from utils.monitors.intervals import checked_level, ratio
from utils.monitors.kinds import coded, kind_of, kinds
from utils.monitors.kinds import numbers as numbers_in
from utils.monitors.measures import Line, sums
from utils.monitors.realised import (
    SCORE_BINS,
    Groups,
    Task,
    binned_roc_auc,
    by_code,
    class_codes,
    classes_of,
    f1,
    positive_class,
    probabilities,
    quantile_edges,
)
from utils.records import measurements
from utils.text import nearest, tr

MONITOR = "estimated_performance"
Calibration = Literal["auto", "none", "sigmoid", "isotonic"]

LEAST_ROWS = 100
"""Labelled rows of the reference below which nothing is learned from it."""

MOST_ROWS = 50_000
"""Rows from which the model of a regression's errors learns, evenly spread over the reference."""

LEAST_WINDOWS = 4
"""Windows of the reference below which it does not tell how windows differ."""

_Predict = Callable[[np.ndarray], np.ndarray]
_Fit = Callable[[np.ndarray, np.ndarray], _Predict]

_OFF_THE_BOUNDS = 1e-6  # a score of exactly 0 or 1 has no log-odds
_MOST_CATEGORIES = 254


def assumption() -> str:
    """Return, in the language in force, what must hold for an estimate to come true.

    >>> from utils.text import using
    >>> with using("en"):
    ...     print(assumption()[:49])
    The estimate holds if nothing changed but the mix
    """
    return tr(
        pt=(
            "A estimativa vale se nada mudou além da composição das entradas: para as mesmas "
            "entradas e a mesma resposta do modelo, os rótulos seguem como na referência (não há "
            "mudança de conceito), e as entradas ficam dentro do que a referência mostrou. Nada "
            "nos dados sem rótulo pode provar isso; os rótulos, quando chegam, podem desmentir."
        ),
        en=(
            "The estimate holds if nothing changed but the mix of the inputs: for the same inputs "
            "and the same answer of the model, labels are as in the reference (no concept drift), "
            "and the inputs stay within what the reference has shown. Nothing in data without "
            "labels can prove this; the labels, once they come, can disprove it."
        ),
    )


# --------------------------------------------------------------- from a score to a probability


@dataclass(frozen=True)
class _AsGiven:
    """The score is the probability."""

    def __call__(self, score: np.ndarray) -> np.ndarray:
        return score


@dataclass(frozen=True)
class _Sigmoid:
    """The log-odds are a line over the score, or over its log-odds where it is in 0..1."""

    intercept: float
    slope: float
    on_log_odds: bool

    def __call__(self, score: np.ndarray) -> np.ndarray:
        return expit(self.intercept + self.slope * _straight(score, on_log_odds=self.on_log_odds))


@dataclass(frozen=True)
class _Isotonic:
    """The probability rises with the score, in whatever steps."""

    score: np.ndarray
    probability: np.ndarray

    def __call__(self, score: np.ndarray) -> np.ndarray:
        return np.interp(score, self.score, self.probability)


def _straight(score: np.ndarray, *, on_log_odds: bool) -> np.ndarray:
    return logit(np.clip(score, _OFF_THE_BOUNDS, 1 - _OFF_THE_BOUNDS)) if on_log_odds else score


def _spread(rows: np.ndarray) -> np.ndarray:
    """Return at most ``MOST_ROWS`` rows, evenly spread over time: more teach nothing more."""
    return rows[:: -(-len(rows) // MOST_ROWS)]


def _fit_sigmoid(score: np.ndarray, outcome: np.ndarray, *, on_log_odds: bool) -> _Sigmoid:
    """Fit the line with Platt's targets, a little off 0 and 1, so that classes may be parted."""
    from sklearn.linear_model import LogisticRegression

    score, outcome = _spread(score), _spread(outcome)
    n, n_ones = len(outcome), outcome.sum()
    target = np.where(outcome == 1, (n_ones + 1) / (n_ones + 2), 1 / (n - n_ones + 2))
    x = _straight(score, on_log_odds=on_log_odds)
    middle, spread = x.mean(), x.std() or 1.0
    line = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    line.fit(
        np.tile((x - middle) / spread, 2)[:, None],
        np.repeat([1, 0], n),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope = line.coef_.item() / spread
    return _Sigmoid(line.intercept_.item() - slope * middle, slope, on_log_odds)


def _fit_isotonic(score: np.ndarray, outcome: np.ndarray) -> _Isotonic:
    """Fit the steps, none of which is surer than so many rows allow."""
    from sklearn.isotonic import IsotonicRegression

    score, outcome = _spread(score), _spread(outcome)
    sure = 1 / (len(outcome) + 2)
    fitted = IsotonicRegression(y_min=sure, y_max=1 - sure, out_of_bounds="clip")
    fitted.fit(score, outcome)
    return _Isotonic(fitted.X_thresholds_, fitted.y_thresholds_)


def _score_fits(calibration: Calibration, *, is_probability: bool) -> list[_Fit]:
    """Return the ways to try: the line, then the steps, or the one that is named."""
    ways: dict[str, _Fit] = {
        "none": lambda score, came: _AsGiven(),
        "sigmoid": lambda score, came: _fit_sigmoid(score, came[:, 0], on_log_odds=is_probability),
        "isotonic": lambda score, came: _fit_isotonic(score, came[:, 0]),
    }
    if calibration == "auto":
        return [ways["sigmoid"], ways["isotonic"]]
    if calibration not in ways:
        raise ValueError(f"calibration={calibration!r}: one of auto, {', '.join(ways)}")
    if calibration == "none" and not is_probability:
        raise ValueError("calibration='none': scores outside 0..1 are no probabilities")
    return [ways[calibration]]


# ------------------------------------------------------------- from inputs to the size of an error


@dataclass(frozen=True)
class _Inputs:
    """The inputs as numbers: categories by how common they were, the unseen as missing."""

    numeric: tuple[str, ...]
    categories: Mapping[str, Mapping[Any, int]]

    @classmethod
    def of(cls, reference: pd.DataFrame, features: Sequence[str]) -> _Inputs:
        """Return those of the features that numbers can stand for.

        Left out are times, columns without a value, and what has more distinct values than a tree
        has categories: ids.
        """
        numeric, categories = [], {}
        for name in features:
            column = windows.column(reference, name, argument="features")
            kind = kind_of(kinds(column))
            if kind in ("number", "whole number"):
                numeric.append(name)
            elif kind not in ("moment", "missing"):
                codes, texts = coded(column)
                commonest = np.argsort(-np.bincount(codes[codes >= 0]), kind="stable")
                if len(texts) <= _MOST_CATEGORIES:
                    categories[name] = {texts[each]: at for at, each in enumerate(commonest)}
        return cls(tuple(numeric), categories)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.numeric, *self.categories)

    @property
    def is_category(self) -> list[bool]:
        """Which columns of ``matrix`` hold categories; the last is the prediction."""
        return [False] * len(self.numeric) + [True] * len(self.categories) + [False]

    def matrix(self, frame: pd.DataFrame, prediction: np.ndarray) -> np.ndarray:
        """Return inputs and prediction; what is no number where one was is missing."""
        columns = []
        for name in self.numeric:
            values = numbers_in(windows.column(frame, name, argument="features"))
            columns.append(np.where(np.isinf(values), np.nan, values))
        for name, code in self.categories.items():
            at, texts = coded(windows.column(frame, name, argument="features"))
            columns.append(np.array([*(code.get(each, np.nan) for each in texts), np.nan])[at])
        return np.column_stack([*columns, prediction])


@dataclass(frozen=True)
class _Sizes:
    """The expected absolute and squared error, by boosted trees; without trees, 0."""

    trees: tuple[Any, ...]
    mean: np.ndarray

    def __call__(self, matrix: np.ndarray) -> np.ndarray:
        if not self.trees:
            return np.zeros((len(matrix), 2))
        return self.mean * np.stack([each.predict(matrix) for each in self.trees], axis=1)


def _fit_sizes(matrix: np.ndarray, sizes: np.ndarray, is_category: list[bool]) -> _Sizes:
    """Fit trees to the sizes, in units of their mean: what is a small error is not absolute."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    matrix, sizes = _spread(matrix), _spread(sizes)
    if not sizes.any():
        return _Sizes((), np.zeros(2))
    mean = sizes.mean(axis=0)
    trees = tuple(
        HistGradientBoostingRegressor(
            loss="poisson",
            learning_rate=0.15,
            max_iter=40,
            max_leaf_nodes=15,
            min_samples_leaf=40,
            categorical_features=is_category,
            early_stopping=False,
            random_state=0,
        ).fit(matrix, size)
        for size in (sizes / mean).T
    )
    return _Sizes(trees, mean)


# ------------------------------------------------------------------------------ reading the frame

_LOSSES: Mapping[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "log_loss": lambda score: (-np.log1p(-_off(score)), -np.log(_off(score))),
    "brier": lambda score: (score**2, (1 - score) ** 2),
}
"""What a row costs by its score where its label is not the positive class, and where it is."""


def _off(score: np.ndarray) -> np.ndarray:
    tiny = np.finfo(float).eps
    return np.clip(score, tiny, 1 - tiny)


@dataclass(frozen=True, kw_only=True)
class _Scores:
    """How a classification is read: from its score, what is expected is a probability."""

    prediction_column: str
    score_column: str
    classes: tuple[Any, ...]
    positive: int | None  # None: the score is that of the predicted class
    is_probability: bool
    edges: tuple[float, ...]

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        prediction_column: str,
        score_column: str,
        label_column: str,
        positive: Any,
    ) -> _Scores:
        classes = classes_of(
            reference, prediction_column=prediction_column, label_column=label_column
        )
        code = positive_class(classes, positive)
        if code is None and len(classes) < 3:
            raise ValueError(
                f"positive=None: name the class that the score is of, one of {classes!r}"
            )
        score = windows.numbers(reference, score_column, argument="score_column")
        return cls(
            prediction_column=prediction_column,
            score_column=score_column,
            classes=tuple(classes),
            positive=code,
            is_probability=not ((score < 0) | (score > 1)).any(),
            edges=tuple(quantile_edges(score, SCORE_BINS)),
        )

    @property
    def quantities(self) -> tuple[str, ...]:
        return ("right",) if self.positive is None else ("positive",)

    @property
    def metrics(self) -> tuple[str, ...]:
        if self.positive is None:
            return ("accuracy",)
        accuracy = ("accuracy",) if len(self.classes) <= 2 else ()
        losses = tuple(_LOSSES) if self.is_probability else ()
        return (*accuracy, "precision", "recall", "f1", "roc_auc", *losses)

    def design(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return the score of each row, and which rows have one and a prediction."""
        read = probabilities if self.is_probability else windows.numbers
        score = read(frame, self.score_column, argument="score_column")
        prediction = windows.column(frame, self.prediction_column, argument="prediction_column")
        return score, ~np.isnan(score) & prediction.notna().to_numpy()

    def came(self, frame: pd.DataFrame, label_column: str) -> np.ndarray:
        """Return whether each row is positive, or its prediction right; ``NaN`` if not known."""
        label, prediction, right = class_codes(
            frame,
            self.classes,
            prediction_column=self.prediction_column,
            label_column=label_column,
        )
        is_so = right if self.positive is None else label == self.positive
        return np.where((label >= 0) & (prediction >= 0), is_so, np.nan)[:, None]

    def cell(self, frame: pd.DataFrame, score: np.ndarray) -> np.ndarray:
        """Return the cell of each row: bin of the score × whether predicted positive."""
        if self.positive is None:
            predicted = np.ones(len(frame), dtype=int)
        else:
            codes = class_codes(frame, self.classes, prediction_column=self.prediction_column)[1]
            predicted = (codes == self.positive).astype(int)
        return 2 * np.searchsorted(self.edges, score) + predicted

    @property
    def n_cells(self) -> int:
        return 2 * (len(self.edges) + 1)


@dataclass(frozen=True, kw_only=True)
class _Errors:
    """How a regression is read: from inputs and prediction, what is expected are errors."""

    prediction_column: str
    inputs: _Inputs

    quantities = ("absolute_error", "squared_error")
    metrics = ("mae", "rmse")

    def design(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs and prediction of each row, and which rows have a prediction."""
        prediction = windows.numbers(frame, self.prediction_column, argument="prediction_column")
        return self.inputs.matrix(frame, prediction), ~np.isnan(prediction)

    def came(self, frame: pd.DataFrame, label_column: str) -> np.ndarray:
        """Return the absolute and the squared error of each row; ``NaN`` if not known."""
        prediction = windows.numbers(frame, self.prediction_column, argument="prediction_column")
        error = prediction - windows.numbers(frame, label_column, argument="label_column")
        return np.stack([np.abs(error), error**2], axis=1)


# ------------------------------------------------------------------------------- what is learned


def _answer(predict: _Predict, design: np.ndarray, quantities: Sequence[str]) -> np.ndarray:
    """Return what is expected of each row (rows × quantities)."""
    found = predict(design) if len(design) else np.empty(0)
    return found.reshape(len(design), len(quantities))


def _crossed(
    fit: _Fit, design: np.ndarray, came: np.ndarray, *, n_folds: int
) -> tuple[tuple[_Predict, ...], np.ndarray]:
    """Return the fits on all but each stretch of rows, and what each expects of its stretch."""
    folds, expected = [], np.empty_like(came)
    for held in np.array_split(np.arange(len(design)), n_folds):
        others = np.ones(len(design), dtype=bool)
        others[held] = False
        folds.append(fit(design[others], came[others]))
        expected[held] = folds[-1](design[held]).reshape(len(held), -1)
    return tuple(folds), expected


def _is_better(came: np.ndarray, line: np.ndarray, steps: np.ndarray) -> bool:
    """Return whether steps are better than a line by more than a standard error of the loss."""
    gain = -np.log(np.where(came == 1, _off(line), _off(1 - line)))
    gain += np.log(np.where(came == 1, _off(steps), _off(1 - steps)))
    return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """What the labels of each row are expected to say of the model, learned from a reference.

    Of a classification, the probability that the row is positive, from its score; or, where there
    are many classes and none is named positive, that the prediction is right, from the score of the
    predicted class. Of a regression, the absolute and the squared error, from inputs and
    prediction.

    ``held_out`` has, for each labelled row of the reference in order of time, what came
    (``positive``, ``right``, or ``absolute_error`` and ``squared_error``) and what a model that had
    not seen that stretch of time expected of it (``expected_…``): the check of the error model
    itself. ``n_reference`` is the number of rows it learned from.
    """

    reading: _Scores | _Errors
    whole: _Predict
    folds: tuple[_Predict, ...]
    held_out: pd.DataFrame
    time_column: str

    @classmethod
    def fitted(
        cls,
        reference: pd.DataFrame,
        *,
        task: Task,
        features: Sequence[str] | None = None,
        positive: Any = None,
        calibration: Calibration = "auto",
        n_folds: int = 5,
        time_column: str = "event_time",
        prediction_column: str = "prediction",
        score_column: str = "score",
        label_column: str = "label",
    ) -> ErrorModel:
        """Return the model of the errors, from the rows of the reference whose label is known.

        The reference must be rows that the served model did *not* learn from: on those it did, it
        is better than it will be, and so would be every estimate. Nothing is random.

        **Classification.** ``calibration`` is how a score becomes a probability: "none" takes it
        for one, "sigmoid" puts a line through the log-odds (and leaves a score that is right
        already about as it is), "isotonic" fits steps, "auto" takes the steps where their log loss
        on held-out rows is better by more than its standard error, else the line. Estimated are
        accuracy, precision, recall, f1, roc_auc, and for scores in 0..1 log_loss and brier; from
        the score of the predicted class, accuracy alone; of one class of many, all but accuracy.

        **Regression.** Boosted trees are fitted to the absolute and the squared error, from
        ``features`` (all other columns unless named; times, ids of more than 254 values and columns
        without a value tell it nothing) and the prediction. Estimated are mae and rmse. Bias and r2
        are not: had the model known the sign of its errors, it would have made others.

        **Held out.** The labelled rows are cut by time into ``n_folds`` stretches, and a model is
        fitted on all but each of them. What these say of the stretch that they did not see, and how
        they differ among themselves, is what is known of the error of the error model.

        Raises ``ValueError`` naming the argument, the value and the rule; and for fewer than
        ``LEAST_ROWS`` labelled rows.

        >>> rng = np.random.default_rng(0)
        >>> score = rng.random(1000)
        >>> frame = pd.DataFrame({
        ...     "event_time": pd.date_range("2024-01-01", periods=1000, freq="1h", tz="UTC"),
        ...     "score": score, "prediction": score > 0.5, "label": rng.random(1000) < score / 2})
        >>> model = ErrorModel.fitted(frame, task="classification")
        >>> expected = model.expected(pd.DataFrame({"score": [0.8], "prediction": [True]}))
        >>> bool(abs(expected.loc[0, "positive"] - 0.4) < 0.05)
        True
        """
        if n_folds < 2:
            raise ValueError(f"n_folds={n_folds!r}: at least 2 are needed")
        time = windows.times(reference, time_column, argument="time_column")
        reading: _Scores | _Errors
        if task == "classification":
            reading = _Scores.of(
                reference,
                prediction_column=prediction_column,
                score_column=score_column,
                label_column=label_column,
                positive=positive,
            )
            fits = _score_fits(calibration, is_probability=reading.is_probability)
        elif task == "regression":
            if features is None:
                others = (time_column, prediction_column, score_column, label_column)
                features = [name for name in reference.columns if name not in others]
            inputs = _Inputs.of(reference, features)
            reading = _Errors(prediction_column=prediction_column, inputs=inputs)
            fits = [lambda design, came: _fit_sizes(design, came, inputs.is_category)]
        else:
            raise ValueError(f"task={task!r}: one of classification, regression")
        design, usable = reading.design(reference)
        came = reading.came(reference, label_column)
        known = np.flatnonzero(usable & ~np.isnan(came).any(axis=1))
        if len(known) < LEAST_ROWS:
            raise ValueError(
                f"reference has {len(known)} rows with a label and what goes with it; at least "
                f"{LEAST_ROWS} are needed to learn from"
            )
        order = known[np.argsort(time[known], kind="stable")]
        design, came = design[order], came[order]
        tried = [_crossed(fit, design, came, n_folds=n_folds) for fit in fits]
        best = int(len(tried) == 2 and _is_better(came, *(expected for _, expected in tried)))
        folds, expected = tried[best]
        held_out = {time_column: reference[time_column].iloc[order].reset_index(drop=True)}
        for at, name in enumerate(reading.quantities):
            held_out |= {name: came[:, at], f"expected_{name}": expected[:, at]}
        return cls(
            reading=reading,
            whole=fits[best](design, came),
            folds=folds,
            held_out=pd.DataFrame(held_out),
            time_column=time_column,
        )

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it can estimate."""
        return self.reading.metrics

    @property
    def n_reference(self) -> int:
        return len(self.held_out)

    def expected(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return what is expected of each row: ``NaN`` where it has no prediction or score.

        The columns are the quantities: ``positive`` or ``right`` (a probability), or
        ``absolute_error`` (in the unit of the label) and ``squared_error``.
        """
        design, usable = self.reading.design(frame)
        found = np.full((len(frame), len(self.reading.quantities)), np.nan)
        found[usable] = _answer(self.whole, design[usable], self.reading.quantities)
        return pd.DataFrame(found, columns=list(self.reading.quantities), index=frame.index)

    def estimates(
        self,
        current: pd.DataFrame,
        *,
        rng: np.random.Generator,
        window: windows.Length | None = "7D",
        metrics: Sequence[str] | None = None,
        group_column: str | None = None,
        minimum: int = 30,
        level: float = 0.95,
        draws: int = 1000,
        start: windows.Moment | None = None,
        end: windows.Moment | None = None,
    ) -> pd.DataFrame:
        """Return the estimated performance in each window and group: see ``estimated_performance``.

        The columns of the frame are called as in the reference.
        """
        chosen = _chosen(metrics, self.metrics)
        checked_level(level)
        for argument, value in (("minimum", minimum), ("draws", draws)):
            if value < 1:
                raise ValueError(f"{argument}={value!r}: at least 1 is needed")
        time = windows.times(current, self.time_column, argument="time_column")
        edges = windows.cut(time, window=window, start=start, end=end)
        if not len(edges):
            return measurements([])
        design, usable = self.reading.design(current)
        quantities = self.reading.quantities
        at = np.searchsorted(edges, time, side="right") - 1
        inside = usable & (at >= 0) & (at < len(edges) - 1)
        part = _Part(
            rows=current[inside],
            design=design[inside],
            whole=_answer(self.whole, design[inside], quantities),
            folds=np.stack([_answer(each, design[inside], quantities) for each in self.folds]),
            at=at[inside],
            n_windows=len(edges) - 1,
        )
        spread = self._spread(length=_length(window, edges), minimum=minimum)
        measured = _of_scores if isinstance(self.reading, _Scores) else _of_errors
        seed = int(rng.integers(2**63))
        found = []
        for group, of_group in _by_group(part, group_column):
            rngs = [
                np.random.default_rng([seed, zlib.crc32(group.encode()), start_us % 2**64])
                for start_us in edges[:-1].tolist()
            ]
            known = measured(self.reading, of_group, spread, rngs=rngs, draws=draws, level=level)
            n = np.bincount(of_group.at, minlength=part.n_windows)
            for name in chosen:
                bounds = np.where(n[:, None] >= minimum, known[name], np.nan)
                for number, (value, low, high) in enumerate(bounds.tolist()):
                    found.append(
                        {
                            "monitor": MONITOR,
                            "metric": name,
                            "group": group,
                            "window_start": windows.from_microseconds(int(edges[number])),
                            "window_end": windows.from_microseconds(int(edges[number + 1])),
                            "value": value,
                            "low": low,
                            "high": high,
                            "n_reference": self.n_reference,
                            "n_current": n[number],
                        }
                    )
        found.sort(key=lambda row: chosen.index(row["metric"]))
        return measurements(found)

    def _spread(self, *, length: int, minimum: int) -> _Spread:
        """Return by how much what came strayed from what was expected, in windows of a length."""
        time = windows.microseconds(self.held_out[self.time_column], argument="time_column")
        at = (time - time[0]) // length
        enough = np.bincount(at)[at] >= minimum
        at = np.unique(at[enough], return_inverse=True)[1]
        by_quantity = []
        for name in self.reading.quantities:
            came, expected = self.held_out[name], self.held_out[f"expected_{name}"]
            gap, size = (came - expected).to_numpy(), expected.to_numpy()
            if isinstance(self.reading, _Scores):
                relative, luck = 1.0, size * (1 - size)
                pull = luck
            else:
                relative = float(ratio((gap**2).mean(), (size**2).mean()))
                luck, pull = relative * size**2, size
            sums_of = [np.bincount(at, weights=each[enough]) for each in (gap, luck, pull)]
            by_quantity.append((relative, _shock(*sums_of)))
        luck, shock = np.transpose(by_quantity)
        return _Spread(luck=luck, shock=shock, n_windows=len(sums_of[0]))


# ------------------------------------------------------------------------- estimates and intervals


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Rows of one group, what is expected of them by the whole model and without each stretch."""

    rows: pd.DataFrame
    design: np.ndarray
    whole: np.ndarray  # rows × quantities
    folds: np.ndarray  # folds × rows × quantities
    at: np.ndarray  # the window of each row
    n_windows: int

    def take(self, index: np.ndarray) -> _Part:
        return replace(
            self,
            rows=self.rows[index],
            design=self.design[index],
            whole=self.whole[index],
            folds=self.folds[:, index],
            at=self.at[index],
        )


@dataclass(frozen=True, kw_only=True)
class _Spread:
    """What held-out windows of the reference tell of windows to come, by quantity.

    ``luck`` is the variance of one row's error around what is expected, relative to the square of
    that. ``shock`` is the variance of what the rows of a window have in common: on the log-odds of
    a classification, on the logarithm of an error.
    """

    luck: np.ndarray
    shock: np.ndarray
    n_windows: int


def _shock(gap: np.ndarray, luck: np.ndarray, pull: np.ndarray) -> float:
    """Return the variance of what moves all rows of a window at once.

    A window's gap varies by its rows' own luck, and by the square of ``pull``, what it moves for a
    unit of the common shock, times the variance sought. It is 0 where luck explains all.
    """
    gap, luck, pull = (each[luck > 0] for each in (gap, luck, pull))
    if len(gap) < LEAST_WINDOWS:
        return 0.0
    more = (gap**2 / luck).sum() - len(gap)
    return max(0.0, float(more / (pull**2 / luck).sum()))


def _length(window: windows.Length | None, edges: np.ndarray) -> int:
    if window is None:
        return int(edges[1] - edges[0])
    return windows.whole_microseconds(windows.length(window, argument="window"))


def _by_group(part: _Part, group_column: str | None) -> Iterator[tuple[str, _Part]]:
    yield "", part
    if group_column is not None:
        from utils.monitors.performance import group_codes

        groups = windows.column(part.rows, group_column, argument="group_column")
        codes, names = group_codes(groups)
        for code, name in enumerate(names):
            yield name, part.take(codes == code)


def _chosen(metrics: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if metrics is None:
        return list(known)
    if isinstance(metrics, str):
        raise ValueError(f"metrics={metrics!r}: a list of names is needed, such as [{metrics!r}]")
    for name in metrics:
        if name not in known:
            raise ValueError(f"metrics: {name!r} is not estimated here; {nearest(name, known)}")
    return list(dict.fromkeys(metrics))


def _of_counts(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return metrics from counts (…, cells, label); cells are bins × predicted positive or not."""
    by_bin = counts.reshape(*counts.shape[:-2], -1, 2, 2)  # bins, predicted, label
    confusion = by_bin.sum(axis=-3)
    right = confusion[..., 1, 1]
    predicted, actual = confusion[..., 1, :].sum(axis=-1), confusion[..., :, 1].sum(axis=-1)
    labels = by_bin[..., 0, :] + by_bin[..., 1, :]
    return {
        "accuracy": ratio(right + confusion[..., 0, 0], confusion.sum(axis=(-2, -1))),
        "precision": ratio(right, predicted),
        "recall": ratio(right, actual),
        "f1": f1(right, predicted, actual),
        "roc_auc": binned_roc_auc(labels[..., 1], labels[..., 0]),
    }


def _of_scores(
    reading: _Scores,
    part: _Part,
    spread: _Spread,
    *,
    rngs: list[np.random.Generator],
    draws: int,
    level: float,
) -> dict[str, np.ndarray]:
    """Return value, low and high of each metric in each window (windows × 3).

    The labels of each window are drawn: the probabilities as sure as the model is of them and as
    steady as windows were in the reference, then the labels of each cell by chance.
    """
    width = reading.n_cells
    cell = reading.cell(part.rows, part.design)

    def by_cell(weights: np.ndarray | None = None) -> np.ndarray:
        return by_code(cell, width, part.at, part.n_windows, weights=weights)

    p, n = part.whole[:, 0], by_cell()
    ones = by_cell(p)
    by_fold = np.stack([by_cell(each[:, 0]) for each in part.folds])
    values = _of_counts(np.stack([n - ones, ones], axis=-1))
    dearer, cost = {}, {}
    for name in (name for name in reading.metrics if name in _LOSSES):
        if_zero, if_one = _LOSSES[name](part.design)
        cost[name] = by_cell(if_zero + p * (if_one - if_zero)).sum(axis=1)
        dearer[name] = ratio(by_cell(if_one - if_zero), n)
        values[name] = ratio(cost[name], n.sum(axis=1))
    found = {name: np.full((part.n_windows, 3), np.nan) for name in reading.metrics}
    for name, of_metric in found.items():
        of_metric[:, 0] = values[name]
    for number, rng in enumerate(rngs):
        there = n[number] > 0
        if not there.any():
            continue
        n_there = n[number, there]
        probability = _drawn_probabilities(
            ones[number, there] / n_there,
            by_fold[:, number, there] / n_there,
            spread,
            draws=draws,
            rng=rng,
        )
        counts = np.zeros((draws, width))
        counts[:, there] = rng.binomial(n_there.astype(int), probability)
        drawn = _of_counts(np.stack([n[number] - counts, counts], axis=-1))
        for name in cost:
            more = (counts - ones[number])[:, there] @ dearer[name][number, there]
            drawn[name] = (cost[name][number] + more) / n_there.sum()
        for name, of_metric in found.items():
            known = drawn[name][~np.isnan(drawn[name])]
            if len(known) and not np.isnan(of_metric[number, 0]):
                of_metric[number, 1:] = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return found


def _drawn_probabilities(
    whole: np.ndarray, folds: np.ndarray, spread: _Spread, *, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return draws of the probabilities (draws × cells), as sure as the model is of them.

    On the log-odds they stray as the models without one stretch differ (the delete-a-group
    jackknife), and by the shock of a window, in common. Both spreads are known from few, so the
    draws have t's tails.
    """
    to_log_odds = [logit(np.clip(each, _OFF_THE_BOUNDS, 1 - _OFF_THE_BOUNDS)) for each in folds]
    apart = np.array(to_log_odds) - np.mean(to_log_odds, axis=0)
    k = len(folds)
    heavier = np.sqrt((k - 1) / rng.chisquare(k - 1, draws))
    strayed = rng.standard_normal((draws, k)) * (heavier * np.sqrt((k - 1) / k))[:, None] @ apart
    if spread.shock[0] > 0:
        common = np.sqrt(spread.shock[0]) * rng.standard_t(spread.n_windows, draws)
        strayed += common[:, None]
    return expit(logit(np.clip(whole, _OFF_THE_BOUNDS, 1 - _OFF_THE_BOUNDS)) + strayed)


def _of_errors(
    reading: _Errors,
    part: _Part,
    spread: _Spread,
    *,
    rngs: list[np.random.Generator],
    draws: int,
    level: float,
) -> dict[str, np.ndarray]:
    """Return value, low and high of each metric in each window (windows × 3).

    On the logarithm of the mean, variances add: of the rows' luck, of the model (the delete-a-group
    jackknife) and of the shock of a window; t has the degrees of freedom that Satterthwaite gives.
    """
    n = sums(np.ones(len(part.at)), part.at, part.n_windows)
    k = len(part.folds)
    found = {}
    for quantity, (name, power) in enumerate((("mae", 1.0), ("rmse", 0.5))):
        size = part.whole[:, quantity]
        total = sums(size, part.at, part.n_windows)
        by_fold = np.array(
            [sums(each[:, quantity], part.at, part.n_windows) for each in part.folds]
        )
        luck = spread.luck[quantity] * ratio(sums(size**2, part.at, part.n_windows), total**2)
        apart = np.log(np.where(by_fold > 0, by_fold, np.nan))
        of_model = (k - 1) / k * ((apart - apart.mean(axis=0)) ** 2).sum(axis=0)
        shock = spread.shock[quantity]
        variance = luck + of_model + shock
        unsure = of_model**2 / (k - 1) + shock**2 / max(spread.n_windows, 1)
        freedom = np.where(unsure > 0, ratio(variance**2, unsure), np.inf)
        half = stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance)
        mean = ratio(total, n)
        bounds = [mean, mean * np.exp(-half), mean * np.exp(half)]
        found[name] = np.stack(bounds, axis=1) ** power
    return found


# ------------------------------------------------------------------------------------ the measure


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """Estimated performance as a measure: what the labels are expected to say, without any.

    The lines are the metrics that the error model estimates, of everyone and of each group. They
    move when the inputs move to where the model is better or worse, and not when labels follow
    other laws than in the reference: see ``assumption``.

    The values are those of ``estimated_performance``.
    """

    model: ErrorModel
    metrics: tuple[str, ...]
    groups: Groups

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        model: ErrorModel,
        metrics: Sequence[str] | None = None,
        group_column: str | None = None,
        max_groups: int = 8,
    ) -> Estimated:
        """Return the measure of a fitted error model; the groups are those of the reference.

        Raises ``ValueError`` naming the argument, the value and the rule.

        >>> rng = np.random.default_rng(0)
        >>> score = rng.random(1000)
        >>> frame = pd.DataFrame({
        ...     "event_time": pd.date_range("2024-01-01", periods=1000, freq="1h", tz="UTC"),
        ...     "score": score, "prediction": score > 0.5, "label": rng.random(1000) < score})
        >>> model = ErrorModel.fitted(frame, task="classification")
        >>> measure = Estimated.of(frame, model=model, metrics=["accuracy"])
        >>> cells = measure.cells(frame, np.zeros(1000, dtype=int), 1)
        >>> float(measure.values(cells, cells)[0, 0].round(2))
        0.75
        """
        return cls(
            model=model,
            metrics=tuple(_chosen(metrics, model.metrics)),
            groups=Groups.of(reference, group_column, most=max_groups),
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        of_one = [
            {
                "monitor": MONITOR,
                "metric": name,
                "side": "high" if name in ("mae", "rmse", *_LOSSES) else "low",
                "scale": "log" if name in ("mae", "rmse", *_LOSSES) else "logit",
            }
            for name in self.metrics
        ]
        return self.groups.lines(of_one)

    @property
    def n_cells(self) -> int:
        return len(self.groups) * self._width

    @property
    def _width(self) -> int:
        reading = self.model.reading
        if isinstance(reading, _Errors):
            return 1 + len(reading.quantities)
        return 2 * reading.n_cells + len(self._losses)

    @property
    def _losses(self) -> list[str]:
        return [name for name in self.metrics if name in _LOSSES]

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        """Return what is expected of the rows of each block, summed. Labels are not read."""
        design, usable = self.model.reading.design(frame)
        frame, block, design = frame[usable], block[usable], design[usable]
        expected = _answer(self.model.whole, design, self.model.reading.quantities)
        summed = self._errors if isinstance(self.model.reading, _Errors) else self._answers
        return self.groups.cells(frame, block, n_blocks, summed(frame, design, expected))

    def _errors(
        self, frame: pd.DataFrame, design: np.ndarray, expected: np.ndarray
    ) -> Callable[[np.ndarray, int], np.ndarray]:
        columns = [np.ones(len(frame)), *expected.T]
        return lambda at, n: np.stack([sums(each, at, n) for each in columns], axis=1)

    def _answers(
        self, frame: pd.DataFrame, score: np.ndarray, expected: np.ndarray
    ) -> Callable[[np.ndarray, int], np.ndarray]:
        reading, p = self.model.reading, expected[:, 0]
        cell = reading.cell(frame, score)
        costs = []
        for name in self._losses:
            if_zero, if_one = _LOSSES[name](score)
            costs.append(if_zero + p * (if_one - if_zero))

        def summed(at: np.ndarray, n: int) -> np.ndarray:
            labels = [by_code(cell, reading.n_cells, at, n, weights=each) for each in (1 - p, p)]
            counts = np.stack(labels, axis=-1).reshape(n, -1)
            return np.column_stack([counts, *(sums(each, at, n) for each in costs)])

        return summed

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return the estimates of the windows; the reference does not matter to them."""
        cells, n = self.groups.split(current), self._rows(current)
        if isinstance(self.model.reading, _Errors):
            found = {"mae": ratio(cells[..., 1], n), "rmse": np.sqrt(ratio(cells[..., 2], n))}
        else:
            counts, costs = np.split(cells, [2 * self.model.reading.n_cells], axis=-1)
            found = _of_counts(counts.reshape(*counts.shape[:-1], -1, 2))
            for at, name in enumerate(self._losses):
                found[name] = ratio(costs[..., at], n)
        values = [found[name] for name in self.metrics]
        return np.stack(values, axis=-1).reshape(*current.shape[:-1], -1)

    def counts(self, current: np.ndarray) -> np.ndarray:
        """Return on how many rows each estimate rests: those with a prediction, and a score."""
        n = np.repeat(self._rows(current)[..., None], len(self.metrics), axis=-1)
        return n.reshape(*current.shape[:-1], -1)

    def _rows(self, current: np.ndarray) -> np.ndarray:
        cells = self.groups.split(current)
        if isinstance(self.model.reading, _Errors):
            return cells[..., 0]
        # Each row is shared out between its two labels, so a sum may miss a whole number by a hair.
        return cells[..., : 2 * self.model.reading.n_cells].sum(axis=-1).round()


# --------------------------------------------------------------------------------- over frames


def estimated_performance(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    task: Task,
    rng: np.random.Generator,
    window: windows.Length | None = "7D",
    metrics: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    positive: Any = None,
    calibration: Calibration = "auto",
    group_column: str | None = None,
    minimum: int = 30,
    level: float = 0.95,
    n_folds: int = 5,
    draws: int = 1000,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "event_time",
    prediction_column: str = "prediction",
    score_column: str = "score",
    label_column: str = "label",
) -> pd.DataFrame:
    """Return what the labels of each window are expected to say of the model: measurements.

    Only the reference needs labels; in the current frame they are not read. It is
    ``ErrorModel.fitted(reference, …).estimates(current, …)``, and says there what it can estimate
    and how; metrics are called as in ``performance``.

    **The interval is for the realised value**: for what ``performance`` will measure in that very
    window once *all* its labels are there, and not for the mean of many such windows. So it is as
    wide for a small window as the luck of its labels is, however well the error model is known. It
    has three parts: that luck; the uncertainty of the error model, from models that each lack a
    stretch of the reference; and what the rows of a window have in common (a bad week), from
    windows of the same length in the reference, where there are ``LEAST_WINDOWS`` or more.

    **What it does not tell.** Everything rests on the ``assumption``: no concept drift, and inputs
    as the reference has shown some. From scores alone the assumption is stronger still: labels
    must be as in the reference given the *score*, so that a group for which the score is wrong in
    a known direction shows when its share grows. Where the assumption fails, the estimates go on
    looking well. Their intervals do not know of it: a year unlike the reference's months is not in
    them. When the labels are there, ask ``estimated_and_realised``.

    Windows, groups, ``minimum``, ``level``, ``start`` and ``end`` are those of ``performance``.
    ``n_current`` is the rows with a prediction (and a score), ``n_reference`` the labelled rows
    learned from. ``rng`` draws the labels of a classification; of a window it depends on nothing
    but its state, the window and the group.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Sources: J. Kivimäki et al. (2024), "Confidence-based estimators for predictive performance in
    model monitoring", arXiv 2407.08649, and (2025), "Performance estimation in binary
    classification using calibrated confidence", arXiv 2505.05295; S. Garg et al. (2022),
    "Leveraging unlabeled data to predict out-of-distribution performance", ICLR, for what none of
    them can promise; J. Shao and C. F. J. Wu (1989), "A general theory for jackknife variance
    estimation", Annals of Statistics 17.

    >>> rng = np.random.default_rng(0)
    >>> def traffic(n, first, *, easy):
    ...     score = rng.beta(easy, easy, n)
    ...     return pd.DataFrame({
    ...         "event_time": pd.date_range(first, periods=n, freq="15min", tz="UTC"),
    ...         "score": score, "prediction": score > 0.5, "label": rng.random(n) < score})
    >>> table = estimated_performance(
    ...     traffic(4000, "2024-01-01", easy=1.0), traffic(672, "2024-03-04", easy=3.0),
    ...     task="classification", metrics=["accuracy"], rng=rng)
    >>> print(table[["value", "low", "high", "n_current"]].round(2).to_string(index=False))
     value  low  high  n_current
      0.66 0.63   0.7        672
    """
    model = ErrorModel.fitted(
        reference,
        task=task,
        features=features,
        positive=positive,
        calibration=calibration,
        n_folds=n_folds,
        time_column=time_column,
        prediction_column=prediction_column,
        score_column=score_column,
        label_column=label_column,
    )
    return model.estimates(
        current,
        rng=rng,
        window=window,
        metrics=metrics,
        group_column=group_column,
        minimum=minimum,
        level=level,
        draws=draws,
        start=start,
        end=end,
    )


JOINED_COLUMNS = (
    "metric",
    "group",
    "window_start",
    "window_end",
    "estimate",
    "low",
    "high",
    "realised",
    "covered",
    "gap",
    "gap_low",
    "gap_high",
    "n_estimated",
    "n_realised",
    "known_as_of",
)


def estimated_and_realised(
    estimated: pd.DataFrame, realised: pd.DataFrame, *, labelled: float = 0.95
) -> pd.DataFrame:
    """Return estimates beside what came: one row for each estimate, in their order.

    ``estimated`` is a table of ``estimated_performance``, ``realised`` one of ``performance`` of
    the same windows. Columns: ``metric``, ``group``, ``window_start`` and ``window_end``; the
    ``estimate`` with ``low`` and ``high``; what was ``realised``; ``covered``, whether it lies
    between them; the ``gap``, realised less estimate, with ``gap_low`` and ``gap_high``, which
    leave out 0 just where the realised value was not covered; ``n_estimated``, ``n_realised`` and
    ``known_as_of``. ``covered`` and the gap's interval are missing while fewer than a share
    ``labelled`` of the rows have their label: those that come first are no fair sample, and fewer.

    **What it does not tell.** A gap outside its interval says that the assumption failed, and not
    how: labels that follow other laws (concept drift), a score that was never right for those who
    now come, or labels that came selectively. Of a hundred quiet windows five are outside at the
    level 0.95; several in a row, on the same side, are another matter.

    Raises ``ValueError`` when a table has several rows for one metric, group and window, and when
    none of the windows of the one is among the other's.

    >>> window = {"metric": "accuracy", "window_start": "2024-03-04", "window_end": "2024-03-11"}
    >>> before = measurements([window | {"monitor": "estimated_performance", "value": 0.65,
    ...                                  "low": 0.62, "high": 0.69, "n_current": 672}])
    >>> after = measurements([window | {"monitor": "performance", "value": 0.5, "n_current": 672}])
    >>> row = estimated_and_realised(before, after).iloc[0]
    >>> print(row["covered"], *row[["gap", "gap_low", "gap_high"]].astype(float).round(2))
    False -0.15 -0.19 -0.12
    """
    if not 0 < labelled <= 1:
        raise ValueError(f"labelled={labelled!r}: a share above 0 and up to 1 is needed")
    keys = ["metric", "group", "window_start", "window_end"]
    for argument, table in (("estimated", estimated), ("realised", realised)):
        repeated = table[table.duplicated(keys)]
        if len(repeated):
            metric, group, start, _ = repeated.iloc[0][keys]
            raise ValueError(
                f"{argument} has several rows for metric={metric!r}, group={group!r}, "
                f"window_start={start}"
            )
    came = realised[[*keys, "value", "n_current", "known_as_of"]]
    joined = estimated[[*keys, "value", "low", "high", "n_current"]].merge(
        came.rename(columns={"value": "realised", "n_current": "n_realised"}),
        on=keys,
        how="left",
        indicator=True,
    )
    if len(joined) and not joined["_merge"].eq("both").any():
        raise ValueError(
            "realised has none of the windows and metrics of estimated; measure both with the "
            "same window, start and end"
        )
    joined = joined.rename(columns={"value": "estimate", "n_current": "n_estimated"})
    joined["n_realised"] = joined["n_realised"].fillna(0).astype("int64")
    judged = joined["n_realised"] >= labelled * joined["n_estimated"]
    judged &= joined[["low", "high", "realised"]].notna().all(axis=1)
    covered = joined["realised"].between(joined["low"], joined["high"])
    joined["covered"] = covered.astype("boolean").where(judged)
    joined["gap"] = joined["realised"] - joined["estimate"]
    joined["gap_low"] = (joined["realised"] - joined["high"]).where(judged)
    joined["gap_high"] = (joined["realised"] - joined["low"]).where(judged)
    return joined[list(JOINED_COLUMNS)]
