"""A small store in memory, for examples and for a first look."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from utils.records import Column, Deployment, Schema
from utils.store.store import Store, open_store

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)

DEPLOYMENT = Deployment(
    name="flights",
    model_name="delay",
    model_version="1",
    model_uri="models:/delay/1",
    model_crn="crn:model",
    build_crn="crn:build",
    deployment_crn="crn:deployment:1",
    created_at=NOON,
)
SCHEMA = Schema(
    columns=(
        Column(name="distance_miles", kind="double"),
        Column(name="carrier", kind="string"),
    )
)
PREDICTIONS = pd.DataFrame(
    {
        "prediction_id": ["a", "b"],
        "event_time": pd.to_datetime([NOON, NOON.replace(hour=13)]),
        "client": ["tower", "gate"],
        "prediction": [12.5, -3.0],
        "distance_miles": [200.0, 1400.0],
        "carrier": ["UA", "B6"],
    }
)
"""Two arrival delays in minutes, predicted at 12:00 and at 13:00 of 1 April 2013, UTC."""


def example_store() -> Store:
    """Return a store in memory with one deployment, ``flights``, and its two ``PREDICTIONS``.

    >>> with example_store() as store:
    ...     store.read("flights")["prediction"].tolist()
    [12.5, -3.0]
    """
    store = open_store("sqlite://")
    store.add_deployment(DEPLOYMENT, SCHEMA)
    store.write_predictions("flights", PREDICTIONS)
    return store
