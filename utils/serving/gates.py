"""The gate between a trained model and service: rules, a verdict with reasons, and what it opens.

A rule speaks of the *bound* of an interval and not of the estimate: it asks that a model is shown
to be good enough, so what is too little to say anything lets nothing through. A model passes that
passes every rule, so one that breaks a rule passes with a chance of at most half of 1 - ``level``,
however many rules there are.

MLflow measures (``mlflow.models.evaluate``, in a run of its own) and decides
(``mlflow.validate_evaluation_results``); its own comparison with a baseline is not used. It asks
for a minimum of improvement, which a model as good as the champion does not have, and it compares
two estimates without knowing how sure they are. Here the *paired* difference on the same rows is a
metric of its own, and its upper bound has a threshold.

The verdict is kept with the version: a file in its run, and the tag ``vigia.gate``. What may go
into service is asked of these (``need_passed``), never of somebody's memory.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion as Registered
from mlflow.metrics import MetricValue
from mlflow.models import MetricThreshold, make_metric
from mlflow.models.evaluation.validation import ModelValidationFailedException

from utils.datasets.files import content_hash
from utils.monitors import windows
from utils.monitors.intervals import difference
from utils.monitors.paired import LOSSES, loss_change, losses
from utils.monitors.performance import MISSING_GROUP, Task, performance
from utils.records import VigiaError
from utils.serving.contract import contract_of
from utils.serving.tracking import experiment_id_of, tracking
from utils.serving.versions import (
    TAG,
    ModelVersion,
    NotCarried,
    address,
    carried,
    carry_text,
    opened,
    point,
    read_text,
)
from utils.text import date, metric_name, nearest, number, percent, tr

GATE = "gate"
PASSED, REFUSED = "passed", "refused"
_STATE = f"{TAG}{GATE}"
_FILE = f"{GATE}.file"

UNGATED = ("challenger",)
"""Aliases that a version may have without a verdict: it is looked at there, and decides nothing."""


class NotPassed(VigiaError):
    """The version was judged, and did not pass."""


class NeverJudged(NotPassed):
    """The version was never judged."""


# ----------------------------------------------------------------------------------- what is judged


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What was measured: a value with its interval, from ``n`` rows, of a group where named."""

    value: float
    low: float
    high: float
    n: int
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Labelled rows with a model's answers and the champion's, and how they are measured.

    ``settings`` are those of ``performance``; ``champion_prefix`` stands before the champion's
    columns. All measurements start from the same state of ``rng``: they see the same bootstrap
    samples, those of ``performance`` with a generator of that state.
    """

    frame: pd.DataFrame
    task: Task
    rng: np.random.Generator
    champion_prefix: str
    settings: Mapping[str, Any]

    def metric(self, name: str, *, by: str | None = None) -> pd.DataFrame:
        """Return the measurements of a metric: one row, or with ``by`` one for each group."""
        table = performance(
            self.frame,
            task=self.task,
            metrics=[name],
            group_column=by,
            rng=deepcopy(self.rng),
            window=None,
            **self.settings,
        )
        rows = table[table["metric"] == name]
        return rows[~rows["group"].isin(["", MISSING_GROUP])] if by else rows

    def loss_change(self, loss: str) -> Estimate:
        """Return how far the model's loss lies from the champion's on the same rows.

        Where the two cost the same on every row, the difference is 0 and its interval too.
        """
        own, champion = f"{loss} of the model", f"{loss} of the champion"
        frame = self.frame.assign(
            **{own: self._loss(loss), champion: self._loss(loss, prefix=self.champion_prefix)}
        )
        columns = ("time_column", "known_at_column", "level", "block", "draws", "minimum")
        table = loss_change(
            frame,
            reference_column=champion,
            current_column=own,
            rng=deepcopy(self.rng),
            window=None,
            **{name: self.settings[name] for name in columns if name in self.settings},
        )
        found = estimate(table.iloc[0])
        alike = (frame[own] - frame[champion]).dropna().eq(0).all()
        return replace(found, low=0.0, high=0.0) if alike and found.value == 0 else found

    def _loss(self, loss: str, *, prefix: str = "") -> pd.Series:
        if loss not in LOSSES:
            argument = f"loss={loss!r} is none of {', '.join(LOSSES)}, so a column of the frame:"
            return windows.column(self.frame, prefix + loss, argument=argument)
        label = windows.column(self.frame, self.settings["label_column"], argument="label_column")
        of = "prediction_column" if loss == "mae" else "score_column"
        answer = windows.column(self.frame, prefix + self.settings[of], argument=of)
        positive = self.settings.get("positive")
        if loss != "mae" and positive is not None:
            label = label.eq(positive).astype(float).where(label.notna())
        return losses(label, answer, loss=loss)


def estimate(row: pd.Series) -> Estimate:
    """Return a row of the measurements table as an estimate.

    >>> from utils.records import measurements
    >>> table = measurements([{"monitor": "performance", "metric": "mae", "value": 11.9,
    ...                        "n_current": 120, "window_start": None, "window_end": None}])
    >>> estimate(table.iloc[0]).n
    120
    """
    bounds = {name: float(row[name]) for name in ("value", "low", "high")}
    return Estimate(**bounds, n=int(row["n_current"]), where=row["group"])


# -------------------------------------------------------------------------------------- the rules


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """What is asked of a model: that a bound of an interval is at least, or at most, ``bound``."""

    bound: float

    at_least: ClassVar[bool] = False
    """Whether the lower end of the interval must not be below the bound; else the upper above."""

    @property
    @abstractmethod
    def key(self) -> str:
        """What MLflow calls the measured thing."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What a person calls it, in the language in force."""

    @abstractmethod
    def measure(self, evidence: Evidence) -> Estimate:
        """Measure it."""

    @property
    def side(self) -> str:
        """Which end of the interval is looked at."""
        return "low" if self.at_least else "high"

    @property
    def asked(self) -> str:
        """What is asked, in the language in force."""
        bound = number(self.bound)
        if self.at_least:
            return tr(pt=f"exige-se ao menos {bound}", en=f"at least {bound} is asked")
        return tr(pt=f"exige-se no máximo {bound}", en=f"at most {bound} is asked")


