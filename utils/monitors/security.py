"""Is somebody misusing the service? Bursts, probing, extraction, replays, strangers: by client."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import bdtrik, pdtrik

from utils.monitors import windows
from utils.monitors.infrastructure import poisson
from utils.monitors.intervals import checked_level, ratio, wilson
from utils.monitors.measures import sums
from utils.monitors.requests import MONITOR, SIGNS, Requests, by_unit, clients_of
from utils.records import measurements

CHANCE = 0.001
"""Of so many windows one may alarm by chance, for each sign, over all its clients together."""

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_HISTORY = 4
_MOST_PAST = 1000


def security(
    frame: pd.DataFrame,
    *,
    reference: pd.DataFrame,
    features: Sequence[str],
    client_column: str = "client",
    known_clients: Iterable[Any] | None = None,
    score_column: str | None = None,
    decision: float = 0.5,
    window: windows.Length | None = "1D",
    memory: windows.Length = "1D",
    minimum: int = 30,
    most_clients: int = 50,
    chance: float = CHANCE,
    level: float = 0.95,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return signs of misuse by client and window, with intervals and thresholds: measurements.

    ``group`` is the client; "" is everyone. The signs, and what each does **not** tell:

    - ``peak_requests_per_minute``: a **burst**, in the client's busiest minute of the window. A
      batch job is one too, and a slow attack is none.
    - ``client_share``: the client's share of all requests: **sudden use of a key**. It rises too
      when the others go silent.
    - ``replayed_share``: the very same input again, from the same client or another. Honest retries
      are the same; an attacker who changes a digit is not seen here, but in the next.
    - ``probing_share``: requests that differ from the client's previous one in at most one feature:
      somebody **feels for the boundary**. It is blind to one who mixes in other requests.
    - ``even_spread_share``: inputs as of somebody who covers the range of the features evenly, and
      not as customers come: **model extraction**. Where honest inputs are evenly spread it sees
      nothing, and it takes a real change of the customers for one.
    - ``grid_share``: of pairs of the client's requests, half the window apart, those that have the
      exact value of a continuous feature in common and are not the same: values from a **grid**. A
      stuck sensor does that too. It needs a feature whose values seldom repeat in the reference.
    - ``boundary_share``, with ``score_column``: scores close to ``decision``, where a tenth of the
      reference's are: extraction near the boundary.
    - ``out_of_range_share``: a value beyond the reference's, or a category not in it.
    - ``unknown_client_share``: of everyone's requests those whose client is none of
      ``known_clients``, or else of the reference's; and of each such client, its share.

    **Thresholds.** A share alarms above ``threshold_high``: what a binomial count exceeds with the
    probability ``chance``, divided among the clients of the window, if the true share is the
    client's own highest in the windows of the reference, or the upper bound of its share over all
    of it; everyone's highest for a client with fewer than 4 windows of ``minimum`` requests there.
    A burst alarms above what a Poisson count exceeds in any minute of the window at the rate of the
    client's busiest hour in the reference, and above what its busiest minute there explains. An
    unknown client alarms at once when the clients are named, or the reference has no newcomers. The
    reference should be as long as a few windows, and clean: what it holds counts as usual.

    **Rows.** The ``most_clients`` busiest in some window are listed. Fewer than ``minimum``
    requests of a client in a window give ``NaN``; peaks and unknown clients are given always.
    ``window``, ``start`` and ``end`` are those of ``windows.cut``. Intervals hold at ``level`` and
    are Wilson's and Garwood's.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Sources: F. Tramèr et al. (2016), "Stealing machine learning models via prediction APIs", USENIX
    Security 25; M. Juuti et al. (2019), "PRADA: protecting against DNN model stealing attacks",
    EuroS&P.

    >>> rng = np.random.default_rng(0)
    >>> def sent(start, n, client):
    ...     return pd.DataFrame({
    ...         "event_time": pd.date_range(start, periods=n, freq="10min", tz="UTC"),
    ...         "client": client, "income": rng.gamma(2, 900, n), "age": rng.normal(40, 9, n)})
    >>> usual, today = sent("2024-01-01", 1008, "app"), sent("2024-01-08", 144, "app")
    >>> stolen = sent("2024-01-08", 144, "bot").assign(income=np.linspace(0, 9000, 144))
    >>> table = security(pd.concat([today, stolen]), reference=usual, features=["income", "age"])
    >>> table[table["alarm"]].groupby("group")["metric"].agg(list).to_dict()["bot"]
    ['even_spread_share', 'out_of_range_share', 'unknown_client_share']
    """
    checked_level(level)
    for argument, count in (("minimum", minimum), ("most_clients", most_clients)):
        if count < 1:
            raise ValueError(f"{argument}={count!r}: at least 1 is needed")
    if not 0 < chance < 1:
        raise ValueError(f"chance={chance!r}: a probability between 0 and 1 is needed")
    signs = Requests.of(
        reference,
        features=features,
        client_column=client_column,
        known_clients=known_clients,
        score_column=score_column,
        decision=decision,
        memory=memory,
        time_column=time_column,
    )
    now = _Counts.of(frame, signs, window=window, start=start, end=end, most=most_clients)
    usual = _Counts.of(reference, signs, window=window, most=_MOST_PAST, also=now.clients)
    rules = _Rules(minimum=minimum, chance=chance, level=level)
    found = [
        *_shares_of(now, usual, rules=rules),
        *_peaks_of(now, usual, rules=rules),
        *_strangers_of(now, usual, signs, rules=rules),
    ]
    order = ("peak_requests_per_minute", "client_share", *SIGNS, "grid_share")
    found.sort(
        key=lambda row: (order.index(row["metric"]), row.get("group", ""), row["window_start"])
    )
    return measurements(found)


