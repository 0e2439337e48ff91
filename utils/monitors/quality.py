"""Are the data still what the model was promised? What is missing, wrong, stuck, late, sent twice.

Each rate is a number of rows over a number of rows, so it is a sum over blocks, and ``Rates`` is a
measure of the suite. ``quality`` returns the same rates of a frame by window, with their intervals,
and what is no sum beside them: ages, gaps and runs. ``schema_changes`` names the columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from utils.monitors import kinds, windows
from utils.monitors.arrivals import Cut
from utils.monitors.expected import Expected, expected
from utils.monitors.intervals import checked_level, ratio, wilson
from utils.monitors.measures import Line
from utils.records import measurements
from utils.text import nearest

MONITOR = "quality"

METRICS = (
    "volume",
    "null_value_rate",
    "completeness",
    "data_type_error_rate",
    "out_of_bounds_rate",
    "unseen_rate",
    "repeated_share",
    "stuck_share",
    "duplicate_share",
    "new_columns",
    "missing_columns",
    "staleness_hours",
    "longest_gap_hours",
)
"""What ``quality`` measures."""

_ROWS, _DUPLICATES, _BLOCKS, _OF_THE_TABLE = range(4)  # the cells of the table come first


@dataclass(frozen=True, kw_only=True)
class Rates:
    """The rates of a table and of its features, as a ``Measure``; made by ``Rates.of``.

    Of each feature, over all rows: ``null_value_rate``; ``data_type_error_rate``, of values that
    are of another kind than the reference's (text in a number, a fraction in a whole number);
    ``out_of_bounds_rate``, of numbers outside the reference's range; ``unseen_rate``, of values
    that it did not have. Of neighbours in time: ``repeated_share``, of numbers equal to the one
    before. Of the table: ``duplicate_share``, of rows equal to an earlier one of their block in
    every feature; ``volume``, the rows a block as a multiple of the reference's.

    **What they do not tell.** A rate within its bounds says nothing of the values that are there
    (see ``drift``). A unit that changed may leave every rate as it is (see ``units``).
    ``repeated_share`` of a column with few values is high anyway, and so is ``duplicate_share`` of
    few features; both grow with the traffic. Only their change says something.

    The reference's own rows are judged by the other ``block`` stretches of its time, as fresh rows
    are judged by all of it (see ``expected``): their rates out of bounds are not 0.
    """

    expected: tuple[Expected, ...]
    time_column: str
    step: int

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        features: Sequence[str] | None = None,
        time_column: str = "event_time",
        block: windows.Length = "1D",
    ) -> Rates:
        """Return the rates that a reference allows to measure.

        ``features`` are its columns but the time, unless given. A rate that can never be other than
        it always is has no line: the type of a mixed column, the values of an identifier, the
        repetitions of a constant.

        Raises ``ValueError`` for a reference without rows and for a feature that is no column.

        >>> times = pd.date_range("2024-01-01", periods=4, freq="12h", tz="UTC")
        >>> reference = pd.DataFrame({"event_time": times, "age": [30, 41, None, 25]})
        >>> [line.metric for line in Rates.of(reference).lines if line.feature == "age"]
        ['null_value_rate', 'data_type_error_rate', 'out_of_bounds_rate', 'repeated_share']
        """
        if not len(reference):
            raise ValueError(
                "reference: has no rows; rates are compared with those of one that has"
            )
        step = windows.whole_microseconds(windows.length(block, argument="block"))
        stretch = windows.times(reference, time_column, argument="time_column") // step
        return cls(
            expected=tuple(
                expected(windows.column(reference, name, argument="features"), stretch)
                for name in _feature_names(reference, features, time_column)
            ),
            time_column=time_column,
            step=step,
        )

    @cached_property
    def _layout(self) -> list[tuple[Line, int, int]]:
        """Return each line with its two cells: what it counts, and of how many."""
        layout, cell = [], _OF_THE_TABLE
        for each in self.expected:
            for rate in each.rates:
                line = Line(
                    monitor=MONITOR,
                    metric=rate,
                    feature=str(each.feature),
                    side="both" if rate == "null_value_rate" else "high",
                    scale="logit",
                )
                layout.append((line, cell, cell + 1 if rate == "repeated_share" else _ROWS))
                cell += 2 if rate == "repeated_share" else 1
        duplicates = Line(monitor=MONITOR, metric="duplicate_share", scale="logit")
        volume = Line(monitor=MONITOR, metric="volume", side="both", scale="log", minimum=0)
        return [*layout, (duplicates, _DUPLICATES, _ROWS), (volume, _ROWS, _BLOCKS)]

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for line, _, _ in self._layout)

    @property
    def n_cells(self) -> int:
        return 1 + max(cell for _, *cells in self._layout for cell in cells)

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        """Return the sums of each block: rows, blocks, duplicates, and what each rate counts.

        A feature that the frame lacks is missing in every row.
        """
        stretch = windows.times(frame, self.time_column, argument="time_column") // self.step
        counted = _counted(frame, self.expected, stretch, block)
        sums = [np.bincount(block[rows], minlength=n_blocks) for rows in counted]
        return np.stack([*sums[:_BLOCKS], np.ones(n_blocks), *sums[_BLOCKS:]], axis=1).astype(float)

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return each rate; of the volume, its multiple of the reference's."""
        _, counted, of = map(list, zip(*self._layout, strict=True))
        found = ratio(current[..., counted], current[..., of])
        usual = ratio(reference[..., _ROWS], reference[..., _BLOCKS])
        scale = np.ones((*usual.shape, len(of)))
        scale[..., -1] = usual
        return ratio(found, scale)

    def counts(self, current: np.ndarray) -> np.ndarray:
        """Return on how many rows, or pairs of neighbours, each rate rests."""
        *others, _ = (of for _, _, of in self._layout)
        return current[..., [*others, _ROWS]]


