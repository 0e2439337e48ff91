"""The page and the files: whole, accessible, in both languages, and they open without a network."""

import json
import os
import re
import shutil

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

from tests.report.builders import ASKED, current, reference
from tests.report.findings import ALERTS, TABLE, alert, line, quiet, report
from tests.services import missing
from utils.records import MEASUREMENT_COLUMNS
from utils.report import page, pictures
from utils.report.report import ALERT_KEYS
from utils.text import LANGUAGES, using


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def html(language):
    with using(language):
        return report().page()


@pytest.fixture(scope="module")
def read(html):
    return BeautifulSoup(html, "html.parser")


def test_what_matters_comes_first(read, language):
    heads = [each.get_text() for each in read.find_all("h2")]
    assert (
        heads
        == {
            "en": [
                "What changed?",
                "Does it matter?",
                "How sure are we?",
                "What to do?",
                "Alerts",
                "What was assumed of the data",
                "Pictures",
                "All measurements",
            ],
            "pt": [
                "O que mudou?",
                "Isso importa?",
                "Com que certeza sabemos?",
                "O que fazer?",
                "Alertas",
                "O que se supôs dos dados",
                "Figuras",
                "Todas as medidas",
            ],
        }[language]
    )
    assert "verdict critical" in " ".join(read.select_one("header p")["class"])


def test_nothing_is_fetched_when_it_opens(read):
    assert not read.find_all(["script", "link", "iframe", "object", "embed", "base"])
    for each in read.find_all(src=True):
        assert each["src"].startswith("data:image/png;base64,")
    for each in read.find_all(href=True):
        assert each["href"].startswith("#")
    assert not re.search(r"url\(|@import", read.style.get_text())


def test_links_lead_somewhere_and_names_are_unique(read):
    names = [each["id"] for each in read.find_all(id=True)]
    assert len(names) == len(set(names))
    targets = [each["href"].removeprefix("#") for each in read.find_all(href=True)]
    assert len(targets) == 3
    assert set(targets) <= set(names)


