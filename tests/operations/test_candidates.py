"""A version is made once by a run, carries what it will be judged by, and is compared fairly."""

import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from utils.operations.candidates import Models, captured
from utils.operations.decisions import Change
from utils.operations.remedies import Remedy, recalibrate, retrain
from utils.records import Deployment, UnknownDeployment
from utils.serving import benchmarks
from utils.serving.models import log_model, set_alias
from utils.store import open_store
from utils.store.example import DEPLOYMENT, NOON, PREDICTIONS, SCHEMA, example_store

RUN = "2013-04-08T00:00:00+00:00"


def flights(*, days=21, n_a_day=8, slope=2.0, seed=0):
    """Return labelled rows: minutes that follow from the miles, and the noise of a seed."""
    rng = np.random.default_rng(seed)
    times = pd.date_range(NOON, periods=days * n_a_day, freq=pd.Timedelta(1, "D") / n_a_day)
    miles = rng.uniform(1, 10, len(times))
    label = slope * miles + rng.normal(size=len(times))
    return pd.DataFrame({"event_time": times, "miles": miles, "label": label})


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make a registry with a champion that is right, and a version that says ten minutes more."""
    path = tmp_path_factory.mktemp("candidates") / "mlflow.db"
    rows = flights()
    inputs = rows[["miles"]]
    about = {"inputs": inputs, "predictions": rows["label"], "tracking_uri": f"sqlite:///{path}"}
    for more in (0.0, 10.0):
        model = LinearRegression().fit(inputs, rows["label"] + more)
        log_model(model, name="delay", **about)
    set_alias("delay", "champion", "1", tracking_uri=about["tracking_uri"])
    late = rows["label"].gt(10).astype(int)
    about["predictions"] = late
    log_model(LogisticRegression().fit(inputs, late), name="late", **about)
    return path


@pytest.fixture
def models(template, tmp_path):
    """Return the models of a registry of this test's own."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(template)) as one, closing(sqlite3.connect(path)) as other:
        one.backup(other)
    return Models(name="delay", task="regression", loss="mae", tracking_uri=f"sqlite:///{path}")


def change(models, version, than, frame):
    return models.change(version, than, frame, rng=np.random.default_rng(0))


# ------------------------------------------------------------------------------- what there is


def test_a_version_is_found_by_its_alias_and_is_an_empty_text_where_there_is_none(models):
    assert models.version_at("champion") == "1"
    assert models.version_at("fallback") == ""
    set_alias("delay", "champion", "2", tracking_uri=models.tracking_uri)
    assert models.version_at("champion") == "2"


def test_a_version_is_loaded_once(models):
    assert models.scorer("1") is models.scorer("1")
    assert models.scorer("1") is not models.scorer("2")
    assert models.scorer("1").schema.names == ("miles",)


def test_a_version_that_carries_no_reference_has_none(models):
    assert models.reference("1") is None


# ------------------------------------------------------------------------------- comparing


def test_a_version_against_itself_changes_nothing(models):
    found = change(models, "1", "1", flights(seed=1))
    assert found == Change(value=0.0, low=0.0, high=0.0, n=168)


def test_a_change_is_the_mean_of_the_differences_and_its_mirror_is_the_mirror(models):
    rows = flights(seed=1)
    found, mirrored = change(models, "2", "1", rows), change(models, "1", "2", rows)
    errors = [
        (models.scorer(version).predict(rows[["miles"]])[0] - rows["label"]).abs()
        for version in ("1", "2")
    ]
    assert found.value == pytest.approx((errors[1] - errors[0]).mean())
    assert found.low < found.value < found.high and found.low > 0
    assert (mirrored.value, mirrored.n) == (pytest.approx(-found.value), found.n)


def test_rows_without_a_label_do_not_count(models):
    rows = flights(seed=1)
    early = rows.assign(label=rows["label"].where(rows.index < 80))
    assert change(models, "2", "1", early) == change(models, "2", "1", rows.head(80))


@pytest.mark.parametrize("days", [0, 1])
def test_of_too_few_rows_nothing_is_said(models, days):
    assert change(models, "2", "1", flights(days=days)) is None
    assert change(models, "2", "1", flights().assign(label=np.nan)) is None


def test_what_a_row_costs_is_missing_where_its_label_is(models):
    rows = flights(days=1).assign(prediction=5.0)
    rows.loc[0, "label"] = np.nan
    costs = models.cost_of(rows)
    assert np.isnan(costs[0])
    assert costs[1:].tolist() == (rows["label"][1:] - 5).abs().tolist()
    assert models.cost("1", rows).isna().tolist() == [True, *[False] * 7]


