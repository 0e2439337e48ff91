"""Values of every kind come back as they went in, or are refused by name, on both databases."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.builders import deployment, one_column, row
from utils.store import values
from utils.store.example import PREDICTIONS

LISBON_SUMMER = timezone(timedelta(hours=1))

GOOD = {
    "double": [0.0, -1.5, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, math.inf, -math.inf, None],
    "float": [0.5, None],
    "long": [0, -(2**63), 2**63 - 1, 2**53 + 1, None],
    "integer": [0, -(2**31), None],
    "boolean": [True, False, None],
    "string": ["", "UA", "coração ♥ 🛫", "'; DROP TABLE x; --", "\\N", "\t\n\r", "NULL", None],
    "binary": [b"", b"\x00\xff\\x", b"'", None],
    "json": [{"a": [1, {"b": None}]}, [], "text", 1.5, True, "\0", {"ключ": "é"}, None],
    "datetime": [
        datetime(2013, 4, 1, 12, 30, 0, 123456, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        None,
    ],
}
DTYPES = {
    "double": "float64",
    "float": "float64",
    "long": "Int64",
    "integer": "Int64",
    "boolean": "boolean",
    "string": "str",
    "binary": "object",
    "json": "object",
    "datetime": "datetime64[us, UTC]",
}


def as_python(column):
    return [None if values.is_missing(value) else value for value in column.tolist()]


@pytest.mark.parametrize("kind", GOOD)
def test_each_kind_comes_back_as_it_went_in_from_rows_and_from_a_frame(store, kind):
    good = GOOD[kind]
    store.add_deployment(deployment(2, name="kinds"), one_column(kind, output=kind))
    captured = [row(f"row-{at}", at)[:7] for at in range(len(good))]
    rows = [(*fields[:5], value, None, value) for fields, value in zip(captured, good, strict=True)]
    store.append("kinds", rows)
    frame = store.read("kinds")
    assert as_python(frame["x"]) == good
    assert as_python(frame["prediction"]) == good
    assert str(frame["x"].dtype) == str(frame["label"].dtype) == DTYPES[kind]
    assert as_python(store.find("kinds", ["row-0"])["x"]) == good[:1]

    captured = frame.drop(columns=["label", "label_known_at", "label_revision"])
    again = captured.assign(prediction_id=[f"frame-{at}" for at in range(len(good))])
    store.write_predictions("kinds", again)
    both = store.read("kinds")
    written = both[both["prediction_id"].str.startswith("frame")]
    assert as_python(written["x"]) == good
    assert written["x"].dtype == frame["x"].dtype


@pytest.mark.parametrize("kind", [kind for kind in GOOD])
def test_a_label_of_each_kind_comes_back_as_it_went_in(store, kind):
    good = GOOD[kind][:-1]
    store.add_deployment(deployment(2, name="kinds"), one_column("double", output=kind))
    ids = [f"id-{at}" for at in range(len(good))]
    store.append("kinds", [(*row(id)[:5], None, None, 1.0) for id in ids])
    labels = pd.DataFrame({"prediction_id": ids, "known_at": pd.Timestamp("2013-04-02T00Z")})
    labels["label"] = pd.Series(good, dtype="object")
    assert store.write_labels(labels)["new"] == len(good)
    assert store.labels("kinds")["label"].tolist() == good
    assert store.write_labels(labels)["repeated"] == len(good)


REFUSED = [
    ("double", "12.5", "'12.5' is not a number"),
    ("double", 10**400, "too large"),
    ("double", 1j, "is not a number"),
    ("long", 2**63, "is outside the 64-bit integers"),
    ("long", -(2**63) - 1, "is outside the 64-bit integers"),
    ("long", 1.5, "1.5 is not an integer"),
    ("long", math.inf, "inf is not an integer"),
    ("long", "7", "'7' is not an integer"),
    ("boolean", 1, "1 is not a boolean"),
    ("boolean", "true", "'true' is not a boolean"),
    ("string", 7, "7 is not a string"),
    ("string", b"UA", "is not a string"),
    ("string", "U\0A", "holds a NUL character, which no store can keep"),
    ("string", "\ud800", "holds half a surrogate pair"),
    ("datetime", datetime(2013, 4, 1), "has no time zone; give an aware datetime"),
    ("datetime", np.datetime64("2013-04-01"), "is not a datetime"),
    ("datetime", "2013-04-01", "is not a datetime"),
    ("binary", "text", "is not bytes"),
    ("json", {"a": math.inf}, "is not JSON"),
    ("json", {"a": {1, 2}}, "is not JSON"),
    ("json", datetime(2013, 4, 1, tzinfo=UTC), "is not JSON"),
]


@pytest.mark.parametrize(("kind", "value", "said"), REFUSED)
def test_what_a_kind_cannot_hold_is_refused_by_column_and_row(store, kind, value, said):
    store.add_deployment(deployment(2, name="kinds"), one_column(kind))
    fields = row("a")[:7]
    good = GOOD[kind][0]
    with pytest.raises(ValueError, match=f"x: row 1: .*{said}"):
        store.append("kinds", [(*fields, good), ("b", *fields[1:], value)])
    frame = PREDICTIONS.drop(columns=["distance_miles", "carrier"])
    column = pd.Series([None, None], dtype="object")
    column[0], column[1] = good, value
    with pytest.raises(ValueError, match=f"x: row 1: .*{said}"):
        store.write_predictions("kinds", frame.assign(x=column))
    assert store.read("kinds").empty


def test_json_too_deep_for_python_is_refused():
    deep = current = []
    for _ in range(100_000):
        current.append([])
        current = current[0]
    with pytest.raises(ValueError, match="x: .* is not JSON"):
        values.encode_one("x", "json", deep)
    while deep:  # by hand: dropping so deep a list at once may overflow the C stack
        deep = deep.pop()


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, np.float32("nan")])
def test_every_sign_of_a_missing_value_is_missing(store, missing):
    store.append("flights", [row("a", carrier=missing, distance_miles=missing)])
    assert store.read("flights")[["carrier", "distance_miles"]].isna().all(axis=None)


def test_datetimes_in_other_zones_are_the_same_moment(store):
    store.add_deployment(deployment(2, name="kinds"), one_column("datetime"))
    there = datetime(2013, 7, 1, 13, tzinfo=LISBON_SUMMER)
    store.append("kinds", [(*row("a")[:7], there)])
    frame = PREDICTIONS.drop(columns=["distance_miles", "carrier"]).iloc[:1]
    column = pd.Series([pd.Timestamp(there)]).dt.as_unit("ns")
    store.write_predictions("kinds", frame.assign(x=column, prediction_id="b"))
    assert store.read("kinds")["x"].tolist() == [datetime(2013, 7, 1, 12, tzinfo=UTC)] * 2


def test_a_nan_inside_json_is_null():
    assert values.to_json([math.nan, {"a": np.float64("nan")}, np.arange(2)]) == (
        '[null, {"a": null}, [0, 1]]'
    )


SERIES = {
    "double": [
        pd.Series([1.5, np.nan]),
        pd.Series([1.5, 2.5], dtype="float32"),
        pd.Series([1, 2], dtype="uint8"),
        pd.Series([1.5, pd.NA], dtype="Float64"),
        pd.Series([True, False]),
        pd.Series([1, 2.5, None], dtype="object"),
    ],
    "long": [
        pd.Series([1, 2], dtype="int32"),
        pd.Series([1, 2], dtype="uint64"),
        pd.Series([1.0, np.nan]),
        pd.Series([1, pd.NA], dtype="Int64"),
        pd.Series([2**53 + 1, None], dtype="object"),
    ],
    "boolean": [
        pd.Series([True, False]),
        pd.Series([True, pd.NA], dtype="boolean"),
        pd.Series([True, None], dtype="object"),
    ],
    "string": [
        pd.Series(["a", None]),
        pd.Series(["a", "b", None], dtype="category"),
        pd.Series(["a", None], dtype="object"),
        pd.Series(["é", pd.NA], dtype="string"),
        pd.Series([None, None], dtype="str"),
        pd.Series([], dtype="str"),
    ],
    "id": [pd.Series(["a", "b"]), pd.Series(["a"], dtype="object")],
    "datetime": [
        pd.Series(pd.to_datetime(["2013-04-01T12:00Z", None])),
        pd.Series(pd.to_datetime(["2013-04-01T12:00:00.000000999Z"])),
        pd.Series(pd.to_datetime(["1960-04-01T12:00:00.000000999Z"])),
        pd.Series(pd.to_datetime(["2013-04-01T12:00-03:00"])),
    ],
    "moment": [pd.Series([1, 2]), pd.Series(pd.to_datetime(["2013-04-01T12:00Z"]))],
}


@pytest.mark.parametrize(
    ("kind", "series"), [(kind, series) for kind, many in SERIES.items() for series in many]
)
def test_a_column_is_encoded_as_its_values_are_one_by_one(kind, series):
    column = values.encode_column("x", kind, series)
    one_by_one = values.encode("x", kind, series.to_list())
    assert column == one_by_one
    assert [type(value) for value in column] == [type(value) for value in one_by_one]


def test_a_decimal_is_refused_rather_than_rounded():
    with pytest.raises(ValueError, match="x: .* is not a number"):
        values.encode_one("x", "double", Decimal("0.1"))


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
ROWS = st.lists(
    st.tuples(st.floats(allow_nan=False) | st.none(), TEXTS | st.none()), min_size=1, max_size=20
)


@pytest.fixture
def numbered(store):
    """Return a function that stores rows under ids of their own and reads them back."""
    batches = iter(range(10_000))

    def through(rows):
        batch = next(batches)
        ids = [f"{batch}-{at}" for at in range(len(rows))]
        store.append(
            "flights",
            [
                row(id, distance_miles=number, carrier=text)
                for id, (number, text) in zip(ids, rows, strict=True)
            ],
        )
        found = store.find("flights", ids)
        return list(
            zip(as_python(found["distance_miles"]), as_python(found["carrier"]), strict=True)
        )

    return through


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS)
def test_any_number_and_any_text_comes_back(numbered, rows):
    assert numbered(rows) == rows
