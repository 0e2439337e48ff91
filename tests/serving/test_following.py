"""The endpoint that follows its name: promotions, rollbacks and canaries, while requests come."""

import re
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import httpx
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from tests.serving.conftest import KEY, NUMBERS, departures
from tests.serving.test_serve import started, wait_until, writers
from utils.dashboard.reader import Reader
from utils.records import VigiaError
from utils.serving import following, models
from utils.serving.app import create_app, running
from utils.serving.client import Client
from utils.serving.contract import contract_of
from utils.serving.endpoint import Refused
from utils.serving.example import FLIGHTS, TenMinutesWonBack, example_model
from utils.serving.following import RETRY_S, Following, follow
from utils.serving.ids import uuid7
from utils.serving.splits import Split, begin_split, end_split, goes_to_canary
from utils.store import StoreUnavailable, open_store, predictions

NAME, CANARY = "flights", "flights-canary"
ONE = FLIGHTS.head(1)
"""A flight that left 20 minutes late: version 1 says 10, version 2 says 0, version 3 says -10."""


class Version(TenMinutesWonBack):
    """A version that wins back ten minutes for each of its number, or that tells what is wrong."""

    def __init__(self, number, *, error=None):
        self.model_version = str(number)
        self.model_uri = f"models:/ten_minutes/{number}"
        self.error = error

    @property
    def schema(self):
        return self.contract.schema

    def predict(self, frame, params=None):
        if self.error:
            raise self.error
        late = frame["departure_delay_min"].to_numpy()
        return late - 10.0 * int(self.model_version), None


def of(answer):
    """Return which version each row of ONE was answered by."""
    return [round((20.0 - value) / 10) for value in answer.predictions]


class Registry:
    """Versions by their URI, as ``loaded`` gives them; what a test puts in comes out."""

    def __init__(self):
        self.asked = []
        self.odd = {}

    def __call__(self, uri, *, tracking_uri):
        self.asked.append(uri)
        found = self.odd.get(uri) or Version(uri.rpartition("/")[2])
        if isinstance(found, Exception):
            raise found
        return found

    def put(self, number, model):
        self.odd[f"models:/ten_minutes/{number}"] = model


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def endpoint(store, registry):
    """Version 1 under the name, followed by hand: a test says when to look."""
    deployment = models.deploy_scorer(store, Version(1), name=NAME)
    return Following(Version(1), store, deployment, loaded=registry)


def deploy(store, number, name=NAME):
    return models.deploy_scorer(store, Version(number), name=name)


def canary(store, number=2, *, share=0.5, by="monday", **settings):
    """Put a version into service as a canary with a share of the requests."""
    deployment = deploy(store, number, CANARY)
    split = Split(deployment=CANARY, share=share, salt=str(number), **settings)
    begin_split(store, NAME, split, at=deployment.created_at, by=by)
    return deployment


def end(store, by="tuesday"):
    end_split(store, NAME, at=pd.Timestamp("2013-05-01T00Z").to_pydatetime(), by=by)


def stored(store):
    """Return what is stored under both names: a row each prediction."""
    known = set(store.deployments()["name"])
    frames = [store.read(name).assign(name=name) for name in (NAME, CANARY) if name in known]
    return pd.concat([each for each in frames if len(each)], ignore_index=True)


def labels_for(ids):
    return [{"prediction_id": id, "label": 12.0} for id in ids]


# ------------------------------------------------------------------------------- versions


def test_what_is_deployed_under_the_name_answers_after_the_next_look(store, endpoint):
    assert of(endpoint.predict(ONE)) == [1]
    second = deploy(store, 2)
    assert of(endpoint.predict(ONE)) == [1], "nobody has looked"
    endpoint.refresh()
    assert of(endpoint.predict(ONE)) == [2]
    assert endpoint.deployment == second
    back = models.rollback(store, NAME)
    endpoint.refresh()
    assert of(endpoint.predict(ONE)) == [1]
    assert endpoint.deployment == back
    assert stored(store).sort_values("event_time")["model_version"].tolist() == ["1", "1", "2", "1"]


def test_a_version_that_answers_already_is_not_loaded_again(store, endpoint, registry):
    canary(store, 2)
    endpoint.refresh()
    deploy(store, 2)
    endpoint.refresh()
    again = deploy(store, 2)
    endpoint.refresh()
    endpoint.refresh()
    assert registry.asked == ["models:/ten_minutes/2"]
    assert endpoint.deployment == again


