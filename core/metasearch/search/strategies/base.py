"""What the planner and a strategy say to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol

from metasearch.search.space import C


@dataclass(frozen=True)
class Measured(Generic[C]):
    """A candidate and the score it got, in [0, 1]."""

    candidate: C
    score: float


@dataclass(frozen=True)
class Proposal(Generic[C]):
    """A candidate to try, and the score that was predicted for it, if any was."""

    candidate: C
    predicted: float | None = None


class Strategy(Protocol[C]):
    """Proposes level by level."""

    def propose(self, levels: Sequence[Sequence[Measured[C]]]) -> Sequence[Proposal[C]]:
        """
        Candidates of the level after `levels`, best first, each once; none when there is nothing more to try.

        Args:
            levels: what was measured at each finished level, from the first; trials without a score left out.
        """
        ...

    def is_complete(self, level_sizes: Sequence[int]) -> bool:
        """Whether a search that tried so many candidates at each level has tried all that this strategy wanted to."""
        ...
