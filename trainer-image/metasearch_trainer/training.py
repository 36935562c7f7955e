"""
The training of one candidate by its meta-learner: outer steps, and a point of the learning curve now and then.

The numbers depend on the search's spec and the trial's alone: every random stream is named after the search's seed, the
trial's seed and its purpose, never after a worker, a time or what ran before. Tasks are the same for all candidates of
a stage, so that differences between scores are the candidates' own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Generator

from metasearch.api import Split
from metasearch.search.early_stopping import curve_iterations
from metasearch.search.trial_parts import Part
from metasearch.search.trials import CurvePoint, Reason, Stage, State, TrialSpec
from metasearch_trainer.checkpoints import TrainingState
from metasearch_trainer.cross_validation import Fold, Images, side_by_side, states_of, thetas
from metasearch_trainer.evaluation import Answers, evaluate
from metasearch_trainer.metalearners.base import MetaLearner
from metasearch_trainer.metalearners.base import State as Learned
from metasearch_trainer.outer_steps import OuterSteps, outer_steps
from metasearch_trainer.part_timer import PartTimer
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.scoring import Score, add_loss, evaluated_score, no_losses, training_score
from metasearch_trainer.tasks import DeviceImages, SampledTasks, sample_tasks, stream
from metasearch_trainer.trial import StepObserver, TrialEnded, ignore_step
from metasearch_trainer.weight_averaging import add_to_mean, trained, with_mean

FINITE_CHECK_STEPS = 50
"""The number of outer steps after which a training that has diverged is found out."""


@dataclass(frozen=True)
class Training:
    """A training that is under way in a `TrainingState`, which it moves."""

    recipe: Recipe
    trial: TrialSpec
    learner: MetaLearner
    images: Images
    search_seed: int
    on_progress: Callable[[], None]
    """Called after every outer step and between parts of an evaluation; may raise to end the training there."""
    timer: PartTimer
    on_step: StepObserver = ignore_step

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The classes to train on and to score on: several folds of a search trial in cross-validation, else one."""
        if self.images.folds and self.trial.stage is Stage.SEARCH:
            return self.images.folds
        is_test = self.recipe.evaluation.split is Split.TEST
        return (Fold(self.images.train, self.images.test if is_test else self.images.validation),)

    def begin(self) -> TrainingState:
        """Return the state before the first outer step, which is the same for all folds."""
        seed = int(self._stream("weights").integers(2**62))
        # A generator of the CPU: those of GPUs draw other numbers from the same seed.
        states = [self.learner.initial_state(Generator().manual_seed(seed)) for _ in self.folds]
        if self.recipe.training.averaging:
            states = [with_mean(learned) for learned in states]
        return TrainingState(side_by_side(states))

    def run(self, state: TrainingState) -> None:
        """
        Train to the end, from wherever the state is.

        Raises:
            TrialEnded: the parameters are no longer finite, or a point of the curve is below its threshold.
        """
        total, end = self.recipe.training.meta_iterations, self.trial.meta_iterations
        evaluated, steps = self._evaluated_on_the_way(), self._steps(state)
        while True:
            # Judged by the state, not the last step: a checkpoint may have been written before an evaluation ended.
            if state.meta_iteration in evaluated and all(
                point.meta_iteration != state.meta_iteration for point in state.curve
            ):
                self._add_to_curve(state)
            if state.meta_iteration == end:
                break
            if state.meta_iteration == end // 2:
                state.losses = no_losses(self.images.train.device)  # the first half says more of the initial weights
            self._outer_step(steps, state, state.meta_iteration / total)
            self.on_progress()
        self._require_finite(state)

    def _evaluated_on_the_way(self) -> set[int]:
        """Return the outer steps after which a point is added to the curve."""
        # The beginning of a training is for those that were not found wanting early, and so is what goes on from one.
        if self.trial.is_beginning or self.trial.resumes is not None:
            return set()
        # The last point is the score, which more tasks are spent on after the training.
        return set(curve_iterations(self.trial.meta_iterations, self.recipe.evaluation.curve_points)[:-1])

    def anneal(self, state: TrainingState, steps: int) -> None:
        """
        Go through the rest of the training in a few outer steps.

        What a learner anneals over the training, such as its step size, falls to its end as in a whole one.
        """
        begun = state.meta_iteration / self.recipe.training.meta_iterations
        of_folds = self._steps(state)
        for step in range(steps):
            self._outer_step(of_folds, state, begun + (1 - begun) * (step + 1) / (steps + 1))
            self.on_progress()
        self._require_finite(state)

    def evaluate(self, state: TrainingState, purpose: str, tasks: int) -> Answers:
        """
        Classify the queries of tasks of the classes that scores come from, with what was trained.

        Args:
            purpose: names the random stream of the tasks; equal purposes draw equal tasks.
            tasks: the number of tasks of each fold.
        """
        states = states_of(state.learned, len(self.folds))
        parts = [
            self._answers(learned, fold.scored, tasks, purpose, *fold.stream)
            for fold, learned in zip(self.folds, states, strict=True)
        ]
        return Answers.of_all(parts)

    def test(self, state: TrainingState, tasks: int) -> Answers:
        """Classify the queries of tasks of the test classes, with what was trained without folds."""
        return self._answers(state.learned, self.images.test, tasks, "test")

    def _answers(self, learned: Learned, images: DeviceImages, tasks: int, *purpose: object) -> Answers:
        rng = self._stream(*purpose)
        with self.timer.part(Part.EVALUATION):
            return evaluate(self.learner, trained(learned), images, self.recipe, tasks, rng, self.on_progress)

    def score(self, answers: Answers) -> Score:
        """Return the figure of an evaluation that ranks candidates."""
        return evaluated_score(answers, self.recipe.evaluation)

    def training_score(self, state: TrainingState) -> Score | None:
        """Return the score of the loss since half of the outer steps; None before, and of a learner without a loss."""
        return None if state.losses is None else training_score(state.losses)

    def beginning_score(self, state: TrainingState) -> Score:
        """Return the score of the beginning of a training: its loss, or of a learner that has none a few tasks."""
        score = self.training_score(state)
        if score is not None:
            return score
        tasks = self.recipe.evaluation.curve_tasks
        return self.score(self.evaluate(state, "curve", tasks))

    def _steps(self, state: TrainingState) -> list[OuterSteps]:
        """Return what takes the outer steps of each fold."""
        states = states_of(state.learned, len(self.folds))
        return [
            outer_steps(self.learner, learned, fold.train) for fold, learned in zip(self.folds, states, strict=True)
        ]

    def _outer_step(self, steps: Sequence[OuterSteps], state: TrainingState, share: float) -> None:
        """Take an outer step of each fold; `share` of the training is done, in [0, 1)."""
        averaging = float(self.recipe.training.averaging)
        states = states_of(state.learned, len(self.folds))
        with self.timer.part(Part.TRAINING):
            for fold, learned, of_fold in zip(self.folds, states, steps, strict=True):
                loss = of_fold.take(self._meta_batch(fold, state.meta_iteration), share)
                if state.losses is not None:
                    add_loss(state.losses, loss)
                if averaging:
                    add_to_mean(learned, averaging, state.meta_iteration + 1)
            state.meta_iteration += 1
            # Now and then, for it waits for the device.
            if state.meta_iteration % FINITE_CHECK_STEPS == 0:
                require_finite(state)
        tasks, shape = self.learner.meta_batch_size * len(self.folds), self.learner.training_tasks
        self.on_step(tasks, tasks * shape.images)

    def _require_finite(self, state: TrainingState) -> None:
        # Within the training: on a GPU, this is where the process waits for the outer steps.
        with self.timer.part(Part.TRAINING):
            require_finite(state)

    def _meta_batch(self, fold: Fold, meta_iteration: int) -> SampledTasks:
        """Draw the tasks of one outer step, from a stream of its own: a resumed training draws the same ones."""
        images, learner = fold.train.images, self.learner
        rng = self._stream("train", meta_iteration, *fold.stream)
        with self.timer.part(Part.DATA):
            return sample_tasks(rng, images, learner.training_tasks, learner.meta_batch_size)

    def _add_to_curve(self, state: TrainingState) -> None:
        self._require_finite(state)
        # One stream for all points, and so the same tasks: the curve rises by learning, not by easier tasks.
        score = self.score(self.evaluate(state, "curve", self.recipe.evaluation.curve_tasks))
        state.curve = (*state.curve, CurvePoint(state.meta_iteration, score.value, score.error))
        # The best score so far rather than the last, as in the median rule of Vizier (Golovin et al. 2017).
        best = max(point.score for point in state.curve)
        for threshold in self.trial.thresholds:
            if threshold.meta_iteration == state.meta_iteration and best < threshold.score:
                message = (
                    f"best score {best:.3f} after {state.meta_iteration} meta-iterations, "
                    f"where the last round's median less one standard error is {threshold.score:.3f}"
                )
                raise TrialEnded(State.STOPPED, Reason.EARLY_STOPPED, message)

    def _stream(self, *purpose: object) -> np.random.Generator:
        return stream(self.search_seed, self.trial.seed, *purpose)


def require_finite(state: TrainingState) -> None:
    """Raise TrialEnded if a parameter is infinite or no number; its accuracy would be that of a guess."""
    if not all(bool(theta.isfinite().all()) for theta in thetas(state.learned)):
        message = f"parameters were no longer finite after {state.meta_iteration} meta-iterations"
        raise TrialEnded(State.FAILED, Reason.DIVERGED, message)
