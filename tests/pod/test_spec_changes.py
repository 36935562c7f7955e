"""Slots are told of edits that concern them, and of no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metasearch_trainer.pod.spec_changes import SpecChanges

Json = dict[str, Any]


def search(generation: int, **spec: Any) -> Json:
    return {"metadata": {"generation": generation}, "spec": {"dataset": {"name": "omniglot"}, **spec}}


STARTED_WITH = search(2, budget={"trialTime": "1h", "maxTrials": 9})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(search(3, budget={"trialTime": "2h", "maxTrials": 9}), True, id="another trialTime"),
        pytest.param(search(3, budget={"maxTrials": 9}), True, id="no trialTime"),
        pytest.param(search(3), True, id="no budget"),
        pytest.param(
            search(3, budget={"trialTime": "1h"}, storage={"url": "s3://bucket/a"}), True, id="another storage"
        ),
        pytest.param(search(3, budget={"trialTime": "1h", "maxTrials": 10}), False, id="another part of the budget"),
        # The slot has started after the edit, and before the next heartbeat.
        pytest.param(search(1, budget={"trialTime": "2h"}), False, id="an older one"),
    ],
)
def test_only_a_later_edit_of_what_a_slot_goes_by_is_newer(tmp_path: Path, found: Json, expected: bool) -> None:
    changes = SpecChanges(tmp_path / "spec.json")
    assert not changes.is_newer(STARTED_WITH)
    changes.write(found)
    assert changes.is_newer(STARTED_WITH) == expected


def test_a_disk_without_room_is_no_edit(tmp_path: Path) -> None:
    changes = SpecChanges(tmp_path / "missing" / "spec.json")
    changes.write(search(3))
    assert not changes.is_newer(STARTED_WITH)
