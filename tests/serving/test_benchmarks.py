"""What a version carries: it comes back as it was, from any address, or an error names it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from utils.course.sandbox import sandbox
from utils.course.workspace import Workspace
from utils.datasets import files
from utils.monitors.contract import DataContract, Field
from utils.monitors.performance import performance
from utils.serving import benchmarks, models, tracking, versions
from utils.serving.contract import Unsigned
from utils.serving.versions import ChangedArtifact, NotCarried

INPUTS = pd.DataFrame({"income_brl": np.linspace(500, 5000, 80), "purpose_code": [0.0, 1.0] * 40})
REPAID = (INPUTS["income_brl"] > 2000).astype(int)
CONTRACT = DataContract(
    name="loans",
    version="1.0.0",
    description="Loans.",
    fields=(Field(name="income_brl", kind="number", unit="BRL", minimum=0),),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make a registry with two versions, once; ``home`` gives each test a copy in a workspace."""
    root = tmp_path_factory.mktemp("benchmarks")
    uri = f"sqlite:///{root / 'mlflow.db'}"
    model = LogisticRegression(max_iter=1000).fit(INPUTS, REPAID)
    for _ in range(2):
        models.log_model(
            model,
            name="credit",
            inputs=INPUTS,
            predictions=model.predict(INPUTS),
            tracking_uri=uri,
        )
    return root / "mlflow.db"


@pytest.fixture
def home(template, tmp_path):
    root = tmp_path / "home"
    root.mkdir()
    with closing(sqlite3.connect(template)) as one:
        with closing(sqlite3.connect(root / "mlflow.db")) as other:
            one.backup(other)
    return Workspace(root, stages={})


@pytest.fixture(scope="module")
def scored(template):
    scorer = models.load("models:/credit/1", tracking_uri=f"sqlite:///{template}")
    times = pd.date_range("2023-01-01", periods=80, freq="6h", tz="UTC")
    frame = INPUTS.assign(event_time=times, label=REPAID)
    return benchmarks.answered(scorer, frame, threshold=0.6)


@pytest.fixture(scope="module")
def measured(scored):
    return performance(
        scored,
        task="classification",
        metrics=["accuracy", "brier"],
        window=None,
        rng=np.random.default_rng(0),
    )


def attach(home, measured, scored, version="models:/credit/1", **more):
    benchmarks.attach(
        version, benchmark=measured, reference=scored, tracking_uri=home.tracking_uri, **more
    )


# --------------------------------------------------------------------------- what comes back


def test_all_of_it_comes_back_as_it_was_from_any_address(home, measured, scored):
    table = pd.DataFrame({"incident": ["unit"], "change": [-0.1]})
    attach(
        home,
        measured,
        scored,
        contract=CONTRACT,
        threshold=0.6,
        tables={"robustness": table},
        units={"income_brl": "BRL"},
        source="applicants",
    )
    uri = home.tracking_uri
    models.set_alias("credit", "champion", "1", tracking_uri=uri)
    logged = mlflow.MlflowClient(uri).get_model_version("credit", "1").source
    for address in ("models:/credit/1", "models:/credit@champion", logged):
        found = benchmarks.benchmark_of(address, tracking_uri=uri)
        pd.testing.assert_frame_equal(found, measured)
        pd.testing.assert_frame_equal(benchmarks.reference_of(address, tracking_uri=uri), scored)
        assert benchmarks.data_contract_of(address, tracking_uri=uri) == CONTRACT
        assert benchmarks.threshold_of(address, tracking_uri=uri) == 0.6
        pd.testing.assert_frame_equal(
            benchmarks.table_of(address, "robustness", tracking_uri=uri), table
        )


def test_the_version_points_to_files_of_its_run_that_are_called_by_their_digest(
    home, measured, scored
):
    attach(home, measured, scored, units={"income_brl": "BRL"}, source="applicants")
    version = mlflow.MlflowClient(home.tracking_uri).get_model_version("credit", "1")
    digest = files.content_hash(scored)[:16]
    uri = f"runs:/{version.run_id}/reference/{digest}.parquet"
    assert version.tags["vigia.reference"] == uri
    told = files.describe(path_of(home, uri))
    assert (told.digest, told.source, told.units) == (digest, "applicants", {"income_brl": "BRL"})


