"""Was the monitor right, and how late? The ledger of what was injected, beside the alarms.

This is the only place where the answer key is read. A rule is scored by what it said of each
window: it found an incident, or slept through it; it cried wolf in a quiet window, or did not. Two
rules stand beside every other: *never alarm*, which has no false alarms, and *always alarm*, which
misses nothing. A rule that costs more than both is worth less than no monitor.

>>> ledger = pd.DataFrame({"incident": [1], "kind": ["stuck_sensor"], "columns": ["wait_min"],
...     "strength": [1.0], "start": pd.to_datetime(["2024-02-05"], utc=True),
...     "end": pd.to_datetime(["2024-02-19"], utc=True), "harmful": [True]})
>>> weeks = pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC")
>>> alarms = pd.DataFrame({"window_start": weeks, "window_end": weeks + pd.Timedelta("7D"),
...                        "alarm": [False, True, False, False, False, False, True] + [False] * 3})
>>> scored = scoreboard(ledger, {"ours": alarms}, prices=Prices(false_alarm=1, harmful_window=10))
>>> print(scored[["rule", "detected", "delay_windows", "false_alarms_per_100", "cost"]]
...       .to_string(index=False))
        rule  detected  delay_windows  false_alarms_per_100  cost
        ours       1.0            1.0                  12.5  11.0
 never alarm       0.0            NaN                   0.0  20.0
always alarm       1.0            0.0                 100.0   8.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.intervals import checked_level, wilson
from utils.records import LEDGER_COLUMNS

NEVER, ALWAYS = "never alarm", "always alarm"
_WINDOW = ["window_start", "window_end"]
_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a false alarm costs, and each window in which a harmful incident goes on unnoticed.

    In any unit, the same for both. Raises ``ValueError`` for a price below 0.
    """

    false_alarm: float
    harmful_window: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"{name}={value!r}: a price of 0 or more is needed")


