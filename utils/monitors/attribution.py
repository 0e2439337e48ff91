"""For the same reasons as before? What each feature adds to the scores, and how that changes."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import logit

from utils.monitors import windows
from utils.monitors.intervals import bootstrap_t, checked_level, ratio, resampled_weights
from utils.records import measurements

MONITOR = "attribution"
NDCG_THRESHOLD = 0.90
"""Below this the documented rule speaks of attribution drift."""

Link = Literal["identity", "logit"]
Scores = Callable[[pd.DataFrame], Any]

_OFF_THE_BOUNDS = 1e-6  # a score of exactly 0 or 1 has no log-odds
_AT_ONCE = 100_000  # rows that the model is asked about in one call


# --------------------------------------------------------------------------------- of each row


@dataclass(frozen=True, kw_only=True)
class Attributions:
    """What each feature adds to each row's score: ``base`` and the row's ``values`` make ``score``.

    ``values`` has a row for each that was explained (with its index in the frame) and a column for
    each feature; ``base`` is the mean score of the background. All are in the unit of the score, or
    in log-odds with the link ``"logit"``.
    """

    values: pd.DataFrame
    base: float
    score: pd.Series


def attributions(
    model: Any,
    frame: pd.DataFrame,
    *,
    background: pd.DataFrame,
    rng: np.random.Generator,
    features: Sequence[str] | None = None,
    link: Link = "identity",
    max_rows: int = 200,
    max_background: int = 50,
    permutations: int = 1,
) -> Attributions:
    """Return what each feature adds to the score of each row, compared with background rows.

    The values are Shapley values over the columns that the *served* model is given, before any
    encoding: a category has one value, not one for each of its dummies. ``model`` is a classifier
    of two classes (the score is the probability of the second), a regression, or any function from
    a frame to one score a row. It is not looked into, so boosted trees, a linear ``Pipeline`` and a
    call over HTTP are explained alike.

    They come from shap's permutation explainer: features are switched from a background row's
    value to the row's own in a random order, and back in that order. ``base`` + values = score for
    every row, exactly. One order (``permutations=1``) is exact for models in which no more than
    two features interact (linear ones, whatever is done to each feature, on the scale of the
    link); for others more orders lessen the noise. It costs about 2 × features × background × rows
    × permutations rows of prediction.

    **What it does not tell.** It explains the model, not the world: a feature that matters to the
    model may have no effect on what is predicted, and one that is left out may act through others.
    Rows are mixed of background and own values, so people are asked about who cannot exist (aged
    20, with 30 years of work). Correlated features share the credit in ways that hang on the
    background; it is part of the definition, so compare only what has the same one.

    At most ``max_rows`` rows of the frame and ``max_background`` of the background are taken,
    drawn by ``rng``. ``features`` are the columns that the model is given, in its order;
    ``None`` takes all columns of the background.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Sources: S. M. Lundberg and S.-I. Lee (2017), "A unified approach to interpreting model
    predictions", NeurIPS 30; ``shap.explainers.Permutation``.

    >>> people = pd.DataFrame({"income": [1.0, 2.0, 3.0], "desk": ["a", "b", "a"]})
    >>> def score(rows):
    ...     return 10 * rows["income"] + (rows["desk"] == "b")
    >>> found = attributions(score, people, background=people[:1], rng=np.random.default_rng(0))
    >>> print(found.base, found.values.to_numpy().tolist())
    10.0 [[0.0, 0.0], [10.0, 1.0], [20.0, 0.0]]
    """
    numbers = {
        "max_rows": max_rows,
        "max_background": max_background,
        "permutations": permutations,
    }
    for argument, number in numbers.items():
        if number < 1:
            raise ValueError(f"{argument}={number!r}: at least 1 is needed")
    if link not in ("identity", "logit"):
        raise ValueError(f"link={link!r}: one of identity, logit")
    names = list(background.columns if features is None else features)
    if not len(background) or not names:
        raise ValueError("background: a row and a column at least are needed")
    for argument, given in (("frame", frame), ("background", background)):
        for name in names:
            windows.column(given, name, argument=f"{argument}, features")
    frame = _some(frame[names], max_rows, rng)
    background = _some(background[names], max_background, rng)
    scores = _scores_of(model, link)
    base = float(scores(background).mean())
    own = scores(frame) if len(frame) else np.empty(0)
    mixed = _Mixed.of(frame, background)
    at_background = len(frame) + np.arange(len(background))
    at_once = max(1, _AT_ONCE // (len(background) * (2 * len(names) + 1)))
    values = [
        _explained(
            lambda at: scores(mixed.rows(at)),
            np.arange(first, min(first + at_once, len(frame))),
            at_background,
            n_features=len(names),
            permutations=permutations,
            rng=rng,
        )
        for first in range(0, len(frame), at_once)
    ]
    values = np.concatenate([np.empty((0, len(names))), *values])
    return Attributions(
        values=pd.DataFrame(values, index=frame.index, columns=names),
        base=base,
        score=pd.Series(own, index=frame.index, name="score"),
    )


def _some(frame: pd.DataFrame, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return all rows, or so many of them drawn at random, in their order."""
    if len(frame) <= most:
        return frame
    return frame.iloc[np.sort(rng.choice(len(frame), most, replace=False))]


