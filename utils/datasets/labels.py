"""The clock of labels: when what happened is reported, in what order, and whether at all.

The truth has its own moment (a landing, a missed instalment). A ``Clock`` says what the reporting
adds to it. Whoever reads the reports may know only those that had arrived: ``known``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from utils.datasets._checks import moment, need_columns, need_moments, need_share
from utils.records import LABEL_COLUMNS


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How reporting delays and spoils labels; by default it does neither.

    - ``delay_hours``: the median time from truth to report;
    - ``spread``: the standard deviation of the logarithm of that time. 0 delays all alike; the
      larger it is, the more reports overtake each other;
    - ``missing``: the share of labels that never come;
    - ``revised``: the share whose first report is wrong, and right only in a second one, that
      comes after another time of median ``revision_hours`` and the same spread;
    - ``revision_error``: the standard deviation of a wrong first report about the true number
      (a label of two values, 0 and 1, is simply the other one at first).

    Raises ``ValueError`` for a negative time or a share outside 0..1.

    >>> Clock(delay_hours=12, spread=0.5).missing
    0.0
    """

    delay_hours: float = 0.0
    spread: float = 0.0
    missing: float = 0.0
    revised: float = 0.0
    revision_hours: float = 72.0
    revision_error: float = 1.0

    def __post_init__(self) -> None:
        need_share(self.missing, argument="missing")
        need_share(self.revised, argument="revised")
        for name in ("delay_hours", "spread", "revision_hours", "revision_error"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r}: zero or more, and finite")


def reports(
    frame: pd.DataFrame,
    *,
    label_column: str,
    known_at_column: str,
    id_column: str = "prediction_id",
    clock: Clock,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the reports of the labels in the order in which they arrive.

    The columns are ``records.LABEL_COLUMNS``: ``prediction_id`` (the values of ``id_column``),
    ``label``, and ``known_at`` = ``known_at_column`` and what the clock adds. A revised label has
    two reports, the true one last. Rows without a label (refused, diverted) are never reported.

    Raises ``ValueError`` for a missing column, a ``known_at_column`` that holds no moments, or
    labels that are no numbers where the clock revises them.

    >>> frame = pd.DataFrame({"prediction_id": ["a", "b"], "repaid": [1, None],
    ...                       "known_at": pd.to_datetime(["2024-03-01", "2024-03-02"], utc=True)})
    >>> arrived = reports(frame, label_column="repaid", known_at_column="known_at",
    ...                   clock=Clock(delay_hours=24), rng=np.random.default_rng(0))
    >>> arrived["prediction_id"].tolist(), arrived["known_at"].dt.day.tolist()
    (['a'], [2])
    """
    need_columns(frame, [id_column, label_column])
    need_moments(frame, known_at_column, argument="known_at_column")
    comes = frame[[id_column, label_column, known_at_column]].dropna(ignore_index=True)
    comes = comes.set_axis(LABEL_COLUMNS, axis=1)
    comes = comes[rng.random(len(comes)) >= clock.missing]
    comes = comes.assign(
        label=_plain(comes["label"]),
        known_at=_later(comes["known_at"], clock.delay_hours, clock.spread, rng),
    )
    second = comes[rng.random(len(comes)) < clock.revised]
    first = comes.copy()
    if len(second):
        first.loc[second.index, "label"] = _wrong(second["label"], clock, rng)
    second = second.assign(
        known_at=_later(second["known_at"], clock.revision_hours, clock.spread, rng)
    )
    both = pd.concat([first, second])
    return both.sort_values("known_at", kind="stable", ignore_index=True)


def known(history: pd.DataFrame, *, as_of: Any) -> pd.DataFrame:
    """Return what was known at a moment: each label's newest report with ``known_at <= as_of``.

    ``history`` is what ``reports`` returns, whole or in part. Of two reports of one instant the
    later row counts. Raises ``ValueError`` for a missing column or a moment without a time zone.

    >>> history = pd.DataFrame({
    ...     "prediction_id": ["a", "a"], "label": [0, 1],
    ...     "known_at": pd.to_datetime(["2024-03-01", "2024-03-05"], utc=True)})
    >>> known(history, as_of="2024-03-04")["label"].tolist()
    [0]
    >>> known(history, as_of="2024-03-05")["label"].tolist()
    [1]
    """
    need_columns(history, LABEL_COLUMNS, argument="history")
    arrived = history[history["known_at"] <= moment(as_of, argument="as_of")]
    newest = arrived.sort_values("known_at", kind="stable").drop_duplicates(
        "prediction_id", keep="last"
    )
    return newest.reset_index(drop=True)


def _later(
    times: pd.Series, median_hours: float, spread: float, rng: np.random.Generator
) -> pd.Series:
    hours = median_hours * np.exp(spread * rng.standard_normal(len(times)))
    return times + pd.to_timedelta((hours * 3.6e9).round(), unit="us")


def _plain(labels: pd.Series) -> pd.Series:
    """Return labels of a nullable type, of which none is missing now, in the plain one."""
    return labels.astype(getattr(labels.dtype, "numpy_dtype", labels.dtype))


def _wrong(labels: pd.Series, clock: Clock, rng: np.random.Generator) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(labels):
        raise ValueError(f"label_column: its type is {labels.dtype}; only numbers can be revised")
    if labels.isin([0, 1]).all():
        return (1 - labels).astype(labels.dtype)
    error = clock.revision_error * rng.standard_normal(len(labels))
    return (
        (labels + error)
        .round(0 if pd.api.types.is_integer_dtype(labels) else 6)
        .astype(labels.dtype)
    )
