"""
Renews the pod's Lease while its supervisor runs, and notices when there is no search to work for any more, or when it
was edited.

The operator releases what a pod had claimed once its Lease has run out. So nothing here ends the pod because the API
server is away: it is away for the operator too.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from metasearch.cluster.api import Api, Conflict, NotFound
from metasearch.errors import MetaSearchError
from metasearch.kubernetes import names
from metasearch.kubernetes.ownership import is_terminating
from metasearch.kubernetes.times import Time
from metasearch.kubernetes.worker_job import LEASE_SECONDS, RENEW_SECONDS
from metasearch_trainer.pod.settings import Pod
from metasearch_trainer.pod.spec_changes import SpecChanges
from metasearch_trainer.process_output import log

Json = dict[str, Any]


class Heartbeat:
    """Renews the Lease of one pod that works for one search."""

    def __init__(self, api: Api, pod: Pod, search: Json, changes: SpecChanges) -> None:
        """
        Args:
            search: the MetaSearch, as read from the cluster.
            changes: takes what is read of it later.
        """
        self._api, self._pod, self._now = api, pod, api.clock.now
        self._search_name, self._search_uid = search["metadata"]["name"], search["metadata"]["uid"]
        self._changes = changes
        self._problem = ""
        self.is_search_gone = False

    def start(self) -> None:
        """Beat in a thread until the process ends."""
        threading.Thread(target=self._beat_for_ever, name="heartbeat", daemon=True).start()

    def beat(self) -> None:
        """Renew the Lease and look for the search, once."""
        try:
            self.renew()
            self.is_search_gone = self._is_gone()
        except MetaSearchError as error:  # not the pod's end; logged once, not every 20 seconds
            if (problem := f"the pod's lease cannot be renewed, or its search read: {error}") != self._problem:
                log(problem)
            self._problem = problem
        else:
            self._problem = ""

    def renew(self) -> None:
        """Renew the Lease, or create it."""
        renewed = {"op": "add", "path": "/spec/renewTime", "value": Time.at(self._now())}
        try:
            self._api.patch(self._path(self._pod.name), [renewed])
        except NotFound:
            try:
                self._api.create(self._path(), self._lease())
            except Conflict:  # created by a request whose answer was lost
                return

    def _beat_for_ever(self) -> None:
        while True:
            self.beat()
            time.sleep(RENEW_SECONDS)

    def _is_gone(self) -> bool:
        """Return whether the search was deleted, is being deleted, or was replaced by another of the same name."""
        try:
            search = self._api.get(names.SEARCH.path(self._pod.namespace, self._search_name))
        except NotFound:
            return True
        if is_terminating(search) or search["metadata"]["uid"] != self._search_uid:
            return True
        self._changes.write(search)
        return False

    def _path(self, name: str | None = None) -> str:
        return names.LEASE.path(self._pod.namespace, name)

    def _lease(self) -> Json:
        now = Time.at(self._now())
        pod = {"apiVersion": "v1", "kind": "Pod", "name": self._pod.name, "uid": self._pod.uid}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._pod.name,
                "labels": {names.LABEL_SEARCH: self._search_name},
                "ownerReferences": [pod],  # so that Kubernetes removes the Lease together with the pod
            },
            "spec": {
                "holderIdentity": self._pod.uid,
                "leaseDurationSeconds": LEASE_SECONDS,
                "acquireTime": now,
                "renewTime": now,
            },
        }
