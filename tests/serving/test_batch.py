"""A folder of Parquet scored at once: the rows of the endpoint, each once, a file whole or not."""

import json
import signal
import threading
import time
from datetime import UTC, datetime
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving.conftest import NUMBERS, departures
from utils.records import VigiaError
from utils.serving import models
from utils.serving.batch import ANSWER_COLUMNS, SUMMARY_COLUMNS, _opened, transform
from utils.serving.client import Client
from utils.serving.endpoint import Endpoint
from utils.serving.ids import key_of, prediction_ids
from utils.store import StoreUnavailable, open_store

FEATURES = [*NUMBERS, "carrier"]
NOW = datetime(2013, 4, 1, 12, tzinfo=UTC)


def flights(n=50, seed=1):
    """Return departures with what a file has beside the features: an id, and a time."""
    frame, _ = departures(n=n, seed=seed)
    at = pd.Timestamp("2013-04-01T04:00Z") + pd.to_timedelta(np.arange(n), "min")
    return frame.assign(flight=[f"F{seed}-{at}" for at in range(n)], departed_at=at)


def put(folder, **frames):
    """Write frames as files, ``a__b`` as ``a/b.parquet``; return the folder."""
    for name, frame in frames.items():
        path = folder / f"{name.replace('__', '/')}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
    return folder


@pytest.fixture
def here(tmp_path):
    return tmp_path / "in", tmp_path / "out"


@pytest.fixture
def delay(serve):
    return serve("delay", clock=lambda: NOW)


CARRIED = {"time_column": "departed_at", "keep_columns": ["flight"]}


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# ----------------------------------------------------------------- the same as asked for row by row


def test_the_answers_and_the_rows_in_the_store_are_those_of_the_endpoint(delay, serve, here):
    frame = flights(n=120)
    summary = transform(delay, put(here[0], day=frame), here[1], batch_rows=50, **CARRIED)
    assert summary.columns.tolist() == list(SUMMARY_COLUMNS)
    assert summary.to_numpy().tolist() == [["day.parquet", "written", 120, ""]]
    batch = delay.store.read("delay")
    written = pd.read_parquet(here[1] / "day.parquet")
    assert written["flight"].tolist() == frame["flight"].tolist()
    assert written["prediction_id"].tolist() == batch["prediction_id"].tolist()

    alone = serve("delay")
    alone.store.erase("delay", column="client", value="batch", reason="make room to compare")
    answers = [
        alone.predict(frame.loc[[at], FEATURES], event_time=frame["departed_at"][at])
        for at in range(120)
    ]
    asked = delay.store.read("delay")
    same = ["event_time", "model_version", "prediction", "score", *FEATURES]
    pd.testing.assert_frame_equal(batch[same], asked[same])
    np.testing.assert_allclose(
        written["prediction"], [answer.predictions[0] for answer in answers], rtol=1e-12
    )
    assert batch["latency_ms"].isna().all(), "nobody waited"
    assert asked["latency_ms"].notna().all()
    assert set(batch["client"]) == {"batch"}


def test_the_output_mirrors_the_input_and_nothing_else_is_left(delay, here):
    put(here[0], b=flights(3, 1), a__z=flights(4, 2), a__deep__y=flights(5, 3))
    put(here[0], _success=flights(2, 4), _spark__part=flights(2, 5), a__unfinished=flights(2, 6))
    (here[0] / "a/unfinished.parquet").rename(here[0] / "a/.unfinished.parquet")
    (here[0] / "notes.txt").write_text("not for the model")
    put(here[0], **{"set.parquet__part": flights(6, 7)})
    summary = transform(delay, *here, **CARRIED)
    assert dict(zip(summary["file"], summary["rows"], strict=True)) == {
        "a/deep/y.parquet": 5,
        "a/z.parquet": 4,
        "b.parquet": 3,
        "set.parquet/part.parquet": 6,
    }
    files = {"a", "a/deep", "set.parquet", *summary["file"]}
    assert files_in(here[1]) == sorted(files)
    assert len(delay.store.read("delay")) == 18


def test_events_without_a_time_of_their_own_happen_now(delay, here):
    put(here[0], day=flights(3)[FEATURES])
    transform(delay, *here)
    assert set(delay.store.read("delay")["event_time"]) == {NOW}
    assert pq.read_schema(here[1] / "day.parquet").names == ["prediction_id", "prediction"]


