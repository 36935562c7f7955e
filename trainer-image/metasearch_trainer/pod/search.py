"""The search that a pod works for, as the API server has it."""

from __future__ import annotations

from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.cluster.api import Api, Forbidden
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes import names
from metasearch.loading import parse_search
from metasearch.retry import Backoff, Retry
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_trainer.pod.settings import Pod

READ_BACKOFF = Backoff(first=1.0, longest=15.0, jitter=0.25)

Json = dict[str, Any]


def read_search(api: Api, pod: Pod, name: str, retry: Retry, has_result: bool = False) -> Json:
    """
    Read the MetaSearch, however long it takes.

    A pod that gave up would only be started again, with its image pulled and PyTorch imported anew.

    Args:
        has_result: whether a result waits to be sent, which would be lost with the pod. Then missing rights are waited
            for as well.

    Raises:
        NotFound: it does not exist.
        Refused: the pod's service account may not read it.
    """

    def read() -> Json:
        try:
            return api.get(names.SEARCH.path(pod.namespace, name))
        except Forbidden as error:
            if has_result:
                raise StoreUnavailable(str(error)) from error
            raise

    return retry.until_available(read, READ_BACKOFF)


def spec_of(search: Json) -> MetaSearchSpec:
    """
    Return a search's spec.

    Raises:
        InvalidSpec: this version cannot read it.
    """
    return parse_search(search, where=f"MetaSearch {search['metadata']['name']}").spec


def open_store(api: Api, pod: Pod, search: Json) -> KubernetesStore:
    """Open the store of a search's trials, for claims in the pod's name."""
    return KubernetesStore(api, search, spec_of(search).budget.max_attempts, pod.uid)
