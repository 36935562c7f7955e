"""The command `metasearch trace`: it writes and prints where the time of a search's workers went."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from metasearch_cli.searches import Context, Namespace, Subject, load_snapshot


def trace(
    ctx: typer.Context,
    subject: Subject,
    output: Annotated[
        Path | None,
        typer.Option(help="The file; default: DIR/trace.json, or NAME-trace.json in the working directory."),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Write where the time of a search went, for Perfetto, and print how busy its workers were."""
    from metasearch_cli.outcome.busy_table import print_busy
    from metasearch_cli.outcome.trace_events import write_trace

    snapshot = load_snapshot(ctx, subject, namespace, context)
    found, target = snapshot.timeline(), output or snapshot.trace
    write_trace(target, snapshot.result, snapshot.trials, found)
    print_busy(Console(), snapshot.result, found)
    typer.echo(f"trace: {target}")
