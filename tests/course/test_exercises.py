"""Exercises: what is said of an answer, the hints, the solution, the quiz."""

import contextlib
import io
import textwrap

import nbformat
import numpy as np
import pandas as pd
import pytest

from utils.course import chapters, exercises
from utils.course.exercises import Both, Exercise, Mistake, both, judged, same
from utils.text import using

CHAPTER = """
from utils.course.exercises import Chapter, Exercise, Mistake, Option, Question, both


def share_known(frame):
    return float(frame["known"].mean())


def rate(failures, total):
    return failures / total if total else float("nan")


CHAPTER = Chapter(
    number="99",
    exercises=[
        Exercise(
            name="share",
            right=share_known,
            mistakes=[
                Mistake(
                    name="counts the unknown",
                    example=lambda frame: float(1 - frame["known"].mean()),
                    says=both(pt="Essa é a parte desconhecida.", en="That is the unknown part."),
                ),
                Mistake(
                    name="percent",
                    example=lambda frame: 100 * frame["known"].mean(),
                    says=both(pt="Isso passa de um.", en="That is more than one."),
                    when=lambda outcome, right: outcome > 1,
                ),
            ],
            hints=[
                both(pt="Veja known.", en="Look at known."),
                both(pt="A média.", en="The mean."),
            ],
        ),
        Exercise(
            name="rate",
            right=lambda: rate,
            probe=lambda answer: [answer(1, 4), answer(0, 0)],
            mistakes=[
                Mistake(
                    name="zero for nothing",
                    example=lambda: lambda failures, total: failures / max(total, 1),
                    says=both(pt="Nada visto não é zero.", en="Nothing seen is not zero."),
                ),
            ],
            hints=[both(pt="E sem nenhum?", en="And with none?")],
        ),
    ],
    quiz=[
        Question(
            name="q1",
            asks=both(pt="Quando chega o rótulo?", en="When does the label arrive?"),
            options=[
                Option(text=both(pt="Antes", en="Before"), why=both(pt="Não dá.", en="It cannot.")),
                Option(
                    text=both(pt="Depois", en="After"),
                    why=both(pt="Pouso.", en="Landing."),
                    right=True,
                ),
            ],
        )
    ],
)
"""
FRAME = pd.DataFrame({"known": [True, True, True, False]})


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """Declare a chapter 99 with its source notebook."""
    (tmp_path / "ch99.py").write_text(CHAPTER)
    monkeypatch.setattr(chapters, "__path__", [str(tmp_path)])
    monkeypatch.setattr(exercises, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(exercises, "_hints_given", exercises.Counter())
    monkeypatch.delitem(__import__("sys").modules, "utils.course.chapters.ch99", raising=False)
    source = textwrap.dedent("""
        # BEGIN SOLUTION
        # pt: a parte conhecida
        # en: the known part
        share = frame["known"].mean()
        # END SOLUTION
        check("99.share", share, frame=frame)
    """).strip()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, tmp_path / "99_toy.ipynb")


