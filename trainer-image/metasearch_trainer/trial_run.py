"""One run of one trial, from its spec to its result: training, evaluation, checkpoints and limits."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from metasearch.api import MetaSearchSpec
from metasearch.errors import StoreUnavailable
from metasearch.search.cells import parse_cell
from metasearch.search.hyperparameters import varied_space
from metasearch.search.trial_parts import Part
from metasearch.search.trials import CurvePoint, Progress, Reason, Stage, State, TrialResult, TrialSpec
from metasearch_trainer import memory
from metasearch_trainer.checkpoints import TrainingState, load_state, save_state
from metasearch_trainer.cross_validation import Images
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.delivery import Description, save_weights
from metasearch_trainer.metalearners import build
from metasearch_trainer.metalearners.unroll_memory import require_memory
from metasearch_trainer.network import Network, cell_network, hand_made_network
from metasearch_trainer.part_timer import PartTimer
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.scoring import Score
from metasearch_trainer.shifts import shifted
from metasearch_trainer.shutdown import WorkerShutdown
from metasearch_trainer.storage import Storage
from metasearch_trainer.training import Training, require_finite
from metasearch_trainer.trial import Observer, StepObserver, TrialEnded, ignore_step
from metasearch_trainer.weight_averaging import trained

CHECKPOINT_SECONDS = 5.0
LATENCY_REPEATS = 20

ANNEALING_SHARE, ANNEALING_SECONDS = 0.1, 60.0
"""The most that a training goes on after a limit has cut it short: a share of its outer steps so far, and seconds."""


@dataclass(frozen=True)
class Environment:
    """The parts of a process that a run uses."""

    spec: MetaSearchSpec
    """The search's; a run reads its space, seed and budget, the rest through its recipe."""
    device: torch.device
    images: Images
    storage: Storage
    clock: Callable[[], float]
    """Returns seconds, from any start."""
    max_bytes: int | None
    """The most memory that the process may hold; None for no limit of ours."""
    on_step: StepObserver = ignore_step


def build_network(trial: TrialSpec, spec: MetaSearchSpec, images: ImageSet) -> Network:
    """Build the network that a trial trains on such images, without its weights."""
    ways = spec.task.ways
    if trial.stage is Stage.BASELINE:
        return hand_made_network(trial.candidate.architecture, images.channels, images.side, ways)
    # Canonical, so that a cell has the same initial weights however its blocks are numbered.
    cell = parse_cell(trial.candidate.architecture).canonical
    space = varied_space(spec.space, trial.candidate.hyperparameters)
    return cell_network(cell, space, images.channels, images.side, ways)


