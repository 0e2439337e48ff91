"""A version of a registered model: found by any address, and the files that it carries with it.

What monitoring later judges by is *carried* by the version: a file among the artifacts of its run,
and a tag ``vigia.<what>`` that points to it. The name of the file is the hash of what it holds, so
a file is never overwritten: a registry that was copied (a sandbox, a backup) points to the files
that it knew, whatever was attached elsewhere since. The file is written first and the tag last, and
the tag is one value: what breaks off in between leaves the version as it was.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion as Registered
from mlflow.exceptions import MlflowException

from utils.records import VigiaError
from utils.serving.tracking import tracking
from utils.text import nearest

T = TypeVar("T")

TAG = "vigia."
"""What the tags of ours begin with."""


class UnknownModel(VigiaError):
    """No model of this URI, or none that can be read."""


class UnknownVersion(UnknownModel):
    """The model has no version of this number."""


class UnknownAlias(UnknownModel):
    """The model has no alias of this name."""


class NotRegistered(UnknownModel):
    """The model is no version of a registered one, so nothing can be noted of it."""


class NotCarried(VigiaError):
    """The version does not carry this."""


class ChangedArtifact(VigiaError):
    """A file that a version carries is gone, or is not what its tag says."""


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A version of a registered model, and the run that it comes from."""

    name: str
    version: str
    run_id: str

    @property
    def model_uri(self) -> str:
        """Where MLflow finds it."""
        return f"models:/{self.name}/{self.version}"


# ----------------------------------------------------------------------------------- found by URI


@contextmanager
def opened(
    model: str | ModelVersion, *, tracking_uri: str | None = None
) -> Iterator[tuple[MlflowClient, Registered]]:
    """Give a client, and the registered version that a URI leads to; see ``version_of``."""
    uri = model if isinstance(model, str) else model.model_uri
    with tracking(tracking_uri) as client:
        yield client, version_of(client, uri)


def version_of(client: MlflowClient, model_uri: str) -> Registered:
    """Return the registered version that a URI leads to, as it is at this moment.

    ``model_uri`` is ``models:/name/1``, ``models:/name/latest``, ``models:/name@alias``, or
    ``models:/m-…``, which leads to the newest version that was made of that logged model.

    Raises ``UnknownModel``, ``UnknownVersion`` or ``UnknownAlias`` naming what there is instead,
    and ``NotRegistered`` for a model that is no version.
    """
    named = re.fullmatch(r"models:/([^/@]+)(?:@(.+)|/(.+))", model_uri)
    if named is None:
        return _version_of_logged(client, model_uri)
    name, alias, number = named.groups()
    aliases = _aliases(client, name, model_uri)
    if alias is not None:
        if alias not in aliases:
            there = nearest(alias, aliases) if aliases else "it has none: promote a version first"
            raise UnknownAlias(f"{model_uri}: {name!r} has no alias {alias!r}; {there}")
        number = str(aliases[alias])
    elif number == "latest":
        number = max(_numbers(client, name), key=int, default=number)
    try:
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code not in _ABSENT:
            raise
        there = ", ".join(sorted(_numbers(client, name), key=int)) or "none"
        raise UnknownVersion(
            f"{model_uri}: {name!r} has no version {number}; it has {there}"
        ) from error


