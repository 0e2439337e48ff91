"""What a monitor measures, as sums: of each block of rows, and so of any window made of blocks.

Whatever can be written as sums over rows (counts in bins, missing values, squared errors) is read
from the rows once. A window is the sum of its blocks; a period is the sum of its windows; a window
that never was, made of blocks drawn at random from a quiet year, is a sum too. So the value of a
quiet window, and how far it strays by chance, are found without ever reading the rows again.

A ``Measure`` says what it sums (``cells``) and what it makes of the sums (``values``). Each of its
``lines`` is one line of the dashboard: a metric of a feature or of a group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd

Side = Literal["high", "low", "both"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a dashboard: what is measured, of what, and on which side a value is bad.

    Fewer rows than ``minimum`` are too few to judge. ``scale`` is the one on which its interval is
    made (see ``intervals.bootstrap_t``). ``labelled`` says that it rests on the rows whose label is
    known, which are fewer while labels are still to come.
    """

    monitor: str
    metric: str
    feature: str = ""
    group: str = ""
    side: Side = "high"
    minimum: int = 30
    scale: Literal["linear", "log", "logit", "log of the rest"] = "linear"
    labelled: bool = False


class Measure(Protocol):
    """What is summed over rows, and what is made of the sums.

    Everything works on the last axis: ``values`` takes sums of the shape (…, cells) of windows
    and of the reference, which broadcast, and returns (…, lines). It gives ``NaN`` where the sums
    do not define a value, and never warns.
    """

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines, in the order of the last axis of ``values`` and ``counts``."""
        ...

    @property
    def n_cells(self) -> int:
        """How many sums it keeps of a block."""
        ...

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        """Return the sums over the rows of each block, as floats (n_blocks × n_cells).

        ``block`` is the block of each row, in 0..n_blocks-1. The rows are in order of time. A label
        that is not known yet is missing.
        """
        ...

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return the value of each line (…, lines) from the sums of windows and reference."""
        ...

    def counts(self, current: np.ndarray) -> np.ndarray:
        """Return on how many rows each value rests (…, lines)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Only:
    """Some of the lines of a measure, as a measure."""

    whole: Measure
    at: tuple[int, ...]

    @classmethod
    def of(cls, whole: Measure, is_wanted: Callable[[Line], bool]) -> Only:
        """Return the lines that are wanted."""
        return cls(whole=whole, at=tuple(n for n, x in enumerate(whole.lines) if is_wanted(x)))

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self.whole.lines[n] for n in self.at)

    @property
    def n_cells(self) -> int:
        return self.whole.n_cells

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        return self.whole.cells(frame, block, n_blocks)

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        return self.whole.values(current, reference)[..., list(self.at)]

    def counts(self, current: np.ndarray) -> np.ndarray:
        return self.whole.counts(current)[..., list(self.at)]


@runtime_checkable
class Tells(Protocol):
    """A measure that can tell what moved within a line, as evidence beside its value."""

    def moved(self, line: int, current: np.ndarray, reference: np.ndarray) -> str:
        """Return a sentence in the language in force, from the sums of a window (cells)."""
        ...


def sums(values: np.ndarray, block: np.ndarray, n_blocks: int) -> np.ndarray:
    """Return the sum of the values in each block; a missing value adds nothing.

    >>> sums(np.array([1.0, 2.0, np.nan, 4.0]), np.array([0, 0, 1, 1]), 2).tolist()
    [3.0, 4.0]
    """
    return np.bincount(block, weights=np.nan_to_num(values), minlength=n_blocks)
