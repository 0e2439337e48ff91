"""How rows arrive: cut into windows, with their gaps, their ages, and their runs of one value."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.monitors import windows

HOUR = 3_600_000_000
"""An hour in microseconds."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Rows in order of time, cut into windows: ``at`` is the window of each row inside.

    ``first`` and ``last`` bound what is known of the traffic, in microseconds.
    """

    frame: pd.DataFrame
    times: np.ndarray
    at: np.ndarray
    edges: np.ndarray
    first: int
    last: int

    def __len__(self) -> int:
        return max(len(self.edges) - 1, 0)

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        time_column: str,
        *,
        window: windows.Length | None,
        start: windows.Moment | None = None,
        end: windows.Moment | None = None,
    ) -> Cut:
        times = windows.times(frame, time_column, argument="time_column")
        edges = windows.cut(times, window=window, start=start, end=end)
        inside = slice(*np.searchsorted(times, edges[[0, -1]])) if len(edges) else slice(0, 0)
        times = times[inside]
        bounds = edges[[0, -1]].tolist() if len(edges) else [0, 0]
        return cls(
            frame=frame.iloc[inside],
            times=times,
            at=np.searchsorted(edges, times, side="right") - 1,
            edges=edges,
            first=bounds[0] if start is not None or not len(times) else int(times[0]),
            last=bounds[1] if end is not None or not len(times) else int(times[-1]),
        )

    @property
    def rows(self) -> np.ndarray:
        return np.bincount(self.at, minlength=len(self))

    @property
    def hours(self) -> np.ndarray:
        """How much of each window is known of, in hours."""
        return np.diff(np.clip(self.edges, self.first, self.last)) / HOUR

    @property
    def is_whole(self) -> np.ndarray:
        """Whether all of each window is known of."""
        return (self.edges[:-1] >= self.first) & (self.edges[1:] <= self.last)

    def newest_hours(self) -> np.ndarray:
        """Return the age of the newest row at the end of each window that is wholly past.

        The row may be of an earlier window; before the first there is none.

        >>> times = pd.to_datetime([1, 2, 10], unit="h", utc=True)
        >>> frame = pd.DataFrame({"event_time": times})
        >>> cut = Cut.of(frame, "event_time", window="6h", end="1970-01-01T18Z")
        >>> cut.newest_hours().tolist()
        [4.0, 2.0, 8.0]
        """
        ends = self.edges[1:]
        newest = np.searchsorted(self.times, ends) - 1
        known = (newest >= 0) & (ends <= self.last)
        ages = np.full(len(self), np.nan)
        ages[known] = (ends[known] - self.times[newest[known]]) / HOUR
        return ages

    def longest_gap_hours(self) -> np.ndarray:
        """Return the longest time without a row in each window, as far as it is known of.

        A gap that goes on in the next window counts in both, up to the edge.

        >>> times = pd.to_datetime([1, 2, 10], unit="h", utc=True)
        >>> frame = pd.DataFrame({"event_time": times})
        >>> cut = Cut.of(frame, "event_time", window="6h", end="1970-01-01T18Z")
        >>> cut.longest_gap_hours().tolist()
        [4.0, 4.0, 6.0]
        """
        gaps = np.full(len(self), np.nan)
        edges = np.clip(self.edges, self.first, self.last)
        for at, (left, right) in enumerate(itertools.pairwise(edges)):
            inside = self.times[slice(*np.searchsorted(self.times, [left, right]))]
            if right > left:
                gaps[at] = np.diff([left, *inside, right]).max() / HOUR
        return gaps

    def longest_runs(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the longest run of one value in each window, and how many values there are.

        A missing value is left out, and does not end a run.

        >>> times = pd.to_datetime([1, 2, 3, 10], unit="h", utc=True)
        >>> frame = pd.DataFrame({"event_time": times})
        >>> cut = Cut.of(frame, "event_time", window="6h")
        >>> cut.longest_runs(np.array([7.0, np.nan, 7.0, 7.0]))
        (array([2, 1]), array([2, 1]))
        """
        there = ~np.isnan(values)
        values, at = values[there], self.at[there]
        starts = np.ones(len(values), dtype=bool)
        starts[1:] = (values[1:] != values[:-1]) | (at[1:] != at[:-1])
        longest = np.zeros(len(self), dtype=np.int64)
        np.maximum.at(longest, at[starts], np.bincount(np.cumsum(starts) - 1))
        return longest, np.bincount(at, minlength=len(self))
