"""Labels: they come late, out of order and again, and none overwrites another.

In force at a moment is the label with the largest ``known_at`` that is not after it; of two with
the same ``known_at``, the one written last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import pandas as pd
import sqlalchemy as sa

from utils.records import LABEL_COLUMNS
from utils.store import predictions, values
from utils.store.engines import Backend
from utils.store.tables import Service

Labels = list[tuple]
"""Labels of one prediction, each as (known_at, revision, label)."""


def write(
    backend: Backend, connection: sa.Connection, services: Sequence[Service], labels: pd.DataFrame
) -> Counter:
    """Store labels, each in the service that has its prediction, and count what they were."""
    if set(labels.columns) != set(LABEL_COLUMNS):
        raise ValueError(
            f"labels: has the columns {', '.join(map(str, labels.columns)) or 'none'}; "
            f"it takes {', '.join(LABEL_COLUMNS)}"
        )
    labels = labels.reset_index(drop=True)
    for service in services:
        backend.lock(connection, service.id)
    counts: Counter = Counter()
    for part in predictions.slices(len(labels)):
        counts += _write_part(backend, connection, services, labels.iloc[part])
    return counts


def _write_part(
    backend: Backend, connection: sa.Connection, services: Sequence[Service], labels: pd.DataFrame
) -> Counter:
    ids = values.encode_column("prediction_id", "id", labels["prediction_id"])
    owners = predictions.owners(backend, connection, services, ids)
    counts: Counter = Counter()
    for service in services:
        places = [at for at, id in enumerate(ids) if owners[id][0] is service]
        if places:
            numbers = [owners[ids[at]][1] for at in places]
            own = labels.iloc[places]
            known_ats = _complete("known_at", "datetime", own["known_at"])
            answers = _complete("label", service.output, own["label"])
            known = _known(backend, connection, service, [ids[at] for at in places])
            counts += _add(
                backend, connection, service, known, zip(numbers, known_ats, answers, strict=True)
            )
    return counts


def _complete(name: str, kind: str, column: pd.Series) -> list:
    encoded = values.encode_column(name, kind, column)
    if None in encoded:
        raise ValueError(f"{name}: row {column.index[encoded.index(None)]}: is missing")
    return encoded


def _known(
    backend: Backend, connection: sa.Connection, service: Service, ids: Sequence[str]
) -> dict[int, Labels]:
    """Return the labels stored of some predictions, by row number."""
    table, label = service.predictions, service.labels
    rows = connection.execute(
        sa.select(label.c.prediction, label.c.known_at, label.c.revision, label.c.label)
        .join(table, table.c.id == label.c.prediction)
        .where(backend.is_one_of(table.c.prediction_id, ids))
    )
    known: dict[int, Labels] = {}
    for number, *one in rows:
        known.setdefault(number, []).append(tuple(one))
    return known


def _add(
    backend: Backend,
    connection: sa.Connection,
    service: Service,
    known: dict[int, Labels],
    arrivals: zip,
) -> Counter:
    """Store each arrival that says something else than the label in force at its ``known_at``."""
    counts: Counter = Counter()
    added = []
    for number, known_at, answer in arrivals:
        history = known.setdefault(number, [])
        if history and _in_force(history, known_at) == answer:
            counts["repeated"] += 1
            continue
        counts["revised" if history else "new"] += 1
        history.append((known_at, len(history) + 1, answer))
        added.append((number, *history[-1]))
    if added:
        names = ("prediction", "known_at", "revision", "label")
        columns = dict(zip(names, zip(*added, strict=True), strict=True))
        backend.insert(connection, service.labels, columns)
    return counts


def _in_force(history: Labels, known_at: int) -> Any:
    """Return the label in force at a moment, or ``None`` where none is known yet."""
    known = [label for label in history if label[0] <= known_at]
    return max(known, key=itemgetter(0, 1))[2] if known else None


def history(service: Service) -> sa.Select:
    """Select every label ever stored, in the order of writing for each prediction."""
    table, label = service.predictions, service.labels
    return (
        sa.select(table.c.prediction_id, label.c.label, label.c.known_at, label.c.revision)
        .join(table, table.c.id == label.c.prediction)
        .order_by(label.c.prediction, label.c.revision)
    )
