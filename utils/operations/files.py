"""The files that people write for operations: YAML, read with errors that name the file."""

from pathlib import Path
from typing import Any

from utils.records import VigiaError


def read_yaml(path: Path | str, *, bad: type[VigiaError]) -> Any:
    """Return what a YAML file holds.

    Raises ``bad``, naming the file, for one that cannot be read or is no YAML.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "plan.yaml"
    ...     _ = path.write_text("language: pt")
    ...     read_yaml(path, bad=VigiaError)
    {'language': 'pt'}
    """
    import yaml

    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise bad(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise bad(f"{path}: is no YAML ({' '.join(str(error).split())})") from error
