"""
Trials: one evaluation each, of one candidate at one fidelity and seed, and their life.

    Pending ──claim──▶ Running ──complete──▶ Succeeded | Stopped | Failed
       ▲                  │
       └── release (worker lost), complete (a failure that is tried again)

Values only. A store keeps them and calls the functions below for every change, so all stores agree on the rules: the
first result stays for ever, a result with an old epoch is refused, and losing a worker is not an attempt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydantic import TypeAdapter

from metasearch.search.candidates import Candidate
from metasearch.search.trial_parts import PartSeconds

MAX_LOST_ATTEMPTS = 10
"""Workers a trial may lose before it is taken to be what kills them."""


class Stage(StrEnum):
    """The purpose of a trial."""

    SEARCH = "Search"
    FINAL = "Final"
    BASELINE = "Baseline"


class State(StrEnum):
    """The state of a trial; see the picture above."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    STOPPED = "Stopped"
    FAILED = "Failed"

    @property
    def is_over(self) -> bool:
        return self in (State.SUCCEEDED, State.STOPPED, State.FAILED)


class Reason(StrEnum):
    """The reason for an end other than success."""

    DIVERGED = "Diverged"
    OUT_OF_MEMORY = "OutOfMemory"
    TIMED_OUT = "TimedOut"
    INVALID_DATA = "InvalidData"
    ERROR = "Error"
    WORKER_LOST = "WorkerLost"
    EARLY_STOPPED = "EarlyStopped"
    BUDGET_EXHAUSTED = "BudgetExhausted"


FINAL_REASONS = frozenset({Reason.DIVERGED, Reason.INVALID_DATA, Reason.WORKER_LOST})
"""Failures that would only happen again."""

LOST = "Lost"
"""Outcome of an attempt whose worker died."""

INTERRUPTED = "Interrupted"
"""Outcome of an attempt that ended because the driver itself was stopped."""


class StaleClaim(Exception):
    """The trial was claimed anew or has its result; what the worker still holds of it is void. Not an error."""


# --- what was measured --------------------------------------------------------------------------------------------


NORMAL_95 = 1.959964
"""Two-sided 95% quantile of the normal distribution: standard errors in half an interval."""


@dataclass(frozen=True)
class Accuracy:
    """Share of queries classified correctly."""

    mean: float
    """In [0, 1]."""

    interval: float
    """Half-width of the 95% interval over tasks (or over seeds, where it says so)."""

    tasks: int


@dataclass(frozen=True)
class Accuracies:
    """The accuracies of the three ways to classify a task's queries; see `metasearch.api.Classification`."""

    transductive: Accuracy
    non_transductive: Accuracy
    support_statistics: Accuracy


@dataclass(frozen=True)
class CurvePoint:
    """A point of a learning curve."""

    meta_iteration: int
    score: float
    error: float = 0.0
    """The score's standard error; 0 where it is not known."""


@dataclass(frozen=True)
class Progress:
    """The progress of a running trial."""

    meta_iteration: int = 0
    curve: tuple[CurvePoint, ...] = ()
    started_from: int = 0
    """Meta-iterations that the attempt found done, in a checkpoint."""
    reported_at: float | None = None
    """Unix time in seconds of the report; None where that is not on record."""


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """The end of a trial. Measurements that were not taken are None."""

    state: State
    reason: Reason | None = None
    message: str | None = None
    meta_iterations: int | None = None
    """Outer steps done."""
    score: float | None = None
    """The figure that ranks the candidate, in [0, 1]; of a stopped trial, the last point of its curve."""
    score_error: float | None = None
    """The score's standard error: how far another seed's score may well be."""
    training_score: float | None = None
    """exp(-loss) of the training tasks in the second half of its outer steps; None where a learner has no loss."""
    validation: Accuracies | None = None
    """Measured on the classes that scores come from."""
    test: Accuracies | None = None
    """Measured on the test classes; final and baseline trials only."""
    curve: tuple[CurvePoint, ...] = ()
    parameter_count: int | None = None
    multiply_adds: int | None = None
    """Per image."""
    image_channels: int | None = None
    image_side: int | None = None
    """Height and width in pixels of the images that it was trained on."""
    wall_seconds: float | None = None
    part_seconds: PartSeconds | None = None
    """The parts of the time of the attempt that it is the result of."""
    peak_memory_bytes: int | None = None
    latency_ms: float | None = None
    """Time to classify one task's query images, one per class, after adaptation."""
    device: str | None = None
    weights: str | None = None
    """File name in the search's `weights` folder; final trials only."""


