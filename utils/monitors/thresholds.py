"""Thresholds from a budget: how many false alarms a year are bearable, for the whole dashboard.

A threshold that somebody once found good knows neither how many rows a window has, nor how many
lines there are, nor how far this traffic strays from week to week when all is well. So it is asked
the other way round. How often may the dashboard cry wolf? Of windows in which *nothing changed*,
that many may have an alarm on any of its lines, and no more.

Where do such windows come from? From the reference: it was cut into blocks of time, and a quiet
window is made of its blocks, drawn at random (``QuietWindows``). Then

1. each line learns from its quiet values how rare a value is (``Tails``), so that lines of
   different kinds can be compared: 0.03 of one distance is as rare as 7 ms of a latency;
2. a quiet window is as suspicious as the *rarest* of its lines, and the threshold of that is what
   the budget allows (``rarity_threshold``). Lines that move together are counted once.

The reference is a sample too: a quiet window is made of one part of it, a fold, and compared with
the rest. So it strays by its own chance and by that of the reference, as a window to come will. The
tail beyond the blocks that there are is drawn as wide as one must who estimated it from so few.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_LEAST_SHARE = 0.02
_MOST_SHARE = 0.25
_TAIL_WINDOWS = 8
_TAIL_DRAWS = 80
_CHANCE = 0.1
_PERMUTATIONS = 100
_ALIKE = 0.9
_FOLDS = 5
_DRAWN = 10
_ENOUGH = 20
"""Independent windows from which on whole stretches are drawn; of fewer there are too few."""


# ------------------------------------------------------------------------------- the quiet period


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A period cut into blocks of time, each in slices: the sums of cells, in order of time.

    ``cells`` is (blocks × slices × cells) and ``rows`` (blocks × slices) how many rows they sum.
    Slices are the block's own parts in time: some of them, spread over it, are the same block with
    fewer rows. Blocks side by side follow one another in time, and those without rows are there.
    ``phase`` is where each block stands in the rhythm of ``n_phases`` blocks, such as the day of
    the week; a window is ``per_window`` blocks.

    Raises ``ValueError`` where a phase was seen less than twice.
    """

    cells: np.ndarray
    rows: np.ndarray
    phase: np.ndarray
    n_phases: int
    per_window: int

    def __post_init__(self) -> None:
        seen = np.bincount(self.phase, minlength=self.n_phases)
        if len(seen) > self.n_phases or seen.min() < 2 or self.n_windows < 2:
            raise ValueError(
                f"phase: {len(self.phase)} blocks, {self.per_window} a window, the rarest phase of "
                f"{self.n_phases} {seen.min()} times; two of each, and two windows, are needed"
            )

    @property
    def n_slices(self) -> int:
        return self.cells.shape[1]

    @property
    def n_windows(self) -> int:
        """How many whole windows' worth of blocks there are."""
        return len(self.cells) // self.per_window

    @property
    def total(self) -> np.ndarray:
        """The sums of the whole period (cells)."""
        return self.cells.sum(axis=(0, 1))


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """How the blocks of a window hang together.

    ``ratio`` is the variance of windows over that of windows whose blocks were exchanged for
    others of the same phase: 1 where blocks know nothing of one another; ``of_cells`` is that of
    each cell, drawn towards ``ratio`` as far as the windows are few, and at least 1. ``chance`` is
    how often exchanging alone gives such a ratio, ``carried`` the correlation of a window with the
    next.
    """

    ratio: float
    of_cells: np.ndarray
    chance: float
    carried: float

    @property
    def is_dependent(self) -> bool:
        return self.chance < _CHANCE


