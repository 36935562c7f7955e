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

CRD_VERSION = 13
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
    # Of an object's metadata, Kubernetes lets a definition restrict only name and generateName.
    schema["properties"]["metadata"] = {"type": "object", "properties": {"name": name}}
    columns = [
        _column("Round", ".status.round", "Round of the strategy that is under way", kind="integer"),
        _column("Trials", ".status.trialsDone", "Search trials that are over, of those that the budget allows"),
        _column("Best", ".status.bestScore", "Best score of a whole training so far, in [0, 1]"),
        _column("Spent", ".status.spent.share", "Used share of the nearest limit of the budget"),
        _column("State", '.status.conditions[?(@.type=="Ready")].reason', "Phase of the search, or what is in its way"),
        _column("Final", ".status.finalTrials", "Trials of the final stage so far", kind="integer", wide=True),
        _column("Running", ".status.trials.running", "Trials of every stage that run", kind="integer", wide=True),
        _column("Failed", ".status.trials.failed", "Trials of every stage that failed", kind="integer", wide=True),
        _column(
            "Over-%",
            ".status.progress.percentage",
            "Estimated share of the time that is over",
            kind="integer",
            wide=True,
        ),
        _column("Wall-Time", ".status.spent.wallTime", "Time since the start, suspension left out", wide=True),
        _column("GPU-Hours", ".status.spent.gpuHours", "GPU share x hours of all attempts", wide=True),
        _column("Cell", ".status.ranked[0].cell", "Cell with the best score", wide=True),
        _AGE,
    ]
    return _definition(names.SEARCH, schema, columns)


def _trial() -> Definition:
    # With a default for the whole status, the API server gives a new trial the state Pending, by which workers select.
    status = {
        **schema_of(MetaTrialStatus),
        "description": "status is the state of the trial and its result.",
        "default": {},
    }
    schema = _root(
        "MetaTrial is one evaluation of one candidate of a MetaSearch. The operator makes them, workers run them.",
        spec={**schema_of(MetaTrialSpec), "description": "spec is what to evaluate. It never changes."},
        status=status,
    )
    columns = [
        _column("Stage", ".spec.stage", "Purpose of the trial"),
        _column("Round", ".spec.round", "Round of the strategy that proposed it", kind="integer"),
        _column("State", ".status.state", "State of the trial"),
        _column("Reported", ".status.progress.metaIteration", "Outer steps done at the last report", kind="integer"),
        _column("Iterations", ".spec.metaIterations", "Outer steps to train for", kind="integer"),
        _column("Beginning", ".spec.isBeginning", "Whether it is a part of a training, by its loss", kind="boolean"),
        _column("Score", ".status.result.score", "What ranks the candidate among those trained as long, in [0, 1]"),
        _column("Attempts", ".status.claim.epoch", "Claims by workers so far", kind="integer"),
        _column("Reason", ".status.result.reason", "Reason for an end other than success"),
        _column("Blocks", ".spec.blocks", "Blocks of the cell", kind="integer", wide=True),
        _column("Predicted", ".spec.predicted", "The score that the surrogate expected", wide=True),
        _column("Worker", ".status.claim.worker", "Worker that claimed it last", wide=True),
        _column("Message", ".status.result.message", "The reason in a sentence", wide=True),
        _column("Cell", ".spec.candidate.architecture", "The cell's text form", wide=True),
        _AGE,
    ]
    definition = _definition(names.TRIAL, schema, columns)
    # Workers watch for what is pending, of a search with thousands of trials.
    definition["spec"]["versions"][0]["selectableFields"] = [{"jsonPath": ".status.state"}]
    return definition


def _fixed(spec: Schema) -> Schema:
    """Let only the CHANGEABLE parts of a spec change."""
    # A rule for each part rather than for the spec, so that the refusal names the part. A rule about oldSelf is skipped
    # where a part is missing, but these are required or have defaults.
    parts = {
        name: part if name in CHANGEABLE else with_rules(part, _fixed_rule(name, part))
        for name, part in spec["properties"].items()
    }
    return {**spec, "properties": parts}


def _fixed_rule(name: str, part: Schema) -> Schema:
    """Return the rule that a part does not change, but for those of its fields that are CHANGEABLE."""
    changeable = [path.removeprefix(f"{name}.") for path in CHANGEABLE if path.startswith(f"{name}.")]
    if not changeable:
        return rule("self == oldSelf", f"{name} must not change once the search is there; make another search instead")
    fixed = [field for field in part["properties"] if field not in changeable]
    message = (
        f"{name} must not change once the search is there, but for its {', '.join(changeable[:-1])} and "
        f"{changeable[-1]}; make another search instead"
    )
    return rule(" && ".join(map(_same, fixed)), message)


def _same(field: str) -> str:
    """Return the condition that a field is as it was, or missing as it was."""
    # Those with defaults are missing, too, where Kubernetes checks that the part's own default, {}, is valid.
    there, was_there = f"has(self.{field})", f"has(oldSelf.{field})"
    return f"{there} == {was_there} && (!{there} || self.{field} == oldSelf.{field})"


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
    """Return a column of `kubectl get`; a wide one is shown with `-o wide`."""
    column = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return {**column, "priority": 1} if wide else column


_AGE = _column("Age", ".metadata.creationTimestamp", "Time since it was created", kind="date")
