"""A client of an endpoint: the same in process and over HTTP.

A request carries an idempotency key, so that it can be sent again when no answer came: the endpoint
stores each prediction once. It is sent again, after a pause that grows and is partly random, only
where that can help: no connection, no answer in time, and the statuses of ``RETRIED``.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import count
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

import httpx
import numpy as np
import pandas as pd

from utils.records import VigiaError
from utils.serving.contract import Refused, plain_values
from utils.serving.endpoint import Answer, Endpoint
from utils.serving.ids import prediction_ids, uuid7

RETRIED = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may succeed a moment later."""

ROWS_PER_REQUEST = 1_000
"""A longer DataFrame is sent as several requests."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Unreachable(VigiaError):
    """The endpoint gave no answer, though asked as often as allowed."""


class _Transport(Protocol):
    """How requests reach an endpoint; each method raises ``Refused`` or ``Unreachable``."""

    def predict(
        self, frame: pd.DataFrame, key: UUID, event_time: Any, params: Mapping[str, Any] | None
    ) -> Answer: ...

    def call_model(self, request: Mapping[str, Any], key: UUID) -> dict[str, Any]: ...

    def ground_truth(self, labels: pd.DataFrame) -> dict[str, int]: ...

    def close(self) -> None: ...


class Client:
    """Asks an endpoint: an ``Endpoint`` of this process, or the URL of a server.

    ``timeout_s`` bounds the wait for a connection and for an answer, each; ``retries`` is how
    often a request is sent again. Safe to share between threads.

    Raises ``Refused`` with the endpoint's status, code and message; ``Unreachable`` where no
    answer came. After ``Unreachable`` a prediction may be stored or not: ask again with the same
    ``key`` to learn it.
    """

    def __init__(
        self,
        target: str | Endpoint,
        *,
        access_key: str | None = None,
        timeout_s: float = 10.0,
        retries: int = 4,
        rng: np.random.Generator | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if retries < 0:
            raise ValueError(f"retries={retries}: must be at least 0")
        if not timeout_s > 0:
            raise ValueError(f"timeout_s={timeout_s}: must be above 0")
        self._transport: _Transport = (
            _Http(target, access_key=access_key or "", timeout_s=timeout_s)
            if isinstance(target, str)
            else _InProcess(target)
        )
        self._retries = retries
        self._rng = rng or np.random.default_rng()
        self._sleep = sleep

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
        """Give back the connections."""
        self._transport.close()

    def predict(
        self,
        frame: pd.DataFrame,
        *,
        event_time: datetime | Sequence[datetime] | None = None,
        params: Mapping[str, Any] | None = None,
        key: UUID | None = None,
    ) -> pd.DataFrame:
        """Return the ``prediction_id`` and the ``prediction`` of each row, with the same index.

        The rows go ``ROWS_PER_REQUEST`` at a time: if one request is refused, the rows of those
        before it are stored. ``key`` is the id of the first row, from which those of the others
        count up; give the same to ask again.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint, Client(endpoint) as client:
        ...     client.predict(FLIGHTS)["prediction"].tolist()
        [10.0, -15.0]
        """
        key = uuid7() if key is None else key
        answers = []
        for first in range(0, max(len(frame), 1), ROWS_PER_REQUEST):
            rows = slice(first, first + ROWS_PER_REQUEST)
            answers.append(
                self._retried(
                    self._transport.predict,
                    frame.iloc[rows],
                    UUID(int=key.int + first),
                    _part(event_time, rows),
                    params,
                )
            )
        return pd.DataFrame(
            {
                "prediction_id": [id for answer in answers for id in answer.prediction_ids],
                "prediction": [value for answer in answers for value in answer.predictions],
            },
            index=frame.index,
        )

    def call_model(self, request: Mapping[str, Any], *, key: UUID | None = None) -> dict[str, Any]:
        """Return ``{"prediction": …, "uuid": …}`` for one record, as CML's ``call_model`` does.

        >>> from utils.serving.example import example_endpoint
        >>> with example_endpoint() as endpoint, Client(endpoint) as client:
        ...     client.call_model({"departure_delay_min": 20, "carrier": "UA"})["prediction"]
        10.0
        """
        return self._retried(self._transport.call_model, request, uuid7() if key is None else key)

    def ground_truth(self, labels: pd.DataFrame) -> dict[str, int]:
        """Store labels, all or none: ``prediction_id``, ``label``, and ``known_at`` where known.

        Sending them again is safe: an equal label changes nothing.

        >>> from utils.serving.example import FLIGHTS, example_endpoint
        >>> with example_endpoint() as endpoint, Client(endpoint) as client:
        ...     answered = client.predict(FLIGHTS)
        ...     client.ground_truth(answered[["prediction_id"]].assign(label=[12.0, -20.0]))
        {'new': 2, 'revised': 0, 'repeated': 0}
        """
        return self._retried(self._transport.ground_truth, labels)

    def _retried(self, send: Callable[..., Any], *request: Any) -> Any:
        for attempt in count():
            try:
                return send(*request)
            except (Refused, Unreachable) as error:
                final = isinstance(error, Refused) and error.status not in RETRIED
                if final or attempt == self._retries:
                    raise
            self._sleep(pause_s(attempt, self._rng))


def pause_s(attempt: int, rng: np.random.Generator) -> float:
    """Return how long to wait after an attempt (from 0): twice as long each time, half random.

    >>> rng = np.random.default_rng(0)
    >>> all(0.2 <= pause_s(2, rng) <= 0.4 for _ in range(100))
    True
    """
    longest = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
    return longest * rng.uniform(0.5, 1.0)


def _part(event_time: Any, rows: slice) -> Any:
    if event_time is None or isinstance(event_time, datetime):
        return event_time
    return event_time.iloc[rows] if isinstance(event_time, pd.Series) else event_time[rows]


class _InProcess:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def predict(self, frame, key, event_time, params):
        return self._endpoint.predict(
            frame,
            event_time=event_time,
            prediction_ids=prediction_ids(key, len(frame)),
            params=params,
        )

    def call_model(self, request, key):
        return self._endpoint.call(request, key=key)

    def ground_truth(self, labels):
        return self._endpoint.ground_truth(labels)

    def close(self):
        """Do nothing: the endpoint is the caller's."""


