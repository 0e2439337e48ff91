"""The CloudWatch metrics of monitors: documented names, dimensions and namespaces."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from utils.exporters.cloudwatch import MOST_AT_ONCE, metric_data, statistics_data
from utils.monitors import bias, drift, quality
from utils.monitors.constraints import statistics
from utils.records import measurements

ABOUT = [
    {"Name": "Endpoint", "Value": "loans"},
    {"Name": "MonitoringSchedule", "Value": "weekly"},
]
SETTINGS = {"endpoint": "loans", "schedule": "weekly"}


def row(monitor, metric, feature, value, group=""):
    return {
        "monitor": monitor,
        "metric": metric,
        "feature": feature,
        "group": group,
        "value": value,
        "window_start": "2024-01-01",
        "window_end": "2024-01-08",
    }


def names(calls):
    return {
        call["Namespace"]: [datum["MetricName"] for datum in call["MetricData"]] for call in calls
    }


def test_each_measurement_has_its_documented_name_namespace_and_dimensions():
    calls = metric_data(
        measurements(
            [
                row("quality", "completeness", "age", 0.98),
                row("drift", "l_infinity_robust", "age", 0.25),
                row("bias", "CI", "sex", -0.5, group="f"),
                row("bias", "DPPL", "sex", np.inf, group="f"),
                row("attribution", "importance", "age", 0.125),
            ]
        ),
        label="repaid",
        label_value=1,
        **SETTINGS,
    )
    assert names(calls) == {
        "aws/sagemaker/Endpoints/data-metrics": [
            "feature_non_null_age",
            "feature_baseline_drift_age",
        ],
        "aws/sagemaker/Endpoints/bias-metrics": ["bias_metric_CI", "bias_metric_DPPL"],
        "aws/sagemaker/Endpoints/explainability-metrics": ["feature_age"],
    }
    data, of_bias, of_shap = (call["MetricData"] for call in calls)
    assert data[0] == {
        "MetricName": "feature_non_null_age",
        "Timestamp": datetime(2024, 1, 8, tzinfo=UTC),
        "Dimensions": ABOUT,
        "Value": 0.98,
    }
    assert of_bias[0]["Dimensions"] == [
        *ABOUT,
        {"Name": "BiasStage", "Value": "Pre-training"},
        {"Name": "Label", "Value": "repaid"},
        {"Name": "LabelValue", "Value": "1"},
        {"Name": "Facet", "Value": "sex"},
        {"Name": "FacetValue", "Value": "f"},
    ]
    assert of_bias[1]["Dimensions"][2] == {"Name": "BiasStage", "Value": "Post-Training"}
    assert of_bias[1]["Value"] == 2.348543e108
    assert of_shap[0]["Dimensions"][2:] == [
        {"Name": "ExplainabilityMethod", "Value": "KernelShap"},
        {"Name": "Label", "Value": "label0"},
        {"Name": "ValueType", "Value": "GlobalShapValues"},
    ]


def test_what_is_not_known_or_has_no_documented_name_is_not_published():
    table = measurements(
        [
            row("quality", "completeness", "age", np.nan),
            row("quality", "duplicate_share", "", 0.1),
            row("drift", "psi", "age", 0.25),
            row("attribution", "ndcg", "", 0.95),
            row("fairness", "selection_rate", "sex", 0.5, group="f"),
            row("bias", "labelled_share", "sex", 0.5),
        ]
    )
    assert metric_data(table, **SETTINGS) == []
    [call] = metric_data(table, drift_metric="psi", **SETTINGS)
    assert [datum["MetricName"] for datum in call["MetricData"]] == ["feature_baseline_drift_age"]


def test_a_call_has_no_more_than_cloudwatch_takes():
    rows = [row("quality", "completeness", f"f{at}", 1.0) for at in range(MOST_AT_ONCE + 1)]
    calls = metric_data(measurements(rows), **SETTINGS)
    assert [len(call["MetricData"]) for call in calls] == [1_000, 1]


def test_the_monitors_own_measurements_are_published():
    draw = np.random.default_rng(0)
    reference = pd.DataFrame(
        {
            "event_time": pd.date_range("2024-01-01", periods=400, freq="1h", tz="UTC"),
            "age": draw.normal(40, 10, 400),
            "sex": draw.choice(["f", "m"], 400),
            "prediction": draw.integers(0, 2, 400),
        }
    )
    current = reference.assign(event_time=reference["event_time"] + pd.Timedelta("21D"))
    features = {"features": ["age", "sex"], "window": None}
    found = [
        quality.quality(reference, current, **features),
        drift.drift(reference, current, metrics=["l_infinity_robust"], rng=draw, **features),
        bias.bias(current, group_column="sex", disfavoured="f", metrics=["DPPL"], rng=draw),
    ]
    calls = metric_data(pd.concat(found, ignore_index=True), **SETTINGS)
    assert names(calls) == {
        "aws/sagemaker/Endpoints/data-metrics": [
            *("feature_non_null_age", "feature_non_null_sex"),
            *("feature_baseline_drift_age", "feature_baseline_drift_sex"),
        ],
        "aws/sagemaker/Endpoints/bias-metrics": ["bias_metric_DPPL"],
    }


def test_the_statistics_of_a_window_are_published():
    frame = pd.DataFrame({"age": [30, 41, None, 25], "sex": ["f", None, "m", "f"], "none": None})
    [call] = statistics_data(statistics(frame), moment="2024-01-08T00:00Z", **SETTINGS)
    assert call["Namespace"] == "aws/sagemaker/Endpoints/data-metrics"
    assert call["MetricData"][0] == {
        "MetricName": "feature_data_age",
        "Timestamp": datetime(2024, 1, 8, tzinfo=UTC),
        "Dimensions": ABOUT,
        "StatisticValues": {"SampleCount": 3.0, "Sum": 96.0, "Minimum": 25.0, "Maximum": 41.0},
    }
    assert [(datum["MetricName"], datum["Value"]) for datum in call["MetricData"][1:]] == [
        ("feature_non_null_age", 0.75),
        ("feature_non_null_sex", 0.75),
        ("feature_non_null_none", 0.0),
    ]
    empty = statistics(frame.iloc[:0])
    assert statistics_data(empty, moment="2024-01-08T00:00Z", **SETTINGS) == []
    with pytest.raises(ValueError, match="^moment='2024-01-08': a time with its zone is needed"):
        statistics_data(empty, moment="2024-01-08", **SETTINGS)