def test_it_looks_by_itself_within_a_block(store, endpoint, monkeypatch):
    monkeypatch.setattr(following, "REFRESH_S", 0.01)
    with endpoint:
        deploy(store, 2)
        wait_until(lambda: endpoint.deployment.model_version == "2")
    deploy(store, 3)
    time.sleep(0.05)
    assert endpoint.deployment.model_version == "2", "the block has ended"


def test_no_request_waits_while_a_version_is_loaded(store, endpoint, registry, monkeypatch):
    monkeypatch.setattr(following, "REFRESH_S", 0.01)
    loading, go = threading.Event(), threading.Event()
    found = endpoint._loaded

    def slow(uri, **settings):
        loading.set()
        assert go.wait(30)
        return found(uri, **settings)

    endpoint._loaded = slow
    with endpoint:
        deploy(store, 2)
        assert loading.wait(30)
        assert of(endpoint.predict(ONE)) == [1]
        go.set()
        wait_until(lambda: of(endpoint.predict(ONE)) == [2])


OTHER = contract_of(infer_signature(FLIGHTS[["departure_delay_min"]], np.array([10.0])))


@pytest.mark.parametrize("name", [NAME, CANARY])
def test_a_version_of_another_signature_is_not_taken_and_says_so_once(
    store, endpoint, registry, caplog, name
):
    odd = Version(2)
    odd.contract = OTHER
    registry.put(2, odd)
    models.deploy_scorer(store, odd, name=name)
    if name == CANARY:
        split = Split(deployment=CANARY, share=1, salt="2")
        begin_split(store, NAME, split, at=endpoint.deployment.created_at, by="monday")
    for _ in range(3):
        endpoint.refresh()
        assert of(endpoint.predict(ONE)) == [1]
    [said] = caplog.messages
    assert re.search(rf"^{name}: version 2 .*its signature does not allow.*version 1 goes on", said)
    assert registry.asked == ["models:/ten_minutes/2"], "it is not loaded again and again"
    deploy(store, 3)
    end(store)
    endpoint.refresh()
    assert of(endpoint.predict(ONE)) == [3], "a later one is taken"


def test_a_version_that_learned_what_may_be_missing_is_taken(store, endpoint, registry):
    wider = Version(2)
    gaps = FLIGHTS.assign(departure_delay_min=[None, 5.0])
    wider.contract = contract_of(infer_signature(gaps, np.array([10.0])))
    registry.put(2, wider)
    models.deploy_scorer(store, wider, name=NAME)
    endpoint.refresh()
    assert of(endpoint.predict(ONE)) == [2]
    assert stored(store)["model_version"].tolist() == ["2"]
    with pytest.raises(Refused, match="departure_delay_min' is missing"):
        endpoint.predict(ONE[["carrier"]])


def test_a_version_that_cannot_be_loaded_is_tried_again_after_a_while(store, registry, caplog):
    now = [0.0]
    deployment = deploy(store, 1)
    endpoint = Following(Version(1), store, deployment, loaded=registry, seconds=lambda: now[0])
    registry.put(2, ModuleNotFoundError("No module named 'xgboost'"))
    deploy(store, 2)
    for now[0] in (0.0, RETRY_S / 2, RETRY_S, RETRY_S * 1.5):
        endpoint.refresh()
    assert len(registry.asked) == 2
    [said] = caplog.messages
    assert "cannot be loaded (ModuleNotFoundError: No module named 'xgboost')" in said
    assert of(endpoint.predict(ONE)) == [1]
    registry.odd.clear()
    now[0] = RETRY_S * 2
    endpoint.refresh()
    assert of(endpoint.predict(ONE)) == [2]


def test_a_model_that_is_another_one_than_was_deployed_is_not_taken(
    store, endpoint, registry, caplog
):
    registry.put(2, Version(3))
    deploy(store, 2)
    endpoint.refresh()
    assert of(endpoint.predict(ONE)) == [1]
    assert "version 2 (models:/ten_minutes/2) is not taken: its model is version 3" in caplog.text


# ------------------------------------------------------------------------------- the share


