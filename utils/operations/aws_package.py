"""The function as the zip that AWS takes: our own modules; the packages they need are a layer.

The zip holds what ``aws_lambda`` imports of ours and nothing else, and is the same, to the byte,
whenever it is made of the same code. ``PACKAGES`` are what a layer must bring: AWS's own layer for
pandas has the first three.
"""

from __future__ import annotations

import ast
import zipfile
from pathlib import Path

HANDLER = "utils.operations.aws_lambda.handler"
PACKAGES = ("pandas", "numpy", "pyarrow", "sqlalchemy", "psycopg")
MOST_BYTES = 50 * 2**20
"""What AWS takes as a direct upload."""

_ROOT = Path(__file__).resolve().parents[2]
_EPOCH = (1980, 1, 1, 0, 0, 0)


def modules(entry: str = "utils.operations.aws_lambda") -> list[Path]:
    """Return the files of ours that a module imports, itself among them, and their packages."""
    found: dict[str, Path] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or name in found:
            continue
        found[name] = path
        parts = name.split(".")
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        waiting += _imported(path)
    return sorted(found.values())


def _file_of(name: str) -> Path | None:
    base = _ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return [name for name in names if name.split(".")[0] == "utils"]


def package(path: Path | str) -> Path:
    """Write the zip, and return its path.

    Raises ``ValueError`` where it is more than AWS takes.
    """
    target = Path(path)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in modules():
            entry = zipfile.ZipInfo(each.relative_to(_ROOT).as_posix(), date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, each.read_bytes())
    if target.stat().st_size > MOST_BYTES:
        raise ValueError(f"path={target}: {target.stat().st_size} bytes are more than AWS takes")
    return target
