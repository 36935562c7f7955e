"""A Ctrl-C while the commands are imported ends them without a traceback."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

INTERRUPTED_IMPORT = """
import importlib.abc, sys

class Interrupting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "metasearch_cli.main":
            raise KeyboardInterrupt

from metasearch_cli import entry_points
sys.meta_path.insert(0, Interrupting())
entry_points.{program}()
"""


@pytest.mark.parametrize("program", ["metasearch", "kubectl_metasearch"])
def test_an_interrupted_import_is_no_traceback(program: str) -> None:
    code = INTERRUPTED_IMPORT.format(program=program)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_nothing_else_is_imported_before() -> None:
    """Every import before is a moment in which a Ctrl-C prints a traceback."""
    code = "import sys; known = set(sys.modules); import metasearch_cli.entry_points; print(*set(sys.modules) - known)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) == {"metasearch_cli", "metasearch_cli.entry_points"}


@pytest.mark.parametrize("arguments", [["--version"], ["status", "--help"], ["status", "no-such-run"]])
def test_it_is_a_module_too(arguments: list[str]) -> None:
    run = partial(subprocess.run, capture_output=True, text=True, check=False)
    program = run([Path(sys.executable).with_name("metasearch"), *arguments])
    module = run([sys.executable, "-m", "metasearch", *arguments])
    assert (module.returncode, module.stdout, module.stderr) == (program.returncode, program.stdout, program.stderr)


def test_without_the_command_line_the_module_says_so() -> None:
    code = "import importlib.metadata, runpy; importlib.metadata.entry_points = lambda **_: (); runpy.run_module({})"
    code = code.format("'metasearch', run_name='__main__'")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("metasearch: this Python has its library and not its command line; pip install")
