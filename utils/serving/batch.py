"""Batch transform: a folder of Parquet scored at once, and captured as if asked for row by row.

The second way of serving. There is no server and nobody waits: the model is loaded, the files are
scored, and it is over. For each file of the input there is one file of the output, at the same
path, with the rows in the same order; the store gets the same rows as from the endpoint, so the
same monitors read them. What differs is what nobody was there for: a row has no ``latency_ms``, and
its ``event_time`` is that of the transform unless the file tells it.

The ids follow from the file: its path in the folder, its bytes, and what answers. So a transform
may be run again, or while another one runs, or after it was killed: nothing is stored twice, and
what was cut short is finished. A file is scored whole before any row of it is stored.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from utils.records import Kind, VigiaError
from utils.serving.client import RETRIED, pause_s
from utils.serving.contract import Refused
from utils.serving.endpoint import Answer, Endpoint, Request
from utils.serving.ids import key_of, prediction_ids
from utils.serving.models import in_service, load
from utils.store import open_store
from utils.store.values import to_json

SUMMARY_COLUMNS = ("file", "outcome", "rows", "reason")
"""What ``transform`` tells of each file; the outcome is one of ``OUTCOMES``."""

OUTCOMES = ("written", "unchanged", "refused")

ANSWER_COLUMNS = ("prediction_id", "prediction", "score")
"""What stands in the output beside the columns that are kept; the score where the model has one."""

BATCH_ROWS = 10_000
RETRIES = 4

_RUN_AGAIN = "what is done stays done: run the transform again, and it goes on"
_BUFFER_BYTES = 2**20
_KEY = b"vigia_transform"
_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_ARROW: dict[Kind, pa.DataType] = {
    "double": pa.float64(),
    "float": pa.float32(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.timestamp("us"),
    "binary": pa.binary(),
    "json": pa.string(),
}


class Unusable(VigiaError, ValueError):
    """An argument of a transform cannot be used; the message names it, the value and the rule."""


class BadFile(VigiaError):
    """A file of the input cannot be transformed; the message names the column and the rule."""


def transform(
    endpoint: Endpoint,
    input_folder: Path | str,
    output_folder: Path | str,
    *,
    time_column: str | None = None,
    keep_columns: Sequence[str] = (),
    client: str = "batch",
    batch_rows: int | None = None,
    progress: Callable[[int], object] | None = None,
    rng: np.random.Generator | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> pd.DataFrame:
    """Score every ``*.parquet`` under a folder, capture it, and return a row for each file.

    The result has the columns ``SUMMARY_COLUMNS``: a file is ``written``; or ``unchanged``, where
    its output stands already and nothing was done; or ``refused``, with the reason. Of a refused
    file nothing is stored and nothing is written, an output of before stays as it was, and the
    others go on. Files and folders whose names begin with ``.`` or ``_`` are not looked at.

    The output holds ``keep_columns`` as they were, then ``ANSWER_COLUMNS``; a prediction of
    several values is JSON text. It appears whole or not at all. ``time_column`` holds the moment
    of each row's event, with a time zone. Every other column must be one of the model's. Memory is
    bounded by ``batch_rows``, which are ``BATCH_ROWS`` unless given, or as many as the endpoint
    takes in one request. ``progress`` is called with the rows of each batch that is stored.

    A file whose bytes changed is new: it gets new ids, and what was stored before stays. So does
    one that was moved within the folder, and every file when another version is in service. What
    is erased from the store is still in the outputs; whoever erases must delete them too.

    Raises ``Unusable`` for arguments that cannot be used, and ``VigiaError`` where the store or
    the output cannot be written; run it again then, and it goes on.

    >>> from tempfile import TemporaryDirectory
    >>> from utils.serving.example import FLIGHTS, example_endpoint
    >>> with TemporaryDirectory() as folder, example_endpoint() as endpoint:
    ...     Path(folder, "in").mkdir()
    ...     FLIGHTS.to_parquet(f"{folder}/in/april.parquet")
    ...     done = transform(endpoint, f"{folder}/in", f"{folder}/out")
    ...     done[["file", "outcome", "rows"]].to_numpy().tolist()
    ...     pd.read_parquet(f"{folder}/out/april.parquet")["prediction"].tolist()
    ...     endpoint.store.read("flights")["prediction"].tolist()
    [['april.parquet', 'written', 2]]
    [10.0, -15.0]
    [10.0, -15.0]
    """
    if batch_rows is None:
        batch_rows = min(BATCH_ROWS, endpoint.max_rows)
    if not 1 <= batch_rows <= endpoint.max_rows:
        raise Unusable(f"batch_rows={batch_rows}: must be from 1 to {endpoint.max_rows}")
    job = _Job(
        endpoint=endpoint,
        source=Path(input_folder),
        target=Path(output_folder),
        time_column=time_column,
        keep_columns=_kept(keep_columns),
        client=client,
        batch_rows=batch_rows,
        progress=progress or (lambda rows: None),
        rng=rng or np.random.default_rng(),
        sleep=sleep,
    )
    done = [job.outcome(file) for file in _files(job.source, job.target)]
    return pd.DataFrame(done, columns=list(SUMMARY_COLUMNS))


def transform_with(
    *,
    model_uri: str,
    store_url: str,
    input_folder: Path | str,
    output_folder: Path | str,
    deployment: str | None = None,
    tracking_uri: str | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Load a model, put it into service, and transform a folder; ``settings`` are ``transform``'s.

    The deployment is called as the model is, unless named; it is a new one unless this very version
    is in service under the name already. Nothing is made where the folders cannot be used.
    """
    _files(Path(input_folder), Path(output_folder))
    scorer = load(model_uri, tracking_uri=tracking_uri)
    with open_store(store_url) as store:
        placed = in_service(store, scorer, name=deployment or scorer.model_name)
        return transform(Endpoint(scorer, store, placed), input_folder, output_folder, **settings)