class _Http:
    """Speaks the protocol of ``app``; proxies from the environment are not used."""

    def __init__(self, url: str, *, access_key: str, timeout_s: float) -> None:
        self._access_key = access_key
        self._http = httpx.Client(
            base_url=url,
            timeout=timeout_s,
            trust_env=False,
            verify=_trusted(),
            headers={"Authorization": f"Bearer {access_key}"} if access_key else {},
        )

    def predict(self, frame, key, event_time, params):
        body = {"dataframe_split": _split(frame)}
        if params is not None:
            body["params"] = params
        headers = {"Idempotency-Key": str(key)}
        if event_time is not None:
            headers["X-Event-Time"] = _times(event_time)
        answer = self._post("/invocations", body, headers)
        return Answer(prediction_ids=answer["prediction_ids"], predictions=answer["predictions"])

    def call_model(self, request, key):
        body = {"accessKey": self._access_key, "request": request}
        return self._post("/model", body, {"Idempotency-Key": str(key)})["response"]

    def ground_truth(self, labels):
        records = _split(labels)
        rows = [
            {
                name: value
                for name, value in zip(labels.columns, row, strict=True)
                if name != "known_at" or value is not None
            }
            for row in records["data"]
        ]
        return self._post("/ground-truth", {"labels": rows}, {})

    def close(self):
        self._http.close()

    def _post(self, path: str, body: Any, headers: dict[str, str]) -> Any:
        content = json.dumps(body, default=_jsonable).encode()
        headers = {"Content-Type": "application/json", **headers}
        try:
            response = self._http.post(path, content=content, headers=headers)
        except (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError) as error:
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            raise Unreachable(f"{self._http.base_url}{path}: no answer ({said})") from error
        if response.is_success:
            return response.json()
        raise _refused(response)


@cache
def _trusted() -> ssl.SSLContext:
    """Return the certificates that are trusted; it takes 20 ms to read them, so it is done once."""
    return httpx.create_ssl_context(trust_env=False)


def _refused(response: httpx.Response) -> Refused:
    """Return an error answer, which may come from something between us and the endpoint."""
    try:
        said = response.json()
        return Refused(response.status_code, said["error_code"], said["message"])
    except (ValueError, KeyError, TypeError):
        return Refused(response.status_code, "HTTP_ERROR", response.text[:200])


def _split(frame: pd.DataFrame) -> dict[str, Any]:
    columns = [plain_values(frame.iloc[:, at]) for at in range(frame.shape[1])]
    return {"columns": list(frame.columns), "data": list(zip(*columns, strict=True))}


def _times(event_time: datetime | Sequence[datetime]) -> str:
    times = [event_time] if isinstance(event_time, datetime) else event_time
    return ",".join(time.isoformat() for time in times)


def _jsonable(value: Any) -> Any:
    """Return what JSON has no form for as the endpoint reads it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ValueError(f"{value!r} of type {type(value).__name__}: has no form in JSON")
