"""
The training of one candidate by its meta-learner: outer steps, and a point of the learning curve now and then.

The numbers depend on the search's spec and the trial's alone: every random stream is named after the search's seed, the
trial's seed and its purpose, never after a worker, a time or what ran before. Tasks are the same for all candidates of
a stage, so that differences between scores are the candidates' own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator

from metasearch.api import Split
from metasearch.search.early_stopping import curve_iterations
from metasearch.search.trials import CurvePoint, Reason, State, TrialSpec
from metasearch_trainer.checkpoints import TrainingState
from metasearch_trainer.evaluation import Answers, evaluate
from metasearch_trainer.metalearners.base import MetaLearner
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.scoring import Score, add_loss, evaluated_score, no_losses, training_score
from metasearch_trainer.tasks import DeviceImages, Tasks, sample_tasks, stream
from metasearch_trainer.trial import TrialEnded
from metasearch_trainer.weight_averaging import add_to_mean, trained, with_mean

FINITE_CHECK_STEPS = 50
"""The number of outer steps after which a training that has diverged is found out."""


@dataclass(frozen=True)
class Images:
    """The images of a search on the device that trains."""

    train: DeviceImages
    validation: DeviceImages
    test: DeviceImages


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

    @property
    def scored_images(self) -> DeviceImages:
        """The images of the classes that search scores come from."""
        return self.images.test if self.recipe.evaluation.split is Split.TEST else self.images.validation

    def begin(self) -> TrainingState:
        """Return the state before the first outer step."""
        seed = int(self._stream("weights").integers(2**62))
        # A generator of the CPU: those of GPUs draw other numbers from the same seed.
        learned = self.learner.initial_state(Generator().manual_seed(seed))
        return TrainingState(with_mean(learned) if self.recipe.training.averaging else learned)

    def run(self, state: TrainingState) -> None:
        """
        Train to the end, from wherever the state is.

        Raises:
            TrialEnded: the parameters are no longer finite, or a point of the curve is below its threshold.
        """
        total, end = self.recipe.training.meta_iterations, self.trial.meta_iterations
        evaluated = self._evaluated_on_the_way()
        while True:
            # Judged by the state, not the last step: a checkpoint may have been written before an evaluation ended.
            if state.meta_iteration in evaluated and all(
                point.meta_iteration != state.meta_iteration for point in state.curve
            ):
                self._add_to_curve(state)
            if state.meta_iteration == end:
                break
            if self.trial.is_beginning and state.meta_iteration == end // 2:
                state.losses = no_losses(self.images.train.device)  # the first half says more of the initial weights
            self._outer_step(state, state.meta_iteration / total)
            self.on_progress()
        require_finite(state)

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
        for step in range(steps):
            self._outer_step(state, begun + (1 - begun) * (step + 1) / (steps + 1))
            self.on_progress()
        require_finite(state)

    def evaluate(self, state: TrainingState, images: DeviceImages, purpose: str, tasks: int) -> Answers:
        """
        Classify the queries of tasks with what was trained.

        Args:
            purpose: names the random stream of the tasks; equal purposes draw equal tasks.
        """
        learned = trained(state.learned)
        return evaluate(self.learner, learned, images, self.recipe, tasks, self._stream(purpose), self.on_progress)

    def score(self, answers: Answers) -> Score:
        """Return the figure of an evaluation that ranks candidates."""
        return evaluated_score(answers, self.recipe.evaluation)

    def beginning_score(self, state: TrainingState) -> Score:
        """Return the score of the beginning of a training: its loss, or of a learner that has none a few tasks."""
        score = None if state.losses is None else training_score(state.losses)
        if score is not None:
            return score
        tasks = self.recipe.evaluation.curve_tasks
        return self.score(self.evaluate(state, self.scored_images, "curve", tasks))

    def _outer_step(self, state: TrainingState, share: float) -> None:
        """Take an outer step; `share` of the training is done, in [0, 1)."""
        # A tensor on the device, since a CUDA graph of the step would repeat a Python number for ever.
        progress = torch.tensor(share, dtype=torch.float64, device=self.images.train.device)
        loss = self.learner.outer_step(state.learned, self._meta_batch(state.meta_iteration), progress)
        if state.losses is not None:
            add_loss(state.losses, loss)
        state.meta_iteration += 1
        if averaging := float(self.recipe.training.averaging):
            add_to_mean(state.learned, averaging, state.meta_iteration)
        # Now and then, for it waits for the device.
        if state.meta_iteration % FINITE_CHECK_STEPS == 0:
            require_finite(state)

    def _meta_batch(self, meta_iteration: int) -> Tasks:
        """Draw the tasks of one outer step, from a stream of its own: a resumed training draws the same ones."""
        images, learner = self.images.train, self.learner
        rng = self._stream("train", meta_iteration)
        return images.tasks(sample_tasks(rng, images.images, learner.training_tasks, learner.meta_batch_size))

    def _add_to_curve(self, state: TrainingState) -> None:
        require_finite(state)
        # One stream for all points, and so the same tasks: the curve rises by learning, not by easier tasks.
        answers = self.evaluate(state, self.scored_images, "curve", self.recipe.evaluation.curve_tasks)
        score = self.score(answers)
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
    if not bool(state.learned.theta.isfinite().all()):
        message = f"parameters were no longer finite after {state.meta_iteration} meta-iterations"
        raise TrialEnded(State.FAILED, Reason.DIVERGED, message)
