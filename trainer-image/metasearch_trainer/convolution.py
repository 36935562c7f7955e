"""The shape of a layer of convolution, normalisation and ReLU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """All that is fixed of a layer but its weights; on a GPU, kernels are compiled for it."""

    channels: int
    filters: int
    kernel: tuple[int, int]
    """Height and width, odd."""
    stride: int
    dilation: int
    relu: bool

    @property
    def padding(self) -> tuple[int, int]:
        """
        The zeros around images, above and below and on each side.

        With so many the output's side is the input's divided by the stride, rounded up, for every kernel and dilation:
        the outputs of a block's two operations must have one size to be added.
        """
        height, width = self.kernel
        return self.dilation * (height // 2), self.dilation * (width // 2)

    def out_side(self, side: int) -> int:
        """Return the side of the output in pixels."""
        return -(-side // self.stride)
