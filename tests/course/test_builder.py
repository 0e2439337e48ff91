"""The editions of a bilingual notebook: prose, texts, comments, solutions, and what is refused."""

import ast
import textwrap

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.course.builder import (
    SourceError,
    code_edition,
    edition,
    is_source,
    language_of,
    solution_of,
    source_hash,
    without_traces,
)


def code(source, *tags):
    return nbformat.v4.new_code_cell(
        textwrap.dedent(source).strip(), metadata={"tags": list(tags)} if tags else {}
    )


def prose(source, *tags):
    return nbformat.v4.new_markdown_cell(source, metadata={"tags": list(tags)})


def chapter():
    """Return a small source notebook with one of everything."""
    notebook = nbformat.v4.new_notebook(
        cells=[
            prose("# Vigiar\n", "pt"),
            prose("# Watch\n", "en"),
            code("from utils.text import set_language, tr"),
            code(
                """
                # pt: o idioma
                # en: the language
                language = "pt"

                # pt: quantos dias
                # en: how many days
                n_days = 3
                """,
                "parameters",
            ),
            code(
                """
                set_language(language)
                print(tr(pt=f"{n_days} dias", en=f"{n_days} days"))
                """
            ),
            prose("Quantas horas?", "pt"),
            prose("How many hours?", "en"),
            code(
                """
                # BEGIN SOLUTION
                per_day = 24
                hours = per_day * n_days
                # END SOLUTION
                check("99.hours", hours, n_days=n_days)
                """
            ),
            code(
                '''
                def rate(failures, total):
                    """Return the share that failed."""
                    # BEGIN SOLUTION
                    return failures / total
                    # END SOLUTION


                check("99.rate", rate)
                '''
            ),
        ]
    )

    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def blanked(source):
    """Return the tree of a code with every text in it left blank."""

    class Blank(ast.NodeTransformer):
        def visit_Constant(self, node):
            return ast.Constant("") if isinstance(node.value, str) else node

        def visit_JoinedStr(self, node):
            return ast.Constant("")

    return ast.dump(Blank().visit(ast.parse(source)))


def test_a_lab_reads_as_if_written_in_its_language():
    assert sources(edition(chapter(), "en", solutions=False)) == [
        "# Watch\n",
        "from utils.text import set_language",
        '# the language\nlanguage = "en"\n\n# how many days\nn_days = 3',
        'set_language(language)\nprint(f"{n_days} days")',
        "How many hours?",
        'hours = ...\ncheck("99.hours", hours, n_days=n_days)',
        'def rate(failures, total):\n    """Return the share that failed."""\n    ...\n\n\n'
        'check("99.rate", rate)',
    ]


def test_with_solutions_only_the_marks_are_gone():
    hours, rate = sources(edition(chapter(), "pt", solutions=True))[-2:]
    assert hours == (
        'per_day = 24\nhours = per_day * n_days\ncheck("99.hours", hours, n_days=n_days)'
    )
    assert "    return failures / total\n" in rate


@pytest.mark.parametrize("solutions", [True, False])
def test_the_code_of_the_editions_differs_in_texts_only(solutions):
    pt, en = (edition(chapter(), code, solutions=solutions) for code in ("pt", "en"))
    assert [cell.cell_type for cell in pt.cells] == [cell.cell_type for cell in en.cells]
    for one, other in zip(pt.cells, en.cells, strict=True):
        if one.cell_type == "code":
            assert blanked(one.source) == blanked(other.source)
            assert one.id == other.id


def test_an_edition_keeps_ids_and_tags_and_records_its_source():
    source = chapter()
    source.cells[4].outputs = [nbformat.v4.new_output("stream", text="3 dias")]
    source.cells[4].execution_count = 7
    built = edition(source, "en", solutions=False, name="99_toy.ipynb")
    assert [cell.id for cell in built.cells] == [source.cells[n].id for n in (1, 2, 3, 4, 6, 7, 8)]
    assert [cell.metadata.get("tags") for cell in built.cells].count(["parameters"]) == 1
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in built.cells)
    assert built.metadata.vigia == {
        "language": "en",
        "source": "99_toy.ipynb",
        "source_sha256": source_hash(source),
    }
    assert built.metadata.kernelspec.name == "python3"
    assert (language_of(built), language_of(source)) == ("en", None)
    assert (is_source(source), is_source(built)) == (True, False)
    nbformat.validate(built)


def test_building_changes_nothing_in_the_source_and_is_the_same_twice():
    source = chapter()
    before = nbformat.writes(source)
    once, twice = (nbformat.writes(edition(source, "pt", solutions=False)) for _ in range(2))
    assert once == twice
    assert nbformat.writes(source) == before


def test_the_hash_of_a_source_ignores_outputs_and_sees_each_edit():
    source, run = chapter(), chapter()
    run.cells[4].outputs = [nbformat.v4.new_output("stream", text="3 dias")]
    assert source_hash(run) == source_hash(source)
    run.cells[1].source += "."
    assert source_hash(run) != source_hash(source)


