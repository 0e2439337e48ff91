"""Files that are there whole or not at all, in folders of the hour, and read line by line."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from utils.records import VigiaError

_HOUR = re.compile(r"(?:^|/)(\d{4})/(\d\d)/(\d\d)/(\d\d)/[^/]+$")
_ONE_HOUR = pd.Timedelta("1h")
_NAMED_BY_TIME = re.compile(r"(\d\d)-(\d\d)-(\d{3})-")


class UnreadableFile(VigiaError):
    """A file is not of the form that it should have; the message names it, the place, the rule."""


def write_whole(path: Path, text: str) -> Path:
    """Write a text as a file that is there whole or not at all, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def path_of(moment: pd.Timestamp, *, text: str) -> str:
    """Return where a file of that moment and content lies: its hour, and a name of its own.

    The same content has the same name, so writing it again changes nothing.

    >>> path_of(pd.Timestamp("2022-04-18T00:21:48.250Z"), text="one")
    '2022/04/18/00/21-48-250-aa67c98c-d81f-5a9c-b0bc-26caa0051aea.jsonl'
    """
    own = uuid.uuid5(uuid.NAMESPACE_OID, text)
    return f"{moment:%Y/%m/%d/%H/%M-%S}-{moment.microsecond // 1000:03d}-{own}.jsonl"


def hour_of(path: Path) -> pd.Timestamp | None:
    """Return the hour that a file's folders name, ``None`` where they name none.

    >>> hour_of(Path("truth/2022/04/18/00/labels.jsonl"))
    Timestamp('2022-04-18 00:00:00+0000', tz='UTC')
    """
    found = _HOUR.search(path.as_posix())
    if not found:
        return None
    year, month, day, hour = found.groups()
    try:
        return pd.Timestamp(f"{year}-{month}-{day}T{hour}:00Z").as_unit("us")
    except ValueError:
        return None


def moment_of(path: Path) -> pd.Timestamp | None:
    """Return the moment of a file: the one in its name, else the end of its hour.

    >>> moment_of(Path("2022/04/18/00/21-48-250-b5c1.jsonl"))
    Timestamp('2022-04-18 00:21:48.250000+0000', tz='UTC')
    >>> moment_of(Path("2022/04/18/00/labels.jsonl"))
    Timestamp('2022-04-18 01:00:00+0000', tz='UTC')
    """
    hour = hour_of(path)
    if hour is None:
        return None
    found = _NAMED_BY_TIME.match(path.name)
    if not found:
        return hour + _ONE_HOUR
    minutes, seconds, milliseconds = map(int, found.groups())
    return hour + pd.Timedelta(minutes=minutes, seconds=seconds, milliseconds=milliseconds)


def json_lines(
    folder: Path | str,
    *,
    start: pd.Timestamp | None = None,
    end: pd.Timestamp | None = None,
) -> Iterator[tuple[Path, str, Any]]:
    """Yield each record under a folder, or of one file: the file, its place, and what it holds.

    Files come in order of their paths, so by the hour. The place is ``path:line``. Files whose
    folder names an hour more than one away from the window are not opened.

    Raises ``FileNotFoundError``, and ``UnreadableFile`` naming file, line and rule.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such file or folder")
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*.jsonl")):
        if _is_far(hour_of(path), start, end):
            continue
        lines = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            if line.strip():
                place = f"{path}:{number}"
                yield path, place, _record(line, place, is_ended=number < len(lines))


def _is_far(
    hour: pd.Timestamp | None, start: pd.Timestamp | None, end: pd.Timestamp | None
) -> bool:
    if hour is None:
        return False
    is_before = start is not None and hour + 2 * _ONE_HOUR < start
    return is_before or (end is not None and hour - _ONE_HOUR > end)


def _record(line: bytes, place: str, *, is_ended: bool) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        rule = f"byte {error.start} is not of a text in UTF-8"
    except (ValueError, RecursionError) as error:
        rule = f"each line must be JSON ({error})"
    if not is_ended:
        rule = f"the file was cut off in its last line; {rule}"
    raise UnreadableFile(f"{place}: {rule}")
