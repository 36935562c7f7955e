from __future__ import annotations

import pytest
from cluster_fixtures import find_or_skip
from devcluster.prometheus import find_program


@pytest.fixture(scope="session")
def prometheus_programs() -> None:
    """Skip with a sentence where Prometheus or promtool is missing."""
    for name in ("promtool", "prometheus"):
        find_or_skip(lambda name=name: find_program(name))
