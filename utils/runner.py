"""A notebook through papermill: its parameters checked, its progress shown, its errors named.

The kernel is this very Python, whatever kernels are installed; the pages made of the executed
notebooks fetch nothing from a network.
"""

import ast
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import get_close_matches
from html import escape
from pathlib import Path
from typing import Any, Protocol

import jinja2
import nbformat
import papermill
import zmq
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_core.utils import ensure_event_loop
from latex2mathml import exceptions as tex
from latex2mathml.converter import convert
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from utils.records import VigiaError
from utils.text import tr

_ENGINE = "this-python"


class BadParameter(VigiaError):
    """A parameter that no notebook has, or a value of another type than the default's."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A value that a notebook can be run with; ``default`` is what stands in its cell."""

    name: str
    default: Any

    def parsed(self, text: str) -> Any:
        """Return a value given as text, in the type of the default.

        A default of ``None`` takes any text. Raises ``BadParameter`` naming the parameter, the
        value and the type.

        >>> Parameter(name="n_days", default=30).parsed("7")
        7
        """
        kind = type(self.default)
        try:
            return _READERS.get(kind, _literal_like(self.default))(text)
        except (ValueError, SyntaxError) as error:
            raise BadParameter(
                tr(
                    pt=f"o parâmetro {self.name} recebe {kind.__name__}, não {text!r}",
                    en=f"parameter {self.name} takes {kind.__name__}, not {text!r}",
                )
            ) from error


