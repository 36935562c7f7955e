"""The limit on the latency of networks, and the measured latencies of the parts that it is computed from."""

from __future__ import annotations

from typing import NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from metasearch.api.base import SpecModel
from metasearch.api.names import OPERATION_MAX_LENGTH
from metasearch.quantities import DecimalText, PlainNumber

MAX_PARTS = 600
"""The most parts of a table: a resource with so many has about 60 kB, of the 1.5 MB that Kubernetes stores."""


class Part(NamedTuple):
    """A part of a network. Parts that are equal take equally long."""

    name: str
    """The name of an operation, or one of those below, which begin with a capital."""
    channels: int
    """The channels of its input."""
    filters: int
    """The channels of its output; of a classifier, the ways."""
    side: int
    """Height and width of its input in pixels."""
    stride: int = 1

    def __str__(self) -> str:
        return (
            f"{self.name} from {self.channels} to {self.filters} channels at {self.side} pixels and stride "
            f"{self.stride}"
        )


STEM = "Stem"
"""The first convolution, with the stacking of the images."""
INPUT = "Input"
"""The 1x1 convolution of a cell's outer input."""
SUM = "Sum"
"""The addition of a block's branches."""
CONCATENATION = "Concatenation"
"""The joining of the outputs of several blocks."""
CLASSIFIER = "Classifier"
"""The mean over pixels, and the linear layer."""


class MeasuredPart(SpecModel):
    """A part of a network and its latency."""

    part: str = Field(
        max_length=OPERATION_MAX_LENGTH,
        pattern=r"^[A-Za-z][a-z0-9_]*$",
        description=f"part is an operation, or {STEM} (first convolution), {INPUT} (1x1 convolution of what a cell "
        f"reads), {SUM} (of two branches), {CONCATENATION} (of blocks) or {CLASSIFIER} (mean of pixels and linear "
        "layer).",
    )
    channels: int = Field(ge=1, le=10_000_000, description="channels is the number of channels of its input.")
    filters: int = Field(
        ge=1,
        le=10_000_000,
        description=f"filters is the number of channels of its output; of a {CLASSIFIER}, task.ways.",
    )
    side: int = Field(ge=1, le=512, description="side is the height and width of its input in pixels.")
    stride: int = Field(ge=1, le=2, description="stride is 2 where it halves the side, else 1.")
    milliseconds: DecimalText = Field(ge=0, description='milliseconds is the latency of the part, such as "0.0713".')

    @property
    def key(self) -> Part:
        """The part without its latency."""
        return Part(self.part, self.channels, self.filters, self.side, self.stride)


class Latency(SpecModel):
    """
    A limit on the latency of networks, computed as the sum of their parts'. `metasearch latency` measures all parts
    that the networks of a resource can have, and prints this.
    """

    max_milliseconds: PlainNumber = Field(
        description='maxMilliseconds is the most milliseconds that a network may take, such as 5 or "2.5".'
    )
    images: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="images is the number of images that are classified at a time. Default: 1.",
    )
    ways: int = Field(ge=2, le=200, description="ways is the task.ways that was measured with.")
    shots: int = Field(ge=1, le=100, description="shots is the task.shots that was measured with.")
    shifts: int = Field(ge=0, le=4, description="shifts is the evaluation.shifts that was measured with.")
    device: str | None = Field(
        default=None,
        max_length=200,
        description="device says what was measured on, for people only. Default: nothing is said.",
    )
    parts: tuple[MeasuredPart, ...] = Field(
        min_length=1,
        max_length=MAX_PARTS,
        description="parts are all parts that a network of the search can have, with their latencies.",
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["part", "channels", "filters", "side", "stride"],
        },
    )

    @model_validator(mode="after")
    def _is_each_there_once(self) -> Self:
        # No rule in CEL: by the keys of the list the API server knows, and comparing each with all costs it too much.
        if len(self.table) < len(self.parts):
            raise PydanticCustomError("rule", "must not have a part twice in parts")
        return self

    @property
    def table(self) -> dict[Part, float]:
        """The milliseconds of each part."""
        return {each.key: float(each.milliseconds) for each in self.parts}