class TrialRun:
    """The state of a run. If the run ends early, its result is made of what the state holds by then."""

    def __init__(self, environment: Environment, trial: TrialSpec, observe: Observer, timer: PartTimer) -> None:
        self.environment, self.trial, self.timer = environment, trial, timer
        self.network: Network | None = None
        self.state: TrainingState | None = None
        self._started = self._saved = environment.clock()
        self._earlier_seconds = 0.0
        self._started_from = 0
        self._checkpoint = environment.storage.checkpoint(trial)
        self._observe = observe
        self._is_cut_short = False

    @property
    def seconds(self) -> float:
        """Time spent on the trial so far, earlier runs included."""
        return self._earlier_seconds + self.environment.clock() - self._started

    def result(self) -> TrialResult:
        """
        Train, evaluate, measure; of a final trial that a limit stops, evaluate and deliver what there is.

        Raises:
            TrialEnded: the trial ended early; `partial_result` has what can be said of it.
            MemoryError: the meta-learner's inner loop cannot be kept in memory.
        """
        environment, trial = self.environment, self.trial
        self.network = build_network(trial, environment.spec, environment.images.train.images)
        recipe = Recipe.of(environment.spec, trial)
        learner = build(recipe, self.network, environment.device)
        require_memory(learner, environment.images.train.images, environment.device, environment.max_bytes)
        training = Training(
            recipe,
            trial,
            learner,
            environment.images,
            environment.spec.seed,
            self._save_and_check_limits,
            self.timer,
            environment.on_step,
        )
        state = self.state = self._checkpointed() or training.begin()
        self._earlier_seconds, self._started_from = state.seconds, state.meta_iteration
        try:
            training.run(state)
            if self.trial.is_beginning:
                return self._begun(training, state)
            return self._measured(training, state, recipe.test_tasks)
        except TrialEnded as ended:
            if not self._is_worth_keeping(ended, state):
                raise
        return self._cut_short(training, state)

    def partial_result(self, ended: TrialEnded) -> TrialResult:
        """Return what can be said of a trial that ended early."""
        curve = self.state.curve if self.state else ()
        # A failed trial has no score: its curve may be that of a network that was about to diverge.
        last = curve[-1] if curve and ended.state is State.STOPPED else None
        return TrialResult(
            state=ended.state,
            reason=ended.reason,
            message=ended.message,
            score=last.score if last else None,
            score_error=last.error if last else None,
            curve=curve,
        )

    def _checkpointed(self) -> TrainingState | None:
        """Return the state that the training goes on from: its own checkpoint's, or that of the trial it resumes."""
        storage, device = self.environment.storage, self.environment.device
        with self.timer.part(Part.DATA):
            own = load_state(self._checkpoint, device)
            if own is not None or self.trial.resumes is None:
                return own
            return load_state(storage.resumed(self.trial), device)

    # --- results ---

    def _begun(self, training: Training, state: TrainingState) -> TrialResult:
        """Keep the state of a training that has only begun, so that another trial can go on from it."""
        storage = self.environment.storage
        self._save(state, self.environment.clock())
        with self.timer.part(Part.WRITING):
            storage.keep(self.trial)
        score = training.beginning_score(state)
        return TrialResult(
            state=State.SUCCEEDED,
            score=score.value,
            score_error=score.error,
            training_score=_value(training.training_score(state)),
            curve=(CurvePoint(state.meta_iteration, score.value, score.error),),
        )

    def _measured(self, training: Training, state: TrainingState, test_tasks: int) -> TrialResult:
        """Evaluate, measure, and keep the weights of a final trial."""
        tasks = training.recipe.evaluation.tasks
        validation = training.evaluate(state, "evaluate", tasks)
        test = training.test(state, test_tasks) if test_tasks else None
        score = training.score(validation)
        # A trial that is cut short at a point of the curve has its score there instead.
        earlier = tuple(point for point in state.curve if point.meta_iteration < state.meta_iteration)
        return TrialResult(
            state=State.SUCCEEDED,
            score=score.value,
            score_error=score.error,
            training_score=_value(training.training_score(state)),
            validation=validation.accuracies,
            test=test.accuracies if test else None,
            curve=(*earlier, CurvePoint(state.meta_iteration, score.value, score.error)),
            latency_ms=self._latency_ms(training, state),
            weights=self._deliver(training, state) if self.trial.stage is Stage.FINAL else None,
        )

    def _is_worth_keeping(self, ended: TrialEnded, state: TrainingState) -> bool:
        """Tell whether the search's budget ended a final training that has begun."""
        is_final = self.trial.stage is not Stage.SEARCH
        return is_final and ended.reason is Reason.BUDGET_EXHAUSTED and state.meta_iteration > 0

    def _cut_short(self, training: Training, state: TrainingState) -> TrialResult:
        """
        Return the result of a final trial as far as it got.

        The limit is reached already, so it is annealed in little time, and tested on no more tasks than a search score
        averages.
        """
        self._is_cut_short = True
        recipe = training.recipe
        training.anneal(state, self._annealing_steps(state.meta_iteration))
        require_finite(state)
        measured = self._measured(training, state, min(recipe.test_tasks, recipe.evaluation.tasks))
        done, asked = state.meta_iteration, self.trial.meta_iterations
        how_far = f"cut short after {done:,} of {asked:,} meta-iterations" if done < asked else "cut short in its test"
        message = f"{how_far}, for the search's budget was spent"
        return replace(measured, state=State.STOPPED, reason=Reason.BUDGET_EXHAUSTED, message=message)

    def _annealing_steps(self, done: int) -> int:
        """Return the number of outer steps in which a training that is cut short is annealed; `done` are behind it."""
        within_time = int(done * ANNEALING_SECONDS / max(self.seconds, 1e-9))
        return min(int(done * ANNEALING_SHARE), within_time, self.trial.meta_iterations - done)

    def _latency_ms(self, training: Training, state: TrainingState) -> float:
        """Measure the median time to classify one task's queries, together, in milliseconds."""
        recipe, images = training.recipe, training.folds[0].scored
        queries = images.gather(torch.arange(recipe.task.ways, device=images.device))[None]
        seen = shifted(queries, recipe.evaluation.shifts)
        times = []
        with torch.no_grad(), self.timer.part(Part.EVALUATION):
            for _ in range(LATENCY_REPEATS):
                started = time.perf_counter()
                # To the CPU, since a GPU returns before it has computed anything. Theta serves without an adaptation:
                # the time does not depend on the values of parameters.
                training.learner.network(trained(state.learned).theta[None], seen).cpu()
                times.append(time.perf_counter() - started)
        return 1000 * statistics.median(times)

    def _deliver(self, training: Training, state: TrainingState) -> str | None:
        """Write the trained weights; returns the file's name, or None where weights are not kept."""
        images, candidate = self.environment.images.train.images, self.trial.candidate
        cell = parse_cell(candidate.architecture).canonical
        space = varied_space(self.environment.spec.space, candidate.hyperparameters)
        described = Description(cell, space, images.channels, images.side, training.recipe)

        def write(path: Path) -> None:
            save_weights(path, described, training.learner, trained(state.learned))

        with self.timer.part(Part.WRITING):
            return self.environment.storage.deliver(self.trial, write)

    # --- checkpoints and limits ---

    def _save(self, state: TrainingState, now: float) -> None:
        state.seconds = self._earlier_seconds + now - self._started
        with self.timer.part(Part.WRITING):
            save_state(state, self._checkpoint)
            self.environment.storage.saved(self.trial)

    def _save_and_check_limits(self) -> None:
        """
        Write a checkpoint where one is due, then see whether the trial may go on.

        Raises:
            TrialEnded: the trial has taken too long, or the observer ends it.
            MemoryError: the process holds more memory than it may.
        """
        state, environment, now = self.state, self.environment, self.environment.clock()
        assert state is not None
        if now - self._saved >= CHECKPOINT_SECONDS:
            self._save(state, now)
            # Not `now`: writing takes time, which should not bring the next one closer.
            self._saved = environment.clock()
        limit = environment.spec.budget.trial_time
        # A trial that is cut short has little left to do, and its limit was another one.
        if limit is not None and now - self._started > limit.seconds and not self._is_cut_short:
            message = f"the attempt took longer than budget.trialTime ({limit})"
            raise TrialEnded(State.FAILED, Reason.TIMED_OUT, message)
        # Besides `memory.limited`, which has no effect on other systems than Linux.
        if environment.max_bytes is not None and memory.resident_bytes() > environment.max_bytes:
            raise MemoryError(f"{memory.resident_bytes()} bytes are held")
        self._report(state)

    def _report(self, state: TrainingState) -> None:
        """Tell the observer of the progress; where that ends the worker, leave the newest state in the checkpoint."""
        try:
            with self.timer.part(Part.WRITING):
                self._observe(Progress(state.meta_iteration, state.curve, self._started_from))
        except TrialEnded:
            # A trial that is cut short is asked to stop at every report; only the worker's own end may still end it.
            if not self._is_cut_short:
                raise
        except WorkerShutdown:
            # A disk that is full now costs the last seconds of training, and is no reason to end in another way.
            with contextlib.suppress(StoreUnavailable):
                self._save(state, self.environment.clock())
            raise


def _value(score: Score | None) -> float | None:
    return None if score is None else score.value