def shown(function, *arguments, **given):
    """Return what a call prints in a terminal."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        function(*arguments, **given)
    return printed.getvalue().rstrip("\n")


def test_a_notebook_renders_what_a_terminal_prints():
    text = exercises.Shown("**99.share** · Right.")
    assert repr(text) == text._repr_markdown_() == "**99.share** · Right."


def no_body(failures, total):
    """Return nothing yet."""
    ...


def constant(failures, total):
    return 5


@pytest.mark.parametrize(
    ("name", "answer", "given", "kind", "mistake"),
    [
        ("99.share", ..., {"frame": FRAME}, "not attempted", None),
        ("99.share", None, {"frame": FRAME}, "not attempted", None),
        ("99.share", 0.75, {"frame": FRAME}, "right", None),
        ("99.share", np.float64(0.75), {"frame": FRAME}, "right", None),
        ("99.share", 0.25, {"frame": FRAME}, "mistake", "counts the unknown"),
        ("99.share", 75, {"frame": FRAME}, "mistake", "percent"),
        ("99.share", 74, {"frame": FRAME}, "mistake", "percent"),
        ("99.share", 0.5, {"frame": FRAME}, "wrong", None),
        ("99.rate", no_body, {}, "not attempted", None),
        ("99.rate", lambda failures, total: failures / total, {}, "raised", None),
        ("99.rate", constant, {}, "wrong", None),
        (
            "99.rate",
            lambda failures, total: failures / total if total else 0,
            {},
            "mistake",
            "zero for nothing",
        ),
        (
            "99.rate",
            lambda failures, total: failures / total if total else np.nan,
            {},
            "right",
            None,
        ),
    ],
)
def test_an_answer_is_told_from_the_others(chapter, name, answer, given, kind, mistake):
    verdict = exercises.verdict(name, answer, **given)
    assert (verdict.kind, verdict.mistake) == (kind, mistake)


def test_a_check_speaks_the_learners_language(chapter):
    with using("pt"):
        assert shown(exercises.check, "99.share", 0.25, frame=FRAME) == (
            "**99.share** · Ainda não: Essa é a parte desconhecida."
        )
    with using("en"):
        assert shown(exercises.check, "99.share", 0.25, frame=FRAME) == (
            "**99.share** · Not yet: That is the unknown part."
        )
        assert shown(exercises.check, "99.rate", no_body) == "**99.rate** · Not attempted yet."


def test_an_answer_that_raises_is_shown_its_error(chapter):
    said = shown(exercises.check, "99.rate", lambda failures, total: failures / total)
    assert (
        said == "**99.rate** · Not yet: your answer raised `ZeroDivisionError: division by zero`."
    )


def test_each_call_gives_the_next_hint(chapter):
    said = [shown(exercises.hint, "99.share") for _ in range(4)]
    assert said[:2] == ["**Hint 1/2** · Look at known.", "**Hint 2/2** · The mean."]
    assert said[2] == said[3] == ('There are no more hints. The code is in `solution("99.share")`.')
    assert shown(exercises.hint, "99.rate") == "**Hint 1/1** · And with none?"


def test_the_solution_is_the_code_of_the_source_notebook(chapter):
    with using("pt"):
        assert shown(exercises.solution, "99.share") == (
            '```python\n# a parte conhecida\nshare = frame["known"].mean()\n'
            'check("99.share", share, frame=frame)\n```'
        )
    with pytest.raises(ValueError, match=r"exercise='99.rate': no notebook .* holds its solution"):
        exercises.solution("99.rate")


def test_a_quiz_letters_its_options(chapter):
    assert shown(exercises.quiz, "99") == (
        "**1. When does the label arrive?** (`99.q1`)\n\n- **a** · Before\n- **b** · After"
    )


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (..., "Not attempted yet."),
        ("a", "Not yet: It cannot."),
        ("b", "Right. Landing."),
        (" B ", "Right. Landing."),
    ],
)
def test_a_choice_is_told_why(chapter, choice, said):
    assert shown(exercises.answer, "99.q1", choice) == f"**99.q1** · {said}"


@pytest.mark.parametrize("choice", ["c", 1])
def test_a_letter_that_is_no_option_is_refused(chapter, choice):
    with pytest.raises(ValueError, match=f"choice={choice!r}: the options are a, b"):
        exercises.answer("99.q1", choice)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("99.shares", "'shares' is no exercise of chapter 99; the nearest is share"),
        ("98.share", "chapter='98': the chapters are 99"),
    ],
)
def test_an_unknown_exercise_is_refused_with_the_nearest(chapter, name, message):
    with pytest.raises(ValueError, match=message):
        exercises.check(name, 1)


def test_every_chapter_with_a_module_is_found(chapter):
    assert [found.number for found in exercises.declared_chapters()] == ["99"]


def test_both_languages_are_needed():
    with pytest.raises(TypeError):
        both(pt="só uma")
    with pytest.raises(ValueError, match="en=''"):
        str(Both("só uma", ""))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1.0, 1.0 + 1e-9, True),
        (1.0, 1.001, False),
        (0, False, False),
        (np.bool_(True), True, True),
        (float("nan"), np.nan, True),
        ([1, 2], (1, 2), True),
        ([1, 2], [2, 1], False),
        (np.array([1.0, 2.0]), [1, 2], True),
        (pd.Series([1.0, np.nan], index=[5, 6]), [1, np.nan], True),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1.0]}, index=[7]), True),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]}), False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ("JFK", "JFK", True),
        ("JFK", "EWR", False),
        ("1", 1, False),
        (None, None, True),
    ],
)
def test_outcomes_are_compared_by_value(one, other, equal):
    assert same(one, other) is equal
    assert same(other, one) is equal


def test_the_first_mistake_that_fits_is_the_one_named():
    two = [
        Mistake(name=name, example=lambda: 2, says=both(pt="dois", en="two"))
        for name in ("first", "second")
    ]
    exercise = Exercise(name="one", right=lambda: 1, mistakes=two, hints=[])
    assert judged(exercise, 2).mistake == "first"


def test_an_answer_of_another_type_is_not_a_mistake_that_cannot_be_told_of_it():
    exercise = Exercise(
        name="titles",
        right=lambda: ["a", "b"],
        mistakes=[
            Mistake(
                name="order",
                example=lambda: ["b", "a"],
                says=both(pt="fora de ordem", en="out of order"),
                when=lambda outcome, right: outcome != right and sorted(outcome) == sorted(right),
            )
        ],
        hints=[],
    )
    assert judged(exercise, ["b", "a"]).mistake == "order"
    for other in ([{"id": 1}, {"id": 2}], [None, "a"], 3, object(), pd.Series([1, 2])):
        assert judged(exercise, other).kind == "wrong"
