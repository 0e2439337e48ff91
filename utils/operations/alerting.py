"""The book of alerts: what fired, who knows, what is quiet again, folded from events.

Each evaluation writes events whose keys hang on rule, line and window alone. So evaluating again,
two at once, or after a crash, adds what is new and nothing twice; and the state of the alerts is
what the events say, whoever reads them.

Values change after they were judged, as labels ripen. An alert keeps its name then: windows that
turn out to belong to it are added, and one whose windows all turn out to be quiet is resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

import pandas as pd

from utils.operations.rules import by_line, judged, named
from utils.records import LINE, Action, AlertRule, Event, Severity, VigiaError
from utils.store import Store
from utils.text import date, metric_name, number, tr

State = Literal["firing", "acknowledged", "resolved"]
_WORST = {"critical": 0, "warning": 1}
_SET_BACK = timedelta(days=1)
"""A clock that shows so much less than it did before was wrong before."""
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
    escalated_at: datetime | None = None
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
        start, n = date(self.since), self.n_windows
        many = "" if n == 1 else "s"
        return tr(
            pt=f"{what}: {value}, além do limite {limit}, desde a janela de {start} "
            f"({n} janela{many}).",
            en=f"{what}: {value}, beyond the bound {limit}, since the window of {start} "
            f"({n} window{many}).",
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
    that is written; the state hangs on the windows alone. The table needs the last few windows, as
    many as ``persistence`` and ``clear_after`` ask for; more do no harm. The alert of a line that
    is measured no more stays as it was, until somebody resolves it.

    Raises ``ValueError`` for ``clear_after`` below 1.
    """
    if clear_after < 1:
        raise ValueError(f"clear_after={clear_after!r}: must be at least 1")
    stream, known = stream_of(deployment), named(rules)
    new = []
    events = store.events(stream)
    book, written = _episodes(events), {each.key for each in events}
    for rule, line, rows in by_line(judged(rules, table)):
        before = book.get((rule, line), [])
        if not (before or rows["outside"].any()):
            continue
        for key, kind, body in _happened(known[rule], line, rows, before, clear_after=clear_after):
            if key in written:
                continue
            if store.record(stream, key, kind=kind, at=at, body=body) and kind == "fired":
                new.append(key)
    found = {each.id: each for each in alerts(store, deployment, at=at)}
    return [found[key] for key in new]


@dataclass(kw_only=True)
class _Episode:
    """An alert of one line, by the starts of its windows: the first and last outside, the quiet."""

    id: str
    first: pd.Timestamp
    last: pd.Timestamp
    cleared: pd.Timestamp | None = None


def _episodes(events: Iterable[Event]) -> dict[tuple[str, tuple[str, ...]], list[_Episode]]:
    """Return the alerts of the book by rule and line, in the order in which they fired."""
    found: dict[str, _Episode] = {}
    by_line: dict[tuple[str, tuple[str, ...]], list[_Episode]] = {}
    for event in events:
        if event.kind not in ("fired", "seen", "quiet"):
            continue
        start = pd.Timestamp(event.body["window_start"])
        if event.kind == "fired":
            found[event.key] = _Episode(id=event.key, first=start, last=start)
            line = (event.body["rule"], tuple(event.body["line"]))
            by_line.setdefault(line, []).append(found[event.key])
        elif event.kind == "seen":
            episode = found[event.body["alert"]]
            episode.first, episode.last = min(episode.first, start), max(episode.last, start)
        else:
            found[event.body["alert"]].cleared = start
    return by_line