def test_a_canary_gets_its_share_of_the_requests_and_each_row_is_under_who_answered(
    store, endpoint
):
    canary(store, 2, share=0.3)
    endpoint.refresh()
    assert [each.name for each in endpoint.in_service] == [NAME, CANARY]
    keys = [str(uuid7()) for _ in range(400)]
    batch = [
        endpoint.request(
            endpoint.contract.rows_of(pd.concat([ONE, ONE])),
            params={},
            started=0.0,
            ids=[key, f"{key} too"],
        )
        for key in keys
    ]
    answers = endpoint.answer(batch)
    versions = [of(answer) for answer in answers]
    assert all(first == second for first, second in versions), "a request goes as a whole"
    goes = goes_to_canary(keys, share=0.3, salt="2")
    assert [first == 2 for first, _ in versions] == goes.tolist()
    assert abs(goes.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 400)
    rows = stored(store)
    assert len(rows) == rows["prediction_id"].nunique() == 800
    assert (rows["name"].eq(CANARY) == rows["model_version"].eq("2")).all()
    assert (rows["prediction"] == 20 - 10 * rows["model_version"].astype(int)).all()
    end(store)
    endpoint.refresh()
    assert all(
        of(each) == [1, 1]
        for each in endpoint.answer(
            [endpoint.request(batch[0].rows, params={}, started=0.0) for _ in range(20)]
        )
    )


def test_with_a_key_column_each_row_goes_where_its_key_does_whatever_the_request(store, endpoint):
    canary(store, 2, key_column="carrier")
    endpoint.refresh()
    carriers = [f"C{number}" for number in range(40)]
    frame = pd.DataFrame({"departure_delay_min": 20.0, "carrier": carriers})
    goes = goes_to_canary(carriers, share=0.5, salt="2")
    expected = [2 if each else 1 for each in goes]
    assert of(endpoint.predict(frame)) == expected
    assert [of(endpoint.predict(frame.iloc[[at]]))[0] for at in range(40)] == expected
    rows = stored(store)
    assert rows.groupby("carrier")["model_version"].nunique().eq(1).all()


def test_a_number_is_the_same_key_in_json_and_in_a_frame(store, endpoint):
    canary(store, 2, key_column="departure_delay_min")
    endpoint.refresh()
    for delay in range(20):
        frame = pd.DataFrame({"departure_delay_min": [delay], "carrier": ["UA"]})
        [by_frame] = endpoint.predict(frame).predictions
        by_json = endpoint.call({"departure_delay_min": delay, "carrier": "UA"})["prediction"]
        assert by_frame == by_json


def test_a_request_that_both_answer_is_stored_as_a_whole_or_not_at_all(
    store, endpoint, monkeypatch
):
    canary(store, 2, key_column="carrier")
    endpoint.refresh()
    carriers = [f"C{number}" for number in range(40)]
    frame = pd.DataFrame({"departure_delay_min": 20.0, "carrier": carriers})
    insert, calls = predictions.insert, []

    def second_fails(*given):
        calls.append(given)
        if len(calls) == 2:
            raise StoreUnavailable("the disk is full")
        return insert(*given)

    monkeypatch.setattr(predictions, "insert", second_fails)
    with pytest.raises(Refused, match="the disk is full") as refused:
        endpoint.predict(frame)
    assert refused.value.status == 503
    assert store.count(NAME) == store.count(CANARY) == 0
    assert len(endpoint.predict(frame).predictions) == 40
    assert store.count(NAME) + store.count(CANARY) == 40


def test_what_the_canary_cannot_answer_the_champion_does(store, endpoint, registry, caplog):
    registry.put(2, Version(2, error=ZeroDivisionError("by zero")))
    canary(store, 2, share=1)
    endpoint.refresh()
    requests = [
        endpoint.request(endpoint.contract.rows_of(ONE), params={}, started=0.0) for _ in range(3)
    ]
    assert [of(each) for each in endpoint.answer(requests)] == [[1]] * 3
    assert stored(store)["name"].tolist() == [NAME] * 3
    [said] = caplog.messages
    assert re.search("flights-canary: version 2 does not answer.*so flights does: .*by zero", said)


def test_what_neither_can_answer_is_refused_and_is_not_the_canarys_fault(
    store, endpoint, registry, caplog
):
    registry.put(2, Version(2, error=ValueError("not this row")))
    canary(store, 2, share=1)
    endpoint.refresh()
    endpoint.scorer = Version(1, error=ValueError("nor this one"))
    with pytest.raises(Refused, match="nor this one"):
        endpoint.predict(ONE)
    assert caplog.messages == []


