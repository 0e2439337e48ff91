"""What is tracked is appended, merged on reading, and found by CRN, window and prediction."""

import math
from datetime import datetime

import pytest

from tests.store.builders import deployment, hours, row
from utils.records import UnknownDeployment, UnknownPrediction
from utils.store.example import NOON, SCHEMA


@pytest.fixture
def store(store):
    store.append("flights", [row("a", 0), row("b", 1)])
    other = deployment(2, name="other", build_crn="crn:build:2", model_crn="crn:model:2")
    store.add_deployment(other, SCHEMA)
    store.append("other", [row("x", 2)])
    return store


def tracked(store, **chosen):
    return [(one["prediction_id"], one["metrics"]) for one in store.metrics(**chosen)]


def test_a_prediction_has_its_crns_its_time_and_its_metrics(store):
    store.track("a", {"explained": True, "shap": {"carrier": [0.5, None]}})
    assert store.metrics(prediction_id="a") == [
        {
            "deployment_crn": "crn:deployment:1",
            "build_crn": "crn:build",
            "model_crn": "crn:model",
            "event_time": NOON,
            "start": NOON,
            "end": NOON,
            "prediction_id": "a",
            "metrics": {"explained": True, "shap": {"carrier": [0.5, None]}},
        }
    ]


def test_metrics_tracked_later_are_merged_over_the_earlier_by_the_time_they_were_known(store):
    store.track("a", {"final": 2, "late": "yes"}, known_at=hours(9))
    store.track("a", {"final": 1, "early": "yes"}, known_at=hours(5))
    assert tracked(store, prediction_id="a") == [("a", {"final": 2, "early": "yes", "late": "yes"})]


def test_a_prediction_of_which_nothing_was_tracked_has_empty_metrics(store):
    store.track("b", {"seen": 1})
    assert tracked(store) == [("a", {}), ("b", {"seen": 1}), ("x", {})]


def test_a_crn_chooses_its_deployments(store):
    assert tracked(store, deployment_crn="crn:deployment:2") == [("x", {})]
    assert tracked(store, build_crn="crn:build") == [("a", {}), ("b", {})]
    assert tracked(store, model_crn="crn:model:2", build_crn="crn:build:2") == [("x", {})]
    with pytest.raises(UnknownDeployment, match="has model_crn='crn:no'"):
        store.metrics(model_crn="crn:no")


def test_redeployments_of_one_name_are_told_apart(store):
    store.add_deployment(deployment(3), SCHEMA)
    store.append("flights", [row("c", 3)])
    assert tracked(store, deployment_crn="crn:deployment:1") == [("a", {}), ("b", {})]
    assert tracked(store, deployment_crn="crn:deployment:3") == [("c", {})]


def test_a_window_of_metrics_is_half_open(store):
    store.track_aggregate("crn:deployment:1", {"mae": 1}, hours(0), hours(5))
    store.track_aggregate("crn:deployment:1", {"mae": 2}, hours(2), hours(3))
    assert tracked(store, start=hours(1), end=hours(2)) == [("b", {})]
    assert tracked(store, end=hours(1)) == [("a", {}), ("", {"mae": 1})]
    assert tracked(store, start=hours(2)) == [("x", {}), ("", {"mae": 2})]
    with pytest.raises(ValueError, match="start: .* has no time zone"):
        store.metrics(start=datetime(2013, 4, 1))


def test_an_aggregate_has_a_window_and_no_prediction(store):
    store.track_aggregate("crn:deployment:2", {"mae": 13.6, "by": {"JFK": 1}}, hours(0), hours(5))
    [aggregate] = [one for one in store.metrics() if not one["prediction_id"]]
    assert aggregate["deployment_crn"] == "crn:deployment:2"
    assert (aggregate["event_time"], aggregate["start"], aggregate["end"]) == (
        None,
        hours(0),
        hours(5),
    )
    assert aggregate["metrics"] == {"mae": 13.6, "by": {"JFK": 1}}


def test_a_window_must_not_end_before_it_starts(store):
    with pytest.raises(ValueError, match="end=.*: is before start="):
        store.track_aggregate("crn:deployment:1", {}, hours(5), hours(0))
    with pytest.raises(ValueError, match="start: is missing"):
        store.track_aggregate("crn:deployment:1", {}, None, hours(0))


def test_an_unknown_prediction_or_deployment_is_refused(store):
    with pytest.raises(UnknownPrediction, match="'ghost'"):
        store.track("ghost", {"a": 1})
    with pytest.raises(UnknownDeployment, match="'crn:deployment:"):
        store.track_aggregate("crn:deployment:9", {}, hours(0), hours(1))


@pytest.mark.parametrize("bad", [{"a": math.inf}, {"a": object()}, {(1, 2): 3}])
def test_metrics_that_are_no_json_are_refused(store, bad):
    with pytest.raises(ValueError, match="metrics: .* is not JSON"):
        store.track("a", bad)
    assert tracked(store, prediction_id="a") == [("a", {})]


def test_an_id_that_nobody_has_gives_no_metrics(store):
    assert store.metrics(prediction_id="ghost") == []
