"""Did the world change? How far each column of a window lies from the reference, and how sure."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from utils.monitors import distances, windows
from utils.monitors.intervals import ratio
from utils.monitors.measures import Line
from utils.monitors.profile import OTHER, UNSEEN, Binning
from utils.monitors.rules import Rules
from utils.records import RESERVED_COLUMNS, measurements
from utils.text import nearest, percent, tr

MONITOR = "drift"


_VALUES = ("normalized_wasserstein", "kolmogorov_smirnov", "ks_p_value")  # not of counts
_P_VALUES = ("ks_p_value", "chi_squared_p_value")
_SQUARES = ("psi", "chi_squared")  # chance adds to these; of the others, to the square
_UNBOUNDED = (*_SQUARES, "normalized_wasserstein")
METRICS = (
    "psi",
    "jensen_shannon",
    "hellinger",
    "normalized_wasserstein",
    "kolmogorov_smirnov",
    "ks_p_value",
    "chi_squared",
    "chi_squared_p_value",
    "l_infinity",
    "l_infinity_robust",
    "chebyshev",
)
"""The metrics of ``drift``: distances, statistics and p-values."""


def _over_counts(metric: str, *, kind: str) -> Callable[..., np.ndarray]:
    """Return the function of counts; what is cumulated is cumulated over numbers alone."""
    of = getattr(distances, metric)
    return partial(of, ordered=kind == "number") if metric.startswith("l_infinity") else of


def inputs(frame: pd.DataFrame, *, time_column: str = "event_time") -> list[str]:
    """Return the columns that are inputs: all but the time, and those that a store adds.

    >>> inputs(pd.DataFrame(columns=["event_time", "score", "age", "label"]))
    ['age']
    """
    names = [str(each) for each in frame.columns]
    return [name for name in names if name != time_column and name not in RESERVED_COLUMNS]


# ---------------------------------------------------------------------- as sums, for the dashboard


@dataclass(frozen=True, kw_only=True)
class Distances:
    """How far each feature lies from the reference, as a ``Measure``: a line for each feature.

    It counts the bins of ``profile.Binning``. Missing values are left out, as they are data
    quality's business; values that the reference never had are in. See ``note`` for what each
    metric does not tell.
    """

    binning: Binning
    metric: str
    monitor: str = MONITOR
    minimum: int = 30
    labelled: bool = False

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        features: Sequence[str] | None = None,
        metric: str = "jensen_shannon",
        n_bins: int = 10,
        monitor: str = MONITOR,
        minimum: int = 30,
        labelled: bool = False,
        time_column: str = "event_time",
    ) -> Distances:
        """Return the distances of the features (``inputs`` by default) from a reference.

        ``metric`` is one that counts suffice for: psi, jensen_shannon, hellinger, chi_squared,
        chi_squared_p_value, l_infinity, l_infinity_robust or chebyshev. For what a model predicted
        name its column and another ``monitor`` (``"prediction_drift"``); for labels say that they
        are ``labelled``, too.

        Raises ``ValueError`` naming the argument, the value and the rule.

        >>> reference = pd.DataFrame({"age": range(100), "purpose": ["home", "school"] * 50})
        >>> measure = Distances.of(reference, n_bins=4)
        >>> [line.feature for line in measure.lines]
        ['age', 'purpose']
        >>> current = reference.assign(purpose="home")
        >>> now, before = (measure.cells(each, np.zeros(100, dtype=int), 1)
        ...                for each in (current, reference))
        >>> measure.values(now, before).round(3)
        array([[0.   , 0.558]])
        """
        of_counts = [name for name in METRICS if name not in _VALUES]
        if metric not in of_counts:
            raise ValueError(
                f"metric={metric!r} is none that counts suffice for; {nearest(metric, of_counts)}"
            )
        if features is None:
            features = inputs(reference, time_column=time_column)
        binning = Binning.fitted(reference, features=features, n_bins=n_bins)
        return cls(
            binning=binning, metric=metric, monitor=monitor, minimum=minimum, labelled=labelled
        )

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        scale = "log" if self.metric in _SQUARES else "logit"
        return tuple(
            Line(
                monitor=self.monitor,
                metric=self.metric,
                feature=bins.feature,
                side="low" if self.metric in _P_VALUES else "high",
                minimum=self.minimum,
                scale="linear" if self.metric == "l_infinity_robust" else scale,
                labelled=self.labelled,
            )
            for bins in self.binning.bins
        )

    @property
    def n_cells(self) -> int:
        return self.binning.n_cells

    @cached_property
    def _bins(self) -> tuple[slice, ...]:
        """Where the cells of each feature are, without that of the missing."""
        pairs = zip(self.binning.offsets, self.binning.bins, strict=True)
        return tuple(slice(start, start + bins.n_bins) for start, bins in pairs)

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        return self.binning.counts(frame, block, n_blocks).astype(float)

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        found = [
            _over_counts(self.metric, kind=bins.kind)(reference[..., cells], current[..., cells])
            for cells, bins in zip(self._bins, self.binning.bins, strict=True)
        ]
        shape = np.broadcast_shapes(current.shape[:-1], reference.shape[:-1])
        return np.stack(found, axis=-1) if found else np.empty((*shape, 0))

    def counts(self, current: np.ndarray) -> np.ndarray:
        found = [current[..., cells].sum(axis=-1) for cells in self._bins]
        return np.stack(found, axis=-1) if found else np.empty((*current.shape[:-1], 0))

    def moved(self, line: int, current: np.ndarray, reference: np.ndarray) -> str:
        """Return which of a feature's bins gained or lost the most, from sums of one window."""
        bins, cells = self.binning.bins[line], self._bins[line]
        now, before = current[cells], reference[cells]
        if not now.sum() or not before.sum():
            return ""
        now, before = now / now.sum(), before / before.sum()
        most = int(np.argmax(np.abs(now - before)))
        label, was, became = _told(bins.labels[most]), percent(before[most]), percent(now[most])
        return tr(
            pt=f"O que mais mudou: {label}, de {was} para {became} dos valores.",
            en=f"What moved most: {label}, from {was} to {became} of the values.",
        )


