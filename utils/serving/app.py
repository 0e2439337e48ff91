"""The endpoint over HTTP: MLflow's scoring protocol, CML's model call, ground truth, metrics.

One request's walk: who calls (401), what comes (415, 413, 408), what it says (400), then the
endpoint: score, commit, answer. A refusal is JSON, ``{"error_code": …, "message": …}``, and
nothing of a refused request is stored.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import mlflow
import uvicorn
from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from utils.records import VigiaError
from utils.serving.batching import MAX_BATCH_ROWS, Batcher
from utils.serving.contract import Refused, Rows, bad_request
from utils.serving.endpoint import MAX_ROWS, Answer, Endpoint, unavailable
from utils.serving.following import follow as follow_name
from utils.serving.ids import parse_key
from utils.serving.keys import KeyRing, new_key
from utils.serving.models import in_service, load
from utils.serving.openapi import operation
from utils.serving.parsing import parse_json, record_rows, rows_of_csv, rows_of_json
from utils.serving.rules import shown
from utils.store import open_store

MAX_BODY_BYTES = 10 * 2**20
"""Bytes of one body, at most."""

BODY_TIMEOUT_S = 30.0
"""A body that is not there after this long is not waited for."""

STOP_TIMEOUT_S = 30.0
"""After SIGTERM, what was accepted is answered within this long."""

INLINE_BYTES = 64 * 2**10
"""A larger body is read in a thread, so that others are not kept waiting."""

JSON = "application/json"
CSV = "text/csv"

_CODES = {404: "ENDPOINT_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}
_UNKNOWN_ROUTE = "other"


class _InService:
    """What is in service, as Prometheus scrapes it: asked anew each time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def collect(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "vigia_model_info",
            "1; its labels say what is served",
            labels=["deployment", "model", "version"],
        )
        for each in self._endpoint.in_service:
            info.add_metric([each.name, each.model_name, each.model_version], 1)
        yield info


