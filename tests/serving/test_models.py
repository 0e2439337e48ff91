"""The life of a model: logged, registered, loaded by any address, deployed, rolled back."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

from tests.serving.conftest import NUMBERS, departures
from utils.records import SchemaConflict, UnknownDeployment
from utils.serving import keys, models, tracking
from utils.serving.contract import Unsigned
from utils.serving.endpoint import Endpoint

CRN = re.compile(r"crn:cdp:ml:[^:]+:[^:]+:workspace:[0-9a-f-]{36}/[0-9a-f-]{36}")


@pytest.fixture(scope="module")
def trained():
    frame, arrival = departures()
    return Ridge().fit(frame[NUMBERS], arrival), frame[NUMBERS], arrival


@pytest.fixture(scope="module")
def tracked(logged, trained):
    """Log two versions of a model, in an experiment of their own."""
    model, inputs, arrival = trained
    uri = logged.tracking_uri
    for number in (1, 2):
        models.log_model(
            model,
            name="arrival",
            inputs=inputs,
            predictions=arrival,
            tracking_uri=uri,
            experiment="flights",
            params={"number": number},
            metrics={"mae": 11.8},
            tags={"season": "winter"},
        )
    return uri


def test_a_logged_model_has_its_run_its_signature_and_its_version(tracked):
    client = mlflow.MlflowClient(tracked)
    version = client.get_model_version("arrival", "2")
    run = client.get_run(version.run_id)
    assert run.data.params == {"number": "2"}
    assert run.data.metrics == {"mae": 11.8}
    assert run.data.tags["season"] == "winter"
    schema = models.load("models:/arrival/2", tracking_uri=tracked).schema
    assert [(each.name, each.kind) for each in schema.columns] == [
        (name, "double") for name in NUMBERS
    ], "integers are declared as doubles: one may be missing some day"


def test_artifacts_lie_beside_the_database(tracked):
    folder = Path(tracked.removeprefix("sqlite:///")).parent
    assert (folder / "mlartifacts").is_dir()
    assert not Path("mlruns").exists()


def addresses(tracked):
    models.set_alias("arrival", "champion", "2", tracking_uri=tracked)
    with tracking.tracking(tracked):
        version = mlflow.models.get_model_info("models:/arrival/2")
        folder = mlflow.artifacts.download_artifacts("models:/arrival/2")
    return {
        "number": ("models:/arrival/2", "arrival", "2"),
        "alias": ("models:/arrival@champion", "arrival", "2"),
        "latest": ("models:/arrival/latest", "arrival", "2"),
        "logged": (f"models:/{version.model_id}", "arrival", version.model_id),
        "run": (f"runs:/{version.run_id}/arrival", "arrival", version.model_id),
        "folder": (folder, Path(folder).name, version.model_id),
    }


@pytest.mark.parametrize("form", ["number", "alias", "latest", "logged", "run", "folder"])
def test_a_model_is_loaded_by_every_form_of_address(tracked, trained, form):
    uri, name, version = addresses(tracked)[form]
    scorer = models.load(uri, tracking_uri=tracked)
    assert (scorer.model_name, scorer.model_version) == (name, version)
    predictions, scores = scorer.predict(trained[1])
    assert predictions == pytest.approx(trained[0].predict(trained[1]))
    assert scores is None


def test_an_alias_is_followed_once(tracked):
    models.set_alias("arrival", "moving", "1", tracking_uri=tracked)
    scorer = models.load("models:/arrival@moving", tracking_uri=tracked)
    models.set_alias("arrival", "moving", "2", tracking_uri=tracked)
    assert scorer.model_uri == "models:/arrival/1"


@pytest.mark.parametrize(
    "uri",
    ["models:/nothing/1", "models:/arrival/9", "models:/arrival@nobody", "runs:/0/x", "/nowhere"],
)
def test_an_address_of_no_model_is_named(tracked, uri):
    with pytest.raises(models.UnknownModel, match=re.escape(uri)):
        models.load(uri, tracking_uri=tracked)


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("arival", "1", "no model is registered under 'arival'; did you mean 'arrival'?"),
        ("arrival", "9", "'arrival' has no version 9; it has 1, 2"),
    ],
)
def test_an_alias_of_no_version_is_refused_by_name(tracked, name, version, message):
    with pytest.raises(models.UnknownModel, match=re.escape(message)):
        models.set_alias(name, "champion", version, tracking_uri=tracked)


def test_a_model_without_a_signature_is_named_with_the_way_out(logged):
    uri = logged.uri("unsigned")
    with pytest.raises(Unsigned, match=f"^{uri}: the model has no signature.*infer_signature"):
        models.load(uri, tracking_uri=logged.tracking_uri)


def test_the_score_is_the_probability_of_the_positive_class(logged):
    frame, arrival = departures()
    scorer = models.load(logged.uri("late"), tracking_uri=logged.tracking_uri)
    predictions, scores = scorer.predict(frame[NUMBERS])
    assert ((scores > 0.5) == (predictions == 1)).all()


def test_a_forest_and_its_types_are_loaded_again(logged):
    frame, arrival = departures()
    forest = RandomForestClassifier(3, random_state=0).fit(frame[NUMBERS], arrival > 15)
    uri = logged.tracking_uri
    version = models.log_model(
        forest,
        name="forest",
        inputs=frame[NUMBERS],
        predictions=forest.predict(frame[NUMBERS]),
        tracking_uri=uri,
    )
    _, scores = models.load(version.model_uri, tracking_uri=uri).predict(frame[NUMBERS])
    assert scores == pytest.approx(forest.predict_proba(frame[NUMBERS])[:, 1])


class Own(Ridge):
    """A model whose type nobody else knows."""


def test_a_type_from_elsewhere_is_refused_by_name(logged, trained):
    _, inputs, arrival = trained
    with pytest.raises(ValueError, match=r"holds .*Own, which cannot be loaded safely"):
        models.log_model(
            Own().fit(inputs, arrival),
            name="own",
            inputs=inputs,
            predictions=arrival,
            tracking_uri=logged.tracking_uri,
        )


def test_a_logged_model_is_registered_under_another_name(tracked):
    version = models.register("models:/arrival/1", name="copy", tracking_uri=tracked)
    assert (version.name, version.version) == ("copy", "1")
    assert models.load(version.model_uri, tracking_uri=tracked).model_name == "copy"


def test_mlflow_says_nothing(tmp_path):
    code = f"""
