"""Helpers for tests of the sentences that commands print when they cannot do what was asked."""

from __future__ import annotations

import os
import subprocess

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""A command prefix that takes away root's right to read and write any file."""


def error_sentence(ended: subprocess.CompletedProcess[str], code: int) -> str:
    """Return the one sentence on stderr of a command that ended with this exit code."""
    assert ended.returncode == code, f"{ended.returncode}: {ended.stderr}"
    assert ended.stderr.startswith("metasearch: "), ended.stderr
    assert ended.stderr.endswith("\n")
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr.removeprefix("metasearch: ").removesuffix("\n")
