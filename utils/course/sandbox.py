"""A workspace to play in: what a chapter breaks there is broken for nobody else."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from uuid import uuid4

from utils.course.workspace import Workspace
from utils.serving.tracking import tracking


def sandbox(workspace: Workspace, chapter: str, *, without: Sequence[str] = ()) -> Workspace:
    """Return a new workspace of a chapter's own, with the models registered so far and no store.

    Registered models named in ``without`` are left out, with their versions and aliases, so that a
    chapter can register them for the first time; the runs that they come from are there.

    Each call begins anew, so a chapter that runs twice sees the same both times: sandboxes of the
    chapter that were there are dropped, unless a process holds their files open where the system
    forbids that (Windows). It has no stages: what it needs of them is brought up in ``workspace``
    before. The artifacts of the models stay where they are.
    """
    others = workspace.root / "sandboxes" / chapter
    shutil.rmtree(others, ignore_errors=True)
    new = Workspace(others / uuid4().hex, stages={})
    new.root.mkdir(parents=True)
    registry = workspace.root / "mlflow.db"
    if registry.exists():
        # A backup, and not a copy of the file: somebody may be writing to it.
        with (
            closing(sqlite3.connect(registry)) as source,
            closing(sqlite3.connect(new.root / registry.name)) as target,
        ):
            source.backup(target)
        with tracking(new.tracking_uri) as client:
            for name in {each.name for each in client.search_registered_models()} & set(without):
                client.delete_registered_model(name)
    return new
