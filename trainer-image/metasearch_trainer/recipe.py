"""
Everything that decides how one trial is trained and evaluated.

A search's spec has the settings that all of its trials share; a trial has a candidate, whose hyperparameters override
some of them, and a fidelity. Final trials may have a training of their own. `Recipe.of` joins them, and is the only
code of the trainer that reads `spec.training` and `spec.evaluation`: whatever varies, a trial is trained as its recipe
says.
"""

from __future__ import annotations

from typing import TypeVar

from metasearch.api import Evaluation, LearnerSettings, MetaSearchSpec, SpecModel, Task, Training
from metasearch.search.hyperparameters import varied_training
from metasearch.search.trials import Stage, TrialSpec

S = TypeVar("S", bound=LearnerSettings)


class Recipe(SpecModel):
    """The settings of one trial. A delivered network carries its own, so that it can be adapted as it was trained."""

    task: Task = Task()
    training: Training = Training()
    """
    With the meta-iterations of the whole training, by which its rates fall. A search trial may end earlier, so that
    another goes on from there.
    """
    evaluation: Evaluation = Evaluation()
    test_tasks: int = 0
    """Number of test tasks after training; 0 for a search trial, which must not see the test classes."""

    @classmethod
    def of(cls, spec: MetaSearchSpec, trial: TrialSpec) -> Recipe:
        """
        Return the recipe of a trial.

        Raises:
            InvalidSpec: the candidate has a hyperparameter that is none, or whose value is out of bounds.
        """
        is_search = trial.stage is Stage.SEARCH
        if is_search or spec.final.training is None:
            training = varied_training(spec.training, trial.candidate.hyperparameters)
        else:
            # Hyperparameters were varied with another learner, which may not even have them.
            training = Training.model_validate(spec.final.training.model_dump(by_alias=True))
        # The rates of a beginning fall as those of the training that it is the beginning of.
        whole = spec.training.meta_iterations if trial.is_beginning else trial.meta_iterations
        return cls(
            task=spec.task,
            # Last: no hyperparameter may change the meta-iterations that the search has planned with.
            training=training.model_copy(update={"meta_iterations": whole}),
            evaluation=spec.evaluation,
            test_tasks=0 if is_search else spec.final.tasks,
        )

    def settings(self, kind: type[S]) -> S:
        """Return the settings of the recipe's meta-learner, which are of a class."""
        settings = self.training.settings
        assert isinstance(settings, kind), f"{self.training.meta_learner} has other settings than {kind.__name__}"
        return settings
