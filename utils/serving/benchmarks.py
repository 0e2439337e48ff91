"""What monitoring later judges by, carried by the model: benchmark, reference, contract, threshold.

A monitor asks what the model was promised to do, what its inputs looked like when all was well, and
what they were promised to be. Whoever looks this up years later does not make it again by hand from
data that may be gone: the version has it, found by the same address as the model itself.

- The **benchmark** is a measurements table: each metric of a later period, with its interval.
- The **reference** is a frame of inputs, with the model's predictions and scores beside them.
- The **data contract** says what the inputs were promised to be.
- The **threshold** is the score from which on the answer is yes.

>>> from tempfile import TemporaryDirectory
>>> from sklearn.linear_model import LinearRegression
>>> from utils.monitors.performance import performance
>>> from utils.serving.models import load, log_model
>>> frame = pd.DataFrame({"x": np.arange(60.0), "label": np.arange(60.0) + [1.0, -1.0] * 30,
...                       "event_time": pd.date_range("2024-01-01", periods=60, tz="UTC")})
>>> with TemporaryDirectory() as folder:
...     uri = f"sqlite:///{folder}/mlflow.db"
...     model = LinearRegression().fit(frame[["x"]], frame["label"])
...     version = log_model(model, name="line", inputs=frame[["x"]], predictions=frame["label"],
...                         tracking_uri=uri)
...     scored = answered(load(version.model_uri, tracking_uri=uri), frame)
...     measured = performance(scored, task="regression", metrics=["mae"], window=None,
...                            rng=np.random.default_rng(0))
...     attach(version, benchmark=measured, reference=scored, tracking_uri=uri)
...     same = benchmark_of("models:/line/1", tracking_uri=uri).equals(measured)
...     print(same, len(reference_of("models:/line/1", tracking_uri=uri)))
True 60
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion as Registered

from utils.datasets import files
from utils.monitors import odcs
from utils.monitors.contract import DataContract
from utils.records import MEASUREMENT_COLUMNS
from utils.serving.contract import contract_of
from utils.serving.models import Scorer
from utils.serving.versions import (
    TAG,
    ModelVersion,
    NotCarried,
    address,
    carried,
    carry,
    carry_text,
    need_digest,
    opened,
    point,
    read_text,
)

BENCHMARK, REFERENCE, CONTRACT, THRESHOLD = "benchmark", "reference", "contract", "threshold"
TABLE = "table."
"""Before the name of any other table that a version carries."""


def answered(
    scorer: Scorer, frame: pd.DataFrame, *, threshold: float | None = None, prefix: str = ""
) -> pd.DataFrame:
    """Return a frame with what a model answers beside its rows: ``prediction``, and ``score``.

    The score is there for models that give one. With ``threshold`` the prediction is 1 from this
    score on and 0 below, else it is the model's own. ``prefix`` stands before the two names:
    ``"champion_"`` puts a champion's answers beside a candidate's.

    Raises ``ValueError`` for an input that the frame lacks, and for a threshold of a model that
    gives no score.
    """
    names = list(scorer.schema.names)
    lacking = [name for name in names if name not in frame.columns]
    if lacking:
        raise ValueError(f"frame: lacks {', '.join(lacking)}, which {scorer.model_uri} needs")
    predictions, scores = scorer.predict(frame[names])
    if threshold is not None:
        if scores is None:
            raise ValueError(f"threshold={threshold!r}: {scorer.model_uri} gives no score")
        predictions = (scores >= threshold).astype("int64")
    beside = {f"{prefix}prediction": np.asarray(predictions)}
    if scores is not None:
        beside[f"{prefix}score"] = scores
    return frame.assign(**beside)


# ------------------------------------------------------------------------------------- to a version


def attach(
    version: str | ModelVersion,
    *,
    benchmark: pd.DataFrame,
    reference: pd.DataFrame,
    contract: DataContract | None = None,
    threshold: float | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
    units: Mapping[str, str] | None = None,
    source: str = "utils.serving.benchmarks.attach",
    tracking_uri: str | None = None,
) -> None:
    """Let a version carry what it will be judged by, in place of what it carried before.

    ``tables`` are any others, by name, such as ``robustness``; ``units`` are those of the
    reference's columns, and ``source`` says in a line where that comes from. Files are written
    before the version points to any of them, and no file is overwritten: attaching to a version in
    a copy of the registry changes nothing for the original.

    Raises ``ValueError`` for a benchmark that is no measurements table or holds no value, for a
    reference without rows, without one of the model's inputs or without its predictions, and for a
    threshold outside 0..1; ``Unsigned`` for a model without a signature; and as
    ``versions.version_of`` does.
    """
    tables = {f"{TABLE}{name}": table for name, table in (tables or {}).items()}
    _check_benchmark(benchmark)
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r}: a score is in 0..1")
    with opened(version, tracking_uri=tracking_uri) as (client, registered):
        _check_reference(reference, registered)
        written = {
            what: _carry_table(client, registered, what, table, source=source, units=given)
            for what, table, given in (
                (BENCHMARK, benchmark, None),
                (REFERENCE, reference, units),
                *((what, table, None) for what, table in tables.items()),
            )
        }
        if contract is not None:
            written[CONTRACT] = carry_text(
                client, registered, CONTRACT, odcs.to_yaml(contract), suffix=".yaml"
            )
        if threshold is not None:
            written[THRESHOLD] = repr(float(threshold))
        for what, uri in written.items():
            point(client, registered, what, uri)


def _check_benchmark(benchmark: pd.DataFrame) -> None:
    lacking = [name for name in MEASUREMENT_COLUMNS if name not in benchmark.columns]
    if lacking:
        raise ValueError(
            f"benchmark: has no column {lacking[0]!r}; what a monitor returns is needed, such as "
            "utils.monitors.performance.performance(…, window=None)"
        )
    if benchmark["value"].isna().all():
        raise ValueError("benchmark: holds no value; nothing could be compared with it")


def _check_reference(reference: pd.DataFrame, registered: Registered) -> None:
    signature = mlflow.models.get_model_info(address(registered)).signature
    needed = [*contract_of(signature).schema.names, "prediction"]
    lacking = [name for name in needed if name not in reference.columns]
    if lacking:
        raise ValueError(
            f"reference: lacks {lacking[0]!r}; it holds each input of {address(registered)} and "
            "its predictions (benchmarks.answered)"
        )
    if reference.empty:
        raise ValueError("reference: has no rows")


def _carry_table(
    client: MlflowClient,
    registered: Registered,
    what: str,
    table: pd.DataFrame,
    *,
    source: str,
    units: Mapping[str, str] | None,
) -> str:
    return carry(
        client,
        registered,
        what,
        digest=files.content_hash(table)[:16],
        suffix=".parquet",
        write=lambda path: files.write(table, path, source=source, units=units),
        read=read_table,
    )


def read_table(path: Path) -> pd.DataFrame:
    """Return the table of a file that is called by its digest, or raise ``ChangedArtifact``."""
    need_digest(files.describe(path).digest, path)
    return files.read(path)


# ----------------------------------------------------------------------------------- from a version


def benchmark_of(model_uri: str, *, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return the measurements that a version was promised with, found by any address.

    Raises ``NotCarried`` where it carries none, ``ChangedArtifact`` or ``ChangedFile`` where the
    file is gone or was changed, and as ``versions.version_of`` does.
    """
    return _of(model_uri, BENCHMARK, read_table, tracking_uri=tracking_uri)


