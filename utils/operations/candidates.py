"""New versions: made of the one in service, found again by the run that made them, compared.

A version that a run made carries the run's name in the tags of its MLflow run. So a run that broke
off while training finds what it made, and makes no second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from utils.monitors.paired import loss_change, losses
from utils.monitors.performance import performance
from utils.operations.decisions import Change
from utils.operations.remedies import Remedy
from utils.serving import benchmarks, mlflow
from utils.serving.models import Scorer, load, log_in_run, register
from utils.serving.runs import log_data
from utils.serving.tracking import experiment_id_of, tracking
from utils.serving.versions import ModelVersion, NotCarried
from utils.store import Store

TAG = "vigia.loop"
"""The tag of a run of MLflow that names the run of the loop and the remedy."""

TIME, LABEL = "event_time", "label"


@dataclass(frozen=True, kw_only=True)
class Models:
    """The versions of one registered model, each loaded once, and its reference read once."""

    name: str
    task: str
    loss: str
    tracking_uri: str | None = None
    _loaded: dict[str, Scorer] = field(default_factory=dict, repr=False)
    _references: dict[str, pd.DataFrame | None] = field(default_factory=dict, repr=False)

    def uri(self, version: str) -> str:
        return f"models:/{self.name}/{version}"

    def scorer(self, version: str) -> Scorer:
        """Return a version, loaded."""
        if version not in self._loaded:
            self._loaded[version] = load(self.uri(version), tracking_uri=self.tracking_uri)
        return self._loaded[version]

    def version_at(self, alias: str) -> str:
        """Return the version that an alias means, or an empty text."""
        with tracking(self.tracking_uri) as client:
            aliases = client.get_registered_model(self.name).aliases
        return str(aliases.get(alias, ""))

    def reference(self, version: str) -> pd.DataFrame | None:
        """Return the reference that a version carries, or ``None``."""
        if version not in self._references:
            uri = self.uri(version)
            try:
                found = benchmarks.reference_of(uri, tracking_uri=self.tracking_uri)
            except NotCarried:
                found = None
            self._references[version] = found
        return self._references[version]

    # ------------------------------------------------------------------------------- comparing

    def cost(self, version: str, frame: pd.DataFrame) -> pd.Series:
        """Return what each row costs under a version; ``NaN`` where its label is not known."""
        answered = benchmarks.answered(self.scorer(version), frame)
        return self.cost_of(answered)

    def cost_of(self, answered: pd.DataFrame) -> pd.Series:
        """Return what each row costs as it was answered."""
        of = "prediction" if self.loss == "mae" else "score"
        return losses(answered[LABEL], answered[of], loss=self.loss)

    def change(
        self, version: str, than: str, frame: pd.DataFrame, *, rng: np.random.Generator
    ) -> Change | None:
        """Return how far a version's mean loss lies from another's on the same labelled rows.

        Whole days are resampled. ``None`` where there are too few to say; where both cost the same
        row by row there is no change, and none is possible.
        """
        rows = frame.dropna(subset=[LABEL])
        if rows.empty:
            return None
        costs = pd.DataFrame(
            {
                TIME: rows[TIME],
                "own": self.cost(version, rows),
                "other": self.cost(than, rows),
            }
        )
        table = loss_change(
            costs,
            reference_column="other",
            current_column="own",
            name=self.loss,
            window=None,
            block="1D",
            rng=rng,
        )
        row = table[table["metric"] == f"{self.loss}_change"].iloc[0]
        value, low, high = (float(row[name]) for name in ("value", "low", "high"))
        if value == 0 and costs["own"].equals(costs["other"]) and _n_days(rows) > 1:
            low = high = 0.0
        if not np.isfinite([value, low, high]).all():
            return None
        return Change(value=value, low=low, high=high, n=int(row["n_current"]))

    # ------------------------------------------------------------------------------- making

    def made_by(self, run: str, remedy: str) -> str:
        """Return the version that a run of the loop made by a remedy, or an empty text."""
        tag = _tag(run, remedy)
        with tracking(self.tracking_uri) as client:
            for version in client.search_model_versions(f"name = '{self.name}'"):
                if version.run_id and client.get_run(version.run_id).data.tags.get(TAG) == tag:
                    return str(version.version)
        return ""

    def make(
        self,
        remedy: Remedy,
        rows: pd.DataFrame,
        *,
        champion: str,
        run: str,
        reference: pd.DataFrame,
        rng: np.random.Generator,
    ) -> str:
        """Make a version by a remedy, or find the one that this run made before; return its number.

        ``rows`` are labelled; ``reference`` are the rows that later ones are compared with. The
        version carries it with the new answers, and their performance as its benchmark.
        """
        found = self.made_by(run, remedy.name)
        if not found:
            found = self._made(remedy, rows, champion=champion, run=run)
        answered = benchmarks.answered(self.scorer(found), reference)
        measured = performance(
            answered, task=self.task, window=None, block="1D", rng=rng, known_as_of=None
        )
        benchmarks.attach(
            self.uri(found),
            benchmark=measured,
            reference=answered,
            source=f"{self.name}, {_tag(run, remedy.name)}",
            tracking_uri=self.tracking_uri,
        )
        return found

    def _made(self, remedy: Remedy, rows: pd.DataFrame, *, champion: str, run: str) -> str:
        names = list(self.scorer(champion).schema.names)
        inputs, label = rows[names], rows[LABEL]
        with tracking(self.tracking_uri) as client:
            experiment = experiment_id_of(client, self.name)
            raw = mlflow.sklearn.load_model(self.uri(champion))
            model = remedy.make(raw, inputs, label)
            with mlflow.start_run(
                experiment_id=experiment,
                run_name=f"{self.name} {remedy.name}",
                nested=True,
                tags={TAG: _tag(run, remedy.name)},
            ):
                log_data(
                    rows[[TIME, *names, LABEL]],
                    name=f"{rows[TIME].min():%Y-%m-%d} to {rows[TIME].max():%Y-%m-%d}",
                    context="training",
                    source="captured",
                    target=LABEL,
                )
                uri = log_in_run(
                    model, name=self.name, inputs=inputs, predictions=model.predict(inputs.head())
                )
        made: ModelVersion = register(uri, name=self.name, tracking_uri=self.tracking_uri)
        return made.version


def _n_days(rows: pd.DataFrame) -> int:
    return rows[TIME].dt.floor("1D").nunique()


def _tag(run: str, remedy: str) -> str:
    return f"{run} {remedy}"


# ------------------------------------------------------------------------------- what was captured


def captured(store: Store, names: Sequence[str], **bounds: Any) -> pd.DataFrame:
    """Return the predictions of several services as one frame, in order of time.

    ``bounds`` are those of ``Store.read``. A service that nobody deployed has none; raises
    ``UnknownDeployment`` where that is so of each.
    """
    deployed = set(store.deployments()["name"])
    there = [name for name in names if name in deployed] or names[:1]
    frames = [store.read(name, **bounds) for name in there]
    frames = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(frames, ignore_index=True).sort_values(TIME, kind="stable", ignore_index=True)
