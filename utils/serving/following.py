"""An endpoint that follows its name: what is deployed under it in the store is what answers.

A server that follows need not be started anew for a promotion or a rollback, and gives a canary the
share that a split in the store says. It looks at the store every second, in a thread of its own;
there a new version is loaded too, and takes over between two batches, so no request waits for a
model or goes to one that is not loaded. Versions change, and what may be asked does not, as long as
the server runs: a version whose signature does not allow all of it is not taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from utils.records import Deployment, UnknownDeployment, VigiaError
from utils.serving.contract import Refused
from utils.serving.endpoint import Endpoint, Request, Scored
from utils.serving.models import Scorer, in_service, load
from utils.serving.splits import Split, keys_of, splits_of
from utils.store import Store, StoreUnavailable

REFRESH_S = 1.0
"""What is deployed, or split, counts after this long, and the time to load it."""

RETRY_S = 60.0
"""A version that could not be loaded is tried again after this long."""

STOP_S = 5.0
"""A version that is being loaded when all ends is not waited for longer."""

_NEVER = float("inf")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A deployment, and its model, loaded."""

    scorer: Scorer
    deployment: Deployment


class Following(Endpoint):
    """The newest deployment of a name in service, and the canary that has a share of it.

    It follows within a ``with`` block; ``refresh`` looks once. ``clock``, ``capture``, ``guard``
    and ``max_rows`` are ``Endpoint``'s. A version that cannot be taken (it cannot be loaded, it is
    another one than was deployed, or its signature does not do) is named once in the log, and what
    answered goes on. Where the store cannot be read, all stays as it is. What the canary cannot
    answer the champion does.

    A request that comes again finds its answer, whichever of the two gave it, and labels are taken
    for both.

    >>> from utils.serving.example import FLIGHTS, example_endpoint
    >>> with example_endpoint() as endpoint:
    ...     with Following(endpoint.scorer, endpoint.store, endpoint.deployment) as following:
    ...         following.predict(FLIGHTS).predictions
    ...         [each.model_version for each in following.in_service]
    [10.0, -15.0]
    ['1']
    """

    def __init__(
        self,
        scorer: Scorer,
        store: Store,
        deployment: Deployment,
        *,
        tracking_uri: str | None = None,
        loaded: Callable[..., Scorer] = load,
        seconds: Callable[[], float] = time.monotonic,
        **settings: Any,
    ) -> None:
        super().__init__(scorer, store, deployment, **settings)
        self._tracking_uri = tracking_uri
        self._loaded = loaded
        self._seconds = seconds
        self._canary: Served | None = None
        self._split: Split | None = None
        self._others: tuple[str, ...] = ()
        self._try_again_at: dict[str, float] = {}
        self._looking = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.refresh()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._follow, name="following", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    @property
    def in_service(self) -> tuple[Deployment, ...]:
        """The deployment of the name, and that of the canary while it has a share."""
        canary = self._canary
        return (self.deployment,) if canary is None else (self.deployment, canary.deployment)

    # ------------------------------------------------------------------------------- following

    def _follow(self) -> None:
        while not self._stopping.wait(REFRESH_S):
            self.refresh()

    def refresh(self) -> None:
        """Look at the store once; load what is new there, and let it take over."""
        with self._looking:
            self._refresh()

    def _refresh(self) -> None:
        name = self.deployment.name
        try:
            newest = self.store.deployment(name)
            splits = splits_of(self.store, name)
            other = None if splits.on is None else self.store.deployment(splits.on.deployment)
        except (StoreUnavailable, UnknownDeployment):
            return
        champion = self._served(newest)
        canary = None if other is None else self._served(other)
        with self._one_at_a_time:
            if champion is not None:
                self.scorer, self.deployment = champion.scorer, champion.deployment
            self._canary, self._split = canary, splits.on
            self._others = splits.deployments

    def _served(self, deployment: Deployment) -> Served | None:
        """Return a deployment with its model, or ``None`` for one that cannot be taken."""
        wanted = _version_of(deployment)
        for known in (Served(scorer=self.scorer, deployment=self.deployment), self._canary):
            if known is not None and _version_of(known.deployment) == wanted:
                return Served(scorer=known.scorer, deployment=deployment)
        if self._seconds() < self._try_again_at.get(deployment.deployment_crn, -_NEVER):
            return None
        try:
            scorer = self._loaded(deployment.model_uri, tracking_uri=self._tracking_uri)
        except Exception as error:  # a model is anybody's code, and may raise anything
            said = f"{type(error).__name__}: {str(error)[:500]}"
            return self._passed_over(deployment, f"it cannot be loaded ({said})", RETRY_S)
        if scorer.model_version != deployment.model_version:
            return self._passed_over(
                deployment, f"its model is version {scorer.model_version} by now", _NEVER
            )
        if not scorer.contract.stands_in_for(self.contract):
            return self._passed_over(
                deployment, "its signature does not allow what is asked here", _NEVER
            )
        return Served(scorer=scorer, deployment=deployment)

    def _passed_over(self, deployment: Deployment, why: str, pause_s: float) -> None:
        """Say once why a deployment is not taken, and leave it alone for a while."""
        crn = deployment.deployment_crn
        if crn not in self._try_again_at:
            _log.warning(
                "%s: version %s (%s) is not taken: %s; version %s goes on",
                deployment.name,
                deployment.model_version,
                deployment.model_uri,
                why,
                self.deployment.model_version,
            )
        self._try_again_at[crn] = self._seconds() + pause_s

    # ------------------------------------------------------------------------------- answering

    def _scored_frame(self, frame: pd.DataFrame, requests: Sequence[Request]) -> Scored:
        """Return what is answered to the rows: those of the canary's share by the canary."""
        split, canary = self._split, self._canary
        if split is None or canary is None:
            return super()._scored_frame(frame, requests)
        params = requests[0].params
        goes = split.takes([key for each in requests for key in self._keys(split, each)])
        try:
            theirs = self._part(canary, frame, goes, params)
        except Refused as refused:
            if len(requests) > 1:  # each is asked for itself then
                raise
            instead = super()._scored_frame(frame, requests)
            self._answered_instead(canary.deployment, refused)
            return instead
        own = Served(scorer=self.scorer, deployment=self.deployment)
        return _woven(goes, theirs, self._part(own, frame, ~goes, params))

    def _keys(self, split: Split, request: Request) -> list[str]:
        columns = request.rows.columns
        given = {
            each.name: each.stored(columns[each.name])
            for each in self.contract.fields
            if each.name == split.key_column and each.name in columns
        }
        return keys_of(split, given, request.prediction_ids)

    def _part(
        self, served: Served, frame: pd.DataFrame, chosen: np.ndarray, params: Mapping[str, Any]
    ) -> Scored:
        if not chosen.any():
            return Scored(predictions=[], scores=None, made_by=[])
        rows = frame if chosen.all() else frame[chosen].reset_index(drop=True)
        return self._scored_by(served.scorer, served.deployment, rows, params)

    def _answered_instead(self, deployment: Deployment, refused: Refused) -> None:
        """Say once that the canary could not answer what the champion could."""
        key = f"{deployment.deployment_crn} answers"
        if key not in self._try_again_at:
            self._try_again_at[key] = _NEVER
            _log.warning(
                "%s: version %s does not answer what its share holds, so %s does: %s",
                deployment.name,
                deployment.model_version,
                self.deployment.name,
                refused.message,
            )

    def _write(self, rows: Sequence[tuple], made_by: Sequence[Deployment]) -> None:
        """Store rows, each under the name of who made it, and under no other of its names."""
        parts: dict[str, list[tuple]] = {}
        for row, by in zip(rows, made_by, strict=True):
            parts.setdefault(by.deployment_crn, []).append(row)
        if len(parts) == 1 and not self._others:
            [[crn, only]] = parts.items()
            self.store.append(crn, only)
        else:
            self.store.append_apart(parts, names=[self.deployment.name, *self._others])

    def _stored(self, ids: Sequence[str]) -> pd.DataFrame:
        names = [self.deployment.name, *self._others]
        frames = [self.store.find(name, ids) for name in names]
        held = [frame for frame in frames if len(frame)] or frames[:1]
        return pd.concat(held, ignore_index=True) if len(held) > 1 else held[0]

    def _names(self) -> Sequence[str]:
        """Return the names under which its predictions are, also those that others began."""
        name = self.deployment.name
        return [name, *splits_of(self.store, name).deployments]


