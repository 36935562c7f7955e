"""A pod that is told to go while it starts goes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from metasearch.exit_codes import EXIT_RESTART

SITE = """
import os
import signal
import sys

class SignalAtImport:
    def find_spec(self, name, path=None, target=None):
        if name == "metasearch.cluster.api":
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, SignalAtImport())
"""
"""Sends SIGTERM while modules are being imported, of which this is one that the pod's program needs."""


def test_a_pod_that_is_told_to_go_while_it_imports_its_modules_ends_to_be_restarted(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITE)
    command = [sys.executable, "-m", "metasearch_trainer.pod", "--search", "a"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (EXIT_RESTART, "")
