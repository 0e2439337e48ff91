"""What was tried: runs of MLflow that carry measurements, data, figures and predictions.

MLflow's own functions open a run and log a number. The functions here, called beside them, log what
a number alone does not say: its interval and its rows (``log_measurements``), which data it was
(``dataset_of``), what a figure shows to who does not see it (``log_figure``), and what was
predicted, so that two runs are compared row by row later (``log_predictions``, ``paired_runs``).

What is logged goes to MLflow's active run; what is read is asked for by the run's id. An experiment
and its runs have names that depend on no language.

>>> from utils.serving.tracking import experiment_id_of
>>> table = measurements([{
...     "monitor": "performance", "metric": "mae", "value": 11.9, "low": 11.1, "high": 12.8,
...     "n_current": 120, "window_start": "2013-04-01", "window_end": "2013-04-08"}])
>>> with TemporaryDirectory() as folder, tracking(f"sqlite:///{folder}/mlflow.db") as client:
...     experiment_id = experiment_id_of(client, "flights")
...     with mlflow.start_run(experiment_id=experiment_id, run_name="rule") as run:
...         log_measurements(table)
...     uri = client.tracking_uri
...     read = measurements_of(run.info.run_id, tracking_uri=uri)
...     listed = runs_table("flights", tracking_uri=uri)
>>> read.equals(table)
True
>>> print(listed[["run", "metric", "value", "low", "high", "n"]].to_string(index=False))
 run metric  value  low  high   n
rule    mae   11.9 11.1  12.8 120
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.pandas_dataset import PandasDataset
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.types import Schema
from sklearn.model_selection import ParameterSampler

from utils import plots
from utils.datasets import files
from utils.monitors.paired import loss_change, losses
from utils.records import LINE, MEASUREMENT_COLUMNS, VigiaError, measurements
from utils.serving.schemas import telling_rows
from utils.serving.tracking import UnknownRun, quiet, tracking
from utils.text import LANGUAGES, language, nearest

MEASUREMENTS = "measurements.csv"
"""The artifact of a run that holds its measurements, whole."""

PREDICTIONS = "predictions"
FIGURES = "figures"

_BATCH = 1000
"""So many metrics MLflow takes at once."""

_ENDS = {"low": "low", "high": "high", "n": "n_current"}
"""What follows a metric's name, after a period, and the column that it comes from."""


class NotLogged(VigiaError):
    """The run is there, and has not logged this."""


# ----------------------------------------------------------------------------------- measurements


def log_measurements(table: pd.DataFrame) -> None:
    """Log a measurements table in the active run: its numbers as metrics, all of it as an artifact.

    A row becomes the metrics ``<metric>``, ``<metric>.low``, ``<metric>.high`` and ``<metric>.n``;
    that of a group ``<group>/<metric>`` and so on, which MLflow's page shows in a section of its
    own. Several windows become the steps of a metric, in order of time. What is missing is no
    metric. The artifact ``measurements.csv`` reads back as the same table: ``measurements_of``.

    Raises ``ValueError`` for a table that is none of measurements, and for a group or a metric
    whose name MLflow does not take.
    """
    _need_columns(table)
    _need_names(table)
    run_id = _active().info.run_id
    client = MlflowClient()
    found = list(_metrics(table))
    for at in range(0, len(found), _BATCH):
        client.log_batch(run_id, metrics=found[at : at + _BATCH])
    with TemporaryDirectory() as folder:
        path = Path(folder) / MEASUREMENTS
        write_measurements(table, path)
        mlflow.log_artifact(str(path))


def nested_run(name: str, **settings: Any) -> mlflow.ActiveRun:
    """Start a run under the active one, in the same experiment, for a ``with`` statement.

    ``mlflow.start_run(nested=True)`` alone puts the child into the experiment that happens to be
    set, mostly ``Default``, where nobody looks for it. ``settings`` are those of ``start_run``.

    Raises ``ValueError`` where no run is active.
    """
    experiment_id = _active().info.experiment_id
    return mlflow.start_run(experiment_id=experiment_id, run_name=name, nested=True, **settings)


def _active() -> Run:
    run = mlflow.active_run()
    if run is None:
        raise ValueError("no run is active: log within `with mlflow.start_run(...)`")
    return run


