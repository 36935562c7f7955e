"""
Summarize a search under way or over: `result.json`, which status, reports and exports are made from.

Computed from the trials and the ends on record. The field descriptions are the schema's documentation
(docs/reference/result.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TypeVar

from pydantic import Field

from metasearch.api import MAX_DELIVERED, Deliver, MetaSearchSpec
from metasearch.outcome.certainty import Certainty, certainty_of
from metasearch.outcome.ends import End
from metasearch.outcome.figures import (
    CellSummary,
    Estimate,
    FinalNetwork,
    FoundNetwork,
    HandMadeNetwork,
    OutcomeModel,
    TrialCounts,
)
from metasearch.outcome.remaining import Remaining, remaining
from metasearch.outcome.rounds import Examination, Round, examine, summarize_round
from metasearch.search import budget, pareto
from metasearch.search.candidates import Candidate
from metasearch.search.cells import parse_cell
from metasearch.search.cut_trials import without_replaced
from metasearch.search.intervals import error_of_mean, student_interval
from metasearch.search.pareto import MeasuredCandidate
from metasearch.search.planner import Phase, Plan, Search
from metasearch.search.trials import NORMAL_95, Accuracy, Reason, Stage, Trial, by_round, count_by_state
from metasearch.storage_layout import front_folder
from metasearch.version import __version__

SCHEMA_VERSION = 1
T = TypeVar("T")
N = TypeVar("N", bound=FinalNetwork[float])

SAME_SIZE = 1.25
"""The ratio of parameters up to which two networks count as of about the same size."""

FRONT_LENGTH = 20
RANKED_LENGTH = 10


class BestCell(OutcomeModel):
    """The delivered cell; until there is one, the best search trial's."""

    cell: str = Field(description="the cell's text form, canonical")
    hyperparameters: dict[str, str] = Field(
        default={}, description="those of spec.search.hyperparameters, as text; empty where none are varied"
    )
    parameter_count: int = Field(description="all that is trained, normalisation and classifier included")
    accuracy: float | None = Field(
        description="accuracy in [0, 1], each query alone: of the delivered network, on the test classes; until "
        "there is one, of the best search trial, on the classes of evaluation.split; null where that was not evaluated"
    )
    interval: float | None = Field(description="half-width of the accuracy's 95% interval")
    trained_in_full: bool = Field(description="false too where a limit cut the delivered network's training short")
    search: CellSummary[float] = Field(description="what its search trial measured")


class SearchState(OutcomeModel):
    """The search itself, and how far it is."""

    name: str
    phase: Phase
    limit: budget.Limit | None = Field(description="the limit of spec.budget that ended a stage early, if one did")
    message: str | None = Field(description="why it failed, if it did")
    rounds: int | None = Field(description="rounds of the strategy; null where it does not know beforehand")
    early_stopped: int = Field(description="trials given up by early stopping")
    started_at: float = Field(description="Unix time in seconds")
    seen_at: float = Field(description="when this was written, as a Unix time in seconds")
    version: str = Field(description="MetaSearch's")
    devices: tuple[str, ...] = Field(
        description="what the trials ran on; scores are repeatable on one kind of device only"
    )
    spec: MetaSearchSpec = Field(description="the resource's spec, defaults filled in")


class Comparison(OutcomeModel):
    """The delivered network beside the most accurate hand-made one of about its size, or else of any size."""

    baseline: str = Field(description="name of the hand-made one, such as Conv4-30")
    same_size: bool = Field(
        description=f"whether that is of about the delivered network's size: neither has more than {SAME_SIZE} times "
        "the parameters of the other"
    )
    accuracy_difference: float = Field(description="non-transductive test accuracy, delivered less baseline")
    transductive_difference: float
    support_statistics_difference: float
    parameter_ratio: float = Field(description="delivered / baseline")


