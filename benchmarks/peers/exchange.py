"""What the benchmark and its peers hand to one another: Parquet in, alarms in a CSV out.

A peer's Python has neither this project's packages nor its pandas; so this needs pandas alone. A
folder holds ``roles.json`` (which column is what), ``streams.csv`` (``stream, seed, kind``),
``reference-SEED.parquet`` and ``STREAM.parquet``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

QUIET = "quiet"
ALARMS = ["stream", "labels", "rule", "window_start", "alarm"]
SECONDS = ["seed", "rules", "seconds"]


@dataclass(frozen=True)
class Roles:
    """Which columns are the numbers and categories of the model, and what it said and should."""

    time: str
    numbers: list[str]
    categories: list[str]
    score: str
    prediction: str
    label: str

    @property
    def features(self) -> list[str]:
        return [*self.numbers, *self.categories]


def roles_of(folder: Path) -> Roles:
    return Roles(**json.loads((folder / "roles.json").read_text()))


def streams_by_seed(
    folder: Path,
) -> Iterator[tuple[int, pd.DataFrame, list[tuple[str, pd.DataFrame]]]]:
    """Yield each seed with its reference and its streams by name, the quiet one first."""
    listed = pd.read_csv(folder / "streams.csv")
    for seed, own in listed.groupby("seed"):
        names = sorted(own["stream"], key=lambda name: (not name.endswith(QUIET), name))
        reference = pd.read_parquet(folder / f"reference-{seed}.parquet")
        yield (
            seed,
            reference,
            [(name, pd.read_parquet(folder / f"{name}.parquet")) for name in names],
        )


def weeks(frame: pd.DataFrame, time_column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each week, by the date of its Monday (UTC)."""
    days = frame[time_column].dt.normalize()
    monday = days - pd.to_timedelta(days.dt.weekday, unit="D")
    for start, rows in frame.groupby(monday):
        yield f"{start:%Y-%m-%d}", rows


Alarms = Iterable[tuple[str, str, str, bool]]
"""Of windows: what is known of labels, the rule, the Monday, whether it alarms."""

Family = Callable[[pd.DataFrame, Roles], Callable[[pd.DataFrame], Alarms]]
"""Rules that share their work: of a reference, what judges the weeks of a frame."""


def judge(folder: Path, name: str, families: dict[str, Family]) -> None:
    """Judge every stream by every family of rules; write ``NAME.csv`` and ``NAME-seconds.csv``.

    The seconds are of the processor: to fit to a reference and to judge the quiet stream after it,
    without the reading of files.
    """
    roles = roles_of(folder)
    found, took = [], []
    for seed, reference, streams in streams_by_seed(folder):
        for family, fitted_to in families.items():
            began = time.process_time()
            rules = fitted_to(reference, roles)
            for stream, frame in streams:
                found += [(stream, *each) for each in rules(frame)]
                if stream.endswith(QUIET):
                    took.append((seed, family, time.process_time() - began))
    pd.DataFrame(found, columns=ALARMS).to_csv(folder / f"{name}.csv", index=False)
    pd.DataFrame(took, columns=SECONDS).to_csv(folder / f"{name}-seconds.csv", index=False)
