"""Files that were damaged are read as what they still say, or refused by name: nothing else."""

import re

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.exporters.test_capture import INPUTS, SCHEMA, traffic
from tests.exporters.test_clarify import loans, measured
from tests.exporters.test_model_monitor import table
from tests.exporters.test_model_quality import rng, scored
from tests.store.builders import hours
from utils.exporters import capture, clarify, model_monitor, model_quality
from utils.exporters._files import UnreadableFile
from utils.monitors.constraints import statistics, suggested_constraints

CHOSEN = {"columns": INPUTS, "outputs": ["prediction"], "attributes": ["client", "latency_ms"]}


def events(folder):
    frame = traffic(3).assign(event_time=hours(0))
    return capture.write_capture(frame, folder, endpoint="e", **CHOSEN)[0]


def truth(folder):
    labels = {"prediction_id": ["a", "b"], "label": [1.0, 2.0], "known_at": [hours(1)] * 2}
    return capture.write_ground_truth(pd.DataFrame(labels), folder)[0]


def quality_of_a_model(folder):
    metrics = model_quality.binary_classification_metrics(*scored(20), rng=rng())
    return model_quality.write_statistics(metrics, folder / "statistics.json", item_count=20)


def analysis(folder):
    return clarify.write_analysis(
        clarify.bias_analysis(measured(loans(60)), label="y", label_value=1),
        clarify.attribution_analysis({"label0": {"age": 1.0}}),
        path=folder / "analysis.json",
    )


FILES = {
    "events": (
        events,
        lambda path: capture.read_capture(path, kinds=capture.kinds_of(SCHEMA), **CHOSEN),
    ),
    "truth": (truth, capture.read_ground_truth),
    "statistics": (
        lambda folder: model_monitor.write_statistics(statistics(table(8)), folder / "s.json"),
        model_monitor.read_statistics,
    ),
    "constraints": (
        lambda folder: model_monitor.write_constraints(
            suggested_constraints(table(8)), folder / "c.json"
        ),
        model_monitor.read_constraints,
    ),
    "quality of a model": (quality_of_a_model, model_quality.read_statistics),
    "analysis": (analysis, lambda path: clarify.bias_measured(clarify.read_analysis(path))),
}
VALUES = re.compile(rb'"[^"]*"|-?\d+\.?\d*|true|false|null')
OTHERS = [
    b"null",
    b"[]",
    b"{}",
    b'"x"',
    b"-1",
    b"7.5",
    b"1e999",
    b"9" * 400,
    b"true",
    b'"NaN"',
    b"NaN",
]
BITS = [b"", b'"', b"{", b"}", b"[", b",", b"\\", b"\xff", b"\n", b"0"]


@pytest.fixture(scope="module", params=FILES)
def written(request, tmp_path_factory):
    write, read = FILES[request.param]
    path = write(tmp_path_factory.mktemp("files"))
    return path, path.read_bytes(), read


def is_read_or_refused(path, text, read):
    path.write_bytes(text)
    try:
        read(path)
    except UnreadableFile as error:
        assert str(error).startswith(str(path))


SETTINGS = settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SETTINGS
@given(st.data())
def test_a_value_that_became_another_is_read_or_refused(written, data):
    path, good, read = written
    start, end = data.draw(st.sampled_from([each.span() for each in VALUES.finditer(good)]))
    is_read_or_refused(path, good[:start] + data.draw(st.sampled_from(OTHERS)) + good[end:], read)


@SETTINGS
@given(st.data())
def test_bytes_that_were_lost_or_changed_are_read_around_or_refused(written, data):
    path, good, read = written
    at = data.draw(st.integers(0, len(good) - 1))
    lost = data.draw(st.integers(0, 20))
    is_read_or_refused(path, good[:at] + data.draw(st.sampled_from(BITS)) + good[at + lost :], read)


def test_a_file_that_was_cut_off_anywhere_is_refused(written):
    path, good, read = written
    last = good.rstrip(b"\n").rfind(b"\n") + 1 if path.suffix == ".jsonl" else 0
    end = len(good.rstrip())
    for at in range(last + 1, end, max(1, (end - last) // 40)):
        path.write_bytes(good[:at])
        with pytest.raises(UnreadableFile):
            read(path)
