"""Is the model still right? Metrics by window of time, with intervals, known as of a moment."""

from __future__ import annotations

import itertools
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from utils.monitors import windows
from utils.monitors.intervals import (
    bootstrap_t,
    checked_level,
    difference,
    resampled_weights,
    wilson,
)
from utils.monitors.metrics import COVERAGE, METRICS, Estimator, Metric, Rows
from utils.monitors.rules import Rules
from utils.records import measurements

Task = Literal["classification", "regression"]
MONITOR = "performance"
LABELLED_SHARE = "labelled_share"
"""The metric that is always measured beside the others: the share of rows whose label is known."""

MISSING_GROUP = "(missing)"
"""The group of the rows that have none."""


def metric_names(task: Task) -> tuple[str, ...]:
    """Return the metrics of a task; ``labelled_share``, always measured, is not among them.

    >>> metric_names("regression")
    ('mae', 'rmse', 'bias', 'r2', 'median_absolute_error', 'within')
    """
    if task not in METRICS:
        raise ValueError(f"task={task!r}: one of {', '.join(METRICS)}")
    return tuple(METRICS[task])


# ---------------------------------------------------------------------------- reading the frame


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The names of the frame's columns; an attribute is called as the argument is."""

    time_column: str
    prediction_column: str
    label_column: str
    known_at_column: str
    score_column: str
    group_column: str | None

    def of(self, frame: pd.DataFrame, argument: str) -> pd.Series:
        return windows.column(frame, getattr(self, argument), argument=argument)


def _known_frame(
    frame: pd.DataFrame, columns: _Columns, *, as_of: pd.Timestamp | None
) -> pd.DataFrame:
    """Return the frame without the rows and labels that are later than ``as_of``."""
    time = windows.times(frame, columns.time_column, argument="time_column")
    label = columns.of(frame, "label_column")
    there = np.ones(len(frame), dtype=bool)
    if as_of is not None:
        until = windows.whole_microseconds(as_of)
        known_at = columns.of(frame, "known_at_column")
        known = windows.microseconds(known_at, argument="known_at_column") <= until
        label = label.where(known & known_at.notna())
        there = time <= until
    return frame.assign(**{columns.label_column: label})[there]


