"""Say in plain words how well the surrogate did on candidates that it has not chosen."""

from __future__ import annotations

from metasearch.outcome.results import SearchResult
from metasearch.plurals import counted
from metasearch.search.ranking import FEWEST_DRAWN


def examination(result: SearchResult) -> str:
    """Return the sentence; empty where no candidate with a prediction was drawn at random and measured."""
    found = result.examination
    if found is None:
        return ""
    trials = f"{counted(found.trials, 'trial')} drawn at random"
    if found.trials < FEWEST_DRAWN:
        return f"The surrogate cannot be judged yet: {trials}, and it takes {FEWEST_DRAWN}."
    spearman, ceiling = (figure_or_none(value) for value in (found.spearman, found.ceiling))
    return f"The surrogate’s Spearman over {trials}, all rounds together, is {spearman} (ceiling {ceiling})."


def figure_or_none(value: float | None) -> str:
    """Format a correlation; "none" where it cannot be computed."""
    return "none" if value is None else f"{value:.2f}"
