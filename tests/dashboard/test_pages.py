"""What the page says of a snapshot, in both languages."""

import re
from dataclasses import replace

import pytest

from tests.dashboard.builders import Fired, line, snapshot, table
from utils.dashboard.pages import page
from utils.dashboard.snapshot import drift_of, performance_of
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
