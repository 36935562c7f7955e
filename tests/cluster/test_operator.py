"""
The operator as a process, on a real API server.

Workers are fake, so that each test takes seconds; `test_searches.py` has real pods.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import SMALL, make_result, pretend_result
from devcluster.access import ClusterAccess
from devcluster.operator_process import OperatorProcess, running_operator
from devcluster.resources import create_worker_account
from devcluster.searches import SearchHandle, create_search
from fake_worker import fake_worker
from pretended_search import pretended_scores

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.trial_conversion import new_trial
from metasearch.search.candidates import Candidate
from metasearch.search.trials import Reason, State, Trial, TrialResult

PROGRESSIVE = {
    **SMALL,
    "search": {"progressive": {"beamWidth": 4}, "surrogate": {"type": "Ridge"}, "confirmations": 0},
    "budget": {"maxTrials": 14},
}
"""A search of four rounds with the fastest surrogate: each round is ranked by a process that takes seconds to start."""

RANDOM = {**SMALL, "search": {"strategy": "Random"}, "budget": {"maxTrials": 6}}
"""A search that needs no surrogate and ends within a second."""

Begin = Callable[..., SearchHandle]


@pytest.fixture
def begin(operator: OperatorProcess, client: Api, namespace: str) -> Begin:
    """Return a function that creates a search."""
    operator.require_running()
    create_worker_account(client, namespace)

    def begin(name: str = "test", **spec: Any) -> SearchHandle:
        return SearchHandle(client, create_search(client, namespace, name, **spec))

    return begin


def scores(search: SearchHandle) -> dict[str, float | None]:
    return {trial.name: trial.score for trial in search.trials()}


# --- to the end ---------------------------------------------------------------------------------------------------


def test_a_search_comes_to_what_it_comes_to_on_one_machine(begin: Begin) -> None:
    search = begin(**PROGRESSIVE)
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"
    assert scores(search) == pretended_scores("test", PROGRESSIVE)


def test_a_finished_search_says_so_and_has_no_workers(begin: Begin) -> None:
    search = begin(**RANDOM)
    with fake_worker(search):
        search.wait_until_over()
    status = search.status
    assert search.condition("Ready")[:2] == ("True", "Succeeded")
    assert search.condition("Progressing")[0] == "False"
    assert status["observedGeneration"] == search.resource["metadata"]["generation"]
    assert status["trials"]["succeeded"] == status["trials"]["total"]
    assert status["delivered"]["cell"] == status["ranked"][0]["cell"]
    assert "completionTime" in status
    search.wait_for(lambda: not search.jobs())
    search.wait_for(lambda: {"RoundStarted", "Succeeded"} <= set(search.events()))


def test_events_tell_the_story_once(begin: Begin, operator: OperatorProcess, cluster_with_crds: ClusterAccess) -> None:
    """The operator is killed in between, and each event is there once all the same."""
    search = begin(**{**PROGRESSIVE, "budget": {"maxTrials": 14, "maxFailedTrials": 1}})
    measured: list[str] = []

    def one_fails(trial: Trial) -> TrialResult:
        measured.append(trial.name)
        return failing(trial) if len(measured) == 2 else pretend_result(trial.spec)

    with fake_worker(search, one_fails):
        search.wait_for(lambda: search.status.get("round", 0) >= 2)
        operator.kill()
        operator.start()
        assert search.wait_until_over() == "Succeeded"
    search.wait_for(lambda: "NetworkDelivered" in search.events())
    search.wait_for(lambda: "Succeeded" in search.events())
    rounds = len(search.status["rounds"])
    told = Counter(search.events())
    # The status that would have told of a round may be lost with the operator, and with it the event.
    assert told["RoundStarted"] in (rounds, rounds - 1)
    assert told["BestSoFar"] in (rounds, rounds - 1)
    assert {reason: told[reason] for reason in ("FinalStarted", "NetworkDelivered", "BudgetNearlySpent")} == {
        "FinalStarted": 1,
        "NetworkDelivered": 1,
        "BudgetNearlySpent": 1,
    }
    assert told.total() < len(search.trials())
    described = cluster_with_crds.run("describe", "msearch", search.name, f"--namespace={search.namespace}")
    story = described.partition("\nEvents:")[2]
    best = search.status["ranked"][0]
    assert f"by {best['trial']}, {best['parameterCount']:,} parameters, {best['cell']}" in story
    assert "4 trials train the best cells, and baselines, in full" in story
    assert "of budget.maxFailedTrials (1) none is left" in story
    assert (
        f"% of test images classified right, each alone, with {search.status['delivered']['parameterCount']:,}" in story
    )
    assert "metasearch-operator" in story
    columns = cluster_with_crds.run("get", "msearch", search.name, f"--namespace={search.namespace}").splitlines()[1]
    assert columns.split()[:3] == [search.name, str(rounds), "14/14"]


def test_trials_of_a_finished_search_may_be_deleted(begin: Begin, client: Api) -> None:
    search = begin(**RANDOM)
    with fake_worker(search):
        search.wait_until_over()
    client.delete(names.TRIAL.path(search.namespace, search.trials()[0].name))
    trials = len(search.trials())
    search.edit(parallelism=5)  # looked at again, and nothing begun anew
    generation = search.resource["metadata"]["generation"]
    search.wait_for(lambda: search.status["observedGeneration"] == generation)
    assert search.condition("Succeeded")[0] == "True"
    assert len(search.trials()) == trials


def test_a_search_survives_its_operator(begin: Begin, operator: OperatorProcess) -> None:
    """The operator is killed at three moments, whatever it is doing."""
    search = begin(**PROGRESSIVE)
    with fake_worker(search):
        for round in (1, 2, 3):
            search.wait_for(lambda round=round: search.status.get("round", 0) >= round)
            operator.kill()
            operator.start()
        assert search.wait_until_over() == "Succeeded"
    assert scores(search) == pretended_scores("test", PROGRESSIVE)


def test_two_operators_at_once_do_no_harm(begin: Begin, cluster_with_crds: ClusterAccess, tmp_path: Path) -> None:
    search = begin(**PROGRESSIVE)
    with running_operator(cluster_with_crds, tmp_path, []), fake_worker(search):
        assert search.wait_until_over() == "Succeeded"
    assert scores(search) == pretended_scores("test", PROGRESSIVE)


# --- workers ------------------------------------------------------------------------------------------------------


def test_pods_are_asked_for_as_trials_are_there(begin: Begin) -> None:
    search = begin(**RANDOM, parallelism=4, worker={"slots": 2})
    (job,) = search.wait_for(search.jobs)
    assert job["spec"]["parallelism"] == 2
    search.edit(parallelism=2)
    search.wait_for(lambda: [job["spec"]["parallelism"] for job in search.jobs()] == [1])


def test_another_template_is_another_job(begin: Begin) -> None:
    search = begin(**RANDOM)
    (before,) = search.wait_for(search.jobs)
    search.edit(worker={"template": {"image": "another"}})
    search.wait_for(
        lambda: [job["spec"]["template"]["spec"]["containers"][0]["image"] for job in search.jobs()] == ["another"]
    )
    assert search.jobs()[0]["metadata"]["name"] != before["metadata"]["name"]


def test_a_trial_whose_pod_is_gone_is_run_by_another(begin: Begin) -> None:
    search = begin(**RANDOM)
    search.wait_for(search.trials)
    gone = search.wait_for(lambda: search.store("a-pod-that-never-was").claim("gone.0-1", time.time(), 0.0))
    freed = search.wait_for(
        lambda: next(
            (trial for trial in search.trials() if trial.name == gone.name and trial.state is State.PENDING), None
        )
    )
    assert [attempt.outcome for attempt in freed.attempts] == ["Lost"]


def test_a_pod_that_its_node_does_not_end_makes_way_for_another(begin: Begin, client: Api, namespace: str) -> None:
    """A node without a kubelet is one that is gone: the pod stays in deletion, and its Job waits for that."""
    node = f"gone-{namespace}"
    client.create("/api/v1/nodes", {"metadata": {"name": node}})
    try:
        search = begin(**RANDOM, parallelism=1)
        (pod,) = search.wait_for(search.pods)
        path = names.POD.path(namespace, pod["metadata"]["name"])
        bound = {"metadata": {"name": pod["metadata"]["name"]}, "target": {"kind": "Node", "name": node}}
        client.create(f"{path}/binding", bound)
        client.delete(path, gracePeriodSeconds=1)
        search.wait_for(lambda: search.condition("Ready")[1] == "NodeLost")
        assert f"the node does not answer ({node})" in search.condition("Ready")[2]
        (another,) = search.wait_for(
            lambda: [each for each in search.pods() if each["metadata"]["uid"] != pod["metadata"]["uid"]]
        )
        assert [each["metadata"]["uid"] for each in search.pods()] == [another["metadata"]["uid"]]
    finally:
        client.delete(f"/api/v1/nodes/{node}")


def test_a_job_that_a_quota_leaves_without_pods_is_reported(begin: Begin, client: Api, namespace: str) -> None:
    quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
    client.create(quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    search = begin(**RANDOM)
    search.wait_for(lambda: search.condition("Ready")[1] == "PodsRefused")
    assert "exceeded quota" in search.condition("Ready")[2]
    search.wait_for(lambda: "PodsRefused" in search.events())
    client.delete(f"{quotas}/none")
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"


def test_a_search_in_a_queue_of_which_nobody_knows_is_reported(begin: Begin) -> None:
    """This cluster has no Kueue; `test_kueue.py` has one."""
    search = begin(**RANDOM, worker={"queueName": "team-a"})
    search.wait_for(lambda: search.condition("Ready")[1] == "Queued")
    assert "there is no Kueue in this cluster" in search.condition("Ready")[2]
    search.edit(worker={})
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"


# --- what people do -----------------------------------------------------------------------------------------------


def test_a_suspended_search_rests_and_goes_on(begin: Begin) -> None:
    search = begin(**PROGRESSIVE)
    with fake_worker(search):
        search.wait_for(lambda: search.status.get("round", 0) >= 2)
        search.edit(suspend=True)
        search.wait_for(lambda: search.condition("Suspended")[0] == "True")
        search.wait_for(lambda: not search.jobs())
        assert search.condition("Ready")[:2] == ("False", "Suspended")
        began_at = time.monotonic()
        time.sleep(2)  # the time that is not to count
        search.edit(suspend=False)
        rested_seconds = time.monotonic() - began_at
        search.wait_for(lambda: search.condition("Suspended")[0] == "False")
        assert search.wait_until_over() == "Succeeded"
    status = SearchStatus.model_validate(search.status)
    assert status.start_time is not None
    assert status.completion_time is not None
    assert status.suspended_time is not None
    assert status.spent is not None
    assert status.suspended_time.seconds >= int(rested_seconds)
    whole_seconds = status.completion_time.unix_seconds - status.start_time.unix_seconds
    assert abs(whole_seconds - status.suspended_time.seconds - status.spent.wall_time.seconds) <= 1
    assert scores(search) == pretended_scores("test", PROGRESSIVE)


def test_nothing_of_a_deleted_search_stays(begin: Begin, client: Api) -> None:
    search = begin(**RANDOM)
    search.wait_for(search.jobs)
    search.wait_for(search.trials)
    search.delete()
    search.wait_for(lambda: not (search.jobs() or search.trials()))
    found, _ = client.list_all(names.SEARCH.path(search.namespace))
    assert not found


def test_it_goes_where_no_operator_is_left(begin: Begin, operator: OperatorProcess) -> None:
    search = begin(**RANDOM)
    search.wait_for(search.jobs)
    search.wait_for(search.trials)
    with operator.away():
        search.remove()
        search.wait_for(lambda: not (search.jobs() or search.trials()))


def test_it_goes_after_what_it_owns_where_that_is_asked(begin: Begin) -> None:
    search = begin(**RANDOM)
    search.wait_for(search.jobs)
    search.wait_for(search.trials)
    search.remove(propagationPolicy="Foreground")
    assert not search.jobs()
    assert not search.trials()


def test_another_of_its_name_begins_anew(begin: Begin) -> None:
    first = begin(**PROGRESSIVE)
    with fake_worker(first):
        first.wait_for(lambda: first.status.get("round", 0) >= 2)
    first.delete()
    second = begin(**PROGRESSIVE)
    with fake_worker(second):
        assert second.wait_until_over() == "Succeeded"
    assert scores(second) == pretended_scores("test", PROGRESSIVE)


def test_a_trial_deleted_by_hand_is_run_again(begin: Begin, client: Api) -> None:
    search = begin(**RANDOM)
    before = search.wait_for(lambda: trials if len(trials := search.trials()) == 6 else None)
    client.delete(names.TRIAL.path(search.namespace, before[2].name))
    search.wait_for(lambda: {trial.name for trial in search.trials()} == {trial.name for trial in before})


def test_a_trial_made_by_hand_is_passed_over(begin: Begin, client: Api) -> None:
    search = begin(**RANDOM)
    (first, *_) = search.wait_for(search.trials)
    forged = replace(first.spec, name="test-1-forged", candidate=Candidate("conv3x3(-1)+conv3x3(7)"))
    client.create(names.TRIAL.path(search.namespace), new_trial(forged, search.resource))
    search.wait_for(lambda: "test-1-forged does not belong to this search" in search.condition("Ready")[2])
    client.delete(names.TRIAL.path(search.namespace, forged.name))
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"


# --- budgets ------------------------------------------------------------------------------------------------------


def failing(trial: Trial) -> TrialResult:
    del trial
    return TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="made up")


def test_trials_that_fail_end_a_search(begin: Begin) -> None:
    search = begin(**{**RANDOM, "budget": {"maxTrials": 6, "maxFailedTrials": 2}})
    with fake_worker(search, failing):
        assert search.wait_until_over() == "Failed"
    assert search.condition("BudgetExhausted")[:2] == ("True", "MaxFailedTrials")
    assert "more than budget.maxFailedTrials allows (2)" in search.condition("Failed")[2]


def test_a_search_uses_the_trials_that_it_may(begin: Begin) -> None:
    search = begin(**PROGRESSIVE)
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"
    assert search.status["spent"]["trials"] == 14
    assert search.condition("BudgetExhausted")[:2] == ("False", "WithinBudget")


def test_time_ends_a_search_and_what_was_found_is_kept(begin: Begin) -> None:
    search = begin(**{**RANDOM, "budget": {"maxTrials": 6, "wallTime": "12s"}})
    store = search.store()
    claimed = search.wait_for(lambda: store.claim("fake-worker.0-1", time.time(), 0.0))
    store.complete(claimed, make_result(0.5), time.time())
    search.wait_for(lambda: sum(trial.state is State.STOPPED for trial in search.trials()) == 5)
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"
    assert search.condition("BudgetExhausted")[1] == "WallTime"
    assert search.status["ranked"][0]["score"] == "0.5"


def test_gpu_hours_of_lost_attempts_count(begin: Begin) -> None:
    search = begin(**{**RANDOM, "budget": {"maxTrials": 6, "gpuHours": "1"}})
    store = search.store()
    claimed = search.wait_for(lambda: store.claim("fake-worker.0-1", time.time() - 3600, 1.0))
    store.release("fake-worker.0-1", time.time(), "Lost")
    del claimed
    search.wait_for(lambda: search.status.get("trials", {}).get("stopped", 0) == 6)
    assert search.wait_until_over() == "Failed"
    assert search.condition("BudgetExhausted")[1] == "GpuHours"


def test_a_search_that_was_cut_goes_on_with_a_larger_budget(begin: Begin) -> None:
    search = begin(**{**PROGRESSIVE, "budget": {"maxTrials": 14, "maxFailedTrials": 0}})
    with fake_worker(search, lambda trial: failing(trial) if trial.spec.priority == 3 else pretend_result(trial.spec)):
        assert search.wait_until_over() == "Failed"
    search.edit(budget={"maxTrials": 14, "maxFailedTrials": 1})
    with fake_worker(search):
        assert search.wait_for(lambda: search.condition("Succeeded")[0] == "True")
    assert search.condition("Failed")[0] == "False"


def test_a_search_that_has_ended_tries_more_with_a_larger_budget(begin: Begin) -> None:
    search = begin(**PROGRESSIVE)
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"
    before, delivered = scores(search), search.status["delivered"]
    search.edit(budget={"maxTrials": 20}, final={**PROGRESSIVE["final"], "seeds": 3})
    search.wait_for(lambda: search.condition("Succeeded")[0] == "False")
    assert search.status["delivered"] == delivered
    with fake_worker(search):
        search.wait_for(lambda: search.condition("Succeeded")[0] == "True")
    assert search.status["spent"]["trials"] == 20
    assert [end["trials"] for end in search.status["ends"]] == [14, 20]
    assert search.status["ends"][0]["finalTrials"] == 4
    assert before.items() <= scores(search).items()
    assert search.status["delivered"]["score"] >= delivered["score"]
    search.wait_for(lambda: not search.jobs())


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_an_older_definition_is_refused_with_a_sentence(
    cluster_with_crds: ClusterAccess, client: Api, tmp_path: Path
) -> None:
    path = names.DEFINITION.path(None, names.TRIAL.definition)
    place = f"/metadata/annotations/{names.ANNOTATION_CRD_VERSION.replace('/', '~1')}"
    version = client.get(path)["metadata"]["annotations"][names.ANNOTATION_CRD_VERSION]
    client.patch(path, [{"op": "replace", "path": place, "value": "1"}])
    try:
        operator = OperatorProcess(cluster_with_crds, tmp_path, ["default"], "none")
        assert operator.wait() != 0
        assert "has version 1 and this operator needs" in operator.log.read_text()
    finally:
        client.patch(path, [{"op": "replace", "path": place, "value": version}])