def _regression(
    frame: pd.DataFrame, columns: _Columns, *, tolerance: float | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what ``Rows`` holds of a regression, and what keeps a metric from being measured."""
    lacking = {}
    if tolerance is None:
        lacking["tolerance"] = "tolerance=None: give the largest error that still counts"
    elif not tolerance >= 0:
        raise ValueError(f"tolerance={tolerance!r}: an error of 0 or more is needed")
    held = {
        "label": windows.numbers(frame, columns.label_column, argument="label_column"),
        "prediction": windows.numbers(
            frame, columns.prediction_column, argument="prediction_column"
        ),
        "score": np.full(len(frame), np.nan),
        "tolerance": np.nan if tolerance is None else float(tolerance),
    }
    return held, lacking


def _classification(
    frame: pd.DataFrame, columns: _Columns, *, positive: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what ``Rows`` holds of a classification, and what keeps a metric from measurement."""
    label, prediction = columns.of(frame, "label_column"), columns.of(frame, "prediction_column")
    codes, classes = pd.factorize(pd.concat([label, prediction], ignore_index=True), sort=True)
    classes = list(classes)
    if len({isinstance(each, str) for each in classes}) > 1:
        raise ValueError(
            f"label_column={label.name!r} and prediction_column={prediction.name!r} hold both text "
            f"and numbers ({classes!r}); the classes must be written alike"
        )
    if positive is None and set(classes) <= {0, 1}:
        positive = 1
    score, lacking = _scores(frame, columns)
    if positive is None:
        unnamed = f"positive=None: name the class that counts as positive, one of {classes!r}"
        lacking |= dict.fromkeys(("positive", "score", "probability"), unnamed)
    held = {
        "label": codes[: len(label)],
        "prediction": codes[len(label) :],
        "score": score,
        "positive": classes.index(positive) if positive in classes else len(classes),
        "n_classes": len(classes),
    }
    return held, lacking


def _scores(frame: pd.DataFrame, columns: _Columns) -> tuple[np.ndarray, dict[str, str]]:
    """Return the scores, all ``NaN`` where there are none, and what they cannot be used for."""
    name = columns.score_column
    if name not in frame.columns:
        near = windows.nearest(name, [str(each) for each in frame.columns])
        absent = f"score_column={name!r} is no column of the frame; {near}"
        return np.full(len(frame), np.nan), dict.fromkeys(("score", "probability"), absent)
    score = windows.numbers(frame, name, argument="score_column")
    if np.isnan(score).all():
        none = f"score_column={name!r} holds no score"
        return score, dict.fromkeys(("score", "probability"), none)
    outside = score[(score < 0) | (score > 1)]
    if len(outside):
        beyond = f"score_column={name!r} holds {outside[0]:g}; a probability is in 0..1"
        return score, {"probability": beyond}
    return score, {}


def group_codes(groups: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Return the code of each row's group, and the names of the groups as text, sorted.

    Rows without a group, or with an empty one, are a group of their own.

    >>> codes, names = group_codes(pd.Series(["JFK", None, "EWR"]))
    >>> codes.tolist(), names
    ([2, 0, 1], ['(missing)', 'EWR', 'JFK'])
    """
    text = groups.astype("object").where(groups.notna(), "").astype("str")
    codes, names = pd.factorize(text.replace("", MISSING_GROUP), sort=True)
    return codes, list(names)


def _groups(frame: pd.DataFrame, columns: _Columns) -> tuple[np.ndarray, list[str]]:
    """Return the code of each row's group, and the names of the groups; none without a column."""
    if columns.group_column is None:
        return np.zeros(len(frame), dtype=int), []
    return group_codes(columns.of(frame, "group_column"))


def _in_order(rows: Rows) -> Rows:
    """Return the rows by time, and where that ties by value, so that no order of reading shows."""
    return rows.take(np.lexsort((rows.score, rows.prediction, rows.label, rows.time)))


def _chosen(
    metrics: Sequence[str] | None, *, task: Task, lacking: Mapping[str, str]
) -> dict[str, Metric]:
    """Return the metrics asked for, or all that can be measured, and the coverage."""
    of_task = METRICS[task]
    if metrics is None:
        chosen = [name for name, metric in of_task.items() if metric.needs not in lacking]
    else:
        chosen = [name for name in dict.fromkeys(metrics) if name != LABELLED_SHARE]
        for name in chosen:
            if of_task[name].needs in lacking:
                raise ValueError(f"metrics: {name!r} needs more: {lacking[of_task[name].needs]}")
    return {name: of_task[name] for name in chosen} | {LABELLED_SHARE: COVERAGE}


def _check_names(metrics: Sequence[str] | None, *, task: Task) -> None:
    known = metric_names(task)
    if isinstance(metrics, str):
        raise ValueError(f"metrics={metrics!r}: a list of names is needed, such as [{metrics!r}]")
    for name in metrics or ():
        if name not in (*known, LABELLED_SHARE):
            tasks = [other for other, of_other in METRICS.items() if name in of_other]
            why = f"a metric of {tasks[0]}" if tasks else windows.nearest(name, [*known])
            raise ValueError(f"metrics: {name!r} is no metric of task={task!r}; {why}")


# ------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class _Estimate:
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan


def _units(rows: Rows, rules: Rules) -> tuple[np.ndarray, int]:
    """Return what is resampled: the unit of each row, and how many there are."""
    if rules.block is None:
        return np.arange(len(rows)), len(rows)
    found, units = np.unique((rows.time - rules.origin) // rules.block, return_inverse=True)
    return units, len(found)


def _estimates(
    rows: Rows, metrics: Mapping[str, Metric], *, rules: Rules, seed: list[int]
) -> dict[str, _Estimate]:
    """Return the estimates of metrics that use the same columns, on rows that have them all."""
    units, n_units = _units(rows, rules)
    estimators = {name: each.prepare(rows, units, n_units) for name, each in metrics.items()}
    values = {name: estimate(np.ones((1, n_units)))[0] for name, estimate in estimators.items()}
    if rules.block is not None and n_units < 2:
        return {name: _Estimate(value) for name, value in values.items()}
    draws = _draws(
        {name: estimators[name] for name in metrics if _is_resampled(metrics[name], rules)},
        n_units=n_units,
        n_rows=len(rows),
        draws=rules.draws,
        rng=np.random.default_rng(seed),
    )
    intervals = {
        name: _interval(values[name], draws.get(name), rows, metric, n_units, level=rules.level)
        for name, metric in metrics.items()
    }
    return {name: _Estimate(values[name], *intervals[name]) for name in metrics}


def _is_resampled(metric: Metric, rules: Rules) -> bool:
    return metric.share is None or rules.block is not None


def _draws(
    estimators: Mapping[str, Estimator],
    *,
    n_units: int,
    n_rows: int,
    draws: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return the draws of each metric; all see the same samples of the units."""
    if not estimators:
        return {}
    chunks = [
        [estimate(weights) for estimate in estimators.values()]
        for weights in resampled_weights(n_units, draws=draws, n_rows=n_rows, rng=rng)
    ]
    return dict(zip(estimators, np.concatenate(chunks, axis=1), strict=True))


def _interval(
    value: float,
    draws: np.ndarray | None,
    rows: Rows,
    metric: Metric,
    n_units: int,
    *,
    level: float,
) -> tuple[float, float]:
    """Return the bootstrap's interval, Wilson's for a share, the wider where there are both.

    Blocks that all agree do not prove certainty, so a share is never surer than its rows allow.
    """
    low = high = np.nan
    if draws is not None:
        low, high = bootstrap_t(value, draws, n_units=n_units, scale=metric.scale, level=level)
    if metric.share is not None:
        by_rows = wilson(*(part.sum() for part in metric.share(rows)), level=level)
        low, high = np.fmin(low, by_rows[0]), np.fmax(high, by_rows[1])
    return low, high


def _measured(
    rows: Rows, metrics: Mapping[str, Metric], rules: Rules, *, seed: list[int]
) -> Iterator[dict[str, Any]]:
    """Yield what is measured of the rows of one window and group."""
    for uses in dict.fromkeys(metric.uses for metric in metrics.values()):
        alike = {name: metric for name, metric in metrics.items() if metric.uses == uses}
        there = np.ones(len(rows), dtype=bool)
        for column in uses:
            there &= rows.present(column)
        usable = rows.take(there)
        found = {}
        if len(usable) >= (rules.minimum if uses else 1):
            seed_here = [*seed, zlib.crc32("+".join(uses).encode())]
            found = _estimates(usable, alike, rules=rules, seed=seed_here)
        for name in alike:
            estimate = found.get(name, _Estimate())
            yield {"metric": name, "n_current": len(usable), **vars(estimate)}


def performance(
    frame: pd.DataFrame,
    *,
    task: Task,
    rng: np.random.Generator,
    window: windows.Length | None = "7D",
    metrics: Sequence[str] | None = None,
    group_column: str | None = None,
    known_as_of: windows.Moment | None = None,
    minimum: int = 30,
    level: float = 0.95,
    block: windows.Length | None = None,
    draws: int = 500,
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
    positive: Any = None,
    tolerance: float | None = None,
    time_column: str = "event_time",
    prediction_column: str = "prediction",
    label_column: str = "label",
    known_at_column: str = "label_known_at",
    score_column: str = "score",
) -> pd.DataFrame:
    """Return each metric in each half-open window of time, with its interval: the measurements.

    **What it does not tell.** It judges the model by the rows whose labels are *known*, and these
    are no fair sample. Labels come late, and the first to come may be of the easy cases: read the
    rows of ``labelled_share``, always measured too, beside any other metric. Some labels never
    come, and not at random (nobody learns whether a refused applicant would have paid): of those
    rows the numbers say nothing. Intervals are each for one window and one metric: in a hundred
    quiet windows, five leave theirs.

    **Windows** tile the period without a gap, from ``start``, or else from a fixed origin (weeks
    begin on Mondays, days at midnight, in UTC; see ``windows.cut``): each row lies in exactly one,
    and two frames have the same ones. A window without rows is there, with ``n_current`` 0.
    ``window=None`` measures the whole period at once.

    **Known as of.** With ``known_as_of``, a label whose ``known_at_column`` is later, or missing,
    is unknown, and a prediction made later is not there yet: nothing that came afterwards changes
    the answer. The frame holds one label a row; which of several revisions is the store's business.

    **Metrics** of classification: accuracy, balanced_accuracy and macro_f1 for any number of
    classes; precision, recall, specificity, f1, positive_rate (of all predictions, labelled or
    not) and base_rate for the class ``positive`` (1 or True unless given) against the rest;
    roc_auc, average_precision, log_loss, brier and calibration_bias (mean score less share of
    positives) from ``score_column``, the score of the positive class. The expected calibration
    error is left out: it grows as the window shrinks, whatever the model. Of regression: mae,
    rmse, bias (mean of prediction less label), r2, median_absolute_error, and within (share of
    errors no larger than ``tolerance``). ``metrics=None`` takes all that the frame and the
    arguments allow.

    **Too little.** With fewer than ``minimum`` rows that have what a metric uses, or where it is
    not defined (one class alone has no roc_auc), its value is ``NaN`` and ``n_current`` says how
    many rows there were. ``labelled_share`` is given from one row on: it is the count itself.

    **Intervals** hold at ``level``. Without ``block`` rows count as independent: proportions have
    Wilson's interval, the rest a bootstrap over rows (see ``intervals.bootstrap_t``) of ``draws``
    samples. With ``block="1D"`` whole days are resampled instead, for every metric: the errors of
    one day share its weather, and intervals that ignore this are too narrow. A proportion then
    takes the wider of both intervals. A window with a single block has a value and no interval.
    The samples of a window depend on the state of ``rng``, the window and the group alone: other
    windows, groups or metrics do not change them.

    **Groups.** With ``group_column``, each metric is measured for everyone (``group`` is "") and
    for each value of the column, as text; rows without a value are the group "(missing)".

    Raises ``ValueError`` naming the argument, the value and the rule.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2013-07-01", periods=4, freq="3D", tz="UTC"),
    ...     "prediction": [10.0, 20.0, 0.0, 5.0], "label": [13.0, 21.0, 2.0, None]})
    >>> table = performance(frame, task="regression", metrics=["mae"], minimum=2,
    ...                     rng=np.random.default_rng(0))
    >>> print(table[["metric", "window_start", "value", "n_current"]].to_string(index=False))
            metric              window_start  value  n_current
               mae 2013-07-01 00:00:00+00:00    2.0          3
               mae 2013-07-08 00:00:00+00:00    NaN          0
    labelled_share 2013-07-01 00:00:00+00:00    1.0          3
    labelled_share 2013-07-08 00:00:00+00:00    0.0          1
    """
    _check_names(metrics, task=task)
    columns = _Columns(
        time_column=time_column,
        prediction_column=prediction_column,
        label_column=label_column,
        known_at_column=known_at_column,
        score_column=score_column,
        group_column=group_column,
    )
    as_of = windows.moment(known_as_of, argument="known_as_of")
    rules = Rules.checked(
        minimum=minimum, level=level, draws=draws, block=block, window=window, start=start
    )
    seed = int(rng.integers(2**63))

    frame = _known_frame(frame, columns, as_of=as_of)
    if task == "regression":
        held, lacking = _regression(frame, columns, tolerance=tolerance)
    else:
        held, lacking = _classification(frame, columns, positive=positive)
    chosen = _chosen(metrics, task=task, lacking=lacking)
    codes, names = _groups(frame, columns)
    time = windows.times(frame, time_column, argument="time_column")
    rows = _in_order(Rows(time=time, group=codes, **held))
    edges = windows.cut(rows.time, window=window, start=start, end=end)

    found = []
    for group, part in [
        ("", rows),
        *((n, rows.take(rows.group == i)) for i, n in enumerate(names)),
    ]:
        for start_us, end_us in itertools.pairwise(edges.tolist()):
            inside = part.take(slice(*np.searchsorted(part.time, [start_us, end_us])))
            seed_here = [seed, zlib.crc32(group.encode()), start_us % 2**64]
            here = {"group": group, "window_start": start_us, "window_end": end_us}
            found += [here | each for each in _measured(inside, chosen, rules, seed=seed_here)]
    return _table(found, order=list(chosen), as_of=as_of)


def _table(
    found: list[dict[str, Any]], *, order: list[str], as_of: pd.Timestamp | None
) -> pd.DataFrame:
    """Return the measurements by metric (in the order asked for), group and window."""
    found.sort(key=lambda row: (order.index(row["metric"]), row["group"], row["window_start"]))
    for row in found:
        row |= {
            "monitor": MONITOR,
            "window_start": windows.from_microseconds(row["window_start"]),
            "window_end": windows.from_microseconds(row["window_end"]),
            "known_as_of": as_of,
        }
    return measurements(found)


# ----------------------------------------------------------------- against a reference, and labels


def change(reference: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Return how far each measurement lies from the reference's, with its interval.

    Both are tables of ``performance``: the reference with one row for each metric and group
    (``window=None``), the current with as many windows as it likes. The metric ``mae`` becomes
    ``mae_change``, its value current less reference, in the metric's unit; what one of the two
    lacks is left out. An interval without 0 says that the metric changed, at the level of the
    tables.

    It does not say why, nor whether the change matters; and over many windows some intervals leave
    out 0 by chance. The two must be of different rows: see ``intervals.difference``.

    Raises ``ValueError`` when the reference has several rows for a metric and group.

    >>> rng = np.random.default_rng(0)
    >>> def errors(n, first, shift):
    ...     times = pd.date_range(first, periods=n, freq="1h", tz="UTC")
    ...     return pd.DataFrame({"event_time": times, "label": 0.0,
    ...                          "prediction": rng.normal(shift, 1.0, n)})
    >>> spring, summer = (
    ...     performance(frame, task="regression", metrics=["bias"], window=None, rng=rng)
    ...     for frame in (errors(500, "2013-03-01", 0.0), errors(500, "2013-06-01", 1.0)))
    >>> row = change(spring, summer).iloc[0]
    >>> print(row["metric"], bool(row["low"] < 1.0 < row["high"]), bool(row["low"] > 0))
    bias_change True True
    """
    keys = ["metric", "group"]
    repeated = reference[reference.duplicated(keys)]
    if len(repeated):
        metric, group = repeated.iloc[0][keys]
        raise ValueError(
            f"reference has several rows for metric={metric!r}, group={group!r}; measure it once, "
            "with window=None"
        )
    pairs = current.merge(
        reference[[*keys, "value", "low", "high", "n_current"]],
        on=keys,
        suffixes=("", "_of_reference"),
    )
    value, low, high = difference(
        pairs["value"],
        pairs["low"],
        pairs["high"],
        reference=pairs["value_of_reference"],
        reference_low=pairs["low_of_reference"],
        reference_high=pairs["high_of_reference"],
    )
    changed = pairs.assign(
        metric=pairs["metric"] + "_change",
        value=value,
        low=low,
        high=high,
        n_reference=pairs["n_current_of_reference"],
    )
    return changed[list(current.columns)]


def label_arrival(
    frame: pd.DataFrame,
    *,
    delays_hours: Sequence[float],
    known_as_of: windows.Moment,
    level: float = 0.95,
    time_column: str = "event_time",
    known_at_column: str = "label_known_at",
) -> pd.DataFrame:
    """Return the share of labels that are known within each delay after the prediction.

    A prediction whose label is not known yet counts for as long as it has waited (Kaplan and
    Meier's estimate), so recent predictions do not make labels look slower than they are. Columns:
    ``delay_hours``, ``share`` with ``low`` and ``high`` (``NaN`` for shares of 0 and 1), and ``n``,
    the predictions old enough to have a label by then. Beyond the age of the oldest prediction
    shares are ``NaN``.

    It takes recent predictions to be labelled like the older ones: a delay that has just begun to
    grow shows late. Intervals take rows as independent.

    Raises ``ValueError`` for a negative delay, and as ``performance`` does.

    Source: E. L. Kaplan and P. Meier (1958), "Nonparametric estimation from incomplete
    observations", Journal of the American Statistical Association 53; ``scipy.stats.ecdf``.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.to_datetime(["2013-07-01T00Z", "2013-07-01T00Z"]),
    ...     "label_known_at": pd.to_datetime(["2013-07-01T03Z", None])})
    >>> arrived = label_arrival(frame, delays_hours=[2, 4], known_as_of="2013-07-02T00Z")
    >>> print(arrived[["delay_hours", "share", "n"]].to_string(index=False))
     delay_hours  share  n
             2.0    0.0  2
             4.0    0.5  2
    """
    checked_level(level)
    as_of = windows.whole_microseconds(windows.moment(known_as_of, argument="known_as_of"))
    delays = np.asarray(delays_hours, dtype=float)
    if not (delays >= 0).all():
        raise ValueError(f"delays_hours={delays_hours!r}: each must be 0 or more")
    steps = np.round(delays * 3.6e9).astype(np.int64)
    made_at = windows.times(frame, time_column, argument="time_column")
    known_at = windows.column(frame, known_at_column, argument="known_at_column")
    arrived_at = windows.microseconds(known_at, argument="known_at_column")
    known = known_at.notna().to_numpy() & (arrived_at <= as_of)
    there = made_at <= as_of
    waited = (np.where(known, arrived_at, as_of) - made_at)[there]
    age = as_of - made_at[there]
    n = np.array([(age >= step).sum() for step in steps], dtype=np.int64)
    share = low = high = np.full(len(steps), np.nan)
    if len(age):
        sample = stats.CensoredData(waited[known[there]], right=waited[~known[there]])
        curve = stats.ecdf(sample).cdf
        with warnings.catch_warnings():  # that it is undefined where the share is 0 or 1
            warnings.simplefilter("ignore", RuntimeWarning)
            within = curve.confidence_interval(level, method="log-log")
        observed = steps <= age.max()
        share, low, high = (
            np.where(observed, each.evaluate(steps), np.nan)
            for each in (curve, within.low, within.high)
        )
    return pd.DataFrame({"delay_hours": delays, "share": share, "low": low, "high": high, "n": n})
