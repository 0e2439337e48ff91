"""The CML names: in development, and against an endpoint and a store."""

import asyncio
import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from utils import sdk as cdsw
from utils.course.workspace import Workspace
from utils.records import Column, Deployment, Schema, UnknownDeployment, UnknownPrediction
from utils.sdk import NotConfigured
from utils.serving.app import create_app, running
from utils.serving.contract import Refused
from utils.serving.endpoint import Endpoint
from utils.serving.keys import hash_key, issue_key
from utils.serving.models import deploy, load, log_model
from utils.store import open_store

START = datetime(2013, 4, 1, tzinfo=UTC)
START_MS = 1_364_774_400_000


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """Give each test a session that remembers nothing, and keeps no store open after it."""
    monkeypatch.setattr(cdsw, "_session", cdsw._Session())
    yield
    cdsw._kept.close()


@cdsw.model_metrics
def predict(args):
    cdsw.track_metric("input_data", args)
    probability = min(1.0, args["delay"] / 60)
    cdsw.track_metric("probability", probability)
    return {"late": probability > 0.5}


# In development


def test_a_decorated_function_answers_with_the_prediction_and_a_uuid():
    answer = predict({"delay": 45})
    assert answer["prediction"] == {"late": True}
    assert uuid.UUID(answer["uuid"]).version == 4
    assert predict.__name__ == "predict"


def test_a_row_has_the_keys_of_cml_and_integer_milliseconds():
    before = time.time() * 1000
    answer = predict({"delay": 45})
    (row,) = cdsw.read_metrics(dev=True)["metrics"]
    after = time.time() * 1000
    start, end = row.pop("startTimeStampMs"), row.pop("endTimeStampMs")
    assert row == {
        "modelDeploymentCrn": "",
        "modelBuildCrn": "",
        "modelCrn": "",
        "predictionUuid": answer["uuid"],
        "metrics": {"input_data": {"delay": 45}, "probability": 0.75},
    }
    assert type(start) is int and type(end) is int
    assert int(before) <= start <= end <= after


def test_json_normalize_gives_one_column_for_each_metric():
    predict({"delay": 45})
    table = pd.json_normalize(cdsw.read_metrics(dev=True)["metrics"])
    assert table["metrics.probability"].tolist() == [0.75]
    assert table["metrics.input_data.delay"].tolist() == [45]


def test_delayed_metrics_merge_into_the_row_of_their_prediction():
    late, early = predict({"delay": 45}), predict({"delay": 3})
    cdsw.track_delayed_metrics({"final_label": 1}, late["uuid"], dev=True)
    cdsw.track_delayed_metrics({"final_label": 0, "source": "ops"}, late["uuid"], dev=True)
    rows = cdsw.read_metrics(dev=True)["metrics"]
    assert [row["predictionUuid"] for row in rows] == [late["uuid"], early["uuid"]]
    assert rows[0]["metrics"]["final_label"] == 0 and rows[0]["metrics"]["source"] == "ops"
    assert "final_label" not in rows[1]["metrics"]


def test_aggregates_have_no_uuid_and_come_after_the_predictions():
    cdsw.track_aggregate_metrics({"accuracy": 0.9}, START_MS, START_MS + 5, "crn:a", dev=True)
    predict({"delay": 1})
    prediction, aggregate = cdsw.read_metrics(dev=True)["metrics"]
    assert prediction["predictionUuid"] and aggregate == {
        "modelDeploymentCrn": "crn:a",
        "modelBuildCrn": "",
        "modelCrn": "",
        "startTimeStampMs": START_MS,
        "endTimeStampMs": START_MS + 5,
        "predictionUuid": "",
        "metrics": {"accuracy": 0.9},
    }


def test_the_window_includes_both_its_ends():
    for start_ms in (1000, 2000, 3000):
        cdsw.track_aggregate_metrics({"n": start_ms}, start_ms, 9999, dev=True)
    rows = cdsw.read_metrics(start_timestamp_ms=1000, end_timestamp_ms=2000, dev=True)["metrics"]
    assert [row["metrics"]["n"] for row in rows] == [1000, 2000]
    assert cdsw.read_metrics(start_timestamp_ms=3001, dev=True) == {"metrics": []}


