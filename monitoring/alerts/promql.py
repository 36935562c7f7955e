"""Parts of expressions in PromQL, built from metrics: a name or label that does not exist is an error here."""

from __future__ import annotations

from dataclasses import dataclass

from metasearch.metrics import of_search
from metasearch.metrics.model import Kind, Metric
from monitoring.alerts.external import ALERTS

BY_SEARCH = f"by ({', '.join(of_search.SEARCH_LABELS)})"
BY_SEARCH_AND_REASON = f"by ({', '.join(of_search.SEARCH_LABELS)}, reason)"
ON_SEARCH = f"on ({', '.join(of_search.SEARCH_LABELS)})"

OPERATOR_LABELS = ("job", "namespace")
"""Labels that Prometheus gives to what it scrapes; they tell one operator from another, and outlive its pods."""

BY_OPERATOR = f"by ({', '.join(OPERATOR_LABELS)})"
ON_OPERATOR = f"on ({', '.join(OPERATOR_LABELS)})"


@dataclass(frozen=True)
class Matcher:
    """A condition that the value of a label must meet, other than being equal."""

    operator: str
    text: str


def one_of(*values: str) -> Matcher:
    """Return a matcher for any of some values; each may be a regular expression."""
    return Matcher("=~", "|".join(values))


def none_of(*values: str) -> Matcher:
    """Return a matcher for all values but some; each may be a regular expression."""
    return Matcher("!~", "|".join(values))


def select(metric: Metric, **labels: str | Matcher) -> str:
    """
    Return a selector of a metric's series; of a histogram's, those that count observations.

    Args:
        labels: by name, the value that a label has or what it must meet.
    """
    unknown = set(labels) - set(metric.labels)
    assert not unknown, f"{metric.name} has no label {', '.join(sorted(unknown))}"
    name = f"{metric.name}_count" if metric.kind is Kind.HISTOGRAM else metric.name
    matchers = ((label, v if isinstance(v, Matcher) else Matcher("=", v)) for label, v in labels.items())
    inner = ", ".join(f'{label}{matcher.operator}"{matcher.text}"' for label, matcher in matchers)
    return f"{name}{{{inner}}}" if inner else name


def condition(type: str, status: str, *reasons: str) -> str:
    """Return a selector of a condition of searches, with any of some reasons or with whatever reason."""
    if not reasons:
        return select(of_search.CONDITION, condition=type, status=status)
    reason = reasons[0] if len(reasons) == 1 else one_of(*reasons)
    return select(of_search.CONDITION, condition=type, status=status, reason=reason)


ACTIVE = (
    f"and {ON_SEARCH} ({select(of_search.PHASE, phase=one_of('Searching', 'Final'))} == 1)",
    f"unless {ON_SEARCH} {condition('Suspended', 'True')}",
)
"""Guards for what concerns only a search that has neither ended nor been suspended."""

NOT_OVER = (
    f"unless {ON_SEARCH} ({select(of_search.PHASE, phase=one_of('Succeeded', 'Failed'))} == 1)",
    ACTIVE[1],
)
"""Guards for the same where a search may have no phase: one that could never be evaluated, or has no operator."""

FIRING = "firing"
"""The value of `alertstate` of an alert that people are told of; others are pending."""


def of_operators_with(*alerts: str, **labels: str) -> str:
    """Return a guard against alerts about a search whose operator has one of some alerts, pending or firing."""
    told = select(ALERTS, alertname=one_of(*alerts), **labels)
    return f"unless {ON_SEARCH} ({select(of_search.CONDITION, condition='Ready')} and on (job) {told})"


SEARCH_NAME = "{{ with $labels.namespace }}{{ . }}/{{ end }}{{ $labels.search }}"
"""The name of a search in a text; one that runs in a folder has no namespace."""

SHARE = "{{ $value | humanizePercentage }}"
SHARE_THRESHOLD = '{{ "$threshold" | humanizePercentage }}'
SECONDS_THRESHOLD = '{{ "$threshold" | humanizeDuration }}'
COUNT = '{{ $value | printf "%.0f" }}'
