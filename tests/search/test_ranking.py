"""The quality of a ranking."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metasearch.search.ranking import RankingQuality, ranking_quality


def test_a_perfect_ranking() -> None:
    assert ranking_quality([1, 2, 3, 4], [10, 20, 30, 40]) == RankingQuality(1.0, 1.0, 1.0)


def test_a_reversed_ranking() -> None:
    quality = ranking_quality([4, 3, 2, 1], [10, 20, 30, 40])
    assert (quality.spearman, quality.kendall, quality.top_recall) == (pytest.approx(-1), pytest.approx(-1), 0.0)


def test_known_values() -> None:
    """Computed by hand: Spearman 1 - 6 * 4 / (5 * 24), Kendall (8 - 2) / 10, and one of the best two found."""
    quality = ranking_quality([1, 2, 3, 4, 5], [2, 1, 3, 5, 4])
    assert quality.spearman == pytest.approx(0.8)
    assert quality.kendall == pytest.approx(0.6)
    assert quality.top_recall == 1.0


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.6]])
def test_too_few_candidates_say_nothing(scores: list[float]) -> None:
    assert ranking_quality(scores, scores) == RankingQuality(None, None, None)


def test_predictions_that_all_tie_have_no_correlation() -> None:
    quality = ranking_quality([0.5, 0.5, 0.5], [1, 2, 3])
    assert (quality.spearman, quality.kendall) == (None, None)


SCORES = st.floats(0, 1) | st.sampled_from([0.0, 0.25, 0.5, 1.0])  # ties, too


@settings(max_examples=500)
@given(st.lists(st.tuples(SCORES, SCORES), min_size=3, max_size=60))
def test_correlations_are_those_of_scipy_to_the_last_digit(pairs: list[tuple[float, float]]) -> None:
    predicted, measured = zip(*pairs, strict=True)
    quality = ranking_quality(predicted, measured)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        expected = stats.spearmanr(predicted, measured).statistic, stats.kendalltau(predicted, measured).statistic
    found = [np.nan if value is None else value for value in (quality.spearman, quality.kendall)]
    np.testing.assert_array_equal(found, expected)
