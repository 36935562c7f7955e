"""
Ridge regression on figures of candidates, its strength chosen by leaving one candidate out.

It learns from a dozen scores, and what it has learned holds for larger candidates than any that it has seen, where the
figures do. Scores count by what is known of them: one with a standard error of two points counts a quarter of one with
a standard error of one. Left-out errors have a closed form (Golub, Heath and Wahba 1979), so nothing is fitted twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metasearch.search.encoded_cells import Floats

STRENGTHS = tuple(10.0**exponent for exponent in np.arange(-3, 4.01, 0.5))
"""Strengths to choose from, in units of the mean weight of a score; features are standardised."""

FLAT = 1e-9
"""A feature that varies by less is a constant, from which nothing can be learned."""


@dataclass(frozen=True)
class Ridge:
    """A fitted regression."""

    centre: Floats
    scale: Floats
    """Standard deviations of the features, (features,); infinite for those that do not vary."""
    coefficients: Floats
    """Those of standardised features, (features,)."""
    intercept: float
    left_out: Floats
    """The prediction of each candidate were its own score not known, (candidates,); NaN for a single one."""

    def predict(self, features: Floats) -> Floats:
        """Predict scores (candidates,) from features (candidates, features)."""
        predicted: Floats = self.intercept + (features - self.centre) / self.scale @ self.coefficients
        return predicted


def fit_ridge(features: Floats, scores: Floats, weights: Floats) -> Ridge:
    """
    Fit scores to features.

    Args:
        features: (candidates, features).
        scores: (candidates,).
        weights: how much each score counts, (candidates,), positive; as a rule the inverse of its variance.
    """
    weights = weights / weights.mean()
    share = weights / weights.sum()
    centre = share @ features
    deviation = np.sqrt(share @ (features - centre) ** 2)
    scale = np.where(deviation > FLAT, deviation, np.inf)
    intercept = float(share @ scores)
    root = np.sqrt(weights)[:, None]
    standard = root * ((features - centre) / scale)
    target = root[:, 0] * (scores - intercept)
    left, singular, right = np.linalg.svd(standard, full_matrices=False)
    projected = left.T @ target
    best = min((_Fit.of(left, singular, projected, target, share, strength) for strength in STRENGTHS), key=_Fit.error)
    coefficients = right.T @ (singular / (singular**2 + best.strength) * projected)
    left_out = scores - best.residuals / root[:, 0] if len(scores) > 1 else np.full(1, np.nan)
    return Ridge(centre, scale, coefficients, intercept, left_out)


@dataclass(frozen=True)
class _Fit:
    """One strength, and its errors on what was left out."""

    strength: float
    residuals: Floats
    """Weighted left-out residuals, (candidates,)."""

    @classmethod
    def of(
        cls, left: Floats, singular: Floats, projected: Floats, target: Floats, share: Floats, strength: float
    ) -> _Fit:
        kept = singular**2 / (singular**2 + strength)
        residuals = target - left @ (kept * projected)
        # The intercept is fitted too, and takes a candidate's share of its own score.
        leverage = share + (left**2) @ kept
        return cls(strength, residuals / np.maximum(1 - leverage, 1e-6))

    def error(self) -> float:
        """Return the mean square of the left-out residuals."""
        return float(np.mean(self.residuals**2))
