"""The whole dashboard over one frame: every monitor, one table, one budget of false alarms.

``fitted`` learns from a reference in which all was well: what each line looks like, how far it
strays from window to window, and so where the thresholds lie that keep the budget for all lines
together. ``Monitors.run`` measures a later frame by them, and says what it found: the measurements,
and alerts with their evidence and one action.

>>> rng = np.random.default_rng(0)
>>> def waits(start, days, mean):
...     times = pd.date_range(start, periods=days * 24, freq="1h", tz="UTC")
...     return pd.DataFrame({"event_time": times, "wait_min": rng.gamma(4, mean / 4, len(times))})
>>> roles = Roles(time_column="event_time", features=("wait_min",))
>>> monitors = fitted(waits("2024-01-01", 182, 10.0), roles, false_alarms_per_year=1, rng=rng)
>>> findings = monitors.run(waits("2024-07-01", 28, 14.0))
>>> sorted({alert.metric for alert in findings.alerts})
['jensen_shannon', 'out_of_bounds_rate']
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.alerts import LABEL_DRIFT, PREDICTION_DRIFT, Alert, alerts_of
from utils.monitors.blocks import LABELLED, OWN_CELLS, ROWS, Counted, Grid, counted, slices_for
from utils.monitors.drift import Distances
from utils.monitors.estimation import LEAST_ROWS, ErrorModel, Estimated
from utils.monitors.fairness import Fairness
from utils.monitors.infrastructure import Latency
from utils.monitors.intervals import checked_level, spread, wilson
from utils.monitors.measures import Line, Measure, Only, Tells
from utils.monitors.quality import Rates
from utils.monitors.realised import Realised, classes_of, positive_class
from utils.monitors.requests import Requests
from utils.monitors.thresholds import (
    Blocks,
    Calibration,
    QuietWindows,
    Shape,
    calibration,
    dependence,
)
from utils.records import LINE, measurements
from utils.text import nearest, number, tr

Task = Literal["classification", "regression"]

YEAR = pd.Timedelta(365.25, "D")
_INTERVAL_DRAWS = 200
_EMPTIEST = 0.01
_PRIOR_EVENTS = 0.1
_STEPS = (1, 2, 3, 4, 6, 8, 11, 16)


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which column of a frame is what; ``None`` where there is none.

    Raises ``ValueError`` for a column with two roles, and for a task that is none.
    """

    time_column: str = "event_time"
    features: tuple[str, ...] = ()
    task: Task | None = None
    prediction_column: str | None = None
    score_column: str | None = None
    label_column: str | None = None
    known_at_column: str | None = None
    group_columns: tuple[str, ...] = ()
    latency_column: str | None = None
    client_column: str | None = None
    positive: Any = None

    def __post_init__(self) -> None:
        if self.task not in (None, "classification", "regression"):
            raise ValueError(f"task={self.task!r}: {nearest(str(self.task), _TASKS)}")
        alone = {name: getattr(self, name) for name in _ALONE if getattr(self, name) is not None}
        for name, column in alone.items():
            others = [other for other, same in alone.items() if same == column and other != name]
            if others or column in self.features:
                raise ValueError(f"{name}={column!r} is {(*others, 'features')[0]} too")

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield each role that is taken, and the column that takes it."""
        for name in (*_ALONE, "latency_column", "client_column"):
            if getattr(self, name) is not None:
                yield name, getattr(self, name)
        for name in ("features", "group_columns"):
            for column in getattr(self, name):
                yield name, column


_TASKS = ("classification", "regression")
_ALONE = ("time_column", "prediction_column", "score_column", "label_column", "known_at_column")


# ------------------------------------------------------------------------------- the dashboard


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a run found: the measurements of every line in every window, and the alerts."""

    measurements: pd.DataFrame
    alerts: list[Alert]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of a frame: each line in each window (windows × lines), with its interval.

    ``numbers`` are those of the windows on the grid, ``sums`` their cells, and ``there`` says which
    of their blocks were recorded.
    """

    numbers: np.ndarray
    sums: np.ndarray
    there: np.ndarray
    values: np.ndarray
    counts: np.ndarray
    low: np.ndarray
    high: np.ndarray
    known_as_of: pd.Timestamp | None


@dataclass(frozen=True, kw_only=True)
class Monitors:
    """Every monitor, calibrated on a reference; made by ``fitted``.

    Thresholds are those of a window's own shape (its rows, those with a label, the part of it that
    was recorded), found when a window of that shape is first seen, and kept.
    """

    roles: Roles
    measures: tuple[Measure, ...]
    grid: Grid
    quiet: QuietWindows
    false_alarms_per_year: float
    critical_per_year: float
    persistence: int
    level: float
    draws: int
    seed: int
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Every line of the dashboard, in the order of the measurements of a window."""
        return tuple(line for each in self.measures for line in each.lines)

    @cached_property
    def _is_share(self) -> np.ndarray:
        """Which lines are shares, between 0 and 1."""
        return np.array([line.scale == "logit" for line in self.lines])

    @property
    def windows_a_year(self) -> float:
        return windows.whole_microseconds(YEAR) / self.grid.window

    @property
    def least_budget(self) -> float:
        """The fewest false alarms a year of which the reference can have seen one."""
        return self.windows_a_year / (self.quiet.n_stretches + 1)

    @property
    def notes(self) -> list[str]:
        """What to know before trusting the thresholds, in the language in force."""
        notes = []
        n = number(self.quiet.n_stretches, digits=2)
        if self.quiet.takes_stretches:
            notes.append(
                tr(
                    pt="Na referência, uma parte da janela depende da anterior: as janelas quietas "
                    f"são trechos inteiros dela, dos quais cerca de {n} são independentes.",
                    en="In the reference a part of a window depends on the one before it: quiet "
                    f"windows are whole stretches of it, of which about {n} are independent.",
                )
            )
        elif self.quiet.dependence.is_dependent:
            more = number(self.quiet.dependence.ratio, digits=2)
            notes.append(
                tr(
                    pt="Na referência, uma parte da janela depende da anterior, e há só cerca de "
                    f"{n} janelas independentes. Supõe-se que as quietas variem {more} vezes o que "
                    "variariam sem isso: o orçamento vale por aproximação.",
                    en="In the reference a part of a window depends on the one before it, and "
                    f"there are only about {n} independent windows. Quiet ones are taken to vary "
                    f"{more} times as much as they would without that: the budget holds roughly.",
                )
            )
        if self.least_budget > self.false_alarms_per_year:
            asked = number(self.false_alarms_per_year, digits=3)
            least = number(self.least_budget, digits=2)
            notes.append(
                tr(
                    pt=f"A referência é curta para um orçamento de {asked} por ano: o mais raro "
                    f"que ela pode mostrar acontece {least} vezes por ano. Daí em diante os "
                    "limiares são extrapolados, e mais largos.",
                    en=f"The reference is too short for a budget of {asked} a year: the rarest "
                    f"that it can show happens {least} times a year. From there on the thresholds "
                    "are extrapolated, and wider.",
                )
            )
        return notes

    # ------------------------------------------------------------------------------- measuring

    def run(
        self,
        current: pd.DataFrame,
        *,
        known_as_of: windows.Moment | None = None,
        until: windows.Moment | None = None,
    ) -> Findings:
        """Return what the monitors find in a frame: each line in each window of it.

        With ``known_as_of``, later rows are not there, and labels that became known later are
        missing. ``until`` is the end of what was recorded, the last row unless given: silence
        before it is a finding. The frame may begin and end within a window, which is then judged by
        what a quiet window shows in that part.

        A window with less than about a sixteenth of the usual rows is measured, and judged by how
        few they are alone.

        Raises ``ValueError`` for a column of a role that is missing, and for no rows.
        """
        return self.judged(self.measured(current, known_as_of=known_as_of, until=until))

    def measured(
        self,
        current: pd.DataFrame,
        *,
        known_as_of: windows.Moment | None = None,
        until: windows.Moment | None = None,
    ) -> Measured:
        """Return the value of each line in each window, not judged yet; see ``run``."""
        as_of = windows.moment(known_as_of, argument="known_as_of")
        end = windows.moment(until, argument="until")
        frame = ordered(current, self.roles, known_as_of=as_of, argument="current")
        numbers, blocks, there = counted(
            frame,
            self.measures,
            grid=self.grid,
            n_slices=self.quiet.blocks.n_slices,
            time_column=self.roles.time_column,
            label_column=self.roles.label_column,
            until=None if end is None else windows.whole_microseconds(end),
        ).by_window()
        sums = blocks.sum(axis=1)
        counts, values = self._counts(sums), self._values(sums, self.quiet.blocks.total)
        low, high = self._intervals(values, counts, blocks, there)
        return Measured(
            numbers=numbers,
            sums=sums,
            there=there,
            values=values,
            counts=counts,
            low=low,
            high=high,
            known_as_of=as_of,
        )

    def judged(self, seen: Measured) -> Findings:
        """Return what was measured with its thresholds, alarms and alerts, under this budget."""
        total = self.quiet.blocks.total
        judged = [
            self._judged(*each) for each in zip(seen.values, seen.there, seen.sums, strict=True)
        ]
        bounds = np.stack([each.bounds for each in judged], axis=1)
        outside = (seen.values < bounds[0]) | (seen.values > bounds[1])
        alarm = _persistent(outside, self.persistence)
        table = self._table(
            seen.numbers,
            value=seen.values,
            low=seen.low,
            high=seen.high,
            threshold_low=bounds[0],
            threshold_high=bounds[1],
            alarm=alarm,
            n_reference=np.broadcast_to(self._counts(total).round(), alarm.shape),
            n_current=seen.counts.round(),
        )
        table = measurements(table.assign(known_as_of=seen.known_as_of))
        alerts = alerts_of(
            table,
            n_lines=len(self.lines),
            per_year=np.stack([each.per_year for each in judged]).ravel(),
            is_critical=(np.stack([each.is_critical for each in judged]) & alarm).ravel(),
            usual=np.tile(self._values(total, total), len(alarm)),
            moved=lambda row: self._moved(row % len(self.lines), seen.sums[row // len(self.lines)]),
        )
        return Findings(measurements=table, alerts=alerts)

    def _table(self, numbers: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
        """Return arrays (windows × lines) as columns, beside the line and window of each row."""
        starts = self.grid.starts(numbers)
        named = {
            name: np.tile([getattr(line, name) for line in self.lines], len(numbers))
            for name in LINE
        }
        return pd.DataFrame(
            named
            | {
                "window_start": np.repeat(starts, len(self.lines)),
                "window_end": np.repeat(starts + self.grid.length, len(self.lines)),
            }
            | {name: values.ravel() for name, values in columns.items()}
        )

    @cached_property
    def _cells(self) -> tuple[slice, ...]:
        """Where the cells of each measure are."""
        ends = OWN_CELLS + np.cumsum([0, *(each.n_cells for each in self.measures)])
        return tuple(slice(a, b) for a, b in itertools.pairwise(ends))

    def _values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return the value of each line, ``NaN`` where it rests on too few rows."""
        found = [
            each.values(current[..., cells], reference[..., cells])
            for each, cells in zip(self.measures, self._cells, strict=True)
        ]
        least = np.array([line.minimum for line in self.lines])
        return np.where(self._counts(current) >= least, np.concatenate(found, axis=-1), np.nan)

    def _counts(self, current: np.ndarray) -> np.ndarray:
        found = [
            each.counts(current[..., cells])
            for each, cells in zip(self.measures, self._cells, strict=True)
        ]
        return np.concatenate(found, axis=-1)

    def _moved(self, line: int, sums: np.ndarray) -> str:
        """Return what moved most within a line, as its measure tells it."""
        for measure, cells in zip(self.measures, self._cells, strict=True):
            if line < len(measure.lines):
                told = measure.moved if isinstance(measure, Tells) else None
                return told(line, sums[cells], self.quiet.blocks.total[cells]) if told else ""
            line -= len(measure.lines)
        raise IndexError(line)

    def _intervals(
        self, values: np.ndarray, counts: np.ndarray, blocks: np.ndarray, there: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the interval of each value: blocks of window and reference are drawn anew.

        A share that is 0 or 1 has none of these, and takes Wilson's.
        """
        rng = np.random.default_rng(self.seed)
        references = self.quiet.redrawn(_INTERVAL_DRAWS, rng=rng)
        scales = [line.scale for line in self.lines]
        low, high = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        for at, own in enumerate(blocks):
            own = own[there[at]]
            k = len(own)
            if k < 2:
                continue
            weights = rng.multinomial(k, np.full(k, 1 / k), size=_INTERVAL_DRAWS)
            error = _deviation(self._values(weights @ own, references)) * np.sqrt(k / (k - 1))
            low[at], high[at] = spread(
                values[at], error, n_units=k, scales=scales, level=self.level
            )
        share = self._is_share & np.isin(values, (0.0, 1.0))
        least, most = wilson(np.where(share, values, 0) * counts, counts, level=self.level)
        return np.where(share, least, low), np.where(share, most, high)

    # ------------------------------------------------------------------------------- judging

    def _judged(self, values: np.ndarray, there: np.ndarray, sums: np.ndarray) -> _Judged:
        """Return how strange the lines of a window are, by what quiet windows like it show."""
        if not there.any():
            return _nothing(len(values))
        whole, shape = self._shapes(there, sums)
        by_rows = np.array([line.minimum > 0 for line in self.lines])
        judged = self._judged_as(whole, values)
        if shape == whole:
            return judged
        own = self._judged_as(shape, values) if shape is not None else _nothing(len(values))
        return _Judged(
            bounds=np.where(by_rows, own.bounds, judged.bounds),
            per_year=np.where(by_rows, own.per_year, judged.per_year),
            is_critical=np.where(by_rows, own.is_critical, judged.is_critical),
        )

    def _judged_as(self, shape: Shape, values: np.ndarray) -> _Judged:
        budget = (self.false_alarms_per_year, self.critical_per_year)
        learned = self._once((shape, budget), lambda: self._calibrated(shape))
        rarity = learned.rarity(values)
        low, high = learned.bounds()
        return _Judged(
            bounds=np.stack([_reachable(low, self._is_share), _reachable(high, self._is_share)]),
            per_year=learned.chance(rarity) * self.windows_a_year,
            is_critical=rarity > learned.critical,
        )

    def _shapes(self, there: np.ndarray, sums: np.ndarray) -> tuple[Shape, Shape | None]:
        """Return what a window is like with the usual rows, and with its own.

        How many rows there are is judged by the first, and all else by the second: ``None`` where
        they are so few that nothing can be said of them.
        """
        places = np.flatnonzero(there)
        n = self.quiet.blocks.n_slices
        whole = Shape(first=int(places[0]), last=int(places[-1]), slices=n, labelled=n)
        usual = self._once(("rows", whole), lambda: self._rows(whole))
        slices = _worth(sums[ROWS], usual[:, ROWS], n_slices=n)
        labelled = _worth(sums[LABELLED], usual[:, LABELLED], n_slices=n)
        own = replace(whole, slices=slices, labelled=labelled or 1) if slices else None
        return whole, own

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _rng(self, shape: Shape) -> np.random.Generator:
        return np.random.default_rng(
            [self.seed, shape.first, shape.last, shape.slices, shape.labelled]
        )

    def _rows(self, shape: Shape) -> np.ndarray:
        """Return how many rows, and labelled ones, quiet windows have (draws × 2)."""
        rng = self._rng(shape)
        quiet = self.quiet.windows(shape, draws=self.draws, rng=rng, cells=slice(OWN_CELLS))
        return quiet.sums[:, 0]

    def _calibrated(self, shape: Shape) -> Calibration:
        quiet = self._once(("quiet", shape), lambda: self._quiet_values(shape))
        sides = np.array([line.side for line in self.lines])
        return calibration(
            quiet.values,
            high_is_bad=sides != "low",
            low_is_bad=sides != "high",
            chance=self.false_alarms_per_year / self.windows_a_year,
            critical_chance=self.critical_per_year / self.windows_a_year,
            n_independent=self.quiet.n_independent,
            least_excess=quiet.one_event,
            parted=quiet.parted,
        )

    def _quiet_values(self, shape: Shape) -> _QuietValues:
        """Return the values of the lines in quiet windows, whatever the budget.

        What a line measures of the reference alone is as uncertain as the reference: a window is
        that much further from it, or nearer. (Of a distance it is 0, and is in the value already.)
        """
        rng = self._rng(shape)
        drawn = self.quiet.windows(shape, draws=self.draws, in_a_row=self.persistence, rng=rng)
        current, reference = drawn.sums, self.quiet.rest(drawn.fold)[:, None]
        total = self.quiet.blocks.total
        further = self._values(total, total) - self._values(reference, reference)
        values = self._values(current, reference) + np.nan_to_num(further)
        n_current, n_reference = self._counts(current), self._counts(reference)
        toward_bad = np.array([-1 if line.side == "low" else 1 for line in self.lines])
        share, burst = self._is_share, self._burst
        unseen = toward_bad * _unseen_events(n_current, n_reference, burst=burst, rng=rng)
        return _QuietValues(
            values=values + np.where(share, unseen, 0.0),
            one_event=np.where(share, _one_event(n_current, n_reference, burst=burst), 0.0),
            parted=tuple(drawn.parted()),
        )

    @cached_property
    def _burst(self) -> np.ndarray:
        """How many rows come at once with what each line's share counts; 1 where each by itself.

        It is the variance of the counts of blocks over their mean, as of counts of bursts: weather
        that is missing for an hour is missing for every flight of that hour.
        """
        blocks = self.quiet.blocks.cells.sum(axis=1)
        rest = self.quiet.rest(self.quiet.fold)
        with np.errstate(invalid="ignore"):
            events = np.nan_to_num(self._values(blocks, rest) * self._counts(blocks))
        mean = np.maximum(events.mean(axis=0), 1e-9)
        return np.where(self._is_share, np.maximum(events.var(axis=0) / mean, 1.0), 1.0)


@dataclass(frozen=True, kw_only=True)
class _QuietValues:
    values: np.ndarray  # (draws × in a row × lines)
    one_event: np.ndarray  # the least mean excess of each line's tail
    parted: tuple[tuple[np.ndarray, np.ndarray], ...]  # which draws are judged by which others


@dataclass(frozen=True, kw_only=True)
class _Judged:
    bounds: np.ndarray  # (low and high × lines)
    per_year: np.ndarray
    is_critical: np.ndarray


def _reachable(bounds: np.ndarray, is_share: np.ndarray) -> np.ndarray:
    """Return thresholds without those that no value can be beyond."""
    beyond = is_share & ((bounds <= 0) | (bounds >= 1))
    return np.where(beyond | np.isinf(bounds), np.nan, bounds)


def _nothing(n_lines: int) -> _Judged:
    """Return what is said of lines that cannot be judged."""
    return _Judged(
        bounds=np.full((2, n_lines), np.nan),
        per_year=np.full(n_lines, np.nan),
        is_critical=np.zeros(n_lines, dtype=bool),
    )


def _worth(rows: float, usual: np.ndarray, *, n_slices: int) -> int:
    """Return how many slices of its blocks a window's rows are worth: all, if it has enough.

    Enough is about what the emptiest quiet windows have.
    """
    if rows >= 0.9 * np.quantile(usual, _EMPTIEST):
        return n_slices
    share = rows / np.median(usual)
    return max((each for each in _STEPS if each <= n_slices * share), default=0)


def _unseen_events(
    n_current: np.ndarray, n_reference: np.ndarray, *, burst: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return a share of events in each window that the reference need not have shown by chance.

    What was never seen in N rows may still happen: with a prior of a tenth of an event (of the
    rates that were 0, most are 0), a window of n rows has a negative binomial number of them. An
    event is as many rows as come at once.
    """
    n, of = np.maximum(n_current, 1), np.maximum(n_reference, 1)
    events = rng.negative_binomial(_PRIOR_EVENTS, of / (of + n))
    return np.minimum(events * burst / n, 1.0)


def _one_event(n_current: np.ndarray, n_reference: np.ndarray, *, burst: np.ndarray) -> np.ndarray:
    """Return the least mean excess of a share's tail: what one event more is worth (lines).

    One event that the reference never had is as rare as ``_unseen_events`` makes it, and no rarer.
    """
    n = np.maximum(np.median(n_current, axis=(0, 1)), 1)
    of = np.maximum(np.median(n_reference, axis=(0, 1)), 1)
    rarity = np.log((of + n) / n / _PRIOR_EVENTS)
    return burst / n / np.maximum(rarity + np.log(0.02), 1.0)


def _persistent(outside: np.ndarray, persistence: int) -> np.ndarray:
    """Return where a line is outside in this window and in those just before (windows × lines)."""
    alarm = outside.copy()
    for back in range(1, persistence):
        alarm[back:] &= outside[:-back]
        alarm[:back] = False
    return alarm


def _deviation(draws: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the draws that are known (draws × lines)."""
    known = ~np.isnan(draws)
    n = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, draws, 0).sum(axis=0) / n
    return np.sqrt((np.where(known, draws - mean, 0) ** 2).sum(axis=0) / n)


# ------------------------------------------------------------------------------- fitting it


def ordered(
    frame: pd.DataFrame,
    roles: Roles,
    *,
    argument: str,
    known_as_of: pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Return a frame in order of time, as far as it is known.

    Raises ``ValueError`` for a column of a role that is missing, and for no rows.
    """
    for name, column in roles.named():
        windows.column(frame, column, argument=name)
    times = windows.times(frame, roles.time_column, argument="time_column")
    there = np.ones(len(frame), dtype=bool)
    if known_as_of is not None:
        now = windows.whole_microseconds(known_as_of)
        there = times <= now
        if roles.label_column is not None and roles.known_at_column is not None:
            known = windows.microseconds(frame[roles.known_at_column], argument="known_at_column")
            is_known = (known <= now) & frame[roles.known_at_column].notna().to_numpy()
            label = frame[roles.label_column].where(is_known)
            frame = frame.assign(**{roles.label_column: label})
    if not there.any():
        raise ValueError(f"{argument}: has no rows" + (" by then" if len(frame) else ""))
    order = np.argsort(times, kind="stable")
    return frame.iloc[order[there[order]]].reset_index(drop=True)


def fitted(
    reference: pd.DataFrame,
    roles: Roles,
    *,
    rng: np.random.Generator,
    window: windows.Length = "7D",
    false_alarms_per_year: float = 4.0,
    critical_per_year: float | None = None,
    persistence: int = 1,
    measures: Sequence[Measure] | None = None,
    level: float = 0.95,
    draws: int = 1000,
) -> Monitors:
    """Return the monitors, with thresholds that keep a budget of false alarms for all of them.

    A false alarm is a window in which nothing changed and in which some line alarms (with
    ``persistence``, has alarmed in that many windows in a row). Of these there are to be
    ``false_alarms_per_year``, on average over references such as this one; of those that are
    critical a tenth, unless ``critical_per_year`` says otherwise. ``measures`` are those that
    the roles allow (``measures_for``) unless given.

    **What it does not tell.** The reference is held to be quiet and like the time that follows: a
    season that it has not seen is a change, and alarms. The budget is kept on average; how many
    false alarms one year has varies, the more the shorter the reference. ``Monitors.notes`` says
    when it is too short for the budget.

    Raises ``ValueError`` naming the argument, the value and the rule.
    """
    length = windows.length(window, argument="window")
    a_year = YEAR / length
    _check_budget("false_alarms_per_year", false_alarms_per_year, a_year, window)
    if critical_per_year is None:
        critical_per_year = false_alarms_per_year / 10
    _check_budget("critical_per_year", critical_per_year, a_year, window)
    for name, value in (("persistence", persistence), ("draws", draws)):
        if value < 1 or value != int(value):
            raise ValueError(f"{name}={value!r}: a whole number of 1 or more is needed")
    grid = Grid.of(length)
    frame = ordered(reference, roles, argument="reference")
    if measures is None:
        measures = measures_for(frame, roles, grid=grid)
    if not sum(len(each.lines) for each in measures):
        raise ValueError("roles: name nothing that can be measured; features are needed")
    n_cells = OWN_CELLS + sum(each.n_cells for each in measures)
    times = windows.times(frame, roles.time_column, argument="time_column")
    first, last = grid.place(times[[0, -1]])
    seen = counted(
        frame,
        measures,
        grid=grid,
        n_slices=slices_for(int(last - first) + 1, n_cells),
        time_column=roles.time_column,
        label_column=roles.label_column,
    )
    blocks = _blocks(seen, window=window)
    generator = np.random.default_rng(rng.integers(2**63))
    return Monitors(
        roles=roles,
        measures=tuple(measures),
        grid=grid,
        quiet=QuietWindows(
            blocks=blocks,
            is_labelled=_labelled_cells(measures),
            dependence=dependence(blocks, rng=generator),
        ),
        false_alarms_per_year=float(false_alarms_per_year),
        critical_per_year=float(critical_per_year),
        persistence=int(persistence),
        level=checked_level(level),
        draws=int(draws),
        seed=int(rng.integers(2**63)),
    )


def _check_budget(name: str, value: float, a_year: float, window: windows.Length) -> None:
    if not 0 < value <= a_year / 2:
        raise ValueError(
            f"{name}={value!r}: with window={window!r} there are {a_year:.1f} windows a year; "
            f"a number above 0 and up to half of them, {a_year / 2:.1f}, is needed"
        )


def _blocks(seen: Counted, *, window: windows.Length) -> Blocks:
    """Return the blocks of a reference, without those at its ends that it only just reaches."""
    enough = seen.covered.mean(axis=1) >= 0.5
    first, last = np.flatnonzero(enough)[[0, -1]] if enough.any() else (0, -1)
    kept = slice(first, last + 1)
    n_windows = (last + 1 - first) / seen.grid.per_window
    if n_windows < 2:
        raise ValueError(
            f"window={window!r}: the reference covers {n_windows:.1f} windows; two whole ones at "
            "least are needed, and many more for a rare false alarm"
        )
    return Blocks(
        cells=seen.cells[kept],
        rows=seen.cells[kept, :, ROWS],
        phase=(seen.numbers[kept] % seen.grid.n_phases).astype(np.intp),
        n_phases=seen.grid.n_phases,
        per_window=seen.grid.per_window,
    )


def _labelled_cells(measures: Sequence[Measure]) -> np.ndarray:
    """Return which cells rest on rows with a label: those of measures all of whose lines do."""
    own = [False, True]
    each = [
        np.full(measure.n_cells, bool(measure.lines) and all(x.labelled for x in measure.lines))
        for measure in measures
    ]
    return np.concatenate([own, *each])


def measures_for(frame: pd.DataFrame, roles: Roles, *, grid: Grid) -> list[Measure]:
    """Return the measures that the roles allow, in the order of the dashboard.

    Of every frame the rates of its quality and the drift of its features; of what the model said
    the drift of its predictions or scores; with labels the drift of these, and the performance;
    with scores, or numbers that are predicted, the performance that is to be expected before
    labels; by group whether it is fair; of the service its latency, and who sends requests.
    """
    own = {
        name: getattr(roles, name) for name in ("prediction_column", "score_column", "label_column")
    }
    prediction, score, label = own.values()
    columns = {name: column or f"({name})" for name, column in own.items()}
    answers = [each for each in (prediction, score) if each is not None]
    found: list[Measure] = []
    if roles.features:
        found += [
            Rates.of(
                frame,
                features=roles.features,
                time_column=roles.time_column,
                block=pd.Timedelta(grid.block, "us"),
            ),
            Distances.of(frame, features=roles.features),
        ]
    if answers:
        found.append(Distances.of(frame, features=answers, monitor=PREDICTION_DRIFT))
    if label is not None and frame[label].notna().any():
        found.append(Distances.of(frame, features=[label], monitor=LABEL_DRIFT, labelled=True))
        if prediction is not None and roles.task is not None:
            found += _of_performance(frame, roles, columns)
    if prediction is not None and roles.task == "classification":
        found += _of_fairness(frame, roles, columns)
    if roles.latency_column is not None:
        found.append(Latency.of(frame, latency_column=roles.latency_column))
    if roles.client_column is not None and roles.features:
        found.append(
            Requests.of(
                frame,
                features=roles.features,
                client_column=roles.client_column,
                time_column=roles.time_column,
            )
        )
    return found


def _of_performance(
    frame: pd.DataFrame, roles: Roles, columns: Mapping[str, str]
) -> Iterator[Measure]:
    """Yield the performance, estimated and realised, and the error or accuracy of each group."""
    settings = {"task": roles.task, "positive": roles.positive, **columns}
    if _can_be_estimated(frame, roles):
        model = ErrorModel.fitted(
            frame, features=roles.features, time_column=roles.time_column, **settings
        )
        yield Estimated.of(frame, model=model)
    yield Realised.of(frame, **settings)
    metric = "mae" if roles.task == "regression" else "accuracy"
    for column in roles.group_columns:
        both = Realised.of(frame, **settings, group_column=column, metrics=[metric])
        yield Only.of(both, lambda line: line.group != "")


def _can_be_estimated(frame: pd.DataFrame, roles: Roles) -> bool:
    """Return whether enough rows have what an error model learns from.

    Of two classes one must be known to be the positive one: a score is of some class.
    """
    needed = [roles.prediction_column, roles.label_column, roles.score_column]
    there = frame[[name for name in needed if name is not None]].notna().all(axis=1)
    if there.sum() < LEAST_ROWS:
        return False
    if roles.task == "regression":
        return True
    classes = classes_of(
        frame, prediction_column=roles.prediction_column, label_column=roles.label_column
    )
    is_named = positive_class(classes, roles.positive) is not None or len(classes) > 2
    return roles.score_column is not None and is_named


def _of_fairness(
    frame: pd.DataFrame, roles: Roles, columns: Mapping[str, str]
) -> Iterator[Measure]:
    """Yield the differences between groups, those that need labels apart from the others.

    There are none where no class is the positive one: of many, nobody said which is desired.
    """
    answers = [frame[name] for name in (roles.prediction_column, roles.label_column) if name]
    classes = set().union(*(set(each.dropna().unique()) for each in answers))
    if roles.positive is None and not classes <= {0, 1}:
        return
    for column in roles.group_columns:
        if frame[column].nunique(dropna=False) < 2:
            continue
        both = Fairness.of(
            frame,
            group_column=column,
            positive=roles.positive,
            prediction_column=columns["prediction_column"],
            label_column=columns["label_column"],
        )
        for labelled in (False, True):
            part = Only.of(both, lambda line, labelled=labelled: line.labelled is labelled)
            if part.lines:
                yield part
