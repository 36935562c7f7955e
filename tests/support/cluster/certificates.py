"""A certificate authority of the cluster's own, by way of openssl."""

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


class Authority:
    """Issues certificates into a folder; each is valid for a month."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._own: Certificate | None = None
        self._own = self._make("ca", ["CN = metasearch-test"], AUTHORITY)

    @property
    def certificate(self) -> Path:
        """What the others are checked against."""
        assert self._own is not None
        return self._own.certificate

    def issue(
        self, user: str, group: str | None = None, addresses: Sequence[str] = (), file: str | None = None
    ) -> Certificate:
        """For a client, whom the API server knows as this user of this group; also for a server at these addresses."""
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
        openssl("req", "-x509", *NEW_KEY, "-days", "30", *options)
        return made


NEW_KEY = ["-noenc", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


def make_key(path: Path) -> Path:
    """A private key by itself, which tokens are signed with."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    return path


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)  # noqa: S607


def kubeconfig(server: str, authority: Path, user: dict[str, Any]) -> dict[str, Any]:
    """What a client reads: where the API server is, how to know that it is the right one, and who is calling."""
    cluster = {"server": server, "certificate-authority-data": inline(authority)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }


def user_of(certificate: Certificate) -> dict[str, str]:
    """A kubeconfig's user who is known by a certificate."""
    return {
        "client-certificate-data": inline(certificate.certificate),
        "client-key-data": inline(certificate.key),
    }


def inline(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
