"""The clients of chapter 11, honest and not: who sends what, and the ledger of the attacks.

Honest clients send applications as ``utils.datasets.credit`` draws them, each its share of the
people, with some retries and some corrected forms. An attacker sends rows of its own making.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from utils.course.queueing import DAY, ledger_of
from utils.datasets import credit

CURRENT_FROM = pd.Timestamp("2024-01-29", tz="UTC")
REFERENCE_DAYS = 84
REFERENCE_FROM = CURRENT_FROM - REFERENCE_DAYS * DAY
"""Twelve weeks of honest traffic to learn from; then eight in which things happen."""

DAYS = 56
FEATURES = list(credit.FEATURES)
CLIENTS: Mapping[str, float] = {
    "app": 0.45,
    "web": 0.25,
    "branches": 0.15,
    "store-a": 0.10,
    "store-b": 0.05,
}
"""Who may call, and which share of the applications each sends."""

ATTACKER = "store-b"
"""The client whose key is used by others, unless another is named."""

LIAR = "web"
"""The client that reports false labels."""

Scores = Callable[[pd.DataFrame], np.ndarray]


def honest(
    start: pd.Timestamp, *, days: int, per_day: float, seed: int, scores: Scores
) -> pd.DataFrame:
    """Return honest requests in order of time, with their scores and, in the end, their labels.

    One in a hundred is sent again some seconds later, as a client does that had no answer; two in a
    hundred come again with the income corrected.

    >>> few = honest(CURRENT_FROM, days=2, per_day=50, seed=1,
    ...              scores=lambda rows: np.full(len(rows), 0.5))
    >>> set(few["client"]) <= set(CLIENTS)
    True
    """
    asked = credit.applications(start=start, n_days=days, per_day=per_day, seed=seed)
    asked = credit.outcomes(asked, np.ones(len(asked), dtype=bool), seed=seed)
    rng = np.random.default_rng([seed, start.toordinal()])
    rows = asked.rename(columns={"applied_at": "event_time", credit.TARGET: "label"})[
        ["event_time", *FEATURES, "label"]
    ].assign(client=rng.choice(list(CLIENTS), len(asked), p=list(CLIENTS.values())))
    again = rows[rng.random(len(rows)) < 0.01]
    corrected = rows[rng.random(len(rows)) < 0.02]
    corrected = corrected.assign(income_brl=(corrected["income_brl"] * 1.1).round(2))
    later = pd.Timedelta("20s")
    parts = [
        rows,
        *(each.assign(event_time=each["event_time"] + later) for each in (again, corrected)),
    ]
    return answered(pd.concat(parts), scores)


def answered(rows: pd.DataFrame, scores: Scores) -> pd.DataFrame:
    """Return requests in order of time with the score of each, and the decision at 0.75."""
    rows = rows.sort_values("event_time", kind="stable", ignore_index=True)
    score = np.asarray(scores(rows[FEATURES])).round(12)
    return rows.assign(score=score, prediction=(score >= 0.75).astype("int64"))


# ------------------------------------------------------------------------------- the attacks


def extraction(usual: pd.DataFrame, *, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return inputs of somebody who copies the model: spread evenly over the ranges.

    Every answer is a row to train a copy on.
    """
    made = {
        name: rng.uniform(*usual[name].quantile([0.005, 0.995]), size=n).round(2)
        if usual[name].dtype.kind == "f"
        else rng.choice(usual[name].unique(), size=n)
        for name in FEATURES
    }
    made["term_months"] = rng.choice(usual["term_months"].unique(), size=n)
    return pd.DataFrame(made)


