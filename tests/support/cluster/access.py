"""What a test has in hand of a cluster: an address, a kubeconfig, kubectl."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

SECONDS = 300
"""For one command; generous, since kubectl may be told to wait for something."""


@dataclass(frozen=True)
class Access:
    """To a cluster, as one user; as an administrator, unless it comes from `with_token`."""

    url: str
    kubeconfig: Path
    namespace: str
    """Where the kubeconfig points; in a cluster that is not ours, a namespace that was made for these tests."""

    program: Path = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    def command(self, *arguments: str) -> list[str]:
        """How to call kubectl; its cache stays beside the kubeconfig."""
        cache = self.kubeconfig.parent / "kubectl-cache"
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", *arguments]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end, whatever that is."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**self.environment, "KUBERC": "off"},  # no aliases of whoever runs the tests
        )

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """What kubectl printed, where it is to go well."""
        ended = self.kubectl(*arguments, stdin=stdin)
        assert ended.returncode == 0, f"kubectl {' '.join(arguments)}: {ended.stderr}"
        return ended.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list of objects."""
        found: dict[str, Any] = json.loads(self.run("get", *arguments, "--output=json"))
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self.run("apply", "--filename=-", stdin=yaml.safe_dump_all(map(dict, objects)))

    def within(self, namespace: str) -> Access:
        """To another namespace, for whoever takes the kubeconfig's."""
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        for context in config["contexts"]:
            context["context"]["namespace"] = namespace
        path = write_kubeconfig(self.kubeconfig.with_name(f"{namespace}.kubeconfig"), config)
        return replace(self, kubeconfig=path, namespace=namespace)

    def with_token(self, token: str) -> Access:
        """As the one whom a token names, and nobody else."""
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        return replace(
            self, kubeconfig=write_kubeconfig(self.kubeconfig.with_name(f"token-{uuid.uuid4().hex[:8]}"), config)
        )


def write_kubeconfig(path: Path, config: Mapping[str, Any]) -> Path:
    """For nobody else to read: there are keys in it."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    return path
