"""A server in a process of its own, started and stopped from Python.

It is started as a user starts it, with ``python -m utils serve``: nothing is shared with it but the
store, the registry and the network. ``app.running`` serves from a thread of this process instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from utils.records import VigiaError
from utils.serving.client import Client
from utils.serving.keys import new_key

STOP_TIMEOUT_S = 60.0
"""A server that has not ended so long after SIGTERM is killed."""

_ROOT = Path(__file__).resolve().parents[2]


class NotServing(VigiaError):
    """The server ended before it took a request; the message is what it said."""


class Service:
    """A model served over HTTP on loopback, on a free port, until it is stopped.

    It starts at once, and takes requests when ``url`` is there, a few seconds later. It is stopped
    by ``stop``, at the end of a ``with`` block, when nothing refers to it any more, and when this
    process ends in any other way than by SIGKILL or a crash.

    ``model_uri``, ``store_url``, ``deployment``, ``tracking_uri``, ``accept_event_time`` and
    ``follow`` are those of ``app.serve``. ``access_key`` is made unless given, and is known here
    only.

    Raises ``NotServing`` when ``url`` or ``client`` is asked for and there is no server.
    """

    def __init__(
        self,
        *,
        model_uri: str,
        store_url: str,
        deployment: str | None = None,
        tracking_uri: str | None = None,
        access_key: str | None = None,
        accept_event_time: bool = False,
        follow: bool = False,
    ) -> None:
        self.access_key = access_key or new_key()
        command = [sys.executable, "-m", "utils", "serve", "--port", "0"]
        command += ["--model-uri", model_uri, "--store", store_url]
        command += ["--deployment", deployment] if deployment else []
        command += ["--tracking-uri", tracking_uri] if tracking_uri else []
        command += ["--accept-event-time"] if accept_event_time else []
        command += ["--follow"] if follow else []
        self._errors: IO[str] = TemporaryFile("w+")
        self._process = subprocess.Popen(
            command,
            env=_environment(self.access_key),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._finalizer = weakref.finalize(self, _end, self._process, self._errors)

    @cached_property
    def url(self) -> str:
        """Where requests are taken; it waits until they are."""
        if not self._finalizer.alive:
            raise NotServing("the server was stopped")
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().strip().rpartition("\n")[2]
            raise NotServing(f"the server ended with status {status}: {said or 'it said nothing'}")
        return line.split()[-1]

    def client(self, **settings: Any) -> Client:
        """Return a client with the access key; ``settings`` are those of ``Client``."""
        return Client(self.url, access_key=self.access_key, **settings)

    def stop(self) -> int:
        """Ask the server to end (SIGTERM), wait until it has, and return its exit status.

        What it had accepted is answered first; the status is then 0. Once more changes nothing.
        """
        self._finalizer()
        return self._process.returncode

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _environment(access_key: str) -> dict[str, str]:
    """Return this process's environment, in which ``utils`` is found wherever one stands."""
    on_path = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(on_path),
        "VIGIA_ACCESS_KEY": access_key,
    }


def _end(process: subprocess.Popen, errors: IO[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    errors.close()