@dataclass(frozen=True, kw_only=True)
class _Rules:
    minimum: int
    chance: float
    level: float


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """What is counted by client and window: hits and trials of each sign (clients + 1 × windows).

    The last row is of all the other clients together, so that the sum is everyone's.
    """

    clients: pd.Index
    edges: np.ndarray
    requests: np.ndarray
    unknown: np.ndarray  # requests of unknown clients, by window
    peaks: np.ndarray
    busiest_hour: np.ndarray
    signs: Mapping[str, tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        signs: Requests,
        *,
        window: windows.Length | None,
        start: windows.Moment | None = None,
        end: windows.Moment | None = None,
        most: int,
        also: Sequence[str] = (),
    ) -> _Counts:
        """Count the ``most`` clients that are busiest in some window, and those named ``also``."""
        time = windows.times(frame, signs.time_column, argument="time_column")
        edges = windows.cut(time, window=window, start=start, end=end)
        inside = (time >= edges[0]) & (time < edges[-1]) if len(edges) else time != time
        asked = signs.asked(frame)
        client = windows.column(frame, signs.client_column, argument="client_column")
        codes, names = clients_of(client[inside])
        time, at = time[inside], np.searchsorted(edges, time[inside], side="right") - 1
        kept = np.argsort(-_most_in(at, codes, len(names)), kind="stable")[:most]
        kept = np.union1d(kept, np.flatnonzero(np.isin(names, list(also))))
        kept = kept[np.argsort(names[kept])]
        row = np.full(len(names), len(kept))
        row[kept] = np.arange(len(kept))
        shape = (len(kept) + 1, max(0, len(edges) - 1))
        place = row[codes] * shape[1] + at

        def summed(flag: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            size = shape[0] * shape[1]
            hits, trials = sums(flag, place, size), sums(~np.isnan(flag), place, size)
            return hits.reshape(shape), trials.reshape(shape)

        flags = {name: flag[inside] for name, flag in asked.flags.items()}
        counted = {
            metric: summed(flags[flag])
            for metric, flag in SIGNS.items()
            if flag in flags and flag != "unknown"
        }
        if asked.seldom_equal:
            seldom = [values[inside] for values in asked.seldom_equal]
            counted["grid_share"] = summed(_grid_pairs(seldom, asked.keys[inside], place, time))
        return cls(
            clients=pd.Index(names[kept], dtype=object),
            edges=edges,
            requests=summed(np.zeros(len(place)))[1],
            unknown=sums(flags["unknown"], at, shape[1]),
            peaks=_most_in(time // _MINUTE, place, shape[0] * shape[1]).reshape(shape),
            busiest_hour=_most_in(time // _HOUR, row[codes], shape[0]),
            signs=counted,
        )

    def shares(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the hits and the trials of a metric (clients + 1 × windows)."""
        if metric == "client_share":
            return self.requests, np.broadcast_to(self.requests.sum(axis=0), self.requests.shape)
        return self.signs[metric]

    def windows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the number of each window, and what its rows have in common."""
        for number, (first, last) in enumerate(itertools.pairwise(self.edges.tolist())):
            here = {"window_start": first, "window_end": last}
            moments = {name: windows.from_microseconds(each) for name, each in here.items()}
            yield number, {"monitor": MONITOR, **moments}


def _most_in(unit: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the most rows that a group has in one unit of time."""
    most = np.zeros(n_groups, dtype=np.int64)
    np.maximum.at(most, *by_unit(unit, group))
    return most


def _grid_pairs(
    columns: list[np.ndarray], keys: np.ndarray, place: np.ndarray, time: np.ndarray
) -> np.ndarray:
    """Return whether a request has a value of the one half its client's window earlier, not all.

    ``NaN`` for the first half, which has no other: each request is in one pair.
    """
    order = np.lexsort((keys, time, place))
    _, first, size = np.unique(place[order], return_index=True, return_counts=True)
    number = np.arange(len(order)) - np.repeat(first, size)
    half = np.repeat(size // 2, size)
    at = np.flatnonzero((number >= half) & (number < 2 * half))
    later, earlier = order[at], order[at - half[at]]
    equal = np.any([values[later] == values[earlier] for values in columns], axis=0)
    found = np.full(len(order), np.nan)
    found[later] = equal & (keys[later] != keys[earlier])
    return found


# ------------------------------------------------------------------------- what is too much


def _too_many(trials: np.ndarray, share: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the count that a binomial one exceeds with a probability of at most ``chance``."""
    share = np.clip(share, 0.0, 1.0)
    within = bdtrik(1 - chance, np.maximum(trials, 1), np.where(share < 1, share, 0.5))
    bound = np.where(share < 1, np.ceil(np.nan_to_num(within)), trials)
    return np.minimum(bound, trials)


def _usual_share(hits: np.ndarray, trials: np.ndarray, rules: _Rules) -> float:
    """Return the highest share that the reference makes usual, from its counts by window."""
    if not trials.sum():
        return np.nan
    enough = trials >= rules.minimum
    highest = ratio(hits[enough], trials[enough]).max(initial=0.0)
    return float(max(highest, wilson(hits.sum(), trials.sum(), level=rules.level)[1]))


def _usual_by_client(
    hits: np.ndarray, trials: np.ndarray, past: np.ndarray, rules: _Rules
) -> list[float]:
    """Return the usual share of each client: its own, or the highest where it has no past.

    ``past`` is where each client stands among those of the reference, -1 for none.
    """
    everyone = _usual_share(hits.sum(axis=0), trials.sum(axis=0), rules)
    hits, trials = hits[:-1], trials[:-1]
    enough = trials >= rules.minimum
    highest = float(ratio(hits[enough], trials[enough]).max(initial=everyone))
    return [
        _usual_share(hits[at], trials[at], rules)
        if at >= 0 and enough[at].sum() >= _HISTORY
        else highest
        for at in past
    ]


def _share_row(
    hits: float, trials: float, share: float, *, chance: float, rules: _Rules
) -> dict[str, Any]:
    if trials < rules.minimum or np.isnan(share):
        return {"n_current": trials}
    low, high = wilson(hits, trials, level=rules.level)
    bound = float(_too_many(np.float64(trials), np.float64(share), np.float64(chance)) / trials)
    value = hits / trials
    return {
        "value": value,
        "low": float(low),
        "high": float(high),
        "threshold_high": bound,
        "alarm": bool(value > bound),
        "n_current": trials,
    }


def _shares_of(now: _Counts, usual: _Counts, *, rules: _Rules) -> Iterator[dict[str, Any]]:
    """Yield the share of each sign, of everyone and of each client, by window."""
    past = usual.clients.get_indexer(now.clients)
    for metric in ("client_share", *now.signs):
        hits, trials = now.shares(metric)
        hits_before, trials_before = usual.shares(metric)
        everyone = _usual_share(hits_before.sum(axis=0), trials_before.sum(axis=0), rules)
        by_client = _usual_by_client(hits_before, trials_before, past, rules)
        n_before = np.append(trials_before.sum(axis=1)[:-1], 0)[past]
        for number, here in now.windows():
            if metric != "client_share":
                of_all = (hits[:, number].sum(), trials[:, number].sum())
                row = _share_row(*of_all, everyone, chance=rules.chance, rules=rules)
                yield here | {"metric": metric, "n_reference": trials_before.sum()} | row
            judged = max(1, int((now.requests[:-1, number] >= rules.minimum).sum()))
            for at, client in enumerate(now.clients):
                of_client = (hits[at, number], trials[at, number], by_client[at])
                row = _share_row(*of_client, chance=rules.chance / judged, rules=rules)
                yield here | {"metric": metric, "group": client, "n_reference": n_before[at]} | row


def _peaks_of(now: _Counts, usual: _Counts, *, rules: _Rules) -> Iterator[dict[str, Any]]:
    """Yield the busiest minute of each client by window."""
    past = usual.clients.get_indexer(now.clients)
    n_before = np.append(usual.requests.sum(axis=1)[:-1], 0)[past]
    of_hour = poisson(usual.busiest_hour[:-1], level=rules.level)[1] / 60
    of_minute = usual.peaks[:-1].max(axis=1, initial=0)
    for number, here in now.windows():
        minutes = max(1, (now.edges[number + 1] - now.edges[number]) // _MINUTE)
        judged = max(1, int((now.requests[:-1, number] > 0).sum()))
        bounds = np.maximum(
            _most_by_chance(of_hour, rules.chance / judged / minutes),
            _most_by_chance(of_minute, rules.chance / judged),
        )
        bound = np.append(bounds, bounds.max(initial=0))[past]
        peak = now.peaks[:-1, number]
        low, high = poisson(peak, level=rules.level)
        for at, client in enumerate(now.clients):
            yield here | {
                "metric": "peak_requests_per_minute",
                "group": client,
                "value": peak[at],
                "low": low[at],
                "high": high[at],
                "threshold_high": bound[at],
                "alarm": bool(peak[at] > bound[at]),
                "n_current": now.requests[at, number],
                "n_reference": n_before[at],
            }


def _most_by_chance(mean: np.ndarray, chance: float) -> np.ndarray:
    """Return the count that a Poisson one of this mean exceeds with a probability of at most it."""
    found = pdtrik(1 - chance, np.maximum(mean, 1e-9))
    return np.ceil(np.where(mean > 0, np.nan_to_num(found), 0.0))


def _strangers_of(
    now: _Counts, usual: _Counts, signs: Requests, *, rules: _Rules
) -> Iterator[dict[str, Any]]:
    """Yield the share of the clients that nobody knows, together and each, by window."""
    unknown = [(name, now.requests[at]) for at, name in enumerate(now.clients)]
    unknown = [(name, hits) for name, hits in unknown if name not in signs.clients.known]
    for number, here in now.windows():
        n = now.requests[:, number].sum()
        for client, by_window in [("", now.unknown), *unknown]:
            hits = by_window[number]
            low, high = wilson(hits, n, level=rules.level)
            row = here | {
                "metric": "unknown_client_share",
                "group": client,
                "value": float(ratio(hits, n)),
                "low": float(low),
                "high": float(high),
                "n_current": n,
                "n_reference": usual.requests.sum(),
            }
            if not signs.clients.newcomers:
                row |= {"threshold_high": 0.0, "alarm": bool(hits > 0)}
            yield row