class Metrics:
    """What Prometheus scrapes: of one app, in a registry of its own, with bounded labels."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vigia_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "vigia_request_seconds",
            "From a request's arrival to its answer, in seconds",
            ["route"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )
        self.rows = Histogram(
            "vigia_request_rows",
            "Rows of a prediction request",
            buckets=(1, 10, 100, 1_000, 10_000),
            registry=self.registry,
        )
        self.predictions = Counter(
            "vigia_predictions", "Rows predicted and answered", registry=self.registry
        )
        self.stored = Counter(
            "vigia_predictions_stored",
            "Rows that were in the store when they were answered",
            registry=self.registry,
        )
        self.registry.register(_InService(endpoint))

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count one answer, whatever it was."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def count_answer(self, rows: int, *, stored: bool) -> None:
        """Count the rows of one prediction request that was answered."""
        self.rows.observe(rows)
        self.predictions.inc(rows)
        if stored:
            self.stored.inc(rows)


class _Routes:
    """The routes of one app; each returns a response or raises ``Refused``."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        keys: KeyRing,
        batcher: Batcher,
        metrics: Metrics,
        max_body_bytes: int,
        accept_event_time: bool,
    ) -> None:
        self.endpoint = endpoint
        self.keys = keys
        self.batcher = batcher
        self.metrics = metrics
        self.max_body_bytes = max_body_bytes
        self.accept_event_time = accept_event_time
        self.stopping = False

    async def ping(self, request: Request) -> Response:
        """Tell whether the model is there and requests are taken."""
        self._still_open()
        return Response("\n", media_type=JSON)

    async def version(self, request: Request) -> Response:
        """Tell the version of MLflow whose protocol is spoken."""
        return Response(mlflow.__version__, media_type=JSON)

    async def scrape(self, request: Request) -> Response:
        """Give the metrics to Prometheus."""
        told = await asyncio.to_thread(generate_latest, self.metrics.registry)
        return Response(told, media_type=CONTENT_TYPE_LATEST)

    async def invocations(self, request: Request) -> Response:
        """Predict rows given in one of MLflow's forms of JSON, or as CSV."""
        started = time.perf_counter()
        self._still_open()
        client = await self._client(_bearer(request))
        media_type = _media_type(request, JSON, CSV)
        key, event_time = _idempotency_key(request), self._event_time(request)
        body = await self._body(request)
        rows, params = await self._parsed(body, partial(_rows, body, media_type, self.endpoint))
        answer = await self._answer(
            rows, params=params, client=client, key=key, event_time=event_time, started=started
        )
        return _json({"predictions": answer.predictions, "prediction_ids": answer.prediction_ids})

    async def model(self, request: Request) -> Response:
        """Predict one record, called as CML calls a model."""
        started = time.perf_counter()
        self._still_open()
        _media_type(request, JSON)
        key, event_time = _idempotency_key(request), self._event_time(request)
        body = await self._body(request)
        given = await self._parsed(body, partial(parse_json, body))
        access_key = given.pop("accessKey", None)
        client = await self._client(access_key if isinstance(access_key, str) else None)
        record = _only(given, "request")
        answer = await self._answer(
            record_rows(record, self.endpoint.contract),
            params=self.endpoint.contract.parameters(None),
            client=client,
            key=key,
            event_time=event_time,
            started=started,
        )
        response = {"prediction": answer.predictions[0], "uuid": answer.prediction_ids[0]}
        return _json({"success": True, "response": response})

    async def ground_truth(self, request: Request) -> Response:
        """Store labels for predictions, all or none."""
        self._still_open()
        await self._client(_bearer(request))
        _media_type(request, JSON)
        body = await self._body(request)
        labels = _only(await self._parsed(body, partial(parse_json, body)), "labels")
        if not isinstance(labels, list):
            raise bad_request("labels: must be a list")
        return _json(await self.batcher.run(partial(self.endpoint.ground_truth, labels)))

    async def _answer(self, rows: Rows, **about: Any) -> Answer:
        answer = await self.batcher.submit(self.endpoint.request(rows, **about))
        self.metrics.count_answer(rows.count, stored=answer.captured)
        return answer

    def _still_open(self) -> None:
        if self.stopping:
            raise unavailable("the server is stopping")

    async def _client(self, key: str | None) -> str:
        """Return whose key this is; the refusal is the same for none and for a wrong one."""
        if self.keys.is_stale:
            await asyncio.to_thread(self.keys.refresh)
        client = self.keys.client_of(key) if key else None
        if client is None:
            raise Refused(401, "UNAUTHENTICATED", "an access key is needed, and a valid one")
        return client

    def _event_time(self, request: Request) -> datetime | list[datetime] | None:
        given = request.headers.get("x-event-time")
        if given is None:
            return None
        if not self.accept_event_time:
            raise bad_request("X-Event-Time: this server tells the time itself")
        try:
            times = [datetime.fromisoformat(text.strip()) for text in given.split(",")]
        except ValueError as error:
            raise bad_request(f"X-Event-Time: must be times as in ISO 8601 ({error})") from None
        return times[0] if len(times) == 1 else times

    async def _body(self, request: Request) -> bytes:
        """Return the whole body, giving up as soon as it is too long or too late."""
        if int(request.headers.get("content-length", 0)) > self.max_body_bytes:
            raise self._too_large()
        parts, size = [], 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for part in request.stream():
                    size += len(part)
                    if size > self.max_body_bytes:
                        raise self._too_large()
                    parts.append(part)
        except TimeoutError:
            raise Refused(
                408, "REQUEST_TIMEOUT", f"the body did not come within {BODY_TIMEOUT_S:g} s"
            ) from None
        except ClientDisconnect:
            raise bad_request("the body broke off") from None
        return b"".join(parts)

    def _too_large(self) -> Refused:
        limit = f"{self.max_body_bytes} bytes"
        return Refused(413, "REQUEST_TOO_LARGE", f"the body is too large: it has at most {limit}")

    async def _parsed(self, body: bytes, parse: Callable[[], Any]) -> Any:
        return parse() if len(body) <= INLINE_BYTES else await asyncio.to_thread(parse)


def _rows(body: bytes, media_type: str, endpoint: Endpoint) -> tuple[Rows, dict[str, Any]]:
    contract = endpoint.contract
    if media_type == CSV:
        return rows_of_csv(body, contract), contract.parameters(None)
    return rows_of_json(parse_json(body), contract)


def _only(given: dict[str, Any], name: str) -> Any:
    """Return the one value of an object that has no other."""
    for key in given:
        if key != name:
            raise bad_request(f"the key {shown(key)} is not known here")
    if name not in given:
        raise bad_request(f"{name} is missing")
    return given[name]


