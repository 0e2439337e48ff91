"""Each notebook under test runs in an empty workspace of its own, as a first one would."""

import os

import pytest
from nbval.plugin import IPyNbFile


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    notebook = item.getparent(IPyNbFile)
    if notebook is None or hasattr(notebook, "workspace"):
        return
    factory = item.session.config._tmp_path_factory
    notebook.workspace = factory.mktemp(item.path.stem, numbered=True)
    os.environ["VIGIA_WORKSPACE"] = str(notebook.workspace)
