"""
What a search has found so far, or in the end: `result.json`, and what status, reports and exports are made from.

Computed from the trials alone. The field descriptions are the schema's documentation (docs/reference/result.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from metasearch.api import MetaSearchSpec, Score
from metasearch.search import board, budget
from metasearch.search.cells import Cell, parse_cell
from metasearch.search.planner import Phase, Plan, Search, by_level
from metasearch.search.ranking import predictions, ranking_quality
from metasearch.search.trials import Accuracy, Reason, Stage, State, Trial, count_by_state
from metasearch.version import __version__

SCHEMA_VERSION = 1
T = TypeVar("T")
STUDENT_QUANTILES = (
    12.706204736174694,
    4.302652729749462,
    3.1824463052837078,
    2.7764451051977934,
    2.5705818356363146,
    2.4469118511449786,
    2.364624251592784,
    2.306004135204166,
    2.262157162798205,
    2.228138851986274,
    2.200985160091639,
    2.1788128296672284,
    2.1603686564627913,
    2.144786687917804,
    2.131449545559776,
    2.1199052992212546,
    2.1098155778333156,
    2.1009220402410382,
    2.0930240544083087,
)
"""The 97.5% quantiles of Student's t for 1 to 19 degrees of freedom, so for up to the 20 seeds that a spec may ask for.

A table, for SciPy, which has the function, takes most of a second to import. Tests compare both."""

FRONT_LENGTH = 20
RANKED_LENGTH = 10


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Measured(_Model):
    """A share of correct answers."""

    accuracy: float = Field(description="in [0, 1]; a mean over tasks, and over seeds where there are several")
    interval: float = Field(
        description="half-width of the 95% interval: over seeds where there are several, at least that over tasks"
    )


class Found(_Model):
    """A cell and what was measured of it in a search trial."""

    cell: str = Field(description="the cell's text form, canonical")
    trial: str = Field(description="the trial it was measured in; of several, the best by score")
    level: int = Field(description="number of blocks")
    depth: int = Field(description="number of blocks on the longest path")
    parameters: int = Field(description="all that is trained, normalisation and classifier included")
    multiply_adds: int = Field(description="per image")
    score: float = Field(description="what ranks candidates, in [0, 1]: accuracy on the classes of evaluation.split")
    interval: float = Field(description="half-width of the score's 95% interval")
    latency_ms: float | None = Field(
        description="to classify one task's queries after adaptation, on the trial's device"
    )
    peak_memory_bytes: int | None = Field(description="the most its process (on a GPU: the device) held")
    wall_seconds: float | None = Field(description="training and evaluation")


class FinalNetwork(_Model):
    """A network of the final stage, on as many seeds as ran to their end; where none did, on those cut short."""

    name: str | None = Field(default=None, description="of a hand-made network; cells have none")
    cell: str | None = Field(default=None, description="the cell's text form, canonical")
    trials: tuple[str, ...] = Field(description="one per seed")
    parameters: int = Field(description="all that is trained, normalisation and classifier included")
    multiply_adds: int = Field(description="per image")
    meta_iterations: int = Field(
        description="outer steps done; of several seeds cut short, those of the first, whose weights are delivered"
    )
    cut_short: bool = Field(
        default=False, description="whether a limit ended its training before final.metaIterations were done"
    )
    score: float = Field(
        description="mean over seeds, on the classes of evaluation.split; the delivered network is chosen by it"
    )
    transductive: Measured = Field(description="on the test classes, the queries of a task classified together")
    non_transductive: Measured = Field(description="on the test classes, each query classified alone")
    tasks: int = Field(
        description="test tasks per seed, of the seed with the fewest; final.tasks, or where a limit cut it short "
        "evaluation.tasks if that is less"
    )
    weights: str | None = Field(
        default=None, description="name of the file with the first trial's weights; null where they were not kept"
    )


class Level(_Model):
    """One level of the search."""

    level: int
    proposed: int
    trained: int = Field(description="ran to their end")
    stopped: int = Field(description="given up by early stopping or for lack of budget")
    failed: int
    best: float | None = Field(description="best score")
    spearman: float | None = Field(
        description="rank correlation of predictions, made before the level was measured, and scores; null at level 1"
    )
    kendall: float | None = Field(description="tau-b of the same")
    top_recall: float | None = Field(description="share of the measured best quarter that was predicted to be in it")
    depths: dict[int, int] = Field(description="how many of the level's cells have which depth")


class Best(_Model):
    """The delivered cell; until there is one, the best search trial's."""

    cell: str = Field(description="the cell's text form, canonical")
    parameters: int = Field(description="all that is trained, normalisation and classifier included")
    score: float = Field(
        description="accuracy in [0, 1] of the kind evaluation.score: of the delivered network, on the test classes; "
        "until there is one, the search score"
    )
    interval: float = Field(description="half-width of the score's 95% interval")
    trained_in_full: bool = Field(description="false too where a limit cut the delivered network's training short")
    search: Found = Field(description="what its search trial measured")


