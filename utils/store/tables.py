"""The tables of a store as they stand now; ``migrations`` says how an older store becomes one.

A *service* is what is deployed under a name; all its redeployments share one typed table of
predictions and one of labels. The columns of these two hang on the model, so they are made with
its first deployment. A feature's name may be anything at all; its database column is a safe name
made from it, and ``vigia_feature`` says which is whose.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from utils.records import Kind, input_column

TYPES: dict[str, type[TypeEngine]] = {
    "double": Double,
    "float": Double,
    "long": BigInteger,
    "integer": BigInteger,
    "boolean": Boolean,
    "string": Text,
    "datetime": BigInteger,
    "binary": LargeBinary,
    "json": Text,
}
"""How a kind is stored. Times are microseconds since 1970 in UTC; JSON is text on every engine."""

metadata = MetaData()


def _number() -> Column:
    """Return a primary key that counts up by itself."""
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column("id", kind, Identity(always=True), primary_key=True)


store = Table(
    "vigia_store",
    metadata,
    Column("version", Integer, nullable=False),
    Column("salt", Text),
)

service = Table(
    "vigia_service",
    metadata,
    _number(),
    Column("name", Text, nullable=False, unique=True),
    Column("output", Text, nullable=False),
)

deployment = Table(
    "vigia_deployment",
    metadata,
    _number(),
    Column("service", BigInteger, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_uri", Text, nullable=False),
    Column("model_crn", Text, nullable=False),
    Column("build_crn", Text, nullable=False),
    Column("deployment_crn", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("inputs", Text, nullable=False),
)

feature = Table(
    "vigia_feature",
    metadata,
    Column("service", BigInteger, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("db_column", Text, nullable=False),
    UniqueConstraint("service", "name"),
)

metric = Table(
    "vigia_metric",
    metadata,
    _number(),
    Column("service", BigInteger, nullable=False),
    Column("prediction", BigInteger, nullable=False),
    Column("known_at", BigInteger, nullable=False),
    Column("metrics", Text, nullable=False),
    Index("vigia_metric_of_prediction", "service", "prediction"),
)

aggregate = Table(
    "vigia_aggregate",
    metadata,
    _number(),
    Column("deployment", BigInteger, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger, nullable=False),
    Column("metrics", Text, nullable=False),
    Index("vigia_aggregate_of_deployment", "deployment", "start_time"),
)

access_key = Table(
    "vigia_access_key",
    metadata,
    Column("service", BigInteger, primary_key=True, autoincrement=False),
    Column("key_hash", Text, primary_key=True),
    Column("client", Text, nullable=False),
)

audit = Table(
    "vigia_audit",
    metadata,
    _number(),
    Column("done_at", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("before_time", BigInteger),
    Column("erased_column", Text),
    Column("value_sha256", Text),
    Column("predictions", BigInteger, nullable=False),
    Column("labels", BigInteger, nullable=False),
    Column("metrics", BigInteger, nullable=False),
)


measurement = Table(
    "vigia_measurement",
    metadata,
    _number(),
    Column("service", BigInteger, nullable=False),
    Column("monitor", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("feature", Text, nullable=False),
    Column("group", Text, nullable=False),
    Column("window_start", BigInteger, nullable=False),
    Column("window_end", BigInteger, nullable=False),
    Column("known_as_of", BigInteger, nullable=False),
    *(Column(name, Double) for name in ("value", "low", "high")),
    *(Column(name, Double) for name in ("threshold_low", "threshold_high")),
    Column("alarm", Boolean, nullable=False),
    Column("n_reference", BigInteger, nullable=False),
    Column("n_current", BigInteger, nullable=False),
)

event = Table(
    "vigia_event",
    metadata,
    _number(),
    Column("stream", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("stream", "key"),
)

lease = Table(
    "vigia_lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """An input of a service: its name, its kind, and the database column that holds it."""

    name: str
    kind: Kind
    db_column: str

    @property
    def read_as(self) -> str:
        return input_column(self.name)


def db_column(position: int, name: str) -> str:
    """Return a safe, unique and still legible column name for the feature at a position.

    >>> db_column(3, 'Céu "limpo"; DROP TABLE x')
    'f3_ceu_limpo_drop_table_x'
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"f{position}_{re.sub('[^a-z0-9]+', '_', ascii_name).strip('_')[:40]}".rstrip("_")


@dataclass(frozen=True, kw_only=True)
class Service:
    """What is deployed under a name, with its two tables."""

    id: int
    name: str
    output: Kind
    features: tuple[Feature, ...]
    predictions: Table
    labels: Table


def make_service(*, id: int, name: str, output: Kind, features: tuple[Feature, ...]) -> Service:
    """Return the service with its tables described; this makes nothing in the database."""
    own = MetaData()
    predictions = Table(
        f"vigia_prediction_{id}",
        own,
        _number(),
        Column("prediction_id", Text, nullable=False),
        Column("event_time", BigInteger, nullable=False),
        Column("deployment", BigInteger, nullable=False),
        Column("model_version", Text),
        Column("client", Text),
        Column("latency_ms", Double),
        Column("prediction", TYPES[output]),
        Column("score", Double),
        *(Column(feature.db_column, TYPES[feature.kind]) for feature in features),
        Index(f"vigia_prediction_{id}_id", "prediction_id", unique=True),
        Index(f"vigia_prediction_{id}_time", "event_time"),
    )
    labels = Table(
        f"vigia_label_{id}",
        own,
        Column("prediction", BigInteger, primary_key=True, autoincrement=False),
        Column("known_at", BigInteger, primary_key=True, autoincrement=False),
        Column("revision", Integer, primary_key=True, autoincrement=False),
        Column("label", TYPES[output], nullable=False),
        sqlite_with_rowid=False,
    )
    return Service(
        id=id,
        name=name,
        output=output,
        features=features,
        predictions=predictions,
        labels=labels,
    )
