"""Retention, erasure and access keys: what is removed is gone, and the audit says so."""

import gc
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.store.builders import deployment, hours, label_frame, one_column, row
from utils.records import UnknownDeployment
from utils.store import StoreUnavailable, open_store
from utils.store.engines import backend
from utils.store.example import SCHEMA

SUBJECT = "maria.da.silva@example.org"


def bytes_of(store_url):
    """Return all that the database keeps of its tables, byte by byte."""
    if store_url.startswith("sqlite"):
        path = Path(sa.make_url(store_url).database)
        return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    database = backend(store_url)
    with database.writing() as connection:
        connection.exec_driver_sql("CHECKPOINT")
        folder = Path(connection.exec_driver_sql("SHOW data_directory").scalar())
        number = connection.exec_driver_sql(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).scalar()
    database.close()
    return b"".join(file.read_bytes() for file in (folder / "base" / str(number)).iterdir())


def fill(store):
    """Store 3,000 predictions, every seventh of the subject, with labels and metrics."""
    ids = [f"id-{number:05}" for number in range(3_000)]
    mine = set(ids[::7])
    rows = [
        row(
            id,
            number,
            client=SUBJECT if id in mine else "tower",
            carrier=f"card of {SUBJECT}" if id in mine else "UA",
        )
        for number, id in enumerate(ids)
    ]
    for first in range(0, len(rows), 100):
        store.append("flights", rows[first : first + 100])
    store.write_labels(label_frame(*((id, 1.0, 9_000) for id in ids)))
    for id in sorted(mine)[:3]:
        store.track(id, {"card": SUBJECT})
    return ids, mine


def test_an_erased_value_is_nowhere_in_the_database(store, store_url):
    ids, mine = fill(store)
    store.add_key("flights", "5f2b", client=SUBJECT)
    assert SUBJECT.encode() in bytes_of(store_url)
    erased = store.erase("flights", column="client", value=SUBJECT, reason="asked in writing")
    assert erased == len(mine)
    assert SUBJECT.encode() not in bytes_of(store_url)
    assert store.read("flights")["prediction_id"].tolist() == [id for id in ids if id not in mine]
    assert len(store.labels("flights")) == len(ids) - len(mine)
    assert all(one["metrics"] == {} for one in store.metrics())
    assert store.keys("flights") == []
    store.close()
    assert SUBJECT.encode() not in bytes_of(store_url)


def test_an_erasure_leaves_counts_a_reason_and_no_personal_value(store):
    store.append("flights", [row("a", client=SUBJECT), row("b", 1)])
    store.write_labels(label_frame(("a", 1.0, 5), ("a", 2.0, 6)))
    store.track("a", {"seen": 1})
    store.erase("flights", column="client", value=SUBJECT, reason="asked in writing")
    [audit] = store.audit().to_dict("records")
    told = {name: audit[name] for name in ("action", "deployment", "reason", "column")}
    assert told == {
        "action": "erase",
        "deployment": "flights",
        "reason": "asked in writing",
        "column": "client",
    }
    assert (audit["predictions"], audit["labels"], audit["metrics"]) == (1, 2, 1)
    assert len(audit["value_sha256"]) == 64
    assert SUBJECT not in str(audit)


def test_whoever_knows_the_value_can_show_that_it_was_erased(store):
    store.append("flights", [row("a", client=SUBJECT)])
    store.erase("flights", column="client", value=SUBJECT, reason="asked in writing")
    proof = store.erasures("flights", column="client", value=SUBJECT)
    assert proof["predictions"].tolist() == [1]
    assert store.erasures("flights", column="client", value="somebody").empty
    assert store.erasures("flights", column="carrier", value=SUBJECT).empty


def test_two_stores_hash_the_same_value_differently(tmp_path):
    hashes = set()
    for name in ("one", "two"):
        with open_store(f"sqlite:///{tmp_path / name}.db") as store:
            store.add_deployment(deployment(1), SCHEMA)
            store.erase("flights", column="client", value=SUBJECT, reason="asked")
            hashes.update(store.audit()["value_sha256"])
    assert len(hashes) == 2


def test_a_subject_may_be_found_by_any_input(store):
    inputs = one_column("long", name="client")
    store.add_deployment(deployment(2, name="cards"), inputs)
    store.append("cards", [(*row("a")[:7], 7), (*row("b", 1)[:7], 8)])
    assert store.erase("cards", column="input_client", value=7, reason="asked") == 1
    assert store.read("cards")["prediction_id"].tolist() == ["b"]
    assert len(store.erasures("cards", column="input_client", value=7)) == 1


def test_an_erasure_that_finds_nobody_is_audited_too(store):
    assert store.erase("flights", column="client", value="nobody", reason="asked") == 0
    assert store.audit()["predictions"].tolist() == [0]


@pytest.mark.parametrize(
    ("column", "value", "reason", "said"),
    [
        ("score", 0.5, "asked", "column='score': a subject is found by client, or by an input"),
        ("nothing", 1, "asked", "column='nothing'"),
        ("client", None, "asked", "value: is missing"),
        ("client", 7, "asked", "value: 7 is not a string"),
        ("distance_miles", "far", "asked", "value: 'far' is not a number"),
        ("client", "tower", " ", "reason=' ': say why, the audit keeps it"),
        ("client", "tower", "the tower asked", "reason: holds the value to erase"),
    ],
)
def test_an_erasure_that_makes_no_sense_is_refused_and_removes_nothing(
    store, column, value, reason, said
):
    store.append("flights", [row("a")])
    with pytest.raises(ValueError, match=said):
        store.erase("flights", column=column, value=value, reason=reason)
    assert len(store.read("flights")) == 1
    assert store.audit().empty


