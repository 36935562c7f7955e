"""Votes of predictors: against a search of all votes on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metasearch.search.surrogates.votes import best_votes

EVERYTHING = [(a / 50, b / 50, 1 - (a + b) / 50) for a in range(51) for b in range(51 - a)]
"""All votes of three predictors in steps of 2%."""


def error(votes: np.ndarray, residuals: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average((residuals @ votes) ** 2, weights=weights))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_no_other_votes_have_a_smaller_error(seed: int, observations: int) -> None:
    rng = np.random.default_rng(seed)
    residuals = rng.normal(size=(observations, 3)) * rng.uniform(0.1, 3, 3) + rng.normal(size=3)
    weights = rng.uniform(0.1, 5, observations)
    votes = best_votes(residuals, weights)
    assert votes.min() >= 0
    assert votes.sum() == pytest.approx(1)
    least = min(error(np.array(other), residuals, weights) for other in EVERYTHING)
    assert error(votes, residuals, weights) <= least + 1e-9


def test_one_that_is_always_worse_in_the_same_way_has_no_vote() -> None:
    good = np.array([1.0, -1.0, 0.5, -0.5])
    assert best_votes(np.column_stack([good, 3 * good]), np.ones(4)) == pytest.approx([1, 0])


def test_two_independent_ones_vote_by_the_inverse_of_their_variance() -> None:
    # Orthogonal residuals of variances 1 and 4: votes 4/5 and 1/5.
    residuals = np.array([[1.0, 2.0], [1.0, -2.0], [-1.0, 2.0], [-1.0, -2.0]])
    assert best_votes(residuals, np.ones(4)) == pytest.approx([0.8, 0.2])


def test_errors_of_heavier_observations_count_more() -> None:
    residuals = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert best_votes(residuals, np.array([1.0, 3.0])) == pytest.approx([0.75, 0.25])


def test_predictors_that_are_alike_have_equal_votes() -> None:
    residuals = np.array([[0.1, 0.1], [0.3, 0.3]])
    assert best_votes(residuals, np.ones(2)) == pytest.approx([0.5, 0.5])
    assert best_votes(np.zeros((2, 2)), np.ones(2)) == pytest.approx([0.5, 0.5])
