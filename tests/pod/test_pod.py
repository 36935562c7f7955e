"""A worker pod's processes, against a real API server, on real Omniglot."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from builders import make_trial_spec
from local_search import fork_server_of, wait_until
from worker_pod_process import MakePod

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.worker_job import LEASE_SECONDS
from metasearch.search.candidates import Candidate
from metasearch.search.trials import INTERRUPTED, LOST, Reason, Stage, State, Trial, TrialResult, TrialSpec
from metasearch.stores.kubernetes import KubernetesStore

LONG = 1_000_000
"""Meta-iterations that no test waits for."""


def trial(index: int, **changes: object) -> TrialSpec:
    spec = make_trial_spec(f"tiny-1-{index:010}", candidate="conv3x3(-1)+max_pool3x3(-2)", meta_iterations=4)
    return replace(spec, priority=index, **changes)  # type: ignore[arg-type]


def repeatable(found: Trial) -> TrialResult:
    """Return a trial's result without the values that differ from run to run."""
    assert found.result is not None, found
    return replace(found.result, wall_seconds=None, part_seconds=None, peak_memory_bytes=None, latency_ms=None)


def test_trials_have_the_results_of_a_run_on_one_machine(
    pod_of: MakePod, local_trials: Sequence[Trial], tmp_path: Path
) -> None:
    pod = pod_of(storage={"claim": "weights"})
    pod.store.propose(each.spec for each in local_trials)
    pod.start(slots=2)
    found = pod.wait_until_over()
    assert {name: repeatable(each) for name, each in found.items()} == {
        each.name: repeatable(each) for each in local_trials
    }
    assert {each.attempts[-1].worker for each in found.values()} == {f"{pod.name}.{slot}-1" for slot in range(2)}

    kept = sorted(str(path.relative_to(tmp_path / "storage")) for path in (tmp_path / "storage").rglob("*.safetensors"))
    uid = pod.store.search["metadata"]["uid"][:8]
    final = sorted(each.name for each in local_trials if each.spec.stage is Stage.FINAL)
    assert kept == [f"{pod.namespace}/tiny-{uid}/weights/{name}.safetensors" for name in final]
    assert pod.terminate()[0] == 75


def test_a_pod_that_is_told_to_leave_frees_what_it_has(pod_of: MakePod) -> None:
    pod = pod_of()
    pod.store.propose(trial(index, meta_iterations=LONG) for index in range(2))
    pod.start(slots=2).wait_until_running(2)
    code, seconds = pod.terminate()
    assert code == 75
    assert seconds < 25
    for each in pod.trials().values():
        assert (each.state, each.attempts[0].outcome) == (State.PENDING, INTERRUPTED)
    assert "Traceback" not in pod.printed


def test_the_trial_of_a_slot_that_is_killed_is_free_and_the_other_slot_goes_on(pod_of: MakePod) -> None:
    pod = pod_of()
    pod.store.propose([trial(0, meta_iterations=LONG), trial(1, meta_iterations=LONG)])
    running = pod.start(slots=2).wait_until_running(2)
    victim, bystander = running.values()
    processes = pod.slot_processes()
    processes[victim.holder or ""].kill()
    pod.wait_for(lambda trials: trials[victim.name].attempts[0].outcome == LOST)
    # A fresh process in the same slot takes it up again.
    pod.wait_for(lambda trials: trials[victim.name].epoch == 2)
    assert pod.trials()[victim.name].holder == f"{(victim.holder or '').removesuffix('-1')}-2"
    assert pod.trials()[bystander.name].attempts == bystander.attempts
    assert processes[bystander.holder or ""].is_running()


def test_a_slot_that_hangs_is_ended_and_its_trial_is_run_by_the_next(pod_of: MakePod) -> None:
    pod = pod_of()
    pod.store.propose([trial(0, meta_iterations=LONG), trial(1, meta_iterations=LONG)])
    running = pod.start(slots=2, hung_seconds=5.0).wait_until_running(2)
    victim, bystander = running.values()
    # As a read from a dead network disk or a kernel of a GPU that never ends: it obeys no SIGTERM, and takes no note of
    # trialTime or of a request to stop.
    pod.slot_processes()[victim.holder or ""].send_signal(signal.SIGSTOP)
    pod.wait_for(lambda trials: trials[victim.name].epoch == 2, seconds=60)
    first, second = pod.trials()[victim.name].attempts
    assert (first.outcome, second.worker) == (LOST, f"{(victim.holder or '').removesuffix('-1')}-2")
    assert pod.trials()[bystander.name].attempts == bystander.attempts
    assert "ended by SIGKILL, for it had given no sign of life for" in pod.printed