@dataclass(frozen=True, kw_only=True)
class _OfMetric(Rule):
    metric: str
    by: str | None = None

    @property
    def key(self) -> str:
        return self.metric if self.by is None else f"{self.metric}.by.{self.by}"

    @property
    def title(self) -> str:
        return metric_name(self.metric)

    def measure(self, evidence: Evidence) -> Estimate:
        found = [estimate(row) for _, row in evidence.metric(self.metric, by=self.by).iterrows()]
        return _worst(found, self.side, largest=not self.at_least)


@dataclass(frozen=True, kw_only=True)
class Floor(_OfMetric):
    """A metric is at least ``bound``: its interval does not reach below. With ``by``, for each
    group of that column: the one that reaches lowest decides.

    >>> Floor(metric="roc_auc", bound=0.65).key
    'roc_auc'
    """

    at_least: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Ceiling(_OfMetric):
    """A metric is at most ``bound``: its interval does not reach above. With ``by``, for each group
    of that column: the one that reaches highest decides.

    >>> Ceiling(metric="mae", bound=12.0, by="origin").key
    'mae.by.origin'
    """


@dataclass(frozen=True, kw_only=True)
class NonInferiority(Rule):
    """The model's mean loss is at most ``bound`` above the champion's, on the same rows.

    ``loss`` is ``log_loss``, ``brier`` or ``mae``, or a column of what each row costs, with the
    champion's beside it (``cost_brl`` and ``champion_cost_brl``). The margin ``bound`` is in its
    unit: how much worse would still not matter. It may be 0: an equal model passes.

    It compares on the rows that have a label, which is no fair comparison where the champion's
    answer decided who got one.

    >>> NonInferiority(loss="log_loss", bound=0.005).key
    'log_loss_change'
    """

    loss: str

    @property
    def key(self) -> str:
        return f"{self.loss}_change"

    @property
    def title(self) -> str:
        name = metric_name(self.loss)
        return tr(pt=f"{name}, modelo − campeão", en=f"{name}, model − champion")

    def measure(self, evidence: Evidence) -> Estimate:
        return evidence.loss_change(self.loss)


