"""The traffic and the models that the incidents are tried on."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from utils.datasets import credit, flights


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Labelled traffic of one data set, the window that incidents hit, and a model of before."""

    name: str
    data: ModuleType
    frame: pd.DataFrame
    time_column: str
    id_column: str
    label_known_column: str
    start: pd.Timestamp
    end: pd.Timestamp
    model: Pipeline

    def inside(self, frame: pd.DataFrame) -> pd.DataFrame:
        times = frame[self.time_column]
        return frame[(times >= self.start) & (times < self.end)]

    def outside(self, frame: pd.DataFrame) -> pd.DataFrame:
        times = frame[self.time_column]
        return frame[(times < self.start) | (times >= self.end)].reset_index(drop=True)

    def error(self, frame: pd.DataFrame) -> float:
        """Return the model's mean error on labelled rows: minutes off, or log-loss."""
        frame = frame[frame[self.data.TARGET].notna()]
        truth = frame[self.data.TARGET].to_numpy(dtype="float64")
        inputs = frame[list(self.data.FEATURES)]
        if self.name == "flights":
            return float(np.abs(truth - self.model.predict(inputs)).mean())
        repays = self.model.predict_proba(inputs)[:, 1].clip(1e-6, 1 - 1e-6)
        return float(-np.where(truth == 1, np.log(repays), np.log1p(-repays)).mean())


def fitted(data: ModuleType, history: pd.DataFrame, model) -> Pipeline:
    """Return the plain model of a data set: missing numbers imputed, categories one-hot."""
    encoder = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), list(data.NUMERIC_FEATURES)),
        (OneHotEncoder(handle_unknown="ignore"), list(data.CATEGORICAL_FEATURES)),
    )
    history = history[history[data.TARGET].notna()]
    target = history[data.TARGET].astype("float64" if data is flights else "int64")
    return make_pipeline(encoder, model).fit(history[list(data.FEATURES)], target)


@pytest.fixture(scope="session")
def flight_traffic() -> Traffic:
    return Traffic(
        name="flights",
        data=flights,
        frame=flights.departures(months=[4]),
        time_column="departed_at",
        id_column="flight_id",
        label_known_column="landed_at",
        start=pd.Timestamp("2013-04-08", tz="UTC"),
        end=pd.Timestamp("2013-04-22", tz="UTC"),
        model=fitted(flights, flights.departures(months=[1, 2, 3]), Ridge()),
    )


@pytest.fixture(scope="session")
def credit_traffic() -> Traffic:
    frame = credit.applications(start="2024-03-01", n_days=150, per_day=200, seed=11)
    lent = credit.outcomes(frame, pd.Series(True, index=frame.index), seed=11)
    now = pd.Timestamp("2024-06-01", tz="UTC")
    return Traffic(
        name="credit",
        data=credit,
        frame=lent[lent["applied_at"] >= now].reset_index(drop=True),
        time_column="applied_at",
        id_column="application_id",
        label_known_column="known_at",
        start=pd.Timestamp("2024-06-10", tz="UTC"),
        end=pd.Timestamp("2024-07-15", tz="UTC"),
        model=fitted(credit, lent[lent["applied_at"] < now], LogisticRegression(max_iter=500)),
    )


@pytest.fixture(params=["flights", "credit"])
def traffic(request) -> Traffic:
    """Yield each data set's traffic in turn."""
    name = "flight_traffic" if request.param == "flights" else "credit_traffic"
    return request.getfixturevalue(name)
