"""The validation of the credit model, as chapter 04 tells it: judged, equipped, and chosen.

Two candidates of the training become versions of ``credit``. The logistic model is judged against
last year's rule on the loans of 2023, passes, and is the ``champion``; the boosted trees are judged
against it, are as good as far as anybody can tell, and are the ``challenger``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from utils.course import life, training
from utils.course.exercises import Both, both
from utils.course.training import Trained
from utils.datasets import credit
from utils.datasets.files import describe, read
from utils.monitors.calibration import calibration
from utils.monitors.performance import performance
from utils.serving import benchmarks, cards, gates
from utils.serving.gates import Ceiling, Floor, GroupDifference, NonInferiority, Rule, Verdict
from utils.serving.models import load, register
from utils.serving.runs import predictions_of
from utils.serving.versions import ModelVersion

CHAMPION, CHALLENGER = "logistic", "boosting"
"""The candidates that are registered, by what they become."""

SEED = training.SEED
"""Of the intervals: with the seed of the training they are those that its runs logged."""

THRESHOLD = 0.75
"""From this estimated probability of repayment on, the lender says yes."""

LARGE_RACES = ("branca", "parda", "preta")
"""Of the others there are some dozens of loans: too few to be compared."""

MARGIN = 0.002
"""So much more log loss than the champion's would still not matter."""

RULES: tuple[Rule, ...] = (
    Floor(metric="roc_auc", bound=0.68),
    Floor(metric="calibration_bias", bound=-0.02),
    Ceiling(metric="calibration_bias", bound=0.02),
    NonInferiority(loss="log_loss", bound=MARGIN),
    GroupDifference(metric="recall", by="sex", bound=0.10),
    GroupDifference(metric="recall", by="race", bound=0.15, groups=LARGE_RACES),
    GroupDifference(metric="recall", by="age_group", bound=0.20),
)
"""What a credit model has to keep, agreed on before anybody looked at 2023. Recall is, of those who
repay, the share that gets a yes."""

DECIDED = ("positive_rate", "precision", "recall", "specificity")
"""Metrics of the decisions at ``THRESHOLD``, which stand beside those of the scores."""

BY_GROUP = ("calibration_bias", "positive_rate", "recall")
"""What is measured of each sex, race and age group."""

STATEMENTS: Mapping[str, Both] = {
    "purpose": both(
        pt="Estimar a probabilidade de que um pequeno empréstimo parcelado seja pago, para quem "
        "pede um, no momento do pedido. A decisão é de uma pessoa ou de uma regra escrita.",
        en="To estimate the probability that a small loan in instalments is repaid, for whoever "
        "asks for one, when they ask. The decision is a person's, or that of a written rule.",
    ),
    "limits": both(
        pt="Aprendeu só com empréstimos que a regra antiga concedeu: do que aconteceria com os "
        "recusados, nada sabe, e o que diz deles é alto demais. Não serve para outros valores, "
        "prazos ou países, nem para punir ou cobrar ninguém.",
        en="It learned only from loans that the old rule granted: it knows nothing of what would "
        "have become of the refused, and what it says of them is too high. It is not for other "
        "amounts, terms or countries, nor for punishing or pursuing anybody.",
    ),
    "people": both(
        pt="Adultos que pediram crédito pelo aplicativo, em agências ou em lojas parceiras; quem "
        "não pediu ou foi recusado falta. As pessoas amarelas e indígenas são poucas para "
        "comparações. Os dados são sintéticos.",
        en="Adults who asked for credit in the app, in a branch or in a partner store; those who "
        "did not ask, or were refused, are missing. Asian-Brazilian and Indigenous people are too "
        "few for comparisons. The data is synthetic.",
    ),
}
"""What only a person can say of the credit model."""


def validate_credit(
    prepared: Path, trained: Mapping[str, Trained], *, tracking_uri: str, seed: int = SEED
) -> dict[str, ModelVersion]:
    """Register, judge, equip and name the versions of ``credit``; return them by their alias.

    ``prepared`` is what ``life.prepare_credit`` left, ``trained`` what ``training.train_credit``
    returned. ``seed`` decides the resampling of the intervals. The champion is promoted, which
    asks for a gate that was passed; the challenger decides nothing and needs none.

    Raises ``gates.NotPassed`` where the champion breaks a rule.
    """
    versions = {}
    for alias, name, other in (
        ("champion", CHAMPION, "rule"),
        ("challenger", CHALLENGER, CHAMPION),
    ):
        version = register(trained[name].model_uri, name=training.MODEL, tracking_uri=tracking_uri)
        answers = answers_of(
            prepared, trained[name], against=trained[other], tracking_uri=tracking_uri
        )
        verdict = judged(answers, prepared, seed=seed, tracking_uri=tracking_uri)
        gates.record(version, verdict, tracking_uri=tracking_uri)
        equip(version, answers, prepared, seed=seed, tracking_uri=tracking_uri)
        gates.promote(version.name, version.version, alias=alias, tracking_uri=tracking_uri)
        cards.attach_card(version, tracking_uri=tracking_uri)
        versions[alias] = version
    return versions


