"""Canaries by the hundred, whose harm is known: how often the stopping rule is right, and when."""

import numpy as np
import pandas as pd
from scipy import stats

from utils.operations.canary import Canary, looked

VERDICTS = ("harm", "no harm", "undecided")


def ended(
    harms: dict[str, float],
    canary: Canary,
    *,
    spread: float,
    n: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return how ``n`` canaries of each true harm ended, by the stopping rule.

    The differences of their days are normal around the harm, with a standard deviation of
    ``spread``. Columns: ``row`` (the name of the harm), ``series`` (a verdict), the share
    ``value`` that ended so with its exact 95 % interval ``low`` and ``high``, and the median day.

    >>> table = ended({"none": 0.0}, Canary(harm=0.5), spread=0.5, n=50,
    ...               rng=np.random.default_rng(0))
    >>> round(float(table["value"].sum()), 9), table["series"].tolist()
    (1.0, ['harm', 'no harm', 'undecided'])
    """
    rows = []
    for name, harm in harms.items():
        days = rng.normal(harm, spread, size=(n, canary.most_blocks))
        looks = [looked(each, canary) for each in days]
        for verdict in VERDICTS:
            own = [look.n_blocks for look in looks if look.verdict == verdict]
            interval = stats.binomtest(len(own), n).proportion_ci()
            rows.append(
                {
                    "row": name,
                    "series": verdict,
                    "value": len(own) / n,
                    "low": interval.low,
                    "high": interval.high,
                    "median_day": float(np.median(own)) if own else np.nan,
                }
            )
    return pd.DataFrame(rows)
