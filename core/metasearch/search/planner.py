"""
plan(): the whole search as one pure function of what was asked, what was recorded, and the time.

    level 1 ─▶ level 2 ─▶ … ─▶ last level ─▶ final trials and baseline ─▶ done
    a limit of the budget ends whichever stage it is reached in

Nothing is remembered between calls. Whoever drives the search creates what is proposed, stops what is to be stopped,
and asks again; killed anywhere and asked again, it comes to the same place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic

from metasearch.api import Baseline, MetaSearchSpec
from metasearch.errors import InvalidSpec
from metasearch.search import board, budget
from metasearch.search.early_stopping import thresholds
from metasearch.search.space import C, Space
from metasearch.search.strategies import Strategy
from metasearch.search.strategies.base import Measured
from metasearch.search.trials import Stage, State, Trial, TrialSpec, trial_name


@dataclass(frozen=True)
class Search(Generic[C]):
    """What is searched. Fixed from beginning to end, but for the budget and the time paused."""

    name: str
    spec: MetaSearchSpec
    space: Space[C]
    strategy: Strategy[C]
    started_at: float
    """Unix time in seconds."""
    paused_seconds: float = 0.0
    """Time since then in which nobody drove it."""

    def wall_seconds(self, now: float) -> float:
        """Time that counts against `budget.wallTime`."""
        return max(0.0, now - self.started_at - self.paused_seconds)


class Phase(StrEnum):
    """Where a search is."""

    SEARCHING = "Searching"
    FINAL = "Final"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_over(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


@dataclass(frozen=True)
class Plan:
    """What to do next. With nothing to propose or stop, wait for the trials under way."""

    phase: Phase
    propose: tuple[TrialSpec, ...] = ()
    """Trials to create; those that exist already are left as they are."""
    stop: tuple[str, ...] = ()
    """Names of trials to end."""
    limit: budget.Limit | None = None
    """The limit that has ended a stage."""
    message: str | None = None
    """Why the search failed."""


def plan(search: Search[C], trials: Sequence[Trial], now: float) -> Plan:
    """
    Args:
        trials: every trial on record, in any order.
        now: Unix time in seconds.
    """
    used = budget.spent(trials, search.wall_seconds(now), now)
    searching = [trial for trial in trials if trial.spec.stage is Stage.SEARCH]
    final = [trial for trial in trials if trial.spec.stage is not Stage.SEARCH]
    if final:  # once entered, the final stage is not left
        return _plan_final(search, searching, final, used)
    limit = budget.reached(search.spec, used, Stage.SEARCH)
    running = [trial for trial in searching if not trial.state.is_over]
    if limit is not None and running:
        return Plan(Phase.SEARCHING, stop=_names_to_stop(running), limit=limit)
    if limit is budget.Limit.FAILED_TRIALS:
        allowed = search.spec.budget.max_failed_trials
        failed = "1 trial" if used.failed_trials == 1 else f"{used.failed_trials} trials"
        message = f"{failed} failed, more than budget.maxFailedTrials allows ({allowed})"
        return Plan(Phase.FAILED, limit=limit, message=message)
    if limit is None:
        proposals = _next_trials(search, searching)
        if proposals or running:
            return Plan(Phase.SEARCHING, propose=proposals)
    return _plan_final(search, searching, final, used)


def standing(search: Search[C], trials: Sequence[Trial], now: float) -> Plan:
    """
    Where a search is, for those who only look: a plan that proposes and stops nothing.

    What to try next takes a surrogate seconds to learn, and is left to the driver.
    """
    levels = by_level(trials)
    has_entered_final = any(trial.spec.stage is not Stage.SEARCH for trial in trials)
    is_through = search.strategy.is_complete([len(level) for level in levels]) and _are_over(trials)
    used = budget.spent(trials, search.wall_seconds(now), now)
    if has_entered_final or is_through or budget.reached(search.spec, used, Stage.SEARCH):
        return replace(plan(search, trials, now), propose=(), stop=())
    return Plan(Phase.SEARCHING)


def is_of(search: Search[C], trial: Trial) -> bool:
    """Whether a trial is one that the search could have proposed: its name says what it is, and of what search."""
    spec, final = trial.spec, search.spec.final
    is_search = spec.stage is Stage.SEARCH
    meta_iterations = (search.spec.training if is_search else final).meta_iterations
    if spec.meta_iterations != meta_iterations or spec.seed not in range(1 if is_search else final.seeds):
        return False
    if spec.stage is Stage.BASELINE and (final.baseline is Baseline.NONE or spec.candidate != final.baseline):
        return False
    try:
        key = spec.candidate if spec.stage is Stage.BASELINE else search.space.key(search.space.parse(spec.candidate))
    except InvalidSpec:
        return False
    return spec.name == _trial_name(search, spec.stage, spec.level, key, spec.meta_iterations, spec.seed)


# --- the search stage ---------------------------------------------------------------------------------------------


def _next_trials(search: Search[C], trials: Sequence[Trial]) -> tuple[TrialSpec, ...]:
    """What a level still lacks, or the next level; nothing while there are trials to wait for."""
    levels = by_level(trials)
    for index, level in enumerate(levels):
        if level[0].spec.level > index + 1:  # a whole level is gone
            return _propose_level(search, levels[:index])
        if len(level) < level[0].spec.level_size:
            return _missing_trials(search, levels[:index], level)
    return _propose_level(search, levels) if _are_over(trials) else ()


def _missing_trials(
    search: Search[C], finished: Sequence[Sequence[Trial]], begun: Sequence[Trial]
) -> tuple[TrialSpec, ...]:
    """
    The rest of a level that was being created when its driver died, or of which trials were deleted by hand.

    Planned anew it is the same level. Should another kind of machine rank it otherwise, what is there already stays.
    """
    there = {trial.name for trial in begun}
    size = begun[0].spec.level_size
    missing = [trial for trial in _propose_level(search, finished) if trial.name not in there]
    return tuple(replace(trial, level_size=size) for trial in missing[: size - len(begun)])


def _propose_level(search: Search[C], finished: Sequence[Sequence[Trial]]) -> tuple[TrialSpec, ...]:
    room = search.spec.budget.max_trials - sum(len(level) for level in finished)
    if room <= 0:
        return ()
    proposals = search.strategy.propose([_measured(search.space, level) for level in finished])[:room]
    stop_at = thresholds(search.spec, finished[-1]) if finished else ()
    level, meta_iterations = len(finished) + 1, search.spec.training.meta_iterations
    return tuple(
        TrialSpec(
            name=_trial_name(
                search, Stage.SEARCH, level, search.space.key(proposal.candidate), meta_iterations, seed=0
            ),
            stage=Stage.SEARCH,
            level=level,
            candidate=search.space.text(proposal.candidate),
            seed=0,
            meta_iterations=meta_iterations,
            level_size=len(proposals),
            priority=place,
            predicted=proposal.predicted,
            thresholds=stop_at,
        )
        for place, proposal in enumerate(proposals)
    )


def by_level(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Search trials in levels from the first, each in the order in which it was proposed."""
    levels: dict[int, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: (trial.spec.level, trial.spec.priority, trial.name)):
        if trial.spec.stage is Stage.SEARCH:
            levels.setdefault(trial.spec.level, []).append(trial)
    return list(levels.values())


