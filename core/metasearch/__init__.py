"""MetaSearch: progressive neural architecture search for few-shot learners, on a laptop or a Kubernetes cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metasearch.version import __version__ as __version__

if TYPE_CHECKING:
    from metasearch.python_api import Run as Run
    from metasearch.python_api import Search as Search
    from metasearch.python_api import open_run as open_run

__all__ = ["Run", "Search", "__version__", "open_run"]


def __getattr__(name: str) -> Any:
    """Load the Python API at its first use, since importing any module of the library runs this file."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from metasearch import python_api

    return getattr(python_api, name)
