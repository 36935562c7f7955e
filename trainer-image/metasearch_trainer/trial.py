"""
One trial, from its spec to its result.

The result depends on the search's spec and the trial's alone: every random stream is named after the search's seed, the
trial's seed and what the numbers are for, never after a worker, a time or what ran before. Tasks are the same for all
candidates of a stage, so that differences between scores are the candidates' own.
"""

from __future__ import annotations

import contextlib
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator

from metasearch.api import MetaSearchSpec, OptimizerState, Score, Split
from metasearch.errors import InvalidData, StoreUnavailable
from metasearch.search.cells import parse_cell
from metasearch.search.early_stopping import curve_iterations
from metasearch.search.trials import Accuracies, CurvePoint, Progress, Reason, Stage, State, TrialResult, TrialSpec
from metasearch_trainer import memory
from metasearch_trainer.adaptation import Moments
from metasearch_trainer.checkpoints import TrainingState, load_state, save_state
from metasearch_trainer.data.images import Splits
from metasearch_trainer.delivery import Description, save_weights
from metasearch_trainer.evaluation import Examination, evaluate
from metasearch_trainer.metalearners.reptile import Reptile
from metasearch_trainer.network import CellNetwork, Conv4, Network
from metasearch_trainer.storage import Storage
from metasearch_trainer.tasks import DeviceImages, sample_training_tasks, stream

CHECKPOINT_SECONDS = 5.0
LATENCY_REPEATS = 20

Observer = Callable[[Progress], None]
"""Called after every meta-iteration and between parts of an examination; raises TrialEnded to end the trial."""


