"""The life of a model: logged, registered, given an alias, loaded, deployed, rolled back.

Over MLflow 3, whose tracking store is a database (``sqlite:///…``). The tracking URI is an
argument; else ``MLFLOW_TRACKING_URI``; else the workspace's ``mlflow.db``, if it is there; else
what MLflow takes by itself. MLflow's chatter (progress on standard error, hints as warnings) is
kept out: what goes wrong is raised.

A whole life, in a folder that is gone afterwards:

>>> from tempfile import TemporaryDirectory
>>> from sklearn.linear_model import LinearRegression
>>> from utils.store import open_store
>>> flights = pd.DataFrame({"departure_delay_min": [20.0, -5.0, 60.0]})
>>> arrivals = flights["departure_delay_min"].to_numpy() - 10
>>> with TemporaryDirectory() as folder, open_store("sqlite://") as store:
...     uri = f"sqlite:///{folder}/mlflow.db"
...     model = LinearRegression().fit(flights, arrivals)
...     about = {"name": "delay", "inputs": flights, "predictions": arrivals}
...     one, two = (log_model(model, **about, tracking_uri=uri) for _ in range(2))
...     set_alias("delay", "champion", one.version, tracking_uri=uri)
...     champion = load("models:/delay@champion", tracking_uri=uri)
...     first = deploy_scorer(store, champion, name="flights")
...     second = redeploy(store, name="flights", model_uri=two.model_uri, tracking_uri=uri)
...     back = rollback(store, "flights")
>>> [each.model_version for each in (first, second, back)]
['1', '2', '1']
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.pyfunc import PyFuncModel, PythonModel

from utils.records import Deployment, Schema, utc_now
from utils.serving.contract import Contract, Unsigned, contract_of
from utils.serving.gates import NotPassed, need_passed
from utils.serving.keys import hash_key, new_key, recall_key, remember_key
from utils.serving.schemas import telling_rows
from utils.serving.tracking import UnknownRun, experiment_id_of, quiet, told, tracking
from utils.serving.versions import ModelVersion, UnknownModel, address, version_of
from utils.store import Store
from utils.text import tr

REQUIREMENTS = ("scikit-learn", "skops", "pandas", "numpy")
"""What a scikit-learn model needs when it is loaded elsewhere; logged with the versions in use."""

TRUSTED = ("sklearn.", "numpy.", "scipy.")
"""Packages whose types a model of ours may hold; a type from elsewhere is refused by name."""

_LIBRARY = "mlflow.sklearn"


def log_model(
    model: Any,
    *,
    name: str,
    inputs: pd.DataFrame,
    predictions: Any,
    tracking_uri: str | None = None,
    experiment: str = "models",
    pip_requirements: Sequence[str] | None = None,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
) -> ModelVersion:
    """Log a scikit-learn model, or a ``PythonModel``, in a run of its own, and register it.

    ``inputs`` and ``predictions`` are examples, from which the signature is made. Integer inputs
    are declared as doubles, so that one which is missing some day is no error of type. The
    requirements are not searched for, which would take seconds, but are ``REQUIREMENTS`` unless
    given. ``params``, ``metrics`` and ``tags`` are those of the run.
    """
    with tracking(tracking_uri) as client:
        experiment_id = experiment_id_of(client, experiment)
        with mlflow.start_run(experiment_id=experiment_id, run_name=name, nested=True) as run:
            mlflow.log_params(dict(params or {}))
            mlflow.log_metrics(dict(metrics or {}))
            mlflow.set_tags(dict(tags or {}))
            model_uri = log_in_run(
                model,
                name=name,
                inputs=inputs,
                predictions=predictions,
                pip_requirements=pip_requirements,
            )
        model_id = model_uri.removeprefix("models:/")
        return _register(client, name, model_id=model_id, run_id=run.info.run_id)


def log_in_run(
    model: Any,
    *,
    name: str,
    inputs: pd.DataFrame,
    predictions: Any,
    pip_requirements: Sequence[str] | None = None,
) -> str:
    """Log a model in MLflow's active run, unregistered, and return its URI (``models:/m-…``).

    It is ``log_model`` for a run that you hold open yourself; ``register`` makes a version of it.
    """
    inputs = _integers_as_doubles(inputs)
    log = _logger_of(model)
    with quiet():
        info = log(
            name=name,
            signature=infer_signature(telling_rows(inputs), predictions),
            input_example=inputs.head(3),
            pip_requirements=pip_requirements or _pinned(REQUIREMENTS),
        )
    return f"models:/{info.model_id}"


def _logger_of(model: Any) -> Callable[..., Any]:
    """Return MLflow's function that logs this model."""
    if isinstance(model, PythonModel):
        return partial(mlflow.pyfunc.log_model, python_model=model)
    return partial(mlflow.sklearn.log_model, model, skops_trusted_types=_types_of(model))


