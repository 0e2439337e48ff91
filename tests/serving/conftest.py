"""Models for the tests of serving, logged once for each worker, and what serves them."""

from dataclasses import dataclass
from functools import partial

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, TensorSpec
from mlflow.types import Schema as MlflowSchema
from mlflow.types.schema import AnyType, Array, Map, Object, Property
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.serving.odd_models import Broken, Fussy, Mirror
from utils.serving import models, tracking
from utils.serving.app import create_app, running
from utils.serving.client import Client
from utils.serving.endpoint import Endpoint
from utils.store import open_store

KEY = "a key for tests"
NUMBERS = ["departure_delay_min", "distance_miles", "hour"]


def departures(n=200, seed=0):
    """Return flights with an arrival delay that follows from them."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "departure_delay_min": rng.exponential(15, n) - 5,
            "distance_miles": rng.uniform(100, 2500, n),
            "hour": rng.integers(5, 24, n),
            "carrier": rng.choice(["UA", "B6", "DL"], n),
        }
    )
    arrival = 1.05 * frame["departure_delay_min"] - frame["distance_miles"] / 400
    return frame, arrival + rng.normal(0, 5, n)


def column(name, kind, required=True):
    return ColSpec(kind, name=name, required=required)


EVERY_TYPE = MlflowSchema(
    [
        *(column(f"a_{kind.name}", kind) for kind in DataType.all_types()),
        column("maybe_double", DataType.double, required=False),
        column("maybe_string", DataType.string, required=False),
        column("a_list", Array(DataType.double)),
        column(
            "an_object",
            Object(
                [
                    Property("code", DataType.string),
                    Property("size", DataType.long, required=False),
                ]
            ),
        ),
        column("a_map", Map(DataType.long)),
        column("anything", AnyType(), required=False),
    ]
)
ONE_DOUBLE = MlflowSchema([TensorSpec(np.dtype("float64"), (-1,))])


ONE_TEXT = MlflowSchema([ColSpec(DataType.string)])


def signature(inputs, outputs=ONE_DOUBLE, params=None):
    return mlflow.models.ModelSignature(inputs=inputs, outputs=outputs, params=params)


@dataclass(frozen=True)
class Logged:
    """Where the models of the tests are: by name, registered in one tracking store."""

    tracking_uri: str

    def uri(self, name):
        return f"models:/{name}/1"


def log_raw(name, log, *, experiment_id, **settings):
    """Log a model as anybody would, with the signature that the test is about."""
    with mlflow.start_run(experiment_id=experiment_id):
        log(name=name, registered_model_name=name, pip_requirements=["mlflow"], **settings)


@pytest.fixture(scope="session")
def logged(tmp_path_factory):
    """Log every model of these tests, once for each worker."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    frame, arrival = departures()
    late = (arrival > 15).astype(int)

    def log(model, name, inputs, target):
        model.fit(inputs, target)
        models.log_model(
            model,
            name=name,
            inputs=inputs,
            predictions=model.predict(inputs),
            tracking_uri=uri,
        )

    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]), (StandardScaler(), NUMBERS)
    )
    log(make_pipeline(encode, Ridge()), "delay", frame, arrival)
    log(LogisticRegression(max_iter=1000), "late", frame[NUMBERS], late)
    log(HistGradientBoostingRegressor(max_iter=5), "boosted", frame[NUMBERS], arrival)
    matrix = frame[NUMBERS].to_numpy("float64")
    with tracking.tracking(uri):
        raw = partial(
            log_raw, experiment_id=mlflow.create_experiment("raw", str(folder / "artifacts"))
        )
        regression = LinearRegression().fit(matrix, arrival)
        raw(
            "tensor",
            mlflow.sklearn.log_model,
            sk_model=regression,
            signature=infer_signature(matrix, arrival.to_numpy()),
        )
        raw("unsigned", mlflow.sklearn.log_model, sk_model=regression)
        params = ParamSchema([ParamSpec("greeting", DataType.string, "hello")])
        x = MlflowSchema([column("x", DataType.double)])
        for name, model, own in (
            ("mirror", Mirror(), signature(EVERY_TYPE, ONE_TEXT, params)),
            (
                "timed",
                Mirror(),
                signature(MlflowSchema([column("at", DataType.datetime)]), ONE_TEXT),
            ),
            ("several", Fussy(), signature(x, None)),
            ("fussy", Fussy(), signature(x)),
            ("broken", Broken(), signature(MlflowSchema([column("kind", DataType.string)]))),
        ):
            raw(name, mlflow.pyfunc.log_model, python_model=model, signature=own)
    return Logged(uri)


@pytest.fixture
def store(tmp_path):
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        yield store


@pytest.fixture
def serve(logged, store):
    """Return a function that puts a model of the tests into service, in process."""

    def serve(name, **settings):
        scorer = models.load(logged.uri(name), tracking_uri=logged.tracking_uri)
        deployment = models.deploy_scorer(store, scorer, name=name)
        return Endpoint(scorer, store, deployment, **settings)

    return serve


@pytest.fixture(params=["in process", "http"])
def connect(request, serve):
    """Return a function that puts a model into service and gives a client of it.

    A test that asks for this runs twice: with a client in process, and over HTTP to a server.
    """
    opened = []

    def connect(name, **settings):
        endpoint = serve(name, **settings)
        if request.param == "in process":
            client = Client(endpoint, sleep=lambda seconds: None)
        else:
            app = create_app(endpoint, access_keys={KEY: "tests"}, accept_event_time=True)
            server = running(app)
            client = Client(server.__enter__(), access_key=KEY, sleep=lambda seconds: None)
            opened.append(server)
        opened.append(client)
        return client, endpoint

    yield connect
    for each in reversed(opened):
        each.__exit__(None, None, None)
