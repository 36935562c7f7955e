"""
The networks and the Reptile step written the usual way: one nn.Module per task, deepcopy, torch.optim.Adam.

trainer_speed.py measures our speed against it, and tests/trainer/test_equality.py our results.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metasearch.api import Concat, Operation, Space
from metasearch.search.cells import Cell


class ConvNormRelu(nn.Sequential):
    def __init__(self, channels: int, filters: int, kernel: tuple[int, int], stride: int = 1) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2)
        super().__init__(
            nn.Conv2d(channels, filters, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(filters, track_running_stats=False),
            nn.ReLU(),
        )


def operation(name: str, filters: int, stride: int) -> nn.Module:
    match Operation(name):
        case Operation.CONV_3X3:
            return ConvNormRelu(filters, filters, (3, 3), stride)
        case Operation.CONV_5X5:
            return nn.Sequential(ConvNormRelu(filters, filters, (1, 5), stride), ConvNormRelu(filters, filters, (5, 1)))
        case Operation.MAX_POOL_3X3:
            return nn.MaxPool2d(3, stride, padding=1)
        case Operation.AVG_POOL_3X3:
            return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        case Operation.IDENTITY:
            return nn.Identity() if stride == 1 else ConvNormRelu(filters, filters, (1, 1), stride)
    raise ValueError(f"the plain form has no {name}")


class CellModule(nn.Module):
    def __init__(self, cell: Cell, channels: dict[int, int], shrink: dict[int, int], filters: int, stride: int) -> None:
        super().__init__()
        self.cell = cell
        self.adapters = nn.ModuleDict(
            {str(i): ConvNormRelu(channels[i], filters, (1, 1), shrink[i]) for i in (-2, -1) if i in cell.inputs}
        )
        self.branches = nn.ModuleList(
            operation(branch.operation, filters, stride if branch.input < 0 else 1)
            for block in cell.blocks
            for branch in block
        )

    def forward(self, before_previous: Tensor, previous: Tensor) -> list[Tensor]:
        outer = {-2: before_previous, -1: previous}
        values = {int(i): adapter(outer[int(i)]) for i, adapter in self.adapters.items()}
        for index, block in enumerate(self.cell.blocks):
            first, second = self.branches[2 * index : 2 * index + 2]
            values[index] = first(values[block.first.input]) + second(values[block.second.input])
        return [values[index] for index in range(len(self.cell))]


class PlainNetwork(nn.Module):
    """The network of one task, with the parameters in the order of `CellNetwork`."""

    def __init__(self, cell: Cell, space: Space, channels: int, side: int, ways: int) -> None:
        super().__init__()
        self.stem = ConvNormRelu(channels, space.filters, (3, 3))
        self.kept = range(len(cell)) if space.concat is Concat.ALL else cell.unused
        self.cells = nn.ModuleList()
        widths, sides = [space.filters] * 2, [side] * 2
        filters = space.filters
        for stride in ([1] * space.repeats + [2]) * space.reductions + [1] * space.repeats:
            filters *= space.filter_scale if stride == 2 else 1
            shrink = {-2: 2 if sides[0] > sides[1] else 1, -1: 1}
            self.cells.append(CellModule(cell, {-2: widths[0], -1: widths[1]}, shrink, filters, stride))
            widths = [widths[1], filters * len(self.kept)]
            sides = [sides[1], -(-sides[1] // stride)]
        self.head = nn.Linear(widths[1], ways)

    def forward(self, x: Tensor) -> Tensor:
        previous = before_previous = self.stem(x)
        for module in self.cells:
            outputs = module(before_previous, previous)
            before_previous, previous = previous, torch.cat([outputs[index] for index in self.kept], dim=1)
        logits: Tensor = self.head(previous.mean(dim=(2, 3)))
        return logits


def load_flat(module: nn.Module, flat: Tensor) -> None:
    """Copy a flat parameter vector into a module whose parameters come in the same order."""
    sizes = [parameter.numel() for parameter in module.parameters()]
    with torch.no_grad():
        for parameter, piece in zip(module.parameters(), torch.split(flat, sizes), strict=True):
            parameter.copy_(piece.view_as(parameter))


def flat(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach()


def outer_step(module: nn.Module, images: Tensor, labels: Tensor, step_size: float, learning_rate: float) -> None:
    """
    Take one Reptile step, task after task, with a fresh Adam for each.

    Args:
        images: (tasks, steps, batch, channels, height, width).
        labels: (tasks, steps, batch).
        step_size: epsilon in the paper.
        learning_rate: of Adam in the inner steps.
    """
    adapted: list[Sequence[Tensor]] = []
    for task_images, task_labels in zip(images, labels, strict=True):
        learner = copy.deepcopy(module)
        optimizer = torch.optim.Adam(learner.parameters(), lr=learning_rate, betas=(0.0, 0.999))
        for x, y in zip(task_images, task_labels, strict=True):
            optimizer.zero_grad()
            F.cross_entropy(learner(x), y).backward()
            optimizer.step()
        adapted.append([parameter.detach() for parameter in learner.parameters()])
    with torch.no_grad():
        for parameter, *phis in zip(module.parameters(), *adapted, strict=True):
            parameter.add_(step_size * (torch.stack(phis).mean(0) - parameter))
