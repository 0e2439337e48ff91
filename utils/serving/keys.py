"""Access keys: made at random, shown once, kept as hashes, compared in constant time.

A key has 256 random bits, so a plain hash keeps it: there is nothing to guess. The keys of clients
are in the store, by deployment, and can be revoked there; the operator's own key, from the
environment, lives as long as the process. On the caller's side, a workspace remembers the keys of
its own deployments in a file that only its owner may read.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from utils.store import Store, StoreUnavailable

REFRESH_S = 1.0
"""A key that is added or revoked counts after this long, at most."""


def new_key() -> str:
    """Return a new access key, as text for headers and JSON.

    >>> len(new_key())
    43
    """
    return secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """Return the hash under which a key is stored.

    >>> hash_key("not a real key")[:16]
    '5b71a88df7275813'
    """
    return hashlib.sha256(key.encode()).hexdigest()


def issue_key(store: Store, deployment: str, *, client: str) -> str:
    """Make a key for a client of a deployment, store its hash, and return it: the only time.

    >>> from utils.store.example import example_store
    >>> with example_store() as store:
    ...     key = issue_key(store, "flights", client="tower")
    ...     store.keys("flights") == [(hash_key(key), "tower")]
    True
    """
    key = new_key()
    store.add_key(deployment, hash_key(key), client=client)
    return key


class KeyRing:
    """Who may call: the process's own keys (key to client), and those that the store has.

    What the store has is read again when it is older than ``REFRESH_S``; where the store cannot
    be read, what was last known holds.
    """

    def __init__(
        self,
        own: Mapping[str, str],
        store: Store,
        deployment: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = [(hash_key(key), client) for key, client in own.items()]
        self._store = store
        self._deployment = deployment
        self._clock = clock
        self._known = self._own
        self.refresh()

    @property
    def is_stale(self) -> bool:
        """Whether what the store has should be read again."""
        return self._clock() >= self._stale_at

    def refresh(self) -> None:
        """Read the store's keys; this may wait for the store."""
        self._stale_at = self._clock() + REFRESH_S
        try:
            self._known = [*self._own, *self._store.keys(self._deployment)]
        except StoreUnavailable:
            return

    def client_of(self, key: str) -> str | None:
        """Return whose key this is, or ``None``; it takes as long whichever key matches.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     ring = KeyRing({"a secret": "owner"}, store, "flights")
        ...     ring.client_of("a secret"), ring.client_of("a guess")
        ('owner', None)
        """
        given = hash_key(key)
        return self.client_whose(lambda known: hmac.compare_digest(known, given))

    def client_whose(self, matches: Callable[[str], bool]) -> str | None:
        """Return the client the hash of whose key matches, or ``None``; every one is tried.

        >>> from utils.store.example import example_store
        >>> with example_store() as store:
        ...     ring = KeyRing({"a secret": "owner"}, store, "flights")
        ...     ring.client_whose(lambda known: known == hash_key("a secret"))
        'owner'
        """
        found = None
        for known, client in self._known:
            if matches(known):
                found = client
        return found


def workspace() -> Path:
    """Return the folder in which this project keeps its state; it need not exist.

    It is ``VIGIA_WORKSPACE``, else ``workspace`` beside ``utils``: the same for a notebook in any
    folder of the clone.
    """
    named = os.environ.get("VIGIA_WORKSPACE")
    return Path(named).resolve() if named else Path(__file__).resolve().parents[2] / "workspace"


def remember_key(deployment: str, key: str) -> None:
    """Keep a key of one's own in the workspace, in a file that only its owner may read."""
    path = _key_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = {**_remembered(), deployment: key}
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(keys, file, indent=1)
    fresh.replace(path)


def recall_key(deployment: str) -> str:
    """Return the key for a deployment: ``VIGIA_ACCESS_KEY``, else what the workspace remembers.

    It is empty where neither has one.
    """
    return os.environ.get("VIGIA_ACCESS_KEY") or _remembered().get(deployment, "")


def _remembered() -> dict[str, str]:
    path = _key_file()
    return json.loads(path.read_text()) if path.exists() else {}


def _key_file() -> Path:
    return workspace() / "access_keys.json"
