"""The Job of a search's workers, as it is made. What an API server says of it: tests/cluster/test_worker_job.py."""

from __future__ import annotations

from typing import Any

import pytest
from builders import make_spec
from operator_builders import NAME, NAMESPACE, UID, make_search_json, make_settings

from metasearch.api import Resources
from metasearch.exit_codes import EXIT_RESTART
from metasearch.kubernetes.worker_job import (
    BUSY_PROBE,
    CONTAINER,
    gpus_per_pod,
    most_pods,
    needs_gpu,
    slots_per_pod,
    worker_job,
)

Json = dict[str, Any]
Spec = dict[str, Any]


def job(spec: Spec | None = None, pods: int = 2, **settings: Any) -> Json:
    """Make the Job for a search's spec and an installation's settings, each as in YAML."""
    return worker_job(make_search_json(), make_spec(**(spec or {})), make_settings(**settings), pods)


def pod(spec: Spec | None = None, **settings: Any) -> Json:
    found: Json = job(spec, **settings)["spec"]["template"]["spec"]
    return found


def container(spec: Spec | None = None, **settings: Any) -> Json:
    (found,) = pod(spec, **settings)["containers"]
    return dict(found)


def arguments(spec: Spec | None = None, **settings: Any) -> dict[str, str]:
    python, m, module, *rest = container(spec, **settings)["command"]
    assert (python, m, module) == ("python", "-m", "metasearch_trainer.pod")
    valued = [each for each in rest if each != "--needs-gpu"]
    return dict(zip(valued[::2], valued[1::2], strict=True)) | {each: "" for each in rest if each not in valued}


def worker(**template: Any) -> Spec:
    return {"worker": {"template": template}}


def name(spec: Spec | None = None, **settings: Any) -> str:
    return str(job(spec, **settings)["metadata"]["name"])


# --- what shows up ------------------------------------------------------------------------------------------------

TOLERATION = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
FOLDER = {"dataset": {"folder": {"path": "images", "claim": "photos"}}}


@pytest.mark.parametrize(
    ("spec", "field", "expected"),
    [
        (worker(image="mine:2"), "image", "mine:2"),
        (worker(resources={"requests": {"cpu": "2"}}), "resources", {"requests": {"cpu": "2"}}),
        (
            worker(resources={"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": 1}}),
            "resources",
            {"requests": {"cpu": "2"}, "limits": {"nvidia.com/gpu": "1"}},
        ),
    ],
)
def test_a_field_of_the_template_is_in_the_container(spec: Spec, field: str, expected: Any) -> None:
    assert container(spec)[field] == expected


def test_fields_of_the_template_are_in_the_pod() -> None:
    assert pod(worker(nodeSelector={"disk": "fast"}))["nodeSelector"] == {"disk": "fast"}
    assert pod(worker(tolerations=[TOLERATION]))["tolerations"][0] == TOLERATION
    assert "nodeSelector" not in pod()


def test_labels_and_annotations_of_the_installation_and_of_the_operator_stay() -> None:
    spec = worker(labels={"team": "mine", "cost": "a"}, annotations={"note": "mine", "more": "b"})
    metadata = job(spec, labels={"team": "theirs"}, annotations={"note": "theirs"})["spec"]["template"]["metadata"]
    assert (
        metadata["labels"].items()
        >= {"team": "theirs", "cost": "a", "metasearch.dev/search": make_search_json()["metadata"]["name"]}.items()
    )
    assert metadata["annotations"] == {"note": "theirs", "more": "b"}


@pytest.mark.parametrize(
    ("spec", "volume", "path", "read_only"),
    [
        pytest.param(FOLDER, "photos", "/var/lib/metasearch/data", True, id="data"),
        pytest.param({"storage": {"claim": "models"}}, "models", "/var/lib/metasearch/storage", False, id="storage"),
        pytest.param(worker(volumes=[{"claim": "a", "mountPath": "/a"}]), "a", "/a", True, id="a volume"),
        pytest.param(
            worker(volumes=[{"claim": "a", "mountPath": "/a", "readOnly": False}]), "a", "/a", False, id="to write to"
        ),
    ],
)
def test_a_claim_is_mounted(spec: Spec, volume: str, path: str, read_only: bool) -> None:
    volumes = {each["name"]: each["persistentVolumeClaim"] for each in pod(spec)["volumes"][3:]}
    mounts = [mount for mount in container(spec)["volumeMounts"] if mount["name"] in volumes]
    assert list(volumes.values()) == [{"claimName": volume}]
    assert [(mount["mountPath"], mount["readOnly"]) for mount in mounts] == [(path, read_only)]


