"""The metrics SDK of Cloudera Machine Learning, over our endpoint and our store.

The names, the arguments and the dictionaries are those of ``cdsw``, so a lab moves here by its
import line alone: ``import cdsw`` becomes ``from utils import sdk as cdsw``.

**In development** (``dev=True``) nothing is deployed: the function under ``model_metrics`` is
called directly, and what it tracks is kept in memory until the session ends.

**Live**, ``call_model`` asks an endpoint, which writes each prediction to a store; the other
functions read that store and add to it. ``VIGIA_ENDPOINT_URL`` and ``VIGIA_STORE_URL`` say where
the two are. Without both, the workspace has them (``VIGIA_WORKSPACE``, else ``./workspace``): its
store, and the model whose access key is given, which answers in process.

**Under ``metrics``** a prediction's row holds what the endpoint captured: ``input_data``, a
dictionary of the inputs; ``prediction``; and ``score``, where the model gives one. Beside them
stands what was tracked, at once or later. In development nothing is captured: the function tracks
its own ``input_data`` and ``prediction``, as the labs do. ``pandas.json_normalize`` makes a column
of each: ``metrics.prediction``, ``metrics.input_data.distance_miles``.

A delayed metric is kept beside its prediction, whatever it is called; a *label*, which monitors
compare with the prediction, goes to the endpoint's ``/ground-truth``.
"""

from __future__ import annotations

import functools
import inspect
import json
import operator
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from utils.records import (
    Deployment,
    UnknownDeployment,
    UnknownPrediction,
    VigiaError,
    input_column,
    utc_now,
)

if TYPE_CHECKING:
    from utils.serving.models import Scorer
    from utils.store import Store

