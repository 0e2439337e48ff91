"""Training as chapter 03 has it: what each parameter changes, both editions, and MLflow's page."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from tests.services import free_port, missing
from utils.course import life, stages, training
from utils.course.workspace import Workspace
from utils.datasets import credit
from utils.datasets.files import describe, read
from utils.serving import models, runs
from utils.serving.tracking import tracking
from utils.text import LANGUAGES

NAMES = ["constant", "rule", "logistic", "boosting"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Collect and prepare the credit book, once."""
    folder = tmp_path_factory.mktemp("credit")
    life.collect_credit(folder / "collected")
    life.prepare_credit(folder / "collected", folder / "prepared")
    return folder / "prepared"


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    """Train with the same settings twice, with another seed, and with another history."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    settings = {
        "usual": {"seed": 3, "n_days": 60},
        "again": {"seed": 3, "n_days": 60},
        "other seed": {"seed": 4, "n_days": 60},
        "other history": {"seed": 3, "n_days": 45},
    }
    return uri, {
        name: training.train_credit(prepared, tracking_uri=uri, **each)
        for name, each in settings.items()
    }


def logged(uri, trained):
    """Return what the runs of a training say, without what is different on each run."""
    with tracking(uri) as client:
        found = {name: client.get_run(each.run_id) for name, each in trained.items()}
    return {
        name: {
            "params": run.data.params,
            "metrics": run.data.metrics,
            "data": {each.tags[0].value: each.dataset.digest for each in run.inputs.dataset_inputs},
        }
        for name, run in found.items()
    }


def differing(uri, trained, *, what):
    """Return the keys that differ between the usual training and another one, by run."""
    usual, other = (logged(uri, trained[name]) for name in ("usual", what))
    assert list(usual) == list(other) == NAMES
    return {
        name: {
            part: {
                key
                for key in usual[name][part] | other[name][part]
                if usual[name][part].get(key) != other[name][part].get(key)
            }
            for part in usual[name]
        }
        for name in NAMES
    }


def test_the_same_settings_give_the_same_runs(trained):
    nothing = {"params": set(), "metrics": set(), "data": set()}
    assert differing(*trained, what="again") == dict.fromkeys(NAMES, nothing)


def test_the_seed_changes_intervals_and_what_is_random_in_a_model_and_nothing_else(trained):
    changed = differing(*trained, what="other seed")
    for name in NAMES:
        assert changed[name]["data"] == set()
        assert changed[name]["params"] == ({"random_state"} if name == "boosting" else set())
        values = {key for key in changed[name]["metrics"] if not re.search(r"\.(low|high)$", key)}
        assert values == set(), f"{name}: trees without early stopping draw nothing at random"
    assert "log_loss.low" in changed["rule"]["metrics"]


def test_the_history_changes_what_is_learned_from_and_nothing_else(trained):
    changed = differing(*trained, what="other history")
    for name in NAMES:
        assert changed[name]["data"] == {"training"}
        assert changed[name]["params"] == set()
        assert "log_loss" in changed[name]["metrics"]
        assert not {key for key in changed[name]["metrics"] if key.endswith(".n")}


def test_a_run_names_the_rows_it_learned_from_and_was_judged_by(trained, prepared):
    uri, every = trained
    digests = logged(uri, every["usual"])["logistic"]["data"]
    assert digests["validation"] == describe(prepared / "later.parquet").digest
    train = training.recent(read(prepared / "train.parquet"), n_days=60)
    assert digests["training"] == runs.dataset_of(train, name="train", source="x").digest
    assert train["applied_at"].min() >= pd.Timestamp("2022-11-02", tz="UTC")
    assert train["applied_at"].max() < life.JUDGED_FROM


def test_a_history_of_no_day_is_refused(prepared):
    with pytest.raises(ValueError, match="n_days=0: a history of at least one day"):
        training.recent(read(prepared / "train.parquet"), n_days=0)


def test_the_whole_file_is_learned_from_unless_less_is_asked_for(prepared):
    train = read(prepared / "train.parquet")
    assert len(training.recent(train)) == len(train)


def test_models_beat_the_rule_and_the_rule_the_constant(trained):
    uri, every = trained
    ids = {name: each.run_id for name, each in every["usual"].items()}
    table = runs.paired_runs(
        ids,
        reference="rule",
        loss="log_loss",
        name=training.LATER,
        block=training.BLOCK,
        rng=np.random.default_rng(0),
        tracking_uri=uri,
    ).set_index("group")
    assert table.loc["constant", "low"] > 0
    assert (table.loc[["logistic", "boosting"], "high"] < 0).all()


def test_the_rule_as_a_model_keeps_the_order_of_its_points(prepared):
    later = read(prepared / "later.parquet")
    model = training.fit(training.rule_model(), *training.inputs_and_label(later))
    ranks = training.scored(model, later)["score"].rank(), life.points(later).rank()
    assert ranks[0].corr(ranks[1]) == pytest.approx(1)


def test_the_models_are_logged_with_signature_example_and_pinned_requirements(trained):
    uri, every = trained
    assert {name for name, each in every["usual"].items() if each.model_uri} == set(training.LOGGED)
    for name in training.LOGGED:
        model_uri = every["usual"][name].model_uri
        with tracking(uri):
            info = mlflow.models.get_model_info(model_uri)
            example = mlflow.pyfunc.load_model(model_uri).input_example
            needs = mlflow.pyfunc.get_model_dependencies(model_uri, format="pip")
            lines = Path(needs).read_text(encoding="utf-8").split()
        assert info.signature.inputs.input_names() == list(credit.FEATURES)
        assert len(example) == 3
        assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in lines)
        assert models.load(model_uri, tracking_uri=uri).model_name == training.MODEL


def test_a_logged_model_gives_the_scores_that_its_run_keeps(trained, prepared):
    uri, every = trained
    later = read(prepared / "later.parquet")
    for name in training.LOGGED:
        each = every["usual"][name]
        kept = runs.predictions_of(each.run_id, name=training.LATER, tracking_uri=uri)
        _, scores = models.load(each.model_uri, tracking_uri=uri).predict(
            later[list(credit.FEATURES)]
        )
        np.testing.assert_allclose(kept["score"], scores, rtol=1e-9)
        assert (kept["application_id"] == later["application_id"]).all()


def test_to_log_a_model_takes_well_under_a_second(trained, prepared):
    uri, _ = trained
    inputs, label = training.inputs_and_label(read(prepared / "train.parquet"))
    model = training.fit(training.candidates()["logistic"], inputs, label)
    with tracking(uri) as client:
        experiment_id = client.get_experiment_by_name(training.EXPERIMENT).experiment_id
    with tracking(uri), mlflow.start_run(experiment_id=experiment_id, run_name="timed"):
        began = time.process_time()
        models.log_in_run(model, name="credit", inputs=inputs, predictions=label.to_numpy())
        assert time.process_time() - began < 1


def test_the_stage_leaves_the_runs_to_be_found(workspace):
    here = Workspace.current()
    here.need("credit-trained")
    found = training.trained_credit(here.folder("credit-trained"))
    assert list(found) == NAMES
    table = runs.runs_table(stages.CREDIT, tracking_uri=here.tracking_uri)
    assert set(table["run_id"]) == {each.run_id for each in found.values()}


# ------------------------------------------------------------------------------ both editions


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """Run chapter 03 in both languages at once, each in a workspace of its own."""
    folder = tmp_path_factory.mktemp("editions")
    names = ("MLFLOW_TRACKING_URI", "VIGIA_STORE_URL", "VIGIA_ENDPOINT_URL")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment["VIGIA_WORKSPACE"] = str(folder / "workspaces")
    command = [sys.executable, "-m", "utils", "run", "03", "--language", "both"]
    command += ["-p", "n_days", "60", "--out", str(folder / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return {code: folder / "workspaces" / code for code in LANGUAGES}


def uri_in(workspace):
    return f"sqlite:///{workspace / 'mlflow.db'}"


VOLATILE = ("mlflow.parentRunId", "mlflow.user", "mlflow.source.name", "mlflow.runColor")


def said_by(workspace):
    """Return the names, parameters, metrics, tags and data of a workspace's runs, in order."""
    with tracking(uri_in(workspace)) as client:
        found = client.get_experiment_by_name(stages.CREDIT)
        listed = client.search_runs(
            [found.experiment_id], order_by=["attributes.start_time ASC"], max_results=1000
        )
        names = {run.info.run_id: run.info.run_name for run in listed}
        return [
            {
                "name": run.info.run_name,
                "under": names.get(run.data.tags.get("mlflow.parentRunId")),
                "params": run.data.params,
                "metrics": {
                    key: value
                    for key, value in run.data.metrics.items()
                    if not key.startswith("system/")
                },
                "tags": {
                    key: value
                    for key, value in run.data.tags.items()
                    if not key.startswith(VOLATILE) and key != "mlflow.log-model.history"
                },
                "data": [
                    (each.dataset.name, each.dataset.digest, each.tags[0].value)
                    for each in run.inputs.dataset_inputs
                ],
                "artifacts": sorted(each.path for each in client.list_artifacts(run.info.run_id)),
            }
            for run in listed
        ]


