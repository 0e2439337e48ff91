"""A stand-in for what AWS does and its local double does not: it judges alarms, and runs functions.

**This is no AWS.** moto keeps metrics and alarms, and neither evaluates the ones nor runs anything.
What is here takes the place of that evaluation and of Lambda's asynchronous calls, on this machine.
It is the one module that goes when the same code runs against AWS: nothing else of the toolkit
imports it.

Sources: Amazon CloudWatch User Guide, "Configuring how CloudWatch alarms treat missing data"; AWS
Lambda Developer Guide, "Runtime API" and "Asynchronous invocation".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

RETRY_PAUSES_S = (60.0, 120.0)
"""How long Lambda waits before it calls again a function that failed, twice at most."""

_POLL_S = 0.05

_EXTRA = 2
"""How many periods more than needed are looked at, so that late data are not taken for missing."""


# ------------------------------------------------------------------------------- alarms


def state_of(
    points: Sequence[float | None],
    *,
    beyond: Callable[[float], bool],
    needed: int,
    of: int,
    treat_missing: str = "missing",
    before: State = "INSUFFICIENT_DATA",
) -> State:
    """Return the state of an alarm from its data points, oldest first, ``None`` where missing.

    It is ``ALARM`` where ``needed`` of the newest ``of`` points are ``beyond``. There may be more
    points than that: older ones take the place of missing ones, and only what is missing still is
    treated as ``treat_missing`` says: ``breaching``, ``notBreaching``, ``ignore`` (the state stays,
    unless a point that is there is within) or ``missing`` (without any data it is insufficient).
    Under ``missing`` fewer points than needed are an alarm too, where all that are there are beyond
    and the oldest of them came at least ``needed`` periods ago: nothing said since that it is over.

    >>> state_of([1, 9, 9], beyond=lambda value: value > 5, needed=2, of=3)
    'ALARM'
    >>> alone = [None, None, 9, None, None]
    >>> state_of(alone, beyond=lambda value: value > 5, needed=3, of=3)
    'ALARM'
    >>> state_of(alone[:2] + alone[:3], beyond=lambda value: value > 5, needed=3, of=3)
    'OK'
    """
    if not 1 <= needed <= of:
        raise ValueError(f"needed={needed!r}: must be from 1 to of={of!r}")
    if treat_missing not in TREATMENTS:
        raise ValueError(f"treat_missing={treat_missing!r}: must be one of {TREATMENTS}")
    ages = range(len(points), 0, -1)
    there = [
        (age, beyond(value)) for age, value in zip(ages, points, strict=True) if value is not None
    ][-of:]
    lacking = of - len(there)
    n_beyond = sum(is_beyond for _, is_beyond in there)
    if treat_missing == "breaching":
        n_beyond += lacking
    if n_beyond >= needed:
        return "ALARM"
    if not lacking or treat_missing in ("breaching", "notBreaching") or n_beyond < len(there):
        return "OK"
    if treat_missing == "ignore":
        return before
    if not there:
        return "INSUFFICIENT_DATA"
    return "ALARM" if there[0][0] >= needed else "OK"


TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")

_ACTIONS: Mapping[State, str] = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def evaluate_alarms(
    client: Any, *, now: datetime, invoke: Callable[[str, dict[str, Any]], Any]
) -> list[tuple[str, State]]:
    """Judge every alarm of a client, set its state, and call its actions where that changed.

    ``invoke`` is called with the ARN of the action and the event of the documented form. Returns
    the alarms that changed, with their new state.

    **What it does not do.** It knows alarms on one metric with one of the four plain comparisons:
    no metric math, no anomaly band, no composite alarm.
    """
    changed = []
    for page in client.get_paginator("describe_alarms").paginate():
        for alarm in page["MetricAlarms"]:
            before = alarm["StateValue"]
            state = _judged(client, alarm, now=now)
            if state == before:
                continue
            reason = f"evaluated at {now.isoformat()}"
            client.set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue=state, StateReason=reason
            )
            changed.append((alarm["AlarmName"], state))
            if alarm["ActionsEnabled"]:
                event = alarm_event(alarm, state=state, reason=reason, at=now)
                for action in alarm.get(_ACTIONS[state], ()):
                    invoke(action, event)
    return changed


def _judged(client: Any, alarm: Mapping[str, Any], *, now: datetime) -> State:
    period, of = alarm["Period"], alarm["EvaluationPeriods"]
    n = of + _EXTRA
    end = now
    start = end - timedelta(seconds=period * n)
    found = client.get_metric_statistics(
        Namespace=alarm["Namespace"],
        MetricName=alarm["MetricName"],
        Dimensions=alarm["Dimensions"],
        StartTime=start,
        EndTime=end,
        Period=period,
        Statistics=[alarm["Statistic"]],
    )["Datapoints"]
    points: list[float | None] = [None] * n
    for each in sorted(found, key=lambda point: point["Timestamp"]):
        place = int((each["Timestamp"] - start) / timedelta(seconds=period))
        points[min(max(place, 0), n - 1)] = each[alarm["Statistic"]]
    compare = _COMPARISONS[alarm["ComparisonOperator"]]
    return state_of(
        points,
        beyond=lambda value: compare(value, alarm["Threshold"]),
        needed=alarm.get("DatapointsToAlarm") or of,
        of=of,
        treat_missing=alarm.get("TreatMissingData") or "missing",
        before=alarm["StateValue"],
    )


def alarm_event(
    alarm: Mapping[str, Any], *, state: State, reason: str, at: datetime
) -> dict[str, Any]:
    """Return the event that CloudWatch sends to a function that an alarm calls."""
    arn = alarm["AlarmArn"]
    _, _, _, region, account, *_ = arn.split(":")
    moment = _moment(at)
    metric = {
        "namespace": alarm["Namespace"],
        "name": alarm["MetricName"],
        "dimensions": {each["Name"]: each["Value"] for each in alarm["Dimensions"]},
    }
    return {
        "source": "aws.cloudwatch",
        "alarmArn": arn,
        "accountId": account,
        "time": moment,
        "region": region,
        "alarmData": {
            "alarmName": alarm["AlarmName"],
            "state": {"value": state, "reason": reason, "timestamp": moment},
            "previousState": {
                "value": alarm["StateValue"],
                "reason": alarm.get("StateReason", ""),
                "timestamp": _moment(alarm.get("StateUpdatedTimestamp", at)),
            },
            "configuration": {
                "description": alarm.get("AlarmDescription", ""),
                "metrics": [
                    {
                        "id": "m1",
                        "metricStat": {
                            "metric": metric,
                            "period": alarm["Period"],
                            "stat": alarm["Statistic"],
                        },
                        "returnData": True,
                    }
                ],
            },
        },
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"


# ------------------------------------------------------------------------------- functions


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a call of a function ended: its answer, its error, or out of time.

    The error is what it reported itself, or ``Runtime.ExitError`` where its process ended first.
    """

    how: Literal["answered", "failed", "timed out"]
    answer: Any = None
    error: Mapping[str, Any] | None = None


