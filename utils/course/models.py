"""The models of the course, each with the preparation that travels with it.

A model is a whole ``Pipeline``: raw columns in, an answer out. What its preparation learned (the
middle of a column, its spread, which categories are rare) it learned from the rows it was fitted
on, and takes along into the registry and into service. Three things are settled in each:

- **missing numbers**: the median of training (the boosted trees have a branch of their own);
- **rare and unseen categories**: those rarer than 20 rows share one column; one never seen has
  none, so the model answers as it would to somebody of no category, and says nothing;
- **scales**: centred and scaled where the model minds. A unit that changes upstream is not seen
  here: it is just a large number. That is what a data contract is for.
"""

from collections.abc import Sequence
from typing import Any

from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from utils.datasets import cars, credit, flights

RARE = 20
"""A category with fewer rows than this in training shares a column with the other rare ones."""


def prepared(
    numeric: Sequence[str], categorical: Sequence[str], *, indicator: bool = False
) -> ColumnTransformer:
    """Return the unfitted preparation of a linear model: its own gaps, scales and categories.

    What is named in neither list is left out. With ``indicator``, that a number was missing is a
    column too, for the numbers that had a gap when it was fitted.

    >>> import pandas as pd
    >>> waits = pd.DataFrame({"wait_min": [1.0, None, 3.0], "desk": ["a", "b", "a"]})
    >>> prepared(["wait_min"], [], indicator=True).fit_transform(waits).round(1).tolist()
    [[-1.2, -0.7], [0.0, 1.4], [1.2, -0.7]]
    """
    numbers = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=indicator), StandardScaler()
    )
    return make_column_transformer((numbers, list(numeric)), (_categories(), list(categorical)))


def flights_model(*, indicator: bool = False) -> Pipeline:
    """Return the unfitted model of arrival delay, in minutes, from what is known at departure.

    With ``indicator``, that a number was missing in training is a column too.
    """
    return make_pipeline(
        prepared(flights.NUMERIC_FEATURES, flights.CATEGORICAL_FEATURES, indicator=indicator),
        _linear(),
    )


def cars_model() -> Pipeline:
    """Return the unfitted model of a car's fuel economy, in miles per gallon, from its make.

    It does not know the year: what engineers learn from one year to the next, it cannot.
    """
    return make_pipeline(prepared(cars.NUMERIC_FEATURES, cars.CATEGORICAL_FEATURES), _linear())


def credit_model() -> Pipeline:
    """Return the unfitted model of repayment (1 repaid, 0 defaulted) from an application.

    It never sees the sensitive attributes; that does not make it fair, as a later measure shows.
    """
    return make_pipeline(
        prepared(credit.NUMERIC_FEATURES, credit.CATEGORICAL_FEATURES),
        LogisticRegression(max_iter=1000),
    )


def credit_boosting(**settings: Any) -> Pipeline:
    """Return the same as ``credit_model`` by boosted trees; ``settings`` are those of the trees.

    The trees need no scales, and send a missing number down a branch of its own. They are the same
    on each fit: nothing is kept aside to stop early, and ``random_state`` is 0 unless given.
    """
    chosen = {"max_iter": 100, "max_leaf_nodes": 8, "early_stopping": False, "random_state": 0}
    return make_pipeline(
        make_column_transformer(
            ("passthrough", list(credit.NUMERIC_FEATURES)),
            (_categories(), list(credit.CATEGORICAL_FEATURES)),
        ),
        HistGradientBoostingClassifier(**chosen | settings),
    )


def _linear() -> Ridge:
    """Return a line fitted in one step: an iterative fit ends in other digits elsewhere."""
    return Ridge(alpha=1.0, solver="cholesky")


def _categories() -> OneHotEncoder:
    """Return one column a category: rare ones share one, one never seen has none."""
    return OneHotEncoder(handle_unknown="ignore", min_frequency=RARE, sparse_output=False)
