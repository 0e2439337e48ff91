"""Real flights with a known incident, for a first look at the report where no data are named."""

from __future__ import annotations

import numpy as np
import pandas as pd

from utils.datasets import flights
from utils.datasets.incidents import inject
from utils.records import Incident
from utils.report.inputs import Asked

MADE_UP_MIN = 5.0
"""What a flight makes up in the air, by the rule of thumb that is the model here."""

SLOWER = Incident(
    kind="concept_drift_sudden",
    start=pd.Timestamp("2013-05-27", tz="UTC"),
    end=pd.Timestamp("2013-07-02", tz="UTC"),
    strength=0.5,
)
"""From then on every aircraft takes an eighth longer in the air; no input shows it."""

ASKED = Asked(
    time_column="departed_at",
    prediction_column="predicted_delay_min",
    target_column=flights.TARGET,
    known_at_column="landed_at",
    group_columns=("origin",),
    feature_columns=(*flights.NUMERIC_FEATURES, "carrier", "dest"),
)


def flights_example() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every second flight of January to March 2013, and of April to June with ``SLOWER``.

    The model is a rule of thumb: a flight lands five minutes less late than it left. It was fitted
    on neither quarter, so none of the two flatters it. The spring is real; the incident is not.

    >>> reference, current = flights_example()
    >>> len(reference), len(current)
    (39073, 41565)
    """
    quarters = (range(1, 4), range(4, 7))
    before, now = (
        flights.departures(months=months).iloc[::2].reset_index(drop=True) for months in quarters
    )
    now, _ = inject(
        now,
        [SLOWER],
        rng=np.random.default_rng(0),
        time_column=ASKED.time_column,
        relabel=flights.relabel,
    )
    before = before[before[ASKED.time_column] < now[ASKED.time_column].min()]
    return _with_rule(before), _with_rule(now)


def _with_rule(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(predicted_delay_min=frame["departure_delay_min"] - MADE_UP_MIN)
