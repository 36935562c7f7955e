"""The quality of a ranking."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from builders import make_result, make_trial
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metasearch.search.confirmation import second_look
from metasearch.search.ranking import RankingQuality, predictions, ranking_quality, spearman_ceiling


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


# --- the ceiling --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measured", "errors", "ceiling"),
    [
        # The variance of these scores is 0.01.
        ([0.5, 0.6, 0.7], [0.06, 0.06, 0.06], 0.8),  # sqrt(1 - 0.0036 / 0.01)
        ([0.5, 0.6, 0.7], [0.02, 0.04, 0.08], 0.72**0.5),  # the mean square is 0.0028
        ([0.5, 0.6, 0.7], [0.1, 0.1, 0.1], 0.0),
        ([0.5, 0.6, 0.7], [0.2, 0.2, 0.2], 0.0),
        ([0.5, 0.6, 0.7], [0.06, 0.06, None], None),
        ([0.5, 0.5, 0.5], [0.06, 0.06, 0.06], None),
        ([0.5, 0.7], [0.06, 0.06], None),
        ([], [], None),
    ],
)
def test_the_ceiling_is_the_root_of_the_share_that_is_not_noise(
    measured: list[float], errors: list[float | None], ceiling: float | None
) -> None:
    found = spearman_ceiling(measured, errors)
    assert found == (None if ceiling is None else pytest.approx(ceiling))


def test_perfect_predictions_reach_the_ceiling_and_no_more() -> None:
    rng = np.random.default_rng(5)
    true = rng.normal(0.5, 0.08, 4_000)
    measured = true + rng.normal(0, 0.06, 4_000)
    ceiling = spearman_ceiling(measured.tolist(), [0.06] * 4_000)
    assert ceiling == pytest.approx(0.8, abs=0.02)
    # For normal distributions Spearman is 6/pi * asin(r / 2) of the linear correlation r: 0.786 of 0.8.
    assert ranking_quality(true.tolist(), measured.tolist()).spearman == pytest.approx(0.786, abs=0.02)


# --- what is compared ---------------------------------------------------------------------------------------------


def test_predictions_of_beginnings_are_never_mixed_with_those_of_whole_trainings() -> None:
    begun = make_trial(
        "a", make_result(0.02, score_error=0.001), predicted=0.03, is_drawn=True, meta_iterations=3, is_beginning=True
    )
    whole = make_trial("b", make_result(0.5), predicted=0.4)
    assert [(each.predicted, each.measured, each.error) for each in predictions([whole, begun])] == [
        (0.03, 0.02, 0.001)
    ]
    (other,) = predictions([whole])
    assert (other.measured, other.error, other.is_drawn, other.complete) == (0.5, None, False, True)


def test_a_second_look_at_a_drawn_candidate_is_not_drawn() -> None:
    first = make_trial("a", make_result(0.5), predicted=0.4, predicted_by="Ridge 100%", is_drawn=True)
    again = second_look(first).spec
    assert (again.seed, again.predicted, again.predicted_by, again.is_drawn) == (1, None, None, False)