def test_a_classifier_gives_its_score_and_labels_find_their_predictions(serve, here):
    endpoint = serve("late")
    put(here[0], day=flights(20)[NUMBERS])
    transform(endpoint, *here)
    written = pd.read_parquet(here[1] / "day.parquet")
    assert written.columns.tolist() == list(ANSWER_COLUMNS)
    assert written["score"].between(0, 1).all()
    Client(endpoint).ground_truth(written[["prediction_id"]].assign(label=1))
    read = endpoint.store.read("late")
    assert read["label"].eq(1).all()
    assert read["score"].tolist() == written["score"].tolist()


def test_a_prediction_of_any_form_is_written(serve, here):
    endpoint = serve("several")  # its signature does not say what it answers
    put(here[0], day=pd.DataFrame({"x": [1.0, 2.5]}))
    transform(endpoint, *here)
    written = pd.read_parquet(here[1] / "day.parquet")["prediction"]
    assert [json.loads(text) for text in written] == [2.0, 5.0]


def test_a_column_that_is_kept_keeps_its_type_and_may_be_a_feature_too(delay, here):
    frame = flights(3).assign(
        day=pd.Series(["2013-04-01"] * 3).astype("category"), gate=[{"hall": 1}] * 3
    )
    put(here[0], day=frame)
    keep = ["gate", "day", "departed_at", "hour"]
    transform(delay, *here, time_column="departed_at", keep_columns=[*keep, "flight"])
    before, after = (pq.read_schema(folder / "day.parquet") for folder in here)
    assert after.names == [*keep, "flight", "prediction_id", "prediction"]
    assert all(after.field(name).type == before.field(name).type for name in keep)
    assert pd.read_parquet(here[1] / "day.parquet")["hour"].tolist() == frame["hour"].tolist()


def test_an_index_is_a_column_only_if_it_has_a_name(delay, here):
    here[0].mkdir()
    frame = flights(4).drop(columns="departed_at")
    frame.drop(columns="flight").iloc[::-1].to_parquet(here[0] / "unnamed.parquet")
    frame.set_index("flight").to_parquet(here[0] / "named.parquet")
    summary = transform(delay, *here).set_index("file")
    assert summary.loc["unnamed.parquet", "outcome"] == "written"
    assert "column 'flight' is not in" in summary.loc["named.parquet", "reason"]
    (here[0] / "unnamed.parquet").unlink()
    assert transform(delay, *here, keep_columns=["flight"])["outcome"].tolist() == ["written"]


def test_a_model_without_names_takes_the_columns_by_their_place(serve, here):
    frame = flights(5)
    put(here[0], day=frame[["flight", *NUMBERS]])
    endpoint = serve("tensor")
    transform(endpoint, *here, keep_columns=["flight"])
    expected = endpoint.scorer.predict(frame[NUMBERS].astype("float64"))[0]
    written = pd.read_parquet(here[1] / "day.parquet")
    np.testing.assert_allclose(written["prediction"], expected)


# --------------------------------------------------------------------------------- once, not twice


def test_again_nothing_is_done(delay, here):
    put(here[0], day=flights())
    transform(delay, *here, **CARRIED)
    output = here[1] / "day.parquet"
    before, stored = output.stat().st_mtime_ns, delay.store.read("delay")
    told = []
    again = transform(delay, *here, progress=told.append, **CARRIED)
    assert again[["outcome", "rows"]].to_numpy().tolist() == [["unchanged", 50]]
    assert output.stat().st_mtime_ns == before
    assert told == []
    pd.testing.assert_frame_equal(delay.store.read("delay"), stored)


def test_what_was_erased_does_not_come_back(delay, here):
    put(here[0], day=flights())
    transform(delay, *here, **CARRIED)
    delay.store.erase("delay", column="carrier", value="UA", reason="asked for in April")
    left = len(delay.store.read("delay"))
    transform(delay, *here, **CARRIED)
    assert 0 < len(delay.store.read("delay")) == left < 50


@pytest.mark.parametrize("lost", ["gone", "cut", "not ours"])
def test_an_output_that_was_lost_is_written_again_with_the_same_ids(delay, here, lost):
    put(here[0], day=flights())
    transform(delay, *here, **CARRIED)
    output = here[1] / "day.parquet"
    whole, stored = pd.read_parquet(output), delay.store.read("delay")
    if lost == "gone":
        output.unlink()
    elif lost == "cut":
        output.write_bytes(output.read_bytes()[:100])
    else:
        flights(2).to_parquet(output)
    assert transform(delay, *here, batch_rows=7, **CARRIED)["outcome"].tolist() == ["written"]
    pd.testing.assert_frame_equal(pd.read_parquet(output), whole)
    pd.testing.assert_frame_equal(delay.store.read("delay"), stored)


