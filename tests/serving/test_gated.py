"""What goes into service through the gate, what does not, and that the store tells no difference.

Every test runs on SQLite and on PostgreSQL.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from tests.serving.conftest import NUMBERS, departures
from utils.serving import gates, models
from utils.serving.endpoint import Endpoint
from utils.serving.example import example_model
from utils.serving.gates import NeverJudged, NotPassed
from utils.serving.versions import NotRegistered, UnknownAlias
from utils.store import open_store


@pytest.fixture(scope="module")
def judged(logged):
    """Log four versions of a model: 1 and 3 passed, 2 was refused, 4 was never judged."""
    frame, arrival = departures()
    inputs = frame[NUMBERS]
    good = Ridge().fit(inputs, arrival)
    bad = Ridge(alpha=1e9).fit(inputs, arrival)
    for model in (good, bad, good, good):
        models.log_model(
            model,
            name="judged",
            inputs=inputs,
            predictions=arrival,
            tracking_uri=logged.tracking_uri,
        )
    for version, model in (("1", good), ("2", bad), ("3", good)):
        hours = pd.date_range("2013-03-01", periods=len(frame), freq="1h", tz="UTC")
        later = pd.DataFrame(
            {"event_time": hours, "label": arrival, "prediction": model.predict(inputs)}
        )
        verdict = gates.judge(
            later,
            rules=[gates.Ceiling(metric="mae", bound=8.0)],
            task="regression",
            rng=np.random.default_rng(0),
            tracking_uri=logged.tracking_uri,
        )
        gates.record(f"models:/judged/{version}", verdict, tracking_uri=logged.tracking_uri)
    return logged.tracking_uri


@pytest.fixture
def store(store_url):
    with open_store(store_url) as store:
        yield store


def put(store, judged, version, *, put=models.deploy, **settings):
    return put(
        store,
        name="arrivals",
        model_uri=f"models:/judged/{version}",
        tracking_uri=judged,
        **settings,
    )


def in_service(store):
    return store.deployment("arrivals").model_version


def test_a_version_that_passed_goes_into_service_and_answers(store, judged):
    deployment = put(store, judged, "1", gated=True)
    scorer = models.load(deployment.model_uri, tracking_uri=judged)
    frame, _ = departures(n=3)
    Endpoint(scorer, store, deployment).predict(frame[NUMBERS])
    assert store.read("arrivals")["model_version"].tolist() == ["1"] * 3
    assert put(store, judged, "3", put=models.redeploy, gated=True).model_version == "3"


@pytest.mark.parametrize(
    ("version", "error", "message"),
    [
        ("2", NotPassed, r"models:/judged/2: did not pass its gate\. .*at most 8 is asked.*judge"),
        ("4", NeverJudged, r"models:/judged/4: was never judged.*gates\.judge.*gates\.record"),
    ],
)
def test_a_version_that_did_not_pass_is_refused_by_name_and_nothing_changes(
    store, judged, version, error, message
):
    with pytest.raises(error, match=message):
        put(store, judged, version, gated=True)
    assert store.deployments().empty, "not even the name is there"

    put(store, judged, "1", gated=True)
    before = store.deployments()
    with pytest.raises(error, match=message):
        put(store, judged, version, put=models.redeploy, gated=True)
    pd.testing.assert_frame_equal(store.deployments(), before)
    assert in_service(store) == "1"


def test_the_other_door_asks_nothing(store, judged):
    put(store, judged, "2")
    assert put(store, judged, "4", put=models.redeploy).model_version == "4"


def test_it_is_the_version_that_was_loaded_that_must_have_passed(store, judged, monkeypatch):
    models.set_alias("judged", "next", "2", tracking_uri=judged)
    load = models.load

    def load_and_move(uri, **settings):
        scorer = load(uri, **settings)
        models.set_alias("judged", "next", "1", tracking_uri=judged)
        return scorer

    monkeypatch.setattr(models, "load", load_and_move)
    with pytest.raises(NotPassed, match="models:/judged/2"):
        models.deploy(
            store, name="arrivals", model_uri="models:/judged@next", tracking_uri=judged, gated=True
        )
    assert store.deployments().empty


def test_what_is_no_version_cannot_pass(store, judged):
    with pytest.raises(UnknownAlias, match="judged.*has no alias 'chamption'"):
        models.deploy(
            store,
            name="arrivals",
            model_uri="models:/judged@chamption",
            tracking_uri=judged,
            gated=True,
        )
    with example_model() as folder, pytest.raises(NotRegistered, match="register it first"):
        models.deploy(store, name="arrivals", model_uri=folder, tracking_uri=judged, gated=True)
    assert store.deployments().empty


def test_a_rollback_returns_to_the_newest_build_that_passed(store, judged):
    for version in ("1", "3", "2", "4"):
        put(store, judged, version)
    back = models.rollback(store, "arrivals", gated=True, tracking_uri=judged)
    assert back.model_version == in_service(store) == "3"
    assert models.rollback(store, "arrivals").model_version == "4", "the other door: one back"
    again = models.rollback(store, "arrivals", gated=True, tracking_uri=judged)
    assert again.build_crn == back.build_crn and again.deployment_crn != back.deployment_crn


def test_a_rollback_to_nothing_that_passed_is_refused_and_nothing_changes(store, judged):
    for version in ("4", "2", "1"):
        put(store, judged, version)
    before = store.deployments()
    with pytest.raises(NotPassed, match="name='arrivals': no build but the present one passed"):
        models.rollback(store, "arrivals", gated=True, tracking_uri=judged)
    pd.testing.assert_frame_equal(store.deployments(), before)


def test_a_build_whose_version_is_gone_is_passed_over(store, judged):
    with example_model() as folder:
        put(store, judged, "1")
        models.deploy(store, name="arrivals", model_uri=folder, tracking_uri=judged)
    put(store, judged, "2")
    back = models.rollback(store, "arrivals", gated=True, tracking_uri=judged)
    assert back.model_version == "1"