def _happened(
    rule: AlertRule,
    line: tuple[str, ...],
    rows: pd.DataFrame,
    before: Sequence[_Episode],
    *,
    clear_after: int,
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    """Yield the events of one line: its alerts, window by window."""
    told = list(rows[rows["known"]].itertuples())
    alert = _goes_on(before, told)
    met = {alert.id} if alert else set()
    quiet = 0
    for place, row in enumerate(told):
        start = row.window_start
        # Resolved on values that were revised since: what lasts is an alert of its own.
        lasts = alert and row.outside and alert.cleared is not None and start >= alert.cleared
        if alert is None or lasts:
            if not (row.alarm or lasts):
                continue
            quiet = 0
            alert = _same(before, told, place, clear_after=clear_after)
            if alert is None:
                key = "/".join(["fired", rule.name, *line, start.isoformat()])
                alert = _Episode(id=key, first=start, last=start)
                yield key, "fired", _seen_in(row) | _about(rule, line)
            met.add(alert.id)
        if row.outside:
            quiet = 0
            if not alert.id.endswith(start.isoformat()):
                yield _event(alert, "seen", row)
        else:
            quiet += 1
            if quiet == clear_after:
                yield _event(alert, "quiet", row)
                alert.cleared = alert.cleared or start
                alert = None
    for each in before:
        if each.id not in met and each.cleared is None:
            yield from _turned_out_quiet(each, told, clear_after=clear_after)


def _event(alert: _Episode, kind: str, row: Any) -> tuple[str, str, dict[str, Any]]:
    place = f"/{row.window_start.isoformat()}" if kind == "seen" else ""
    return f"{alert.id}/{kind}{place}", kind, _seen_in(row) | {"alert": alert.id}


def _seen_in(row: Any) -> dict[str, Any]:
    return {
        "window_start": row.window_start.isoformat(),
        "window_end": row.window_end.isoformat(),
        "value": row.value,
        "low": row.low,
        "high": row.high,
    }


def _goes_on(before: Sequence[_Episode], told: Sequence[Any]) -> _Episode | None:
    """Return the alert that was open before the table's first window."""
    is_open = [e for e in before if e.cleared is None and told and e.last < told[0].window_start]
    return max(is_open, key=lambda each: each.last, default=None)


def _same(
    before: Sequence[_Episode], told: Sequence[Any], place: int, *, clear_after: int
) -> _Episode | None:
    """Return the alert of the book that shares windows with the one that fires at a place."""
    start = _reach(told, range(place - 1, -1, -1), place, clear_after=clear_after)
    end = _reach(told, range(place + 1, len(told)), place, clear_after=clear_after)
    first, now, last = (told[i].window_start for i in (start, place, end))
    for each in before:
        is_over = each.cleared is not None and each.cleared <= now
        if each.first <= last and each.last >= first and not is_over:
            return each
    return None


def _reach(told: Sequence[Any], places: Iterable[int], place: int, *, clear_after: int) -> int:
    """Return the last of the places before so many quiet windows in a row."""
    quiet = 0
    for each in places:
        quiet = 0 if told[each].outside else quiet + 1
        if quiet == clear_after:
            break
        place = each
    return place


def _turned_out_quiet(
    alert: _Episode, told: Sequence[Any], *, clear_after: int
) -> Iterable[tuple[str, str, dict[str, Any]]]:
    quiet = 0
    for row in told:
        if row.window_start >= alert.first:
            quiet = 0 if row.outside else quiet + 1
            if quiet == clear_after:
                yield _event(alert, "quiet", row)
                return


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
    start, end = (datetime.fromisoformat(event.body[f"window_{at}"]) for at in ("start", "end"))
    return replace(
        alert,
        since=min(alert.since, start),
        last_seen=max(alert.last_seen, end),
        n_windows=alert.n_windows + 1,
    )


def _quiet(alert: AlertState, event: Event) -> AlertState:
    return replace(alert, state="resolved")


def _acknowledged(alert: AlertState, event: Event) -> AlertState:
    if not alert.is_open:
        return alert
    return replace(alert, state="acknowledged", acknowledged_by=event.body["by"])


def _resolved(alert: AlertState, event: Event) -> AlertState:
    return replace(alert, state="resolved", reason=event.body["reason"])


def _escalated(alert: AlertState, event: Event) -> AlertState:
    return replace(alert, escalated=alert.escalated + 1, escalated_at=event.at)


_CHANGES: Mapping[str, Callable[[AlertState, Event], AlertState]] = {
    "seen": _seen,
    "quiet": _quiet,
    "acknowledged": _acknowledged,
    "resolved": _resolved,
    "escalated": _escalated,
}


def _order(alert: AlertState) -> tuple[Any, ...]:
    return (not alert.is_open, _WORST[alert.severity], alert.since, causes_first(alert))


def causes_first(alert: AlertState) -> tuple[int, datetime, str]:
    """Return what sorts alerts so that what may cause another stands before it, however severe.

    Broken data stand before drift, and drift before performance.
    """
    monitor = alert.line[0]
    cause = _CAUSES_FIRST.index(monitor) if monitor in _CAUSES_FIRST else len(_CAUSES_FIRST)
    return cause, alert.since, alert.id


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

    The time runs from when it fired or was last escalated. Those that are silenced wait; after
    ``most`` times an alert is left alone. A clock that jumps ahead escalates each once, and not
    for each time that it jumped over; one that is set back by more than a day holds nothing up.
    """
    found = []
    for alert in alerts(store, deployment, at=at):
        since = alert.escalated_at or alert.fired_at
        is_early = since - _SET_BACK <= at < since + after
        if alert.state != "firing" or alert.silenced or alert.escalated >= most or is_early:
            continue
        key = f"{alert.id}/escalated/{alert.escalated + 1}"
        body = {"alert": alert.id}
        if store.record(stream_of(deployment), key, kind="escalated", at=at, body=body):
            found.append(replace(alert, escalated=alert.escalated + 1, escalated_at=at))
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