def test_other_columns_kept_are_no_other_predictions(delay, here):
    put(here[0], day=flights())
    transform(delay, *here, **CARRIED)
    ids = pd.read_parquet(here[1] / "day.parquet")["prediction_id"]
    transform(delay, *here, **CARRIED | {"keep_columns": ["flight", "hour"]})
    written = pd.read_parquet(here[1] / "day.parquet")
    assert "hour" in written and written["prediction_id"].tolist() == ids.tolist()
    assert len(delay.store.read("delay")) == 50


def test_a_file_that_changed_is_asked_anew(delay, here):
    put(here[0], day=flights(), other=flights(seed=2))
    transform(delay, *here, **CARRIED)
    before = pd.read_parquet(here[1] / "day.parquet")
    put(here[0], day=flights().assign(hour=6))
    summary = transform(delay, *here, **CARRIED)
    assert summary["outcome"].tolist() == ["written", "unchanged"]
    after = pd.read_parquet(here[1] / "day.parquet")
    assert not set(before["prediction_id"]) & set(after["prediction_id"])
    assert len(delay.store.read("delay")) == 150, "what was answered once stays"


def test_two_equal_files_are_two_events_and_another_version_answers_anew(delay, here, logged):
    put(here[0], monday=flights(5), tuesday=flights(5))
    transform(delay, *here, **CARRIED)
    assert len(delay.store.read("delay")) == 10
    scorer = models.load(logged.uri("delay"), tracking_uri=logged.tracking_uri)
    scorer.model_version, scorer.model_uri = "2", "models:/delay/2"
    newer = models.deploy_scorer(delay.store, scorer, name="delay")
    summary = transform(Endpoint(scorer, delay.store, newer), *here, **CARRIED)
    assert summary["outcome"].tolist() == ["written", "written"]
    assert delay.store.read("delay")["model_version"].value_counts().to_dict() == {"1": 10, "2": 10}


def test_without_capture_the_output_is_all_there_is(serve, here):
    endpoint = serve("delay", capture=False)
    put(here[0], day=flights())
    transform(endpoint, *here, **CARRIED)
    assert len(pd.read_parquet(here[1] / "day.parquet")) == 50
    assert len(endpoint.store.read("delay")) == 0


def test_keys_of_files_leave_room_for_their_rows():
    key = key_of("delay", "a.parquet")
    assert (key.version, key.variant) == (8, "specified in RFC 4122")
    (last,) = prediction_ids(key, 1, first=2**40 - 1)
    assert last.startswith(str(key)[:19]), "version and variant are as they were"
    assert key_of("a", "bc") != key_of("ab", "c")


# ---------------------------------------------------------------------------------- one bad file


def cut(path, frame):
    frame.to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])


def spoil(path, frame):
    """Write a file whose pages are garbage and whose end, which is read first, is whole."""
    frame.to_parquet(path)
    whole = bytearray(path.read_bytes())
    whole[4:1500] = b"\xff" * 1496
    path.write_bytes(whole)


def with_twins(path, frame):
    frame.to_parquet(path, index=False)
    table = pq.read_table(path)
    pq.write_table(table.rename_columns([*table.column_names[:-1], "flight"]), path)


