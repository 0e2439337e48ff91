"""Writing predictions, and finding them by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd
import sqlalchemy as sa

from utils.records import DuplicatePrediction, UnknownPrediction
from utils.store import tables, values
from utils.store.engines import Backend
from utils.store.services import Layout, some
from utils.store.tables import Service

ROWS_A_SLICE = 20_000
"""Rows encoded at a time by a bulk load: bounds its memory, not its transaction."""

OPTIONAL = ("model_version", "client", "latency_ms", "score")
"""Captured columns that a bulk load may leave out."""


def slices(count: int) -> Iterator[slice]:
    """Cut ``count`` rows into pieces that are encoded at a time.

    >>> [(part.start, part.stop) for part in slices(30_000)]
    [(0, 20000), (20000, 40000)]
    """
    return (slice(first, first + ROWS_A_SLICE) for first in range(0, count, ROWS_A_SLICE))


def columns_of_rows(layout: Layout, rows: Sequence[tuple]) -> Iterator[dict[str, list]]:
    """Yield tuples as the columns of the table, encoded."""
    for at, row in enumerate(rows):
        if len(row) != len(layout.names):
            raise ValueError(
                f"rows: row {at} has {len(row)} values; {layout.service.name!r} takes "
                f"{len(layout.names)}: {', '.join(layout.names)}"
            )
    if rows:
        yield {
            db_column: values.encode(name, kind, column)
            for name, kind, db_column, column in zip(
                layout.names, layout.kinds, layout.db_columns, zip(*rows, strict=True), strict=True
            )
        }


def columns_of_frame(layout: Layout, frame: pd.DataFrame) -> Iterator[dict[str, list]]:
    """Yield a frame as the columns of the table, encoded, a slice at a time."""
    _check_columns(layout, frame)
    given = [
        (name, kind, db_column)
        for name, kind, db_column in zip(layout.names, layout.kinds, layout.db_columns, strict=True)
        if name in frame
    ]
    for part in slices(len(frame)):
        yield {
            db_column: values.encode_column(name, kind, frame[name].iloc[part])
            for name, kind, db_column in given
        }


def _check_columns(layout: Layout, frame: pd.DataFrame) -> None:
    """Refuse a frame that lacks a column, or has one that nobody would store."""
    service = layout.service.name
    may_lack = set(OPTIONAL) | {
        tables.input_column(column.name) for column in layout.schema.columns if not column.required
    }
    lacks = [name for name in layout.names if name not in frame and name not in may_lack]
    if lacks:
        raise ValueError(f"frame: lacks {some(lacks)}, which {service!r} needs")
    unknown = [name for name in frame.columns if name not in layout.names]
    if unknown:
        raise ValueError(
            f"frame: {some(unknown)} is no column of {service!r}, which takes "
            f"{', '.join(layout.names)}"
        )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()]
        raise ValueError(f"frame: has {some(twice)} more than once")


def insert(
    backend: Backend,
    connection: sa.Connection,
    layout: Layout,
    parts: Iterable[dict[str, list]],
) -> int:
    """Insert columns, a part after the other, and return how many rows they were."""
    count = 0
    for part in parts:
        rows = len(part["prediction_id"])
        part["deployment"] = [layout.deployment_id] * rows
        backend.insert(connection, layout.service.predictions, part)
        count += rows
    return count


def duplicates(
    backend: Backend, connection: sa.Connection, services: Sequence[Service], ids: Sequence[str]
) -> DuplicatePrediction:
    """Return the error that names which of the ids cannot be written, and why."""
    stored = [
        id
        for service in services
        for part in slices(len(ids))
        for id in numbers(backend, connection, service, ids[part])
    ]
    counted = pd.Series(ids, dtype="object")
    twice = counted[counted.duplicated()].unique()
    reasons = [
        f"{reason}: {some(names)}"
        for reason, names in (("stored already", stored), ("more than once in these rows", twice))
        if len(names)
    ]
    return DuplicatePrediction(
        f"prediction_id of {' or '.join(repr(service.name) for service in services)}, "
        f"{'; '.join(reasons)}. Predictions are written once, and nothing of these rows was stored"
    )


def numbers(
    backend: Backend, connection: sa.Connection, service: Service, ids: Sequence[str]
) -> dict[str, int]:
    """Return the row numbers of those of the ids that the service has."""
    table = service.predictions
    found = connection.execute(
        sa.select(table.c.prediction_id, table.c.id).where(
            backend.is_one_of(table.c.prediction_id, ids)
        )
    )
    return dict(found.all())


def owners(
    backend: Backend,
    connection: sa.Connection,
    services: Sequence[Service],
    ids: Sequence[str],
) -> dict[str, tuple[Service, int]]:
    """Return the service and the row number of each prediction.

    Raises ``UnknownPrediction``, and ``ValueError`` for an id that two services have.
    """
    where: dict[str, tuple[Service, int]] = {}
    for service in services:
        for id, number in numbers(backend, connection, service, ids).items():
            if id in where:
                raise ValueError(
                    f"prediction_id {id!r} is one of {where[id][0].name!r} and one of "
                    f"{service.name!r}: name the deployment"
                )
            where[id] = (service, number)
    unknown = [id for id in dict.fromkeys(ids) if id not in where]
    if unknown:
        raise UnknownPrediction(f"no prediction has the id {some(unknown)}; nothing was stored")
    return where
