"""The storage in which a search on a cluster keeps what outlives its pods. A run on one machine ignores it."""

from __future__ import annotations

from pydantic import Field

from metasearch.api.base import Rule, SpecModel
from metasearch.api.names import SUBDOMAIN_MAX_LENGTH, SUBDOMAIN_PATTERN


class Storage(SpecModel):
    """The place of weights and of the checkpoints of final trials. Exactly one of claim and url."""

    claim: str | None = Field(
        default=None,
        max_length=SUBDOMAIN_MAX_LENGTH,
        pattern=SUBDOMAIN_PATTERN,
        description="claim is the PersistentVolumeClaim, in the search's namespace, whose volume they are kept on; "
        "with workers on several nodes it must be ReadWriteMany.",
    )
    url: str | None = Field(
        default=None,
        max_length=1024,
        pattern=r"^[a-z][a-z0-9]*://[!-~]+$",
        description="url is the folder of an object store that they are kept in, such as s3://bucket/folder. Workers "
        "take credentials from the Secret that the operator's installation names, or from their service account.",
    )

    rules = (
        Rule(
            cel="has(self.claim) != has(self.url)",
            message="must have exactly one of claim and url",
            holds=lambda storage: (storage.claim is None) != (storage.url is None),
        ),
    )
