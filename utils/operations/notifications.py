"""Who is told: one message for what fired together, kept until it is delivered.

A message is an event in the outbox before anybody is told. Each try is an event too, so a process
that dies between two of them leaves the message due, and the next one goes on: **at least once**.
Where it died between the delivery and its record, the receiver hears it twice, with the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from utils.operations.alerting import AlertState, alerts
from utils.records import Event, utc_now
from utils.store import Store
from utils.text import LANGUAGES, tr, using

FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 3600.0
MOST_TRIES = 12
TIMEOUT_S = 10.0
MOST_WAITING = 200

Send = Callable[[str, str, str], bool]
"""Sends a title and a body to a URL; whether it was taken."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is told to one channel: its state in the outbox."""

    id: str
    channel: str
    title: str
    body: str
    severity: str
    made_at: datetime
    tries: int = 0
    last_try: datetime | None = None
    pause_s: float = 0.0
    outcome: str = ""

    @property
    def is_waiting(self) -> bool:
        return not self.outcome

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be tried now; a clock that was set back does not hold it up."""
        if not self.is_waiting:
            return False
        if self.last_try is None or now < self.last_try:
            return True
        return now >= self.last_try + timedelta(seconds=self.pause_s)


def outbox_of(deployment: str) -> str:
    return f"outbox/{deployment}"


# ------------------------------------------------------------------------------- composing


def compose(
    store: Store,
    deployment: str,
    channels: Sequence[str],
    *,
    language: str,
    at: datetime,
    runbooks: str = "",
    most_waiting: int = MOST_WAITING,
) -> list[str]:
    """Put what nobody was told of yet into the outbox, one message for each channel.

    Alerts that fired and were not told stand in one message, the causes first. Silenced ones wait
    until the silence ends, and are told then if they are still open. What is critical again after
    an escalation is told again. Where more than ``most_waiting`` messages wait for a channel, the
    oldest of the least severe are folded into one digest. Returns the ids of the new messages.

    Raises ``ValueError`` for a language that is none of ours, and for no channel.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language={language!r}: the languages are {', '.join(LANGUAGES)}")
    if not channels:
        raise ValueError("channels: none; a URL at least is needed")
    told = {key for event in store.events(f"told/{deployment}") for key in event.body["alerts"]}
    due = [
        (each, f"{each.id}#{each.escalated}")
        for each in alerts(store, deployment, at=at)
        if each.is_open and not each.silenced
    ]
    due = [(each, key) for each, key in due if key not in told]
    if not due:
        return []
    keys = sorted(key for _, key in due)
    id = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]
    with using(language):
        title, body = _text(deployment, [each for each, _ in due], runbooks=runbooks, id=id)
    worst = "critical" if any(each.severity == "critical" for each, _ in due) else "warning"
    made = []
    for channel in channels:
        message = {"channel": channel, "title": title, "body": body, "severity": worst}
        key = f"{id}/{_short(channel)}"
        if store.record(outbox_of(deployment), key, kind="message", at=at, body=message):
            made.append(key)
    store.record(f"told/{deployment}", id, kind="told", at=at, body={"alerts": keys})
    for channel in channels:
        _fold(store, deployment, channel, most=most_waiting, language=language, at=at)
    return made


def _text(deployment: str, due: Sequence[AlertState], *, runbooks: str, id: str) -> tuple[str, str]:
    n = len(due)
    first = due[0]
    title = tr(
        pt=f"{deployment}: {n} alerta{'s' if n > 1 else ''} ({first.rule})",
        en=f"{deployment}: {n} alert{'s' if n > 1 else ''} ({first.rule})",
    )
    lines = []
    for each in due:
        severity = {"critical": tr(pt="crítico", en="critical")}.get(
            each.severity, tr(pt="aviso", en="warning")
        )
        again = tr(pt=" (ninguém respondeu)", en=" (nobody answered)") if each.escalated else ""
        lines.append(f"[{severity}] {each.rule}{again}: {each.evidence}")
        lines.append(tr(pt=f"  Primeiro: {action(each)}", en=f"  First: {action(each)}"))
        if each.owner:
            lines.append(tr(pt=f"  Responde: {each.owner}", en=f"  Owner: {each.owner}"))
        if each.runbook:
            lines.append(tr(pt="  Roteiro: ", en="  Runbook: ") + runbooks + each.runbook)
    lines.append(f"id: {id}")
    return title, "\n".join(lines)


def action(alert: AlertState) -> str:
    """Return an alert's action in the language in force.

    >>> from types import SimpleNamespace
    >>> with using("pt"):
    ...     action(SimpleNamespace(action="roll back"))
    'reverter'
    """
    return {
        "investigate": tr(pt="investigar", en="investigate"),
        "retrain": tr(pt="retreinar", en="retrain"),
        "roll back": tr(pt="reverter", en="roll back"),
        "quarantine": tr(pt="pôr os dados em quarentena", en="quarantine the data"),
        "dismiss": tr(pt="dispensar, com o motivo", en="dismiss, with the reason"),
    }[alert.action]


def _short(channel: str) -> str:
    """Return a name of a channel that tells no password."""
    return hashlib.sha256(channel.encode()).hexdigest()[:12]


