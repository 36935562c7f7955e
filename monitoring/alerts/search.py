"""Alerts about searches: whether they can be planned, get on, and use what they have."""

from __future__ import annotations

from metasearch.metrics import of_search
from metasearch.metrics.of_search import SEARCH_LABELS
from monitoring.alerts import names
from monitoring.alerts.external import ALERTS
from monitoring.alerts.model import Alert, Comparison, Group, Runbook, Severity, Threshold
from monitoring.alerts.promql import (
    ACTIVE,
    BY_SEARCH,
    BY_SEARCH_AND_REASON,
    FIRING,
    NOT_OVER,
    ON_SEARCH,
    SEARCH_NAME,
    SHARE,
    SHARE_THRESHOLD,
    condition,
    of_operators_with,
    one_of,
    select,
)
from monitoring.limits import STATUS_NEAR_LIMIT_BYTES

DESCRIBE = """\
    kubectl --namespace NAMESPACE describe metasearch SEARCH
"""

INVALID = Alert(
    name="MetaSearchSearchInvalid",
    severity=Severity.WARNING,
    for_seconds=60,
    labels=(*SEARCH_LABELS, "reason"),
    when="a search cannot run as it is, or use its data (Ready has the reason InvalidSpec or InvalidData)",
    measure=f"sum {BY_SEARCH_AND_REASON} ({condition('Ready', 'False', 'InvalidSpec', 'InvalidData')})",
    guards=NOT_OVER,
    summary=f"The search {SEARCH_NAME} cannot run as it is",
    description=(
        f"The search {SEARCH_NAME} does not run: {{{{ $labels.reason }}}}. The message of the condition Ready names "
        "the field or the file, and what would be right. Only the person whose search it is can mend that."
    ),
    runbook=Runbook(
        meaning="""\
`InvalidSpec`: the operator or a worker cannot read the spec. `InvalidData`: a worker cannot use the dataset.""",
        impact="""\
This search does not run. With `InvalidData` its workers try again and again, and hold what they have asked for.""",
        diagnosis=f"""\
The message of Ready says what is wrong:

{DESCRIBE}
Of the data, beforehand and on your own machine, where you have them:

    metasearch inspect FILE""",
        mitigation="""\
- Tell the person whose search it is; the message is written for them.
- `InvalidSpec`: `kubectl edit metasearch SEARCH`; of a search that was begun only some fields may be changed.
- `InvalidData`: mend the folder or the claim; workers try again by themselves, see [the
  data](../troubleshooting.md#the-data).
- Until then, set `spec.suspend` to true, so that its workers hold no resources.""",
    ),
)

OPERATOR_ERROR = Alert(
    name=names.OPERATOR_ERROR,
    severity=Severity.WARNING,
    for_seconds=300,
    labels=SEARCH_LABELS,
    when="the operator cannot go on with a search because of an error (Ready has the reason OperatorError)",
    measure=f"sum {BY_SEARCH} ({condition('Ready', 'False', 'OperatorError')})",
    guards=(of_operators_with(names.RIGHTS_MISSING), *NOT_OVER),
    summary=f"The operator cannot go on with the search {SEARCH_NAME}",
    description=(
        f"An unexpected error keeps the operator from going on with the search {SEARCH_NAME}. What is recorded stays. "
        "The message of the condition Ready has the error, the operator's log its place."
    ),
    runbook=Runbook(
        meaning="The operator met an error with this search that it did not expect. It tries again within a minute.",
        impact="""\
No trials are proposed and no status is written for this search; its workers finish the trials that there are.""",
        diagnosis=f"""\
What is the error?

{DESCRIBE}    kubectl --namespace OPERATOR-NAMESPACE logs --selector app.kubernetes.io/component=operator --tail 200 \\
      | grep SEARCH

Are there more of them?

    kubectl get metasearches --all-namespaces | grep OperatorError""",
        mitigation="""\
- *forbidden*: see [missing rights](MetaSearchRightsMissing.md).
- *the process that ranks candidates was killed*: raise `operator.resources.limits.memory`.
- Otherwise please report the message and the log. The search can be suspended meanwhile; nothing is lost.""",
    ),
)

