"""Our measurements and rules in CloudWatch: metrics of our own, alarms, a dashboard.

The client is boto3's own, given from outside, so that the same code runs against AWS and against a
local stand-in of it. ``cloudwatch`` has the metrics under the names that SageMaker documents; these
are under ours, one for each line of the measurements table.

Sources: Amazon CloudWatch API reference, ``PutMetricData``, ``PutMetricAlarm``, ``PutDashboard``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from utils.exporters.cloudwatch import MOST_AT_ONCE
from utils.monitors import windows
from utils.records import AlertRule, measurements

NAMESPACE = "Vigia/Models"
LINE = ("monitor", "metric", "feature", "group")
OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)
LONGEST = timedelta(days=7)
"""The evaluation periods of an alarm last no longer than this together."""


def line_data(table: pd.DataFrame, *, deployment: str) -> list[dict[str, Any]]:
    """Return measurements as calls of ``put_metric_data``, one metric for each line.

    The metric is called as ours; deployment, monitor and, where it has them, feature and group are
    its dimensions. A value is dated by the end of its window; what is not known is not sent.

    >>> row = {"monitor": "performance", "metric": "mae", "value": 11.9,
    ...        "window_start": "2024-01-01", "window_end": "2024-01-08"}
    >>> [call] = line_data(measurements([row]), deployment="flights")
    >>> call["MetricData"][0]["MetricName"], call["MetricData"][0]["Dimensions"][1]["Value"]
    ('mae', 'performance')
    """
    data = [
        {
            "MetricName": row["metric"],
            "Dimensions": _dimensions(row, deployment),
            "Timestamp": row["window_end"].to_pydatetime(),
            "Value": float(row["value"]),
        }
        for row in measurements(table).to_dict("records")
        if np.isfinite(row["value"])
    ]
    return [
        {"Namespace": NAMESPACE, "MetricData": data[first : first + MOST_AT_ONCE]}
        for first in range(0, len(data), MOST_AT_ONCE)
    ]


def _dimensions(row: Mapping[str, Any], deployment: str) -> list[dict[str, str]]:
    own = {"Deployment": deployment, "Monitor": row["monitor"]}
    own |= {name.capitalize(): row[name] for name in ("feature", "group") if row[name]}
    return [{"Name": name, "Value": value} for name, value in own.items()]


def publish(client: Any, calls: Sequence[Mapping[str, Any]], *, now: datetime) -> int:
    """Send calls of ``put_metric_data``, and return how many data points they held.

    CloudWatch takes data from two weeks ago to two hours ahead, and drops other without a word; so
    they are refused here, before any is sent. A simulated past is moved first: ``moved_to``.

    Raises ``ValueError`` naming the metric, its time and the rule.
    """
    for call in calls:
        for datum in call["MetricData"]:
            at = datum["Timestamp"]
            if not now - OLDEST <= at <= now + NEWEST:
                raise ValueError(
                    f"{datum['MetricName']}: its time, {at:%Y-%m-%d %H:%M}, lies outside what "
                    "CloudWatch takes: from two weeks ago to two hours ahead of "
                    f"{now:%Y-%m-%d %H:%M}"
                )
    for call in calls:
        client.put_metric_data(**call)
    return sum(len(call["MetricData"]) for call in calls)


def moved_to(table: pd.DataFrame, end: datetime) -> pd.DataFrame:
    """Return measurements moved in time, all alike, so that the last window ends at a moment.

    >>> row = {"monitor": "performance", "metric": "mae", "value": 11.9,
    ...        "window_start": "2013-04-01", "window_end": "2013-04-08"}
    >>> moved = moved_to(measurements([row]), datetime.fromisoformat("2024-01-08T00:00Z"))
    >>> str(moved["window_start"][0])
    '2024-01-01 00:00:00+00:00'
    """
    by = pd.Timestamp(end) - table["window_end"].max()
    times = ("window_start", "window_end", "known_as_of")
    return table.assign(**{name: table[name] + by for name in times})


def alarms(
    rules: Sequence[AlertRule],
    table: pd.DataFrame,
    *,
    deployment: str,
    actions: Sequence[str] = (),
    treat_missing: str = "missing",
) -> list[dict[str, Any]]:
    """Return the alarms that stand for rules, as the arguments of ``put_metric_alarm``.

    One for each rule, line of the table and side: CloudWatch has one threshold an alarm, and no
    budget, so that of a budget's rule is the one measured with the line's last window. Persistence
    is that many of as many data points. The description carries what the one who acts needs, as
    JSON: deployment, rule, line, action, owner and runbook.

    Raises ``ValueError`` for a rule whose windows together last longer than a week, which
    CloudWatch does not evaluate.
    """
    found = []
    last = table.sort_values("window_start").drop_duplicates(list(LINE), keep="last")
    for rule in rules:
        length = windows.length(rule.window, argument="window")
        if length * rule.persistence > LONGEST:
            raise ValueError(
                f"rule {rule.name!r}: window={rule.window!r} times persistence="
                f"{rule.persistence} is longer than the week that CloudWatch evaluates"
            )
        for row in last[last["metric"] == rule.metric].to_dict("records"):
            if row["window_end"] - row["window_start"] != length or not _looks_at(rule, row):
                continue
            for side, comparison in _SIDES.items():
                threshold = _threshold(rule, row, side)
                if threshold is None:
                    continue
                found.append(
                    {
                        "AlarmName": "/".join(
                            part
                            for part in (deployment, rule.name, *(row[n] for n in LINE), side)
                            if part
                        )[:255],
                        "AlarmDescription": _description(rule, row, deployment),
                        "Namespace": NAMESPACE,
                        "MetricName": row["metric"],
                        "Dimensions": _dimensions(row, deployment),
                        "Statistic": "Average",
                        "Period": int(length.total_seconds()),
                        "EvaluationPeriods": rule.persistence,
                        "DatapointsToAlarm": rule.persistence,
                        "Threshold": threshold,
                        "ComparisonOperator": comparison,
                        "TreatMissingData": treat_missing,
                        "ActionsEnabled": True,
                        "AlarmActions": list(actions),
                    }
                )
    return found


_SIDES = {"low": "LessThanThreshold", "high": "GreaterThanThreshold"}


def _looks_at(rule: AlertRule, row: Mapping[str, Any]) -> bool:
    named = (name for name in ("monitor", "feature", "group") if getattr(rule, name))
    return all(getattr(rule, name) == row[name] for name in named)


def _threshold(rule: AlertRule, row: Mapping[str, Any], side: str) -> float | None:
    if rule.false_alarms_per_year is None:
        return getattr(rule, side)
    measured = row[f"threshold_{side}"]
    return None if np.isnan(measured) else float(measured)


def _description(rule: AlertRule, row: Mapping[str, Any], deployment: str) -> str:
    told = {
        "deployment": deployment,
        "rule": rule.name,
        "line": [row[name] for name in LINE],
        "action": rule.action,
        "severity": rule.severity,
        "owner": rule.owner,
        "runbook": rule.runbook,
    }
    return json.dumps(told, ensure_ascii=False)


def dashboard_body(table: pd.DataFrame, *, deployment: str, region: str) -> str:
    """Return the body of ``put_dashboard``: a widget for each monitor, with its lines.

    >>> row = {"monitor": "performance", "metric": "mae", "value": 11.9,
    ...        "window_start": "2024-01-01", "window_end": "2024-01-08"}
    >>> body = dashboard_body(measurements([row]), deployment="flights", region="sa-east-1")
    >>> json.loads(body)["widgets"][0]["properties"]["metrics"]
    [['Vigia/Models', 'mae', 'Deployment', 'flights', 'Monitor', 'performance']]
    """
    lines = table.drop_duplicates(list(LINE)).sort_values(list(LINE))
    widgets = []
    for place, (monitor, own) in enumerate(lines.groupby("monitor", sort=True)):
        metrics = [
            [
                NAMESPACE,
                row["metric"],
                *(part for each in _dimensions(row, deployment) for part in each.values()),
            ]
            for row in own.to_dict("records")
        ]
        widgets.append(
            {
                "type": "metric",
                "x": 12 * (place % 2),
                "y": 6 * (place // 2),
                "width": 12,
                "height": 6,
                "properties": {
                    "title": f"{deployment}: {monitor}",
                    "view": "timeSeries",
                    "region": region,
                    "stat": "Average",
                    "period": 3600,
                    "metrics": metrics[:500],
                },
            }
        )
    return json.dumps({"widgets": widgets})
