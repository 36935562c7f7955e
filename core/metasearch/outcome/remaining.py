"""
Estimate when a search will end, from its trials on record.

What is left is, in the search stage, the work that the strategy foresees less what is on record, spread over the slots
that are at work at the share of the time for which they have been busy so far; and in the final stage each training by
itself, on as many slots. The budget's limits on time and GPU-hours end a stage earlier.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import fmean, median

from pydantic import Field

from metasearch.api import Deliver, MetaSearchSpec
from metasearch.outcome.figures import Confidence, OutcomeModel
from metasearch.search import baselines, budget, pareto
from metasearch.search.attempts import attempt_seconds, attempt_speed
from metasearch.search.cells import parse_cell
from metasearch.search.pareto import MeasuredCandidate
from metasearch.search.planner import Phase, Search
from metasearch.search.strategies.base import Foreseeing, Share
from metasearch.search.trial_costs import TrialCosts, Work, makespan, scored_tasks, typical_multiply_adds, work_of
from metasearch.search.trials import Stage, Trial
from metasearch.worker_names import slot_of

LEAST_BUSY = 0.2
"""The least share of the time for which slots are taken to be busy: at the start of a search it may seem to be less."""

TELLING_SHARE = 0.05
"""The share of a training after which the rest is taken to go on as it did: its first steps are slower."""

LATEST = 20
"""The number of candidates of a size whose mean stands for those to come."""

RECENT = 3.0
"""Multiples of the median attempt's time for which a slot without a trial still counts as being there."""


class Remaining(OutcomeModel):
    """The estimated end of a search."""

    share: float = Field(description="how much of the search's time is over, in [0, 1]")
    seconds: float = Field(description="until the search ends")
    unlimited_seconds: float = Field(description="until it would end if no limit of time or GPU-hours ended anything")
    confidence: Confidence = Field(description="how sure that is")

    @property
    def percentage(self) -> int:
        """The share in percent, rounded down: 100 is for what has ended."""
        return math.floor(100 * self.share)

    @property
    def rounded_seconds(self) -> float:
        """The time until the end with two digits, which is what the estimate is worth."""
        return float(f"{self.seconds:.2g}")


def remaining(
    search: Search,
    trials: Sequence[Trial],
    ranked: Sequence[MeasuredCandidate],
    spent: budget.Spent,
    phase: Phase,
    now: float,
) -> Remaining | None:
    """
    Estimate the time until a search ends.

    Args:
        ranked: of the search trials, as `pareto.ranked` has them.
        spent: of all trials, at the same time.
        phase: what `plan` says of the same trials.
        now: a Unix time in seconds.

    Returns:
        None while nothing can be told: no trial is over, no slot is at work, or the search is suspended.
    """
    if phase.is_over:
        return Remaining(share=1.0, seconds=0.0, unlimited_seconds=0.0, confidence=Confidence.HIGH)
    if search.spec.suspend:
        return None
    costs, slots = TrialCosts.of(search.spec, trials), _slots(trials, now)
    images = next(((r.image_channels, r.image_side) for trial in trials if (r := trial.result) and r.image_side), None)
    if costs is None or not slots or images is None or images[0] is None or images[1] is None:
        return None
    estimator = _Estimator(search, trials, ranked, costs, slots, (images[0], images[1]), now)
    searching = estimator.search_seconds() if phase is Phase.SEARCHING else 0.0
    final, elapsed = estimator.final_seconds(), spent.wall_seconds
    # The next limit is that of the search stage, if that is under way, and then those of the whole.
    within_stage = min(searching, budget.seconds_left(search.spec, elapsed))
    seconds = min(within_stage + final, _seconds_left(search.spec, spent, slots * _gpus_per_slot(trials)))
    return Remaining(
        share=elapsed / (elapsed + seconds) if elapsed + seconds else 0.0,
        seconds=seconds,
        unlimited_seconds=searching + final,
        confidence=estimator.confidence,
    )


def _seconds_left(spec: MetaSearchSpec, spent: budget.Spent, gpus: float) -> float:
    """Return the seconds that the budget's limits of the whole search leave to so many GPUs; infinite without one."""
    limits, left = spec.budget, math.inf
    if limits.wall_time is not None:
        left = min(left, limits.wall_time.seconds - spent.wall_seconds)
    if limits.gpu_hours is not None and gpus:
        left = min(left, (float(limits.gpu_hours) - spent.gpu_hours) * budget.SECONDS_PER_HOUR / gpus)
    return max(0.0, left)


def _gpus_per_slot(trials: Sequence[Trial]) -> float:
    return max((attempt.gpus for trial in trials for attempt in trial.attempts), default=0.0)