def alarms_by_window(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return each window of measurements once, and whether any of its lines alarmed.

    Raises ``ValueError`` for a table that lacks a column of it.
    """
    for name in (*_WINDOW, "alarm"):
        windows.column(measurements, name, argument="measurements")
    found = measurements.groupby(_WINDOW, as_index=False)["alarm"].any()
    return found.sort_values("window_start", ignore_index=True)


def matched(
    ledger: pd.DataFrame, measurements: pd.DataFrame, *, lingers: windows.Length = "0D"
) -> pd.DataFrame:
    """Return for each incident of the ledger when it was noticed: one row an incident.

    An incident is noticed in the first window with an alarm that it overlaps, and
    ``delay_windows`` counts from the first window that it overlaps at all: 0 is at once. What it
    leaves behind may be seen for a while after its end (labels come late): an alarm within
    ``lingers`` of the end notices it too. ``unnoticed_windows`` is how many of the windows that it
    overlaps had passed before it was noticed, all of them if it never was.

    It does not know *why* a window alarmed: an alarm for another reason notices it as well. Read
    it beside the false alarms of quiet windows, which tell how often that happens.

    Raises ``ValueError`` for a ledger that lacks a column, and for an incident outside all windows.
    """
    need_ledger(ledger)
    by_window = alarms_by_window(measurements)
    later = windows.length(lingers, argument="lingers") if lingers not in (0, "0D") else None
    rows = []
    for each in ledger.itertuples():
        during = _overlaps(by_window, each.start, each.end)
        if not during.any():
            raise ValueError(
                f"ledger: incident {each.incident} ({each.start} to {each.end}) lies in no window"
            )
        after = _overlaps(by_window, each.end, each.end + later) if later is not None else during
        may_notice = np.flatnonzero(during | after)
        alarmed = may_notice[by_window["alarm"].to_numpy()[may_notice]]
        first, n = int(np.flatnonzero(during)[0]), int(during.sum())
        noticed = len(alarmed) > 0
        delay = int(alarmed[0]) - first if noticed else np.nan
        rows.append(
            {
                **{name: getattr(each, name) for name in LEDGER_COLUMNS},
                "noticed": noticed,
                "noticed_at": by_window.loc[alarmed[0], "window_end"] if noticed else pd.NaT,
                "delay_windows": delay,
                "n_windows": n,
                "unnoticed_windows": min(delay, n) if noticed else n,
            }
        )
    return pd.DataFrame(rows)


def scoreboard(
    ledger: pd.DataFrame,
    rules: Mapping[str, pd.DataFrame],
    *,
    prices: Prices,
    lingers: windows.Length = "0D",
    kinds: Sequence[str] | None = None,
    level: float = 0.95,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Return how each rule did, a row a rule, with *never alarm* and *always alarm* at the end.

    ``rules`` has by name a table of measurements, or of windows with their ``alarm``; all must be
    of the same windows. Of the **harmful** incidents: ``detected``, their share that was noticed
    (Wilson's interval ``detected_low``, ``detected_high``), and ``delay_windows``, the mean delay
    of those (misses are left out rather than charged: read it next to ``detected``).
    ``harmless_alarmed`` is the share of the harmless ones that alarmed: something did change, and
    nothing needed to be done. ``false_alarms_per_100`` is of quiet windows, which no incident
    touches. ``cost`` puts a price on each false alarm and on each window of a harmful incident
    before it was noticed; alarms on harmless incidents cost as false ones do.

    Intervals of delay and cost are the bootstrap's, over incidents and quiet windows. Ten
    incidents say little; it shows.

    ``kinds`` scores by some kinds of incident alone; windows of others are then left out.

    Raises ``ValueError`` as ``matched`` does, for rules of different windows, for a rule that is
    called as one of the two, and where no window is quiet.
    """
    need_ledger(ledger)
    checked_level(level)
    taken = sorted(set(rules) & {NEVER, ALWAYS})
    if taken:
        raise ValueError(f"rules: {taken[0]!r} is always there")
    by_rule = {name: alarms_by_window(table) for name, table in rules.items()}
    if not by_rule:
        raise ValueError("rules: none; a table of windows with their alarms is needed")
    first_name, one = next(iter(by_rule.items()))
    for name, table in by_rule.items():
        if not table[_WINDOW].equals(one[_WINDOW]):
            raise ValueError(f"rules: {name!r} and {first_name!r} are of different windows")
    by_rule |= {NEVER: one.assign(alarm=False), ALWAYS: one.assign(alarm=True)}
    quiet = quiet_windows(ledger, one, lingers=lingers)
    if not quiet.any():
        raise ValueError("ledger: an incident touches every window; some must be quiet")
    chosen = ledger if kinds is None else ledger[ledger["kind"].isin(kinds)]
    rng = np.random.default_rng(0) if rng is None else rng
    drawn = _Drawn.of(chosen["harmful"].to_numpy(dtype=bool), int(quiet.sum()), rng=rng)
    return pd.DataFrame(
        {
            "rule": name,
            **_scored(
                matched(chosen, table, lingers=lingers),
                table["alarm"].to_numpy()[quiet],
                prices=prices,
                drawn=drawn,
                level=level,
            ),
        }
        for name, table in by_rule.items()
    )


def quiet_windows(
    ledger: pd.DataFrame, by_window: pd.DataFrame, *, lingers: windows.Length = "0D"
) -> np.ndarray:
    """Return which windows no incident touches, nor what it leaves behind."""
    later = windows.length(lingers, argument="lingers") if lingers not in (0, "0D") else None
    quiet = np.ones(len(by_window), dtype=bool)
    for each in ledger.itertuples():
        end = each.end if later is None else each.end + later
        quiet &= ~_overlaps(by_window, each.start, end)
    return quiet


def need_ledger(ledger: pd.DataFrame) -> None:
    """Do nothing for a ledger, and raise ``ValueError`` for a table that lacks a column of one."""
    for name in LEDGER_COLUMNS:
        windows.column(ledger, name, argument="ledger")


def _overlaps(by_window: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> np.ndarray:
    return ((by_window["window_start"] < end) & (by_window["window_end"] > start)).to_numpy()


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """Which harmful and harmless incidents and quiet windows each bootstrap sample takes.

    The same for every rule, so that their costs differ by what the rules do alone.
    """

    harmful: np.ndarray  # (draws × incidents): how often each is taken
    harmless: np.ndarray
    quiet: np.ndarray  # (draws × windows)

    @classmethod
    def of(cls, is_harmful: np.ndarray, n_quiet: int, *, rng: np.random.Generator) -> _Drawn:
        sizes = (int(is_harmful.sum()), int((~is_harmful).sum()), n_quiet)
        harmful, harmless, quiet = (
            rng.multinomial(n, np.full(n, 1 / n), size=_DRAWS) if n else np.zeros((_DRAWS, 0))
            for n in sizes
        )
        return cls(harmful=harmful, harmless=harmless, quiet=quiet)


def _scored(
    incidents: pd.DataFrame,
    false_alarm: np.ndarray,
    *,
    prices: Prices,
    drawn: _Drawn,
    level: float,
) -> dict[str, float]:
    is_harmful = incidents["harmful"].to_numpy(dtype=bool) if len(incidents) else np.zeros(0, bool)
    harmful, harmless = incidents[is_harmful], incidents[~is_harmful]
    found = {}
    for name, part, of in (
        ("detected", harmful, "n_harmful"),
        ("harmless_alarmed", harmless, "n_harmless"),
    ):
        noticed = int(part["noticed"].sum()) if len(part) else 0
        found |= _share(name, noticed, len(part), level=level) | {of: len(part)}
    delay = harmful["delay_windows"].to_numpy(float) if len(harmful) else np.zeros(0)
    found |= _mean_delay(delay, drawn.harmful, level=level)
    n_false = int(false_alarm.sum())
    rate = _share("false_alarms_per_100", n_false, len(false_alarm), level=level)
    found |= {name: 100 * value for name, value in rate.items()} | {"n_quiet": len(false_alarm)}
    unnoticed = harmful["unnoticed_windows"].to_numpy(float) if len(harmful) else np.zeros(0)
    alarmed = harmless["noticed"].to_numpy(float) if len(harmless) else np.zeros(0)

    def cost(of_harmful: np.ndarray, of_harmless: np.ndarray, of_quiet: np.ndarray) -> np.ndarray:
        wolf = of_harmless @ alarmed + of_quiet @ false_alarm
        return prices.harmful_window * (of_harmful @ unnoticed) + prices.false_alarm * wolf

    ones = [np.ones(each.shape[1]) for each in (drawn.harmful, drawn.harmless, drawn.quiet)]
    low, high = _middle(cost(drawn.harmful, drawn.harmless, drawn.quiet), level=level)
    return found | {"cost": float(cost(*ones)), "cost_low": low, "cost_high": high}


def _share(name: str, successes: int, trials: int, *, level: float) -> dict[str, float]:
    low, high = wilson(successes, trials, level=level)
    value = successes / trials if trials else np.nan
    return {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}


def _mean_delay(delay: np.ndarray, drawn: np.ndarray, *, level: float) -> dict[str, float]:
    known = ~np.isnan(delay)
    if not known.any():
        return dict.fromkeys(("delay_windows", "delay_low", "delay_high"), np.nan)
    weights = drawn[:, known]
    some = weights.sum(axis=1) > 0
    means = weights[some] @ delay[known] / weights[some].sum(axis=1)
    low, high = _middle(means, level=level) if known.sum() > 1 else (np.nan, np.nan)
    return {"delay_windows": float(delay[known].mean()), "delay_low": low, "delay_high": high}


def _middle(draws: np.ndarray, *, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
