"""What the benchmark and its peers hand to one another: Parquet in, alarms in a CSV out.

A peer's Python has neither this project's packages nor its pandas; so this needs pandas alone. A
folder holds ``roles.json`` (which column is what), ``streams.csv`` (``stream, seed``),
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


def streams_of(folder: Path, seed: int) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
    """Return the reference of a seed and its streams by name, the quiet one first."""
    listed = pd.read_csv(folder / "streams.csv")
    names = listed.loc[listed["seed"] == seed, "stream"]
    names = sorted(names, key=lambda name: (not name.endswith(QUIET), name))
    reference = pd.read_parquet(folder / f"reference-{seed}.parquet")
    return reference, [(name, pd.read_parquet(folder / f"{name}.parquet")) for name in names]


def weeks(frame: pd.DataFrame, time_column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each week, by the date of its Monday (UTC)."""
    days = frame[time_column].dt.normalize()
    monday = days - pd.to_timedelta(days.dt.day_of_week, unit="D")
    for start, rows in frame.groupby(monday):
        yield f"{start:%Y-%m-%d}", rows


Alarms = Iterable[tuple[str, str, str, bool]]
"""Of windows: what is known of labels, the rule, the Monday, whether it alarms."""

Family = Callable[[pd.DataFrame, Roles], Callable[[pd.DataFrame], Alarms]]
"""Rules that share their work: of a reference, what judges the weeks of a frame."""


def judge(folder: Path, name: str, families: dict[str, Family], *, seeds: Iterable[int]) -> None:
    """Judge the streams of some seeds by every family of rules.

    Writes for each seed ``NAME-SEED.csv``, the alarms, and ``NAME-SEED-seconds.csv``: of the
    processor, to fit to the reference and to judge the quiet stream, without the reading of files.
    """
    roles = roles_of(folder)
    for seed in seeds:
        reference, streams = streams_of(folder, seed)
        found, took = [], []
        for family, fitted_to in families.items():
            began = time.process_time()
            rules = fitted_to(reference, roles)
            for stream, frame in streams:
                found += [(stream, *each) for each in rules(frame)]
                if stream.endswith(QUIET):
                    took.append((seed, family, time.process_time() - began))
        pd.DataFrame(found, columns=ALARMS).to_csv(folder / f"{name}-{seed}.csv", index=False)
        pd.DataFrame(took, columns=SECONDS).to_csv(
            folder / f"{name}-{seed}-seconds.csv", index=False
        )
