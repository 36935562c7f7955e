"""The page that compares several searches: everything there is to show, handed to the template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from metasearch.version import __version__
from metasearch_cli.report import charts, comparison_sentences, comparison_tables
from metasearch_cli.report.comparison import SCORE_FIELDS, Compared, differing
from metasearch_cli.report.figures import Figure, Key
from metasearch_cli.report.formats import moment
from metasearch_cli.report.page import PHASES
from metasearch_cli.report.sentences import score_meaning
from metasearch_cli.report.template_files import template


def render(searches: Sequence[Compared]) -> str:
    """Return the whole HTML file."""
    return template("comparison.html.j2").render(
        title=comparison_sentences.title(searches),
        subtitle=comparison_sentences.subtitle(searches),
        verdict=comparison_sentences.verdict(searches),
        notices=list(comparison_sentences.notices(searches)),
        keys=dict(zip([each.label for each in searches], _keys(searches), strict=True)),
        phases={each.label: PHASES[each.result.search.phase] for each in searches},
        seen={each.label: moment(each.result.search.seen_at) for each in searches},
        progress=list(_progress(searches)),
        progress_legend=[key for key, each in zip(_keys(searches), searches, strict=True) if each.progress],
        score_meaning=_score_meaning(searches),
        delivered=comparison_tables.delivered(searches),
        delivered_figures=comparison_tables.DELIVERED_FIGURES,
        best_cells=comparison_tables.best_cells(searches),
        best_figures=comparison_tables.BEST_FIGURES,
        costs=comparison_tables.costs(searches),
        cost_headings=comparison_tables.COST_HEADINGS,
        differences=comparison_tables.differences(searches),
        labels=[each.label for each in searches],
        version=__version__,
    )


def _keys(searches: Sequence[Compared]) -> list[Key]:
    """Return the key of each search's line, which other parts of the page have too."""
    return [Key(charts.LINE_KEYS[index % 3], f"search-{index + 1}", each.label) for index, each in enumerate(searches)]


def _progress(searches: Sequence[Compared]) -> Iterator[Figure]:
    """Yield the charts of progress against trials and against seconds; none where there is nothing to show."""
    lines = [charts.ProgressLine(index, each.progress) for index, each in enumerate(searches) if each.progress]
    if not lines:
        return
    label = f"Best score so far of {comparison_sentences.number_of(len(lines))} against"
    yield Figure(charts.progress_by_trials(lines, f"{label} search trials."), "", title="By search trials")
    yield Figure(charts.progress_by_seconds(lines, f"{label} time."), "", title="By time with workers")


def _score_meaning(searches: Sequence[Compared]) -> str:
    """Say what the scores are, where all searches have the same."""
    return "" if differing(searches, SCORE_FIELDS) else score_meaning(searches[0].result.search.spec)
