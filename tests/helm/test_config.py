"""The operator can read the configuration that the chart writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chart import Helm, single

from metasearch.kubernetes.pod_settings import PodSettings
from metasearch_operator.config import OperatorConfig, load_config

EVERYTHING: dict[str, Any] = {
    "image": {"pullPolicy": "Never", "pullSecrets": ["a"], "tag": "2"},
    "podSecurity": {"userId": 1_000},
    "worker": {
        "serviceAccount": {"name": "w"},
        "priorityClassName": "low",
        "runtimeClassName": "nvidia",
        "storageSecret": "s3",
        "labels": {"team": "ml"},
        "annotations": {"note": "a: b"},
        "env": {"A": "1"},
        "resources": {"requests": {"cpu": 2, "memory": "4Gi"}, "limits": {"nvidia.com/gpu": 1}},
        "nodeLostSeconds": 60,
    },
}


def read(helm: Helm, folder: Path, **values: Any) -> OperatorConfig:
    file = folder / "config.yaml"
    file.write_text(single(helm.render(**values), "ConfigMap")["data"]["config.yaml"], encoding="utf-8")
    return load_config(file)


def test_the_defaults_are_the_operators_own(helm: Helm, tmp_path: Path) -> None:
    config = read(helm, tmp_path)
    assert config.namespaces == ("team-a",)
    assert config.worker == PodSettings(image="localhost/metasearch-trainer:dev")


def test_every_setting_of_the_workers_can_be_given(helm: Helm, tmp_path: Path) -> None:
    given = read(helm, tmp_path, **EVERYTHING).worker
    default = PodSettings(image="localhost/metasearch-trainer:dev")
    unchanged = [name for name in PodSettings.model_fields if getattr(given, name) == getattr(default, name)]
    assert not unchanged
    assert given.resources.limits == {"nvidia.com/gpu": "1"}


@pytest.mark.parametrize("watch", [{"all": True}, {"all": True, "namespaces": ["team-a"]}])
def test_all_namespaces_are_none_by_name(helm: Helm, tmp_path: Path, watch: dict[str, Any]) -> None:
    assert read(helm, tmp_path, watch=watch).namespaces == ()
