"""
The HTML report: what a search found, to look at and to print. One file that fetches nothing.

`results` says what is true of a search; here it is only put into words, tables and drawings. Nothing is read but what
is handed in, not even the clock, so the same search gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metasearch.errors import MetaSearchError
from metasearch.outcome.results import SearchResult
from metasearch.search.trials import Trial

_NEEDED = ("jinja2", "markupsafe", "matplotlib")


def write_report(path: Path, result: SearchResult, trials: Sequence[Trial]) -> None:
    """
    Write the report of a search, over or under way.

    Args:
        path: the file; replaced where it is there.
        trials: every trial on record, in any order.

    Raises:
        MetaSearchError: what draws reports is not installed.
    """
    try:
        from metasearch_cli.report.page import render  # drawing is slow to import, and not installed on every machine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise MetaSearchError(
            f"the report needs {error.name}, which is not installed; pip install 'metasearch-operator[report]'"
        ) from error
    path.write_text(render(result, trials), encoding="utf-8")
