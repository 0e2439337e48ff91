"""A value on its way into the store and back: one encoder for each kind, one column type each.

A missing value (``None``, ``NaN``, ``NaT``, ``pd.NA``) is ``NULL``, and ``NULL`` is read back as
missing. Times are whole microseconds since 1970 in UTC: one number on every database, and what is
finer than a microsecond is cut. An integer that stands in a float column because its neighbours
are missing (``3.0``) is an integer again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from numbers import Integral, Real
from reprlib import repr as shortened
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from utils.records import Kind

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LONGEST_ID = 64


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for no value.

    >>> [is_missing(value) for value in (None, float("nan"), pd.NaT, pd.NA, 0, "", [])]
    [True, True, True, True, False, False, False]
    """
    if value is None or value is pd.NA:
        return True
    return isinstance(value, (float, np.floating, datetime)) and value != value


def _refusal(value: Any, rule: str) -> ValueError:
    return ValueError(f"{shortened(value)} {rule}")


def _double(value: Any) -> float:
    if not isinstance(value, Real):
        raise _refusal(value, "is not a number")
    return float(value)


def _integer(value: Any) -> int:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if not isinstance(value, Integral):
        raise _refusal(value, "is not an integer")
    if not -(2**63) <= value < 2**63:
        raise _refusal(value, "is outside the 64-bit integers")
    return int(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise _refusal(value, "is not a boolean")
    return bool(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _refusal(value, "is not a string")
    if "\0" in value:
        raise _refusal(value, "holds a NUL character, which no store can keep")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise _refusal(value, "holds half a surrogate pair, which is not Unicode text")
    return value


def _datetime(value: Any) -> int:
    if not isinstance(value, datetime):
        raise _refusal(value, "is not a datetime")
    if value.tzinfo is None:
        raise _refusal(value, "has no time zone; give an aware datetime, such as one in UTC")
    return (value - EPOCH) // MICROSECOND


def _moment(value: Any) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return _integer(value)
    return _datetime(value)


def _identifier(value: Any) -> str:
    if not 1 <= len(_string(value)) <= LONGEST_ID:
        raise _refusal(value, f"is not an id of 1 to {LONGEST_ID} characters")
    return value


def _binary(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise _refusal(value, "is not bytes")
    return bytes(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return _without_nan(value.tolist())
    return None if isinstance(value, float) and math.isnan(value) else value


def to_json(value: Any) -> str:
    """Return a value as JSON text; a ``NaN`` inside is ``null``, as it is in a column.

    Raises ``ValueError`` for an infinity and for what JSON has no form for.

    >>> to_json({"mae": float("nan"), "by": [1, 2]})
    '{"mae": null, "by": [1, 2]}'
    """
    try:
        return json.dumps(_without_nan(value), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _refusal(value, f"is not JSON ({error})") from error


ENCODERS: dict[str, Callable[[Any], Any]] = {
    "double": _double,
    "float": _double,
    "long": _integer,
    "integer": _integer,
    "boolean": _boolean,
    "string": _string,
    "datetime": _datetime,
    "binary": _binary,
    "json": to_json,
    "moment": _moment,
    "id": _identifier,
}
"""By ``Kind``; and ``"moment"`` (a datetime or microseconds) and ``"id"``."""

REQUIRED = frozenset({"moment", "id"})
"""Kinds of which none may be missing."""


def encode_one(name: str, kind: str, value: Any) -> Any:
    """Return one value as the database takes it, or say what is wrong with ``name``.

    >>> encode_one("start", "datetime", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    >>> encode_one("age", "long", 41.5)
    Traceback (most recent call last):
    ValueError: age: 41.5 is not an integer
    """
    try:
        if is_missing(value):
            if kind in REQUIRED:
                raise ValueError("is missing")
            return None
        return ENCODERS[kind](value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error


def encode_required(name: str, kind: str, value: Any) -> Any:
    """Return one value as ``encode_one`` does; it must not be missing.

    >>> encode_required("client", "string", None)
    Traceback (most recent call last):
    ValueError: client: is missing
    """
    encoded = encode_one(name, kind, value)
    if encoded is None:
        raise ValueError(f"{name}: is missing")
    return encoded


_OWN_TYPE: dict[str, type] = {
    "double": float,
    "float": float,
    "long": int,
    "integer": int,
    "boolean": bool,
    "string": str,
    "moment": int,
    "id": str,
}
"""The Python type that a kind stores as it is, within the bounds that ``_is_in_bounds`` knows."""


def _is_in_bounds(kind: str, values: Sequence[Any]) -> bool:
    """Tell of values of the kind's own type, at least one, whether each is stored as it is."""
    if kind in ("double", "float"):
        return not math.isnan(sum(values))
    if kind in ("long", "integer", "moment"):
        return -(2**63) <= min(values) and max(values) < 2**63
    if kind == "boolean":
        return True
    try:
        if b"\0" in "".join(values).encode():
            return False
    except UnicodeEncodeError:
        return False
    return kind != "id" or (min(map(len, values)) >= 1 and max(map(len, values)) <= LONGEST_ID)


def _unchanged(kind: str, values: Sequence[Any]) -> bool:
    """Tell at a glance whether values, with ``None`` for a missing one, need no encoding.

    It says no where only a look at each value could tell.
    """
    types = set(map(type, values))
    if type(None) in types:
        if kind in REQUIRED:
            return False
        types.remove(type(None))
        values = [value for value in values if value is not None]
    return not types or (types == {_OWN_TYPE.get(kind)} and _is_in_bounds(kind, values))


def encode(name: str, kind: str, values: Sequence[Any], rows: Iterable[int] = ()) -> list[Any]:
    """Return values as the database takes them; the error names the column and the row.

    ``rows`` are the numbers by which the error counts, where they do not run from 0.

    >>> encode("age", "long", [41.0, None])
    [41, None]
    """
    if _unchanged(kind, values):
        return list(values)
    encoder = ENCODERS[kind]
    try:
        encoded = [None if is_missing(value) else encoder(value) for value in values]
    except (ValueError, OverflowError):
        encoded = None
    if encoded is None or (kind in REQUIRED and None in encoded):
        for row, value in zip(rows or range(len(values)), values, strict=True):
            encode_one(f"{name}: row {row}", kind, value)
    return encoded


def _is_plain_text(kind: str, texts: pa.Array) -> bool:
    """Tell whether all texts can be stored, as far as ``kind`` asks; ``None`` is for others."""
    if pc.any(pc.match_substring(texts, "\0")).as_py():
        return False
    lengths = pc.min_max(pc.utf8_length(texts)).as_py()
    return kind != "id" or 1 <= (lengths["min"] or 0) <= lengths["max"] <= LONGEST_ID


def _fast(kind: str, values: pd.Series) -> list[Any] | None:
    """Return a column of the kind's own dtype without a look at each value, else ``None``."""
    dtype = values.dtype
    if kind in ("double", "float") and dtype in ("float64", "float32"):
        plain = values.to_numpy(dtype="float64")
    elif kind in ("long", "integer") and dtype in ("int64", "int32", "int16", "int8"):
        return values.to_list()
    elif kind == "boolean" and dtype == "bool":
        return values.to_list()
    elif kind in ("datetime", "moment") and isinstance(dtype, pd.DatetimeTZDtype):
        plain = values.dt.as_unit("us").astype("int64").to_numpy()
    elif kind in ("string", "id") and dtype == "str":
        if not _is_plain_text(kind, pa.array(values, type=pa.string())):
            return None
        plain = values.to_numpy(dtype="object")
    else:
        return None
    missing = values.isna().to_numpy()
    if not missing.any():
        return plain.tolist()
    if kind in REQUIRED:
        return None
    plain = plain.astype("object")
    plain[missing] = None
    return plain.tolist()


def encode_column(name: str, kind: str, values: pd.Series) -> list[Any]:
    """Return a column of a frame as the database takes it: what ``encode`` returns, faster.

    The error names the row by the column's index.

    >>> encode_column("distance", "double", pd.Series([200.0, float("nan")]))
    [200.0, None]
    """
    fast = _fast(kind, values)
    if fast is not None:
        return fast
    return encode(name, kind, values.to_list(), rows=values.index.to_list())


def as_datetime(microseconds: int) -> datetime:
    """Return a stored time as an aware datetime.

    >>> as_datetime(1_000_000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return EPOCH + microseconds * MICROSECOND


_ARROW: dict[str, pa.DataType] = {
    "double": pa.float64(),
    "float": pa.float64(),
    "long": pa.int64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
    "json": pa.string(),
}
_PANDAS = {
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(na_value=np.nan),
}


def _decoded(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else None


def to_frame(kinds: Mapping[str, Kind], batches: Iterable[Sequence]) -> pd.DataFrame:
    """Return rows, which come in batches, as a frame whose dtypes hang on the kinds alone.

    ``double`` and ``float`` are ``float64``; ``long`` and ``integer`` are ``Int64``; ``boolean``
    is ``boolean``; ``string`` is ``str``; ``datetime`` is ``datetime64[us, UTC]``; ``binary``
    (``bytes``) and ``json`` (what JSON holds) are ``object``. No row, or no value, changes nothing
    of it, so frames of two windows can be put together.

    >>> frame = to_frame({"age": "long", "name": "string"}, [[(41, "Ana"), (None, None)]])
    >>> [str(dtype) for dtype in frame.dtypes], frame["age"].isna().tolist()
    (['Int64', 'str'], [False, True])
    """
    schema = pa.schema([pa.field(name, _ARROW[kind]) for name, kind in kinds.items()])
    types = list(schema.types)

    def record_batch(rows: Sequence) -> pa.RecordBatch:
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, type) for column, type in zip(columns, types, strict=True)]
        return pa.record_batch(arrays, schema=schema)

    table = pa.Table.from_batches(map(record_batch, batches), schema=schema)
    frame = table.to_pandas(types_mapper=_PANDAS.get)
    for name, kind in kinds.items():
        if kind == "json":
            frame[name] = frame[name].map(_decoded).astype("object")
    return frame
