"""When the loop runs and who runs it: one scheduler, any clock, a store that may be locked."""

import contextlib
import os
import signal
import socket
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import get_context
from types import SimpleNamespace

import psutil
import pytest

from utils.operations import life, steps
from utils.operations.schedule import (
    ClockJumped,
    Lease,
    OtherScheduler,
    Schedule,
    Scheduler,
    holder_of_this_process,
    is_gone,
)
from utils.store import StoreUnavailable, engines, open_store
from utils.text import LANGUAGES, language, using

NAME = "flights"
MONDAY = datetime(2024, 3, 4, 12, tzinfo=UTC)
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
WEEKLY = Schedule(cron="cron(0 12 ? * MON *)", start="-P7DT12H", end="-PT12H")
FORK = get_context("fork")  # what is imported is imported: a child is there at once
needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def memory():
    with open_store("sqlite://") as opened:
        yield opened


@dataclass(kw_only=True)
class Working:
    """A loop whose runs have one step; it opens and ends them as the real one does."""

    store: object
    do: object = lambda: None
    gated: tuple = ()
    acted: list = field(default_factory=list)
    plan: object = field(default_factory=lambda: SimpleNamespace(deployment=NAME))

    def run(self, window, *, clock, hold):
        opened = {"start": window.start.isoformat(), "end": window.end.isoformat()}
        opened["moment"] = window.run.isoformat()
        life.note(self.store, NAME, window.id, "opened", at=clock(), body=opened)
        run = steps.Run(
            store=self.store,
            deployment=NAME,
            id=window.id,
            clock=clock,
            hold=hold,
            gated=self.gated,
            sleep=lambda seconds: None,
        )

        def act():
            self.acted.append((window.run, clock()))
            self.do()
            return {}

        try:
            run.need_approval("act", why={})
            run.step("act", act)
        except steps.Waiting:
            return "waiting for approval"
        life.note(self.store, NAME, window.id, "ended", at=clock(), body={"state": "Completed"})
        return "Completed"


def lease_of(store, holder=None, **settings):
    holder = holder or holder_of_this_process()
    return Lease(store=store, deployment=NAME, holder=holder, **settings)


def scheduler_of(store, *, since=MONDAY - timedelta(days=1), pauses=None, lease=None, **working):
    return Scheduler(
        loop=Working(store=store, **working),
        schedule=WEEKLY,
        since=since,
        lease=lease or lease_of(store),
        sleep=(lambda seconds: None) if pauses is None else pauses.append,
    )


def runs_in(store):
    return [(each.window.run, each.state) for each in life.runs_of(store, NAME)]


def moments(cron, after=datetime(2024, 1, 1, tzinfo=UTC), n=3):
    found = islice(Schedule(cron=cron, start="-P1D", end="-PT0H").moments(after=after), n)
    return [f"{each:%m-%d %H:%M}" for each in found]


def wait_until(is_so):
    give_up = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < give_up, "it never came to that"
        time.sleep(0.005)


