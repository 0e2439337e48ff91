"""What a table was promised to be: a contract as data, and what of it a table breaks.

A schema knows names and types. A contract also knows what a value may be, how often it may be
missing, what tells two rows apart, and where the *middle* of a column lies: an income that comes by
the year instead of by the month is within every range, and is found by its median.

It is agreed between those who send a table and those who use it, and it is checked where the
table arrives. ``odcs`` writes it in the form of the Open Data Contract Standard.
"""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_UP, Context, Decimal
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import bdtrc

from utils.monitors import windows
from utils.records import VigiaError
from utils.text import nearest

Kind = Literal["number", "whole number", "text", "moment", "truth value"]

VIOLATION_COLUMNS = ("feature", "check", "rule", "observed", "share", "n", "n_rows")

CHANCE = 0.001
"""What chance alone would do less often than this is held to be no chance."""

_MOST_VALUES = 30
_MOST_OF_A_DOMAIN = 0.05
_MIDDLE = (0.3, 0.7)


class ContractBroken(VigiaError):
    """A table breaks its contract; ``violations`` is the table of what was found."""

    def __init__(self, message: str, violations: pd.DataFrame) -> None:
        super().__init__(message)
        self.violations = violations


@dataclass(frozen=True, kw_only=True)
class Field:
    """What one column was promised to be.

    - ``kind``: what its values are. A missing value does not change it, so whole numbers may come
      as ``float64``; a moment has a time zone.
    - ``required``: the column has to be there, empty or not.
    - ``completeness``: the least share of the rows that have a value.
    - ``minimum``, ``maximum``: what a number may be at all, both included.
    - ``values``: the only values that there are.
    - ``unique``: no value stands twice.
    - ``typical``: where the median lies, both ends included. It finds a unit that changed although
      each value is still possible.
    - ``commonest``: the greatest share of the values that one of them may have. It finds a sensor
      that is stuck.

    Raises ``ValueError`` for a rule that no table could keep, or that its kind does not know.

    >>> Field(name="income_brl", kind="number", unit="BRL a month", minimum=0).completeness
    1.0
    """

    name: str
    kind: Kind
    unit: str = ""
    description: str = ""
    required: bool = True
    completeness: float = 1.0
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[Any, ...] | None = None
    unique: bool = False
    typical: tuple[float, float] | None = None
    commonest: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in _IS_OF:
            raise self._wrong("kind", nearest(str(self.kind), _IS_OF))
        for name in ("completeness", "minimum", "maximum", "commonest"):
            self._keep(name, _plain(getattr(self, name)))
        for name in ("values", "typical"):
            if getattr(self, name) is not None:
                self._keep(name, tuple(_plain(each) for each in getattr(self, name)))
        if not (_is_number(self.completeness) and 0 <= self.completeness <= 1):
            raise self._wrong("completeness", "a share lies in 0..1")
        if self.commonest is not None and not (
            _is_number(self.commonest) and 0 < self.commonest <= 1
        ):
            raise self._wrong("commonest", "a share above 0 and up to 1")
        self._check_numbers()
        if self.values is not None:
            self._check_values()

    def _check_numbers(self) -> None:
        for name in ("minimum", "maximum", "typical"):
            value = getattr(self, name)
            if value is None:
                continue
            if self.kind not in _NUMBERS:
                raise self._wrong(name, f"a {self.kind} has none; only numbers do")
            for each in value if isinstance(value, tuple) else (value,):
                if not (_is_number(each) and np.isfinite(float(each))):
                    raise self._wrong(name, "a finite number is needed")
        if None not in (self.minimum, self.maximum) and self.minimum > self.maximum:
            raise self._wrong("minimum", f"is above maximum={self.maximum!r}")
        if self.typical is not None and (
            len(self.typical) != 2 or not self.typical[0] <= self.typical[1]
        ):
            raise self._wrong("typical", "the lowest and the highest median, in this order")

    def _check_values(self) -> None:
        if not self.values:
            raise self._wrong("values", "at least one value")
        if self.kind == "moment":
            raise self._wrong("values", "a moment has none")
        if not _IS_OF[self.kind](pd.Series(self.values, dtype="object")).all():
            raise self._wrong("values", f"each must be a {self.kind}")

    def _keep(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _wrong(self, argument: str, rule: str) -> ValueError:
        return ValueError(f"{self.name}: {argument}={getattr(self, argument)!r}: {rule}")


@dataclass(frozen=True, kw_only=True)
class DataContract:
    """What a table was promised to be.

    - ``key``: the columns that together tell two rows apart.
    - ``time_column``: when a row's event happened; ``fresh_hours``: how old the newest may be.
    - ``min_rows``: the least number of rows.
    - ``extra_allowed``: whether columns that it does not name may come too. By default they may
      not: a renamed column is one that is missing and one that nobody asked for.
    - ``status``: ``"proposed"`` until a person has read it.

    Raises ``ValueError`` for two fields of one name, for a ``key`` or ``time_column`` that is none
    of the fields, and for a key that may be missing.
    """

    name: str
    version: str
    fields: tuple[Field, ...]
    description: str = ""
    key: tuple[str, ...] = ()
    time_column: str | None = None
    fresh_hours: float | None = None
    min_rows: int = 1
    extra_allowed: bool = False
    status: Literal["proposed", "active"] = "active"

    def __post_init__(self) -> None:
        for name in ("fields", "key"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"fields: {twice!r} stands twice; a name may stand once")
        for name in self.key:
            if self.field(name).completeness < 1 or not self.field(name).required:
                raise ValueError(f"key: {name!r} may be missing; a key is always there")
        if self.time_column is not None and self.field(self.time_column).kind != "moment":
            raise ValueError(f"time_column={self.time_column!r}: is no moment")
        if self.fresh_hours is not None and (self.time_column is None or not self.fresh_hours > 0):
            raise ValueError(f"fresh_hours={self.fresh_hours!r}: more than 0, and of a time_column")
        if self.status not in ("proposed", "active"):
            raise ValueError(f"status={self.status!r}: 'proposed' or 'active'")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    @property
    def label(self) -> str:
        """Its name and version, and whether anybody has agreed to it."""
        unread = ", proposed and not agreed yet" if self.status == "proposed" else ""
        return f"{self.name} {self.version}{unread}"

    def field(self, name: str) -> Field:
        """Return the promise for one column, or raise ``ValueError`` with the nearest name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise ValueError(f"{name!r} is no field of {self.name}; {nearest(name, self.names)}")

    def only(self, names: Iterable[str], **changes: Any) -> DataContract:
        """Return the contract of some of the columns: of a model's inputs, say, in traffic.

        A key or a time column that is not among them is let go. ``changes`` are other settings.
        """
        kept = tuple(self.field(name) for name in names)
        there = {field.name for field in kept}
        is_timed = self.time_column in there
        settings = {
            "fields": kept,
            "key": self.key if set(self.key) <= there else (),
            "time_column": self.time_column if is_timed else None,
            "fresh_hours": self.fresh_hours if is_timed else None,
        }
        return replace(self, **settings | changes)


def violations(
    frame: pd.DataFrame, contract: DataContract, *, as_of: windows.Moment | None = None
) -> pd.DataFrame:
    """Return what of a contract a table breaks: a row for each rule, none where it holds.

    The columns are ``VIOLATION_COLUMNS``: the column (``""`` for the table), the check, the rule,
    what was seen instead, and in how many of the ``n_rows`` rows (``n`` and ``share``; of a rule
    about a whole column, in all that have a value). With ``as_of``, the time column is held to
    that moment: nothing from the future, nothing too old.

    ``typical`` and ``commonest`` speak of a column, of which a few rows say little: they are
    broken when chance alone would do it less than once in a thousand times (``CHANCE``), taking
    the rows for independent. All other rules hold to the letter, for one row too.

    It does not say what else is wrong. A row named need not be the only one spoiled, and a change
    that leaves each rule whole is not seen: half the income of one row in five, say. The frame is
    left as it is.

    Raises ``TypeError`` for what is no frame, ``ValueError`` for an ``as_of`` without a zone.

    >>> contract = DataContract(name="waits", version="1.0.0", fields=[
    ...     Field(name="wait_min", kind="number", unit="min", minimum=0, maximum=240)])
    >>> frame = pd.DataFrame({"wait_min": [5.0, 12.0, 900.0]})
    >>> print(violations(frame, contract).drop(columns="share").to_string(index=False))
     feature check             rule  observed  n  n_rows
    wait_min range 0 <= each <= 240 max = 900  1       3
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"frame: a {type(frame).__name__}; a pandas DataFrame is needed")
    as_of = windows.moment(as_of, argument="as_of")
    found = [*_of_the_table(frame, contract)]
    for field in contract.fields:
        found += _of_a_field(frame, field)
    found += _of_the_key(frame, contract)
    if as_of is not None and contract.time_column is not None:
        found += _of_the_time(frame, contract, as_of)
    return _table(found, len(frame))


