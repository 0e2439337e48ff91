"""The direction of imports: rooms stand on floors, and import only from the floors below.

Every import counts, at the top of a module or inside a function, absolute or relative, and one by
name (``importlib.import_module("utils…")``) too.
"""

import ast
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

import utils

PACKAGE = Path(utils.__file__).parent
FLOORS = (
    {"records", "text"},
    {"datasets", "store", "monitors", "plots"},
    {"serving", "exporters", "report", "runner"},
    {"sdk", "operations", "dashboard"},
    {"course"},
    {"__main__"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
THE_COURSE = {"course", "__main__"}


def modules_of(package: Path) -> dict[str, Path]:
    """Return each module of a package by its dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def named_in(node: ast.AST, module: str, *, is_package: bool) -> list[str]:
    """Return the dotted names that one node imports; ``from a import b`` may mean ``a.b``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        parents = module.split(".")[: (1 if is_package else 0) - node.level or None]
        base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
        return [f"{base}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call):
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in {"import_module", "__import__"}:
            return [each.value for each in node.args[:1] if isinstance(each, ast.Constant)]
    return []


def module_of(name: str, modules: dict[str, Path]) -> str | None:
    """Return the module that a dotted name lies in: itself, or the one that defines it."""
    return next((n for n in (name, name.rpartition(".")[0]) if n in modules), None)


def imports(package: Path) -> dict[str, set[str]]:
    """Return, for each module of a package, the modules of the same package that it imports."""
    modules = modules_of(package)
    found = {}
    for module, path in modules.items():
        is_package = path.name == "__init__.py"
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = [name for node in nodes for name in named_in(node, module, is_package=is_package)]
        found[module] = {module_of(name, modules) for name in names} - {None, module}
    return found


def room(module: str) -> str:
    """Return the room of a module; the package itself has none."""
    return (module.split(".") + [""])[1]


def broken_directions(package: Path) -> list[str]:
    """Return a line for each import that does not go down, and each room without a floor."""
    lines = []
    for module, imported in imports(package).items():
        here = room(module)
        if here and here not in FLOOR_OF:
            lines.append(f"{module}: room {here!r} stands on no floor")
            continue
        for other in sorted(imported):
            there = room(other)
            if not there or there == here:
                continue
            if not here or FLOOR_OF.get(there, len(FLOORS)) >= FLOOR_OF[here]:
                lines.append(f"{module} imports {other}, which is not below it")
    return lines


def course_imports(package: Path) -> list[str]:
    """Return a line for each import of the course by the toolkit, through whatever modules."""
    graph = imports(package)
    lines = []
    for module in graph:
        if room(module) in THE_COURSE:
            continue
        reached, waiting = {module}, deque([module])
        while waiting:
            for other in graph[waiting.popleft()] - reached:
                reached.add(other)
                waiting.append(other)
        lines += [
            f"{module} reaches {other}" for other in sorted(reached) if room(other) in THE_COURSE
        ]
    return lines


def circles(package: Path) -> list[list[str]]:
    """Return the groups of modules that import one another, each sorted."""
    graph = imports(package)
    reached = {}
    for module in graph:
        seen, waiting = set(), deque(graph[module])
        while waiting:
            other = waiting.popleft()
            if other not in seen:
                seen.add(other)
                waiting.extend(graph[other])
        reached[module] = seen
    together = {
        tuple(sorted({module, *(o for o in seen if module in reached[o])}))
        for module, seen in reached.items()
        if module in seen
    }
    return [list(each) for each in sorted(together)]


# -------------------------------------------------------------------------------- as the code is


def test_the_imports_that_are_there_are_seen():
    graph = imports(PACKAGE)
    assert "utils.records" in graph["utils.monitors.performance"]
    assert "utils.text" in graph["utils.plots"]
    assert {room(module) for module in graph} >= {"records", "text", "monitors", "plots", "course"}


def test_imports_go_only_downwards():
    assert broken_directions(PACKAGE) == []


def test_the_toolkit_reaches_nothing_of_the_course():
    assert course_imports(PACKAGE) == []


def test_no_modules_import_one_another_in_a_circle():
    assert circles(PACKAGE) == []


@pytest.mark.parametrize(
    ("imported", "unwanted"),
    [
        ("utils", "pandas numpy mlflow matplotlib sklearn sqlalchemy fastapi IPython"),
        ("utils.records, utils.text", "pandas numpy mlflow matplotlib sqlalchemy fastapi"),
        ("utils.monitors.performance", "sqlalchemy mlflow matplotlib seaborn fastapi IPython"),
        ("utils.plots", "sqlalchemy mlflow fastapi"),
    ],
)
def test_a_room_loads_nothing_heavy_that_it_does_not_use(imported, unwanted):
    code = f"import sys, {imported}; print(*(n for n in {unwanted.split()!r} if n in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("", "")


# --------------------------------------------------------------------- that these tests can fail


def toy(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "utils"
    for name, source in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        (path.parent / "__init__.py").touch()
    return package


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("records.py", "import utils.text"),
        ("records.py", "from utils import store"),
        ("store/db.py", "from utils.serving.app import create_app"),
        ("store/db.py", "from utils.serving import app"),
        ("store/db.py", "import utils.datasets.flights as flights"),
        ("monitors/drift.py", "from utils.store import Store"),
        ("monitors/drift.py", "from .. import plots"),
        ("monitors/drift.py", "from ..store.db import Store"),
        ("monitors/__init__.py", "from ..store import db"),
        ("monitors/drift.py", "def late():\n    from utils.sdk import read_metrics"),
        ("monitors/drift.py", "if TYPE_CHECKING:\n    import utils.store"),
        ("plots.py", "import importlib\nimportlib.import_module('utils.course.workspace')"),
        ("sdk.py", "__import__('utils.dashboard')"),
        (
            "runner.py",
            "def run():\n    try:\n        import utils.course\n    finally:\n        pass",
        ),
        ("__init__.py", "from utils.records import Schema"),
        ("attic.py", ""),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_found(tmp_path, module, source):
    rooms = [
        *("text.py", "plots.py", "sdk.py", "dashboard.py", "datasets/flights.py", "store/db.py"),
        *("serving/app.py", "course/workspace.py", "records.py"),
    ]
    assert broken_directions(toy(tmp_path, dict.fromkeys(rooms, ""))) == []
    (found,) = broken_directions(toy(tmp_path, {module: source}))
    assert found.startswith(
        "utils" + ("." + module.split("/")[0].split(".")[0]).replace(".__init__", "")
    )


def test_an_import_that_goes_down_is_allowed(tmp_path):
    package = toy(
        tmp_path,
        {
            "records.py": "import pandas",
            "store/db.py": "from utils.records import Schema\nfrom . import tables",
            "store/tables.py": "",
            "serving/app.py": "from utils.store.db import Store",
            "course/__init__.py": "from utils.serving import app",
            "__main__.py": "def main():\n    from utils.course import builder",
        },
    )
    assert broken_directions(package) == []
    assert course_imports(package) == []
    assert circles(package) == []


def test_the_course_is_found_behind_another_room(tmp_path):
    package = toy(
        tmp_path,
        {
            "monitors/drift.py": "from utils.report import build",
            "report.py": "def build():\n    from utils.course.site import page",
            "course/site.py": "",
        },
    )
    assert course_imports(package) == [
        "utils.monitors.drift reaches utils.course.site",
        "utils.report reaches utils.course.site",
    ]


def test_a_circle_is_found_within_one_room_and_in_a_function(tmp_path):
    package = toy(
        tmp_path,
        {
            "store/db.py": "from utils.store import tables",
            "store/tables.py": "def late():\n    from .rows import Row",
            "store/rows.py": "from utils.store import db",
        },
    )
    assert circles(package) == [["utils.store.db", "utils.store.rows", "utils.store.tables"]]
