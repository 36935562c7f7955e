"""
Rank candidates in a child process.

To rank a round the surrogate needs seconds of a core, and half a gigabyte for PyTorch. The operator must answer probes
meanwhile, and its memory is reserved for as long as it runs; so a child does the ranking and ends.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext

from metasearch.api import MetaSearchSpec
from metasearch.errors import MetaSearchError
from metasearch.search.build import build_search
from metasearch.search.strategies import WITHOUT_SURROGATE, Answer, History, Proposals, Strategy


class RankingFailed(MetaSearchError):
    """The child ended without proposals; nothing recorded has changed, and trying again is safe."""


class RankingProcess:
    """Runs strategies in child processes, one at a time. Safe to use from several threads."""

    def __init__(self, observe: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        """
        Args:
            observe: returns a context within which candidates are ranked.
        """
        self._observe = observe
        # One child at a time: two would need twice the memory, and the pod's limit has room for one.
        self._one_at_a_time = threading.Lock()

    def propose(self, spec: MetaSearchSpec, history: History, room: int) -> Proposals:
        """
        Return what the spec's own strategy proposes after these trials. Blocks until the child has answered.

        Raises:
            RankingFailed: the child was killed.
        """
        # A forked child would inherit kopf's event loop, the reflectors' locks and their open connections.
        context = multiprocessing.get_context("spawn")
        with self._one_at_a_time, self._observe(), ProcessPoolExecutor(1, mp_context=context) as child:
            try:
                return child.submit(_propose, spec, history, room).result()
            except BrokenProcessPool as error:
                raise RankingFailed(
                    "the process that ranks candidates was killed, most likely for lack of memory; "
                    "give the operator's pod more of it"
                ) from error


class SubprocessStrategy:
    """A strategy that proposes by itself where it needs no surrogate, and else ranks in a `RankingProcess`."""

    def __init__(self, spec: MetaSearchSpec, strategy: Strategy, ranking: RankingProcess) -> None:
        self._spec, self._strategy, self._ranking = spec, strategy, ranking
        self.rounds, self.varies_fidelity = strategy.rounds, strategy.varies_fidelity
        self.preliminary_rounds = strategy.preliminary_rounds

    def propose(self, history: History, room: int) -> Proposals:
        # Without room the strategy only says whether it waits or is done, for which no child is needed.
        answer = self._strategy.propose(history, room=0)
        if isinstance(answer, Answer) or room <= 0:
            return answer
        # Without results there is nothing to learn from. No surrogate, and so no child to wait seconds for.
        has_results = any(trial.score is not None for trial in history)
        if not has_results or self._spec.search.strategy in WITHOUT_SURROGATE:
            return self._strategy.propose(history, room)
        return self._ranking.propose(self._spec, history, room)

    def title(self, round: int) -> str:
        return self._strategy.title(round)


def _propose(spec: MetaSearchSpec, history: History, room: int) -> Proposals:
    """Run the strategy. Called in the child."""
    import torch  # here and not above: the operator's own process never needs its half gigabyte

    # One thread: the same floating-point sums as in a local run, and no core taken from other pods.
    torch.set_num_threads(1)
    return build_search("", spec, started_at=0.0).strategy.propose(history, room)
