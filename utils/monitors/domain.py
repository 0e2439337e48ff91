"""Did the columns change together, and is it why the losses did? Trees that tell periods apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtrit

from utils.monitors import windows
from utils.monitors.drift import MONITOR, inputs
from utils.monitors.intervals import checked_level, wilson
from utils.monitors.profile import Binning
from utils.monitors.rules import block_length
from utils.records import measurements

AUC = "domain_auc"
DROP = "domain_auc_drop"
CHANGE = "loss_change"
BY_INPUTS = "loss_change_by_inputs"
BY_CONCEPT = "loss_change_by_concept"
_MOST_ODDS = np.log(20)  # no row of the reference stands for more than 20


@dataclass(frozen=True, kw_only=True)
class Domain:
    """How well a classifier tells each window from the reference, and what it leans on.

    ``auc`` has a row for each window, ``drops`` one for each feature and window; both are
    measurements.
    """

    auc: pd.DataFrame
    drops: pd.DataFrame


def domain_classifier(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    rng: np.random.Generator,
    window: windows.Length | None = "7D",
    features: Sequence[str] | None = None,
    n_folds: int = 5,
    max_rows: int = 4000,
    minimum: int = 100,
    level: float = 0.95,
    block: windows.Length | None = None,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    monitor: str = MONITOR,
    time_column: str = "event_time",
) -> Domain:
    """Return how well a classifier tells the rows of each window from those of the reference.

    ``domain_auc`` is the area under its ROC curve on rows that it did not learn from: how often,
    of a row of the window and one of the reference, it finds which is which. 0.5 is no difference,
    1 is none in common. It sees what no single column shows: two columns that used to go together
    and no longer do. ``domain_auc_drop`` is by how much that falls when the values of one feature
    are exchanged among the rows: what the classifier leans on.

    **What it does not tell.** Whether the change matters to the model, nor what it is: the drops
    say where to look. 0.5 says that *this* classifier saw no difference in so many rows. A column
    that grows with time (a running number, a date) parts any two periods, and so do missing values
    that come or go. Of two columns that are alike it may lean on one, or on both a little.

    **How.** As many rows of the reference as of the window, drawn at random, at most ``max_rows``
    of each; gradient-boosted trees on the bins of ``profile.Binning``, in which missing is a value
    like any other; ``n_folds`` folds, and each row scored by the trees that did not see it. With
    ``block="1D"`` whole days lie in one fold. Where the rows of a day are alike this is a must:
    else the classifier knows the days of the window by heart, and finds them in the other rows.

    **Intervals** hold at ``level``, on the log-odds of the area: from the variance between rows
    (DeLong's) or between days, enlarged because the classifiers of the folds learn from the same
    rows (Nadeau and Bengio's correction). Where all is told apart it is Wilson's, of as many rows
    or days. Those of the drops are on their own scale; a feature that no tree asks has none.

    **Too little.** With fewer than ``minimum`` rows in the window or the reference, or fewer than
    2 blocks, values are ``NaN``. ``n_reference`` and ``n_current`` are the rows drawn, else those
    that there are. Windows are those of ``performance``. What is drawn depends on the state of
    ``rng`` and the window alone.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Sources: D. Lopez-Paz and M. Oquab (2017), "Revisiting classifier two-sample tests", ICLR;
    E. R. DeLong et al. (1988), "Comparing the areas under two or more correlated receiver operating
    characteristic curves", Biometrics 44; N. A. Obuchowski (1997), "Nonparametric analysis of
    clustered ROC curve data", Biometrics 53; C. Nadeau and Y. Bengio (2003), "Inference for the
    generalization error", Machine Learning 52.

    >>> rng = np.random.default_rng(0)
    >>> def loans(first, correlation):
    ...     x, y = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], 600).T
    ...     return pd.DataFrame({
    ...         "event_time": pd.date_range(first, periods=600, freq="15min", tz="UTC"),
    ...         "income": x, "amount": y})
    >>> found = domain_classifier(loans("2024-01-01", 0.8), loans("2024-02-05", -0.8), rng=rng)
    >>> bool(found.auc.loc[0, "low"] > 0.7), sorted(found.drops["feature"])
    (True, ['amount', 'income'])
    """
    checked_level(level)
    features = inputs(reference, time_column=time_column) if features is None else list(features)
    auc, drops = [], []
    for here, drawn, rng_here in _by_window(
        reference,
        current,
        rng=rng,
        window=window,
        features=features,
        n_folds=n_folds,
        max_rows=max_rows,
        minimum=minimum,
        block=block,
        start=start,
        end=end,
        time_column=time_column,
    ):
        told = None if drawn is None else _told_apart(drawn, rng=rng_here)
        here["monitor"] = monitor
        auc.append(here | {"metric": AUC} | (told.auc(level=level) if told else _UNKNOWN))
        for at, feature in enumerate(features):
            of_drop = told.drop(at, level=level) if told else _UNKNOWN
            drops.append(here | {"metric": DROP, "feature": feature} | of_drop)
    drops.sort(key=lambda row: features.index(row["feature"]))
    return Domain(auc=measurements(auc), drops=measurements(drops))


def decomposition(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    rng: np.random.Generator,
    loss_column: str,
    window: windows.Length | None = "7D",
    features: Sequence[str] | None = None,
    n_folds: int = 5,
    max_rows: int = 4000,
    minimum: int = 100,
    level: float = 0.95,
    block: windows.Length | None = None,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    monitor: str = MONITOR,
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return how much of a change in the mean loss is due to the inputs, and how much is not.

    ``loss_change`` is the mean loss of the window less that of the reference, in the loss's unit
    (a squared error, a log loss, an amount: see ``paired.losses``). ``loss_change_by_inputs`` is
    what the reference would have lost more on inputs like those of the window: more rows of a kind
    that was always hard (covariate drift). ``loss_change_by_concept`` is the rest: on the same
    inputs it loses more than it did (concept drift). The two add up to the first.

    **What it does not tell.** Inputs that the model does not have, and nobody recorded, count as
    concept. So does what is hard only where the reference has no rows: nobody knows what it would
    have lost there. And it is of the rows whose loss is known.

    **How.** Rows of the reference are weighted by the odds with which a classifier takes them for
    the window's (no odds above 20), and trees learn the loss from the inputs on the reference; the
    two correct each other, each on rows that it did not learn from. Rows, folds, blocks and
    intervals are those of ``domain_classifier``; the interval of the change itself is not enlarged.

    **Too little.** ``n_reference`` of the two parts is how many rows the weighted ones are worth
    (Kish); with fewer than ``minimum`` they are ``NaN``: the window's inputs are too strange.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Sources: T. T. Cai, H. Namkoong and S. Yadlowsky (2023), "Diagnosing model performance under
    distribution shift", arXiv 2303.02011; for the double correction J. M. Robins, A. Rotnitzky and
    L. P. Zhao (1994), "Estimation of regression coefficients when some regressors are not always
    observed", Journal of the American Statistical Association 89.

    >>> rng = np.random.default_rng(0)
    >>> def loans(first, income):
    ...     x = rng.normal(income, 1, 1000)
    ...     return pd.DataFrame({
    ...         "event_time": pd.date_range(first, periods=1000, freq="10min", tz="UTC"),
    ...         "income": x, "loss": (1 + x) ** 2 + rng.normal(0, 1, 1000)})
    >>> table = decomposition(loans("2024-01-01", 0.0), loans("2024-02-05", 0.5), rng=rng,
    ...                       loss_column="loss", window=None).set_index("metric")
    >>> row = table.loc["loss_change_by_inputs"]
    >>> print(bool(row["low"] < 1.25 < row["high"]), bool(row["low"] > 0))
    True True
    >>> row = table.loc["loss_change_by_concept"]
    >>> print(bool(row["low"] < 0 < row["high"]))
    True
    """
    checked_level(level)
    for frame in (reference, current):
        loss = windows.column(frame, loss_column, argument="loss_column")
        if not pd.api.types.is_numeric_dtype(loss):
            raise ValueError(f"loss_column={loss_column!r} holds {loss.dtype}: numbers are needed")
    if features is None:
        features = inputs(reference, time_column=time_column)
    found = []
    for here, drawn, _ in _by_window(
        reference,
        current,
        rng=rng,
        window=window,
        features=[name for name in features if name != loss_column],
        n_folds=n_folds,
        max_rows=max_rows,
        minimum=minimum,
        block=block,
        start=start,
        end=end,
        time_column=time_column,
        needed=loss_column,
    ):
        parts = {} if drawn is None else _parts(drawn, loss_column, minimum=minimum, level=level)
        for metric in (CHANGE, BY_INPUTS, BY_CONCEPT):
            known = parts.get(metric, _UNKNOWN)
            found.append(here | {"monitor": monitor, "metric": metric} | known)
    found.sort(key=lambda row: (CHANGE, BY_INPUTS, BY_CONCEPT).index(row["metric"]))
    return measurements(found)


