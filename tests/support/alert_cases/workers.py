"""Cases for the alerts about worker pods."""

from __future__ import annotations

from alert_cases.form import (
    NAME,
    RUNNING,
    Case,
    Firing,
    of_search,
    ready,
    requests,
    search_labels,
    silent_when_over,
    steady,
    step,
)

# --- MetaSearchWorkersPending ---


def pods(pending: float, running: float) -> dict[str, str]:
    counts = {"Pending": pending, "Running": running}
    return {**RUNNING, **{of_search("workers", phase=each): steady(count) for each, count in counts.items()}}


def waiting(share: str) -> Firing:
    return Firing(
        900,
        search_labels("warning"),
        f"Workers of the search {NAME} do not start",
        f"Of the worker pods of the search {NAME}, {share} wait to start (alerts above 50%). It gets on slowly or not "
        "at all. The condition Ready has the scheduler's reason: lower what a pod asks for, or add nodes.",
    )


MOST_WAIT = Case("MetaSearchWorkersPending", "more than half", pods(2.1, 1.9), waiting("52.5%"))

PENDING = (
    MOST_WAIT,
    *silent_when_over(MOST_WAIT),
    Case("MetaSearchWorkersPending", "half of them", pods(2, 2)),
    *(
        Case(
            "MetaSearchWorkersPending",
            f"no pod at all, {reason}",
            {**RUNNING, **ready("False", reason)},
            waiting("100%"),
        )
        for reason in ("WaitingForWorkers", "Unschedulable")
    ),
    *(
        Case(
            "MetaSearchWorkersPending",
            f"{reason} has an alert of its own",
            {**pods(2, 0), **ready("False", reason)},
            also=[other],
        )
        for reason, other in (
            ("ImageUnavailable", "MetaSearchWorkerImageUnavailable"),
            ("WorkersFailing", "MetaSearchWorkersFailing"),
            ("PodsRefused", "MetaSearchWorkersRefused"),
            ("Queued", "MetaSearchSearchQueued"),
            ("InvalidSpec", "MetaSearchSearchInvalid"),
            ("InvalidData", "MetaSearchSearchInvalid"),
            ("StoreUnavailable", "MetaSearchWorkersFailing"),
            ("OperatorError", "MetaSearchSearchOperatorError"),
        )
    ),
)

# --- conditions ---

IMAGE = Case(
    "MetaSearchWorkerImageUnavailable",
    "no image",
    {**RUNNING, **ready("False", "ImageUnavailable")},
    Firing(
        300,
        search_labels("warning"),
        f"The image of the workers of the search {NAME} cannot be pulled",
        f"Nodes cannot get the trainer's image for the search {NAME}, so that none of its workers runs. The message of "
        "the condition Ready is the kubelet's: mend the image's name, or the registry's credentials.",
    ),
)

REFUSED = Case(
    "MetaSearchWorkersRefused",
    "a quota",
    {**RUNNING, **ready("False", "PodsRefused")},
    Firing(
        300,
        search_labels("warning"),
        f"The cluster refuses the workers of the search {NAME}",
        f"The search {NAME} gets no worker pods: a quota, a policy, a webhook or a missing account refuses them. The "
        "message of the condition Ready says which; raise the quota, or ask for less.",
    ),
)


def failing(reason: str) -> Case:
    return Case(
        "MetaSearchWorkersFailing",
        reason,
        {**RUNNING, **ready("False", reason)},
        Firing(
            300,
            search_labels("warning", reason=reason),
            f"Workers of the search {NAME} end before they train",
            f"Worker pods of the search {NAME} end or do not start, and none has claimed a trial since ({reason}). The "
            "message of the condition Ready is the last line of their log; the log has the rest.",
        ),
    )


# --- attempts ---


def attempts(outcome: str, count: float) -> dict[str, str]:
    return {**RUNNING, of_search("trial_attempts_total", outcome=outcome): step(0, count, 3630)}


OUT_OF_MEMORY = Case(
    "MetaSearchWorkersOutOfMemory",
    "2 within an hour",
    attempts("OutOfMemory", 2),
    Firing(
        3690,
        search_labels("warning"),
        f"Trials of the search {NAME} run out of memory",
        f"Within an hour 2 more attempts of the search {NAME} ended for lack of memory. Large cells never get a score, "
        "and the search turns to small ones. Give workers more memory, or let fewer trials share it.",
    ),
)

ONE_WORKER = {
    of_search("workers", phase="Running"): steady(1),
    of_search("slots", state="busy"): steady(6),
    of_search("slots", state="idle"): steady(2),
}
"""A worker with eight slots."""


def lost(count: int) -> Firing:
    return Firing(
        3690,
        search_labels("warning"),
        f"The search {NAME} loses workers",
        f"Within an hour {count} more attempts of the search {NAME} ended because their worker died or fell silent. "
        "They are tried again from their last checkpoint. Look for nodes that go away, and for pods that are killed "
        "for lack of memory.",
    )


LOST = Case("MetaSearchWorkersLost", "5 within an hour", attempts("Lost", 5), lost(5))

# --- MetaSearchResultsSpooled ---


def spooled(*counts: float) -> dict[str, str]:
    """Return what each of some pods keeps; nothing is known from the operator."""
    name = of_search("worker_results_spooled", pod="worker-0")
    return {name.replace("worker-0", f"worker-{number}"): steady(count) for number, count in enumerate(counts)}


A_RESULT = Case(
    "MetaSearchResultsSpooled",
    "one in all",
    spooled(0.5, 0.5),
    Firing(
        300,
        search_labels("warning"),
        f"Results of the search {NAME} wait on workers' disks",
        f"1 results of the search {NAME} could not be written to the API server and wait on the disks of worker pods. "
        "They are lost with their pods: keep the pods, and mend what keeps workers from the API server.",
    ),
)

CASES = (
    *PENDING,
    IMAGE,
    *silent_when_over(IMAGE),
    REFUSED,
    *silent_when_over(REFUSED),
    failing("WorkersFailing"),
    failing("StoreUnavailable"),
    *silent_when_over(failing("WorkersFailing")),
    OUT_OF_MEMORY,
    *silent_when_over(OUT_OF_MEMORY),
    Case("MetaSearchWorkersOutOfMemory", "fewer than 2", attempts("OutOfMemory", 1.9)),
    LOST,
    *silent_when_over(LOST),
    Case("MetaSearchWorkersLost", "fewer than 5", attempts("Lost", 4.75)),
    Case("MetaSearchWorkersLost", "one and a half with 8 slots", {**attempts("Lost", 12), **ONE_WORKER}),
    Case("MetaSearchWorkersLost", "more than that", {**attempts("Lost", 12.1), **ONE_WORKER}, lost(12)),
    A_RESULT,
    *silent_when_over(A_RESULT),
    Case("MetaSearchResultsSpooled", "less than one", spooled(0.5, 0.45)),
    Case(
        "MetaSearchResultsSpooled",
        "the API server explains it",
        {**RUNNING, **ready("True", "Searching"), **spooled(3), **requests("", 1)},
        also=["MetaSearchApiServerUnavailable"],
    ),
)
