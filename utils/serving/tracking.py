"""Where MLflow keeps runs and models: a tracking store that is used for a while, quietly.

The tracking URI is an argument; else ``MLFLOW_TRACKING_URI``; else the workspace's ``mlflow.db``,
if it is there; else what MLflow takes by itself. MLflow's chatter (progress on standard error,
hints as warnings) is kept out: what goes wrong is raised. What MLflow means by a run that is not
there, a database that somebody else holds, or a file that is no database, is said in one line.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from utils.records import VigiaError
from utils.serving.keys import workspace

LOCK_WAIT_S = 8
"""How long a call waits for a registry that another process holds; MLflow alone waits 20 s."""

_using = threading.RLock()


class UnknownRun(VigiaError):
    """No run, or no experiment, of this name in the tracking store."""


class RegistryLocked(VigiaError):
    """Another process holds the tracking store, and did not let go of it in time."""


class UnusableRegistry(VigiaError):
    """What the tracking URI names cannot be used as a tracking store by this MLflow."""


def resolve_tracking_uri(tracking_uri: str | None = None) -> str:
    """Return the tracking URI to use, found as the module says."""
    if tracking_uri or (tracking_uri := os.environ.get("MLFLOW_TRACKING_URI")):
        return tracking_uri
    database = workspace() / "mlflow.db"
    return f"sqlite:///{database}" if database.exists() else mlflow.get_tracking_uri()


_LOUD = {
    "mlflow": logging.ERROR,
    # Before it raises what the database says, MLflow logs it, with a traceback.
    "mlflow.store.db.utils": logging.CRITICAL,
    "alembic": logging.ERROR,
}
"""From which level on each logger is heard."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what MLflow and Alembic say in passing out of the logs and of a notebook's outputs."""
    before = {name: logging.getLogger(name).level for name in _LOUD}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"mlflow\.")
        warnings.filterwarnings("ignore", message=".*integer column", category=UserWarning)
        for name, level in _LOUD.items():
            logging.getLogger(name).setLevel(level)
        try:
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)


@contextmanager
def tracking(tracking_uri: str | None = None) -> Iterator[MlflowClient]:
    """Give a client of a tracking store, which MLflow's own functions use meanwhile; quietly.

    A database that another process holds is waited for, each time for ``LOCK_WAIT_S`` at most.

    Raises, of what MLflow raises within: ``UnknownRun`` for a run that is not there,
    ``RegistryLocked``, and ``UnusableRegistry`` for what is no database, or one of another MLflow.
    Every other error is MLflow's own.
    """
    with _using, quiet(), _waiting_less():
        before = os.environ.get("MLFLOW_TRACKING_URI")
        uri = resolve_tracking_uri(tracking_uri)
        mlflow.set_tracking_uri(uri)
        try:
            with told(uri):
                yield MlflowClient(uri)
        finally:
            mlflow.set_tracking_uri(before)


@contextmanager
def told(tracking_uri: str) -> Iterator[None]:
    """Raise what MLflow means by some of its errors, in one line; see ``tracking``.

    ``tracking`` does this for all that is within it; it is for a place that catches MLflow's
    errors before they get there.

    >>> with told("sqlite:///mlflow.db"):
    ...     raise MlflowException("Run with id=4f2 not found")
    Traceback (most recent call last):
    utils.serving.tracking.UnknownRun: run 4f2: there is none of this id in sqlite:///mlflow.db; \
utils.serving.runs.runs_table lists those of an experiment
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        meant = _meant(error, tracking_uri)
        if meant is None:
            raise
        raise meant from error


_NO_RUN = r"""Run with id=(\S*) not found|Invalid value "(.*)" for parameter 'run_id'"""


def _meant(error: Exception, tracking_uri: str) -> VigiaError | None:
    """Return what an error of MLflow's means, where it is one of those that we name."""
    code = _sqlite_code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RegistryLocked(
            f"{tracking_uri}: another process holds it, and did not let go for some {LOCK_WAIT_S} "
            "s; wait until that process is done, or stop it, and try again: this call changed "
            "nothing"
        )
    if code is not None:
        return UnusableRegistry(
            f"{tracking_uri}: is no database that can be used ({_root(error)}); give the URI of "
            "another one, or move the file away: a new one is made"
        )
    text = str(error)
    if "out-of-date database schema" in text or "Can't locate revision" in text:
        return UnusableRegistry(
            f"{tracking_uri}: was made by another version of MLflow than {mlflow.__version__}; "
            "copy it, then run `mlflow db upgrade` with its URI, or use that version"
        )
    run = re.search(_NO_RUN, text)
    if run is None:
        return None
    return UnknownRun(
        f"run {run[1] or run[2]}: there is none of this id in {tracking_uri}; "
        "utils.serving.runs.runs_table lists those of an experiment"
    )


def _root(error: BaseException) -> BaseException:
    """Return the error that is at the beginning of others."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


_OF_THE_FILE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
)


def _sqlite_code(error: BaseException) -> int | None:
    """Return the code of an error of SQLite's that concerns the file, whatever is around it."""
    code = getattr(_root(error), "sqlite_errorcode", None)
    primary = code and code & 0xFF
    return primary if primary in _OF_THE_FILE else None


@contextmanager
def _waiting_less() -> Iterator[None]:
    """Let SQLite wait for ``LOCK_WAIT_S``: MLflow says 20 s to it, and has no setting for that."""
    within = event.contains(Engine, "before_cursor_execute", _wait_less)
    if not within:
        event.listen(Engine, "before_cursor_execute", _wait_less, retval=True)
    try:
        yield
    finally:
        if not within:
            event.remove(Engine, "before_cursor_execute", _wait_less)


def _wait_less(connection, cursor, statement, parameters, context, executemany):
    """Return a statement as it is sent; MLflow's one on waiting, with our time in it."""
    if statement.startswith("PRAGMA busy_timeout"):
        statement = f"PRAGMA busy_timeout = {LOCK_WAIT_S * 1000};"
    return statement, parameters


def experiment_id_of(client: MlflowClient, name: str) -> str:
    """Return the experiment's id, making it with its artifacts beside the database."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=_artifacts(client.tracking_uri))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return client.get_experiment_by_name(name).experiment_id  # another process was faster


def _artifacts(tracking_uri: str) -> str | None:
    _, sqlite, path = tracking_uri.partition("sqlite:///")
    return (Path(path).parent / "mlartifacts").resolve().as_uri() if sqlite else None