# ------------------------------------------------------------------------------ reading the frames

_UNKNOWN = dict.fromkeys(("value", "low", "high"), np.nan)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """As many rows of the reference as of a window: those of the reference, then the others."""

    frames: Sequence[pd.DataFrame]
    units: Sequence[np.ndarray]  # of the rows of each side: what is independent
    fold: np.ndarray
    columns: np.ndarray  # rows × features
    is_category: Sequence[bool]

    @property
    def n(self) -> int:
        return len(self.frames[0])

    @property
    def is_current(self) -> np.ndarray:
        return np.repeat([False, True], self.n)

    @property
    def n_folds(self) -> int:
        return int(self.fold.max()) + 1

    def t(self, level: float) -> float:
        """Return the t of a level, of as many degrees of freedom as the fewer units allow."""
        return float(stdtrit(self.n_units - 1, (1 + level) / 2))

    @property
    def n_units(self) -> int:
        return min(int(unit.max()) + 1 for unit in self.units)

    @property
    def in_common(self) -> float:
        """By how much a variance grows as the trees of the folds learn from the same rows.

        It is the correction of Nadeau and Bengio.
        """
        return 1 + self.n_folds / (self.n_folds - 1)

    def error(self, pulls: np.ndarray) -> float:
        """Return the standard error of a sum of pulls of rows, independent from unit to unit."""
        variance = 0.0
        for unit, pull in zip(self.units, np.split(pulls, 2), strict=True):
            by_unit = np.bincount(unit, weights=pull)
            variance += (by_unit**2).sum() * len(by_unit) / (len(by_unit) - 1)
        return float(np.sqrt(variance))


