"""Did a number's unit change? Known conversions tried on what came, for all rows or for some.

A value in another unit is often possible, so no range finds it: 12 km are no odder than 12 miles.
What gives it away is that all values moved by one factor that somebody knows. Of a reference with
the distribution F, rows of which a share s was converted have the mixture (1 - s) F + s H, where H
is F converted: s is fitted for each conversion that is known, and what is left is its distance.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import kolmogi, ndtri

from utils.monitors import kinds, windows
from utils.monitors.intervals import checked_level

CHANGE_COLUMNS = (
    "feature",
    "window_start",
    "window_end",
    "verdict",
    "conversion",
    "factor",
    "offset",
    "share",
    "low",
    "high",
    "distance_before",
    "distance_after",
    "also",
    "n_reference",
    "n_current",
)

VERDICTS = ("too few", "unchanged", "converted", "scaled", "otherwise")
"""Too few rows to say; no more than chance; a known conversion explains it; an unknown factor does;
no conversion explains it."""

_CHANCE = 0.001  # what chance alone would do less often than this is held to be no chance
_NEARLY = 0.001  # values that lie closer, relative to their size, are one: factors are rounded
_GRID = 200  # points of each distribution at which it is compared
_MOST_ROWS = 20_000
_LARGE_FACTOR = 2.0  # an unknown factor below this is as likely to be an ordinary change
_SIZABLE_FACTOR = 1.5  # and so is a known one of a column that names no unit
_SAME_FACTOR = 0.03  # a large factor as close as this to a known one is that one
_LEAST_MOVED = 0.01  # a conversion that moves a distribution by less than this cannot be seen


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What turns a number of one unit into one of another: value · factor + offset."""

    unit: str
    other: str
    factor: float
    offset: float = 0.0

    def applied(self, values: np.ndarray) -> np.ndarray:
        return values * self.factor + self.offset

    def undone(self, values: np.ndarray) -> np.ndarray:
        return (values - self.offset) / self.factor

    @property
    def is_sizable(self) -> bool:
        """Whether it changes values by more than they change in the ordinary course of things."""
        return abs(np.log(self.factor)) >= np.log(_SIZABLE_FACTOR)

    @property
    def reversed(self) -> Conversion:
        return Conversion(
            unit=self.other,
            other=self.unit,
            factor=1 / self.factor,
            offset=-self.offset / self.factor,
        )

    def __str__(self) -> str:
        return f"{self.unit} → {self.other}" if self.unit else f"× {self.factor:.4g}"


_ONE_WAY = (
    ("miles", "km", 1.609344),
    ("miles", "m", 1609.344),
    ("km", "m", 1000.0),
    ("ft", "m", 0.3048),
    ("in", "cm", 2.54),
    ("in", "mm", 25.4),
    ("in³", "cm³", 16.387064),
    ("cm", "m", 0.01),
    ("mm", "cm", 0.1),
    ("mph", "km/h", 1.609344),
    ("mph", "m/s", 0.44704),
    ("km/h", "m/s", 1 / 3.6),
    ("lb", "kg", 0.45359237),
    ("oz", "g", 28.349523125),
    ("kg", "g", 1000.0),
    ("gal", "L", 3.785411784),
    ("L", "mL", 1000.0),
    ("mpg", "km/L", 0.425143707),
    ("hp", "kW", 0.74569987158),
    ("kWh", "MJ", 3.6),
    ("kcal", "kJ", 4.184),
    ("inHg", "mb", 33.86388640341),
    ("mb", "kPa", 0.1),
    ("psi", "kPa", 6.894757293),
    ("s", "ms", 1000.0),
    ("min", "s", 60.0),
    ("h", "min", 60.0),
    ("h", "s", 3600.0),
    ("days", "h", 24.0),
    ("weeks", "days", 7.0),
    ("years", "months", 12.0),
    ("years", "days", 365.25),
    ("a month", "a year", 12.0),
    ("money", "cents", 100.0),
    ("money", "thousands", 0.001),
    ("share", "%", 100.0),
    ("degrees", "radians", np.pi / 180),
    ("°F", "°C", 5 / 9, -160 / 9),
    ("°C", "K", 1.0, 273.15),
    ("°F", "K", 5 / 9, 273.15 - 160 / 9),
)

