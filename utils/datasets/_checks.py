"""What this room asks of its callers, and how it refuses."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from utils.text import nearest


def need_columns(frame: pd.DataFrame, columns: Iterable[str], *, argument: str = "frame") -> None:
    """Raise ``ValueError`` naming the first of ``columns`` that ``frame`` lacks.

    >>> need_columns(pd.DataFrame({"income_brl": [1.0]}), ["income_brl"])
    """
    for column in columns:
        if column not in frame.columns:
            raise ValueError(
                f"{argument}: it has no column {column!r}; {nearest(column, frame.columns)}"
            )


def need_share(value: float, *, argument: str) -> float:
    """Return ``value`` if it lies in 0..1, else raise ``ValueError``.

    >>> need_share(0.5, argument="missing")
    0.5
    """
    if not 0 <= value <= 1:
        raise ValueError(f"{argument}={value!r}: a share lies in 0..1")
    return value


def moment(value: Any, *, argument: str) -> pd.Timestamp:
    """Return a moment as a UTC timestamp: a text without a time zone is one of UTC.

    A ``datetime`` without a time zone is refused: it may have been meant as local time.

    >>> moment("2013-04-01", argument="start")
    Timestamp('2013-04-01 00:00:00+0000', tz='UTC')
    """
    try:
        stamp = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{argument}={value!r}: no moment, such as 2013-04-01 06:00") from error
    if isinstance(value, str) and stamp.tzinfo is None:
        stamp = stamp.tz_localize("UTC")
    if pd.isna(stamp) or stamp.tzinfo is None:
        raise ValueError(f"{argument}={value!r}: a moment needs a time zone")
    return stamp.tz_convert("UTC").as_unit("us")


def need_moments(frame: pd.DataFrame, column: str, *, argument: str) -> pd.Series:
    """Return a column of moments, or raise ``ValueError`` if it is not one of aware datetimes.

    >>> frame = pd.DataFrame({"at": pd.to_datetime(["2013-04-01"], utc=True)})
    >>> len(need_moments(frame, "at", argument="time_column"))
    1
    """
    need_columns(frame, [column])
    if not isinstance(frame[column].dtype, pd.DatetimeTZDtype):
        raise ValueError(
            f"{argument}={column!r}: its type is {frame[column].dtype}; "
            "datetimes with a time zone are needed"
        )
    return frame[column]
