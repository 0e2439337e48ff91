"""Which columns came, went, or are something else."""

import numpy as np
import pandas as pd
import pytest

from tests.monitors.columns import COLUMNS
from utils.monitors.schema import CHANGE_COLUMNS, CHANGES, schema_changes

START = pd.Timestamp("2024-01-01", tz="UTC")


def frame(n=6, **columns):
    made = {
        "event_time": START + pd.Timedelta("1h") * np.arange(n),
        "age": np.arange(n),
        "income_brl": np.arange(n) + 0.5,
        "purpose": ["home", "school"] * (n // 2),
    }
    return pd.DataFrame(made | columns)


def found(reference, current, **settings):
    table = schema_changes(reference, current, **settings)
    return list(table[["feature", "change"]].itertuples(index=False, name=None))


def test_a_frame_like_the_reference_has_no_changes():
    table = schema_changes(frame(), frame(4), time_column="event_time")
    assert table.empty
    assert tuple(table.columns) == CHANGE_COLUMNS
    assert table["since"].dtype == "datetime64[us, UTC]"


def test_a_renamed_column_is_missing_and_another_is_new_and_they_are_put_side_by_side():
    table = schema_changes(frame(), frame().rename(columns={"income_brl": "income_real"}))
    assert table.iloc[:, :4].to_numpy().tolist() == [
        ["income_brl", "missing", "number (float64)", "income_real"],
        ["income_real", "new", "", "number (float64)"],
    ]
    assert schema_changes(frame(), frame().drop(columns="age"))["observed"].tolist() == [""]


def test_a_new_column_is_named_with_the_moment_of_its_first_value():
    late = frame(channel=[None, None, None, "app", None, "web"])
    (row,) = schema_changes(frame(), late.sample(frac=1, random_state=0), time_column="event_time")[
        ["feature", "change", "since"]
    ].to_numpy()
    assert row.tolist() == ["channel", "new", START + pd.Timedelta("3h")]
    assert schema_changes(frame(), late)["since"].isna().all()


def test_values_of_another_kind_are_a_change_of_type_from_when_they_came():
    mixed = frame(age=pd.Series([0, 1, "two", 3, 4.5, None], dtype="object"))
    (row,) = schema_changes(frame(), mixed, time_column="event_time").to_numpy()
    assert row.tolist() == [
        "age",
        "type",
        "whole number (int64)",
        "mixed (object)",
        START + pd.Timedelta("2h"),
    ]


def test_what_holds_the_values_does_not_matter_and_a_number_may_happen_to_be_whole():
    assert found(frame(), frame(age=np.arange(6.0), income_brl=np.arange(6))) == []
    assert found(frame(), frame(purpose=pd.Categorical(["home", "school"] * 3))) == []
    assert found(frame(), frame(age=np.arange(6) + 0.5)) == [("age", "type")]


def test_a_column_that_lost_all_its_values_is_empty():
    assert found(frame(), frame(age=None)) == [("age", "empty")]
    assert found(frame(age=None), frame(age=None)) == []
    assert found(frame(age=None), frame()) == []


def test_another_order_of_the_columns_is_told_once():
    turned = frame()[["event_time", "purpose", "age", "income_brl"]]
    (row,) = schema_changes(frame(), turned, time_column="event_time").to_numpy()
    assert row[:4].tolist() == ["", "order", "age, income_brl, purpose", "purpose, age, income_brl"]
    assert found(frame(), turned.drop(columns="age")) == [("age", "missing"), ("", "order")]


def test_only_the_features_asked_for_are_compared():
    current = frame(age="x").drop(columns="purpose").assign(channel="app")
    assert found(frame(), current, features=["age"]) == [("age", "type"), ("channel", "new")]
    with pytest.raises(ValueError, match="features='agee' is no column of the frame; did you mean"):
        schema_changes(frame(), current, features=["agee"])


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_is_like_itself_and_each_change_is_a_known_one(name):
    column = COLUMNS[name][0].to_frame("x")
    assert schema_changes(column, column).empty
    for other, _ in COLUMNS.values():
        assert set(schema_changes(column, other.to_frame("x"))["change"]) <= set(CHANGES)


def test_a_current_frame_without_rows_still_has_its_columns():
    assert found(frame(), frame().iloc[:0].drop(columns="age")) == [("age", "missing")]
