"""The form of a metric and of its samples; nothing here knows Prometheus' client."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "metasearch_"


class Kind(StrEnum):
    """The type of a metric, as Prometheus has them."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """The base unit of a metric, which its name ends in; of a counter, before `_total`."""

    SECONDS = "seconds"
    BYTES = "bytes"
    RATIO = "ratio"


@dataclass(frozen=True)
class Metric:
    """A metric: what is measured."""

    name: str
    kind: Kind
    help: str
    """A sentence, as in the exposition."""
    labels: tuple[str, ...] = ()
    unit: Unit | None = None
    """None for a number of things, whose name is theirs."""
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram without infinity, ascending."""

    def __post_init__(self) -> None:
        assert (self.kind is Kind.HISTOGRAM) == bool(self.buckets), f"{self.name}: a histogram has buckets"
        assert (self.kind is Kind.COUNTER) == self.name.endswith("_total"), f"{self.name}: a counter ends in _total"
        stem = self.name.removesuffix("_total")
        assert self.unit is None or stem.endswith(f"_{self.unit}"), f"{self.name}: a name ends in its unit"


@dataclass(frozen=True)
class Histogram:
    """The observations of a histogram, counted by buckets."""

    cumulative: tuple[int, ...]
    """For each bound, how many are not above it; and then how many there are."""
    total: float
    """Their sum."""

    @classmethod
    def of(cls, values: Iterable[float], bounds: tuple[float, ...]) -> Histogram:
        """Count values by buckets."""
        ordered = sorted(values)
        return cls((*(bisect_right(ordered, bound) for bound in bounds), len(ordered)), float(sum(ordered)))

    def plus(self, other: Histogram) -> Histogram:
        """Return the observations of both, which have the same buckets."""
        both = zip(self.cumulative, other.cumulative, strict=True)
        return Histogram(tuple(mine + theirs for mine, theirs in both), self.total + other.total)


@dataclass(frozen=True)
class Sample:
    """A value of a metric."""

    metric: Metric
    labels: tuple[str, ...]
    """The values of the metric's labels, in their order."""
    value: float | Histogram

    def __post_init__(self) -> None:
        assert len(self.labels) == len(self.metric.labels), f"{self.metric.name} has the labels {self.metric.labels}"