def test_one_prediction_can_be_asked_for():
    predict({"delay": 1})
    wanted = predict({"delay": 2})["uuid"]
    cdsw.track_aggregate_metrics({"accuracy": 0.9}, 0, 1, dev=True)
    (row,) = cdsw.read_metrics(prediction_uuid=wanted, dev=True)["metrics"]
    assert row["metrics"]["input_data"] == {"delay": 2}
    assert cdsw.read_metrics(prediction_uuid="another", dev=True) == {"metrics": []}


def test_a_call_that_raises_leaves_nothing_behind():
    with pytest.raises(KeyError):
        predict({})
    assert cdsw.read_metrics(dev=True) == {"metrics": []}
    with pytest.raises(ValueError, match="track_metric: call it inside"):
        cdsw.track_metric("probability", 0.5)


def test_what_is_kept_is_a_copy():
    args = {"delay": 45}
    predict(args)
    args["delay"] = 0
    (row,) = cdsw.read_metrics(dev=True)["metrics"]
    row["metrics"]["probability"] = "changed"
    (again,) = cdsw.read_metrics(dev=True)["metrics"]
    assert again["metrics"] == {"input_data": {"delay": 45}, "probability": 0.75}


def test_numpy_values_become_plain_ones():
    @cdsw.model_metrics
    def model(args):
        cdsw.track_metric("scores", np.array([[0.25, 0.75]]))
        cdsw.track_metric("n", np.int64(3))
        cdsw.track_metric("late", {"flag": np.bool_(True), "at": (1, 2)})

    model({})
    (row,) = cdsw.read_metrics(dev=True)["metrics"]
    assert row["metrics"] == {
        "scores": [[0.25, 0.75]],
        "n": 3,
        "late": {"flag": True, "at": [1, 2]},
    }


def test_predictions_in_threads_keep_to_themselves():
    together = threading.Barrier(8)

    @cdsw.model_metrics
    def model(args):
        cdsw.track_metric("before", args["n"])
        together.wait()
        cdsw.track_metric("after", args["n"])
        return args["n"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(model, [{"n": n} for n in range(64)]))
    assert len({answer["uuid"] for answer in answers}) == 64
    by_uuid = {row["predictionUuid"]: row for row in cdsw.read_metrics(dev=True)["metrics"]}
    for answer in answers:
        n = answer["prediction"]
        assert by_uuid[answer["uuid"]]["metrics"] == {"before": n, "after": n}


def test_predictions_in_coroutines_keep_to_themselves():
    async def helper(n):
        await asyncio.sleep(0)
        cdsw.track_metric("in_helper", n)

    @cdsw.model_metrics
    async def model(args):
        cdsw.track_metric("before", args["n"])
        await helper(args["n"])
        return args["n"]

    async def wave():
        return await asyncio.gather(*(model({"n": n}) for n in range(20)))

    answers = asyncio.run(wave())
    by_uuid = {row["predictionUuid"]: row for row in cdsw.read_metrics(dev=True)["metrics"]}
    for answer in answers:
        n = answer["prediction"]
        assert by_uuid[answer["uuid"]]["metrics"] == {"before": n, "in_helper": n}


def test_a_model_may_call_another_one():
    @cdsw.model_metrics
    def outer(args):
        inner = predict(args)
        cdsw.track_metric("asked", inner["uuid"])

    outer({"delay": 6})
    inner, outer_row = cdsw.read_metrics(dev=True)["metrics"]
    if "asked" in inner["metrics"]:
        inner, outer_row = outer_row, inner
    assert outer_row["metrics"] == {"asked": inner["predictionUuid"]}
    assert inner["metrics"]["probability"] == 0.1


# Bad input, in development and live alike


def circular():
    value = []
    value.append(value)
    return value


