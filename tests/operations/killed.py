"""A case of the loop in processes that are killed, each a bit further on: ``FOLDER every case``.

The case runs twice: in ``whole`` undisturbed, and in ``killed`` by one process after another. Each
of these kills itself with SIGKILL at the first point at which none was killed yet, until one comes
to the end. Points are the phases of each step, and within a step each write to the store and each
change in the registry after it was made; the collecting of traffic counts anew with a canary.

It prints the points at which a process died, one a line.
"""

import functools
import gc
import importlib
import inspect
import os
import signal
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow import MlflowClient

from utils.course import looping
from utils.course.workspace import Workspace
from utils.operations import loop, steps
from utils.store import Store, engines, open_store
from utils.text import using

REGISTRY = (
    "create_run",
    "log_model_artifacts",
    "log_artifact",
    "set_terminated",
    "create_model_version",
    "set_model_version_tag",
    "set_registered_model_alias",
)
"""What of MLflow's client changes what others see."""


class Points:
    """Knows at which points processes were killed, and kills this one at a new one."""

    def __init__(self, file):
        self.file, self.step, self.n, self.is_doing = file, "", Counter(), False
        self.known = set(file.read_text().splitlines()) if file.exists() else set()

    def reach(self, point):
        if point in self.known:
            return
        with self.file.open("a") as open_file:
            open_file.write(f"{point}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, scheduler, phase, step):
        if phase == "begins":
            candidate = scheduler.loop.life.candidate
            has_canary = candidate is not None and candidate.stage == "canary"
            in_two = step == "collect" and has_canary
            self.step, self.n = f"{step}, in two" if in_two else step, Counter()
        self.is_doing = phase == "begins"
        self.reach(f"{phase}: {self.step}")

    def change(self, what):
        if self.is_doing:
            self.n[what] += 1
            self.reach(f"{what} {self.n[what]}: {self.step}")


def after_each_change(points, store_url):
    """Tell of each write to the store, and of each change in the registry, once it was made."""
    with open_store(store_url) as store:
        deployments = store.deployments()
    names = dict(zip(deployments["deployment_crn"], deployments["name"], strict=True))
    writing, written = engines.Backend.writing, []

    @contextmanager
    def told(backend):
        with writing(backend) as connection:
            yield connection
        written.append(backend)

    engines.Backend.writing = told

    def telling(owner, name):
        change = getattr(owner, name)

        @functools.wraps(change)
        def changed(*args, **more):
            found = change(*args, **more)
            if owner is MlflowClient:
                points.change(name)
            elif written:
                written.clear()
                points.change(" ".join([name, *map(named, args[1:2])]))
            return found

        setattr(owner, name, changed)

    def named(first):
        """Return what a write is about, the same in each run: a deployment, a kind of stream."""
        if not isinstance(first, str):
            return ""
        return names.get(first, first.split("/")[0])

    for name in REGISTRY:
        telling(MlflowClient, name)
    for name, each in vars(Store).copy().items():
        if inspect.isfunction(each) and not name.startswith("_"):
            telling(Store, name)


def forked(do):
    """Run a function in a process of its own, and return its exit code; below 0 it was killed."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            do()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(folder, every, name):
    case = looping.CASES[name]
    traffic = case.happens(looping.departures(every=every, months=range(4, 8)))
    settings = {"until": case.until, "asks": case.asks, **case.changed()}
    modules = folder / "modules.txt"

    def whole():
        workspace = Workspace(folder / "whole", stages={})
        looping.begin(workspace, every=every, fallback=case.fallback)
        looping.looped(workspace, traffic, **settings)
        modules.write_text("\n".join(sys.modules))

    def begun():
        workspace = Workspace(folder / "killed", stages={})
        looping.begin(workspace, every=every, fallback=case.fallback)

    def killed():
        workspace = Workspace(folder / "killed", stages={})
        points = Points(folder / "points.txt")
        after_each_change(points, workspace.store_url)
        # Of one step more are killed here than may be: how many may, others test.
        loop.Run = functools.partial(steps.Run, most_tries=10_000)
        more = {key: value for key, value in settings.items() if key != "until"}
        watch = []
        with looping.scheduled(
            workspace, traffic, watch=lambda *said: watch[0](*said), **more
        ) as scheduler:
            watch.append(functools.partial(points.watch, scheduler))
            for _ in scheduler.simulate(until=case.until):
                pass

    assert forked(whole) == 0
    for each in modules.read_text().splitlines():  # so that no child imports anything
        if each not in sys.modules and not each.startswith("__"):
            with suppress(ImportError):
                importlib.import_module(each)
    looping.begin(Workspace(folder / "warm", stages={}), every=every)  # as for what is set up once
    assert forked(begun) == 0
    gc.freeze()  # what is there is shared by all of them
    while (code := forked(killed)) == -signal.SIGKILL:
        pass
    assert code == 0, f"it ended with {code}"
    print((folder / "points.txt").read_text(), end="")


if __name__ == "__main__":
    with using("en"):
        main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
