"""Our measurements and rules in CloudWatch: metrics of our own, alarms, a dashboard.

The client is boto3's own, given from outside: with no ``endpoint_url`` it speaks to AWS, and with
one to a server here. ``cloudwatch`` has the metrics under the names that SageMaker documents; these
are under ours, one for each line of the measurements table.

Sources: Amazon CloudWatch API reference, ``PutMetricData``, ``PutMetricAlarm``, ``PutDashboard``;
CloudWatch User Guide, "CloudWatch service quotas".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

import numpy as np
import pandas as pd

from utils.exporters.cloudwatch import calls, dimensions
from utils.monitors import windows
from utils.records import LINE, AlertRule, Severity, measurements

NAMESPACE = "Vigia/Models"
OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)
LONGEST = timedelta(days=7)
"""The evaluation periods of an alarm last no longer than this together."""

LONGEST_SHORT = timedelta(days=1)
"""The same, where a period is shorter than an hour."""

LONGEST_NAME, LONGEST_DESCRIPTION, MOST_ACTIONS = 255, 1_024, 5
"""What an alarm takes."""

MOST_IN_WIDGET, MOST_IN_DASHBOARD = 500, 2_500
"""The metrics that one widget, and all of a dashboard, may show."""


def line_data(table: pd.DataFrame, *, deployment: str, minimum: int = 1) -> list[dict[str, Any]]:
    """Return measurements as calls of ``put_metric_data``, one metric for each line.

    The metric is called as ours; deployment, monitor and, where it has them, feature and group are
    its dimensions, escaped where they are not ASCII. A value is dated by the end of its window.
    What is not known is not sent, nor is a window of fewer than ``minimum`` rows: an alarm does not
    know how many there were, so what a rule asks for is asked for here.

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
        if np.isfinite(row["value"]) and (minimum <= 1 or row["n_current"] >= minimum)
    ]
    return [*calls(NAMESPACE, data)]


def _dimensions(row: Mapping[str, Any], deployment: str) -> list[dict[str, str]]:
    own = {"Deployment": deployment, "Monitor": row["monitor"]}
    own |= {name.capitalize(): row[name] for name in ("feature", "group") if row[name]}
    return dimensions(own)


def publish(client: Any, data: Sequence[Mapping[str, Any]], *, now: datetime) -> int:
    """Send calls of ``put_metric_data``, and return how many data points they held.

    CloudWatch takes data from two weeks ago to two hours ahead, and drops other without a word; so
    they are refused here, before any is sent. A simulated past is moved first: ``moved_to``.

    Raises ``ValueError`` naming the metric, its time and the rule.
    """
    for call in data:
        for datum in call["MetricData"]:
            at = datum["Timestamp"]
            if not now - OLDEST <= at <= now + NEWEST:
                raise ValueError(
                    f"{datum['MetricName']}: its time, {at:%Y-%m-%d %H:%M}, lies outside what "
                    "CloudWatch takes: from two weeks ago to two hours ahead of "
                    f"{now:%Y-%m-%d %H:%M}"
                )
    for call in data:
        client.put_metric_data(**call)
    return sum(len(call["MetricData"]) for call in data)


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
    actions: Mapping[Severity, Sequence[str]] | None = None,
    treat_missing: str = "missing",
) -> list[dict[str, Any]]:
    """Return the alarms that stand for rules, as the arguments of ``put_metric_alarm``.

    One for each rule, line of the table and side: CloudWatch has one threshold an alarm, and no
    budget, so that of a budget's rule is the one measured with the line's last window. Persistence
    is that many of as many data points. ``actions`` says, for each severity, the ARNs to call on
    ``ALARM``: a function's, a topic's. The description carries what the one who acts needs, as
    JSON: deployment, rule, line, action, severity, owner and runbook.

    **What it does not tell.** An alarm counts calendar time, and our rules windows: one that is
    missing is treated as ``treat_missing`` says. Nearest to our rules is ``ignore``. With
    ``missing`` an alarm that hears nothing says so (``INSUFFICIENT_DATA``), but goes off too where
    one window was outside and nothing followed. A rule's ``minimum`` is not the alarm's affair:
    give it to ``line_data``.

    Raises ``ValueError`` for what CloudWatch does not take: windows that last longer than a week
    together (a day, for those below an hour) or are not whole minutes, more than five actions, a
    description that is too long.
    """
    actions = _known(actions or {})
    found = []
    last = table.sort_values("window_start").drop_duplicates(list(LINE), keep="last")
    for rule in rules:
        length = _period(rule)
        for row in last[last["metric"] == rule.metric].to_dict("records"):
            if row["window_end"] - row["window_start"] != length or not _looks_at(rule, row):
                continue
            for side, comparison in _SIDES.items():
                threshold = _threshold(rule, row, side)
                if threshold is None:
                    continue
                found.append(
                    {
                        "AlarmName": _name(deployment, rule, row, side),
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
                        "AlarmActions": list(actions.get(rule.severity, ())),
                    }
                )
    return found


