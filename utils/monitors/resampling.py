"""Windows made of a quiet period's own blocks: nothing changed in them, so the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from utils.monitors import windows


def resampled_windows(
    frame: pd.DataFrame,
    *,
    n_windows: int,
    start: windows.Moment,
    rng: np.random.Generator,
    window: windows.Length = "7D",
    block: windows.Length = "1D",
    time_column: str = "event_time",
) -> pd.DataFrame:
    """Return windows, end to end from ``start``, each of blocks drawn at random from the frame.

    The blocks of one window are all different (whole days, say, with all their rows), and each row
    keeps its time within the block. What holds for the whole frame is what each window should show,
    so one can count how often an interval holds the truth, or how often a threshold cries wolf.

    It makes windows quieter than a calendar's: neighbouring days are alike, drawn ones are not.
    Only ``time_column`` is moved; other times stay as they were.

    ``start`` is also where the frame's blocks are cut from; a block without rows is none. Raises
    ``ValueError`` when ``window`` is no whole number of blocks, or the frame has too few of them.

    >>> frame = pd.DataFrame({"label": [1.0, 2.0, 3.0], "event_time": pd.to_datetime(
    ...     ["2013-01-01T08:00Z", "2013-01-01T20:00Z", "2013-01-02T09:00Z"])})
    >>> drawn = resampled_windows(frame, n_windows=2, window="1D", start="2013-01-01T00:00Z",
    ...                           rng=np.random.default_rng(1))
    >>> print(drawn.to_string(index=False))
     label                event_time
       1.0 2013-01-01 08:00:00+00:00
       2.0 2013-01-01 20:00:00+00:00
       3.0 2013-01-02 09:00:00+00:00
    """
    length = windows.whole_microseconds(windows.length(window, argument="window"))
    step = windows.whole_microseconds(windows.length(block, argument="block"))
    per_window, rest = divmod(length, step)
    if rest:
        raise ValueError(f"window={window!r} is no whole number of block={block!r}")
    if n_windows < 1:
        raise ValueError(f"n_windows={n_windows!r}: at least 1 is needed")
    origin = windows.whole_microseconds(windows.moment(start, argument="start"))
    since = windows.times(frame, time_column, argument="time_column") - origin
    order = np.argsort(since, kind="stable")
    blocks, first = np.unique(since[order] // step, return_index=True)
    if len(blocks) < per_window:
        raise ValueError(
            f"frame has {len(blocks)} blocks of {block!r}; window={window!r} needs {per_window}"
        )
    rows_of = np.split(order, first[1:])
    drawn = np.concatenate(
        [rng.choice(len(blocks), per_window, replace=False) for _ in range(n_windows)]
    )
    taken = np.concatenate([rows_of[each] for each in drawn])
    sizes = [len(rows_of[each]) for each in drawn]
    moved = np.repeat((np.arange(len(drawn)) - blocks[drawn]) * step, sizes)
    times = pd.to_datetime(origin + since[taken] + moved, unit="us", utc=True)
    return frame.iloc[taken].assign(**{time_column: times}).reset_index(drop=True)