def test_slots_whose_fork_server_is_killed_start_anew(pod_of: MakePod) -> None:
    pod = pod_of()
    pod.store.propose(trial(index, meta_iterations=LONG) for index in range(2))
    pod.start(slots=2).wait_until_running(2)
    assert pod.process is not None
    server = fork_server_of(pod.process)
    assert server is not None
    server.kill()
    pod.wait_for(lambda trials: all(each.epoch == 2 for each in trials.values()))
    for each in pod.trials().values():
        assert (each.attempts[0].outcome, each.attempts[1].worker[-2:]) == (LOST, "-2")
    assert pod.terminate()[0] == 75


def test_a_slot_makes_way_after_so_many_trials(pod_of: MakePod) -> None:
    pod = pod_of()
    pod.store.propose(trial(index) for index in range(3))
    found = pod.start(max_trials=2).wait_until_over()
    assert [each.attempts[0].worker for each in found.values()] == [f"{pod.name}.0-{start}" for start in (1, 1, 2)]


def test_an_edited_budget_holds_for_the_trials_that_begin_afterwards(pod_of: MakePod, client: Api) -> None:
    pod = pod_of()
    pod.store.propose([trial(0)])
    pod.start().wait_until_over()
    budget = {"op": "add", "path": "/spec/budget/trialTime", "value": "1s"}
    client.patch(names.SEARCH.path(pod.namespace, "tiny"), [budget])
    wait_until(lambda: f"{pod.name}.0-2" in pod.slot_processes())
    pod.store.propose([trial(1, meta_iterations=LONG)])
    late = pod.wait_until_over()["tiny-1-0000000001"]
    assert late.result is not None
    assert late.result.reason is Reason.TIMED_OUT


def test_data_that_are_wrong_end_the_pod_with_their_sentence(pod_of: MakePod) -> None:
    pod = pod_of(dataset={"name": None, "rotations": None, "folder": {"path": "images", "claim": "data"}})
    pod.store.propose([trial(0)])
    pod.start(slots=2)
    assert pod.wait() == 3
    assert "data/images" in pod.last_sentence
    assert "\n" not in pod.last_sentence.strip()
    assert pod.last_sentence in pod.printed
    assert pod.trials()["tiny-1-0000000000"].epoch == 0


def test_a_pod_whose_search_is_deleted_ends_quietly(pod_of: MakePod, client: Api, tmp_path: Path) -> None:
    pod = pod_of()
    pod.start()
    wait_until(lambda: pod.slot_processes())
    client.delete(names.SEARCH.path(pod.namespace, "tiny"))
    assert pod.wait() == 0
    assert pod.start().wait() == 0
    assert not (tmp_path / "termination-log").exists()


def test_a_lease_says_that_the_pod_is_alive(pod_of: MakePod) -> None:
    pod = pod_of()
    pod.start()

    def lease_spec() -> dict[str, str]:
        return {item["metadata"]["name"]: item["spec"] for item in leases()}.get(pod.name, {})

    def leases() -> list[dict[str, dict[str, str]]]:
        return pod.api.list_all(names.LEASE.path(pod.namespace))[0]

    first = wait_until(lease_spec)
    wait_until(lambda: lease_spec()["renewTime"] > first["renewTime"], 60)
    lease = pod.lease()
    assert (first["holderIdentity"], first["leaseDurationSeconds"]) == (pod.uid, LEASE_SECONDS)
    assert lease["metadata"]["labels"] == {names.LABEL_SEARCH: "tiny"}
    assert [(owner["kind"], owner["uid"]) for owner in lease["metadata"]["ownerReferences"]] == [("Pod", pod.uid)]


def test_a_trial_over_its_share_of_the_pods_memory_fails_alone(pod_of: MakePod) -> None:
    share = 1200 * 2**20
    pod = pod_of(
        space={"filters": 512, "filterScale": 2},
        training={"reptile": {"metaBatchSize": 4, "innerBatchSize": 20}},
        budget={"maxAttempts": 1},
    )
    pod.store = KubernetesStore(pod.api, pod.store.search, max_attempts=1, pod_uid=pod.uid)
    small = trial(0, stage=Stage.BASELINE, candidate=Candidate("Conv4"), meta_iterations=LONG)
    pod.store.propose([small])
    pod.start(slots=2, MEMORY_LIMIT_BYTES=str(int(share * 2 / 0.9) + 1)).wait_until_running(1)
    large = trial(1)
    pod.store.propose([large])
    pod.wait_for(lambda trials: trials[large.name].state.is_over)
    found = pod.trials()
    result = found[large.name].result
    assert result is not None
    assert result.reason is Reason.OUT_OF_MEMORY
    assert "its slot's 1200 MiB of the pod's memory limit" in (result.message or "")
    assert (found[small.name].state, found[small.name].epoch) == (State.RUNNING, 1)
