"""Exercises, their checks and hints, and the quiz of each chapter.

A chapter declares what is right and which mistakes are usual; ``check`` says which of them an
answer is, and never what the answer should have been. Everything that is shown is the same on
each run, so an untouched lab stores the same outputs everywhere.
"""

import ast
import dis
import importlib
import math
import pkgutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from utils.course import NOTEBOOKS, chapters
from utils.text import language, tr


@dataclass(frozen=True)
class Both:
    """A text in both languages, read in the one in force when it is shown.

    >>> from utils.text import using
    >>> with using("en"):
    ...     str(both(pt="janela", en="window"))
    'window'
    """

    pt: str
    en: str

    def __str__(self) -> str:
        return tr(pt=self.pt, en=self.en)


def both(*, pt: str, en: str) -> Both:
    """Return a text for a declaration, where ``tr`` would choose the language too early."""
    return Both(pt, en)


def _same_object(answer: Any) -> Any:
    return answer


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A usual wrong answer: its name, one who makes it, and what to say to them.

    ``example`` is called with what ``check`` was given beside the answer, and returns the wrong
    answer. An answer is this mistake when it comes out as the example does or, where that is too
    narrow, when ``when(outcome, right_outcome)`` says so.
    """

    name: str
    example: Callable[..., Any]
    says: Both
    when: Callable[[Any, Any], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One thing to work out: what is right, which mistakes are usual, and the hints.

    ``right`` is called with what ``check`` was given beside the answer, and returns the right
    answer. ``probe`` turns an answer into what is compared, for an answer that is a function:
    ``probe=lambda rate: [rate(1, 4), rate(0, 4)]``. ``sample`` returns the names that the cell
    of the exercise needs of the cells before it, small, for the tests.
    """

    name: str
    right: Callable[..., Any]
    mistakes: Sequence[Mistake]
    hints: Sequence[Both]
    sample: Callable[[], Mapping[str, Any]] = dict
    probe: Callable[[Any], Any] = _same_object


@dataclass(frozen=True, kw_only=True)
class Option:
    """One answer to choose, and why it is right or wrong."""

    text: Both
    why: Both
    right: bool = False


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of a quiz; its options are lettered ``a``, ``b``, … and one is right."""

    name: str
    asks: Both
    options: Sequence[Option]

    @property
    def lettered(self) -> dict[str, Option]:
        return dict(zip("abcdefgh", self.options, strict=False))


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """The exercises and the quiz of one chapter, as ``chapters/chNN.py`` declares them."""

    number: str
    exercises: Sequence[Exercise]
    quiz: Sequence[Question]

    def exercise(self, name: str) -> Exercise:
        return _named(name, self.exercises, f"exercise of chapter {self.number}")

    def question(self, name: str) -> Question:
        return _named(name, self.quiz, f"question of chapter {self.number}")


Kind = Literal["not attempted", "right", "mistake", "raised", "wrong"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an answer is, and what is said about it; ``mistake`` is the mistake's name."""

    kind: Kind
    says: str
    mistake: str | None = None


