"""From which score on should the answer be yes? Decisions by what they cost, in money."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.intervals import bootstrap_t, checked_level, ratio, resampled_weights


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a decision costs, by what became of it: a matrix of two decisions and two labels.

    A *yes* is given from a threshold of the score on; the score is of label 1. ``wrong_yes`` is
    the cost of a yes where the label is 0, ``wrong_no`` that of a no where it is 1; the right
    decisions cost nothing unless told otherwise, and a gain is a cost below 0. The numbers are in
    ``unit``, or in ``unit`` for each unit of an amount that each row has of its own: a loan that
    is not paid back loses 60 % of its amount, say.

    Raises ``ValueError`` where a wrong decision does not cost more than the right one.

    >>> Costs(wrong_yes=0.6, wrong_no=0.2, unit="BRL").threshold
    0.75
    """

    wrong_yes: float
    wrong_no: float
    right_yes: float = 0.0
    right_no: float = 0.0
    unit: str = ""

    def __post_init__(self) -> None:
        for wrong, right in (("wrong_yes", "right_no"), ("wrong_no", "right_yes")):
            if not getattr(self, wrong) > getattr(self, right):
                raise ValueError(
                    f"{wrong}={getattr(self, wrong)!r}: more than {right}={getattr(self, right)!r} "
                    "is needed; a wrong decision costs more than the right one"
                )

    @property
    def threshold(self) -> float:
        """The probability of label 1 from which on a yes costs less than a no.

        It is the best threshold for scores that come true (see ``calibration``), whatever they are
        like otherwise: no data is needed to choose it. With an amount for each row it stays the
        same, as the amount weighs on both sides.

        Source: C. Elkan (2001), "The foundations of cost-sensitive learning", IJCAI 17.
        """
        of_zero = self.wrong_yes - self.right_no
        of_one = self.wrong_no - self.right_yes
        return round(of_zero / (of_zero + of_one), 12)


