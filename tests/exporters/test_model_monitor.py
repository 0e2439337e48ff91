"""Model Monitor's files on the quality of data: of the documented schema, and all comes back."""

import copy
import json
from dataclasses import replace

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from utils.exporters._files import UnreadableFile
from utils.exporters.model_monitor import (
    read_constraints,
    read_document,
    read_statistics,
    read_violations,
    write_constraints,
    write_statistics,
    write_violations,
)
from utils.monitors.constraints import (
    MonitoringConfig,
    constraint_violations,
    statistics,
    suggested_constraints,
)


def closed(required, **optional):
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


def listed(items, **more):
    return {"type": "array", "items": items} | more


NUMBER, TEXT = {"type": "number"}, {"type": "string"}
MOMENT = {"anyOf": [NUMBER, {"const": "NaN"}]}
SWITCH = {"enum": ["Enabled", "Disabled"]}
COMMON = closed({"num_present": {"type": "integer"}, "num_missing": {"type": "integer"}})
NUMERICAL = closed(
    {
        "common": COMMON,
        **dict.fromkeys(("mean", "sum", "std_dev", "min", "max"), MOMENT),
        "distribution": closed(
            {
                "kll": closed(
                    {
                        "buckets": listed(
                            closed(dict.fromkeys(("lower_bound", "upper_bound", "count"), NUMBER)),
                            maxItems=10,
                        ),
                        "sketch": closed(
                            {
                                "parameters": closed(
                                    {"c": {"const": 0.64}, "k": {"const": 2048.0}}
                                ),
                                "data": listed(listed(NUMBER)),
                            }
                        ),
                    }
                )
            }
        ),
    }
)
STRING = closed(
    {
        "common": COMMON,
        "distinct_count": {"type": "integer"},
        "distribution": closed(
            {
                "categorical": closed(
                    {"buckets": listed(closed({"value": TEXT, "count": {"type": "integer"}}))}
                )
            }
        ),
    }
)
STATISTICS = closed(
    {
        "version": {"const": 0},
        "dataset": closed({"item_count": {"type": "integer"}}),
        "features": listed(
            {
                "oneOf": [
                    closed(
                        {
                            "name": TEXT,
                            "inferred_type": {"enum": ["Fractional", "Integral"]},
                            "numerical_statistics": NUMERICAL,
                        }
                    ),
                    closed(
                        {
                            "name": TEXT,
                            "inferred_type": {"enum": ["String", "Unknown"]},
                            "string_statistics": STRING,
                        }
                    ),
                ]
            }
        ),
    }
)
DISTRIBUTION = {
    "perform_comparison": SWITCH,
    "comparison_threshold": NUMBER,
    "comparison_method": {"enum": ["Simple", "Robust"]},
    "categorical_comparison_threshold": NUMBER,
    "categorical_drift_method": {"enum": ["LInfinity", "ChiSquared"]},
}
CONFIG = {
    "evaluate_constraints": SWITCH,
    "emit_metrics": SWITCH,
    "datatype_check_threshold": NUMBER,
    "domain_content_threshold": NUMBER,
    "distribution_constraints": closed(DISTRIBUTION),
}
CONSTRAINTS = closed(
    {
        "version": {"const": 0},
        "features": listed(
            closed(
                {
                    "name": TEXT,
                    "inferred_type": {"enum": ["Integral", "Fractional", "String", "Unknown"]},
                    "completeness": {"type": "number", "minimum": 0, "maximum": 1},
                    "monitoringConfigOverrides": closed(
                        {}, **CONFIG | {"distribution_constraints": closed({}, **DISTRIBUTION)}
                    ),
                },
                num_constraints=closed({"is_non_negative": {"type": "boolean"}}),
                string_constraints=closed({"domains": listed(TEXT)}),
            )
        ),
        "monitoring_config": closed(CONFIG),
    }
)
VIOLATIONS = closed(
    {
        "violations": listed(
            closed(
                {
                    "feature_name": TEXT,
                    "constraint_check_type": {
                        "enum": [
                            "data_type_check",
                            "completeness_check",
                            "baseline_drift_check",
                            "missing_column_check",
                            "extra_column_check",
                            "categorical_values_check",
                        ]
                    },
                    "description": TEXT,
                }
            )
        )
    }
)


