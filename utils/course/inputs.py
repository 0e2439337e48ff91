"""What the credit model is asked in 2024, what is done to it on the way, and the ledger of that.

The applicants of the year come through three channels to one endpoint. Ten times, for a week, the
systems before it do one of ``life.upstream_incidents``. And from ``CENTS_FROM`` on the app sends
the income to the cent, where it was rounded to tens before: announced, agreed on, and harmless. So
it is no incident, and stands in no ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from utils.course import life
from utils.datasets import credit
from utils.datasets.incidents import inject
from utils.monitors.constraints import Constraints, Violation
from utils.monitors.executions import Check

START = pd.Timestamp("2024-01-01", tz="UTC")
"""A Monday, on which the model goes into service."""

WEEK = pd.Timedelta("7D")
N_WEEKS = 52
CENTS_FROM = START + 12 * WEEK

INCIDENTS = {
    9: "income_a_fortnight",
    15: "bureau_silent",
    18: "purpose_unheard_of",
    22: "income_a_fortnight",
    26: "bureau_stuck",
    30: "sent_twice",
    34: "income_a_year",
    38: "income_in_centavos",
    41: "income_a_fortnight",
    45: "sent_twice",
}
"""In which week of the year, counted from 0, which incident happens."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A year of applications: as they should have come, as they came, and the ledger."""

    meant: pd.DataFrame
    sent: pd.DataFrame
    ledger: pd.DataFrame


def to_the_cent(applied: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Return applications as the new app sends them: with the income that was rounded to tens.

    >>> old = pd.DataFrame({"application_id": [1, 2], "channel": ["app", "branch"],
    ...                     "income_brl": [1500.0, 1500.0]})
    >>> new = to_the_cent(old, seed=1)["income_brl"]
    >>> bool(1495 <= new[0] <= 1505), new[0] % 1 > 0, new[1]
    (True, np.True_, np.float64(1500.0))
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(8,)))
    cents = rng.integers(-500, 501, len(applied)) / 100
    is_app = (applied["channel"] == "app").to_numpy()
    income = applied["income_brl"].to_numpy() + np.where(is_app, cents, 0.0)
    return applied.assign(income_brl=income.round(2))


def inputs_of_2024(*, seed: int, requests_per_day: float, n_weeks: int = N_WEEKS) -> Inputs:
    """Return the applications of the first weeks of 2024, in order of time, and what befell them.

    ``meant`` has the rows of ``sent`` that nobody sent twice, by ``application_id``. Raises
    ``ValueError`` for a number of weeks outside 12..52.

    >>> year = inputs_of_2024(seed=1, requests_per_day=5, n_weeks=12)
    >>> year.ledger[["kind", "columns", "harmful"]].values.tolist()
    [['unit_change', 'income_brl', True]]
    """
    if not 12 <= n_weeks <= N_WEEKS:
        raise ValueError(f"n_weeks={n_weeks!r}: from 12 to {N_WEEKS}")
    applied = credit.applications(
        start=START, n_days=7 * n_weeks, per_day=requests_per_day, seed=seed
    )
    is_new = applied["applied_at"] >= CENTS_FROM
    meant = pd.concat([applied[~is_new], to_the_cent(applied[is_new], seed=seed)])
    upstream = [
        life.upstream_incidents(START + week * WEEK, START + (week + 1) * WEEK)[name]
        for week, name in INCIDENTS.items()
        if week < n_weeks
    ]
    sent, ledger = inject(
        meant, upstream, rng=np.random.default_rng([seed, 8]), time_column="applied_at"
    )
    return Inputs(meant=meant, sent=sent, ledger=ledger)


def week(frame: pd.DataFrame, number: int) -> pd.DataFrame:
    """Return the rows of one week of the year, counted from 0.

    >>> times = pd.to_datetime(["2024-01-07T23:00Z", "2024-01-08T00:00Z"])
    >>> week(pd.DataFrame({"applied_at": times, "row": [0, 1]}), 1)["row"].tolist()
    [1]
    """
    start = START + number * WEEK
    return frame[frame["applied_at"].between(start, start + WEEK, inclusive="left")]


# What was agreed on after the first alarms -------------------------------------------------------


def repaired(suggested: Constraints) -> Constraints:
    """Return constraints in which an income may have cents, and all else is as it was suggested.

    >>> from utils.monitors.constraints import suggested_constraints
    >>> suggested = suggested_constraints(pd.DataFrame({"income_brl": [1500.0, 2000.0]}))
    >>> repaired(suggested).by_name["income_brl"].inferred_type
    'Fractional'
    """
    features = (
        replace(each, inferred_type="Fractional") if each.name == "income_brl" else each
        for each in suggested.features
    )
    return replace(suggested, features=tuple(features))


def income_by_channel(rows: pd.DataFrame, usual: pd.DataFrame) -> pd.Series:
    """Return the median income of each channel as a multiple of the usual one of that channel.

    >>> usual = pd.DataFrame({"channel": ["app", "app", "branch"], "income_brl": [1.0, 3.0, 8.0]})
    >>> income_by_channel(usual.assign(income_brl=[1.0, 1.0, 8.0]), usual).to_dict()
    {'app': 0.5, 'branch': 1.0}
    """
    now, before = (frame.groupby("channel")["income_brl"].median() for frame in (rows, usual))
    return now / before


def channel_check(usual: pd.DataFrame) -> Check:
    """Return a check of one's own: whether a channel sends incomes of another size.

    A channel is named when its median lies more than twice as far from the usual one as in any
    week of ``usual``. It says nothing of a channel that ``usual`` did not have.

    >>> usual = life.credit_book(n_days=28)
    >>> check = channel_check(usual)
    >>> half = usual["income_brl"] / 2
    >>> halved = usual.assign(income_brl=half.where(usual["channel"] == "app", 2 * half))
    >>> check(usual), [each.feature_name for each in check(halved)]
    ([], ['income_brl'])
    """
    number = (usual["applied_at"] - usual["applied_at"].min()) // WEEK
    weeks = pd.DataFrame([income_by_channel(rows, usual) for _, rows in usual.groupby(number)])
    least, most = (1 + 2 * (extreme - 1) for extreme in (weeks.min(), weeks.max()))

    def check(rows: pd.DataFrame) -> list[Violation]:
        ratio = income_by_channel(rows, usual).reindex(least.index)
        moved = ratio[(ratio < least) | (ratio > most)]
        return [
            Violation(
                feature_name="income_brl",
                constraint_check_type="baseline_drift_check",
                description=f"Median of channel {channel}: {value:.2f} of the baseline's, outside "
                f"{least[channel]:.2f} to {most[channel]:.2f}",
            )
            for channel, value in moved.items()
        ]

    return check
