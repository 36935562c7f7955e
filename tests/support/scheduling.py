"""The distribution of tests over the processes of pytest-xdist."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

NODES = "tests/cluster/nodes"


class FileScheduling(LoadFileScheduling):
    """
    Tests of one file run in one process, and those with nodes all run in the same one.

    Fixtures of a session exist once per process, so a second process with such a test would start nodes of its own and
    keep them, idle but not without work, until its end.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return NODES if file.startswith(f"{NODES}/") else file
