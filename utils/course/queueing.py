"""The service of chapter 11: requests that wait for a worker, by a declared mechanism.

Requests come at random, more in the early afternoon than at night. Each needs a worker for a
while of its own and waits, in order of arrival, until one is free. Nothing here is measured on the
machine at hand.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import pandas as pd

from utils.monitors.infrastructure import trend
from utils.records import LEDGER_COLUMNS

START = pd.Timestamp("2024-03-04", tz="UTC")
"""A Monday."""

DAY = pd.Timedelta(1, "D")
_SLOTS = 96
OK, REFUSED = 200, 503


def arrivals(
    *, start: pd.Timestamp, days: int, per_day: float, rng: np.random.Generator
) -> pd.DatetimeIndex:
    """Return when requests come: at random, at 14h some seven times as many as at night.

    At weekends six tenths as many.

    >>> times = arrivals(start=START, days=2, per_day=1000, rng=np.random.default_rng(0))
    >>> bool(times.is_monotonic_increasing), 1800 < len(times) < 2200
    (True, True)
    """
    hour = (np.arange(_SLOTS) + 0.5) * 24 / _SLOTS
    rhythm = 0.3 + np.exp(-(((hour - 14) / 4.5) ** 2)) * 1.8
    rhythm /= rhythm.sum()
    found = []
    for day in range(days):
        midnight = start + day * DAY
        volume = per_day * (0.6 if midnight.weekday() >= 5 else 1.0)
        n = rng.poisson(volume * rhythm)
        slot = np.repeat(np.arange(_SLOTS), n)
        second = (slot + rng.random(len(slot))) * 86_400 / _SLOTS
        found.append(midnight + pd.to_timedelta(np.sort(second * 1e6).astype("int64"), unit="us"))
    return pd.DatetimeIndex(np.concatenate(found)).as_unit("us")


def service_ms(n: int, *, mean: float, rng: np.random.Generator) -> np.ndarray:
    """Return how long each of ``n`` requests keeps a worker, in ms: most short, a few long.

    >>> times = service_ms(10_000, mean=100.0, rng=np.random.default_rng(0))
    >>> bool(abs(times.mean() - 100) < 3)
    True
    """
    return rng.gamma(2.0, mean / 2.0, size=n)


def served(
    times: pd.DatetimeIndex,
    needs_ms: np.ndarray,
    *,
    workers: int,
    most_wait_ms: np.ndarray | float = np.inf,
) -> pd.DataFrame:
    """Return what becomes of each request: how long it waited, took in all, and its status.

    ``workers`` serve in order of arrival. One that would have to wait longer than ``most_wait_ms``
    is refused at once: status 503, after a millisecond, and no worker sees it.

    Columns: ``event_time``, ``service_ms``, ``wait_ms``, ``latency_ms``, ``status``.

    >>> times = pd.DatetimeIndex(["2024-03-04T12:00:00Z"] * 3)
    >>> served(times, np.full(3, 100.0), workers=1)["latency_ms"].tolist()
    [100.0, 200.0, 300.0]
    >>> served(times, np.full(3, 100.0), workers=1, most_wait_ms=150.0)["status"].tolist()
    [200, 200, 503]
    """
    if workers < 1:
        raise ValueError(f"workers={workers!r}: at least 1 is needed")
    at_ms = times.as_unit("us").asi8 / 1000
    limit = np.broadcast_to(most_wait_ms, len(times))
    free = [0.0] * workers
    wait = np.empty(len(times))
    refused = np.zeros(len(times), dtype=bool)
    for row in range(len(times)):
        begins = max(at_ms[row], free[0])
        wait[row] = begins - at_ms[row]
        if wait[row] > limit[row]:
            wait[row], refused[row] = 0.0, True
        else:
            heapq.heapreplace(free, begins + needs_ms[row])
    needed = np.where(refused, np.nan, needs_ms)
    return pd.DataFrame(
        {
            "event_time": times,
            "service_ms": needed,
            "wait_ms": np.where(refused, np.nan, wait),
            "latency_ms": np.where(refused, 1.0, wait + needs_ms),
            "status": np.where(refused, REFUSED, OK),
        }
    )


def memory_samples(
    *,
    start: pd.Timestamp,
    days: int,
    leak_mb_per_day: float,
    leak_from: int = 0,
    most_mb: float = np.inf,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the memory of a process, in bytes, read every half an hour.

    It has 900 MB; the garbage of requests piles up to 250 MB and is collected every few hours; what
    leaks is never collected. ``leak_from`` is the day on which the leak begins; what grows to
    ``most_mb`` and stays there is a cache that fills, and no leak.

    >>> calm = memory_samples(start=START, days=2, leak_mb_per_day=0.0,
    ...                       rng=np.random.default_rng(0))
    >>> bool(calm["memory_bytes"].between(0.85e9, 1.3e9).all())
    True
    """
    n = 48 * days
    when = start + pd.to_timedelta(np.arange(n) * 30, unit="min")
    period = rng.integers(5, 14, size=n)
    ends = np.cumsum(period)
    last = np.searchsorted(ends, np.arange(n), side="right")
    begun = np.concatenate([[0], ends])[last]
    garbage = 250e6 * (np.arange(n) - begun) / period[last]
    leaked = 1e6 * np.clip(leak_mb_per_day * (np.arange(n) / 48 - leak_from), 0, most_mb)
    noise = rng.normal(0, 8e6, size=n)
    return pd.DataFrame({"sampled_at": when, "memory_bytes": 920e6 + garbage + leaked + noise})


