"""Say in plain words at what a search had ended before it went on under a larger budget."""

from __future__ import annotations

from metasearch.outcome.ends import End
from metasearch.outcome.results import SearchResult
from metasearch_cli.report.formats import duration, moment, percent, plural


def earlier_ends(result: SearchResult) -> list[str]:
    """Return a sentence for each end that the search went on from, the first first."""
    # The last end of a search that is over is the one that it is at.
    gone_on = result.ends[:-1] if result.search.phase.is_over else result.ends
    return [_sentence(end) for end in gone_on]


def _sentence(end: End) -> str:
    limit = f", by budget.{end.limit}" if end.limit else ""
    best = "" if end.best_score is None else f", best score {percent(end.best_score)}"
    return (
        f"It had ended on {moment(end.at)}{limit}, with {plural(end.trials, 'search trial')} and "
        f"{plural(end.final_trials, 'final trial')} in {duration(end.wall_seconds)}{best}, and went on."
    )
