"""Where the models stand, folded from what happened: each change once, in its order."""

from datetime import UTC, datetime, timedelta

import pytest

from utils.operations import life
from utils.operations.life import Candidate, Known, Life, Window, life_of, note, runs_of
from utils.store import open_store

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEKS = [
    Window(start=NOON + 7 * n * DAY - 7 * DAY, end=NOON + 7 * n * DAY, run=NOON + 7 * n * DAY + DAY)
    for n in range(6)
]
SHADOW = {"version": "2", "champion": "1", "remedy": "retrain"}


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def say(store):
    """Note what the run of a week did."""

    def say(week, kind, of="", **body):
        at = WEEKS[week].run
        return note(store, "flights", WEEKS[week].id, kind, at=at, body=body, of=of)

    return say


def test_where_nothing_happened_nothing_stands(store):
    assert life_of(store, "flights") == Life()
    assert runs_of(store, "flights") == []


def test_a_candidate_goes_from_the_shadow_to_a_canary_to_service_and_back(store, say):
    say(0, "trained", of="retrain", version="2", remedy="retrain")
    say(0, "shadow", **SHADOW)
    in_shadow = Candidate(**SHADOW, stage="shadow", since=WEEKS[0].run, run=WEEKS[0].id)
    trained = Life(candidate=in_shadow, trained_at=WEEKS[0].run, n_trained=1)
    assert life_of(store, "flights") == trained

    say(1, "canary", version="2", share=0.3)
    found = life_of(store, "flights").candidate
    assert (found.stage, found.since, found.run) == ("canary", WEEKS[1].run, WEEKS[0].id)

    say(2, "promoted", version="2", before="1")
    stands = life_of(store, "flights")
    assert (stands.candidate, stands.previous, stands.promoted_at) == (None, "1", WEEKS[2].run)
    assert stands.n_promoted == 1

    say(3, "rolled back", version="1", before="2")
    assert life_of(store, "flights") == Life(trained_at=WEEKS[0].run, n_trained=1, n_promoted=1)


def test_a_candidate_that_is_withdrawn_is_gone_and_the_next_one_is_another(store, say):
    say(0, "shadow", **SHADOW)
    say(1, "withdrawn", version="2")
    assert life_of(store, "flights").candidate is None
    say(2, "canary", version="2", share=0.3)
    assert life_of(store, "flights").candidate is None, "a canary of nothing is none"
    say(3, "shadow", **{**SHADOW, "version": "3"})
    assert life_of(store, "flights").candidate.version == "3"


def test_a_fallback_answers_until_the_model_returns(store, say):
    say(0, "shadow", **SHADOW)
    say(0, "fell back", version="9", before="2")
    assert life_of(store, "flights") == Life(fell_back_from="2"), "the candidate goes with it"
    say(1, "returned", version="2")
    assert life_of(store, "flights") == Life()


def test_what_a_run_did_is_written_once_however_often_it_is_taken_up(store, say):
    assert say(0, "trained", of="retrain", version="2")
    assert not say(0, "trained", of="retrain", version="3")
    assert say(0, "trained", of="reset", version="3"), "by another remedy it is another"
    assert say(1, "trained", of="retrain", version="4"), "and by another run"
    stands = life_of(store, "flights")
    assert (stands.n_trained, stands.trained_at) == (3, WEEKS[1].run)
    keys = [each.key for each in store.events(life.stream_of("flights"))]
    assert keys == [
        f"{WEEKS[0].id}/trained/retrain",
        f"{WEEKS[0].id}/trained/reset",
        f"{WEEKS[1].id}/trained/retrain",
    ]


def test_deployments_do_not_see_one_another(store, say):
    say(0, "shadow", **SHADOW)
    assert life_of(store, "trains") == Life() and runs_of(store, "trains") == []
    assert life.canary_name("flights") == "flights-canary"


def test_runs_come_in_the_order_of_their_windows_with_how_they_ended(store, say):
    for week in (1, 0, 2):
        moments = {"start": WEEKS[week].start, "end": WEEKS[week].end, "moment": WEEKS[week].run}
        say(week, "opened", **{name: each.isoformat() for name, each in moments.items()})
    say(0, "ended", state="Completed", n_alerts=0)
    say(1, "ended", state="Failed", error="train: broke off")
    assert runs_of(store, "flights") == [
        Known(window=WEEKS[0], state="Completed"),
        Known(window=WEEKS[1], state="Failed"),
        Known(window=WEEKS[2], state=""),
    ]
    assert life_of(store, "flights") == Life(), "to open and to end changes no version"
