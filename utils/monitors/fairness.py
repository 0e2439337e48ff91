"""Is the model as good for everyone? Rates by group, the gaps between them, and how sure we are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.intervals import (
    bootstrap_t,
    difference,
    ratio,
    resampled_weights,
    wilson,
)
from utils.monitors.measures import Line, sums
from utils.monitors.rules import Rules
from utils.records import measurements
from utils.text import nearest

MONITOR = "fairness"
MISSING_GROUP = "(missing)"
"""The group of the rows that have none."""

MOST_GROUPS = 50
"""A column with more groups than these is refused: each pair of groups is compared."""

MOST_NUMBERS = 10
"""A column of more distinct numbers than these is no column of groups, and must be cut first."""

_SHOWN = 10  # classes in a message

Names = str | Sequence[str]

# ------------------------------------------------------------------------- what is counted of rows

_COUNTED = (
    "rows",
    "labelled",
    "predicted",
    "selected",
    "true_positive",
    "false_positive",
    "false_negative",
    "true_negative",
)
"""What is counted in each group: the cells. The last four are of rows with label and prediction."""

_RATES: Mapping[str, tuple[set[str], set[str]]] = {
    # name: which rows succeed, of which rows
    "selection_rate": ({"selected"}, {"predicted"}),
    "recall": ({"true_positive"}, {"true_positive", "false_negative"}),
    "false_positive_rate": ({"false_positive"}, {"false_positive", "true_negative"}),
    "precision": ({"true_positive"}, {"true_positive", "false_positive"}),
    "accuracy": ({"true_positive", "true_negative"}, set(_COUNTED[4:])),
    "labelled_share": ({"labelled"}, {"rows"}),
}
RATES = tuple(_RATES)
"""The rates that are measured of each group; the last one, ``labelled_share``, always."""

_GAPS = ("selection_rate", "recall", "false_positive_rate")
DIFFERENCES = tuple(f"{rate}_difference" for rate in _GAPS)
"""How far the rate of a group lies from that of the rest, or of the reference group."""

_DISPARITIES: Mapping[str, tuple[str, ...]] = {
    "demographic_parity_difference": ("selection_rate",),
    "demographic_parity_ratio": ("selection_rate",),
    "equal_opportunity_difference": ("recall",),
    "equalized_odds_difference": ("recall", "false_positive_rate"),
}
DISPARITIES = tuple(_DISPARITIES)
"""The greatest distance between any two groups, under fairlearn's names."""

METRICS = ("count", *RATES, *DIFFERENCES, *DISPARITIES)


_PARTS = {
    rate: np.array([[float(cell in part) for part in parts] for cell in _COUNTED])
    for rate, parts in _RATES.items()
}
"""Which cells the successes and the trials of a rate sum (what is counted × 2)."""


def positive_class(answers: Sequence[pd.Series], positive: Any) -> Any:
    """Return the class that counts as positive: the one given, or else 1 (or True) among 0 and 1.

    Raises ``ValueError`` where none is given and the classes are not 0 and 1, where none of the
    answers is the one given, and for classes of which some are text and some numbers.

    >>> positive_class([pd.Series([True, False])], None)
    1
    >>> positive_class([pd.Series(["yes", "no"])], "Yes")
    Traceback (most recent call last):
    ValueError: positive='Yes' is none of the labels and predictions; did you mean 'yes'?
    """
    classes = {each for series in answers for each in series.dropna().unique()}
    shown = sorted(map(str, classes))[:_SHOWN]
    if len({isinstance(each, str) for each in classes}) > 1:
        raise ValueError(
            f"labels and predictions hold both text and numbers ({', '.join(shown)}); the classes "
            "must be written alike"
        )
    if positive is None and not classes <= {0, 1}:
        raise ValueError(
            f"positive=None: name the class that counts as positive, such as {', '.join(shown)}"
        )
    if positive is not None and classes and positive not in classes:
        raise ValueError(
            f"positive={positive!r} is none of the labels and predictions; "
            f"{nearest(str(positive), shown)}"
        )
    return 1 if positive is None else positive


