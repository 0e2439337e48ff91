"""What is deployed: finding it, adding to it, and how its rows are laid out.

The functions take a connection and leave its transaction to whoever gave it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa

from utils.records import (
    PREDICTION_COLUMNS,
    Column,
    Deployment,
    Kind,
    Schema,
    SchemaConflict,
    UnknownDeployment,
)
from utils.store import tables, values
from utils.store.tables import Feature, Service, make_service

MOST_INPUTS = 900
"""Inputs of one model: so many numbers fit in the 8 kB that PostgreSQL gives a row."""

DEPLOYMENT_COLUMNS: dict[str, Kind] = {
    "name": "string",
    "model_name": "string",
    "model_version": "string",
    "model_uri": "string",
    "model_crn": "string",
    "build_crn": "string",
    "deployment_crn": "string",
    "created_at": "datetime",
}
"""The fields of ``Deployment``, with their kinds."""

CAPTURE_KINDS: dict[str, str] = {
    "prediction_id": "id",
    "event_time": "moment",
    "model_version": "string",
    "client": "string",
    "latency_ms": "double",
    "score": "double",
}
"""How each captured column is encoded; ``prediction`` is of the kind that the model answers."""

DEPLOYMENTS = sa.select(tables.deployment, tables.service.c.name, tables.service.c.output).join(
    tables.service, tables.service.c.id == tables.deployment.c.service
)
"""Deployments, each with the name and the output of its service."""

_WANTED = (
    DEPLOYMENTS.where(
        sa.or_(
            tables.service.c.name == sa.bindparam("wanted"),
            tables.deployment.c.deployment_crn == sa.bindparam("wanted"),
        )
    )
    .order_by(tables.deployment.c.id.desc())
    .limit(1)
)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the rows of one deployment are written: immutable, so it is looked up once."""

    deployment_id: int
    service: Service
    schema: Schema
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    db_columns: tuple[str, ...]


def some(names: Iterable[Any]) -> str:
    """Return the first few names, and how many more there are.

    >>> some(range(7))
    '0, 1, 2, 3, 4 and 2 more'
    """
    names = [repr(name) for name in names]
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def find_deployment(connection: sa.Connection, name_or_crn: str) -> sa.Row:
    """Return the newest deployment of a name, or the one with a CRN.

    Raises ``UnknownDeployment``.
    """
    wanted = values.encode_required("deployment", "string", name_or_crn)
    found = connection.execute(_WANTED, {"wanted": wanted}).one_or_none()
    if found is None:
        raise _unknown_deployment(connection, name_or_crn)
    return found


def services_called(connection: sa.Connection, name: str | None) -> list[Service]:
    """Return the service of that name, or all of them, always in the order of their ids.

    Raises ``UnknownDeployment``.
    """
    ids = sa.select(tables.service.c.id).order_by(tables.service.c.id)
    if name is not None:
        ids = ids.where(
            tables.service.c.name == values.encode_required("deployment", "string", name)
        )
    found = connection.scalars(ids).all()
    if name is not None and not found:
        raise _unknown_deployment(connection, name)
    return [load_service(connection, service_id) for service_id in found]


def _unknown_deployment(connection: sa.Connection, wanted: str) -> UnknownDeployment:
    known = connection.execute(
        sa.select(tables.service.c.name, tables.deployment.c.deployment_crn).join(
            tables.deployment, tables.deployment.c.service == tables.service.c.id
        )
    ).all()
    nearest = get_close_matches(str(wanted), {text for row in known for text in row}, n=1)
    if nearest:
        said = f"the nearest is {nearest[0]!r}"
    elif known:
        said = f"the store has {some(sorted({row.name for row in known}))}"
    else:
        said = "the store has none yet"
    return UnknownDeployment(f"no deployment is called {wanted!r}; {said}")


def load_service(connection: sa.Connection, service_id: int) -> Service:
    """Return a service with its tables described as they stand."""
    row = connection.execute(
        sa.select(tables.service).where(tables.service.c.id == service_id)
    ).one()
    features = connection.execute(
        sa.select(tables.feature.c["name", "kind", "db_column"])
        .where(tables.feature.c.service == service_id)
        .order_by(tables.feature.c.position)
    )
    return make_service(
        **row._mapping, features=tuple(Feature(**feature._mapping) for feature in features)
    )


def as_deployment(row: sa.Row) -> Deployment:
    fields = {name: getattr(row, name) for name in DEPLOYMENT_COLUMNS}
    return Deployment(**fields | {"created_at": values.as_datetime(row.created_at)})


def as_schema(row: sa.Row) -> Schema:
    columns = tuple(Column(**fields) for fields in json.loads(row.inputs))
    return Schema(columns=columns, output=row.output)


def load_layout(connection: sa.Connection, deployment: sa.Row) -> Layout:
    """Return how the rows of a deployment are written."""
    service, schema = load_service(connection, deployment.service), as_schema(deployment)
    by_name = {feature.name: feature for feature in service.features}
    features = [by_name[name] for name in schema.names]
    capture = CAPTURE_KINDS | {"prediction": schema.output}
    return Layout(
        deployment_id=deployment.id,
        service=service,
        schema=schema,
        names=PREDICTION_COLUMNS + tuple(feature.read_as for feature in features),
        kinds=(
            *(capture[name] for name in PREDICTION_COLUMNS),
            *(feature.kind for feature in features),
        ),
        db_columns=PREDICTION_COLUMNS + tuple(feature.db_column for feature in features),
    )


