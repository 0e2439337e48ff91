"""A chapter run in this process, to look at what its cells computed."""

from pathlib import Path
from typing import Any

from utils.course import builder


def ran(source: Path, **parameters: Any) -> dict[str, Any]:
    """Run the English edition of a chapter with some parameters, and return its names."""
    names = {"__name__": source.stem}
    for cell in builder.edition(builder.read(source), "en", solutions=True).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), names)
            if "parameters" in builder.tags(cell):
                assert set(parameters) < set(names)
                names |= {"language": "en", **parameters}
    return names
