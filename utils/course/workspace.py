"""The one folder where the course keeps its state, and the stages that bring it up.

Any notebook can be the first one run: it names the stage that it builds on, and what is missing
is brought up, in order. Nothing is made on import.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from utils.course.exercises import Both
from utils.serving.keys import workspace
from utils.text import tr


def _nothing(workspace: "Workspace") -> None:
    """Undo nothing."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A state of the workspace that notebooks build on, and how to come to it.

    ``build`` may leave files in ``workspace.folder(name)``, which is emptied before each attempt;
    what it leaves elsewhere (a store, a registry) ``undo`` must be able to take back, whole or
    half done. A greater ``version`` than the one brought up makes the stage missing again.
    """

    name: str
    build: Callable[["Workspace"], None]
    says: Both
    needs: Sequence[str] = ()
    undo: Callable[["Workspace"], None] = _nothing
    version: int = 1


_STAGES: dict[str, Stage] = {}
_being_built: ContextVar[str | None] = ContextVar("_being_built", default=None)


def stage(
    name: str,
    *,
    says: Both,
    needs: Sequence[str] = (),
    undo: Callable[["Workspace"], None] = _nothing,
    version: int = 1,
    registry: dict[str, Stage] = _STAGES,
) -> Callable[[Callable[["Workspace"], None]], Callable[["Workspace"], None]]:
    """Declare the function below as the stage of this name; ``says`` is what it brings up.

    The stages that it ``needs`` are declared before it, so there are no circles. Raises
    ``ValueError`` for a name taken, or a need that is no stage.
    """
    if name in registry:
        raise ValueError(f"name={name!r}: a stage of this name is declared already")
    for need in needs:
        _known(need, registry)

    def declare(build: Callable[["Workspace"], None]) -> Callable[["Workspace"], None]:
        registry[name] = Stage(
            name=name, build=build, says=says, needs=tuple(needs), undo=undo, version=version
        )
        return build

    return declare


@dataclass(frozen=True)
class Workspace:
    """The folder of one learner, one run or one test worker; never shared by accident.

    ``stages`` are those that it can bring up; a course module that declares them with ``stage``
    is imported before they are needed.
    """

    root: Path
    stages: dict[str, Stage]

    @classmethod
    def current(cls) -> "Workspace":
        """Return the workspace in force: ``VIGIA_WORKSPACE``, else ``workspace/`` in the clone."""
        return cls(workspace(), _STAGES)

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking and registry URI."""
        return f"sqlite:///{(self._made(self.root) / 'mlflow.db').as_posix()}"

    @property
    def store_url(self) -> str:
        """The URL of the Model Metrics Store."""
        return f"sqlite:///{(self._made(self.root) / 'store.db').as_posix()}"

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's artifacts."""
        return self._made(self.root / "artifacts")

    def folder(self, name: str) -> Path:
        """Return the folder of files of one stage or chapter, made if it is not there."""
        return self._made(self.root / "files" / name)

    def need(self, name: str) -> None:
        """Bring up a stage and those that it builds on, as far as they are missing.

        It prints one line that says what it brought up, and nothing when nothing was missing. A
        stage that was cut short is undone and built again. Of two processes that need the same
        stage, one builds it and the other waits. Raises ``ValueError`` for an unknown name.
        """
        _known(name, self.stages)
        if within := _being_built.get():
            raise RuntimeError(f"stage {within!r} asks for {name!r}: name it in its needs")
        with self._lock():
            missing = [each for each in self._up_to(name) if not self._is_up(each)]
            outdated = {each.name for each in self._built_on(each.name for each in missing)}
            for each in reversed([each for each in self.stages.values() if each.name in outdated]):
                self._drop(each)
            for each in self._up_to(name):
                if not self._is_up(each):
                    self._bring_up(each)
        if missing:
            things = ", ".join(str(each.says) for each in missing)
            print(tr(pt=f"Preparado agora: {things}.", en=f"Brought up now: {things}."))

    def renew(self, name: str) -> None:
        """Drop a stage and those built on it; each is brought up again when it is next needed."""
        _known(name, self.stages)
        with self._lock():
            for each in reversed(self._built_on([name])):
                self._drop(each)

    def is_up(self, name: str) -> bool:
        """Return whether a stage is done and of today's version."""
        return self._is_up(_known(name, self.stages))

    def _up_to(self, name: str) -> list[Stage]:
        """Return a stage and all that it builds on, first things first."""
        wanted = {name}
        for each in reversed(self.stages.values()):
            if each.name in wanted:
                wanted.update(each.needs)
        return [each for each in self.stages.values() if each.name in wanted]

    def _built_on(self, names) -> list[Stage]:
        """Return stages and all that build on them, first things first."""
        found = set(names)
        for each in self.stages.values():
            if found & set(each.needs):
                found.add(each.name)
        return [each for each in self.stages.values() if each.name in found]

    def _bring_up(self, each: Stage) -> None:
        mark = self._mark(each)
        mark.with_suffix(".started").touch()
        within = _being_built.set(each.name)
        try:
            each.build(self)
        finally:
            _being_built.reset(within)
        unfinished = mark.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"version": each.version}))
        unfinished.replace(mark)
        mark.with_suffix(".started").unlink()

    def _drop(self, each: Stage) -> None:
        """Take back a stage, done or half done; marks go last, so that a drop can be retried."""
        mark = self._mark(each)
        started = mark.with_suffix(".started")
        if not mark.exists() and not started.exists():
            return
        started.touch()
        mark.unlink(missing_ok=True)
        each.undo(self)
        shutil.rmtree(self.folder(each.name))
        started.unlink()

    def _is_up(self, each: Stage) -> bool:
        mark = self._mark(each)
        return mark.exists() and json.loads(mark.read_text())["version"] == each.version

    def _mark(self, each: Stage) -> Path:
        return self.root / "stages" / f"{each.name}.done"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self._made(self.root / "stages") / "lock").open("a+b") as file:
            _wait_for(file)
            yield

    @staticmethod
    def _made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _known(name: str, registry: dict[str, Stage]) -> Stage:
    if name not in registry:
        nearest = ", ".join(get_close_matches(name, registry, n=1, cutoff=0)) or "none"
        raise ValueError(f"name={name!r} is no stage; the nearest is {nearest}")
    return registry[name]


if os.name == "nt":
    import msvcrt
    import time

    def _wait_for(file) -> None:
        """Lock a file for this process until it is closed."""
        while True:
            try:
                file.seek(0)
                return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError:
                time.sleep(0.1)

else:
    import fcntl

    def _wait_for(file) -> None:
        """Lock a file for this process until it is closed."""
        fcntl.flock(file, fcntl.LOCK_EX)
