"""The loop on real flights: a year in seconds, and the cases in which it must not act.

The flights model learns from January to March 2013, goes into service on 1 April, and is monitored
every Monday at noon: the loop of ``utils.operations`` does what it would do live, by a simulated
clock. With ``every=4`` it is about every fourth flight only, and four times as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from utils.course import arrivals
from utils.course.exercises import Both, both
from utils.course.models import flights_model
from utils.course.workspace import Workspace
from utils.datasets import flights
from utils.datasets.incidents import inject
from utils.monitors import suite
from utils.monitors.paired import loss_change
from utils.operations import actions, life, steps
from utils.operations.canary import Canary
from utils.operations.candidates import captured
from utils.operations.decisions import Limits
from utils.operations.life import Life, Window, canary_name
from utils.operations.loop import Loop, Plan
from utils.operations.monitors import InProcess
from utils.operations.remedies import RECALIBRATE, Remedy, recalibrate, reset, retrain
from utils.operations.rules import read_rules
from utils.operations.runbooks import RULES
from utils.operations.schedule import Lease, Schedule, Scheduler, holder_of_this_process
from utils.operations.steps import read_out
from utils.records import Incident
from utils.serving import gates
from utils.serving.client import Client
from utils.serving.endpoint import Endpoint
from utils.serving.models import Scorer, deploy, load, log_model
from utils.serving.splits import split_of
from utils.serving.traffic import replay
from utils.store import Store, open_store
from utils.text import date, tr

NAME = arrivals.MODEL
SINCE = datetime(2013, 4, 2, tzinfo=UTC)
WEEKLY = Schedule(cron="cron(0 12 ? * MON *)", start="-P7DT12H", end="-PT12H")
"""Every Monday at noon, the week that ended at midnight: by then its flights have landed."""

HARM_MIN = 0.5
"""So many minutes of error more would matter to whoever waits."""

FALLBACK = "fallback"
ROLES = suite.Roles(
    task="regression",
    prediction_column="prediction",
    label_column="label",
    known_at_column="label_known_at",
    group_columns=("origin",),
)


def departures(*, every: int = 1, months: Sequence[int] = range(4, 13)) -> pd.DataFrame:
    """Return the departures of some months, or of them every so many.

    >>> round(len(departures(every=4, months=[4])) / len(departures(months=[4])), 3)
    0.25
    """
    return flights.departures(months=months).iloc[::every].reset_index(drop=True)


# ------------------------------------------------------------------------------- what is in service


def begin(workspace: Workspace, *, every: int = 1, fallback: bool = False) -> None:
    """Release the flights model into a workspace that has none, and put it into service.

    With ``fallback`` there is a second model beside it, which does not know the departure's delay.

    Raises ``gates.NotPassed`` where the first model saw too few flights to pass its gate, as
    happens above ``every=9``.
    """
    uri = workspace.tracking_uri
    learned = departures(every=every, months=range(1, 4))
    arrivals.release_flights(learned, tracking_uri=uri)
    if fallback:
        _release_fallback(learned, tracking_uri=uri)
    with open_store(workspace.store_url) as store:
        deploy(
            store,
            name=NAME,
            model_uri=f"models:/{NAME}@champion",
            tracking_uri=uri,
            at=arrivals.IN_SERVICE,
            gated=True,
        )


def _release_fallback(learned: pd.DataFrame, *, tracking_uri: str) -> None:
    """Register the median of each airport, which needs nothing that may break, and judge it.

    A fallback is not asked to be as good as the model, but to answer within an hour of the truth.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    known = learned.dropna(subset=[flights.TARGET])
    inputs, label = known[list(flights.FEATURES)], known[flights.TARGET]
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["origin"])), Ridge()
    ).fit(inputs, label)
    version = log_model(
        model, name=NAME, inputs=inputs, predictions=label.head(), tracking_uri=tracking_uri
    )
    frame = known.assign(
        event_time=known["departed_at"], label=label, prediction=model.predict(inputs)
    )
    verdict = gates.judge(
        frame[["event_time", "label", "prediction"]],
        rules=[gates.Ceiling(metric="mae", bound=60.0)],
        task="regression",
        rng=np.random.default_rng(0),
        experiment=NAME,
        tracking_uri=tracking_uri,
    )
    gates.record(version, verdict, tracking_uri=tracking_uri)
    gates.promote(NAME, version.version, alias=FALLBACK, tracking_uri=tracking_uri)


