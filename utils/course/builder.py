"""The editions of a bilingual notebook: one language each, with or without the solutions.

A source notebook holds its prose twice (cells tagged ``pt`` and ``en``, side by side, Portuguese
first) and its code once: what a learner reads in the code is ``tr(pt=…, en=…)``, a comment is a
line ``# pt: …`` over a line ``# en: …``, a solution stands between ``# BEGIN SOLUTION`` and
``# END SOLUTION``. An edition reads as if it had been written in its language; the rest of its
code is the source's, byte for byte.
"""

import ast
import hashlib
import io
import json
import re
import textwrap
import tokenize
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import libcst as cst
import nbformat
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from nbformat import NotebookNode, ValidationError
from nbformat.reader import NotJSONError

from utils.records import VigiaError
from utils.text import LANGUAGES

LINE_LENGTH = 100
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}

_TAGGED_COMMENT = re.compile(r"#\s*(pt|en):\s*(.*)")
_FOR_TOOLS = re.compile(r"#\s*(noqa|type:|fmt:|ruff:)")
_PLAIN_STRING = re.compile(r"""(f?)(["'])((?!\2\2).*)\2\Z""", re.DOTALL)


class SourceError(VigiaError):
    """A source notebook breaks a rule; the message names the notebook, the cell and the rule."""


def edition(
    notebook: NotebookNode, language: str, *, solutions: bool, name: str = "notebook"
) -> NotebookNode:
    """Return a source notebook in one language, without outputs; ids of cells stay.

    With ``solutions=False`` the code between the solution marks is left to the learner. It does
    not tell whether the code runs, only that it parses. Raises ``SourceError`` naming the
    notebook, the cell and the rule: a prose cell without its other language, a comment or a
    ``tr`` in one language only, marks of a solution that do not match.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language={language!r}: the languages are {', '.join(LANGUAGES)}")
    built = deepcopy(notebook)
    built.cells = list(_cells(built.cells, language, solutions=solutions, name=name))
    built.metadata = NotebookNode(
        kernelspec=NotebookNode(KERNEL),
        language_info=NotebookNode(name="python"),
        vigia=NotebookNode(language=language, source=name, source_sha256=source_hash(notebook)),
    )
    return built


def language_of(notebook: NotebookNode) -> str | None:
    """Return the language of a built edition; ``None`` for any other notebook."""
    return notebook.metadata.get("vigia", {}).get("language")


def is_source(notebook: NotebookNode) -> bool:
    """Return whether a notebook is written in both languages."""
    return any(tags(cell) & set(LANGUAGES) for cell in notebook.cells)


def tags(cell: NotebookNode) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", ()))


def source_hash(notebook: NotebookNode) -> str:
    """Return the SHA-256 of what an author wrote: the cells without their outputs."""
    written = [
        [cell.cell_type, cell.get("id"), sorted(tags(cell)), cell.source] for cell in notebook.cells
    ]
    return hashlib.sha256(json.dumps(written).encode()).hexdigest()


def without_traces(notebook: NotebookNode) -> NotebookNode:
    """Return an executed notebook without what tells when and where it ran; outputs stay.

    What a cell printed is one text, in however many pieces it came on a busy machine.
    """
    clean = deepcopy(notebook)
    clean.metadata.pop("papermill", None)
    for cell in clean.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell.outputs = _whole_texts(cell.outputs)
    return clean


def _whole_texts(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Return outputs in which texts of one stream that follow one another are one."""
    whole: list[NotebookNode] = []
    for output in outputs:
        before = whole[-1] if whole else NotebookNode(output_type="none")
        streams = output.output_type == before.output_type == "stream"
        if streams and output.name == before.name:
            before.text += output.text
        else:
            whole.append(output)
    return whole


def _cells(
    cells: list[NotebookNode], language: str, *, solutions: bool, name: str
) -> Iterator[NotebookNode]:
    """Yield the cells of one language; refuse prose that stands alone."""
    before = None
    for number, cell in enumerate(cells, start=1):
        try:
            tag = _prose_language(cell)
            if before == "pt" and tag != "en":
                raise ValueError("the cell tagged pt before it has no cell tagged en beside it")
            if tag == "en" and before != "pt":
                raise ValueError("tagged en, but the cell before it is not its pair tagged pt")
            if tag is None:
                cell.source = code_edition(
                    cell.source,
                    language,
                    solutions=solutions,
                    parameters="parameters" in tags(cell),
                )
                cell.outputs, cell.execution_count = [], None
        except ValueError as error:
            raise SourceError(f"{name}: cell {number} ({cell.get('id')}): {error}") from error
        before = tag
        if tag in (None, language):
            _keep_tags(cell)
            yield cell
    if before == "pt":
        raise SourceError(f"{name}: cell {len(cells)}: tagged pt, with no cell tagged en after it")


