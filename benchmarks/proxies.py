"""
Zero-cost proxies: figures of an untrained network, from a mini-batch or less, that are said to tell how well it learns.

All but the last are applied to the tasks of a meta-batch as a trainer draws them: the tasks share their parameters, and
batch statistics are those of a task's images. The more a proxy gives, the better the network is said to be. The last,
`expected_synflow`, is arithmetic on a cell and needs no network.

A network of this project holds no modules with hooks, so what its layers do is seen, or left out, by a
`TorchFunctionMode`: the functions of PyTorch that they call pass through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log, pi, prod, sqrt
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from metasearch import api
from metasearch.search.cells import BEFORE_PREVIOUS, PREVIOUS, Cell
from metasearch.search.network_size import CONVOLUTIONS, STRIDED, strides
from metasearch_trainer.network import Network
from metasearch_trainer.tasks import Tasks

EIGENVALUE_FLOOR = 1e-5
"""The number added to eigenvalues in `jacob_cov`, as in both papers."""


@dataclass(frozen=True)
class Batch:
    """The labelled images of several tasks."""

    images: Tensor
    """(tasks, images, channels, side, side), in [0, 1]."""
    labels: Tensor
    """(tasks, images), integers in [0, ways)."""

    @classmethod
    def of(cls, tasks: Tasks) -> Batch:
        """Return the support and query images of a meta-batch together."""
        support = tasks.support
        return cls(torch.cat([support.images, tasks.queries], 1), torch.cat([support.labels, tasks.query_labels], 1))


def naswot(network: Network, theta: Tensor, batch: Batch) -> float:
    """
    Compute how differently images switch the network's ReLUs on and off.

    An image's code says which ReLUs it switches on. The entry of the matrix K for two images is the number of ReLUs on
    which their codes agree, and the figure is the logarithm of its determinant; minus infinity where two codes are the
    same. Source: Mellor et al. 2021, Neural Architecture Search without Training (ICML), section 3.

    Args:
        theta: the parameters, (size,).
    """
    codes = relu_codes(network, theta, batch.images)
    on = codes.sum(1)
    # Both on and both off in one product: ReLUs that are on in either image alone are those where codes differ. All are
    # whole numbers below 2^24, so float32 has no rounding.
    agreeing = codes.shape[1] - (on[:, None] + on[None] - 2 * (codes @ codes.T))
    return float(torch.linalg.slogdet(agreeing.double()).logabsdet)


def jacob_cov(network: Network, theta: Tensor, batch: Batch) -> float:
    """
    Compute how differently the network's output changes with each image.

    An image's row of the Jacobian is the gradient of all logits' sum with respect to its pixels. The rows' correlation
    matrix has eigenvalues s, and the figure is the sum over them of -(log(s + k) + 1 / (s + k)).
    Source: Mellor et al. 2020, the first version of that paper (arXiv 2006.04647v1); Abdelfattah et al. 2021, Zero-Cost
    Proxies for Lightweight NAS (ICLR), section 3, gave it this name.
    """
    images = batch.images.clone().requires_grad_()
    logits = network(theta.expand(len(images), -1), images)
    (gradient,) = torch.autograd.grad(logits.sum(), images)
    rows = gradient.flatten(0, 1).flatten(1).double().numpy()
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows)) + EIGENVALUE_FLOOR
    return -float(np.sum(np.log(eigenvalues) + 1 / eigenvalues))


def synflow(network: Network, theta: Tensor, batch: Batch) -> float:
    """
    Compute the logarithm of the flow through all weights, of which only the images' shape is read.

    Weights are taken by their absolute values, normalisation is left out and every pixel is 1. With R the sum of the
    logits, the flow is the sum over weights w of w * dR/dw. It grows exponentially with depth, hence the logarithm.
    Source: Tanaka et al. 2020, Pruning neural networks without any data (NeurIPS), equation 2; summed over a network,
    and without normalisation, as by Abdelfattah et al. 2021, section 3.
    """
    weights = theta.double().abs().requires_grad_()
    ones = torch.ones_like(batch.images[:1, :1], dtype=torch.float64)
    with _NoNormalisation():
        (gradient,) = torch.autograd.grad(network(weights[None], ones).sum(), weights)
    return float((weights.detach() * gradient).sum().log())


def grad_norm(network: Network, theta: Tensor, batch: Batch) -> float:
    """
    Compute the Euclidean norm of the loss's gradient for each layer's weights, summed over layers.

    Source: Abdelfattah et al. 2021, section 3.
    """
    return float(sum(gradient.norm() for _, gradient in _weights_and_gradients(network, theta, batch)))


def snip(network: Network, theta: Tensor, batch: Batch) -> float:
    """
    Compute the sum over weights w of |w * dL/dw|: by how much the loss L would change without each.

    Source: Lee et al. 2019, SNIP (ICLR), equation 6, not normalised; summed as by Abdelfattah et al. 2021, section 3.
    """
    return float(sum((weight * slope).abs().sum() for weight, slope in _weights_and_gradients(network, theta, batch)))


Proxy = Callable[[Network, Tensor, Batch], float]

PROXIES: Mapping[str, Proxy] = {
    "naswot": naswot,
    "jacob_cov": jacob_cov,
    "synflow": synflow,
    "grad_norm": grad_norm,
    "snip": snip,
}


def expected_synflow(cell: Cell, space: api.Space, channels: int) -> float:
    """
    Compute about what `synflow` is on average over initial weights, by arithmetic alone.

    A weight of a convolution of n inputs is drawn with variance 2 / n, so its expected absolute value is
    sqrt(4 / (pi n)), and the convolution multiplies what passes it by n times that. Left out are the borders of images,
    the classifier, and that a way through the network counts once for each of its weights.

    Args:
        channels: of the images.

    Returns:
        The logarithm of the sum of the network's features for images of ones.
    """
    width = space.filters
    # The channels of each of the two latest outputs, and what passes through all of them together.
    before = previous = (width, width * _gain(9 * channels))
    for stride in strides(space):
        width *= space.filter_scale if stride == 2 else 1
        # An adapter's channels each have the mean of what it reads, times its gain.
        values = {
            outer: total / count * _gain(count)
            for outer, (count, total) in ((BEFORE_PREVIOUS, before), (PREVIOUS, previous))
        }
        for index, block in enumerate(cell.blocks):
            values[index] = 0.0
            for branch in block:
                layers = (STRIDED if stride == 2 and branch.input < 0 else CONVOLUTIONS).get(branch.operation, ())
                reach = [each.weights_per_pair * (1 if each.is_depthwise else width) for each in layers]
                values[index] += values[branch.input] * prod(map(_gain, reach))
        outputs = range(len(cell)) if space.concat is api.Concat.ALL else cell.unused
        before, previous = previous, (width * len(outputs), width * sum(values[index] for index in outputs))
    return log(previous[1])


def _gain(inputs: int) -> float:
    return sqrt(4 * inputs / pi)


# --- parts --------------------------------------------------------------------------------------------------------


def relu_codes(network: Network, theta: Tensor, images: Tensor) -> Tensor:
    """
    Return 1 for each ReLU that an image switches on, else 0.

    Returns:
        (tasks * images, ReLUs), the images of a task one after another.
    """
    tasks, count = images.shape[:2]
    with torch.no_grad(), _ReluOutputs() as seen:
        network(theta.expand(tasks, -1), images)
    # The tasks of a meta-batch are stacked along the channels.
    codes = [each.reshape(count, tasks, -1).transpose(0, 1).flatten(0, 1) for each in seen.switched_on]
    return torch.cat(codes, 1).float()


def _weights_and_gradients(network: Network, theta: Tensor, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """Return the weights of convolutions and classifier, without biases and normalisation, with the loss's gradient."""
    theta = theta.clone().requires_grad_()
    logits = network(theta.expand(len(batch.images), -1), batch.images)
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten()), theta)
    named = zip(
        network.layout.parameters, *map(network.layout.views, (theta.detach()[None], gradient[None])), strict=True
    )
    return [(weight, slope) for parameter, weight, slope in named if parameter.name.endswith(".weight")]


class _ReluOutputs(TorchFunctionMode):
    """Keeps where ReLUs give more than zero."""

    def __init__(self) -> None:
        super().__init__()
        self.switched_on: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        del types
        output = func(*args, **(kwargs or {}))
        if func is torch.relu_:
            self.switched_on.append(output > 0)
        return output


class _NoNormalisation(TorchFunctionMode):
    """Leaves batch normalisation out."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        del types
        return args[0] if func is F.batch_norm else func(*args, **(kwargs or {}))
