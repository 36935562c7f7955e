"""
Best-first search with a bounded queue, in which trainings are paused and gone on with.

Whatever waits has a priority, its parent's score; the best are taken, and what overflows the queue is dropped, the
least promising first. A candidate is first trained for a quantum. It then has children of its own, and waits to go on,
with its own score for its priority: for as long again as it was trained so far, as in a feedback queue of an operating
system, until the training is whole. So a training is switched for a better one wherever one waits. It is not gone on
with once it has converged, or another of its length is better by more than the errors, with no more parameters.

The first generation is that of `search.initial`, then drawn uniformly. The queue is replayed from the trials, round by
round, and kept nowhere. A child waits as its parent's name only, and is drawn when it is taken: most never are, and to
list a cell's children takes longer than to replay a hundred trials.

Source: the explorer of companion paper 000 (CalcGraph): bounded queue, generation beside evaluation, time manager.
"""

from __future__ import annotations

import bisect
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic

import numpy as np
import numpy.typing as npt

from metasearch.api import MetaSearchSpec
from metasearch.api.strategies import PrioritySearchSettings
from metasearch.search.candidates import Candidate
from metasearch.search.space import C, Space, candidate_key
from metasearch.search.strategies.base import History, Proposal, Proposals
from metasearch.search.strategies.beginning import draw_untried, initial_first
from metasearch.search.strategies.rounds import RoundPlanner, Rounds
from metasearch.search.surrogates.base import Surrogate
from metasearch.search.trials import State, Trial

Figures = npt.NDArray[np.float64]
"""A row for each trial: score, standard error and number of parameters."""

ROUND_TRIALS = 8
"""Trainings that are taken together, by default and at least."""

STANDARD_ERRORS = 2.0
"""By so many standard errors of the difference another must be better to end a training."""


@dataclass(frozen=True)
class Waiting:
    """A training that waits in the queue."""

    begun: Trial | None = None
    """The trial that it goes on from; None for a new candidate."""
    parent: Candidate | None = None
    """A new candidate is drawn from its children when it is taken; None to draw it from all."""


class Priority(Generic[C]):
    """Takes the best that wait, round by round."""

    rounds: int | None = None
    varies_fidelity = True
    preliminary_rounds = 0

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:  # noqa: ARG002
        self.spec, self.space, self.seed = spec, space, spec.seed
        self.settings = spec.search.settings(PrioritySearchSettings)
        self.round_trials = self.settings.round_trials or max(ROUND_TRIALS, spec.parallelism)
        self.lengths = _lengths(spec.training.meta_iterations, float(self.settings.quantum))
        self._keys: dict[str, str] = {}
        self._planner = RoundPlanner(spec, space, self._choose, is_complete=lambda _: False)

    def propose(self, history: History, room: int) -> Proposals:
        return self._planner.propose(history, room)

    def title(self, round: int) -> str:  # noqa: ARG002
        return "best waiting"

    def _choose(self, finished: Rounds) -> Sequence[Proposal]:
        given = len(self.spec.search.initial)
        queue = _Queue(max(self.settings.capacity, self.round_trials, given))  # lest a round find too few
        wanted = max(self.round_trials, given)  # the first round has all that are given
        first_scores: dict[str, float] = {}
        measured = _Measured()
        for trials in finished:
            queue.fill(wanted)
            wanted = self.round_trials
            new = [trial for trial in trials if self._rung(trial) == 0]
            queue.take(len(new), {trial.spec.resumes for trial in trials})
            measured.add(trials)
            for trial in trials:
                self._join(queue, trial, first_scores, measured)
        queue.fill(wanted)
        known = {self._key(trial.spec.candidate) for trials in finished for trial in trials}
        return list(islice(self._proposals(queue, known), wanted))

    def _join(self, queue: _Queue, trial: Trial, first_scores: dict[str, float], measured: _Measured) -> None:
        """Put what follows from a trial's result into the queue."""
        if trial.score is None or trial.state is not State.SUCCEEDED:
            return
        rung = self._rung(trial)
        score = first_scores.setdefault(trial.spec.candidate.text, trial.score)
        # The order of these questions is that of their costs.
        if rung + 1 < len(self.lengths) and queue.admits(score, is_new=False) and not measured.has_ended(trial):
            queue.add(score, Waiting(begun=trial))
        if rung == 0:
            for _ in range(self.settings.children):
                if not queue.admits(score, is_new=True):
                    return
                queue.add(score, Waiting(parent=trial.spec.candidate))

    def _rung(self, trial: Trial) -> int:
        return self.lengths.index(trial.spec.meta_iterations)

    def _proposals(self, queue: _Queue, known: set[str]) -> Iterator[Proposal]:
        """Yield what waits, the best first. New candidates are drawn here, so that no more are than are needed."""
        rng = np.random.default_rng([self.seed, 3, len(known)])
        others: Iterator[C] = self._drawn(known.copy(), rng)
        children: dict[str, Iterator[C]] = {}
        for waiting in queue.in_order():
            if waiting.begun is not None:
                yield self._proposal(waiting.begun.spec.candidate, self._rung(waiting.begun) + 1, waiting.begun.name)
                continue
            own: Iterator[C] = iter(())
            if waiting.parent is not None:
                own = children.setdefault(waiting.parent.text, self._children(self.space.read(waiting.parent)))
            # Where the parent has no more, one is drawn from all in its place.
            for candidate in chain(own, others):
                key = self.space.key(candidate)
                if key not in known:
                    known.add(key)
                    yield self._proposal(self.space.write(candidate), 0, None)
                    break

    def _children(self, parent: C) -> Iterator[C]:
        """Draw from the candidates that are one step or one change away. Lazy."""
        grows = self.space.size(parent) < self.space.max_size
        reachable = list(self.space.children(parent) if grows else self.space.neighbours(parent))
        rng = np.random.default_rng([self.seed, 2, zlib.crc32(self.space.key(parent).encode())])
        for index in rng.permutation(len(reachable)).tolist():
            yield reachable[index]

    def _drawn(self, known: Container[str], rng: np.random.Generator) -> Iterator[C]:
        """Yield the candidates to begin with: those given, then uniform draws of one step, then of any size. Lazy."""
        smallest = self.space.smallest()
        one_step = (smallest[index] for index in rng.permutation(len(smallest)).tolist())
        return initial_first(self.spec, self.space, chain(one_step, draw_untried(self.space, known, rng)))

    def _key(self, candidate: Candidate) -> str:
        # All tried ones are asked for in every round, and a key takes longer than all else that is done with them.
        if candidate.text not in self._keys:
            self._keys[candidate.text] = candidate_key(self.space, candidate)
        return self._keys[candidate.text]

    def _proposal(self, candidate: Candidate, rung: int, resumes: str | None) -> Proposal:
        return Proposal(
            candidate=candidate,
            meta_iterations=self.lengths[rung],
            is_beginning=rung + 1 < len(self.lengths),
            resumes=resumes,
        )


