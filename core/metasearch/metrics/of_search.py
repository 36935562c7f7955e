"""
Compute the metrics of a search from what is on record of it.

Counters and histograms, too: what is computed from records has no restart to begin anew at, and agrees with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from metasearch.api import MetaSearchSpec
from metasearch.metrics.model import PREFIX, Histogram, Kind, Metric, Sample, Unit
from metasearch.outcome.results import SearchResult
from metasearch.search.budget import SECONDS_PER_HOUR
from metasearch.search.planner import Phase
from metasearch.search.strategies import WITHOUT_SURROGATE
from metasearch.search.trials import INTERRUPTED, LOST, Reason, Stage, State, Trial

SEARCH_LABELS = ("namespace", "search")

ROUNDS_SHOWN = 16
"""Rounds that have series of their own, the last ones; a search may have hundreds."""

TRIAL_BUCKETS = (1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200)
"""Bounds of a trial's time, from a second to half a day."""

FAILURES = (Reason.DIVERGED, Reason.OUT_OF_MEMORY, Reason.TIMED_OUT, Reason.INVALID_DATA, Reason.ERROR)
"""The reasons for which an attempt, and at last its trial, may fail."""

WAIT_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400)


def _gauge(name: str, help: str, *labels: str, unit: Unit | None = None) -> Metric:
    return Metric(f"{PREFIX}{name}", Kind.GAUGE, help, (*SEARCH_LABELS, *labels), unit)


def _counter(name: str, help: str, *labels: str, unit: Unit | None = None) -> Metric:
    return Metric(f"{PREFIX}{name}", Kind.COUNTER, help, (*SEARCH_LABELS, *labels), unit)


def _histogram(name: str, help: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}", Kind.HISTOGRAM, help, (*SEARCH_LABELS, *labels), Unit.SECONDS, buckets)


# --- the metrics --------------------------------------------------------------------------------------------------

INFO = _gauge(
    "search_info",
    "Always 1; its labels say what a search is of.",
    "dataset",
    "strategy",
    "surrogate",
    "meta_learner",
)
PHASE = _gauge("search_phase", "1 for the phase that a search is in, 0 for the others.", "phase")
CONDITION = _gauge(
    "search_condition", "1 for the present status of each condition of a search.", "condition", "status", "reason"
)
STARTED = _gauge("search_started_timestamp_seconds", "Unix time at which a search began.", unit=Unit.SECONDS)
COMPLETED = _gauge(
    "search_completed_timestamp_seconds", "Unix time at which a search ended; absent before.", unit=Unit.SECONDS
)
ROUND = _gauge("search_round", "Number of a search's present round, from 1.")
META_ITERATIONS = _gauge(
    "search_meta_iterations", "Meta-iterations of all trials as last reported, those under way included."
)
PROGRESS = _gauge(
    "search_progress_ratio", "Estimated share of a search's time that is over, from 0 to 1.", unit=Unit.RATIO
)
REMAINING = _gauge(
    "search_remaining_seconds",
    "Estimated time until a search ends; absent while nothing can be told.",
    unit=Unit.SECONDS,
)
UNLIMITED_REMAINING = _gauge(
    "search_unlimited_remaining_seconds",
    "Estimated time until a search would end if no limit of time or GPU-hours did; absent while nothing can be told.",
    unit=Unit.SECONDS,
)
BEST_SCORE = _gauge(
    "search_best_score_ratio",
    "Best score of a whole training of a search, from 0 to 1; absent before there is one.",
    unit=Unit.RATIO,
)
FRONT = _gauge("search_front_cells", "Cells that no other beats in both score and parameters.")
ACCURACY = _gauge(
    "delivered_accuracy_ratio",
    "Accuracy on test classes of the network that is delivered, from 0 to 1; absent before there is one.",
    "classification",
    unit=Unit.RATIO,
)
STATUS_BYTES = _gauge("search_status_bytes", "Size of a search's status as JSON.", unit=Unit.BYTES)

TRIALS = _gauge(
    "trials",
    f"Trials on record; those of the search stage in the last {ROUNDS_SHOWN} rounds. Final trials have round 0.",
    "stage",
    "round",
    "state",
)
ENDED = _counter(
    "trials_ended_total", "Trials that are over; the reason is empty for success.", "stage", "state", "reason"
)
ATTEMPTS = _counter("trial_attempts_total", "Claims of trials that are over.", "outcome")
TRIAL_SECONDS = _histogram(
    "trial_seconds", "Time of training and evaluation of trials that succeeded.", TRIAL_BUCKETS, "stage"
)
CLAIM_SECONDS = _histogram(
    "trial_claim_seconds", "Time from a claim to its end, whatever the outcome.", TRIAL_BUCKETS, "stage"
)
QUEUE_SECONDS = _histogram(
    "trial_queue_seconds", "Time from the creation of a trial to its first claim.", WAIT_BUCKETS, "stage"
)
WORKER_SECONDS = _counter(
    "worker_busy_seconds_total", "Time in which slots of workers have held trials.", unit=Unit.SECONDS
)