def _scores_of(model: Any, link: Link) -> Scores:
    """Return the function from rows to scores, on the scale of the link."""
    ask = _asked(model)

    def scores(rows: pd.DataFrame) -> np.ndarray:
        found = np.asarray(ask(rows))
        if found.shape != (len(rows),) or found.dtype.kind not in "biuf":
            raise ValueError(
                f"model answered {found.dtype} of shape {found.shape} for {len(rows)} rows: one "
                "number a row is needed; pass a function, such as "
                "lambda rows: model.predict_proba(rows)[:, 1]"
            )
        found = found.astype(float)
        if not np.isfinite(found).all():
            raise ValueError(f"model answered {found[~np.isfinite(found)][0]} for a row")
        if link == "identity":
            return found
        if found.min() < 0 or found.max() > 1:
            raise ValueError(f"link='logit': model answered {found.min():g}..{found.max():g}")
        return logit(np.clip(found, _OFF_THE_BOUNDS, 1 - _OFF_THE_BOUNDS))

    return scores


def _asked(model: Any) -> Scores:
    if hasattr(model, "predict_proba"):
        n_classes = np.shape(getattr(model, "classes_", (0, 1)))
        if n_classes != (2,):
            raise ValueError(
                "model has other than two classes; pass a function of the one that is meant, such "
                "as lambda rows: model.predict_proba(rows)[:, 0]"
            )
        return lambda rows: model.predict_proba(rows)[:, 1]
    if hasattr(model, "predict"):
        return model.predict
    if callable(model):
        return model
    raise ValueError(f"model={model!r}: a model with predict, or a function, is needed")


@dataclass(frozen=True)
class _Mixed:
    """The values of each column, of the rows and then of the background, to mix new rows from."""

    columns: dict[str, pd.Series]

    @classmethod
    def of(cls, frame: pd.DataFrame, background: pd.DataFrame) -> _Mixed:
        return cls({name: _one_after_the_other(frame[name], background[name]) for name in frame})

    def rows(self, at: np.ndarray) -> pd.DataFrame:
        """Return rows that take the value of each column from the place given for it."""
        taken = {
            name: column.array.take(at[:, place])
            for place, (name, column) in enumerate(self.columns.items())
        }
        return pd.DataFrame(taken)


def _one_after_the_other(first: pd.Series, second: pd.Series) -> pd.Series:
    if isinstance(first.dtype, pd.CategoricalDtype) and first.dtype != second.dtype:
        return pd.Series(pd.api.types.union_categoricals([first, second.astype("category")]))
    return pd.concat([first, second], ignore_index=True)


