"""Capture stops before the disk is full, and predictions go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from utils.monitors.infrastructure import DISK_GUARD


def disk_share(path: Path | str) -> float:
    """Return the share of a path's disk that is used, in 0..1.

    >>> 0 < disk_share(".") < 1
    True
    """
    disk = shutil.disk_usage(path)
    return disk.used / disk.total


@dataclass(frozen=True, kw_only=True)
class DiskGuard:
    """Says whether there is room to capture: while at most ``limit`` of a path's disk is used.

    Given to an ``Endpoint`` it is asked before each commit. Above the limit requests are answered
    and not stored, so that the disk is left to the service; when room has been made, capture goes
    on by itself. ``path`` is any on the disk that captures are written to. ``used`` tells the share
    of it that is used.

    **What it costs.** What was not captured is lost to every monitor, its label is refused, and a
    retry is scored anew. It does not tell when the disk will be full: see
    ``infrastructure.usage``.

    Raises ``ValueError`` for a limit outside 0..1.

    >>> DiskGuard(path=".", used=lambda path: 0.76).has_room()
    False

    Source: Amazon SageMaker Developer Guide, "Data capture": stops above 75 % of the disk.
    """

    path: Path | str
    limit: float = DISK_GUARD
    used: Callable[[Path | str], float] = disk_share

    def __post_init__(self) -> None:
        if not 0 <= self.limit <= 1:
            raise ValueError(f"limit={self.limit!r}: a share in 0..1 is needed")

    def has_room(self) -> bool:
        """Return whether what is answered now may be captured."""
        return self.used(self.path) <= self.limit
