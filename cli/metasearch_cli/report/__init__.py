"""
The HTML report: what a search found, to look at and to print. One file that fetches nothing.

`results` says what is true of a search; here it is only put into words, tables and drawings. Nothing is read but what
is handed in, not even the clock, so the same search gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metasearch.outcome.results import SearchResult
from metasearch.search.trials import Trial
from metasearch_cli.extras import Extra, needing


def write_report(path: Path, result: SearchResult, trials: Sequence[Trial]) -> None:
    """
    Write the report of a search, over or under way.

    Args:
        path: the file; replaced where it is there.
        trials: every trial on record, in any order.

    Raises:
        MetaSearchError: what draws reports is not installed.
    """
    with needing(Extra.REPORT, "the report"):
        from metasearch_cli.report.page import render  # only now: matplotlib takes a second to import
    path.write_text(render(result, trials), encoding="utf-8")


def write_comparison(path: Path, searches: Sequence[tuple[str, SearchResult, Sequence[Trial]]]) -> None:
    """
    Write a report that compares several searches.

    Args:
        path: the file; replaced where it is there.
        searches: of each, how the user named it, its result and every trial on record.

    Raises:
        InvalidSpec: a search is there twice, or there are too many.
        MetaSearchError: what draws reports is not installed.
    """
    with needing(Extra.REPORT, "the report"):
        from metasearch_cli.report.comparison import compared
        from metasearch_cli.report.comparison_page import render
    path.write_text(render(compared(searches)), encoding="utf-8")
