"""Settings of a pod, and how its slots get them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metasearch.errors import InvalidSpec, StoreUnavailable
from metasearch_trainer.pod.control_group import ControlGroup
from metasearch_trainer.pod.settings import MountPaths, Pod, Settings, argument_parser

ENVIRONMENT = {"POD_NAMESPACE": "team-a", "POD_NAME": "quick-workers-1234abcd-x", "POD_UID": "uid"}


def test_a_pod_is_told_who_it_is() -> None:
    pod = Pod.from_environment({**ENVIRONMENT, "MEMORY_LIMIT_BYTES": "4294967296"})
    assert pod == Pod("team-a", "quick-workers-1234abcd-x", "uid", 2**32)
    without = ControlGroup(Path("/nowhere"), Path("/nowhere"))
    assert Pod.from_environment({**ENVIRONMENT, "MEMORY_LIMIT_BYTES": ""}, without).memory_limit is None


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidSpec, match=r"^POD_NAME, POD_UID must be in the environment"):
        Pod.from_environment({"POD_NAMESPACE": "team-a", "POD_UID": ""})


def test_slots_are_told_what_the_pod_was_told(tmp_path: Path) -> None:
    settings = Settings("quick", 4, 0.5, True, 100, MountPaths(tmp_path / "a", tmp_path / "b", tmp_path / "c"))
    assert Settings.from_arguments(argument_parser("").parse_args(settings.to_arguments())) == settings


def test_a_scratch_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "scratch").touch()
    settings = Settings("quick", 1, 0.0, False, 100, MountPaths(tmp_path / "scratch", tmp_path, tmp_path))
    with pytest.raises(StoreUnavailable, match=rf"scratch cannot be written .* user {os.getuid()} may write to$"):
        settings.make_scratch()