# ------------------------------------------------------------------------------- once again


def both_ways(endpoint, n=12):
    """Return requests of one row by their ids, of which both versions answered some."""
    ids = [f"request {number}" for number in range(n)]
    first = {id: endpoint.predict(ONE, prediction_ids=[id]).predictions for id in ids}
    return first


def test_a_request_that_comes_again_finds_its_answer_whoever_would_answer_now(store, endpoint):
    before = both_ways(endpoint)
    canary(store, 2)
    endpoint.refresh()
    assert both_ways(endpoint) == before, "the canary repeats what the champion said"
    during = {
        id: endpoint.predict(ONE, prediction_ids=[id]).predictions
        for id in (f"later {number}" for number in range(40))
    }
    assert {tuple(each) for each in during.values()} == {(10.0,), (0.0,)}
    deploy(store, 3)
    end(store)
    endpoint.refresh()
    again = {id: endpoint.predict(ONE, prediction_ids=[id]).predictions for id in during}
    assert again == during, "the next champion repeats what the canary said"
    rows = stored(store)
    assert len(rows) == rows["prediction_id"].nunique() == 52


def test_a_server_that_is_started_after_the_canary_finds_its_answers_too(store, endpoint, registry):
    canary(store, 2, share=1)
    endpoint.refresh()
    endpoint.predict(ONE, prediction_ids=["a"])
    end(store)
    with Following(Version(1), store, store.deployment(NAME), loaded=registry) as restarted:
        assert restarted.predict(ONE, prediction_ids=["a"]).predictions == [0.0]
    assert len(stored(store)) == 1


def test_an_id_with_other_inputs_is_a_conflict_under_either_name(store, endpoint):
    canary(store, 2, share=1)
    endpoint.refresh()
    endpoint.predict(ONE, prediction_ids=["a"])
    end(store)
    endpoint.refresh()
    with pytest.raises(Refused, match="'?a'? is stored with other inputs") as refused:
        endpoint.predict(FLIGHTS.tail(1), prediction_ids=["a"])
    assert refused.value.status == 409


def test_a_request_of_which_each_has_a_part_is_answered_from_both(store, endpoint):
    canary(store, 2, key_column="carrier")
    endpoint.refresh()
    frame = pd.DataFrame({"departure_delay_min": 20.0, "carrier": [f"C{n}" for n in range(20)]})
    ids = [f"row {number}" for number in range(20)]
    half = endpoint.predict(frame.head(10), prediction_ids=ids[:10])
    end(store)
    endpoint.refresh()
    whole = endpoint.predict(frame, prediction_ids=ids)
    assert of(whole) == [*of(half), *[1] * 10]
    assert set(of(half)) == {1, 2}
    assert len(stored(store)) == 20


def test_score_and_commit_stay_with_who_scored(store, endpoint):
    canary(store, 2, share=1)
    endpoint.refresh()
    request = endpoint.request(endpoint.contract.rows_of(ONE), params={}, started=None)
    answer = endpoint.score(request)
    end(store)
    endpoint.refresh()
    assert of(endpoint.commit(request, answer)) == [2]
    assert stored(store)[["name", "model_version"]].to_numpy().tolist() == [[CANARY, "2"]]


# ------------------------------------------------------------------------------- labels


def test_labels_are_taken_for_both_all_or_none(store, endpoint):
    before = list(both_ways(endpoint))
    canary(store, 2, share=1)
    endpoint.refresh()
    theirs = endpoint.predict(ONE).prediction_ids
    with pytest.raises(Refused, match="no prediction has the id 'nobody'") as refused:
        endpoint.ground_truth(labels_for([*before, *theirs, "nobody"]))
    assert refused.value.status == 404
    assert store.labels(NAME).empty and store.labels(CANARY).empty
    end(store)
    endpoint.refresh()
    assert endpoint.ground_truth(labels_for([*before, *theirs]))["new"] == 13
    assert stored(store)["label"].eq(12.0).all()


def test_labels_of_a_canary_that_another_process_began_are_taken_at_once(store, endpoint, registry):
    other = Following(Version(1), store, store.deployment(NAME), loaded=registry)
    canary(store, 2, share=1)
    other.refresh()
    ids = other.predict(ONE).prediction_ids
    assert endpoint.ground_truth(labels_for(ids))["new"] == 1


