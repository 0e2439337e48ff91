"""One row as the text of a request or an answer, in CSV or JSON, and back: nothing is lost.

In CSV a missing value is an empty field, and an empty text is a quoted one (``""``): Python's own
``csv`` reads both alike.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from utils.records import Kind

_FIELD = re.compile(r'"([^"]*(?:""[^"]*)*)"|((?!")[^,\r\n]*)')
_TO_BE_QUOTED = re.compile(r'[",\r\n]|^$|^\s|\s$')
_INFINITIES = {"inf", "-inf"}


# CSV


def csv_row(fields: Sequence[str | None]) -> str:
    """Return one record of CSV, without a line end; ``None`` is an empty field.

    >>> csv_row(["a,b", None, "", 'say "hi"'])
    '"a,b",,"","say ""hi\"""'
    """
    return ",".join("" if text is None else _quoted(text) for text in fields)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _TO_BE_QUOTED.search(text) else text


def csv_fields(text: str) -> list[str | None]:
    """Return the fields of one record of CSV; what ``csv_row`` wrote comes back.

    Raises ``ValueError`` for a quote that is not closed, and for a second record.

    >>> csv_fields('"a,b",,"",c')
    ['a,b', None, '', 'c']
    """
    text = text.removesuffix("\n").removesuffix("\r")
    fields, at = [], 0
    while True:
        found = _FIELD.match(text, at)
        if not found:
            raise ValueError(f"the quote at character {at} is not closed")
        quoted, bare = found.groups()
        fields.append((bare or None) if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if at == len(text):
            return fields
        if text[at] in "\r\n":
            raise ValueError("it holds several records; an event is one prediction")
        if text[at] != ",":
            raise ValueError(f"character {at} follows a closed quote, and is no comma")
        at += 1


# Values as texts


def text_of(value: Any) -> str | None:
    """Return a value as the text of a CSV field; a missing one is ``None``.

    >>> [text_of(value) for value in (0.1, 3, True, "UA", None, float("nan"), b"ab", [1, "x"])]
    ['0.1', '3', 'true', 'UA', None, None, 'YWI=', '[1, "x"]']
    """
    plain = json_of(value)
    if plain is None or isinstance(plain, str):
        return plain
    return json.dumps(plain) if isinstance(plain, (bool, list, dict)) else repr(plain)


def json_of(value: Any) -> Any:
    """Return a value as JSON has it; what JSON has no form for is a text.

    >>> json_of(pd.Timestamp("2022-04-18T00:21:48.25Z")), json_of(float("-inf"))
    ('2022-04-18T00:21:48.250000Z', '-inf')
    """
    if isinstance(value, float):
        value = float(value)
        return None if math.isnan(value) else str(value) if math.isinf(value) else value
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    if hasattr(value, "tolist"):
        return json_of(value.tolist())
    if isinstance(value, (list, dict)):
        return json.loads(json.dumps(value))
    raise ValueError(f"{value!r} ({type(value).__name__}) has no form in JSON or CSV")


# Values from texts, as the store's columns take them


def _double(text: str) -> float | None:
    if "_" in text:
        raise ValueError("only Python writes 1_000")
    number = float(text)
    return None if math.isnan(number) else number


def _long(text: str) -> int:
    number = int(text) if re.fullmatch(r"[+-]?\d+", text) else _double(text)
    if number != int(number) or not -(2**63) <= number < 2**63:
        raise ValueError("it is no integer of 64 bits")
    return int(number)


def _boolean(text: str) -> bool:
    return {"true": True, "false": False, "1": True, "0": False}[text.lower()]


def _microseconds(text: str) -> int:
    stamp = pd.Timestamp(text)
    if stamp.tz is None:
        raise ValueError("it has no time zone")
    return stamp.as_unit("us").value // 1000


def _binary(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _json(text: str) -> str:
    json.loads(text)
    return text


_FROM_TEXT = {
    "double": _double,
    "float": _double,
    "long": _long,
    "integer": _long,
    "boolean": _boolean,
    "string": str,
    "datetime": _microseconds,
    "binary": _binary,
    "json": _json,
}
KINDS = frozenset(_FROM_TEXT)
_FAILURES = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


def from_text(text: str | None, kind: Kind) -> Any:
    """Return the value in the text of a CSV field, as ``values.to_frame`` of the store takes it.

    Raises ``ValueError`` for a text that is none of its kind.

    >>> from_text("3.0", "long"), from_text("", "string"), from_text(None, "double")
    (3, '', None)
    >>> from_text("three", "long")
    Traceback (most recent call last):
    ValueError: 'three' is no long
    """
    if text is None:
        return None
    try:
        return _FROM_TEXT[kind](text)
    except _FAILURES as error:
        raise ValueError(f"{text[:60]!r} is no {kind}") from error


_AS_TEXT = frozenset({"string", "datetime", "binary"})
_TYPES = {"boolean": (bool,), "long": (int, float), "integer": (int, float)}


def from_json(value: Any, kind: Kind) -> Any:
    """Return a value of JSON as ``from_text`` would; text stands only for what is text in JSON.

    Raises ``ValueError`` for a value of another type.

    >>> from_json(3.0, "long"), from_json("inf", "double"), from_json([1], "json")
    (3, inf, '[1]')
    >>> from_json("3", "long")
    Traceback (most recent call last):
    ValueError: "3" is no long
    """
    if value is None:
        return None
    if kind == "json":
        return json.dumps(value)
    if kind in _AS_TEXT and isinstance(value, str):
        return from_text(value, kind)
    if kind in ("double", "float") and isinstance(value, str) and value in _INFINITIES:
        return float(value)
    fits = isinstance(value, _TYPES.get(kind, (int, float))) and kind not in _AS_TEXT
    if fits and (kind == "boolean" or not isinstance(value, bool)):
        try:
            return _FROM_TEXT[kind](str(value))
        except _FAILURES:
            pass
    raise ValueError(f"{json.dumps(value)[:60]} is no {kind}")


# Payloads

CONTENT_TYPES: Mapping[str, str] = {"CSV": "text/csv", "JSON": "application/json"}


def payload(row: Mapping[str, Any], encoding: str) -> str:
    """Return a row as the data of an event: CSV without names, JSON with them, CSV in base64.

    >>> row = {"distance_miles": 200.0, "carrier": None}
    >>> payload(row, "CSV"), payload(row, "JSON"), payload(row, "BASE64")
    ('200.0,', '{"distance_miles": 200.0, "carrier": null}', 'MjAwLjAs')
    """
    if encoding == "JSON":
        return json.dumps({name: json_of(value) for name, value in row.items()})
    text = csv_row([text_of(value) for value in row.values()])
    return text if encoding == "CSV" else base64.b64encode(text.encode("utf-8")).decode("ascii")


def values_of(
    data: str, encoding: str, content_type: str, *, kinds: Mapping[str, Kind]
) -> list[Any]:
    """Return the values of the columns, in order, from the data of an event.

    ``BASE64`` holds what its content type says. Raises ``ValueError`` naming what is wrong.

    >>> values_of("200.0,UA", "CSV", "text/csv", kinds={"miles": "double", "carrier": "string"})
    [200.0, 'UA']
    """
    if encoding == "BASE64":
        told = content_type.partition(";")[0].strip().lower()
        encoding = next((code for code, type_ in CONTENT_TYPES.items() if type_ == told), "")
        if not encoding:
            raise ValueError(f"{content_type!r} in base64 has no columns; text/csv and JSON have")
        try:
            data = _binary(data).decode("utf-8")
        except ValueError as error:
            raise ValueError(f"its data is no text in base64 ({error})") from error
    if encoding == "CSV":
        return _from_csv(data, kinds)
    if encoding == "JSON":
        return _from_json(data, kinds)
    raise ValueError(f"its encoding is {encoding!r}, and must be CSV, JSON or BASE64")


def _from_csv(data: str, kinds: Mapping[str, Kind]) -> list[Any]:
    fields = csv_fields(data)
    if len(fields) != len(kinds):
        raise ValueError(
            f"it has {len(fields)} fields, and must have {len(kinds)}: {', '.join(kinds)}"
        )
    return [_named(from_text, text, name, kinds) for text, name in zip(fields, kinds, strict=True)]


def _from_json(data: str, kinds: Mapping[str, Kind]) -> list[Any]:
    try:
        row = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its data must be JSON ({error})") from error
    if not isinstance(row, dict):
        raise ValueError("its data must be one object, of column names and values")
    unknown = [name for name in row if name not in kinds]
    if unknown:
        raise ValueError(f"column {unknown[0]!r} is none of {', '.join(kinds)}")
    return [_named(from_json, row.get(name), name, kinds) for name in kinds]


def _named(decode: Any, value: Any, name: str, kinds: Mapping[str, Kind]) -> Any:
    try:
        return decode(value, kinds[name])
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from error
