"""How a store of any older version becomes one of today: steps that are never edited again.

Step *n* takes a store from version *n* to *n* + 1; an empty database is version 0, so a new store
is made by the very steps that an old one goes through. Each step is SQL text that both databases
take as it stands, but for the words in ``WORDS``.
"""

from __future__ import annotations

import sqlalchemy as sa

from utils.store import tables
from utils.store.engines import Backend, StoreUnavailable

WORDS = {
    "sqlite": {"number": "INTEGER PRIMARY KEY"},
    "postgresql": {"number": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"},
}

STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE vigia_store (version INTEGER NOT NULL)",
        "INSERT INTO vigia_store (version) VALUES (0)",
        """CREATE TABLE vigia_service (
            id {number}, name TEXT NOT NULL UNIQUE, output TEXT NOT NULL)""",
        """CREATE TABLE vigia_deployment (
            id {number}, service BIGINT NOT NULL, model_name TEXT NOT NULL,
            model_version TEXT NOT NULL, model_uri TEXT NOT NULL, model_crn TEXT NOT NULL,
            build_crn TEXT NOT NULL, deployment_crn TEXT NOT NULL UNIQUE,
            created_at BIGINT NOT NULL, inputs TEXT NOT NULL)""",
        """CREATE TABLE vigia_feature (
            service BIGINT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL,
            kind TEXT NOT NULL, db_column TEXT NOT NULL,
            PRIMARY KEY (service, position), UNIQUE (service, name))""",
        """CREATE TABLE vigia_metric (
            id {number}, service BIGINT NOT NULL, prediction BIGINT NOT NULL,
            known_at BIGINT NOT NULL, metrics TEXT NOT NULL)""",
        "CREATE INDEX vigia_metric_of_prediction ON vigia_metric (service, prediction)",
        """CREATE TABLE vigia_aggregate (
            id {number}, deployment BIGINT NOT NULL, start_time BIGINT NOT NULL,
            end_time BIGINT NOT NULL, metrics TEXT NOT NULL)""",
        """CREATE INDEX vigia_aggregate_of_deployment
            ON vigia_aggregate (deployment, start_time)""",
    ),
    (
        "ALTER TABLE vigia_store ADD COLUMN salt TEXT",
        """CREATE TABLE vigia_access_key (
            service BIGINT NOT NULL, key_hash TEXT NOT NULL, client TEXT NOT NULL,
            PRIMARY KEY (service, key_hash))""",
        """CREATE TABLE vigia_audit (
            id {number}, done_at BIGINT NOT NULL, action TEXT NOT NULL, deployment TEXT NOT NULL,
            reason TEXT NOT NULL, before_time BIGINT, erased_column TEXT, value_sha256 TEXT,
            predictions BIGINT NOT NULL, labels BIGINT NOT NULL, metrics BIGINT NOT NULL)""",
    ),
    (
        """CREATE TABLE vigia_measurement (
            id {number}, service BIGINT NOT NULL, monitor TEXT NOT NULL, metric TEXT NOT NULL,
            feature TEXT NOT NULL, "group" TEXT NOT NULL, window_start BIGINT NOT NULL,
            window_end BIGINT NOT NULL, known_as_of BIGINT NOT NULL, value DOUBLE PRECISION,
            low DOUBLE PRECISION, high DOUBLE PRECISION, threshold_low DOUBLE PRECISION,
            threshold_high DOUBLE PRECISION, alarm BOOLEAN NOT NULL, n_reference BIGINT NOT NULL,
            n_current BIGINT NOT NULL)""",
        """CREATE UNIQUE INDEX vigia_measurement_of_line ON vigia_measurement
            (service, window_start, metric, feature, "group", monitor, window_end,
            known_as_of)""",
        """CREATE TABLE vigia_event (
            id {number}, stream TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
            at BIGINT NOT NULL, body TEXT NOT NULL, UNIQUE (stream, key))""",
        """CREATE TABLE vigia_lease (
            name TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at BIGINT NOT NULL)""",
    ),
)

VERSION = len(STEPS)
"""The version of store that this code reads and writes."""


def version(connection: sa.Connection) -> int:
    """Return the version of the store; 0 where there is none yet."""
    if not sa.inspect(connection).has_table(tables.store.name):
        return 0
    return connection.scalar(sa.select(tables.store.c.version))


def _known(backend: Backend, found: int) -> int:
    if found > VERSION:
        raise StoreUnavailable(
            f"{backend.shown}: the store has version {found} and this code knows {VERSION}: "
            "a newer Vigia wrote it; update this one"
        )
    return found


def migrate(backend: Backend) -> None:
    """Bring the store to ``VERSION`` in one transaction, once, whoever else is opening it too.

    Raises ``StoreUnavailable`` for a store of a newer version.
    """
    with backend.reading() as connection:
        if _known(backend, version(connection)) == VERSION:
            return
    words = WORDS[backend.engine.dialect.name]
    with backend.writing() as connection:
        backend.lock(connection, 0)
        found = _known(backend, version(connection))
        for step in STEPS[found:]:
            for statement in step:
                connection.exec_driver_sql(statement.format(**words))
        connection.execute(sa.update(tables.store).values(version=VERSION))
