"""Whether the cluster's definitions of our resources are those that this operator was made for."""

from __future__ import annotations

import logging

from metasearch.cluster.api import Api, NotFound, Refused
from metasearch.errors import InvalidSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.crds import CRD_VERSION

logger = logging.getLogger(__name__)


def require_definitions(api: Api) -> None:
    """
    See that MetaSearch and MetaTrial are defined, and not by an older version.

    An older definition drops the fields that it does not know, and what was dropped cannot be told from what was never
    there. Newer ones are compatible.

    Raises:
        InvalidSpec: says what is there and what to do.
    """
    for resource in (names.SEARCH, names.TRIAL):
        try:
            definition = api.get(names.DEFINITION.path(None, resource.definition))
        except NotFound as error:
            raise InvalidSpec(
                f"the CustomResourceDefinition {resource.definition} is missing; apply crds/, or install the "
                "chart with crds.enabled=true"
            ) from error
        except Refused:
            logger.warning(
                "may not read the CustomResourceDefinition %s; its version is not checked", resource.definition
            )
            continue
        annotation = definition["metadata"].get("annotations", {}).get(names.ANNOTATION_CRD_VERSION, "")
        there = int(annotation) if annotation.isdecimal() else 0
        if there < CRD_VERSION:
            raise InvalidSpec(
                f"the CustomResourceDefinition {resource.definition} has version {there} and this operator needs "
                f"{CRD_VERSION}; apply the newer crds/ (helm upgrade does, with crds.enabled=true), and nothing is lost"
            )
