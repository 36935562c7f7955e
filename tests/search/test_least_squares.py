"""Ridge regression: its closed forms against fitting again and again."""

from __future__ import annotations

import numpy as np
import pytest

from metasearch.search.surrogates.least_squares import fit_ridge


def problem(candidates: int = 20, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(candidates, 4)) * [1, 10, 0.1, 0] + [0, 5, 0, 3]
    return features, 0.5 + features @ [0.3, -0.02, 1.0, 0.0] + noise * rng.normal(size=candidates)


def test_what_is_linear_is_learned_and_holds_beyond_what_was_seen() -> None:
    features, scores = problem(noise=0.0)
    fitted = fit_ridge(features, scores, np.ones(len(scores)))
    far = np.array([[8.0, 90.0, 1.0, 3.0]])
    assert fitted.predict(far)[0] == pytest.approx(0.5 + far[0] @ [0.3, -0.02, 1.0, 0.0], abs=0.05)


def test_a_feature_that_never_varied_says_nothing_where_it_does() -> None:
    features, scores = problem()
    fitted = fit_ridge(features, scores, np.ones(len(scores)))
    changed = features + np.array([0, 0, 0, 100])
    assert np.array_equal(fitted.predict(changed), fitted.predict(features))


def test_a_score_of_twice_the_weight_counts_as_two() -> None:
    features, scores = problem()
    weights = np.where(np.arange(20) < 5, 2.0, 1.0)
    doubled = fit_ridge(np.vstack([features, features[:5]]), np.concatenate([scores, scores[:5]]), np.ones(25))
    weighted = fit_ridge(features, scores, weights)
    # Leaving out one of two copies is less than leaving out both, so the strengths may differ: compared is the rest.
    assert np.corrcoef(doubled.predict(features), weighted.predict(features))[0, 1] > 0.999


def test_left_out_predictions_are_close_to_those_of_fits_without() -> None:
    """The closed form keeps the standardisation of all candidates; otherwise it is exact."""
    features, scores = problem(noise=0.3)
    fitted = fit_ridge(features, scores, np.ones(20))
    again = []
    for index in range(20):
        rest = np.arange(20) != index
        again.append(fit_ridge(features[rest], scores[rest], np.ones(19)).predict(features[index : index + 1])[0])
    assert np.corrcoef(fitted.left_out, again)[0, 1] > 0.99
    assert np.abs(fitted.left_out - again).max() < np.abs(scores - scores.mean()).max() / 10


def test_noise_is_not_learned() -> None:
    rng = np.random.default_rng(1)
    features, scores = rng.normal(size=(30, 12)), rng.normal(size=30)
    fitted = fit_ridge(features, scores, np.ones(30))
    unseen = fitted.predict(rng.normal(size=(500, 12)))
    assert unseen.std() < scores.std() / 3


def test_one_score_is_predicted_for_all() -> None:
    fitted = fit_ridge(np.array([[1.0, 2.0]]), np.array([0.4]), np.array([5.0]))
    assert fitted.predict(np.array([[7.0, -3.0]])).tolist() == [0.4]
