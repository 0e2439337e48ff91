"""What CloudWatch and Lambda would cost a month: from usage, and prices with their date and source.

Nothing is asked of AWS here. The prices are list prices in US dollars, before tax, of one region;
bring others as ``Prices``, and read them again before money depends on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

HOURS_A_MONTH = 730
"""What AWS counts a month as: 365 days of 24 hours, in twelve parts."""

MIB_A_GB = 1_024
"""Lambda's GB are of 1,024 of the units in which memory is given."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices in US dollars, where and when they held, and what a month has for nothing.

    ``metric_tiers`` are pairs: up to so many metrics, so much each a month. ``as_of`` is the oldest
    day on which one of them was read.
    """

    as_of: date
    source: str
    region: str
    metric_tiers: tuple[tuple[float, float], ...]
    alarm_month: float
    dashboard_month: float
    thousand_requests: float
    million_invocations: float
    gb_second: float
    free_metrics: int = 0
    free_alarms: int = 0
    free_dashboards: int = 0
    free_requests: int = 0
    free_invocations: int = 0
    free_gb_seconds: int = 0


PRICES = Prices(
    as_of=date(2026, 5, 4),
    source=(
        "AWS Price List API (AmazonCloudWatch: CW:MetricMonitorUsage, CW:AlarmMonitorUsage; "
        "AWSLambda), as read by third parties on 2026-09-21; requests, dashboards and the free "
        "tier of https://aws.amazon.com/cloudwatch/pricing/ as quoted on 2026-05-04, and of "
        "https://aws.amazon.com/lambda/pricing/ on 2026-09-21"
    ),
    region="us-east-1",
    metric_tiers=((10_000, 0.30), (250_000, 0.10), (1_000_000, 0.05), (math.inf, 0.02)),
    alarm_month=0.10,
    dashboard_month=3.00,
    thousand_requests=0.01,
    million_invocations=0.20,
    gb_second=0.0000166667,
    free_metrics=10,
    free_alarms=10,
    free_dashboards=3,
    free_requests=1_000_000,
    free_invocations=1_000_000,
    free_gb_seconds=400_000,
)
"""US East (N. Virginia), alarms and metrics of standard resolution, Lambda on x86."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a month uses. ``metric_hours`` are the hours in which each metric gets data.

    ``seconds`` is how long one invocation runs, and ``memory_mib`` what the function was given.

    Raises ``ValueError`` naming what is negative, or more hours than a month has.
    """

    metrics: int = 0
    metric_hours: float = HOURS_A_MONTH
    alarms: int = 0
    dashboards: int = 0
    requests: int = 0
    invocations: int = 0
    seconds: float = 0.0
    memory_mib: int = 512

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"{name}={value!r}: must not be negative")
        if self.metric_hours > HOURS_A_MONTH:
            raise ValueError(
                f"metric_hours={self.metric_hours!r}: a month has {HOURS_A_MONTH} hours"
            )


def usage_of(
    calls: Sequence[Mapping[str, Any]],
    *,
    a_month: float,
    alarms: int = 0,
    dashboards: int = 0,
    alerts: int = 0,
    seconds: float = 2.0,
    memory_mib: int = 512,
) -> Usage:
    """Return what a month uses where ``calls`` of ``put_metric_data`` are made ``a_month`` times.

    ``alerts`` is how often an alarm calls the function; ``seconds`` is one call of it, its start
    included. A metric is a name with its namespace and dimensions: each group of each feature is
    one of its own.

    >>> datum = {"MetricName": "mae", "Dimensions": [], "Value": 1.0}
    >>> usage_of([{"Namespace": "Vigia/Models", "MetricData": [datum]}], a_month=30).metric_hours
    30
    """
    metrics = {
        (
            call["Namespace"],
            datum["MetricName"],
            tuple(sorted((each["Name"], each["Value"]) for each in datum["Dimensions"])),
        )
        for call in calls
        for datum in call["MetricData"]
    }
    return Usage(
        metrics=len(metrics),
        metric_hours=min(a_month, HOURS_A_MONTH),
        alarms=alarms,
        dashboards=dashboards,
        requests=math.ceil(len(calls) * a_month),
        invocations=alerts,
        seconds=seconds,
        memory_mib=memory_mib,
    )


def monthly_cost(usage: Usage, *, prices: Prices = PRICES, free_tier: bool = False) -> pd.DataFrame:
    """Return what each item costs a month: ``quantity``, ``free``, ``billed`` and ``usd``.

    Metrics are billed by the hour in which they get data, so one that is sent once a day costs a
    twenty-fourth of one that is sent each minute; alarms, dashboards by the month. Durations are
    rounded up to a millisecond, as AWS does.

    **What it does not tell.** The database that holds the store, the function's logs ($ a GB),
    what reads metrics by the API, data that leaves AWS, and tax. With ``free_tier`` an account that
    uses none of it elsewhere is taken for granted; an account of today may have other terms.

    >>> cost = monthly_cost(Usage(metrics=100, alarms=10, dashboards=1))
    >>> [round(float(usd), 2) for usd in cost["usd"][:3]]
    [30.0, 1.0, 3.0]
    """
    billed_seconds = math.ceil(round(usage.seconds * 1_000, 6)) / 1_000
    compute = usage.invocations * billed_seconds * usage.memory_mib / MIB_A_GB
    each_invocation = prices.million_invocations / 1_000_000
    items = [
        ("metrics", usage.metrics * usage.metric_hours / HOURS_A_MONTH, prices.free_metrics, None),
        ("alarms", usage.alarms, prices.free_alarms, prices.alarm_month),
        ("dashboards", usage.dashboards, prices.free_dashboards, prices.dashboard_month),
        ("requests", usage.requests, prices.free_requests, prices.thousand_requests / 1_000),
        ("invocations", usage.invocations, prices.free_invocations, each_invocation),
        ("gb_seconds", compute, prices.free_gb_seconds, prices.gb_second),
    ]
    rows = []
    for item, quantity, allowed, price in items:
        free = min(quantity, allowed) if free_tier else 0
        billed = quantity - free
        usd = _tiered(billed, prices.metric_tiers) if price is None else billed * price
        rows.append((item, float(quantity), float(free), float(billed), float(usd)))
    return pd.DataFrame(rows, columns=["item", "quantity", "free", "billed", "usd"])


def _tiered(quantity: float, tiers: Sequence[tuple[float, float]]) -> float:
    """Return what a quantity costs where each tier has a price of its own.

    >>> _tiered(12_000, PRICES.metric_tiers)
    3200.0
    """
    usd = below = 0.0
    for limit, price in tiers:
        usd += max(0.0, min(quantity, limit) - below) * price
        below = limit
    return usd
