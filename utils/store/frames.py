"""Reading predictions: which columns there are, which label is in force, rows as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import pandas as pd
import sqlalchemy as sa

from utils.records import PREDICTION_COLUMNS, Kind
from utils.store import tables, values
from utils.store.services import CAPTURE_KINDS
from utils.store.tables import Service

ROWS_A_BATCH = 500
"""Rows fetched at a time: few enough to stay in the processor's cache, which doubles the rate."""

Columns = dict[str, tuple[sa.ColumnElement, Kind]]
"""By the name under which it is read: a column, and the kind of what it holds."""


def stored_columns(service: Service) -> Columns:
    """Return what is stored of a prediction: what was captured, then its inputs."""
    return {**_capture(service), **_inputs(service)}


def offered_columns(service: Service) -> Columns:
    """Return what ``Store.read`` offers, in order, ``deployment`` last."""
    label = service.labels
    return {
        **_capture(service),
        "label": (label.c.label, service.output),
        "label_known_at": (label.c.known_at, "datetime"),
        "label_revision": (label.c.revision, "long"),
        **_inputs(service),
        "deployment": (tables.deployment.c.deployment_crn, "string"),
    }


def _capture(service: Service) -> Columns:
    kinds = CAPTURE_KINDS | {
        "prediction_id": "string",
        "event_time": "datetime",
        "prediction": service.output,
    }
    return {name: (service.predictions.c[name], kinds[name]) for name in PREDICTION_COLUMNS}


def _inputs(service: Service) -> Columns:
    return {
        feature.read_as: (service.predictions.c[feature.db_column], feature.kind)
        for feature in service.features
    }


def choose(offered: Columns, names: Sequence[str] | None) -> Columns:
    """Return the columns of those names; without names, all but ``deployment``.

    Raises ``ValueError`` for a name that is not offered, with the nearest that is.
    """
    if names is None:
        names = [name for name in offered if name != "deployment"]
    if isinstance(names, str):
        raise ValueError(f"columns={names!r}: give a list of names")
    for name in names:
        if name not in offered:
            nearest = get_close_matches(str(name), offered, n=1) or sorted(offered)
            raise ValueError(f"columns: {name!r} is no column; the nearest is {nearest[0]!r}")
    return {name: offered[name] for name in names}


def window(service: Service, chosen: Columns, bounds: Mapping[str, int | None]) -> sa.Select:
    """Select columns of the predictions in a window, by event time, with the labels known."""
    table, known_as_of = service.predictions, bounds["known_as_of"]
    statement = (
        sa.select(*(column for column, _ in chosen.values()))
        .select_from(_joined(service, chosen, known_as_of))
        .where(*within(table.c.event_time, bounds["start"], bounds["end"]))
        .order_by(table.c.event_time, table.c.id)
    )
    if known_as_of is not None:
        statement = statement.where(table.c.event_time <= known_as_of)
    return statement


def within(time: sa.ColumnElement, start: int | None, end: int | None) -> list[Any]:
    """Return the conditions of ``start <= time < end``; ``None`` is no bound."""
    conditions = []
    if start is not None:
        conditions.append(time >= start)
    if end is not None:
        conditions.append(time < end)
    return conditions


def _joined(service: Service, chosen: Columns, known_as_of: int | None) -> sa.FromClause:
    """Return the predictions, beside what the chosen columns need of other tables."""
    joined = table = service.predictions
    wanted = {column.table for column, _ in chosen.values()}
    if service.labels in wanted:
        label = service.labels
        joined = joined.outerjoin(
            label,
            sa.and_(
                label.c.prediction == table.c.id,
                label.c.revision == _revision_in_force(service, known_as_of),
            ),
        )
    if tables.deployment in wanted:
        joined = joined.join(tables.deployment, tables.deployment.c.id == table.c.deployment)
    return joined


def _revision_in_force(service: Service, known_as_of: int | None) -> sa.ScalarSelect:
    """Select, for a prediction, the revision that was the newest known at a moment."""
    known = service.labels.alias("known")
    newest = (
        sa.select(known.c.revision)
        .where(known.c.prediction == service.predictions.c.id)
        .order_by(known.c.known_at.desc(), known.c.revision.desc())
        .limit(1)
    )
    if known_as_of is not None:
        newest = newest.where(known.c.known_at <= known_as_of)
    return newest.correlate(service.predictions).scalar_subquery()


def frame(
    connection: sa.Connection, statement: sa.Select, kinds: Mapping[str, Kind]
) -> pd.DataFrame:
    """Return the rows that a statement selects, under those names, streamed in batches."""
    return values.to_frame(kinds, connection.execute(statement).partitions(ROWS_A_BATCH))


def kinds_of(columns: Columns) -> dict[str, Kind]:
    return {name: kind for name, (_, kind) in columns.items()}
