"""The loop on the flights of 2013, beside never retraining, each alarm, and every month.

    python -m benchmarks.loop_year [--every N] [--out benchmarks/results/loop_year.csv]

The model learns from January to March and is in service from April to December. The loop runs each
Monday; what it answered is compared with what the other policies would have answered to the same
flights. A year is one draw: the intervals resample its weeks, and know of no other year. Every
figure is the same in each run.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from utils.course import looping, retraining
from utils.course.workspace import Workspace


def main(argv: Sequence[str] | None = None) -> int:
    """Run the year, print what each policy came to, and write it; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loop_year")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="vigia-bench-") as folder:
        table = measured(Workspace(Path(folder), stages={}), every=chosen.every)
    print(table.round(3).to_string(index=False))
    if chosen.out:
        table.round(6).to_csv(chosen.out, index=False, lineterminator="\n")
    return 0


def measured(workspace: Workspace, *, every: int) -> pd.DataFrame:
    """Return the policies of ``retraining.compared``, and how often each changed the model."""
    looping.begin(workspace, every=every)
    year = looping.looped(
        workspace, looping.departures(every=every), until=datetime(2014, 1, 1, tzinfo=UTC)
    )
    moments = {
        "alarm": year.weeks.loc[year.weeks["asked"], "run"].tolist(),
        "monthly": retraining.months_after_the_first(year.served),
    }
    costs = retraining.costs(
        year.served,
        learned=looping.departures(every=every, months=range(1, 4)),
        retrained=moments,
    )
    n_trained = {name: len(each) for name, each in moments.items()}
    table = retraining.compared(
        costs, n_trained=n_trained | {"loop": year.life.n_trained}, rng=np.random.default_rng(0)
    )
    changed = n_trained | {"never": 0, "loop": year.life.n_promoted}
    table.insert(2, "n_in_service", table["policy"].map(changed))
    return table


if __name__ == "__main__":
    raise SystemExit(main())
