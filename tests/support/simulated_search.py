"""Searches in virtual time with everything that is on record of a real one: waits, progress, crashes and failures."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from builders import make_accuracies, make_result

from metasearch.search import trials as life
from metasearch.search.planner import Plan, Search, plan
from metasearch.search.trials import LOST, Progress, Reason, Stage, State, Trial, TrialResult, TrialSpec
from metasearch.stores.order import sort_key

Outcome = TrialResult | None
"""The end of an attempt; None where its worker is lost."""

Behaviour = Callable[[TrialSpec, np.random.Generator], tuple[float, Outcome]]
"""Invents how long an attempt takes, in seconds, and its end."""

MAX_ATTEMPTS = 2

GAINS = {"conv3x3": 0.04, "conv5x5": 0.055, "maxpool3x3": 0.015, "identity": -0.02}
"""The gain in score by each operation of a cell; a cell of four blocks has eight operations."""


@dataclass(frozen=True)
class Moment:
    """Everything that is on record of a search at one time."""

    at: float
    """Unix time in seconds."""
    trials: Sequence[Trial]
    decided: Plan


@dataclass(frozen=True)
class _Attempt:
    """An attempt under way, which sorts by its end."""

    ends: float
    name: str
    began: float
    outcome: Outcome

    def __lt__(self, other: _Attempt) -> bool:
        return (self.ends, self.name) < (other.ends, other.name)


def moments(
    search: Search, behaviour: Behaviour, slots: int, step_seconds: float, gpus: float = 0.0, seed: int = 0
) -> Iterator[Moment]:
    """
    Run a search until it is over, and yield what is on record at regular times and at the end.

    Args:
        slots: trials that run at the same time.
        gpus: the share of GPUs that a trial holds.
    """
    random = np.random.default_rng(seed)
    trials: dict[str, Trial] = {}
    running: list[_Attempt] = []
    now = next_moment = search.started_at
    while True:
        decided = plan(search, list(trials.values()), now)
        for spec in decided.propose:
            trials.setdefault(spec.name, Trial(spec=spec, created_at=now))
        trials |= {name: life.request_stop(trials[name]) for name in decided.stop}
        running = [each for each in running if not trials[each.name].state.is_over]
        if decided.phase.is_over:
            yield Moment(now, list(trials.values()), decided)
            return
        heapq.heapify(running)
        pending = sorted((each.spec for each in trials.values() if each.state is State.PENDING), key=sort_key)
        for spec in pending[: slots - len(running)]:
            seconds, outcome = behaviour(spec, random)
            trials[spec.name] = life.claim(trials[spec.name], f"worker-{len(running)}", now, gpus)
            heapq.heappush(running, _Attempt(now + seconds, spec.name, now, outcome))
        assert running, f"nothing to do and not over: {decided}"
        while next_moment < running[0].ends:
            seen = trials | {each.name: _with_progress(trials[each.name], each, next_moment) for each in running}
            yield Moment(next_moment, list(seen.values()), decided)
            next_moment += step_seconds
        ended = heapq.heappop(running)
        now = ended.ends
        trials[ended.name] = _ended(trials[ended.name], ended.outcome, now)


def _with_progress(trial: Trial, attempt: _Attempt, now: float) -> Trial:
    share = (now - attempt.began) / (attempt.ends - attempt.began)
    return life.report(trial, trial.epoch, Progress(meta_iteration=int(share * trial.spec.meta_iterations)))


def _ended(trial: Trial, outcome: Outcome, now: float) -> Trial:
    if outcome is None:
        return life.release(trial, now, LOST)
    return life.complete(trial, trial.epoch, outcome, now, MAX_ATTEMPTS)


# --- behaviours ---------------------------------------------------------------------------------------------------


def healthy(spec: TrialSpec, random: np.random.Generator) -> tuple[float, Outcome]:
    """Succeed, but for a worker now and then, and a candidate that diverges."""
    seconds = float(random.uniform(60, 240)) * (3 if spec.stage is not Stage.SEARCH else 1)
    chance = random.random()
    if chance < 0.05:
        return seconds / 2, None
    if chance < 0.1 and spec.stage is Stage.SEARCH:
        return seconds / 3, TrialResult(state=State.FAILED, reason=Reason.DIVERGED, message="loss is nan")
    return seconds, _measured(spec, random, seconds)


def out_of_memory(spec: TrialSpec, random: np.random.Generator) -> tuple[float, Outcome]:
    """Succeed in the first rounds, and lack memory for the larger candidates of later ones."""
    if spec.round > 6:
        return 45.0, TrialResult(state=State.FAILED, reason=Reason.OUT_OF_MEMORY, message="too large")
    seconds = float(random.uniform(60, 240))
    return seconds, _measured(spec, random, seconds)


def _measured(spec: TrialSpec, random: np.random.Generator, seconds: float) -> TrialResult:
    cell = spec.candidate.architecture
    score = (
        0.45 + sum(gain * cell.count(operation) for operation, gain in GAINS.items()) + float(random.normal(0, 0.01))
    )
    is_final = spec.stage is not Stage.SEARCH
    return replace(
        make_result(score, 100 * (1 + spec.candidate.architecture.count("conv"))),
        score_error=0.01,
        meta_iterations=spec.meta_iterations,
        wall_seconds=seconds,
        test=make_accuracies(score) if is_final else None,
        weights="w" if is_final else None,
    )