# ------------------------------------------------------------------------------- what happens


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Somebody asks for an action at a moment."""

    action: str
    at: datetime
    by: str = "ana"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class World:
    """What happens outside, brought in as time goes on: departures, labels, people who ask.

    While a share goes to a canary, each flight goes to it or not by its number. What was brought in
    already is not brought in twice.
    """

    traffic: pd.DataFrame
    store: Store
    tracking_uri: str
    asks: tuple[Ask, ...] = ()
    _loaded: dict[str, Scorer] = field(default_factory=dict, repr=False)

    def __call__(self, window: Window, stands: Life) -> None:
        before = [
            each.window.run
            for each in life.runs_of(self.store, NAME)
            if each.window.run < window.run
        ]
        since = max(before, default=arrivals.IN_SERVICE)
        left = self.traffic["departed_at"]
        rows = self.traffic[(left >= since) & (left < window.run)]
        split = split_of(self.store, NAME)
        if split is not None:
            chosen = split.takes(rows["flight_id"].astype("str"))
            self._send(split.deployment, rows[chosen])
            rows = rows[~chosen]
        self._send(NAME, rows)
        for each in self.asks:
            if since <= each.at < window.run:
                actions.ask(
                    self.store,
                    NAME,
                    each.action,
                    id=f"{each.by}/{each.at.isoformat()}",
                    at=each.at,
                    by=each.by,
                    reason=each.reason,
                )

    def _send(self, name: str, rows: pd.DataFrame) -> None:
        if rows.empty:
            return
        deployment = self.store.deployment(name)
        uri = deployment.model_uri
        if uri not in self._loaded:
            self._loaded[uri] = load(uri, tracking_uri=self.tracking_uri)
        replay(
            Client(Endpoint(self._loaded[uri], self.store, deployment)),
            rows,
            features=flights.FEATURES,
            time_column="departed_at",
            label_column=flights.TARGET,
            known_at_column="landed_at",
            batch_rows=5_000,
        )


def plan_of(world: World | None = None, **changed: Any) -> Plan:
    """Return the plan for the flights: the default rules, a canary of three in ten, one remedy."""
    plan = Plan(
        deployment=NAME,
        task="regression",
        loss="mae",
        monitor=InProcess(roles=ROLES),
        rules=read_rules(RULES),
        canary=Canary(harm=HARM_MIN, share=0.3),
        collect=world,
        source_column="carrier",
    )
    return replace(plan, **changed)


@contextmanager
def scheduled(
    workspace: Workspace,
    traffic: pd.DataFrame,
    *,
    asks: Sequence[Ask] = (),
    watch: Callable[[str, str], object] = lambda phase, step: None,
    **changed: Any,
) -> Iterator[Scheduler]:
    """Give the scheduler of a workspace whose model is in service (``begin``).

    ``changed`` are fields of the plan.
    """
    with open_store(workspace.store_url) as store:
        world = World(
            traffic=traffic,
            store=store,
            tracking_uri=workspace.tracking_uri,
            asks=tuple(asks),
        )
        loop = Loop(
            plan=plan_of(world, **changed),
            store=store,
            tracking_uri=workspace.tracking_uri,
            watch=watch,
            sleep=lambda seconds: None,
        )
        lease = Lease(store=store, deployment=NAME, holder=holder_of_this_process())
        try:
            yield Scheduler(loop=loop, schedule=WEEKLY, since=SINCE, lease=lease)
        finally:
            lease.release()


@dataclass(frozen=True, kw_only=True)
class Looped:
    """What the loop did: a row a week, where the models stand, and every answer that was given."""

    weeks: pd.DataFrame
    life: Life
    served: pd.DataFrame


def looped(
    workspace: Workspace, traffic: pd.DataFrame, *, until: datetime, **settings: Any
) -> Looped:
    """Run the loop until a moment, and return what it did; ``settings`` are ``scheduled``'s."""
    with scheduled(workspace, traffic, **settings) as scheduler:
        for _ in scheduler.simulate(until=until):
            pass
        store = scheduler.loop.store
        return Looped(
            weeks=weeks_of(store),
            life=scheduler.loop.life,
            served=captured(store, [NAME, canary_name(NAME)]),
        )


