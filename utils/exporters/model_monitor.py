"""SageMaker Model Monitor's files on the quality of data: what a table is, must be, and breaks.

``statistics.json``, ``constraints.json`` and ``constraint_violations.json`` hold what
``utils.monitors.constraints`` computes, with the documented keys in the documented order, so that a
viewer made for the one reads the other. Keys that are not known are let pass when a file is read;
to keep them when it is written anew, give the document that ``read_document`` returns as
``keeping``.

In the sketch of a number's distribution, ``data`` is a list of levels, as in the KLL sketches of
awslabs/deequ: a value at level i stands for 2^i values, so all weights add up to the number of
(finite) values that are there. Up to 2,048 values there is one level, with every value, in order:
the sketch is exact. Of more, every other value of the sorted level goes up until at most 2,048 are
left, which shifts a rank by less than 2^i for i levels: by less than one row in 1,024. It is made
without chance, so the same table has the same sketch. The ten buckets are counted from the values
themselves: lower_bound <= x < upper_bound, and the last one holds its upper bound too.

Source: Amazon SageMaker Developer Guide, "Schema for Statistics", "Schema for Constraints",
"Schema for Violations".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from utils.exporters import _files, _forms
from utils.exporters._forms import Value
from utils.monitors.constraints import (
    Bucket,
    CategoryBucket,
    CheckType,
    Constraint,
    Constraints,
    FeatureStatistics,
    InferredType,
    MonitoringConfig,
    Statistics,
    Violation,
)

SKETCH_PARAMETERS = {"c": 0.64, "k": 2048.0}
"""What the files say of their sketches: the factor by which levels shrink, and their size."""

_COMMON = {"num_present": Value.COUNT, "num_missing": Value.COUNT}
_NUMERICAL = {
    "common": _COMMON,
    "mean?": Value.NUMBER,
    "sum?": Value.NUMBER,
    "std_dev?": Value.NUMBER,
    "min?": Value.NUMBER,
    "max?": Value.NUMBER,
    "distribution?": {
        "kll?": {
            "buckets?": [
                {"lower_bound": Value.NUMBER, "upper_bound": Value.NUMBER, "count": Value.NUMBER}
            ],
            "sketch?": {
                "parameters?": {"c": Value.NUMBER, "k": Value.NUMBER},
                "data": [[Value.NUMBER]],
            },
        }
    },
}
_STRING = {
    "common": _COMMON,
    "distinct_count?": Value.COUNT,
    "distribution?": {"categorical?": {"buckets?": [{"value": str, "count": Value.COUNT}]}},
}
STATISTICS: Mapping[str, Any] = {
    "version": Value.FINITE,
    "dataset": {"item_count": Value.COUNT},
    "features": [
        {
            "name": str,
            "inferred_type": get_args(InferredType),
            "numerical_statistics?": _NUMERICAL,
            "string_statistics?": _STRING,
        }
    ],
}
"""The form of ``statistics.json``."""

_DISTRIBUTION = (
    "perform_comparison",
    "comparison_threshold",
    "comparison_method",
    "categorical_comparison_threshold",
    "categorical_drift_method",
)
_CONFIG = {
    "evaluate_constraints?": str,
    "emit_metrics?": str,
    "datatype_check_threshold?": Value.FINITE,
    "domain_content_threshold?": Value.FINITE,
    "distribution_constraints?": {
        "perform_comparison?": str,
        "comparison_threshold?": Value.FINITE,
        "comparison_method?": str,
        "categorical_comparison_threshold?": Value.FINITE,
        "categorical_drift_method?": str,
    },
}
CONSTRAINTS: Mapping[str, Any] = {
    "version": Value.FINITE,
    "features": [
        {
            "name": str,
            "inferred_type": get_args(InferredType),
            "completeness": Value.FINITE,
            "num_constraints?": {"is_non_negative?": bool},
            "string_constraints?": {"domains?": [str]},
            "monitoringConfigOverrides?": _CONFIG,
        }
    ],
    "monitoring_config?": _CONFIG,
}
"""The form of ``constraints.json``."""

VIOLATIONS: Mapping[str, Any] = {
    "violations": [
        {
            "feature_name": str,
            "constraint_check_type": get_args(CheckType),
            "description": str,
        }
    ]
}
"""The form of ``constraint_violations.json``."""


def read_document(path: Path | str) -> dict[str, Any]:
    """Return what a JSON file holds, as it stands: to be given as ``keeping``.

    Raises ``FileNotFoundError``, and ``UnreadableFile`` for a file that holds no JSON object.
    """
    return _forms.read(path, {"*": Value.ANYTHING})


# statistics.json


def write_statistics(
    statistics: Statistics, path: Path | str, *, keeping: Mapping[str, Any] | None = None
) -> Path:
    """Write statistics as ``statistics.json``, and return its path.

    A number that is none is the text ``"NaN"``. A feature of unknown type (no value is there) has
    the form of a text without values. What is ours alone, ``types``, is not written.

    >>> import pandas as pd
    >>> from tempfile import TemporaryDirectory
    >>> from utils.monitors.constraints import statistics
    >>> found = statistics(pd.DataFrame({"wait_min": [1, 2, 6, None]}))
    >>> with TemporaryDirectory() as folder:
    ...     path = write_statistics(found, f"{folder}/statistics.json")
    ...     read_statistics(path).by_name["wait_min"].mean
    3.0
    """
    document = {
        "version": _version(statistics.version),
        "dataset": {"item_count": statistics.item_count},
        "features": [_feature(feature) for feature in statistics.features],
    }
    return _forms.write(document, path, STATISTICS, keeping=keeping)


def read_statistics(path: Path | str) -> Statistics:
    """Return the statistics in a ``statistics.json``, ours or SageMaker's.

    Raises ``UnreadableFile`` naming the file, the key and the rule.
    """
    document = _forms.read(path, STATISTICS)
    return Statistics(
        version=_forms.number(document["version"]),
        item_count=int(document["dataset"]["item_count"]),
        features=tuple(
            _feature_read(feature, place=f"{path}: features[{at}]")
            for at, feature in enumerate(document["features"])
        ),
    )


def _version(version: float) -> float:
    return int(version) if version == int(version) else version


def _feature(feature: FeatureStatistics) -> dict[str, Any]:
    named = {"name": feature.name, "inferred_type": feature.inferred_type}
    common = {"num_present": feature.num_present, "num_missing": feature.num_missing}
    if feature.is_numerical:
        return named | {"numerical_statistics": {"common": common, **_numerical(feature)}}
    return named | {"string_statistics": {"common": common, **_string(feature)}}


def _numerical(feature: FeatureStatistics) -> dict[str, Any]:
    moments = {name: getattr(feature, name) for name in ("mean", "sum", "std_dev", "min", "max")}
    return {
        **{n: "NaN" if value is None else _forms.written(value) for n, value in moments.items()},
        "distribution": {
            "kll": {
                "buckets": [
                    {
                        "lower_bound": _forms.written(bucket.lower_bound),
                        "upper_bound": _forms.written(bucket.upper_bound),
                        "count": bucket.count,
                    }
                    for bucket in feature.buckets
                ],
                "sketch": {
                    "parameters": SKETCH_PARAMETERS,
                    "data": [list(level) for level in feature.sketch],
                },
            }
        },
    }


def _string(feature: FeatureStatistics) -> dict[str, Any]:
    buckets = [{"value": each.value, "count": each.count} for each in feature.categories]
    return {
        "distinct_count": feature.distinct_count or 0,
        "distribution": {"categorical": {"buckets": buckets}},
    }


def _feature_read(feature: Mapping[str, Any], *, place: str) -> FeatureStatistics:
    type_ = feature["inferred_type"]
    key = _KEYS.get(type_) or next((each for each in _KEYS.values() if each in feature), None)
    if key not in feature and type_ in _KEYS:
        raise _files.UnreadableFile(f"{place}.{key} is missing, and the feature is {type_}")
    own = feature.get(key, {"common": {"num_present": 0, "num_missing": 0}})
    return FeatureStatistics(
        name=feature["name"],
        inferred_type=type_,
        num_present=int(own["common"]["num_present"]),
        num_missing=int(own["common"]["num_missing"]),
        **_READERS.get(type_, lambda own: {})(own),
    )


def _numerical_read(own: Mapping[str, Any]) -> dict[str, Any]:
    kll = own.get("distribution", {}).get("kll", {})
    moments = {
        name: _forms.number(own[name])
        for name in ("mean", "sum", "std_dev", "min", "max")
        if own.get(name, "NaN") != "NaN"
    }
    return {
        **moments,
        "buckets": tuple(
            Bucket(**{name: _forms.number(bucket[name]) for name in _BUCKET})
            for bucket in kll.get("buckets", ())
        ),
        "sketch": tuple(
            tuple(map(_forms.number, level)) for level in kll.get("sketch", {}).get("data", ())
        ),
    }


_BUCKET = tuple(field.name for field in fields(Bucket))


def _string_read(own: Mapping[str, Any]) -> dict[str, Any]:
    buckets = own.get("distribution", {}).get("categorical", {}).get("buckets", ())
    return {
        "distinct_count": int(own.get("distinct_count", len(buckets))),
        "categories": tuple(
            CategoryBucket(value=each["value"], count=int(each["count"])) for each in buckets
        ),
    }


_KEYS = {
    "Integral": "numerical_statistics",
    "Fractional": "numerical_statistics",
    "String": "string_statistics",
}
_READERS = {"Integral": _numerical_read, "Fractional": _numerical_read, "String": _string_read}


# constraints.json


def write_constraints(
    constraints: Constraints, path: Path | str, *, keeping: Mapping[str, Any] | None = None
) -> Path:
    """Write constraints as ``constraints.json``, and return its path.

    The two ``…_threshold`` of types and domains are the shares that must match: 1.0 unless set.

    >>> import pandas as pd
    >>> from tempfile import TemporaryDirectory
    >>> from utils.monitors.constraints import suggested_constraints
    >>> constraints = suggested_constraints(pd.DataFrame({"desk": ["a", "b"]}))
    >>> with TemporaryDirectory() as folder:
    ...     path = write_constraints(constraints, f"{folder}/constraints.json")
    ...     read_constraints(path) == constraints
    True
    """
    document = {
        "version": _version(constraints.version),
        "features": [_constraint(feature) for feature in constraints.features],
        "monitoring_config": _nested(vars(constraints.monitoring_config)),
    }
    return _forms.write(document, path, CONSTRAINTS, keeping=keeping)


def read_constraints(path: Path | str) -> Constraints:
    """Return the constraints in a ``constraints.json``, ours or SageMaker's.

    What its ``monitoring_config`` leaves out has its default. Raises ``UnreadableFile`` naming the
    file, the key and the rule, a setting of no known value among them.
    """
    document = _forms.read(path, CONSTRAINTS)
    config = _flat(document.get("monitoring_config", {}), place=f"{path}: monitoring_config")
    return Constraints(
        version=_forms.number(document["version"]),
        monitoring_config=MonitoringConfig(**config),
        features=tuple(
            _constraint_read(feature, place=f"{path}: features[{at}].monitoringConfigOverrides")
            for at, feature in enumerate(document["features"])
        ),
    )


def _constraint(constraint: Constraint) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": constraint.name,
        "inferred_type": constraint.inferred_type,
        "completeness": _forms.written(constraint.completeness),
    }
    if constraint.is_non_negative is not None:
        document["num_constraints"] = {"is_non_negative": constraint.is_non_negative}
    if constraint.domains is not None:
        document["string_constraints"] = {"domains": list(constraint.domains)}
    return document | {"monitoringConfigOverrides": _nested(constraint.overrides)}


def _constraint_read(feature: Mapping[str, Any], *, place: str) -> Constraint:
    domains = feature.get("string_constraints", {}).get("domains")
    return Constraint(
        name=feature["name"],
        inferred_type=feature["inferred_type"],
        completeness=_forms.number(feature["completeness"]),
        is_non_negative=feature.get("num_constraints", {}).get("is_non_negative"),
        domains=None if domains is None else tuple(domains),
        overrides=_flat(feature.get("monitoringConfigOverrides", {}), place=place),
    )


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as the file has them: those of distributions in an object of their own."""
    own = {name: value for name, value in settings.items() if name not in _DISTRIBUTION}
    inner = {name: settings[name] for name in _DISTRIBUTION if name in settings}
    return own | ({"distribution_constraints": inner} if inner else {})


