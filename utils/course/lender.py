"""A lender's year and its answer key: what chapter 00 looks at.

A model of repayment is trained on loans of early 2023, all of whose outcomes are known, and decides
on every application of the 52 weeks from 1 January 2024. Two things happen in the year, both in the
ledger. In spring a campaign brings people to the app: the inputs change loudly, and nobody is hurt.
In June the same applicants begin to repay less: no input changes, and the model is wrong.

The service is healthy by construction: its latencies and errors are simulated, and the incidents do
not touch them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from utils.course.models import credit_model
from utils.datasets import credit, incidents
from utils.monitors.intervals import wilson
from utils.monitors.performance import performance
from utils.records import Incident, measurements

YEAR_START = pd.Timestamp("2024-01-01", tz="UTC")
"""A Monday, so that weeks and windows of 28 days begin on Mondays."""

YEAR_BEFORE_START = pd.Timestamp("2023-01-02", tz="UTC")
"""364 days earlier, so that each window has one of the same weekdays and season to compare with."""

N_DAYS = 364
TRAINING_DAYS = 168
"""Loans of so many days are all settled (195 days at most) before the model goes into service."""

THRESHOLD = 0.75
"""From this estimated probability of repayment on, the lender says yes."""

CAMPAIGN = Incident(
    kind="covariate_drift_harmless",
    columns=("channel",),
    options={"toward": "app"},
    start=pd.Timestamp("2024-02-26", tz="UTC"),
    end=pd.Timestamp("2024-04-22", tz="UTC"),
)
HARDER_TIMES = Incident(
    kind="concept_drift_sudden",
    strength=0.35,
    start=pd.Timestamp("2024-06-17", tz="UTC"),
    end=YEAR_START + pd.Timedelta(days=N_DAYS),
)

_REACHED_BY_CAMPAIGN = 1.8
"""The campaign reaches so many times more people; few of them come by another way than the app, so
the volume stays about the same."""

_MEDIAN_LATENCY_MS = 8.0
_LATENCY_SPREAD = 0.35
_ERROR_SHARE = 0.001

LATENCY_LIMIT_MS = 25.0
ERROR_LIMIT_PCT = 2.0

_CHANCE = 0.99
_CHANCE_DRAWS = 200
_SLICES = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, kw_only=True)
class Year:
    """Every request of a year, those of the year before, and the ledger of what happened.

    ``requests`` has the columns of an application and its outcome (``credit.outcomes``), ``score``
    (the model's probability of repayment), ``latency_ms`` and ``error`` (the first try failed).
    ``year_before`` has the inputs and what today's model would have scored.
    """

    requests: pd.DataFrame
    year_before: pd.DataFrame
    ledger: pd.DataFrame

    @property
    def granted(self) -> pd.DataFrame:
        """The loans that were made, the only requests that ever get a label."""
        return self.requests[self.requests["approved"]]

    @property
    def promised(self) -> float:
        """The default rate of the loans granted, had the model been right of each."""
        return float(1 - self.granted["score"].mean())

    @property
    def settled(self) -> pd.Timestamp:
        """When the last label came."""
        return self.granted["known_at"].max()


def lender_year(*, seed: int, requests_per_day: int) -> Year:
    """Return the year of a lender, the same for the same ``seed``.

    ``requests_per_day`` is the mean of an ordinary weekday.

    >>> year = lender_year(seed=1, requests_per_day=10)
    >>> year.ledger[["kind", "harmful"]].values.tolist()
    [['covariate_drift_harmless', False], ['concept_drift_sudden', True]]
    """
    rng = np.random.default_rng(seed)
    before = credit.applications(
        start=YEAR_BEFORE_START, n_days=N_DAYS, per_day=requests_per_day, seed=seed
    )
    model = _trained(before, seed=seed)
    applied = _applied(seed=seed, per_day=requests_per_day)
    requests, ledger = incidents.inject(
        _answered(_scored(applied, model), seed=seed),
        [CAMPAIGN, HARDER_TIMES],
        rng=rng,
        time_column="applied_at",
        relabel=credit.relabel,
    )
    return Year(
        requests=_served(requests, rng=rng), year_before=_scored(before, model), ledger=ledger
    )


def _trained(applied: pd.DataFrame, *, seed: int) -> Pipeline:
    """Return the model, fitted to early loans; whoever could afford one then got one."""
    early = applied[applied["applied_at"] < YEAR_BEFORE_START + pd.Timedelta(days=TRAINING_DAYS)]
    affordable = credit.decide(early, np.ones(len(early)), threshold=0.0)
    lent = credit.outcomes(early, affordable, seed=seed)
    lent = lent[lent["approved"]]
    return credit_model().fit(lent[list(credit.FEATURES)], lent[credit.TARGET].astype("int64"))


def _applied(*, seed: int, per_day: float) -> pd.DataFrame:
    """Return who applies, with all those reached by the campaign still among them."""
    ordinary = credit.applications(start=YEAR_START, n_days=N_DAYS, per_day=per_day, seed=seed)
    reached = credit.applications(
        start=CAMPAIGN.start,
        n_days=(CAMPAIGN.end - CAMPAIGN.start).days,
        per_day=_REACHED_BY_CAMPAIGN * per_day,
        seed=seed,
    )
    during = ordinary["applied_at"].between(CAMPAIGN.start, CAMPAIGN.end, inclusive="left")
    return pd.concat([ordinary[~during], reached], ignore_index=True)


def _scored(applied: pd.DataFrame, model: Pipeline) -> pd.DataFrame:
    return applied.assign(score=model.predict_proba(applied[list(credit.FEATURES)])[:, 1])


def _answered(scored: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    approved = credit.decide(scored, scored["score"], threshold=THRESHOLD)
    return credit.outcomes(scored, approved, seed=seed)


def _served(requests: pd.DataFrame, *, rng: np.random.Generator) -> pd.DataFrame:
    n = len(requests)
    latency_ms = _MEDIAN_LATENCY_MS * np.exp(_LATENCY_SPREAD * rng.standard_normal(n))
    return requests.assign(latency_ms=latency_ms, error=rng.random(n) < _ERROR_SHARE)


# What the screens show of it ---------------------------------------------------------------------


def service_weeks(requests: pd.DataFrame) -> pd.DataFrame:
    """Return what an operations screen shows, week by week, as measurements.

    Requests a day (at least half of the mean of all weeks), the 95th percentile of the latency and
    the share of errors, each with its limit; an alarm is a week beyond it. It does not tell whether
    a single answer was right.

    >>> one_a_day = pd.DataFrame({
    ...     "applied_at": pd.date_range(YEAR_START, periods=N_DAYS), "latency_ms": 8.0,
    ...     "error": False})
    >>> print(service_weeks(one_a_day).loc[:2, ["metric", "value"]].to_string(index=False))
              metric  value
    requests_per_day    1.0
      latency_p95_ms    8.0
           error_pct    0.0
    """
    floor = len(requests) / N_DAYS / 2
    rows = []
    for start, end, week in _windows(requests, days=7):
        latency_ms = np.sort(week["latency_ms"])
        n, errors = len(week), int(week["error"].sum())
        error_low, error_high = wilson(errors, n)
        found = [
            {"metric": "requests_per_day", "value": n / 7, "threshold_low": floor},
            {
                "metric": "latency_p95_ms",
                "threshold_high": LATENCY_LIMIT_MS,
                **_percentile(latency_ms, 0.95),
            },
            {
                "metric": "error_pct",
                "value": 100 * errors / n,
                "low": 100 * float(error_low),
                "high": 100 * float(error_high),
                "threshold_high": ERROR_LIMIT_PCT,
            },
        ]
        where = {"monitor": "operations", "window_start": start, "window_end": end, "n_current": n}
        rows += [where | each for each in found]
    return _with_alarms(measurements(rows))


def inputs_moved(
    requests: pd.DataFrame, year_before: pd.DataFrame, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Return how far each input, and the score, moved from the same weeks of the year before.

    Measurements of windows of 28 days: ``moved_share``, the share of the requests that would have
    to be in another slice (fifths of a number, categories) for the two windows to look alike, in
    0..1; it is called the total variation distance. ``threshold_high`` is what the largest of all
    of them stays under in 99 of 100 years in which nothing changed. Whether a change matters to
    the model's answers, it does not tell.

    >>> year = lender_year(seed=1, requests_per_day=10)
    >>> moved = inputs_moved(year.requests, year.year_before, rng=np.random.default_rng(1))
    >>> moved.loc[moved["value"].idxmax(), "feature"]
    'channel'
    """
    shift = YEAR_START - YEAR_BEFORE_START
    rows, by_chance = [], np.zeros(_CHANCE_DRAWS)
    for start, end, now in _windows(requests, days=28):
        then = _between(year_before, start - shift, end - shift)
        for column in (*credit.FEATURES, "score"):
            reference, current = _counts(then[column], now[column])
            by_chance = np.maximum(by_chance, _chance(reference, current, rng=rng))
            rows.append(
                {
                    "monitor": "inputs",
                    "metric": "moved_share",
                    "feature": column,
                    "window_start": start,
                    "window_end": end,
                    "value": _moved(reference, current),
                    "n_reference": len(then),
                    "n_current": len(now),
                }
            )
    threshold = np.quantile(by_chance, _CHANCE)
    return _with_alarms(measurements(row | {"threshold_high": threshold} for row in rows))


def default_rate(
    loans: pd.DataFrame, *, known_by: pd.Timestamp | pd.Timedelta, window: str | None = "28D"
) -> pd.DataFrame:
    """Return, of the loans granted in each window, the share known by a moment to have defaulted.

    Measurements of the metric ``base_rate``, with Wilson's interval. ``known_by`` is a moment, or
    the age at which each loan is judged. A loan whose outcome is not known by then counts as not
    defaulted: with one moment for all, the newest loans look better than they are.

    >>> loans = pd.DataFrame({
    ...     "applied_at": [YEAR_START] * 40, "approved": True, "repaid": [0, 1, 1, 1] * 10,
    ...     "known_at": [YEAR_START + pd.Timedelta("45D")] * 40})
    >>> for days in ("44D", "45D"):
    ...     default_rate(loans, known_by=YEAR_START + pd.Timedelta(days))["value"].item()
    0.0
    0.25
    """
    by_age = isinstance(known_by, pd.Timedelta)
    moment = loans["applied_at"] + known_by if by_age else known_by
    defaulted = (loans["repaid"] == 0) & (loans["known_at"] <= moment)
    table = performance(
        loans.assign(defaulted=defaulted.astype("bool")),
        task="classification",
        metrics=["base_rate"],
        window=window,
        start=YEAR_START,
        rng=np.random.default_rng(0),
        time_column="applied_at",
        prediction_column="approved",
        label_column="defaulted",
    )
    return table[table["metric"] == "base_rate"].reset_index(drop=True)


def by_four_weeks(table: pd.DataFrame) -> pd.DataFrame:
    """Return whether a screen rang in each four weeks, so that screens can be held side by side.

    Columns: ``window_start``, ``window_end``, ``alarm``; they begin with the first window.

    >>> weeks = pd.date_range("2024-01-01", periods=8, freq="7D", tz="UTC")
    >>> table = pd.DataFrame({"window_start": weeks, "window_end": weeks + pd.Timedelta("7D"),
    ...                       "alarm": [False, True, *[False] * 6]})
    >>> by_four_weeks(table)["alarm"].tolist()
    [True, False]
    """
    length = pd.Timedelta("28D")
    first = table["window_start"].min()
    number = (table["window_start"] - first) // length
    rang = table.groupby(number)["alarm"].any()
    start = first + rang.index.to_numpy() * length
    return pd.DataFrame(
        {"window_start": start, "window_end": start + length, "alarm": rang.to_numpy()}
    )


def _windows(
    requests: pd.DataFrame, *, days: int
) -> Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.DataFrame]]:
    for first in range(0, N_DAYS, days):
        start = YEAR_START + pd.Timedelta(days=first)
        end = start + pd.Timedelta(days=days)
        yield start, end, _between(requests, start, end)


