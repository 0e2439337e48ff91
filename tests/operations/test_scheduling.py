"""``python -m utils schedule …``: the loop as a command, and what people say to it."""

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import yaml

from utils.__main__ import main
from utils.course import looping
from utils.course.workspace import Workspace
from utils.operations import actions
from utils.operations.life import Life, Window, runs_of
from utils.operations.runbooks import RULES
from utils.store import open_store

NAME = looping.NAME
FIRST, SECOND, THIRD = "2013-04-09T00:00", "2013-04-16T00:00", "2013-04-23T00:00"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Give a workspace whose model was asked about every twelfth flight of April."""
    workspace = Workspace(tmp_path_factory.mktemp("served"), stages={})
    looping.begin(workspace, every=12)
    traffic = looping.departures(every=12, months=[4])
    with open_store(workspace.store_url) as store:
        world = looping.World(traffic=traffic, store=store, tracking_uri=workspace.tracking_uri)
        end = datetime(2013, 4, 30, tzinfo=UTC)
        world(Window(start=end, end=end, run=end), Life())
    return workspace


@pytest.fixture
def place(served, tmp_path):
    """Give the same with a store of its own, and a plan file; ``schedule(…)`` runs a command."""
    import sqlite3

    own = tmp_path / "store.db"
    with sqlite3.connect(served.store_url.removeprefix("sqlite:///")) as there:
        with sqlite3.connect(own) as here:
            there.backup(here)
        here.close()
    there.close()
    return Place(served, f"sqlite:///{own}", tmp_path)


class Place:
    def __init__(self, workspace, store_url, folder):
        self.tracking_uri = workspace.tracking_uri
        self.store_url = store_url
        self.folder = folder

    def plan(self, **changed):
        plan = {
            "deployment": NAME,
            "task": "regression",
            "loss": "mae",
            "schedule": {"cron": "cron(0 12 ? * MON *)", "start": "-P7DT12H", "end": "-PT12H"},
            "rules": str(RULES),
            "canary": {"harm": 0.5},
            "monitor": "process",
            "language": "en",
            "group_columns": ["origin"],
            "limits": {"least_rows": 100},
        }
        path = self.folder / "plan.yaml"
        path.write_text(yaml.safe_dump(plan | changed), encoding="utf-8")
        return path

    def arguments(self, what, *given):
        more = ["--store", self.store_url]
        if what in ("run", "once"):
            out = str(self.folder / "runs")
            return [
                what,
                *map(str, given),
                *more,
                "--tracking-uri",
                self.tracking_uri,
                "--out",
                out,
            ]
        return [what, *given, *more, "--deployment", NAME]

    def schedule(self, what, *given):
        return main(["schedule", *self.arguments(what, *given)])

    def command(self, what, *given):
        return [sys.executable, "-m", "utils", "schedule", *self.arguments(what, *given)]


def test_the_past_is_made_up_for_once(place, capsys):
    plan = place.plan()
    past = ("--from", "2013-04-02", "--until", SECOND)
    assert place.schedule("run", plan, *past) == 1
    first = capsys.readouterr().out.splitlines()
    assert first == [
        "1 Apr 2013 – 8 Apr 2013: Completed",
        "8 Apr 2013 – 15 Apr 2013: CompletedWithViolations",
    ]
    with open_store(place.store_url) as store:
        before = [event for stream in store.streams() for event in store.events(stream)]
    place.schedule("run", plan, *past)
    assert capsys.readouterr().out == ""
    with open_store(place.store_url) as store:
        again = [event for stream in store.streams() for event in store.events(stream)]
    assert again == before
    place.schedule("run", plan, "--from", "2013-04-02", "--until", THIRD)
    assert capsys.readouterr().out.startswith("15 Apr 2013 – 22 Apr 2013: ")


def test_the_runs_and_each_of_their_steps_are_listed(place, capsys):
    place.schedule("run", place.plan(), "--from", "2013-04-02", "--until", FIRST)
    capsys.readouterr()
    assert place.schedule("list") == 0
    assert capsys.readouterr().out == "2013-04-08T00:00:00+00:00  Completed\n"
    assert place.schedule("list", "2013-04-08T00:00:00+00:00") == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "collect",
        "monitor",
        "alert",
        "quarantine",
        "decide",
    ]


def test_what_somebody_asks_for_waits_for_whoever_approves_and_goes_on(place, capsys):
    plan = place.plan(gated=["retrain"])
    asked = ("retrain", "--by", "ana", "--reason", "a new month", "--id", "once")
    assert place.schedule("ask", *asked) == 0
    assert place.schedule("ask", *asked) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    past = ("--from", "2013-04-02", "--until", FIRST)
    assert place.schedule("run", plan, *past) == 1
    assert "waiting for approval" in capsys.readouterr().out
    place.schedule("list")
    assert ": retrain" in capsys.readouterr().out
    run = "2013-04-08T00:00:00+00:00"
    assert place.schedule("approve", run, "--by", "bia") == 0
    assert place.schedule("approve", run, "--by", "caio") == 2
    assert "bia approved retrain" in capsys.readouterr().err
    assert place.schedule("run", plan, *past) in (0, 1)
    capsys.readouterr()
    place.schedule("list", run)
    told = capsys.readouterr().out
    assert "train/retrain: 2" in told and "gate/retrain: 2" in told
    with open_store(place.store_url) as store:
        assert not actions.requests(store, NAME)


def test_a_step_that_is_declined_is_not_done(place, capsys):
    place.schedule("ask", "retrain", "--by", "ana", "--reason", "a new month")
    plan = place.plan(gated=["retrain"])
    place.schedule("run", plan, "--from", "2013-04-02", "--until", FIRST)
    run = "2013-04-08T00:00:00+00:00"
    assert place.schedule("decline", run, "--by", "bia", "--reason", "not now") == 0
    place.schedule("run", plan, "--from", "2013-04-02", "--until", FIRST)
    capsys.readouterr()
    place.schedule("list", run)
    told = capsys.readouterr().out
    assert "bia declined" in told and "train/retrain" not in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("approve", "2013-04-08", "--by", "ana"), "run='2013-04-08': 'flights' has no such run"),
        (("list", "2013-04-08"), "run='2013-04-08': 'flights' has no such run"),
        (("release", "a", "--by", "ana", "--reason", "mended"), "span='a': is not in quarantine"),
        (("ask", "retrain", "--by", " ", "--reason", "x"), "by=' ': must name who asks"),
    ],
)
def test_what_cannot_be_done_is_said_on_one_line(place, capsys, given, said):
    assert place.schedule(*given) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_plan_that_cannot_be_used_ends_with_two(place, capsys):
    assert place.schedule("once", place.plan(loss="rmse")) == 2
    assert "plan.yaml: loss='rmse': must be one of" in capsys.readouterr().err
    assert place.schedule("once", place.folder / "none.yaml") == 2
    assert "none.yaml: cannot be read" in capsys.readouterr().err


def test_years_that_were_missed_are_not_made_up_for_by_themselves(place, capsys):
    assert place.schedule("once", place.plan(), "--from", "2013-04-02") == 2
    assert "more than 12 runs are due" in capsys.readouterr().err
    with open_store(place.store_url) as store:
        assert runs_of(store, NAME) == []


@pytest.mark.parametrize("given", [("--from", "soon"), ("--poll-seconds", "0")])
def test_an_argument_that_is_no_time_is_refused(place, capsys, given):
    with pytest.raises(SystemExit) as raised:
        place.schedule("run", place.plan(), *given)
    assert raised.value.code == 2 and given[1] in capsys.readouterr().err


@contextmanager
def started(command):
    """Start a scheduler, give it with its first line, and stop it by SIGTERM."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()
        process.stderr.close()


