"""
The report's board: a table of every measured candidate that can be sorted without a script.

Each row knows its place in the order of every column. A chosen order is a chosen radio button, by which the style sheet
gives each row its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from metasearch.outcome import board as boards
from metasearch.outcome.board import FIGURES, Row
from metasearch.outcome.results import SearchResult
from metasearch.search.trials import Stage, Trial
from metasearch_cli.report.formats import NOTHING, count, duration, memory, milliseconds, percent, short
from metasearch_cli.report.tables import blocks

ROWS_SHOWN = 100
"""The first rows of the board's own order; `metasearch board` has all."""


def _whole(text: Callable[[int | None], str]) -> Callable[[float | None], str]:
    return lambda value: text(None if value is None else round(value))


_HEADINGS: Mapping[str, tuple[str, Callable[[float | None], str]]] = {
    "score": ("Score", percent),
    "scoreError": ("Standard error", percent),
    "trainingScore": ("Training score", percent),
    "validationScore": ("Validation score", percent),
    "crossValidationScore": ("Cross-validation score", percent),
    "accuracy": ("Accuracy", percent),
    "testAccuracy": ("Test accuracy", percent),
    "wallSeconds": ("Time", duration),
    "peakMemoryBytes": ("Memory", _whole(memory)),
    "parameterCount": ("Parameters", _whole(count)),
    "multiplyAdds": ("Multiply-adds", lambda value: NOTHING if value is None else short(value)),
    "latencyMs": ("Latency", milliseconds),
}
"""The heading of each figure, and how it is written."""


@dataclass(frozen=True)
class BoardRow:
    """A candidate in the table."""

    cell: tuple[str, ...]
    stage: str
    is_on_front: bool
    texts: tuple[str, ...]
    """One for each heading."""
    places: tuple[int, ...]
    """By each heading, 1 for the best; those without a figure come last, equal ones in the board's own order."""


@dataclass(frozen=True)
class Board:
    """The table."""

    headings: tuple[str, ...]
    rows: tuple[BoardRow, ...]
    total: int
    """The number of rows that there are."""


def board(result: SearchResult, trials: Sequence[Trial]) -> Board:
    """Return the table of a search, with the columns that have a figure."""
    every = boards.board(trials, result.search.spec.evaluation)
    rows = every[:ROWS_SHOWN]
    names = [name for name in FIGURES if any(row.figures[name] is not None for row in rows)]
    orders = [_places(rows, name) for name in names]
    return Board(
        tuple(_HEADINGS[name][0] for name in names),
        tuple(
            BoardRow(
                (row.candidate.text,) if row.stage is Stage.BASELINE else blocks(row.candidate),
                str(row.stage),
                row.is_on_front,
                tuple(_HEADINGS[name][1](row.figures[name]) for name in names),
                tuple(order[index] for order in orders),
            )
            for index, row in enumerate(rows)
        ),
        len(every),
    )


def _places(rows: Sequence[Row], name: str) -> list[int]:
    """Return the place of each row, from 1, in the order by a figure."""

    def key(index: int) -> tuple[bool, float]:
        return rows[index].figures[name] is None, boards.cost(rows[index], name)

    places = [0] * len(rows)
    for place, index in enumerate(sorted(range(len(rows)), key=key), start=1):
        places[index] = place
    return places
