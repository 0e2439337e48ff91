"""Traffic by simulated time: predictions when they were asked for, labels when they became known.

The simulated clock is that of the events in the data: it says in which order things are sent, and
what is sent carries its simulated time with it. The wall clock only paces (``rate_per_s``).
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from utils.records import LABEL_COLUMNS
from utils.serving.contract import Refused

if TYPE_CHECKING:
    from utils.serving.client import Client

LABELS_PER_REQUEST = 5_000
"""At most so many labels go in one request."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay did, counted in rows; a row answered from an earlier run counts as sent.

    ``refused`` and ``labels_refused`` count the rows that the endpoint would not take, by the
    reason that it gave. The label of a refused prediction is not delivered, and not counted.
    """

    sent: int
    labelled: int
    refused: Mapping[str, int] = field(default_factory=dict)
    labels_refused: Mapping[str, int] = field(default_factory=dict)


def replay(
    client: Client,
    frames: pd.DataFrame | Iterable[pd.DataFrame],
    *,
    features: Sequence[str],
    time_column: str,
    label_column: str | None = None,
    known_at_column: str | None = None,
    labels: pd.DataFrame | Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    key_column: str | None = None,
    until: datetime | None = None,
    seed: int = 0,
    batch_rows: int = 1_000,
    rate_per_s: float | None = None,
    on_refused: Literal["raise", "count"] = "raise",
    progress: Callable[[int], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Replayed:
    """Send a frame's rows as predictions, in the order of their time, and each label when known.

    ``frames`` is one frame in any order, or an iterable of frames that follow one another in
    time: one of them is held at a time, beside the labels that are still to come.

    A label stands in the row (``label_column``, ``known_at_column``), or comes from ``labels``: a
    frame of ``LABEL_COLUMNS``, or a function that returns one for each frame, in which
    ``prediction_id`` is the row's key, the value of ``key_column``. There a row may have no label,
    one, or several, the later ones being revisions. A label that is missing, or never known,
    never comes.

    ``until`` stops the simulated clock: only what happens before it is sent. Predictions go
    ``batch_rows`` at a time, and before each batch goes every label known before the batch's
    first prediction: a label is late by at most one batch, and by none when ``batch_rows=1``.
    ``rate_per_s`` is in predictions a second of the wall clock; without it, as fast as can be.

    A run that was interrupted is finished by the same call. A row's ``prediction_id`` follows
    from ``seed``, the time of the first row and the row's place in the order of time, so what is
    stored already is not stored again, whatever ``batch_rows`` and ``until`` are now. To send the
    same rows as new predictions, give another ``seed``.

    ``progress`` is called with the number of rows after each batch. With ``on_refused="count"``
    refused rows are counted by reason and the replay goes on: a refused batch is halved until its
    bad rows stand alone. The result does not tell how long anything took.

    Raises ``ValueError`` for a column that is not there, a time that is missing or without a
    zone, frames out of order, and a label known before its prediction is made; ``Refused`` for
    what the endpoint refuses, unless it is counted.
    """
    for argument, value in {"batch_rows": batch_rows, "rate_per_s": rate_per_s}.items():
        if value is not None and not value > 0:
            raise ValueError(f"{argument}={value}: must be above zero")
    if until is not None and until.tzinfo is None:
        raise ValueError(f"until={until}: needs a time zone")
    if on_refused not in ("raise", "count"):
        raise ValueError(f"on_refused={on_refused!r}: must be 'raise' or 'count'")
    truth = _truth(label_column, known_at_column, labels, key_column)
    chunks = _chunks(
        [frames] if isinstance(frames, pd.DataFrame) else frames,
        time_column=time_column,
        columns=features,
        until=until,
    )
    sender = _Sender(client, features=list(features), seed=seed, on_refused=on_refused)
    started = clock()
    for step in _timeline(chunks, truth, batch_rows=batch_rows, until=until):
        if not isinstance(step, _Rows):
            sender.send_labels(step)
            continue
        if rate_per_s is not None:
            sleep(max(0.0, step.position / rate_per_s - (clock() - started)))
        sender.send_predictions(step)
        if progress is not None:
            progress(len(step))
    return sender.summary()


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows to predict, by time; ``position`` is the place of the first in the whole replay."""

    position: int
    frame: pd.DataFrame
    event_time: pd.Series

    def __len__(self) -> int:
        return len(self.frame)

    def part(self, start: int, stop: int | None) -> _Rows:
        return _Rows(
            position=self.position + start,
            frame=self.frame.iloc[start:stop],
            event_time=self.event_time.iloc[start:stop],
        )


