"""What the page says of a snapshot, in both languages."""

import re
from dataclasses import replace

import pytest

from tests.dashboard.builders import Fired, line, snapshot, table
from utils.dashboard.figures import LONGEST_NAME, fed
from utils.dashboard.pages import page
from utils.dashboard.snapshot import FEATURES, drift_of, performance_of
from utils.dashboard.tallies import Tallies
from utils.text import using


def busy():
    tallies = Tallies()
    tallies.requests({}, at=990)
    tallies.requests({200: 1_200, 400: 30, 500: 2}, at=991)
    tallies.answers(
        at=991,
        latencies_ms=[1.0, 2.0, 3.5],
        scores=[0.1, 0.2, 0.9],
        predictions=["no", "no", "yes"],
        kind="string",
    )
    measured = table(
        line("performance", "mae", 18.5, low=17, high=20, threshold_high=17.5, alarm=True),
        line("estimated_performance", "mae", 16.9, week=1, threshold_high=17.5),
        line("drift", "psi", 0.31, feature="dest", threshold_high=0.1, alarm=True),
    )
    return snapshot(
        traffic=tallies.traffic(at=999),
        answers=tallies.distribution(),
        performance=performance_of(measured),
        drift=drift_of(measured),
        alerts=[Fired(), Fired(rule="old", state="resolved")],
        stored=1_000_000,
    )


SECTIONS = ("requests", "latency", "answers", "performance", "drift")


def text_of(made):
    return re.sub(r"<[^>]+>", " ", " ".join([*made.parts.values(), made.status]))


def in_language(code, given):
    with using(code):
        return page(given, version=1)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("pt", ("1.232", "1.000.000", "30 recusadas", "18,5", "0,31", "310%", "reverter", "▲")),
        ("en", ("1,232", "1,000,000", "30 refused", "18.5", "0.31", "310%", "roll back", "▲")),
    ],
)
def test_every_number_is_said_as_its_language_writes_it(code, expected):
    said = text_of(in_language(code, busy()))
    for each in expected:
        assert each in said


def test_the_two_languages_have_the_same_numbers_and_other_words():
    portuguese, english = (in_language(code, busy()) for code in ("pt", "en"))
    assert portuguese.data["requests"] == english.data["requests"]
    assert portuguese.parts["requests_finding"] != english.parts["requests_finding"]
    assert portuguese.data["performance"]["y"] == english.data["performance"]["y"] == [18.5, 16.9]


def test_each_plot_has_its_numbers_in_a_table_with_a_caption_and_headings():
    made = in_language("en", busy())
    for name in SECTIONS:
        table = made.parts[f"{name}_table"]
        assert table.count("<caption>") == 1
        assert 'scope="col"' in table and 'scope="row"' in table


def test_an_alarm_is_told_by_a_sign_and_a_word_and_not_by_colour_alone():
    made = in_language("en", busy())
    assert "▲ beyond" in made.parts["drift_table"]
    assert "▲ critical" in made.parts["alerts"]


def test_an_alert_has_its_evidence_and_its_action_and_a_resolved_one_is_gone():
    made = in_language("en", busy())
    for each in ("error-rose", "the error went beyond 15", "roll back", "tower", "nobody has"):
        assert each in made.parts["alerts"]
    assert "old" not in made.parts["alerts"]


def test_who_has_taken_an_alert_on_and_that_it_is_silenced_is_said():
    alert = Fired(state="acknowledged", acknowledged_by="Ana", silenced=True)
    assert (
        "assumido por Ana, silenciado"
        in in_language("pt", snapshot(alerts=[alert])).parts["alerts"]
    )


def test_a_quiet_page_says_that_there_is_nothing():
    said = text_of(in_language("en", snapshot()))
    for each in ("No request", "No prediction is stored", "Nothing is measured", "No alert"):
        assert each in said


def test_what_may_be_old_is_said_with_the_reason():
    made = in_language("en", snapshot(trouble="sqlite:///x: <locked>"))
    assert "may be old" in made.parts["cards"] and "&lt;locked&gt;" in made.parts["cards"]


def test_names_from_outside_are_text_and_never_markup():
    measured = table(line("drift", "psi", 0.3, feature="<script>x", threshold_high=0.1))
    given = replace(
        busy(), drift=drift_of(measured), alerts=[Fired(rule="<b>", owner="<i>", runbook="<u>")]
    )
    made = in_language("en", given)
    for text in (made.parts["drift_table"], made.parts["alerts"]):
        assert not re.search("<(script|b|i|u)>", text)


def test_known_as_of_stands_with_the_realised_value():
    row = line("performance", "mae", 18.5, known_as_of="2013-05-06T00:00Z")
    given = snapshot(performance=performance_of(table(row)))
    assert (
        "with what was known on 6 May 2013" in in_language("en", given).parts["performance_finding"]
    )
    assert "o que se sabia em 6 mai 2013" in in_language("pt", given).parts["performance_finding"]


def test_other_axes_are_another_shape_and_other_numbers_are_not():
    assert in_language("en", busy()).shape == in_language("pt", busy()).shape == "score/mae"
    assert in_language("en", snapshot()).shape == "/"


def traffic(by_status):
    tallies = Tallies()
    tallies.requests({}, at=990)
    tallies.requests(by_status, at=991)
    return tallies.traffic(at=999)