def _feature_names(
    frame: pd.DataFrame, features: Sequence[str] | None, time_column: str
) -> list[Hashable]:
    if features is None:
        return [name for name in frame.columns if name != time_column]
    return list(features)


def _column(frame: pd.DataFrame, name: Hashable) -> pd.Series:
    """Return a column, all missing where the frame lacks it."""
    if name in frame.columns:
        return frame[name]
    return pd.Series(np.nan, index=frame.index, name=name)


def _counted(
    frame: pd.DataFrame, features: Iterable[Expected], stretch: np.ndarray, block: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield which rows each cell counts: of the table, then of each feature by its rates."""
    yield np.ones(len(frame), dtype=bool)
    yield _duplicated(frame, [each.feature for each in features], block)
    for each in features:
        column = _column(frame, each.feature)
        found, numbers = kinds.kinds(column), kinds.numbers(column)
        for rate in each.rates:
            if rate == "null_value_rate":
                yield found == kinds.MISSING
            elif rate == "data_type_error_rate":
                yield each.wrong_type(found, numbers)
            elif rate == "out_of_bounds_rate":
                yield each.out_of_bounds(numbers, stretch)
            elif rate == "unseen_rate":
                yield each.unseen(column, stretch)
            else:
                yield from _repeated(numbers, block)


def _repeated(values: np.ndarray, block: np.ndarray) -> Iterator[np.ndarray]:
    """Yield which rows equal the one before them in their block, and which have one to equal."""
    has_one, repeats = np.zeros(len(values), dtype=bool), np.zeros(len(values), dtype=bool)
    there = ~np.isnan(values)
    has_one[1:] = there[1:] & there[:-1] & (block[1:] == block[:-1])
    repeats[1:] = has_one[1:] & (values[1:] == values[:-1])
    yield repeats
    yield has_one


def _duplicated(frame: pd.DataFrame, features: Sequence[Hashable], block: np.ndarray) -> np.ndarray:
    """Return which rows equal an earlier one of their block in all the features."""
    there = [name for name in features if name in frame.columns]
    if not there:
        return np.zeros(len(frame), dtype=bool)
    row = np.zeros(len(frame), dtype=np.uint64)
    for name in there:
        row = row * np.uint64(1_000_003) + _hashes(frame[name])
    key = row + block.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return pd.Series(key).duplicated().to_numpy()


def _hashes(column: pd.Series) -> np.ndarray:
    """Return a hash of each value: equal values of one column have equal ones."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb":
        return pd.util.hash_array(column.to_numpy())
    if column.dtype.kind in "OU":
        return pd.util.hash_array(kinds.coded(column)[0])
    return pd.util.hash_array(pd.factorize(column)[0])


# By window --------------------------------------------------------------------------------------


def quality(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    window: windows.Length | None = "7D",
    features: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    time_column: str = "event_time",
    minimum: int = 30,
    level: float = 0.95,
    block: windows.Length = "1D",
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
) -> pd.DataFrame:
    """Return the quality of the current data in each half-open window of time: the measurements.

    **Rates** are shares of the window's rows, each with Wilson's interval at ``level``: those of
    ``Rates``, and ``completeness``, the share of values that are there. As Azure documents it, a
    value that the reference did not have is out of bounds too, so a category has its
    ``unseen_rate`` and the same ``out_of_bounds_rate``. The bounds of a row are those of the
    reference's other stretches of ``block`` (see ``Rates``): of rows later than it, all of it.

    **Of the table** also ``volume``, the rows an hour as a multiple of the reference's, whose
    interval says how sure the reference is of its own; ``new_columns``, which the reference lacks
    and which hold a value; ``missing_columns``, which hold none though they did in the reference
    (``schema_changes`` names both); ``staleness_hours``, the age of the newest row at the window's
    end; ``longest_gap_hours`` without any row; and of numbers ``stuck_share``, the longest run of
    one value as a share of the values that are there. Numbers of columns, ages, gaps and runs are
    what they are, and have no interval.

    **What it does not tell.** Whether a rate is more than it should be: that is for thresholds.
    Wilson's interval takes rows for independent, and those of one outage are not.

    **Too little.** A rate of fewer than ``minimum`` rows is ``NaN``, as is whatever a window
    without rows leaves undefined. Of the last window, unless ``end`` says that all of it is past,
    nothing is known after the newest row: its ``staleness_hours`` is ``NaN``, and its volume counts
    the hours up to there.

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> times = pd.date_range("2024-01-01", periods=4, freq="6h", tz="UTC")
    >>> usual = pd.DataFrame({"event_time": times, "age": [30, 41, 33, 25]})
    >>> now = pd.DataFrame({"event_time": times + pd.Timedelta("7D"), "age": [30, None, 99, 41]})
    >>> table = quality(usual, now, minimum=4, metrics=["null_value_rate", "out_of_bounds_rate"])
    >>> print(table[["metric", "feature", "value", "low", "high"]].round(2).to_string(index=False))
                metric feature  value  low  high
       null_value_rate     age   0.25 0.05   0.7
    out_of_bounds_rate     age   0.25 0.05   0.7
    """
    chosen = _chosen(metrics)
    if minimum < 1:
        raise ValueError(f"minimum={minimum!r}: at least 1 is needed")
    checked_level(level)
    rates = Rates.of(reference, features=features, time_column=time_column, block=block)
    reference = _by_time(reference, time_column)
    cut = Cut.of(_by_time(current, time_column), time_column, window=window, start=start, end=end)
    found = [
        *_rates(rates, reference, cut, minimum=minimum, level=level),
        *_volume(reference, cut, time_column, level=level),
        *_runs(rates, cut, minimum=minimum),
        *_columns(reference, cut, [each.feature for each in rates.expected], time_column),
        *_ages(cut),
    ]
    rows = [
        {
            "monitor": MONITOR,
            "metric": metric,
            "feature": feature,
            "window_start": windows.from_microseconds(left),
            "window_end": windows.from_microseconds(right),
            **{name: np.broadcast_to(each, len(cut))[at] for name, each in measured.items()},
        }
        for metric, feature, measured in sorted(found, key=lambda each: METRICS.index(each[0]))
        if metric in chosen
        for at, (left, right) in enumerate(itertools.pairwise(cut.edges.tolist()))
    ]
    return measurements(rows)


def _chosen(metrics: Sequence[str] | None) -> Sequence[str]:
    if isinstance(metrics, str):
        raise ValueError(f"metrics={metrics!r}: a list of names is needed, such as [{metrics!r}]")
    for name in metrics or ():
        if name not in METRICS:
            raise ValueError(f"metrics: {name!r} is no metric of quality; {nearest(name, METRICS)}")
    return METRICS if metrics is None else metrics


Found = tuple[str, str, dict[str, Any]]
"""A metric, its feature, and its columns of the table: each a number, or one for each window."""


def _by_time(frame: pd.DataFrame, time_column: str) -> pd.DataFrame:
    times = windows.times(frame, time_column, argument="time_column")
    return frame.iloc[np.argsort(times, kind="stable")]


def _rates(
    rates: Rates, reference: pd.DataFrame, cut: Cut, *, minimum: int, level: float
) -> Iterator[Found]:
    cells = rates.cells(cut.frame, cut.at, len(cut))
    usual = rates.cells(reference, np.zeros(len(reference), dtype=int), 1)[0]
    values, n = rates.values(cells, usual), rates.counts(cells)
    for i, line in enumerate(rates.lines):
        if line.metric == "volume":  # is no proportion, and is measured by the hour
            continue
        share = np.where(n[:, i] >= minimum, values[:, i], np.nan)
        low, high = wilson(np.rint(share * n[:, i]), n[:, i], level=level)
        measured = {"value": share, "low": low, "high": high}
        sizes = {"n_current": n[:, i], "n_reference": rates.counts(usual)[i]}
        yield line.metric, line.feature, measured | sizes
        if line.metric == "unseen_rate":
            yield "out_of_bounds_rate", line.feature, measured | sizes
        if line.metric == "null_value_rate":
            there = {"value": 1 - share, "low": 1 - high, "high": 1 - low}
            yield "completeness", line.feature, there | sizes


def _volume(
    reference: pd.DataFrame, cut: Cut, time_column: str, *, level: float
) -> Iterator[Found]:
    """Yield the rows an hour over the reference's, with the reference's own uncertainty.

    The reference is cut into windows as long as the longest; without two whole ones, it cannot
    know how its volume varies.
    """
    if not len(cut):
        return
    longest = pd.Timedelta(int(np.diff(cut.edges).max()), unit="us")
    before = Cut.of(reference, time_column, window=longest)
    usual = ratio(len(reference), before.hours.sum())
    per_hour = ratio(before.rows, before.hours)[before.is_whole]
    k = len(per_hour)
    half = np.nan
    if k >= 2:
        half = stdtrit(k - 1, (1 + level) / 2) * per_hour.std(ddof=1) / np.sqrt(k)
    now = ratio(cut.rows, cut.hours)
    yield (
        "volume",
        "",
        {
            "value": ratio(now, usual),
            "low": ratio(now, usual + half),
            "high": np.where(half < usual, ratio(now, usual - half), np.inf) if k >= 2 else np.nan,
            "n_current": cut.rows,
            "n_reference": len(reference),
        },
    )


def _runs(rates: Rates, cut: Cut, *, minimum: int) -> Iterator[Found]:
    """Yield the longest run of one value, of each number that is not always the same."""
    for each in rates.expected:
        if "repeated_share" in each.rates:
            longest, n = cut.longest_runs(kinds.numbers(_column(cut.frame, each.feature)))
            share = np.where(n >= minimum, ratio(longest, n), np.nan)
            yield "stuck_share", str(each.feature), {"value": share, "n_current": n}


def _columns(
    reference: pd.DataFrame, cut: Cut, features: Sequence[Hashable], time_column: str
) -> Iterator[Found]:
    """Yield how many columns are new, and how many are gone, in each window that has rows."""
    known = {*reference.columns, time_column}
    new = [name for name in cut.frame.columns if name not in known]
    asked = [name for name in features if reference[name].notna().any()]
    for metric, names, there in (("new_columns", new, True), ("missing_columns", asked, False)):
        number = np.zeros(len(cut))
        for name in names:
            present = _column(cut.frame, name).notna().to_numpy()
            number += (np.bincount(cut.at[present], minlength=len(cut)) > 0) == there
        value = np.where(cut.rows > 0, number, np.nan)
        sizes = {"n_current": cut.rows, "n_reference": len(reference)}
        yield metric, "", {"value": value} | sizes


def _ages(cut: Cut) -> Iterator[Found]:
    for metric, hours in (
        ("staleness_hours", cut.newest_hours()),
        ("longest_gap_hours", cut.longest_gap_hours()),
    ):
        yield metric, "", {"value": hours, "n_current": cut.rows}
