"""
Edits of a search that a slot takes up.

A slot reads the search once, as it starts. The supervisor reads it with each heartbeat, and leaves the parts that may
be edited in a file. A slot that finds them changed ends before its next trial; the process after it begins with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metasearch_trainer.pod.shared_files import replace_file

Json = dict[str, Any]

OF_BUDGET = ("maxAttempts", "trialMemory", "trialTime")
"""Fields of spec.budget that a slot goes by; the others end the search, which is the planner's to see."""


class SpecChanges:
    """The file that tells slots of edits."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, search: Json) -> None:
        """Leave what slots go by; a MetaSearch as the cluster has it."""
        replace_file(self._path, json.dumps(_state(search)).encode())

    def is_newer(self, search: Json) -> bool:
        """Tell whether what is left is of a later generation than a MetaSearch, and says something else."""
        try:
            left = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return False
        own = _state(search)
        return bool(left["generation"] > own["generation"] and left["parts"] != own["parts"])


def _state(search: Json) -> Json:
    spec = search["spec"]
    budget = spec.get("budget", {})
    parts = {"storage": spec.get("storage"), **{name: budget.get(name) for name in OF_BUDGET}}
    return {"generation": search["metadata"]["generation"], "parts": parts}
