"""The bounds, defaults and rules of a spec."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from builders import make_resource, make_spec
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from metasearch.api import (
    META_LEARNERS,
    SETTINGS,
    Baseline,
    Classification,
    Concat,
    Dataset,
    DatasetName,
    Folder,
    Operation,
    ProgressiveSearchSettings,
    ReptileSettings,
    Score,
    Split,
    Task,
)
from metasearch.errors import InvalidSpec
from metasearch.loading import parse_search

# --- bounds -------------------------------------------------------------------------------------------------------


def spec_with(field: str, value: object) -> dict[str, Any]:
    """Return keywords for a spec in which one field, named by its path in dots, has this value."""
    first, *rest = field.split(".")
    for name in reversed(rest):
        value = {name: value}
    if first == "dataset":
        assert isinstance(value, dict)
        value = {"name": "omniglot", **value}
    return {first: value}


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("dataset.imageSize", 8, 512),
        ("task.ways", 2, 200),
        ("task.shots", 1, 100),
        ("space.maxBlocks", 1, 8),
        ("space.filters", 1, 512),
        ("space.filterScale", 1, 4),
        ("space.repeats", 0, 8),
        ("space.reductions", 0, 5),
        ("search.progressive.beamWidth", 1, 2000),
        ("search.surrogate.members", 1, 20),
        ("training.metaIterations", 1, 10_000_000),
        ("training.reptile.metaBatchSize", 1, 256),
        ("evaluation.tasks", 2, 100_000),
        ("budget.maxTrials", 1, 100_000),
        ("budget.maxFailedTrials", 0, 100_000),
        ("budget.maxAttempts", 1, 10),
        ("final.top", 1, 100),
        ("final.seeds", 1, 20),
        ("parallelism", 1, 10_000),
        ("seed", 0, 2**31 - 1),
    ],
)
def test_whole_numbers_have_bounds(field: str, lowest: int, highest: int) -> None:
    others = {"space": {"repeats": 1}} if field == "space.reductions" else {}
    for value in (lowest, highest):
        wanted = spec_with(field, value)
        make_spec(
            **{
                part: {**others.get(part, {}), **fields} if part in others else fields
                for part, fields in wanted.items()
            }
        )
    for value in (lowest - 1, highest + 1):
        with pytest.raises(InvalidSpec, match=f"{field} is {value}; it must be"):
            make_spec(**spec_with(field, value))


@pytest.mark.parametrize(
    ("field", "right", "wrong"),
    [
        ("training.reptile.metaStepSize", ["0", "1"], ["1.1", "-0.1"]),
        ("training.reptile.innerLearningRate", ["0.000000000001", "1"], ["0", "1.1"]),
        ("search.earlyStopping.warmUp", ["0", "1"], ["1.1"]),
        ("final.reserve", ["0", "0.999"], ["1"]),
        ("budget.gpuHours", ["0", "2688"], ["-1"]),
    ],
)
def test_decimals_have_bounds(field: str, right: list[str], wrong: list[str]) -> None:
    for value in right:
        make_spec(**spec_with(field, value))
    for value in wrong:
        with pytest.raises(InvalidSpec, match=field):
            make_spec(**spec_with(field, value))


# --- defaults -----------------------------------------------------------------------------------------------------


def test_a_default_is_what_the_sources_say() -> None:
    spec = make_spec()
    auto_meta = (spec.budget.max_trials, spec.space.max_blocks, spec.space.filters)
    assert auto_meta == (55 + 4 * 100, 5, 10)
    assert (spec.search.progressive, ProgressiveSearchSettings().beam_width) == (None, 100)
    assert (spec.final.meta_iterations, spec.final.tasks) == (100_000, 10_000)
    assert isinstance(spec.training.settings, ReptileSettings)
    assert spec.training.settings.inner_learning_rate == Decimal("0.001")
    assert spec.space.operations == tuple(
        map(Operation, ("conv3x3", "conv5x5", "identity", "avg_pool3x3", "max_pool3x3"))
    )
    assert (spec.search.strategy, spec.space.concat, spec.final.baselines) == (
        "Progressive",
        Concat.ALL,
        (Baseline.CONV4,),
    )
    assert (spec.evaluation.split, spec.evaluation.score) == (Split.VALIDATION, Score.LIKELIHOOD)
    assert spec.evaluation.classification is Classification.TRANSDUCTIVE


def test_every_default_is_within_its_bounds() -> None:
    """Models do not check their own defaults; written out, they are checked like a user's."""
    resource = make_resource()
    assert parse_search(resource.model_dump(mode="json", by_alias=True)) == resource


