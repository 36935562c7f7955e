"""
Convert pydantic models to structural OpenAPI v3 schemas of custom resources.

A field with a default is optional, and its default is in the schema; an optional field without a value is missing,
never null. Nested objects default to {}, which the API server fills with the defaults below it. Bounds of numbers in
text, which OpenAPI cannot express, become rules in CEL.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from metasearch.api import SpecModel
from metasearch.kubernetes.models import INT32_MAX
from metasearch.kubernetes.times import Time
from metasearch.quantities import (
    DECIMAL_MAX_LENGTH,
    DECIMAL_PATTERN,
    NUMBER_MAX_LENGTH,
    NUMBER_PATTERN,
    PatternText,
)

Schema = dict[str, Any]

RULES = "x-kubernetes-validations"


def schema_of(model: type[SpecModel]) -> Schema:
    """Return the schema of an object with the model's fields and rules; its docstring is the description."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    schema: Schema = {
        "type": "object",
        "description": " ".join((inspect.getdoc(model) or "").split()),
        "properties": {name: field_schema(field) for name, field in fields.items()},
    }
    if required := [name for name, field in fields.items() if field.is_required()]:
        schema["required"] = required
    return with_rules(schema, *(rule(each.cel, each.message) for each in model.rules))


def field_schema(field: FieldInfo) -> Schema:
    """Return the schema of a field: type, bounds, default and description."""
    schema = {**_type_schema(field.annotation, field.metadata), **_extra(field)}
    if field.description:
        schema["description"] = field.description
    if (default := _default(field)) is not None:
        schema["default"] = default
    return schema


def rule(cel: str, message: str) -> Schema:
    """Return an entry of x-kubernetes-validations."""
    return {"rule": cel, "message": message}


def with_rules(schema: Schema, *rules: Schema) -> Schema:
    """Return the schema with further rules."""
    return {**schema, RULES: [*schema.get(RULES, ()), *rules]} if rules else schema


# --- types --------------------------------------------------------------------------------------------------------


def _type_schema(annotation: Any, rules: Sequence[Any]) -> Schema:
    """
    Return the schema of a type.

    Args:
        rules: pydantic's bounds, such as Ge(0), which it keeps beside the type.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if NoneType in arguments:
        (annotation,) = (each for each in arguments if each is not NoneType)
        return _type_schema(annotation, rules)
    if origin is Annotated:
        inner = FieldInfo.from_annotation(annotation)
        return _type_schema(inner.annotation, [*inner.metadata, *rules])
    if origin is Literal:
        return _choice(arguments)
    if origin is tuple:
        items = _type_schema(arguments[0], ())
        return {"type": "array", "items": items, "x-kubernetes-list-type": "atomic", **_lengths("Items", rules)}
    if origin is dict:
        values = _type_schema(arguments[1], ())
        return {"type": "object", "additionalProperties": values, **_lengths("Properties", rules)}
    return _plain_schema(annotation, rules)


def _plain_schema(kind: type, rules: Sequence[Any]) -> Schema:
    if issubclass(kind, SpecModel):
        return schema_of(kind)
    if issubclass(kind, Enum):  # before str, which a StrEnum is too
        return _choice([each.value for each in kind])
    if issubclass(kind, PatternText):
        return _pattern_text(kind)
    if issubclass(kind, bool):  # before int, which a bool is too
        return {"type": "boolean"}
    if issubclass(kind, int):
        return _integer(rules)
    if issubclass(kind, Decimal):
        signless = [each for each in rules if each != Ge(0)]  # the pattern allows no sign anyway
        return _bounded_text(DECIMAL_PATTERN, DECIMAL_MAX_LENGTH, signless)
    if issubclass(kind, float):
        return _bounded_text(NUMBER_PATTERN, NUMBER_MAX_LENGTH, rules)
    assert issubclass(kind, str), f"{kind} has no schema yet"
    patterns = [each.pattern for each in rules if getattr(each, "pattern", None)]
    return {"type": "string", **_lengths("Length", rules), **({"pattern": patterns[0]} if patterns else {})}


def _choice(values: Sequence[Any]) -> Schema:
    return {"type": "integer" if isinstance(values[0], int) else "string", "enum": list(values)}


def _pattern_text(kind: type[PatternText]) -> Schema:
    schema = {"minLength": 1, "maxLength": kind.max_length, "pattern": kind.pattern}
    if kind.takes_whole_numbers:  # as Kubernetes' own quantities: `cpu: 1` and `cpu: "1"` are both usual
        return {"x-kubernetes-int-or-string": True, "minimum": 0, **schema}
    if issubclass(kind, Time):
        # Without the rule, the API server accepts [] as a date-time.
        since = rule("self >= timestamp('1970-01-01T00:00:00Z')", "must be a time since 1970")
        return with_rules({"type": "string", "format": "date-time", **schema}, since)
    return {"type": "string", **schema}


def _integer(rules: Sequence[Any]) -> Schema:
    # A whole number without a lower bound is a mistake in a model; max() of nothing raises for it.
    lowest = max(each.ge for each in rules if hasattr(each, "ge"))
    highest = min((each.le for each in rules if hasattr(each, "le")), default=None)
    divisor = next((each.multiple_of for each in rules if hasattr(each, "multiple_of")), None)
    multiples = {} if divisor is None else {"multipleOf": divisor}
    if highest is None:
        return {"type": "integer", "format": "int64", "minimum": lowest, **multiples}
    return {
        "type": "integer",
        "format": "int32" if highest <= INT32_MAX else "int64",
        "minimum": lowest,
        "maximum": highest,
        **multiples,
    }


def _bounded_text(pattern: str, max_length: int, rules: Sequence[Any]) -> Schema:
    """Return the schema of a number in text. CEL compares it as a double, exact enough for our small bounds."""
    schema = {"type": "string", "maxLength": max_length, "pattern": pattern}
    return with_rules(schema, *(_bound(sign, limit, text) for sign, limit, text in _limits(rules)))


def _limits(rules: Sequence[Any]) -> Iterator[tuple[str, float, str]]:
    for each in rules:
        for name, sign, text in _LIMITS:
            if hasattr(each, name):
                yield sign, getattr(each, name), text


_LIMITS = (("ge", ">=", "at least"), ("gt", ">", "more than"), ("le", "<=", "at most"), ("lt", "<", "less than"))


def _bound(sign: str, limit: float, text: str) -> Schema:
    return rule(f"double(self) {sign} {float(limit)}", f"must be {text} {limit}")


def _lengths(what: str, rules: Sequence[Any]) -> Schema:
    lengths = {f"min{what}": each.min_length for each in rules if hasattr(each, "min_length")}
    return lengths | {f"max{what}": each.max_length for each in rules if hasattr(each, "max_length")}


# --- what else a field says -----------------------------------------------------------------------------------------


def _extra(field: FieldInfo) -> Schema:
    """Return keywords that no type or bound expresses, such as how lists are merged."""
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def _default(field: FieldInfo) -> Any:
    """Return the default that the API server fills in, or None. Empty lists and maps are left out of resources."""
    if field.is_required() or field.default in (None, (), {}):
        return None
    if isinstance(field.default, BaseModel):  # the defaults of its own fields fill it
        return {}
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return _plain(value)


def _plain(value: Any) -> Any:
    """Return a value as YAML has it: enums and text types become plain text."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if isinstance(value, bool | int) else str(value)
