"""Opening a store: a new one, an old one, one that others open too, and what is none."""

import subprocess
import sys
from dataclasses import asdict

import pytest
import sqlalchemy as sa

from utils.store import StoreUnavailable, open_store, tables
from utils.store.engines import backend
from utils.store.example import DEPLOYMENT, PREDICTIONS, SCHEMA, example_store
from utils.store.migrations import VERSION

VERSION_1 = """
CREATE TABLE vigia_store (version INTEGER NOT NULL);
INSERT INTO vigia_store (version) VALUES (1);
CREATE TABLE vigia_service ({id}, name TEXT NOT NULL UNIQUE, output TEXT NOT NULL);
INSERT INTO vigia_service (name, output) VALUES ('flights', 'double');
CREATE TABLE vigia_deployment ({id}, service BIGINT NOT NULL, model_name TEXT NOT NULL,
    model_version TEXT NOT NULL, model_uri TEXT NOT NULL, model_crn TEXT NOT NULL,
    build_crn TEXT NOT NULL, deployment_crn TEXT NOT NULL UNIQUE, created_at BIGINT NOT NULL,
    inputs TEXT NOT NULL);
INSERT INTO vigia_deployment (service, model_name, model_version, model_uri, model_crn, build_crn,
    deployment_crn, created_at, inputs) VALUES (1, 'delay', '1', 'models:/delay/1', 'crn:model',
    'crn:build', 'crn:deployment:1', 1364817600000000,
    '[{{"name": "carrier", "kind": "string", "required": true}}]');
CREATE TABLE vigia_feature (service BIGINT NOT NULL, position INTEGER NOT NULL,
    name TEXT NOT NULL, kind TEXT NOT NULL, db_column TEXT NOT NULL,
    PRIMARY KEY (service, position), UNIQUE (service, name));
INSERT INTO vigia_feature VALUES (1, 0, 'carrier', 'string', 'f0_carrier');
CREATE TABLE vigia_metric ({id}, service BIGINT NOT NULL, prediction BIGINT NOT NULL,
    known_at BIGINT NOT NULL, metrics TEXT NOT NULL);
INSERT INTO vigia_metric (service, prediction, known_at, metrics)
    VALUES (1, 1, 1364821200000000, '{{"seen": true}}');
CREATE INDEX vigia_metric_of_prediction ON vigia_metric (service, prediction);
CREATE TABLE vigia_aggregate ({id}, deployment BIGINT NOT NULL, start_time BIGINT NOT NULL,
    end_time BIGINT NOT NULL, metrics TEXT NOT NULL);
CREATE INDEX vigia_aggregate_of_deployment ON vigia_aggregate (deployment, start_time);
CREATE TABLE vigia_prediction_1 ({id}, prediction_id TEXT NOT NULL, event_time BIGINT NOT NULL,
    deployment BIGINT NOT NULL, model_version TEXT, client TEXT, latency_ms DOUBLE PRECISION,
    prediction DOUBLE PRECISION, score DOUBLE PRECISION, f0_carrier TEXT);
CREATE UNIQUE INDEX vigia_prediction_1_id ON vigia_prediction_1 (prediction_id);
CREATE INDEX vigia_prediction_1_time ON vigia_prediction_1 (event_time);
INSERT INTO vigia_prediction_1 (prediction_id, event_time, deployment, client, prediction,
    f0_carrier) VALUES ('a', 1364817600000000, 1, 'tower', 12.5, 'UA');
CREATE TABLE vigia_label_1 (prediction BIGINT NOT NULL, known_at BIGINT NOT NULL,
    revision INTEGER NOT NULL, label DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (prediction, known_at, revision));
INSERT INTO vigia_label_1 VALUES (1, 1364828400000000, 1, 20.0)
"""
NUMBER = {
    "sqlite": "id INTEGER PRIMARY KEY",
    "postgresql": "id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}


def run_sql(store_url, *statements):
    database = backend(store_url)
    with database.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    database.close()


def make_version_1(store_url):
    number = NUMBER[backend(store_url).engine.dialect.name]
    run_sql(store_url, *VERSION_1.format(id=number).split(";"))


def test_a_store_of_version_1_is_migrated_with_its_data_and_serves_what_is_new(store_url):
    make_version_1(store_url)
    with open_store(store_url) as store:
        [row] = store.read("flights").to_dict("records")
        assert (row["prediction_id"], row["prediction"], row["label"]) == ("a", 12.5, 20.0)
        assert row["carrier"] == "UA"
        assert store.metrics(prediction_id="a")[0]["metrics"] == {"seen": True}
        store.add_key("flights", "5f2b", client="tower")
        assert store.erase("flights", column="client", value="tower", reason="asked") == 1
        assert len(store.audit()) == 1


def test_a_migrated_store_has_the_tables_of_a_new_one(store_url):
    make_version_1(store_url)
    open_store(store_url).close()
    database = backend(store_url)
    with database.reading() as connection:
        inspector = sa.inspect(connection)
        for table in tables.metadata.tables.values():
            standing = {column["name"]: column for column in inspector.get_columns(table.name)}
            assert list(standing) == [column.name for column in table.columns]
            for column in table.columns:
                if not column.primary_key:
                    assert standing[column.name]["nullable"] == column.nullable
    database.close()


def test_opening_again_finds_what_was_stored(store_url):
    with open_store(store_url) as store:
        store.add_deployment(DEPLOYMENT, SCHEMA)
        store.write_predictions("flights", PREDICTIONS)
    with open_store(store_url) as store:
        assert store.deployment("flights") == DEPLOYMENT
        assert store.read("flights")["prediction_id"].tolist() == ["a", "b"]


def test_a_store_of_a_newer_version_is_refused_and_left_alone(store_url):
    open_store(store_url).close()
    run_sql(store_url, f"UPDATE vigia_store SET version = {VERSION + 7}")
    said = f"version {VERSION + 7} and this code knows {VERSION}: a newer Vigia wrote it"
    with pytest.raises(StoreUnavailable, match=said):
        open_store(store_url)


def test_a_migration_that_fails_leaves_the_old_store_whole(store_url, monkeypatch):
    make_version_1(store_url)
    broken = (
        (),
        ("ALTER TABLE vigia_store ADD COLUMN salt TEXT", "INSERT INTO vigia_nowhere VALUES (1)"),
    )
    with monkeypatch.context() as patch:
        patch.setattr("utils.store.migrations.STEPS", broken)
        with pytest.raises((StoreUnavailable, sa.exc.ProgrammingError), match="vigia_nowhere"):
            open_store(store_url)
    with open_store(store_url) as store:
        assert store.read("flights")["prediction_id"].tolist() == ["a"]


OPENER = """
import sys
from utils.store import open_store
print("ready", flush=True)
sys.stdin.readline()
with open_store(sys.argv[1]) as store:
    print(len(store.deployments()), flush=True)
"""


def test_processes_that_open_an_empty_store_at_once_all_succeed(store_url):
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, store_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for opener in openers:
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        opener.stdin.write("go\n")
        opener.stdin.flush()
    answers = [opener.communicate(timeout=60) for opener in openers]
    assert [
        (out, opener.returncode) for (out, _), opener in zip(answers, openers, strict=True)
    ] == [("0\n", 0)] * 3, answers


def test_a_store_in_memory_serves_one_open_at_a_time_and_is_gone_when_closed():
    with example_store() as store:
        assert len(store.read("flights")) == 2
    with open_store("sqlite://") as store:
        assert store.deployments().empty


def test_an_sqlite_store_is_written_ahead_and_flushed_at_every_commit(tmp_path):
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        with store._backend.reading() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "secure_delete", "busy_timeout")
            }
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "secure_delete": 1,
        "busy_timeout": 30_000,
    }


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("shopping: bread, coffee, " * 100)
    with pytest.raises(StoreUnavailable, match=r"notes\.txt: file is not a database: this file is"):
        open_store(f"sqlite:///{path}")
    assert path.read_text().startswith("shopping")


