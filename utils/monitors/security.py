"""Is somebody misusing the service? Bursts, probing, extraction, replays, strangers: by client.

Each sign is a question about single requests, asked alike of the reference and of what came later
(``Requests.flags``), so that what is usual is known: some retry is honest, and some values are new.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import bdtrik, pdtrik

from utils.monitors import windows
from utils.monitors.infrastructure import poisson
from utils.monitors.intervals import checked_level, ratio, wilson
from utils.monitors.kinds import coded, kind_of, kinds, numbers
from utils.monitors.measures import Line, sums
from utils.records import measurements

MONITOR = "security"
CHANCE = 0.001
"""Of so many windows one may alarm by chance, for each sign, over all its clients together."""

MISSING_CLIENT = "(missing)"
"""The client of the requests that name none."""

_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_EVEN_BINS = 20
_OUTER = 0.005
_NEAR = 0.001
_SELDOM_EQUAL = 0.01
_COARSE = 0.05
_BAND = 0.1
_HISTORY = 4
_OWN_CELLS = 30
_SHARED_CELLS = 10

_SIGNS = {
    "replayed_share": "replayed",
    "probing_share": "near",
    "even_spread_share": "even",
    "boundary_share": "boundary",
    "out_of_range_share": "outside",
    "unknown_client_share": "unknown",
}
"""The metrics that are shares of requests, and the flag that each counts."""


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
        found[there] = column[there].astype("int64").to_numpy()
        return found
    return numbers(column)


def _odds(counts: np.ndarray) -> np.ndarray:
    share = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return -np.log(share * len(counts))


def _clients(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the code of each row's client, and the clients as text."""
    codes, texts = coded(column)
    texts = np.append(np.asarray(texts, dtype=object), MISSING_CLIENT)
    codes, names = pd.factorize(texts[codes])
    return codes, np.asarray(names, dtype=object)


