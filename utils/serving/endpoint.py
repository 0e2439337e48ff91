"""The endpoint of a deployment, in process: validate, score, commit, answer.

A prediction is answered after it is in the store, never before. Several requests may be scored
and committed together (``Endpoint.answer``); each is then answered for itself, and one that the
model or the store cannot take does not hurt its neighbours.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from utils.records import (
    LABEL_COLUMNS,
    Deployment,
    DuplicatePrediction,
    UnknownPrediction,
    input_column,
    utc_now,
)
from utils.serving.contract import Refused, Rows, bad_request, plain_values
from utils.serving.ids import prediction_ids, uuid7
from utils.serving.parsing import record_rows
from utils.serving.rules import Broken, shown
from utils.store import Store, StoreUnavailable

if TYPE_CHECKING:
    from utils.serving.guard import DiskGuard
    from utils.serving.models import Scorer

MAX_ROWS = 10_000
"""Rows of one request, at most."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOT_AWARE = "event_time: must be aware datetimes, in UTC or with an offset"
_LABEL_KEYS = ", ".join(LABEL_COLUMNS)

__all__ = ["Answer", "Endpoint", "Refused", "Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Valid rows to predict, each with its id and its event time (µs since 1970, UTC).

    ``started`` is ``None`` where nobody waits for the answer: then there is no latency to store.
    """

    rows: Rows
    prediction_ids: Sequence[str]
    event_times: Sequence[int]
    params: Mapping[str, Any]
    client: str
    started: float | None

    @property
    def fits(self) -> tuple[Any, ...]:
        """What two requests must have in common to be scored as one frame."""
        return (*self.rows.columns, json.dumps(self.params, sort_keys=True, default=str))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a request gets: one id and one prediction a row.

    ``scores`` are probabilities of the positive class, or ``None`` where the model has none.
    ``captured`` says whether it is in the store. ``made_by`` names, where the answer was made in
    this process, the deployment that made each prediction.
    """

    prediction_ids: Sequence[str]
    predictions: Sequence[Any]
    scores: Sequence[float | None] | None = None
    captured: bool = True
    made_by: Sequence[Deployment] = ()


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What models answered to the rows of a frame, a prediction a row, and who answered each."""

    predictions: Sequence[Any]
    scores: Sequence[float | None] | None
    made_by: Sequence[Deployment]


class Endpoint:
    """A model in service under a deployment of a store.

    ``capture=False`` answers without storing, so nothing can be monitored, and a retry is scored
    anew. With a ``guard`` that is so while the disk has no room. ``clock`` says what time it is for
    predictions that come without a time of their own. Safe to share between threads.
    """

    def __init__(
        self,
        scorer: Scorer,
        store: Store,
        deployment: Deployment,
        *,
        clock: Callable[[], datetime] = utc_now,
        capture: bool = True,
        guard: DiskGuard | None = None,
        max_rows: int = MAX_ROWS,
    ) -> None:
        if max_rows < 1:
            raise ValueError(f"max_rows={max_rows}: must be at least 1")
        self.scorer = scorer
        self.contract = scorer.contract
        self.store = store
        self.deployment = deployment
        self.capture = capture
        self.guard = guard
        self.max_rows = max_rows
        self._clock = clock
        self._one_at_a_time = threading.Lock()

    @property
    def in_service(self) -> tuple[Deployment, ...]:
        """What answers now: one deployment, or several among which requests are split."""
        return (self.deployment,)

    def predict(
        self,
        frame: pd.DataFrame,
        *,
        event_time: datetime | Sequence[datetime] | None = None,
        client: str = "",
        prediction_ids: Sequence[str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Predict the rows of a DataFrame and store what was asked and answered.

        ``event_time`` is one aware datetime for all rows, or one a row; it is now, unless given.
        ``prediction_ids`` makes a repetition safe: a row whose id is stored with equal inputs
        gets the stored answer, and is not stored again.

        Raises ``Refused``, and nothing of the request is stored: 400 for rows that the model's
        signature does not allow or the model cannot score, 409 for ids stored with other inputs,
        413 for too many rows, 503 for a store that cannot be written.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint:
        ...     endpoint.predict(FLIGHTS).predictions
        ...     endpoint.store.read("flights")["carrier"].tolist()
        [10.0, -15.0]
        ['UA', 'B6']
        """
        started = time.perf_counter()
        request = self.request(
            self.contract.rows_of(frame),
            params=self.contract.parameters(params),
            event_time=event_time,
            client=client,
            ids=prediction_ids,
            started=started,
        )
        return self.answered(request)

    def call(
        self, record: Mapping[str, Any], *, client: str = "", key: uuid.UUID | None = None
    ) -> dict[str, Any]:
        """Predict one record and return ``{"prediction": …, "uuid": …}``, as CML does.

        >>> from utils.serving.example import example_endpoint
        >>> with example_endpoint() as endpoint:
        ...     endpoint.call({"departure_delay_min": 20, "carrier": "UA"})["prediction"]
        10.0
        """
        started = time.perf_counter()
        request = self.request(
            record_rows(record, self.contract),
            params=self.contract.parameters(None),
            client=client,
            key=key,
            started=started,
        )
        answer = self.answered(request)
        return {"prediction": answer.predictions[0], "uuid": answer.prediction_ids[0]}

    def request(
        self,
        rows: Rows,
        *,
        params: Mapping[str, Any],
        started: float | None,
        client: str = "",
        event_time: datetime | Sequence[datetime] | None = None,
        key: uuid.UUID | None = None,
        ids: Sequence[str] | None = None,
    ) -> Request:
        """Return checked rows as a request: each row has an id and a time from here on.

        The ids are those given, or count up from ``key``, or from a new one. ``started`` is what
        ``time.perf_counter`` said when the request came; ``None`` where nobody waits.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint:
        ...     rows = endpoint.contract.rows_of(FLIGHTS)
        ...     endpoint.request(rows, params={}, started=0.0, ids=["a", "b"]).event_times
        [1364817600000000, 1364817600000000]
        """
        if rows.count > self.max_rows:
            raise Refused(
                413,
                "REQUEST_TOO_LARGE",
                f"{rows.count} rows are too many: a request has at most {self.max_rows}",
            )
        if ids is None:
            ids = prediction_ids(key or uuid7(), rows.count)
        if len(ids) != rows.count:
            raise bad_request(f"prediction_ids: {len(ids)} for {rows.count} rows")
        return Request(
            rows=rows,
            prediction_ids=list(ids),
            event_times=_microseconds(
                self._clock() if event_time is None else event_time, rows.count
            ),
            params=params,
            client=client,
            started=started,
        )

    def answered(self, request: Request) -> Answer:
        """Return the answer to one request, or raise its refusal.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint:
        ...     rows = endpoint.contract.rows_of(FLIGHTS)
        ...     request = endpoint.request(rows, params={}, started=0.0)
        ...     endpoint.answered(request).predictions
        [10.0, -15.0]
        """
        (outcome,) = self.answer([request])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def answer(self, batch: Sequence[Request]) -> list[Answer | Refused]:
        """Score several requests and commit them together; return an outcome for each.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint:
        ...     rows = [endpoint.contract.rows_of(FLIGHTS.iloc[[at]]) for at in (0, 1)]
        ...     batch = [endpoint.request(each, params={}, started=0.0) for each in rows]
        ...     [outcome.predictions for outcome in endpoint.answer(batch)]
        [[10.0], [-15.0]]
        """
        outcomes: dict[int, Answer | Refused] = {}
        with self._one_at_a_time:
            for together in _groups(batch):
                requests = [batch[at] for at in together]
                outcomes.update(zip(together, self._outcomes(requests), strict=True))
        return [outcomes[at] for at in range(len(batch))]

    def score(self, request: Request) -> Answer:
        """Return the answer to a request without storing it: nobody may hear it yet.

        With ``commit`` it is ``answered`` in two steps, for work that is stored only when all of
        it can be answered. Raises ``Refused`` for rows that the model cannot score.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint:
        ...     rows = endpoint.contract.rows_of(FLIGHTS)
        ...     request = endpoint.request(rows, params={}, started=None)
        ...     answer = endpoint.score(request)
        ...     len(endpoint.store.read("flights")), endpoint.commit(request, answer) == answer
        (0, True)
        """
        with self._one_at_a_time:
            (answer,) = self._scored([request])
        return answer

    def commit(self, request: Request, answer: Answer) -> Answer:
        """Store a request with its answer; return what is stored, as ``predict`` does."""
        with self._one_at_a_time:
            (stored,) = self._committed([request], [answer])
        return stored

    def _outcomes(self, requests: Sequence[Request]) -> list[Answer | Refused]:
        """Try the requests together; if one of them spoils it, each alone."""
        try:
            return self._committed(requests, self._scored(requests))
        except Refused as refused:
            if len(requests) == 1 or refused.status == 503:
                return [refused] * len(requests)
        return [outcome for request in requests for outcome in self._outcomes([request])]

    def _scored(self, requests: Sequence[Request]) -> list[Answer]:
        """Return an answer for each request, all scored as one frame."""
        frame = self.contract.frame([request.rows for request in requests])
        scored = self._scored_frame(frame, requests)
        answers, first = [], 0
        for request in requests:
            part = slice(first, first + request.rows.count)
            answers.append(
                Answer(
                    prediction_ids=request.prediction_ids,
                    predictions=scored.predictions[part],
                    scores=None if scored.scores is None else scored.scores[part],
                    made_by=scored.made_by[part],
                )
            )
            first = part.stop
        return answers

    def _scored_frame(self, frame: pd.DataFrame, requests: Sequence[Request]) -> Scored:
        """Return what is answered to the rows of requests, which are those of the frame."""
        return self._scored_by(self.scorer, self.deployment, frame, requests[0].params)

    def _scored_by(
        self,
        scorer: Scorer,
        deployment: Deployment,
        frame: pd.DataFrame,
        params: Mapping[str, Any],
    ) -> Scored:
        """Return what one model answers to the rows of a frame."""
        count = len(frame)
        try:
            raw, scores = scorer.predict(frame, params)
        except Exception as error:  # a model is anybody's code, and may raise anything
            said = f"{type(error).__name__}: {str(error)[:500]}"
            raise bad_request(f"the model cannot score this request: {said}") from error
        return Scored(
            predictions=self._checked(_one_a_row(raw, count)),
            scores=None if scores is None else scores.tolist(),
            made_by=[deployment] * count,
        )

    def _checked(self, predictions: list[Any]) -> list[Any]:
        try:
            return [self.contract.output.check(value) for value in predictions]
        except Broken as broken:
            raise _model_fault(f"the model's answer, which {broken}") from None

    def _committed(
        self, requests: Sequence[Request], answers: Sequence[Answer]
    ) -> Sequence[Answer]:
        """Store requests with their answers in one transaction; return what is stored."""
        if not self.capture or not (self.guard is None or self.guard.has_room()):
            return [replace(answer, captured=False) for answer in answers]
        rows = [
            row
            for request, answer in zip(requests, answers, strict=True)
            for row in self._captured(request, answer)
        ]
        try:
            self._append(rows, [each for answer in answers for each in answer.made_by])
            return answers
        except DuplicatePrediction as duplicate:
            if len(requests) > 1:
                raise _conflict(str(duplicate)) from None
        return [self._repeated(requests[0], answers[0], rows)]

    def _append(self, rows: Sequence[tuple], made_by: Sequence[Deployment]) -> None:
        try:
            self._write(rows, made_by)
        except StoreUnavailable as error:
            raise unavailable(f"the prediction was not captured: {error}") from error
        except ValueError as error:
            raise bad_request(f"the store does not take these rows: {error}") from error

    def _write(self, rows: Sequence[tuple], made_by: Sequence[Deployment]) -> None:
        """Store rows, each of the deployment that made it: here there is but one."""
        self.store.append(self.deployment.deployment_crn, rows)

    def _captured(self, request: Request, answer: Answer) -> Iterable[tuple]:
        """Yield the rows of a request as ``Store.append`` takes them."""
        columns, ids = request.rows.columns, request.prediction_ids
        started = request.started
        latency_ms = None if started is None else (time.perf_counter() - started) * 1_000
        return zip(
            ids,
            request.event_times,
            (by.model_version for _, by in zip(ids, answer.made_by, strict=True)),
            repeat(request.client),
            repeat(latency_ms),
            self.contract.output.stored(answer.predictions),
            answer.scores if answer.scores is not None else repeat(None),
            *(
                each.stored(columns[each.name]) if each.name in columns else repeat(None)
                for each in self.contract.fields
            ),
            strict=False,
        )

    def _repeated(self, request: Request, answer: Answer, rows: Sequence[tuple]) -> Answer:
        """Answer a request of which rows are stored already: those from the store, if equal."""
        ids = request.prediction_ids
        if len(set(ids)) < len(ids):
            raise bad_request("prediction_ids: each row needs an id of its own")
        found = self._find(ids)
        stored = {id: at for at, id in enumerate(found["prediction_id"])}
        inputs = list(zip(*self._inputs(found), strict=True))
        for id, row in zip(ids, rows, strict=True):
            if id in stored and inputs[stored[id]] != row[-len(self.contract.fields) :]:
                raise _conflict(f"prediction_id {id} is stored with other inputs")
        try:
            if new := [at for at, id in enumerate(ids) if id not in stored]:
                self._append([rows[at] for at in new], [answer.made_by[at] for at in new])
        except DuplicatePrediction:
            raise unavailable("the same request is being answered elsewhere") from None
        predictions = self.contract.output.restored(found["prediction"])
        scores = plain_values(found["score"])
        return replace(
            answer,
            predictions=[
                predictions[stored[id]] if id in stored else fresh
                for id, fresh in zip(ids, answer.predictions, strict=True)
            ],
            scores=answer.scores
            and [
                scores[stored[id]] if id in stored else fresh
                for id, fresh in zip(ids, answer.scores, strict=True)
            ],
        )

    def _find(self, ids: Sequence[str]) -> pd.DataFrame:
        try:
            return self._stored(ids)
        except StoreUnavailable as error:
            raise unavailable(f"the store cannot be read: {error}") from error

    def _stored(self, ids: Sequence[str]) -> pd.DataFrame:
        return self.store.find(self.deployment.name, ids)

    def _inputs(self, found: pd.DataFrame) -> list[list[Any]]:
        return [
            each.stored(each.restored(found[input_column(each.name)]))
            for each in self.contract.fields
        ]

    def ground_truth(self, labels: pd.DataFrame | Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Store labels, all or none; return how many were new, revised and repeated.

        A label names its ``prediction_id``, and may say when it became known (``known_at``, aware);
        that is now, unless given. A label has the kind of the model's prediction.

        Raises ``Refused``: 400 for a label that breaks a rule, 404 for a prediction that the
        deployment does not have, 413 for too many labels, 503 for a store that cannot be written.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint:
        ...     first, second = endpoint.predict(FLIGHTS).prediction_ids
        ...     endpoint.ground_truth([{"prediction_id": first, "label": 12.0}])
        {'new': 1, 'revised': 0, 'repeated': 0}
        """
        frame = self._labels(labels)
        try:
            return self.store.write_labels(frame, deployment=self._names())
        except UnknownPrediction as error:
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", str(error)) from error
        except StoreUnavailable as error:
            raise unavailable(f"the labels were not stored: {error}") from error
        except ValueError as error:
            raise bad_request(f"labels: {error}") from error

    def _names(self) -> Sequence[str]:
        """Return the names under which its predictions are stored."""
        return [self.deployment.name]

    def _labels(self, labels: pd.DataFrame | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        if len(labels) > self.max_rows:
            raise Refused(
                413,
                "REQUEST_TOO_LARGE",
                f"{len(labels)} labels are too many: a request has at most {self.max_rows}",
            )
        if not len(labels):
            raise bad_request("labels: there is none")
        if isinstance(labels, pd.DataFrame):
            if self._are_whole(labels):
                return labels[list(LABEL_COLUMNS)]
            columns = [plain_values(labels[name]) for name in labels]
            labels = [dict(zip(labels, row, strict=True)) for row in zip(*columns, strict=True)]
        now = self._clock()
        rows = [self._label(at, given, now) for at, given in enumerate(labels)]
        return pd.DataFrame(rows, columns=list(LABEL_COLUMNS))

    def _are_whole(self, labels: pd.DataFrame) -> bool:
        """Tell at a glance whether a frame of labels is one that no rule is broken by."""
        return (
            set(labels) == set(LABEL_COLUMNS)
            and labels["prediction_id"].dtype == "str"
            and isinstance(labels["known_at"].dtype, pd.DatetimeTZDtype)
            and not labels.isna().any(axis=None)
            and self.contract.output.whole(labels["label"]) is not None
        )

    def _label(self, at: int, given: Any, now: datetime) -> tuple[str, Any, datetime]:
        if not isinstance(given, Mapping):
            raise bad_request(f"labels: row {at} must be an object of {_LABEL_KEYS}")
        for name in ("prediction_id", "label"):
            if given.get(name) is None:
                raise bad_request(f"labels: {name} is missing in row {at}")
        for name in given:
            if name not in LABEL_COLUMNS:
                raise bad_request(f"labels: {shown(name)} in row {at} is none of {_LABEL_KEYS}")
        if not isinstance(given["prediction_id"], str):
            raise bad_request(f"labels: prediction_id in row {at} must be a text")
        try:
            (label,) = self.contract.output.stored([self.contract.output.check(given["label"])])
        except Broken as broken:
            raise bad_request(f"labels: label in row {at} {broken}") from None
        known_at = given.get("known_at")
        return given["prediction_id"], label, now if known_at is None else _moment(known_at, at)


def unavailable(message: str) -> Refused:
    """Return the refusal of what may work a moment later.

    >>> unavailable("the disk is full").status
    503
    """
    return Refused(503, "TEMPORARILY_UNAVAILABLE", message)


def _conflict(message: str) -> Refused:
    return Refused(409, "RESOURCE_CONFLICT", message)


def _model_fault(message: str) -> Refused:
    return Refused(500, "INTERNAL_ERROR", f"nothing can be answered or stored: {message}")


def _moment(value: Any, row: int) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise bad_request(
            f"labels: known_at in row {row} must be a time as in ISO 8601 with its offset from UTC"
        )
    return value


def _microseconds(event_time: datetime | Sequence[datetime], count: int) -> list[int]:
    """Return event times as µs since 1970, one a row."""
    if isinstance(event_time, datetime):
        if event_time.tzinfo is None or event_time != event_time:
            raise bad_request(_NOT_AWARE)
        return [(event_time - _EPOCH) // _MICROSECOND] * count
    try:
        times = pd.DatetimeIndex(event_time)
    except (TypeError, ValueError) as error:
        raise bad_request(f"{_NOT_AWARE} ({error})") from error
    if times.tz is None or times.hasnans:
        raise bad_request(_NOT_AWARE)
    if len(times) != count:
        raise bad_request(f"event_time: {len(times)} times for {count} rows")
    return times.as_unit("us").asi8.tolist()


def _groups(batch: Sequence[Request]) -> Iterable[list[int]]:
    """Return the positions of the requests that can be scored as one frame, group by group."""
    groups: dict[tuple, list[int]] = {}
    for at, request in enumerate(batch):
        groups.setdefault(request.fits, []).append(at)
    return groups.values()


def _one_a_row(raw: Any, count: int) -> list[Any]:
    """Return what a model answered as one plain value, list or object for each row."""
    if isinstance(raw, pd.DataFrame) and raw.shape[1] > 1:
        names = [str(name) for name in raw]
        columns = [plain_values(raw.iloc[:, at]) for at in range(len(names))]
        values = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    elif isinstance(raw, (pd.DataFrame, pd.Series, np.ndarray, list, tuple)):
        array = np.asarray(raw, dtype="object" if isinstance(raw, (list, tuple)) else None)
        values = _plain_items(np.atleast_1d(array[:, 0] if array.shape[1:] == (1,) else array))
    else:
        raise _model_fault(f"the model answered a {type(raw).__name__}, not one value a row")
    if len(values) != count:
        raise _model_fault(f"the model answered {len(values)} values for {count} rows")
    return values


def _plain_items(array: np.ndarray) -> list[Any]:
    """Return an array as lists of plain values, with ``None`` for a missing one."""
    if array.ndim > 1:
        return [_plain_items(each) for each in array]
    if array.dtype.kind in "biufU":
        return [None if value != value else value for value in array.tolist()]
    return plain_values(pd.Series(array))
