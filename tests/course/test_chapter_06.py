"""Chapter 06: the Monitoring tab that it watches, seen by whoever is given its address."""

import threading

import httpx
import pytest

from tests.course.running import ran_once
from utils.course import NOTEBOOKS
from utils.course.live import Slowed
from utils.serving.example import FLIGHTS, TenMinutesWonBack

SOURCE = NOTEBOOKS / "06_model_simulation.ipynb"
other = ran_once(SOURCE, seed=7, n_days=21, n_requests=60, watch_minutes=0.02)


def test_whoever_watches_is_told_an_address_and_a_key_and_no_server_is_left(other, capsys):
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{other['address']}/monitoring")
    assert not other["tab"].is_running
    assert [each.name for each in threading.enumerate() if "vigia-monitoring" in each.name] == []


def test_the_tab_saw_every_departure_of_the_day_and_each_stumbling_block(other):
    moved = other["moved"]
    assert moved["predictions"].iloc[-1] == len(other["the_day"])
    assert moved["refused"].sum() == 12
    assert moved.index[moved["slow"]].tolist() == ["04-10 20:00"]


def test_what_the_tab_said_by_night_is_what_was_known_by_then(other):
    *_, night, morning = other["looks"]
    assert f"{night:%H:%M}" == "23:00" and f"{morning:%H:%M}" == "10:00"
    for at in (night, morning):
        for point in other["looks"][at].performance.over_time:
            assert point.known_as_of == at
            captured = other["watched"].read("watched", known_as_of=at)
            of_window = captured["event_time"].between(point.start, point.end, inclusive="left")
            assert point.n <= captured.loc[of_window, "label"].notna().sum()


def test_a_slowed_model_answers_the_same_later(monkeypatch):
    waited = []
    monkeypatch.setattr("utils.course.live.time.sleep", waited.append)
    slowed = Slowed(TenMinutesWonBack())
    slowed.pause_s = 0.25
    answers, scores = slowed.predict(FLIGHTS)
    assert (answers.tolist(), scores, waited) == ([10.0, -15.0], None, [0.25])
    assert slowed.contract is TenMinutesWonBack.contract
