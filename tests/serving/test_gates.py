"""The gate: what it lets through, what it refuses and why, and what a version keeps of it."""

import itertools
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import fairlearn.metrics
import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, mean_absolute_error, recall_score

from utils.monitors.performance import performance
from utils.serving import gates, models, tracking, versions
from utils.serving.contract import Unsigned
from utils.serving.gates import (
    Ceiling,
    Evidence,
    Floor,
    GroupDifference,
    NeverJudged,
    NonInferiority,
    NotPassed,
    Unseen,
    Verdict,
)
from utils.serving.runs import log_data
from utils.text import LANGUAGES, using


def seeded(seed=7):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return the URI of a tracking store for the judging alone: it is made once."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('gates') / 'mlflow.db'}"
    with tracking.tracking(uri) as client:
        client.search_experiments()
    return uri


def loans(n=3000, *, seed=0, days=60):
    """Return loans with the true probability as the score, and a sex that repays alike."""
    rng = seeded(seed)
    score = rng.beta(5, 2, n)
    return pd.DataFrame(
        {
            "event_time": pd.Timestamp("2023-01-01", tz="UTC")
            + pd.to_timedelta(np.sort(rng.uniform(0, days, n)), unit="D"),
            "label": (rng.random(n) < score).astype("int64"),
            "score": score,
            "champion_score": score,
            "prediction": (score >= 0.5).astype("int64"),
            "sex": rng.choice(["female", "male"], n),
        }
    )


def arrivals(n=1500, *, worse_min=0.0, seed=0):
    """Return flights whose delay two models miss alike, the one by ``worse_min`` more."""
    rng = seeded(seed)
    late = rng.gamma(2, 10, n)
    missed = rng.normal(0, 8, n)
    return pd.DataFrame(
        {
            "event_time": pd.date_range("2013-04-01", periods=n, freq="1h", tz="UTC"),
            "label": late,
            "champion_prediction": late + missed,
            "prediction": late + missed + np.sign(missed) * (worse_min + rng.normal(0, 0.5, n)),
            "origin": rng.choice(["EWR", "JFK"], n),
        }
    )


def judged(frame, rules, registry, **settings):
    settings = {"task": "classification", "rng": seeded(), **settings}
    return gates.judge(frame, rules=rules, tracking_uri=registry, **settings)


def evidence(frame, task="classification", **settings):
    defaults = {
        "label_column": "label",
        "prediction_column": "prediction",
        "score_column": "score",
        "time_column": "event_time",
        "block": "1D",
    }
    return Evidence(
        frame=frame,
        task=task,
        rng=seeded(),
        champion_prefix="champion_",
        settings={**defaults, **settings},
    )


NO_WORSE = NonInferiority(loss="log_loss", bound=0.005)


# ------------------------------------------------------------------------------ what gets through


def test_an_equal_model_passes_with_the_smallest_margin_there_is(registry):
    verdict = judged(loans(), [NonInferiority(loss="log_loss", bound=0.0)], registry)
    assert verdict.passed
    (outcome,) = verdict.outcomes
    assert (outcome.measured.value, outcome.measured.low, outcome.measured.high) == (0, 0, 0)


def test_a_model_that_answers_a_little_differently_and_as_well_passes(registry):
    frame = loans()
    frame["score"] = (frame["score"] + seeded(1).normal(0, 0.01, len(frame))).clip(0.01, 0.99)
    assert judged(frame, [NO_WORSE], registry).passed


def test_a_deliberately_worse_model_is_refused_and_the_reason_is_told(registry):
    frame = loans()
    frame["score"] = 1 - frame["score"]
    verdict = judged(frame, [Floor(metric="roc_auc", bound=0.6), NO_WORSE], registry)
    assert not verdict.passed
    assert [each.rule.key for each in verdict.broken] == ["roc_auc", "log_loss_change"]
    for reason, words in zip(
        verdict.reasons,
        (r"ROC.*at least 0\.6", r"log loss, model − champion.*at most 0\.005"),
        strict=True,
    ):
        assert re.search(words, reason)
        assert reason.endswith("and the estimate fails it.")


