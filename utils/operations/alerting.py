"""The book of alerts: what fired, who knows, what is quiet again, folded from events.

Each evaluation writes events whose keys hang on rule, line and window alone. So evaluating again,
two at once, or after a crash, adds what is new and nothing twice; and the state of the alerts is
what the events say, whoever reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

import pandas as pd

from utils.operations.rules import LINE, by_line, judged, named
from utils.records import Action, AlertRule, Event, Severity, VigiaError
from utils.store import Store
from utils.text import date, metric_name, number, tr

State = Literal["firing", "acknowledged", "resolved"]
_WORST = {"critical": 0, "warning": 1}
_CAUSES_FIRST = ("quality", "infrastructure", "security", "drift", "prediction_drift",
                 "label_drift", "fairness", "bias", "attribution", "estimated_performance",
                 "calibration", "performance")  # fmt: skip


class UnknownAlert(VigiaError):
    """No alert of this id stands in the book."""


@dataclass(frozen=True, kw_only=True)
class AlertState:
    """What is known of an alert at a moment.

    ``id`` is its own: the rule, the line and the window in which it began. ``since`` is the start
    of that window, ``last_seen`` the end of the last one outside. ``silenced`` says that nobody is
    told of it for now; ``escalated`` how often it went unheard for too long.
    """

    id: str
    deployment: str
    rule: str
    line: tuple[str, str, str, str]
    state: State
    severity: Severity
    action: Action
    owner: str
    runbook: str
    since: datetime
    last_seen: datetime
    fired_at: datetime
    value: float
    low: float | None
    high: float | None
    n_windows: int
    acknowledged_by: str = ""
    reason: str = ""
    escalated: int = 0
    silenced: bool = False

    @property
    def is_open(self) -> bool:
        return self.state != "resolved"

    @property
    def evidence(self) -> str:
        """What was seen, in the language in force."""
        monitor, metric, feature, group = self.line
        what = ", ".join(part for part in (feature, group, metric_name(metric)) if part)
        bound = self.high if self.high is not None and self.value > self.high else self.low
        value, limit = (number(each, digits=3) for each in (self.value, bound or 0.0))
        start = date(self.since)
        return tr(
            pt=f"{what}: {value}, além do limite {limit}, desde a janela de {start} "
            f"({self.n_windows} janelas).",
            en=f"{what}: {value}, beyond the bound {limit}, since the window of {start} "
            f"({self.n_windows} windows).",
        )


def stream_of(deployment: str) -> str:
    return f"alert/{deployment}"


# ------------------------------------------------------------------------------- evaluating


def evaluate(
    store: Store,
    deployment: str,
    rules: Sequence[AlertRule],
    table: pd.DataFrame,
    *,
    at: datetime,
    clear_after: int = 1,
) -> list[AlertState]:
    """Write down what fired and what is quiet again in a measurements table; return what is new.

    An alert begins in the first window in which its rule fires, lasts while its line is outside,
    and is resolved after ``clear_after`` windows in a row within the bounds. ``at`` is the moment
    that is written; the state hangs on the windows alone.

    Raises ``ValueError`` for ``clear_after`` below 1.
    """
    if clear_after < 1:
        raise ValueError(f"clear_after={clear_after!r}: must be at least 1")
    stream, known = stream_of(deployment), named(rules)
    new = []
    for rule, line, rows in by_line(judged(rules, table)):
        for key, kind, body in _happened(known[rule], line, rows, clear_after=clear_after):
            if store.record(stream, key, kind=kind, at=at, body=body) and kind == "fired":
                new.append(key)
    found = {each.id: each for each in alerts(store, deployment, at=at)}
    return [found[key] for key in new]


def _happened(
    rule: AlertRule, line: tuple[str, ...], rows: pd.DataFrame, *, clear_after: int
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Yield the events of one line: its episodes, window by window."""
    alert, quiet = None, 0
    for row in rows[rows["known"]].itertuples():
        start = row.window_start.isoformat()
        seen = {
            "window_start": start,
            "window_end": row.window_end.isoformat(),
            "value": row.value,
            "low": row.low,
            "high": row.high,
        }
        if alert is None:
            if row.alarm:
                alert, quiet = "/".join(["fired", rule.name, *line, start]), 0
                yield alert, "fired", seen | _about(rule, line)
        elif row.outside:
            quiet = 0
            yield f"{alert}/seen/{start}", "seen", seen | {"alert": alert}
        else:
            quiet += 1
            if quiet == clear_after:
                yield f"{alert}/quiet", "quiet", seen | {"alert": alert}
                alert = None


