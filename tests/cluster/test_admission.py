"""
The chart's admission policies on a real API server: a worker writes its own trials and nothing else.

Tokens are bound to pods that exist and never run. A worker's account may patch the status of any trial in its
namespace; only the policies confine it to its own.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from builders import make_result, make_trial
from chart import Json, helm_or_skip
from devcluster.access import ClusterAccess
from kubectl_proxy import DRY_RUN
from local_search import wait_until

from metasearch.cluster.api import Api
from metasearch.kubernetes.names import API_VERSION, LABEL_SEARCH, SEARCH, TRIAL
from metasearch.kubernetes.trial_conversion import new_trial, status_of
from metasearch.kubernetes.trial_resource import MAX_ATTEMPTS
from metasearch.search import trials
from metasearch.search.trials import INTERRUPTED, LOST, CurvePoint, Progress, Reason, StaleClaim, State, Trial
from metasearch.stores.kubernetes import KubernetesStore

ACCOUNT = "metasearch-worker"

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


# --- a cluster with the policies, a search and its pods -----------------------------------------------------------


@pytest.fixture(scope="module")
def namespace(control_plane: ClusterAccess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a namespace with everything that the chart installs except the operator. Earlier CRDs stay."""
    helm = helm_or_skip(tmp_path_factory.mktemp("helm"))
    name = f"test-{os.urandom(4).hex()}"
    objects = [each for each in helm.render(name, rbac={"userRoles": False}) if each["kind"] != "Deployment"]
    definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    others = [each for each in objects if each not in definitions]
    found = [control_plane.kubectl("get", "crd", each["metadata"]["name"]).returncode == 0 for each in definitions]
    ours = [each for each, there in zip(definitions, found, strict=True) if not there]

    control_plane.run("create", "namespace", name)
    if ours:
        control_plane.run("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(ours))
    names = [each["metadata"]["name"] for each in definitions]
    control_plane.run("wait", "--for=condition=Established", "--timeout=60s", "crd", *names)
    control_plane.apply(*others)
    yield name
    control_plane.run("delete", "--filename=-", stdin=yaml.safe_dump_all(others))
    control_plane.run("delete", "namespace", name, "--wait=false")
    if ours:
        control_plane.run("delete", "--filename=-", stdin=yaml.safe_dump_all(ours))


class Client:
    """Talks to the API server directly, since `kubectl patch --subresource` first reads what workers may not."""

    def __init__(self, access: ClusterAccess, token: str) -> None:
        config = json.loads(access.run("config", "view", "--minify", "--flatten", "--raw", "--output=json"))
        authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
        self._tls = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        self._where = urlsplit(access.url)
        self._token = token

    def send(self, method: str, path: str, body: Any, kind: str = "application/json") -> str:
        """Send a request; return the API server's complaint, or nothing if it accepts."""
        connection = http.client.HTTPSConnection(self._where.netloc, timeout=60, context=self._tls)
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self._token}"}
        try:
            connection.request(method, path, json.dumps(body), headers)
            answer = connection.getresponse()
            status = json.loads(answer.read())
        finally:
            connection.close()
        return "" if answer.status in (200, 201) else f"{answer.status} {status['message']}"


@dataclass(frozen=True)
class Pod:
    """A pod that could run trials, and a client with its token."""

    name: str
    uid: str
    access: ClusterAccess
    client: Client

    @property
    def slot(self) -> str:
        return f"{self.name}.0-1"


