"""SQLite and PostgreSQL behind one face: transactions, bulk loading, locks, errors.

What the two do differently is here and nowhere else.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from utils.records import VigiaError

BUSY_TIMEOUT_S = 30
"""How long a writer waits for another before it gives up."""

PAGE_BYTES = 8_192
CACHE_KIB = 65_536
"""Measured on a million rows: random ids load half as fast again as with SQLite's defaults."""

LOCK_SPACE = 0x56494749
"""Sets our PostgreSQL advisory locks apart from those of other programs ("VIGI")."""


class StoreUnavailable(VigiaError):
    """The store cannot be opened or used; the message names it and the way out."""


class NoStoreUrl(VigiaError, ValueError):
    """The URL is not that of a store."""


HINTS = (
    ("file is not a database", "this file is something else, or damaged: name another"),
    ("malformed", "the file is damaged: bring back a copy of it"),
    ("unable to open database file", "the folder must exist, and you must be allowed to write"),
    ("readonly", "you must be allowed to write the file and its folder"),
    ("read-only", "you must be allowed to write the database"),
    ("locked", f"another program held it for more than {BUSY_TIMEOUT_S} s: try again"),
    ("lock timeout", f"another program held it for more than {BUSY_TIMEOUT_S} s: try again"),
    ("row is too big", "PostgreSQL gives a row 8 kB: too many inputs for it hold text; use SQLite"),
    ("is full", "free space on the disk"),
    ("No space left", "free space on the disk"),
    ("password authentication", "correct the user and the password in the URL"),
    ("does not exist", "make the database first, or correct the URL"),
    ("permission denied", "the user in the URL needs the right to create tables"),
    ("connection", "is the server running, and are host and port right?"),
)

CALLERS_ERRORS = (sa.exc.IntegrityError, sa.exc.DataError, sa.exc.ProgrammingError)


def _hint(said: str) -> str:
    return next((hint for fragment, hint in HINTS if fragment in said), "see the reason given")


def _shown(url: sa.URL) -> str:
    """Return the URL for people: without its password, wherever that stands."""
    secrets = {name: "hidden" for name in ("password", "sslpassword") if name in url.query}
    return url.update_query_dict(secrets).render_as_string(hide_password=True)