@pytest.mark.parametrize("loss", ["log_loss", "brier"])
def test_scores_that_are_shifted_a_little_are_found_where_the_order_stays(registry, loss):
    frame = loans()
    frame["score"] = frame["score"] * 0.85
    verdict = judged(
        frame,
        [Floor(metric="roc_auc", bound=0.6), NonInferiority(loss=loss, bound=0.002)],
        registry,
    )
    assert [each.rule.key for each in verdict.broken] == [f"{loss}_change"]


@pytest.mark.parametrize(("worse_min", "passes"), [(0.0, True), (0.3, True), (1.5, False)])
def test_a_regression_passes_up_to_its_margin_in_the_unit_of_the_label(registry, worse_min, passes):
    frame = arrivals(worse_min=worse_min)
    rules = [NonInferiority(loss="mae", bound=0.5), Ceiling(metric="mae", bound=12.0)]
    verdict = judged(frame, rules, registry, task="regression")
    assert verdict.passed is passes
    worse = mean_absolute_error(frame["label"], frame["prediction"]) - mean_absolute_error(
        frame["label"], frame["champion_prediction"]
    )
    assert verdict.outcomes[0].measured.value == pytest.approx(worse)


def test_a_cost_of_each_row_is_compared_from_columns_of_its_name(registry):
    frame = loans().assign(champion_cost_brl=100.0, cost_brl=130.0)
    frame["cost_brl"] += seeded(3).normal(0, 10, len(frame))
    rule = NonInferiority(loss="cost_brl", bound=10.0)
    verdict = judged(frame, [rule], registry)
    assert not verdict.passed
    assert verdict.outcomes[0].measured.value == pytest.approx(frame["cost_brl"].mean() - 100)


# ---------------------------------------------------------- the bound decides, and not the estimate


def test_an_estimate_that_complies_does_not_pass_where_its_interval_goes_beyond(registry):
    frame = loans(300, days=20)
    table = performance(
        frame, task="classification", metrics=["roc_auc"], window=None, block="1D", rng=seeded()
    )
    value, low = table.loc[0, ["value", "low"]]
    between = (value + low) / 2
    verdict = judged(frame, [Floor(metric="roc_auc", bound=between)], registry)
    assert not verdict.passed
    assert "too little is known to say so" in verdict.reasons[0]
    assert judged(frame, [Floor(metric="roc_auc", bound=low - 1e-6)], registry).passed


def test_its_intervals_are_those_of_performance_with_the_same_generator(registry):
    frame = loans()
    verdict = judged(frame, [Ceiling(metric="brier", bound=0.5)], registry, block="7D")
    table = performance(
        frame, task="classification", metrics=["brier"], window=None, block="7D", rng=seeded()
    )
    found = verdict.outcomes[0].measured
    assert (found.value, found.low, found.high) == tuple(table.loc[0, ["value", "low", "high"]])


def test_a_generator_that_judged_once_gives_other_samples_the_next_time(registry):
    rng = seeded()
    first, second = (
        judged(loans(), [Floor(metric="roc_auc", bound=0.5)], registry, rng=rng) for _ in range(2)
    )
    assert first.outcomes[0].measured.low != second.outcomes[0].measured.low


def test_the_frame_stays_as_it_was(registry):
    frame = loans()
    before = deepcopy(frame)
    judged(frame, [NO_WORSE, GroupDifference(metric="recall", by="sex", bound=0.2)], registry)
    pd.testing.assert_frame_equal(frame, before)


# --------------------------------------------------------------------------- too little to say so


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda frame: frame.head(29), Floor(metric="roc_auc", bound=0.1)),
        (lambda frame: frame.head(29), Ceiling(metric="brier", bound=0.9)),
        (lambda frame: frame.head(29), NO_WORSE),
        (lambda frame: frame.head(29), GroupDifference(metric="recall", by="sex", bound=0.99)),
        (lambda frame: frame.assign(label=np.nan), NO_WORSE),
        (lambda frame: frame.assign(label=1), Floor(metric="roc_auc", bound=0.1)),
        (lambda frame: frame[frame["event_time"] < "2023-01-02"], Ceiling(metric="brier", bound=1)),
    ],
)
def test_what_cannot_be_said_is_no_pass(registry, spoil, rule):
    """Too few rows, no label, one class alone, one block alone."""
    verdict = judged(spoil(loans()), [rule], registry)
    assert not verdict.passed
    assert "it cannot be said" in verdict.reasons[0]


