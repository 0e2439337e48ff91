"""Actions that others ask for: nothing is lost, nothing is done twice, whoever asks how often."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from utils.operations.actions import QueueFull, ask, requests, take
from utils.store import open_store

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened


def asked(store, id="a", action="retrain", **changed):
    about = {"at": NOON, "by": "ana", "reason": "a new route", **changed}
    return ask(store, "flights", action, id=id, **about)


def ids(found):
    return [each.id for each in found]


def test_the_same_request_again_is_one_and_the_first_stands(store):
    assert asked(store)
    assert not asked(store, action="investigate", by="rui", reason="other")
    [request] = requests(store, "flights")
    assert (request.id, request.action, request.at) == ("a", "retrain", NOON)
    assert request.body == {
        "by": "ana",
        "reason": "a new route",
        "deployment": "flights",
        "action": "retrain",
    }
    assert requests(store, "other") == []


def test_an_action_that_is_none_and_nobody_are_refused_by_name(store):
    with pytest.raises(ValueError, match="action='retrian': must be one of .*retrain"):
        asked(store, action="retrian")
    with pytest.raises(ValueError, match="by='': must name who asks"):
        asked(store, by="")
    assert requests(store, "flights") == []


def test_a_full_queue_refuses_by_name_and_takes_again_what_it_has_and_what_follows(store):
    for id in "abc":
        asked(store, id, most_waiting=3)
    with pytest.raises(
        QueueFull, match="'flights': 3 requests wait already, and at most 3 may; is"
    ):
        asked(store, "d", most_waiting=3)
    assert not asked(store, "b", most_waiting=3), "one that waits is known"
    take(store, "flights", run="2024-03-04", at=NOON)
    for id in "def":
        assert asked(store, id, most_waiting=3)
    assert not asked(store, "a", most_waiting=3), "so is one that was taken: nothing asks anew"
    assert ids(requests(store, "flights")) == ["d", "e", "f"]


def test_a_request_is_taken_by_one_run_and_that_run_gets_it_however_often_it_begins(store):
    asked(store, "a")
    asked(store, "b")
    assert ids(take(store, "flights", run="one", at=NOON)) == ["a", "b"]
    asked(store, "c")
    assert ids(take(store, "flights", run="other", at=NOON + timedelta(hours=1))) == ["c"]
    assert ids(take(store, "flights", run="one", at=NOON)) == ["a", "b"]
    assert ids(requests(store, "flights", taken_by="other")) == ["c"]
    assert requests(store, "flights") == []


def test_a_run_that_died_while_taking_gets_the_rest_when_it_goes_on(store):
    asked(store, "a")
    asked(store, "b")
    body = {"run": "one", "request": "a"}
    store.record("taken/flights", "a/one", kind="taken", at=NOON, body=body)
    assert ids(requests(store, "flights")) == ["b"]
    assert ids(take(store, "flights", run="one", at=NOON)) == ["a", "b"]


def test_of_runs_that_take_at_once_each_request_goes_to_one(store, store_url):
    for number in range(20):
        asked(store, f"{number:02}")
    taken, ready = {}, threading.Barrier(4)

    def grab(run):
        with open_store(store_url) as own:
            ready.wait()
            taken[run] = ids(take(own, "flights", run=run, at=NOON))

    threads = [threading.Thread(target=grab, args=(run,)) for run in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in "wxyz":
        taken[run] = ids(requests(store, "flights", taken_by=run))
    assert sorted(sum(taken.values(), [])) == [f"{number:02}" for number in range(20)]


def test_of_many_who_ask_the_same_at_once_one_is_told_that_it_is_new(store, store_url):
    new, ready = [], threading.Barrier(6)

    def say():
        with open_store(store_url) as own:
            ready.wait()
            new.append(asked(own, "alarm/1"))

    threads = [threading.Thread(target=say) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(new) == 1 and ids(requests(store, "flights")) == ["alarm/1"]