def _flat(config: Mapping[str, Any], *, place: str) -> dict[str, Any]:
    """Return the settings of a file by name, each checked.

    An older copy of the documentation misspells one: ``comparion_method``.
    """
    inner = dict(config.get("distribution_constraints", {}))
    if "comparion_method" in inner:
        inner.setdefault("comparison_method", inner["comparion_method"])
    known = {field.name for field in fields(MonitoringConfig)}
    settings = {n: value for n, value in {**config, **inner}.items() if n in known}
    try:
        MonitoringConfig(**settings)
    except ValueError as error:
        raise _files.UnreadableFile(f"{place}: {error}") from error
    return settings


# constraint_violations.json


def write_violations(
    violations: Sequence[Violation], path: Path | str, *, keeping: Mapping[str, Any] | None = None
) -> Path:
    """Write what was broken as ``constraint_violations.json``, and return its path.

    >>> from tempfile import TemporaryDirectory
    >>> found = [Violation(feature_name="gate", constraint_check_type="missing_column_check",
    ...                    description="There are missing columns in current dataset.")]
    >>> with TemporaryDirectory() as folder:
    ...     path = write_violations(found, f"{folder}/constraint_violations.json")
    ...     read_violations(path) == found
    True
    """
    document = {"violations": [vars(violation) for violation in violations]}
    return _forms.write(document, path, VIOLATIONS, keeping=keeping)


def read_violations(path: Path | str) -> list[Violation]:
    """Return the violations in a ``constraint_violations.json`` of the quality of data.

    Raises ``UnreadableFile`` naming the file, the key and the rule.
    """
    document = _forms.read(path, VIOLATIONS)
    names = [field.name for field in fields(Violation)]
    return [Violation(**{name: each[name] for name in names}) for each in document["violations"]]
