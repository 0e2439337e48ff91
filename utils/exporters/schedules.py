"""When a SageMaker monitoring schedule runs, and which window of event time each run looks at.

A schedule is a cron expression of a few fixed forms, or ``NOW``; a window is two ISO 8601 offsets
seen from the run. Everything is in UTC. SageMaker starts a run up to 20 minutes after its time, and
leaves it to itself when a schedule without an expression runs each day; here a run is at its time.

Source: Amazon SageMaker Developer Guide, "The cron expression for monitoring schedule";
``ScheduleConfig`` and ``EndpointInput`` of the API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from utils.monitors import windows

EndState = Literal["Completed", "CompletedWithViolations", "Failed"]
END_STATES: tuple[str, ...] = get_args(EndState)
NOW = "NOW"
LONGEST_ANALYSIS = pd.Timedelta("24h")
"""The most that ``DataAnalysisStartTime`` and ``DataAnalysisEndTime`` may lie apart."""

_FORMS = "'cron(0 * ? * * *)', 'cron(0 12 ? * * *)', 'cron(0 17/12 ? * * *)' and 'NOW'"
_HOURS = re.compile(r"(\d{1,2})(?:/(\d{1,2}))?")
_OFFSET = re.compile(
    r"(?P<sign>-?)P(?:(?P<W>\d+)W)?(?:(?P<D>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?"
    r"(?:(?P<s>\d+)S)?)?"
)
_HOUR = pd.Timedelta("1h")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a monitoring job runs: at these hours of each day, or once, at once (no hours)."""

    expression: str
    hours: tuple[int, ...]

    @property
    def is_once(self) -> bool:
        return not self.hours


def schedule(expression: str) -> Schedule:
    """Return what an expression says: hourly, daily at an hour, every n hours from an hour, or NOW.

    ``cron(0 17/12 ? * * *)`` is every 12 hours from 17:00, so at 17:00 and 5:00. The documents do
    not say what follows where the hours of a day are no multiple of n; here counting begins anew
    each day, so ``0/5`` is 0, 5, 10, 15 and 20.

    Raises ``ValueError`` for what SageMaker refuses, naming the field and the rule.

    >>> schedule("cron(0 17/12 ? * * *)").hours, schedule("NOW").is_once
    ((5, 17), True)
    >>> schedule("cron(30 * ? * * *)")
    Traceback (most recent call last):
    ValueError: expression='cron(30 * ? * * *)': its minutes are '30', and must be '0'
    """
    if expression == NOW:
        return Schedule(expression=expression, hours=())
    if not (expression.startswith("cron(") and expression.endswith(")")):
        raise ValueError(f"expression={expression!r}: SageMaker takes {_FORMS}")
    fields = expression[5:-1].split(" ")
    if len(fields) != 6:
        raise ValueError(
            f"expression={expression!r}: it has {len(fields)} fields, and must have 6: minutes, "
            "hours, day of the month, month, day of the week, year"
        )
    minutes, hours, *rest = fields
    fixed = {"minutes": (minutes, "0")} | dict(
        zip(
            ("day of the month", "month", "day of the week", "year"),
            zip(rest, "?***", strict=True),
            strict=True,
        )
    )
    for name, (given, needed) in fixed.items():
        if given != needed:
            are = "are" if name == "minutes" else "is"
            raise ValueError(
                f"expression={expression!r}: its {name} {are} {given!r}, and must be {needed!r}"
            )
    return Schedule(expression=expression, hours=_hours(hours, expression))


def _hours(text: str, expression: str) -> tuple[int, ...]:
    if text == "*":
        return tuple(range(24))
    found = _HOURS.fullmatch(text)
    first, step = (int(found[1]), int(found[2] or 24)) if found else (24, 0)
    if not (first <= 23 and 1 <= step <= 24):
        raise ValueError(
            f"expression={expression!r}: its hours are {text!r}, and must be '*', an hour of 0 to "
            "23, or an hour and a step of 1 to 24, such as '17/12'"
        )
    return tuple(sorted((first + gone) % 24 for gone in range(0, 24, step)))