@dataclass(frozen=True, kw_only=True)
class GroupDifference(Rule):
    """A metric differs by at most ``bound`` between any two groups of the column ``by``.

    The value is that of the two groups that lie furthest apart (fairlearn's
    ``MetricFrame.difference``); the interval's upper end is the highest of all pairs, so that no
    pair is shown to be closer than it is. Rows without a group are in none. A group too small to
    measure refuses the model: name in ``groups`` those that are compared, and say so.

    >>> GroupDifference(metric="recall", by="sex", bound=0.05).key
    'recall.difference.sex'
    """

    metric: str
    by: str
    groups: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.metric}.difference.{self.by}"

    @property
    def title(self) -> str:
        name = metric_name(self.metric)
        return tr(
            pt=f"{name}, diferença entre grupos ({self.by})",
            en=f"{name}, difference between groups ({self.by})",
        )

    def measure(self, evidence: Evidence) -> Estimate:
        rows = evidence.metric(self.metric, by=self.by).set_index("group")
        for group in self.groups:
            if group not in rows.index:
                raise ValueError(
                    f"groups: {group!r} is no group of {self.by!r}; {nearest(group, rows.index)}"
                )
        rows = rows.loc[list(self.groups)] if self.groups else rows
        if len(rows) < 2:
            raise ValueError(
                f"by={self.by!r}: has {len(rows)} groups; two are needed for a difference"
            )
        if rows[["value", "low", "high"]].isna().any(axis=None):
            least = rows["n_current"].idxmin()
            return Estimate(
                value=np.nan, low=np.nan, high=np.nan, n=int(rows["n_current"].min()), where=least
            )
        pairs = [_apart(rows, *pair) for pair in itertools.combinations(rows.index, 2)]
        widest = max(pairs, key=lambda each: each.value)
        return replace(
            widest,
            low=max(each.low for each in pairs),
            high=max(each.high for each in pairs),
            n=int(rows["n_current"].sum()),
        )


@dataclass(frozen=True, kw_only=True)
class Unseen(Rule):
    """The judged rows are not those that the model learned from, by their digest.

    It finds the very table, not a part of it.

    >>> Unseen().key
    'seen_in_training'
    """

    bound: float = 0.0

    @property
    def key(self) -> str:
        return "seen_in_training"

    @property
    def title(self) -> str:
        return tr(pt="dados vistos no treino", en="data seen in training")

    def measure(self, evidence: Evidence) -> Estimate:
        return self.found(False, n=len(evidence.frame))

    @staticmethod
    def found(seen: bool, *, n: int) -> Estimate:
        """Return what is noted of data that was seen, or not."""
        return Estimate(value=float(seen), low=float(seen), high=float(seen), n=n)


RULES: Mapping[str, type[Rule]] = {
    each.__name__: each for each in (Floor, Ceiling, NonInferiority, GroupDifference, Unseen)
}


def _worst(found: Sequence[Estimate], side: str, *, largest: bool) -> Estimate:
    """Return the estimate whose end of the interval is the worst; one that has none is worst."""
    unknown = [each for each in found if math.isnan(getattr(each, side))]
    if unknown or not found:
        return min(
            unknown,
            key=lambda each: each.n,
            default=Estimate(value=np.nan, low=np.nan, high=np.nan, n=0),
        )
    return (max if largest else min)(found, key=lambda each: getattr(each, side))