class SearchResult(OutcomeModel):
    """Everything in `result.json`."""

    schema_version: int = SCHEMA_VERSION
    search: SearchState
    trials: TrialCounts
    rounds: tuple[Round, ...]
    examination: Examination | None = Field(
        description="the fair examination of the surrogate; null where nothing predicted has been drawn at random"
    )
    best: BestCell | None = Field(description="the delivered cell; until there is one, the best search trial's")
    front: tuple[CellSummary[float], ...] = Field(
        description="search trials that no other beats in both score and parameters, at most 20"
    )
    ranked: tuple[CellSummary[float], ...] = Field(description="the best search trials, best score first, at most 10")
    final: tuple[FoundNetwork[float], ...] = Field(description="best score first")
    baselines: tuple[HandMadeNetwork[float], ...] = Field(
        description="the hand-made networks of final.baselines, best score first"
    )
    comparison: Comparison | None
    certainty: Certainty
    spent: budget.Spent
    remaining: Remaining | None = Field(
        default=None, description="when the search will end, as estimated; null while nothing can be told"
    )
    ends: tuple[End, ...] = Field(
        default=(),
        description="when and with what the search has ended, at most the last 4; all but the last of a search that "
        "is over were followed by a larger budget",
    )

    @property
    def delivered(self) -> FoundNetwork[float] | None:
        """The network to hand over; of a front, the one with the best score."""
        return self.final[0] if self.final else None

    @property
    def delivered_front(self) -> tuple[FoundNetwork[float], ...]:
        """The networks to hand over where `final.deliver` is Front, best score first; else none."""
        return tuple(network for network in self.final if network.folder is not None)

    @property
    def best_score(self) -> float | None:
        """The best score of a whole training; beginnings have lower ones of another kind."""
        return next((each.score for each in self.ranked if not each.is_beginning), None)

    @property
    def compared(self) -> HandMadeNetwork[float] | None:
        """The hand-made network that `comparison` is with."""
        name = self.comparison.baseline if self.comparison else None
        return next((network for network in self.baselines if network.name == name), None)


def summarize(
    search: Search, trials: Sequence[Trial], decided: Plan, now: float, ends: Sequence[End] = ()
) -> SearchResult:
    """Summarize a search; `decided` is what `plan` says of the same trials, and `ends` are those on record."""
    searching = [trial for trial in trials if trial.spec.stage is Stage.SEARCH]
    final = _final_networks([trial for trial in trials if trial.spec.stage is Stage.FINAL], _found_network)
    baselines = _final_networks([trial for trial in trials if trial.spec.stage is Stage.BASELINE], _hand_made_network)
    ranked, spent = pareto.ranked(searching), budget.spent(trials, search.wall_seconds(now), now)
    return SearchResult(
        search=_state(search, trials, decided, now),
        trials=_counts(trials),
        rounds=tuple(summarize_round(search, trials) for trials in by_round(without_replaced(searching))),
        examination=examine(without_replaced(searching)),
        best=_best(ranked, final),
        front=tuple(map(cell_summary, pareto.front(searching)[:FRONT_LENGTH])),
        ranked=tuple(map(cell_summary, ranked[:RANKED_LENGTH])),
        final=tuple(_with_folders(final) if search.spec.final.deliver is Deliver.FRONT else final),
        baselines=tuple(baselines),
        comparison=compare(final[0], baselines) if final and baselines else None,
        certainty=certainty_of(trials, final),
        spent=spent,
        remaining=remaining(search, trials, ranked, spent, decided.phase, now),
        ends=tuple(ends),
    )


# --- parts --------------------------------------------------------------------------------------------------------


def _state(search: Search, trials: Sequence[Trial], decided: Plan, now: float) -> SearchState:
    results = [trial.result for trial in trials if trial.result]
    return SearchState(
        name=search.name,
        phase=decided.phase,
        limit=decided.limit,
        message=decided.message,
        rounds=search.strategy.rounds,
        early_stopped=sum(result.reason is Reason.EARLY_STOPPED for result in results),
        started_at=search.started_at,
        seen_at=now,
        version=__version__,
        devices=tuple(sorted({result.device for result in results if result.device})),
        spec=search.spec,
    )


