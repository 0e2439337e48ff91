"""Who is told: one message for what fired together, kept until it is delivered.

What is told is written in one event before anybody is told, and each try is claimed by an event
before it is made: of two processes one sends. One that dies leaves its claim, which runs out after
``CLAIM_S`` seconds, and the next one goes on: **at least once**. Where it died between the delivery
and its record, the receiver hears it twice, with the same id.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np

from utils.operations.alerting import AlertState, alerts, causes_first
from utils.records import Event, utc_now
from utils.store import Store
from utils.text import LANGUAGES, tr, using

FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 3600.0
MOST_TRIES = 200
"""Tries before a message is given up: about a week, an hour apart for the most part."""
CLAIM_S = 60.0
"""How long a try is its process's own; longer than a receiver may take to connect and answer."""
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
    is_sending: bool = False
    folds: tuple[str, ...] = ()
    outcome: str = ""

    @property
    def is_waiting(self) -> bool:
        return not self.outcome

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be tried now.

        A clock that was set back holds it up for no longer than the longest pause.
        """
        if not self.is_waiting:
            return False
        if self.last_try is None or now < self.last_try - timedelta(seconds=LONGEST_PAUSE_S):
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
    escalate_to: Sequence[str] = (),
    runbooks: str = "",
    most_waiting: int = MOST_WAITING,
) -> list[str]:
    """Put what nobody was told of yet into the outbox, one message for each channel.

    Alerts that fired and were not told stand in one message, the causes first. Silenced ones wait
    until the silence ends, and are told then if they are still open; one that is over before
    anybody could be told stays in the book alone. What was escalated is told again: first to the
    first of ``escalate_to``, then to the next, and to ``channels`` where there is none. Where more
    than ``most_waiting`` messages wait for a channel, the oldest of the least severe are folded
    into one digest. Returns the ids of the new messages.

    Raises ``ValueError`` for a language that is none of ours, and for no channel.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language={language!r}: the languages are {', '.join(LANGUAGES)}")
    if not channels:
        raise ValueError("channels: none; a URL at least is needed")
    stream = f"told/{deployment}"
    while True:
        before = store.events(stream)
        told = {key for event in before for key in event.body["alerts"]}
        due = {
            f"{each.id}#{each.escalated}": each
            for each in alerts(store, deployment, at=at)
            if each.is_open and not each.silenced
        }
        due = {key: each for key, each in due.items() if key not in told}
        made: dict[str, dict[str, Any]] = {}
        for targets, part in _by_targets(due, channels, escalate_to):
            made |= _written(deployment, part, targets, language=language, runbooks=runbooks)
        body = {"alerts": sorted(due), "messages": made}
        # The key is the place in the stream: of two who write at once one has to look again.
        if not due or store.record(stream, str(len(before)), kind="told", at=at, body=body):
            break
    _post(store, deployment)
    for channel in dict.fromkeys([*channels, *escalate_to]):
        _fold(store, deployment, channel, most=most_waiting, language=language, at=at)
    return list(made)


def _by_targets(
    due: Mapping[str, AlertState], channels: Sequence[str], escalate_to: Sequence[str]
) -> list[tuple[tuple[str, ...], dict[str, AlertState]]]:
    """Return what is due by the channels that are told of it."""
    parts: dict[tuple[str, ...], dict[str, AlertState]] = {}
    for key, each in due.items():
        goes_on = each.escalated and escalate_to
        level = min(each.escalated, len(escalate_to)) - 1
        targets = (escalate_to[level],) if goes_on else tuple(dict.fromkeys(channels))
        parts.setdefault(targets, {})[key] = each
    return list(parts.items())


def _written(
    deployment: str,
    due: Mapping[str, AlertState],
    targets: Sequence[str],
    *,
    language: str,
    runbooks: str,
) -> dict[str, dict[str, Any]]:
    id = hashlib.sha256("\n".join(sorted(due)).encode()).hexdigest()[:16]
    ordered = sorted(due.values(), key=causes_first)
    with using(language):
        title, body = _text(deployment, ordered, runbooks=runbooks, id=id)
    worst = "critical" if any(each.severity == "critical" for each in ordered) else "warning"
    message = {"title": title, "body": body, "severity": worst}
    return {f"{id}/{_short(channel)}": {"channel": channel} | message for channel in targets}


def _post(store: Store, deployment: str) -> None:
    """Put into the outbox what was written to be told, also by one that died before it did."""
    there = {event.key for event in store.events(outbox_of(deployment)) if event.kind == "message"}
    for event in store.events(f"told/{deployment}"):
        for key, message in event.body["messages"].items():
            if key not in there:
                store.record(outbox_of(deployment), key, kind="message", at=event.at, body=message)


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
    free = [each for each in waiting if not each.is_sending or each.is_due(at)]
    order = sorted(free, key=lambda each: (each.severity == "critical", each.made_at, each.id))
    chosen = order[: len(waiting) - most + 1]
    folded = [each for each in chosen if _claim(store, deployment, each, at=at)]
    if not folded:
        return
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
        "folds": ids,
    }
    store.record(outbox_of(deployment), id, kind="message", at=at, body=body)


