"""The command `metasearch report`: the report of a search, or one that compares several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metasearch_cli.searches import Context, Namespace, is_remote, load_snapshot

if TYPE_CHECKING:
    from metasearch_cli.outcome.snapshot import Snapshot

COMPARISON = Path("comparison.html")
"""The default file of a report of several searches."""


def report(
    ctx: typer.Context,
    subjects: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR|NAME",
            help="The --output folder of a run; with --namespace or --context, and always with kubectl, the name of a "
            "search on the cluster. Several are compared; among those of a cluster, one with a / is a folder.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="The file; default: DIR/report.html, or NAME.html in the working directory; of several, "
            "comparison.html there."
        ),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Write the HTML report anew, from what is recorded now; of several searches, one that compares them."""
    if len(subjects) == 1:
        typer.echo(load_snapshot(ctx, subjects[0], namespace, context).write_report(output))
        return
    from metasearch_cli.report import write_comparison

    snapshots = [_load(ctx, subject, namespace, context) for subject in subjects]
    target = output or COMPARISON
    read = zip(subjects, snapshots, strict=True)
    write_comparison(target, [(subject, snapshot.result, snapshot.trials) for subject, snapshot in read])
    typer.echo(target)


def _load(ctx: typer.Context, subject: str, namespace: str | None, context: str | None) -> Snapshot:
    """Read one of several searches; no name of a search on a cluster has a slash."""
    if is_remote(ctx, namespace, context) and "/" in subject:
        from metasearch_cli.local import session

        return session.load_snapshot(Path(subject))
    return load_snapshot(ctx, subject, namespace, context)
