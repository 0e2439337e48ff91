"""A row for the model ``mirror``, which takes every type, and bodies made of it."""

import base64
import json

ROW = {
    "a_boolean": True,
    "a_integer": 3,
    "a_long": 4,
    "a_float": 1.5,
    "a_double": 2.25,
    "a_string": "x",
    "a_binary": base64.b64encode(b"hi").decode(),
    "a_datetime": "2013-07-04T12:00:00",
    "maybe_double": 1.0,
    "maybe_string": "s",
    "a_list": [1.5, 2.5],
    "an_object": {"code": "c", "size": 1},
    "a_map": {"k": 2},
    "anything": {"deep": [1, "a"]},
}


def row(**changes):
    """Return the row with changes; a column that is ``...`` is left out."""
    return {name: value for name, value in {**ROW, **changes}.items() if value is not ...}


def records(*rows, **more):
    return {"dataframe_records": list(rows) or [row()], **more}


def split(*rows, **more):
    data = [list(each.values()) for each in rows]
    return {"dataframe_split": {"columns": list(ROW), "data": data, **more}}


def text(body):
    """Return a body as bytes, as strictly or not as ``json`` writes it."""
    return json.dumps(body).encode()


def spelled(old, new):
    """Return the body of one row in which one value is spelled otherwise, as no ``json`` would."""
    good = json.dumps(records())
    assert good.count(old) == 1, f"{old} must stand once in {good}"
    return good.replace(old, new).encode()


DOUBLE = '"a_double": 2.25'
LONG = '"a_long": 4'
STRING = '"a_string": "x"'