BAD_METRICS = [
    ([("accuracy", 0.9)], r"metrics=\[\('accuracy', 0.9\)\]: must be a dictionary"),
    ("accuracy", "metrics='accuracy': must be a dictionary"),
    (None, "metrics=None: must be a dictionary"),
    ({1: 0.9}, "metrics: the name 1 must be a text"),
    ({"": 0.9}, "metrics: the name '' must be a text, and not empty"),
    ({"a": float("nan")}, r"metrics\['a'\]: JSON cannot hold it \(Out of range float"),
    ({"a": {"b": [np.float64("inf")]}}, r"metrics\['a'\]: JSON cannot hold it \(Out of range"),
    ({"a": np.array([1.0, np.nan])}, r"metrics\['a'\]: JSON cannot hold it \(Out of range"),
    ({"a": {1, 2}}, r"metrics\['a'\]: JSON cannot hold it \(it is a set\)"),
    ({"a": START}, r"metrics\['a'\]: JSON cannot hold it \(it is a datetime\)"),
    ({"a": circular()}, r"metrics\['a'\]: JSON cannot hold it \(Circular"),
]


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize(("metrics", "message"), BAD_METRICS)
def test_metrics_that_are_none_are_refused(metrics, message, dev):
    with pytest.raises(ValueError, match="^" + message):
        cdsw.track_delayed_metrics(metrics, "any", dev=dev)
    with pytest.raises(ValueError, match="^" + message):
        cdsw.track_aggregate_metrics(metrics, 0, 1, dev=dev)


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize("name", cdsw.CAPTURED)
def test_a_delayed_metric_cannot_rewrite_what_was_captured(name, dev):
    with pytest.raises(ValueError, match=f"metrics: '{name}' is what was captured; give it anoth"):
        cdsw.track_delayed_metrics({name: 1}, "any", dev=dev)


BAD_WINDOWS = [
    ((1.5, 2), "start_timestamp_ms=1.5: must be an integer, milliseconds since 1970"),
    ((1, "2"), "end_timestamp_ms='2': must be an integer"),
    ((True, 2), "start_timestamp_ms=True: must be an integer"),
    ((START, START), "start_timestamp_ms=datetime.* must be an integer"),
    ((2, 1), "end_timestamp_ms=1: is before start_timestamp_ms=2"),
    ((0, 10**17), "end_timestamp_ms=100000000000000000: no such year"),
]


@pytest.mark.parametrize("dev", [True, False])
@pytest.mark.parametrize(("window", "message"), BAD_WINDOWS)
def test_windows_that_are_none_are_refused(window, message, dev):
    start, end = window
    with pytest.raises(ValueError, match="^" + message):
        cdsw.track_aggregate_metrics({"accuracy": 0.9}, start, end, dev=dev)
    with pytest.raises(ValueError, match="^" + message):
        cdsw.read_metrics(start_timestamp_ms=start, end_timestamp_ms=end, dev=dev)


def test_track_metric_refuses_what_it_cannot_keep():
    @cdsw.model_metrics
    def model(args):
        cdsw.track_metric(args["key"], args["value"])

    with pytest.raises(ValueError, match="metrics: the name 7 must be a text"):
        model({"key": 7, "value": 1})
    with pytest.raises(ValueError, match=r"metrics\['p'\]: JSON cannot hold it"):
        model({"key": "p", "value": float("nan")})


def test_a_prediction_of_another_session_is_unknown():
    with pytest.raises(UnknownPrediction, match="this session made no prediction 'other'"):
        cdsw.track_delayed_metrics({"final_label": 1}, "other", dev=True)


# Live: the store


def crn(kind):
    return f"crn:cdp:ml:local:vigia:workspace:00000000-0000-4000-8000-000000000000/{kind}"


def deployment(name, *, build=1):
    return Deployment(
        name=name,
        model_name=name,
        model_version=str(build),
        model_uri=f"models:/{name}/{build}",
        model_crn=crn(f"{name}-model"),
        build_crn=crn(f"{name}-build-{build}"),
        deployment_crn=crn(f"{name}-deployment-{build}"),
        created_at=START,
    )


SCHEMA = Schema(columns=(Column(name="delay", kind="double"), Column(name="label", kind="string")))


