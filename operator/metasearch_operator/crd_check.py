"""Check at start that the cluster's CustomResourceDefinitions are those that this operator was built for."""

from __future__ import annotations

import logging

from metasearch.cluster.api import Api, NotFound, Refused
from metasearch.errors import InvalidSpec
from metasearch.kubernetes import names
from metasearch.kubernetes.crds import CRD_VERSION

logger = logging.getLogger(__name__)


def require_crds(api: Api) -> None:
    """
    Require that MetaSearch and MetaTrial are defined, and not by an older version.

    An older definition drops the fields that it does not know, and nobody can tell a dropped field from one that was
    never written. Newer definitions are compatible.

    Raises:
        InvalidSpec: a definition is missing or too old; the message says what to do.
        StoreUnavailable: the API server cannot be reached now.
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
            # Definitions are cluster-wide. An operator whose rights end at its namespace works all the same.
            logger.warning(
                "may not read the CustomResourceDefinition %s; its version is not checked", resource.definition
            )
            continue
        _require_version(resource, definition["metadata"].get("annotations", {}))


def _require_version(resource: names.Resource, annotations: dict[str, str]) -> None:
    text = annotations.get(names.ANNOTATION_CRD_VERSION, "")
    version = (
        int(text) if text.isdecimal() else 0
    )  # definitions without a version are older than the first that has one
    if version < CRD_VERSION:
        raise InvalidSpec(
            f"the CustomResourceDefinition {resource.definition} has version {version} and this operator needs "
            f"{CRD_VERSION}; apply the newer crds/ (helm upgrade does, with crds.enabled=true), and nothing is lost"
        )
