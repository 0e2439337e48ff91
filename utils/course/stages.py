"""What earlier chapters leave behind, so that any chapter can be the first one that is run.

The flights model is trained on January to March 2013, goes into service on 1 April through its
gate, and is sent every departure until the end of the year. The credit model learns from the loans
of 2022, passes its gate on those of 2023, and goes into service on 1 January 2024.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd

from utils.course import arrivals, life, training, validation
from utils.course.exercises import both
from utils.course.workspace import Workspace, stage
from utils.datasets import flights
from utils.serving.client import Client
from utils.serving.endpoint import Endpoint
from utils.serving.models import deploy, load
from utils.serving.tracking import tracking
from utils.serving.traffic import Replayed, replay
from utils.store import Store, open_store

FLIGHTS = arrivals.MODEL
FLIGHTS_IN_SERVICE = arrivals.IN_SERVICE

CREDIT = "credit"
CREDIT_IN_SERVICE = datetime(2024, 1, 1, tzinfo=UTC)
CREDIT_SEED = 2024
CREDIT_PER_DAY = 120
CREDIT_THRESHOLD = validation.THRESHOLD


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


def _forget(name: str) -> Callable[[Workspace], None]:
    """Return what takes the versions of a model out of the registry; their runs stay."""

    def forget(workspace: Workspace) -> None:
        with tracking(workspace.tracking_uri) as client:
            if client.search_registered_models(f"name = '{name}'"):
                client.delete_registered_model(name)

    return forget


@stage(
    "flights-model",
    says=both(pt="o modelo de voos", en="the flights model"),
    undo=_forget(FLIGHTS),
    version=2,
)
def _flights_model(workspace: Workspace) -> None:
    arrivals.release_flights(
        flights.departures(months=range(1, 4)), tracking_uri=workspace.tracking_uri
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


@stage("credit-collected", says=both(pt="o livro de crédito", en="the credit book"), version=2)
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


@stage(
    "credit-model",
    needs=["credit-trained"],
    says=both(pt="o modelo de crédito validado", en="the validated credit model"),
    undo=_forget(CREDIT),
    version=2,
)
def _credit_model(workspace: Workspace) -> None:
    validation.validate_credit(
        workspace.folder("credit-prepared"),
        training.trained_credit(workspace.folder("credit-trained")),
        tracking_uri=workspace.tracking_uri,
    )


@stage(
    "credit-deployed",
    needs=["credit-model"],
    says=both(pt="a sua implantação em 1º de janeiro", en="its deployment on 1 January"),
)
def _credit_deployed(workspace: Workspace) -> None:
    _deploy_champion(workspace, CREDIT, at=CREDIT_IN_SERVICE)


def _deploy_champion(workspace: Workspace, name: str, *, at: datetime) -> None:
    with open_store(workspace.store_url) as store:
        deploy(
            store,
            name=name,
            model_uri=f"models:/{name}@champion",
            tracking_uri=workspace.tracking_uri,
            at=at,
            gated=True,
        )
