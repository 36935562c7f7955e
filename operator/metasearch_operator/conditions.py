"""
Compute the status conditions of a MetaSearch.

    Ready            nothing is in the search's way; the reason says how far it is
    Progressing      trials are created or run
    Succeeded        the search has ended with a network
    Failed           the search has ended without one
    Suspended        spec.suspend has taken the workers away
    BudgetExhausted  a limit of spec.budget has ended a stage of the search

All six are present after the first reconcile. `lastTransitionTime` changes only when `status` does, which is the rule
everywhere in Kubernetes.
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
from metasearch_operator.diagnosis import Problem
from metasearch_operator.reasons import EndReason, ExhaustedReason, ReadyReason, SuspendedReason

MESSAGE_MAX_LENGTH = 400
"""The definition's limit. A status with a longer message would be refused as a whole."""

READY_MESSAGES = {
    Phase.SEARCHING: "worker pods run trials",
    Phase.FINAL: "worker pods train the best cells in full",
}


@dataclass(frozen=True)
class Situation:
    """Everything that a search's conditions depend on."""

    spec: MetaSearchSpec
    plan: Plan
    workers: int
    """Number of pods that run."""
    trials_running: int
    problem: Problem | None
    remarks: Sequence[str]
    """Sentences for people that are appended to Ready's message."""
    has_claimed: bool = True
    """True if a worker has ever claimed a trial of the search."""


def compute_conditions(
    situation: Situation, before: Sequence[Condition], generation: int, now: float
) -> tuple[Condition, ...]:
    """
    Return all six conditions.

    Args:
        before: the conditions on record, whose transition times are kept where the status is the same.
        generation: `metadata.generation` of the resource that the situation was computed from.
        now: Unix time in seconds.
    """
    states = [
        _ready(situation),
        _progressing(situation),
        _succeeded(situation),
        _failed(situation),
        _suspended(situation),
        _exhausted(situation),
    ]
    return _with_transition_times(states, before, generation, now)


def problem_conditions(
    problem: Problem, before: Sequence[Condition], generation: int, now: float
) -> tuple[Condition, ...]:
    """
    Return the conditions of a search that cannot be reconciled: Ready and Progressing are False, the others stay.

    Those that stay keep the generation that they were computed for, so that nobody takes the end of an earlier spec for
    the end of this one.
    """
    states = [
        _State(READY, False, problem.reason, problem.message),
        _State(PROGRESSING, False, problem.reason, ""),
    ]
    kept = [condition for condition in before if condition.type not in (READY, PROGRESSING)]
    return (*_with_transition_times(states, before, generation, now), *kept)


def still_ended_conditions(before: Sequence[Condition], generation: int, now: float) -> tuple[Condition, ...]:
    """Return the conditions of a search that had ended with another spec, and has nothing more to do with this one."""
    (end,) = (each for each in before if each.type in (SUCCEEDED, FAILED) and each.status is ConditionStatus.TRUE)
    reason = ReadyReason(Phase.SUCCEEDED if end.type == SUCCEEDED else Phase.FAILED)
    states = [
        # Anew, because a problem with a spec in between has replaced them.
        _State(READY, end.type == SUCCEEDED, reason, end.message),
        _State(PROGRESSING, False, reason),
    ]
    kept = (each for each in before if each.type not in (READY, PROGRESSING))
    states += [_State(each.type, each.status is ConditionStatus.TRUE, each.reason, each.message) for each in kept]
    return _with_transition_times(states, before, generation, now)


def has_ended(conditions: Iterable[Condition], generation: int | None = None) -> bool:
    """Return whether the search has ended with the spec of this generation, or of any."""
    return any(
        condition.status == "True" and generation in (None, condition.observed_generation)
        for condition in conditions
        if condition.type in (SUCCEEDED, FAILED)
    )


# --- one function per condition -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _State:
    """A condition without its times."""

    type: str
    holds: bool
    reason: str
    message: str = ""