class _Queue:
    """A bounded priority queue."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._joined = capacity, 0
        self._waiting: list[tuple[float, bool, int, Waiting]] = []
        """In order. Of equal priority, trainings that are under way come before new ones, then the first to join."""

    def admits(self, priority: float, is_new: bool) -> bool:
        """Tell whether a training would be kept."""
        return len(self._waiting) < self._capacity or (-priority, is_new) < self._waiting[-1][:2]

    def add(self, priority: float, waiting: Waiting) -> None:
        """Add a training; where the queue overflows, drop the least promising."""
        self._joined += 1
        bisect.insort(self._waiting, (-priority, waiting.begun is None, self._joined, waiting))
        del self._waiting[self._capacity :]

    def fill(self, count: int) -> None:
        """Add candidates to draw from all, with the least priority, until so many wait."""
        while len(self._waiting) < count:
            self.add(0.0, Waiting())

    def take(self, new: int, resumed: Container[str | None]) -> None:
        """Remove the first so many new candidates, and the trainings that go on from trials of these names."""
        left, self._waiting = self._waiting, []
        for entry in left:
            begun = entry[-1].begun
            if begun is None and new > 0:
                new -= 1
            elif begun is None or begun.name not in resumed:
                self._waiting.append(entry)

    def in_order(self) -> Iterator[Waiting]:
        return (entry[-1] for entry in self._waiting)


class _Measured:
    """The trials with a score so far, by name, and by length of training the figures of those that may dominate."""

    def __init__(self) -> None:
        self._by_name: dict[str, Trial] = {}
        self._figures: dict[int, Figures] = {}

    def add(self, trials: Iterable[Trial]) -> None:
        """Add those with a score."""
        scored = [trial for trial in trials if trial.score is not None]
        self._by_name |= {trial.name: trial for trial in scored}
        for length in {trial.spec.meta_iterations for trial in scored}:
            rows = [_figures(trial) for trial in scored if trial.spec.meta_iterations == length]
            self._figures[length] = _strongest(np.concatenate([self._figures.get(length, np.empty((0, 3))), rows]))

    def has_ended(self, trial: Trial) -> bool:
        """Tell whether a training is not worth going on with: converged, or dominated by another of its length."""
        score, error, parameters = _figures(trial)
        before = self._by_name.get(trial.spec.resumes or "")
        if before is not None and score <= (before.score or 0.0):
            return True
        others = self._figures[trial.spec.meta_iterations]
        no_larger = others[others[:, 2] <= parameters]
        # The sign alone counts where errors are not known.
        errors = np.maximum(np.hypot(no_larger[:, 1], error), 1e-12)
        return bool((no_larger[:, 0] - score > STANDARD_ERRORS * errors).any())


def _lengths(whole: int, quantum: float) -> tuple[int, ...]:
    """Return the meta-iterations after which a training may be paused: a quantum, each twice the last; then all."""
    lengths = [max(1, int(whole * quantum))]
    while lengths[-1] * 2 < whole:
        lengths.append(lengths[-1] * 2)
    return (*lengths, whole) if lengths[-1] < whole else (whole,)


def _strongest(figures: Figures) -> Figures:
    """Return the rows that no other makes needless: one with no lower score, no larger error and no more parameters."""
    costs = np.unique(figures * (-1.0, 1.0, 1.0), axis=0)  # of equal rows one is enough
    is_beaten = (costs[:, None] >= costs[None]).all(axis=2).sum(axis=1) > 1  # each row is as good as itself
    strongest: Figures = costs[~is_beaten] * (-1.0, 1.0, 1.0)
    return strongest


def _figures(trial: Trial) -> tuple[float, float, int]:
    """Return the score, its standard error and the number of parameters; 0 where one is not known."""
    parameters = trial.result.parameter_count if trial.result else None
    return trial.score or 0.0, trial.score_error, parameters or 0