class TrialEnded(Exception):
    """The trial is not to go on. Part of its life, not an error."""

    def __init__(self, state: State, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.state, self.reason, self.message = state, reason, message


class Trainer:
    """Runs trials of one search on one device, and keeps the images loaded in between."""

    def __init__(
        self,
        spec: MetaSearchSpec,
        splits: Splits,
        device: torch.device,
        storage: Storage,
        clock: Callable[[], float] = time.monotonic,
        cap: memory.Cap | None = None,
    ) -> None:
        """
        Args:
            cap: the most memory that may be held where that is less than `budget.trialMemory`.
        """
        self.spec, self.device, self.storage, self.clock = spec, device, storage, clock
        self.cap = memory.lowest(memory.Cap.of_trial(spec.budget.trial_memory), cap)
        self._train = DeviceImages(splits.train.rotated(spec.dataset.training_rotations), device)
        self._validation = DeviceImages(splits.validation, device)
        self._test = DeviceImages(splits.test, device)

    def run(self, trial: TrialSpec, observe: Observer) -> TrialResult:
        """
        Train and examine a candidate. Whatever goes wrong with it is part of the result.

        What passes through, for the trial can go on later: a BaseException that `observe` raises, such as the worker's
        own end, and StoreUnavailable, for a disk that is full is not the candidate's failure.
        """
        self.storage.fetch(trial)
        started = self.clock()
        memory.reset_peak(self.device)
        run = _Run(self, trial, observe)
        try:
            with memory.limited(self._most_bytes):
                result = run.result()
        except TrialEnded as ended:
            result = run.partial_result(ended)
        except StoreUnavailable:
            raise
        except (MemoryError, torch.OutOfMemoryError) as error:
            result = run.partial_result(self._out_of_memory(str(error)))
        except Exception as error:  # a trial that fails is a result; the search goes on
            result = run.partial_result(_as_ended(error, self._out_of_memory))
        except BaseException:
            self.storage.on_interrupt(trial)
            raise
        seconds = run.earlier_seconds + self.clock() - started
        return replace(
            result,
            parameter_count=run.network.layout.size if run.network else None,
            multiply_adds=run.network.multiply_adds if run.network else None,
            meta_iterations=run.state.meta_iteration if run.state else None,
            wall_seconds=seconds,
            peak_memory_bytes=memory.peak_bytes(self.device),
            device=device_name(self.device),
        )

    def forget(self, trial: TrialSpec) -> None:
        """Drop the checkpoint of a trial whose result is on record. One that failed may be tried again from there."""
        self.storage.forget(trial)

    def network(self, trial: TrialSpec) -> Network:
        """The network that a trial trains."""
        images, ways = self._train.images, self.spec.task.ways
        if trial.stage is Stage.BASELINE:
            return Conv4(images.channels, images.side, ways)
        cell = parse_cell(trial.candidate).canonical
        return CellNetwork(cell, self.spec.space, images.channels, images.side, ways)

    @property
    def scored_images(self) -> DeviceImages:
        """The classes that search scores come from."""
        return self._test if self.spec.evaluation.split is Split.TEST else self._validation

    @property
    def _most_bytes(self) -> int | None:
        # On a GPU the cap is the driver's; what the process holds besides says little.
        return self.cap.bytes if self.cap is not None and self.device.type == "cpu" else None

    def _out_of_memory(self, detail: str) -> TrialEnded:
        allowed = "the machine's memory" if self._most_bytes is None or self.cap is None else self.cap.source
        return TrialEnded(State.FAILED, Reason.OUT_OF_MEMORY, f"the trial needs more than {allowed}: {detail}")


class _Run:
    """The state of one run of one trial: what is there to report when it ends early."""

    def __init__(self, trainer: Trainer, trial: TrialSpec, observe: Observer) -> None:
        self.trainer, self.trial, self.spec = trainer, trial, trainer.spec
        self.started = self.saved = trainer.clock()
        self.earlier_seconds = 0.0
        self.network: Network | None = None
        self.state: TrainingState | None = None
        self.checkpoint = trainer.storage.checkpoint(trial)
        self._observe = observe
        self._is_cut_short = False

    def result(self) -> TrialResult:
        """Train, examine, measure; of a final trial that a limit stops, examine and deliver what there is."""
        network = self.network = self.trainer.network(self.trial)
        state = self.state = load_state(self.checkpoint, self.trainer.device) or self._fresh_state(network)
        self.earlier_seconds = state.seconds
        try:
            self._train(network, state)
            return self._measured(network, state, self.spec.final.tasks)
        except TrialEnded as ended:
            if not self._is_worth_keeping(ended, state):
                raise
        return self._cut_short(network, state)

    def _is_worth_keeping(self, ended: TrialEnded, state: TrainingState) -> bool:
        """Whether training that a limit of the budget stops has come to a network."""
        is_final = self.trial.stage is not Stage.SEARCH
        return is_final and ended.reason is Reason.BUDGET_EXHAUSTED and state.meta_iteration > 0

    def _cut_short(self, network: Network, state: TrainingState) -> TrialResult:
        """
        The result of a final trial as far as it got.

        The limit is reached already, so it is tested on no more tasks than a search score averages.
        """
        self._is_cut_short = True
        self._require_finite(state)
        measured = self._measured(network, state, min(self.spec.final.tasks, self.spec.evaluation.tasks))
        done, asked = state.meta_iteration, self.trial.meta_iterations
        how_far = f"cut short after {done:,} of {asked:,} meta-iterations" if done < asked else "cut short in its test"
        message = f"{how_far}, for the search's budget was spent"
        return replace(measured, state=State.STOPPED, reason=Reason.BUDGET_EXHAUSTED, message=message)

    def _measured(self, network: Network, state: TrainingState, test_tasks: int) -> TrialResult:
        """Examine, measure, and of a final trial keep the weights."""
        final = self.trial.stage is not Stage.SEARCH
        validation = self._examine(network, state, self.trainer.scored_images, "evaluate", self.spec.evaluation.tasks)
        test = self._examine(network, state, self.trainer._test, "test", test_tasks) if final else None
        score = self._score(validation)
        earlier = tuple(point for point in state.curve if point.meta_iteration < state.meta_iteration)
        return TrialResult(
            state=State.SUCCEEDED,
            score=score,
            validation=validation,
            test=test,
            curve=(*earlier, CurvePoint(state.meta_iteration, score)),
            latency_ms=self._latency_ms(network, state),
            weights=self._deliver(network, state) if self.trial.stage is Stage.FINAL else None,
        )

    def partial_result(self, ended: TrialEnded) -> TrialResult:
        """What can be said of a trial that ended early."""
        curve = self.state.curve if self.state else ()
        return TrialResult(
            state=ended.state,
            reason=ended.reason,
            message=ended.message,
            score=curve[-1].score if curve and ended.state is State.STOPPED else None,
            curve=curve,
        )

    # --- training ---

    def _fresh_state(self, network: Network) -> TrainingState:
        seed = int(self._stream("weights").integers(2**62))
        theta = network.layout.initial(Generator().manual_seed(seed))
        return TrainingState.begin(theta.to(self.trainer.device, torch.float32))

    def _train(self, network: Network, state: TrainingState) -> None:
        training, total = self.spec.training, self.trial.meta_iterations
        learner = Reptile(
            network,
            state.theta,
            state.moments,
            tasks=training.meta_batch_size,
            learning_rate=float(training.inner_learning_rate),
            keeps_moments=self._keeps_moments,
        )
        examined = set(curve_iterations(total, self.spec.evaluation.curve_points)[:-1])
        first, last = float(training.meta_step_size), float(training.final_meta_step_size)
        while True:
            # Asked of the state, not of the last step: a checkpoint may have been written before an examination ended.
            if state.meta_iteration in examined and all(
                at.meta_iteration != state.meta_iteration for at in state.curve
            ):
                self._add_to_curve(network, state)
            if state.meta_iteration == total:
                break
            step_size = first + (last - first) * state.meta_iteration / total
            learner.outer_step(*self._meta_batch(state.meta_iteration), torch.tensor(step_size))
            state.meta_iteration += 1
            self._heed()
        self._require_finite(state)

    def _meta_batch(self, meta_iteration: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (tasks, steps, batch, channels, side, side) and labels (tasks, steps, batch) of one outer step."""
        training, device = self.spec.training, self.trainer.device
        sampled = sample_training_tasks(
            self._stream("train", meta_iteration),
            self.trainer._train.images,
            tasks=training.meta_batch_size,
            ways=self.spec.task.ways,
            shots=training.shots,
            steps=training.inner_steps,
            batch=training.inner_batch_size,
        )
        images = self.trainer._train.gather(torch.from_numpy(sampled.rows).to(device))
        return images, torch.from_numpy(sampled.labels).to(device)

    def _add_to_curve(self, network: Network, state: TrainingState) -> None:
        self._require_finite(state)
        accuracies = self._examine(
            network, state, self.trainer.scored_images, "curve", self.spec.evaluation.curve_tasks
        )
        state.curve = (*state.curve, CurvePoint(state.meta_iteration, self._score(accuracies)))
        best = max(point.score for point in state.curve)
        for threshold in self.trial.thresholds:
            if threshold.meta_iteration == state.meta_iteration and best < threshold.score:
                message = (
                    f"best score {best:.3f} after {state.meta_iteration} meta-iterations, "
                    f"where the last level's median less one standard error is {threshold.score:.3f}"
                )
                raise TrialEnded(State.STOPPED, Reason.EARLY_STOPPED, message)

    def _require_finite(self, state: TrainingState) -> None:
        if not bool(state.theta.isfinite().all()):
            message = f"parameters were no longer finite after {state.meta_iteration} meta-iterations"
            raise TrialEnded(State.FAILED, Reason.DIVERGED, message)

    # --- examination ---

    def _examine(
        self, network: Network, state: TrainingState, images: DeviceImages, purpose: str, tasks: int
    ) -> Accuracies:
        training, evaluation, task = self.spec.training, self.spec.evaluation, self.spec.task
        return evaluate(
            network,
            state.theta,
            state.moments if self._keeps_moments else Moments.zero(state.theta),
            images,
            Examination(
                task.ways,
                task.shots,
                evaluation.inner_steps,
                evaluation.inner_batch_size,
                float(training.inner_learning_rate),
            ),
            tasks,
            self._stream(purpose),
            on_progress=self._heed,
        )

    def _score(self, accuracies: Accuracies) -> float:
        transductive = self.spec.evaluation.score is Score.TRANSDUCTIVE
        return (accuracies.transductive if transductive else accuracies.non_transductive).mean

    def _latency_ms(self, network: Network, state: TrainingState) -> float:
        """Median time to classify one task's queries."""
        ways, images = self.spec.task.ways, self.trainer.scored_images
        queries = images.gather(torch.arange(ways, device=images.device))[None]
        times = []
        with torch.no_grad():
            for _ in range(LATENCY_REPEATS):
                started = time.perf_counter()
                network(state.theta[None], queries).cpu()
                times.append(time.perf_counter() - started)
        return 1000 * statistics.median(times)

    # --- the outside ---

    def _deliver(self, network: Network, state: TrainingState) -> str | None:
        """Write the trained weights; returns the file's name, or None where nobody keeps it."""
        images = self.trainer._train.images
        described = Description.of(self.spec, parse_cell(self.trial.candidate).canonical, images.channels, images.side)

        def write(path: Path) -> None:
            save_weights(path, described, network, state, self._keeps_moments)

        return self.trainer.storage.deliver(self.trial, write)

    def _heed(self) -> None:
        """Write a checkpoint where one is due, mind the limits, and let the worker look."""
        state, budget, now = self.state, self.spec.budget, self.trainer.clock()
        assert state is not None
        if now - self.saved >= CHECKPOINT_SECONDS:
            state.seconds = self.earlier_seconds + now - self.started
            save_state(state, self.checkpoint)
            self.trainer.storage.saved(self.trial)
            self.saved = self.trainer.clock()
        is_late = budget.trial_time is not None and now - self.started > budget.trial_time.seconds
        if is_late and not self._is_cut_short:
            message = f"the attempt took longer than budget.trialTime ({budget.trial_time})"
            raise TrialEnded(State.FAILED, Reason.TIMED_OUT, message)
        most = self.trainer._most_bytes
        if most is not None and memory.resident_bytes() > most:
            raise MemoryError(f"{memory.resident_bytes()} bytes are held")
        # A trial that is cut short is asked to stop at every report; only the worker's own end may still end it.
        with contextlib.suppress(TrialEnded) if self._is_cut_short else contextlib.nullcontext():
            self._observe(Progress(state.meta_iteration, state.curve))

    @property
    def _keeps_moments(self) -> bool:
        return self.spec.training.optimizer_state is OptimizerState.KEPT

    def _stream(self, *purpose: object) -> np.random.Generator:
        return stream(self.spec.seed, self.trial.seed, *purpose)


def _as_ended(error: Exception, out_of_memory: Callable[[str], TrialEnded]) -> TrialEnded:
    """An unforeseen exception as the end of a trial. Lack of memory on a CPU comes as a RuntimeError."""
    if isinstance(error, RuntimeError) and "allocate memory" in str(error):
        return out_of_memory(str(error).splitlines()[0])
    reason = Reason.INVALID_DATA if isinstance(error, InvalidData) else Reason.ERROR
    return TrialEnded(State.FAILED, reason, f"{type(error).__name__}: {error}")


def device_name(device: torch.device) -> str:
    """What the device is, for records: numbers are comparable only on one kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"
