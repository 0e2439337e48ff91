"""How a window is measured: the settings that monitors by window share, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from utils.monitors import windows
from utils.monitors.intervals import checked_level


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The settings of a table by window.

    ``block`` is what is resampled, in microseconds, cut from ``origin`` on; ``None`` means rows.
    """

    minimum: int
    level: float
    draws: int
    block: int | None
    origin: int

    @classmethod
    def checked(
        cls,
        *,
        minimum: int,
        level: float,
        draws: int,
        block: windows.Length | None,
        window: windows.Length | None,
        start: windows.Moment | None,
    ) -> Rules:
        """Return the rules, or raise ``ValueError`` naming the argument, the value and the rule.

        >>> Rules.checked(minimum=0, level=0.95, draws=10, block=None, window=None, start=None)
        Traceback (most recent call last):
        ValueError: minimum=0: at least 1 is needed
        """
        for argument, number in (("minimum", minimum), ("draws", draws)):
            if number < 1:
                raise ValueError(f"{argument}={number!r}: at least 1 is needed")
        origin = windows.ORIGIN if start is None else windows.moment(start, argument="start")
        return cls(
            minimum=minimum,
            level=checked_level(level),
            draws=draws,
            block=block_length(block, window=window),
            origin=windows.whole_microseconds(origin),
        )


def block_length(block: windows.Length | None, *, window: windows.Length | None) -> int | None:
    """Return the length of a block in microseconds; ``None`` where rows are independent.

    Raises ``ValueError`` for a block that does not fit into the window.

    >>> block_length("2D", window="1D")
    Traceback (most recent call last):
    ValueError: block='2D' is longer than window='1D'; it must fit into it
    """
    of_window = None if window is None else windows.length(window, argument="window")
    if block is None:
        return None
    of_block = windows.length(block, argument="block")
    if of_window is not None and of_block > of_window:
        raise ValueError(f"block={block!r} is longer than window={window!r}; it must fit into it")
    return windows.whole_microseconds(of_block)
