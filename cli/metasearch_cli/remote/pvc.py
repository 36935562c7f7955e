"""Read a file from a PersistentVolumeClaim through a pod that lives only for that."""

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
from metasearch_cli.outcome.export import weights_are_gone
from metasearch_cli.remote.target import ClusterTarget, user_errors

Json = dict[str, Any]

PVC = names.Kind("/api/v1", "persistentvolumeclaims")
CONTAINER = "reader"
MOUNT = "/storage"
"""The mount path in the pod; workers, who wrote the file, have the same."""

LIFE_SECONDS = 1800
"""The pod's activeDeadlineSeconds: it ends by itself should nobody be left to delete it."""

START_SECONDS = 300
"""The time a pod gets to start: its node may have to fetch an image of some gigabytes first."""

POLL_SECONDS = 0.5

READ = 'test -f "$1" || exit 44; sha256sum < "$1" && exec cat "$1"'
"""Prints a line that begins with the file's digest, and then the file."""

MISSING = 44
"""The exit code for a missing file; none of the commands in READ ends with it."""

HOPELESS = ("ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError")


@dataclass(frozen=True)
class PvcReader:
    """Read files from the PersistentVolumeClaim of a search."""

    target: ClusterTarget
    search: Mapping[str, Any]
    """The MetaSearch, as read from the cluster."""
    spec: MetaSearchSpec
    claim: str
    image: str | None
    """An image with a shell, sha256sum and cat; None for that of the search's workers."""

    def fetch(self, path: str, output: Path) -> None:
        """
        Copy a file from the claim to `output`, and compare its SHA-256 digest at both ends.

        Raises:
            FolderConflict: the claim or the file is gone.
            StoreUnavailable: the file cannot be read, or came over damaged.
        """
        command = ["sh", "-c", READ, "sh", f"{MOUNT}/{path}"]
        where = f"{path} on the claim {self.claim!r}"
        try:
            with user_errors(), self._pod() as pod:
                announced, came = received(output_of(self.target.api, pod, CONTAINER, command), output)
        except CommandFailed as error:
            if error.code == MISSING:
                raise weights_are_gone(where) from error
            raise StoreUnavailable(f"{where} cannot be read ({error})") from error
        if announced != came:
            raise StoreUnavailable(f"{where} came over damaged; try again")

    @contextmanager
    def _pod(self) -> Iterator[str]:
        """Create the pod, and yield its path in the API once it runs. It is deleted whatever happens."""
        namespace, search = self.target.namespace, self.search["metadata"]["name"]
        body = self.manifest(f"{search}-export-{uuid.uuid4().hex[:8]}")
        self._require_claim()
        path = names.POD.path(namespace, body["metadata"]["name"])
        try:
            self.target.api.create(names.POD.path(namespace), body)
            self._wait_until_it_runs(path)
            yield path
        except (Conflict, NotFound) as error:  # somebody else has deleted it, or is deleting the namespace
            raise StoreUnavailable(f"the pod that reads the claim is gone ({error}); try again") from error
        finally:
            # Also after a failed creation, whose answer alone may have been lost. It is no error if there is no pod.
            self.target.api.delete(path, gracePeriodSeconds=0)

    def _require_claim(self) -> None:
        """Refuse a claim that is gone, for which a pod would wait for ever. It is not checked without the right to."""
        try:
            self.target.api.get(PVC.path(self.target.namespace, self.claim))
        except NotFound as error:
            raise weights_are_gone(f"the claim {self.claim!r}") from error
        except Refused:
            return

    def _wait_until_it_runs(self, path: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not is_running(pod := self.target.api.get(path)):
            if (problem := problem_of(pod)) or time.monotonic() > deadline:
                problem = problem or pending_because(pod)
                raise StoreUnavailable(f"the pod that reads the claim {self.claim!r} does not start ({problem})")
            time.sleep(POLL_SECONDS)

    def manifest(self, name: str) -> Json:
        """Return the pod to create: it mounts the claim read-only, and nothing else."""
        settings = self._worker_settings()
        # Given at all because a namespace with a ResourceQuota on cpu or memory refuses pods without them.
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
                # It goes with its search, but is none of the pods that the operator controls.
                "ownerReferences": [{**owner_reference(self.search), "controller": False, "blockOwnerDeletion": False}],
            },
            "spec": {
                "securityContext": restricted.pod_security(),
                **settings,
                "restartPolicy": "Never",
                "activeDeadlineSeconds": LIFE_SECONDS,
                # The first process of a container ignores SIGTERM unless it handles it, and sleep does not.
                "terminationGracePeriodSeconds": 0,
                # It asks nothing of the API server, so it gets no credentials.
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
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
        """Return the part of the pod's spec that follows the workers': placement, and the image unless one is given."""
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
        # Placed as the workers are, since many volumes can be mounted only by the nodes of one zone.
        kept = ("nodeSelector", "tolerations", "imagePullSecrets", "securityContext")
        return {"containers": [container], **{key: template[key] for key in kept if key in template}}

    def _worker_template(self) -> Json:
        selector = f"{names.LABEL_SEARCH}={self.search['metadata']['name']}"
        try:
            jobs, _ = self.target.api.list_all(names.JOB.path(self.target.namespace), labelSelector=selector)
        except Refused:  # no right to list jobs; the user can still give --image
            return {}
        # An earlier search of the same name may have left a Job with the same label.
        owned = (job for job in jobs if is_owned_by(job, self.search))
        newest = max(owned, key=lambda job: str(job["metadata"]["creationTimestamp"]), default=None)
        template: Json = newest["spec"]["template"]["spec"] if newest else {}
        return template


def received(chunks: Iterator[bytes], output: Path) -> tuple[str, str]:
    """Write what READ prints to a file; return the announced digest and the digest of what came."""
    head, digest = b"", hashlib.sha256()
    # The first line may arrive in several chunks, and its chunk may hold the beginning of the file.
    with output.open("wb") as file:
        for chunk in chunks:
            if b"\n" not in head:
                head += chunk
                _, _, chunk = head.partition(b"\n")
            file.write(chunk)
            digest.update(chunk)
    return head.split(maxsplit=1)[0].decode() if head else "", digest.hexdigest()


# --- state of a pod -------------------------------------------------------------------------------------------------


def is_running(pod: Json) -> bool:
    """Tell whether a command can be run in the pod."""
    return any("running" in status["state"] for status in pod["status"].get("containerStatuses", []))


def problem_of(pod: Json) -> str | None:
    """Return why the pod will never run; None while it may."""
    if pod["status"].get("phase") in ("Failed", "Succeeded"):
        return str(pod["status"].get("message") or pod["status"].get("reason") or "it ended at once")
    for status in pod["status"].get("containerStatuses", []):
        waiting = status["state"].get("waiting", {})
        if waiting.get("reason") in HOPELESS:
            return f"{waiting['reason']}: {waiting.get('message', '')}"
    return None


def pending_because(pod: Json) -> str:
    """Return why the pod has not started yet."""
    conditions = pod["status"].get("conditions", [])
    messages = [condition["message"] for condition in conditions if condition.get("message")]
    return messages[0] if messages else f"nothing has been reported about it for {START_SECONDS} s"