CONVERSIONS: tuple[Conversion, ...] = tuple(
    each
    for unit, other, factor, *offset in _ONE_WAY
    for one in [Conversion(unit=unit, other=other, factor=factor, offset=sum(offset))]
    for each in (one, one.reversed)
)
"""The conversions that are known, each in both directions."""

_UNITS = {
    "money": ("brl", "usd", "eur", "gbp", "amount", "price"),
    "a month": ("brl", "usd", "eur", "gbp", "income", "salary"),
    "cents": ("cents", "centavos"),
    "miles": ("miles", "mi"),
    "km": ("km",),
    "m": ("m", "metres", "meters"),
    "ft": ("ft", "feet"),
    "in": ("in", "inches"),
    "in³": ("in3",),
    "cm³": ("cm3",),
    "cm": ("cm",),
    "mm": ("mm",),
    "mph": ("mph",),
    "km/h": ("kmh", "kph"),
    "m/s": ("ms", "mps"),
    "lb": ("lb", "lbs"),
    "kg": ("kg",),
    "oz": ("oz",),
    "g": ("g",),
    "gal": ("gal",),
    "L": ("l", "litres", "liters"),
    "mpg": ("mpg",),
    "hp": ("hp",),
    "kW": ("kw",),
    "kWh": ("kwh",),
    "mb": ("mb", "hpa"),
    "kPa": ("kpa",),
    "psi": ("psi",),
    "inHg": ("inhg",),
    "ms": ("ms",),
    "s": ("s", "sec", "seconds"),
    "min": ("min", "minutes"),
    "h": ("h", "hours"),
    "days": ("days",),
    "weeks": ("weeks",),
    "months": ("months", "month", "12m"),
    "years": ("years", "year"),
    "share": ("share", "rate", "ratio"),
    "%": ("pct", "percent"),
    "degrees": ("deg", "degrees"),
    "radians": ("rad", "radians"),
    "°F": ("f", "fahrenheit"),
    "°C": ("c", "celsius"),
    "K": ("k", "kelvin"),
}
"""The last words of a column's name by which each unit is known."""


def named_units(feature: str) -> tuple[str, ...]:
    """Return the units that a column's name may name by its last word.

    >>> named_units("distance_miles"), named_units("income_brl"), named_units("temperature")
    (('miles',), ('money', 'a month'), ())
    """
    last = feature.rsplit("_", 1)[-1].lower() if "_" in feature else ""
    return tuple(unit for unit, words in _UNITS.items() if last in words)


@dataclass(frozen=True, kw_only=True)
class UnitChange:
    """What was found of one number: ``verdict`` is one of ``VERDICTS``.

    ``share`` of the rows, with its interval, were converted. The distances are Kolmogorov and
    Smirnov's, in 0..1, of the current values from the reference, and from the reference with that
    share converted. ``also`` are other conversions that explain it as well as can be told.
    """

    verdict: str
    n_reference: int
    n_current: int
    conversion: Conversion | None = None
    share: float = np.nan
    low: float = np.nan
    high: float = np.nan
    distance_before: float = np.nan
    distance_after: float = np.nan
    also: tuple[Conversion, ...] = ()


