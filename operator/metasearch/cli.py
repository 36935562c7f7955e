"""
The command line, `metasearch`.

Exit codes: 0 done · 1 a fault of ours · 2 wrong command line or resource · 3 wrong data · 4 the folder is not ours to
use · 5 the disk or store cannot be used · 6 the search ended without a network · 130 interrupted
(Ctrl-C) · 143 terminated (SIGTERM)
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

from metasearch import __version__
from metasearch.errors import MetaSearchError, StoreUnavailable

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find small neural networks that learn a new image class from one or a few examples.",
    epilog="Exit codes: 0 done, 2 wrong command line or resource, 3 wrong data, 4 folder in use or of another search, "
    "5 disk or store unusable, 6 no network found, 130 interrupted, 143 terminated.",
)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The --output folder of a run.")]


class Format(StrEnum):
    """How trials are listed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def main() -> None:
    """Run a command; what the user can mend is told in one sentence."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        app()
    except MetaSearchError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        place = error.filename or "standard output"
        _end(f"{place} cannot be used ({error.strerror}); mend that and try again", StoreUnavailable.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End by an exception, as Ctrl-C does, so that what is at work is ended first."""
    sys.exit(TERMINATED)


def _end(sentence: str, code: int) -> NoReturn:
    sys.stderr.write(f"metasearch: {sentence}\n")
    sys.exit(code)


@app.callback(invoke_without_command=True)
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
            "--set", metavar="PATH=VALUE", help="Override a field of spec, such as search.beamWidth=8; repeatable."
        ),
    ] = None,
) -> None:
    """Run a search on this machine, to its report."""
    from metasearch.loading import load_search
    from metasearch.local import session

    resource = load_search(file, overrides or [])
    try:
        session.run_and_report(resource, output, workers, resume, Console())
    except KeyboardInterrupt:
        typer.echo("metasearch: interrupted; everything recorded is kept, and --resume goes on with it", err=True)
        raise


@app.command()
def status(folder: Folder) -> None:
    """Say how far a search is."""
    from metasearch.local import session
    from metasearch.tables import print_status

    print_status(Console(), session.look(folder).result)


@app.command()
def trials(
    folder: Folder,
    output: Annotated[Format, typer.Option("-o", "--output", help="How to list them.")] = Format.TABLE,
) -> None:
    """List every trial."""
    from metasearch.local import session
    from metasearch.tables import print_trials, trials_as_csv, trials_as_json

    recorded = session.look(folder).trials
    match output:
        case Format.TABLE:
            print_trials(Console(), recorded)
        case Format.CSV:
            typer.echo(trials_as_csv(recorded), nl=False)
        case Format.JSON:
            typer.echo(trials_as_json(recorded))


@app.command()
def report(folder: Folder) -> None:
    """Write report.html anew, from what is recorded now."""
    from metasearch.local import session

    typer.echo(session.write_report(folder))


@app.command()
def export(
    folder: Folder,
    output: Annotated[Path | None, typer.Option(help="Where to; default: DIR/best.")] = None,
) -> None:
    """Write the delivered network: cell, weights, model card and a snippet that uses it."""
    from metasearch.local import session

    typer.echo(session.export_best(folder, output))


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A MetaSearch resource in YAML.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field of spec.")
    ] = None,
) -> None:
    """Check a resource, and that its data is there and enough for the task."""
    from metasearch.loading import load_search
    from metasearch_trainer.data import load

    resource = load_search(file, overrides or [])
    spec = resource.spec
    splits = load(spec.dataset, spec.task, spec.training)
    parts = (("training", splits.train), ("validation", splits.validation), ("test", splits.test))
    classes = ", ".join(f"{len(images.counts)} {part} classes" for part, images in parts)
    typer.echo(f"{file} is a valid search: {resource.metadata.name}, {classes} of {splits.train.side} pixels")


if __name__ == "__main__":
    main()
