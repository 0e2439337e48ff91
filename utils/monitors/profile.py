"""How a table is distributed: mergeable counts per window, feature and bin, in one pass over it.

The bins are fitted once, on the reference (``Binning.fitted``), and never moved again; so the
counts of two periods can be laid side by side, and added. Whatever a table holds is counted: no
value makes counting fail, and a feature's counts always sum to the rows.

- A **number** falls into bin k when ``edges[k-1] < x <= edges[k]``; infinities into the outer bins.
  Dates and times are numbers: microseconds, since 1970 in UTC. A text that reads as a number is
  that number; any other text, where numbers were promised, is missing here. How many values have
  the wrong type is for data quality to say.
- Anything else is a **category**, known by its text: truth values are ``"False"`` and ``"True"``,
  and the float 3.0 reads ``"3"``, since a table that lacks a whole number turns all into floats.
- Missing (``None``, ``NaN``, ``NaT``, Arrow's null, or the whole column) is the last bin.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from utils.monitors import windows
from utils.text import nearest

OTHER = "(other)"
"""The bin of the categories that the reference has too seldom for a bin of their own."""

MISSING = "(missing)"
UNSEEN = "(unseen)"

_MOST_RARE = 10_000
_OWN_ROWS = 10
_PIECE = 65_536
_BATCH = 131_072
_SHORT_RUN = 4_096

_MOST_WINDOWS = 100_000
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_VERSION = 1
_ABOUT = b"vigia.profile"

Source = pd.DataFrame | pa.Table | pa.RecordBatch
Rows = Any
"""A ``Source``, or an Arrow ``RecordBatchReader`` or ``Dataset``, or the path of Parquet."""


# ------------------------------------------------------------------------------------- the bins


@dataclass(frozen=True, kw_only=True)
class Bins:
    """The bins of one feature; after them always comes one more cell, of the missing.

    - ``edges`` of a number: bin k holds ``edges[k-1] < x <= edges[k]``, the first and the last bin
      whatever lies beyond; so there is one bin more than there are edges. ``is_time`` says that the
      numbers are microseconds since 1970, in UTC.
    - ``categories``: a bin each, and one more for what the reference never had (``UNSEEN``).
      ``OTHER`` is the last of them when the reference has more than may have a bin of their own;
      ``rare`` says which those are, so that they are not taken for unseen.
    - ``is_open``: new values come by themselves (ids, free text), so they are no news: they count
      as ``OTHER`` too, and nothing is unseen.

    >>> Bins(feature="term", kind="number", edges=(6.0, 12.0)).n_bins
    3
    >>> Bins(feature="purpose", kind="category", categories=("home", "school")).labels
    ('home', 'school', '(unseen)', '(missing)')
    """

    feature: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    rare: frozenset[str] = frozenset()
    is_open: bool = False
    is_time: bool = False

    def __post_init__(self) -> None:
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError(f"{self.feature}: edges={self.edges!r}: each above the one before")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"{self.feature}: categories={self.categories!r}: each once")
        if OTHER in self.categories[:-1]:
            raise ValueError(f"{self.feature}: categories={self.categories!r}: {OTHER} comes last")

    @property
    def n_bins(self) -> int:
        """How many bins it has, without that of the missing, whose cell comes after them."""
        return len(self.edges if self.kind == "number" else self.categories) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """What each cell holds, in words: the bins in order, the missing last."""
        if self.kind == "category":
            names = (repr(name) if name in (UNSEEN, MISSING) else name for name in self.categories)
            return (*names, UNSEEN, MISSING)
        return (*_interval_labels(self.edges, is_time=self.is_time), MISSING)

    @cached_property
    def _named(self) -> pa.Array:
        return _texts_of(each for each in self.categories if each != OTHER)

    @cached_property
    def _rare(self) -> pa.Array:
        return _texts_of(self.rare)


@dataclass(frozen=True)
class Binning:
    """The bins of all features, fitted on a reference.

    The cells of the features stand one after another: those of feature i begin at ``offsets[i]``,
    its bins in order, then the missing.
    """

    bins: tuple[Bins, ...]

    @classmethod
    def fitted(
        cls,
        reference: Source,
        *,
        features: Sequence[str] | None = None,
        n_bins: int = 10,
        max_categories: int = 50,
    ) -> Binning:
        """Return the bins of the features (all columns by default) as the reference has them.

        Numbers get about ``n_bins`` bins of equal shares of the rows. A value that alone has as
        large a share has a bin to itself, as has each value where there are at most ``n_bins``; so
        zero is told from a little, and a constant from what lies below and above it.

        The ``max_categories`` most frequent categories get a bin each. The others share ``OTHER``.
        Where values that the reference has once are many (over 5, and over a thousandth of the
        rows), they estimate that as many of the next rows bring a new one (Good 1953). Such a
        feature is open: only what has 10 rows is a category, and the new count as ``OTHER``. More
        than 10,000 rare categories are not remembered, and leave a feature open too.

        A column without a value has no bins but the unseen and the missing. Bins do not tell what
        moves within them: more of them see more, and need more rows.

        Raises ``ValueError`` for a feature that the reference lacks or that is named twice, and for
        fewer than 2 bins or 1 category.

        Source: I. J. Good (1953), "The population frequencies of species and the estimation of
        population parameters", Biometrika 40.

        >>> reference = pd.DataFrame({"hour": range(24), "late": [True, False, None] * 8})
        >>> for bins in Binning.fitted(reference, n_bins=4).bins:
        ...     print(bins.feature, bins.edges or bins.categories)
        hour (5.0, 11.0, 17.0)
        late ('False', 'True')
        """
        if n_bins < 2:
            raise ValueError(f"n_bins={n_bins!r}: 2 or more")
        if max_categories < 1:
            raise ValueError(f"max_categories={max_categories!r}: 1 or more")
        there = _names(reference)
        features = there if features is None else [str(each) for each in features]
        for name in features:
            if name not in there:
                raise ValueError(
                    f"features: {name!r} is no column of the reference; {nearest(name, there)}"
                )
            if features.count(name) > 1:
                raise ValueError(f"features: {name!r} stands twice; a feature may stand once")
        return cls(
            tuple(
                _fitted(name, _array(reference, name), n_bins=n_bins, max_categories=max_categories)
                for name in features
            )
        )

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(bins.feature for bins in self.bins)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where the cells of each feature begin."""
        ends = np.cumsum([0] + [bins.n_bins + 1 for bins in self.bins])
        return tuple(ends[:-1].tolist())

    @property
    def n_cells(self) -> int:
        return sum(bins.n_bins + 1 for bins in self.bins)

    def cells(self, feature: str) -> slice:
        """Return where the cells of a feature are; ``ValueError`` for one that has none."""
        if feature not in self.features:
            raise ValueError(f"feature={feature!r} has no bins; {nearest(feature, self.features)}")
        at = self.features.index(feature)
        return slice(self.offsets[at], self.offsets[at] + self.bins[at].n_bins + 1)

    def counts(
        self, frame: Source, block: np.ndarray | None = None, n_blocks: int = 1
    ) -> np.ndarray:
        """Return how many rows of each block fall into each cell, as int64 (n_blocks × n_cells).

        ``block`` is the block of each row, in 0..n_blocks-1; ``None`` is one block. A feature's
        cells sum to the block's rows.

        >>> reference = pd.DataFrame({"purpose": ["home"] * 6 + ["school"] * 4})
        >>> current = pd.DataFrame({"purpose": ["school", "moon", None, "school"]})
        >>> Binning.fitted(reference).counts(current, np.array([0, 0, 1, 1]), 2).tolist()
        [[0, 1, 1, 0], [0, 1, 0, 1]]
        """
        counts = np.empty((n_blocks, self.n_cells), dtype=np.int64)
        runs = _runs(block, _n_rows(frame))
        width = max((bins.n_bins + 1 for bins in self.bins), default=0)
        base = block * width if runs is None else None
        for bins, offset in zip(self.bins, self.offsets, strict=True):
            column = _array(frame, bins.feature)
            counts[:, offset : offset + bins.n_bins + 1] = (
                _by_code(bins, column, base, (n_blocks, width))
                if runs is None
                else _by_run(bins, column, runs, n_blocks)
            )
        return counts

    def codes(self, frame: Source) -> np.ndarray:
        """Return the cell of each row within its feature's, as integers (features × rows).

        >>> reference = pd.DataFrame({"hour": range(24), "late": [True, False, None] * 8})
        >>> binning = Binning.fitted(reference, n_bins=4)
        >>> current = pd.DataFrame({"hour": [5, 6, None], "late": [True, None, False]})
        >>> binning.codes(current).tolist()
        [[0, 1, 4], [1, 3, 0]]
        """
        n_rows = _n_rows(frame)
        codes = np.empty((len(self.bins), n_rows), dtype=np.int32)
        for row, bins in zip(codes, self.bins, strict=True):
            code = _coder(bins, _array(frame, bins.feature))
            for start, stop in _pieces(n_rows):
                row[start:stop] = code(start, stop)
        return codes