def table(n=200, *, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "miles": rng.lognormal(6, 1, n) + shift,
            "seats": pd.Series(rng.integers(50, 300, n)).astype("Int64").mask(rng.random(n) < 0.1),
            "carrier": rng.choice(["UA", "B6", "ação, S.A."], n),
            "constant": 3,
            "nothing": None,
            "infinite": np.where(rng.random(n) < 0.1, -np.inf, 1.5),
            "mixed": pd.Series([1, "two", 2.5, None] * (n // 4), dtype="object"),
            "on_time": rng.random(n) < 0.5,
        }
    )


def without_types(found):
    return replace(found, features=tuple(replace(each, types={}) for each in found.features))


def in_order(path):
    """Return the keys of a document, each by the path to it, in the order in which they stand."""

    def walk(value, name):
        if isinstance(value, dict):
            for key, item in value.items():
                yield f"{name}.{key}"
                yield from walk(item, f"{name}.{key}")
        elif isinstance(value, list) and value:
            yield from walk(value[0], name)

    return list(dict.fromkeys(walk(json.loads(path.read_text()), "")))


# ---------------------------------------------------------------------------- written and read back


@pytest.mark.parametrize("frame", [table(), table(8), table().iloc[:0], table()[[]]])
def test_statistics_have_the_documented_schema_and_come_back(tmp_path, frame):
    found = statistics(frame)
    path = write_statistics(found, tmp_path / "statistics.json")
    jsonschema.validate(json.loads(path.read_text()), STATISTICS)
    assert read_statistics(path) == without_types(found)


@pytest.mark.parametrize(
    "config",
    [
        MonitoringConfig(),
        MonitoringConfig(
            evaluate_constraints="Disabled",
            emit_metrics="Disabled",
            datatype_check_threshold=0.9,
            domain_content_threshold=0.5,
            perform_comparison="Disabled",
            comparison_threshold=0.25,
            comparison_method="Simple",
            categorical_comparison_threshold=0.05,
            categorical_drift_method="ChiSquared",
        ),
    ],
)
def test_constraints_have_the_documented_schema_and_come_back(tmp_path, config):
    found = suggested_constraints(table(), config=config)
    overrides = {"comparison_threshold": 0.5, "datatype_check_threshold": 0.75}
    found = replace(
        found, features=(replace(found.features[0], overrides=overrides), *found.features[1:])
    )
    path = write_constraints(found, tmp_path / "constraints.json")
    document = json.loads(path.read_text())
    jsonschema.validate(document, CONSTRAINTS)
    assert document["features"][0]["monitoringConfigOverrides"] == {
        "datatype_check_threshold": 0.75,
        "distribution_constraints": {"comparison_threshold": 0.5},
    }
    assert read_constraints(path) == found


def test_what_is_broken_is_the_same_from_files_as_from_memory(tmp_path):
    reference, current = table(), table(shift=900.0, seed=1).drop(columns="seats").assign(gate=1)
    current.loc[:20, "carrier"] = "unheard of"
    current.loc[:50, "miles"] = np.nan
    baseline, constraints = statistics(reference), suggested_constraints(reference)
    found = constraint_violations(current, constraints, baseline=baseline)
    assert {each.constraint_check_type for each in found} >= {
        "completeness_check",
        "baseline_drift_check",
        "missing_column_check",
        "extra_column_check",
        "categorical_values_check",
    }
    again = constraint_violations(
        current,
        read_constraints(write_constraints(constraints, tmp_path / "constraints.json")),
        baseline=read_statistics(write_statistics(baseline, tmp_path / "statistics.json")),
    )
    assert again == found
    path = write_violations(found, tmp_path / "constraint_violations.json")
    jsonschema.validate(json.loads(path.read_text()), VIOLATIONS)
    assert read_violations(path) == found
    assert read_violations(write_violations([], path)) == []


def test_a_real_violation_reads_as_documented(tmp_path):
    reference = pd.DataFrame({"x": range(10_000)})
    current = reference.astype("float64")
    current.loc[:34, "x"] += 0.5
    found = constraint_violations(current, suggested_constraints(reference))
    path = write_violations(found, tmp_path / "constraint_violations.json")
    assert json.loads(path.read_text())["violations"] == [
        {
            "feature_name": "x",
            "constraint_check_type": "data_type_check",
            "description": "Data type match requirement is not met. Expected data type: Integral, "
            "Expected match: 100.0%. Observed: Only 99.65% of data is Integral.",
        }
    ]


def test_keys_stand_in_the_documented_order(tmp_path):
    frame = table()[["miles", "carrier"]]
    path = write_statistics(statistics(frame[["miles"]]), tmp_path / "statistics.json")
    kll = ".features.numerical_statistics.distribution.kll"
    assert in_order(path) == [
        ".version",
        ".dataset",
        ".dataset.item_count",
        ".features",
        ".features.name",
        ".features.inferred_type",
        ".features.numerical_statistics",
        ".features.numerical_statistics.common",
        ".features.numerical_statistics.common.num_present",
        ".features.numerical_statistics.common.num_missing",
        *(f".features.numerical_statistics.{m}" for m in ("mean", "sum", "std_dev", "min", "max")),
        ".features.numerical_statistics.distribution",
        kll,
        f"{kll}.buckets",
        f"{kll}.buckets.lower_bound",
        f"{kll}.buckets.upper_bound",
        f"{kll}.buckets.count",
        f"{kll}.sketch",
        f"{kll}.sketch.parameters",
        f"{kll}.sketch.parameters.c",
        f"{kll}.sketch.parameters.k",
        f"{kll}.sketch.data",
    ]
    path = write_constraints(suggested_constraints(frame[["carrier"]]), tmp_path / "c.json")
    config = ".monitoring_config.distribution_constraints"
    assert in_order(path) == [
        ".version",
        ".features",
        ".features.name",
        ".features.inferred_type",
        ".features.completeness",
        ".features.string_constraints",
        ".features.string_constraints.domains",
        ".features.monitoringConfigOverrides",
        ".monitoring_config",
        *(
            f".monitoring_config.{name}"
            for name in (
                "evaluate_constraints",
                "emit_metrics",
                "datatype_check_threshold",
                "domain_content_threshold",
                "distribution_constraints",
            )
        ),
        f"{config}.perform_comparison",
        f"{config}.comparison_threshold",
        f"{config}.comparison_method",
        f"{config}.categorical_comparison_threshold",
        f"{config}.categorical_drift_method",
    ]


# ------------------------------------------------------------------------------------- the sketch


@pytest.mark.parametrize("n", [1, 2_048, 2_049, 5_000, 100_001])
def test_the_sketch_weighs_all_values_and_shifts_a_rank_by_less_than_promised(tmp_path, n):
    values = np.random.default_rng(n).normal(size=n).round(3)
    path = write_statistics(statistics(pd.DataFrame({"x": values})), tmp_path / "statistics.json")
    kll = json.loads(path.read_text())["features"][0]["numerical_statistics"]["distribution"]["kll"]
    levels = kll["sketch"]["data"]
    at = np.concatenate([np.asarray(level, dtype=float) for level in levels])
    weight = np.repeat(2 ** np.arange(len(levels)), [len(level) for level in levels])
    assert weight.sum() == n
    assert max(map(len, levels)) <= 2_048
    order = np.argsort(at, kind="stable")
    grid = np.unique(values)
    below = np.concatenate([[0], np.cumsum(weight[order])])
    ranks = below[np.searchsorted(at[order], grid, side="right")]
    shift = np.abs(ranks - np.searchsorted(np.sort(values), grid, side="right")).max()
    assert shift < 2 ** (len(levels) - 1)
    assert shift == 0 or shift < n / 1_024


def test_the_buckets_are_ten_of_equal_width_and_count_every_value(tmp_path):
    frame = pd.DataFrame({"x": [0.0, 0.9, 1.0, 5.0, 9.0, 10.0, np.nan]})
    path = write_statistics(statistics(frame), tmp_path / "statistics.json")
    [feature] = json.loads(path.read_text())["features"]
    buckets = feature["numerical_statistics"]["distribution"]["kll"]["buckets"]
    assert [each["lower_bound"] for each in buckets] == pytest.approx(range(10))
    assert [each["upper_bound"] for each in buckets] == pytest.approx(range(1, 11))
    assert [each["count"] for each in buckets] == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.none() | st.floats(allow_nan=False) | st.integers(-(2**60), 2**60), max_size=30),
    st.lists(st.none() | st.text(max_size=5), max_size=30),
)
def test_whatever_a_table_holds_comes_back(tmp_path_factory, numbers, texts):
    n = min(len(numbers), len(texts))
    frame = pd.DataFrame(
        {
            "x": pd.Series(numbers[:n], dtype="object"),
            "y": pd.Series(texts[:n], dtype="object"),
        }
    )
    folder = tmp_path_factory.mktemp("files")
    found, constraints = statistics(frame), suggested_constraints(frame)
    path = write_statistics(found, folder / "statistics.json")
    # JSON has no NaN of its own; two that are none are not equal, but are written alike
    again = write_statistics(read_statistics(path), folder / "again.json")
    assert again.read_bytes() == path.read_bytes()
    assert read_constraints(write_constraints(constraints, folder / "c.json")) == constraints


