"""The CloudWatch metrics of SageMaker's monitors, from measurements: data for ``put_metric_data``.

Nothing is sent from here. Names, dimensions and namespaces are the documented ones, so that a
dashboard or an alarm made for a monitoring schedule shows what is measured here.

Source: Amazon SageMaker Developer Guide, "CloudWatch Metrics" of Model Monitor, "CloudWatch Metrics
for Bias Drift Analysis" and "CloudWatch Metrics for Feature Drift Analysis".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from utils.exporters.clarify import POST_TRAINING, PRE_TRAINING
from utils.monitors import windows
from utils.monitors.constraints import Statistics

NAMESPACE = "aws/sagemaker/Endpoints/"
"""Before each kind of metrics; documents differ on whether a slash comes first."""

MOST_AT_ONCE = 1_000
"""The metrics that one call of ``put_metric_data`` takes."""

MOST_BYTES = 500_000
"""The data of one call, as JSON: half of the 1 MB that is taken, for older clients are wordier."""

LONGEST_VALUE = 1_024
"""The characters that a dimension's value may have."""

INFINITE = 2.348543e108
"""What the documents say an infinite bias metric is published as."""

COMPLETENESS, IMPORTANCE = "completeness", "importance"
_DRIFT = "l_infinity_robust"


def metric_data(
    measured: pd.DataFrame,
    *,
    endpoint: str,
    schedule: str,
    label: str = "label",
    label_value: Any = 1,
    drift_metric: str = _DRIFT,
) -> list[dict[str, Any]]:
    """Return measurements as calls of ``put_metric_data``: ``Namespace`` and ``MetricData``.

    Published are ``completeness`` as ``feature_non_null_{feature}``, the distance ``drift_metric``
    as ``feature_baseline_drift_{feature}``, the bias metrics as ``bias_metric_{name}`` and
    ``importance`` as ``feature_{feature}``; other measurements have no documented name, and are
    left out. ``label`` and ``label_value`` name the outcome that bias is about. A value is dated by
    the end of its window. A call has at most ``MOST_AT_ONCE`` metrics and ``MOST_BYTES``.

    **What it does not tell.** Intervals and counts have no place in it, and what is not known
    (``NaN``) is not published: an alarm sees missing data.

    >>> row = {"monitor": "quality", "metric": "completeness", "feature": "age", "value": 0.98,
    ...        "window_start": "2024-01-01", "window_end": "2024-01-08"}
    >>> from utils.records import measurements
    >>> [call] = metric_data(measurements([row]), endpoint="loans", schedule="weekly")
    >>> call["Namespace"], call["MetricData"][0]["MetricName"], call["MetricData"][0]["Value"]
    ('aws/sagemaker/Endpoints/data-metrics', 'feature_non_null_age', 0.98)
    """
    about = {"Endpoint": endpoint, "MonitoringSchedule": schedule}
    of_label = {"Label": label, "LabelValue": str(label_value)}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in measured.itertuples():
        named = _named(row, drift_metric=drift_metric, of_label=of_label)
        if named is None or np.isnan(row.value):
            continue
        kind, name, more = named
        bounded = kind == "bias-metrics" and np.isinf(row.value)
        datum = _datum(name, about | more, row.window_end)
        datum["Value"] = float(np.copysign(INFINITE, row.value) if bounded else row.value)
        found.setdefault(kind, []).append(datum)
    return _calls(found)