def weeks_of(store: Store) -> pd.DataFrame:
    """Return what each run did, in the language in force: one row a week.

    Columns: ``week`` (where its window starts), ``run`` (the moment), ``state``, ``asked`` (whether
    an open alert asks for a retraining), ``action``, ``version`` (of a candidate, where it was
    about one), ``why`` and ``refused``.
    """
    rows = []
    for known in life.runs_of(store, NAME):
        done = {
            e.key: e.body
            for e in store.events(steps.stream_of(NAME, known.window.id))
            if e.kind == "done"
        }
        decision = done.get("decide", {"action": "", "why": {}, "refused": []})
        acts = [name for name in done if name in _ACTS or name.startswith("gate/")]
        last = done[acts[-1]] if acts else {}
        why = last.get("why") or decision["why"]
        rows.append(
            {
                "week": known.window.start,
                "run": known.window.run,
                "state": known.state,
                "asked": "retrain" in done.get("alert", {"asked": ()})["asked"],
                "action": acts[-1] if acts else decision["action"],
                "version": last.get("version", ""),
                "why": read_out(why) if why else "",
                "refused": " ".join(read_out(each["why"]) for each in decision["refused"]),
            }
        )
    return pd.DataFrame(rows)


_ACTS: Mapping[str, Both] = {
    "into the shadow": both(pt="vai para a sombra", en="into the shadow"),
    "look/shadow": both(pt="continua na sombra", en="stays in the shadow"),
    "canary begins": both(pt="começa o canário", en="the canary begins"),
    "look/canary": both(pt="continua canário", en="stays a canary"),
    "promote": both(pt="é promovida", en="is promoted"),
    "withdraw": both(pt="é retirada", en="is withdrawn"),
    "roll back": both(pt="a anterior volta", en="the one before returns"),
    "fall back": both(pt="o reserva responde", en="the fallback answers"),
    "return": both(pt="o campeão volta", en="the champion returns"),
    "declined": both(pt="recusada por alguém", en="declined by somebody"),
}


def in_words(weeks: pd.DataFrame) -> pd.DataFrame:
    """Return what each run did as a table to read, in the language in force."""
    action = [
        tr(pt="perde no portão", en="loses at the gate")
        if name.startswith("gate/")
        else str(_ACTS.get(name, both(pt="nada", en="nothing")))
        for name in weeks["action"]
    ]
    yes, no = tr(pt="sim", en="yes"), tr(pt="não", en="no")
    columns = {
        tr(pt="semana de", en="week of"): [date(each) for each in weeks["week"]],
        tr(pt="quando", en="when"): [date(each) for each in weeks["run"]],
        tr(pt="fim da execução", en="end of the run"): weeks["state"],
        tr(pt="pede-se retreinar?", en="retraining asked for?"): weeks["asked"].map(
            {True: yes, False: no}
        ),
        tr(pt="o que se faz", en="what is done"): action,
        tr(pt="versão", en="version"): weeks["version"],
    }
    return pd.DataFrame(columns).reset_index(drop=True)


