"""One suite for a client of an endpoint, in process and over HTTP: the same behaviour."""

import uuid
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from tests.serving.conftest import NUMBERS, departures
from utils.serving.endpoint import Refused
from utils.serving.ids import uuid7

NOON = pd.Timestamp("2013-07-04 12:00", tz="UTC")


def stored(endpoint, **settings):
    return endpoint.store.read(endpoint.deployment.name, **settings)


def test_each_row_gets_the_models_prediction_and_an_id_of_its_own(connect):
    client, endpoint = connect("delay")
    frame, _ = departures(n=30, seed=1)
    answered = client.predict(frame)
    expected, _ = endpoint.scorer.predict(
        endpoint.contract.frame([endpoint.contract.rows_of(frame)])
    )
    assert answered["prediction"].to_list() == pytest.approx(list(expected))
    assert answered["prediction_id"].is_unique


def test_what_was_asked_and_answered_is_in_the_store(connect):
    client, endpoint = connect("delay")
    frame, _ = departures(n=5, seed=1)
    frame.loc[2, "departure_delay_min"] = 12.5
    answered = client.predict(frame, event_time=NOON)
    rows = stored(endpoint).set_index("prediction_id").loc[answered["prediction_id"]]
    assert rows["prediction"].to_list() == answered["prediction"].to_list()
    assert rows["departure_delay_min"].to_list() == frame["departure_delay_min"].to_list()
    assert rows["hour"].to_list() == frame["hour"].to_list()
    assert rows["carrier"].to_list() == frame["carrier"].to_list()
    assert set(rows["event_time"]) == {NOON}
    assert set(rows["model_version"]) == {"1"}
    assert (rows["latency_ms"] > 0).all()


def test_answers_have_the_index_of_the_rows(connect):
    client, _ = connect("late")
    frame, _ = departures(n=3)
    frame.index = pd.Index(["x", "y", "z"])
    assert client.predict(frame[NUMBERS]).index.to_list() == ["x", "y", "z"]


def test_a_classifiers_score_is_stored_beside_its_class(connect):
    client, endpoint = connect("late")
    frame, _ = departures(n=40)
    client.predict(frame[NUMBERS])
    rows = stored(endpoint)
    assert rows["score"].between(0, 1).all()
    assert ((rows["score"] > 0.5) == (rows["prediction"] == 1)).all()


def test_each_row_may_have_an_event_time_of_its_own(connect):
    client, endpoint = connect("late")
    frame, _ = departures(n=2500)
    times = pd.Series(NOON + pd.to_timedelta(np.arange(2500), unit="s"))
    answered = client.predict(frame[NUMBERS], event_time=times)
    rows = stored(endpoint).set_index("prediction_id").loc[answered["prediction_id"]]
    assert rows["event_time"].to_list() == times.to_list()


def test_a_long_frame_is_sent_in_parts_whose_ids_count_up(connect):
    client, endpoint = connect("late")
    frame, _ = departures(n=2100)
    key = uuid7()
    ids = client.predict(frame[NUMBERS], key=key)["prediction_id"]
    assert ids.to_list() == [str(uuid.UUID(int=key.int + row)) for row in range(2100)]
    assert len(stored(endpoint)) == 2100


def test_the_same_key_again_gives_the_stored_answer_and_no_second_row(connect):
    client, endpoint = connect("delay")
    frame, _ = departures(n=10)
    key = uuid7()
    first = client.predict(frame, key=key)
    pd.testing.assert_frame_equal(client.predict(frame, key=key), first)
    assert len(stored(endpoint)) == 10


def test_the_same_key_with_other_inputs_is_refused_and_changes_nothing(connect):
    client, endpoint = connect("delay")
    frame, _ = departures(n=3)
    key = uuid7()
    client.predict(frame, key=key)
    with pytest.raises(Refused, match="stored with other inputs") as refused:
        client.predict(frame.assign(hour=1), key=key)
    assert refused.value.status == 409
    assert stored(endpoint)["hour"].to_list() == frame["hour"].to_list()


def test_of_rows_sent_again_in_other_batches_only_the_new_ones_are_stored(connect):
    client, endpoint = connect("delay")
    frame, _ = departures(n=8)
    key = uuid7()
    first = client.predict(frame.head(5), key=key)
    whole = client.predict(frame, key=key)
    assert whole["prediction_id"].head(5).to_list() == first["prediction_id"].to_list()
    assert whole["prediction"].head(5).to_list() == first["prediction"].to_list()
    assert len(stored(endpoint)) == 8


