"""Runs: what is logged reads back equal, and what is compared is compared on the same rows."""

import os
import re
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from mlflow.models import infer_signature
from scipy import stats

from utils.datasets import files
from utils.monitors.performance import performance
from utils.records import measurements
from utils.serving import runs
from utils.serving.schemas import telling_rows
from utils.serving.tracking import UnknownRun, experiment_id_of, tracking
from utils.text import using


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """Make one tracking store for all tests of this module."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('runs') / 'mlflow.db'}"
    with tracking(uri) as client:
        experiment_id_of(client, "flights")
    return uri


@pytest.fixture
def run(uri, request):
    """Hold a run of this test's own open."""
    with tracking(uri) as client:
        experiment_id = experiment_id_of(client, "flights")
        with mlflow.start_run(experiment_id=experiment_id, run_name=request.node.name) as run:
            yield run


def data_of(run):
    return mlflow.get_run(run.info.run_id).data


def row(metric="mae", value=11.9, **others):
    told = {
        "monitor": "performance",
        "metric": metric,
        "value": value,
        "low": 11.1,
        "high": 12.8,
        "n_current": 120,
        "window_start": "2013-04-01",
        "window_end": "2013-04-08",
    }
    return told | others


def predicted(n=300, *, seed=0, shift=0.0):
    """Return a classifier's answers: rows by hour, the better the less the shift."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(99).uniform(0.1, 0.9, n)
    return pd.DataFrame(
        {
            "row_id": range(n),
            "event_time": pd.date_range("2023-01-01", periods=n, freq="6h", tz="UTC"),
            "label": (np.random.default_rng(98).random(n) < truth).astype("int64"),
            "prediction": (truth > 0.5).astype("int64"),
            "score": np.clip(truth + shift * rng.normal(size=n), 0.01, 0.99),
        }
    )


# ----------------------------------------------------------------------------------- measurements


def test_a_measurement_becomes_four_metrics_and_a_group_a_section(run):
    table = measurements([row(), row(value=13.0, group="JFK", n_current=40)])
    runs.log_measurements(table)
    assert data_of(run).metrics == {
        "mae": 11.9,
        "mae.low": 11.1,
        "mae.high": 12.8,
        "mae.n": 120,
        "JFK/mae": 13.0,
        "JFK/mae.low": 11.1,
        "JFK/mae.high": 12.8,
        "JFK/mae.n": 40,
    }


def test_what_is_missing_is_no_metric_but_its_count_is(run):
    nothing = {"value": np.nan, "low": np.nan, "high": np.nan, "n_current": 3}
    runs.log_measurements(measurements([row(**nothing)]))
    assert data_of(run).metrics == {"mae.n": 3}


def test_windows_are_the_steps_of_a_metric_in_order_of_time(run):
    weeks = [
        row(value=value, window_start=f"2013-04-{day:02}", window_end=f"2013-04-{day + 7:02}")
        for day, value in ((15, 3.0), (1, 1.0), (8, 2.0))
    ]
    runs.log_measurements(measurements(weeks))
    history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "mae")
    assert sorted((each.step, each.value) for each in history) == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert data_of(run).metrics["mae"] == 3.0


def test_more_metrics_than_mlflow_takes_at_once_are_logged(run):
    many = [row(group=f"g{number}") for number in range(300)]
    runs.log_measurements(measurements(many))
    assert len(data_of(run).metrics) == 1200


def test_the_table_of_a_monitor_reads_back_equal(run, uri):
    answers = predicted().assign(
        place=lambda frame: np.where(frame["row_id"] % 2, "São Luís", "NA")
    )
    table = performance(
        answers,
        task="classification",
        window="7D",
        group_column="place",
        rng=np.random.default_rng(0),
        minimum=20,
        block="1D",
    )
    runs.log_measurements(table)
    pd.testing.assert_frame_equal(runs.measurements_of(run.info.run_id, tracking_uri=uri), table)


numbers = st.floats(allow_nan=True, allow_infinity=False)
moments = st.datetimes(min_value=pd.Timestamp("1990-01-01"), max_value=pd.Timestamp("2100-01-01"))
tables = st.lists(
    st.fixed_dictionaries(
        {
            "monitor": st.sampled_from(["performance", "NA", "null", "drift"]),
            "metric": st.sampled_from(["mae", "None", "roc_auc"]),
            "feature": st.text(alphabet='a",\n ;é', max_size=5).map(str.strip),
            "group": st.sampled_from(["", "NaN", "true", "007", "1.50"]),
            "value": numbers,
            "low": numbers,
            "high": numbers,
            "threshold_high": numbers,
            "alarm": st.booleans(),
            "n_current": st.integers(0, 10**9),
            "window_start": moments,
            "window_end": moments,
            "known_as_of": st.none() | moments,
        }
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=tables)
def test_any_table_reads_back_from_its_file_equal(rows, tmp_path_factory):
    table = measurements(rows)
    path = tmp_path_factory.mktemp("table") / runs.MEASUREMENTS
    runs.write_measurements(table, path)
    pd.testing.assert_frame_equal(runs.read_measurements(path), table, check_exact=True)


def test_a_table_that_is_none_of_measurements_is_refused(run):
    with pytest.raises(ValueError, match="table: has no column 'monitor'"):
        runs.log_measurements(pd.DataFrame({"metric": ["mae"], "value": [1.0]}))
    assert data_of(run).metrics == {}


def test_a_group_that_cannot_be_a_metrics_name_is_refused_whole(run):
    with pytest.raises(ValueError, match=re.escape("'a[b]/mae' cannot be the name of a metric")):
        runs.log_measurements(measurements([row(), row(group="a[b]")]))
    assert data_of(run).metrics == {}


@pytest.mark.parametrize(
    "log",
    [
        lambda: runs.log_measurements(measurements([row()])),
        lambda: runs.log_predictions(predicted(), name="later"),
        lambda: runs.log_figure(Figure(figsize=(2, 1)), "f", alt="A line."),
        lambda: runs.log_data(predicted(), name="later", context="training", source="x.parquet"),
        lambda: runs.nested_run("child"),
        lambda: runs.search(lambda one: measurements([row()]), {"a": [1]}, budget=1, rng=rng()),
        lambda: runs.system_metrics_cost(),
    ],
    ids=["measurements", "predictions", "figure", "data", "nested", "search", "system"],
)
def test_nothing_is_logged_where_no_run_is_active(uri, log):
    with tracking(uri) as client:
        before = len(client.search_runs([experiment_id_of(client, "flights")]))
        with pytest.raises(ValueError, match="no run is active: log within"):
            log()
        assert len(client.search_runs([experiment_id_of(client, "flights")])) == before
    assert mlflow.active_run() is None


def test_a_run_without_measurements_is_named_with_what_it_has(run, uri):
    runs.log_predictions(predicted(), name="later")
    message = f"({run.info.run_id}): has no measurements.csv; it has predictions"
    with pytest.raises(runs.NotLogged, match=re.escape(message)):
        runs.measurements_of(run.info.run_id, tracking_uri=uri)


@pytest.mark.parametrize(
    "read",
    [
        lambda uri: runs.measurements_of("f" * 32, tracking_uri=uri),
        lambda uri: runs.predictions_of("f" * 32, name="later", tracking_uri=uri),
        lambda uri: runs.runs_table("flights", parent="f" * 32, tracking_uri=uri),
        lambda uri: runs.side_by_side({"one": "f" * 32}, tracking_uri=uri),
    ],
    ids=["measurements", "predictions", "children", "side by side"],
)
def test_a_run_that_does_not_exist_is_named(uri, read):
    with pytest.raises(UnknownRun, match=f"run {'f' * 32}: there is none of this id"):
        read(uri)


# ------------------------------------------------------------------------------------------- data


def test_the_data_of_a_run_are_named_by_the_digest_of_their_file(run, tmp_path):
    made = files.write(predicted(), tmp_path / "later.parquet", source="made up")
    known = runs.log_data(
        files.read(made.path), name="later", context="validation", source=made.path, target="label"
    )
    (used,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert used.dataset.digest == known == made.digest
    assert (used.dataset.name, used.tags[0].value) == ("later", "validation")
    assert str(made.path) in used.dataset.source


def test_one_changed_value_anywhere_changes_the_digest_and_not_mlflows_own(uri):
    frame = pd.DataFrame({"income_brl": np.arange(12_000.0)})
    changed = frame.copy()
    changed.loc[11_000, "income_brl"] *= 2
    ours = {runs.dataset_of(each, name="x", source="x").digest for each in (frame, changed)}
    with tracking(uri):
        mlflows = {mlflow.data.from_pandas(each).digest for each in (frame, changed)}
    assert (len(ours), len(mlflows)) == (2, 1)


FRAMES = {
    "gaps late": pd.DataFrame({"a": [1.0] * 500 + [np.nan], "b": ["x"] * 501}),
    "whole": pd.DataFrame({"a": range(300), "b": [True] * 300}),
    "a text missing": pd.DataFrame({"a": pd.Series(["x"] * 200 + [None], dtype="str")}),
    "moments": pd.DataFrame({"at": pd.date_range("2023-01-01", periods=300, tz="UTC")}),
    "nullable": pd.DataFrame({"a": pd.array([1] * 200 + [None], dtype="Int64")}),
    "objects": pd.DataFrame({"a": pd.Series(["x"] * 200 + [b"y"], dtype="object")[:200]}),
    "short": pd.DataFrame({"a": [1.5]}),
}


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.filterwarnings("ignore")
def test_the_telling_rows_tell_the_schema_of_all(name):
    frame = FRAMES[name]
    assert infer_signature(telling_rows(frame)) == infer_signature(frame)
    assert runs.dataset_of(frame, name="x", source="x").schema == infer_signature(frame).inputs


# ---------------------------------------------------------------------------------------- figures


def figure():
    fig = Figure(figsize=(2, 1))
    fig.subplots().plot([0, 1], [0, 1])
    return fig


def artifact(run, path, tmp_path):
    uri = f"runs:/{run.info.run_id}/{path}"
    return Path(mlflow.artifacts.download_artifacts(uri, dst_path=tmp_path))


def test_a_figure_is_logged_with_its_words_in_each_language(run, tmp_path):
    alt = {"pt": "A perda <dobra> em julho.", "en": 'The "loss" doubles in July.'}
    runs.log_figure(figure(), "loss", alt=alt)
    page = artifact(run, "figures/loss.html", tmp_path).read_text(encoding="utf-8")
    assert 'alt="A perda &lt;dobra&gt; em julho."' in page
    assert '<p lang="en">The &quot;loss&quot; doubles in July.</p>' in page
    assert artifact(run, "figures/loss.png", tmp_path).read_bytes()[:4] == b"\x89PNG"


def test_one_text_is_in_the_language_in_force(run, tmp_path):
    with using("pt"):
        runs.log_figure(figure(), "loss", alt="A perda dobra.")
    page = artifact(run, "figures/loss.html", tmp_path).read_text(encoding="utf-8")
    assert page.startswith('<!DOCTYPE html><html lang="pt">')


@pytest.mark.parametrize("alt", ["", "  ", {}, {"pt": ""}, {"fr": "La perte double."}])
def test_a_figure_without_words_is_refused(run, alt):
    with pytest.raises(ValueError, match="alt="):
        runs.log_figure(figure(), "loss", alt=alt)
    assert mlflow.MlflowClient().list_artifacts(run.info.run_id) == []


# ------------------------------------------------------------------------------- runs side by side


@pytest.fixture(scope="module")
def family(uri):
    """Log a parent with three children, and a stranger beside them; return the parent's id."""
    with tracking(uri) as client:
        experiment_id = experiment_id_of(client, "family")
        with mlflow.start_run(experiment_id=experiment_id, run_name="parent") as parent:
            for name, shift in (("exact", 0.0), ("near", 0.05), ("far", 0.3)):
                answers = predicted(shift=shift)
                with runs.nested_run(name):
                    mlflow.log_params({"shift": shift})
                    mlflow.log_metric("alone", 1.0)
                    runs.log_predictions(answers, name="later")
                    runs.log_measurements(
                        performance(
                            answers,
                            task="classification",
                            metrics=["log_loss"],
                            window=None,
                            rng=np.random.default_rng(0),
                        )
                    )
        with mlflow.start_run(experiment_id=experiment_id, run_name="stranger"):
            mlflow.log_metric("mae", 1.0)
    return parent.info.run_id


