"""What is stored with its outputs: the labs, built from the source notebooks, and the sources.

Each is run, and kept while its source stays as it is. The labs show exercises that nobody has
answered yet; a source shows the solutions at work, in the first of the languages.
"""

import os
from collections.abc import Collection, Sequence
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
            and _is_run(stands)
        )

    def stored(self, executed: NotebookNode) -> NotebookNode:
        """Return what is written of the lab when it has run."""
        return builder.without_traces(executed)


@dataclass(frozen=True, kw_only=True)
class Source(Lab):
    """A source notebook; ``notebook`` is its edition with solutions, which is run for it."""

    @property
    def is_fresh(self) -> bool:
        """Whether the source carries the outputs of what is written in it today."""
        stands = builder.read(self.path)
        return _outputs_of(stands) == builder.source_hash(stands) and _is_run(stands)

    def stored(self, executed: NotebookNode) -> NotebookNode:
        """Return the source as it stands, with the outputs of its edition."""
        source = builder.read(self.path)
        ran = {cell.id: cell for cell in builder.without_traces(executed).cells}
        for cell in source.cells:
            if cell.cell_type == "code":
                cell.outputs = ran[cell.id].outputs
                cell.execution_count = ran[cell.id].execution_count
        source.metadata["vigia"] = {"outputs_of": executed.metadata.vigia.source_sha256}
        return source


def _is_run(notebook: NotebookNode) -> bool:
    return all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def _outputs_of(source: NotebookNode) -> str | None:
    return source.metadata.get("vigia", {}).get("outputs_of")


def labs(root: Path = ROOT, *, only: Collection[str] | None = None) -> list[Lab]:
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
        for path in _sources(root, only)
    ]


def sources(root: Path = ROOT, *, only: Collection[str] | None = None) -> list[Source]:
    """Return the source notebooks, each with what is run for its outputs."""
    language = LANGUAGES[0]
    return [
        Source(
            path=path,
            language=language,
            notebook=builder.edition(builder.read(path), language, solutions=True, name=path.name),
        )
        for path in _sources(root, only)
    ]


def _sources(root: Path, only: Collection[str] | None) -> list[Path]:
    paths = sorted((root / "notebooks").glob("*.ipynb"))
    return [path for path in paths if only is None or path.stem in only]


def stale(root: Path = ROOT) -> list[Path]:
    """Return what is not as its source says, and the labs that have no source."""
    built = labs(root)
    old = [each.path for each in [*built, *sources(root)] if not each.is_fresh]
    return old + _without_source(built, root)


def _without_source(built: Sequence[Lab], root: Path) -> list[Path]:
    expected = {lab.path for lab in built}
    return [
        path
        for language in LANGUAGES
        for path in sorted((root / f"labs_{language}").glob("*.ipynb"))
        if path not in expected
    ]


def rebuild(
    *, workers: int, root: Path = ROOT, only: Collection[str] | None = None
) -> list[Outcome]:
    """Build and run what is stale, drop the labs without a source; return how it went.

    ``only`` names the notebooks to build (``{"06_model_simulation"}``), where not all are wanted.

    What stands is neither run nor written again, and what fails is not written. Each runs in an
    empty workspace, as a learner's first one would: so its outputs do not depend on others.
    """
    built = labs(root, only=only)
    if only is None:
        for path in _without_source(built, root):
            path.unlink()
    todo = [each for each in [*built, *sources(root, only=only)] if not each.is_fresh]
    with TemporaryDirectory(prefix="vigia-labs-", ignore_cleanup_errors=True) as folder:
        jobs = [_job(lab, Path(folder)) for lab in todo]
        outcomes = run_all(jobs, workers=workers, progress=watched(jobs))
        ran = {id(job): each for job, each in zip(jobs, todo, strict=True)}
        for outcome in outcomes:
            if outcome.failure is None:
                each = ran[id(outcome.job)]
                _write(each.stored(builder.read(outcome.job.output)), each.path)
    return outcomes


def _job(lab: Lab, folder: Path) -> Job:
    shelf = lab.path.parent
    shelf.mkdir(exist_ok=True)
    return Job(
        name=lab.path.stem,
        notebook=lab.notebook,
        output=folder / shelf.name / lab.path.name,
        folder=shelf,
        language=lab.language,
        lane=shelf.name,
        environment=environment(folder / "workspace" / shelf.name / lab.path.stem),
    )


def _write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    nbformat.write(notebook, unfinished)
    os.replace(unfinished, path)
