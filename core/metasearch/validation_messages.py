"""
Turn what pydantic finds wrong with a value into one sentence for people: the field, its value, and what would be right.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from metasearch.plurals import counted


def describe(error: ValidationError, model: type[BaseModel] | None) -> str:
    """Put everything that a validation found into one sentence: field, value, rule."""
    # A union reports each of its arms; one message per field is enough.
    problems = {_path(details["loc"]): _problem(details, model) for details in reversed(error.errors())}
    return "; ".join(reversed(problems.values()))


def _problem(details: ErrorDetails, model: type[BaseModel] | None) -> str:
    path, kind, context = _path(details["loc"]), details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        parent = model_at(model, details["loc"][:-1])
        where = _path(details["loc"][:-1])
        return f"{where + ' has ' if where else ''}{unknown_field(str(details['loc'][-1]), parent)}"
    if kind == "missing":
        return f"{path} is missing; it must be given"
    return f"{path + ' ' if path else ''}is {shown(details['input'])}; it {_rule(kind, context, details['msg'])}"


def _rule(kind: str, context: dict[str, Any], message: str) -> str:
    match kind:
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "greater_than":
            return f"must be more than {context['gt']}"
        case "less_than":
            return f"must be less than {context['lt']}"
        case "multiple_of":
            return f"must be a multiple of {context['multiple_of']}"
        case "enum" | "literal_error":
            return f"must be {context['expected']}"
        case "string_pattern_mismatch":
            return f"must match {context['pattern']}"
        case "quantity" | "rule":
            return message
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "string_type":
            return "must be text"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be an object with fields"
        case "tuple_type" | "list_type":
            return "must be a list"
        case "too_short" | "string_too_short":
            return f"must have at least {_counted(kind, context['min_length'])}"
        case "too_long" | "string_too_long":
            return f"must have at most {_counted(kind, context['max_length'])}"
    return f"is wrong: {message}"


def _counted(kind: str, number: int) -> str:
    return counted(number, "character") if kind.startswith("string") else counted(number, "entry", "entries")


def unknown_field(name: str, model: type[BaseModel] | None) -> str:
    """Say that a model has no such field, and which it has."""
    fields = [field.alias or key for key, field in model.model_fields.items()] if model else []
    close = difflib.get_close_matches(name, fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"its fields are {', '.join(fields)}"
    return f"no field {name!r}; {hint}"


def model_at(model: type[BaseModel] | None, location: Sequence[int | str]) -> type[BaseModel] | None:
    """Return the model of what is at a place below a model; None where that is no object with known fields."""
    for step in location:
        if model is None:
            return None
        annotations = [field.annotation for key, field in model.model_fields.items() if (field.alias or key) == step]
        models = [each for annotation in annotations for each in models_in(annotation)]
        model = models[0] if models else None
    return model


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a type is or holds."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            yield candidate


def _path(location: Sequence[int | str]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def shown(value: Any) -> str:
    """Return a value as JSON, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
