"""Where a frame comes from: a file, a folder of Parquet, or the deployment of a store."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from utils.records import VigiaError
from utils.text import tr

SEPARATORS = (",", ";", "\t", "|")
_STORE = re.compile(r"(sqlite|postgres(?:ql)?)(\+\w+)?://")
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):([^@]+)@")
_PASSWORD_OPTION = re.compile(r"([?&](?:ssl)?password=)([^&#]+)")
_COMMA_DECIMAL = re.compile(r"-?\d+,\d+")


class Unusable(VigiaError, ValueError):
    """What a report cannot be made from; the message names it and the way out, in one line."""


def is_store(source: str) -> bool:
    """Return whether a source is a store, as ``sqlite:///PATH#deployment`` is.

    >>> is_store("sqlite:///metrics.db#flights"), is_store("flights.csv")
    (True, False)
    """
    return _STORE.match(source) is not None


def without_password(source: str, *, variable: str) -> tuple[str, dict[str, str]]:
    """Return a source that keeps no secret, and the environment in which it means the same.

    The password in the URL of a store becomes ``${variable}``, which ``read`` fills in.

    >>> without_password("postgresql://ana:p%40ss@host/db#flights", variable="REFERENCE_PASSWORD")
    ('postgresql://ana:${REFERENCE_PASSWORD}@host/db#flights', {'REFERENCE_PASSWORD': 'p%40ss'})
    """
    if not is_store(source):
        return source, {}
    secrets: dict[str, str] = {}

    def hidden(before: str, secret: str, after: str = "") -> str:
        if secret.startswith("${"):
            return f"{before}{secret}{after}"
        name = f"{variable}_{len(secrets) + 1}" if secrets else variable
        secrets[name] = secret
        return f"{before}${{{name}}}{after}"

    source = _PASSWORD.sub(lambda found: hidden(f"{found[1]}:", found[2], "@"), source)
    source = _PASSWORD_OPTION.sub(lambda found: hidden(found[1], found[2]), source)
    return source, secrets


def shown(source: str) -> str:
    """Return a source for people: without its password.

    >>> shown("postgresql://ana:secret@host/db#flights")
    'postgresql://ana:***@host/db#flights'
    """
    if not is_store(source):
        return source
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", source))


def read(source: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of a source as they are, and what there is to say of how they were read.

    A source is a CSV, Parquet or Arrow file, a folder of Parquet, or ``STORE_URL#deployment``. A
    period of a deployment is ``STORE_URL#deployment?start=2013-04-01&end=2013-07-01`` (half-open,
    in UTC), and ``${NAME}`` in a URL is a variable of the environment. In a CSV the fields are
    separated by comma, semicolon, tab or bar, whichever its first line has most of.

    Raises ``Unusable``, in one line, for a source that is missing, empty or cannot be read.

    >>> from utils.text import using
    >>> with using("en"):
    ...     read("nothing.csv")
    Traceback (most recent call last):
    utils.report.sources.Unusable: nothing.csv: no such file or folder
    """
    if is_store(source):
        return _of_store(source)
    path = Path(source).expanduser()
    if not path.exists():
        raise Unusable(
            tr(
                pt=f"{source}: não há tal arquivo nem pasta",
                en=f"{source}: no such file or folder",
            )
        )
    try:
        frame, notes = _of_folder(path) if path.is_dir() else _of_file(path)
    except Unusable:
        raise
    except (OSError, EOFError, ValueError, pa.ArrowException) as error:
        raise _unreadable(source, error) from error
    if frame.empty:
        raise Unusable(tr(pt=f"{source}: não tem linhas", en=f"{source}: has no rows"))
    return frame, notes


def _unreadable(source: str | Path, error: Exception) -> Unusable:
    why = " ".join(str(error).split()) or type(error).__name__
    return Unusable(
        tr(pt=f"{source}: não se deixa ler: {why}", en=f"{source}: cannot be read: {why}")
    )


# ----------------------------------------------------------------------------------------- files


def _of_file(path: Path) -> tuple[pd.DataFrame, list[str]]:
    with path.open("rb") as file:
        begins = file.read(8)
    if not begins:
        raise Unusable(tr(pt=f"{path}: o arquivo está vazio", en=f"{path}: the file is empty"))
    if begins.startswith(b"PAR1"):
        return _of_arrow(pq.ParquetFile(path).read(), path)
    if begins.startswith(b"ARROW1"):
        with pa.memory_map(str(path)) as file:
            return _of_arrow(pa.ipc.open_file(file).read_all(), path)
    if begins.startswith(b"\xff\xff\xff\xff"):
        with pa.memory_map(str(path)) as file:
            return _of_arrow(pa.ipc.open_stream(file).read_all(), path)
    if {".csv", ".tsv", ".txt"} & set(path.suffixes):
        return _of_csv(path)
    raise Unusable(
        tr(
            pt=f"{path}: não é CSV, Parquet nem Arrow",
            en=f"{path}: is no CSV, Parquet or Arrow file",
        )
    )