@np.errstate(over="ignore", invalid="ignore")  # a number near the largest float, converted
def unit_change(
    reference: pd.Series,
    current: pd.Series,
    *,
    units: Sequence[str] | None = None,
    conversions: Sequence[Conversion] = CONVERSIONS,
    minimum: int = 30,
    level: float = 0.95,
) -> UnitChange:
    """Return which known conversion explains how a number changed, and for which share of the rows.

    A conversion explains a change that is more than chance if it takes away three quarters of the
    distance, or half of it and what is left is no more than chance; of several, that which leaves
    least. Only those *from* one of ``units`` are tried: by default what the column's name ends in
    (``_miles``, ``_pct``); where it names none, all that change values by half or more. A
    conversion of some of the rows must take away three quarters, and leave a quarter of the squares
    that moving or stretching all rows would leave. Where none does, one unknown factor for all rows
    is tried, of at least 2 or at most 1/2, as between two currencies.

    **What it does not tell.** What fits is not what happened: incomes that rose by a third look
    like any other factor, and a hundred rows fit several. Conversions with one factor (share to %,
    money to cents) cannot be told apart but by the name. An offset moves few quantiles where
    values vary little. The share's interval takes rows for independent, and the reference for what
    would have come unchanged.

    Raises ``ValueError`` for a ``minimum`` below 2 and a level outside 0..1.

    >>> rng = np.random.default_rng(0)
    >>> usual = pd.Series(rng.normal(3000, 400, 2000), name="weight_lb")
    >>> now = pd.Series(rng.normal(3000, 400, 500))
    >>> found = unit_change(usual, now.mask(rng.random(500) < 0.5, now * 0.45359237))
    >>> print(found.verdict, found.conversion, bool(found.low < 0.5 < found.high))
    converted lb → kg True
    """
    if minimum < 2:
        raise ValueError(f"minimum={minimum!r}: at least 2 is needed")
    checked_level(level)
    before, now = _sorted(reference), _sorted(current)
    sizes = {"n_reference": len(before), "n_current": len(now)}
    if min(len(before), len(now)) < minimum:
        return UnitChange(verdict="too few", **sizes)
    unchanged = _distance(before, now)
    if unchanged <= _chance(len(before), len(now)):
        return UnitChange(verdict="unchanged", distance_before=unchanged, **sizes)
    named = named_units(str(reference.name)) if units is None else tuple(units)
    case = _Case.of(before, now, unchanged, level=level, is_named=bool(named))
    scaled = case.scaled
    tried = (each for each in conversions if (each.unit in named if named else each.is_sizable))
    fits = [fit for each in tried if (fit := _fit(case, each))]
    fits.sort(key=lambda each: each.distance)
    if fits:
        verdict, best = "converted", fits[0]
    elif scaled.is_large and scaled.distance <= unchanged / 4:
        verdict, best = "scaled", scaled
    else:
        return UnitChange(verdict="otherwise", distance_before=unchanged, **sizes)
    return UnitChange(
        verdict=verdict,
        conversion=best.conversion,
        share=best.share,
        low=best.low,
        high=best.high,
        distance_before=unchanged,
        distance_after=best.distance,
        also=tuple(
            each.conversion
            for each in fits[1:]
            if each.distance <= max(2 * best.distance, case.chance)
        ),
        **sizes,
    )


def unit_changes(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    *,
    window: windows.Length | None = "7D",
    features: Sequence[str] | None = None,
    time_column: str = "event_time",
    conversions: Sequence[Conversion] = CONVERSIONS,
    minimum: int = 30,
    level: float = 0.95,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
) -> pd.DataFrame:
    """Return ``unit_change`` of every number in every window: a row each, ``CHANGE_COLUMNS``.

    ``features`` are the reference's columns that hold numbers, unless given. Conversions are
    named, as in "miles → km", or "× 5.1" for an unknown factor.

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> rng = np.random.default_rng(0)
    >>> times = pd.date_range("2024-01-01", periods=1000, freq="20min", tz="UTC")
    >>> usual = pd.DataFrame({"event_time": times, "wait_min": rng.gamma(2.0, 20.0, 1000)})
    >>> now = usual.assign(event_time=times + pd.Timedelta("14D"))
    >>> now.loc[500:, "wait_min"] /= 60
    >>> table = unit_changes(usual, now)
    >>> print(table[["verdict", "conversion", "share"]].round(1).to_string(index=False))
      verdict conversion  share
    unchanged               NaN
    converted    min → h    1.0
    """
    times = windows.times(current, time_column, argument="time_column")
    edges = windows.cut(times, window=window, start=start, end=end)
    if features is None:
        features = [name for name in reference.columns if _is_number(reference[name])]
    found = []
    for name in features:
        before = windows.column(reference, name, argument="features")
        for left, right in itertools.pairwise(edges.tolist()):
            inside = (times >= left) & (times < right)
            now = current.loc[inside, name] if name in current else before.iloc[:0]
            change = unit_change(before, now, conversions=conversions, minimum=minimum, level=level)
            found.append(
                vars(change)
                | {
                    "feature": name,
                    "window_start": windows.from_microseconds(left),
                    "window_end": windows.from_microseconds(right),
                    "conversion": str(change.conversion or ""),
                    "factor": getattr(change.conversion, "factor", np.nan),
                    "offset": getattr(change.conversion, "offset", np.nan),
                    "also": ", ".join(map(str, change.also)),
                }
            )
    table = pd.DataFrame(found, columns=list(CHANGE_COLUMNS))
    texts = dict.fromkeys(("feature", "verdict", "conversion", "also"), "str")
    moments = dict.fromkeys(("window_start", "window_end"), "datetime64[us, UTC]")
    sizes = dict.fromkeys(("n_reference", "n_current"), "int64")
    rest = dict.fromkeys(set(CHANGE_COLUMNS) - {*texts, *moments, *sizes}, "float64")
    return table.astype(texts | moments | sizes | rest)


