"""
The reasons of conditions and events: one word each, for programs.

docs/reference/conditions.md explains every one of them; a test compares the page with these enums.
"""

from __future__ import annotations

from enum import StrEnum

from metasearch.search.planner import Phase


class ReadyReason(StrEnum):
    """Reasons of Ready, which `kubectl get` shows in the column State. Progressing and events use the same."""

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
    NODE_LOST = "NodeLost"
    INVALID_SPEC = "InvalidSpec"
    INVALID_DATA = "InvalidData"
    STORE_UNAVAILABLE = "StoreUnavailable"
    OPERATOR_ERROR = "OperatorError"


class EndReason(StrEnum):
    """Reasons of the conditions Succeeded and Failed."""

    IN_PROGRESS = "InProgress"
    NETWORK_FOUND = "NetworkFound"
    NO_NETWORK = "NoNetwork"


class SuspendedReason(StrEnum):
    """Reasons of the condition Suspended."""

    SUSPENDED = "Suspended"
    NOT_SUSPENDED = "NotSuspended"


class ExhaustedReason(StrEnum):
    """Reasons of the condition BudgetExhausted: the limit that has ended a stage, by the name of its field."""

    WITHIN_BUDGET = "WithinBudget"
    MAX_TRIALS = "MaxTrials"
    MAX_FAILED_TRIALS = "MaxFailedTrials"
    WALL_TIME = "WallTime"
    GPU_HOURS = "GpuHours"


class EventReason(StrEnum):
    """Reasons of events that do not report a change of Ready."""

    ROUND_STARTED = "RoundStarted"
    BEST_SO_FAR = "BestSoFar"
    BUDGET_NEARLY_SPENT = "BudgetNearlySpent"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    FINAL_STARTED = "FinalStarted"
    NETWORK_DELIVERED = "NetworkDelivered"
