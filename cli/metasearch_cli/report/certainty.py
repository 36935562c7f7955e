"""Say in plain words how sure the choice is, the same in a terminal and in the report."""

from __future__ import annotations

from metasearch.outcome.certainty import Difference
from metasearch.outcome.results import SearchResult


def certainty(result: SearchResult) -> str:
    """Say how far the best is ahead of the second, and whether contenders were trained again; empty without a cell."""
    if result.best is None or result.best.search.is_beginning:
        return ""
    found, looks = result.certainty, _second_looks(result.certainty.second_looks)
    if found.search is None:
        in_search = f"Only one cell had a whole training in the search, so there is no second to compare with; {looks}."
    else:
        in_search = f"In the search, the cell in first place scored {_ahead(found.search, 'the second')}; {looks}."
    if found.final is None:
        return in_search
    return f"The delivered network scored {_ahead(found.final, 'the next one trained in full')}. {in_search}"


def _ahead(difference: Difference, second: str) -> str:
    """Say how far the best is ahead of the second, and whether that is enough to tell them apart."""
    points = 100 * difference.score_difference
    ahead = f"{abs(points):.1f} points {'above' if points >= 0 else 'below'} {second}"
    ratio = difference.in_standard_errors
    if ratio is None:
        return f"{ahead}, and the standard error of the difference is not known"
    verdict = "enough" if difference.is_settled else "too little"
    return f"{ahead}, {abs(ratio):.1f} standard errors of the difference: {verdict} to tell them apart"


def _second_looks(number: int) -> str:
    if not number:
        return "no cell was trained a second time"
    return f"{number} cell{' was' if number == 1 else 's were'} trained a second time with another seed"
