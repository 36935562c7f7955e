"""Cases for the alerts about searches."""

from __future__ import annotations

from alert_cases.form import (
    NAME,
    RUNNING,
    SCRAPED_OPERATOR,
    SEARCH,
    Case,
    Firing,
    labelled,
    of_search,
    phase,
    ready,
    requests,
    search_labels,
    silent_when_over,
    steady,
    step,
)

# --- conditions ---


def invalid(reason: str) -> Case:
    return Case(
        "MetaSearchSearchInvalid",
        reason,
        {**RUNNING, **ready("False", reason)},
        Firing(
            60,
            search_labels("warning", reason=reason),
            f"The search {NAME} cannot run as it is",
            f"The search {NAME} does not run: {reason}. The message of the condition Ready names the field or the "
            "file, and what would be right. Only the person whose search it is can mend that.",
        ),
    )


INVALID = (
    Case(
        "MetaSearchSearchInvalid",
        "it could never be read, so that it has no phase",
        ready("False", "InvalidSpec"),
        invalid("InvalidSpec").firing,
    ),
    invalid("InvalidSpec"),
    invalid("InvalidData"),
    *silent_when_over(invalid("InvalidSpec")),
    Case("MetaSearchSearchInvalid", "all is well", {**RUNNING, **ready("True", "Searching")}),
)

OPERATOR_ERROR = Case(
    "MetaSearchSearchOperatorError",
    "an error",
    {**RUNNING, **ready("False", "OperatorError")},
    Firing(
        300,
        search_labels("warning"),
        f"The operator cannot go on with the search {NAME}",
        f"An unexpected error keeps the operator from going on with the search {NAME}. What is recorded stays. The "
        "message of the condition Ready has the error, the operator's log its place.",
    ),
)

OPERATOR_ERRORS = (
    OPERATOR_ERROR,
    *silent_when_over(OPERATOR_ERROR),
    Case(
        "MetaSearchSearchOperatorError",
        "it could never be evaluated, so that it has no phase",
        ready("False", "OperatorError"),
        OPERATOR_ERROR.firing,
    ),
    Case(
        "MetaSearchSearchOperatorError",
        "the operator lacks a right",
        {**OPERATOR_ERROR.series, **requests("200", 50), **requests("403", 1)},
        also=["MetaSearchRightsMissing"],
    ),
)

QUEUED = Case(
    "MetaSearchSearchQueued",
    "for an hour",
    {**RUNNING, **ready("False", "Queued")},
    Firing(
        3600,
        search_labels("info"),
        f"The search {NAME} waits in a queue",
        f"Kueue has not let the workers of the search {NAME} start, or has taken them back. The message of the "
        "condition Ready has Kueue's reason. Wait for the searches before it, raise the quota, or ask for less.",
    ),
)

# --- MetaSearchSearchStalled ---

ITERATIONS = of_search("search_meta_iterations")
HELD = of_search("trials", stage="Search", round="3", state="Running")
PODS = of_search("workers", phase="Running")
BUSY, IDLE = (of_search("slots", state=state) for state in ("busy", "idle"))

STANDING = {
    **RUNNING,
    **ready("True", "Searching"),
    ITERATIONS: steady(1_000),
    HELD: steady(2),
    PODS: steady(2),
    BUSY: steady(2),
    IDLE: steady(0),
}

EVERY_TEN_MINUTES = " ".join(f"{number}x19" for number in range(1, 16))


def stalled(name: str) -> str:
    return (
        f"The search {name} has workers, but no trial has made progress, begun or ended. Its trials hang, or no worker "
        "claims one. Look at a worker's log, and delete the pod that hangs: its trial is tried again."
    )


TRIALS_HANG = Case(
    "MetaSearchSearchStalled",
    "trials run and do not train",
    STANDING,
    Firing(1200, search_labels("warning"), f"The search {NAME} does not get on", stalled(NAME)),
)


def of_a_folder(series: str) -> str:
    return series.replace('namespace="team-a"', 'namespace=""')


STALLED = (
    TRIALS_HANG,
    Case(
        "MetaSearchSearchStalled",
        "no worker claims a trial",
        {**STANDING, HELD: steady(0), BUSY: steady(0), IDLE: steady(2)},
        TRIALS_HANG.firing,
    ),
    Case(
        "MetaSearchSearchStalled",
        "a run on one machine, which has neither pods nor conditions",
        {
            of_a_folder(name): samples
            for name, samples in STANDING.items()
            if name != PODS and "search_condition" not in name
        },
        Firing(
            1200,
            {"search": SEARCH, "severity": "warning"},
            f"The search {SEARCH} does not get on",
            stalled(SEARCH),
        ),
    ),
    *silent_when_over(TRIALS_HANG),
    Case("MetaSearchSearchStalled", "an iteration", {**STANDING, ITERATIONS: EVERY_TEN_MINUTES}),
    Case("MetaSearchSearchStalled", "a trial begins or ends", {**STANDING, HELD: EVERY_TEN_MINUTES}),
    Case("MetaSearchSearchStalled", "nobody works", {**STANDING, PODS: steady(0), BUSY: steady(0), HELD: steady(0)}),
    Case(
        "MetaSearchSearchStalled",
        "something that has a name is in the way",
        {**{k: v for k, v in STANDING.items() if 'condition="Ready"' not in k}, **ready("False", "OperatorError")},
        also=["MetaSearchSearchOperatorError"],
    ),
    Case(
        "MetaSearchSearchStalled",
        "the operator sees nothing, for the API server is away",
        {**STANDING, **requests("", 1)},
        also=["MetaSearchApiServerUnavailable"],
    ),
    Case(
        "MetaSearchSearchStalled",
        "the operator sees nothing, for its copies are old",
        {**STANDING, labelled("metasearch_cache_age_seconds", **SCRAPED_OPERATOR, resource="metatrials"): steady(900)},
        also=["MetaSearchOperatorCacheStale"],
    ),
    Case(
        "MetaSearchSearchStalled",
        "results cannot be written",
        {**STANDING, of_search("worker_results_spooled", pod="worker-0"): steady(1)},
        also=["MetaSearchResultsSpooled"],
    ),
)

