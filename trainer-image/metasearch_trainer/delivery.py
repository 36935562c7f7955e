"""
The file a search hands over: a trained network's weights, and all it takes to build the network and adapt it.

One safetensors file: a tensor per layer parameter, Adam's second moment (the inner loop goes on from it), and a header.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from metasearch.api import MetaSearchSpec, Space
from metasearch.errors import InvalidData
from metasearch.search.cells import Cell, cell_from_json, cell_to_json
from metasearch_trainer.adaptation import Moments
from metasearch_trainer.checkpoints import TrainingState, write_tensors
from metasearch_trainer.network import CellNetwork, Network

FORMAT = "metasearch-learner/1"
SECOND_MOMENT = "adam.second_moment"
STEPS = "adam.steps"


@dataclass(frozen=True)
class Description:
    """How to build a delivered network, and how to adapt it to a task."""

    cell: Cell
    space: Space
    channels: int
    side: int
    ways: int
    learning_rate: float
    inner_steps: int
    inner_batch_size: int

    @classmethod
    def of(cls, spec: MetaSearchSpec, cell: Cell, channels: int, side: int) -> Description:
        return cls(
            cell=cell,
            space=spec.space,
            channels=channels,
            side=side,
            ways=spec.task.ways,
            learning_rate=float(spec.training.inner_learning_rate),
            inner_steps=spec.evaluation.inner_steps,
            inner_batch_size=spec.evaluation.inner_batch_size,
        )

    def network(self) -> CellNetwork:
        return CellNetwork(self.cell, self.space, self.channels, self.side, self.ways)

    def to_json(self) -> dict[str, Any]:
        return {
            "cell": cell_to_json(self.cell),
            "space": self.space.model_dump(mode="json", by_alias=True),
            "image": {"channels": self.channels, "side": self.side},
            "ways": self.ways,
            "adaptation": {
                "learningRate": self.learning_rate,
                "innerSteps": self.inner_steps,
                "innerBatchSize": self.inner_batch_size,
            },
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Description:
        adaptation = value["adaptation"]
        return cls(
            cell=cell_from_json(value["cell"]),
            space=Space.model_validate_json(json.dumps(value["space"])),
            channels=int(value["image"]["channels"]),
            side=int(value["image"]["side"]),
            ways=int(value["ways"]),
            learning_rate=float(adaptation["learningRate"]),
            inner_steps=int(adaptation["innerSteps"]),
            inner_batch_size=int(adaptation["innerBatchSize"]),
        )


@dataclass(frozen=True)
class Delivered:
    """What is in a file."""

    description: Description
    network: Network
    theta: Tensor
    """(size,)"""
    moments: Moments


def save_weights(
    path: Path, description: Description, network: Network, state: TrainingState, keeps_moments: bool
) -> None:
    """Write a trained network."""
    moments = state.moments if keeps_moments else Moments.zero(state.theta)
    tensors = network.layout.named(state.theta.detach())
    tensors |= {SECOND_MOMENT: moments.second, STEPS: moments.steps}
    # One entry, for safetensors writes several in any order, and equal networks would make unequal files.
    write_tensors(tensors, {"learner": json.dumps({"format": FORMAT, **description.to_json()})}, path)


def load_weights(path: Path, device: torch.device) -> Delivered:
    """Read a file that `save_weights` wrote; raises InvalidData where it is none."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            learner = json.loads((file.metadata() or {}).get("learner", "{}"))
            if learner.get("format") != FORMAT:
                raise InvalidData(f"{path} has the format {learner.get('format')!r}; it must be {FORMAT!r}")
            description = Description.from_json(learner)
            network = description.network()
            theta = torch.cat([file.get_tensor(each.name).flatten() for each in network.layout.parameters])
            return Delivered(
                description, network, theta, Moments(file.get_tensor(SECOND_MOMENT), file.get_tensor(STEPS))
            )
    except (OSError, SafetensorError) as error:
        raise InvalidData(f"{path} cannot be read as safetensors ({error}); export the search again") from error
