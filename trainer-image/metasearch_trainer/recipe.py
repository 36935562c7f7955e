"""
Everything that decides how one trial is trained and evaluated.

A search's spec has the settings that all of its trials share; a trial has a candidate, whose hyperparameters override
some of them, and a fidelity. `Recipe.of` joins the two, and is the only code of the trainer that reads
`spec.training` and `spec.evaluation`: whatever a search varies, a trial is trained as its recipe says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from pydantic import ValidationError

from metasearch.api import Evaluation, MetaSearchSpec, SpecModel, Task, Training
from metasearch.errors import InvalidSpec
from metasearch.loading import describe
from metasearch.search.trials import Stage, TrialSpec

FIDELITY = "metaIterations"


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
        # Fidelity last: no hyperparameter may change the meta-iterations that the search has planned with.
        varied = {**trial.candidate.hyperparameters, FIDELITY: trial.meta_iterations}
        return cls(
            task=spec.task,
            training=with_hyperparameters(spec.training, varied),
            evaluation=spec.evaluation,
            test_tasks=0 if trial.stage is Stage.SEARCH else spec.final.tasks,
        )


def with_hyperparameters(training: Training, hyperparameters: Mapping[str, object]) -> Training:
    """
    Return the settings with some of them replaced.

    Args:
        hyperparameters: by the names of `spec.training`'s fields in YAML, such as {"innerLearningRate": "0.01"}.

    Raises:
        InvalidSpec: a name is no field of spec.training, or a value is out of its bounds.
    """
    decimals = {field.alias for field in Training.model_fields.values() if field.annotation is Decimal}
    # A candidate keeps whole numbers as integers, where the spec has decimals as text: 1 stands for "1".
    varied = {name: str(value) if name in decimals else value for name, value in hyperparameters.items()}
    try:
        # Not model_copy, which would take any value without a check.
        return Training.model_validate({**training.model_dump(by_alias=True), **varied})
    except ValidationError as error:
        raise InvalidSpec(f"the candidate's hyperparameters: {describe(error, Training)}") from error