class Shown:
    """A text that a notebook renders and a terminal prints."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return self.text


# What a learner calls


def check(exercise: str, answer: Any, /, **given: Any) -> None:
    """Say whether an answer is right or, if not, which misconception it shows.

    ``given`` names the data that the answer was worked out from, where there is any:
    ``check("07.mae_july", mae_july, july=july)``.
    """
    _show(f"**{exercise}** · {verdict(exercise, answer, **given).says}")


def hint(exercise: str) -> None:
    """Show the next hint of an exercise; each call tells more."""
    hints = _find(exercise).hints
    position = _hints_given[exercise]
    if position == len(hints):
        _show(
            tr(
                pt=f'Não há mais dicas. O código está em `solution("{exercise}")`.',
                en=f'There are no more hints. The code is in `solution("{exercise}")`.',
            )
        )
        return
    _hints_given[exercise] += 1
    label = tr(pt="Dica", en="Hint")
    _show(f"**{label} {position + 1}/{len(hints)}** · {hints[position]}")


def solution(exercise: str) -> None:
    """Show the code that solves an exercise."""
    _show(f"```python\n{solution_code(exercise)}\n```")


def quiz(chapter: str) -> None:
    """Show the questions of a chapter, each with its lettered options."""
    blocks = []
    for number, question in enumerate(_chapter(chapter).quiz, start=1):
        lines = [f"**{number}. {question.asks}** (`{chapter}.{question.name}`)", ""]
        lines += [f"- **{letter}** · {option.text}" for letter, option in question.lettered.items()]
        blocks.append("\n".join(lines))
    _show("\n\n".join(blocks))


def answer(question: str, choice: Any) -> None:
    """Say whether the letter chosen in a quiz is right, and why or why not."""
    _show(f"**{question}** · {quiz_verdict(question, choice).says}")


# What they are made of


def verdict(exercise: str, answer: Any, /, **given: Any) -> Verdict:
    """Return what an answer is, without showing it; see ``check``."""
    return judged(_find(exercise), answer, **given)


def judged(exercise: Exercise, answer: Any, /, **given: Any) -> Verdict:
    """Return what an answer to an exercise is.

    It tells a known mistake from an unknown one, not how near an unknown one is.

    >>> from utils.text import using
    >>> half = Exercise(
    ...     name="half",
    ...     right=lambda: 0.5,
    ...     mistakes=[Mistake(name="percent", example=lambda: 50, says=both(
    ...         pt="Isso é uma porcentagem.", en="That is a percentage."))],
    ...     hints=[],
    ... )
    >>> with using("en"):
    ...     [judged(half, value).says for value in (..., 0.5, 50)]
    ['Not attempted yet.', 'Right.', 'Not yet: That is a percentage.']
    """
    if _is_untouched(answer):
        return _not_attempted()
    right = exercise.probe(exercise.right(**given))
    try:
        outcome = exercise.probe(answer)
    except Exception as error:  # the learner's own code may raise anything
        return Verdict(
            kind="raised",
            says=tr(
                pt=f"Ainda não: sua resposta levantou `{type(error).__name__}: {error}`.",
                en=f"Not yet: your answer raised `{type(error).__name__}: {error}`.",
            ),
        )
    if same(outcome, right):
        return Verdict(kind="right", says=tr(pt="Certo.", en="Right."))
    for mistake in exercise.mistakes:
        if _is_mistake(exercise, mistake, outcome, right, given):
            return Verdict(
                kind="mistake",
                mistake=mistake.name,
                says=tr(pt=f"Ainda não: {mistake.says.pt}", en=f"Not yet: {mistake.says.en}"),
            )
    return Verdict(
        kind="wrong",
        says=tr(
            pt="Ainda não, e não é um dos enganos mais comuns. Peça uma dica com `hint`.",
            en="Not yet, and it is none of the usual mistakes. Ask for a hint with `hint`.",
        ),
    )


def quiz_verdict(question: str, choice: Any) -> Verdict:
    """Return whether a letter is the right option of a question, without showing it.

    Raises ``ValueError`` for a letter that the question does not have.
    """
    chapter, _, name = question.partition(".")
    options = _chapter(chapter).question(name).lettered
    if choice is ... or choice is None:
        return _not_attempted()
    chosen = options.get(choice.strip().lower() if isinstance(choice, str) else choice)
    if chosen is None:
        raise ValueError(f"choice={choice!r}: the options are {', '.join(options)}")
    if chosen.right:
        return Verdict(
            kind="right", says=tr(pt=f"Certo. {chosen.why.pt}", en=f"Right. {chosen.why.en}")
        )
    return Verdict(
        kind="wrong", says=tr(pt=f"Ainda não: {chosen.why.pt}", en=f"Not yet: {chosen.why.en}")
    )


def solution_code(exercise: str) -> str:
    """Return the code of the cell that solves an exercise, in the language in force.

    It is read from the source notebook. Raises ``ValueError`` when no source notebook has it.
    """
    from utils.course import builder

    chapter, _, _ = exercise.partition(".")
    for path in sorted(NOTEBOOKS.glob(f"{chapter}_*.ipynb")):
        for cell in builder.read(path).cells:
            if cell.cell_type == "code" and exercise in checked_in(cell.source):
                return builder.code_edition(cell.source, language(), solutions=True)
    raise ValueError(f"exercise={exercise!r}: no notebook of {NOTEBOOKS.name}/ holds its solution")


def checked_in(source: str) -> list[str]:
    """Return the ids of the exercises that a cell checks.

    >>> checked_in('share = ...\\ncheck("06.late_share", share, frame=frame)')
    ['06.late_share']
    """
    return _ids_given_to("check", source)


def asked_in(source: str) -> list[str]:
    """Return the ids of the quiz questions that a cell answers."""
    return _ids_given_to("answer", source)


def _ids_given_to(function: str, source: str) -> list[str]:
    return [
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id == function and node.args and isinstance(node.args[0], ast.Constant)
    ]


def declared_chapters() -> list[Chapter]:
    """Return every chapter that has a module, in order."""
    return [_chapter(number) for number in _numbers()]


def same(one: Any, other: Any) -> bool:
    """Return whether two outcomes are equal, numbers within a relative 1e-6.

    A whole number equals the same number as a float; frames, series and arrays are compared by
    their values in order, not by their index or type.

    >>> same({"mae": 11.9}, {"mae": 11.900000001}), same([1, 2], [1]), same(True, 1)
    (True, False, False)
    """
    one, other = _bare(one), _bare(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        both_missing = math.isnan(one) and math.isnan(other)
        return both_missing or math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return type(one) is type(other) and one == other


def _bare(value: Any) -> Any:
    """Return a table, array, sequence or NumPy scalar as plain dicts, lists and numbers."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict("list")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, tuple):
        return list(value)
    return value


