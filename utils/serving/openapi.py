"""What the routes take, as OpenAPI says it: made from the model's signature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from utils.serving.contract import Contract, Field

_TYPES: Mapping[str, Mapping[str, Any]] = {
    "double": {"type": ["number", "null"]},
    "float": {"type": ["number", "null"], "format": "float"},
    "long": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "boolean": {"type": "boolean"},
    "string": {"type": ["string", "null"], "pattern": "^[^\\x00]*$"},
    "datetime": {"type": ["string", "null"], "description": "ISO 8601, without an offset"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "json": {},
}

_ERROR = {
    "type": "object",
    "required": ["error_code", "message"],
    "properties": {"error_code": {"type": "string"}, "message": {"type": "string"}},
}

_REFUSALS: Mapping[str, str] = {
    "400": "The request breaks a rule, which the message names",
    "401": "No access key, or a wrong one",
    "405": "Another method is needed",
    "408": "The body did not come in time",
    "413": "The body, or its number of rows, is too large",
    "415": "Another content type is needed",
    "500": "The server, or the model, failed",
    "503": "The store cannot be written now, or the server is stopping",
}


def operation(path: str, contract: Contract) -> dict[str, Any]:
    """Return what OpenAPI says of a route's requests and refusals; nothing for one that is read.

    >>> from utils.serving.example import TenMinutesWonBack
    >>> sorted(operation("/model", TenMinutesWonBack.contract)["responses"])[:2]
    ['400', '401']
    """
    make = {"/invocations": _invocations, "/model": _model, "/ground-truth": _ground_truth}
    if path not in make:
        return {}
    body, refusals = make[path](contract)
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            status: {"description": said, "content": {"application/json": {"schema": _ERROR}}}
            for status, said in sorted({**_REFUSALS, **refusals}.items())
        },
    }


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


def _record(contract: Contract) -> dict[str, Any]:
    required = [each.name for each in contract.fields if each.required]
    return _object(required, **{each.name: _type(each) for each in contract.fields})


def _type(column: Field) -> Mapping[str, Any]:
    return _TYPES[column.kind]


def _invocations(contract: Contract) -> tuple[dict[str, Any], dict[str, str]]:
    records = {"type": "array", "minItems": 1, "items": _record(contract)}
    body = _object(["dataframe_records"], dataframe_records=records)
    return body, {"409": "The idempotency key was used for other inputs"}


def _model(contract: Contract) -> tuple[dict[str, Any], dict[str, str]]:
    body = _object(
        ["accessKey", "request"], accessKey={"type": "string"}, request=_record(contract)
    )
    return body, {"409": "The idempotency key was used for other inputs"}


def _ground_truth(contract: Contract) -> tuple[dict[str, Any], dict[str, str]]:
    label = _object(
        ["prediction_id", "label"],
        prediction_id={"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[^\\x00]*$"},
        label={**_type(contract.output), "description": "of the kind of a prediction; not null"},
        known_at={"type": "string", "format": "date-time"},
    )
    body = _object(["labels"], labels={"type": "array", "minItems": 1, "items": label})
    return body, {"404": "A prediction of these is unknown"}
