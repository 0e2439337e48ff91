"""Does a score of 0.8 come true eight times in ten? Calibration, and how much of it is chance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri, stdtrit
from sklearn.linear_model import LogisticRegression

from utils.monitors import windows
from utils.monitors.intervals import checked_level, wilson
from utils.monitors.performance import group_codes
from utils.records import measurements

MONITOR = "calibration"
METRICS = (
    "calibration_intercept",
    "calibration_slope",
    "expected_calibration_error",
    "calibration_error",
)
_OFF_THE_BOUNDS = 1e-6  # a score of exactly 0 or 1 has no log-odds


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows with a label and a score; ``unit`` numbers what is independent: rows, or blocks."""

    time: np.ndarray  # microseconds since 1970
    group: np.ndarray
    label: np.ndarray  # 0.0 or 1.0
    score: np.ndarray
    unit: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: np.ndarray) -> _Rows:
        return _Rows(**{name: values[index] for name, values in vars(self).items()})

    @property
    def gap(self) -> np.ndarray:
        """Label less score: on average 0 where the scores come true."""
        return self.label - self.score

    @property
    def n_units(self) -> int:
        return len(np.unique(self.unit))


def reliability(
    frame: pd.DataFrame,
    *,
    n_bins: int = 10,
    group_column: str | None = None,
    block: windows.Length | None = None,
    level: float = 0.95,
    time_column: str = "event_time",
    label_column: str = "label",
    score_column: str = "score",
) -> pd.DataFrame:
    """Return how often the label is 1 among rows of about the same score: the reliability table.

    Rows are put into ``n_bins`` bins of about as many rows each, by the quantiles of the score;
    equal scores stay together, so there may be fewer. Columns: ``group`` ("" is everyone),
    ``bin`` from 0, ``score_low`` and ``score_high`` (the least and the greatest score in it),
    ``score`` (their mean), ``share`` of labels that are 1 with ``low`` and ``high``, and ``n``.
    Rows without a label or a score are left out.

    It does not say whether the scores tell anybody apart: a model that gives everybody the base
    rate is perfectly calibrated. Nor does a bin that is right on average promise that the kinds of
    people in it are: see ``group_column``.

    Intervals are Wilson's; with ``block="1D"`` the wider of Wilson's and one that takes whole days
    as independent instead of rows. Each holds for its own bin.

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=8, freq="1h", tz="UTC"),
    ...     "score": [0.1, 0.2, 0.1, 0.2, 0.8, 0.9, 0.8, 0.9], "label": [0, 0, 1, 0, 1, 1, 1, 0]})
    >>> table = reliability(frame, n_bins=2)
    >>> table[["score", "share", "n"]].round(2).values.tolist()
    [[0.15, 0.25, 4.0], [0.85, 0.75, 4.0]]
    """
    _check_bins(n_bins)
    checked_level(level)
    rows, names = _read(
        frame,
        block=block,
        start=None,
        time_column=time_column,
        label_column=label_column,
        score_column=score_column,
        group_column=group_column,
    )
    found = [
        {"group": group, "bin": number, **_reliability_of(part, level=level)}
        for group, in_group in _by_group(rows, names)
        for number, part in enumerate(_bins(in_group, n_bins))
    ]
    columns = ["group", "bin", "score_low", "score_high", "score", "share", "low", "high", "n"]
    return pd.DataFrame(found, columns=columns)