# ----------------------------------------------------------------------------------- the profile


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """How many rows of each window fall into each cell of a binning.

    Window i holds the times ``edges[i] <= t < edges[i+1]`` (microseconds since 1970, in UTC), and
    ``counts[i]`` are its cells, in the order of the binning. The windows tile the period on one
    grid (see ``windows.ORIGIN``), so those of two profiles fit. ``window=None`` is one window over
    the period; without times there are no ``edges``, and one window of all rows.

    It does not tell which features move together, nor anything finer than its bins: the raw rows
    are not needed again, and cannot be had back.
    """

    binning: Binning
    window: pd.Timedelta | None
    edges: np.ndarray
    counts: np.ndarray

    def __post_init__(self) -> None:
        for name in ("edges", "counts"):
            mine = getattr(self, name).astype(np.int64)
            mine.flags.writeable = False
            object.__setattr__(self, name, mine)

    @classmethod
    def of(
        cls,
        source: Rows,
        binning: Binning,
        *,
        window: windows.Length | None = None,
        time_column: str | None = None,
    ) -> Profile:
        """Return the profile of a table, read once, batch by batch.

        ``source`` is a ``DataFrame``; an Arrow ``Table``, ``RecordBatch``, ``RecordBatchReader`` or
        ``Dataset``; a Parquet file, or a folder of them, where folders called ``key=value`` are
        columns. Memory holds a few batches and the counts, whatever the number of rows. What one
        file of a folder lacks, or has in another type, is counted as ``Binning`` says.

        Raises ``ValueError`` for a window without a time column, for times that are missing or have
        no zone, for more than 100,000 windows, and for a path without Parquet.

        >>> loans = pd.DataFrame({
        ...     "event_time": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-03"], utc=True),
        ...     "purpose": ["home", "school", None]})
        >>> binning = Binning.fitted(loans, features=["purpose"])
        >>> Profile.of(loans, binning, window="1D", time_column="event_time").counts.tolist()
        [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
        """
        if window is not None:
            window = windows.length(window, argument="window")
            if time_column is None:
                raise ValueError(f"window={window}: windows need a time_column")
        total = _Sum(binning, window=window, is_timed=time_column is not None)
        for batch in _batches(source, binning, time_column):
            edges, block = _placed(batch, window=window, time_column=time_column)
            n_blocks = 1 if time_column is None else max(len(edges) - 1, 0)
            total.add(edges, binning.counts(batch, block, n_blocks))
        return total.profile()

    def merge(self, other: Profile) -> Profile:
        """Return the profile of the rows of both: what profiling them together would give.

        Raises ``ValueError`` for another binning, naming the first feature whose bins differ, for
        another length of windows, and when one has times and the other has none.

        >>> loans = pd.DataFrame({"purpose": ["home", "school", "home"]})
        >>> day = Profile.of(loans, Binning.fitted(loans))
        >>> day.merge(day) == day + day == Profile.of(pd.concat([loans, loans]), day.binning)
        True
        """
        _check_alike(self, other)
        total = _Sum(self.binning, window=self.window, is_timed=self.is_timed)
        for each in (self, other):
            total.add(each.edges, each.counts)
        return total.profile()

    __add__ = merge

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Profile)
            and self.binning == other.binning
            and self.window == other.window
            and np.array_equal(self.edges, other.edges)
            and np.array_equal(self.counts, other.counts)
        )

    @property
    def is_timed(self) -> bool:
        """Whether its rows have times; without, its one window is no window of time."""
        return len(self.edges) > 0 or len(self.counts) == 0

    def frame(self) -> pd.DataFrame:
        """Return the counts as a tidy table: window_start, window_end, feature, bin, count.

        >>> loans = pd.DataFrame({"purpose": ["home", "school", "home"]})
        >>> table = Profile.of(loans, Binning.fitted(loans)).frame()
        >>> print(table[["feature", "bin", "count"]].to_string(index=False))
        feature       bin  count
        purpose      home      2
        purpose    school      1
        purpose  (unseen)      0
        purpose (missing)      0
        """
        n_windows, n_cells = self.counts.shape
        moments = pd.to_datetime(self.edges if self.is_timed else [pd.NaT] * 2, unit="us", utc=True)
        moments = moments.as_unit("us")
        names = [(bins.feature, label) for bins in self.binning.bins for label in bins.labels]
        features, labels = zip(*names, strict=True) if names else ((), ())
        return pd.DataFrame(
            {
                "window_start": moments[:-1].repeat(n_cells),
                "window_end": moments[1:].repeat(n_cells),
                "feature": pd.array(features * n_windows, dtype="str"),
                "bin": pd.array(labels * n_windows, dtype="str"),
                "count": self.counts.ravel(),
            }
        )

    def save(self, path: str | Path) -> None:
        """Write it as Parquet: the tidy table, and in the file's metadata what else it takes.

        The file is there when it is whole, and not before.

        >>> import tempfile
        >>> loans = pd.DataFrame({"income": [1_000.5, 2_000.25, None]})
        >>> profile = Profile.of(loans, Binning.fitted(loans))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     profile.save(f"{folder}/loans.parquet")
        ...     Profile.load(f"{folder}/loans.parquet") == profile
        True
        """
        import pyarrow.parquet as pq

        about = {
            "version": _VERSION,
            "n_windows": len(self.counts),
            "window_us": self.window and windows.whole_microseconds(self.window),
            "edges": self.edges.tolist(),
            "bins": [asdict(bins) | {"rare": sorted(bins.rare)} for bins in self.binning.bins],
        }
        table = pa.table({name: _to_arrow(column) for name, column in self.frame().items()})
        path = Path(path)
        unfinished = path.with_name(f".{path.name}.part")
        pq.write_table(table.replace_schema_metadata({_ABOUT: json.dumps(about)}), unfinished)
        unfinished.replace(path)

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """Return what ``save`` wrote; ``ValueError`` for a file that it did not write."""
        import pyarrow.parquet as pq

        table = pq.read_table(path, partitioning=None)
        about = json.loads((table.schema.metadata or {}).get(_ABOUT, "{}"))
        if about.get("version") != _VERSION:
            raise ValueError(f"path={str(path)!r} holds no profile of version {_VERSION}")
        binning = Binning(tuple(_bins_from(each) for each in about["bins"]))
        window = about["window_us"]
        return cls(
            binning=binning,
            window=None if window is None else pd.Timedelta(window, "us"),
            edges=np.array(about["edges"], dtype=np.int64),
            counts=table["count"].to_numpy().reshape(about["n_windows"], binning.n_cells),
        )