def _slots(trials: Sequence[Trial], now: float) -> int:
    """Return the number of slots that are at work: those with a trial, and those that had one a short time ago."""
    attempts = [attempt for trial in trials for attempt in trial.attempts]
    ended = [attempt_seconds(each, now) for each in attempts if each.ended_at is not None]
    since = now - RECENT * median(ended) if ended else now
    there = (each for each in attempts if each.ended_at is None or each.ended_at >= since)
    return len({slot_of(each.worker) for each in there})


def _size(trial: Trial) -> int:
    """Return the number of blocks of a trial's cell."""
    return _blocks_of(trial.spec.candidate.architecture)


@lru_cache(maxsize=20_000)
def _blocks_of(architecture: str) -> int:
    """Return the number of blocks of a cell; kept, since a search is estimated again and again."""
    return len(parse_cell(architecture))


@dataclass(frozen=True)
class _Estimator:
    """The parts of an estimate."""

    search: Search
    trials: Sequence[Trial]
    ranked: Sequence[MeasuredCandidate]
    """The candidates of the search trials, best first."""
    costs: TrialCosts
    """Those of all trials."""
    slots: int
    images: tuple[int, int]
    """Channels and side."""
    now: float

    @property
    def confidence(self) -> Confidence:
        """The confidence in the estimate."""
        over = {trial.spec.stage for trial in self.trials if _multiply_adds(trial)}
        left = [trial for trial in self.trials if trial.spec.stage is not Stage.SEARCH and not trial.state.is_over]
        if Stage.FINAL in over and all(trial.spec.stage in over or _telling_speed(trial) is not None for trial in left):
            return Confidence.HIGH
        return Confidence.MEDIUM if self.search.spec.space.max_blocks in self._known_sizes else Confidence.LOW

    # --- the search stage ---

    def search_seconds(self) -> float:
        """Return the seconds until the search stage would end if no limit of time ended it."""
        open_work = sum(self._seconds_left(trial) for trial in self._searching if not trial.state.is_over)
        to_come = sum(self._seconds_to_come())
        return (open_work + to_come) / (self.slots * self._busy_share())

    def _seconds_to_come(self) -> Iterator[float]:
        """Yield the seconds of trials that are not on record yet, of each size and length."""
        left = self.search.spec.budget.max_trials - len(self._searching)
        if left <= 0:
            return
        recorded = Counter((_size(trial), trial.spec.meta_iterations) for trial in self._searching)
        shares = self._foreseen(recorded)
        open_shares = [
            (share, max(0.0, share.trials - recorded[share.size, share.meta_iterations])) for share in shares
        ]
        total = sum(count for _, count in open_shares)
        for share, count in open_shares:
            if total:
                # As many as the budget leaves, for what was foreseen is not kept to the last trial.
                yield count / total * left * self._search_trial_seconds(share, shares)

    def _foreseen(self, recorded: Counter[tuple[int, int]]) -> Sequence[Share]:
        """Return what the strategy foresees; of one that does not, all is taken to be as it was so far."""
        most = self.search.spec.budget.max_trials
        strategy = self.search.strategy
        if isinstance(strategy, Foreseeing) and (found := strategy.foresee(most)):
            return found
        done = sum(recorded.values())
        return [Share(size, length, most * count / done) for (size, length), count in recorded.items()]

    def _search_trial_seconds(self, share: Share, shares: Sequence[Share]) -> float:
        lengths = sorted({each.meta_iterations for each in shares})
        before = max((length for length in lengths if length < share.meta_iterations), default=0)
        evaluation = self.search.spec.evaluation
        is_whole = share.meta_iterations >= self.search.spec.training.meta_iterations
        tasks = scored_tasks(evaluation, has_curve=not before) * evaluation.folds if is_whole else 0
        work = Work((share.meta_iterations - before) * evaluation.folds, tasks)
        return self.costs.seconds(self._multiply_adds_of_size(share.size), work)

    def _multiply_adds_of_size(self, size: int) -> float:
        """Return those of a candidate of a size: the mean on record, and of a size that has none, typical ones."""
        known = self._known_sizes
        if size in known:
            return known[size]
        typical = typical_multiply_adds(self.search.spec, size, *self.images)
        if not known:
            return typical
        nearest = max(known)
        return typical * known[nearest] / typical_multiply_adds(self.search.spec, nearest, *self.images)

    @cached_property
    def _known_sizes(self) -> dict[int, float]:
        """The mean multiply-adds of the latest candidates of each size that is on record."""
        known: dict[int, list[float]] = {}
        for trial in self._searching:
            if counted := _multiply_adds(trial):
                known.setdefault(_size(trial), []).append(counted)
        # Of the latest, since a search that learns goes to larger or smaller ones.
        return {size: fmean(counted[-LATEST:]) for size, counted in known.items()}

    def _busy_share(self) -> float:
        """Return the share of the slots' time for which they have had search trials so far."""
        attempts = [attempt for trial in self._searching for attempt in trial.attempts]
        if not attempts:
            return 1.0
        waited = max(0.0, min(attempt.started_at for attempt in attempts) - self.search.started_at)
        whole = self.slots * max(0.0, self.search.wall_seconds(self.now) - waited)
        busy = sum(attempt_seconds(attempt, self.now) for attempt in attempts)
        return min(1.0, max(LEAST_BUSY, busy / whole)) if whole else 1.0

    # --- the final stage ---

    def final_seconds(self) -> float:
        """Return the seconds from the end of the search stage to that of the search."""
        finals = [trial for trial in self.trials if trial.spec.stage is not Stage.SEARCH]
        left = [self._seconds_left(trial) for trial in finals if not trial.state.is_over]
        left += self._finals_to_come(finals)
        return makespan(left, self.slots)

    def _finals_to_come(self, finals: Sequence[Trial]) -> list[float]:
        """Return the seconds of final trainings that are not on record yet."""
        final, known = self.search.spec.final, Counter(trial.spec.stage for trial in finals)
        best = self.ranked
        cells = final.top
        if final.deliver is Deliver.FRONT and best:
            cells = min(final.top, len(pareto.front(self._searching)))
        sizes = [_multiply_adds(each.trial) for each in best[:cells]]
        sizes = sizes or [self._multiply_adds_of_size(self.search.spec.space.max_blocks)]
        to_come = max(0, cells * final.seeds - known[Stage.FINAL])
        found = [self._final_seconds(fmean(sizes), Stage.FINAL)] * to_come
        if final.baselines and best and best[0].trial.result:
            networks = baselines.wanted(final.baselines, best[0].trial.result, self.search.spec.task.ways)
            each = [network.multiply_adds(*self.images, self.search.spec.task.ways) for network in networks]
            missing = max(0, len(networks) * final.seeds - known[Stage.BASELINE])
            found += [self._final_seconds(fmean(each), Stage.BASELINE)] * missing if each else []
        return found

    def _final_seconds(self, multiply_adds: float, stage: Stage) -> float:
        final = self.search.spec.final
        tasks = scored_tasks(self.search.spec.evaluation) + final.tasks
        return self._final_costs[stage].seconds(multiply_adds, Work(final.meta_iterations, tasks))

    # --- both ---

    @cached_property
    def _searching(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.spec.stage is Stage.SEARCH]

    @cached_property
    def _final_costs(self) -> dict[Stage, TrialCosts]:
        """The costs in the final stage, from its own trials where there are some: it may train in another way."""
        found = {}
        for stage in (Stage.FINAL, Stage.BASELINE):
            mine = [trial for trial in self.trials if trial.spec.stage is stage]
            found[stage] = TrialCosts.of(self.search.spec, mine) or self.costs
        return found

    @cached_property
    def _lengths(self) -> dict[str, int]:
        return {trial.name: trial.spec.meta_iterations for trial in self.trials}

    @cached_property
    def _known_candidates(self) -> dict[str, float]:
        """The multiply-adds of every candidate that is on record, by its text."""
        return {trial.spec.candidate.text: counted for trial in self.trials if (counted := _multiply_adds(trial))}

    def _seconds_left(self, trial: Trial) -> float:
        """Return the seconds that a trial still needs which is not over."""
        costs = self._final_costs.get(trial.spec.stage, self.costs)
        size, work = self._multiply_adds_of(trial), work_of(self.search.spec, trial, self._lengths)
        attempt = next((each for each in trial.attempts if each.ended_at is None), None)
        if attempt is None:
            return costs.seconds(size, work)
        progress, speed = trial.progress, _telling_speed(trial)
        if speed is None or progress.reported_at is None:
            return max(0.0, costs.seconds(size, work) - attempt_seconds(attempt, self.now))
        # By its own speed, which also an unusual network has; its evaluation is still to come.
        left = (trial.spec.meta_iterations - progress.meta_iteration) / speed
        left += costs.seconds(size, replace(work, meta_iterations=0))
        return max(0.0, left - (self.now - progress.reported_at))

    def _multiply_adds_of(self, trial: Trial) -> float:
        text = trial.spec.candidate.text
        if text in self._known_candidates:
            return self._known_candidates[text]
        if trial.spec.stage is Stage.BASELINE:
            return baselines.HandMade.parse(text).multiply_adds(*self.images, self.search.spec.task.ways)
        return self._multiply_adds_of_size(_size(trial))


def _telling_speed(trial: Trial) -> float | None:
    """Return the speed of a trial that is under way; None before a part of it is done that says something."""
    progress = trial.progress
    done, whole = progress.meta_iteration - progress.started_from, trial.spec.meta_iterations - progress.started_from
    if trial.holder is None or done < TELLING_SHARE * whole:
        return None
    return attempt_speed(trial) if whole else math.inf  # an attempt that found all of it done only evaluates


def _multiply_adds(trial: Trial) -> float:
    """Return those of a trial that is over; 0 where they are not on record."""
    return float(trial.result.multiply_adds or 0) if trial.result else 0.0