def calibration(
    frame: pd.DataFrame,
    *,
    n_bins: int = 10,
    window: windows.Length | None = None,
    group_column: str | None = None,
    block: windows.Length | None = None,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    minimum: int = 100,
    level: float = 0.95,
    time_column: str = "event_time",
    label_column: str = "label",
    score_column: str = "score",
) -> pd.DataFrame:
    """Return how far scores are from coming true, in each window and group: measurements.

    **Metrics.** The first two describe the log-odds of the labels as a line over the log-odds of
    the scores (logistic recalibration), the others look bin by bin (``reliability``):

    - ``calibration_intercept``: what must be added to the log-odds of every score for their mean
      to be right. 0 is right on average; below 0 the scores promise too much.
    - ``calibration_slope``: of that line. 1 is right; below 1 the scores are too extreme (too high
      where they are high, too low where they are low), which is what overfitting leaves.
    - ``expected_calibration_error``: the mean distance between score and share over the bins,
      weighted by their rows. **It has no interval and is above 0 for a perfect model**, the more so
      the fewer the rows: the distance of each bin holds its chance too. ``threshold_high`` is what
      a perfectly calibrated model with the same scores would stay below in ``level`` of the
      samples of this size; only above it is there an ``alarm``. Never compare two of these between
      windows of different sizes.
    - ``calibration_error``: the root mean squared distance over the bins, what chance adds to the
      square taken off. It does not grow as the window shrinks, and is 0 where the distances are no
      larger than chance makes them; its interval begins at 0 where it may be that.

    **What it does not tell.** It judges by the rows whose label is known, at the scores that these
    have: of refused applicants, and of people who never applied, it says nothing. Errors within a
    bin that cancel do not show, and neither does a feature that the model misuses for a few.

    ``window``, ``start``, ``end``, ``group_column`` and ``minimum`` are those of ``performance``.
    **Intervals** hold at ``level``. They come from the variance of the estimates between rows or,
    with ``block="1D"``, between whole days, whose rows share what the day brought (the sandwich
    estimate, with t of as many degrees of freedom as there are days less one). Nothing is drawn at
    random. Scores nearer to 0 or 1 than a millionth count, as log-odds, as
    that far from it.

    What is not defined is ``NaN``: all with one class alone, the slope also where the scores are
    all equal or part the classes without fault.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Sources: D. R. Cox (1958), "Two further applications of a model for binary regression",
    Biometrika 45; B. Van Calster et al. (2016), "A calibration hierarchy for risk models was
    defined", Journal of Clinical Epidemiology 74; A. Kumar, P. Liang, T. Ma (2019), "Verified
    uncertainty calibration", NeurIPS 32.

    >>> rng = np.random.default_rng(0)
    >>> score = rng.beta(4, 1, 5000)
    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=5000, freq="10min", tz="UTC"),
    ...     "score": score, "label": rng.random(5000) < score})
    >>> table = calibration(frame).set_index("metric")
    >>> bool(table.loc["calibration_slope", "low"] < 1 < table.loc["calibration_slope", "high"])
    True
    >>> bool(table.loc["expected_calibration_error", "value"] > 0), bool(table["alarm"].any())
    (True, False)
    """
    _check_bins(n_bins)
    checked_level(level)
    if minimum < 1:
        raise ValueError(f"minimum={minimum!r}: at least 1 is needed")
    rows, names = _read(
        frame,
        block=block,
        start=start,
        time_column=time_column,
        label_column=label_column,
        score_column=score_column,
        group_column=group_column,
    )
    edges = windows.cut(rows.time, window=window, start=start, end=end)
    found = []
    for group, in_group in _by_group(rows, names):
        for start_us, end_us in itertools.pairwise(edges.tolist()):
            inside = in_group.take((in_group.time >= start_us) & (in_group.time < end_us))
            known = _calibration_of(inside, n_bins=n_bins, level=level, minimum=minimum)
            here = {
                "monitor": MONITOR,
                "group": group,
                "window_start": windows.from_microseconds(start_us),
                "window_end": windows.from_microseconds(end_us),
                "n_current": len(inside),
            }
            found += [{"metric": name, **here, **known.get(name, _UNKNOWN)} for name in METRICS]
    found.sort(key=lambda row: METRICS.index(row["metric"]))
    return measurements(found)


_UNKNOWN: dict[str, Any] = {"value": np.nan}


# ------------------------------------------------------------------------------ reading the frame


def _check_bins(n_bins: int) -> None:
    if n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r}: at least 1 is needed")


