"""When the loop runs, and who runs it: cron, offsets, one scheduler at a time, any clock.

A schedule is ``cron(minutes hours day-of-month month day-of-week year)`` as AWS writes it: the
forms of SageMaker's monitoring schedules (hourly, daily, every n hours), and any other that
apscheduler's ``CronTrigger`` takes, days of the week by name. All is in UTC. A window is two ISO
8601 offsets seen from a run (``-P8D`` and ``-P1D``).

The same ``tick`` is called by a simulated clock, which goes from one run to the next, and by
apscheduler, which waits for it. Each window has its stream, so it is done once whoever ticks.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from utils.exporters import schedules
from utils.monitors import windows
from utils.operations.life import Window, runs_of
from utils.operations.loop import Loop, Outcome
from utils.records import VigiaError, utc_now
from utils.store import Store, StoreUnavailable

LEASE_S = 900.0
"""For how long a scheduler that says nothing is taken to be at work."""

MOST_DUE = 12
"""More windows than this are not made up for by themselves: the clock may have jumped."""

BACK = timedelta(hours=1)
"""A clock that goes back by less is none that jumped."""

MOST_TRIES, PAUSE_S = 3, 5.0


class OtherScheduler(VigiaError):
    """Another scheduler runs this deployment."""


class ClockJumped(VigiaError):
    """The clock says a time that does not follow from what was done."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When runs are due, and the window that each looks at.

    Raises ``ValueError`` naming the field, its value and the rule.

    >>> weekly = Schedule(cron="cron(0 12 ? * MON *)", start="-P7DT12H", end="-PT12H")
    >>> first = next(weekly.windows(after=datetime(2013, 4, 3, tzinfo=UTC)))
    >>> f"{first.run:%d %H:%M}", f"{first.start:%d %H:%M}", f"{first.end:%d %H:%M}"
    ('08 12:00', '01 00:00', '08 00:00')
    """

    cron: str
    start: str
    end: str

    def __post_init__(self) -> None:
        start, end = (schedules.offset(getattr(self, n), argument=n) for n in ("start", "end"))
        if not start < end:
            raise ValueError(f"start={self.start!r}: must lie before end={self.end!r}")
        if next(self.moments(after=datetime(1970, 1, 1, tzinfo=UTC)), None) is None:
            raise ValueError(f"cron={self.cron!r}: such a day never comes")

    def moments(self, *, after: datetime) -> Iterator[datetime]:
        """Yield the moments of runs after a moment, without end; of ``NOW`` the one.

        Raises ``ValueError`` for a moment without a zone.
        """
        trigger = self._trigger()
        windows.moment(after, argument="after")
        if trigger is None:
            for each in schedules.runs(self.cron, after=after):
                yield each.to_pydatetime()
            return
        moment = after + timedelta(microseconds=1)
        while (moment := trigger.get_next_fire_time(None, moment)) is not None:
            yield moment.astimezone(UTC)
            moment += timedelta(microseconds=1)

    def windows(self, *, after: datetime) -> Iterator[Window]:
        """Yield the windows of the runs after a moment."""
        for moment in self.moments(after=after):
            start, end = schedules.window(moment, start_offset=self.start, end_offset=self.end)
            yield Window(start=start.to_pydatetime(), end=end.to_pydatetime(), run=moment)

    def _trigger(self):
        """Return the trigger of apscheduler, or ``None`` for what SageMaker's documents name."""
        try:
            schedules.schedule(self.cron)
        except ValueError as error:
            documented = error
        else:
            return None
        from apscheduler.triggers.cron import CronTrigger

        fields = self.cron.removeprefix("cron(").removesuffix(")").split()
        is_whole = self.cron.startswith("cron(") and self.cron.endswith(")")
        if not is_whole or len(fields) != 6:
            raise ValueError(str(documented).replace("expression=", "cron=", 1)) from None
        names = ("minute", "hour", "day", "month", "day_of_week", "year")
        if any(letter.isdigit() for letter in fields[4]):
            raise ValueError(
                f"cron={self.cron!r}: name the days of the week (MON); AWS counts them from 1 on "
                "Sunday, others do not"
            )
        given = {
            name: "*" if field == "?" else field.lower()
            for name, field in zip(names, fields, strict=True)
        }
        try:
            return CronTrigger(**given, timezone=UTC)
        except ValueError as error:
            raise ValueError(f"cron={self.cron!r}: {error}") from None


# ------------------------------------------------------------------------------- one at a time


def holder_of_this_process() -> str:
    """Return a name of this process that no other one has: host, number, and when it began.

    That is in seconds since the host was started, which no change of its clock alters.
    """
    import psutil

    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{_began_s(process):.2f}"