from tests.serving.conftest import NUMBERS, departures
from sklearn.linear_model import Ridge
from utils.serving import models
frame, arrival = departures()
model = Ridge().fit(frame[NUMBERS], arrival)
uri = "sqlite:///{tmp_path}/mlflow.db"
version = models.log_model(model, name="delay", inputs=frame[NUMBERS], predictions=arrival,
                          tracking_uri=uri)
models.set_alias("delay", "champion", version.version, tracking_uri=uri)
models.load("models:/delay@champion", tracking_uri=uri).predict(frame[NUMBERS])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_the_tracking_store_of_the_caller_stays(tracked, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    models.load("models:/arrival/1", tracking_uri=tracked)
    assert mlflow.get_tracking_uri() == "sqlite:///elsewhere.db"


def test_the_tracking_store_is_found_in_the_environment_then_in_the_workspace(
    workspace, monkeypatch
):
    assert tracking.resolve_tracking_uri("sqlite:///given.db") == "sqlite:///given.db"
    workspace.mkdir()
    (workspace / "mlflow.db").touch()
    assert tracking.resolve_tracking_uri() == f"sqlite:///{workspace / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///environment.db")
    assert tracking.resolve_tracking_uri() == "sqlite:///environment.db"


# In service


def deploy(store, tracked, version, name="delay"):
    return models.deploy(
        store, name=name, model_uri=f"models:/arrival/{version}", tracking_uri=tracked
    )


def test_a_deployment_has_resource_names_in_the_form_of_cml(store, tracked):
    deployment = deploy(store, tracked, 1)
    for crn in (deployment.model_crn, deployment.build_crn, deployment.deployment_crn):
        assert CRN.fullmatch(crn)
    assert store.deployment("delay") == deployment


def test_a_redeployment_keeps_the_model_and_has_a_build_of_its_own(store, tracked):
    first = deploy(store, tracked, 1)
    second = models.redeploy(
        store, name="delay", model_uri="models:/arrival/2", tracking_uri=tracked
    )
    assert second.model_crn == first.model_crn
    assert second.build_crn != first.build_crn
    assert second.deployment_crn != first.deployment_crn
    assert store.deployment("delay").model_version == "2"


def test_only_what_stands_is_redeployed(store, tracked):
    with pytest.raises(UnknownDeployment, match="dealy"):
        models.redeploy(store, name="dealy", model_uri="models:/arrival/1", tracking_uri=tracked)


