"""The function that AWS runs when an alarm changes: it asks for our action, once.

It takes the event of an alarm that calls a function itself, and that of EventBridge. What to do
stands in the alarm's description, as ``exporters.cloudwatch_alarms`` writes it. The action is an
event in the stream ``action/<deployment>`` of the store at ``VIGIA_STORE_URL``, with a key made of
the alarm and the moment of its change: AWS may call twice for one change, and it is asked for once.

On AWS the store is a PostgreSQL database that the function can reach: it has no disk that lasts.

Sources: Amazon CloudWatch User Guide, "Invoke a Lambda function from an alarm" and "Alarm events
and EventBridge"; AWS Lambda Developer Guide, "How Lambda handles errors and retries with
asynchronous invocation" (the same event may come more than once).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from utils.records import Action, VigiaError
from utils.store import open_store

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
DETAIL_TYPE = "CloudWatch Alarm State Change"
"""EventBridge brings changes of an alarm's configuration as well, in nearly the same form."""


class BadEvent(VigiaError, ValueError):
    """An event that is none of an alarm's; the message names what is missing or wrong."""


class NoStore(VigiaError):
    """The function was not told where its store is."""


@dataclass(frozen=True, kw_only=True)
class AlarmChange:
    """An alarm that changed its state, and what its description asks for."""

    arn: str
    name: str
    state: str
    reason: str
    at: datetime
    asks: Mapping[str, Any]

    @property
    def key(self) -> str:
        return f"{self.arn}@{self.at.isoformat()}"


def change_of(event: Any) -> AlarmChange:
    """Return what an event says, in either of its documented forms.

    Raises ``BadEvent``.
    """
    if not isinstance(event, Mapping):
        raise BadEvent(f"event: must be an object, not {type(event).__name__}")
    if event.get("source") != "aws.cloudwatch":
        raise BadEvent(f"event: source={event.get('source')!r}: must be 'aws.cloudwatch'")
    if "alarmData" in event:
        arn, alarm = _text(event, "alarmArn"), _object(event, "alarmData")
    else:
        if event.get("detail-type") != DETAIL_TYPE:
            said = event.get("detail-type")
            raise BadEvent(f"event: detail-type={said!r}: must be {DETAIL_TYPE!r}")
        resources = event.get("resources")
        if not isinstance(resources, list) or len(resources) != 1:
            raise BadEvent("event: resources: must hold the alarm's ARN alone")
        arn, alarm = str(resources[0]), _object(event, "detail")
    state = _object(alarm, "state")
    description = _object(alarm, "configuration").get("description", "")
    try:
        asks = json.loads(description)
    except (TypeError, ValueError):
        asks = None
    if not isinstance(asks, dict):
        raise BadEvent("event: the alarm's description is not the JSON that our alarms have")
    for name in ("deployment", "rule", "action"):
        _text(asks, name)
    if asks["action"] not in get_args(Action):
        raise BadEvent(f"event: action={asks['action']!r}: must be one of {get_args(Action)}")
    value = _text(state, "value")
    if value not in STATES:
        raise BadEvent(f"event: state={value!r}: must be one of {STATES}")
    return AlarmChange(
        arn=arn,
        name=_text(alarm, "alarmName"),
        state=value,
        reason=str(state.get("reason", "")),
        at=_moment(_text(state, "timestamp")),
        asks=asks,
    )


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not isinstance(given.get(name), Mapping):
        raise BadEvent(f"event: {name} is missing, or no object")
    return given[name]


def _text(given: Mapping[str, Any], name: str) -> str:
    if not isinstance(given.get(name), str) or not given[name]:
        raise BadEvent(f"event: {name} is missing, or no text")
    return given[name]


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError as error:
        raise BadEvent(f"event: timestamp={text!r}: must read 2023-08-04T12:36:15.490+0000") from (
            error
        )


def handler(event: Any, context: Any) -> dict[str, Any]:
    """Ask for the action of an alarm that went off; any other change asks for nothing.

    Raises ``BadEvent``, ``NoStore`` where ``VIGIA_STORE_URL`` is not set, and ``StoreUnavailable``
    where the store cannot be written: AWS then calls again, twice, and keeps the event if it was
    told where.
    """
    change = change_of(event)
    if change.state != "ALARM":
        return {"action": None, "new": False}
    if not os.environ.get("VIGIA_STORE_URL"):
        raise NoStore("VIGIA_STORE_URL: is not set: the function does not know its store")
    body = {**change.asks, "alarm": change.name, "reason": change.reason}
    with open_store(os.environ["VIGIA_STORE_URL"]) as store:
        new = store.record(
            f"action/{change.asks['deployment']}",
            change.key,
            kind=change.asks["action"],
            at=change.at,
            body=body,
        )
    return {"action": change.asks["action"], "new": new}
