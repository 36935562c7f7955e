"""The space of layer sequences that `benchmarks/search_quality.py` searches."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

import layer_table
import search_quality
from layer_table import Layers, LayerTable
from metasearch import api
from metasearch.errors import InvalidData, InvalidSpec, MetaSearchError
from metasearch.search.candidates import Candidate
from metasearch.search.space import Space


def table(
    choices: Iterable[str] = "012",
    layers: int = 3,
    filler: str | None = None,
    separator: str = "",
    score: Callable[[Layers], float] = lambda _: 0.5,
) -> LayerTable:
    sequences = itertools.product(list(choices), repeat=layers)
    return LayerTable({sequence: score(sequence) for sequence in sequences}, filler, separator)


WORDS = ("conv", "pool", "skip")


def test_rounds_grow_one_layer_at_a_time() -> None:
    space: Space[Layers] = table(layers=2)
    assert space.smallest() == [("0",), ("1",), ("2",)]
    assert list(space.children(("1",))) == [("1", "0"), ("1", "1"), ("1", "2")]
    assert not list(space.children(("1", "0")))


def test_a_prefix_is_the_network_filled_up() -> None:
    space = table(filler="2", score=lambda layers: int("".join(layers)) / 1000)
    assert space.key(("1",)) == space.key(("1", "2")) == space.key(("1", "2", "2")) == "122"
    assert space.score(("1",)) == 0.122
    assert space.key(("1",)) != space.key(("1", "0"))


def test_the_filler_is_the_first_common_choice_unless_named() -> None:
    assert table(WORDS, separator="|").filler == "conv"
    assert table(WORDS, separator="|", filler="skip").filler == "skip"


@pytest.mark.parametrize(("choices", "separator"), [("012", ""), ("ab", "-"), (WORDS, "|"), (("8", "16", "24"), ":")])
def test_texts_read_back(choices: Iterable[str], separator: str) -> None:
    space = table(choices, separator=separator)
    round = list(space.smallest())
    while round:
        assert [space.read(space.write(candidate)) for candidate in round] == round
        round = [child for candidate in round for child in space.children(candidate)]


def test_tokens_name_the_layer_and_the_choice_with_ids_of_their_own() -> None:
    space = table("ab", layers=3)
    assert space.tokens(("b", "a", "b")) == ((0, 4), (1, 3), (2, 4))
    assert space.vocabulary_size == 5


def test_the_size_is_a_feature_where_costs_are_known() -> None:
    scores = {("a", "a"): 0.1, ("a", "b"): 0.2, ("b", "a"): 0.3, ("b", "b"): 0.4}
    costs = {layers: float(2 ** layers.count("b") - 1) for layers in scores}
    space = LayerTable(scores, costs=costs)
    features = space.features([("a",), ("b",), ("b", "b")])
    assert features[:, list(space.size_features)] == pytest.approx(np.log([[1], [2], [4]]))
    assert list(LayerTable(scores).size_features) == []
    assert np.array_equal(features[:, :-1], LayerTable(scores).features([("a",), ("b",), ("b", "b")]))


def test_layers_may_differ_in_their_choices() -> None:
    space = LayerTable({("x", "a"): 0.1, ("y", "a"): 0.2, ("x", "b"): 0.3, ("y", "b"): 0.4})
    assert space.choices == [["x", "y"], ["a", "b"]]
    assert space.key(("y",)) == "ya"


def test_random_networks_are_whole_and_of_every_kind() -> None:
    space = table("ab", layers=3)
    rng = np.random.default_rng(0)
    assert len({space.key(space.sample(rng)) for _ in range(200)}) == len(space) == 8


def test_equal_scores_share_the_better_rank() -> None:
    space = LayerTable({("a",): 0.9, ("b",): 0.9, ("c",): 0.5})
    assert (space.best_score, space.rank(0.9), space.rank(0.5)) == (0.9, 1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0123", '"0123" has 4 layers; it may have 1 to 3'),
        ("", '"" has 0 layers'),
        ("07", 'layer 1 of "07" is "7"; it may be one of 0, 1, 2'),
    ],
)
def test_a_wrong_text_is_explained(text: str, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        table().read(Candidate(text))


# --- files --------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Callable[[object], Path]:
    def write(content: object) -> Path:
        path = tmp_path / "table.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_a_file_may_hold_bare_numbers_or_fields(written: Callable[[object], Path]) -> None:
    bare = layer_table.load(written({"a": 93.5, "b": 12}))
    assert (bare.score(("a",)), bare.score(("b",)), bare.cost(("a",))) == (0.935, 0.12, 0.0)
    fields = layer_table.load(
        written({"a": {"top1": 0.7, "params": 5}, "b": {"top1": 0.6, "params": 9}}), score_field="top1"
    )
    assert (fields.score(("a",)), fields.cost(("b",))) == (0.7, 9.0)


def test_sequences_may_be_separated(written: Callable[[object], Path]) -> None:
    space = layer_table.load(written({"8:8": 1, "8:16": 2, "16:8": 3, "16:16": 4}), separator=":", filler="8")
    assert space.score(space.read(Candidate("16"))) == 0.03


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "holds no JSON object"),
        ({}, "the table is empty"),
        ({"ab": 1, "a": 1}, 'sequence "a" has 1 layers and "ab" has 2'),
        ({"aa": 1, "ab": 1, "ba": 1}, 'sequence "bb" is missing'),
        ({"a": {"top1": 1}}, 'the mean_acc of sequence "a" is null; it must be a finite number'),
        ({"a": "good"}, 'the mean_acc of sequence "a" is "good"'),
        ({"a": float("nan")}, 'the mean_acc of sequence "a" is NaN'),
        ({"a": -3}, 'the score of sequence "a" is -3; it must be in \\[0, 1\\]'),
    ],
)
def test_a_wrong_file_is_explained(written: Callable[[object], Path], content: object, message: str) -> None:
    with pytest.raises(InvalidData, match=message):
        layer_table.load(written(content))


def test_a_file_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="cannot be read"):
        layer_table.load(tmp_path / "no.json")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: table(filler="7"), 'the filler is "7"; all layers after the first offer 0, 1, 2'),
        (lambda: table(WORDS), 'the choice "conv" cannot be told from others'),
        (lambda: LayerTable({("a", "x"): 0.1, ("a", "y"): 0.1, ("b", "x"): 0.1, ("b", "y"): 0.1}, "a"), "offer x, y"),
        (lambda: LayerTable({(): 0.1}), "at least one"),
    ],
)
def test_a_wrong_table_is_explained(build: Callable[[], LayerTable], message: str) -> None:
    with pytest.raises(MetaSearchError, match=message):
        build()


def test_the_copy_of_nas_bench_macro_is_whole() -> None:
    space = layer_table.load(search_quality.NAS_BENCH_MACRO)
    assert (len(space), space.max_size, space.filler) == (6561, 8, "0")
    assert space.best_score == space.score(tuple("22212220")) == pytest.approx(0.931267)
    assert space.cost(tuple("00000000")) == 387_882


# --- searches -----------------------------------------------------------------------------------------------------


def test_a_beam_spends_the_trials_and_reaches_the_last_round() -> None:
    space = table("012", layers=8)
    widths = [search_quality.beam_width(space, trials) for trials in (33, 35, 75, 100, 150)]
    assert widths == [4, 5, 11, 16, 25]


@pytest.mark.parametrize("surrogate", ["LSTM", "MLP"])
def test_a_progressive_search_finds_the_best_of_a_small_table(surrogate: str) -> None:
    space = table(WORDS, layers=4, separator="|", filler="skip", score=lambda layers: layers.count("conv") / 5)
    search = api.Search(
        progressive=api.ProgressiveSearchSettings(beam_width=4),
        surrogate=api.Surrogate(type=surrogate, members=1, hidden_size=16),
    )
    trials = search_quality.run_search(space, search, trials=15, seed=0)
    networks = [trial.spec.candidate.architecture for trial in trials]
    assert len(networks) == len({space.key(space.read(Candidate(each))) for each in networks}) == 15
    assert max(networks, key=lambda each: space.score(space.read(Candidate(each)))) == "conv|conv|conv|conv"
    assert len(search_quality.spearman_by_round(trials)) == 3


def test_a_random_search_tries_different_whole_networks() -> None:
    space = table(layers=3)
    trials = search_quality.run_search(space, api.Search(strategy="Random"), trials=20, seed=0)
    assert len({trial.spec.candidate for trial in trials}) == 20
    assert search_quality.spearman_by_round(trials) == ()


def test_repeats_count_unless_they_are_free() -> None:
    asked = [("a",), ("b",), ("a",), ("c",)]
    assert search_quality.take(iter(asked), 3, free_repeats=False) == asked[:3]
    assert search_quality.take(iter(asked), 3, free_repeats=True) == asked


@pytest.mark.parametrize("method", search_quality.Method)
def test_the_same_seed_finds_the_same(method: search_quality.Method) -> None:
    space = table(layers=3, score=lambda layers: int("".join(layers), 3) / 27)
    task = search_quality.Task(method, trials=6, seed=3)
    first, second = (search_quality.run(space, False, task) for _ in range(2))
    assert (first.regret, first.rank, first.look_ups, first.spearman) == (
        second.regret,
        second.rank,
        second.look_ups,
        second.spearman,
    )


def test_all_networks_of_a_table_are_listed_and_sorted_by_the_layer_that_differs() -> None:
    space = table(WORDS, layers=3, separator="|", filler="skip", score=lambda layers: layers.count("conv") / 5)
    listed = list(space.everything())
    assert len(listed) == len(set(listed)) == len(WORDS) ** 3 == space.count(most=5)
    changes = space.coordinates(listed[0])
    assert [len(each) for each in changes] == [len(WORDS) - 1] * 3
    assert all(sum(map(str.__ne__, other, listed[0])) == 1 for each in changes for other in each)
    assert list(space.variants(space.key(listed[1]))) == [listed[1]]
