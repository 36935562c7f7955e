"""
The protocol between the planner and a strategy.

A strategy has no memory. The planner calls it with all trials on record whenever one of them has changed, so a driver
that is killed and started anew gets the same proposals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol, runtime_checkable

from metasearch.search.candidates import Candidate
from metasearch.search.trials import Threshold, Trial

History = Sequence[Trial]
"""Every search trial on record, pending ones too, by round and then by priority."""


class Answer(Enum):
    """An answer without proposals."""

    WAIT = "wait"
    """More may be proposed once trials under way are over."""
    DONE = "done"
    """Everything that the strategy wanted to try is tried and over."""


WAIT: Final = Answer.WAIT
DONE: Final = Answer.DONE


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A candidate to try. Only `candidate` is required."""

    candidate: Candidate
    meta_iterations: int | None = None
    """The fidelity; None for `spec.training.metaIterations`. Others need `Strategy.varies_fidelity`."""
    is_beginning: bool = False
    """See `TrialSpec.is_beginning`; needs `Strategy.varies_fidelity`."""
    predicted: float | None = None
    """The score that was predicted for it, in [0, 1]."""
    predicted_by: str | None = None
    """A sentence fragment that says who predicted it; see `Predictor.description`."""
    is_drawn: bool = False
    """True where it was drawn at random, to examine the surrogate."""
    priority: int | None = None
    """
    Workers take lower numbers first within a round; None for the order of proposing, and with `RoundPlanner` for the
    costliest first. A strategy that proposes all its trials in one round thereby orders all of its trials.
    """
    resumes: str | None = None
    """The name of the trial of the history, a beginning of the same candidate and seed, that it goes on from."""
    round: int = 1
    """Counted from 1. Rounds are taken one after the other."""
    round_size: int | None = None
    """Proposals of the whole round, where the strategy fixes that beforehand."""
    thresholds: tuple[Threshold, ...] = ()
    """The scores below which the trial is given up, see `search.early_stopping`."""


Proposals = Sequence[Proposal] | Literal[Answer.WAIT, Answer.DONE]


class Strategy(Protocol):
    """
    Decides what to try next from the trials so far.

    Answers depend on the arguments alone, not on the process, the time or the order in which trials ended.
    """

    rounds: int | None
    """The number of rounds; None where it is not known beforehand."""

    varies_fidelity: bool
    """True where proposals may ask for meta-iterations other than `spec.training`'s."""

    preliminary_rounds: int
    """The first rounds whose trials are only to be learned from, so that none is screened for the best of them."""

    def propose(self, history: History, room: int) -> Proposals:
        """
        Propose trials, best first, or say why there are none.

        A proposal whose trial is in the history already changes nothing. No proposals while nothing is under way end
        the search stage, as DONE does.

        Args:
            room: the number of trials that the budget has left, at least 0. Further proposals are dropped. With 0 the
                answer must come at once, without fitting a surrogate, because commands that only show a search call it,
                and the operator before it starts a process to rank in: no proposals where there may be some with room,
                and WAIT or DONE only where that is the answer with any room.
        """
        ...

    def title(self, round: int) -> str:
        """Name a round for people, in lower case, such as "2 blocks"."""
        ...


@dataclass(frozen=True)
class Share:
    """Some of the trials that a strategy is going to propose, alike in what they cost."""

    size: int
    """Steps of the candidates, such as blocks."""
    meta_iterations: int
    trials: float


@runtime_checkable
class Foreseeing(Protocol):
    """A strategy that knows beforehand how large the candidates are that it is going to propose."""

    def foresee(self, trials: int) -> Sequence[Share]:
        """Return about how many trials it proposes of each size and length, of so many in all."""
        ...
