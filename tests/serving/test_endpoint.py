"""The endpoint itself: several requests as one batch, and models that answer in many forms."""

import sqlite3
import time
from contextlib import closing

import numpy as np
import pandas as pd
import pytest

from tests.serving.bodies import records, row
from tests.serving.conftest import departures
from utils.serving import models
from utils.serving.endpoint import Answer, Endpoint, Refused
from utils.serving.ids import uuid7
from utils.serving.parsing import rows_of_json
from utils.store import open_store


def request(endpoint, body, **about):
    rows, params = rows_of_json(body, endpoint.contract)
    return endpoint.request(rows, params=params, started=time.perf_counter(), **about)


def test_a_request_is_answered_in_a_batch_as_alone(serve):
    endpoint = serve("delay")
    flights = departures(n=20)[0].to_dict("records")
    sizes = [1, 3, 1, 5, 10]
    bodies = [
        {"dataframe_records": flights[sum(sizes[:at]) : sum(sizes[: at + 1])]}
        for at in range(len(sizes))
    ]
    together = endpoint.answer([request(endpoint, body) for body in bodies])
    alone = [endpoint.answered(request(endpoint, body)) for body in bodies]
    for one, other in zip(together, alone, strict=True):
        assert one.predictions == pytest.approx(other.predictions, rel=1e-12)
    assert [len(each.predictions) for each in together] == sizes


def test_requests_that_differ_in_columns_or_parameters_are_scored_apart(serve):
    endpoint = serve("mirror")
    bodies = [
        records(),
        records(row(maybe_double=...)),
        records(params={"greeting": "olá"}),
        records(row(a_long=9)),
        records(row(maybe_double=..., a_long=9)),
    ]
    together = endpoint.answer([request(endpoint, body) for body in bodies])
    texts = [answer.predictions[0] for answer in together]
    assert ["maybe_double" in text for text in texts] == [True, False, True, True, False]
    assert ["greeting=olá" in text for text in texts] == [False, False, True, False, False]
    assert ["a_long=int:9" in text for text in texts] == [False, False, False, True, True]
    assert len(endpoint.store.read("mirror")) == 5


def test_a_bad_request_in_a_batch_is_refused_alone(serve):
    endpoint = serve("fussy")
    bodies = [records({"x": value}) for value in (1.0, -1.0, 2.0)]
    outcomes = endpoint.answer([request(endpoint, body) for body in bodies])
    assert [type(outcome) for outcome in outcomes] == [Answer, Refused, Answer]
    assert endpoint.store.read("fussy")["prediction"].to_list() == [2.0, 4.0]


def test_a_repetition_in_a_batch_is_answered_from_the_store(serve):
    endpoint = serve("fussy")
    key = uuid7()
    first = endpoint.answered(request(endpoint, records({"x": 1.0}), key=key))
    outcomes = endpoint.answer(
        [
            request(endpoint, records({"x": 5.0})),
            request(endpoint, records({"x": 1.0}), key=key),
            request(endpoint, records({"x": 7.0}), key=key),
        ]
    )
    assert outcomes[0].predictions == [10.0]
    assert outcomes[1] == first
    assert outcomes[2].status == 409
    assert endpoint.store.read("fussy")["prediction"].to_list() == [2.0, 10.0]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (np.array([1.0, np.nan]), [1.0, None]),
        (np.array([[1.0], [2.0]]), [1.0, 2.0]),
        ([1, 2.5], [1.0, 2.5]),
        (pd.Series([1.0, 2.0], index=[7, 3]), [1.0, 2.0]),
        (pd.DataFrame({"delay": [1.0, 2.0]}), [1.0, 2.0]),
        (np.array([1, 2], dtype="int32"), [1.0, 2.0]),
        (np.array([1.5, 2.5], dtype="float32"), [1.5, 2.5]),
    ],
)
def test_one_value_a_row_may_come_in_many_forms(serve, raw, expected):
    endpoint = serve("fussy")
    endpoint.scorer.predict = lambda *_: (raw, None)
    answered = endpoint.predict(pd.DataFrame({"x": [1.0, 2.0]}))
    assert answered.predictions == expected
    assert (
        endpoint.store.read("fussy")["prediction"]
        .astype("object")
        .where(lambda column: column.notna(), None)
        .to_list()
        == expected
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (pd.DataFrame({"low": [1.0], "high": [2.0]}), {"low": 1.0, "high": 2.0}),
        (np.array([[0.4, 0.6]]), [0.4, 0.6]),
        (np.array([[[1], [2]]]), [[1], [2]]),
        ([{"label": "late", "score": 0.5}], {"label": "late", "score": 0.5}),
        ([["a", "b"]], ["a", "b"]),
        (["late"], "late"),
    ],
)
def test_several_values_a_row_are_one_json_value(raw, expected, logged, store):
    scorer = models.load(logged.uri("several"), tracking_uri=logged.tracking_uri)
    scorer.predict = lambda *_: (raw, None)
    endpoint = Endpoint(scorer, store, models.deploy_scorer(store, scorer, name="several"))
    key = uuid7()
    body = records({"x": 1.0})
    assert endpoint.answered(request(endpoint, body, key=key)).predictions == [expected]
    assert endpoint.answered(request(endpoint, body, key=key)).predictions == [expected]


