"""A real year: what alarms between April and December, and whether the error really rose.

``python -m benchmarks.flights_year [--budget 4] [--out FILE]`` fits the flights model on January
2013, takes February and March for the reference, and runs the dashboard over the rest of the year,
week by week. There is no ledger for the real world: what can be said of an alarm is whether the
model's error rose in its week. It did where the whole 95 % interval of the change in mean absolute
error, whole days resampled, lies above 0.

It prints each line that alarmed, with the weeks in which it did and in how many of these the error
rose, beside the share of all weeks in which it did: a line that alarms at random would reach that
share. A reference of two winter months knows no summer, so most inputs drift; the question is what
an alarm on them is worth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from utils.course.models import flights_model
from utils.datasets import flights
from utils.monitors import suite
from utils.monitors.intervals import wilson
from utils.monitors.performance import change, performance

LABEL, TIME = "arrival_delay_min", "departed_at"
FEATURES = (*flights.NUMERIC_FEATURES, *flights.CATEGORICAL_FEATURES)
ROLES = suite.Roles(
    time_column=TIME,
    features=FEATURES,
    task="regression",
    prediction_column="prediction",
    label_column=LABEL,
    group_columns=("origin",),
)
LINE = ["monitor", "metric", "feature", "group"]


def predicted() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the reference and the later departures, with what the model of January says."""
    frame = flights.departures()
    frame = frame[frame[LABEL].notna()]
    january = frame[frame[TIME] < "2013-02-01"]
    later = frame[frame[TIME] >= "2013-02-04"]
    model = flights_model().fit(january, january[LABEL])
    later = later.assign(prediction=model.predict(later))
    is_reference = later[TIME] < "2013-04-01"
    return later[is_reference], later[~is_reference]


def error_rose(reference: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Return by week the change of the mean absolute error, and whether it surely rose."""

    def measured(frame: pd.DataFrame, window: str | None) -> pd.DataFrame:
        return performance(
            frame,
            task="regression",
            metrics=["mae"],
            window=window,
            block="1D",
            rng=np.random.default_rng(0),
            time_column=TIME,
            label_column=LABEL,
        ).query("metric == 'mae'")

    table = change(measured(reference, None), measured(current, "7D"))
    return table.assign(rose=table["low"] > 0)[["window_start", "value", "low", "high", "rose"]]


def worth(measurements: pd.DataFrame, weeks: pd.DataFrame) -> pd.DataFrame:
    """Return each line that alarmed: in how many weeks, and in how many the error rose."""
    alarms = measurements[measurements["alarm"]].merge(weeks, on="window_start")
    by_line = alarms.groupby(LINE)["rose"].agg(weeks="size", rose="sum").reset_index()
    low, high = wilson(by_line["rose"], by_line["weeks"])
    share = by_line["rose"] / by_line["weeks"]
    return by_line.assign(share=share, low=low, high=high).round(2)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--budget", type=float, default=4.0)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    reference, current = predicted()
    monitors = suite.fitted(
        reference,
        ROLES,
        rng=np.random.default_rng(0),
        false_alarms_per_year=chosen.budget,
    )
    found = monitors.run(current)
    weeks = error_rose(reference, current)
    table = worth(found.measurements, weeks)
    print("\n".join(monitors.notes))
    print(table.to_string(index=False))
    alarmed = found.measurements.query("alarm").groupby("monitor")["window_start"].agg(set)
    rose = set(weeks.loc[weeks["rose"], "window_start"])
    print(f"\nweeks: {len(weeks)}, in {len(rose)} of which the error rose")
    for monitor, at in alarmed.items():
        print(f"{monitor}: alarms in {len(at)} weeks, {len(at & rose)} of them with a risen error")
    if chosen.out:
        table.to_csv(chosen.out, index=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