@dataclass(frozen=True)
class Cluster:
    """The requests of the tests; an administrator makes them unless a pod is given."""

    access: ClusterAccess
    namespace: str

    @property
    def there(self) -> str:
        return f"--namespace={self.namespace}"

    def create(self, body: Json) -> Json:
        made = self.access.run("create", "--filename=-", "--output=json", self.there, stdin=json.dumps(body))
        return dict(json.loads(made))

    def new_search(self, name: str) -> Json:
        spec = {"dataset": {"name": "omniglot"}}
        return self.create({"apiVersion": API_VERSION, "kind": SEARCH.kind, "metadata": {"name": name}, "spec": spec})

    def new_pod(self, name: str) -> Pod:
        container = {"name": "trainer", "image": "localhost/none:dev", "imagePullPolicy": "Never"}
        nowhere = {"metasearch.dev/none": "such"}
        spec = {"serviceAccountName": ACCOUNT, "containers": [container], "nodeSelector": nowhere}
        made = self.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
        uid = made["metadata"]["uid"]
        return self.with_token(
            name, uid, "--bound-object-kind=Pod", f"--bound-object-name={name}", f"--bound-object-uid={uid}"
        )

    def with_token(self, name: str, uid: str, *bound: str) -> Pod:
        token = self.access.run("create", "token", ACCOUNT, *bound, self.there).strip()
        return Pod(name, uid, self.access.with_token(token), Client(self.access, token))

    def patch_status(self, name: str, status: Json) -> str:
        """Patch the status as administrator; return the API server's complaint, or nothing."""
        patch = json.dumps([{"op": "replace", "path": "/status", "value": status}])
        command = ("patch", TRIAL.plural, name, self.there, "--subresource=status", "--type=json", f"--patch={patch}")
        return self.access.kubectl(*command).stderr

    def read(self, name: str) -> Json:
        return self.access.get(TRIAL.plural, name, self.there)

    def trial_path(self, name: str) -> str:
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{TRIAL.plural}/{name}"

    @property
    def lease_path(self) -> str:
        return f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"


