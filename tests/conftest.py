"""
Options and fixtures of the whole suite.

Importing this first limits PyTorch to one thread per process, since test processes share the machine's cores.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"
# Before anything imports Triton: kernels for GPUs then run on a CPU, which shows that they compute the right thing.
os.environ["TRITON_INTERPRET"] = "1"

# A suite that a shell runs in the background ignores Ctrl-C, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that does other work besides may take a second for what takes a millisecond.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

pytest_plugins = ["cluster_fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cluster",
        metavar="KUBECONFIG",
        help="test against the cluster that this file leads to, as an administrator, and start none",
    )
    parser.addoption("--whole", action="store_true", help="try all cases where the suite tries a sample of them")


@pytest.fixture(scope="session")
def whole(pytestconfig: pytest.Config) -> bool:
    """Tell whether a test is to try all of its cases."""
    return bool(pytestconfig.getoption("whole"))


BUILD_SECONDS = 2700
"""Time limit of a test whose fixtures may have to build images, on a machine that does other work besides."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and {"built_images", "cluster"} & set(item.fixturenames):
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@pytest.hookimpl(optionalhook=True)  # the suite also runs without xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getvalue("dist") != "loadfile":
        return None
    from scheduling import FileScheduling

    return FileScheduling(config, log)
