"""The training of the credit model, as chapter 03 tells it: what is tried, and how it is judged.

Four candidates learn from the loans of 2022, the last ``n_days`` of them, and are judged on those
of 2023, which none has seen: two that hardly learn, so that we know what a model has to beat, and
two that do. Each is a run of MLflow under one parent, with names that depend on no language.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from utils.course import life
from utils.course.models import credit_boosting, credit_model
from utils.datasets import credit
from utils.datasets.files import read
from utils.monitors.performance import performance
from utils.serving import mlflow
from utils.serving.models import log_in_run
from utils.serving.runs import log_data, log_measurements, log_predictions, nested_run
from utils.serving.tracking import experiment_id_of, tracking

EXPERIMENT = "credit"
PARENT = "training"
MODEL = "credit"
"""The name of the experiment, of the parent run, and of the models that are logged."""

LATER = "later"
"""The name of the loans that a run is judged by, and of its predictions for them."""

SEED = 3

METRICS = ("roc_auc", "log_loss", "brier", "calibration_bias")
"""What each candidate is judged by."""

BLOCK = "7D"
"""Loans of one week count as one witness of what weeks do to them."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A candidate's run, and the URI of the model that it logged; empty where it logged none."""

    run_id: str
    model_uri: str = ""


def rule_model() -> Pipeline:
    """Return last year's rule as an unfitted model: the points, and a curve from them to 0..1.

    The rule gives points, and no probability. One column of logistic regression makes one of them;
    it keeps their order, so the rule ranks applicants as it always did.
    """
    return make_pipeline(FunctionTransformer(_points_column), LogisticRegression())


def _points_column(applied: pd.DataFrame) -> pd.DataFrame:
    return life.points(applied).to_frame()


def candidates(*, seed: int = SEED) -> dict[str, BaseEstimator]:
    """Return the unfitted candidates by name: two baselines, then two models.

    >>> list(candidates())
    ['constant', 'rule', 'logistic', 'boosting']
    """
    return {
        "constant": DummyClassifier(strategy="prior"),
        "rule": rule_model(),
        "logistic": credit_model(),
        "boosting": credit_boosting(random_state=seed),
    }


LOGGED = ("logistic", "boosting")
"""The candidates whose model is logged: those that could go into service."""


def recent(train: pd.DataFrame, *, n_days: int = life.HISTORY_DAYS) -> pd.DataFrame:
    """Return the loans of the last ``n_days`` before 2023, by the day of application.

    Raises ``ValueError`` for less than one day.
    """
    if n_days < 1:
        raise ValueError(f"n_days={n_days!r}: a history of at least one day")
    since = life.JUDGED_FROM - pd.Timedelta(n_days, "D")
    return train[train["applied_at"] >= since].reset_index(drop=True)


def inputs_and_label(loans: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return what a model learns from: the features, and whether each loan was repaid, 1 or 0."""
    return loans[list(credit.FEATURES)], loans[credit.TARGET].astype("int64")


def fit(model: BaseEstimator, inputs: pd.DataFrame, label: pd.Series) -> BaseEstimator:
    """Fit a model on one processor, and return it.

    So few rows gain nothing from a second one, and lose much where another process has it; and
    trees whose sums are shared out among processors are not the same on another machine.
    """
    with threadpool_limits(1):
        return model.fit(inputs, label)


def scored(model: BaseEstimator, loans: pd.DataFrame) -> pd.DataFrame:
    """Return what a fitted model says of loans, beside what became of them.

    Columns: ``application_id``, ``event_time`` (of the application), ``label``,
    ``label_known_at``, ``prediction`` (1 or 0) and ``score``, the probability of repayment.
    """
    inputs, label = inputs_and_label(loans)
    with threadpool_limits(1):
        score = model.predict_proba(inputs)[:, 1]
    return pd.DataFrame(
        {
            "application_id": loans["application_id"],
            "event_time": loans["applied_at"],
            "label": label,
            "label_known_at": loans["known_at"],
            "prediction": (score > 0.5).astype("int64"),
            "score": score,
        }
    )


def measured(
    answers: pd.DataFrame, *, rng: np.random.Generator, metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """Return the measurements of a candidate over all its answers, weeks resampled as wholes."""
    return performance(
        answers, task="classification", metrics=metrics, window=None, block=BLOCK, rng=rng
    )


def settings_of(model: BaseEstimator) -> dict[str, object]:
    """Return what a run says of its model: the kind, and every setting of the part that learns.

    >>> settings_of(rule_model())["model"], settings_of(rule_model())["C"]
    ('LogisticRegression', 1.0)
    """
    learner = model[-1] if isinstance(model, Pipeline) else model
    return {"model": type(learner).__name__} | learner.get_params(deep=False)


def train_credit(
    prepared: Path, *, tracking_uri: str, seed: int = SEED, n_days: int = life.HISTORY_DAYS
) -> dict[str, Trained]:
    """Train, judge and log the candidates on what ``life.prepare_credit`` left in ``prepared``.

    The experiment is ``credit``, the parent run ``training``; under it is a run for each candidate,
    with its parameters, its measurements on the loans of 2023, the digests of what it learned from
    and was judged by, and its predictions. Those of ``LOGGED`` log their model, unregistered.

    ``seed`` decides the resampling of the intervals and what is random in the models, ``n_days``
    how far back the history goes.
    """
    train = recent(read(prepared / "train.parquet"), n_days=n_days)
    later = read(prepared / "later.parquet")
    sources = {"train": prepared / "train.parquet", LATER: prepared / "later.parquet"}
    with tracking(tracking_uri) as client:
        experiment_id = experiment_id_of(client, EXPERIMENT)
        with mlflow.start_run(experiment_id=experiment_id, run_name=PARENT):
            mlflow.log_params({"seed": seed, "n_days": n_days})
            return {
                name: log_candidate(name, model, train, later, sources=sources, seed=seed)
                for name, model in candidates(seed=seed).items()
            }


def log_candidate(
    name: str,
    model: BaseEstimator,
    train: pd.DataFrame,
    later: pd.DataFrame,
    *,
    sources: Mapping[str, Path],
    seed: int = SEED,
) -> Trained:
    """Fit a candidate, judge it, and log all of it in a run under the active one.

    ``sources`` are the files that ``train`` and ``later`` come from. The model is logged where the
    candidate is one of ``LOGGED``.
    """
    inputs, label = inputs_and_label(train)
    with nested_run(name) as run:
        mlflow.log_params(settings_of(model))
        log_data(
            train, name="train", context="training", source=sources["train"], target=credit.TARGET
        )
        log_data(
            later, name=LATER, context="validation", source=sources[LATER], target=credit.TARGET
        )
        fit(model, inputs, label)
        answers = scored(model, later)
        log_measurements(measured(answers, rng=np.random.default_rng(seed)))
        log_predictions(answers, name=LATER)
        uri = ""
        if name in LOGGED:
            uri = log_in_run(
                model, name=MODEL, inputs=inputs, predictions=answers["prediction"].to_numpy()
            )
    return Trained(run_id=run.info.run_id, model_uri=uri)


def write_trained(trained: Mapping[str, Trained], folder: Path) -> None:
    """Write which runs were made to ``folder/runs.json``, for ``trained_credit`` to read."""
    told = {name: asdict(each) for name, each in trained.items()}
    (folder / "runs.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def trained_credit(folder: Path) -> dict[str, Trained]:
    """Return the runs of the candidates by name, as the stage ``credit-trained`` left them.

    ``folder`` is ``workspace.folder("credit-trained")``.
    """
    told = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    return {name: Trained(**each) for name, each in told.items()}
