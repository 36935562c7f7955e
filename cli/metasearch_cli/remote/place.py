"""A namespace of a cluster, and what is said where it cannot be read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from metasearch.api.names import LABEL_MAX_LENGTH, LABEL_PATTERN
from metasearch.cluster.api import Api, NotFound, Refused, namespace_of
from metasearch.errors import ClusterUnusable, InvalidSpec, MetaSearchError
from metasearch.kubernetes import names

Json = dict[str, Any]

NAMED = 20
"""Searches that a sentence lists."""


@dataclass(frozen=True)
class Place:
    """Where on which cluster, and as whom."""

    api: Api
    namespace: str

    @classmethod
    def of(cls, namespace: str | None, context: str | None) -> Place:
        """By the kubeconfig: its current context and that one's namespace, unless told otherwise."""
        namespace = namespace or namespace_of(context)
        if not _is_name(namespace):
            raise InvalidSpec(f"{namespace!r} cannot be a namespace; its name must match {LABEL_PATTERN}")
        return cls(Api.of_kubeconfig(context=context), namespace)

    def search(self, name: str) -> Json:
        """A MetaSearch, as the cluster has it."""
        with told():
            try:
                if _is_name(name):
                    return self.api.get(names.SEARCH.path(self.namespace, name))
            except NotFound:
                pass
            raise self._no_search(name)

    def _no_search(self, name: str) -> InvalidSpec:
        try:
            found, _ = self.api.list_all(names.SEARCH.path(self.namespace))
        except NotFound as error:
            raise _no_definitions() from error
        there = sorted(search["metadata"]["name"] for search in found)
        close = difflib.get_close_matches(name, there, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there {_listed(there)}"
        return InvalidSpec(f"the namespace {self.namespace!r} has no search {name!r}; {hint}")


@contextmanager
def told() -> Iterator[None]:
    """What the API server refuses, as a sentence that says what to do about it."""
    try:
        yield
    except NotFound as error:
        raise _no_definitions() from error
    except Refused as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise ClusterUnusable(f"the cluster refuses that ({said}); ask whoever runs it for the right to") from error


def _is_name(text: str) -> bool:
    return len(text) <= LABEL_MAX_LENGTH and re.fullmatch(LABEL_PATTERN, text) is not None


def _no_definitions() -> MetaSearchError:
    return ClusterUnusable("the cluster does not know MetaSearch; install its Helm chart, or at least crds/, first")


def _listed(there: list[str]) -> str:
    if not there:
        return "are none"
    more = f" and {len(there) - NAMED} more" if len(there) > NAMED else ""
    return f"{'is' if len(there) == 1 else 'are'} {', '.join(there[:NAMED])}{more}"