def _apart(rows: pd.DataFrame, one: str, other: str) -> Estimate:
    """Return the absolute difference of two groups, with its interval."""
    high_group, low_group = sorted((one, other), key=lambda group: -rows.loc[group, "value"])
    above, below = rows.loc[high_group], rows.loc[low_group]
    value, low, high = difference(
        above["value"],
        above["low"],
        above["high"],
        reference=below["value"],
        reference_low=below["low"],
        reference_high=below["high"],
    )
    return Estimate(
        value=float(value),
        low=max(0.0, float(low)),
        high=float(high),
        n=int(above["n_current"] + below["n_current"]),
        where=f"{high_group} − {low_group}",
    )


# ------------------------------------------------------------------------------------ the verdict


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A rule, what was measured, and whether that passes."""

    rule: Rule
    measured: Estimate
    passed: bool

    @property
    def sentence(self) -> str:
        """What was asked and what was found, in the language in force."""
        if isinstance(self.rule, Unseen):
            return self._of_unseen()
        return f"{self._found()}: {self.rule.asked}{self._because()}"

    def _found(self) -> str:
        at, where = self.measured, self.measured.where
        name = f"{self.rule.title} [{where}]" if where else self.rule.title
        if math.isnan(at.value):
            return name
        if math.isnan(at.low):
            return f"{name}, {number(at.value, digits=4)}"
        low, high = number(at.low, digits=4), number(at.high, digits=4)
        interval = tr(pt=f"de {low} a {high}", en=f"{low} to {high}")
        return f"{name}, {number(at.value, digits=4)} ({interval})"

    def _because(self) -> str:
        at, end = self.measured, getattr(self.measured, self.rule.side)
        rows = number(at.n)
        if math.isnan(end):
            return tr(
                pt=f", e {rows} linhas não dão um intervalo: não se pode afirmar isso.",
                en=f", and {rows} rows give no interval: it cannot be said.",
            )
        if self.passed:
            return tr(pt=", e todo o intervalo cumpre.", en=", and the whole interval complies.")
        if (at.value >= self.rule.bound) if self.rule.at_least else (at.value <= self.rule.bound):
            return tr(
                pt=", e o intervalo vai além: o que se sabe não basta para afirmar isso.",
                en=", and the interval goes beyond: too little is known to say so.",
            )
        return tr(pt=", e a própria estimativa não cumpre.", en=", and the estimate fails it.")

    def _of_unseen(self) -> str:
        if self.passed:
            return tr(
                pt="As linhas julgadas não são as do treino.",
                en="The judged rows are not those of the training.",
            )
        return tr(
            pt="As linhas julgadas são as do treino: julgue o modelo por um período posterior.",
            en="The judged rows are those of the training: judge the model by a later period.",
        )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a gate says of a model: every rule with what was found, and the rows it looked at.

    ``digest`` names the judged data, ``run_id`` MLflow's run of the evaluation.
    """

    outcomes: tuple[Outcome, ...]
    data: str
    digest: str
    n_rows: int
    start: datetime | None
    end: datetime | None
    level: float
    block: str | None
    run_id: str = ""

    @property
    def passed(self) -> bool:
        """Whether every rule is kept; without a rule nothing passes."""
        return bool(self.outcomes) and all(each.passed for each in self.outcomes)

    @property
    def broken(self) -> tuple[Outcome, ...]:
        """The outcomes that do not pass."""
        return tuple(each for each in self.outcomes if not each.passed)

    @property
    def reasons(self) -> list[str]:
        """A sentence for each rule that is broken, in the language in force."""
        return [each.sentence for each in self.broken]

    @property
    def title(self) -> str:
        """The verdict in a line, in the language in force."""
        kept, n = len(self.outcomes) - len(self.broken), len(self.outcomes)
        if self.passed:
            return tr(pt=f"Aprovado: {kept} de {n} regras.", en=f"Passed: {kept} of {n} rules.")
        return tr(pt=f"Recusado: {kept} de {n} regras.", en=f"Refused: {kept} of {n} rules kept.")

    @property
    def basis(self) -> str:
        """The rows that were judged and how, in the language in force."""
        rows, level = number(self.n_rows), percent(self.level)
        parts = [
            f"{self.data} ({self.digest})",
            tr(pt=f"{rows} linhas", en=f"{rows} rows"),
        ]
        if self.start is not None and self.end is not None:
            start, end = date(self.start), date(self.end)
            parts.append(tr(pt=f"de {start} a {end}", en=f"{start} to {end}"))
        intervals = tr(pt=f"intervalos de {level}", en=f"intervals of {level}")
        parts.append(intervals + (self.block and f", {_in_blocks(self.block)}" or ""))
        return "; ".join(parts)

    def table(self) -> pd.DataFrame:
        """Return a row for each rule: metric, where, value, low, high, bound, n and passed."""
        return pd.DataFrame(
            [
                {
                    "metric": each.rule.key,
                    "where": each.measured.where,
                    "value": each.measured.value,
                    "low": each.measured.low,
                    "high": each.measured.high,
                    "rule": f"{each.rule.side} {'>=' if each.rule.at_least else '<='}",
                    "bound": each.rule.bound,
                    "n": each.measured.n,
                    "passed": each.passed,
                }
                for each in self.outcomes
            ]
        )

    def __str__(self) -> str:
        marks = {True: "✓", False: "✗"}
        lines = [f"{marks[each.passed]} {each.sentence}" for each in self.outcomes]
        return "\n".join([self.title, *lines, f"({self.basis})"])

    def to_json(self) -> str:
        """Return the verdict as JSON that ``from_json`` reads; what is not a number is null."""
        told = {
            **{name: getattr(self, name) for name in ("data", "digest", "n_rows", "level")},
            **{name: getattr(self, name) for name in ("block", "run_id")},
            "passed": self.passed,
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "outcomes": [
                {
                    "rule": {"kind": type(each.rule).__name__, **asdict(each.rule)},
                    "measured": {
                        name: None if value != value else value
                        for name, value in asdict(each.measured).items()
                    },
                    "passed": each.passed,
                }
                for each in self.outcomes
            ],
        }
        return json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Verdict:
        """Return the verdict that ``to_json`` wrote."""
        told = json.loads(text)
        del told["passed"]  # it follows from the outcomes
        for name in ("start", "end"):
            told[name] = told[name] and pd.Timestamp(told[name])
        told["outcomes"] = tuple(_outcome(each) for each in told["outcomes"])
        return cls(**told)


