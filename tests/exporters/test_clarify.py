"""Clarify's files on bias and attribution: of the documented schema, from measurements and back."""

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest

from tests.exporters.test_model_monitor import TEXT, closed, in_order, listed
from utils.exporters._files import UnreadableFile
from utils.exporters.clarify import (
    LEAST_NDCG,
    POST_TRAINING,
    PRE_TRAINING,
    attribution_analysis,
    attribution_violations,
    attributions,
    bias_analysis,
    bias_measured,
    bias_violations,
    read_analysis,
    read_violations,
    write_analysis,
    write_violations,
)
from utils.monitors import bias
from utils.records import measurements

VALUE = {"type": ["number", "null"]}
METRIC = closed({"name": TEXT, "description": TEXT, "value": VALUE})
FACETS = {
    "type": "object",
    "additionalProperties": listed(
        closed({"value_or_threshold": TEXT, "metrics": listed(METRIC)}), minItems=1
    ),
}
BIAS = closed({"label": TEXT, "label_value_or_threshold": TEXT, "facets": FACETS})
SHAP = closed(
    {"global_shap_values": {"type": "object", "additionalProperties": {"type": "number"}}},
    expected_value={"type": "number"},
)
ANALYSIS = closed(
    {"version": {"const": "1.0"}},
    explanations=closed({"kernel_shap": {"type": "object", "additionalProperties": SHAP}}),
    pre_training_bias_metrics=BIAS,
    post_training_bias_metrics=BIAS,
)


def violations_schema(*names, check):
    violation = closed(dict.fromkeys(names, TEXT) | {"constraint_check_type": {"const": check}})
    return closed({"version": {"const": "1.0"}, "violations": listed(violation)})


def loans(n=400, *, gap=0.1, seed=0):
    draw = np.random.default_rng(seed)
    sex = pd.Series(draw.choice(["f", "m"], n))
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2024-01-01", periods=n, freq="10min", tz="UTC"),
            "sex": sex,
            "income": draw.normal(3, 1, n),
            "prediction": (draw.random(n) < 0.6 - gap * (sex == "f")).astype(int),
            "label": (draw.random(n) < 0.6).astype(int),
        }
    )


def measured(frame):
    return bias.bias(
        frame,
        group_column="sex",
        disfavoured="f",
        features=["income"],
        draws=20,
        rng=np.random.default_rng(0),
    )


@pytest.fixture(scope="module")
def baseline():
    return measured(loans())


def test_every_metric_of_bias_has_its_documented_name():
    assert tuple(PRE_TRAINING) == tuple(bias.PRE_TRAINING)
    assert tuple(POST_TRAINING) == tuple(bias.POST_TRAINING)
    for name, text in (PRE_TRAINING | POST_TRAINING).items():
        assert text.endswith(f" ({name})")


def test_an_analysis_has_the_documented_schema_and_comes_back(tmp_path, baseline):
    shap_values = {"label0": {"income": 0.25, "age": 0.125}, "label1": {"income": 0.5, "age": 0}}
    path = write_analysis(
        bias_analysis(baseline, label="repaid", label_value=1),
        attribution_analysis(shap_values, expected_values={"label0": 0.5}),
        path=tmp_path / "analysis.json",
    )
    document = json.loads(path.read_text())
    jsonschema.validate(document, ANALYSIS)
    assert list(document) == [
        "version",
        "explanations",
        "pre_training_bias_metrics",
        "post_training_bias_metrics",
    ]
    analysis = read_analysis(path)
    assert attributions(analysis) == shap_values
    back = bias_measured(analysis)
    columns = ["monitor", "metric", "feature", "group", "value"]
    pd.testing.assert_frame_equal(back[columns], baseline[columns])
    order = [each for each in in_order(path) if each.startswith(".post_training")]
    assert [each.split(".")[-1] for each in order] == [
        *("post_training_bias_metrics", "label", "label_value_or_threshold", "facets", "sex"),
        *("value_or_threshold", "metrics", "name", "description", "value"),
    ]


def test_the_documented_excerpt_is_written_as_it_stands():
    rows = [("DI", 0.711340206185567), ("DCR", -0.34782608695652184)]
    table = measurements(
        {
            "monitor": "bias",
            "metric": metric,
            "feature": "feature_2",
            "group": "1",
            "window_start": "2024-01-01",
            "window_end": "2024-01-02",
            "value": value,
        }
        for metric, value in rows
    )
    assert bias_analysis(table, label="target", label_value=1) == {
        "post_training_bias_metrics": {
            "label": "target",
            "label_value_or_threshold": "1",
            "facets": {
                "feature_2": [
                    {
                        "value_or_threshold": "1",
                        "metrics": [
                            {
                                "name": "DI",
                                "description": "Disparate Impact (DI)",
                                "value": 0.711340206185567,
                            },
                            {
                                "name": "DCR",
                                "description": "Difference in Conditional Rejections (DCR)",
                                "value": -0.34782608695652184,
                            },
                        ],
                    }
                ]
            },
        }
    }


def test_a_value_that_is_none_is_null_and_one_that_is_infinite_a_text(tmp_path, baseline):
    odd = baseline.assign(value=[np.nan, np.inf, *baseline["value"][2:]])
    path = write_analysis(
        bias_analysis(odd, label="repaid", label_value=1), path=tmp_path / "analysis.json"
    )
    [of_f] = json.loads(path.read_text())["pre_training_bias_metrics"]["facets"]["sex"]
    assert [each["value"] for each in of_f["metrics"][:2]] == [None, "Infinity"]
    pd.testing.assert_series_equal(bias_measured(read_analysis(path))["value"], odd["value"])


