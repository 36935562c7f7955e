"""
Text forms of durations, amounts, decimals and numbers, as Kubernetes resources spell them.

Durations and amounts stay text (a resource is written back exactly as the user wrote it) and know their value in one
unit. Each form has a pattern and a greatest length, by which the API server checks it too.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, PlainSerializer, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

DECIMAL_PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"
DECIMAL_MAX_LENGTH = 25
NUMBER_PATTERN = r"^-?[0-9]{1,20}(\.[0-9]{1,20})?(e[-+][0-9]{1,3})?$"
NUMBER_MAX_LENGTH = 32

_SECONDS = {"h": 3600, "m": 60, "s": 1}
_BYTES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_AMOUNTS = {**_BYTES, "Pi": 2**50, "m": 1e-3, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}


class PatternText(str):
    """A string that must match a pattern; subclasses say which, and how to name it to a user."""

    pattern: str
    max_length: int
    expected: str
    takes_whole_numbers = False
    """True where a whole number needs no quotes: `5` and `"5"` are the same."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        checked = core_schema.no_info_after_validator_function(cls._checked, core_schema.str_schema(pattern=None))
        if not cls.takes_whole_numbers:
            return checked
        return core_schema.no_info_before_validator_function(
            lambda value: str(value) if type(value) is int else value,  # not isinstance, which takes true for an int
            checked,
        )

    @classmethod
    def _checked(cls, text: str) -> Self:
        # All parts of a duration may be left out, so its pattern takes "". The match must be full, because
        # "$" also matches before a line break at the end.
        if not text or not re.fullmatch(cls.pattern, text):
            raise cls._refusal()
        return cls(text)

    @classmethod
    def _refusal(cls) -> PydanticCustomError:
        return PydanticCustomError("quantity", "must be {expected}", {"expected": cls.expected})


class Duration(PatternText):
    """A length of time such as `24h`, `1h30m` or `90s`."""

    pattern = r"^([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,10}s)?$"
    max_length = 27
    expected = "a duration such as 24h, 1h30m or 90s"

    @property
    def seconds(self) -> int:
        return sum(int(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", self))


class Memory(PatternText):
    """An amount of memory such as `512Mi` or `4Gi`; without a suffix, bytes."""

    pattern = r"^[0-9]{1,15}(Ki|Mi|Gi|Ti)?$"
    max_length = 17
    expected = "an amount of memory such as 512Mi or 4Gi"

    @property
    def bytes(self) -> int:
        number, unit = re.fullmatch(r"([0-9]+)([KMGT]i)?", self).groups(default="")  # type: ignore[union-attr]
        return int(number) * _BYTES[unit]


class Quantity(PatternText):
    """An amount of a node's resource such as `500m`, `4` or `16Gi`, as in a pod. Whole numbers need no quotes."""

    pattern = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
    max_length = 27
    expected = "an amount such as 500m, 4 or 16Gi"
    takes_whole_numbers = True

    @property
    def amount(self) -> float:
        number, unit = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", self).groups()  # type: ignore[union-attr]
        return float(number) * _AMOUNTS[unit]


class PlainNumber(PatternText):
    """A number such as `8` or `"0.05"`: whole ones need no quotes, others must be text, as all decimals of a spec."""

    pattern = DECIMAL_PATTERN
    max_length = DECIMAL_MAX_LENGTH
    expected = 'a number such as 8 or, in quotes, "0.05"'
    takes_whole_numbers = True

    @property
    def decimal(self) -> Decimal:
        return Decimal(self)


class SettingText(PatternText):
    """The value of any setting: a number such as `8` or `"0.05"`, or a name such as `Adam`, or `"true"`."""

    pattern = r"^([A-Za-z][-A-Za-z0-9_.]{0,24}|[0-9]{1,12}(\.[0-9]{1,12})?)$"
    max_length = DECIMAL_MAX_LENGTH
    expected = 'a whole number, a decimal in quotes, or a name, such as 8, "0.05" or Adam'
    takes_whole_numbers = True


def _decimal_from_text(value: Any) -> Decimal:
    # Floats lose digits between YAML, JSON and Go, so Kubernetes' conventions keep them out of a spec.
    if isinstance(value, Decimal):
        return value
    if not isinstance(value, str) or not re.fullmatch(DECIMAL_PATTERN, value):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        spelled = format(Decimal(repr(value)), "f") if is_number else ""
        how = f': "{spelled}"' if re.fullmatch(DECIMAL_PATTERN, spelled) else ', such as "0.5"'
        raise PydanticCustomError("quantity", "must be {expected}", {"expected": f"a decimal in quotes{how}"})
    return Decimal(value)


DecimalText = Annotated[
    Decimal,
    BeforeValidator(_decimal_from_text, json_schema_input_type=Annotated[str, Field(pattern=DECIMAL_PATTERN)]),
    PlainSerializer(str, return_type=str),
]
"""A decimal written as text, such as `"0.001"`: no sign, no exponent, at most 12 digits either side of the point."""


def _number_from_text(value: Any, info: ValidationInfo) -> float:
    # Our own code has floats; from outside a number must be text, as the API server demands.
    is_ours = isinstance(value, float) and info.mode == "python"
    is_number = is_ours or (isinstance(value, str) and re.fullmatch(NUMBER_PATTERN, value))
    if not is_number or not math.isfinite(float(value)):
        raise PydanticCustomError("quantity", "must be {expected}", {"expected": 'a number in quotes, such as "0.5"'})
    return float(value)


NumberText = Annotated[float, BeforeValidator(_number_from_text), PlainSerializer(repr, return_type=str)]
"""A finite float written as text, such as `"0.9375"` or `"1e-05"`, so that not a bit of it is lost on the way."""
