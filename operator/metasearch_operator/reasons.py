"""
Every reason of a condition and of an event: one word each, for programs.

docs/reference/conditions.md says of each what it means and what to do; a test sees to it that none is missing there.
"""

from __future__ import annotations

from enum import StrEnum

from metasearch.search.planner import Phase


class ReadyReason(StrEnum):
    """Why a search is ready, or is not: the column State of `kubectl get`. Progressing and events say the same."""

    SEARCHING = Phase.SEARCHING
    FINAL = Phase.FINAL
    SUCCEEDED = Phase.SUCCEEDED
    FAILED = Phase.FAILED
    SUSPENDED = "Suspended"
    QUEUED = "Queued"
    WAITING_FOR_WORKERS = "WaitingForWorkers"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_UNAVAILABLE = "ImageUnavailable"
    PODS_REFUSED = "PodsRefused"
    WORKERS_FAILING = "WorkersFailing"
    INVALID_SPEC = "InvalidSpec"
    INVALID_DATA = "InvalidData"
    STORE_UNAVAILABLE = "StoreUnavailable"
    OPERATOR_ERROR = "OperatorError"


class EndReason(StrEnum):
    """Of Succeeded and Failed."""

    UNDER_WAY = "UnderWay"
    NETWORK_FOUND = "NetworkFound"
    NO_NETWORK = "NoNetwork"


class SuspendedReason(StrEnum):
    """Of Suspended."""

    ASKED_FOR = "AskedFor"
    NOT_ASKED_FOR = "NotAskedFor"


class ExhaustedReason(StrEnum):
    """Of BudgetExhausted: the limit that has ended a stage, by the name of its field."""

    WITHIN_BUDGET = "WithinBudget"
    MAX_TRIALS = "MaxTrials"
    MAX_FAILED_TRIALS = "MaxFailedTrials"
    WALL_TIME = "WallTime"
    GPU_HOURS = "GpuHours"


class EventReason(StrEnum):
    """Of events that do not tell of Ready."""

    BUDGET_EXHAUSTED = "BudgetExhausted"
    LEVEL_STARTED = "LevelStarted"
