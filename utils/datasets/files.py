"""Tables in files: Parquet with its schema, units and origin, and a hash of what it holds.

The hash is of the values, not of the bytes: another version of Parquet, another compression or
another order of the pages give the same one, and one changed value gives another. It is written
into the file and beside what is logged of it, so that a model can name the rows it learned from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from utils.records import VigiaError

_KEY = b"vigia"


class ChangedFile(VigiaError):
    """A file does not hold what its hash says."""


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table in a file: where it is, how many rows, the hash of its content, where from."""

    path: Path
    rows: int
    content_hash: str
    source: str
    units: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The first 16 characters of the hash: what MLflow and a model card call the data by."""
        return self.content_hash[:16]


def content_hash(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of a table's columns, types and values, in their order; 64 characters.

    The index does not count. It tells whether two tables are equal, not how they differ.

    Raises ``ValueError`` for columns that share a name, and ``TypeError`` for values that have no
    hash, such as lists.

    >>> one = pd.DataFrame({"wait_min": [1.0, 2.0]})
    >>> content_hash(one) == content_hash(one.set_axis([7, 8])), len(content_hash(one))
    (True, 64)
    """
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"frame: two columns are called {twice!r}; a name may stand once")
    total = hashlib.sha256(str(len(frame)).encode())
    for name in frame:
        values = pd.util.hash_pandas_object(frame[name], index=False)
        total.update(f"\x00{name}\x00{frame[name].dtype}\x00".encode())
        total.update(values.to_numpy().tobytes())
    return total.hexdigest()


def write(
    frame: pd.DataFrame, path: Path | str, *, source: str, units: Mapping[str, str] | None = None
) -> TableFile:
    """Write a table as Parquet, whole or not at all, and return what was written.

    ``source`` says in a line where it comes from; ``units`` names the unit of a column. Both travel
    in the file's schema, with the hash. The folder is made.

    Raises ``ValueError`` for a unit of a column that is not there, and what ``content_hash`` does.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     made = write(pd.DataFrame({"wait_min": [1.0]}), f"{folder}/waits.parquet",
    ...                  source="counted by hand", units={"wait_min": "min"})
    ...     read(made.path)["wait_min"].tolist(), made.rows, made == describe(made.path)
    ([1.0], 1, True)
    """
    path, units = Path(path), dict(units or {})
    unknown = set(units) - set(frame.columns)
    if unknown:
        raise ValueError(f"units: {sorted(unknown)[0]!r} is no column of the frame")
    told = {"content_hash": content_hash(frame), "source": source, "units": units}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    kept = table.schema.metadata | {_KEY: json.dumps(told, ensure_ascii=False).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        pq.write_table(table.replace_schema_metadata(kept), unfinished, compression="zstd")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return TableFile(path=path, rows=len(frame), **told)


def describe(path: Path | str) -> TableFile:
    """Return what a file written by ``write`` says of itself; its rows are not read.

    Raises ``FileNotFoundError``, and ``ChangedFile`` for a file that is none of ours.
    """
    path = Path(path)
    about = _metadata(path)
    told = json.loads((about.metadata or {}).get(_KEY, b"null"))
    if told is None:
        raise ChangedFile(f"{path}: has no content hash; write it with utils.datasets.files.write")
    return TableFile(path=path, rows=about.num_rows, **told)


def read(path: Path | str) -> pd.DataFrame:
    """Return the table in a file written by ``write``, after checking that it is what it says.

    Raises as ``describe`` does, and ``ChangedFile`` where the content is not that of the hash.
    """
    told = describe(path)
    frame = pq.read_table(told.path).to_pandas()
    found = content_hash(frame)
    if found != told.content_hash:
        raise ChangedFile(
            f"{path}: holds content {found[:16]}, and says {told.digest}; it was changed after it "
            "was written: make it anew"
        )
    return frame


@dataclass(frozen=True)
class _About:
    metadata: Mapping[bytes, bytes] | None
    num_rows: int


def _metadata(path: Path) -> _About:
    try:
        with pq.ParquetFile(path) as file:
            return _About(file.schema_arrow.metadata, file.metadata.num_rows)
    except pa.ArrowInvalid as error:
        raise ChangedFile(f"{path}: is no Parquet file, or a part of one: {error}") from error
