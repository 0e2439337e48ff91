"""Actions that others ask for: each is taken by one run, and done once.

A request is an event in the stream ``action/<deployment>``: of the function that AWS runs when an
alarm changes, of a person, of anything that can write to the store. Taking it is an event too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from utils.records import Action, VigiaError
from utils.store import Store

MOST_WAITING = 100


class QueueFull(VigiaError):
    """More requests wait than are taken."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """An action that somebody outside asks for: an alarm of CloudWatch, a person."""

    id: str
    action: Action
    at: datetime
    body: Mapping[str, Any]


def stream_of(deployment: str) -> str:
    return f"action/{deployment}"


def ask(
    store: Store,
    deployment: str,
    action: Action,
    *,
    id: str,
    at: datetime,
    by: str,
    reason: str,
    most_waiting: int = MOST_WAITING,
) -> bool:
    """Ask the loop for an action; return whether nobody asked so (``id``) before.

    Raises ``QueueFull`` where ``most_waiting`` wait already, and ``ValueError`` for an action that
    is none, and for nobody.

    >>> from utils.store.example import NOON, example_store
    >>> with example_store() as store:
    ...     about = {"id": "a", "at": NOON, "by": "ana", "reason": "a new route"}
    ...     [ask(store, "flights", "retrain", **about) for _ in range(2)]
    [True, False]
    """
    if action not in get_args(Action):
        raise ValueError(f"action={action!r}: must be one of {', '.join(get_args(Action))}")
    if not by.strip():
        raise ValueError(f"by={by!r}: must name who asks")
    if any(event.key == id for event in store.events(stream_of(deployment))):
        return False
    n_waiting = len(requests(store, deployment))
    if n_waiting >= most_waiting:
        raise QueueFull(
            f"deployment={deployment!r}: {n_waiting} requests wait already, and at most "
            f"{most_waiting} may; is the scheduler running?"
        )
    body = {"by": by, "reason": reason, "deployment": deployment, "action": action}
    return store.record(stream_of(deployment), id, kind=action, at=at, body=body)


def requests(store: Store, deployment: str, *, taken_by: str | None = None) -> list[Request]:
    """Return the requests that wait for a run, or those that one has taken, oldest first."""
    takers: dict[str, str] = {}
    for event in store.events(_taken(deployment)):
        if event.kind == "taken":
            takers[event.body["request"]] = event.body["run"]
        else:
            takers.pop(event.body["request"], None)
    return [
        Request(id=event.key, action=event.kind, at=event.at, body=event.body)
        for event in store.events(stream_of(deployment))
        if takers.get(event.key) == taken_by
    ]


def take(store: Store, deployment: str, *, run: str, at: datetime) -> list[Request]:
    """Take every request that waits, for one run alone; the same run again gets the same ones.

    However many ask for one action, it is done once: what they said goes along.
    """
    for each in requests(store, deployment):
        body = {"run": run, "request": each.id}
        store.record(_taken(deployment), f"{each.id}/{run}", kind="taken", at=at, body=body)
    return requests(store, deployment, taken_by=run)


def give_back(store: Store, deployment: str, *, run: str, at: datetime) -> None:
    """Let the next run take what a run took that failed.

    >>> from utils.store.example import NOON, example_store
    >>> with example_store() as store:
    ...     _ = ask(store, "flights", "retrain", id="a", at=NOON, by="ana", reason="a new route")
    ...     _ = take(store, "flights", run="2013-04-08", at=NOON)
    ...     give_back(store, "flights", run="2013-04-08", at=NOON)
    ...     [each.id for each in take(store, "flights", run="2013-04-15", at=NOON)]
    ['a']
    """
    for each in requests(store, deployment, taken_by=run):
        body = {"run": run, "request": each.id}
        key = f"{each.id}/{run}/given back"
        store.record(_taken(deployment), key, kind="given back", at=at, body=body)


def _taken(deployment: str) -> str:
    return f"taken/{deployment}"