def _about(rule: AlertRule, line: tuple[str, ...]) -> dict[str, Any]:
    own = ("severity", "action", "owner", "runbook")
    return {"rule": rule.name, "line": list(line)} | {name: getattr(rule, name) for name in own}


# ------------------------------------------------------------------------------- reading it


def alerts(store: Store, deployment: str, *, at: datetime) -> list[AlertState]:
    """Return every alert of a deployment: the open ones first, the worst of them first.

    Which are silenced is told for the moment ``at``.
    """
    events = store.events(stream_of(deployment))
    found: dict[str, AlertState] = {}
    silences = []
    for event in events:
        if event.kind == "fired":
            found[event.key] = _fired(event, deployment)
        elif event.kind == "silenced":
            silences.append(event.body)
        elif event.body.get("alert") in found:
            alert = event.body["alert"]
            found[alert] = _CHANGES[event.kind](found[alert], event)
    muted = [each for each in silences if _covers(each, at)]
    states = [
        replace(each, silenced=any(_matches(one["matcher"], each) for one in muted))
        for each in found.values()
    ]
    return sorted(states, key=_order)


def _fired(event: Event, deployment: str) -> AlertState:
    body = event.body
    return AlertState(
        id=event.key,
        deployment=deployment,
        rule=body["rule"],
        line=tuple(body["line"]),
        state="firing",
        severity=body["severity"],
        action=body["action"],
        owner=body["owner"],
        runbook=body["runbook"],
        since=datetime.fromisoformat(body["window_start"]),
        last_seen=datetime.fromisoformat(body["window_end"]),
        fired_at=event.at,
        value=body["value"],
        low=body["low"],
        high=body["high"],
        n_windows=1,
    )


def _seen(alert: AlertState, event: Event) -> AlertState:
    end = datetime.fromisoformat(event.body["window_end"])
    if end <= alert.last_seen:
        return alert
    return replace(alert, last_seen=end, n_windows=alert.n_windows + 1)


def _quiet(alert: AlertState, event: Event) -> AlertState:
    return replace(alert, state="resolved")


def _acknowledged(alert: AlertState, event: Event) -> AlertState:
    if not alert.is_open:
        return alert
    return replace(alert, state="acknowledged", acknowledged_by=event.body["by"])


def _resolved(alert: AlertState, event: Event) -> AlertState:
    return replace(alert, state="resolved", reason=event.body["reason"])


def _escalated(alert: AlertState, event: Event) -> AlertState:
    return replace(alert, escalated=alert.escalated + 1)


_CHANGES: Mapping[str, Callable[[AlertState, Event], AlertState]] = {
    "seen": _seen,
    "quiet": _quiet,
    "acknowledged": _acknowledged,
    "resolved": _resolved,
    "escalated": _escalated,
}


def _order(alert: AlertState) -> tuple[Any, ...]:
    monitor = alert.line[0]
    cause = _CAUSES_FIRST.index(monitor) if monitor in _CAUSES_FIRST else len(_CAUSES_FIRST)
    return (not alert.is_open, _WORST[alert.severity], alert.since, cause, alert.id)


def _covers(silence: Mapping[str, Any], at: datetime) -> bool:
    start, end = (datetime.fromisoformat(silence[name]) for name in ("start", "end"))
    return start <= at < end


