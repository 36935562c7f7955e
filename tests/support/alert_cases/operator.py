"""Cases for the alerts about the operator."""

from __future__ import annotations

from alert_cases.form import Case, Firing, labelled, of_search, steady, step

OURS = {"job": "metasearch", "namespace": "ops"}
OTHER = {"job": "metasearch", "namespace": "other-ops"}
CRITICAL = {**OURS, "severity": "critical"}
WARNING = {**OURS, "severity": "warning"}

# --- MetaSearchOperatorDown ---

INFO = labelled("metasearch_build_info", **OURS, instance="10.0.0.1:8081", version="1")
OTHER_INFO = labelled("metasearch_build_info", **OTHER, instance="10.0.0.2:8081", version="1")
UP = labelled("up", **OURS, instance="10.0.0.1:8081")
OTHER_UP = labelled("up", **OTHER, instance="10.0.0.2:8081")

NONE_ANSWERS = (
    "Every operator of MetaSearch does not answer scrapes. Searches get no new trials and no status until it does; "
    "workers go on with the trials that there are. Look at the operator's pod and its log, then at Prometheus' targets."
)
ONE_DOES_NOT = (
    "The operator at 10.0.0.1:8081 does not answer scrapes. Searches get no new trials and no status until it does; "
    "workers go on with the trials that there are. Look at the operator's pod and its log, then at Prometheus' targets."
)
SUMMARY_DOWN = "An operator of MetaSearch does not answer"

DOWN = (
    Case(
        "MetaSearchOperatorDown",
        "there was never any",
        {},
        Firing(300, {"severity": "critical"}, SUMMARY_DOWN, NONE_ANSWERS),
        operator={},
    ),
    Case(
        "MetaSearchOperatorDown",
        "the only one ends, and its target stays",
        {INFO: "1x10 stale", UP: step(1, 0, 330)},
        Firing(630, {"severity": "critical"}, SUMMARY_DOWN, NONE_ANSWERS),
        operator={},
    ),
    Case(
        "MetaSearchOperatorDown",
        "one of two ends",
        {INFO: "1x10 stale", UP: step(1, 0, 330), OTHER_INFO: steady(1), OTHER_UP: steady(1)},
        Firing(630, {**CRITICAL, "instance": "10.0.0.1:8081"}, SUMMARY_DOWN, ONE_DOES_NOT),
        operator={},
    ),
    Case(
        "MetaSearchOperatorDown",
        "another program is down",
        {INFO: steady(1), UP: steady(1), labelled("up", job="web", instance="10.0.0.3:80"): steady(0)},
        operator={},
    ),
)

# --- MetaSearchApiServerUnavailable ---


def requests(code: str, samples: str, where: dict[str, str] = OURS) -> dict[str, str]:
    """Return the series of requests that were answered with a code."""
    name = labelled("metasearch_api_request_seconds_count", **where, verb="GET", resource="metatrials", code=code)
    return {name: samples}


def unavailable(share: str) -> str:
    return (
        f"The operator of MetaSearch in ops got no answer or an error of the API server to {share} of its requests "
        "(alerts above 10%). No search gets on, and workers keep results on their disks. Look at the API server, and "
        "at the network between the two."
    )


SUMMARY_API = "The API server does not answer the operator of MetaSearch"

# A rate is there from the second sample on, and then is as it stays.
API = (
    Case(
        "MetaSearchApiServerUnavailable",
        "30 of 290 requests get no answer",
        {
            **requests("200", "0+260x360"),
            **requests("", "0+30x360"),
            **requests("200", "0+100x360", OTHER),
        },
        Firing(330, CRITICAL, SUMMARY_API, unavailable("10.34%")),
    ),
    Case(
        "MetaSearchApiServerUnavailable",
        "every second request is answered with 503",
        {**requests("200", "0+16x360"), **requests("503", "0+16x360")},
        Firing(330, CRITICAL, SUMMARY_API, unavailable("50%")),
    ),
    Case(
        "MetaSearchApiServerUnavailable",
        "one of ten requests gets no answer",
        {**requests("200", "0+270x360"), **requests("", "0+30x360")},
    ),
    Case(
        "MetaSearchApiServerUnavailable",
        "a minute without answers, and then they come",
        {**requests("200", "0+30x360"), **requests("", "0+300x2 600x360")},
    ),
    Case(
        "MetaSearchApiServerUnavailable",
        "answers that say no are answers",
        {**requests("404", "0+50x360"), **requests("409", "0+50x360")},
    ),
)

