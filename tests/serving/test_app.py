"""The server's own rules: who may call, what is too much, what is refused, and what it counts."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serving.bodies import DOUBLE, LONG, ROW, STRING, records, row, spelled, text
from tests.serving.conftest import KEY, NUMBERS, departures
from utils.records import VigiaError
from utils.serving import app as app_module
from utils.serving import models
from utils.serving.app import create_app, running, serve
from utils.serving.endpoint import Endpoint
from utils.serving.ids import uuid7
from utils.serving.keys import hash_key, issue_key
from utils.store import StoreUnavailable, open_store

BEARER = {"Authorization": f"Bearer {KEY}"}
JSON = {"Content-Type": "application/json"}
LIMIT = 100_000


@pytest.fixture
def served(serve):
    """Return a function that serves a model over HTTP, and gives its URL and its endpoint."""
    servers = []

    def served(name="mirror", **settings):
        endpoint = serve(name)
        given = {"access_keys": {KEY: "tests"}, "max_body_bytes": LIMIT} | settings
        servers.append(running(create_app(endpoint, **given)))
        return servers[-1].__enter__(), endpoint

    yield served
    for server in servers:
        server.__exit__(None, None, None)


def post(url, body, headers=None, **settings):
    content = body if isinstance(body, bytes) else text(body)
    return httpx.post(
        url, content=content, headers={**BEARER, **JSON, **(headers or {})}, **settings
    )


def is_empty(endpoint):
    return endpoint.store.read(endpoint.deployment.name).empty


def assert_refused(response, status, code, message):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    said = response.json()
    assert said.keys() == {"error_code", "message"}
    assert said["error_code"] == code
    assert message in said["message"]


# Hostile bodies

DEEP = b"[" * 50_000 + b"]" * 50_000
NOT_JSON = {
    "not JSON": (b"{oops", "the body is not JSON"),
    "nothing": (b"", "the body is not JSON"),
    "not UTF-8": (b'{"a": "\xff"}', "the body is not UTF-8 (byte 7)"),
    "a list": (b"[1, 2]", "must be a JSON object"),
    "deep": (b'{"a": ' + DEEP[:90_000] + b"}", "the body is "),
    "nested 100 deep": (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "nested more than 64 deep"),
    "a key twice": (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
    "a huge integer": (b'{"a": ' + b"9" * 5_000 + b"}", "the body is not JSON"),
}
BAD_VALUES = {
    "missing": (row(a_long=...), "column 'a_long' is missing"),
    "extra": (
        row(a_lng=1),
        "column 'a_lng' is not in the model's signature; did you mean 'a_long'",
    ),
    "a word": (row(a_double="much"), "column 'a_double', row 0: must be a number, not the text"),
    "a list": (row(a_string=["x"]), "column 'a_string', row 0: must be a text, not a list"),
    "an object": (row(a_long={"$gt": 0}), "column 'a_long', row 0: must be a number"),
    "a fraction": (row(a_long=1.5), "column 'a_long', row 0: must be a whole number, not 1.5"),
    "huge": (row(a_long=10**30), "column 'a_long', row 0: must be a whole number of 64 bits"),
    "too huge": (row(a_double=10**400), "column 'a_double', row 0: must be within the range"),
    "a missing integer": (row(a_integer=None), "column 'a_integer', row 0: must be a number"),
    "NUL": (row(a_string="a\0b"), "column 'a_string', row 0: must be a Unicode text without NUL"),
    "NUL inside": (row(anything={"a": ["\0"]}), "column 'anything', row 0: ['a'] [0] must be"),
    "not base64": (row(a_binary="?"), "column 'a_binary', row 0: must be bytes in base64"),
    "no time": (row(a_datetime="noon"), "column 'a_datetime', row 0: must be a time written"),
    "inside a list": (row(a_list=[1, "x"]), "column 'a_list', row 0: [1] must be a number"),
    "inside an object": (row(an_object={"code": 1}), "column 'an_object', row 0: ['code'] must"),
    "a property missing": (row(an_object={}), "'an_object', row 0: must have the property 'code'"),
    "a long name": (row(**{"x" * 50_000: 1}), "is not in the model's signature"),
    "SQL as a name": (row(**{'x"; DROP TABLE y; --': 1}), "is not in the model's signature"),
}
BAD_SPELLINGS = {
    "NaN": (
        DOUBLE,
        '"a_double": NaN',
        "column 'a_double', row 0: must be a finite number, not nan",
    ),
    "infinite": (DOUBLE, '"a_double": -Infinity', "column 'a_double', row 0: must be a finite"),
    "overflow": (DOUBLE, '"a_double": 1e999', "column 'a_double', row 0: must be a finite"),
    "a NaN integer": (LONG, '"a_long": NaN', "column 'a_long', row 0: must be a finite number"),
    "half a pair": (STRING, '"a_string": "\\udc80"', "column 'a_string', row 0: must be a Unicode"),
    "NaN inside": ('"deep": [1', '"deep": [NaN', "column 'anything', row 0: ['deep'] [0] must be"),
}


def labels(*given):
    return {"labels": list(given)}


def label(**changes):
    good = {"prediction_id": "p", "label": "x", "known_at": "2013-07-04T12:00:00Z"}
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


BAD_LABELS = {
    "no labels": ({}, "labels is missing"),
    "another key": ({**labels(label()), "more": 1}, "the key 'more' is not known here"),
    "no list": ({"labels": {}}, "labels: must be a list"),
    "none": (labels(), "labels: there is none"),
    "a text": (labels("p"), "labels: row 0 must be an object"),
    "no id": (
        labels(label(), label(prediction_id=...)),
        "labels: prediction_id is missing in row 1",
    ),
    "an id as number": (labels(label(prediction_id=7)), "prediction_id in row 0 must be a text"),
    "a long id": (labels(label(prediction_id="p" * 70)), "prediction_id: row 0"),
    "no label": (labels(label(label=...)), "labels: label is missing in row 0"),
    "a missing label": (labels(label(label=None)), "labels: label is missing in row 0"),
    "a label as number": (labels(label(label=1)), "labels: label in row 0 must be a text"),
    "NUL": (labels(label(label="a\0")), "labels: label in row 0 must be a Unicode text"),
    "more": (labels(label(lable=1)), "labels: 'lable' in row 0 is none of"),
    "a time without offset": (labels(label(known_at="2013-07-04")), "known_at in row 0 must be"),
    "no time": (labels(label(known_at="noon")), "labels: known_at in row 0 must be a time"),
    "a time as number": (labels(label(known_at=5)), "labels: known_at in row 0 must be a time"),
}


def hostile():
    for name, (body, message) in NOT_JSON.items():
        for route in ("/invocations", "/model", "/ground-truth"):
            yield pytest.param(route, body, message, id=f"{route} {name}")
    for name, (given, message) in BAD_VALUES.items():
        yield pytest.param("/invocations", text(records(given)), message, id=f"/invocations {name}")
        called = text({"accessKey": KEY, "request": given})
        yield pytest.param("/model", called, message, id=f"/model {name}")
    for name, (old, new, message) in BAD_SPELLINGS.items():
        body = spelled(old, new)
        yield pytest.param("/invocations", body, message, id=f"/invocations {name}")
        request = json.dumps({"accessKey": KEY, "request": ROW}).replace(old, new).encode()
        yield pytest.param("/model", request, message, id=f"/model {name}")
    for name, (body, message) in BAD_LABELS.items():
        yield pytest.param("/ground-truth", text(body), message, id=f"/ground-truth {name}")
    for name, body, message in (
        ("no request", {"accessKey": KEY}, "request is missing"),
        ("a list", {"accessKey": KEY, "request": [ROW]}, "request: must be an object of columns"),
        ("another key", {"accessKey": KEY, "request": ROW, "more": 1}, "the key 'more'"),
    ):
        yield pytest.param("/model", text(body), message, id=f"/model {name}")


@pytest.fixture(scope="module")
def hostile_target(logged):
    """Serve one model for all hostile bodies, so that what one left behind would be found."""
    with open_store("sqlite://") as store:
        scorer = models.load(logged.uri("mirror"), tracking_uri=logged.tracking_uri)
        endpoint = Endpoint(scorer, store, models.deploy_scorer(store, scorer, name="mirror"))
        app = create_app(endpoint, access_keys={KEY: "tests"}, max_body_bytes=LIMIT)
        with running(app) as url, httpx.Client(base_url=url, headers={**BEARER, **JSON}) as client:
            yield client, endpoint


@pytest.mark.parametrize(("route", "body", "message"), list(hostile()))
def test_a_hostile_body_is_refused_by_name_and_rule(hostile_target, route, body, message):
    client, endpoint = hostile_target
    assert_refused(client.post(route, content=body), 400, "BAD_REQUEST", message)
    assert is_empty(endpoint)
    assert endpoint.store.labels("mirror").empty


def test_after_all_that_a_good_body_is_answered(hostile_target):
    client, endpoint = hostile_target
    assert client.post("/invocations", content=text(records())).status_code == 200
    assert len(endpoint.store.read("mirror")) == 1


def test_sql_in_a_text_is_a_text(served):
    url, endpoint = served()
    sql = "'); DROP TABLE vigia_prediction_1; --"
    assert post(f"{url}/invocations", records(row(a_string=sql))).status_code == 200
    assert endpoint.store.read("mirror")["a_string"].to_list() == [sql]


# Who may call


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
    ],
)
@pytest.mark.parametrize("route", ["/invocations", "/ground-truth"])
def test_without_a_valid_key_nothing_is_read(served, route, headers):
    url, endpoint = served()
    response = post(f"{url}{route}", b"{oops", headers)
    assert_refused(response, 401, "UNAUTHENTICATED", "an access key is needed, and a valid one")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", [None, "", "wrong", 5, {"a": 1}])
def test_a_model_is_called_with_a_valid_key(served, key):
    url, endpoint = served()
    body = {"accessKey": key, "request": ROW} if key is not None else {"request": ROW}
    response = post(f"{url}/model", body)
    assert_refused(response, 401, "UNAUTHENTICATED", "an access key is needed, and a valid one")
    assert is_empty(endpoint)


def test_a_model_is_called_as_in_cml(served):
    url, endpoint = served()
    answered = post(
        f"{url}/model", {"accessKey": KEY, "request": ROW}, {"Authorization": ""}
    ).json()
    assert answered.keys() == {"success", "response"}
    assert answered["success"] is True
    assert answered["response"].keys() == {"prediction", "uuid"}
    assert endpoint.store.read("mirror")["prediction_id"].to_list() == [
        answered["response"]["uuid"]
    ]


def test_the_store_tells_which_client_called(served, monkeypatch):
    monkeypatch.setattr("utils.serving.keys.REFRESH_S", 0.0)
    url, endpoint = served()
    tower = issue_key(endpoint.store, "mirror", client="tower")
    post(f"{url}/invocations", records())
    post(f"{url}/invocations", records(), {"Authorization": f"bearer {tower}"})
    assert endpoint.store.read("mirror")["client"].to_list() == ["tests", "tower"]


def test_a_revoked_key_opens_nothing(served, monkeypatch):
    monkeypatch.setattr("utils.serving.keys.REFRESH_S", 0.0)
    url, endpoint = served()
    key = issue_key(endpoint.store, "mirror", client="tower")
    headers = {"Authorization": f"Bearer {key}"}
    assert post(f"{url}/invocations", records(), headers).status_code == 200
    endpoint.store.revoke_key("mirror", hash_key(key))
    assert post(f"{url}/invocations", records(), headers).status_code == 401


def test_no_key_is_stored_as_it_is(served):
    _, endpoint = served()
    key = issue_key(endpoint.store, "mirror", client="tower")
    assert key not in str(endpoint.store.keys("mirror"))


def test_what_is_read_needs_no_key(served):
    url, _ = served()
    for path in ("/ping", "/health", "/version", "/metrics", "/openapi.json"):
        assert httpx.get(url + path).status_code == 200


# What is too much


def chunks(total, size=10_000):
    """Yield bytes of which nobody said how many they are."""
    for _ in range(total // size):
        yield b" " * size


@pytest.mark.parametrize("route", ["/invocations", "/model", "/ground-truth"])
def test_a_body_that_says_it_is_too_large_is_refused(served, route):
    url, endpoint = served()
    response = post(url + route, b" " * (LIMIT + 1))
    assert_refused(response, 413, "REQUEST_TOO_LARGE", f"it has at most {LIMIT} bytes")


@pytest.mark.parametrize("route", ["/invocations", "/model", "/ground-truth"])
def test_a_body_that_grows_too_large_is_refused(served, route):
    url, endpoint = served()
    response = httpx.post(url + route, content=chunks(3 * LIMIT), headers={**BEARER, **JSON})
    assert_refused(response, 413, "REQUEST_TOO_LARGE", f"it has at most {LIMIT} bytes")


def test_a_body_may_come_in_parts(served):
    url, _ = served()
    parts = iter([b'{"dataframe_records": [', text(ROW), b"]}"])
    response = httpx.post(f"{url}/invocations", content=parts, headers={**BEARER, **JSON})
    assert response.status_code == 200


def test_a_body_that_does_not_come_is_not_waited_for(served, monkeypatch):
    monkeypatch.setattr(app_module, "BODY_TIMEOUT_S", 0.05)
    url, _ = served()

    def slow():
        yield b"{"
        time.sleep(0.5)
        yield b"}"

    response = httpx.post(f"{url}/invocations", content=slow(), headers={**BEARER, **JSON})
    assert_refused(response, 408, "REQUEST_TIMEOUT", "did not come within 0.05 s")


def test_a_large_body_is_read_too(served):
    url, endpoint = served(max_body_bytes=10_000_000)
    response = post(f"{url}/invocations", records(*[ROW] * 1_000))
    assert len(response.json()["predictions"]) == 1_000
    assert len(endpoint.store.read("mirror")) == 1_000


def test_too_many_labels_are_refused(served):
    url, endpoint = served(max_body_bytes=10_000_000)
    response = post(f"{url}/ground-truth", labels(*[label()] * 10_001))
    assert_refused(response, 413, "REQUEST_TOO_LARGE", "10001 labels are too many")


# What is another's protocol


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Content-Type": "text/plain"}, "must be application/json"),
        ({"Content-Type": ""}, "must be application/json"),
        ({"Content-Type": "application/json; charset=latin-1"}, "takes charset=utf-8"),
        ({"Content-Encoding": "gzip"}, "must not be encoded"),
    ],
)
@pytest.mark.parametrize("route", ["/invocations", "/model", "/ground-truth"])
def test_another_content_type_is_refused(served, route, headers, message):
    url, _ = served()
    assert_refused(post(url + route, {}, headers), 415, "UNSUPPORTED_MEDIA_TYPE", message)


def test_a_csv_is_for_invocations_alone(served):
    url, _ = served()
    assert post(f"{url}/model", b"a\n1", {"Content-Type": "text/csv"}).status_code == 415


@pytest.mark.parametrize(
    ("method", "route", "allowed"),
    [("GET", "/invocations", "POST"), ("PUT", "/model", "POST"), ("POST", "/ping", "GET")],
)
def test_another_method_is_refused(served, method, route, allowed):
    url, _ = served()
    response = httpx.request(method, url + route)
    assert_refused(response, 405, "METHOD_NOT_ALLOWED", method)
    assert response.headers["allow"] == allowed


def test_another_route_is_unknown(served):
    url, _ = served()
    assert_refused(httpx.get(f"{url}/admin"), 404, "ENDPOINT_NOT_FOUND", "GET")


# Event time and repetition


def test_an_event_time_is_taken_only_where_it_is_allowed(served):
    url, endpoint = served()
    response = post(f"{url}/invocations", records(), {"X-Event-Time": "2013-07-04T12:00:00Z"})
    assert_refused(response, 400, "BAD_REQUEST", "this server tells the time itself")
    assert is_empty(endpoint)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("noon", "X-Event-Time: must be times as in ISO 8601"),
        ("2013-07-04T12:00:00", "event_time: must be aware"),
        ("2013-07-04T12:00:00Z,2013-07-04T12:00:01Z", "2 times for 1 rows"),
        ("", "X-Event-Time: must be times"),
    ],
)
def test_an_event_time_must_be_one(served, given, message):
    url, endpoint = served(accept_event_time=True)
    response = post(f"{url}/invocations", records(), {"X-Event-Time": given})
    assert_refused(response, 400, "BAD_REQUEST", message)
    assert is_empty(endpoint)


def test_an_offset_is_taken_into_account(served):
    url, endpoint = served(accept_event_time=True)
    post(
        f"{url}/model",
        {"accessKey": KEY, "request": ROW},
        {"X-Event-Time": "2013-07-04T12:00-04:00"},
    )
    assert endpoint.store.read("mirror")["event_time"].to_list() == [
        pd.Timestamp("2013-07-04T16:00", tz="UTC")
    ]


@pytest.mark.parametrize("key", ["", "7", "not a uuid", "0" * 32])
def test_an_idempotency_key_must_be_a_uuid(served, key):
    url, endpoint = served()
    response = post(f"{url}/invocations", records(), {"Idempotency-Key": key})
    assert_refused(response, 400, "BAD_REQUEST", "Idempotency-Key: ")
    assert is_empty(endpoint)


def test_requests_with_one_key_at_the_same_time_are_stored_once(served):
    url, endpoint = served()
    headers = {"Idempotency-Key": str(uuid7())}
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: post(f"{url}/invocations", records(), headers).json(), range(16))
        )
    assert len({json.dumps(answer) for answer in answers}) == 1
    assert answers[0]["prediction_ids"] == [headers["Idempotency-Key"]]
    assert len(endpoint.store.read("mirror")) == 1


def test_a_key_is_remembered_by_the_store_and_not_by_the_server(serve):
    endpoint = serve("late")
    body = {"dataframe_records": departures(n=2)[0][NUMBERS].to_dict("records")}
    headers = {"Idempotency-Key": str(uuid7())}
    answers = []
    for _ in range(2):
        with running(create_app(endpoint, access_keys={KEY: "tests"})) as url:
            answers.append(post(f"{url}/invocations", body, headers).json())
    assert answers[0] == answers[1]
    assert len(endpoint.store.read("late")) == 2


def test_a_key_used_for_another_body_is_a_conflict(served):
    url, endpoint = served()
    headers = {"Idempotency-Key": str(uuid7())}
    post(f"{url}/invocations", records(), headers)
    response = post(f"{url}/invocations", records(row(a_list=[2.5])), headers)
    assert_refused(response, 409, "RESOURCE_CONFLICT", "stored with other inputs")
    assert len(endpoint.store.read("mirror")) == 1


@pytest.mark.parametrize("column", [name for name in ROW if name != "a_boolean"])
def test_every_kind_of_input_is_told_apart_in_a_repetition(served, column):
    others = {"a_string": "y", "a_binary": "eA==", "a_datetime": "2014-01-01", "a_list": [9.0]}
    others |= {"an_object": {"code": "d"}, "a_map": {}, "anything": None, "maybe_string": None}
    url, endpoint = served()
    headers = {"Idempotency-Key": str(uuid7())}
    first = post(f"{url}/invocations", records(), headers)
    assert post(f"{url}/invocations", records(), headers).json() == first.json()
    changed = records(row(**{column: others.get(column, 9)}))
    assert post(f"{url}/invocations", changed, headers).status_code == 409


# The store, the end, the figures


def test_what_cannot_be_stored_is_not_answered(served, monkeypatch):
    url, endpoint = served()

    def full(*_):
        raise StoreUnavailable("sqlite:///store.db: database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(endpoint.store, "append", full)
        response = post(f"{url}/invocations", records())
        assert_refused(response, 503, "TEMPORARILY_UNAVAILABLE", "database or disk is full")
        assert response.headers["retry-after"] == "1"
        assert httpx.get(f"{url}/ping").status_code == 200
    assert post(f"{url}/invocations", records()).status_code == 200


def test_labels_that_cannot_be_stored_are_not_acknowledged(served, monkeypatch):
    url, endpoint = served()

    def gone(*_, **__):
        raise StoreUnavailable("postgresql://store: the connection was closed")

    monkeypatch.setattr(endpoint.store, "write_labels", gone)
    response = post(f"{url}/ground-truth", labels(label()))
    assert_refused(response, 503, "TEMPORARILY_UNAVAILABLE", "the connection was closed")


def test_a_fault_of_ours_says_nothing_of_our_inside(served, monkeypatch):
    url, endpoint = served()

    def fault(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr(endpoint.scorer, "predict", lambda *_: (["x"], None))
    monkeypatch.setattr(endpoint.store, "append", fault)
    response = post(f"{url}/invocations", records())
    assert_refused(response, 500, "INTERNAL_ERROR", "the server failed")
    assert "secret" not in response.text
    monkeypatch.undo()
    assert post(f"{url}/invocations", records()).status_code == 200


def test_one_bad_row_does_not_hurt_a_neighbour_in_its_batch(served):
    url, endpoint = served("fussy")
    hold = threading.Event()
    predict = endpoint.scorer.predict

    def slow(*given):
        hold.wait()
        return predict(*given)

    endpoint.scorer.predict = slow
    bodies = [records({"x": value}) for value in (1.0, 2.0, -1.0, 3.0)]
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(post, f"{url}/invocations", body) for body in bodies]
        time.sleep(0.2)
        hold.set()
        answers = [each.result() for each in waiting]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 200]
    assert "x must not be negative" in answers[2].json()["message"]
    assert sorted(endpoint.store.read("fussy")["prediction"]) == [2.0, 4.0, 6.0]


def test_a_server_that_is_stopping_refuses_what_is_new(served, monkeypatch):
    url, endpoint = served()
    app = create_app(endpoint, access_keys={KEY: "tests"})
    app.state.routes.stopping = True
    with running(app) as stopping:
        assert httpx.get(f"{stopping}/health").status_code == 503
        response = post(f"{stopping}/invocations", records())
    assert_refused(response, 503, "TEMPORARILY_UNAVAILABLE", "the server is stopping")


def test_the_metrics_count_what_happened(served):
    url, endpoint = served()
    post(f"{url}/invocations", records(ROW, ROW, ROW))
    post(f"{url}/invocations", {})
    post(f"{url}/nowhere", {})
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics").text)
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }

    def value(name, **labels):
        return samples[name, tuple(sorted(labels.items()))]

    assert value("vigia_requests_total", route="/invocations", status="200") == 1
    assert value("vigia_requests_total", route="/invocations", status="400") == 1
    assert value("vigia_requests_total", route="other", status="404") == 1
    assert value("vigia_request_seconds_count", route="/invocations") == 2
    assert value("vigia_predictions_total") == 3
    assert value("vigia_predictions_stored_total") == 3
    assert value("vigia_request_rows_sum") == 3
    assert value("vigia_model_info", deployment="mirror", model="mirror", version="1") == 1


def test_two_apps_in_one_process_count_for_themselves(serve):
    endpoint = serve("late")
    apps = [create_app(endpoint, access_keys={KEY: "tests"}) for _ in range(2)]
    body = {"dataframe_records": departures(n=1)[0][NUMBERS].to_dict("records")}
    with running(apps[0]) as one, running(apps[1]) as other:
        post(f"{one}/invocations", body)
        assert "vigia_predictions_total 1.0" in httpx.get(f"{one}/metrics").text
        assert "vigia_predictions_total 0.0" in httpx.get(f"{other}/metrics").text


# What is served


def test_a_model_without_a_signature_is_refused_with_the_way_out(logged, tmp_path):
    with pytest.raises(VigiaError, match="no signature.*signature=mlflow.models.infer_signature"):
        serve(
            model_uri=logged.uri("unsigned"),
            store_url=f"sqlite:///{tmp_path / 'store.db'}",
            tracking_uri=logged.tracking_uri,
            port=0,
        )


def test_a_port_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(VigiaError, match=f"port={port}: cannot be listened on"):
            serve(model_uri="models:/late/1", store_url="sqlite://", port=port)


def test_an_access_key_that_no_header_can_carry_is_refused(monkeypatch):
    monkeypatch.setenv("VIGIA_ACCESS_KEY", "chave não")
    with pytest.raises(VigiaError, match="VIGIA_ACCESS_KEY: must be ASCII"):
        serve(model_uri="models:/late/1", store_url="sqlite://", port=0)
