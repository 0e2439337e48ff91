"""What is asked of each request: is it a replay, a probe, beyond what is known, of a stranger?

Each question is asked alike of the reference and of what comes later, so that what is usual is
known: some retry is honest, and some values are new. ``security`` asks them by client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.intervals import ratio
from utils.monitors.kinds import coded, kind_of, kinds, numbers
from utils.monitors.measures import Line, sums

MONITOR = "security"
MISSING_CLIENT = "(missing)"
"""The client of the requests that name none."""

SIGNS = {
    "replayed_share": "replayed",
    "probing_share": "near",
    "even_spread_share": "even",
    "boundary_share": "boundary",
    "out_of_range_share": "outside",
    "unknown_client_share": "unknown",
}
"""The metrics that are shares of requests, and the flag that each counts."""

_MINUTE = 60_000_000
_DAY = 24 * 60 * _MINUTE
_EVEN_BINS = 20
_OUTER = 0.005
_NEAR = 0.001
_SELDOM_EQUAL = 0.01
_COARSE = 0.05
_BAND = 0.1
_OWN_CELLS = 30
_SHARED_CELLS = 10


# ---------------------------------------------------------------------- how honest inputs look


@dataclass(frozen=True, kw_only=True)
class _Range:
    """The lowest number that was seen, on which day, and the lowest on all the other days.

    A row of that day is judged by the others, as if its day had not been there; so rows of the
    reference are beyond the range as often as new ones of the same kind, also where the rows of a
    day are alike (one cold day has many flights).
    """

    end: float = -np.inf
    day: int = -1
    otherwise: float = -np.inf

    @classmethod
    def of(cls, values: np.ndarray, day: np.ndarray) -> _Range:
        days, at = np.unique(day, return_inverse=True)
        if not len(days):
            return cls()
        lowest = np.full(len(days), np.inf)
        np.minimum.at(lowest, at, values)
        order = np.argsort(lowest, kind="stable")
        if len(days) == 1:
            return cls(end=float(lowest[0]))
        first, second = order[:2]
        return cls(end=float(lowest[first]), day=int(days[first]), otherwise=float(lowest[second]))

    def is_below(self, values: np.ndarray, day: np.ndarray) -> np.ndarray:
        return values < np.where(day == self.day, self.otherwise, self.end)


@dataclass(frozen=True, kw_only=True)
class _Feature:
    """What the reference shows of one feature.

    Of a number: its range from both ends, and the bins that are even over it. Of a category: the
    ``known`` ones, and the day of those that only one day has (else -1). ``odds`` is, by bin, how
    much more likely a value is where all are spread evenly than in the reference (log).
    """

    name: str
    kind: Literal["number", "category"]
    low: _Range = _Range()
    high: _Range = _Range()
    step: float = 0.0
    edges: np.ndarray
    known: pd.Index
    only_day: np.ndarray
    odds: np.ndarray
    is_seldom_equal: bool

    @classmethod
    def of(cls, reference: pd.DataFrame, name: str, day: np.ndarray) -> _Feature:
        column = windows.column(reference, name, argument="features")
        what = kind_of(kinds(column))
        if what in ("number", "whole number") or column.dtype.kind == "M":
            return cls._of_numbers(name, _numbers(column), day)
        codes, texts = coded(column)
        there = codes >= 0
        n_of = np.bincount(codes[there], minlength=len(texts))
        pairs = np.unique(np.column_stack([codes[there], day[there]]), axis=0)
        n_days = np.bincount(pairs[:, 0], minlength=len(texts))
        only_day = np.full(len(texts), -1)
        if len(np.unique(day)) > 1:
            alone = n_days[pairs[:, 0]] == 1
            only_day[pairs[alone, 0]] = pairs[alone, 1]
        seen = n_of > 0
        return cls(
            name=name,
            kind="category",
            edges=np.empty(0),
            known=pd.Index(np.asarray(texts, dtype=object)[seen], dtype=object),
            only_day=np.append(only_day[seen], -1),
            odds=_odds(np.append(n_of[seen], 0)),
            is_seldom_equal=False,
        )

    @classmethod
    def _of_numbers(cls, name: str, values: np.ndarray, day: np.ndarray) -> _Feature:
        there = np.isfinite(values)
        values, day = values[there], day[there]
        edges, odds, step = np.empty(0), np.zeros(1), 0.0
        if len(values):
            first, left, right, last = np.quantile(values, [_OUTER, 0.25, 0.75, 1 - _OUTER])
            step = _NEAR * float(right - left or values.std())
            edges = np.linspace(first, last, _EVEN_BINS + 1)[1:-1] if last > first else edges
            odds = _odds(np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1))
        _, counts = np.unique(values, return_counts=True)
        n = len(values)
        pairs = (counts * (counts - 1.0)).sum() / max(1, n * (n - 1))
        return cls(
            name=name,
            kind="number",
            low=_Range.of(values, day),
            high=_Range.of(-values, day),
            step=step,
            edges=edges,
            known=pd.Index([]),
            only_day=np.empty(0),
            odds=odds,
            is_seldom_equal=bool(n > 1 and pairs < _SELDOM_EQUAL),
        )

    def read(self, frame: pd.DataFrame, day: np.ndarray) -> _Column:
        """Return what the rows of a frame have of it."""
        column = windows.column(frame, self.name, argument="features")
        if self.kind == "number":
            values = _numbers(column) + 0.0  # no -0.0
            there = np.isfinite(values)
            at = np.searchsorted(self.edges, np.where(there, values, 0.0))
            return _Column(
                values=values,
                key=pd.util.hash_array(values),
                is_outside=self.low.is_below(values, day) | self.high.is_below(-values, day),
                odds=np.where(there, self.odds[at], 0.0),
            )
        codes, texts = coded(column)
        texts = np.append(np.asarray(texts, dtype=object), "")
        place = self.known.get_indexer(texts)
        place = np.where(place < 0, len(self.known), place)[codes]
        missing = codes < 0
        return _Column(
            values=codes.astype(float),
            key=np.where(missing, np.uint64(0), pd.util.hash_array(texts)[codes]),
            is_outside=~missing & ((place == len(self.known)) | (self.only_day[place] == day)),
            odds=np.where(missing, 0.0, self.odds[place]),
        )


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A feature of some rows: values that are equal where it is, and what the reference says."""

    values: np.ndarray
    key: np.ndarray
    is_outside: np.ndarray
    odds: np.ndarray