def test_a_classifier_is_judged_by_its_score(models):
    late = Models(
        name="late", task="classification", loss="brier", tracking_uri=models.tracking_uri
    )
    rows = flights(seed=2)
    rows["label"] = rows["label"].gt(10).astype(float)
    score = late.scorer("1").predict(rows[["miles"]])[1]
    assert np.allclose(late.cost("1", rows), (score - rows["label"]) ** 2)


# ------------------------------------------------------------------------------- making


def make(models, remedy, rows, *, run=RUN):
    return models.make(
        remedy, rows, champion="1", run=run, reference=rows, rng=np.random.default_rng(0)
    )


def test_a_version_is_made_once_by_a_run_and_found_by_the_next_process(models):
    made = make(models, retrain(), flights(slope=4.0))
    assert made == "3" and models.made_by(RUN, "retrain") == "3"
    again = Models(name="delay", task="regression", loss="mae", tracking_uri=models.tracking_uri)

    def never(*_):
        raise AssertionError("it is there already")

    assert make(again, Remedy(name="retrain", make=never), flights(slope=4.0)) == "3"
    assert models.made_by(RUN, "recalibrate") == ""
    assert models.made_by("2013-04-15T00:00:00+00:00", "retrain") == ""


def test_another_remedy_and_another_run_make_versions_of_their_own(models):
    rows = flights(slope=4.0)
    assert make(models, retrain(), rows) == "3"
    assert make(models, recalibrate(), rows) == "4"
    assert make(models, retrain(), rows, run="2013-04-15T00:00:00+00:00") == "5"
    assert [models.made_by(RUN, name) for name in ("retrain", "recalibrate")] == ["3", "4"]


def test_a_version_learned_from_its_rows_and_the_champion_is_as_it_was(models):
    new = flights(slope=4.0, seed=3)
    before = models.cost("1", new)
    made = make(models, retrain(), new)
    again = Models(name="delay", task="regression", loss="mae", tracking_uri=models.tracking_uri)
    assert again.cost("1", new).equals(before)
    assert change(again, made, "1", new).high < 0
    assert again.version_at("champion") == "1"


def test_a_version_carries_its_reference_with_its_own_answers_and_its_error(models):
    rows = flights(slope=4.0)
    made = make(models, retrain(), rows)
    carried = models.reference(made)
    expected = benchmarks.answered(models.scorer(made), rows)
    assert np.allclose(carried["prediction"], expected["prediction"])
    assert carried["label"].tolist() == rows["label"].tolist()
    benchmark = benchmarks.benchmark_of(models.uri(made), tracking_uri=models.tracking_uri)
    mae = benchmark.loc[benchmark["metric"].eq("mae"), "value"].item()
    assert mae == pytest.approx((expected["prediction"] - rows["label"]).abs().mean())


def test_a_run_that_broke_off_before_the_reference_was_carried_makes_up_for_it(models):
    rows = flights(slope=4.0)
    models._made(retrain(), rows, champion="1", run=RUN)
    again = Models(name="delay", task="regression", loss="mae", tracking_uri=models.tracking_uri)
    assert again.reference("3") is None
    assert make(models, retrain(), rows) == "3"
    assert len(models.reference("3")) == len(rows)


# ------------------------------------------------------------------------------- what was captured


def test_services_are_read_as_one_in_order_of_time():
    with example_store() as store:
        canary = {"name": "flights-canary", "deployment_crn": "crn:deployment:2"}
        own = {name: getattr(DEPLOYMENT, name) for name in Deployment.__dataclass_fields__}
        store.add_deployment(Deployment(**own | canary), SCHEMA)
        between = PREDICTIONS.head(1).assign(
            prediction_id="c", event_time=PREDICTIONS["event_time"][0] + pd.Timedelta("30min")
        )
        store.write_predictions("flights-canary", between)
        names = ["flights", "flights-canary"]
        assert captured(store, names)["prediction_id"].tolist() == ["a", "c", "b"]
        late = captured(store, names, start=NOON.replace(minute=10))
        assert late["prediction_id"].tolist() == ["c", "b"]
        assert captured(store, names[::-1])["prediction_id"].tolist() == ["a", "c", "b"]


def test_a_service_that_nobody_deployed_has_no_rows():
    with example_store() as store:
        both = captured(store, ["flights", "flights-canary"])
        assert both.equals(store.read("flights"))
        none = captured(store, ["flights", "flights-canary"], end=NOON)
        assert none.empty and list(none) == list(both)


def test_where_none_is_deployed_the_first_is_named():
    with open_store("sqlite://") as store, pytest.raises(UnknownDeployment, match="flights"):
        captured(store, ["flights", "flights-canary"])
