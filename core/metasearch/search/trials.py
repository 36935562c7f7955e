"""
Trials: one evaluation each, of one candidate at one fidelity and seed, and their life.

    Pending ──claim──▶ Running ──complete──▶ Succeeded | Stopped | Failed
       ▲                  │
       └── release (worker lost), complete (a failure that is tried again)

Values only. A store keeps them and calls the functions below for every change, so all stores agree on the rules: the
first result stays for ever, a result with an old epoch is refused, and losing a worker is not an attempt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import TypeAdapter

MAX_LOST_ATTEMPTS = 10
"""Workers a trial may lose before it is taken to be what kills them."""


class Stage(StrEnum):
    """What a trial is for."""

    SEARCH = "Search"
    FINAL = "Final"
    BASELINE = "Baseline"


class State(StrEnum):
    """Where a trial is in its life."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    STOPPED = "Stopped"
    FAILED = "Failed"

    @property
    def is_over(self) -> bool:
        return self in (State.SUCCEEDED, State.STOPPED, State.FAILED)


class Reason(StrEnum):
    """Why a trial ended otherwise than by succeeding."""

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
    """Accuracies by both ways to classify queries; see `metasearch_trainer.evaluation`."""

    transductive: Accuracy
    non_transductive: Accuracy


@dataclass(frozen=True)
class CurvePoint:
    """A point of a learning curve."""

    meta_iteration: int
    score: float


@dataclass(frozen=True)
class Progress:
    """How far a running trial is."""

    meta_iteration: int = 0
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """How a trial ended. Measurements that were not taken are None."""

    state: State
    reason: Reason | None = None
    message: str | None = None
    meta_iterations: int | None = None
    """Outer steps done."""
    score: float | None = None
    """What ranks the candidate, in [0, 1]; of a stopped trial, the last point of its curve."""
    validation: Accuracies | None = None
    """On the classes that scores come from."""
    test: Accuracies | None = None
    """On the test classes; final and baseline trials only."""
    curve: tuple[CurvePoint, ...] = ()
    parameter_count: int | None = None
    multiply_adds: int | None = None
    """Per image."""
    wall_seconds: float | None = None
    peak_memory_bytes: int | None = None
    latency_ms: float | None = None
    """To classify one task's query images, one per class, after adaptation."""
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
    """What to evaluate. Everything a worker's result depends on, beside the search's own spec, is here."""

    name: str
    stage: Stage
    level: int
    candidate: str
    """The space's text of it, or a baseline's name."""
    seed: int
    meta_iterations: int
    level_size: int
    """Trials proposed together with this one; a driver that died in between can tell that some are missing."""
    priority: int = 0
    """Workers take lower numbers first."""
    predicted: float | None = None
    """The surrogate's score, made before this level was measured."""
    thresholds: tuple[Threshold, ...] = ()
    """Early stopping."""


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

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def score(self) -> float | None:
        return None if self.result is None else self.result.score

    @property
    def has_network(self) -> bool:
        """Whether a final trial (or a baseline's) ended with a network that was tested, cut short or not."""
        result = self.result
        if result is None or self.spec.stage is Stage.SEARCH or self.state not in (State.SUCCEEDED, State.STOPPED):
            return False
        measured = (result.score, result.validation, result.test, result.parameter_count, result.multiply_adds)
        return None not in measured

    @property
    def is_cut_short(self) -> bool:
        """Whether it has a network that a limit stopped before all of its meta-iterations were done."""
        done = self.result.meta_iterations if self.result else None
        return self.has_network and done is not None and done < self.spec.meta_iterations

    @property
    def holder(self) -> str | None:
        """The worker that has claimed it now."""
        return self.attempts[-1].worker if self.state is State.RUNNING else None


trial_json: TypeAdapter[Trial] = TypeAdapter(Trial)
"""Reads and writes a trial as JSON."""


def trial_name(
    search: str, stage: Stage, level: int, key: str, meta_iterations: int, seed: int, search_seed: int
) -> str:
    """The same for the same evaluation, so that proposing it twice makes one trial."""
    identity = json.dumps([key, stage, meta_iterations, seed, search_seed])
    return f"{search}-{level}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}"


