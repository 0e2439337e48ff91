"""Does the budget of false alarms hold? Quiet years, counted, beside the thresholds of folklore.

``python -m benchmarks.false_alarms [--years 200] [--rows 50 1000 50000] [--kind iid …]
[--reference-weeks 52] [--out FILE]`` makes years of traffic in which nothing changes, each after a
reference of its own, and counts in how many windows of a week anything on the dashboard alarms:
data quality, drift of inputs, scores and labels, performance estimated and realised, calibration,
and fairness, some 60 lines. Every alarm is false. From ten thousand rows a week on, for the time it
takes, only quality and the drift of inputs and scores are watched, some 25 lines.

Three kinds of traffic: **iid**, rows that know nothing of one another; **weekly**, whose volume and
mix follow the day of the week; **autocorrelated**, in which each day is much like the day before
(AR(1), 0.7) in volume and in the mean of each input.

Beside it, on the same windows, what folklore says: an alarm where the PSI of some input exceeds
0.2, or where the p-value of some input's chi-squared test on tenths is below 0.05.

A year has 52 windows. The interval is that of the mean over the years (bootstrap over years); the
share of years beyond is of those with more false alarms than 97.5 in a hundred binomial years have.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from utils.monitors import suite
from utils.monitors.distances import chi_squared_p_value, psi
from utils.monitors.profile import Binning

KINDS = ("iid", "weekly", "autocorrelated")
BUDGETS = (1.0, 4.0, 12.0)
WEEKS = 52
START = np.datetime64("2024-01-01", "us")
NUMBERS = ("income", "age", "months")
CATEGORIES = ("region", "purpose")
ROLES = suite.Roles(
    time_column="event_time",
    features=(*NUMBERS, *CATEGORIES),
    task="classification",
    prediction_column="prediction",
    score_column="score",
    label_column="label",
    group_columns=("region",),
)

INPUTS_AND_SCORES = suite.Roles(
    time_column="event_time", features=(*NUMBERS, *CATEGORIES), score_column="score"
)
MANY_ROWS = 10_000


def traffic(
    kind: str, *, rows_a_week: int, weeks: int, start: np.datetime64, rng: np.random.Generator
) -> pd.DataFrame:
    """Return weeks of requests with scores and labels, in order of time; nothing changes."""
    days = 7 * weeks
    volume, moved = np.ones(days), np.zeros((days, len(NUMBERS) + 1))
    if kind == "weekly":
        volume = np.array([1.15, 1.1, 1.1, 1.1, 1.25, 0.8, 0.5])[np.arange(days) % 7]
        rhythm = np.array([0.1, 0.0, 0.0, 0.05, 0.2, 0.5, 0.7])
        moved = np.outer(rhythm[np.arange(days) % 7], [1.0, -0.5, 0.3, 0.8])
    elif kind == "autocorrelated":
        spells = _spells(days, 1 + moved.shape[1], rng=rng)
        volume, moved = np.exp(0.15 * spells[:, 0]), 0.15 * spells[:, 1:]
    n = rng.poisson(rows_a_week / 7 * volume)
    day = np.repeat(np.arange(days), n)
    second = rng.integers(86_400_000_000, size=len(day))
    time_of = start + (np.sort(day * 86_400_000_000 + second)).astype("timedelta64[us]")
    shift = moved[day]
    x = rng.normal(size=(len(day), len(NUMBERS))) + shift[:, : len(NUMBERS)]
    region = np.clip(
        np.searchsorted([-0.8, 0.2, 1.0, 1.6], rng.normal(size=len(day)) + shift[:, -1]), 0, 4
    )
    purpose = rng.choice(3, p=[0.6, 0.3, 0.1], size=len(day))
    score = 1 / (1 + np.exp(-(0.8 + x @ [0.9, 0.5, -0.4] - 0.3 * region)))
    frame = pd.DataFrame(
        {
            "event_time": pd.to_datetime(time_of).tz_localize("UTC"),
            "income": np.exp(8 + 0.5 * x[:, 0]).round(2),
            "age": (40 + 12 * x[:, 1]).round(),
            "months": np.where(rng.random(len(day)) < 0.03, np.nan, 24 + 8 * x[:, 2]),
            "region": pd.Categorical.from_codes(region, list("ABCDE")),
            "purpose": pd.Categorical.from_codes(purpose, ["home", "school", "shop"]),
            "score": score,
            "prediction": (score >= 0.5).astype("int64"),
            "label": (rng.random(len(day)) < score).astype("int64"),
        }
    )
    return frame


def _spells(days: int, n: int, *, rng: np.random.Generator, carried: float = 0.7) -> np.ndarray:
    """Return standard normal series, each day ``carried`` from the day before (days × n)."""
    fresh = rng.normal(size=(days, n))
    series = fresh.copy()
    for day in range(1, days):
        series[day] = carried * series[day - 1] + np.sqrt(1 - carried**2) * fresh[day]
    return series


def year(kind: str, *, rows_a_week: int, seed: int, reference_weeks: int = WEEKS) -> Iterator[dict]:
    """Yield the false alarms of one quiet year by each rule."""
    rng = np.random.default_rng([seed, rows_a_week, KINDS.index(kind)])
    begins = START + np.timedelta64(7 * reference_weeks, "D")
    reference = traffic(kind, rows_a_week=rows_a_week, weeks=reference_weeks, start=START, rng=rng)
    current = traffic(kind, rows_a_week=rows_a_week, weeks=WEEKS, start=begins, rng=rng)
    until = pd.Timestamp(begins, tz="UTC") + pd.Timedelta(7 * WEEKS, "D")
    roles = ROLES if rows_a_week < MANY_ROWS else INPUTS_AND_SCORES
    monitors = suite.fitted(reference, roles, rng=rng, false_alarms_per_year=BUDGETS[0])
    measured = monitors.measured(current, until=until)
    for budget in BUDGETS:
        asked = replace(monitors, false_alarms_per_year=budget, critical_per_year=budget / 10)
        found = asked.judged(measured)
        alarms = found.measurements.groupby("window_start")["alarm"].any()
        yield {"rule": f"budget {budget:g} a year", "alarms": int(alarms.sum())}
    for rule, count in folklore(reference, current, until=until).items():
        yield {"rule": rule, "alarms": count}


def folklore(
    reference: pd.DataFrame, current: pd.DataFrame, *, until: pd.Timestamp
) -> dict[str, int]:
    """Return in how many windows some input has a PSI over 0.2, or a p-value below 0.05."""
    features = list(ROLES.features)
    binning = Binning.fitted(reference, features=features)
    week = (
        (current["event_time"] - (until - pd.Timedelta(7 * WEEKS, "D"))).dt.days // 7
    ).to_numpy()
    counts = binning.counts(current, week, WEEKS)
    of_reference = binning.counts(reference, np.zeros(len(reference), dtype=int), 1)[0]
    far, unlikely = np.zeros(WEEKS, dtype=bool), np.zeros(WEEKS, dtype=bool)
    for bins, first in zip(binning.bins, binning.offsets, strict=True):
        cells = slice(first, first + bins.n_bins)
        far |= psi(of_reference[cells], counts[:, cells]) > 0.2
        unlikely |= chi_squared_p_value(of_reference[cells], counts[:, cells]) < 0.05
    return {"PSI > 0.2": int(far.sum()), "p < 0.05": int(unlikely.sum())}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[50, 1000, 50_000])
    parser.add_argument("--reference-weeks", type=int, default=WEEKS)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    counted = []
    with ProcessPoolExecutor(chosen.jobs) as pool:
        for rows, kind in itertools.product(chosen.rows, chosen.kind):
            asked = functools.partial(_one, kind, rows, chosen.reference_weeks)
            counted += itertools.chain.from_iterable(pool.map(asked, range(chosen.years)))
            table = summary(pd.DataFrame(counted))
            print(table[table["rows"].eq(rows) & table["kind"].eq(kind)].to_string(), flush=True)
            if chosen.out:
                table.to_csv(chosen.out, index=False)
    return 0


def _one(kind: str, rows: int, weeks: int, seed: int) -> list[dict]:
    return [
        {"rows": rows, "kind": kind, "seed": seed, **each}
        for each in year(kind, rows_a_week=rows, seed=seed, reference_weeks=weeks)
    ]


def summary(counted: pd.DataFrame) -> pd.DataFrame:
    """Return the false alarms a year of each rule: the mean, its interval, and the years beyond."""
    rng = np.random.default_rng(0)
    lines = []
    for (rows, kind, rule), found in counted.groupby(["rows", "kind", "rule"], sort=False):
        alarms = found["alarms"].to_numpy()
        means = rng.choice(alarms, size=(2000, len(alarms))).mean(axis=1)
        budget = float(rule.split()[1]) if rule.startswith("budget") else np.nan
        most = stats.binom.ppf(0.975, WEEKS, budget / WEEKS) if budget == budget else np.nan
        lines.append(
            {
                "rows": rows,
                "kind": kind,
                "rule": rule,
                "years": len(alarms),
                "false_alarms_a_year": round(alarms.mean(), 2),
                "low": round(np.quantile(means, 0.025), 2),
                "high": round(np.quantile(means, 0.975), 2),
                "share_of_years_beyond": round((alarms > most).mean(), 3),
            }
        )
    return pd.DataFrame(lines)


if __name__ == "__main__":
    raise SystemExit(main())
