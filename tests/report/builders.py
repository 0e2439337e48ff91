"""Small frames of a service that answers yes or no, as somebody would have captured them."""

import numpy as np
import pandas as pd

from utils.report.inputs import Asked

ASKED = Asked(
    time_column="at",
    prediction_column="answer",
    score_column="score",
    target_column="label",
    known_at_column="known_at",
    group_columns=("region",),
)


def captured(start, *, days=84, per_day=48, seed=0, shift=0.0, wrong=0.1):
    """Return requests with answers and labels; ``shift`` moves the amount, ``wrong`` the answers.

    Labels follow the score for all but a share ``wrong`` of the rows; they come a day late.
    """
    rng = np.random.default_rng(seed)
    n = days * per_day
    at = pd.date_range(start, periods=n, freq=pd.Timedelta("1D") / per_day, tz="UTC")
    amount = rng.normal(100 + shift, 20, size=n).round(2)
    score = 1 / (1 + np.exp(-(amount - shift - 100) / 20))
    answer = score > 0.5
    label = np.where(rng.random(n) < wrong, ~answer, answer)
    return pd.DataFrame(
        {
            "at": at,
            "amount": amount,
            "channel": rng.choice(["web", "app", "shop"], p=[0.6, 0.3, 0.1], size=n),
            "region": rng.choice(["north", "south"], size=n),
            "score": score,
            "answer": np.where(answer, "yes", "no"),
            "label": np.where(label, "yes", "no"),
            "known_at": at + pd.Timedelta("1D"),
        }
    )


def reference(**options):
    return captured("2024-01-01", **options)


def current(**options):
    return captured("2024-04-01", **({"days": 28, "seed": 1} | options))
