"""What can be done to a model that got worse: other hyperparameters, new rows, a correction.

A remedy makes a new model out of the one in service and labelled rows, all of scikit-learn's own
types; whether it cures anything is for a gate to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

RETRAIN, RECALIBRATE, RESET = "retrain", "recalibrate", "reset"


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """A name, and how to make a model: of the one in service, inputs and labels by time."""

    name: str
    make: Callable[[Any, pd.DataFrame, pd.Series], Any]


def base_of(model: Any) -> Any:
    """Return the model that a recalibrated one corrects, or itself.

    >>> from sklearn.linear_model import LinearRegression
    >>> rows = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
    >>> model = LinearRegression().fit(rows, [0.0, 1.0, 2.0])
    >>> base_of(_recalibrated(model, rows, pd.Series([5.0, 6.0, 7.0]))) is model
    True
    """
    from sklearn.frozen import FrozenEstimator

    inner = getattr(model, "estimator", None) or dict(getattr(model, "estimators", [])).get("model")
    return base_of(inner.estimator) if isinstance(inner, FrozenEstimator) else model


def _retrained(model: Any, inputs: pd.DataFrame, label: pd.Series) -> Any:
    from sklearn.base import clone

    return clone(base_of(model)).fit(inputs, label)


def retrain() -> Remedy:
    """Return the remedy that fits the same pipeline anew."""
    return Remedy(name=RETRAIN, make=_retrained)


def _recalibrated(model: Any, inputs: pd.DataFrame, label: pd.Series) -> Any:
    from sklearn.base import is_classifier
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import StackingRegressor
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LinearRegression

    frozen = FrozenEstimator(base_of(model))
    if is_classifier(model):
        return CalibratedClassifierCV(frozen, method="sigmoid").fit(inputs, label)
    return StackingRegressor(
        [("model", frozen)], final_estimator=LinearRegression(), cv="prefit"
    ).fit(inputs, label)


def recalibrate(*, newest_rows: int | None = None) -> Remedy:
    """Return the remedy that keeps the model and corrects its answers, on the newest rows.

    A number gets a level and a slope, a probability Platt's sigmoid. It mends answers that are all
    too high or too low, and no order among them.

    Raises ``ValueError`` for fewer than one row.

    >>> from sklearn.linear_model import LinearRegression
    >>> rows = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
    >>> model = LinearRegression().fit(rows, [0.0, 1.0, 2.0])
    >>> mended = recalibrate().make(model, rows, pd.Series([5.0, 6.0, 7.0]))
    >>> mended.predict(rows).round(6).tolist()
    [5.0, 6.0, 7.0]
    """

    if newest_rows is not None and newest_rows < 1:
        raise ValueError(f"newest_rows={newest_rows!r}: must be at least 1")

    def make(model: Any, inputs: pd.DataFrame, label: pd.Series) -> Any:
        last = slice(None) if newest_rows is None else slice(-newest_rows, None)
        return _recalibrated(model, inputs.iloc[last], label.iloc[last])

    return Remedy(name=RECALIBRATE, make=make)


def reset(
    settings: Sequence[Mapping[str, Any]],
    *,
    loss: Callable[[np.ndarray, np.ndarray], float] | None = None,
    newest: float = 0.25,
) -> Remedy:
    """Return the remedy that sets the hyperparameters anew: those that do best on the newest rows.

    Each of ``settings`` (``{"ridge__alpha": 10.0}``) is fitted on the older rows and answers for
    the ``newest`` share; the best is fitted on all. ``loss`` of labels and answers is the mean
    absolute error unless given, of a classifier the log loss. What does best there looks better
    than it is: the gate judges on later rows.

    Raises ``ValueError`` for no settings, and for a share that leaves no rows on either side.

    >>> from sklearn.linear_model import Ridge
    >>> rows = pd.DataFrame({"x": np.arange(40.0)})
    >>> model = Ridge(alpha=1e6).fit(rows, rows["x"])
    >>> reset([{"alpha": 1e6}, {"alpha": 0.1}]).make(model, rows, rows["x"]).alpha
    0.1
    """
    if not settings:
        raise ValueError("settings=[]: at least one is needed")
    if not 0 < newest < 1:
        raise ValueError(f"newest={newest!r}: must lie between 0 and 1")

    def make(model: Any, inputs: pd.DataFrame, label: pd.Series) -> Any:
        from sklearn.base import clone, is_classifier
        from sklearn.metrics import log_loss, mean_absolute_error

        base, n_old = base_of(model), int(len(inputs) * (1 - newest))
        price = loss or mean_absolute_error
        costs = []
        for one in settings:
            tried = clone(base).set_params(**deepcopy(dict(one)))
            tried.fit(inputs.iloc[:n_old], label.iloc[:n_old])
            if is_classifier(base):
                answer = tried.predict_proba
                price = loss or partial(log_loss, labels=tried.classes_)
            else:
                answer = tried.predict
            costs.append(price(label.iloc[n_old:], answer(inputs.iloc[n_old:])))
        best = settings[int(np.argmin(costs))]
        return clone(base).set_params(**deepcopy(dict(best))).fit(inputs, label)

    return Remedy(name=RESET, make=make)
