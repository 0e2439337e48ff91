"""Rows, frames and deployments for the tests of the store."""

from dataclasses import replace
from datetime import timedelta

import pandas as pd

from utils.records import Column, Schema
from utils.store.example import DEPLOYMENT, NOON


def hours(count):
    """Return the moment that many hours after noon of 1 April 2013."""
    return NOON + timedelta(hours=count)


def row(id, hour=0, **changes):
    """Return a prediction for ``Store.append``."""
    fields = {
        "prediction_id": id,
        "event_time": hours(hour),
        "model_version": "1",
        "client": "tower",
        "latency_ms": 1.5,
        "prediction": 12.5,
        "score": None,
        "distance_miles": 200.0,
        "carrier": "UA",
    }
    return tuple((fields | changes).values())


def label_frame(*labels):
    """Return (id, label, hour at which it was known) as a frame of labels."""
    return pd.DataFrame(
        {
            "prediction_id": [id for id, _, _ in labels],
            "label": [label for _, label, _ in labels],
            "known_at": pd.to_datetime([hours(hour) for _, _, hour in labels], utc=True),
        }
    )


def one_column(kind, *, name="x", output="double", required=True):
    """Return a schema of one input."""
    return Schema(columns=(Column(name=name, kind=kind, required=required),), output=output)


def deployment(number, name="flights", **changes):
    """Return a deployment with a CRN of its own."""
    return replace(DEPLOYMENT, name=name, deployment_crn=f"crn:deployment:{number}", **changes)
