"""A data contract as a file: YAML in the form of the Open Data Contract Standard, v3.

Other tools read it: names, kinds, ranges, domains and keys stand where the standard has them, and
the rules on medians and on the commonest value are its SQL rules, which run on a database as they
are. What is read back is the contract that was written.

Source: Bitol, LF AI & Data, "Open Data Contract Standard", version 3.1.0 (December 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from utils.monitors.contract import DataContract, Field
from utils.records import VigiaError

API_VERSION = "v3.1.0"

_TYPES = {
    "number": "number",
    "whole number": "integer",
    "text": "string",
    "moment": "timestamp",
    "truth value": "boolean",
}
_KINDS = {logical: kind for kind, logical in _TYPES.items()}

_MEDIAN = "SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY ${property}) FROM ${object}"
_COMMONEST = (
    "SELECT MAX(n) * 1.0 / SUM(n) FROM (SELECT COUNT(*) AS n FROM ${object} "
    "WHERE ${property} IS NOT NULL GROUP BY ${property}) AS counts"
)

_PROMISES_NOT_KEPT_HERE = ("enum", "items", "map", "properties", "relationships")


class UnreadableContract(VigiaError):
    """A text is no data contract, or promises what is not checked here."""


def to_yaml(contract: DataContract) -> str:
    """Return a contract as YAML in the form of the Open Data Contract Standard.

    It has one schema object, which the contract's name is given to. Units, and what the standard
    has no place for, are custom properties.

    >>> contract = DataContract(name="waits", version="1.0.0", fields=[
    ...     Field(name="wait_min", kind="number", unit="min", minimum=0)])
    >>> print(to_yaml(contract)[:75])
    apiVersion: v3.1.0
    kind: DataContract
    id: waits
    name: waits
    version: 1.0.0
    <BLANKLINE>
    """
    import yaml

    document = {
        "apiVersion": API_VERSION,
        "kind": "DataContract",
        "id": contract.name,
        "name": contract.name,
        "version": contract.version,
        "status": contract.status,
        "description": {"purpose": contract.description} if contract.description else None,
        "schema": [
            {
                "name": contract.name,
                "logicalType": "object",
                "properties": [_property(field, contract.key) for field in contract.fields],
                "quality": [
                    {
                        "type": "library",
                        "metric": "rowCount",
                        "mustBeGreaterOrEqualTo": contract.min_rows,
                    }
                ],
                "customProperties": _custom(
                    timeColumn=contract.time_column, extraColumns=contract.extra_allowed
                ),
            }
        ],
        "slaProperties": _freshness(contract),
    }
    return yaml.safe_dump(_without_gaps(document), sort_keys=False, allow_unicode=True, width=100)


def from_yaml(text: str) -> DataContract:
    """Return the contract that a YAML text holds.

    What the standard has for people (tags, owners, prices) is passed over. Raises
    ``UnreadableContract`` for a text that is none, and for a promise that would not be checked
    here: a contract half kept looks like one that is kept.

    >>> contract = DataContract(name="waits", version="1.0.0", fields=[
    ...     Field(name="wait_min", kind="number", unit="min", typical=(5, 20), completeness=0.9)])
    >>> from_yaml(to_yaml(contract)) == contract
    True
    """
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UnreadableContract(f"the text is no YAML: {error}") from error
    if not isinstance(document, Mapping) or document.get("kind") != "DataContract":
        raise UnreadableContract("the text is no data contract: it has no 'kind: DataContract'")
    if not str(document.get("apiVersion", "")).startswith("v3."):
        raise UnreadableContract(
            f"apiVersion={document.get('apiVersion')!r}: version 3 of the standard is read here"
        )
    try:
        return _contract(document)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        told = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UnreadableContract(f"{document.get('name', 'the contract')}: {told}") from error


# Written ----------------------------------------------------------------------------------------


def _property(field: Field, key: Sequence[str]) -> dict[str, Any]:
    options = {"minimum": field.minimum, "maximum": field.maximum}
    if field.kind == "moment":
        options["timezone"] = True
    return {
        "name": field.name,
        "logicalType": _TYPES[field.kind],
        "logicalTypeOptions": options,
        "description": field.description or None,
        "primaryKey": True if field.name in key else None,
        "primaryKeyPosition": key.index(field.name) + 1 if field.name in key else None,
        "required": field.completeness == 1,
        "unique": field.unique or None,
        "quality": list(_quality(field)),
        "customProperties": _custom(
            unit=field.unit or None, optionalColumn=None if field.required else True
        ),
    }


def _quality(field: Field) -> Iterator[dict[str, Any]]:
    if 0 < field.completeness < 1:
        yield {
            "type": "library",
            "metric": "nullValues",
            "mustBeLessOrEqualTo": float(100 - 100 * Decimal(repr(field.completeness))),
            "unit": "percent",
        }
    if field.values is not None:
        yield {
            "type": "library",
            "metric": "invalidValues",
            "arguments": {"validValues": list(field.values)},
            "mustBe": 0,
            "unit": "rows",
        }
    if field.typical is not None:
        low, high = field.typical
        bounds = {"mustBe": low} if low == high else {"mustBeBetween": [low, high]}
        yield {"type": "sql", "name": "typical", "query": _MEDIAN, **bounds}
    if field.commonest is not None:
        yield {
            "type": "sql",
            "name": "commonest",
            "query": _COMMONEST,
            "mustBeLessOrEqualTo": field.commonest,
        }


def _freshness(contract: DataContract) -> list[dict[str, Any]]:
    if contract.fresh_hours is None:
        return []
    element = f"{contract.name}.{contract.time_column}"
    return [{"property": "latency", "value": contract.fresh_hours, "unit": "h", "element": element}]


def _custom(**properties: Any) -> list[dict[str, Any]]:
    return [
        {"property": name, "value": value}
        for name, value in properties.items()
        if value is not None
    ]


def _without_gaps(value: Any) -> Any:
    """Return a document without what is not said: no ``None``, no empty list or mapping."""
    if isinstance(value, Mapping):
        kept = {name: _without_gaps(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in (None, {}, [])}
    if isinstance(value, list):
        return [_without_gaps(each) for each in value]
    return value


# Read -------------------------------------------------------------------------------------------


def _contract(document: Mapping[str, Any]) -> DataContract:
    tables = document["schema"]
    if len(tables) != 1:
        raise ValueError(f"schema: {len(tables)} objects; one table is read here")
    (table,) = tables
    custom = _customs(table)
    keys = [each for each in table["properties"] if each.get("primaryKey")]
    keys.sort(key=lambda each: each.get("primaryKeyPosition", -1))
    return DataContract(
        name=document["name"],
        version=document["version"],
        status=document.get("status", "active"),
        description=document.get("description", {}).get("purpose", ""),
        fields=tuple(_field(each) for each in table["properties"]),
        key=tuple(each["name"] for each in keys),
        time_column=custom.get("timeColumn"),
        extra_allowed=custom.get("extraColumns", False),
        min_rows=_min_rows(table.get("quality", [])),
        fresh_hours=_fresh_hours(document.get("slaProperties", [])),
    )


def _field(given: Mapping[str, Any]) -> Field:
    name = given["name"]
    for promise in _PROMISES_NOT_KEPT_HERE:
        if promise in given:
            raise ValueError(f"{name}: {promise} is not checked here")
    if given.get("logicalType") not in _KINDS:
        raise ValueError(
            f"{name}: logicalType={given.get('logicalType')!r} is not checked here "
            f"({', '.join(_KINDS)} are)"
        )
    custom = _customs(given)
    rules: dict[str, Any] = {"completeness": 1.0 if given.get("required") else 0.0}
    for option, value in given.get("logicalTypeOptions", {}).items():
        if option not in ("minimum", "maximum", "timezone"):
            raise ValueError(f"{name}: logicalTypeOptions.{option} is not checked here")
        if option != "timezone":
            rules[option] = value
    for rule in given.get("quality", []):
        if rule.get("type") != "text":
            rules |= _rule(name, rule)
    return Field(
        name=name,
        kind=_KINDS[given["logicalType"]],
        unit=custom.get("unit", ""),
        description=given.get("description", ""),
        required=not custom.get("optionalColumn", False),
        unique=given.get("unique", False),
        **rules,
    )


def _completeness(rule: Mapping[str, Any]) -> float:
    return float((100 - Decimal(repr(rule["mustBeLessOrEqualTo"]))) / 100)


def _typical(rule: Mapping[str, Any]) -> tuple[float, float]:
    low, high = rule.get("mustBeBetween") or [rule["mustBe"]] * 2
    return low, high


_RULES: Sequence[tuple[Mapping[str, Any], str, Callable[[Mapping[str, Any]], Any]]] = (
    ({"metric": "nullValues", "unit": "percent"}, "completeness", _completeness),
    (
        {"metric": "invalidValues", "mustBe": 0},
        "values",
        lambda rule: tuple(rule["arguments"]["validValues"]),
    ),
    ({"type": "sql", "query": _MEDIAN}, "typical", _typical),
    (
        {"type": "sql", "query": _COMMONEST},
        "commonest",
        lambda rule: rule["mustBeLessOrEqualTo"],
    ),
)
"""How a rule of the standard is known, which rule of ours it is, and its value."""


def _rule(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    for marks, rule, value_of in _RULES:
        if all(given.get(mark) == value for mark, value in marks.items()):
            return {rule: value_of(given)}
    raise _not_checked(name, given)


def _not_checked(name: str, rule: Mapping[str, Any]) -> ValueError:
    told = rule.get("name") or rule.get("metric") or rule.get("query") or rule.get("type")
    return ValueError(f"{name}: the quality rule {told!r} is not checked here")


def _customs(given: Mapping[str, Any]) -> dict[str, Any]:
    return {each["property"]: each["value"] for each in given.get("customProperties", [])}


def _min_rows(rules: Sequence[Mapping[str, Any]]) -> int:
    least = 0
    for rule in rules:
        if rule.get("metric") == "rowCount":
            least = rule["mustBeGreaterOrEqualTo"]
        elif rule.get("type") != "text":
            raise _not_checked("the table", rule)
    return least


def _fresh_hours(promises: Sequence[Mapping[str, Any]]) -> float | None:
    for promise in promises:
        if promise["property"] == "latency":
            if promise.get("unit") != "h":
                raise ValueError(f"latency: unit={promise.get('unit')!r}; hours (h) are read here")
            return promise["value"]
    return None