def _in_blocks(block: str) -> str:
    """Return how long the blocks are that were taken as wholes, in the language in force."""
    hours = pd.Timedelta(block) / pd.Timedelta(hours=1)
    days = hours / 24
    if days != int(days):
        return tr(pt=f"por blocos de {number(hours)} h", en=f"by blocks of {number(hours)} h")
    if days == 1:
        return tr(pt="por dias inteiros", en="by whole days")
    return tr(pt=f"por blocos de {number(days)} dias", en=f"by blocks of {number(days)} days")


def _outcome(told: dict[str, Any]) -> Outcome:
    about = dict(told["rule"])
    kind = RULES[about.pop("kind")]
    if "groups" in about:
        about["groups"] = tuple(about["groups"])
    at = {name: np.nan if value is None else value for name, value in told["measured"].items()}
    return Outcome(rule=kind(**about), measured=Estimate(**at), passed=told["passed"])


# ---------------------------------------------------------------------------------------- judging


def judge(
    frame: pd.DataFrame,
    *,
    rules: Sequence[Rule],
    task: Task,
    rng: np.random.Generator,
    data: str = "later",
    digest: str | None = None,
    trained_on: Sequence[str] = (),
    block: windows.Length | None = "1D",
    level: float = 0.95,
    minimum: int = 30,
    draws: int = 500,
    positive: Any = None,
    tolerance: float | None = None,
    time_column: str = "event_time",
    label_column: str = "label",
    prediction_column: str = "prediction",
    score_column: str = "score",
    champion_prefix: str = "champion_",
    experiment: str = "gates",
    tracking_uri: str | None = None,
) -> Verdict:
    """Judge a model by labelled rows of a later period, and return the verdict.

    The frame holds what the model answers on each row and, for ``NonInferiority``, what the
    champion answers on the same rows, in columns with ``champion_prefix``. Nothing is decided by
    it: ``record`` notes the verdict of a version. ``data`` and ``digest`` name the rows (the digest
    of a table as it was before answers stood beside it; else it is made of ``frame``); where it is
    among ``trained_on``, the model is refused. The evaluation is a run of its own in
    ``experiment``, with every value and bound.

    What it does not tell: how the model does on rows whose label nobody knows, and later.

    ``task``, ``block``, ``minimum``, ``draws``, ``positive``, ``tolerance`` and the columns are
    those of ``performance``.

    Raises ``ValueError`` for no rule, for two of one kind on the same thing, for a labelled row
    without an answer, and as ``performance`` does.

    >>> from tempfile import TemporaryDirectory
    >>> hours = pd.date_range("2013-06-01", periods=480, freq="1h", tz="UTC")
    >>> late, missed = np.random.default_rng(0).gamma(2.0, 10.0, (2, 480))
    >>> frame = pd.DataFrame({"event_time": hours, "label": late, "prediction": late + missed,
    ...                       "champion_prediction": late + 0.9 * missed})
    >>> rules = [Ceiling(metric="mae", bound=30.0), NonInferiority(loss="mae", bound=0.5)]
    >>> with TemporaryDirectory() as folder:
    ...     verdict = judge(frame, rules=rules, task="regression", rng=np.random.default_rng(0),
    ...                     tracking_uri=f"sqlite:///{folder}/mlflow.db")
    >>> verdict.passed, [each.rule.key for each in verdict.broken]
    (False, ['mae_change'])
    """
    _check_rules(rules)
    _check_answers(
        frame,
        label_column=label_column,
        answers=[
            f"{prefix}{column}"
            for prefix in ("", champion_prefix)
            for column in (prediction_column, score_column)
        ],
    )
    settings = {
        "block": block,
        "level": level,
        "minimum": minimum,
        "draws": draws,
        "positive": positive,
        "tolerance": tolerance,
        "time_column": time_column,
        "label_column": label_column,
        "prediction_column": prediction_column,
        "score_column": score_column,
    }
    times = pd.DatetimeIndex(windows.column(frame, time_column, argument="time_column"))
    evidence = Evidence(
        frame=frame,
        task=task,
        rng=deepcopy(rng),
        champion_prefix=champion_prefix,
        settings=settings,
    )
    rng.integers(2)  # the next judging by this generator sees other samples
    digest = digest or content_hash(frame)[:16]
    found = [(rule, rule.measure(evidence)) for rule in rules]
    if trained_on:
        found.append((Unseen(), Unseen.found(digest in trained_on, n=len(frame))))
    answers = frame[[label_column, prediction_column]]
    outcomes, run_id = _decided(
        found,
        answers,
        label_column=label_column,
        prediction_column=prediction_column,
        name=data,
        digest=digest,
        experiment=experiment,
        tracking_uri=tracking_uri,
    )
    return Verdict(
        outcomes=outcomes,
        data=data,
        digest=digest,
        n_rows=len(frame),
        start=times.min() if len(times) else None,
        end=times.max() if len(times) else None,
        level=level,
        block=None if block is None else str(block),
        run_id=run_id,
    )


