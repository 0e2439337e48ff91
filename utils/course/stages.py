"""What earlier chapters leave behind, so that any chapter can be the first one that is run.

The flights model is trained on January to March 2013, goes into service on 1 April, and is sent
every departure until the end of the year. The credit model is trained on the loans of 2023 that
were all settled by the end of that year, and goes into service on 1 January 2024.
"""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, roc_auc_score

from utils.course import life, training
from utils.course.exercises import both
from utils.course.lender import TRAINING_DAYS
from utils.course.models import credit_model, flights_model
from utils.course.workspace import Workspace, stage
from utils.datasets import credit, flights
from utils.serving.client import Client
from utils.serving.endpoint import Endpoint
from utils.serving.models import deploy, load, log_model, set_alias
from utils.serving.traffic import Replayed, replay
from utils.store import Store, open_store

FLIGHTS = "flights"
FLIGHTS_IN_SERVICE = datetime(2013, 4, 1, 4, tzinfo=UTC)
"""Midnight of 1 April 2013 on New York's clock."""

CREDIT = "credit"
CREDIT_IN_SERVICE = datetime(2024, 1, 1, tzinfo=UTC)
CREDIT_SEED = 2024
CREDIT_PER_DAY = 120
CREDIT_THRESHOLD = 0.75
"""From this estimated probability of repayment on, the lender says yes."""


def benchmark_flights() -> pd.DataFrame:
    """Return the departures of January to March with their label: what the model learned from."""
    return flights.departures(months=range(1, 4)).dropna(subset=[flights.TARGET])


def flights_traffic() -> pd.DataFrame:
    """Return the departures of April to December, in the order in which they left."""
    return flights.departures(months=range(4, 13))


def replay_flights(store: Store, workspace: Workspace, departures: pd.DataFrame) -> Replayed:
    """Send departures through the deployed model, each label when its aircraft had landed."""
    return replay(
        Client(endpoint(store, FLIGHTS, workspace)),
        departures,
        features=flights.FEATURES,
        time_column="departed_at",
        label_column=flights.TARGET,
        known_at_column="landed_at",
        batch_rows=5_000,
    )


def endpoint(store: Store, name: str, workspace: Workspace) -> Endpoint:
    """Return what is in service under a name, in this process."""
    deployment = store.deployment(name)
    scorer = load(deployment.model_uri, tracking_uri=workspace.tracking_uri)
    return Endpoint(scorer, store, deployment)


def past_loans() -> pd.DataFrame:
    """Return the first loans of 2023, all settled by its end: what the credit model learns from.

    Later loans whose outcome is known by then are left out: defaults are known before repayments,
    so among them defaults are too many. The lender of that year granted whatever was affordable.
    """
    applied = credit.applications(
        start="2023-01-01", n_days=TRAINING_DAYS, per_day=CREDIT_PER_DAY, seed=CREDIT_SEED
    )
    approved = credit.decide(applied, np.ones(len(applied)), threshold=0.0)
    loans = credit.outcomes(applied, approved, seed=CREDIT_SEED)
    return loans[loans["approved"]].reset_index(drop=True)


@stage("flights-model", says=both(pt="o modelo de voos", en="the flights model"))
def _flights_model(workspace: Workspace) -> None:
    known = benchmark_flights()
    inputs, label = known[list(flights.FEATURES)], known[flights.TARGET]
    model = flights_model().fit(inputs, label)
    predicted = model.predict(inputs)
    _log_champion(
        workspace, model, FLIGHTS, inputs, predicted, mae_min=mean_absolute_error(label, predicted)
    )


@stage(
    "flights-deployed",
    needs=["flights-model"],
    says=both(pt="a sua implantação em 1º de abril", en="its deployment on 1 April"),
)
def _flights_deployed(workspace: Workspace) -> None:
    _deploy_champion(workspace, FLIGHTS, at=FLIGHTS_IN_SERVICE)


@stage(
    "flights-replayed",
    needs=["flights-deployed"],
    says=both(pt="as partidas de abril a dezembro", en="the departures from April to December"),
)
def _flights_replayed(workspace: Workspace) -> None:
    with open_store(workspace.store_url) as store:
        replay_flights(store, workspace, flights_traffic())


@stage("credit-collected", says=both(pt="o livro de crédito", en="the credit book"))
def _credit_collected(workspace: Workspace) -> None:
    life.collect_credit(workspace.folder("credit-collected"))


@stage(
    "credit-prepared",
    needs=["credit-collected"],
    says=both(pt="as tabelas de treino e de julgamento", en="the tables to train and to judge by"),
)
def _credit_prepared(workspace: Workspace) -> None:
    life.prepare_credit(workspace.folder("credit-collected"), workspace.folder("credit-prepared"))


@stage(
    "credit-trained",
    needs=["credit-prepared"],
    says=both(pt="os modelos de crédito treinados", en="the credit models, trained"),
)
def _credit_trained(workspace: Workspace) -> None:
    trained = training.train_credit(
        workspace.folder("credit-prepared"), tracking_uri=workspace.tracking_uri
    )
    training.write_trained(trained, workspace.folder("credit-trained"))


@stage("credit-model", says=both(pt="o modelo de crédito", en="the credit model"))
def _credit_model(workspace: Workspace) -> None:
    known = past_loans()
    inputs, label = known[list(credit.FEATURES)], known[credit.TARGET].astype("int64")
    model = credit_model().fit(inputs, label)
    scores = model.predict_proba(inputs)[:, 1]
    _log_champion(
        workspace,
        model,
        CREDIT,
        inputs,
        model.predict(inputs),
        roc_auc=roc_auc_score(label, scores),
    )


@stage(
    "credit-deployed",
    needs=["credit-model"],
    says=both(pt="a sua implantação em 1º de janeiro", en="its deployment on 1 January"),
)
def _credit_deployed(workspace: Workspace) -> None:
    _deploy_champion(workspace, CREDIT, at=CREDIT_IN_SERVICE)


def _log_champion(workspace, model, name, inputs, predictions, **metrics: float) -> None:
    version = log_model(
        model,
        name=name,
        inputs=inputs,
        predictions=predictions,
        metrics=metrics,
        tracking_uri=workspace.tracking_uri,
        experiment=name,
    )
    set_alias(name, "champion", version.version, tracking_uri=workspace.tracking_uri)


def _deploy_champion(workspace: Workspace, name: str, *, at: datetime) -> None:
    with open_store(workspace.store_url) as store:
        deploy(
            store,
            name=name,
            model_uri=f"models:/{name}@champion",
            tracking_uri=workspace.tracking_uri,
            at=at,
        )
