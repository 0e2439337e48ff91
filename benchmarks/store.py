"""The store beside the floor: the same rows through plain ``sqlite3``, in one run.

``python -m benchmarks.store [--rows N] [--repeat K] [--url postgresql://…]`` loads N predictions
of 12 inputs (8 numbers, 4 categories), reads them back, and prints rows a second, each the best
of K, by the clock and by the processor's time of this process, which others on the machine disturb
less. The floor takes ready-made tuples into the same table with the same indexes, in one durable
transaction, and gives back tuples; ours takes a frame and gives back a frame.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from utils.records import Column, Deployment, Schema
from utils.store import Store, open_store

NUMBERS = [f"number_{at}" for at in range(8)]
CATEGORIES = [f"category_{at}" for at in range(4)]
SCHEMA = Schema(
    columns=(
        *(Column(name=name, kind="double") for name in NUMBERS),
        *(Column(name=name, kind="string") for name in CATEGORIES),
    )
)
APPENDED = 2_000
BATCH = 20


@dataclass(frozen=True, kw_only=True)
class Measured:
    what: str
    rows_per_s: float = float("nan")
    rows_per_cpu_s: float = float("nan")
    megabytes: float = float("nan")


def traffic(rows: int, *, time_ordered: bool, rng: np.random.Generator) -> pd.DataFrame:
    """Return predictions half a minute apart, with UUIDv7 or UUIDv4 for ids."""
    words = rng.integers(0, 1 << 62, size=(rows, 2)).tolist()
    if time_ordered:
        ids = [
            (1_700_000_000_000 + at << 80) | 7 << 76 | 2 << 62 | low
            for at, (_, low) in enumerate(words)
        ]
    else:
        ids = [high << 66 | 4 << 76 | low for high, low in words]
    labels = np.array([f"value {at}" for at in range(20)])
    columns = {
        "prediction_id": [str(uuid.UUID(int=id % (1 << 128))) for id in ids],
        "event_time": pd.date_range("2013-01-01", periods=rows, freq="30s", tz="UTC", unit="us"),
        "model_version": "1",
        "client": "tower",
        "latency_ms": rng.random(rows),
        "prediction": rng.normal(size=rows),
        "score": rng.random(rows),
    }
    columns |= {name: rng.normal(size=rows) for name in NUMBERS}
    columns |= {name: labels[rng.integers(0, 20, rows)] for name in CATEGORIES}
    return pd.DataFrame(columns)


def deployment(name: str) -> Deployment:
    return Deployment(
        name=name,
        model_name="model",
        model_version="1",
        model_uri="models:/model/1",
        model_crn="crn:model",
        build_crn="crn:build",
        deployment_crn=f"crn:{name}:{uuid.uuid4()}",
        created_at=datetime(2013, 1, 1, tzinfo=UTC),
    )


def measured(what: str, rows: int, work: Callable[[], object]) -> Measured:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Measured(
        what=what,
        rows_per_s=rows / (time.perf_counter() - clock),
        rows_per_cpu_s=rows / (time.process_time() - processor),
    )


def on_disk(folder: Path) -> Measured:
    total = sum(file.stat().st_size for file in folder.iterdir())
    return Measured(what="all of it on disk", megabytes=total / 1e6)


def floor(frame: pd.DataFrame, folder: Path) -> Iterator[Measured]:
    """Measure ``sqlite3`` by itself."""
    types = ["TEXT", "INTEGER", "TEXT", "TEXT", "REAL", "REAL", "REAL"]
    types += ["REAL"] * len(NUMBERS) + ["TEXT"] * len(CATEGORIES)
    columns = [f"{name} {kind}" for name, kind in zip(frame.columns, types, strict=True)]
    lists = [
        frame[name].astype("int64").to_list() if name == "event_time" else frame[name].to_list()
        for name in frame.columns
    ]
    tuples = list(zip(*lists, strict=True))
    marks = ", ".join("?" for _ in columns)
    with closing(sqlite3.connect(folder / "floor.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"CREATE TABLE p (id INTEGER PRIMARY KEY, {', '.join(columns)})")
        connection.execute("CREATE UNIQUE INDEX p_id ON p (prediction_id)")
        connection.execute("CREATE INDEX p_time ON p (event_time)")

        def load() -> None:
            connection.execute("BEGIN IMMEDIATE")
            statement = f"INSERT INTO p ({', '.join(frame.columns)}) VALUES ({marks})"
            connection.executemany(statement, tuples)
            connection.execute("COMMIT")

        yield measured("floor: executemany", len(frame), load)
        query = "SELECT * FROM p WHERE event_time >= 0 ORDER BY event_time"
        yield measured("floor: fetchall", len(frame), lambda: connection.execute(query).fetchall())
        yield measured("pandas.read_sql", len(frame), lambda: pd.read_sql(query, connection))
    yield on_disk(folder)


def ours(store: Store, name: str, frame: pd.DataFrame) -> Iterator[Measured]:
    """Measure the store: in, by batches, out, labels."""
    rows, ids = len(frame), frame["prediction_id"]
    store.add_deployment(deployment(name), SCHEMA)
    yield measured("write_predictions", rows, lambda: store.write_predictions(name, frame))
    unlabelled = [
        column
        for column in store.read(name, end=frame["event_time"][0])
        if not column.startswith("label")
    ]
    yield measured("read, without labels", rows, lambda: store.read(name, columns=unlabelled))
    known_at = frame["event_time"] + pd.Timedelta(hours=3)
    labels = pd.DataFrame({"prediction_id": ids, "label": frame["score"], "known_at": known_at})
    yield measured("write_labels", rows, lambda: store.write_labels(labels, deployment=name))
    yield measured(
        "read, labels as of the end", rows, lambda: store.read(name, known_as_of=known_at.max())
    )
    part = rows // 100
    start, end = frame["event_time"][rows // 2], frame["event_time"][rows // 2 + part]
    yield measured("read, one window of 100", part, lambda: store.read(name, start=start, end=end))
    for size in (1, BATCH):
        batches = fresh_batches(frame.iloc[:APPENDED], size)
        yield measured(
            f"append, {size} a commit",
            APPENDED,
            lambda batches=batches: [store.append(name, batch) for batch in batches],
        )


def fresh_batches(frame: pd.DataFrame, size: int) -> list[list[tuple]]:
    """Return the rows under new ids, as ``Store.append`` takes them."""
    frame = frame.assign(prediction_id=[str(uuid.uuid4()) for _ in range(len(frame))])
    tuples = list(zip(*(frame[column].to_list() for column in frame), strict=True))
    return [tuples[first : first + size] for first in range(0, len(tuples), size)]


def measure(rows: int, url: str | None) -> Iterator[tuple[str, Measured]]:
    """Yield each measurement with the name of what was measured, the floor first."""
    rng = np.random.default_rng(2013)
    for id_kind, time_ordered in (("uuid7", True), ("uuid4", False)):
        frame = traffic(rows, time_ordered=time_ordered, rng=rng)
        with tempfile.TemporaryDirectory() as folder:
            for one in floor(frame, Path(folder)):
                yield f"sqlite3, {id_kind}", one
        with tempfile.TemporaryDirectory() as folder:
            with open_store(f"sqlite:///{folder}/store.db") as store:
                for one in ours(store, "traffic", frame):
                    yield f"store on SQLite, {id_kind}", one
            yield f"store on SQLite, {id_kind}", on_disk(Path(folder))
        if url is not None:
            with open_store(url) as store:
                for one in ours(store, f"traffic {uuid.uuid4()}", frame):
                    yield f"store on PostgreSQL, {id_kind}", one


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.store", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--url", help="a PostgreSQL database to measure too; tables stay in it")
    chosen = parser.parse_args(arguments)
    rows = [
        {"who": who, **asdict(one)}
        for _ in range(chosen.repeat)
        for who, one in measure(chosen.rows, chosen.url)
    ]
    best = pd.DataFrame(rows).groupby(["who", "what"], sort=False).max().reset_index()
    print(f"{chosen.rows:,} predictions of {len(SCHEMA.columns)} inputs, best of {chosen.repeat}")
    print(best.to_string(index=False, na_rep="", float_format="{:,.0f}".format))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
