"""The arguments by which commands name a search, a run's folder or one on a cluster, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metasearch_cli.extras import Extra, needing, require

if TYPE_CHECKING:
    from metasearch_cli.outcome.snapshot import Snapshot
    from metasearch_cli.remote.target import ClusterTarget

Subject = Annotated[
    str,
    typer.Argument(
        metavar="DIR|NAME",
        help="The --output folder of a run; with --namespace or --context, and always with kubectl, the name of a "
        "search on the cluster.",
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAMESPACE",
        help="Of the search on the cluster; default: that of the kube context.",
    ),
]
Context = Annotated[
    str | None, typer.Option("--context", metavar="CONTEXT", help="Of the kubeconfig; default: its current context.")
]


def is_remote(ctx: typer.Context, namespace: str | None, context: str | None) -> bool:
    """Tell whether a command is about a cluster: one is named, or it is a command of kubectl's."""
    return bool(ctx.obj) or namespace is not None or context is not None


def cluster(namespace: str | None, context: str | None) -> ClusterTarget:
    """Return the cluster and namespace that a command is about."""
    require(Extra.CLUSTER, "a cluster")
    with needing(Extra.CLUSTER, "a cluster"):
        from metasearch_cli.remote.target import ClusterTarget

    return ClusterTarget.of(namespace, context)


def load_snapshot(
    ctx: typer.Context, subject: str, namespace: str | None, context: str | None, image: str | None = None
) -> Snapshot:
    """
    Read a run's folder, or a search on a cluster.

    Args:
        image: of the pod that reads weights from a claim; None for that of the search's workers.
    """
    if is_remote(ctx, namespace, context):
        target = cluster(namespace, context)
        from metasearch_cli.remote import session as remote

        return remote.load_snapshot(target, subject, image)
    from metasearch_cli.local import session

    return session.load_snapshot(Path(subject))
