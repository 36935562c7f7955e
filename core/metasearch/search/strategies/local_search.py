"""
Local search: coordinate ascent with restarts.

From a start, one part of the candidate after the other (a branch of a cell) is tried in all other ways, and the best is
kept. Where no such change of any part is better, the climb goes on from a random candidate that has not been tried. A
round has the changes of one part, of each climb if there are several; what is known already is not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Generic

import numpy as np

from metasearch.api import LocalSearchSettings, MetaSearchSpec
from metasearch.search.space import C, Space, candidate_key
from metasearch.search.strategies.base import History, Proposal, Proposals
from metasearch.search.strategies.beginning import draw_untried, initial
from metasearch.search.strategies.rounds import RoundPlanner, Rounds
from metasearch.search.surrogates.base import Surrogate

Climb = Iterator[Sequence[C]]
"""Yields the candidates of which a climb must know the scores before it can take its next step."""


WORKERS_OF_A_START, MOST_STARTS = 4, 16
"""Workers that a climb keeps busy most of the time; and the most climbs by default, among which trials are divided."""


class LocalSearch(Generic[C]):
    """Proposes what its climbs need next; the climbs are repeated from the first trial, so nothing is remembered."""

    rounds: int | None = None
    varies_fidelity = False
    preliminary_rounds = 0

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:  # noqa: ARG002
        self.spec, self.space = spec, space
        given = spec.search.settings(LocalSearchSettings).starts
        self.starts = given or min(MOST_STARTS, max(1, spec.parallelism // WORKERS_OF_A_START))
        self._planner = RoundPlanner(spec, space, self._choose, self._is_complete, stops_early=False)

    def propose(self, history: History, room: int) -> Proposals:
        return self._planner.propose(history, room)

    def title(self, round: int) -> str:  # noqa: ARG002
        return "changes of one part"

    def _is_complete(self, finished: Rounds) -> bool:
        return sum(map(len, finished)) >= self.spec.budget.max_trials

    def _choose(self, finished: Rounds) -> Sequence[Proposal]:
        scores = {
            candidate_key(self.space, trial.spec.candidate): -inf if trial.score is None else trial.score
            for trials in finished
            for trial in trials
        }
        given = initial(self.spec, self.space)
        if missing := [each for each in given if self.space.key(each) not in scores]:
            return self._proposals(missing)
        met = {self.space.key(each) for each in given}
        climbs = [self._climb(number, given, scores, met) for number in range(self.starts)]
        while needed := self._needed(climbs, met):
            if missing := [candidate for key, candidate in needed.items() if key not in scores]:
                return self._proposals(missing)
        return []

    def _proposals(self, candidates: Sequence[C]) -> list[Proposal]:
        return [Proposal(candidate=self.space.write(each)) for each in candidates]

    def _needed(self, climbs: Sequence[Climb[C]], met: set[str]) -> dict[str, C]:
        """Return, by key, what the next step of any climb needs, and add it to `met`; nothing where all are over."""
        needed: dict[str, C] = {}
        for climb in climbs:
            needed |= {self.space.key(each): each for each in next(climb, ())}
            met.update(needed)  # at once, so that the next climb begins elsewhere
        return needed

    def _climb(self, number: int, given: Sequence[C], scores: Mapping[str, float], met: set[str]) -> Climb[C]:
        """
        Climb, and begin anew at every top.

        Args:
            given: candidates that are measured; the best of them is the first start of the first climb.
            met: keys of what all climbs have needed so far, to which the caller adds. It is not all that has a score,
                for that depends on how far the search is.
        """
        rng = np.random.default_rng([self.spec.seed, number])
        if number == 0 and given:
            yield from self._to_the_top(self._best(given, scores), rng, scores)
        while True:
            start = next(draw_untried(self.space, met, rng), None)
            if start is None:
                return
            yield [start]
            yield from self._to_the_top(start, rng, scores)

    def _to_the_top(self, start: C, rng: np.random.Generator, scores: Mapping[str, float]) -> Climb[C]:
        """Change one part after the other, in a random order, until no change of any part is better."""
        current, parts = start, self.space.coordinates(start)
        order = rng.permutation(len(parts))
        place = unchanged = 0
        while unchanged < len(parts):
            changes = parts[order[place % len(parts)]]
            if changes:
                yield changes
            best = self._best([current, *changes], scores)
            unchanged += 1
            if self._score(best, scores) > self._score(current, scores):
                current, parts, unchanged = best, self.space.coordinates(best), 0
            place += 1

    def _best(self, candidates: Sequence[C], scores: Mapping[str, float]) -> C:
        """Return the candidate with the best score; of equal ones the cheapest, then the first by key."""
        return min(
            candidates, key=lambda each: (-self._score(each, scores), self.space.cost(each), self.space.key(each))
        )

    def _score(self, candidate: C, scores: Mapping[str, float]) -> float:
        return scores[self.space.key(candidate)]
