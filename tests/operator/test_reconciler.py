"""A search is reconciled with an invented cache. With a real operator on a real API server: tests/cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from builders import SMALL, STARTED, completed, make_trial, pretend_result
from operator_builders import UID, RecordingApi, claimed, make_job, make_pod, make_search_json
from reconciling import FakeCache, cached, reconciler, said, written

from metasearch.cluster.api import Conflict, NotFound, Refused
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes.search_status import EXHAUSTED, FAILED, PROGRESSING, SUCCEEDED, SearchStatus
from metasearch.loading import parse_search
from metasearch.metrics import of_search
from metasearch.search.build import build_search
from metasearch.search.planner import plan
from metasearch.search.trials import Reason, State, Trial, TrialResult
from metasearch_operator.cache import CachedTrial, WorkerJob
from metasearch_operator.diagnosis import Problem
from metasearch_operator.reasons import ReadyReason
from metasearch_operator.searches import SearchGone, status_json, write_status

Json = dict[str, Any]

PROBLEM = Problem(ReadyReason.OPERATOR_ERROR, "the operator cannot go on for now: boom")
CREATE_TRIAL = "/apis/metasearch.dev/v1alpha1/namespaces/team-a/metatrials"
CREATE_JOB = "/apis/batch/v1/namespaces/team-a/jobs"
ONE_ROUND = {"space": {"operations": ["conv3x3", "identity"], "maxBlocks": 1}}


def search(status: Json | None = None, generation: int = 1, **spec: Any) -> Json:
    made = make_search_json(**{**SMALL, **spec})
    made["metadata"]["generation"] = generation
    return {**made, "status": status or {}}


def first_round(**spec: Any) -> list[Trial]:
    definition = build_search("test", parse_search(search(**spec)).spec, STARTED)
    return [Trial(spec=each) for each in plan(definition, [], STARTED).propose]


def succeeded(before: Sequence[CachedTrial] = (), **spec: Any) -> list[Trial]:
    """Return the trials of a finished search, of one round unless it says otherwise, that delivered a network."""
    definition = build_search("test", parse_search(search(**(spec or ONE_ROUND))).spec, STARTED)
    trials = [each.trial for each in before if each.trial]
    while not (decided := plan(definition, trials, STARTED)).phase.is_over:
        trials += [completed(Trial(spec=each), pretend_result(each)) for each in decided.propose]
    return trials


# --- beginning ----------------------------------------------------------------------------------------------------


def test_a_new_search_gets_its_trials_its_workers_and_a_status() -> None:
    api = RecordingApi()
    result = reconciler(api=api).reconcile(search())
    created = [path for verb, path, _ in api.asked if verb == "create"]
    assert created == [CREATE_TRIAL] * 10 + [CREATE_JOB]
    assert result.is_urgent
    assert said(result)[:2] == ("False", "WaitingForWorkers")
    assert result.samples is not None
    began = {each.value for each in result.samples if each.metric is of_search.STARTED}
    assert began == {STARTED}
    assert written(result)["startTime"] == "1970-01-01T00:16:40.000000Z"


@pytest.mark.parametrize(
    ("parallelism", "sentence"),
    [
        pytest.param(0, "MetaSearch test: spec.parallelism is 0; it must be at least 1", id="out of bounds"),
        pytest.param(
            "4", 'MetaSearch test: spec.parallelism is "4"; it must be a whole number', id="text for a number"
        ),
    ],
)
def test_an_invalid_spec_is_reported_and_nothing_is_done(parallelism: object, sentence: str) -> None:
    """Values are taken as strictly as by workers and commands."""
    api = RecordingApi()
    result = reconciler(api=api).reconcile(search(parallelism=parallelism))
    assert said(result) == ("False", "InvalidSpec", sentence)
    assert not api.asked


def test_a_status_that_somebody_wrote_nonsense_to_is_made_anew() -> None:
    result = reconciler().reconcile(search(status={"round": "high", "conditions": 7}))
    assert written(result)["round"] == 0


def test_a_suspended_search_proposes_nothing_and_lets_its_workers_go() -> None:
    api = RecordingApi()
    result = reconciler(FakeCache(held_jobs=[make_job()]), api).reconcile(search(suspend=True))
    assert [verb for verb, *_ in api.asked] == ["delete"]
    assert said(result)[:2] == ("False", "Suspended")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Refused("exceeded quota: jobs"), id="a quota of Jobs, or a template that is not taken"),
        pytest.param(StoreUnavailable('failed calling webhook "mjob.kb.io"'), id="a webhook that does not answer"),
    ],
)
def test_a_job_that_is_refused_is_reported_and_everything_else_goes_on(error: Exception) -> None:
    class NoJobs(RecordingApi):
        def create(self, path: str, body: Json) -> Json:
            if path == CREATE_JOB:
                raise error
            return super().create(path, body)

    api = NoJobs()
    result = reconciler(api=api).reconcile(search())
    assert said(result) == ("False", "PodsRefused", f"the Job of the workers is refused: {error}")
    assert len(api.asked) == 10


def test_a_job_that_kueue_has_put_in_a_queue_gets_its_full_size() -> None:
    spec = {"parallelism": 4, "budget": {"maxTrials": 6}}
    trials = cached(first_round(**spec))

    def asked(*jobs: WorkerJob) -> list[Any]:
        api = RecordingApi()
        reconciler(FakeCache(trials, jobs), api).reconcile(search(**spec))
        return [each for each in api.asked if "/jobs" in each[1]]

    ((_, _, first),) = asked()
    (resized,) = asked(make_job(name=first, parallelism=1))
    assert resized[2][-1] == {"op": "replace", "path": "/spec/parallelism", "value": 2}
    # Pods of a queue have no readiness probe, so theirs is another Job.
    removed, made = asked(make_job(name=first, queue="default"))
    assert (removed[0], made[0]) == ("delete", "create")
    assert made[2] != first
    (resized,) = asked(make_job(name=made[2], parallelism=1, queue="default"))
    assert resized[2][-1] == {"op": "replace", "path": "/spec/parallelism", "value": 4}


def test_a_job_in_a_queue_is_reported_before_it_has_workers() -> None:
    result = reconciler(FakeCache(held_jobs=[make_job(queue="team-a", is_suspended=True)])).reconcile(search())
    assert said(result)[1:] == ("Queued", "the Job test-workers-0 waits in the queue team-a")
    assert said(result, PROGRESSING)[:2] == ("False", "Queued")


# --- what this operator cannot make a search of ---


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"search": {"strategy": "Psychic"}}, "spec.search.strategy is 'Psychic'"),
        ({"search": {"surrogate": {"type": "Crystal"}}}, "spec.search.surrogate.type is 'Crystal'"),
        ({"space": {"operations": ["warp"]}}, "spec.space.operations is 'warp'"),
    ],
)
def test_a_name_that_the_operator_does_not_know_is_reported_and_nothing_is_made(spec: Json, field: str) -> None:
    api = RecordingApi()
    status, reason, message = said(reconciler(api=api).reconcile(search(**spec)))
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith(f"{field}, which is not installed here; it must be one of ")
    assert not api.asked


def test_a_trial_of_an_earlier_version_is_reported_and_nothing_is_made() -> None:
    api, old = RecordingApi(), CachedTrial("test-1-0123456789", UID, None, None, is_old=True)
    status, reason, message = said(reconciler(FakeCache([old]), api).reconcile(search()))
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith("the MetaTrial test-1-0123456789 was made by an earlier version of MetaSearch")
    assert not api.asked


# --- whose is what ------------------------------------------------------------------------------------------------


def test_a_trial_that_the_search_could_not_have_proposed_is_ignored_and_remarked_on() -> None:
    stranger = make_trial("test-1-0123456789")
    first, *rest = first_round()
    cache = FakeCache([claimed(first, make_pod()), *cached([*rest, stranger])], held_pods=[make_pod()])
    api = RecordingApi()
    result = reconciler(cache, api).reconcile(search())
    assert written(result)["trials"]["total"] == 10
    assert said(result) == (
        "True",
        "Searching",
        "worker pods run trials; "
        "the MetaTrial test-1-0123456789 does not belong to this search and is ignored; delete it",
    )


def test_what_an_earlier_search_of_the_name_has_left_does_not_count() -> None:
    cache = FakeCache(cached(first_round(), owner="an earlier one"), [make_job(owner="an earlier one")])
    api = RecordingApi()
    result = reconciler(cache, api).reconcile(search())
    assert written(result)["trials"]["total"] == 0
    assert [verb for verb, *_ in api.asked] == ["create"] * 11


def test_trials_that_no_search_owns_are_named_where_they_are_in_the_way() -> None:
    """As after `kubectl delete --cascade=orphan` of a search of this name."""
    left = [replace(each, owner=None) for each in cached(first_round())]
    result = reconciler(FakeCache(left)).reconcile(search())
    status, reason, message = said(result)
    assert (status, reason) == ("False", "OperatorError")
    assert message == (
        "the operator cannot make 10 trials, for MetaTrials of their names, "
        f"such as {min(each.name for each in left)}, "
        "are there that no search owns; delete them (kubectl delete metatrials -l metasearch.dev/search=test), or give "
        "this search another name"
    )
    # One that this search does not need is in nobody's way.
    other = [replace(each, owner=None) for each in cached([make_trial("test-1-0123456789")])]
    assert said(reconciler(FakeCache(other)).reconcile(search()))[1] == "WaitingForWorkers"


def test_a_job_of_its_workers_that_no_search_owns_is_deleted() -> None:
    api = RecordingApi()
    reconciler(FakeCache(held_jobs=[make_job(owner=None), make_job(name="data-for-test", owner=None)]), api).reconcile(
        search()
    )
    deleted = [path for verb, path, _ in api.asked if verb == "delete"]
    assert deleted == [f"{CREATE_JOB}/test-workers-0"]


def test_a_trial_that_was_released_before_does_not_stop_a_reconcile() -> None:
    """The cache is behind: it still shows a claim of a pod that is gone, of a trial that is deleted by now."""
    first, *rest = first_round()
    cache = FakeCache([claimed(first, make_pod("gone")), *cached(rest)])
    result = reconciler(cache).reconcile(search())
    assert said(result)[1] == "WaitingForWorkers"


# --- the end ------------------------------------------------------------------------------------------------------


def ended() -> Json:
    """Return the status of a search that succeeded."""
    return written(reconciler(FakeCache(cached(succeeded()))).reconcile(search(**ONE_ROUND)))


def test_a_search_that_has_ended_stays_so_without_its_trials() -> None:
    status = ended()
    api = RecordingApi()
    result = reconciler(FakeCache(held_jobs=[make_job()]), api, STARTED + 999).reconcile(search(status, **ONE_ROUND))
    assert (written(result), result.is_urgent, result.events) == (status, False, ())
    assert [verb for verb, *_ in api.asked] == ["delete"]


def test_one_that_had_ended_before_the_operator_began_has_its_metrics_all_the_same() -> None:
    status, cache = ended(), FakeCache(cached(succeeded()))
    now = reconciler(cache, now=STARTED + 999)
    assert now.reconcile(search(status, **ONE_ROUND)).samples is None  # they are known
    (found,) = [
        each
        for each in replace(now, is_shown=lambda _: False).reconcile(search(status, **ONE_ROUND)).samples or ()
        if each.metric is of_search.COMPLETED
    ]
    assert found.value == STARTED
    # Without its trials they would say that nothing was tried.
    lost = replace(reconciler(now=STARTED + 999), is_shown=lambda _: False)
    assert lost.reconcile(search(status, **ONE_ROUND)).samples is None


def test_a_search_that_has_ended_goes_on_under_a_budget_with_room() -> None:
    first, *rest = first_round(**ONE_ROUND)
    diverged = TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="NaN")
    done = [completed(first, diverged), *(completed(trial, pretend_result(trial.spec)) for trial in rest)]
    cache = FakeCache(cached(done))
    before = reconciler(cache).reconcile(search(**ONE_ROUND, budget={"maxFailedTrials": 0}))
    assert said(before, FAILED)[0] == "True"
    assert said(before, EXHAUSTED)[:2] == ("True", "MaxFailedTrials")
    api = RecordingApi()
    more = search(written(before), generation=2, **ONE_ROUND, budget={"maxFailedTrials": 1})
    after = reconciler(cache, api, STARTED + 60).reconcile(more)
    assert said(after, FAILED)[0] == "False"
    assert [path for _, path, _ in api.asked] == [CREATE_TRIAL] * 4 + [CREATE_JOB]
    assert "completionTime" not in written(after)
    assert written(after)["suspendedTime"] == "60s"  # the time between does not count


def test_a_search_that_has_ended_uses_more_trials_and_its_earlier_end_stays_on_record() -> None:
    random = {"search": {"strategy": "Random"}}
    few, many = ({**random, "budget": {"maxTrials": most}} for most in (4, 6))
    cache = FakeCache(cached(succeeded(**few)))
    before = reconciler(cache).reconcile(search(**few))
    assert [(each["trials"], each["phase"]) for each in written(before)["ends"]] == [(4, "Succeeded")]
    api = RecordingApi()
    after = reconciler(cache, api, STARTED + 60).reconcile(search(written(before), generation=2, **many))
    assert [path for _, path, _ in api.asked] == [CREATE_TRIAL] * 2 + [CREATE_JOB]
    assert said(after, SUCCEEDED)[0] == "False"
    assert written(after)["ends"] == written(before)["ends"]
    assert written(after)["delivered"] == written(before)["delivered"]
    more = FakeCache(cached(succeeded(cache.held_trials, **many)))
    ended = reconciler(more, now=STARTED + 90).reconcile(search(written(after), generation=2, **many))
    assert [(each["trials"], each["wallTime"]) for each in written(ended)["ends"]] == [(4, "0s"), (6, "30s")]
    assert said(ended, SUCCEEDED)[0] == "True"


def test_a_change_of_something_else_leaves_a_search_that_has_ended_as_it_is() -> None:
    """Its trials may be deleted by now, and its weights are where they were put."""
    status = ended()
    api = RecordingApi()
    changed = search(status, generation=2, **ONE_ROUND, parallelism=7, storage={"claim": "elsewhere"})
    result = reconciler(FakeCache(), api, STARTED + 999).reconcile(changed)
    assert not api.asked
    assert not result.events
    assert {each["observedGeneration"] for each in written(result)["conditions"]} == {2}
    for each in (status, after := written(result)):
        each.pop("observedGeneration")
        for condition in each["conditions"]:
            condition.pop("observedGeneration")
    assert after == status


def test_a_larger_budget_under_which_nothing_more_is_tried_is_noted_with_the_end() -> None:
    status = ended()
    cache = FakeCache(cached(succeeded(**ONE_ROUND)))
    larger = {**ONE_ROUND, "budget": {"maxTrials": 500}}
    api = RecordingApi()
    result = reconciler(cache, api, STARTED + 60).reconcile(search(status, generation=2, **larger))
    assert not api.asked
    assert said(result, SUCCEEDED)[0] == "True"
    after = written(result)
    assert after["completionTime"] == status["completionTime"]
    (before,), (now,) = status["ends"], after["ends"]
    assert now == {**before, "specHash": now["specHash"]}
    assert now["specHash"] != before["specHash"]


def test_trouble_of_the_operators_does_not_touch_a_search_that_has_ended() -> None:
    status = ended()
    result = reconciler().report_problem(search(status, **ONE_ROUND), PROBLEM)
    assert (written(result), result.is_urgent, result.events) == (status, False, ())


def test_trouble_with_a_new_spec_does_not_pass_for_its_end() -> None:
    failed = reconciler().report_problem(search(ended(), generation=2, **ONE_ROUND), PROBLEM)
    assert said(failed)[:2] == ("False", "OperatorError")
    cache = FakeCache(cached(succeeded()))
    again = reconciler(cache).reconcile(search(written(failed), generation=2, **ONE_ROUND))
    assert said(again)[:2] == ("True", "Succeeded")
    assert {each["observedGeneration"] for each in written(again)["conditions"]} == {2}


# --- writing ------------------------------------------------------------------------------------------------------


def test_a_status_is_written_over_the_version_that_it_was_made_from() -> None:
    api = RecordingApi()
    assert write_status(api, search(), SearchStatus(round=1))  # type: ignore[arg-type]
    assert api.asked == [
        (
            "patch",
            "/apis/metasearch.dev/v1alpha1/namespaces/team-a/metasearches/test/status",
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": "5"},
                {"op": "add", "path": "/status", "value": status_json(SearchStatus(round=1))},
            ],
        )
    ]


def test_a_search_that_has_changed_is_not_written_to() -> None:
    assert not write_status(RecordingApi(errors={"patch": Conflict("changed")}), search(), SearchStatus())  # type: ignore[arg-type]


def test_a_search_that_is_gone_is_left_alone() -> None:
    with pytest.raises(SearchGone):
        write_status(RecordingApi(errors={"patch": NotFound("gone")}), search(), SearchStatus())  # type: ignore[arg-type]


def test_only_figures_are_no_news() -> None:
    cache = FakeCache(cached(first_round()), held_pods=[make_pod()])
    first = written(reconciler(cache).reconcile(search()))
    later = reconciler(replace(cache), now=STARTED + 60)
    second = later.reconcile(search(first))
    assert not second.is_urgent
    assert written(second)["spent"]["wallTime"] == "60s"
    assert not second.events
