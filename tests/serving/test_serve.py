"""The server as a process of its own: killed, stopped, and out of disk."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving.conftest import NUMBERS, departures
from utils.serving.client import Client, Unreachable
from utils.serving.endpoint import Refused
from utils.store import open_store

ROOT = Path(__file__).parents[2]
CODE = "import sys; from utils.serving.app import serve; serve(**eval(sys.argv[1]))"
WRITERS = 8


class Served:
    """A server in a process, its address and its key, as its own lines say them."""

    def __init__(self, process):
        self.process = process
        self.lines = []
        for line in process.stdout:
            self.lines.append(line)
            if at := re.search(r"http://\S+", line):
                self.url = at[0]
                break
        else:
            raise AssertionError(f"the server ended: {process.stderr.read()}")

    @property
    def printed_key(self):
        (key,) = re.findall("^access key: (.+)$", "".join(self.lines), re.MULTILINE)
        return key

    def client(self, access_key=None):
        return Client(self.url, access_key=access_key or self.printed_key, retries=0)


@contextmanager
def started(logged, store_url, *, environment=None, before=None, **settings):
    given = {
        "model_uri": logged.uri("late"),
        "store_url": store_url,
        "tracking_uri": logged.tracking_uri,
        "port": 0,
    } | settings
    with subprocess.Popen(
        [sys.executable, "-c", CODE, repr(given)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    ) as process:
        try:
            yield Served(process)
        finally:
            process.kill()


def write_until_gone(served, acknowledged):
    """Send one row after another, and keep what was acknowledged, until nobody answers."""
    frame = departures(n=1)[0][NUMBERS]
    with served.client() as client:
        while True:
            try:
                acknowledged.extend(client.predict(frame)["prediction_id"])
            except (Unreachable, Refused):
                return


@contextmanager
def writers(served):
    """Let several clients write; give what each of them was told is stored."""
    acknowledged = [[] for _ in range(WRITERS)]
    threads = [
        threading.Thread(target=write_until_gone, args=(served, each)) for each in acknowledged
    ]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        for thread in threads:
            thread.join()


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.01)


def stored_ids(store_url):
    with open_store(store_url) as store:
        return store.read("late", columns=["prediction_id"])["prediction_id"].to_list()


def test_kill_9_under_eight_writers_loses_no_acknowledged_prediction(logged, store_url):
    with started(logged, store_url) as served, writers(served) as acknowledged:
        wait_until(lambda: all(len(each) >= 10 for each in acknowledged))
        served.process.kill()
    ids = [id for each in acknowledged for id in each]
    stored = stored_ids(store_url)
    assert len(ids) >= 10 * WRITERS
    assert set(ids) <= set(stored)
    assert len(set(stored)) == len(stored)
    assert len(stored) <= len(ids) + WRITERS, "at most what each had asked and not heard of"


def test_sigterm_answers_what_was_accepted_and_ends_with_0(logged, tmp_path):
    store_url = f"sqlite:///{tmp_path / 'store.db'}"
    with started(logged, store_url) as served:
        with writers(served) as acknowledged:
            wait_until(lambda: all(len(each) >= 5 for each in acknowledged))
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(timeout=30) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{served.url}/ping")
        assert served.process.stderr.read() == ""
    ids = [id for each in acknowledged for id in each]
    assert sorted(ids) == sorted(stored_ids(store_url)), "what is stored was answered"


def test_a_full_disk_is_said_and_survived(logged, tmp_path):
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    store_url = f"sqlite:///{tmp_path / 'store.db'}"
    frame = departures(n=1_000)[0][NUMBERS]
    environment = {"VIGIA_ACCESS_KEY": "of-the-operator"}
    with started(logged, store_url, environment=environment, before=small_files) as served:
        assert "access key" not in "".join(served.lines), "a key that is given is not printed"
        acknowledged = []
        with served.client(access_key="of-the-operator") as client:
            with pytest.raises(Refused, match="not captured.*(disk|full)") as refused:
                for _ in range(30):
                    acknowledged.extend(client.predict(frame)["prediction_id"])
            assert refused.value.status == 503
            assert httpx.get(f"{served.url}/health").status_code == 200
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(timeout=30) == 0
    assert acknowledged
    assert sorted(acknowledged) == sorted(stored_ids(store_url))
