"""Retention and erasure: rows go for good, and a row of the audit says so.

The audit keeps no personal value, only its salted SHA-256: whoever knows the value can show that
it was erased. A hash hides a value only as well as the value is hard to guess.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from utils.records import Kind
from utils.store import tables, values
from utils.store.frames import stored_columns
from utils.store.tables import Service

AUDIT_COLUMNS: dict[str, Kind] = {
    "done_at": "datetime",
    "action": "string",
    "deployment": "string",
    "reason": "string",
    "before": "datetime",
    "column": "string",
    "value_sha256": "string",
    "predictions": "long",
    "labels": "long",
    "metrics": "long",
}
AUDIT = sa.select(
    tables.audit.c.done_at,
    tables.audit.c.action,
    tables.audit.c.deployment,
    tables.audit.c.reason,
    tables.audit.c.before_time,
    tables.audit.c.erased_column,
    tables.audit.c.value_sha256,
    tables.audit.c.predictions,
    tables.audit.c.labels,
    tables.audit.c.metrics,
).order_by(tables.audit.c.id)
"""Every removal, oldest first, in the columns of ``AUDIT_COLUMNS``."""


def remove(
    connection: sa.Connection, service: Service, condition: sa.ColumnElement[bool]
) -> dict[str, int]:
    """Delete predictions with their labels and tracked metrics, and count each."""
    chosen = sa.select(service.predictions.c.id).where(condition)
    metric, label = tables.metric, service.labels
    metrics = sa.delete(metric).where(
        metric.c.service == service.id, metric.c.prediction.in_(chosen)
    )
    return {
        "metrics": connection.execute(metrics).rowcount,
        "labels": connection.execute(
            sa.delete(label).where(label.c.prediction.in_(chosen))
        ).rowcount,
        "predictions": connection.execute(sa.delete(service.predictions).where(condition)).rowcount,
    }


def write_audit(
    connection: sa.Connection,
    *,
    action: str,
    service: Service,
    reason: str,
    done_at: datetime,
    counts: Mapping[str, int],
    **about: Any,
) -> None:
    """Add a row to the audit."""
    connection.execute(
        sa.insert(tables.audit).values(
            action=action,
            deployment=service.name,
            reason=reason,
            done_at=values.encode_required("done_at", "datetime", done_at),
            **counts,
            **about,
        )
    )


def check_reason(reason: str, *, without: Any = None) -> str:
    """Refuse a reason that is empty, or that tells the very value that is being erased."""
    said = values.encode_required("reason", "string", reason)
    if not said.strip():
        raise ValueError(f"reason={reason!r}: say why, the audit keeps it")
    if without is not None and re.search(rf"(?<!\w){re.escape(str(without))}(?!\w)", said):
        raise ValueError("reason: holds the value to erase, and the audit would keep it")
    return said


def subject(service: Service, column: str, value: Any) -> tuple[sa.ColumnElement, Any]:
    """Return the column that a subject is found by, and the value as it is stored.

    Raises ``ValueError`` for a column that is neither ``client`` nor an input, or holds JSON, and
    for a missing value.
    """
    inputs = [feature.read_as for feature in service.features if feature.kind != "json"]
    if column not in ("client", *inputs):
        raise ValueError(
            f"column={column!r}: a subject is found by client, or by an input that is no JSON: "
            f"{', '.join(inputs) or 'there is none'}"
        )
    stored, kind = stored_columns(service)[column]
    return stored, values.encode_required("value", kind, value)


def forget_client(connection: sa.Connection, service: Service, client: str) -> None:
    """Delete the access keys of a client, which carry its name."""
    key = tables.access_key
    connection.execute(sa.delete(key).where(key.c.service == service.id, key.c.client == client))


def digest(connection: sa.Connection, service: Service, column: str, value: Any) -> str:
    """Return the salted SHA-256 by which the audit knows an erased value."""
    told = f"{_salt(connection)}\n{service.name!r}\n{column!r}\n{value!r}"
    return hashlib.sha256(told.encode()).hexdigest()


def _salt(connection: sa.Connection) -> str:
    """Return the salt of this store, made when it is first asked for."""
    connection.execute(
        sa.update(tables.store)
        .where(tables.store.c.salt.is_(None))
        .values(salt=secrets.token_hex(32))
    )
    return connection.scalar(sa.select(tables.store.c.salt))