def _told(label: str) -> str:
    """Return the name of a bin in the language in force."""
    names = {
        UNSEEN: tr(pt="valores inéditos", en="values never seen"),
        OTHER: tr(pt="valores raros", en="rare values"),
    }
    return names.get(label, label)


# ------------------------------------------------------------------------------- by window, a table


def drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    rng: np.random.Generator,
    window: windows.Length | None = "7D",
    features: Sequence[str] | None = None,
    metrics: Sequence[str] = ("jensen_shannon", "normalized_wasserstein"),
    n_bins: int = 10,
    minimum: int = 30,
    level: float = 0.95,
    block: windows.Length | None = None,
    draws: int = 300,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    monitor: str = MONITOR,
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return how far each feature lies from the reference in each window: measurements.

    **What it does not tell.** Whether the change matters: a column may move far and the model not
    mind, or not move at all and what follows from it be another. What it says is of one column at a
    time: for a change of how columns go together see ``domain.domain_classifier``. Missing values
    are left out, and are data quality's business. What each metric leaves out, ``note`` says.

    **Metrics.** psi, jensen_shannon, hellinger, chi_squared, l_infinity, l_infinity_robust and
    chebyshev of the counts in the bins of ``profile.Binning``, which has about ``n_bins`` for a
    number; so l_infinity of a number sees the edges of the bins only. kolmogorov_smirnov and
    normalized_wasserstein of the values themselves, of numbers alone: of categories they have no
    row. chi_squared_p_value and ks_p_value are p-values, which take rows as independent.
    ``features`` may name what was predicted, its score, or the label; by default they are the
    ``inputs``.

    **Windows** are those of ``performance``; the reference is taken whole.

    **Values** are those of the samples, and these are apart even where nothing changed, the more so
    the fewer the rows: ``quiet_drift`` says how far.

    **Intervals** hold at ``level``, and are for the distance between the *populations* that the
    samples are from: what chance adds to the square of a distance (to psi and chi_squared as they
    are) is taken off. So ``low`` is 0 where chance alone may explain the value, and the value may
    be ``high``. Far fewer than 5 of a hundred quiet windows have a ``low`` above 0; that is no
    budget of false alarms for a whole dashboard. Intervals rest on ``draws`` samples of reference
    and window: of their rows or, with ``block="1D"``, of whole days, where the rows of a day are
    alike. For its draws a number is held on a grid of quantiles. There is no interval of a p-value,
    of what does not vary between draws, nor of a single block.

    **Too little.** With fewer than ``minimum`` rows that have the feature, in the window or in the
    reference, values are ``NaN``. A constant reference has no standard deviation:
    normalized_wasserstein is then 0 or infinite.

    Draws of a window depend on the state of ``rng``, the window and the feature alone.

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> rng = np.random.default_rng(0)
    >>> def trips(first, mean):
    ...     return pd.DataFrame({
    ...         "event_time": pd.date_range(first, periods=700, freq="15min", tz="UTC"),
    ...         "km": rng.gamma(4, mean / 4, 700)})
    >>> table = drift(trips("2013-01-07", 10.0), trips("2013-04-01", 14.0), rng=rng, window=None,
    ...               metrics=["jensen_shannon", "normalized_wasserstein"])
    >>> for row in table.itertuples():
    ...     print(row.metric, row.feature, row.low > 0, row.low < row.value < row.high)
    jensen_shannon km True True
    normalized_wasserstein km True True
    """
    return _by_window(
        reference,
        current,
        _measured,
        metrics=metrics,
        rng=rng,
        window=window,
        features=features,
        n_bins=n_bins,
        minimum=minimum,
        level=level,
        block=block,
        draws=draws,
        start=start,
        end=end,
        monitor=monitor,
        time_column=time_column,
    )


def quiet_drift(
    reference: pd.DataFrame, current: pd.DataFrame, *, rng: np.random.Generator, **settings: Any
) -> pd.DataFrame:
    """Return what ``drift`` would show had nothing changed: the same table, of quiet windows.

    Each window is drawn again from the reference, as many rows (or blocks), and so is the
    reference: ``value`` is the mean distance of the two, and ``low`` to ``high`` is where ``level``
    of them lie. ``settings`` are those of ``drift``; p-values have no row here.

    It does not say what the whole dashboard shows by chance: among many windows and features some
    leave their range. And it takes what the reference went through to be all that quiet time can
    bring: a reference of one season knows of no other.

    Raises ``ValueError`` as ``drift`` does.

    >>> rng = np.random.default_rng(0)
    >>> def trips(first, n):
    ...     return pd.DataFrame({
    ...         "event_time": pd.date_range(first, periods=n, freq="15min", tz="UTC"),
    ...         "km": rng.gamma(4, 2.5, n)})
    >>> table = quiet_drift(trips("2013-01-07", 5000), trips("2013-04-01", 600), rng=rng,
    ...                     metrics=["jensen_shannon"], window=None)
    >>> print(round(float(table.loc[0, "value"]), 2))
    0.05
    """
    metrics = settings.pop("metrics", ("jensen_shannon", "normalized_wasserstein"))
    _check_names(metrics)
    metrics = [name for name in metrics if name not in _P_VALUES]
    return _by_window(reference, current, _quiet, metrics=metrics, rng=rng, **settings)


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """A feature in the reference or in a window, by unit: blocks of time, or one for all rows."""

    counts: np.ndarray  # units × bins, without the missing
    values: np.ndarray  # ascending; none of a category, nor where no metric needs them
    unit: np.ndarray  # of each value

    @cached_property
    def n(self) -> int:
        return int(self.counts.sum())


_Estimates = Mapping[str, tuple[float, float, float]]
_UNKNOWN = (np.nan, np.nan, np.nan)


def _by_window(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    measured: Callable[..., _Estimates],
    *,
    metrics: Sequence[str],
    rng: np.random.Generator,
    window: windows.Length | None = "7D",
    features: Sequence[str] | None = None,
    n_bins: int = 10,
    minimum: int = 30,
    level: float = 0.95,
    block: windows.Length | None = None,
    draws: int = 300,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    monitor: str = MONITOR,
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return what is measured of each feature in each window, as measurements."""
    _check_names(metrics)
    metrics = list(dict.fromkeys(metrics))
    rules = Rules.checked(
        minimum=minimum, level=level, draws=draws, block=block, window=window, start=start
    )
    seed = int(rng.integers(2**63))
    if features is None:
        features = inputs(reference, time_column=time_column)
    binning = Binning.fitted(reference, features=features, n_bins=n_bins)
    _check_kinds(metrics, binning)

    time = windows.times(current, time_column, argument="time_column")
    edges = windows.cut(time, window=window, start=start, end=end)
    n_windows = max(len(edges) - 1, 0)
    of_window = np.searchsorted(edges, time, side="right") - 1
    inside = (of_window >= 0) & (of_window < n_windows)
    whole = np.zeros(len(reference), dtype=np.int64)
    by_values = any(name in _VALUES for name in metrics)
    [known], seen = (
        _samples(frame, binning, of, n, _blocks(frame, rules, time_column), by_values=by_values)
        for frame, of, n in (
            (reference, whole, 1),
            (current[inside], of_window[inside], n_windows),
        )
    )
    found = []
    for at, bins in enumerate(binning.bins):
        names = [name for name in metrics if bins.kind == "number" or name not in _VALUES]
        before = known[at]
        for (start_us, end_us), in_window in zip(pairwise(edges.tolist()), seen, strict=True):
            now = in_window[at]
            estimates: _Estimates = {}
            if min(before.n, now.n) >= rules.minimum:
                seed_here = [seed, zlib.crc32(bins.feature.encode()), start_us % 2**64]
                estimates = measured(
                    names,
                    before,
                    now,
                    kind=bins.kind,
                    rules=rules,
                    rng=np.random.default_rng(seed_here),
                )
            here = {
                "monitor": monitor,
                "feature": bins.feature,
                "window_start": windows.from_microseconds(start_us),
                "window_end": windows.from_microseconds(end_us),
                "n_reference": before.n,
                "n_current": now.n,
            }
            for name in names:
                value, low, high = estimates.get(name, _UNKNOWN)
                found.append(here | {"metric": name, "value": value, "low": low, "high": high})
    found.sort(key=lambda row: metrics.index(row["metric"]))
    return measurements(found)