@pytest.fixture(scope="module")
def cluster(control_plane: ClusterAccess, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture(scope="module")
def search(cluster: Cluster) -> Json:
    return cluster.new_search("a")


@pytest.fixture(scope="module")
def pod(cluster: Cluster) -> Pod:
    return cluster.new_pod("a-workers-0a1b2c3d-aaaaa")


@pytest.fixture(scope="module")
def other(cluster: Cluster) -> Pod:
    """A second pod of the same search."""
    return cluster.new_pod("a-workers-0a1b2c3d-bbbbb")


@pytest.fixture(scope="module")
def strangers(cluster: Cluster) -> list[Pod]:
    """Pods of no search and of other searches, one of which has a name that our pods' names begin with."""
    names = ["b-workers-0a1b2c3d-aaaaa", "a-workers-b-workers-0a1b2c3d-aaaaa", "a-workers-mine", "a"]
    return [cluster.new_pod(name) for name in names]


@pytest.fixture(scope="module")
def active(cluster: Cluster, search: Json, pod: Pod, other: Pod) -> None:
    """Wait until the policies are enforced, which takes some seconds."""
    trial = Written(cluster, make_trial("probe"), search)
    stolen = status_of(claimed_by(other, trial.trial), other.uid)
    lease = lease_of(other)

    def refused() -> bool:
        patch = [{"op": "replace", "path": "/status", "value": stolen}]
        complaint = pod.client.send("PATCH", f"{cluster.trial_path(trial.name)}/status?{DRY_RUN}", patch, JSON_PATCH)
        return "denied request" in complaint and "denied request" in try_lease(cluster, lease, pod)

    wait_until(refused)


def claimed_by(pod: Pod, trial: Trial, now: float = 1.0) -> Trial:
    return trials.claim(trial, pod.slot, now, gpus=0.5)


class Written:
    """A trial in the cluster, and the state that it must be in."""

    def __init__(self, cluster: Cluster, trial: Trial, search: Json, labels: Json | None = None) -> None:
        self._cluster, self.trial = cluster, trial
        body = new_trial(trial.spec, search)
        if labels is not None:
            body["metadata"]["labels"] = labels
        cluster.create(body)

    @property
    def name(self) -> str:
        return self.trial.name

    def put(self, trial: Trial, pod: Pod | None) -> None:
        """Write the trial with the operator's rights, or a pod's."""
        self.trial = trial
        complaint = self._cluster.patch_status(self.name, status_of(trial, pod.uid if pod else None))
        assert not complaint, complaint

    def written_by(self, pod: Pod, trial: Trial, uid: str | None = None, **changes: Any) -> str:
        """Write the trial as a pod, with its own claim or another's; return the API server's complaint, or nothing."""
        status = {**status_of(trial, uid or pod.uid), **changes}
        patch = [{"op": "replace", "path": "/status", "value": status}]
        return pod.client.send("PATCH", f"{self._cluster.trial_path(self.name)}/status", patch, JSON_PATCH)

    def refused(self, pod: Pod, trial: Trial, uid: str | None = None, **changes: Any) -> str:
        """Return the policy's sentence for a write that it refuses; the trial must stay as it was."""
        before = self._cluster.read(self.name)
        complaint = self.written_by(pod, trial, uid, **changes)
        assert self._cluster.read(self.name) == before
        assert complaint.startswith("403 "), complaint
        return complaint.partition("denied request: ")[2].strip()

    def invalid(self, pod: Pod, trial: Trial) -> str:
        """Return the CRD's complaint, which comes before the policy's; the trial must stay as it was."""
        before = self._cluster.read(self.name)
        complaint = self.written_by(pod, trial)
        assert self._cluster.read(self.name) == before
        assert complaint.startswith("422 "), complaint
        return complaint


@pytest.fixture
def written(cluster: Cluster, search: Json, active: None) -> Written:  # noqa: ARG001
    """A new trial of the search."""
    return Written(cluster, make_trial(f"a-1-{os.urandom(4).hex()}"), search)


# --- a trial's life -----------------------------------------------------------------------------------------------


def test_a_pod_claims_reports_and_completes(written: Written, pod: Pod) -> None:
    running = claimed_by(pod, written.trial)
    further = trials.report(running, 1, Progress(5, (CurvePoint(5, 0.3),)))
    done = trials.complete(further, 1, make_result(), 2.0, max_attempts=1)
    for step in (running, further, done):
        assert not written.written_by(pod, step)


def test_a_pod_gives_back_what_it_cannot_finish_and_another_goes_on(written: Written, pod: Pod, other: Pod) -> None:
    running = claimed_by(pod, written.trial)
    freed = trials.release(running, 2.0, INTERRUPTED)
    again = claimed_by(other, freed, 3.0)
    done = trials.complete(again, 2, make_result(), 4.0, max_attempts=1)
    for who, step in ((pod, running), (pod, freed), (other, again), (other, done)):
        assert not written.written_by(who, step)


def test_a_pod_records_a_failure_that_is_tried_again(written: Written, pod: Pod) -> None:
    running = claimed_by(pod, written.trial)
    failure = replace(make_result(), state=State.FAILED, reason=Reason.ERROR, score=None)
    failed = trials.complete(running, 1, failure, 2.0, max_attempts=2)
    assert failed.state is State.PENDING
    for step in (running, failed, claimed_by(pod, failed, 3.0)):
        assert not written.written_by(pod, step)


def test_the_operator_frees_a_trial_whose_worker_is_gone(written: Written, pod: Pod, other: Pod) -> None:
    assert not written.written_by(pod, claimed_by(pod, written.trial))
    lost = trials.release(claimed_by(pod, written.trial), 2.0, LOST)
    written.put(lost, pod)
    assert not written.written_by(other, claimed_by(other, lost, 3.0))


def test_the_operator_asks_for_a_trial_to_stop_and_the_worker_ends_it(written: Written, pod: Pod) -> None:
    running = claimed_by(pod, written.trial)
    asked = trials.request_stop(running)
    stopped = trials.complete(asked, 1, replace(make_result(), state=State.STOPPED), 2.0, max_attempts=1)
    assert not written.written_by(pod, running)
    written.put(asked, pod)
    assert not written.written_by(pod, stopped)


def test_the_store_of_workers_keeps_to_all_that(cluster: Cluster, active: None) -> None:  # noqa: ARG001
    search = cluster.new_search("c")
    one, other = (cluster.new_pod(f"c-workers-0a1b2c3d-{name}") for name in ("aaaaa", "bbbbb"))

    def store_of(pod: Pod) -> KubernetesStore:
        api = Api.of_kubeconfig(str(pod.access.kubeconfig))
        return KubernetesStore(api, search, max_attempts=2, pod_uid=pod.uid)

    Written(cluster, make_trial("c-1-a"), search)
    mine, theirs = store_of(one), store_of(other)
    claimed = mine.claim(one.slot, 1.5, 0.25)
    assert claimed is not None
    further = mine.report(claimed, Progress(5, (CurvePoint(5, 1 / 3),)))
    failure = replace(make_result(), state=State.FAILED, reason=Reason.ERROR, score=None)
    assert mine.complete(further, failure, 2.5).state is State.PENDING
    again = theirs.claim(other.slot, 3.5, 0.25)
    assert again is not None
    with pytest.raises(StaleClaim):
        mine.complete(claimed, make_result(), 4.5)
    assert theirs.complete(again, make_result(), 4.5).state is State.SUCCEEDED


# --- what is refused ----------------------------------------------------------------------------------------------

ONLY_CLAIMED = "a pending trial can only be claimed, by a pod for itself"
ANOTHERS = "the trial is claimed by another pod"


def test_a_pod_claims_for_itself_only(written: Written, pod: Pod, other: Pod) -> None:
    assert written.refused(pod, claimed_by(other, written.trial), other.uid) == ONLY_CLAIMED
    assert written.refused(pod, claimed_by(pod, written.trial), other.uid) == ONLY_CLAIMED
    assert written.refused(pod, claimed_by(other, written.trial)) == ONLY_CLAIMED


def test_a_pending_trial_gets_no_result(written: Written, pod: Pod) -> None:
    done = trials.complete(claimed_by(pod, written.trial), 1, make_result(), 2.0, max_attempts=1)
    assert written.refused(pod, done) == ONLY_CLAIMED


@pytest.mark.parametrize("epoch", [1, 3, 7])
def test_a_claim_has_the_epoch_after_the_last(written: Written, pod: Pod, other: Pod, epoch: int) -> None:
    lost = trials.release(claimed_by(pod, written.trial), 2.0, LOST)
    written.put(lost, pod)
    wrong = claimed_by(other, replace(lost, epoch=epoch - 1), 3.0)
    assert written.refused(other, wrong) == "a claim has the epoch after the last one's"


def test_a_first_claim_has_epoch_one(written: Written, pod: Pod) -> None:
    wrong = claimed_by(pod, replace(written.trial, epoch=1))
    assert written.refused(pod, wrong) == "a claim has the epoch after the last one's"


def test_a_running_trial_is_not_stolen(written: Written, pod: Pod, other: Pod) -> None:
    running = claimed_by(pod, written.trial)
    written.put(running, pod)
    stolen = claimed_by(other, trials.release(running, 2.0, LOST), 3.0)
    assert written.refused(other, stolen) == ANOTHERS


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda trial: trials.report(trial, 1, Progress(9)), id="reports"),
        pytest.param(lambda trial: trials.complete(trial, 1, make_result(), 2.0, max_attempts=1), id="completes"),
        pytest.param(lambda trial: trials.release(trial, 2.0, LOST), id="frees"),
    ],
)
@pytest.mark.parametrize("as_whom", ["itself", "the other"])
def test_nobody_writes_the_trial_of_another_pod(
    written: Written, pod: Pod, other: Pod, change: Callable[[Trial], Trial], as_whom: str
) -> None:
    running = claimed_by(pod, written.trial)
    written.put(running, pod)
    assert written.refused(other, change(running), pod.uid if as_whom == "the other" else other.uid) == ANOTHERS


