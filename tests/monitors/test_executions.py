"""A check by window: half-open windows, all of them, and what was found in each by name."""

import numpy as np
import pandas as pd
import pytest

from utils.monitors.constraints import constraint_violations, suggested_constraints
from utils.monitors.contract import DataContract, Field, violations
from utils.monitors.executions import EXECUTION_COLUMNS, executions

MONDAY = pd.Timestamp("2024-01-01", tz="UTC")


def rows(*days, **columns):
    times = [MONDAY + pd.Timedelta(day, "D") for day in days]
    return pd.DataFrame({"event_time": times, **columns})


def test_each_row_is_in_the_one_window_that_begins_at_or_before_it():
    seen = []
    executions(rows(0, 6.99, 7, 13), lambda week: seen.append(len(week)) or [])
    assert seen == [2, 2]


def test_a_window_without_rows_is_there_and_not_checked():
    table = executions(rows(0, 14), lambda week: violations(week, CONTRACT))
    assert table["n_rows"].to_list() == [1, 0, 1]
    assert table["alarm"].to_list() == [True, False, True]
    assert list(table) == list(EXECUTION_COLUMNS)


CONTRACT = DataContract(
    name="waits",
    version="1.0.0",
    fields=[Field(name="wait_min", kind="number", maximum=10)],
    extra_allowed=True,
)


def test_what_a_contract_finds_is_named_by_column_and_check():
    table = executions(rows(0, 7, wait_min=[5.0, 11.0]), lambda week: violations(week, CONTRACT))
    assert table["found"].to_list() == ["", "wait_min range"]
    assert table["n_violations"].to_list() == [0, 1]


def test_what_constraints_find_is_named_and_sorted():
    usual = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    constraints = suggested_constraints(usual)

    def check(week):
        return constraint_violations(week.drop(columns="event_time"), constraints)

    table = executions(rows(0, b=["z"], a=[1.5]), check)
    assert table["found"].to_list() == ["a data_type_check, b categorical_values_check"]


def test_bounds_set_the_windows_and_the_frame_stays_as_it_was():
    frame = rows(3, 4, x=[1, 2])
    before = frame.copy()
    end = MONDAY + pd.Timedelta(4, "D")
    table = executions(frame, lambda day: [], window="1D", start=MONDAY, end=end)
    assert table["n_rows"].to_list() == [0, 0, 0, 1]
    pd.testing.assert_frame_equal(frame, before)


def test_no_rows_are_no_windows_and_a_time_that_is_none_is_named():
    assert executions(rows(0).head(0), lambda week: []).empty
    with pytest.raises(ValueError, match="time_column='when' is no column"):
        executions(rows(0), lambda week: [], time_column="when")
    with pytest.raises(ValueError, match="time_column='event_time' holds .*, not times"):
        executions(pd.DataFrame({"event_time": np.zeros(1)}), lambda week: [])
