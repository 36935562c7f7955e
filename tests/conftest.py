"""Said before anything imports torch: one thread per process, for the machines that run tests share their cores."""

from __future__ import annotations

import os

import pytest

os.environ["OMP_NUM_THREADS"] = "1"

pytest_plugins = ["cluster_fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cluster",
        metavar="KUBECONFIG",
        help="test against the cluster that this file leads to, as an administrator, and start none",
    )


@pytest.hookimpl(tryfirst=True)  # before those who share them look at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests: a file stays together, and so does all that has nodes."""
    for item in items:
        needs_nodes = {"cluster", "node_binaries"} & {*getattr(item, "fixturenames", ())}
        item.add_marker(pytest.mark.xdist_group("nodes" if needs_nodes else str(item.path)))
