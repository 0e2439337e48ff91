"""What a feature was in the reference, and which of later values are not as it was.

A reference never leaves its own range, and fresh rows do: of n alike values, the next lies outside
their range with probability 2/(n+1). A rate of 0 in the reference would make an alarm of each. So
every stretch of the reference's time is judged by the other stretches, and the rates of its own
rows are those of fresh ones. Rows of other times are judged by all of it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from utils.monitors import kinds

MOST_CATEGORIES = 1000
"""A column of more values is an identifier or free text: every window has values unseen before."""

_SEVERAL = np.iinfo(np.int64).min  # for the stretch of a value that came in several: none is it
_NUMBERS = ("whole number", "number")
_WITH_VALUES = (*_NUMBERS, "truth value", "text", "mixed")
_ANYTHING = ("missing", "mixed")


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The largest number of the reference, and the largest outside the stretch that holds it.

    A row of the stretch ``home`` is judged by ``elsewhere``, any other by ``value``.
    """

    value: float
    elsewhere: float
    home: int

    def exceeded(self, values: np.ndarray, stretch: np.ndarray) -> np.ndarray:
        """Return which values lie beyond, given the stretch of time of each; a missing one no."""
        beyond = values > self.elsewhere
        return beyond & ((values > self.value) | (stretch == self.home))


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one feature was in the reference.

    ``largest`` and ``smallest`` bound its numbers (``smallest`` those of -x). ``categories`` gives
    of each value the only stretch of time in which it came, or a mark for several. ``rates`` are
    those that can ever be other than what they always are.
    """

    feature: Hashable
    kind: str
    largest: Bound | None = None
    smallest: Bound | None = None
    categories: dict[str, int] = field(default_factory=dict)
    rates: tuple[str, ...] = ()

    def wrong_type(self, found: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Return which values are of another kind; 0 and 1 pass for truth values."""
        wrong = ~kinds.fits(found, self.kind)
        if self.kind == "truth value":
            wrong &= ~np.isin(numbers, (0, 1))
        return wrong

    def out_of_bounds(self, numbers: np.ndarray, stretch: np.ndarray) -> np.ndarray:
        return self.largest.exceeded(numbers, stretch) | self.smallest.exceeded(-numbers, stretch)

    def unseen(self, column: pd.Series, stretch: np.ndarray) -> np.ndarray:
        """Return which values the reference did not have, or not outside their own stretch."""
        codes, texts = kinds.coded(column)
        known = np.array([text in self.categories for text in texts] + [True])
        home = np.array([self.categories.get(text, _SEVERAL) for text in texts] + [_SEVERAL])
        return ~known[codes] | (home[codes] == stretch)


def expected(column: pd.Series, stretch: np.ndarray) -> Expected:
    """Return what a feature was, given the stretch of time of each of its rows."""
    found = kinds.kinds(column)
    kind = kinds.kind_of(found)
    rates = ["null_value_rate"]
    known: dict[str, Any] = {}
    if kind not in _ANYTHING:
        rates.append("data_type_error_rate")
    if kind in _NUMBERS and not isinstance(column.dtype, pd.CategoricalDtype):
        numbers = kinds.numbers(column)
        finite = np.isfinite(numbers)
        if finite.any():
            rates.append("out_of_bounds_rate")
            known = {
                "largest": _bound(numbers[finite], stretch[finite]),
                "smallest": _bound(-numbers[finite], stretch[finite]),
            }
        if finite.any() and np.ptp(numbers[finite] / 2):
            rates.append("repeated_share")
    elif kind in _WITH_VALUES:
        categories = _homes(column, stretch)
        can_grow = kind != "truth value" or len(categories) < 2
        if can_grow and len(categories) <= MOST_CATEGORIES:
            rates.append("unseen_rate")
            known = {"categories": categories}
    return Expected(feature=column.name, kind=kind, rates=tuple(rates), **known)


def _bound(values: np.ndarray, stretch: np.ndarray) -> Bound:
    first = int(np.argmax(values))
    value, home = float(values[first]), int(stretch[first])
    others = values[stretch != home]
    return Bound(value=value, home=home, elsewhere=float(others.max()) if len(others) else value)


def _homes(column: pd.Series, stretch: np.ndarray) -> dict[str, int]:
    """Return each value as text, with the only stretch in which it came, or ``_SEVERAL``.

    In a reference of one stretch there are no others to judge it by: every value counts as of
    several.
    """
    codes, texts = kinds.coded(column)
    there = codes >= 0
    codes, stretch = codes[there], stretch[there]
    first = np.full(len(texts), np.iinfo(np.int64).max)
    last = np.full(len(texts), np.iinfo(np.int64).min)
    np.minimum.at(first, codes, stretch)
    np.maximum.at(last, codes, stretch)
    one_stretch = not len(stretch) or stretch.min() == stretch.max()
    return {
        text: int(_SEVERAL) if one_stretch or low != high else int(low)
        for text, low, high in zip(texts, first, last, strict=True)
        if low <= high
    }
