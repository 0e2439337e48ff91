"""Which columns came, went, or are something else than they were."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from utils.monitors import kinds, windows

CHANGE_COLUMNS = ("feature", "change", "expected", "observed", "since")

CHANGES = ("missing", "empty", "new", "type", "order")
"""What can have changed: the column is not there; it has no value any more; it was not there; its
values are of another kind; the columns stand in another order."""


def schema_changes(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    features: Sequence[str] | None = None,
    time_column: str | None = None,
) -> pd.DataFrame:
    """Return what changed of the columns: a row for each change, none where all is well.

    ``change`` is one of ``CHANGES``. ``expected`` and ``observed`` name the kind of the values and
    the type that holds them; of a missing column, ``observed`` is the new one that is called most
    like it, if any is. Whole numbers may hold fewer kinds than numbers do, so a number of which
    none happens to have a fraction has not changed; nor has a type whose values are of one kind
    with the former's (``int64`` to ``float64`` for whole numbers). ``since``, for which
    ``time_column`` is needed, is when a new column first had a value, or one of another kind came.

    A column that is as it was in name and kind may still mean something else: see ``units``.

    Raises ``ValueError`` for a feature that the reference does not have.

    >>> usual = pd.DataFrame({"age": [30, 41], "income_brl": [2000.0, 3500.5]})
    >>> now = pd.DataFrame({"age": ["30", "41"], "income": [2000.0, 3500.5]})
    >>> print(schema_changes(usual, now).iloc[:, :4].to_string(index=False))
       feature  change             expected         observed
           age    type whole number (int64)       text (str)
    income_brl missing     number (float64)           income
        income     new                      number (float64)
    """
    names = [name for name in reference.columns if name != time_column]
    for name in features or ():
        windows.column(reference, name, argument="features")
    asked = names if features is None else list(features)
    new = [name for name in current.columns if name not in (*reference.columns, time_column)]
    times = None if time_column is None else current[time_column]
    found = [
        *_of_known(reference, current, asked, new, times),
        *(
            {
                "feature": name,
                "change": "new",
                "observed": _told(current[name]),
                "since": _first(times, current[name].notna()),
            }
            for name in new
        ),
        *_of_order(asked, [name for name in current.columns if name in asked]),
    ]
    table = pd.DataFrame(found, columns=list(CHANGE_COLUMNS))
    table["since"] = pd.to_datetime(table["since"], utc=True).astype("datetime64[us, UTC]")
    for name in CHANGE_COLUMNS[:4]:
        table[name] = table[name].astype("object").fillna("").astype("str")
    return table


def _of_known(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    features: Sequence[str],
    new: Sequence[str],
    times: pd.Series | None,
) -> Iterator[dict[str, object]]:
    """Yield what changed of the columns that the reference has."""
    for name in features:
        before = {"feature": name, "expected": _told(reference[name])}
        if name not in current.columns:
            alike = difflib.get_close_matches(str(name), [str(each) for each in new], n=1)
            yield before | {"change": "missing", "observed": "".join(alike)}
            continue
        column, wanted = current[name], kinds.kind_of(kinds.kinds(reference[name]))
        found = kinds.kinds(column)
        if wanted == "missing" or not len(column):
            continue
        if (found == kinds.MISSING).all():
            yield before | {"change": "empty", "observed": _told(column)}
            continue
        other = ~kinds.fits(found, wanted)
        if other.any():
            since = _first(times, other)
            yield before | {"change": "type", "observed": _told(column), "since": since}


def _of_order(asked: Sequence[str], there: Sequence[str]) -> Iterator[dict[str, object]]:
    expected = [name for name in asked if name in there]
    if expected != there:
        yield {
            "feature": "",
            "change": "order",
            "expected": ", ".join(map(str, expected)),
            "observed": ", ".join(map(str, there)),
        }


def _told(column: pd.Series) -> str:
    return f"{kinds.kind_of(kinds.kinds(column))} ({column.dtype})"


def _first(times: pd.Series | None, rows: pd.Series | np.ndarray) -> pd.Timestamp | None:
    """Return the earliest time of some rows."""
    if times is None or not len(times[rows]):
        return None
    return times[rows].min()
