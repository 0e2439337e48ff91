"""Honest traffic of a service's clients, for the tests of what is asked of requests."""

import numpy as np
import pandas as pd

FEATURES = ["income", "debt_share", "age", "term_months", "purpose"]
START = pd.Timestamp("2024-01-01", tz="UTC")
LATER = START + pd.Timedelta("28D")
SHARES = ("bank", "app", "web", "shop", "branch", "partner", "kiosk", "batch")


def inputs(n, rng):
    """Return inputs of honest customers: skewed, and not independent of one another."""
    income = rng.gamma(2.5, 900, n)
    return pd.DataFrame(
        {
            "income": income,
            "debt_share": rng.beta(2, 6, n) * np.clip(4000 / (income + 1500), 0.2, 1),
            "age": np.round(20 + rng.gamma(3, 7, n)),
            "term_months": rng.choice([3.0, 6.0, 12.0, 24.0], n, p=[0.4, 0.3, 0.2, 0.1]),
            "purpose": rng.choice(["home", "school", "health"], n, p=[0.6, 0.3, 0.1]),
        }
    )


def honest(start=START, days=28, *, per_day=1500, seed=0):
    """Return traffic of eight clients with a day and a week, retries, and corrected forms."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(per_day * days)
    day = rng.choice(days, n, p=_weekly(days))
    seconds = np.clip(rng.normal(14, 4, n), 0, 23.99) * 3600
    frame = inputs(n, rng).assign(
        event_time=start + pd.to_timedelta(((day * 86_400 + seconds) * 1e6).astype("int64"), "us"),
        client=rng.choice(SHARES, n, p=np.arange(8, 0, -1) / 36),
    )
    retried = frame[rng.random(n) < 0.01]
    corrected = frame[rng.random(n) < 0.02].assign(income=lambda f: f["income"] * 1.1)
    later = pd.Timedelta("20s")
    again = [each.assign(event_time=each["event_time"] + later) for each in (retried, corrected)]
    frame = pd.concat([frame, *again]).sort_values("event_time", ignore_index=True)
    score = 1 / (1 + np.exp(4 * frame["debt_share"] - frame["income"] / 2500))
    return frame.assign(score=score)


def _weekly(days):
    weight = np.where(np.arange(days) % 7 < 5, 1.0, 0.5)
    return weight / weight.sum()


REFERENCE = honest()
TODAY = honest(LATER, 3, seed=1)


def attack(rows, *, client="bot", minutes=600, hour=30):
    """Return rows sent by one client, evenly from an hour of the current traffic on."""
    first = LATER + pd.Timedelta(hours=hour)
    times = pd.date_range(first, first + pd.Timedelta(minutes=minutes), len(rows), unit="us")
    return rows.assign(event_time=times, client=client).reset_index(drop=True)
