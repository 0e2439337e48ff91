"""Rows by time: what a model may learn from, and what it is judged on later.

A split at random lets the future into the past: rows of one day are alike, and a label that came
after the model was made was not there to learn from. Both are kept out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from utils.datasets._checks import moment, need_moments


@dataclass(frozen=True, kw_only=True)
class Split:
    """The two parts of a history, and what was in neither because its label came too late.

    ``train``: rows before ``at`` whose label was known at ``learned_at``. ``later``: rows from
    ``at`` on whose label was known at ``judged_at``. ``unknown``: the rows of either whose label
    was not.
    """

    train: pd.DataFrame
    later: pd.DataFrame
    unknown: pd.DataFrame


def split(
    frame: pd.DataFrame,
    *,
    time_column: str,
    known_at_column: str,
    at: Any,
    learned_at: Any,
    judged_at: Any,
) -> Split:
    """Return a history cut at a moment, each part as it was known when it was used.

    A row without a label has no ``known_at`` and is in ``unknown``. Order and index stay.

    It does not correct what late labels select: where bad news comes sooner than good, the rows
    known early are the bad ones. Choose ``at`` so long before ``learned_at`` that nearly all labels
    have come.

    Raises ``ValueError`` for a column that holds no moments, and for moments out of order
    (``at`` <= ``learned_at`` <= ``judged_at``).

    >>> days = pd.to_datetime(["2023-01-01", "2023-01-02", "2023-01-03"], utc=True)
    >>> loans = pd.DataFrame({"applied_at": days, "known_at": days + pd.Timedelta(days=30)})
    >>> parts = split(loans, time_column="applied_at", known_at_column="known_at",
    ...               at="2023-01-03", learned_at="2023-02-01", judged_at="2023-03-01")
    >>> len(parts.train), len(parts.later), len(parts.unknown)
    (2, 1, 0)
    """
    cut, learned, judged = (
        moment(value, argument=name)
        for name, value in (("at", at), ("learned_at", learned_at), ("judged_at", judged_at))
    )
    if not cut <= learned <= judged:
        raise ValueError(
            f"at={at!r}, learned_at={learned_at!r}, judged_at={judged_at!r}: each is the one "
            "before it, or later"
        )
    times = need_moments(frame, time_column, argument="time_column")
    known = need_moments(frame, known_at_column, argument="known_at_column")
    before = times < cut
    in_time = known.le(learned).where(before, known.le(judged))
    return Split(
        train=frame[before & in_time], later=frame[~before & in_time], unknown=frame[~in_time]
    )