def test_a_group_that_is_too_small_refuses_and_is_named(registry):
    frame = loans()
    frame.loc[:9, "sex"] = "other"
    rule = GroupDifference(metric="recall", by="sex", bound=0.9)
    verdict = judged(frame, [rule], registry)
    assert "[other]" in verdict.reasons[0]
    some = replace(rule, groups=("female", "male"))
    assert judged(frame, [some], registry).passed


def test_rows_without_a_group_are_in_none(registry):
    frame = loans()
    frame.loc[:9, "sex"] = None
    rule = GroupDifference(metric="recall", by="sex", bound=0.9)
    assert judged(frame, [rule], registry).passed


# ------------------------------------------------------------------------------------ by group


FAIRLEARN = {
    "recall": fairlearn.metrics.true_positive_rate,
    "specificity": fairlearn.metrics.true_negative_rate,
    "positive_rate": fairlearn.metrics.selection_rate,
}


@pytest.mark.parametrize("metric", FAIRLEARN)
@pytest.mark.parametrize("groups", [2, 4])
def test_the_difference_of_groups_is_that_of_fairlearn(metric, groups):
    frame = loans().assign(sex=seeded(5).choice(list("abcd")[:groups], 3000))
    measured = GroupDifference(metric=metric, by="sex", bound=1.0).measure(evidence(frame))
    theirs = fairlearn.metrics.MetricFrame(
        metrics=FAIRLEARN[metric],
        y_true=frame["label"],
        y_pred=frame["prediction"],
        sensitive_features=frame["sex"],
    )
    assert measured.value == pytest.approx(theirs.difference(method="between_groups"))
    highest, lowest = measured.where.split(" − ")
    assert (highest, lowest) == (theirs.by_group.idxmax(), theirs.by_group.idxmin())


def test_a_group_that_is_treated_otherwise_is_found(registry):
    frame = loans()
    strict = frame["sex"].eq("female") & frame["score"].lt(0.75)
    frame["prediction"] = frame["prediction"].mask(strict, 0)
    verdict = judged(frame, [GroupDifference(metric="recall", by="sex", bound=0.1)], registry)
    assert not verdict.passed
    assert "[male − female]" in verdict.reasons[0]


def test_the_upper_end_of_a_difference_is_the_highest_of_all_pairs():
    frame = loans()
    frame["sex"] = np.where(np.arange(3000) % 60 == 0, "few", frame["sex"])
    known = evidence(frame)
    measured = GroupDifference(metric="recall", by="sex", bound=1.0).measure(known)
    pairs = [
        GroupDifference(metric="recall", by="sex", bound=1.0, groups=pair).measure(known)
        for pair in itertools.combinations(["female", "few", "male"], 2)
    ]
    assert measured.high == max(each.high for each in pairs)
    assert measured.value == max(each.value for each in pairs)


def test_alike_groups_exceed_the_upper_end_as_rarely_as_it_says():
    """Two groups of one distribution: the true difference is 0, and below the upper end."""
    highs = [
        GroupDifference(metric="recall", by="sex", bound=1.0).measure(
            evidence(loans(400, seed=seed), block=None, draws=100)
        )
        for seed in range(60)
    ]
    assert all(each.low <= each.value <= each.high for each in highs)
    assert sum(each.low > 0 for each in highs) <= 8


def test_for_each_group_the_one_that_reaches_lowest_decides(registry):
    frame = loans()
    by_hand = {
        sex: recall_score(part["label"], part["prediction"]) for sex, part in frame.groupby("sex")
    }
    found = Floor(metric="recall", by="sex", bound=0.1).measure(evidence(frame))
    assert found.value == pytest.approx(by_hand[found.where])
    assert Floor(metric="recall", by="sex", bound=0.1).key == "recall.by.sex"
    frame.loc[frame.index[frame["sex"].eq("male")][25:], "sex"] = "female"
    verdict = judged(frame, [Floor(metric="recall", by="sex", bound=0.1)], registry)
    assert "[male]" in verdict.reasons[0]


# ------------------------------------------------------------------------------ seen in training


def test_a_model_is_refused_on_the_rows_that_it_learned_from(registry):
    frame = loans()
    kept = {"rules": [NO_WORSE], "digest": "0123456789abcdef"}
    passes = judged(frame, registry=registry, trained_on=["another"], **kept)
    assert passes.passed
    assert isinstance(passes.outcomes[-1].rule, Unseen)
    refused = judged(frame, registry=registry, trained_on=["0123456789abcdef"], **kept)
    assert [type(each.rule) for each in refused.broken] == [Unseen]
    assert "judge the model by a later period" in refused.reasons[0]