def _of_folder(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of every Parquet file below a folder; what a file lacks is missing."""
    files = sorted(each for each in path.rglob("*.parquet") if each.is_file())
    if not files:
        raise Unusable(
            tr(pt=f"{path}: não há *.parquet na pasta", en=f"{path}: no *.parquet in the folder")
        )
    for each in files:
        try:
            pq.read_schema(each)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(each, error) from error
    found = ds.dataset([str(each) for each in files], partitioning="hive", format="parquet")
    kinds = [fragment.physical_schema for fragment in found.get_fragments()]
    schema = pa.unify_schemas([found.schema, *kinds], promote_options="permissive")
    return _of_arrow(found.replace_schema(schema).to_table(), path)


def _of_arrow(table: pa.Table, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return a table as a frame: decimals as floats, dates as times, and no index of pandas."""
    names = table.column_names
    for name in names:
        if names.count(name) > 1:
            raise Unusable(
                tr(
                    pt=f"{path}: duas colunas se chamam {name!r}",
                    en=f"{path}: two columns are called {name!r}",
                )
            )
    table = table.select([name for name in names if not name.startswith("__index_level_")])
    fields = [field.with_type(_plain(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields)).to_pandas(ignore_metadata=True), []


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type that pandas has for an Arrow type, where it would make objects of it."""
    if pa.types.is_decimal(kind):
        return pa.float64()
    return pa.timestamp("ms") if pa.types.is_date(kind) else kind


# ------------------------------------------------------------------------------------------- CSV


def _of_csv(path: Path) -> tuple[pd.DataFrame, list[str]]:
    notes = []
    try:
        frame = _parsed_csv(path, encoding="utf-8-sig")
    except UnicodeDecodeError:
        frame = _parsed_csv(path, encoding="cp1252")
        notes.append(
            tr(
                pt=f"{path}: não é UTF-8; lido como Windows-1252",
                en=f"{path}: is not UTF-8; read as Windows-1252",
            )
        )
    unnamed = [name for name in frame if re.fullmatch(r"Unnamed: \d+", str(name))]
    return frame.drop(columns=unnamed), notes


def _parsed_csv(path: Path, *, encoding: str) -> pd.DataFrame:
    separator, decimal = _dialect(path, encoding)
    return pd.read_csv(path, sep=separator, decimal=decimal, encoding=encoding, low_memory=False)


def _dialect(path: Path, encoding: str) -> tuple[str, str]:
    """Return the separator of fields and the mark of decimals, by the first lines."""
    first = pd.read_csv(
        path, header=None, sep="\0", nrows=20, encoding=encoding, quoting=3, dtype="str"
    )[0]
    separator = max(SEPARATORS, key=first.iloc[0].count)
    fields = [field.strip('" ') for line in first.iloc[1:] for field in line.split(separator)]
    has_comma = separator != "," and any(map(_COMMA_DECIMAL.fullmatch, fields))
    return separator, "," if has_comma else "."


# ----------------------------------------------------------------------------------------- stores


def _of_store(source: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the predictions of a deployment, with the newest label of each."""
    from utils.store import open_store

    url, _, asked = source.partition("#")
    deployment, _, options = asked.partition("?")
    if not deployment:
        raise Unusable(
            tr(
                pt=f"{shown(source)}: falta a implantação: URL#implantação",
                en=f"{shown(source)}: the deployment is missing: URL#deployment",
            )
        )
    bounds = dict(_bounds(source, options))
    _need_file(source, url)
    try:
        with open_store(_filled(url)) as store:
            frame = store.read(deployment, **bounds)
    except (VigiaError, ValueError) as error:
        raise Unusable(" ".join(str(error).split())) from error
    if frame.empty:
        raise Unusable(
            tr(
                pt=f"{shown(source)}: não tem previsões",
                en=f"{shown(source)}: has no predictions",
            )
        )
    return frame, []


def _bounds(source: str, options: str) -> Iterator[tuple[str, pd.Timestamp]]:
    for name, (text, *_) in parse_qs(options.replace("+", "%2B")).items():
        if name not in ("start", "end"):
            raise Unusable(
                tr(
                    pt=f"{shown(source)}: {name!r} não é start nem end",
                    en=f"{shown(source)}: {name!r} is neither start nor end",
                )
            )
        try:
            stamp = pd.Timestamp(text)
        except ValueError as error:
            raise Unusable(
                tr(
                    pt=f"{shown(source)}: {name}={text!r} não é um momento",
                    en=f"{shown(source)}: {name}={text!r} is no time",
                )
            ) from error
        yield name, stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")


def _need_file(source: str, url: str) -> None:
    """Refuse a SQLite file that is not there: opening a store would make it."""
    scheme, _, path = url.partition(":///")
    path = path.partition("?")[0]
    if scheme.startswith("sqlite") and not (path and Path(path).is_file()):
        raise Unusable(
            tr(pt=f"{shown(source)}: não há tal arquivo", en=f"{shown(source)}: no such file")
        )


def _filled(url: str) -> str:
    """Return a URL with the variables of the environment that it names."""
    lacking = [name for name in re.findall(r"\$\{(\w+)\}", url) if name not in os.environ]
    if lacking:
        raise Unusable(
            tr(
                pt=f"{shown(url)}: falta no ambiente a variável {lacking[0]}",
                en=f"{shown(url)}: the environment lacks the variable {lacking[0]}",
            )
        )
    return re.sub(r"\$\{(\w+)\}", lambda found: os.environ[found[1]], url)
