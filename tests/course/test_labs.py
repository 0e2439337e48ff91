"""The labs: built, run, kept while their source stays as it is."""

import nbformat
import pytest

from utils.course import builder, labs
from utils.course.review import problems


def code(source, *tags, id):
    return nbformat.v4.new_code_cell(source, id=id, metadata={"tags": list(tags)})


@pytest.fixture
def root(tmp_path):
    """Make a clone with one chapter."""
    (tmp_path / "notebooks").mkdir()
    write(tmp_path, days=3)
    return tmp_path


def write(root, *, days, name="06_toy"):
    cells = [
        nbformat.v4.new_markdown_cell("# Vigiar", id="a", metadata={"tags": ["pt"]}),
        nbformat.v4.new_markdown_cell("# Watch", id="b", metadata={"tags": ["en"]}),
        code(
            '# pt: o idioma\n# en: the language\nlanguage = "pt"\n'
            f"# pt: dias\n# en: days\nn_days = {days}",
            "parameters",
            id="c",
        ),
        code("from utils.text import tr\n\nprint(tr(pt='dias', en='days'), n_days)", id="d"),
        code("# BEGIN SOLUTION\nhours = 24 * n_days\n# END SOLUTION\nprint(hours)", id="e"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "notebooks" / f"{name}.ipynb")


def printed(path):
    lab = builder.read(path)
    return [output.text for cell in lab.cells for output in cell.get("outputs", ())]


def names(paths, root):
    return [path.relative_to(root).as_posix() for path in paths]


BOTH = ["labs_pt/06_toy.ipynb", "labs_en/06_toy.ipynb"]
SOURCE = "notebooks/06_toy.ipynb"


def test_labs_carry_outputs_and_are_rebuilt_only_when_their_source_changes(root):
    assert names(labs.stale(root), root) == [*BOTH, SOURCE]
    assert [outcome.failure for outcome in labs.rebuild(workers=2, root=root)] == [None] * 3
    assert labs.stale(root) == []
    pt, en = (root / name for name in BOTH)
    assert printed(pt) == ["dias 3\n", "Ellipsis\n"]
    assert printed(en) == ["days 3\n", "Ellipsis\n"]
    for path in (pt, en):
        lab = builder.read(path)
        assert problems(lab) == []
        assert "papermill" not in lab.metadata
        assert str(root) not in path.read_text()

    before = pt.read_bytes()
    assert labs.rebuild(workers=2, root=root) == []
    assert pt.read_bytes() == before

    write(root, days=4)
    assert names(labs.stale(root), root) == [*BOTH, SOURCE]
    labs.rebuild(workers=2, root=root)
    assert printed(pt) == ["dias 4\n", "Ellipsis\n"]


def test_a_source_carries_the_outputs_of_its_solutions_and_stays_as_written(root):
    written = builder.read(root / SOURCE)
    labs.rebuild(workers=2, root=root)
    stands = builder.read(root / SOURCE)
    assert builder.source_hash(stands) == builder.source_hash(written)
    assert printed(root / SOURCE) == ["dias 3\n", "72\n"]
    assert builder.is_source(stands) and builder.language_of(stands) is None
    stands.cells[-1].source += "\nprint('edited')"
    nbformat.write(stands, root / SOURCE)
    assert SOURCE in names(labs.stale(root), root)


def test_a_lab_edited_by_hand_or_without_its_source_is_stale(root):
    labs.rebuild(workers=2, root=root)
    edited = root / BOTH[0]
    edited.write_text(edited.read_text().replace("Vigiar", "Mudado"))
    orphan = root / "labs_en" / "05_gone.ipynb"
    orphan.write_bytes((root / BOTH[1]).read_bytes())
    assert names(labs.stale(root), root) == [BOTH[0], "labs_en/05_gone.ipynb"]
    (outcome,) = labs.rebuild(workers=1, root=root)
    assert outcome.job.language == "pt"
    assert labs.stale(root) == []
    assert not orphan.exists()


def test_a_lab_that_fails_is_not_written(root):
    write(root, days="1 / 0")
    outcomes = labs.rebuild(workers=2, root=root)
    assert all("ZeroDivisionError" in outcome.failure for outcome in outcomes)
    assert names(labs.stale(root), root) == [*BOTH, SOURCE]
    assert not (root / BOTH[0]).exists()


def test_only_what_is_named_is_built_and_nothing_else_is_dropped(root):
    write(root, days=2, name="07_other")
    orphan = root / "labs_en" / "01_gone.ipynb"
    orphan.parent.mkdir()
    orphan.write_text((root / SOURCE).read_text())
    labs.rebuild(workers=1, root=root, only={"07_other"})
    assert (root / "labs_pt" / "07_other.ipynb").is_file()
    assert not (root / "labs_pt" / "06_toy.ipynb").exists()
    assert orphan.is_file()
