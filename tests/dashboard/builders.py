"""Measurements, alerts and snapshots for the tests of the page."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from utils.dashboard.snapshot import Drift, Performance, Snapshot
from utils.dashboard.tallies import Tallies
from utils.records import measurements
from utils.text import tr

NOON = datetime(2013, 4, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Fired:
    """An alert, as whoever keeps them tells it."""

    rule: str = "error-rose"
    state: str = "firing"
    severity: str = "critical"
    action: str = "roll back"
    owner: str = "tower"
    runbook: str = "rose.md"
    since: datetime = NOON
    last_seen: datetime = NOON
    acknowledged_by: str = ""
    silenced: bool = False

    @property
    def evidence(self):
        return tr(pt="o erro passou de 15", en="the error went beyond 15")


def line(monitor, metric, value, *, week=0, feature="", **more):
    """Return a row of the measurements table, of a week counted from 1 April 2013."""
    start = pd.Timestamp("2013-04-01", tz="UTC") + pd.Timedelta(7 * week, "D")
    known = {
        "window_start": start,
        "window_end": start + pd.Timedelta(7, "D"),
        "n_current": 100,
        "n_reference": 900,
    }
    return known | {"monitor": monitor, "metric": metric, "value": value, "feature": feature} | more


def table(*rows):
    return measurements(list(rows))


def snapshot(**changes):
    given = {
        "deployment": "flights",
        "model_name": "ten_minutes",
        "model_version": "1",
        "at": NOON,
        "stored": 3,
        "traffic": Tallies().traffic(at=1_000),
        "answers": None,
        "performance": Performance(),
        "drift": Drift(),
    }
    return Snapshot(**(given | changes))
