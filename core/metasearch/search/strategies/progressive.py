"""
Progressive search (Liu et al. 2018, algorithm 1): grow the measured candidates by one step, rank the children by a
surrogate that has learned from everything measured, try the best `beam_width`, and so on to the largest size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import nan
from typing import Generic, NamedTuple

import numpy as np

from metasearch.api import MetaSearchSpec, ProgressiveSearchSettings
from metasearch.search.space import C, Space
from metasearch.search.strategies.base import History, Proposal, Proposals
from metasearch.search.strategies.rounds import RoundPlanner, Rounds
from metasearch.search.surrogates.base import Candidates, Observations, Scores, Surrogate
from metasearch.search.trials import Trial


class _Scored(NamedTuple, Generic[C]):
    """A candidate and its score, in [0, 1]."""

    candidate: C
    score: float


class Progressive(Generic[C]):
    """Tries every candidate of the smallest size, then a beam of each further size."""

    varies_fidelity = False

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:
        self.space, self.surrogate = space, surrogate
        self.beam_width = (spec.search.progressive or ProgressiveSearchSettings()).beam_width
        self.seed = spec.seed
        self.rounds: int | None = space.max_size
        self._planner = RoundPlanner(spec, space, self._choose, self._is_complete)

    def propose(self, history: History, room: int) -> Proposals:
        return self._planner.propose(history, room)

    def title(self, round: int) -> str:
        return self.space.size_text(round)

    def _choose(self, finished: Rounds) -> Sequence[Proposal]:
        if not finished:
            return [self._proposal(candidate) for candidate in self._shuffled(self.space.smallest())]
        if len(finished) >= self.space.max_size:
            return []
        measured = [self._scored(trials) for trials in finished]
        beams = self._with_known_children(measured)
        tried = {self.space.key(entry.candidate) for entries in measured for entry in entries}
        children = _grown(self.space, beams[-1], tried)
        if not children:
            return []
        predictor = self.surrogate().fit(
            self._observations([entry for beam in beams for entry in beam]),
            # Of the round alone, so that a driver that resumes the search fits the same surrogate.
            seed=(self.seed, len(finished)),
        )
        untried = [child.candidate for child in children]
        predicted = predictor.predict(self._as_read(untried, [parent_score for _, parent_score in children]))
        return [self._proposal(untried[index], float(predicted[index])) for index in self._best(untried, predicted)]

    def _is_complete(self, sizes: Sequence[int]) -> bool:
        if len(sizes) < self.space.max_size:
            return False
        # All of the first round is tried, and no later one has fewer children; a smaller last round was cut short.
        first = len(self.space.smallest())
        return sizes[-1] >= (first if len(sizes) == 1 else min(self.beam_width, first))

    def _proposal(self, candidate: C, predicted: float | None = None) -> Proposal:
        return Proposal(candidate=self.space.write(candidate), predicted=predicted)

    def _scored(self, trials: Sequence[Trial]) -> list[_Scored[C]]:
        """Read the measured candidates; failed trials are left out, those given up early count with what they had."""
        return [
            _Scored(self.space.read(trial.spec.candidate), trial.score) for trial in trials if trial.score is not None
        ]

    def _observations(self, measured: Sequence[_Scored[C]]) -> Observations:
        """Return what a surrogate learns from."""
        best: dict[str, float] = {}
        for entry in measured:
            key = self.space.key(entry.candidate)
            best[key] = max(entry.score, best.get(key, 0.0))
        parent_scores = [
            max(
                (best[key] for key in map(self.space.key, self.space.parents(entry.candidate)) if key in best),
                default=nan,
            )
            for entry in measured
        ]
        scores = np.array([entry.score for entry in measured])
        candidates = self._as_read([entry.candidate for entry in measured], parent_scores)
        return Observations(candidates=candidates, scores=scores, errors=np.zeros(len(scores)))

    def _as_read(self, candidates: Sequence[C], parent_scores: Sequence[float]) -> Candidates:
        """Arrange candidates as surrogates read them."""
        return Candidates(
            tokens=[self.space.tokens(candidate) for candidate in candidates],
            features=self.space.features(candidates),
            parent_scores=np.array(parent_scores),
        )

    def _best(self, candidates: Sequence[C], predicted: Scores) -> Sequence[int]:
        """Return the indices of the `beam_width` best predictions; ties go to the cheaper, then to the key."""
        # A partial sort first, for a round may have tens of thousands of children and keys are slow to compare.
        kept = min(self.beam_width, len(predicted))
        worst_kept = np.partition(predicted, -kept)[-kept]
        contenders = np.flatnonzero(predicted >= worst_kept).tolist()

        def rank(index: int) -> tuple[float, float, str]:
            return -predicted[index], self.space.cost(candidates[index]), self.space.key(candidates[index])

        return sorted(contenders, key=rank)[: self.beam_width]

    def _with_known_children(self, measured: Sequence[Sequence[_Scored[C]]]) -> list[list[_Scored[C]]]:
        """
        Add to each round's candidates, in spaces where that can be, the children that were known before.

        A child that computes the same as something measured earlier is not tried again, but it grows on.
        """
        if not self.space.repeats_across_sizes:
            return [list(entries) for entries in measured]
        scores: dict[str, float] = {}
        beams: list[list[_Scored[C]]] = []
        for entries in measured:
            parents = [entry.candidate for entry in beams[-1]] if beams else []
            children = (child for parent in parents for child in self.space.children(parent))
            known = {
                self.space.key(child): _Scored(child, scores[self.space.key(child)])
                for child in children
                if self.space.key(child) in scores
            }
            beams.append([*entries, *known.values()])
            scores |= {self.space.key(entry.candidate): entry.score for entry in entries}
        return beams

    def _shuffled(self, candidates: Sequence[C]) -> list[C]:
        # A budget may cut the first round short, and the order of enumeration is not to decide what is lost.
        order = np.random.default_rng([self.seed, 0]).permutation(len(candidates))
        return [candidates[index] for index in order]


def _grown(space: Space[C], parents: Iterable[_Scored[C]], tried: set[str]) -> list[_Scored[C]]:
    """Return the children that compute something new, each once, with the best of its parents' scores."""
    grown: dict[str, _Scored[C]] = {}
    for parent in parents:
        for child in space.children(parent.candidate):
            key = space.key(child)
            known = grown.get(key)
            if key not in tried and (known is None or known.score < parent.score):
                # In the place of the first, so that the order is that of the parents.
                grown[key] = _Scored(child, parent.score)
    return list(grown.values())