def need(
    frame: pd.DataFrame, contract: DataContract, *, as_of: windows.Moment | None = None
) -> None:
    """Do nothing for a table that keeps its contract, and raise ``ContractBroken`` otherwise.

    The message names the column, the rule, what was seen and the way out of the first rule that
    is broken, and then the others by name; ``error.violations`` is the whole table.

    >>> contract = DataContract(name="waits", version="1.0.0", fields=[
    ...     Field(name="wait_min", kind="number", unit="min", minimum=0, maximum=240)])
    >>> need(pd.DataFrame({"wait_min": [5.0, 12.0]}), contract)
    """
    found = violations(frame, contract, as_of=as_of)
    if found.empty:
        return
    first = found.iloc[0]
    others = found.iloc[1:]
    where = first["feature"] or "the table"
    rest = [f"{each.feature or 'the table'} ({each.check})" for each in others.itertuples()]
    more = f" Also broken: {', '.join(rest)}." if rest else ""
    raise ContractBroken(
        f"{where}: {first['check']}: promised {first['rule']}, seen {first['observed']} in "
        f"{first['n']:,} of {first['n_rows']:,} rows ({contract.label}).{more} "
        f"{WAYS_OUT[first['check']]}, or, if it is the world that changed, agree on a new version "
        "of the contract. Nothing was changed.",
        found,
    )