def test_what_drifted_from_the_baseline_in_a_file_is_what_drifted_from_it(tmp_path, baseline):
    path = write_analysis(
        bias_analysis(baseline, label="repaid", label_value=1), path=tmp_path / "constraints.json"
    )
    current = measured(loans(gap=0.5, seed=1))
    drifted = bias.bias_drift(current, bias_measured(read_analysis(path)))
    found = bias_violations(drifted)
    assert found == bias_violations(bias.bias_drift(current, baseline))
    [dppl] = [each for each in found if each["metric_name"] == "DPPL"]
    value = current.loc[current["metric"] == "DPPL", "value"].iloc[0]
    assert dppl == {
        "facet": "sex",
        "facet_value": "f",
        "metric_name": "DPPL",
        "constraint_check_type": "bias_drift_check",
        "description": f"Value {value} does not meet the constraint requirement",
    }
    path = write_violations(found, tmp_path / "constraint_violations.json")
    names = ("facet", "facet_value", "metric_name", "constraint_check_type", "description")
    document = json.loads(path.read_text())
    jsonschema.validate(document, violations_schema(*names, check="bias_drift_check"))
    assert tuple(document["violations"][0]) == names
    assert read_violations(path) == found
    assert bias_violations(bias.bias_drift(baseline, baseline)) == []


def test_a_ranking_below_0_90_is_a_violation_as_documented(tmp_path):
    ndcg = {"label0": 0.7639720923277322, "label1": 0.9, "label2": np.nan, "label3": np.float64(0)}
    found = attribution_violations(ndcg)
    assert LEAST_NDCG == 0.90
    assert found == [
        {
            "label": "label0",
            "metric_name": "shap",
            "constraint_check_type": "feature_attribution_drift_check",
            "description": "Feature attribution drift 0.7639720923277322 exceeds threshold 0.9",
        },
        {
            "label": "label3",
            "metric_name": "shap",
            "constraint_check_type": "feature_attribution_drift_check",
            "description": "Feature attribution drift 0.0 exceeds threshold 0.9",
        },
    ]
    path = write_violations(found, tmp_path / "constraint_violations.json")
    names = ("label", "metric_name", "constraint_check_type", "description")
    schema = violations_schema(*names, check="feature_attribution_drift_check")
    jsonschema.validate(json.loads(path.read_text()), schema)
    assert read_violations(path) == found


def test_more_in_a_real_file_is_let_pass_and_kept_where_asked(tmp_path, baseline):
    path = tmp_path / "analysis.json"
    real = {
        "version": "1.0",
        "explanations": {
            "kernel_shap": {
                "label0": {"global_shap_values": {"age": 0.5}, "expected_value": 0.5, "n": 7}
            },
            "pdp": [],
        },
        "bias_report": {},
    }
    path.write_text(json.dumps(real))
    assert attributions(read_analysis(path)) == {"label0": {"age": 0.5}}
    section = attribution_analysis({"label0": {"age": 0.25}}, expected_values={"label0": 0.5})
    again = write_analysis(section, path=path, keeping=read_analysis(path))
    real["explanations"]["kernel_shap"]["label0"]["global_shap_values"]["age"] = 0.25
    assert json.loads(again.read_text()) == real


def test_what_is_no_analysis_is_refused(tmp_path, baseline):
    with pytest.raises(ValueError, match="^measured: 'accuracy' is no metric of bias; known: CI"):
        bias_analysis(baseline.assign(metric="accuracy"), label="y", label_value=1)
    with pytest.raises(ValueError) as error:
        bias_analysis(pd.concat([baseline, baseline]), label="y", label_value=1)
    assert str(error.value) == (
        "measured: has several rows for metric='CI', feature='sex', group='f'; an analysis is of "
        "one window"
    )
    path = tmp_path / "file.json"
    for text, read, message in (
        (
            {"explanations": {"kernel_shap": {"y": {"global_shap_values": {"age": "high"}}}}},
            read_analysis,
            'explanations.kernel_shap.y.global_shap_values.age is "high", and must be a number',
        ),
        (
            {"pre_training_bias_metrics": {"label": "y", "label_value_or_threshold": 1}},
            read_analysis,
            "pre_training_bias_metrics.label_value_or_threshold is 1, and must be a text",
        ),
        (
            {"version": "1.0", "violations": [{"metric_name": "shap"}]},
            read_violations,
            "violations[0].label is missing",
        ),
        (
            {"version": "1.0", "violations": [{"metric_name": "CI", "facet": "sex"}]},
            read_violations,
            "violations[0].facet_value is missing",
        ),
        (
            {"version": 1, "violations": []},
            read_violations,
            "version is 1, and must be a text",
        ),
    ):
        path.write_text(json.dumps(text))
        with pytest.raises(UnreadableFile) as error:
            read(path)
        assert str(error.value) == f"{path}: {message}"
    mixed = [*attribution_violations({"label0": 0.1}), {"facet": "sex", "metric_name": "CI"}]
    with pytest.raises(UnreadableFile, match="^found: violations"):
        write_violations(mixed, path)
