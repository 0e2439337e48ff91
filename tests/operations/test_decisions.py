"""One thing is done about a window, each with its reason; what must not be done is refused."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from utils.operations import decisions
from utils.operations.decisions import Change, Facts, Limits, decide
from utils.operations.steps import read_out
from utils.text import LANGUAGES, using

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
LIMITS = Limits()
RIPE = Facts(asked=frozenset({"retrain"}), performance_alarmed=True, n_learnable=50_000)
"""Facts in which a retraining is due: each test spoils them in one way."""

WORSE = Change(value=0.3, low=0.1, high=0.5, n=900)
BETTER = Change(value=-0.3, low=-0.5, high=-0.1, n=900)
UNCLEAR = Change(value=0.1, low=-0.1, high=0.3, n=900)
BROKEN = ({"pt": "Um sensor parou.", "en": "A sensor stopped."},)
LYING = ({"pt": "UA contradiz as outras.", "en": "UA contradicts the others."},)


def decided(facts, *, limits=LIMITS, at=NOON):
    with using("en"):
        found = decide(facts, limits, at=at)
        refused = {each.action: read_out(each.why) for each in found.refused}
        return found.action, read_out(found.why), refused


# ------------------------------------------------------------------------------- retraining


def test_a_model_that_got_worse_is_retrained_where_nothing_speaks_against_it():
    assert decided(RIPE) == (
        "retrain",
        "The model is more wrong than a quiet window explains, the data are sound and the labels "
        "ripe: it is retrained, and the gate judges.",
        {},
    )


def test_somebody_may_ask_for_a_retraining_without_an_alarm():
    facts = replace(RIPE, performance_alarmed=False, requested=frozenset({"retrain"}))
    action, why, refused = decided(facts)
    assert action == "retrain" and why.startswith("Somebody asks for it, the data are sound")
    assert not refused


SPOILED = {
    "broken data": (
        {"broken": BROKEN},
        "A sensor stopped. A model trained now would learn the defect.",
    ),
    "labels that lie": (
        {"lying": LYING},
        "UA contradicts the others. A model trained now would learn the defect.",
    ),
    "an error in its quiet range": (
        {"performance_alarmed": False},
        "The error measured on labels is in its quiet range: a retraining would have nothing to "
        "cure.",
    ),
    "labels that are not ripe": (
        {"ripe": 0.5},
        "The labels are not ripe: 50% of those that are due are known, and 90% are needed.",
    ),
    "too few rows": (
        {"n_learnable": 999},
        "There are only 999 rows to learn from, and 1,000 are needed.",
    ),
    "a retraining just before": (
        {"trained_at": NOON - timedelta(days=20)},
        "The last retraining was on 11 Jun 2013; one waits 21 days to know what it was worth.",
    ),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_each_reason_not_to_retrain_is_enough_by_itself(spoiled):
    changed, why = SPOILED[spoiled]
    action, _, refused = decided(replace(RIPE, **changed))
    assert (action, refused) == ("nothing", {"retrain": why})


@pytest.mark.parametrize("spoiled", SPOILED)
def test_nothing_is_refused_that_nobody_asked_for(spoiled):
    changed, _ = SPOILED[spoiled]
    assert decided(replace(RIPE, asked=frozenset(), **changed))[2] == {}


def test_every_reason_is_told_where_there_are_several():
    every = {name: value for changed, _ in SPOILED.values() for name, value in changed.items()}
    found = decide(replace(RIPE, **every), LIMITS, at=NOON)
    assert [each.action for each in found.refused] == ["retrain"] * 5
    with using("en"):
        said = [read_out(each.why) for each in found.refused]
    assert said == [SPOILED[name][1] for name in SPOILED if name != "labels that lie"]


def test_the_limits_themselves_are_enough():
    at_the_edge = replace(RIPE, ripe=0.9, n_learnable=1_000, trained_at=NOON - LIMITS.pause)
    assert decided(at_the_edge)[0] == "retrain"


def test_labels_that_are_nearly_ripe_are_not_said_to_be_ripe():
    refused = decided(replace(RIPE, ripe=0.8999))[2]
    assert refused["retrain"].startswith("The labels are not ripe: 89% of those")
    assert "29% of those" in decided(replace(RIPE, ripe=0.29))[2]["retrain"]


def test_a_person_does_not_get_a_model_that_learns_a_defect_either():
    facts = replace(RIPE, requested=frozenset({"retrain"}), broken=BROKEN)
    assert decided(facts)[0] == "nothing"


# ------------------------------------------------------------------------------- nothing


def test_a_drift_that_does_no_harm_needs_no_action():
    action, why, refused = decided(Facts(asked=frozenset({"investigate"}), drift_alarmed=True))
    assert (action, refused) == ("nothing", {})
    assert why.endswith("in its quiet range: the drift needs no action.")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "Nothing is done."),
        (("dismiss",), "Nothing is done."),
        (("investigate",), "There is something to investigate, and that is for people."),
        (("quarantine",), "There is something to investigate, and that is for people."),
    ],
)
def test_what_is_for_people_is_left_to_them(asked, said):
    assert decided(Facts(asked=frozenset(asked))) == ("nothing", said, {})


# ------------------------------------------------------------------------------- rolling back


def test_a_version_that_is_shown_to_be_worse_than_the_one_before_goes():
    action, why, _ = decided(Facts(asked=frozenset(), previous="1", regret=WORSE))
    assert action == "roll back"
    assert why == (
        "On the same rows the version in service changes the error of version 1 by 0.3 (0.1 to "
        "0.5): the one before returns."
    )


@pytest.mark.parametrize("regret", [None, UNCLEAR, BETTER, replace(WORSE, low=0.0)])
def test_one_that_is_not_shown_to_be_worse_stays(regret):
    facts = Facts(asked=frozenset(), previous="1", regret=regret)
    assert decided(facts)[0] == "nothing" and not decided(facts)[2]
    asked = replace(facts, asked=frozenset({"roll back"}))
    action, _, refused = decided(asked)
    assert action == "nothing"
    assert refused["roll back"].startswith("Version 1 is not shown to do better on these rows")


def test_what_is_not_shown_is_told_with_its_numbers():
    facts = Facts(asked=frozenset({"roll back"}), previous="1", regret=UNCLEAR)
    assert decided(facts)[2]["roll back"] == (
        "Version 1 is not shown to do better on these rows: 0.1 (−0.1 to 0.3)."
    )


def test_without_a_version_before_there_is_nowhere_to_go_back_to():
    for more in ({}, {"requested": frozenset({"roll back"})}):
        facts = Facts(asked=frozenset({"roll back"}), **more)
        assert decided(facts)[::2] == (
            "nothing",
            {"roll back": "There is no version before to go back to."},
        )


def test_who_asks_to_roll_back_need_not_show_anything():
    facts = Facts(asked=frozenset({"roll back"}), requested=frozenset({"roll back"}), previous="1")
    assert decided(facts)[:2] == ("roll back", "Somebody asked for version 1 to return.")


def test_to_roll_back_comes_before_to_retrain_and_the_other_is_not_forgotten():
    action, why, refused = decided(replace(RIPE, previous="1", regret=WORSE))
    assert action == "roll back"
    assert refused == {"retrain": f"Not now. {why}"}


# ------------------------------------------------------------------------------- a candidate


@pytest.mark.parametrize("stage", ["shadow", "canary"])
def test_the_candidate_that_is_on_its_way_comes_before_another_one(stage):
    action, _, refused = decided(replace(RIPE, stage=stage))
    assert action == stage
    assert refused == {"retrain": "A candidate is on its way already: one at a time."}


@pytest.mark.parametrize("stage", ["shadow", "canary"])
def test_what_mends_the_service_does_not_wait_for_a_candidate(stage):
    facts = replace(RIPE, stage=stage, previous="1", regret=WORSE)
    assert decided(facts)[0] == "roll back"
    facts = replace(facts, fallback="3", broken=BROKEN, relief=BETTER)
    assert decided(facts)[0] == "fall back"


@pytest.mark.parametrize("stage", ["shadow", "canary"])
def test_who_asks_to_roll_back_does_not_wait_for_a_candidate(stage):
    both = frozenset({"roll back"})
    facts = Facts(asked=both, requested=both, previous="1", stage=stage)
    assert decided(facts)[0] == "roll back"
    assert decided(replace(facts, waiting="2013-06-24"))[0] == "roll back"


def test_a_request_that_cannot_be_met_while_a_candidate_is_on_its_way_gets_its_reason():
    both = frozenset({"roll back"})
    _, _, refused = decided(Facts(asked=both, requested=both, stage="shadow"))
    assert refused == {"roll back": "There is no version before to go back to."}


def test_while_another_run_waits_for_a_person_nothing_is_done_and_what_is_asked_is_told_why():
    facts = replace(RIPE, waiting="2013-06-24", stage="canary", previous="1", regret=WORSE)
    why = "Run 2013-06-24 waits for approval: until then the models stay as they are."
    assert decided(facts) == ("nothing", why, {"retrain": f"Not now. {why}"})


# ------------------------------------------------------------------------------- the fallback

FALLING = Facts(
    asked=frozenset(), performance_alarmed=True, broken=BROKEN, fallback="3", relief=BETTER
)


def test_the_fallback_answers_where_broken_data_harm_and_it_is_shown_to_be_less_wrong():
    assert decided(FALLING)[:2] == (
        "fall back",
        "The data are broken and the model suffers from it; the fallback, which needs less, "
        "changes the error by −0.3 (−0.5 to −0.1).",
    )


@pytest.mark.parametrize(
    "spoiled",
    [{"fallback": ""}, {"broken": ()}, {"broken": (), "lying": LYING}]
    + [{"performance_alarmed": False}],
)
def test_it_does_not_where_one_of_these_is_missing(spoiled):
    assert decided(replace(FALLING, **spoiled))[::2] == ("nothing", {})


@pytest.mark.parametrize(
    ("relief", "told"),
    [
        (None, "."),
        (WORSE, ": 0.3 (0.1 to 0.5)."),
        (replace(BETTER, high=0.0), ": −0.3 (−0.5 to 0)."),
    ],
)
def test_one_that_is_not_shown_to_be_less_wrong_is_refused(relief, told):
    action, _, refused = decided(replace(FALLING, relief=relief))
    assert action == "nothing"
    assert refused == {
        "fall back": f"The fallback is not shown to be less wrong on these data{told}"
    }


def test_the_fallback_comes_before_rolling_back():
    assert decided(replace(FALLING, previous="1", regret=WORSE))[0] == "fall back"


BACK = Facts(asked=frozenset(), fell_back_from="2", relief=WORSE)


def test_the_model_returns_once_the_data_are_sound_and_the_fallback_is_shown_to_be_worse():
    assert decided(BACK)[:2] == (
        "return",
        "The data are sound, and on the same rows the fallback changes the error by 0.3 (0.1 to "
        "0.5): version 2 returns.",
    )


@pytest.mark.parametrize(
    "spoiled",
    [{"broken": BROKEN}, {"lying": LYING}, {"relief": None}, {"relief": UNCLEAR}],
)
def test_until_then_the_fallback_stays_and_nothing_is_retrained(spoiled):
    facts = replace(RIPE, fell_back_from="2", relief=WORSE)
    action, why, refused = decided(replace(facts, **spoiled))
    assert action == "nothing"
    assert why == "The fallback stays: version 2 is not shown to be better again."
    assert refused == {"retrain": f"Not now. {why}"}


# ------------------------------------------------------------------------------- what holds always

EVERY = {
    "asked": [frozenset({"retrain", "investigate"}), frozenset(), frozenset({"roll back"})],
    "requested": [frozenset(), frozenset({"roll back"}), frozenset({"retrain"})],
    "broken": [(), BROKEN],
    "lying": [(), LYING],
    "ripe": [1.0, 0.2],
    "n_learnable": [50_000, 3],
    "performance_alarmed": [True, False],
    "drift_alarmed": [True, False],
    "stage": ["", "shadow", "canary"],
    "waiting": ["", "2013-06-24"],
    "previous": ["", "1"],
    "trained_at": [None, NOON - timedelta(days=1)],
    "regret": [None, WORSE, UNCLEAR],
    "fallback": ["", "3"],
    "fell_back_from": ["", "2"],
    "relief": [None, WORSE, BETTER],
}


@pytest.fixture(scope="module")
def many():
    """Return facts of every kind, drawn, the first of each mostly; what is requested is asked."""
    rng = np.random.default_rng(9)
    found = []
    for _ in range(1_000):
        at = {name: max(0, rng.integers(-5, len(values))) for name, values in EVERY.items()}
        facts = Facts(**{name: values[at[name]] for name, values in EVERY.items()})
        found.append(replace(facts, asked=facts.asked | facts.requested))
    return found


def test_facts_of_every_kind_are_tried():
    assert set(EVERY) == {each.name for each in fields(Facts)}


def test_what_is_asked_is_done_or_refused_by_name(many):
    for facts in many:
        found = decide(facts, LIMITS, at=NOON)
        named = {found.action, *(each.action for each in found.refused)}
        assert facts.asked & {"retrain", "roll back"} <= named
        assert found.action not in {each.action for each in found.refused}


def test_nothing_is_trained_on_what_is_broken_lies_is_unripe_or_scarce(many):
    n_retrained = 0
    for facts in many:
        if decide(facts, LIMITS, at=NOON).action == "retrain":
            n_retrained += 1
            assert not facts.broken and not facts.lying and not facts.stage and not facts.waiting
            assert facts.ripe >= LIMITS.ripe and facts.n_learnable >= LIMITS.least_rows
            assert facts.trained_at is None
    assert n_retrained


def test_the_same_facts_give_the_same_decision_in_whatever_language_it_is_made(many):
    for facts in many[:200]:
        made = []
        for code in (*LANGUAGES, LANGUAGES[0]):
            with using(code):
                made.append(decide(facts, LIMITS, at=NOON))
        assert made[0] == made[1] == made[2]


def test_every_reason_is_in_both_languages_and_no_two_are_alike(many):
    for facts in many[:200]:
        body = decide(facts, LIMITS, at=NOON).to_body()
        for why in (body["why"], *(each["why"] for each in body["refused"])):
            assert set(why) == set(LANGUAGES)
            assert all(said.strip().endswith(".") for said in why.values())
            assert why["pt"] != why["en"]


def test_a_decision_is_kept_as_plain_data():
    body = decide(replace(RIPE, ripe=0.1), LIMITS, at=NOON).to_body()
    assert list(body) == ["action", "why", "refused"]
    assert body["action"] == "nothing"
    assert [list(each) for each in body["refused"]] == [["action", "why"]]


def test_portuguese_reads_as_portuguese():
    with using("pt"):
        found = decide(RIPE, LIMITS, at=NOON)
        assert read_out(found.why) == (
            "O modelo erra mais do que uma janela quieta explica, os dados estão sãos e os "
            "rótulos, maduros: retreina-se, e o portão julga."
        )
        [refused] = decide(replace(RIPE, ripe=0.4), LIMITS, at=NOON).refused
        assert read_out(refused.why) == (
            "Os rótulos não estão maduros: conhecem-se 40% dos que já deviam ter chegado, e são "
            "necessários 90%."
        )
        assert WORSE.told == "0,3 (de 0,1 a 0,5)"


# ------------------------------------------------------------------------------- the limits


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ripe": 0.0}, "ripe=0.0: must be a share above 0"),
        ({"ripe": 1.1}, "ripe=1.1: must be a share above 0"),
        ({"least_rows": 0}, "least_rows=0: must be at least 1"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_name(changed, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        Limits(**changed)


def test_the_pause_is_counted_from_the_last_retraining():
    facts = replace(RIPE, trained_at=NOON - timedelta(days=7))
    assert decided(facts, limits=Limits(pause=timedelta(days=7)))[0] == "retrain"
    assert decided(facts, limits=Limits(pause=timedelta(days=8)))[0] == "nothing"
    later = NOON + timedelta(days=1)
    assert decided(facts, limits=Limits(pause=timedelta(days=8)), at=later)[0] == "retrain"


def test_every_action_that_can_be_decided_is_known_to_the_loop():
    from typing import get_args

    assert set(get_args(decisions.Doing)) == {
        *("nothing", "retrain", "shadow", "canary", "roll back", "fall back", "return")
    }
