"""Half-open windows of time, cut from a fixed origin, so that every frame has the same ones."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from utils.text import nearest

ORIGIN = pd.Timestamp("1970-01-05", tz="UTC")
"""A Monday at midnight, in UTC: windows of a week begin on Mondays, those of a day at midnight."""

Moment = datetime | str
Length = timedelta | str


def column(frame: pd.DataFrame, name: str, *, argument: str) -> pd.Series:
    """Return a column of a frame, or say which one was meant.

    Raises ``ValueError`` naming the argument, the missing column and the nearest that is there.

    >>> column(pd.DataFrame({"label": [1.0]}), "labels", argument="label_column")
    Traceback (most recent call last):
    ValueError: label_column='labels' is no column of the frame; did you mean 'label'?
    """
    if name in frame.columns:
        return frame[name]
    there = [str(each) for each in frame.columns]
    raise ValueError(f"{argument}={name!r} is no column of the frame; {nearest(name, there)}")


def moment(value: Moment | None, *, argument: str) -> pd.Timestamp | None:
    """Return a moment in UTC, to the microsecond; ``None`` stays ``None``.

    Raises ``ValueError`` for what is no time and for a time without a zone.

    >>> moment("2013-07-31T20:00-04:00", argument="known_as_of")
    Timestamp('2013-08-01 00:00:00+0000', tz='UTC')
    """
    if value is None:
        return None
    try:
        stamp = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{argument}={value!r} is no time ({error})") from error
    if stamp is pd.NaT or stamp.tz is None:
        raise ValueError(
            f"{argument}={value!r}: a time with its zone is needed, such as '2013-07-31T00:00Z'"
        )
    return stamp.tz_convert("UTC").as_unit("us")


def length(value: Length, *, argument: str) -> pd.Timedelta:
    """Return a positive length of time, at least a microsecond.

    Raises ``ValueError`` for anything else; a month is no fixed length.

    >>> length("7D", argument="window")
    Timedelta('7 days 00:00:00')
    """
    try:
        parsed = pd.Timedelta(value)
    except (ValueError, TypeError):
        parsed = pd.NaT
    if parsed is pd.NaT or parsed < pd.Timedelta(1, "us"):
        raise ValueError(
            f"{argument}={value!r}: a positive, fixed length of time is needed, such as "
            "'7D' or '12h'"
        )
    return parsed.as_unit("us")


def microseconds(times: pd.Series, *, argument: str) -> np.ndarray:
    """Return times as whole microseconds since 1970 in UTC.

    A missing time becomes the least integer (``np.iinfo("int64").min``), as in pandas. Raises
    ``ValueError`` for a column that does not hold times, or holds them without a zone.

    >>> microseconds(pd.Series(pd.to_datetime(["1970-01-01T00:00:01Z"])), argument="t").tolist()
    [1000000]
    """
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        what = "times without a zone" if times.dtype.kind == "M" else f"{times.dtype}, not times"
        raise ValueError(
            f"{argument}={times.name!r} holds {what}; convert it, for example with "
            "pd.to_datetime(…, utc=True)"
        )
    return times.dt.tz_convert("UTC").dt.as_unit("us").astype("int64").to_numpy()


def times(frame: pd.DataFrame, name: str, *, argument: str) -> np.ndarray:
    """Return the times of a column that lacks none, as microseconds since 1970.

    Raises ``ValueError`` as ``column`` and ``microseconds`` do, and for a missing time.

    >>> frame = pd.DataFrame({"event_time": pd.to_datetime(["1970-01-01T00:00:01Z", None])})
    >>> times(frame, "event_time", argument="time_column")
    Traceback (most recent call last):
    ValueError: time_column='event_time' lacks 1 of 2 times; each row needs its own
    """
    series = column(frame, name, argument=argument)
    missing = int(series.isna().sum())
    if missing:
        raise ValueError(
            f"{argument}={name!r} lacks {missing} of {len(frame)} times; each row needs its own"
        )
    return microseconds(series, argument=argument)


def numbers(frame: pd.DataFrame, name: str, *, argument: str) -> np.ndarray:
    """Return a column as floats, ``NaN`` where missing; refuse what is not finite or no number.

    >>> numbers(pd.DataFrame({"label": [1, None]}), "label", argument="label_column").tolist()
    [1.0, nan]
    """
    series = column(frame, name, argument=argument).infer_objects()
    is_number = pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series)
    if not (is_number or series.isna().all()):
        value = series.dropna().iloc[0]
        raise ValueError(f"{argument}={name!r} holds {value!r}: a number is needed")
    values = series.to_numpy(dtype=float, na_value=np.nan)
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise ValueError(
            f"{argument}={name!r} holds {infinite} infinite values; a finite number, or none, is "
            "needed"
        )
    return values


def from_microseconds(value: int) -> pd.Timestamp:
    """Return the moment that many microseconds after 1970, in UTC.

    >>> from_microseconds(1_000_000)
    Timestamp('1970-01-01 00:00:01+0000', tz='UTC')
    """
    return pd.Timestamp(value, unit="us", tz="UTC")


def whole_microseconds(value: pd.Timestamp | pd.Timedelta) -> int:
    """Return a moment as microseconds since 1970, or a length of time as microseconds.

    >>> whole_microseconds(pd.Timedelta("1s"))
    1000000
    """
    return value.value // 1000


def cut(
    times: np.ndarray,
    *,
    window: Length | None,
    start: Moment | None = None,
    end: Moment | None = None,
) -> np.ndarray:
    """Return the edges of the windows that hold ``times``: window i is edges[i] <= t < edges[i+1].

    Times are whole microseconds since 1970 (``microseconds``), in any order, and so are the edges.
    The windows tile the whole period without a gap, empty ones included: from ``start``, or else
    from the edge of the grid (see ``ORIGIN``) at or before the earliest time; to ``end``, where the
    last window is cut short, or else to the edge after the latest time. ``window=None`` gives one
    window over the period. No times and no bounds give no edges.

    The edges do not tell how many times fall into a window, and know no local clock: days are UTC.

    >>> week = cut(np.array([0]), window="7D")
    >>> pd.to_datetime(week, unit="us").strftime("%a %Y-%m-%d").tolist()
    ['Mon 1969-12-29', 'Mon 1970-01-05']
    """
    start, end = moment(start, argument="start"), moment(end, argument="end")
    if start is not None and end is not None and end <= start:
        raise ValueError(f"end={end} must be after start={start}")
    step = None if window is None else whole_microseconds(length(window, argument="window"))
    if start is not None:
        times = times[times >= whole_microseconds(start)]
    if end is not None:
        times = times[times < whole_microseconds(end)]
    if not len(times) and (start is None or end is None):
        return np.empty(0, dtype=np.int64)
    origin = whole_microseconds(ORIGIN if start is None else start)
    if start is not None:
        first = origin
    elif step is None:
        first = int(times.min())
    else:
        first = origin + (int(times.min()) - origin) // step * step
    last = int(times.max()) + 1 if end is None else whole_microseconds(end)
    if step is None:
        return np.array([first, last])
    edges = np.arange(first, last + step, step)
    edges = edges[: np.searchsorted(edges, last) + 1]
    return edges if end is None else np.minimum(edges, last)