def _bearer(request: Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None


def _idempotency_key(request: Request) -> UUID | None:
    given = request.headers.get("idempotency-key")
    try:
        return None if given is None else parse_key(given)
    except ValueError as error:
        raise bad_request(f"Idempotency-Key: {error}") from None


def _media_type(request: Request, *known: str) -> str:
    """Return the content type, which must be one of those known, in UTF-8 and not encoded."""
    media_type, *settings = request.headers.get("content-type", "").split(";")
    media_type = media_type.strip().lower()
    charset = [setting.replace(" ", "").lower() for setting in settings]
    if media_type not in known:
        raise _unsupported(
            f"the content type must be {' or '.join(known)}, not {media_type[:80]!r}"
        )
    if any(setting not in ("charset=utf-8", 'charset="utf-8"') for setting in charset):
        raise _unsupported("the content type takes charset=utf-8, and nothing else")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise _unsupported("the body must not be encoded (Content-Encoding)")
    return media_type


def _unsupported(message: str) -> Refused:
    return Refused(415, "UNSUPPORTED_MEDIA_TYPE", message)


def _plain(value: Any) -> str:
    """Return a predicted time or bytes as JSON carries it in a request."""
    return value.isoformat() if isinstance(value, datetime) else base64.b64encode(value).decode()


def _json(content: Any) -> Response:
    return Response(json.dumps(content, allow_nan=False, default=_plain), media_type=JSON)


def _refusal(refused: Refused) -> Response:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}
    return Response(
        json.dumps({"error_code": refused.error_code, "message": refused.message}),
        status_code=refused.status,
        media_type=JSON,
        headers=headers.get(refused.status),
    )


class _App(FastAPI):
    """An application whose description names the version in service, also when it changed."""

    def openapi(self) -> dict[str, Any]:
        version = self.state.routes.endpoint.deployment.model_version
        if version != self.version:
            self.version, self.openapi_schema = version, None
        return super().openapi()


def create_app(
    endpoint: Endpoint,
    *,
    access_keys: Mapping[str, str],
    max_body_bytes: int = MAX_BODY_BYTES,
    accept_event_time: bool = False,
    max_batch_rows: int = MAX_BATCH_ROWS,
) -> FastAPI:
    """Return the endpoint as an ASGI application.

    ``access_keys`` are valid as long as the application lives: key to name of client; those that
    the store has for the deployment are valid beside them. ``accept_event_time`` lets a caller
    say when a prediction was made (``X-Event-Time``), as a replay of traffic must.
    ``max_batch_rows=1`` keeps requests apart, for a model whose answer for a row hangs on the rows
    beside it.

    >>> from utils.serving.example import example_endpoint
    >>> with example_endpoint() as endpoint:
    ...     app = create_app(endpoint, access_keys={"a secret": "tower"})
    ...     sorted(app.openapi()["paths"])[:3]
    ['/ground-truth', '/health', '/invocations']
    """
    if max_body_bytes < 1:
        raise ValueError(f"max_body_bytes={max_body_bytes}: must be at least 1")
    batcher = Batcher(endpoint.answer, max_rows=max_batch_rows)
    metrics = Metrics(endpoint)
    routes = _Routes(
        endpoint,
        keys=KeyRing(access_keys, endpoint.store, endpoint.deployment.name),
        batcher=batcher,
        metrics=metrics,
        max_body_bytes=max_body_bytes,
        accept_event_time=accept_event_time,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        batcher.close()

    app = _App(
        title=f"Vigia: {endpoint.deployment.name}",
        version=endpoint.deployment.model_version,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.routes = routes
    for path, method, route in (
        ("/invocations", "POST", routes.invocations),
        ("/model", "POST", routes.model),
        ("/ground-truth", "POST", routes.ground_truth),
        ("/ping", "GET", routes.ping),
        ("/health", "GET", routes.ping),
        ("/version", "GET", routes.version),
        ("/metrics", "GET", routes.scrape),
    ):
        app.add_api_route(
            path,
            _counted(path, route, metrics),
            methods=[method],
            name=path,
            summary=route.__doc__,
            openapi_extra=operation(path, endpoint.contract),
            response_class=Response,
        )
    app.add_exception_handler(HTTPException, partial(_not_routed, metrics))
    app.add_exception_handler(Exception, partial(_broken, metrics))
    return app


Route = Callable[[Request], Awaitable[Response]]


def _counted(path: str, route: Route, metrics: Metrics) -> Route:
    """Return a route whose refusals are answers too, and which is counted and timed."""

    async def counted(request: Request) -> Response:
        started = time.perf_counter()
        try:
            response = await route(request)
        except Refused as refused:
            response = _refusal(refused)
        metrics.count(path, response.status_code, time.perf_counter() - started)
        return response

    return counted


async def _not_routed(metrics: Metrics, request: Request, error: HTTPException) -> Response:
    """Answer a request for no route, or for a route with another method."""
    metrics.count(_UNKNOWN_ROUTE, error.status_code, 0.0)
    code = _CODES.get(error.status_code, "BAD_REQUEST")
    response = _refusal(Refused(error.status_code, code, f"{request.method}: {error.detail}"))
    response.headers.update(error.headers or {})
    return response


async def _broken(metrics: Metrics, request: Request, error: Exception) -> Response:
    """Answer when our own code failed; what failed is in the server's log, not in the answer."""
    metrics.count(_UNKNOWN_ROUTE, 500, 0.0)
    return _refusal(Refused(500, "INTERNAL_ERROR", "the server failed; its log says how"))


class _Server(uvicorn.Server):
    """Uvicorn that says when it listens, and refuses new requests from SIGTERM on."""

    def __init__(self, app: FastAPI, *, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(STOP_TIMEOUT_S),
            )
        )
        self._routes = app.state.routes
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._routes.stopping = True
        super().handle_exit(sig, frame)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    It names its protocol, TCP: asyncio turns Nagle's algorithm off only for sockets that do, and
    with it on each answer waits 40 ms for an acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1_024)
    except (OSError, OverflowError) as error:
        listening.close()
        raise VigiaError(f"host={host}, port={port}: cannot be listened on ({error})") from error
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _stopped_by_signal(server: _Server) -> Iterator[None]:
    """Let SIGTERM and SIGINT end the server, and not the process.

    Uvicorn takes the signals itself while it serves, and raises them again when it has stopped:
    these handlers are what they meet then, so that the process ends in its own way, with status 0.
    """
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(sig, server.handle_exit) for sig in signals]
    try:
        yield
    finally:
        for sig, handler in zip(signals, before, strict=True):
            signal.signal(sig, handler)