# ---------------------------------------------------------------------------- others' files


REAL = {
    "version": 0.0,
    "dataset": {"item_count": 2333},
    "features": [
        {
            "name": "Churn",
            "inferred_type": "Integral",
            "numerical_statistics": {
                "common": {"num_present": 2333, "num_missing": 0},
                "mean": 0.139,
                "sum": 325.0,
                "std_dev": 0.346,
                "min": 0.0,
                "max": 1.0,
                "distribution": {
                    "kll": {
                        "buckets": [{"lower_bound": 0.0, "upper_bound": 1.0, "count": 2333.0}],
                        "sketch": {
                            "parameters": {"c": 0.64, "k": 2048.0},
                            "data": [[0.0, 1.0], [0.0, 0.0]],
                        },
                    }
                },
                "median": 0.0,
            },
        }
    ],
    "made_by": "somebody",
}


def test_keys_that_are_not_known_are_let_pass_and_kept_where_asked(tmp_path):
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(REAL))
    found = read_statistics(path)
    assert found.by_name["Churn"].sum == 325.0
    assert found.by_name["Churn"].sketch == ((0.0, 1.0), (0.0, 0.0))
    more = replace(found, item_count=2334)
    again = json.loads(
        write_statistics(more, tmp_path / "again.json", keeping=read_document(path)).read_text()
    )
    assert again == REAL | {"dataset": {"item_count": 2334}}
    jsonschema.validate(
        json.loads(write_statistics(more, tmp_path / "plain.json").read_text()), STATISTICS
    )


