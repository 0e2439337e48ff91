"""How a window is measured: by the monitors in this process, or by a notebook through papermill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from utils.monitors import suite
from utils.operations.loop import Seen
from utils.records import VigiaError, measurements

MEASUREMENTS = "measurements.csv"


class NoMeasurements(VigiaError):
    """A notebook that left no measurements behind."""


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """Measures by ``suite.fitted`` on the reference of the champion, fitted once a version.

    ``roles`` are those of captured rows; without features, those of the model are taken.
    """

    roles: suite.Roles
    window: str = "7D"
    false_alarms_per_year: float = 4.0
    seed: int = 0
    _fitted: dict[str, suite.Monitors] = field(default_factory=dict, repr=False)

    def __call__(self, seen: Seen) -> pd.DataFrame:
        if seen.version not in self._fitted:
            from dataclasses import replace

            features = self.roles.features or seen.features
            self._fitted[seen.version] = suite.fitted(
                seen.reference,
                replace(self.roles, features=features),
                rng=np.random.default_rng(self.seed),
                window=self.window,
                false_alarms_per_year=self.false_alarms_per_year,
            )
        window = seen.window
        monitors = self._fitted[seen.version]
        return monitors.run(seen.current, known_as_of=window.run, until=window.end).measurements


Report = Callable[..., object]
"""Runs a notebook: ``report(reference, current, out=…, features=…)``, each source a file."""


@dataclass(frozen=True, kw_only=True)
class ByNotebook:
    """Measures by a notebook, which reads two Parquet files and writes ``measurements.csv``.

    Each window has a folder of its own in ``out`` with the files, the executed notebook and what it
    wrote. ``report`` runs the notebook.
    """

    report: Report
    out: Path

    def __call__(self, seen: Seen) -> pd.DataFrame:
        folder = self.out / f"{seen.window.end:%Y-%m-%dT%H%MZ}"
        folder.mkdir(parents=True, exist_ok=True)
        sources = {}
        columns = [name for name in seen.current if name in seen.reference]
        for name in ("reference", "current"):
            sources[name] = folder / f"{name}.parquet"
            getattr(seen, name)[columns].to_parquet(sources[name], index=False)
        self.report(
            str(sources["reference"]), str(sources["current"]), out=folder, features=seen.features
        )
        written = folder / MEASUREMENTS
        if not written.is_file():
            raise NoMeasurements(f"{written}: the notebook wrote no measurements")
        table = measurements(pd.read_csv(written, keep_default_na=True))
        start, end = pd.Timestamp(seen.window.start), pd.Timestamp(seen.window.end)
        return table[(table["window_start"] >= start) & (table["window_end"] <= end)]
