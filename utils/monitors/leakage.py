"""What leaks from the future: what a random split promises, and what a column gives away.

A leak is found by what it promises. A model is judged twice, as it was prepared and as it will be
used, and the difference is measured with its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GroupKFold, KFold

from utils.monitors import windows
from utils.monitors.performance import LABELLED_SHARE, Task, change, performance

MONITOR = "leakage"
PROMISED, KEPT = "promised", "kept"

_SLICES = 20


def promised_and_kept(
    model: BaseEstimator,
    history: pd.DataFrame,
    later: pd.DataFrame,
    *,
    features: Sequence[str],
    target: str,
    task: Task,
    rng: np.random.Generator,
    alike: Any = None,
    folds: int = 5,
    time_column: str = "event_time",
    **settings: Any,
) -> pd.DataFrame:
    """Return what cross-validation of a history promises of a model, and what later rows get of it.

    The group ``promised`` is measured on the history: each row answered by the model fitted to the
    other folds, which are drawn at random. The group ``kept`` is measured on ``later``, answered by
    the model fitted to all of the history. The metrics ``…_change`` are kept less promised, with
    the interval of a difference between different rows.

    ``alike`` names what rows of the history must share a fold (one value a row: their day, say, or
    their owner), so that none is answered by a model that has seen its neighbours.

    It does not say *why* a promise is not kept: the rows may have leaked into one another, or the
    world may have changed. With ``alike`` the first is taken out; what is left is the second.

    ``settings`` are those of ``performance``. ``model`` is cloned, never fitted. Every row has a
    label and, in ``time_column``, its moment.

    Raises ``ValueError`` for a label that is missing, and as ``performance`` does.

    >>> from sklearn.linear_model import LinearRegression
    >>> day = pd.date_range("2024-01-01", periods=60, freq="D", tz="UTC")
    >>> grows = pd.DataFrame({"event_time": day, "x": np.arange(60.0) % 7, "y": np.arange(60.0)})
    >>> table = promised_and_kept(
    ...     LinearRegression(), grows[:40], grows[40:], features=["x"], target="y",
    ...     task="regression", metrics=["mae"], minimum=2, rng=np.random.default_rng(0))
    >>> print(table[["metric", "group", "n_current"]].to_string(index=False))
        metric    group  n_current
           mae promised         40
           mae     kept         20
    mae_change                  20
    """
    for name, rows in (("history", history), ("later", later)):
        if rows[target].isna().any():
            raise ValueError(
                f"{name}: {rows[target].isna().sum()} rows have no {target!r}; a row "
                "to learn from or to be judged by has one"
            )
    history, later = history.reset_index(drop=True), later.reset_index(drop=True)
    answers = {
        PROMISED: _out_of_fold(
            model, history, features, target, task=task, alike=alike, folds=folds, rng=rng
        ),
        KEPT: _answers(model, history, later, features, target, task=task),
    }
    found = {}
    for name, rows in ((PROMISED, history), (KEPT, later)):
        judged = answers[name].assign(event_time=rows[time_column], label=rows[target])
        measured = performance(judged, task=task, window=None, rng=rng, **settings)
        found[name] = measured[measured["metric"] != LABELLED_SHARE]
    differs = change(found[PROMISED], found[KEPT])
    tables = [*(table.assign(group=name) for name, table in found.items()), differs]
    return pd.concat(tables, ignore_index=True).assign(monitor=MONITOR)


def _out_of_fold(
    model: BaseEstimator,
    history: pd.DataFrame,
    features: Sequence[str],
    target: str,
    *,
    task: Task,
    alike: Any,
    folds: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return what each row is answered by a model that was fitted to the other folds."""
    seed = int(rng.integers(2**32))
    how, groups = (KFold, None) if alike is None else (GroupKFold, np.asarray(alike))
    parts = how(folds, shuffle=True, random_state=seed).split(history, groups=groups)
    found = [
        _answers(model, history.iloc[learn], history.iloc[judge], features, target, task=task)
        for learn, judge in parts
    ]
    return pd.concat(found).loc[history.index]


