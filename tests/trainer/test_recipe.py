"""A trial's recipe: the search's settings, the candidate's hyperparameters, the trial's fidelity."""

from __future__ import annotations

from decimal import Decimal

import pytest
from builders import make_spec
from tiny_trials import final_trial, tiny_spec, tiny_trial

from metasearch.api import OptimizerState, Training
from metasearch.errors import InvalidSpec
from metasearch.search.candidates import Candidate
from metasearch.search.trials import Stage
from metasearch_trainer.recipe import Recipe, with_hyperparameters


def test_a_recipe_has_the_settings_of_the_search_and_the_fidelity_of_the_trial() -> None:
    spec = tiny_spec(task={"shots": 2}, evaluation={"score": "Transductive"})
    recipe = Recipe.of(spec, tiny_trial(meta_iterations=3))
    assert (recipe.task, recipe.evaluation) == (spec.task, spec.evaluation)
    assert recipe.training == spec.training.model_copy(update={"meta_iterations": 3})


def test_only_final_and_baseline_trials_see_test_classes() -> None:
    spec = tiny_spec()
    assert Recipe.of(spec, tiny_trial()).test_tasks == 0
    for trial in (final_trial(), tiny_trial(stage=Stage.BASELINE)):
        assert Recipe.of(spec, trial).test_tasks == spec.final.tasks


def test_hyperparameters_override_settings() -> None:
    training = with_hyperparameters(make_spec().training, {"innerLearningRate": "0.03", "innerSteps": 2})
    assert training == Training(inner_learning_rate=Decimal("0.03"), inner_steps=2)


def test_a_recipe_has_the_hyperparameters_of_its_candidate() -> None:
    varied = {"innerLearningRate": Decimal("0.03"), "innerSteps": 2}
    trial = tiny_trial(candidate=Candidate("conv3x3(-1)+identity(-2)", varied), meta_iterations=3)
    training = Recipe.of(tiny_spec(), trial).training
    assert (training.inner_learning_rate, training.inner_steps, training.meta_iterations) == (Decimal("0.03"), 2, 3)


@pytest.mark.parametrize(
    ("varied", "field", "expected"),
    [
        ({"metaStepSize": 1}, "meta_step_size", Decimal(1)),
        ({"metaStepSize": "1.0"}, "meta_step_size", Decimal(1)),
        ({"innerLearningRate": "0.00001"}, "inner_learning_rate", Decimal("0.00001")),
        ({"innerSteps": "5"}, "inner_steps", 5),
        ({"optimizerState": "Fresh"}, "optimizer_state", OptimizerState.FRESH),
        ({"metaLearner": "FOMAML"}, "meta_learner", "FOMAML"),
    ],
)
def test_a_candidate_may_vary_settings_of_every_kind(
    varied: dict[str, Decimal | int | str], field: str, expected: object
) -> None:
    trial = tiny_trial(candidate=Candidate("conv3x3(-1)+identity(-2)", varied))
    assert getattr(Recipe.of(tiny_spec(), trial).training, field) == expected


@pytest.mark.parametrize(
    ("hyperparameters", "sentence"),
    [
        ({"innerLearningRat": "0.1"}, "no field 'innerLearningRat'; did you mean innerLearningRate?"),
        ({"innerLearningRate": "2"}, 'innerLearningRate is "2"; it must be at most 1'),
        ({"innerSteps": 0}, "innerSteps is 0; it must be at least 1"),
    ],
)
def test_a_hyperparameter_that_is_none_is_refused(hyperparameters: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        with_hyperparameters(Training(), hyperparameters)
    assert str(refused.value) == f"the candidate's hyperparameters: {sentence}"


def test_a_trial_that_goes_on_from_another_is_refused_and_not_begun_anew() -> None:
    with pytest.raises(InvalidSpec, match="the trial goes on from tiny-1-a, which this version's trainer cannot do"):
        Recipe.of(tiny_spec(), tiny_trial(resumes="tiny-1-a"))


def test_a_recipe_is_read_back_as_written() -> None:
    recipe = Recipe.of(tiny_spec(training={"optimizerState": "Fresh"}), final_trial())
    assert Recipe.model_validate_json(recipe.model_dump_json(by_alias=True)) == recipe