BAD = {
    "no parquet": (lambda path, frame: path.write_text("a,b\n1,2\n"), "cannot be read as Parquet"),
    "empty": (lambda path, frame: path.write_bytes(b""), "cannot be read as Parquet"),
    "cut": (cut, "cannot be read as Parquet"),
    "spoilt": (spoil, "cannot be read as Parquet"),
    "no row": (lambda path, frame: frame.head(0).to_parquet(path), "has no row"),
    "missing column": (
        lambda path, frame: frame.drop(columns="hour").to_parquet(path),
        "column 'hour' is missing; the model needs it",
    ),
    "extra column": (
        lambda path, frame: frame.rename(columns={"hour": "houre"}).assign(hour=1).to_parquet(path),
        "column 'houre' is not in the model's signature; did you mean 'hour'?",
    ),
    "no kept column": (
        lambda path, frame: frame.drop(columns="flight").to_parquet(path),
        "has no column 'flight'; it has departure_delay_min",
    ),
    "no time": (
        lambda path, frame: frame.drop(columns="departed_at").to_parquet(path),
        "has no column 'departed_at'",
    ),
    "time without zone": (
        lambda path, frame: frame.assign(
            departed_at=frame["departed_at"].dt.tz_localize(None)
        ).to_parquet(path),
        r"column 'departed_at': is timestamp\[us\]; must be moments with a time zone",
    ),
    "time as text": (
        lambda path, frame: frame.assign(departed_at="2013-04-01").to_parquet(path),
        "column 'departed_at': is .*string; must be moments with a time zone",
    ),
    "time is null": (
        lambda path, frame: frame.assign(
            departed_at=frame["departed_at"].mask(frame.index == 41)
        ).to_parquet(path),
        "column 'departed_at', row 41: must be a moment, not null",
    ),
    "text for number": (
        lambda path, frame: frame.assign(hour=frame["hour"].astype("str")).to_parquet(path),
        "column 'hour', row 0: must be a number, not the text",
    ),
    "object for text": (
        lambda path, frame: frame.assign(carrier=[{"code": "UA"}] * len(frame)).to_parquet(path),
        "column 'carrier', row 0: must be a text, not an object",
    ),
    "infinite in a late batch": (
        lambda path, frame: frame.assign(
            distance_miles=frame["distance_miles"].mask(frame.index == 37, np.inf)
        ).to_parquet(path),
        "column 'distance_miles', row 37: must be a finite number, not inf",
    ),
    "two of one name": (with_twins, "has two columns 'flight'"),
}  # fmt: skip


@pytest.mark.parametrize("spoilt", BAD)
def test_of_a_bad_file_nothing_is_kept_and_the_others_go_on(delay, here, spoilt):
    make, message = BAD[spoilt]
    put(here[0], a_good=flights(seed=2), z_good=flights(seed=3))
    make(here[0] / "bad.parquet", flights(seed=4))
    summary = transform(delay, *here, batch_rows=10, **CARRIED)
    assert summary["outcome"].tolist() == ["written", "refused", "written"]
    bad = summary.iloc[1]
    assert bad["rows"] == 0
    assert bad["reason"].startswith("bad.parquet: ") and "\n" not in bad["reason"]
    assert pd.Series([bad["reason"]]).str.contains(message).all(), bad["reason"]
    assert files_in(here[1]) == ["a_good.parquet", "z_good.parquet"]
    assert len(delay.store.read("delay")) == 100


def of_every_type(a_long=(4, 5)):
    """Return two rows of every type that a signature can name, as Parquet has them."""
    objects = [{"code": "UA", "size": 2}, {"code": "B6", "size": 3}]
    return pa.table(
        {
            "a_binary": pa.array([b"\x00", b""], pa.binary()),
            "a_boolean": [True, False],
            "a_datetime": pa.array([datetime(2013, 4, 1, 12), None], pa.timestamp("us")),
            "a_double": [1.5, None],
            "a_float": pa.array([0.5, 1.5], pa.float32()),
            "a_integer": pa.array([3, -3], pa.int32()),
            "a_long": pa.array(a_long, pa.int64()),
            "a_string": pa.array(["Olá", None]).dictionary_encode(),
            "a_list": [[1.0, 2.0], []],
            "an_object": objects,
            "a_map": pa.array([[("x", 1)], []], pa.map_(pa.string(), pa.int64())),
        }
    )


def test_every_type_of_a_signature_comes_from_parquet_as_from_a_request(serve, here):
    endpoint = serve("mirror")
    here[0].mkdir()
    pq.write_table(of_every_type(), here[0] / "day.parquet")
    assert transform(endpoint, *here)["reason"].tolist() == [""]
    records = of_every_type().to_pylist(maps_as_pydicts="strict")
    asked = endpoint.predict(pd.DataFrame(records).astype({"a_datetime": "datetime64[us]"}))
    written = pd.read_parquet(here[1] / "day.parquet")["prediction"].tolist()
    assert written == asked.predictions
    assert "a_map={'x'" in written[0] and "a_string=str:Olá" in written[0]


def test_null_where_the_signature_has_no_form_for_it_is_refused(serve, here):
    endpoint = serve("mirror")
    here[0].mkdir()
    pq.write_table(of_every_type(a_long=(4, None)), here[0] / "day.parquet")
    (reason,) = transform(endpoint, *here)["reason"]
    assert reason == "day.parquet: column 'a_long', row 1: must be a number, not null"


