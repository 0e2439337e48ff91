"""``python -m utils schedule …``: the loop as a command, and what people say to it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from utils.operations import actions, life, quarantine, steps
from utils.operations.loop import Loop, told
from utils.operations.plans import ByNotebook, PlanFile, read_plan
from utils.operations.schedule import Done, Lease, Scheduler, holder_of_this_process
from utils.records import VigiaError, utc_now
from utils.store import Store, open_store
from utils.text import date, tr, using

EXIT = {"Completed": 0, "CompletedWithViolations": 1, "waiting for approval": 1, "Failed": 2}
"""Exit statuses of ``once`` and of ``run --until``: the worst of the runs."""


class Unusable(VigiaError):
    """An argument of a command that cannot be used."""


def run(chosen: argparse.Namespace, *, by_notebook: ByNotebook | None = None) -> int:
    """Do what was chosen, and return the exit status."""
    commands: dict[str, Callable[[Store, argparse.Namespace], int]] = {
        "list": _list,
        "ask": _ask,
        "approve": _approve,
        "decline": _approve,
        "release": _release,
    }
    with open_store(chosen.store) as store:
        if chosen.what not in commands:
            return _scheduled(store, chosen, by_notebook)
        try:
            return commands[chosen.what](store, chosen)
        except ValueError as error:
            raise Unusable(str(error)) from error


# ------------------------------------------------------------------------------- the scheduler


def _scheduled(store: Store, chosen: argparse.Namespace, by_notebook: ByNotebook | None) -> int:
    file = read_plan(chosen.plan, by_notebook=by_notebook)
    with using(file.plan.language):
        scheduler = _scheduler(store, file, chosen)
        scheduler.lease.hold()
        try:
            if chosen.what == "once":
                return _said(scheduler.tick(now=utc_now()), store)
            return _run(scheduler, chosen, store)
        finally:
            scheduler.lease.release()


def _scheduler(store: Store, file: PlanFile, chosen: argparse.Namespace) -> Scheduler:
    name = file.plan.deployment
    loop = Loop(plan=file.plan, store=store, tracking_uri=chosen.tracking_uri)
    lease = Lease(store=store, deployment=name, holder=holder_of_this_process())
    since = chosen.since or _begun(store, name) or utc_now()
    return Scheduler(loop=loop, schedule=file.schedule, since=since, lease=lease)


def _begun(store: Store, deployment: str) -> datetime | None:
    """Return when a scheduler first ran here, and remember that it is now where none did."""
    stream = f"schedule/{deployment}/since"
    store.record(stream, "since", kind="since", at=utc_now(), body={})
    first = store.events(stream)
    return first[0].at if first else None


def _run(scheduler: Scheduler, chosen: argparse.Namespace, store: Store) -> int:
    """Make up for the past where it is asked for; go on by the clock unless there is an end."""
    worst = 0
    if chosen.since is not None:
        for done in scheduler.simulate(until=min(chosen.until or utc_now(), utc_now())):
            worst = max(worst, _said(done, store))
    if chosen.until is not None:
        return worst
    live = scheduler.live(heard=lambda said: _heard(said, store), poll_s=chosen.poll_seconds)
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: asked.append(number))
    print(_next(scheduler), flush=True)
    # A signal interrupts the main thread anywhere: so the scheduler is not run by that one.
    running = threading.Thread(target=live.start, name="schedule")
    running.start()
    while running.is_alive() and not (asked and live.running):
        time.sleep(0.1)
    live.shutdown(wait=True)
    running.join()
    return 0


def _next(scheduler: Scheduler) -> str:
    plan = scheduler.loop.plan
    moment = next(scheduler.schedule.moments(after=utc_now()))
    return tr(
        pt=f"{plan.deployment}: a próxima execução é {moment:%Y-%m-%d %H:%M} UTC",
        en=f"{plan.deployment}: the next run is at {moment:%Y-%m-%d %H:%M} UTC",
    )


def _heard(said: Sequence[Done] | VigiaError, store: Store) -> None:
    if isinstance(said, VigiaError):
        print(said, file=sys.stderr, flush=True)
    else:
        _said(said, store)


def _said(done: Sequence[Done], store: Store) -> int:
    """Print what runs did, and return the exit status of the worst."""
    for each in done:
        print(f"{date(each.window.start)} – {date(each.window.end)}: {each.outcome}", flush=True)
    return max((EXIT[each.outcome] for each in done), default=0)


# ------------------------------------------------------------------------------- what people say


def _list(store: Store, chosen: argparse.Namespace) -> int:
    """Print the runs, what waits and what is in quarantine; of one run, each step."""
    name = chosen.deployment
    if chosen.run:
        lines = told(store, name, chosen.run)
        if not lines:
            raise steps.UnknownRun(f"run={chosen.run!r}: {name!r} has no such run")
        print("\n".join(lines))
        return 0
    for known in life.runs_of(store, name):
        events = store.events(steps.stream_of(name, known.window.id))
        waits = steps.waits_for(events)
        state = known.state or (
            tr(pt=f"aguarda aprovação: {waits}", en=f"waits for approval: {waits}")
            if waits
            else tr(pt="interrompida", en="broken off")
        )
        print(f"{known.window.id}  {state}")
    for request in actions.requests(store, name):
        print(tr(pt="pedido", en="request"), request.id, request.action)
    for span in quarantine.spans(store, name):
        print(tr(pt="em quarentena", en="in quarantine"), span.id, steps.read_out(span.why))
    return 0


def _ask(store: Store, chosen: argparse.Namespace) -> int:
    now = utc_now()
    is_new = actions.ask(
        store,
        chosen.deployment,
        chosen.action,
        id=chosen.id or f"{chosen.by}/{now.isoformat()}",
        at=now,
        by=chosen.by,
        reason=chosen.reason,
    )
    print(
        tr(pt="pedido para a próxima execução", en="asked of the next run")
        if is_new
        else tr(pt="já estava pedido", en="was asked for already")
    )
    return 0


def _approve(store: Store, chosen: argparse.Namespace) -> int:
    yes = chosen.what == "approve"
    step = steps.answer(
        store,
        chosen.deployment,
        chosen.run,
        by=chosen.by,
        at=utc_now(),
        yes=yes,
        reason=chosen.reason,
    )
    print(
        tr(pt=f"{step}: aprovado por {chosen.by}", en=f"{step}: approved by {chosen.by}")
        if yes
        else tr(pt=f"{step}: recusado por {chosen.by}", en=f"{step}: declined by {chosen.by}")
    )
    return 0


def _release(store: Store, chosen: argparse.Namespace) -> int:
    was_held = quarantine.release(
        store,
        chosen.deployment,
        chosen.span,
        by=chosen.by,
        reason=chosen.reason,
        at=utc_now(),
    )
    print(
        tr(pt="fora da quarentena", en="out of quarantine")
        if was_held
        else tr(pt="já estava fora", en="was out already")
    )
    return 0