def _prose_language(cell: NotebookNode) -> str | None:
    if cell.cell_type == "code":
        return None
    languages = tags(cell) & set(LANGUAGES)
    if len(languages) != 1:
        raise ValueError("a prose cell is tagged with one language, pt or en")
    return languages.pop()


def _keep_tags(cell: NotebookNode) -> None:
    kept = [tag for tag in cell.metadata.pop("tags", []) if tag not in LANGUAGES]
    if kept:
        cell.metadata["tags"] = kept


def code_edition(source: str, language: str, *, solutions: bool, parameters: bool = False) -> str:
    """Return the code of one cell in one language.

    ``parameters`` marks the cell whose value of ``language`` becomes the edition's. Raises
    ``ValueError`` naming the line and the rule.

    >>> print(code_edition('''
    ... # pt: a média
    ... # en: the mean
    ... print(tr(pt=f"média: {mean}", en=f"mean: {mean}"))'''.strip(), "en", solutions=True))
    # the mean
    print(f"mean: {mean}")
    """
    _parsed(source)
    source = _comments_in(source, language)
    source = _without_marks(source) if solutions else _without_solutions(source)
    source = _spliced(source, _edits(source, language, parameters=parameters))
    _parsed(source)
    return source


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: not plain Python: {error.msg}") from error


# Comments


class _Comment(NamedTuple):
    row: int
    """Counted from 0."""
    column: int
    text: str
    alone: bool
    """Whether nothing else stands on its line."""

    @property
    def language(self) -> str | None:
        found = _TAGGED_COMMENT.match(self.text)
        return found[1] if found else None


def _comments(source: str) -> list[_Comment]:
    return [
        _Comment(token.start[0] - 1, token.start[1], token.string, not before.strip())
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
        for before in [token.line[: token.start[1]]]
    ]


def _comments_in(source: str, language: str) -> str:
    """Return the code with the comments of one language."""
    lines = source.splitlines(keepends=True)
    dropped: set[int] = set()
    comments = _comments(source)
    for runs in _language_runs(comments):
        for code, run in runs.items():
            for comment in run:
                if code == language:
                    text = _TAGGED_COMMENT.match(comment.text)[2]
                    line = lines[comment.row]
                    ending = line[len(line.rstrip("\r\n")) :]
                    lines[comment.row] = f"{line[: comment.column]}# {text}".rstrip() + ending
                else:
                    dropped.add(comment.row)
    return _joined(line for row, line in enumerate(lines) if row not in dropped)


def _language_runs(comments: list[_Comment]) -> Iterator[dict[str, list[_Comment]]]:
    """Yield each pair of comments: lines in Portuguese, then as many as it takes in English."""
    pending: dict[str, list[_Comment]] = {}
    for comment in comments:
        code = comment.language
        if code is None:
            _refuse_untagged(comment)
        elif not comment.alone:
            raise ValueError(f"line {comment.row + 1}: a comment pair stands above the code")
        follows = pending and comment.row == pending[list(pending)[-1]][-1].row + 1
        same_pair = follows and code is not None and not ("en" in pending and code == "pt")
        if pending and not same_pair:
            yield _complete(pending)
            pending = {}
        if code is not None:
            pending.setdefault(code, []).append(comment)
    if pending:
        yield _complete(pending)


def _complete(pair: dict[str, list[_Comment]]) -> dict[str, list[_Comment]]:
    if list(pair) != list(LANGUAGES):
        (row, _, text, _) = next(iter(pair.values()))[0]
        raise ValueError(f"line {row + 1}: {text!r} has no pair: '# pt: …' over '# en: …'")
    return pair


def _refuse_untagged(comment: _Comment) -> None:
    says_nothing = not any(character.isalpha() for character in comment.text)
    if says_nothing or comment.text in (BEGIN, END) or _FOR_TOOLS.match(comment.text):
        return
    raise ValueError(
        f"line {comment.row + 1}: {comment.text!r} is in one language only: "
        "write '# pt: …' over '# en: …'"
    )


# Solutions