def _read(
    frame: pd.DataFrame,
    *,
    block: windows.Length | None,
    start: windows.Moment | None,
    time_column: str,
    label_column: str,
    score_column: str,
    group_column: str | None,
) -> tuple[_Rows, list[str]]:
    """Return the rows that have a label and a score, and the names of the groups, sorted."""
    label = _label(windows.column(frame, label_column, argument="label_column"))
    score = _score(windows.column(frame, score_column, argument="score_column"))
    time = windows.times(frame, time_column, argument="time_column")
    if block is None:
        unit = np.arange(len(frame))
    else:
        length = windows.whole_microseconds(windows.length(block, argument="block"))
        origin = windows.ORIGIN if start is None else windows.moment(start, argument="start")
        unit = (time - windows.whole_microseconds(origin)) // length
    codes, names = np.zeros(len(frame), dtype=int), []
    if group_column is not None:
        codes, names = group_codes(windows.column(frame, group_column, argument="group_column"))
    rows = _Rows(time=time, group=codes, label=label, score=score, unit=unit)
    return rows.take(~np.isnan(label) & ~np.isnan(score)), names


def _label(series: pd.Series) -> np.ndarray:
    odd = series[~(series.isin([0, 1]) | series.isna())].tolist()
    if odd:
        raise ValueError(f"label_column={series.name!r} holds {odd[0]!r}: 0 or 1 is needed")
    return series.astype("Float64").to_numpy(dtype=float, na_value=np.nan)


def _score(series: pd.Series) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(series):
        raise ValueError(f"score_column={series.name!r} holds {series.dtype}: numbers are needed")
    score = series.to_numpy(dtype=float, na_value=np.nan)
    outside = score[(score < 0) | (score > 1)]
    if len(outside):
        raise ValueError(
            f"score_column={series.name!r} holds {outside[0]:g}; a probability is in 0..1"
        )
    return score


def _by_group(rows: _Rows, names: list[str]) -> Iterator[tuple[str, _Rows]]:
    yield "", rows
    for code, name in enumerate(names):
        yield name, rows.take(rows.group == code)


def _bins(rows: _Rows, n_bins: int) -> Iterator[_Rows]:
    """Yield the rows of each bin that has some, by ascending score; equal scores stay together."""
    if not len(rows):
        return
    inner = np.quantile(rows.score, np.linspace(0, 1, n_bins + 1))[1:-1]
    at = np.searchsorted(inner, rows.score)
    for each in np.unique(at):
        yield rows.take(at == each)


# ------------------------------------------------------------------------------------- measuring


