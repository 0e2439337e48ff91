"""Prometheus: model measurements as gauges, alert rules as rule files, the past as blocks.

What a model's last window measured stands at ``/metrics`` beside what the service counts. A rule of
ours becomes an alerting rule of Prometheus; months that are over are written as OpenMetrics, which
``promtool tsdb create-blocks-from openmetrics`` turns into blocks that a server reads.

A window may last for days, so persistence is counted in windows, by looking one and more windows
back, and not by a rule's ``for``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from utils.monitors import windows
from utils.records import AlertRule, VigiaError
from utils.store import Store

LABELS = ("deployment", "monitor", "metric", "feature", "group")
MOST_LINES = 1_000
REFRESH_S = 15.0

_GAUGES = {
    "value": ("vigia_model_measurement", "What the last window measured"),
    "low": ("vigia_model_measurement_low", "The lower end of its interval"),
    "high": ("vigia_model_measurement_high", "The upper end of its interval"),
    "threshold_low": ("vigia_model_threshold_low", "An alarm lies below"),
    "threshold_high": ("vigia_model_threshold_high", "An alarm lies above"),
    "alarm": ("vigia_model_alarm", "1 where the line is outside its thresholds"),
    "n_current": ("vigia_model_rows", "The rows that it rests on"),
    "window_end": ("vigia_model_window_end_timestamp_seconds", "When the last window ended"),
    "known_as_of": (
        "vigia_model_known_as_of_timestamp_seconds",
        "The moment up to which labels were known",
    ),
}
"""Columns of the measurements table, the gauge that shows each, and what it says."""


class ModelCollector(Collector):
    """The last window of each line of each deployment of a store, as gauges.

    The store is asked at most once in ``refresh_s`` seconds, whoever scrapes. Of a deployment with
    more than ``most_lines`` lines the first are shown, and ``vigia_model_lines_left_out`` says how
    many are not: a column of ten thousand categories must not become ten thousand series. A store
    that cannot be read gives ``vigia_store_up`` 0 and no measurements, and breaks no scrape.

    >>> from utils.store.example import example_store
    >>> row = {"monitor": "performance", "metric": "mae", "value": 11.9, "n_current": 50,
    ...        "window_start": "2013-04-01", "window_end": "2013-04-08"}
    >>> with example_store() as store:
    ...     written = store.write_measurements("flights", pd.DataFrame([row]))
    ...     shown = {each.name: each for each in ModelCollector(store).collect()}
    >>> shown["vigia_model_measurement"].samples[0].value
    11.9
    """

    def __init__(
        self,
        store: Store,
        *,
        refresh_s: float = REFRESH_S,
        most_lines: int = MOST_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if most_lines < 1:
            raise ValueError(f"most_lines={most_lines!r}: must be at least 1")
        self._store = store
        self._refresh_s = refresh_s
        self._most_lines = most_lines
        self._clock = clock
        self._kept: list[GaugeMetricFamily] = []
        self._read_at: float | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: registering must not ask the store."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = self._clock()
        if self._read_at is None or now - self._read_at >= self._refresh_s:
            self._kept, self._read_at = self._families(), now
        yield from self._kept

    def _families(self) -> list[GaugeMetricFamily]:
        up = GaugeMetricFamily("vigia_store_up", "1 where the store could be read")
        try:
            names = list(dict.fromkeys(self._store.deployments()["name"]))
            tables = {name: last_windows(self._store.measurements(name)) for name in names}
        except VigiaError:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        left_out = GaugeMetricFamily(
            "vigia_model_lines_left_out", "Lines that are not shown", labels=["deployment"]
        )
        families = {
            column: GaugeMetricFamily(name, text, labels=LABELS)
            for column, (name, text) in _GAUGES.items()
        }
        for name, table in tables.items():
            left_out.add_metric([name], max(0, len(table) - self._most_lines))
            for row in table.head(self._most_lines).to_dict("records"):
                labels = [name, *(row[label] for label in LABELS[1:])]
                for column, family in families.items():
                    value = _number(row[column])
                    if value is not None:
                        family.add_metric(labels, value)
        return [up, left_out, *families.values()]


def last_windows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the last window of each line of a measurements table, in the order of the lines."""
    ordered = table.sort_values("window_start", kind="stable")
    last = ordered.drop_duplicates(list(LABELS[1:]), keep="last")
    return last.sort_values(list(LABELS[1:]), ignore_index=True)


