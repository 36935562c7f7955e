"""Older and missing CustomResourceDefinitions are refused at the start."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from operator_builders import RecordingApi

from metasearch.cluster.api import Refused, StoreUnavailable
from metasearch.errors import InvalidSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.crds import CRD_VERSION, definitions
from metasearch_operator.crd_check import require_crds

Json = dict[str, Any]


def api(**annotations: str) -> RecordingApi:
    """Make an API with both definitions; keywords are the version of each, by the resource's singular."""
    objects = {}
    for resource, definition in definitions().items():
        version = annotations.get(resource.singular)
        metadata = (
            definition["metadata"] if version is None else {"annotations": {names.ANNOTATION_CRD_VERSION: version}}
        )
        objects[names.DEFINITION.path(None, resource.definition)] = {"metadata": metadata}
    return RecordingApi(objects)


def test_the_definitions_that_come_with_it_will_do() -> None:
    require_crds(api())


def test_newer_definitions_will_do() -> None:
    require_crds(api(metasearch=str(CRD_VERSION + 1)))


@pytest.mark.parametrize("resource", [names.SEARCH, names.TRIAL], ids=lambda resource: resource.kind)
@pytest.mark.parametrize("version", [str(CRD_VERSION - 1), "0", "", "newest"])
def test_older_definitions_and_unknown_ones_are_refused(resource: names.Resource, version: str) -> None:
    with pytest.raises(
        InvalidSpec, match=rf"{resource.definition} has version \d+ and this operator needs {CRD_VERSION};"
    ):
        require_crds(api(**{resource.singular: version}))


def test_a_definition_without_annotations_is_refused() -> None:
    there = api()
    there.objects = {path: {"metadata": {}} for path in there.objects}
    with pytest.raises(InvalidSpec, match="has version 0"):
        require_crds(there)


def test_missing_definitions_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"metasearches.metasearch.dev is missing; apply crds/"):
        require_crds(RecordingApi())


class NotAllowed(RecordingApi):
    def get(self, path: str) -> Json:
        raise Refused(f"{path} is forbidden")


def test_an_operator_that_may_not_look_goes_on_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        require_crds(NotAllowed())
    assert [record.message for record in caplog.records] == [
        f"may not read the CustomResourceDefinition {resource.definition}; its version is not checked"
        for resource in (names.SEARCH, names.TRIAL)
    ]


class Unreachable(RecordingApi):
    def get(self, path: str) -> Json:
        raise StoreUnavailable(f"{path} cannot be reached")


def test_an_api_server_that_does_not_answer_is_not_taken_for_missing_definitions() -> None:
    with pytest.raises(StoreUnavailable):
        require_crds(Unreachable())