def _measured(space: Space[C], trials: Sequence[Trial]) -> list[Measured[C]]:
    return [Measured(space.parse(trial.spec.candidate), trial.score) for trial in trials if trial.score is not None]


# --- the final stage ----------------------------------------------------------------------------------------------


def _plan_final(search: Search[C], searching: Sequence[Trial], final: Sequence[Trial], used: budget.Spent) -> Plan:
    """Train the best in full, then say how the search ended."""
    wanted = tuple(_final_trials(search, searching))
    if not wanted:
        return Plan(Phase.FAILED, limit=_why_ended(search, searching, used), message="no search trial succeeded")
    limit = budget.reached(search.spec, used, Stage.FINAL)
    there = {trial.name for trial in final}
    missing = tuple(trial for trial in wanted if trial.name not in there)
    running = [trial for trial in final if not trial.state.is_over]
    if limit is not None and running:
        return Plan(Phase.FINAL, stop=_names_to_stop(running), limit=limit)
    if limit is None and (missing or running):
        return Plan(Phase.FINAL, propose=missing, limit=_why_ended(search, searching, used))
    # Time goes on after the end, so a limit counts here only where it has left final trials out or stopped them.
    is_cut = bool(missing) or any(trial.stop_requested for trial in final)
    limit = (limit if is_cut else None) or _why_ended(search, searching, used)
    if any(trial.spec.stage is Stage.FINAL and trial.has_network for trial in final):
        return Plan(Phase.SUCCEEDED, limit=limit)
    return Plan(Phase.FAILED, limit=limit, message=_no_network(final))


def _no_network(final: Sequence[Trial]) -> str:
    """Why the final stage came to nothing."""
    networks = [trial for trial in final if trial.spec.stage is Stage.FINAL]
    if any(trial.state is State.FAILED for trial in networks):
        return "no final trial succeeded"
    return "the budget was spent before any final trial had a network"


def _final_trials(search: Search[C], searching: Sequence[Trial]) -> Iterator[TrialSpec]:
    final = search.spec.final
    best = board.ranked(searching)[: final.top]
    for trial in best:
        candidate = search.space.parse(trial.spec.candidate)
        yield from _seeds(search, Stage.FINAL, trial.spec.level, trial.spec.candidate, search.space.key(candidate))
    if best and final.baseline is not Baseline.NONE:
        yield from _seeds(search, Stage.BASELINE, 0, final.baseline, final.baseline)


def _seeds(search: Search[C], stage: Stage, level: int, candidate: str, key: str) -> Iterator[TrialSpec]:
    """The same training with each seed."""
    final = search.spec.final
    for seed in range(final.seeds):
        yield TrialSpec(
            name=_trial_name(search, stage, level, key, final.meta_iterations, seed),
            stage=stage,
            level=level,
            candidate=candidate,
            seed=seed,
            meta_iterations=final.meta_iterations,
            level_size=final.seeds,
            priority=seed,
        )


# --- both ---------------------------------------------------------------------------------------------------------


def _why_ended(search: Search[C], searching: Sequence[Trial], used: budget.Spent) -> budget.Limit | None:
    """The limit that ended the search stage before its strategy was through; None where it was not cut short."""
    sizes = [len(level) for level in by_level(searching)]
    cut = any(trial.state is State.STOPPED and trial.stop_requested for trial in searching)
    if not cut and search.strategy.is_complete(sizes):
        return None
    if used.trials >= search.spec.budget.max_trials and not cut:
        return budget.Limit.TRIALS
    return budget.reached(search.spec, used, Stage.SEARCH)


def _are_over(trials: Sequence[Trial]) -> bool:
    return all(trial.state.is_over for trial in trials)


def _names_to_stop(trials: Sequence[Trial]) -> tuple[str, ...]:
    return tuple(trial.name for trial in trials if not trial.stop_requested)


def _trial_name(search: Search[C], stage: Stage, level: int, key: str, meta_iterations: int, seed: int) -> str:
    return trial_name(search.name, stage, level, key, meta_iterations, seed, search.spec.seed)
