"""How sure we are: intervals for proportions, for resampled metrics, and for differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri, stdtrit

_CELLS = 1_000_000  # weights held at once: draws × rows


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide where the denominator is positive; elsewhere the answer is not known: ``NaN``.

    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    unknown = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    return np.divide(numerator, denominator, out=unknown, where=np.asarray(denominator) > 0)


def checked_level(level: float) -> float:
    """Return a confidence level, or raise ``ValueError`` where it is not between 0 and 1.

    >>> checked_level(0.95)
    0.95
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}: a number between 0 and 1 is needed, such as 0.95")
    return level


def wilson(
    successes: np.ndarray | float, trials: np.ndarray | float, *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of a proportion, ``NaN`` where there were no trials.

    It does not know of dependence between the trials: the rows of one bad day count as so many
    independent witnesses. Bounds lie in 0..1; arrays are taken element by element.

    Source: E. B. Wilson (1927), "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22.

    >>> low, high = wilson(9, 10)
    >>> print(round(float(low), 3), round(float(high), 3))
    0.596 0.982
    """
    successes, trials = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    z2 = ndtri((1 + checked_level(level)) / 2) ** 2
    some = np.where(trials > 0, trials, np.nan)
    middle = (successes + z2 / 2) / (some + z2)
    half = np.sqrt(z2 * (successes * (some - successes) / some + z2 / 4)) / (some + z2)
    low = np.where(successes == 0, 0 * middle, middle - half)
    high = np.where(successes == trials, 1 + 0 * middle, middle + half)
    return low, high


def share_by(values: pd.Series, groups: pd.Series, *, level: float = 0.95) -> pd.DataFrame:
    """Return the share of ones in each group, with Wilson's interval and the number of rows.

    The columns are the name of ``groups`` (else ``group``), ``value``, ``low``, ``high`` and
    ``n``, in order of the groups. Rows without a value do not count; a group of which no row has
    one is there, and its share is ``NaN``. The interval takes the rows for independent.

    Raises ``ValueError`` for values other than 0 and 1, and series that have not the same rows.

    >>> repaid = pd.Series([1, 0, 1, None])
    >>> region = pd.Series(["Sul", "Sul", "Norte", "Norte"], name="region")
    >>> share_by(repaid, region)[["region", "value", "n"]].values.tolist()
    [['Norte', 1.0, 1], ['Sul', 0.5, 2]]
    """
    if not values.index.equals(groups.index):
        raise ValueError("groups: its rows are not those of values; take both from one frame")
    ones = values.astype("Float64")
    if not ones.dropna().isin([0, 1]).all():
        raise ValueError(f"values: {values.name!r} holds others than 0 and 1")
    counted = ones.groupby(groups, observed=True).agg(["sum", "count"]).astype("float64")
    low, high = wilson(counted["sum"], counted["count"], level=level)
    return pd.DataFrame(
        {
            groups.name or "group": counted.index,
            "value": ratio(counted["sum"].to_numpy(), counted["count"].to_numpy()),
            "low": low,
            "high": high,
            "n": counted["count"].to_numpy(dtype="int64"),
        }
    )


_SCALES: dict[str, tuple[Callable, Callable, Callable]] = {
    # name: to the scale, the slope of that, and back
    "linear": (lambda v: v, lambda v: 1.0, lambda x: x),
    "log": (np.log, lambda v: 1 / v, np.exp),
    "logit": (logit, lambda v: 1 / (v * (1 - v)), expit),
    "log of the rest": (lambda v: -np.log1p(-v), lambda v: 1 / (1 - v), lambda x: -np.expm1(-x)),
}
"""Scales on which a metric is unbounded, so that its interval stays where the metric can be:
any number; above 0; between 0 and 1; below 1."""


def spread(
    values: np.ndarray,
    errors: np.ndarray,
    *,
    n_units: int,
    scales: Sequence[str],
    level: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each value, on its own scale: value ± t · standard error.

    ``scales`` are those of ``bootstrap_t``, one a value; t has n_units - 1 degrees of freedom.
    ``NaN`` where the value or its error is not known, the error is 0, or the value is at the bound
    of its scale.

    >>> low, high = spread(np.array([0.5]), np.array([0.1]), n_units=50, scales=["logit"])
    >>> print(low.round(2), high.round(2))
    [0.31] [0.69]
    """
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    t = stdtrit(n_units - 1, (1 + checked_level(level)) / 2) if n_units > 1 else np.nan
    for scale in set(scales):
        at = np.array([each == scale for each in scales]) & (errors > 0)
        to_scale, slope, back = _SCALES[scale]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            middle, half = to_scale(values[at]), t * errors[at] * slope(values[at])
            is_known = np.isfinite(middle) & np.isfinite(half)
            low[at] = np.where(is_known, back(middle - half), np.nan)
            high[at] = np.where(is_known, back(middle + half), np.nan)
    return low, high


def bootstrap_t(
    value: float, draws: np.ndarray, *, n_units: int, scale: str, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a metric from its bootstrap draws: value ± t · standard error.

    Value and error are taken to ``scale`` ("linear", "log" for what is positive, "logit" for
    0..1, "log of the rest" for what is below 1) and brought back. The standard error of the draws
    is enlarged by √(k/(k-1)) for the k units that were resampled, and t has k-1 degrees of freedom:
    of seven days, the percentiles of the draws alone cover some 85 times in a hundred where they
    promise 95.

    It does not correct the bias of a metric. Draws that do not vary know nothing of their own
    error, and one unit has no variation: both give ``NaN``, as does a value at the scale's bound.

    >>> low, high = bootstrap_t(2.0, np.array([1.5, 2.0, 2.5]), n_units=50, scale="linear")
    >>> print(round(low, 2), round(high, 2))
    1.17 2.83
    """
    draws = draws[~np.isnan(draws)]
    if np.isnan(value) or n_units < 2 or not len(draws):
        return np.nan, np.nan
    if np.allclose(draws, draws[0], rtol=1e-9, atol=0):
        return np.nan, np.nan
    to_scale, slope, back = _SCALES[scale]
    value = np.float64(value)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = draws.std() * np.sqrt(n_units / (n_units - 1)) * slope(value)
        half = stdtrit(n_units - 1, (1 + level) / 2) * error
        low, high = back(to_scale(value) - half), back(to_scale(value) + half)
    return (float(low), float(high)) if np.isfinite(half) else (np.nan, np.nan)


def resampled_weights(
    n_units: int, *, draws: int, n_rows: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield how often each unit is in each bootstrap sample, in chunks of (some draws × units).

    Each sample takes ``n_units`` units with replacement. Chunks are small enough for a weight for
    each of ``n_rows`` rows to fit into memory beside them.

    >>> chunks = list(resampled_weights(3, draws=4, n_rows=3, rng=np.random.default_rng(0)))
    >>> chunks[0].sum(axis=1).tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    at_once = max(1, _CELLS // max(n_rows, n_units))
    for done in range(0, draws, at_once):
        size = min(at_once, draws - done)
        drawn = rng.integers(n_units, size=(size, n_units))
        drawn += np.arange(size)[:, None] * n_units
        counts = np.bincount(drawn.ravel(), minlength=size * n_units)
        yield counts.reshape(size, n_units).astype(float)


def difference(
    value: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    reference: np.ndarray,
    reference_low: np.ndarray,
    reference_high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value - reference and its interval, from the intervals of the two.

    Each bound puts together the distances from the estimates to the bounds that push it outwards
    (for two proportions with Wilson's intervals this is Newcombe's). It holds at the level of
    the two intervals, and only for estimates from independent data: not for a window and a period
    that contains it.

    Source: G. Y. Zou and A. Donner (2008), "Construction of confidence limits about effect
    measures: a general approach", Statistics in Medicine 27.

    >>> d, low, high = difference(14.0, 13.0, 16.0, reference=11.0, reference_low=10.0,
    ...                           reference_high=12.0)
    >>> print(d, round(low, 2), round(high, 2))
    3.0 1.59 5.24
    """
    change = value - reference
    return (
        change,
        change - np.hypot(value - low, reference_high - reference),
        change + np.hypot(high - value, reference - reference_low),
    )
