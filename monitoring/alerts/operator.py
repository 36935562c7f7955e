"""Alerts about the operator: whether it runs, sees the cluster, and gets through."""

from __future__ import annotations

from metasearch.metrics import of_operator, of_search
from monitoring.alerts import names
from monitoring.alerts.external import ALERTS, UP
from monitoring.alerts.model import Alert, Comparison, Group, Runbook, Severity, Threshold
from monitoring.alerts.promql import (
    BY_OPERATOR,
    COUNT,
    FIRING,
    ON_OPERATOR,
    ON_SEARCH,
    OPERATOR_LABELS,
    SECONDS_THRESHOLD,
    SHARE,
    SHARE_THRESHOLD,
    none_of,
    one_of,
    select,
)
from monitoring.limits import CACHE_STALE_SECONDS

LOG = """\
    kubectl --namespace OPERATOR-NAMESPACE get pods --selector app.kubernetes.io/component=operator
    kubectl --namespace OPERATOR-NAMESPACE logs --selector app.kubernetes.io/component=operator --tail 100
"""

WHERE = "The operator of MetaSearch in {{ $labels.namespace }}"

DOWN = Alert(
    name="MetaSearchOperatorDown",
    severity=Severity.CRITICAL,
    for_seconds=300,
    labels=("job", "namespace", "instance"),
    when="no operator answers scrapes, or one that did within a day does not",
    # Where none answers at all there is one alert, whatever Prometheus still tries to scrape.
    measure=f"""\
absent({select(of_operator.BUILD_INFO)})
or on ()
({select(UP)} == 0 and on (job, instance) present_over_time({select(of_operator.BUILD_INFO)}[1d]))""",
    summary="An operator of MetaSearch does not answer",
    description=(
        "{{ with $labels.instance }}The operator at {{ . }}{{ else }}Every operator of MetaSearch{{ end }} does not "
        "answer scrapes. Searches get no new trials and no status until it does; workers go on with the trials that "
        "there are. Look at the operator's pod and its log, then at Prometheus' targets."
    ),
    runbook=Runbook(
        meaning="""\
Prometheus gets no metrics from the operator: it does not run, does not answer, or is not scraped. With an `instance`
in the alert, that one does not answer; without, none does, and the alerts about searches are blind.""",
        impact="""\
Searches get no new trials, and their status stands still. Workers go on with the trials that there are and record the
results, so nothing that was found is lost. No other alert about a search can fire meanwhile.""",
        diagnosis=f"""\
Does it run, and what does it say?

{LOG}    kubectl --namespace OPERATOR-NAMESPACE describe pods --selector app.kubernetes.io/component=operator

- *No pod*: `kubectl --namespace OPERATOR-NAMESPACE describe deployment,replicaset` says who refuses it.
- *CrashLoopBackOff*: the last line of the log says why; add `--previous` to the command above.
- *OOMKilled*: ranking the candidates of a large round needs more than `operator.resources.limits.memory`.
- *Running and ready*: it is the scrape that fails. Ask the pod itself:

      kubectl --namespace OPERATOR-NAMESPACE port-forward deployment/metasearch 8081
      curl --silent http://127.0.0.1:8081/metrics | grep metasearch_build_info

  Where that answers, look at Prometheus' page of targets, and at `networkPolicy.metricsIngress`.""",
        mitigation="""\
- A definition that is missing or too old: `kubectl apply --server-side --filename crds/`.
- Out of memory: raise `operator.resources.limits.memory` with `helm upgrade`.
- A node that is gone: the Deployment makes another pod once the old one is known to be lost.
- An upgrade that went wrong: `helm rollback`. Nothing is kept in the operator, so a restart is always safe.
- An operator that was taken away on purpose: silence the alert; a single `instance` is forgotten after a day.""",
    ),
)

API_FAILURES = select(of_operator.API_REQUEST_SECONDS, code=one_of("", "5.."))


def _failing(window: str) -> str:
    """Return the share of the operator's requests that got no answer, or an error 5xx, over a time."""
    every = select(of_operator.API_REQUEST_SECONDS)
    return f"sum {BY_OPERATOR} (rate({API_FAILURES}[{window}])) / sum {BY_OPERATOR} (rate({every}[{window}]))"