def _kept(columns: Sequence[str]) -> tuple[str, ...]:
    if isinstance(columns, str):
        raise Unusable(f"keep_columns={columns!r}: give a list of names")
    columns = tuple(columns)
    for name in columns:
        if name in ANSWER_COLUMNS or columns.count(name) > 1:
            raise Unusable(f"keep_columns: {name!r} would stand twice in the output")
    return columns


def _files(source: Path, target: Path) -> list[Path]:
    """Return the files to transform, by their paths in the input, sorted."""
    if not source.is_dir():
        raise Unusable(f"input_folder={str(source)!r}: is no folder")
    inside, outside = source.resolve(), target.resolve()
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise Unusable(
            f"output_folder={str(target)!r}: must lie outside the input, {str(source)!r}, and not "
            "around it: outputs would be taken for inputs"
        )
    files = (path.relative_to(source) for path in source.rglob("*.parquet") if path.is_file())
    found = sorted(file for file in files if not any(part[0] in "._" for part in file.parts))
    if not found:
        raise Unusable(f"input_folder={str(source)!r}: holds no file *.parquet")
    return found


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One transform: what answers, from where to where, and how."""

    endpoint: Endpoint
    source: Path
    target: Path
    time_column: str | None
    keep_columns: tuple[str, ...]
    client: str
    batch_rows: int
    progress: Callable[[int], object]
    rng: np.random.Generator
    sleep: Callable[[float], object]

    def outcome(self, file: Path) -> tuple[str, str, int, str]:
        """Transform one file, and return its row of the summary."""
        try:
            with _opened(self.source / file) as table:
                outcome = self._transformed(table, file)
                return file.as_posix(), outcome, table.rows, ""
        except (BadFile, Refused) as error:
            said = f"{file.as_posix()}: {error}"
            if isinstance(error, Refused) and error.status in RETRIED:
                raise VigiaError(f"{said}; {_RUN_AGAIN}") from error
            return file.as_posix(), "refused", 0, said

    def _transformed(self, table: _Table, file: Path) -> str:
        key, target = self._key(table, file), self.target / file
        about = json.dumps(
            {
                "key": str(key),
                "keep_columns": self.keep_columns,
                "deployment": self.endpoint.deployment.name,
                "model_uri": self.endpoint.deployment.model_uri,
                "build_crn": self.endpoint.deployment.build_crn,
            }
        ).encode()
        if _says_of_itself(target) == about:
            return "unchanged"
        self._check(table)
        with _space(self.target) as answers:
            for part in table.parts(self.batch_rows):
                answer = self.endpoint.score(self._request(part, key))
                pickle.dump(answer, answers)
            answers.seek(0)
            self._store(table, key, target, about, _unpickled(answers))
        return "written"

    def _key(self, table: _Table, file: Path) -> UUID:
        """Return the key of a file: another one when what is asked, or who answers, is another."""
        deployment = self.endpoint.deployment
        answers = (deployment.name, deployment.model_uri, deployment.model_version)
        return key_of(*answers, file.as_posix(), table.digest(), self.time_column or "")

    def _check(self, table: _Table) -> None:
        """Refuse a file of which the columns alone, or having no row, tell that it is bad."""
        if not table.rows:
            raise BadFile("has no row")
        for name in filter(None, [*self.keep_columns, self.time_column]):
            if table.names.count(name) != 1:
                known = ", ".join(table.names)
                many = "two columns" if name in table.names else "no column"
                raise BadFile(f"has {many} {name!r}; it has {known}")
        if self.time_column and getattr(table.type_of(self.time_column), "tz", None) is None:
            raise BadFile(
                f"column {self.time_column!r}: is {table.type_of(self.time_column)}; must be "
                "moments with a time zone (pandas.to_datetime(…, utc=True))"
            )

    def _request(self, part: _Part, key: UUID) -> Request:
        contract = self.endpoint.contract
        frame = part.frame
        return self.endpoint.request(
            contract.rows_of(frame.loc[:, self._features(frame)], first_row=part.first),
            params=contract.parameters(None),
            event_time=self._event_time(part),
            client=self.client,
            ids=prediction_ids(key, len(frame), first=part.first),
            started=None,
        )

    def _features(self, frame: pd.DataFrame) -> list[bool]:
        """Tell which columns go to the model: all that it knows, and none that is only carried."""
        carried = {*self.keep_columns, self.time_column} - set(self.endpoint.contract.names)
        return [name not in carried for name in frame.columns]

    def _event_time(self, part: _Part) -> Any:
        if self.time_column is None:
            return None
        times = part.frame[self.time_column]
        if times.isna().any():
            row = part.first + int(times.isna().to_numpy().argmax())
            raise BadFile(f"column {self.time_column!r}, row {row}: must be a moment, not null")
        return times

    def _store(
        self, table: _Table, key: UUID, target: Path, about: bytes, answers: Iterable[Answer]
    ) -> None:
        """Commit answers batch by batch, and write what is stored to the output."""
        with _replacing(target) as unfinished, _Output(unfinished, about) as output:
            parts = table.parts(self.batch_rows)
            for part, answer in zip(parts, answers, strict=True):
                stored = self._committed(self._request(part, key), answer)
                output.write(part.batch.select(self.keep_columns), stored, self._output_kind)
                self.progress(len(part.frame))

    @property
    def _output_kind(self) -> Kind:
        return self.endpoint.contract.output.kind

    def _committed(self, request: Request, answer: Answer) -> Answer:
        """Commit an answer, again after a pause where that can help."""
        for attempt in count():
            try:
                return self.endpoint.commit(request, answer)
            except Refused as refused:
                if refused.status not in RETRIED or attempt == RETRIES:
                    raise
            self.sleep(pause_s(attempt, self.rng))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Some rows of a file: the place of the first, as they were, and as the model's frame."""

    first: int
    batch: pa.RecordBatch
    frame: pd.DataFrame


