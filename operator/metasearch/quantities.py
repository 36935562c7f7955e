"""
Text forms of durations, memory and decimals, as Kubernetes resources spell them.

They stay text (a resource is written back exactly as the user wrote it) and know their value in one unit.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, PlainSerializer
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

DURATION_PATTERN = r"^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,10}s)?$"
MEMORY_PATTERN = r"^[0-9]{1,15}(Ki|Mi|Gi|Ti)?$"
DECIMAL_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"

_SECONDS = {"h": 3600, "m": 60, "s": 1}
_BYTES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class _PatternText(str):
    """A string that must match a pattern; subclasses say which, and how to name it to a user."""

    pattern: str
    expected: str

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls._checked, core_schema.str_schema(pattern=None))

    @classmethod
    def _checked(cls, text: str) -> _PatternText:
        if not text or not re.fullmatch(cls.pattern, text):
            raise PydanticCustomError("quantity", "must be {expected}", {"expected": cls.expected})
        return cls(text)


class Duration(_PatternText):
    """A length of time such as `24h`, `1h30m` or `90s`."""

    pattern = DURATION_PATTERN
    expected = "a duration such as 24h, 1h30m or 90s"

    @property
    def seconds(self) -> int:
        return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", self))


class Memory(_PatternText):
    """An amount of memory such as `512Mi` or `4Gi`; without a suffix, bytes."""

    pattern = MEMORY_PATTERN
    expected = "an amount of memory such as 512Mi or 4Gi"

    @property
    def bytes(self) -> int:
        number, unit = re.fullmatch(r"([0-9]+)([KMGT]i)?", self).groups(default="")  # type: ignore[union-attr]
        return int(number) * _BYTES[unit]


def _from_text(value: Any) -> Decimal:
    # Floats lose digits between YAML, JSON and Go, so Kubernetes' conventions keep them out of a spec.
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not re.fullmatch(DECIMAL_PATTERN, value):
        raise PydanticCustomError("quantity", "must be {expected}", {"expected": 'a decimal in quotes, such as "0.5"'})
    return Decimal(value)


DecimalText = Annotated[
    Decimal,
    BeforeValidator(_from_text, json_schema_input_type=Annotated[str, Field(pattern=DECIMAL_PATTERN)]),
    PlainSerializer(str, return_type=str),
]
"""A decimal written as text, such as `"0.001"`: no sign, no exponent, at most 12 digits either side of the point."""