def test_a_pod_keeps_the_claim_that_it_has(written: Written, pod: Pod, other: Pod) -> None:
    running = claimed_by(pod, written.trial)
    written.put(running, pod)
    kept = "a worker leaves the claim of a running trial as it is"
    claim = status_of(running, pod.uid)["claim"]
    assert written.refused(pod, running, claim={**claim, "podUID": other.uid}) == kept
    assert written.refused(pod, running, claim={**claim, "epoch": 2}) == kept
    assert written.refused(pod, running, claim={**claim, "worker": other.slot}) == kept
    freed = trials.release(running, 2.0, INTERRUPTED)
    assert written.refused(pod, freed, claim={**claim, "epoch": 2}) == kept


def test_a_pod_whose_trial_was_freed_is_too_late(written: Written, pod: Pod) -> None:
    running = claimed_by(pod, written.trial)
    written.put(trials.release(running, 2.0, LOST), pod)
    assert written.refused(pod, trials.report(running, 1, Progress(9))) == "a claim has the epoch after the last one's"
    done = trials.complete(running, 1, make_result(), 3.0, max_attempts=1)
    assert written.refused(pod, done) == ONLY_CLAIMED


def test_a_pod_whose_trial_was_claimed_anew_is_too_late(written: Written, pod: Pod, other: Pod) -> None:
    running = claimed_by(pod, written.trial)
    written.put(running, pod)
    written.put(trials.release(running, 2.0, LOST), pod)
    written.put(claimed_by(other, written.trial, 3.0), other)
    late = trials.complete(running, 1, make_result(), 4.0, max_attempts=1)
    assert "must not have a lower epoch than before" in written.invalid(pod, late)
    in_time = trials.complete(written.trial, 2, make_result(), 4.0, max_attempts=1)
    assert written.refused(pod, in_time, other.uid) == ANOTHERS


