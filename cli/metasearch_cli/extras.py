"""
The extras of the distribution: which modules each brings, and the sentence for a command that lacks one.

The base holds what it takes to look at a search. `pyproject.toml` declares the packages; a test compares both with
what the code imports.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec

from metasearch.errors import MetaSearchError


class Extra(StrEnum):
    """The name to install an extra by, as in `pip install 'metasearch-operator[report]'`."""

    TRAINER = "trainer"
    REPORT = "report"
    CLUSTER = "cluster"
    STORAGE = "storage"
    TENSORBOARD = "tensorboard"
    MLFLOW = "mlflow"


MODULES = {
    Extra.TRAINER: ("torch", "PIL", "prometheus_client", "psutil", "safetensors", "sklearn"),
    Extra.REPORT: ("jinja2", "matplotlib", "scipy"),
    Extra.CLUSTER: ("kubernetes", "urllib3", "websocket"),
    Extra.STORAGE: ("fsspec",),
    Extra.TENSORBOARD: ("tensorboard",),
    Extra.MLFLOW: ("mlflow",),
}
"""The top-level modules that each extra brings and that our code imports."""


def is_installed(extra: Extra) -> bool:
    """Return whether every module of an extra is there. Nothing is imported."""
    return all(find_spec(module) is not None for module in MODULES[extra])


def require(extra: Extra, purpose: str) -> None:
    """
    Refuse to begin what would end for want of an extra. Nothing is imported.

    Args:
        purpose: what needs the extra, as the beginning of the sentence, such as "training".

    Raises:
        MetaSearchError: a module of the extra is not installed.
    """
    for module in MODULES[extra]:
        if find_spec(module) is None:
            raise _missing(extra, purpose, module)


@contextmanager
def needing(extra: Extra, purpose: str) -> Iterator[None]:
    """Turn a failed import of a module of the extra into the same sentence; other failed imports are faults of ours."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in MODULES[extra]:
            raise
        raise _missing(extra, purpose, module) from error


def _missing(extra: Extra, purpose: str, module: str) -> MetaSearchError:
    return MetaSearchError(
        f"{purpose} needs {module}, which is not installed; pip install 'metasearch-operator[{extra}]'"
    )