def test_what_the_model_cannot_score_in_its_last_row_leaves_no_trace(serve, here):
    endpoint = serve("fussy")
    put(here[0], bad=pd.DataFrame({"x": [1.0] * 40 + [-1.0]}), good=pd.DataFrame({"x": [2.0]}))
    summary = transform(endpoint, *here, batch_rows=10)
    assert summary["outcome"].tolist() == ["refused", "written"]
    assert "bad.parquet: the model cannot score this request: " in summary["reason"][0]
    assert "x must not be negative" in summary["reason"][0]
    assert endpoint.store.read("fussy")["x"].tolist() == [2.0]
    assert files_in(here[1]) == ["good.parquet"]


def test_a_file_that_became_bad_leaves_the_output_of_before(delay, here):
    put(here[0], day=flights())
    transform(delay, *here, **CARRIED)
    before = (here[1] / "day.parquet").read_bytes()
    (here[0] / "day.parquet").write_text("no more")
    assert transform(delay, *here, **CARRIED)["outcome"].tolist() == ["refused"]
    assert (here[1] / "day.parquet").read_bytes() == before


# ----------------------------------------------------------------------- what cannot be used at all


def test_folders_that_cannot_be_used_are_named(delay, here, tmp_path):
    with pytest.raises(ValueError, match="input_folder='.*in': is no folder"):
        transform(delay, *here)
    here[0].mkdir()
    with pytest.raises(ValueError, match=r"input_folder='.*in': holds no file \*\.parquet"):
        transform(delay, *here)
    put(here[0], day=flights(2))
    for output in (here[0], here[0] / "out", tmp_path):
        with pytest.raises(ValueError, match="output_folder='.*': must lie outside the input"):
            transform(delay, here[0], output)
    assert len(delay.store.read("delay")) == 0


def test_an_endpoint_that_takes_few_rows_is_asked_for_few(serve, here):
    put(here[0], day=flights(20))
    told = []
    transform(serve("delay", max_rows=8), *here, progress=told.append, **CARRIED)
    assert told == [8, 8, 4]


def test_settings_that_cannot_be_used_are_named(delay, here):
    put(here[0], day=flights(2))
    for rows in (0, 10_001):
        with pytest.raises(ValueError, match=f"batch_rows={rows}: must be from 1 to 10000"):
            transform(delay, *here, batch_rows=rows)
    with pytest.raises(ValueError, match="keep_columns='flight': give a list of names"):
        transform(delay, *here, keep_columns="flight")
    for columns in (["score"], ["flight", "flight"]):
        with pytest.raises(ValueError, match="keep_columns: '.*' would stand twice"):
            transform(delay, *here, keep_columns=columns)


def test_an_output_that_cannot_be_written_is_said(delay, here):
    put(here[0], day=flights(2))
    here[1].write_text("a file where a folder should be")
    with pytest.raises(VigiaError, match="out: cannot be written .*run the transform again"):
        transform(delay, *here, **CARRIED)
    here[1].unlink()
    (here[1] / "day.parquet").mkdir(parents=True)
    with pytest.raises(VigiaError, match="day.parquet: cannot be written"):
        transform(delay, *here, **CARRIED)
    assert files_in(here[1]) == ["day.parquet"]


def test_a_store_that_is_held_for_a_while_is_waited_for_and_one_that_is_gone_is_said(
    delay, here, monkeypatch
):
    put(here[0], a=flights(20), b=flights(20, seed=2))
    append, calls, pauses = delay.store.append, [], []

    def held(deployment, rows):
        calls.append(len(rows))
        if len(calls) in (2, 3):
            raise StoreUnavailable("locked")
        append(deployment, rows)

    monkeypatch.setattr(delay.store, "append", held)
    rng = np.random.default_rng(0)
    settings = {"sleep": pauses.append, "rng": rng, "batch_rows": 10, **CARRIED}
    assert transform(delay, *here, **settings)["outcome"].tolist() == ["written", "written"]
    assert len(pauses) == 2 and pauses[0] < pauses[1]

    def gone(deployment, rows):
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(delay.store, "append", gone)
    put(here[0], a=flights(20, seed=3))
    with pytest.raises(VigiaError, match="a.parquet: .*not captured: the disk is full.*run.*again"):
        transform(delay, *here, **settings)
    assert len(pauses) == 2 + 4, "tried again, but not for ever"
    assert files_in(here[1]) == ["a.parquet", "b.parquet"]


