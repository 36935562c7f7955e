"""Where the programs of a cluster are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster.binaries import Missing, find


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place to look."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBEBUILDER_ASSETS", "")
    monkeypatch.setattr("cluster.binaries.BUILT", tmp_path / "built")
    return tmp_path


def put(folder: Path, *programs: str) -> Path:
    folder.mkdir(exist_ok=True)
    for program in programs:
        (folder / program).touch(mode=0o755)
    return folder


def test_a_sentence_says_what_is_missing_and_what_to_do(empty: Path) -> None:
    put(empty, "kubectl")
    with pytest.raises(Missing, match=r"^etcd is missing: .*setup.sh cluster.*KUBEBUILDER_ASSETS.*CLUSTER="):
        find("etcd")


def test_programs_come_from_one_folder(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(empty, "kubectl", "kube-scheduler")
    assets = put(empty / "assets", "kubectl")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert find("kubectl") == assets
    assert find("kubectl", "kube-scheduler") == empty