def follow(
    store: Store,
    *,
    model_uri: str,
    deployment: str | None = None,
    tracking_uri: str | None = None,
    **settings: Any,
) -> Following:
    """Return an endpoint that follows a name, which is the model's unless given.

    The model goes into service where nothing is deployed under the name; where something is, that
    answers, whatever the URI leads to. ``settings`` are those of ``Following``.

    Raises as ``load`` does, and ``VigiaError`` where a deployment leads to another version by now.

    >>> from utils.serving.example import FLIGHTS, example_model
    >>> from utils.store import open_store
    >>> with open_store("sqlite://") as store, example_model() as folder:
    ...     with follow(store, model_uri=folder, deployment="flights") as endpoint:
    ...         endpoint.predict(FLIGHTS[["departure_delay_min"]]).predictions[0].__round__(6)
    10.0
    """
    scorer = load(model_uri, tracking_uri=tracking_uri)
    name = deployment or scorer.model_name
    try:
        standing = store.deployment(name)
    except UnknownDeployment:
        standing = in_service(store, scorer, name=name)
    if (scorer.model_uri, scorer.model_version) != _version_of(standing):
        scorer = load(standing.model_uri, tracking_uri=tracking_uri)
    if scorer.model_version != standing.model_version:
        raise VigiaError(
            f"{name}: {standing.model_uri} was deployed as version {standing.model_version}, and "
            f"is {scorer.model_version} by now; deploy it again"
        )
    return Following(scorer, store, standing, tracking_uri=tracking_uri, **settings)


def _version_of(deployment: Deployment) -> tuple[str, str]:
    return deployment.model_uri, deployment.model_version


def _woven(chosen: np.ndarray, theirs: Scored, own: Scored) -> Scored:
    """Return two answers as one, in the order of the rows."""

    def one(of_theirs: Sequence[Any], of_own: Sequence[Any]) -> list[Any]:
        first, second = iter(of_theirs), iter(of_own)
        return [next(first) if goes else next(second) for goes in chosen]

    scores = None
    if theirs.scores is not None or own.scores is not None:
        scores = one(
            theirs.scores or [None] * len(theirs.predictions),
            own.scores or [None] * len(own.predictions),
        )
    return Scored(
        predictions=one(theirs.predictions, own.predictions),
        scores=scores,
        made_by=one(theirs.made_by, own.made_by),
    )