# ------------------------------------------------------------------------------- the schedule


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        # As SageMaker documents them:
        ("cron(0 * ? * * *)", ["01-01 01:00", "01-01 02:00", "01-01 03:00"]),
        ("cron(0 12 ? * * *)", ["01-01 12:00", "01-02 12:00", "01-03 12:00"]),
        ("cron(0 17/12 ? * * *)", ["01-01 05:00", "01-01 17:00", "01-02 05:00"]),
        ("NOW", ["01-01 00:00"]),
        # As apscheduler takes them:
        ("cron(0 12 ? * MON *)", ["01-01 12:00", "01-08 12:00", "01-15 12:00"]),
        ("cron(30 6 ? * MON-FRI *)", ["01-01 06:30", "01-02 06:30", "01-03 06:30"]),
        ("cron(0/20 0 ? * * *)", ["01-01 00:20", "01-01 00:40", "01-02 00:00"]),
        ("cron(0 12 last * ? *)", ["01-31 12:00", "02-29 12:00", "03-31 12:00"]),
        ("cron(0 0 1 JAN,JUL ? *)", ["07-01 00:00", "01-01 00:00", "07-01 00:00"]),
        ("cron(0 0 29 2 ? 2028)", ["02-29 00:00"]),
    ],
)
def test_runs_come_as_the_expression_says_after_a_moment(cron, expected):
    assert moments(cron) == expected


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("hourly", "cron='hourly': SageMaker takes"),
        ("0 12 * * *", "cron='0 12 [*] [*] [*]': SageMaker takes"),
        ("cron(0 12 ? * MON *", "cron='cron.0 12 . . MON .': SageMaker takes"),
        ("cron(0 12 ? *)", "cron=.*it has 4 fields, and must have 6: minutes, hours, day of"),
        ("cron(0 12 ? * 2 *)", "cron=.*name the days of the week .MON.; AWS counts them from 1"),
        ("cron(70 12 ? * MON *)", "cron=.*'70': the last value .70. is higher than the maximum"),
        ("cron(x 12 ? * * *)", 'cron=.*Unrecognized expression "x" for field "minute"'),
        ("cron(0 0 30 2 ? *)", "cron='cron.0 0 30 2 . ..': such a day never comes"),
    ],
)
def test_a_cron_that_cannot_be_used_is_said_with_the_rule(cron, said):
    with pytest.raises(ValueError, match=said):
        Schedule(cron=cron, start="-P1D", end="-PT0H")


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("P1D", "-PT0H", "start='P1D': lies in the future; did you mean '-P1D'?"),
        ("-P1M", "-PT0H", "start='-P1M': an ISO 8601 duration of days, hours, minutes or seconds"),
        ("-P1D", "now", "end='now': an ISO 8601 duration of days"),
        ("-P1D", "-P2D", "start='-P1D': must lie before end='-P2D'"),
        ("-P1D", "-P1D", "start='-P1D': must lie before end='-P1D'"),
    ],
)
def test_an_offset_that_cannot_be_used_is_said_by_its_own_name(start, end, said):
    with pytest.raises(ValueError, match=said):
        Schedule(cron="cron(0 * ? * * *)", start=start, end=end)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("-P8D", "-P1D", ("02-25 12:00", "03-03 12:00")),
        ("-P2W", "-PT0H", ("02-19 12:00", "03-04 12:00")),
        ("-P1DT12H30M", "-PT90S", ("03-02 23:30", "03-04 11:58")),
    ],
)
def test_a_window_is_two_offsets_seen_from_its_run(start, end, expected):
    schedule = Schedule(cron="cron(0 12 ? * * *)", start=start, end=end)
    window = next(schedule.windows(after=MONDAY - HOUR))
    assert window.run == MONDAY
    assert (f"{window.start:%m-%d %H:%M}", f"{window.end:%m-%d %H:%M}") == expected
    assert window.id == window.end.isoformat()


@pytest.mark.parametrize("cron", ["cron(0 12 ? * MON *)", "cron(0 12 ? * * *)"])
def test_a_moment_without_a_zone_is_refused_and_another_zone_is_the_same_moment(cron):
    schedule = Schedule(cron=cron, start="-P1D", end="-PT0H")
    with pytest.raises(ValueError, match="after=.*with its zone is needed"):
        next(schedule.moments(after=datetime(2024, 3, 4)))
    there = (MONDAY - HOUR).astimezone(tz=None)
    assert next(schedule.moments(after=there)) == MONDAY


def test_no_summer_time_moves_a_run_whatever_the_zone_of_the_machine(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        # On 10 March and on 3 November 2024 the clocks of New York change.
        for day in (datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 10, 25, tzinfo=UTC)):
            windows = list(islice(WEEKLY.windows(after=day), 4))
            assert {f"{each.run:%a %H:%M %Z}" for each in windows} == {"Mon 12:00 UTC"}
            assert {each.end - each.start for each in windows} == {WEEK}
            assert all(a.end == b.start for a, b in zip(windows, windows[1:], strict=False))
        hourly = Schedule(cron="cron(0 * ? * MON *)", start="-PT1H", end="-PT0H")
        runs = list(islice(hourly.moments(after=datetime(2024, 11, 3, 23, tzinfo=UTC)), 24))
        assert runs[-1] - runs[0] == 23 * HOUR
    finally:
        monkeypatch.undo()
        time.tzset()


# ------------------------------------------------------------------------------- what is due