def probing(usual: pd.DataFrame, *, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return inputs that feel for the boundary: one applicant, one input turned step by step."""
    one = _drawn(usual, n=1, rng=rng)[FEATURES]
    rows = pd.concat([one] * n, ignore_index=True)
    return rows.assign(income_brl=np.linspace(900, 6000, n).round(2))


def replay(usual: pd.DataFrame, *, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return inputs seen on the wire and sent again, unchanged: three that got a yes, in turn."""
    three = _drawn(usual[usual["prediction"] == 1], n=3, rng=rng)[FEATURES]
    return pd.concat([three] * (n // 3), ignore_index=True)


def leaked_key(usual: pd.DataFrame, *, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return inputs of a stranger with a client's key: plausible people, at another volume."""
    return _alike(usual, n=n, rng=rng)[FEATURES]


ATTACKS = {
    "extraction": extraction,
    "probing": probing,
    "replay": replay,
    "leaked_key": leaked_key,
}
"""What inputs each attack sends: so many, made from what is known of the usual ones."""


def sent(
    inputs: pd.DataFrame, *, first: pd.Timestamp, last: pd.Timestamp, client: str
) -> pd.DataFrame:
    """Return inputs as one client sends them, evenly from a moment to another; no label follows."""
    times = pd.date_range(first, last, len(inputs) + 1, inclusive="left").as_unit("us")
    return inputs.assign(event_time=times, client=client, label=pd.NA)


def _drawn(rows: pd.DataFrame, *, n: int, rng: np.random.Generator) -> pd.DataFrame:
    return rows.sample(n, random_state=int(rng.integers(2**31)), ignore_index=True)


def _alike(usual: pd.DataFrame, *, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return people like those seen, and not they: each with an income a little different."""
    rows = _drawn(usual, n=n, rng=rng)
    return rows.assign(income_brl=(rows["income_brl"] * rng.normal(1, 0.05, n)).round(2))


def poisoned(rows: pd.DataFrame, *, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """Return rows in which one client reports its payers of that time as defaulters.

    The next model would learn to refuse whom this client sends. Requests are as they were.
    """
    inside = rows["event_time"].between(first, last, inclusive="left")
    lied = inside & rows["client"].eq(LIAR) & rows["label"].notna()
    return rows.assign(label=rows["label"].mask(lied, 0))


def campaign(
    usual: pd.DataFrame,
    *,
    first: pd.Timestamp,
    last: pd.Timestamp,
    n: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return requests of a harmless campaign: honest people, more of them, through the app."""
    rows = _alike(usual, n=n, rng=rng)
    after = np.sort(rng.random(n)) * ((last - first) / pd.Timedelta("1us"))
    times = first + pd.to_timedelta(after, unit="us")
    return rows[[*FEATURES, "label"]].assign(event_time=times.as_unit("us"), client="app")


PLAN: tuple[tuple[str, int, int, int, bool], ...] = (
    ("extraction", 6, 2, 900, True),
    ("campaign", 12, 2, 250, False),
    ("probing", 19, 1, 120, True),
    ("replay", 27, 1, 90, True),
    ("leaked_key", 34, 2, 300, True),
    ("campaign", 40, 1, 120, False),
    ("poisoned_labels", 46, 7, 0, True),
)
"""What happens: its kind, from which day, for how many days, how many requests, harmful or not."""


def eight_weeks(
    usual: pd.DataFrame,
    *,
    per_day: float,
    seed: int,
    scores: Scores,
    strength: float = 1.0,
    attacker: str = ATTACKER,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return eight weeks of requests in which seven things happen, and their ledger.

    ``usual`` are the honest requests before, from which attackers take what they know; ``strength``
    multiplies how many requests each sends; ``attacker`` is the client whose key they use.

    Raises ``ValueError`` for a client that is not one of ``CLIENTS``.
    """
    if attacker not in CLIENTS:
        raise ValueError(f"attacker={attacker!r}: one of {sorted(CLIENTS)} is needed")
    rows = honest(CURRENT_FROM, days=DAYS, per_day=per_day, seed=seed, scores=scores)
    rng = np.random.default_rng([seed, 11])
    parts, happened = [rows], []
    for kind, day, days, n, harmful in PLAN:
        first, last = CURRENT_FROM + day * DAY, CURRENT_FROM + (day + days) * DAY
        happened.append((kind, first, last, harmful))
        size = max(6, round(n * strength))
        if kind in ATTACKS:
            inputs = ATTACKS[kind](usual, n=size, rng=rng)
            parts.append(sent(inputs, first=first, last=last, client=attacker))
        elif kind == "campaign":
            parts.append(campaign(usual, first=first, last=last, n=size, rng=rng))
    every = pd.concat([each.astype({"label": "Int64"}) for each in parts])
    for kind, first, last, _ in happened:
        if kind == "poisoned_labels":
            every = poisoned(every, first=first, last=last)
    return answered(every, scores), ledger_of(happened)


def busiest(
    rows: pd.DataFrame, usual: pd.DataFrame, *, times: float, days: int = DAYS
) -> pd.DataFrame:
    """Return the customary rate limit, by day: a client with so many times its usual requests.

    Its usual is its busiest day of the reference.
    """
    most = (
        usual.groupby(["client", usual["event_time"].dt.floor("1D")]).size().groupby("client").max()
    )
    by_day = rows.groupby(["client", rows["event_time"].dt.floor("1D")]).size().rename("value")
    table = by_day.reset_index().rename(columns={"event_time": "window_start"})
    every = pd.MultiIndex.from_product(
        [most.index, pd.date_range(CURRENT_FROM, periods=days, freq="1D")],
        names=["client", "window_start"],
    )
    table = table.set_index(["client", "window_start"]).reindex(every, fill_value=0).reset_index()
    limit = times * table["client"].map(most)
    return table.assign(
        window_end=table["window_start"] + DAY, threshold_high=limit, alarm=table["value"] > limit
    )
