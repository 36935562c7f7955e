"""The command line explains itself, and is what docs/cli.md says it is."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
import typer
from local_search import metasearch

from metasearch import __version__, errors
from metasearch_cli.main import INTERRUPTED, TERMINATED, app, kubectl_app

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
SYNOPSES = re.findall(r"^    (metasearch .*)$", DOCS.partition("| exit code |")[0], flags=re.MULTILINE)
OPTION = re.compile(r"^│ (--\w+)(?: +(-\w)\b)?", flags=re.MULTILINE)
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
KUBECTL_COMMANDS = typer.main.get_command(kubectl_app).commands  # type: ignore[attr-defined]


def test_the_version_is_printed() -> None:
    ended = metasearch("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{__version__}\n", "")


def test_the_help_lists_every_command_and_the_exit_codes() -> None:
    ended = metasearch("--help")
    assert ended.returncode == 0
    assert [name for name in COMMANDS if f" {name} " not in ended.stdout] == []
    assert "Exit codes: 0 done, 2 wrong command line" in ended.stdout


@pytest.mark.parametrize("line", SYNOPSES)
def test_a_command_takes_what_the_docs_say(line: str) -> None:
    name, argument = line.split()[1:3]
    ended = metasearch(name, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert argument.removesuffix("…") in ended.stdout
    offered = [{long, short} for long, short in OPTION.findall(ended.stdout) if long != "--help"]
    documented = re.findall(r"\[(--?\w+)", line)
    assert len(offered) == len(documented)
    assert set(documented) <= set().union(*offered)


def test_the_docs_list_every_command() -> None:
    assert [line.split()[1] for line in SYNOPSES] == list(COMMANDS)


def test_kubectl_has_every_command_that_needs_no_data_here() -> None:
    assert list(KUBECTL_COMMANDS) == [name for name in COMMANDS if name not in ("run", "inspect", "latency")]


def test_a_folder_is_looked_at_without_the_kubernetes_client(tmp_path: Path) -> None:
    """The client takes most of a second to import, and not every machine has it."""
    blocked = tmp_path / "kubernetes.py"
    blocked.write_text("raise SystemExit('imported')", encoding="utf-8")
    ended = metasearch("status", tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert ended.returncode == 4
    ended = metasearch("status", "mine", "-n", "team-a", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert "imported" in ended.stderr


def test_the_docs_list_every_exit_code() -> None:
    kinds = errors.MetaSearchError.__subclasses__()
    codes = {0, errors.MetaSearchError.exit_code, INTERRUPTED, TERMINATED, *(kind.exit_code for kind in kinds)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", DOCS, flags=re.MULTILINE)} == codes
