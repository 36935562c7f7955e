"""The project's images: really built from the Dockerfile, and really run where the strictest rules hold."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from devcluster import image_store
from devcluster.access import ClusterAccess
from devcluster.binaries import ROOT
from devcluster.image_builder import DOCKERFILE, FOLDER, OPERATOR, TARGETS, TRAINER, ImageBuilder, build_lock
from devcluster.janitor import marked_processes
from devcluster.processes import managed_processes
from local_search import wait_until

Built = Mapping[str, image_store.StoredImage]

RESTRICTED_POD_SECURITY = {"pod-security.kubernetes.io/enforce": "restricted"}
SPEC = ROOT / "examples/omniglot-quick.yaml"


@pytest.fixture
def namespace(cluster: ClusterAccess) -> Iterator[str]:
    name = f"images-{os.urandom(4).hex()}"
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED_POD_SECURITY}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "search", "namespace": name},
            "data": {"search.yaml": SPEC.read_text(encoding="utf-8")},
        },
    )
    # The controller manager makes these a moment later; pods need them.
    wait_until(lambda: cluster.kubectl("get", "serviceaccount", "default", f"--namespace={name}").returncode == 0)
    yield name
    cluster.run("delete", "namespace", name, "--wait=false")


def pod(namespace: str, image: str, *command: str) -> dict[str, Any]:
    """Return a pod with the image's own user and a read-only root file system."""
    container = {
        "name": "work",
        "image": image,
        "imagePullPolicy": "Never",
        "command": command,
        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
        "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "search", "mountPath": "/search"}],  # noqa: S108
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "work", "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "search", "configMap": {"name": "search"}}],
        },
    }


def output_of(cluster: ClusterAccess, namespace: str, image: str, *command: str) -> str:
    """Return the output of a command in a pod, which must succeed."""
    there = f"--namespace={namespace}"
    cluster.apply(pod(namespace, image, *command))
    ended = "{.status.containerStatuses[0].state.terminated"
    cluster.run("wait", "pod/work", there, f"--for=jsonpath={ended}}}", "--timeout=240s")
    said = cluster.run("logs", "work", there)
    assert cluster.run("get", "pod/work", there, f"--output=jsonpath={ended}.exitCode}}") == "0", said
    return said


WHERE_AND_WHO = """
import errno, importlib.util, os, pathlib, sys
assert (os.getuid(), os.getgid()) == (65532, 65532)
for place in ("/", "/opt/metasearch", "/opt/venv", "/var"):
    try:
        pathlib.Path(place, "new").touch()
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES), error
    else:
        raise AssertionError(f"{place} can be written to")
pathlib.Path.home().joinpath("new").touch()
pathlib.Path("/tmp/torch.py").write_text("raise AssertionError('a module from where everybody writes')")
import torch
for module in list(sys.modules.values()):
    source = getattr(module, "__file__", None) or ""
    if source.startswith("/opt") and source.endswith(".py"):
        assert os.path.exists(importlib.util.cache_from_source(source)), f"{source} is compiled at every start"
"""

TRAIN = """
import kubernetes, safetensors, s3fs
from metasearch.search.cells import parse_cell
from metasearch.api import Space
from metasearch_trainer.network import CellNetwork
cell = parse_cell("conv3x3(-1)+max_pool3x3(-2)")
network = CellNetwork(cell, Space(), channels=1, side=28, ways=5)
logits = network(torch.randn(2, network.layout.size), torch.rand(2, 3, 1, 28, 28))
assert logits.shape == (2, 3, 5)
"""

RANK = """
import subprocess
import aiohttp, kopf, kubernetes
ranking = '''
from metasearch import api
import numpy
from metasearch.search.surrogates import Candidates, Observations, build

def read(*tokens):
    nothing = numpy.zeros(len(tokens))
    empty = nothing[:, None]
    return Candidates(tokens=tokens, features=empty, sizes=empty, parent_scores=nothing)

candidates = read(((1, 2),), ((2, 3),), ((3, 4),))
from types import SimpleNamespace
space = SimpleNamespace(vocabulary_size=5, step_width=2)
observations = Observations(candidates=candidates, scores=numpy.array([0.2, 0.4, 0.6]), errors=numpy.zeros(3),
    rounds=numpy.array([1, 1, 2]))
predictor = build(api.Surrogate(members=2), space).fit(observations, [0])
means = predictor.predict(read(((3, 4),), ((1, 2),)))
print(means)
'''
print(subprocess.run([sys.executable, "-c", ranking], check=True, capture_output=True, text=True).stdout)
"""


@pytest.mark.usefixtures("built_images")
def test_the_trainer_runs_where_nothing_can_be_written(cluster: ClusterAccess, namespace: str) -> None:
    validate = "import subprocess; subprocess.run(['metasearch', 'validate', '/search/search.yaml'], check=True)"
    said = output_of(cluster, namespace, TRAINER, "python", "-c", WHERE_AND_WHO + TRAIN + validate)
    assert "is a valid search: omniglot-quick, " in said


