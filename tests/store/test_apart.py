"""Predictions of several deployments at once: all or none, and each id under one name alone."""

from dataclasses import replace

import pandas as pd
import pytest

from utils.records import DuplicatePrediction, UnknownDeployment, UnknownPrediction
from utils.store import open_store
from utils.store.example import DEPLOYMENT, NOON, SCHEMA

NAMES = ("flights", "flights-canary")


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        for number, name in enumerate(NAMES):
            crn = f"crn:deployment:{number}"
            opened.add_deployment(replace(DEPLOYMENT, name=name, deployment_crn=crn), SCHEMA)
        yield opened


def row(id):
    return (id, NOON, "1", "tower", 1.8, 7.5, None, 733.0, "AA")


def append(store, *, flights=(), canary=()):
    parts = {"flights": [row(id) for id in flights], "flights-canary": [row(id) for id in canary]}
    store.append_apart({name: rows for name, rows in parts.items() if rows}, names=NAMES)


def counts(store):
    return [store.count(name) for name in NAMES]


def test_each_row_is_under_its_own_name(store):
    append(store, flights=["a", "b"], canary=["c"])
    assert store.read("flights")["prediction_id"].tolist() == ["a", "b"]
    assert store.read("flights-canary")["prediction_id"].tolist() == ["c"]


@pytest.mark.parametrize(
    ("flights", "canary", "message"),
    [
        (["x"], ["a", "c"], "prediction_id of 'flights', stored already: 'a'"),
        (["b", "x"], ["y"], "prediction_id of 'flights-canary', stored already: 'b'"),
        (["a"], ["y"], "'flights' or 'flights-canary', stored already: 'a'"),
        (["x"], ["x"], "stored already: 'x'"),
        (["x", "x"], ["y"], "more than once in these rows: 'x'"),
    ],
)
def test_an_id_that_any_of_the_names_has_is_refused_and_nothing_is_stored(
    store, flights, canary, message
):
    append(store, flights=["a"], canary=["b"])
    with pytest.raises(DuplicatePrediction, match=message):
        append(store, flights=flights, canary=canary)
    assert counts(store) == [1, 1]


def test_a_row_that_cannot_be_stored_keeps_the_others_out(store):
    broken = (*row("y")[:5], "not a number", *row("y")[6:])
    with pytest.raises(ValueError, match="prediction"):
        store.append_apart({"flights": [row("x")], "flights-canary": [broken]}, names=NAMES)
    assert counts(store) == [0, 0]


def test_a_name_that_nobody_deployed_is_said(store):
    with pytest.raises(UnknownDeployment, match="no deployment is called 'nobody'"):
        store.append_apart({"flights": [row("x")]}, names=["nobody"])
    assert counts(store) == [0, 0]


def test_labels_of_several_names_are_stored_all_or_none(store):
    append(store, flights=["a"], canary=["b"])

    def write(*ids, to=NAMES):
        known = pd.to_datetime(["2013-04-02T12:00Z"] * len(ids))
        frame = pd.DataFrame({"prediction_id": ids, "label": 3.0, "known_at": known})
        return store.write_labels(frame, deployment=to)

    with pytest.raises(UnknownPrediction, match="no prediction has the id 'c'"):
        write("a", "b", "c")
    with pytest.raises(UnknownPrediction, match="no prediction has the id 'b'"):
        write("a", "b", to=["flights"])
    assert all(store.labels(name).empty for name in NAMES)
    assert write("a", "b") == {"new": 2, "revised": 0, "repeated": 0}
    assert write("b", "a", to=NAMES[::-1]) == {"new": 0, "revised": 0, "repeated": 2}