def _need_columns(table: pd.DataFrame) -> None:
    lacking = [name for name in MEASUREMENT_COLUMNS if name not in table.columns]
    if lacking:
        raise ValueError(
            f"table: has no column {lacking[0]!r}; what a monitor returns has, and "
            "utils.records.measurements makes it"
        )


def _need_names(table: pd.DataFrame) -> None:
    for name in dict.fromkeys(_key(row.group, row.metric) for row in table.itertuples()):
        if not re.fullmatch(r"[\w.\- /]+", name):
            raise ValueError(
                f"table: {name!r} cannot be the name of a metric, which has letters, digits and "
                "_ - . / and spaces; rename the group"
            )


def _key(group: str, metric: str) -> str:
    return f"{group}/{metric}" if group else metric


def _metrics(table: pd.DataFrame) -> Iterator[Metric]:
    """Yield the numbers of a table as MLflow has them, a step for each window."""
    steps = table["window_start"].rank(method="dense").astype("int64") - 1
    now = int(time.time() * 1000)
    for step, row in zip(steps, table.to_dict("records"), strict=True):
        key = _key(row["group"], row["metric"])
        numbers = {key: row["value"]} | {f"{key}.{end}": row[of] for end, of in _ENDS.items()}
        for name, value in numbers.items():
            if not pd.isna(value):
                yield Metric(name, float(value), timestamp=now, step=int(step))


