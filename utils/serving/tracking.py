"""Where MLflow keeps runs and models: a tracking store that is used for a while, quietly.

The tracking URI is an argument; else ``MLFLOW_TRACKING_URI``; else the workspace's ``mlflow.db``,
if it is there; else what MLflow takes by itself. MLflow's chatter (progress on standard error,
hints as warnings) is kept out: what goes wrong is raised.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient

from utils.serving.keys import workspace

_using = threading.RLock()


def resolve_tracking_uri(tracking_uri: str | None = None) -> str:
    """Return the tracking URI to use, found as the module says."""
    if tracking_uri or (tracking_uri := os.environ.get("MLFLOW_TRACKING_URI")):
        return tracking_uri
    database = workspace() / "mlflow.db"
    return f"sqlite:///{database}" if database.exists() else mlflow.get_tracking_uri()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what MLflow and Alembic say in passing out of the logs and of a notebook's outputs."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"mlflow\.")
        warnings.filterwarnings("ignore", message=".*integer column", category=UserWarning)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def tracking(tracking_uri: str | None = None) -> Iterator[MlflowClient]:
    """Give a client of a tracking store, which MLflow's own functions use meanwhile; quietly."""
    with _using, quiet():
        before = os.environ.get("MLFLOW_TRACKING_URI")
        uri = resolve_tracking_uri(tracking_uri)
        mlflow.set_tracking_uri(uri)
        try:
            yield MlflowClient(uri)
        finally:
            mlflow.set_tracking_uri(before)


def experiment_id_of(client: MlflowClient, name: str) -> str:
    """Return the experiment's id, making it with its artifacts beside the database."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    return client.create_experiment(name, artifact_location=_artifacts(client.tracking_uri))


def _artifacts(tracking_uri: str) -> str | None:
    _, sqlite, path = tracking_uri.partition("sqlite:///")
    return (Path(path).parent / "mlartifacts").resolve().as_uri() if sqlite else None
