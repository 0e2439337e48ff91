"""A store with one deployment, on SQLite and on PostgreSQL."""

import pytest

from utils.store import open_store
from utils.store.example import DEPLOYMENT, SCHEMA


@pytest.fixture
def store(store_url):
    """Yield a store that has the example's deployment, ``flights``, and no prediction yet."""
    with open_store(store_url) as opened:
        opened.add_deployment(DEPLOYMENT, SCHEMA)
        yield opened