def _check_rules(rules: Sequence[Rule]) -> None:
    if not rules:
        raise ValueError("rules=[]: at least one rule is needed; without any, nothing passes")
    seen = set()
    for rule in rules:
        if (kind := (rule.key, rule.at_least)) in seen:
            raise ValueError(f"rules: two ask the same of {rule.key!r}; keep the stricter one")
        seen.add(kind)


def _check_answers(frame: pd.DataFrame, *, label_column: str, answers: Sequence[str]) -> None:
    """Raise ``ValueError`` where a model is silent on rows that it would be judged by."""
    labelled = windows.column(frame, label_column, argument="label_column").notna()
    for name in answers:
        if name in frame.columns:
            silent = int((labelled & frame[name].isna()).sum())
            if silent:
                raise ValueError(
                    f"frame: {silent} labelled rows have no {name!r}; judged without them, a model "
                    "that is silent on what is hard would pass: let it answer every row"
                )


def _decided(
    found: Sequence[tuple[Rule, Estimate]],
    answers: pd.DataFrame,
    *,
    label_column: str,
    prediction_column: str,
    name: str,
    digest: str,
    experiment: str,
    tracking_uri: str | None,
) -> tuple[tuple[Outcome, ...], str]:
    """Let MLflow note what was measured in a run, and decide on each rule."""
    metrics = {_metric(rule): at for rule, at in found}
    with tracking(tracking_uri) as client:
        experiment_id = experiment_id_of(client, experiment)
        with mlflow.start_run(experiment_id=experiment_id, run_name=GATE, nested=True) as run:
            mlflow.log_params({f"{_metric(rule)}.{rule.side}": rule.bound for rule, _ in found})
            result = mlflow.models.evaluate(
                data=mlflow.data.from_pandas(
                    answers,
                    targets=label_column,
                    predictions=prediction_column,
                    name=name,
                    digest=digest,
                ),
                extra_metrics=[
                    make_metric(eval_fn=_given(at), greater_is_better=True, name=key)
                    for key, at in metrics.items()
                ],
            )
            outcomes = tuple(
                Outcome(rule=rule, measured=at, passed=_passes(rule, result)) for rule, at in found
            )
            passed = all(each.passed for each in outcomes)
            mlflow.set_tag(_STATE, PASSED if passed else REFUSED)
    return outcomes, run.info.run_id


