"""Situations of worker pods, and of specs and data that they cannot use."""

from __future__ import annotations

from metasearch.search.trials import LOST, Reason
from metasearch_operator.reasons import ReadyReason
from watching.search import fails
from watching.situation import NO_PODS, ORDINARY, PODS_WAIT, Situation, at_once, both, faults, lose, problem, search

WORKERS = (
    Situation(
        "invalid spec",
        "a search is made that nobody can read",
        {"MetaSearchSearchInvalid": at_once},
        begin=faults(spec_is_invalid=True),
        hours=1,
    ),
    Situation(
        "spec made invalid",
        "a search that runs is given a field that there is not",
        {"MetaSearchSearchInvalid": at_once},
        ((40.25, faults(spec_is_invalid=True)),),
    ),
    Situation(
        "dataset cannot be used",
        "workers end because a folder of the images is empty",
        {"MetaSearchSearchInvalid": at_once},
        begin=both(problem(ReadyReason.INVALID_DATA), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "quota refuses the pods",
        "the Job controller cannot make any",
        {"MetaSearchWorkersRefused": at_once},
        begin=both(problem(ReadyReason.PODS_REFUSED), NO_PODS),
        hours=1,
    ),
    Situation(
        "quota refuses one of two pods",
        "there is room for one",
        begin=search(most_pods=1),
        untold="the search goes on with one pod; the message of its condition Ready says how many it should have, "
        "and no metric does",
    ),
    Situation(
        "queued by Kueue for 2 hours",
        "the Job is not admitted",
        {"MetaSearchSearchQueued": at_once},
        begin=both(problem(ReadyReason.QUEUED), NO_PODS, search(is_queued=True)),
        remark="it is told after an hour: a queue is no fault",
    ),
    Situation(
        "queued by Kueue for 50 minutes",
        "the Job is admitted then",
        begin=both(problem(ReadyReason.QUEUED), NO_PODS, search(is_queued=True)),
        events=((50.25, both(faults(problem=None), search(pods_exist=True))),),
    ),
    Situation(
        "image missing",
        "no node can pull it",
        {"MetaSearchWorkerImageUnavailable": at_once},
        begin=both(problem(ReadyReason.IMAGE_UNAVAILABLE), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "image pulled for 12 minutes",
        "the first pod of a node waits for it",
        begin=PODS_WAIT,
        events=((12.25, search(may_start=True)),),
        hours=1,
    ),
    Situation(
        "nodes are full",
        "no node takes a pod",
        {"MetaSearchWorkersPending": at_once},
        begin=both(problem(ReadyReason.UNSCHEDULABLE), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "most nodes go away",
        "six of eight pods are gone, and no node takes their successors",
        {"MetaSearchWorkersPending": at_once, "MetaSearchWorkersLost": lambda view: view.count(LOST) >= 7},
        ((40.25, both(PODS_WAIT, problem(ReadyReason.UNSCHEDULABLE), lose(6))),),
        fields={"parallelism": 32},
        hours=1.5,
        remark="two alerts: what has been lost, and that nothing comes in its place",
    ),
    Situation(
        "one of eight pods waits for a node",
        "a node has gone, and the search goes on with seven",
        events=((40.25, both(PODS_WAIT, problem(ReadyReason.UNSCHEDULABLE), lose(1))),),
        fields={"parallelism": 32},
    ),
    Situation(
        "workers end before they train",
        "the container ends with an error each time",
        {"MetaSearchWorkersFailing": at_once},
        begin=both(problem(ReadyReason.WORKERS_FAILING), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "storage out of reach",
        "workers end because the bucket does not answer",
        {"MetaSearchWorkersFailing": at_once},
        begin=both(problem(ReadyReason.STORE_UNAVAILABLE), PODS_WAIT),
        hours=1,
    ),
    Situation(
        "worker out of memory",
        "one attempt in three is killed for lack of memory",
        {"MetaSearchWorkersOutOfMemory": lambda view: view.count(Reason.OUT_OF_MEMORY) >= 2},
        ((40.25, search(behaviour=fails(Reason.OUT_OF_MEMORY, 1 / 3, ORDINARY))),),
    ),
    Situation(
        "one worker lost",
        "a pod with eight slots is gone, once",
        events=((40.25, lose(1)),),
        fields={"worker": {"slots": 8}, "parallelism": 16},
    ),
    Situation(
        "workers lost again and again",
        "every 6 minutes a pod with four slots is gone",
        {"MetaSearchWorkersLost": lambda view: view.count(LOST) >= 7},
        tuple((40.25 + 6 * number, lose(1)) for number in range(8)),
    ),
    Situation(
        "results cannot be written",
        "a webhook refuses every write of a worker",
        {"MetaSearchResultsSpooled": lambda view: any(pod.spooled for pod in view.search.pods)},
        ((40.25, search(writes_results=False)),),
    ),
    Situation(
        "workers cut off from the API server",
        "a NetworkPolicy is in the way; the operator is not concerned",
        {
            "MetaSearchResultsSpooled": lambda view: any(pod.spooled for pod in view.search.pods),
            "MetaSearchWorkersLost": lambda view: view.count(LOST) >= 7,
        },
        ((40.25, search(reaches_api=False)),),
        remark="two alerts: what the workers see, and what the operator sees",
    ),
)
