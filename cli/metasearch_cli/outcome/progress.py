"""Say when a search will end, the same for a local run and for a cluster."""

from __future__ import annotations

from metasearch.outcome.results import SearchResult
from metasearch_cli.report.formats import duration


def progress_sentence(result: SearchResult) -> str | None:
    """Say how much of a search's time is over and how much is left; None where that is not known, or all is over."""
    found = result.remaining
    if found is None or result.search.phase.is_over:
        return None
    return (
        f"estimated: {found.percentage}% of its time is over, {duration(found.rounded_seconds)} left "
        f"(confidence {found.confidence})"
    )
