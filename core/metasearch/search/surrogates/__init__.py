"""
Surrogates: they predict the scores of untried candidates from those of tried ones. One file each, one line in
`BUILT_IN`. Of the search core only this package uses torch and scikit-learn, and only once there is something to learn.

Other packages add theirs through the entry point group `metasearch.surrogates`; docs/extending.md shows how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from metasearch import api
from metasearch.extensions import Group, deferred, find
from metasearch.search.space import Space
from metasearch.search.surrogates.base import Candidates, Observations, Predictor, Surrogate

__all__ = ["BUILT_IN", "Builder", "Candidates", "Observations", "Predictor", "Surrogate", "build", "factory"]

Builder = Callable[[api.Surrogate, Space[Any]], Surrogate]
"""Makes a surrogate from its settings and the space, whose `vocabulary_size` and `step_width` tokens have."""

# Deferred, for importing torch takes a second and half a gigabyte, which those who only look need not pay.
BUILT_IN: Mapping[str, Builder] = {
    "LSTM": deferred("metasearch.search.surrogates.lstm:build"),
    "MLP": deferred("metasearch.search.surrogates.mlp:build"),
    "Ridge": deferred("metasearch.search.surrogates.ridge:build"),
    "Trees": deferred("metasearch.search.surrogates.boosted_trees:build"),
    "Stacked": deferred("metasearch.search.surrogates.stacked:build"),
}


def build(surrogate: api.Surrogate, space: Space[Any]) -> Surrogate:
    """
    Build the surrogate that `spec.search.surrogate` describes, for a space's tokens.

    Raises:
        InvalidSpec: no such surrogate is known here.
    """
    return find(Group.SURROGATES, surrogate.type, BUILT_IN, "spec.search.surrogate.type")(surrogate, space)


def factory(surrogate: api.Surrogate, space: Space[Any]) -> Callable[[], Surrogate]:
    """Return a function that builds the surrogate when it is needed."""
    return lambda: build(surrogate, space)
