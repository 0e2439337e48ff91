"""What a way of retraining is worth, on the same flights: never, at given moments, by the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from utils.course.models import flights_model
from utils.datasets import flights
from utils.monitors.paired import loss_change
from utils.operations.candidates import LABEL, TIME

_FEATURES = list(flights.FEATURES)


def costs(
    served: pd.DataFrame,
    *,
    learned: pd.DataFrame,
    retrained: Mapping[str, Sequence[datetime]],
    truth_column: str = LABEL,
) -> pd.DataFrame:
    """Return what each labelled flight would have cost under each policy, in minutes of error.

    ``served`` is what the loop answered, ``learned`` the departures from which the first model
    learned. Under a policy of ``retrained``, a model that learned from all that was known (the
    labels as they were reported) goes straight into service at each of its moments: no gate, no
    canary. ``never`` and ``loop`` are there by themselves. Columns: ``event_time``, the policies.
    """
    rows = served.dropna(subset=[truth_column]).sort_values(TIME, ignore_index=True)
    truth = rows[truth_column].astype("float64")
    first = learned.dropna(subset=[flights.TARGET])
    model = _fitted(first[_FEATURES], first[flights.TARGET])
    never = model.predict(rows[_FEATURES])
    answers = {"never": never}
    for policy, moments in retrained.items():
        answers[policy] = never.copy()
        for moment in sorted(moments):
            later = (rows[TIME] >= moment).to_numpy()
            if later.any():
                answer = _as_known(first, served, moment).predict(rows.loc[later, _FEATURES])
                answers[policy][later] = answer
    answers["loop"] = rows["prediction"].astype("float64")
    return pd.DataFrame(
        {TIME: rows[TIME], **{name: (truth - each).abs() for name, each in answers.items()}}
    )


def _as_known(first: pd.DataFrame, served: pd.DataFrame, moment: datetime) -> Any:
    """Return a model that learned from all that was known at a moment."""
    known = served.dropna(subset=[LABEL])
    known = known[(known[TIME] < moment) & (known["label_known_at"] < moment)]
    return _fitted(
        pd.concat([first[_FEATURES], known[_FEATURES]], ignore_index=True),
        pd.concat([first[flights.TARGET], known[LABEL].astype("float64")], ignore_index=True),
    )


def _fitted(inputs: pd.DataFrame, label: pd.Series) -> Any:
    return flights_model().fit(inputs, label)


def retrained_once(
    learned: pd.DataFrame, traffic: pd.DataFrame, *, at: datetime, truth: pd.DataFrame
) -> pd.DataFrame:
    """Return what each flight costs the first model, and one retrained at a moment, in minutes.

    Both see the flights of ``traffic``; their answers are held against the delays of ``truth``, the
    same flights as they were. Columns: ``event_time``, ``never``, ``retrained``.
    """
    first = learned.dropna(subset=[flights.TARGET])
    seen = traffic[(traffic["departed_at"] < at) & (traffic["landed_at"] < at)]
    rows = pd.concat([first, seen.dropna(subset=[flights.TARGET])], ignore_index=True)
    old = _fitted(first[_FEATURES], first[flights.TARGET]).predict(traffic[_FEATURES])
    new = _fitted(rows[_FEATURES], rows[flights.TARGET]).predict(traffic[_FEATURES])
    is_later = traffic["departed_at"] >= at
    label = truth[flights.TARGET].to_numpy(dtype=float, na_value=np.nan)
    found = pd.DataFrame(
        {
            TIME: traffic["departed_at"],
            "never": np.abs(label - old),
            "retrained": np.abs(label - np.where(is_later, new, old)),
        }
    )
    return found.dropna()


def weekly(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean error of each week from Monday: ``week``, ``policy``, ``value``, interval.

    ``low`` and ``high`` are of Student's t over the means of the days, which are as many draws.

    >>> days = pd.date_range("2013-04-01", periods=14, freq="1D", tz="UTC")
    >>> table = weekly(pd.DataFrame({"event_time": days, "loop": [9.0, 11.0] * 7}))
    >>> table["value"].round(2).tolist(), (table["low"] < 10).tolist()
    ([9.86, 10.14], [True, True])
    """
    day = costs[TIME].dt.floor("D")
    return _by(costs, day - pd.to_timedelta(day.dt.day_of_week, unit="D"), name="week")