def test_no_claim_is_mounted_where_none_is_named() -> None:
    for spec in ({"dataset": {"folder": {"path": "/images"}}}, {"storage": {"url": "s3://bucket"}}, {}):
        assert [each["name"] for each in pod(spec)["volumes"]] == ["scratch", "tmp", "credentials"]


def test_the_token_is_the_workers_alone_and_does_not_last() -> None:
    made = pod()
    assert (made["automountServiceAccountToken"], made["enableServiceLinks"]) == (False, False)
    (volume,) = [each["projected"] for each in made["volumes"] if each["name"] == "credentials"]
    (token,) = [each["serviceAccountToken"] for each in volume["sources"] if "serviceAccountToken" in each]
    assert token == {"path": "token", "expirationSeconds": 3600}
    (mount,) = [each for each in container()["volumeMounts"] if each["name"] == "credentials"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/var/run/secrets/kubernetes.io/serviceaccount", True)


def test_a_worker_is_told_whose_trials_to_run_and_how() -> None:
    assert arguments() == {"--search": NAME, "--slots": "1", "--gpus": "0", "--max-trials": "500"}
    given = arguments({"worker": {"slots": 2, "maxTrials": 9, "template": {"resources": {"limits": {"a/gpu": 1}}}}})
    assert given == {"--search": NAME, "--slots": "2", "--gpus": "1", "--max-trials": "9"}


@pytest.mark.parametrize(
    ("settings", "place", "expected"),
    [
        ({"image": "theirs:3"}, "image", "theirs:3"),
        ({"imagePullPolicy": "Always"}, "imagePullPolicy", "Always"),
        ({"resources": {"limits": {"memory": "2Gi"}}}, "resources", {"limits": {"memory": "2Gi"}}),
        ({"storageSecret": "keys"}, "envFrom", [{"secretRef": {"name": "keys", "optional": True}}]),
    ],
)
def test_a_setting_is_in_the_container(settings: Json, place: str, expected: Any) -> None:
    assert container(**settings)[place] == expected


@pytest.mark.parametrize(
    ("settings", "place", "expected"),
    [
        ({"serviceAccount": "runner"}, "serviceAccountName", "runner"),
        ({"priorityClass": "low"}, "priorityClassName", "low"),
        ({"runtimeClass": "nvidia"}, "runtimeClassName", "nvidia"),
        ({"imagePullSecrets": ["a", "b"]}, "imagePullSecrets", [{"name": "a"}, {"name": "b"}]),
    ],
)
def test_a_setting_is_in_the_pod(settings: Json, place: str, expected: Any) -> None:
    assert pod(**settings)[place] == expected
    if place != "serviceAccountName":
        assert place not in pod()


def test_labels_and_annotations_of_the_installation_never_hide_ours() -> None:
    made = job(labels={"team": "a", "metasearch.dev/search": "other"}, annotations={"note": "b"})
    template = made["spec"]["template"]["metadata"]
    ours = {
        "metasearch.dev/search": NAME,
        "app.kubernetes.io/name": "metasearch",
        "app.kubernetes.io/component": "worker",
    }
    assert template == {"labels": {"team": "a", **ours}, "annotations": {"note": "b"}}
    assert made["metadata"]["labels"] == {"team": "a", **ours}


def test_what_a_search_asks_for_goes_before_the_installation() -> None:
    spec = worker(image="mine:2", resources={"requests": {"cpu": "2"}})
    made = container(spec, resources={"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}})
    assert (made["image"], made["resources"]) == ("mine:2", {"requests": {"cpu": "2"}})


def test_a_process_knows_its_pod_and_its_limit() -> None:
    environment = {each["name"]: each for each in container(env={"HTTPS_PROXY": "p"})["env"]}
    assert environment["HTTPS_PROXY"]["value"] == "p"
    assert environment["OMP_NUM_THREADS"]["value"] == "1"
    fields = {
        name: each["valueFrom"]["fieldRef"]["fieldPath"] for name, each in environment.items() if "valueFrom" in each
    }
    assert fields == {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_UID": "metadata.uid"}


def test_a_memory_limit_is_passed_where_there_is_one() -> None:
    limited = container(worker(resources={"limits": {"memory": "2Gi"}}))
    assert limited["env"][-1] == {
        "name": "MEMORY_LIMIT_BYTES",
        "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1"}},
    }
    assert "MEMORY_LIMIT_BYTES" not in {each["name"] for each in container()["env"]}


def test_a_lost_node_is_given_up_soon() -> None:
    lost = pod(nodeLostSeconds=7)["tolerations"]
    assert {(each["key"], each["effect"], each["tolerationSeconds"]) for each in lost} == {
        ("node.kubernetes.io/not-ready", "NoExecute", 7),
        ("node.kubernetes.io/unreachable", "NoExecute", 7),
    }


# --- security -----------------------------------------------------------------------------------------------------


def test_a_cluster_may_give_a_pod_its_user() -> None:
    security = pod(userId=None)["securityContext"]
    assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(security)
    assert security["runAsNonRoot"] is True
    assert pod(userId=1_000)["securityContext"]["fsGroup"] == 1_000


def test_a_pod_has_no_rights_on_its_node() -> None:
    made = pod(worker(volumes=[{"claim": "a", "mountPath": "/a"}]))
    security = made["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["fsGroup"]) == (True, 65532, 65532)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    (only,) = made["containers"]
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & made.keys()
    assert {tuple(volume.keys() - {"name"}) for volume in made["volumes"]} == {
        ("emptyDir",),
        ("persistentVolumeClaim",),
        ("projected",),
    }


# --- the Job itself -----------------------------------------------------------------------------------------------


def test_a_job_belongs_to_its_search() -> None:
    metadata = job()["metadata"]
    assert metadata["namespace"] == NAMESPACE
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("MetaSearch", NAME, UID)
    assert owner["controller"] is owner["blockOwnerDeletion"] is True


def test_a_pod_that_leaves_or_is_disrupted_is_no_failure() -> None:
    policy = job()["spec"]["podFailurePolicy"]["rules"]
    assert {rule["action"] for rule in policy} == {"Ignore"}
    assert policy[0]["onPodConditions"] == [{"type": "DisruptionTarget"}]
    assert policy[1]["onExitCodes"] == {"containerName": CONTAINER, "operator": "In", "values": [EXIT_RESTART]}


def test_a_job_in_a_queue_waits_for_it() -> None:
    queued = job({"worker": {"queueName": "team-a"}})
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert queued["spec"]["suspend"] is True
    assert "suspend" not in job()["spec"]
    assert "kueue.x-k8s.io/queue-name" not in job()["metadata"]["labels"]


# --- its name -----------------------------------------------------------------------------------------------------


def test_a_name_is_the_same_each_time() -> None:
    assert name() == name()
    assert name().startswith(f"{NAME}-workers-")
    assert len(name()) == len(f"{NAME}-workers-") + 8


@pytest.mark.parametrize(
    "spec",
    [
        {"parallelism": 9},
        {"budget": {"maxTrials": 9, "wallTime": "1h"}},
        {"search": {"progressive": {"beamWidth": 9}}},
        {"suspend": True},
        {"storage": {"url": "s3://bucket"}},
    ],
)
def test_what_is_not_of_the_pods_keeps_the_name(spec: Spec) -> None:
    assert name(spec) == name()
    assert job(pods=1)["metadata"]["name"] == job(pods=7)["metadata"]["name"]


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        (worker(image="mine:2"), {}),
        (worker(resources={"limits": {"memory": "2Gi"}}), {}),
        (worker(nodeSelector={"disk": "fast"}), {}),
        (worker(tolerations=[TOLERATION]), {}),
        (worker(volumes=[{"claim": "a", "mountPath": "/a"}]), {}),
        ({"worker": {"slots": 2}}, {}),
        ({"worker": {"maxTrials": 9}}, {}),
        ({"storage": {"claim": "models"}}, {}),
        (FOLDER, {}),
        ({}, {"image": "theirs:3"}),
        ({}, {"serviceAccount": "runner"}),
        ({}, {"env": {"A": "b"}}),
        ({}, {"labels": {"team": "a"}}),
        ({}, {"nodeLostSeconds": 60}),
    ],
)
def test_another_template_is_another_job(spec: Spec, settings: Json) -> None:
    assert name(spec, **settings) != name()


def test_another_queue_is_another_job() -> None:
    """A Job's own cannot be changed while it runs, and a Job that was suspended for one stays so without."""
    names = [name(), *(name({"worker": {"queueName": queue}}) for queue in ("team-a", "team-b"))]
    assert len(set(names)) == 3


def test_fewer_trials_at_once_than_a_pod_has_slots_is_another_template() -> None:
    slots = {"worker": {"slots": 4}}
    assert name({**slots, "parallelism": 8}) == name({**slots, "parallelism": 4})
    assert name({**slots, "parallelism": 2}) != name({**slots, "parallelism": 4})


def test_a_name_fits_the_label_that_pods_get_it_as() -> None:
    longest = make_search_json()
    longest["metadata"]["name"] = "n" * 40
    made = worker_job(longest, make_spec(), make_settings(), pods=1)
    assert len(made["metadata"]["name"]) + len("-abcde") <= 63


# --- sums ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "parallelism", "per_pod", "pods"),
    [(1, 4, 1, 4), (2, 4, 2, 2), (3, 4, 3, 1), (4, 4, 4, 1), (8, 4, 4, 1), (2, 5, 2, 2), (64, 10_000, 64, 156)],
)
def test_pods_run_no_more_trials_than_may_run_at_once(slots: int, parallelism: int, per_pod: int, pods: int) -> None:
    spec = make_spec(worker={"slots": slots}, parallelism=parallelism)
    assert (slots_per_pod(spec), most_pods(spec)) == (per_pod, pods)
    assert per_pod * pods <= parallelism