def _is_number(column: pd.Series) -> bool:
    return kinds.kind_of(kinds.kinds(column)) in ("whole number", "number")


# Fitting ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """A conversion of a share of the rows, and the distance that it leaves."""

    conversion: Conversion
    distance: float
    share: float = 1.0
    low: float = np.nan
    high: float = np.nan

    @property
    def is_large(self) -> bool:
        return abs(np.log(self.conversion.factor)) >= np.log(_LARGE_FACTOR)


@dataclass(frozen=True, kw_only=True)
class _Case:
    """Two samples in order, and what a conversion that explains their distance must do better than.

    ``scaled`` is the one factor by which the quantiles moved, and ``drifted`` are the reference
    moved and stretched in several ways to where the current values lie.
    """

    before: np.ndarray
    now: np.ndarray
    unchanged: float
    chance: float
    level: float
    is_named: bool
    scaled: _Fit
    drifted: tuple[np.ndarray, ...]

    @classmethod
    def of(
        cls,
        before: np.ndarray,
        now: np.ndarray,
        unchanged: float,
        *,
        level: float,
        is_named: bool,
    ) -> _Case:
        chance = _chance(len(before), len(now))
        before, now = _thinned(before), _thinned(now)
        return cls(
            before=before,
            now=now,
            unchanged=unchanged,
            chance=chance,
            level=level,
            is_named=is_named,
            scaled=_scaled(before, now),
            drifted=tuple(_drifted(before, now)),
        )

    @property
    def is_whole(self) -> bool:
        return all((each == np.rint(each)).all() for each in (self.before, self.now))

    def explained(self, left: float) -> bool:
        """Whether what is left of the distance is little enough."""
        return left <= self.unchanged / 4 or (left <= min(self.chance, self.unchanged / 2))

    def explains_all(self, conversion: Conversion, left: float) -> bool:
        """Whether a conversion of all rows, which leaves so much, is what happened.

        The change was of the factor that the column's own unit has with another; or it is
        explained, and not much better by another factor.
        """
        is_that_factor = (
            self.is_named
            and self.scaled.is_large
            and conversion.offset == 0
            and abs(np.log(self.scaled.conversion.factor / conversion.factor)) <= _SAME_FACTOR
        )
        return is_that_factor or (
            self.explained(left) and left <= 2 * self.scaled.distance + self.chance
        )

    def explains_some(self, left: np.ndarray, current: np.ndarray, grid: np.ndarray) -> bool:
        """Whether a conversion of some rows leaves far less than an ordinary drift of all would."""
        if np.abs(left).max() > self.unchanged / 4:
            return False
        others = (current - _shares_below(each, grid) for each in self.drifted)
        return left @ left <= min(other @ other for other in others) / 4