def test_a_reader_in_portuguese_and_one_in_english_end_with_the_same_runs(editions):
    portuguese, english = (said_by(editions[code]) for code in LANGUAGES)
    assert portuguese == english
    assert [each["name"] for each in portuguese if each["under"] == "training"][:4] == NAMES
    assert sum(each["under"] == "search" for each in portuguese) == 20


def test_the_chapter_ends_with_the_runs_of_the_stage_that_stands_in_for_it(editions, trained):
    uri, every = trained
    by_call = logged(uri, every["usual"])
    by_hand = {each["name"]: each for each in said_by(editions["en"]) if each["name"] in NAMES}
    for name in NAMES:
        assert by_hand[name]["params"] == by_call[name]["params"]
        assert by_hand[name]["metrics"] == by_call[name]["metrics"]
        digests = {context: digest for _, digest, context in by_hand[name]["data"]}
        assert digests == by_call[name]["data"]


def test_two_notebooks_at_once_in_two_workspaces_do_not_meet(editions):
    for workspace in editions.values():
        runs_there = said_by(workspace)
        assert sum(each["name"] == "training" for each in runs_there) == 1
        with tracking(uri_in(workspace)) as client:
            where = client.get_experiment_by_name(stages.CREDIT).artifact_location
        assert str(workspace) in where


