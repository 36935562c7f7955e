"""A Ctrl-C while the commands are imported ends them without a traceback."""

from __future__ import annotations

import subprocess
import sys

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
