"""A chapter run in this process, to look at what its cells computed."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib import pyplot as plt

from utils.course import builder
from utils.text import using


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


def ran_once(source: Path, **parameters: Any) -> Any:
    """Return a fixture: the names of a chapter, run once for a module, in a workspace of its own.

    With other parameters than the usual: what the titles of a chapter say is asserted in it.
    """

    @pytest.fixture(scope="module")
    def names(tmp_path_factory):
        with pytest.MonkeyPatch.context() as patch, using("en"):
            patch.setenv("VIGIA_WORKSPACE", str(tmp_path_factory.mktemp("workspace")))
            yield ran(source, **parameters)
        plt.close("all")

    return names
