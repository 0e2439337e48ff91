"""A real Prometheus and a real Alertmanager on loopback, stopped by their own process ids."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services import free_port, missing


def program(name: str, *others: str) -> str:
    """Return the path of a program, under whichever of its names it is installed."""
    for each in (name, *others):
        if found := shutil.which(each):
            return found
    missing(name)


def promtool(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([program("promtool"), *arguments], capture_output=True, text=True)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


@contextmanager
def _running(command: list[str], *, ready: str, log: Path) -> Iterator[None]:
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
    try:
        for _ in range(200):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended: {log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(ready, timeout=1):
                    break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        else:
            raise RuntimeError(f"{command[0]} is not ready: {log.read_text()[-2000:]}")
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def prometheus(config: dict[str, Any], folder: Path, *, data: Path | None = None) -> Iterator[str]:
    """Run a Prometheus with a configuration, and give its address."""
    import yaml

    path, port = folder / "prometheus.yml", free_port()
    path.write_text(yaml.safe_dump(config))
    address = f"http://127.0.0.1:{port}"
    command = [
        program("prometheus"),
        f"--config.file={path}",
        f"--storage.tsdb.path={data or folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        "--rules.alert.resend-delay=1s",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(command, ready=f"{address}/-/ready", log=folder / "prometheus.log"):
        yield address


@contextmanager
def alertmanager(config: dict[str, Any], folder: Path, *, port: int | None = None) -> Iterator[str]:
    """Run an Alertmanager with a configuration, and give its address."""
    import yaml

    path, port = folder / "alertmanager.yml", port or free_port()
    path.write_text(yaml.safe_dump(config))
    address = f"http://127.0.0.1:{port}"
    command = [
        program("alertmanager", "prometheus-alertmanager"),
        f"--config.file={path}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _running(command, ready=f"{address}/-/ready", log=folder / "alertmanager.log"):
        yield address


def query(address: str, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
    """Return what a Prometheus answers to an expression, now or at a moment."""
    asked = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
    found = get(f"{address}/api/v1/query?{urllib.parse.urlencode(asked)}")
    assert found["status"] == "success", found
    return found["data"]["result"]


def until(answers, *, seconds: float = 30) -> Any:
    """Return the first answer that is not empty, asking every quarter of a second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := answers():
            return found
        time.sleep(0.25)
    raise AssertionError(f"nothing came within {seconds} s")