# --- MetaSearchOperatorCacheStale ---


def age(seconds: float) -> dict[str, str]:
    name = labelled("metasearch_cache_age_seconds", **OURS, resource="metatrials")
    return {name: steady(seconds), name.replace("metatrials", "pods"): steady(20)}


CACHE = (
    Case(
        "MetaSearchOperatorCacheStale",
        "181 seconds",
        age(181),
        Firing(
            60,
            {**CRITICAL, "resource": "metatrials"},
            "The operator of MetaSearch acts on an old copy of metatrials",
            "The operator of MetaSearch in ops has not heard of its watch of metatrials for 3m 1s (alerts above 3m "
            "0s). Searches stand still, or follow what is no longer so. Read its log for the watch that fails, then "
            "restart its pod.",
        ),
    ),
    Case("MetaSearchOperatorCacheStale", "180 seconds", age(180)),
    Case(
        "MetaSearchOperatorCacheStale",
        "the API server explains it",
        {**age(2_000), **requests("", "0+5x360")},
        also=["MetaSearchApiServerUnavailable"],
    ),
)

# --- MetaSearchRightsMissing ---


def refused(code: str, count: float, resource: str = "jobs") -> dict[str, str]:
    name = labelled("metasearch_api_request_seconds_count", **OURS, verb="POST", resource=resource, code=code)
    # Far more that are answered, so that nothing else looks wrong.
    return {name: step(0, count, 630), **requests("200", "0+100x360")}


def may_not(count: str) -> Firing:
    return Firing(
        930,
        {**WARNING, "verb": "POST", "resource": "jobs"},
        "The operator of MetaSearch may not POST jobs",
        f"The operator of MetaSearch in ops was refused {count} requests (POST jobs) within 10 minutes. What needs "
        "them does not happen. Compare its roles with the chart's.",
    )


RIGHTS = (
    Case("MetaSearchRightsMissing", "2 are forbidden", refused("403", 2), may_not("2")),
    Case("MetaSearchRightsMissing", "7 come with a token that is not taken", refused("401", 7), may_not("7")),
    Case("MetaSearchRightsMissing", "fewer than 2", refused("403", 1.9)),
    Case("MetaSearchRightsMissing", "it may not read Workloads", refused("403", 9, "workloads")),
)

# --- MetaSearchReconcileErrors ---


def errors(reason: str, count: float) -> dict[str, str]:
    """Return a count that grows every 150 seconds, so that there are four times of it in 10 minutes."""
    samples = " ".join(f"{number * count}x4" for number in range(60))
    return {labelled("metasearch_reconcile_errors_total", **OURS, reason=reason): samples}


FAILS_EACH_TIME = {
    of_search("search_condition", job="metasearch", condition="Ready", status="False", reason="OperatorError"): steady(
        1
    )
}


RECONCILES = (
    Case(
        "MetaSearchReconcileErrors",
        "more than 3",
        errors("KeyError", 3.25 / 4),
        Firing(
            1200,
            {**WARNING, "reason": "KeyError"},
            "Reconciles of MetaSearch end with KeyError",
            "The operator of MetaSearch in ops met KeyError 3 times within 10 minutes (alerts above 3). The searches "
            "concerned do not get on. Find them by the condition Ready with the reason OperatorError, and the error in "
            "the operator's log.",
        ),
    ),
    Case("MetaSearchReconcileErrors", "3", errors("KeyError", 0.75)),
    Case("MetaSearchReconcileErrors", "the API server's are not its own", errors("StoreUnavailable", 50)),
    Case("MetaSearchReconcileErrors", "missing rights have an alert of their own", errors("Forbidden", 50)),
    Case(
        "MetaSearchReconcileErrors",
        "a search fails each time, and is told",
        {**errors("KeyError", 3), **FAILS_EACH_TIME},
        also=["MetaSearchSearchOperatorError"],
    ),
)

CASES = (*DOWN, *API, *CACHE, *RIGHTS, *RECONCILES)
