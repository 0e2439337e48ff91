"""The Model Metrics Store: what each model was asked, what it answered, and what was true."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Self

import pandas as pd
import sqlalchemy as sa

from utils.records import (
    LABEL_COLUMNS,
    PREDICTION_COLUMNS,
    Column,
    Deployment,
    DuplicatePrediction,
    Kind,
    Schema,
    SchemaConflict,
    UnknownDeployment,
    UnknownPrediction,
    utc_now,
)
from utils.store import tables, values
from utils.store.engines import Backend, backend
from utils.store.migrations import migrate
from utils.store.tables import Feature, Service, make_service

ROWS_A_SLICE = 20_000
"""Rows encoded at a time by a bulk load: bounds its memory, not its transaction."""

ROWS_A_BATCH = 1_000
"""Rows fetched at a time: few enough to stay in the processor's cache, which doubles the rate."""

MOST_INPUTS = 1_500
"""Inputs of one model; a table of PostgreSQL has at most 1,600 columns."""

OPTIONAL = ("model_version", "client", "latency_ms", "score")
"""Captured columns that a bulk load may leave out."""

_CAPTURE_KINDS: dict[str, str] = {
    "prediction_id": "id",
    "event_time": "moment",
    "model_version": "string",
    "client": "string",
    "latency_ms": "double",
    "score": "double",
}
_DEPLOYMENT_COLUMNS = (
    "name",
    "model_name",
    "model_version",
    "model_uri",
    "model_crn",
    "build_crn",
    "deployment_crn",
    "created_at",
)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the rows of one deployment are written: immutable, so it is looked up once."""

    deployment_id: int
    service: Service
    schema: Schema
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    db_columns: tuple[str, ...]


def open_store(url: str) -> Store:
    """Open the store at a URL, making it, or bringing an older one up to date, where needed.

    ``sqlite:///PATH`` is a file, ``sqlite://`` lives in memory until it is closed, and
    ``postgresql://USER:PASSWORD@HOST/DATABASE`` is a PostgreSQL database.

    Raises ``ValueError`` for a URL of no store, and ``StoreUnavailable`` for a store that cannot
    be reached, is damaged or was written by a newer version.

    >>> with open_store("sqlite://") as store:
    ...     len(store.deployments())
    0
    """
    opened = backend(url)
    try:
        migrate(opened)
    except BaseException:
        opened.close()
        raise
    return Store(url, opened)


class Store:
    """Deployments, predictions, labels and metrics in one database; made by ``open_store``.

    Safe to share between threads. A ``deployment`` is given by its name, which stands for all that
    were deployed under it; ``append``, ``write_predictions``, ``read``, ``schema`` and
    ``deployment`` also take the CRN of one.
    """

    def __init__(self, url: str, backend: Backend):
        self.url = url
        self._backend = backend
        self._layouts: dict[int, _Layout] = {}

    def __repr__(self) -> str:
        return f"<Store {self._backend.shown}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections; closing twice is harmless."""
        self._backend.close()

    # Deployments

    def add_deployment(self, deployment: Deployment, schema: Schema) -> None:
        """Record a deployment, and make or widen the table of its name.

        The same deployment again changes nothing. Inputs that the table lacks are added to it, and
        are missing in the rows before; inputs that this model does not take stay.

        Raises ``SchemaConflict`` for an input, or the prediction, of another kind than the table
        has, and ``ValueError`` for names that cannot stand beside each other or a CRN that is
        taken.
        """
        _check_names(schema)
        row = {
            name: values.encode_one(name, "string", getattr(deployment, name))
            for name in _DEPLOYMENT_COLUMNS[:-1]
        }
        row["created_at"] = values.encode_one("created_at", "datetime", deployment.created_at)
        row["inputs"] = json.dumps([asdict(column) for column in schema.columns])
        name = row.pop("name")
        with self._backend.writing() as connection:
            self._backend.lock(connection, 0)
            known = connection.execute(
                _deployments().where(
                    tables.deployment.c.deployment_crn == deployment.deployment_crn
                )
            ).one_or_none()
            if known is not None:
                if (known.name, known.output) != (name, schema.output) or any(
                    getattr(known, column) != value for column, value in row.items()
                ):
                    raise ValueError(
                        f"deployment_crn={deployment.deployment_crn!r} is taken by another "
                        f"deployment, of {known.name!r}"
                    )
                return
            service_id = self._standing_service(connection, name, schema)
            connection.execute(sa.insert(tables.deployment).values(service=service_id, **row))

    def _standing_service(self, connection: sa.Connection, name: str, schema: Schema) -> int:
        """Return the id of a service whose tables have a place for all that the schema names."""
        found = connection.execute(
            sa.select(tables.service).where(tables.service.c.name == name)
        ).one_or_none()
        if found is None:
            made = sa.insert(tables.service).values(name=name, output=schema.output)
            service_id = connection.scalar(made.returning(tables.service.c.id))
            features = _name_features(connection, service_id, 0, schema.columns)
            service = make_service(
                id=service_id, name=name, output=schema.output, features=features
            )
            service.predictions.create(connection)
            service.labels.create(connection)
            return service_id
        service = _load_service(connection, found.id)
        if service.output != schema.output:
            raise SchemaConflict(
                f"prediction of {name!r}: the model answers {schema.output} and the table holds "
                f"{service.output}; deploy it under another name"
            )
        standing = {feature.name: feature.kind for feature in service.features}
        for column in schema.columns:
            if standing.get(column.name, column.kind) != column.kind:
                raise SchemaConflict(
                    f"column {column.name!r} of {name!r}: the model takes {column.kind} and the "
                    f"table holds {standing[column.name]}; deploy it under another name"
                )
        new = [column for column in schema.columns if column.name not in standing]
        _check_names(Schema(columns=(*_as_columns(service.features), *new)))
        quoted = connection.dialect.identifier_preparer
        for feature in _name_features(connection, service.id, len(standing), new):
            kind = tables.TYPES[feature.kind]().compile(connection.dialect)
            connection.exec_driver_sql(
                f"ALTER TABLE {quoted.format_table(service.predictions)} "
                f"ADD COLUMN {quoted.quote(feature.db_column)} {kind}"
            )
        return service.id

    def deployments(self) -> pd.DataFrame:
        """Return one row for each deployment, newest first, with the fields of ``Deployment``."""
        statement = _deployments().order_by(tables.deployment.c.id.desc())
        columns = [(name, "string") for name in _DEPLOYMENT_COLUMNS[:-1]]
        columns.append(("created_at", "datetime"))
        with self._backend.reading() as connection:
            return _frame(
                connection,
                statement.with_only_columns(
                    *(statement.selected_columns[name] for name in _DEPLOYMENT_COLUMNS)
                ),
                columns,
            )

    def deployment(self, name_or_crn: str) -> Deployment:
        """Return the newest deployment of a name, or the one with a CRN.

        Raises ``UnknownDeployment``, naming the nearest.
        """
        with self._backend.reading() as connection:
            row = _find_deployment(connection, name_or_crn)
        fields = {name: getattr(row, name) for name in _DEPLOYMENT_COLUMNS[:-1]}
        return Deployment(**fields, created_at=_as_datetime(row.created_at))

    def schema(self, deployment: str) -> Schema:
        """Return what the newest deployment of a name takes and answers."""
        with self._backend.reading() as connection:
            return _schema(_find_deployment(connection, deployment))

    # Predictions

    def append(self, deployment: str, rows: Sequence[tuple]) -> None:
        """Store predictions: when this returns they are on disk, all of them; else none is.

        A row holds ``PREDICTION_COLUMNS`` in order, then the inputs in the order of the schema.
        ``event_time`` is an aware datetime, or microseconds since 1970 in UTC. The rows belong to
        the newest deployment of the name.

        Raises ``DuplicatePrediction`` for an id that is stored already or comes twice, and
        ``ValueError`` naming the column, the row and the value that the table cannot hold.
        """

        def columns(layout: _Layout) -> Iterator[dict[str, list]]:
            for at, row in enumerate(rows):
                if len(row) != len(layout.names):
                    raise ValueError(
                        f"rows: row {at} has {len(row)} values; {deployment!r} takes "
                        f"{len(layout.names)}: {', '.join(layout.names)}"
                    )
            by_column = zip(*rows, strict=True)
            yield {
                db_column: values.encode(name, kind, column)
                for name, kind, db_column, column in zip(
                    layout.names, layout.kinds, layout.db_columns, by_column, strict=True
                )
            }

        if rows:
            self._insert(deployment, columns, lambda: [row[0] for row in rows])

    def write_predictions(self, deployment: str, frame: pd.DataFrame) -> int:
        """Store a frame of predictions, all or none, and return how many they are.

        Columns are named as ``read`` names them. ``OPTIONAL`` ones and inputs that the model does
        not require may be left out, and are missing.

        Raises as ``append`` does, and ``ValueError`` for a column that is missing or unknown.
        """

        def columns(layout: _Layout) -> Iterator[dict[str, list]]:
            _check_columns(deployment, layout, frame)
            for first in range(0, len(frame), ROWS_A_SLICE):
                part = frame.iloc[first : first + ROWS_A_SLICE]
                yield {
                    db_column: values.encode_column(name, kind, part[name], first_row=first)
                    for name, kind, db_column in zip(
                        layout.names, layout.kinds, layout.db_columns, strict=True
                    )
                    if name in part
                }

        self._insert(deployment, columns, lambda: frame["prediction_id"].to_list())
        return len(frame)

    def _insert(self, deployment: str, columns: Any, ids: Any) -> None:
        """Insert what ``columns(layout)`` yields in one transaction."""
        try:
            with self._backend.writing() as connection:
                layout = self._layout(connection, deployment)
                for part in columns(layout):
                    count = len(part["prediction_id"])
                    part["deployment"] = [layout.deployment_id] * count
                    self._backend.insert(connection, layout.service.predictions, part)
        except sa.exc.IntegrityError as error:
            raise self._duplicates(layout.service, ids()) from error

    def _duplicates(self, service: Service, ids: Sequence[str]) -> DuplicatePrediction:
        seen: set[str] = set()
        twice = {id for id in ids if id in seen or seen.add(id)}
        with self._backend.reading() as connection:
            stored = [
                id for part in _slices(ids) for id in self._numbers(connection, service, part)
            ]
        said = []
        if stored:
            said.append(f"stored already: {_some(stored)}")
        if twice:
            said.append(f"more than once in these rows: {_some(twice)}")
        return DuplicatePrediction(
            f"{service.name!r}: prediction_id {'; '.join(said)}; predictions are written once, "
            "and nothing of these rows was stored"
        )

    def _layout(self, connection: sa.Connection, deployment: str) -> _Layout:
        found = (
            connection.execute(_deployment_id(deployment)).scalar()
            or _find_deployment(connection, deployment).id
        )
        if found not in self._layouts:
            self._layouts[found] = _make_layout(connection, found)
        return self._layouts[found]

    def _numbers(
        self, connection: sa.Connection, service: Service, ids: Sequence[str]
    ) -> dict[str, int]:
        """Return the row numbers of those of the ids that the service has."""
        table = service.predictions
        listed = self._backend.listed(ids)
        rows = connection.execute(
            sa.select(table.c.prediction_id, table.c.id).where(
                table.c.prediction_id.in_(sa.select(listed.c.value))
            )
        )
        return dict(rows.all())

    def find(self, deployment: str, prediction_ids: Sequence[str]) -> pd.DataFrame:
        """Return the stored predictions with these ids, in the order asked, without labels.

        An id that is not stored has no row; ``UnknownPrediction`` is not raised.
        """
        ids = values.encode("prediction_ids", "id", prediction_ids)
        with self._backend.reading() as connection:
            service = _load_service(connection, _find_deployment(connection, deployment).service)
            table, listed = service.predictions, self._backend.listed(ids)
            columns = _capture_columns(service) | _input_columns(service)
            statement = sa.select(*(column for column, _ in columns.values())).where(
                table.c.prediction_id.in_(sa.select(listed.c.value))
            )
            kinds = [(name, kind) for name, (_, kind) in columns.items()]
            frame = _frame(connection, statement, kinds)
        place = {id: at for at, id in enumerate(ids)}
        order = frame["prediction_id"].map(place).astype("int64").argsort()
        return frame.iloc[order].reset_index(drop=True)

    def read(
        self,
        deployment: str,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        known_as_of: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the predictions of a window with the labels known, by event time.

        The window is half-open: ``start <= event_time < end``. ``known_as_of`` shows the store as
        it was known at that moment: predictions up to it, each with the newest label whose
        ``known_at`` is not after it. Without it the newest label counts, even one whose
        ``known_at`` lies in the future.

        Columns are ``PREDICTION_COLUMNS``, then ``label``, ``label_known_at`` and
        ``label_revision``, then every input that the name ever had; an input whose name is taken
        is called as ``records.input_column`` says. ``columns`` chooses among them, and
        ``deployment``, the CRN. The dtypes hang on the kinds alone; see ``values.to_frame``.

        Raises ``UnknownDeployment``, and ``ValueError`` for an unknown column or a naive datetime.
        """
        bounds = {"start": start, "end": end, "known_as_of": known_as_of}
        at = {name: values.encode_one(name, "datetime", bounds[name]) for name in bounds}
        with self._backend.reading() as connection:
            found = _find_deployment(connection, deployment)
            service = _load_service(connection, found.service)
            offered = _offered_columns(service)
            chosen = [name for name in offered if name != "deployment"]
            if columns is not None:
                chosen = _chosen(columns, offered)
            table = service.predictions
            statement = sa.select(*(offered[name][0] for name in chosen)).select_from(
                _joined(service, chosen, at["known_as_of"])
            )
            if at["start"] is not None:
                statement = statement.where(table.c.event_time >= at["start"])
            if at["end"] is not None:
                statement = statement.where(table.c.event_time < at["end"])
            if at["known_as_of"] is not None:
                statement = statement.where(table.c.event_time <= at["known_as_of"])
            if deployment == found.deployment_crn:
                statement = statement.where(table.c.deployment == found.id)
            statement = statement.order_by(table.c.event_time, table.c.id)
            return _frame(connection, statement, [(name, offered[name][1]) for name in chosen])

    # Labels

    def write_labels(
        self, labels: pd.DataFrame, *, deployment: str | None = None
    ) -> dict[str, int]:
        """Store labels, all or none, and say how many were new, revised or repeated.

        ``labels`` has the columns ``prediction_id``, ``label`` and ``known_at``, in any order of
        arrival. A label equal to the one in force at its ``known_at`` is repeated, and ignored; any
        other is kept, as the first of its prediction (new) or as one more revision (revised). In
        force at a moment is the label with the largest ``known_at`` not after it; of two with the
        same ``known_at``, the one written last.

        A repeated label leaves no trace: a different one that comes later with a ``known_at``
        before the repetition's stays in force after it.

        Raises ``UnknownPrediction`` naming the ids that the store, or the ``deployment``, lacks,
        and ``ValueError`` for a label of the wrong kind, or an id that two deployments have when
        none is named.
        """
        if set(labels.columns) != set(LABEL_COLUMNS):
            raise ValueError(
                f"labels: has the columns {', '.join(map(str, labels.columns)) or 'none'}; "
                f"it takes {', '.join(LABEL_COLUMNS)}"
            )
        counts = {"new": 0, "revised": 0, "repeated": 0}
        with self._backend.writing() as connection:
            services = _services(connection, deployment)
            for service in services:
                self._backend.lock(connection, service.id)
            for first in range(0, len(labels), ROWS_A_SLICE):
                part = labels.iloc[first : first + ROWS_A_SLICE]
                for service, numbers, rows in self._located(connection, services, part, first):
                    self._add_labels(connection, service, numbers, rows, first, counts)
        return counts

    def _located(
        self, connection: sa.Connection, services: Sequence[Service], part: pd.DataFrame, first: int
    ) -> Iterator[tuple[Service, list[int], pd.DataFrame]]:
        """Yield, for each service, the labels that are for it and its numbers for them."""
        ids = values.encode_column("prediction_id", "id", part["prediction_id"], first_row=first)
        where = self._owners(connection, services, ids)
        for service in services:
            mine = [where[id][0] is service for id in ids]
            if any(mine):
                numbers = [where[id][1] for id in ids if where[id][0] is service]
                yield service, numbers, part[mine]

    def _owners(
        self, connection: sa.Connection, services: Sequence[Service], ids: Sequence[str]
    ) -> dict[str, tuple[Service, int]]:
        """Return the service and the number of each prediction.

        Raises ``UnknownPrediction``, and ``ValueError`` for an id that two services have.
        """
        where: dict[str, tuple[Service, int]] = {}
        for service in services:
            for id, number in self._numbers(connection, service, ids).items():
                if id in where:
                    raise ValueError(
                        f"prediction_id {id!r} is one of {where[id][0].name!r} and one of "
                        f"{service.name!r}: name the deployment"
                    )
                where[id] = (service, number)
        unknown = [id for id in dict.fromkeys(ids) if id not in where]
        if unknown:
            raise UnknownPrediction(
                f"no prediction has the id {_some(unknown)}; nothing was stored"
            )
        return where

    def _add_labels(
        self,
        connection: sa.Connection,
        service: Service,
        numbers: list[int],
        part: pd.DataFrame,
        first: int,
        counts: dict[str, int],
    ) -> None:
        labels = values.encode_column("label", service.output, part["label"], first_row=first)
        known_ats = values.encode_column("known_at", "datetime", part["known_at"], first_row=first)
        for name, column in (("label", labels), ("known_at", known_ats)):
            if None in column:
                raise ValueError(f"{name}: row {first + column.index(None)}: is missing")
        histories = self._histories(connection, service, part["prediction_id"].to_list())
        added: list[tuple] = []
        for number, label, known_at in zip(numbers, labels, known_ats, strict=True):
            history = histories.setdefault(number, [])
            before = [known for known in history if known[0] <= known_at]
            if before and max(before)[2] == label:
                counts["repeated"] += 1
                continue
            counts["revised" if history else "new"] += 1
            history.append((known_at, len(history) + 1, label))
            added.append((number, *history[-1]))
        if added:
            names = ("prediction", "known_at", "revision", "label")
            columns = dict(zip(names, zip(*added, strict=True), strict=True))
            self._backend.insert(connection, service.labels, columns)

    def _histories(
        self, connection: sa.Connection, service: Service, ids: Sequence[str]
    ) -> dict[int, list[tuple]]:
        """Return, by prediction number, the labels stored: (known_at, revision, label)."""
        table, label, listed = service.predictions, service.labels, self._backend.listed(ids)
        rows = connection.execute(
            sa.select(label.c.prediction, label.c.known_at, label.c.revision, label.c.label)
            .join(table, table.c.id == label.c.prediction)
            .where(table.c.prediction_id.in_(sa.select(listed.c.value)))
        )
        histories: dict[int, list[tuple]] = {}
        for number, *known in rows:
            histories.setdefault(number, []).append(tuple(known))
        return histories

    def labels(self, deployment: str) -> pd.DataFrame:
        """Return every label ever stored: prediction_id, label, known_at, revision.

        Revisions count from 1 in the order of writing, which need not be that of ``known_at``.
        """
        with self._backend.reading() as connection:
            [service] = _services(connection, deployment)
            table, label = service.predictions, service.labels
            statement = (
                sa.select(table.c.prediction_id, label.c.label, label.c.known_at, label.c.revision)
                .join(table, table.c.id == label.c.prediction)
                .order_by(label.c.prediction, label.c.revision)
            )
            kinds = (
                ("prediction_id", "string"),
                ("label", service.output),
                ("known_at", "datetime"),
                ("revision", "long"),
            )
            return _frame(connection, statement, kinds)

    # Metrics

    def track(
        self, prediction_id: str, metrics: Mapping[str, Any], *, known_at: datetime | None = None
    ) -> None:
        """Add metrics to a prediction; what was tracked before stays.

        ``metrics`` is anything that JSON holds. ``known_at`` is now, unless given.

        Raises ``UnknownPrediction``, and ``ValueError`` for an id that two deployments have.
        """
        at = values.encode_one("known_at", "datetime", known_at or utc_now())
        text = values.encode_one("metrics", "json", dict(metrics))
        id = values.encode_one("prediction_id", "id", prediction_id)
        with self._backend.writing() as connection:
            services = _services(connection, None)
            service, number = self._owners(connection, services, [id])[id]
            self._backend.lock(connection, service.id)
            connection.execute(
                sa.insert(tables.metric).values(
                    service=service.id, prediction=number, known_at=at, metrics=text
                )
            )

    def track_aggregate(
        self,
        deployment_crn: str,
        metrics: Mapping[str, Any],
        start: datetime,
        end: datetime,
    ) -> None:
        """Add metrics of a deployment over a window of time.

        Raises ``UnknownDeployment``, and ``ValueError`` for a window that ends before it starts.
        """
        row = {
            "start_time": values.encode_one("start", "datetime", start),
            "end_time": values.encode_one("end", "datetime", end),
            "metrics": values.encode_one("metrics", "json", dict(metrics)),
        }
        if row["end_time"] < row["start_time"]:
            raise ValueError(f"end={end}: is before start={start}")
        with self._backend.writing() as connection:
            found = _find_deployment(connection, deployment_crn)
            connection.execute(sa.insert(tables.aggregate).values(deployment=found.id, **row))

    def metrics(
        self,
        *,
        deployment_crn: str | None = None,
        build_crn: str | None = None,
        model_crn: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        prediction_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return what was tracked: one dict for each prediction of the window, then the aggregates.

        Its keys are ``deployment_crn``, ``build_crn``, ``model_crn``, ``event_time``, ``start``,
        ``end``, ``prediction_id`` and ``metrics``. A prediction's metrics are merged in the order
        of ``known_at``, the later over the earlier, and are ``{}`` where none was tracked; an
        aggregate has the ``prediction_id`` ``""`` and no ``event_time``. ``start <= t < end``,
        where *t* is a prediction's event time or an aggregate's start. No CRN means every
        deployment.

        Raises ``UnknownDeployment`` when CRNs are given and no deployment has them all.
        """
        given = {
            "deployment_crn": deployment_crn,
            "build_crn": build_crn,
            "model_crn": model_crn,
        }
        given = {name: crn for name, crn in given.items() if crn is not None}
        low = values.encode_one("start", "datetime", start)
        high = values.encode_one("end", "datetime", end)
        with self._backend.reading() as connection:
            chosen = _deployments().order_by(tables.deployment.c.id)
            for name, crn in given.items():
                chosen = chosen.where(tables.deployment.c[name] == crn)
            found = {row.id: row for row in connection.execute(chosen)}
            if given and not found:
                said = ", ".join(f"{name}={crn!r}" for name, crn in given.items())
                raise UnknownDeployment(f"no deployment has {said}")
            answers = []
            for service_id in dict.fromkeys(row.service for row in found.values()):
                service = _load_service(connection, service_id)
                answers += _tracked(connection, service, found, low, high, prediction_id)
            if prediction_id is None:
                answers += _aggregates(connection, found, low, high)
        return answers


def _check_names(schema: Schema) -> None:
    """Refuse inputs that could not be told apart, or kept."""
    if len(schema.columns) > MOST_INPUTS:
        raise ValueError(
            f"schema: {len(schema.columns):,} inputs are more than a table holds ({MOST_INPUTS:,})"
        )
    seen: dict[str, str] = {}
    for column in schema.columns:
        values.encode_one(f"schema: input {column.name!r}", "string", column.name)
        read_as = tables.input_column(column.name)
        if read_as in seen:
            raise ValueError(
                f"schema: inputs {seen[read_as]!r} and {column.name!r} would both be read back as "
                f"{read_as!r}: rename one"
            )
        seen[read_as] = column.name
    for kind in (schema.output, *(column.kind for column in schema.columns)):
        if kind not in tables.TYPES:
            raise ValueError(f"schema: {kind!r} is no kind ({', '.join(tables.TYPES)})")


def _name_features(
    connection: sa.Connection, service_id: int, first: int, columns: Iterable[Column]
) -> tuple[Feature, ...]:
    """Give each new input its database column, and write down which is whose."""
    features = tuple(
        Feature(name=column.name, kind=column.kind, db_column=tables.db_column(at, column.name))
        for at, column in enumerate(columns, start=first)
    )
    if features:
        connection.execute(
            sa.insert(tables.feature),
            [
                {"service": service_id, "position": at, **asdict(feature)}
                for at, feature in enumerate(features, start=first)
            ],
        )
    return features


def _as_columns(features: Iterable[Feature]) -> Iterator[Column]:
    return (Column(name=feature.name, kind=feature.kind) for feature in features)


def _load_service(connection: sa.Connection, service_id: int) -> Service:
    row = connection.execute(
        sa.select(tables.service).where(tables.service.c.id == service_id)
    ).one()
    features = connection.execute(
        sa.select(tables.feature)
        .where(tables.feature.c.service == service_id)
        .order_by(tables.feature.c.position)
    )
    return make_service(
        id=row.id,
        name=row.name,
        output=row.output,
        features=tuple(
            Feature(name=feature.name, kind=feature.kind, db_column=feature.db_column)
            for feature in features
        ),
    )


def _services(connection: sa.Connection, deployment: str | None) -> list[Service]:
    """Return the service of that name, or all of them, always in the order of their ids."""
    ids = sa.select(tables.service.c.id).order_by(tables.service.c.id)
    if deployment is not None:
        ids = ids.where(tables.service.c.name == deployment)
    found = connection.scalars(ids).all()
    if deployment is not None and not found:
        raise _unknown_deployment(connection, deployment)
    return [_load_service(connection, service_id) for service_id in found]


def _deployments() -> sa.Select:
    """Select deployments, each with the name and the output of its service."""
    return sa.select(tables.deployment, tables.service.c.name, tables.service.c.output).join(
        tables.service, tables.service.c.id == tables.deployment.c.service
    )


def _named(statement: sa.Select, name_or_crn: str) -> sa.Select:
    return (
        statement.where(
            sa.or_(
                tables.service.c.name == name_or_crn,
                tables.deployment.c.deployment_crn == name_or_crn,
            )
        )
        .order_by(tables.deployment.c.id.desc())
        .limit(1)
    )


def _deployment_id(name_or_crn: str) -> sa.Select:
    chosen = sa.select(tables.deployment.c.id).join(
        tables.service, tables.service.c.id == tables.deployment.c.service
    )
    return _named(chosen, name_or_crn)


def _find_deployment(connection: sa.Connection, name_or_crn: str) -> sa.Row:
    """Return the newest deployment of a name, or the one with a CRN."""
    values.encode_one("deployment", "string", name_or_crn)
    found = connection.execute(_named(_deployments(), name_or_crn)).one_or_none()
    if found is None:
        raise _unknown_deployment(connection, name_or_crn)
    return found


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
        said = f"the store has {_some(sorted({row.name for row in known}))}"
    else:
        said = "the store has none yet"
    return UnknownDeployment(f"no deployment is called {wanted!r}; {said}")


def _schema(row: sa.Row) -> Schema:
    columns = tuple(Column(**fields) for fields in json.loads(row.inputs))
    return Schema(columns=columns, output=row.output)


def _make_layout(connection: sa.Connection, deployment_id: int) -> _Layout:
    row = connection.execute(_deployments().where(tables.deployment.c.id == deployment_id)).one()
    service, schema = _load_service(connection, row.service), _schema(row)
    by_name = {feature.name: feature for feature in service.features}
    features = [by_name[name] for name in schema.names]
    capture = _CAPTURE_KINDS | {"prediction": schema.output}
    return _Layout(
        deployment_id=deployment_id,
        service=service,
        schema=schema,
        names=PREDICTION_COLUMNS + tuple(feature.read_as for feature in features),
        kinds=(
            *(capture[name] for name in PREDICTION_COLUMNS),
            *(feature.kind for feature in features),
        ),
        db_columns=PREDICTION_COLUMNS + tuple(feature.db_column for feature in features),
    )


def _check_columns(deployment: str, layout: _Layout, frame: pd.DataFrame) -> None:
    """Refuse a frame that lacks a column, or has one that nobody would store."""
    may_lack = set(OPTIONAL) | {
        tables.input_column(column.name) for column in layout.schema.columns if not column.required
    }
    lacks = [name for name in layout.names if name not in frame and name not in may_lack]
    if lacks:
        raise ValueError(f"frame: lacks {_some(lacks)}, which {deployment!r} needs")
    unknown = [name for name in frame.columns if name not in layout.names]
    if unknown:
        raise ValueError(
            f"frame: {_some(unknown)} is no column of {deployment!r}, which takes "
            f"{', '.join(layout.names)}"
        )
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()]
        raise ValueError(f"frame: has {_some(twice)} more than once")