def test_a_rollback_puts_back_the_build_before(store, tracked):
    first = deploy(store, tracked, 1)
    deploy(store, tracked, 2)
    deploy(store, tracked, 2)
    back = models.rollback(store, "delay")
    assert (back.model_version, back.build_crn) == ("1", first.build_crn)
    assert back.deployment_crn != first.deployment_crn
    assert store.deployment("delay") == back
    assert store.schema("delay").names == tuple(NUMBERS)


def test_there_is_nothing_before_the_first_build(store, tracked):
    deploy(store, tracked, 1)
    with pytest.raises(ValueError, match="only one build"):
        models.rollback(store, "delay")


def test_the_same_version_goes_on_as_the_same_deployment(store, tracked):
    first, second = (
        models.load(f"models:/arrival/{number}", tracking_uri=tracked) for number in (1, 2)
    )
    deployment = models.in_service(store, first, name="flights")
    assert models.in_service(store, first, name="flights") == deployment
    assert models.in_service(store, second, name="flights") != deployment
    assert models.in_service(store, first, name="flights") != deployment
    assert store.deployments()["model_version"].to_list() == ["1", "2", "1"]


def test_predictions_belong_to_the_deployment_that_made_them(store, tracked, trained):
    scorer = models.load("models:/arrival/1", tracking_uri=tracked)
    for _ in range(2):
        deployment = models.deploy_scorer(store, scorer, name="delay")
        Endpoint(scorer, store, deployment).predict(trained[1].head(1))
    made = store.read("delay", columns=["deployment"])["deployment"]
    assert made.is_unique and made.iloc[-1] == deployment.deployment_crn


def test_a_model_of_other_types_needs_another_name(store, tracked, logged):
    deploy(store, tracked, 1, name="flights")
    with pytest.raises(SchemaConflict):
        models.deploy(
            store,
            name="flights",
            model_uri=logged.uri("mirror"),
            tracking_uri=logged.tracking_uri,
        )


# As in the labs


def test_the_four_steps_of_a_deployment(store, tracked, workspace):
    registry = models.ModelRegistry(store, tracking_uri=tracked)
    version = registry.register_from_run("arrival", experiment="flights")
    model = registry.create_model("delay service")
    build = registry.create_build(model, version)
    deployment = registry.create_deployment(build)
    assert deployment.model_crn == model.crn
    assert deployment.build_crn == build.crn
    assert models.ApiUtility(store).get_latest_deployment_details("delay service") == {
        "model_name": "delay service",
        "model_id": model.crn.rpartition("/")[2],
        "model_crn": model.crn,
        "model_access_key": model.access_key,
        "latest_build_id": build.crn.rpartition("/")[2],
        "latest_deployment_crn": deployment.deployment_crn,
    }
    [(stored, client)] = store.keys("delay service")
    assert (stored, client) == (keys.hash_key(model.access_key), "owner")
    assert stat.S_IMODE((workspace / "access_keys.json").stat().st_mode) == 0o600


def test_the_newest_run_is_registered(tracked, store):
    registry = models.ModelRegistry(store, tracking_uri=tracked)
    run = registry.register_from_run("newest", experiment="flights").run_id
    assert mlflow.MlflowClient(tracked).get_run(run).data.params == {"number": "2"}


def test_a_second_deployment_of_a_model_keeps_its_key(store, tracked):
    registry = models.ModelRegistry(store, tracking_uri=tracked)
    version = registry.register_from_run("arrival", experiment="flights")
    made = [registry.create_build(registry.create_model("d"), version) for _ in range(1)]
    registry.create_deployment(made[0])
    again = registry.create_build(registry.create_model("d"), version)
    registry.create_deployment(again)
    assert again.model == made[0].model
    assert len(store.keys("d")) == 1


def test_an_experiment_without_a_model_is_named(tracked, store):
    registry = models.ModelRegistry(store, tracking_uri=tracked)
    with pytest.raises(models.UnknownModel, match="experiment='none'"):
        registry.register_from_run("arrival", experiment="none")


def test_a_tensor_model_gets_an_array(logged):
    scorer = models.load(logged.uri("tensor"), tracking_uri=logged.tracking_uri)
    frame = scorer.contract.frame([scorer.contract.rows_of(departures()[0][NUMBERS])])
    predictions, _ = scorer.predict(frame)
    assert isinstance(predictions, np.ndarray)
    assert pd.Series(predictions).between(-100, 300).all()