@pytest.mark.usefixtures("built_images")
def test_the_operator_ranks_where_nothing_can_be_written(cluster: ClusterAccess, namespace: str) -> None:
    assert output_of(cluster, namespace, OPERATOR, "python", "-c", WHERE_AND_WHO + RANK).strip()


def test_the_images_say_what_they_are_and_how_they_start(
    built_images: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, module in ((OPERATOR, "metasearch_operator"), (TRAINER, "metasearch_trainer.pod")):
        image = built_images[name]
        config = json.loads((image_store.BLOBS / image.image_id).read_text(encoding="utf-8"))["config"]
        labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
        assert config["User"] == "65532:65532"
        assert config["Entrypoint"] == ["python", "-m", module]
        assert f"localhost/{labels['title']}:dev" == name
        assert labels["licenses"] == "Apache-2.0"
        with capsys.disabled():
            sys.stdout.write(f"\n{name}: {image.unpacked}, compressed {image.size / 1e9:.2f} GB\n")


def test_both_images_share_their_large_layer(built_images: Built) -> None:
    largest = max(built_images[TRAINER].layers, key=lambda layer: layer.size)
    assert largest in built_images[OPERATOR].layers
    assert largest.size > 0.9 * built_images[TRAINER].size


def test_code_is_a_small_layer_above_all_others(built_images: Built) -> None:
    operator, trainer = built_images[OPERATOR].layers[-1].size, built_images[TRAINER].layers[-1].size
    # Each has its own code alone; the trainer's has Omniglot and the command, too.
    assert 200_000 < operator < trainer < 5_000_000
    assert trainer > 1_000_000


def test_both_targets_begin_with_the_same_stage_and_differ_in_their_code() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    stages = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)}
    assert {stages[target] for target in TARGETS.values()} == {"shared"}
    for target in TARGETS.values():
        copied = set(re.findall(rf"^COPY \S+/(metasearch\w*) /code/{target}/\1$", text, re.MULTILINE))
        assert copied == {"operator": {"metasearch", "metasearch_operator"}}.get(
            target, {"metasearch", "metasearch_trainer", "metasearch_cli"}
        )


@pytest.mark.usefixtures("built_images")
def test_with_an_index_for_pytorch_nothing_of_cuda_is_installed(tmp_path: Path) -> None:
    with build_lock(), managed_processes() as processes:
        builder = ImageBuilder(processes)
        builder.arguments["TORCH_INDEX"] = "https://wheels.example/cpu"
        name = "localhost/metasearch-requirements:dev"
        builder.build_from(DOCKERFILE, ROOT, name, "--target=requirements")
        builder.copy_from_image(name, "/requirements", tmp_path)
    assert (tmp_path / "torch.txt").read_text(encoding="utf-8").startswith("torch==")
    for kind in ("shared", "operator", "trainer"):
        lines = (tmp_path / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
        packages = {line.partition("==")[0] for line in lines}
        assert {"numpy", "typer", "sympy", "kubernetes"} <= packages
        assert not [each for each in packages if each.startswith(("torch", "triton", "nvidia", "cuda"))]


@pytest.mark.usefixtures("built_images")
def test_a_node_shares_layers_with_others_but_no_database() -> None:
    with managed_processes() as processes:
        copy = image_store.copy_for_node(processes, "node")
        (torch,) = image_store.STORE_FOLDER.glob(
            "*/snapshots/*/fs/opt/venv/lib/python*/site-packages/torch/__init__.py"
        )
        for file in (torch, *image_store.BLOBS.iterdir(), *image_store.STORE_FOLDER.glob("*/*.db")):
            assert file.samefile(copy / file.relative_to(image_store.STORE_FOLDER)) == (file.suffix != ".db")
    assert not copy.exists()


BUILD = """
import signal
from devcluster import image_store
signal.signal(signal.SIGINT, signal.default_int_handler)
image_store.prepare_images()
"""


@pytest.mark.usefixtures("built_images")
@pytest.mark.parametrize("death", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_a_build_stays_when_its_owner_dies(death: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.Popen([sys.executable, "-c", BUILD], env=environment, stderr=subprocess.DEVNULL)
    with owner:
        (folder,) = wait_until(lambda: list(tmp_path.glob("metasearch-cluster-*")))
        wait_until(lambda: any(is_building(process) for process in marked_processes(str(folder))))
        owner.send_signal(death)
    wait_until(lambda: not folder.exists())
    assert marked_processes(str(folder)) == []
    assert str(FOLDER) not in Path("/proc/mounts").read_text()


def is_building(process: int) -> bool:
    try:
        return f"--tag={TRAINER}" in Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except OSError:
        return False
