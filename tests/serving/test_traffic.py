"""Replaying a frame: what is sent, in which order, how fast, and what a second run adds."""

import itertools
import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow.models import infer_signature

from utils.records import Deployment
from utils.serving import traffic
from utils.serving.app import create_app, running
from utils.serving.client import Client
from utils.serving.contract import Refused, contract_of
from utils.serving.endpoint import Endpoint
from utils.serving.traffic import Replayed, replay
from utils.store import open_store

ROOT = Path(__file__).resolve().parents[2]
START = pd.Timestamp("2013-04-01", tz="UTC")


def minutes(*offsets):
    """Return moments so many minutes after START; None is never."""
    offsets = pd.Series(offsets, dtype="float64")
    return (START + pd.to_timedelta(offsets, unit="min")).astype("datetime64[us, UTC]")


def departures(event_time, known_at=None, label=None):
    n = len(event_time)
    return pd.DataFrame(
        {
            "delay": np.arange(n, dtype="float64"),
            "at": minutes(*event_time),
            "label": np.arange(n, dtype="float64") if label is None else label,
            "known_at": minutes(*(event_time if known_at is None else known_at)),
        }
    )


def refuse(message, *, status=400):
    return Refused(status, "BAD_REQUEST", message)


class Recorder:
    """Stands where a client stands; writes down what comes, in order."""

    def __init__(self, refuses=lambda delays: None):
        self.requests = []
        self.stored = {}
        self.labels = {}
        self._refuses = refuses

    def predict(self, frame, *, event_time, key):
        refusal = self._refuses(frame["delay"])
        if refusal:
            raise refusal
        ids = [str(uuid.UUID(int=key.int + row)) for row in range(len(frame))]
        self.requests.append(("predictions", list(frame["delay"]), list(event_time)))
        self.stored.update(zip(ids, frame["delay"], strict=True))

    def ground_truth(self, labels):
        self.requests.append(("labels", list(labels["label"]), list(labels["known_at"])))
        for row in labels.itertuples():
            assert row.prediction_id in self.stored, "a label came before its prediction"
            self.labels.setdefault(row.prediction_id, []).append(row.label)

    def sequence(self):
        """Return every event sent, one by one: (what, value, moment)."""
        return [
            (what, value, moment)
            for what, values, moments in self.requests
            for value, moment in zip(values, moments, strict=True)
        ]


def run(client, frames, **settings):
    given = {"features": ["delay"], "time_column": "at"}
    return replay(client, frames, **(given | settings))


def with_labels(client, frames, **settings):
    return run(client, frames, label_column="label", known_at_column="known_at", **settings)


def test_predictions_go_in_the_order_of_their_time_whatever_the_order_of_the_rows():
    client = Recorder()
    done = run(client, departures([30, 10, 20]))
    assert [value for _, value, _ in client.sequence()] == [1.0, 2.0, 0.0]
    assert done == Replayed(sent=3, labelled=0)


def test_a_label_known_before_a_later_prediction_is_delivered_before_it():
    client = Recorder()
    with_labels(client, departures([0, 10, 20], known_at=[15, 12, 40]), batch_rows=1)
    assert [(what, value) for what, value, _ in client.sequence()] == [
        ("predictions", 0.0),
        ("predictions", 1.0),
        ("labels", 1.0),
        ("labels", 0.0),
        ("predictions", 2.0),
        ("labels", 2.0),
    ]


def test_a_label_known_at_the_very_moment_of_its_prediction_comes_after_it():
    client = Recorder()
    with_labels(client, departures([0, 10], known_at=[10, 10]), batch_rows=1)
    assert [what for what, _, _ in client.sequence()] == ["predictions"] * 2 + ["labels"] * 2


def test_labels_that_are_missing_or_never_known_never_come():
    frame = departures([0, 1, 2], known_at=[5, None, 7], label=[1.0, 2.0, None])
    client = Recorder()
    done = with_labels(client, frame)
    assert done == Replayed(sent=3, labelled=1)
    assert list(itertools.chain(*client.labels.values())) == [1.0]


def test_labels_in_a_column_that_may_be_null_arrive_as_plain_ones():
    class Strict(Recorder):
        def ground_truth(self, labels):
            assert labels["label"].dtype == np.dtype("int64")
            super().ground_truth(labels)

    client = Strict()
    with_labels(client, departures([0, 1, 2], label=pd.array([1, None, 0], dtype="Int64")))
    assert list(itertools.chain(*client.labels.values())) == [1, 0]


def test_the_clock_stops_before_until():
    client = Recorder()
    frame = departures([0, 10, 20], known_at=[5, 20, 30])
    done = with_labels(client, frame, until=START + pd.Timedelta(minutes=20))
    assert done == Replayed(sent=2, labelled=1)