def test_what_is_known_and_was_taken_away_is_not_kept(tmp_path):
    found = suggested_constraints(table()[["carrier", "miles"]])
    path = write_constraints(found, tmp_path / "constraints.json")
    document = read_document(path)
    document["features"][0]["why"] = "Ana asked for it"
    carrier = replace(found.features[0], domains=None)
    fewer = replace(found, features=(carrier,))
    kept = json.loads(write_constraints(fewer, path, keeping=document).read_text())
    assert [each["name"] for each in kept["features"]] == ["carrier"]
    assert kept["features"][0]["why"] == "Ana asked for it"
    assert "string_constraints" not in kept["features"][0]


def test_an_older_and_shorter_constraints_file_is_read(tmp_path):
    path = tmp_path / "constraints.json"
    path.write_text(
        json.dumps(
            {
                "version": 0.0,
                "features": [{"name": "x", "inferred_type": "Unknown", "completeness": 1.0}],
                "monitoring_config": {
                    "datatype_check_threshold": 0.1,
                    "distribution_constraints": {"comparion_method": "Simple"},
                },
            }
        )
    )
    config = read_constraints(path).monitoring_config
    assert (config.comparison_method, config.datatype_check_threshold) == ("Simple", 0.1)
    assert config.domain_content_threshold == 1.0


