"""The CloudWatch metrics of SageMaker's monitors, from measurements: data for ``put_metric_data``.

Nothing is sent from here. Names, dimensions and namespaces are the documented ones, so that a
dashboard or an alarm made for a monitoring schedule shows what is measured here.

Source: Amazon SageMaker Developer Guide, "CloudWatch Metrics" of Model Monitor, "CloudWatch Metrics
for Bias Drift Analysis" and "CloudWatch Metrics for Feature Drift Analysis".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from utils.exporters.clarify import POST_TRAINING, PRE_TRAINING
from utils.monitors import windows
from utils.monitors.constraints import Statistics

NAMESPACE = "aws/sagemaker/Endpoints/"
"""Before each kind of metrics; documents differ on whether a slash comes first."""

MOST_AT_ONCE = 1_000
"""The metrics that one call of ``put_metric_data`` takes."""

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
    the end of its window. A call has at most ``MOST_AT_ONCE`` metrics.

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
    return [*_calls(found)]


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
    return [*_calls({"data-metrics": data} if data else {})]


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


def _datum(name: str, dimensions: Mapping[str, str], moment: datetime) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Timestamp": pd.Timestamp(moment).to_pydatetime(),
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }


def _calls(found: Mapping[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for kind, data in found.items():
        for first in range(0, len(data), MOST_AT_ONCE):
            yield {"Namespace": NAMESPACE + kind, "MetricData": data[first : first + MOST_AT_ONCE]}
