"""The command `metasearch latency`: it measures the parts of a search's networks on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


class TableFormat(StrEnum):
    """The formats of a table of latencies."""

    YAML = "yaml"
    JSON = "json"


def latency(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A MetaSearch resource in YAML.")],
    limit: Annotated[
        float | None,
        typer.Option(
            metavar="MS", help="maxMilliseconds; default: that of FILE, or what half of random networks take."
        ),
    ] = None,
    images: Annotated[int, typer.Option(min=1, max=10_000, help="Images that are classified at a time.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
    device: Annotated[str, typer.Option(metavar="NAME", help="What to measure on, as PyTorch names it.")] = "cpu",
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each part; their median counts.")] = 100,
    output: Annotated[
        TableFormat, typer.Option("-o", "--output", help="yaml to paste into FILE, json for --set.")
    ] = TableFormat.YAML,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field of spec.")
    ] = None,
) -> None:
    """Measure how long the parts of a search's networks take here, for search.constraints.latency."""
    from metasearch.loading import load_search
    from metasearch_cli.local import latency_table

    spec = load_search(file, overrides or []).spec
    with Console(stderr=True).status("measuring the parts of networks"):
        found = latency_table.measured(spec, images, threads, device, repeats)
    typer.echo(found.summary, err=True)
    made = found.constraint(limit)
    typer.echo(latency_table.as_json(made) if output is TableFormat.JSON else latency_table.as_yaml(made), nl=False)
