"""
Best-first search with a bounded queue, in which trainings are paused and gone on with.

Whatever waits has a priority, its parent's score; the best are taken, and what overflows the queue is dropped, the
least promising first. A candidate is first trained for a quantum. It then has children of its own, and waits to go on,
with its own score for its priority: for as long again as it was trained so far, as in a feedback queue of an operating
system, until the training is whole. So a training is switched for a better one wherever one waits. It is not gone on
with once it has converged, or another of its length is better by more than the errors, with no more parameters.

The first generation is that of `search.initial`, then drawn uniformly. The queue is replayed from the trials, round by
round, and kept nowhere.

Source: the explorer of companion paper 000 (CalcGraph): bounded queue, generation beside evaluation, time manager.
"""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import hypot
from typing import Generic

import numpy as np

from metasearch.api import MetaSearchSpec
from metasearch.api.strategies import PrioritySearchSettings
from metasearch.search.candidates import Candidate
from metasearch.search.space import C, Space, candidate_key
from metasearch.search.strategies.base import History, Proposal, Proposals
from metasearch.search.strategies.beginning import draw_untried, initial_first
from metasearch.search.strategies.rounds import RoundPlanner, Rounds
from metasearch.search.surrogates.base import Surrogate
from metasearch.search.trials import State, Trial

STANDARD_ERRORS = 2.0
"""By so many standard errors of the difference another must be better to end a training."""


@dataclass(frozen=True, order=True)
class Waiting:
    """A training that waits in the queue; the smallest is taken first."""

    negative_priority: float
    is_new: bool
    """Trainings that are under way come before new ones of equal priority."""
    order: int
    """In the order of joining the queue."""
    candidate: Candidate = field(compare=False)
    rung: int = field(compare=False)
    resumes: str | None = field(compare=False)


class Priority(Generic[C]):
    """Takes the best that wait, round by round."""

    rounds: int | None = None
    varies_fidelity = True
    preliminary_rounds = 0

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:  # noqa: ARG002
        self.spec, self.space, self.seed = spec, space, spec.seed
        self.settings = spec.search.settings(PrioritySearchSettings)
        self.lengths = _lengths(spec.training.meta_iterations, float(self.settings.quantum))
        self._planner = RoundPlanner(spec, space, self._choose, is_complete=lambda _: False)

    def propose(self, history: History, room: int) -> Proposals:
        return self._planner.propose(history, room)

    def title(self, round: int) -> str:  # noqa: ARG002
        return "best waiting"

    def _choose(self, finished: Rounds) -> Sequence[Proposal]:
        given = len(self.spec.search.initial)
        queue = _Queue(max(self.settings.capacity, given))
        wanted = max(self.settings.round_trials, given)  # the first round has all that are given
        known: set[str] = set()
        first_scores: dict[str, float] = {}
        peers: dict[str, Trial] = {}
        for trials in finished:
            self._fill(queue, known, wanted)
            wanted = self.settings.round_trials
            known |= {candidate_key(self.space, trial.spec.candidate) for trial in trials}
            queue.remove((each.spec.candidate.text, self._rung(each)) for each in trials)
            peers |= {trial.name: trial for trial in trials if trial.score is not None}
            for trial in trials:
                self._join(queue, trial, first_scores, known, peers)
        self._fill(queue, known, wanted)
        return [self._proposal(waiting) for waiting in queue.best(wanted)]

    def _join(
        self, queue: _Queue, trial: Trial, first_scores: dict[str, float], known: set[str], peers: Mapping[str, Trial]
    ) -> None:
        """Put what follows from a trial's result into the queue."""
        if trial.score is None or trial.state is not State.SUCCEEDED:
            return
        rung = self._rung(trial)
        score = first_scores.setdefault(trial.spec.candidate.text, trial.score)
        if rung + 1 < len(self.lengths) and not _has_ended(trial, peers):
            queue.add(score, trial.spec.candidate, rung + 1, trial.name)
        if rung == 0:
            for child in self._children(self.space.read(trial.spec.candidate), known):
                queue.add(score, self.space.write(child), 0, None)

    def _rung(self, trial: Trial) -> int:
        return self.lengths.index(trial.spec.meta_iterations)

    def _children(self, parent: C, known: set[str]) -> Iterator[C]:
        """Draw new candidates from those that are one step or one change away."""
        grows = self.space.size(parent) < self.space.max_size
        reachable = list(self.space.children(parent) if grows else self.space.neighbours(parent))
        rng = np.random.default_rng([self.seed, 2, zlib.crc32(self.space.key(parent).encode())])
        left = self.settings.children
        for index in rng.permutation(len(reachable)).tolist():
            key = self.space.key(reachable[index])
            if left and key not in known:
                left -= 1
                known.add(key)
                yield reachable[index]

    def _fill(self, queue: _Queue, known: set[str], wanted: int) -> None:
        """Add the candidates to begin with, where fewer wait than are wanted: those given, then uniform draws."""
        rng = np.random.default_rng([self.seed, 3, len(known)])
        smallest = self.space.smallest()
        one_step = (smallest[index] for index in rng.permutation(len(smallest)).tolist())
        drawn = chain(one_step, draw_untried(self.space, known, rng))
        # With the least priority, for nothing is known of them.
        for candidate in initial_first(self.spec, self.space, drawn):
            if len(queue) >= wanted:
                return
            key = self.space.key(candidate)
            if key not in known:
                known.add(key)
                queue.add(0.0, self.space.write(candidate), 0, None)

    def _proposal(self, waiting: Waiting) -> Proposal:
        return Proposal(
            candidate=waiting.candidate,
            meta_iterations=self.lengths[waiting.rung],
            is_beginning=waiting.rung + 1 < len(self.lengths),
            resumes=waiting.resumes,
        )