CORRELATION = _gauge(
    "surrogate_rank_correlation",
    "Rank correlation of a round's predictions and scores; kind ceiling is what perfect predictions could have.",
    "round",
    "kind",
)
RECALL = _gauge(
    "surrogate_top_recall_ratio",
    "Share of a round's best quarter that was predicted to be in it.",
    "round",
    unit=Unit.RATIO,
)
EXAMINATION = _gauge(
    "surrogate_examination_correlation",
    "Spearman of predictions and scores of the trials drawn at random, all rounds together, and its ceiling.",
    "kind",
)
EXAMINED = _gauge("surrogate_examination_trials", "Trials drawn at random that have examined the surrogate.")

BUDGET_LIMIT = _gauge(
    "budget_limit", "Limit of a search's budget, where it has one, in trials, seconds or GPU-seconds.", "unit"
)
BUDGET_SPENT = _gauge("budget_spent", "What a search has spent, in trials, seconds or GPU-seconds.", "unit")

WORKERS = _gauge("workers", "Pods of a search's workers.", "phase")
SLOTS = _gauge("slots", "Slots of running workers; on one machine the idle ones are not known.", "state")

METRICS: tuple[Metric, ...] = tuple(each for each in list(globals().values()) if isinstance(each, Metric))
"""All metrics of a search."""


# --- the samples --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Observation:
    """Everything that the metrics of one search are computed from."""

    namespace: str
    """Empty for a search on one machine."""
    result: SearchResult
    trials: Sequence[Trial]
    """All on record."""
    completed_at: float | None = None
    """A Unix time in seconds; None while the search is under way."""
    status_bytes: int | None = None
    """None where there is no status."""
    workers: Mapping[str, int] | None = None
    """The number of workers' pods by their phase; None on one machine, where idle slots are not known."""

    @property
    def spec(self) -> MetaSearchSpec:
        """The search's spec."""
        return self.result.search.spec


def samples(seen: Observation) -> list[Sample]:
    """Return the samples of a search; a metric that has no value now has none."""
    labels = (seen.namespace, seen.result.search.name)
    found = [*_of_result(seen), *_of_trials(seen.trials), *_of_surrogate(seen), *_of_budget(seen), *_of_workers(seen)]
    return [Sample(metric, (*labels, *own), value) for metric, own, value in found]


def condition_samples(namespace: str, search: str, conditions: Sequence[tuple[str, str, str]]) -> list[Sample]:
    """
    Return the samples of a search's conditions, which it has even where it cannot be evaluated.

    Args:
        conditions: type, status and reason of each.
    """
    return [Sample(CONDITION, (namespace, search, *condition), 1) for condition in conditions]


_Part = Iterator[tuple[Metric, tuple[str, ...], float | Histogram]]
"""Metrics with the values of their own labels."""


def _of_result(seen: Observation) -> _Part:
    result, spec = seen.result, seen.spec
    surrogate = "" if spec.search.strategy in WITHOUT_SURROGATE else spec.search.surrogate.type
    yield INFO, (_dataset(spec), spec.search.strategy, surrogate, spec.training.meta_learner), 1
    for phase in Phase:
        yield PHASE, (phase,), phase is result.search.phase
    yield STARTED, (), result.search.started_at
    if seen.completed_at is not None:
        yield COMPLETED, (), seen.completed_at
    yield ROUND, (), result.rounds[-1].round if result.rounds else 0
    if (remaining := result.remaining) is not None:
        yield PROGRESS, (), remaining.share
        yield REMAINING, (), remaining.seconds
        yield UNLIMITED_REMAINING, (), remaining.unlimited_seconds
    if result.best_score is not None:
        yield BEST_SCORE, (), result.best_score
    yield FRONT, (), len(result.front)
    if delivered := result.delivered:
        yield ACCURACY, ("transductive",), delivered.transductive.accuracy
        yield ACCURACY, ("non_transductive",), delivered.non_transductive.accuracy
        yield ACCURACY, ("support_statistics",), delivered.support_statistics.accuracy
    if seen.status_bytes is not None:
        yield STATUS_BYTES, (), seen.status_bytes


def _dataset(spec: MetaSearchSpec) -> str:
    return spec.dataset.name or "folder"


def _of_trials(trials: Sequence[Trial]) -> _Part:
    # There may be thousands of trials, at every reconcile: so lists rather than generators, few passes, and members of
    # enumerations that are looked up once, for each look-up calls a function of Python.
    under_way = sum([trial.progress.meta_iteration for trial in trials if trial.result is None])
    yield META_ITERATIONS, (), under_way + sum([trial.result.meta_iterations or 0 for trial in trials if trial.result])
    counted = Counter(
        [(t.spec.stage, t.spec.round, t.state, None if t.result is None else t.result.reason or "") for t in trials]
    )
    yield from _counts(counted)
    yield from _ended(counted)
    attempts = [attempt.outcome or "" for trial in trials for attempt in trial.attempts if attempt.ended_at is not None]
    outcomes = Counter(attempts)
    outcomes.update(dict.fromkeys((State.SUCCEEDED, LOST, INTERRUPTED, *FAILURES), 0))
    for outcome, count in outcomes.items():
        yield ATTEMPTS, (outcome,), count
    for stage in Stage:
        if of_stage := [trial for trial in trials if trial.spec.stage is stage]:
            yield from _times(stage, of_stage)