def _bins_from(values: dict) -> Bins:
    lists = {name: tuple(values[name]) for name in ("edges", "categories")}
    return Bins(**values | lists | {"rare": frozenset(values["rare"])})


def _check_alike(one: Profile, other: Profile) -> None:
    if one.binning != other.binning:
        pairs = zip_longest(one.binning.bins, other.binning.bins)
        mine, its = next(pair for pair in pairs if pair[0] != pair[1])
        name = (mine or its).feature
        raise ValueError(
            f"other: its bins of {name!r} are not the same; profile both with one binning"
        )
    if one.window != other.window:
        raise ValueError(f"other: its windows are of {other.window}, not of {one.window}")
    if one.is_timed != other.is_timed:
        raise ValueError("other: one of the two has windows of time and the other has none")


class _Sum:
    """The counts of windows, to which more are added as they come."""

    def __init__(self, binning: Binning, *, window: pd.Timedelta | None, is_timed: bool) -> None:
        self.binning, self.window = binning, window
        self.edges = np.empty(0, dtype=np.int64)
        self.counts = np.zeros((0 if is_timed else 1, binning.n_cells), dtype=np.int64)

    def add(self, edges: np.ndarray, counts: np.ndarray) -> None:
        if not len(counts):
            return
        if len(edges) and not len(self.edges):
            self.edges, self.counts = edges, counts.copy()
            return
        at = 0
        if len(edges):
            self._reach(min(self.edges[0], edges[0]), max(self.edges[-1], edges[-1]))
            at = np.searchsorted(self.edges, edges[0]) if self.window else 0
        self.counts[at : at + len(counts)] += counts

    def _reach(self, first: int, last: int) -> None:
        if self.window is None:
            self.edges = np.array([first, last])
        elif first < self.edges[0] or last > self.edges[-1]:
            step = _checked_step(self.window, first, last)
            before, after = (self.edges[0] - first) // step, (last - self.edges[-1]) // step
            self.edges = np.arange(first, last + step, step)
            self.counts = np.pad(self.counts, ((before, after), (0, 0)))

    def profile(self) -> Profile:
        return Profile(
            binning=self.binning, window=self.window, edges=self.edges, counts=self.counts
        )