def test_nothing_is_due_before_its_time_and_each_window_once(memory):
    scheduler = scheduler_of(memory)
    assert scheduler.due(now=MONDAY - timedelta(seconds=1)) == []
    [window] = scheduler.due(now=MONDAY)
    [done] = scheduler.tick(now=MONDAY)
    assert (done.window, done.outcome) == (window, "Completed")
    assert scheduler.due(now=MONDAY + timedelta(days=6)) == []
    assert scheduler.tick(now=MONDAY) == [] and len(scheduler.loop.acted) == 1


def test_after_a_gap_each_window_is_made_up_for_oldest_first(memory):
    scheduler = scheduler_of(memory)
    scheduler.tick(now=MONDAY)
    now = MONDAY + 3 * WEEK + 5 * HOUR
    done = scheduler.tick(now=now)
    assert [each.window.run for each in done] == [MONDAY + n * WEEK for n in (1, 2, 3)]
    assert scheduler.loop.acted[1:] == [(each.window.run, now) for each in done]


def test_a_clock_far_ahead_starts_no_flood_of_runs_and_set_right_it_goes_on(memory):
    scheduler = scheduler_of(memory)
    scheduler.tick(now=MONDAY)
    assert len(scheduler.due(now=MONDAY + 12 * WEEK)) == 12
    with pytest.raises(ClockJumped, match="now=2044-.*more than 12 runs are due since 2024-03-04"):
        scheduler.tick(now=MONDAY.replace(year=2044))
    assert runs_in(memory) == [(MONDAY, "Completed")]
    assert len(scheduler.tick(now=MONDAY + WEEK)) == 1
    assert [
        each.window.run for done in scheduler.simulate(until=MONDAY + 30 * WEEK) for each in done
    ] == [MONDAY + n * WEEK for n in range(2, 31)], "a person may make up for them"


def test_a_clock_that_goes_back_repeats_nothing_and_says_so(memory):
    scheduler = scheduler_of(memory)
    for n in range(2):
        scheduler.tick(now=MONDAY + n * WEEK)
    assert scheduler.tick(now=MONDAY + WEEK - timedelta(minutes=59)) == [], "clocks are corrected"
    with pytest.raises(ClockJumped, match="now=2024-03-05.*the newest run was at 2024-03-11T12:00"):
        scheduler.tick(now=MONDAY + timedelta(days=1))
    assert len(scheduler.tick(now=MONDAY + 2 * WEEK)) == 1
    assert len(scheduler.loop.acted) == 3


def test_a_run_that_jumped_with_the_clock_is_not_taken_up_while_it_is_wrong(memory):
    scheduler = scheduler_of(memory, gated=("act",))
    [done] = scheduler.tick(now=MONDAY)
    assert done.outcome == "waiting for approval"
    steps.answer(memory, NAME, done.window.id, by="ana", at=MONDAY)
    with pytest.raises(ClockJumped):
        scheduler.tick(now=MONDAY - WEEK)
    assert scheduler.loop.acted == []
    [done] = scheduler.tick(now=MONDAY + HOUR)
    assert done.outcome == "Completed" and runs_in(memory) == [(MONDAY, "Completed")]


def test_now_is_one_run(memory):
    now = Schedule(cron="NOW", start="-P1D", end="-PT0H")
    scheduler = Scheduler(
        loop=Working(store=memory), schedule=now, since=MONDAY, lease=lease_of(memory)
    )
    assert [len(scheduler.tick(now=MONDAY + n * HOUR)) for n in range(3)] == [1, 0, 0]


def test_a_simulated_clock_goes_on_where_it_broke_off(memory):
    class Killed(BaseException):
        pass

    def dies():
        if len(scheduler.loop.acted) == 3:
            raise Killed

    scheduler = scheduler_of(memory, do=dies)
    with pytest.raises(Killed):
        for _ in scheduler.simulate(until=MONDAY + 5 * WEEK):
            pass
    assert runs_in(memory)[2:] == [(MONDAY + 2 * WEEK, "")]
    other = scheduler_of(memory)
    done = [each for tick in other.simulate(until=MONDAY + 5 * WEEK) for each in tick]
    assert [each.window.run for each in done] == [MONDAY + n * WEEK for n in range(2, 6)]
    assert other.loop.acted[0] == (MONDAY + 2 * WEEK, MONDAY + 2 * WEEK), "as if it were then"
    assert runs_in(memory) == [(MONDAY + n * WEEK, "Completed") for n in range(6)]
    assert list(other.simulate(until=MONDAY + 5 * WEEK)) == [[]]


