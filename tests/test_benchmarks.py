"""The load generator of the benchmark: what it counts, and what it does not let pass."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load import load


@contextmanager
def answering(answer):
    """Serve ``answer(body) -> (status, body)`` on a free port of loopback; note every body."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            seen.append(body)
            status, text = answer(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *about):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def request(body):
    return f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def test_every_request_is_sent_in_turn_and_every_answer_is_counted():
    with answering(lambda body: (200, body * 5_000)) as (port, seen):
        requests = [request(body) for body in ("one", "two", "three")]
        did = load(port=port, requests=requests, clients=3, seconds=0.3, warm_up_s=0.0)
    assert set(seen) == {"one", "two", "three"}
    assert 0 < did["requests_per_s"] * 0.3 <= len(seen)
    assert 0 < did["p50_ms"] <= did["p99_ms"]
    assert 0 < did["busy"] < 1.1


def test_an_answer_that_is_no_success_is_not_counted_but_raised():
    with answering(lambda body: (400, "column 'x' is missing")) as (port, _):
        with pytest.raises(RuntimeError, match="not a success: .* 400 .*column 'x' is missing"):
            load(port=port, requests=[request("{}")], clients=1, seconds=1, warm_up_s=0)
