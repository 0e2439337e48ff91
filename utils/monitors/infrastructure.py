"""Is the service healthy and affordable? Latency, errors, traffic, resources, cost by window."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import bdtr, gammaincinv, stdtrit

from utils.monitors import windows
from utils.monitors.intervals import checked_level, ratio, wilson
from utils.monitors.kinds import numbers
from utils.monitors.measures import Line, sums
from utils.records import measurements, utc_now

MONITOR = "infrastructure"
PERCENTILES = (50, 90, 95, 99)
DISK_GUARD = 0.75
"""The share of the disk above which SageMaker stops to capture; predictions go on."""

_US = 1_000_000
_DAY = 86_400 * _US
_MINUTE = 60 * _US


# ------------------------------------------------------------------------------- how sure we are


def poisson(
    events: np.ndarray | float, *, level: float = 0.95
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Return the exact interval of the mean of a Poisson count, of which ``events`` were seen.

    Divide both bounds by the seconds for a rate. It does not know that events come in bursts: where
    one request brings others, the interval is too narrow.

    Source: F. Garwood (1936), "Fiducial limits for the Poisson distribution", Biometrika 28.

    >>> low, high = poisson(10)
    >>> print(round(float(low), 2), round(float(high), 2))
    4.8 18.39
    """
    events = np.asarray(events, dtype=float)
    tail = (1 - checked_level(level)) / 2
    low = np.where(events > 0, gammaincinv(np.maximum(events, 1), tail), 0.0)
    return low, gammaincinv(events + 1, 1 - tail)


def quantile(
    values: np.ndarray, q: float, *, unit: np.ndarray | None = None, level: float = 0.95
) -> tuple[float, float, float]:
    """Return a quantile of a sample, and the interval that its own order gives: no curve assumed.

    The quantile is the smallest value that at least a share ``q`` of the sample does not exceed.
    Both bounds are values of the sample too, chosen by the binomial distribution of how many of so
    many values lie below the true quantile. **A bound that the sample cannot give is** ``NaN``: an
    upper one for the 99th percentile, at a level of 0.95, takes 368 values.

    ``unit`` says which values belong together (the minute, the day); the interval is then the wider
    of that one and of the one whose share below varies as it does between units. Without it values
    count as independent, and those of one slow hour are not.

    Raises ``ValueError`` for a ``q`` that is not between 0 and 1.

    Sources: W. R. Thompson (1936), "On confidence ranges for the median", Annals of Mathematical
    Statistics 7; R. S. Woodruff (1952), "Confidence intervals for medians and other position
    measures", Journal of the American Statistical Association 47.

    >>> quantile(np.arange(1.0, 101.0), 0.5)
    (50.0, 40.0, 61.0)
    """
    if not 0 < q < 1:
        raise ValueError(f"q={q!r}: a number between 0 and 1 is needed, such as 0.95")
    order = np.sort(values)
    n = len(order)
    if not n:
        return np.nan, np.nan, np.nan
    value = _at(order, np.ceil(round(q * n, 9)))
    tail = (1 - checked_level(level)) / 2
    spread = 12 * np.sqrt(n * q * (1 - q)) + 12
    ranks = np.arange(max(0, int(n * q - spread)), min(n, int(n * q + spread)) + 1)
    below = bdtr(ranks, n, q)  # of the count of values up to the true quantile
    lower, upper = ranks[below <= tail], ranks[below >= 1 - tail]
    low = int(lower[-1]) + 1 if len(lower) else 0
    high = int(upper[0]) + 1
    if unit is not None:
        half = n * _half_width(values <= value, unit, level=level)
        low, high = np.fmin(low, np.floor(n * q - half)), np.fmax(high, np.ceil(n * q + half))
        if np.isnan(half):
            low, high = 0, n + 1
    return value, _at(order, low), _at(order, high)


def _at(order: np.ndarray, rank: float) -> float:
    """Return the value of a rank, counted from 1; ``NaN`` where there is none."""
    return float(order[int(rank) - 1]) if 1 <= rank <= len(order) else np.nan


def _half_width(values: np.ndarray, unit: np.ndarray, *, level: float) -> float:
    """Return half the interval of a mean whose rows are independent from unit to unit only."""
    _, at = np.unique(unit, return_inverse=True)
    totals = np.bincount(at, weights=values - np.mean(values))
    k = len(totals)
    if k < 2:
        return np.nan
    error = np.sqrt((totals**2).sum() * k / (k - 1)) / len(values)
    return float(stdtrit(k - 1, (1 + level) / 2) * error)


