"""What monitors measured, kept: a line of a window as of a moment is there once."""

from __future__ import annotations

from typing import Any

import pandas as pd
import sqlalchemy as sa

from utils.records import LINE, MEASUREMENT_COLUMNS, Kind, measurements
from utils.store import tables, values
from utils.store.engines import Backend
from utils.store.frames import frame, within
from utils.store.tables import Service

KINDS: dict[str, Kind] = {
    name: "string"
    if name in LINE
    else "datetime"
    if name in ("window_start", "window_end", "known_as_of")
    else "boolean"
    if name == "alarm"
    else "long"
    if name in ("n_reference", "n_current")
    else "double"
    for name in MEASUREMENT_COLUMNS
}
"""How each column of the measurements table is stored."""

KEYS = (*LINE, "window_start", "window_end", "known_as_of")
"""What a measurement is of; one of each is kept."""

NEVER = -(2**63)
"""Stands for no moment in ``known_as_of``, which is part of the key."""

_SAME = sa.delete(tables.measurement).where(
    tables.measurement.c.service == sa.bindparam("service_is"),
    *(tables.measurement.c[name] == sa.bindparam(f"{name}_is") for name in KEYS),
)


def write(
    backend: Backend, connection: sa.Connection, service: Service, table: pd.DataFrame
) -> int:
    """Store measurements in the place of the same ones, and return how many they are."""
    backend.lock(connection, service.id)
    rows = measurements(table)
    twice = rows[rows.duplicated(list(KEYS))]
    if len(twice):
        named = ", ".join(f"{name}={twice.iloc[0][name]!r}" for name in LINE)
        raise ValueError(f"table: has several rows for {named} in one window")
    if not len(rows):
        return 0
    columns: dict[str, list[Any]] = {
        name: values.encode_column(name, kind, rows[name]) for name, kind in KINDS.items()
    }
    columns["known_as_of"] = [NEVER if at is None else at for at in columns["known_as_of"]]
    connection.execute(
        _SAME,
        [
            {"service_is": service.id}
            | {f"{name}_is": value for name, value in zip(KEYS, key, strict=True)}
            for key in zip(*(columns[name] for name in KEYS), strict=True)
        ],
    )
    backend.insert(connection, tables.measurement, {"service": [service.id] * len(rows), **columns})
    return len(rows)


def read(
    connection: sa.Connection,
    service: Service,
    *,
    monitor: str | None,
    metric: str | None,
    start: int | None,
    end: int | None,
    latest: bool,
) -> pd.DataFrame:
    """Return measurements, by window and line; the latest known alone unless told otherwise."""
    own = tables.measurement
    conditions = [own.c.service == service.id, *within(own.c.window_start, start, end)]
    conditions += [own.c[n] == v for n, v in (("monitor", monitor), ("metric", metric)) if v]
    moment = sa.case((own.c.known_as_of == NEVER, None), else_=own.c.known_as_of)
    columns = [moment.label(n) if n == "known_as_of" else own.c[n] for n in KINDS]
    order = (own.c.window_start, own.c.known_as_of, own.c.id)
    found = frame(connection, sa.select(*columns).where(*conditions).order_by(*order), KINDS)
    if latest:
        found = found.drop_duplicates(list(KEYS[:-1]), keep="last")
    return measurements(found)
