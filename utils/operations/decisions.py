"""What is done about a window: one action, and what is refused, each with its reason.

What asks for something (an open alert, a request of somebody outside) is held against what is
known: are the data sound, are the labels ripe, is a candidate on its way already, was the model
trained just now? What must not be done is refused by name; what is done has its reason too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from utils.operations.steps import in_both, read_out
from utils.text import date, number, percent, tr

Doing = Literal["nothing", "retrain", "shadow", "canary", "roll back", "fall back", "return"]
"""What the loop does about a window, beside what it always does (measure, alert, quarantine)."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """How far the mean loss of one model lies from another's on the same rows: below 0, better."""

    value: float
    low: float
    high: float
    n: int

    @property
    def told(self) -> str:
        """The change in the language in force."""
        value, low, high = (number(x, digits=3) for x in (self.value, self.low, self.high))
        return tr(pt=f"{value} (de {low} a {high})", en=f"{value} ({low} to {high})")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known when it is decided what to do about a window.

    ``asked`` are the actions that open alerts and requests ask for. ``broken`` and ``lying`` say
    why data of this very window went into quarantine, in each language. ``ripe`` is the share of
    rows old enough to have a label that have one. ``performance_alarmed`` and ``drift_alarmed`` are
    of the window, by labels and of inputs. ``waiting`` is another run that waits for a
    person. ``regret`` is the loss of the version in service less
    that of the one before, ``relief`` that of the fallback less that of the version in service;
    where it is back, less that of the version that would return.
    """

    asked: frozenset[str]
    requested: frozenset[str] = frozenset()
    broken: Sequence[Mapping[str, str]] = ()
    lying: Sequence[Mapping[str, str]] = ()
    ripe: float = 1.0
    n_learnable: int = 0
    performance_alarmed: bool = False
    drift_alarmed: bool = False
    stage: str = ""
    waiting: str = ""
    previous: str = ""
    trained_at: datetime | None = None
    regret: Change | None = None
    fallback: str = ""
    fell_back_from: str = ""
    relief: Change | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a model may be retrained: how ripe labels must be, on how many rows, how soon again.

    A label is due after ``settled``; of the rows that old the share ``ripe`` must have theirs.
    """

    ripe: float = 0.9
    settled: timedelta = timedelta(hours=12)
    least_rows: int = 1_000
    pause: timedelta = timedelta(days=21)

    def __post_init__(self) -> None:
        if not 0 < self.ripe <= 1:
            raise ValueError(f"ripe={self.ripe!r}: must be a share above 0")
        if self.least_rows < 1:
            raise ValueError(f"least_rows={self.least_rows!r}: must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What was asked for and is not done, and why, in each language."""

    action: str
    why: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The one thing to do about a window, why, and what is refused."""

    action: Doing
    why: Mapping[str, str]
    refused: tuple[Refusal, ...] = ()

    def to_body(self) -> dict[str, Any]:
        """Return the decision as an event keeps it."""
        refused = [{"action": each.action, "why": dict(each.why)} for each in self.refused]
        return {"action": self.action, "why": dict(self.why), "refused": refused}


# ------------------------------------------------------------------------------- deciding


def decide(facts: Facts, limits: Limits, *, at: datetime) -> Decision:
    """Return what to do, out of what is known.

    Nothing here looks anything up: the same facts give the same decision.

    >>> from utils.text import using
    >>> noon = datetime.fromisoformat("2013-07-01T12:00Z")
    >>> facts = Facts(
    ...     asked=frozenset({"retrain"}), performance_alarmed=True, ripe=0.4, n_learnable=50_000)
    >>> decision = decide(facts, Limits(), at=noon)
    >>> with using("en"):
    ...     decision.action, read_out(decision.refused[0].why)
    ('nothing', 'The labels are not ripe: 40% of those that are due are known, and 90% are needed.')
    """
    refused: list[Refusal] = []
    for judged in (_held_up, _returning, _falling_back, _rolling_back, _on_its_way, _retraining):
        found = judged(facts, limits, at)
        if isinstance(found, Decision):
            refused += found.refused
            return replace(found, refused=(*refused, *_put_off(facts, found, refused)))
        refused += found
    return replace(_do("nothing", lambda: _quiet(facts)), refused=tuple(refused))


def _put_off(facts: Facts, decision: Decision, refused: Sequence[Refusal]) -> Iterator[Refusal]:
    """Yield a refusal of what is asked for besides, and nobody spoke of: it gets its reason too."""
    named = {decision.action, *(each.action for each in refused)}
    for action in ("roll back", "retrain"):
        if action in facts.asked and action not in named:
            yield from _no(
                action, lambda: tr(pt="Agora não. ", en="Not now. ") + read_out(decision.why)
            )


_Found = Decision | Sequence[Refusal]


def _do(action: Doing, why: Callable[[], str]) -> Decision:
    return Decision(action=action, why=in_both(why))


def _no(action: str, why: Callable[[], str]) -> list[Refusal]:
    return [Refusal(action=action, why=in_both(why))]


def _must_go_back(facts: Facts) -> bool:
    return "roll back" in facts.requested and bool(facts.previous)


def _held_up(facts: Facts, limits: Limits, at: datetime) -> _Found:
    """Leave the models as they are while another run waits, but for who asks to roll back."""
    if not facts.waiting or _must_go_back(facts):
        return []

    def waits() -> str:
        return tr(
            pt=f"A execução {facts.waiting} aguarda aprovação: até lá, os modelos ficam como "
            "estão.",
            en=f"Run {facts.waiting} waits for approval: until then the models stay as they are.",
        )

    return _do("nothing", waits)


def _on_its_way(facts: Facts, limits: Limits, at: datetime) -> _Found:
    """See to the candidate that is on its way; what mends the service comes before it."""
    if facts.stage not in ("shadow", "canary"):
        return []

    def goes_on() -> str:
        if facts.stage == "shadow":
            return tr(
                pt="O candidato responde na sombra, e observa-se o que ele teria feito.",
                en="The candidate answers in the shadow, and what it would have done is looked at.",
            )
        return tr(
            pt="O canário responde a uma parte das requisições, e observa-se se causa dano.",
            en="The canary answers a share of the requests, and it is looked at for harm.",
        )

    def one_at_a_time() -> str:
        return tr(
            pt="Um candidato já está a caminho: um de cada vez.",
            en="A candidate is on its way already: one at a time.",
        )

    refused = _no("retrain", one_at_a_time) if "retrain" in facts.asked else []
    return replace(_do(facts.stage, goes_on), refused=tuple(refused))


def _returning(facts: Facts, limits: Limits, at: datetime) -> _Found:
    """Come back from the fallback once the data are sound and the model is shown to be better."""
    version, change = facts.fell_back_from, facts.relief
    if not version:
        return []

    def stays() -> str:
        return tr(
            pt=f"O modelo reserva continua: não se mostrou que a versão {version} voltou a ser "
            "melhor.",
            en=f"The fallback stays: version {version} is not shown to be better again.",
        )

    def returns() -> str:
        return tr(
            pt="Os dados estão sãos, e nas mesmas linhas o modelo reserva muda o erro em "
            f"{change.told}: a versão {version} volta.",
            en="The data are sound, and on the same rows the fallback changes the error by "
            f"{change.told}: version {version} returns.",
        )

    if facts.broken or facts.lying or change is None or not change.low > 0:
        return _do("nothing", stays)
    return _do("return", returns)


def _falling_back(facts: Facts, limits: Limits, at: datetime) -> _Found:
    """Answer by a model that needs less, where broken data harm and it is shown to be better."""
    if not (facts.fallback and facts.broken and facts.performance_alarmed):
        return []
    change = facts.relief

    def no_better() -> str:
        told = "" if change is None else f": {change.told}"
        return tr(
            pt=f"Não se mostrou que o modelo reserva erre menos com estes dados{told}.",
            en=f"The fallback is not shown to be less wrong on these data{told}.",
        )

    def better() -> str:
        return tr(
            pt="Os dados estão quebrados e o modelo sofre com isso; o modelo reserva, que precisa "
            f"de menos, muda o erro em {change.told}.",
            en="The data are broken and the model suffers from it; the fallback, which needs less, "
            f"changes the error by {change.told}.",
        )

    if change is None or not change.high < 0:
        return _no("fall back", no_better)
    return _do("fall back", better)


def _rolling_back(facts: Facts, limits: Limits, at: datetime) -> _Found:
    """Return to the version before where it would have done better, or somebody asks for it."""
    version, change = facts.previous, facts.regret
    shown = change is not None and change.low > 0
    if not shown and "roll back" not in facts.asked:
        return []

    def nowhere() -> str:
        return tr(
            pt="Não há versão anterior à qual voltar.",
            en="There is no version before to go back to.",
        )

    def somebody() -> str:
        return tr(
            pt=f"Alguém pediu que a versão {version} voltasse.",
            en=f"Somebody asked for version {version} to return.",
        )

    def no_better() -> str:
        told = "" if change is None else f": {change.told}"
        return tr(
            pt=f"Não se mostrou que a versão {version} se sairia melhor nestas linhas{told}.",
            en=f"Version {version} is not shown to do better on these rows{told}.",
        )

    def worse() -> str:
        return tr(
            pt=f"Nas mesmas linhas, a versão em serviço muda o erro da versão {version} em "
            f"{change.told}: a de antes volta.",
            en=f"On the same rows the version in service changes the error of version {version} "
            f"by {change.told}: the one before returns.",
        )

    if not version:
        return _no("roll back", nowhere)
    if "roll back" in facts.requested:
        return _do("roll back", somebody)
    return _do("roll back", worse) if shown else _no("roll back", no_better)


def _retraining(facts: Facts, limits: Limits, at: datetime) -> _Found:
    if "retrain" not in facts.asked:
        return []
    refused = [each for one in _WHY_NOT for each in one(facts, limits, at)]
    if refused:
        return refused

    def because() -> str:
        who = (
            tr(
                pt="O modelo erra mais do que uma janela quieta explica",
                en="The model is more wrong than a quiet window explains",
            )
            if facts.performance_alarmed
            else tr(pt="Alguém pediu", en="Somebody asks for it")
        )
        return who + tr(
            pt=", os dados estão sãos e os rótulos, maduros: retreina-se, e o portão julga.",
            en=", the data are sound and the labels ripe: it is retrained, and the gate judges.",
        )

    return _do("retrain", because)


def _would_learn_a_defect(facts: Facts, limits: Limits, at: datetime) -> list[Refusal]:
    held = [*facts.broken, *facts.lying]
    if not held:
        return []
    return _no(
        "retrain",
        lambda: (
            f"{read_out(held[0])} "
            + tr(
                pt="Um modelo treinado agora aprenderia o defeito.",
                en="A model trained now would learn the defect.",
            )
        ),
    )


def _no_harm(facts: Facts, limits: Limits, at: datetime) -> list[Refusal]:
    if facts.performance_alarmed or "retrain" in facts.requested:
        return []
    return _no(
        "retrain",
        lambda: tr(
            pt="O erro medido com rótulos está na faixa quieta: retreinar não teria o que curar.",
            en="The error measured on labels is in its quiet range: a retraining would have "
            "nothing to cure.",
        ),
    )


def _unripe(facts: Facts, limits: Limits, at: datetime) -> list[Refusal]:
    if facts.ripe >= limits.ripe:
        return []
    known = math.floor(round(100 * facts.ripe, 6)) / 100  # rounded up, it could read as enough
    return _no(
        "retrain",
        lambda: tr(
            pt=f"Os rótulos não estão maduros: conhecem-se {percent(known)} dos que já deviam ter "
            f"chegado, e são necessários {percent(limits.ripe)}.",
            en=f"The labels are not ripe: {percent(known)} of those that are due are known, and "
            f"{percent(limits.ripe)} are needed.",
        ),
    )


def _too_few(facts: Facts, limits: Limits, at: datetime) -> list[Refusal]:
    if facts.n_learnable >= limits.least_rows:
        return []
    return _no(
        "retrain",
        lambda: tr(
            pt=f"Há só {number(facts.n_learnable)} linhas com que aprender, e são necessárias "
            f"{number(limits.least_rows)}.",
            en=f"There are only {number(facts.n_learnable)} rows to learn from, and "
            f"{number(limits.least_rows)} are needed.",
        ),
    )


def _too_soon(facts: Facts, limits: Limits, at: datetime) -> list[Refusal]:
    since = facts.trained_at
    if since is None or at >= since + limits.pause:
        return []
    return _no(
        "retrain",
        lambda: tr(
            pt=f"O último retreinamento foi em {date(since)}; é preciso esperar "
            f"{limits.pause.days} dias para saber o que ele valeu.",
            en=f"The last retraining was on {date(since)}; one waits {limits.pause.days} days to "
            "know what it was worth.",
        ),
    )


_WHY_NOT = (_would_learn_a_defect, _no_harm, _unripe, _too_few, _too_soon)


def _quiet(facts: Facts) -> str:
    if facts.drift_alarmed and not facts.performance_alarmed:
        return tr(
            pt="As entradas mudaram, e o erro medido com rótulos está na faixa quieta: a deriva "
            "não pede ação.",
            en="The inputs changed, and the error measured on labels is in its quiet range: the "
            "drift needs no action.",
        )
    by_people = facts.asked & {"investigate", "quarantine"}
    if not by_people:
        return tr(pt="Não há nada a fazer.", en="Nothing is done.")
    return tr(
        pt="Há o que investigar, e isso cabe a pessoas.",
        en="There is something to investigate, and that is for people.",
    )
