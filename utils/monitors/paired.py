"""Two models on the same rows: is the one better than the other, and by how much?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from utils.monitors import windows
from utils.monitors.performance import performance
from utils.text import nearest


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
    for name, argument in (
        (reference_column, "reference_column"),
        (current_column, "current_column"),
    ):
        _need_numbers(frame, name, argument=argument)
    errors = frame.assign(
        **{name: (frame[name] - label).abs() for name in (reference_column, current_column)}
    )
    return loss_change(
        errors,
        reference_column=reference_column,
        current_column=current_column,
        rng=rng,
        name="mae",
        **settings,
    )


def loss_change(
    frame: pd.DataFrame,
    *,
    reference_column: str,
    current_column: str,
    rng: np.random.Generator,
    name: str = "loss",
    **settings: Any,
) -> pd.DataFrame:
    """Return how far the mean loss of one model lies from another's on the same rows.

    The two columns hold what each row costs under each model: a log loss, a squared error, an
    amount of money (``losses`` returns the usual ones). ``<name>_change`` is the current loss less
    the reference's, in the unit of the loss: below 0 the current model is better. A row in which
    one of the two is missing does not count. ``settings`` are those of ``performance``.

    What it does not tell: see ``paired_change``, which is this for absolute errors.

    Raises ``ValueError`` as ``performance`` does.

    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=40, freq="1h", tz="UTC"),
    ...     "cost_brl": [90.0, 110.0] * 20, "champion_cost_brl": 130.0})
    >>> table = loss_change(frame, reference_column="champion_cost_brl", current_column="cost_brl",
    ...                     name="cost_brl", window=None, rng=np.random.default_rng(0))
    >>> print(table.loc[0, "metric"], table.loc[0, "value"])
    cost_brl_change -30.0
    """
    for column, argument in (
        (reference_column, "reference_column"),
        (current_column, "current_column"),
    ):
        _need_numbers(frame, column, argument=argument)
    # The bias, mean of prediction less label, is the mean difference of two losses named so.
    table = performance(
        frame,
        task="regression",
        metrics=["bias"],
        prediction_column=current_column,
        label_column=reference_column,
        rng=rng,
        **settings,
    )
    return table.assign(
        metric=table["metric"].replace("bias", f"{name}_change"), n_reference=table["n_current"]
    )


def _log_loss(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    tiny = np.finfo(float).eps
    score = np.clip(score, tiny, 1 - tiny)
    return -np.log(np.where(label == 1, score, 1 - score))


_LOSSES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "log_loss": _log_loss,
    "brier": lambda label, score: (score - label) ** 2,
    "mae": lambda label, prediction: np.abs(prediction - label),
}

LOSSES = tuple(_LOSSES)
"""The losses of ``losses``, each called as the metric that is its mean."""


def losses(label: pd.Series, answer: pd.Series, *, loss: str) -> pd.Series:
    """Return what each row costs: the loss whose mean is the metric of that name.

    For ``log_loss`` and ``brier`` the answer is a probability and the label 1 or 0; for ``mae``
    both are numbers in one unit. A row without a label or an answer has no loss: ``NaN``.

    Raises ``ValueError`` for an unknown loss, for a probability outside 0..1, and for a label of
    a probability that is neither 1 nor 0.

    >>> losses(pd.Series([1.0, 0.0]), pd.Series([0.5, 0.1]), loss="brier").round(2).tolist()
    [0.25, 0.01]
    """
    if loss not in _LOSSES:
        raise ValueError(f"loss={loss!r} is none that is known; {nearest(loss, LOSSES)}")
    labels, answers = (
        each.to_numpy(dtype=float, na_value=np.nan, copy=True) for each in (label, answer)
    )
    unknown = np.isnan(labels) | np.isnan(answers)
    if loss != "mae":
        outside = answers[(answers < 0) | (answers > 1)]
        if len(outside):
            raise ValueError(f"answer: holds {outside[0]:g}; a probability is in 0..1")
        strange = labels[~np.isnan(labels) & ~np.isin(labels, (0, 1))]
        if len(strange):
            raise ValueError(f"label: holds {strange[0]:g}; 1 or 0 is needed for {loss}")
    found = np.where(unknown, np.nan, _LOSSES[loss](labels, answers))
    return pd.Series(found, index=label.index, name=loss)


def _need_numbers(frame: pd.DataFrame, name: str, *, argument: str) -> None:
    series = windows.column(frame, name, argument=argument)
    if not pd.api.types.is_numeric_dtype(series):
        raise ValueError(f"{argument}={name!r} holds {series.dtype}: numbers are needed")
