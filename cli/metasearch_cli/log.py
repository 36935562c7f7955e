"""The command `metasearch log`: it writes the record of a search to experiment trackers."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from metasearch.plurals import counted
from metasearch_cli.searches import Context, Namespace, Subject, load_snapshot

PLACE = "tensorboard:FOLDER|mlflow:URI"


def log(
    ctx: typer.Context,
    subject: Subject,
    places: Annotated[list[str], typer.Argument(metavar="PLACE", help=f"Where to: {PLACE}; one or several.")],
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Write curves and scores of all trials to TensorBoard or MLflow, as --log-to of a run does while it runs."""
    from metasearch_cli.trackers.destinations import opened
    from metasearch_cli.trackers.records import Changes

    with opened(places) as trackers:
        snapshot = load_snapshot(ctx, subject, namespace, context)
        name = snapshot.result.search.name
        with Console(stderr=True).status("writing"):
            written = [(place, Changes(tracker).write(name, snapshot.trials)) for place, tracker in trackers]
    for place, trials in written:
        typer.echo(f"{counted(trials, 'trial')} of {name} {'is' if trials == 1 else 'are'} in {place}")
