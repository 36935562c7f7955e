"""The names that Kubernetes allows."""

from __future__ import annotations

LABEL_MAX_LENGTH = 63
SUBDOMAIN_MAX_LENGTH = 253

LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""A DNS label; RFC 1123."""

SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""DNS labels with dots between them."""
