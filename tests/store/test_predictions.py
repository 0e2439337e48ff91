"""Predictions go in once and come out as they were."""

from datetime import UTC, datetime, timedelta

import pytest

from utils.records import (
    Column,
    Deployment,
    DuplicatePrediction,
    Schema,
)
from utils.store import open_store

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)


def deployment(name="flights", crn="crn:1", **changes):
    fields = {
        "name": name,
        "model_name": "delay",
        "model_version": "1",
        "model_uri": "models:/delay/1",
        "model_crn": "crn:model",
        "build_crn": "crn:build",
        "deployment_crn": crn,
        "created_at": NOON,
    }
    return Deployment(**(fields | changes))


SCHEMA = Schema(
    columns=(Column(name="distance", kind="double"), Column(name="carrier", kind="string"))
)


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        opened.add_deployment(deployment(), SCHEMA)
        yield opened


def row(id, hours=0, **changes):
    fields = {
        "prediction_id": id,
        "event_time": NOON + timedelta(hours=hours),
        "model_version": "1",
        "client": "tower",
        "latency_ms": 1.5,
        "prediction": 12.5,
        "score": None,
        "distance": 200.0,
        "carrier": "UA",
    }
    return tuple((fields | changes).values())


def test_rows_appended_are_read_back_as_they_were(store):
    store.append("flights", [row("a"), row("b", hours=1, carrier=None)])
    frame = store.read("flights")
    assert frame["prediction_id"].tolist() == ["a", "b"]
    assert frame["event_time"].tolist() == [NOON, NOON + timedelta(hours=1)]
    assert frame["carrier"].isna().tolist() == [False, True]
    assert frame["label"].isna().all()


def test_a_repeated_id_is_refused_by_name_and_nothing_of_its_batch_stays(store):
    store.append("flights", [row("a")])
    with pytest.raises(DuplicatePrediction, match="stored already: 'a'"):
        store.append("flights", [row("b"), row("a")])
    with pytest.raises(DuplicatePrediction, match="more than once in these rows: 'c'"):
        store.append("flights", [row("c"), row("c")])
    assert store.read("flights")["prediction_id"].tolist() == ["a"]