def _check_names(metrics: Sequence[str]) -> None:
    if isinstance(metrics, str):
        raise ValueError(f"metrics={metrics!r}: a list of names is needed, such as [{metrics!r}]")
    for name in metrics:
        if name not in METRICS:
            raise ValueError(f"metrics: {name!r} is no metric of drift; {nearest(name, METRICS)}")


def _check_kinds(metrics: Sequence[str], binning: Binning) -> None:
    """Refuse metrics that would have no row: of numbers, where no feature is one."""
    has_row = any(name not in _VALUES for name in metrics)
    if not has_row and not any(bins.kind == "number" for bins in binning.bins):
        raise ValueError(
            f"metrics={metrics!r} are of numbers, and no feature is one "
            f"({', '.join(binning.features)})"
        )


def _blocks(frame: pd.DataFrame, rules: Rules, time_column: str) -> np.ndarray:
    """Return the block of each row, from 0; all are in one where it is rows that are resampled."""
    if rules.block is None or not len(frame):
        return np.zeros(len(frame), dtype=np.int64)
    time = windows.times(frame, time_column, argument="time_column")
    block = (time - rules.origin) // rules.block
    return block - block.min()


def _samples(
    frame: pd.DataFrame,
    binning: Binning,
    of_window: np.ndarray,
    n_windows: int,
    block: np.ndarray,
    *,
    by_values: bool,
) -> list[list[_Sample]]:
    """Return the sample of each feature (the inner lists) in each window."""
    n_blocks = block.max(initial=0) + 1
    found, unit = np.unique(of_window * n_blocks + block, return_inverse=True)
    counts = binning.counts(frame, unit, len(found))
    numbers = [
        _numbers(frame, bins.feature) if by_values and bins.kind == "number" else None
        for bins in binning.bins
    ]
    order = np.argsort(of_window, kind="stable")
    first_row = np.searchsorted(of_window[order], np.arange(n_windows + 1))
    first_unit = np.searchsorted(found // n_blocks, np.arange(n_windows + 1))
    samples = []
    for at in range(n_windows):
        rows = order[first_row[at] : first_row[at + 1]]
        units = slice(first_unit[at], first_unit[at + 1])
        samples.append([])
        for offset, bins, values in zip(binning.offsets, binning.bins, numbers, strict=True):
            ascending = (
                (np.empty(0), np.empty(0, dtype=int))
                if values is None
                else _ascending(values[rows], unit[rows] - units.start)
            )
            of_bins = slice(offset, offset + bins.n_bins)
            samples[-1].append(
                _Sample(counts=counts[units, of_bins], values=ascending[0], unit=ascending[1])
            )
    return samples


def _ascending(values: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that are there in ascending order, and the unit of each."""
    there = ~np.isnan(values)
    values, unit = values[there], unit[there]
    if not unit.any():  # of one unit: twice as fast
        return np.sort(values), unit
    order = np.argsort(values)
    return values[order], unit[order]


def _numbers(frame: pd.DataFrame, feature: str) -> np.ndarray:
    """Return a feature as ``profile`` reads numbers: moments in microseconds, no number missing."""
    if feature not in frame.columns:
        return np.full(len(frame), np.nan)
    column = frame[feature]
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    there = column.dropna()
    if len(there) and isinstance(there.iloc[0], date):
        column = pd.to_datetime(column, utc=True, errors="coerce").dt.as_unit("us")
        return column.astype("int64").where(column.notna()).to_numpy(dtype=float)
    if column.dtype.kind == "m":
        return column.dt.total_seconds().to_numpy(dtype=float, na_value=np.nan)
    if column.dtype.kind not in "iuf":
        column = pd.to_numeric(column.astype(object), errors="coerce")
    return column.to_numpy(dtype=float, na_value=np.nan)


# --------------------------------------------------------------------------------------- measuring


_OF_VALUES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "normalized_wasserstein": distances.wasserstein_normalised,
    "kolmogorov_smirnov": distances.ks_in_order,
    "ks_p_value": distances.ks_p_value,
}


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A feature as counts (units × cells) that can be drawn again, and what is made of them."""

    reference: np.ndarray
    current: np.ndarray
    of: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]
    is_grid: bool = False  # made of sums of counts, so that no count need be whole

    def drawn(
        self, counts: np.ndarray, *, like: _Sample, rules: Rules, rng: np.random.Generator
    ) -> np.ndarray:
        """Return counts (draws × cells) of samples of these units, each as large as ``like``."""
        if rules.block is not None:
            even = np.full(len(counts), 1 / len(counts))
            return rng.multinomial(len(like.counts), even, size=rules.draws) @ counts
        total = counts.sum(axis=0)
        share = total / total.sum()
        if not self.is_grid:
            return rng.multinomial(like.n, share, size=rules.draws)
        expected = like.n * share  # normal draws with the counts' variance: ten times as fast
        return expected + np.sqrt(expected) * rng.standard_normal((rules.draws, len(expected)))


def _measured(
    names: Sequence[str],
    reference: _Sample,
    current: _Sample,
    *,
    kind: str,
    rules: Rules,
    rng: np.random.Generator,
) -> _Estimates:
    """Return the value of each metric, and its interval."""
    pair = (reference, current)
    if "l_infinity_robust" in names:
        plain = ["l_infinity", *(name for name in names if name != "l_infinity_robust")]
        found = dict(_measured(plain, *pair, kind=kind, rules=rules, rng=rng))
        robust = (distances.robust(each, reference.n, current.n) for each in found["l_infinity"])
        return found | {"l_infinity_robust": tuple(float(each) for each in robust)}
    found = {name: (_value(name, *pair, kind=kind), np.nan, np.nan) for name in names}
    n_units = min(each.n if rules.block is None else len(each.counts) for each in pair)
    for held, own in zip(_held(names, *pair, kind=kind), rng.spawn(2), strict=True):
        if held is None:
            continue
        units = (held.reference, held.current)
        drawn = [
            held.drawn(counts, like=sample, rules=rules, rng=own)
            for counts, sample in zip(units, pair, strict=True)
        ]
        for name, of in held.of.items():
            value, seen = found[name][0], of(*(each.sum(axis=0) for each in units))
            found[name] = (
                value,
                *_interval(name, value, seen, of(*drawn), n_units=n_units, level=rules.level),
            )
    return found


def _quiet(
    names: Sequence[str],
    reference: _Sample,
    current: _Sample,
    *,
    kind: str,
    rules: Rules,
    rng: np.random.Generator,
) -> _Estimates:
    """Return the mean and the range of each distance between samples of the reference."""
    if rules.block is not None and len(reference.counts) < 2:
        return {}
    found = {}
    parts = _held(names, reference, reference, kind=kind, n_cells=512)
    for held, own in zip(parts, rng.spawn(2), strict=True):
        if held is None:
            continue
        drawn = [
            held.drawn(held.reference, like=each, rules=rules, rng=own)
            for each in (reference, current)
        ]
        for name, of in held.of.items():
            values = of(*drawn)
            values = values[np.isfinite(values)]
            if len(values):
                tails = np.quantile(values, [(1 - rules.level) / 2, (1 + rules.level) / 2])
                found[name] = (float(values.mean()), *tails.tolist())
    return found


def _value(name: str, reference: _Sample, current: _Sample, *, kind: str) -> float:
    if name in _OF_VALUES:
        return _OF_VALUES[name](reference.values, current.values)
    counts = (each.counts.sum(axis=0) for each in (reference, current))
    return float(_over_counts(name, kind=kind)(*counts))


def _interval(
    name: str, value: float, seen: float, drawn: np.ndarray, *, n_units: int, level: float
) -> tuple[float, float]:
    """Return the interval of the distance of two populations from a value and its draws.

    Samples drawn from the two samples are apart by more than these, as these are by more than the
    populations: what their squares have gained on the average is what chance adds to a square.
    Squares have a symmetric error near 0, distances far from it: ``high`` is the larger of both.
    """
    drawn = drawn[np.isfinite(drawn)]
    if n_units < 2 or not np.isfinite(value) or not len(drawn):
        return np.nan, np.nan
    if np.allclose(drawn, drawn[0], rtol=1e-9, atol=0):
        return np.nan, np.nan
    chance, t = n_units / (n_units - 1), stdtrit(n_units - 1, (1 + level) / 2)
    root, back = (np.sqrt, np.square) if name in _SQUARES else (np.positive, np.positive)
    roots = root(drawn)
    middle = root(value) ** 2 - chance * ((roots**2).mean() - root(seen) ** 2)
    half = t * np.sqrt(chance) * (roots**2).std()
    low, centre, high = np.sqrt(np.maximum([middle - half, middle, middle + half], 0))
    high = max(high, centre + t * np.sqrt(chance) * roots.std())
    most = np.inf if name in _UNBOUNDED else 1.0
    return float(min(back(low), value)), float(min(max(back(high), value), most))


def _held(
    names: Sequence[str], reference: _Sample, current: _Sample, *, kind: str, n_cells: int = 32
) -> tuple[_Held | None, _Held | None]:
    """Return the bins for distances over counts, and a grid for those over values, if needed."""
    drawn = [name for name in names if name not in _P_VALUES]
    in_bins = on_grid = None
    if over_counts := [name for name in drawn if name not in _VALUES]:
        in_bins = _Held(
            reference=reference.counts,
            current=current.counts,
            of={name: _over_counts(name, kind=kind) for name in over_counts},
        )
    if over_values := [name for name in drawn if name in _VALUES]:
        quantiles = [_quantiles(each.values, n_cells) for each in (reference, current)]
        edges = np.unique(np.concatenate(quantiles))
        of = {
            "kolmogorov_smirnov": distances.kolmogorov_smirnov,
            "normalized_wasserstein": partial(_wasserstein_on_grid, edges=edges),
        }
        on_grid = _Held(
            reference=_on_grid(reference, edges),
            current=_on_grid(current, edges),
            of={name: of[name] for name in over_values},
            is_grid=True,
        )
    return in_bins, on_grid


def _quantiles(ascending: np.ndarray, n_cells: int) -> np.ndarray:
    """Return the values at the edges of cells of equal shares, ever finer in the tails.

    >>> _quantiles(np.arange(100), 4).tolist()
    [25, 50, 75, 12, 6, 3, 1, 0, 87, 93, 96, 98, 99]
    """
    n = len(ascending)
    even = np.arange(1, n_cells) * n // n_cells
    tail = (n // n_cells) >> np.arange(1, (n // n_cells).bit_length() + 1)
    return ascending[np.concatenate([even, tail, n - 1 - tail])]


def _on_grid(sample: _Sample, edges: np.ndarray) -> np.ndarray:
    """Return how many values of each unit (units × edges) are up to each edge, from the last."""
    up_to = np.searchsorted(sample.values, edges, side="right")
    cell = np.repeat(np.arange(len(edges)), np.diff(up_to, prepend=0))
    n_units = len(sample.counts)
    counts = np.bincount(sample.unit * len(edges) + cell, minlength=n_units * len(edges))
    return counts.reshape(n_units, len(edges))


def _wasserstein_on_grid(
    reference: np.ndarray, current: np.ndarray, *, edges: np.ndarray
) -> np.ndarray:
    """Return the normalised Wasserstein distance of values that count as the edge above them."""
    at = np.where(np.isfinite(edges), edges, 0.0)
    at = at - at.mean()
    p, q = (ratio(each, each.sum(axis=-1, keepdims=True)) for each in (reference, current))
    way = np.abs(np.cumsum(p - q, axis=-1))[..., :-1] @ np.diff(at)
    return ratio(way, np.sqrt(np.maximum(p @ at**2 - (p @ at) ** 2, 0)))


# ----------------------------------------------------------------------- what they do not tell


def note(metric: str) -> str:
    """Return what a metric does not tell, in the language in force.

    Raises ``ValueError`` for a metric that has no note.

    >>> from utils.text import using
    >>> with using("en"):
    ...     note("hellinger")
    'Does not say how far values moved; weighs a bin that was empty by the root of its share.'
    """
    notes = {
        "psi": tr(
            pt="Não diz até onde os valores foram, e não tem máximo. Uma faixa que era vazia pesa "
            "muito, e cada ferramenta a trata de um modo. Os limites usuais, 0,1 e 0,2, não "
            "conhecem o número de linhas nem o de faixas.",
            en="Does not say how far values moved, and has no largest value. A bin that was empty "
            "weighs much, and each tool treats it in its own way. The customary bounds, 0.1 and "
            "0.2, know neither the number of rows nor that of bins.",
        ),
        "jensen_shannon": tr(
            pt="Não diz até onde os valores foram, nem em que sentido: para ela, a faixa vizinha e "
            "a última são igualmente distantes.",
            en="Does not say how far values moved, nor which way: to it the next bin and the last "
            "one are equally far.",
        ),
        "hellinger": tr(
            pt="Não diz até onde os valores foram; pesa uma faixa que era vazia pela raiz da sua "
            "parcela.",
            en="Does not say how far values moved; weighs a bin that was empty by the root of its "
            "share.",
        ),
        "normalized_wasserstein": tr(
            pt="Não diz que parte se moveu: todos um pouco, ou poucos até muito longe. Valores "
            "extremos raros a movem ao acaso, e não há distância a uma referência constante.",
            en="Does not say which part moved: all by a little, or a few by far. Rare extreme "
            "values move it by chance, and a constant reference has no distance.",
        ),
        "kolmogorov_smirnov": tr(
            pt="Vê um só lugar, o da maior diferença, e é lenta para ver uma mudança nas caudas. "
            "Não diz até onde os valores foram.",
            en="Sees one place only, that of the largest difference, and is slow to see a change "
            "in the tails. Does not say how far values moved.",
        ),
        "ks_p_value": tr(
            pt="Não diz o tamanho da mudança: com muitas linhas, a que não importa a ninguém tem "
            "valor-p 0. Supõe linhas independentes, e cem variáveis sem mudança dão cinco valores "
            "abaixo de 0,05.",
            en="Does not say how large the change is: with many rows one that matters to nobody "
            "has a p-value of 0. Takes rows as independent, and of a hundred quiet features five "
            "fall below 0.05.",
        ),
        "chi_squared": tr(
            pt="Não é distância: a mesma mudança, com o dobro de linhas, dá o dobro do valor. Não "
            "se compara entre janelas de tamanhos diferentes.",
            en="Is no distance: the same change with twice the rows gives twice the value. It is "
            "not to be compared between windows of different sizes.",
        ),
        "chi_squared_p_value": tr(
            pt="Não diz o tamanho da mudança, e supõe linhas independentes. Em faixas com menos de "
            "umas 5 linhas o seu valor não é exato.",
            en="Does not say how large the change is, and takes rows as independent. With bins of "
            "fewer than some 5 rows its value is not right.",
        ),
        "l_infinity": tr(
            pt="Vê um só lugar, o pior: muitas mudanças pequenas são, para ela, uma só. De uma "
            "categoria rara que aparece, quase nada vê.",
            en="Sees one place only, the worst: many small changes are one small change to it. Of "
            "a rare category that appears it sees next to nothing.",
        ),
        "l_infinity_robust": tr(
            pt="Zero não diz que nada mudou: diz que as linhas não bastam para mostrá-lo. O que "
            "desconta supõe linhas independentes e valores contínuos.",
            en="Zero does not say that nothing changed: it says that the rows do not suffice to "
            "show it. What it takes off supposes independent rows and continuous values.",
        ),
        "chebyshev": tr(
            pt="Não diz até onde os valores foram, nem se outras faixas mudaram. Quanto mais finas "
            "as faixas, menor ela é.",
            en="Does not say how far values moved, nor whether other bins changed. The finer the "
            "bins, the smaller it is.",
        ),
        "domain_auc": tr(
            pt="Não diz se a mudança importa ao modelo. Uma coluna que cresce com o tempo, como um "
            "número de ordem, basta para separar tudo; e 0,5 diz só que este classificador não "
            "viu diferença.",
            en="Does not say whether the change matters to the model. A column that grows with "
            "time, such as a running number, suffices to part everything; and 0.5 says only that "
            "this classifier saw no difference.",
        ),
        "domain_auc_drop": tr(
            pt="Diz em que o classificador se apoia, não o que mudou: de duas colunas parecidas, "
            "pode apoiar-se numa só, ou em ambas um pouco.",
            en="Says what the classifier leans on, not what changed: of two columns that are alike "
            "it may lean on one, or on both a little.",
        ),
        "loss_change": tr(
            pt="Não diz por que a perda mudou, e é só das linhas cuja perda se conhece.",
            en="Does not say why the loss changed, and is of the rows whose loss is known alone.",
        ),
        "loss_change_by_inputs": tr(
            pt="Não diz qual entrada, e só alcança onde a referência tem linhas: do que a janela "
            "tem de novo, ninguém sabe quanto a referência perderia.",
            en="Does not say which input, and reaches only where the reference has rows: of what "
            "is new in the window nobody knows what the reference would have lost.",
        ),
        "loss_change_by_concept": tr(
            pt="É o resto: uma entrada que ninguém registrou conta como mudança de conceito.",
            en="Is the rest: an input that nobody recorded counts as a change of concept.",
        ),
    }
    if metric not in notes:
        raise ValueError(f"metric={metric!r} has no note; {nearest(metric, notes)}")
    return notes[metric]
