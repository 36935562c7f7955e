"""The store on a cluster keeps the contract of all stores, on a real API server."""

from __future__ import annotations

import pytest
from devcluster.searches import create_search
from store_contract import OpenStore, TrialStoreContract

from metasearch.cluster.api import Api
from metasearch.stores.kubernetes import KubernetesStore


class TestKubernetesStore(TrialStoreContract):
    @pytest.fixture
    def open_store(self, client: Api, namespace: str) -> OpenStore:
        search = create_search(client, namespace, "test")
        return lambda: KubernetesStore(client, search, max_attempts=2, pod_uid="a-pod")
