"""
Rank candidates in a child process.

To rank a level the surrogate needs seconds of a core, and half a gigabyte for PyTorch. The operator must answer probes
meanwhile, and its memory is reserved for as long as it runs; so a child does the ranking and ends.
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
    """The child ended without proposals; nothing recorded has changed, and trying again is safe."""


class RankingProcess:
    """Runs strategies in child processes, one at a time. Safe to use from several threads."""

    def __init__(self) -> None:
        # One child at a time: two would need twice the memory, and the pod's limit has room for one.
        self._one_at_a_time = threading.Lock()

    def propose(self, spec: MetaSearchSpec, levels: Sequence[Sequence[Measured[Cell]]]) -> Sequence[Proposal[Cell]]:
        """
        Return what the spec's own strategy proposes after these levels. Blocks until the child has answered.

        Raises:
            RankingFailed: the child was killed.
        """
        # A forked child would inherit kopf's event loop, the reflectors' locks and their open connections.
        context = multiprocessing.get_context("spawn")
        with self._one_at_a_time, ProcessPoolExecutor(1, mp_context=context) as child:
            try:
                return child.submit(_propose, spec, levels).result()
            except BrokenProcessPool as error:
                raise RankingFailed(
                    "the process that ranks candidates was killed, most likely for lack of memory; "
                    "give the operator's pod more of it"
                ) from error


class SubprocessStrategy:
    """A strategy that proposes the first level itself and ranks the others in a `RankingProcess`."""

    def __init__(self, spec: MetaSearchSpec, strategy: Strategy[Cell], ranking: RankingProcess) -> None:
        self._spec, self._strategy, self._ranking = spec, strategy, ranking

    def propose(self, levels: Sequence[Sequence[Measured[Cell]]]) -> Sequence[Proposal[Cell]]:
        # Without results there is nothing to learn from: no surrogate, so no child to wait seconds for.
        return self._ranking.propose(self._spec, levels) if levels else self._strategy.propose(levels)

    def is_complete(self, level_sizes: Sequence[int]) -> bool:
        return self._strategy.is_complete(level_sizes)


def _propose(spec: MetaSearchSpec, levels: Sequence[Sequence[Measured[Cell]]]) -> Sequence[Proposal[Cell]]:
    """Run the strategy. Called in the child."""
    import torch  # here and not above: the operator's own process never needs its half gigabyte

    # One thread: the same floating-point sums as in a local run, and no core taken from other pods.
    torch.set_num_threads(1)
    return define("", spec, started_at=0.0).strategy.propose(levels)