def reference_of(model_uri: str, *, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return the inputs, with predictions and scores, that later ones are compared with.

    Raises as ``benchmark_of`` does.
    """
    return _of(model_uri, REFERENCE, read_table, tracking_uri=tracking_uri)


def data_contract_of(model_uri: str, *, tracking_uri: str | None = None) -> DataContract:
    """Return the contract of the data that a version was made for; raises as ``benchmark_of``."""
    return odcs.from_yaml(_of(model_uri, CONTRACT, read_text, tracking_uri=tracking_uri))


def table_of(model_uri: str, name: str, *, tracking_uri: str | None = None) -> pd.DataFrame:
    """Return another table that a version carries, by name; raises as ``benchmark_of`` does."""
    return _of(model_uri, f"{TABLE}{name}", read_table, tracking_uri=tracking_uri)


def threshold_of(model_uri: str, *, tracking_uri: str | None = None) -> float:
    """Return the score from which on the answer is yes.

    Raises ``NotCarried`` where the version has none, and as ``versions.version_of`` does.
    """
    with opened(model_uri, tracking_uri=tracking_uri) as (_, registered):
        told = registered.tags.get(f"{TAG}{THRESHOLD}")
        if told is None:
            raise NotCarried(f"{address(registered)}: carries no {THRESHOLD}; attach it")
        return float(told)


def _of(model_uri: str, what: str, read: Callable[[Path], Any], *, tracking_uri: str | None) -> Any:
    with opened(model_uri, tracking_uri=tracking_uri) as (client, registered):
        found, _ = carried(client, registered, what, read)
        return found
