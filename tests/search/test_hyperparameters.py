"""A candidate's hyperparameters replace settings of a spec's space and training."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from builders import make_spec

from metasearch.api import SETTINGS, SPACE_NAMES, Concat, InnerRates, Space
from metasearch.errors import InvalidSpec
from metasearch.search.candidates import Value
from metasearch.search.hyperparameters import largest_training, typical_spec, varied_space, varied_training


def test_values_replace_fields_of_the_network_and_leave_the_others() -> None:
    values: dict[str, Value] = {"filters": 7, "filterScale": 3, "stemStride": 2, "concat": "Unused", "innerSteps": 5}
    found = varied_space(Space(max_parameters=5000), values)
    assert found == Space(filters=7, filter_scale=3, stem_stride=2, concat=Concat.UNUSED, max_parameters=5000)


def test_without_values_nothing_changes() -> None:
    spec = make_spec()
    assert varied_space(spec.space, {"innerSteps": 5}) is spec.space
    assert varied_training(spec.training, {"filters": 5}) is spec.training


def test_averaging_is_of_the_training_and_other_settings_are_the_learners() -> None:
    training = make_spec(training={"metaLearner": "MAML"}).training
    found = varied_training(
        training, {"averaging": Decimal("0.9"), "innerRates": "PerLayer", "filters": 4, "metaLearningRate": 1}
    )
    assert found.averaging == Decimal("0.9")
    assert found.maml is not None
    assert (found.maml.inner_rates, found.maml.meta_learning_rate) == (InnerRates.PER_LAYER, 1)


def test_truth_values_are_text_in_candidates() -> None:
    training = make_spec(training={"metaLearner": "Prototypes"}).training
    found = [varied_training(training, {"symmetric": value}).prototypes for value in ("true", "false")]
    assert [each and each.symmetric for each in found] == [True, False]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"filters": 0}, "filters is 0; it must be at least 1"),
        ({"filters": Decimal("8.5")}, 'filters is "8.5"; it must be a whole number'),
        ({"concat": "Some"}, "concat is \"Some\"; it must be 'All' or 'Unused'"),
        ({"repeats": 0, "reductions": 0}, "must have at least one cell"),
    ],
)
def test_values_that_a_network_cannot_have_are_refused(values: dict[str, Value], sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        varied_space(Space(), values)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("value", [1, Decimal("1.5")])
def test_averaging_out_of_bounds_is_refused(value: Value) -> None:
    with pytest.raises(InvalidSpec, match=r"averaging is .*; it must be less than 1"):
        varied_training(make_spec().training, {"averaging": value})


def test_names_of_the_network_and_of_learners_are_distinct() -> None:
    for learner in SETTINGS:
        training = make_spec(training={"metaLearner": learner}).training
        assert training.settings is not None
        settings = {field.alias for field in type(training.settings).model_fields.values()}
        assert not settings & {*SPACE_NAMES, "averaging"}


# --- for a search as a whole ---

UNIFORM: dict[str, Any] = {"distribution": "Uniform"}


def test_data_must_suffice_for_the_greatest_values() -> None:
    spec = make_spec(
        training={"metaLearner": "FOMAML", "fomaml": {"queries": 2}},
        search={
            "hyperparameters": [
                {"name": "shots", **UNIFORM, "minimum": 1, "maximum": 9},
                {"name": "queries", "distribution": "Choice", "values": [3, "11"]},
                {"name": "innerLearningRate", **UNIFORM, "minimum": "0.1", "maximum": 4},
                {"name": "filters", **UNIFORM, "minimum": 1, "maximum": 9},
            ]
        },
    )
    settings = largest_training(spec).settings
    assert settings is not None
    assert settings.images_per_class(spec.task) == 9 + 11


def test_a_typical_spec_has_the_middle_of_each_distribution() -> None:
    varied = [
        {"name": "filters", "distribution": "LogUniform", "minimum": 4, "maximum": 31},
        {"name": "innerSteps", "distribution": "Linear", "minimum": 1, "maximum": 5, "steps": 2},
    ]
    found = typical_spec(make_spec(search={"hyperparameters": varied}))
    assert found.space.filters == 11  # 4 * (32 / 4) ** 0.5 = 11.3
    assert found.training.reptile is not None
    assert found.training.reptile.inner_steps == 3