# --- MetaSearchTrialsFailing ---


def attempts(**counts: float) -> dict[str, str]:
    """Return a search whose attempts ended as they did at one moment."""
    return {
        **RUNNING,
        **{of_search("trial_attempts_total", outcome=outcome): step(0, n, 1830) for outcome, n in counts.items()},
    }


def failing(share: str) -> Firing:
    return Firing(
        2130,
        search_labels("warning"),
        f"Most trials of the search {NAME} fail",
        f"{share} of the latest attempts at trials of the search {NAME} failed (alerts above 50%). A few more and "
        "`budget.maxFailedTrials` ends it. The trials say why: if they all fail alike, that is the cause.",
    )


MOST_FAIL = Case("MetaSearchTrialsFailing", "11 of 21", attempts(Error=11, Succeeded=10), failing("52.38%"))

TRIALS_FAILING = (
    MOST_FAIL,
    Case(
        "MetaSearchTrialsFailing",
        "5 of 5, each for a reason",
        attempts(Error=1, Diverged=1, InvalidData=1, TimedOut=2),
        failing("100%"),
    ),
    *silent_when_over(MOST_FAIL),
    Case("MetaSearchTrialsFailing", "half of them", attempts(Error=5, Succeeded=5)),
    Case("MetaSearchTrialsFailing", "fewer than 5", attempts(Error=4.75)),
    Case(
        "MetaSearchTrialsFailing",
        "others have alerts of their own",
        attempts(OutOfMemory=8, Lost=8, EarlyStopped=8),
        also=["MetaSearchWorkersOutOfMemory", "MetaSearchWorkersLost"],
    ),
)

# --- MetaSearchSlotsIdle ---


def slots(idle: float, busy: float) -> dict[str, str]:
    return {**RUNNING, IDLE: steady(idle), BUSY: steady(busy)}


def proposed(trials: float) -> dict[str, str]:
    """Return how many of 100 trials a search has proposed."""
    spent, limit = (of_search(f"budget_{each}", unit="trials") for each in ("spent", "limit"))
    return {spent: steady(trials), limit: steady(100)}


MOST_IDLE = Case(
    "MetaSearchSlotsIdle",
    "more than half",
    slots(10.5, 9.5),
    Firing(
        1800,
        search_labels("info"),
        f"Most slots of the search {NAME} are idle",
        f"Over 30 minutes 52.5% of the slots of the search {NAME} had no trial (alerts above 50%). It has more workers "
        "than its rounds have trials. Lower its parallelism, or have it try more at once.",
    ),
)

SLOTS_IDLE = (
    MOST_IDLE,
    Case(
        "MetaSearchSlotsIdle",
        "none is busy in every tenth sample, between two rounds",
        {**slots(12, 0), BUSY: " ".join(["9.5x8 0"] * 36)},
        Firing(
            1800,
            search_labels("info"),
            f"Most slots of the search {NAME} are idle",
            f"Over 30 minutes 58.35% of the slots of the search {NAME} had no trial (alerts above 50%). It has more "
            "workers than its rounds have trials. Lower its parallelism, or have it try more at once.",
        ),
    ),
    *silent_when_over(MOST_IDLE),
    Case("MetaSearchSlotsIdle", "a tenth of the trials is to come", {**MOST_IDLE.series, **proposed(90)}),
    Case("MetaSearchSlotsIdle", "more are to come", {**MOST_IDLE.series, **proposed(89)}, MOST_IDLE.firing),
    Case("MetaSearchSlotsIdle", "half of them", slots(10, 10)),
    Case("MetaSearchSlotsIdle", "all, which is no matter of their number", slots(4, 0)),
    Case("MetaSearchSlotsIdle", "final trials are few", {**slots(10.5, 9.5), **phase("Final")}),
)

# --- MetaSearchStatusNearLimit ---


def status(size: int) -> dict[str, str]:
    return {**RUNNING, of_search("search_status_bytes"): steady(size)}


TOO_LARGE = Case(
    "MetaSearchStatusNearLimit",
    "a byte too many",
    status(131_073),
    Firing(
        300,
        search_labels("warning"),
        f"The status of the search {NAME} is larger than it should ever be",
        f"The status of the search {NAME} has 128kiB, more than its bounds allow (alerts above 128kiB). The API server "
        "refuses resources of about 1.5 MB, and then the search stands still. Please report it, with the status.",
    ),
)

STATUS = (
    TOO_LARGE,
    *silent_when_over(TOO_LARGE),
    Case("MetaSearchStatusNearLimit", "as large as can be", status(131_072)),
)

CASES = (
    *INVALID,
    *OPERATOR_ERRORS,
    QUEUED,
    *silent_when_over(QUEUED),
    *STALLED,
    *TRIALS_FAILING,
    *SLOTS_IDLE,
    *STATUS,
)
