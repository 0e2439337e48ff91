"""How a window is measured: by the monitors in this process, or by a notebook through papermill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from utils.monitors import suite, windows
from utils.operations.loop import Seen
from utils.records import LINE, MEASUREMENT_COLUMNS, VigiaError, measurements

MEASUREMENTS = "measurements.csv"


class NoMeasurements(VigiaError):
    """A notebook that left no measurements behind."""


@dataclass(frozen=True, kw_only=True)
class InProcess:
    """Measures by ``suite.fitted`` on the reference of the champion, fitted once a version.

    ``roles`` are those of captured rows; without features, those of the model are taken. A
    reference that does not say when its labels became known is taken to have had them all along.

    Raises ``ValueError`` for a window of the loop that is not made of whole ``window``s.
    """

    roles: suite.Roles
    window: str = "7D"
    false_alarms_per_year: float = 4.0
    seed: int = 0
    _fitted: dict[str, tuple[pd.DataFrame, suite.Monitors]] = field(
        default_factory=dict, repr=False
    )

    def __call__(self, seen: Seen) -> pd.DataFrame:
        _need_whole(seen, self.window)
        known = self._fitted.get(seen.version)
        # Another registry may have another version of that number.
        if known is None or not known[0].equals(seen.reference):
            known = seen.reference, self._fit(seen)
            self._fitted[seen.version] = known
        window = seen.window
        return known[1].run(seen.current, known_as_of=window.run, until=window.end).measurements

    def _fit(self, seen: Seen) -> suite.Monitors:
        roles = replace(self.roles, features=self.roles.features or seen.features)
        if roles.known_at_column not in seen.reference:
            # What the rows of the window know is already no more than the run knows.
            roles = replace(roles, known_at_column=None)
        return suite.fitted(
            seen.reference,
            roles,
            rng=np.random.default_rng(self.seed),
            window=self.window,
            false_alarms_per_year=self.false_alarms_per_year,
        )


def _need_whole(seen: Seen, window: str) -> None:
    length = windows.length(window, argument="window")
    for name in ("start", "end"):
        moment = windows.moment(getattr(seen.window, name), argument=name)
        if (moment - windows.ORIGIN) % length:
            raise ValueError(
                f"{name}={moment.isoformat()}: windows of window={window!r} are counted from "
                f"{windows.ORIGIN:%A %Y-%m-%d %H:%M} UTC, and none begins or ends then; change the "
                "offsets of the schedule"
            )


class Report(Protocol):
    """Runs a notebook on two files into a folder; ``until`` is where the window ends."""

    def __call__(
        self,
        reference: str,
        current: str,
        *,
        out: Path,
        features: Sequence[str],
        until: datetime,
    ) -> object: ...


@dataclass(frozen=True, kw_only=True)
class ByNotebook:
    """Measures by a notebook, which reads two Parquet files and writes ``measurements.csv``.

    Each window has a folder of its own in ``out`` with the files, the executed notebook and what it
    wrote. ``report`` runs the notebook. Of what it measured the windows that lie within the loop's
    are kept.

    Raises ``NoMeasurements`` where there are none of these.
    """

    report: Report
    out: Path

    def __call__(self, seen: Seen) -> pd.DataFrame:
        folder = self.out / f"{seen.window.end:%Y-%m-%dT%H%MZ}"
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / MEASUREMENTS
        written.unlink(missing_ok=True)  # of a run that broke off
        sources = {name: folder / f"{name}.parquet" for name in ("reference", "current")}
        for name, path in sources.items():
            getattr(seen, name).to_parquet(path, index=False)
        self.report(
            *map(str, sources.values()),
            out=folder,
            features=seen.features,
            until=seen.window.end,
        )
        if not written.is_file():
            raise NoMeasurements(f"{written}: the notebook wrote no measurements")
        table = measurements(
            pd.read_csv(
                written,
                dtype=dict.fromkeys(LINE, "str"),
                keep_default_na=False,
                na_values=_MISSING,
            )
        )
        start, end = pd.Timestamp(seen.window.start), pd.Timestamp(seen.window.end)
        table = table[(table["window_start"] >= start) & (table["window_end"] <= end)]
        if table.empty:
            raise NoMeasurements(f"{written}: measures no window within {start} and {end}")
        return table.reset_index(drop=True)


_MISSING = {name: [""] for name in MEASUREMENT_COLUMNS if name not in LINE}
"""A group may well be called NA."""