_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow says of a version that is not there, and of one whose number is none."""


def _aliases(client: MlflowClient, name: str, uri: str) -> dict[str, str]:
    try:
        return client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = [each.name for each in client.search_registered_models()]
        there = nearest(name, names) if names else "there is none: register one first"
        raise UnknownModel(f"{uri}: no model is registered under {name!r}; {there}") from error


def _numbers(client: MlflowClient, name: str) -> list[str]:
    mark = '"' if "'" in name else "'"
    found = client.search_model_versions(f"name = {mark}{name}{mark}")
    return [str(each.version) for each in found]


def _version_of_logged(client: MlflowClient, model_uri: str) -> Registered:
    found = []
    if re.fullmatch(r"models:/m-[^/]+", model_uri):
        found = list(client.search_model_versions(f"source_path='{model_uri}'"))
    if not found:
        raise NotRegistered(
            f"{model_uri}: no registered version comes from it; register it first "
            "(utils.serving.models.register)"
        )
    newest = max(found, key=lambda each: (each.creation_timestamp, int(each.version)))
    return client.get_model_version(newest.name, str(newest.version))


def address(version: Registered) -> str:
    """Return the URI of a registered version."""
    return f"models:/{version.name}/{version.version}"


# --------------------------------------------------------------------------- files that it carries


def carry(
    client: MlflowClient,
    version: Registered,
    what: str,
    *,
    digest: str,
    suffix: str,
    write: Callable[[Path], object],
    read: Callable[[Path], object],
) -> str:
    """Put a file among the artifacts of a version's run, and return its URI (``runs:/…``).

    ``write`` makes it, ``read`` raises for one that does not hold what ``digest`` says. One that is
    there already, and whole, is left as it is. The version does not point to it yet: ``point``.

    Raises ``NotCarried`` for a version that comes from no run, which has no place for files.
    """
    run_id = need_run(version)
    uri = f"runs:/{run_id}/{what}/{digest}{suffix}"
    try:
        _fetched(client, uri, read)
    except VigiaError:
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"{digest}{suffix}"
            write(path)
            client.log_artifact(run_id, str(path), what)
    return uri


def need_run(version: Registered) -> str:
    """Return the id of the run that a version comes from, or raise ``NotCarried``."""
    if not version.run_id:
        raise NotCarried(
            f"{address(version)}: comes from no run, so there is no place for what it would carry; "
            "log the model in a run (utils.serving.models.log_model) and register that"
        )
    return version.run_id


def point(client: MlflowClient, version: Registered, what: str, uri: str) -> None:
    """Point a version's tag at a file that it carries."""
    client.set_model_version_tag(version.name, str(version.version), f"{TAG}{what}", uri)


def carried(
    client: MlflowClient, version: Registered, what: str, read: Callable[[Path], T]
) -> tuple[T, str]:
    """Return a file that a version carries, as ``read`` reads it, and the digest that it has.

    Raises ``NotCarried`` where the version points to none, and ``ChangedArtifact`` where the file
    is gone or is another one than the version points to.
    """
    uri = version.tags.get(f"{TAG}{what}")
    if uri is None:
        raise NotCarried(
            f"{address(version)}: carries no {what}; attach it (utils.serving.benchmarks.attach)"
        )
    return _fetched(client, uri, read), Path(uri).stem


def _fetched(client: MlflowClient, uri: str, read: Callable[[Path], T]) -> T:
    run_id, _, path = uri.removeprefix("runs:/").partition("/")
    with TemporaryDirectory() as folder:
        try:
            there = client.download_artifacts(run_id, path, folder)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise ChangedArtifact(f"{uri}: the file is not there; attach it anew") from error
        return read(Path(there))


def need_digest(found: str, path: Path) -> None:
    """Raise ``ChangedArtifact`` where a file does not hold what its name says."""
    if found != path.stem:
        raise ChangedArtifact(
            f"{path.name}: holds content {found}; it was changed after it was attached: attach it "
            "anew"
        )


def carry_text(
    client: MlflowClient, version: Registered, what: str, text: str, *, suffix: str
) -> str:
    """Put a text among the artifacts of a version's run, and return its URI; see ``carry``."""
    return carry(
        client,
        version,
        what,
        digest=text_digest(text),
        suffix=suffix,
        write=lambda path: path.write_bytes(text.encode()),
        read=read_text,
    )


def read_text(path: Path) -> str:
    """Return the text of a file that is called by its digest, or raise ``ChangedArtifact``."""
    text = path.read_bytes().decode(errors="replace")
    need_digest(text_digest(text), path)
    return text


def text_digest(text: str) -> str:
    """Return the first 16 characters of a text's SHA-256.

    >>> text_digest("")
    'e3b0c44298fc1c14'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:16]
