"""
Proposing in a process of its own.

To rank a level the surrogate needs seconds of both a core and half a gigabyte for PyTorch. The operator's process has
probes to answer, and its memory is a limit that people pay for; so the child ends when it has answered.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from metasearch.api import MetaSearchSpec
from metasearch.errors import MetaSearchError
from metasearch.search.cells import Cell
from metasearch.search.definition import define
from metasearch.search.strategies import Strategy
from metasearch.search.strategies.base import Measured, Proposal


class RankingFailed(MetaSearchError):
    """No candidates were proposed; nothing recorded is touched, and trying again is safe."""


class Ranking:
    """Where strategies propose: one child at a time, whoever asks."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def propose(self, spec: MetaSearchSpec, levels: Sequence[Sequence[Measured[Cell]]]) -> Sequence[Proposal[Cell]]:
        """As the spec's own strategy does. Blocks until it has."""
        context = multiprocessing.get_context("spawn")
        with self._turn, ProcessPoolExecutor(1, mp_context=context) as child:
            try:
                return child.submit(_propose, spec, levels).result()
            except BrokenProcessPool as error:
                raise RankingFailed(
                    "the process that ranks candidates was killed, most likely for lack of memory; "
                    "give the operator's pod more of it"
                ) from error


class Offloaded:
    """A strategy that leaves proposing to `Ranking`, once there is something to learn from."""

    def __init__(self, spec: MetaSearchSpec, strategy: Strategy[Cell], ranking: Ranking) -> None:
        self._spec, self._strategy, self._ranking = spec, strategy, ranking

    def propose(self, levels: Sequence[Sequence[Measured[Cell]]]) -> Sequence[Proposal[Cell]]:
        return self._ranking.propose(self._spec, levels) if levels else self._strategy.propose(levels)

    def is_complete(self, level_sizes: Sequence[int]) -> bool:
        return self._strategy.is_complete(level_sizes)


def _propose(spec: MetaSearchSpec, levels: Sequence[Sequence[Measured[Cell]]]) -> Sequence[Proposal[Cell]]:
    """In the child. One thread, as in a local run: the same sums, and other pods' cores stay theirs."""
    import torch

    torch.set_num_threads(1)
    return define("", spec, started_at=0.0).strategy.propose(levels)