def _types_of(model: Any) -> list[str]:
    """Return the types in a model that skops does not trust by itself.

    Raises ``ValueError`` naming those that come from none of the packages ``TRUSTED``.
    """
    import skops.io

    types = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    foreign = [name for name in types if not name.startswith(TRUSTED)]
    if foreign:
        raise ValueError(
            f"model: holds {', '.join(foreign)}, which cannot be loaded safely; wrap the model "
            "in an mlflow.pyfunc.PythonModel"
        )
    return types


def _integers_as_doubles(inputs: pd.DataFrame) -> pd.DataFrame:
    integers = inputs.select_dtypes("integer").columns
    return inputs.astype(dict.fromkeys(integers, "float64"))


def _pinned(packages: Sequence[str]) -> list[str]:
    return [f"{package}=={version(package)}" for package in packages]


def _register(client: MlflowClient, name: str, *, model_id: str, run_id: str) -> ModelVersion:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
    made = client.create_model_version(
        name, source=f"models:/{model_id}", run_id=run_id, model_id=model_id
    )
    return ModelVersion(name=name, version=str(made.version), run_id=run_id)


def register(model_uri: str, *, name: str, tracking_uri: str | None = None) -> ModelVersion:
    """Register a logged model (``models:/m-…``, ``runs:/…/…``) as a new version of a name."""
    with tracking(tracking_uri) as client:
        with _led_to(model_uri, client):
            info = mlflow.models.get_model_info(model_uri)
        return _register(client, name, model_id=info.model_id, run_id=info.run_id)


def set_alias(name: str, alias: str, version: str, *, tracking_uri: str | None = None) -> None:
    """Point an alias of a registered model at a version: ``models:/name@alias`` is it then.

    Raises ``UnknownModel`` or ``UnknownVersion`` for what is not registered.
    """
    with tracking(tracking_uri) as client:
        version_of(client, f"models:/{name}/{version}")
        client.set_registered_model_alias(name, alias, version)


@contextmanager
def _led_to(model_uri: str, client: MlflowClient) -> Iterator[None]:
    """Raise ``UnknownModel`` where a URI leads to no model, and not where nobody could look."""
    try:
        with told(client.tracking_uri):
            yield
    except (MlflowException, OSError, UnknownRun) as error:
        raise UnknownModel(f"{model_uri}: {error}") from error


