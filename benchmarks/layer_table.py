"""
A space of networks that are sequences of layers, with a table of their measured accuracies.

A candidate of size b fixes the first b layers; the layers behind are all of one choice, the filler, so every prefix is
a network of the table. A prefix that ends in the filler is the same network as the prefix without it.
"""

from __future__ import annotations

import itertools
import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from metasearch.errors import InvalidData, InvalidSpec
from metasearch.search.candidates import Candidate
from metasearch.search.encoded_cells import Floats
from metasearch.search.space import Tokens

Layers = tuple[str, ...]
"""The choice made for each layer, from the first; a candidate may end before the last."""


class LayerTable:
    """
    A space of layer sequences with the score of each.

    Layers may differ in their choices, but all of them, the first excepted, must offer the filler.
    """

    repeats_across_sizes = True
    continuous: Sequence[str] = ()
    step_width = 2

    def __init__(
        self,
        scores: Mapping[Layers, float],
        filler: str | None = None,
        separator: str = "",
        costs: Mapping[Layers, float] | None = None,
    ) -> None:
        """
        Args:
            scores: in [0, 1], of every sequence that the choices allow.
            filler: the choice for layers not fixed yet; None for the first, in sorted order, that all layers offer.
            separator: stands between choices in texts; "" needs choices of one character.
            costs: the size of each sequence, if it is known.

        Raises:
            InvalidData: sequences differ in length or are missing, or scores are outside [0, 1].
            InvalidSpec: filler or separator does not suit them.
        """
        self.separator = separator
        self._scores, self._costs = dict(scores), costs
        self.choices = _choices(self._scores, separator)
        self.max_size = len(self.choices)
        self.filler = _filler(self.choices, filler)
        alphabet = sorted({choice for layer in self.choices for choice in layer})
        self._choice_ids = {choice: self.max_size + index for index, choice in enumerate(alphabet)}
        self.vocabulary_size = self.max_size + len(alphabet)
        choices = self.max_size * len(alphabet) + len(alphabet)
        self.size_features: Sequence[int] = [] if costs is None else [choices]
        self._from_worst = sorted(self._scores.values())

    # --- the space ---

    def size(self, candidate: Layers) -> int:
        return len(candidate)

    def smallest(self) -> Sequence[Layers]:
        return [(choice,) for choice in self.choices[0]]

    def children(self, candidate: Layers) -> Iterable[Layers]:
        if len(candidate) < self.max_size:
            for choice in self.choices[len(candidate)]:
                yield (*candidate, choice)

    def parents(self, candidate: Layers) -> Iterable[Layers]:
        if len(candidate) > 1:
            yield candidate[:-1]

    def sample(self, rng: np.random.Generator) -> Layers:
        return tuple(layer[rng.integers(len(layer))] for layer in self.choices)

    def mutate(self, candidate: Layers, rng: np.random.Generator) -> Layers:
        """Change one layer to another of its choices; a candidate whose layers have one choice each stays as it is."""
        open_layers = [index for index, _ in enumerate(candidate) if len(self.choices[index]) > 1]
        if not open_layers:
            return candidate
        index = open_layers[rng.integers(len(open_layers))]
        others = [choice for choice in self.choices[index] if choice != candidate[index]]
        return (*candidate[:index], others[rng.integers(len(others))], *candidate[index + 1 :])

    def neighbours(self, candidate: Layers) -> Iterable[Layers]:
        return itertools.chain.from_iterable(self.coordinates(candidate))

    def coordinates(self, candidate: Layers) -> Sequence[Sequence[Layers]]:
        """Return a list for each layer: the layer has another choice."""
        return [
            [(*candidate[:index], other, *candidate[index + 1 :]) for other in self.choices[index] if other != choice]
            for index, choice in enumerate(candidate)
        ]

    def everything(self) -> Iterator[Layers]:
        return itertools.product(*self.choices)  # a prefix is the same network as the whole that it stands for

    def count(self, most: int) -> int:  # noqa: ARG002
        return len(self)

    def variants(self, architecture: str) -> Iterator[Layers]:
        yield self.read(Candidate(architecture))

    def key(self, candidate: Layers) -> str:
        return self.separator.join(self.padded(candidate))

    def tokens(self, candidate: Layers) -> Tokens:
        """Per layer: its number, its choice."""
        return tuple((layer, self._choice_ids[choice]) for layer, choice in enumerate(candidate))

    def features(self, candidates: Sequence[Layers]) -> Floats:
        """Tell which layer has which choice, and how often each choice occurs, and the logarithm of the cost."""
        choices = np.array([[self._choice_ids[choice] for choice in self.padded(each)] for each in candidates])
        is_chosen = choices[:, :, None] == np.arange(self.max_size, self.vocabulary_size)
        columns = [is_chosen.reshape(len(candidates), -1), is_chosen.sum(1)]
        if self._costs is not None:
            columns.append(np.log1p([[self.cost(each)] for each in candidates]))
        return np.column_stack(columns).astype(np.float64)

    def cost(self, candidate: Layers) -> float:
        return self._costs[self.padded(candidate)] if self._costs else 0.0

    def write(self, candidate: Layers) -> Candidate:
        return Candidate(self.separator.join(candidate))

    def read(self, recorded: Candidate) -> Layers:
        text = recorded.architecture
        candidate = _split(text, self.separator)
        if not 1 <= len(candidate) <= self.max_size:
            raise InvalidSpec(f'"{text}" has {len(candidate)} layers; it may have 1 to {self.max_size}')
        for index, (choice, offered) in enumerate(zip(candidate, self.choices, strict=False)):
            if choice not in offered:
                raise InvalidSpec(f'layer {index} of "{text}" is "{choice}"; it may be one of {", ".join(offered)}')
        return candidate

    def size_text(self, size: int) -> str:
        return f"{size} {'layer' if size == 1 else 'layers'}"

    # --- the table ---

    def padded(self, candidate: Layers) -> Layers:
        """Return the whole sequence that a prefix stands for, its open layers filled with the filler."""
        return (*candidate, *[self.filler] * (self.max_size - len(candidate)))

    def score(self, candidate: Layers) -> float:
        """Return the measured accuracy of a candidate, in [0, 1]."""
        return self._scores[self.padded(candidate)]

    @property
    def best_score(self) -> float:
        return self._from_worst[-1]

    def rank(self, score: float) -> int:
        """Return the rank of a score, 1 for the best of the table; equal scores share the better rank."""
        return 1 + len(self._from_worst) - bisect_right(self._from_worst, score)

    def __len__(self) -> int:
        return len(self._from_worst)


