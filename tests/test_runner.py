"""Running notebooks: parameters, failures, pages, progress."""

import io
import re
import sys
from html.parser import HTMLParser

import nbformat
import pytest

from utils.runner import (
    BadParameter,
    Bars,
    Job,
    Lines,
    Outcome,
    checked_parameters,
    html_page,
    index_page,
    parameters_of,
    run_all,
    title_of,
)
from utils.text import using

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def code(source, *tags):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})


def prose(source):
    return nbformat.v4.new_markdown_cell(source)


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def job(tmp_path, *cells, name="toy", **settings):
    settings = {"language": "en", "folder": tmp_path, **settings}
    return Job(
        name=name,
        notebook=notebook(*cells),
        output=tmp_path / "out" / f"{name}.ipynb",
        **settings,
    )


class Silent:
    """Progress that keeps what it was told."""

    def __init__(self):
        self.cells = 0
        self.outcomes = []

    def cell_done(self, job):
        self.cells += 1

    def job_done(self, outcome):
        self.outcomes.append(outcome)


def printed(outcome):
    """Return what the cells of an executed notebook printed."""
    executed = nbformat.read(outcome.job.output, as_version=4)
    return [
        output.text.strip()
        for cell in executed.cells
        for output in cell.get("outputs", ())
        if output.output_type == "stream" and output.name == "stdout"
    ]


PARAMETERS = """
n_days: int = 30
share = 0.5
fast = False
name = "flights"
store_url = None
airports = ["JFK"]
start = compute()
"""


def checked(*given, **notebooks):
    notebooks = notebooks or {"toy": notebook(code(PARAMETERS, "parameters"))}
    return checked_parameters(given, notebooks)


# Parameters


