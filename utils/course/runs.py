"""A run of the course: which notebooks, in which languages, in whose workspace."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from uuid import uuid4

from nbformat import NotebookNode

from utils.course import NOTEBOOKS, ROOT, builder
from utils.records import VigiaError
from utils.runner import (
    BadParameter,
    Job,
    Outcome,
    checked_parameters,
    index_page,
    parameters_of,
)
from utils.text import LANGUAGES, language, tr


class UnknownNotebook(VigiaError):
    """No notebook of this path, name or number."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run, and the sources that cannot be built."""

    jobs: Sequence[Job]
    broken: Sequence[builder.SourceError]


def course_notebooks() -> list[Path]:
    """Return the source notebooks in the order of the course, the report last."""
    numbered = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    return numbered + sorted(NOTEBOOKS.glob("monitoring_report.ipynb"))


def found_notebook(name: str) -> Path:
    """Return the notebook of a path, a name (``06_model_simulation``) or a number (``06``).

    Raises ``UnknownNotebook`` naming the nearest.
    """
    as_path = Path(name)
    if as_path.suffix == ".ipynb" and as_path.is_file():
        return as_path.resolve()
    by_name = {path.stem: path for path in course_notebooks()}
    by_number = {path.stem.partition("_")[0]: path for path in course_notebooks()}
    path = (by_number | by_name).get(name.removesuffix(".ipynb"))
    if path is None:
        nearest = get_close_matches(as_path.stem, by_name, n=1, cutoff=0)
        raise UnknownNotebook(
            tr(
                pt=f"nenhum notebook {name}; o mais próximo é {', '.join(nearest) or 'nenhum'}",
                en=f"no notebook {name}; the nearest is {', '.join(nearest) or 'none'}",
            )
        )
    return path


def planned(
    names: Sequence[str],
    *,
    languages: Sequence[str],
    parameters: Sequence[tuple[str, str]],
    out: Path,
    workspaces: Path,
) -> Plan:
    """Return what to run: each notebook in each language, in a workspace for each language.

    No name means the whole course. A source notebook is run in each of ``languages``, with its
    solutions; any other in the language that it has. Raises ``UnknownNotebook``,
    ``BadParameter``, or ``SourceError`` for a file that is no notebook.
    """
    paths = list(dict.fromkeys(map(found_notebook, names))) or course_notebooks()
    languages, parameters = _languages(languages, parameters)
    originals = {path: builder.read(path) for path in paths}
    values = checked_parameters(
        parameters, {str(path): notebook for path, notebook in originals.items()}
    )
    jobs, broken = [], []
    for path, original in originals.items():
        try:
            editions = _editions(original, languages, name=path.name)
        except builder.SourceError as error:
            broken.append(error)
            continue
        numbers = {cell.get("id"): number for number, cell in enumerate(original.cells, start=1)}
        jobs += [
            Job(
                name=path.stem,
                notebook=notebook,
                output=out / code / path.name,
                folder=path.parent,
                language=code,
                lane=code,
                parameters=values[str(path)],
                environment=environment(workspaces / code),
                numbers=numbers,
            )
            for code, notebook in editions.items()
        ]
    _refuse_two_into_one(jobs)
    return Plan(jobs=jobs, broken=broken)


def _languages(
    languages: Sequence[str], parameters: Sequence[tuple[str, str]]
) -> tuple[Sequence[str], Sequence[tuple[str, str]]]:
    """Return the languages to run, where ``-p language`` may choose, and the other parameters.

    Raises ``BadParameter`` for a language that the course does not have.
    """
    chosen = [value for name, value in parameters if name == "language"]
    for value in chosen:
        if value not in LANGUAGES:
            raise BadParameter(
                tr(
                    pt=f"language={value!r}: os idiomas são {', '.join(LANGUAGES)}",
                    en=f"language={value!r}: the languages are {', '.join(LANGUAGES)}",
                )
            )
    others = [(name, value) for name, value in parameters if name != "language"]
    return (chosen[-1:] or languages), others


def _editions(
    notebook: NotebookNode, languages: Sequence[str], *, name: str
) -> dict[str, NotebookNode]:
    """Return what is run of a notebook in each language."""
    if builder.is_source(notebook):
        return {
            code: builder.edition(notebook, code, solutions=True, name=name) for code in languages
        }
    own = parameters_of(notebook).get("language")
    code = own.default if own is not None and own.default in LANGUAGES else language()
    return {builder.language_of(notebook) or code: notebook}


def _refuse_two_into_one(jobs: Sequence[Job]) -> None:
    outputs = [job.output for job in jobs]
    for job in jobs:
        if outputs.count(job.output) > 1:
            raise UnknownNotebook(
                tr(
                    pt=f"dois notebooks {job.name} ({job.language}): rode um de cada vez",
                    en=f"two notebooks {job.name} ({job.language}): run one at a time",
                )
            )


def environment(workspace: Path) -> dict[str, str]:
    """Return the environment of a kernel that works in a workspace and finds this ``utils``.

    Kernels run side by side, one a language, so each takes one core for its sums.
    """
    on_path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return (
        {"OMP_NUM_THREADS": "1"}
        | os.environ
        | {
            "VIGIA_WORKSPACE": str(workspace),
            "PYTHONPATH": os.pathsep.join(on_path),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
    )


@contextmanager
def workspaces(out: Path) -> Iterator[Path]:
    """Yield the folder of the workspaces of a run, one for each language in it.

    It is new, and gone after the run, unless ``VIGIA_WORKSPACE`` names one to keep.
    """
    named = os.environ.get("VIGIA_WORKSPACE")
    if named:
        yield Path(named).resolve()
        return
    new = out / f".workspace-{uuid4().hex}"
    try:
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def write_index(outcomes: Sequence[Outcome], *, out: Path) -> Path:
    """Write the page of what ran, and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "index.html"
    path.write_text(index_page(outcomes, folder=out), encoding="utf-8")
    return path
