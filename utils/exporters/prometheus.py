"""Prometheus: model measurements as gauges, alert rules as rule files, the past as blocks.

What a model's last window measured stands at ``/metrics`` beside what the service counts. A rule of
ours becomes an alerting rule of Prometheus; months that are over are written as OpenMetrics, which
``promtool tsdb create-blocks-from openmetrics`` turns into blocks that a server reads.

A window may last for days, so persistence is counted in windows, by looking one and more windows
back, and not by a rule's ``for``. A gauge stands still until the next window is measured: what is
seen further back counts only if it is of an earlier window.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from utils.monitors import windows
from utils.records import LINE, AlertRule, VigiaError
from utils.store import Store

LABELS = ("deployment", *LINE)
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
    "window_end": (
        "vigia_model_window_end_timestamp_seconds",
        "When the last window that had a value ended",
    ),
    "known_as_of": (
        "vigia_model_known_as_of_timestamp_seconds",
        "The moment up to which labels were known",
    ),
}
"""Columns of the measurements table, the gauge that shows each, and what it says."""


class ModelCollector(Collector):
    """The last window of each line of each deployment of a store, as gauges.

    The store is asked at most once in ``refresh_s`` seconds, whoever scrapes. Of a deployment with
    more than ``most_lines`` lines those of all rows are shown first, then those of a feature, then
    those of a group, and ``vigia_model_lines_left_out`` says how many are not: a column of ten
    thousand categories must not become ten thousand series, nor hide the error of all. A store
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
        self._lock = threading.Lock()
        self._kept: list[GaugeMetricFamily] = []
        self._read_at: float | None = None

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return nothing: registering must not ask the store."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            now = self._clock()
            if self._read_at is None or now - self._read_at >= self._refresh_s:
                self._kept, self._read_at = self._families(), now
            kept = self._kept
        yield from kept

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
            for row in _broadest(table, self._most_lines).to_dict("records"):
                labels = [name, *(row[label] for label in LABELS[1:])]
                for column, value in _numbers(row).items():
                    families[column].add_metric(labels, value)
        return [up, left_out, *families.values()]


def last_windows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the last window of each line of a measurements table, in the order of the lines."""
    ordered = table.sort_values("window_start", kind="stable")
    last = ordered.drop_duplicates(list(LABELS[1:]), keep="last")
    return last.sort_values(list(LABELS[1:]), ignore_index=True)


def _broadest(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most so many lines: those of all rows, of a feature, of a group, in this order."""
    named = table["feature"].ne("").astype("int64") + 2 * table["group"].ne("").astype("int64")
    kept = named.sort_values(kind="stable").index[:most]
    return table.loc[kept.sort_values()]


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    """Return what the gauges show of a line, by column: nothing of what is missing.

    A window without a value says nothing, so it is not the last one that said something.
    """
    numbers = {column: row[column] for column in _GAUGES if not pd.isna(row[column])}
    if "value" not in numbers:
        numbers.pop("window_end", None)
    return {
        column: value.timestamp() if isinstance(value, pd.Timestamp) else float(value)
        for column, value in numbers.items()
    }


# ------------------------------------------------------------------------------- rules


def rule_file(
    rules: Sequence[AlertRule], *, runbooks: str = "", service: bool = True
) -> dict[str, Any]:
    """Return alert rules as the document of a Prometheus rule file.

    Each of ours is one alerting rule; with ``service`` those of the service stand beside them: it
    is down, it burns its error budget (at 14 times the rate that would spend a month's 1 % in a
    month, over an hour and over five minutes), its slowest hundredth takes over a second, it stores
    not all that it answers (as above the limit of its disk guard), or its store cannot be read.
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
    # The next window may come late; until then the one before it is no second window any more.
    late = int(windows.length(rule.window, argument="window").total_seconds()) // 4
    kept = {"keep_firing_for": _duration(late)} if rule.persistence > 1 else {}
    return {
        "alert": alert_name(rule.name),
        "expr": expression(rule),
        **kept,
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

    Windows are told apart by the moment at which they end, so that one that is shown for weeks,
    as when monitoring has stopped, counts once. A window that says nothing breaks a row of windows
    here; our own book of alerts passes over it. Windows must be measured as often as they end: an
    alert on several waits a quarter of a window for one that is late (``keep_firing_for``, which
    Prometheus has since 2.42), and is then over.

    >>> print(expression(AlertRule(name="r", metric="mae", high=15.0)))
    last_over_time(vigia_model_measurement{metric="mae"}[7d]) > 15
    """
    seconds = int(windows.length(rule.window, argument="window").total_seconds())
    window = _duration(seconds)

    def last(name: str, windows_ago: int = 0) -> str:
        ago = f" offset {_duration(seconds * windows_ago)}" if windows_ago else ""
        return f"last_over_time({name}{_selector(rule)}[{window}]{ago})"

    def outside(windows_ago: int) -> str:
        value = last("vigia_model_measurement", windows_ago)
        tests = []
        for side, sign in (("low", "<"), ("high", ">")):
            if rule.false_alarms_per_year is not None:
                threshold = last(f"vigia_model_threshold_{side}", windows_ago)
                tests.append(f"{value} {sign} {threshold}")
            elif getattr(rule, side) is not None:
                tests.append(f"{value} {sign} {getattr(rule, side):.10g}")
        either = tests[0] if len(tests) == 1 else " or ".join(f"({each})" for each in tests)
        if rule.minimum > 1:
            rows = last("vigia_model_rows", windows_ago)
            return f"({either}) and {rows} >= {rule.minimum}"
        return either if len(tests) == 1 or rule.persistence == 1 else f"({either})"

    def later(windows_ago: int) -> str:
        ended = "vigia_model_window_end_timestamp_seconds"
        return f"{last(ended, windows_ago - 1)} > {last(ended, windows_ago)}"

    earlier = range(1, rule.persistence)
    return " and ".join([outside(0), *(f"{outside(ago)} and {later(ago)}" for ago in earlier)])


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
    },
    {
        "record": "vigia:predictions_not_stored:ratio_rate5m",
        "expr": (
            "1 - sum(rate(vigia_predictions_stored_total[5m])) "
            "/ sum(rate(vigia_predictions_total[5m]))"
        ),
    },
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
        {
            "alert": "AnswersNotStored",
            "expr": "vigia:predictions_not_stored:ratio_rate5m > 0.01",
            "for": "5m",
            "labels": {"severity": "critical", "rule": "answers-not-stored", "owner": "service"},
            "annotations": {
                "summary": "{{ $value | humanizePercentage }} of answers are not stored: the disk "
                "guard has no room, or capture is switched off"
            }
            | page,
        },
        {
            "alert": "StoreUnreadable",
            "expr": "vigia_store_up == 0",
            "for": "5m",
            "labels": {"severity": "critical", "rule": "store-unreadable", "owner": "service"},
            "annotations": {"summary": "The store cannot be read: nothing is monitored"} | page,
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
    seen = []
    for row in rows.to_dict("records"):
        labels = {"deployment": deployment} | {n: row[n] for n in LABELS[1:]}
        told = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
        seen.append((f"{{{told}}}", row["window_end"].timestamp(), _numbers(row)))
    lines = []
    for column, (name, text) in _GAUGES.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        for labels, end, numbers in seen:
            if column in numbers:
                lines.append(f"{name}{labels} {numbers[column]!r} {end!r}")
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
