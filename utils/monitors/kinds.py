"""What each value of a column is: missing, a truth value, a number, a moment, text, or else.

A column's type tells what it may hold; what it does hold is told by its values: whole numbers come
as ``float64`` as soon as one is missing, and a column of ``object`` holds anything.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

MISSING, TRUTH, WHOLE, FRACTION, MOMENT, TEXT, OTHER = range(7)
"""The kinds of a value. A number that is not finite is a fraction."""

NAMES = ("missing", "truth value", "whole number", "number", "moment", "text", "else")
"""The name of each kind, and ``"mixed"`` for a column that holds several."""


def kinds(column: pd.Series) -> np.ndarray:
    """Return the kind of each value, as small integers.

    Numbers written as text are text. Any column will do: categorical, nullable, of Arrow, mixed.

    >>> [NAMES[kind] for kind in kinds(pd.Series([1.0, 2.5, "a", True, None], dtype="object"))]
    ['whole number', 'number', 'text', 'truth value', 'missing']
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _by_category(column, kinds, missing=MISSING)
    if column.dtype.kind == "f":
        return _kinds_of_numbers(_floats(column))
    kind = _KIND_OF_TYPE.get(column.dtype.kind)
    if isinstance(column.dtype, pd.StringDtype):
        kind = TEXT
    if kind is not None:
        return np.where(column.isna().to_numpy(), MISSING, kind).astype(np.uint8)
    return _kinds_of_objects(column)


def numbers(column: pd.Series) -> np.ndarray:
    """Return the numbers of a column as floats; what is no number, or missing, is ``NaN``.

    >>> numbers(pd.Series([1, "2", True, None], dtype="object")).tolist()
    [1.0, nan, nan, nan]
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _by_category(column, numbers, missing=np.nan)
    if column.dtype.kind in "iuf":
        return _floats(column)
    found = np.full(len(column), np.nan)
    if column.dtype.kind == "O" and not isinstance(column.dtype, pd.StringDtype):
        number = np.isin(_kinds_of_objects(column), (WHOLE, FRACTION))
        found[number] = [_float(value) for value in column.to_numpy(dtype=object)[number]]
    return found


def coded(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of each value, -1 where missing, and the values as text, one for each code.

    Whole numbers are written alike whatever their type, so that 1 and 1.0 are one value.

    >>> codes, texts = coded(pd.Series([2.0, 1.5, None, 2.0]))
    >>> codes.tolist(), texts.tolist()
    ([0, 1, -1, 0], ['2', '1.5'])
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        values, codes = column.cat.categories, column.cat.codes.to_numpy()
    elif column.dtype.kind == "O" and not isinstance(column.dtype, pd.StringDtype):
        there = column.notna().to_numpy()
        texts = np.full(len(column), None, dtype=object)
        texts[there] = [_text(value) for value in column.to_numpy(dtype=object)[there]]
        return pd.factorize(texts)
    else:
        codes, values = pd.factorize(column)
    return codes, np.array([_text(value) for value in values], dtype=object)


def fits(found: np.ndarray, kind: str) -> np.ndarray:
    """Return which kinds of value a column of a kind may hold: a number also whole numbers.

    Every kind fits into a mixed column, and a missing value into any.

    >>> fits(kinds(pd.Series([1, 2.5, None])), "whole number").tolist()
    [True, False, True]
    """
    return np.isin(found, (MISSING, *_HOLDS.get(kind, range(len(NAMES)))))


def kind_of(found: np.ndarray) -> str:
    """Return the name of the kind of a column from the kinds of its values.

    Whole numbers beside fractions are numbers; a column without a value is ``"missing"``.

    >>> kind_of(kinds(pd.Series([1.0, 2.5]))), kind_of(kinds(pd.Series([1, "a"], dtype="object")))
    ('number', 'mixed')
    """
    there = np.flatnonzero(np.bincount(found, minlength=len(NAMES))[1:]) + 1
    if len(there) == 0:
        return NAMES[MISSING]
    if set(there) <= {WHOLE, FRACTION}:
        return NAMES[FRACTION if FRACTION in there else WHOLE]
    return NAMES[there[0]] if len(there) == 1 else "mixed"


_HOLDS = {name: (kind,) for kind, name in enumerate(NAMES)} | {"number": (WHOLE, FRACTION)}

_KIND_OF_TYPE = {"i": WHOLE, "u": WHOLE, "b": TRUTH, "M": MOMENT, "U": TEXT, "m": OTHER, "c": OTHER}


def _by_category(
    column: pd.Series, of_values: Callable[[pd.Series], np.ndarray], *, missing: Any
) -> np.ndarray:
    """Return what a function says of each value, asking once for each category."""
    of_each = of_values(column.cat.categories.to_series())
    return np.append(of_each, np.array([missing], dtype=of_each.dtype))[column.cat.codes]


def _floats(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype="float64", na_value=np.nan)


def _kinds_of_numbers(values: np.ndarray) -> np.ndarray:
    """Return the kinds of floats: what is missing, whole, or neither."""
    whole = np.isfinite(values) & (values == np.rint(values))
    return np.where(np.isnan(values), MISSING, np.where(whole, WHOLE, FRACTION)).astype(np.uint8)


def _kinds_of_objects(column: pd.Series) -> np.ndarray:
    values = column.to_numpy(dtype=object)
    types = np.empty(len(values), dtype=object)
    types[:] = [type(value) for value in values]
    codes, each = pd.factorize(types)
    found = np.array([_kind_of_class(one) for one in each], dtype=np.uint8)[codes]
    found[column.isna().to_numpy()] = MISSING
    number = found == FRACTION
    found[number] = _kinds_of_numbers(np.array([_float(value) for value in values[number]]))
    return found


def _kind_of_class(one: type) -> int:
    for kind, classes in (
        (TRUTH, (bool, np.bool_)),
        (FRACTION, (Real, Decimal)),
        (TEXT, str),
        (MOMENT, (date, np.datetime64)),
    ):
        if issubclass(one, classes):
            return kind
    return OTHER


def _float(number: Any) -> float:
    """Return a number as a float, one beyond all floats as infinite.

    >>> _float(-(10**400)), _float(Decimal("1.5"))
    (-inf, 1.5)
    """
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and np.isfinite(value) and value == np.rint(value):
        return str(int(value))
    return str(value)
