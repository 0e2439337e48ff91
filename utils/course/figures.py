"""The figures of the README: taken from the labs that draw them, so the two cannot differ."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from utils.course import ROOT, builder
from utils.text import LANGUAGES

FIGURES = {"error_by_week": ("07_model_monitoring.ipynb", "error-by-week")}
"""The name of each figure, and the lab and the id of the cell that draw it."""


def drawn(lab: NotebookNode, cell_id: str) -> bytes:
    """Return the picture that a cell of a lab has stored, as a PNG.

    Raises ``ValueError`` when the lab has no such cell, or the cell no picture.

    >>> import nbformat
    >>> picture = nbformat.v4.new_output("display_data", data={"image/png": "iVBORw=="})
    >>> cell = nbformat.v4.new_code_cell("plot", id="weeks", outputs=[picture])
    >>> drawn(nbformat.v4.new_notebook(cells=[cell]), "weeks")
    b'\\x89PNG'
    """
    for cell in lab.cells:
        if cell.get("id") != cell_id:
            continue
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output["data"]["image/png"])
    raise ValueError(f"cell_id={cell_id!r}: the lab has no such cell with a picture stored in it")


def figures(root: Path = ROOT) -> Iterator[tuple[Path, bytes]]:
    """Yield where each figure belongs, in each language, and what its lab has drawn."""
    for name, (lab, cell_id) in FIGURES.items():
        for language in LANGUAGES:
            path = root / "notebooks" / "figures" / f"{name}.{language}.png"
            yield path, drawn(builder.read(root / f"labs_{language}" / lab), cell_id)


def write(root: Path = ROOT) -> list[Path]:
    """Write the figures, and return those that have changed."""
    changed = []
    for path, png in figures(root):
        if not path.is_file() or path.read_bytes() != png:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png)
            changed.append(path)
    return changed
