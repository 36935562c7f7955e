"""The CustomResourceDefinitions of both resources, as `kubectl apply` takes them."""

from __future__ import annotations

from typing import Any

from metasearch.api import CHANGEABLE, MetaSearchSpec
from metasearch.api.names import LABEL_PATTERN
from metasearch.api.resource import NAME_MAX_LENGTH
from metasearch.kubernetes import names
from metasearch.kubernetes.schemas import Schema, rule, schema_of, with_rules
from metasearch.kubernetes.search_status import SearchStatus
from metasearch.kubernetes.trial_resource import MetaTrialSpec, MetaTrialStatus

CRD_VERSION = 4
"""Raised with every change of the definitions. An operator does not act on definitions older than its own."""

Definition = dict[str, Any]


def definitions() -> dict[names.Resource, Definition]:
    """Return each resource's definition."""
    return {names.SEARCH: _search(), names.TRIAL: _trial()}


def _search() -> Definition:
    name = {"type": "string", "maxLength": NAME_MAX_LENGTH, "pattern": LABEL_PATTERN}
    schema = _root(
        "MetaSearch is a search for a small network that learns new image classes from a few examples.",
        spec={**_fixed(schema_of(MetaSearchSpec)), "description": "spec is what to search. dataset alone is enough."},
        status={**schema_of(SearchStatus), "description": "status is how far the search is and what it has found."},
    )
    schema["properties"]["metadata"] = {"type": "object", "properties": {"name": name}}
    columns = [
        _column("Round", ".status.round", "Round of the strategy that is under way", kind="integer"),
        _column("Trials", ".status.trials.total", "Trials so far, of every stage and state", kind="integer"),
        _column("Best", ".status.bestScore", "Best score so far, in [0, 1]"),
        _column("Spent", ".status.spent.share", "Used of the budget, of its nearest limit"),
        _column("State", '.status.conditions[?(@.type=="Ready")].reason', "Where the search is"),
        _column("Wall-Time", ".status.spent.wallTime", "Time since the start, suspension left out", wide=True),
        _column("GPU-Hours", ".status.spent.gpuHours", "GPU share x hours of all attempts", wide=True),
        _column("Cell", ".status.ranked[0].cell", "Cell with the best score", wide=True),
        _AGE,
    ]
    return _definition(names.SEARCH, schema, columns)


def _trial() -> Definition:
    status = {**schema_of(MetaTrialStatus), "description": "status is where the trial is in its life.", "default": {}}
    schema = _root(
        "MetaTrial is one evaluation of one candidate of a MetaSearch. The operator makes them, workers run them.",
        spec={**schema_of(MetaTrialSpec), "description": "spec is what to evaluate. It never changes."},
        status=status,
    )
    columns = [
        _column("Stage", ".spec.stage", "What the trial is for"),
        _column("Round", ".spec.round", "Round of the strategy that proposed it", kind="integer"),
        _column("Blocks", ".spec.blocks", "Blocks of the cell", kind="integer"),
        _column("State", ".status.state", "Where the trial is in its life"),
        _column("Score", ".status.result.score", "What ranks the candidate, in [0, 1]"),
        _column("Reason", ".status.result.reason", "Why it ended otherwise than by succeeding"),
        _column("Predicted", ".spec.predicted", "The score that the surrogate expected", wide=True),
        _column("Worker", ".status.claim.worker", "Who claimed it last", wide=True),
        _column("Cell", ".spec.candidate.architecture", "The cell's text form", wide=True),
        _AGE,
    ]
    definition = _definition(names.TRIAL, schema, columns)
    # Workers watch for what is pending, of a search with thousands of trials.
    definition["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".status.state"}]
    return definition


def _fixed(spec: Schema) -> Schema:
    """Let only the CHANGEABLE parts of a spec change."""
    parts = {
        name: part if name in CHANGEABLE else with_rules(part, rule("self == oldSelf", _fixed_message(name)))
        for name, part in spec["properties"].items()
    }
    return {**spec, "properties": parts}


def _fixed_message(name: str) -> str:
    return f"{name} must not change once the search is there; make another search instead"


def _root(description: str, spec: Schema, status: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"apiVersion is {names.API_VERSION}."},
            "kind": {"type": "string", "description": "kind is the resource's kind."},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status,
        },
    }


def _definition(resource: names.Resource, schema: Schema, columns: list[Schema]) -> Definition:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": resource.definition,
            "annotations": {names.ANNOTATION_CRD_VERSION: str(CRD_VERSION)},
        },
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.singular,
                "shortNames": [resource.short],
                "categories": [names.CATEGORY],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _column(name: str, path: str, description: str, kind: str = "string", wide: bool = False) -> Schema:
    """A column of `kubectl get`; a wide one is shown with `-o wide`."""
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": 1} if wide else column


_AGE = _column("Age", ".metadata.creationTimestamp", "Time since it was created", kind="date")