def _explained(
    scores: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    background: np.ndarray,
    *,
    n_features: int,
    permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the attributions (rows × features) of rows; these are places, as is the background.

    shap explains one row at a time, and a model costs about as much for a thousand rows as for one.
    So all are explained as one, with an answer for each: to which of its players take part, a model
    of many outputs answers with the mean score of each row. Shapley values do not care what the
    players are called, so each row deals them out to the features at random: though all share
    shap's order of the players, each has its own order of the features.
    """
    player = rng.permuted(np.tile(np.arange(n_features), (len(rows), 1)), axis=1)

    def answers(taking_part: np.ndarray) -> np.ndarray:
        own = taking_part.astype(bool)[:, player][:, :, None]  # sets × rows × 1 × features
        at = np.where(own, rows[:, None, None], background[:, None])
        means = scores(at.reshape(-1, n_features)).reshape(at.shape[:-1]).mean(axis=-1)
        return means  # sets × rows

    one_order = 2 * n_features + 1
    shap, seed = _shap(), int(rng.integers(2**32))
    with _global_generator_kept():
        explainer = shap.explainers.Permutation(answers, lambda mask, _: mask[None], seed=seed)
        (by_player,) = explainer(
            np.ones((1, n_features)),
            max_evals=permutations * one_order,
            batch_size=one_order,
            silent=True,
        ).values
    return by_player.T[np.arange(len(rows))[:, None], player]


def _shap() -> ModuleType:
    """Return shap, which asks matplotlib for something old when it is first imported."""
    with warnings.catch_warnings():
        old = "The set_(bad|over|under) function"
        warnings.filterwarnings("ignore", old, PendingDeprecationWarning)
        import shap
    return shap


@contextmanager
def _global_generator_kept() -> Iterator[None]:
    """Put NumPy's global generator, which shap seeds and draws from, back as it was."""
    before = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(before)


# ------------------------------------------------------------------------------------- of them all


def importance(
    explained: Attributions,
    *,
    rng: np.random.Generator,
    draws: int = 500,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the importance of each feature: the mean size of what it adds, greatest first.

    Columns: ``feature``, ``value`` (the mean of |attribution|, in the unit of the score), ``low``
    and ``high`` by a bootstrap over the rows, which it takes as independent, and ``n``. It does not
    say in which direction a feature works, nor that the model would be worse without it. A feature
    that never adds anything has 0, and no interval.

    >>> people = pd.DataFrame({"income": [1.0, 2.0, 4.0] * 20, "noise": 0.5})
    >>> rng = np.random.default_rng(0)
    >>> found = attributions(lambda rows: 3 * rows["income"] - 2, people, background=people[:3],
    ...                      rng=rng)
    >>> importance(found, rng=rng)[["feature", "value", "n"]].round(2).values.tolist()
    [['income', 3.33, 60], ['noise', 0.0, 60]]
    """
    found = _Importances.of(explained, draws=draws, rng=rng)
    low, high = found.bounds(found.values, found.drawn, scale="log", level=checked_level(level))
    table = pd.DataFrame(
        {
            "feature": list(explained.values.columns),
            "value": found.values,
            "low": low,
            "high": high,
            "n": found.n,
        }
    )
    return table.sort_values("value", ascending=False, kind="stable", ignore_index=True)


@dataclass(frozen=True, kw_only=True)
class _Importances:
    """The importance of each feature, and in samples of the rows (samples × features)."""

    values: np.ndarray
    drawn: np.ndarray
    n: int

    @classmethod
    def of(cls, explained: Attributions, *, draws: int, rng: np.random.Generator) -> _Importances:
        sizes = explained.values.abs().to_numpy()
        n, n_features = sizes.shape
        if not n:
            unknown = np.full(n_features, np.nan)
            return cls(values=unknown, drawn=np.empty((0, n_features)), n=0)
        weights = resampled_weights(n, draws=draws, n_rows=n, rng=rng)
        drawn = np.concatenate([each @ sizes / n for each in weights])
        return cls(values=sizes.mean(axis=0), drawn=drawn, n=n)

    def bounds(
        self, values: np.ndarray, drawn: np.ndarray, *, scale: str, level: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the intervals of values that are made of these, from their draws."""
        found = [
            bootstrap_t(value, draws, n_units=self.n, scale=scale, level=level)
            for value, draws in zip(values, drawn.T, strict=True)
        ]
        low, high = np.array(found).reshape(-1, 2).T
        return low, high


# ------------------------------------------------------------------------------------- drift of it


def ndcg(live: np.ndarray, *, reference: np.ndarray) -> np.ndarray:
    """Return how well the ranking of features by live importance agrees with the reference's.

    Both are importances (…, features), in the same order of features, and broadcast. Features are
    ranked by their live importance; the normalised discounted cumulative gain sums their
    *reference* importances, each divided by log₂(place + 1), and divides by the same sum in the
    reference's own order. 1 is the same ranking; the documented rule speaks of drift below 0.90.
    Features of equal live importance share their places. ``NaN`` where the reference is all 0 or
    anything is not known.

    **What it does not tell.** It sees only the order: it stays 1 when all importances double or
    one grows to outweigh all others without overtaking any, and when a feature begins to work in
    the opposite direction. Swaps among features that were of little importance hardly move it. It
    is never 0: the least that it can be, of a reversed ranking, depends on the reference (0.69 in
    the example below; above 0.9 where the importances were alike, so that no change is ever seen).

    Raises ``ValueError`` for negative reference importances and for other numbers of features.

    Source: Amazon SageMaker Clarify, developer guide, "Feature attribution drift for models in
    production", whose example this is.

    >>> print(ndcg(np.array([0.10, 0.20, 0.70]), reference=np.array([0.70, 0.50, 0.05])).round(2))
    0.69
    """
    live, reference = np.asarray(live, dtype=float), np.asarray(reference, dtype=float)
    if live.shape[-1:] != reference.shape[-1:] or not live.ndim:
        raise ValueError(
            f"live, reference: shapes {live.shape} and {reference.shape}; both have the same "
            "features along the last axis"
        )
    if (reference < 0).any():
        raise ValueError(
            f"reference: holds {reference.min():g}; an importance is a mean size, 0 or more"
        )
    discount = 1 / np.log2(np.arange(live.shape[-1]) + 2)
    above = (live[..., None, :] > live[..., :, None]).sum(axis=-1)
    equal = (live[..., None, :] == live[..., :, None]).sum(axis=-1)
    up_to = np.append(0.0, np.cumsum(discount))
    own = ratio(up_to[above + equal] - up_to[above], equal)  # the mean over the places shared
    gain = (reference * own).sum(axis=-1)
    ideal = (np.sort(reference, axis=-1)[..., ::-1] * discount).sum(axis=-1)
    return np.minimum(ratio(gain, ideal), 1.0)


def attribution_drift(
    model: Any,
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    features: Sequence[str],
    rng: np.random.Generator,
    window: windows.Length | None = "7D",
    background: pd.DataFrame | None = None,
    link: Link = "identity",
    max_rows: int = 200,
    max_background: int = 50,
    permutations: int = 1,
    minimum: int = 30,
    level: float = 0.95,
    draws: int = 500,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return how the reasons for the scores compare with the reference's, by window: measurements.

    **Metrics.** ``ndcg`` (see there): an ``alarm`` below the documented 0.90, whatever the number
    of rows. For each feature, ``importance`` (the mean size of its attributions, in the unit of the
    score) and ``importance_share`` (of the sum over features), which show what ``ndcg`` does not.

    **What it does not tell.** The model is the same all along: its reasons change because the rows
    do. So it is drift of the inputs, weighed by the model, and no evidence that answers became
    wrong; nor does it see a world in which the model's reasons have become bad ones. See also
    ``attributions`` and ``ndcg``.

    Of the reference, and of each window, at most ``max_rows`` rows are explained (``n_reference``
    and ``n_current``), against ``max_background`` rows of ``background``, or else of the
    reference: the same ones for all. With fewer than ``minimum`` rows a window's values are
    ``NaN``. The rows and orders drawn of a window depend on the state of ``rng`` and the window
    alone.

    **Intervals** hold at ``level`` for rows that are independent; they are from a bootstrap over
    the rows of the window and, for ``ndcg``, of the reference too. That of ``ndcg`` reaches from
    the percentile of the draws below to the other one, or the same distance mirrored, above: chance
    can only spoil a ranking, so ``ndcg`` lies below the truth on average, its draws lower still.

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> rng = np.random.default_rng(0)
    >>> def people(n, spread):
    ...     times = pd.date_range("2024-01-01", periods=n, freq="1h", tz="UTC")
    ...     return pd.DataFrame({"event_time": times, "income": rng.normal(0, 1, n),
    ...                          "age": rng.normal(0, spread, n)})
    >>> table = attribution_drift(lambda rows: 2 * rows["income"] + rows["age"], people(100, 1),
    ...                           people(100, 9), features=["income", "age"], rng=rng)
    >>> row = table.iloc[0]
    >>> print(row["metric"], row["value"].round(2), bool(row["alarm"]))
    ndcg 0.85 True
    """
    checked_level(level)
    for argument, number in (("minimum", minimum), ("draws", draws)):
        if number < 1:
            raise ValueError(f"{argument}={number!r}: at least 1 is needed")
    time = windows.times(current, time_column, argument="time_column")
    edges = windows.cut(time, window=window, start=start, end=end)
    background = _some(reference if background is None else background, max_background, rng)
    settings = {
        "background": background,
        "features": features,
        "link": link,
        "max_rows": max_rows,
        "max_background": max_background,
        "permutations": permutations,
    }
    explained = attributions(model, reference, rng=rng, **settings)
    then = _Importances.of(explained, draws=draws, rng=rng)
    seed = int(rng.integers(2**63))
    found = []
    for start_us, end_us in itertools.pairwise(edges.tolist()):
        inside = current[(time >= start_us) & (time < end_us)]
        enough = inside if len(inside) >= minimum else inside.iloc[:0]
        own = np.random.default_rng([seed, start_us % 2**64])
        explained = attributions(model, enough, rng=own, **settings)
        now = _Importances.of(explained, draws=draws, rng=own)
        here = {
            "monitor": MONITOR,
            "window_start": windows.from_microseconds(start_us),
            "window_end": windows.from_microseconds(end_us),
            "n_reference": then.n,
            "n_current": now.n or len(inside),
        }
        found += [here | each for each in _compared(now, then, list(features), level=level)]
    found.sort(key=lambda row: _METRICS.index(row["metric"]))
    return measurements(found)


_METRICS = ("ndcg", "importance", "importance_share")


def _compared(
    now: _Importances, then: _Importances, features: list[str], *, level: float
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of one window."""
    value = float(ndcg(now.values, reference=then.values))
    yield {
        "metric": "ndcg",
        "value": value,
        "threshold_low": NDCG_THRESHOLD,
        "alarm": value < NDCG_THRESHOLD,
        **_ndcg_bounds(value, now, then, level=level),
    }
    shares = ratio(now.values, now.values.sum(keepdims=True))
    shares_drawn = ratio(now.drawn, now.drawn.sum(axis=1, keepdims=True))
    for metric, values, drawn, scale in (
        ("importance", now.values, now.drawn, "log"),
        ("importance_share", shares, shares_drawn, "logit"),
    ):
        bounds = now.bounds(values, drawn, scale=scale, level=level)
        for feature, each, low, high in zip(features, values, *bounds, strict=True):
            yield {"metric": metric, "feature": feature, "value": each, "low": low, "high": high}


def _ndcg_bounds(
    value: float, now: _Importances, then: _Importances, *, level: float
) -> dict[str, float]:
    if np.isnan(value):
        return {}
    drawn = ndcg(now.drawn, reference=then.drawn)
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    low = min(float(low), value)
    return {"low": low, "high": min(1.0, max(float(high), 2 * value - low))}
