"""Surrogates: exact, repeatable, and better than chance."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metasearch import api
from metasearch.search.cells import Cell, parse_cell
from metasearch.search.space import CellSpace, Tokens
from metasearch.search.surrogates import BUILT_IN, Candidates, Observations, build
from metasearch.search.surrogates.adam import Adam
from metasearch.search.surrogates.ensemble import Ensemble
from metasearch.search.surrogates.lstm import LSTM
from metasearch.search.surrogates.mlp import EMBEDDING_SIZE, MLP
from metasearch.search.surrogates.prefixes import PrefixTree

SPACE = CellSpace(api.Space().operations, 4)
FLAT = "conv3x3(-1)+identity(-2)"
DEEP = "conv3x3({})+identity(-2)"


def random_cells(count: int, seed: int = 0) -> list[Cell]:
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(SPACE.sample(rng) for _ in range(2 * count)))[:count]


def tokens(cells: list[Cell]) -> list[Tokens]:
    return [SPACE.tokens(cell) for cell in cells]


def mixed_lengths() -> list[Tokens]:
    whole = tokens(random_cells(20))
    return [steps[:length] for steps, length in zip(whole, itertools.cycle((1, 2, 3, 4)), strict=False)]


def inputs(cells: list[Cell], parent_scores: list[float] | None = None) -> Candidates:
    return Candidates.of(SPACE, cells, parent_scores or [np.nan] * len(cells))


def observed(cells: list[Cell], scores: list[float] | None = None, **changes: Any) -> Observations:
    """Return observations of the cells in two rounds; scores are invented where none are given."""
    rounds = np.where(np.arange(len(cells)) < len(cells) / 2, 1, 2)
    known = np.array(scores or pretend_scores(cells))
    made = Observations(candidates=inputs(cells), scores=known, errors=np.zeros(len(cells)), rounds=rounds)
    return replace(made, **changes)


def pretend_scores(cells: list[Cell]) -> list[float]:
    """Return scores that a surrogate can learn: convolutions help, depth helps."""
    return [0.3 + 0.02 * SPACE.cost(cell) / 9 + 0.05 * cell.depth for cell in cells]


# --- the models compute what they say ---


@pytest.mark.parametrize("layers", [1, 2])
def test_the_lstm_is_torchs_own(layers: int) -> None:
    model = LSTM(SPACE.vocabulary_size, hidden_size=20, layers=layers)
    weights = [tensor.double() for tensor in model.initial(torch.Generator().manual_seed(0), members=2)]
    candidates = mixed_lengths()
    ours = model.logits(weights, model.prepare(candidates))
    for member in range(2):
        plain = plain_lstm([tensor[member] for tensor in weights], layers)
        expected = torch.stack([plain(torch.tensor(steps).flatten()) for steps in candidates])
        torch.testing.assert_close(ours[member], expected, rtol=0, atol=1e-12)


def plain_lstm(weights: list[torch.Tensor], layers: int):  # type: ignore[no-untyped-def]
    embedding, output = weights[0], weights[-1]
    lstm = torch.nn.LSTM(embedding.shape[1], output.shape[0], layers).double()
    state = {}
    for layer in range(layers):
        inputs, recurrent, bias = weights[1 + 3 * layer : 4 + 3 * layer]
        state |= {f"weight_ih_l{layer}": inputs.T, f"weight_hh_l{layer}": recurrent.T}
        state |= {f"bias_ih_l{layer}": bias[0], f"bias_hh_l{layer}": torch.zeros_like(bias[0])}
    lstm.load_state_dict(state)

    def logit(ids: torch.Tensor) -> torch.Tensor:
        hidden, _ = lstm(embedding[ids])
        return (hidden[-1] @ output).squeeze().detach()

    return logit


def test_the_mlp_averages_embedded_steps() -> None:
    model = MLP(SPACE.vocabulary_size, SPACE.step_width, hidden_size=20, layers=1)
    weights = [tensor.double() for tensor in model.initial(torch.Generator().manual_seed(0), members=1)]
    embedding, weight, bias, output = (tensor[0] for tensor in weights)
    candidates = mixed_lengths()
    ours = model.logits(weights, model.prepare(candidates))[0]
    for steps, logit in zip(candidates, ours, strict=True):
        mean = embedding[torch.tensor(steps)].reshape(len(steps), SPACE.step_width * EMBEDDING_SIZE).mean(0)
        expected = torch.relu(mean @ weight + bias[0]) @ output
        torch.testing.assert_close(logit, expected.squeeze(), rtol=0, atol=1e-7)  # shares are kept in float32


@given(st.lists(st.lists(st.tuples(st.integers(0, 3)), min_size=1, max_size=5), min_size=1, max_size=10))
def test_a_prefix_tree_meets_every_beginning_once_and_loses_no_sequence(sequences: list[list[tuple[int]]]) -> None:
    candidates = [tuple(steps) for steps in sequences]
    tree = PrefixTree.of(candidates, vocabulary_size=4)
    beginnings: list[tuple[tuple[int], ...]] = [()]
    ends: list[tuple[tuple[int], ...]] = []
    for step in tree.steps:
        beginnings = [
            (*beginnings[parent], (token,))
            for parent, token in zip(step.parents.tolist(), step.tokens.tolist(), strict=True)
        ]
        assert len(set(beginnings)) == len(beginnings)
        ends += [beginnings[index] for index in step.ends.tolist()]
    assert [ends[index] for index in tree.order.tolist()] == candidates


# --- the ensemble learns ---


@pytest.mark.parametrize("kind", list(BUILT_IN))
@pytest.mark.parametrize("members", [1, 5])
def test_a_surrogate_ranks_unseen_cells_better_than_chance(kind: str, members: int) -> None:
    surrogate = build(api.Surrogate(type=kind, members=members), SPACE)
    cells = random_cells(160)
    train, unseen = cells[:100], cells[100:]
    predictor = surrogate.fit(observed(train), seed=(0, 1))
    spearman = stats.spearmanr(predictor.predict(inputs(unseen)), pretend_scores(unseen)).statistic
    assert spearman > 0.6  # 60 pairs: chance is above 0.6 once in a million


@pytest.mark.parametrize("kind", list(BUILT_IN))
def test_the_same_data_and_seed_give_the_same_predictions(kind: str) -> None:
    surrogate = build(api.Surrogate(type=kind), SPACE)
    cells = random_cells(30)
    one, other = (surrogate.fit(observed(cells), seed=(3, 1)).predict(inputs(cells)) for _ in "ab")
    np.testing.assert_array_equal(one, other)


def test_a_prediction_does_not_depend_on_what_else_is_predicted() -> None:
    surrogate = Ensemble(LSTM(SPACE.vocabulary_size, 16, 1), members=2, epochs=3)
    cells = random_cells(40)
    predictor = surrogate.fit(observed(cells), seed=(0, 1))
    whole = predictor.predict(inputs(cells))
    np.testing.assert_allclose(predictor.predict(inputs(cells[7:8])), whole[7:8], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["LSTM", "MLP", "Trees"])
def test_predictions_are_in_the_scores_own_range(kind: str) -> None:
    surrogate = build(api.Surrogate(type=kind), SPACE)
    cells = random_cells(40)
    predicted = surrogate.fit(observed(cells), seed=(0, 1)).predict(inputs(cells))
    assert min(pretend_scores(cells)) - 0.1 < predicted.min() < predicted.max() < max(pretend_scores(cells)) + 0.1


@pytest.mark.parametrize("kind", list(BUILT_IN))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_or_equal_scores_are_no_reason_to_fail(kind: str, count: int) -> None:
    surrogate = build(api.Surrogate(type=kind), SPACE)
    cells = random_cells(count)
    predicted = surrogate.fit(observed(cells, [0.5] * count), seed=(0, 1)).predict(inputs(cells))
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("kind", list(BUILT_IN))
def test_every_surrogate_says_what_predicts(kind: str) -> None:
    fitted = build(api.Surrogate(type=kind, members=2), SPACE).fit(observed(random_cells(20)), seed=(0, 1))
    name = "Ridge" if kind == "Stacked" else kind
    assert name in fitted.description
    assert len(fitted.left_out) == 20


# --- what an ensemble of networks learns from ---


def small_ensemble(members: int = 5) -> Ensemble[PrefixTree]:
    return Ensemble(LSTM(SPACE.vocabulary_size, 16, 1), members, epochs=20)


def test_a_score_of_a_large_error_is_hardly_learned_from() -> None:
    cells = random_cells(30)
    scores = pretend_scores(cells)
    wrong = [scores[0] + 0.3, *scores[1:]]

    def moved(error: float) -> float:
        """Return how far one wrong score moves the prediction of its own cell."""
        errors = np.array([error] + [0.001] * 29)
        one, other = (
            small_ensemble(members=1).fit(observed(cells, each, errors=errors), seed=(0,)).predict(inputs(cells[:1]))
            for each in (scores, wrong)
        )
        return abs(float(other[0] - one[0]))

    # The stretch follows the highest score, so a wrong one moves predictions a little, however little it counts.
    assert moved(error=10.0) < moved(error=0.001) / 3


def test_tokens_that_were_never_seen_do_not_enter_as_random_numbers() -> None:
    """Two ids that no observation had are the same to the LSTM and the MLP."""
    one_block = random_cells(30)
    shallow = [Cell(cell.blocks[:1]) for cell in one_block]
    for model in (LSTM(SPACE.vocabulary_size, 16, 1), MLP(SPACE.vocabulary_size, 4, 16, 1)):
        fitted = Ensemble(model, 5, epochs=3).fit(observed(shallow), seed=(0,))
        inputs_0_and_1 = [
            Candidates.of(SPACE, [parse_cell(f"{FLAT} | {FLAT} | {DEEP.format(read)}")], [np.nan]) for read in "01"
        ]
        one, other = map(fitted.predict, inputs_0_and_1)
        assert one == pytest.approx(other, abs=1e-6)


def test_the_parents_score_is_learned_from() -> None:
    cells = random_cells(40)
    parents = np.random.default_rng(0).uniform(0.3, 0.6, 40)
    seen = observed(cells, (parents + 0.1).tolist(), candidates=inputs(cells, parents.tolist()))
    fitted = Ensemble(LSTM(SPACE.vocabulary_size, 16, 1), 5).fit(seen, seed=(0,))
    low, high = fitted.predict(inputs([cells[0]] * 2, [0.35, 0.55]))
    assert high - low > 0.05  # of 0.2 in truth; without parents' scores it would be 0


def test_left_out_predictions_of_an_ensemble_are_of_the_members_that_had_not_seen_the_score() -> None:
    """A score that is changed changes no prediction by which it is judged."""
    cells = random_cells(25)
    scores = pretend_scores(cells)
    errors = np.full(25, 1.0)  # so large that the weights, which all scores decide, are equal in both
    between = [(min(scores) + max(scores)) / 2, *scores[1:]]  # and the stretch is the same
    one, other = (
        small_ensemble().fit(observed(cells, [first, *scores[1:]], errors=errors), seed=(0,)).left_out[0]
        for first in (between[0], between[0] + 0.01)
    )
    # The output bias begins at the logit of the mean of all scores, which one of 25 hardly moves.
    assert one == pytest.approx(other, abs=0.002)


def test_adam_is_torchs_own() -> None:
    generator = torch.Generator().manual_seed(0)
    ours = [torch.rand(3, generator=generator, dtype=torch.float64) for _ in range(2)]
    theirs = [tensor.clone().requires_grad_() for tensor in ours]
    optimizer, reference = Adam(ours), torch.optim.Adam(theirs, lr=0.01)
    for _ in range(5):
        gradients = [torch.rand(3, generator=generator, dtype=torch.float64) - 0.5 for _ in ours]
        optimizer.step(gradients, learning_rate=0.01)
        for tensor, gradient in zip(theirs, gradients, strict=True):
            tensor.grad = gradient
        reference.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=0, atol=1e-12)