def test_parameters_are_the_literals_of_the_tagged_cell():
    found = parameters_of(notebook(code("seed = 7"), code(PARAMETERS, "parameters")))
    assert {name: parameter.default for name, parameter in found.items()} == {
        "n_days": 30,
        "share": 0.5,
        "fast": False,
        "name": "flights",
        "store_url": None,
        "airports": ["JFK"],
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("n_days", "7", 7),
        ("n_days", "-1", -1),
        ("share", "1", 1.0),
        ("share", "1e-3", 0.001),
        ("fast", "true", True),
        ("fast", "False", False),
        ("name", "7", "7"),
        ("store_url", "sqlite:///x.db", "sqlite:///x.db"),
        ("airports", "['EWR', 'LGA']", ["EWR", "LGA"]),
    ],
)
def test_a_value_is_read_in_the_type_of_the_default(name, text, value):
    read = checked((name, text))["toy"][name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("n_days", "abc", "int"),
        ("n_days", "1.5", "int"),
        ("share", "half", "float"),
        ("fast", "maybe", "bool"),
        ("airports", "JFK", "list"),
        ("airports", "('JFK',)", "list"),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(name, text, kind):
    with pytest.raises(BadParameter, match=re.escape(f"{name} takes {kind}, not {text!r}")):
        checked((name, text))


@pytest.mark.parametrize(
    ("name", "nearest"), [("n_day", "n_days"), ("storeurl", "store_url"), ("start", "share")]
)
def test_an_unknown_parameter_is_refused_with_the_nearest(name, nearest):
    said = f"no notebook has the parameter {name}; the nearest is {nearest}"
    with pytest.raises(BadParameter, match=said):
        checked((name, "1"))


def test_a_notebook_without_parameters_refuses_all():
    with pytest.raises(BadParameter, match="no notebook has the parameter seed, nor any other"):
        checked(("seed", "1"), bare=notebook(code("x = 1")))


def test_each_notebook_gets_the_parameters_that_it_has():
    first = notebook(code("seed = 7\nn_days = 3", "parameters"))
    second = notebook(code("seed = 7", "parameters"))
    assert checked(("seed", "1"), ("n_days", "9"), first=first, second=second) == {
        "first": {"seed": 1, "n_days": 9},
        "second": {"seed": 1},
    }


# Running


def test_a_notebook_runs_with_its_parameters_in_this_python(tmp_path):
    (outcome,) = run_all(
        [
            job(
                tmp_path,
                code("n_days = 30", "parameters"),
                code(
                    "import os, sys\nprint(n_days, sys.executable, os.getcwd(), os.environ['WHO'])"
                ),
                parameters={"n_days": 9},
                environment={"WHO": "me"},
            )
        ],
        workers=1,
        progress=Silent(),
    )
    assert outcome.failure is None
    assert printed(outcome) == [f"9 {sys.executable} {tmp_path} me"]


def test_installed_kernels_are_not_asked(tmp_path, monkeypatch):
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        '{"argv": ["false"], "display_name": "x", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    (outcome,) = run_all([job(tmp_path, code("print(1)"))], workers=1, progress=Silent())
    assert printed(outcome) == ["1"]


def test_a_failure_names_its_cell_and_error_and_the_others_still_run(tmp_path):
    jobs = [
        job(
            tmp_path,
            prose("# x"),
            code("n = 1", "parameters"),
            code("n / 0"),
            code("print('never')"),
            name="breaks",
            parameters={"n": 2},
        ),
        job(tmp_path, code("import os\nos._exit(3)"), name="dies"),
        job(tmp_path, code("print('fine')"), name="works"),
    ]
    progress = Silent()
    breaks, dies, works = run_all(jobs, workers=1, progress=progress)
    assert breaks.failure == "cell 3 (In [3]): ZeroDivisionError: division by zero"
    assert dies.failure.startswith("the kernel stopped: ")
    assert works.failure is None
    assert printed(works) == ["fine"]
    assert progress.outcomes == [breaks, dies, works]
    assert "ZeroDivisionError" in breaks.page.read_text()


def test_a_failed_cell_has_the_number_of_the_file_that_was_opened(tmp_path):
    cell = code("raise SystemExit(3)")
    (outcome,) = run_all([job(tmp_path, cell, numbers={cell.id: 12})], workers=1, progress=Silent())
    assert outcome.failure == "cell 12 (In [1]): SystemExit: 3"


def test_lanes_run_side_by_side_and_each_in_order(tmp_path):
    wait = """
        import time
        from pathlib import Path
        Path("{mine}").touch()
        while not Path("{other}").exists():
            time.sleep(0.01)
    """
    lines = [line[8:] for line in wait.splitlines()]
    wait = "\n".join(lines)
    jobs = [
        job(tmp_path, code(wait.format(mine="a", other="b")), name="a", lane="pt"),
        job(tmp_path, code(wait.format(mine="b", other="a")), name="b", lane="en"),
        job(tmp_path, code("print('last')"), name="c", lane="pt"),
    ]
    outcomes = run_all(jobs, workers=2, progress=Silent())
    assert [outcome.job.name for outcome in outcomes] == ["a", "c", "b"]
    assert all(outcome.failure is None for outcome in outcomes)


def test_a_path_may_hold_braces(tmp_path):
    (tmp_path / "{x}").mkdir()
    odd = job(tmp_path / "{x}", code("print(1)"), name="{y}")
    (outcome,) = run_all([odd], workers=1, progress=Silent())
    assert printed(outcome) == ["1"]


# Progress


def outcome(tmp_path, *, failure=None, **settings):
    return Outcome(job=job(tmp_path, code("x"), **settings), seconds=1.25, failure=failure)


def test_without_a_terminal_there_is_a_line_for_each_notebook(tmp_path, capsys):
    with using("pt"):
        Lines().job_done(outcome(tmp_path))
    Lines().job_done(outcome(tmp_path, failure="cell 3 (In [3]): KeyError: 'x'"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "toy (en): pronto em 1.2 s",
        "toy (en): failed: cell 3 (In [3]): KeyError: 'x'",
    ]


def test_bars_count_the_cells_of_a_lane_and_name_the_notebook(tmp_path, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    first = job(tmp_path, code("x"), code("y"), prose("z"), name="first", lane="pt")
    second = job(tmp_path, code("x"), name="second", lane="pt")
    bars = Bars([first, second])
    bars.cell_done(first)
    bars.job_done(Outcome(job=first, seconds=1.0, failure="cell 2 (In [2]): KeyError: 'x'"))
    bars.cell_done(second)
    bars.job_done(Outcome(job=second, seconds=1.0))
    written = terminal.getvalue()
    assert "pt 0/2 first" in written
    assert "pt 2/2 second: 100%" in written
    assert "3/3" in written
    assert "first (en): failed: cell 2 (In [2]): KeyError: 'x'" in written


# Pages


class Resources(HTMLParser):
    """What a page fetches, and the alternative texts of its images."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.alternatives, self.languages = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "img":
            self.alternatives.append(attrs.get("alt"))
        if tag == "html":
            self.languages.append(attrs.get("lang"))
        if tag in ("script", "link", "iframe", "img", "object", "embed"):
            self.fetched += [attrs[name] for name in ("src", "href", "data") if name in attrs]


@pytest.fixture(scope="module")
def page():
    figure = nbformat.v4.new_output(
        "display_data",
        data={"image/png": PIXEL, "text/plain": "<Figure>"},
        metadata={"image/png": {"alt": 'Erro por semana: "sobe" <em julho>'}},
    )
    shown = code("plot()")
    shown.outputs = [figure]
    text = "# O erro $e_i$ sobe?\n\nVeja $$\\frac{a}{b}$$ e `x`. Custa $5 e \\left( nada.$ <b>!</b>"
    return html_page(notebook(prose(text), shown), language="pt")


def test_a_page_keeps_alternative_texts_and_its_language(page):
    resources = Resources(page)
    assert resources.alternatives == ['Erro por semana: "sobe" <em julho>']
    assert resources.languages == ["pt"]
    assert "<title>O erro $e_i$ sobe?</title>" in page


def test_a_page_fetches_nothing(page):
    assert [url for url in Resources(page).fetched if not url.startswith("data:")] == []
    assert "<script" not in page
    assert not re.search(r"url\(|@import", page)


def test_formulas_are_drawn_by_the_browser(page):
    assert page.count("<math") == 2
    assert "<mfrac>" in page
    assert "<code>5 e \\left( nada.</code>" in page


def test_the_index_names_what_ran_in_both_languages(tmp_path):
    done = outcome(tmp_path, language="pt")
    failed = outcome(tmp_path, name="<bad>", failure="cell 3: 1 < 2")
    text = index_page([done, failed], folder=tmp_path)
    resources = Resources(text)
    assert resources.fetched == []
    assert resources.languages == ["pt-BR"]
    assert '<th scope="col">Notebook</th>' in text
    assert '<td lang="pt-BR"><a href="out/toy.html">toy</a></td>' in text
    assert '<td class="number">1.2</td><td>pronto <span lang="en">· done</span></td>' in text
    assert "&lt;bad&gt;" in text
    assert "cell 3: 1 &lt; 2" in text


def test_a_title_is_the_first_heading():
    cells = [code("# no"), prose("text\n## no\n# Is it right? \n# no")]
    assert title_of(notebook(*cells), default="07") == "Is it right?"
    assert title_of(notebook(), default="07") == "07"
