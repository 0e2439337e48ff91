"""Who may look: the holder of an access key, once signed in, for half a day.

A session is a cookie that tells when it ends, signed with a secret of this process over the key it
was opened with: it cannot be forged, ends with the process and ends when its key is revoked. It is
for this server's own pages alone (``SameSite=Strict``), out of reach of scripts (``HttpOnly``).
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from utils.serving.keys import KeyRing, hash_key
from utils.text import LANGUAGES, using

COOKIE = "vigia_session"
LASTS_S = 12 * 3_600
FORM_BYTES = 4_096
CHECKED_S = 2.0
"""An open page is asked for its session again after this long."""

HOME = "/monitoring"
NOW, SIGN_IN, SIGN_OUT = f"{HOME}/now", f"{HOME}/sign-in", f"{HOME}/sign-out"
RUNBOOKS = f"{HOME}/runbooks"
"""Below it stands each runbook, by its language and its name."""

GUARDED = (HOME, "/static", "/components")
"""The paths behind the key, and all below them."""

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}
"""The page's own scripts need ``unsafe-inline`` and ``unsafe-eval``: Bokeh writes them so. Nothing
is fetched from anywhere else, whatever a page asks for."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Sessions:
    """Opens sessions for keys, and knows its own again.

    >>> from utils.store.example import example_store
    >>> with example_store() as store:
    ...     sessions = Sessions(KeyRing({"a secret": "owner"}, store, "flights"))
    ...     token = sessions.opened("a secret")
    ...     sessions.client_of(token), sessions.client_of(token + "0"), sessions.opened("a guess")
    ('owner', None, None)
    """

    def __init__(self, keys: KeyRing, *, clock: Callable[[], float] = time.time) -> None:
        self.keys = keys
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._closed: set[str] = set()

    def opened(self, key: str) -> str | None:
        """Return the token of a new session, or ``None`` for a key that opens nothing."""
        if self.keys.client_of(key) is None:
            return None
        about = f"{int(self._clock()) + LASTS_S}.{secrets.token_hex(8)}"
        return f"{about}.{self._signed(about, hash_key(key))}"

    def client_of(self, token: str) -> str | None:
        """Return whose session this is; ``None`` when it is over, closed or not one of ours."""
        about, _, signature = token.rpartition(".")
        ends = about.partition(".")[0]
        if not (token.isascii() and ends.isdigit()) or token in self._closed:
            return None
        if int(ends) <= self._clock():
            return None
        return self.keys.client_whose(
            lambda known: hmac.compare_digest(self._signed(about, known), signature)
        )

    def close(self, token: str) -> None:
        """Let a session end now."""
        if self.client_of(token) is not None:
            self._closed.add(token)

    def _signed(self, about: str, key_hash: str) -> str:
        return hmac.digest(self._secret, f"{about}.{key_hash}".encode(), "sha256").hex()


