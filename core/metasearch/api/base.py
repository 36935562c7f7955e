"""The base class of all parts of a spec, and the rules between their fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Rule:
    """
    A condition between the fields of a model, written once for the API server and once for Python.

    The API server tries rules on defaults before it has filled in what lies below them, so `cel` reads a field only
    after `has()`, unless the field is required.
    """

    cel: str
    """The condition in CEL, where the model is `self`, with fields by their names in YAML."""
    message: str
    """The rest of the sentence that begins with the field's path; it begins with "must"."""
    holds: Callable[[Any], bool] | None = None
    """
    The condition in Python; None where `cel` compares with `oldSelf`, which only the API server has, or where a
    validator of the model says more than one sentence for all cases can.
    """


def only_where(chooser: str, choice: str, field: str, default: str) -> Rule:
    """
    Return the rule that refuses the settings of one choice where another is chosen.

    Args:
        chooser: the field that names the choice, in Python's form, as `field` is.
        choice: the value of `chooser` with which `field` may be given.
        default: the value of `chooser` where it is left out.
    """
    name, chooses = to_camel(field), to_camel(chooser)
    return Rule(
        cel=f"!has(self.{name}) || (has(self.{chooses}) ? self.{chooses} : '{default}') == '{choice}'",
        message=f"must have {name} only where {chooses} is {choice}",
        holds=lambda model: getattr(model, field) is None or getattr(model, chooser) == choice,
    )


def _no_truth_value(value: Any) -> Any:
    # True == 1 in Python, so Literal[1] alone would accept it.
    if isinstance(value, bool):
        raise PydanticCustomError("rule", "must be a whole number")
    return value


WHOLE_NUMBER = BeforeValidator(_no_truth_value)
"""Keeps true out of a field of type `Literal[1, …]`: Python takes it for 1, and the API server does not."""


class SpecModel(BaseModel):
    """A part of a spec: frozen, camelCase outside, and strict about names (an unknown field is an error)."""

    # Python code names fields as Python does; resources have them in camelCase.
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _hold_rules(self) -> Self:
        for rule in self.rules:
            if rule.holds is not None and not rule.holds(self):
                raise PydanticCustomError("rule", "{message}", {"message": rule.message})
        return self
