"""
A space of networks that are sequences of layers, with a table of their measured scores.

Every candidate is a whole network of the table. The smallest are uniform: one for each choice, which all layers make. A
child fixes one layer more, in the order of the layers, and leaves those behind as they are, so that what completes a
candidate is one of the uniform networks, and the search finds out which is good for that. The largest candidates have
all layers fixed.

`shuffled` draws the order of the layers and the numbers of the choices anew, so that no search gains by the file's.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from metasearch.errors import InvalidData, InvalidSpec
from metasearch.search.candidates import Candidate
from metasearch.search.encoded_cells import Floats
from metasearch.search.space import Tokens

Layers = tuple[int, ...]
"""The number of the choice made for each layer, from the first."""

BETWEEN = "-"
"""Stands between the layers in texts."""

OPEN = "|"
"""Stands before the first layer that is not fixed in texts."""


@dataclass(frozen=True)
class Scores:
    """The measurements of one network."""

    validation: float
    """The score that a search sees."""
    test: float | None = None
    """The score by which the network found is judged as well, if it is known."""
    cost: float | None = None
    """The network's size, such as its parameters, if it is known."""


@dataclass(frozen=True)
class Network:
    """A candidate."""

    layers: Layers
    """All of them."""
    fixed: int
    """The number of layers that are fixed, from the first; the others are those of a uniform network."""


