"""
Successive halving (Jamieson and Talwalkar 2016; asynchronous, Li et al. 2018): train many a little, the best on.

A strategy's candidates are first trained for a part of the training only. Of those the best share goes on from its
checkpoint to the next length, and so forth to the whole training. Whoever goes on is decided whenever one of the
strategy's rounds is over, among all that were measured up to then, and is trained in the next round. So it depends on
nothing but the trials of earlier rounds: not on the number of workers, nor on what happens meanwhile.

Any strategy that does not choose lengths itself can be halved: it sees the shortest trainings and nothing else.
`Halving` is that over random candidates; `search.screening` is that over the others, with two lengths.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.api.strategies import HalvingSearchSettings
from metasearch.search.space import Space
from metasearch.search.strategies.base import DONE, WAIT, Foreseeing, History, Proposal, Proposals, Share, Strategy
from metasearch.search.strategies.random import Random
from metasearch.search.surrogates.base import Surrogate
from metasearch.search.trials import State, Trial

InnerBuilder = Callable[[MetaSearchSpec], Strategy]
"""Makes the strategy whose candidates are halved, from a spec with its share of the trials."""


@dataclass(frozen=True)
class Rungs:
    """The lengths of training, and the share of a rung's candidates that goes on to the next."""

    meta_iterations: tuple[int, ...]
    """Ascending; the last is the whole training."""
    keep: float
    """In (0, 1)."""

    @classmethod
    def of_factor(cls, whole: int, settings: HalvingSearchSettings) -> Rungs:
        """Return the rungs that are each `factor` times as long as the one below; fewer where one would be nothing."""
        lengths = [whole]
        while len(lengths) < settings.rungs and lengths[0] >= settings.factor:
            lengths.insert(0, lengths[0] // settings.factor)
        return cls(tuple(lengths), 1 / settings.factor)

    @classmethod
    def of_share(cls, whole: int, share: float, keep: float) -> Rungs:
        """Return a rung of a share of the training below the whole; the whole alone where that is all of it."""
        first = max(1, math.floor(whole * share))
        return cls((first, whole) if first < whole else (whole,), keep)

    @classmethod
    def of_search(cls, spec: MetaSearchSpec) -> Rungs:
        """Return the rungs of a search: those of `Halving`, or of its screening; of others the whole training alone."""
        whole, screening = spec.training.meta_iterations, spec.search.screening
        if spec.search.strategy == "Halving":
            return cls.of_factor(whole, spec.search.settings(HalvingSearchSettings))
        return cls.of_share(whole, float(screening.share), float(screening.keep))

    @property
    def shares(self) -> tuple[float, ...]:
        """The number of trials of each rung, as a share of those of the first."""
        return tuple(self.keep**rung for rung, _ in enumerate(self.meta_iterations))

    def first_trials(self, trials: int) -> int:
        """Return how many of so many trials are for the first rung, such that the rest suffices for all others."""
        return max(1, math.floor(trials / sum(self.shares)))


def build(spec: MetaSearchSpec, space: Space[Any], surrogate: Callable[[], Surrogate]) -> Strategy:
    """Build `Halving`: random candidates, of which the better go on."""
    return SuccessiveHalving(spec, Rungs.of_search(spec), lambda part: Random(part, space, surrogate))


class SuccessiveHalving:
    """Trains another strategy's candidates for longer and longer, and ever fewer of them."""

    rounds: int | None = None
    varies_fidelity = True
    preliminary_rounds = 0

    def __init__(self, spec: MetaSearchSpec, rungs: Rungs, build_inner: InnerBuilder) -> None:
        self._rungs = rungs
        self._first_trials = rungs.first_trials(spec.budget.max_trials)
        budget = spec.budget.model_copy(update={"max_trials": self._first_trials})
        self._inner = build_inner(spec.model_copy(update={"budget": budget}))

    def propose(self, history: History, room: int) -> Proposals:
        first, *_ = self._rungs.meta_iterations
        begun = [trial for trial in history if trial.spec.meta_iterations == first]
        left = self._first_trials - len(begun)
        answer = self._inner.propose(begun, max(0, min(room, left)))
        is_pending = not all(trial.state.is_over for trial in history)
        new = () if answer is WAIT or answer is DONE else [self._begin(proposal) for proposal in answer]
        if room <= 0 < left and answer == ():
            return ()  # there may be some with room
        is_finished = answer is not WAIT and not new and all(trial.state.is_over for trial in begun)
        going_on = self._going_on(history, new, is_finished)
        if going_on or new:
            # Those that go on first: they are few, and what is learned from them comes early.
            return [*going_on, *new][:room] if room > 0 else ()
        return WAIT if is_pending else DONE if answer is DONE or is_finished else ()

    def title(self, round: int) -> str:
        return self._inner.title(round)

    def foresee(self, trials: int) -> Sequence[Share]:
        """See `Foreseeing`; no shares where the strategy whose candidates are halved foresees none."""
        if not isinstance(self._inner, Foreseeing):
            return []
        first, *longer = self._rungs.meta_iterations
        begun = [replace(each, meta_iterations=first) for each in self._inner.foresee(self._rungs.first_trials(trials))]
        largest = max(each.size for each in begun)
        going_on = trials - sum(each.trials for each in begun)
        _, *shares = self._rungs.shares
        return [
            *begun,
            # Those that go on are of the largest size, but for a few: what comes before is only learned from.
            *(
                Share(largest, length, going_on * share / sum(shares))
                for length, share in zip(longer, shares, strict=True)
            ),
        ]

    def _begin(self, proposal: Proposal) -> Proposal:
        length = self._rungs.meta_iterations[0]
        is_beginning = len(self._rungs.meta_iterations) > 1
        # Thresholds compare points of curves, and a beginning has none.
        return replace(proposal, meta_iterations=length, is_beginning=is_beginning, thresholds=())

    def _going_on(self, history: History, new: Sequence[Proposal], is_finished: bool) -> list[Proposal]:
        """Return the trainings that are due to go on and are not in the history yet."""
        there = {(trial.spec.candidate.text, trial.spec.meta_iterations) for trial in history}
        due = self._promotions(history, _complete_rounds(history, new), is_finished)
        return [each for each in due if (each.candidate.text, each.meta_iterations) not in there]

    def _promotions(self, history: History, complete: int, is_finished: bool) -> Iterator[Proposal]:
        """Yield every training that goes on after one of the first `complete` rounds, whether it is there or not."""
        *lower, _ = range(len(self._rungs.meta_iterations))
        first = self._rungs.meta_iterations[0]
        last_begun = max((trial.spec.round for trial in history if trial.spec.meta_iterations == first), default=0)
        gone_on: dict[int, set[str]] = {rung: set() for rung in lower}
        for round in range(1, complete + 1):
            is_last = is_finished and round >= last_begun
            if round <= self._inner.preliminary_rounds and not is_last:
                continue
            for rung in lower:
                measured = self._measured(history, rung, round)
                # The last rounds leave at least one for the next rung; before, an early best need not be the best.
                count = math.ceil if is_last else math.floor
                room = count(self._rungs.keep * len(measured)) - len(gone_on[rung])
                better = [trial for trial in measured if trial.spec.candidate.text not in gone_on[rung]]
                for trial in better[: max(0, room)]:
                    gone_on[rung].add(trial.spec.candidate.text)
                    yield self._go_on(trial, rung + 1, round + 1)

    def _measured(self, history: History, rung: int, last_round: int) -> list[Trial]:
        """Return the trials of a rung that ran to their end in the rounds up to one, the best first."""
        length = self._rungs.meta_iterations[rung]
        measured = [
            trial
            for trial in history
            if trial.spec.meta_iterations == length
            and trial.spec.round <= last_round
            and trial.state is State.SUCCEEDED
            and trial.score is not None
        ]
        return sorted(measured, key=lambda trial: (-(trial.score or 0.0), trial.name))

    def _go_on(self, trial: Trial, rung: int, round: int) -> Proposal:
        length = self._rungs.meta_iterations[rung]
        return Proposal(
            candidate=trial.spec.candidate,
            meta_iterations=length,
            is_beginning=length < self._rungs.meta_iterations[-1],
            resumes=trial.name,
            round=round,
            priority=0,
        )


def _complete_rounds(history: Iterable[Trial], new: Sequence[Proposal]) -> int:
    """Return the number of the last round up to which all trials are over and none will be added."""
    open_rounds = [proposal.round for proposal in new]
    last = 0
    for trial in history:
        last = max(last, trial.spec.round)
        if not trial.state.is_over:
            open_rounds.append(trial.spec.round)
    return min([last, *(number - 1 for number in open_rounds)])