# --- the rules of a trial's life ----------------------------------------------------------------------------------


def claim(trial: Trial, worker: str, now: float, gpus: float) -> Trial:
    """A pending trial, taken by a worker."""
    if trial.state is not State.PENDING:
        raise StaleClaim(trial.name)
    attempt = Attempt(epoch=trial.epoch + 1, worker=worker, started_at=now, gpus=gpus)
    return replace(
        trial, state=State.RUNNING, epoch=attempt.epoch, attempts=(*trial.attempts, attempt), progress=Progress()
    )


def report(trial: Trial, epoch: int, progress: Progress) -> Trial:
    """A running trial, further on."""
    return replace(require_current(trial, epoch), progress=progress)


def complete(trial: Trial, epoch: int, result: TrialResult, now: float, max_attempts: int) -> Trial:
    """
    A running trial with its result; pending again where it failed and may be tried once more.

    Raises:
        StaleClaim: it has a result already, or was claimed anew since.
    """
    require_current(trial, epoch)
    ended = _end_attempt(trial, now, str(result.reason or result.state))
    if result.state is State.FAILED and result.reason not in FINAL_REASONS:
        failures = sum(attempt.outcome not in (LOST, INTERRUPTED) for attempt in ended.attempts)
        if failures < max_attempts and not trial.stop_requested:
            return replace(ended, state=State.PENDING)
    return replace(ended, state=result.state, result=result)


def release(trial: Trial, now: float, outcome: str) -> Trial:
    """
    A running trial whose worker is gone, pending again. `outcome` is LOST or INTERRUPTED.

    One that was to stop ends, but for a final trial whose driver was stopped while it was about to keep its network:
    the next worker goes on from its checkpoint, is asked to stop at once, and keeps it.
    """
    if trial.state is not State.RUNNING:
        return trial
    ended = _end_attempt(trial, now, outcome)
    if trial.stop_requested and not _may_be_kept(trial, outcome):
        return _stopped(ended)
    if sum(attempt.outcome == LOST for attempt in ended.attempts) >= MAX_LOST_ATTEMPTS:
        message = f"its worker died {MAX_LOST_ATTEMPTS} times, most likely for lack of memory"
        result = TrialResult(state=State.FAILED, reason=Reason.WORKER_LOST, message=message)
        return replace(ended, state=State.FAILED, result=result)
    return replace(ended, state=State.PENDING)


def require_current(trial: Trial, epoch: int) -> Trial:
    """The trial, if that claim of it still holds; raises StaleClaim if not."""
    if trial.state is not State.RUNNING or trial.epoch != epoch:
        raise StaleClaim(trial.name)
    return trial


def request_stop(trial: Trial) -> Trial:
    """
    A trial that a limit has ended: at once where nobody runs it, at its worker's next report otherwise.

    A final trial that was interrupted has a checkpoint; the next worker makes a network of it.
    """
    if trial.state is State.PENDING and not (trial.attempts and _may_be_kept(trial, trial.attempts[-1].outcome)):
        return _stopped(replace(trial, stop_requested=True))
    if not trial.state.is_over:
        return replace(trial, stop_requested=True)
    return trial


def _may_be_kept(trial: Trial, outcome: str | None) -> bool:
    """Whether what a stopped trial's last attempt has trained is worth another worker's time."""
    return outcome == INTERRUPTED and trial.spec.stage is not Stage.SEARCH


def _stopped(trial: Trial) -> Trial:
    result = TrialResult(
        state=State.STOPPED,
        reason=Reason.BUDGET_EXHAUSTED,
        message="the search's budget was spent before it could end",
        curve=trial.progress.curve,
        score=trial.progress.curve[-1].score if trial.progress.curve else None,
    )
    return replace(trial, state=State.STOPPED, result=result)


def _end_attempt(trial: Trial, now: float, outcome: str) -> Trial:
    *earlier, last = trial.attempts
    return replace(trial, attempts=(*earlier, replace(last, ended_at=now, outcome=outcome)))


def count_by_state(trials: Iterable[Trial]) -> dict[State, int]:
    """How many trials are in each state, every state named."""
    counts = dict.fromkeys(State, 0)
    for trial in trials:
        counts[trial.state] += 1
    return counts
