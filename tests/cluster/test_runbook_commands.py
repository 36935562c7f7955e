"""The commands of the runbooks are ones that kubectl understands, and they name fields that there are."""

from __future__ import annotations

import re
import shlex

import pytest
from builders import make_resource
from devcluster.access import ClusterAccess
from monitoring.alerts.catalogue import ALERTS
from typer.testing import CliRunner

from metasearch.cluster.api import Api
from metasearch.kubernetes.names import API_VERSION, SEARCH
from metasearch_cli.main import kubectl_app

NOT_TRIED = {"edit", "exec", "port-forward", "rollout"}
"""They wait for somebody, or take a pod that runs."""

MISSING_HERE = re.compile(
    r'pods "POD" not found|Metrics API not available|deployments.apps "metasearch" not found|'
    r"doesn't have a resource type \"(workloads|localqueues|clusterqueues)\"|^no$"
)
"""Answers of a cluster without nodes, operator and Kueue, to commands that are right."""


def joined(text: str) -> str:
    """Return a text whose commands have a line each."""
    return text.replace("\\\n", "")


def commands() -> list[str]:
    """Return every command of the blocks, without what its output is piped into."""
    texts = (part for alert in ALERTS for part in (alert.runbook.diagnosis, alert.runbook.mitigation))
    lines = (
        line.strip() for text in texts for line in text.replace("\\\n", "").splitlines() if line.startswith("    ")
    )
    found = {re.sub(" +", " ", line).partition(" | ")[0] for line in lines if line.startswith("kubectl ")}
    assert len(found) > 25
    return sorted(found)


OWN = [command for command in commands() if command.startswith("kubectl metasearch ")]
KUBECTL = [command for command in commands() if command not in OWN and not NOT_TRIED & set(shlex.split(command)[:5])]


@pytest.fixture
def searched(cluster_with_crds: ClusterAccess, namespace: str) -> str:
    """Return a namespace with a search."""
    spec = make_resource().model_dump(mode="json", by_alias=True, exclude_unset=True)["spec"]
    metadata = {"name": "test", "namespace": namespace}
    cluster_with_crds.apply({"apiVersion": API_VERSION, "kind": SEARCH.kind, "metadata": metadata, "spec": spec})
    return namespace


def test_kubectl_understands_every_command(cluster_with_crds: ClusterAccess, searched: str) -> None:
    for command in KUBECTL:
        # To watch would last for ever.
        text = command.replace("NAMESPACE", searched).replace("OPERATOR-", "").replace("SEARCH", "test")
        arguments = [each for each in shlex.split(text)[1:] if each != "--watch"]
        ended = cluster_with_crds.kubectl(*arguments)
        assert ended.returncode == 0 or MISSING_HERE.search(ended.stdout.strip() + ended.stderr), (
            f"{command}: {ended.stderr}"
        )


def test_every_field_that_a_command_asks_for_is_there(cluster_with_crds: ClusterAccess, client: Api) -> None:  # noqa: ARG001
    asked = {
        (re.search(r"get (metasearch|metatrials)\b", command), path)
        for command in KUBECTL
        for path in re.findall(r"(?<=[{:'])\.((?:spec|status)[\w.]*)", command)
        if "get pods" not in command
    }
    assert len(asked) > 5
    for kind, path in asked:
        assert kind is not None
        cluster_with_crds.run("explain", f"{kind[1]}.{path}")


def test_the_command_has_what_the_runbooks_call() -> None:
    for command in OWN:
        _, _, name, *arguments = shlex.split(command)
        printed = CliRunner().invoke(kubectl_app, [name, "--help"]).output
        assert f"{name} [OPTIONS]" in printed, command
        assert all(each in printed for each in arguments if each.startswith("--")), command
