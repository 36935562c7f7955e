"""
The hand-made networks that found ones are compared with, and the number of filters that gives one a found one's size.

All are Reptile's four strided 3x3 convolutions (Nichol et al. 2018). A trial has such a network as a text in place of a
cell, which says all of it, so that the trial alone determines what a worker builds:

    Conv4         64 filters, and a classifier on all pixels
    Conv4-30      the same with 30 filters
    Conv4Pooled   64 filters, and a classifier on the mean over pixels, as networks of cells have it
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metasearch.api import Baseline
from metasearch.errors import InvalidSpec
from metasearch.search.trials import TrialResult

CONVOLUTIONS = 4
FILTERS = 64
"""Those of Reptile's own network."""

MOST_FILTERS = 99_999
"""The most that a text may have. So many make a network of 270 billion parameters."""

TEXT_PATTERN = r"^Conv4(Pooled|-([1-9][0-9]{0,4}))?$"
"""The texts of hand-made networks. `HandMade.parse` is stricter, for Conv4-64 is Conv4."""


@dataclass(frozen=True)
class HandMade:
    """A hand-made network. Two are equal exactly when their texts are."""

    filters: int = FILTERS
    is_pooled: bool = False

    @property
    def text(self) -> str:
        """The network for people and for records; `parse` reads it back."""
        if self.is_pooled:
            return str(Baseline.CONV4_POOLED)
        return str(Baseline.CONV4) if self.filters == FILTERS else f"{Baseline.CONV4}-{self.filters}"

    @classmethod
    def parse(cls, text: str) -> HandMade:
        """Read a network's text; raises InvalidSpec where it is that of none."""
        match = re.fullmatch(TEXT_PATTERN, text)
        network = match and cls(int(match[2] or FILTERS), match[1] == "Pooled")
        # Each network has one text, so that no two trials have the same one under different names.
        if not network or network.text != text:
            raise InvalidSpec(
                f"{text!r} is no hand-made network; it must be {Baseline.CONV4}, {Baseline.CONV4_POOLED}, or "
                f"{Baseline.CONV4}- and a number of filters other than {FILTERS}, such as {Baseline.CONV4}-30"
            )
        return network

    def parameter_count(self, channels: int, side: int, ways: int) -> int:
        """
        Count the network's parameters.

        Args:
            channels: of an image.
            side: height and width of an image in pixels.
            ways: classes in a task.
        """
        # Each filter has a bias, and a scale and a shift of its normalisation.
        first, others = 9 * channels + 3, (CONVOLUTIONS - 1) * (9 * self.filters + 3)
        for _ in range(CONVOLUTIONS):
            side = -(-side // 2)  # a stride of 2, rounded up
        pixels = 1 if self.is_pooled else side * side
        return self.filters * (first + others) + ways * (self.filters * pixels + 1)

    def multiply_adds(self, channels: int, side: int, ways: int) -> int:
        """Count the network's multiply-adds for one image; the arguments are those of `parameter_count`."""
        total, width = 0, channels
        for _ in range(CONVOLUTIONS):
            side = -(-side // 2)
            total += side * side * 9 * width * self.filters
            width = self.filters
        pixels = 1 if self.is_pooled else side * side
        return total + self.filters * pixels * ways


def matched(parameters: int, channels: int, side: int, ways: int) -> HandMade:
    """
    Return the network on all pixels whose parameter count is closest to another's; of two as close, the smaller.

    Args:
        parameters: of the other network.
        channels: of an image.
        side: height and width of an image in pixels.
        ways: classes in a task.
    """

    def size(filters: int) -> int:
        return HandMade(filters).parameter_count(channels, side, ways)

    larger = 1 + bisect_left(range(1, MOST_FILTERS), parameters, key=size)
    nearest = min((max(1, larger - 1), larger), key=lambda filters: abs(size(filters) - parameters))
    return HandMade(nearest)


def wanted(baselines: Sequence[Baseline], best: TrialResult, ways: int) -> list[HandMade]:
    """
    Return the networks to train beside the found ones, each once.

    Args:
        baselines: those asked for.
        best: of the best search trial. Where it lacks the size of its network or of its images, as one that an earlier
            version recorded does, no network can be made to match it.
        ways: classes in a task.
    """
    return list(dict.fromkeys(_wanted(baselines, best, ways)))


def _wanted(baselines: Sequence[Baseline], best: TrialResult, ways: int) -> Iterator[HandMade]:
    for baseline in baselines:
        if baseline is not Baseline.CONV4_MATCHED:
            yield HandMade.parse(baseline)
        elif best.parameter_count and best.image_channels and best.image_side:
            yield matched(best.parameter_count, best.image_channels, best.image_side, ways)


def is_wanted(baselines: Sequence[Baseline], text: str) -> bool:
    """Tell whether a text is that of a network that `wanted` may return for these baselines."""
    try:
        network = HandMade.parse(text)
    except InvalidSpec:
        return False
    return network.text in baselines or (Baseline.CONV4_MATCHED in baselines and not network.is_pooled)