API_UNAVAILABLE = Alert(
    name=names.API_UNAVAILABLE,
    severity=Severity.CRITICAL,
    for_seconds=300,
    labels=OPERATOR_LABELS,
    when="more than $threshold (as a share) of the operator's requests in 2 or 5 minutes have no answer, or a code 5xx",
    # The larger of the two shares: an operator that asks little has asked something within 5 minutes, and requests from
    # before an outage do not hide it for 2.
    measure=f"""\
(
  {_failing("2m")}
  > {_failing("5m")}
  or {_failing("5m")}
)""",
    threshold=Threshold(Comparison.ABOVE, 0.1, is_share=True),
    # The share of a short outage stays high for minutes, in which nothing is wrong any more.
    guards=(f"and {ON_OPERATOR} (sum {BY_OPERATOR} (rate({API_FAILURES}[3m])) > 0)",),
    summary="The API server does not answer the operator of MetaSearch",
    description=(
        f"{WHERE} got no answer or an error of the API server to {SHARE} of its requests (alerts above "
        f"{SHARE_THRESHOLD}). No search gets on, and workers keep results on their disks. Look at the API server, "
        "and at the network between the two."
    ),
    runbook=Runbook(
        meaning="""\
Of the operator's requests to the Kubernetes API, too many got no answer in time, or one with a code from 500 on.""",
        impact="""\
No search is planned and no status written. Workers train on, and keep results on their own disks until they can write
them; a pod that ends in the meantime takes its own with it. Other programs in the cluster suffer, too.""",
        diagnosis=f"""\
Does the API server answer you, and is it ready?

    kubectl get --raw '/readyz?verbose'

What does the operator say? Requests that get no answer are named with the reason:

{LOG}
Which requests fail? In Prometheus:

    sum by (verb, resource, code) (rate({API_FAILURES}[10m]))

- *One resource alone, with 500*: its conversion or admission webhook; `kubectl get
  validatingwebhookconfigurations,mutatingwebhookconfigurations`.
- *No code, and the API server is well*: the network, or a NetworkPolicy (`networkPolicy.apiServer`).""",
        mitigation="""\
Mend the API server; the operator needs no restart and goes on by itself, and workers write what they kept. Leave
worker pods alone until then. Where the network policy is too narrow, correct `networkPolicy.apiServer.cidrs` and
`ports`.""",
    ),
)

CACHE_STALE = Alert(
    name=names.CACHE_STALE,
    severity=Severity.CRITICAL,
    for_seconds=60,
    labels=(*OPERATOR_LABELS, "resource"),
    when="the operator has not heard of a watch for more than $threshold seconds, though the API server answers",
    measure=f"max by ({', '.join(OPERATOR_LABELS)}, resource) ({select(of_operator.CACHE_AGE_SECONDS)})",
    threshold=Threshold(Comparison.ABOVE, CACHE_STALE_SECONDS),
    # Away, the API server explains it, and has an alert of its own.
    guards=(f"unless {ON_OPERATOR} {select(ALERTS, alertname=names.API_UNAVAILABLE)}",),
    summary="The operator of MetaSearch acts on an old copy of {{ $labels.resource }}",
    description=(
        f"{WHERE} has not heard of its watch of {{{{ $labels.resource }}}} for {{{{ $value | humanizeDuration }}}} "
        f"(alerts above {SECONDS_THRESHOLD}). Searches stand still, or follow what is no longer so. "
        "Read its log for the watch that fails, then restart its pod."
    ),
    runbook=Runbook(
        meaning="""\
The operator keeps copies of trials, Jobs, pods and leases, and watches the API server for changes. While all is well
it hears something about each kind at least once a minute. It has not, though other requests are answered.""",
        impact="""\
The operator does not see results, lost workers or pods, so that searches stand still. It cannot do harm with an old
copy: each write is tested by the API server.""",
        diagnosis=f"""\
Which watch fails, and why? The log names it:

{LOG}
May the operator watch that kind? For trials, in each namespace with searches:

    kubectl auth can-i watch metatrials.metasearch.dev --namespace NAMESPACE \\
      --as system:serviceaccount:OPERATOR-NAMESPACE:metasearch

Does a watch work at all from where you are?

    kubectl --namespace NAMESPACE get metatrials --watch""",
        mitigation="""\
- A right that is missing: `helm upgrade` with the chart's roles (`rbac.create`), or bind them yourself.
- A proxy or load balancer that swallows long requests: have it let watches of four minutes pass.
- Otherwise restart it, which is cheap and loses nothing:

      kubectl --namespace OPERATOR-NAMESPACE rollout restart deployment/metasearch

  and report the log.""",
    ),
)