QUEUED = Alert(
    name="MetaSearchSearchQueued",
    severity=Severity.INFO,
    for_seconds=3600,
    labels=SEARCH_LABELS,
    when="a search waits in a queue of Kueue (Ready has the reason Queued)",
    measure=f"sum {BY_SEARCH} ({condition('Ready', 'False', 'Queued')})",
    guards=ACTIVE,
    summary=f"The search {SEARCH_NAME} waits in a queue",
    description=(
        f"Kueue has not let the workers of the search {SEARCH_NAME} start, or has taken them back. The message of the "
        "condition Ready has Kueue's reason. Wait for the searches before it, raise the quota, or ask for less."
    ),
    runbook=Runbook(
        meaning="The Job of a search waits for Kueue to admit it. That may be meant; it has lasted for an hour.",
        impact="The search does not begin or go on, and `budget.wallTime` goes on being spent.",
        diagnosis=f"""\
What does Kueue say, and who is before it?

{DESCRIBE}    kubectl --namespace NAMESPACE get workloads,localqueues
    kubectl describe clusterqueues

The sentences are explained under [a queue](../troubleshooting.md#a-queue).""",
        mitigation="""\
- *insufficient unused quota*: wait, or end what is not needed.
- *maximum capacity*: it asks for more than the queue ever has; lower `spec.parallelism` or
  `spec.worker.template.resources`.
- *doesn't exist*, *there is no Kueue*: mend `spec.worker.queueName`.
- To stop the clock of the budget while it waits, set `spec.suspend` to true.""",
    ),
)

STALLED = Alert(
    name="MetaSearchSearchStalled",
    severity=Severity.WARNING,
    for_seconds=1200,
    labels=SEARCH_LABELS,
    when="a search has workers, and for 10 minutes no trial has made progress, begun or ended",
    measure=f"max {BY_SEARCH} (changes({select(of_search.META_ITERATIONS)}[10m])) == 0",
    guards=(
        # On a cluster there are worker pods; a run on one machine tells only of trials that are held.
        f"and {ON_SEARCH} (sum {BY_SEARCH} ({select(of_search.WORKERS, phase='Running')}) > 0"
        f" or sum {BY_SEARCH} ({select(of_search.SLOTS, state='busy')}) > 0)",
        f"unless {ON_SEARCH} (sum {BY_SEARCH} (changes({select(of_search.TRIALS)}[10m])) > 0)",
        f"unless {ON_SEARCH} {condition('Ready', 'False')}",
        # An operator that sees nothing new tells nothing new, and results that cannot be written are not seen.
        of_operators_with(names.API_UNAVAILABLE, names.CACHE_STALE, alertstate=FIRING),
        f"unless {ON_SEARCH} {select(ALERTS, alertname=names.SPOOLED, alertstate=FIRING)}",
        *ACTIVE,
    ),
    summary=f"The search {SEARCH_NAME} does not get on",
    description=(
        f"The search {SEARCH_NAME} has workers, but no trial has made progress, begun or ended. Its trials hang, or no "
        "worker claims one. Look at a worker's log, and delete the pod that hangs: its trial is tried again."
    ),
    runbook=Runbook(
        meaning="""\
Nothing of a search changes, though it has workers and nothing that the operator could name is in its way: trials run
without training, or wait without being claimed. A long evaluation at the end of a final training looks the same; it
has half an hour before this alert fires.""",
        impact="Workers are paid for and do nothing; `budget.wallTime` goes on being spent.",
        diagnosis="""\
Which trials run, on which worker, and how far are they?

    kubectl metasearch trials SEARCH --namespace NAMESPACE
    kubectl --namespace NAMESPACE get metatrials --selector metasearch.dev/search=SEARCH --output wide

What do these workers do?

    kubectl --namespace NAMESPACE logs POD --container trainer --tail 50
    kubectl --namespace NAMESPACE top pods --selector metasearch.dev/search=SEARCH

- *No CPU is used*: a process hangs: a volume that does not answer, or a GPU in an error (`nvidia-smi` on the node).
- *CPU is used and a final trial is at its last iteration*: it evaluates; wait.
- *Trials are Pending and none is Running*: workers cannot claim; their log says why.""",
        mitigation="""\
- Delete the pod that hangs: `kubectl --namespace NAMESPACE delete pod POD`. Its trial goes on from its checkpoint
  elsewhere.
- Set `budget.trialTime`, so that a trial that hangs is ended by itself.
- Where evaluations are that long on purpose, raise `for` of this alert in the chart's values.""",
    ),
)