def _numbers(column: pd.Series) -> np.ndarray:
    if column.dtype.kind == "M":
        there = column.notna().to_numpy()
        found = np.full(len(column), np.nan)
        found[there] = column[there].dt.as_unit("us").astype("int64").to_numpy()
        return found
    return numbers(column)


def _odds(counts: np.ndarray) -> np.ndarray:
    share = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return -np.log(share * len(counts))


def clients_of(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of each row's client, and the clients as text.

    >>> codes, names = clients_of(pd.Series(["app", None, 7, "app"]))
    >>> codes.tolist(), names.tolist()
    ([0, 1, 2, 0], ['app', '(missing)', '7'])
    """
    codes, texts = coded(column)
    texts = np.append(np.asarray(texts, dtype=object), MISSING_CLIENT)
    codes, names = pd.factorize(texts[codes])
    return codes, np.asarray(names, dtype=object)


# ------------------------------------------------------------------------------- the measure


@dataclass(frozen=True, kw_only=True)
class Clients:
    """The clients that are known, the busiest first, and whether new ones come in the reference."""

    known: frozenset[str]
    busiest: tuple[str, ...]
    newcomers: bool

    @classmethod
    def of(cls, column: pd.Series, time: np.ndarray, named: Iterable[Any] | None) -> Clients:
        codes, names = clients_of(column)
        by_size = np.argsort(-np.bincount(codes), kind="stable")
        later = time > np.median(time)
        comes = (~np.isin(codes[later], codes[~later])).any()
        return cls(
            known=frozenset(names if named is None else (str(each) for each in named)),
            busiest=tuple(names[by_size[:_OWN_CELLS]].tolist()),
            newcomers=bool(comes) and named is None,
        )


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """The inputs of the reference, by key in order, with the first and the last time of each."""

    keys: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, time: np.ndarray) -> _Seen:
        order = np.lexsort((time, keys))
        begins = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0])
        ends = np.r_[begins[1:], len(order)] - 1
        return cls(keys=keys[order[begins]], first=time[order[begins]], last=time[order[ends]])

    def has(self, keys: np.ndarray, time: np.ndarray, memory: int) -> np.ndarray:
        """Return which inputs it has from before their time, or from ``memory`` after it."""
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        elsewhere = (self.first[at] < time) | (self.last[at] > time + memory)
        return (self.keys[at] == keys) & elsewhere


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked of some rows: the flags, a number for each input that is equal for equal ones,
    and the values of the features that are seldom equal by chance.
    """

    flags: dict[str, np.ndarray]
    keys: np.ndarray
    seldom_equal: list[np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What is asked of each request, fitted on a reference; and the sums of it for the suite.

    The flags of a request:

    - ``replayed``: the very same input is in the reference, or came within ``memory`` before it.
      Of a row of the reference: in another row of it, before or later than ``memory`` after it;
    - ``near``: it differs from the client's previous request in at most one feature by more than a
      thousandth of the feature's middle half, and is not the same;
    - ``even``: its values are likelier where each feature is spread evenly over its range than in
      the reference (the product over features, as if they were independent);
    - ``boundary``: its score is among those nearest to ``decision``, where a tenth of the
      reference's are;
    - ``outside``: a number is beyond those of the reference, or a category is not in it. Of a row
      of the reference: not in its other days, so that it and new rows of the same kind are outside
      equally often;
    - ``unknown``: its client is none of ``known_clients``, or else of those in the reference.

    Lines of which the reference says nothing are left out: repeats where more than one in twenty
    of its own requests repeats another (inputs too coarse), unknown clients where new ones come
    anyway, unless ``known_clients`` names them.

    It does not tell intentions. A client library that retries is a replay, a cached form that is
    sent again with one field changed is probing, and a load test is a burst.
    """

    features: tuple[_Feature, ...]
    time_column: str
    client_column: str | None
    score_column: str | None
    decision: float
    band: float
    memory: int
    clients: Clients | None
    seen: _Seen
    lines: tuple[Line, ...] = ()

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        features: Sequence[str],
        client_column: str | None = "client",
        known_clients: Iterable[Any] | None = None,
        score_column: str | None = None,
        decision: float = 0.5,
        memory: windows.Length = "1D",
        time_column: str = "event_time",
    ) -> Requests:
        """Return the measure as the reference has it.

        Raises ``ValueError`` naming the argument, the value and the rule.

        >>> rng = np.random.default_rng(0)
        >>> reference = pd.DataFrame({
        ...     "event_time": pd.date_range("2024-01-01", periods=200, freq="1h", tz="UTC"),
        ...     "client": ["app", "web"] * 100, "amount": rng.gamma(2, 50, 200)})
        >>> [line.metric for line in Requests.of(reference, features=["amount"]).lines][:2]
        ['replayed_share', 'probing_share']
        """
        if isinstance(features, str) or not len(features):
            raise ValueError(f"features={features!r}: a list of names is needed, one at least")
        if isinstance(known_clients, str):
            raise ValueError(f"known_clients={known_clients!r}: a list of names is needed")
        if not len(reference):
            raise ValueError("reference has no rows; what is usual is read off it")
        time = windows.times(reference, time_column, argument="time_column")
        day = time // _DAY
        fitted = tuple(_Feature.of(reference, name, day) for name in dict.fromkeys(features))
        keys = _keys([feature.read(reference, day) for feature in fitted])
        clients = None
        if client_column is not None:
            column = windows.column(reference, client_column, argument="client_column")
            clients = Clients.of(column, time, known_clients)
        band = np.nan
        if score_column is not None:
            score = numbers(windows.column(reference, score_column, argument="score_column"))
            away = np.abs(score[~np.isnan(score)] - decision)
            band = float(np.quantile(away, _BAND)) if len(away) else np.nan
        measure = cls(
            features=fitted,
            time_column=time_column,
            client_column=client_column,
            score_column=score_column,
            decision=decision,
            band=band,
            memory=windows.whole_microseconds(windows.length(memory, argument="memory")),
            clients=clients,
            seen=_Seen.of(keys, time),
        )
        return replace(measure, lines=tuple(measure._told(measure.flags(reference))))

    def _told(self, usual: dict[str, np.ndarray]) -> Iterator[Line]:
        """Yield the lines of which the reference says something."""
        for metric, flag in SIGNS.items():
            is_coarse = flag == "replayed" and usual[flag].mean() > _COARSE
            is_growing = flag == "unknown" and flag in usual and self.clients.newcomers
            if flag in usual and not is_coarse and not is_growing:
                yield Line(monitor=MONITOR, metric=metric, scale="logit")
        if self.clients is not None:
            yield Line(monitor=MONITOR, metric="top_client_share", scale="logit")
            yield Line(monitor=MONITOR, metric="same_minute_requests", scale="log")

    @property
    def _shares(self) -> list[str]:
        return [line.metric for line in self.lines if line.metric in SIGNS]

    @property
    def n_cells(self) -> int:
        of_clients = 2 + _OWN_CELLS + _SHARED_CELLS
        return 2 * len(self._shares) + (of_clients if self.client_column is not None else 0)

    def flags(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return each flag of each row, 1.0 or 0.0; ``NaN`` where there is nothing to ask.

        Rows may be in any order. ``near`` and ``unknown`` need a client, ``boundary`` a score.
        """
        return self.asked(frame).flags

    def asked(self, frame: pd.DataFrame) -> Asked:
        """Return the flags, and what the rows are told apart by."""
        time = windows.times(frame, self.time_column, argument="time_column")
        columns = [feature.read(frame, time // _DAY) for feature in self.features]
        keys = _keys(columns)
        found = {"replayed": self._is_replayed(keys, time)}
        if self.client_column is not None:
            client = windows.column(frame, self.client_column, argument="client_column")
            codes, names = clients_of(client)
            found["near"] = self._is_near(columns, keys, codes, time)
            known = np.array([name in self.clients.known for name in names], dtype=bool)
            found["unknown"] = ~known[codes] if len(codes) else np.empty(0)
        found["even"] = np.sum([column.odds for column in columns], axis=0) > 0
        found["outside"] = np.any([column.is_outside for column in columns], axis=0)
        if self.score_column is not None:
            score = numbers(windows.column(frame, self.score_column, argument="score_column"))
            near = (np.abs(score - self.decision) <= self.band).astype(float)
            found["boundary"] = np.where(np.isnan(score), np.nan, near)
        pairs = zip(self.features, columns, strict=True)
        return Asked(
            flags={name: np.asarray(flag, dtype=float) for name, flag in found.items()},
            keys=keys,
            seldom_equal=[column.values for feature, column in pairs if feature.is_seldom_equal],
        )

    def _is_replayed(self, keys: np.ndarray, time: np.ndarray) -> np.ndarray:
        order = np.lexsort((time, keys))
        same = keys[order][1:] == keys[order][:-1]
        soon = np.diff(time[order]) <= self.memory
        again = np.zeros(len(keys), dtype=bool)
        again[order[1:]] = same & soon
        return again | self.seen.has(keys, time, self.memory)

    def _is_near(
        self, columns: list[_Column], keys: np.ndarray, client: np.ndarray, time: np.ndarray
    ) -> np.ndarray:
        order = np.lexsort((keys, time, client))
        differing = np.zeros(max(0, len(order) - 1), dtype=int)
        for feature, column in zip(self.features, columns, strict=True):
            differing += _differs(column.values[order], feature.step)
        near = np.full(len(order), np.nan)
        of_same = client[order][1:] == client[order][:-1]
        is_near = (differing <= 1) & (keys[order][1:] != keys[order][:-1])
        near[order[1:]] = np.where(of_same, is_near, np.nan)
        return near

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        flags = self.flags(frame)
        parts = []
        for metric in self._shares:
            flag = flags[SIGNS[metric]]
            parts += [sums(flag, block, n_blocks), sums(~np.isnan(flag), block, n_blocks)]
        if self.client_column is None:
            return np.column_stack(parts)
        codes, names = clients_of(frame[self.client_column])
        time = windows.times(frame, self.time_column, argument="time_column")
        parts += [_others_in_minute(time, codes, block, n_blocks)]
        parts += [np.bincount(block, minlength=n_blocks).astype(float)]
        cell = self._cell_of(names)
        width = _OWN_CELLS + _SHARED_CELLS
        by_client = np.bincount(block * width + cell[codes], minlength=n_blocks * width)
        return np.column_stack([*parts, by_client.reshape(n_blocks, width)])

    def _cell_of(self, names: np.ndarray) -> np.ndarray:
        """Return the cell of each client: the busiest have their own, others share by hash."""
        own = pd.Index(self.clients.busiest, dtype=object).get_indexer(names)
        shared = pd.util.hash_array(names) % np.uint64(_SHARED_CELLS)
        return np.where(own >= 0, own, _OWN_CELLS + shared.astype(np.intp))

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        n = 2 * len(self._shares)
        found = ratio(current[..., 0:n:2], current[..., 1:n:2])
        if self.client_column is None:
            return found
        others, rows, by_client = current[..., n], current[..., n + 1], current[..., n + 2 :]
        of_clients = [ratio(by_client.max(axis=-1), rows), ratio(others, rows)]
        return np.concatenate([found, np.stack(of_clients, axis=-1)], axis=-1)

    def counts(self, current: np.ndarray) -> np.ndarray:
        n = 2 * len(self._shares)
        of_clients = [] if self.client_column is None else [n + 1, n + 1]
        return current[..., [*range(1, n, 2), *of_clients]]


def _keys(columns: list[_Column]) -> np.ndarray:
    """Return a number of 64 bits for each row, equal where all its features are."""
    key = np.zeros(len(columns[0].key), dtype=np.uint64)
    for column in columns:
        key = (key ^ column.key) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    return key


def _differs(values: np.ndarray, step: float) -> np.ndarray:
    """Return where a value is not that of the row before, to within a step."""
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        apart = ~(np.abs(np.diff(values)) <= step) & (values[1:] != values[:-1])
    return np.where(missing[1:] | missing[:-1], missing[1:] != missing[:-1], apart)


def _others_in_minute(
    time: np.ndarray, client: np.ndarray, block: np.ndarray, n_blocks: int
) -> np.ndarray:
    """Return, by block, how many others of its client and minute each request has, summed."""
    place = client * n_blocks + block
    of_place, count = by_unit(time // _MINUTE, place)
    return sums(count * (count - 1.0), of_place % n_blocks, n_blocks)


def by_unit(unit: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each pair of group and unit of time that has rows, and how many.

    >>> groups, counts = by_unit(np.array([5, 5, 6, 5]), np.array([0, 0, 0, 1]))
    >>> groups.tolist(), counts.tolist()
    ([0, 0, 1], [2, 1, 1])
    """
    if not len(unit):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    span = int(np.ptp(unit)) + 1
    pairs, counts = np.unique(group * span + (unit - unit.min()), return_counts=True)
    return pairs // span, counts
