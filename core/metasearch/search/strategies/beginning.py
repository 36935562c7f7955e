"""The candidates that strategies begin with: those of `search.initial`, and random ones that are not known yet."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

import numpy as np

from metasearch.api import MetaSearchSpec
from metasearch.errors import InvalidSpec
from metasearch.search.space import C, Space

REPEATS = 50
"""Draws in a row of what is known before the rest of the space is listed instead."""


def initial(spec: MetaSearchSpec, space: Space[C]) -> list[C]:
    """
    Read the candidates of `spec.search.initial`.

    Raises:
        InvalidSpec: one is not of this space, computes the same as another, or is one more than the budget has trials.
    """
    given, trials = spec.search.initial, spec.budget.max_trials
    if len(given) > trials:
        raise InvalidSpec(f"spec.search.initial has {len(given)} cells; budget.maxTrials allows {trials}")
    found: dict[str, C] = {}
    for index, text in enumerate(given):
        where = f"spec.search.initial[{index}]"
        try:
            candidate = next(space.variants(text))
        except InvalidSpec as error:
            raise InvalidSpec(f"{where} is {text!r}: {error}") from error
        if space.key(candidate) in found:
            raise InvalidSpec(f"{where} is {text!r}, which computes the same as another of them; give each cell once")
        found[space.key(candidate)] = candidate
    return list(found.values())


def initial_first(spec: MetaSearchSpec, space: Space[C], others: Iterable[C]) -> Iterator[C]:
    """Yield the candidates of `spec.search.initial`, then the others without those. Lazy."""
    given = {space.key(each): each for each in initial(spec, space)}
    yield from given.values()
    yield from (each for each in others if space.key(each) not in given)


def draw_untried(space: Space[C], tried: Container[str], rng: np.random.Generator) -> Iterator[C]:
    """
    Yield random candidates of the largest size, then those that are left of the space, none that is tried. Lazy.

    Args:
        tried: keys.
    """
    drawn: set[str] = set()

    def is_new(candidate: C) -> bool:
        key = space.key(candidate)
        if key in tried or key in drawn:
            return False
        drawn.add(key)
        return True

    repeats = 0
    while repeats < REPEATS:
        candidate = space.sample(rng)
        repeats = 0 if is_new(candidate) else repeats + 1
        if not repeats:
            yield candidate
    yield from filter(is_new, space.everything())
