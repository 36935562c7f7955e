"""
Everything that decides how one trial is trained and evaluated.

A search's spec has the settings that all of its trials share; a trial has a candidate, whose hyperparameters override
some of them, and a fidelity. Final trials may have a training of their own. `Recipe.of` joins them, and is the only
code of the trainer that reads `spec.training` and `spec.evaluation`: whatever varies, a trial is trained as its recipe
says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from pydantic import ValidationError

from metasearch.api import SETTINGS, Evaluation, LearnerSettings, MetaSearchSpec, SpecModel, Task, Training
from metasearch.errors import InvalidSpec
from metasearch.loading import describe
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
            training = with_hyperparameters(spec.training, trial.candidate.hyperparameters)
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


def with_hyperparameters(training: Training, hyperparameters: Mapping[str, object]) -> Training:
    """
    Return the training with some of its settings replaced.

    Args:
        hyperparameters: by the names in YAML of the meta-learner's settings, such as {"innerLearningRate": "0.01"}.
            Those of a learner that an installed package adds go into its options.

    Raises:
        InvalidSpec: a name is none of the learner's settings, or a value is out of its bounds.
    """
    if not hyperparameters:
        return training
    field = SETTINGS.get(training.meta_learner)
    if field is None:
        options = {name: str(value) for name, value in hyperparameters.items()}
        return training.model_copy(update={"options": {**training.options, **options}})
    settings = training.settings
    assert settings is not None
    kind = type(settings)
    decimals = {each.alias for each in kind.model_fields.values() if each.annotation is Decimal}
    # A candidate keeps whole numbers as integers, where the spec has decimals as text: 1 stands for "1".
    varied = {name: str(value) if name in decimals else value for name, value in hyperparameters.items()}
    try:
        # Not model_copy, which would take any value without a check.
        replaced = kind.model_validate({**settings.model_dump(by_alias=True), **varied})
    except ValidationError as error:
        raise InvalidSpec(f"the candidate's hyperparameters: {describe(error, kind)}") from error
    return training.model_copy(update={field: replaced})