def _boolean(text: str) -> bool:
    words = {"true": True, "false": False, "1": True, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _literal_like(default: Any) -> Callable[[str], Any]:
    """Return the reader of a list, dict or tuple: a literal of the same type."""

    def read(text: str) -> Any:
        value = ast.literal_eval(text)
        if type(value) is not type(default):
            raise ValueError(text)
        return value

    return read


_READERS: dict[type, Callable[[str], Any]] = {
    bool: _boolean,
    int: int,
    float: float,
    str: str,
    type(None): str,
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One notebook to run. Jobs of one ``lane`` run in order; lanes run side by side.

    ``output`` is the executed notebook to write; its page is written beside it. ``folder`` is
    where the kernel works, ``environment`` its whole environment. ``numbers`` gives the number
    of a cell by its id, where the file that a reader opens counts other cells than ``notebook``.
    """

    name: str
    notebook: NotebookNode
    output: Path
    folder: Path
    language: str
    lane: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_code_cells(self) -> int:
        return sum(cell.cell_type == "code" for cell in self.notebook.cells)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job went: ``failure`` names the cell and the error, ``None`` is a success."""

    job: Job
    seconds: float
    failure: str | None = None

    @property
    def page(self) -> Path:
        return self.job.output.with_suffix(".html")


class Progress(Protocol):
    """Who is told how the jobs go on; called from the threads of the lanes."""

    def cell_done(self, job: Job) -> None: ...

    def job_done(self, outcome: Outcome) -> None: ...


# Parameters


def parameters_of(notebook: NotebookNode) -> dict[str, Parameter]:
    """Return the parameters of a notebook by name: the literals of its cell tagged so.

    >>> cell = nbformat.v4.new_code_cell("n_days = 30", metadata={"tags": ["parameters"]})
    >>> parameters_of(nbformat.v4.new_notebook(cells=[cell]))
    {'n_days': Parameter(name='n_days', default=30)}
    """
    found = {}
    for cell in notebook.cells:
        if cell.cell_type != "code" or "parameters" not in cell.metadata.get("tags", ()):
            continue
        for statement in ast.parse(cell.source).body:
            if isinstance(statement, (ast.Assign, ast.AnnAssign)) and _is_literal(statement.value):
                default = ast.literal_eval(statement.value)
                targets = getattr(statement, "targets", None) or [statement.target]
                for target in targets:
                    found[target.id] = Parameter(name=target.id, default=default)
    return found


def _is_literal(node: ast.expr | None) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True


def checked_parameters(
    given: Sequence[tuple[str, str]], notebooks: Mapping[str, NotebookNode]
) -> dict[str, dict[str, Any]]:
    """Return the parameters of each notebook, by its name, out of those given as text.

    A notebook gets the parameters that it has. Raises ``BadParameter`` for one that none of them
    has, naming the nearest that one has, and for a value of another type than the default.
    """
    known = {name: parameters_of(notebook) for name, notebook in notebooks.items()}
    names = sorted({parameter for parameters in known.values() for parameter in parameters})
    for parameter, _ in given:
        if parameter not in names:
            nearest = ", ".join(get_close_matches(parameter, names, n=1, cutoff=0))
            raise BadParameter(
                tr(
                    pt=f"nenhum notebook tem o parâmetro {parameter}; o mais próximo é {nearest}",
                    en=f"no notebook has the parameter {parameter}; the nearest is {nearest}",
                )
                if nearest
                else tr(
                    pt=f"nenhum notebook tem o parâmetro {parameter}, nem qualquer outro",
                    en=f"no notebook has the parameter {parameter}, nor any other",
                )
            )
    return {
        name: {
            parameter: parameters[parameter].parsed(text)
            for parameter, text in given
            if parameter in parameters
        }
        for name, parameters in known.items()
    }


# Running


def _run(job: Job, *, progress: Progress, running: "_Running") -> Outcome:
    """Run one notebook; write it, executed, and its page, also when a cell fails."""
    papermill_engines.register(_ENGINE, _ThisPython)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(job.notebook, job.output)
    path = str(job.output).replace("{", "{{").replace("}", "}}")
    started = time.monotonic()
    failure = None
    try:
        papermill.execute_notebook(
            path,
            path,
            parameters=dict(job.parameters),
            engine_name=_ENGINE,
            kernel_name=NATIVE_KERNEL_NAME,
            language="python",
            progress_bar=False,
            request_save_on_cell_execute=False,
            job=job,
            progress=progress,
            running=running,
        )
    except PapermillExecutionError as error:
        failure = _failure(job, error)
    except (DeadKernelError, CellTimeoutError) as error:
        failure = tr(pt=f"o kernel parou: {error}", en=f"the kernel stopped: {error}")
    outcome = Outcome(job=job, seconds=time.monotonic() - started, failure=failure)
    executed = nbformat.read(job.output, as_version=4)
    outcome.page.write_text(html_page(executed, language=job.language), encoding="utf-8")
    progress.job_done(outcome)
    return outcome


def _failure(job: Job, error: PapermillExecutionError) -> str:
    """Return the cell and the error of a notebook that stopped."""
    injected = bool(job.parameters) and error.cell_index > _parameters_index(job.notebook)
    index = error.cell_index - injected
    number = job.numbers.get(job.notebook.cells[index].get("id"), index + 1)
    what = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
    return tr(
        pt=f"célula {number} (In [{error.exec_count}]): {what}",
        en=f"cell {number} (In [{error.exec_count}]): {what}",
    )


def _parameters_index(notebook: NotebookNode) -> int:
    tagged = ["parameters" in cell.metadata.get("tags", ()) for cell in notebook.cells]
    return tagged.index(True)


class _Running:
    """The kernels that run now, so that an interruption reaches them."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self._managers: set[AsyncKernelManager] = set()

    def add(self, manager: AsyncKernelManager) -> None:
        self._managers.add(manager)

    def remove(self, manager: AsyncKernelManager) -> None:
        self._managers.discard(manager)

    def stop(self) -> None:
        """Interrupt the cells that run and start no further notebook."""
        self.stopped.set()
        for manager in list(self._managers):
            if manager.has_kernel:
                process = manager.provisioner.process
                process.terminate() if os.name == "nt" else process.send_signal(signal.SIGINT)


class _ThisPython(NBClientEngine):
    """A papermill engine whose kernel is the Python that runs it."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man, kernel_name, *, job: Job, progress: Progress, running: _Running, **_
    ) -> None:
        no_installed_kernels = KernelSpecManager(kernel_dirs=[])
        manager = AsyncKernelManager(
            kernel_name=kernel_name,
            kernel_spec_manager=no_installed_kernels,
            transport_encryption="auto" if zmq.has("curve") else "disabled",
        )
        client = PapermillNotebookClient(
            nb_man,
            km=manager,
            timeout=None,
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],  # no word on being shut down
            on_cell_executed=lambda **_: progress.cell_done(job),
        )
        running.add(manager)
        try:
            client.execute(cleanup_kc=True, cwd=str(job.folder), env=dict(job.environment))
        finally:
            running.remove(manager)


