"""Who of the callers is answered by another deployment: a share, and always the same ones.

A split is begun and ended in the store, as events of ``split/<deployment>``; the last one counts.
Whoever serves the deployment looks there (``following``), so a canary gets its share without a
server being told or started anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from utils.records import Event
from utils.store import Store


@dataclass(frozen=True, kw_only=True)
class Split:
    """A share of what is asked of a deployment goes to another one, called ``deployment``.

    The same key goes the same way as long as ``salt`` and ``share`` are the same, and stays there
    when the share grows. With ``key_column``, an input, each row's value in it is the key, so that
    a customer, or an aircraft, does not see two versions. Without it, and where a request does not
    have that column, the first of its prediction ids is: a request goes as a whole, and goes the
    same way when it comes again.

    Raises ``ValueError`` naming the field, its value and the rule.
    """

    deployment: str
    share: float
    salt: str
    key_column: str = ""

    def __post_init__(self) -> None:
        _need_share(self.share)
        if not self.deployment:
            raise ValueError("deployment='': must name the deployment that takes the share")

    def takes(self, keys: Sequence[str]) -> np.ndarray:
        """Return which keys go to the other deployment.

        >>> Split(deployment="canary", share=0.5, salt="2").takes(["N14228", "N619AA"]).tolist()
        [False, True]
        """
        return goes_to_canary(keys, share=self.share, salt=self.salt)


def goes_to_canary(keys: Sequence[str], *, share: float, salt: str) -> np.ndarray:
    """Return which requests go to the canary: a share of the keys, always the same ones.

    The key is of whoever must not see two versions: a customer, an aircraft, a request. ``salt`` is
    another one for each canary, so that it is not always the same who goes first.

    >>> goes_to_canary(["N14228", "N24211", "N619AA"], share=0.5, salt="2").tolist()
    [False, True, True]
    """
    _need_share(share)
    known: dict[str, bool] = {}
    bound = int(share * 2**64)
    for key in keys:
        if key not in known:
            digest = hashlib.blake2b(f"{salt}/{key}".encode(), digest_size=8).digest()
            known[key] = int.from_bytes(digest) < bound
    return np.fromiter((known[key] for key in keys), dtype=bool, count=len(keys))


def _need_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"share={share!r}: must lie in 0..1")


# ------------------------------------------------------------------------------- in the store


def stream_of(deployment: str) -> str:
    return f"split/{deployment}"


def begin_split(store: Store, deployment: str, split: Split, *, at: datetime, by: str) -> bool:
    """Give a share of a deployment to another one from now on; return whether that is new.

    ``by`` names what began it: the same said again by the same changes nothing, so whoever broke
    off may say it again. A split that is on is replaced.

    Raises ``UnknownDeployment`` for one that nobody deployed, and ``ValueError`` for a key column
    that is none of the inputs, and for a deployment that would be split with itself.

    >>> from dataclasses import replace
    >>> from utils.store.example import DEPLOYMENT, NOON, SCHEMA, example_store
    >>> canary = replace(DEPLOYMENT, name="flights-canary", deployment_crn="crn:deployment:2")
    >>> split = Split(deployment="flights-canary", share=0.1, salt="2")
    >>> with example_store() as store:
    ...     store.add_deployment(canary, SCHEMA)
    ...     [begin_split(store, "flights", split, at=NOON, by="monday") for _ in "ab"]
    ...     split_of(store, "flights") == split
    ...     end_split(store, "flights", at=NOON, by="tuesday"), split_of(store, "flights")
    [True, False]
    True
    (True, None)
    """
    if split.deployment == deployment:
        raise ValueError(f"split: {deployment!r} would be split with itself")
    store.deployment(split.deployment)
    names = store.schema(deployment).names
    if split.key_column and split.key_column not in names:
        raise ValueError(
            f"key_column={split.key_column!r}: is no input of {deployment!r}, which takes "
            f"{', '.join(names)}"
        )
    return store.record(
        stream_of(deployment), f"{by}/begun", kind="begun", at=at, body=asdict(split)
    )


def end_split(store: Store, deployment: str, *, at: datetime, by: str) -> bool:
    """Let a deployment be asked everything again; return whether a split was on.

    Where none is on there is nothing to end, and nothing is written.
    """
    if split_of(store, deployment) is None:
        return False
    return store.record(stream_of(deployment), f"{by}/ended", kind="ended", at=at, body={})


def split_of(store: Store, deployment: str) -> Split | None:
    """Return the split that is on, or ``None``.

    >>> from utils.store.example import example_store
    >>> with example_store() as store:
    ...     split_of(store, "flights") is None
    True
    """
    return _last(store.events(stream_of(deployment)))


@dataclass(frozen=True, kw_only=True)
class Splits:
    """What there is to know of a deployment's splits: the one that is on, and all it went to."""

    on: Split | None
    deployments: tuple[str, ...]


def splits_of(store: Store, deployment: str) -> Splits:
    """Return the split that is on, and every deployment that ever took a share, oldest first.

    >>> from utils.store.example import example_store
    >>> with example_store() as store:
    ...     splits_of(store, "flights")
    Splits(on=None, deployments=())
    """
    events = store.events(stream_of(deployment))
    names = dict.fromkeys(each.body["deployment"] for each in events if each.kind == "begun")
    return Splits(on=_last(events), deployments=tuple(names))


def _last(events: Sequence[Event]) -> Split | None:
    return Split(**events[-1].body) if events and events[-1].kind == "begun" else None


def keys_of(
    split: Split, columns: Mapping[str, Iterable[Any]], prediction_ids: Sequence[str]
) -> list[str]:
    """Return the key of each row of a request, whose columns hold plain values.

    >>> split = Split(deployment="canary", share=0.5, salt="2", key_column="tail")
    >>> keys_of(split, {"tail": ["N14228", None]}, ["a", "b"])
    ['N14228', 'None']
    >>> keys_of(split, {}, ["a", "b"])
    ['a', 'a']
    """
    if split.key_column in columns:
        return [str(value) for value in columns[split.key_column]]
    return [prediction_ids[0]] * len(prediction_ids)
