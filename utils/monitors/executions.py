"""A check, run window after window: what a monitoring schedule leaves behind.

The check is any function of a window's rows that returns what it found, one entry for each finding:
Model Monitor's violations, those of a contract, or anybody's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from utils.monitors import windows
from utils.monitors.constraints import Violation

EXECUTION_COLUMNS = ("window_start", "window_end", "n_rows", "n_violations", "found", "alarm")

Check = Callable[[pd.DataFrame], "pd.DataFrame | Iterable[Violation]"]
"""Returns ``constraint_violations``, or the table of ``contract.violations``, of some rows."""


def executions(
    frame: pd.DataFrame,
    check: Check,
    *,
    window: windows.Length = "7D",
    time_column: str = "event_time",
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
) -> pd.DataFrame:
    """Return a row for each half-open window of time: what a check found in its rows.

    ``found`` names each finding as ``feature check``, sorted, joined by commas; there is an
    ``alarm`` where there is any. The check sees all columns. A window without rows is not checked:
    its ``alarm`` is ``False`` and its ``n_rows`` 0, which is a finding for somebody else.

    **What it does not tell.** How sure or how grave a finding is; and a check that looks at many
    things finds something by chance in many a window.

    Raises ``ValueError`` for a time column that is missing or no time.

    >>> from utils.monitors.constraints import constraint_violations, suggested_constraints
    >>> usual = pd.DataFrame({"wait_min": [1, 2, 6]})
    >>> constraints = suggested_constraints(usual)
    >>> times = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-08"], utc=True)
    >>> now = pd.DataFrame({"event_time": times, "wait_min": [1, 2, 2.5]})
    >>> weeks = executions(now, lambda week: constraint_violations(week[["wait_min"]], constraints))
    >>> weeks[["n_rows", "found", "alarm"]].to_numpy().tolist()
    [[2, '', False], [1, 'wait_min data_type_check', True]]
    """
    times = windows.times(frame, time_column, argument="time_column")
    edges = windows.cut(times, window=window, start=start, end=end)
    rows = []
    for left, right in itertools.pairwise(edges.tolist()):
        part = frame[(times >= left) & (times < right)]
        found = sorted(_named(check(part))) if len(part) else []
        rows.append(
            {
                "window_start": windows.from_microseconds(left),
                "window_end": windows.from_microseconds(right),
                "n_rows": len(part),
                "n_violations": len(found),
                "found": ", ".join(found),
                "alarm": bool(found),
            }
        )
    return pd.DataFrame(rows, columns=list(EXECUTION_COLUMNS))


def _named(found: pd.DataFrame | Iterable[Violation]) -> Iterator[str]:
    if isinstance(found, pd.DataFrame):
        yield from (found["feature"] + " " + found["check"]).str.strip()
        return
    for each in found:
        yield f"{each.feature_name} {each.constraint_check_type}"
