"""Cells together with hyperparameters: what the protocol of a space promises, and how values spread."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_spec
from hypothesis import given, settings
from hypothesis import strategies as st

from metasearch.errors import InvalidSpec
from metasearch.search.build import build_space
from metasearch.search.candidates import Candidate
from metasearch.search.joint_space import JointSpace
from metasearch.search.space import CellSpace, candidate_key

HYPERPARAMETERS: list[dict[str, Any]] = [
    {"name": "filters", "distribution": "LogUniform", "minimum": 4, "maximum": 32},
    {"name": "innerLearningRate", "distribution": "LogUniform", "minimum": "0.0001", "maximum": "0.1"},
    {"name": "innerSteps", "distribution": "Linear", "minimum": 1, "maximum": 9, "steps": 4},
    {"name": "concat", "distribution": "Choice", "values": ["All", "Unused"]},
    {"name": "averaging", "distribution": "Fixed", "value": "0.5"},
]


def joint(
    hyperparameters: list[dict[str, Any]] = HYPERPARAMETERS, seed: int = 0, blocks: int = 3, **spec: Any
) -> JointSpace:
    space = {"operations": ["conv3x3", "max_pool3x3", "identity"], "maxBlocks": blocks}
    made = build_space(make_spec(search={"hyperparameters": hyperparameters}, seed=seed, **{"space": space, **spec}))
    assert isinstance(made, JointSpace)
    return made


def test_a_search_without_hyperparameters_is_one_of_cells() -> None:
    assert isinstance(build_space(make_spec()), CellSpace)


# --- what the protocol promises ---


def test_every_smallest_cell_is_there_once_with_values_of_its_own() -> None:
    space = joint()
    smallest = space.smallest()
    assert [each.cell for each in smallest] == list(space.cells.smallest())
    assert len({each.values for each in smallest}) > len(smallest) / 2
    assert smallest == joint().smallest()
    assert smallest != joint(seed=1).smallest()


def test_smallest_values_follow_their_distributions() -> None:
    operations = ["conv3x3", "conv5x5", "identity", "avg_pool3x3", "max_pool3x3", "sep_conv3x3", "dil_conv3x3"]
    space = joint(space={"operations": operations, "maxBlocks": 1})
    drawn = [each.values for each in space.smallest()]
    assert len(drawn) == 105
    # A quarter of a log-uniform range from 4 to 33 is below 4 * (33 / 4) ** (1 / 4) = 6.8.
    assert np.mean([values[0] <= 6 for values in drawn]) == pytest.approx(0.25, abs=0.1)
    assert set(Counter(values[2] for values in drawn)) == {1, 3, 5, 7, 9}


def test_children_keep_values_and_have_a_twin_with_one_drawn_anew() -> None:
    space = joint()
    parent = space.smallest()[3]
    children = list(space.children(parent))
    kept, twins = children[::2], children[1::2]
    assert [each.cell for each in kept] == [each.cell for each in twins] == list(space.cells.children(parent.cell))
    assert {each.values for each in kept} == {parent.values}
    differences = [
        [index for index, pair in enumerate(zip(each.values, parent.values, strict=True)) if pair[0] != pair[1]]
        for each in twins
    ]
    assert {len(each) for each in differences} == {1}
    assert {index for each in differences for index in each} == {0, 1, 2, 3}  # the fixed one cannot differ
    assert children == list(space.children(parent))


def test_the_largest_have_no_children() -> None:
    space = joint(blocks=1)
    assert not list(space.children(space.smallest()[0]))


def test_parents_are_those_of_which_a_child_has_kept_the_values() -> None:
    space = joint()
    child = space.sample(np.random.default_rng(0))
    parents = list(space.parents(child))
    assert parents
    assert all(child in space.children(parent) for parent in parents)


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_random_candidates_are_of_the_last_round_and_read_back_from_records(seed: int) -> None:
    space = joint()
    candidate = space.sample(np.random.default_rng(seed))
    assert len(candidate.cell) == 3
    recorded = space.write(candidate)
    assert space.read(Candidate(recorded.architecture, recorded.texts)) == candidate
    assert list(recorded.hyperparameters) == ["averaging", "concat", "filters", "innerLearningRate", "innerSteps"]


def test_sampled_values_spread_as_the_seed_says() -> None:
    space, rng = joint(), np.random.default_rng(0)
    drawn = [space.sample(rng).values for _ in range(2000)]
    steps = Counter(values[2] for values in drawn)
    assert all(steps[number] == pytest.approx(400, abs=80) for number in (1, 3, 5, 7, 9))
    rates = sorted(float(values[1]) for values in drawn)
    assert np.quantile(rates, [1 / 3, 2 / 3]) == pytest.approx([1e-3, 1e-2], rel=0.25)


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_a_mutation_is_a_neighbour(seed: int) -> None:
    space, rng = joint(), np.random.default_rng(seed)
    parent = space.sample(rng)
    child = space.mutate(parent, rng)
    assert space.key(child) in {space.key(each) for each in space.neighbours(parent)}
    assert (child.cell == parent.cell) != (child.values == parent.values)


def test_mutations_reach_every_neighbour() -> None:
    space = joint(blocks=1)
    parent = space.smallest()[5]
    drawn = {space.key(space.mutate(parent, np.random.default_rng(seed))) for seed in range(600)}
    assert drawn == {space.key(each) for each in space.neighbours(parent)}


def test_keys_tell_cells_and_values_apart() -> None:
    space = joint(blocks=2)
    one = space.sample(np.random.default_rng(1))
    assert candidate_key(space, space.write(one)) == space.key(one)
    others = list(space.neighbours(one))
    assert len({space.key(each) for each in others} | {space.key(one)}) == 1 + len(
        {(each.cell, each.values) for each in others}
    )


def test_a_driver_in_another_process_finds_the_same() -> None:
    program = (
        "from test_joint_space import joint\n"
        "space = joint()\n"
        "print(*map(space.key, [*space.smallest(), *space.children(space.smallest()[2])]), sep='\\n')"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)]), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    space = joint()
    expected = [space.key(each) for each in (*space.smallest(), *space.children(space.smallest()[2]))]
    assert found.stdout.splitlines() == expected


# --- what surrogates see ---


def test_features_are_those_of_the_networks_that_values_make_and_their_coordinates() -> None:
    space = joint()
    candidates = [space.sample(np.random.default_rng(seed)) for seed in range(4)]
    found = space.features(candidates)
    for row, candidate in zip(found, candidates, strict=True):
        filters, rate, steps, concat, _ = candidate.values
        network = make_spec(
            space={"operations": ["conv3x3", "max_pool3x3", "identity"], "filters": filters, "concat": concat}
        ).space
        alone = CellSpace(network.operations, 3, network).features([candidate.cell])[0]
        assert row[: len(alone)] == pytest.approx(alone)
        coordinates = row[len(alone) :]
        assert coordinates[1] == pytest.approx(np.log10(float(rate) / 1e-4) / 3)
        assert coordinates[2:].tolist() == [(int(steps) - 1) / 8, float(concat == "Unused")]
        assert len(coordinates) == 4  # a fixed value says nothing


def test_features_come_in_the_order_of_candidates() -> None:
    space, rng = joint(), np.random.default_rng(0)
    candidates = [space.sample(rng), space.smallest()[3], space.sample(rng), space.smallest()[0]]
    assert np.array_equal(space.features(candidates), np.vstack([space.features([each]) for each in candidates]))


def test_tokens_are_the_cells() -> None:
    space = joint()
    one = space.sample(np.random.default_rng(0))
    assert space.tokens(one) == space.cells.tokens(one.cell)


def test_cost_grows_with_filters() -> None:
    space = joint([{"name": "filters", "distribution": "Choice", "values": [4, 8]}])
    cell = "conv3x3(-1)+identity(-2)"
    few, many = (space.cost(space.read(Candidate(cell, {"filters": number}))) for number in (4, 8))
    assert many == 4 * few


# --- what is refused ---


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"filters": 33}, "filters is 33; it must be one that spec.search.hyperparameters can draw"),
        ({"filters": Decimal("8.5")}, "filters is 8.5; it must be"),
        ({"innerSteps": 2}, "innerSteps is 2; it must be"),
        ({"concat": "Some"}, "concat is Some; it must be"),
        ({"averaging": 0}, "averaging is 0; it must be"),
        ({"filters": None}, "filters is missing; it must be"),
    ],
)
def test_what_the_space_cannot_draw_is_refused(changes: dict[str, Any], sentence: str) -> None:
    space = joint()
    recorded = space.write(space.sample(np.random.default_rng(0)))
    values = {**recorded.hyperparameters, **changes}
    with pytest.raises(InvalidSpec) as refused:
        space.read(Candidate(recorded.architecture, {name: each for name, each in values.items() if each is not None}))
    assert sentence in str(refused.value)


def test_what_a_rule_forbids_together_is_never_proposed() -> None:
    varied = [
        {"name": "mergedTasks", "distribution": "Choice", "values": [2, 3, 8]},
        {"name": "metaBatchSize", "distribution": "Uniform", "minimum": 2, "maximum": 16},
        {"name": "repeats", "distribution": "Uniform", "minimum": 0, "maximum": 1},
        {"name": "reductions", "distribution": "Uniform", "minimum": 0, "maximum": 1},
    ]
    space, rng = joint(varied, training={"metaLearner": "Prototypes"}, blocks=2), np.random.default_rng(0)
    met = [*space.smallest(), *space.children(space.smallest()[0]), *(space.sample(rng) for _ in range(50))]
    met += [space.mutate(each, rng) for each in met[-50:]]
    met += [other for each in met[-20:] for other in space.neighbours(each)]
    assert all(size % merged == 0 and repeats + reductions for merged, size, repeats, reductions in map(_values, met))
    assert {_values(each)[0] for each in met} == {2, 3, 8}


def _values(candidate: Any) -> tuple[int, int, int, int]:
    values: tuple[int, int, int, int] = candidate.values
    return values


def test_values_that_are_never_allowed_together_are_refused() -> None:
    varied = [{"name": name, "distribution": "Fixed", "value": 0} for name in ("repeats", "reductions")]
    with pytest.raises(InvalidSpec, match="draws no values that are allowed together"):
        joint(varied).smallest()


# --- all there is ---


def test_coordinates_are_the_neighbours_by_what_is_changed() -> None:
    space = joint(blocks=1)
    candidate = space.smallest()[5]
    changed = space.coordinates(candidate)
    assert [each for one in changed for each in one] == list(space.neighbours(candidate))
    assert len(changed) == 2 + 4  # branches, and hyperparameters that are not fixed
    assert all(each.values == candidate.values for one in changed[:2] for each in one)
    for index, one in enumerate(changed[2:]):
        assert one
        assert all(each.values[:index] == candidate.values[:index] for each in one)
        assert all(each.values[index + 1 :] == candidate.values[index + 1 :] for each in one)


def test_everything_is_every_cell_with_all_values_together() -> None:
    space = joint(HYPERPARAMETERS[2:], blocks=1)
    everything = list(space.everything())
    assert len(everything) == len({space.key(each) for each in everything}) == 21 * 5 * 2  # 21 of three operations
    assert space.count(1000) == 210
    assert space.count(10) > 10
    assert all(space.read(space.write(each)) == each for each in everything)


def test_ranges_are_listed_in_steps_of_a_tenth() -> None:
    space = joint([HYPERPARAMETERS[1]], blocks=1)
    rates = sorted({each.values[0] for each in space.everything()})
    assert (len(rates), rates[0], rates[-1]) == (11, Decimal("0.0001"), Decimal("0.1"))


def test_a_cell_begins_with_values_of_its_own_and_has_all_others() -> None:
    space = joint(HYPERPARAMETERS[2:], blocks=1)
    cell = str(space.smallest()[7].cell)
    variants = list(space.variants(cell))
    assert variants[0] == space.smallest()[7]
    assert len(variants) == len(set(variants)) == 5 * 2