# --- trials -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """A trial is given up at `meta_iteration` when its best score so far is below `score`."""

    meta_iteration: int
    score: float


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """
    A recipe: what to evaluate, and how.

    Beside the search's own spec, it holds everything that a worker's result depends on.
    """

    name: str
    stage: Stage
    candidate: Candidate
    meta_iterations: int
    """The fidelity: outer steps to train for."""
    seed: int
    round: int
    """The strategy's round that proposed it, counted from 1. A final trial has the round of the search trial whose
    candidate it trains in full; a baseline has 0."""
    round_size: int | None = None
    """
    Trials that were proposed together; None where the strategy does not fix a round's size beforehand. By it, a driver
    that takes over from one that died while it created them can tell that some are missing.
    """
    priority: int = 0
    """Workers take lower numbers first, within a round."""
    predicted: float | None = None
    """The surrogate's score, made before the round was measured."""
    predicted_by: str | None = None
    """A sentence fragment that says who predicted it, and who has no vote any more."""
    is_drawn: bool = False
    """True where it was drawn at random beside the best predictions, to examine the surrogate."""
    thresholds: tuple[Threshold, ...] = ()
    """Early stopping."""
    is_beginning: bool = False
    """
    True for the beginning of the training that the search's spec describes: its rates are those of the whole, its score
    comes from the training loss, and its checkpoint is kept, so that another trial may go on from there.
    """
    resumes: str | None = None
    """
    The name of the trial whose checkpoint it goes on from; None where it begins anew. Where the checkpoint is gone it
    begins anew too, and ends the same.
    """
    replaces: str | None = None
    """The name of the trial that a limit of the budget stopped, and whose training this one does; see `cut_trials`."""


@dataclass(frozen=True)
class Attempt:
    """One claim of a trial by a worker."""

    epoch: int
    worker: str
    started_at: float
    """Unix time in seconds."""
    gpus: float
    """Share of GPUs held, 0 on a CPU."""
    ended_at: float | None = None
    outcome: str | None = None
    """A state, a failure's reason, or that the worker was lost."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial as recorded."""

    spec: TrialSpec
    state: State = State.PENDING
    epoch: int = 0
    """Grows with every claim."""
    attempts: tuple[Attempt, ...] = ()
    stop_requested: bool = False
    progress: Progress = Progress()
    result: TrialResult | None = None
    created_at: float | None = field(default=None, compare=False)
    """Unix time in seconds at which it was proposed; None where that is not on record."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def score(self) -> float | None:
        return None if self.result is None else self.result.score

    @property
    def score_error(self) -> float:
        """The score's standard error; 0 where it is not known."""
        return (self.result.score_error if self.result else None) or 0.0

    @property
    def has_network(self) -> bool:
        """True for a final or baseline trial that ended with a tested network, cut short or not."""
        result = self.result
        if result is None or self.spec.stage is Stage.SEARCH or self.state not in (State.SUCCEEDED, State.STOPPED):
            return False
        measured = (result.score, result.validation, result.test, result.parameter_count, result.multiply_adds)
        return None not in measured

    @property
    def is_cut_short(self) -> bool:
        """True for a trial with a network that a limit stopped before all of its meta-iterations were done."""
        done = self.result.meta_iterations if self.result else None
        return self.has_network and done is not None and done < self.spec.meta_iterations

    @property
    def holder(self) -> str | None:
        """The worker that has claimed it now."""
        return self.attempts[-1].worker if self.state is State.RUNNING else None


trial_json: TypeAdapter[Trial] = TypeAdapter(Trial)
"""Reads and writes a trial as JSON."""


# --- the rules of a trial's life ----------------------------------------------------------------------------------


def claim(trial: Trial, worker: str, now: float, gpus: float) -> Trial:
    """Give a pending trial to a worker; raises StaleClaim where it is not pending."""
    if trial.state is not State.PENDING:
        raise StaleClaim(trial.name)
    # Progress is cleared below, because it was that of an earlier attempt.
    attempt = Attempt(epoch=trial.epoch + 1, worker=worker, started_at=now, gpus=gpus)
    return replace(
        trial, state=State.RUNNING, epoch=attempt.epoch, attempts=(*trial.attempts, attempt), progress=Progress()
    )