class LayerTable:
    """A space of layer sequences with the scores of each. Layers may differ in their choices."""

    repeats_across_sizes = True
    continuous: Sequence[str] = ()
    step_width = 1

    def __init__(self, scores: Mapping[Layers, Scores], substitutes: Layers | None = None) -> None:
        """
        Args:
            scores: of every sequence that the choices allow, validation scores in [0, 1]. Every layer has two choices
                or more.
            substitutes: what layers have in the uniform network of a choice that they do not offer; None for their
                first.

        Raises:
            InvalidData: sequences differ in length or are missing, a layer has one choice, or a score is not in [0, 1].
        """
        self.scores = dict(scores)
        self.choices = _choices(self.scores)
        self.max_size = 1 + len(self.choices)
        alphabet = sorted({choice for layer in self.choices for choice in layer})
        substitutes = substitutes or tuple(layer[0] for layer in self.choices)
        self.uniform = [
            tuple(
                choice if choice in offered else other for offered, other in zip(self.choices, substitutes, strict=True)
            )
            for choice in alphabet
        ]
        self._choice_ids = {choice: index for index, choice in enumerate(alphabet)}
        self.vocabulary_size = len(alphabet)
        costs = [each.cost for each in self.scores.values()]
        self._has_costs = None not in costs
        self.size_features: Sequence[int] = [(len(self.choices) + 1) * len(alphabet)] if self._has_costs else []
        self._from_worst = sorted(each.validation for each in self.scores.values())
        tests = [each.test for each in self.scores.values() if each.test is not None]
        self.best_test = max(tests) if len(tests) == len(self.scores) else None
        """The best test score; None where not all are known."""

    def shuffled(self, seed: int) -> LayerTable:
        """Return the same table with its layers in another order and its choices under other numbers."""
        rng = np.random.default_rng([seed, len(self)])
        order = rng.permutation(len(self.choices)).tolist()
        alphabet = sorted({choice for layer in self.choices for choice in layer})
        numbers = dict(zip(alphabet, rng.permutation(len(alphabet)).tolist(), strict=True))
        substitutes = [numbers[rng.choice(self.choices[layer])] for layer in order]
        return LayerTable(
            {tuple(numbers[layers[layer]] for layer in order): scores for layers, scores in self.scores.items()},
            tuple(substitutes),
        )

    # --- the space ---

    def size(self, candidate: Network) -> int:
        return 1 + candidate.fixed

    def smallest(self) -> Sequence[Network]:
        return [Network(layers, 0) for layers in dict.fromkeys(self.uniform)]

    def children(self, candidate: Network) -> Iterable[Network]:
        if candidate.fixed < len(self.choices):
            for choice in self.choices[candidate.fixed]:
                yield Network(_with(candidate.layers, candidate.fixed, choice), candidate.fixed + 1)

    def parents(self, candidate: Network) -> Iterable[Network]:
        layers, fixed = candidate.layers, candidate.fixed
        for uniform in dict.fromkeys(self.uniform) if fixed else ():
            if layers[fixed:] == uniform[fixed:]:
                yield Network((*layers[: fixed - 1], *uniform[fixed - 1 :]), fixed - 1)

    def sample(self, rng: np.random.Generator) -> Network:
        return self._whole(tuple(layer[rng.integers(len(layer))] for layer in self.choices))

    def mutate(self, candidate: Network, rng: np.random.Generator) -> Network:
        """Change one layer, of those that are fixed, to another of its choices."""
        index = int(rng.integers(max(1, candidate.fixed)))
        others = [choice for choice in self.choices[index] if choice != candidate.layers[index]]
        return Network(_with(candidate.layers, index, others[rng.integers(len(others))]), candidate.fixed)

    def neighbours(self, candidate: Network) -> Iterable[Network]:
        return itertools.chain.from_iterable(self.coordinates(candidate))

    def coordinates(self, candidate: Network) -> Sequence[Sequence[Network]]:
        """Return a list for each layer that is fixed: the layer has another choice."""
        return [
            [
                Network(_with(candidate.layers, index, other), candidate.fixed)
                for other in self.choices[index]
                if other != candidate.layers[index]
            ]
            for index in range(candidate.fixed)
        ]

    def everything(self) -> Iterator[Network]:
        return map(self._whole, itertools.product(*self.choices))  # smaller ones are some of the same networks

    def count(self, most: int) -> int:  # noqa: ARG002
        return len(self)

    def variants(self, architecture: str) -> Iterator[Network]:
        yield self.read(Candidate(architecture))

    def key(self, candidate: Network) -> str:
        return BETWEEN.join(map(str, candidate.layers))

    def tokens(self, candidate: Network) -> Tokens:
        """Per layer, fixed or not: its choice. The place tells the layer, since all sequences are of one length."""
        return tuple((self._choice_ids[choice],) for choice in candidate.layers)

    def features(self, candidates: Sequence[Network]) -> Floats:
        """Tell which layer has which choice, and how often each choice occurs, and the logarithm of the cost."""
        choices = np.array([[self._choice_ids[choice] for choice in each.layers] for each in candidates])
        is_chosen = choices[:, :, None] == np.arange(self.vocabulary_size)
        columns = [is_chosen.reshape(len(candidates), -1), is_chosen.sum(1)]
        if self._has_costs:
            columns.append(np.log1p([[self.cost(each)] for each in candidates]))
        return np.column_stack(columns).astype(np.float64)

    def cost(self, candidate: Network) -> float:
        return self.scores[candidate.layers].cost or 0.0

    def write(self, candidate: Network) -> Candidate:
        fixed, free = (BETWEEN.join(map(str, part)) for part in self._parts(candidate))
        return Candidate(f"{fixed}{OPEN}{free}" if free else fixed)

    def read(self, recorded: Candidate) -> Network:
        text = recorded.architecture
        fixed, _, free = text.partition(OPEN)
        try:
            parts = [tuple(map(int, part.split(BETWEEN))) if part else () for part in (fixed, free)]
        except ValueError:
            parts = [(), ()]
        network = Network((*parts[0], *parts[1]), len(parts[0]))
        if network.layers not in self.scores:
            raise InvalidSpec(f'"{text}" is no network of the table; one is "{self.key(self.smallest()[0])}"')
        return network

    def size_text(self, size: int) -> str:
        return f"{size - 1} {'layer' if size == 2 else 'layers'} fixed"

    def _whole(self, layers: Layers) -> Network:
        return Network(layers, len(layers))

    def _parts(self, candidate: Network) -> tuple[Layers, Layers]:
        return candidate.layers[: candidate.fixed], candidate.layers[candidate.fixed :]

    # --- the table ---

    def score(self, candidate: Network) -> float:
        """Return the validation score of a candidate, in [0, 1]."""
        return self.scores[candidate.layers].validation

    def test(self, candidate: Network) -> float | None:
        """Return the test score of a candidate, if it is known."""
        return self.scores[candidate.layers].test

    @property
    def best_score(self) -> float:
        return self._from_worst[-1]

    def rank(self, score: float) -> int:
        """Return the rank of a validation score, 1 for the best of the table; equal scores share the better rank."""
        return 1 + len(self._from_worst) - bisect_right(self._from_worst, score)

    def __len__(self) -> int:
        return len(self._from_worst)


def _with(layers: Layers, index: int, choice: int) -> Layers:
    return (*layers[:index], choice, *layers[index + 1 :])


def _choices(scores: Mapping[Layers, Scores]) -> list[list[int]]:
    """Return the choices of each layer, sorted: all that occur there in any sequence."""
    choices = [sorted(set(layer)) for layer in zip(*scores, strict=False)]
    if not choices or min(map(len, choices)) < 2:
        raise InvalidData("there must be a layer, and each must have two choices or more")
    if len(scores) < prod(map(len, choices)) or len({len(layers) for layers in scores}) > 1:
        raise InvalidData("the table must hold every combination of choices")
    return choices