def run_all(jobs: Sequence[Job], *, workers: int, progress: Progress) -> list[Outcome]:
    """Run jobs, each lane in order and ``workers`` lanes side by side; a failure stops no other.

    On ``KeyboardInterrupt`` the running cells are interrupted and nothing further is started.
    """
    lanes: dict[str, list[Job]] = {}
    for job in jobs:
        lanes.setdefault(job.lane, []).append(job)
    running = _Running()

    def run_lane(lane: list[Job]) -> list[Outcome]:
        try:
            return [
                _run(job, progress=progress, running=running)
                for job in lane
                if not running.stopped.is_set()
            ]
        finally:
            ensure_event_loop().close()  # the one that the kernel's client made for this thread

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run_lane, lane) for lane in lanes.values()]
        try:
            return [outcome for future in futures for outcome in future.result()]
        except KeyboardInterrupt:
            running.stop()
            raise


# Progress


def said(outcome: Outcome) -> str:
    """Return one line on how a notebook went."""
    name = f"{outcome.job.name} ({outcome.job.language})"
    if outcome.failure is None:
        return tr(
            pt=f"{name}: pronto em {outcome.seconds:.1f} s",
            en=f"{name}: done in {outcome.seconds:.1f} s",
        )
    return tr(pt=f"{name}: falhou: {outcome.failure}", en=f"{name}: failed: {outcome.failure}")


class Lines:
    """A line on standard error for each notebook, where nobody watches a terminal."""

    def cell_done(self, job: Job) -> None:
        """Say nothing."""

    def job_done(self, outcome: Outcome) -> None:
        sys.stderr.write(f"{said(outcome)}\n")  # in one piece: other lanes write too


class Bars:
    """A bar for each lane over the code cells of all its notebooks."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        from tqdm import tqdm

        self._write = tqdm.write
        self._jobs = list(jobs)
        self._left = {id(job): job.n_code_cells for job in jobs}
        self._bars = {
            lane: tqdm(
                total=sum(job.n_code_cells for job in self._of(lane)),
                desc=lane,
                unit=tr(pt="célula", en="cell"),
                position=position,
                dynamic_ncols=True,
            )
            for position, lane in enumerate(dict.fromkeys(job.lane for job in jobs))
        }
        for lane in self._bars:
            self._describe(lane, done=0)

    def _of(self, lane: str) -> list[Job]:
        return [job for job in self._jobs if job.lane == lane]

    def _describe(self, lane: str, *, done: int) -> None:
        jobs = self._of(lane)
        current = jobs[min(done, len(jobs) - 1)].name
        self._bars[lane].set_description(f"{lane} {done}/{len(jobs)} {current}")

    def cell_done(self, job: Job) -> None:
        if self._left[id(job)]:
            self._left[id(job)] -= 1
            self._bars[job.lane].update(1)

    def job_done(self, outcome: Outcome) -> None:
        job = outcome.job
        self._bars[job.lane].update(self._left.pop(id(job)))
        done = sum(id(each) not in self._left for each in self._of(job.lane))
        self._describe(job.lane, done=done)
        if outcome.failure is not None:
            self._write(said(outcome), file=sys.stderr)
        if done == len(self._of(job.lane)):
            self._bars[job.lane].close()


def watched(jobs: Sequence[Job]) -> Progress:
    """Return bars where standard error is a terminal, lines elsewhere."""
    return Bars(jobs) if sys.stderr.isatty() else Lines()


# Pages


def title_of(notebook: NotebookNode, *, default: str) -> str:
    """Return the first heading of a notebook.

    >>> cell = nbformat.v4.new_markdown_cell("# Is it still right?\\n\\nText.")
    >>> title_of(nbformat.v4.new_notebook(cells=[cell]), default="07")
    'Is it still right?'
    """
    for cell in notebook.cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and line.startswith("# "):
                return line.removeprefix("# ").strip()
    return default


def html_page(notebook: NotebookNode, *, language: str) -> str:
    """Return an executed notebook as a page of its own, with the figures' alternative texts.

    Nothing is fetched when it is opened: styles are within it, formulas are MathML. The
    alternative text of a figure is its output's ``metadata["image/png"]["alt"]``.
    """
    exporter = HTMLExporter(
        template_name="classic",
        template_file="page.html.j2",
        extra_loaders=[jinja2.DictLoader({"page.html.j2": _PAGE})],
        language_code=language,
        filters={"markdown2html": _markdown},
    )
    titled = nbformat.from_dict(notebook)
    titled.metadata["title"] = title_of(notebook, default="")
    text, _ = exporter.from_notebook_node(titled)
    return text


_TEX_ERRORS = tuple(kind for kind in vars(tex).values() if isinstance(kind, type))


class _MathML(IPythonRenderer):
    """Markdown to HTML with formulas as MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        return self._formula(body, display="inline")

    def block_math(self, body: str) -> str:
        return self._formula(body, display="block")

    def latex_environment(self, name: str, body: str) -> str:
        return self._formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", display="block")

    def _formula(self, body: str, *, display: str) -> str:
        try:
            return convert(body, display=display)
        except _TEX_ERRORS:  # no formula after all, or one cut short: show what was written
            return f"<code>{escape(body)}</code>"