def report(trial: Trial, epoch: int, progress: Progress) -> Trial:
    """Record the progress of a running trial; raises StaleClaim where that claim is void."""
    return replace(require_current(trial, epoch), progress=progress)


def complete(trial: Trial, epoch: int, result: TrialResult, now: float, max_attempts: int) -> Trial:
    """
    End a running trial with its result; it is pending again where it failed and may be tried once more.

    Raises:
        StaleClaim: it has a result already, or was claimed anew since.
    """
    require_current(trial, epoch)
    ended = _end_attempt(trial, now, str(result.reason or result.state))
    # Lost and interrupted attempts say nothing against the trial itself, so they are not counted as tries.
    if result.state is State.FAILED and result.reason not in FINAL_REASONS:
        failures = sum(attempt.outcome not in (LOST, INTERRUPTED) for attempt in ended.attempts)
        if failures < max_attempts and not trial.stop_requested:
            return replace(ended, state=State.PENDING)
    return replace(ended, state=result.state, result=result)


def release(trial: Trial, now: float, outcome: str) -> Trial:
    """
    Make a running trial whose worker is gone pending again; `outcome` is LOST or INTERRUPTED.

    A trial with `stop_requested` ends here. The exception is a final trial whose driver was stopped before its network
    was kept: its next worker starts from the checkpoint, stops at once and keeps the network.
    """
    if trial.state is not State.RUNNING:
        return trial
    ended = _end_attempt(trial, now, outcome)
    if trial.stop_requested and not _may_be_kept(trial, outcome):
        return _stopped(ended)
    # Without an end to this, a trial that kills its workers would take one after another.
    if sum(attempt.outcome == LOST for attempt in ended.attempts) >= MAX_LOST_ATTEMPTS:
        message = f"its worker died {MAX_LOST_ATTEMPTS} times, most likely for lack of memory"
        result = TrialResult(state=State.FAILED, reason=Reason.WORKER_LOST, message=message)
        return replace(ended, state=State.FAILED, result=result)
    return replace(ended, state=State.PENDING)


def require_current(trial: Trial, epoch: int) -> Trial:
    """Return the trial, if that claim of it still holds; raises StaleClaim if not."""
    if trial.state is not State.RUNNING or trial.epoch != epoch:
        raise StaleClaim(trial.name)
    return trial


def request_stop(trial: Trial) -> Trial:
    """
    End a trial that a limit has reached: at once where no worker runs it, else at its worker's next report.

    A final trial that was interrupted has a checkpoint; the next worker makes a network of it.
    """
    if trial.state is State.PENDING and not (trial.attempts and _may_be_kept(trial, trial.attempts[-1].outcome)):
        return _stopped(replace(trial, stop_requested=True))
    return trial if trial.state.is_over else replace(trial, stop_requested=True)


def _may_be_kept(trial: Trial, outcome: str | None) -> bool:
    """Tell whether what a stopped trial's last attempt has trained is worth another worker's time."""
    return outcome == INTERRUPTED and trial.spec.stage is not Stage.SEARCH


def _stopped(trial: Trial) -> Trial:
    last = trial.progress.curve[-1] if trial.progress.curve else None
    result = TrialResult(
        state=State.STOPPED,
        reason=Reason.BUDGET_EXHAUSTED,
        message="the search's budget was spent before it could end",
        curve=trial.progress.curve,
        score=last.score if last else None,
        score_error=last.error if last else None,
    )
    return replace(trial, state=State.STOPPED, result=result)


def _end_attempt(trial: Trial, now: float, outcome: str) -> Trial:
    *earlier, last = trial.attempts
    return replace(trial, attempts=(*earlier, replace(last, ended_at=now, outcome=outcome)))


def by_round(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Sort search trials into rounds from the first, each by priority; drop trials of other stages."""
    rounds: dict[int, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: (trial.spec.round, trial.spec.priority, trial.name)):
        if trial.spec.stage is Stage.SEARCH:
            rounds.setdefault(trial.spec.round, []).append(trial)
    return list(rounds.values())


def count_by_state(trials: Iterable[Trial]) -> dict[State, int]:
    """Count the trials in each state, every state named."""
    counts = dict.fromkeys(State, 0)
    for trial in trials:
        counts[trial.state] += 1
    return counts
