"""Print a list of rows as a table, as CSV and as JSON: trials and boards alike."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.table import Table

Value = str | int | float | bool | None

WORDS = frozenset({"name", "trial", "stage", "state", "reason", "cell"})
"""The columns of words, which are aligned to the left."""

WIDEST = 10_000
"""Characters, more than any table has."""


def print_rows(console: Console, columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> None:
    """Print a table with a line for each row, as wide as it must be: a state that is cut short says nothing."""
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, justify="left" if column in WORDS else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(text_of(value) for value in row))
    _widen(console, table)
    console.print(table, soft_wrap=True)


def print_fitting(
    console: Console, make: Callable[[Sequence[str]], Table], columns: Sequence[str], spare: Sequence[str]
) -> None:
    """
    Print a table without cutting its cells; on a terminal that is too narrow for it, columns are left out.

    Args:
        make: makes the table with some of the columns.
        spare: the columns that may be left out, the first of them first.
    """
    shown = list(columns)
    _widen(console, table := make(shown))
    for column in spare:
        if not console.is_terminal or (table.width or 0) <= console.width:
            break
        if column in shown:
            shown.remove(column)
            _widen(console, table := make(shown))
    console.print(table, soft_wrap=True, highlight=False)


def _widen(console: Console, table: Table) -> None:
    # Rich would cut cells to the width of a terminal, or to 80 characters in a pipe.
    table.width = console.measure(table, options=console.options.update_width(WIDEST)).maximum


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """Return rows as CSV with a header, for a spreadsheet or pandas."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def as_json(columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """Return rows as a JSON list of objects with the columns' names."""
    return json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2)


def text_of(value: Value) -> str:
    """Return a value as a table has it: a dash where there is none, or what it would mark is not so."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
