"""SageMaker Clarify's files on bias and attribution: the analysis, and what drifted from it.

``analysis.json`` holds the bias metrics of each facet, before and after training, and the global
SHAP values of each label's features; the one of the baseline is the ``constraints.json`` of a
monitor. What lies too far from it is in ``constraint_violations.json``. The values come from
``utils.monitors``, as measurements and mappings; here they are only written and read.

Source: Amazon SageMaker Developer Guide, "Bias Drift Violations", "Model Feature Attribution Drift
Violations" and "Get the Analysis Results".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.exporters import _forms
from utils.exporters._forms import Value
from utils.records import measurements
from utils.text import nearest

VERSION = "1.0"
LEAST_NDCG = 0.90
"""The NDCG of the live ranking below which attributions have drifted."""

METHOD = "kernel_shap"
PRE_TRAINING: Mapping[str, str] = {
    "CI": "Class Imbalance (CI)",
    "DPL": "Difference in Positive Proportions in Labels (DPL)",
    "KL": "Kullback-Leibler Divergence (KL)",
    "JS": "Jensen-Shannon Divergence (JS)",
    "LP": "L-p Norm (LP)",
    "TVD": "Total Variation Distance (TVD)",
    "KS": "Kolmogorov-Smirnov Distance (KS)",
    "CDDL": "Conditional Demographic Disparity in Labels (CDDL)",
}
POST_TRAINING: Mapping[str, str] = {
    "DPPL": "Difference in Positive Proportions in Predicted Labels (DPPL)",
    "DI": "Disparate Impact (DI)",
    "CDDPL": "Conditional Demographic Disparity in Predicted Labels (CDDPL)",
    "FT": "Flip Test (FT)",
    "AD": "Accuracy Difference (AD)",
    "RD": "Recall Difference (RD)",
    "DCAcc": "Difference in Conditional Acceptance (DCAcc)",
    "DAR": "Difference in Acceptance Rates (DAR)",
    "SD": "Specificity Difference (SD)",
    "DCR": "Difference in Conditional Rejections (DCR)",
    "DRR": "Difference in Rejection Rates (DRR)",
    "TE": "Treatment Equality (TE)",
    "GE": "Generalized Entropy (GE)",
}
"""The documented bias metrics by their short names, before and after training."""

Stage = Literal["pre_training_bias_metrics", "post_training_bias_metrics"]
STAGES: Mapping[Stage, Mapping[str, str]] = {
    "pre_training_bias_metrics": PRE_TRAINING,
    "post_training_bias_metrics": POST_TRAINING,
}

_BIAS = {
    "label": str,
    "label_value_or_threshold": str,
    "facets": {
        "*": [
            {
                "value_or_threshold": str,
                "metrics": [{"name": str, "description?": str, "value": Value.NUMBER_OR_NULL}],
            }
        ]
    },
}
_SHAP = {"global_shap_values": {"*": Value.NUMBER}, "expected_value?": Value.NUMBER}
ANALYSIS: Mapping[str, Any] = {
    "version?": str,
    "explanations?": {f"{METHOD}?": {"*": _SHAP}},
    **{f"{stage}?": _BIAS for stage in STAGES},
}
"""The form of ``analysis.json``."""

_BIAS_KEYS = ("facet", "facet_value", "metric_name", "constraint_check_type", "description")
BIAS_VIOLATIONS: Mapping[str, Any] = {
    "version": str,
    "violations": [
        dict.fromkeys(_BIAS_KEYS, str) | {"constraint_check_type": ("bias_drift_check",)}
    ],
}
"""The form of ``constraint_violations.json`` of bias."""

_SHAP_KEYS = ("label", "metric_name", "constraint_check_type", "description")
ATTRIBUTION_VIOLATIONS: Mapping[str, Any] = {
    "version": str,
    "violations": [
        dict.fromkeys(_SHAP_KEYS, str)
        | {"metric_name": ("shap",), "constraint_check_type": ("feature_attribution_drift_check",)}
    ],
}
"""The form of ``constraint_violations.json`` of attribution."""


# The analysis


def bias_analysis(
    measured: pd.DataFrame, *, label: str, label_value: Any
) -> dict[Stage, dict[str, Any]]:
    """Return the bias metrics of one period as the two sections of an analysis.

    ``measured`` are the measurements of ``utils.monitors.bias``, with one row for each metric and
    group: ``feature`` is the facet, ``group`` its value. ``label`` and ``label_value`` name the
    outcome that counts as positive. A value that is none is ``null``. Their intervals have no place
    in the file.

    Raises ``ValueError`` for several rows of one metric and group, and for no metric of bias.

    >>> row = {"monitor": "bias", "metric": "DI", "feature": "sex", "group": "f", "value": 0.71}
    >>> day = {"window_start": "2024-01-01", "window_end": "2024-01-02"}
    >>> found = bias_analysis(measurements([row | day]), label="repaid", label_value=1)
    >>> found["post_training_bias_metrics"]["facets"]["sex"][0]["metrics"]
    [{'name': 'DI', 'description': 'Disparate Impact (DI)', 'value': 0.71}]
    """
    known = PRE_TRAINING | POST_TRAINING
    for name in measured["metric"].unique():
        if name not in known:
            raise ValueError(f"measured: {name!r} is no metric of bias; {nearest(name, known)}")
    keys = ["metric", "feature", "group"]
    if measured.duplicated(keys).any():
        row = measured[measured.duplicated(keys)].iloc[0]
        raise ValueError(
            f"measured: has several rows for metric={row['metric']!r}, feature={row['feature']!r}, "
            f"group={row['group']!r}; an analysis is of one window"
        )
    return {
        stage: {
            "label": label,
            "label_value_or_threshold": str(label_value),
            "facets": _facets(measured[measured["metric"].isin(names)], names),
        }
        for stage, names in STAGES.items()
        if measured["metric"].isin(names).any()
    }


def _facets(measured: pd.DataFrame, names: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    facets: dict[str, list[dict[str, Any]]] = {}
    for (feature, group), rows in measured.groupby(["feature", "group"], sort=False):
        values = dict(zip(rows["metric"], rows["value"], strict=True))
        metrics = [
            {
                "name": name,
                "description": names[name],
                "value": None if np.isnan(values[name]) else _forms.written(values[name]),
            }
            for name in names
            if name in values
        ]
        facets.setdefault(feature, []).append({"value_or_threshold": group, "metrics": metrics})
    return facets


def bias_measured(analysis: Mapping[str, Any]) -> pd.DataFrame:
    """Return the bias metrics of an analysis as measurements: the baseline of ``bias.bias_drift``.

    An analysis tells neither its period nor its rows: windows are ``NaT`` and counts 0, and there
    are no intervals. Names that are not documented are there too.

    >>> facets = {"sex": [{"value_or_threshold": "f", "metrics": [{"name": "CI", "value": 0.2}]}]}
    >>> told = {"label": "repaid", "label_value_or_threshold": "1", "facets": facets}
    >>> bias_measured({"pre_training_bias_metrics": told})[["metric", "group", "value"]].values
    array([['CI', 'f', 0.2]], dtype=object)
    """
    return measurements(
        {
            "monitor": "bias",
            "metric": metric["name"],
            "feature": facet,
            "group": of_value["value_or_threshold"],
            "window_start": pd.NaT,
            "window_end": pd.NaT,
            "value": np.nan if metric["value"] is None else _forms.number(metric["value"]),
        }
        for stage in STAGES
        for facet, values in analysis.get(stage, {}).get("facets", {}).items()
        for of_value in values
        for metric in of_value["metrics"]
    )


def attribution_analysis(
    shap_values: Mapping[str, Mapping[str, float]],
    *,
    expected_values: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Return the global SHAP values of each label's features as a section of an analysis.

    A label is called as it is, or ``label0`` where there is only one score.

    >>> attribution_analysis({"label0": {"age": 0.2}}, expected_values={"label0": 0.5})
    {'explanations': {'kernel_shap': {'label0': {'global_shap_values': {'age': 0.2}, \
'expected_value': 0.5}}}}
    """
    expected = expected_values or {}
    labels = {
        label: {"global_shap_values": {n: _forms.written(v) for n, v in values.items()}}
        | ({"expected_value": _forms.written(expected[label])} if label in expected else {})
        for label, values in shap_values.items()
    }
    return {"explanations": {METHOD: labels}}


