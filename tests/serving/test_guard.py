"""Capture stops above the limit of the disk, predictions do not; and it goes on by itself."""

import shutil

import httpx
import pandas as pd
import pytest

from tests.serving.conftest import KEY
from utils.serving import models
from utils.serving.app import create_app, running
from utils.serving.batch import transform
from utils.serving.client import Client
from utils.serving.endpoint import Endpoint, Refused
from utils.serving.guard import DiskGuard, disk_share
from utils.serving.traffic import replay
from utils.store import open_store

ONE = pd.DataFrame({"x": [1.0]})


@pytest.fixture
def disk():
    return {"used": 0.5}


@pytest.fixture
def endpoint(logged, disk, tmp_path):
    scorer = models.load(logged.uri("fussy"), tracking_uri=logged.tracking_uri)
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        guard = DiskGuard(path=tmp_path, used=lambda path: disk["used"])
        placed = models.deploy_scorer(store, scorer, name="fussy")
        yield Endpoint(scorer, store, placed, guard=guard)


def stored(endpoint):
    return endpoint.store.read("fussy")["prediction"].to_list()


def test_predictions_go_on_while_capture_does_not(endpoint, disk):
    answers = []
    for disk["used"] in (0.5, 0.75, 0.7501, 1.0, 0.6):
        answers.append(endpoint.predict(ONE))
    assert [answer.predictions for answer in answers] == [[2.0]] * 5
    assert [answer.captured for answer in answers] == [True, True, False, False, True]
    assert stored(endpoint) == [2.0] * 3


def test_the_label_of_what_was_not_captured_is_refused_by_name(endpoint, disk):
    disk["used"] = 0.9
    (lost,) = endpoint.predict(ONE).prediction_ids
    with pytest.raises(Refused, match=lost) as refused:
        endpoint.ground_truth([{"prediction_id": lost, "label": 2.0}])
    assert refused.value.status == 404


def test_a_repetition_is_captured_once_there_is_room(endpoint, disk):
    disk["used"] = 0.9
    assert not endpoint.predict(ONE, prediction_ids=["a"]).captured
    disk["used"] = 0.1
    assert endpoint.predict(ONE, prediction_ids=["a"]).captured
    assert stored(endpoint) == [2.0]


def test_the_service_counts_what_it_answered_and_what_it_stored(endpoint, disk):
    with running(create_app(endpoint, access_keys={KEY: "tests"})) as url:
        for disk["used"] in (0.5, 0.9, 0.9):
            said = httpx.post(
                f"{url}/invocations",
                json={"inputs": {"x": [1.0]}},
                headers={"Authorization": f"Bearer {KEY}"},
            )
            assert said.status_code == 200
        told = httpx.get(f"{url}/metrics").text
    assert "vigia_predictions_total 3.0" in told
    assert "vigia_predictions_stored_total 1.0" in told


def test_a_batch_transform_writes_its_answers_and_captures_none(endpoint, disk, tmp_path):
    disk["used"] = 0.9
    (tmp_path / "in").mkdir()
    ONE.to_parquet(tmp_path / "in" / "one.parquet")
    done = transform(endpoint, tmp_path / "in", tmp_path / "out")
    assert done["outcome"].to_list() == ["written"]
    assert pd.read_parquet(tmp_path / "out" / "one.parquet")["prediction"].to_list() == [2.0]
    assert stored(endpoint) == []


def test_a_replay_of_predictions_goes_through(endpoint, disk):
    disk["used"] = 0.9
    times = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")
    frame = pd.DataFrame({"at": times, "x": 1.0})
    sent = replay(Client(endpoint), frame, features=["x"], time_column="at")
    assert (sent.sent, stored(endpoint)) == (3, [])


def test_the_share_is_that_of_the_disk(tmp_path):
    disk = shutil.disk_usage(tmp_path)
    assert disk_share(tmp_path) == pytest.approx(disk.used / disk.total, rel=0.01)
    assert DiskGuard(path=tmp_path, limit=1.0).has_room()
    assert not DiskGuard(path=tmp_path, limit=0.0).has_room()


@pytest.mark.parametrize("limit", [-0.1, 1.1, 75, float("nan")])
def test_a_limit_that_is_no_share_is_refused(tmp_path, limit):
    with pytest.raises(ValueError, match=rf"limit={limit!r}: a share in 0..1"):
        DiskGuard(path=tmp_path, limit=limit)
