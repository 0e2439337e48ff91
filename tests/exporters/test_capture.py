"""Captured files have the documented form; what is in them comes back; what is broken is told."""

import json
import re
from datetime import timedelta

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.builders import hours
from utils.exporters.capture import (
    ATTRIBUTES,
    UnreadableFile,
    is_sampled,
    kinds_of,
    merged,
    read_capture,
    read_ground_truth,
    write_capture,
    write_ground_truth,
)
from utils.exporters.schedules import window
from utils.monitors.performance import performance
from utils.monitors.quality import quality
from utils.records import Column, Schema
from utils.store import open_store
from utils.store.example import DEPLOYMENT

SCHEMA = Schema(
    columns=(
        Column(name="distance_miles", kind="double", required=False),
        Column(name="carrier", kind="string", required=False),
        Column(name="seats", kind="long", required=False),
        Column(name="weekend", kind="boolean", required=False),
        Column(name="scheduled_at", kind="datetime", required=False),
        Column(name="label", kind="string", required=False),
    )
)
INPUTS = [name for name in kinds_of(SCHEMA) if name != "prediction"]

PAYLOAD = {
    "type": "object",
    "properties": {
        "observedContentType": {"type": "string"},
        "mode": {"enum": ["INPUT", "OUTPUT"]},
        "data": {"type": "string"},
        "encoding": {"enum": ["CSV", "JSON", "BASE64"]},
    },
    "required": ["observedContentType", "mode", "data", "encoding"],
    "additionalProperties": False,
}
EVENT = {
    "type": "object",
    "properties": {
        "captureData": {
            "type": "object",
            "properties": {"endpointInput": PAYLOAD, "endpointOutput": PAYLOAD},
            "required": ["endpointInput", "endpointOutput"],
            "additionalProperties": False,
        },
        "eventMetadata": {
            "type": "object",
            "properties": {
                "eventId": {"type": "string"},
                "inferenceId": {"type": "string"},
                "inferenceTime": {
                    "type": "string",
                    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
                },
                "customAttributes": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["eventId", "inferenceTime"],
            "additionalProperties": False,
        },
        "eventVersion": {"const": "0"},
    },
    "required": ["captureData", "eventMetadata", "eventVersion"],
    "additionalProperties": False,
}
"""The form of a captured event, as documented."""

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PATH = rf"flights/AllTraffic/\d{{4}}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{{3}}-{_UUID}\.jsonl"


def traffic(n, *, seed=0):
    """Return n predictions of three weeks, with whatever a column can hold."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.uniform(0, 21 * 86_400, n))
    names = ["UA", "B6", "", "Azul, S.A.", 'the "other"', "two\nlines", "ação", None]
    miles = rng.lognormal(6, 1, n)
    miles[rng.random(n) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "prediction_id": [f"p-{at:05d}" for at in range(n)],
            "event_time": [hours(0) + timedelta(seconds=each) for each in seconds],
            "model_version": "3",
            "client": rng.choice(["tower", "gate, east"], n),
            "latency_ms": rng.gamma(2, 1, n),
            "prediction": rng.normal(10, 20, n),
            "score": np.where(rng.random(n) < 0.5, rng.random(n), np.nan),
            "distance_miles": miles,
            "carrier": pd.Series(rng.choice(np.array(names, dtype=object), n)),
            "seats": pd.Series(rng.integers(50, 300, n)).astype("Int64").mask(rng.random(n) < 0.1),
            "weekend": pd.Series(rng.random(n) < 0.3).astype("boolean").mask(rng.random(n) < 0.1),
            "scheduled_at": pd.Series([hours(at / 7) for at in range(n)]).mask(rng.random(n) < 0.1),
            "input_label": pd.Series(rng.choice(np.array(["x", None], dtype=object), n)),
        }
    )


def labels_of(frame, *, seed=1):
    """Return labels of most predictions, late, some of them revised."""
    rng = np.random.default_rng(seed)
    late = [timedelta(hours=each) for each in rng.gamma(2, 20, len(frame))]
    labels = pd.DataFrame(
        {
            "prediction_id": frame["prediction_id"],
            "label": frame["prediction"] + rng.normal(0, 5, len(frame)),
            "known_at": frame["event_time"] + pd.Series(late),
        }
    )[rng.random(len(frame)) < 0.8]
    revised = labels.iloc[::10].assign(
        label=lambda each: each["label"] + 1, known_at=lambda each: each["known_at"] + timedelta(9)
    )
    return pd.concat([labels, revised], ignore_index=True)


@pytest.fixture(scope="module")
def stored():
    """Return the frame and the labels of a store that holds them, as it reads them."""
    frame = traffic(600)
    with open_store("sqlite://") as store:
        store.add_deployment(DEPLOYMENT, SCHEMA)
        store.write_predictions("flights", frame)
        store.write_labels(labels_of(frame))
        as_of = hours(14 * 24)
        yield {
            "frame": store.read("flights"),
            "as of": store.read("flights", known_as_of=as_of),
            "moment": as_of,
            "labels": store.labels("flights"),
        }


def captured_and_read(stored, folder, **settings):
    write_capture(
        stored["frame"],
        folder / "capture",
        endpoint="flights",
        columns=INPUTS,
        attributes=ATTRIBUTES,
        **settings,
    )
    write_ground_truth(stored["labels"], folder / "truth")
    capture = read_capture(
        folder / "capture", columns=INPUTS, kinds=kinds_of(SCHEMA), attributes=ATTRIBUTES
    )
    return capture, read_ground_truth(folder / "truth")


# ----------------------------------------------------------------------------- the documented form


def test_an_event_is_written_as_documented(tmp_path):
    frame = traffic(1).assign(
        distance_miles=733.5,
        carrier="UA",
        prediction=-1.25,
        order_id="order-7",
        event_time=hours(0),
    )
    [path] = write_capture(
        frame,
        tmp_path,
        endpoint="flights",
        variant="blue",
        columns=["distance_miles", "carrier"],
        outputs=["prediction"],
        inference_id_column="order_id",
        attributes=["client"],
    )
    assert path.relative_to(tmp_path).parent.as_posix() == "flights/blue/2013/04/01/12"
    event = json.loads(path.read_text())
    assert list(event["eventMetadata"]) == [
        *("eventId", "inferenceTime", "inferenceId", "customAttributes"),
    ]
    assert event == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "733.5,UA",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "-1.25",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {
            "eventId": "p-00000",
            "inferenceTime": "2013-04-01T12:00:00Z",
            "inferenceId": "order-7",
            "customAttributes": ["client=tower"],
        },
        "eventVersion": "0",
    }


@pytest.mark.parametrize("encoding", ["CSV", "JSON", "BASE64"])
def test_every_file_and_event_is_of_the_documented_form(tmp_path, encoding):
    frame = traffic(60)
    paths = write_capture(
        frame,
        tmp_path,
        endpoint="flights",
        columns=INPUTS,
        attributes=["client"],
        encoding=encoding,
    )
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths)
    n_events = 0
    for path in paths:
        relative = path.relative_to(tmp_path).as_posix()
        assert re.fullmatch(PATH, relative)
        for line in path.read_text().splitlines():
            event = json.loads(line)
            jsonschema.validate(event, EVENT)
            hour = event["eventMetadata"]["inferenceTime"][:13].replace("-", "/").replace("T", "/")
            assert hour in relative
            n_events += 1
    assert n_events == len(frame)


def test_ground_truth_is_written_as_documented_under_the_hour_of_collection(tmp_path):
    labels = pd.DataFrame(
        {
            "prediction_id": ["a", "b", "c"],
            "label": [1, 0, 1],
            "known_at": [hours(1.25), hours(1.5), hours(30)],
        }
    )
    paths = write_ground_truth(labels, tmp_path, exact_times=False)
    assert [path.relative_to(tmp_path).as_posix()[:24] for path in paths] == [
        "2013/04/01/13/30-00-000-",
        "2013/04/02/18/00-00-000-",
    ]
    first, second = (json.loads(line) for line in paths[0].read_text().splitlines())
    assert first == {
        "groundTruthData": {"data": "1", "encoding": "CSV"},
        "eventMetadata": {"eventId": "a"},
        "eventVersion": "0",
    }
    read = read_ground_truth(tmp_path, kind="long")
    assert read["label"].tolist() == [1, 0, 1]
    assert read["known_at"].tolist() == [hours(1.5), hours(1.5), hours(30)]
    assert second["eventMetadata"] == {"eventId": "b"}


def test_writing_again_changes_nothing(tmp_path):
    frame = traffic(30)
    settings = {"endpoint": "flights", "columns": INPUTS}
    first = write_capture(frame, tmp_path, **settings)
    before = [path.read_bytes() for path in first]
    assert write_capture(frame, tmp_path, **settings) == first
    assert [path.read_bytes() for path in first] == before
    assert sorted(tmp_path.rglob("*.*")) == sorted(first)


# ------------------------------------------------------------------------------ what comes back


@pytest.mark.parametrize("encoding", ["CSV", "JSON", "BASE64"])
def test_captured_files_give_the_frame_of_the_store(stored, tmp_path, encoding):
    capture, truth = captured_and_read(stored, tmp_path, encoding=encoding)
    frame = merged(capture, truth).drop(columns="inference_id")
    pd.testing.assert_frame_equal(frame, stored["frame"])
    as_of = merged(capture, truth, known_as_of=stored["moment"]).drop(columns="inference_id")
    pd.testing.assert_frame_equal(as_of, stored["as of"])


def test_captured_files_give_the_measurements_of_the_store(stored, tmp_path):
    capture, truth = captured_and_read(stored, tmp_path)

    def measured(frame, known_as_of):
        return performance(
            frame,
            task="regression",
            rng=np.random.default_rng(7),
            window="7D",
            block="1D",
            tolerance=5.0,
            group_column="carrier",
            known_as_of=known_as_of,
        )

    for as_of in (None, stored["moment"]):
        of_store = measured(stored["frame"], as_of)
        assert of_store["value"].notna().sum() > 20
        pd.testing.assert_frame_equal(measured(merged(capture, truth), as_of), of_store)


def test_captured_files_are_of_the_quality_of_the_store(stored, tmp_path):
    capture, _ = captured_and_read(stored, tmp_path)
    features = [*INPUTS, "prediction", "score", "client"]

    def measured(frame):
        week = frame["event_time"] < hours(7 * 24)
        return quality(frame[week], frame[~week], features=features, window="7D")

    of_store = measured(stored["frame"])
    assert of_store["value"].notna().sum() > 50
    pd.testing.assert_frame_equal(measured(capture), of_store)


CELLS = st.none() | st.text(
    alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4),
    st.sampled_from(["CSV", "JSON", "BASE64"]),
)
def test_whatever_text_was_captured_comes_back(tmp_path_factory, rows, encoding):
    folder = tmp_path_factory.mktemp("capture")
    frame = pd.DataFrame(rows, columns=["x", "y"]).assign(
        prediction_id=[f"p{at}" for at in range(len(rows))], event_time=hours(0), prediction=1.0
    )
    chosen = {"columns": ["x", "y"], "outputs": ["prediction"]}
    write_capture(frame, folder, endpoint="e", encoding=encoding, **chosen)
    back = read_capture(folder, kinds={"x": "string", "y": "string"}, **chosen)
    for name in ("x", "y"):
        assert [None if pd.isna(v) else v for v in back[name]] == [
            row["xy".index(name)] for row in rows
        ]


def test_a_real_event_is_read(tmp_path):
    (tmp_path / "events.jsonl").write_text(
        '{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT",'
        '"data":"132,25,113.2\\n","encoding":"CSV"},"endpointOutput":{"observedContentType":'
        '"text/csv; charset=utf-8","mode":"OUTPUT","data":"0.036397","encoding":"CSV"}},'
        '"eventMetadata":{"eventId":"7afe1c6b","inferenceId":"i-1","customAttributes":["a,b","x=1"],'
        '"inferenceTime":"2022-04-18T00:21:48Z","more":1},"eventVersion":"0","extra":{}}\n'
    )
    frame = read_capture(
        tmp_path,
        columns=["length", "plan", "minutes"],
        kinds={"length": "long", "plan": "string", "minutes": "double"},
        outputs=["score"],
        attributes=["x"],
    )
    [row] = frame.to_dict("records")
    assert row == {
        "prediction_id": "7afe1c6b",
        "event_time": pd.Timestamp("2022-04-18T00:21:48Z"),
        "inference_id": "i-1",
        "x": "1",
        "score": 0.036397,
        "length": 132,
        "plan": "25",
        "minutes": 113.2,
    }


def test_the_window_of_a_scheduled_run_is_read_and_files_far_from_it_are_not(stored, tmp_path):
    whole, _ = captured_and_read(stored, tmp_path)
    start, end = window("2013-04-09T13:00Z", start_offset="-P2D", end_offset="-P1D")
    for path in (tmp_path / "capture").rglob("*/2013/04/1[2-9]/*/*.jsonl"):
        path.write_text("broken")
    chosen = {"columns": INPUTS, "kinds": kinds_of(SCHEMA)}
    found = read_capture(tmp_path / "capture", start=start, end=end, **chosen)
    inside = (whole["event_time"] >= start) & (whole["event_time"] < end)
    assert found["prediction_id"].tolist() == whole.loc[inside, "prediction_id"].tolist()
    assert 20 < len(found) < 40
    edge = found["event_time"].iloc[5]
    assert len(read_capture(tmp_path / "capture", start=start, end=edge, **chosen)) == 5
    after = read_capture(tmp_path / "capture", start=edge, end=end, **chosen)
    assert after["prediction_id"].iloc[0] == found["prediction_id"].iloc[5]
    with pytest.raises(UnreadableFile, match="the file was cut off in its last line"):
        read_capture(tmp_path / "capture", start=start, **chosen)


def test_no_events_give_an_empty_frame_of_the_same_types(stored, tmp_path):
    capture, truth = captured_and_read(stored, tmp_path)
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    empty = read_capture(
        nothing,
        columns=INPUTS,
        kinds=kinds_of(SCHEMA),
        attributes=ATTRIBUTES,
    )
    assert len(empty) == 0
    assert empty.dtypes.equals(capture.dtypes)
    assert len(merged(empty, truth)) == 0
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        read_ground_truth(tmp_path / "nowhere")


# ------------------------------------------------------------------------------------- sampling


def test_about_the_percentage_is_sampled_and_a_larger_one_keeps_the_smaller():
    ids = [f"p-{at}" for at in range(5_000)]
    kept = {p: {id for id in ids if is_sampled(id, percentage=p)} for p in (20, 50, 100)}
    assert kept[20] < kept[50] < kept[100] == set(ids)
    assert len(kept[20]) == pytest.approx(1_000, abs=120)  # four standard deviations


def test_a_sample_is_captured_of_events_and_merged_with_all_labels(stored, tmp_path):
    capture, truth = captured_and_read(stored, tmp_path, sampling_percentage=20)
    frame = merged(capture, truth)
    kept = stored["frame"]["prediction_id"].map(lambda id: is_sampled(id, percentage=20))
    assert frame["prediction_id"].tolist() == stored["frame"].loc[kept, "prediction_id"].tolist()
    assert frame["label"].notna().sum() == stored["frame"].loc[kept, "label"].notna().sum() > 50


# -------------------------------------------------------------------------------------- merging


def events(*ids):
    return pd.DataFrame(
        {
            "prediction_id": [id for id, _ in ids],
            "event_time": [hours(at) for at in range(len(ids))],
            "inference_id": pd.Series([own for _, own in ids], dtype="str"),
        }
    )


def truths(*labels):
    return pd.DataFrame(
        {
            "prediction_id": [id for id, _, _ in labels],
            "label": [label for _, label, _ in labels],
            "known_at": [hours(hour) for _, _, hour in labels],
        }
    )


def test_the_inference_id_is_looked_up_where_there_is_one_and_the_event_id_elsewhere():
    frame = merged(
        events(("a", "order-1"), ("b", None)),
        truths(("order-1", 1.0, 5), ("b", 2.0, 6), ("a", 9.0, 7)),
    )
    assert frame["label"].tolist() == [1.0, 2.0]


def test_the_newest_label_known_at_the_moment_counts():
    truth = truths(("a", 1.0, 5), ("a", 2.0, 8), ("b", 3.0, 9))
    frame = merged(events(("a", None), ("b", None), ("c", None)), truth)
    assert frame["label"].tolist()[:2] == [2.0, 3.0]
    assert frame["label_revision"].tolist()[:2] == [2, 1]
    assert frame["label"].isna().tolist() == [False, False, True]
    as_of = merged(events(("a", None), ("b", None)), truth, known_as_of=hours(7))
    assert (as_of["label"].tolist()[0], as_of["label_revision"].tolist()[0]) == (1.0, 1)
    assert pd.isna(as_of["label"].tolist()[1])
    assert len(merged(events(("a", None), ("b", None)), truth, known_as_of=hours(0.5))) == 1


def test_labels_of_other_ids_altogether_are_refused_with_an_example_of_each():
    with pytest.raises(ValueError) as error:
        merged(events(("a", "order-1")), truths(("a", 1.0, 5), ("b", 1.0, 5)))
    assert str(error.value) == (
        "truth: none of its 2 labels names one of the 1 events; the first label names 'a', the "
        "first event has the inferenceId 'order-1' (eventId 'a' does not count beside it)"
    )
    with pytest.raises(ValueError, match="the first event has the eventId 'a'$"):
        merged(events(("a", None)), truths(("x", 1.0, 5)))
    with pytest.raises(ValueError, match="two events are called 'order-1'"):
        merged(events(("a", "order-1"), ("order-1", None)), truths(("x", 1.0, 5)))


def test_of_two_labels_known_at_one_moment_the_later_row_is_written(tmp_path):
    write_ground_truth(truths(("a", 1.0, 5), ("a", 2.0, 5), ("b", np.nan, 5)), tmp_path)
    assert read_ground_truth(tmp_path)["label"].tolist() == [2.0]


def test_a_file_without_a_time_in_its_name_counts_from_the_end_of_its_hour(tmp_path):
    folder = tmp_path / "2013" / "04" / "01" / "13"
    folder.mkdir(parents=True)
    line = '{"groundTruthData":{"data":"1","encoding":"CSV"},"eventMetadata":{"eventId":"a"}}\n'
    (folder / "labels.jsonl").write_text(line)
    assert read_ground_truth(tmp_path)["known_at"].tolist() == [hours(2)]


# ------------------------------------------------------------------------- what is broken is told


def broken(tmp_path, edit, *, n=3):
    """Write n events, edit the text of the first file, and return the error of reading it."""
    frame = traffic(n).assign(event_time=[hours(at / 60) for at in range(n)])
    chosen = {"columns": ["distance_miles", "carrier"], "outputs": ["prediction"]}
    [path] = write_capture(frame, tmp_path, endpoint="flights", **chosen)
    path.write_bytes(edit(path.read_bytes()))
    with pytest.raises(UnreadableFile) as error:
        read_capture(tmp_path, kinds=kinds_of(SCHEMA), **chosen)
    return str(error.value).replace(str(path), "FILE")


def test_a_line_that_was_cut_off_is_told_from_one_that_is_wrong(tmp_path):
    assert broken(tmp_path, lambda text: text[:-30]).startswith(
        "FILE:3: the file was cut off in its last line; each line must be JSON (Unterminated"
    )


def test_wrong_json_is_told_with_its_line(tmp_path):
    message = broken(tmp_path, lambda text: text.replace(b"}\n", b"\n", 1))
    assert message.startswith("FILE:1: each line must be JSON (Expecting")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"CSV"', b'"AVRO"', "endpointOutput: its encoding is 'AVRO'"),
        (b"p-00001", b"p-00000", "eventId 'p-00000' was captured before, at FILE:1"),
        (b'"eventId"', b'"id"', "eventMetadata.eventId is missing"),
        (b'"p-00001"', b"17", "eventMetadata.eventId is 17, and must be a text"),
        (b'"captureData"', b'"captured"', "captureData is missing"),
        (
            b'"endpointInput"',
            b'"endpointInputs"',
            "captureData.endpointInput is missing; did you mean",
        ),
        (b"Z", b"", "eventMetadata.inferenceTime: '2013-04-01T12:01:00' is no datetime"),
        (b'"2013', b'"soon', "eventMetadata.inferenceTime: 'soon-04-01T12:01:00Z' is no datetime"),
        (b"p-00001", b"p-\xff", "byte"),
    ],
)
def test_what_is_wrong_with_an_event_is_told_by_name(tmp_path, old, new, message):
    def edit(text):
        lines = text.split(b"\n")
        lines[1] = new.join(lines[1].split(old)) if old == b'"CSV"' else lines[1].replace(old, new)
        return b"\n".join(lines)

    assert broken(tmp_path, edit).startswith(f"FILE:2: {message}")


def test_records_that_are_no_objects_are_told(tmp_path):
    assert broken(tmp_path, lambda text: b"[1]\n" + text).startswith(
        "FILE:1: it is [1], and must be an object"
    )
    nested = b"[" * 100_000 + b"\n"
    assert broken(tmp_path / "2", lambda text: nested + text).startswith(
        "FILE:1: each line must be JSON"
    )


def test_ground_truth_that_contradicts_itself_or_has_no_hour_is_told(tmp_path):
    line = '{"groundTruthData":{"data":"%s","encoding":"CSV"},"eventMetadata":{"eventId":"a"}}\n'
    hour = tmp_path / "2013" / "04" / "01" / "13"
    hour.mkdir(parents=True)
    path = hour / "labels.jsonl"
    path.write_text(line % 1 + line % 1 + line % 0)
    with pytest.raises(UnreadableFile) as error:
        read_ground_truth(tmp_path)
    assert str(error.value) == (
        f"{path}:3: eventId 'a' has the label 0.0, and at the same moment 1.0, at {path}:1"
    )
    path.write_text(line % "1,2")
    with pytest.raises(UnreadableFile, match="groundTruthData: it has 2 fields, and must have 1"):
        read_ground_truth(tmp_path)
    path.unlink()
    (tmp_path / "labels.jsonl").write_text(line % 1)
    with pytest.raises(UnreadableFile, match="lies in a folder of its hour, yyyy/mm/dd/hh"):
        read_ground_truth(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"endpoint": "my/flights"}, "endpoint='my/flights': letters, digits and hyphens"),
        ({"encoding": "AVRO"}, "encoding='AVRO': one of CSV, JSON, BASE64"),
        ({"sampling_percentage": 0}, "sampling_percentage=0: more than 0, at most 100"),
        ({"columns": "carrier"}, "columns='carrier': give a list of names"),
        ({"columns": ["prediction"]}, "outputs: 'prediction' is taken by columns"),
        ({"columns": ["event_time"]}, "columns: 'event_time' is taken by the event's time"),
        ({"columns": []}, "columns, outputs: an event has at least one of each"),
        ({"columns": ["carier"]}, "columns='carier' is no column of the frame; did you mean"),
        ({"id_column": "client"}, "id_column='client' holds 'tower' twice; an event has its own"),
        ({"id_column": "carrier"}, "id_column='carrier' lacks 1 of 3 ids"),
        ({"time_column": "carrier"}, "time_column='carrier' lacks 1 of 3 times"),
    ],
)
def test_what_cannot_be_captured_is_refused_and_nothing_is_written(tmp_path, changes, message):
    frame = traffic(3).assign(carrier=["UA", None, "B6"], client="tower")
    settings = {"endpoint": "flights", "columns": ["distance_miles"]} | changes
    with pytest.raises(ValueError) as error:
        write_capture(frame, tmp_path, **settings)
    assert str(error.value).startswith(message)
    assert list(tmp_path.iterdir()) == [tmp_path / "workspace"] * (tmp_path / "workspace").exists()


def test_a_value_without_a_form_and_a_kind_that_is_missing_are_refused(tmp_path):
    frame = traffic(1).assign(thing=[object()])
    with pytest.raises(ValueError, match="columns: 'thing' holds a value without a form"):
        write_capture(frame, tmp_path, endpoint="flights", columns=["thing"])
    with pytest.raises(ValueError, match="kinds: has no kind of 'mils'; did you mean 'miles'?"):
        read_capture(tmp_path, columns=["mils"], kinds={"miles": "double"})
    with pytest.raises(ValueError, match="kinds: 'miles' is 'number', and must be of"):
        read_capture(tmp_path, columns=["miles"], kinds={"miles": "number"})