@contextmanager
def running(app: FastAPI, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an app from a thread of this process meanwhile, and give its address.

    When the block ends, what was accepted is answered first. For tests and notebooks; a service
    is a process of its own (``serve``).

    >>> from utils.serving.client import Client
    >>> from utils.serving.example import FLIGHTS, example_endpoint
    >>> with example_endpoint() as endpoint:
    ...     with running(create_app(endpoint, access_keys={"a secret": "tower"})) as url:
    ...         with Client(url, access_key="a secret") as client:
    ...             client.predict(FLIGHTS)["prediction"].tolist()
    [10.0, -15.0]
    """
    ready = threading.Event()
    with _listening(host, port) as listening:
        server = _Server(app, ready=ready.set)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        ready.wait()
        try:
            yield _address(listening)
        finally:
            server.should_exit = True
            thread.join()


def serve(
    *,
    model_uri: str,
    store_url: str,
    deployment: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    tracking_uri: str | None = None,
    accept_event_time: bool = False,
    capture: bool = True,
    max_body_bytes: int = MAX_BODY_BYTES,
    max_rows: int = MAX_ROWS,
    follow: bool = False,
    prepare: Callable[[FastAPI, Endpoint], None] | None = None,
) -> None:
    """Serve a model until SIGTERM or SIGINT; then answer what was accepted, and return.

    The deployment is called as the model is, unless named; it is a new one unless this very
    version is in service under the name already. The access key is ``VIGIA_ACCESS_KEY``, or is
    made and printed once. ``port=0`` is a free port. When requests are taken, a line says where.
    With ``follow`` what stands under the name in the store is served, and what comes to stand there
    later, as ``following`` says; the model is served where nothing stands there yet.
    ``prepare`` is called with the application and its endpoint before that, to add to them.
    """
    access_key = os.environ.get("VIGIA_ACCESS_KEY", "")
    if not access_key.isascii() or any(letter.isspace() for letter in access_key):
        raise VigiaError("VIGIA_ACCESS_KEY: must be ASCII without spaces, to stand in a header")
    with ExitStack() as stack:
        listening = stack.enter_context(_listening(host, port))
        store = stack.enter_context(open_store(store_url))
        about: dict[str, Any] = {"capture": capture, "max_rows": max_rows}
        if follow:
            named = {"model_uri": model_uri, "deployment": deployment, "tracking_uri": tracking_uri}
            endpoint = stack.enter_context(follow_name(store, **named, **about))
        else:
            scorer = load(model_uri, tracking_uri=tracking_uri)
            name = deployment or scorer.model_name
            endpoint = Endpoint(scorer, store, in_service(store, scorer, name=name), **about)
        if not access_key:
            access_key = new_key()
            print(f"access key: {access_key}", flush=True)
        app = create_app(
            endpoint,
            access_keys={access_key: "owner"},
            max_body_bytes=max_body_bytes,
            accept_event_time=accept_event_time,
        )
        if prepare is not None:
            prepare(app, endpoint)
        served = endpoint.deployment
        said = f"serving {served.name} ({served.model_uri}) at {_address(listening)}"
        server = _Server(app, ready=partial(print, said, flush=True))
        with _stopped_by_signal(server):
            server.run([listening])