def _by_window(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    rng: np.random.Generator,
    window: windows.Length | None,
    features: Sequence[str],
    n_folds: int,
    max_rows: int,
    minimum: int,
    block: windows.Length | None,
    start: windows.Moment | None,
    end: windows.Moment | None,
    time_column: str,
    needed: str | None = None,
) -> Iterator[tuple[dict[str, Any], _Drawn | None, np.random.Generator]]:
    """Yield of each window what a table says of it, and the rows drawn: ``None`` if too few.

    Rows that lack the column ``needed`` do not count.
    """
    for argument, number, least in (
        ("n_folds", n_folds, 2),
        ("max_rows", max_rows, 2),
        ("minimum", minimum, 1),
    ):
        if number < least:
            raise ValueError(f"{argument}={number!r}: at least {least} is needed")
    if not features:
        raise ValueError("features: none; at least 1 is needed to tell rows apart")
    of_block = block_length(block, window=window)
    binning = Binning.fitted(reference, features=features, n_bins=128, max_categories=100)
    seed = int(rng.integers(2**63))
    time = windows.times(current, time_column, argument="time_column")
    edges = windows.cut(time, window=window, start=start, end=end)
    if needed is not None:
        there = current[needed].notna().to_numpy()
        reference, current, time = reference[reference[needed].notna()], current[there], time[there]
    origin = windows.ORIGIN if start is None else windows.moment(start, argument="start")
    unit_of_reference, unit = (
        _units(frame, of_block, origin=windows.whole_microseconds(origin), time_column=time_column)
        for frame in (reference, current)
    )
    for start_us, end_us in pairwise(edges.tolist()):
        rng_here = np.random.default_rng([seed, start_us % 2**64])
        inside = np.flatnonzero((time >= start_us) & (time < end_us))
        fewer = min(len(reference), len(inside))
        drawn = None
        if fewer >= max(minimum, 2):
            drawn = _drawn(
                (reference, current.iloc[inside]),
                (unit_of_reference, unit[inside]),
                binning,
                n=min(fewer, max_rows),
                n_folds=n_folds,
                rng=rng_here,
            )
        here = {
            "window_start": windows.from_microseconds(start_us),
            "window_end": windows.from_microseconds(end_us),
            "n_reference": len(reference) if drawn is None else drawn.n,
            "n_current": len(inside) if drawn is None else drawn.n,
        }
        yield here, drawn, rng_here


