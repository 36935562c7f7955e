"""Print a list of rows as a table, as CSV and as JSON: trials and boards alike."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

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
    # Rich would cut cells to the width of a terminal, or to 80 characters in a pipe.
    table.width = console.measure(table, options=console.options.update_width(WIDEST)).maximum
    console.print(table, soft_wrap=True)


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