_SIDES = {"low": "LessThanThreshold", "high": "GreaterThanThreshold"}


def _known(actions: Mapping[Severity, Sequence[str]]) -> Mapping[Severity, Sequence[str]]:
    for severity, own in actions.items():
        if severity not in get_args(Severity):
            raise ValueError(f"actions: {severity!r}: must be one of {get_args(Severity)}")
        if len(own) > MOST_ACTIONS:
            raise ValueError(f"actions: {severity!r} has {len(own)}: an alarm has {MOST_ACTIONS}")
    return actions


def _period(rule: AlertRule) -> pd.Timedelta:
    length = windows.length(rule.window, argument="window")
    about = f"rule {rule.name!r}: window={rule.window!r}"
    if length % pd.Timedelta("1min") != pd.Timedelta(0):
        raise ValueError(f"{about}: CloudWatch evaluates whole minutes")
    is_short = length < pd.Timedelta("1h")
    if length * rule.persistence > (LONGEST_SHORT if is_short else LONGEST):
        raise ValueError(
            f"{about} times persistence={rule.persistence} is longer than the "
            f"{'day' if is_short else 'week'} that CloudWatch evaluates"
        )
    return length


def _name(deployment: str, rule: AlertRule, row: Mapping[str, Any], side: str) -> str:
    """Return a name of its own; where it would be too long, its end is a digest of all of it."""
    parts = (deployment, rule.name, *(row[name] for name in LINE), side)
    name = "/".join(part for part in parts if part)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - 17]}#{digest}"


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
    description = json.dumps(told, ensure_ascii=False)
    if len(description) > LONGEST_DESCRIPTION:
        raise ValueError(
            f"rule {rule.name!r}: its description has {len(description)} characters with owner and "
            f"runbook, and an alarm's no more than {LONGEST_DESCRIPTION}"
        )
    return description


def dashboard_body(table: pd.DataFrame, *, deployment: str, region: str) -> str:
    """Return the body of ``put_dashboard``: a widget for each monitor, with its lines.

    A monitor of more than ``MOST_IN_WIDGET`` lines has several widgets. Raises ``ValueError`` for
    more lines than a dashboard shows.

    >>> row = {"monitor": "performance", "metric": "mae", "value": 11.9,
    ...        "window_start": "2024-01-01", "window_end": "2024-01-08"}
    >>> body = dashboard_body(measurements([row]), deployment="flights", region="sa-east-1")
    >>> json.loads(body)["widgets"][0]["properties"]["metrics"]
    [['Vigia/Models', 'mae', 'Deployment', 'flights', 'Monitor', 'performance']]
    """
    lines = table.drop_duplicates(list(LINE)).sort_values(list(LINE))
    if len(lines) > MOST_IN_DASHBOARD:
        raise ValueError(f"table: {len(lines)} lines: a dashboard shows {MOST_IN_DASHBOARD}")
    shown = [
        (monitor, own[first : first + MOST_IN_WIDGET])
        for monitor, rows in lines.groupby("monitor", sort=True)
        for own in [_metrics(rows, deployment)]
        for first in range(0, len(own), MOST_IN_WIDGET)
    ]
    widgets = [
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
                "metrics": metrics,
            },
        }
        for place, (monitor, metrics) in enumerate(shown)
    ]
    return json.dumps({"widgets": widgets})


def _metrics(rows: pd.DataFrame, deployment: str) -> list[list[str]]:
    found = []
    for row in rows.to_dict("records"):
        about = [part for each in _dimensions(row, deployment) for part in each.values()]
        found.append([NAMESPACE, row["metric"], *about])
    return found
