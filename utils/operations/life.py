"""Where the models of a deployment stand: folded from what the loop did, in ``loop/<deployment>``.

The stream says when runs began and how they ended, and each change of a version: trained, in the
shadow, a canary, promoted, withdrawn, rolled back, replaced by the fallback. Each has the run that
did it in its key, so a run that is taken up again says it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from utils.records import Event
from utils.store import Store


@dataclass(frozen=True, kw_only=True)
class Window:
    """The rows that a run looks at (``start <= t < end``), and the moment at which it does."""

    start: datetime
    end: datetime
    run: datetime

    @property
    def id(self) -> str:
        """What the run is called: the end of its window."""
        return self.end.isoformat()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version on its way: in the ``shadow``, or a ``canary``; since when, and instead of what."""

    version: str
    champion: str
    remedy: str
    stage: str
    since: datetime
    run: str


@dataclass(frozen=True, kw_only=True)
class Life:
    """Where things stand.

    ``previous`` is the version that the one in service replaced, ``promoted_at`` when; both are
    empty again after a rollback. ``fell_back_from`` is the version for which the fallback answers.
    Who goes back, or falls back, takes the candidate out with it.
    """

    candidate: Candidate | None = None
    previous: str = ""
    promoted_at: datetime | None = None
    trained_at: datetime | None = None
    fell_back_from: str = ""
    n_trained: int = 0
    n_promoted: int = 0


def stream_of(deployment: str) -> str:
    return f"loop/{deployment}"


def canary_name(deployment: str) -> str:
    """Return the name under which the canary of a deployment is served and captured."""
    return f"{deployment}-canary"


def note(
    store: Store,
    deployment: str,
    run: str,
    kind: str,
    *,
    at: datetime,
    body: Mapping[str, Any],
    of: str = "",
) -> bool:
    """Write down what a run did to the models; return whether it was not written yet.

    ``of`` sets apart what a run does several times.
    """
    key = "/".join(part for part in (run, kind, of) if part)
    return store.record(stream_of(deployment), key, kind=kind, at=at, body={**body, "run": run})


def life_of(store: Store, deployment: str) -> Life:
    """Return where the models of a deployment stand now.

    >>> from utils.store.example import NOON, example_store
    >>> with example_store() as store:
    ...     for kind, body in (("trained", {"version": "2"}),
    ...                        ("shadow", {"version": "2", "champion": "1", "remedy": "retrain"})):
    ...         _ = note(store, "flights", "2013-04-08", kind, at=NOON, body=body)
    ...     life_of(store, "flights").candidate.stage
    'shadow'
    """
    life = Life()
    for event in store.events(stream_of(deployment)):
        if event.kind in _CHANGES:
            life = _CHANGES[event.kind](life, event)
    return life


def _trained(life: Life, event: Event) -> Life:
    return replace(life, trained_at=event.at, n_trained=life.n_trained + 1)


def _shadow(life: Life, event: Event) -> Life:
    own = {name: event.body[name] for name in ("version", "champion", "remedy", "run")}
    return replace(life, candidate=Candidate(**own, stage="shadow", since=event.at))


def _canary(life: Life, event: Event) -> Life:
    if life.candidate is None:
        return life
    return replace(life, candidate=replace(life.candidate, stage="canary", since=event.at))


def _withdrawn(life: Life, event: Event) -> Life:
    return replace(life, candidate=None)


def _promoted(life: Life, event: Event) -> Life:
    return replace(
        life,
        candidate=None,
        previous=event.body["before"],
        promoted_at=event.at,
        n_promoted=life.n_promoted + 1,
    )


def _rolled_back(life: Life, event: Event) -> Life:
    return replace(life, candidate=None, previous="", promoted_at=None)


def _fell_back(life: Life, event: Event) -> Life:
    return replace(life, candidate=None, fell_back_from=event.body["before"])


def _returned(life: Life, event: Event) -> Life:
    return replace(life, fell_back_from="")


_CHANGES = {
    "trained": _trained,
    "shadow": _shadow,
    "canary": _canary,
    "withdrawn": _withdrawn,
    "promoted": _promoted,
    "rolled back": _rolled_back,
    "fell back": _fell_back,
    "returned": _returned,
}


# ------------------------------------------------------------------------------- the runs


@dataclass(frozen=True, kw_only=True)
class Known:
    """A run that there is: its window, and how it ended, or an empty text."""

    window: Window
    state: str


def runs_of(store: Store, deployment: str) -> list[Known]:
    """Return the runs that were opened, in the order of their windows."""
    windows: dict[str, Window] = {}
    states: dict[str, str] = {}
    for event in store.events(stream_of(deployment)):
        if event.kind == "opened":
            moments = {
                name: datetime.fromisoformat(event.body[name])
                for name in ("start", "end", "moment")
            }
            windows[event.body["run"]] = Window(
                start=moments["start"], end=moments["end"], run=moments["moment"]
            )
        elif event.kind == "ended":
            states[event.body["run"]] = event.body["state"]
    known = [Known(window=each, state=states.get(run, "")) for run, each in windows.items()]
    return sorted(known, key=lambda each: each.window.end)
