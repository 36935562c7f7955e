"""Trees, the simple predictors, and the surrogate in which several kinds vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from metasearch import api
from metasearch.search.space import CellSpace
from metasearch.search.surrogates import Candidates, Observations, Predictor, Surrogate, boosted_trees, stacked
from metasearch.search.surrogates.boosted_trees import TreesSurrogate
from metasearch.search.surrogates.ridge import RidgeSurrogate
from metasearch.search.surrogates.score_weights import score_weights
from metasearch.search.surrogates.simple_predictors import ParentScore, Size, fit_simple_predictors
from metasearch.search.surrogates.stacked import Kind, Stacked

SIZE = 4
"""The feature that is the size."""


def candidates(count: int, seed: int = 0, parents: Sequence[float] | None = None) -> Candidates:
    """Make candidates of five random features, the last of which is a size."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, SIZE + 1))
    return Candidates(
        tokens=[((index % 4,),) for index in range(count)],
        features=features,
        sizes=features[:, SIZE:],
        parent_scores=np.full(count, np.nan) if parents is None else np.array(parents),
    )


def true_scores(candidates: Candidates) -> np.ndarray:
    return 0.5 + 0.05 * candidates.features[:, 0] - 0.03 * candidates.features[:, 1]


def observations(count: int = 40, noise: float = 0.003, **changes: Any) -> Observations:
    """Return observations in two rounds of equal length, whose scores are linear in features."""
    seen = candidates(count, parents=changes.pop("parents", None))
    scores = true_scores(seen) + noise * np.random.default_rng(1).normal(size=count)
    rounds = np.where(np.arange(count) < count // 2, 1, 2)
    return replace(Observations(candidates=seen, scores=scores, errors=np.zeros(count), rounds=rounds), **changes)


class Fixed:
    """A surrogate and predictor that has fixed left-out predictions, and a function to predict by."""

    description = "fixed"

    def __init__(self, left_out: np.ndarray, predict: Any = None) -> None:
        self.left_out, self._predict = left_out, predict
        self.read = 0

    def fit(self, observations: Observations, seed: Sequence[int]) -> Predictor:  # noqa: ARG002
        return self

    def predict(self, candidates: Candidates) -> np.ndarray:
        self.read += len(candidates)
        values: np.ndarray = self._predict(candidates)
        return values


def noise_kind(seen: Observations) -> Kind:
    """A kind that knows nothing: its predictions are as far from the scores as the scores are from each other."""
    rng = np.random.default_rng(7)
    fixed = Fixed(0.5 + 0.06 * rng.normal(size=len(seen)), lambda each: np.zeros(len(each)))
    return Kind("Noise", fixed)


def ridge_kind() -> Kind:
    return Kind("Ridge", RidgeSurrogate(), extrapolates=True)


# --- trees ---


def test_left_out_predictions_of_trees_are_those_of_fits_without() -> None:
    seen = observations(23, errors=np.linspace(0.001, 0.02, 23))
    fitted = TreesSurrogate().fit(seen, seed=(5, 2))
    rng = np.random.default_rng([5, 2])
    state, folds = int(rng.integers(2**31)), rng.permutation(23) % boosted_trees.FOLDS
    features = np.column_stack([seen.candidates.features, np.zeros(23)])
    weights = score_weights(seen) / 1.0
    for index in range(23):
        kept = folds != folds[index]
        again = GradientBoostingRegressor(n_estimators=100, max_depth=2, learning_rate=0.1, random_state=state)
        again.fit(features[kept], seen.scores[kept], sample_weight=weights[kept] / weights[kept].mean())
        assert fitted.left_out[index] == pytest.approx(again.predict(features[index : index + 1])[0], abs=1e-12)


def test_a_score_that_changes_does_not_change_its_left_out_prediction_by_trees() -> None:
    # Errors so large that all scores count alike, whatever they are.
    seen = observations(30, errors=np.full(30, 10.0))
    changed = replace(seen, scores=seen.scores + np.eye(30)[4] * 0.2)
    one, other = (TreesSurrogate().fit(each, seed=(0,)).left_out for each in (seen, changed))
    assert one[4] == pytest.approx(other[4], abs=1e-9)
    assert not np.allclose(one, other, atol=1e-4)


def test_trees_hardly_learn_from_a_score_of_a_large_error() -> None:
    seen = observations(30)
    wrong = seen.scores + np.eye(30)[4] * 0.3

    def moved(error: float) -> float:
        errors = np.where(np.arange(30) == 4, error, 0.001)
        one, other = (
            TreesSurrogate().fit(replace(seen, scores=scores, errors=errors), seed=(0,)).predict(seen.candidates)
            for scores in (seen.scores, wrong)
        )
        return float(abs(other - one)[4])

    assert moved(error=10.0) < moved(error=0.001) / 10


def test_trees_see_what_is_not_linear() -> None:
    seen = candidates(200)
    both = Observations(
        candidates=seen,
        scores=0.5 + 0.1 * (seen.features[:, 0] * seen.features[:, 1] > 0),
        errors=np.zeros(200),
        rounds=np.ones(200, dtype=np.int64),
    )
    unseen = candidates(200, seed=9)
    truth = unseen.features[:, 0] * unseen.features[:, 1] > 0
    predicted = TreesSurrogate().fit(both, seed=(0,)).predict(unseen)
    assert np.mean((predicted > 0.55) == truth) > 0.85
    by_line = RidgeSurrogate().fit(both, seed=(0,)).predict(unseen)
    assert np.mean((by_line > np.median(by_line)) == truth) < 0.65


# --- the simple predictors ---


def test_where_no_parent_was_known_a_child_is_worth_what_its_parent_is() -> None:
    seen = observations(12)
    fitted, _ = fit_simple_predictors(seen, np.ones(12))
    assert fitted.predict(candidates(3, parents=[0.2, 0.4, 0.9])).tolist() == [0.2, 0.4, 0.9]
    assert fitted.predict(candidates(1))[0] == pytest.approx(seen.scores.mean())
    without = [np.delete(seen.scores, index).mean() for index in range(12)]
    assert fitted.left_out == pytest.approx(without)


def test_children_that_gain_alike_are_predicted_to_gain_alike() -> None:
    parents = np.linspace(0.3, 0.6, 10)
    seen = observations(10, parents=parents, scores=parents + 0.05)
    fitted = ParentScore.fit(seen, np.ones(10))
    assert fitted.predict(candidates(1, parents=[0.5]))[0] == pytest.approx(0.55)
    assert fitted.left_out == pytest.approx(seen.scores)


def test_scores_without_a_parent_are_not_compared_with_those_that_have_one() -> None:
    seen = observations(6, parents=[np.nan] * 3 + [0.5, 0.6, 0.7], scores=np.array([0.1, 0.2, 0.3, 0.5, 0.6, 0.7]))
    fitted = ParentScore.fit(seen, np.ones(6))
    assert fitted.left_out == pytest.approx([0.25, 0.2, 0.15, 0.5, 0.6, 0.7])
    assert fitted.predict(candidates(2, parents=[np.nan, 0.4])) == pytest.approx([0.2, 0.4])


def test_the_size_alone_is_a_line_in_the_logarithm_of_sizes() -> None:
    seen = observations(20)
    scores = 0.4 + 0.02 * seen.candidates.sizes[:, 0]
    fitted = Size.fit(replace(seen, scores=scores), np.ones(20))
    unseen = candidates(5, seed=3)
    assert fitted.predict(unseen) == pytest.approx(0.4 + 0.02 * unseen.sizes[:, 0], abs=1e-3)


def test_where_no_size_is_known_all_have_the_mean() -> None:
    seen = observations(8)
    bare = replace(seen, candidates=replace(seen.candidates, sizes=np.empty((8, 0))))
    fitted = Size.fit(bare, np.ones(8))
    predicted = fitted.predict(replace(candidates(2), sizes=np.empty((2, 0))))
    assert predicted == pytest.approx([seen.scores.mean()] * 2)


# --- votes ---


def test_a_kind_of_pure_noise_loses_its_vote_and_the_description_says_so() -> None:
    seen = observations()
    fitted = Stacked([noise_kind(seen), ridge_kind()]).fit(seen, seed=(0,))
    assert fitted.description.startswith("Ridge 100%; Noise lost its vote: no better than the ")
    assert fitted.description.endswith(" on the last round")
    alone = RidgeSurrogate().fit(seen, seed=(0,))
    unseen = candidates(10, seed=4)
    assert fitted.predict(unseen).tolist() == alone.predict(unseen).tolist()
    assert fitted.left_out.tolist() == alone.left_out.tolist()


def test_only_the_last_round_decides_who_votes() -> None:
    seen = observations()
    is_last = seen.rounds == 2
    once_good = Kind("Once", Fixed(np.where(is_last, 0.9, seen.scores), lambda each: np.zeros(len(each))))
    now_good = Kind("Now", Fixed(np.where(is_last, seen.scores, 0.9), lambda each: np.ones(len(each))))
    fitted = Stacked([once_good, now_good]).fit(seen, seed=(0,))
    assert fitted.description.startswith("Now 100%; Once lost its vote")


def test_a_short_last_round_is_judged_together_with_the_round_before() -> None:
    seen = observations(40, rounds=np.repeat([1, 2, 3], [20, 17, 3]))
    wrong_in_the_last = np.where(seen.rounds == 3, seen.scores + 0.05, seen.scores)
    fitted = Stacked([Kind("Wrong", Fixed(wrong_in_the_last, true_scores))]).fit(seen, seed=(0,))
    assert fitted.description == "Wrong 100%"


def test_scores_of_large_errors_hardly_decide_who_votes() -> None:
    seen = observations()
    is_last = seen.rounds == 2
    wrong = np.flatnonzero(is_last)[:5]
    left_out = seen.scores.copy()
    left_out[wrong] += 0.3
    kind = Kind("Mostly", Fixed(left_out, true_scores))
    assert "lost its vote" in Stacked([kind]).fit(seen, seed=(0,)).description
    errors = np.where(np.isin(np.arange(40), wrong), 5.0, 0.001)
    assert Stacked([kind]).fit(replace(seen, errors=errors), seed=(0,)).description == "Mostly 100%"


def test_in_the_first_round_only_what_extrapolates_votes_and_nothing_else_is_fitted() -> None:
    class Unused:
        def fit(self, observations: Observations, seed: Sequence[int]) -> Predictor:
            raise AssertionError(observations, seed)

    seen = observations(rounds=np.ones(40, dtype=np.int64))
    fitted = Stacked([Kind("LSTM", Unused()), ridge_kind()]).fit(seen, seed=(0,))
    assert fitted.description == "Ridge 100%; LSTM lost its vote: all scores are of one round"


def test_where_all_lose_the_best_simple_predictor_counts_half() -> None:
    parents = np.linspace(0.3, 0.6, 40)
    seen = observations(parents=parents, scores=parents + 0.02)
    poor = Kind("Poor", Fixed(np.full(40, 0.9), lambda each: np.full(len(each), 0.1)), extrapolates=True)
    fitted = Stacked([poor]).fit(seen, seed=(0,))
    expected = (
        "Poor 50%, the parent's score 50%; Poor lost its vote: no better than the parent's score on the last round"
    )
    assert fitted.description == expected
    assert fitted.predict(candidates(1, parents=[0.5]))[0] == pytest.approx((0.1 + 0.52) / 2)


def test_a_kind_that_left_nothing_out_has_no_vote() -> None:
    seen = observations()
    silent = Kind("Silent", Fixed(np.full(40, np.nan), true_scores))
    fitted = Stacked([silent, ridge_kind()]).fit(seen, seed=(0,))
    assert fitted.description == "Ridge 100%; Silent lost its vote: it has left out no score to be judged by"


# --- slow kinds ---


def slow_and_fast(seen: Observations, slow: Fixed) -> Stacked:
    """Return a stack of two kinds whose votes are one half each."""
    shift = 0.001 * np.where(np.arange(len(seen)) % 2, 1, -1)
    slow.left_out = seen.scores + shift
    fast = Fixed(seen.scores - shift * 1.0, lambda each: each.features[:, 0])
    return Stacked([Kind("Slow", slow, is_slow=True), Kind("Fast", fast)])


def test_a_slow_kind_reads_the_best_and_a_sample_and_the_rest_by_a_line() -> None:
    seen = observations()
    slow = Fixed(seen.scores, lambda each: 3 + 2 * each.features[:, 0])  # a line, so nothing is lost
    fitted = slow_and_fast(seen, slow).fit(seen, seed=(0,))
    many = candidates(20_000, seed=2)
    assert fitted.predict(many) == pytest.approx(0.5 * many.features[:, 0] + 0.5 * (3 + 2 * many.features[:, 0]))
    assert slow.read == stacked.READ_BEST + stacked.READ_SAMPLE


def test_what_a_slow_kind_says_of_the_best_counts_for_each_of_them() -> None:
    seen = observations()
    slow = Fixed(seen.scores, lambda each: each.features[:, 1])
    fitted = slow_and_fast(seen, slow).fit(seen, seed=(0,))
    many = candidates(20_000, seed=2)
    best = np.argsort(-many.features[:, 0])[: stacked.READ_BEST]
    whole = 0.5 * many.features[:, 0] + 0.5 * many.features[:, 1]
    assert fitted.predict(many)[best] == pytest.approx(whole[best])
    few = candidates(stacked.READ_BEST + stacked.READ_SAMPLE, seed=2)
    assert fitted.predict(few) == pytest.approx(0.5 * few.features[:, 0] + 0.5 * few.features[:, 1])


# --- the whole ---


def test_the_default_surrogate_predicts_larger_cells_from_one_block_cells_and_says_by_whom() -> None:
    space = CellSpace(api.Space().operations, 3)
    cells = list(space.smallest())
    scores = 0.2 + 0.02 * np.array([space.cost(cell) for cell in cells]) / 9
    seen = Observations(
        candidates=Candidates.of(space, cells, [np.nan] * len(cells)),
        scores=scores,
        errors=np.full(len(cells), 0.01),
        rounds=np.ones(len(cells), dtype=np.int64),
    )
    surrogate: Surrogate = stacked.build(api.Surrogate(), space)
    fitted = surrogate.fit(seen, seed=(0, 1))
    assert fitted.description.startswith("Ridge 100%; LSTM lost its vote")
    rng = np.random.default_rng(0)
    larger = [space.sample(rng) for _ in range(100)]
    predicted = fitted.predict(Candidates.of(space, larger, [np.nan] * 100))
    assert np.corrcoef(predicted, [space.cost(cell) for cell in larger])[0, 1] > 0.8