class Guard:
    """An ASGI layer before the page: signs in and out, and lets through whoever may look.

    ``form`` returns the sign-in page, given what went wrong and where to go afterwards. ``on_left``
    is called after a viewer's connection has ended.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        *,
        sessions: Sessions,
        form: Callable[..., str],
        on_left: Callable[[], None],
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._form = form
        self._on_left = on_left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or not _is_guarded(path):
            await self._app(scope, receive, send)
            return
        if self._sessions.keys.is_stale:
            await asyncio.to_thread(self._sessions.keys.refresh)
        if scope["type"] == "websocket":
            await self._watch(scope, receive, send)
        elif path in (SIGN_IN, SIGN_OUT):
            await self._sign(scope, receive, send)
        elif self._client(scope) is not None:
            await self._app(scope, receive, _with_headers(send))
        elif (path == HOME or runbook_of(scope)) and scope["method"] == "GET":
            await self._show_form(scope, send, status=401)
        else:
            await _answer(send, 401, "An access key is needed, and a valid one: sign in first.\n")

    def _client(self, scope: Scope) -> str | None:
        """Return who asks: by session, or by the key itself as other routes take it."""
        scheme, _, key = _header(scope, "authorization").partition(" ")
        if scheme.lower() == "bearer":
            return self._sessions.keys.client_of(key.strip())
        return self._sessions.client_of(_token(scope))

    async def _watch(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a page's connection live as long as its session does."""
        if self._client(scope) is None or not _is_same_origin(scope):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        checked_at, is_open = time.monotonic(), True

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal checked_at, is_open
            if is_open and time.monotonic() - checked_at > CHECKED_S:
                checked_at = time.monotonic()
                if self._sessions.keys.is_stale:
                    await asyncio.to_thread(self._sessions.keys.refresh)
                if self._client(scope) is None:
                    is_open = False
                    await send({"type": "websocket.close", "code": 1008})
            if is_open:
                await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            self._on_left()

    async def _sign(self, scope: Scope, receive: Receive, send: Send) -> None:
        language = language_of(scope)
        if scope["method"] == "GET" and scope["path"] == SIGN_IN:
            await self._show_form(scope, send, status=200)
            return
        if scope["method"] != "POST":
            await _answer(send, 405, "GET or POST\n", {"allow": "GET, POST"})
            return
        if not _is_same_origin(scope):
            await _answer(send, 403, "The form of another site is not taken.\n")
            return
        home = {"location": f"{HOME}?language={language}"}
        asked = {"location": runbook_of(scope) or home["location"]}
        if scope["path"] == SIGN_OUT:
            self._sessions.close(_token(scope))
            await _answer(send, 303, "", home | {"set-cookie": _cookie(scope, "", lasts_s=0)})
            return
        given = await _form_of(receive)
        token = self._sessions.opened(given.get("access_key", "").strip())
        if token is None:
            await self._show_form(scope, send, status=401, is_wrong=True)
            return
        cookie = _cookie(scope, token, lasts_s=LASTS_S)
        await _answer(send, 303, "", asked | {"set-cookie": cookie})

    async def _show_form(
        self, scope: Scope, send: Send, *, status: int, is_wrong: bool = False
    ) -> None:
        with using(language_of(scope)):
            text = self._form(is_wrong=is_wrong, to=runbook_of(scope))
        await _answer(send, status, text, {"content-type": "text/html; charset=utf-8"})


def language_of(scope: Scope) -> str:
    """Return the language that an address asks for, else the one that the browser prefers.

    A runbook's address has it in its path.

    >>> language_of({"query_string": b"language=en"}), language_of({"query_string": b"language=x"})
    ('en', 'pt')
    """
    asked = _asked(scope, "language")
    if found := _RUNBOOK.fullmatch(scope.get("path", "")):
        asked = asked or found["language"]
    if asked in LANGUAGES:
        return asked
    preferred = [each.strip()[:2].lower() for each in _header(scope, "accept-language").split(",")]
    return next((each for each in preferred if each in LANGUAGES), LANGUAGES[0])


def runbook_of(scope: Scope) -> str:
    """Return the address of the runbook that is asked for, itself or after signing in; else ``""``.

    >>> runbook_of({"path": "/monitoring/runbooks/en/drift.md", "query_string": b""})
    '/monitoring/runbooks/en/drift.md'
    >>> runbook_of({"path": "/monitoring/sign-in", "query_string": b"to=//elsewhere/drift.md"})
    ''
    """
    return next(
        (each for each in (scope["path"], _asked(scope, "to")) if _RUNBOOK.fullmatch(each)), ""
    )


_RUNBOOK = re.compile(rf"{RUNBOOKS}/(?P<language>{'|'.join(LANGUAGES)})/[\w-]+\.md", re.ASCII)


def _asked(scope: Scope, name: str) -> str:
    return parse_qs(scope["query_string"].decode("latin-1")).get(name, [""])[0]


def _is_guarded(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in GUARDED)


def _header(scope: Scope, name: str) -> str:
    wanted = name.encode()
    found = [value for key, value in scope.get("headers", ()) if key == wanted]
    return found[0].decode("latin-1") if found else ""


def _token(scope: Scope) -> str:
    try:
        cookies = SimpleCookie(_header(scope, "cookie"))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def _is_same_origin(scope: Scope) -> bool:
    """Tell whether a page of this server asks; a caller that is no browser names no origin."""
    origin = _header(scope, "origin")
    return not origin or urlsplit(origin).netloc.lower() == _header(scope, "host").lower()


def _cookie(scope: Scope, token: str, *, lasts_s: int) -> str:
    secure = "; Secure" if scope.get("scheme") in ("https", "wss") else ""
    return f"{COOKIE}={token}; Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict{secure}"


async def _form_of(receive: Receive) -> dict[str, str]:
    """Return the fields of a short form; of a longer one nothing."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return {}
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("latin-1"))
    return {name: found[0] for name, found in fields.items()}


async def _answer(
    send: Send, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    body = text.encode()
    own = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    every = own | {"cache-control": "no-store"} | HEADERS | (headers or {})
    listed = [(name.encode(), value.encode()) for name, value in every.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        await send(message)

    return sent
