"""The two models that the course puts into service: plain, well-known, quick to fit."""

from collections.abc import Sequence

from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from utils.datasets import credit, flights


def _prepared(numeric: Sequence[str], categorical: Sequence[str]):
    """Return the preparation that travels with a model: its own gaps, units and categories."""
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), list(numeric)),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=20), list(categorical)),
    )


def flights_model() -> Pipeline:
    """Return the unfitted model of arrival delay, in minutes, from what is known at departure."""
    return make_pipeline(
        _prepared(flights.NUMERIC_FEATURES, flights.CATEGORICAL_FEATURES), Ridge(alpha=1.0)
    )


def credit_model() -> Pipeline:
    """Return the unfitted model of repayment (1 repaid, 0 defaulted) from an application.

    It never sees the sensitive attributes; that does not make it fair, as a later measure shows.
    """
    return make_pipeline(
        _prepared(credit.NUMERIC_FEATURES, credit.CATEGORICAL_FEATURES),
        LogisticRegression(max_iter=1000),
    )
