"""A store with the example's deployment, and measurements that say what a test wants."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from utils.records import measurements
from utils.store import open_store
from utils.store.example import DEPLOYMENT, SCHEMA

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def store():
    with open_store("sqlite://") as opened:
        opened.add_deployment(DEPLOYMENT, SCHEMA)
        yield opened


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def weeks(*values, metric="mae", monitor="performance", feature="", group="", n=50, **more):
    """Return one line of measurements, a week each from 1 January 2024."""
    starts = pd.date_range("2024-01-01", periods=len(values), freq="7D", tz="UTC")
    return measurements(
        {
            "monitor": monitor,
            "metric": metric,
            "feature": feature,
            "group": group,
            "window_start": start,
            "window_end": start + pd.Timedelta("7D"),
            "value": value,
            "n_current": n,
            **more,
        }
        for start, value in zip(starts, values, strict=True)
    )
