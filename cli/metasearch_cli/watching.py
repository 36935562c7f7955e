"""The commands that say how far a search is: `metasearch status` and `metasearch top`, once or again and again."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from metasearch_cli.searches import Context, Namespace, Subject, cluster, is_remote, load_snapshot

if TYPE_CHECKING:
    from metasearch_cli.outcome.watch import Draw

INTERVAL_SECONDS = 5.0
"""Time between two looks where none is given: on a cluster each of them lists all trials."""

LONGEST_INTERVAL_SECONDS = 86_400.0
"""More is a slip of the finger, and infinity no time that a process can wait for."""

Watch = Annotated[
    bool, typer.Option("--watch", "-w", help="Draw it again and again until the search is over, or Ctrl-C.")
]
Interval = Annotated[
    float,
    typer.Option(
        "--interval",
        min=0.1,
        max=LONGEST_INTERVAL_SECONDS,
        metavar="SECONDS",
        help="Time between two looks of --watch.",
    ),
]


def status(
    ctx: typer.Context,
    subject: Subject,
    watch: Watch = False,
    interval: Interval = INTERVAL_SECONDS,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Say how far a search is."""
    from metasearch_cli.outcome.running_table import driver_sentence
    from metasearch_cli.outcome.tables import print_status

    def draw(console: Console) -> bool:
        result = load_snapshot(ctx, subject, namespace, context).result
        print_status(console, result)
        # A search on a cluster is the operator's, which needs no command to go on.
        if not is_remote(ctx, namespace, context) and (gone := driver_sentence(result, time.time())):
            console.print(gone, highlight=False, soft_wrap=True)
        return result.search.phase.is_over

    _show(draw, watch, interval)


def top(
    ctx: typer.Context,
    subject: Subject,
    watch: Watch = False,
    interval: Interval = INTERVAL_SECONDS,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """List the trials that run, worker by worker and slot by slot, with their speed and remaining time."""
    from metasearch.outcome.running import activity
    from metasearch_cli.outcome.running_table import print_running

    def draw(console: Console) -> bool:
        snapshot = load_snapshot(ctx, subject, namespace, context)
        is_over = snapshot.result.search.phase.is_over
        slots: int | None = None
        # The driver of a local search ends with it, and has no slot any more that waits for a trial.
        workers: Collection[str] | None = () if is_over else None
        if is_remote(ctx, namespace, context):
            target = cluster(namespace, context)
            from metasearch_cli.remote.workers import running_workers

            slots, workers = snapshot.result.search.spec.worker.slots, running_workers(target, subject)
        now = time.time()
        print_running(console, snapshot.result, activity(snapshot.trials, now, slots, workers), now)
        return is_over

    _show(draw, watch, interval)


def _show(draw: Draw, again: bool, interval: float) -> None:
    console = Console()
    if not again:
        draw(console)
        return
    from metasearch_cli.outcome import watch

    watch.watch(console, draw, interval, watch.Clock(time.monotonic, time.sleep))