def prediction(n, *, at=0.0, latency_ms=2.5, score=None, delay=45.0):
    """Return a row as the endpoint stores it: captured columns, then the inputs."""
    moment = START + timedelta(milliseconds=at)
    return (f"id-{n}", moment, "1", "", latency_ms, 48.5, score, delay, "red")


@pytest.fixture
def store(store_url, monkeypatch):
    """Open an empty store, on SQLite and on PostgreSQL, that the SDK finds too."""
    monkeypatch.setenv("VIGIA_STORE_URL", store_url)
    with open_store(store_url) as opened:
        yield opened


def test_a_stored_prediction_shows_what_was_captured_and_what_was_tracked(store):
    store.add_deployment(deployment("flights"), SCHEMA)
    store.append("flights", [prediction(1, at=0.9, latency_ms=12.2, score=0.75)])
    cdsw.track_delayed_metrics({"final_label": 51.0, "by": {"gate": "B4"}}, "id-1")
    assert cdsw.read_metrics() == {
        "metrics": [
            {
                "modelDeploymentCrn": crn("flights-deployment-1"),
                "modelBuildCrn": crn("flights-build-1"),
                "modelCrn": crn("flights-model"),
                "startTimeStampMs": START_MS,
                "endTimeStampMs": START_MS + 13,
                "predictionUuid": "id-1",
                "metrics": {
                    "input_data": {"delay": 45.0, "label": "red"},
                    "prediction": 48.5,
                    "score": 0.75,
                    "final_label": 51.0,
                    "by": {"gate": "B4"},
                },
            }
        ]
    }


def test_the_stored_rows_are_json_and_make_columns(store):
    store.add_deployment(deployment("flights"), SCHEMA)
    store.append("flights", [prediction(1), prediction(2, at=5, delay=None)])
    cdsw.track_delayed_metrics({"by": {"gate": "B4"}}, "id-2")
    rows = json.loads(json.dumps(cdsw.read_metrics(), allow_nan=False))["metrics"]
    assert rows[1]["metrics"]["input_data"] == {"delay": None, "label": "red"}
    assert "score" not in rows[0]["metrics"]
    table = pd.json_normalize(rows)
    assert table["metrics.prediction"].tolist() == [48.5, 48.5]
    assert table["metrics.by.gate"].tolist()[1] == "B4"


def test_stored_windows_include_both_ends_to_the_millisecond(store):
    store.add_deployment(deployment("flights"), SCHEMA)
    store.append("flights", [prediction(n, at=at) for n, at in enumerate((0, 1.9, 2.0, 2.999, 3))])
    rows = cdsw.read_metrics(start_timestamp_ms=START_MS + 1, end_timestamp_ms=START_MS + 2)
    assert [row["predictionUuid"] for row in rows["metrics"]] == ["id-1", "id-2", "id-3"]


def test_crns_narrow_the_choice_and_none_means_every_deployment(store):
    for each in (deployment("flights"), deployment("cars")):
        store.add_deployment(each, SCHEMA)
    store.append("flights", [prediction(1, at=30)])
    store.append("cars", [prediction(2, at=20)])
    store.add_deployment(deployment("flights", build=2), SCHEMA)
    store.append("flights", [prediction(3, at=10)])
    cdsw.track_aggregate_metrics({"mae": 1.0}, 0, 1, crn("flights-deployment-1"))

    def read(**chosen):
        return [row["predictionUuid"] for row in cdsw.read_metrics(**chosen)["metrics"]]

    assert read() == ["id-3", "id-2", "id-1", ""]
    assert read(model_crn=crn("flights-model")) == ["id-3", "id-1", ""]
    assert read(model_deployment_crn=crn("flights-deployment-1")) == ["id-1", ""]
    assert read(model_build_crn=crn("flights-build-2")) == ["id-3"]
    assert read(prediction_uuid="id-2") == ["id-2"]
    assert read(prediction_uuid="id-9") == []


