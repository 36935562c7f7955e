"""
Strategies that propose round by round: the next round begins when every trial of the last is over.

What they share is here: the rest of a round that was being created when its driver died, the wait for a round's end,
and the scores that a round must reach, which come from the round before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.search.early_stopping import thresholds
from metasearch.search.space import Space, candidate_key
from metasearch.search.strategies.base import DONE, WAIT, History, Proposal, Proposals
from metasearch.search.trials import Trial, by_round

Rounds = Sequence[Sequence[Trial]]
"""Finished rounds from the first, each by priority."""


class RoundPlanner:
    """Turns what a strategy wants of each round into answers to `Strategy.propose`."""

    def __init__(
        self,
        spec: MetaSearchSpec,
        space: Space[Any],
        choose: Callable[[Rounds], Sequence[Proposal]],
        is_complete: Callable[[Rounds], bool],
        stops_early: bool = True,
    ) -> None:
        """
        Args:
            choose: the candidates of the round after finished ones, best first, each once; none where nothing is left.
            is_complete: whether a search with such rounds has tried all that the strategy wanted; it takes no time.
            stops_early: whether a trial may be given up for being worse than those of the round before.
        """
        self._spec, self._space, self._choose, self._is_complete = spec, space, choose, is_complete
        self._stops_early = stops_early

    def propose(self, history: History, room: int) -> Proposals:
        """Propose what a begun round lacks, or the next round; wait while there are trials under way."""
        rounds = by_round(history)
        for index, begun in enumerate(rounds):
            if begun[0].spec.round > index + 1:  # a whole round was deleted by hand
                return self._next_round(rounds[:index], room)
            size = begun[0].spec.round_size
            if size is not None and len(begun) < size:
                return self._missing(rounds[:index], begun, size, room)
        if not all(trial.state.is_over for trial in history):
            return WAIT
        if self._is_complete(rounds):
            return DONE
        return self._next_round(rounds, room)

    def _missing(self, finished: Rounds, begun: Sequence[Trial], size: int, room: int) -> Sequence[Proposal]:
        """
        Propose the rest of a round that was being created when its driver died, or from which trials were deleted.

        Planned anew it is the same round. Should another kind of machine rank it otherwise, what is there stays.
        """
        if room <= 0:
            return ()
        there = {candidate_key(self._space, trial.spec.candidate) for trial in begun}
        chosen = self._whole(finished, None)
        missing = [each for each in chosen if candidate_key(self._space, each.candidate) not in there]
        return [replace(each, round_size=size) for each in missing[: size - len(begun)]]

    def _next_round(self, finished: Rounds, room: int) -> Sequence[Proposal]:
        # A surrogate takes seconds to learn; where nothing may be tried, nobody needs to know what would be.
        return self._whole(finished, room) if room > 0 else ()

    def _whole(self, finished: Rounds, room: int | None) -> Sequence[Proposal]:
        """Fill in what all proposals of a round have in common."""
        chosen = self._choose(finished)[:room]
        # Made part of the trials, so that whether one stops does not depend on what happens meanwhile.
        must_reach = thresholds(self._spec, finished[-1]) if finished and self._stops_early else ()
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
