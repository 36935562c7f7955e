"""Limits that an alert tells of and that a dashboard colours, so that both say the same."""

from __future__ import annotations

CACHE_STALE_SECONDS = 180
"""The age of a copy of the cluster; a watch that is well is heard of once a minute."""

STATUS_NEAR_LIMIT_BYTES = 131_072
"""The size of a search's status; it is made to stay below 100 KiB."""

NEARLY_SPENT_SHARE = 0.9
"""The share of a limit of the budget."""