# ------------------------------------------------------------------------------- a store in use


def test_a_store_that_cannot_be_read_leaves_things_as_they_are(store, endpoint, monkeypatch):
    canary(store, 2, share=1)
    endpoint.refresh()
    deploy(store, 3)
    with monkeypatch.context() as patched:

        def gone(*_):
            raise StoreUnavailable("the database is locked")

        patched.setattr(store, "deployment", gone)
        endpoint.refresh()
        assert of(endpoint.predict(ONE)) == [2]
        assert endpoint.deployment.model_version == "1"
    endpoint.refresh()
    assert endpoint.deployment.model_version == "3"


def test_while_somebody_writes_to_sqlite_it_can_look(tmp_path, registry):
    path = tmp_path / "store.db"
    with open_store(f"sqlite:///{path}") as store:
        endpoint = Following(Version(1), store, deploy(store, 1), loaded=registry)
        deploy(store, 2)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            endpoint.refresh()
            other.execute("ROLLBACK")
        assert endpoint.deployment.model_version == "2"


def test_while_somebody_holds_the_journal_in_postgresql_requests_are_answered(
    postgresql_url, registry
):
    import psycopg

    with open_store(postgresql_url) as store:
        endpoint = Following(Version(1), store, deploy(store, 1), loaded=registry)
        deploy(store, 2)
        with psycopg.connect(postgresql_url) as other, ThreadPoolExecutor(1) as thread:
            other.execute("LOCK TABLE vigia_event IN ACCESS EXCLUSIVE MODE")
            looking = thread.submit(endpoint.refresh)
            assert [of(endpoint.predict(ONE)) for _ in range(20)] == [[1]] * 20
            assert not looking.done()
            other.rollback()
            looking.result(30)
        assert of(endpoint.predict(ONE)) == [2]


# ------------------------------------------------------------------------------- over HTTP