def test_what_is_attached_anew_takes_the_place_of_what_was_there(home, measured, scored):
    attach(home, measured, scored, threshold=0.6)
    attach(home, measured.head(1), scored.head(10), threshold=0.7)
    uri = home.tracking_uri
    assert len(benchmarks.benchmark_of("models:/credit/1", tracking_uri=uri)) == 1
    assert len(benchmarks.reference_of("models:/credit/1", tracking_uri=uri)) == 10
    assert benchmarks.threshold_of("models:/credit/1", tracking_uri=uri) == 0.7


def test_two_versions_carry_each_its_own(home, measured, scored):
    attach(home, measured, scored)
    attach(home, measured, scored.head(10), version="models:/credit/2")
    for version, n in (("1", 80), ("2", 10)):
        found = benchmarks.reference_of(f"models:/credit/{version}", tracking_uri=home.tracking_uri)
        assert len(found) == n


def test_the_frames_stay_as_they_were(home, measured, scored):
    before = measured.copy(), scored.copy()
    attach(home, measured, scored)
    pd.testing.assert_frame_equal(measured, before[0])
    pd.testing.assert_frame_equal(scored, before[1])


# ------------------------------------------------------------------------------- and the sandbox


def test_a_sandbox_reads_what_was_attached_and_what_it_attaches_harms_nobody(
    home, measured, scored
):
    attach(home, measured, scored, threshold=0.6)
    inside = sandbox(home, "04")
    found = benchmarks.reference_of("models:/credit/1", tracking_uri=inside.tracking_uri)
    pd.testing.assert_frame_equal(found, scored)

    attach(inside, measured.head(1), scored.head(10), threshold=0.9)
    attach(inside, measured, scored)
    attach(inside, measured.head(1), scored.head(10))
    again = benchmarks.reference_of("models:/credit/1", tracking_uri=inside.tracking_uri)
    assert len(again) == 10
    pd.testing.assert_frame_equal(
        benchmarks.reference_of("models:/credit/1", tracking_uri=home.tracking_uri), scored
    )
    pd.testing.assert_frame_equal(
        benchmarks.benchmark_of("models:/credit/1", tracking_uri=home.tracking_uri), measured
    )
    assert benchmarks.threshold_of("models:/credit/1", tracking_uri=home.tracking_uri) == 0.6


def test_a_file_that_is_there_already_is_not_written_again(home, measured, scored):
    attach(home, measured, scored)
    uri = mlflow.MlflowClient(home.tracking_uri).get_model_version("credit", "1")
    path = path_of(home, uri.tags["vigia.reference"])
    before = path.stat()
    attach(home, measured, scored)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


# --------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"benchmark": pd.DataFrame({"metric": ["mae"]})}, "benchmark: has no column 'monitor'"),
        ({"reference": INPUTS}, "reference: lacks 'prediction'"),
        ({"reference": INPUTS[["income_brl"]]}, "reference: lacks 'purpose_code'"),
        ({"reference": INPUTS.assign(prediction=0).head(0)}, "reference: has no rows"),
        ({"threshold": 75}, "threshold=75: a score is in 0..1"),
    ],
)
def test_what_nothing_could_be_judged_by_is_refused_and_nothing_is_attached(
    home, measured, scored, changes, says
):
    given = {"benchmark": measured, "reference": scored, **changes}
    with pytest.raises(ValueError, match=says):
        benchmarks.attach("models:/credit/1", tracking_uri=home.tracking_uri, **given)
    assert mlflow.MlflowClient(home.tracking_uri).get_model_version("credit", "1").tags == {}


def test_a_benchmark_without_a_value_is_refused(home, measured, scored):
    with pytest.raises(ValueError, match="benchmark: holds no value"):
        attach(home, measured.assign(value=np.nan), scored)