class TrialCounts(_Model):
    """Trials by state, of every stage."""

    total: int
    pending: int
    running: int
    succeeded: int
    stopped: int
    failed: int


class SearchState(_Model):
    """Which search, and how far it is."""

    name: str
    phase: Phase
    limit: budget.Limit | None = Field(description="the limit of spec.budget that ended a stage early, if one did")
    message: str | None = Field(description="why it failed, if it did")
    early_stopped: int = Field(description="trials given up by early stopping")
    started_at: float = Field(description="Unix time in seconds")
    seen_at: float = Field(description="when this was written, as a Unix time in seconds")
    version: str = Field(description="MetaSearch's")
    devices: tuple[str, ...] = Field(
        description="what the trials ran on; scores are repeatable on one kind of device only"
    )
    spec: MetaSearchSpec = Field(description="the resource's spec, defaults filled in")


class Comparison(_Model):
    """The delivered network beside the hand-made one."""

    accuracy_difference: float = Field(description="non-transductive test accuracy, delivered less baseline")
    transductive_difference: float
    parameter_ratio: float = Field(description="delivered / baseline")


class SearchResult(_Model):
    """Everything in `result.json`."""

    schema_version: int = SCHEMA_VERSION
    search: SearchState
    trials: TrialCounts
    levels: tuple[Level, ...]
    best: Best | None = Field(description="the delivered cell; until there is one, the best search trial's")
    front: tuple[Found, ...] = Field(
        description="search trials that no other beats in both score and parameters, at most 20"
    )
    ranked: tuple[Found, ...] = Field(description="the best search trials, best score first, at most 10")
    final: tuple[FinalNetwork, ...] = Field(description="best score first")
    baseline: FinalNetwork | None
    comparison: Comparison | None
    spent: budget.Spent

    @property
    def delivered(self) -> FinalNetwork | None:
        """The network to hand over."""
        return self.final[0] if self.final else None


def summarize(search: Search[Cell], trials: Sequence[Trial], decided: Plan, now: float) -> SearchResult:
    """Everything there is to say of a search; `decided` is what `plan` says of the same trials."""
    searching = [trial for trial in trials if trial.spec.stage is Stage.SEARCH]
    final = _final_networks([trial for trial in trials if trial.spec.stage is Stage.FINAL])
    baselines = _final_networks([trial for trial in trials if trial.spec.stage is Stage.BASELINE])
    baseline = baselines[0] if baselines else None
    ranked = board.ranked(searching)
    return SearchResult(
        search=_state(search, trials, decided, now),
        trials=_counts(trials),
        levels=tuple(_level(level) for level in by_level(searching)),
        best=_best(ranked, final, search.spec),
        front=tuple(_found(trial, search.spec) for trial in board.front(searching)[:FRONT_LENGTH]),
        ranked=tuple(_found(trial, search.spec) for trial in ranked[:RANKED_LENGTH]),
        final=tuple(final),
        baseline=baseline,
        comparison=_compare(final[0], baseline) if final and baseline else None,
        spent=budget.spent(trials, search.wall_seconds(now), now),
    )


# --- parts --------------------------------------------------------------------------------------------------------


def _state(search: Search[Cell], trials: Sequence[Trial], decided: Plan, now: float) -> SearchState:
    results = [trial.result for trial in trials if trial.result]
    return SearchState(
        name=search.name,
        phase=decided.phase,
        limit=decided.limit,
        message=decided.message,
        early_stopped=sum(result.reason is Reason.EARLY_STOPPED for result in results),
        started_at=search.started_at,
        seen_at=now,
        version=__version__,
        devices=tuple(sorted({result.device for result in results if result.device})),
        spec=search.spec,
    )


def _counts(trials: Sequence[Trial]) -> TrialCounts:
    counts = count_by_state(trials)
    return TrialCounts(total=len(trials), **{state.lower(): count for state, count in counts.items()})


def _level(trials: Sequence[Trial]) -> Level:
    counts = count_by_state(trials)
    ended = [trial for trial in trials if trial.state is State.SUCCEEDED]
    found = predictions(trials)
    quality = ranking_quality([each.predicted for each in found], [each.measured for each in found])
    depths = [parse_cell(trial.spec.candidate).depth for trial in trials]
    return Level(
        level=trials[0].spec.level,
        proposed=len(trials),
        trained=counts[State.SUCCEEDED],
        stopped=counts[State.STOPPED],
        failed=counts[State.FAILED],
        best=max((trial.score for trial in ended if trial.score is not None), default=None),
        spearman=quality.spearman,
        kendall=quality.kendall,
        top_recall=quality.top_recall,
        depths={depth: depths.count(depth) for depth in sorted(set(depths))},
    )


