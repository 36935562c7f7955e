"""
Strategies that propose round by round: the next round begins when every trial of the last is over.

One that is opened early begins when no trial waits, fewer run than may, and half of the last round's are over. It is
chosen by what was known then, so it depends on the number of workers and on how long trials took; what is on record of
it stays, and a driver that takes over fills up the round by what is known to it.

What they share is here: the rest of a round that was being created when its driver died, the wait for a round's end,
and the scores that a round must reach, which come from the round before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.search.candidates import Candidate
from metasearch.search.early_stopping import thresholds
from metasearch.search.space import Space, candidate_key
from metasearch.search.strategies.base import DONE, WAIT, History, Proposal, Proposals
from metasearch.search.trials import State, Trial, by_round

Rounds = Sequence[Sequence[Trial]]
"""Rounds from the first, each by priority. All are finished, but where the next one is opened early."""

KNOWN_SHARE = 1 / 2
"""
The share of a round that is over before the next is opened early. With as many workers as a round has trials, the first
ones to end are the cheapest, and children of those alone are worse (benchmarks/busy_share.py).
"""


class RoundPlanner:
    """Turns what a strategy wants of each round into answers to `Strategy.propose`."""

    def __init__(
        self,
        spec: MetaSearchSpec,
        space: Space[Any],
        choose: Callable[[Rounds], Sequence[Proposal]],
        is_complete: Callable[[Rounds], bool],
        stops_early: bool = True,
        opens_early: bool = False,
    ) -> None:
        """
        Args:
            choose: the candidates of the round after the given ones, best first, each once; none where nothing is left.
            is_complete: whether a search with such rounds has tried all that the strategy wanted; it takes no time.
            stops_early: whether a trial may be given up for being worse than those of the round before.
            opens_early: whether the next round begins where a worker would be idle. Then `choose` also gets rounds with
                trials under way, and gives no fewer candidates for that: none where it lacks results.
        """
        self._spec, self._space, self._choose, self._is_complete = spec, space, choose, is_complete
        self._stops_early, self._opens_early = stops_early, opens_early

    def propose(self, history: History, room: int) -> Proposals:
        """Propose what a begun round lacks, or the next round; wait while there are trials under way."""
        rounds = by_round(history)
        for index, begun in enumerate(rounds):
            if begun[0].spec.round > index + 1:  # a whole round was deleted by hand
                return self._missing(rounds[:index], [], history, room)
            size = begun[0].spec.round_size
            if size is not None and len(begun) < size:
                missing = self._missing(rounds[:index], begun, history, room)
                if missing or room <= 0:
                    return missing
        is_pending = not all(trial.state.is_over for trial in history)
        if is_pending and not self._opens_now(history, rounds):
            return WAIT
        if self._is_complete(rounds):
            return WAIT if is_pending else DONE
        # A surrogate takes seconds to learn; where nothing may be tried, nobody needs to know what would be.
        chosen = self._whole(rounds, room) if room > 0 else ()
        return WAIT if is_pending and room > 0 and not chosen else chosen

    def _opens_now(self, history: History, rounds: Rounds) -> bool:
        """Tell whether the next round is opened early: a worker would be idle, and enough is known of the last one."""
        states = [trial.state for trial in history]
        is_idle = State.PENDING not in states and states.count(State.RUNNING) < self._spec.parallelism
        known = sum(trial.state.is_over for trial in rounds[-1])
        return self._opens_early and is_idle and known >= KNOWN_SHARE * len(rounds[-1])

    def _missing(self, finished: Rounds, begun: Sequence[Trial], history: History, room: int) -> Sequence[Proposal]:
        """
        Propose the rest of a round that was being created when its driver died, or from which trials were deleted.

        Planned anew it is the same round. Should another kind of machine rank it otherwise, or was it opened when less
        was known, what is there stays.
        """
        if room <= 0:
            return ()
        there = {self._training(trial.spec.candidate, trial.spec.meta_iterations) for trial in history}
        chosen = self._whole(finished, None if begun else room)
        missing = [each for each in chosen if self._training(each.candidate, each.meta_iterations) not in there]
        if not begun:
            return missing
        size = begun[0].spec.round_size or len(begun)
        return [replace(each, round_size=size) for each in missing[: size - len(begun)]]

    def _training(self, candidate: Candidate, meta_iterations: int | None) -> tuple[str, int]:
        """Return what two trials have in common when one of them is enough."""
        return candidate_key(self._space, candidate), meta_iterations or self._spec.training.meta_iterations

    def _whole(self, finished: Rounds, room: int | None) -> Sequence[Proposal]:
        """Fill in what all proposals of a round have in common."""
        chosen = self._choose(finished)[:room]
        # Made part of the trials, so that whether one stops does not depend on what happens meanwhile.
        whole = [trials for trials in finished if are_over(trials)]
        must_reach = thresholds(self._spec, whole[-1]) if whole and self._stops_early else ()
        priorities = self._priorities(chosen)
        return [
            replace(
                each,
                round=len(finished) + 1,
                round_size=len(chosen),
                priority=priority,
                # They compare points of curves, which trainings that begin or go on do not have.
                thresholds=() if each.is_beginning or each.resumes else must_reach,
            )
            for each, priority in zip(chosen, priorities, strict=True)
        ]

    def _priorities(self, chosen: Sequence[Proposal]) -> list[int]:
        """Return the given priorities; where none is given, the costliest trial of the round comes first."""
        # A round ends with its last trial, and the workers that have none left wait for less where that one is cheap.
        costs = [self._space.cost(self._space.read(each.candidate)) for each in chosen]
        ranks = {index: rank for rank, index in enumerate(sorted(range(len(chosen)), key=lambda index: -costs[index]))}
        return [ranks[index] if each.priority is None else each.priority for index, each in enumerate(chosen)]


def are_over(trials: Sequence[Trial]) -> bool:
    """Tell whether all of these trials have ended."""
    return all(trial.state.is_over for trial in trials)
