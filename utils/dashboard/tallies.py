"""What is counted of requests and answers, in a room that never grows.

Traffic is kept for ten minutes, in intervals of ten seconds; of the answers the newest ten
thousand. Nothing here knows a clock, a store or a page: moments come in as seconds.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from utils.records import Kind

SECONDS = 10
"""The length of an interval."""

INTERVALS = 60
"""How many intervals are kept."""

ANSWERS = 10_000
"""The newest answers whose distribution is shown."""

FASTEST_MS, SLOWEST_MS = 0.01, 100_000.0
STEPS = 200
"""Latencies are counted in steps of a decade's two-hundredth: a percentile is told within 0.6 %,
however many there were."""

N_STEPS = round(STEPS * math.log10(SLOWEST_MS / FASTEST_MS))

BINS = 20
CATEGORIES = 10

_NUMBERS = ("double", "float", "long", "integer")


def counted(latencies_ms: Sequence[float]) -> np.ndarray:
    """Return how many latencies lie in each step; those beyond the ends are in the last ones.

    >>> int(counted([1.0, 2.0]).sum())
    2
    """
    given = np.clip(np.asarray(latencies_ms, dtype=float), FASTEST_MS, SLOWEST_MS)
    steps = np.floor(np.log10(given / FASTEST_MS) * STEPS).astype(int)
    return np.bincount(np.minimum(steps, N_STEPS - 1), minlength=N_STEPS)


_NONE = np.zeros(N_STEPS, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """Requests by how they ended, and the latencies of the predictions stored, as ``counted``."""

    answered: int = 0
    refused: int = 0
    failed: int = 0
    timed: np.ndarray = field(default_factory=lambda: _NONE, repr=False)

    @property
    def requests(self) -> int:
        return self.answered + self.refused + self.failed

    @cached_property
    def n_timed(self) -> int:
        return int(self.timed.sum())

    @cached_property
    def percentiles(self) -> tuple[float, float, float]:
        """The 50th, 95th and 99th percentile, in ms; all are NaN where there is no latency.

        >>> hundred = Interval(timed=counted([10.0] * 98 + [500.0] * 2))
        >>> [f"{each:.2g}" for each in hundred.percentiles]
        ['10', '10', '5e+02']
        """
        if not self.n_timed:
            return (math.nan,) * 3
        ranks = [math.ceil(share * self.n_timed) for share in (0.50, 0.95, 0.99)]
        steps = np.searchsorted(np.cumsum(self.timed), ranks)
        return tuple((FASTEST_MS * 10 ** ((steps + 0.5) / STEPS)).tolist())


def together(intervals: Iterable[Interval]) -> Interval:
    """Return several intervals as one.

    >>> together([Interval(answered=2), Interval(refused=1)]).requests
    3
    """
    parts = list(intervals)
    return Interval(
        answered=sum(each.answered for each in parts),
        refused=sum(each.refused for each in parts),
        failed=sum(each.failed for each in parts),
        timed=sum((each.timed for each in parts if each.timed is not _NONE), start=_NONE),
    )


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How the newest answers spread: counts between ``edges``, or of ``labels``.

    ``of`` says of what: the scores of a classifier, or what was predicted. Numbers beyond the
    first or the last edge are counted in the bin beside it.
    """

    of: Literal["score", "number", "category"]
    n: int
    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    median: float = float("nan")


@dataclass(kw_only=True)
class _Open:
    ended: Counter = field(default_factory=Counter)
    timed: np.ndarray = field(default_factory=lambda: _NONE)