CAPTURED = ("input_data", "prediction", "score")
"""What the endpoint captures; a delayed metric cannot take these names."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class NotConfigured(VigiaError):
    """There is no telling which endpoint, or which store, is meant."""


def model_metrics(predict: Callable) -> Callable:
    """Make a function answer ``{"prediction": …, "uuid": …}``, and keep what it tracks.

    Each call is a prediction of its own, in threads and in coroutines too. A call that raises
    leaves nothing behind. ``read_metrics(dev=True)`` reads what was kept.

    >>> @model_metrics
    ... def predict(args):
    ...     track_metric("input_data", args)
    ...     return args["departure_delay_min"] + 5.0
    >>> predict({"departure_delay_min": 20.0})["prediction"]
    25.0
    """

    @functools.wraps(predict)
    def answer(*args, **kwargs):
        with _one_prediction() as prediction_uuid:
            return {"prediction": predict(*args, **kwargs), "uuid": prediction_uuid}

    @functools.wraps(predict)
    async def answer_later(*args, **kwargs):
        with _one_prediction() as prediction_uuid:
            return {"prediction": await predict(*args, **kwargs), "uuid": prediction_uuid}

    return answer_later if inspect.iscoroutinefunction(predict) else answer


def track_metric(key: str, value: Any) -> None:
    """Keep a value with the prediction that is being made; the same key again replaces it.

    This works inside a function under ``model_metrics`` and in what it awaits; a thread that it
    starts knows nothing of the prediction. The value is kept as JSON, NumPy's included.

    Raises ``ValueError`` outside such a function, for a key that is no text, and for a value that
    JSON cannot hold, such as ``NaN``.

    >>> track_metric("probability", 0.7)
    Traceback (most recent call last):
    ValueError: track_metric: call it inside a function under @model_metrics
    """
    tracked = _tracked.get()
    if tracked is None:
        raise ValueError("track_metric: call it inside a function under @model_metrics")
    tracked.update(_as_json({key: value}))


def call_model(
    model_access_key: str, ipt: Mapping[str, Any], api_key: str | None = None
) -> dict[str, Any]:
    """Ask a deployed model for one prediction: ``{"response": {"prediction": …, "uuid": …}}``.

    ``ipt`` is one record, input by name. ``api_key`` is there for the labs that give it; the
    access key alone says who calls.

    Raises ``NotConfigured``, ``ValueError`` for what is no dictionary, and ``Refused`` for a wrong
    key or a record that the model's signature does not allow.
    """
    if not isinstance(ipt, Mapping):
        raise ValueError(f"ipt={ipt!r}: must be a dictionary, input by name")
    url = _configured("VIGIA_ENDPOINT_URL", beside="VIGIA_STORE_URL")
    if url is None:
        return {"response": _call_in_workspace(model_access_key, ipt)}
    from utils.serving.client import Client

    with Client(url, access_key=model_access_key) as client:
        return {"response": client.call_model(ipt)}


def track_delayed_metrics(
    metrics: Mapping[str, Any], prediction_uuid: str, dev: bool = False
) -> None:
    """Add to a prediction what became known after it; a key again shows the newest value.

    Raises ``UnknownPrediction``, and ``ValueError`` for metrics that are no dictionary of JSON
    values by name, or that take a name of ``CAPTURED``.

    >>> track_delayed_metrics({"final_label": 1}, "no such prediction", dev=True)
    Traceback (most recent call last):
    utils.records.UnknownPrediction: this session made no prediction 'no such prediction'
    """
    metrics = _as_json(metrics)
    taken = [key for key in metrics if key in CAPTURED]
    if taken:
        raise ValueError(f"metrics: {taken[0]!r} is what was captured; give it another name")
    if dev:
        return _session.track(prediction_uuid, metrics)
    _store().track(prediction_uuid, metrics)


def track_aggregate_metrics(
    metrics: Mapping[str, Any],
    start_timestamp_ms: int,
    end_timestamp_ms: int,
    model_deployment_crn: str | None = None,
    dev: bool = False,
) -> None:
    """Add what was measured over a window of time, such as the accuracy of a hundred predictions.

    Without a CRN, the store's only deployment is meant, by its newest redeployment.

    Raises ``UnknownDeployment``, and ``ValueError`` for metrics that are no dictionary of JSON
    values by name, for timestamps that are no integers or out of order, and for a missing CRN
    where the store has several deployments.

    >>> track_aggregate_metrics({"accuracy": 0.9}, 2_000, 1_000, dev=True)
    Traceback (most recent call last):
    ValueError: end_timestamp_ms=1000: is before start_timestamp_ms=2000
    """
    metrics = _as_json(metrics)
    start, end = _window(start_timestamp_ms, end_timestamp_ms)
    if dev:
        return _session.track_aggregate(model_deployment_crn or "", metrics, start, end)
    store = _store()
    store.track_aggregate(model_deployment_crn or _only_deployment(store), metrics, start, end)


def read_metrics(
    model_deployment_crn: str | None = None,
    start_timestamp_ms: int | None = None,
    end_timestamp_ms: int | None = None,
    model_crn: str | None = None,
    model_build_crn: str | None = None,
    dev: bool = False,
    *,
    prediction_uuid: str | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of predictions, in the order of time, and after them the aggregates.

    A row is dated by its start: that of the prediction's event time, or of the window. Rows from
    ``start_timestamp_ms`` (0) to ``end_timestamp_ms`` (now), both included, are returned. A
    prediction ends when it was answered, so end − start is its latency, in whole milliseconds.
    CRNs narrow the choice; without any, every deployment of the store counts. In development
    there is no deployment, and CRNs choose nothing. ``prediction_uuid``, which CML has not, asks
    for one prediction; there is no row when there is none.

    Labels that came by ``/ground-truth`` are not among the metrics.

    Raises ``UnknownDeployment`` when no deployment has the CRNs, and ``ValueError`` for timestamps
    that are no integers or out of order.

    >>> row = read_metrics(prediction_uuid="none", dev=True)
    >>> row
    {'metrics': []}
    """
    start, end = _window(
        0 if start_timestamp_ms is None else start_timestamp_ms,
        _milliseconds(utc_now()) if end_timestamp_ms is None else end_timestamp_ms,
    )
    window = {"start": start, "end": end + _MILLISECOND, "prediction_id": prediction_uuid}
    if dev:
        rows = _session.rows(**window)
    else:
        crns = {
            "deployment_crn": model_deployment_crn,
            "build_crn": model_build_crn,
            "model_crn": model_crn,
        }
        rows = _stored_rows(_store(), crns=crns, **window)
    rows.sort(key=lambda row: (row["predictionUuid"] == "", row["startTimeStampMs"]))
    return {"metrics": rows}


# What goes in, and what comes out


def _as_json(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics as JSON gives them back: a copy, with NumPy's values as plain ones."""
    if not isinstance(metrics, Mapping):
        raise ValueError(f"metrics={metrics!r}: must be a dictionary, name by value")
    plain = {}
    for key, value in metrics.items():
        if not isinstance(key, str) or not key:
            raise ValueError(f"metrics: the name {key!r} must be a text, and not empty")
        try:
            plain[key] = json.loads(json.dumps(value, allow_nan=False, default=_from_numpy))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"metrics[{key!r}]: JSON cannot hold it ({error})") from error
    return plain