FAILED = one_of("Diverged", "Error", "InvalidData", "TimedOut")
"""Failures of trials that have no alert of their own."""

TRIALS_FAILING = Alert(
    name="MetaSearchTrialsFailing",
    severity=Severity.WARNING,
    for_seconds=300,
    labels=SEARCH_LABELS,
    when="more than $threshold (as a share) of a search's attempts within 30 minutes, of at least 5, failed",
    measure=f"""\
sum {BY_SEARCH} (increase({select(of_search.ATTEMPTS, outcome=FAILED)}[30m]))
/ sum {BY_SEARCH} (increase({select(of_search.ATTEMPTS)}[30m]))""",
    threshold=Threshold(Comparison.ABOVE, 0.5, is_share=True),
    guards=(
        f"and {ON_SEARCH} (sum {BY_SEARCH} (increase({select(of_search.ATTEMPTS)}[30m])) >= 5)",
        *ACTIVE,
    ),
    summary=f"Most trials of the search {SEARCH_NAME} fail",
    description=(
        f"{SHARE} of the latest attempts at trials of the search {SEARCH_NAME} failed (alerts above "
        f"{SHARE_THRESHOLD}). A few more and `budget.maxFailedTrials` ends it. The trials say why: if they all fail "
        "alike, that is the cause."
    ),
    runbook=Runbook(
        meaning="""\
Most attempts at trials end in a failure of their own: `Diverged`, `Error`, `InvalidData` or `TimedOut`. Those that
lost their worker or ran out of memory count in [other](MetaSearchWorkersLost.md)
[alerts](MetaSearchWorkersOutOfMemory.md).""",
        impact="""\
Time is spent on nothing, and when more than `budget.maxFailedTrials` trials have failed the search fails.""",
        diagnosis="""\
Do they fail alike? The reason is a column, the sentence is in the result:

    kubectl metasearch trials SEARCH --namespace NAMESPACE
    kubectl --namespace NAMESPACE get metatrials --selector metasearch.dev/search=SEARCH \\
      --output custom-columns='NAME:.metadata.name,REASON:.status.result.reason,MESSAGE:.status.result.message'

How many may still fail?

    kubectl --namespace NAMESPACE get metasearch SEARCH \\
      --output jsonpath='{.spec.budget}{"\\n"}{.status.trials}{"\\n"}'""",
        mitigation="""\
- `Diverged`: the learning rate is too high; it cannot be changed in this search, so suspend it and make another.
- `TimedOut`: raise `budget.trialTime`.
- `InvalidData`: mend the data, see [the data](../troubleshooting.md#the-data).
- `Error`: the message and the worker's log; please report what looks like a fault of ours.
- To gain time, raise `budget.maxFailedTrials`; that may be done also when the search has failed.""",
    ),
)

IDLE_SLOTS = f"sum {BY_SEARCH} (avg_over_time({select(of_search.SLOTS, state='idle')}[30m]))"
ALL_SLOTS = f"sum {BY_SEARCH} (avg_over_time({select(of_search.SLOTS)}[30m]))"

PROPOSED_SHARE = (
    f"max {BY_SEARCH} ({select(of_search.BUDGET_SPENT, unit='trials')})"
    f" / max {BY_SEARCH} ({select(of_search.BUDGET_LIMIT, unit='trials')})"
)