def test_rows_without_a_digest_have_that_of_their_content(registry):
    frame = loans()
    assert judged(frame, [NO_WORSE], registry).digest == judged(frame, [NO_WORSE], registry).digest
    other = frame.assign(score=frame["score"] * 0.9)
    assert judged(frame, [NO_WORSE], registry).digest != judged(other, [NO_WORSE], registry).digest


# ---------------------------------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([], "rules=\\[\\]: at least one rule"),
        ([NO_WORSE, replace(NO_WORSE, bound=0.1)], "two ask the same of 'log_loss_change'"),
        ([Floor(metric="auc", bound=0.5)], "'auc' is no metric"),
        ([NonInferiority(loss="cost", bound=0.5)], "loss='cost' is none of log_loss, brier, mae"),
        ([GroupDifference(metric="recall", by="gender", bound=1)], "gender"),
        (
            [GroupDifference(metric="recall", by="sex", bound=1, groups=("men", "female"))],
            "'men' is no group of 'sex'",
        ),
    ],
)
def test_what_makes_no_rule_is_refused_by_name(registry, rules, says):
    with pytest.raises(ValueError, match=says):
        judged(loans(), rules, registry)


def test_a_floor_and_a_ceiling_of_one_metric_are_two_rules(registry):
    rules = [
        Floor(metric="calibration_bias", bound=-0.05),
        Ceiling(metric="calibration_bias", bound=0.05),
    ]
    assert judged(loans(), rules, registry).passed
    verdict = judged(loans().assign(score=0.99), rules, registry)
    assert [type(each.rule) for each in verdict.broken] == [Ceiling]


@pytest.mark.parametrize("column", ["score", "champion_score"])
def test_a_model_that_is_silent_on_what_is_hard_is_not_judged_without_it(registry, column):
    frame = loans()
    hard = frame["score"].between(0.4, 0.6)
    silent = frame.assign(**{column: frame[column].mask(hard)})
    with pytest.raises(ValueError, match=f"{hard.sum()} labelled rows have no '{column}'"):
        judged(silent, [NO_WORSE], registry)
    unlabelled = silent.assign(label=silent["label"].mask(hard))
    assert judged(unlabelled, [NO_WORSE], registry).passed


def test_a_difference_needs_two_groups(registry):
    with pytest.raises(ValueError, match="by='sex': has 1 groups"):
        judged(
            loans().assign(sex="all"),
            [GroupDifference(metric="recall", by="sex", bound=1)],
            registry,
        )


# ------------------------------------------------------------------------- what MLflow has of it


def test_mlflow_has_the_evaluation_in_a_run_with_every_value_and_bound(registry):
    verdict = judged(loans(), [Floor(metric="roc_auc", bound=0.6), NO_WORSE], registry)
    run = mlflow.MlflowClient(registry).get_run(verdict.run_id)
    found = verdict.outcomes[0].measured
    assert run.data.metrics["roc_auc/low"] == found.low
    assert run.data.metrics["log_loss_change/value"] == 0
    assert run.data.params == {"roc_auc.low": "0.6", "log_loss_change.high": "0.005"}
    assert run.data.tags["vigia.gate"] == "passed"
    (known,) = run.inputs.dataset_inputs
    assert (known.dataset.name, known.dataset.digest) == ("later", verdict.digest)


def test_it_is_mlflow_that_decides(registry, monkeypatch):
    """Were its validation to refuse, so would we."""

    def refuse(**given):
        raise gates.ModelValidationFailedException("no")

    monkeypatch.setattr(mlflow, "validate_evaluation_results", refuse)
    assert not judged(loans(), [NO_WORSE], registry).passed


def test_a_group_column_with_any_name_becomes_a_metric_that_mlflow_takes(registry):
    frame = loans().rename(columns={"sex": "gênero (auto)"})
    rule = GroupDifference(metric="recall", by="gênero (auto)", bound=0.9)
    verdict = judged(frame, [rule], registry)
    assert verdict.passed
    metrics = mlflow.MlflowClient(registry).get_run(verdict.run_id).data.metrics
    assert "recall.difference.g_nero _auto_/high" in metrics


