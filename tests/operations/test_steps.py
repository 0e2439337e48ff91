"""A run that breaks off anywhere goes on where it was; a person's answer counts once."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from utils.course import looping
from utils.course.workspace import Workspace
from utils.operations import life
from utils.operations.life import canary_name
from utils.operations.steps import (
    MOST_TRIES,
    Declined,
    GivenUp,
    Run,
    UnknownRun,
    Waiting,
    answer,
    stream_of,
    waits_for,
)
from utils.serving.tracking import tracking
from utils.store import open_store
from utils.text import using

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)
WHY = {"pt": "o erro subiu", "en": "the error rose"}


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened


def run_of(store, id="2024-03-04", **settings):
    settings = {"clock": lambda: NOON, "sleep": lambda seconds: None, **settings}
    return Run(store=store, deployment="flights", id=id, **settings)


def events(store, id="2024-03-04"):
    return [(each.key, each.kind) for each in store.events(stream_of("flights", id))]


class Killed(BaseException):
    """What SIGKILL does to a step, as far as a test in one process can say it."""


def dies():
    raise Killed


# ------------------------------------------------------------------------------- steps


def test_a_step_is_done_once_and_what_it_returned_is_read_by_whoever_comes_later(store):
    done = []

    def count():
        done.append("count")
        return {"n": 2, "of": [1, None]}

    assert run_of(store).step("count", count) == {"n": 2, "of": [1, None]}
    assert run_of(store).step("count", dies) == {"n": 2, "of": [1, None]}
    assert run_of(store, id="2024-03-11").step("count", count)["n"] == 2
    assert done == ["count", "count"]
    assert events(store) == [("count#1", "tried"), ("count", "done")]


def test_a_step_that_fails_is_tried_again_after_a_pause_that_doubles(store):
    pauses, left = [], ["the endpoint is down", "still down"]

    def ask():
        if left:
            raise ConnectionError(left.pop(0))
        return {"n": 1}

    assert run_of(store, sleep=pauses.append).step("ask", ask) == {"n": 1}
    assert pauses == [1.0, 2.0]
    failed = [e.body for e in store.events(stream_of("flights", "2024-03-04")) if "failed" in e.key]
    assert failed == [
        {"step": "ask", "error": "ConnectionError: the endpoint is down"},
        {"step": "ask", "error": "ConnectionError: still down"},
    ]


def test_a_step_that_always_fails_is_given_up_with_its_last_error_and_stays_so(store):
    pauses, errors = [], iter(["one", "two", "three"])

    def ask():
        raise ValueError(next(errors))

    with pytest.raises(GivenUp, match=r"ask: ValueError: three \(tried 3 times\)"):
        run_of(store, sleep=pauses.append).step("ask", ask)
    assert pauses == [1.0, 2.0], "none after the last"
    with pytest.raises(GivenUp, match=r"ask: ValueError: three \(tried 3 times\)"):
        run_of(store, sleep=pauses.append).step("ask", dies)
    assert len(pauses) == 2


def test_tries_that_a_process_did_not_survive_count_and_are_given_up_as_well(store):
    for _ in range(MOST_TRIES):
        with pytest.raises(Killed):
            run_of(store).step("train", dies)
    with pytest.raises(GivenUp, match=r"train: broke off \(tried 3 times\)"):
        run_of(store).step("train", lambda: {})
    assert run_of(store).step("other", lambda: {"n": 1}) == {"n": 1}, "of each step on its own"


def test_tries_count_over_processes_and_the_pause_goes_on_to_double(store):
    def fails():
        raise OSError("no space left")

    with pytest.raises(Killed):
        run_of(store, sleep=lambda seconds: dies()).step("train", fails)
    pauses = []
    with pytest.raises(Killed):
        run_of(store, sleep=pauses.append).step("train", dies)
    assert pauses == [1.0]
    assert run_of(store, sleep=pauses.append).step("train", lambda: {"n": 3}) == {"n": 3}
    assert pauses == [1.0, 2.0]
    assert [key for key, kind in events(store) if kind == "tried"] == [
        "train#1",
        "train#2",
        "train#3",
    ]


def test_whoever_died_after_a_step_did_and_before_it_was_written_does_it_again(store):
    done = []

    def watch(phase, step):
        seen.append((phase, step))
        if phase == "did" and len(done) == 1:
            raise Killed

    seen = []
    with pytest.raises(Killed):
        run_of(store, watch=watch).step("train", lambda: done.append(1) or {})
    run_of(store, watch=watch).step("train", lambda: done.append(2) or {})
    assert done == [1, 2]
    assert seen == [(phase, "train") for phase in ("begins", "did", "begins", "did", "done")]


def test_nothing_is_tried_or_written_where_somebody_else_acts(store):
    def hold():
        raise PermissionError("somebody else acts")

    with pytest.raises(PermissionError):
        run_of(store, hold=hold).step("train", dies)
    assert events(store) == []


def test_what_json_does_not_hold_is_said_and_the_step_is_not_done(store):
    with pytest.raises(ValueError, match="body: .* is not JSON"):
        run_of(store).step("count", lambda: {"at": NOON})
    assert events(store) == [("count#1", "tried")]


# ------------------------------------------------------------------------------- a human gate


def ask(store, step="promote", id="2024-03-04", gated=("promote", "roll back")):
    run_of(store, id=id, gated=gated).need_approval(step, why=WHY)


def test_a_step_that_is_not_gated_waits_for_nobody(store):
    ask(store, step="retrain")
    assert events(store) == []


def test_a_gated_step_waits_and_says_how_it_is_approved_in_both_languages(store):
    for language, said in (("en", "promote: waiting for approval"), ("pt", "aguarda aprovação")):
        with using(language), pytest.raises(Waiting, match=said) as raised:
            ask(store)
        assert "2024-03-04" in str(raised.value) and "--by" in str(raised.value)
    assert events(store) == [("promote/waiting", "waiting")]
    [event] = store.events(stream_of("flights", "2024-03-04"))
    assert event.body == {"step": "promote", "why": WHY}
    assert waits_for([event]) == "promote"


def test_an_approved_step_goes_on_and_a_declined_one_says_who_declined(store):
    for id in ("one", "other"):
        with pytest.raises(Waiting):
            ask(store, id=id)
    assert answer(store, "flights", "one", by="ana", at=NOON, reason="seen") == "promote"
    assert answer(store, "flights", "other", by="rui", at=NOON, yes=False) == "promote"
    ask(store, id="one")
    for language, said in (("en", "promote: rui declined"), ("pt", "promote: rui recusou")):
        with using(language), pytest.raises(Declined, match=said):
            ask(store, id="other")
    [_, event] = store.events(stream_of("flights", "one"))
    assert (event.kind, event.at) == ("approved", NOON)
    assert event.body == {"step": "promote", "by": "ana", "reason": "seen"}


def test_two_steps_of_a_run_are_approved_apart_by_different_people(store):
    with pytest.raises(Waiting):
        ask(store, "roll back")
    answer(store, "flights", "2024-03-04", by="ana", at=NOON)
    with pytest.raises(Waiting):
        ask(store, "promote")
    assert answer(store, "flights", "2024-03-04", by="rui", at=NOON) == "promote"
    ask(store, "roll back")
    ask(store, "promote")
    by = {
        e.body["step"]: e.body["by"]
        for e in store.events(stream_of("flights", "2024-03-04"))
        if e.kind == "approved"
    }
    assert by == {"roll back": "ana", "promote": "rui"}


def test_the_second_answer_is_refused_and_says_who_gave_the_first(store):
    with pytest.raises(Waiting):
        ask(store)
    answer(store, "flights", "2024-03-04", by="ana", at=NOON)
    with pytest.raises(UnknownRun, match=r"waits for nobody's approval \(ana approved promote\)"):
        answer(store, "flights", "2024-03-04", by="rui", at=NOON, yes=False)
    ask(store)


def test_of_many_who_answer_at_once_one_is_heard_and_the_others_are_told(store, store_url):
    with pytest.raises(Waiting):
        ask(store)
    heard, told, ready = [], [], threading.Barrier(6)

    def say(number):
        with open_store(store_url) as own:
            ready.wait()
            try:
                answer(own, "flights", "2024-03-04", by=f"p{number}", at=NOON, yes=number % 2 == 0)
            except UnknownRun as error:
                told.append(str(error))
            else:
                heard.append(f"p{number} {'declined' if number % 2 else 'approved'} promote")

    threads = [threading.Thread(target=say, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 1 and len(told) == 5
    assert all(f"({heard[0]})" in each for each in told)


def test_a_run_that_there_is_none_of_is_named_with_those_that_are_near(store):
    with pytest.raises(UnknownRun, match="'flights' has no such run; there is none yet"):
        answer(store, "flights", "2024-03-04", by="ana", at=NOON)
    run_of(store).step("count", lambda: {})
    with pytest.raises(UnknownRun, match="run='2024-03-40': 'flights' has no such.*2024-03-04"):
        answer(store, "flights", "2024-03-40", by="ana", at=NOON)
    with pytest.raises(UnknownRun, match="run='2024-03-04': waits for nobody's approval$"):
        answer(store, "flights", "2024-03-04", by="ana", at=NOON)
    with pytest.raises(ValueError, match="by=' ': must name who answers"):
        answer(store, "flights", "2024-03-04", by=" ", at=NOON)


def test_a_step_that_was_done_after_all_waits_no_more(store):
    with pytest.raises(Waiting):
        ask(store)
    run_of(store).step("promote", lambda: {})
    assert waits_for(store.events(stream_of("flights", "2024-03-04"))) == ""


# ------------------------------------------------------------------------------- kill -9


def ended(folder):
    """Return all that a case of the loop left in a workspace, as far as it must be the same."""
    workspace = Workspace(folder, stages={})
    names = [looping.NAME, canary_name(looping.NAME)]
    with open_store(workspace.store_url) as store, using("en"):
        deployments = store.deployments()
        found = {
            "weeks": looping.weeks_of(store),
            "life": life.life_of(store, looping.NAME),
            "measurements": store.measurements(looping.NAME, latest=False),
            "deployments": deployments[["name", "model_version", "created_at"]],
            "events": {
                stream: [
                    (each.key, each.kind, each.at, each.body)
                    for each in store.events(stream)
                    if each.kind != "tried"
                ]
                for stream in store.streams()
            },
        }
        for name in names:
            found[name] = store.read(name).drop(columns="latency_ms")
            found[f"labels of {name}"] = store.labels(name)
    with tracking(workspace.tracking_uri) as client:
        versions = client.search_model_versions(f"name = '{looping.NAME}'")
        found["versions"] = sorted(int(each.version) for each in versions)
        aliases = client.get_registered_model(looping.NAME).aliases
        found["aliases"] = {name: str(version) for name, version in aliases.items()}
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run a case undisturbed, and once more by processes that are killed one after another.

    It takes some 50 s of one core: a process for each of the points at which one dies.
    """
    if not hasattr(os, "fork"):
        pytest.skip("there is no kill -9 here")
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-m", "tests.operations.killed", folder, "12", "promoted_and_rolled_back"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1_500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return ended(folder / "whole"), ended(folder / "killed"), done.stdout.splitlines()


