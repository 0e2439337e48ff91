"""A run that may break off anywhere and be taken up again: what a step did is known by its key.

A run is a stream of events of its own, ``run/<deployment>/<window end>``. A step that is done has
its event there, and is not done again: what it returned is read. A process that dies within a step
leaves a run in which the next process does that one step again, so what a step does must be
harmless the second time; and one that dies in it again and again is given up, as one that raises.

>>> from utils.store import open_store
>>> from utils.store.example import NOON
>>> asked = []
>>> with open_store("sqlite://") as store:
...     for _ in range(2):
...         run = Run(store=store, deployment="flights", id="2013-04-08", clock=lambda: NOON)
...         n = run.step("count", lambda: asked.append("once") or {"n": 2})["n"]
>>> n, asked
(2, ['once'])
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from utils.records import Event, VigiaError
from utils.store import Store
from utils.text import LANGUAGES, nearest, tr, using

Body = Mapping[str, Any]
"""What a step returns, and its event keeps: anything that JSON holds."""

WAITING, APPROVED, DECLINED = "waiting", "approved", "declined"
MOST_TRIES = 3
FIRST_PAUSE_S = 1.0


class GivenUp(VigiaError):
    """A step failed, or was broken off, as often as it may."""


class Waiting(VigiaError):
    """The run waits for somebody's approval."""


class Declined(VigiaError):
    """Somebody said no."""


class UnknownRun(VigiaError):
    """No run of this name, or none that waits."""


def stream_of(deployment: str, run: str) -> str:
    return f"run/{deployment}/{run}"


def in_both(said: Callable[[], str]) -> dict[str, str]:
    """Return what a function says in each language, to be kept in an event.

    >>> in_both(lambda: tr(pt="sim", en="yes"))
    {'pt': 'sim', 'en': 'yes'}
    """
    found = {}
    for code in LANGUAGES:
        with using(code):
            found[code] = said()
    return found


def read_out(texts: Mapping[str, str]) -> str:
    """Return what ``in_both`` kept, in the language in force.

    >>> with using("en"):
    ...     read_out({"pt": "sim", "en": "yes"})
    'yes'
    """
    return tr(**texts)


def _nobody_looks(phase: str, step: str) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the loop, in its stream.

    ``clock`` gives the moment that is written. ``gated`` are the steps that wait for a person.
    ``hold`` raises where somebody else acts now; it is called before each step. ``watch`` is told
    of each phase of a step: ``begins``, ``did`` (and not written yet), ``done``.
    """

    store: Store
    deployment: str
    id: str
    clock: Callable[[], datetime]
    gated: Collection[str] = ()
    hold: Callable[[], object] = field(default=lambda: None)
    watch: Callable[[str, str], object] = _nobody_looks
    most_tries: int = MOST_TRIES
    sleep: Callable[[float], object] = time.sleep

    @property
    def stream(self) -> str:
        return stream_of(self.deployment, self.id)

    def events(self) -> dict[str, Event]:
        """Return what happened in this run so far, by key, in order."""
        return {event.key: event for event in self.store.events(self.stream)}

    def step(self, name: str, do: Callable[[], Body]) -> Body:
        """Return what a step did: now, or before where it is done already.

        What it raises is written down and tried again, after a pause that doubles, ``most_tries``
        times in all; tries that a process did not survive count.

        Raises ``GivenUp`` naming the step and its last error.
        """
        self.hold()
        known = self.events()
        if name in known:
            return known[name].body
        tries = sum(each.kind == "tried" and each.body["step"] == name for each in known.values())
        error = _last_error(known.values(), name)
        while tries < self.most_tries:
            if error is not None:
                self.sleep(FIRST_PAUSE_S * 2 ** (tries - 1))
            tries += 1
            self._write(f"{name}#{tries}", "tried", {"step": name})
            self.watch("begins", name)
            try:
                body = dict(do())
            except Exception as raised:  # a step may be anybody's code: its error is its record
                error = f"{type(raised).__name__}: {raised}"
                self._write(f"{name}#{tries}/failed", "failed", {"step": name, "error": error})
                continue
            self.watch("did", name)
            self._write(name, "done", body)
            self.watch("done", name)
            return self.events()[name].body
        raise GivenUp(f"{name}: {error or 'broke off'} (tried {tries} times)")

    def _write(self, key: str, kind: str, body: Body) -> bool:
        return self.store.record(self.stream, key, kind=kind, at=self.clock(), body=body)

    def need_approval(self, step: str, *, why: Mapping[str, str]) -> None:
        """Go on where a step waits for nobody, or somebody approved it.

        Raises ``Waiting``, with the way to approve, and ``Declined`` naming who said no.
        """
        if step not in self.gated:
            return
        known = self.events()
        for event in known.values():
            if event.body.get("step") != step:
                continue
            if event.kind == APPROVED:
                return
            if event.kind == DECLINED:
                raise Declined(
                    tr(
                        pt=f"{step}: {event.body['by']} recusou",
                        en=f"{step}: {event.body['by']} declined",
                    )
                )
        self._write(f"{step}/{WAITING}", WAITING, {"step": step, "why": dict(why)})
        raise Waiting(
            tr(
                pt=f"{step}: aguarda aprovação (python -m utils schedule approve {self.id} "
                f"--deployment {self.deployment} --store URL --by QUEM)",
                en=f"{step}: waiting for approval (python -m utils schedule approve {self.id} "
                f"--deployment {self.deployment} --store URL --by WHO)",
            )
        )


def _last_error(events: Collection[Event], step: str) -> str | None:
    failed = [e.body["error"] for e in events if e.kind == "failed" and e.body["step"] == step]
    return failed[-1] if failed else None


def waits_for(events: Collection[Event]) -> str:
    """Return the step for which a run waits, or an empty text."""
    answered = {e.body["step"] for e in events if e.kind in (APPROVED, DECLINED)}
    done = {e.key for e in events if e.kind == "done"}
    waiting = [e.body["step"] for e in events if e.kind == WAITING]
    return next((step for step in waiting if step not in answered | done), "")


def answer(
    store: Store,
    deployment: str,
    run: str,
    *,
    by: str,
    at: datetime,
    yes: bool = True,
    reason: str = "",
) -> str:
    """Approve, or decline, the step for which a run waits; return its name.

    The run goes on when the scheduler next looks. The first answer counts.

    Raises ``UnknownRun`` for a run that there is none of, or that waits for nobody (any more), and
    ``ValueError`` for nobody.
    """
    if not by.strip():
        raise ValueError(f"by={by!r}: must name who answers")
    events = store.events(stream_of(deployment, run))
    if not events:
        prefix = stream_of(deployment, "")
        there = [each.removeprefix(prefix) for each in store.streams(prefix)]
        near = nearest(run, there) if there else "there is none yet"
        raise UnknownRun(f"run={run!r}: {deployment!r} has no such run; {near}")
    step = waits_for(events)
    stream, kind = stream_of(deployment, run), APPROVED if yes else DECLINED
    body = {"step": step, "by": by, "reason": reason}
    if not step or not store.record(stream, f"{step}/answer", kind=kind, at=at, body=body):
        given = [each for each in store.events(stream) if each.kind in (APPROVED, DECLINED)]
        said = [f"{each.body['by']} {each.kind} {each.body['step']}" for each in given]
        raise UnknownRun(
            f"run={run!r}: waits for nobody's approval" + (f" ({', '.join(said)})" if said else "")
        )
    return step
