"""The files in ``monitoring/`` that other programs read, made from the default rules.

Nothing there is edited by hand but ``rules.yaml``, the runbooks and the READMEs.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from utils.exporters import grafana
from utils.exporters.prometheus import rule_file, write_rules
from utils.operations.rules import read_rules
from utils.operations.runbooks import MONITORING, RULES
from utils.text import LANGUAGES

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

RUNBOOKS = "http://127.0.0.1:8000/monitoring/runbooks/en/"
"""Where that endpoint shows the runbooks."""

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
        "prometheus/rules.yml": rule_file(rules, runbooks=RUNBOOKS),
        "alertmanager/alertmanager.yml": ALERTMANAGER,
        **{f"grafana/{name}": each for name, each in grafana.provisioning().items()},
        **{
            f"grafana/dashboards/{language}/{name}": each
            for language in LANGUAGES
            for name, each in grafana.dashboards(language).items()
        },
    }


def write(folder: Path = MONITORING) -> list[Path]:
    """Write the files, and return their paths."""
    paths = []
    for name, document in _documents().items():
        paths.append(_write(document, folder / name))
    return paths


def _write(document: dict[str, Any], path: Path) -> Path:
    if path.suffix != ".json":
        write_rules(document, path)
        path.write_text(HEADER + path.read_text(encoding="utf-8"), encoding="utf-8")
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
    return path


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