def test_a_model_may_spoil_the_frame_that_it_gets(serve):
    endpoint = serve("fussy")

    def spoil(frame, params):
        answers = (frame["x"] * 2).to_numpy()
        frame["x"] = 0.0
        frame.loc[2] = [9.0]
        return answers, None

    endpoint.scorer.predict = spoil
    assert endpoint.predict(pd.DataFrame({"x": [1.0, 2.0]})).predictions == [2.0, 4.0]
    assert endpoint.store.read("fussy")["x"].to_list() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prediction_ids": ["a"]}, "prediction_ids: 1 for 2 rows"),
        ({"prediction_ids": ["a", "a"]}, "each row needs an id of its own"),
        ({"prediction_ids": ["a" * 70, "b"]}, "prediction_id"),
        ({"event_time": pd.Timestamp("2013-07-04")}, "must be aware datetimes"),
        ({"event_time": pd.NaT}, "must be aware datetimes"),
        ({"event_time": [pd.Timestamp("2013-07-04", tz="UTC")]}, "1 times for 2 rows"),
        ({"event_time": pd.to_datetime(["2013-07-04", None], utc=True)}, "must be aware"),
        ({"event_time": ["noon", "one"]}, "must be aware datetimes"),
    ],
)
def test_ids_and_times_that_cannot_be_are_refused(serve, given, message):
    endpoint = serve("fussy")
    with pytest.raises(Refused, match=message):
        endpoint.predict(pd.DataFrame({"x": [1.0, 2.0]}), **given)
    assert endpoint.store.read("fussy").empty


def test_a_store_that_another_holds_is_said_and_forgiven(logged, tmp_path, monkeypatch):
    monkeypatch.setattr("utils.store.engines.BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "store.db"
    with open_store(f"sqlite:///{path}") as store, closing(sqlite3.connect(path)) as another:
        scorer = models.load(logged.uri("fussy"), tracking_uri=logged.tracking_uri)
        endpoint = Endpoint(scorer, store, models.deploy_scorer(store, scorer, name="fussy"))
        another.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refused, match="not captured: .*locked") as refused:
            endpoint.predict(pd.DataFrame({"x": [1.0]}))
        another.rollback()
        assert refused.value.status == 503
        assert store.read("fussy").empty
        assert endpoint.predict(pd.DataFrame({"x": [1.0]})).predictions == [2.0]


def test_a_store_that_is_gone_is_said(logged, postgresql_url, postgresql_server):
    with open_store(postgresql_url) as store:
        scorer = models.load(logged.uri("fussy"), tracking_uri=logged.tracking_uri)
        endpoint = Endpoint(scorer, store, models.deploy_scorer(store, scorer, name="fussy"))
        name = postgresql_url.partition("?")[0].rpartition("/")[2]
        postgresql_server.psql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        postgresql_server.psql(f'ALTER DATABASE "{name}" RENAME TO "{name}_away"')
        try:
            with pytest.raises(Refused, match="not captured") as refused:
                endpoint.predict(pd.DataFrame({"x": [1.0]}))
        finally:
            postgresql_server.psql(f'ALTER DATABASE "{name}_away" RENAME TO "{name}"')
        assert refused.value.status == 503
        assert endpoint.predict(pd.DataFrame({"x": [1.0]})).predictions == [2.0]