# ------------------------------------------------------------------------------- a verdict in words


def every_outcome(registry):
    frame = loans()
    frame.loc[:9, "sex"] = "other"
    frame["score"] *= 0.9
    rules = [
        Floor(metric="roc_auc", bound=0.6),
        Floor(metric="roc_auc", by="sex", bound=0.6),
        Ceiling(metric="brier", bound=0.05),
        NO_WORSE,
        GroupDifference(metric="recall", by="sex", bound=0.1),
        GroupDifference(metric="recall", by="sex", bound=0.1, groups=("female", "male")),
    ][:5]
    return judged(frame, rules, registry, digest="d" * 16, trained_on=["d" * 16])


def test_a_verdict_is_told_in_both_languages_with_the_same_numbers(registry):
    verdict = every_outcome(registry)
    told = {}
    for code in LANGUAGES:
        with using(code):
            told[code] = str(verdict)
    assert "Recusado" in told["pt"]
    assert "Refused" in told["en"]
    numbers = {
        "en": re.findall(r"\d+(?:\.\d+)?", told["en"].replace(",", "")),
        "pt": re.findall(
            r"\d+(?:\.\d+)?", re.sub(r"(?<=\d)\.(?=\d{3}\b)", "", told["pt"]).replace(",", ".")
        ),
    }
    assert numbers["pt"] == numbers["en"]
    assert len(numbers["en"]) > 15


@pytest.mark.parametrize(
    ("block", "pt", "en"),
    [
        (None, "intervalos de 95%", "intervals of 95%"),
        ("1D", "intervalos de 95%, por dias inteiros", "intervals of 95%, by whole days"),
        ("7D", "intervalos de 95%, por blocos de 7 dias", "intervals of 95%, by blocks of 7 days"),
        ("6h", "intervalos de 95%, por blocos de 6 h", "intervals of 95%, by blocks of 6 h"),
    ],
)
def test_a_verdict_says_what_its_intervals_resample(registry, block, pt, en):
    verdict = judged(loans(200), [Ceiling(metric="brier", bound=0.9)], registry, block=block)
    for code, words in (("pt", pt), ("en", en)):
        with using(code):
            assert verdict.basis.endswith(words)


def test_a_verdict_comes_back_from_json_as_it_was(registry):
    verdict = every_outcome(registry)
    again = Verdict.from_json(verdict.to_json())
    pd.testing.assert_frame_equal(again.table(), verdict.table())
    assert str(again) == str(verdict)
    assert again.to_json() == verdict.to_json()
    assert [each.rule for each in again.outcomes] == [each.rule for each in verdict.outcomes]
    assert json.loads(verdict.to_json())["passed"] is False


def test_a_verdict_without_rules_is_no_pass(registry):
    verdict = judged(loans(), [NO_WORSE], registry)
    assert verdict.passed
    assert not replace(verdict, outcomes=()).passed


def test_the_log_loss_of_a_model_less_the_champions_is_that_of_scikit_learn():
    frame = loans()
    frame["score"] = (frame["score"] * 0.9).clip(0.01, 0.99)
    found = NO_WORSE.measure(evidence(frame))
    theirs = log_loss(frame["label"], frame["score"]) - log_loss(
        frame["label"], frame["champion_score"]
    )
    assert found.value == pytest.approx(theirs)


def test_a_positive_class_of_another_name_is_compared_too():
    frame = loans()
    words = frame["label"].map({1: "repaid", 0: "defaulted"}).astype("str")
    frame["score"] = (frame["score"] * 0.9).clip(0.01, 0.99)
    numbers = NO_WORSE.measure(evidence(frame))
    named = NO_WORSE.measure(evidence(frame.assign(label=words), positive="repaid"))
    assert named == numbers


# ------------------------------------------------------------------------- what a version keeps


