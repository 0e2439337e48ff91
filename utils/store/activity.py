"""What a live page asks again and again: what is new since an id, and nothing that grows.

The cost of a question hangs on what came since the last one, and never on how much is stored; only
``count`` reads the whole index, and is asked rarely. Two writers of a PostgreSQL store may commit
in another order than that of their ids: a row that comes late is missed here, until the next
``count`` tells the true total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from utils.records import Kind
from utils.store import tables, values
from utils.store.tables import Service


@dataclass(frozen=True, kw_only=True)
class Activity:
    """The newest predictions: those after an id, oldest first, at most as many as were asked for.

    ``n_new`` says how many came, also where fewer are here. ``last_id`` is what to ask after next.
    ``kind`` is that of the predictions; times and JSON stay as they are stored.
    """

    last_id: int
    n_new: int
    kind: Kind
    latencies_ms: Sequence[float | None]
    scores: Sequence[float | None]
    predictions: Sequence[Any]


def newest(connection: sa.Connection, service: Service, *, after: int, limit: int) -> Activity:
    """Return what was stored after an id."""
    table = service.predictions
    count, last = connection.execute(
        sa.select(sa.func.count(), sa.func.max(table.c.id)).where(table.c.id > after)
    ).one()
    rows = (
        connection.execute(
            sa.select(table.c.latency_ms, table.c.score, table.c.prediction)
            .where(table.c.id > after)
            .order_by(table.c.id.desc())
            .limit(limit)
        ).all()
        if count
        else []
    )
    latencies, scores, predictions = zip(*reversed(rows), strict=True) if rows else ((), (), ())
    return Activity(
        last_id=last or after,
        n_new=count,
        kind=service.output,
        latencies_ms=latencies,
        scores=scores,
        predictions=predictions,
    )


def count(connection: sa.Connection, service: Service) -> int:
    """Return how many predictions are stored."""
    return connection.scalar(sa.select(sa.func.count()).select_from(service.predictions))


def last_measurement(connection: sa.Connection, service: Service) -> int:
    """Return the number of the newest measurement; 0 where there are none.

    It grows with every measurement that is added. One that only takes the place of the newest may
    take its number too.
    """
    table = tables.measurement
    return (
        connection.scalar(
            sa.select(table.c.id)
            .where(table.c.service == service.id)
            .order_by(table.c.id.desc())
            .limit(1)
        )
        or 0
    )


def window_starts(connection: sa.Connection, service: Service, *, newest: int) -> list[datetime]:
    """Return when the newest windows that were measured start, oldest first."""
    table = tables.measurement
    starts = connection.scalars(
        sa.select(table.c.window_start)
        .where(table.c.service == service.id)
        .distinct()
        .order_by(table.c.window_start.desc())
        .limit(newest)
    )
    return [values.as_datetime(start) for start in reversed(starts.all())]