def test_without_a_crn_the_only_deployment_is_meant(store):
    with pytest.raises(UnknownDeployment, match="the store has no deployment: deploy a model"):
        cdsw.track_aggregate_metrics({"mae": 11.8}, 0, 1)
    store.add_deployment(deployment("flights"), SCHEMA)
    store.add_deployment(deployment("flights", build=2), SCHEMA)
    cdsw.track_aggregate_metrics({"mae": 11.8}, START_MS, START_MS + 1)
    (row,) = cdsw.read_metrics()["metrics"]
    assert row["modelDeploymentCrn"] == crn("flights-deployment-2")
    assert (row["predictionUuid"], row["metrics"]) == ("", {"mae": 11.8})
    assert (row["startTimeStampMs"], row["endTimeStampMs"]) == (START_MS, START_MS + 1)
    store.add_deployment(deployment("cars"), SCHEMA)
    with pytest.raises(ValueError, match=r"model_deployment_crn: .* several \w+ \(cars, flights\)"):
        cdsw.track_aggregate_metrics({"mae": 11.8}, 0, 1)


def test_what_the_store_does_not_know_is_refused(store):
    store.add_deployment(deployment("flights"), SCHEMA)
    with pytest.raises(UnknownPrediction, match="no prediction has the id 'id-9'"):
        cdsw.track_delayed_metrics({"final_label": 1}, "id-9")
    with pytest.raises(UnknownDeployment, match="deployment_crn='crn:none'"):
        cdsw.read_metrics("crn:none")
    with pytest.raises(UnknownDeployment, match="no deployment is called 'crn:none'"):
        cdsw.track_aggregate_metrics({"mae": 1.0}, 0, 1, "crn:none")


# Live: where things are


def test_without_a_store_the_error_names_the_way_out(workspace):
    said = f"no store at {workspace / 'store.db'}: deploy a model first, or correct VIGIA_WORKSPACE"
    with pytest.raises(NotConfigured, match=said):
        cdsw.read_metrics()


def test_a_store_that_is_not_where_it_should_be_is_not_made(tmp_path, monkeypatch):
    monkeypatch.setenv("VIGIA_STORE_URL", f"sqlite:///{tmp_path}/typo.db")
    with pytest.raises(NotConfigured, match="no store at .*typo.db: .*correct VIGIA_STORE_URL"):
        cdsw.track_delayed_metrics({"final_label": 1}, "id-1")
    assert not (tmp_path / "typo.db").exists()


