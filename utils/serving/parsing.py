"""The bodies of the scoring protocol, read into columns: MLflow's four forms of JSON, and CSV.

Reading says what is there, not whether the model takes it; that is the contract's. What JSON
leaves open is closed here: a key stands once in an object, and lists and objects are not inside
one another without end. ``NaN`` and ``Infinity`` are no JSON, but are read, so that the contract
can refuse them by the name of their column.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from utils.serving.contract import Contract, Rows, bad_request
from utils.serving.rules import DEEPEST, shown

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""A body has exactly one of these, and may have ``params`` beside it."""

MISSING_IN_CSV = frozenset({"", "NA", "NaN", "nan", "null", "NULL", "None", "N/A", "n/a"})
"""Texts that stand for a missing value in a CSV."""


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the object in a body.

    Raises ``Refused`` for what is not UTF-8, not JSON, not an object, nested more than
    ``DEEPEST`` deep, or names a key twice.

    >>> parse_json(b'{"inputs": [1.5]}')
    {'inputs': [1.5]}
    """
    try:
        parsed = _loaded(_text(body))
    except ValueError as error:
        raise bad_request(f"the body is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise bad_request("the body must be a JSON object")
    return parsed


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_request(f"the body is not UTF-8 (byte {error.start})") from None


def _loaded(text: str) -> Any:
    """Return what a JSON text says; ``ValueError`` where it is none."""
    try:
        parsed = json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > DEEPEST and _depth(parsed) > DEEPEST:
        raise _too_deep()
    return parsed


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = _most_frequent(key for key, _ in pairs)
        raise bad_request(f"the key {shown(twice)} stands twice in one object")
    return made


def _most_frequent(names: Iterable[Any]) -> Any:
    [(name, _)] = Counter(names).most_common(1)
    return name


def _too_deep() -> Exception:
    return bad_request(f"the body is nested more than {DEEPEST} deep")


def _depth(value: Any) -> int:
    """Return how deep lists and objects are inside one another, level by level."""
    depth, level = 0, [value] if isinstance(value, (dict, list)) else []
    while level:
        depth += 1
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, (dict, list))
        ]
    return depth


def rows_of_json(body: Mapping[str, Any], contract: Contract) -> tuple[Rows, dict[str, Any]]:
    """Return the rows of an ``/invocations`` body and its parameters, both checked.

    >>> from utils.serving.example import TenMinutesWonBack
    >>> body = {"inputs": {"departure_delay_min": [20, -5], "carrier": ["UA", "B6"]}}
    >>> rows_of_json(body, TenMinutesWonBack.contract)[0].count
    2
    """
    unknown = [key for key in body if key not in (*FORMS, "params")]
    if unknown:
        raise bad_request(f"the key {shown(unknown[0])} is none of {', '.join(FORMS)}, params")
    forms = [key for key in body if key in FORMS]
    if len(forms) != 1:
        raise bad_request(
            f"the body must have exactly one of {', '.join(FORMS)}, not {len(forms)} of them"
        )
    form = forms[0]
    columns, count = _READERS[form](body[form], contract)
    return contract.rows(columns, count), contract.parameters(body.get("params"))


Columns = tuple[dict[Any, list[Any]], int]


def record_rows(given: Any, contract: Contract) -> Rows:
    """Return one record, an object of the columns' names and values, as a row.

    >>> from utils.serving.example import TenMinutesWonBack
    >>> flight = {"departure_delay_min": 20, "carrier": "UA"}
    >>> record_rows(flight, TenMinutesWonBack.contract).columns["departure_delay_min"]
    [20.0]
    """
    if not isinstance(given, Mapping):
        raise bad_request(f"request: must be an object of columns, not {shown(given)}")
    return contract.rows({name: [value] for name, value in given.items()}, 1)


def _split(given: Any, contract: Contract) -> Columns:
    if not isinstance(given, dict) or "data" not in given:
        raise bad_request("dataframe_split: must be an object with columns and data")
    unknown = [key for key in given if key not in ("columns", "data", "index")]
    if unknown:
        raise bad_request(f"dataframe_split: the key {shown(unknown[0])} is none of its own")
    rows = given["data"]
    if not isinstance(rows, list):
        raise bad_request("dataframe_split: data must be a list of rows")
    names = given.get("columns")
    if names is None:
        names = [str(at) for at in range(len(contract.names))]
    if not isinstance(names, list) or not all(isinstance(name, (str, int)) for name in names):
        raise bad_request("dataframe_split: columns must be a list of names")
    index = given.get("index")
    if index is not None and not (isinstance(index, list) and len(index) == len(rows)):
        raise bad_request(f"dataframe_split: index must be a list of {len(rows)}, as data is")
    return _by_position(rows, names, form="dataframe_split")


def _by_position(rows: list[Any], names: Sequence[Any], *, form: str) -> Columns:
    if len(set(names)) < len(names):
        raise bad_request(f"{form}: column {shown(_most_frequent(names))} is there twice")
    for at, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise bad_request(f"{form}: row {at} must be a list of {len(names)} values")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}, len(rows)


def _records(given: Any, contract: Contract, *, form: str = "dataframe_records") -> Columns:
    if not isinstance(given, list):
        raise bad_request(f"{form}: must be a list of records")
    if not given:
        return {name: [] for name in contract.names}, 0
    for at, row in enumerate(given):
        if not isinstance(row, dict):
            raise bad_request(f"{form}: row {at} must be an object of columns")
        if row.keys() != given[0].keys():
            odd = next(iter(row.keys() ^ given[0].keys()))
            lacking = 0 if odd in row else at
            raise bad_request(f"{form}: column {shown(odd)} is missing in row {lacking}")
    return {name: [row[name] for row in given] for name in given[0]}, len(given)


def _tensor(given: Any, contract: Contract, *, form: str) -> Columns:
    """Read ``instances`` and ``inputs``: by row or by column, with names or by position."""
    if isinstance(given, dict):
        return _by_name(given, contract, form=form)
    if not isinstance(given, list):
        given = [given]
    if given and isinstance(given[0], dict) and not _is_one_json_column(contract):
        return _records(given, contract, form=form)
    if len(contract.fields) == 1:
        return _one_column(given, contract)
    if not contract.positional:
        raise bad_request(f"{form}: must be objects of columns: the model's columns have names")
    return _by_position(given, contract.names, form=form)


def _is_one_json_column(contract: Contract) -> bool:
    return contract.positional and contract.fields[0].kind == "json"


def _one_column(given: list[Any], contract: Contract) -> Columns:
    (only,) = contract.fields
    if contract.positional and only.kind != "json" and given and isinstance(given[0], list):
        return _by_position(given, contract.names, form="inputs")
    return {only.name: given}, len(given)


def _by_name(given: dict[str, Any], contract: Contract, *, form: str) -> Columns:
    if contract.positional:
        raise bad_request(f"{form}: must be a list: the model's columns have no names")
    listed = [isinstance(value, list) for value in given.values()]
    if not any(listed) or _has_list_columns(contract):
        return {name: [value] for name, value in given.items()}, 1
    if not all(listed) or len({len(value) for value in given.values()}) > 1:
        raise bad_request(f"{form}: the columns must be lists of the same length")
    return given, len(next(iter(given.values())))


def _has_list_columns(contract: Contract) -> bool:
    """Tell whether a list may be one value: an object of columns is then one row."""
    return not contract.tensors and any(each.kind == "json" for each in contract.fields)


def _instances(given: Any, contract: Contract) -> Columns:
    return _tensor(given, contract, form="instances")


def _inputs(given: Any, contract: Contract) -> Columns:
    return _tensor(given, contract, form="inputs")


_READERS: Mapping[str, Callable[[Any, Contract], Columns]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}


def rows_of_csv(body: bytes, contract: Contract) -> Rows:
    """Return the rows of a CSV with a header; each text is read as its column's kind.

    >>> import pandas as pd
    >>> from mlflow.models import infer_signature
    >>> from utils.serving.contract import contract_of
    >>> contract = contract_of(infer_signature(pd.DataFrame({"age": [41.5]}), [1.0]))
    >>> rows_of_csv(b"age\\n41\\n", contract).columns
    {'age': [41.0]}
    """
    try:
        lines = list(csv.reader(io.StringIO(_text(body), newline=""), strict=True))
    except csv.Error as error:
        raise bad_request(f"the body is not CSV: {error}") from None
    if not lines:
        raise bad_request("the body is not CSV: it has no header")
    names, *rows = lines
    columns, count = _by_position([row for row in rows if row], names, form="CSV")
    kinds = {each.name: each.kind for each in contract.fields}
    if contract.positional:
        kinds = dict(zip(names, (each.kind for each in contract.fields), strict=False))
    return contract.rows(
        {
            name: [_from_text(text, kinds.get(name)) for text in texts]
            for name, texts in columns.items()
        },
        count,
    )


def _from_text(text: str, kind: str | None) -> Any:
    """Return a text as a value of a kind; one that cannot be stays a text, and is refused."""
    if text in MISSING_IN_CSV:
        return None
    try:
        return _FROM_TEXT.get(kind, str)(text)
    except ValueError:
        return text


def _flag(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text.lower(), text)


def _number(text: str) -> float:
    if "_" in text or not text.isascii():  # Python reads 1_000 and ٣ as numbers; nobody else does
        raise ValueError(text)
    return float(text)


def _whole(text: str) -> int | float:
    number = _number(text)
    return int(text) if text.strip("+- ").isdigit() else number


_FROM_TEXT: Mapping[str, Callable[[str], Any]] = {
    "double": _number,
    "float": _number,
    "long": _whole,
    "integer": _whole,
    "boolean": _flag,
    "json": _loaded,
}