def statistics_data(
    statistics: Statistics, *, endpoint: str, schedule: str, moment: windows.Moment
) -> list[dict[str, Any]]:
    """Return the statistics of a window's numbers as ``feature_data_{feature}``, and completeness.

    CloudWatch makes ``Minimum``, ``Maximum``, ``Sum``, ``SampleCount`` and ``Average`` of the four
    values. Numbers that are infinite count in none of them.

    >>> from utils.monitors.constraints import statistics
    >>> found = statistics(pd.DataFrame({"age": [30, 41, None]}))
    >>> [call] = statistics_data(found, endpoint="e", schedule="s", moment="2024-01-08T00:00Z")
    >>> call["MetricData"][0]["StatisticValues"]
    {'SampleCount': 2.0, 'Sum': 71.0, 'Minimum': 30.0, 'Maximum': 41.0}
    """
    about = {"Endpoint": endpoint, "MonitoringSchedule": schedule}
    at = windows.moment(moment, argument="moment")
    data = []
    for feature in statistics.features:
        if feature.is_numerical and feature.min is not None and np.isfinite(feature.sum):
            datum = _datum(f"feature_data_{feature.name}", about, at)
            datum["StatisticValues"] = {
                "SampleCount": float(sum(bucket.count for bucket in feature.buckets)),
                "Sum": feature.sum,
                "Minimum": feature.min,
                "Maximum": feature.max,
            }
            data.append(datum)
        if not np.isnan(feature.completeness):
            datum = _datum(f"feature_non_null_{feature.name}", about, at)
            data.append(datum | {"Value": feature.completeness})
    return _calls({"data-metrics": data})


def _named(
    row: Any, *, drift_metric: str, of_label: Mapping[str, str]
) -> tuple[str, str, dict[str, str]] | None:
    """Return the kind, the name and the further dimensions of a measurement's metric."""
    if row.monitor == "bias" and row.metric in PRE_TRAINING | POST_TRAINING:
        stage = "Pre-training" if row.metric in PRE_TRAINING else "Post-Training"
        facet = {"Facet": row.feature, "FacetValue": row.group}
        return (
            "bias-metrics",
            f"bias_metric_{row.metric}",
            {"BiasStage": stage, **of_label, **facet},
        )
    if not row.feature or row.group:
        return None
    if row.metric == COMPLETENESS:
        return "data-metrics", f"feature_non_null_{row.feature}", {}
    if row.metric == drift_metric:
        return "data-metrics", f"feature_baseline_drift_{row.feature}", {}
    if row.metric == IMPORTANCE:
        of_method = {"ExplainabilityMethod": "KernelShap", "Label": "label0"}
        more = {**of_method, "ValueType": "GlobalShapValues"}
        return "explainability-metrics", f"feature_{row.feature}", more
    return None


def _datum(name: str, about: Mapping[str, str], moment: datetime) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Timestamp": pd.Timestamp(moment).to_pydatetime(),
        "Dimensions": dimensions(about),
    }


def _calls(found: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [call for kind, data in found.items() for call in calls(NAMESPACE + kind, data)]


def dimensions(about: Mapping[str, str]) -> list[dict[str, str]]:
    """Return names and values as dimensions; CloudWatch takes ASCII, and others are escaped.

    Escapes are those of URLs, so ``urllib.parse.unquote`` gives the value back. Raises
    ``ValueError`` for a value that is empty or too long.

    >>> dimensions({"Group": "São Paulo, 100 %"})
    [{'Name': 'Group', 'Value': 'S%C3%A3o Paulo, 100 %25'}]
    """
    found = []
    for name, value in about.items():
        escaped = quote(value, safe=_PLAIN)
        if escaped.startswith(":"):
            escaped = "%3A" + escaped[1:]
        if not escaped.strip() or len(escaped) > LONGEST_VALUE:
            raise ValueError(
                f"{name}={value[:40]!r}: a dimension of CloudWatch has from 1 to {LONGEST_VALUE} "
                "characters, not all of them blank"
            )
        found.append({"Name": name, "Value": escaped})
    return found


_PLAIN = "".join(chr(code) for code in range(32, 127) if chr(code) != "%")


def calls(namespace: str, data: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield data as calls of ``put_metric_data`` that are no larger than CloudWatch takes.

    Each datum has one value, where CloudWatch would take up to 150: a window has one.

    >>> [len(call["MetricData"]) for call in calls("Vigia/Models", [{"Value": 1.0}] * 1_001)]
    [1000, 1]
    """
    own: list[Mapping[str, Any]] = []
    size = 0
    for datum in data:
        more = len(json.dumps(datum, default=str)) + 2
        if own and (len(own) == MOST_AT_ONCE or size + more > MOST_BYTES):
            yield {"Namespace": namespace, "MetricData": own}
            own, size = [], 0
        own.append(datum)
        size += more
    if own:
        yield {"Namespace": namespace, "MetricData": own}