def cost_curve(
    frame: pd.DataFrame,
    *,
    costs: Costs,
    thresholds: Sequence[float],
    rng: np.random.Generator,
    against: float | None = None,
    amount_column: str | None = None,
    block: windows.Length | None = None,
    draws: int = 500,
    level: float = 0.95,
    time_column: str = "event_time",
    label_column: str = "label",
    score_column: str = "score",
) -> pd.DataFrame:
    """Return what decisions cost at each threshold, and which thresholds cannot be told apart.

    One row for each of ``thresholds``, in their order, with ``n`` rows decided:

    - ``yes_share``: how many of the rows are given a yes, at a score of ``threshold`` or more;
      a threshold of 0 says yes to all, one of ``inf`` to none;
    - ``cost``, ``low``, ``high``: the mean cost of a decision, in the unit of ``costs``;
    - ``change``, ``change_low``, ``change_high``: that cost less the cost at the threshold
      ``against`` (``costs.threshold`` unless given), on the same rows. Name it before you look at
      the data: beside a threshold picked for its low cost, the others look worse than they are;
    - ``may_be_best``: whether this threshold may be the cheapest of them. A curve is flat near its
      minimum, so the cheapest of *these* rows is a matter of luck; in ``level`` of the samples the
      truly cheapest of the thresholds given is among those marked.

    **What it does not tell.** The rows are those whose label is known: of applicants who were
    refused, nobody knows what a yes would have cost. A cost that the matrix leaves out (a customer
    who does not come back) is not there. And the minimum of the curve, read off the same rows, is
    lower than what the next rows will cost.

    **Intervals** come from a bootstrap of ``draws`` samples, over rows or, with ``block="1D"``,
    over whole days; all thresholds see the same samples, so what is hard about a day cancels in
    ``change``. With ``amount_column`` each row's cost is multiplied by its amount. One block alone
    has no interval, and then every threshold may be best.

    Raises ``ValueError`` naming the argument, the value and the rule.

    Source of ``may_be_best``: the largest of the standardised differences from all others, as in
    J. C. Hsu (1981), "Simultaneous confidence intervals for all distances from the best", Annals
    of Statistics 9.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=4, freq="1h", tz="UTC"),
    ...     "score": [0.2, 0.5, 0.8, 0.9], "label": [0, 1, 0, 1], "amount": [10, 10, 20, 10]})
    >>> curve = cost_curve(frame, costs=Costs(wrong_yes=0.6, wrong_no=0.2), amount_column="amount",
    ...                    thresholds=[0.0, 0.5, 0.85], rng=np.random.default_rng(0))
    >>> curve[["threshold", "yes_share", "cost"]].values.tolist()
    [[0.0, 1.0, 4.5], [0.5, 0.75, 3.0], [0.85, 0.25, 0.5]]
    """
    checked_level(level)
    if draws < 1:
        raise ValueError(f"draws={draws!r}: at least 1 is needed")
    asked = np.asarray(list(thresholds), dtype=float)
    if not len(asked) or np.isnan(asked).any():
        raise ValueError(f"thresholds={thresholds!r}: numbers are needed, one at least")
    beside = costs.threshold if against is None else float(against)
    rows = _read(
        frame,
        costs=costs,
        amount_column=amount_column,
        label_column=label_column,
        score_column=score_column,
    )
    if not len(rows):
        raise ValueError(
            f"frame: none of {len(frame)} rows has a label ({label_column!r}) and a score "
            f"({score_column!r})"
        )
    units, n_units = _units(frame, rows.index, block=block, time_column=time_column)
    cost_of = _cost_by_unit(rows, np.append(asked, beside), units=units, n_units=n_units)
    n_of = np.bincount(units, minlength=n_units)
    value = ratio(cost_of.sum(axis=0), n_of.sum())
    drawn = np.concatenate(
        [
            ratio(weights @ cost_of, (weights @ n_of)[:, None])
            for weights in resampled_weights(n_units, draws=draws, n_rows=cost_of.size, rng=rng)
        ]
    )
    found = {
        "threshold": asked,
        "yes_share": [(rows["score"] >= each).mean() for each in asked],
        **_with_interval("cost", value[:-1], drawn[:, :-1], n_units, level=level),
        **_with_interval(
            "change", value[:-1] - value[-1], drawn[:, :-1] - drawn[:, -1:], n_units, level=level
        ),
        "may_be_best": _may_be_best(value[:-1], drawn[:, :-1], n_units, level=level),
        "n": len(rows),
    }
    names = {"cost_low": "low", "cost_high": "high"}
    return pd.DataFrame(found).rename(columns=names)


@dataclass(frozen=True, kw_only=True)
class Best:
    """The cheapest threshold of a curve, and the lowest and the highest that may be it as well."""

    threshold: float
    cost: float
    lowest: float
    highest: float


def best(curve: pd.DataFrame) -> Best:
    """Return the cheapest threshold of a ``cost_curve``, the lowest one where several tie.

    ``lowest`` and ``highest`` are what the data knows of it; the one number is only what these
    rows liked most, and its cost is lower than what the next rows will cost.

    >>> curve = pd.DataFrame({"threshold": [0.6, 0.7, 0.8], "cost": [5.0, 4.0, 4.5],
    ...                       "may_be_best": [False, True, True]})
    >>> best(curve)
    Best(threshold=0.7, cost=4.0, lowest=0.7, highest=0.8)
    """
    cheapest = curve.sort_values(["cost", "threshold"]).iloc[0]
    kept = curve.loc[curve["may_be_best"], "threshold"]
    return Best(
        threshold=float(cheapest["threshold"]),
        cost=float(cheapest["cost"]),
        lowest=float(kept.min()),
        highest=float(kept.max()),
    )


# ------------------------------------------------------------------------------ reading the frame


