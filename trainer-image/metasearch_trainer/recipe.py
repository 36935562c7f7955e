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
from metasearch.errors import InvalidSpec
from metasearch.search.hyperparameters import varied_training
from metasearch.search.trials import Stage, TrialSpec

S = TypeVar("S", bound=LearnerSettings)


class Recipe(SpecModel):
    """The settings of one trial. A delivered network carries its own, so that it can be adapted as it was trained."""

    task: Task = Task()
    training: Training = Training()
    """With the trial's own number of meta-iterations."""
    evaluation: Evaluation = Evaluation()
    test_tasks: int = 0
    """Number of test tasks after training; 0 for a search trial, which must not see the test classes."""

    @classmethod
    def of(cls, spec: MetaSearchSpec, trial: TrialSpec) -> Recipe:
        """
        Return the recipe of a trial.

        Raises:
            InvalidSpec: the candidate has a hyperparameter that is none, or whose value is out of bounds; or the trial
                goes on from another.
        """
        # A checkpoint is dropped once its trial's result is on record. To begin anew without a word would be worse.
        if trial.resumes is not None:
            raise InvalidSpec(
                f"the trial goes on from {trial.resumes}, which this version's trainer cannot do; "
                "the strategy must propose trials that begin anew"
            )
        is_search = trial.stage is Stage.SEARCH
        if is_search or spec.final.training is None:
            training = varied_training(spec.training, trial.candidate.hyperparameters)
        else:
            # Hyperparameters were varied with another learner, which may not even have them.
            training = Training.model_validate(spec.final.training.model_dump(by_alias=True))
        return cls(
            task=spec.task,
            # Last: no hyperparameter may change the meta-iterations that the search has planned with.
            training=training.model_copy(update={"meta_iterations": trial.meta_iterations}),
            evaluation=spec.evaluation,
            test_tasks=0 if is_search else spec.final.tasks,
        )

    def settings(self, kind: type[S]) -> S:
        """Return the settings of the recipe's meta-learner, which are of a class."""
        settings = self.training.settings
        assert isinstance(settings, kind), f"{self.training.meta_learner} has other settings than {kind.__name__}"
        return settings