def _counts(trials: Sequence[Trial]) -> TrialCounts:
    counts = count_by_state(trials)
    # The fields are named after the states.
    return TrialCounts(total=len(trials), **{state.lower(): count for state, count in counts.items()})


def cell_summary(measured: MeasuredCandidate) -> CellSummary[float]:
    """Summarize a cell by the search trials of its longest training, which ran to their end."""
    trial = measured.trial
    result, cell = _known(trial.result), parse_cell(trial.spec.candidate.architecture)
    # By name, so that a new figure is only declared: in TrialResult, where it is measured, and in CellSummary.
    figures = {name: getattr(result, name) for name in CellSummary.model_fields if hasattr(result, name)}
    # Those of the spec, which a result need not repeat; and the score of all seeds.
    figures |= {"meta_iterations": trial.spec.meta_iterations, "score": measured.score}
    return CellSummary[float](
        cell=trial.spec.candidate.architecture,
        hyperparameters=trial.spec.candidate.texts,
        trial=trial.name,
        blocks=len(cell),
        depth=cell.depth,
        is_beginning=trial.spec.is_beginning,
        interval=NORMAL_95 * (measured.score_error or 0.0),
        seeds=len(measured.seeds),
        accuracy=result.validation.non_transductive.mean if result.validation else None,
        **figures,
    )


def _best(ranked: Sequence[MeasuredCandidate], final: Sequence[FoundNetwork[float]]) -> BestCell | None:
    if not ranked:
        return None
    delivered = final[0] if final else None
    by_candidate = {each.trial.spec.candidate: each for each in reversed(ranked)}  # of repeats, the best stays
    best = by_candidate[delivered.candidate] if delivered else ranked[0]
    search, validation = cell_summary(best), _known(best.trial.result).validation
    measured = delivered.non_transductive if delivered else None
    accuracy = validation.non_transductive if validation else None
    return BestCell(
        cell=search.cell,
        hyperparameters=search.hyperparameters,
        parameter_count=search.parameter_count,
        accuracy=measured.accuracy if measured else accuracy.mean if accuracy else None,
        interval=measured.interval if measured else accuracy.interval if accuracy else None,
        trained_in_full=delivered is not None and not delivered.cut_short,
        search=search,
    )


def _final_networks(trials: Sequence[Trial], make: Callable[[Sequence[Trial]], N]) -> list[N]:
    """
    Return one entry per candidate with at least one network, best score first.

    Args:
        make: returns the network of one candidate's seeds.
    """
    networks = map(make, counted_seeds(trials))
    return sorted(networks, key=lambda network: (-network.score, network.parameter_count))


def counted_seeds(trials: Sequence[Trial]) -> list[list[Trial]]:
    """
    Return the final trials, or those of baselines, whose figures count, by candidate; of each the best score first.

    Seeds that were cut short count only where none was trained in full, for their accuracies are of less training.
    Candidates are ranked by score all the same: it is what was measured, on the same tasks for all.
    """
    seeds: dict[Candidate, list[Trial]] = {}
    ranked = pareto.by_score(_longest(trials))
    whole = {trial.spec.candidate for trial in ranked if not trial.is_cut_short}
    for trial in ranked:
        if not trial.is_cut_short or trial.spec.candidate not in whole:
            seeds.setdefault(trial.spec.candidate, []).append(trial)
    return list(seeds.values())


def _longest(trials: Sequence[Trial]) -> list[Trial]:
    """Return one network of each seed, the one trained longest: under a larger budget it may be trained anew."""
    longest: dict[tuple[Candidate, int], Trial] = {}
    for trial in (each for each in trials if each.has_network):
        there = longest.setdefault((trial.spec.candidate, trial.spec.seed), trial)
        if _done(there) < _done(trial):
            longest[trial.spec.candidate, trial.spec.seed] = trial
    return list(longest.values())


def _done(trial: Trial) -> int:
    """Return the meta-iterations of a trial with a network."""
    return _known(trial.result).meta_iterations or trial.spec.meta_iterations