INPUTS = pd.DataFrame({"x": np.linspace(0, 1, 50)})


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make a registry with three versions of a model, once; ``home`` gives a copy to each test."""
    folder = tmp_path_factory.mktemp("versions")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    label = (INPUTS["x"] > 0.5).astype(int)
    with tracking.tracking(uri) as client:
        experiment = tracking.experiment_id_of(client, "models")
        with mlflow.start_run(experiment_id=experiment) as run:
            digest = log_data(INPUTS, name="train", context="training", source="train.parquet")
            model_uri = models.log_in_run(
                LogisticRegression().fit(INPUTS, label),
                name="credit",
                inputs=INPUTS,
                predictions=label.to_numpy(),
            )
        assert run.info.run_id
    for _ in range(3):
        models.register(model_uri, name="credit", tracking_uri=uri)
    return folder, digest


@pytest.fixture
def home(template, tmp_path):
    """Return the URI of a copy of the registry: its artifacts stay with the template."""
    folder, _ = template
    source, target = folder / "mlflow.db", tmp_path / "mlflow.db"
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)
    return f"sqlite:///{target}"


@pytest.fixture(scope="module")
def good(registry):
    return judged(loans(), [NO_WORSE], registry)


@pytest.fixture(scope="module")
def bad(registry):
    return judged(loans().assign(score=0.5), [NO_WORSE], registry)


def tags(uri, version="1"):
    return mlflow.MlflowClient(uri).get_model_version("credit", version).tags


def test_a_verdict_is_kept_with_the_version_and_found_by_any_address(home, good):
    assert gates.record("models:/credit/1", good, tracking_uri=home) == good
    gates.promote("credit", "1", tracking_uri=home)
    client = mlflow.MlflowClient(home)
    logged = client.get_model_version("credit", "1")
    assert logged.tags["vigia.gate"] == "passed"
    with tracking.tracking(home):
        folder = mlflow.artifacts.list_artifacts(run_id=logged.run_id, artifact_path="gate")
    assert [each.path for each in folder] == [
        logged.tags["vigia.gate.file"].removeprefix(f"runs:/{logged.run_id}/")
    ]
    for uri in ("models:/credit/1", "models:/credit@champion"):
        assert gates.verdict_of(uri, tracking_uri=home).to_json() == good.to_json()
        assert gates.need_passed(uri, tracking_uri=home).passed


def test_what_did_not_pass_opens_nothing_and_says_which_rule_it_broke(home, good, bad):
    gates.record("models:/credit/1", good, tracking_uri=home)
    gates.promote("credit", "1", tracking_uri=home)
    gates.record("models:/credit/2", bad, tracking_uri=home)
    assert tags(home, "2")["vigia.gate"] == "refused"
    with pytest.raises(
        NotPassed, match=r"models:/credit/2: did not pass.*log loss.*at most 0\.005"
    ):
        gates.promote("credit", "2", tracking_uri=home)
    with using("pt"), pytest.raises(NotPassed, match="não passou pelo seu portão.*campeão"):
        gates.need_passed("models:/credit/2", tracking_uri=home)
    aliases = mlflow.MlflowClient(home).get_registered_model("credit").aliases
    assert {name: str(version) for name, version in aliases.items()} == {"champion": "1"}


def test_what_was_never_judged_opens_nothing_either(home):
    with pytest.raises(NeverJudged, match=r"models:/credit/3: was never judged.*gates\.judge"):
        gates.promote("credit", "3", tracking_uri=home)
    with pytest.raises(NeverJudged):
        gates.verdict_of("models:/credit/3", tracking_uri=home)


def test_the_challenger_needs_no_verdict(home):
    assert gates.promote("credit", "3", alias="challenger", tracking_uri=home) is None
    with pytest.raises(NeverJudged):
        gates.promote("credit", "3", alias="canary", tracking_uri=home)


def test_a_promotion_returns_whom_it_replaced(home, good):
    for version, before in (("1", None), ("2", "1"), ("2", "2")):
        gates.record(f"models:/credit/{version}", good, tracking_uri=home)
        assert gates.promote("credit", version, tracking_uri=home) == before


def test_a_new_verdict_takes_the_place_of_the_one_before(home, good, bad):
    gates.record("models:/credit/1", good, tracking_uri=home)
    gates.record("models:/credit/1", bad, tracking_uri=home)
    with pytest.raises(NotPassed):
        gates.need_passed("models:/credit/1", tracking_uri=home)
    gates.record("models:/credit/1", good, tracking_uri=home)
    assert gates.need_passed("models:/credit/1", tracking_uri=home).passed


def test_the_rows_of_the_training_are_found_by_what_the_run_logged(home, template, good):
    _, digest = template
    on_training = replace(good, digest=digest)
    noted = gates.record("models:/credit/1", on_training, tracking_uri=home)
    assert not noted.passed
    with pytest.raises(NotPassed, match="are those of the training"):
        gates.need_passed("models:/credit/1", tracking_uri=home)


def test_a_copy_of_the_registry_is_judged_apart(home, tmp_path, good, bad):
    """As in a sandbox: the artifacts are shared, and no file is written over."""
    gates.record("models:/credit/1", good, tracking_uri=home)
    copy = tmp_path / "copy.db"
    with (
        closing(sqlite3.connect(home.removeprefix("sqlite:///"))) as one,
        closing(sqlite3.connect(copy)) as other,
    ):
        one.backup(other)
    gates.record("models:/credit/1", bad, tracking_uri=f"sqlite:///{copy}")
    assert gates.need_passed("models:/credit/1", tracking_uri=home).to_json() == good.to_json()
    with pytest.raises(NotPassed):
        gates.need_passed("models:/credit/1", tracking_uri=f"sqlite:///{copy}")


# ---------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("uri", "error", "says"),
    [
        ("models:/credit/9", versions.UnknownVersion, "no version 9; it has 1, 2, 3"),
        ("models:/credit/one", versions.UnknownVersion, "no version one; it has 1, 2, 3"),
        ("models:/credit@champoin", versions.UnknownAlias, "did you mean 'champion'"),
        ("models:/credti/1", versions.UnknownModel, "did you mean 'credit'"),
        ("models:/m-0123", versions.NotRegistered, "register it first"),
        ("runs:/0123/model", versions.NotRegistered, "register it first"),
    ],
)
def test_what_is_not_there_is_named_with_the_way_out(home, good, uri, error, says):
    gates.record("models:/credit/1", good, tracking_uri=home)
    gates.promote("credit", "1", tracking_uri=home)
    before = tags(home)
    for ask in (
        lambda: gates.need_passed(uri, tracking_uri=home),
        lambda: gates.record(uri, good, tracking_uri=home),
    ):
        with pytest.raises(error, match=re.escape(uri)) as raised:
            ask()
        assert says in str(raised.value)
    assert tags(home) == before


def test_a_version_that_does_not_exist_is_not_promoted(home):
    for alias in ("champion", "challenger"):
        with pytest.raises(versions.UnknownVersion):
            gates.promote("credit", "9", alias=alias, tracking_uri=home)
    assert mlflow.MlflowClient(home).get_registered_model("credit").aliases == {}


def test_a_model_without_a_signature_is_not_recorded(home, good):
    with tracking.tracking(home) as client:
        experiment = tracking.experiment_id_of(client, "models")
        with mlflow.start_run(experiment_id=experiment):
            mlflow.sklearn.log_model(
                LinearRegression().fit(INPUTS, INPUTS["x"]),
                name="bare",
                registered_model_name="bare",
                pip_requirements=["mlflow"],
            )
    with pytest.raises(Unsigned, match="signature"):
        gates.record("models:/bare/1", good, tracking_uri=home)
    assert mlflow.MlflowClient(home).get_model_version("bare", "1").tags == {}
    with pytest.raises(NeverJudged):
        gates.promote("bare", "1", tracking_uri=home)


def test_a_verdict_on_file_that_was_changed_is_no_pass(home, good, tmp_path):
    gates.record("models:/credit/1", good, tracking_uri=home)
    file = tags(home)["vigia.gate.file"]
    with tracking.tracking(home) as client:
        run_id, _, path = file.removeprefix("runs:/").partition("/")
        root = client.get_run(run_id).info.artifact_uri.removeprefix("file://")
    there = Path(root) / path
    text = there.read_text()
    try:
        there.write_text(text.replace('"bound": 0.005', '"bound": 9'))
        with pytest.raises(versions.ChangedArtifact, match="was changed after it was attached"):
            gates.need_passed("models:/credit/1", tracking_uri=home)
        there.unlink()
        with pytest.raises(versions.ChangedArtifact, match="the file is not there"):
            gates.need_passed("models:/credit/1", tracking_uri=home)
        gates.record("models:/credit/1", good, tracking_uri=home)
        assert gates.need_passed("models:/credit/1", tracking_uri=home).passed
    finally:
        there.write_text(text)


def test_a_tag_that_was_set_by_hand_passes_nothing(home, bad):
    client = mlflow.MlflowClient(home)
    client.set_model_version_tag("credit", "1", "vigia.gate", "passed")
    with pytest.raises(NeverJudged, match="never judged"):
        gates.need_passed("models:/credit/1", tracking_uri=home)
    gates.record("models:/credit/1", bad, tracking_uri=home)
    client.set_model_version_tag("credit", "1", "vigia.gate", "passed")
    with pytest.raises(NeverJudged, match="its tag says 'passed' and the verdict on file does not"):
        gates.need_passed("models:/credit/1", tracking_uri=home)


@contextmanager
def cut_after(writes):
    """Let so many writes to the registry and its artifacts through, and none after them."""
    left = iter(range(writes))

    def limited(function):
        def once(*args, **kwargs):
            if next(left, None) is None:
                raise ConnectionError("cut")
            return function(*args, **kwargs)

        return once

    with pytest.MonkeyPatch.context() as patch:
        for name in ("set_model_version_tag", "delete_model_version_tag", "log_artifact"):
            patch.setattr(mlflow.MlflowClient, name, limited(getattr(mlflow.MlflowClient, name)))
        yield


WRITES = 4
"""The state taken away, the file, the tag that points to it, the new state."""


@pytest.mark.parametrize("writes", range(WRITES))
def test_a_refusal_that_breaks_off_leaves_no_version_that_looks_passed(home, good, bad, writes):
    gates.record("models:/credit/1", good, tracking_uri=home)
    with cut_after(writes), pytest.raises(ConnectionError):
        gates.record("models:/credit/1", replace(bad, data=f"{writes}"), tracking_uri=home)
    if writes:
        with pytest.raises(NeverJudged):
            gates.need_passed("models:/credit/1", tracking_uri=home)
    else:
        assert gates.need_passed("models:/credit/1", tracking_uri=home) == good


@pytest.mark.parametrize("writes", range(WRITES))
def test_a_pass_that_breaks_off_leaves_no_version_that_looks_passed(home, good, bad, writes):
    gates.record("models:/credit/1", bad, tracking_uri=home)
    again = replace(good, data=f"again, {writes}")
    with cut_after(writes), pytest.raises(ConnectionError):
        gates.record("models:/credit/1", again, tracking_uri=home)
    with pytest.raises(NotPassed):
        gates.need_passed("models:/credit/1", tracking_uri=home)
    with cut_after(WRITES):
        gates.record("models:/credit/1", again, tracking_uri=home)
    assert gates.need_passed("models:/credit/1", tracking_uri=home) == again


def holding(path):
    """Return a connection that holds a registry against every writer until it is closed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_a_registry_that_another_process_holds_is_said_and_nothing_is_changed(
    home, good, bad, monkeypatch
):
    monkeypatch.setattr(tracking, "LOCK_WAIT_S", 0.2)
    gates.record("models:/credit/1", bad, tracking_uri=home)
    before = tags(home)
    with closing(holding(home.removeprefix("sqlite:///"))):
        for ask in (
            lambda: gates.record("models:/credit/1", good, tracking_uri=home),
            lambda: gates.promote("credit", "1", alias="challenger", tracking_uri=home),
            lambda: gates.need_passed("models:/credit/1", tracking_uri=home),
        ):
            with pytest.raises(tracking.RegistryLocked, match="another process"):
                ask()
    assert tags(home) == before
    assert mlflow.MlflowClient(home).get_registered_model("credit").aliases == {}
    gates.record("models:/credit/1", good, tracking_uri=home)
    assert gates.promote("credit", "1", tracking_uri=home) is None


def test_two_processes_that_promote_at_once_leave_one_champion(home, good):
    for version in ("1", "2"):
        gates.record(f"models:/credit/{version}", good, tracking_uri=home)
    code = (
        "import sys; from utils.serving import gates\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"print(*(gates.promote('credit', '2', tracking_uri={home!r}) for _ in range(10)))\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "ready\n"
    other.stdin.write("go\n")
    other.stdin.flush()
    replaced = [gates.promote("credit", "1", tracking_uri=home) for _ in range(10)]
    told, error = other.communicate(timeout=120)
    assert (other.returncode, error) == (0, "")
    assert {*replaced, *told.split()} <= {None, "None", "1", "2"}
    aliases = mlflow.MlflowClient(home).get_registered_model("credit").aliases
    assert {name: str(version) in "12" for name, version in aliases.items()} == {"champion": True}
    assert gates.need_passed("models:/credit@champion", tracking_uri=home).passed
