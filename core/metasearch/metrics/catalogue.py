"""All metrics that there are: what is not here is exposed nowhere."""

from __future__ import annotations

from metasearch.metrics import of_operator, of_search, of_worker
from metasearch.metrics.model import Metric

METRICS: tuple[Metric, ...] = (*of_search.METRICS, *of_operator.METRICS, *of_worker.METRICS)