def _regions(source: str) -> list[tuple[int, int]]:
    """Return the rows (from 0) of each pair of solution marks."""
    regions, begin = [], None
    for comment in _comments(source):
        if comment.text not in (BEGIN, END):
            continue
        if not comment.alone or (comment.text == BEGIN) != (begin is None):
            raise ValueError(f"line {comment.row + 1}: {comment.text!r} does not match")
        if begin is None:
            begin = comment.row
        else:
            regions.append((begin, comment.row))
            begin = None
    if begin is not None:
        raise ValueError(f"line {begin + 1}: {BEGIN!r} has no {END!r}")
    return regions


def solution_of(source: str) -> str | None:
    """Return what stands between the solution marks, ``None`` where there are none.

    >>> solution_of("x = 1\\n# BEGIN SOLUTION\\ny = 2\\n# END SOLUTION")
    'y = 2'
    """
    lines = source.splitlines(keepends=True)
    found = [_joined(lines[begin + 1 : end]) for begin, end in _regions(source)]
    return "\n".join(textwrap.dedent(text) for text in found) if found else None


def _without_marks(source: str) -> str:
    marks = {row for region in _regions(source) for row in region}
    lines = source.splitlines(keepends=True)
    return _joined(line for row, line in enumerate(lines) if row not in marks)


def _without_solutions(source: str) -> str:
    """Return the code with each solution replaced by what the learner starts from."""
    lines = source.splitlines(keepends=True)
    regions = _regions(source)
    hidden = {row for begin, end in regions for row in range(begin, end + 1)}
    tree = _parsed(source)
    used = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.lineno - 1 not in hidden
    }
    for begin, end in reversed(regions):
        mark = lines[begin]
        indent = mark[: len(mark) - len(mark.lstrip())]
        region = textwrap.dedent(_joined(lines[begin + 1 : end]))
        stub = "..." if _in_function(tree, begin + 1) else _stub(region, used)
        lines[begin : end + 1] = [f"{indent}{line}\n" for line in stub.splitlines()]
    return _joined(lines)


def _in_function(tree: ast.Module, line: int) -> bool:
    return any(
        node.lineno < line <= node.end_lineno
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )


def _stub(region: str, used: set[str]) -> str:
    """Return the open form of a solution outside a function.

    Of a function, its signature and docstring; of values, ``name = ...`` for each name that the
    rest of the cell uses, else for the last one assigned.
    """
    functions, names = [], []
    for statement in _parsed(region).body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions.append(_open_function(region, statement))
        names += [
            node.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            if isinstance(statement, (ast.Assign, ast.AnnAssign))
        ]
    wanted = [name for name in dict.fromkeys(names) if name in used]
    if not wanted and not functions:
        wanted = names[-1:]
    values = "\n".join(f"{name} = ..." for name in wanted)
    return "\n\n\n".join(filter(None, [*functions, values])) or "..."


def _open_function(region: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    body = function.body
    documented = ast.get_docstring(function) is not None
    start = min([function.lineno, *(node.lineno for node in function.decorator_list)])
    last = body[0].end_lineno if documented else body[0].lineno - 1
    if body[0].lineno == function.lineno:
        raise ValueError(f"the body of {function.name} stands on the line of its signature")
    head = region.splitlines()[start - 1 : last]
    return "\n".join([*head, " " * body[0].col_offset + "..."])


def _joined(lines) -> str:
    """Return lines as the source of a cell, which does not end in a line break."""
    return "".join(lines).rstrip("\n")


# Texts, imports and the language: replaced in place, so that the rest stays as it is


class _Edit(NamedTuple):
    start: tuple[int, int]
    end: tuple[int, int]
    text: str


def _spliced(source: str, edits: list[_Edit]) -> str:
    lines = source.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)

    def at(position: tuple[int, int]) -> int:
        return starts[position[0] - 1] + position[1]

    for edit in sorted(edits, reverse=True):
        source = source[: at(edit.start)] + edit.text + source[at(edit.end) :]
    return source.rstrip("\n")


