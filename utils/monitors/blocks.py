"""A frame read once: the sums of every measure, by block of time and by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.measures import Measure

PARTS = 8
"""Blocks of a window that is no whole number of days, or of few."""

ROWS, LABELLED = 0, 1
OWN_CELLS = 2
"""The cells before those of the measures: the rows, and those of them with a label."""

_DAY = 24 * 60 * 60 * 1_000_000
_FINEST = 16


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Windows and their blocks, from ``windows.ORIGIN`` on; lengths in microseconds.

    A window of a week or more is cut into days, any other into eighths. ``n_phases`` is how many
    blocks there are in the rhythm that they follow: of a week for days, of a day for parts of it.

    >>> week = Grid.of(pd.Timedelta("7D"))
    >>> week.per_window, week.n_phases
    (7, 7)
    """

    window: int
    per_window: int
    n_phases: int

    @classmethod
    def of(cls, window: pd.Timedelta) -> Grid:
        """Return the grid of a length; raises ``ValueError`` for one finer than a millisecond."""
        length = windows.whole_microseconds(window)
        days, rest = divmod(length, _DAY)
        if days >= 7 and not rest:
            return cls(window=length, per_window=days, n_phases=7)
        if length % (PARTS * _FINEST):
            raise ValueError(f"window={window}: a whole number of milliseconds is needed")
        in_a_day, rest = divmod(_DAY, length // PARTS)
        return cls(window=length, per_window=PARTS, n_phases=PARTS if rest else in_a_day)

    @property
    def block(self) -> int:
        return self.window // self.per_window

    @property
    def length(self) -> pd.Timedelta:
        return pd.Timedelta(self.window, "us")

    def place(self, times: np.ndarray, *, parts: int = 1) -> np.ndarray:
        """Return the number of the block, or of its part, in which each time lies."""
        return (times - windows.whole_microseconds(windows.ORIGIN)) // (self.block // parts)

    def starts(self, numbers: np.ndarray) -> pd.DatetimeIndex:
        """Return the moments at which the windows of these numbers begin."""
        origin = windows.whole_microseconds(windows.ORIGIN)
        return pd.to_datetime(origin + numbers * self.window, unit="us", utc=True)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The sums of a frame, by part of a block (blocks × slices × cells), from the block ``first``.

    ``covered`` says which parts the traffic reaches: nothing is known before its first row, nor
    after its last one.
    """

    grid: Grid
    first: int
    cells: np.ndarray
    covered: np.ndarray

    @property
    def numbers(self) -> np.ndarray:
        """The number of each block."""
        return self.first + np.arange(len(self.cells))

    def by_window(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the numbers of the windows, the sums of their blocks, and which of these are.

        The sums are (windows × per_window × cells).
        """
        window, place = np.divmod(self.numbers, self.grid.per_window)
        at = window - window[0]
        shape = (at[-1] + 1, self.grid.per_window)
        sums, there = np.zeros((*shape, self.cells.shape[-1])), np.zeros(shape, dtype=bool)
        sums[at, place] = self.cells.sum(axis=1)
        there[at, place] = self.covered.any(axis=1)
        return window[0] + np.arange(shape[0]), sums, there


def counted(
    frame: pd.DataFrame,
    measures: Sequence[Measure],
    *,
    grid: Grid,
    n_slices: int,
    time_column: str,
    label_column: str | None,
    until: int | None = None,
) -> Counted:
    """Return the sums of a frame in order of time, which has rows.

    ``until`` is where what was recorded ends, in microseconds; unless given, when the next row
    after the last one was to be expected, or the last one's window ends.
    """
    times = windows.times(frame, time_column, argument="time_column")
    if until is None:
        until = _expected_next(times, grid)
    part = grid.place(times, parts=n_slices)
    first = int(part[0]) // n_slices
    part = (part - first * n_slices).astype(np.intp)
    last = int(part[-1])
    if until is not None:
        last = max(last, int(grid.place(until - 1, parts=n_slices)) - first * n_slices)
    n_blocks = last // n_slices + 1
    n = n_blocks * n_slices
    own = [np.bincount(part, minlength=n), np.zeros(n)]
    if label_column is not None:
        own[LABELLED] = np.bincount(part[frame[label_column].notna().to_numpy()], minlength=n)
    cells = np.column_stack([*own, *(each.cells(frame, part, n) for each in measures)])
    covered = (np.arange(n) >= part[0]) & (np.arange(n) <= last)
    cells = np.where(covered[:, None], cells, 0.0)
    return Counted(
        grid=grid,
        first=first,
        cells=cells.reshape(n_blocks, n_slices, -1),
        covered=covered.reshape(n_blocks, n_slices),
    )


def _expected_next(times: np.ndarray, grid: Grid) -> int:
    """Return when the next row was to be expected, at most the end of the last one's window."""
    last = int(times[-1])
    gap = int(np.median(np.diff(times))) if len(times) > 1 else 0
    origin = windows.whole_microseconds(windows.ORIGIN)
    end = origin + ((last - origin) // grid.window + 1) * grid.window
    return min(last + max(1, gap), end)


def slices_for(n_blocks: int, n_cells: int, *, at_most: int = 4_000_000) -> int:
    """Return into how many parts to cut each block, so that the sums stay within bounds.

    >>> slices_for(365, 300), slices_for(100_000, 300)
    (16, 1)
    """
    n = 1
    while n < _FINEST and 2 * n * n_blocks * n_cells <= at_most:
        n *= 2
    return n
