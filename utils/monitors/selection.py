"""What the best of many promises, and what it keeps on rows that did not choose it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from utils.monitors.intervals import checked_level

PROMISED, KEPT = "promised", "kept"


def winners_advantage(
    chosen_by: np.ndarray,
    judged_by: np.ndarray,
    *,
    sizes: Sequence[int],
    rng: np.random.Generator,
    draws: int = 200,
    level: float = 0.9,
) -> pd.DataFrame:
    """Return by how much the winner of a search beats the average trial, promised and kept.

    ``chosen_by`` and ``judged_by`` hold what each row costs under each trial (trials × rows): rows
    to choose by, and rows that choose nothing. For each of the ``sizes`` so many rows to choose by
    are drawn, ``draws`` times; the trial with the least mean loss on them wins. Its advantage over
    the mean of all trials on those rows is what it *promised*, that on all of ``judged_by`` what it
    *kept*. The difference is the optimism of choosing: it grows with the number of trials, and as
    the rows become fewer.

    Rows are drawn singly, so it is the optimism of rows that are independent; and the two sets of
    rows must be of one kind, or what changed between them is counted with it.

    Returns ``n_rows``, ``what`` (``"promised"`` or ``"kept"``), ``value`` (the mean over the
    draws), ``low`` and ``high``, between which a share ``level`` of the draws lies.

    Raises ``ValueError`` for other shapes, fewer than two trials, and a size that is no number of
    rows.

    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=(20, 400))  # no trial is better than another
    >>> table = winners_advantage(noise, noise[:, ::-1] * 0, sizes=[25, 100], rng=rng)
    >>> print(table.assign(value=table["value"].round(1))[["n_rows", "what", "value"]])
       n_rows      what  value
    0      25  promised    0.4
    1      25      kept    0.0
    2     100  promised    0.2
    3     100      kept    0.0
    """
    checked_level(level)
    if chosen_by.ndim != 2 or judged_by.ndim != 2 or len(chosen_by) != len(judged_by):
        raise ValueError(
            f"chosen_by, judged_by: shapes {chosen_by.shape} and {judged_by.shape}; both are "
            "trials × rows, of the same trials"
        )
    if len(chosen_by) < 2:
        raise ValueError(f"chosen_by: {len(chosen_by)} trial; a choice needs two or more")
    fresh = judged_by.mean(axis=1)
    rows = []
    for size in sizes:
        if not 1 <= size <= chosen_by.shape[1]:
            raise ValueError(f"sizes: {size!r}; from 1 to the {chosen_by.shape[1]} rows there are")
        drawn = rng.integers(chosen_by.shape[1], size=(draws, size))
        means = np.stack([chosen_by[:, one].mean(axis=1) for one in drawn])
        winner = means.argmin(axis=1)
        found = {
            PROMISED: means.mean(axis=1) - means.min(axis=1),
            KEPT: fresh.mean() - fresh[winner],
        }
        for what, values in found.items():
            low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
            rows.append(
                {"n_rows": size, "what": what, "value": values.mean(), "low": low, "high": high}
            )
    return pd.DataFrame(rows)
