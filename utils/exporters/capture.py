"""What an endpoint was asked and answered, and what turned out to be true, as SageMaker keeps it.

A *capture* is a folder of JSON lines: one event for each prediction, in the file of its hour, under
``{folder}/{endpoint}/{variant}/yyyy/mm/dd/hh/``. *Ground truth* is a folder of the same form, and
lies under the hour in which a label was collected. The two are merged on the event's
``inferenceId`` where it has one, else on its ``eventId``. So whatever a store holds can be carried
to tools made for SageMaker's files, and what those captured can be monitored here.

Only requests and answers are captured: ``event_time`` to the second, inputs, outputs. What else
must come back (the fraction of the second, the client, the latency, the very moment of a label)
is written as ``customAttributes``, which other readers pass over.

Capture is written here from what is stored already. That an endpoint stops capturing above 75 %
of its disk, and goes on predicting, is the service's part.

Source: Amazon SageMaker Developer Guide, "Capture data from real-time endpoint" and "Ingest Ground
Truth labels and merge them with predictions".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.exporters import _files, _forms, _payloads
from utils.exporters._files import UnreadableFile
from utils.monitors import windows
from utils.records import PREDICTION_COLUMNS, Kind, Schema, input_column
from utils.text import nearest

Encoding = Literal["CSV", "JSON", "BASE64"]
VARIANT = "AllTraffic"
"""The variant of an endpoint that has only one."""

OUTPUTS = ("prediction", "score")
ATTRIBUTES = ("model_version", "client", "latency_ms")
"""What the store captures beside inputs and outputs, and SageMaker has no place for."""

_KINDS: Mapping[str, Kind] = {
    "prediction": "double",
    "score": "double",
    "model_version": "string",
    "client": "string",
    "latency_ms": "double",
}
_PAYLOAD = {"observedContentType": str, "data": str, "encoding": str}
_METADATA = {
    "eventId": str,
    "inferenceTime": str,
    "inferenceId?": str,
    "customAttributes?": [str],
}
_EVENT = {
    "captureData": {"endpointInput": _PAYLOAD, "endpointOutput": _PAYLOAD},
    "eventMetadata": _METADATA,
}
_TRUTH = {
    "groundTruthData": {"data": str, "encoding": str},
    "eventMetadata": {"eventId": str, "customAttributes?": [str]},
}
_HOUR = 3_600_000_000
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_CONTENT_TYPES = {"CSV": "text/csv", "JSON": "application/json", "BASE64": "text/csv"}


def kinds_of(schema: Schema) -> dict[str, Kind]:
    """Return the kinds of a model's inputs, under the names that the store reads, and its output.

    >>> from utils.store.example import SCHEMA
    >>> kinds_of(SCHEMA)
    {'distance_miles': 'double', 'carrier': 'string', 'prediction': 'double'}
    """
    inputs = {input_column(column.name): column.kind for column in schema.columns}
    return inputs | {"prediction": schema.output}


def is_sampled(event_id: str, *, percentage: float) -> bool:
    """Tell whether an event is captured where only a percentage of them is.

    The event's id decides, so every process decides alike, and what is captured at 20 % is
    captured at 50 % too.

    >>> [is_sampled(id, percentage=50) for id in ("a", "b", "c")]
    [True, False, True]
    """
    digest = hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) * 100 < percentage * 2**64


# Writing


def write_capture(
    frame: pd.DataFrame,
    folder: Path | str,
    *,
    endpoint: str,
    columns: Sequence[str],
    variant: str = VARIANT,
    outputs: Sequence[str] = OUTPUTS,
    attributes: Sequence[str] = (),
    encoding: Encoding = "CSV",
    sampling_percentage: float = 100.0,
    id_column: str = "prediction_id",
    time_column: str = "event_time",
    inference_id_column: str | None = None,
) -> list[Path]:
    """Write predictions as captured events, and return the files, one for each hour.

    ``columns`` are the inputs and ``outputs`` the answers, in the order in which they stand in an
    event; CSV has no names, so whoever reads it must be told the same order. ``encoding`` is
    ``CSV``, ``JSON`` (with the names), or ``BASE64``: CSV as SageMaker keeps what it was not told
    to be text. ``sampling_percentage`` keeps only some events (SageMaker's default is 20); see
    ``is_sampled``. Events lie in order of time; each file is there whole or not at all, and the
    same content has the same name, so writing again changes nothing.

    **What it does not tell.** Nothing in the files says how many events a sample left out.

    Raises ``ValueError`` for a column that is not there, an id that is missing or comes twice, a
    time without a zone, an endpoint that SageMaker would not name so, and a value without a form.

    >>> from tempfile import TemporaryDirectory
    >>> from utils.store.example import PREDICTIONS
    >>> with TemporaryDirectory() as folder:
    ...     [noon, _] = write_capture(
    ...         PREDICTIONS, folder, endpoint="flights", outputs=["prediction"],
    ...         columns=["distance_miles", "carrier"])
    ...     print(noon.relative_to(folder).parent, noon.read_text()[:121], sep="\\n")
    flights/AllTraffic/2013/04/01/12
    {"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"200.0,UA","encoding":"CSV"},"end
    """
    _check_names(endpoint=endpoint, variant=variant)
    if encoding not in _CONTENT_TYPES:
        raise ValueError(f"encoding={encoding!r}: one of {', '.join(_CONTENT_TYPES)}")
    if not 0 < sampling_percentage <= 100:
        raise ValueError(f"sampling_percentage={sampling_percentage!r}: more than 0, at most 100")
    _check_distinct({"columns": columns, "outputs": outputs, "attributes": attributes})
    times = windows.times(frame, time_column, argument="time_column")
    ids = _ids(frame, id_column)
    told = {
        argument: _values(frame, names, argument=argument)
        for argument, names in (
            ("columns", columns),
            ("outputs", outputs),
            ("attributes", attributes),
            ("inference_id_column", [inference_id_column] if inference_id_column else []),
        )
    }
    lines = [
        (times[at], _event(at, ids[at], int(times[at]), told, encoding, inference_id_column))
        for at in times.argsort(kind="stable")
        if is_sampled(ids[at], percentage=sampling_percentage)
    ]
    return _write_hours(lines, Path(folder) / endpoint / variant)


def _event(
    at: int,
    event_id: str,
    time: int,
    told: Mapping[str, Mapping[str, list]],
    encoding: str,
    inference_id_column: str | None,
) -> dict[str, Any]:
    moment = windows.from_microseconds(time)
    attributes = _row(told["attributes"], at)
    if moment.microsecond:
        attributes["event_time"] = moment
    metadata = {"eventId": event_id, "inferenceTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    if inference_id_column is not None:
        inference_id = told["inference_id_column"][inference_id_column][at]
        if not pd.isna(inference_id):
            metadata["inferenceId"] = str(inference_id)
    return {
        "captureData": {
            "endpointInput": _data(_row(told["columns"], at), "INPUT", encoding),
            "endpointOutput": _data(_row(told["outputs"], at), "OUTPUT", encoding),
        },
        "eventMetadata": metadata | _custom(attributes),
        "eventVersion": "0",
    }


def _row(columns: Mapping[str, list], at: int) -> dict[str, Any]:
    return {name: values[at] for name, values in columns.items()}


def _data(row: Mapping[str, Any], mode: str, encoding: str) -> dict[str, str]:
    charset = "; charset=utf-8" if mode == "OUTPUT" and encoding == "CSV" else ""
    return {
        "observedContentType": _CONTENT_TYPES[encoding] + charset,
        "mode": mode,
        "data": _payloads.payload(row, encoding),
        "encoding": encoding,
    }


def _custom(attributes: Mapping[str, Any]) -> dict[str, list[str]]:
    texts = {name: _payloads.text_of(value) for name, value in attributes.items()}
    pairs = [f"{name}={text}" for name, text in texts.items() if text is not None]
    return {"customAttributes": pairs} if pairs else {}


def write_ground_truth(
    labels: pd.DataFrame,
    folder: Path | str,
    *,
    id_column: str = "prediction_id",
    label_column: str = "label",
    known_at_column: str = "known_at",
    exact_times: bool = True,
) -> list[Path]:
    """Write labels as ground truth, under the hour in which each was collected; return the files.

    A record names its event by ``id_column``: the ``inferenceId`` of the capture where it has one.
    ``labels`` may hold revisions, each with its own ``known_at``; of two with the same one, the
    later row counts. Rows without a label are not written.

    A record of SageMaker's has no time of its own. With ``exact_times`` it is added to the
    ``eventMetadata`` as a custom attribute; without, the label counts from the moment of its file,
    which is that of the file's last label, so never too early.

    Raises ``ValueError`` for a column that is not there and a missing id or time.

    >>> from tempfile import TemporaryDirectory
    >>> noon = pd.to_datetime(["2013-04-01T12:00Z"])
    >>> labels = pd.DataFrame({"prediction_id": ["a"], "label": [20.0], "known_at": noon})
    >>> with TemporaryDirectory() as folder:
    ...     [path] = write_ground_truth(labels, folder, exact_times=False)
    ...     print(path.relative_to(folder).parent, path.read_text(), sep="\\n")
    2013/04/01/12
    {"groundTruthData":{"data":"20.0","encoding":"CSV"},"eventMetadata":{"eventId":"a"},"eventVersion":"0"}
    <BLANKLINE>
    """
    label = windows.column(labels, label_column, argument="label_column")
    labels = labels[label.notna()]
    times = windows.times(labels, known_at_column, argument="known_at_column")
    ids = _ids(labels, id_column, is_unique=False)
    values = _values(labels, [label_column], argument="label_column")[label_column]
    in_force = {(ids[at], times[at]): at for at in times.argsort(kind="stable")}
    lines = [
        (time, _truth(event_id, values[at], int(time) if exact_times else None))
        for (event_id, time), at in in_force.items()
    ]
    return _write_hours(lines, Path(folder), by_last=True)


def _truth(event_id: str, label: Any, time: int | None) -> dict[str, Any]:
    custom = {} if time is None else _custom({"known_at": windows.from_microseconds(time)})
    return {
        "groundTruthData": {"data": _payloads.payload({"label": label}, "CSV"), "encoding": "CSV"},
        "eventMetadata": {"eventId": event_id} | custom,
        "eventVersion": "0",
    }


def _write_hours(
    lines: Sequence[tuple[int, Mapping[str, Any]]], folder: Path, *, by_last: bool = False
) -> list[Path]:
    """Write records, in order of their times, as one file for each hour."""
    hours: dict[int, list[tuple[int, str]]] = {}
    for time, record in lines:
        text = json.dumps(record, separators=(",", ":"))
        hours.setdefault(int(time) // _HOUR, []).append((int(time), text))
    written = []
    for records in hours.values():
        text = "".join(f"{line}\n" for _, line in records)
        named_by = windows.from_microseconds(records[-1 if by_last else 0][0])
        written.append(_files.write_whole(folder / _files.path_of(named_by, text=text), text))
    return written


def _check_names(**names: str) -> None:
    for argument, name in names.items():
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{argument}={name!r}: letters, digits and hyphens, at most 63, are needed"
            )


def _check_distinct(named: Mapping[str, Sequence[str]]) -> None:
    """Refuse a text where a list is needed, and a name that stands twice or is taken."""
    seen = {
        "prediction_id": "the event's own id",
        "event_time": "the event's time",
        "inference_id": "the id that a caller gives",
    }
    for argument, names in named.items():
        if isinstance(names, str):
            raise ValueError(f"{argument}={names!r}: give a list of names")
        for name in names:
            if name in seen:
                raise ValueError(f"{argument}: {name!r} is taken by {seen[name]}")
            seen[name] = argument
    if not named.get("columns") or not named.get("outputs"):
        raise ValueError("columns, outputs: an event has at least one of each")


def _ids(frame: pd.DataFrame, name: str, *, is_unique: bool = True) -> list[str]:
    ids = windows.column(frame, name, argument="id_column")
    if ids.isna().any():
        raise ValueError(f"id_column={name!r} lacks {ids.isna().sum()} of {len(ids)} ids")
    if is_unique and ids.duplicated().any():
        twice = ids[ids.duplicated()].iloc[0]
        raise ValueError(f"id_column={name!r} holds {twice!r} twice; an event has its own id")
    return [str(each) for each in ids]


def _values(frame: pd.DataFrame, names: Iterable[str], *, argument: str) -> dict[str, list]:
    """Return the columns as lists of what JSON has, or say which value has no form there."""
    columns = {}
    for name in names:
        values = windows.column(frame, name, argument=argument).tolist()
        try:
            columns[name] = [_payloads.json_of(value) for value in values]
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{argument}: {name!r} holds a value without a form: {error}"
            ) from error
    return columns


# Reading


def read_capture(
    folder: Path | str,
    *,
    columns: Sequence[str],
    kinds: Mapping[str, Kind],
    outputs: Sequence[str] = OUTPUTS,
    attributes: Sequence[str] = (),
    start: windows.Moment | None = None,
    end: windows.Moment | None = None,
) -> pd.DataFrame:
    """Return captured events as the store would: one row each, by event time.

    ``folder`` is any folder above the files (of a prefix, an endpoint, a variant, a day), or one
    file. ``columns``, ``outputs`` and ``attributes`` are named as they were written; ``kinds``
    gives the kind of each input, and of other columns where it is not the store's own (``double``
    for outputs, ``string`` for unknown attributes): ``kinds_of(store.schema(…))`` are those of a
    model. Read a column as ``string`` to see what was really sent in it.

    With ``start`` and ``end`` only the events of that half-open window of event time are returned,
    and files whose folder names an hour far from it are not opened; see ``schedules.window``.

    The columns are ``prediction_id`` (the ``eventId``), ``event_time``, ``inference_id`` (missing
    where there was none), then attributes, outputs and inputs. The dtypes hang on the kinds alone.
    A JSON event may leave a column out, which is then missing.

    **What it does not tell.** What was not sampled is not there, and nothing says so.

    Raises ``UnreadableFile`` naming file, line and rule: a line that is no JSON or was cut off, an
    unknown encoding, another number of fields, a value of another kind, an event captured twice.

    >>> from tempfile import TemporaryDirectory
    >>> from utils.store.example import PREDICTIONS, SCHEMA
    >>> inputs = ["distance_miles", "carrier"]
    >>> with TemporaryDirectory() as folder:
    ...     _ = write_capture(PREDICTIONS, folder, endpoint="flights", columns=inputs,
    ...                       outputs=["prediction"])
    ...     frame = read_capture(folder, columns=inputs, kinds=kinds_of(SCHEMA),
    ...                          outputs=["prediction"])
    >>> frame[["prediction_id", "prediction", "carrier"]].values.tolist()
    [['a', 12.5, 'UA'], ['b', -3.0, 'B6']]
    """
    from utils.store.values import to_frame

    _check_distinct({"columns": columns, "outputs": outputs, "attributes": attributes})
    chosen = {
        argument: {name: _kind(name, kinds, argument=argument) for name in names}
        for argument, names in (
            ("attributes", attributes),
            ("outputs", outputs),
            ("columns", columns),
        )
    }
    start, end = windows.moment(start, argument="start"), windows.moment(end, argument="end")
    low = -np.inf if start is None else windows.whole_microseconds(start)
    high = np.inf if end is None else windows.whole_microseconds(end)
    rows, places = [], {}
    for _, place, record in _files.json_lines(folder, start=start, end=end):
        row = _captured(record, chosen, place=place)
        if row[0] in places:
            raise UnreadableFile(
                f"{place}: eventId {row[0]!r} was captured before, at {places[row[0]]}; an event "
                "stands once"
            )
        places[row[0]] = place
        if low <= row[1] < high:
            rows.append(row)
    rows.sort(key=lambda row: row[1])
    named = {"prediction_id": "string", "event_time": "datetime", "inference_id": "string"}
    for each in chosen.values():
        named |= each
    return to_frame(named, [rows] if rows else [])


def _kind(name: str, kinds: Mapping[str, Kind], *, argument: str) -> Kind:
    kind = kinds.get(name, _KINDS.get(name))
    if kind is None and argument != "columns":
        kind = "double" if argument == "outputs" else "string"
    if kind is None:
        raise ValueError(f"kinds: has no kind of {name!r}; {nearest(name, kinds)}")
    if kind not in _payloads.KINDS:
        raise ValueError(f"kinds: {name!r} is {kind!r}, and must be of {sorted(_payloads.KINDS)}")
    return kind


def _captured(
    record: Any, chosen: Mapping[str, Mapping[str, Kind]], *, place: str
) -> tuple[Any, ...]:
    _forms.check(record, _EVENT, place=place)
    metadata = record["eventMetadata"]
    custom = _attributes(metadata)
    decoded = [
        _decoded(custom.get(name), kind, f"customAttributes {name!r}", place=place)
        for name, kind in chosen["attributes"].items()
    ]
    for side, argument in (("endpointOutput", "outputs"), ("endpointInput", "columns")):
        told = record["captureData"][side]
        decoded += _data_of(told, side, kinds=chosen[argument], place=place)
    time = custom.get("event_time", metadata["inferenceTime"])
    moment = _decoded(time, "datetime", "eventMetadata.inferenceTime", place=place)
    return (metadata["eventId"], moment, metadata.get("inferenceId"), *decoded)


def _data_of(
    told: Mapping[str, str], side: str, *, kinds: Mapping[str, Kind], place: str
) -> list[Any]:
    data, encoding, content_type = (
        told[key] for key in ("data", "encoding", "observedContentType")
    )
    try:
        return _payloads.values_of(data, encoding, content_type, kinds=kinds)
    except ValueError as error:
        raise UnreadableFile(f"{place}: {side}: {error}") from error


def _attributes(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the custom attributes that are ``name=value``; others are of other people."""
    pairs = [each.partition("=") for each in metadata.get("customAttributes", [])]
    return {name: value for name, equals, value in pairs if equals}


def _decoded(text: str | None, kind: Kind, name: str, *, place: str) -> Any:
    try:
        return _payloads.from_text(text, kind)
    except ValueError as error:
        raise UnreadableFile(f"{place}: {name}: {error}") from error


def read_ground_truth(folder: Path | str, *, kind: Kind = "double") -> pd.DataFrame:
    """Return collected labels: prediction_id, label and known_at, in order of ``known_at``.

    ``prediction_id`` is the record's ``eventId``, which names the event by its ``inferenceId``
    where that has one. A label's ``known_at`` is its own where it was written (see
    ``write_ground_truth``), else that of its file: the time in the file's name, else the end of the
    folder's hour. A prediction may have several labels, revisions known at different moments.

    Raises ``UnreadableFile`` naming file, line and rule: as ``read_capture`` does, for a file under
    no hour, and for two labels of a prediction that differ and are known at the same moment.

    >>> from tempfile import TemporaryDirectory
    >>> noon = pd.to_datetime(["2013-04-01T12:00Z"])
    >>> labels = pd.DataFrame({"prediction_id": ["a"], "label": [20.0], "known_at": noon})
    >>> with TemporaryDirectory() as folder:
    ...     _ = write_ground_truth(labels, folder)
    ...     read_ground_truth(folder).equals(labels)
    True
    """
    from utils.store.values import to_frame

    found: dict[tuple[str, int], tuple[Any, str]] = {}
    for path, place, record in _files.json_lines(folder):
        _forms.check(record, _TRUTH, place=place)
        event_id = record["eventMetadata"]["eventId"]
        told = record["groundTruthData"] | {"observedContentType": "text/csv"}
        [label] = _data_of(told, "groundTruthData", kinds={"label": kind}, place=place)
        known_at = _known_at(path, record, place=place)
        before, where = found.setdefault((event_id, known_at), (label, place))
        if before != label:
            raise UnreadableFile(
                f"{place}: eventId {event_id!r} has the label {label!r}, and at the same moment "
                f"{before!r}, at {where}"
            )
    rows = [(event_id, label, at) for (event_id, at), (label, _) in found.items()]
    rows.sort(key=lambda row: row[2])
    return to_frame(
        {"prediction_id": "string", "label": kind, "known_at": "datetime"}, [rows] if rows else []
    )


def _known_at(path: Path, record: Any, *, place: str) -> int:
    custom = _attributes(record["eventMetadata"])
    if "known_at" in custom:
        return _decoded(custom["known_at"], "datetime", "customAttributes 'known_at'", place=place)
    moment = _files.moment_of(path)
    if moment is None:
        raise UnreadableFile(f"{place}: ground truth lies in a folder of its hour, yyyy/mm/dd/hh")
    return windows.whole_microseconds(moment)


# Merging


def merged(
    capture: pd.DataFrame, truth: pd.DataFrame, *, known_as_of: windows.Moment | None = None
) -> pd.DataFrame:
    """Return captured events with their labels, as ``Store.read`` would: labelled or not.

    An event's label is looked up by its ``inference_id`` where it has one, else by its
    ``prediction_id``. Of several the newest known counts; with ``known_as_of``, the newest known at
    that moment, and later events are left out. Added are ``label``, ``label_known_at`` and
    ``label_revision`` (the how manieth by ``known_at``). Labels of no event are left out: where
    only a sample is captured, that is most of them.

    **What it does not tell.** A label that is not there may be still to come, or lost on its way.

    Raises ``ValueError`` where two events share an id, and where labels and events have no id in
    common at all, which no sample explains.

    >>> noon = pd.to_datetime(["2013-04-01T12:00Z"])
    >>> event = pd.DataFrame(
    ...     {"prediction_id": ["a"], "event_time": noon, "inference_id": ["order-7"]})
    >>> truth = pd.DataFrame({"prediction_id": ["order-7"], "label": [20.0], "known_at": noon})
    >>> merged(event, truth)["label"].tolist()
    [20.0]
    """
    as_of = windows.moment(known_as_of, argument="known_as_of")
    capture = capture.reset_index(drop=True)
    own = windows.column(capture, "inference_id", argument="capture")
    key = own.fillna(capture["prediction_id"])
    if key.duplicated().any():
        raise ValueError(f"capture: two events are called {key[key.duplicated()].iloc[0]!r}")
    labels = truth.sort_values("known_at", kind="stable")
    if len(labels) and len(key) and not labels["prediction_id"].isin(key).any():
        raise ValueError(_why_none_match(capture, labels))
    labels = labels.assign(
        label_revision=labels.groupby("prediction_id").cumcount().add(1).astype("Int64")
    ).rename(columns={"known_at": "label_known_at"})
    if as_of is not None:
        capture = capture[capture["event_time"] <= as_of]
        labels = labels[labels["label_known_at"] <= as_of]
    in_force = labels.drop_duplicates("prediction_id", keep="last").set_index("prediction_id")
    joined = capture.join(
        in_force[["label", "label_known_at", "label_revision"]], on=key.loc[capture.index]
    )
    first = [name for name in PREDICTION_COLUMNS if name in capture]
    rest = [name for name in capture if name not in first]
    ordered = [*first, "label", "label_known_at", "label_revision", *rest]
    return joined[ordered].reset_index(drop=True)


def _why_none_match(capture: pd.DataFrame, labels: pd.DataFrame) -> str:
    label, event = labels["prediction_id"].iloc[0], capture.iloc[0]
    called = f"eventId {event['prediction_id']!r}"
    if not pd.isna(event["inference_id"]):
        called = f"inferenceId {event['inference_id']!r} ({called} does not count beside it)"
    return (
        f"truth: none of its {len(labels)} labels names one of the {len(capture)} events; the "
        f"first label names {label!r}, the first event has the {called}"
    )