def _ready(situation: Situation) -> _State:
    """Compute Ready. Where several cases hold, the first of them is what matters most to a person."""
    phase, problem = situation.plan.phase, situation.problem
    if phase.is_over:
        state = _State(READY, phase is Phase.SUCCEEDED, ReadyReason(phase), _end_message(situation))
    elif situation.spec.suspend:
        state = _State(READY, False, ReadyReason.SUSPENDED, "spec.suspend is true; nothing found is lost")
    # A problem of one pod does not stop a search whose other pods run trials. Pods alone do not count: those of an
    # earlier template may still run, without a trial, while their successors cannot start.
    elif problem and not (situation.workers and situation.trials_running):
        state = _State(READY, False, problem.reason, problem.message)
    elif not situation.workers:
        state = _State(READY, False, ReadyReason.WAITING_FOR_WORKERS, "no worker pod runs yet")
    # A pod runs for half a minute and more, in which it loads the data, before it has its first trial.
    elif not situation.has_claimed:
        message = "worker pods run, and none has taken a trial yet"
        state = _State(READY, False, ReadyReason.WAITING_FOR_WORKERS, message)
    else:
        state = _State(READY, True, ReadyReason(phase), problem.message if problem else READY_MESSAGES[phase])
    return replace(state, message="; ".join(filter(None, [state.message, *situation.remarks])))


def _progressing(situation: Situation) -> _State:
    ready = _ready(situation)
    # Workers that are about to start are progress, too: otherwise each start would look like a stalled search.
    is_working = not situation.plan.phase.is_over and (ready.holds or ready.reason == ReadyReason.WAITING_FOR_WORKERS)
    return _State(PROGRESSING, is_working, ready.reason)


def _succeeded(situation: Situation) -> _State:
    if situation.plan.phase is Phase.SUCCEEDED:
        return _State(SUCCEEDED, True, EndReason.NETWORK_FOUND, _end_message(situation))
    is_over = situation.plan.phase.is_over
    return _State(SUCCEEDED, False, EndReason.NO_NETWORK if is_over else EndReason.IN_PROGRESS)


def _failed(situation: Situation) -> _State:
    if situation.plan.phase is Phase.FAILED:
        return _State(FAILED, True, EndReason.NO_NETWORK, _end_message(situation))
    is_over = situation.plan.phase.is_over
    return _State(FAILED, False, EndReason.NETWORK_FOUND if is_over else EndReason.IN_PROGRESS)


def _suspended(situation: Situation) -> _State:
    if situation.spec.suspend and not situation.plan.phase.is_over:
        return _State(SUSPENDED, True, SuspendedReason.SUSPENDED, "spec.suspend is true")
    return _State(SUSPENDED, False, SuspendedReason.NOT_SUSPENDED)


def _exhausted(situation: Situation) -> _State:
    limit = situation.plan.limit
    if limit is None:
        return _State(EXHAUSTED, False, ExhaustedReason.WITHIN_BUDGET)
    value = situation.spec.budget.model_dump(mode="json", by_alias=True)[limit]
    ended = "the search" if situation.plan.phase.is_over else "a stage"
    return _State(
        EXHAUSTED,
        True,
        ExhaustedReason(limit[0].upper() + limit[1:]),  # reasons are in CamelCase, fields in camelCase
        f"budget.{limit} ({value}) has ended {ended} early; everything found is kept",
    )


def _end_message(situation: Situation) -> str:
    if situation.plan.phase is Phase.FAILED:
        return situation.plan.message or ""
    if situation.spec.storage is None:
        return "weights were not kept, for spec.storage is not set"
    return "the network is delivered"


# --- times --------------------------------------------------------------------------------------------------------


def _with_transition_times(
    states: Iterable[_State], before: Sequence[Condition], generation: int, now: float
) -> tuple[Condition, ...]:
    known = {condition.type: condition for condition in before}
    conditions = []
    for state in states:
        status = ConditionStatus.TRUE if state.holds else ConditionStatus.FALSE
        old = known.get(state.type)
        conditions.append(
            Condition(
                type=state.type,
                status=status,
                reason=state.reason,
                message=_shortened(state.message),
                last_transition_time=old.last_transition_time if old and old.status is status else Time.at(now),
                observed_generation=generation,
            )
        )
    return tuple(conditions)


def _shortened(message: str) -> str:
    return message if len(message) <= MESSAGE_MAX_LENGTH else f"{message[: MESSAGE_MAX_LENGTH - 1]}…"
