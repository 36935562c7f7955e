"""The space of layer sequences that `benchmarks/search_quality.py` searches."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from layer_table import Layers, LayerTable, Network, Scores
from metasearch.errors import InvalidData, InvalidSpec
from metasearch.search.candidates import Candidate


def table(
    choices: int = 3,
    layers: int = 3,
    score: Callable[[Layers], float] = lambda _: 0.5,
    cost: Callable[[Layers], float | None] = lambda _: None,
) -> LayerTable:
    sequences = itertools.product(range(choices), repeat=layers)
    return LayerTable({each: Scores(score(each), cost=cost(each)) for each in sequences})


def uneven() -> LayerTable:
    """Return a table of a layer of the choices 0 and 1 and one of 1 and 2."""
    return LayerTable({each: Scores(0.5) for each in itertools.product((0, 1), (1, 2))})


def test_the_smallest_are_uniform_and_children_fix_one_layer_more() -> None:
    space = table(choices=2)
    assert space.smallest() == [Network((0, 0, 0), 0), Network((1, 1, 1), 0)]
    assert list(space.children(Network((1, 1, 1), 0))) == [Network((0, 1, 1), 1), Network((1, 1, 1), 1)]
    assert list(space.children(Network((0, 1, 1), 1))) == [Network((0, 0, 1), 2), Network((0, 1, 1), 2)]
    assert not list(space.children(Network((0, 0, 1), 3)))


def test_every_child_has_the_one_that_it_grew_from_among_its_parents() -> None:
    space = table(layers=3)
    level = list(space.smallest())
    while level:
        grown = [(parent, child) for parent in level for child in space.children(parent)]
        assert all(parent in space.parents(child) for parent, child in grown)
        assert all(child in space.children(parent) for _, child in grown for parent in space.parents(child))
        level = [child for _, child in grown]


def test_candidates_with_the_same_layers_are_the_same_network() -> None:
    space = table(score=lambda layers: sum(layers) / 10)
    parent, child = Network((1, 1, 1), 0), Network((1, 1, 1), 1)
    assert space.key(parent) == space.key(child) != space.key(Network((0, 1, 1), 1))
    assert space.score(Network((0, 1, 1), 1)) == pytest.approx(0.2)


def test_a_layer_without_a_choice_has_another_in_its_uniform_network() -> None:
    assert [each.layers for each in uneven().smallest()] == [(0, 1), (1, 1), (0, 2)]


def test_candidates_of_every_size_read_back() -> None:
    space = table()
    level = list(space.smallest())
    while level:
        assert [space.read(space.write(each)) for each in level] == level
        level = [child for each in level for child in space.children(each)]


@pytest.mark.parametrize("text", ["0-1", "0-1-7", "conv", "", "0-1-"])
def test_a_wrong_text_is_explained(text: str) -> None:
    with pytest.raises(InvalidSpec, match=f'"{text}" is no network of the table; one is "0-0-0"'):
        table().read(Candidate(text))


def test_another_order_has_the_same_networks_under_other_names() -> None:
    space = table(layers=3, score=lambda layers: (9 * layers[0] + 3 * layers[1] + layers[2]) / 27)
    orders = [space.shuffled(seed) for seed in range(20)]
    for each in orders:
        assert sorted(scores.validation for scores in each.scores.values()) == pytest.approx(
            [n / 27 for n in range(27)]
        )
        # Networks that are uniform stay so.
        uniform = sorted(each.score(network) * 27 for network in each.smallest())
        assert uniform == pytest.approx([0, 13, 26])
    assert len({tuple(scores.validation for _, scores in sorted(each.scores.items())) for each in orders}) > 10
    assert space.shuffled(3).scores == orders[3].scores


def test_layers_that_differ_keep_their_choices_in_another_order() -> None:
    for seed in range(5):
        shuffled = uneven().shuffled(seed)
        assert len(shuffled) == 4
        assert sorted(map(len, shuffled.choices)) == [2, 2]
        assert len(set(shuffled.choices[0]) & set(shuffled.choices[1])) == 1


def test_random_networks_are_whole_and_of_every_kind() -> None:
    space = table(choices=2)
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(200)]
    assert len({space.key(each) for each in drawn}) == len(space) == 8
    assert {space.size(each) for each in drawn} == {space.max_size} == {4}


def test_a_change_and_all_changes_are_of_one_layer_that_is_fixed() -> None:
    space, rng = table(), np.random.default_rng(0)
    candidate = Network((0, 2, 1), 2)
    changes = space.coordinates(candidate)
    assert changes == [
        [Network((1, 2, 1), 2), Network((2, 2, 1), 2)],
        [Network((0, 0, 1), 2), Network((0, 1, 1), 2)],
    ]
    assert {space.mutate(candidate, rng) for _ in range(100)} == set(itertools.chain.from_iterable(changes))


def test_all_networks_are_listed_once() -> None:
    space = table()
    listed = list(space.everything())
    assert len({space.key(each) for each in listed}) == len(listed) == 27 == space.count(most=5)
    assert list(space.variants(space.key(listed[1]))) == [listed[1]]


def test_tokens_are_the_choices_and_features_tell_layers_apart() -> None:
    space = table(choices=2, cost=lambda layers: float(2 ** sum(layers) - 1))
    networks = [Network((0, 0, 0), 0), Network((0, 1, 1), 2)]
    assert space.tokens(networks[1]) == ((0,), (1,), (1,))
    features = space.features(networks)
    assert features[:, :-1].tolist() == [[1, 0, 1, 0, 1, 0, 3, 0], [1, 0, 0, 1, 0, 1, 1, 2]]
    assert features[:, list(space.size_features)] == pytest.approx(np.log([[1], [4]]))
    assert list(table().size_features) == []


def test_equal_scores_share_the_better_rank() -> None:
    space = LayerTable({(0,): Scores(0.9), (1,): Scores(0.9), (2,): Scores(0.5)})
    assert (space.best_score, space.rank(0.9), space.rank(0.5)) == (0.9, 1, 3)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "there must be a layer"),
        ({(0, 1): Scores(0.5)}, "two choices or more"),
        ({(0, 0): Scores(0.5), (1, 1): Scores(0.5)}, "every combination"),
    ],
)
def test_a_wrong_table_is_explained(scores: dict[Layers, Scores], message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        LayerTable(scores)