_Counted = Counter[tuple[Stage, int, State, str | None]]
"""Trials by stage, round, state and reason, which is empty for success and None for trials without a result."""


def _counts(trials: _Counted) -> _Part:
    """Yield the number of trials in each state, by round in the search stage."""
    counted: Counter[tuple[Stage, int, State]] = Counter()
    for (stage, round, state, _), count in trials.items():
        counted[stage, round if stage is Stage.SEARCH else 0, state] += count
    shown = sorted({round for stage, round, _ in counted if stage is Stage.SEARCH})[-ROUNDS_SHOWN:]
    for stage, round in dict.fromkeys([(stage, round) for stage, round, _ in counted]):
        if round in shown or stage is not Stage.SEARCH:
            # Every state, so that one that empties becomes 0 and does not vanish.
            for state in State:
                yield TRIALS, (stage, str(round), state), counted[stage, round, state]


def _ended(trials: _Counted) -> _Part:
    """Yield the number of trials that are over, by stage, state and reason."""
    ended: Counter[tuple[Stage, State, str]] = Counter()
    for (stage, _, state, reason), count in trials.items():
        if reason is not None:
            ended[stage, state, reason] += count
    # What may go wrong is there from the beginning: the first time is an increase only from a zero.
    ended.update({(Stage.SEARCH, State.FAILED, reason): 0 for reason in (*FAILURES, Reason.WORKER_LOST)})
    for labels, count in ended.items():
        yield ENDED, labels, count


def _times(stage: Stage, trials: Sequence[Trial]) -> _Part:
    """Yield the histograms of a stage."""
    # The clocks of two machines may differ, and no time is negative.
    claims = [
        seconds if (seconds := attempt.ended_at - attempt.started_at) > 0 else 0.0
        for trial in trials
        for attempt in trial.attempts
        if attempt.ended_at is not None
    ]
    succeeded = State.SUCCEEDED
    results = [trial.result for trial in trials if trial.state is succeeded and trial.result]
    trained = [result.wall_seconds for result in results if result.wall_seconds is not None]
    waits = [
        seconds if (seconds := trial.attempts[0].started_at - trial.created_at) > 0 else 0.0
        for trial in trials
        if trial.attempts and trial.created_at is not None
    ]
    for metric, values in ((TRIAL_SECONDS, trained), (CLAIM_SECONDS, claims), (QUEUE_SECONDS, waits)):
        yield metric, (stage,), Histogram.of(values, metric.buckets)


def _of_surrogate(seen: Observation) -> _Part:
    for each in seen.result.rounds[-ROUNDS_SHOWN:]:
        round = str(each.round)
        for kind, value in (("spearman", each.spearman), ("kendall", each.kendall), ("ceiling", each.ceiling)):
            if value is not None and each.spearman is not None:
                yield CORRELATION, (round, kind), value
        if each.top_recall is not None:
            yield RECALL, (round,), each.top_recall
    if found := seen.result.examination:
        yield EXAMINED, (), found.trials
        for kind, value in (("spearman", found.spearman), ("ceiling", found.ceiling)):
            if value is not None:
                yield EXAMINATION, (kind,), value


def _of_budget(seen: Observation) -> _Part:
    limits, spent = seen.spec.budget, seen.result.spent
    yield BUDGET_LIMIT, ("trials",), limits.max_trials
    yield BUDGET_LIMIT, ("failed_trials",), limits.max_failed_trials
    if limits.wall_time is not None:
        yield BUDGET_LIMIT, ("seconds",), limits.wall_time.seconds
    if limits.gpu_hours is not None:
        yield BUDGET_LIMIT, ("gpu_seconds",), float(limits.gpu_hours) * SECONDS_PER_HOUR
    yield BUDGET_SPENT, ("trials",), spent.trials
    yield BUDGET_SPENT, ("failed_trials",), spent.failed_trials
    yield BUDGET_SPENT, ("seconds",), spent.wall_seconds
    yield BUDGET_SPENT, ("gpu_seconds",), spent.gpu_hours * SECONDS_PER_HOUR
    yield WORKER_SECONDS, (), spent.worker_seconds


def _of_workers(seen: Observation) -> _Part:
    for phase, count in (seen.workers or {}).items():
        yield WORKERS, (phase,), count
    running = State.RUNNING
    busy = sum([trial.state is running for trial in seen.trials])
    yield SLOTS, ("busy",), busy
    if seen.workers is not None:
        yield SLOTS, ("idle",), max(0, seen.workers.get("Running", 0) * seen.spec.worker.slots - busy)
