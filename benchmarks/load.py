"""A load generator in a process of its own: keep-alive clients on raw sockets, one event loop.

It imports the standard library only, sends requests made beforehand, and reads of an answer no
more than its status and its length, so that it costs a small share of what a server does. ``busy``
says how small: near 1, the generator itself would be what is measured.

    python -m benchmarks.load < plan.json

``plan.json`` has the keys ``port``, ``requests`` (texts, sent in turn), ``clients``, ``seconds``
and ``warm_up_s``; the result is printed as JSON.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
STALLED_S = 30.0


class Client:
    """One connection: a request is sent when the answer to the one before is complete."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""
        self._sent_at = 0.0

    def send(self, request: bytes) -> None:
        self._sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> float | None:
        """Read what is there; return the seconds since the request once its answer is complete.

        Raises ``RuntimeError`` for an answer that is no success.
        """
        part = self.socket.recv(65_536)
        if not part:
            raise RuntimeError("the server closed the connection")
        self._received += part
        head, found, body = self._received.partition(HEAD_END)
        if not found or len(body) < _length(head):
            return None
        if b" 200 " not in head[:15]:
            raise RuntimeError(f"not a success: {self._received[:500]!r}")
        self._received = b""
        return time.perf_counter() - self._sent_at


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next(int(line[len(LENGTH) :]) for line in lines if line.startswith(LENGTH))


def load(
    *, port: int, requests: list[bytes], clients: int, seconds: float, warm_up_s: float
) -> dict[str, float]:
    """Send requests for so many seconds after a warm-up that does not count.

    Returns ``requests_per_s``, ``p50_ms``, ``p99_ms`` and ``busy``, the generator's own share of
    one processor.
    """
    coming = cycle(requests)
    with selectors.DefaultSelector() as selector, ExitStack() as opened:
        for _ in range(clients):
            client = Client(port)
            opened.enter_context(client.socket)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(next(coming))
        _latencies(selector, coming, seconds=warm_up_s)
        began, busy_before = time.perf_counter(), time.process_time()
        latencies = sorted(_latencies(selector, coming, seconds=seconds))
        elapsed, busy = time.perf_counter() - began, time.process_time() - busy_before
    return {
        "requests_per_s": len(latencies) / elapsed,
        "p50_ms": latencies[len(latencies) // 2] * 1_000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1_000,
        "busy": busy / elapsed,
    }


def _latencies(
    selector: selectors.BaseSelector, coming: Iterator[bytes], *, seconds: float
) -> list[float]:
    """Keep every client busy for a while; return how long each answer took, in seconds."""
    latencies = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        ready = selector.select(STALLED_S)
        if not ready:
            raise RuntimeError(f"no answer within {STALLED_S:g} s")
        for key, _ in ready:
            latency = key.data.receive()
            if latency is not None:
                latencies.append(latency)
                key.data.send(next(coming))
    return latencies


if __name__ == "__main__":
    plan = json.load(sys.stdin)
    plan["requests"] = [request.encode() for request in plan["requests"]]
    json.dump(load(**plan), sys.stdout)
