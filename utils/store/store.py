"""The Model Metrics Store: what each model was asked, what it answered, and what was true."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import pandas as pd
import sqlalchemy as sa

from utils.records import Deployment, Event, Schema, utc_now
from utils.store import (
    activity,
    frames,
    journal,
    measured,
    predictions,
    removal,
    services,
    tables,
    values,
)
from utils.store.activity import Activity
from utils.store.engines import Backend, StoreUnavailable, backend
from utils.store.labels import history as label_history
from utils.store.labels import write as write_labels
from utils.store.metrics import read as read_metrics
from utils.store.migrations import migrate
from utils.store.services import Layout
from utils.store.tables import Service


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
    were ever deployed under it. ``append``, ``write_predictions``, ``read``, ``schema`` and
    ``deployment`` also take the CRN of one.

    Whatever fails because of the database, and not of what it was given, raises
    ``StoreUnavailable``; what was being written is then not in the store, or all of it is, where
    a connection broke at the very commit: ``find`` tells which.
    """

    def __init__(self, url: str, backend: Backend):
        self.url = url
        self._backend = backend
        self._layouts: dict[int, Layout] = {}

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

        >>> from utils.store.example import example_store
        >>> from dataclasses import replace
        >>> from utils.store.example import DEPLOYMENT, SCHEMA
        >>> again = replace(DEPLOYMENT, model_version="2", deployment_crn="crn:deployment:2")
        >>> with example_store() as store:
        ...     store.add_deployment(again, SCHEMA)
        ...     store.deployment("flights").model_version
        '2'
        """
        services.check_schema(schema)
        with self._backend.writing() as connection:
            self._backend.lock(connection, 0)
            services.add_deployment(connection, deployment, schema)

    def deployments(self) -> pd.DataFrame:
        """Return one row for each deployment, newest first, with the fields of ``Deployment``.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.deployments()["deployment_crn"].tolist()
        ['crn:deployment:1']
        """
        columns = services.DEPLOYMENTS.selected_columns
        statement = services.DEPLOYMENTS.order_by(tables.deployment.c.id.desc()).with_only_columns(
            *(columns[name] for name in services.DEPLOYMENT_COLUMNS)
        )
        with self._backend.reading() as connection:
            return frames.frame(connection, statement, services.DEPLOYMENT_COLUMNS)

    def deployment(self, name_or_crn: str) -> Deployment:
        """Return the newest deployment of a name, or the one with a CRN.

        Raises ``UnknownDeployment``, naming the nearest.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.deployment("flight")
        Traceback (most recent call last):
        utils.records.UnknownDeployment: no deployment is called 'flight'; the nearest is 'flights'
        """
        with self._backend.reading() as connection:
            return services.as_deployment(services.find_deployment(connection, name_or_crn))

    def schema(self, deployment: str) -> Schema:
        """Return what a deployment, the newest of its name, takes and answers.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.schema("flights").names
        ('distance_miles', 'carrier')
        """
        with self._backend.reading() as connection:
            return services.as_schema(services.find_deployment(connection, deployment))

    # Predictions

    def append(self, deployment: str, rows: Sequence[tuple]) -> None:
        """Store predictions: when this returns they are on disk, all of them; else none is.

        A row holds ``PREDICTION_COLUMNS`` in order, then the inputs in the order of the schema.
        ``event_time`` is an aware datetime, or microseconds since 1970 in UTC. The rows belong to
        the deployment, the newest of its name.

        Raises ``DuplicatePrediction`` for an id that is stored already or comes twice, and
        ``ValueError`` naming the column, the row and the value that the table cannot hold.

        >>> from utils.store.example import example_store
        >>> noon = datetime.fromisoformat("2013-04-02T12:00Z")
        >>> row = ("c", noon, "1", "tower", 1.8, 7.5, None, 733.0, "AA")
        >>> with example_store() as store:
        ...     store.append("flights", [row])
        ...     len(store.read("flights"))
        3
        """
        self._insert(
            deployment,
            lambda layout: predictions.columns_of_rows(layout, rows),
            ids=lambda: [row[0] for row in rows],
        )

    def append_apart(self, rows: Mapping[str, Sequence[tuple]], *, names: Collection[str]) -> None:
        """Store predictions of several deployments, all or none, each id under one name alone.

        ``rows`` are those of ``append``, by deployment. ``names`` are under which none of their ids
        may be stored yet: so a request that comes again is not stored a second time, whichever of
        them answers it now. Who writes to the same names meanwhile waits for this.

        Raises as ``append`` does.

        >>> from dataclasses import replace
        >>> from utils.store.example import DEPLOYMENT, SCHEMA, example_store
        >>> canary = replace(DEPLOYMENT, name="flights-canary", deployment_crn="crn:deployment:2")
        >>> noon = datetime.fromisoformat("2013-04-02T12:00Z")
        >>> c, d = ((id, noon, "1", "tower", 1.8, 7.5, None, 733.0, "AA") for id in "cd")
        >>> with example_store() as store:
        ...     store.add_deployment(canary, SCHEMA)
        ...     names = ["flights", "flights-canary"]
        ...     store.append_apart({"flights": [c], "flights-canary": [d]}, names=names)
        ...     [store.count(name) for name in names]
        [3, 1]
        """
        ids = [row[0] for part in rows.values() for row in part]
        services: dict[int, Service] = {}
        try:
            with self._backend.writing() as connection:
                layouts = {each: self._layout(connection, each) for each in [*names, *rows]}
                services = {each.service.id: each.service for each in layouts.values()}
                for number in sorted(services):
                    self._backend.lock(connection, number)
                for deployment, part in rows.items():
                    own = layouts[deployment]
                    self._need_nowhere_else(connection, services, own, [row[0] for row in part])
                    columns = predictions.columns_of_rows(own, part)
                    predictions.insert(self._backend, connection, own, columns)
        except sa.exc.IntegrityError as error:
            with self._backend.reading() as connection:
                raise predictions.duplicates(
                    self._backend, connection, list(services.values()), ids
                ) from error

    def _need_nowhere_else(
        self,
        connection: sa.Connection,
        services: Mapping[int, Service],
        own: Layout,
        ids: Sequence[str],
    ) -> None:
        others = [each for number, each in services.items() if number != own.service.id]
        if any(predictions.numbers(self._backend, connection, each, ids) for each in others):
            raise predictions.duplicates(self._backend, connection, others, ids)

    def write_predictions(self, deployment: str, frame: pd.DataFrame) -> int:
        """Store a frame of predictions, all or none, and return how many they are.

        Columns are named as ``read`` names them. ``model_version``, ``client``, ``latency_ms``,
        ``score`` and inputs that the model does not require may be left out, and are missing.

        Raises as ``append`` does, and ``ValueError`` for a column that is missing or unknown.

        >>> from utils.store.example import example_store
        >>> from utils.store.example import PREDICTIONS
        >>> with example_store() as store:
        ...     store.write_predictions("flights", PREDICTIONS.assign(prediction_id=["c", "d"]))
        2
        """
        frame = frame.reset_index(drop=True)
        return self._insert(
            deployment,
            lambda layout: predictions.columns_of_frame(layout, frame),
            ids=lambda: frame["prediction_id"].to_list(),
        )

    def _insert(
        self,
        deployment: str,
        columns: Callable[[Layout], Iterable[dict[str, list]]],
        *,
        ids: Callable[[], list[str]],
    ) -> int:
        try:
            with self._backend.writing() as connection:
                layout = self._layout(connection, deployment)
                return predictions.insert(self._backend, connection, layout, columns(layout))
        except sa.exc.IntegrityError as error:
            with self._backend.reading() as connection:
                raise predictions.duplicates(
                    self._backend, connection, [layout.service], ids()
                ) from error

    def _layout(self, connection: sa.Connection, deployment: str) -> Layout:
        found = services.find_deployment(connection, deployment)
        if found.id not in self._layouts:
            self._layouts[found.id] = services.load_layout(connection, found)
        return self._layouts[found.id]

    def find(self, deployment: str, prediction_ids: Sequence[str]) -> pd.DataFrame:
        """Return the stored predictions with these ids, in the order asked, without labels.

        An id that is not stored has no row, and that is no error.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.find("flights", ["b", "nobody", "a"])["prediction"].tolist()
        [-3.0, 12.5]
        """
        ids = values.encode("prediction_ids", "id", prediction_ids)
        with self._backend.reading() as connection:
            found = services.find_deployment(connection, deployment)
            service = services.load_service(connection, found.service)
            columns = frames.stored_columns(service)
            statement = sa.select(*(column for column, _ in columns.values())).where(
                self._backend.is_one_of(service.predictions.c.prediction_id, ids)
            )
            frame = frames.frame(connection, statement, frames.kinds_of(columns))
        place = {id: at for at, id in enumerate(ids)}
        return frame.sort_values("prediction_id", key=lambda id: id.map(place), ignore_index=True)

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

        >>> from utils.store.example import example_store
        >>> one = datetime.fromisoformat("2013-04-01T13:00Z")
        >>> with example_store() as store:
        ...     store.read("flights", end=one, columns=["prediction_id", "carrier"])
          prediction_id carrier
        0             a      UA
        """
        bounds = {
            name: values.encode_one(name, "datetime", moment)
            for name, moment in (("start", start), ("end", end), ("known_as_of", known_as_of))
        }
        with self._backend.reading() as connection:
            found = services.find_deployment(connection, deployment)
            service = services.load_service(connection, found.service)
            chosen = frames.choose(frames.offered_columns(service), columns)
            statement = frames.window(service, chosen, bounds)
            if deployment == found.deployment_crn:
                statement = statement.where(service.predictions.c.deployment == found.id)
            return frames.frame(connection, statement, frames.kinds_of(chosen))

    # Labels

    def write_labels(
        self, labels: pd.DataFrame, *, deployment: str | Sequence[str] | None = None
    ) -> dict[str, int]:
        """Store labels, all or none, and say how many were new, revised or repeated.

        ``labels`` has the columns ``prediction_id``, ``label`` and ``known_at``, in any order of
        arrival. A label equal to the one in force at its ``known_at`` is repeated, and ignored; any
        other is kept, as the first of its prediction (new) or as one more revision (revised). In
        force at a moment is the label with the largest ``known_at`` not after it; of two with the
        same ``known_at``, the one written last.

        A repeated label leaves no trace: a different one that comes later, with a ``known_at``
        before the repetition's, is in force after it.

        ``deployment`` names where the predictions are; several names may be given.

        Raises ``UnknownPrediction`` naming the ids that the store, or the ``deployment``, lacks,
        and ``ValueError`` for a label of the wrong kind, or an id that two deployments have when
        not one alone is named.

        >>> from utils.store.example import example_store
        >>> landed = pd.to_datetime(["2013-04-01T15Z"])
        >>> labels = pd.DataFrame({"prediction_id": ["a"], "label": [20.0], "known_at": landed})
        >>> with example_store() as store:
        ...     store.write_labels(labels), store.write_labels(labels)
        ({'new': 1, 'revised': 0, 'repeated': 0}, {'new': 0, 'revised': 0, 'repeated': 1})
        """
        with self._backend.writing() as connection:
            names = (
                [deployment] if deployment is None or isinstance(deployment, str) else deployment
            )
            found = [each for name in names for each in services.services_called(connection, name)]
            chosen = sorted(found, key=lambda each: each.id)
            counts = write_labels(self._backend, connection, chosen, labels)
        return {outcome: counts[outcome] for outcome in ("new", "revised", "repeated")}

    def labels(self, deployment: str) -> pd.DataFrame:
        """Return every label ever stored: prediction_id, label, known_at, revision.

        Revisions count from 1 in the order of writing, which need not be that of ``known_at``.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.labels("flights").columns.tolist()
        ['prediction_id', 'label', 'known_at', 'revision']
        """
        with self._backend.reading() as connection:
            [service] = services.services_called(connection, deployment)
            kinds = {
                "prediction_id": "string",
                "label": service.output,
                "known_at": "datetime",
                "revision": "long",
            }
            return frames.frame(connection, label_history(service), kinds)

    # Metrics

    def track(
        self, prediction_id: str, metrics: Mapping[str, Any], *, known_at: datetime | None = None
    ) -> None:
        """Add metrics to a prediction; what was tracked before stays.

        ``metrics`` is anything that JSON holds; a ``NaN`` becomes ``null``. ``known_at`` is now,
        unless given.

        Raises ``UnknownPrediction``, and ``ValueError`` for an id that two deployments have.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.track("a", {"explained": True})
        ...     store.metrics(prediction_id="a")[0]["metrics"]
        {'explained': True}
        """
        id = values.encode_required("prediction_id", "id", prediction_id)
        row = {
            "known_at": values.encode_one("known_at", "datetime", known_at or utc_now()),
            "metrics": values.encode_required("metrics", "json", dict(metrics)),
        }
        with self._backend.writing() as connection:
            everywhere = services.services_called(connection, None)
            owners = predictions.owners(self._backend, connection, everywhere, [id])
            service, number = owners[id]
            self._backend.lock(connection, service.id)
            connection.execute(
                sa.insert(tables.metric).values(service=service.id, prediction=number, **row)
            )

    def track_aggregate(
        self, deployment_crn: str, metrics: Mapping[str, Any], start: datetime, end: datetime
    ) -> None:
        """Add metrics of a deployment over a window of time.

        Raises ``UnknownDeployment``, and ``ValueError`` for a window that ends before it starts.

        >>> from utils.store.example import example_store
        >>> start, end = (datetime.fromisoformat(f"2013-04-0{day}T00Z") for day in (1, 8))
        >>> with example_store() as store:
        ...     store.track_aggregate("crn:deployment:1", {"mae": 13.6}, start, end)
        ...     store.metrics()[-1]["metrics"]
        {'mae': 13.6}
        """
        row = {
            "start_time": values.encode_required("start", "datetime", start),
            "end_time": values.encode_required("end", "datetime", end),
            "metrics": values.encode_required("metrics", "json", dict(metrics)),
        }
        if row["end_time"] < row["start_time"]:
            raise ValueError(f"end={end}: is before start={start}")
        with self._backend.writing() as connection:
            found = services.find_deployment(connection, deployment_crn)
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

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     [(one["prediction_id"], one["metrics"]) for one in store.metrics()]
        [('a', {}), ('b', {})]
        """
        crns = {
            "deployment_crn": deployment_crn,
            "build_crn": build_crn,
            "model_crn": model_crn,
        }
        with self._backend.reading() as connection:
            return read_metrics(
                connection,
                crns={name: crn for name, crn in crns.items() if crn is not None},
                start=values.encode_one("start", "datetime", start),
                end=values.encode_one("end", "datetime", end),
                prediction_id=prediction_id,
            )

    # What monitors measured

    def write_measurements(self, deployment: str, table: pd.DataFrame) -> int:
        """Keep what monitors measured of a deployment, and return how many rows they are.

        ``table`` is the measurements table. A row takes the place of the same line in the same
        window as of the same ``known_as_of``, so a run that is done again writes nothing twice; as
        of another moment it stands beside it.

        Raises ``UnknownDeployment``, and ``ValueError`` for two rows of one line.

        >>> from utils.store.example import example_store
        >>> row = {"monitor": "performance", "metric": "mae", "value": 11.9,
        ...        "window_start": "2013-04-01", "window_end": "2013-04-08"}
        >>> with example_store() as store:
        ...     written = store.write_measurements("flights", pd.DataFrame([row]))
        ...     store.measurements("flights")["value"].tolist()
        [11.9]
        """
        with self._backend.writing() as connection:
            [service] = services.services_called(connection, deployment)
            return measured.write(self._backend, connection, service, table)

    def measurements(
        self,
        deployment: str,
        *,
        monitor: str | None = None,
        metric: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        latest: bool = True,
    ) -> pd.DataFrame:
        """Return what was measured of a deployment in windows that start in ``start <= t < end``.

        With ``latest``, of each line and window what is known as of the latest moment alone.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     len(store.measurements("flights", metric="mae"))
        0
        """
        with self._backend.reading() as connection:
            [service] = services.services_called(connection, deployment)
            return measured.read(
                connection,
                service,
                monitor=monitor,
                metric=metric,
                start=values.encode_one("start", "datetime", start),
                end=values.encode_one("end", "datetime", end),
                latest=latest,
            )

    # What a live page asks

    def activity(self, deployment: str, *, after: int = 0, limit: int = 10_000) -> Activity:
        """Return the newest predictions that were stored after an id, at most ``limit`` of them.

        It takes as long as there are new ones, however many are stored, except for ``after=0``,
        which counts them all.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     seen = store.activity("flights", limit=1)
        ...     later = store.activity("flights", after=seen.last_id)
        ...     seen.n_new, seen.predictions, later.n_new
        (2, (-3.0,), 0)
        """
        with self._backend.reading() as connection:
            [service] = services.services_called(connection, deployment)
            return activity.newest(connection, service, after=after, limit=limit)

    def count(self, deployment: str) -> int:
        """Return how many predictions are stored; it reads the whole of an index.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.count("flights")
        2
        """
        with self._backend.reading() as connection:
            [service] = services.services_called(connection, deployment)
            return activity.count(connection, service)

    def last_measurement(self, deployment: str) -> int:
        """Return the number of the newest measurement, which grows as more come; 0 for none.

        One that only takes the place of the newest may take its number too.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.last_measurement("flights")
        0
        """
        with self._backend.reading() as connection:
            [service] = services.services_called(connection, deployment)
            return activity.last_measurement(connection, service)

    def window_starts(self, deployment: str, *, newest: int) -> list[datetime]:
        """Return when the newest windows that were measured start, oldest first.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.window_starts("flights", newest=8)
        []
        """
        with self._backend.reading() as connection:
            [service] = services.services_called(connection, deployment)
            return activity.window_starts(connection, service, newest=newest)

    # What happened, and who may act

    def record(
        self, stream: str, key: str, *, kind: str, at: datetime, body: Mapping[str, Any]
    ) -> bool:
        """Write an event unless its stream has one of this key; return whether it is new.

        So nothing happens twice that asks first. ``body`` is anything that JSON holds.

        >>> from utils.store.example import NOON, example_store
        >>> with example_store() as store:
        ...     [store.record("run/1", "monitor", kind="done", at=NOON, body={}) for _ in "ab"]
        [True, False]
        """
        row = {
            "stream": values.encode_required("stream", "string", stream),
            "key": values.encode_required("key", "string", key),
            "kind": values.encode_required("kind", "string", kind),
            "at": values.encode_required("at", "datetime", at),
            "body": values.encode_required("body", "json", dict(body)),
        }
        with self._backend.writing() as connection:
            return journal.record(self._backend, connection, row)

    def events(self, stream: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Return the events of a stream, in the order of their writing, with an id above ``after``.

        >>> from utils.store.example import NOON, example_store
        >>> with example_store() as store:
        ...     new = store.record("run/1", "monitor", kind="done", at=NOON, body={"n": 2})
        ...     [(each.key, each.body) for each in store.events("run/1")]
        [('monitor', {'n': 2})]
        """
        with self._backend.reading() as connection:
            return journal.events(connection, stream, after=after, limit=limit)

    def streams(self, prefix: str = "") -> list[str]:
        """Return the names of the streams that begin with a prefix, in order.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.streams("run/")
        []
        """
        with self._backend.reading() as connection:
            return journal.streams(connection, prefix)

    def take_lease(self, name: str, *, holder: str, now: datetime, seconds: float) -> bool:
        """Take or renew a lease, and return whether ``holder`` has it for so many seconds.

        One that ran out before ``now`` is anybody's. The clock is the caller's: two whose clocks
        differ by more than a lease's length may both hold it.

        Raises ``ValueError`` for a lease that ends before it begins.

        >>> from utils.store.example import NOON, example_store
        >>> with example_store() as store:
        ...     [store.take_lease("loop", holder=each, now=NOON, seconds=60) for each in "aba"]
        [True, False, True]
        """
        if not seconds > 0:
            raise ValueError(f"seconds={seconds!r}: must be above 0")
        moment = values.encode_required("now", "datetime", now)
        with self._backend.writing() as connection:
            return journal.take_lease(
                self._backend,
                connection,
                name=values.encode_required("name", "string", name),
                holder=values.encode_required("holder", "string", holder),
                now=moment,
                until=moment + round(seconds * 1e6),
            )

    def lease_holder(self, name: str) -> str | None:
        """Return who took a lease last and did not give it back, though it may have run out.

        >>> from utils.store.example import NOON, example_store
        >>> with example_store() as store:
        ...     before = store.lease_holder("loop")
        ...     held = store.take_lease("loop", holder="a", now=NOON, seconds=60)
        ...     before, store.lease_holder("loop")
        (None, 'a')
        """
        with self._backend.reading() as connection:
            return journal.lease_holder(connection, name)

    def release_lease(self, name: str, *, holder: str) -> None:
        """Give a lease back; one that somebody else holds stays theirs.

        >>> from utils.store.example import NOON, example_store
        >>> with example_store() as store:
        ...     held = store.take_lease("loop", holder="a", now=NOON, seconds=60)
        ...     store.release_lease("loop", holder="a")
        ...     store.take_lease("loop", holder="b", now=NOON, seconds=60)
        True
        """
        with self._backend.writing() as connection:
            journal.release_lease(self._backend, connection, name=name, holder=holder)

    # Access keys

    def add_key(self, deployment: str, key_hash: str, *, client: str) -> None:
        """Let the holder of a key call a deployment; the key itself is never stored.

        The same hash again changes only its client.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.add_key("flights", "5f2b", client="tower")
        ...     store.keys("flights")
        [('5f2b', 'tower')]
        """
        row = {
            "key_hash": values.encode_required("key_hash", "string", key_hash),
            "client": values.encode_required("client", "string", client),
        }
        with self._backend.writing() as connection:
            self._backend.lock(connection, 0)
            [service] = services.services_called(connection, deployment)
            key = tables.access_key
            connection.execute(_this_key(sa.delete(key), service.id, key_hash))
            connection.execute(sa.insert(key).values(service=service.id, **row))

    def keys(self, deployment: str) -> list[tuple[str, str]]:
        """Return the hashes of the keys that open a deployment, each with its client.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.keys("flights")
        []
        """
        with self._backend.reading() as connection:
            [service] = services.services_called(connection, deployment)
            key = tables.access_key
            rows = connection.execute(
                sa.select(key.c.key_hash, key.c.client)
                .where(key.c.service == service.id)
                .order_by(key.c.client, key.c.key_hash)
            )
            return [tuple(row) for row in rows]

    def revoke_key(self, deployment: str, key_hash: str) -> None:
        """Let a key open nothing any more.

        Raises ``ValueError`` for a hash that the deployment does not have.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.revoke_key("flights", "5f2b")
        Traceback (most recent call last):
        ValueError: key_hash='5f2b': opens nothing of 'flights'
        """
        with self._backend.writing() as connection:
            [service] = services.services_called(connection, deployment)
            revoked = connection.execute(
                _this_key(sa.delete(tables.access_key), service.id, key_hash)
            )
            if not revoked.rowcount:
                raise ValueError(f"key_hash={key_hash!r}: opens nothing of {deployment!r}")

    # Retention and erasure

    def retain(self, deployment: str, *, before: datetime, reason: str) -> int:
        """Drop the predictions whose event time is before a moment; return how many they were.

        Their labels and tracked metrics go with them; aggregates stay. The audit says why.

        >>> from utils.store.example import example_store
        >>> one = datetime.fromisoformat("2013-04-01T13:00Z")
        >>> with example_store() as store:
        ...     store.retain("flights", before=one, reason="kept for an hour")
        1
        """
        moment = values.encode_required("before", "datetime", before)
        said = removal.check_reason(reason)
        with self._backend.writing() as connection:
            [service] = services.services_called(connection, deployment)
            self._backend.lock(connection, service.id)
            older = service.predictions.c.event_time < moment
            counts = removal.remove(connection, service, older)
            removal.write_audit(
                connection,
                action="retain",
                service=service,
                reason=said,
                done_at=utc_now(),
                counts=counts,
                before_time=moment,
            )
        return counts["predictions"]

    def erase(self, deployment: str, *, column: str, value: Any, reason: str) -> int:
        """Erase the predictions of one subject; return how many they were.

        The subject is who has ``value`` in ``column``: ``client``, or an input by the name under
        which ``read`` gives it. Labels and tracked metrics go too, and with a client its access
        keys. The files are then rewritten, so that nothing of the rows is left in them; this takes
        as long as copying the store, and other users wait. What lies in backups, and in the log of
        a PostgreSQL server, is theirs to remove. The audit keeps the counts, the reason and a hash
        of the value; ``erasures`` finds it again.

        Raises ``ValueError`` for a column that names no subject or a reason that tells the value,
        and ``StoreUnavailable`` when the rows are erased but the files are in use.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.erase("flights", column="client", value="tower", reason="asked on 2 April")
        ...     store.read("flights")["client"].tolist()
        1
        ['gate']
        """
        with self._backend.writing() as connection:
            [service] = services.services_called(connection, deployment)
            stored, subject = removal.subject(service, column, value)
            said = removal.check_reason(reason, without=value)
            self._backend.lock(connection, service.id)
            counts = removal.remove(connection, service, stored == subject)
            if column == "client":
                removal.forget_client(connection, service, subject)
            removal.write_audit(
                connection,
                action="erase",
                service=service,
                reason=said,
                done_at=utc_now(),
                counts=counts,
                erased_column=column,
                value_sha256=removal.digest(connection, service, column, subject),
            )
        own = (service.predictions, service.labels, tables.metric, tables.access_key)
        try:
            self._backend.rewrite(own)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{error}. The rows are erased, but the files could not be rewritten and may "
                "still hold what was in them: erase again when nobody else uses the store"
            ) from error
        return counts["predictions"]

    def audit(self) -> pd.DataFrame:
        """Return what was removed, oldest first, with the columns ``removal.AUDIT_COLUMNS``.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     len(store.audit())
        0
        """
        with self._backend.reading() as connection:
            return frames.frame(connection, removal.AUDIT, removal.AUDIT_COLUMNS)

    def erasures(self, deployment: str, *, column: str, value: Any) -> pd.DataFrame:
        """Return the rows of the audit that tell of the erasure of this very value.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     store.erase("flights", column="client", value="tower", reason="asked on 2 April")
        ...     store.erasures("flights", column="client", value="tower")["reason"].tolist()
        1
        ['asked on 2 April']
        """
        with self._backend.writing() as connection:
            [service] = services.services_called(connection, deployment)
            _, subject = removal.subject(service, column, value)
            digest = removal.digest(connection, service, column, subject)
            matching = removal.AUDIT.where(tables.audit.c.value_sha256 == digest)
            return frames.frame(connection, matching, removal.AUDIT_COLUMNS)


def _this_key(statement: sa.Delete, service_id: int, key_hash: str) -> sa.Delete:
    key = tables.access_key
    return statement.where(key.c.service == service_id, key.c.key_hash == key_hash)