def _matches(matcher: Mapping[str, str], alert: AlertState) -> bool:
    own = {
        "rule": alert.rule,
        "severity": alert.severity,
        **dict(zip(LINE, alert.line, strict=True)),
    }
    return all(fnmatchcase(own[name], pattern) for name, pattern in matcher.items())


# ------------------------------------------------------------------------------- what people do


def acknowledge(store: Store, deployment: str, alert: str, *, by: str, at: datetime) -> bool:
    """Say that somebody takes care of an alert; return whether nobody had said so.

    Raises ``UnknownAlert``, and ``ValueError`` for nobody.
    """
    _need(store, deployment, alert, at=at)
    body = {"alert": alert, "by": _said(by, "by")}
    return store.record(
        stream_of(deployment), f"{alert}/acknowledged", kind="acknowledged", at=at, body=body
    )


def resolve(
    store: Store, deployment: str, alert: str, *, by: str, reason: str, at: datetime
) -> bool:
    """Close an alert by hand, with the reason; return whether it was not closed so before.

    Raises ``UnknownAlert``, and ``ValueError`` for nobody or no reason.
    """
    _need(store, deployment, alert, at=at)
    body = {"alert": alert, "by": _said(by, "by"), "reason": _said(reason, "reason")}
    return store.record(
        stream_of(deployment), f"{alert}/resolved", kind="resolved", at=at, body=body
    )


def silence(
    store: Store,
    deployment: str,
    matcher: Mapping[str, str],
    *,
    start: datetime,
    end: datetime,
    by: str,
    reason: str,
    at: datetime,
) -> bool:
    """Tell nobody of some alerts from ``start`` to ``end``; they fire and are kept all the same.

    ``matcher`` has patterns (``*`` for anything) of ``rule``, ``severity``, ``monitor``,
    ``metric``, ``feature`` and ``group``. Return whether it is a new one.

    Raises ``ValueError`` naming what is wrong.
    """
    known = {"rule", "severity", *LINE}
    for name in matcher:
        if name not in known:
            raise ValueError(f"matcher: {name!r} is none of {', '.join(sorted(known))}")
    if not matcher:
        raise ValueError("matcher: is empty; name at least one, with '*' for anything")
    if not end > start:
        raise ValueError(f"end={end}: must be after start={start}")
    body = {
        "matcher": dict(matcher),
        "start": start.isoformat(),
        "end": end.isoformat(),
        "by": _said(by, "by"),
        "reason": _said(reason, "reason"),
    }
    what = ",".join(f"{name}={pattern}" for name, pattern in sorted(matcher.items()))
    key = f"silenced/{what}/{body['start']}/{body['end']}"
    return store.record(stream_of(deployment), key, kind="silenced", at=at, body=body)


def escalate(
    store: Store, deployment: str, *, after: timedelta, at: datetime, most: int = 3
) -> list[AlertState]:
    """Return the alerts that nobody acknowledged within ``after``, once for each such time.

    Those that are silenced wait; after ``most`` times an alert is left alone. A clock that jumps
    ahead escalates each once at the next call, and not once for each time that it jumped over.
    """
    found = []
    for alert in alerts(store, deployment, at=at):
        waits = alert.fired_at + (alert.escalated + 1) * after
        if alert.state != "firing" or alert.silenced or alert.escalated >= most or at < waits:
            continue
        key = f"{alert.id}/escalated/{alert.escalated + 1}"
        body = {"alert": alert.id}
        if store.record(stream_of(deployment), key, kind="escalated", at=at, body=body):
            found.append(replace(alert, escalated=alert.escalated + 1))
    return found


def _need(store: Store, deployment: str, alert: str, *, at: datetime) -> AlertState:
    for each in alerts(store, deployment, at=at):
        if each.id == alert:
            return each
    raise UnknownAlert(f"alert={alert!r}: no such alert of {deployment!r}")


def _said(text: str, argument: str) -> str:
    if not text.strip():
        raise ValueError(f"{argument}={text!r}: must not be empty")
    return text
