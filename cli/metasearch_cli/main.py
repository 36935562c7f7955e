"""
The command line: `metasearch`, and `kubectl metasearch`, which always means a search on a cluster.

Exit codes: 0 done · 1 a fault of ours · 2 wrong command line or resource · 3 wrong data · 4 the folder is not ours to
use · 5 the disk, store or cluster cannot be used · 6 the search ended without a network · 130 interrupted
(Ctrl-C) · 143 terminated (SIGTERM)

Each command imports what it needs when it is called: PyTorch, the Kubernetes client and matplotlib take a second each,
and not every machine has them.
"""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from metasearch.errors import MetaSearchError, StoreUnavailable
from metasearch.version import __version__
from metasearch_cli.latency import latency
from metasearch_cli.log import PLACE, log
from metasearch_cli.reports import report
from metasearch_cli.searches import Context, Namespace, Subject, cluster, is_remote, load_snapshot
from metasearch_cli.trace import trace
from metasearch_cli.watching import status, top

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

EXIT_CODES = (
    "Exit codes: 0 done, 2 wrong command line or resource, 3 wrong data, 4 folder in use or of another search, "
    "5 disk, store or cluster unusable, 6 no network found or nothing to trace, 130 interrupted, 143 terminated."
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find small neural networks that learn a new image class from one or a few examples.",
    epilog=EXIT_CODES,
)
kubectl_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Look at searches on the cluster of the current kube context, and get out what they found.",
    epilog=EXIT_CODES,
)


class Format(StrEnum):
    """The formats of a list of trials, and of a board."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


class DatasetFormat(StrEnum):
    """The formats of a data set's metadata."""

    TABLE = "table"
    JSON = "json"


def main() -> None:
    """Run `metasearch`: searches on this machine, and on a cluster where one is named."""
    _run(app, "metasearch", always_remote=False)


def plugin() -> None:
    """Run `kubectl metasearch`: searches on a cluster."""
    _run(kubectl_app, "kubectl metasearch", always_remote=True)


def _run(commands: typer.Typer, name: str, always_remote: bool) -> None:
    """Run a command; print what the user can mend as one sentence, and exit with the error's code."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        commands(prog_name=name, obj=always_remote)
    except MetaSearchError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        file = error.filename or "standard output"
        _end(f"{file} cannot be used ({error.strerror}); mend that and try again", StoreUnavailable.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _exit_on_signal(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Exit through an exception, as Ctrl-C does, so that workers are ended first."""
    sys.exit(TERMINATED)


def _end(sentence: str, code: int) -> NoReturn:
    sys.stderr.write(f"metasearch: {sentence}\n")
    sys.exit(code)


@app.callback(invoke_without_command=True)
@kubectl_app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A MetaSearch resource in YAML.")],
    output: Annotated[Path | None, typer.Option(help="Folder for the results; default: runs/<name>.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that train; default: parallelism, at most one per core.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what the folder holds, if anything.")] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Override a field of spec, such as search.progressive.beamWidth=8; repeatable.",
        ),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Answer Prometheus at http://127.0.0.1:PORT/metrics while it runs."),
    ] = None,
    log_to: Annotated[
        list[str] | None,
        typer.Option(metavar=PLACE, help="Log curves and scores while it runs; repeatable."),
    ] = None,
) -> None:
    """Run a search on this machine, to its report."""
    from metasearch.loading import load_search
    from metasearch_cli.local import session
    from metasearch_cli.local.display import progress_shown
    from metasearch_cli.local.tracked import tracked
    from metasearch_cli.outcome.tables import print_status

    resource, console = load_search(file, overrides or []), Console()
    try:
        with (
            progress_shown(console, metrics_port) as shown,
            tracked(
                log_to or [], shown, warn=lambda sentence: typer.echo(f"metasearch: {sentence}", err=True)
            ) as display,
        ):
            snapshot = session.run(
                resource,
                output,
                workers,
                resume,
                display,
                announce=lambda sentence: console.print(sentence, markup=False, highlight=False, soft_wrap=True),
            )
    except (KeyboardInterrupt, SystemExit) as stop:
        told = "interrupted" if isinstance(stop, KeyboardInterrupt) else "told to end"
        typer.echo(f"metasearch: {told}; everything recorded is kept, and --resume goes on with it", err=True)
        raise
    print_status(console, snapshot.result)
    session.require_success(snapshot)
    console.print(f"report: {snapshot.report}", markup=False, highlight=False, soft_wrap=True)


for _command in (status, top):
    app.command()(_command)
    kubectl_app.command()(_command)