def by_month(costs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean error of each month: ``month``, ``policy``, ``value``, ``low``, ``high``.

    The interval is that of ``weekly``.
    """
    month = costs[TIME].dt.tz_localize(None).dt.to_period("M").dt.to_timestamp()
    return _by(costs, month.dt.tz_localize("UTC"), name="month")


def _by(costs: pd.DataFrame, period: pd.Series, *, name: str) -> pd.DataFrame:
    day = costs[TIME].dt.floor("D").rename("day")
    by_day = costs.drop(columns=TIME).groupby([period.rename(name), day]).mean()
    parts = by_day.groupby(name)
    means, spreads, n = parts.mean(), parts.std(), parts.count()
    reach = stats.t.ppf(0.975, n - 1) * spreads / np.sqrt(n)
    found = {"value": means, "low": means - reach, "high": means + reach}
    table = pd.concat(found, axis=1).stack(level=1, future_stack=True)
    table.index.names = [name, "policy"]
    return table.reset_index()


def months_after_the_first(served: pd.DataFrame) -> list[datetime]:
    """Return when each month but the first begins.

    >>> times = pd.to_datetime(["2013-04-05T12:00Z", "2013-06-02T12:00Z"])
    >>> [f"{each:%d %b}" for each in months_after_the_first(pd.DataFrame({"event_time": times}))]
    ['01 May', '01 Jun']
    """
    first, last = served[TIME].min(), served[TIME].max()
    return [each for each in pd.date_range(first.floor("D"), last, freq="MS") if each > first]


def with_truth(served: pd.DataFrame, departures: pd.DataFrame) -> pd.DataFrame:
    """Return what was served with what really happened to each flight, as ``truth``.

    A label may lie; the departures do not. Flights are found again by all that the model saw.
    """
    names = [TIME, *_FEATURES]
    known = departures.rename(columns={"departed_at": TIME, flights.TARGET: "truth"})
    known = known[[*names, "truth"]].drop_duplicates(names)
    return served.merge(known, on=names, how="left", validate="many_to_one")


def compared(
    costs: pd.DataFrame, *, n_trained: Mapping[str, int], rng: np.random.Generator
) -> pd.DataFrame:
    """Return the error of each policy, and how far it lies from never retraining.

    Columns: ``policy``, ``n_trained``, ``mae``, ``change``, ``low``, ``high`` and ``n``; below 0 a
    policy is better than doing nothing. Whole weeks are resampled for the interval.

    >>> days = pd.date_range("2013-04-01", periods=40, freq="12h", tz="UTC")
    >>> rows = pd.DataFrame({"event_time": days, "never": 10.0, "loop": [8.0, 10.0] * 20})
    >>> table = compared(rows, n_trained={"loop": 1}, rng=np.random.default_rng(0))
    >>> table[["policy", "n_trained", "mae", "change"]].to_numpy().tolist()
    [['never', 0, 10.0, 0.0], ['loop', 1, 9.0, -1.0]]
    """
    rows = []
    for policy in costs.columns.drop(TIME):
        row = {"policy": policy, "n_trained": n_trained.get(policy, 0), "n": len(costs)}
        row |= {"mae": costs[policy].mean(), "change": 0.0, "low": 0.0, "high": 0.0}
        if policy != "never":
            found = loss_change(
                costs,
                reference_column="never",
                current_column=policy,
                name="mae",
                window=None,
                block="7D",
                rng=rng,
            ).iloc[0]
            row |= {"change": found["value"], "low": found["low"], "high": found["high"]}
        rows.append(row)
    columns = ["policy", "n_trained", "mae", "change", "low", "high", "n"]
    return pd.DataFrame(rows)[columns]


def worth_of_one(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many minutes of error one retraining of a policy took off each flight.

    ``value``, with ``low`` and ``high``: the change for the better, shared among the retrainings.
    A policy is worth its price where a retraining costs less than that, times the flights.
    """
    trained = table[table["n_trained"] > 0]
    shared = {
        "value": -trained["change"] / trained["n_trained"],
        "low": -trained["high"] / trained["n_trained"],
        "high": -trained["low"] / trained["n_trained"],
    }
    return trained[["policy", "n_trained"]].assign(**shared).reset_index(drop=True)
