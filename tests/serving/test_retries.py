"""When a client asks again, how long it waits, and what it says when it gives up."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.serving.conftest import KEY, NUMBERS, departures
from utils.serving.app import create_app, running
from utils.serving.client import Client, Unreachable, pause_s
from utils.serving.endpoint import Refused
from utils.serving.ids import uuid7
from utils.store import StoreUnavailable

FRAME = pd.DataFrame({"x": [1.0]})
GOOD = b'{"predictions": [2.0], "prediction_ids": ["p"]}'
REFUSED = b'{"error_code": "BAD_REQUEST", "message": "column \'x\' is missing"}'


@pytest.fixture
def server():
    """Serve answers as a test lists them: (status, body), or ``None`` to hang up."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            server.keys.append(self.headers["idempotency-key"])
            answer = server.answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, body = answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.keys = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(server):
    """Give a client of the server that writes down its pauses instead of waiting."""
    pauses = []
    host, port = server.server_address
    with Client(f"http://{host}:{port}", retries=3, sleep=pauses.append) as client:
        client.pauses = pauses
        yield client


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_asked_again_with_the_same_key(server, client, status):
    server.answers = [(status, b"busy"), (status, b""), (200, GOOD)]
    assert client.predict(FRAME)["prediction"].to_list() == [2.0]
    assert len(server.keys) == 3
    assert len(set(server.keys)) == 1
    assert len(client.pauses) == 2


def test_a_connection_that_breaks_is_asked_again(server, client):
    server.answers = [None, (200, GOOD)]
    assert client.predict(FRAME)["prediction"].to_list() == [2.0]
    assert len(set(server.keys)) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 415, 500])
def test_what_cannot_pass_is_not_asked_again(server, client, status):
    server.answers = [(status, REFUSED)]
    with pytest.raises(Refused, match="column 'x' is missing") as refused:
        client.predict(FRAME)
    assert (refused.value.status, refused.value.error_code) == (status, "BAD_REQUEST")
    assert client.pauses == []


def test_it_gives_up_with_the_last_refusal(server, client):
    server.answers = [(503, REFUSED)] * 4
    with pytest.raises(Refused) as refused:
        client.predict(FRAME)
    assert refused.value.status == 503
    assert len(client.pauses) == 3


def test_an_error_page_of_something_between_is_said_as_it_is(server, client):
    server.answers = [(403, b"<h1>Forbidden</h1>")]
    with pytest.raises(Refused, match="<h1>Forbidden</h1>") as refused:
        client.predict(FRAME)
    assert refused.value.error_code == "HTTP_ERROR"


def test_nobody_there_is_said_with_the_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with Client(url, retries=1, sleep=lambda _: None) as client:
        with pytest.raises(Unreachable, match=f"{url}/invocations: no answer"):
            client.predict(FRAME)


def test_no_answer_in_time_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, retries=0, timeout_s=0.05) as client:
            with pytest.raises(Unreachable, match="ReadTimeout"):
                client.predict(FRAME)


def test_pauses_grow_and_are_bounded():
    rng = np.random.default_rng(0)
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    for attempt, bound in enumerate(longest):
        pauses = [pause_s(attempt, rng) for _ in range(50)]
        assert bound / 2 <= min(pauses) < max(pauses) <= bound


@pytest.mark.parametrize(
    ("settings", "message"), [({"retries": -1}, "retries=-1"), ({"timeout_s": 0}, "timeout_s=0")]
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Client("http://127.0.0.1", **settings)


def test_in_process_a_store_that_comes_back_is_asked_again(serve, monkeypatch):
    endpoint = serve("late")
    append, failures = endpoint.store.append, ["locked", "locked"]

    def now_and_then(*given):
        if failures:
            raise StoreUnavailable(failures.pop())
        append(*given)

    monkeypatch.setattr(endpoint.store, "append", now_and_then)
    client = Client(endpoint, sleep=lambda _: None)
    client.predict(departures(n=2)[0][NUMBERS])
    assert len(endpoint.store.read("late")) == 2


def test_an_answer_that_was_lost_is_given_again_and_stored_once(serve):
    """Cut the first answer to each request short, after the endpoint has stored what it says."""
    endpoint = serve("late")
    app = create_app(endpoint, access_keys={KEY: "tests"})
    cut = set()

    async def lossy(scope, receive, send):
        key = dict(scope.get("headers", ())).get(b"idempotency-key")

        async def send_but_once(message):
            if key is not None and message["type"] == "http.response.body" and key not in cut:
                cut.add(key)
                return
            await send(message)

        await app(scope, receive, send_but_once)

    lossy.state = app.state
    frame = departures(n=40)[0][NUMBERS]
    with running(lossy) as url:

        def ask(at):
            with Client(url, access_key=KEY, sleep=lambda _: None) as client:
                return client.predict(frame.iloc[[at]])

        with ThreadPoolExecutor(4) as threads:
            answers = pd.concat(threads.map(ask, range(40)))
    stored = endpoint.store.read("late").set_index("prediction_id")
    assert len(cut) == len(stored) == 40
    assert stored.loc[answers["prediction_id"], "prediction"].to_list() == (
        answers["prediction"].to_list()
    )


def test_proxies_of_the_environment_are_not_used(serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    endpoint = serve("late")
    with running(create_app(endpoint, access_keys={KEY: "tests"})) as url:
        with Client(url, access_key=KEY, retries=0) as client:
            assert len(client.predict(departures(n=1)[0][NUMBERS], key=uuid7())) == 1


def test_infinity_is_refused_by_the_endpoint_and_named(serve):
    endpoint = serve("late")
    with running(create_app(endpoint, access_keys={KEY: "tests"})) as url:
        assert httpx.get(f"{url}/ping").status_code == 200
        frame = departures(n=1)[0][NUMBERS].assign(hour=float("-inf"))
        with Client(url, access_key=KEY) as client:
            with pytest.raises(Refused, match="column 'hour', row 0: must be a finite number"):
                client.predict(frame)
