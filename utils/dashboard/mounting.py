"""Mounting the page in an endpoint's application."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from utils.dashboard.access import HOME, NOW, RUNBOOKS, Guard, Sessions, language_of
from utils.dashboard.reader import Reader
from utils.dashboard.snapshot import Alert
from utils.dashboard.view import runbook_page, sign_in_page, view_of
from utils.records import utc_now
from utils.text import using

if TYPE_CHECKING:
    from fastapi import FastAPI

    from utils.serving.endpoint import Endpoint


def mount(
    app: FastAPI,
    endpoint: Endpoint,
    *,
    alerts: Callable[[], Sequence[Alert]] | None = None,
    runbooks: Mapping[str, Mapping[str, str]] | None = None,
    clock: Callable[[], datetime] = utc_now,
    seconds: Callable[[], float] = time.monotonic,
) -> Reader:
    """Mount the live page at ``/monitoring`` of an endpoint's application; return its reader.

    The page is behind the endpoint's own keys. It reads while the application runs, in one thread
    for all viewers. ``alerts`` returns the alerts to show; ``runbooks`` are the pages, in Markdown,
    that they lead to: by language and by name, each at ``/monitoring/runbooks/LANGUAGE/NAME``. What
    it tells of requests is what this very process answered; of predictions, whatever is stored of
    the deployment. ``clock`` and ``seconds`` are those of the reader: a simulation has its own.
    """
    from panel.io.fastapi import add_applications

    books = runbooks or {}
    reader = Reader(
        endpoint,
        app.state.routes.metrics,
        alerts=alerts,
        runbooks=frozenset().union(*books.values()),
        clock=clock,
        seconds=seconds,
    )
    before = len(app.router.routes)
    pages = add_applications({HOME: view_of(reader)}, app=app, title="Vigia", location=False)
    app.state.monitoring = pages
    app.add_api_route(NOW, _now_of(reader), methods=["GET"], response_class=Response)
    address = f"{RUNBOOKS}/{{language}}/{{name}}"
    app.add_api_route(address, _runbook_of(books), methods=["GET"], response_class=Response)
    for route in app.router.routes[before:]:
        route.include_in_schema = False  # type: ignore[attr-defined]
    app.add_middleware(
        Guard,
        sessions=Sessions(app.state.routes.keys),
        form=partial(sign_in_page, endpoint.deployment.name),
        on_left=partial(_forget_left, pages),
    )
    served = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        reader.start()
        try:
            async with served(app) as state:
                yield state
        finally:
            reader.stop()

    app.router.lifespan_context = lifespan
    return reader


def _runbook_of(books: Mapping[str, Mapping[str, str]]) -> Callable[[Request], Response]:
    """Return the route that shows a runbook."""

    def runbook(request: Request) -> Response:
        """Show what to do about an alert."""
        code, name = (request.path_params[each] for each in ("language", "name"))
        text = books.get(code, {}).get(name)
        if text is None:
            raise HTTPException(404)
        with using(code):
            return Response(runbook_page(name, text), media_type="text/html")

    return runbook


def _now_of(reader: Reader) -> Callable[[Request], Awaitable[Response]]:
    """Return the route that tells what is new since the version that a viewer has."""

    async def now(request: Request) -> Response:
        """Tell what the page says now, or nothing where the viewer has that already."""
        made = await asyncio.to_thread(reader.made, language_of(request.scope))
        headers = {"cache-control": "no-store"}
        if request.query_params.get("after") == str(made.page.version):
            return Response(status_code=204, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(made.sent, media_type="application/json", headers=headers)
        return Response(gzip.decompress(made.sent), media_type="application/json", headers=headers)

    return now


def _forget_left(pages: Any) -> None:
    """Let go of viewers whose connection has ended, so that their sessions are dropped in time.

    The adapter between Bokeh and FastAPI does so only where the socket raises, and a socket that is
    closed by its page does not.
    """
    for connection in list(pages._clients):
        if connection._socket._socket.client_state.name == "DISCONNECTED":
            pages.client_lost(connection)
