"""
The file that a search delivers: a trained network's weights, and all it takes to build the network and adapt it.

One safetensors file: a tensor per layer parameter, what else the meta-learner has learned (such as Adam's second
moment, which Reptile's inner loop goes on from) under the learner's name, and a header.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from metasearch.api import Space
from metasearch.errors import InvalidData
from metasearch.search.cells import Cell, cell_from_json, cell_to_json
from metasearch_trainer.checkpoints import write_tensors
from metasearch_trainer.metalearners import build
from metasearch_trainer.metalearners.base import THETA, MetaLearner, State
from metasearch_trainer.network import CellNetwork, cell_network
from metasearch_trainer.parameters import ParameterLayout
from metasearch_trainer.recipe import Recipe

FORMAT = "metasearch-learner/2"


@dataclass(frozen=True)
class Description:
    """The architecture and recipe of a delivered network: enough to build it and its meta-learner again."""

    cell: Cell
    space: Space
    channels: int
    side: int
    """Height and width of an image in pixels."""
    recipe: Recipe

    @property
    def ways(self) -> int:
        """The number of classes of a task."""
        return self.recipe.task.ways

    def network(self) -> CellNetwork:
        """Build the network, without its weights."""
        return cell_network(self.cell, self.space, self.channels, self.side, self.ways)

    def to_json(self) -> dict[str, Any]:
        """Return the description as a file's header has it."""
        return {
            "cell": cell_to_json(self.cell),
            "space": self.space.model_dump(mode="json", by_alias=True),
            "image": {"channels": self.channels, "side": self.side},
            "recipe": self.recipe.model_dump(mode="json", by_alias=True),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Description:
        """Read what `to_json` made."""
        return cls(
            cell=cell_from_json(value["cell"]),
            space=Space.model_validate_json(json.dumps(value["space"])),
            channels=int(value["image"]["channels"]),
            side=int(value["image"]["side"]),
            recipe=Recipe.model_validate_json(json.dumps(value["recipe"])),
        )


@dataclass(frozen=True)
class Delivered:
    """The content of a delivered file."""

    description: Description
    learner: MetaLearner
    state: State


def save_weights(path: Path, description: Description, learner: MetaLearner, state: State) -> None:
    """Write a trained network."""
    prefix = _prefix(description.recipe)
    tensors = learner.network.layout.named(state.theta)
    tensors |= {f"{prefix}{name}": tensor for name, tensor in state.tensors.items() if name != THETA}
    header = {"format": FORMAT, **description.to_json(), "integers": state.integers}
    # One entry, for safetensors writes several in any order, and equal networks would make unequal files.
    write_tensors(tensors, {"learner": json.dumps(header)}, path)


def load_weights(path: Path, device: torch.device) -> Delivered:
    """
    Read a file that `save_weights` wrote.

    Raises:
        InvalidData: it is none, or is of another version's format.
        InvalidSpec: its meta-learner or one of its operations is not installed here.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = json.loads((file.metadata() or {}).get("learner", "{}"))
            if header.get("format") != FORMAT:
                raise InvalidData(f"{path} has the format {header.get('format')!r}; it must be {FORMAT!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            description = Description.from_json(header)
    except (OSError, SafetensorError) as error:
        raise InvalidData(f"{path} cannot be read as safetensors ({error}); export the search again") from error
    except ValidationError as error:
        raise InvalidData(f"{path} was written by another version of MetaSearch; export the search again") from error
    network = description.network()
    state = State(_state_tensors(tensors, network.layout, _prefix(description.recipe)), header["integers"])
    return Delivered(description, build(description.recipe, network, device), state)


def _state_tensors(tensors: dict[str, Tensor], layout: ParameterLayout, prefix: str) -> dict[str, Tensor]:
    """Return a learner's tensors, from those of a file."""
    # In the layout's order: safetensors files do not keep the order in which tensors were given.
    theta = torch.cat([tensors.pop(each.name).flatten() for each in layout.parameters])
    return {THETA: theta} | {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _prefix(recipe: Recipe) -> str:
    """Return the prefix of the names that the meta-learner's own tensors have in a file."""
    return f"{recipe.training.meta_learner}."