def _capture_columns(service: Service) -> dict[str, tuple[sa.ColumnElement, Kind]]:
    """Return what is captured of each prediction: the name, with its column and kind."""
    kinds = _CAPTURE_KINDS | {
        "prediction_id": "string",
        "event_time": "datetime",
        "prediction": service.output,
    }
    return {name: (service.predictions.c[name], kinds[name]) for name in PREDICTION_COLUMNS}


def _input_columns(service: Service) -> dict[str, tuple[sa.ColumnElement, Kind]]:
    return {
        feature.read_as: (service.predictions.c[feature.db_column], feature.kind)
        for feature in service.features
    }


def _offered_columns(service: Service) -> dict[str, tuple[sa.ColumnElement, Kind]]:
    """Return what ``read`` offers, in order."""
    label = service.labels
    return {
        **_capture_columns(service),
        "label": (label.c.label, service.output),
        "label_known_at": (label.c.known_at, "datetime"),
        "label_revision": (label.c.revision, "long"),
        **_input_columns(service),
        "deployment": (tables.deployment.c.deployment_crn, "string"),
    }


def _chosen(columns: Sequence[str], offered: Mapping[str, Any]) -> list[str]:
    if isinstance(columns, str):
        raise ValueError(f"columns={columns!r}: give a list of names")
    for name in columns:
        if name not in offered:
            nearest = get_close_matches(str(name), offered, n=1) or sorted(offered)
            raise ValueError(f"columns: {name!r} is no column; the nearest is {nearest[0]!r}")
    return list(columns)


