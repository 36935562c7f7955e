"""
Regularized evolution (Real et al. 2019): change the best of a random sample of the living, and let the oldest die.

The first `population` candidates are those of `search.initial`, then random ones. Each further one is a change of the
best of `sample` candidates, drawn from the last `population` that have a score. Nothing waits for a generation: as soon
as a trial is over, the next is proposed, so all are in one round. Where the paper would train a candidate again, the
change is changed once more. Nothing is stopped early, and no surrogate is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic

import numpy as np

from metasearch.api import EvolutionSearchSettings, MetaSearchSpec
from metasearch.search.space import C, Space, candidate_key
from metasearch.search.strategies.base import DONE, WAIT, History, Proposal, Proposals
from metasearch.search.strategies.beginning import draw_untried, initial
from metasearch.search.surrogates.base import Surrogate
from metasearch.search.trials import Trial

CHANGES = 50
"""Changes in a row to something known before a candidate is drawn from all that is left."""


class Evolution(Generic[C]):
    """Proposes as many candidates as there may be trials, as many at a time as there are workers."""

    rounds: int | None = 1
    varies_fidelity = False
    preliminary_rounds = 0

    def __init__(self, spec: MetaSearchSpec, space: Space[C], surrogate: Callable[[], Surrogate]) -> None:  # noqa: ARG002
        self.spec, self.space, self.trials = spec, space, spec.budget.max_trials
        self.at_once = spec.parallelism
        self.settings = spec.search.settings(EvolutionSearchSettings)

    def propose(self, history: History, room: int) -> Proposals:
        pending = sum(not trial.state.is_over for trial in history)
        idle: Proposals = WAIT if pending else DONE
        if len(history) >= self.trials:
            return idle
        # The first ones do not depend on results, so they need not wait for a free worker.
        wanted = max(self.settings.population - len(history), self.at_once - pending)
        if wanted <= 0:
            return WAIT
        if room <= 0:
            return ()
        return self._new(history, min(room, wanted)) or idle

    def title(self, round: int) -> str:  # noqa: ARG002
        return "evolved cells"

    def _new(self, history: History, wanted: int) -> Sequence[Proposal]:
        # The oldest leave, however good they are: that is what regularizes the search (Real et al. 2019).
        living = [trial for trial in history if trial.score is not None][-self.settings.population :]
        tried = {candidate_key(self.space, trial.spec.candidate) for trial in history}
        given = [each for each in initial(self.spec, self.space) if self.space.key(each) not in tried]
        proposals: list[Proposal] = []
        for number in range(len(history), len(history) + wanted):
            # A stream of its own for each, so that a driver that died between two of them draws the same second one.
            candidate = given.pop(0) if given else self._untried(living, tried, number)
            if candidate is None:
                break
            tried.add(self.space.key(candidate))
            proposals.append(Proposal(candidate=self.space.write(candidate)))
        return proposals

    def _untried(self, living: Sequence[Trial], tried: set[str], number: int) -> C | None:
        """Draw candidate `number`; None where everything is tried."""
        rng = np.random.default_rng([self.spec.seed, 1, number])
        is_child = number >= self.settings.population and len(living) > 0
        candidate = self.space.mutate(self._parent(living, rng), rng) if is_child else self.space.sample(rng)
        for _ in range(CHANGES):
            if self.space.key(candidate) not in tried:
                return candidate
            candidate = self.space.mutate(candidate, rng)
        return next(draw_untried(self.space, tried, rng), None)

    def _parent(self, living: Sequence[Trial], rng: np.random.Generator) -> C:
        sample = [living[index] for index in rng.permutation(len(living))[: self.settings.sample]]
        best = max(sample, key=lambda trial: trial.score or 0.0)
        return self.space.read(best.spec.candidate)