def test_a_trial_that_is_over_is_left_alone(written: Written, pod: Pod) -> None:
    running = claimed_by(pod, written.trial)
    done = trials.complete(running, 1, make_result(), 2.0, max_attempts=1)
    written.put(done, pod)
    assert written.refused(pod, done) == "the trial is over"
    assert written.refused(pod, replace(done, progress=Progress(9))) == "the trial is over"
    better = trials.complete(running, 1, make_result(0.9), 2.0, max_attempts=1)
    assert "the first result stays" in written.invalid(pod, better)


def test_nobody_changes_a_recorded_result(cluster: Cluster, written: Written, pod: Pod) -> None:
    """The CRD's own rule forbids this, so it binds administrators too."""
    running = claimed_by(pod, written.trial)
    written.put(trials.complete(running, 1, make_result(0.5), 2.0, max_attempts=1), pod)
    better = trials.complete(running, 1, make_result(0.9), 2.0, max_attempts=1)
    assert "the first result stays" in cluster.patch_status(written.name, status_of(better, pod.uid))


def test_the_attempts_of_others_stay_as_they_are(written: Written, pod: Pod, other: Pod) -> None:
    """The search's GPU-hours are computed from them."""
    lost = trials.release(claimed_by(pod, written.trial), 3600.0, LOST)
    written.put(lost, pod)
    cheaper = replace(lost, attempts=(replace(lost.attempts[0], gpus=0.0),))
    left = "a worker leaves the attempts of others as they are"
    assert written.refused(other, claimed_by(other, cheaper, 4000.0)) == left
    assert not written.written_by(other, claimed_by(other, lost, 4000.0))
    assert written.refused(other, claimed_by(other, cheaper, 4000.0)) == left


def test_the_attempts_of_others_may_be_written_in_another_way(cluster: Cluster, written: Written, pod: Pod) -> None:
    """An administrator or another version may write them otherwise; a worker keeps its own form."""
    lost = trials.release(claimed_by(pod, written.trial), 3600.0, LOST)
    by_hand = status_of(lost, pod.uid)
    by_hand["attempts"][0] |= {"gpus": "0.50", "startedAt": "1970-01-01T00:00:01Z"}
    assert not cluster.patch_status(written.name, by_hand)
    assert not written.written_by(pod, claimed_by(pod, lost, 4000.0))


def test_the_policy_copes_with_as_many_attempts_as_there_can_be(written: Written, pod: Pod) -> None:
    trial = written.trial
    for number in range(MAX_ATTEMPTS - 1):
        trial = trials.release(claimed_by(pod, trial, number), number + 0.5, INTERRUPTED)
    written.put(trial, pod)
    assert not written.written_by(pod, claimed_by(pod, trial, MAX_ATTEMPTS))


def test_a_worker_asks_for_nothing_to_stop(written: Written, pod: Pod) -> None:
    running = claimed_by(pod, written.trial)
    complaint = written.refused(pod, running, stopRequested=True)
    assert complaint == "only the operator asks for a trial to stop"


