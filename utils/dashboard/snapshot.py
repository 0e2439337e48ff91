"""What the page says at one moment, as numbers: made once, and read by every viewer."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

import pandas as pd

from utils.dashboard.tallies import Distribution, Interval, together

REALISED, ESTIMATED = "performance", "estimated_performance"
DRIFT = ("drift", "prediction_drift", "label_drift")
MAIN_METRICS = ("mae", "roc_auc", "accuracy", "f1", "rmse", "log_loss")
"""Which metric is drawn: the first of these that was measured."""

WINDOWS = 26
"""How many of the newest windows are drawn."""

FEATURES = 20
"""How many features are shown: those nearest to their thresholds, or beyond."""


class Alert(Protocol):
    """What the page shows of an alert. ``evidence`` is in the language in force."""

    rule: str
    state: str
    severity: str
    action: str
    owner: str
    runbook: str
    since: datetime
    last_seen: datetime
    acknowledged_by: str
    silenced: bool

    @property
    def evidence(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Point:
    """One line in one window. ``known_as_of`` says what was known then; ``None`` is all there is.

    ``is_estimated`` tells an estimate made without labels from what the labels told.
    """

    metric: str
    is_estimated: bool
    start: datetime
    end: datetime
    known_as_of: datetime | None
    value: float
    low: float
    high: float
    threshold_low: float
    threshold_high: float
    alarm: bool
    n: int


@dataclass(frozen=True, kw_only=True)
class Performance:
    """The main metric over time, and every metric in the newest window that has a value."""

    metric: str = ""
    over_time: tuple[Point, ...] = ()
    latest: tuple[Point, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """A feature in the newest window, by the metric that is nearest to its threshold.

    ``feature`` is empty for the predictions and the labels themselves: ``monitor`` says of which.
    ``share`` is how far the value is on its way to the threshold: 1 is there.
    """

    monitor: str
    feature: str
    group: str
    metric: str
    value: float
    threshold: float
    share: float
    alarm: bool


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The window that was looked at last, and its features, the furthest first.

    ``features`` are the ``FEATURES`` furthest; ``n_features`` and ``n_beyond`` count them all.
    """

    start: datetime | None = None
    end: datetime | None = None
    features: tuple[Drifted, ...] = ()
    n_features: int = 0
    n_beyond: int = 0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything that the page says. ``trouble`` is why it may be old; empty when all is well.

    ``runbooks`` names the runbooks that have a page at this very address.
    """

    deployment: str
    model_name: str
    model_version: str
    at: datetime
    stored: int
    traffic: tuple[Interval, ...]
    answers: Distribution | None
    performance: Performance
    drift: Drift
    alerts: Sequence[Alert] = ()
    runbooks: Collection[str] = ()
    trouble: str = ""

    @cached_property
    def total(self) -> Interval:
        """The ten minutes as one."""
        return together(self.traffic)

    @property
    def open_alerts(self) -> list[Alert]:
        return [each for each in self.alerts if each.state != "resolved"]


def performance_of(table: pd.DataFrame) -> Performance:
    """Return realised and estimated performance over all predictions, of a measurements table.

    Groups are left out. A window without a value, such as one whose labels are not there yet, is
    no point; so the newest window of an estimate may well be newer than that of its realised twin.
    The share of the labels that are known is told, and never drawn: it is no performance.
    """
    rows = table[
        table["monitor"].isin((REALISED, ESTIMATED))
        & table["feature"].eq("")
        & table["group"].eq("")
        & table["value"].notna()
    ].sort_values("window_start", kind="stable")
    if rows.empty:
        return Performance()
    metrics = [each for each in dict.fromkeys(rows["metric"]) if each != "labelled_share"]
    first = metrics[0] if metrics else ""
    metric = next((each for each in MAIN_METRICS if each in metrics), first)
    newest = rows.drop_duplicates(["monitor", "metric"], keep="last")
    return Performance(
        metric=metric,
        over_time=_points(rows[rows["metric"].eq(metric)]),
        latest=_points(newest.sort_values(["metric", "monitor"], ascending=[True, False])),
    )


def _points(rows: pd.DataFrame) -> tuple[Point, ...]:
    numbers = ("value", "low", "high", "threshold_low", "threshold_high")
    return tuple(
        Point(
            metric=row.metric,
            is_estimated=row.monitor == ESTIMATED,
            start=row.window_start,
            end=row.window_end,
            known_as_of=None if pd.isna(row.known_as_of) else row.known_as_of,
            alarm=bool(row.alarm),
            n=int(row.n_current),
            **{name: float(getattr(row, name)) for name in numbers},
        )
        for row in rows.itertuples()
    )


def drift_of(table: pd.DataFrame) -> Drift:
    """Return the newest window of drift: each feature by its metric nearest to a threshold."""
    rows = table[table["monitor"].isin(DRIFT) & table["value"].notna()]
    if rows.empty:
        return Drift()
    start = rows["window_start"].max()
    rows = rows[rows["window_start"].eq(start)]
    nearest: dict[tuple[str, str, str], Drifted] = {}
    for row in rows.itertuples():
        found = _drifted(row)
        key = (found.monitor, found.feature, found.group)
        if key not in nearest or _urgency(found) > _urgency(nearest[key]):
            nearest[key] = found
    order = sorted(nearest.values(), key=lambda each: (*_urgency(each), each.feature), reverse=True)
    return Drift(
        start=start,
        end=rows["window_end"].max(),
        features=tuple(order[:FEATURES]),
        n_features=len(order),
        n_beyond=sum(each.alarm for each in order),
    )


def _urgency(each: Drifted) -> tuple[bool, float]:
    return each.alarm, -1.0 if math.isnan(each.share) else each.share


def _drifted(row: Any) -> Drifted:
    threshold, share = toward(row.value, low=row.threshold_low, high=row.threshold_high)
    return Drifted(
        monitor=row.monitor,
        feature=row.feature,
        group=row.group,
        metric=row.metric,
        value=float(row.value),
        threshold=threshold,
        share=share,
        alarm=bool(row.alarm),
    )


def toward(value: float, *, low: float, high: float) -> tuple[float, float]:
    """Return the threshold that a value is nearer to, and how far on its way it is: 1 is there.

    Both are NaN without a threshold; the way to a threshold of 0 or below has no share.

    >>> toward(0.05, low=float("nan"), high=0.1)
    (0.1, 0.5)
    >>> toward(0.2, low=0.1, high=float("nan"))
    (0.1, 0.5)
    """
    ways = []
    if math.isfinite(high):
        ways.append((high, value / high if high > 0 else float("nan")))
    if math.isfinite(low):
        ways.append((low, low / value if value > 0 else float("nan")))
    if not ways:
        return float("nan"), float("nan")
    return max(ways, key=lambda way: -1.0 if math.isnan(way[1]) else way[1])