def test_json_finds_no_subject(store):
    store.add_deployment(deployment(2, name="other"), one_column("json"))
    with pytest.raises(ValueError, match="an input that is no JSON: there is none"):
        store.erase("other", column="x", value={"a": 1}, reason="asked")


def test_an_erasure_while_somebody_reads_says_that_the_files_are_not_clean_yet(
    store, store_url, monkeypatch
):
    def in_use(tables):
        raise StoreUnavailable("store.db: database is locked")

    store.append("flights", [row("a")])
    with monkeypatch.context() as patch:
        patch.setattr(store._backend, "rewrite", in_use)
        with pytest.raises(StoreUnavailable, match="locked. The rows are erased, but the files"):
            store.erase("flights", column="client", value="tower", reason="asked")
    assert store.read("flights").empty
    assert store.erase("flights", column="client", value="tower", reason="asked") == 0


def test_a_reader_of_an_sqlite_store_keeps_its_old_pages_and_the_erasure_says_so(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("utils.store.engines.BUSY_TIMEOUT_S", 0.05)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with open_store(url) as store, open_store(url) as reader:
        store.add_deployment(deployment(1), SCHEMA)
        store.append("flights", [row("a", client=SUBJECT)])
        with reader._backend.reading() as connection:
            connection.execute(sa.text("SELECT count(*) FROM vigia_prediction_1")).scalar()
            with pytest.raises(StoreUnavailable, match="erase again when nobody else uses"):
                store.erase("flights", column="client", value=SUBJECT, reason="asked")
        store.erase("flights", column="client", value=SUBJECT, reason="asked")
        assert SUBJECT.encode() not in bytes_of(url)
    gc.collect()


def test_retention_drops_what_is_older_with_its_labels_and_metrics(store):
    store.append("flights", [row("a", 0), row("b", 1), row("c", 2)])
    store.write_labels(label_frame(("a", 1.0, 5), ("b", 1.0, 5)))
    store.track("a", {"seen": 1})
    store.track_aggregate("crn:deployment:1", {"mae": 1}, hours(0), hours(1))
    assert store.retain("flights", before=hours(1), reason="kept for an hour") == 1
    assert store.read("flights")["prediction_id"].tolist() == ["b", "c"]
    assert store.labels("flights")["prediction_id"].tolist() == ["b"]
    assert [one["metrics"] for one in store.metrics()] == [{}, {}, {"mae": 1}]
    [audit] = store.audit().to_dict("records")
    assert (audit["action"], audit["before"], audit["reason"]) == (
        "retain",
        hours(1),
        "kept for an hour",
    )
    assert (audit["predictions"], audit["labels"], audit["metrics"]) == (1, 1, 1)


def test_retention_touches_no_other_deployment(store):
    store.add_deployment(deployment(2, name="other"), SCHEMA)
    store.append("flights", [row("a")])
    store.append("other", [row("a")])
    store.track_aggregate("crn:deployment:2", {"mae": 1}, hours(0), hours(1))
    store.write_labels(label_frame(("a", 1.0, 5)), deployment="other")
    store.retain("flights", before=hours(9), reason="kept for nine hours")
    assert len(store.read("other")) == len(store.labels("other")) == 1


def test_an_id_that_was_dropped_does_not_get_the_old_labels_back(store):
    store.append("flights", [row("a")])
    store.write_labels(label_frame(("a", 1.0, 5)))
    store.track("a", {"seen": 1})
    store.retain("flights", before=hours(9), reason="all of it")
    store.append("flights", [row("a")])
    assert store.read("flights")["label"].isna().all()
    assert store.metrics()[0]["metrics"] == {}


def test_retention_needs_an_aware_moment_a_reason_and_a_deployment(store):
    with pytest.raises(ValueError, match="before: .* has no time zone"):
        store.retain("flights", before=datetime(2013, 4, 1), reason="old")
    with pytest.raises(ValueError, match="before: is missing"):
        store.retain("flights", before=None, reason="old")
    with pytest.raises(ValueError, match="reason='': say why"):
        store.retain("flights", before=hours(1), reason="")
    with pytest.raises(UnknownDeployment):
        store.retain("crn:deployment:1", before=hours(1), reason="a CRN is not a name")


def test_the_audit_has_its_dtypes_when_it_is_empty(store):
    empty = store.audit()
    store.retain("flights", before=hours(1), reason="old")
    assert empty.dtypes.equals(store.audit().dtypes)
    assert str(empty["done_at"].dtype) == "datetime64[us, UTC]"


def test_keys_open_their_own_deployment_until_they_are_revoked(store):
    store.add_deployment(deployment(2, name="other"), SCHEMA)
    store.add_key("flights", "hash-1", client="tower")
    store.add_key("flights", "hash-2", client="gate")
    store.add_key("other", "hash-1", client="radar")
    assert store.keys("flights") == [("hash-2", "gate"), ("hash-1", "tower")]
    store.add_key("flights", "hash-1", client="apron")
    assert store.keys("flights") == [("hash-1", "apron"), ("hash-2", "gate")]
    store.revoke_key("flights", "hash-1")
    assert store.keys("flights") == [("hash-2", "gate")]
    assert store.keys("other") == [("hash-1", "radar")]
    with pytest.raises(ValueError, match="key_hash='hash-1': opens nothing of 'flights'"):
        store.revoke_key("flights", "hash-1")
    with pytest.raises(UnknownDeployment):
        store.keys("nothing")


@pytest.mark.parametrize(("key_hash", "client"), [(None, "tower"), ("hash", None), (7, "tower")])
def test_a_key_needs_a_hash_and_a_client(store, key_hash, client):
    with pytest.raises(ValueError, match="key_hash|client"):
        store.add_key("flights", key_hash, client=client)
    assert store.keys("flights") == []