# ------------------------------------------------------------------------------- the measure


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
    known: frozenset[str] | None
    newcomers: bool
    busiest: tuple[str, ...]
    keys: np.ndarray  # sorted, of the reference's inputs
    first_time: np.ndarray  # of each of them
    last_time: np.ndarray
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
        if not len(reference):
            raise ValueError("reference has no rows; what is usual is read off it")
        time = windows.times(reference, time_column, argument="time_column")
        day = time // _DAY
        fitted = tuple(_Feature.of(reference, name, day) for name in dict.fromkeys(features))
        keys = _keys([feature.read(reference, day) for feature in fitted])
        order = np.lexsort((time, keys))
        begins = np.flatnonzero(np.r_[True, np.diff(keys[order]) != 0])
        ends = np.r_[begins[1:], len(order)] - 1
        known = busiest = None
        newcomers = False
        if client_column is not None:
            client = windows.column(reference, client_column, argument="client_column")
            codes, names = _clients(client)
            later = time > np.median(time)
            newcomers = bool((~np.isin(codes[later], codes[~later])).any())
            by_size = np.argsort(-np.bincount(codes), kind="stable")
            busiest = tuple(names[by_size[:_OWN_CELLS]].tolist())
            given = names if known_clients is None else [str(each) for each in known_clients]
            known = frozenset(given)
        band = np.nan
        if score_column is not None:
            score = numbers(windows.column(reference, score_column, argument="score_column"))
            away = np.abs(score - decision)
            band = float(np.nanquantile(away, _BAND)) if not np.isnan(away).all() else np.nan
        length = windows.length(memory, argument="memory")
        measure = cls(
            features=fitted,
            time_column=time_column,
            client_column=client_column,
            score_column=score_column,
            decision=decision,
            band=band,
            memory=windows.whole_microseconds(length),
            known=known,
            newcomers=newcomers and known_clients is None,
            busiest=busiest or (),
            keys=keys[order[begins]],
            first_time=time[order[begins]],
            last_time=time[order[ends]],
        )
        return measure._with_lines(reference)

    def _with_lines(self, reference: pd.DataFrame) -> Requests:
        usual = self.flags(reference)
        left_out = set()
        if np.nanmean(usual["replayed"]) > _COARSE:
            left_out.add("replayed_share")
        if self.newcomers:
            left_out.add("unknown_client_share")
        metrics = [m for m, flag in _SIGNS.items() if flag in usual and m not in left_out]
        if self.client_column is not None:
            metrics += ["top_client_share", "same_minute_requests"]
        scale = {"same_minute_requests": "log"}
        lines = (Line(monitor=MONITOR, metric=m, scale=scale.get(m, "logit")) for m in metrics)
        return Requests(**vars(self) | {"lines": tuple(lines)})

    @property
    def _shares(self) -> list[str]:
        return [line.metric for line in self.lines if line.metric in _SIGNS]

    @property
    def n_cells(self) -> int:
        of_clients = 2 + _OWN_CELLS + _SHARED_CELLS
        return 2 * len(self._shares) + (of_clients if self.client_column is not None else 0)

    def flags(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return each flag of each row, 1.0 or 0.0; ``NaN`` where there is nothing to ask.

        Rows may be in any order. ``near`` and ``unknown`` need a client, ``boundary`` a score.
        """
        return self._flags(frame, self._read(frame))

    def _read(self, frame: pd.DataFrame) -> list[_Column]:
        day = windows.times(frame, self.time_column, argument="time_column") // _DAY
        return [feature.read(frame, day) for feature in self.features]

    def _flags(self, frame: pd.DataFrame, columns: list[_Column]) -> dict[str, np.ndarray]:
        time = windows.times(frame, self.time_column, argument="time_column")
        keys = _keys(columns)
        found = {"replayed": self._is_replayed(keys, time)}
        if self.client_column is not None:
            client = windows.column(frame, self.client_column, argument="client_column")
            codes, names = _clients(client)
            found["near"] = self._is_near(columns, keys, codes, time)
            known = np.array([name in self.known for name in names], dtype=bool)
            found["unknown"] = ~known[codes] if len(codes) else np.empty(0)
        found["even"] = np.sum([column.odds for column in columns], axis=0) > 0
        found["outside"] = np.any([column.is_outside for column in columns], axis=0)
        if self.score_column is not None:
            score = numbers(windows.column(frame, self.score_column, argument="score_column"))
            near = (np.abs(score - self.decision) <= self.band).astype(float)
            found["boundary"] = np.where(np.isnan(score), np.nan, near)
        return {name: np.asarray(flag, dtype=float) for name, flag in found.items()}

    def _is_replayed(self, keys: np.ndarray, time: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        elsewhere = (self.first_time[at] < time) | (self.last_time[at] > time + self.memory)
        seen = (self.keys[at] == keys) & elsewhere
        order = np.lexsort((time, keys))
        same = keys[order][1:] == keys[order][:-1]
        soon = np.diff(time[order]) <= self.memory
        again = np.zeros(len(keys), dtype=bool)
        again[order[1:]] = same & soon
        return seen | again

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
            flag = flags[_SIGNS[metric]]
            parts += [sums(flag, block, n_blocks), sums(~np.isnan(flag), block, n_blocks)]
        if self.client_column is None:
            return np.column_stack(parts)
        codes, names = _clients(frame[self.client_column])
        time = windows.times(frame, self.time_column, argument="time_column")
        parts += [_others_in_minute(time, codes, block, n_blocks)]
        parts += [np.bincount(block, minlength=n_blocks).astype(float)]
        cell = self._cell_of(names)
        width = _OWN_CELLS + _SHARED_CELLS
        by_client = np.bincount(block * width + cell[codes], minlength=n_blocks * width)
        return np.column_stack([*parts, by_client.reshape(n_blocks, width)])

    def _cell_of(self, names: np.ndarray) -> np.ndarray:
        """Return the cell of each client: the busiest have their own, others share by hash."""
        own = pd.Index(self.busiest, dtype=object).get_indexer(names)
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
    of_place, count = _by_unit(time // _MINUTE, place)
    return sums(count * (count - 1.0), of_place % n_blocks, n_blocks)


def _by_unit(unit: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each pair of group and unit of time that has rows, and how many."""
    if not len(unit):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    span = int(np.ptp(unit)) + 1
    pairs, counts = np.unique(group * span + (unit - unit.min()), return_counts=True)
    return pairs // span, counts


# ------------------------------------------------------------------------------- by client


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
    now = _Counts.of(frame, signs, window=window, start=start, end=end)
    usual = _Counts.of(reference, signs, window=window, start=None, end=None)
    rules = _Rules(minimum=minimum, chance=chance, level=level)
    listed = now.busiest(most_clients)
    found = [
        *_shares_of(now, usual, rules=rules, listed=listed),
        *_peaks_of(now, usual, rules=rules, listed=listed),
        *_strangers_of(now, usual, signs, rules=rules, listed=listed),
    ]
    order = (*("peak_requests_per_minute", "client_share"), *_SIGNS, "grid_share")
    found.sort(key=lambda row: (order.index(row["metric"]), row["group"], row["window_start"]))
    return measurements(found)


@dataclass(frozen=True, kw_only=True)
class _Rules:
    minimum: int
    chance: float
    level: float


@dataclass(frozen=True, kw_only=True)
class _Counts:
    """What is counted by client and window: hits and trials of each sign (clients × windows)."""

    clients: pd.Index
    edges: np.ndarray
    requests: np.ndarray
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
        start: windows.Moment | None,
        end: windows.Moment | None,
    ) -> _Counts:
        time = windows.times(frame, signs.time_column, argument="time_column")
        edges = windows.cut(time, window=window, start=start, end=end)
        inside = (time >= edges[0]) & (time < edges[-1]) if len(edges) else time != time
        columns = signs._read(frame)
        flags = {name: flag[inside] for name, flag in signs._flags(frame, columns).items()}
        client = windows.column(frame, signs.client_column, argument="client_column")
        codes, names = _clients(client[inside])
        shape = (len(names), max(0, len(edges) - 1))
        time, at = time[inside], np.searchsorted(edges, time[inside], side="right") - 1
        place = codes * shape[1] + at

        def summed(values: np.ndarray) -> np.ndarray:
            return sums(values, place, shape[0] * shape[1]).reshape(shape)

        counted = {
            metric: (summed(flags[flag]), summed(~np.isnan(flags[flag])))
            for metric, flag in _SIGNS.items()
            if flag in flags and flag != "unknown"
        }
        seldom = [
            column.values[inside]
            for feature, column in zip(signs.features, columns, strict=True)
            if feature.is_seldom_equal
        ]
        if seldom:
            pairs = _grid_pairs(seldom, _keys(columns)[inside], place, time)
            counted["grid_share"] = (summed(pairs), summed(~np.isnan(pairs)))
        return cls(
            clients=pd.Index(names, dtype=object),
            edges=edges,
            requests=np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape),
            peaks=_most_in(time // _MINUTE, place, shape[0] * shape[1]).reshape(shape),
            busiest_hour=_most_in(time // _HOUR, codes, shape[0]),
            signs=counted,
        )

    def shares(self, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the hits and the trials of a metric (clients × windows)."""
        if metric == "client_share":
            requests = self.requests.astype(float)
            return requests, np.broadcast_to(requests.sum(axis=0), requests.shape)
        return self.signs[metric]

    def busiest(self, most: int) -> list[int]:
        """Return the codes of the clients that are busiest in some window, by name."""
        if not self.requests.size:
            return []
        order = np.argsort(-self.requests.max(axis=1), kind="stable")[:most]
        return sorted(order.tolist(), key=lambda code: self.clients[code])

    def windows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, (first, last) in enumerate(itertools.pairwise(self.edges.tolist())):
            yield (
                number,
                {
                    "monitor": MONITOR,
                    "window_start": windows.from_microseconds(first),
                    "window_end": windows.from_microseconds(last),
                },
            )


def _most_in(unit: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the most rows that a group has in one unit of time."""
    most = np.zeros(n_groups, dtype=np.int64)
    np.maximum.at(most, *_by_unit(unit, group))
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
    enough = trials >= rules.minimum
    everyone = _usual_share(hits.sum(axis=0), trials.sum(axis=0), rules)
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


def _shares_of(
    now: _Counts, usual: _Counts, *, rules: _Rules, listed: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield the share of each sign, of everyone and of each client, by window."""
    past = usual.clients.get_indexer(now.clients[listed])
    for metric in ("client_share", *now.signs):
        hits, trials = now.shares(metric)
        hits_before, trials_before = usual.shares(metric)
        by_client = _usual_by_client(hits_before, trials_before, past, rules)
        n_before = np.append(trials_before.sum(axis=1), 0)[past]
        everyone = _usual_share(hits_before.sum(axis=0), trials_before.sum(axis=0), rules)
        for number, here in now.windows():
            if metric != "client_share":
                of_all = (hits[:, number].sum(), trials[:, number].sum())
                row = _share_row(*of_all, everyone, chance=rules.chance, rules=rules)
                about = {"metric": metric, "group": "", "n_reference": trials_before.sum()}
                yield here | about | row
            judged = max(1, int((now.requests[listed, number] >= rules.minimum).sum()))
            for code, share, n in zip(listed, by_client, n_before, strict=True):
                of_client = (hits[code, number], trials[code, number])
                row = _share_row(*of_client, share, chance=rules.chance / judged, rules=rules)
                about = {"metric": metric, "group": now.clients[code], "n_reference": n}
                yield here | about | row


def _peaks_of(
    now: _Counts, usual: _Counts, *, rules: _Rules, listed: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield the busiest minute of each client by window."""
    past = usual.clients.get_indexer(now.clients[listed])
    of_hour = poisson(usual.busiest_hour, level=rules.level)[1] / 60
    of_minute = usual.peaks.max(axis=1, initial=0)
    for number, here in now.windows():
        minutes = max(1, (now.edges[number + 1] - now.edges[number]) // _MINUTE)
        judged = max(1, int((now.requests[listed, number] > 0).sum()))
        bounds = np.maximum(
            _most_by_chance(of_hour, rules.chance / judged / minutes),
            _most_by_chance(of_minute, rules.chance / judged),
        )
        for code, at in zip(listed, past, strict=True):
            peak = now.peaks[code, number]
            low, high = poisson(peak, level=rules.level)
            bound = float(bounds[at] if at >= 0 else bounds.max(initial=0))
            yield here | {
                "metric": "peak_requests_per_minute",
                "group": now.clients[code],
                "value": peak,
                "low": float(low),
                "high": float(high),
                "threshold_high": bound,
                "alarm": bool(peak > bound),
                "n_current": now.requests[code, number],
                "n_reference": usual.requests[at].sum() if at >= 0 else 0,
            }


def _most_by_chance(mean: np.ndarray, chance: float) -> np.ndarray:
    """Return the count that a Poisson one of this mean exceeds with a probability of at most it."""
    found = pdtrik(1 - chance, np.maximum(mean, 1e-9))
    return np.ceil(np.where(mean > 0, np.nan_to_num(found), 0.0))


def _strangers_of(
    now: _Counts, usual: _Counts, signs: Requests, *, rules: _Rules, listed: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield the share of the clients that nobody knows, together and each, by window."""
    is_unknown = ~now.clients.isin(signs.known)
    named = [code for code in listed if is_unknown[code]]
    for number, here in now.windows():
        n = int(now.requests[:, number].sum())
        for group, codes in [("", is_unknown), *((now.clients[c], [c]) for c in named)]:
            hits = int(now.requests[codes, number].sum())
            low, high = wilson(hits, n, level=rules.level)
            row = here | {
                "metric": "unknown_client_share",
                "group": group,
                "value": float(ratio(hits, n)),
                "low": float(low),
                "high": float(high),
                "n_current": n,
                "n_reference": usual.requests.sum(),
            }
            if not signs.newcomers:
                row |= {"threshold_high": 0.0, "alarm": hits > 0}
            yield row
