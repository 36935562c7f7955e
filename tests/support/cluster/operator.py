"""The operator as a process of its own, and workers that make their results up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from builders import pretend_result

from cluster.access import Access
from metasearch.cluster.api import Api, NotFound
from metasearch.kubernetes import names
from metasearch.kubernetes.trial_conversion import trial_of
from metasearch.search.trials import StaleClaim, Trial, TrialResult
from metasearch.stores.kubernetes import KubernetesStore

Json = dict[str, Any]
Measure = Callable[[Trial], TrialResult]

SECONDS = 120
"""For anything that is to happen; generous, for machines that do other work besides."""


class OperatorProcess:
    """`python -m metasearch_operator` as an administrator, which a test may kill and start again."""

    def __init__(self, access: Access, folder: Path, namespaces: list[str], image: str) -> None:
        self.log = folder / f"operator-{time.monotonic_ns()}.log"
        config = folder / "operator.yaml"
        config.write_text(yaml.safe_dump({"namespaces": namespaces, "worker": {"image": image}}))
        self._command = [sys.executable, "-m", "metasearch_operator", "--config", str(config), "--probes-port=0"]
        self._environment = {**os.environ, "KUBECONFIG": str(access.kubeconfig)}
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """As a node dies: at once."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """As a pod is deleted; returns the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def wait(self) -> int:
        """Until it ends by itself; returns the exit code."""
        return self._process.wait(SECONDS)


@contextmanager
def open_operator(
    access: Access, folder: Path, namespaces: list[str], image: str = "none"
) -> Iterator[OperatorProcess]:
    operator = OperatorProcess(access, folder, namespaces, image)
    try:
        yield operator
    finally:
        operator.stop()


class Searched:
    """A search on a cluster, and what a test asks of it."""

    def __init__(self, api: Api, resource: Json) -> None:
        self.api, self.namespace, self.name = api, resource["metadata"]["namespace"], resource["metadata"]["name"]
        self.path = names.SEARCH.path(self.namespace, self.name)

    @property
    def resource(self) -> Json:
        return self.api.get(self.path)

    @property
    def status(self) -> Json:
        status: Json = self.resource.get("status", {})
        return status

    def condition(self, type: str) -> tuple[str, str, str]:
        """Status, reason and message."""
        for condition in self.status.get("conditions", []):
            if condition["type"] == type:
                return condition["status"], condition["reason"], condition["message"]
        return "Unknown", "", ""

    def trials(self) -> list[Trial]:
        found, _ = self.api.list_all(
            names.TRIAL.path(self.namespace), labelSelector=f"{names.LABEL_SEARCH}={self.name}"
        )
        return [trial_of(resource) for resource in found]

    def jobs(self) -> list[Json]:
        found, _ = self.api.list_all(names.JOB.path(self.namespace), labelSelector=f"{names.LABEL_SEARCH}={self.name}")
        return found

    def events(self) -> list[str]:
        """Their reasons."""
        found, _ = self.api.list_all(names.EVENT.path(self.namespace), fieldSelector=f"involvedObject.name={self.name}")
        return [event["reason"] for event in found]

    def edit(self, **spec: Any) -> None:
        """Set fields of spec as a whole."""
        operations = [{"op": "add", "path": f"/spec/{field}", "value": value} for field, value in spec.items()]
        self.api.patch(self.path, operations)

    def delete(self, **options: Any) -> None:
        self.api.delete(self.path, **options)

    def remove(self, **options: Any) -> None:
        """Delete it, and wait until it is gone."""
        self.delete(**options)
        deadline = time.monotonic() + SECONDS
        while self._is_there():
            assert time.monotonic() < deadline, f"{self.name} is still there"
            time.sleep(0.1)

    def _is_there(self) -> bool:
        try:
            return bool(self.resource)
        except NotFound:
            return False

    def store(self, pod_uid: str = "no-pod") -> KubernetesStore:
        return KubernetesStore(self.api, self.resource, max_attempts=2, pod_uid=pod_uid)

    def wait_for(self, what: Callable[[], Any]) -> Any:
        """The first answer that is true."""
        deadline = time.monotonic() + SECONDS
        while not (answer := what()):
            assert time.monotonic() < deadline, f"in vain; the status is {yaml.safe_dump(self.status)}"
            time.sleep(0.1)
        return answer

    @property
    def is_over(self) -> bool:
        return any(self.condition(kind)[0] == "True" for kind in ("Succeeded", "Failed"))

    def wait_until_over(self) -> str:
        """Returns Succeeded or Failed."""
        return str(
            self.wait_for(
                lambda: next((kind for kind in ("Succeeded", "Failed") if self.condition(kind)[0] == "True"), None)
            )
        )


@contextmanager
def open_hand(search: Searched, measure: Measure = lambda trial: pretend_result(trial.spec)) -> Iterator[None]:
    """A worker, in a thread of the test, that says at once what a trial would have measured."""
    done = threading.Event()

    def work() -> None:
        store = search.store()
        while not done.is_set():
            claimed = store.claim(f"hand.{search.name}-1", time.time(), 0.0)
            if claimed is None:
                done.wait(0.1)
            else:
                with suppress(StaleClaim):  # the test has deleted it
                    store.complete(claimed, measure(claimed), time.time())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