def test_what_tells_of_an_execution_is_removed_and_outputs_stay():
    ran = edition(chapter(), "pt", solutions=False)
    ran.cells[1].outputs = [nbformat.v4.new_output("stream", text="x")]
    clean = nbformat.from_dict(ran)
    ran.metadata["papermill"] = {"duration": 3}
    for cell in ran.cells:
        cell.metadata["papermill"] = {"status": "completed"}
        cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
        cell.metadata.setdefault("tags", [])
    assert without_traces(ran) == clean


def test_what_a_cell_printed_in_pieces_is_one_text():
    new = nbformat.v4.new_output
    pieces = [
        new("stream", name="stdout", text="refused:"),
        new("stream", name="stdout", text=" 34%\n"),
        new("stream", name="stderr", text="careful\n"),
        new("display_data", data={"text/plain": "a figure"}),
        new("stream", name="stdout", text="done\n"),
    ]
    ran = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=pieces)])
    (cell,) = without_traces(ran).cells
    assert [each.get("text") for each in cell.outputs] == [
        "refused: 34%\n",
        "careful\n",
        None,
        "done\n",
    ]
    assert len(ran.cells[0].outputs) == 5


# Texts


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('tr(pt="um", en="one")', '"one"'),
        ("tr(en='one', pt='um')", "'one'"),
        ('tr(pt="um", en=f"{n} of {m}")', 'f"{n} of {m}"'),
        ('tr(pt="um", en="one " "two")', '"one two"'),
        ('tr(pt="um", en=("one " "two"))', '"one two"'),
        ('tr(pt="um", en="a {b} " f"{n}")', 'f"a {{b}} {n}"'),
        ("f\"{tr(pt='um', en='one')}: {n}\"", "f\"{'one'}: {n}\""),
        ('plot(x, label=tr(pt="um", en="one"),  lw=2)', 'plot(x, label="one",  lw=2)'),
        ('tr(pt="é", en="ó") + tr(pt="ç", en="ã")', '"ó" + "ã"'),
        ('tr(pt="um", en="""one\ntwo""")', '"""one\ntwo"""'),
    ],
)
def test_a_text_becomes_a_plain_string(source, expected):
    assert code_edition(source, "en", solutions=True) == expected


def test_a_text_too_long_for_its_line_keeps_its_pieces():
    long = "x" * 60
    source = f'title = tr(\n    pt="um",\n    en="{long} "\n    f"{{n}} {long}",\n)'
    assert code_edition(source, "en", solutions=True) == (
        f'title = (\n    "{long} "\n    f"{{n}} {long}"\n)'
    )
    source = f'print(\n    tr(\n        pt="um",\n        en="{long} "\n        "{long}",\n    )\n)'
    assert code_edition(source, "en", solutions=True) == (f'print(\n    "{long} "\n    "{long}"\n)')


@given(pt=st.text(min_size=1), en=st.text(min_size=1), before=st.text("abc áé", max_size=5))
def test_the_string_of_an_edition_is_the_text_that_was_written(pt, en, before):
    source = f"x = [{before!r}, tr(pt={pt!r}, en={en!r})]"
    for language, text in (("pt", pt), ("en", en)):
        assert ast.literal_eval(code_edition(source, language, solutions=True)[4:]) == [
            before,
            text,
        ]


@given(parts=st.lists(st.text("ab{}\"'\\\n", max_size=4), min_size=1, max_size=4))
def test_pieces_of_a_string_keep_its_value(parts):
    pieces = " ".join(map(repr, parts))
    built = code_edition(f"x = tr(pt={pieces}, en={pieces})", "pt", solutions=True)
    assert ast.literal_eval(built[4:]) == "".join(parts)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from utils.text import tr\nx = 1", "x = 1"),
        ("from utils.text import tr, using\nx = 1", "from utils.text import using\nx = 1"),
        ("from utils.text import (\n    language,\n    tr,\n)", "from utils.text import language"),
        ("import pandas as pd\nfrom utils.text import tr", "import pandas as pd"),
        ("from elsewhere import tr2", "from elsewhere import tr2"),
    ],
)
def test_an_unused_import_is_gone(source, expected):
    assert code_edition(source, "pt", solutions=True) == expected


# Comments


def test_a_pair_of_comments_becomes_one():
    source = """
    total = 0
    for n in range(3):
        # pt: soma o
        # pt: número
        # en: add the number
        total += n  # noqa
    # pt: o primeiro
    # en: the first
    # pt: o segundo
    # en: the second
    print("# pt: isto não é um comentário")  # 0.05
    """
    source = textwrap.dedent(source).strip()
    assert code_edition(source, "pt", solutions=True).splitlines() == [
        "total = 0",
        "for n in range(3):",
        "    # soma o",
        "    # número",
        "    total += n  # noqa",
        "# o primeiro",
        "# o segundo",
        'print("# pt: isto não é um comentário")  # 0.05',
    ]
    assert "    # add the number\n    total += n  # noqa\n# the first\n# the second\n" in (
        code_edition(source, "en", solutions=True)
    )