def test_what_is_not_carried_is_named_with_the_way_out(home, measured, scored):
    uri = home.tracking_uri
    for ask, what in (
        (benchmarks.benchmark_of, "benchmark"),
        (benchmarks.reference_of, "reference"),
        (benchmarks.data_contract_of, "contract"),
        (benchmarks.threshold_of, "threshold"),
    ):
        with pytest.raises(NotCarried, match=f"models:/credit/2: carries no {what}; attach it"):
            ask("models:/credit/2", tracking_uri=uri)
    with pytest.raises(NotCarried, match="table.robustness"):
        benchmarks.table_of("models:/credit/2", "robustness", tracking_uri=uri)
    with pytest.raises(versions.UnknownAlias, match="champion"):
        benchmarks.reference_of("models:/credit@champion", tracking_uri=uri)


def path_of(home, uri):
    run_id, _, path = uri.removeprefix("runs:/").partition("/")
    with tracking.tracking(home.tracking_uri) as client:
        root = client.get_run(run_id).info.artifact_uri
    return Path(root.removeprefix("file://")) / path


@pytest.mark.parametrize("harm", ["gone", "other", "cut"])
def test_a_file_that_was_changed_is_found_and_can_be_attached_anew(home, measured, scored, harm):
    attach(home, measured, scored.head(40))
    version = mlflow.MlflowClient(home.tracking_uri).get_model_version("credit", "1")
    path = path_of(home, version.tags["vigia.reference"])
    if harm == "gone":
        path.unlink()
    elif harm == "other":
        files.write(scored.head(39), path, source="somebody")
    else:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises((ChangedArtifact, files.ChangedFile), match=path.name):
        benchmarks.reference_of("models:/credit/1", tracking_uri=home.tracking_uri)
    attach(home, measured, scored.head(40))
    found = benchmarks.reference_of("models:/credit/1", tracking_uri=home.tracking_uri)
    pd.testing.assert_frame_equal(found, scored.head(40))


def test_a_registry_that_is_held_is_said_and_carries_what_it_did(
    home, measured, scored, monkeypatch
):
    monkeypatch.setattr(tracking, "LOCK_WAIT_S", 0.2)
    attach(home, measured, scored)
    with closing(sqlite3.connect(home.root / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(tracking.RegistryLocked):
            attach(home, measured.head(1), scored.head(10))
    found = benchmarks.reference_of("models:/credit/1", tracking_uri=home.tracking_uri)
    assert len(found) == 80


def test_a_model_without_a_signature_carries_nothing(home, measured, scored):
    uri = home.tracking_uri
    with tracking.tracking(uri) as client:
        experiment = tracking.experiment_id_of(client, "models")
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                LinearRegression().fit(INPUTS, REPAID),
                name="bare",
                registered_model_name="bare",
                pip_requirements=["mlflow"],
            )
    with pytest.raises(Unsigned, match="signature"):
        benchmarks.attach("models:/bare/1", benchmark=measured, reference=scored, tracking_uri=uri)
    assert mlflow.MlflowClient(uri).get_model_version("bare", "1").tags == {}


# ------------------------------------------------------------------------- answers beside the rows


def test_answers_stand_beside_the_rows_under_a_prefix(template):
    scorer = models.load("models:/credit/1", tracking_uri=f"sqlite:///{template}")
    frame = INPUTS.assign(label=REPAID)
    plain = benchmarks.answered(scorer, frame)
    raw = scorer.predict(INPUTS)
    assert plain["prediction"].tolist() == list(raw[0])
    assert plain["score"].tolist() == list(raw[1])
    strict = benchmarks.answered(scorer, frame, threshold=0.9, prefix="champion_")
    assert strict["champion_prediction"].tolist() == (plain["score"] >= 0.9).astype(int).tolist()
    assert list(strict.columns) == [*frame.columns, "champion_prediction", "champion_score"]
    with pytest.raises(ValueError, match="lacks purpose_code, which models:/credit/1 needs"):
        benchmarks.answered(scorer, frame[["income_brl"]])


def test_a_model_without_scores_takes_no_threshold(home):
    uri = home.tracking_uri
    model = LinearRegression().fit(INPUTS, REPAID)
    version = models.log_model(
        model, name="line", inputs=INPUTS, predictions=model.predict(INPUTS), tracking_uri=uri
    )
    scorer = models.load(version.model_uri, tracking_uri=uri)
    assert "score" not in benchmarks.answered(scorer, INPUTS)
    with pytest.raises(ValueError, match="threshold=0.5: models:/line/1 gives no score"):
        benchmarks.answered(scorer, INPUTS, threshold=0.5)
