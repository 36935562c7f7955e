"""
What is so of a search: its conditions.

    Ready            nothing is in its way; the reason says where the search is
    Progressing      trials are made or run
    Succeeded        it has ended with a network
    Failed           it has ended without one
    Suspended        spec.suspend has taken the workers away
    BudgetExhausted  a limit of spec.budget has ended a stage of it

All six are there once a pass was made. `lastTransitionTime` changes with `status` alone, as everywhere in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from metasearch.api import MetaSearchSpec
from metasearch.kubernetes.search_status import (
    EXHAUSTED,
    FAILED,
    PROGRESSING,
    READY,
    SUCCEEDED,
    SUSPENDED,
    Condition,
    ConditionStatus,
)
from metasearch.kubernetes.times import Time
from metasearch.search.planner import Phase, Plan
from metasearch_operator.reasons import EndReason, ExhaustedReason, ReadyReason, SuspendedReason
from metasearch_operator.troubles import Trouble

MESSAGE_MAX_LENGTH = 400

UNDER_WAY = {
    Phase.SEARCHING: "worker pods run trials",
    Phase.FINAL: "worker pods train the best cells in full",
}


@dataclass(frozen=True)
class Situation:
    """All that a search's conditions depend on."""

    spec: MetaSearchSpec
    plan: Plan
    workers: int
    """Pods that run."""
    trials_running: int
    trouble: Trouble | None
    remarks: Sequence[str]
    """What else a person should know."""


def conditions(situation: Situation, before: Sequence[Condition], generation: int, now: float) -> tuple[Condition, ...]:
    """
    Args:
        before: the conditions on record.
        generation: of the resource that this is said of.
        now: Unix time in seconds.
    """
    said = [
        _ready(situation),
        _progressing(situation),
        _succeeded(situation),
        _failed(situation),
        _suspended(situation),
        _exhausted(situation),
    ]
    return dated(said, before, generation, now)


def invalid(trouble: Trouble, before: Sequence[Condition], generation: int, now: float) -> tuple[Condition, ...]:
    """Of a search that cannot be made sense of; what else was said of it stays, of the generation it was said of."""
    said = [_Said(READY, False, trouble.reason, trouble.message), _Said(PROGRESSING, False, trouble.reason, "")]
    kept = [condition for condition in before if condition.type not in (READY, PROGRESSING)]
    return (*dated(said, before, generation, now), *kept)


def has_ended(conditions: Iterable[Condition], generation: int) -> bool:
    """Whether a search has ended, and its spec is the one that it ended with."""
    return any(
        condition.status == "True" and condition.observed_generation == generation
        for condition in conditions
        if condition.type in (SUCCEEDED, FAILED)
    )


# --- each of them -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Said:
    type: str
    holds: bool
    reason: str
    message: str = ""


def _ready(situation: Situation) -> _Said:
    phase, trouble = situation.plan.phase, situation.trouble
    if phase.is_over:
        said = _Said(READY, phase is Phase.SUCCEEDED, ReadyReason(phase), _ending(situation))
    elif situation.spec.suspend:
        said = _Said(READY, False, ReadyReason.SUSPENDED, "spec.suspend is true; nothing found is lost")
    elif trouble and not (situation.workers and situation.trials_running):
        said = _Said(READY, False, trouble.reason, trouble.message)
    elif not situation.workers:
        said = _Said(READY, False, ReadyReason.WAITING_FOR_WORKERS, "no worker pod runs yet")
    else:
        said = _Said(READY, True, ReadyReason(phase), trouble.message if trouble else UNDER_WAY[phase])
    return replace(said, message="; ".join(filter(None, [said.message, *situation.remarks])))


def _progressing(situation: Situation) -> _Said:
    ready = _ready(situation)
    is_under_way = not situation.plan.phase.is_over and (ready.holds or ready.reason == ReadyReason.WAITING_FOR_WORKERS)
    return _Said(PROGRESSING, is_under_way, ready.reason)


def _succeeded(situation: Situation) -> _Said:
    if situation.plan.phase is Phase.SUCCEEDED:
        return _Said(SUCCEEDED, True, EndReason.NETWORK_FOUND, _ending(situation))
    is_over = situation.plan.phase.is_over
    return _Said(SUCCEEDED, False, EndReason.NO_NETWORK if is_over else EndReason.UNDER_WAY)


def _failed(situation: Situation) -> _Said:
    if situation.plan.phase is Phase.FAILED:
        return _Said(FAILED, True, EndReason.NO_NETWORK, _ending(situation))
    is_over = situation.plan.phase.is_over
    return _Said(FAILED, False, EndReason.NETWORK_FOUND if is_over else EndReason.UNDER_WAY)


def _suspended(situation: Situation) -> _Said:
    if situation.spec.suspend and not situation.plan.phase.is_over:
        return _Said(SUSPENDED, True, SuspendedReason.ASKED_FOR, "spec.suspend is true")
    return _Said(SUSPENDED, False, SuspendedReason.NOT_ASKED_FOR)


def _exhausted(situation: Situation) -> _Said:
    limit = situation.plan.limit
    if limit is None:
        return _Said(EXHAUSTED, False, ExhaustedReason.WITHIN_BUDGET)
    given = situation.spec.budget.model_dump(mode="json", by_alias=True)[limit]
    ended = "the search" if situation.plan.phase.is_over else "a stage"
    return _Said(
        EXHAUSTED,
        True,
        ExhaustedReason(limit[0].upper() + limit[1:]),
        f"budget.{limit} ({given}) has ended {ended} early; everything found is kept",
    )


def _ending(situation: Situation) -> str:
    if situation.plan.phase is Phase.FAILED:
        return situation.plan.message or ""
    if situation.spec.storage is None:
        return "weights were not kept, for spec.storage is not set"
    return "the network is delivered"


def dated(said: Iterable[_Said], before: Sequence[Condition], generation: int, now: float) -> tuple[Condition, ...]:
    """With the time since when each is so."""
    known = {condition.type: condition for condition in before}
    dated = []
    for one in said:
        status = ConditionStatus.TRUE if one.holds else ConditionStatus.FALSE
        old = known.get(one.type)
        dated.append(
            Condition(
                type=one.type,
                status=status,
                reason=one.reason,
                message=_shortened(one.message),
                last_transition_time=old.last_transition_time if old and old.status is status else Time.at(now),
                observed_generation=generation,
            )
        )
    return tuple(dated)


def _shortened(message: str) -> str:
    return message if len(message) <= MESSAGE_MAX_LENGTH else f"{message[: MESSAGE_MAX_LENGTH - 1]}…"
