"""What one value may be: a check for each type that an MLflow signature can name.

A check takes a value as JSON or pandas gives it and returns it as the model and the store get it,
or raises ``Broken``. It never guesses: a number written as a text, a flag written as a number and
an integer that loses its fraction are type errors, which a monitor of data quality must see and a
silent cast would hide. What is no loss is taken: ``3`` where a double is wanted, ``3.0`` where an
integer is.
"""

from __future__ import annotations

import base64
import binascii
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from mlflow.types import DataType
from mlflow.types.schema import AnyType, Array, Map, Object

from utils.records import Kind

Check = Callable[[Any], Any]

DEEPEST = 64
"""Lists and objects inside one another, at most so many."""

_FLOAT_MAX = float(np.finfo("float32").max)
_EARLIEST, _LATEST = datetime(1677, 9, 22), datetime(2262, 4, 11)


class Broken(Exception):
    """A value breaks a rule; the message goes after the name of the column: "must be …"."""


def shown(value: Any) -> str:
    """Return a value for a message, shortened: a message never carries a whole body.

    >>> shown("x" * 1000)
    "'xxxxxxxxxxxx...xxxxxxxxxxxxx'"
    """
    return reprlib.repr(value)


def _told(value: Any) -> str:
    """Return what a value is in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {shown(value)}"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, (list, tuple, np.ndarray)):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    return f"a {type(value).__name__}"


def _number(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, (float, int)):
        raise Broken(f"must be a number, not {_told(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Broken(f"must be a finite number, not {value} (a missing number is null)")
    return value


def _double(value: Any) -> float | None:
    if type(value) is float and math.isfinite(value):
        return value
    if value is None:
        return None
    try:
        return float(_number(value))
    except OverflowError:
        raise Broken("must be within the range of a double") from None


def _float(value: Any) -> float | None:
    value = _double(value)
    if value is None:
        return None
    if abs(value) > _FLOAT_MAX:
        raise Broken(f"must be within the range of a 32-bit float, not {value}")
    return float(np.float32(value))


def _whole(bits: int) -> Check:
    lowest, highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def check(value: Any) -> int:
        value = _number(value)
        if isinstance(value, float) and not value.is_integer():
            raise Broken(f"must be a whole number, not {value}")
        if not lowest <= value <= highest:
            raise Broken(f"must be a whole number of {bits} bits, not {shown(value)}")
        return int(value)

    return check


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Broken(f"must be true or false, not {_told(value)}")
    return value


def _string(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Broken(f"must be a text, not {_told(value)}")
    if not is_storable(value):
        raise Broken("must be a Unicode text without NUL characters or lone surrogates")
    return value


def is_storable(text: str) -> bool:
    r"""Tell whether every database can keep a text.

    >>> is_storable("São Paulo"), is_storable("a\0b"), is_storable("\ud800")
    (True, False, False)
    """
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _datetime(value: Any) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = _iso_time(value)
    if not isinstance(value, datetime):
        raise Broken(f"must be a time written as in ISO 8601, not {_told(value)}")
    if value.tzinfo is not None:
        raise Broken("must be a time without an offset, as in the model's training data")
    if not _EARLIEST <= value < _LATEST:
        raise Broken(f"must be a time from {_EARLIEST.date()} to {_LATEST.date()}, not {value}")
    return value


def _iso_time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Broken(f"must be a time written as in ISO 8601, not {_told(text)}") from None


def _binary(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise Broken(f"must be bytes in base64, not {_told(value)}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise Broken(f"must be bytes in base64, not {_told(value)}") from None


def _anything(value: Any) -> Any:
    """Take what JSON can hold: finite numbers, storable texts, lists and objects of them."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return _map_of(_anything)(value)
    return _list_of(_anything)(value)


def _list_of(item: Check) -> Check:
    def check(value: Any) -> list[Any]:
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if not isinstance(value, (list, tuple)):
            raise Broken(f"must be a list, not {_told(value)}")
        return [_inside(item, each, f"[{at}]") for at, each in enumerate(value)]

    return check


def _map_of(item: Check) -> Check:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Broken(f"must be an object, not {_told(value)}")
        return {
            _inside(_key, key, "key"): _inside(item, each, f"[{shown(key)}]")
            for key, each in value.items()
        }

    return check


