"""Say in plain words how sure the choice is, the same in a terminal and in the report."""

from __future__ import annotations

from metasearch.outcome.certainty import Difference
from metasearch.outcome.results import SearchResult


def certainty(result: SearchResult) -> str:
    """Say how far the best is ahead of the second, and whether contenders were trained again; empty without a cell."""
    if result.best is None or result.best.search.is_beginning:
        return ""
    found, final = result.certainty, result.certainty.final
    looks = _second_looks(found.second_looks)
    if found.search is None:
        in_search = f"only one cell had a whole training in the search, so there is no second to compare with; {looks}"
    else:
        in_search = f"in the search, the best cell scored {_ahead(found.search)} the second; {looks}"
    if final is None:
        return f"{in_search[:1].upper()}{in_search[1:]}."
    return f"The delivered network scored {_ahead(final)} the next one trained in full; {in_search}."


def _ahead(difference: Difference) -> str:
    """Say how far the best is ahead, for a sentence that goes on with whom it is ahead of."""
    points = 100 * difference.score_difference
    ahead = f"{abs(points):.1f} points {'above' if points >= 0 else 'below'}"
    ratio = difference.in_standard_errors
    if ratio is None:
        return f"{ahead} (the scores' standard errors are not known)"
    verdict = "settled" if difference.is_settled else "not settled"
    return f"{ahead} ({abs(ratio):.1f} standard errors of the difference, so which is better is {verdict})"


def _second_looks(number: int) -> str:
    if not number:
        return "no cell was trained a second time"
    return f"{number} {'was' if number == 1 else 'were'} trained a second time with another seed"
