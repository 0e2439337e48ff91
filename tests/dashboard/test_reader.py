"""What the reader takes of counters and store, without its thread."""

import gzip
import json
from contextlib import contextmanager

import pandas as pd
import pytest

from tests.dashboard.builders import NOON, Fired, line
from utils.dashboard.pages import page
from utils.dashboard.reader import Reader
from utils.serving.app import Metrics
from utils.serving.example import FLIGHTS, example_endpoint
from utils.store import StoreUnavailable


class Seconds:
    now = 1_000.0

    def __call__(self):
        return self.now


@contextmanager
def watched(**settings):
    """Give an endpoint, its metrics, its reader and the reader's seconds."""
    with example_endpoint() as endpoint:
        metrics, seconds = Metrics(endpoint), Seconds()
        reader = Reader(
            endpoint,
            metrics,
            seconds=seconds,
            clock=lambda: NOON,
            **settings,
        )
        yield endpoint, metrics, reader, seconds


def test_only_requests_of_the_routes_that_predict_and_label_count():
    with watched() as (_, metrics, reader, _):
        reader.read()
        for route, status in (("/invocations", 200), ("/model", 400), ("/ground-truth", 503)):
            metrics.count(route, status, 0.001)
        for route in ("/metrics", "/ping", "other"):
            metrics.count(route, 200, 0.001)
        reader.read()
        total = reader.snapshot.total
        assert (total.answered, total.refused, total.failed) == (1, 1, 1)


def test_what_is_stored_is_counted_and_spread_as_it_comes():
    with watched() as (endpoint, _, reader, _):
        endpoint.predict(FLIGHTS)
        reader.read()
        assert (reader.snapshot.stored, reader.snapshot.answers.n) == (2, 2)
        assert reader.snapshot.total.n_timed == 0
        endpoint.predict(FLIGHTS)
        reader.read()
        reader.read()
        assert (reader.snapshot.stored, reader.snapshot.answers.n) == (4, 4)
        assert reader.snapshot.total.n_timed == 2


def test_what_was_erased_is_gone_from_the_total_after_the_next_count():
    with watched() as (endpoint, _, reader, seconds):
        endpoint.predict(FLIGHTS)
        reader.read()
        endpoint.store.retain("flights", before=pd.Timestamp.now("UTC"), reason="kept for a day")
        reader.read()
        assert reader.snapshot.stored == 2
        seconds.now += 61
        reader.read()
        assert reader.snapshot.stored == 0


def test_new_measurements_are_seen_at_once():
    with watched() as (endpoint, _, reader, _):
        reader.read()
        assert reader.snapshot.performance.latest == ()
        endpoint.store.write_measurements(
            "flights", pd.DataFrame([line("performance", "mae", 9.0)])
        )
        reader.read()
        assert reader.snapshot.performance.latest[0].value == 9.0


def test_alerts_are_asked_for_when_something_happened_to_one_or_a_minute_has_passed():
    asked = []

    def alerts():
        asked.append(1)
        return [Fired()]

    with watched(alerts=alerts) as (endpoint, _, reader, seconds):
        reader.read()
        reader.read()
        assert len(asked) == 1
        endpoint.store.record("alert/flights", "a", kind="fired", at=NOON, body={})
        reader.read()
        reader.read()
        assert len(asked) == 2
        seconds.now += 61
        reader.read()
        assert len(asked) == 3
        assert reader.snapshot.open_alerts == [Fired()]


def test_a_store_that_cannot_be_read_is_said_and_the_rest_goes_on(monkeypatch):
    with watched() as (endpoint, metrics, reader, _):
        endpoint.predict(FLIGHTS)
        reader.read()

        def unavailable(*about, **more):
            raise StoreUnavailable("store.db: locked")

        monkeypatch.setattr(endpoint.store, "activity", unavailable)
        metrics.count("/invocations", 503, 0.001)
        reader.read()
        snapshot = reader.snapshot
        assert snapshot.trouble == "store.db: locked"
        assert (snapshot.stored, snapshot.total.failed) == (2, 1)
        monkeypatch.undo()
        reader.read()
        assert reader.snapshot.trouble == ""


@pytest.mark.parametrize("viewers", [1, 20])
def test_a_page_is_made_once_however_many_look_at_it(monkeypatch, viewers):
    made = []

    def counted(snapshot, version):
        made.append(version)
        return page(snapshot, version=version)

    monkeypatch.setattr("utils.dashboard.reader.page", counted)
    with watched() as (_, _, reader, _):
        reader.read()
        assert len({id(reader.made("pt")) for _ in range(viewers)}) == 1
        assert made == [1]
        reader.read()
        assert all(reader.made("pt").page.version == 2 for _ in range(viewers))
        assert made == [1, 2]


def test_a_page_that_nobody_looks_at_is_not_made_and_is_new_when_somebody_does():
    with watched() as (_, metrics, reader, seconds):
        reader.read()
        reader.made("en")
        seconds.now += 3_600
        for _ in range(3):
            reader.read()
            metrics.count("/invocations", 200, 0.001)
        assert reader._made["en"].page.version == 1
        assert reader.made("en").page.version == 4


def test_what_is_sent_is_the_page_with_null_for_what_is_no_number():
    with watched() as (endpoint, _, reader, _):
        endpoint.store.write_measurements(
            "flights", pd.DataFrame([line("performance", "mae", 9.0, threshold_high=None)])
        )
        reader.read()
        made = reader.made("en")
        sent = json.loads(gzip.decompress(made.sent))
        assert sent["parts"] == dict(made.page.parts)
        assert sent["version"] == made.page.version == 1
        assert sent["plots"]["latency"]["sources"]["latency-columns"]["p50"] == [None] * 60
        realised = sent["plots"]["performance"]["sources"]["realised-columns"]
        assert (realised["y"], realised["threshold"]) == ([9.0], [None])


def test_who_reads_beside_the_thread_counts_nothing_twice(monkeypatch):
    monkeypatch.setattr("utils.dashboard.reader.PERIOD_S", 0.001)
    with watched() as (endpoint, metrics, reader, _):
        reader.read()
        reader.start()
        try:
            for _ in range(50):
                endpoint.predict(FLIGHTS)
                metrics.count("/invocations", 200, 0.001)
                reader.read()
        finally:
            reader.stop()
        total = reader.snapshot.total
        assert (total.answered, total.n_timed, reader.snapshot.stored) == (50, 100, 100)