def _number(value: Any) -> float | None:
    """Return what a gauge shows of a value, and nothing of a missing one."""
    if pd.isna(value):
        return None
    return value.timestamp() if isinstance(value, pd.Timestamp) else float(value)


# ------------------------------------------------------------------------------- rules


def rule_file(
    rules: Sequence[AlertRule], *, runbooks: str = "", service: bool = True
) -> dict[str, Any]:
    """Return alert rules as the document of a Prometheus rule file.

    Each of ours is one alerting rule; with ``service`` those of the service stand beside them: it
    is down, it burns its error budget (at 14 times the rate that would spend a month's 1 % in a
    month, over an hour and over five minutes), or its slowest hundredth takes over a second.
    ``runbooks`` is put before the name of a rule's page.

    >>> rule = AlertRule(name="error-rose", metric="mae", high=15.0)
    >>> group = rule_file([rule], service=False)["groups"][0]
    >>> group["rules"][0]["expr"]
    'last_over_time(vigia_model_measurement{metric="mae"}[7d]) > 15'
    """
    groups = [{"name": "vigia-model", "rules": [_alerting(rule, runbooks) for rule in rules]}]
    if service:
        groups.append({"name": "vigia-service", "rules": [*_RECORDED, *_of_service(runbooks)]})
    return {"groups": [each for each in groups if each["rules"]]}


def _alerting(rule: AlertRule, runbooks: str) -> dict[str, Any]:
    annotations = {
        "summary": f"{rule.name}: {{{{ $labels.feature }}}} {rule.metric} is {{{{ $value }}}}",
        "action": rule.action,
    }
    if rule.runbook:
        annotations["runbook_url"] = runbooks + rule.runbook
    labels = {"severity": rule.severity, "rule": rule.name}
    if rule.owner:
        labels["owner"] = rule.owner
    return {
        "alert": alert_name(rule.name),
        "expr": expression(rule),
        "labels": labels,
        "annotations": annotations,
    }


def alert_name(rule: str) -> str:
    """Return a rule's name as Prometheus' alerts are named.

    >>> alert_name("error-rose")
    'ErrorRose'
    """
    return "".join(part.capitalize() for part in rule.replace("_", "-").split("-"))


def expression(rule: AlertRule) -> str:
    """Return the PromQL that is true of a line where a rule fires.

    >>> print(expression(AlertRule(name="r", metric="mae", high=15.0)))
    last_over_time(vigia_model_measurement{metric="mae"}[7d]) > 15
    """
    seconds = int(windows.length(rule.window, argument="window").total_seconds())
    window = _duration(seconds)

    def last(name: str, windows_ago: int = 0) -> str:
        ago = f" offset {_duration(seconds * windows_ago)}" if windows_ago else ""
        return f"last_over_time({name}{_selector(rule)}[{window}]{ago})"

    def outside(side: str, sign: str, windows_ago: int) -> str:
        value = last("vigia_model_measurement", windows_ago)
        if rule.false_alarms_per_year is not None:
            return f"{value} {sign} {last(f'vigia_model_threshold_{side}', windows_ago)}"
        return f"{value} {sign} {getattr(rule, side):.10g}"

    def in_a_row(side: str, sign: str) -> str:
        return " and ".join(outside(side, sign, ago) for ago in range(rule.persistence))

    sides = [(side, sign) for side, sign in (("low", "<"), ("high", ">")) if _looks(rule, side)]
    tests = [in_a_row(side, sign) for side, sign in sides]
    either = tests[0] if len(tests) == 1 else " or ".join(f"({each})" for each in tests)
    if rule.minimum > 1:
        either = f"({either}) and {last('vigia_model_rows')} >= {rule.minimum}"
    return either


