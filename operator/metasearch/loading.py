"""
From a YAML file to a MetaSearch, and from what is wrong with it to a sentence.

Values are taken strictly: what the Kubernetes API server would refuse is refused here too.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from metasearch.errors import InvalidSpec
from metasearch.spec import MetaSearch, MetaSearchSpec


def load_search(path: Path, overrides: Sequence[str] = ()) -> MetaSearch:
    """
    Read a MetaSearch resource.

    Args:
        path: a YAML file with one resource.
        overrides: `PATH=VALUE` each, the path counted from spec, such as `search.beamWidth=8`.

    Raises:
        InvalidSpec: says which field is wrong and what would be right.
    """
    return parse_search(_read_yaml(path), overrides, where=str(path))


def parse_search(resource: Any, overrides: Sequence[str] = (), where: str = "the resource") -> MetaSearch:
    """The same from what a YAML file holds."""
    if not isinstance(resource, dict):
        raise InvalidSpec(
            f"{where} holds {_kind_of(resource)}; it must be a MetaSearch resource (apiVersion, kind, metadata, spec)"
        )
    known = {key: value for key, value in resource.items() if key != "status"}  # as `kubectl get -o yaml` prints it
    for override in overrides:
        known = _with_override(known, override)
    try:
        return MetaSearch.model_validate_json(json.dumps(known, default=str), strict=True)
    except ValidationError as error:
        raise InvalidSpec(f"{where}: {describe(error, MetaSearch)}") from error


def _read_yaml(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSpec(
            f"{path} cannot be read ({error.strerror}); give the file of a MetaSearch resource"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"{path} is not text in UTF-8; give the YAML file of a MetaSearch resource") from error
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise InvalidSpec(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if len(documents) != 1:
        raise InvalidSpec(f"{path} holds {len(documents)} documents; it must hold one MetaSearch resource")
    return documents[0]


# --- overrides ----------------------------------------------------------------------------------------------------


def _with_override(resource: dict[str, Any], override: str) -> dict[str, Any]:
    path, equals, text = override.partition("=")
    steps = path.removeprefix("spec.").split(".")
    if not equals or not all(steps):
        raise InvalidSpec(f"--set {override}: it must be PATH=VALUE, such as search.beamWidth=8")
    changed: dict[str, Any] = json.loads(json.dumps(resource, default=str))
    place: Any = changed.setdefault("spec", {})
    model: type[BaseModel] = MetaSearchSpec
    for depth, step in enumerate(steps):
        annotation = _field_type(model, step, f"--set {path}")
        if depth == len(steps) - 1:
            place[step] = _parsed(annotation, text, override)
        else:
            place = place.setdefault(step, {})
            model = _model_in(annotation, f"--set {path}", step)
        if not isinstance(place, dict):
            raise InvalidSpec(f"--set {path}: {step} is no object in the file; set it as a whole")
    return changed


def _field_type(model: type[BaseModel], name: str, where: str) -> Any:
    for field in model.model_fields.values():
        if field.alias == name:
            return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    raise InvalidSpec(f"{where}: {_unknown(name, model)}")


def _model_in(annotation: Any, where: str, step: str) -> type[BaseModel]:
    """The model in `Model` or `Model | None`."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    raise InvalidSpec(f"{where}: {step} has no fields; set it as a whole")


def _parsed(annotation: Any, text: str, override: str) -> Any:
    """A command-line text as the JSON value of a field."""
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    try:
        structured = text[:1] in ("[", "{")
        value = (
            adapter.validate_json(json.dumps(yaml.safe_load(text))) if structured else adapter.validate_strings(text)
        )
    except (ValidationError, yaml.YAMLError) as error:
        problem = describe(error, None) if isinstance(error, ValidationError) else str(error)
        raise InvalidSpec(f"--set {override}: {problem}") from error
    return adapter.dump_python(value, mode="json", by_alias=True)


# --- what is wrong ------------------------------------------------------------------------------------------------


def describe(error: ValidationError, model: type[BaseModel] | None) -> str:
    """All that a validation found, as one sentence: field, value, rule."""
    # A union reports each of its arms; one message per field is enough.
    problems = {_path(details["loc"]): _problem(details, model) for details in reversed(error.errors())}
    return "; ".join(reversed(problems.values()))


def _problem(details: ErrorDetails, model: type[BaseModel] | None) -> str:
    path, kind, context = _path(details["loc"]), details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        parent = _model_at(model, details["loc"][:-1])
        where = _path(details["loc"][:-1])
        return f"{where or 'the resource'} has {_unknown(str(details['loc'][-1]), parent)}"
    if kind == "missing":
        return f"{path} is missing; it must be given"
    return f"{path + ' ' if path else ''}is {_shown(details['input'])}; it {_rule(kind, context, details['msg'])}"


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
        case "enum" | "literal_error":
            return f"must be {context['expected']}"
        case "string_pattern_mismatch":
            return f"must match {context['pattern']}"
        case "quantity" | "rule":
            return message
        case "int_type" | "int_parsing" | "int_from_float":
            return "must be a whole number"
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
    one, many = ("character", "characters") if kind.startswith("string") else ("entry", "entries")
    return f"{number} {one if number == 1 else many}"


def _unknown(name: str, model: type[BaseModel] | None) -> str:
    fields = [field.alias or key for key, field in model.model_fields.items()] if model else []
    close = difflib.get_close_matches(name, fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"its fields are {', '.join(fields)}"
    return f"no field {name!r}; {hint}"


def _model_at(model: type[BaseModel] | None, location: Sequence[int | str]) -> type[BaseModel] | None:
    for step in location:
        if model is None:
            return None
        annotations = [field.annotation for key, field in model.model_fields.items() if (field.alias or key) == step]
        models = [each for annotation in annotations for each in _models(annotation)]
        model = models[0] if models else None
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            yield candidate


def _path(location: Sequence[int | str]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _kind_of(value: Any) -> str:
    return {list: "a list", str: "text", int: "a number", float: "a number"}.get(type(value), type(value).__name__)