def _is_untouched(answer: Any) -> bool:
    """Return whether an answer is the stub of a lab: ``...``, or a function that does nothing."""
    if answer is ... or answer is None:
        return True
    code = getattr(answer, "__code__", None)
    if code is None:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP")]
    returns = {"LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
    return all(step.opname in returns and step.argval is None for step in steps)


def _is_mistake(
    exercise: Exercise, mistake: Mistake, outcome: Any, right: Any, given: Mapping[str, Any]
) -> bool:
    if mistake.when is not None and _holds(mistake.when, outcome, right):
        return True
    return same(outcome, exercise.probe(mistake.example(**given)))


def _holds(when: Callable[[Any, Any], bool], outcome: Any, right: Any) -> bool:
    try:
        return bool(when(outcome, right))
    except Exception:  # an answer may be of any type, and then it is not this mistake
        return False


def _not_attempted() -> Verdict:
    return Verdict(
        kind="not attempted", says=tr(pt="Ainda não respondida.", en="Not attempted yet.")
    )


_hints_given: Counter[str] = Counter()


def _show(text: str) -> None:
    from IPython.display import display

    display(Shown(text))


def _find(exercise: str) -> Exercise:
    chapter, _, name = exercise.partition(".")
    return _chapter(chapter).exercise(name)


def _numbers() -> list[str]:
    return sorted(
        module.name.removeprefix("ch") for module in pkgutil.iter_modules(chapters.__path__)
    )


def _chapter(number: str) -> Chapter:
    if number not in _numbers():
        raise ValueError(f"chapter={number!r}: the chapters are {', '.join(_numbers())}")
    return importlib.import_module(f"{chapters.__name__}.ch{number}").CHAPTER


def _named(name: str, things: Sequence, what: str) -> Any:
    by_name = {thing.name: thing for thing in things}
    if name not in by_name:
        nearest = get_close_matches(name, by_name, n=1, cutoff=0)
        raise ValueError(f"{name!r} is no {what}; the nearest is {', '.join(nearest) or 'none'}")
    return by_name[name]