def test_one_record_is_answered_as_a_model_of_cml_answers(connect):
    client, endpoint = connect("delay")
    frame, _ = departures(n=1)
    record = frame.to_dict("records")[0]
    answered = client.call_model(record)
    assert set(answered) == {"prediction", "uuid"}
    assert stored(endpoint)["prediction_id"].to_list() == [answered["uuid"]]
    assert stored(endpoint)["prediction"].to_list() == [answered["prediction"]]


def test_labels_reach_their_predictions(connect):
    client, endpoint = connect("delay")
    frame, arrival = departures(n=4)
    ids = client.predict(frame, event_time=NOON)["prediction_id"]
    labels = pd.DataFrame({"prediction_id": ids, "label": arrival, "known_at": NOON})
    assert client.ground_truth(labels) == {"new": 4, "revised": 0, "repeated": 0}
    assert client.ground_truth(labels) == {"new": 0, "revised": 0, "repeated": 4}
    assert stored(endpoint)["label"].to_list() == pytest.approx(arrival.to_list())


def test_a_label_without_a_time_is_known_now(connect):
    client, endpoint = connect("delay", clock=lambda: datetime(2013, 8, 1, tzinfo=UTC))
    ids = client.predict(departures(n=1)[0])["prediction_id"]
    client.ground_truth(pd.DataFrame({"prediction_id": ids, "label": [3.0]}))
    assert stored(endpoint)["label_known_at"].to_list() == [pd.Timestamp("2013-08-01", tz="UTC")]


def test_labels_are_all_stored_or_none(connect):
    client, endpoint = connect("delay")
    ids = client.predict(departures(n=1)[0])["prediction_id"].to_list()
    labels = pd.DataFrame({"prediction_id": [*ids, "unknown"], "label": [3.0, 4.0]})
    with pytest.raises(Refused, match="unknown") as refused:
        client.ground_truth(labels)
    assert (refused.value.status, refused.value.error_code) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert endpoint.store.labels("delay").empty


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda frame: frame.drop(columns="hour"), "column 'hour' is missing"),
        (lambda frame: frame.assign(hours=1), "column 'hours' is not in the .* mean 'hour'"),
        (lambda frame: frame.assign(hour="noon"), "column 'hour', row 0: must be a number"),
        (lambda frame: frame.assign(hour=float("inf")), "'hour', row 0: must be a finite number"),
        (lambda frame: frame.assign(carrier=7), "column 'carrier', row 0: must be a text"),
        (lambda frame: frame.assign(carrier="a\0b"), "'carrier', row 0: .* NUL"),
        (lambda frame: frame.head(0), "no row"),
    ],
)
def test_bad_rows_are_refused_by_column_and_rule(connect, spoil, message):
    client, endpoint = connect("delay")
    with pytest.raises(Refused, match=message) as refused:
        client.predict(spoil(departures(n=2)[0]))
    assert (refused.value.status, refused.value.error_code) == (400, "BAD_REQUEST")
    assert stored(endpoint).empty


def test_a_missing_number_is_taken_where_the_model_takes_it(connect):
    client, endpoint = connect("boosted")
    frame, _ = departures(n=2)
    frame = frame[NUMBERS].astype("float64")
    frame.loc[0, "distance_miles"] = float("nan")
    assert client.predict(frame)["prediction"].notna().all()
    assert stored(endpoint)["distance_miles"].isna().to_list() == [True, False]


def test_what_the_model_cannot_score_is_refused_with_its_reason(connect):
    client, endpoint = connect("fussy")
    with pytest.raises(Refused, match="x must not be negative") as refused:
        client.predict(pd.DataFrame({"x": [1.0, -1.0]}))
    assert refused.value.status == 400
    assert stored(endpoint).empty


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("infinite", "must be a finite number"),
        ("few", "0 values for 1 rows"),
        ("text", "must be a number, not the text 'much'"),
        ("none", "a NoneType, not one value a row"),
    ],
)
def test_a_model_that_breaks_its_own_signature_is_a_fault_of_the_server(connect, kind, message):
    client, endpoint = connect("broken")
    with pytest.raises(Refused, match=message) as refused:
        client.predict(pd.DataFrame({"kind": [kind]}))
    assert (refused.value.status, refused.value.error_code) == (500, "INTERNAL_ERROR")
    assert stored(endpoint).empty


def test_too_many_rows_are_refused(connect):
    client, endpoint = connect("late", max_rows=3)
    with pytest.raises(Refused, match="4 rows are too many: a request has at most 3") as refused:
        client.predict(departures(n=4)[0][NUMBERS])
    assert refused.value.status == 413


def test_without_capture_nothing_is_stored(connect):
    client, endpoint = connect("late", capture=False)
    assert len(client.predict(departures(n=4)[0][NUMBERS])) == 4
    assert stored(endpoint).empty