@pytest.mark.parametrize(
    ("code", "by_status", "expected"),
    [
        ("pt", {200: 1}, "A única requisição foi respondida."),
        ("en", {200: 1}, "The one request was answered."),
        ("pt", {200: 2}, "Todas as 2 requisições foram respondidas."),
        ("pt", {400: 1}, "1 requisição: 1 recusada por erro"),
        ("en", {400: 1}, "1 request: 1 refused for"),
        ("pt", {400: 2, 200: 1}, "3 requisições: 2 recusadas por erro"),
    ],
)
def test_one_request_is_told_as_one(code, by_status, expected):
    assert expected in text_of(in_language(code, snapshot(traffic=traffic(by_status))))


@pytest.mark.parametrize(
    ("code", "expected"), [("pt", "Na única previsão até aqui"), ("en", "In the one prediction")]
)
def test_one_prediction_is_told_as_one(code, expected):
    tallies = Tallies()
    tallies.answers(at=0, latencies_ms=[1.0], scores=[], predictions=[3.0], kind="double")
    made = in_language(code, snapshot(answers=tallies.distribution()))
    assert expected in made.parts["answers_finding"]


def test_only_what_has_something_to_show_is_drawn():
    assert in_language("en", snapshot()).drawn == []
    assert set(in_language("en", busy()).drawn) == set(SECTIONS)
    refused = in_language("en", snapshot(traffic=traffic({400: 1})))
    assert refused.drawn == ["requests"]


def test_what_has_no_threshold_is_not_said_to_be_within_it():
    measured = table(
        line("performance", "mae", 18.5, threshold_low=-3, threshold_high=17.5),
        line("performance", "rmse", 28.5),
        line("drift", "psi", 0.31, feature="dest"),
    )
    given = snapshot(performance=performance_of(measured), drift=drift_of(measured))
    made = in_language("en", given)
    assert "within" not in made.parts["drift_table"]
    assert made.parts["performance_table"].count("✓ within") == 1
    assert "−3 to 17.5" in made.parts["performance_table"]


def test_of_many_features_it_is_said_how_many_are_shown():
    rows = [
        line("drift", "psi", 2.0, feature=f"f{at}", threshold_high=1.0, alarm=True)
        for at in range(FEATURES + 3)
    ]
    made = in_language("pt", snapshot(drift=drift_of(table(*rows))))
    assert "23 de 23 além do limiar" in made.parts["drift_finding"]
    assert "Aqui, as 20 mais perto" in made.parts["drift_finding"]
    assert "23 / 23" in made.parts["cards"]


def test_a_long_name_leaves_room_for_its_bar_and_stands_whole_in_the_table():
    names = [f"{'a_name_that_is_far_too_long_for_a_plot'}_{at}" for at in range(2)]
    rows = [line("drift", "psi", 0.1, feature=name, threshold_high=1.0) for name in names]
    made = in_language("en", snapshot(drift=drift_of(table(*rows))))
    drawn = fed("drift", made.data["drift"])["factors"]
    assert len(set(drawn)) == 2
    assert all(len(each) <= LONGEST_NAME + len(" ·2") for each in drawn)
    assert all(name in made.parts["drift_table"] for name in names)


def test_an_alert_says_its_windows_and_leads_to_its_runbook():
    known = {"error-rose.md"}
    given = snapshot(alerts=[Fired(runbook="error-rose.md")], runbooks=known)
    made = in_language("pt", given).parts["alerts"]
    assert 'href="/monitoring/runbooks/pt/error-rose.md"' in made
    assert "1 abr 2013, 12:00 UTC a 1 abr 2013, 12:00 UTC" in made
    made = in_language("en", given).parts["alerts"]
    assert 'href="/monitoring/runbooks/en/error-rose.md"' in made


@pytest.mark.parametrize("name", ["nowhere.md", "javascript:alert(1)", "//elsewhere/x.md"])
def test_a_runbook_that_is_no_page_of_ours_and_no_address_is_no_link(name):
    given = snapshot(alerts=[Fired(runbook=name)], runbooks={"drift.md"})
    made = in_language("en", given).parts["alerts"]
    assert "<a " not in made and name in made


def test_a_runbook_elsewhere_is_a_link_to_there():
    given = snapshot(alerts=[Fired(runbook='https://wiki/x?a=1&b="')])
    assert 'href="https://wiki/x?a=1&amp;b=&quot;"' in in_language("en", given).parts["alerts"]


def test_labels_that_are_too_few_for_a_value_are_said_and_their_share_is_in_the_table():
    measured = table(line("performance", "labelled_share", 0.1))
    made = in_language("en", snapshot(performance=performance_of(measured)))
    assert "Too few labels are known yet" in made.parts["performance_finding"]
    assert '<td class="number">0.1</td>' in made.parts["performance_table"]
    assert made.drawn == []


def test_windows_shorter_than_a_day_are_told_by_the_hour():
    hours = {"window_start": "2013-04-10T18:00Z", "window_end": "2013-04-10T21:00Z"}
    row = line("performance", "mae", 18.5, known_as_of="2013-04-11T03:00Z") | hours
    drifted = line("drift", "psi", 0.1, feature="dest", threshold_high=1) | hours
    measured = table(row, drifted)
    given = snapshot(performance=performance_of(measured), drift=drift_of(measured))
    made = in_language("en", given)
    finding, period = "to 10 Apr 2013, 21:00", "10 Apr 2013, 18:00 to 10 Apr 2013, 21:00"
    assert finding in made.parts["performance_finding"].replace(" UTC", "")
    assert "11 Apr 2013, 03:00" in made.parts["performance_finding"]
    for name in ("performance_table", "drift_table", "drift_finding"):
        assert period in made.parts[name].replace(" UTC", "")
    weekly = in_language("en", busy())
    assert "1 Apr 2013 to 8 Apr 2013" in weekly.parts["performance_table"]