class Sender:
    """Two threads that send single rows until they are stopped, and keep what they were told."""

    def __init__(self, url):
        self.url = url
        self.answers, self.failures = [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(2)]

    def _send(self):
        with Client(self.url, access_key=KEY, retries=0) as client:
            while not self._stop.is_set():
                try:
                    [[id, value]] = client.predict(ONE)[["prediction_id", "prediction"]].to_numpy()
                    self.answers.append((id, round((20.0 - value) / 10)))
                except (VigiaError, ValueError) as error:
                    self.failures.append(error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def more(self, n):
        """Wait until so many more are answered, and return their versions."""
        seen = len(self.answers)
        wait_until(lambda: len(self.answers) >= seen + n or self.failures)
        return [version for _, version in self.answers[seen:]]

    def until(self, version):
        """Wait until a version answers."""
        wait_until(lambda: version in self.more(2) or self.failures)


@contextmanager
def info_of(url):
    yield lambda: sorted(
        re.findall(
            r'vigia_model_info\{deployment="(.+?)",.*version="(.+?)"\} 1',
            httpx.get(f"{url}/metrics").text,
        )
    )


def test_two_threads_send_while_a_canary_begins_is_promoted_and_rolled_back(
    store, endpoint, monkeypatch
):
    monkeypatch.setattr(following, "REFRESH_S", 0.02)
    share = 0.3
    app = create_app(endpoint, access_keys={KEY: "tests"})
    reader = Reader(endpoint, app.state.routes.metrics)
    with endpoint, running(app) as url, info_of(url) as info, Sender(url) as sender:
        assert set(sender.more(20)) == {1}
        assert info() == [(NAME, "1")]

        canary(store, 2, share=share)
        sender.until(2)
        assert info() == [(NAME, "1"), (CANARY, "2")]
        during = sender.more(200)
        deploy(store, 2)
        end(store)
        wait_until(lambda: endpoint.in_service[0].model_version == "2")
        wait_until(lambda: len(endpoint.in_service) == 1)
        sender.more(2)
        assert set(sender.more(20)) == {2}
        assert info() == [(NAME, "2")]
        assert httpx.get(f"{url}/openapi.json").json()["info"]["version"] == "2"
        reader.read()
        assert reader.snapshot.model_version == "2"

        models.rollback(store, NAME)
        sender.until(1)
        sender.more(2)
        assert set(sender.more(20)) == {1}
        with Client(url, access_key=KEY) as client:
            labels = pd.DataFrame(labels_for(id for id, _ in sender.answers))
            assert client.ground_truth(labels)["new"] == len(labels)
    assert sender.failures == []
    assert {version for _, version in sender.answers} == {1, 2}, "no other was ever in service"
    n = len(during)
    assert abs(np.mean(np.equal(during, 2)) - share) < 5 * np.sqrt(share * (1 - share) / n)
    rows = stored(store)
    told = dict(sender.answers)
    assert len(rows) == len(told) == rows["prediction_id"].nunique()
    assert rows.set_index("prediction_id")["model_version"].astype(int).to_dict() == told
    in_canary = rows["name"].eq(CANARY)
    assert set(rows.loc[in_canary, "model_version"]) == {"2"}
    assert rows.loc[in_canary, "label"].eq(12.0).all()


# ------------------------------------------------------------------------------- a process


@pytest.fixture(scope="module")
def versions(logged):
    """Register two versions of one model of real ones, and return their URIs."""
    frame, arrival = departures()
    inputs = frame[NUMBERS]
    uris = []
    for bound in (15, 30):
        model = LogisticRegression(max_iter=1000).fit(inputs, (arrival > bound).astype(int))
        made = models.log_model(
            model,
            name="followed",
            inputs=inputs,
            predictions=model.predict(inputs),
            tracking_uri=logged.tracking_uri,
        )
        uris.append(made.model_uri)
    return uris


def begin_canary(store_url, uri, logged):
    with open_store(store_url) as store:
        other = models.deploy(
            store, name="followed-canary", model_uri=uri, tracking_uri=logged.tracking_uri
        )
        split = Split(deployment="followed-canary", share=0.5, salt="2")
        begin_split(store, "followed", split, at=other.created_at, by="monday")


def ids_by_version(store_url):
    with open_store(store_url) as store:
        known = set(store.deployments()["name"]) & {"followed", "followed-canary"}
        return {
            name: store.read(name, columns=["prediction_id"])["prediction_id"].tolist()
            for name in known
        }


def test_kill_9_during_a_canary_loses_nothing_that_was_acknowledged(logged, versions, store_url):
    with started(logged, store_url, model_uri=versions[0], follow=True) as served:
        with writers(served) as acknowledged:
            wait_until(lambda: all(len(each) >= 3 for each in acknowledged))
            begin_canary(store_url, versions[1], logged)
            wait_until(lambda: len(ids_by_version(store_url)["followed-canary"]) >= 20)
            served.process.kill()
    told = {id for each in acknowledged for id in each}
    kept = ids_by_version(store_url)
    both = [*kept["followed"], *kept["followed-canary"]]
    assert len(both) == len(set(both))
    assert told <= set(both)


def test_a_server_that_is_started_again_serves_what_stands_and_ends_with_0(
    logged, versions, tmp_path
):
    store_url = f"sqlite:///{tmp_path / 'store.db'}"
    with open_store(store_url) as store:
        for uri in versions:
            models.deploy(store, name="followed", model_uri=uri, tracking_uri=logged.tracking_uri)
    with started(logged, store_url, model_uri=versions[0], follow=True) as served:
        with writers(served) as acknowledged:
            wait_until(lambda: all(len(each) >= 3 for each in acknowledged))
            begin_canary(store_url, versions[0], logged)
            wait_until(lambda: len(ids_by_version(store_url)["followed-canary"]) >= 10)
            served.process.send_signal(signal.SIGTERM)
            assert served.process.wait(timeout=30) == 0
        assert served.process.stderr.read() == ""
    told = sorted(id for each in acknowledged for id in each)
    assert told == sorted(id for ids in ids_by_version(store_url).values() for id in ids)
    with open_store(store_url) as store:
        assert set(store.read("followed")["model_version"]) == {"2"}
        assert set(store.read("followed-canary")["model_version"]) == {"1"}


def test_a_folder_that_holds_another_model_by_now_is_said_at_the_start(tmp_path):
    with open_store("sqlite://") as store, example_model() as one, example_model() as other:
        models.deploy(store, name=NAME, model_uri=one)
        standing = store.deployment(NAME)
        changed = {"deployment_crn": models.new_crn(), "model_version": "another"}
        store.add_deployment(type(standing)(**vars(standing) | changed), store.schema(NAME))
        with pytest.raises(VigiaError, match="was deployed as version another, and is"):
            follow(store, model_uri=other, deployment=NAME)
