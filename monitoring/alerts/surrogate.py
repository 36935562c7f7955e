"""Alerts about the surrogate, which predicts scores to choose what is tried."""

from __future__ import annotations

from metasearch.metrics import of_search
from metasearch.metrics.of_search import SEARCH_LABELS
from monitoring.alerts.model import Alert, Comparison, Group, Runbook, Severity, Threshold
from monitoring.alerts.promql import ACTIVE, BY_SEARCH, ON_SEARCH, SEARCH_NAME, select

CHANCE = Alert(
    name="MetaSearchSurrogateNoBetterThanChance",
    severity=Severity.INFO,
    for_seconds=600,
    labels=SEARCH_LABELS,
    when="the surrogate's rank correlation in its fair examination, by at least 16 trials, is below $threshold",
    measure=f"max {BY_SEARCH} ({select(of_search.EXAMINATION, kind='spearman')})",
    threshold=Threshold(Comparison.BELOW, 0.2, is_share=True),
    # With fewer trials chance alone gives more than the threshold to every fourth; where scores differ by their noise
    # alone, no surrogate could predict them.
    guards=(
        f"and {ON_SEARCH} ({select(of_search.EXAMINED)} >= 16)",
        f"and {ON_SEARCH} ({select(of_search.EXAMINATION, kind='ceiling')} > 0.5)",
        f"and {ON_SEARCH} ({select(of_search.PHASE, phase='Searching')} == 1)",
        ACTIVE[1],
    ),
    summary=f"The surrogate of the search {SEARCH_NAME} is no better than chance",
    description=(
        f"Over the trials that were drawn at random, predictions and scores of the search {SEARCH_NAME} have the rank "
        'correlation {{ $value | printf "%.2f" }} (alerts below $threshold). It tries what the surrogate prefers, so '
        "it is no better than a random search. Compare the rounds in the report, and choose another surrogate next "
        "time."
    ),
    runbook=Runbook(
        meaning="""\
One in eight trials is drawn at random to examine the surrogate. Over these, its predictions and the scores have
hardly any rank correlation, though the scores differ by more than their noise, so that there is something to
predict.""",
        impact="""\
The search chooses by predictions that say nothing: it is about as good as a random one. What it finds is right
nevertheless, for it is chosen by scores.""",
        diagnosis="""\
How did the correlation develop, and what could it be at most?

    kubectl metasearch report SEARCH --namespace NAMESPACE --output report.html
    kubectl --namespace NAMESPACE get metasearch SEARCH --output jsonpath='{.status.examination}{"\\n"}'

In Prometheus, by round and kind:

    metasearch_surrogate_rank_correlation{namespace="NAMESPACE", search="SEARCH"}

How a surrogate is judged is explained in [how a search works](../how-it-works.md).""",
        mitigation="""\
- Let it run: as trials are added the surrogate may learn.
- Scores with much noise: more tasks (`evaluation.tasks`) in the next search.
- Another surrogate (`search.surrogate.type`), or the strategy Random or Evolution, which need none:
  [strategies](../strategies.md).
- The budget matters more than the search: suspend it, and begin another one.""",
    ),
)

GROUP = Group("metasearch.surrogate", (CHANCE,))