def test_another_file_at_the_same_place_is_another_store(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    monkeypatch.setenv("VIGIA_STORE_URL", url)
    for metrics in ({"mae": 1.0}, {"mae": 2.0}):
        with open_store(url) as store:
            store.add_deployment(deployment("flights"), SCHEMA)
        cdsw.track_aggregate_metrics(metrics, 0, 1)
        assert [row["metrics"] for row in cdsw.read_metrics()["metrics"]] == [metrics]
        for number, name in enumerate(sorted(each.name for each in tmp_path.glob("store.db*"))):
            (tmp_path / name).rename(tmp_path / f"old-{metrics['mae']}-{number}")


def test_an_endpoint_without_its_store_is_half_a_configuration(monkeypatch):
    monkeypatch.setenv("VIGIA_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(NotConfigured, match="VIGIA_STORE_URL is not set, and VIGIA_ENDPOINT_URL"):
        cdsw.read_metrics()


def test_a_store_without_its_endpoint_is_half_a_configuration(monkeypatch):
    monkeypatch.setenv("VIGIA_STORE_URL", "sqlite:////store.db")
    with pytest.raises(NotConfigured, match="VIGIA_ENDPOINT_URL is not set, and VIGIA_STORE_URL"):
        cdsw.call_model("key", {"delay": 45})


# Live: an endpoint


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return the tracking URI of a registry that has one model, ``delay``: the delay and five."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    inputs = pd.DataFrame({"delay": [0.0, 10.0, 20.0], "precipitation_in": [0.0, 0.1, 0.0]})
    model = LinearRegression().fit(inputs, inputs["delay"] + 5)
    log_model(
        model, name="delay", inputs=inputs, predictions=model.predict(inputs), tracking_uri=uri
    )
    return uri


@pytest.fixture
def endpoint(registry, store):
    deployed = deploy(store, name="flights", model_uri="models:/delay/1", tracking_uri=registry)
    return Endpoint(load(deployed.model_uri, tracking_uri=registry), store, deployed)


def a_lab_by_the_cml_names(access_key):
    """Do what the labs do: call, wait for the truth, track it, measure, read, flatten."""
    asked_ms = int(time.time() * 1000)
    answers = [
        cdsw.call_model(access_key, {"delay": delay, "precipitation_in": 0.0})["response"]
        for delay in (0.0, 30.0)
    ]
    for answer in answers:
        cdsw.track_delayed_metrics({"actual_result": 30.0}, answer["uuid"])
    answered_ms = int(time.time() * 1000)
    cdsw.track_aggregate_metrics({"mean_absolute_error": 15.0}, asked_ms, answered_ms)
    data = cdsw.read_metrics(start_timestamp_ms=asked_ms)
    return answers, asked_ms, pd.json_normalize(data["metrics"])


def is_what_the_lab_expects(answers, asked_ms, table):
    assert [round(answer["prediction"], 6) for answer in answers] == [5.0, 35.0]
    assert table["predictionUuid"].tolist() == [answers[0]["uuid"], answers[1]["uuid"], ""]
    assert table["metrics.input_data.delay"].tolist()[:2] == [0.0, 30.0]
    assert table["metrics.prediction"].round(6).tolist()[:2] == [5.0, 35.0]
    assert table["metrics.actual_result"].tolist()[:2] == [30.0, 30.0]
    assert table["metrics.mean_absolute_error"].tolist()[2] == 15.0
    assert table["modelDeploymentCrn"].nunique() == 1
    assert (table["endTimeStampMs"] >= table["startTimeStampMs"]).all()
    assert table["startTimeStampMs"].between(asked_ms, time.time() * 1000).all()


def test_a_lab_runs_against_a_server(endpoint, monkeypatch):
    app = create_app(endpoint, access_keys={"a key": "ana"})
    with running(app) as url:
        monkeypatch.setenv("VIGIA_ENDPOINT_URL", url)
        is_what_the_lab_expects(*a_lab_by_the_cml_names("a key"))
        with pytest.raises(Refused, match="an access key is needed, and a valid one"):
            cdsw.call_model("another key", {"delay": 0.0, "precipitation_in": 0.0})
        with pytest.raises(Refused, match="column 'precipitation_in' is missing"):
            cdsw.call_model("a key", {"delay": 0.0})


@pytest.fixture
def at_home(workspace, registry, monkeypatch):
    """Open the store of the workspace, with nothing in the environment but the registry."""
    workspace.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry)
    with open_store(f"sqlite:///{workspace / 'store.db'}") as store:
        yield store


def test_a_lab_runs_in_a_workspace_without_a_server(at_home):
    deploy(at_home, name="flights", model_uri="models:/delay/1")
    key = issue_key(at_home, "flights", client="ana")
    is_what_the_lab_expects(*a_lab_by_the_cml_names(key))
    assert set(at_home.read("flights")["client"]) == {"ana"}


def test_in_a_workspace_the_key_says_which_deployment_is_meant(at_home):
    for name in ("flights", "cars"):
        deploy(at_home, name=name, model_uri="models:/delay/1")
    key = issue_key(at_home, "flights", client="ana")
    record = {"delay": 0.0, "precipitation_in": 0.0}
    cdsw.call_model(key, record)
    assert len(at_home.read("flights")) == 1 and at_home.read("cars").empty
    with pytest.raises(Refused, match="no deployment of the workspace takes this key"):
        cdsw.call_model("another key", record)
    at_home.add_key("cars", hash_key(key), client="ana")
    with pytest.raises(ValueError, match=r"several deployments take it \(cars, flights\)"):
        cdsw.call_model(key, record)


def test_a_record_must_be_a_dictionary():
    with pytest.raises(ValueError, match=r"ipt=\[45\]: must be a dictionary, input by name"):
        cdsw.call_model("key", [45])


def test_the_store_of_a_workspace_is_where_the_course_puts_it(workspace):
    with pytest.raises(NotConfigured) as refused:
        cdsw.read_metrics()
    course = Workspace.current().store_url.removeprefix("sqlite:///")
    assert f"no store at {course}:" in str(refused.value)