def test_a_table_of_runs_has_a_row_for_each_metric_with_its_interval(uri, family):
    table = runs.runs_table("family", parent=family, params=["shift"], tracking_uri=uri)
    assert table["run"].unique().tolist() == ["exact", "near", "far"]
    wide = table.set_index(["run", "metric"])
    whole = runs.measurements_of(wide.loc["near", "run_id"].iloc[0], tracking_uri=uri)
    told = whole.set_index("metric").loc["log_loss"]
    found = wide.loc[("near", "log_loss")]
    assert (found["value"], found["low"], found["high"]) == tuple(told[["value", "low", "high"]])
    assert (found["n"], found["shift"]) == (300, "0.05")
    alone = wide.loc[("near", "alone")]
    assert alone["value"] == 1.0 and pd.isna(alone["low"]) and pd.isna(alone["n"])


def test_without_a_parent_all_runs_of_the_experiment_are_listed(uri, family):
    table = runs.runs_table("family", tracking_uri=uri)
    assert set(table["run"]) == {"exact", "near", "far", "stranger"}
    assert list(runs.run_ids("family", parent=family, tracking_uri=uri)) == ["exact", "near", "far"]
    assert len(runs.run_ids("family", tracking_uri=uri)) == 5


def test_an_experiment_that_does_not_exist_is_named_with_the_nearest(uri, family):
    with pytest.raises(UnknownRun, match="experiment 'famly': there is none.*'family'"):
        runs.runs_table("famly", tracking_uri=uri)


