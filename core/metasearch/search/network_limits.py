"""The limits of `search.constraints` on networks, held by arithmetic before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydantic.alias_generators import to_camel

from metasearch import api
from metasearch.search.cell_networks import CellNetworks
from metasearch.search.encoded_cells import Floats
from metasearch.search.network_latency import Images, latencies
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
    max_latency: Floats | None = None
    """In milliseconds."""


def images_of(spec: api.MetaSearchSpec) -> Images:
    """Return the images that limits are computed for."""
    return Images(spec.dataset.image_channels or UNKNOWN_CHANNELS, spec.dataset.image_side or UNKNOWN_SIDE)


class NetworkLimits:
    """The limits of a search on the networks of its candidates."""

    def __init__(self, spec: api.MetaSearchSpec) -> None:
        constraints = spec.search.constraints
        memory, latency = constraints.max_memory, constraints.latency
        self._limits: dict[str, float | None] = {
            "max_parameters": constraints.max_parameters,
            "max_multiply_adds": constraints.max_multiply_adds,
            "max_memory": None if memory is None else memory.bytes,
            "max_latency": None if latency is None else float(latency.max_milliseconds),
        }
        self._table = {} if latency is None else latency.table
        self._task = spec.task
        self._images = images_of(spec)

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
        parameters, multiply_adds, kept_values, milliseconds = (np.empty(len(networks.cells)) for _ in range(4))
        images, ways = self._images, self._task.ways
        for indices, encoded, space in networks.alike():
            sizes = network_sizes(encoded, space, images.channels, images.side, ways)
            parameters[indices] = sizes.parameters
            multiply_adds[indices] = sizes.multiply_adds
            kept_values[indices] = sizes.kept_values
            if self._limits["max_latency"] is not None:
                milliseconds[indices] = latencies(encoded, space, sizes.filters, images, ways, self._table)
        found = Figures(
            parameters, multiply_adds, max_latency=None if self._limits["max_latency"] is None else milliseconds
        )
        if self._limits["max_memory"] is None:
            return found
        # Many share one object, and a search has thousands of candidates with few trainings.
        by_training: dict[int, tuple[api.MetaLearning, list[int]]] = {}
        for index, training in enumerate(trainings()):
            by_training.setdefault(id(training), (training, []))[1].append(index)
        memory = np.empty(len(networks.cells))
        for training, indices in by_training.values():
            memory[indices] = kept_bytes(training.settings, self._task, kept_values[indices], parameters[indices])
        return replace(found, max_memory=memory)

    def admit(self, figures: Figures) -> Booleans:
        """Tell which networks are within all limits, (networks,)."""
        admitted: Booleans = np.logical_and.reduce([numbers <= limit for _, limit, numbers in self._limited(figures)])
        return admitted

    def explain(self, figures: Figures) -> str:
        """Say which limit none of some networks is within."""
        for name, limit, numbers in self._limited(figures):
            if numbers.min() > limit:
                path = "latency.maxMilliseconds" if name == "max_latency" else to_camel(name)
                return (
                    f"spec.search.constraints.{path} is {_text(limit)} and no network of one block has less than "
                    f"{_text(numbers.min())}; it must be more, or spec.space allow smaller networks"
                )
        return (
            "spec.search.constraints are met together by no network of one block; one of them must be more, or "
            "spec.space allow smaller networks"
        )

    def _limited(self, figures: Figures) -> Iterator[tuple[str, float, Floats]]:
        """Yield the name of each limit, its value, and the networks' figures, (networks,)."""
        for name, limit in self._limits.items():
            if limit is not None:
                yield name, limit, getattr(figures, name)


def _text(number: float) -> str:
    """Return a number with four digits at least, and without a fraction where it is whole."""
    return f"{number:,.0f}" if number == round(number) else f"{number:,.4f}"