def dependence(blocks: Blocks, *, rng: np.random.Generator) -> Dependence:
    """Return how much the blocks of a period depend on those beside them.

    What stands for a block is how its cells differ from what its number of rows and its phase let
    expect: a Sunday that is like all Sundays shows nothing. Each cell counts alike.

    It sees what lasts from block to block, as a spell of weather does. A rhythm longer than the
    period is not in it. Fewer than four windows tell nothing: that their variance is doubled is
    then assumed.

    >>> rng = np.random.default_rng(0)
    >>> spell = np.repeat(rng.normal(size=(40, 1, 1)), 7, axis=0)
    >>> for strength in (0, 20):
    ...     cells = rng.poisson(100.0, size=(280, 1, 4)) + strength * spell * [[[1, -1, 0, 0]]]
    ...     quiet = Blocks(cells=cells, rows=cells.sum(axis=2), phase=np.arange(280) % 7,
    ...                    n_phases=7, per_window=7)
    ...     print(round(dependence(quiet, rng=rng).ratio))
    1
    3
    """
    n, width = blocks.n_windows, blocks.per_window
    n_cells = blocks.cells.shape[-1]
    if n < 4:
        return Dependence(ratio=2.0, of_cells=np.full(n_cells, 2.0), chance=0.0, carried=0.0)
    strayed = _strayed_from_phase(blocks)
    alone = strayed.var(axis=0)
    varies = alone > 1e-9 * alone.max()
    if not varies.any():
        return Dependence(ratio=1.0, of_cells=np.ones(n_cells), chance=1.0, carried=0.0)
    strayed = strayed[:, varies] / np.sqrt(alone[varies])

    def by_window(deviations: np.ndarray) -> np.ndarray:
        return deviations[: n * width].reshape(n, width, -1).sum(axis=1)

    seen = by_window(strayed)
    exchanged = np.stack(
        [
            by_window(strayed[_exchanged(blocks.phase, rng=rng)]).var(axis=0)
            for _ in range(_PERMUTATIONS)
        ]
    )
    ratio = float(seen.var(axis=0).mean() / exchanged.mean())
    own = seen.var(axis=0) / exchanged.mean(axis=0)
    of_cells = np.full(len(varies), own[-1] if varies[-1] else ratio)
    of_cells[varies] = own
    of_cells = (n * of_cells + _DRAWN * ratio) / (n + _DRAWN)
    by_chance = (exchanged.mean(axis=1) >= seen.var(axis=0).mean()).sum()
    carried = (seen[1:] * seen[:-1]).sum() / np.maximum((seen**2).sum(), 1e-300) + 1 / n
    return Dependence(
        ratio=ratio,
        of_cells=np.maximum(of_cells[:n_cells], 1.0),
        chance=(1 + by_chance) / (1 + _PERMUTATIONS),
        carried=float(np.clip(carried, 0, _ALIKE)),
    )


def _strayed_from_phase(blocks: Blocks) -> np.ndarray:
    """Return how the cells of each block, and last its rows, differ from what is to be expected.

    Of the rows that is the mean of the phase; of a cell its part of the rows, and what the phase
    makes of it. A cell that is always the same part of the rows strays as they do.
    """
    rows = blocks.rows.sum(axis=1)[:, None]
    expected = rows * (blocks.total / max(rows.sum(), 1))
    strayed = np.hstack([blocks.cells.sum(axis=1) - expected, rows])
    for phase in range(blocks.n_phases):
        there = blocks.phase == phase
        strayed[there] -= strayed[there].mean(axis=0)
    return strayed


