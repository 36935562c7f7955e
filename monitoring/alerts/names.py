"""Names of alerts that others ask for, because the one says what the other is about."""

from __future__ import annotations

API_UNAVAILABLE = "MetaSearchApiServerUnavailable"
CACHE_STALE = "MetaSearchOperatorCacheStale"
RIGHTS_MISSING = "MetaSearchRightsMissing"
OPERATOR_ERROR = "MetaSearchSearchOperatorError"
SPOOLED = "MetaSearchResultsSpooled"