def _answers(
    model: BaseEstimator,
    learned: pd.DataFrame,
    asked: pd.DataFrame,
    features: Sequence[str],
    target: str,
    *,
    task: Task,
) -> pd.DataFrame:
    """Return the predictions for some rows, and scores for classes, learned from others."""
    columns = list(features)
    fitted = clone(model).fit(learned[columns], learned[target])
    found = {"prediction": fitted.predict(asked[columns])}
    if task == "classification":
        found["score"] = fitted.predict_proba(asked[columns])[:, 1]
    return pd.DataFrame(found, index=asked.index)


def alone(
    frame: pd.DataFrame,
    *,
    features: Sequence[str],
    rng: np.random.Generator,
    label_column: str = "label",
    folds: int = 5,
    **settings: Any,
) -> pd.DataFrame:
    """Return how well each column by itself tells a label of 1 or 0: the strongest first.

    ``roc_auc`` of the share of ones among rows that are alike in the column: of the same category,
    in the same twentieth of a number, or without a value. The share comes from the other folds,
    drawn at random, so that a column of names does not learn by heart. 0.5 is a column that tells
    nothing.

    A column that tells nearly all by itself is seldom a discovery: ask at which moment its value is
    written. It does *not* find a leak that is only a part of an honest column, such as a count that
    goes on being updated: that one looks like a good feature, and only its date gives it away.

    ``settings`` are those of ``performance``. Raises ``ValueError`` for a label that is missing or
    neither 1 nor 0, and for a column that the frame lacks.

    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({
    ...     "event_time": pd.date_range("2024-01-01", periods=400, freq="h", tz="UTC"),
    ...     "label": [0, 1] * 200, "letters": ["b", "a"] * 200, "noise": rng.random(400)})
    >>> table = alone(frame, features=["noise", "letters"], rng=rng, draws=20)
    >>> table["feature"].tolist(), table["value"].iloc[0]
    (['letters', 'noise'], np.float64(1.0))
    """
    label = windows.column(frame, label_column, argument="label_column")
    if not label.isin([0, 1]).all():
        strange = label[~label.isin([0, 1])].iloc[0]
        raise ValueError(f"label_column={label_column!r} holds {strange!r}; each is 1 or 0")
    ones = label.to_numpy(dtype=float)
    fold = rng.integers(folds, size=len(frame))
    tables = []
    for name in features:
        codes = _slices(windows.column(frame, name, argument="features"))
        score = _share_elsewhere(codes, ones, fold=fold, folds=folds)
        judged = frame.assign(label=ones, score=score, prediction=(score > 0.5).astype(float))
        measured = performance(
            judged,
            task="classification",
            metrics=["roc_auc"],
            window=None,
            rng=rng,
            positive=1,
            **settings,
        )
        tables.append(measured[measured["metric"] == "roc_auc"].assign(feature=name))
    table = pd.concat(tables, ignore_index=True).assign(monitor=MONITOR)
    return table.sort_values("value", ascending=False, kind="stable", ignore_index=True)


def _slices(column: pd.Series) -> np.ndarray:
    """Return a number for each row: equal for rows that are alike in the column."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        there = values[~np.isnan(values)]
        edges = np.unique(np.quantile(there, np.arange(1, _SLICES) / _SLICES)) if len(there) else []
        codes = np.searchsorted(edges, values, side="right")
        return np.where(np.isnan(values), len(edges) + 1, codes)
    return pd.factorize(column, use_na_sentinel=False)[0]


def _share_elsewhere(
    codes: np.ndarray, ones: np.ndarray, *, fold: np.ndarray, folds: int
) -> np.ndarray:
    """Return, for each row, the share of ones among those like it in the other folds.

    A row that no other fold has one like gets the share of all.
    """
    cell = codes * folds + fold
    n_codes = codes.max(initial=-1) + 1
    n, n_ones = (
        np.bincount(cell, weights=weights, minlength=n_codes * folds).reshape(n_codes, folds)
        for weights in (None, ones)
    )
    others, ones_of_others = (each.sum(axis=1, keepdims=True) - each for each in (n, n_ones))
    share = np.divide(ones_of_others, others, out=np.full(others.shape, np.nan), where=others > 0)
    return np.where(np.isnan(share), ones.mean(), share)[codes, fold]
