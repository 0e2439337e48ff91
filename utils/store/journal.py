"""What happened, written once: events in streams, and who may act now.

An event has a key of its own within its stream, so whoever says the same thing twice says it once.
Whatever has a state (alerts, notifications, runs) is folded from its events, and survives those who
write them. Nothing here is of a person: events name deployments, lines, rules and operators.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from utils.records import Event
from utils.store import tables, values
from utils.store.engines import Backend

_LOCK = -1
"""The lock of the journal and the leases; those of services are their ids, the store's is 0."""


def record(backend: Backend, connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    """Write an event unless its stream has its key already; return whether it is new."""
    backend.lock(connection, _LOCK)
    own = (tables.event.c.stream == row["stream"]) & (tables.event.c.key == row["key"])
    if connection.scalar(sa.select(tables.event.c.id).where(own)) is not None:
        return False
    connection.execute(sa.insert(tables.event).values(**row))
    return True


def events(connection: sa.Connection, stream: str, *, after: int, limit: int | None) -> list[Event]:
    """Return the events of a stream in the order in which they were written."""
    table = tables.event
    rows = connection.execute(
        sa.select(table)
        .where((table.c.stream == stream) & (table.c.id > after))
        .order_by(table.c.id)
        .limit(limit)
    )
    return [
        Event(
            id=row.id,
            stream=row.stream,
            key=row.key,
            kind=row.kind,
            at=values.as_datetime(row.at),
            body=json.loads(row.body),
        )
        for row in rows
    ]


def streams(connection: sa.Connection, prefix: str) -> list[str]:
    """Return the names of the streams that begin with a prefix, in order."""
    table = tables.event
    rows = connection.scalars(
        sa.select(table.c.stream)
        .where(table.c.stream.startswith(prefix, autoescape=True))
        .distinct()
        .order_by(table.c.stream)
    )
    return list(rows)


def take_lease(
    backend: Backend, connection: sa.Connection, *, name: str, holder: str, now: int, until: int
) -> bool:
    """Take or renew a lease unless somebody else holds it now; return whether it is held."""
    backend.lock(connection, _LOCK)
    table = tables.lease
    held = connection.execute(sa.select(table).where(table.c.name == name)).one_or_none()
    if held is not None and held.holder != holder and held.expires_at > now:
        return False
    connection.execute(sa.delete(table).where(table.c.name == name))
    connection.execute(sa.insert(table).values(name=name, holder=holder, expires_at=until))
    return True


def lease_holder(connection: sa.Connection, name: str) -> str | None:
    """Return who took a lease last and did not give it back, or ``None``."""
    table = tables.lease
    return connection.scalar(sa.select(table.c.holder).where(table.c.name == name))


def release_lease(backend: Backend, connection: sa.Connection, *, name: str, holder: str) -> None:
    """Give a lease back; one that somebody else holds stays theirs."""
    backend.lock(connection, _LOCK)
    table = tables.lease
    connection.execute(sa.delete(table).where((table.c.name == name) & (table.c.holder == holder)))
