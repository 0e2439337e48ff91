"""Who may look: sessions, and what the guard lets through."""

import asyncio

import pytest

from utils.dashboard.access import COOKIE, LASTS_S, Guard, Sessions
from utils.serving.keys import KeyRing, hash_key, issue_key
from utils.store.example import example_store


@pytest.fixture
def store():
    with example_store() as opened:
        yield opened


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def sessions_of(store, clock):
    ring = KeyRing({"a secret": "owner"}, store, "flights", clock=clock)
    return Sessions(ring, clock=clock)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions(store, clock):
    return sessions_of(store, clock)


def test_a_session_knows_whose_it_is_until_it_is_over(sessions, clock):
    token = sessions.opened("a secret")
    clock.now += LASTS_S - 1
    assert sessions.client_of(token) == "owner"
    clock.now += 1
    assert sessions.client_of(token) is None


def test_a_session_that_somebody_made_longer_is_none(sessions):
    ends, nonce, signature = sessions.opened("a secret").split(".")
    assert sessions.client_of(f"{int(ends) + 1}.{nonce}.{signature}") is None


@pytest.mark.parametrize("token", ["", "x", "..", "9999999999..", "９.x.y", "a" * 5_000])
def test_what_is_no_token_opens_nothing(sessions, token):
    assert sessions.client_of(token) is None


def test_another_process_does_not_know_the_session(sessions, store, clock):
    assert sessions_of(store, clock).client_of(sessions.opened("a secret")) is None


def test_a_session_ends_with_its_key(sessions, store, clock):
    key = issue_key(store, "flights", client="tower")
    sessions.keys.refresh()
    token = sessions.opened(key)
    assert sessions.client_of(token) == "tower"
    store.revoke_key("flights", hash_key(key))
    sessions.keys.refresh()
    assert sessions.client_of(token) is None


def test_a_closed_session_stays_closed(sessions):
    token, other = sessions.opened("a secret"), sessions.opened("a secret")
    sessions.close(token)
    assert (sessions.client_of(token), sessions.client_of(other)) == (None, "owner")


# ------------------------------------------------------------------------------- the guard


async def inner(scope, receive, send):
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(2):
            await send({"type": "websocket.send", "text": "numbers"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"inside"})


def asked(sessions, path, *, kind="http", method="GET", body=b"", scheme="http", **headers):
    """Return what the guard sends, given headers by name."""
    sent, left = [], []
    guard = Guard(
        inner,
        sessions=sessions,
        form=lambda is_wrong, to: f"form, wrong: {is_wrong}{to}",
        on_left=lambda: left.append(1),
    )
    address, _, query = path.partition("?")
    named = {"host": "here:1", **{name.replace("_", "-"): v for name, v in headers.items()}}
    scope = {
        "type": kind,
        "method": method,
        "path": address,
        "query_string": query.encode(),
        "scheme": scheme,
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }

    async def receive():
        if kind == "websocket":
            return {"type": "websocket.connect"}
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent


def answer(sent):
    start, end = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, end["body"].decode()


def cookie(sessions):
    return f"{COOKIE}={sessions.opened('a secret')}"


@pytest.mark.parametrize("path", ["/invocations", "/ping", "/monitoringx", "/statics"])
def test_other_paths_are_none_of_the_guards_business(sessions, path):
    status, headers, text = answer(asked(sessions, path))
    assert (status, text, headers) == (200, "inside", {})


@pytest.mark.parametrize(
    "path", ["/monitoring/ws", "/monitoring/x", "/static/js/bokeh.min.js", "/components/a/b"]
)
def test_without_a_session_nothing_of_the_page_is_given(sessions, path):
    assert answer(asked(sessions, path))[0] == 401
    assert answer(asked(sessions, path, cookie=f"{COOKIE}=1.2.3"))[0] == 401
    assert answer(asked(sessions, path, cookie=cookie(sessions)))[2] == "inside"


def test_without_a_session_the_page_is_the_form(sessions):
    status, headers, text = answer(asked(sessions, "/monitoring"))
    assert (status, text) == (401, "form, wrong: False")
    assert headers["cache-control"] == "no-store"


def test_the_key_itself_opens_the_page_as_it_opens_the_endpoint(sessions):
    status, headers, text = answer(asked(sessions, "/monitoring", authorization="Bearer a secret"))
    assert (status, text) == (200, "inside")
    assert "default-src 'self'" in headers["content-security-policy"]
    assert answer(asked(sessions, "/monitoring", authorization="Bearer a guess"))[0] == 401


def test_the_right_key_gets_a_cookie_out_of_reach_of_scripts_and_of_other_sites(sessions):
    status, headers, _ = answer(
        asked(
            sessions,
            "/monitoring/sign-in?language=en",
            method="POST",
            body=b"access_key=+a+secret+",
            origin="http://here:1",
        )
    )
    assert (status, headers["location"]) == (303, "/monitoring?language=en")
    token, *about = headers["set-cookie"].split("; ")
    assert about == ["Path=/", f"Max-Age={LASTS_S}", "HttpOnly", "SameSite=Strict"]
    assert sessions.client_of(token.removeprefix(f"{COOKIE}=")) == "owner"