class _Table:
    """A Parquet file, open: what is read is what was there on opening, though it be replaced."""

    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        with _named_errors():
            # Without these two settings a whole row group is held in memory.
            self._parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER_BYTES)
        self.rows: int = self._parquet.metadata.num_rows
        self._schema = self._parquet.schema_arrow
        self.names: list[str] = self._schema.names

    def digest(self) -> str:
        """Return the SHA-256 of the file's bytes."""
        total = hashlib.sha256()
        with _named_errors():
            self._file.seek(0)
            while piece := self._file.read(_BUFFER_BYTES):
                total.update(piece)
        return total.hexdigest()

    def type_of(self, name: str) -> pa.DataType:
        return self._schema.field(name).type

    def parts(self, batch_rows: int) -> Iterator[_Part]:
        """Yield the rows in order, so many at a time; an index without a name is no column."""
        batches = self._parquet.iter_batches(batch_rows)
        first = 0
        while True:
            with _named_errors():
                batch = next(batches, None)
                if batch is None:
                    return
                frame = batch.to_pandas(ignore_metadata=True, maps_as_pydicts="strict")
            named = [not _UNNAMED_INDEX.fullmatch(name) for name in frame.columns]
            yield _Part(first=first, batch=batch, frame=frame.loc[:, named])
            first += len(frame)


@contextmanager
def _opened(path: Path) -> Iterator[_Table]:
    with _named_errors():
        file = pa.OSFile(str(path))
    with file:
        yield _Table(file)


@contextmanager
def _named_errors() -> Iterator[None]:
    """Turn what Arrow says of a file that it cannot read into ``BadFile``."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise BadFile(f"cannot be read as Parquet: {said}") from error


class _Output:
    """A Parquet file being written; its schema is that of the first rows."""

    def __init__(self, path: Path, about: bytes) -> None:
        self._path = path
        self._about = about
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, kept: pa.RecordBatch, answer: Answer, kind: Kind) -> None:
        """Write rows as they were, with what was answered."""
        columns = dict(zip(kept.schema.names, kept.columns, strict=True))
        values = answer.predictions
        if kind == "json":
            values = [None if value is None else to_json(value) for value in values]
        columns["prediction_id"] = pa.array(answer.prediction_ids, pa.string())
        columns["prediction"] = pa.array(values, _ARROW[kind])
        if answer.scores is not None:
            columns["score"] = pa.array(answer.scores, pa.float64())
        table = pa.table(columns).replace_schema_metadata({_KEY: self._about})
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table)


def _says_of_itself(target: Path) -> bytes | None:
    """Return what an output says that it is; ``None`` where there is none that can be read."""
    try:
        return (pq.read_schema(target).metadata or {}).get(_KEY)
    except (pa.ArrowInvalid, OSError):
        return None


@contextmanager
def _space(folder: Path) -> Iterator[Any]:
    """Give a file without a name on the disk of the output, gone however this process ends."""
    with _writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            yield file


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes the target when all went well."""
    with _writable(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            yield unfinished
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VigiaError(
            f"{target}: cannot be written ({error}): make room, or give the right to write; "
            f"{_RUN_AGAIN}"
        ) from error


def _unpickled(file: Any) -> Iterator[Any]:
    """Yield what this process put into its own file."""
    while True:
        try:
            yield pickle.load(file)
        except EOFError:
            return