def _found_network(seeds: Sequence[Trial]) -> FoundNetwork[float]:
    first = seeds[0]
    return FoundNetwork[float](
        cell=first.spec.candidate.architecture,
        hyperparameters=first.spec.candidate.texts,
        trials=tuple(trial.name for trial in seeds),
        weights=_known(first.result).weights,
        **_final_network(seeds).model_dump(),
    )


def _with_folders(networks: Sequence[FoundNetwork[float]]) -> list[FoundNetwork[float]]:
    """
    Number the networks of the front: those that, trained in full, no other beats in both score and parameters.

    Their figures on the test classes count nothing here, for what chooses a network flatters it.

    Args:
        networks: best score first, of equal ones the smaller first.
    """
    front = pareto.unbeaten(networks, lambda network: (-network.score, network.parameter_count))[:MAX_DELIVERED]
    numbers = {network.candidate: number for number, network in enumerate(front, start=1)}
    return [
        network.model_copy(update={"folder": front_folder(numbers[network.candidate])})
        if network.candidate in numbers
        else network
        for network in networks
    ]


def _hand_made_network(seeds: Sequence[Trial]) -> HandMadeNetwork[float]:
    return HandMadeNetwork[float](name=seeds[0].spec.candidate.architecture, **_final_network(seeds).model_dump())


def _final_network(seeds: Sequence[Trial]) -> FinalNetwork[float]:
    first = seeds[0]
    results = [_known(trial.result) for trial in seeds]
    tests = [_known(result.test) for result in results]
    return FinalNetwork[float](
        seeds=len(seeds),
        parameter_count=_known(results[0].parameter_count),
        multiply_adds=_known(results[0].multiply_adds),
        meta_iterations=_known(results[0].meta_iterations) if first.is_cut_short else first.spec.meta_iterations,
        cut_short=first.is_cut_short,
        score=fmean(_known(result.score) for result in results),
        transductive=over_seeds([test.transductive for test in tests]),
        non_transductive=over_seeds([test.non_transductive for test in tests]),
        support_statistics=over_seeds([test.support_statistics for test in tests]),
        tasks=min(test.transductive.tasks for test in tests),
    )


def over_seeds(measured: Sequence[Accuracy]) -> Estimate[float]:
    """
    Return the mean over seeds, with its 95% interval: Student's over the seeds' means, each of which has tasks of its
    own.

    Seeds that happen to agree say less than their tasks do, so it is never narrower than the interval over all tasks.
    One seed says nothing of how much seeds differ; its interval is that over its tasks.
    """
    means = [each.mean for each in measured]
    interval = error_of_mean([each.interval for each in measured])
    if len(means) > 1:
        interval = max(interval, student_interval(means))
    return Estimate[float](accuracy=fmean(means), interval=interval)


def compare(delivered: FoundNetwork[float], baselines: Sequence[HandMadeNetwork[float]]) -> Comparison:
    """Compare a delivered network with the most accurate baseline of about its size, or else of any; there is one."""
    near = [baseline for baseline in baselines if _are_same_size(delivered, baseline)]
    # By the accuracy that is compared, not by score: what the delivered network beats, it then beats of all of them.
    baseline = max(near or baselines, key=lambda network: (network.non_transductive.accuracy, -network.parameter_count))
    return Comparison(
        baseline=baseline.name,
        same_size=bool(near),
        accuracy_difference=delivered.non_transductive.accuracy - baseline.non_transductive.accuracy,
        transductive_difference=delivered.transductive.accuracy - baseline.transductive.accuracy,
        support_statistics_difference=delivered.support_statistics.accuracy - baseline.support_statistics.accuracy,
        parameter_ratio=delivered.parameter_count / baseline.parameter_count,
    )


def _are_same_size(one: FinalNetwork[float], other: FinalNetwork[float]) -> bool:
    smaller, larger = sorted((one.parameter_count, other.parameter_count))
    return larger <= SAME_SIZE * smaller


def _known(value: T | None) -> T:
    """Return a measurement that every trial has that ran to its end."""
    assert value is not None
    return value
