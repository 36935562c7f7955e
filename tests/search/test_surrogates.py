"""Surrogates: exact, repeatable, and better than chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metasearch import api
from metasearch.search.cells import Cell
from metasearch.search.space import CellSpace, Tokens
from metasearch.search.surrogates import BUILT_IN, Candidates, Observations, build
from metasearch.search.surrogates.adam import Adam
from metasearch.search.surrogates.ensemble import Ensemble
from metasearch.search.surrogates.lstm import LSTM
from metasearch.search.surrogates.mlp import EMBEDDING_SIZE, MLP
from metasearch.search.surrogates.prefixes import PrefixTree

SPACE = CellSpace(api.Space().operations, 4)


def random_cells(count: int, seed: int = 0) -> list[Cell]:
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(SPACE.sample(rng) for _ in range(2 * count)))[:count]


def tokens(cells: list[Cell]) -> list[Tokens]:
    return [SPACE.tokens(cell) for cell in cells]


def mixed_lengths() -> list[Tokens]:
    whole = tokens(random_cells(20))
    return [steps[:length] for steps, length in zip(whole, itertools.cycle((1, 2, 3, 4)), strict=False)]


def inputs(cells: list[Cell]) -> Candidates:
    return Candidates(tokens=tokens(cells), features=SPACE.features(cells), parent_scores=np.full(len(cells), np.nan))


def observed(cells: list[Cell], scores: list[float] | None = None) -> Observations:
    """Return observations of the cells; scores are invented where none are given."""
    known = np.array(scores or pretend_scores(cells))
    return Observations(candidates=inputs(cells), scores=known, errors=np.zeros(len(cells)))


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


def test_predictions_are_in_the_scores_own_range() -> None:
    surrogate = build(api.Surrogate(), SPACE)
    cells = random_cells(40)
    predicted = surrogate.fit(observed(cells), seed=(0, 1)).predict(inputs(cells))
    assert min(pretend_scores(cells)) - 0.1 < predicted.min() < predicted.max() < max(pretend_scores(cells)) + 0.1


@pytest.mark.parametrize("count", [1, 2])
def test_very_few_or_equal_scores_are_no_reason_to_fail(count: int) -> None:
    surrogate = build(api.Surrogate(), SPACE)
    cells = random_cells(count)
    predicted = surrogate.fit(observed(cells, [0.5] * count), seed=(0, 1)).predict(inputs(cells))
    assert np.isfinite(predicted).all()


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
