"""Each notebook under test runs in an empty workspace of its own, as a first one would."""

import os

# The workers share the cores, so each takes one: threads that wait for one another only burn time.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

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