def suggested(
    frame: pd.DataFrame,
    *,
    name: str,
    version: str = "0.1.0",
    units: Mapping[str, str] | None = None,
    key: Sequence[str] = (),
    time_column: str | None = None,
) -> DataContract:
    """Return a contract that a reference keeps, as a proposal for a person to read.

    What was seen is not what was meant: each rule is drawn wider than the reference, and nobody
    has agreed to it, so its ``status`` is ``"proposed"``. The kind follows the values; a text of
    few values gets them as its domain; the median is to stay in the middle two fifths of the
    reference; the commonest value may gain half of what it lacks to be the only one.

    A reference that is spoiled makes a contract that approves of it. Rules on how columns go
    together are not found.

    Raises ``ValueError`` for a frame without rows, with a column of no kind or of mixed kinds, or
    with one whose name is no text or stands twice.

    >>> frame = pd.DataFrame({"wait_min": [5.0, 12.0, 7.5, None], "desk": ["a", "b", "a", "b"]})
    >>> contract = suggested(frame, name="waits", units={"wait_min": "min"})
    >>> wait_min = contract.field("wait_min")
    >>> contract.status, wait_min.maximum, wait_min.completeness
    ('proposed', 30.0, 0.7)
    """
    if not len(frame):
        raise ValueError("frame: has no rows; a contract is proposed from a reference that has")
    for column in frame.columns:
        if not isinstance(column, str) or list(frame.columns).count(column) > 1:
            raise ValueError(f"frame: column {column!r}: its name must be a text, and stand once")
    units = units or {}
    unknown = sorted(set(units) - set(frame.columns))
    if unknown:
        raise ValueError(f"units: {unknown[0]!r} is no column of the frame")
    fields = tuple(
        _suggested_field(frame[column], unit=units.get(column, ""), is_id=[column] == list(key))
        for column in frame
    )
    return DataContract(
        name=name,
        version=version,
        description=f"Proposed from {len(frame):,} rows; to be read by a person before it counts.",
        fields=fields,
        key=tuple(key),
        time_column=time_column,
        status="proposed",
    )


# What is checked --------------------------------------------------------------------------------

Found = tuple[str, str, str, str, int]
"""Column, check, rule, what was seen, and in how many rows."""