def answers_of(
    prepared: Path, candidate: Trained, *, against: Trained, tracking_uri: str
) -> pd.DataFrame:
    """Return what a candidate and a champion say of the loans of 2023, with who they were.

    The columns are those of ``training.scored``, the champion's ``champion_score``, and
    ``life.KEPT_ASIDE``. The prediction is the decision at ``THRESHOLD``.
    """
    own, champion = (
        predictions_of(each.run_id, name=training.LATER, tracking_uri=tracking_uri)
        for each in (candidate, against)
    )
    key = "application_id"
    both_answers = own.merge(
        champion[[key, "score"]].rename(columns={"score": "champion_score"}),
        on=key,
        validate="one_to_one",
    )
    decided = both_answers.assign(
        prediction=(both_answers["score"] >= THRESHOLD).astype("int64"),
    )
    return decided.merge(read(prepared / "judging.parquet"), on=key, validate="one_to_one")


def answers_beside_champion(
    model: BaseEstimator, prepared: Path, *, tracking_uri: str
) -> pd.DataFrame:
    """Return what a fitted model and today's champion say of the loans of 2023; see ``answers_of``.

    For a model that no run of the training logged.
    """
    later = read(prepared / "later.parquet")
    champion = load(f"models:/{training.MODEL}@champion", tracking_uri=tracking_uri)
    _, scores = champion.predict(later[list(credit.FEATURES)])
    own = training.scored(model, later)
    decided = own.assign(
        prediction=(own["score"] >= THRESHOLD).astype("int64"), champion_score=scores
    )
    return decided.merge(
        read(prepared / "judging.parquet"), on="application_id", validate="one_to_one"
    )


def judged(
    answers: pd.DataFrame, prepared: Path, *, tracking_uri: str, seed: int = SEED
) -> Verdict:
    """Return the verdict of ``RULES`` on the answers to the loans of 2023."""
    return gates.judge(
        answers,
        rules=RULES,
        task="classification",
        block=training.BLOCK,
        data=training.LATER,
        digest=describe(prepared / "later.parquet").digest,
        rng=np.random.default_rng(seed),
        tracking_uri=tracking_uri,
    )


def benchmark(answers: pd.DataFrame, *, seed: int = SEED) -> pd.DataFrame:
    """Return what a candidate is promised with: its measurements on the loans of 2023.

    For everybody, and for each sex, race and age group, which the column ``feature`` names.
    """
    tables = [
        _measured(answers, [*training.METRICS, *DECIDED], seed=seed),
        calibration(answers, block=training.BLOCK),
    ]
    for column in credit.SENSITIVE:
        table = _measured(answers, BY_GROUP, seed=seed, group_column=column)
        of_groups = table["group"].ne("") & table["metric"].isin(BY_GROUP)
        tables.append(table[of_groups].assign(feature=column))
    return pd.concat(tables, ignore_index=True)


def _measured(
    answers: pd.DataFrame, metrics: Sequence[str], *, seed: int, group_column: str | None = None
) -> pd.DataFrame:
    return performance(
        answers,
        task="classification",
        metrics=metrics,
        window=None,
        block=training.BLOCK,
        group_column=group_column,
        rng=np.random.default_rng(seed),
    )


def equip(
    version: ModelVersion,
    answers: pd.DataFrame,
    prepared: Path,
    *,
    tracking_uri: str,
    seed: int = SEED,
) -> None:
    """Let a version carry its benchmark, its reference, its contract, and what people say of it.

    The reference is everybody who applied in 2023, with what the model says of them.
    """
    scorer = load(version.model_uri, tracking_uri=tracking_uri)
    applied = read(prepared / "reference.parquet")
    benchmarks.attach(
        version,
        benchmark=benchmark(answers, seed=seed),
        reference=benchmarks.answered(scorer, applied),
        contract=life.credit_contract().only(credit.FEATURES),
        threshold=THRESHOLD,
        units={name: unit for name, unit in credit.UNITS.items() if name in applied},
        source="everybody who applied in 2023, reference.parquet",
        tracking_uri=tracking_uri,
    )
    for statement, said in STATEMENTS.items():
        cards.state(version, statement, pt=said.pt, en=said.en, tracking_uri=tracking_uri)