def _edits(source: str, language: str, *, parameters: bool) -> list[_Edit]:
    wrapper = MetadataWrapper(cst.parse_module(source))
    finder = _Finder(wrapper.module, language, parameters=parameters)
    wrapper.visit(finder)
    if parameters and not finder.language_set:
        raise ValueError("the parameters cell has no language")
    return finder.edits


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, module: cst.Module, language: str, *, parameters: bool) -> None:
        super().__init__()
        self.module = module
        self.language = language
        self.parameters = parameters
        self.language_set = False
        self.edits: list[_Edit] = []

    def _replace(self, node: cst.CSTNode, text: str) -> None:
        place = self.get_metadata(PositionProvider, node)
        self.edits.append(
            _Edit((place.start.line, place.start.column), (place.end.line, place.end.column), text)
        )

    def _line(self, node: cst.CSTNode) -> int:
        return self.get_metadata(PositionProvider, node).start.line

    def visit_Call(self, node: cst.Call) -> bool:
        if not (isinstance(node.func, cst.Name) and node.func.value == "tr"):
            return True
        texts = {
            argument.keyword.value: argument.value for argument in node.args if argument.keyword
        }
        if len(node.args) != len(LANGUAGES) or sorted(texts) != sorted(LANGUAGES):
            raise ValueError(f"line {self._line(node)}: tr needs a text in each language: pt=, en=")
        for code, value in texts.items():
            if not isinstance(value, cst.BaseString):
                raise ValueError(f"line {self._line(node)}: tr({code}=…) is not a string in quotes")
        self._replace(node, self._plain(node, texts[self.language]))
        return False

    def _plain(self, call: cst.Call, value: cst.BaseString) -> str:
        """Return a text as it stands in an edition: in one piece where the line has the room."""
        parts = [self.module.code_for_node(part) for part in _string_parts(value)]
        column = self.get_metadata(PositionProvider, call).start.column
        merged = _merged(parts)
        if merged is not None and column + len(merged) < LINE_LENGTH:
            return merged
        if len(parts) == 1:
            return parts[0]
        within = isinstance(
            self.get_metadata(ParentNodeProvider, call), (cst.Arg, cst.Element, cst.DictElement)
        )
        if within:
            return ("\n" + " " * column).join(parts)
        line = self.module.code.split("\n")[self._line(call) - 1]
        indent = " " * (len(line) - len(line.lstrip()))
        return "\n".join(["(", *(f"{indent}    {part}" for part in parts), f"{indent})"])

    def visit_ImportFrom(self, node: cst.ImportFrom) -> bool:
        if isinstance(node.names, cst.ImportStar) or node.module is None:
            return False
        names = [
            self.module.code_for_node(name.with_changes(comma=cst.MaybeSentinel.DEFAULT))
            for name in node.names
        ]
        origin = self.module.code_for_node(node.module)
        if origin != "utils.text" or "tr" not in names:
            return False
        kept = [name for name in names if name != "tr"]
        if kept:
            self._replace(node, f"from {origin} import {', '.join(kept)}")
            return False
        place = self.get_metadata(PositionProvider, node)
        self.edits.append(_Edit((place.start.line, 0), (place.end.line + 1, 0), ""))
        return False

    def visit_Name(self, node: cst.Name) -> None:
        if node.value == "tr":
            raise ValueError(f"line {self._line(node)}: tr is used other than tr(pt=…, en=…)")

    def visit_Assign(self, node: cst.Assign) -> bool:
        names = [self.module.code_for_node(target.target) for target in node.targets]
        if self.parameters and names == ["language"]:
            self._replace(node.value, f'"{self.language}"')
            self.language_set = True
        return True


def _string_parts(value: cst.BaseString) -> list[cst.BaseString]:
    bare = value.with_changes(lpar=[], rpar=[])
    if isinstance(bare, cst.ConcatenatedString):
        return _string_parts(bare.left) + _string_parts(bare.right)
    return [bare]


def _merged(parts: list[str]) -> str | None:
    """Return pieces of a string in one piece; ``None`` where they differ in quotes or prefix.

    >>> _merged(['"a "', 'f"{b}"'])
    'f"a {b}"'
    """
    found = [_PLAIN_STRING.match(part) for part in parts]
    if len(parts) == 1 or not all(found) or len({match[2] for match in found}) > 1:
        return None if len(parts) > 1 else parts[0]
    formatted = any(match[1] for match in found)
    bodies = [
        match[3].replace("{", "{{").replace("}", "}}") if formatted and not match[1] else match[3]
        for match in found
    ]
    quote = found[0][2]
    return f"{'f' if formatted else ''}{quote}{''.join(bodies)}{quote}"


def read(path: Path) -> NotebookNode:
    """Return the notebook of a file; raise ``SourceError`` when it holds none."""
    try:
        return nbformat.read(path, as_version=4)
    except (NotJSONError, ValidationError, UnicodeDecodeError) as error:
        raise SourceError(f"{path.name}: not a notebook: {error}") from error