def _between(frame: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    return frame[frame["applied_at"].between(start, end, inclusive="left")]


def _with_alarms(table: pd.DataFrame) -> pd.DataFrame:
    beyond = table["value"].gt(table["threshold_high"]) | table["value"].lt(table["threshold_low"])
    return table.assign(alarm=beyond)


def _percentile(ordered: np.ndarray, share: float) -> dict[str, float]:
    """Return a percentile and its interval (95 %), which goes from one of the values to another."""
    n = len(ordered)
    half = 1.96 * np.sqrt(n * share * (1 - share))
    low, high = np.clip([n * share - half, n * share + half], 0, n - 1).astype(int)
    return {
        "value": float(np.quantile(ordered, share)),
        "low": float(ordered[low]),
        "high": float(ordered[high]),
    }


def _counts(reference: pd.Series, current: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return how many rows of each are in each slice; the reference says where slices begin."""
    if pd.api.types.is_numeric_dtype(reference):
        edges = np.unique(reference.quantile(_SLICES))
        slices = np.searchsorted(edges, reference), np.searchsorted(edges, current)
        n_slices = len(edges) + 1
    else:
        both, names = pd.factorize(pd.concat([reference, current]))
        slices = both[: len(reference)], both[len(reference) :]
        n_slices = len(names)
    return tuple(np.bincount(each, minlength=n_slices) for each in slices)


def _moved(reference: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Return half of the sum of differences in shares, over the last axis."""
    shares = (counts / counts.sum(axis=-1, keepdims=True) for counts in (reference, current))
    return np.abs(np.subtract(*shares)).sum(axis=-1) / 2


def _chance(reference: np.ndarray, current: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return draws of what two windows of these sizes differ by when nothing changed."""
    pooled = (reference + current) / (reference.sum() + current.sum())
    drawn = (rng.multinomial(c.sum(), pooled, size=_CHANCE_DRAWS) for c in (reference, current))
    return _moved(*drawn)
