"""A sandbox: alike on each run, and without effect on the workspace around it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from utils.course.sandbox import sandbox
from utils.course.workspace import Workspace
from utils.serving.models import UnknownModel, load, log_model, set_alias
from utils.serving.tracking import tracking
from utils.store import open_store

INPUTS = pd.DataFrame({"x": [0.0, 1.0, 2.0]})


def logged(workspace):
    model = LinearRegression().fit(INPUTS, INPUTS["x"])
    predictions = np.array([0.0, 1.0, 2.0])
    return log_model(
        model,
        name="line",
        inputs=INPUTS,
        predictions=predictions,
        tracking_uri=workspace.tracking_uri,
    )


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "around", stages={})


def test_it_has_the_models_of_the_workspace_and_keeps_its_own_to_itself(workspace):
    logged(workspace)
    for _ in range(2):
        inside = sandbox(workspace, "05")
        assert logged(inside).version == "2"
        for version in ("1", "2"):
            predicted, _ = load(
                f"models:/line/{version}", tracking_uri=inside.tracking_uri
            ).predict(INPUTS)
            assert predicted == pytest.approx([0.0, 1.0, 2.0])
    with pytest.raises(UnknownModel):
        load("models:/line/2", tracking_uri=workspace.tracking_uri)


def test_its_store_is_empty_and_what_was_there_before_is_gone(workspace):
    before = sandbox(workspace, "05")
    other = sandbox(workspace, "06")
    with open_store(before.store_url) as store:
        assert len(store.deployments()) == 0
    after = sandbox(workspace, "05")
    assert after.root != before.root
    assert not before.root.exists()
    assert other.root.exists()
    assert not (workspace.root / "store.db").exists()


def test_a_model_left_out_begins_anew_inside_and_stays_as_it_was_around(workspace):
    first = logged(workspace)
    set_alias("line", "champion", "1", tracking_uri=workspace.tracking_uri)
    inside = sandbox(workspace, "04", without=["line", "never heard of"])
    with pytest.raises(UnknownModel, match="line"):
        load("models:/line/1", tracking_uri=inside.tracking_uri)
    assert logged(inside).version == "1"
    with pytest.raises(UnknownModel, match="champion"):
        load("models:/line@champion", tracking_uri=inside.tracking_uri)
    around = load("models:/line@champion", tracking_uri=workspace.tracking_uri)
    assert around.model_version == first.version
    with tracking(inside.tracking_uri) as client:
        assert client.get_run(first.run_id).info.run_id == first.run_id
