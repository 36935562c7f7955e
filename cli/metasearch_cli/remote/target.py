"""The namespace and cluster that a command looks at, and the sentences for what cannot be read there."""

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

LISTED = 20
"""The most searches that a sentence lists."""


@dataclass(frozen=True)
class ClusterTarget:
    """A namespace, and the API server it is on, as the user of a kubeconfig."""

    api: Api
    namespace: str

    @classmethod
    def of(cls, namespace: str | None, context: str | None) -> ClusterTarget:
        """Read the kubeconfig: by default its current context, and the namespace of the context."""
        namespace = namespace or namespace_of(context)
        if not _is_name(namespace):
            raise InvalidSpec(f"{namespace!r} cannot be a namespace; its name must match {LABEL_PATTERN}")
        return cls(Api.of_kubeconfig(context=context), namespace)

    def search(self, name: str) -> Json:
        """
        Return a MetaSearch as the API server has it.

        Raises:
            InvalidSpec: the namespace has no search of that name; the sentence lists those it has.
            StoreUnavailable: the API server refuses, or does not know MetaSearch.
        """
        with user_errors():
            try:
                if _is_name(name):  # else the path would mean something else to the API server
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
def user_errors() -> Iterator[None]:
    """Turn refusals of the API server into sentences that say what to do about them."""
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
    more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
    return f"{'is' if len(there) == 1 else 'are'} {', '.join(there[:LISTED])}{more}"