def _from_numpy(value: Any) -> Any:
    if not hasattr(value, "tolist"):
        raise TypeError(f"it is a {type(value).__name__}")
    return value.tolist()


def _window(start_timestamp_ms: int, end_timestamp_ms: int) -> tuple[datetime, datetime]:
    start = _moment(start_timestamp_ms, argument="start_timestamp_ms")
    end = _moment(end_timestamp_ms, argument="end_timestamp_ms")
    if end < start:
        raise ValueError(
            f"end_timestamp_ms={end_timestamp_ms}: is before "
            f"start_timestamp_ms={start_timestamp_ms}"
        )
    return start, end


def _moment(timestamp_ms: int, *, argument: str) -> datetime:
    try:
        if isinstance(timestamp_ms, bool):
            raise TypeError
        return _EPOCH + operator.index(timestamp_ms) * _MILLISECOND
    except TypeError:
        raise ValueError(
            f"{argument}={timestamp_ms!r}: must be an integer, milliseconds since 1970"
        ) from None
    except OverflowError:
        raise ValueError(
            f"{argument}={timestamp_ms}: no such year; it counts milliseconds since 1970"
        ) from None


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _row(
    *,
    start: datetime,
    end: datetime,
    metrics: dict[str, Any],
    prediction_id: str = "",
    deployment_crn: str = "",
    build_crn: str = "",
    model_crn: str = "",
) -> dict[str, Any]:
    return {
        "modelDeploymentCrn": deployment_crn,
        "modelBuildCrn": build_crn,
        "modelCrn": model_crn,
        "startTimeStampMs": _milliseconds(start),
        "endTimeStampMs": _milliseconds(end),
        "predictionUuid": prediction_id,
        "metrics": metrics,
    }


# In development: the memory of a session

_tracked: ContextVar[dict[str, Any] | None] = ContextVar("_tracked", default=None)


class _Session:
    """What was tracked since the session began; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._predictions: dict[str, tuple[datetime, datetime, dict[str, Any]]] = {}
        self._aggregates: list[dict[str, Any]] = []

    def add(self, prediction_id: str, start: datetime, end: datetime, metrics: dict) -> None:
        with self._lock:
            self._predictions[prediction_id] = (start, end, metrics)

    def track(self, prediction_id: str, metrics: dict[str, Any]) -> None:
        with self._lock:
            if prediction_id not in self._predictions:
                raise UnknownPrediction(f"this session made no prediction {prediction_id!r}")
            self._predictions[prediction_id][2].update(metrics)

    def track_aggregate(
        self, deployment_crn: str, metrics: dict[str, Any], start: datetime, end: datetime
    ) -> None:
        with self._lock:
            self._aggregates.append(
                {"deployment_crn": deployment_crn, "metrics": metrics, "start": start, "end": end}
            )

    def rows(
        self, *, start: datetime, end: datetime, prediction_id: str | None
    ) -> list[dict[str, Any]]:
        with self._lock:
            found = [
                {"prediction_id": id, "start": began, "end": ended, "metrics": metrics}
                for id, (began, ended, metrics) in self._predictions.items()
            ] + self._aggregates
            return [
                _row(**{**row, "metrics": json.loads(json.dumps(row["metrics"]))})
                for row in found
                if start <= row["start"] < end and prediction_id in (None, row.get("prediction_id"))
            ]


_session = _Session()


@contextmanager
def _one_prediction() -> Iterator[str]:
    """Give a prediction its uuid; keep what is tracked inside, when all went well."""
    prediction_uuid, metrics = str(uuid.uuid4()), {}
    start, began = utc_now(), time.perf_counter()
    token = _tracked.set(metrics)
    try:
        yield prediction_uuid
    finally:
        _tracked.reset(token)
    end = start + timedelta(seconds=time.perf_counter() - began)
    _session.add(prediction_uuid, start, end, metrics)


# Live: the endpoint and the store


def _configured(variable: str, *, beside: str) -> str | None:
    """Return what the variable says; ``None`` when neither is set, and the workspace is meant."""
    value = os.environ.get(variable)
    if not value and os.environ.get(beside):
        raise NotConfigured(
            f"{variable} is not set, and {beside} is: set both, or neither to use the workspace"
        )
    return value or None


class _Kept:
    """The store in use, kept open between calls: opening one costs more than what is asked of it.

    It is another store when the URL is another, or when another file stands at its place.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._which: tuple[Any, ...] | None = None
        self._store: Store | None = None

    def store(self, url: str, file: os.stat_result | None) -> Store:
        from utils.store import open_store

        which = (url, file and (file.st_dev, file.st_ino))
        with self._lock:
            if which != self._which:
                self._close()
                self._store, self._which = open_store(url), which
            return self._store

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
        self._store = self._which = None