def test_a_process_was_killed_in_every_step_before_it_after_it_and_at_each_write(ran):
    whole, _, points = ran
    assert set(whole["weeks"]["action"]) >= {
        "into the shadow",
        "canary begins",
        "promote",
        "roll back",
    }
    done = {
        key
        for stream, every in whole["events"].items()
        if stream.startswith("run/")
        for key, kind, *_ in every
        if kind == "done"
    }
    assert len(done) >= 14
    for step in done:
        for phase in ("begins", "did", "done"):
            assert f"{phase}: {step}" in points
    for what in (
        "append flights 1: collect",
        "write_measurements flights 1: monitor",
        "record alert 1: alert",
        "create_run 1: train/retrain",
        "create_model_version 1: train/retrain",
        "record loop 1: train/retrain",
        "set_model_version_tag 1: gate/retrain",
        "set_registered_model_alias 1: promote",
        "record loop 1: promote",
        "set_registered_model_alias 1: roll back",
    ):
        assert what in points
    assert len(points) == len(set(points)) >= 60


def test_what_many_killed_processes_left_is_what_one_left_that_was_not_disturbed(ran):
    whole, killed, _ = ran
    assert whole.keys() == killed.keys()
    for name, expected in whole.items():
        if isinstance(expected, pd.DataFrame):
            assert len(expected)
            pd.testing.assert_frame_equal(killed[name], expected, obj=name)
        else:
            assert killed[name] == expected, name
    assert whole["versions"] == [1, 2] and whole["aliases"]["champion"] == "1"
    assert whole["life"].n_trained == whole["life"].n_promoted == 1


def test_no_flight_is_captured_twice_though_its_collecting_broke_off_between_two_services(ran):
    whole, killed, points = ran
    in_two = [point for point in points if point.endswith("collect, in two")]
    assert sum("append" in point for point in in_two) >= 1 and len(in_two) >= 5
    names = [looping.NAME, canary_name(looping.NAME)]
    served = pd.concat([killed[name] for name in names])
    assert len(killed[names[1]]) > 100
    assert served["prediction_id"].is_unique
    first = served["event_time"].min()
    end = whole["weeks"]["week"].max() + timedelta(days=7, hours=12)
    sent = looping.departures(every=12, months=range(4, 8))["departed_at"]
    assert len(served) == ((sent >= first) & (sent < end)).sum()
    for name in names:
        assert killed[f"labels of {name}"]["prediction_id"].is_unique
        assert set(killed[f"labels of {name}"]["revision"]) == {1}