_Truth = Callable[[_Rows], pd.DataFrame]
"""Returns the labels of rows, as ``position, label, known_at``."""


def _timeline(
    chunks: Iterable[_Rows], truth: _Truth, *, batch_rows: int, until: datetime | None
) -> Iterator[_Rows | pd.DataFrame]:
    """Merge rows to predict and labels to deliver into one sequence by simulated time."""
    pending = None
    for chunk in chunks:
        coming = truth(chunk)
        pending = coming if pending is None else pd.concat([pending, coming])
        pending = pending.sort_values("known_at", kind="stable")
        for start in range(0, len(chunk), batch_rows):
            batch = chunk.part(start, start + batch_rows)
            n_due = pending["known_at"].searchsorted(batch.event_time.iloc[0])
            yield from _requests(pending.iloc[:n_due])
            pending = pending.iloc[n_due:]
            yield batch
    if pending is not None:
        yield from _requests(pending if until is None else pending[pending["known_at"] < until])


def _requests(labels: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, len(labels), LABELS_PER_REQUEST):
        yield labels.iloc[start : start + LABELS_PER_REQUEST]


def _chunks(
    frames: Iterable[pd.DataFrame],
    *,
    time_column: str,
    columns: Sequence[str],
    until: datetime | None,
) -> Iterator[_Rows]:
    """Yield each frame in the order of time, cut at ``until``; take no more frames than needed."""
    position, latest = 0, None
    for frame in frames:
        _need_columns(frame, [time_column, *columns], argument="frames")
        moments = _moments(frame, time_column)
        if moments.isna().any():
            raise ValueError(
                f"time_column={time_column!r}: {moments.isna().sum()} rows have no time"
            )
        order = moments.argsort(kind="stable")
        chunk = _Rows(position=position, frame=frame.iloc[order], event_time=moments.iloc[order])
        if not len(chunk):
            continue
        if latest is not None and chunk.event_time.iloc[0] < latest:
            raise ValueError(
                f"frames: one begins at {chunk.event_time.iloc[0]}, before the end of the one "
                f"before it, {latest}; they must follow one another in time"
            )
        n_before = len(chunk) if until is None else chunk.event_time.searchsorted(until)
        yield chunk.part(0, n_before)
        if n_before < len(chunk):
            return
        position, latest = position + len(chunk), chunk.event_time.iloc[-1]


def _truth(
    label_column: str | None,
    known_at_column: str | None,
    labels: pd.DataFrame | Callable[[pd.DataFrame], pd.DataFrame] | None,
    key_column: str | None,
) -> _Truth:
    """Return where labels come from: the rows themselves, a frame of their own, or nowhere."""
    if (label_column is None) != (known_at_column is None):
        raise ValueError("label_column and known_at_column: give both, or neither")
    if (labels is None) != (key_column is None):
        raise ValueError("labels and key_column: give both, or neither")
    if labels is not None and label_column is not None:
        raise ValueError("labels and label_column: give one of them, or neither")

    def from_rows(rows: _Rows) -> pd.DataFrame:
        if label_column is None:
            return _events(rows, [], pd.Series(dtype="object"), rows.event_time.iloc[:0])
        _need_columns(rows.frame, [label_column, known_at_column], argument="frames")
        known_at = _moments(rows.frame, known_at_column)
        return _events(rows, np.arange(len(rows)), rows.frame[label_column], known_at)

    def from_labels(rows: _Rows) -> pd.DataFrame:
        _need_columns(rows.frame, [key_column], argument="frames")
        given = labels(rows.frame) if callable(labels) else labels
        _need_columns(given, LABEL_COLUMNS, argument="labels")
        keys = rows.frame[key_column]
        if keys.duplicated().any():
            raise ValueError(
                f"key_column={key_column!r}: {keys[keys.duplicated()].iloc[0]!r} is the key of "
                f"several rows; each needs one of its own"
            )
        places = pd.DataFrame({"prediction_id": keys.array, "place": np.arange(len(rows))})
        found = given.merge(places, on="prediction_id")
        return _events(rows, found["place"], found["label"], _moments(found, "known_at"))

    return from_rows if labels is None else from_labels


