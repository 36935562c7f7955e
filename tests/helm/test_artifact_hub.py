"""The annotations that Artifact Hub reads name what there is."""

from __future__ import annotations

import yaml
from chart import CHART

from metasearch.kubernetes.crds import definitions
from metasearch.loading import parse_search
from metasearch.search.build import require_known_names, require_possible

ANNOTATIONS = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["annotations"]


def test_the_resources_are_those_of_the_chart() -> None:
    named = {
        (each["kind"], each["version"], each["name"]) for each in yaml.safe_load(ANNOTATIONS["artifacthub.io/crds"])
    }
    assert named == {
        (each["spec"]["names"]["kind"], each["spec"]["versions"][0]["name"], each["metadata"]["name"])
        for each in definitions().values()
    }


def test_the_example_is_a_search() -> None:
    (example,) = yaml.safe_load(ANNOTATIONS["artifacthub.io/crdsExamples"])
    spec = parse_search(example).spec
    require_known_names(spec)
    require_possible(spec)


def test_each_annotation_is_a_text() -> None:
    assert all(isinstance(value, str) for value in ANNOTATIONS.values())