# ------------------------------------------------------------------------------- one at a time


def holding(store_url, pipe):
    """Hold the lease in a process of its own, say who does, and stand still."""
    with open_store(store_url) as own:
        lease = lease_of(own)
        lease.hold()
        pipe.send(lease.holder)
        pipe.recv()


def ticking(store_url, acted, pipe, begin):
    """Tick in a process of its own when all may begin; act until told to end; say how it went."""
    with open_store(store_url) as own:

        def act():
            with open(acted, "a") as file:
                file.write(f"{os.getpid()}\n")
            pipe.send("acts")
            pipe.recv()

        scheduler = scheduler_of(own, do=act)
        begin.wait()
        try:
            done = scheduler.tick(now=MONDAY)
        except OtherScheduler as error:
            pipe.send(f"OtherScheduler: {error}")
        else:
            pipe.send(f"did {len(done)}")


@contextlib.contextmanager
def child(target, *args, more=()):
    """Start a function in a forked process, with a pipe to it; end it when done."""
    own, its = FORK.Pipe()
    process = FORK.Process(target=target, args=(*args, its, *more))
    process.start()
    try:
        yield process, own
    finally:
        process.kill()
        process.join()


def heard(pipe):
    assert pipe.poll(60), "the other process said nothing"
    return pipe.recv()


@needs_kill
def test_of_two_schedulers_started_at_once_one_acts_and_the_other_names_it(store_url, tmp_path):
    acted = tmp_path / "acted"
    with open_store(store_url):
        pass
    begin = FORK.Barrier(2)
    with (
        child(ticking, store_url, acted, more=(begin,)) as (_, one),
        child(ticking, store_url, acted, more=(begin,)) as (_, other),
    ):
        said = {pipe: heard(pipe) for pipe in (one, other)}
        [acts] = [pipe for pipe in said if said[pipe] == "acts"]
        [told] = [each for each in said.values() if each != "acts"]
        [pid] = acted.read_text().split()
        assert told.startswith("OtherScheduler: deployment='flights': another scheduler is at work")
        assert f"({socket.gethostname()}:{pid}:" in told and "stop it, or wait 900 s" in told
        acts.send("end")
        assert heard(acts) == "did 1"
    assert acted.read_text().split() == [pid]
    with open_store(store_url) as store:
        assert runs_in(store) == [(MONDAY, "Completed")]


@needs_kill
def test_the_lease_of_a_process_that_was_killed_is_taken_at_once_by_who_comes_next(store_url):
    with open_store(store_url):
        pass
    with child(holding, store_url) as (process, pipe):
        holder = heard(pipe)
        with open_store(store_url) as store:
            with pytest.raises(OtherScheduler, match=holder):
                lease_of(store).hold()
            assert not is_gone(holder)
            os.kill(process.pid, signal.SIGKILL)
            # Nobody asked yet how it ended: it is a zombie, and gone all the same.
            wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
            assert is_gone(holder)
            process.join()
            assert is_gone(holder)
            lease_of(store).hold()
            assert store.lease_holder(f"schedule/{NAME}") == holder_of_this_process()


def test_the_lease_of_another_host_is_waited_out(store):
    now = [MONDAY]
    far = lease_of(store, "elsewhere:1:1.00", clock=lambda: now[0], seconds=600)
    near = lease_of(store, clock=lambda: now[0], seconds=600)
    far.hold()
    now[0] += timedelta(seconds=599)
    with pytest.raises(OtherScheduler, match=r"\(elsewhere:1:1.00\); stop it, or wait 600 s"):
        near.hold()
    now[0] += timedelta(seconds=1)
    near.hold()
    with pytest.raises(OtherScheduler, match=holder_of_this_process()):
        far.hold()
    near.release()
    far.hold()
    with pytest.raises(OtherScheduler, match="elsewhere"):
        near.hold()