def _fit(case: _Case, conversion: Conversion) -> _Fit | None:
    """Return the share of the rows that were converted, or ``None`` if that explains nothing.

    With F, H and G the distribution functions of the reference, of it converted, and of what came,
    and D = H - F, the share is <G - F, D> / <D, D> over a grid: least squares. It is a mean of a
    function of the rows, so its error is that of a mean, of both samples.
    """
    before, now = case.before, case.now
    converted = conversion.applied(before)
    if case.is_whole:
        converted = np.rint(converted)
    grid = _grid(before, now, converted)
    f, g, h = (_shares_below(each, grid) for each in (before, now, converted))
    d = h - f
    if np.abs(d).max() < _LEAST_MOVED:
        return None
    weight = d / (d @ d)
    share = float(weight @ (g - f))
    clipped = min(max(share, 0.0), 1.0)
    above = np.append(np.cumsum(weight[::-1])[::-1], 0.0)  # the weight at or above a value
    pulls = [above[np.searchsorted(grid, each)] for each in (before, now, converted)]
    mixed = (1 - clipped) * pulls[0] + clipped * pulls[2]
    error = np.sqrt(pulls[1].var() / len(now) + mixed.var() / len(before))
    half = float(ndtri((1 + case.level) / 2) * error)
    low, high = (min(max(share + side, 0.0), 1.0) for side in (-half, half))
    left = g - f - clipped * d
    if not (
        case.explains_all(conversion, float(np.abs(g - h).max()))
        or (low > 0 and case.explains_some(left, g, grid))
    ):
        return None
    distance = float(np.abs(left).max())
    return _Fit(conversion=conversion, share=clipped, low=low, high=high, distance=distance)


def _scaled(before: np.ndarray, now: np.ndarray) -> _Fit:
    """Return the one factor by which the quantiles moved, 1 where they tell none."""
    part = np.linspace(0.05, 0.95, 19)
    quantiles, quantiles_now = np.quantile(before, part), np.quantile(now, part)
    sizable = np.abs(quantiles) > 1e-9 * np.abs(quantiles).max()
    factor = float(np.median(quantiles_now[sizable] / quantiles[sizable])) if sizable.any() else 1.0
    if not (0 < factor < np.inf):
        factor = 1.0
    conversion = Conversion(unit="", other="", factor=factor)
    return _Fit(conversion=conversion, distance=_distance(before * factor, now))


def _drifted(before: np.ndarray, now: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the reference moved, stretched, and both, to where the current values lie."""
    yield before + np.median(now) - np.median(before)
    yield before + now.mean() - before.mean()
    if np.median(before):
        yield np.sort(before * np.median(now) / np.median(before))
    yield _stretched(before, now)
    if before.std() > 0:
        yield now.mean() + (before - before.mean()) * now.std() / before.std()
    if before[0] > 0 and now[0] > 0:
        yield np.exp(_stretched(np.log(before), np.log(now)))


def _stretched(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Return values with the median and the quartiles' distance of others."""
    low, middle, high = np.quantile(before, (0.25, 0.5, 0.75))
    low_now, middle_now, high_now = np.quantile(now, (0.25, 0.5, 0.75))
    stretch = (high_now - low_now) / (high - low) if high > low else 1.0
    return middle_now + (before - middle) * stretch


def _sorted(column: pd.Series) -> np.ndarray:
    values = kinds.numbers(column)
    return np.sort(values[np.isfinite(values)])


def _thinned(values: np.ndarray) -> np.ndarray:
    """Return at most so many of sorted values, evenly spaced by rank."""
    if len(values) <= _MOST_ROWS:
        return values
    return values[np.linspace(0, len(values) - 1, _MOST_ROWS).astype(int)]


def _grid(*samples: np.ndarray) -> np.ndarray:
    """Return points a little above values of each sample, evenly spaced by rank."""
    points = np.unique(
        np.concatenate([each[np.linspace(0, len(each) - 1, _GRID).astype(int)] for each in samples])
    )
    return points + _NEARLY * np.abs(points)


def _shares_below(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    return np.searchsorted(values, grid, side="right") / len(values)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return Kolmogorov and Smirnov's distance of two samples in order."""
    grid = np.concatenate([one, other])
    return float(np.abs(_shares_below(one, grid) - _shares_below(other, grid)).max())


def _chance(n: int, m: int) -> float:
    """Return the distance that chance alone exceeds with the probability ``_CHANCE``."""
    return float(kolmogi(_CHANCE) * np.sqrt((n + m) / (n * m)))