def test_a_text_that_stands_for_a_number_that_is_none_is_read(tmp_path):
    real = copy.deepcopy(REAL)
    real["features"][0]["numerical_statistics"] |= {"mean": "NaN", "max": "Infinity"}
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(real))
    [feature] = read_statistics(path).features
    assert (feature.mean, feature.max) == (None, np.inf)


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (("version",), "zero", 'version is "zero", and must be a finite number'),
        (("dataset",), None, "dataset is null, and must be an object"),
        (("dataset", "item_count"), True, "dataset.item_count is true, and must be a whole number"),
        (
            ("dataset", "item_count"),
            "NaN",
            'dataset.item_count is "NaN", and must be a whole number',
        ),
        (("dataset", "item_count"), 1.5, "dataset.item_count is 1.5, and must be a whole number"),
        (("dataset", "item_count"), -1, "dataset.item_count is -1, and must be a whole number"),
        (("features",), {}, "features is {}, and must be a list"),
        (("features", 0, "name"), 7, "features[0].name is 7, and must be a text"),
        (
            ("features", 0, "inferred_type"),
            "Float",
            'features[0].inferred_type is "Float", and must be one of Integral, Fractional, String',
        ),
        (
            ("features", 0, "inferred_type"),
            "String",
            "features[0].string_statistics is missing, and the feature is String",
        ),
        (
            ("features", 0, "numerical_statistics", "common"),
            {"num_present": 1},
            "features[0].numerical_statistics.common.num_missing is missing",
        ),
        (
            ("features", 0, "numerical_statistics", "distribution", "kll", "sketch", "data"),
            [1.0],
            "features[0].numerical_statistics.distribution.kll.sketch.data[0] is 1.0, and must be",
        ),
    ],
)
def test_a_wrong_type_is_refused_by_name(tmp_path, at, value, message):
    document = copy.deepcopy(REAL)
    inner = document
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    path = tmp_path / "statistics.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UnreadableFile) as error:
        read_statistics(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_key_that_was_misspelt_and_a_setting_of_no_known_value_are_told(tmp_path):
    path = write_constraints(suggested_constraints(table()), tmp_path / "constraints.json")
    text = path.read_text()
    path.write_text(text.replace('"completeness"', '"completenes"', 1))
    with pytest.raises(UnreadableFile) as error:
        read_constraints(path)
    assert str(error.value) == (
        f"{path}: features[0].completeness is missing; did you mean 'completenes'?"
    )
    path.write_text(text.replace('"Robust"', '"Sturdy"'))
    with pytest.raises(UnreadableFile) as error:
        read_constraints(path)
    assert str(error.value) == (
        f"{path}: monitoring_config: comparison_method='Sturdy': one of Simple, Robust"
    )
    path.write_text(text.replace("0.1", "7"))
    with pytest.raises(UnreadableFile, match="comparison_threshold=7: a number in 0..1 is needed"):
        read_constraints(path)


@pytest.mark.parametrize("read", [read_statistics, read_constraints, read_violations])
def test_a_file_that_is_broken_is_told(tmp_path, read):
    path = tmp_path / "file.json"
    with pytest.raises(FileNotFoundError):
        read(path)
    path.write_text('{"version": 0, "features": [')
    with pytest.raises(UnreadableFile, match=r"file.json: is no JSON \(Expecting value"):
        read(path)
    path.write_bytes(b'{"version": "\xff"}')
    with pytest.raises(UnreadableFile, match="byte 13 is not of a text in UTF-8"):
        read(path)
    path.write_text("[]")
    with pytest.raises(UnreadableFile, match=r"it is \[\], and must be an object"):
        read(path)
