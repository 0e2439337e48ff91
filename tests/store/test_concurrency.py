"""Many writers and readers at once lose nothing and see only whole batches."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.store.builders import hours, label_frame, row
from utils.records import DuplicatePrediction
from utils.store.example import example_store

WRITER = """
import sys
from tests.store.builders import row
from utils.store import open_store
url, writer = sys.argv[1:]
with open_store(url) as store:
    for batch in range(20):
        store.append("flights", [row(f"{writer}-{batch}-{at}", batch) for at in range(5)])
"""


def test_eight_threads_lose_nothing(store):
    def write(writer):
        for batch in range(10):
            store.append("flights", [row(f"{writer}-{batch}-{at}", batch) for at in range(5)])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    ids = store.read("flights")["prediction_id"]
    assert len(ids) == ids.nunique() == 8 * 10 * 5


def test_four_processes_lose_nothing(store, store_url):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, store_url, str(writer)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for writer in range(4)
    ]
    failures = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4, failures
    ids = store.read("flights")["prediction_id"]
    assert len(ids) == ids.nunique() == 4 * 20 * 5


def test_a_reader_sees_whole_batches_only(store):
    finished = threading.Event()

    def write():
        for batch in range(30):
            store.append("flights", [row(f"{batch}-{at}", batch) for at in range(7)])
        finished.set()

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        while not finished.is_set() and not writing.done():
            assert len(store.read("flights")) % 7 == 0
        writing.result()
    assert len(store.read("flights")) == 210


def test_of_two_writers_of_one_id_one_is_told(store):
    together = threading.Barrier(2)

    def write(client):
        together.wait()
        try:
            store.append("flights", [row("a", client=client), row(f"with-{client}", 1)])
        except DuplicatePrediction as refused:
            return str(refused)

    with ThreadPoolExecutor(2) as threads:
        told = list(threads.map(write, ["tower", "gate"]))
    assert sum(said is not None for said in told) == 1
    assert len(store.read("flights")) == 2


def test_writers_of_labels_at_once_number_their_revisions_without_a_gap(store):
    store.append("flights", [row("a"), row("b", 1)])

    def label(writer):
        frame = label_frame(("a", float(writer), 5 + writer), ("b", float(writer), 5 + writer))
        store.write_labels(frame)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(label, range(8)))
    history = store.labels("flights").groupby("prediction_id")["revision"].apply(list)
    assert history.to_dict() == {"a": list(range(1, 9)), "b": list(range(1, 9))}
    assert store.read("flights", known_as_of=hours(12))["label"].tolist() == [7.0, 7.0]


def test_a_store_in_memory_is_shared_by_threads():
    with example_store() as memory:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda id: memory.append("flights", [row(id)]), "cdefgh"))
        assert len(memory.read("flights")) == 8