def test_a_damaged_store_is_refused(tmp_path):
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}").close()
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 8_000)
    with pytest.raises(StoreUnavailable, match="damaged"):
        open_store(f"sqlite:///{path}")


@pytest.mark.parametrize("folder", ["missing", "file.txt"])
def test_a_folder_that_cannot_hold_the_store_is_named_with_the_way_out(tmp_path, folder):
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(StoreUnavailable, match=f"{folder}/store.db: .*the folder must exist"):
        open_store(f"sqlite:///{tmp_path}/{folder}/store.db")


def test_a_store_that_may_not_be_written_says_so(tmp_path):
    path = tmp_path / "store.db"
    path.write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="readonly database: you must be allowed to write"):
        open_store(f"sqlite:///file:{path}?mode=ro&uri=true")


@pytest.mark.parametrize(
    "url", ["mysql://ana:secret@host/db", "flights.db", "", "sqlite:/x", "postgresql://h:port/d"]
)
def test_a_url_of_no_store_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match=r"a store is sqlite:///PATH or postgresql://…") as refused:
        open_store(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "secret", ["ana:hunter2@127.0.0.1:1/db", "127.0.0.1:1/db?password=hunter2"]
)
def test_a_server_that_does_not_answer_is_named_without_its_password(secret):
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1/db.*is the server running") as none:
        open_store(f"postgresql://{secret}")
    assert "hunter2" not in str(none.value)


def test_a_database_that_does_not_exist_is_named(postgresql_url):
    url = sa.make_url(postgresql_url).set(database="nowhere").render_as_string(False)
    with pytest.raises(StoreUnavailable, match="nowhere.*does not exist.*make the database first"):
        open_store(url)


def test_a_missing_driver_is_named_with_the_package_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnavailable, match=r"psycopg is not installed: pip install"):
        open_store("postgresql://127.0.0.1/db")


def test_a_store_shows_itself_without_its_password(monkeypatch):
    opened = backend("postgres://ana:hunter2@host/db")
    assert opened.shown == "postgres://ana:***@host/db"
    assert opened.engine.dialect.driver == "psycopg"


def test_an_error_of_the_database_tells_no_stored_value():
    with example_store() as store:
        with store._backend.writing() as connection:
            connection.exec_driver_sql("DROP TABLE vigia_prediction_1")
        with pytest.raises(StoreUnavailable) as failed:
            store.write_predictions("flights", PREDICTIONS)
    told = [str(failed.value), str(failed.value.__cause__)]
    assert not any("tower" in text for text in told), told


def test_a_deployment_survives_its_trip_through_the_store_field_by_field():
    with example_store() as store:
        assert asdict(store.deployment("flights")) == asdict(DEPLOYMENT)