@pytest.mark.parametrize(
    ("limits", "gpus"),
    [
        ({}, 0.0),
        ({"cpu": "4", "memory": "16Gi"}, 0.0),
        ({"nvidia.com/gpu": 1}, 1.0),
        ({"nvidia.com/gpu": "8"}, 8.0),
        ({"amd.com/gpu": 2}, 2.0),
        ({"nvidia.com/gpu.shared": 1}, 1.0),
        ({"nvidia.com/mig-1g.5gb": 2, "nvidia.com/gpu": 1}, 3.0),
        ({"nvidia.com/gpu": "1k"}, 1000.0),
        ({"nvidia.com/gpu": "500m"}, 0.5),  # the API server says that it will not have that
        ({"gpu": 1, "vendor.io/gpus": 1}, 0.0),
    ],
)
def test_gpus_are_counted_from_the_limits(limits: Json, gpus: float) -> None:
    assert gpus_per_pod(Resources(limits=limits)) == gpus
    assert gpus_per_pod(Resources(requests=limits)) == 0.0


@pytest.mark.parametrize(
    ("limits", "needed"),
    [
        ({}, False),
        ({"nvidia.com/gpu": 1}, True),
        ({"nvidia.com/mig-1g.5gb": 1}, True),
        ({"amd.com/gpu": 1}, True),
        ({"nvidia.com/gpu": 0}, False),
        ({"example.com/gpu": 1}, False),
    ],
)
def test_a_pod_needs_the_gpus_that_pytorch_trains_on(limits: Json, needed: bool) -> None:
    assert needs_gpu(Resources(limits=limits)) is needed
    assert ("--needs-gpu" in arguments(worker(resources={"limits": limits}))) is needed