def load(
    path: Path,
    *,
    score_field: str = "mean_acc",
    cost_field: str = "params",
    separator: str = "",
    filler: str | None = None,
) -> LayerTable:
    """
    Read a JSON object of sequences with their scores.

    Either {"021": 93.1, …} or {"021": {"mean_acc": 93.1, "params": 7}, …}. If any score is above 1, all are percent.

    Raises:
        InvalidData: the file cannot be read, or what it holds is no such table.
        InvalidSpec: filler or separator does not suit it.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidData(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(entries, dict):
        raise InvalidData(f"{path} holds no JSON object of sequences and scores")
    try:
        sequences = {text: _split(text, separator) for text in entries}
        scores = {sequences[text]: _number(text, entry, score_field) for text, entry in entries.items()}
        if any(score > 1 for score in scores.values()):
            scores = {sequence: score / 100 for sequence, score in scores.items()}
        known_costs = all(isinstance(entry, dict) and cost_field in entry for entry in entries.values())
        costs = (
            {sequences[text]: _number(text, entry, cost_field) for text, entry in entries.items()}
            if known_costs
            else None
        )
        return LayerTable(scores, filler, separator, costs)
    except InvalidData as error:
        raise InvalidData(f"{path}: {error}") from error


def _number(text: str, entry: object, field: str) -> float:
    value = entry.get(field) if isinstance(entry, dict) else entry
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidData(f'the {field} of sequence "{text}" is {json.dumps(value)}; it must be a finite number')
    return float(value)


def _split(text: str, separator: str) -> Layers:
    return tuple(text.split(separator)) if separator else tuple(text)


def _choices(scores: Mapping[Layers, float], separator: str) -> list[list[str]]:
    """Return the choices of each layer, sorted: all that occur there in any sequence."""
    if not scores:
        raise InvalidData("the table is empty")
    first = next(iter(scores))
    for sequence, score in scores.items():
        if len(sequence) != len(first) or not first:
            raise InvalidData(
                f'sequence "{separator.join(sequence)}" has {len(sequence)} layers and '
                f'"{separator.join(first)}" has {len(first)}; all must have the same number, at least one'
            )
        if not 0 <= score <= 1:
            raise InvalidData(f'the score of sequence "{separator.join(sequence)}" is {score:g}; it must be in [0, 1]')
    choices = [sorted(set(layer)) for layer in zip(*scores, strict=True)]
    for choice in itertools.chain.from_iterable(choices):
        if not choice or (separator in choice if separator else len(choice) > 1):
            raise InvalidSpec(
                f'the choice "{choice}" cannot be told from others in a text with the separator "{separator}"'
            )
    if len(scores) < math.prod(map(len, choices)):
        missing = next(sequence for sequence in itertools.product(*choices) if sequence not in scores)
        raise InvalidData(
            f'sequence "{separator.join(missing)}" is missing; the table must hold every combination of choices'
        )
    return choices


def _filler(choices: Sequence[Sequence[str]], wanted: str | None) -> str:
    common = sorted(set.intersection(*map(set, choices[1:] or choices)))
    if wanted is None and common:
        return common[0]
    if wanted is None or wanted not in common:
        offered = ", ".join(common) or "nothing, so the table cannot be searched by prefixes"
        raise InvalidSpec(f'the filler is "{wanted}"; all layers after the first offer {offered}')
    return wanted
