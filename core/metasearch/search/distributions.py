"""
The distributions that hyperparameters are drawn from.

A distribution maps [0, 1] to its values: `at(place)` of a uniform number draws one, and `coordinates(value)` leads
back, so that surrogates see values that are spread evenly, whatever their scale. Whole numbers stay whole, each as
likely as the part of the distribution between it and the next; others are rounded, so that records stay short.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from metasearch import api
from metasearch.search.candidates import Value, canonical_number

DIGITS = 3
"""The digits that a number keeps where it is not whole."""

FINEST_EXPONENT = -12
"""A record holds so many digits after the point."""

STEP = 0.1
"""The way from a number of a range to its neighbours, as a share of the distribution."""


class Distribution(Protocol):
    """Values of one hyperparameter, each with its probability."""

    @property
    def columns(self) -> int:
        """The number of coordinates of a value."""
        ...

    @property
    def is_continuous(self) -> bool:
        """True where there are numbers with fractions between any two, so that not all values can be listed."""
        ...

    @property
    def listed(self) -> Sequence[Value]:
        """All values or, where the distribution is continuous, those `STEP` apart, both ends included."""
        ...

    def at(self, place: float) -> Value:
        """Return the value at a place in [0, 1], which is uniform where values are drawn."""
        ...

    def coordinates(self, value: Value) -> tuple[float, ...]:
        """Return where a value is, in [0, 1] each: its place, or of values without an order 1 for itself and 0 else."""
        ...

    def neighbours(self, value: Value) -> Sequence[Value]:
        """List the next values, or where they have no order all others."""
        ...

    def has(self, value: Value) -> bool:
        """Tell whether the value can be drawn."""
        ...


def distribution_of(hyperparameter: api.Hyperparameter, training: api.MetaLearning) -> Distribution:
    """
    Return the distribution of a hyperparameter of a spec.

    Args:
        training: says which fields hold whole numbers. Of options of an installed package's learner that is not known;
            they are whole where minimum and maximum are.
    """
    match hyperparameter.distribution:
        case api.Distribution.FIXED:
            return Listed((_value(hyperparameter.value or ""),))
        case api.Distribution.CHOICE:
            return Listed(tuple(map(_value, hyperparameter.values or ())))
    assert hyperparameter.minimum is not None
    assert hyperparameter.maximum is not None
    low, high = hyperparameter.minimum.decimal, hyperparameter.maximum.decimal
    if hyperparameter.distribution is api.Distribution.LINEAR:
        steps = hyperparameter.steps or 1
        numbers = (low + (high - low) * step / steps for step in range(steps + 1))
        return Listed(tuple(canonical_number(_rounded(each, low, high)) for each in numbers), is_ordered=True)
    scale = float(hyperparameter.scale.decimal) if hyperparameter.scale else None
    curve = LogUniform() if hyperparameter.distribution is api.Distribution.LOG_UNIFORM else Exponential(scale)
    field = api.field_of(hyperparameter.name, training)
    if field is not None:
        unit = api.unit_of(field) if api.is_whole(field) else None
    else:
        unit = 1 if all(each == each.to_integral_value() for each in (low, high)) else None
    return Range(low, high, curve, unit)


@dataclass(frozen=True)
class Listed:
    """Values that are equally likely."""

    values: tuple[Value, ...]
    is_ordered: bool = False
    """True where values are numbers, the lowest first, that have next ones."""

    is_continuous = False

    @property
    def columns(self) -> int:
        # One value says nothing, two are told apart by one number.
        return min(1, len(self.values) - 1) if self.is_ordered or len(self.values) < 3 else len(self.values)

    @property
    def listed(self) -> Sequence[Value]:
        return self.values

    def at(self, place: float) -> Value:
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]

    def coordinates(self, value: Value) -> tuple[float, ...]:
        index = self.values.index(value)
        if self.columns > 1:
            return tuple(float(number == index) for number in range(len(self.values)))
        return (index / (len(self.values) - 1),) * self.columns if self.columns else ()

    def neighbours(self, value: Value) -> Sequence[Value]:
        index = self.values.index(value)
        if self.is_ordered:
            return [*self.values[max(0, index - 1) : index], *self.values[index + 1 : index + 2]]
        return [each for each in self.values if each != value]

    def has(self, value: Value) -> bool:
        return value in self.values


class Curve(Protocol):
    """A continuous distribution between two numbers, the first below the second."""

    def below(self, number: float, low: float, high: float) -> float:
        """Return the share of the distribution that is below a number, in [0, 1]."""
        ...

    def number(self, share: float, low: float, high: float) -> float:
        """Return the number that a share of the distribution, in (0, 1), is below."""
        ...


class LogUniform:
    """The logarithm is uniform."""

    def below(self, number: float, low: float, high: float) -> float:
        return math.log(number / low) / math.log(high / low)

    def number(self, share: float, low: float, high: float) -> float:
        return low * math.exp(share * math.log(high / low))


@dataclass(frozen=True)
class Exponential:
    """The distance from the lower number is distributed exponentially, and cut off at the upper number."""

    scale: float | None
    """Its mean, were it not cut off; None for infinity, which makes it uniform."""

    def below(self, number: float, low: float, high: float) -> float:
        if self.scale is None:
            return (number - low) / (high - low)
        return math.expm1((low - number) / self.scale) / math.expm1((low - high) / self.scale)

    def number(self, share: float, low: float, high: float) -> float:
        if self.scale is None:
            return low + share * (high - low)
        return low - self.scale * math.log1p(share * math.expm1((low - high) / self.scale))


@dataclass(frozen=True)
class Range:
    """Numbers from `minimum` to `maximum`, both included."""

    minimum: Decimal
    maximum: Decimal
    curve: Curve
    unit: int | None = None
    """Values are multiples of it; None for numbers with a fraction."""

    columns = 1

    @property
    def is_continuous(self) -> bool:
        return self.unit is None

    @property
    def listed(self) -> Sequence[Value]:
        if self.unit is not None:
            return range(int(self.minimum), int(self.maximum) + 1, self.unit)
        steps = round(1 / STEP)
        return tuple(dict.fromkeys(self.at(step / steps) for step in range(steps + 1)))

    def at(self, place: float) -> Decimal | int:
        # The ends as they are: rounding would miss them, and an exponential range has no number for 1 where it is long.
        if place <= 0 or place >= 1:
            return canonical_number(self.minimum if place <= 0 else self.maximum)
        number = self.curve.number(place, *self._ends)
        if self.unit:
            return self._within(math.floor(number) * self.unit)
        return canonical_number(_rounded(Decimal(number), self.minimum, self.maximum))

    def coordinates(self, value: Value) -> tuple[float, ...]:
        low, high = self._ends
        number = float(value) / (self.unit or 1)
        if not self.unit:
            return (self.curve.below(number, low, high),)
        # In the middle of the part of the distribution that is rounded to it.
        return ((self.curve.below(number, low, high) + self.curve.below(number + 1, low, high)) / 2,)

    def neighbours(self, value: Value) -> Sequence[Value]:
        (place,) = self.coordinates(value)
        assert not isinstance(value, str)
        unit = self.unit or 0
        found = [
            min(self.at(place - STEP), self._within(value - unit)),
            max(self.at(place + STEP), self._within(value + unit)),
        ]
        return [each for each in found if each != value]

    def has(self, value: Value) -> bool:
        if isinstance(value, str) or not self.minimum <= value <= self.maximum:
            return False
        return not self.unit or value % self.unit == 0

    @property
    def _ends(self) -> tuple[float, float]:
        # The greatest whole number must be as likely as its share, so the range ends where the next one would begin.
        if self.unit:
            return float(self.minimum) / self.unit, float(self.maximum) / self.unit + 1
        return float(self.minimum), float(self.maximum)

    def _within(self, number: Decimal | int) -> Decimal | int:
        return canonical_number(min(max(Decimal(number), self.minimum), self.maximum))


def _rounded(number: Decimal, low: Decimal, high: Decimal) -> Decimal:
    """Round a number of a range to a few digits, without leaving the range."""
    # By the range too: what lies between 0.1234 and 0.1236 would else be one number.
    coarsest = min(number.adjusted() if number else 0, (high - low).adjusted())
    rounded = number.quantize(Decimal(1).scaleb(max(min(coarsest - DIGITS + 1, 0), FINEST_EXPONENT)))
    return min(max(rounded, low), high)


def _value(text: str) -> Value:
    """Return a value of a spec as candidates have it."""
    return canonical_number(Decimal(text)) if text[0].isdecimal() else text