@app.command()
@kubectl_app.command()
def trials(
    ctx: typer.Context,
    subject: Subject,
    output: Annotated[Format, typer.Option("-o", "--output", help="How to list them.")] = Format.TABLE,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """List every trial."""
    from metasearch_cli.outcome.tables import print_trials, trials_as_csv, trials_as_json

    recorded = load_snapshot(ctx, subject, namespace, context).trials
    match output:
        case Format.TABLE:
            print_trials(Console(), recorded)
        case Format.CSV:
            typer.echo(trials_as_csv(recorded), nl=False)
        case Format.JSON:
            typer.echo(trials_as_json(recorded))


@app.command()
@kubectl_app.command()
def board(
    ctx: typer.Context,
    subject: Subject,
    columns: Annotated[
        str | None, typer.Option(metavar="NAMES", help="The columns, by commas; default: all with a value.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column to sort by, best first; default: stage and score.")
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="The other way round.")] = False,
    front: Annotated[
        str,
        typer.Option(
            metavar="NAMES", help="What counts for the front: where no other row is as good in all, and better in one."
        ),
    ] = "score,parameterCount",
    output: Annotated[Format, typer.Option("-o", "--output", help="How to print it.")] = Format.TABLE,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """List every measured cell with its scores and what they took: time, memory, parameters, latency."""
    from metasearch.outcome import board as boards
    from metasearch_cli.outcome import board_table, listing

    boards.require_front(board_table.names_in(front))
    snapshot = load_snapshot(ctx, subject, namespace, context)
    evaluation = snapshot.result.search.spec.evaluation
    found = boards.board(snapshot.trials, evaluation, board_table.names_in(front))
    chosen = board_table.chosen_columns(found, columns)
    rows = board_table.values(board_table.in_order(found, sort, reverse), chosen)
    match output:
        case Format.TABLE:
            listing.print_rows(Console(), chosen, rows)
        case Format.CSV:
            typer.echo(listing.as_csv(chosen, rows), nl=False)
        case Format.JSON:
            typer.echo(listing.as_json(chosen, rows))


app.command()(report)
kubectl_app.command()(report)


@app.command()
@kubectl_app.command()
def export(
    ctx: typer.Context,
    subject: Subject,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Where to; default: DIR/best, or NAME-best in the working directory; of a front DIR/front, NAME-front."
        ),
    ] = None,
    front: Annotated[
        bool,
        typer.Option(
            "--front", help="All networks of the front, where final.deliver is Front, each into a folder: 1, 2, …"
        ),
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="IMAGE",
            help="For the pod that reads weights on a claim; any with a shell. Default: that of the search's workers.",
        ),
    ] = None,
) -> None:
    """Write the delivered network: cell, weights, model card and a snippet that uses it."""
    snapshot = load_snapshot(ctx, subject, namespace, context, image)
    with Console(stderr=True).status("fetching the weights"):
        written = snapshot.export_front(output) if front else [snapshot.export(output)]
    typer.echo("\n".join(map(str, written)))


@app.command()
@kubectl_app.command()
def validate(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A MetaSearch resource in YAML.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field of spec.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Check a resource and its data, and say how long it takes; with --namespace or --context ask the cluster."""
    from metasearch.loading import load_search
    from metasearch.search.build import require_known_names, require_possible

    resource = load_search(file, overrides or [])
    findings, estimate = [resource.metadata.name], list[str]()
    if on_cluster := is_remote(ctx, namespace, context):
        target = cluster(namespace, context)
        from metasearch_cli.remote.session import dry_run

        dry_run(target, resource, file)
        findings.append(f"taken by the namespace {target.namespace}")
    else:
        require_known_names(resource.spec)
        require_possible(resource.spec)
    # Other data sets are on the cluster, or in a package that its image has.
    if on_cluster and not resource.spec.dataset.is_omniglot:
        findings.append("with data that is looked at there, before the first trial")
    else:
        from metasearch_cli.local import session

        data = session.summarize_data(resource.spec)
        findings.append(data.sentence)
        estimate += data.remarks
        if not on_cluster:
            estimate += session.estimate_time(resource.spec, data, session.default_workers(resource.spec))
    typer.echo("\n".join([f"{file} is a valid search: {', '.join(findings)}", *estimate]))


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A MetaSearch resource in YAML.")],
    output: Annotated[DatasetFormat, typer.Option("-o", "--output", help="How to print it.")] = DatasetFormat.TABLE,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field of spec.")
    ] = None,
) -> None:
    """Measure the data set of a search: classes, images, pixels, duplicates, tasks, and what would be refused."""
    from metasearch.loading import load_search
    from metasearch_cli.local import session
    from metasearch_cli.outcome.dataset_table import print_dataset

    resource = load_search(file, overrides or [])
    with Console(stderr=True).status("reading and comparing the images"):
        dataset = session.inspect(resource.spec)
    match output:
        case DatasetFormat.TABLE:
            print_dataset(Console(), dataset)
        case DatasetFormat.JSON:
            typer.echo(dataset.model_dump_json(by_alias=True, indent=2))


app.command()(latency)
app.command()(trace)
kubectl_app.command()(trace)
app.command()(log)
kubectl_app.command()(log)


if __name__ == "__main__":
    main()
