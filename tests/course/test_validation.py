"""The validation of the credit model: what the champion is, was judged by, and carries."""

import mlflow
import numpy as np
import pandas as pd
import pytest

from utils.course import life, stages, training, validation
from utils.course.workspace import Workspace
from utils.datasets import credit
from utils.datasets.files import describe, read
from utils.serving import benchmarks, cards, gates
from utils.serving.runs import measurements_of
from utils.text import LANGUAGES


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Bring up the stage once, in a workspace of this module's own."""
    workspace = Workspace(tmp_path_factory.mktemp("validated"), Workspace.current().stages)
    workspace.need("credit-model")
    return workspace


@pytest.fixture(scope="module")
def prepared(here):
    return here.folder("credit-prepared")


@pytest.fixture(scope="module")
def trained(here):
    return training.trained_credit(here.folder("credit-trained"))


def tables(*names):
    return [read(name) for name in names]


def test_the_champion_and_the_challenger_are_the_candidates_of_the_training(here, trained):
    client = mlflow.MlflowClient(here.tracking_uri)
    for alias, name in (
        ("champion", validation.CHAMPION),
        ("challenger", validation.CHALLENGER),
    ):
        version = client.get_model_version_by_alias(stages.CREDIT, alias)
        assert version.run_id == trained[name].run_id
        assert version.source == trained[name].model_uri


def test_the_champion_passed_every_rule_on_loans_that_it_never_saw(here, prepared):
    verdict = gates.need_passed("models:/credit@champion", tracking_uri=here.tracking_uri)
    assert tuple(each.rule for each in verdict.outcomes) == validation.RULES
    later = describe(prepared / "later.parquet")
    assert (verdict.digest, verdict.n_rows) == (later.digest, later.rows)
    assert verdict.start >= life.JUDGED_FROM
    assert verdict.digest != describe(prepared / "train.parquet").digest


def test_a_model_that_is_worse_on_purpose_does_not_pass(here, prepared, trained):
    answers = validation.answers_of(
        prepared,
        trained["logistic"],
        against=trained["rule"],
        tracking_uri=here.tracking_uri,
    )
    assert validation.judged(answers, prepared, tracking_uri=here.tracking_uri).passed
    worse = answers.assign(score=answers["champion_score"] * 0.9)
    verdict = validation.judged(worse, prepared, tracking_uri=here.tracking_uri)
    assert {each.rule.key for each in verdict.broken} == {
        "roc_auc",
        "calibration_bias",
        "log_loss_change",
    }


def test_the_rule_itself_would_not_pass_for_a_model(here, prepared, trained):
    answers = validation.answers_of(
        prepared,
        trained["rule"],
        against=trained["rule"],
        tracking_uri=here.tracking_uri,
    )
    verdict = validation.judged(answers, prepared, tracking_uri=here.tracking_uri)
    assert [each.rule.key for each in verdict.broken] == ["roc_auc"]


def test_the_benchmark_of_a_version_is_what_its_run_logged(here, trained):
    """The same rows, the same weeks and the same samples: not another estimate of the same."""
    for alias, name in (("champion", "logistic"), ("challenger", "boosting")):
        carried = benchmarks.benchmark_of(f"models:/credit@{alias}", tracking_uri=here.tracking_uri)
        logged = measurements_of(trained[name].run_id, tracking_uri=here.tracking_uri)
        columns = ["metric", "value", "low", "high", "n_current"]
        whole = carried[carried["group"].eq("") & carried["metric"].isin(logged["metric"])]
        pd.testing.assert_frame_equal(
            whole[columns].reset_index(drop=True), logged[columns], check_exact=True
        )


def test_the_gate_and_the_benchmark_say_the_same(here):
    carried = benchmarks.benchmark_of("models:/credit@champion", tracking_uri=here.tracking_uri)
    verdict = gates.verdict_of("models:/credit@champion", tracking_uri=here.tracking_uri)
    (auc,) = [each.measured for each in verdict.outcomes if each.rule.key == "roc_auc"]
    row = carried[carried["metric"].eq("roc_auc")].iloc[0]
    assert (auc.value, auc.low, auc.high) == tuple(row[["value", "low", "high"]])


def test_groups_are_named_by_their_column(here):
    carried = benchmarks.benchmark_of("models:/credit@champion", tracking_uri=here.tracking_uri)
    groups = carried[carried["group"].ne("")]
    assert set(groups["feature"]) == set(credit.SENSITIVE)
    assert set(groups["metric"]) == set(validation.BY_GROUP)
    assert set(groups.loc[groups["feature"].eq("sex"), "group"]) == set(credit.SEXES)


def test_the_reference_is_everybody_who_applied_with_what_the_model_says(here, prepared):
    reference = benchmarks.reference_of("models:/credit@champion", tracking_uri=here.tracking_uri)
    applied = read(prepared / "reference.parquet")
    pd.testing.assert_frame_equal(reference[list(applied.columns)], applied)
    assert reference["score"].between(0, 1).all()
    assert not set(reference.columns) & set(life.KEPT_ASIDE)


def test_the_contract_is_that_of_the_inputs_and_the_threshold_that_of_the_lender(here):
    uri = here.tracking_uri
    contract = benchmarks.data_contract_of("models:/credit@champion", tracking_uri=uri)
    assert tuple(field.name for field in contract.fields) == credit.FEATURES
    assert benchmarks.threshold_of("models:/credit@champion", tracking_uri=uri) == 0.75
    assert stages.CREDIT_THRESHOLD == validation.THRESHOLD


def test_the_card_is_kept_and_says_what_only_a_person_can_say(here):
    for code in LANGUAGES:
        card = cards.kept_card(
            "models:/credit@champion", language=code, tracking_uri=here.tracking_uri
        )
        assert card == cards.model_card(
            "models:/credit@champion", language=code, tracking_uri=here.tracking_uri
        )
        for said in validation.STATEMENTS.values():
            assert getattr(said, code) in card


def test_answers_stand_beside_the_champions_row_by_row(here, prepared, trained):
    answers = validation.answers_of(
        prepared,
        trained["boosting"],
        against=trained["logistic"],
        tracking_uri=here.tracking_uri,
    )
    assert answers["application_id"].is_unique
    assert set(life.KEPT_ASIDE) <= set(answers.columns)
    assert (answers["prediction"] == (answers["score"] >= validation.THRESHOLD)).all()
    assert np.corrcoef(answers["score"], answers["champion_score"])[0, 1] > 0.9


def test_brought_up_anew_it_is_the_same_two_versions(here, trained):
    before = gates.verdict_of("models:/credit@champion", tracking_uri=here.tracking_uri)
    here.renew("credit-model")
    client = mlflow.MlflowClient(here.tracking_uri)
    assert not client.search_registered_models("name = 'credit'")
    here.need("credit-model")
    found = client.search_model_versions("name = 'credit'")
    assert sorted(str(each.version) for each in found) == ["1", "2"]
    after = gates.verdict_of("models:/credit@champion", tracking_uri=here.tracking_uri)
    pd.testing.assert_frame_equal(after.table(), before.table())