def test_no_frame_is_asked_for_after_until():
    def frames():
        yield departures([0, 10])
        yield departures([20, 30])
        raise AssertionError("asked for a frame that nobody needs")

    done = run(Recorder(), frames(), until=START + pd.Timedelta(minutes=25))
    assert done.sent == 3


@settings(max_examples=60, deadline=None)
@given(
    event_time=st.lists(st.integers(0, 60), min_size=1, max_size=25),
    delays=st.lists(st.one_of(st.none(), st.integers(0, 90)), min_size=25, max_size=25),
    batch_rows=st.integers(1, 30),
    cuts=st.lists(st.integers(0, 25), max_size=3),
    until=st.one_of(st.none(), st.integers(0, 160)),
)
def test_the_same_is_sent_whatever_the_batches_and_the_frames(
    event_time, delays, batch_rows, cuts, until
):
    event_time = sorted(event_time)
    known_at = [
        None if delay is None else at + delay for at, delay in zip(event_time, delays, strict=False)
    ]
    frame = departures(event_time, known_at)
    until = None if until is None else START + pd.Timedelta(minutes=until)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(frame)), len(frame)]
    frames = [frame.iloc[a:b] for a, b in itertools.pairwise(bounds)]

    whole, exact = Recorder(), Recorder()
    done = with_labels(whole, frames, batch_rows=batch_rows, until=until)
    assert with_labels(exact, frame, batch_rows=1, until=until) == done
    assert whole.stored == exact.stored and whole.labels == exact.labels
    happens = [at for at in frame["at"] if until is None or at < until]
    known = [at for at in frame["known_at"].dropna() if until is None or at < until]
    assert (done.sent, done.labelled) == (len(happens), len(known))
    moments = [moment for _, _, moment in exact.sequence()]
    assert moments == sorted(moments), "with batches of one row the order is that of time"


def test_labels_of_their_own_frame_may_be_none_one_or_several_for_a_row():
    frame = departures([0, 1, 2]).assign(flight=["a", "b", "c"])
    labels = pd.DataFrame(
        {"prediction_id": ["c", "a", "c", "z"], "label": [9.0, 1.0, 3.0, 0.0]}
    ).assign(known_at=minutes(30, 5, 20, 5))
    client = Recorder()
    done = run(client, frame, labels=labels, key_column="flight")
    assert done == Replayed(sent=3, labelled=3)
    by_delay = {client.stored[name]: values for name, values in client.labels.items()}
    assert by_delay == {0.0: [1.0], 2.0: [3.0, 9.0]}


def test_labels_may_be_made_for_each_frame():
    frame = departures(range(6)).assign(flight=range(6))
    seen = []

    def clock(rows):
        seen.append(len(rows))
        known_at = rows["at"] + pd.Timedelta(minutes=2)
        return rows.assign(known_at=known_at, prediction_id=rows["flight"])

    client = Recorder()
    done = run(client, [frame[:2], frame[2:]], labels=clock, key_column="flight")
    assert done == Replayed(sent=6, labelled=6) and seen == [2, 4]


def test_a_second_run_gives_every_row_the_name_it_had():
    frame = departures(range(10))
    first, second = Recorder(), Recorder()
    with_labels(first, frame, batch_rows=3, until=START + pd.Timedelta(minutes=4))
    with_labels(second, frame, batch_rows=7)
    assert first.stored.items() <= second.stored.items()
    assert len(second.stored) == 10


def test_another_seed_names_new_predictions_and_every_name_is_a_time_ordered_uuid():
    frame = departures(range(5))
    one, other = Recorder(), Recorder()
    run(one, frame, seed=1)
    run(other, frame, seed=2)
    assert not one.stored.keys() & other.stored.keys()
    names = [uuid.UUID(name) for name in one.stored]
    assert names == sorted(names)
    assert {(name.version, name.variant) for name in names} == {(7, uuid.RFC_4122)}
    assert names[0].int >> 80 == START.timestamp() * 1000


def test_refused_rows_are_counted_by_reason_and_the_rest_are_sent_once():
    def refuses(delays):
        if (delays == 3).any():
            return refuse("delay: 3 is out of range")
        return refuse("delay: 8 is unlucky") if (delays == 8).any() else None

    client = Recorder(refuses)
    done = with_labels(client, departures(range(10)), on_refused="count")
    assert done == Replayed(
        sent=8,
        labelled=8,
        refused={"delay: 3 is out of range": 1, "delay: 8 is unlucky": 1},
    )
    assert sorted(client.stored.values()) == [0, 1, 2, 4, 5, 6, 7, 9]
    sent = [value for what, value, _ in client.sequence() if what == "predictions"]
    assert sent == sorted(sent)


