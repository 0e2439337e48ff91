"""Tables in files: Parquet with its schema, units and origin, and a hash of what it holds.

The hash is of the values, not of the bytes: another version of Parquet, another compression or
another order of the pages give the same one, and one changed value gives another. It is written
into the file and beside what is logged of it, so that a model can name the rows it learned from.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from utils.records import VigiaError

_KEY = b"vigia"
_BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, KeyError)
"""What the readers of Arrow, JSON and pandas raise for a file with a byte changed."""


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

    The index does not count, nor do categories that no row has; what is missing is missing, be it
    ``None`` or ``NaN``. It tells whether two tables are equal, not how they differ.

    Raises ``ValueError`` for a column whose name is no text, or stands twice, and ``TypeError`` for
    values that have no hash, such as lists, or that are of several types.

    >>> one = pd.DataFrame({"wait_min": [1.0, 2.0]})
    >>> content_hash(one) == content_hash(one.set_axis([7, 8])), len(content_hash(one))
    (True, 64)
    """
    _check_names(frame)
    total = hashlib.sha256(str(len(frame)).encode())
    for name, column in frame.items():
        if pd.api.types.infer_dtype(column, skipna=True).startswith("mixed"):
            raise TypeError(
                f"frame: column {name!r} holds lists or several types, which have no "
                "hash; give it one plain type"
            )
        values = pd.util.hash_pandas_object(column, index=False)
        total.update(f"\x00{name}\x00{column.dtype}\x00".encode())
        total.update(values.to_numpy().tobytes())
    return total.hexdigest()


def write(
    frame: pd.DataFrame, path: Path | str, *, source: str, units: Mapping[str, str] | None = None
) -> TableFile:
    """Write a table as Parquet, whole or not at all, and return what was written.

    ``source`` says in a line where it comes from; ``units`` names the unit of a column. Both travel
    in the file's schema, with the hash. The folder is made.

    Raises ``ValueError`` for a unit of a column that is not there and for a type that Parquet does
    not give back (an ``object`` column of texts comes back as ``str``), and what ``content_hash``
    and Arrow raise for values that they do not know.

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
    table = _as_arrow(frame)
    kept = table.schema.metadata | {_KEY: json.dumps(told, ensure_ascii=False).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        pq.write_table(table.replace_schema_metadata(kept), unfinished, compression="zstd")
        with _opened(unfinished) as file:
            back = file.read().to_pandas()
        _check_types(frame, back)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return TableFile(path=path, rows=len(frame), **told)


def describe(path: Path | str) -> TableFile:
    """Return what a file written by ``write`` says of itself; its rows are not read.

    Raises ``FileNotFoundError``, and ``ChangedFile`` for a file that is none of ours.
    """
    with _opened(path) as file:
        return _told(file, path=Path(path))


def read(path: Path | str) -> pd.DataFrame:
    """Return the table in a file written by ``write``, after checking that it is what it says.

    Raises as ``describe`` does, and ``ChangedFile`` where the content is not that of the hash.
    """
    with _opened(path) as file:  # once: another process may put a new file in its place
        told = _told(file, path=Path(path))
        frame = file.read().to_pandas()
    found = content_hash(frame)
    if found != told.content_hash:
        raise ChangedFile(
            f"{path}: holds content {found[:16]}, and says {told.digest}; it was changed after it "
            "was written: make it anew"
        )
    return frame


def _as_arrow(frame: pd.DataFrame) -> pa.Table:
    with warnings.catch_warnings():  # Arrow asks for moments in a way that pandas has deprecated
        warnings.filterwarnings("ignore", "Series.values", DeprecationWarning)
        return pa.Table.from_pandas(frame, preserve_index=False)


@contextmanager
def _opened(path: Path | str) -> Iterator[pq.ParquetFile]:
    """Yield a file's reader; what cannot be read of it is a ``ChangedFile``."""
    with open(path, "rb") as raw:
        try:
            with pq.ParquetFile(raw) as file:
                yield file
        except _BROKEN as error:
            raise ChangedFile(
                f"{path}: is no Parquet file, or a broken one; make it anew ({error})"
            ) from error


def _told(file: pq.ParquetFile, *, path: Path) -> TableFile:
    told = json.loads((file.schema_arrow.metadata or {}).get(_KEY, b"null"))
    if told is None:
        raise ChangedFile(f"{path}: has no content hash; write it with utils.datasets.files.write")
    return TableFile(path=path, rows=file.metadata.num_rows, **told)


def _check_names(frame: pd.DataFrame) -> None:
    for name in frame.columns:
        if not isinstance(name, str):
            raise ValueError(f"frame: the name of column {name!r} is no text; rename it")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"frame: two columns are called {twice!r}; a name may stand once")


def _check_types(frame: pd.DataFrame, back: pd.DataFrame) -> None:
    for name, column in frame.items():
        if (before := _type_of(column)) != (after := _type_of(back[name])):
            raise ValueError(
                f"frame: column {name!r} is {before}, and Parquet gives it back as {after}; "
                f"convert it first, with astype"
            )
    if len(back) != len(frame):
        raise ValueError(f"frame: {len(frame)} rows without a column; Parquet keeps columns only")


def _type_of(column: pd.Series) -> str:
    """Return the name of a type; that of a category tells the categories and their order."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        categories = column.cat.categories
        return f"{categories.dtype} category {categories.tolist()}, ordered={column.cat.ordered}"
    return str(column.dtype)
