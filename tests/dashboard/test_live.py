"""The page in a real browser: signed in to, watched while requests come, read by keyboard."""

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import pairwise

import httpx
import pandas as pd
import pytest
from playwright.sync_api import expect, sync_playwright
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.dashboard.builders import Fired, line
from tests.services import missing
from utils.dashboard.mounting import mount
from utils.dashboard.reader import PERIOD_S
from utils.operations.rules import read_rules
from utils.operations.runbooks import RULES
from utils.serving.app import create_app, running
from utils.serving.client import Client
from utils.serving.example import FLIGHTS, example_endpoint, example_model
from utils.serving.keys import hash_key, issue_key

KEY = "a key for tests"

pytestmark = [  # Panel asks Tornado for a request in a way that Tornado will drop in 6.7.
    pytest.mark.filterwarnings("ignore:The method, uri, and version arguments:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The start_line argument:DeprecationWarning"),
]


class Page:
    """An endpoint with its page, and what the tests do with them."""

    def __init__(self, url, endpoint, app):
        self.url = url
        self.endpoint = endpoint
        self.app = app

    def viewers(self):
        """Return how many connections the server holds."""
        return len(self.app.state.monitoring._clients)

    def predict(self, times):
        with Client(self.url, access_key=KEY) as client:
            for _ in range(times):
                client.predict(FLIGHTS)

    def signed_in(self, key=KEY):
        response = httpx.post(f"{self.url}/monitoring/sign-in", data={"access_key": key})
        return dict(response.cookies)


@pytest.fixture(scope="module")
def live():
    measured = [
        line("performance", "mae", 18.5, low=17, high=20, threshold_high=17.5, alarm=True),
        line("drift", "psi", 0.31, feature="carrier", threshold_high=0.1, alarm=True),
        line("drift", "psi", 0.02, feature="departure_delay_min", threshold_high=0.1),
        line("drift", "psi", 0.01, feature="a_name_that_" + "goes_on_" * 6, threshold_high=0.1),
        *(line("performance", "mae", 17.0, week=week) for week in range(-8, 0)),
    ]
    with example_endpoint() as endpoint:
        endpoint.store.write_measurements("flights", pd.DataFrame(measured))
        app = create_app(endpoint, access_keys={KEY: "owner"})
        reader = mount(
            app,
            endpoint,
            alerts=lambda: [Fired()],
            runbooks={"en": {"rose.md": "# Error"}, "pt": {"rose.md": "# Erro"}},
        )
        with running(app) as url:
            page = Page(url, endpoint, app)
            page.predict(1)
            wait_until(lambda: reader.snapshot.answers)
            yield page


@pytest.fixture(scope="module")
def chromium():
    path = os.environ.get("VIGIA_CHROMIUM") or shutil.which("chromium")
    if path is None:
        missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        expect.set_options(timeout=20_000)
        yield browser
        browser.close()


