"""A row as CSV or JSON comes back as it went in, whatever is in it."""

import base64
import csv
import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from utils.exporters._payloads import (
    csv_fields,
    csv_row,
    from_json,
    from_text,
    json_of,
    payload,
    text_of,
    values_of,
)

TEXTS = st.none() | st.text(max_size=12) | st.text(alphabet='",\r\n\t a', max_size=8)
LONGS = st.integers(-(2**63), 2**63 - 1)
DOUBLES = st.floats(allow_nan=False)


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXTS, min_size=1, max_size=6))
@example([""])
@example([None])
@example([None, ""])
@example(["a,b", 'say "hi"', "two\r\nlines", " padded ", "\u2028", "ação"])
def test_whatever_texts_a_record_has_come_back_and_empty_is_not_missing(fields):
    assert csv_fields(csv_row(fields)) == fields
    assert csv_fields(csv_row(fields) + "\n") == fields
    assert csv_fields(csv_row(fields) + "\r\n") == fields


@settings(deadline=None, max_examples=200)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_other_readers_of_csv_read_the_same_texts(fields):
    [read] = list(csv.reader(io.StringIO(csv_row(fields), newline=""))) or [[""]]
    assert read == ["" if text is None else text for text in fields]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,"b', "the quote at character 2 is not closed"),
        ('"a"b', "character 3 follows a closed quote, and is no comma"),
        ("1,2\n3,4", "it holds several records; an event is one prediction"),
        ("1\n\n", "it holds several records; an event is one prediction"),
    ],
)
def test_a_text_that_is_no_record_is_refused(text, message):
    with pytest.raises(ValueError) as error:
        csv_fields(text)
    assert str(error.value) == message


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(["CSV", "JSON", "BASE64"]),
    DOUBLES | st.none(),
    LONGS | st.none(),
    st.booleans() | st.none(),
    st.text(max_size=10) | st.none(),
    st.binary(max_size=6) | st.none(),
)
def test_a_row_of_every_kind_comes_back(encoding, double, long, boolean, string, binary):
    kinds = {
        "d": "double",
        "i": "long",
        "b": "boolean",
        "s": "string",
        "x": "binary",
    }
    row = {"d": double, "i": long, "b": boolean, "s": string, "x": binary}
    content_type = {"JSON": "application/json"}.get(encoding, "text/csv; charset=utf-8")
    assert values_of(payload(row, encoding), encoding, content_type, kinds=kinds) == [*row.values()]


@pytest.mark.parametrize("encoding", ["CSV", "JSON"])
def test_moments_and_json_come_back_as_the_store_takes_them(encoding):
    moment = pd.Timestamp("2013-04-01T14:30:00.123456+02:00")
    row = {"at": moment, "tags": {"a": [1, None, "x,y"]}}
    kinds = {"at": "datetime", "tags": "json"}
    at, tags = values_of(
        payload(row, encoding), encoding, f"application/{encoding.lower()}", kinds=kinds
    )
    assert at == moment.tz_convert("UTC").as_unit("us").value // 1000
    assert json.loads(tags) == {"a": [1, None, "x,y"]}


def test_values_of_numpy_and_pandas_are_written_as_pythons_own():
    values = [np.float64(0.1), np.int64(3), np.bool_(True), np.str_("a"), pd.NA, pd.NaT, np.nan]
    assert [text_of(value) for value in values] == ["0.1", "3", "true", "a", None, None, None]
    assert json.dumps(json_of(np.float32(0.5))) == "0.5"
    assert text_of(np.array([1.5, 2.0])) == "[1.5, 2.0]"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("three", "double"),
        ("1_000", "double"),
        ("1_000", "long"),
        ("3.5", "long"),
        ("9223372036854775808", "long"),
        ("inf", "long"),
        ("nan", "long"),
        ("yes", "boolean"),
        ("2013-04-01T12:00:00", "datetime"),
        ("soon", "datetime"),
        ("not base64!", "binary"),
        ("{", "json"),
    ],
)
def test_a_text_of_another_kind_is_refused_with_it(text, kind):
    with pytest.raises(ValueError, match=f"^{text!r} is no {kind}$".replace("(", r"\(")):
        from_text(text, kind)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("3", "double"),
        (True, "double"),
        (True, "long"),
        (3.5, "long"),
        (2**63, "integer"),
        (1, "boolean"),
        ("true", "boolean"),
        (3, "string"),
        (3, "datetime"),
        ([1], "double"),
        ({}, "string"),
    ],
)
def test_a_json_value_of_another_type_is_refused(value, kind):
    with pytest.raises(ValueError, match=f"is no {kind}$"):
        from_json(value, kind)


def test_what_python_writes_for_nan_in_json_is_missing_and_infinity_a_number():
    kinds = {"x": "double", "y": "double"}
    assert values_of('{"x": NaN, "y": -Infinity}', "JSON", "application/json", kinds=kinds) == [
        None,
        -math.inf,
    ]


def test_a_json_event_may_leave_out_a_column_but_not_bring_another():
    kinds = {"x": "double", "y": "string"}
    assert values_of('{"y": "a"}', "JSON", "application/json", kinds=kinds) == [None, "a"]
    with pytest.raises(ValueError, match="^column 'z' is none of x, y$"):
        values_of('{"z": 1}', "JSON", "application/json", kinds=kinds)


@pytest.mark.parametrize(
    ("data", "encoding", "content_type", "message"),
    [
        ("1", "PARQUET", "x", "its encoding is 'PARQUET', and must be CSV, JSON or BASE64"),
        ("1,2,3", "CSV", "text/csv", "it has 3 fields, and must have 2: x, y"),
        ("a,b", "CSV", "text/csv", "column 'x': 'a' is no double"),
        ("[1, 2]", "JSON", "application/json", "its data must be one object"),
        ("{", "JSON", "application/json", "its data must be JSON"),
        ("AAEC", "BASE64", "application/x-npy", "'application/x-npy' in base64 has no columns"),
        ("/w==", "BASE64", "text/csv", "its data is no text in base64"),
        ("?", "BASE64", "text/csv", "its data is no text in base64"),
    ],
)
def test_data_that_is_not_of_its_form_is_refused_by_name(data, encoding, content_type, message):
    with pytest.raises(ValueError) as error:
        values_of(data, encoding, content_type, kinds={"x": "double", "y": "string"})
    assert str(error.value).startswith(message)


def test_base64_of_json_is_read_by_its_content_type():
    data = base64.b64encode(b'{"x": 1.5}').decode()
    assert values_of(data, "BASE64", "application/json", kinds={"x": "double"}) == [1.5]


def test_a_value_without_a_form_is_refused():
    with pytest.raises(ValueError, match="has no form in JSON or CSV"):
        json_of(object())
    with pytest.raises(ValueError, match="has no time zone"):
        json_of(pd.Timestamp("2013-04-01"))
