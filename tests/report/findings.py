"""Findings made by hand: what a report tells does not hang on what the monitors would find."""

import pandas as pd

from tests.report.builders import ASKED, current, reference
from utils.monitors.suite import Alert
from utils.records import measurements
from utils.report.inputs import prepared
from utils.report.report import Report

WEEKS = pd.date_range("2024-04-01", periods=5, freq="7D", tz="UTC")


def line(monitor, metric, values, *, alarms=(), feature="", group="", **limits):
    """Return the rows of one line: a value a week, alarmed in the weeks numbered."""
    return [
        {
            "monitor": monitor,
            "metric": metric,
            "feature": feature,
            "group": group,
            "window_start": WEEKS[week],
            "window_end": WEEKS[week + 1],
            "value": value,
            "low": value - 0.01,
            "high": value + 0.01,
            "alarm": week in alarms,
            "n_reference": 4032,
            "n_current": 336,
            **limits,
        }
        for week, value in enumerate(values)
    ]


def alert(monitor, metric, week, value, *, feature="", group="", threshold=0.1, **fields):
    return Alert(
        **{
            "monitor": monitor,
            "metric": metric,
            "feature": feature,
            "group": group,
            "window_start": WEEKS[week],
            "window_end": WEEKS[week + 1],
            "value": value,
            "threshold": threshold,
            "severity": "warning",
            "action": "investigate",
            "evidence": f"{feature or metric} moved to {value} <in week {week}>.",
            "reason": "Because & only because.",
        }
        | fields
    )


NAN = float("nan")

TABLE = [
    *line("quality", "null_value_rate", [0, 0, 0, 0], feature="channel", threshold_high=0.01),
    *line(
        "drift",
        "jensen_shannon",
        [0.05, 0.3, 0.06, 0.4],
        alarms=(1, 3),
        feature="amount",
        threshold_high=0.1,
    ),
    *line(
        "drift",
        "jensen_shannon",
        [0.05, 0.05, 0.2, 0.2],
        alarms=(2, 3),
        feature="channel",
        threshold_high=0.1,
    ),
    *line("performance", "accuracy", [0.9, 0.9, 0.7, 0.9], alarms=(2,), threshold_low=0.85),
    *line("performance", "accuracy", [0.9, NAN, 0.9, 0.9], group="north", threshold_low=0.8),
]

ALERTS = [
    alert("drift", "jensen_shannon", 1, 0.3, feature="amount", action="dismiss"),
    alert(
        "drift", "jensen_shannon", 3, 0.4, feature="amount", action="dismiss", severity="critical"
    ),
    alert("drift", "jensen_shannon", 2, 0.2, feature="channel"),
    alert(
        "performance", "accuracy", 2, 0.7, threshold=0.85, severity="critical", action="roll back"
    ),
]


def report(rows=TABLE, alerts=ALERTS, *, before=None, now=None, asked=ASKED, **fields):
    """Return a report on small frames; in the language in force."""
    inputs = prepared(
        reference() if before is None else before, current() if now is None else now, asked
    )
    return Report(
        inputs=inputs,
        measurements=measurements(rows),
        alerts=alerts,
        **{"notes": ["The reference is short."], "sources": ("ref.csv", "now.csv")} | fields,
    )


def quiet():
    rows = [row | {"alarm": False} for row in TABLE]
    return report(rows, [])
