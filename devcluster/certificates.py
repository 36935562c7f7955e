"""A certificate authority for one cluster, by means of openssl."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUEST = """
[req]
prompt = no
distinguished_name = subject
x509_extensions = extensions

[subject]
{subject}

[extensions]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{extensions}
"""

AUTHORITY = ["basicConstraints = critical, CA:true", "keyUsage = critical, keyCertSign, cRLSign"]
LEAF = [
    "basicConstraints = critical, CA:false",
    "keyUsage = critical, digitalSignature",
    "extendedKeyUsage = serverAuth, clientAuth",
]


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, in files."""

    certificate: Path
    key: Path


class CertificateAuthority:
    """A certificate authority that issues certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._own: Certificate | None = None
        self._own = self._make("ca", ["CN = metasearch-test"], AUTHORITY)

    @property
    def certificate(self) -> Path:
        """The authority's own certificate, which all others are checked against."""
        assert self._own is not None
        return self._own.certificate

    def issue(
        self, user: str, group: str | None = None, addresses: Sequence[str] = (), file: str | None = None
    ) -> Certificate:
        """
        Issue a certificate for a client and, if addresses are given, a server.

        Args:
            user: the user name that the API server sees, the certificate's common name.
            group: the group that the API server sees, the certificate's organization.
            addresses: the IP addresses or DNS names that a server with this certificate may have.
            file: the name of the files; derived from the user by default.
        """
        subject = [f"CN = {user}"] if group is None else [f"O = {group}", f"CN = {user}"]
        alternatives = ", ".join(f"{'IP' if address[0].isdigit() else 'DNS'}:{address}" for address in addresses)
        extensions = [*LEAF, f"subjectAltName = {alternatives}"] if alternatives else LEAF
        return self._make(file or user.replace(":", "-"), subject, extensions)

    def _make(self, name: str, subject: Sequence[str], extensions: Sequence[str]) -> Certificate:
        request = self._folder / f"{name}.cnf"
        request.write_text(REQUEST.format(subject="\n".join(subject), extensions="\n".join(extensions)))
        made = Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        options: list[str | Path] = ["-config", request, "-keyout", made.key, "-out", made.certificate]
        if self._own is not None:
            options += ["-CA", self._own.certificate, "-CAkey", self._own.key]
        # Nothing renews a certificate; a month is longer than a cluster of tests or of a developer is kept.
        openssl("req", "-x509", *NEW_KEY, "-days", "30", *options)
        return made


# A cluster has a dozen keys: elliptic ones take milliseconds each, RSA ones tenths of a second.
NEW_KEY = ["-noenc", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


def make_key(path: Path) -> Path:
    """Make a private key that tokens are signed with."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    return path


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)  # noqa: S607


def make_kubeconfig(server: str, authority: Path, user: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig: the API server's address, its certificate authority and the user."""
    cluster = {"server": server, "certificate-authority-data": base64_of(authority)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }


def certificate_user(certificate: Certificate) -> dict[str, str]:
    """Return the user entry of a kubeconfig for a client certificate."""
    return {
        "client-certificate-data": base64_of(certificate.certificate),
        "client-key-data": base64_of(certificate.key),
    }


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