class Tallies:
    """Takes what happened, moment by moment, and tells the last ten minutes of it.

    >>> tallies = Tallies()
    >>> tallies.requests({200: 0}, at=0)
    >>> tallies.requests({200: 3, 400: 1}, at=1)
    >>> tallies.traffic(at=2)[-1].refused
    1
    """

    def __init__(self) -> None:
        self._intervals: dict[int, _Open] = {}
        self._seen: Counter | None = None
        self._scores: deque[float] = deque(maxlen=ANSWERS)
        self._predictions: deque[Any] = deque(maxlen=ANSWERS)
        self._kind: Kind = "double"

    def requests(self, counted: Mapping[int, float], *, at: float) -> None:
        """Take the requests answered with each status ever since the process began.

        What the first call tells was before, and is in no interval.
        """
        now = Counter({status: int(n) for status, n in counted.items()})
        if self._seen is not None:
            for status, n in (now - self._seen).items():
                self._at(at).ended[_outcome(status)] += n
        self._seen = now

    def answers(
        self,
        *,
        at: float,
        latencies_ms: Iterable[float | None],
        scores: Iterable[float | None],
        predictions: Iterable[Any],
        kind: Kind,
        are_new: bool = True,
    ) -> None:
        """Take predictions that were stored. ``are_new=False`` are those of before the page."""
        if are_new:
            timed = [each for each in latencies_ms if each is not None]
            if timed:
                now = self._at(at)
                now.timed = now.timed + counted(timed)
        self._scores.extend(each for each in scores if each is not None)
        self._predictions.extend(each for each in predictions if each is not None)
        self._kind = kind

    def _at(self, at: float) -> _Open:
        index = int(at // SECONDS)
        for old in [each for each in self._intervals if each <= index - INTERVALS]:
            del self._intervals[old]
        return self._intervals.setdefault(index, _Open())

    def traffic(self, *, at: float) -> tuple[Interval, ...]:
        """Return the intervals of the last ten minutes, oldest first; the last one is not over."""
        newest = int(at // SECONDS)
        nothing = _Open()
        return tuple(
            Interval(
                answered=open_.ended["answered"],
                refused=open_.ended["refused"],
                failed=open_.ended["failed"],
                timed=open_.timed,
            )
            for index in range(newest - INTERVALS + 1, newest + 1)
            for open_ in [self._intervals.get(index, nothing)]
        )

    def distribution(self) -> Distribution | None:
        """Return how the newest scores, or else predictions, spread; ``None`` without any."""
        if self._scores:
            return of_numbers(np.fromiter(self._scores, float), of="score")
        if not self._predictions:
            return None
        if self._kind in _NUMBERS:
            numbers = np.fromiter(self._predictions, float)
            numbers = numbers[np.isfinite(numbers)]
            return of_numbers(numbers, of="number") if len(numbers) else None
        return of_categories([str(each) for each in self._predictions])


def _outcome(status: int) -> str:
    if status < 400:
        return "answered"
    return "refused" if status < 500 else "failed"


def of_numbers(numbers: np.ndarray, *, of: Literal["score", "number"]) -> Distribution:
    """Return how numbers spread: scores over 0..1, others over the middle 99 % of them.

    >>> of_numbers(np.array([0.01, 0.02, 0.99]), of="score").counts[0]
    2
    """
    low, high = (0.0, 1.0) if of == "score" else np.percentile(numbers, (0.5, 99.5)).tolist()
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(np.clip(numbers, low, high), edges)
    return Distribution(
        of=of,
        n=len(numbers),
        counts=tuple(counts.tolist()),
        edges=tuple(edges.tolist()),
        median=float(np.median(numbers)),
    )


def of_categories(values: Sequence[str]) -> Distribution:
    """Return how often each value came, the most frequent first; the rest is one, ``…``.

    >>> of_categories(["no", "yes", "no"]).labels
    ('no', 'yes')
    """
    found = Counter(values).most_common()
    shown, rest = found[:CATEGORIES], sum(n for _, n in found[CATEGORIES:])
    if rest:
        shown = [*shown, ("…", rest)]
    return Distribution(
        of="category",
        n=len(values),
        counts=tuple(n for _, n in shown),
        labels=tuple(label[:40] for label, _ in shown),
    )