# ------------------------------------------------------------------------------- delivering


def messages(store: Store, deployment: str) -> list[Message]:
    """Return every message of a deployment and how it fared, oldest first."""
    found: dict[str, dict[str, Any]] = {}
    for event in store.events(outbox_of(deployment)):
        if event.kind == "message":
            found[event.key] = {"id": event.key, "made_at": event.at, **event.body}
            for each in event.body.get("folds", ()):
                found[each].setdefault("outcome", "folded")
        elif event.body["message"] in found:
            _apply(found[event.body["message"]], event)
    return [Message(**each | {"folds": tuple(each.get("folds", ()))}) for each in found.values()]


def _apply(message: dict[str, Any], event: Event) -> None:
    if event.kind == "outcome":
        message["outcome"] = event.body["outcome"]
        return
    is_sending = event.kind == "sending"
    tries = message.get("tries", 0) + is_sending
    message |= {"tries": tries, "last_try": event.at, "pause_s": event.body["pause_s"]}
    message["is_sending"] = is_sending


def _claim(store: Store, deployment: str, message: Message, *, at: datetime) -> bool:
    """Take the next try of a message; return whether it is ours and nobody else's."""
    body = {"message": message.id, "pause_s": CLAIM_S}
    key = f"{message.id}/try/{message.tries + 1}"
    return store.record(outbox_of(deployment), key, kind="sending", at=at, body=body)


def deliver(
    store: Store,
    deployment: str,
    *,
    now: datetime,
    rng: np.random.Generator,
    send: Send | None = None,
    most_tries: int = MOST_TRIES,
    seconds: Callable[[], float] = time.monotonic,
) -> dict[str, int]:
    """Try each message that is due, once; return how many were delivered, put off and given up.

    A receiver that fails or hangs delays its own messages alone, and fails once a call: the pause
    doubles from half a minute to an hour, less up to a half at random, and after ``most_tries``
    the message is given up, which stays on record. The most severe go first. ``seconds`` tells how
    long the call itself takes, which is added to ``now``.
    """
    send = through_apprise if send is None else send
    due = [each for each in messages(store, deployment) if each.is_due(now)]
    due.sort(key=lambda each: (each.severity != "critical", each.made_at, each.id))
    counts = {"delivered": 0, "put_off": 0, "given_up": 0}
    failed: set[str] = set()
    began = seconds()
    for each in due:
        at = now + timedelta(seconds=seconds() - began)
        if each.channel in failed or not _claim(store, deployment, each, at=at):
            continue
        if send(each.channel, each.title, each.body):
            _outcome(store, deployment, each.id, "delivered", at=at)
            counts["delivered"] += 1
            continue
        failed.add(each.channel)
        tries = each.tries + 1
        at = now + timedelta(seconds=seconds() - began)
        body = {"message": each.id, "pause_s": pause_s(tries, rng)}
        key = f"{each.id}/tried/{tries}"
        store.record(outbox_of(deployment), key, kind="tried", at=at, body=body)
        if tries >= most_tries:
            _outcome(store, deployment, each.id, "given up", at=at)
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

    ``file:///path`` is ours: the message is added to the end of a file. A receiver that does not
    answer within ``TIMEOUT_S`` seconds did not take it.
    """
    if path := _file_of(url):
        return _add_to(path, title, body)
    import apprise

    sender = apprise.Apprise()
    if not sender.add(_with_timeout(url)):
        return False
    return bool(sender.notify(title=title, body=body))


def _file_of(url: str) -> str:
    parts = urlsplit(url)
    is_ours = parts.scheme == "file" and parts.netloc in ("", "localhost")
    return url2pathname(parts.path) if is_ours else ""


def _add_to(path: str, title: str, body: str) -> bool:
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{title}\n{body}\n\n")
    except OSError:
        return False
    return True


def _with_timeout(url: str) -> str:
    if "rto=" in url:
        return url
    joined = "&" if "?" in url else "?"
    return f"{url}{joined}rto={TIMEOUT_S:g}&cto={TIMEOUT_S:g}"


def is_channel(url: str) -> bool:
    """Return whether a URL is one that can be told anything.

    >>> [is_channel(url) for url in ("json://127.0.0.1:9/hook", "file:///tmp/alerts", "nonsense")]
    [True, True, False]
    """
    if _file_of(url):
        return True
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
    escalate_to: Sequence[str] = (),
    runbooks: str = "",
) -> Mapping[str, int]:
    """Compose what is new and deliver what is due: what a schedule calls each time."""
    at = utc_now() if now is None else now
    about = {"escalate_to": escalate_to, "runbooks": runbooks}
    compose(store, deployment, channels, language=language, at=at, **about)
    return deliver(store, deployment, now=at, rng=rng, send=send)
