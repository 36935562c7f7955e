"""Patterns and lengths of names: Kubernetes' own, and those of parts that a package may add."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

LABEL_MAX_LENGTH = 63
SUBDOMAIN_MAX_LENGTH = 253

LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""A DNS label; RFC 1123."""

SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""DNS labels with dots between them."""

_DOMAIN = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"

QUALIFIED_MAX_LENGTH = SUBDOMAIN_MAX_LENGTH + 1 + LABEL_MAX_LENGTH

QUALIFIED_PATTERN = rf"^({_DOMAIN}/)?{_PART}$"
"""A name that may have a domain before it, such as nvidia.com/gpu."""

DOMAIN_PATH_PATTERN = rf"^{_DOMAIN}/{_PART}$"
"""A name that must have one, such as metasearch.dev/operator."""

LABEL_VALUE_PATTERN = rf"^({_PART})?$"

EXTENSION_MAX_LENGTH = 63

EXTENSION_PATTERN = r"^[A-Za-z][-A-Za-z0-9_.]*$"
"""A part of a search that an installed package may add; see `metasearch.extensions`."""

OPERATION_MAX_LENGTH = 24  # a cell of eight blocks must fit in a trial's record

ARCHITECTURE_MAX_LENGTH = 512
"""Eight blocks of the longest names take half of it."""

Architecture = Annotated[str, Field(min_length=1, max_length=ARCHITECTURE_MAX_LENGTH, pattern=r"^[-A-Za-z0-9_()+| ]+$")]
"""The text form of a cell, or the name of a hand-made network."""

OPERATION_PATTERN = r"^[a-z][a-z0-9_]*$"
"""An operation, as a cell's text form can hold it."""

HYPERPARAMETER_MAX_LENGTH = 32

HYPERPARAMETER_PATTERN = r"^[a-z][A-Za-z0-9]*$"
"""A hyperparameter: a field by its name in YAML."""
