"""The output of every benchmark: a table, claims that hold or fail, and the machine it ran on."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Claim:
    """A sentence that a benchmark exists to show, and whether it holds."""

    text: str
    holds: bool


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a command line parser with --json."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    return made


def publish(
    name: str, rows: Sequence[dict[str, Any]], claims: Sequence[Claim], json_file: Path | None, **more: Any
) -> int:
    """
    Print the table and the claims, and write the file.

    Args:
        more: further content of the file.

    Returns:
        The exit code: 1 if a claim does not hold, else 0.
    """
    console = Console(width=160)
    console.print(_table(name, rows))
    for claim in claims:
        console.print(f"{'holds' if claim.holds else 'FAILS'}: {claim.text}", highlight=False)
    if json_file is not None:
        content = {
            "benchmark": name,
            "machine": machine(),
            "rows": rows,
            **more,
            "claims": [{"text": claim.text, "holds": claim.holds} for claim in claims],
        }
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0 if all(claim.holds for claim in claims) else 1


def kept_rows(file: Path | None, rows: str, column: str, measured_anew: Collection[str]) -> list[dict[str, Any]]:
    """
    Return the rows of an earlier run's file that are not measured anew; none where there is no file.

    Args:
        rows: the name of the list in the file.
        column: that tells rows apart.
        measured_anew: values of that column.
    """
    if file is None or not file.exists():
        return []
    stored = json.loads(file.read_text(encoding="utf-8"))[rows]
    return [row for row in stored if row[column] not in measured_anew]


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _table(name: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=name, title_justify="left", box=None, header_style="bold")
    for column in rows[0]:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*map(_text, row.values()))
    return table


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join("–" if each is None else f"{each:.2f}" for each in value)
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
