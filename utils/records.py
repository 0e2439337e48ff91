"""What flows between the rooms: the names of columns, and the few things that come one at a time.

One thing is a frozen dataclass; many things are a tidy ``DataFrame`` whose columns are named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import pandas as pd

MEASUREMENT_COLUMNS = (
    "monitor",
    "metric",
    "feature",
    "group",
    "window_start",
    "window_end",
    "value",
    "low",
    "high",
    "threshold_low",
    "threshold_high",
    "alarm",
    "n_reference",
    "n_current",
    "known_as_of",
)
"""The one table that every monitor returns. Windows are half-open: start <= t < end."""

LINE = ("monitor", "metric", "feature", "group")
"""What names a line of measurements; the rest of a row is its window, and what was found there."""

PREDICTION_COLUMNS = (
    "prediction_id",
    "event_time",
    "model_version",
    "client",
    "latency_ms",
    "prediction",
    "score",
)
"""What is captured of each prediction beside its inputs."""

LABEL_COLUMNS = ("prediction_id", "label", "known_at")
"""A label and the moment at which it became known."""

LEDGER_COLUMNS = ("incident", "kind", "columns", "strength", "start", "end", "harmful")
"""One row for each incident injected; the answer key of every scoreboard."""

RESERVED_COLUMNS = frozenset(PREDICTION_COLUMNS) | {
    "deployment",
    "label",
    "label_known_at",
    "label_revision",
    "metrics",
}
"""Names that a feature may not take in a frame read back; see ``input_column``."""

Kind = Literal[
    "double", "float", "long", "integer", "boolean", "string", "datetime", "binary", "json"
]


class VigiaError(Exception):
    """What the domain refuses; every message names the thing and the way out."""


class UnknownPrediction(VigiaError):
    """A label or metric names a prediction that the store does not hold."""


class DuplicatePrediction(VigiaError):
    """A prediction with this id is stored already; predictions are written once."""


class UnknownDeployment(VigiaError):
    """No deployment of this name or CRN."""


class SchemaConflict(VigiaError):
    """A column has another type than the table that stands."""


def input_column(name: str) -> str:
    """Return the name under which a feature is read back beside the captured columns.

    >>> input_column("distance_miles"), input_column("label")
    ('distance_miles', 'input_label')
    """
    return f"input_{name}" if name in RESERVED_COLUMNS else name


@dataclass(frozen=True, kw_only=True)
class Column:
    """One input of a model, as its MLflow signature declares it."""

    name: str
    kind: Kind
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The inputs of a model and the kind of what it predicts.

    ``output`` is ``"json"`` for a model that answers several values a row.
    """

    columns: tuple[Column, ...]
    output: Kind = "double"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A model version in service under a name; a redeployment is a new one of the same name."""

    name: str
    model_name: str
    model_version: str
    model_uri: str
    model_crn: str
    build_crn: str
    deployment_crn: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that goes wrong in the traffic between two moments (half-open).

    ``strength`` is in 0..1, where 1 is the strongest form that the kind has. Whether it makes the
    model's answers worse is what the ledger says of it, and no part of the incident.
    """

    kind: str
    start: datetime
    end: datetime
    columns: tuple[str, ...] = ()
    strength: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)


Severity = Literal["warning", "critical"]
Action = Literal["investigate", "retrain", "roll back", "quarantine", "dismiss"]


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """When somebody is told, and what to do then: a rule over the measurements table, as data.

    It looks at the lines of ``metric``; an empty ``monitor``, ``feature`` or ``group`` means any.
    With ``low`` or ``high`` a line must lie within these bounds; with neither it must lie within
    the thresholds measured with it, which keep the budget of ``false_alarms_per_year`` for all
    lines together. ``window`` is the length of the windows, as ``"7D"``; ``persistence`` how many
    in a row must be outside before anybody is told; ``minimum`` how many rows each must hold.

    Raises ``ValueError`` naming the field, its value and the rule.
    """

    name: str
    metric: str
    monitor: str = ""
    feature: str = ""
    group: str = ""
    low: float | None = None
    high: float | None = None
    false_alarms_per_year: float | None = None
    window: str = "7D"
    persistence: int = 1
    minimum: int = 1
    severity: Severity = "warning"
    action: Action = "investigate"
    owner: str = ""
    runbook: str = ""

    def __post_init__(self) -> None:
        if not _RULE_NAME.fullmatch(self.name):
            raise ValueError(f"name={self.name!r}: must be lower-case letters, digits, - and _")
        if not self.metric:
            raise ValueError(f"metric={self.metric!r}: must name a metric")
        bounded = self.low is not None or self.high is not None
        if bounded == (self.false_alarms_per_year is not None):
            raise ValueError(
                f"low={self.low!r}, high={self.high!r}, "
                f"false_alarms_per_year={self.false_alarms_per_year!r}: a rule has bounds or a "
                "budget, and not both"
            )
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low={self.low!r}: must be below high={self.high!r}")
        for name in ("persistence", "minimum"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be at least 1")
        for name, known in (("severity", get_args(Severity)), ("action", get_args(Action))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: must be one of {', '.join(known)}"
                )


_RULE_NAME = re.compile("[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, written once: the ``key`` is its own within its ``stream``."""

    id: int
    stream: str
    key: str
    kind: str
    at: datetime
    body: Mapping[str, Any]


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC: the default clock of a service."""
    return datetime.now(UTC)


def measurements(rows: Iterable[Mapping[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    """Return rows, or a frame of them, as the measurements table: every column, each of its type.

    A row names ``monitor``, ``metric``, ``window_start``, ``window_end`` and ``value``; what else
    it leaves out is missing (``NaN``, ``NaT``, ``""``), and no alarm. Times are in UTC.

    Raises ``ValueError`` for a key that is no column.

    >>> table = measurements([{
    ...     "monitor": "performance", "metric": "mae", "value": 11.9, "n_current": 120,
    ...     "window_start": "2013-04-01", "window_end": "2013-04-08"}])
    >>> print(table.loc[0, "metric"], table.loc[0, "value"], table.loc[0, "alarm"])
    mae 11.9 False
    """
    import pandas as pd

    if not isinstance(rows, pd.DataFrame):
        rows = pd.DataFrame(list(rows))
    unknown = set(rows.columns) - set(MEASUREMENT_COLUMNS)
    if unknown:
        raise ValueError(
            f"rows: {', '.join(sorted(unknown))} is no column of the measurements table "
            f"({', '.join(MEASUREMENT_COLUMNS)})"
        )
    table = rows.reindex(columns=list(MEASUREMENT_COLUMNS)).reset_index(drop=True)
    for name in LINE:
        table[name] = table[name].astype("object").fillna("").astype("str")
    for name in ("window_start", "window_end", "known_as_of"):
        table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
    for name in ("value", "low", "high", "threshold_low", "threshold_high"):
        table[name] = table[name].astype("float64")
    for name in ("n_reference", "n_current"):
        table[name] = table[name].astype("float64").fillna(0).astype("int64")
    table["alarm"] = table["alarm"].eq(True).fillna(False).astype("bool")
    return table
