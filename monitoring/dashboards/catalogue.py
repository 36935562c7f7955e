"""All dashboards, and the metrics that none of them shows."""

from __future__ import annotations

from monitoring.dashboards import all_searches, of_operator, one_search
from monitoring.dashboards.model import Dashboard

DASHBOARDS: tuple[Dashboard, ...] = (all_searches.DASHBOARD, one_search.DASHBOARD, of_operator.DASHBOARD)