def call(
    archive: Path | str,
    handler: str,
    event: Any,
    *,
    timeout_s: float = 30.0,
    environment: Mapping[str, str] | None = None,
    layers: Sequence[str] = (),
) -> Outcome:
    """Run a function from its zip, by AWS's own runtime client, and return how it ended.

    The zip is unpacked into an empty folder, and the function sees that, the ``layers`` (folders
    on its path) and ``environment``, as on AWS. At its deadline the process is killed.
    """
    with TemporaryDirectory() as folder, _runtime_api(event, timeout_s=timeout_s) as runtime:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", handler],
            cwd=folder,
            env=_environment(folder, runtime.address, environment or {}, layers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            exited = _wait(process, runtime.done, timeout_s=timeout_s)
        finally:
            process.kill()
            process.wait()
        if runtime.answer is not None:
            return Outcome(how="answered", answer=json.loads(runtime.answer))
        if runtime.error is not None:
            return Outcome(how="failed", error=json.loads(runtime.error))
        if exited:
            said = f"Runtime exited with error: exit status {process.returncode}"
            error = {"errorType": "Runtime.ExitError", "errorMessage": said}
            return Outcome(how="failed", error=error)
        return Outcome(how="timed out")


def _wait(process: subprocess.Popen, done: threading.Event, *, timeout_s: float) -> bool:
    """Wait until a function has answered or its time is over; return whether its process ended."""
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up and not done.wait(_POLL_S):
        if process.poll() is not None:
            return True
    return False


def call_later(
    run: Callable[[Any], Outcome],
    event: Any,
    *,
    sleep: Callable[[float], None] = time.sleep,
    dead_letter: Callable[[Any, Outcome], None] | None = None,
) -> Outcome:
    """Call a function as an event does: two tries more after a failure, then the dead letter.

    A function that ran out of time has failed. Events that wait for room, and the six hours after
    which Lambda gives them up, have no counterpart here.
    """
    outcome = run(event)
    for pause in RETRY_PAUSES_S:
        if outcome.how == "answered":
            return outcome
        sleep(pause)
        outcome = run(event)
    if outcome.how != "answered" and dead_letter is not None:
        dead_letter(event, outcome)
    return outcome


def _environment(
    folder: str, address: str, given: Mapping[str, str], layers: Sequence[str]
) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **kept,
        **given,
        "AWS_LAMBDA_RUNTIME_API": address,
        "LAMBDA_TASK_ROOT": folder,
        "PYTHONPATH": os.pathsep.join([folder, *layers]),
        "PYTHONSAFEPATH": "1",
    }


class _Runtime(ThreadingHTTPServer):
    """The Runtime API for one event: it hands it out once, and takes the answer or the error."""

    daemon_threads = True

    def __init__(self, event: Any, *, timeout_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeApi)
        self.event = json.dumps(event).encode()
        self.id = str(uuid.uuid4())
        self.deadline_ms = int((time.time() + timeout_s) * 1000)
        self.given = False
        self.answer: bytes | None = None
        self.error: bytes | None = None
        self.done = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke off: the process was killed."""


class _RuntimeApi(BaseHTTPRequestHandler):
    server: _Runtime
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.server.given:
            self.server.done.wait(60)
            self.send_response(410)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.server.given = True
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", self.server.id)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(self.server.deadline_ms))
        arn = "arn:aws:lambda:local:000000000000:function:vigia"
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.event)))
        self.end_headers()
        self.wfile.write(self.server.event)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path.endswith("/response"):
            self.server.answer = body
        else:
            self.server.error = body
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.done.set()

    def log_message(self, *about: Any) -> None:
        """Say nothing: the caller has the outcome."""


@contextmanager
def _runtime_api(event: Any, *, timeout_s: float):
    server = _Runtime(event, timeout_s=timeout_s)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.done.set()
        server.shutdown()
        thread.join()
        server.server_close()