def _read(
    frame: pd.DataFrame,
    *,
    costs: Costs,
    amount_column: str | None,
    label_column: str,
    score_column: str,
) -> pd.DataFrame:
    """Return score, and what a yes and a no cost, of the rows that have a label and a score.

    The index is the row's number in the frame.
    """
    label = windows.column(frame, label_column, argument="label_column")
    odd = label[~(label.isin([0, 1]) | label.isna())].tolist()
    if odd:
        raise ValueError(f"label_column={label_column!r} holds {odd[0]!r}: 0 or 1 is needed")
    score = _numbers(frame, score_column, argument="score_column")
    amount = np.ones(len(frame))
    if amount_column is not None:
        amount = _numbers(frame, amount_column, argument="amount_column")
        if not (amount >= 0).all():
            wrong = amount[~(amount >= 0)][0]
            raise ValueError(
                f"amount_column={amount_column!r} holds {wrong:g}: 0 or more is needed"
            )
    is_one = label.eq(1).fillna(False).to_numpy(dtype=bool)
    rows = pd.DataFrame(
        {
            "score": score,
            "of_yes": np.where(is_one, costs.right_yes, costs.wrong_yes) * amount,
            "of_no": np.where(is_one, costs.wrong_no, costs.right_no) * amount,
        }
    )
    return rows[label.notna().to_numpy() & ~np.isnan(score)]


def _numbers(frame: pd.DataFrame, name: str, *, argument: str) -> np.ndarray:
    series = windows.column(frame, name, argument=argument)
    if not pd.api.types.is_numeric_dtype(series):
        raise ValueError(f"{argument}={name!r} holds {series.dtype}: numbers are needed")
    return series.to_numpy(dtype=float, na_value=np.nan)


def _units(
    frame: pd.DataFrame, index: Iterable[int], *, block: windows.Length | None, time_column: str
) -> tuple[np.ndarray, int]:
    """Return what is resampled: the unit of each row, and how many there are."""
    if block is None:
        return np.arange(len(index)), len(index)
    length = windows.whole_microseconds(windows.length(block, argument="block"))
    time = windows.times(frame, time_column, argument="time_column")[index]
    found, units = np.unique(
        (time - windows.whole_microseconds(windows.ORIGIN)) // length, return_inverse=True
    )
    return units, len(found)


def _cost_by_unit(
    rows: pd.DataFrame, thresholds: np.ndarray, *, units: np.ndarray, n_units: int
) -> np.ndarray:
    """Return the cost of each unit's rows at each threshold (units × thresholds)."""
    order = np.argsort(thresholds, kind="stable")
    reached = np.searchsorted(thresholds[order], rows["score"], side="right")
    more = np.zeros((n_units, len(thresholds) + 1))  # of a yes than of a no, by thresholds reached
    np.add.at(more, (units, reached), (rows["of_yes"] - rows["of_no"]).to_numpy())
    of_no = np.bincount(units, weights=rows["of_no"], minlength=n_units)
    of_yes_from = more[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    cost = np.empty((n_units, len(thresholds)))
    cost[:, order] = of_no[:, None] + of_yes_from
    return cost


# ------------------------------------------------------------------------------------ how sure


def _with_interval(
    name: str, value: np.ndarray, drawn: np.ndarray, n_units: int, *, level: float
) -> dict[str, np.ndarray]:
    bounds = [
        bootstrap_t(each, of_each, n_units=n_units, scale="linear", level=level)
        for each, of_each in zip(value, drawn.T, strict=True)
    ]
    low, high = np.transpose(bounds)
    same = np.ptp(drawn, axis=0) == 0  # the same in every sample: there is nothing unknown about it
    known = same & (n_units > 1)
    return {
        name: value,
        f"{name}_low": np.where(known, value, low),
        f"{name}_high": np.where(known, value, high),
    }


def _may_be_best(value: np.ndarray, drawn: np.ndarray, n_units: int, *, level: float) -> np.ndarray:
    """Return which thresholds are not shown to cost more than some other one.

    For each, the largest of its standardised differences from the others is compared with what
    that largest is in the samples when no difference is real.
    """
    if n_units < 2:
        return np.ones(len(value), dtype=bool)
    kept = []
    for at in range(len(value)):
        gap, sampled = value[at] - value, drawn[:, [at]] - drawn
        error = sampled.std(axis=0)
        differs = error > 0
        if not differs.any():
            kept.append(True)
            continue
        by_chance = ((sampled - gap)[:, differs] / error[differs]).max(axis=1)
        shown = (gap[differs] / error[differs]).max()
        kept.append(shown <= np.quantile(by_chance, level))
    return np.array(kept)