class _Queue:
    """A bounded priority queue."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._joined = capacity, 0
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, priority: float, candidate: Candidate, rung: int, resumes: str | None) -> None:
        """Add a training; where the queue overflows, drop the least promising."""
        self._joined += 1
        self._waiting.append(Waiting(-priority, resumes is None, self._joined, candidate, rung, resumes))
        if len(self._waiting) > self._capacity:
            self._waiting.remove(max(self._waiting))

    def remove(self, taken: Iterable[tuple[str, int]]) -> None:
        """Remove trainings, by the texts of their candidates and their rungs."""
        gone = set(taken)
        self._waiting = [each for each in self._waiting if (each.candidate.text, each.rung) not in gone]

    def best(self, count: int) -> list[Waiting]:
        return heapq.nsmallest(count, self._waiting)


def _lengths(whole: int, quantum: float) -> tuple[int, ...]:
    """Return the meta-iterations after which a training may be paused: a quantum, each twice the last; then all."""
    lengths = [max(1, int(whole * quantum))]
    while lengths[-1] * 2 < whole:
        lengths.append(lengths[-1] * 2)
    return (*lengths, whole) if lengths[-1] < whole else (whole,)


def _has_ended(trial: Trial, peers: Mapping[str, Trial]) -> bool:
    """
    Tell whether a training is not worth going on with: converged, or dominated by another of its length.

    Args:
        peers: trials with a score, by name.
    """
    before = peers.get(trial.spec.resumes or "")
    if before is not None and _difference(trial, before) <= 0.0:
        return True
    return any(
        _difference(peer, trial) > STANDARD_ERRORS and _parameters(peer) <= _parameters(trial)
        for peer in peers.values()
        if peer.spec.meta_iterations == trial.spec.meta_iterations
    )


def _difference(one: Trial, other: Trial) -> float:
    """Return by how many standard errors a score is above another; the sign alone counts where errors are not known."""
    difference = (one.score or 0.0) - (other.score or 0.0)
    return difference / max(hypot(one.score_error, other.score_error), 1e-12)


def _parameters(trial: Trial) -> int:
    return (trial.result.parameter_count if trial.result else None) or 0
