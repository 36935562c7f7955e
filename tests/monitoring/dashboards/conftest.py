from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from devcluster.binaries import MissingProgram
from devcluster.prometheus import find_program
from monitoring.dashboards.model import SearchState
from scraped_searches import Scraped, scraping_each_state


@pytest.fixture(scope="session")
def scraped() -> Iterator[Mapping[SearchState, Scraped]]:
    """Return a Prometheus for each state."""
    try:
        find_program("prometheus")
    except MissingProgram as missing:
        pytest.skip(str(missing))
    with scraping_each_state() as found:
        yield found
