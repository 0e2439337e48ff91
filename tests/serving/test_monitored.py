"""Monitoring results in MLflow: a run that is found from the version, and logged once."""

import dataclasses
import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from tests.operations.conftest import NOON, weeks
from utils.monitors.alerts import Alert
from utils.serving.models import log_model
from utils.serving.monitored import KEY, RUN, _digest, log_monitoring, metric_key
from utils.serving.runs import measurements_of
from utils.serving.tracking import experiment_id_of, tracking
from utils.store.example import DEPLOYMENT

ALERT = Alert(
    monitor="performance",
    metric="mae",
    feature="",
    group="",
    window_start=pd.Timestamp("2024-01-08", tz="UTC"),
    window_end=pd.Timestamp("2024-01-15", tz="UTC"),
    value=16.0,
    threshold=15.0,
    severity="critical",
    action="retrain",
    evidence="é mais",
    reason="…",
)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def deployment(uri):
    """Return a deployment of a version that is registered."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    model = LinearRegression().fit(frame, [1.0, 2.0, 3.0])
    version = log_model(
        model, name="line", inputs=frame, predictions=model.predict(frame), tracking_uri=uri
    )
    return dataclasses.replace(
        DEPLOYMENT, name="line", model_name="line", model_version=str(version.version)
    )


def log(deployment, uri, key, *, table=None, alerts=(), **more):
    table = weeks(12.0, 16.0, low=10.0, high=18.0, alarm=True) if table is None else table
    return log_monitoring(deployment, table, alerts, key=key, at=NOON, tracking_uri=uri, **more)


def test_the_run_has_a_step_for_each_window_the_artifacts_and_the_version(deployment, uri):
    run_id = log(deployment, uri, "2024-w2", alerts=[ALERT])
    with tracking(uri) as client:
        history = client.get_metric_history(run_id, "performance/mae")
        run = client.get_run(run_id)
        path = Path(client.download_artifacts(run_id, "alerts.json"))
        told = json.loads(path.read_text(encoding="utf-8"))
        version = client.get_model_version("line", deployment.model_version)
        experiment = client.get_experiment(run.info.experiment_id).name
    assert [(each.step, each.value) for each in history] == [(0, 12.0), (1, 16.0)]
    assert history[1].timestamp == pd.Timestamp("2024-01-15", tz="UTC").timestamp() * 1000
    assert run.data.metrics["performance/mae.low"] == 10.0
    assert run.data.metrics["performance/mae.alarm"] == 1.0
    assert run.info.status == "FINISHED" and experiment == "monitoring/line"
    assert run.data.tags["vigia.model_version"] == deployment.model_version
    assert version.tags[RUN] == run_id
    assert (told[0]["action"], told[0]["evidence"]) == ("retrain", "é mais")
    pd.testing.assert_frame_equal(
        measurements_of(run_id, tracking_uri=uri),
        weeks(12.0, 16.0, low=10.0, high=18.0, alarm=True),
    )


def test_system_metrics_have_mlflows_names_and_units(deployment, uri):
    run_id = log(deployment, uri, "system")
    with tracking(uri) as client:
        metrics = client.get_run(run_id).data.metrics
    for name in ("cpu_utilization", "system_memory_usage", "disk_usage"):
        assert 0 <= metrics[f"system/{name}_percentage"] <= 100
    assert metrics["system/process_memory_usage_megabytes"] > 50
    without = log(deployment, uri, "without", system=False)
    with tracking(uri) as client:
        assert not [n for n in client.get_run(without).data.metrics if n.startswith("system/")]


def test_an_evaluation_that_is_done_again_is_logged_once(deployment, uri):
    first = log(deployment, uri, "it's once")
    assert log(deployment, uri, "it's once") == first
    assert log(deployment, uri, "another") != first


def test_one_that_broke_off_is_logged_anew(deployment, uri):
    with tracking(uri) as client:
        experiment = experiment_id_of(client, "monitoring/line")
        broken = client.create_run(experiment, tags={KEY: _digest("broken")}).info.run_id
    done = log(deployment, uri, "broken")
    assert done != broken
    with tracking(uri) as client:
        assert client.get_run(broken).info.lifecycle_stage == "deleted"


def test_a_model_of_no_registry_has_its_run_all_the_same(uri):
    run_id = log(DEPLOYMENT, uri, "no registry")
    with tracking(uri) as client:
        assert client.get_run(run_id).data.tags["vigia.model_name"] == DEPLOYMENT.model_name


def test_what_is_not_known_is_no_metric_and_names_are_such_as_mlflow_takes(deployment, uri):
    table = weeks(np.nan, 1.0, monitor="drift", metric="psi", feature="age (years)", group="<18")
    run_id = log(deployment, uri, "odd", table=table)
    row = {"monitor": "drift", "metric": "psi", "feature": "age (years)", "group": "<18"}
    with tracking(uri) as client:
        history = client.get_metric_history(run_id, metric_key(row))
    assert [(each.step, each.value) for each in history] == [(1, 1.0)]
    with pytest.raises(ValueError, match="key=' ': must not be empty"):
        log(deployment, uri, " ")
    assert mlflow.active_run() is None
