"""The operator reads its configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from metasearch.errors import InvalidSpec
from metasearch.metrics.server import Tls
from metasearch_operator.config import load_config

WHOLE = """
namespaces: [team-a, team-b]
worker:
  image: registry/trainer:1
  imagePullPolicy: Always
  imagePullSecrets: [registry]
  serviceAccount: trainer
  priorityClass: low
  storageSecret: bucket
  labels: {team: a}
  annotations: {note: b}
  env: {HTTPS_PROXY: "http://proxy:3128"}
  resources: {requests: {cpu: 2, memory: 4Gi}}
  nodeLostSeconds: 60
metricsTls: {certificate: /tls/tls.crt, key: /tls/tls.key, clientAuthority: /tls/ca.crt}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_everything_can_be_said(path: Path) -> None:
    path.write_text(WHOLE, encoding="utf-8")
    config = load_config(path)
    assert config.namespaces == ("team-a", "team-b")
    assert (config.worker.image_pull_secrets, config.worker.storage_secret) == (("registry",), "bucket")
    assert config.worker.resources.requests == {"cpu": "2", "memory": "4Gi"}
    assert config.metrics_tls is not None
    assert config.metrics_tls.tls == Tls(Path("/tls/tls.crt"), Path("/tls/tls.key"), Path("/tls/ca.crt"))


def test_the_image_alone_is_enough(path: Path) -> None:
    path.write_text("worker: {image: registry/trainer:1}", encoding="utf-8")
    config = load_config(path)
    assert config.namespaces == ()
    assert (config.worker.service_account, config.worker.node_lost_seconds) == ("metasearch-worker", 30)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be an object"),
        ("- worker", "must be an object"),
        ("worker: {}", "worker.image is missing; it must be given"),
        ("namespaces: []", "worker is missing; it must be given"),
        ("namespaces: team-a\nworker: {image: x}", "namespaces"),
        ("worker: {image: x, imagePullSecret: y}", "no field 'imagePullSecret'; did you mean imagePullSecrets?"),
        ("worker: {image: x, nodeLostSeconds: -1}", "worker.nodeLostSeconds"),
        ("worker: {image: x, nodeLostSeconds: soon}", "worker.nodeLostSeconds"),
        ("metricsTls: {key: /tls.key}\nworker: {image: x}", "metricsTls.certificate is missing"),
        ("worker: {image: x, env: {WORKERS: 1}}", "worker.env.WORKERS"),
        ("worker: {image: x, resources: {requests: {cpu: much}}}", "worker.resources.requests.cpu"),
        ("worker: {image: [", "cannot be read as YAML"),
    ],
)
def test_a_wrong_file_gives_one_sentence_that_names_the_field(path: Path, text: str, words: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidSpec) as refused:
        load_config(path)
    message = str(refused.value)
    assert message.startswith(f"{path}")
    assert words in message
    assert "\n" not in message


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(InvalidSpec, match=r"cannot be read as YAML .*No such file"):
        load_config(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSpec, match="cannot be read as YAML"):
        load_config(path)
