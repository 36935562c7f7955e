"""The search for a cluster's programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from devcluster.binaries import MissingProgram, find_folder_with


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the only place where programs are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", "")
    monkeypatch.setattr("devcluster.binaries.BUILD_FOLDER", tmp_path / "built")
    return tmp_path


def put(folder: Path, *programs: str) -> Path:
    folder.mkdir(exist_ok=True)
    for program in programs:
        (folder / program).touch(mode=0o755)
    return folder


def test_a_sentence_says_what_is_missing_and_what_to_do(empty: Path) -> None:
    put(empty, "kubectl")
    with pytest.raises(MissingProgram, match=r"^etcd is missing: .*setup.sh cluster.*KUBEBUILDER_ASSETS.*CLUSTER="):
        find_folder_with("etcd")


def test_programs_come_from_one_folder(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(empty, "kubectl", "kube-scheduler")
    assets = put(empty / "assets", "kubectl")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert find_folder_with("kubectl") == assets
    assert find_folder_with("kubectl", "kube-scheduler") == empty