LIFE_DAYS, GROWS_FROM, CACHE_DAYS = 56, 14, 10
"""How long a process lives, from which day something grows in it, and how long a cache fills."""


def lives(
    kinds: Sequence[str], *, mb_per_day: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the memory of processes that live eight weeks, one after the other, and their ledger.

    Each of ``kinds`` is ``"calm"``, ``"leak"`` (from the third week to its end) or ``"cache"``
    (which fills in ten days and stays full: harmless). The samples have a column ``life``.

    Raises ``ValueError`` for another kind.

    >>> samples, ledger = lives(["calm", "leak"], mb_per_day=15.0, rng=np.random.default_rng(0))
    >>> samples["life"].nunique(), ledger["kind"].tolist()
    (2, ['leak'])
    """
    found, happened = [], []
    for life, kind in enumerate(kinds):
        if kind not in ("calm", "leak", "cache"):
            raise ValueError(f"kinds: {kind!r}; each is 'calm', 'leak' or 'cache'")
        born = START + life * LIFE_DAYS * DAY
        samples = memory_samples(
            start=born,
            days=LIFE_DAYS,
            leak_mb_per_day=0.0 if kind == "calm" else mb_per_day,
            leak_from=GROWS_FROM,
            most_mb=mb_per_day * CACHE_DAYS if kind == "cache" else np.inf,
            rng=rng,
        )
        found.append(samples.assign(life=life))
        if kind != "calm":
            grows = LIFE_DAYS - GROWS_FROM if kind == "leak" else CACHE_DAYS
            since = born + GROWS_FROM * DAY
            happened.append((kind, since, since + grows * DAY, kind == "leak"))
    return pd.concat(found, ignore_index=True), ledger_of(happened)


def rising(samples: pd.DataFrame, *, days: int) -> pd.DataFrame:
    """Return for each day whether the memory rose over the last ``days`` of its process's life.

    It alarms where the whole 95% interval of the trend of the daily medians is above zero. The
    first days of a life have no trend yet. Columns: those of a window, ``value`` and ``low`` in
    bytes a day, ``alarm``.

    >>> samples, _ = lives(["leak"], mb_per_day=60.0, rng=np.random.default_rng(0))
    >>> bool(rising(samples, days=7)["alarm"].iloc[-1])
    True
    """
    rows = []
    day = samples["sampled_at"].dt.floor("1D")
    for _, medians in samples.groupby(["life", day])["memory_bytes"].median().groupby("life"):
        for last in range(1, len(medians) + 1):
            seen = medians.to_numpy()[max(last - days, 0) : last]
            value, low = np.nan, np.nan
            if len(seen) == days:
                value, low, _ = trend(np.arange(days), seen)
            rows.append((medians.index[last - 1][1], value, low, low > 0))
    table = pd.DataFrame(rows, columns=["window_start", "value", "low", "alarm"])
    return table.assign(window_end=table["window_start"] + DAY)


def above(samples: pd.DataFrame, *, limit_bytes: float) -> pd.DataFrame:
    """Return for each day whether any reading was above a limit: the customary alarm.

    >>> samples, _ = lives(["calm"], mb_per_day=0.0, rng=np.random.default_rng(0))
    >>> int(above(samples, limit_bytes=2e9)["alarm"].sum())
    0
    """
    most = samples.groupby(samples["sampled_at"].dt.floor("1D"))["memory_bytes"].max()
    table = most.rename_axis("window_start").rename("value").reset_index()
    return table.assign(
        window_end=table["window_start"] + DAY,
        threshold_high=limit_bytes,
        alarm=table["value"] > limit_bytes,
    )


def ledger_of(rows: list[tuple[str, pd.Timestamp, pd.Timestamp, bool]]) -> pd.DataFrame:
    """Return incidents (kind, start, end, harmful) as a ledger.

    >>> ledger_of([("replay", START, START + DAY, True)])[["incident", "kind"]].values.tolist()
    [[0, 'replay']]
    """
    return pd.DataFrame(
        [
            (number, kind, "", 1.0, start, end, harmful)
            for number, (kind, start, end, harmful) in enumerate(rows)
        ],
        columns=list(LEDGER_COLUMNS),
    )
