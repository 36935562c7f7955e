"""Metrics of the operator's process. They begin anew when it does."""

from __future__ import annotations

from metasearch.metrics.model import PREFIX, Kind, Metric, Unit

REQUEST_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 30)
RECONCILE_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
"""Bounds from what a small search takes to the ranking of a hundred thousand candidates."""

BUILD_INFO = Metric(
    f"{PREFIX}build_info", Kind.GAUGE, "Always 1; its label says which MetaSearch this is.", ("version",)
)
RECONCILE_SECONDS = Metric(
    f"{PREFIX}reconcile_seconds",
    Kind.HISTOGRAM,
    "Time of a reconcile of one search, ranking included.",
    unit=Unit.SECONDS,
    buckets=RECONCILE_BUCKETS,
)
RECONCILE_ERRORS = Metric(
    f"{PREFIX}reconcile_errors_total",
    Kind.COUNTER,
    "Reconciles that ended in an error and are tried again; StoreUnavailable is one of the API server.",
    ("reason",),
)
RANKING_SECONDS = Metric(
    f"{PREFIX}ranking_seconds",
    Kind.HISTOGRAM,
    "Time to fit the surrogate and rank the candidates of a round, in a process of its own.",
    unit=Unit.SECONDS,
    buckets=RECONCILE_BUCKETS,
)
API_REQUEST_SECONDS = Metric(
    f"{PREFIX}api_request_seconds",
    Kind.HISTOGRAM,
    "Time to the answer of the API server; code is empty where none came. Watches count until their first byte.",
    ("verb", "resource", "code"),
    Unit.SECONDS,
    REQUEST_BUCKETS,
)
WATCH_RESTARTS = Metric(
    f"{PREFIX}watch_restarts_total",
    Kind.COUNTER,
    "Watches that broke, so that everything was listed again.",
    ("resource", "reason"),
)
CACHE_AGE_SECONDS = Metric(
    f"{PREFIX}cache_age_seconds",
    Kind.GAUGE,
    "Time since the watch of a kind was last heard of; about a minute at most while all is well.",
    ("resource",),
    Unit.SECONDS,
)

METRICS = (
    BUILD_INFO,
    RECONCILE_SECONDS,
    RECONCILE_ERRORS,
    RANKING_SECONDS,
    API_REQUEST_SECONDS,
    WATCH_RESTARTS,
    CACHE_AGE_SECONDS,
)
"""All metrics of the operator's process."""
