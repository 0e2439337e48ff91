"""Bodies read into columns: what each form means, and what a CSV's texts stand for."""

import time
from datetime import datetime

import pytest

from tests.serving.bodies import ROW
from utils.serving import models
from utils.serving.contract import Refused
from utils.serving.parsing import parse_json, rows_of_csv, rows_of_json


@pytest.fixture(scope="module")
def contract(logged):
    """Return a function that gives the contract of a model of the tests."""
    return lambda name: models.load(logged.uri(name), tracking_uri=logged.tracking_uri).contract


GOOD_TEXTS = {
    "a_boolean": ("TRUE", True),
    "a_integer": ("3.0", 3),
    "a_long": ("9223372036854775807", 2**63 - 1),
    "a_float": ("1.5", 1.5),
    "a_double": ("-1e3", -1000.0),
    "a_string": ('"a ""b"", c"', 'a "b", c'),
    "a_binary": ("aGk=", b"hi"),
    "a_datetime": ("2013-07-04 12:00", datetime(2013, 7, 4, 12)),
    "a_list": ('"[1, 2.5]"', [1.0, 2.5]),
    "an_object": ('"{""code"": ""c""}"', {"code": "c"}),
    "a_map": ("{}", {}),
}


def csv_of(**changes):
    texts = {name: text for name, (text, _) in GOOD_TEXTS.items()} | changes
    return f"{','.join(texts)}\n{','.join(texts.values())}\n".encode()


def test_a_text_of_a_csv_is_read_as_its_columns_kind(contract):
    rows = rows_of_csv(csv_of(), contract("mirror"))
    assert {name: values[0] for name, values in rows.columns.items()} == {
        name: value for name, (_, value) in GOOD_TEXTS.items()
    }


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "null", "None"])
def test_missing_values_of_a_csv(contract, missing):
    rows = rows_of_csv(csv_of(a_double=missing, a_string=missing), contract("mirror"))
    assert (rows.columns["a_double"], rows.columns["a_string"]) == ([None], [None])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a_double": "1_000"}, "column 'a_double', row 0: must be a number, not the text '1_000'"),
        ({"a_double": "٣"}, "column 'a_double', row 0: must be a number"),
        ({"a_double": "inf"}, "column 'a_double', row 0: must be a finite number"),
        ({"a_long": "1.5"}, "column 'a_long', row 0: must be a whole number"),
        ({"a_long": ""}, "column 'a_long', row 0: must be a number, not null"),
        ({"a_boolean": "1"}, "column 'a_boolean', row 0: must be true or false"),
        ({"a_list": "[1"}, "column 'a_list', row 0: must be a list, not the text"),
        ({"a_list": "[" * 100 + "]" * 100}, "nested more than 64 deep"),
        ({"a_list": "[" * 90_000}, "the body is "),
        ({"a_map": '"{""k"": 1, ""k"": 2}"'}, "the key 'k' stands twice"),
        ({"a_string": '"a'}, "the body is not CSV"),
    ],
)
def test_texts_of_a_csv_that_are_refused(contract, changes, message):
    with pytest.raises(Refused) as refused:
        rows_of_csv(csv_of(**changes), contract("mirror"))
    assert message in refused.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": {"departure_delay_min": [1, 2], "distance_miles": [3, 4], "hour": [5, 6]}},
        {"instances": {"departure_delay_min": [1, 2], "distance_miles": [3, 4], "hour": [5, 6]}},
        {
            "inputs": [
                {"departure_delay_min": 1, "distance_miles": 3, "hour": 5},
                {"hour": 6, "distance_miles": 4, "departure_delay_min": 2},
            ]
        },
        {
            "dataframe_split": {
                "columns": ["hour", "departure_delay_min", "distance_miles"],
                "data": [[5, 1, 3], [6, 2, 4]],
                "index": ["a", "b"],
            }
        },
    ],
)
def test_all_forms_say_the_same(contract, body):
    rows, params = rows_of_json(body, contract("late"))
    assert rows.count == 2
    assert rows.columns == {
        "departure_delay_min": [1.0, 2.0],
        "distance_miles": [3.0, 4.0],
        "hour": [5.0, 6.0],
    }
    assert params == {}


def test_a_matrix_may_be_given_flat_where_it_has_one_column(contract):
    rows, _ = rows_of_json({"inputs": [{"x": 1}, {"x": 2}]}, contract("fussy"))
    flat, _ = rows_of_json({"inputs": [1, 2]}, contract("fussy"))
    assert rows == flat


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": {' + b", ".join(b'"%d": 1' % at for at in range(300_000)) + b', "7": 1}}',
        b'{"dataframe_split": {"columns": ['
        + b", ".join(b'"%d"' % at for at in range(300_000))
        + b', "7"], "data": []}}',
        b'{"dataframe_records": [' + b"{}, " * 300_000 + b'{"a": 1}]}',
        b'{"inputs": ' + b"[" * 1_000_000,
    ],
    ids=["keys", "columns", "records", "brackets"],
)
def test_a_hostile_body_costs_no_more_than_its_length(contract, body):
    started = time.process_time()
    with pytest.raises(Refused):
        rows_of_json(parse_json(body), contract("mirror"))
    assert time.process_time() - started < 20, "quadratic work would take hours"


def test_the_row_of_the_tests_is_taken(contract):
    assert rows_of_json({"dataframe_records": [ROW]}, contract("mirror"))[0].count == 1