@contextmanager
def opened(chromium, live, *, language="en", key=KEY):
    """Give a signed-in page, and every address that it asked for."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page, asked, broken = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    try:
        page.goto(f"{live.url}/monitoring?language={language}")
        page.get_by_label("Access key" if language == "en" else "Chave de acesso").fill(key)
        page.keyboard.press("Enter")
        expect(page.locator(".cards")).to_be_visible()
        expect(page.locator('.picture [tabindex="-1"]')).to_have_count(5)
        yield page, asked
    finally:
        context.close()
    assert broken == []


def card(page, name):
    text = page.locator(".card", has=page.get_by_text(name, exact=True)).locator("b").inner_text()
    return int(re.sub(r"\D", "", text))


# ------------------------------------------------------------------------------- who may look


def test_without_a_session_the_page_is_a_form_and_its_parts_are_refused(live):
    page = httpx.get(f"{live.url}/monitoring")
    assert page.status_code == 401
    assert 'type="password"' in page.text and "flights" in page.text
    for path in ("/static/js/bokeh.min.js", "/monitoring/autoload.js"):
        assert httpx.get(live.url + path).status_code == 401


def test_a_wrong_key_is_refused_and_says_so(live):
    response = httpx.post(f"{live.url}/monitoring/sign-in", data={"access_key": "a guess"})
    assert response.status_code == 401 and "set-cookie" not in response.headers
    assert 'role="alert"' in response.text


def test_without_a_session_the_connection_is_refused(live):
    signed = live.signed_in()
    text = httpx.get(f"{live.url}/monitoring", cookies=signed).text
    token = re.search(r'"token":"([^"]+)"', text)[1]
    address = live.url.replace("http", "ws") + "/monitoring/ws"
    with pytest.raises(InvalidStatus, match="403"):
        connect(address, subprotocols=["bokeh", token]).close()
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in signed.items())}
    for origin in ("http://elsewhere", "null"):
        with pytest.raises(InvalidStatus, match="403"):
            connect(
                address, subprotocols=["bokeh", token], additional_headers=cookie, origin=origin
            ).close()
    with connect(address, subprotocols=["bokeh", token], additional_headers=cookie) as socket:
        assert "ACK" in socket.recv(timeout=20)


def test_the_endpoint_is_as_it_was(live):
    assert httpx.get(f"{live.url}/ping").status_code == 200
    assert httpx.get(f"{live.url}/invocations").status_code == 405
    assert set(httpx.get(f"{live.url}/openapi.json").json()["paths"]) == {
        "/invocations",
        "/model",
        "/ground-truth",
        "/ping",
        "/health",
        "/version",
        "/metrics",
    }


def wait_until(holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.2)


# ------------------------------------------------------------------------------- the page


@pytest.mark.parametrize(
    ("language", "tag", "words"),
    [
        (
            "pt",
            "pt-BR",
            ("Requisições e erros", "Desempenho realizado e estimado", "Deriva por variável",
             "o erro passou de 15", "reverter", "18,5", "▲ além do limiar"),
        ),
        (
            "en",
            "en",
            ("Requests and errors", "Realised and estimated performance", "Drift by feature",
             "the error went beyond 15", "roll back", "18.5", "▲ beyond"),
        ),
    ],
)  # fmt: skip
def test_the_numbers_change_while_requests_come_and_nothing_leaves_the_host(
    chromium, live, language, tag, words
):
    names = {"pt": ("Requisições", "Previsões guardadas"), "en": ("Requests", "Predictions stored")}
    with opened(chromium, live, language=language) as (page, asked):
        assert page.locator("html").get_attribute("lang") == tag
        for each in words:
            expect(page.get_by_text(each).first).to_be_visible()
        expect(page.locator("#picture-performance .bk-Canvas").first).to_be_visible()
        requests, stored = (card(page, name) for name in names[language])
        live.predict(7)
        expect(
            page.locator(".card", has=page.get_by_text(names[language][0], exact=True)).locator("b")
        ).to_have_text(str(requests + 7))
        assert card(page, names[language][1]) == stored + 7 * len(FLIGHTS)
        elsewhere = [
            each
            for each in asked
            if not re.sub(r"^ws", "http", each).startswith((live.url, "data:", "blob:"))
        ]
        assert elsewhere == []
        assert any(each.startswith("ws") for each in asked)


def test_what_a_viewer_gets_is_the_same_for_all_and_only_what_is_new(live):
    cookies = live.signed_in()
    address = f"{live.url}/monitoring/now?language=en"
    with httpx.Client(cookies=cookies) as viewer:
        first, second = (viewer.get(address) for _ in range(2))
        assert first.headers["content-encoding"] == "gzip"
        plain = viewer.get(address, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.json()["shape"] == first.json()["shape"] == second.json()["shape"]
        wait_until(
            lambda: (
                viewer.get(f"{address}&after={viewer.get(address).json()['version']}").status_code
                == 204
            )
        )
    assert httpx.get(address).status_code == 401


def test_a_page_tells_the_server_nothing_while_it_is_looked_at(chromium, live):
    with opened(chromium, live) as (page, _):
        page.wait_for_timeout(1_500)
        session = page.context.new_cdp_session(page)
        sent = []
        session.on("Network.webSocketFrameSent", lambda about: sent.append(about))
        session.send("Network.enable")
        before = card(page, "Requests")
        live.predict(2)
        expect(
            page.locator(".card", has=page.get_by_text("Requests", exact=True)).locator("b")
        ).to_have_text(str(before + 2))
        page.wait_for_timeout(500)
        assert sent == []
        drawn = "Bokeh.documents[0].get_model_by_name('requests-columns').data.answered"
        assert page.evaluate(f"Math.max(...{drawn})") >= 2


def test_a_server_that_is_gone_is_said(chromium, live):
    with opened(chromium, live) as (page, _):
        lost = page.get_by_text("The server does not answer")
        expect(lost).to_be_hidden()
        page.route("**/monitoring/now*", lambda route: route.abort())
        expect(lost).to_be_visible()
        page.unroute("**/monitoring/now*")
        expect(lost).to_be_hidden()


def test_who_reads_a_table_keeps_their_place_when_its_numbers_change(chromium, live):
    with opened(chromium, live) as (page, _):
        page.add_style_tag(content=".wide { max-height: 8rem !important; }")
        table = page.get_by_role("region", name="Requests by minute")
        table.focus()
        table.evaluate("each => each.scrollTop = 30")
        before = card(page, "Requests")
        live.predict(1)
        expect(
            page.locator(".card", has=page.get_by_text("Requests", exact=True)).locator("b")
        ).to_have_text(str(before + 1))
        assert table.evaluate("each => [document.activeElement === each, each.scrollTop]") == [
            True,
            30,
        ]


def test_a_revoked_key_turns_the_open_page_into_the_form(chromium, live):
    key = issue_key(live.endpoint.store, "flights", client="guest")
    wait_until(lambda: live.signed_in(key))
    with opened(chromium, live, key=key) as (page, _):
        live.endpoint.store.revoke_key("flights", hash_key(key))
        expect(page.get_by_label("Access key")).to_be_visible()


def test_by_keyboard_the_page_is_walked_in_order_and_what_has_the_focus_is_seen(chromium, live):
    focus = """() => {
        let at = document.activeElement
        while (at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement
        const style = getComputedStyle(at)
        const name = at.getAttribute('aria-label') || at.innerText
        return [at.tagName, name.trim(), parseFloat(style.outlineWidth) > 1]
    }"""
    with opened(chromium, live) as (page, _):
        page.locator("body").focus()
        seen = []
        for _ in range(14):
            page.keyboard.press("Tab")
            seen.append(page.evaluate(focus))
        names = [name for _, name, _ in seen]
        assert names[:5] == ["Skip to the content", "Português", "English", "Sign out", "Pause"]
        assert (
            "Requests by minute" in names
            and "Performance in the newest window that has a value" in names
        )
        assert [name for _, name, is_seen in seen[:9] if not is_seen] == []


def test_a_viewer_who_pauses_is_left_in_peace_until_they_resume(chromium, live):
    with opened(chromium, live) as (page, _):
        page.get_by_role("button", name="Pause").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        before = card(page, "Requests")
        live.predict(3)
        page.wait_for_timeout(2_200 * PERIOD_S)
        assert card(page, "Requests") == before
        page.get_by_role("button", name="Resume").click()
        expect(
            page.locator(".card", has=page.get_by_text("Requests", exact=True)).locator("b")
        ).to_have_text(str(before + 3))


def test_a_screen_reader_finds_landmarks_headings_tables_and_a_polite_summary(chromium, live):
    with opened(chromium, live) as (page, _):
        for role in ("banner", "main", "navigation"):
            assert page.get_by_role(role).count() == 1
        headings = page.get_by_role("heading", level=2).all_inner_texts()
        assert len(headings) == 7
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.get_by_role("region", name="Latency", exact=True).count() == 1
        assert page.get_by_role("table").count() == page.locator("caption").count() == 5
        assert page.locator('[role="status"][aria-live="polite"]').count() == 1
        hidden = page.locator('[aria-hidden="true"]')
        assert hidden.locator("a, button, input, [tabindex='0']").count() == 0
        names = [each.get_attribute("aria-label") for each in page.locator(".wide").all()]
        assert len(set(names)) == 5


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_a_telephone_and_a_desk(chromium, live, width):
    with opened(chromium, live) as (page, _):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )


def test_the_ticks_of_an_axis_do_not_overlap_on_a_telephone(chromium, live):
    edges = """() => {
        const found = []
        const into = root => root.querySelectorAll('*').forEach(each => {
            if (each.tagName === 'text') {
                const box = each.getBoundingClientRect()
                found.push([each.textContent, box.left, box.right])
            }
            if (each.shadowRoot) into(each.shadowRoot)
        })
        into(document.getElementById('picture-performance'))
        return found
    }"""
    with opened(chromium, live) as (page, _):
        page.set_viewport_size({"width": 360, "height": 900})
        page.wait_for_timeout(1_500)
        days = sorted(
            {
                (left, right)
                for text, left, right in page.evaluate(edges)
                if re.fullmatch(r"\d\d \w{3} 13", text)
            }
        )
        assert len(days) >= 2
        assert all(right < left for (_, right), (left, _) in pairwise(days))


def test_an_alert_leads_to_its_runbook_and_back(chromium, live):
    with opened(chromium, live) as (page, _):
        page.get_by_role("link", name="rose.md").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Error")
        page.get_by_role("link", name="Português").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Erro")
        page.get_by_role("link", name="Voltar ao painel").click()
        expect(page.locator(".cards")).to_be_visible()
        assert page.request.get(f"{live.url}/monitoring/runbooks/en/no.md").status == 404


def test_nothing_is_drawn_of_nothing_and_what_comes_is_drawn_in_its_size(chromium):
    with example_endpoint() as endpoint:
        app = create_app(endpoint, access_keys={KEY: "owner"})
        mount(app, endpoint)
        with running(app) as url:
            live = Page(url, endpoint, app)
            with opened(chromium, live) as (page, _):
                pictures = page.locator(".picture")
                assert [each.is_visible() for each in pictures.all()] == [False] * 5
                live.predict(1)
                drawn = page.locator("#picture-requests .bk-Figure")
                expect(drawn).to_be_visible()
                wait_until(lambda: drawn.bounding_box()["width"] > 300)
                expect(page.locator("#picture-answers .bk-Figure")).to_be_visible()
                expect(page.locator("#picture-drift")).to_be_hidden()


def test_signing_out_leads_back_to_the_form(chromium, live):
    with opened(chromium, live) as (page, _):
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Access key")).to_be_visible()
        page.get_by_label("Access key").fill("a guess")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("This key does not open the dashboard.")


def test_a_viewer_who_has_left_is_let_go(chromium, live):
    with opened(chromium, live):
        wait_until(lambda: live.viewers() >= 1)
    wait_until(lambda: live.viewers() == 0)


# ------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(("options", "status"), [([], 401), (["--no-monitoring"], 404)])
def test_the_command_serves_the_page_unless_told_not_to(tmp_path, options, status):
    with example_model() as folder:
        command = [sys.executable, "-m", "utils", "serve", "--model-uri", folder, "--port", "0"]
        command += ["--store", f"sqlite:///{tmp_path / 'store.db'}", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                key = re.search("access key: (.+)", process.stdout.readline())[1]
                url = re.search(r"http://\S+", process.stdout.readline())[0]
                assert httpx.get(f"{url}/monitoring").status_code == status
                if status == 401:
                    page = httpx.get(
                        f"{url}/monitoring", headers={"Authorization": f"Bearer {key}"}
                    )
                    assert page.status_code == 200 and "bokeh" in page.text
                    for name in {rule.runbook for rule in read_rules(RULES)}:
                        book = httpx.get(
                            f"{url}/monitoring/runbooks/pt/{name}",
                            headers={"Authorization": f"Bearer {key}"},
                        )
                        assert book.status_code == 200 and "O que fazer primeiro" in book.text
                process.terminate()
                assert process.wait(30) == 0
            finally:
                process.kill()


def test_a_server_that_is_told_to_stop_does_not_wait_for_those_who_look():
    with example_endpoint() as endpoint:
        app = create_app(endpoint, access_keys={KEY: "owner"})
        reader = mount(app, endpoint)
        about = {"Authorization": f"Bearer {KEY}"}
        with running(app) as url:
            text = httpx.get(f"{url}/monitoring", headers=about).text
            token = re.search(r'"token":"([^"]+)"', text)[1]
            address = url.replace("http", "ws") + "/monitoring/ws"
            looking = connect(
                address, subprotocols=["bokeh", token], additional_headers=about, legacy=True
            )
            assert "ACK" in looking.recv(timeout=20)
        with pytest.raises(ConnectionClosed):
            while True:
                looking.recv(timeout=20)
        assert not reader.is_running