def test_a_refusal_is_raised_unless_it_is_to_be_counted():
    client = Recorder(lambda delays: refuse("delay: no"))
    with pytest.raises(Refused, match="delay: no"):
        run(client, departures([0, 1]))


def test_a_refusal_that_is_not_about_the_rows_is_raised_in_any_case():
    client = Recorder(lambda delays: refuse("wrong key", status=401))
    with pytest.raises(Refused, match="wrong key"):
        run(client, departures([0, 1]), on_refused="count")


def test_refused_labels_are_counted_too():
    class Strict(Recorder):
        def ground_truth(self, labels):
            if (labels["label"] > 7).any():
                raise refuse("label: above 7")
            super().ground_truth(labels)

    done = with_labels(Strict(), departures(range(10)), on_refused="count")
    assert done == Replayed(sent=10, labelled=8, labels_refused={"label: above 7": 2})


class Wall:
    """A wall clock that moves only when somebody sleeps."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def test_the_rate_paces_the_wall_clock_and_makes_up_for_slow_requests():
    wall = Wall()

    class Slow(Recorder):
        def predict(self, frame, **named):
            wall.now += 0.3 if frame["delay"].iloc[0] == 2 else 0.0
            super().predict(frame, **named)

    run(
        Slow(),
        departures(range(8)),
        batch_rows=2,
        rate_per_s=10,
        clock=wall.clock,
        sleep=wall.sleep,
    )
    assert [round(seconds, 6) for seconds in wall.slept] == [0.0, 0.2, 0.0, 0.1]


def test_progress_hears_of_each_batch():
    heard = []
    run(Recorder(), departures(range(5)), batch_rows=2, progress=heard.append)
    assert heard == [2, 2, 1]


def test_nothing_comes_of_nothing():
    assert with_labels(Recorder(), departures([])) == Replayed(sent=0, labelled=0)
    assert with_labels(Recorder(), iter([])) == Replayed(sent=0, labelled=0)
    before = START - pd.Timedelta(days=1)
    assert with_labels(Recorder(), departures([0]), until=before).sent == 0


def test_long_waits_for_labels_are_split_into_requests_of_bounded_size(monkeypatch):
    monkeypatch.setattr(traffic, "LABELS_PER_REQUEST", 4)
    client = Recorder()
    with_labels(client, departures(range(10), known_at=[99] * 10))
    assert [len(values) for what, values, _ in client.requests if what == "labels"] == [4, 4, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_rows": 0}, "batch_rows=0: must be above zero"),
        ({"rate_per_s": -1.0}, "rate_per_s=-1.0: must be above zero"),
        ({"rate_per_s": float("nan")}, "rate_per_s=nan: must be above zero"),
        ({"until": pd.Timestamp("2013-05-01")}, "until=2013-05-01 00:00:00: needs a time zone"),
        ({"on_refused": "ignore"}, "on_refused='ignore': must be 'raise' or 'count'"),
        ({"features": ["delay", "colour"]}, "frames: no column 'colour'"),
        ({"time_column": "when"}, "frames: no column 'when'"),
        ({"time_column": "delay"}, "'delay' is float64: must be a moment with a time zone"),
        ({"label_column": "label"}, "label_column and known_at_column: give both, or neither"),
        ({"key_column": "delay"}, "labels and key_column: give both, or neither"),
        (
            {"label_column": "late", "known_at_column": "known_at"},
            "frames: no column 'late'",
        ),
        (
            {"labels": pd.DataFrame({"delay": [1.0]}), "key_column": "delay"},
            "labels: no column 'prediction_id', 'label', 'known_at'",
        ),
    ],
)
def test_misuse_is_named(change, message):
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        run(Recorder(), departures([0, 1]), **change)


def test_rows_without_a_time_are_refused():
    with pytest.raises(ValueError, match="time_column='at': 1 rows have no time"):
        run(Recorder(), departures([0, None]))


def test_a_label_known_before_its_prediction_is_refused():
    with pytest.raises(ValueError, match="1 labels are known before their prediction is made"):
        with_labels(Recorder(), departures([10, 20], known_at=[15, 15]))


def test_frames_out_of_order_are_refused():
    frames = [departures([10, 20]), departures([15])]
    with pytest.raises(ValueError, match="frames: one begins at .*, before the end"):
        run(Recorder(), frames)


def test_a_key_that_two_rows_share_is_refused():
    frame = departures([0, 1]).assign(flight=7)
    labels = pd.DataFrame({"prediction_id": [7], "label": [1.0], "known_at": minutes(5)})
    with pytest.raises(ValueError, match="key_column='flight': .*7.* is the key of several rows"):
        run(Recorder(), frame, labels=labels, key_column="flight")


def test_the_frame_is_left_as_it_was():
    frame = departures([30, 10, 20])
    before = frame.copy(deep=True)
    with_labels(Recorder(), frame)
    pd.testing.assert_frame_equal(frame, before)


# With an endpoint and a store


class LatePlusFive:
    """A model that answers the delay and five; it takes no delay above 5,000."""

    contract = contract_of(infer_signature(pd.DataFrame({"delay": [1.5]}), np.array([1.5])))
    model_name, model_version, model_uri = "late", "1", "models:/late/1"

    def predict(self, frame, params):
        if (frame["delay"] > 5_000).any():
            raise ValueError("nobody is that late")
        return frame["delay"].to_numpy() + 5, None


def served(store):
    deployment = Deployment(
        name="late",
        model_name="late",
        model_version="1",
        model_uri="models:/late/1",
        model_crn="crn:m",
        build_crn="crn:b",
        deployment_crn="crn:d",
        created_at=START.to_pydatetime(),
    )
    store.add_deployment(deployment, LatePlusFive.contract.schema)
    return Endpoint(LatePlusFive(), store, deployment)


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture(params=["in process", "over HTTP"])
def client(request, store):
    endpoint = served(store)
    if request.param == "in process":
        yield Client(endpoint)
        return
    app = create_app(endpoint, access_keys={"key": "ana"}, accept_event_time=True)
    with running(app) as url, Client(url, access_key="key") as client:
        yield client


DAY = departures(range(1_500), known_at=[at + 90 for at in range(1_500)])


def test_a_replay_is_in_the_store_with_its_own_times(client, store):
    done = with_labels(client, DAY, batch_rows=700)
    assert done == Replayed(sent=1_500, labelled=1_500)
    table = store.read("late")
    assert table["event_time"].tolist() == DAY["at"].tolist()
    assert table["prediction"].tolist() == (DAY["delay"] + 5).tolist()
    assert table["label"].tolist() == DAY["label"].tolist()
    assert table["label_known_at"].tolist() == DAY["known_at"].tolist()


def test_what_was_interrupted_is_finished_and_nothing_is_stored_twice(client, store):
    class Interrupted(Exception):
        pass

    def interrupt(rows):
        if len(store.read("late")) > 700:
            raise Interrupted

    with pytest.raises(Interrupted):
        with_labels(client, DAY, batch_rows=300, progress=interrupt)
    assert 0 < len(store.read("late")) < len(DAY)
    assert with_labels(client, DAY, batch_rows=400).sent == 1_500
    assert with_labels(client, DAY, batch_rows=1_000).sent == 1_500
    assert len(store.read("late")) == len(store.labels("late")) == len(DAY)


def test_other_rows_under_the_same_names_are_refused_with_the_way_out(client, store):
    run(client, DAY[:10])
    with pytest.raises(Refused, match="is stored with other inputs") as refused:
        run(client, DAY[:10].assign(delay=0.0))
    assert refused.value.__notes__ == ["to send other rows as new predictions, give another seed"]
    assert run(client, DAY[:10].assign(delay=0.0), seed=1).sent == 10
    assert len(store.read("late")) == 20


def test_rows_that_the_endpoint_refuses_are_counted_with_its_reason(client, store):
    frame = DAY[:50].assign(delay=lambda rows: rows["delay"].replace({7: np.inf, 8: 6_000.0}))
    done = with_labels(client, frame, on_refused="count")
    assert (done.sent, done.labelled, sum(done.refused.values())) == (48, 48, 2)
    assert any("column 'delay'" in reason for reason in done.refused)
    assert any("nobody is that late" in reason for reason in done.refused)
    assert len(store.read("late")) == len(store.labels("late")) == 48


MONTHS = """
import resource, sys
from pathlib import Path
from tests.serving.test_traffic import Client, departures, served, with_labels
from utils.store import open_store

def peak_mb():
    # On Linux getrusage tells the peak of whoever forked this process, where that was higher.
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def frames():
    for day in range(40):
        if day in (10, 39):
            print(peak_mb())
        yield departures([day * 1000 + at / 2 for at in range(2000)],
                         known_at=[day * 1000 + at / 2 + 3000 for at in range(2000)])

with open_store(sys.argv[1]) as store:
    print(with_labels(Client(served(store)), frames()).labelled)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell a process its peak memory")
def test_memory_does_not_grow_with_the_length_of_the_traffic(tmp_path):
    command = [sys.executable, "-c", MONTHS, f"sqlite:///{tmp_path / 'store.db'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    after_a_quarter_mb, at_the_end_mb, labelled = map(float, done.stdout.split())
    assert labelled == 80_000
    assert at_the_end_mb < 1_024
    assert at_the_end_mb - after_a_quarter_mb < 50
