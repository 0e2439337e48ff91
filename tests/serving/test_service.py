"""A server in a process of its own: it serves, stops when asked, and leaves nothing running."""

import gc
import os

import pytest

from tests.serving.conftest import departures
from utils.serving.service import NotServing, Service
from utils.store import open_store


@pytest.fixture
def start(logged, tmp_path):
    """Return a function that starts a server of a model of the tests."""
    started = []

    def start(name, **settings):
        service = Service(
            model_uri=logged.uri(name),
            store_url=f"sqlite:///{tmp_path / 'store.db'}",
            tracking_uri=logged.tracking_uri,
            **settings,
        )
        started.append(service)
        return service

    yield start
    for service in started:
        service.stop()


def test_it_answers_over_http_and_ends_with_status_0_however_often_it_is_stopped(start, tmp_path):
    frame, _ = departures(5)
    with start("delay", deployment="arrivals") as service:
        assert service.url.startswith("http://127.0.0.1:")
        with service.client() as client:
            answers = client.predict(frame)
    assert (service.stop(), service.stop()) == (0, 0)
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        stored = store.read("arrivals")
        assert stored["prediction_id"].tolist() == answers["prediction_id"].tolist()


def test_a_server_that_cannot_start_says_why(start):
    service = start("nothing")
    with pytest.raises(NotServing, match="status 2: models:/nothing/1: .*nothing"):
        _ = service.url
    assert service.stop() == 2
    with pytest.raises(NotServing, match="the server was stopped"):
        _ = service.url


@pytest.mark.skipif(os.name == "nt", reason="signal 0 asks for a process on POSIX only")
def test_a_server_that_nobody_refers_to_is_stopped(logged, tmp_path):
    service = Service(model_uri=logged.uri("delay"), store_url=f"sqlite:///{tmp_path / 'store.db'}")
    pid = service._process.pid
    os.kill(pid, 0)
    del service
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
