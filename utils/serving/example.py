"""A small endpoint in memory and a small model in a folder, for examples and for a first look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from utils.records import Deployment
from utils.serving.contract import Contract, contract_of
from utils.serving.endpoint import Endpoint
from utils.serving.tracking import quiet
from utils.store import open_store

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)

FLIGHTS = pd.DataFrame({"departure_delay_min": [20.0, -5.0], "carrier": ["UA", "B6"]})
"""Two flights that have left New York; ten minutes are won back on the way."""


class TenMinutesWonBack:
    """A scorer without MLflow: flights arrive ten minutes less late than they left."""

    contract: Contract = contract_of(infer_signature(FLIGHTS, np.array([10.0])))
    model_name = "ten_minutes"
    model_version = "1"
    model_uri = "models:/ten_minutes/1"

    def predict(
        self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, None]:
        return frame["departure_delay_min"].to_numpy() - 10.0, None


@contextmanager
def example_endpoint() -> Iterator[Endpoint]:
    """Give an endpoint over a store in memory, where it is noon on 1 April 2013.

    >>> with example_endpoint() as endpoint:
    ...     endpoint.contract.names
    ('departure_delay_min', 'carrier')
    """
    scorer = TenMinutesWonBack()
    deployment = Deployment(
        name="flights",
        model_name=scorer.model_name,
        model_version=scorer.model_version,
        model_uri=scorer.model_uri,
        model_crn="crn:model",
        build_crn="crn:build",
        deployment_crn="crn:deployment:1",
        created_at=NOON,
    )
    with open_store("sqlite://") as store:
        store.add_deployment(deployment, scorer.contract.schema)
        yield Endpoint(scorer, store, deployment, clock=lambda: NOON)


@contextmanager
def example_model() -> Iterator[str]:
    """Give the folder of a saved MLflow model that answers as ``TenMinutesWonBack`` does.

    >>> with example_model() as folder:
    ...     Path(folder, "MLmodel").exists()
    True
    """
    inputs = FLIGHTS[["departure_delay_min"]]
    arrivals = inputs["departure_delay_min"].to_numpy() - 10.0
    with TemporaryDirectory() as folder, quiet():
        path = str(Path(folder, "ten_minutes"))
        mlflow.sklearn.save_model(
            LinearRegression().fit(inputs, arrivals),
            path,
            signature=infer_signature(inputs, arrivals),
            pip_requirements=["scikit-learn"],
        )
        yield path