def outcome(series: pd.Series, positive: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows have a value, and which have the positive one.

    >>> there, hit = outcome(pd.Series(["yes", None, "no"]), "yes")
    >>> there.tolist(), hit.tolist()
    ([True, False, True], [True, False, False])
    """
    there = series.notna().to_numpy(dtype=bool)
    return there, series.eq(positive).to_numpy(dtype=bool, na_value=False) & there


def groups(
    frame: pd.DataFrame, group_column: Names, *, argument: str = "group_column"
) -> tuple[np.ndarray, list[str]]:
    """Return the code of each row's group, and the names of the groups as text, sorted.

    Of several columns the groups are the combinations that occur, joined by " × ". Rows without a
    group are the group "(missing)".

    Raises ``ValueError`` for a column that is not there, for numbers that must be cut into bands
    first, and for more groups than ``MOST_GROUPS``.

    >>> people = pd.DataFrame({"sex": ["f", "m", "f"], "region": ["Sul", None, "Sul"]})
    >>> codes, names = groups(people, ["sex", "region"])
    >>> codes.tolist(), names
    ([0, 1, 0], ['f × Sul', 'm × (missing)'])
    """
    for column in _columns(group_column):
        series = windows.column(frame, column, argument=argument)
        n_numbers = series.nunique() if pd.api.types.is_numeric_dtype(series) else 0
        if n_numbers > MOST_NUMBERS:
            raise ValueError(
                f"{argument}={column!r} holds {n_numbers} different numbers; cut them into "
                "bands first, for example with pd.cut"
            )
    codes, names = _group_codes(frame, group_column)
    if len(names) > MOST_GROUPS:
        raise ValueError(
            f"{argument}={group_column!r} holds {len(names)} groups; at most {MOST_GROUPS} can "
            "be compared: put the small ones together first"
        )
    return codes, names


def _columns(group_column: Names) -> list[str]:
    return [group_column] if isinstance(group_column, str) else list(group_column)


def _group_codes(frame: pd.DataFrame, group_column: Names) -> tuple[np.ndarray, list[str]]:
    """Return the code of each row's group, and the names of however many groups there are."""
    codes, names = np.zeros(len(frame), dtype=np.int64), [""]
    for column in _columns(group_column):
        own, values = pd.factorize(windows.column(frame, column, argument="group_column"))
        texts = [*map(_group_name, values), MISSING_GROUP]  # -1 is the last one
        codes, pairs = pd.factorize(codes * len(texts) + own % len(texts))
        found = [(names[pair // len(texts)], texts[pair % len(texts)]) for pair in pairs]
        again, names = pd.factorize(
            np.array([" × ".join(filter(None, pair)) for pair in found], dtype=object), sort=True
        )
        codes = again[codes] if len(frame) else codes
    return codes, list(names)


def _group_name(value: Any) -> str:
    """Return a group's name; a whole number is written alike whether or not it came as a float."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value) or MISSING_GROUP


# ------------------------------------------------------------------------- the measure of the suite


@dataclass(frozen=True, kw_only=True)
class Fairness:
    """How far each group lies from everyone else, as sums over rows: a measure of the suite.

    Its lines, for each group: ``selection_rate_difference``, ``recall_difference`` and
    ``false_positive_rate_difference``, the group's rate less that of all other rows; 0 is equal.
    The last two rest on labelled rows. Of two groups only the smaller has lines: the other's are
    the same with the sign turned. A value rests on the smaller of its two sides (``counts``).

    What it does not tell: see ``fairness``. A gap that the reference had already is no alarm for
    the suite, which looks for change; whether it is bearable is for people to say.

    >>> loans = pd.DataFrame({"sex": list("ffmm") * 40, "prediction": [1, 0, 1, 1] * 40,
    ...                       "label": [1, 1, 1, 0] * 40})
    >>> measure = Fairness.of(loans, group_column="sex")
    >>> cells = measure.cells(loans, np.zeros(160, dtype=int), 1)
    >>> [line.metric for line in measure.lines], measure.values(cells, cells).tolist()
    (['selection_rate_difference', 'recall_difference'], [[-0.5, -0.5]])
    """

    group_column: Names
    groups: tuple[str, ...]
    positive: Any
    lines: tuple[Line, ...]
    prediction_column: str
    label_column: str

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        *,
        group_column: Names,
        positive: Any = None,
        minimum: int = 30,
        prediction_column: str = "prediction",
        label_column: str = "label",
    ) -> Fairness:
        """Return the measure of the groups that the reference has.

        A line is there where the reference has ``minimum`` rows on both of its sides: what it
        never had enough of, it cannot know the quiet of. Rows of a group that it did not have
        count among the rest. Without ``label_column`` in the frame, labels count as unknown.

        Raises ``ValueError`` as ``fairness`` does, and for a single group.
        """
        codes, names = groups(reference, group_column)
        if len(names) < 2:
            raise ValueError(
                f"group_column={group_column!r} holds {len(names)} group; two or more are needed"
            )
        columns = {"prediction_column": prediction_column, "label_column": label_column}
        answers = [windows.column(reference, prediction_column, argument="prediction_column")]
        if label_column in reference.columns:
            answers.append(reference[label_column])
        whole = cls(
            group_column=group_column,
            groups=tuple(names),
            positive=positive_class(answers, positive),
            lines=_lines(names, np.bincount(codes), group_column=group_column, minimum=minimum),
            **columns,
        )
        enough = whole.counts(whole.cells(reference, np.zeros(len(reference), int), 1))[0]
        kept = tuple(line for line, n in zip(whole.lines, enough, strict=True) if n >= line.minimum)
        return cls(**(vars(whole) | {"lines": kept}))

    @property
    def n_cells(self) -> int:
        return (len(self.groups) + 1) * len(_COUNTED)

    def cells(self, frame: pd.DataFrame, block: np.ndarray, n_blocks: int) -> np.ndarray:
        """Return the counts of each block: those of each group, and of rows of any other one."""
        codes, names = _group_codes(frame, self.group_column)
        own = {name: place for place, name in enumerate(self.groups)}
        places = np.array([own.get(name, len(own)) for name in names], dtype=np.int64)
        return _cells(
            _Rows.read(
                frame,
                group=places[codes],
                positive=self.positive,
                prediction_column=self.prediction_column,
                label_column=self.label_column,
            ),
            block,
            n_blocks=n_blocks,
            n_groups=len(own) + 1,
        ).reshape(n_blocks, -1)

    def values(self, current: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return how far each group's rate lies from that of the rest; the reference is not used.

        ``NaN`` where a side has none of the rows that the rate is a share of.
        """
        own, rest = self._sides(current)
        return ratio(own[..., 0], own[..., 1]) - ratio(rest[..., 0], rest[..., 1])

    def counts(self, current: np.ndarray) -> np.ndarray:
        """Return the rows of the smaller side, of those that the rate is a share of."""
        own, rest = self._sides(current)
        return np.minimum(own[..., 1], rest[..., 1])

    def _sides(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return successes and trials (…, lines, 2) of each line's group, and of the rest."""
        by_group = cells.reshape(*cells.shape[:-1], len(self.groups) + 1, len(_COUNTED))
        parts = np.stack([by_group @ _PARTS[rate] for rate in _GAPS], axis=-3)
        rate = np.array([DIFFERENCES.index(line.metric) for line in self.lines], dtype=int)
        group = np.array([self.groups.index(line.group) for line in self.lines], dtype=int)
        own = parts[..., rate, group, :]
        return own, parts.sum(axis=-2)[..., rate, :] - own


def _lines(
    names: Sequence[str], sizes: np.ndarray, *, group_column: Names, minimum: int
) -> tuple[Line, ...]:
    shown = [names[int(np.argmin(sizes))]] if len(names) == 2 else names
    return tuple(
        Line(
            monitor=MONITOR,
            metric=f"{rate}_difference",
            feature=feature_name(group_column),
            group=name,
            side="both",
            minimum=minimum,
            labelled=rate != "selection_rate",
        )
        for rate in _GAPS
        for name in shown
    )


def feature_name(group_column: Names) -> str:
    """Return how the column, or the columns, of the groups are called in the measurements.

    >>> feature_name("sex"), feature_name(["sex", "region"])
    ('sex', 'sex × region')
    """
    return " × ".join(_columns(group_column))


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What is known of each row: whether it has a label and a prediction, and which."""

    group: np.ndarray  # its code
    labelled: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray  # the label is the positive class
    selected: np.ndarray  # the prediction is

    @classmethod
    def read(
        cls,
        frame: pd.DataFrame,
        *,
        group: np.ndarray,
        positive: Any,
        prediction_column: str,
        label_column: str,
    ) -> _Rows:
        prediction = windows.column(frame, prediction_column, argument="prediction_column")
        predicted, selected = outcome(prediction, positive)
        labelled = actual = np.zeros(len(frame), dtype=bool)
        if label_column in frame.columns:
            labelled, actual = outcome(frame[label_column], positive)
        return cls(
            group=group,
            labelled=labelled,
            predicted=predicted,
            actual=actual,
            selected=selected,
        )

    def take(self, index: np.ndarray) -> _Rows:
        return _Rows(**{name: values[index] for name, values in vars(self).items()})


def _cells(rows: _Rows, block: np.ndarray, *, n_blocks: int, n_groups: int) -> np.ndarray:
    """Return the counts of each block and group (blocks × groups × what is counted)."""
    both = rows.labelled & rows.predicted
    counted = (
        np.ones(len(rows.group), dtype=bool),
        rows.labelled,
        rows.predicted,
        rows.selected,
        both & rows.actual & rows.selected,
        both & ~rows.actual & rows.selected,
        both & rows.actual & ~rows.selected,
        both & ~rows.actual & ~rows.selected,
    )
    place = block * n_groups + rows.group
    found = [sums(each.astype(float), place, n_blocks * n_groups) for each in counted]
    return np.stack(found, axis=-1).reshape(n_blocks, n_groups, len(_COUNTED))


# --------------------------------------------------------------------------- by window, of a frame


def fairness(
    frame: pd.DataFrame,
    *,
    group_column: Names,
    rng: np.random.Generator,
    window: windows.Length | None = "7D",
    metrics: Sequence[str] | None = None,
    reference_group: str | None = None,
    positive: Any = None,
    known_as_of: windows.Moment | None = None,
    minimum: int = 30,
    level: float = 0.95,
    block: windows.Length | None = None,
    draws: int = 500,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    time_column: str = "event_time",
    prediction_column: str = "prediction",
    label_column: str = "label",
    known_at_column: str = "label_known_at",
) -> pd.DataFrame:
    """Return the rates of each group and the gaps between groups, by window: the measurements.

    **What it does not tell.** Labels are selective: nobody learns whether a refused applicant would
    have paid, so ``recall``, ``false_positive_rate``, ``precision`` and ``accuracy`` speak of the
    labelled rows alone, and a group that is refused more is known less. ``labelled_share`` by group
    is always measured too: where it differs, do not compare the others. Nor do rates say why they
    differ, which of them ought to be equal (they cannot all be, where the groups' shares of
    positive labels differ), or what a person of a group met with: an average over a group hides
    the people in it.

    **By group** (``group`` is its name, ``feature`` the column): ``count`` of rows;
    ``selection_rate`` (share of positive predictions), ``recall`` (of positive labels predicted
    positive), ``false_positive_rate``, ``precision``, ``accuracy``; and ``…_difference`` of the
    first three, the group's rate less that of all other rows, or of ``reference_group``.

    **Between groups** (``group`` is ""), under fairlearn's names: the greatest difference, or the
    least ratio, of any two groups. ``demographic_parity_difference`` and ``…_ratio`` are of
    selection rates, ``equal_opportunity_difference`` of recalls, ``equalized_odds_difference`` the
    greater of those of recalls and of false positive rates. **They are above 0 (below 1) for a
    perfectly fair model**, the more so the more and the smaller the groups: look at the interval,
    which begins at 0 (ends at 1) unless some pair of groups differs for certain.

    **Too little.** A rate that is a share of fewer than ``minimum`` rows is ``NaN``, with its
    ``n_current``; so is a difference with such a side. Such groups are left out between groups,
    and with fewer than two left that is ``NaN`` too. ``n_current`` of a rate is the number of rows
    it is a share of, of a difference that of the smaller side, between groups the total.

    **Intervals** hold at ``level``. Rates have Wilson's, differences Newcombe's, ratios MOVER-R
    (see ``quotient``). Between groups, the bound away from fairness is that of the most distant
    pair; the bound towards it is corrected for the number of pairs looked at (Bonferroni). With
    ``block="1D"`` whole days are resampled too, ``draws`` times, and the wider interval is given;
    a window with a single block has none. ``rng`` is used for nothing else.

    ``group_column`` may be several columns: their combinations are the groups. Numbers must be cut
    into bands by the caller. ``window``, ``start``, ``end``, ``known_as_of`` are those of
    ``performance``, which also gives other metrics by group, such as those of scores.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Sources: R. G. Newcombe (1998), "Interval estimation for the difference between independent
    proportions", Statistics in Medicine 17; fairlearn, "Common fairness metrics".

    >>> loans = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=400, freq="10min", tz="UTC"),
    ...     "sex": ["f", "m"] * 200, "prediction": [1, 1, 0, 1] * 100, "label": [1, 1, 1, 0] * 100})
    >>> table = fairness(loans, group_column="sex", rng=np.random.default_rng(0),
    ...                  metrics=["selection_rate", "demographic_parity_difference"])
    >>> print(table[["metric", "group", "value", "low", "high", "n_current"]].round(2).to_string(
    ...     index=False))
                           metric group  value  low  high  n_current
                   selection_rate     f    0.5 0.43  0.57        200
                   selection_rate     m    1.0 0.98  1.00        200
                   labelled_share     f    1.0 0.98  1.00        200
                   labelled_share     m    1.0 0.98  1.00        200
    demographic_parity_difference          0.5 0.43  0.57        400
    """
    chosen = _chosen(metrics)
    rules = Rules.checked(
        minimum=minimum, level=level, draws=draws, block=block, window=window, start=start
    )
    as_of = windows.moment(known_as_of, argument="known_as_of")
    frame = known_frame(
        frame,
        as_of=as_of,
        time_column=time_column,
        label_column=label_column,
        known_at_column=known_at_column,
    )
    time = windows.times(frame, time_column, argument="time_column")
    answers = [
        windows.column(frame, prediction_column, argument="prediction_column"),
        windows.column(frame, label_column, argument="label_column"),
    ]
    codes, names = groups(frame, group_column)
    if reference_group is not None and reference_group not in names:
        raise ValueError(
            f"reference_group={reference_group!r} is no group of {group_column!r}; "
            f"{nearest(reference_group, names)}"
        )
    rows = _Rows.read(
        frame,
        group=codes,
        positive=positive_class(answers, positive),
        prediction_column=prediction_column,
        label_column=label_column,
    )
    seed = int(rng.integers(2**63))
    edges = windows.cut(time, window=window, start=start, end=end)
    found = []
    for start_us, end_us in itertools.pairwise(edges.tolist()):
        inside = np.flatnonzero((time >= start_us) & (time < end_us))
        counted = _Counted.of(
            rows.take(inside),
            time[inside],
            n_groups=len(names),
            rules=rules,
            seed=[seed, start_us % 2**64],
        )
        here = {
            "monitor": MONITOR,
            "feature": feature_name(group_column),
            "window_start": windows.from_microseconds(start_us),
            "window_end": windows.from_microseconds(end_us),
            "known_as_of": as_of,
        }
        found += [
            here | each
            for each in _measured(
                counted, names, chosen, reference_group=reference_group, level=level
            )
        ]
    found.sort(key=lambda row: (METRICS.index(row["metric"]), row["group"], row["window_start"]))
    return measurements(found)


def _chosen(metrics: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(metrics, str):
        raise ValueError(f"metrics={metrics!r}: a list of names is needed, such as [{metrics!r}]")
    for name in metrics or ():
        if name not in METRICS:
            raise ValueError(
                f"metrics: {name!r} is no metric of fairness; {nearest(name, METRICS)}"
            )
    return METRICS if metrics is None else (*metrics, "labelled_share")


def known_frame(
    frame: pd.DataFrame,
    *,
    as_of: pd.Timestamp | None,
    time_column: str,
    label_column: str,
    known_at_column: str,
) -> pd.DataFrame:
    """Return the frame without the rows and labels that are later than ``as_of``."""
    if as_of is None:
        return frame
    until = windows.whole_microseconds(as_of)
    known_at = windows.column(frame, known_at_column, argument="known_at_column")
    known = windows.microseconds(known_at, argument="known_at_column") <= until
    label = windows.column(frame, label_column, argument="label_column")
    time = windows.times(frame, time_column, argument="time_column")
    return frame.assign(**{label_column: label.where(known & known_at.notna())})[time <= until]


@dataclass(frozen=True, kw_only=True)
class _Shares:
    """A rate of several groups of rows: how many succeed, of how many.

    ``drawn`` is that rate in samples of blocks (samples × groups), ``n_blocks`` of how many.
    """

    successes: np.ndarray
    trials: np.ndarray
    minimum: int
    drawn: np.ndarray | None
    n_blocks: np.ndarray

    @property
    def enough(self) -> np.ndarray:
        return self.trials >= self.minimum

    @property
    def values(self) -> np.ndarray:
        return np.where(self.enough, ratio(self.successes, self.trials), np.nan)

    def take(self, index: np.ndarray) -> _Shares:
        return _Shares(
            successes=self.successes[index],
            trials=self.trials[index],
            minimum=self.minimum,
            drawn=None if self.drawn is None else self.drawn[:, index],
            n_blocks=self.n_blocks[index],
        )


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """What is counted of one window, by group, and by block where blocks are resampled."""

    cells: np.ndarray  # blocks × groups × what is counted
    weights: np.ndarray | None  # samples × blocks
    minimum: int

    @classmethod
    def of(
        cls, rows: _Rows, time: np.ndarray, *, n_groups: int, rules: Rules, seed: list[int]
    ) -> _Counted:
        if rules.block is None:
            block, n_blocks, weights = np.zeros(len(time), dtype=np.int64), 1, None
        else:
            blocks, block = np.unique((time - rules.origin) // rules.block, return_inverse=True)
            n_blocks, rng = max(1, len(blocks)), np.random.default_rng(seed)
            drawn = resampled_weights(n_blocks, draws=rules.draws, n_rows=n_blocks, rng=rng)
            weights = np.concatenate(list(drawn))
        cells = _cells(rows, block, n_blocks=n_blocks, n_groups=n_groups)
        return cls(cells=cells, weights=weights, minimum=rules.minimum)

    @property
    def rows(self) -> np.ndarray:
        return self.cells[..., _COUNTED.index("rows")].sum(axis=0)

    def shares(self, rate: str, *, of_the_rest: bool = False) -> _Shares:
        """Return a rate of each group, or of all rows but the group's."""
        own = self.cells @ _PARTS[rate]  # blocks × groups × (successes, trials)
        parts = own.sum(axis=1, keepdims=True) - own if of_the_rest else own
        drawn = None
        if self.weights is not None:
            sampled = np.tensordot(self.weights, parts, axes=1)
            drawn = ratio(sampled[..., 0], sampled[..., 1])
        successes, trials = np.moveaxis(parts.sum(axis=0), -1, 0)
        return _Shares(
            successes=successes,
            trials=trials,
            minimum=self.minimum,
            drawn=drawn,
            n_blocks=(parts[..., 1] > 0).sum(axis=0),
        )


Estimates = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values with their lower and upper bounds."""


def _estimated(shares: _Shares, *, level: float) -> Estimates:
    low, high = wilson(shares.successes, shares.trials, level=level)
    return _widened(
        (shares.values, low, high), shares.drawn, shares.n_blocks, scale="logit", level=level
    )


def _compared(own: _Shares, other: _Shares, *, by: str, level: float) -> Estimates:
    """Return how far each share lies from the other, by difference or by ratio."""
    (low, high), (other_low, other_high) = (
        wilson(each.successes, each.trials, level=level) for each in (own, other)
    )
    of_rows = (difference if by == "difference" else quotient)(
        own.values,
        low,
        high,
        reference=other.values,
        reference_low=other_low,
        reference_high=other_high,
    )
    drawn = None
    if own.drawn is not None and other.drawn is not None:
        apart = by == "difference"
        drawn = own.drawn - other.drawn if apart else ratio(own.drawn, other.drawn)
    return _widened(
        of_rows,
        drawn,
        np.minimum(own.n_blocks, other.n_blocks),
        scale="linear" if by == "difference" else "log",
        level=level,
    )


def _widened(
    estimates: Estimates,
    drawn: np.ndarray | None,
    n_blocks: np.ndarray,
    *,
    scale: str,
    level: float,
) -> Estimates:
    """Return the wider of the interval that takes rows as independent and that of the blocks.

    A value that is not known has none, and neither has one that rests on a single block.
    """
    values, *bounds = estimates
    low, high = (np.where(np.isnan(values), np.nan, bound) for bound in bounds)
    if drawn is None:
        return values, low, high
    of_blocks = np.array(
        [
            bootstrap_t(value, sample, n_units=n, scale=scale, level=level)
            for value, sample, n in zip(values, drawn.T, n_blocks, strict=True)
        ]
    ).reshape(-1, 2)
    alone = n_blocks < 2
    low = np.where(alone, np.nan, np.fmin(low, of_blocks[:, 0]))
    high = np.where(alone, np.nan, np.fmax(high, of_blocks[:, 1]))
    return values, low, high


def quotient(
    value: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    reference: np.ndarray,
    reference_low: np.ndarray,
    reference_high: np.ndarray,
) -> Estimates:
    """Return value / reference and its interval, from the intervals of the two.

    It is for estimates that cannot be below 0 and are from independent data, as ``difference`` is.
    A reference of 0 gives ``NaN``; one that may be 0 leaves the quotient unbounded (``inf``).

    Source: R. G. Newcombe (2016), "MOVER-R confidence intervals for ratios and products of two
    independently estimated quantities", Statistical Methods in Medical Research 25.

    >>> r, low, high = quotient(0.2, 0.1, 0.3, reference=0.4, reference_low=0.3, reference_high=0.5)
    >>> print(r, round(float(low), 2), round(float(high), 2))
    0.5 0.24 0.82
    """
    product, known = value * reference, np.where(np.asarray(reference) > 0, 1.0, np.nan)
    above = reference_high * (2 * reference - reference_high)
    below = reference_low * (2 * reference - reference_low)
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = product - np.sqrt(product**2 - low * (2 * value - low) * above)
        upper = product + np.sqrt(product**2 - high * (2 * value - high) * below)
        lower = np.divide(lower, above) * known
        upper = np.where(np.asarray(reference_low) > 0, np.divide(upper, below), np.inf) * known
    return ratio(value, reference), lower, upper


def _measured(
    counted: _Counted,
    names: Sequence[str],
    chosen: Sequence[str],
    *,
    reference_group: str | None,
    level: float,
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of one window."""
    if "count" in chosen:
        unknown = np.full(len(names), np.nan)
        yield from _rows("count", names, (counted.rows, unknown, unknown), counted.rows)
    for rate in RATES:
        if rate in chosen:
            shares = counted.shares(rate)
            yield from _rows(rate, names, _estimated(shares, level=level), shares.trials)
    for metric, rate in zip(DIFFERENCES, _GAPS, strict=True):
        if metric in chosen:
            own, others = counted.shares(rate), np.arange(len(names))
            if reference_group is None:
                rest = counted.shares(rate, of_the_rest=True)
            else:
                at = names.index(reference_group)
                rest, others = own.take(np.full(len(names), at)), others[others != at]
            own, rest = own.take(others), rest.take(others)
            estimates = _compared(own, rest, by="difference", level=level)
            n = np.minimum(own.trials, rest.trials)
            yield from _rows(metric, [names[i] for i in others], estimates, n)
    for metric, rates in _DISPARITIES.items():
        if metric in chosen:
            shares = [counted.shares(rate) for rate in rates]
            n = min(each.trials.sum() for each in shares)
            estimates = _disparity(shares, by=metric.rpartition("_")[2], level=level)
            yield from _rows(metric, [""], estimates, np.array([n]))


def _rows(
    metric: str, names: Sequence[str], estimates: Estimates, n: np.ndarray
) -> Iterator[dict[str, Any]]:
    for name, value, low, high, n_current in zip(names, *estimates, n, strict=True):
        yield {
            "metric": metric,
            "group": name,
            "value": value,
            "low": low,
            "high": high,
            "n_current": n_current,
        }


def _disparity(shares: Sequence[_Shares], *, by: str, level: float) -> Estimates:
    """Return the greatest difference (the least ratio) between two groups, with its interval.

    The true one is at least as far out as that of any pair, so the bound that says how far it may
    be is the farthest of all pairs', none of which needs a correction. The bound that says how far
    it must be holds only if those of all pairs hold at once.
    """
    pairs = [list(itertools.permutations(np.flatnonzero(each.enough), 2)) for each in shares]
    if not all(pairs):
        return (np.array([np.nan]),) * 3
    sides = [
        [each.take(np.array(side)) for side in zip(*of_rate, strict=True)]
        for each, of_rate in zip(shares, pairs, strict=True)
    ]
    n_pairs = sum(map(len, pairs)) / 2

    def compared(level: float) -> Estimates:
        found = [_compared(own, other, by=by, level=level) for own, other in sides]
        return tuple(map(np.concatenate, zip(*found, strict=True)))

    values, low, high = compared(level)
    _, surely_low, surely_high = compared(1 - (1 - level) / n_pairs)
    if by == "ratio":
        return _least(values), _least(low), np.minimum(_least(surely_high), 1.0)
    return -_least(-values), np.maximum(-_least(-surely_low), 0.0), -_least(-high)


def _least(values: np.ndarray) -> np.ndarray:
    """Return the least of the values that are known, as an array of one; NaN where none is."""
    known = values[~np.isnan(values)]
    return np.array([known.min() if len(known) else np.nan])