def runs(expression: str, *, after: windows.Moment) -> Iterator[pd.Timestamp]:
    """Yield the runs of a schedule, without end, from the first one after a moment.

    ``NOW`` runs once, at that moment. Raises as ``schedule`` does, and for a time without a zone.

    >>> from itertools import islice
    >>> every_12_hours = runs("cron(0 17/12 ? * * *)", after="2022-01-09T13:00Z")
    >>> [f"{run:%d %H:%M}" for run in islice(every_12_hours, 3)]
    ['09 17:00', '10 05:00', '10 17:00']
    """
    parsed, start = schedule(expression), windows.moment(after, argument="after")
    return _runs(parsed, start)


def _runs(parsed: Schedule, start: pd.Timestamp) -> Iterator[pd.Timestamp]:
    if parsed.is_once:
        yield start
        return
    run = start.floor("h")
    while True:
        run += _HOUR
        if run.hour in parsed.hours:
            yield run


def offset(text: str, *, argument: str = "offset") -> pd.Timedelta:
    """Return an ISO 8601 offset into the past: weeks, days, hours, minutes and seconds.

    Raises ``ValueError`` for one into the future, and for months and years, which have no fixed
    length.

    >>> offset("-P1DT12H"), offset("-PT0H")
    (Timedelta('-2 days +12:00:00'), Timedelta('0 days 00:00:00'))
    """
    found = _OFFSET.fullmatch(text)
    parts = (
        {} if not found else {k: int(v) for k, v in found.groupdict().items() if v and k != "sign"}
    )
    if not parts or text.endswith("T"):
        raise ValueError(
            f"{argument}={text!r}: an ISO 8601 duration of days, hours, minutes or seconds is "
            "needed, such as '-P8D' or '-PT1H'"
        )
    length = sum((pd.Timedelta(n, unit) for unit, n in parts.items()), pd.Timedelta(0))
    if length and not found["sign"]:
        raise ValueError(f"{argument}={text!r}: lies in the future; did you mean '-{text}'?")
    return -length


def window(
    run: windows.Moment,
    *,
    start_offset: str,
    end_offset: str,
    longest: windows.Length | None = None,
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the half-open window of event time that a run looks at: start <= t < end.

    The offsets are those of ``EndpointInput`` for the monitors that wait for labels, or the
    ``DataAnalysisStartTime`` and ``DataAnalysisEndTime`` of a schedule, which may lie no more than
    ``LONGEST_ANALYSIS`` apart (``longest``). A label that comes later than the end offset allows
    is in no window of its prediction.

    Raises ``ValueError`` for offsets that are none, a window that does not end after it starts, and
    one that is too long.

    >>> start, end = window("2022-01-09T13:00Z", start_offset="-P8D", end_offset="-P1D")
    >>> print(start, end, sep="\\n")
    2022-01-01 13:00:00+00:00
    2022-01-08 13:00:00+00:00
    """
    moment = windows.moment(run, argument="run")
    start = moment + offset(start_offset, argument="start_offset")
    end = moment + offset(end_offset, argument="end_offset")
    if start >= end:
        raise ValueError(
            f"start_offset={start_offset!r}: must lie before end_offset={end_offset!r}"
        )
    if longest is not None and end - start > windows.length(longest, argument="longest"):
        raise ValueError(
            f"start_offset={start_offset!r} lies {end - start} before end_offset={end_offset!r}; "
            f"at most {windows.length(longest, argument='longest')} may be analysed"
        )
    return start, end


def end_state(n_violations: int | None) -> EndState:
    """Return how a run ended: with so many violations, or ``None`` for one that failed.

    >>> end_state(0), end_state(3), end_state(None)
    ('Completed', 'CompletedWithViolations', 'Failed')
    """
    if n_violations is None:
        return "Failed"
    return "CompletedWithViolations" if n_violations else "Completed"