def test_a_holder_is_known_by_host_number_and_beginning_and_no_clock_alters_it(monkeypatch):
    own = holder_of_this_process()
    host, number, began = own.split(":")
    assert (host, int(number)) == (socket.gethostname(), os.getpid())
    assert not is_gone(own)
    assert is_gone(f"{host}:{number}:{float(began) - 60:.2f}"), "the number was another's before"
    assert not is_gone(f"elsewhere:{number}:1.00") and not is_gone("ana")
    boot, create = psutil.boot_time, psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: boot() + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create(process) + 3600)
    assert not is_gone(own)
    assert abs(float(holder_of_this_process().split(":")[2]) - float(began)) < 0.1


def test_a_step_that_takes_longer_than_the_lease_keeps_it(store):
    now, asked = [MONDAY], []

    def clock():
        asked.append(now[0])
        return now[0]

    lease = lease_of(store, clock=clock, seconds=0.3)
    far = lease_of(store, "elsewhere:1:1.00", clock=lambda: now[0], seconds=0.3)

    def long():
        for _ in range(3):
            now[0] += HOUR
            wait_until(lambda: asked.count(now[0]) >= 2)
            with pytest.raises(OtherScheduler):
                far.hold()

    scheduler = scheduler_of(store, lease=lease, do=long)
    assert len(scheduler.tick(now=MONDAY)) == 1
    n_asked = len(asked)
    now[0] += HOUR
    far.hold()
    assert len(asked) == n_asked, "nobody renews it when the tick is over"


def test_a_scheduler_that_lost_its_lease_does_nothing_more(memory):
    now = [MONDAY]
    far = lease_of(memory, "elsewhere:1:1.00", clock=lambda: now[0])

    def lose():
        now[0] += HOUR
        far.hold()

    lease = lease_of(memory, clock=lambda: now[0])
    scheduler = scheduler_of(memory, lease=lease, do=lose)
    with pytest.raises(OtherScheduler, match="elsewhere"):
        scheduler.tick(now=MONDAY + WEEK)
    assert [run for run, _ in scheduler.loop.acted] == [MONDAY]


# ------------------------------------------------------------------------------- a locked store


