"""A version by any address, and files that are written once and never over."""

import sqlite3
from contextlib import closing

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from utils.serving import models, tracking, versions

INPUTS = pd.DataFrame({"x": np.arange(10.0)})


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("versions")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    model = LinearRegression().fit(INPUTS, INPUTS["x"])
    about = {"inputs": INPUTS, "predictions": INPUTS["x"].to_numpy(), "tracking_uri": uri}
    models.log_model(model, name="line", **about)
    logged = mlflow.MlflowClient(uri).get_model_version("line", "1").source
    for _ in range(11):
        models.register(logged, name="it's a line", tracking_uri=uri)
    return root / "mlflow.db", logged


@pytest.fixture
def client(template, tmp_path):
    target = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(template[0])) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
    with tracking.tracking(f"sqlite:///{target}") as client:
        yield client


def test_each_address_leads_to_its_version(client, template):
    client.set_registered_model_alias("it's a line", "7", "3")
    for address, version in (
        ("models:/it's a line/2", "2"),
        ("models:/it's a line@7", "3"),
        ("models:/it's a line/7", "7"),
        ("models:/it's a line/latest", "11"),
        (template[1], "11"),
    ):
        assert str(versions.version_of(client, address).version) == version


def test_it_can_be_opened_by_its_address_or_by_itself(client):
    version = versions.ModelVersion(name="it's a line", version="2", run_id="")
    for given in (version, version.model_uri):
        with versions.opened(given, tracking_uri=client.tracking_uri) as (_, found):
            assert versions.address(found) == "models:/it's a line/2"


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("models:/it's a line/12", versions.UnknownVersion, "it has 1, 2, .*, 10, 11"),
        ("models:/it's a line/", versions.NotRegistered, "register it first"),
        ("models:/it's a line@champion", versions.UnknownAlias, "it has none: promote a version"),
        ("models:/its a lime/1", versions.UnknownModel, 'did you mean "it\'s a line"'),
        ("models:/m-nothing", versions.NotRegistered, "register it first"),
        ("somewhere", versions.NotRegistered, "register it first"),
    ],
)
def test_an_address_of_none_is_named_and_every_error_is_one_of_an_unknown_model(
    client, address, error, says
):
    with pytest.raises(error, match=says) as raised:
        versions.version_of(client, address)
    assert address in str(raised.value)
    assert isinstance(raised.value, models.UnknownModel)


def test_an_empty_registry_says_that_there_is_none(tmp_path):
    with tracking.tracking(f"sqlite:///{tmp_path / 'empty.db'}") as client:
        with pytest.raises(versions.UnknownModel, match="there is none: register one first"):
            versions.version_of(client, "models:/line/1")


def test_a_text_is_carried_once_it_is_pointed_to(client):
    version = versions.version_of(client, "models:/it's a line/1")
    uri = versions.carry_text(client, version, "note", "olá", suffix=".md")
    assert uri == f"runs:/{version.run_id}/note/{versions.text_digest('olá')}.md"
    with pytest.raises(versions.NotCarried, match="carries no note"):
        versions.carried(client, version, "note", versions.read_text)
    versions.point(client, version, "note", uri)
    again = versions.version_of(client, "models:/it's a line/1")
    text, digest = versions.carried(client, again, "note", versions.read_text)
    assert (text, digest) == ("olá", versions.text_digest("olá"))


def test_a_file_that_does_not_hold_what_it_is_called_by_is_refused(tmp_path):
    path = tmp_path / f"{versions.text_digest('a')}.md"
    path.write_text("a")
    assert versions.read_text(path) == "a"
    path.write_bytes(b"\xff")
    with pytest.raises(versions.ChangedArtifact, match="was changed after it was attached"):
        versions.read_text(path)


def test_a_version_without_a_run_has_no_place_for_files(client, tmp_path):
    client.create_registered_model("orphan")
    client.create_model_version("orphan", source=tmp_path.as_uri())
    orphan = versions.version_of(client, "models:/orphan/1")
    with pytest.raises(versions.NotCarried, match="models:/orphan/1: comes from no run"):
        versions.need_run(orphan)
    with pytest.raises(versions.NotCarried, match="log the model in a run"):
        versions.carry_text(client, orphan, "note", "a", suffix=".md")