def is_gone(holder: str) -> bool:
    """Return whether a holder was a process of this host that is there no more.

    Of another host nobody knows; containers that share a host's name but not its processes must
    not run schedulers of one deployment.
    """
    import psutil

    host, _, rest = holder.partition(":")
    number, _, began = rest.partition(":")
    if host != socket.gethostname() or not number.isdigit():
        return False
    try:
        process = psutil.Process(int(number))
        is_other = abs(_began_s(process) - float(began)) > 1
        return is_other or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _began_s(process) -> float:
    import psutil

    return process.create_time() - psutil.boot_time()


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to act on a deployment, for one scheduler at a time.

    A scheduler that was killed on this host is known to be gone, and is not waited for.
    """

    store: Store
    deployment: str
    holder: str
    clock: Callable[[], datetime] = utc_now
    seconds: float = LEASE_S

    @property
    def name(self) -> str:
        return f"schedule/{self.deployment}"

    def hold(self) -> None:
        """Take or renew the lease.

        Raises ``OtherScheduler`` naming who has it.
        """
        if self._take():
            return
        other = self.store.lease_holder(self.name)
        if other and is_gone(other):
            self.store.release_lease(self.name, holder=other)
        if not self._take():
            raise OtherScheduler(
                f"deployment={self.deployment!r}: another scheduler is at work ({other}); "
                f"stop it, or wait {self.seconds:.0f} s after it fell silent"
            )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Hold the lease, and renew it meanwhile: a step may take longer than it lasts.

        Raises as ``hold`` does. A renewal that the store refuses is tried again at the next one.
        """
        self.hold()
        is_over = threading.Event()

        def renew() -> None:
            while not is_over.wait(self.seconds / 3):
                with suppress(StoreUnavailable):
                    self._take()

        renewing = threading.Thread(target=renew, name=self.name, daemon=True)
        renewing.start()
        try:
            yield
        finally:
            is_over.set()
            renewing.join()

    def _take(self) -> bool:
        about = {"holder": self.holder, "now": self.clock(), "seconds": self.seconds}
        return self.store.take_lease(self.name, **about)

    def release(self) -> None:
        self.store.release_lease(self.name, holder=self.holder)


# ------------------------------------------------------------------------------- ticking


@dataclass(frozen=True, kw_only=True)
class Done:
    """A run that a tick did, or went on with, and how it stands."""

    window: Window
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """Runs a loop by a schedule, from ``since`` on."""

    loop: Loop
    schedule: Schedule
    since: datetime
    lease: Lease
    most_due: int = MOST_DUE
    sleep: Callable[[float], object] = time.sleep

    def due(self, *, now: datetime) -> list[Window]:
        """Return the windows whose run is due and was never begun, oldest first.

        Raises ``ClockJumped`` where the newest run lies in the future, or more than ``most_due``
        are due: either the clock or whoever set it up is wrong, and a person should say which.
        """
        done = runs_of(self.loop.store, self.loop.plan.deployment)
        last = max((each.window.run for each in done), default=None)
        if last is not None and now < last - BACK:
            raise ClockJumped(
                f"now={now.isoformat()}: the newest run was at {last.isoformat()}; set the clock "
                "right: until then nothing is due"
            )
        after = self.since if last is None else max(last, self.since)
        found = []
        for window in islice(self.schedule.windows(after=after), self.most_due + 1):
            if window.run > now:
                break
            found.append(window)
        if len(found) > self.most_due:
            raise ClockJumped(
                f"now={now.isoformat()}: more than {self.most_due} runs are due since "
                f"{after.isoformat()}; set the clock right, or make up for them with --from and "
                "--until"
            )
        known = {each.window.id for each in done}
        return [each for each in found if each.id not in known]

    def tick(self, *, now: datetime) -> list[Done]:
        """Go on with the runs that have not ended, and do those that are due.

        A store that cannot be used is tried again, ``MOST_TRIES`` times in all.

        Raises ``OtherScheduler``, ``ClockJumped``, and ``StoreUnavailable`` at last.
        """
        found: list[Done] = []
        for left in reversed(range(MOST_TRIES)):
            try:
                self._tick(now, found)
                break
            except StoreUnavailable:
                if not left:
                    raise
                self.sleep(PAUSE_S)
        return found

    def _tick(self, now: datetime, found: list[Done]) -> None:
        with self.lease.kept():
            known = runs_of(self.loop.store, self.loop.plan.deployment)
            unfinished = [each.window for each in known if not each.state]
            for window in [*unfinished, *self.due(now=now)]:
                outcome = self.loop.run(window, clock=lambda: now, hold=self.lease.hold)
                found.append(Done(window=window, outcome=outcome))

    def simulate(self, *, until: datetime) -> Iterator[list[Done]]:
        """Tick at each moment of the schedule from ``since`` on, as if it were then.

        Where it broke off it goes on: moments before the newest run are past.
        """
        done = runs_of(self.loop.store, self.loop.plan.deployment)
        last = max((each.window.run for each in done), default=self.since)
        for moment in self.schedule.moments(after=self.since):
            if moment > until:
                return
            if moment >= last:
                yield self.tick(now=moment)

    def live(
        self,
        *,
        heard: Callable[[list[Done] | VigiaError], object],
        poll_s: float = 60.0,
        clock: Callable[[], datetime] = utc_now,
    ):
        """Return a scheduler of apscheduler that ticks by the wall clock; ``start`` starts it.

        It ticks every ``poll_s``: what is due is done, and what waited for a person goes on. One
        tick at a time; those that were missed meanwhile are one. Ticks speak the language in force
        now, though they run in another thread.
        """
        from apscheduler.schedulers.blocking import BlockingScheduler
        from apscheduler.triggers.interval import IntervalTrigger

        def tick() -> None:
            try:
                heard(self.tick(now=clock()))
            except VigiaError as error:
                heard(error)

        context = copy_context()
        found = BlockingScheduler(timezone=UTC)
        found.add_job(
            lambda: context.run(tick),
            IntervalTrigger(seconds=poll_s, timezone=UTC),
            id="tick",
            next_run_time=datetime.now(UTC),
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        return found