class Backend:
    """An engine and the few things that each database does in its own way."""

    drivername: str
    reads: dict[str, Any]
    writes: dict[str, Any]
    no_transaction: dict[str, Any]

    def __init__(self, url: sa.URL):
        self.shown = _shown(url)
        try:
            self.engine = sa.create_engine(
                url.set(drivername=self.drivername), hide_parameters=True, **self._options(url)
            )
        except ImportError as error:
            raise StoreUnavailable(
                f"{self.shown}: the driver {error.name} is not installed: "
                'pip install "psycopg[binary]"'
            ) from error

    def _options(self, url: sa.URL) -> dict[str, Any]:
        return {}

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Give a connection that sees one state of the store."""
        with self._transaction(self.reads) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Give a connection whose changes are all kept, durably, or none of them."""
        with self._transaction(self.writes) as connection:
            yield connection

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[sa.Connection]:
        with self._named_errors(), self.engine.connect() as connection:
            connection = connection.execution_options(**options)
            with connection.begin():
                yield connection

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Turn what the database, not the caller, is to blame for into ``StoreUnavailable``."""
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            if isinstance(error, CALLERS_ERRORS) and "permission denied" not in str(error):
                raise
            said = " ".join(str(getattr(error, "orig", None) or error).split())
            raise StoreUnavailable(f"{self.shown}: {said}: {_hint(said)}") from error

    def close(self) -> None:
        self.engine.dispose()

    def insert(
        self, connection: sa.Connection, table: sa.Table, columns: dict[str, Sequence[Any]]
    ) -> None:
        """Add rows, given as columns of equal length; the fastest way that the driver has.

        Raises ``sqlalchemy.exc.IntegrityError`` for a value that must be unique and is not.
        """
        raise NotImplementedError

    def _target(self, table: sa.Table, columns: Iterable[str]) -> str:
        quoted = self.engine.dialect.identifier_preparer
        return f"{quoted.format_table(table)} ({', '.join(map(quoted.quote, columns))})"

    def is_one_of(self, column: sa.Column, texts: Sequence[str]) -> sa.ColumnElement[bool]:
        """Return the condition that a column holds one of the texts, however many they are."""
        return column.in_(sa.select(self._listed(texts).c.value))

    def _listed(self, texts: Sequence[str]) -> sa.TableValuedAlias:
        """Return texts as a table of one column, ``value``, in one bound parameter."""
        raise NotImplementedError

    def lock(self, connection: sa.Connection, number: int) -> None:
        """Let no other transaction that takes the same lock pass before this one ends."""
        raise NotImplementedError

    def rewrite(self, tables: Iterable[sa.Table]) -> None:
        """Write the tables anew, so that the files hold nothing of rows that are deleted."""
        raise NotImplementedError


class SQLite(Backend):
    """A file, in WAL mode; or memory (``sqlite://``), on one connection that all share."""

    drivername = "sqlite+pysqlite"
    reads = {"begin": "BEGIN"}
    writes = {"begin": "BEGIN IMMEDIATE"}
    no_transaction = {"begin": None}

    def __init__(self, url: sa.URL):
        super().__init__(url)
        sa.event.listen(self.engine, "connect", self._prepare)
        sa.event.listen(self.engine, "begin", self._begin)

    def _options(self, url: sa.URL) -> dict[str, Any]:
        options = {"connect_args": {"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}}
        if url.database in (None, "", ":memory:"):
            options |= {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0}
        return options

    @staticmethod
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, in ``_begin``
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # counts for a new file only
        give_up = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                # The change to WAL is the one lock for which SQLite does not wait by itself.
                if "locked" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA secure_delete = ON")
        cursor.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        cursor.close()

    @staticmethod
    def _begin(connection: sa.Connection) -> None:
        begin = connection.get_execution_options()["begin"]
        if begin is not None:
            connection.exec_driver_sql(begin)

    def insert(self, connection, table, columns):
        marks = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {self._target(table, columns)} VALUES ({marks})"
        connection.exec_driver_sql(statement, list(zip(*columns.values(), strict=True)))

    def _listed(self, texts):
        return sa.func.json_each(json.dumps(list(texts))).table_valued("value")

    def lock(self, connection, number):
        """Do nothing: ``BEGIN IMMEDIATE`` lets in one writer at a time."""

    def rewrite(self, tables):
        """Rewrite the whole file, and empty the log that lies beside it."""
        with self._transaction(self.no_transaction) as connection:
            connection.exec_driver_sql("VACUUM")
            [busy, *_] = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            if busy:
                raise StoreUnavailable(f"{self.shown}: another program is reading it")


class PostgreSQL(Backend):
    """A PostgreSQL database, through psycopg 3; bulk loading is ``COPY``."""

    drivername = "postgresql+psycopg"
    reads = {"isolation_level": "REPEATABLE READ", "stream_results": True}
    writes = {"isolation_level": "READ COMMITTED"}
    no_transaction = {"isolation_level": "AUTOCOMMIT"}

    def __init__(self, url: sa.URL):
        super().__init__(url)
        sa.event.listen(self.engine, "connect", self._prepare)

    def _options(self, url: sa.URL) -> dict[str, Any]:
        options: dict[str, Any] = {"pool_pre_ping": True}
        if "connect_timeout" not in url.query:
            options["connect_args"] = {"connect_timeout": 10}
        return options

    @staticmethod
    def _prepare(connection: Any, _record: Any) -> None:
        from psycopg import ServerCursor
        from psycopg.pq import Format

        class BinaryServerCursor(ServerCursor):
            """Streams rows in the binary format: more than twice as many a second."""

            def __init__(self, *args: Any, **kwargs: Any):
                super().__init__(*args, **kwargs)
                self.format = Format.BINARY

        connection.server_cursor_factory = BinaryServerCursor
        connection.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'")
        connection.commit()

    def insert(self, connection, table, columns):
        statement = f"COPY {self._target(table, columns)} FROM STDIN"
        dialect = self.engine.dialect
        try:
            with connection.connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in zip(*columns.values(), strict=True):
                    copy.write_row(row)
        except dialect.dbapi.Error as error:
            raise sa.exc.DBAPIError.instance(
                statement, None, error, dialect.dbapi.Error, dialect=dialect
            ) from error

    def _listed(self, texts):
        array = sa.literal(list(texts), ARRAY(sa.Text))
        return sa.func.unnest(array).table_valued("value").render_derived()

    def lock(self, connection, number):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK_SPACE, number)))

    def rewrite(self, tables):
        """Rewrite the tables' files and statistics; the server's own log is its keeper's affair."""
        quoted = self.engine.dialect.identifier_preparer
        with self._transaction(self.no_transaction) as connection:
            for table in tables:
                connection.exec_driver_sql(f"VACUUM (FULL, ANALYZE) {quoted.format_table(table)}")


def backend(url: str) -> Backend:
    """Return the backend that a URL names; it connects when it is first used.

    Raises ``NoStoreUrl`` for a URL of no store, ``StoreUnavailable`` for a missing driver.

    >>> backend("mysql://me:secret@host/db")
    Traceback (most recent call last):
    utils.store.engines.NoStoreUrl: url='mysql://me:***@host/db': a store is sqlite:///PATH or postgresql://…
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise NoStoreUrl("url is no URL: a store is sqlite:///PATH or postgresql://…") from error
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return SQLite(parsed)
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return PostgreSQL(parsed)
    raise NoStoreUrl(f"url={_shown(parsed)!r}: a store is sqlite:///PATH or postgresql://…")
