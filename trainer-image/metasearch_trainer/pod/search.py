"""The search that a pod works for, as the API server has it."""

from __future__ import annotations

from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.loading import parse_search
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_trainer.backoff import Backoff, Patience
from metasearch_trainer.pod.settings import Pod

PAUSES = Backoff(first=1.0, most=15.0)

Json = dict[str, Any]


def read_search(api: Api, pod: Pod, name: str, patience: Patience) -> Json:
    """
    The MetaSearch, however long it takes: the pod is started, and nobody is helped if it ends.

    Raises:
        NotFound: there is none.
        Refused: the pod's service account may not read it.
    """
    return patience.keep_trying(lambda: api.get(names.SEARCH.path(pod.namespace, name)), PAUSES)


def spec_of(search: Json) -> MetaSearchSpec:
    """
    Its spec.

    Raises:
        InvalidSpec: this version cannot read it.
    """
    return parse_search(search, where=f"MetaSearch {search['metadata']['name']}").spec


def open_store(api: Api, pod: Pod, search: Json) -> KubernetesStore:
    """Its trials, for claims in the pod's name."""
    return KubernetesStore(api, search, spec_of(search).budget.max_attempts, pod.uid)
