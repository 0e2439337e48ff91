"""The labs: built from the source notebooks, run, and kept while their source stays as it is."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbformat import NotebookNode

from utils.course import ROOT, builder
from utils.course.runs import environment
from utils.runner import Job, Outcome, run_all, watched
from utils.text import LANGUAGES


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One lab as it should be: ``notebook`` is built, and has no outputs yet."""

    path: Path
    language: str
    notebook: NotebookNode

    @property
    def is_fresh(self) -> bool:
        """Whether the file that stands is this lab, run, from the source of today."""
        if not self.path.is_file():
            return False
        stands = builder.read(self.path)
        return (
            stands.metadata.get("vigia") == self.notebook.metadata.vigia
            and builder.source_hash(stands) == builder.source_hash(self.notebook)
            and all(cell.execution_count for cell in stands.cells if cell.cell_type == "code")
        )


def labs(root: Path = ROOT) -> list[Lab]:
    """Return the labs of every source notebook, built, each language in its order.

    Raises ``SourceError`` for a source that cannot be built.
    """
    return [
        Lab(
            path=root / f"labs_{language}" / path.name,
            language=language,
            notebook=builder.edition(builder.read(path), language, solutions=False, name=path.name),
        )
        for language in LANGUAGES
        for path in sorted((root / "notebooks").glob("*.ipynb"))
    ]


def stale(root: Path = ROOT) -> list[Path]:
    """Return the labs that are not as their source says, and those that have no source."""
    built = labs(root)
    return [lab.path for lab in built if not lab.is_fresh] + _without_source(built, root)


def _without_source(built: Sequence[Lab], root: Path) -> list[Path]:
    expected = {lab.path for lab in built}
    return [
        path
        for language in LANGUAGES
        for path in sorted((root / f"labs_{language}").glob("*.ipynb"))
        if path not in expected
    ]


def rebuild(*, workers: int, root: Path = ROOT) -> list[Outcome]:
    """Build and run the labs that are stale, drop those without a source; return how it went.

    A lab that stands is neither run nor written again. A lab that fails is not written. Each runs
    in an empty workspace, as a learner's first one would: so its outputs do not depend on others.
    """
    built = labs(root)
    for path in _without_source(built, root):
        path.unlink()
    todo = [lab for lab in built if not lab.is_fresh]
    with TemporaryDirectory(prefix="vigia-labs-", ignore_cleanup_errors=True) as folder:
        jobs = [_job(lab, Path(folder)) for lab in todo]
        outcomes = run_all(jobs, workers=workers, progress=watched(jobs))
        targets = {id(job): lab.path for job, lab in zip(jobs, todo, strict=True)}
        for outcome in outcomes:
            if outcome.failure is None:
                _write(builder.read(outcome.job.output), targets[id(outcome.job)])
    return outcomes


def _job(lab: Lab, folder: Path) -> Job:
    lab.path.parent.mkdir(exist_ok=True)
    return Job(
        name=lab.path.stem,
        notebook=lab.notebook,
        output=folder / lab.language / lab.path.name,
        folder=lab.path.parent,
        language=lab.language,
        lane=lab.language,
        environment=environment(folder / "workspace" / lab.language / lab.path.stem),
    )


def _write(executed: NotebookNode, path: Path) -> None:
    """Write a lab whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    nbformat.write(builder.without_traces(executed), unfinished)
    os.replace(unfinished, path)