RIGHTS_MISSING = Alert(
    name=names.RIGHTS_MISSING,
    severity=Severity.WARNING,
    for_seconds=300,
    labels=(*OPERATOR_LABELS, "verb", "resource"),
    when="the API server has refused $threshold requests of the operator or more, of one kind, within 10 minutes",
    measure=f"""\
sum by ({", ".join(OPERATOR_LABELS)}, verb, resource) (
  increase({select(of_operator.API_REQUEST_SECONDS, code=one_of("401", "403"), resource=none_of("workloads"))}[10m])
)""",
    threshold=Threshold(Comparison.AT_LEAST, 2),
    summary="The operator of MetaSearch may not {{ $labels.verb }} {{ $labels.resource }}",
    description=(
        f"{WHERE} was refused {COUNT} requests ({{{{ $labels.verb }}}} {{{{ $labels.resource }}}}) within 10 minutes. "
        "What needs them does not happen. Compare its roles with the chart's."
    ),
    runbook=Runbook(
        meaning="""\
The API server answers requests of the operator with 401 or 403: its token is not taken, or its role lacks a right.
That it may not read Kueue's Workloads is no reason for this alert; then only the reason of a queue is missing.""",
        impact="""\
Whatever needs the right does not happen. Without `list` or `watch` the operator is not ready; without `create` of
Jobs there are no workers; without `patch` of a status nobody sees how far searches are.""",
        diagnosis=f"""\
What is refused, and where?

{LOG}
What may it do there?

    kubectl auth can-i --list --namespace NAMESPACE --as system:serviceaccount:OPERATOR-NAMESPACE:metasearch

The chart's own list of rights is in [installing](../install.md).""",
        mitigation="""\
- `helm upgrade` with `rbac.create: true` brings the roles back; with `rbac.create: false`, bind the rights that are
  missing.
- A namespace that was added to the operator's and not to `watch.namespaces` has no role yet: set it there.
- 401 alone: the token or the clock of the node; restart the pod for a new token.""",
    ),
)

RECONCILE_ERRORS = Alert(
    name="MetaSearchReconcileErrors",
    severity=Severity.WARNING,
    for_seconds=600,
    labels=(*OPERATOR_LABELS, "reason"),
    when=(
        "reconciles have ended in an unexpected error of one kind more than $threshold times within 10 minutes, though "
        "not each time"
    ),
    measure=f"""\
sum by ({", ".join(OPERATOR_LABELS)}, reason) (
  increase({select(of_operator.RECONCILE_ERRORS, reason=none_of("StoreUnavailable", "Forbidden"))}[10m])
)""",
    threshold=Threshold(Comparison.ABOVE, 3),
    # Errors that come and go are told here; a search that fails each time has an alert which says which it is.
    guards=(
        f"unless on (job) ({select(of_search.CONDITION, condition='Ready')} and {ON_SEARCH} "
        f"{select(ALERTS, alertname=names.OPERATOR_ERROR, alertstate=FIRING)})",
    ),
    summary="Reconciles of MetaSearch end with {{ $labels.reason }}",
    description=(
        f"{WHERE} met {{{{ $labels.reason }}}} {COUNT} times within 10 minutes (alerts above $threshold). The searches "
        "concerned do not get on. Find them by the condition Ready with the reason OperatorError, and the error in "
        "the operator's log."
    ),
    runbook=Runbook(
        meaning="""\
The operator met an error that it did not expect, again and again, and not each time: it tries each search anew within
a minute. A search that fails [each time](MetaSearchSearchOperatorError.md), [a missing
right](MetaSearchRightsMissing.md) and an [API server that does not answer](MetaSearchApiServerUnavailable.md) have
alerts of their own.""",
        impact="""\
The searches concerned are planned late; their workers finish the trials that there are meanwhile.""",
        diagnosis=f"""\
Which searches, and what does the error say?

    kubectl get metasearches --all-namespaces | grep OperatorError
    kubectl --namespace NAMESPACE describe metasearch SEARCH

The log has the place in the code:

{LOG}""",
        mitigation="""\
- *the process that ranks candidates was killed*: raise `operator.resources.limits.memory`.
- Since an upgrade: `helm rollback`; definitions may stay, they are compatible with the operator before.
- One search alone: set its `spec.suspend` to true, so that it takes no workers, and report the log.""",
    ),
)

GROUP = Group("metasearch.operator", (DOWN, API_UNAVAILABLE, CACHE_STALE, RIGHTS_MISSING, RECONCILE_ERRORS))