def _metric(rule: Rule) -> str:
    """Return a rule's key in the characters that MLflow takes for a metric."""
    return re.sub(r"[^A-Za-z0-9_. :-]", "_", rule.key)


def _given(at: Estimate):
    """Return a metric function of MLflow's that gives what was measured, interval and all."""
    parts = {name: getattr(at, name) for name in ("value", "low", "high", "n")}

    def measured(predictions, targets, metrics) -> MetricValue:
        return MetricValue(aggregate_results=parts)

    return measured


def _passes(rule: Rule, result: mlflow.models.EvaluationResult) -> bool:
    """Return what MLflow decides on one rule; what is missing or not a number does not pass."""
    threshold = MetricThreshold(threshold=float(rule.bound), greater_is_better=rule.at_least)
    try:
        mlflow.validate_evaluation_results(
            candidate_result=result,
            validation_thresholds={f"{_metric(rule)}/{rule.side}": threshold},
        )
    except ModelValidationFailedException:
        return False
    return True


# ---------------------------------------------------------------- what a version keeps, and opens


def record(
    version: str | ModelVersion, verdict: Verdict, *, tracking_uri: str | None = None
) -> Verdict:
    """Note a verdict of a version, in place of one that was there, and return what was noted.

    It is refused, whatever else it says, where its rows are those that the version's run logged as
    its training data. While it is being noted the version counts as never judged.

    Raises ``Unsigned`` for a model without a signature, which nothing after the gate could serve,
    and as ``versions.version_of`` does.
    """
    with opened(version, tracking_uri=tracking_uri) as (client, registered):
        contract_of(mlflow.models.get_model_info(address(registered)).signature)
        verdict = _with_training(verdict, trained_on(client, registered))
        if _STATE in registered.tags:
            client.delete_model_version_tag(registered.name, str(registered.version), _STATE)
        uri = carry_text(client, registered, GATE, verdict.to_json(), suffix=".json")
        point(client, registered, _FILE, uri)
        point(client, registered, GATE, PASSED if verdict.passed else REFUSED)
    return verdict


