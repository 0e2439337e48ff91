"""The figures of the README."""

import base64

import nbformat
import pytest

from utils.course import ROOT, figures
from utils.course.review import LARGEST_FIGURE_BYTES
from utils.text import LANGUAGES


def lab(png, *, id="error-by-week"):
    outputs = [nbformat.v4.new_output("stream", text="16.1 min")]
    if png is not None:
        data = {"image/png": base64.b64encode(png).decode()}
        outputs.append(nbformat.v4.new_output("display_data", data=data))
    return nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("prose"),
            nbformat.v4.new_code_cell("show(ax.figure)", id=id, outputs=outputs),
        ]
    )


@pytest.fixture
def root(tmp_path):
    """Make a clone with one lab in each language."""
    for language in LANGUAGES:
        (tmp_path / f"labs_{language}").mkdir()
        path = tmp_path / f"labs_{language}" / "07_model_monitoring.ipynb"
        nbformat.write(lab(b"\x89PNG " + language.encode()), path)
    return tmp_path


def test_each_language_has_the_figure_that_its_lab_drew(root):
    written = figures.write(root)
    assert [path.name for path in written] == ["error_by_week.pt.png", "error_by_week.en.png"]
    assert [path.read_bytes() for path in written] == [b"\x89PNG pt", b"\x89PNG en"]


def test_a_figure_that_stands_is_not_written_again(root):
    first, _ = figures.write(root)
    first.write_bytes(b"by hand")
    assert figures.write(root) == [first]
    assert figures.write(root) == []


@pytest.mark.parametrize("without", [lab(None), lab(b"\x89PNG", id="another")])
def test_a_lab_without_the_figure_is_refused(without):
    with pytest.raises(ValueError, match="cell_id='error-by-week': the lab has no such cell"):
        figures.drawn(without, "error-by-week")


def test_the_figures_of_the_readme_are_those_of_the_labs():
    for path, png in figures.figures(ROOT):
        assert path.read_bytes() == png
        assert len(png) < LARGEST_FIGURE_BYTES


@pytest.mark.parametrize("readme", ["README.md", "README.pt.md"])
def test_the_readme_shows_a_figure_that_is_made(readme):
    made = [path.relative_to(ROOT).as_posix() for path, _ in figures.figures(ROOT)]
    assert any(path in (ROOT / readme).read_text(encoding="utf-8") for path in made)
