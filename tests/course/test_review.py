"""The rules that a stored notebook keeps to."""

import base64

import nbformat
import pytest

from utils.course.review import problems


def notebook(*cells):
    parameters = nbformat.v4.new_code_cell(
        "# the seed\nseed = 7\nn_days = 3  # days", id="p", metadata={"tags": ["parameters"]}
    )
    tidy = nbformat.v4.new_notebook(cells=[parameters, *cells])
    for number, cell in enumerate(tidy.cells[1:], start=1):
        cell.id = f"c{number}"
    return tidy


def code(*outputs, source="x", tags=(), **metadata):
    cell = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    cell.metadata.update(tags=list(tags), **metadata)
    return cell


def figure(*, alt, n_bytes=10, kind="image/png"):
    data = base64.b64encode(b"x" * n_bytes).decode()
    return nbformat.v4.new_output(
        "display_data", data={kind: data}, metadata={kind: {"alt": alt}} if alt else {}
    )


def html(attributes, *, n_bytes=10):
    encoded = base64.b64encode(b"\xff" * n_bytes).decode()
    image = f'<img src="data:image/png;base64,{encoded}" {attributes}>'
    return nbformat.v4.new_output("display_data", data={"text/html": f"<figure>{image}</figure>"})


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", text=text, name=name)


def test_a_notebook_in_order_has_no_problems():
    tidy = notebook(
        code(stream("POST http://127.0.0.1:8000/model/x: 9 km/h, 2013/04/01, and/or, </b>")),
        code(stream("mae 11.9"), figure(alt="The error by week")),
        code(html('alt="The error by week"')),
        code(tags=["nbval-ignore-output"], nbval_reason="prints how long it took"),
        nbformat.v4.new_markdown_cell("prose"),
        *[code() for _ in range(4)],
    )
    assert problems(tidy) == []


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (code(stream("x", name="stderr")), "something on standard error: 'x'"),
        (code(stream("a.py:3: FutureWarning: soon")), "a stored warning: FutureWarning:"),
        (code(stream("saved in /home/ana/x.db")), "a path of this machine: /home/ana/x.db"),
        (code(stream("in C:\\Users\\ana")), "a path of this machine: C:\\Users\\ana"),
        (
            code(nbformat.v4.new_output("error", ename="KeyError", evalue="'x'", traceback=[])),
            "a stored error: KeyError: 'x'",
        ),
        (code(figure(alt=None)), "a figure without alternative text"),
        (code(figure(alt="  ")), "a figure without alternative text"),
        (code(html("")), "a figure without alternative text"),
        (code(html('alt=""')), "a figure without alternative text"),
        (
            code(html('alt="big"', n_bytes=60_000)),
            "a figure of 60,000 bytes: it stays under 60,000",
        ),
        (code(figure(alt=None, kind="image/jpeg")), "a figure without alternative text"),
        (
            code(figure(alt="big", n_bytes=60_000)),
            "a figure of 60,000 bytes: it stays under 60,000",
        ),
        (
            code(tags=["nbval-ignore-output"]),
            "tagged nbval-ignore-output, and metadata.nbval_reason says no reason",
        ),
    ],
)
def test_a_cell_that_breaks_a_rule_is_named(cell, problem):
    assert problems(notebook(cell)) == [f"cell 2 (c1): {problem}"]


def test_every_parameter_is_a_value_with_a_comment():
    bare = nbformat.v4.new_code_cell(
        "seed = 7\nprint(seed)", id="p", metadata={"tags": ["parameters"]}
    )
    assert problems(nbformat.v4.new_notebook(cells=[bare])) == [
        "cell 1 (p): seed = 7: every parameter has a comment",
        "cell 1 (p): line 2: a parameters cell holds values only",
    ]


def test_six_code_cells_in_a_row_are_too_many():
    (problem,) = problems(notebook(*[code() for _ in range(5)]))
    assert problem == "6 code cells in a row from p: prose comes after at most 5"


def test_a_notebook_of_a_megabyte_is_too_large():
    (problem,) = problems(notebook(code(stream("x" * 1_000_000))))
    assert problem.endswith("bytes: a notebook stays under 1,000,000")


@pytest.mark.parametrize("tagged", [0, 2])
def test_there_is_one_parameters_cell(tagged):
    cells = [
        nbformat.v4.new_code_cell("# x\nx = 1", metadata={"tags": ["parameters"]})
        for _ in range(tagged)
    ]
    assert problems(nbformat.v4.new_notebook(cells=cells)) == [
        f"{tagged} cells tagged parameters: there is one"
    ]