def test_a_pod_writes_trials_of_its_own_search_only(written: Written, strangers: list[Pod]) -> None:
    for stranger in strangers:
        complaint = written.refused(stranger, claimed_by(stranger, written.trial))
        assert complaint == "a worker writes trials of its own search only"


def test_a_trial_of_no_search_is_nobodys(cluster: Cluster, search: Json, pod: Pod, active: None) -> None:  # noqa: ARG001
    loose = Written(cluster, make_trial("loose"), search, labels={})
    complaint = loose.refused(pod, claimed_by(pod, loose.trial))
    assert complaint == "a worker writes trials of its own search only"


def test_a_token_that_is_bound_to_no_pod_writes_nothing(cluster: Cluster, written: Written, pod: Pod) -> None:
    unbound = cluster.with_token(pod.name, pod.uid)
    complaint = written.refused(unbound, claimed_by(pod, written.trial))
    assert complaint == "a worker writes with the token of its pod; this one is bound to none"


@pytest.mark.parametrize("patch", [{"metadata": {"labels": {LABEL_SEARCH: "b"}}}, {"spec": {"seed": 1}}], ids=str)
def test_a_status_is_all_that_a_worker_can_write(cluster: Cluster, written: Written, pod: Pod, patch: Json) -> None:
    before = cluster.read(written.name)
    body = {**patch, "status": status_of(claimed_by(pod, written.trial), pod.uid)}
    path = cluster.trial_path(written.name)
    assert "is forbidden: User" in pod.client.send("PATCH", path, body, MERGE_PATCH)
    assert not pod.client.send("PATCH", f"{path}/status", body, MERGE_PATCH)
    after = cluster.read(written.name)
    assert (after["spec"], after["metadata"]["labels"]) == (before["spec"], before["metadata"]["labels"])


def test_a_worker_makes_no_trials(cluster: Cluster, search: Json, pod: Pod, active: None) -> None:  # noqa: ARG001
    """Server-side apply would create a missing object, but not through the status."""
    trial = claimed_by(pod, make_trial("made"))
    body = {**new_trial(trial.spec, search), "status": status_of(trial, pod.uid)}
    path = cluster.trial_path("made")
    assert "is forbidden: User" in pod.client.send("PATCH", f"{path}?fieldManager=worker", body, APPLY)
    assert pod.client.send("PATCH", f"{path}/status?fieldManager=worker", body, APPLY).startswith("404 ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("delete", TRIAL.plural, "NAME"),
        ("delete", SEARCH.plural, "a"),
        ("get", SEARCH.plural),
        ("get", "pods"),
        ("get", "secrets"),
        ("get", "leases"),
        ("create", "configmap", "a"),
    ],
    ids=" ".join,
)
def test_a_worker_can_do_nothing_else(cluster: Cluster, written: Written, pod: Pod, arguments: tuple[str, ...]) -> None:
    words = [word.replace("NAME", written.name) for word in arguments]
    assert f'is forbidden: User "system:serviceaccount:{cluster.namespace}:{ACCOUNT}"' in (
        pod.access.kubectl(*words, cluster.there).stderr
    )


# --- leases -------------------------------------------------------------------------------------------------------


def lease_of(pod: Pod, search: str = "a", **spec: Any) -> Json:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
    metadata = {"name": pod.name, "labels": {LABEL_SEARCH: search}, "ownerReferences": [owner]}
    held = {"holderIdentity": pod.uid, "leaseDurationSeconds": 40, **spec}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": held}


def try_lease(cluster: Cluster, lease: Json, pod: Pod) -> str:
    """Create a lease as a pod in a dry run; return the API server's complaint, or nothing."""
    return pod.client.send("POST", f"{cluster.lease_path}?{DRY_RUN}", lease)


def patch_lease(cluster: Cluster, name: str, patch: Json, pod: Pod) -> str:
    return pod.client.send("PATCH", f"{cluster.lease_path}/{name}", patch, MERGE_PATCH)