def _totals(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the sum over the rows of each unit (units × columns)."""
    _, at = np.unique(unit, return_inverse=True)
    totals = np.zeros((at.max() + 1, *values.shape[1:]))
    np.add.at(totals, at, values)
    return totals


def _variance_of_mean(values: np.ndarray, unit: np.ndarray) -> float:
    """Return the variance of a mean whose rows are independent from unit to unit only."""
    totals = _totals(values - values.mean(), unit)
    k = len(totals)
    return np.nan if k < 2 else float((totals**2).sum() / len(values) ** 2 * k / (k - 1))


def _t(level: float, n_units: int) -> float:
    return float(stdtrit(n_units - 1, (1 + level) / 2))


def _reliability_of(rows: _Rows, *, level: float) -> dict[str, Any]:
    share, n = rows.label.mean(), len(rows)
    low, high = wilson(rows.label.sum(), n, level=level)
    if 0 < share < 1 and rows.n_units > 1:
        error = np.sqrt(_variance_of_mean(rows.label, rows.unit)) / (share * (1 - share))
        half = _t(level, rows.n_units) * error
        low = min(low, expit(logit(share) - half)) if rows.n_units < n else low
        high = max(high, expit(logit(share) + half)) if rows.n_units < n else high
    return {
        "score_low": rows.score.min(),
        "score_high": rows.score.max(),
        "score": rows.score.mean(),
        "share": share,
        "low": float(low),
        "high": float(high),
        "n": n,
    }


def _calibration_of(
    rows: _Rows, *, n_bins: int, level: float, minimum: int
) -> dict[str, dict[str, Any]]:
    """Return what can be known of the rows of one window and group, by metric."""
    if len(rows) < minimum or rows.label.min() == rows.label.max():
        return {}
    intercept, slope = _intercept(rows), _slope(rows)
    bins = list(_bins(rows, n_bins))
    return {
        "calibration_intercept": _with_interval(*intercept, rows.n_units, level=level),
        "calibration_slope": _with_interval(*slope, rows.n_units, level=level),
        "expected_calibration_error": _expected_calibration_error(bins, level=level),
        "calibration_error": _calibration_error(bins, level=level),
    }


def _with_interval(value: float, error: float, n_units: int, *, level: float) -> dict[str, Any]:
    half = _t(level, n_units) * error if n_units > 1 else np.nan
    return {"value": value, "low": value - half, "high": value + half}


def _log_odds(rows: _Rows) -> np.ndarray:
    return logit(np.clip(rows.score, _OFF_THE_BOUNDS, 1 - _OFF_THE_BOUNDS))


def _intercept(rows: _Rows) -> tuple[float, float]:
    """Return what the log-odds lack on average, and its standard error."""
    x, missing = _log_odds(rows), rows.label.mean()
    far = np.abs(x).max() + abs(logit(missing)) + 1
    value = brentq(lambda a: expit(x + a).mean() - missing, -far, far)
    return value, _sandwich(np.ones((len(x), 1)), expit(x + value), rows)[0]


def _slope(rows: _Rows) -> tuple[float, float]:
    """Return the slope over the log-odds of the scores, and its standard error."""
    x, ones = _log_odds(rows), rows.label == 1
    parted = x[ones].min() >= x[~ones].max() or x[ones].max() <= x[~ones].min()
    if parted or np.allclose(x, x[0]):
        return np.nan, np.nan
    line = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    line.fit(x[:, None], ones)
    design = np.column_stack([np.ones_like(x), x])
    return float(line.coef_.item()), _sandwich(design, line.predict_proba(x[:, None])[:, 1], rows)[
        1
    ]


def _sandwich(design: np.ndarray, probability: np.ndarray, rows: _Rows) -> np.ndarray:
    """Return the standard errors of a logistic fit, rows being independent by unit only."""
    weight = (probability * (1 - probability))[:, None]
    bread = np.linalg.inv(design.T @ (design * weight))
    pulls = _totals(design * (rows.label - probability)[:, None], rows.unit)
    k = len(pulls)
    filling = pulls.T @ pulls * (k / (k - 1) if k > 1 else np.nan)
    return np.sqrt(np.diag(bread @ filling @ bread))


def _shares(bins: list[_Rows]) -> np.ndarray:
    sizes = np.array([len(each) for each in bins])
    return sizes / sizes.sum()


def _expected_calibration_error(bins: list[_Rows], *, level: float) -> dict[str, Any]:
    """Return the mean distance over the bins, and what a perfect model would stay below.

    The mean gap of a bin is then about normal around 0, so its size has the mean √(2v/π) and the
    variance v(1 - 2/π); their weighted sum over the bins is taken as normal.
    """
    weights = _shares(bins)
    value = weights @ [abs(each.gap.mean()) for each in bins]
    v = np.array([(each.score * (1 - each.score)).sum() / len(each) ** 2 for each in bins])
    mean = weights @ np.sqrt(2 * v / np.pi)
    spread = np.sqrt(weights**2 @ (v * (1 - 2 / np.pi)))
    bound = float(mean + ndtri(level) * spread)
    return {"value": float(value), "threshold_high": bound, "alarm": bool(value > bound)}


def _calibration_error(bins: list[_Rows], *, level: float) -> dict[str, Any]:
    """Return the root mean squared distance over the bins, without what chance adds to it.

    With d the mean gap of a bin and v its variance, d² - v is on average the square of the true
    gap, and it varies by 2v² + 4v times that square.
    """
    weights = _shares(bins)
    gap = np.array([each.gap.mean() for each in bins])
    v = np.array([_variance_of_mean(each.gap, each.unit) for each in bins])
    squares = gap**2 - v
    value = weights @ squares
    spread = np.sqrt(weights**2 @ (2 * v**2 + 4 * v * np.maximum(squares, 0)))
    half = ndtri((1 + level) / 2) * spread
    return {
        name: float(np.sqrt(np.maximum(square, 0)))
        for name, square in (("value", value), ("low", value - half), ("high", value + half))
    }
