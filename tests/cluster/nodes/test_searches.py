"""
Searches from end to end: installed by Helm from built images, applied with kubectl, run by pods on two nodes.

Namespaces enforce the restricted pod security standard. The result of a search is compared with that of the same
search on this machine, trial by trial.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from devcluster.operator_installation import OperatorInstallation
from image_datasets import write_class_folders, write_split
from installed_searches import GPU, Apply, Json, claim, remote, scores_on
from local_search import metasearch, scores_of, write_resource

from metasearch.kubernetes import names
from metasearch.search.trials import Trial
from metasearch_operator.lost_workers import pod_of

OTHER_LEARNERS: Json = {
    "training": {"metaLearner": "Prototypes", "reptile": None, "prototypes": {"metaBatchSize": 4, "mergedTasks": 4}},
    "final": {"training": {"metaLearner": "ProtoMAML", "averaging": "0.5"}},
}
"""Changes to a search by which its search trials have one meta-learner and its final trials another."""


def is_ready(pod: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


# --- the same as on one machine -----------------------------------------------------------------------------------


def test_a_search_on_two_nodes_comes_to_what_it_comes_to_on_this_machine(
    apply: Apply, installation: OperatorInstallation, local_run: Path
) -> None:
    search = apply()
    nodes: set[str] = set()

    def is_over() -> bool:
        nodes.update(pod["spec"].get("nodeName", "") for pod in search.pods())
        return search.condition("Succeeded")[0] == "True"

    search.wait_for(is_over)
    assert len(nodes - {""}) == 2
    assert scores_on(installation, search) == scores_of(local_run)
    local = json.loads((local_run / "result.json").read_text(encoding="utf-8"))
    status = search.status
    assert [cell["cell"] for cell in status["front"]] == [cell["cell"] for cell in local["front"]]
    assert float(status["delivered"]["nonTransductive"]["accuracy"]) == local["final"][0]["nonTransductive"]["accuracy"]
    for shown, baseline in zip(status["baselines"], local["baselines"], strict=True):
        assert float(shown["transductive"]["accuracy"]) == baseline["transductive"]["accuracy"]


def test_a_search_with_other_learners_comes_to_what_it_comes_to_on_this_machine(
    apply: Apply, installation: OperatorInstallation, tmp_path: Path
) -> None:
    (tmp_path / "local").mkdir()
    file = write_resource(tmp_path / "local", **OTHER_LEARNERS)
    run = metasearch("run", file, "--output", tmp_path / "local" / "run")
    assert run.returncode == 0, run.stderr
    search = apply(**OTHER_LEARNERS)
    assert search.wait_until_over() == "Succeeded"
    assert scores_on(installation, search) == scores_of(tmp_path / "local" / "run")


def test_whatever_happens_to_a_search_it_comes_to_the_same(
    apply: Apply, installation: OperatorInstallation, local_run: Path
) -> None:
    """Operator and worker pods are deleted, and the search is edited, suspended and resumed."""
    search, access = apply(), installation.access
    here = f"--namespace={installation.namespace}"
    search.wait_for(lambda: search.status.get("trials", {}).get("succeeded", 0) >= 1)
    access.run("delete", "pod", here, installation.operator_pod(), "--wait=false")
    access.run("delete", "pod", here, search.pods()[0]["metadata"]["name"], "--wait=false")
    search.edit(parallelism=1)
    search.wait_for(lambda: [job["spec"]["parallelism"] for job in search.jobs()] == [1] or search.is_over)
    search.edit(suspend=True)
    search.wait_for(lambda: not (search.jobs() or search.pods()))
    assert search.condition("Suspended")[0] == "True" or search.is_over
    search.edit(suspend=False, parallelism=2)
    assert search.wait_until_over() == "Succeeded"
    assert scores_on(installation, search) == scores_of(local_run)


def test_of_two_pods_the_idle_one_is_let_go(apply: Apply) -> None:
    search = apply(final={"seeds": 1, "baselines": [], "metaIterations": 4000})

    def final() -> list[Trial]:
        return [trial for trial in search.trials() if trial.spec.stage == "Final" and trial.holder]

    (running,) = search.wait_for(final)
    # The pod that has had the last trial of the search is ready for a moment longer, and the other is not yet.
    busy = pod_of(running.holder)
    search.wait_for(lambda: [pod["metadata"]["name"] for pod in search.pods() if is_ready(pod)] == [busy])
    search.edit(parallelism=1)
    (left,) = search.wait_for(lambda: pods if len(pods := search.pods()) == 1 else None)
    assert left["metadata"]["name"] == busy
    assert search.wait_until_over() == "Succeeded"
    (ended,) = [trial for trial in search.trials() if trial.name == running.name]
    assert [attempt.outcome for attempt in ended.attempts] == ["Succeeded"]


def test_nothing_of_a_deleted_search_stays(apply: Apply) -> None:
    search = apply(final={"metaIterations": 100_000})
    search.wait_for(lambda: search.status.get("trials", {}).get("running", 0))
    search.delete()
    leases = names.LEASE.path(search.namespace)
    selector = f"{names.LABEL_SEARCH}={search.name}"
    search.wait_for(
        lambda: (
            not (
                search.trials()
                or search.jobs()
                or search.pods()
                or search.api.list_all(leases, labelSelector=selector)[0]
            )
        )
    )


# --- data and weights ---------------------------------------------------------------------------------------------


def test_images_and_weights_are_on_volumes_and_what_is_wrong_with_them_is_reported(
    apply: Apply, installation: OperatorInstallation, volumes: Path, tmp_path: Path
) -> None:
    claim(installation, "models", volumes / "models")
    search = apply(
        "own",
        dataset={"name": None, "folder": {"path": "animals", "claim": "data"}, "rotations": None},
        task={"ways": 3},
        storage={"claim": "models"},
    )
    search.wait_for(lambda: search.condition("Ready")[1] == "Unschedulable")
    assert '"data" not found' in search.condition("Ready")[2]

    write_class_folders(volumes / "data" / "animals")
    write_split(volumes / "data" / "animals", test=["jay", "koi"])
    claim(installation, "data", volumes / "data")
    search.wait_for(lambda: search.condition("Ready")[1] == "InvalidData")
    assert "has 2 test classes and task.ways is 3" in search.condition("Ready")[2]
    search.wait_for(lambda: "InvalidData" in search.events())

    write_split(volumes / "data" / "animals")
    assert search.wait_until_over() == "Succeeded"
    weights = volumes / "models" / search.status["delivered"]["weights"].partition("/")[2]
    assert weights.stat().st_size > 1000
    exported = remote(installation, "export", "own", "--output", tmp_path / "network")
    assert exported.returncode == 0, exported.stderr
    assert (tmp_path / "network/weights.safetensors").read_bytes() == weights.read_bytes()
    used = subprocess.run([sys.executable, tmp_path / "network/use.py"], capture_output=True, text=True, check=False)
    assert used.returncode == 0, used.stderr
    shutil.rmtree(volumes / "models", ignore_errors=True)


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_an_image_without_the_trainer_is_reported_and_may_be_mended(
    apply: Apply, installation: OperatorInstallation, image: str
) -> None:
    del installation
    search = apply(worker={"template": {"image": image}})
    search.wait_for(lambda: search.condition("Ready")[1] == "WorkersFailing")
    search.edit(worker={})
    assert search.wait_until_over() == "Succeeded"


def test_trials_over_their_memory_end_as_such(apply: Apply) -> None:
    search = apply(budget={"trialMemory": "64Mi", "maxFailedTrials": 1, "maxAttempts": 1})
    assert search.wait_until_over() == "Failed"
    reasons = {trial.result.reason for trial in search.trials() if trial.result}
    assert "OutOfMemory" in reasons
    assert search.condition("BudgetExhausted")[1] == "MaxFailedTrials"


@pytest.mark.usefixtures("gpus")
def test_gpu_hours_end_a_search(apply: Apply) -> None:
    search = apply(
        budget={"gpuHours": "0.0002"},
        training={"metaIterations": 500},
        worker={"slots": 2, "template": {"resources": {"limits": {GPU: 1}}}},
    )
    search.wait_until_over()
    assert search.condition("BudgetExhausted")[1] == "GpuHours"
    shares = {attempt.gpus for trial in search.trials() for attempt in trial.attempts}
    assert shares == {0.5}
    assert float(search.status["spent"]["gpuHours"]) >= 0.00014