def _key(value: Any) -> str:
    if not isinstance(value, str):
        raise Broken(f"must be a text, not {_told(value)}")
    return _string(value)


def _object_of(properties: Mapping[str, tuple[Check, bool]]) -> Check:
    """Check an object whose properties are declared: name to (check, required)."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise Broken(f"must be an object, not {_told(value)}")
        for name, (_, required) in properties.items():
            if required and name not in value:
                raise Broken(f"must have the property {name!r}")
        for name in value:
            if name not in properties:
                raise Broken(f"must not have the property {shown(name)}")
        return {
            name: _inside(properties[name][0], each, f"[{name!r}]") for name, each in value.items()
        }

    return check


def _inside(check: Check, value: Any, where: str) -> Any:
    try:
        return check(value)
    except Broken as broken:
        raise Broken(f"{where} {broken}") from None


def _or_null(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


SCALARS: Mapping[Kind, Check] = {
    "double": _double,
    "float": _float,
    "long": _whole(64),
    "integer": _whole(32),
    "boolean": _boolean,
    "string": _string,
    "datetime": _datetime,
    "binary": _binary,
    "json": _anything,
}
"""The check of each kind; ``json`` is whatever JSON holds.

Null is a missing value where NumPy has a form for one: numbers with a fraction, texts, times. It
is refused as an integer, a boolean and bytes, whether the column is optional or not.
"""


def kind_of(kind: Any) -> Kind:
    """Return the kind of column that a type of a signature is kept in.

    >>> kind_of(DataType.long), kind_of(Array(DataType.double))
    ('long', 'json')
    """
    return kind.name if isinstance(kind, DataType) else "json"


def check_of(kind: Any, *, required: bool = True) -> Check:
    """Return the check of a type of a signature: scalar, array, object, map or any.

    >>> check_of(Array(DataType.long))([1, 2.0])
    [1, 2]
    >>> check_of(Array(DataType.long))([1, "2"])
    Traceback (most recent call last):
    utils.serving.rules.Broken: [1] must be a number, not the text '2'
    """
    if isinstance(kind, DataType):
        return SCALARS[kind.name]
    if isinstance(kind, AnyType):
        return _anything
    if isinstance(kind, Array):
        check = _list_of(check_of(kind.dtype))
    elif isinstance(kind, Map):
        check = _map_of(check_of(kind.value_type))
    elif isinstance(kind, Object):
        check = _object_of(
            {
                each.name: (check_of(each.dtype, required=each.required), each.required)
                for each in kind.properties
            }
        )
    else:
        raise ValueError(f"kind={kind!r}: is no type of an MLflow signature")
    return check if required else _or_null(check)


def tensor_kind(dtype: np.dtype) -> Kind:
    """Return the kind of a tensor's items.

    >>> tensor_kind(np.dtype("uint8")), tensor_kind(np.dtype("float32"))
    ('long', 'float')
    """
    if dtype.kind in "iu":
        return "integer" if dtype == np.int32 else "long"
    if dtype.kind == "f":
        return "double" if dtype.itemsize == 8 else "float"
    if dtype.kind in "bM":
        return "boolean" if dtype.kind == "b" else "datetime"
    return "string" if dtype.kind in "UO" else "binary"


def item_of_tensor(dtype: np.dtype, shape: Iterable[int]) -> Check:
    """Return the check of one row of a tensor: nested lists of a shape (-1 is any length).

    >>> item_of_tensor(np.dtype("float64"), (2, -1))([[1, 2], [3, 4]])
    [[1.0, 2.0], [3.0, 4.0]]
    """
    check = SCALARS[tensor_kind(dtype)]
    if dtype.kind in "iu":
        check = _within(check, np.iinfo(dtype))
    for length in reversed(tuple(shape)):
        check = _list_of_length(check, length)
    return check


def _within(check: Check, limits: np.iinfo) -> Check:
    def within(value: Any) -> int:
        value = check(value)
        if not limits.min <= value <= limits.max:
            raise Broken(f"must be from {limits.min} to {limits.max}, not {value}")
        return value

    return within


def _list_of_length(item: Check, length: int) -> Check:
    items = _list_of(item)

    def check(value: Any) -> list[Any]:
        value = items(value)
        if length not in (-1, len(value)):
            raise Broken(f"must be a list of {length}, not of {len(value)}")
        return value

    return check
