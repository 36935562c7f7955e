"""The definitions of the resources: structural, bounded, explained, and as the models say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builders import make_spec
from pydantic import BaseModel

from metasearch.api import CHANGEABLE, MetaSearchSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.crds import definitions
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.trial_resource import MetaTrialSpec, MetaTrialStatus

Schema = dict[str, Any]

PARTS = {str(field.alias) for field in MetaSearchSpec.model_fields.values()}
"""The parts of a spec, as they are written."""

FORBIDDEN = {"$ref", "definitions", "dependencies", "deprecated", "discriminator", "id", "patternProperties"}
FORBIDDEN |= {
    "readOnly",
    "writeOnly",
    "xml",
    "uniqueItems",
    "nullable",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "title",
    "const",
}
"""These keywords are refused by Kubernetes, or unwanted in our schemas."""

KNOWN_TYPES = {"object", "array", "string", "integer", "boolean"}  # no floats: they lose digits on the way

SCHEMAS = {
    resource.kind: definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for resource, definition in definitions().items()
}


def nodes(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Yield every schema in a schema with its path."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for suffix, key in (("[]", "items"), ("{}", "additionalProperties")):
        if key in schema:
            yield from nodes(schema[key], path + suffix)


def own_schemas() -> Iterator[tuple[str, Schema]]:
    """Yield every schema of a spec or a status; the rest is Kubernetes' own."""
    for kind, schema in SCHEMAS.items():
        for part in ("spec", "status"):
            yield from nodes(schema["properties"][part], f"{kind}.{part}")


NODES = dict(own_schemas())


# --- structure ----------------------------------------------------------------------------------------------------


def test_schemas_are_structural() -> None:
    for path, node in NODES.items():
        assert not FORBIDDEN & set(node), path
        assert ("x-kubernetes-int-or-string" in node) != (node.get("type") in KNOWN_TYPES), path
        assert node.get("additionalProperties", True), path  # false is not structural


def test_everything_is_bounded_so_that_rules_have_a_price() -> None:
    for path, node in NODES.items():
        assert BOUNDED[node.get("type", "string")](node), path


BOUNDED: dict[str, Callable[[Schema], bool]] = {
    "array": lambda node: node["maxItems"] > 0 and node["x-kubernetes-list-type"] in ("atomic", "map"),
    "object": lambda node: bool(node.get("properties")) != (node.get("maxProperties", 0) > 0),
    "integer": lambda node: "enum" in node or ("minimum" in node and node["format"] in ("int32", "int64")),
    "string": lambda node: "enum" in node or node["maxLength"] > 0,
    "boolean": lambda node: True,  # noqa: ARG005
}


def test_patterns_span_the_whole_text() -> None:
    for path, node in NODES.items():
        if pattern := node.get("pattern"):
            assert (pattern[0], pattern[-1]) == ("^", "$"), path
            re.compile(pattern)


def test_rules_say_what_must_be() -> None:
    for path, node in NODES.items():
        for rule in node.get("x-kubernetes-validations", ()):
            assert re.search(r"\bmust\b.*[^.]$", rule["message"]), path


# --- explanations -------------------------------------------------------------------------------------------------


def test_fields_are_explained_beginning_with_their_names() -> None:
    for path, node in NODES.items():
        name = path.rpartition(".")[2]
        if name[-1] not in "]}":
            assert re.match(rf"{name}\b.*\.$", node["description"]), path


def test_fields_of_a_spec_say_what_they_are_by_default() -> None:
    """A field that may be left out and has no fields of its own names its default."""
    either = {  # of which one must be given
        *("MetaSearch.spec.dataset.name", "MetaSearch.spec.dataset.folder"),
        *("MetaSearch.spec.storage.claim", "MetaSearch.spec.storage.url"),
    }
    for path, node in NODES.items():
        parent, _, name = path.rpartition(".")
        is_leaf = name[-1] not in "]}" and "properties" not in node
        if parent.startswith("MetaSearch.spec") and is_leaf and path not in either:
            if name not in NODES[parent].get("required", ()):
                assert "Default: " in node["description"], path
            if (default := node.get("default")) is not None and not isinstance(default, list):
                text = str(default).lower() if isinstance(default, bool) else str(default)
                assert re.search(rf'Default: "?{re.escape(text)}\b', node["description"]), path


def test_units_are_named() -> None:
    """The field's name, its description or an example in it says the unit."""
    unit = re.compile(r"such as|in (seconds|bytes|milliseconds|UTC|pixels)|\[-?[01], 1\]|number|share|half|step size")
    measured = re.compile(r"(Time|Size|Hours|Seconds|Bytes|Ms|score|interval|Memory|Rate|At)$")
    for path, node in NODES.items():
        if measured.search(path) and node.get("type") != "object" and "enum" not in node:
            assert unit.search(node["description"]), path


