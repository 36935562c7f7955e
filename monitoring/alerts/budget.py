"""Alerts about what a search has spent, and will."""

from __future__ import annotations

from metasearch.metrics import of_search
from metasearch.metrics.of_search import SEARCH_LABELS
from monitoring.alerts.model import Alert, Comparison, Group, Runbook, Severity, Threshold
from monitoring.alerts.promql import ACTIVE, BY_SEARCH, ON_SEARCH, SEARCH_NAME, SHARE, SHARE_THRESHOLD, one_of, select
from monitoring.limits import NEARLY_SPENT_SHARE

UNIT = "{{ $labels.unit }}"

SPENT = """\
    kubectl metasearch status SEARCH --namespace NAMESPACE
    kubectl --namespace NAMESPACE get metasearch SEARCH --output jsonpath='{.spec.budget}{"\\n"}{.status.spent}{"\\n"}'
"""


BY_UNIT = f"by ({', '.join(SEARCH_LABELS)}, unit)"


def spent_share(*units: str) -> str:
    """Return the share of a budget that is spent, by unit."""
    spent, limit = (select(each, unit=one_of(*units)) for each in (of_search.BUDGET_SPENT, of_search.BUDGET_LIMIT))
    return f"max {BY_UNIT} ({spent})\n/ max {BY_UNIT} ({limit})"


# A search that reaches its number of trials has done what it was made for, so trials are in neither alert.
NEARLY_SPENT = Alert(
    name="MetaSearchBudgetNearlySpent",
    severity=Severity.INFO,
    for_seconds=60,
    labels=(*SEARCH_LABELS, "unit"),
    when="a search has spent more than $threshold (as a share) of its time, its GPU-hours or its failed trials",
    measure=spent_share("seconds", "gpu_seconds", "failed_trials"),
    threshold=Threshold(Comparison.ABOVE, NEARLY_SPENT_SHARE, is_share=True),
    guards=ACTIVE,
    summary=f"The budget of the search {SEARCH_NAME} is nearly spent ({UNIT})",
    description=(
        f"The search {SEARCH_NAME} has spent {SHARE} of its budget in {UNIT} (alerts above {SHARE_THRESHOLD}). At the "
        "limit its trials are cut short; what was found is kept. Raise the limit in spec.budget if it should come to "
        "its own end."
    ),
    runbook=Runbook(
        meaning="""\
A limit of `spec.budget` is near: `wallTime` (unit `seconds`), `gpuHours` (`gpu_seconds`) or `maxFailedTrials`
(`failed_trials`). The search knows its limits and has kept a share of them for its final trials.""",
        impact="""\
At `wallTime` or `gpuHours` trials under way are cut short, and the best network until then is delivered. With one
more than `maxFailedTrials` the search fails.""",
        diagnosis=f"""\
How far is it, and how much is left?

{SPENT}
For failed trials: do they [fail alike](MetaSearchTrialsFailing.md)?""",
        mitigation="""\
- It is near its end, too: nothing to do.
- It should come to its own end: `kubectl --namespace NAMESPACE edit metasearch SEARCH` and raise the limit, now or
  when it has ended; it goes on from where it was.""",
    ),
)

PROJECTED_SHARE = f"""\
(
  {spent_share("seconds", "gpu_seconds")}
)
* {ON_SEARCH} group_left () (
  1 + max {BY_SEARCH} ({select(of_search.UNLIMITED_REMAINING)})
  / max {BY_SEARCH} ({select(of_search.BUDGET_SPENT, unit="seconds")})
)"""
"""
The share of a limit that a search will have spent at its own end, if it spends as until now.

With s seconds spent and r to go, whatever was spent so far grows by the factor (s + r) / s.
"""

WILL_RUN_OUT = Alert(
    name="MetaSearchBudgetWillRunOut",
    severity=Severity.WARNING,
    for_seconds=900,
    labels=(*SEARCH_LABELS, "unit"),
    when="a search would need more than $threshold times its budget of time or GPU-hours to come to its own end",
    measure=PROJECTED_SHARE,
    threshold=Threshold(Comparison.ABOVE, 1.1),
    guards=ACTIVE,
    summary=f"The budget of the search {SEARCH_NAME} will not suffice ({UNIT})",
    description=(
        f"At its present speed the search {SEARCH_NAME} needs {SHARE} of its budget in {UNIT} (alerts above "
        f"{SHARE_THRESHOLD}). It will be cut short. Raise the limit in spec.budget, give it more workers, or lower "
        "what it has to do."
    ),
    runbook=Runbook(
        meaning="""\
The estimate of the time that remains, with what was spent so far, goes beyond `budget.wallTime` (unit `seconds`) or
`budget.gpuHours` (`gpu_seconds`). It is an estimate: it assumes the speed until now.""",
        impact="""\
The search stage ends before the strategy has tried everything, and final trials may be cut short. The network that is
delivered is the best of what was tried.""",
        diagnosis=f"""\
How far is it, and how much is left?

{SPENT}
Has it all the workers that it asks for, and are they busy?

    kubectl --namespace NAMESPACE get pods --selector metasearch.dev/search=SEARCH""",
        mitigation="""\
- `wallTime`: raise it, or raise `spec.parallelism` where the cluster has room.
- `gpuHours`: raise it; more workers do not help. Sharing a GPU between more slots may, see [GPUs](../gpus.md).
- Lower `final.top` or `final.seeds`, which may be changed while it runs.
- Leave it: a search that is cut short delivers the best that it has found.""",
    ),
)

GROUP = Group("metasearch.budget", (NEARLY_SPENT, WILL_RUN_OUT))