def _found(trial: Trial, spec: MetaSearchSpec) -> Found:
    """A search trial that ran to its end."""
    result, cell = _known(trial.result), parse_cell(trial.spec.candidate)
    validation = _known(result.validation)
    scored = validation.transductive if _is_transductive(spec) else validation.non_transductive
    return Found(
        cell=trial.spec.candidate,
        trial=trial.name,
        level=len(cell),
        depth=cell.depth,
        parameters=_known(result.parameter_count),
        multiply_adds=_known(result.multiply_adds),
        score=_known(result.score),
        interval=scored.interval,
        latency_ms=result.latency_ms,
        peak_memory_bytes=result.peak_memory_bytes,
        wall_seconds=result.wall_seconds,
    )


def _best(ranked: Sequence[Trial], final: Sequence[FinalNetwork], spec: MetaSearchSpec) -> Best | None:
    if not ranked:
        return None
    delivered = final[0] if final else None
    by_cell = {trial.spec.candidate: trial for trial in reversed(ranked)}  # of repeats, the best stays
    search = _found(by_cell[delivered.cell] if delivered and delivered.cell else ranked[0], spec)
    score, interval = search.score, search.interval
    if delivered:
        measured = delivered.transductive if _is_transductive(spec) else delivered.non_transductive
        score, interval = measured.accuracy, measured.interval
    return Best(
        cell=search.cell,
        parameters=search.parameters,
        score=score,
        interval=interval,
        trained_in_full=delivered is not None and not delivered.cut_short,
        search=search,
    )


def _is_transductive(spec: MetaSearchSpec) -> bool:
    return spec.evaluation.score is Score.TRANSDUCTIVE


def _final_networks(trials: Sequence[Trial]) -> list[FinalNetwork]:
    """
    One entry per candidate with at least one network, best score first.

    Seeds that were cut short count only where none was trained in full, for their accuracies are of less training.
    Candidates are ranked by score all the same: it is what was measured, on the same tasks for all.
    """
    seeds: dict[str, list[Trial]] = {}
    ranked = board.ranked(trials)
    whole = {trial.spec.candidate for trial in ranked if not trial.is_cut_short}
    for trial in ranked:
        if not trial.is_cut_short or trial.spec.candidate not in whole:
            seeds.setdefault(trial.spec.candidate, []).append(trial)
    return sorted(map(_final_network, seeds.values()), key=lambda network: (-network.score, network.parameters))


def _final_network(seeds: Sequence[Trial]) -> FinalNetwork:
    first = seeds[0]
    results = [_known(trial.result) for trial in seeds]
    tests = [_known(result.test) for result in results]
    is_baseline = first.spec.stage is Stage.BASELINE
    return FinalNetwork(
        name=first.spec.candidate if is_baseline else None,
        cell=None if is_baseline else first.spec.candidate,
        trials=tuple(trial.name for trial in seeds),
        parameters=_known(results[0].parameter_count),
        multiply_adds=_known(results[0].multiply_adds),
        meta_iterations=_known(results[0].meta_iterations) if first.is_cut_short else first.spec.meta_iterations,
        cut_short=first.is_cut_short,
        score=fmean(_known(result.score) for result in results),
        transductive=over_seeds([test.transductive for test in tests]),
        non_transductive=over_seeds([test.non_transductive for test in tests]),
        tasks=min(test.transductive.tasks for test in tests),
        weights=results[0].weights,
    )


def over_seeds(measured: Sequence[Accuracy]) -> Measured:
    """
    The mean over seeds, with its 95% interval: Student's over the seeds' means, each of which has tasks of its own.

    Seeds that happen to agree say less than their tasks do, so it is never narrower than the interval over all tasks.
    One seed says nothing of how much seeds differ; its interval is that over its tasks.
    """
    means = [each.mean for each in measured]
    interval = math.hypot(*(each.interval for each in measured)) / len(measured)
    if len(means) > 1:
        quantile = STUDENT_QUANTILES[len(means) - 2]
        interval = max(interval, quantile * stdev(means) / math.sqrt(len(means)))
    return Measured(accuracy=fmean(means), interval=interval)


def _compare(delivered: FinalNetwork, baseline: FinalNetwork) -> Comparison:
    return Comparison(
        accuracy_difference=delivered.non_transductive.accuracy - baseline.non_transductive.accuracy,
        transductive_difference=delivered.transductive.accuracy - baseline.transductive.accuracy,
        parameter_ratio=delivered.parameters / baseline.parameters,
    )


def _known(value: T | None) -> T:
    """A measurement that every trial has that ran to its end."""
    assert value is not None
    return value