# Solutions


@pytest.mark.parametrize(
    ("solution", "rest", "stub"),
    [
        ("x = 1", "", "x = ..."),
        ("a = 1\nx = a + 1", "", "x = ..."),
        ("a = 1\nx = a + 1", "check('9.x', a, x)", "a = ...\nx = ..."),
        ("a, b = pair()", "print(a, b)", "a = ...\nb = ..."),
        ("x: float = 1.0", "", "x = ..."),
        ("print(1)", "", "..."),
        ("import math\nx = math.pi", "print(x)", "x = ..."),
        ('def f(a):\n    """Doc."""\n    return a', "f(1)", 'def f(a):\n    """Doc."""\n    ...'),
        ("def f(a):\n    return a", "", "def f(a):\n    ..."),
        (
            "@cache\ndef f(\n    a,\n):\n    b = a\n    return b\n\n\nx = f(1)",
            "print(x)",
            "@cache\ndef f(\n    a,\n):\n    ...\n\n\nx = ...",
        ),
        ("fig, ax = plt.subplots()\nax.plot(x)", "show(fig)", "fig = ..."),
    ],
)
def test_a_solution_leaves_what_the_learner_starts_from(solution, rest, stub):
    source = f"# BEGIN SOLUTION\n{solution}\n# END SOLUTION\n{rest}".rstrip("\n")
    expected = f"{stub}\n{rest}".rstrip("\n")
    assert code_edition(source, "pt", solutions=False) == expected
    assert code_edition(source, "pt", solutions=True) == f"{solution}\n{rest}".rstrip("\n")
    assert solution_of(source) == solution


def test_a_cell_without_marks_has_no_solution():
    assert solution_of("x = 1") is None


# What is refused


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('tr(pt="um")', "line 1: tr needs a text in each language"),
        ('tr("um", "one")', "line 1: tr needs a text in each language"),
        ('tr(pt="um", en="one", fr="un")', "line 1: tr needs a text in each language"),
        ('x = 1\ntr(pt=x, en="one")', r"line 2: tr\(pt=…\) is not a string in quotes"),
        ("map(tr, texts)", r"line 1: tr is used other than tr\(pt=…, en=…\)"),
        ("# pt: um\nx = 1", "line 1: '# pt: um' has no pair"),
        ("# en: one\nx = 1", "line 1: '# en: one' has no pair"),
        ("# en: one\n# pt: um", "line 1: '# en: one' has no pair"),
        ("# pt: um\n\n# en: one", "line 1: '# pt: um' has no pair"),
        ("# um\nx = 1", "line 1: '# um' is in one language only"),
        ("x = 1  # um", "line 1: '# um' is in one language only"),
        ("x = 1  # pt: um", "line 1: a comment pair stands above the code"),
        ("# BEGIN SOLUTION\nx = 1", "line 1: '# BEGIN SOLUTION' has no '# END SOLUTION'"),
        ("x = 1\n# END SOLUTION", "line 2: '# END SOLUTION' does not match"),
        (
            "# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION",
            "line 2: '# BEGIN SOLUTION' does not match",
        ),
        ("%matplotlib inline", "line 1: not plain Python"),
    ],
)
def test_code_that_breaks_a_rule_is_refused_by_line(source, message):
    with pytest.raises(ValueError, match=message):
        code_edition(source, "en", solutions=False)


def test_the_parameters_cell_names_the_language():
    with pytest.raises(ValueError, match="the parameters cell has no language"):
        code_edition("n_days = 3", "en", solutions=True, parameters=True)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([prose("Olá")], "cell 1 .*: a prose cell is tagged with one language, pt or en"),
        ([prose("Olá", "pt", "en")], "cell 1 .*: a prose cell is tagged with one language"),
        ([prose("Olá", "pt")], "cell 1: tagged pt, with no cell tagged en after it"),
        ([prose("Olá", "pt"), code("x = 1")], "cell 2 .*: the cell tagged pt before it has no"),
        ([prose("Olá", "pt"), prose("E", "pt")], "cell 2 .*: the cell tagged pt before it has no"),
        ([prose("Hi", "en"), prose("Olá", "pt")], "cell 1 .*: tagged en, but the cell before it"),
        ([code("# só"), code("x = 1")], "cell 1 .*: line 1: '# só' is in one language only"),
    ],
)
def test_a_cell_that_breaks_a_rule_is_refused_by_name(cells, message):
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.raises(SourceError, match=f"^99_toy.ipynb: {message}"):
        edition(notebook, "pt", solutions=True, name="99_toy.ipynb")


def test_a_language_that_is_none_is_refused():
    with pytest.raises(ValueError, match="language='fr': the languages are pt, en"):
        edition(chapter(), "fr", solutions=True)