def test_over_https_the_cookie_goes_over_https_alone(sessions):
    sent = asked(
        sessions, "/monitoring/sign-in", method="POST", body=b"access_key=a+secret", scheme="https"
    )
    assert answer(sent)[1]["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    "body", [b"", b"access_key=", b"access_key=a+guess", b"a" * 5_000, b"\xff\xfe", b"key=a+secret"]
)
def test_a_wrong_key_or_no_key_gets_the_form_again_and_no_cookie(sessions, body):
    status, headers, text = answer(asked(sessions, "/monitoring/sign-in", method="POST", body=body))
    assert (status, text) == (401, "form, wrong: True")
    assert "set-cookie" not in headers


@pytest.mark.parametrize("path", ["/monitoring/sign-in", "/monitoring/sign-out"])
@pytest.mark.parametrize("origin", ["http://elsewhere", "null", "http://here:2"])
def test_the_form_of_another_site_is_refused(sessions, path, origin):
    given = cookie(sessions)
    sent = asked(
        sessions, path, method="POST", body=b"access_key=a+secret", origin=origin, cookie=given
    )
    assert answer(sent)[0] == 403
    assert sessions.client_of(given.removeprefix(f"{COOKIE}=")) == "owner"


RUNBOOK = "/monitoring/runbooks/en/drift.md"


def test_a_runbook_is_behind_the_key_and_the_form_leads_to_it(sessions):
    status, _, text = answer(asked(sessions, RUNBOOK))
    assert (status, text) == (401, f"form, wrong: False{RUNBOOK}")
    assert answer(asked(sessions, RUNBOOK, cookie=cookie(sessions)))[2] == "inside"
    form = f"/monitoring/sign-in?language=en&to={RUNBOOK}"
    status, headers, _ = answer(
        asked(sessions, form, method="POST", body=b"access_key=a+secret", origin="http://here:1")
    )
    assert (status, headers["location"]) == (303, RUNBOOK)
    status, _, text = answer(asked(sessions, form, method="POST", body=b"access_key=a+guess"))
    assert (status, text) == (401, f"form, wrong: True{RUNBOOK}")


@pytest.mark.parametrize(
    "to",
    [
        "http://elsewhere/monitoring/runbooks/en/drift.md",
        "//elsewhere/drift.md",
        "/monitoring/runbooks/en/../../../x.md",
        "/monitoring/runbooks/en/%0d%0aset-cookie:x.md",
        "/monitoring/runbooks/fr/drift.md",
    ],
)
def test_the_form_leads_nowhere_but_to_a_runbook_or_home(sessions, to):
    sent = asked(
        sessions,
        f"/monitoring/sign-in?language=en&to={to}",
        method="POST",
        body=b"access_key=a+secret",
    )
    assert answer(sent)[1]["location"] == "/monitoring?language=en"


def test_signing_out_ends_the_session_and_takes_the_cookie_back(sessions):
    given = cookie(sessions)
    status, headers, _ = answer(
        asked(sessions, "/monitoring/sign-out", method="POST", cookie=given)
    )
    assert status == 303 and "Max-Age=0" in headers["set-cookie"]
    assert answer(asked(sessions, "/monitoring", cookie=given))[0] == 401


def test_a_link_signs_nobody_out(sessions):
    given = cookie(sessions)
    assert answer(asked(sessions, "/monitoring/sign-out", cookie=given))[0] == 405
    assert answer(asked(sessions, "/monitoring", cookie=given))[0] == 200


@pytest.mark.parametrize(
    "headers", [{}, {"cookie": f"{COOKIE}=1.2.3"}, {"origin": "http://elsewhere"}]
)
def test_a_connection_without_a_session_or_from_another_site_is_closed(sessions, headers):
    if "origin" in headers:
        headers = {**headers, "cookie": cookie(sessions)}
    sent = asked(sessions, "/monitoring/ws", kind="websocket", **headers)
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_connection_with_a_session_is_let_through(sessions):
    sent = asked(
        sessions,
        "/monitoring/ws",
        kind="websocket",
        cookie=cookie(sessions),
        origin="http://here:1",
    )
    assert [each["type"] for each in sent] == [
        "websocket.accept",
        "websocket.send",
        "websocket.send",
    ]


def test_an_open_connection_is_closed_when_its_session_is_over(sessions, monkeypatch):
    monkeypatch.setattr("utils.dashboard.access.CHECKED_S", -1.0)
    given = cookie(sessions)
    let_through = sessions.client_of
    known = iter([True, True])
    monkeypatch.setattr(
        sessions, "client_of", lambda token: let_through(token) if next(known, False) else None
    )
    sent = asked(sessions, "/monitoring/ws", kind="websocket", cookie=given)
    assert [each["type"] for each in sent] == ["websocket.accept", "websocket.close"]


def test_the_language_of_the_form_is_that_of_the_address_else_that_of_the_browser(sessions):
    from utils.dashboard.access import language_of

    def scope(query, accepted):
        return {"query_string": query, "headers": [(b"accept-language", accepted)]}

    assert language_of(scope(b"language=pt", b"en")) == "pt"
    assert language_of(scope(b"", b"fr, en-GB;q=0.7")) == "en"
    assert language_of(scope(b"", b"pt") | {"path": RUNBOOK}) == "en"
    assert language_of(scope(b"language=xx", b"")) == "pt"