def trained_on(client: MlflowClient, version: Registered) -> tuple[str, ...]:
    """Return the digests of the data that a version's run logged in the context ``training``."""
    inputs = client.get_run(version.run_id).inputs.dataset_inputs if version.run_id else []
    return tuple(
        each.dataset.digest
        for each in inputs
        if "training" in {tag.value for tag in each.tags if tag.key == "mlflow.data.context"}
    )


def _with_training(verdict: Verdict, digests: Sequence[str]) -> Verdict:
    if verdict.digest not in digests:
        return verdict
    others = [each for each in verdict.outcomes if not isinstance(each.rule, Unseen)]
    seen = Outcome(rule=Unseen(), measured=Unseen.found(True, n=verdict.n_rows), passed=False)
    return replace(verdict, outcomes=(*others, seen))


def _read_verdict(path: Path) -> Verdict:
    return Verdict.from_json(read_text(path))


def verdict_of(model_uri: str, *, tracking_uri: str | None = None) -> Verdict:
    """Return the verdict that was noted of a version, found by any address.

    Raises ``NeverJudged`` where there is none, ``ChangedArtifact`` where its file is gone or is
    another one, and as ``versions.version_of`` does.
    """
    with opened(model_uri, tracking_uri=tracking_uri) as (client, registered):
        return verdict_in(client, registered)


def verdict_in(client: MlflowClient, registered: Registered) -> Verdict:
    """Return the verdict of a version that was found already; see ``verdict_of``."""
    state = registered.tags.get(_STATE)
    try:
        verdict, _ = carried(client, registered, _FILE, _read_verdict)
    except NotCarried:
        state = None
    if state is None:
        raise NeverJudged(
            tr(
                pt=f"{address(registered)}: nunca foi julgado, ou o julgamento foi interrompido; "
                "julgue-o (gates.judge) e registre o veredito (gates.record)",
                en=f"{address(registered)}: was never judged, or the judging broke off; judge it "
                "(gates.judge) and record the verdict (gates.record)",
            )
        )
    if state != (PASSED if verdict.passed else REFUSED):
        raise NeverJudged(
            tr(
                pt=f"{address(registered)}: a marca diz {state!r}, e o veredito guardado diz outra "
                "coisa; julgue-o de novo e registre o veredito",
                en=f"{address(registered)}: its tag says {state!r} and the verdict on file does "
                "not; judge it again and record the verdict",
            )
        )
    return verdict


def need_passed(model_uri: str, *, tracking_uri: str | None = None) -> Verdict:
    """Return the verdict of a version that passed its gate; refuse any other.

    Raises ``NotPassed`` naming the rules that it broke, in the language in force, and as
    ``verdict_of`` does.
    """
    with opened(model_uri, tracking_uri=tracking_uri) as (client, registered):
        return _need_passed(client, registered)


def _need_passed(client: MlflowClient, registered: Registered) -> Verdict:
    verdict = verdict_in(client, registered)
    if not verdict.passed:
        where, reasons = address(registered), " ".join(verdict.reasons)
        raise NotPassed(
            tr(
                pt=f"{where}: não passou pelo seu portão de validação. {reasons} Melhore o modelo "
                "ou mude as regras às claras, e julgue-o de novo.",
                en=f"{where}: did not pass its gate. {reasons} Improve the model, or change the "
                "rules openly, and judge it again.",
            )
        )
    return verdict


def promote(
    name: str, version: str, *, alias: str = "champion", tracking_uri: str | None = None
) -> str | None:
    """Point an alias at a version that passed its gate, and return the version it had before.

    The aliases ``UNGATED`` may be given to any version. Of two promotions at once the later one
    stands: an alias means one version at every moment.

    Raises as ``need_passed`` does; the alias stays where it was.
    """
    with opened(f"models:/{name}/{version}", tracking_uri=tracking_uri) as (client, registered):
        if alias not in UNGATED:
            _need_passed(client, registered)
        before = client.get_registered_model(name).aliases.get(alias)
        client.set_registered_model_alias(name, alias, str(registered.version))
    return None if before is None else str(before)
