"""A file on a PersistentVolumeClaim, read through a pod that lives only for that."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.cluster.api import Conflict, NotFound, Refused
from metasearch.cluster.streams import CommandFailed, output_of
from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch.kubernetes import names, restricted
from metasearch.kubernetes.ownership import is_owned_by, owner_reference
from metasearch_cli.export import weights_are_gone
from metasearch_cli.remote.place import Place, told

Json = dict[str, Any]

CLAIM = names.Kind("/api/v1", "persistentvolumeclaims")
CONTAINER = "reader"
MOUNT = "/storage"
"""The workers', who wrote the file."""

LIFE_SECONDS = 1800
"""The pod ends by itself, should nobody be left to delete it."""

START_SECONDS = 300
"""For an image of some gigabytes that a node has yet to fetch."""

LOOK_SECONDS = 0.5

READ = 'test -f "$1" || exit 44; sha256sum < "$1" && exec cat "$1"'
"""A line that begins with the file's digest, and then the file."""

MISSING = 44
"""The exit code for it, as none of these commands has it."""

HOPELESS = ("ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError")


@dataclass(frozen=True)
class Reader:
    """Reads files of a search's claim."""

    place: Place
    search: Mapping[str, Any]
    """The MetaSearch, as read from the cluster."""
    spec: MetaSearchSpec
    claim: str
    image: str | None
    """One with a shell, sha256sum and cat; None for the one that the search's workers have."""

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file from the claim, and make sure that it is the same."""
        command = ["sh", "-c", READ, "sh", f"{MOUNT}/{path}"]
        where = f"{path} on the claim {self.claim!r}"
        try:
            with told(), self._pod() as pod:
                announced, came = received(output_of(self.place.api, pod, CONTAINER, command), target)
        except CommandFailed as error:
            if error.code == MISSING:
                raise weights_are_gone(where) from error
            raise StoreUnavailable(f"{where} cannot be read ({error})") from error
        if announced != came:
            raise StoreUnavailable(f"{where} came over damaged; try again")

    @contextmanager
    def _pod(self) -> Iterator[str]:
        """A pod that runs, by its path; it is deleted whatever happens."""
        namespace, search = self.place.namespace, self.search["metadata"]["name"]
        body = self.manifest(f"{search}-export-{uuid.uuid4().hex[:8]}")
        self._require_claim()
        path = names.POD.path(namespace, body["metadata"]["name"])
        try:
            self.place.api.create(names.POD.path(namespace), body)
            self._wait_until_it_runs(path)
            yield path
        except (Conflict, NotFound) as error:  # somebody else has deleted it, or is deleting the namespace
            raise StoreUnavailable(f"the pod that reads the claim is gone ({error}); try again") from error
        finally:
            self.place.api.delete(path, gracePeriodSeconds=0)

    def _require_claim(self) -> None:
        """A pod would wait for ever for a claim that is gone; who may not look it up lets it."""
        try:
            self.place.api.get(CLAIM.path(self.place.namespace, self.claim))
        except NotFound as error:
            raise weights_are_gone(f"the claim {self.claim!r}") from error
        except Refused:
            return

    def _wait_until_it_runs(self, path: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_running(pod := self.place.api.get(path)):
            if (problem := problem_of(pod)) or time.monotonic() > deadline:
                problem = problem or pending_because(pod)
                raise StoreUnavailable(f"the pod that reads the claim {self.claim!r} does not start ({problem})")
            time.sleep(LOOK_SECONDS)

    def manifest(self, name: str) -> Json:
        """The pod, as to be created: it sees the claim, read-only, and nothing else."""
        settings = self._worker_settings()
        small = {"cpu": "100m", "memory": "64Mi"}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {
                    names.LABEL_SEARCH: self.search["metadata"]["name"],
                    "app.kubernetes.io/name": "metasearch",
                    names.LABEL_COMPONENT: "export",
                },
                "ownerReferences": [{**owner_reference(self.search), "controller": False, "blockOwnerDeletion": False}],
            },
            "spec": {
                **settings,
                "restartPolicy": "Never",
                "activeDeadlineSeconds": LIFE_SECONDS,
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "securityContext": restricted.POD,
                "containers": [
                    {
                        **settings["containers"][0],
                        "command": ["sleep", str(LIFE_SECONDS)],
                        "resources": {"requests": small, "limits": small},
                        "volumeMounts": [{"name": "storage", "mountPath": MOUNT, "readOnly": True}],
                        "securityContext": restricted.CONTAINER,
                    }
                ],
                "volumes": [{"name": "storage", "persistentVolumeClaim": {"claimName": self.claim}}],
            },
        }

    def _worker_settings(self) -> Json:
        """What the pod has of the workers': where it may run, and its image unless another one is asked for."""
        template = self._worker_template()
        (worker,) = template.get("containers", [{}])[:1]
        image = self.image or worker.get("image") or self.search.get("status", {}).get("workerImage")
        if image is None:
            raise InvalidSpec(
                f"the search {self.search['metadata']['name']!r} does not say what image its workers have; "
                "give --image, theirs or any with a shell"
            )
        container = {"name": CONTAINER, "image": image}
        if not self.image and "imagePullPolicy" in worker:
            container["imagePullPolicy"] = worker["imagePullPolicy"]
        kept = ("nodeSelector", "tolerations", "imagePullSecrets")
        return {"containers": [container], **{key: template[key] for key in kept if key in template}}

    def _worker_template(self) -> Json:
        selector = f"{names.LABEL_SEARCH}={self.search['metadata']['name']}"
        try:
            jobs, _ = self.place.api.list_all(names.JOB.path(self.place.namespace), labelSelector=selector)
        except Refused:  # then only --image helps
            return {}
        owned = (job for job in jobs if is_owned_by(job, self.search))
        newest = max(owned, key=lambda job: str(job["metadata"]["creationTimestamp"]), default=None)
        template: Json = newest["spec"]["template"]["spec"] if newest else {}
        return template


def received(chunks: Iterator[bytes], target: Path) -> tuple[str, str]:
    """Write the file; returns the digest that was announced, and that of what came."""
    head, digest = b"", hashlib.sha256()
    with target.open("wb") as file:
        for chunk in chunks:
            if b"\n" not in head:
                head += chunk
                _, _, chunk = head.partition(b"\n")
            file.write(chunk)
            digest.update(chunk)
    return head.split(maxsplit=1)[0].decode() if head else "", digest.hexdigest()


# --- how a pod is -------------------------------------------------------------------------------------------------


def is_running(pod: Json) -> bool:
    """Whether a command can be run in it."""
    return any("running" in status["state"] for status in pod["status"].get("containerStatuses", []))


def problem_of(pod: Json) -> str | None:
    """Why it will never run; None while it may."""
    if pod["status"].get("phase") in ("Failed", "Succeeded"):
        return str(pod["status"].get("message") or pod["status"].get("reason") or "it ended at once")
    for status in pod["status"].get("containerStatuses", []):
        waiting = status["state"].get("waiting", {})
        if waiting.get("reason") in HOPELESS:
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return None


def pending_because(pod: Json) -> str:
    """Why it has not begun yet."""
    conditions = pod["status"].get("conditions", [])
    said = [condition["message"] for condition in conditions if condition.get("message")]
    return said[0] if said else f"nothing was heard of it for {START_SECONDS} s"
