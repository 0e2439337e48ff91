"""Two quarters of real flights, for a first look at the report where no data are named."""

from __future__ import annotations

import pandas as pd

from utils.datasets import flights
from utils.report.inputs import Asked

MADE_UP_MIN = 5.0
"""What a flight makes up in the air, by the rule of thumb that is the model here."""

ASKED = Asked(
    time_column="departed_at",
    prediction_column="predicted_delay_min",
    target_column=flights.TARGET,
    known_at_column="landed_at",
    group_columns=("origin",),
    feature_columns=(*flights.NUMERIC_FEATURES, "carrier", "dest"),
)


def flights_example() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the flights of January to March 2013, and those of April to June.

    The model is a rule of thumb: a flight lands five minutes less late than it left. It was fitted
    on neither quarter, so none of the two flatters it.

    >>> reference, current = flights_example()
    >>> len(reference), len(current)
    (78146, 83129)
    """
    quarters = (range(1, 4), range(4, 7))
    before, now = (_with_rule(flights.departures(months=months)) for months in quarters)
    ends = now[ASKED.time_column].min()
    return before[before[ASKED.time_column] < ends].reset_index(drop=True), now


def _with_rule(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(predicted_delay_min=frame["departure_delay_min"] - MADE_UP_MIN)
