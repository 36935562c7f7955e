"""Situations of the operator, of its rights and of the API server."""

from __future__ import annotations

from watching.situation import (
    SERVED,
    Situation,
    api_fails,
    at_once,
    faults,
    is_refused,
    is_stale,
    kill_operator,
    restart_operator,
)

OPERATOR = (
    Situation(
        "operator killed, and back after 45 s",
        "its container ends and is started again",
        events=((40.25, kill_operator), (41, restart_operator)),
    ),
    Situation(
        "operator down",
        "its container ends, and is not started again",
        {"MetaSearchOperatorDown": at_once},
        ((40.25, kill_operator),),
    ),
    Situation(
        "operator's pod gone",
        "its Deployment is scaled to zero",
        {"MetaSearchOperatorDown": at_once},
        ((40.25, lambda cluster: cluster.replace_operator(is_there=False)),),
    ),
    Situation(
        "operator upgraded",
        "its pod is replaced by another one, which runs 90 s later",
        events=(
            (40.25, lambda cluster: cluster.replace_operator(is_there=False)),
            (41.75, lambda cluster: cluster.replace_operator(is_there=True)),
        ),
        hours=3,
    ),
    Situation(
        "scrapes of the operator fail for a minute",
        "Prometheus gets no answer to two scrapes",
        events=((40.25, faults(scrapes_fail=True)), (41.25, faults(scrapes_fail=False))),
    ),
    Situation(
        "API server away for 2 minutes",
        "no request of the operator or of a worker is answered",
        events=((40.25, faults(api_is_down=True)), (42.25, faults(api_is_down=False))),
    ),
    Situation(
        "API server away for an hour",
        "no request of the operator or of a worker is answered",
        {"MetaSearchApiServerUnavailable": api_fails},
        ((40.25, faults(api_is_down=True)), (100.25, faults(api_is_down=False))),
        hours=3,
    ),
    Situation(
        "API server overloaded",
        "it answers one request in three with 503",
        {"MetaSearchApiServerUnavailable": api_fails},
        ((40.25, faults(api_failing=1 / 3)),),
    ),
    Situation(
        "cache stale",
        "a load balancer keeps watches of trials open and lets nothing through",
        {"MetaSearchOperatorCacheStale": is_stale},
        ((40.25, faults(silent=frozenset({"metatrials"}))),),
    ),
    Situation(
        "all rights taken away",
        "the operator's role binding is deleted",
        {
            "MetaSearchRightsMissing": is_refused,
            "MetaSearchOperatorCacheStale": is_stale,
        },
        ((40.25, faults(forbidden=SERVED)),),
        remark="two alerts: one says why, the other that nothing gets on",
    ),
    Situation(
        "one right taken away",
        "the operator may not write the status of searches",
        {"MetaSearchRightsMissing": is_refused},
        ((40.25, faults(forbidden=frozenset({"metasearches"}))),),
    ),
    Situation(
        "operator fails at a search",
        "each reconcile of it ends in an error",
        {"MetaSearchSearchOperatorError": at_once},
        ((40.25, faults(operator_fails=1.0)),),
    ),
    Situation(
        "one reconcile fails",
        "the next one does what it left undone",
        events=((40.25, faults(operator_fails=1.0)), (40.5, faults(operator_fails=0.0))),
    ),
    Situation(
        "ranking takes 20 minutes",
        "a round's candidates are ranked, and no metric of the search changes",
        events=((40.25, faults(ranks=True)), (60.25, faults(ranks=False))),
    ),
    Situation(
        "status near its limit",
        "it has 140,000 bytes more than it should",
        {"MetaSearchStatusNearLimit": at_once},
        ((40.25, faults(status_bytes=140_000)),),
    ),
)