def test_a_pod_makes_and_renews_its_own_lease(cluster: Cluster, pod: Pod, active: None) -> None:  # noqa: ARG001
    assert not pod.client.send("POST", cluster.lease_path, lease_of(pod))
    renewed = {"spec": {"renewTime": "2026-01-31T12:00:00.000000Z"}}
    assert not patch_lease(cluster, pod.name, renewed, pod)


def test_a_lease_that_is_applied_is_judged_as_any(cluster: Cluster, pod: Pod, other: Pod, active: None) -> None:  # noqa: ARG001
    """Server-side apply creates a missing object, with a PATCH."""
    path = f"{cluster.lease_path}/{{}}?fieldManager=worker&{DRY_RUN}"
    assert not pod.client.send("PATCH", path.format(pod.name), lease_of(pod), APPLY)
    complaint = pod.client.send("PATCH", path.format(other.name), lease_of(other), APPLY)
    assert "a worker writes the lease with its pod's name only" in complaint


def changed(lease: Json, **metadata: Any) -> Json:
    return {**lease, "metadata": {**lease["metadata"], **metadata}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lease: changed(lease, name="another"), "a worker writes the lease with its pod's name only"),
        (lambda lease: changed(lease, labels={}), "a worker's lease has the label metasearch.dev/search"),
        (lambda lease: changed(lease, labels={LABEL_SEARCH: "b"}), "a worker's lease has the label"),
        (lambda lease: changed(lease, finalizers=["a/b"]), "a worker's lease has no finalizers"),
        (lambda lease: {**lease, "spec": {"holderIdentity": "x"}}, "a worker's lease is held by its pod's uid"),
        (lambda lease: {**lease, "spec": {}}, "a worker's lease is held by its pod's uid"),
    ],
)
def test_a_lease_that_is_not_the_pods_own_is_refused(
    cluster: Cluster,
    other: Pod,
    active: None,  # noqa: ARG001
    change: Callable[[Json], Json],
    complaint: str,
) -> None:
    assert not try_lease(cluster, lease_of(other), other)
    refused = try_lease(cluster, change(lease_of(other)), other)
    assert refused.startswith("403 ")
    assert complaint in refused


def test_a_pod_does_not_touch_the_lease_of_another(cluster: Cluster, pod: Pod, active: None) -> None:  # noqa: ARG001
    neighbour = cluster.new_pod("a-workers-0a1b2c3d-ccccc")
    cluster.create(lease_of(neighbour))
    for patch in ({"spec": {"renewTime": None}}, {"spec": {"holderIdentity": pod.uid}}, {"metadata": {"labels": None}}):
        assert "a worker writes the lease with its pod's name only" in patch_lease(cluster, neighbour.name, patch, pod)


def test_a_pod_that_is_called_as_a_lease_of_others_does_not_take_it(cluster: Cluster, active: None) -> None:  # noqa: ARG001
    """Another operator elects its leader by such a lease."""
    leader = cluster.new_pod("leader")
    cluster.create(changed(lease_of(leader), labels={}))
    taken = {"metadata": {"labels": {LABEL_SEARCH: "a"}}, "spec": {"holderIdentity": leader.uid}}
    assert "a worker's lease has the label metasearch.dev/search" in patch_lease(cluster, leader.name, taken, leader)


def test_a_lease_that_others_made_is_not_taken_over_by_a_label(cluster: Cluster, active: None) -> None:  # noqa: ARG001
    worker = cluster.new_pod("a-workers-0a1b2c3d-ddddd")
    cluster.create(changed(lease_of(worker), labels={}))
    taken = {"metadata": {"labels": {LABEL_SEARCH: "a"}}}
    assert "a worker writes no lease that another made" in patch_lease(cluster, worker.name, taken, worker)


def test_a_token_that_is_bound_to_no_pod_makes_no_lease(cluster: Cluster, pod: Pod, active: None) -> None:  # noqa: ARG001
    complaint = try_lease(cluster, lease_of(pod), cluster.with_token(pod.name, pod.uid))
    assert "a worker writes with the token of its pod; this one is bound to none" in complaint


def test_others_write_leases_as_before(cluster: Cluster, active: None) -> None:  # noqa: ARG001
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "theirs"}}
    cluster.create({**lease, "spec": {"holderIdentity": "somebody"}})
