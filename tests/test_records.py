"""The table that every monitor returns, and the names that flow."""

import math

import pandas as pd
import pytest

from utils.records import (
    MEASUREMENT_COLUMNS,
    RESERVED_COLUMNS,
    AlertRule,
    Column,
    Schema,
    input_column,
    measurements,
)

ROW = {
    "monitor": "performance",
    "metric": "mae",
    "window_start": "2013-04-01T00:00Z",
    "window_end": "2013-04-08T00:00Z",
    "value": 11.9,
}


def test_the_columns_are_those_of_the_contract_in_order():
    assert ",".join(MEASUREMENT_COLUMNS) == (
        "monitor,metric,feature,group,window_start,window_end,value,low,high,"
        "threshold_low,threshold_high,alarm,n_reference,n_current,known_as_of"
    )
    assert measurements([ROW]).columns.tolist() == list(MEASUREMENT_COLUMNS)


def test_an_empty_table_has_the_same_types_as_a_full_one():
    empty, full = measurements([]), measurements([ROW])
    assert len(empty) == 0
    assert empty.dtypes.equals(full.dtypes)
    assert pd.concat([empty, full], ignore_index=True).dtypes.equals(full.dtypes)


def test_what_is_left_out_is_missing_and_no_alarm():
    row = measurements([ROW]).iloc[0]
    assert math.isnan(row["low"]) and math.isnan(row["threshold_high"])
    assert row["feature"] == "" and row["n_current"] == 0
    assert pd.isna(row["known_as_of"]) and not row["alarm"]


def test_times_are_kept_in_utc():
    row = measurements([ROW | {"window_start": "2013-04-01T00:00-03:00"}]).iloc[0]
    assert row["window_start"] == pd.Timestamp("2013-04-01T03:00Z")


def test_a_key_that_is_no_column_is_named():
    with pytest.raises(ValueError, match="rows: p_value is no column"):
        measurements([ROW | {"p_value": 0.01}])


@pytest.mark.parametrize("name", sorted(RESERVED_COLUMNS))
def test_a_feature_with_a_reserved_name_is_read_under_another(name):
    assert input_column(name) == f"input_{name}"
    assert input_column(input_column(name)) == f"input_{name}"


def test_a_schema_names_its_columns_in_order():
    schema = Schema(columns=(Column(name="b", kind="double"), Column(name="a", kind="string")))
    assert schema.names == ("b", "a")


# -------------------------------------------------------------------------------- alert rules

RULE = {"name": "error-rose", "metric": "mae", "high": 15.0}


def test_a_rule_has_bounds_or_a_budget_and_not_both():
    assert AlertRule(**RULE).persistence == 1
    assert AlertRule(name="any", metric="mae", false_alarms_per_year=4).high is None
    with pytest.raises(ValueError, match="bounds or a budget, and not both"):
        AlertRule(**RULE, false_alarms_per_year=4)
    with pytest.raises(ValueError, match="bounds or a budget, and not both"):
        AlertRule(name="neither", metric="mae")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Error rose"}, "name='Error rose': must be lower-case"),
        ({"metric": ""}, "metric='': must name a metric"),
        ({"low": 20.0}, "low=20.0: must be below high=15.0"),
        ({"persistence": 0}, "persistence=0: must be at least 1"),
        ({"minimum": 0}, "minimum=0: must be at least 1"),
        ({"severity": "loud"}, "severity='loud': must be one of warning, critical"),
        ({"action": "panic"}, "action='panic': must be one of investigate, retrain"),
    ],
)
def test_a_rule_names_the_field_that_cannot_be(wrong, said):
    with pytest.raises(ValueError, match=said):
        AlertRule(**RULE | wrong)
