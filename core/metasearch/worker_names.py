"""
The name under which a worker process claims trials.

Three packages depend on its form: the trainer signs claims with it, the operator reads the pod and the slot from it,
and the chart's admission policy lets a pod write only names that begin with the pod's own and a dot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(?P<pod>.+)\.(?P<slot>\d+)-(?P<start>\d+)")


@dataclass(frozen=True, order=True)
class WorkerName:
    """
    Names one process of one slot.

    >>> str(WorkerName("quick-workers-1a2b3c4d-x7k2p", slot=0, start=3))
    'quick-workers-1a2b3c4d-x7k2p.0-3'
    """

    pod: str
    """The pod's name; in a local run, which has no pods, an identifier of the driver's session."""
    slot: int
    """The number of the slot, counted from 0."""
    start: int
    """The number of the process in its slot, counted from 1. Each has a name of its own, so that a late write of an
    earlier process is never taken for its successor's."""

    def __str__(self) -> str:
        return f"{self.pod}.{self.slot}-{self.start}"

    @classmethod
    def parse(cls, text: str) -> WorkerName:
        """
        Read a name back.

        Raises:
            ValueError: the text is no worker's name.
        """
        # Pods may have dots in their names, so the last one is the separator: the pattern's `.+` is greedy.
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(f"a worker's name has the form POD.SLOT-START, not {text!r}")
        return cls(match["pod"], int(match["slot"]), int(match["start"]))


def slot_of(worker: str) -> tuple[str, int | None]:
    """
    Return the pod and the slot that a claim is signed with; the slot's process may have been restarted since.

    A worker whose name says none is a pod of its own, with None for its slot.
    """
    try:
        name = WorkerName.parse(worker)
    except ValueError:
        return worker, None
    return name.pod, name.slot