def test_runs_side_by_side_are_groups_of_one_table(uri, family):
    ids = runs.run_ids("family", parent=family, tracking_uri=uri)
    table = runs.side_by_side(ids, tracking_uri=uri)
    losses = table[table["metric"] == "log_loss"]
    assert losses["group"].tolist() == ["exact", "near", "far"]


def test_runs_are_compared_row_by_row(uri, family):
    ids = runs.run_ids("family", parent=family, tracking_uri=uri)
    table = runs.paired_runs(
        ids, reference="exact", loss="brier", name="later", rng=rng(), tracking_uri=uri
    ).set_index("group")
    assert list(table.index) == ["near", "far"]
    exact, far = (predicted(shift=shift) for shift in (0.0, 0.3))
    change = (far["score"] - far["label"]) ** 2 - (exact["score"] - exact["label"]) ** 2
    assert table.loc["far", "value"] == pytest.approx(change.mean())
    half = stats.t.ppf(0.975, 299) * change.std() / np.sqrt(300)
    assert table.loc["far", "high"] - table.loc["far", "value"] == pytest.approx(half, rel=0.15)
    assert table.loc["near", "low"] < table.loc["near", "value"] < table.loc["near", "high"]


def test_runs_that_predicted_other_rows_are_not_compared(uri, family, run):
    runs.log_predictions(predicted(200), name="later")
    ids = runs.run_ids("family", parent=family, tracking_uri=uri) | {"short": run.info.run_id}
    with pytest.raises(ValueError, match="'short' and 'exact' did not predict the same rows"):
        runs.paired_runs(
            ids, reference="exact", loss="brier", name="later", rng=rng(), tracking_uri=uri
        )


