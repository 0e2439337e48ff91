"""The loop over one deployment: collect, monitor, alert, and act, window after window.

A run is about one window. It collects what was captured, measures it, evaluates the alert rules,
puts what is broken into quarantine, decides on one action, and does it: retrain and judge at a
gate, look at the candidate in the shadow or as a canary, promote, roll back, fall back. A candidate
takes several runs: what it did in one window is looked at by the next. All is done through
``steps.Run``, so a run that breaks off anywhere is taken up where it was.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from utils.exporters.schedules import EndState, end_state
from utils.monitors import windows
from utils.monitors.suite import Task
from utils.operations import (
    actions,
    alerting,
    decisions,
    life,
    notifications,
    quarantine,
    steps,
)
from utils.operations.canary import Canary, differences, differences_apart, looked
from utils.operations.candidates import LABEL, TIME, Models, captured
from utils.operations.decisions import Change, Facts, Limits
from utils.operations.life import Candidate, Life, Window, canary_name
from utils.operations.remedies import Remedy, retrain
from utils.operations.steps import Body, Declined, GivenUp, Run, Waiting, in_both, read_out
from utils.records import AlertRule, Deployment, VigiaError, utc_now
from utils.serving import gates
from utils.serving.benchmarks import answered
from utils.serving.models import deploy
from utils.serving.splits import Split, begin_split, end_split
from utils.store import Store
from utils.text import nearest, tr

GATED = ("retrain", "canary", "promote", "roll back", "fall back", "return")
"""Before which of its actions a person can be asked."""

Outcome = EndState | Literal["waiting for approval"]

_REALISED = ("performance", "calibration")
_DRIFT = ("drift", "prediction_drift", "label_drift")


class NoData(VigiaError):
    """A window in which nothing was captured."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a monitor is given: the rows of a window with the labels known, and the reference."""

    window: Window
    current: pd.DataFrame
    reference: pd.DataFrame
    version: str
    features: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the loop does for a deployment, and within which limits.

    ``monitor`` returns the measurements of a window. ``collect``, where there is one, brings what
    happened until a run into the store (labels from elsewhere, or simulated traffic); it may be
    called again for the same window. A model learns from at most ``learned`` back, and is judged by
    the newest ``judged``, from which it learns nothing; ``margin`` is by how much its mean loss may
    exceed the champion's there, at the upper end of the interval: 0 asks that it is shown to be no
    worse. ``gate_rules`` are asked beside. A version that was promoted less than ``watched`` ago is
    compared with the one before; a candidate stays at most ``shadowed`` in the shadow. With
    ``paired`` the canary is compared with what the champion would have answered to the same
    requests; without, with the others (for answers that change what becomes of a case).
    ``source_column`` says who reports labels, ``fallback`` is the alias of a version that needs
    less. The steps ``gated`` wait for a person.

    Raises ``ValueError`` naming the field, its value and the rule.
    """

    deployment: str
    task: Task
    loss: str
    monitor: Callable[[Seen], pd.DataFrame]
    rules: Sequence[AlertRule]
    canary: Canary
    collect: Callable[[Window, Life], object] | None = None
    remedies: Sequence[Remedy] = field(default_factory=lambda: (retrain(),))
    limits: Limits = field(default_factory=Limits)
    learned: timedelta = timedelta(days=3650)
    judged: timedelta = timedelta(days=14)
    margin: float = 0.0
    gate_rules: Sequence[gates.Rule] = ()
    watched: timedelta = timedelta(days=28)
    shadowed: timedelta = timedelta(days=21)
    referred: timedelta = timedelta(days=91)
    paired: bool = True
    source_column: str = ""
    fallback: str = ""
    gated: Collection[str] = ()
    channels: Sequence[str] = ()
    language: str = "pt"
    runbooks: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for step in self.gated:
            if step not in GATED:
                raise ValueError(f"gated: {step!r} is no step that waits; {nearest(step, GATED)}")
        if not self.remedies:
            raise ValueError("remedies=(): at least one is needed")
        if not self.margin >= 0:
            raise ValueError(f"margin={self.margin!r}: must be 0 or more, in the unit of the loss")
        for name in ("judged", "watched", "shadowed", "referred", "learned"):
            if not getattr(self, name) > timedelta(0):
                raise ValueError(f"{name}={getattr(self, name)}: must be above 0")


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The loop of one plan over a store and a registry; ``run`` does one window."""

    plan: Plan
    store: Store
    tracking_uri: str | None = None
    watch: Callable[[str, str], object] = lambda phase, step: None
    sleep: Callable[[float], object] = time.sleep

    @cached_property
    def models(self) -> Models:
        return Models(
            name=self.store.deployment(self.plan.deployment).model_name,
            task=self.plan.task,
            loss=self.plan.loss,
            tracking_uri=self.tracking_uri,
        )

    @property
    def life(self) -> Life:
        """Where the models stand now."""
        return life.life_of(self.store, self.plan.deployment)

    def run(
        self,
        window: Window,
        *,
        clock: Callable[[], datetime] = utc_now,
        hold: Callable[[], object] = lambda: None,
    ) -> Outcome:
        """Do a window, or what is left of it, and return how it ended.

        A run that ended stays as it ended. ``clock`` gives the moment that is written; ``hold``
        raises where somebody else acts now.
        """
        name = self.plan.deployment
        for known in life.runs_of(self.store, name):
            if known.window.id == window.id and known.state:
                return known.state
        opened = {"start": window.start.isoformat(), "end": window.end.isoformat()}
        opened["moment"] = window.run.isoformat()
        life.note(self.store, name, window.id, "opened", at=clock(), body=opened)
        run = Run(
            store=self.store,
            deployment=name,
            id=window.id,
            clock=clock,
            gated=self.plan.gated,
            hold=hold,
            watch=self.watch,
            sleep=self.sleep,
        )
        try:
            n_alerts: int | None = _Acting(loop=self, run=run, window=window).all()
            said: dict[str, Any] = {"n_alerts": n_alerts}
        except Waiting:
            return "waiting for approval"
        except GivenUp as error:
            n_alerts, said = None, {"error": str(error)}
            actions.give_back(self.store, name, run=window.id, at=clock())
        state = end_state(n_alerts)
        body = {"state": state, **said}
        life.note(self.store, name, window.id, "ended", at=clock(), body=body)
        return state


