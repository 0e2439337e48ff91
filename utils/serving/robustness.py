"""What would incidents upstream do to a model's answers, and would the data contract see them?

Before a model goes into service, the incidents that will come one day can be made to come today, on
labelled rows: each alone, its effect measured beside the same days without it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from utils.datasets.incidents import Relabel, inject
from utils.monitors import windows
from utils.monitors.contract import DataContract, violations
from utils.monitors.intervals import bootstrap_t, checked_level, resampled_weights
from utils.monitors.metrics import METRICS, Metric, Rows
from utils.monitors.performance import Task, metric_names
from utils.records import Incident
from utils.serving.models import Scorer
from utils.text import nearest

COLUMNS = (
    "incident",
    "kind",
    "columns",
    "strength",
    "start",
    "end",
    "harmful",
    "metric",
    "clean",
    "broken",
    "change",
    "low",
    "high",
    "touched",
    "n_clean",
    "n_broken",
    "contract",
)
"""One row for each incident and metric."""

_ROW = "row of the clean frame"


def robustness(
    scorer: Scorer,
    frame: pd.DataFrame,
    incidents: Mapping[str, Incident],
    *,
    rng: np.random.Generator,
    metrics: Sequence[str],
    task: Task = "classification",
    contract: DataContract | None = None,
    relabel: Relabel | None = None,
    block: windows.Length = "1D",
    draws: int = 500,
    level: float = 0.95,
    time_column: str = "event_time",
    label_column: str = "label",
) -> pd.DataFrame:
    """Return what each incident, alone, does to the metrics of a model in its own window of time.

    The columns are ``COLUMNS``: the incident's name and what the ledger says of it; ``clean`` and
    ``broken``, the metric without it and with it; ``change``, broken less clean, with its interval;
    ``touched``, how many rows were changed, lost or added, as a share of the clean ones; and
    ``contract``, the rules of ``contract`` that the broken rows break (``"column: check"``, joined
    by commas), empty where it would have let them pass.

    **What it does not tell.** It knows the incidents that you thought of, on the rows that are
    labelled. A metric that stays may hide answers that moved and happened to cancel; an incident
    that takes answers away (errors, slowness) moves none of them. And a change that the metric does
    not show may still break what the answers are used for: a ranking as good as before, of
    probabilities that no longer come true, decides wrongly (put ``log_loss`` beside ``roc_auc``).

    **Intervals** hold at ``level``, from a bootstrap over blocks of time in which both sides see
    the same days, so what made a day hard cancels; where nothing changed in any sample, the change
    is known to be 0. A window with a single block has a change and no interval. An incident's
    randomness does not depend on the others that are given.

    ``metrics`` are those of ``performance`` for the ``task``; a classification has labels 1 and 0.
    Rows without a label are left out of the metrics. ``relabel`` is for concept drift: see
    ``inject``.

    Raises ``ValueError`` as ``inject`` does, and for a metric that the task or the model lacks.

    >>> from utils.datasets import flights
    >>> from utils.serving.example import example_model
    >>> from utils.serving.models import load
    >>> march = flights.departures(months=[3]).dropna(subset=["arrival_delay_min"])
    >>> hours = Incident(kind="unit_change", columns=("departure_delay_min",),
    ...                  start=pd.Timestamp("2013-03-11T04Z"), end=pd.Timestamp("2013-03-18T04Z"))
    >>> with example_model() as folder:
    ...     table = robustness(load(folder), march, {"hours": hours}, task="regression",
    ...                        metrics=["mae"], rng=np.random.default_rng(1),
    ...                        time_column="departed_at", label_column="arrival_delay_min")
    >>> row = table.iloc[0]
    >>> bool(row["harmful"]), bool(row["low"] > 0), round(float(row["touched"]), 2)
    (True, True, 0.94)
    """
    checked_level(level)
    chosen = _chosen(metrics, task=task)
    settings = {"time_column": time_column, "label_column": label_column, "task": task}
    numbered = frame.reset_index(drop=True).assign(**{_ROW: np.arange(len(frame))})
    seed = int(rng.integers(2**63))
    found = []
    for name, incident in incidents.items():
        into, for_intervals = np.random.default_rng([seed, zlib.crc32(name.encode())]).spawn(2)
        changed, ledger = inject(
            numbered, [incident], rng=into, time_column=time_column, relabel=relabel
        )
        told = ledger.iloc[0].drop("incident").to_dict()
        clean, broken = (_within(each, told, time_column) for each in (numbered, changed))
        about = {
            "incident": name,
            **told,
            "touched": _touched(clean, broken),
            "contract": "" if contract is None else _broken_rules(broken, contract),
        }
        sides = [_rows(scorer, each, **settings) for each in (clean, broken)]
        effects = _effects(*sides, chosen, block=block, draws=draws, level=level, rng=for_intervals)
        found += [about | each for each in effects]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _chosen(metrics: Sequence[str], *, task: Task) -> dict[str, Metric]:
    known = [name for name in metric_names(task) if METRICS[task][name].needs != "tolerance"]
    for name in metrics:
        if name not in known:
            raise ValueError(
                f"metrics: {name!r} is none of task={task!r} that is measured here; "
                f"{nearest(name, known)}"
            )
    return {name: METRICS[task][name] for name in metrics}


def _within(frame: pd.DataFrame, told: Mapping[str, Any], time_column: str) -> pd.DataFrame:
    times = frame[time_column]
    return frame[(times >= told["start"]) & (times < told["end"])]


def _touched(clean: pd.DataFrame, broken: pd.DataFrame) -> float:
    """Return how many rows were changed, lost or added, as a share of the clean ones."""
    before = clean.set_index(_ROW)
    after = broken[broken[_ROW].isin(before.index)].drop_duplicates(_ROW).set_index(_ROW)
    n_lost, n_added = len(before) - len(after), len(broken) - len(after)
    same = before.loc[after.index]
    changed = np.zeros(len(after), dtype=bool)
    for name in same.columns:
        was, is_now = same[name].astype("object"), after[name].astype("object")
        changed |= ~((was == is_now).fillna(False) | (was.isna() & is_now.isna())).to_numpy()
    return (n_lost + n_added + int(changed.sum())) / len(clean)


def _broken_rules(broken: pd.DataFrame, contract: DataContract) -> str:
    """Return which rules of a contract the rows break; columns that it does not name are ours."""
    given = broken[[name for name in broken.columns if name in contract.names]]
    found = violations(given, contract)
    return ", ".join(
        f"{feature or 'table'}: {check}"
        for feature, check in found[["feature", "check"]].itertuples(index=False)
    )


def _rows(
    scorer: Scorer, frame: pd.DataFrame, *, task: Task, time_column: str, label_column: str
) -> Rows:
    """Return what a model answers to the labelled rows of a frame, as metrics take it."""
    labels = windows.column(frame, label_column, argument="label_column")
    known = frame[labels.notna()]
    answers, scores = scorer.predict(known[list(scorer.schema.names)])
    label = known[label_column].to_numpy(dtype=float)
    if task == "classification" and not np.isin(label, (0, 1)).all():
        odd = label[~np.isin(label, (0, 1))][0]
        raise ValueError(f"label_column={label_column!r} holds {odd:g}: 1 or 0 is needed")
    return Rows(
        time=windows.times(known, time_column, argument="time_column"),
        group=np.zeros(len(known), dtype=int),
        label=label,
        prediction=np.asarray(answers, dtype=float),
        score=np.full(len(known), np.nan) if scores is None else np.asarray(scores, dtype=float),
        positive=1,
        n_classes=2,
    )


def _effects(
    clean: Rows,
    broken: Rows,
    metrics: Mapping[str, Metric],
    *,
    block: windows.Length,
    draws: int,
    level: float,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Return each metric on both sides, and the change from the one to the other."""
    for name, metric in metrics.items():
        if "score" in metric.uses and np.isnan(clean.score).all():
            raise ValueError(f"metrics: {name!r} needs a score, and the model gives none")
    step = windows.whole_microseconds(windows.length(block, argument="block"))
    origin = windows.whole_microseconds(windows.ORIGIN)
    days = [(side.time - origin) // step for side in (clean, broken)]
    found, units = np.unique(np.concatenate(days), return_inverse=True)
    at = np.split(units, [len(clean)])
    n_units = len(found)
    estimators = {
        name: [
            metric.prepare(side, of_side, n_units)
            for side, of_side in zip((clean, broken), at, strict=True)
        ]
        for name, metric in metrics.items()
    }
    ones = np.ones((1, n_units))
    values = {name: [each(ones)[0] for each in pair] for name, pair in estimators.items()}
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    n_rows = len(clean) + len(broken)
    for weights in resampled_weights(n_units, draws=draws, n_rows=n_rows, rng=rng):
        for name, (without, with_it) in estimators.items():
            drawn[name].append(with_it(weights) - without(weights))
    effects = []
    for name, (before, after) in values.items():
        changes = np.concatenate(drawn[name])
        low, high = bootstrap_t(
            after - before, changes, n_units=n_units, scale="linear", level=level
        )
        if n_units > 1 and not changes.any():
            low = high = 0.0
        effects.append(
            {
                "metric": name,
                "clean": before,
                "broken": after,
                "change": after - before,
                "low": low,
                "high": high,
                "n_clean": len(clean),
                "n_broken": len(broken),
            }
        )
    return effects
