"""The files in ``monitoring/`` that other programs read, made from the default rules.

Nothing there is edited by hand but ``rules.yaml`` and the runbooks.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from utils.exporters.prometheus import rule_file, write_rules
from utils.operations.rules import read_rules
from utils.operations.runbooks import MONITORING, RULES

HEADER = "# Made by `python -m utils monitoring` from monitoring/rules.yaml; do not edit.\n"

PROMETHEUS: dict[str, Any] = {
    "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
    "rule_files": ["rules.yml"],
    "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]},
    "scrape_configs": [
        {"job_name": "vigia", "static_configs": [{"targets": ["127.0.0.1:8000"]}]},
    ],
}
"""Scrapes the endpoint where ``python -m utils serve`` puts it, and tells Alertmanager."""

ALERTMANAGER: dict[str, Any] = {
    "route": {
        "receiver": "people",
        "group_by": ["deployment"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "24h",
    },
    "inhibit_rules": [
        {
            "source_matchers": ['rule=~"nulls-appeared|types-broke"'],
            "target_matchers": ['rule=~".*-drifted|error-rose|accuracy-fell|.*-expected-to-.*"'],
            "equal": ["deployment"],
        },
    ],
    "receivers": [
        {"name": "people", "webhook_configs": [{"url": "http://127.0.0.1:9099/alerts"}]},
    ],
}
"""One message for each deployment; where the data are broken, what follows of it keeps quiet."""


def _documents() -> dict[str, dict[str, Any]]:
    rules = read_rules(RULES)
    return {
        "prometheus/prometheus.yml": PROMETHEUS,
        "prometheus/rules.yml": rule_file(rules, runbooks="runbooks/en/"),
        "alertmanager/alertmanager.yml": ALERTMANAGER,
    }


def write(folder: Path = MONITORING) -> list[Path]:
    """Write the files, and return their paths."""
    paths = []
    for name, document in _documents().items():
        path = write_rules(document, folder / name)
        path.write_text(HEADER + path.read_text(encoding="utf-8"), encoding="utf-8")
        paths.append(path)
    return paths


def stale() -> list[Path]:
    """Return the files that are not what the rules make of them today."""
    with TemporaryDirectory() as folder:
        fresh = {path.relative_to(folder): path.read_bytes() for path in write(Path(folder))}
    there = {name: MONITORING / name for name in fresh}
    return [
        path
        for name, path in there.items()
        if not path.exists() or path.read_bytes() != fresh[name]
    ]
