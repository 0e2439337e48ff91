"""What was tracked: metrics of a prediction, added one after the other, and of a window."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from utils.records import UnknownDeployment
from utils.store import tables, values
from utils.store.frames import within
from utils.store.services import DEPLOYMENTS, load_service
from utils.store.tables import Service


def read(
    connection: sa.Connection,
    *,
    crns: Mapping[str, str],
    start: int | None,
    end: int | None,
    prediction_id: str | None,
) -> list[dict[str, Any]]:
    """Return one dict for each prediction in the window, then one for each aggregate."""
    deployments = _with_crns(connection, crns)
    answers = []
    for service_id in dict.fromkeys(row.service for row in deployments.values()):
        service = load_service(connection, service_id)
        table = service.predictions
        conditions = within(table.c.event_time, start, end)
        conditions.append(table.c.deployment.in_(list(deployments)))
        if prediction_id is not None:
            conditions.append(table.c.prediction_id == prediction_id)
        answers += _of_predictions(connection, service, deployments, conditions)
    if prediction_id is None:
        conditions = within(tables.aggregate.c.start_time, start, end)
        conditions.append(tables.aggregate.c.deployment.in_(list(deployments)))
        answers += _of_windows(connection, deployments, conditions)
    return answers


def _with_crns(connection: sa.Connection, crns: Mapping[str, str]) -> dict[int, sa.Row]:
    """Return the deployments, by number, that have all the CRNs given."""
    chosen = DEPLOYMENTS.where(*(tables.deployment.c[name] == crn for name, crn in crns.items()))
    found = {row.id: row for row in connection.execute(chosen.order_by(tables.deployment.c.id))}
    if crns and not found:
        said = ", ".join(f"{name}={crn!r}" for name, crn in crns.items())
        raise UnknownDeployment(f"no deployment has {said}")
    return found


def _of_predictions(
    connection: sa.Connection,
    service: Service,
    deployments: Mapping[int, sa.Row],
    conditions: list[Any],
) -> list[dict[str, Any]]:
    table, metric = service.predictions, tables.metric
    predictions = (
        sa.select(table.c.id, table.c.deployment, table.c.event_time, table.c.prediction_id)
        .where(*conditions)
        .order_by(table.c.event_time, table.c.id)
    )
    tracked = (
        sa.select(metric.c.prediction, metric.c.metrics)
        .join(table, table.c.id == metric.c.prediction)
        .where(metric.c.service == service.id, *conditions)
        .order_by(metric.c.known_at, metric.c.id)
    )
    answers = {}
    for number, deployment, event_time, prediction_id in connection.execute(predictions):
        at = values.as_datetime(event_time)
        answers[number] = _crns(deployments[deployment]) | {
            "event_time": at,
            "start": at,
            "end": at,
            "prediction_id": prediction_id,
            "metrics": {},
        }
    for number, metrics in connection.execute(tracked):
        answers[number]["metrics"].update(json.loads(metrics))
    return list(answers.values())


def _of_windows(
    connection: sa.Connection, deployments: Mapping[int, sa.Row], conditions: list[Any]
) -> list[dict[str, Any]]:
    table = tables.aggregate
    rows = connection.execute(
        sa.select(table).where(*conditions).order_by(table.c.start_time, table.c.id)
    )
    return [
        _crns(deployments[row.deployment])
        | {
            "event_time": None,
            "start": values.as_datetime(row.start_time),
            "end": values.as_datetime(row.end_time),
            "prediction_id": "",
            "metrics": json.loads(row.metrics),
        }
        for row in rows
    ]


def _crns(deployment: sa.Row) -> dict[str, Any]:
    return {
        "deployment_crn": deployment.deployment_crn,
        "build_crn": deployment.build_crn,
        "model_crn": deployment.model_crn,
    }
