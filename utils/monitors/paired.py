"""Two models on the same rows: is the one better than the other, and by how much?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.performance import performance


def paired_change(
    frame: pd.DataFrame,
    *,
    reference_column: str,
    current_column: str,
    rng: np.random.Generator,
    label_column: str = "label",
    **settings: Any,
) -> pd.DataFrame:
    """Return how far the mean absolute error of one model lies from another's on the same rows.

    The two columns hold what two models predict for each row: one that answered, say, and one that
    answers in its shadow. ``mae_change`` is the error of the current one less that of the
    reference, in the label's unit: below 0 the current one is better. What makes a row hard weighs
    on both and cancels, so the interval is narrower than that of ``change``, which is for different
    rows. ``settings`` are those of ``performance`` (window, block, group_column, known_as_of, …).

    It is no fair comparison where a model learned from these rows, nor where the answer changes the
    label (who is refused a loan never shows whether they would have paid).

    Raises ``ValueError`` as ``performance`` does.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2013-04-01", periods=40, freq="1h", tz="UTC"),
    ...     "old": 12.0, "new": [9.0, 11.0] * 20, "label": 10.0})
    >>> table = paired_change(frame, reference_column="old", current_column="new", window=None,
    ...                       rng=np.random.default_rng(0))
    >>> print(table.loc[0, "metric"], table.loc[0, "value"])
    mae_change -1.0
    """
    label = windows.column(frame, label_column, argument="label_column")
    reference, current = (
        (_prediction(frame, name, argument=argument) - label).abs()
        for name, argument in (
            (reference_column, "reference_column"),
            (current_column, "current_column"),
        )
    )
    errors = frame.assign(**{label_column: reference, "prediction": current})
    # The bias, mean of "prediction" less "label", is now the mean difference of the two errors.
    table = performance(
        errors,
        task="regression",
        metrics=["bias"],
        prediction_column="prediction",
        label_column=label_column,
        rng=rng,
        **settings,
    )
    return table.assign(
        metric=table["metric"].replace("bias", "mae_change"), n_reference=table["n_current"]
    )


def _prediction(frame: pd.DataFrame, name: str, *, argument: str) -> pd.Series:
    series = windows.column(frame, name, argument=argument)
    if not pd.api.types.is_numeric_dtype(series):
        raise ValueError(f"{argument}={name!r} holds {series.dtype}: numbers are needed")
    return series
