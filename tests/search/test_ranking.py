"""How well a level was ranked."""

from __future__ import annotations

import pytest

from metasearch.search.ranking import RankingQuality, ranking_quality


def test_a_perfect_ranking() -> None:
    assert ranking_quality([1, 2, 3, 4], [10, 20, 30, 40]) == RankingQuality(1.0, 1.0, 1.0)


def test_a_reversed_ranking() -> None:
    quality = ranking_quality([4, 3, 2, 1], [10, 20, 30, 40])
    assert (quality.spearman, quality.kendall, quality.top_recall) == (pytest.approx(-1), pytest.approx(-1), 0.0)


def test_known_values() -> None:
    """Spearman 1 - 6 * 4 / (5 * 24), Kendall (8 - 2) / 10, and one of the best two found: by hand."""
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