def test_it_reads_without_eyes_and_by_keyboard(read, language):
    assert read.html["lang"] == {"en": "en", "pt": "pt-BR"}[language]
    assert read.title.get_text()
    assert len(read.find_all("h1")) == 1
    levels = [int(each.name[1]) for each in read.find_all(re.compile("^h[1-6]$"))]
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
    images = read.find_all("img")
    assert len(images) == 1 + 3 + 2  # all alarms, the cases over time, two features
    for image in images:
        assert len(image["alt"]) > 20
        assert image.find_next("figcaption").get_text() == image["alt"]
    for table in read.find_all("table"):
        assert table.caption.get_text()
        assert all(each["scope"] in ("col", "row") for each in table.find_all("th"))
        assert table.parent["tabindex"] == "0" and table.parent["aria-label"]


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_stands_out_from_its_ground():
    """WCAG 2, level AA: a contrast of 4.5 at least."""

    def contrast(one, other):
        light, dark = sorted((luminance(one), luminance(other)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    for ink in ("#1a1a1a", "#595959", "#444444", "#00568f"):
        assert ink[:4] in page._STYLE
        assert contrast(ink, "#ffffff") > 4.5
    for ground in ("#eef7f3", "#fdf5e6", "#fdecea"):
        assert ground in page._STYLE
        assert contrast("#1a1a1a", ground) > 4.5
    for badge in ("#8a5a00", "#a01c10", "#595959"):
        assert contrast("#ffffff", badge) > 4.5


def test_each_case_tells_what_when_how_sure_and_what_to_do(read, language):
    first, _, last = (each.get_text(" ") for each in read.select(".cases li"))
    assert "accuracy moved to 0.7 <in week 2>." in first
    assert "Because & only because." in first
    assert {"en": "Roll back.", "pt": "Reverter."}[language] in first
    assert {"en": "1 window", "pt": "1 janela"}[language] in first
    assert {"en": "Dismiss.", "pt": "Dispensar."}[language] in last
    assert [each["class"] for each in read.select(".cases li")] == [
        ["critical"],
        ["warning"],
        ["dismissed"],
    ]


def test_every_measurement_is_listed(read):
    by_line, *by_monitor = read.find_all("table")[1:]
    assert len(by_line.tbody.find_all("tr")) == 5
    assert sum(len(each.tbody.find_all("tr")) for each in by_monitor) == len(TABLE)
    assert len(read.find_all("details")) == 3


def test_too_many_measurements_for_a_page_are_counted_and_the_file_named(monkeypatch):
    monkeypatch.setattr(page, "MOST_ROWS", 3)
    with using("en"):
        text = quiet().page()
    assert "5 more measurements in measurements.csv." in text


def test_what_comes_from_the_data_is_never_markup():
    name = '<b onload="x">&'
    frames = [frame.rename(columns={"amount": name}) for frame in (reference(), current())]
    rows = line("drift", "jensen_shannon", [0.3], alarms=(0,), feature=name, threshold_high=0.1)
    with using("en"):
        text = report(
            rows,
            [alert("drift", "jensen_shannon", 0, 0.3, feature=name)],
            before=frames[0],
            now=frames[1],
            sources=("<i>ref</i>", "now"),
        ).page()
    read = BeautifulSoup(text, "html.parser")
    assert not read.find_all(["b", "i"])
    assert name in read.select_one(".cases").get_text()


def test_a_quiet_page_has_no_alarm_and_still_shows_how_the_model_did():
    with using("en"):
        read = BeautifulSoup(quiet().page(), "html.parser")
    assert "verdict clear" in " ".join(read.select_one("header p")["class"])
    assert "This does not prove that nothing changed" in read.get_text()
    assert [each.h3.get_text() for each in read.find_all("figure")] == [
        "accuracy: in its quiet range in every window"
    ]


def test_dismissed_alone_is_no_reason_for_red():
    with using("en"):
        read = BeautifulSoup(report(alerts=ALERTS[:2]).page(), "html.parser")
    assert "verdict clear" in " ".join(read.select_one("header p")["class"])


# --------------------------------------------------------------------------------------- pictures


def test_a_picture_says_what_it_shows():
    with using("en"):
        made = report()
        said = {each.title: each.alt for each in made.pictures}
    first, accuracy, channel, amount, *shares = said.items()
    assert first == (
        "Lines with an alarm: 3, the first on 8 Apr 2024",
        "3 lines had an alarm; the first in the window that begins on 8 Apr 2024; the one with the "
        "most: amount, Jensen–Shannon distance.",
    )
    assert accuracy == (
        "accuracy: out of its quiet range in 1 of 4 windows",
        "accuracy: 0.9 in the first window, 0.9 in the last. Threshold: 0.85. 1 of 4 windows with "
        "an alarm, the first begins on 15 Apr 2024.",
    )
    assert channel == (
        "channel, Jensen–Shannon distance: out of its quiet range in 2 of 4 windows",
        "channel, Jensen–Shannon distance: 0.05 in the first window, 0.2 in the last. Threshold: "
        "0.1. 2 of 4 windows with an alarm, the first begins on 15 Apr 2024.",
    )
    assert amount == (
        "amount, Jensen–Shannon distance: out of its quiet range in 2 of 4 windows",
        "amount, Jensen–Shannon distance: 0.05 in the first window, 0.4 in the last. Threshold: "
        "0.1. 2 of 4 windows with an alarm, the first begins on 8 Apr 2024.",
    )
    assert [title for title, _ in shares] == [
        "channel: as it was, and as it was in the windows with an alert",
        "amount: as it was, and as it was in the windows with an alert",
    ]


def test_shares_are_those_of_the_rows_of_the_period():
    now = current()
    with using("en"):
        inputs = report(now=now).inputs
        since, until = pd.Timestamp("2024-04-08", tz="UTC"), pd.Timestamp("2024-04-15", tz="UTC")
        found = pictures.shares(inputs, "channel", since=since, until=until).set_index("bin")
    week = now[(now["at"] >= since) & (now["at"] < until)]
    for name in ("web", "app", "shop"):
        assert found.loc[name, "reference"] == pytest.approx(
            (reference()["channel"] == name).mean()
        )
        assert found.loc[name, "current"] == pytest.approx((week["channel"] == name).mean())
    assert set(found.index) == {"web", "app", "shop"}


def test_of_many_categories_the_picture_shows_those_that_count_and_the_rest_together():
    def many(frame):
        return frame.assign(channel=[f"c{i % 40:02}" for i in range(len(frame))])

    with using("en"):
        inputs = report(before=many(reference()), now=many(current())).inputs
        ends = inputs.current["at"].iloc[[0, -1]]
        found = pictures.shares(inputs, "channel", since=ends.iloc[0], until=ends.iloc[1])
    assert len(found) == pictures.MOST_BINS
    assert found["bin"].iloc[-1] == "(the rest)"
    assert found[["reference", "current"]].sum().tolist() == pytest.approx([1, 1])


# ------------------------------------------------------------------------------------------ files


def test_the_files_say_what_the_contract_says(tmp_path):
    with using("en"):
        written = report().write(tmp_path / "new" / "folder")
    assert [path.name for path in written] == ["measurements.csv", "alerts.json", "report.html"]
    table = pd.read_csv(written[0])
    assert list(table) == list(MEASUREMENT_COLUMNS)
    assert len(table) == len(TABLE)
    assert pd.to_datetime(table["window_start"], utc=True).min() == pd.Timestamp("2024-04-01T00Z")
    alerts = json.loads(written[1].read_text())
    assert [list(each) for each in alerts] == [list(ALERT_KEYS)] * len(ALERTS)
    assert alerts[0] == {
        "monitor": "drift",
        "metric": "jensen_shannon",
        "feature": "amount",
        "group": "",
        "window_start": "2024-04-08T00:00:00Z",
        "window_end": "2024-04-15T00:00:00Z",
        "value": 0.3,
        "threshold": 0.1,
        "severity": "warning",
        "action": "dismiss",
        "evidence": "amount moved to 0.3 <in week 1>.",
    }


def test_what_is_no_number_is_null_in_json(tmp_path):
    with using("en"):
        odd = report(alerts=[alert("performance", "accuracy", 2, float("nan"), threshold=0.85)])
        written = odd.write(tmp_path)
    assert json.loads(written[1].read_text())[0]["value"] is None


def test_it_opens_in_a_browser_that_has_no_network_and_prints(html, tmp_path):
    browser = os.environ.get("VIGIA_CHROMIUM") or shutil.which("chromium")
    if browser is None:
        missing("chromium")
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    asked = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        context = chromium.new_context(offline=True, viewport={"width": 1200, "height": 900})
        opened = context.new_page()
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(path.as_uri())
        shown = opened.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth > 0)")
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        fits = opened.evaluate(wide)
        opened.set_viewport_size({"width": 400, "height": 800})
        fits_a_phone = opened.evaluate(wide)
        opened.keyboard.press("Tab")
        focused = opened.evaluate("document.activeElement.tagName")
        printed = opened.pdf()
        chromium.close()
    assert shown == [True] * 6
    assert fits and fits_a_phone
    assert focused != "BODY"
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert printed.startswith(b"%PDF")


def test_asked_for_nothing_but_features_there_is_still_a_page():
    rows = line("drift", "jensen_shannon", [0.05], feature="amount", threshold_high=0.1)
    with using("en"):
        text = report(rows, [], asked=type(ASKED)(time_column="at"), notes=[]).page()
    assert "not known" in text