def _placed(
    batch: Source, *, window: pd.Timedelta | None, time_column: str | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the edges of the windows of a batch, and the window of each row."""
    if time_column is None:
        return np.empty(0, dtype=np.int64), None
    times = _times(batch, time_column)
    if window is None or not len(times):
        return windows.cut(times, window=None), None
    step = _checked_step(window, int(times.min()), int(times.max()))
    edges = windows.cut(times, window=window)
    return edges, (times - edges[0]) // step


def _checked_step(window: pd.Timedelta, first: int, last: int) -> int:
    step = windows.whole_microseconds(window)
    if (last - first) // step > _MOST_WINDOWS:
        first, last = windows.from_microseconds(first), windows.from_microseconds(last)
        raise ValueError(
            f"window={window}: from {first} to {last} there would be over {_MOST_WINDOWS:,} windows"
        )
    return step


def _times(batch: Source, time_column: str) -> np.ndarray:
    """Return the times of a batch as microseconds; refuse as ``windows.times`` does."""
    if isinstance(batch, pd.DataFrame):
        return windows.times(batch, time_column, argument="time_column")
    there = time_column in batch.schema.names
    column = batch.column(time_column) if there else pa.nulls(0)
    if pa.types.is_timestamp(column.type) and column.type.tz and not column.null_count:
        return _microseconds(column).to_numpy()
    names = [time_column] if there else batch.schema.names
    return windows.times(batch.select(names).to_pandas(), time_column, argument="time_column")


# ------------------------------------------------------------------------------ batches of rows


def _batches(source: Rows, binning: Binning, time_column: str | None) -> Iterator[Source]:
    """Yield a source in pieces, each with those of the columns that it has."""
    columns = [*binning.features, *([] if time_column is None else [time_column])]
    if isinstance(source, pd.DataFrame | pa.RecordBatch):
        yield source
    elif isinstance(source, pa.Table):
        yield from source.to_batches(max_chunksize=_BATCH)
    elif isinstance(source, pa.RecordBatchReader):
        yield from source
    elif isinstance(source, str | os.PathLike):
        yield from _ahead(_from_parquet(Path(source), columns, binning))
    elif hasattr(source, "to_batches"):
        yield from _ahead(_from_dataset(source, columns))
    else:
        kind = type(source).__name__
        raise ValueError(f"source is a {kind}: a DataFrame, Arrow, or a path is needed")


def _ahead(batches: Iterator[Source]) -> Iterator[Source]:
    """Yield batches; while one is counted the next is read, and no more than that one.

    Arrow's own reading ahead knows no bound when counting is the slower of the two.
    """
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _from_dataset(dataset: Any, columns: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.dataset as ds

    there = [name for name in dataset.schema.names if name in columns]
    reading: dict[str, Any] = {"batch_readahead": 1, "fragment_readahead": 1, "use_threads": False}
    if isinstance(getattr(dataset, "format", None), ds.ParquetFileFormat):
        reading["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=False)
    yield from dataset.to_batches(columns=there, batch_size=_BATCH, **reading)


def _from_parquet(path: Path, columns: list[str], binning: Binning) -> Iterator[pa.RecordBatch]:
    """Yield the batches of each file by its own schema; few categories come as codes."""
    import pyarrow.parquet as pq

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    files = [file for file in files if not _is_hidden(file.relative_to(path))]
    if not files or not path.exists():
        raise ValueError(f"source={str(path)!r}: no Parquet file, nor a folder that holds one")
    few = {bins.feature for bins in binning.bins if bins.kind == "category" and not bins.is_open}
    for file in files:
        try:
            about = pq.read_metadata(file)
        except pa.ArrowInvalid as error:
            raise ValueError(f"source: {str(file)!r} is no Parquet ({error})") from error
        schema = about.schema.to_arrow_schema()
        there = [name for name in schema.names if name in columns]
        coded = [field.name for field in schema if field.name in few and _is_text(field.type)]
        keys = _keys(file.relative_to(path))
        keys = {name: keys[name] for name in columns if name in keys and name not in there}
        reading = {"metadata": about, "read_dictionary": coded, "pre_buffer": False}
        with pq.ParquetFile(file, **reading) as opened:
            for batch in opened.iter_batches(_BATCH, columns=there, use_threads=False):
                for name, value in keys.items():
                    batch = batch.append_column(name, pa.repeat(value, batch.num_rows))
                yield batch


def _keys(path: Path) -> dict[str, pa.Scalar]:
    """Return what the folders called ``key=value`` say of a file, as text.

    >>> _keys(Path("region=sul/year=2024/0.parquet"))["year"].as_py()
    '2024'
    """
    pairs = (part.split("=", 1) for part in path.parent.parts if "=" in part)
    return {
        name: pa.scalar(None if value == _NO_VALUE else unquote(value), pa.string())
        for name, value in pairs
    }


def _is_hidden(path: Path) -> bool:
    """Return whether it is what a writer has not finished, by its name: _temporary, .part."""
    return any(part.startswith(("_", ".")) for part in path.parts)


# ---------------------------------------------------------------------------- fitting the bins


def _fitted(name: str, array: np.ndarray | pa.Array, *, n_bins: int, max_categories: int) -> Bins:
    if _is_number(array):
        values, present = _numbers(array)
        values = values if present is None else values[present]
        if not np.isnan(values).all():
            edges = _edges(values, n_bins)
            return Bins(feature=name, kind="number", edges=edges, is_time=_is_time(array))
        return Bins(feature=name, kind="category")
    if pa.types.is_boolean(array.type):
        return Bins(feature=name, kind="category", categories=("False", "True"))
    codes, texts = _coded(array)
    count = np.bincount(codes, minlength=len(texts) + 1)[:-1]
    return _categories(name, count, texts, max_categories)


def _categories(name: str, count: np.ndarray, texts: pa.Array, max_categories: int) -> Bins:
    n_once, n_rare = np.count_nonzero(count == 1), np.count_nonzero(count) - max_categories
    is_open = bool(n_once > max(5, count.sum() / 1000) or n_rare > _MOST_RARE)
    enough = np.flatnonzero(count >= (_OWN_ROWS if is_open else 1))
    rows: Counter[str] = Counter()
    for text, n in zip(texts.take(enough).to_pylist(), count[enough].tolist(), strict=True):
        if text is not None:
            rows[text] += n
    ranked = sorted(rows, key=lambda text: (-rows[text], text))
    own = [text for text in ranked[:max_categories] if text != OTHER]
    rare = frozenset() if is_open else frozenset(ranked).difference(own)
    categories = (*own, *([OTHER] if is_open or rare else []))
    return Bins(feature=name, kind="category", categories=categories, rare=rare, is_open=is_open)


def _edges(values: np.ndarray, n_bins: int) -> tuple[float, ...]:
    """Return edges at quantiles, and around each value that has a bin to itself."""
    values = values.astype(np.float64)
    values.sort()
    values = values[np.searchsorted(values, -np.inf, "right") : np.searchsorted(values, np.inf)]
    if not len(values):
        return (0.0,)  # between the infinities
    alone = _alone(values, n_bins)
    starts, ends = np.searchsorted(values, alone), np.searchsorted(values, alone, "right")
    below = np.where(starts > 0, values[starts - 1], _just_below(values[0]))
    between = zip([0, *ends], [*starts, len(values)], strict=True)
    rest = np.concatenate([values[start:end] for start, end in between])
    n_rest = n_bins - len(alone) if len(rest) else 1
    at_quantiles = np.ceil(np.arange(1, n_rest) * len(rest) / n_rest).astype(int) - 1
    return tuple(np.unique(np.concatenate([rest[at_quantiles], alone, below])).tolist())


def _alone(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Return which of the ascending values have a bin to themselves."""
    few, at = [], 0
    while at < len(values) and len(few) <= n_bins:
        few.append(values[at])
        at = np.searchsorted(values, values[at], "right")
    if len(few) <= n_bins:
        return np.array(few)
    share = -(-len(values) // n_bins)
    found = np.unique(values[::share])  # who fills so many places fills one of these
    count = np.searchsorted(values, found, "right") - np.searchsorted(values, found)
    return found[count >= share]


def _just_below(value: float) -> float:
    """Return a number just below; below zero not the nearest, which some engines cannot read."""
    limits = np.finfo(float)
    return float(-limits.tiny if value == 0 else max(math.nextafter(value, -math.inf), limits.min))


def _interval_labels(edges: Sequence[float], *, is_time: bool) -> list[str]:
    """Return the bins in words, with as many digits as tell them apart."""
    if is_time:
        return _labels(edges, [str(pd.Timestamp(edge, unit="us")) for edge in edges])
    for digits in (6, 12, 17):
        labels = _labels(edges, [f"{edge:.{digits}g}" for edge in edges])
        if len(set(labels)) == len(labels):
            break
    return labels


def _labels(edges: Sequence[float], written: list[str]) -> list[str]:
    if not edges:
        return ["any"]
    is_alone = [below == _just_below(edge) for below, edge in pairwise(edges)]
    between = [
        high if alone else f"({low}, {high}]"
        for alone, (low, high) in zip(is_alone, pairwise(written), strict=True)
    ]
    first = f"< {written[1]}" if is_alone[:1] == [True] else f"≤ {written[0]}"
    return [first, *between, f"> {written[-1]}"]


# --------------------------------------------------------------------------- reading a column


def _names(source: Source) -> list[str]:
    is_frame = isinstance(source, pd.DataFrame)
    return [str(each) for each in (source.columns if is_frame else source.schema.names)]


def _n_rows(source: Source) -> int:
    return len(source) if isinstance(source, pd.DataFrame) else source.num_rows


def _array(source: Source, name: str) -> np.ndarray | pa.Array:
    """Return a column: numbers of NumPy as they are, anything else as Arrow has it.

    A column that is not there is all missing; of two of one name it is the first.
    """
    names = _names(source)
    if name not in names:
        return pa.nulls(_n_rows(source))
    at = names.index(name)
    column = source.iloc[:, at] if isinstance(source, pd.DataFrame) else source.column(at)
    if isinstance(column, pd.Series):
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
            values = column.to_numpy()
            odd = values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8)
            return values.astype(np.float64 if odd else values.dtype.newbyteorder("="), copy=False)
        column = _to_arrow(column)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.cast(pa.float64()) if pa.types.is_float16(column.type) else column


def _to_arrow(column: pd.Series) -> pa.Array | pa.ChunkedArray:
    """Return a column as Arrow; what Arrow has no one type for is text."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        times = pa.array(column.dt.tz_convert(None).to_numpy(), from_pandas=True)
        return times.cast(pa.timestamp(times.type.unit, "UTC"))
    values = column.to_numpy() if isinstance(column.dtype, np.dtype) else column.array
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
        return _texts_of(
            None if missing else value for value, missing in zip(column, column.isna(), strict=True)
        )


def _is_number(array: np.ndarray | pa.Array) -> bool:
    if isinstance(array, np.ndarray):
        return True
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_temporal)
    return any(is_of(array.type) for is_of in kinds) and not pa.types.is_interval(array.type)


def _is_time(array: np.ndarray | pa.Array) -> bool:
    return isinstance(array, pa.Array) and (
        pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)
    )


def _numbers(
    array: np.ndarray | pa.Array, *, is_time: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the numbers of a column, and which of them are there (``None``: all but ``NaN``).

    ``is_time`` says that a text is to be read as a time.
    """
    if isinstance(array, np.ndarray):
        return array, None
    kind = array.type
    if pa.types.is_dictionary(kind):
        codes, present = _filled(array.indices)
        values, valid = _numbers(array.dictionary, is_time=is_time)
        if not len(values):
            return np.full(len(array), np.nan), None
        valid = np.ones(len(values), dtype=bool) if valid is None else valid
        return values[codes], valid[codes] & (True if present is None else present)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.uint8())
    elif pa.types.is_decimal(kind):
        array = array.cast(pa.float64(), safe=False)
    elif pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        array = _microseconds(array)
    elif _is_text(kind):
        return _parsed(_texts(array).to_pandas(), is_time=is_time)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return np.full(len(array), np.nan), None
    if pa.types.is_floating(array.type):
        return array.to_numpy(zero_copy_only=False), None
    return _filled(array)


