"""The form of a JSON document: which keys it has, of which types; others may stand beside them.

A form is written as the document is: an object is a ``dict`` of forms (a key that ends in ``?`` may
be missing, and ``"*"`` stands for any key), a list is a list of one form, and a value is ``str``,
``bool``, a ``Value``, or a tuple of the texts that it may be.

A number that is none is the text ``"NaN"``, as the documented files have it.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from utils.exporters import _files
from utils.exporters._files import UnreadableFile
from utils.text import nearest


class Value(Enum):
    """What a number may be; a number that is not finite is a text."""

    ANYTHING = "anything"
    NUMBER = "a number"
    NUMBER_OR_NULL = "a number or null"
    FINITE = "a finite number"
    COUNT = "a whole number"


_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_CALLED = {str: "a text", bool: "true or false", dict: "an object", list: "a list"}


def check(value: Any, form: Any, *, place: str, name: str = "") -> None:
    """Raise ``UnreadableFile``, naming the place and the key, where a value is not of a form.

    >>> check({"version": 0, "features": [{"name": 7}]},
    ...       {"version": Value.NUMBER, "features": [{"name": str}]}, place="a.json")
    Traceback (most recent call last):
    utils.exporters._files.UnreadableFile: a.json: features[0].name is 7, and must be a text
    """
    if isinstance(form, tuple):
        if value not in form:
            _refuse(value, f"one of {', '.join(form)}", place, name)
    elif isinstance(form, dict):
        _check_object(value, form, place=place, name=name)
    elif isinstance(form, list):
        if not isinstance(value, list):
            _refuse(value, _CALLED[list], place, name)
        for at, item in enumerate(value):
            check(item, form[0], place=place, name=f"{name}[{at}]")
    elif isinstance(form, Value):
        if not _is_such(value, form):
            _refuse(value, form.value, place, name)
    elif not isinstance(value, form):
        _refuse(value, _CALLED[form], place, name)


def _check_object(value: Any, form: Mapping[str, Any], *, place: str, name: str) -> None:
    if not isinstance(value, dict):
        _refuse(value, _CALLED[dict], place, name)
    for key, part in form.items():
        own = key.removesuffix("?")
        under = f"{name}.{own}" if name else own
        if key == "*":
            for each, item in value.items():
                check(item, part, place=place, name=f"{name}.{each}" if name else each)
        elif own in value:
            check(value[own], part, place=place, name=under)
        elif own == key:
            raise UnreadableFile(f"{place}: {under} is missing{_instead(own, form, value)}")


def _instead(key: str, form: Mapping[str, Any], value: Mapping[str, Any]) -> str:
    known = {each.removesuffix("?") for each in form}
    close = nearest(key, [each for each in value if each not in known])
    return f"; {close}" if close.startswith("did") else ""


def _is_such(value: Any, form: Value) -> bool:
    if form is Value.ANYTHING or (form is Value.NUMBER_OR_NULL and value is None):
        return True
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        is_text = isinstance(value, str) and value in _NOT_FINITE
        return is_text and form in (Value.NUMBER, Value.NUMBER_OR_NULL)
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return False
    if form is Value.COUNT:
        return value >= 0 and value == value // 1
    return form is not Value.FINITE or math.isfinite(value)


def _refuse(value: Any, rule: str, place: str, name: str) -> None:
    shown = json.dumps(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    raise UnreadableFile(f"{place}: {name or 'it'} is {shown}, and must be {rule}")


def number(value: Any) -> float:
    """Return a number of a document, which may be the text of one that is not finite.

    >>> number(3), number("NaN"), number("-Infinity")
    (3.0, nan, -inf)
    """
    return _NOT_FINITE[value] if isinstance(value, str) else float(value)


def written(value: float) -> float | str:
    """Return a number as a document has it.

    >>> written(0.5), written(float("nan"))
    (0.5, 'NaN')
    """
    value = float(value)
    if math.isfinite(value):
        return value
    return next(text for text, number in _NOT_FINITE.items() if str(number) == str(value))


def keep_unknown(new: Any, old: Any, form: Any) -> Any:
    """Return a new document with what an old one has under keys that the form does not know.

    Objects in lists are the same where their ``name`` is.

    >>> form = {"version": Value.NUMBER, "features": [{"name": str, "mean?": Value.NUMBER}]}
    >>> keep_unknown({"version": 1, "features": [{"name": "x"}]},
    ...     {"version": 0, "by": "Ana", "features": [{"name": "x", "mean": 3, "unit": "km"}]}, form)
    {'version': 1, 'features': [{'name': 'x', 'unit': 'km'}], 'by': 'Ana'}
    """
    if isinstance(form, dict) and isinstance(new, dict) and isinstance(old, dict):
        known = {key.removesuffix("?"): part for key, part in form.items()}
        any_key = known.pop("*", None)
        merged = {
            key: keep_unknown(value, old[key], known.get(key, any_key)) if key in old else value
            for key, value in new.items()
        }
        if any_key is not None:
            return merged
        return merged | {key: value for key, value in old.items() if key not in known}
    if isinstance(form, list) and isinstance(new, list) and isinstance(old, list):
        named = {each["name"]: each for each in old if isinstance(each, dict) and "name" in each}
        return [
            keep_unknown(each, named[each["name"]], form[0])
            if isinstance(each, dict) and each.get("name") in named
            else each
            for each in new
        ]
    return new


def write(
    document: Mapping[str, Any],
    path: Path | str,
    form: Any,
    *,
    keeping: Mapping[str, Any] | None = None,
) -> Path:
    """Write a document that has a form, whole or not at all, and return its path."""
    if keeping is not None:
        document = keep_unknown(document, keeping, form)
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _files.write_whole(Path(path), f"{text}\n")


def read(path: Path | str, form: Any) -> dict[str, Any]:
    """Return the document in a file, unknown keys and all.

    Raises ``FileNotFoundError``, and ``UnreadableFile`` for what is no JSON or not of the form.
    """
    try:
        document = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path}: byte {error.start} is not of a text in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{path}: is no JSON ({error})") from error
    check(document, form, place=str(path))
    return document