def _exchanged(phase: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return an order of the blocks in which each has changed places with others of its phase."""
    order = np.empty(len(phase), dtype=np.intp)
    by_phase = np.argsort(phase, kind="stable")
    order[by_phase] = np.lexsort((rng.random(len(phase)), phase))
    return order


# ------------------------------------------------------------------------------- quiet windows


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a window is like, as far as its quiet values depend on it.

    It is made of the blocks ``first`` to ``last`` (included) of a whole window; ``slices`` is how
    many slices of each block its rows are worth, and ``labelled`` how many those with a label.
    """

    first: int
    last: int
    slices: int
    labelled: int


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """Windows that were drawn: their sums, and the blocks and the fold that each was drawn from."""

    sums: np.ndarray  # (draws × in a row × cells)
    first: np.ndarray
    last: np.ndarray
    fold: np.ndarray

    def parted(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the draws of each fold, and those that share no block with them."""
        for one in np.unique(self.fold):
            held_out = self.fold == one
            low, high = self.first[held_out].min(), self.last[held_out].max()
            others = (self.last < low) | (self.first > high)
            if others.sum() >= _TAIL_DRAWS:
                yield held_out, others


@dataclass(frozen=True, kw_only=True)
class QuietWindows:
    """Windows in which nothing changed, made of a reference's blocks.

    Where blocks do not depend on one another, each place of a window takes any block of the same
    phase in one part of the reference, a fold. Where they do, whole stretches are taken as they
    stand; or, if there are fewer than twenty independent ones, single blocks of a fold again, which
    stray further within it by as much as windows stray further than their blocks explain.
    ``is_labelled`` says which cells rest on rows with a label, of which a window may have fewer.
    """

    blocks: Blocks
    is_labelled: np.ndarray
    dependence: Dependence

    @property
    def n_stretches(self) -> float:
        """How many windows of the reference are independent of one another."""
        carried = self.dependence.carried if self.dependence.is_dependent else 0.0
        return self.blocks.n_windows * (1 - carried) / (1 + carried)

    @property
    def takes_stretches(self) -> bool:
        return self.dependence.is_dependent and self.n_stretches >= _ENOUGH

    @property
    def n_independent(self) -> float:
        """How many independent witnesses of how windows stray the reference holds."""
        if self.takes_stretches:
            return self.n_stretches
        more = self.dependence.ratio if self.dependence.is_dependent else 1.0
        return len(self.blocks.cells) / max(more, 1.0)

    @cached_property
    def fold(self) -> np.ndarray:
        """The fold of each block: a few parts of the period, one after the other."""
        n = len(self.blocks.cells)
        n_folds = max(2, min(_FOLDS, n // max(self.blocks.n_phases, self.blocks.per_window)))
        return np.arange(n) * n_folds // n

    def windows(
        self,
        shape: Shape,
        *,
        draws: int,
        in_a_row: int = 1,
        rng: np.random.Generator,
        cells: slice = slice(None),
    ) -> Quiet:
        """Return windows of a shape, as sums (draws × in a row × cells).

        All blocks of a draw are of one fold, but of a whole stretch, which is of that in which it
        begins. Windows in a row follow one another. One that is to have more rows than those of the
        reference has theirs: it is then said to stray more than it does.
        """
        places = np.arange(shape.first, shape.last + 1)
        where = self._where(places, draws=draws, in_a_row=in_a_row, rng=rng)
        is_labelled, strayed = self.is_labelled[cells], self._strayed[:, :, cells]
        sums = np.empty((draws, in_a_row, len(is_labelled)))
        for slices, part in ((shape.slices, ~is_labelled), (shape.labelled, is_labelled)):
            thinned = _thinned(strayed[:, :, part], slices)
            offset = rng.integers(len(thinned), size=where.shape)
            sums[..., part] = 0.0
            for at in range(where.shape[-1]):
                sums[..., part] += thinned[offset[..., at], where[..., at]]
        return Quiet(
            sums=np.maximum(sums, self._floor[cells]),
            first=where.min(axis=(1, 2)),
            last=where.max(axis=(1, 2)),
            fold=self.fold[where[:, 0, 0]],
        )

    def rest(self, fold: np.ndarray) -> np.ndarray:
        """Return the sums of the reference without the fold of each draw (draws × cells).

        They are as large as the whole reference's, phase by phase. A fold differs from the rest as
        a time that is to come differs from the whole: by its own chance, and by the reference's.
        """
        blocks, cells = self.blocks, self.blocks.cells.sum(axis=1)
        total = np.zeros((int(self.fold[-1]) + 1, cells.shape[1]))
        for one, phase in itertools.product(range(len(total)), range(blocks.n_phases)):
            of_phase = blocks.phase == phase
            others = of_phase & (self.fold != one)
            pool = others if others.any() else of_phase
            total[one] += cells[pool].sum(axis=0) * (of_phase.sum() / pool.sum())
        return total[fold]

    def redrawn(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Return the sums of the whole reference, drawn anew each time (draws × cells)."""
        cells, width = self._strayed.sum(axis=1), self.blocks.per_window
        if self.takes_stretches:
            pool = np.lib.stride_tricks.sliding_window_view(cells, width, axis=0).sum(axis=-1)
            n = self.blocks.n_windows
            total = _redrawn(pool, n, draws=draws, rng=rng) * (len(cells) / (width * n))
        else:
            total = np.zeros((draws, cells.shape[1]))
            for phase in range(self.blocks.n_phases):
                pool = cells[self.blocks.phase == phase]
                total += _redrawn(pool, len(pool), draws=draws, rng=rng)
        return np.maximum(total, self._floor)

    def _where(
        self, places: np.ndarray, *, draws: int, in_a_row: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return which blocks are drawn (draws × in a row × places)."""
        width, n_phases = self.blocks.per_window, self.blocks.n_phases
        later = np.arange(in_a_row)[:, None] * width
        if self.takes_stretches:
            later %= self.blocks.n_windows * width
            last = len(self.blocks.cells) - (later.max() + width)
            return rng.integers(last + 1, size=(draws, 1, 1)) + later + places
        begins = 0 if width % n_phases == 0 else rng.integers(n_phases, size=(draws, 1, 1))
        phase = np.broadcast_to(begins + later + places, (draws, in_a_row, len(places))) % n_phases
        fold = rng.integers(self.fold[-1] + 1, size=(draws, 1, 1))
        pool = fold * n_phases + phase
        pools = self.fold * n_phases + self.blocks.phase
        seen = np.bincount(pools, minlength=(self.fold[-1] + 1) * n_phases)
        first = np.cumsum(seen) - seen
        return np.argsort(pools, kind="stable")[first[pool] + rng.integers(seen[pool])]

    @cached_property
    def _strayed(self) -> np.ndarray:
        """The blocks' cells; where single ones stand for dependent ones, strayed further.

        Windows vary more than their blocks explain, and within a fold the blocks stray from its
        phase's mean by the root of that. How the folds differ holds the dependence as it is.
        """
        blocks, dependence = self.blocks, self.dependence
        cells = blocks.cells.astype(float)
        if dependence.is_dependent and not self.takes_stretches:
            further = np.sqrt(dependence.of_cells)
            pools = self.fold * blocks.n_phases + blocks.phase
            for pool in np.unique(pools):
                mean = cells[pools == pool].mean(axis=0)
                cells[pools == pool] = mean + further * (cells[pools == pool] - mean)
        return cells

    @cached_property
    def _floor(self) -> np.ndarray:
        """What a sum cannot be below: 0, but of what may be negative, such as an error."""
        return np.where((self.blocks.cells < 0).any(axis=(0, 1)), -np.inf, 0.0)


def _thinned(cells: np.ndarray, slices: int) -> np.ndarray:
    """Return the sums of some slices of each block, evenly spread (offsets × blocks × cells).

    They begin at each slice in turn; there is only one way to take all.
    """
    n = cells.shape[1]
    if slices >= n:
        return cells.sum(axis=1)[None]
    spread = np.arange(slices) * n // slices
    return np.stack([cells[:, (spread + first) % n].sum(axis=1) for first in range(n)])


def _redrawn(pool: np.ndarray, size: int, *, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return the sum of ``size`` members of a pool drawn with replacement (draws × cells)."""
    return rng.multinomial(size, np.full(len(pool), 1 / len(pool)), size=draws) @ pool


# --------------------------------------------------------------------------------- how rare it is


@dataclass(frozen=True, kw_only=True)
class Tails:
    """How rare a value is among the quiet values of each line, on the side that is bad.

    Rarity is -log of the share of quiet windows that are at least so bad: 3 is one in twenty, 7 one
    in a thousand. Beyond the rarest ``share`` of the quiet values, which are few, it grows evenly
    with the value, as their mean excess says. A line whose bad side is both is here twice; one that
    was never known when all was quiet has no rare value.
    """

    line: np.ndarray  # of each column, the number of its line
    sign: np.ndarray  # of each column, +1 where high is bad and -1 where low is
    quiet: np.ndarray  # (draws × columns), each column sorted
    share: float
    start: np.ndarray
    excess: np.ndarray

    def rarity(self, values: np.ndarray) -> np.ndarray:
        """Return the rarity of values (… × lines) in each column (… × columns); 0 for ``NaN``."""
        bad = self.sign * values[..., self.line]
        n = len(self.quiet)
        found = np.zeros(bad.shape)
        for at in range(bad.shape[-1]):
            as_bad = n - np.searchsorted(self.quiet[:, at], bad[..., at], side="left")
            with np.errstate(invalid="ignore"):
                beyond = (bad[..., at] - self.start[at]) / self.excess[at]
            common = -np.log(np.maximum(as_bad / n, self.share))
            found[..., at] = np.where(beyond > 0, beyond - np.log(self.share), common)
        return np.where(np.isnan(bad) | np.isposinf(self.start), 0.0, found)

    def by_line(self, rarity: np.ndarray, n_lines: int) -> np.ndarray:
        """Return the rarity of each line (… × lines): that of its worse side."""
        found = np.zeros((*rarity.shape[:-1], n_lines))
        for at, line in enumerate(self.line):
            found[..., line] = np.maximum(found[..., line], rarity[..., at])
        return found

    def bounds(self, rarity: float, n_lines: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the values (low, high) of each line that are so rare; ``NaN`` on a good side."""
        if rarity > -np.log(self.share):
            bad = self.start + self.excess * (rarity + np.log(self.share))
        else:
            at = min(int(len(self.quiet) * (1 - np.exp(-rarity))), len(self.quiet) - 1)
            bad = self.quiet[at]
        low, high = np.full(n_lines, np.nan), np.full(n_lines, np.nan)
        high[self.line[self.sign > 0]] = bad[self.sign > 0]
        low[self.line[self.sign < 0]] = -bad[self.sign < 0]
        return low, high


def tails(
    values: np.ndarray,
    *,
    high_is_bad: np.ndarray,
    low_is_bad: np.ndarray,
    n_independent: float = np.inf,
    least_excess: np.ndarray | float = 0.0,
) -> Tails:
    """Return the tails of quiet values (draws × lines).

    ``n_independent`` witnesses are behind the draws, and the tail takes eight of them at least.
    ``least_excess`` (lines) keeps the tail of a line that was always the same from having no width.

    >>> quiet = np.random.default_rng(0).exponential(2.0, size=(4000, 1))
    >>> found = tails(quiet, high_is_bad=np.array([True]), low_is_bad=np.array([False]))
    >>> round(float(found.rarity(np.array([20.0]))[0]), 1)
    9.4
    """
    line = np.concatenate([np.flatnonzero(high_is_bad), np.flatnonzero(low_is_bad)])
    sign = np.repeat([1.0, -1.0], [int(high_is_bad.sum()), int(low_is_bad.sum())])
    bad = sign * values[:, line]
    quiet = np.sort(np.where(np.isnan(bad), -np.inf, bad), axis=0)
    n = len(quiet)
    wanted = max(_LEAST_SHARE, _TAIL_DRAWS / n, _TAIL_WINDOWS / n_independent)
    k = max(1, int(n * min(_MOST_SHARE, wanted)))
    least = np.broadcast_to(least_excess, values.shape[1:])[line]
    finite = np.where(np.isfinite(quiet), quiet, np.nan)
    some = np.isfinite(quiet).any(axis=0)
    lowest = np.where(some, np.nanmin(np.where(some, finite, 0.0), axis=0), np.inf)
    start = np.maximum(quiet[-k - 1], lowest)
    with np.errstate(invalid="ignore"):
        above = np.where(np.isfinite(start), quiet[-k:] - start, 0.0)
    excess = np.maximum(np.maximum(above, 0).mean(axis=0), least)
    tiny = np.maximum(1e-9 * np.abs(np.where(np.isfinite(start), start, 0.0)), 1e-12)
    return Tails(
        line=line,
        sign=sign,
        quiet=quiet,
        share=k / n,
        start=start,
        excess=np.maximum(excess, tiny),
    )


def rarity_threshold(quiet: np.ndarray, chance: float, *, n_independent: float = np.inf) -> float:
    """Return the rarity that a quiet window exceeds with a chance, from those of quiet windows.

    The tail is taken to be exponential where the draws are few, and is widened by how little is
    known of it: of k witnesses beyond a start, the next is x mean excesses beyond with a chance of
    (1 + x/k)^-k, and not of exp(-x). This is exact for exponential tails, which rarities have.

    Source: D. R. Cox and D. V. Hinkley (1974), "Theoretical Statistics", on prediction of an
    exponential variable.

    >>> quiet = np.random.default_rng(0).exponential(size=20_000)
    >>> print(round(rarity_threshold(quiet, 0.01), 1))
    4.5
    >>> print(round(rarity_threshold(quiet, 0.01, n_independent=20), 1))
    5.8
    """
    n = len(quiet)
    share = max(4 * chance, _TAIL_DRAWS / n, min(_MOST_SHARE, _TAIL_WINDOWS / n_independent))
    share = min(0.5, share)
    ordered = np.sort(quiet)
    k = max(1, int(n * share))
    start = ordered[-k - 1]
    far = np.log(share / chance) if chance < share else 0.0
    if not far:
        return float(np.quantile(ordered, 1 - chance))
    if chance * n >= _TAIL_DRAWS / 4:
        beyond = np.quantile(ordered, 1 - chance) - start
    else:
        beyond = (ordered[-k:] - start).mean() * far
    witnesses = max(share * n_independent, 1.0)
    widened = np.expm1(far / witnesses) * witnesses / far if np.isfinite(witnesses) else 1.0
    return float(start + beyond * widened)


# ------------------------------------------------------------------------------- the calibration


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was learned of quiet windows of one shape: the tails of the lines, and two thresholds.

    ``quiet`` holds, sorted, the rarity of each quiet window: that of the rarest of its lines.
    """

    tails: Tails
    quiet: np.ndarray
    warning: float
    critical: float
    n_lines: int

    def rarity(self, values: np.ndarray) -> np.ndarray:
        """Return how rare the value of each line is (… × lines); 0 for ``NaN``."""
        return self.tails.by_line(self.tails.rarity(values), self.n_lines)

    def bounds(self, rarity: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the thresholds (low, high) of each line: the warning's, unless told otherwise."""
        return self.tails.bounds(self.warning if rarity is None else rarity, self.n_lines)

    def chance(self, rarity: np.ndarray) -> np.ndarray:
        """Return how often the rarest line of a quiet window is at least so rare.

        Beyond the draws it falls as the rarity says, so it is small there rather than right.
        """
        n = len(self.quiet)
        as_rare = n - np.searchsorted(self.quiet, rarity, side="left")
        last = max(0, n - _TAIL_DRAWS // 4)
        further = np.maximum(np.asarray(rarity) - self.quiet[last], 0.0)
        beyond = (n - last) / n * np.exp(-further)
        return np.where(as_rare > n - last, as_rare / n, np.minimum(beyond, (n - last) / n))


def calibration(
    values: np.ndarray,
    *,
    high_is_bad: np.ndarray,
    low_is_bad: np.ndarray,
    chance: float,
    critical_chance: float,
    n_independent: float = np.inf,
    least_excess: np.ndarray | float = 0.0,
    parted: Iterable[tuple[np.ndarray, np.ndarray]] = (),
) -> Calibration:
    """Return the thresholds at which quiet windows alarm with a chance, over all lines together.

    ``values`` are those of quiet windows (draws × in a row × lines). With more than one in a row,
    a line counts as rare as it is in the least rare of them: an alarm must persist. ``chance`` is
    that of a warning, ``critical_chance`` that of what is more than a warning.

    Quiet windows are made of few blocks, which come again and again: tails that have learned them
    find nothing strange in them. ``parted`` says which draws are to be judged by the tails of which
    others (``Quiet.parted``).

    >>> quiet = np.random.default_rng(0).normal(size=(4000, 1, 12))
    >>> every = np.ones(12, dtype=bool)
    >>> found = calibration(quiet, high_is_bad=every, low_is_bad=~every, chance=1 / 52,
    ...                     critical_chance=1 / 520)
    >>> fresh = np.random.default_rng(1).normal(size=(10_000, 12))
    >>> print(round(52 * (found.rarity(fresh).max(axis=1) > found.warning).mean(), 1))
    1.2
    """
    n_lines = values.shape[-1]

    def learned_of(some: np.ndarray) -> Tails:
        return tails(
            some.reshape(-1, n_lines),
            high_is_bad=high_is_bad,
            low_is_bad=low_is_bad,
            n_independent=n_independent,
            least_excess=least_excess,
        )

    learned = learned_of(values)
    rarity = learned.rarity(values)
    for held_out, others in parted:
        rarity[held_out] = learned_of(values[others]).rarity(values[held_out])
    quiet = learned.by_line(rarity, n_lines).min(axis=1).max(axis=1, initial=0.0)
    warning, critical = (
        rarity_threshold(quiet, each, n_independent=n_independent)
        for each in (chance, critical_chance)
    )
    return Calibration(
        tails=learned,
        quiet=np.sort(quiet),
        warning=warning,
        critical=max(critical, warning),
        n_lines=n_lines,
    )
