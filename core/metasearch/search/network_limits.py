"""The limits of `search.constraints` on networks, held by arithmetic before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic.alias_generators import to_camel

from metasearch import api
from metasearch.search.cell_networks import CellNetworks
from metasearch.search.encoded_cells import Floats
from metasearch.search.network_size import network_sizes
from metasearch.search.training_memory import kept_bytes

Booleans = npt.NDArray[np.bool_]

UNKNOWN_CHANNELS, UNKNOWN_SIDE = 3, 28
"""The images where only the data set itself tells. Colour, so that no network turns out larger than it was taken for;
the side does not matter, for the spec must say it where it would."""


@dataclass(frozen=True)
class Figures:
    """The figures of some networks that limits are for, (networks,) each; None where there is no limit."""

    max_parameters: Floats | None = None
    max_multiply_adds: Floats | None = None
    max_memory: Floats | None = None
    """In bytes."""


class NetworkLimits:
    """The limits of a search on the networks of its candidates."""

    def __init__(self, spec: api.MetaSearchSpec) -> None:
        constraints = spec.search.constraints
        memory = constraints.max_memory
        self._limits = {
            "max_parameters": constraints.max_parameters,
            "max_multiply_adds": constraints.max_multiply_adds,
            "max_memory": None if memory is None else memory.bytes,
        }
        self._task = spec.task
        self._channels = spec.dataset.image_channels or UNKNOWN_CHANNELS
        self._side = spec.dataset.image_side or UNKNOWN_SIDE

    @property
    def are_given(self) -> bool:
        """True where there is any limit."""
        return any(limit is not None for limit in self._limits.values())

    def figures(self, networks: CellNetworks, trainings: Callable[[], Sequence[api.MetaLearning]]) -> Figures:
        """
        Compute what limits are for.

        Args:
            trainings: returns that of each network; not called where memory has no limit.
        """
        parameters, multiply_adds, kept_values = (np.empty(len(networks.cells)) for _ in range(3))
        for indices, encoded, space in networks.alike():
            sizes = network_sizes(encoded, space, self._channels, self._side, self._task.ways)
            parameters[indices] = sizes.parameters
            multiply_adds[indices] = sizes.multiply_adds
            kept_values[indices] = sizes.kept_values
        if self._limits["max_memory"] is None:
            return Figures(parameters, multiply_adds)
        # Many share one object, and a search has thousands of candidates with few trainings.
        by_training: dict[int, tuple[api.MetaLearning, list[int]]] = {}
        for index, training in enumerate(trainings()):
            by_training.setdefault(id(training), (training, []))[1].append(index)
        memory = np.empty(len(networks.cells))
        for training, indices in by_training.values():
            memory[indices] = kept_bytes(training.settings, self._task, kept_values[indices], parameters[indices])
        return Figures(parameters, multiply_adds, memory)

    def admit(self, figures: Figures) -> Booleans:
        """Tell which networks are within all limits, (networks,)."""
        admitted: Booleans = np.logical_and.reduce([numbers <= limit for _, limit, numbers in self._limited(figures)])
        return admitted

    def explain(self, figures: Figures) -> str:
        """Say which limit none of some networks is within."""
        for name, limit, numbers in self._limited(figures):
            if numbers.min() > limit:
                return (
                    f"spec.search.constraints.{to_camel(name)} is {limit:,} and no network of one block has less than "
                    f"{int(numbers.min()):,}; it must be more, or spec.space allow smaller networks"
                )
        return (
            "spec.search.constraints are met together by no network of one block; one of them must be more, or "
            "spec.space allow smaller networks"
        )

    def _limited(self, figures: Figures) -> Iterator[tuple[str, int, Floats]]:
        """Yield the name of each limit, its value, and the networks' figures, (networks,)."""
        for name, limit in self._limits.items():
            if limit is not None:
                yield name, limit, getattr(figures, name)
