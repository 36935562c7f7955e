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