def measurements_of(run_id: str, *, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return the measurements table that a run logged, as it was.

    Raises ``UnknownRun``, and ``NotLogged`` for a run that logged none.
    """
    with tracking(tracking_uri) as client:
        return _artifact(client, run_id, MEASUREMENTS, read=read_measurements)


_MOMENTS = ("window_start", "window_end", "known_as_of")


def write_measurements(table: pd.DataFrame, path: Path | str) -> None:
    """Write a measurements table as CSV, which people and MLflow's page can read.

    Raises ``ValueError`` for a table that is none of measurements.
    """
    _need_columns(table)
    table.to_csv(path, index=False, lineterminator="\n")


def read_measurements(path: Path | str) -> pd.DataFrame:
    """Return the table in a file of ``write_measurements``: to the last digit, types and all."""
    told = pd.read_csv(path, dtype="str", keep_default_na=False)
    for name in told.columns.difference(LINE):
        told[name] = told[name].astype("object").mask(told[name] == "")
    for name in _MOMENTS:
        told[name] = pd.to_datetime(told[name], format="ISO8601", utc=True)
    told["alarm"] = told["alarm"] == "True"
    return measurements(told.to_dict("records"))


def _artifact(
    client: MlflowClient, run_id: str, path: str, *, read: Callable[[Path], Any]
) -> pd.DataFrame:
    """Return an artifact of a run, as ``read`` reads its file."""
    run = client.get_run(run_id)
    with TemporaryDirectory() as folder:
        try:
            there = client.download_artifacts(run_id, path, folder)
        except (MlflowException, OSError) as error:
            raise NotLogged(
                f"run {run.info.run_name!r} ({run_id}): has no {path}; it has "
                f"{', '.join(each.path for each in client.list_artifacts(run_id)) or 'nothing'}"
            ) from error
        return read(Path(there))


# ------------------------------------------------------------------------------------------- data


class _Frame(PandasDataset):
    """A frame for MLflow, whose schema is read off the rows that tell it."""

    @cached_property
    def schema(self) -> Schema:
        return infer_signature(telling_rows(self._df)).inputs


def dataset_of(
    frame: pd.DataFrame, *, name: str, source: str | os.PathLike, target: str | None = None
) -> PandasDataset:
    """Return a table as MLflow logs it, with the digest of its whole content: ``mlflow.log_input``.

    MLflow's own digest is of the first ten thousand rows, and of their numbers and texts alone.
    Ours is that of ``utils.datasets.files``: the table of a file has the digest that the file was
    written with, so a run names the very rows it saw. ``source`` is where they come from,
    ``target`` the column to predict. It tells which rows these were; it does not keep them.

    >>> waits = pd.DataFrame({"wait_min": [1.0, 2.0]})
    >>> known = dataset_of(waits, name="waits", source="waits.parquet")
    >>> known.digest == files.content_hash(waits)[:16], known.profile["num_rows"]
    (True, 2)
    """
    with quiet():
        where = resolve_dataset_source(os.fspath(source))
    return _Frame(
        frame,
        source=where,
        targets=target,
        name=name,
        digest=files.content_hash(frame)[:16],
    )


def log_data(
    frame: pd.DataFrame,
    *,
    name: str,
    context: str,
    source: str | os.PathLike,
    target: str | None = None,
) -> str:
    """Log in the active run which data it used, and return the data's digest; see ``dataset_of``.

    ``context`` says what for: ``"training"``, ``"validation"``, …
    """
    _active()
    known = dataset_of(frame, name=name, source=source, target=target)
    mlflow.log_input(known, context=context)
    return known.digest


# ---------------------------------------------------------------------------------------- figures


def log_figure(fig: Figure, name: str, *, alt: str | Mapping[str, str]) -> None:
    """Log a figure in the active run, with the words that say what it shows.

    ``mlflow.log_figure`` logs the picture alone. ``alt`` is one text, in the language in force, or
    one for each language. The artifacts are ``figures/<name>.png`` and ``figures/<name>.html``: a
    page with the picture and its words, which MLflow shows and a screen reader reads.

    Raises ``ValueError`` for a figure without words, and for a language that is none of ours.
    """
    texts = dict(alt) if isinstance(alt, Mapping) else {language(): alt}
    for code, text in texts.items():
        if code not in LANGUAGES or not text.strip():
            raise ValueError(f"alt={alt!r}: say what the figure shows, in {' or '.join(LANGUAGES)}")
    if not texts:
        raise ValueError(f"alt={alt!r}: say in a sentence what the figure shows")
    _active()
    picture, width = plots.png(fig)
    with TemporaryDirectory() as folder:
        (Path(folder) / f"{name}.png").write_bytes(picture)
        (Path(folder) / f"{name}.html").write_text(
            _page(name, texts, width=width, picture=picture), encoding="utf-8"
        )
        mlflow.log_artifacts(folder, FIGURES)


def _page(name: str, texts: Mapping[str, str], *, width: int, picture: bytes) -> str:
    import base64

    source = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    words = {code: escape(" ".join(text.split())) for code, text in texts.items()}
    captions = "".join(f'<p lang="{code}">{text}</p>' for code, text in words.items())
    first = next(iter(words))
    return (
        f'<!DOCTYPE html><html lang="{first}"><meta charset="utf-8"><title>{escape(name)}</title>'
        f'<figure><img src="{source}" width="{width}" alt="{words[first]}">'
        f"<figcaption>{captions}</figcaption></figure></html>"
    )


# ------------------------------------------------------------------------------------ predictions


def log_predictions(frame: pd.DataFrame, *, name: str) -> None:
    """Log in the active run what was predicted, row by row, as ``predictions/<name>.parquet``.

    The frame has a key of the rows beside ``event_time``, ``label``, ``prediction`` and, of a
    classifier, ``score``. With it two runs are compared on the same rows: ``paired_runs``.
    """
    _active()
    with TemporaryDirectory() as folder:
        made = files.write(frame, Path(folder) / f"{name}.parquet", source=name)
        mlflow.log_artifact(str(made.path), PREDICTIONS)


def predictions_of(run_id: str, *, name: str, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return the predictions that a run logged under a name.

    Raises ``UnknownRun``, ``NotLogged``, and ``ChangedFile`` for a file that was changed since.
    """
    with tracking(tracking_uri) as client:
        return _artifact(client, run_id, f"{PREDICTIONS}/{name}.parquet", read=files.read)


# ------------------------------------------------------------------------------- runs side by side


def run_ids(
    experiment: str, *, parent: str | None = None, tracking_uri: str | None = None
) -> dict[str, str]:
    """Return the ids of an experiment's runs by their names, the oldest first.

    Of runs of one name the newest counts. ``parent`` is the id of a run, whose children are meant.

    Raises ``UnknownRun`` for an experiment, or a parent, that does not exist.
    """
    with tracking(tracking_uri) as client:
        return {run.info.run_name: run.info.run_id for run in _runs(client, experiment, parent)}


def _runs(client: MlflowClient, experiment: str, parent: str | None) -> list[Run]:
    """Return the runs of an experiment, or of a parent in it, the oldest first."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        there = [each.name for each in client.search_experiments()]
        raise UnknownRun(
            f"experiment {experiment!r}: there is none of this name; {nearest(experiment, there)}"
        )
    if parent is not None:
        client.get_run(parent)
    of_parent = "" if parent is None else f"tags.mlflow.parentRunId = '{parent}'"
    runs, token = [], None
    while True:
        page = client.search_runs(
            [found.experiment_id],
            of_parent,
            order_by=["attributes.start_time ASC", "attributes.run_name ASC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def runs_table(
    experiment: str,
    *,
    parent: str | None = None,
    params: Sequence[str] = (),
    tracking_uri: str | None = None,
) -> pd.DataFrame:
    """Return what the runs of an experiment measured: a row for each run, group and metric.

    Columns: ``run`` (its name), ``run_id``, the ``params`` asked for (as text, as MLflow keeps
    them), ``group``, ``metric``, ``value``, ``low``, ``high`` and ``n``. Of a metric that has
    several steps it is the last one. A metric that was logged without its interval has ``NaN``
    there. Runs come oldest first; ``parent`` is the id of the run whose children are meant.

    Two intervals that overlap do not say that two runs are alike: ``paired_runs`` does.

    Raises ``UnknownRun`` for an experiment, or a parent, that does not exist.
    """
    with tracking(tracking_uri) as client:
        rows = [
            {"run": run.info.run_name, "run_id": run.info.run_id}
            | {name: run.data.params.get(name) for name in params}
            | measured
            for run in _runs(client, experiment, parent)
            for measured in _measured(run.data.metrics)
        ]
    columns = ["run", "run_id", *params, "group", "metric", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64"})


def _measured(metrics: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Yield the metrics of a run, each with its interval and count where they were logged."""
    for key in sorted(metrics):
        of, _, end = key.rpartition(".")
        if end in _ENDS and of in metrics:
            continue
        group, _, metric = key.rpartition("/")
        ends = {end: metrics.get(f"{key}.{end}", np.nan) for end in _ENDS}
        n = None if np.isnan(ends["n"]) else int(ends["n"])
        yield {"group": group, "metric": metric, "value": metrics[key]} | ends | {"n": n}


def side_by_side(runs: Mapping[str, str], *, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return the measurements of several runs (name: id) as one table, each run as a group.

    Only what they measured of everyone is in it. ``plots.plot_groups`` draws it.

    Raises ``UnknownRun`` and ``NotLogged``.
    """
    tables = [
        measurements_of(run_id, tracking_uri=tracking_uri).query("group == ''").assign(group=name)
        for name, run_id in runs.items()
    ]
    return pd.concat(tables, ignore_index=True)


def paired_runs(
    runs: Mapping[str, str],
    *,
    reference: str,
    loss: str,
    name: str,
    rng: np.random.Generator,
    tracking_uri: str | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Return how far the mean loss of each run lies from that of a reference, on the same rows.

    ``runs`` are their names and ids, ``reference`` is one of the names, and ``name`` that under
    which all of them logged their predictions. ``loss`` is one of ``utils.monitors.paired.LOSSES``;
    ``<loss>_change`` is below 0 where the run does better. Each run is a group of the table.
    ``settings`` are those of ``performance``: ``block="7D"`` where the rows of a week are alike.

    It compares the runs that are there. The best of many, chosen by this very table, is not as much
    better as it says.

    Raises ``UnknownRun``, ``NotLogged``, and ``ValueError`` for runs that predicted other rows.
    """
    if reference not in runs:
        raise ValueError(f"reference={reference!r} is none of the runs; {nearest(reference, runs)}")
    predicted = {
        each: predictions_of(run_id, name=name, tracking_uri=tracking_uri)
        for each, run_id in runs.items()
    }
    base = predicted[reference]
    known = [each for each in base if each not in ("prediction", "score")]
    tables = []
    for each in (each for each in runs if each != reference):
        other = predicted[each]
        if not base[known].equals(other[known]):
            raise ValueError(
                f"runs: {each!r} and {reference!r} did not predict the same rows under {name!r}"
            )
        costs = {one: _losses(predicted[one], loss) for one in (reference, each)}
        frame = base[known].assign(reference_loss=costs[reference], current_loss=costs[each])
        table = loss_change(
            frame,
            reference_column="reference_loss",
            current_column="current_loss",
            name=loss,
            rng=rng,
            **{"window": None, **settings},
        )
        tables.append(table[table["metric"] == f"{loss}_change"].assign(group=each))
    return pd.concat(tables, ignore_index=True)


def _losses(predicted: pd.DataFrame, loss: str) -> pd.Series:
    answer = "prediction" if loss == "mae" else "score"
    return losses(predicted["label"], predicted[answer], loss=loss)


# ------------------------------------------------------------------------------- a search, a budget


def search(
    trial: Callable[[dict[str, Any]], pd.DataFrame],
    space: Mapping[str, Any],
    *,
    budget: int,
    rng: np.random.Generator,
    fits: int = 1,
) -> pd.DataFrame:
    """Try settings drawn at random from a space until the budget is spent; a nested run for each.

    ``space`` has a list of values, or a distribution of SciPy's, for each setting; ``trial`` gets
    one drawing and returns its measurements. ``budget`` is how often a model may be fitted, of
    which each trial takes ``fits`` (as many as there are folds). A drawing and its measurements are
    logged in a run ``trial-00``, ``trial-01``, … under the active one. The same ``rng`` draws the
    same trials.

    Returns a row for each trial: ``trial``, ``run_id``, the settings, and each metric of everyone
    with ``.low`` and ``.high``. **The best of them looks better than it is**: judge it again on
    rows that chose nothing.

    Raises ``ValueError`` for a budget of less than one trial, or of more than the space holds.
    """
    _active()
    n = budget // fits
    if n < 1:
        raise ValueError(f"budget={budget!r}: less than the {fits} fits of one trial")
    seed = int(rng.integers(2**32))
    rows = []
    for number, settings in enumerate(_drawn(space, n, seed=seed)):
        name = f"trial-{number:02}"
        with nested_run(name) as run:
            mlflow.log_params(settings)
            table = trial(dict(settings))
            log_measurements(table)
        everyone = table[table["group"] == ""]
        numbers = {
            f"{row.metric}{end}": getattr(row, of)
            for row in everyone.itertuples()
            for end, of in (("", "value"), (".low", "low"), (".high", "high"))
        }
        rows.append({"trial": name, "run_id": run.info.run_id} | settings | numbers)
    return pd.DataFrame(rows)


def _drawn(space: Mapping[str, Any], n: int, *, seed: int) -> list[dict[str, Any]]:
    """Return ``n`` drawings of a space, as plain Python values."""
    listed = [values for values in space.values() if not hasattr(values, "rvs")]
    size = int(np.prod([len(values) for values in listed]))
    if len(listed) == len(space) and size < n:
        raise ValueError(f"budget: {n} trials, and the space holds {size} settings")
    drawn = ParameterSampler(dict(space), n, random_state=seed)
    return [
        {name: each.item() if isinstance(each, np.generic) else each for name, each in one.items()}
        for one in drawn
    ]


# ---------------------------------------------------------------------------------- system metrics


@dataclass(frozen=True, kw_only=True)
class SamplingCost:
    """What MLflow's system metrics cost: so many samples, each for so much time of a processor."""

    samples: int
    cpu_s: float

    def share(self, *, interval_s: float) -> float:
        """Return the share of one processor that a sample every ``interval_s`` takes.

        >>> SamplingCost(samples=20, cpu_s=0.02).share(interval_s=10)
        0.002
        """
        return self.cpu_s / interval_s


def system_metrics_cost(*, seconds: float = 2.0, interval_s: float = 0.1) -> SamplingCost:
    """Measure what it costs to sample CPU, memory, disk and network: in a nested run that idles.

    The run ``idle`` under the active one does nothing for ``seconds``, first without and then with
    MLflow's system metrics; the difference of the processor's time is theirs. MLflow takes a sample
    every ten seconds unless told otherwise, so a run shorter than that has none.

    Raises ``ValueError`` where ``seconds`` leaves no time for two samples.
    """
    if seconds < 3 * interval_s:
        raise ValueError(f"seconds={seconds!r}: at least three times interval_s={interval_s!r}")
    _active()
    name = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
    before = os.environ.get(name)
    spent = []
    mlflow.set_system_metrics_sampling_interval(interval_s)
    try:
        for sampled in (False, True):
            with nested_run("idle", log_system_metrics=sampled) as run:
                began = time.process_time()
                time.sleep(seconds)
                spent.append(time.process_time() - began)
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before
    key = "system/cpu_utilization_percentage"
    samples = len(MlflowClient().get_metric_history(run.info.run_id, key))
    idle, busy = spent
    return SamplingCost(samples=samples, cpu_s=max(busy - idle, 0.0) / max(samples, 1))
