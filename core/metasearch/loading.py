"""
Read a MetaSearch from a YAML file, and turn what is wrong with it into a sentence.

Values are taken strictly: what the Kubernetes API server would refuse is refused here too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from yaml.constructor import ConstructorError

from metasearch.api import MetaSearch, MetaSearchSpec
from metasearch.errors import InvalidSpec
from metasearch.validation_messages import describe, model_at, models_in, shown, unknown_field


def load_search(path: Path, overrides: Sequence[str] = ()) -> MetaSearch:
    """
    Read a MetaSearch resource.

    Args:
        path: a YAML file with one resource.
        overrides: `PATH=VALUE` each, the path counted from spec, such as `search.progressive.beamWidth=8`.

    Raises:
        InvalidSpec: says which field is wrong and what would be right.
    """
    return parse_search(_read_yaml(path), overrides, where=str(path))


def parse_search(resource: Any, overrides: Sequence[str] = (), where: str = "the resource") -> MetaSearch:
    """
    Read a MetaSearch resource from JSON values: the content of a file, or an object of the API server.

    This is the only reader of a MetaSearch: commands, operator, worker pods and local workers take a resource alike.
    Values are taken strictly, as the API server takes them; null fields and the status are ignored.

    Args:
        resource: such as `{"apiVersion": …, "kind": "MetaSearch", "metadata": …, "spec": …}`.
        overrides: `PATH=VALUE` each, as for `load_search`.
        where: the source of the resource, for messages.

    Raises:
        InvalidSpec: says which field is wrong and what would be right.
    """
    if not isinstance(resource, dict):
        raise InvalidSpec(
            f"{where} holds {_kind_of(resource)}; it must be a MetaSearch resource (apiVersion, kind, metadata, spec)"
        )
    known = {key: value for key, value in resource.items() if key != "status"}  # as `kubectl get -o yaml` prints it
    known = _given(known, MetaSearch)
    for override in overrides:
        known = _with_override(known, override)
    try:
        # From JSON, for strict validation of Python values would refuse lists where models have tuples.
        return MetaSearch.model_validate_json(json.dumps(known), strict=True)
    except ValidationError as error:
        raise InvalidSpec(f"{where}: {describe(error, MetaSearch)}") from error


def _given(value: Any, model: type[BaseModel] | None) -> Any:
    """Drop known fields that are null, as Kubernetes does. A map has no model; it knows all fields."""
    if isinstance(value, list):
        return [_given(each, model) for each in value]
    if not isinstance(value, dict):
        return value
    known = {field.alias or name for name, field in model.model_fields.items()} if model else value.keys()
    return {
        key: _given(each, model_at(model, (key,)))
        for key, each in value.items()
        if each is not None or key not in known
    }


def _read_yaml(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSpec(
            f"{path} cannot be read ({error.strerror}); give the file of a MetaSearch resource"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidSpec(f"{path} is not text in UTF-8; give the YAML file of a MetaSearch resource") from error
    documents = [document for document in _parsed_yaml(text, str(path)) if document is not None]
    if len(documents) != 1:
        raise InvalidSpec(f"{path} holds {len(documents)} documents; it must hold one MetaSearch resource")
    return documents[0]


MAX_CHARACTERS = 1_000_000
"""Characters of a document once its anchors are written out; the API server takes no larger resource either."""


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a key is there once, dates are text, and anchors make no more of it than fits."""

    def construct_document(self, node: yaml.Node) -> Any:
        # Before anything is made of the nodes, for merged objects are copied while they are made.
        if _written_out(node, {}) > MAX_CHARACTERS:
            raise yaml.YAMLError(
                f"its anchors make more than {MAX_CHARACTERS:,} characters of it; write a few of them out"
            )
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise ConstructorError(None, None, f"the key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the characters of a node, each anchor as often as it is used; `known` has those of nodes by their id."""
    if id(node) not in known:
        known[id(node)] = 1  # of one that contains itself, which is refused later
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        is_scalar = isinstance(node, yaml.ScalarNode)
        known[id(node)] = 1 + (len(node.value) if is_scalar else sum(_written_out(part, known) for part in parts))
    return known[id(node)]


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


# As Kubernetes' own reader: 1e9 is a number, where that of Python asks for a point and a sign.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _number(text: str) -> float:
    """Return a number of JSON, which has no other whole numbers than 4.0; larger ones are not exact."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _parsed_yaml(text: str, where: str) -> list[Any]:
    """Return the documents of a text, each as JSON can hold it."""
    try:
        documents = list(yaml.load_all(text, _Loader))
        # Through JSON, so that what follows meets only values that an API server could send.
        return [json.loads(json.dumps(document, default=str), parse_float=_number) for document in documents]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise InvalidSpec(f"{where} is not YAML: {error.problem}{place}") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # the latter for what JSON cannot hold
        raise InvalidSpec(f"{where} is not YAML of a resource: {' '.join(str(error).split())}") from error


# --- overrides ----------------------------------------------------------------------------------------------------


def _with_override(resource: dict[str, Any], override: str) -> dict[str, Any]:
    path, equals, text = override.partition("=")
    steps = path.removeprefix("spec.").split(".")
    if not equals or not all(steps):
        raise InvalidSpec(f"--set {override}: it must be PATH=VALUE, such as search.progressive.beamWidth=8")
    # A copy of all levels: the caller's resource stays as it is.
    changed: dict[str, Any] = json.loads(json.dumps(resource))
    place: Any = changed.setdefault("spec", {})
    model: type[BaseModel] = MetaSearchSpec
    for depth, step in enumerate(steps):
        if not isinstance(place, dict):
            whole = ".".join(("spec", *steps[:depth]))
            raise InvalidSpec(f"--set {path}: {whole} is {shown(place)} in the file; it must be an object with fields")
        annotation = _field_type(model, step, f"--set {path}")
        if depth == len(steps) - 1:
            place[step] = _parsed(annotation, text, override)
        else:
            place = place.setdefault(step, {})
            model = _model_in(annotation, f"--set {path}", step)
    return changed


def _field_type(model: type[BaseModel], name: str, where: str) -> Any:
    for field in model.model_fields.values():
        if field.alias == name:
            return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    raise InvalidSpec(f"{where}: {unknown_field(name, model)}")


def _model_in(annotation: Any, where: str, step: str) -> type[BaseModel]:
    """Return the model in `Model` or `Model | None`."""
    for model in models_in(annotation):
        return model
    raise InvalidSpec(f"{where}: {step} has no fields; set it as a whole")


def _parsed(annotation: Any, text: str, override: str) -> Any:
    """Parse a command-line text as the JSON value of a field."""
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    try:
        # Lists and objects are written as in YAML. A number for a choice is parsed here too, because validate_strings
        # would compare its text with the choices.
        if text[:1] in ("[", "{") or (text.isdecimal() and _is_choice(annotation)):
            value = adapter.validate_json(json.dumps(_parsed_yaml(text, f"--set {override}")[0]), strict=True)
        else:
            value = adapter.validate_strings(text)
    except ValidationError as error:
        problem = describe(error, next(models_in(annotation), None))
        raise InvalidSpec(f"--set {override}: {problem}") from error
    return adapter.dump_python(value, mode="json", by_alias=True)


def _is_choice(annotation: Any) -> bool:
    """Tell whether a type is `Literal` or `Literal | None`, annotated or not: then 1 and "1" differ."""
    return get_origin(annotation) is Literal or any(map(_is_choice, get_args(annotation)))


def _kind_of(value: Any) -> str:
    return {list: "a list", str: "text", int: "a number", float: "a number"}.get(type(value), type(value).__name__)