def test_a_second_scheduler_says_who_is_at_work_and_a_signal_ends_the_first(place):
    command = place.command("run", place.plan(), "--poll-seconds", "0.2")
    with started(command) as (first, line):
        assert re.match(r"flights: the next run is at \d{4}-\d\d-\d\d 12:00 UTC", line)
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert second.returncode == 2
        assert "another scheduler is at work" in second.stderr
        assert f":{first.pid}:" in second.stderr
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
    with open_store(place.store_url) as store:
        assert store.lease_holder(f"schedule/{NAME}") in (None, "")


def test_who_was_killed_is_not_waited_for(place):
    command = place.command("run", place.plan())
    with started(command) as (first, line):
        assert line
        first.kill()
        first.wait(30)
    with started(command) as (second, line):
        assert "the next run" in line, second.stderr.read()


def test_a_window_is_measured_by_the_notebook_through_papermill(place, capsys):
    code = place.schedule(
        "run", place.plan(monitor="notebook"), "--from", "2013-04-02", "--until", FIRST
    )
    assert code == 0, capsys.readouterr()
    [folder] = (place.folder / "runs").iterdir()
    assert folder.name == "2013-04-08T0000Z"
    executed = json.loads((folder / "monitoring_report.ipynb").read_text(encoding="utf-8"))
    assert executed["metadata"]["papermill"]["exception"] is None
    assert (folder / "report.html").stat().st_size > 10_000
    with open_store(place.store_url) as store:
        table = store.measurements(NAME, start=datetime(2013, 4, 1, tzinfo=UTC))
    assert {"quality", "drift", "performance"} <= set(table["monitor"])
    assert set(table["window_end"]) == {datetime(2013, 4, 8, tzinfo=UTC)}