def _units(frame: pd.DataFrame, block: int | None, *, origin: int, time_column: str) -> np.ndarray:
    """Return the number of what is independent in which each row lies: its block, or itself."""
    if block is None:
        return np.arange(len(frame))
    return (windows.times(frame, time_column, argument="time_column") - origin) // block


def _drawn(
    frames: Sequence[pd.DataFrame],
    units: Sequence[np.ndarray],
    binning: Binning,
    *,
    n: int,
    n_folds: int,
    rng: np.random.Generator,
) -> _Drawn | None:
    """Return ``n`` rows of each side, in folds of whole units; ``None`` for a side of one unit."""
    chosen = [np.sort(rng.choice(len(each), size=n, replace=False)) for each in frames]
    frames = [frame.iloc[at] for frame, at in zip(frames, chosen, strict=True)]
    units = [
        np.unique(unit[at], return_inverse=True)[1] for unit, at in zip(units, chosen, strict=True)
    ]
    n_units = [int(unit.max()) + 1 for unit in units]
    if min(n_units) < 2:
        return None
    k = min(n_folds, *n_units)
    folds = [rng.permutation(many)[unit] % k for many, unit in zip(n_units, units, strict=True)]
    return _Drawn(
        frames=frames,
        units=units,
        fold=np.concatenate(folds),
        columns=_columns(frames, binning),
        is_category=[bins.kind == "category" for bins in binning.bins],
    )


def _columns(frames: Sequence[pd.DataFrame], binning: Binning) -> np.ndarray:
    """Return the bin of each row in each feature (rows × features), ``NaN`` for missing numbers."""
    codes = np.concatenate([binning.codes(each) for each in frames], axis=1).astype(float)
    for row, bins in zip(codes, binning.bins, strict=True):
        if bins.kind == "number":
            row[row == bins.n_bins] = np.nan
    return codes.T


# --------------------------------------------------------------------------------------- measuring

_TREES = {"max_iter": 60, "max_leaf_nodes": 15, "l2_regularization": 1.0, "early_stopping": False}


@dataclass(frozen=True, kw_only=True)
class _Told:
    """From how many rows of the other side in its fold each row is told, of how many it met.

    ``won_without`` has the same for each feature (features × rows), its values exchanged among the
    rows of the fold.
    """

    drawn: _Drawn
    won: np.ndarray
    met: np.ndarray
    won_without: np.ndarray

    def auc(self, *, level: float) -> dict[str, float]:
        value, error = self.share(self.won)
        if value == 1:
            low, high = wilson(self.drawn.n_units, self.drawn.n_units, level=level)
        else:
            slope = value * (1 - value)
            half = self.drawn.t(level) * error / slope if slope > 0 else np.nan
            low, high = expit(logit(value) - half), expit(logit(value) + half)
        return {"value": value, "low": float(low), "high": float(high)}

    def drop(self, feature: int, *, level: float) -> dict[str, float]:
        value, error = self.share(self.won - self.won_without[feature])
        half = self.drawn.t(level) * error if error > 0 else np.nan
        return {"value": value, "low": value - half, "high": value + half}

    def share(self, won: np.ndarray) -> tuple[float, float]:
        """Return the share of pairs that are told apart, and its standard error."""
        n_pairs = self.met[self.drawn.is_current].sum()
        value = float(won[self.drawn.is_current].sum() / n_pairs)
        error = self.drawn.error((won - value * self.met) / n_pairs)
        return value, error * np.sqrt(self.drawn.in_common)