def test_a_reference_that_is_none_of_the_runs_is_named(uri):
    with pytest.raises(ValueError, match="reference='exct' is none of the runs; did you mean"):
        runs.paired_runs(
            {"exact": "x", "near": "y"}, reference="exct", loss="brier", name="later", rng=rng()
        )


# ------------------------------------------------------------------------------- a search, a budget


def rng(seed=3):
    return np.random.default_rng(seed)


SPACE = {"depth": [1, 2, 3, 4], "pace": [0.1, 0.2, 0.3], "kind": ["a", "b"]}


def squared(settings):
    return measurements([row("loss", value=settings["depth"] ** 2 * settings["pace"])])


def tried(space=SPACE, **settings):
    return runs.search(squared, space, **{"budget": 5, "rng": rng()} | settings)


def test_each_trial_is_a_nested_run_with_its_settings_and_its_measurements(run, uri):
    table = tried()
    assert table["trial"].tolist() == [f"trial-{number:02}" for number in range(5)]
    assert (table["loss"] == table["depth"] ** 2 * table["pace"]).all()
    listed = runs.runs_table(
        "flights", parent=run.info.run_id, params=list(SPACE), tracking_uri=uri
    )
    assert listed["run_id"].tolist() == table["run_id"].tolist()
    assert listed["value"].tolist() == table["loss"].tolist()
    assert listed["depth"].tolist() == table["depth"].astype(str).tolist()
    assert listed["low"].tolist() == table["loss.low"].tolist() == [11.1] * 5