_kept = _Kept()


def _store() -> Store:
    """Return the store that is meant; it must be there already."""
    from utils.serving.keys import workspace

    url = _configured("VIGIA_STORE_URL", beside="VIGIA_ENDPOINT_URL")
    found_by = "VIGIA_STORE_URL"
    if url is None:
        url, found_by = f"sqlite:///{(workspace() / 'store.db').as_posix()}", "VIGIA_WORKSPACE"
    _, is_file, path = url.partition("sqlite:///")
    try:
        return _kept.store(url, os.stat(path) if is_file else None)
    except FileNotFoundError:
        raise NotConfigured(
            f"there is no store at {path}: deploy a model first, or correct {found_by}; "
            f"dev=True needs neither"
        ) from None


def _only_deployment(store: Store) -> str:
    """Return the CRN that is meant by none."""
    deployments = store.deployments()
    names = sorted(set(deployments["name"]))
    if not names:
        raise UnknownDeployment("the store has no deployment: deploy a model first")
    if len(names) > 1:
        raise ValueError(
            f"model_deployment_crn: the store has several deployments ({', '.join(names)}); "
            f"give the CRN of one"
        )
    return deployments["deployment_crn"].iloc[0]


def _stored_rows(
    store: Store,
    *,
    crns: Mapping[str, str | None],
    start: datetime,
    end: datetime,
    prediction_id: str | None,
) -> list[dict[str, Any]]:
    tracked = store.metrics(start=start, end=end, prediction_id=prediction_id, **crns)
    captured = {
        crn: _captured(store, crn, start=start, end=end, prediction_id=prediction_id)
        for crn in {found["deployment_crn"] for found in tracked if found["prediction_id"]}
    }
    rows = []
    for found in tracked:
        crn, id = found["deployment_crn"], found["prediction_id"]
        if id and id not in captured[crn]:
            continue  # erased between the two reads
        latency_ms, metrics = captured[crn][id] if id else (0.0, {})
        rows.append(
            _row(
                start=found["start"],
                end=found["end"] + latency_ms * _MILLISECOND,
                metrics=metrics | found["metrics"],
                prediction_id=id,
                **{name: found[name] for name in crns},
            )
        )
    return rows


def _captured(
    store: Store, crn: str, *, start: datetime, end: datetime, prediction_id: str | None
) -> dict[str, tuple[float, dict[str, Any]]]:
    """Return, by prediction, its latency and what the endpoint captured."""
    from utils.serving.contract import plain_values

    names = store.schema(crn).names
    if prediction_id is None:
        columns = ["prediction_id", "latency_ms", "prediction", "score"]
        columns += [input_column(name) for name in names]
        frame = store.read(crn, start=start, end=end, columns=columns)
    else:
        frame = store.find(crn, [prediction_id])
    inputs = zip(*(plain_values(frame[input_column(name)]) for name in names), strict=True)
    parts = (plain_values(frame[name]) for name in ("latency_ms", "prediction", "score"))
    captured = {}
    for id, latency_ms, prediction, score, values in zip(
        frame["prediction_id"], *parts, inputs, strict=True
    ):
        metrics = {"input_data": dict(zip(names, values, strict=True)), "prediction": prediction}
        if score is not None:
            metrics["score"] = score
        captured[id] = (latency_ms or 0.0, metrics)
    return captured


def _call_in_workspace(access_key: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """Answer by the deployment of the workspace that takes the key, without a server."""
    from utils.serving.contract import Refused
    from utils.serving.endpoint import Endpoint
    from utils.serving.keys import hash_key

    store, wanted = _store(), hash_key(access_key)
    clients = {
        name: client
        for name in store.deployments()["name"].unique()
        for known, client in store.keys(name)
        if known == wanted
    }
    if not clients:
        raise Refused(401, "UNAUTHENTICATED", "no deployment of the workspace takes this key")
    if len(clients) > 1:
        raise ValueError(f"model_access_key: several deployments take it ({', '.join(clients)})")
    ((name, client),) = clients.items()
    deployment = store.deployment(name)
    return Endpoint(_scorer(deployment), store, deployment).call(record, client=client)


@functools.lru_cache(maxsize=8)
def _scorer(deployment: Deployment) -> Scorer:
    """Return the model of a deployment, loaded once."""
    from utils.serving.models import load

    return load(deployment.model_uri)