def _joined(service: Service, chosen: Sequence[str], known_as_of: int | None) -> sa.FromClause:
    """Return the predictions, beside the newest label known and the deployment where asked."""
    table, label = service.predictions, service.labels
    joined = table
    if any(name in ("label", "label_known_at", "label_revision") for name in chosen):
        known = label.alias("known")
        newest = (
            sa.select(known.c.revision)
            .where(known.c.prediction == table.c.id)
            .order_by(known.c.known_at.desc(), known.c.revision.desc())
            .limit(1)
        )
        if known_as_of is not None:
            newest = newest.where(known.c.known_at <= known_as_of)
        in_force = newest.correlate(table).scalar_subquery()
        joined = joined.outerjoin(
            label, sa.and_(label.c.prediction == table.c.id, label.c.revision == in_force)
        )
    if "deployment" in chosen:
        joined = joined.join(tables.deployment, tables.deployment.c.id == table.c.deployment)
    return joined


def _tracked(
    connection: sa.Connection,
    service: Service,
    found: Mapping[int, sa.Row],
    low: int | None,
    high: int | None,
    prediction_id: str | None,
) -> list[dict[str, Any]]:
    """Return one dict for each prediction of a service in the window."""
    table = service.predictions
    chosen = [table.c.deployment.in_(list(found))]
    if low is not None:
        chosen.append(table.c.event_time >= low)
    if high is not None:
        chosen.append(table.c.event_time < high)
    if prediction_id is not None:
        chosen.append(table.c.prediction_id == prediction_id)
    answers = {
        row.id: _tracked_as(found[row.deployment], row.event_time, id=row.prediction_id)
        for row in connection.execute(
            sa.select(table.c.id, table.c.deployment, table.c.event_time, table.c.prediction_id)
            .where(*chosen)
            .order_by(table.c.event_time, table.c.id)
        )
    }
    for number, metrics in connection.execute(
        sa.select(tables.metric.c.prediction, tables.metric.c.metrics)
        .join(table, table.c.id == tables.metric.c.prediction)
        .where(tables.metric.c.service == service.id, *chosen)
        .order_by(tables.metric.c.known_at, tables.metric.c.id)
    ):
        answers[number]["metrics"].update(json.loads(metrics))
    return list(answers.values())