def test_claimed_devices_are_the_containers_and_counted_as_gpus() -> None:
    slice = {"name": "slice", "resourceClaimTemplateName": "half-a-gpu", "gpus": "0.5"}
    disk = {"name": "disk", "resourceClaimTemplateName": "fast", "gpus": "0"}
    spec = worker(resourceClaims=[slice, disk], resources={"requests": {"cpu": "2"}})
    assert pod(spec)["resourceClaims"] == [
        {"name": "slice", "resourceClaimTemplateName": "half-a-gpu"},
        {"name": "disk", "resourceClaimTemplateName": "fast"},
    ]
    assert container(spec)["resources"] == {"requests": {"cpu": "2"}, "claims": [{"name": "slice"}, {"name": "disk"}]}
    assert arguments(spec)["--gpus"] == "0.5"
    assert "--needs-gpu" in arguments(spec)
    assert "--needs-gpu" not in arguments(worker(resourceClaims=[disk]))
    limits = {"limits": {"nvidia.com/gpu": 1}}
    assert arguments(worker(resourceClaims=[slice], resources=limits))["--gpus"] == "1.5"


def test_another_priority_in_a_queue_is_another_job() -> None:
    urgent = {"queueName": "team", "queuePriority": "urgent"}
    made = job({"worker": urgent})
    assert made["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "urgent"
    assert "kueue.x-k8s.io/priority-class" not in made["spec"]["template"]["metadata"]["labels"]
    assert len({name({"worker": each}) for each in (urgent, {"queueName": "team"}, {})}) == 3


def test_gpus_are_written_in_digits() -> None:
    assert arguments(worker(resources={"limits": {"a/gpu": 2}}))["--gpus"] == "2"
    assert arguments(resources={"limits": {"a/gpu": 1}})["--gpus"] == "1"


# --- readiness ----------------------------------------------------------------------------------------------------


def test_a_pod_is_ready_while_it_works_so_that_idle_ones_go_first() -> None:
    assert container()["readinessProbe"] == BUSY_PROBE


def test_pods_of_a_queue_are_ready_once_they_run() -> None:
    """Kueue with waitForPodsReady evicts a Job of which a pod is not ready, as an idle one would be."""
    assert "readinessProbe" not in container({"worker": {"queueName": "team-a"}})
    queued = worker_job(make_search_json(), make_spec(), make_settings(), 2, in_queue=True)
    assert "readinessProbe" not in queued["spec"]["template"]["spec"]["containers"][0]
    assert queued["metadata"]["name"] != name()
    assert "kueue.x-k8s.io/queue-name" not in queued["metadata"]["labels"]  # it is Kueue's to give
