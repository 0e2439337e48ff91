"""A report: what the monitors found of two frames, told, drawn and written to a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from utils.monitors.suite import Alert
from utils.report import page, pictures, story
from utils.report.inputs import Inputs
from utils.report.pictures import Picture
from utils.report.story import Answer, Case
from utils.text import tr

ALERT_KEYS = (
    "monitor",
    "metric",
    "feature",
    "group",
    "window_start",
    "window_end",
    "value",
    "threshold",
    "severity",
    "action",
    "evidence",
)
"""What ``alerts.json`` says of each alert."""

FILES = ("measurements.csv", "alerts.json", "report.html")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found, in the language in force when it is told.

    ``notes`` say what the monitors could not judge, and why; ``sources`` where the reference and
    the current data come from, in words and without a password.
    """

    inputs: Inputs
    measurements: pd.DataFrame
    alerts: Sequence[Alert]
    notes: Sequence[str] = ()
    sources: tuple[str, str] = ("", "")

    @cached_property
    def cases(self) -> list[Case]:
        """The alerts of a monitor on one feature and group together, the most urgent first."""
        return story.cases(self.alerts, self.measurements)

    @cached_property
    def pictures(self) -> list[Picture]:
        """The pictures, in the order in which the page shows them."""
        return pictures.pictures(self.inputs, self.measurements, self.cases)

    @property
    def verdict(self) -> str:
        """The one sentence to remember."""
        return story.verdict(self.cases, self.measurements)

    @property
    def answers(self) -> list[Answer]:
        """What changed, whether it matters, how sure that is, what to do."""
        label = self.inputs.roles.label_column
        current = self.inputs.current
        return story.answers(
            self.cases,
            self.measurements,
            false_alarms_per_year=self.inputs.false_alarms_per_year,
            labelled=label is not None and bool(current[label].notna().any()),
            notes=self.notes,
        )

    def table(self) -> pd.DataFrame:
        """Return one row for each case: how urgent, what, when, what to do.

        A row stands for all alerts of a case; ``alerts.json`` has one object for each of them.
        """
        rows = [
            {
                tr(pt="gravidade", en="severity"): story.severity_name(case.severity),
                tr(pt="o quê", en="what"): case.name,
                tr(pt="quando", en="when"): story.when(case),
                tr(pt="ação", en="action"): story.action_name(case.worst.action),
            }
            for case in self.cases
        ]
        return pd.DataFrame(rows)

    def page(self) -> str:
        """Return the page, in the language in force."""
        return page.html_page(
            self.inputs,
            self.measurements,
            self.cases,
            self.answers,
            self.pictures,
            sources=self.sources,
        )

    def write(self, folder: str | Path) -> list[Path]:
        """Write the measurements, the alerts and the page into a folder, and return their paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        texts = (
            self.measurements.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ"),
            alerts_json(self.alerts),
            self.page(),
        )
        for name, text in zip(FILES, texts, strict=True):
            (folder / name).write_text(text, encoding="utf-8")
        return [folder / name for name in FILES]


def alerts_json(alerts: Sequence[Alert]) -> str:
    """Return alerts as JSON: an object for each, times in ISO 8601, what is missing ``null``.

    >>> alerts_json([])
    '[]\\n'
    """
    objects = [{key: _plain(getattr(alert, key)) for key in ALERT_KEYS} for alert in alerts]
    return json.dumps(objects, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None