@pytest.mark.parametrize(
    ("dataset", "rotations"),
    [
        (Dataset(name=DatasetName.OMNIGLOT), 4),
        (Dataset(name=DatasetName.OMNIGLOT, rotations=1), 1),
        (Dataset(folder=Folder(path="images")), 1),
        (Dataset(folder=Folder(path="images"), rotations=2), 2),
    ],
)
def test_only_omniglot_is_rotated_unasked(dataset: Dataset, rotations: int) -> None:
    assert dataset.training_rotations == rotations


# --- rules over several fields ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        pytest.param({"dataset": {}}, "must have exactly one of name and folder", id="no data set"),
        pytest.param(
            {"dataset": {"name": "omniglot", "folder": {"path": "images"}}},
            "must have exactly one of name and folder",
            id="two data sets",
        ),
        pytest.param(
            {"space": {"operations": ["identity", "identity"]}},
            "must not name an operation twice in operations",
            id="an operation twice",
        ),
        pytest.param(
            {"space": {"repeats": 0, "reductions": 0}},
            "must have at least one cell: repeats or reductions must be 1 or more",
            id="no cells",
        ),
    ],
)
def test_fields_must_go_together(spec: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidSpec, match=rule):
        make_spec(**spec)


def test_one_kind_of_cell_is_enough() -> None:
    assert make_spec(space={"repeats": 1, "reductions": 0}).space.repeats == 1


# --- meta-learners ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", META_LEARNERS)
def test_a_learner_without_settings_has_its_defaults(learner: str) -> None:
    training = make_spec(training={"metaLearner": learner}).training
    given = make_spec(training={"metaLearner": learner, to_camel(SETTINGS[learner]): {}}).training
    assert training.settings is not None
    assert training.settings == given.settings == type(training.settings)()


def test_a_packages_learner_has_options_and_no_settings() -> None:
    training = make_spec(training={"metaLearner": "Untrained", "options": {"rate": "0.1"}}).training
    assert (training.settings, training.options) == (None, {"rate": "0.1"})


@pytest.mark.parametrize(
    ("training", "classes", "images"),
    [
        ({"reptile": {"shots": 10}}, 5, 10),
        ({"metaLearner": "MAML"}, 5, 3 + 1),
        ({"metaLearner": "MAML", "maml": {"shots": 1, "queries": 4}}, 5, 1 + 4),
        ({"metaLearner": "Prototypes", "prototypes": {"metaBatchSize": 8, "mergedTasks": 4}}, 20, 3 + 1),
    ],
)
def test_a_learner_knows_what_its_training_takes_of_a_data_set(
    training: dict[str, Any], classes: int, images: int
) -> None:
    """The task has 5 ways and 3 shots."""
    task, settings = Task(ways=5, shots=3), make_spec(training=training).training.settings
    assert settings is not None
    assert (settings.classes(task), settings.images_per_class(task)) == (classes, images)


# --- frozen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part", ["dataset", "task", "space", "search", "training", "evaluation", "budget", "final", "worker"]
)
def test_a_spec_is_frozen(part: str) -> None:
    spec = make_spec()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec, part, getattr(spec, part))
    inner = getattr(spec, part)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(inner, next(iter(type(inner).model_fields)), None)