def locking(path, pipe):
    """Lock a SQLite file each time when told to, until told to free it."""
    while True:
        pipe.recv()
        held = sqlite3.connect(path, isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
        pipe.send("locked")
        pipe.recv()
        held.execute("ROLLBACK")
        held.close()
        pipe.send("free")


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """Give a store on a file, and a function by which another process locks it, and frees it."""
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "store.db"
    with child(locking, path) as (_, pipe), open_store(f"sqlite:///{path}") as opened:

        def tell():
            pipe.send("go")
            return heard(pipe)

        yield opened, tell


@needs_kill
def test_a_store_that_stays_locked_is_tried_again_with_a_bound_and_goes_on_when_freed(locked):
    store, tell = locked
    pauses = []
    scheduler = scheduler_of(store, pauses=pauses)
    assert tell() == "locked"
    with pytest.raises(StoreUnavailable, match="locked: another program held it"):
        scheduler.tick(now=MONDAY)
    assert pauses == [5.0, 5.0] and scheduler.loop.acted == []
    assert tell() == "free"
    assert len(scheduler.tick(now=MONDAY)) == 1
    assert runs_in(store) == [(MONDAY, "Completed")]


@needs_kill
def test_a_store_that_is_freed_meanwhile_is_no_error(locked):
    store, tell = locked
    scheduler = scheduler_of(store)
    scheduler = Scheduler(
        loop=scheduler.loop,
        schedule=WEEKLY,
        since=scheduler.since,
        lease=scheduler.lease,
        sleep=lambda seconds: tell(),
    )
    assert tell() == "locked"
    assert len(scheduler.tick(now=MONDAY)) == 1 and len(scheduler.loop.acted) == 1


@needs_kill
def test_a_store_that_is_locked_amid_a_run_loses_nothing_and_no_run_is_told_twice(locked):
    store, tell = locked

    def lock_in_the_second():
        if len(acted) == 2:
            assert tell() == "locked"

    scheduler = scheduler_of(store, do=lock_in_the_second)
    acted = scheduler.loop.acted
    scheduler = Scheduler(
        loop=scheduler.loop,
        schedule=WEEKLY,
        since=scheduler.since,
        lease=scheduler.lease,
        sleep=lambda seconds: tell(),
    )
    done = scheduler.tick(now=MONDAY + 2 * WEEK)
    weeks = [MONDAY + n * WEEK for n in range(3)]
    assert [each.window.run for each in done] == weeks
    assert [run for run, _ in acted] == [weeks[0], weeks[1], weeks[1], weeks[2]]
    assert runs_in(store) == [(week, "Completed") for week in weeks]


# ------------------------------------------------------------------------------- the wall clock


@contextlib.contextmanager
def living(scheduler, clock):
    """Run a scheduler by apscheduler's clock, and give what was heard so far."""
    said = []
    live = scheduler.live(heard=said.append, poll_s=0.02, clock=clock)
    thread = threading.Thread(target=live.start)
    thread.start()
    try:
        yield said
    finally:
        wait_until(lambda: live.running)
        live.shutdown()
        thread.join()


def test_by_the_wall_clock_what_becomes_due_is_done_and_each_window_once(store):
    now = [MONDAY - HOUR]
    scheduler = scheduler_of(store)
    with living(scheduler, lambda: now[0]) as said:
        wait_until(lambda: len(said) >= 2)
        assert scheduler.loop.acted == []
        for n in range(2):
            now[0] = MONDAY + n * WEEK
            wait_until(lambda n=n: len(scheduler.loop.acted) == n + 1)
        n_heard = len(said)
        wait_until(lambda: len(said) >= n_heard + 3)
    assert [len(each) for each in said if each] == [1, 1]
    assert runs_in(store) == [(MONDAY, "Completed"), (MONDAY + WEEK, "Completed")]


def test_a_tick_that_takes_long_is_not_begun_a_second_time(memory):
    inside, most, over = [], [], threading.Event()

    def slow():
        inside.append(1)
        most.append(len(inside))
        assert over.wait(60)
        inside.pop()

    scheduler = scheduler_of(memory, do=slow)
    with living(scheduler, lambda: MONDAY) as said:
        wait_until(lambda: most)
        time.sleep(0.3)  # a dozen ticks would have come
        assert said == []
        over.set()
        wait_until(lambda: len(said) >= 2)
    assert most == [1] and len(said[0]) == 1 and said[1] == []


def test_errors_are_heard_and_the_next_tick_comes_all_the_same(memory):
    now = [MONDAY]
    lease = lease_of(memory, clock=lambda: now[0])
    far = lease_of(memory, "elsewhere:1:1.00", clock=lambda: now[0])
    far.hold()
    with living(scheduler_of(memory, lease=lease), lambda: now[0]) as said:
        wait_until(lambda: len(said) >= 2)
        assert all(isinstance(each, OtherScheduler) for each in said[:2])
        far.release()
        wait_until(lambda: [] in said)
        now[0] = MONDAY - WEEK
        wait_until(lambda: isinstance(said[-1], ClockJumped))
        now[0] = MONDAY + WEEK
        wait_until(lambda: len(runs_in(memory)) == 2)


@pytest.mark.parametrize("code", LANGUAGES)
def test_ticks_speak_the_language_in_which_they_were_begun(memory, code):
    spoken = []
    scheduler = scheduler_of(memory, do=lambda: spoken.append(language()))
    with using(code), living(scheduler, lambda: MONDAY):
        wait_until(lambda: spoken)
    assert spoken == [code]


def test_what_waited_for_a_person_goes_on_by_itself_once_approved(memory):
    scheduler = scheduler_of(memory, gated=("act",))
    with living(scheduler, lambda: MONDAY) as said:
        wait_until(lambda: len(said) >= 2)
        assert {done.outcome for each in said for done in each} == {"waiting for approval"}
        [(run, _)] = [(each.window.id, each.state) for each in life.runs_of(memory, NAME)]
        steps.answer(memory, NAME, run, by="ana", at=MONDAY)
        wait_until(lambda: runs_in(memory) == [(MONDAY, "Completed")])
    assert len(scheduler.loop.acted) == 1
