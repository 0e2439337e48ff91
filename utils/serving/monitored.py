"""Monitoring results in MLflow: a run for each evaluation, beside the model version it is of.

Whoever looks at a version in MLflow finds there how it fared; whoever looks at the run finds the
version. Each has a key, so an evaluation that is done again is not logged again, and one that broke
off is logged anew.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric

from utils.monitors.alerts import Alert
from utils.monitors.infrastructure import sample
from utils.records import LINE, Deployment, measurements
from utils.serving.runs import MEASUREMENTS, write_measurements
from utils.serving.tracking import experiment_id_of, tracking

ALERTS = "alerts.json"
KEY = "vigia.monitoring.key"
RUN = "vigia.monitoring.run"
_BATCH = 1_000
_SYSTEM = {
    "cpu_share": ("system/cpu_utilization_percentage", 100.0),
    "memory_share": ("system/system_memory_usage_percentage", 100.0),
    "disk_share": ("system/disk_usage_percentage", 100.0),
    "memory_bytes": ("system/process_memory_usage_megabytes", 1e-6),
}
"""Readings of ``infrastructure.sample``, and MLflow's names and units of them."""


def log_monitoring(
    deployment: Deployment,
    table: pd.DataFrame,
    alerts: Sequence[Alert] = (),
    *,
    key: str,
    at: datetime,
    tracking_uri: str | None = None,
    system: bool = True,
) -> str:
    """Log what was measured of a deployment as a run, and return the run's id.

    The run is in the experiment ``monitoring/<deployment>``. Each line is a metric, named
    ``<monitor>/<metric>`` and then its feature and group, with a step for each window and the end
    of the window as its time; ``.low`` and ``.high`` are its interval, ``.alarm`` 1 where it
    alarmed. The artifacts ``measurements.csv`` and ``alerts.json`` hold all of it. With ``system``
    one reading of this host is logged under MLflow's own names of system metrics.

    The run carries the model's name and version as tags, and the registered version, where there is
    one, the id of its newest monitoring run (``vigia.monitoring.run``). ``key`` is the evaluation's
    own: a second call with it returns the run that stands.

    Raises ``ValueError`` for an empty key.
    """
    if not key.strip():
        raise ValueError(f"key={key!r}: must not be empty")
    rows = measurements(table)
    with tracking(tracking_uri) as client:
        experiment = experiment_id_of(client, f"monitoring/{deployment.name}")
        if standing := _standing(client, experiment, key):
            return standing
        started = client.create_run(
            experiment, start_time=_ms(at), run_name=key, tags=_tags(deployment, key, alerts)
        )
        run_id = started.info.run_id
        found = [*_metrics(rows), *(_system(at) if system else ())]
        for first in range(0, len(found), _BATCH):
            client.log_batch(run_id, metrics=found[first : first + _BATCH])
        _artifacts(client, run_id, rows, alerts)
        _link(client, deployment, run_id)
        client.set_terminated(run_id, end_time=_ms(at))
    return run_id


def _standing(client: MlflowClient, experiment: str, key: str) -> str | None:
    """Return the finished run of a key; one that broke off is deleted."""
    for run in client.search_runs([experiment], f"tags.`{KEY}` = '{_digest(key)}'"):
        if run.info.status == "FINISHED":
            return run.info.run_id
        client.delete_run(run.info.run_id)
    return None


def _digest(key: str) -> str:
    """Return a key as MLflow can search for it, whatever letters it has."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _tags(deployment: Deployment, key: str, alerts: Sequence[Alert]) -> dict[str, str]:
    return {
        KEY: _digest(key),
        "vigia.deployment": deployment.name,
        "vigia.deployment_crn": deployment.deployment_crn,
        "vigia.model_name": deployment.model_name,
        "vigia.model_version": deployment.model_version,
        "vigia.alerts": str(len(alerts)),
    }


def _metrics(rows: pd.DataFrame) -> list[Metric]:
    steps = rows["window_start"].rank(method="dense").astype("int64") - 1
    found = []
    for step, row in zip(steps, rows.to_dict("records"), strict=True):
        name = metric_key(row)
        end = _ms(row["window_end"])
        numbers: dict[str, Any] = {
            name: row["value"],
            f"{name}.low": row["low"],
            f"{name}.high": row["high"],
            f"{name}.alarm": float(row["alarm"]),
        }
        found += [
            Metric(key, float(value), timestamp=end, step=int(step))
            for key, value in numbers.items()
            if not pd.isna(value)
        ]
    return found


def metric_key(row: dict[str, Any]) -> str:
    """Return the name of a line's metric, of the letters that MLflow takes.

    >>> metric_key({"monitor": "drift", "metric": "psi", "feature": "age (years)", "group": ""})
    'drift/psi/age _years_'
    """
    parts = [row[name] for name in LINE if row[name]]
    return "/".join(re.sub(r"[^\w.\- ]", "_", str(part)) for part in parts)[:240]


def _system(at: datetime) -> list[Metric]:
    read = sample(over_s=0.05)
    return [
        Metric(name, float(read[column]) * scale, timestamp=_ms(at), step=0)
        for column, (name, scale) in _SYSTEM.items()
    ]


def _artifacts(
    client: MlflowClient, run_id: str, rows: pd.DataFrame, alerts: Sequence[Alert]
) -> None:
    with TemporaryDirectory() as folder:
        write_measurements(rows, Path(folder) / MEASUREMENTS)
        told = json.dumps([asdict(each) for each in alerts], default=str, ensure_ascii=False)
        (Path(folder) / ALERTS).write_text(told, encoding="utf-8")
        client.log_artifacts(run_id, folder)


def _link(client: MlflowClient, deployment: Deployment, run_id: str) -> None:
    """Let the registered version name its run; a model that is in no registry has none."""
    name, version = deployment.model_name, deployment.model_version
    try:
        client.set_model_version_tag(name, version, RUN, run_id)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
