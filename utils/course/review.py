"""What a notebook of the course must keep to, beyond running."""

import ast
import base64
import re
import tokenize
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import groupby

from bs4 import BeautifulSoup
from nbformat import NotebookNode, writes

from utils.course.builder import tags

LARGEST_FILE_BYTES = 1_000_000
LARGEST_FIGURE_BYTES = 60_000
MOST_CODE_CELLS_IN_A_ROW = 5
IMAGES = ("image/png", "image/jpeg", "image/svg+xml")

_PATH = re.compile(r"(?<![\w.:/<+])/(?:[\w.-]+/)+[\w.-]+|\b[A-Za-z]:\\[\w\\.-]+")
_WARNING = re.compile(r"\b\w*Warning:")


def problems(notebook: NotebookNode) -> list[str]:
    """Return what is wrong with a notebook, each naming its cell; none is a notebook in order.

    It reads what is stored and runs nothing: whether the outputs are today's is for the tests.

    >>> import nbformat
    >>> bare = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1", id="a")])
    >>> problems(bare)
    ['0 cells tagged parameters: there is one']
    """
    found = list(_notebook_problems(notebook))
    for number, cell in enumerate(notebook.cells, start=1):
        found += [f"cell {number} ({cell.get('id')}): {text}" for text in _cell_problems(cell)]
    return found


def _notebook_problems(notebook: NotebookNode) -> Iterator[str]:
    n_parameters = sum("parameters" in tags(cell) for cell in notebook.cells)
    if n_parameters != 1:
        yield f"{n_parameters} cells tagged parameters: there is one"
    n_bytes = len(writes(notebook).encode())
    if n_bytes >= LARGEST_FILE_BYTES:
        yield f"{n_bytes:,} bytes: a notebook stays under {LARGEST_FILE_BYTES:,}"
    for kind, run in groupby(notebook.cells, key=lambda cell: cell.cell_type):
        cells = list(run)
        if kind == "code" and len(cells) > MOST_CODE_CELLS_IN_A_ROW:
            yield (
                f"{len(cells)} code cells in a row from {cells[0].get('id')}: "
                f"prose comes after at most {MOST_CODE_CELLS_IN_A_ROW}"
            )


def _cell_problems(cell: NotebookNode) -> Iterator[str]:
    if "parameters" in tags(cell):
        yield from _parameter_problems(cell.source)
    if "nbval-ignore-output" in tags(cell) and not cell.metadata.get("nbval_reason"):
        yield "tagged nbval-ignore-output, and metadata.nbval_reason says no reason"
    for output in cell.get("outputs", ()):
        for rule in _OUTPUT_RULES:
            yield from rule(output)


def _parameter_problems(source: str) -> Iterator[str]:
    commented = {
        token.start[0]
        for token in tokenize.generate_tokens(StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for statement in ast.parse(source).body:
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)):
            yield f"line {statement.lineno}: a parameters cell holds values only"
        elif not commented & {statement.lineno - 1, statement.lineno}:
            yield f"{ast.unparse(statement)}: every parameter has a comment"


def _errors(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"a stored error: {output.ename}: {output.evalue}"


def _warnings(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "stream" and output.name == "stderr":
        yield f"something on standard error: {output.text.strip()[:80]!r}"
    elif found := _WARNING.search(_text(output)):
        yield f"a stored warning: {found[0]}"


def _paths(output: NotebookNode) -> Iterator[str]:
    if found := _PATH.search(_text(output)):
        yield f"a path of this machine: {found[0]}"


def _figures(output: NotebookNode) -> Iterator[str]:
    for n_bytes, alternative in _images(output):
        if n_bytes >= LARGEST_FIGURE_BYTES:
            yield f"a figure of {n_bytes:,} bytes: it stays under {LARGEST_FIGURE_BYTES:,}"
        if not alternative.strip():
            yield "a figure without alternative text"


def _images(output: NotebookNode) -> Iterator[tuple[int, str]]:
    """Yield the size in bytes and the alternative text of each image, in HTML or by itself."""
    data = output.get("data", {})
    for kind in IMAGES:
        if kind in data:
            is_text = kind == "image/svg+xml"
            image = data[kind].encode() if is_text else base64.b64decode(data[kind])
            yield len(image), output.metadata.get(kind, {}).get("alt", "")
    for image in BeautifulSoup(data.get("text/html", ""), "html.parser").find_all("img"):
        _, _, encoded = image.get("src", "").partition(";base64,")
        yield len(base64.b64decode(encoded)), image.get("alt", "")


def _text(output: NotebookNode) -> str:
    """Return what an output says in words."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    return "\n".join(str(data[kind]) for kind in data if kind.startswith("text/"))


_OUTPUT_RULES: tuple[Callable[[NotebookNode], Iterator[str]], ...] = (
    _errors,
    _warnings,
    _paths,
    _figures,
)