@dataclass(frozen=True, kw_only=True)
class _Acting:
    """One run at work: its steps, and the frames that they share."""

    loop: Loop
    run: Run
    window: Window

    @property
    def plan(self) -> Plan:
        return self.loop.plan

    @property
    def store(self) -> Store:
        return self.loop.store

    @property
    def models(self) -> Models:
        return self.loop.models

    def all(self) -> int:
        """Do every step, and return how many alerts are open in this window."""
        step = self.run.step
        step("collect", self._collect)
        step("monitor", self._monitor)
        n_open = step("alert", self._alert)["open"]
        step("quarantine", self._quarantine)
        decision = step("decide", self._decide)
        act = {
            "retrain": self._retrain,
            "shadow": self._shadow,
            "canary": self._canary,
            "roll back": self._roll_back,
            "fall back": self._fall_back,
            "return": self._return,
        }.get(decision["action"])
        if act is not None:
            try:
                act(decision)
            except Declined as error:
                said = str(error)
                step("declined", lambda: self._declined(said))
        return n_open

    # ------------------------------------------------------------------- what it works with

    def _rng(self, what: str) -> np.random.Generator:
        """Return a generator that is the same when this run comes to the same place again."""
        return np.random.default_rng(
            [self.plan.seed, zlib.crc32(self.window.id.encode()), zlib.crc32(what.encode())]
        )

    def _note(self, kind: str, *, of: str = "", **body: Any) -> None:
        about = {"at": self.run.clock(), "body": body, "of": of}
        life.note(self.store, self.plan.deployment, self.window.id, kind, **about)

    def _read(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return what was captured, by the canary too, with the labels that the run knows."""
        names = [self.plan.deployment, canary_name(self.plan.deployment)]
        return captured(self.store, names, start=start, end=end, known_as_of=self.window.run)

    @cached_property
    def current(self) -> pd.DataFrame:
        """The rows of the window."""
        return self._read(self.window.start, self.window.end)

    @cached_property
    def champion(self) -> str:
        """The version that is the champion at the beginning of the run."""
        return (
            self.models.version_at("champion")
            or self.store.deployment(self.plan.deployment).model_version
        )

    @cached_property
    def features(self) -> tuple[str, ...]:
        return self.models.scorer(self.champion).schema.names

    @cached_property
    def first(self) -> Deployment:
        """The first deployment of the name."""
        every = self.store.deployments()
        own = every[every["name"] == self.plan.deployment].sort_values("created_at", kind="stable")
        return self.store.deployment(own["deployment_crn"].iloc[0])

    @cached_property
    def history(self) -> pd.DataFrame:
        """What was known before the first deployment: the reference that its version carries."""
        found = self.models.reference(self.first.model_version)
        return pd.DataFrame() if found is None or LABEL not in found else found

    def _past(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return sound labelled rows of before and of what was captured: ``start <= t < end``."""
        rows = self._read(start, end)
        before = self.history
        if len(before):
            early = (before[TIME] >= start) & (before[TIME] < min(self.first.created_at, end))
            rows = pd.concat([before[early], rows], ignore_index=True)
        held = quarantine.spans(self.store, self.plan.deployment)
        return quarantine.sound(rows.dropna(subset=[LABEL]), held)

    @cached_property
    def judged_from(self) -> datetime:
        return self.window.end - self.plan.judged

    # ------------------------------------------------------------------- the first five steps

    def _collect(self) -> Body:
        if self.plan.collect is not None:
            self.plan.collect(self.window, self.loop.life)
        self.__dict__.pop("current", None)  # a try before this one may have found less
        n, known = len(self.current), int(self.current[LABEL].notna().sum())
        if not n:
            raise NoData(
                tr(
                    pt=f"nenhuma previsão entre {self.window.start} e {self.window.end}: o "
                    "endpoint está de pé, e captura?",
                    en=f"no prediction between {self.window.start} and {self.window.end}: is the "
                    "endpoint up, and does it capture?",
                )
            )
        return {"n": n, "n_labelled": known}

    def _monitor(self) -> Body:
        found = self.models.reference(self.champion)
        seen = Seen(
            window=self.window,
            current=self.current,
            reference=self.history if found is None else found,
            version=self.champion,
            features=self.features,
        )
        table = self.plan.monitor(seen).assign(known_as_of=self.window.run)
        n = self.store.write_measurements(self.plan.deployment, table)
        return {"n": n, "n_alarms": int(table["alarm"].sum())}

    def _alert(self) -> Body:
        name, now = self.plan.deployment, self.run.clock()
        before = max((each.persistence for each in self.plan.rules), default=1)
        length = self.window.end - self.window.start
        table = self.store.measurements(name, start=self.window.start - before * length)
        alerting.evaluate(self.store, name, self.plan.rules, table, at=now)
        if self.plan.channels:
            notifications.tell(
                self.store,
                name,
                self.plan.channels,
                language=self.plan.language,
                rng=self._rng("tell"),
                now=now,
                runbooks=self.plan.runbooks,
            )
        asked = [each.action for each in self._open(now)]
        return {"open": len(asked), "asked": sorted(set(asked))}

    def _open(self, now: datetime) -> list[alerting.AlertState]:
        """Return the alerts that are open, and were outside in this very window."""
        every = alerting.alerts(self.store, self.plan.deployment, at=now)
        return [each for each in every if each.is_open and each.last_seen >= self.window.end]

    @cached_property
    def measured(self) -> pd.DataFrame:
        return self.store.measurements(
            self.plan.deployment, start=self.window.start, end=self.window.end
        )

    def _quarantine(self) -> Body:
        name, now = self.plan.deployment, self.run.clock()
        alarms = quarantine.broken(self.measured, start=self.window.start, end=self.window.end)
        broken = quarantine.broken_spans(alarms)
        # An answer that rests on broken inputs says nothing about the labels beside it.
        lying = [] if broken else self._lying()
        for span in (*broken, *lying):
            quarantine.put(self.store, name, span, at=now)
        held = {
            "broken": [dict(each.why) for each in broken],
            "lying": [dict(each.why) for each in lying],
        }
        every = [*held["broken"], *held["lying"]]
        return {**held, "why": _together(every)} if every else held

    def _lying(self) -> list[quarantine.Span]:
        column = self.plan.source_column
        if not column:
            return []
        usual = self._past(self.window.start - self.plan.referred, self.window.start)
        current = self.current
        of = "score" if self.plan.loss != "mae" else "prediction"
        return quarantine.liars(
            usual,
            current,
            source_column=column,
            start=self.window.start,
            end=self.window.end,
            like=self._numbers(),
            answer_column=of,
            window=f"{(self.window.end - self.window.start) // timedelta(seconds=1)}s",
        )

    def _numbers(self) -> list[str]:
        """Return the inputs that are numbers."""
        columns = self.models.scorer(self.champion).schema.columns
        kinds = ("double", "float", "long", "integer")
        return [each.name for each in columns if each.kind in kinds]

    def _decide(self) -> Body:
        return decisions.decide(self._facts(), self.plan.limits, at=self.run.clock()).to_body()

    def _facts(self) -> Facts:
        known, now = self.run.events(), self.run.clock()
        taken = actions.take(self.store, self.plan.deployment, run=self.window.id, at=now)
        requested = frozenset(each.action for each in taken)
        held = known["quarantine"].body
        stands = self.loop.life
        alarmed = self.measured[self.measured["alarm"]]
        performance_alarmed = bool(alarmed["monitor"].isin(_REALISED).any())
        asked = requested | frozenset(known["alert"].body["asked"])
        learnable, ripe = 0, 1.0
        if "retrain" in asked and stands.candidate is None:
            learnable, ripe = len(self._learnable()), self._ripe()
        return Facts(
            asked=asked,
            requested=requested,
            broken=held["broken"],
            lying=held["lying"],
            ripe=ripe,
            n_learnable=learnable,
            performance_alarmed=performance_alarmed,
            drift_alarmed=bool(alarmed["monitor"].isin(_DRIFT).any()),
            stage=stands.candidate.stage if stands.candidate else "",
            waiting=self._waiting(),
            previous=stands.previous,
            trained_at=stands.trained_at,
            regret=self._regret(stands),
            fallback=self.models.version_at(self.plan.fallback) if self.plan.fallback else "",
            fell_back_from=stands.fell_back_from,
            relief=self._relief(stands, wanted=bool(held["broken"]) and performance_alarmed),
        )

    def _waiting(self) -> str:
        """Return another run that waits for somebody, or an empty text."""
        for known in life.runs_of(self.store, self.plan.deployment):
            stream = steps.stream_of(self.plan.deployment, known.window.id)
            if known.window.id != self.window.id and not known.state:
                if steps.waits_for(self.store.events(stream)):
                    return known.window.id
        return ""

    def _learnable(self) -> pd.DataFrame:
        return self._past(self.window.end - self.plan.learned, self.judged_from)

    def _ripe(self) -> float:
        """Return which share of the rows that are to judge, and are due, have their label."""
        rows = self._read(self.judged_from, self.window.end)
        due = rows[rows[TIME] < self.window.run - self.plan.limits.settled]
        return float(due[LABEL].notna().mean()) if len(due) else 0.0

    def _sound(self, frame: pd.DataFrame) -> pd.DataFrame:
        return quarantine.sound(frame, quarantine.spans(self.store, self.plan.deployment))

    def _regret(self, stands: Life) -> Change | None:
        if not stands.previous or self.window.run > stands.promoted_at + self.plan.watched:
            return None
        start = max(stands.promoted_at, self.window.start)
        rows = self._sound(self.current[self.current[TIME] >= start])
        own = self.champion
        return self.models.change(own, stands.previous, rows, rng=self._rng("regret"))

    def _relief(self, stands: Life, *, wanted: bool) -> Change | None:
        """Return what the fallback would have changed, or changes; on all rows, broken ones too."""
        if not self.plan.fallback or not (wanted or stands.fell_back_from):
            return None
        version = self.models.version_at(self.plan.fallback)
        if not version:
            return None
        than = stands.fell_back_from or self.champion
        return self.models.change(version, than, self.current, rng=self._rng("relief"))

    # ------------------------------------------------------------------- what is done

    def _retrain(self, decision: Body) -> None:
        self.run.need_approval("retrain", why=decision["why"])
        for remedy in self.plan.remedies:
            made = self.run.step(f"train/{remedy.name}", lambda r=remedy: self._train(r))
            verdict = self.run.step(f"gate/{remedy.name}", lambda m=made: self._gate(m["version"]))
            if verdict["passed"]:
                about = {"version": made["version"], "remedy": remedy.name}
                self.run.step("into the shadow", lambda a=about: self._into_the_shadow(a))
                return

    def _train(self, remedy: Remedy) -> Body:
        rows = self._learnable()
        newest = rows[rows[TIME] >= self.judged_from - self.plan.referred]
        version = self.models.make(
            remedy,
            rows,
            champion=self.champion,
            run=self.window.id,
            reference=newest,
            rng=self._rng("benchmark"),
        )
        self._note("trained", of=remedy.name, version=version, remedy=remedy.name)
        return {"version": version, "remedy": remedy.name, "n": len(rows)}

    def _gate(self, version: str) -> Body:
        """Judge a version by the newest labelled rows, beside the champion."""
        rows = self._past(self.judged_from, self.window.end)
        rows = rows[[TIME, *self.features, LABEL]]
        frame = answered(self.models.scorer(version), rows)
        frame = answered(self.models.scorer(self.champion), frame, prefix="champion_")
        rules = (gates.NonInferiority(loss=self.plan.loss, bound=self.plan.margin),)
        verdict = gates.judge(
            frame,
            rules=(*rules, *self.plan.gate_rules),
            task=self.plan.task,
            rng=self._rng("gate"),
            data=f"captured, {self.judged_from:%Y-%m-%d} to {self.window.end:%Y-%m-%d}",
            experiment=self.models.name,
            tracking_uri=self.loop.tracking_uri,
        )
        verdict = gates.record(
            self.models.uri(version), verdict, tracking_uri=self.loop.tracking_uri
        )
        return {
            "version": version,
            "passed": verdict.passed,
            "why": in_both(lambda: " ".join([verdict.title, *verdict.reasons])),
            "rules": _plain(verdict.table()),
        }

    def _into_the_shadow(self, about: Body) -> Body:
        body = {**about, "champion": self.champion}
        gates.promote(
            self.models.name,
            about["version"],
            alias="challenger",
            tracking_uri=self.loop.tracking_uri,
        )
        self._note("shadow", **body)
        return body

    def _candidate(self) -> Candidate:
        found = self.loop.life.candidate
        if found is None:
            raise VigiaError("no candidate is on its way")
        return found

    def _shadow(self, decision: Body) -> None:
        seen = self.run.step("look/shadow", self._look_at_shadow)
        if seen["verdict"] == "on":
            self.run.need_approval("canary", why=seen["why"])
            self.run.step("canary begins", lambda: self._canary_begins(seen["version"]))
        elif seen["verdict"] == "out":
            self.run.step("withdraw", lambda: self._withdraw(seen))

    def _look_at_shadow(self) -> Body:
        """Compare what the candidate would have answered since it is in the shadow."""
        candidate = self._candidate()
        start = max(candidate.since, self.window.end - self.plan.shadowed)
        rows = self._sound(self._read(start, self.window.end))
        change = self.models.change(
            candidate.version, candidate.champion, rows, rng=self._rng("shadow")
        )
        harm, is_late = (
            self.plan.canary.harm,
            self.window.end >= candidate.since + self.plan.shadowed,
        )
        if change is not None and change.high < harm:
            verdict = "on"
        elif is_late or (change is not None and change.low > 0):
            verdict = "out"
        else:
            verdict = "wait"

        def why() -> str:
            told = "" if change is None else f": {change.told}"
            return {
                "on": tr(
                    pt=f"Na sombra, o candidato não faz dano que importe{told}.",
                    en=f"In the shadow the candidate does no harm that matters{told}.",
                ),
                "out": tr(
                    pt=f"Na sombra, o candidato não se mostrou sem dano{told}: sai.",
                    en=f"In the shadow the candidate was not shown to do no harm{told}: withdrawn.",
                ),
                "wait": tr(
                    pt=f"Na sombra ainda não se sabe{told}.",
                    en=f"In the shadow nobody knows yet{told}.",
                ),
            }[verdict]

        return {
            "version": candidate.version,
            "verdict": verdict,
            "change": None if change is None else [change.value, change.low, change.high],
            "why": in_both(why),
        }

    def _canary_begins(self, version: str) -> Body:
        name, share = canary_name(self.plan.deployment), self.plan.canary.share
        self._serve(name, version)
        split = Split(deployment=name, share=share, salt=version)
        about = {"at": self.run.clock(), "by": self.window.id}
        begin_split(self.store, self.plan.deployment, split, **about)
        self._note("canary", version=version, share=share)
        return {"version": version, "name": name}

    def _canary_ends(self) -> None:
        """Let the champion answer everything again."""
        end_split(self.store, self.plan.deployment, at=self.run.clock(), by=self.window.id)

    def _serve(self, name: str, version: str) -> None:
        """Put a version into service under a name, unless it is there."""
        there = self.store.deployments()
        own = there[there["name"] == name]
        if len(own) and self.store.deployment(name).model_version == version:
            return
        deploy(
            self.store,
            name=name,
            model_uri=self.models.uri(version),
            tracking_uri=self.loop.tracking_uri,
            at=self.run.clock(),
            gated=True,
        )

    def _canary(self, decision: Body) -> None:
        seen = self.run.step("look/canary", self._look_at_canary)
        if seen["verdict"] == "no harm":
            self.run.need_approval("promote", why=seen["why"])
            self.run.step("promote", lambda: self._promote(seen["version"]))
        elif seen["verdict"] in ("harm", "undecided"):
            self.run.step("withdraw", lambda: self._withdraw(seen))

    def _look_at_canary(self) -> Body:
        candidate, rule = self._candidate(), self.plan.canary
        bounds = {"end": self.window.end, "known_as_of": self.window.run}
        start = candidate.since
        name = canary_name(self.plan.deployment)
        rows = self._sound(captured(self.store, [name], start=start, **bounds))
        rows = rows.assign(loss=self.models.cost_of(rows)) if len(rows) else rows.assign(loss=[])
        if self.plan.paired:
            known = rows.dropna(subset=["loss"])
            known = known.assign(champion=self.models.cost(candidate.champion, known))
            found = differences(
                known, loss_column="loss", champion_loss_column="champion", block=rule.block
            )
        else:
            others = self._sound(
                captured(self.store, [self.plan.deployment], start=start, **bounds)
            )
            others = others.assign(loss=self.models.cost_of(others))
            found = differences_apart(rows, others, loss_column="loss", block=rule.block)
        block = rows[TIME].dt.floor(windows.length(rule.block, argument="block"))
        n_rows = rows.dropna(subset=["loss"]).groupby(block).size().reindex(found.index)
        look = looked(found.to_numpy(), rule, n_rows=n_rows.to_numpy())
        numbers = {"difference": look.difference, "error": look.error, "ratio": look.ratio}
        return {
            "version": candidate.version,
            "verdict": look.verdict,
            "n_blocks": look.n_blocks,
            "n_rows": look.n_rows,
            **{key: None if np.isnan(value) else value for key, value in numbers.items()},
            "why": in_both(lambda: look.sentence),
        }

    def _withdraw(self, seen: Body) -> Body:
        self._canary_ends()
        self._note("withdrawn", version=seen["version"], why=dict(seen["why"]))
        return {"version": seen["version"], "why": dict(seen["why"])}

    def _declined(self, said: str) -> Body:
        """Withdraw the candidate that somebody declined, if there is one."""
        found = self.loop.life.candidate
        if found is not None:
            self._canary_ends()
            self._note("withdrawn", version=found.version, why=in_both(lambda: said))
        return {"why": in_both(lambda: said)}

    def _switch(self, version: str) -> None:
        """Point the champion's alias at a version that passed its gate, and put it into service.

        The canary goes last: until then its share is answered by it, and not by whom it replaces.
        """
        gates.promote(self.models.name, version, tracking_uri=self.loop.tracking_uri)
        self._serve(self.plan.deployment, version)
        self._canary_ends()

    def _promote(self, version: str) -> Body:
        before = self._candidate_of(version).champion
        self._switch(version)
        self._note("promoted", version=version, before=before)
        return {"version": version, "before": before}

    def _candidate_of(self, version: str) -> Candidate:
        """Return the candidate that is being promoted, also where it is noted already."""
        found = self.loop.life.candidate
        if found is not None and found.version == version:
            return found
        for event in reversed(self.store.events(life.stream_of(self.plan.deployment))):
            if event.kind == "shadow" and event.body["version"] == version:
                own = {n: event.body[n] for n in ("version", "champion", "remedy", "run")}
                return Candidate(**own, stage="canary", since=event.at)
        raise VigiaError(f"version {version} is no candidate")

    def _roll_back(self, decision: Body) -> None:
        self.run.need_approval("roll back", why=decision["why"])
        both = self.run.step(
            "target", lambda: {"version": self.loop.life.previous, "before": self.champion}
        )
        self.run.step("roll back", lambda: self._rolled_back(**both))

    def _rolled_back(self, version: str, before: str) -> Body:
        self._switch(version)
        self._note("rolled back", version=version, before=before)
        return {"version": version, "before": before}

    def _fall_back(self, decision: Body) -> None:
        self.run.need_approval("fall back", why=decision["why"])
        self.run.step("fall back", self._fell_back)

    def _fell_back(self) -> Body:
        version = self.models.version_at(self.plan.fallback)
        self._serve(self.plan.deployment, version)
        self._canary_ends()
        self._note("fell back", version=version, before=self.champion)
        return {"version": version, "before": self.champion}

    def _return(self, decision: Body) -> None:
        self.run.need_approval("return", why=decision["why"])
        self.run.step("return", self._returned)

    def _returned(self) -> Body:
        version = self.loop.life.fell_back_from or self.champion
        self._serve(self.plan.deployment, version)
        self._note("returned", version=version)
        return {"version": version}


def _together(texts: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return several texts as one, in each language."""
    return in_both(lambda: " ".join(read_out(each) for each in texts))


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table as JSON holds it: what is not a number is null."""
    return table.astype("object").where(table.notna(), None).to_dict("records")


def told(store: Store, deployment: str, run: str) -> list[str]:
    """Return what a run did and why, a line for each step, in the language in force."""
    lines = []
    for event in store.events(steps.stream_of(deployment, run)):
        why = event.body.get("why")
        said = read_out(why) if isinstance(why, Mapping) and why else ""
        if event.kind == "done":
            head = event.body.get("action") or event.body.get("version") or ""
            lines.append(" ".join(part for part in (f"{event.key}:", str(head), said) if part))
            for each in event.body.get("refused", ()):
                no = tr(pt="não se faz", en="not done")
                lines.append(f"  {no}, {each['action']}: {read_out(each['why'])}")
        elif event.kind != "tried":
            extra = event.body.get("error") or event.body.get("by") or said
            lines.append(f"{event.key}: {extra}")
    return lines
