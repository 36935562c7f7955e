"""
A result on the pod's disk until it is on record.

It is written before it is sent. The process may be killed in between: the next one in its slot sends it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from metasearch.search.trials import Trial, TrialResult, trial_json
from metasearch_trainer.process_output import log

_result_json: TypeAdapter[TrialResult] = TypeAdapter(TrialResult)


@dataclass(frozen=True)
class PendingResult:
    """A result that is not on record yet."""

    claimed: Trial
    result: TrialResult
    ended_at: float
    """Unix time in seconds."""


class Spool:
    """Holds at most one result: the file of one slot, which runs one trial at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, pending: PendingResult) -> None:
        """Keep a result; where the disk is full that is logged, and the result sent all the same."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                file.write(_to_text(pending))
                file.flush()
                # Before the rename, or after a power cut there may be a file of the right name with nothing in it.
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as error:
            log(f"{self.path} cannot be written ({error.strerror}), so a result may be lost with its worker")
            with suppress(OSError):
                partial.unlink()

    def read(self) -> PendingResult | None:
        """Return what there is to send; nothing where the file cannot be read."""
        try:
            return _from_text(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            log(f"{self.path} cannot be read ({error}), so the result in it is lost")
            return None

    def clear(self) -> None:
        """Remove the file, if there is one."""
        with suppress(OSError):
            self.path.unlink()


def _to_text(pending: PendingResult) -> str:
    # Python's JSON, which has NaN and Infinity: a diverged trial's numbers are kept as they are until the store refuses
    # them in words.
    fields: dict[str, Any] = {
        "claimed": trial_json.dump_python(pending.claimed, mode="json"),
        "result": _result_json.dump_python(pending.result, mode="json"),
        "endedAt": pending.ended_at,
    }
    return json.dumps(fields)


def _from_text(text: str) -> PendingResult:
    fields = json.loads(text)
    return PendingResult(
        trial_json.validate_python(fields["claimed"]),
        _result_json.validate_python(fields["result"]),
        float(fields["endedAt"]),
    )