# --- defaults -----------------------------------------------------------------------------------------------------


def filled(schema: Schema, value: Any) -> Any:
    """Return a value with defaults, as the API server fills them in."""
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    defaults = {name: inner["default"] for name, inner in known.items() if "default" in inner}
    return {name: filled(known.get(name, {}), each) for name, each in {**defaults, **value}.items()}


def without_empty(value: Any) -> Any:
    """Return a value without what is null or empty, which resources leave out."""
    if not isinstance(value, dict):
        return value
    inner = {name: without_empty(each) for name, each in value.items()}
    return {name: each for name, each in inner.items() if each not in (None, {}, [])}


@pytest.mark.parametrize(
    ("schema", "given", "model"),
    [
        ("MetaSearch", {"dataset": {"name": "omniglot"}}, make_spec()),
        (
            "MetaSearch",
            {"dataset": {"folder": {"path": "images"}}, "space": {"filters": 3}},
            make_spec(dataset={"name": None, "folder": {"path": "images"}}, space={"filters": 3}),
        ),
    ],
)
def test_defaults_are_the_models(schema: str, given: dict[str, Any], model: BaseModel) -> None:
    found = filled(SCHEMAS[schema]["properties"]["spec"], given)
    assert without_empty(found) == without_empty(model.model_dump(mode="json", by_alias=True))


def test_a_new_trial_is_pending() -> None:
    status = SCHEMAS["MetaTrial"]["properties"]["status"]
    assert filled({"properties": {"status": status}}, {}) == {"status": {"state": "Pending", "stopRequested": False}}


# --- nothing is left out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("MetaSearch.spec", MetaSearchSpec),
        ("MetaSearch.status", SearchStatus),
        ("MetaTrial.spec", MetaTrialSpec),
        ("MetaTrial.status", MetaTrialStatus),
    ],
)
def test_a_schema_has_every_field_of_its_model(path: str, model: type[BaseModel]) -> None:
    validated = model.model_json_schema(by_alias=True)
    assert set(NODES[path]["properties"]) == set(validated["properties"])
    assert set(NODES[path].get("required", ())) == set(validated.get("required", ()))


def test_all_but_what_may_change_is_fixed() -> None:
    fixed = {
        name
        for name, node in NODES["MetaSearch.spec"]["properties"].items()
        if any(rule["rule"] == "self == oldSelf" for rule in node.get("x-kubernetes-validations", ()))
    }
    assert fixed == PARTS - {path.split(".")[0] for path in CHANGEABLE}
    assert {path for path in CHANGEABLE if "." not in path} < PARTS


def test_of_final_only_what_decides_how_much_is_trained_may_change() -> None:
    (fixed,) = (
        rule
        for rule in NODES["MetaSearch.spec.final"]["x-kubernetes-validations"]
        if rule["message"].startswith("final must not change once the search is there, but for its baselines, reserve,")
    )
    named = set(re.findall(r"oldSelf\.(\w+)", fixed["rule"]))
    assert named == {"metaIterations", "training", "tasks", "deliver"}
    assert named | {"baselines", "reserve", "seeds", "top"} == set(NODES["MetaSearch.spec.final"]["properties"])


@pytest.mark.parametrize("name", sorted(PARTS - set(CHANGEABLE)))
def test_what_is_fixed_is_always_there(name: str) -> None:
    """A rule on a change is only tried where the field was there before and is there after it."""
    spec = NODES["MetaSearch.spec"]
    assert name in spec["required"] or "default" in spec["properties"][name]


# --- what kubectl shows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("resource", "columns"),
    [
        (names.SEARCH, ["Round", "Trials", "Best", "Spent", "State", "Age"]),
        (
            names.TRIAL,
            [
                *("Stage", "Round", "State", "Reported", "Iterations", "Beginning", "Score", "Attempts", "Reason"),
                "Age",
            ],
        ),
    ],
)
def test_columns_show_fields_that_exist(resource: names.Resource, columns: list[str]) -> None:
    version = definitions()[resource]["spec"]["versions"][0]
    shown = version["additionalPrinterColumns"]
    assert [column["name"] for column in shown if not column.get("priority")] == columns
    for column in shown:
        path = re.sub(r"\[[^]]*\]", "[]", column["jsonPath"])
        if not path.startswith(".metadata."):
            assert resource.kind + path in NODES
            kind = NODES[resource.kind + path]["type"]
            assert column["type"] == kind


def test_definitions_say_their_version() -> None:
    for definition in definitions().values():
        assert int(definition["metadata"]["annotations"][names.ANNOTATION_CRD_VERSION]) >= 1
