"""All alerts that there are."""

from __future__ import annotations

from monitoring.alerts import budget, gpu, operator, search, surrogate, workers

GROUPS = (operator.GROUP, search.GROUP, workers.GROUP, budget.GROUP, surrogate.GROUP, gpu.GROUP)
"""By subject, in the order of the docs."""

ALERTS = tuple(alert for group in GROUPS for alert in group.alerts)