def add_deployment(connection: sa.Connection, deployment: Deployment, schema: Schema) -> None:
    """Record a deployment whose schema is checked, and make or widen the table of its name."""
    row = {
        name: values.encode_required(name, kind, getattr(deployment, name))
        for name, kind in DEPLOYMENT_COLUMNS.items()
    } | {
        "inputs": json.dumps([asdict(column) for column in schema.columns]),
        "output": schema.output,
    }
    if not _is_known(connection, row):
        name, output = row.pop("name"), row.pop("output")
        service_id = _service_with_room(
            connection, name, Schema(columns=schema.columns, output=output)
        )
        connection.execute(sa.insert(tables.deployment).values(service=service_id, **row))


def _is_known(connection: sa.Connection, row: Mapping[str, Any]) -> bool:
    """Tell whether this very deployment is recorded already.

    Raises ``ValueError`` where its CRN belongs to another one.
    """
    crn = row["deployment_crn"]
    known = connection.execute(
        DEPLOYMENTS.where(tables.deployment.c.deployment_crn == crn)
    ).one_or_none()
    if known is None:
        return False
    differs = [name for name, value in row.items() if getattr(known, name) != value]
    if differs:
        raise ValueError(
            f"deployment_crn={crn!r} is taken by a deployment of {known.name!r} "
            f"with another {', '.join(differs)}"
        )
    return True


def _service_with_room(connection: sa.Connection, name: str, schema: Schema) -> int:
    """Return the id of the service whose tables have a place for all that the schema names."""
    found = connection.scalar(sa.select(tables.service.c.id).where(tables.service.c.name == name))
    if found is None:
        return _make_service(connection, name, schema)
    service = load_service(connection, found)
    _widen(connection, service, schema)
    return found


def _make_service(connection: sa.Connection, name: str, schema: Schema) -> int:
    made = sa.insert(tables.service).values(name=name, output=schema.output)
    service_id = connection.scalar(made.returning(tables.service.c.id))
    _add_features(connection, service_id, 0, schema.columns)
    service = load_service(connection, service_id)
    service.predictions.create(connection)
    service.labels.create(connection)
    return service_id


def _widen(connection: sa.Connection, service: Service, schema: Schema) -> None:
    """Add the columns that the service's table lacks."""
    if service.output != schema.output:
        raise SchemaConflict(
            f"column 'prediction' of {service.name!r}: the model answers {schema.output} and the "
            f"table holds {service.output}; deploy it under another name"
        )
    standing = {feature.name: feature.kind for feature in service.features}
    for column in schema.columns:
        if standing.get(column.name, column.kind) != column.kind:
            raise SchemaConflict(
                f"column {column.name!r} of {service.name!r}: the model takes {column.kind} and "
                f"the table holds {standing[column.name]}; deploy it under another name"
            )
    new = [column for column in schema.columns if column.name not in standing]
    check_names((*standing, *(column.name for column in new)))
    quoted = connection.dialect.identifier_preparer
    for feature in _add_features(connection, service.id, len(standing), new):
        kind = tables.TYPES[feature.kind]().compile(connection.dialect)
        connection.exec_driver_sql(
            f"ALTER TABLE {quoted.format_table(service.predictions)} "
            f"ADD COLUMN {quoted.quote(feature.db_column)} {kind}"
        )


def _add_features(
    connection: sa.Connection, service_id: int, first: int, columns: Iterable[Column]
) -> list[Feature]:
    """Give each new input its database column, and write down which is whose."""
    features = []
    for position, column in enumerate(columns, start=first):
        feature = Feature(
            name=column.name,
            kind=column.kind,
            db_column=tables.db_column(position, column.name),
        )
        connection.execute(
            sa.insert(tables.feature).values(
                service=service_id, position=position, **asdict(feature)
            )
        )
        features.append(feature)
    return features


def check_schema(schema: Schema) -> None:
    """Refuse a schema whose columns could not be kept, or told apart when read back."""
    for kind in (schema.output, *(column.kind for column in schema.columns)):
        if kind not in tables.TYPES:
            raise ValueError(f"schema: {kind!r} is no kind ({', '.join(tables.TYPES)})")
    check_names(schema.names)


def check_names(names: Iterable[str]) -> None:
    """Refuse inputs that could not stand in one table, or not in one frame.

    >>> check_names(["label", "input_label"])
    Traceback (most recent call last):
    ValueError: schema: inputs 'label' and 'input_label' would both be read back as \
'input_label'; rename one
    """
    names = list(names)
    if len(names) > MOST_INPUTS:
        raise ValueError(
            f"schema: {len(names):,} inputs are more than a row holds ({MOST_INPUTS:,})"
        )
    seen: dict[str, str] = {}
    for name in names:
        values.encode_required("schema: the name of an input", "string", name)
        read_as = tables.input_column(name)
        if read_as in seen:
            raise ValueError(
                f"schema: inputs {seen[read_as]!r} and {name!r} would both be read back as "
                f"{read_as!r}; rename one"
            )
        seen[read_as] = name