WAYS_OUT: Mapping[str, str] = {
    "rows": "Ask the sender for the rows that are missing",
    "column": "Ask the sender for the column under the name agreed on",
    "extra": "Drop the column, or look whether it is a known one under another name",
    "kind": "Have it sent in the kind agreed on; a silent conversion would hide what changed",
    "finite": "Have a missing number sent as missing; infinity is none",
    "completeness": "Find out where the values were lost before anything fills the gaps",
    "range": "Look for a unit that changed, or an error of entry, where the column is made",
    "domain": "Ask the sender what the new value means; do not map it by guess",
    "unique": "Find out which of the rows that share a value is right",
    "key": "Find out whether rows were sent twice, or the key was lost",
    "typical": "Look for a unit that changed where the column is made",
    "commonest": "Look for a source that is stuck, or for a default that stands for missing",
    "future": "Look at the sender's clock and time zone",
    "freshness": "Look for a transfer that has stopped",
}
"""Every check, and what to do about what it finds."""


def _of_the_table(frame: pd.DataFrame, contract: DataContract) -> Iterator[Found]:
    if len(frame) < contract.min_rows:
        yield "", "rows", f"rows >= {contract.min_rows}", f"rows = {len(frame)}", len(frame)
    if not contract.extra_allowed:
        for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
            if name not in contract.names:
                yield str(name), "extra", "no such column", f"a column of {dtype}", len(frame)


def _of_a_field(frame: pd.DataFrame, field: Field) -> Iterator[Found]:
    places = [at for at, name in enumerate(frame.columns) if name == field.name]
    if len(places) != 1:
        if places or field.required:
            seen = f"{len(places)} columns" if places else nearest(field.name, frame.columns)
            yield field.name, "column", "one column", seen, len(frame)
        return
    given = frame.iloc[:, places[0]]
    there = given.notna().to_numpy()
    fits = _IS_OF[field.kind](given)
    odd = there & ~fits
    if odd.any():
        yield field.name, "kind", f"each a {field.kind}", _told(given[odd].iloc[0]), int(odd.sum())
    present = there.sum() / max(len(frame), 1)
    if len(frame) and present < field.completeness:
        rule, seen = f"present >= {field.completeness:g}", f"present = {present:.4g}"
        yield field.name, "completeness", rule, seen, int((~there).sum())
    for check, rule, seen, n in _of_values(given[there & fits], field):
        yield field.name, check, rule, seen, n


def _of_values(values: pd.Series, field: Field) -> Iterator[tuple[str, str, str, int]]:
    """Yield what the values that are there, and of the right kind, break."""
    if field.kind in _NUMBERS:
        numbers = _floats(values)
        finite = np.isfinite(numbers)
        if not finite.all():
            yield "finite", "each finite", _number(numbers[~finite][0]), int((~finite).sum())
        yield from _of_numbers(numbers[finite], field)
        values = values[finite]
    if field.values is not None:
        unknown = values[~values.isin(field.values).to_numpy()]
        if len(unknown):
            rule = f"one of {', '.join(_short(each) for each in field.values)}"
            often = ", ".join(_short(each) for each in _counts(unknown).index[:3])
            yield "domain", rule, often, len(unknown)
    if field.unique:
        n = int(values.duplicated().sum())
        if n:
            yield "unique", "each once", f"{n:,} that stand again", n
    if field.commonest is not None and len(values):
        counts = _counts(values)
        n = int(counts.iloc[0])
        if n / len(values) > field.commonest and _is_no_chance(n, len(values), field.commonest):
            seen = f"share = {n / len(values):.4g} ({_short(counts.index[0])})"
            yield "commonest", f"share of one value <= {field.commonest:g}", seen, n


def _of_numbers(numbers: np.ndarray, field: Field) -> Iterator[tuple[str, str, str, int]]:
    low = -np.inf if field.minimum is None else field.minimum
    high = np.inf if field.maximum is None else field.maximum
    below, above = numbers < low, numbers > high
    if below.any() or above.any():
        seen = []
        if below.any():
            seen.append(f"min = {_number(numbers.min())}")
        if above.any():
            seen.append(f"max = {_number(numbers.max())}")
        yield "range", _between("each", low, high), ", ".join(seen), int((below | above).sum())
    if field.typical is not None and len(numbers):
        low, high = field.typical
        n = len(numbers)
        if any(_is_no_chance(int(out.sum()), n, 0.5) for out in (numbers < low, numbers > high)):
            seen = f"median = {_number(np.median(numbers))}"
            yield "typical", _between("median", low, high), seen, n


