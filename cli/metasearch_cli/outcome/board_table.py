"""The columns, the order and the text of a board, as `metasearch board` prints it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from metasearch.errors import InvalidSpec
from metasearch.outcome.board import FIGURES, Row, cost
from metasearch_cli.outcome.listing import Value

_WORDS: Mapping[str, Callable[[Row], Value]] = {
    "trial": lambda row: row.trial,
    "stage": lambda row: str(row.stage),
    "front": lambda row: row.is_on_front,
    "seeds": lambda row: row.seeds,
    "metaIterations": lambda row: row.meta_iterations,
}

COLUMNS = (*_WORDS, *FIGURES, "cell")
"""The columns of a board, in their order."""


def names_in(text: str) -> list[str]:
    """Split names that are separated by commas."""
    return [name.strip() for name in text.split(",")]


def chosen_columns(rows: Sequence[Row], asked: str | None) -> list[str]:
    """
    Return the columns to print: those asked for or, where none are, all that anything is recorded for.

    Args:
        asked: names of columns, separated by commas.

    Raises:
        InvalidSpec: there is no such column.
    """
    if asked is None:
        return [name for name in COLUMNS if any(_value(row, name) is not None for row in rows)]
    return [_known(name, "--columns") for name in names_in(asked)]


def in_order(rows: Sequence[Row], column: str | None, reverse: bool) -> list[Row]:
    """
    Sort the rows by a column, the best first; those without a value come last.

    Args:
        column: None for the board's own order.
        reverse: the worst first.

    Raises:
        InvalidSpec: there is no such column.
    """
    if column is None:
        return list(reversed(rows)) if reverse else list(rows)
    name = _known(column, "--sort")
    known = [row for row in rows if _value(row, name) is not None]
    unknown = [row for row in rows if _value(row, name) is None]
    if name in FIGURES:
        known.sort(key=lambda row: cost(row, name), reverse=reverse)
    elif name == "front":
        known.sort(key=lambda row: not row.is_on_front, reverse=reverse)
    elif name in ("seeds", "metaIterations"):
        known.sort(key=lambda row: -(row.seeds if name == "seeds" else row.meta_iterations), reverse=reverse)
    else:
        known.sort(key=lambda row: str(_value(row, name)), reverse=reverse)
    return known + unknown


def values(rows: Sequence[Row], columns: Sequence[str]) -> list[list[Value]]:
    """Return the values of columns, row by row; None where nothing is recorded."""
    return [[_value(row, name) for name in columns] for row in rows]


def _value(row: Row, column: str) -> Value:
    if column in _WORDS:
        return _WORDS[column](row)
    if column == "cell":
        return row.candidate.text
    value = row.figures[column]
    # JSON has no number for infinity, and a table no use for one.
    return value if value is None or math.isfinite(value) else None


def _known(name: str, option: str) -> str:
    if name not in COLUMNS:
        raise InvalidSpec(f"{option} names {name!r}, which is no column of a board; it has {', '.join(COLUMNS)}")
    return name
