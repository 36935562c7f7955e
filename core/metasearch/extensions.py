"""
Find parts of a search by the name that a spec gives: ours, and those of other installed packages.

A package offers a part through an entry point (https://packaging.python.org/specifications/entry-points), so a user
adds a strategy or a meta-learner without changing MetaSearch:

    [project.entry-points."metasearch.strategies"]
    Annealing = "my_package.annealing:build"

MetaSearch's own parts are registered in a mapping beside their code, because an image may hold the code without a
distribution, and so without entry points.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from metasearch.errors import InvalidSpec

T = TypeVar("T")


class Group(StrEnum):
    """The entry point groups that MetaSearch reads."""

    STRATEGIES = "metasearch.strategies"
    SURROGATES = "metasearch.surrogates"
    META_LEARNERS = "metasearch.meta_learners"
    OPERATIONS = "metasearch.operations"
    DATASETS = "metasearch.datasets"
    DRIVERS = "metasearch.drivers"


def names(group: Group, built_in: Collection[str]) -> list[str]:
    """Return the names that are known here, ours first. Nothing is imported for it."""
    return [*built_in, *sorted(set(entry_points(group=group).names) - set(built_in))]


def require_known(group: Group, name: str, built_in: Collection[str], field: str) -> None:
    """
    Refuse a name that is unknown here.

    Args:
        field: where the user wrote the name, such as spec.search.strategy.

    Raises:
        InvalidSpec: no such name is known here.
    """
    if name in built_in:  # asked first, since reading the entry points of all installed packages takes milliseconds
        return
    known = names(group, built_in)
    if name not in known:
        raise InvalidSpec(
            f"{field} is {name!r}, which is not installed here; it must be one of {', '.join(known)}, "
            f"or come with a package that has an entry point {name!r} in the group {group}"
        )


def find(group: Group, name: str, built_in: Mapping[str, T], field: str) -> T:
    """
    Return the part of that name. Built-in names cannot be replaced.

    Raises:
        InvalidSpec: no such name is known here.
    """
    require_known(group, name, built_in, field)
    if name in built_in:
        return built_in[name]
    # Where several packages offer the name, the first on Python's path wins.
    (entry_point, *_) = entry_points(group=group, name=name)
    found: T = entry_point.load()
    return found


def deferred(path: str) -> Callable[..., Any]:
    """
    Return a stand-in for a builder that imports it when it is called, as an entry point does.

    Args:
        path: module and name, such as "metasearch.search.surrogates.lstm:build".
    """
    module, _, name = path.partition(":")

    def build(*arguments: Any, **keywords: Any) -> Any:
        return getattr(import_module(module), name)(*arguments, **keywords)

    return build
