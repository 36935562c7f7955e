"""
plan(): the whole search as one pure function of its spec, its trials and the time.

    search trials, as the strategy proposes them ─▶ final trials and baselines ─▶ done
                      ▲                                                            │
                      └─────────────────────── a larger budget ────────────────────┘
    a limit of the budget ends whichever stage it is reached in

Nothing is remembered between calls. A driver creates the proposed trials, stops those that are to be stopped, and calls
again. A driver that is killed anywhere can be replaced by another: the trials are all that it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from metasearch.api import Deliver, Final, MetaSearchSpec
from metasearch.errors import InvalidSpec
from metasearch.plurals import counted
from metasearch.search import baselines, budget, confirmation, cut_trials, pareto
from metasearch.search.candidates import Candidate
from metasearch.search.cut_trials import is_cut, without_cut
from metasearch.search.space import Space, candidate_key
from metasearch.search.strategies.base import DONE, Answer, Proposal, Strategy
from metasearch.search.trial_names import trial_name
from metasearch.search.trials import Stage, State, Trial, TrialSpec, by_round

MOST_OPEN = 200
"""Trials that may be open when others are proposed, or twice as many as run at once where that is more."""


@dataclass(frozen=True)
class Search:
    """A search to plan. Fixed but for the budget, the amount of final training and the time paused."""

    name: str
    spec: MetaSearchSpec
    space: Space[Any]
    strategy: Strategy
    started_at: float
    """Unix time in seconds."""
    paused_seconds: float = 0.0
    """Time since then in which no driver was at work on it."""

    def wall_seconds(self, now: float) -> float:
        """Return the time that counts against `budget.wallTime`, in seconds."""
        return max(0.0, now - self.started_at - self.paused_seconds)


class Phase(StrEnum):
    """The phase of a search."""

    SEARCHING = "Searching"
    FINAL = "Final"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def is_over(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


@dataclass(frozen=True)
class Plan:
    """The next steps. With nothing to propose or stop, wait for the trials under way."""

    phase: Phase
    propose: tuple[TrialSpec, ...] = ()
    """Trials to create; those that exist already are left as they are."""
    stop: tuple[str, ...] = ()
    """Names of trials to end."""
    limit: budget.Limit | None = None
    """The limit that has ended a stage."""
    message: str | None = None
    """The reason for which the search failed."""


def plan(search: Search, trials: Sequence[Trial], now: float) -> Plan:
    """
    Decide what to do next.

    Args:
        trials: every trial on record, in any order.
        now: Unix time in seconds.
    """
    used = budget.spent(trials, search.wall_seconds(now), now)
    searching, final = _by_stage(trials)
    if not _are_over(final):  # a final stage that has begun comes to its end, whatever the budget is by now
        return _plan_final(search, searching, final, used)
    # What has ended the search stage once, ends it again, unless the budget is larger: trials only become more, and
    # time and GPU-hours grow.
    return _plan_search(search, searching, final, used) or _plan_final(search, searching, final, used)


def current_status(search: Search, trials: Sequence[Trial], now: float, has_ended: bool = False) -> Plan:
    """
    Say where a search is, for those who only look: a plan that proposes and stops nothing.

    It is cheap: a surrogate takes seconds to learn what to try next, and that is left to the driver.

    Args:
        has_ended: whether it is on record that the search has ended with this spec. Without it, a search with trials
            left is taken to go on, since only its strategy could tell that it has nothing more to try.
    """
    used = budget.spent(trials, search.wall_seconds(now), now)
    searching, final = _by_stage(trials)
    if final and (not _are_over(final) or (has_ended and _are_over(searching))):
        return _only_looked_at(_plan_final(search, searching, final, used))
    history = _history(searching)
    is_through = _are_over(trials) and (
        _room(search, searching, history) == 0 or search.strategy.propose(history, room=0) is DONE
    )
    if is_through or budget.reached(search.spec, used, Stage.SEARCH):
        return _only_looked_at(plan(search, trials, now))
    return Plan(Phase.SEARCHING)


def belongs_to(search: Search, trial: Trial) -> bool:
    """Tell whether the search could have proposed the trial: its name says what it is, and of what search."""
    spec, final = trial.spec, search.spec.final
    is_search = spec.stage is Stage.SEARCH
    meta_iterations = (search.spec.training if is_search else final).meta_iterations
    is_free = is_search and search.strategy.varies_fidelity
    if spec.meta_iterations != meta_iterations and not is_free:
        return False
    seeds = (0, confirmation.SEED) if is_search else range(final.seeds)
    if spec.seed not in seeds:
        return False
    is_baseline = spec.stage is Stage.BASELINE
    if is_baseline and not baselines.is_wanted(final.baselines, spec.candidate.text):
        return False
    # The folder or the cluster may hold trials of another space, whose cells this one refuses.
    try:
        return spec == _named(search, spec)
    except InvalidSpec:
        return False


# --- the search stage ---------------------------------------------------------------------------------------------


def _plan_search(search: Search, searching: Sequence[Trial], final: Sequence[Trial], used: budget.Spent) -> Plan | None:
    """Try what the strategy proposes, then train contenders once more; None where both are done."""
    limit = budget.reached(search.spec, used, Stage.SEARCH)
    # Second looks are begun after the search stage's limits, so these do not stop them.
    running = [trial for trial in confirmation.first_looks(searching) if not trial.state.is_over]
    if limit is not None and running:
        # Their scores so far may still be the best, so the final stage waits until they have all stopped.
        return Plan(Phase.SEARCHING, stop=_names_to_stop(running), limit=limit)
    if limit is budget.Limit.FAILED_TRIALS:
        return _too_many_failures(search, final, used)
    if limit is None:
        proposals = _next_trials(search, searching)
        if proposals or running:
            return Plan(Phase.SEARCHING, propose=proposals)
    return _plan_second_looks(search, searching, used)


def _too_many_failures(search: Search, final: Sequence[Trial], used: budget.Spent) -> Plan:
    limit = budget.Limit.FAILED_TRIALS
    if _have_network(final):  # of an earlier end, which failures under a larger budget do not undo
        return Plan(Phase.SUCCEEDED, limit=limit)
    allowed = search.spec.budget.max_failed_trials
    failed = counted(used.failed_trials, "trial")
    return Plan(
        Phase.FAILED, limit=limit, message=f"{failed} failed, more than budget.maxFailedTrials allows ({allowed})"
    )


def _next_trials(search: Search, trials: Sequence[Trial]) -> tuple[TrialSpec, ...]:
    """Return the trials that the strategy proposes; none where it waits for others, or has nothing more to try."""
    history = _history(trials)
    most, are_open = _most_open(search), sum(not trial.state.is_over for trial in history)
    # At half, not at each trial that ends: some strategies list all that they would try each time that they are asked.
    if are_open > most // 2:
        return ()
    room = _room(search, trials, history)
    answer = search.strategy.propose(history, room)
    if isinstance(answer, Answer):
        return ()
    # A strategy proposes again what is left out here, as it does where a driver has died half-way.
    chosen = answer[: min(room, most - are_open)]
    wanted = [_search_trial(search, each, len(history) + index) for index, each in enumerate(chosen)]
    # A driver plans again at once after a proposal, so a trial that exists already would keep it in a loop.
    return _missing(search, wanted, trials)


def _most_open(search: Search) -> int:
    """
    Return how many trials may be open, waiting or running, when others are proposed.

    A trial on a cluster is an object of the API server: a search of ten thousand that need not wait for each other
    would write them for minutes before its first worker began.
    """
    return max(MOST_OPEN, 2 * search.spec.parallelism)


def _room(search: Search, searching: Sequence[Trial], history: Sequence[Trial]) -> int:
    """Return how many more trials the strategy may propose."""
    # Those of an earlier end are spent, and the next one is to have as many.
    second_looks = without_cut(confirmation.second_looks(searching))
    reserved = confirmation.reserved(search.spec) + len(second_looks)
    return max(0, search.spec.budget.max_trials - reserved - len(history))


def _search_trial(search: Search, proposal: Proposal, position: int) -> TrialSpec:
    """
    Make the trial of a proposal.

    Args:
        position: in the order of proposing, from the first of the search.
    """
    trial = TrialSpec(
        name="",
        stage=Stage.SEARCH,
        candidate=proposal.candidate,
        meta_iterations=proposal.meta_iterations or search.spec.training.meta_iterations,
        seed=0,
        round=proposal.round,
        round_size=proposal.round_size,
        priority=position if proposal.priority is None else proposal.priority,
        predicted=proposal.predicted,
        predicted_by=proposal.predicted_by,
        is_drawn=proposal.is_drawn,
        is_beginning=proposal.is_beginning,
        thresholds=proposal.thresholds,
        resumes=proposal.resumes,
    )
    return _named(search, trial)


def _history(trials: Sequence[Trial]) -> list[Trial]:
    """
    Pick the trials that the strategy sees, by round and priority, an order that a store need not keep.

    Those are the trials that it proposed, without those that a limit stopped: it proposes them again where there is
    budget for them.
    """
    return [trial for round in by_round(without_cut(confirmation.first_looks(trials))) for trial in round]


def _plan_second_looks(search: Search, searching: Sequence[Trial], used: budget.Spent) -> Plan | None:
    """Train contenders once more, in the time of the final stage; None where that is done or there are none."""
    looks = [confirmation.second_look(trial).spec for trial in confirmation.wanted(search.spec, searching)]
    missing = _missing(search, [_named(search, spec) for spec in looks], searching)
    running = [trial for trial in confirmation.second_looks(searching) if not trial.state.is_over]
    if not missing and not running:
        return None
    if budget.reached(search.spec, used, Stage.FINAL) is None:
        return Plan(Phase.SEARCHING, propose=missing, limit=_why_ended(search, searching, used))
    return Plan(Phase.SEARCHING, stop=_names_to_stop(running)) if running else None


# --- the final stage ----------------------------------------------------------------------------------------------


def _plan_final(search: Search, searching: Sequence[Trial], final: Sequence[Trial], used: budget.Spent) -> Plan:
    """Train the best in full, then say how the search ended."""
    wanted = tuple(_final_trials(search, searching))
    if not wanted:
        return Plan(Phase.FAILED, limit=_why_ended(search, searching, used), message="no search trial succeeded")
    limit = budget.reached(search.spec, used, Stage.FINAL)
    missing = _missing(search, wanted, final)
    running = [trial for trial in final if not trial.state.is_over]
    if limit is not None and running:
        return Plan(Phase.FINAL, stop=_names_to_stop(running), limit=limit)
    if limit is None and (missing or running):
        return Plan(Phase.FINAL, propose=missing, limit=_why_ended(search, searching, used))
    # Time goes on after the end, so a limit counts here only where it has left final trials out or stopped them.
    is_cut = bool(missing) or any(trial.stop_requested for trial in final)
    limit = (limit if is_cut else None) or _why_ended(search, searching, used)
    if _have_network(final):
        return Plan(Phase.SUCCEEDED, limit=limit)
    return Plan(Phase.FAILED, limit=limit, message=_no_network(final))


def _no_network(final: Sequence[Trial]) -> str:
    """Return the reason for which the final stage ended without a network, as a message for people."""
    networks = [trial for trial in final if trial.spec.stage is Stage.FINAL]
    if any(trial.state is State.FAILED for trial in networks):
        return "no final trial succeeded"
    return "the budget was spent before any final trial had a network"


def _final_trials(search: Search, searching: Sequence[Trial]) -> Iterator[TrialSpec]:
    final = search.spec.final
    best = _final_cells(final, searching)
    for trial in best:
        yield from _seeds(search, Stage.FINAL, trial.spec.round, trial.spec.candidate)
    if best and best[0].result:
        for network in baselines.wanted(final.baselines, best[0].result, search.spec.task.ways):
            yield from _seeds(search, Stage.BASELINE, 0, Candidate(network.text))


def _final_cells(final: Final, searching: Sequence[Trial]) -> list[Trial]:
    """Return the search trials whose candidates are trained in full, best first."""
    chosen = pareto.ranked(searching)
    if final.deliver is Deliver.FRONT:
        # The best has been looked at again, and one that was lucky once may seem to beat it; it is trained anyway.
        others = [each for each in pareto.front(searching) if each.trial.name != chosen[0].trial.name]
        chosen = [*chosen[:1], *others]
    return [each.trial for each in chosen[: final.top]]


def _seeds(search: Search, stage: Stage, round: int, candidate: Candidate) -> Iterator[TrialSpec]:
    """Yield the same training with each seed."""
    final = search.spec.final
    for seed in range(final.seeds):
        trial = TrialSpec(
            name="",
            stage=stage,
            candidate=candidate,
            meta_iterations=final.meta_iterations,
            seed=seed,
            round=round,
            round_size=final.seeds,
            priority=seed,  # the first seeds of a round come before its second ones, so a limit leaves more candidates
        )
        yield _named(search, trial)


# --- both ---------------------------------------------------------------------------------------------------------


def _why_ended(search: Search, searching: Sequence[Trial], used: budget.Spent) -> budget.Limit | None:
    """Return the limit that ended the search stage before its strategy was done; None where it was not cut short."""
    cut = any(map(is_cut, cut_trials.without_replaced(searching)))
    # Without room a strategy only says whether it is done, which takes no time.
    if not cut and search.strategy.propose(_history(searching), room=0) is DONE:
        return None
    if used.trials >= search.spec.budget.max_trials and not cut:
        return budget.Limit.TRIALS
    return budget.reached(search.spec, used, Stage.SEARCH)


def _by_stage(trials: Sequence[Trial]) -> tuple[list[Trial], list[Trial]]:
    """Return the search trials, and all others."""
    searching = [trial for trial in trials if trial.spec.stage is Stage.SEARCH]
    return searching, [trial for trial in trials if trial.spec.stage is not Stage.SEARCH]


def _missing(search: Search, wanted: Iterable[TrialSpec], recorded: Sequence[Trial]) -> tuple[TrialSpec, ...]:
    """Return the trials to propose, of those wanted."""
    return tuple(cut_trials.missing(wanted, recorded, lambda spec: _named(search, spec)))


def _have_network(final: Sequence[Trial]) -> bool:
    return any(trial.spec.stage is Stage.FINAL and trial.has_network for trial in final)


def _only_looked_at(plan: Plan) -> Plan:
    return replace(plan, propose=(), stop=())


def _are_over(trials: Sequence[Trial]) -> bool:
    return all(trial.state.is_over for trial in trials)


def _names_to_stop(trials: Sequence[Trial]) -> tuple[str, ...]:
    return tuple(trial.name for trial in trials if not trial.stop_requested)


def _named(search: Search, spec: TrialSpec) -> TrialSpec:
    """
    Give a trial its name, which says what it is and of what search.

    Raises:
        InvalidSpec: its candidate is none of the search's space.
    """
    is_baseline = spec.stage is Stage.BASELINE
    key = spec.candidate.text if is_baseline else candidate_key(search.space, spec.candidate)
    return replace(spec, name=trial_name(search.name, spec, key, search.spec.seed))