def _parsed(texts: pd.Series, *, is_time: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the texts as the numbers that they read as; one that reads as none is missing."""
    if not is_time:
        values = pd.to_numeric(texts, errors="coerce")
        return values.to_numpy(dtype=np.float64, na_value=np.nan), None
    times = pd.to_datetime(texts, errors="coerce", utc=True, format="ISO8601")
    return windows.microseconds(times, argument="texts"), times.notna().to_numpy()


def _filled(array: pa.Array) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the values with zeros for the nulls, and which are no nulls (``None``: all)."""
    if not array.null_count:
        return array.to_numpy(zero_copy_only=False), None
    present = array.is_valid().to_numpy(zero_copy_only=False)
    return array.fill_null(0).to_numpy(zero_copy_only=False), present


def _microseconds(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_time(kind):
        array = array.cast(pa.time64("us"), safe=False)
    elif pa.types.is_duration(kind):
        array = array.cast(pa.duration("us"), safe=False)
    else:
        array = array.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    return array.cast(pa.int64())


def _is_text(kind: pa.DataType) -> bool:
    return (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _coded(array: np.ndarray | pa.Array) -> tuple[np.ndarray, pa.Array]:
    """Return the place of each row's text among the texts, beyond them where missing."""
    array = pa.array(array, from_pandas=True) if isinstance(array, np.ndarray) else array
    array = _dictionary(array)
    codes, present = _filled(array.indices)
    if present is not None:
        codes = np.where(present, codes, np.intp(len(array.dictionary)))
    return codes, _texts(array.dictionary)


def _dictionary(array: pa.Array) -> pa.DictionaryArray:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return array
    if pa.types.is_boolean(kind):
        return pa.DictionaryArray.from_arrays(array.cast(pa.int8()), ["False", "True"])
    if pa.types.is_null(kind):
        array = array.cast(pa.large_string())
    elif pa.types.is_decimal(kind):
        array = array.cast(pa.float64(), safe=False)
    elif not (_is_number(array) or _is_text(kind) or pa.types.is_binary(kind)):
        array = _texts(array)
    return array.dictionary_encode()


def _texts(array: pa.Array) -> pa.Array:
    """Return the text of each value."""
    if _is_text(array.type):
        array = array.cast(pa.large_string())
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:  # no UTF-8
            return _texts_of(array.cast(pa.large_binary()).to_pylist())
        return array
    try:
        return _texts_of(array.to_pylist())
    except OverflowError:  # a time beyond those that Python knows
        return _texts_of(_microseconds(array).to_pylist())


def _texts_of(values: Iterable) -> pa.Array:
    return pa.array([_text(value) for value in values], type=pa.large_string())


def _text(value: Any) -> str | None:
    """Return how a value reads; of bytes, and of a text, what is no UTF-8 is replaced.

    >>> _text(3.0), _text(2.5), _text(b"home"), _text(float("nan"))
    ('3', '2.5', 'home', None)
    """
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    value = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
    return value.decode("utf-8", "replace")


# ----------------------------------------------------------------------------------- counting


def _runs(block: np.ndarray | None, n_rows: int) -> list[tuple[int, int, int]] | None:
    """Return the stretches of rows of one block (from, to, block), none longer than the cache.

    ``None`` says that they are too short to be counted one by one.
    """
    changes = np.empty(0, np.intp) if block is None else np.flatnonzero(block[1:] != block[:-1]) + 1
    if len(changes) > n_rows // _SHORT_RUN:
        return None
    return [
        (begin + start, begin + stop, 0 if block is None else int(block[begin]))
        for begin, end in pairwise([0, *changes.tolist(), n_rows])
        for start, stop in _pieces(end - begin)
    ]


def _pieces(n_rows: int, *, at_least: int = 0) -> Iterator[tuple[int, int]]:
    """Yield from where to where rows are read at once: no more than the cache holds."""
    size = max(_PIECE, at_least)
    for start in range(0, n_rows, size):
        yield start, min(start + size, n_rows)


def _by_run(
    bins: Bins, array: np.ndarray | pa.Array, runs: list[tuple[int, int, int]], n_blocks: int
) -> np.ndarray:
    counts = np.zeros((n_blocks, bins.n_bins + 1), dtype=np.int64)
    count = _counter(bins, array)
    for start, stop, block in runs:
        counts[block] += count(start, stop)
    return counts


def _by_code(
    bins: Bins, array: np.ndarray | pa.Array, base: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Count the sums of ``base``, where the cells of each row's block begin, and its cell."""
    counts = np.zeros(shape, dtype=np.int64)
    code = _coder(bins, array)
    for start, stop in _pieces(len(base), at_least=counts.size):
        key = base[start:stop] + code(start, stop)
        counts += np.bincount(key, minlength=counts.size).reshape(shape)
    return counts[:, : bins.n_bins + 1]


def _counter(bins: Bins, array: np.ndarray | pa.Array) -> Callable[[int, int], np.ndarray]:
    """Return what counts the cells of the rows from one place to another."""
    if bins.kind == "category":
        codes, texts = _coded(array)
        cell, n_cells = _cell_of(bins, texts), bins.n_bins + 1
        if len(cell) > _PIECE:
            codes, cell = cell[codes], np.arange(n_cells)

        def count_texts(start: int, stop: int) -> np.ndarray:
            of_text = np.bincount(codes[start:stop], minlength=len(cell))
            return np.bincount(cell, weights=of_text, minlength=n_cells).astype(np.int64)

        return count_texts

    values, present = _numbers(array, is_time=bins.is_time)
    edges = _edges_for(values.dtype, bins.edges)

    def count(start: int, stop: int) -> np.ndarray:
        part = values[start:stop] if present is None else values[start:stop][present[start:stop]]
        up_to = [np.count_nonzero(part <= edge) for edge in edges]
        there = np.count_nonzero(part == part) if part.dtype.kind == "f" else len(part)
        return np.diff([0, *up_to, there, stop - start])

    return count


def _coder(bins: Bins, array: np.ndarray | pa.Array) -> Callable[[int, int], np.ndarray]:
    """Return what gives the cell of each row from one place to another."""
    if bins.kind == "category":
        codes, texts = _coded(array)
        cell = _cell_of(bins, texts)
        return lambda start, stop: cell[codes[start:stop]]
    values, present = _numbers(array, is_time=bins.is_time)
    edges = _edges_for(values.dtype, bins.edges)

    def code(start: int, stop: int) -> np.ndarray:
        part = values[start:stop]
        codes = np.zeros(len(part), dtype=np.min_scalar_type(bins.n_bins))
        for edge in edges:
            codes += part > edge
        if part.dtype.kind == "f":
            codes[np.isnan(part)] = bins.n_bins
        if present is not None:
            codes[~present[start:stop]] = bins.n_bins
        return codes

    return code


def _cell_of(bins: Bins, texts: pa.Array) -> np.ndarray:
    """Return the cell of each text, and of what is missing."""
    unseen, missing = bins.n_bins - 1, bins.n_bins
    other = bins.categories.index(OTHER) if OTHER in bins.categories else unseen
    place, named = _filled(pc.index_in(texts, value_set=bins._named))
    rest = np.full(len(texts), other if bins.is_open else unseen)
    rest[pc.is_in(texts, value_set=bins._rare).to_numpy(zero_copy_only=False)] = other
    cell = place if named is None else np.where(named, place, rest)
    cell = np.where(texts.is_valid().to_numpy(zero_copy_only=False), cell, missing)
    return np.append(cell, missing).astype(np.min_scalar_type(missing))


def _edges_for(dtype: np.dtype, edges: Sequence[float]) -> list:
    """Return the edges as the type has them, so that ``x <= edge`` stays exact, and fast.

    >>> _edges_for(np.dtype("int64"), (-2.5, 2.5))
    [-3, 2]
    """
    if dtype.kind != "f":
        return [math.floor(edge) for edge in edges]
    exact = np.asarray(edges, dtype=np.float64)
    with np.errstate(over="ignore"):
        near = exact.astype(dtype)
        low = np.where(near > exact, np.nextafter(near, dtype.type(-np.inf)), near)
    return list(low)