def _counts(values: pd.Series) -> pd.Series:
    """Return how often each value that is there comes, the commonest first."""
    counts = values.value_counts()
    return counts[counts > 0]


def _is_no_chance(n: int, n_all: int, share: float) -> bool:
    """Return whether so many of all are more than chance gives where each has that probability."""
    return share < 1 and bdtrc(n - 1, n_all, share) < CHANCE


def _of_the_key(frame: pd.DataFrame, contract: DataContract) -> Iterator[Found]:
    names = [*contract.key]
    if not names or any(list(frame.columns).count(name) != 1 for name in names):
        return
    fits = [frame[n].notna() & _IS_OF[contract.field(n).kind](frame[n]) for n in names]
    n_again = int(frame.loc[np.logical_and.reduce(fits), names].duplicated().sum())
    if n_again:
        yield ", ".join(names), "key", "each once", f"{n_again:,} that stand again", n_again


def _of_the_time(
    frame: pd.DataFrame, contract: DataContract, as_of: pd.Timestamp
) -> Iterator[Found]:
    name = contract.time_column
    if list(frame.columns).count(name) != 1:
        return
    moments = frame.loc[_IS_OF["moment"](frame[name]), name].dropna()
    if moments.empty:
        return
    moments = pd.to_datetime(moments, utc=True)
    newest, n_later = moments.max(), int((moments > as_of).sum())
    if n_later:
        yield name, "future", f"each <= {as_of}", f"max = {newest}", n_later
    if contract.fresh_hours is not None:
        age = (as_of - newest) / pd.Timedelta("1h")
        if age > contract.fresh_hours:
            rule = f"newest at most {contract.fresh_hours:g} h old"
            yield name, "freshness", rule, f"{age:.4g} h old", len(frame)


def _table(found: Sequence[Found], n_rows: int) -> pd.DataFrame:
    rows = [(*row[:4], row[4] / n_rows if n_rows else np.nan, row[4], n_rows) for row in found]
    table = pd.DataFrame(rows, columns=list(VIOLATION_COLUMNS))
    kinds = dict.fromkeys(VIOLATION_COLUMNS[:4], "str")
    return table.astype(kinds | {"share": "float64", "n": "int64", "n_rows": "int64"})


# What a value is --------------------------------------------------------------------------------

_NUMBERS = ("number", "whole number")


def _each(values: Iterable[Any], is_one: Callable[[Any], bool], n: int) -> np.ndarray:
    return np.fromiter((is_one(value) for value in values), dtype=bool, count=n)


def _by_type(
    of_type: Callable[[pd.Series], np.ndarray | bool | None], is_one: Callable[[Any], bool]
) -> Callable[[pd.Series], np.ndarray]:
    """Return a function from a column to which of its values are of a kind.

    ``of_type`` answers for all at once where the type of the column tells, and with ``None``
    where each has to be looked at with ``is_one``. What it says of missing values does not count.
    """

    def is_of(column: pd.Series) -> np.ndarray:
        if isinstance(column.dtype, pd.CategoricalDtype):
            fits = np.append(is_of(column.cat.categories.to_series()), True)
            return fits[column.cat.codes]
        told = of_type(column)
        if told is None:
            return _each(column, is_one, len(column))
        return np.broadcast_to(told, len(column))

    return is_of


def _number_type(column: pd.Series) -> bool | None:
    return True if column.dtype.kind in "iuf" else None


def _whole_number_type(column: pd.Series) -> np.ndarray | bool | None:
    if column.dtype.kind in "iu":
        return True
    if column.dtype.kind != "f":
        return None
    numbers = column.to_numpy(dtype="float64", na_value=np.nan)
    return ~np.isfinite(numbers) | (numbers == np.round(numbers))


def _text_type(column: pd.Series) -> bool | None:
    return True if isinstance(column.dtype, pd.StringDtype) else None


def _moment_type(column: pd.Series) -> bool | None:
    return True if isinstance(column.dtype, pd.DatetimeTZDtype) else None