class Scorer:
    """A loaded model with the contract that its signature makes.

    Rows come as the contract's DataFrame, so they are not checked again for scikit-learn models;
    other flavours are called through MLflow, which does.
    """

    def __init__(
        self, model: PyFuncModel, *, model_name: str, model_version: str, model_uri: str
    ) -> None:
        self.contract: Contract = contract_of(model.metadata.signature)
        self.model_name = model_name
        self.model_version = model_version
        self.model_uri = model_uri
        self._model = model
        self._names_columns = model.metadata.signature.inputs.has_input_names()
        self._predict, self._scores = _functions_of(model)

    @property
    def schema(self) -> Schema:
        """What the model takes and answers, as the store knows it."""
        return self.contract.schema

    def predict(
        self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> tuple[Any, np.ndarray | None]:
        """Return what the model answers, and the probability of the positive class.

        The probability is ``None`` for a model that is no classifier of two classes or gives
        none; it says how sure the model is, not how often it is right.

        >>> from utils.serving.example import FLIGHTS, example_model
        >>> with example_model() as folder:
        ...     predictions, scores = load(folder).predict(FLIGHTS[["departure_delay_min"]])
        >>> predictions.round(6).tolist(), scores
        ([10.0, -15.0], None)
        """
        given = self._given(frame)
        return self._predict(given, params), self._scores and self._scores(given)

    def _given(self, frame: pd.DataFrame) -> Any:
        """Return rows in the form that the signature promises: a frame, an array, or several."""
        tensors = self.contract.tensors
        if not tensors:
            return frame if self._names_columns else frame.set_axis(range(frame.shape[1]), axis=1)
        if self._names_columns:
            return {each.name: np.array(frame[each.name].tolist(), each.type) for each in tensors}
        (only,) = tensors
        if frame.shape[1] == 1 and len(only.shape) != 2:
            return np.array(frame.iloc[:, 0].tolist(), only.type)
        return frame.to_numpy(dtype=only.type)


def _functions_of(model: PyFuncModel) -> tuple[Any, Any]:
    """Return how to ask a model for its answers, and for its scores where it has them."""
    python = model.metadata.flavors["python_function"]
    if python.get("loader_module") != _LIBRARY:
        return lambda given, params: model.predict(given, params=dict(params or {}) or None), None
    raw = model.get_raw_model()
    function = getattr(raw, python.get("predict_fn", "predict"))
    classes = getattr(raw, "classes_", None)
    if function != raw.predict or not hasattr(raw, "predict_proba") or np.shape(classes) != (2,):
        return lambda given, params: function(given), None
    return lambda given, params: function(given), lambda given: raw.predict_proba(given)[:, 1]


def load(model_uri: str, *, tracking_uri: str | None = None) -> Scorer:
    """Load a model that has a signature.

    ``model_uri`` is ``models:/name/1``, ``models:/name@alias``, ``models:/m-…``, ``runs:/…/…`` or
    a folder. An alias is followed once: the scorer keeps the version that it meant then.

    Raises ``UnknownModel`` for a URI that leads to no model, and ``Unsigned`` for a model without
    a signature.

    >>> from utils.serving.example import example_model
    >>> with example_model() as folder:
    ...     load(folder).schema.names
    ('departure_delay_min',)
    """
    with tracking(tracking_uri) as client, _led_to(model_uri, client):
        model_uri, name, version = _resolved(client, model_uri)
        model = mlflow.pyfunc.load_model(model_uri, suppress_warnings=True)
    metadata = model.metadata
    try:
        return Scorer(
            model,
            model_name=name or Path(model_uri).name,
            model_version=version or metadata.model_id or metadata.model_uuid,
            model_uri=model_uri,
        )
    except Unsigned as error:
        raise Unsigned(f"{model_uri}: {error}") from None


def _resolved(client: MlflowClient, model_uri: str) -> tuple[str, str, str]:
    """Return a URI without aliases, and the model's name and version where they are known."""
    if re.fullmatch(r"models:/[^/@]+[/@].+", model_uri):
        registered = version_of(client, model_uri)
        return address(registered), registered.name, str(registered.version)
    logged = re.fullmatch(r"models:/(m-[^/]+)", model_uri)
    return model_uri, logged and client.get_logged_model(logged[1]).name or "", ""


def deploy(
    store: Store,
    *,
    name: str,
    model_uri: str,
    tracking_uri: str | None = None,
    at: datetime | None = None,
    gated: bool = False,
) -> Deployment:
    """Put a model into service under a name, and return the deployment.

    Where the name stands already this is a redeployment: it keeps the CRN of the model, and also
    that of the build when the same version was deployed before. With ``gated`` only a version that
    passed its gate goes into service; of any other nothing is noted in the store. The gate spoke
    of the day on which it judged: it does not tell that the model is still good.

    Raises ``SchemaConflict`` where the name's table holds a column of another type; with ``gated``
    ``gates.NotPassed`` naming the rules that were broken, ``gates.NeverJudged``, and
    ``versions.NotRegistered`` for a model that is no version.

    >>> from utils.serving.example import example_model
    >>> from utils.store import open_store
    >>> with open_store("sqlite://") as store, example_model() as folder:
    ...     deploy(store, name="flights", model_uri=folder).model_name
    'ten_minutes'
    """
    scorer = load(model_uri, tracking_uri=tracking_uri)
    if gated:
        # Of what was loaded, and not of the URI: an alias may mean another version by now.
        need_passed(scorer.model_uri, tracking_uri=tracking_uri)
    return deploy_scorer(store, scorer, name=name, at=at)


def deploy_scorer(
    store: Store,
    scorer: Scorer,
    *,
    name: str,
    model_crn: str | None = None,
    build_crn: str | None = None,
    at: datetime | None = None,
) -> Deployment:
    """Put a loaded model into service under a name; see ``deploy``."""
    standing = _standing(store, name, scorer.model_uri, scorer.model_version)
    deployment = Deployment(
        name=name,
        model_name=scorer.model_name,
        model_version=scorer.model_version,
        model_uri=scorer.model_uri,
        model_crn=model_crn or standing.model_crn,
        build_crn=build_crn or standing.build_crn,
        deployment_crn=new_crn(standing.model_crn),
        created_at=at or utc_now(),
    )
    store.add_deployment(deployment, scorer.schema)
    return deployment


def in_service(store: Store, scorer: Scorer, *, name: str) -> Deployment:
    """Return the newest deployment of a name if it is of this very version, else a new one.

    >>> from utils.serving.example import example_model
    >>> from utils.store import open_store
    >>> with open_store("sqlite://") as store, example_model() as folder:
    ...     scorer = load(folder)
    ...     first, second = (in_service(store, scorer, name="flights") for _ in range(2))
    >>> first == second
    True
    """
    known = store.deployments()
    newest = known[known["name"] == name].head(1)
    same_uri = newest["model_uri"].eq(scorer.model_uri)
    if (same_uri & newest["model_version"].eq(scorer.model_version)).any():
        return store.deployment(newest["deployment_crn"].iloc[0])
    return deploy_scorer(store, scorer, name=name)


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """The CRNs that a deployment gets: those of before where it repeats them, else new ones."""

    model_crn: str
    build_crn: str


def _standing(store: Store, name: str, model_uri: str = "", version: str = "") -> _Standing:
    before = store.deployments()
    model = before[before["name"] == name]
    build = model[(model["model_uri"] == model_uri) & (model["model_version"] == version)]
    place = before["model_crn"].iloc[0] if len(before) else new_crn()
    return _Standing(
        model_crn=model["model_crn"].iloc[0] if len(model) else new_crn(place),
        build_crn=build["build_crn"].iloc[0] if len(build) else new_crn(place),
    )


def redeploy(
    store: Store,
    *,
    name: str,
    model_uri: str,
    tracking_uri: str | None = None,
    at: datetime | None = None,
    gated: bool = False,
) -> Deployment:
    """Put another model into service under a name that stands; ``gated`` is that of ``deploy``.

    Raises ``UnknownDeployment`` where it does not, and as ``deploy`` does.

    >>> from utils.serving.example import example_model
    >>> from utils.store import open_store
    >>> with open_store("sqlite://") as store, example_model() as folder:
    ...     first = deploy(store, name="flights", model_uri=folder)
    ...     second = redeploy(store, name="flights", model_uri=folder)
    >>> first.model_crn == second.model_crn, first.deployment_crn == second.deployment_crn
    (True, False)
    """
    store.deployment(name)
    return deploy(
        store, name=name, model_uri=model_uri, tracking_uri=tracking_uri, at=at, gated=gated
    )


def rollback(
    store: Store,
    name: str,
    *,
    at: datetime | None = None,
    gated: bool = False,
    tracking_uri: str | None = None,
) -> Deployment:
    """Put back into service the build that was there before the present one.

    Twice in a row therefore comes back to the present one. With ``gated`` it is the newest build
    that passed its gate: those that did not, and those whose version is gone, are passed over.

    Raises ``UnknownDeployment``, ``ValueError`` where the name has had one build only, and with
    ``gated`` ``gates.NotPassed`` where none of the others passed; the store is then as it was.

    >>> from utils.serving.example import example_model
    >>> from utils.store import open_store
    >>> with open_store("sqlite://") as store, example_model() as one, example_model() as other:
    ...     first = deploy(store, name="flights", model_uri=one)
    ...     second = deploy(store, name="flights", model_uri=other)
    ...     rollback(store, "flights").build_crn == first.build_crn
    True
    """
    present = store.deployment(name)
    history = store.deployments()
    others = history[(history["name"] == name) & (history["build_crn"] != present.build_crn)]
    if others.empty:
        raise ValueError(f"name={name!r}: only one build was ever deployed, so none to return to")
    if gated:
        others = others[[_passed(uri, tracking_uri) for uri in others["model_uri"]]]
        if others.empty:
            raise NotPassed(
                tr(
                    pt=f"name={name!r}: nenhum build além do atual passou pelo seu portão; "
                    "implante uma versão aprovada (models.deploy)",
                    en=f"name={name!r}: no build but the present one passed its gate; deploy a "
                    "version that did (models.deploy)",
                )
            )
    before = store.deployment(others["deployment_crn"].iloc[0])
    back = replace(before, deployment_crn=new_crn(present.model_crn), created_at=at or utc_now())
    store.add_deployment(back, store.schema(before.deployment_crn))
    return back


def _passed(model_uri: str, tracking_uri: str | None) -> bool:
    try:
        need_passed(model_uri, tracking_uri=tracking_uri)
    except (NotPassed, UnknownModel):
        return False
    return True


def new_crn(beside: str | None = None) -> str:
    """Return a new resource name of CML's form, in the workspace of another one where given.

    >>> new_crn("crn:cdp:ml:local:vigia:workspace:w/1").startswith("crn:cdp:ml:local:vigia:")
    True
    """
    place = beside.rpartition("/")[0] if beside else f"{_CRN}:{uuid.uuid4()}"
    return f"{place}/{uuid.uuid4()}"


_CRN = "crn:cdp:ml:local:vigia:workspace"


def _id_in(crn: str) -> str:
    return crn.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model as CML has it: a name under which builds are deployed, and its access key."""

    name: str
    crn: str
    access_key: str


@dataclass(frozen=True, kw_only=True)
class Build:
    """A version of a registered model, ready to be deployed as a model of CML."""

    model: Model
    scorer: Scorer
    crn: str


class ModelRegistry:
    """The four steps of a deployment, one by one: register, create model, build, deploy.

    What ``deploy`` does at once, in the steps of the labs' ``mlops`` helper.
    """

    def __init__(self, store: Store, *, tracking_uri: str | None = None) -> None:
        self.store = store
        self.tracking_uri = tracking_uri

    def register_from_run(
        self, name: str, *, run_id: str | None = None, experiment: str = "models"
    ) -> ModelVersion:
        """Register the model of a run: of the newest run of the experiment, unless one is named.

        Raises ``UnknownModel`` for a run, or an experiment, that has none.
        """
        with tracking(self.tracking_uri) as client:
            run_id = run_id or _newest_run(client, experiment)
            outputs = client.get_run(run_id).outputs
            logged = outputs.model_outputs if outputs else []
            if not logged:
                raise UnknownModel(f"run {run_id} logged no model")
            return _register(client, name, model_id=logged[-1].model_id, run_id=run_id)

    def create_model(self, name: str) -> Model:
        """Return a model of this name with an access key, which its deployment will accept."""
        crn = _standing(self.store, name).model_crn
        return Model(name=name, crn=crn, access_key=recall_key(name) or new_key())

    def create_build(self, model: Model, version: ModelVersion) -> Build:
        """Load a version, which must have a signature, and return it as a build."""
        scorer = load(version.model_uri, tracking_uri=self.tracking_uri)
        standing = _standing(self.store, model.name, scorer.model_uri, scorer.model_version)
        return Build(model=model, scorer=scorer, crn=standing.build_crn)

    def create_deployment(self, build: Build) -> Deployment:
        """Put a build into service; its model's key is stored as a hash, and remembered here."""
        name, key = build.model.name, build.model.access_key
        deployment = deploy_scorer(
            self.store, build.scorer, name=name, model_crn=build.model.crn, build_crn=build.crn
        )
        if hash_key(key) not in dict(self.store.keys(name)):
            self.store.add_key(name, hash_key(key), client="owner")
        remember_key(name, key)
        return deployment


def _newest_run(client: MlflowClient, experiment: str) -> str:
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise UnknownModel(f"experiment={experiment!r}: there is none of this name")
    runs = client.search_runs(
        [found.experiment_id], order_by=["attributes.start_time DESC"], max_results=1
    )
    if not runs:
        raise UnknownModel(f"experiment={experiment!r}: has no run")
    return runs[0].info.run_id


class ApiUtility:
    """Looks up what is in service, as the labs' helper of this name does."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get_latest_deployment_details(self, model_name: str) -> dict[str, str]:
        """Return the newest deployment of a name, in the six keys of the labs' helper.

        The access key is the caller's own, from the environment or the workspace: the store has
        only its hash. It is empty where neither has one.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     ApiUtility(store).get_latest_deployment_details("flights")["latest_deployment_crn"]
        'crn:deployment:1'
        """
        latest = self.store.deployment(model_name)
        return {
            "model_name": latest.name,
            "model_id": _id_in(latest.model_crn),
            "model_crn": latest.model_crn,
            "model_access_key": recall_key(latest.name),
            "latest_build_id": _id_in(latest.build_crn),
            "latest_deployment_crn": latest.deployment_crn,
        }
