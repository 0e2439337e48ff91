"""One column of somebody's data: its times read, its kind found, its oddities told."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

import numpy as np
import pandas as pd

from utils.report.sources import Unusable
from utils.text import number, percent, tr

Kind = Literal["number", "boolean", "category", "moment", "other"]

MOSTLY = 0.95
"""Text of which this share reads as numbers is a column of numbers with something wrong in it."""

LOOKED_AT = 10_000
"""Values of a column that its kind is told by, evenly spread over it."""

_EPOCHS = {"s": 1e9, "ms": 1e12, "us": 1e15, "ns": 1e18}
_EPOCH_YEARS = (0.3, 4.2)
"""Counted in 10⁹ s since 1970: from 1979 to 2103. The units do not overlap there."""


def meant(name: str, known: Iterable[str]) -> str:
    """Return the end of a refusal: the column that was probably meant, else those there are.

    >>> from utils.text import using
    >>> with using("en"):
    ...     meant("scor", ["score", "label"])
    "did you mean 'score'?"
    """
    names = [str(each) for each in known]
    close = get_close_matches(name, names, n=1) or get_close_matches(
        name.lower(), [each for each in names if each.lower() == name.lower()], n=1, cutoff=0
    )
    if close:
        return tr(pt=f"você quis dizer {close[0]!r}?", en=f"did you mean {close[0]!r}?")
    listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return tr(pt=f"as que há: {listed}", en=f"there are: {listed}")


def row(column: pd.Series, at: int) -> str:
    """Return how a row is called: by its index, from 1, the line of the names not counted."""
    place = number(column.index[at] + 1)
    return tr(pt=f"linha {place}", en=f"row {place}")


def share_of(n: int, total: int) -> str:
    """Return how many of all, in words.

    >>> from utils.text import using
    >>> with using("en"):
    ...     share_of(2, 8)
    '2 (25%)'
    """
    return f"{number(n)} ({percent(n / total)})"


# ----------------------------------------------------------------------------------------- times


def moments(column: pd.Series, *, what: str, required: bool = True) -> tuple[pd.Series, str | None]:
    """Return a column as times in UTC, and what had to be assumed of it.

    Text is read as ISO 8601, a whole number as the seconds, milliseconds, micro- or nanoseconds
    since 1970 that its size allows; a time without a zone is one in UTC. ``what`` names the column
    in a refusal. Raises ``Unusable`` naming the first row that is no time, and, where
    ``required``, the first that has none.

    >>> from utils.text import using
    >>> with using("en"):
    ...     times, note = moments(pd.Series(["2013-07-31 20:00"]), what="T")
    >>> times.iloc[0], note
    (Timestamp('2013-07-31 20:00:00+0000', tz='UTC'), 'T: times without a zone are read as UTC')
    """
    absent = column.isna().to_numpy()
    if required and absent.any():
        first = row(column, absent.argmax())
        raise Unusable(
            tr(pt=f"{what}: {first}: falta o momento", en=f"{what}: {first}: has no time")
        )
    if pd.api.types.is_numeric_dtype(column) and not absent.all():
        return _of_epochs(column, what=what)
    naive = False
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        times = column
    elif column.dtype.kind == "M":
        times, naive = column, True
    else:
        times, naive = _of_text(column, what=what)
    times = pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
    note = tr(
        pt=f"{what}: momentos sem fuso são lidos como UTC",
        en=f"{what}: times without a zone are read as UTC",
    )
    return times, note if naive else None


def _of_text(column: pd.Series, *, what: str) -> tuple[pd.Series, bool]:
    text = column.astype("object").where(column.notna(), None).map(_as_text)
    times = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
    bad = (times.isna() & column.notna()).to_numpy()
    if bad.any():
        at = bad.argmax()
        where, value = f"{what}: {row(column, at)}", column.iloc[at]
        raise Unusable(
            tr(
                pt=f"{where}: {value!r} não é um momento ISO 8601, como 2013-07-31T20:00:00Z",
                en=f"{where}: {value!r} is no ISO 8601 time, such as 2013-07-31T20:00:00Z",
            )
        )
    zoned = text.dropna().str.contains(r"(?:Z|[+-]\d{2}:?\d{2}|[+-]\d{2})$", regex=True)
    has_clock = text.dropna().str.contains(":", regex=False)
    return times, bool((~(zoned & has_clock)).any())


def _as_text(value: object) -> str | None:
    return None if value is None else str(value)


def _of_epochs(column: pd.Series, *, what: str) -> tuple[pd.Series, str]:
    values = column.to_numpy(dtype=float, na_value=np.nan)
    first = values[~np.isnan(values)][0]
    low, high = _EPOCH_YEARS
    unit = next((u for u, size in _EPOCHS.items() if low <= first / size <= high), None)
    size = _EPOCHS.get(unit or "", np.nan)
    bad = ~np.isnan(values) & ~((values / size >= low) & (values / size <= high))
    if bad.any():
        at = bad.argmax()
        where, value = f"{what}: {row(column, at)}", f"{values[at]:.17g}"
        raise Unusable(
            tr(
                pt=f"{where}: {value} não é um momento; escreva como 2013-07-31T20:00:00Z, ou "
                "o tempo desde 1970 numa só unidade",
                en=f"{where}: {value} is no time; write it as 2013-07-31T20:00:00Z, or as the "
                "time since 1970 in one unit",
            )
        )
    times = pd.to_datetime(column, unit=unit, utc=True).astype("datetime64[us, UTC]")
    units = {
        "s": tr(pt="segundos", en="seconds"),
        "ms": tr(pt="milissegundos", en="milliseconds"),
        "us": tr(pt="microssegundos", en="microseconds"),
        "ns": tr(pt="nanossegundos", en="nanoseconds"),
    }
    return times, tr(
        pt=f"{what}: números lidos como {units[unit]} desde 1970, em UTC",
        en=f"{what}: numbers are read as {units[unit]} since 1970, in UTC",
    )


# ----------------------------------------------------------------------------------------- kinds


def kind_of(column: pd.Series) -> Kind:
    """Return what a column holds, by ten thousand of its values; nothing counts as numbers.

    Text that is mostly numbers is of numbers, unless one begins with a nought too many ("007");
    text that is all ISO 8601 dates is of moments.
    ``"other"`` is what no monitor here looks at: lists, objects, bytes, lengths of time.

    >>> [kind_of(pd.Series(each)) for each in ([1, None], [True, None], ["a", "b"], ["7", "8"])]
    ['number', 'boolean', 'category', 'number']
    >>> kind_of(pd.Series(["2013-07-31", "2013-08-01"])), kind_of(pd.Series([[1], [2]]))
    ('moment', 'other')
    """
    there = column.dropna()
    if there.empty:
        return "number"
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "category"
    if column.dtype.kind == "M":
        return "moment"
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_numeric_dtype(column):
        return "number" if column.dtype.kind != "c" else "other"
    return _kind_of_values(there.iloc[:: -(-len(there) // LOOKED_AT)])


def _kind_of_values(there: pd.Series) -> Kind:
    is_text = isinstance(there.dtype, pd.StringDtype)
    types = {str} if is_text else set(there.astype("object").map(type))
    if types <= {bool, np.bool_}:
        return "boolean"
    if not all(issubclass(each, (str, int, float, np.number, np.bool_)) for each in types):
        return "other"
    text = there.astype("str")
    if pd.to_numeric(text, errors="coerce").notna().mean() >= MOSTLY:
        is_code = text.str.match(r"0\d").any()
        return "category" if is_code else "number"
    return "moment" if _are_dates(text) else "category"


def _are_dates(text: pd.Series) -> bool:
    if not text.str.match(r"\d{4}-\d{2}-\d{2}").all():
        return False
    return pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce").notna().all()


def numbers(column: pd.Series, *, what: str) -> tuple[pd.Series, list[str]]:
    """Return a column as floats, where what is no finite number is missing, and what that was.

    >>> from utils.text import using
    >>> with using("en"):
    ...     values, notes = numbers(pd.Series(["7", "?", None]), what="age")
    >>> print(values.tolist(), *notes)
    [7.0, nan, nan] age: row 2: '?' is no number; 1 (33.33%) are none, and count as missing
    """
    if pd.api.types.is_numeric_dtype(column):
        values = pd.Series(column.to_numpy(dtype=float, na_value=np.nan), index=column.index)
    else:
        values = pd.to_numeric(column.astype("object"), errors="coerce").astype("float64")
    values = values.where(np.isfinite(values))
    lost = (values.isna() & column.notna()).to_numpy()
    if not lost.any():
        return values, []
    first = f"{what}: {row(column, lost.argmax())}: {str(column.iloc[lost.argmax()])!r}"
    n = share_of(lost.sum(), len(column))
    return values, [
        tr(
            pt=f"{first} não é um número; {n} não são, e contam como ausentes",
            en=f"{first} is no number; {n} are none, and count as missing",
        )
    ]


def texts(column: pd.Series) -> pd.Series:
    """Return a column as text; a whole number is written without a fraction.

    >>> texts(pd.Series([1.0, None, 2.5])).tolist()
    ['1', nan, '2.5']
    """
    if isinstance(column.dtype, pd.StringDtype):
        return column.astype("str")
    return column.astype("object").map(_text, na_action="ignore").astype("str")


def _text(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def booleans(column: pd.Series) -> pd.Series:
    """Return a column of truth as such; what is neither true nor false is missing.

    >>> booleans(pd.Series([True, "false", None, 1, "maybe"])).tolist()
    [True, False, <NA>, True, <NA>]
    """
    if pd.api.types.is_bool_dtype(column):
        return column.astype("boolean")
    words = {"true": True, "1": True, "false": False, "0": False}
    return texts(column).str.lower().map(words).astype("boolean")


def with_numbers(column: pd.Series) -> pd.Series:
    """Return a column in which text that reads as a number is one; the rest stays as it is.

    >>> with_numbers(pd.Series(["7", "?", None])).tolist()
    [7.0, '?', nan]
    """
    if pd.api.types.is_numeric_dtype(column):
        return column
    values = pd.to_numeric(column.astype("object"), errors="coerce").astype("float64")
    if (values.notna() | column.isna()).all():
        return values
    return values.astype("object").where(values.notna(), column.astype("object"))


# ----------------------------------------------------------------------------------------- names


def is_identifier(column: pd.Series, kind: Kind, *, at_least: int = 100) -> bool:
    """Return whether a column names its rows: it tells them apart, and nothing of what they are.

    Text that is another one in more than half of the rows; whole numbers that are all different
    and either fill their range or grow with the rows (which are in order of time).

    >>> is_identifier(pd.Series(range(500)), "number")
    True
    >>> is_identifier(pd.Series(range(500)).mod(400), "number")
    False
    """
    there = column.dropna()
    if len(there) < at_least:
        return False
    if kind == "category":
        return there.nunique() > 0.5 * len(there)
    if kind != "number" or not there.is_unique:
        return False
    values = numbers(there, what="")[0].dropna()
    if not values.mod(1).eq(0).all():
        return False
    fills = values.max() - values.min() < 10 * len(values)
    return bool(fills or values.is_monotonic_increasing)