def attributions(analysis: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the global SHAP values in an analysis: by label, by feature.

    >>> attributions(attribution_analysis({"label0": {"age": 0.2}}))
    {'label0': {'age': 0.2}}
    """
    labels = analysis.get("explanations", {}).get(METHOD, {})
    return {
        label: {name: _forms.number(v) for name, v in told["global_shap_values"].items()}
        for label, told in labels.items()
    }


def write_analysis(
    *sections: Mapping[str, Any],
    path: Path | str,
    keeping: Mapping[str, Any] | None = None,
) -> Path:
    """Write the sections of an analysis as ``analysis.json``, and return its path.

    The same file is the ``constraints.json`` of a monitor. Raises ``UnreadableFile`` for a section
    that has not the form.

    >>> from tempfile import TemporaryDirectory
    >>> section = attribution_analysis({"label0": {"age": 0.2}})
    >>> with TemporaryDirectory() as folder:
    ...     read_analysis(write_analysis(section, path=f"{folder}/analysis.json"))["version"]
    '1.0'
    """
    document: dict[str, Any] = {"version": VERSION}
    for section in sections:
        document |= section
    order = [key.removesuffix("?") for key in ANALYSIS]
    document = dict(sorted(document.items(), key=lambda item: order.index(item[0])))
    _forms.check(document, ANALYSIS, place="sections")
    return _forms.write(document, path, ANALYSIS, keeping=keeping)


def read_analysis(path: Path | str) -> dict[str, Any]:
    """Return the document of an ``analysis.json``, ours or Clarify's.

    Raises ``UnreadableFile`` naming the file, the key and the rule.
    """
    return _forms.read(path, ANALYSIS)


# What drifted


def bias_violations(drifted: pd.DataFrame) -> list[dict[str, str]]:
    """Return the alarms of ``bias.bias_drift`` as the violations of Clarify's file.

    A violation tells neither from which baseline the value strayed, nor in which window, nor how
    surely.

    >>> row = {"monitor": "bias", "metric": "CI", "feature": "Age", "group": "40", "value": 0.0752}
    >>> day = {"window_start": "2024-01-01", "window_end": "2024-01-02", "alarm": True}
    >>> [found] = bias_violations(measurements([row | day]))
    >>> found["facet"], found["description"]
    ('Age', 'Value 0.0752 does not meet the constraint requirement')
    """
    alarms = drifted[drifted["alarm"]]
    return [
        dict(
            zip(
                _BIAS_KEYS,
                (
                    row.feature,
                    row.group,
                    row.metric,
                    "bias_drift_check",
                    f"Value {row.value} does not meet the constraint requirement",
                ),
                strict=True,
            )
        )
        for row in alarms.itertuples()
    ]


def attribution_violations(
    ndcg: Mapping[str, float], *, threshold: float = LEAST_NDCG
) -> list[dict[str, str]]:
    """Return the labels whose ranking of attributions drifted, as violations of Clarify's file.

    ``ndcg`` is the NDCG of each label's live ranking by the attributions in training, in 0..1; see
    ``utils.monitors.attribution``. One that is not known (``NaN``) is no violation.

    >>> [found] = attribution_violations({"label0": 0.7639720923277322, "label1": 0.95})
    >>> found["label"], found["description"]
    ('label0', 'Feature attribution drift 0.7639720923277322 exceeds threshold 0.9')
    """
    return [
        {
            "label": label,
            "metric_name": "shap",
            "constraint_check_type": "feature_attribution_drift_check",
            "description": (
                f"Feature attribution drift {float(value)} exceeds threshold {threshold}"
            ),
        }
        for label, value in ndcg.items()
        if value < threshold
    ]


def write_violations(found: Sequence[Mapping[str, str]], path: Path | str) -> Path:
    """Write violations of bias or of attribution as ``constraint_violations.json``.

    Raises ``UnreadableFile`` for violations that have not the form of either.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     read_violations(write_violations([], f"{folder}/constraint_violations.json"))
    []
    """
    document = {"version": VERSION, "violations": [dict(each) for each in found]}
    _forms.check(document, _form_of(document), place="found")
    return _forms.write(document, path, _form_of(document))


def read_violations(path: Path | str) -> list[dict[str, str]]:
    """Return the violations in a ``constraint_violations.json`` of bias or of attribution.

    Raises ``UnreadableFile`` naming the file, the key and the rule.
    """
    document = _forms.read(path, {"version": str, "violations": [{"metric_name": str}]})
    _forms.check(document, _form_of(document), place=str(path))
    return document["violations"]


def _form_of(document: Mapping[str, Any]) -> Mapping[str, Any]:
    of_shap = any(each.get("metric_name") == "shap" for each in document["violations"])
    return ATTRIBUTION_VIOLATIONS if of_shap else BIAS_VIOLATIONS
