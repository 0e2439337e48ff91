"""Access keys: who may call, as long as the store says so; and the keys that a workspace keeps."""

import json
import stat

from utils.serving import keys, models
from utils.serving.keys import KeyRing, hash_key, issue_key
from utils.store import StoreUnavailable


def test_keys_differ_and_fit_in_a_header():
    made = {keys.new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.isascii() and key.isprintable() and " " not in key for key in made)


def ring(store, logged, own=None, **settings):
    models.deploy(
        store, name="late", model_uri=logged.uri("late"), tracking_uri=logged.tracking_uri
    )
    return KeyRing(own or {}, store, "late", **settings)


def test_each_key_has_its_client(store, logged):
    known = ring(store, logged, {"own": "owner"})
    tower, gate = (issue_key(store, "late", client=client) for client in ("tower", "gate"))
    known.refresh()
    assert [known.client_of(key) for key in ("own", tower, gate)] == ["owner", "tower", "gate"]
    assert known.client_of("wrong") is None
    assert known.client_of("") is None
    assert known.client_of(hash_key(tower)) is None, "a hash is no key"


def test_what_the_store_has_is_read_again_after_a_second(store, logged):
    now = [0.0]
    known = ring(store, logged, clock=lambda: now[0])
    key = issue_key(store, "late", client="tower")
    assert not known.is_stale
    assert known.client_of(key) is None
    now[0] = keys.REFRESH_S
    assert known.is_stale
    known.refresh()
    assert known.client_of(key) == "tower"


def test_a_store_that_is_away_does_not_lock_callers_out(store, logged, monkeypatch):
    known = ring(store, logged)
    key = issue_key(store, "late", client="tower")
    known.refresh()

    def gone(*_):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "keys", gone)
    known.refresh()
    assert known.client_of(key) == "tower"


def test_a_workspace_remembers_its_own_keys_for_its_owner(workspace, monkeypatch):
    assert keys.recall_key("late") == ""
    keys.remember_key("late", "one")
    keys.remember_key("delay", "two")
    assert (keys.recall_key("late"), keys.recall_key("delay")) == ("one", "two")
    (file,) = workspace.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"late": "one", "delay": "two"}
    monkeypatch.setenv("VIGIA_ACCESS_KEY", "three")
    assert keys.recall_key("late") == "three"
