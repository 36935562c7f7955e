"""
A candidate: all that a search varies between trials, as plain values that any store can keep.

The architecture is text that a `Space` reads and writes; hyperparameters are a mapping of names to values. A search
that varies its architecture alone has candidates without hyperparameters.

    conv3x3(-1)+identity(-2)
    conv3x3(-1)+identity(-2); innerSteps=5, metaStepSize=0.05, optimizer=adam
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from metasearch.api.names import HYPERPARAMETER_PATTERN
from metasearch.errors import InvalidSpec

Value = Decimal | int | str
"""The value of a hyperparameter: a number, or the name of a choice."""

CHOICE_PATTERN = r"^[A-Za-z][-A-Za-z0-9_.]{0,24}$"
NUMBER_PATTERN = r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$"


@dataclass(frozen=True)
class Candidate:
    """
    An architecture, and the hyperparameters that it is trained with.

    Values are kept in one form, so that equal candidates compare, hash and read alike: a whole number is an int,
    any other number a Decimal without trailing zeros, also where it was given as text.

    Example:
        >>> Candidate("conv3x3(-1)+identity(-2)", {"metaStepSize": Decimal("0.50"), "innerSteps": "5"}).text
        'conv3x3(-1)+identity(-2); innerSteps=5, metaStepSize=0.5'

    Raises:
        InvalidSpec: a hyperparameter's name or value cannot be recorded.
    """

    architecture: str
    """A space's text of it, or the name of a hand-made network."""

    hyperparameters: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Sorted, so that the text does not depend on the order in which a strategy drew the values.
        kept = {name: _kept(name, self.hyperparameters[name]) for name in sorted(self.hyperparameters)}
        object.__setattr__(self, "hyperparameters", kept)

    def __hash__(self) -> int:
        return hash(self.text)  # a mapping has no hash; equal candidates have equal texts

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """The candidate for people and for records; the architecture alone where there is nothing else."""
        if not self.hyperparameters:
            return self.architecture
        values = ", ".join(f"{name}={value}" for name, value in self.texts.items())
        return f"{self.architecture}; {values}"

    @property
    def texts(self) -> dict[str, str]:
        """The hyperparameters as text, without exponents; `Candidate` reads them back."""
        return {name: value_text(value) for name, value in self.hyperparameters.items()}


def value_text(value: Value) -> str:
    """Write a value without an exponent, as resources and names have it."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _kept(name: str, value: Value) -> Value:
    text = value_text(value)
    if not re.fullmatch(HYPERPARAMETER_PATTERN, name):
        raise InvalidSpec(
            f"a hyperparameter is named {name!r}; it must match {HYPERPARAMETER_PATTERN}, such as metaStepSize"
        )
    is_number = re.fullmatch(NUMBER_PATTERN, text) is not None
    is_choice = isinstance(value, str) and re.fullmatch(CHOICE_PATTERN, text) is not None
    # True is an int to Python and would come back from a record as 1.
    if isinstance(value, bool) or not (is_number or is_choice):
        raise InvalidSpec(
            f"the hyperparameter {name} is {text!r}; it must be a number with at most 12 digits either side of the "
            "point, or the name of a choice, such as adam"
        )
    return canonical_number(Decimal(text)) if is_number else text


def canonical_number(number: Decimal) -> Decimal | int:
    """Return a number in the one form in which candidates keep it."""
    return int(number) if number == number.to_integral_value() else number.normalize()