def _truth_type(column: pd.Series) -> bool | None:
    return True if column.dtype.kind == "b" else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (Real, Decimal)) and not isinstance(value, (bool, np.bool_))


def _is_whole(value: Any) -> bool:
    if isinstance(value, Integral):
        return not isinstance(value, bool)
    return _is_number(value) and (not np.isfinite(float(value)) or value == round(value))


def _is_moment(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


_IS_OF: Mapping[str, Callable[[pd.Series], np.ndarray]] = {
    "number": _by_type(_number_type, _is_number),
    "whole number": _by_type(_whole_number_type, _is_whole),
    "text": _by_type(_text_type, lambda value: isinstance(value, str)),
    "moment": _by_type(_moment_type, _is_moment),
    "truth value": _by_type(_truth_type, lambda value: isinstance(value, (bool, np.bool_))),
}
"""Which values of a column are of each kind."""


def _floats(numbers: pd.Series) -> np.ndarray:
    """Return numbers, of whatever type, as floats; one beyond all floats as infinite."""
    if numbers.dtype.kind in "iuf":
        return numbers.to_numpy(dtype="float64")
    return np.fromiter((_float(value) for value in numbers), dtype="float64", count=len(numbers))


def _float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


# How it is told ---------------------------------------------------------------------------------


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) < 1e15 and value == round(value) else f"{value:.6g}"


def _short(value: Any) -> str:
    value = _plain(value)
    return _number(value) if isinstance(value, float) else reprlib.repr(value)


def _told(value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        return f"{value} without a time zone"
    return f"{_short(value)} ({type(value).__name__})"


def _between(what: str, low: float, high: float) -> str:
    left = "" if low == -np.inf else f"{_number(low)} <= "
    right = "" if high == np.inf else f" <= {_number(high)}"
    return f"{left}{what}{right}"


# What is suggested ------------------------------------------------------------------------------


def _suggested_field(column: pd.Series, *, unit: str, is_id: bool) -> Field:
    there = column.dropna()
    kind = _kind_of(there)
    present = len(there) / len(column)
    rules: dict[str, Any] = {
        "name": str(column.name),
        "kind": kind,
        "unit": unit,
        "completeness": 1.0 if present == 1 else max(0.0, np.floor(100 * present - 5) / 100),
    }
    if kind in _NUMBERS and not is_id:
        numbers = _floats(there)
        numbers = numbers[np.isfinite(numbers)]
        low, high = float(numbers.min()), float(numbers.max())
        rules |= {
            "minimum": 0 if low >= 0 else -_rounded_up(-2 * low),
            "maximum": 1 if 0 <= low and 0.5 < high <= 1 else _rounded_up(2 * max(high, 0.0)),
            "typical": tuple(np.quantile(numbers, _MIDDLE)),
        }
    if kind == "moment" or is_id:
        return Field(**rules)
    shares = there.value_counts(normalize=True)
    if kind == "text" and len(shares) <= min(_MOST_VALUES, max(2, _MOST_OF_A_DOMAIN * len(there))):
        rules["values"] = tuple(sorted(shares.index))
    if shares.iloc[0] < 1:
        rules["commonest"] = round((1 + shares.iloc[0]) / 2, 2)
    return Field(**rules)


def _kind_of(there: pd.Series) -> Kind:
    if there.empty:
        raise ValueError(f"frame: {there.name!r} has no value, so no kind; leave the column out")
    kinds = ("truth value", "whole number", "number", "text", "moment")
    if there.dtype.kind == "f":
        kinds = ("number",)
    for kind in kinds:
        if _IS_OF[kind](there).all():
            return kind
    raise ValueError(
        f"frame: {there.name!r} ({there.dtype}) holds values of no kind, or of several; "
        f"the kinds are {', '.join(_IS_OF)}"
    )


def _rounded_up(value: float) -> float:
    """Return a number rounded up to one digit: 56,440 to 60,000.

    >>> _rounded_up(56440.0), _rounded_up(0.012), _rounded_up(0.0)
    (60000.0, 0.02, 0.0)
    """
    up = Context(prec=1, rounding=ROUND_UP).create_decimal(Decimal(value))
    return min(float(up), sys.float_info.max)
