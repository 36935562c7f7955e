"""A status is small, whatever the search."""

from __future__ import annotations

import json
from typing import Any

from metasearch.api import Space
from metasearch.api.names import HYPERPARAMETER_MAX_LENGTH
from metasearch.kubernetes.schemas import schema_of
from metasearch.kubernetes.search_status import MAX_FRONT, MAX_RANKED, MAX_ROUNDS, SearchStatus
from metasearch.outcome.results import FRONT_LENGTH

Schema = dict[str, Any]

INT64_MAX = 2**63 - 1

MAX_BYTES = 112 * 1024
"""The largest size of a status, however many trials there are; docs/operator.md states it, too."""


def largest(schema: Schema) -> Any:
    """Return a value of the schema; none takes more bytes."""
    match schema["type"]:
        case "object" if "additionalProperties" in schema:
            names = (f"{number:x>{HYPERPARAMETER_MAX_LENGTH}}" for number in range(schema["maxProperties"]))
            return dict.fromkeys(names, largest(schema["additionalProperties"]))
        case "object":
            return {name: largest(inner) for name, inner in schema["properties"].items()}
        case "array":
            return [largest(schema["items"])] * schema["maxItems"]
        case "boolean":
            return False  # a letter more than true
        case "integer":
            return schema.get("maximum", INT64_MAX)
    if "enum" in schema:
        return max(schema["enum"], key=len)
    # A control character takes six bytes; no pattern of ours lets one in, nor anything else of more than one.
    return ("x" if "pattern" in schema else "\0") * schema["maxLength"]


def test_the_largest_status_there_can_be_fits() -> None:
    """Nothing in a status grows with the number of trials."""
    status = largest(schema_of(SearchStatus))
    assert (len(status["ranked"]), len(status["front"]), len(status["rounds"])) == (MAX_RANKED, MAX_FRONT, MAX_ROUNDS)
    assert len(json.dumps(status)) < MAX_BYTES


def test_it_has_room_for_what_a_search_says() -> None:
    largest_cells = next(rule.le for rule in Space.model_fields["max_blocks"].metadata if hasattr(rule, "le"))
    assert largest_cells <= MAX_ROUNDS
    assert FRONT_LENGTH <= MAX_FRONT