def _markdown(source: str) -> str:
    renderer = _MathML(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


_STYLE = """
body { font: 1rem/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0; }
main { max-width: 58rem; margin: 0 auto; padding: 1.5rem; }
a { color: #00568f; }
pre, code { font: 0.88rem/1.5 ui-monospace, monospace; }
pre { margin: 0; overflow-x: auto; }
.input_area, .text_cell_render pre { background: #f5f5f2; padding: 0.7rem; border-radius: 4px; }
.output_area { margin: 0.6rem 0; overflow-x: auto; }
.output_stderr, .output_error { background: #fdecea; padding: 0.5rem; }
.prompt { color: #595959; font-size: 0.75rem; }
img, svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 0.6rem 0; }
th, td { padding: 0.3rem 0.7rem; border: 0; text-align: left; }
tr { border-bottom: 1px solid #d0d0d0; }
.highlight, .highlight pre { background: none; }
table.dataframe { border: 0; }
td.number, .dataframe td, .dataframe th { text-align: right; }
.failed { color: #a01c10; font-weight: 600; }
"""

_PAGE = (
    """
{%- extends 'classic/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block notebook_css -%}<style>"""
    + _STYLE
    + """</style>{%- endblock -%}
"""
)


def index_page(outcomes: Sequence[Outcome], *, folder: Path) -> str:
    """Return the page of what ran, in both languages, with links relative to ``folder``."""
    rows = "\n".join(_index_row(outcome, folder) for outcome in outcomes)
    return f"""<!DOCTYPE html>
<html lang="pt-BR">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vigia: notebooks executados · executed notebooks</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Notebooks executados <span lang="en">· Executed notebooks</span></h1>
<table>
<thead><tr>
<th scope="col">Notebook</th>
<th scope="col">Título <span lang="en">· Title</span></th>
<th scope="col">Idioma <span lang="en">· Language</span></th>
<th scope="col">Segundos <span lang="en">· Seconds</span></th>
<th scope="col">Resultado <span lang="en">· Outcome</span></th>
</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


_LANGUAGE_TAGS = {"pt": ("pt-BR", "Português"), "en": ("en", "English")}


def _index_row(outcome: Outcome, folder: Path) -> str:
    job = outcome.job
    tag, language = _LANGUAGE_TAGS.get(job.language, (job.language, job.language))
    link = escape(outcome.page.relative_to(folder).as_posix())
    source = escape(job.output.relative_to(folder).as_posix())
    title = escape(title_of(job.notebook, default=job.name))
    result = (
        'pronto <span lang="en">· done</span>'
        if outcome.failure is None
        else f'<span class="failed">falhou <span lang="en">· failed</span></span>: '
        f'<span lang="en">{escape(outcome.failure)}</span>'
    )
    return (
        f'<tr><td><a href="{source}">{escape(job.name)}</a></td>'
        f'<td lang="{tag}"><a href="{link}">{title}</a></td>'
        f'<td lang="{tag}">{language}</td>'
        f'<td class="number">{outcome.seconds:.1f}</td><td>{result}</td></tr>'
    )