def test_the_same_rng_tries_the_same_and_another_does_not(run):
    one, again, other = tried(), tried(), tried(rng=rng(4))
    drawn = list(SPACE)
    assert one[drawn].equals(again[drawn])
    assert not one[drawn].equals(other[drawn])


def test_no_settings_are_tried_twice_and_the_budget_pays_for_fits(run):
    assert len(tried(budget=24)[list(SPACE)].drop_duplicates()) == 24
    assert len(tried(budget=11, fits=3)) == 3


def test_a_distribution_is_drawn_from(run):
    table = tried({"depth": [1], "pace": stats.uniform(0.5, 0.1)})
    assert table["pace"].between(0.5, 0.6).all() and table["pace"].is_unique


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 0}, "budget=0: less than the 1 fits of one trial"),
        ({"budget": 4, "fits": 5}, "budget=4: less than the 5 fits of one trial"),
        ({"budget": 25}, "budget: 25 trials, and the space holds 24 settings"),
    ],
)
def test_a_budget_that_cannot_be_spent_is_named(run, settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        tried(**settings)


def test_a_trial_that_fails_is_marked_so_and_the_search_stops(run, uri):
    def failing(settings):
        raise ZeroDivisionError("no rows")

    with pytest.raises(ZeroDivisionError):
        runs.search(failing, SPACE, budget=3, rng=rng())
    client = mlflow.MlflowClient()
    of_parent = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    (failed,) = client.search_runs([run.info.experiment_id], of_parent)
    assert failed.info.status == "FAILED"


def test_a_nested_run_is_in_its_parents_experiment(run):
    with runs.nested_run("child") as child:
        assert child.info.experiment_id == run.info.experiment_id
    assert mlflow.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == run.info.run_id


# ---------------------------------------------------------------------------------- system metrics


def test_the_cost_of_system_metrics_is_measured_and_the_interval_put_back(run, monkeypatch):
    name = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
    monkeypatch.setenv(name, "7")
    cost = runs.system_metrics_cost(seconds=1.0, interval_s=0.1)
    assert os.environ[name] == "7"
    assert cost.samples >= 1 and 0 <= cost.cpu_s < 1
    assert cost.share(interval_s=10) == cost.cpu_s / 10


def test_a_run_shorter_than_the_interval_has_no_system_metrics(run):
    with runs.nested_run("short", log_system_metrics=True) as short:
        mlflow.log_metric("mae", 1.0)
    assert list(data_of(short).metrics) == ["mae"]


def test_too_short_a_time_to_sample_is_refused(run):
    with pytest.raises(ValueError, match="seconds=0.2: at least three times interval_s=0.1"):
        runs.system_metrics_cost(seconds=0.2, interval_s=0.1)
