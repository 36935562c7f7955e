"""Every name by which the operator, its workers and its users find things in a cluster."""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "metasearch.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

CATEGORY = "nas"
"""`kubectl get nas` lists searches and trials. Not `all`: nobody wants thousands of trials in there."""


@dataclass(frozen=True)
class Resource:
    """A custom resource's names."""

    kind: str
    plural: str
    singular: str
    short: str

    @property
    def definition(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


SEARCH = Resource(kind="MetaSearch", plural="metasearches", singular="metasearch", short="msearch")
TRIAL = Resource(kind="MetaTrial", plural="metatrials", singular="metatrial", short="mtrial")

PREFIX = GROUP
"""Of labels and annotations that are ours."""

LABEL_SEARCH = f"{PREFIX}/search"
"""The search that an object belongs to."""

LABEL_STAGE = f"{PREFIX}/stage"
"""What a trial is for."""

LABEL_LEVEL = f"{PREFIX}/level"
"""The number of blocks of a trial's cell."""

ANNOTATION_CRD_VERSION = f"{PREFIX}/crd-version"
"""On a CustomResourceDefinition: what `crds.CRD_VERSION` was when it was made."""
