"""Every declared exercise and quiz, every notebook of the course, held to the same rules."""

import ast
import re

import pytest

from utils.course import NOTEBOOKS, ROOT, builder, exercises, labs
from utils.course.exercises import asked_in, checked_in, declared_chapters, solution_code
from utils.course.review import problems
from utils.text import LANGUAGES, using

CHAPTERS = declared_chapters()
EXERCISES = [
    pytest.param(
        f"{chapter.number}.{exercise.name}", exercise, id=f"{chapter.number}.{exercise.name}"
    )
    for chapter in CHAPTERS
    for exercise in chapter.exercises
]
SOURCES = sorted(NOTEBOOKS.glob("*.ipynb"))
LABS = sorted(path for code in LANGUAGES for path in (ROOT / f"labs_{code}").glob("*.ipynb"))


def in_notebook(find, chapter):
    """Return the ids that ``find`` finds in the source notebook of a chapter."""
    paths = [path for path in SOURCES if path.name.startswith(f"{chapter.number}_")]
    assert len(paths) == 1, f"chapter {chapter.number} has {len(paths)} source notebooks"
    cells = builder.edition(builder.read(paths[0]), "en", solutions=True).cells
    return [name for cell in cells if cell.cell_type == "code" for name in find(cell.source)]


def asked(code, exercise):
    """Run the cell of an exercise on its sample; return the answer checked and what was given."""
    calls = []
    names = dict(exercise.sample())
    ignored = dict.fromkeys(("hint", "solution", "quiz", "answer"), lambda *_: None)
    names |= ignored
    names["check"] = lambda _, answer, **given: calls.append((answer, given))
    exec(compile(ast.parse(code), exercise.name, "exec"), names)
    assert len(calls) == 1, f"{len(calls)} checks in the cell of {exercise.name}"
    return calls[0]


def cell_source(name):
    number = name.partition(".")[0]
    (source,) = [
        cell.source
        for path in SOURCES
        if path.name.startswith(f"{number}_")
        for cell in builder.read(path).cells
        if cell.cell_type == "code"
        and f'"{name}"' in cell.source
        and builder.solution_of(cell.source)
    ]
    return source


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.number)
def test_a_chapter_asks_what_its_notebook_asks(chapter):
    declared = [f"{chapter.number}.{exercise.name}" for exercise in chapter.exercises]
    questions = [f"{chapter.number}.{question.name}" for question in chapter.quiz]
    assert sorted(in_notebook(checked_in, chapter)) == sorted(declared)
    assert sorted(in_notebook(asked_in, chapter)) == sorted(questions)
    assert 3 <= len(declared) <= 5
    assert len(questions) >= 3


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_the_solution_of_an_exercise_is_right(name, exercise):
    for language in LANGUAGES:
        with using(language):
            answer, given = asked(solution_code(name), exercise)
            assert exercises.judged(exercise, answer, **given).kind == "right"


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_the_untouched_stub_of_an_exercise_is_not_attempted(name, exercise):
    stub = builder.code_edition(cell_source(name), "pt", solutions=False)
    answer, given = asked(stub, exercise)
    assert exercises.judged(exercise, answer, **given).kind == "not attempted"


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_each_mistake_of_an_exercise_is_named(name, exercise):
    _, given = asked(solution_code(name), exercise)
    assert len(exercise.mistakes) >= 2
    for mistake in exercise.mistakes:
        verdict = exercises.judged(exercise, mistake.example(**given), **given)
        assert (verdict.kind, verdict.mistake) == ("mistake", mistake.name)


@pytest.mark.parametrize(("name", "exercise"), EXERCISES)
def test_neither_hints_nor_mistakes_give_the_answer_away(name, exercise):
    assert len(exercise.hints) >= 2
    answer, _ = asked(solution_code(name), exercise)
    secrets = [line.strip() for line in builder.solution_of(cell_source(name)).splitlines()]
    secrets = [line for line in secrets if "=" in line or line.startswith("return")]
    if isinstance(answer, float):
        secrets += [repr(answer), f"{answer:.3f}"]
    for text in [*exercise.hints, *(mistake.says for mistake in exercise.mistakes)]:
        assert text.pt != text.en
        for secret in secrets:
            assert secret not in text.pt and secret not in text.en


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.number)
def test_a_question_has_one_right_option_and_says_why(chapter):
    for question in chapter.quiz:
        assert 2 <= len(question.options) <= 5
        assert sum(option.right for option in question.options) == 1
        for language in LANGUAGES:
            with using(language):
                whys = [str(option.why) for option in question.options]
                assert len(set(whys)) == len(whys)
                for letter, option in question.lettered.items():
                    name = f"{chapter.number}.{question.name}"
                    verdict = exercises.quiz_verdict(name, letter)
                    assert (verdict.kind == "right") == option.right


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_builds_in_both_languages_to_the_same_code(path):
    source = builder.read(path)
    for solutions in (True, False):
        trees = [
            [
                blanked(cell.source)
                for cell in builder.edition(source, code, solutions=solutions, name=path.name).cells
                if cell.cell_type == "code"
            ]
            for code in LANGUAGES
        ]
        assert trees[0] == trees[1]


def test_what_is_stored_is_what_the_sources_say_today():
    assert labs.stale() == []


@pytest.mark.parametrize("path", SOURCES + LABS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_notebook_keeps_to_the_rules(path):
    assert problems(builder.read(path)) == []


@pytest.mark.parametrize("path", LABS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_trace_of_the_source_is_left_in_a_lab(path):
    for cell in builder.read(path).cells:
        assert "SOLUTION" not in cell.source
        assert not re.search(r"\btr\(", cell.source)


def blanked(code):
    """Return the tree of a code with every text in it left blank."""

    class Blank(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant("") if isinstance(node.value, str) else node

        def visit_JoinedStr(self, node):
            return ast.Constant("")

    return ast.dump(Blank().visit(ast.parse(code)))


def numbers_shown(path):
    """Return the digits of what each cell of a lab prints or shows as a table, in any order.

    A full hour counts without its minutes: it is 16h in Portuguese and 16:00 in English.
    """
    shown = {}
    for cell in builder.read(path).cells:
        texts = [output.get("text", "") for output in cell.get("outputs", ())]
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "<table" in data.get("text/html", ""):
                texts.append(data["text/plain"])
        if cell.cell_type == "code":
            joined = re.sub(r"[.,]|:00\b", "", "\n".join(texts))
            shown[cell.id] = sorted(re.findall(r"\d+", joined))
    return shown


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_two_editions_of_a_chapter_show_the_same_numbers(path):
    pt, en = (numbers_shown(ROOT / f"labs_{code}" / path.name) for code in LANGUAGES)
    assert pt == en
    assert sum(map(len, pt.values())) > 20