def _events(
    rows: _Rows, places: Sequence[int], label: pd.Series, known_at: pd.Series
) -> pd.DataFrame:
    """Return the labels that will come; refuse those that come before their prediction."""
    places = np.asarray(places, dtype="int64")
    table = pd.DataFrame(
        {
            "position": rows.position + places,
            "label": label.array,
            "known_at": known_at.array,
        }
    )
    early = known_at.array < rows.event_time.array[places]
    if early.any():
        first = table[early].iloc[0]
        raise ValueError(
            f"known_at: {early.sum()} labels are known before their prediction is made, the first "
            f"at {first['known_at']}"
        )
    coming = table[table["label"].notna() & table["known_at"].notna()]
    plain = getattr(label.dtype, "numpy_dtype", label.dtype)  # nothing is missing any more
    return coming.astype({"label": plain})


def _moments(frame: pd.DataFrame, column: str) -> pd.Series:
    if not isinstance(frame[column].dtype, pd.DatetimeTZDtype):
        raise ValueError(
            f"{column!r} is {frame[column].dtype}: must be a moment with a time zone "
            f"(pandas.to_datetime(…, utc=True))"
        )
    return frame[column].dt.tz_convert("UTC").astype("datetime64[us, UTC]")


def _need_columns(frame: pd.DataFrame, columns: Sequence[str], *, argument: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ValueError(f"{argument}: no column {', '.join(map(repr, missing))}")


class _Sender:
    """Sends through a client, names what it sends, and counts."""

    def __init__(self, client: Client, *, features: list[str], seed: int, on_refused: str) -> None:
        self._client = client
        self._features = features
        self._seed = seed
        self._raises = on_refused == "raise"
        self._prefix = ""
        self._lost: set[int] = set()
        self._sent = self._labelled = 0
        self._refused, self._labels_refused = Counter(), Counter()

    def send_predictions(self, rows: _Rows) -> None:
        self._prefix = self._prefix or _prefix(self._seed, rows.event_time.iloc[0])

        def send(start: int, stop: int) -> None:
            part = rows.part(start, stop)
            self._client.predict(
                part.frame[self._features],
                event_time=part.event_time,
                key=uuid.UUID(self._name(part.position)),
            )

        reasons = self._deliver(send, len(rows))
        self._lost.update(rows.position + place for place in reasons)
        self._refused.update(reasons.values())
        self._sent += len(rows) - len(reasons)

    def send_labels(self, labels: pd.DataFrame) -> None:
        labels = labels[~labels["position"].isin(self._lost)]
        named = pd.DataFrame(
            {
                "prediction_id": [self._name(position) for position in labels["position"]],
                "label": labels["label"].array,
                "known_at": labels["known_at"].array,
            }
        )
        reasons = self._deliver(
            lambda start, stop: self._client.ground_truth(named.iloc[start:stop]), len(named)
        )
        self._labels_refused.update(reasons.values())
        self._labelled += len(named) - len(reasons)

    def summary(self) -> Replayed:
        return Replayed(
            sent=self._sent,
            labelled=self._labelled,
            refused=dict(self._refused),
            labels_refused=dict(self._labels_refused),
        )

    def _name(self, position: int) -> str:
        return f"{self._prefix}{position:012x}"

    def _deliver(self, send: Callable[[int, int], object], n_rows: int) -> dict[int, str]:
        """Send rows, in as few requests as the refusals allow; return who was refused, and why."""
        reasons = {}
        parts = [(0, n_rows)] if n_rows else []
        while parts:
            start, stop = parts.pop()
            try:
                send(start, stop)
            except Refused as refusal:
                if refusal.status == 409:
                    refusal.add_note("to send other rows as new predictions, give another seed")
                if self._raises or refusal.status != 400:
                    raise
                if stop - start == 1:
                    reasons[start] = refusal.message
                    continue
                middle = (start + stop) // 2
                parts += [(middle, stop), (start, middle)]
        return reasons


def _prefix(seed: int, first: pd.Timestamp) -> str:
    """Return what the ids of a replay begin with; the row's position in 12 hex digits ends them.

    Together they are a UUID of version 7 (RFC 9562): a time, and bits that here follow from the
    seed. So ids grow with the position, which is the order that a store's index likes best.
    """
    moment = f"{int(first.timestamp() * 1000) % 2**48:012x}"
    bits = int.from_bytes(hashlib.sha256(repr(seed).encode()).digest()[:4])
    version, variant = 0x7000 | bits >> 20, 0x8000 | bits & 0x3FFF
    return f"{moment[:8]}-{moment[8:]}-{version:04x}-{variant:04x}-"