def _told_apart(drawn: _Drawn, *, rng: np.random.Generator) -> _Told:
    """Return how trees tell the rows of each fold apart that learned from the other folds.

    They take one core: the sums of several would differ in their last digits.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    n_rows, n_features = drawn.columns.shape
    won, met, won_without = np.empty(n_rows), np.empty(n_rows), np.empty((n_features, n_rows))
    with threadpool_limits(limits=1, user_api="openmp"):
        for fold in range(drawn.n_folds):
            test = drawn.fold == fold
            trees = HistGradientBoostingClassifier(
                **_TREES, categorical_features=drawn.is_category, random_state=0
            ).fit(drawn.columns[~test], drawn.is_current[~test])
            held_out, of_current = drawn.columns[test], drawn.is_current[test]
            won[test] = _won(trees.decision_function(held_out), of_current)
            met[test] = np.where(of_current, (~of_current).sum(), of_current.sum())
            for at in range(n_features):
                exchanged = held_out.copy()
                exchanged[:, at] = rng.permutation(exchanged[:, at])
                won_without[at, test] = _won(trees.decision_function(exchanged), of_current)
    return _Told(drawn=drawn, won=won, met=met, won_without=won_without)


def _won(score: np.ndarray, is_current: np.ndarray) -> np.ndarray:
    """Return from how many rows of the other side each is told by its score; ties count half.

    >>> _won(np.array([1.0, 2.0, 2.0, 3.0]), np.array([False, False, True, True])).tolist()
    [2.0, 1.5, 1.5, 2.0]
    """
    reference, current = np.sort(score[~is_current]), np.sort(score[is_current])
    won = np.empty(len(score))
    for mine, others, sign in ((is_current, reference, 1), (~is_current, -current[::-1], -1)):
        own = sign * score[mine]
        below = [np.searchsorted(others, own, side=side) for side in ("left", "right")]
        won[mine] = np.mean(below, axis=0)
    return won


def _parts(
    drawn: _Drawn, loss_column: str, *, minimum: int, level: float
) -> dict[str, dict[str, float]]:
    """Return the change of the mean loss and its parts, as far as the rows allow."""
    current, n = drawn.is_current, drawn.n
    loss = np.concatenate(
        [each[loss_column].to_numpy(dtype=float, na_value=np.nan) for each in drawn.frames]
    )
    odds, expected = _odds_and_losses(drawn, loss)
    weight = np.where(current, 0.0, odds) / odds[~current].sum()
    before, now, on_its_inputs = (
        loss[~current].mean(),
        loss[current].mean(),
        expected[current].mean(),
    )
    corrected = weight @ (loss - expected)
    of_before = np.where(current, 0.0, (loss - before) / n)
    of_now = np.where(current, (loss - now) / n, 0.0)
    of_inputs = np.where(current, (expected - on_its_inputs) / n, 0.0) + weight * (
        loss - expected - corrected
    )
    then = on_its_inputs + corrected  # what the reference would have lost on the window's inputs
    worth = 1 / (weight**2).sum()
    found = {}
    for metric, value, pulls, is_part in (
        (CHANGE, now - before, of_now - of_before, False),
        (BY_INPUTS, then - before, of_inputs - of_before, True),
        (BY_CONCEPT, now - then, of_now - of_inputs, True),
    ):
        half = drawn.t(level) * drawn.error(pulls) * np.sqrt(drawn.in_common if is_part else 1.0)
        known = {"value": value, "low": value - half, "high": value + half}
        if is_part:
            known = (known if worth >= minimum else _UNKNOWN) | {"n_reference": int(worth)}
        found[metric] = known
    return found


def _odds_and_losses(drawn: _Drawn, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return of each row the odds of being the window's, and the loss the reference teaches.

    Each comes from trees that did not learn from the row.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    settings = _TREES | {"categorical_features": drawn.is_category, "random_state": 0}
    log_odds, expected = np.empty(len(loss)), np.empty(len(loss))
    with threadpool_limits(limits=1, user_api="openmp"):
        for fold in range(drawn.n_folds):
            test, rest = drawn.fold == fold, drawn.fold != fold
            teaches = rest & ~drawn.is_current
            classifier = HistGradientBoostingClassifier(**settings)
            classifier.fit(drawn.columns[rest], drawn.is_current[rest])
            log_odds[test] = classifier.decision_function(drawn.columns[test])
            regressor = HistGradientBoostingRegressor(**settings)
            regressor.fit(drawn.columns[teaches], loss[teaches])
            expected[test] = regressor.predict(drawn.columns[test])
    return np.exp(np.clip(log_odds, -_MOST_ODDS, _MOST_ODDS)), expected