def trend(
    time: np.ndarray, values: np.ndarray, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Return the slope of values over time and its interval: the median over all pairs of points.

    Up to 29 points in a hundred may be anything (a restart, a peak) before the slope follows them.
    The interval asks nothing of the noise but that its order is random: it holds for any
    distribution, and not for noise that wanders. Fewer than 5 points have none at a level of 0.95.

    Source: P. K. Sen (1968), "Estimates of the regression coefficient based on Kendall's tau",
    Journal of the American Statistical Association 63.

    >>> time = np.arange(6.0)
    >>> trend(time, 2 * time + [0, 0, 0, 50, 0, 0])[0]
    2.0
    """
    later, earlier = np.tril_indices(len(time), -1)
    apart = time[later] != time[earlier]
    later, earlier = later[apart], earlier[apart]
    slopes = np.sort((values[later] - values[earlier]) / (time[later] - time[earlier]))
    if not len(slopes):
        return np.nan, np.nan, np.nan
    outside = _swaps(len(time), (1 - checked_level(level)) / 2)
    return float(np.median(slopes)), _at(slopes, outside), _at(slopes, len(slopes) + 1 - outside)


def _swaps(n: int, tail: float) -> int:
    """Return the largest k for which fewer than k swapped pairs of n have a probability <= tail."""
    share = np.ones(1)
    for size in range(2, n + 1):  # the size-th of a random order is before 0..size-1 of the others
        upto = np.cumsum(np.append(share, np.zeros(size - 1)))
        share = (upto - np.append(np.zeros(size), upto[:-size])) / size
    return int((np.cumsum(share) <= tail).sum())


# ------------------------------------------------------------------------------------- requests


def infrastructure(
    frame: pd.DataFrame,
    *,
    window: windows.Length | None = "1D",
    group_column: str | None = None,
    status_column: str | None = None,
    block: windows.Length | None = None,
    minimum: int = 30,
    level: float = 0.95,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "event_time",
    latency_column: str | None = "latency_ms",
) -> pd.DataFrame:
    """Return latency, errors and traffic in each window of time, with intervals: measurements.

    - ``latency_p50_ms``, ``…_p90_ms``, ``…_p95_ms``, ``…_p99_ms``: half, nine in ten, … of the
      requests took no longer (see ``quantile``). Rows without a latency do not count. There is no
      mean: one timeout moves it, and nobody waits for the mean.
    - ``error_rate``: the share of answers that are an error of the service. ``status_column`` holds
      HTTP statuses, of which 500 and above are errors, or a flag: true, or 1, for an error. Of
      statuses, ``refused_rate`` (400 to 499: the caller's error) is measured too.
    - ``requests_per_second``: over the part of the window that was watched.
    - ``peak_requests_per_minute``: of the busiest minute of the clock.
    - ``longest_silence_s``: the longest time without a request. These two are counted, not
      estimated, and have no interval.

    **What it does not tell.** Only requests that were captured are there: of those that never
    reached the service, and of the time that the network took, it knows nothing. The latency is
    what the service measured; whether requests waited before is not in it (see ``sizing``). A
    silence may be the night.

    **Windows** are those of ``windows.cut``, half-open. What was watched goes from ``start``, or
    else the first request, to ``end``, or else the last: give both where the ends may be silent.
    With ``group_column`` (a version, a replica) each metric is measured for each group too.

    **Intervals** hold at ``level``: order statistics, Wilson's, and Garwood's for Poisson counts.
    With ``block="1min"`` or longer they are never narrower than the variation from block to block
    makes them: requests of one slow minute are slow together. Fewer than ``minimum`` rows give
    ``NaN``, and ``n_current`` says how many there were; counts and silences are always given.

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=600, freq="2s", tz="UTC"),
    ...     "latency_ms": [5.0, 9.0] * 300, "status": [200] * 570 + [503] * 30})
    >>> table = infrastructure(frame, status_column="status", window="1h").set_index("metric")
    >>> table.loc[["latency_p95_ms", "error_rate", "longest_silence_s"], "value"].tolist()
    [9.0, 0.05, 2.0]
    """
    checked_level(level)
    if minimum < 1:
        raise ValueError(f"minimum={minimum!r}: at least 1 is needed")
    requests = _requests(
        frame,
        time_column=time_column,
        latency_column=latency_column,
        status_column=status_column,
        block=block,
    )
    edges = windows.cut(requests["time"].to_numpy(), window=window, start=start, end=end)
    watched = _watched(requests["time"].to_numpy(), start=start, end=end)
    parts = [("", requests)]
    if group_column is not None:
        from utils.monitors.performance import group_codes

        groups = windows.column(frame, group_column, argument="group_column")
        codes, names = group_codes(groups.iloc[requests.index])
        parts += [(name, requests[codes == code]) for code, name in enumerate(names)]
    found = []
    for group, part in parts:
        for here, inside, span in _by_window(part, edges, watched):
            found += [
                here | {"group": group} | row
                for row in _of_requests(inside, span, minimum=minimum, level=level)
            ]
    return _table(found)


def _requests(
    frame: pd.DataFrame,
    *,
    time_column: str,
    latency_column: str | None,
    status_column: str | None,
    block: windows.Length | None,
) -> pd.DataFrame:
    """Return time, block, latency and the flags of each request, in order of time."""
    time = windows.times(frame, time_column, argument="time_column")
    held = {"time": time}
    if latency_column is not None:
        held["latency"] = numbers_in(frame, latency_column, argument="latency_column")
    if status_column is not None:
        held |= _flags(windows.column(frame, status_column, argument="status_column"))
    if block is not None:
        held["unit"] = _blocks(time, block)
    return pd.DataFrame(held).sort_values("time", kind="stable")


def _blocks(time: np.ndarray, block: windows.Length) -> np.ndarray:
    length = windows.whole_microseconds(windows.length(block, argument="block"))
    return (time - windows.whole_microseconds(windows.ORIGIN)) // length


def numbers_in(frame: pd.DataFrame, name: str, *, argument: str) -> np.ndarray:
    """Return a column of numbers as floats, ``NaN`` where missing.

    Raises ``ValueError`` for a column that is not there, and for a value that is no number.

    >>> numbers_in(pd.DataFrame({"ms": [1, "slow"]}), "ms", argument="latency_column")
    Traceback (most recent call last):
    ValueError: latency_column='ms' holds 'slow': a number is needed
    """
    series = windows.column(frame, name, argument=argument)
    values = numbers(series)
    odd = series[np.isnan(values) & series.notna().to_numpy()].tolist()
    if odd:
        raise ValueError(f"{argument}={name!r} holds {odd[0]!r}: a number is needed")
    return values


def _flags(status: pd.Series) -> dict[str, np.ndarray]:
    """Return error, and refused where statuses are HTTP's, as 0, 1, or ``NaN`` where missing."""
    name = status.name
    if status.dropna().isin([0, 1]).all():
        return {"error": status.astype("Float64").to_numpy(dtype=float, na_value=np.nan)}
    code = pd.to_numeric(status, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    odd = status[status.notna().to_numpy() & ~((code >= 100) & (code < 600))].tolist()
    if odd:
        raise ValueError(
            f"status_column={name!r} holds {odd[0]!r}: an HTTP status (100 to 599), or a flag that "
            "is 0 or 1, is needed"
        )
    known = np.where(np.isnan(code), np.nan, 1.0)
    return {"error": known * (code >= 500), "refused": known * ((code >= 400) & (code < 500))}


def _watched(
    time: np.ndarray, *, start: windows.Moment | None, end: windows.Moment | None
) -> tuple[int, int]:
    """Return the first microsecond that was watched, and the one after the last."""
    first, last = windows.moment(start, argument="start"), windows.moment(end, argument="end")
    return (
        windows.whole_microseconds(first) if first is not None else int(time.min(initial=2**62)),
        windows.whole_microseconds(last) if last is not None else int(time.max(initial=-1)) + 1,
    )


def _by_window(
    rows: pd.DataFrame, edges: np.ndarray, watched: tuple[int, int]
) -> Iterator[tuple[dict[str, Any], pd.DataFrame, tuple[int, int]]]:
    """Yield the key of each window, its rows, and the part of it that was watched."""
    at = np.searchsorted(rows["time"], edges)
    for (first, last), (low, high) in zip(
        itertools.pairwise(edges.tolist()), itertools.pairwise(at), strict=True
    ):
        here = {
            "monitor": MONITOR,
            "window_start": windows.from_microseconds(first),
            "window_end": windows.from_microseconds(last),
        }
        yield here, rows.iloc[low:high], (max(first, watched[0]), min(last, watched[1]))


def _of_requests(
    rows: pd.DataFrame, span: tuple[int, int], *, minimum: int, level: float
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of the requests of one window."""
    unit = rows["unit"].to_numpy() if "unit" in rows else None
    if "latency" in rows:
        yield from _latencies(rows["latency"].to_numpy(), unit=unit, minimum=minimum, level=level)
    for name in ("error", "refused"):
        if name in rows:
            yield {"metric": f"{name}_rate"} | _share(
                rows[name].to_numpy(), unit=unit, minimum=minimum, level=level
            )
    yield from _traffic(rows["time"].to_numpy(), span, unit=unit, level=level)


def _latencies(
    latency: np.ndarray, *, unit: np.ndarray | None, minimum: int, level: float
) -> Iterator[dict[str, Any]]:
    there = ~np.isnan(latency)
    latency, unit = latency[there], None if unit is None else unit[there]
    for percentile in PERCENTILES:
        value = low = high = np.nan
        if len(latency) >= minimum:
            value, low, high = quantile(latency, percentile / 100, unit=unit, level=level)
        yield {
            "metric": f"latency_p{percentile}_ms",
            "value": value,
            "low": low,
            "high": high,
            "n_current": len(latency),
        }


def _share(
    flags: np.ndarray, *, unit: np.ndarray | None, minimum: int, level: float
) -> dict[str, Any]:
    there = ~np.isnan(flags)
    flags = flags[there]
    if len(flags) < minimum:
        return {"value": np.nan, "n_current": len(flags)}
    value = flags.mean()
    low, high = wilson(flags.sum(), len(flags), level=level)
    if unit is not None:
        half = _half_width(flags, unit[there], level=level)
        low, high = max(0.0, np.fmin(low, value - half)), min(1.0, np.fmax(high, value + half))
    return {"value": value, "low": float(low), "high": float(high), "n_current": len(flags)}


def _traffic(
    time: np.ndarray, span: tuple[int, int], *, unit: np.ndarray | None, level: float
) -> Iterator[dict[str, Any]]:
    n, seconds = len(time), max(0, span[1] - span[0]) / _US
    low, high = poisson(n, level=level)
    if unit is not None and n:
        per_block = np.bincount(unit - unit.min())
        k = len(per_block)
        half = stdtrit(k - 1, (1 + level) / 2) * per_block.std(ddof=1) * np.sqrt(k) if k > 1 else 0
        low, high = max(0.0, min(low, n - half)), max(high, n + half)
    yield {
        "metric": "requests_per_second",
        "n_current": n,
        **{k: float(ratio(v, seconds)) for k, v in zip(_VALUES, (n, low, high), strict=True)},
    }
    minutes = time // _MINUTE
    peak = np.bincount(minutes - minutes[0]).max() if n else 0
    gaps = np.diff(np.concatenate([span[:1], time, span[1:]]))
    silence = max(0, gaps.max()) / _US
    known = seconds > 0
    yield {
        "metric": "peak_requests_per_minute",
        "value": peak if known else np.nan,
        "n_current": n,
    }
    yield {"metric": "longest_silence_s", "value": silence if known else np.nan, "n_current": n}


_VALUES = ("value", "low", "high")


def _table(found: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the measurements by metric and feature (in the order found), group and window."""
    order = {key: at for at, key in enumerate(dict.fromkeys(map(_what, found)))}
    found.sort(key=lambda row: (order[_what(row)], row.get("group", ""), row["window_start"]))
    return measurements(found)


def _what(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["metric"], row.get("feature", "")


# ------------------------------------------------------------------------------------- resources


def sample(*, path: str = ".", over_s: float = 0.1) -> dict[str, Any]:
    """Return one reading of this process and its host: a row for ``usage``.

    ``sampled_at``; ``cpu_share`` and ``memory_share`` of the host, and ``disk_share`` of the disk
    under ``path``, in 0..1; ``memory_bytes``, what this process holds (resident set). The processor
    is watched for ``over_s`` seconds, for which the call blocks.

    A reading says nothing of what happened since the one before it; a peak between two is not seen.

    >>> sorted(sample(over_s=0.01))
    ['cpu_share', 'disk_share', 'memory_bytes', 'memory_share', 'sampled_at']
    """
    import psutil

    return {
        "sampled_at": utc_now(),
        "cpu_share": psutil.cpu_percent(interval=over_s) / 100,
        "memory_share": psutil.virtual_memory().percent / 100,
        "memory_bytes": psutil.Process().memory_info().rss,
        "disk_share": psutil.disk_usage(path).percent / 100,
    }


def usage(
    samples: pd.DataFrame,
    *,
    window: windows.Length | None = "7D",
    block: windows.Length = "1D",
    columns: Sequence[str] | None = None,
    capacity: Mapping[str, float] | None = None,
    guard: float = DISK_GUARD,
    minimum: int = 30,
    level: float = 0.95,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "sampled_at",
    disk_column: str = "disk_share",
) -> pd.DataFrame:
    """Return how much of each resource is used, and whether it is running out: measurements.

    ``samples`` has a row for each reading (see ``sample``); ``feature`` is the resource: each of
    ``columns``, or every column of numbers.

    - ``mean_use`` and ``p95_use``, in the unit of the column;
    - ``trend_per_day``: the slope over the medians of the blocks (see ``trend``). Whole blocks
      (days) take the daily rhythm out, and a restart or a peak does not bend it: a slow leak is an
      interval above 0;
    - ``days_until_full``, of resources with a ``capacity`` ({"memory_bytes": 8e9}) and of the disk,
      whose capacity is 1: how long until the trend gets there from the last block, ``inf`` where it
      does not rise. The interval is that of the trend: ``high`` is ``inf`` while it may be level;
    - ``last_use`` of the disk, beside the ``guard``: above 75 % SageMaker's capture stops while
      predictions go on, so an ``alarm`` here means that monitoring is about to be blind.

    **What it does not tell.** Nothing of what happened between two readings, nor who used it. The
    trend is a line: a disk that fills in jumps (a nightly dump) does so sooner than it says.

    **Intervals** hold at ``level`` and take blocks as independent, readings within one not.
    Fewer than ``minimum`` readings give ``NaN``; a mean and a 95th percentile need 2 blocks for an
    interval, a trend 5. ``window``, ``start`` and ``end`` are those of ``windows.cut``.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Source of the guard: Amazon SageMaker, "Data capture": stops above 75 % of the disk.

    >>> samples = pd.DataFrame({
    ...     "sampled_at": pd.date_range("2024-01-01", periods=7 * 24, freq="1h", tz="UTC"),
    ...     "disk_share": np.linspace(0.5, 0.64, 7 * 24)})
    >>> table = usage(samples).set_index("metric")
    >>> table.loc[["trend_per_day", "days_until_full"], "value"].round(2).tolist()
    [0.02, 18.37]
    """
    checked_level(level)
    if minimum < 1:
        raise ValueError(f"minimum={minimum!r}: at least 1 is needed")
    if not 0 < guard <= 1:
        raise ValueError(f"guard={guard!r}: a share above 0 and up to 1 is needed, such as 0.75")
    time = windows.times(samples, time_column, argument="time_column")
    if columns is None:
        of_numbers = samples.select_dtypes("number").columns
        columns = [name for name in of_numbers if name != time_column]
    limits = {disk_column: 1.0} | dict(capacity or {})
    for name in capacity or {}:
        windows.column(samples, name, argument="capacity")
    held = {name: numbers_in(samples, name, argument="columns") for name in columns}
    rows = pd.DataFrame({"time": time, "unit": _blocks(time, block)}).join(pd.DataFrame(held))
    rows = rows.sort_values("time", kind="stable")
    edges = windows.cut(time, window=window, start=start, end=end)
    found = []
    for here, inside, _ in _by_window(rows, edges, _watched(time, start=start, end=end)):
        for name in columns:
            use = inside[["time", "unit", name]].dropna().set_axis(["time", "unit", "use"], axis=1)
            about = here | {"feature": name, "n_current": len(use)}
            measured = list(_of_resource(use, limit=limits.get(name), minimum=minimum, level=level))
            if name == disk_column:
                last = use["use"].iloc[-1] if len(use) else np.nan
                alarm = bool(last > guard)
                measured.append(
                    {"metric": "last_use", "value": last, "threshold_high": guard, "alarm": alarm}
                )
            found += [about | row for row in measured]
    return _table(found)


def _of_resource(
    rows: pd.DataFrame, *, limit: float | None, minimum: int, level: float
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of one resource in one window."""
    unknown = (np.nan, np.nan, np.nan)
    mean = p95 = slope = left = unknown
    if len(rows) >= minimum:
        use, unit = rows["use"].to_numpy(), rows["unit"].to_numpy()
        half = _half_width(use, unit, level=level)
        mean = (use.mean(), use.mean() - half, use.mean() + half)
        p95 = quantile(use, 0.95, unit=unit, level=level)
        by_block = rows.groupby("unit").agg({"time": "mean", "use": "median"})
        slope = trend(by_block["time"].to_numpy() / _DAY, by_block["use"].to_numpy(), level=level)
        if limit is not None:
            left = _days_left(limit - by_block["use"].iloc[-1], slope)
    for name, (value, low, high) in (
        ("mean_use", mean),
        ("p95_use", p95),
        ("trend_per_day", slope),
        *([("days_until_full", left)] if limit is not None else []),
    ):
        yield {"metric": name, "value": value, "low": low, "high": high}


def _days_left(room: float, slope: tuple[float, float, float]) -> tuple[float, float, float]:
    value, low, high = slope
    return _days(room, value), _days(room, high), _days(room, low)


def _days(room: float, per_day: float) -> float:
    if room <= 0:
        return 0.0
    if np.isnan(per_day):
        return np.nan
    return float(room / per_day) if per_day > 0 else np.inf


# ------------------------------------------------------------------------------------------ cost


def cost_per_thousand(
    predictions: pd.DataFrame,
    *,
    hourly_price: float,
    currency: str,
    replicas: float = 1,
    window: windows.Length | None = "1D",
    level: float = 0.95,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return what a thousand predictions cost in each window, in ``currency``: measurements.

    ``predictions`` has a row for each; the machines, ``replicas`` of them at ``hourly_price`` each,
    are paid for while they wait too. The metric's name ends in the currency:
    ``cost_per_thousand_brl``. It counts the hours that were watched (see ``infrastructure``); a
    window without predictions has no cost per thousand: ``NaN``, although its hours were paid.

    It does not tell what a prediction is worth, nor what storage, network and people cost. The
    interval is that of the traffic, as a Poisson count; the price is taken as certain.

    Raises ``ValueError`` for a price or a number of replicas that is not above 0, and for a
    currency without a name.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=4000, freq="3s", tz="UTC")})
    >>> table = cost_per_thousand(frame, hourly_price=0.6, currency="BRL", replicas=2, window="1h",
    ...                           end="2024-01-01T01:00Z")
    >>> table[["metric", "value"]].values.tolist()
    [['cost_per_thousand_brl', 1.0]]
    """
    checked_level(level)
    for argument, number in (("hourly_price", hourly_price), ("replicas", replicas)):
        if not (number > 0 and np.isfinite(number)):
            raise ValueError(f"{argument}={number!r}: a number above 0 is needed")
    if not currency.strip():
        raise ValueError(f"currency={currency!r}: name the unit of the price, such as 'BRL'")
    time = windows.times(predictions, time_column, argument="time_column")
    edges = windows.cut(time, window=window, start=start, end=end)
    rows = pd.DataFrame({"time": np.sort(time)})
    found = []
    for here, inside, span in _by_window(rows, edges, _watched(time, start=start, end=end)):
        paid = 1000 * hourly_price * replicas * max(0, span[1] - span[0]) / _US / 3600
        n = len(inside)
        low, high = poisson(n, level=level)
        found.append(
            here
            | {
                "metric": f"cost_per_thousand_{currency.strip().lower()}",
                "value": float(ratio(paid, n)),
                "low": float(ratio(paid, high)) if n else np.nan,
                "high": float(ratio(paid, low)),
                "n_current": n,
            }
        )
    return measurements(found)


# ---------------------------------------------------------------------------- a line of the suite

_PER_DECADE = 60
_BELOW, _ABOVE = 1, 3  # decades kept beyond what the reference shows
_OF_LATENCY = {50: 30, 95: 60, 99: 300}
"""The percentiles that have a line, and how many rows each needs: three beyond it, 30 at least."""


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The measure of latency and errors: how many requests in each of many fine bins of time.

    Bins are even on the log scale, 60 to a decade, so a percentile is read off to within 2 %, on
    the way between the bin's edges. They reach from a decade under the reference's lowest latency
    to three above its highest; what lies beyond is in the outermost, and what is no number is
    missing.
    """

    latency_column: str
    status_column: str | None
    edges: np.ndarray  # log10, ascending; one bin between each two

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        latency_column: str = "latency_ms",
        status_column: str | None = None,
    ) -> Latency:
        """Return the measure whose bins fit the reference.

        Raises ``ValueError`` for a reference without a latency above 0.

        >>> reference = pd.DataFrame({"latency_ms": [5.0, 8.0, 40.0]})
        >>> [line.metric for line in Latency.of(reference).lines]
        ['latency_p50_ms', 'latency_p95_ms', 'latency_p99_ms']
        """
        latency = numbers(windows.column(reference, latency_column, argument="latency_column"))
        there = latency[(latency > 0) & np.isfinite(latency)]
        if not len(there):
            raise ValueError(
                f"latency_column={latency_column!r}: the reference holds no latency above 0"
            )
        lowest = int(np.floor(np.log10(there.min()))) - _BELOW
        highest = int(np.ceil(np.log10(there.max()))) + _ABOVE
        return cls(
            latency_column=latency_column,
            status_column=status_column,
            edges=np.linspace(lowest, highest, (highest - lowest) * _PER_DECADE + 1),
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        percentiles = [
            Line(monitor=MONITOR, metric=f"latency_p{p}_ms", minimum=least, scale="log")
            for p, least in _OF_LATENCY.items()
        ]
        errors = Line(monitor=MONITOR, metric="error_rate", scale="logit")
        return (*percentiles, *([errors] if self.status_column else []))

    @property
    def n_bins(self) -> int:
        return len(self.edges) - 1

    @property
    def n_cells(self) -> int:
        return self.n_bins + (2 if self.status_column else 0)

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        column = windows.column(frame, self.latency_column, argument="latency_column")
        latency = numbers(column)
        there = ~np.isnan(latency)
        floor = 10 ** self.edges[0]
        place = (np.log10(np.maximum(latency[there], floor)) - self.edges[0]) * _PER_DECADE
        at = np.clip(np.ceil(np.minimum(place, self.n_bins)) - 1, 0, self.n_bins - 1)
        flat = block[there] * self.n_bins + at.astype(np.int64)
        counts = np.bincount(flat, minlength=n_blocks * self.n_bins).astype(float)
        parts = [counts.reshape(n_blocks, self.n_bins)]
        if self.status_column is not None:
            status = windows.column(frame, self.status_column, argument="status_column")
            error = _flags(status)["error"]
            parts += [sums(error, block, n_blocks)[:, None]]
            parts += [sums(~np.isnan(error), block, n_blocks)[:, None]]
        return np.concatenate(parts, axis=1)

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        upto = current[..., : self.n_bins].cumsum(axis=-1)
        found = [self._percentile(upto, p / 100) for p in _OF_LATENCY]
        if self.status_column is not None:
            found.append(ratio(current[..., -2], current[..., -1]))
        return np.stack(found, axis=-1)

    def _percentile(self, upto: np.ndarray, q: float) -> np.ndarray:
        """Return the latency up to which a share q of the counts lies."""
        n = upto[..., -1:]
        at = np.minimum((upto < q * n).sum(axis=-1, keepdims=True), self.n_bins - 1)
        there = np.take_along_axis(upto, at, axis=-1)
        before = np.where(at > 0, np.take_along_axis(upto, np.maximum(at - 1, 0), axis=-1), 0)
        way = ratio(q * n - before, there - before)
        return 10 ** (self.edges[at] + way / _PER_DECADE)[..., 0]

    def counts(self, current: np.ndarray) -> np.ndarray:
        n = current[..., : self.n_bins].sum(axis=-1)
        found = [n] * len(_OF_LATENCY)
        if self.status_column is not None:
            found.append(current[..., -1])
        return np.stack(found, axis=-1)