def _looks(rule: AlertRule, side: str) -> bool:
    return rule.false_alarms_per_year is not None or getattr(rule, side) is not None


def _selector(rule: AlertRule) -> str:
    named = [("metric", rule.metric)]
    named += [(n, getattr(rule, n)) for n in ("monitor", "feature", "group") if getattr(rule, n)]
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in named) + "}"


def escaped(value: str) -> str:
    r"""Return a label's value as it stands between quotes.

    >>> print(escaped('a "b"\n'))
    a \"b\"\n
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _duration(seconds: int) -> str:
    """Return a length of time as PromQL writes it.

    >>> _duration(7 * 86_400), _duration(5_400), _duration(90)
    ('7d', '90m', '90s')
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


_FAILED = 'vigia_requests_total{status=~"5.."}'
_RECORDED = [
    {
        "record": f"vigia:request_errors:ratio_rate{span}",
        "expr": (
            f"(sum(rate({_FAILED}[{span}])) or vector(0)) / sum(rate(vigia_requests_total[{span}]))"
        ),
    }
    for span in ("5m", "1h")
] + [
    {
        "record": "vigia:request_seconds:p99_5m",
        "expr": "histogram_quantile(0.99, sum by (le) (rate(vigia_request_seconds_bucket[5m])))",
    }
]


def _of_service(runbooks: str) -> list[dict[str, Any]]:
    page = {"runbook_url": f"{runbooks}infrastructure.md"}
    burns = "vigia:request_errors:ratio_rate1h > 0.14 and vigia:request_errors:ratio_rate5m > 0.14"
    return [
        {
            "alert": "ServiceDown",
            "expr": 'up{job="vigia"} == 0',
            "for": "2m",
            "labels": {"severity": "critical", "rule": "service-down", "owner": "service"},
            "annotations": {"summary": "The endpoint does not answer a scrape"} | page,
        },
        {
            "alert": "ErrorBudgetBurns",
            "expr": burns,
            "labels": {"severity": "critical", "rule": "error-budget-burns", "owner": "service"},
            "annotations": {"summary": "{{ $value | humanizePercentage }} of requests fail"} | page,
        },
        {
            "alert": "SlowestAnswers",
            "expr": "vigia:request_seconds:p99_5m > 1",
            "for": "10m",
            "labels": {"severity": "warning", "rule": "slowest-answers", "owner": "service"},
            "annotations": {"summary": "One answer in a hundred takes over a second"} | page,
        },
    ]


# ------------------------------------------------------------------------------- the past


def openmetrics(table: pd.DataFrame, *, deployment: str) -> str:
    """Return a measurements table as OpenMetrics text, each sample at the end of its window.

    For ``promtool tsdb create-blocks-from openmetrics FILE DIRECTORY``. A missing value has no
    sample. Samples of one series are in order of time, as promtool asks.

    >>> from utils.records import measurements
    >>> table = measurements([{"monitor": "performance", "metric": "mae", "value": 11.9,
    ...                        "window_start": "2013-04-01", "window_end": "2013-04-08"}])
    >>> print(openmetrics(table, deployment="flights").splitlines()[2].split("} ")[1])
    11.9 1365379200.0
    """
    rows = table.sort_values([*LABELS[1:], "window_start"], kind="stable")
    lines = []
    for column, (name, text) in _GAUGES.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        for row in rows.to_dict("records"):
            value = _number(row[column])
            if value is None:
                continue
            labels = {"deployment": deployment} | {n: row[n] for n in LABELS[1:]}
            told = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
            lines.append(f"{name}{{{told}}} {value!r} {row['window_end'].timestamp()!r}")
    return "\n".join([*lines, "# EOF"]) + "\n"


# ------------------------------------------------------------------------------- files


def write_rules(document: dict[str, Any], path: Path | str) -> Path:
    """Write a rule file as YAML, and return its path."""
    import yaml

    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target
