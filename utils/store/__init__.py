"""The Model Metrics Store, on SQLite or PostgreSQL; all SQL is in this room."""

from utils.store.engines import StoreUnavailable
from utils.store.store import Store, open_store

__all__ = ["Store", "StoreUnavailable", "open_store"]