SLOTS_IDLE = Alert(
    name="MetaSearchSlotsIdle",
    severity=Severity.INFO,
    for_seconds=1800,
    labels=SEARCH_LABELS,
    when=(
        "more than $threshold (as a share) of a search's slots were idle over 30 minutes, while it trains some trials "
        "and more than a tenth of them is yet to be proposed"
    ),
    measure=f"{IDLE_SLOTS}\n/ {ALL_SLOTS}",
    threshold=Threshold(Comparison.ABOVE, 0.5, is_share=True),
    guards=(
        # Between two rounds there may be none for a moment.
        f"and {ON_SEARCH} (max_over_time({select(of_search.SLOTS, state='busy')}[30m]) > 0)",
        # Its last trials leave slots idle in every search.
        f"unless {ON_SEARCH} ({PROPOSED_SHARE} >= 0.9)",
        f"and {ON_SEARCH} ({select(of_search.PHASE, phase='Searching')} == 1)",
        ACTIVE[1],
    ),
    summary=f"Most slots of the search {SEARCH_NAME} are idle",
    description=(
        f"Over 30 minutes {SHARE} of the slots of the search {SEARCH_NAME} had no trial (alerts above "
        f"{SHARE_THRESHOLD}). It has more workers than its rounds have trials. Lower its parallelism, or have it try "
        "more at once."
    ),
    runbook=Runbook(
        meaning="""\
A search has more slots than trials to run. Strategies that work in rounds wait for the last trial of one; with few
trials in a round, or one that takes far longer than the others, most workers wait.""",
        impact="Nothing is wrong with the result; machines are paid for and not used.",
        diagnosis=f"""\
How many trials does a round have, and how many slots are there?

{DESCRIBE}    kubectl metasearch trials SEARCH --namespace NAMESPACE
    kubectl --namespace NAMESPACE get metasearch SEARCH \\
      --output jsonpath='{{.spec.parallelism}} {{.spec.worker.slots}} {{.spec.search}}{{"\\n"}}'

[Which strategy?](../strategies.md) says how busy each keeps its workers.""",
        mitigation="""\
- Lower `spec.parallelism`: it may be changed at any time, and idle workers end first.
- In the next search: larger rounds (`search.progressive.beamWidth`), `search.progressive.openRoundsEarly`, or a
  strategy without rounds.""",
    ),
)

STATUS_SIZE = Alert(
    name="MetaSearchStatusNearLimit",
    severity=Severity.WARNING,
    for_seconds=300,
    labels=SEARCH_LABELS,
    when="the status of a search has more than $threshold bytes",
    measure=f"max {BY_SEARCH} ({select(of_search.STATUS_BYTES)})",
    threshold=Threshold(Comparison.ABOVE, STATUS_NEAR_LIMIT_BYTES),
    guards=ACTIVE,
    summary=f"The status of the search {SEARCH_NAME} is larger than it should ever be",
    description=(
        f"The status of the search {SEARCH_NAME} has {{{{ $value | humanize1024 }}}}B, more than its bounds allow "
        '(alerts above {{ "$threshold" | humanize1024 }}B). The API server refuses resources of about 1.5 MB, and then '
        "the search stands still. Please report it, with the status."
    ),
    runbook=Runbook(
        meaning="""\
A status is a summary, bounded to 112 KiB whatever the search. This one is larger, which is a fault of the operator.""",
        impact="None yet. From about 1.5 MB the API server refuses to write it, and the search stands still.",
        diagnosis="""\
Which part is large?

    kubectl --namespace NAMESPACE get metasearch SEARCH --output json | jq '.status | map_values(tojson | length)'

Does it grow? In Prometheus:

    metasearch_search_status_bytes{namespace="NAMESPACE", search="SEARCH"}""",
        mitigation="""\
- Please report it with the status. Trials hold everything that matters, so nothing is lost.
- If it grows towards the limit, suspend the search (`spec.suspend: true`) until an operator without the fault is
  installed.""",
    ),
)

GROUP = Group("metasearch.search", (INVALID, OPERATOR_ERROR, QUEUED, STALLED, TRIALS_FAILING, SLOTS_IDLE, STATUS_SIZE))