def _fold(
    store: Store, deployment: str, channel: str, *, most: int, language: str, at: datetime
) -> None:
    """Fold the oldest of the least severe waiting messages of a channel into one digest."""
    waiting = [
        each for each in messages(store, deployment) if each.is_waiting and each.channel == channel
    ]
    if len(waiting) <= most:
        return
    order = sorted(waiting, key=lambda each: (each.severity == "critical", each.made_at, each.id))
    folded = order[: len(waiting) - most + 1]
    ids = sorted(each.id for each in folded)
    id = f"digest-{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:12]}/{_short(channel)}"
    with using(language):
        title = tr(
            pt=f"{deployment}: {len(folded)} mensagens que esperavam, juntas",
            en=f"{deployment}: {len(folded)} messages that waited, in one",
        )
    worst = "critical" if any(each.severity == "critical" for each in folded) else "warning"
    body = {
        "channel": channel,
        "title": title,
        "body": "\n\n".join(f"{each.title}\n{each.body}" for each in folded),
        "severity": worst,
    }
    store.record(outbox_of(deployment), id, kind="message", at=at, body=body)
    for each in folded:
        _outcome(store, deployment, each.id, "folded", at=at)


# ------------------------------------------------------------------------------- delivering


def messages(store: Store, deployment: str) -> list[Message]:
    """Return every message of a deployment and how it fared, oldest first."""
    found: dict[str, dict[str, Any]] = {}
    for event in store.events(outbox_of(deployment)):
        if event.kind == "message":
            found[event.key] = {"id": event.key, "made_at": event.at, **event.body}
        elif event.body["message"] in found:
            _apply(found[event.body["message"]], event)
    return [Message(**each) for each in found.values()]


def _apply(message: dict[str, Any], event: Event) -> None:
    if event.kind == "tried":
        tries = message.get("tries", 0) + 1
        message |= {"tries": tries, "last_try": event.at, "pause_s": event.body["pause_s"]}
    else:
        message["outcome"] = event.body["outcome"]


def deliver(
    store: Store,
    deployment: str,
    *,
    now: datetime,
    rng: np.random.Generator,
    send: Send | None = None,
    most_tries: int = MOST_TRIES,
) -> dict[str, int]:
    """Try each message that is due, once; return how many were delivered, put off and given up.

    A receiver that fails or hangs delays its own messages alone: the pause doubles from half a
    minute to an hour, less up to a half at random, and after ``most_tries`` the message is given
    up, which stays on record. The most severe go first.
    """
    send = through_apprise if send is None else send
    due = [each for each in messages(store, deployment) if each.is_due(now)]
    due.sort(key=lambda each: (each.severity != "critical", each.made_at, each.id))
    counts = {"delivered": 0, "put_off": 0, "given_up": 0}
    for each in due:
        taken = send(each.channel, each.title, each.body)
        if taken:
            _outcome(store, deployment, each.id, "delivered", at=now)
            counts["delivered"] += 1
            continue
        tries = each.tries + 1
        body = {"message": each.id, "pause_s": pause_s(tries, rng)}
        store.record(
            outbox_of(deployment), f"{each.id}/try/{tries}", kind="tried", at=now, body=body
        )
        if tries >= most_tries:
            _outcome(store, deployment, each.id, "given up", at=now)
            counts["given_up"] += 1
        else:
            counts["put_off"] += 1
    return counts


def _outcome(store: Store, deployment: str, id: str, outcome: str, *, at: datetime) -> None:
    body = {"message": id, "outcome": outcome}
    store.record(outbox_of(deployment), f"{id}/outcome", kind="outcome", at=at, body=body)


def pause_s(tries: int, rng: np.random.Generator) -> float:
    """Return how long to wait after so many failed tries, in seconds.

    >>> rng = np.random.default_rng(0)
    >>> [15 <= pause_s(1, rng) <= 30, pause_s(40, rng) <= 3600]
    [True, True]
    """
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(tries - 1, 30))
    return float(longest * (1 - rng.random() / 2))


def through_apprise(url: str, title: str, body: str) -> bool:
    """Send through apprise (``json://…`` is a webhook); ``False`` if it was not taken.

    A receiver that does not answer within ``TIMEOUT_S`` seconds did not take it.
    """
    import apprise

    sender = apprise.Apprise()
    if not sender.add(_with_timeout(url)):
        return False
    return bool(sender.notify(title=title, body=body))


def _with_timeout(url: str) -> str:
    if "rto=" in url:
        return url
    joined = "&" if "?" in url else "?"
    return f"{url}{joined}rto={TIMEOUT_S:g}&cto={TIMEOUT_S:g}"


def is_channel(url: str) -> bool:
    """Return whether apprise knows what to do with a URL.

    >>> is_channel("json://127.0.0.1:9/hook"), is_channel("nonsense")
    (True, False)
    """
    import apprise

    return apprise.Apprise.instantiate(url) is not None


def tell(
    store: Store,
    deployment: str,
    channels: Sequence[str],
    *,
    language: str,
    rng: np.random.Generator,
    now: datetime | None = None,
    send: Send | None = None,
    runbooks: str = "",
) -> Mapping[str, int]:
    """Compose what is new and deliver what is due: what a schedule calls each time."""
    at = utc_now() if now is None else now
    compose(store, deployment, channels, language=language, at=at, runbooks=runbooks)
    return deliver(store, deployment, now=at, rng=rng, send=send)