def _aggregates(
    connection: sa.Connection, found: Mapping[int, sa.Row], low: int | None, high: int | None
) -> list[dict[str, Any]]:
    table = tables.aggregate
    chosen = sa.select(table).where(table.c.deployment.in_(list(found)))
    if low is not None:
        chosen = chosen.where(table.c.start_time >= low)
    if high is not None:
        chosen = chosen.where(table.c.start_time < high)
    return [
        _tracked_as(found[row.deployment], None, row.start_time, row.end_time, row.metrics)
        for row in connection.execute(chosen.order_by(table.c.start_time, table.c.id))
    ]


def _tracked_as(
    deployment: sa.Row,
    event_time: int | None,
    start: int | None = None,
    end: int | None = None,
    metrics: str = "{}",
    *,
    id: str = "",
) -> dict[str, Any]:
    at = None if event_time is None else _as_datetime(event_time)
    return {
        "deployment_crn": deployment.deployment_crn,
        "build_crn": deployment.build_crn,
        "model_crn": deployment.model_crn,
        "event_time": at,
        "start": at if start is None else _as_datetime(start),
        "end": at if end is None else _as_datetime(end),
        "prediction_id": id,
        "metrics": json.loads(metrics),
    }


def _as_datetime(microseconds: int) -> datetime:
    return values.EPOCH + microseconds * values.MICROSECOND


def _frame(
    connection: sa.Connection, statement: sa.Select, columns: Sequence[tuple[str, Kind]]
) -> pd.DataFrame:
    streamed = connection.execution_options(stream_results=True).execute(statement)
    return values.to_frame(columns, streamed.partitions(ROWS_A_BATCH))


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[first : first + ROWS_A_SLICE] for first in range(0, len(ids), ROWS_A_SLICE))


def _some(names: Iterable[Any]) -> str:
    """Return the first few names, and how many more there are."""
    names = [repr(name) for name in names]
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