# ------------------------------------------------------------------------------- MLflow's own page

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def page_url(editions):
    """Start MLflow's own server over the workspace of the English edition; yield its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri"]
    command += [uri_in(editions["en"]), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(
        [*command, "--workers", "1"], start_new_session=True, cwd=editions["en"], **quiet
    )
    try:
        for _ in range(480):
            assert server.poll() is None, "mlflow server ended by itself"
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture
def page(page_url):
    """Open a page in a real Chromium."""
    browser = os.environ.get("VIGIA_CHROMIUM") or shutil.which("chromium")
    if browser is None:
        missing("chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(120_000)
        yield page
        chromium.close()


def test_the_runs_of_the_chapter_are_seen_on_mlflows_own_page(page, page_url, editions):
    with tracking(uri_in(editions["en"])) as client:
        experiment_id = client.get_experiment_by_name(stages.CREDIT).experiment_id
        parent, *_ = client.search_runs(
            [experiment_id], "attributes.run_name = 'training'", max_results=1
        )
        ids = runs.run_ids(
            stages.CREDIT, parent=parent.info.run_id, tracking_uri=uri_in(editions["en"])
        )
        loss = client.get_run(ids["logistic"]).data.metrics["log_loss"]
    page.goto(f"{page_url}/#/experiments/{experiment_id}/runs")
    parents_link = page.get_by_role("link", name="training", exact=True)
    parents_link.first.wait_for()
    page.get_by_role("gridcell").filter(has=parents_link).get_by_role("button").first.click()
    for name in NAMES:
        page.get_by_role("link", name=name, exact=True).first.wait_for()
    page.goto(f"{page_url}/#/experiments/{experiment_id}/runs/{ids['logistic']}")
    page.get_by_text("log_loss.low", exact=True).first.wait_for()
    page.get_by_text(f"{loss:.4f}"[:5]).first.wait_for()
    seen = page.locator("body").inner_text()
    assert "logistic" in seen and "log_loss.high" in seen
