"""A trial's recipe: the search's settings, the candidate's hyperparameters, the trial's fidelity."""

from __future__ import annotations

from decimal import Decimal

import pytest
from builders import make_spec
from tiny_trials import META_ITERATIONS, final_trial, tiny_spec, tiny_trial

from metasearch.api import OptimizerState, ReptileSettings, Training
from metasearch.errors import InvalidSpec
from metasearch.search.candidates import Candidate
from metasearch.search.hyperparameters import varied_training
from metasearch.search.trials import Stage
from metasearch_trainer.recipe import Recipe


def test_a_recipe_has_the_settings_of_the_search_and_the_fidelity_of_the_trial() -> None:
    spec = tiny_spec(task={"shots": 2}, evaluation={"score": "Accuracy"})
    recipe = Recipe.of(spec, tiny_trial(meta_iterations=3))
    assert (recipe.task, recipe.evaluation) == (spec.task, spec.evaluation)
    assert recipe.training == spec.training.model_copy(update={"meta_iterations": 3})


def test_only_final_and_baseline_trials_see_test_classes() -> None:
    spec = tiny_spec()
    assert Recipe.of(spec, tiny_trial()).test_tasks == 0
    for trial in (final_trial(), tiny_trial(stage=Stage.BASELINE)):
        assert Recipe.of(spec, trial).test_tasks == spec.final.tasks


def test_hyperparameters_override_settings() -> None:
    training = varied_training(make_spec().training, {"innerLearningRate": "0.03", "innerSteps": 2})
    assert training == Training(reptile=ReptileSettings(inner_learning_rate=Decimal("0.03"), inner_steps=2))


def test_settings_that_a_candidate_does_not_vary_stay() -> None:
    spec = make_spec(training={"reptile": {"metaBatchSize": 3, "innerSteps": 4}})
    varied = varied_training(spec.training, {"innerSteps": 2})
    assert varied.reptile == ReptileSettings(meta_batch_size=3, inner_steps=2)


def test_hyperparameters_are_those_of_the_learner_that_is_named() -> None:
    spec = make_spec(training={"metaLearner": "Prototypes"})
    varied = varied_training(spec.training, {"metaLearningRate": "0.01", "symmetric": False})
    assert varied.prototypes is not None
    assert (varied.prototypes.meta_learning_rate, varied.prototypes.symmetric) == (Decimal("0.01"), False)
    with pytest.raises(InvalidSpec, match="no field 'innerSteps'"):
        varied_training(spec.training, {"innerSteps": 2})


def test_hyperparameters_of_a_packages_learner_become_its_options() -> None:
    spec = make_spec(training={"metaLearner": "Untrained", "options": {"depth": "3", "learningRate": "0.1"}})
    varied = varied_training(spec.training, {"learningRate": Decimal("0.5"), "steps": 2})
    assert varied.options == {"depth": "3", "learningRate": "0.5", "steps": "2"}


@pytest.mark.parametrize("stage", [Stage.FINAL, Stage.BASELINE])
def test_a_final_training_of_its_own_has_no_hyperparameters(stage: Stage) -> None:
    """They were varied with the search's learner, and the other may not even have them."""
    own = {"metaLearner": "Prototypes", "prototypes": {"queries": 2}}
    candidate = Candidate("conv3x3(-1)+identity(-2)", {"innerSteps": 2})
    recipe = Recipe.of(tiny_spec(final={"training": own}), tiny_trial(stage=stage, candidate=candidate))
    expected = make_spec(training={**own, "metaIterations": META_ITERATIONS}).training
    assert recipe.training == expected


def test_a_final_training_of_its_own_leaves_search_trials_as_they_are() -> None:
    own = {"metaLearner": "Prototypes"}
    assert Recipe.of(tiny_spec(final={"training": own}), tiny_trial()) == Recipe.of(tiny_spec(), tiny_trial())


def test_without_a_final_training_of_its_own_hyperparameters_are_kept() -> None:
    candidate = Candidate("conv3x3(-1)+identity(-2)", {"innerSteps": 2})
    assert Recipe.of(tiny_spec(), final_trial(candidate=candidate)).settings(ReptileSettings).inner_steps == 2


def test_a_recipe_has_the_hyperparameters_of_its_candidate() -> None:
    varied = {"innerLearningRate": Decimal("0.03"), "innerSteps": 2}
    trial = tiny_trial(candidate=Candidate("conv3x3(-1)+identity(-2)", varied), meta_iterations=3)
    recipe = Recipe.of(tiny_spec(), trial)
    settings = recipe.settings(ReptileSettings)
    assert (settings.inner_learning_rate, settings.inner_steps, settings.shots) == (Decimal("0.03"), 2, 3)
    assert recipe.training.meta_iterations == 3


@pytest.mark.parametrize(
    ("varied", "field", "expected"),
    [
        ({"metaStepSize": 1}, "meta_step_size", Decimal(1)),
        ({"metaStepSize": "1.0"}, "meta_step_size", Decimal(1)),
        ({"innerLearningRate": "0.00001"}, "inner_learning_rate", Decimal("0.00001")),
        ({"innerSteps": "5"}, "inner_steps", 5),
        ({"optimizerState": "Fresh"}, "optimizer_state", OptimizerState.FRESH),
    ],
)
def test_a_candidate_may_vary_settings_of_every_kind(
    varied: dict[str, Decimal | int | str], field: str, expected: object
) -> None:
    trial = tiny_trial(candidate=Candidate("conv3x3(-1)+identity(-2)", varied))
    assert getattr(Recipe.of(tiny_spec(), trial).settings(ReptileSettings), field) == expected


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
        varied_training(Training(), hyperparameters)
    assert str(refused.value) == f"the candidate's hyperparameters: {sentence}"


@pytest.mark.parametrize("name", ["metaIterations", "metaLearner"])
def test_a_candidate_varies_settings_of_the_learner_only(name: str) -> None:
    with pytest.raises(InvalidSpec, match=f"no field '{name}'; its fields are metaBatchSize, shots, "):
        varied_training(Training(), {name: 5})


def test_the_beginning_of_a_training_has_the_length_of_the_whole() -> None:
    recipe = Recipe.of(tiny_spec(), tiny_trial(meta_iterations=3, is_beginning=True))
    assert recipe == Recipe.of(tiny_spec(), tiny_trial())


def test_a_recipe_is_read_back_as_written() -> None:
    recipe = Recipe.of(tiny_spec(training={"reptile": {"optimizerState": "Fresh"}}), final_trial())
    assert Recipe.model_validate_json(recipe.model_dump_json(by_alias=True)) == recipe