# ------------------------------------------------------------------------------- the cases


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that happens to the flights, and what the loop should do about it.

    ``title`` and ``lesson`` are for people. ``happens`` returns the traffic in which it did.
    """

    title: Both
    lesson: Both
    until: datetime
    happens: Callable[[pd.DataFrame], pd.DataFrame] = lambda traffic: traffic
    asks: tuple[Ask, ...] = ()
    fallback: bool = False
    changed: Callable[[], Mapping[str, Any]] = dict


def _day(month: int, day: int) -> datetime:
    return datetime(2013, month, day, tzinfo=UTC)


def _with(*incidents: Incident) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def happens(traffic: pd.DataFrame) -> pd.DataFrame:
        changed, _ = inject(
            traffic,
            incidents,
            rng=np.random.default_rng(13),
            time_column="departed_at",
            relabel=flights.relabel,
        )
        return changed

    return happens


def _slower(start: datetime, end: datetime) -> Incident:
    return Incident(kind="concept_drift_sudden", start=start, end=end, strength=0.5)


def slower_until(traffic: pd.DataFrame, end: datetime) -> pd.DataFrame:
    """Return flights that take longer than a model learned, from 15 April until a moment."""
    return _with(_slower(_day(4, 15), end))(traffic)


def _poisoned(traffic: pd.DataFrame) -> pd.DataFrame:
    """Return traffic in which one airline reports every flight as an hour early."""
    lied = traffic["departed_at"].between(_day(4, 15), _day(5, 6), inclusive="left")
    lied &= traffic["carrier"].eq("UA")
    label = traffic[flights.TARGET]
    return traffic.assign(**{flights.TARGET: label.where(~lied | label.isna(), -60.0)})


def _unripe(traffic: pd.DataFrame) -> pd.DataFrame:
    """Return slower flights, of which those of two airports are reported a month late."""
    slower = _with(_slower(_day(4, 15), _day(6, 1)))(traffic)
    late = slower["departed_at"].ge(_day(4, 15)) & slower["origin"].ne("JFK")
    landed = slower["landed_at"]
    return slower.assign(landed_at=landed.mask(late, landed + pd.Timedelta(days=30)))


def _stuck(traffic: pd.DataFrame) -> pd.DataFrame:
    """Return traffic whose departure delay is stuck at two hours for two weeks."""
    hit = traffic["departed_at"].between(_day(4, 15), _day(4, 29), inclusive="left")
    delay = traffic["departure_delay_min"]
    return traffic.assign(departure_delay_min=delay.mask(hit, 120.0))


def _short_memory(*, learned_days: int = 21) -> dict[str, Any]:
    """Return a plan that forgets fast: it learns from what comes before the week that judges.

    It waits for a second window in a row before it retrains, so that there is something to learn.
    """
    rules = [
        replace(each, persistence=2) if each.action == "retrain" else each
        for each in read_rules(RULES)
    ]
    return {
        "rules": rules,
        "learned": timedelta(days=learned_days),
        "judged": timedelta(days=7),
        "limits": Limits(pause=timedelta(days=7)),
    }


CASES: Mapping[str, Case] = {
    "broken_sensor": Case(
        title=both(pt="um sensor quebrado", en="a broken sensor"),
        lesson=both(
            pt="Metade dos atrasos de partida deixa de vir. O erro sobe, e mesmo assim não se "
            "retreina: os dados vão para a quarentena.",
            en="Half of the departure delays no longer come. The error rises, and still nothing is "
            "retrained: the data go into quarantine.",
        ),
        until=_day(5, 7),
        happens=_with(
            Incident(
                kind="missing_values",
                columns=("departure_delay_min",),
                start=_day(4, 15),
                end=_day(4, 29),
                strength=0.5,
            )
        ),
    ),
    "poisoned_labels": Case(
        title=both(pt="rótulos envenenados", en="poisoned labels"),
        lesson=both(
            pt="Uma companhia informa que todos os seus voos chegaram uma hora antes. O erro sobe, "
            "e os rótulos dela contradizem os de todas as outras.",
            en="One airline reports that all its flights came an hour early. The error rises, and "
            "its labels contradict those of all others.",
        ),
        until=_day(5, 7),
        happens=_poisoned,
    ),
    "labels_not_ripe": Case(
        title=both(pt="rótulos verdes", en="labels that are not ripe"),
        lesson=both(
            pt="O mundo mudou mesmo, mas dois aeroportos atrasam os rótulos em um mês: quem "
            "treinasse já aprenderia com um aeroporto só.",
            en="The world did change, but two airports are a month late with their labels: who "
            "trained now would learn from one airport alone.",
        ),
        until=_day(5, 7),
        happens=_unripe,
    ),
    "loses_at_the_gate": Case(
        title=both(pt="um retreinamento que perde no portão", en="a retraining that loses"),
        lesson=both(
            pt="Alguém pede um retreinamento, e o plano só deixa aprender com uma semana. Faz-se, "
            "e o portão recusa: nada mostra que tão pouca história não erre mais.",
            en="Somebody asks for a retraining, and the plan lets it learn from one week alone. It "
            "is done, and the gate refuses: nothing shows that so little history does no worse.",
        ),
        until=_day(4, 23),
        asks=(Ask(action="retrain", at=_day(4, 10), reason="a new month"),),
        changed=lambda: _short_memory(learned_days=14),
    ),
    "canary_rolled_back": Case(
        title=both(pt="um canário que sai", en="a canary that is withdrawn"),
        lesson=both(
            pt="Durante três semanas os voos são mais lentos. O novo modelo aprende isso e passa "
            "no portão e na sombra; quando os voos voltam ao que eram, o canário faz dano, e sai.",
            en="For three weeks flights are slower. The new model learns that and passes at the "
            "gate and in the shadow; when flights are as before, the canary does harm, and goes.",
        ),
        until=_day(5, 21),
        happens=_with(_slower(_day(4, 15), _day(5, 6))),
        changed=_short_memory,
    ),
    "promoted_and_rolled_back": Case(
        title=both(pt="uma promoção que se desfaz", en="a promotion that is undone"),
        lesson=both(
            pt="Os voos são mais lentos por mais tempo, e o novo modelo entra em serviço. Quando "
            "eles voltam ao que eram, o anterior faria melhor nas mesmas linhas, e volta.",
            en="Flights are slower for longer, and the new model goes into service. When they are "
            "as before, the one before would do better on the same rows, and returns.",
        ),
        until=_day(6, 4),
        happens=_with(_slower(_day(4, 15), _day(5, 13))),
        changed=_short_memory,
    ),
    "drift_without_harm": Case(
        title=both(pt="uma deriva que não pede ação", en="a drift that needs no action"),
        lesson=both(
            pt="Os voos ficam mais curtos, o que o modelo sabe fazer. As entradas gritam, o erro "
            "não sobe, e nada se faz.",
            en="Flights get shorter, which the model is good at. The inputs shout, the error does "
            "not rise, and nothing is done.",
        ),
        until=_day(4, 23),
        happens=_with(
            Incident(
                kind="covariate_drift_harmless",
                columns=("distance_miles",),
                options={"toward": "low"},
                start=_day(4, 8),
                end=_day(4, 22),
            )
        ),
    ),
    "fallback": Case(
        title=both(pt="um modelo reserva", en="a fallback"),
        lesson=both(
            pt="O atraso de partida fica preso em duas horas. O reserva, que não o usa, erra "
            "menos; ele responde até os dados sararem.",
            en="The departure delay is stuck at two hours. The fallback, which does not use it, is "
            "less wrong; it answers until the data are sound.",
        ),
        until=_day(5, 14),
        happens=_stuck,
        fallback=True,
        changed=lambda: {"fallback": FALLBACK},
    ),
}
"""What happens to the flights, by name; most of it is something that the loop must not do."""


def run_case(workspace: Workspace, name: str, *, every: int = 4, **changed: Any) -> Looped:
    """Run a case in a workspace that has nothing yet, and return what the loop did.

    Raises ``KeyError`` for a case that there is none of.
    """
    case = CASES[name]
    begin(workspace, every=every, fallback=case.fallback)
    return looped(
        workspace,
        case.happens(departures(every=every, months=range(4, 8))),
        until=case.until,
        asks=case.asks,
        **{**case.changed(), **changed},
    )


# ------------------------------------------------------------------------------- the remedies


ALPHAS = (0.1, 1.0, 10.0, 100.0)
REMEDIES: tuple[Remedy, ...] = (
    reset([{"ridge__alpha": alpha} for alpha in ALPHAS]),
    retrain(),
    recalibrate(),
)
"""Hyperparameters set anew, the same pipeline fitted anew, the answers corrected."""


def mitigated(
    traffic: pd.DataFrame,
    *,
    learned: pd.DataFrame,
    start: datetime,
    tried: datetime,
    end: datetime,
    rng: np.random.Generator,
    remedies: Sequence[Remedy] = REMEDIES,
) -> pd.DataFrame:
    """Return what each remedy does to the error, against doing nothing, on the same later flights.

    The model learned from ``learned``. The remedies learn from that and from the flights of
    ``start`` to ``tried`` (a correction from these alone), and are judged by those from then to
    ``end``. Columns: ``remedy``,
    ``mae``, ``change``, ``low``, ``high``, ``n``; whole days are resampled.
    """
    names = list(flights.FEATURES)
    before, known = (each.dropna(subset=[flights.TARGET]) for each in (learned, traffic))
    left = known["departed_at"]
    seen = known[(left >= start) & (left < tried)]
    later = known[(left >= tried) & (left < end)]
    old = flights_model().fit(before[names], before[flights.TARGET])
    every = pd.concat([before, seen], ignore_index=True)
    label = later[flights.TARGET]
    costs = pd.DataFrame({"event_time": later["departed_at"]})
    costs["nothing"] = (label - old.predict(later[names])).abs()
    rows = [{"remedy": "nothing", "mae": costs["nothing"].mean(), "n": len(later)}]
    for remedy in remedies:
        rows_of = seen if remedy.name == RECALIBRATE else every
        model = remedy.make(old, rows_of[names], rows_of[flights.TARGET])
        costs[remedy.name] = (label - model.predict(later[names])).abs()
        change = loss_change(
            costs,
            reference_column="nothing",
            current_column=remedy.name,
            name="mae",
            window=None,
            block="1D",
            rng=rng,
        ).iloc[0]
        rows.append(
            {
                "remedy": remedy.name,
                "mae": costs[remedy.name].mean(),
                "change": change["value"],
                "low": change["low"],
                "high": change["high"],
                "n": int(change["n_current"]),
            }
        )
    return pd.DataFrame(rows)[["remedy", "mae", "change", "low", "high", "n"]]