# ------------------------------------------------------------- killed, two at once, and large files

FORK = get_context("fork")  # what is imported is imported: a child is there at once


def transform_there(logged, store_url, here, begin, batch_rows, stop_at):
    """Transform, in a process of its own, when all may begin; stand still after so many rows."""
    done = []

    def progress(rows):
        done.append(rows)
        if sum(done) == stop_at:
            time.sleep(600)

    scorer = models.load(logged.uri("delay"), tracking_uri=logged.tracking_uri)
    with open_store(store_url) as store:
        endpoint = Endpoint(scorer, store, models.in_service(store, scorer, name="delay"))
        begin.wait()
        transform(endpoint, *here, batch_rows=batch_rows, progress=progress, **CARRIED)


def start(logged, store_url, here, *, begin, batch_rows, stop_at=None):
    arguments = (logged, store_url, here, begin, batch_rows, stop_at)
    process = FORK.Process(target=transform_there, args=arguments)
    process.start()
    return process


def stored(store_url):
    with open_store(store_url) as store:
        if store.deployments().empty:
            return []
        return store.read("delay", columns=["prediction_id"])["prediction_id"].tolist()


def written(here):
    frames = [pd.read_parquet(path) for path in sorted(here[1].rglob("*.parquet"))]
    return pd.concat(frames) if frames else pd.DataFrame({"prediction_id": []})


def test_killed_in_the_middle_it_is_finished_by_the_next(logged, store_url, here):
    put(here[0], a=flights(100), b=flights(100, seed=2))
    open_store(store_url).close()
    begin = FORK.Barrier(1)
    first = start(logged, store_url, here, begin=begin, batch_rows=25, stop_at=150)
    until = time.monotonic() + 60
    while len(stored(store_url)) < 150:  # in the middle of the second file
        assert time.monotonic() < until
        time.sleep(0.05)
    first.kill()
    first.join()
    assert first.exitcode == -signal.SIGKILL
    partly = stored(store_url)
    assert len(partly) == 150
    assert [path.name for path in here[1].glob("*.parquet")] == ["a.parquet"]

    second = start(logged, store_url, here, begin=begin, batch_rows=40)
    second.join()
    assert second.exitcode == 0
    ids = stored(store_url)
    assert len(ids) == len(set(ids)) == 200
    assert set(partly) <= set(ids)
    assert sorted(written(here)["prediction_id"]) == sorted(ids)


def test_two_at_once_store_each_row_once(logged, store_url, here):
    put(here[0], **{f"part{number}": flights(120, seed=number) for number in range(4)})
    open_store(store_url).close()
    begin = FORK.Barrier(2)
    # Batches of other sizes: each finds some of its rows stored by the other, and some not.
    both = [start(logged, store_url, here, begin=begin, batch_rows=rows) for rows in (25, 40)]
    for process in both:
        process.join()
        assert process.exitcode == 0
    ids = stored(store_url)
    assert len(ids) == len(set(ids)) == 480
    assert sorted(written(here)["prediction_id"]) == sorted(ids)
    assert files_in(here[1]) == [f"part{number}.parquet" for number in range(4)]


def test_two_threads_share_an_endpoint(delay, here):
    put(here[0], **{f"part{number}": flights(60, seed=number) for number in range(3)})
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(transform(delay, *here, **CARRIED)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 3
    assert len(delay.store.read("delay")) == 180


def test_reading_holds_a_batch_and_not_the_file(tmp_path):
    rows = 1_000_000
    column = pa.array(np.random.default_rng(0).random(rows))
    table = pa.table({f"x{number}": column for number in range(8)})
    path = tmp_path / "large.parquet"
    pq.write_table(table, path, row_group_size=rows, use_dictionary=False, compression="none")
    size = table.nbytes
    del table, column
    before, highest, seen = pa.total_allocated_bytes(), 0, 0
    with _opened(path) as opened:
        for part in opened.parts(10_000):
            assert len(part.frame) <= 10_000
            assert part.first == seen
            seen += len(part.frame)
            highest = max(highest, pa.total_allocated_bytes() - before)
    assert seen == rows
    assert highest < size / 3, f"{highest / 1e6:.0f} MB held of {size / 1e6:.0f}"
