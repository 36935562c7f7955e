"""The way to a cluster that a test has: an address, a kubeconfig and kubectl."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from devcluster import janitor

SECONDS = 300
"""The time limit of one command; generous, since kubectl may be told to wait for something."""


@dataclass(frozen=True)
class ClusterAccess:
    """Access to a cluster as one user: the administrator, unless it comes from `with_token`."""

    url: str
    kubeconfig: Path
    namespace: str
    """The kubeconfig's namespace; in a cluster that is not ours, one that was created for these tests."""

    program: Path = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)

    @property
    def mark(self) -> Mapping[str, str]:
        """The variable by which a process ends with the cluster, whose owner may be killed; none for one not ours."""
        return {name: value for name, value in self.environment.items() if name == janitor.MARK}

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of kubectl; its cache stays beside the kubeconfig."""
        cache = self.kubeconfig.parent / "kubectl-cache"
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={cache}", *arguments]

    def kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end, whatever its exit code."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**self.environment, "KUBERC": "off"},  # ignores the aliases of whoever runs the tests
        )

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Return the output of kubectl, which must succeed."""
        ended = self.kubectl(*arguments, stdin=stdin)
        assert ended.returncode == 0, f"kubectl {' '.join(arguments)}: {ended.stderr}"
        return ended.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """Return an object, or a list of objects."""
        found: dict[str, Any] = json.loads(self.run("get", *arguments, "--output=json"))
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        self.run("apply", "--filename=-", stdin=yaml.safe_dump_all(map(dict, objects)))

    def within(self, namespace: str) -> ClusterAccess:
        """Return access with another default namespace, for programs that use the kubeconfig's."""
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        for context in config["contexts"]:
            context["context"]["namespace"] = namespace
        path = write_kubeconfig(self.kubeconfig.with_name(f"{namespace}.kubeconfig"), config)
        return replace(self, kubeconfig=path, namespace=namespace)

    def with_token(self, token: str) -> ClusterAccess:
        """Return access as the user whom a token names, without the administrator's certificate."""
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        return replace(
            self, kubeconfig=write_kubeconfig(self.kubeconfig.with_name(f"token-{uuid.uuid4().hex[:8]}"), config)
        )


def write_kubeconfig(path: Path, config: Mapping[str, Any]) -> Path:
    """Write a kubeconfig that only its owner can read, since it holds keys."""
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    return path
