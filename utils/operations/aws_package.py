"""The function as the zip that AWS takes: our own modules; the packages they need are a layer.

The zip holds what ``aws_lambda`` imports of ours and nothing else, and is the same, to the byte,
whenever it is made of the same code. ``PACKAGES`` are what layers must bring: AWS's own layer for
pandas has the first three, and a layer of one's own the others. boto3's Lambda client is given from
outside: with no ``endpoint_url`` it speaks to AWS.

Sources: AWS Lambda Developer Guide, "Lambda quotas" and "Working with layers for Python Lambda
functions"; Amazon CloudWatch User Guide, "Invoke a Lambda function from an alarm".
"""

from __future__ import annotations

import ast
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HANDLER = "utils.operations.aws_lambda.handler"
PACKAGES = ("pandas", "numpy", "pyarrow", "sqlalchemy", "psycopg")
MOST_BYTES = 50 * 2**20
"""What AWS takes as a direct upload. Unpacked, and with its layers, it may have 250 MB."""

ALARMS = "lambda.alarms.cloudwatch.amazonaws.com"
"""Who calls a function that stands among the actions of an alarm."""

_STATEMENT = "alarms"

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


def deploy(
    client: Any,
    archive: Path | str,
    *,
    name: str,
    role: str,
    store_url: str,
    layers: Sequence[str] = (),
    timeout_s: int = 30,
    memory_mib: int = 512,
    dead_letters: str | None = None,
) -> str:
    """Make the function, or bring one that stands up to date, and return its ARN.

    ``role`` is the ARN of the role it runs as, ``layers`` those of what brings ``PACKAGES``, and
    ``dead_letters`` that of a queue or topic for events that failed three times. The alarms of the
    function's own account and region may call it; the ARN goes among their actions.

    The store's URL becomes a variable of the function, which whoever may read its configuration
    can read: give it a user of its own, who may do no more than write events.

    Raises what the client raises; ``botocore`` names the field that AWS does not take.
    """
    code = Path(archive).read_bytes()
    settings: dict[str, Any] = {
        "Runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Handler": HANDLER,
        "Role": role,
        "Timeout": timeout_s,
        "MemorySize": memory_mib,
        "Environment": {"Variables": {"VIGIA_STORE_URL": store_url}},
        "Layers": list(layers),
        "DeadLetterConfig": {"TargetArn": dead_letters} if dead_letters else {},
    }
    try:
        made = client.create_function(FunctionName=name, Code={"ZipFile": code}, **settings)
    except client.exceptions.ResourceConflictException:
        client.update_function_code(FunctionName=name, ZipFile=code)
        client.get_waiter("function_updated_v2").wait(FunctionName=name)
        made = client.update_function_configuration(FunctionName=name, **settings)
    _let_alarms_call(client, made)
    return made["FunctionArn"]


def _let_alarms_call(client: Any, made: Mapping[str, Any]) -> None:
    _, partition, _, region, account, *_ = made["FunctionArn"].split(":")
    try:
        client.add_permission(
            FunctionName=made["FunctionName"],
            StatementId=_STATEMENT,
            Action="lambda:InvokeFunction",
            Principal=ALARMS,
            SourceAccount=account,
            SourceArn=f"arn:{partition}:cloudwatch:{region}:{account}:alarm:*",
        )
    except client.exceptions.ResourceConflictException:
        return  # it stands already
