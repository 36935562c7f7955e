"""Make the rows of a comparison's tables, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metasearch.outcome.figures import CellSummary, FoundNetwork
from metasearch_cli.report.comparison import Compared, every_difference
from metasearch_cli.report.formats import NOTHING, count, duration, percent, percent_with_interval, plural
from metasearch_cli.report.tables import blocks, gpu_hours, wall_time


@dataclass(frozen=True)
class CellRow:
    """A search, a cell of it, and figures of that."""

    search: str
    cell: tuple[str, ...]
    """Its blocks; empty where there is none."""
    figures: tuple[str, ...]


DELIVERED_FIGURES = (
    "Parameters",
    "Seeds",
    "Score",
    "queries alone",
    "alone, support statistics",
    "together (transductive)",
)
"""The headings of a delivered network's figures; the last three are accuracies on the test classes."""

BEST_FIGURES = ("Parameters", "Score", "Meta-iterations", "Seeds")


def delivered(searches: Sequence[Compared]) -> list[CellRow]:
    """Return the delivered network of each search; empty where no search has one."""
    if not any(each.delivered for each in searches):
        return []
    return [
        CellRow(each.label, blocks(network.candidate), _delivered_figures(network))
        if (network := each.delivered)
        else CellRow(each.label, (), (NOTHING,) * len(DELIVERED_FIGURES))
        for each in searches
    ]


def _delivered_figures(network: FoundNetwork[float]) -> tuple[str, ...]:
    measured = (network.non_transductive, network.support_statistics, network.transductive)
    accuracies = (percent_with_interval(each.accuracy, each.interval) for each in measured)
    return count(network.parameter_count), count(network.seeds), percent(network.score), *accuracies


def best_cells(searches: Sequence[Compared]) -> list[CellRow]:
    """Return the cell of each search that had the best score in it; empty where none was trained whole."""
    found = [(each.label, _best(each)) for each in searches]
    if not any(best for _, best in found):
        return []
    return [
        CellRow(label, blocks(best.candidate), _best_figures(best))
        if best
        else CellRow(label, (), (NOTHING,) * len(BEST_FIGURES))
        for label, best in found
    ]


def _best(search: Compared) -> CellSummary[float] | None:
    """Return the best cell by score of those trained whole: a score of a beginning is of another kind."""
    return next((each for each in search.result.ranked if not each.is_beginning), None)


def _best_figures(best: CellSummary[float]) -> tuple[str, ...]:
    score = percent_with_interval(best.score, best.interval) if best.interval else percent(best.score)
    return count(best.parameter_count), score, count(best.meta_iterations), count(best.seeds)


@dataclass(frozen=True)
class CostRow:
    """The cost of one search."""

    search: str
    cells: tuple[str, ...]
    """One for each of COST_HEADINGS."""


COST_HEADINGS = ("Search trials", "All trials", "Wall time", "Worker time", "Busy", "GPU-hours", "Best score after")


def costs(searches: Sequence[Compared]) -> list[CostRow]:
    """Return a row for each search."""
    return [CostRow(each.label, _cost(each)) for each in searches]


def _cost(search: Compared) -> tuple[str, ...]:
    result, since = search.result, search.best_since
    return (
        count(result.spent.trials),
        count(result.trials.total),
        wall_time(result).spent,
        duration(result.spent.worker_seconds),
        percent(search.timeline.busy_share if search.timeline else None, 0),
        gpu_hours(result).spent,
        f"{plural(since.trials, 'trial')}, {duration(since.seconds)}" if since else NOTHING,
    )


@dataclass(frozen=True)
class FieldRow:
    """A field of the spec in which searches differ."""

    field: str
    values: tuple[str, ...]
    """One for each search."""


def differences(searches: Sequence[Compared]) -> list[FieldRow]:
    """Return the fields in which the specs differ, and the versions where these do."""
    rows = [
        FieldRow(field, tuple(each.fields.get(field, NOTHING) for each in searches))
        for field in every_difference(searches)
    ]
    versions = tuple(each.result.search.version for each in searches)
    return [*rows, FieldRow("MetaSearch", versions)] if len(set(versions)) > 1 else rows
