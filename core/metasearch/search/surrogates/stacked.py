"""
The Stacked surrogate: LSTM, Ridge and Trees together, each with the vote that it has earned.

Each kind predicts the scores that it has not learned from. Votes are those with which these left-out predictions,
weighted, come closest to the scores (`votes`). A kind must also be of use where the search is now: on the scores of the
last round its left-out predictions must beat both simple predictors, the parent's score and the size, or it has no vote
at all. Where no kind has one, Ridge and the better of the two simple predictors count half each.

Where all scores are of one round, nothing says which kind is good beyond it, and most searches then ask for larger
networks than any that was measured. So only those kinds vote that go on where their measurements end, which is Ridge.

The LSTM is slow. Where candidates are many, it reads those that the other kinds predict best, and an even sample of the
rest; from that sample a line is fitted that says what it would say of a candidate that it has not read, given what the
other kinds do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from metasearch import api
from metasearch.search.encoded_cells import Floats, Integers
from metasearch.search.space import Space
from metasearch.search.surrogates import boosted_trees, lstm, ridge
from metasearch.search.surrogates.base import Candidates, Observations, Scores, Surrogate
from metasearch.search.surrogates.score_weights import score_weights
from metasearch.search.surrogates.simple_predictors import fit_simple_predictors
from metasearch.search.surrogates.votes import best_votes

READ_BEST, READ_SAMPLE = 4000, 1000
"""The candidates that a slow kind reads: so many of the best, and so many of the others."""

LEAST_COMPARED = 8
"""The scores on which kinds are compared with the simple predictors; a last round of fewer takes in earlier ones."""


@dataclass(frozen=True)
class Kind:
    """One of the surrogates that may vote."""

    name: str
    surrogate: Surrogate
    extrapolates: bool = False
    """True where what it learns goes on where its measurements end."""
    is_slow: bool = False


def build(settings: api.Surrogate, space: Space[Any]) -> Stacked:
    """Build the surrogate that `spec.search.surrogate` describes; its settings are the LSTM's."""
    return Stacked(
        [
            Kind("LSTM", lstm.build(settings, space), is_slow=True),
            Kind("Ridge", ridge.build(settings, space), extrapolates=True),
            Kind("Trees", boosted_trees.build(settings, space)),
        ]
    )


class Stacked:
    """Fits every kind that may have a vote, and counts the votes."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self.kinds = kinds

    def fit(self, observations: Observations, seed: Sequence[int]) -> StackedPredictor:
        weights = score_weights(observations)
        comparison = _Comparison(observations.scores, weights, _is_last(observations.rounds))
        simple = [Voter(each.description, each) for each in fit_simple_predictors(observations, weights)]
        best_simple = min(simple, key=comparison.error)
        is_one_round = len(np.unique(observations.rounds)) == 1
        fitted, lost = [], {}
        for kind in self.kinds:
            if is_one_round and not kind.extrapolates:
                lost[kind.name] = "all scores are of one round"
                continue
            voter = Voter(kind.name, kind.surrogate.fit(observations, seed), kind.extrapolates, kind.is_slow)
            fitted.append(voter)
            if reason := comparison.reason_against(voter, best_simple):
                lost[kind.name] = reason
        voters = [voter for voter in fitted if voter.name not in lost]
        guide = min([*(voter for voter in fitted if not voter.is_slow), best_simple], key=comparison.error)
        if voters:
            return StackedPredictor(voters, comparison.votes(voters), lost, guide)
        voters = [*(voter for voter in fitted if voter.extrapolates), best_simple]
        return StackedPredictor(voters, np.full(len(voters), 1 / len(voters)), lost, guide)


class _Predicts(Protocol):
    """A predictor, be it one that has learned or a simple one."""

    @property
    def left_out(self) -> Scores: ...

    def predict(self, candidates: Candidates) -> Scores: ...


@dataclass(frozen=True)
class Voter:
    """A predictor that may have a vote; its name is as in `description`."""

    name: str
    predictor: _Predicts
    extrapolates: bool = False
    is_slow: bool = False


@dataclass(frozen=True)
class _Comparison:
    """Compares predictors by their left-out predictions."""

    scores: Scores
    weights: Floats
    is_last: npt.NDArray[np.bool_]
    """True for the scores of the last round, (observations,)."""

    def error(self, voter: Voter) -> float:
        """Return the weighted mean square of the errors in the last round; infinite where none is known."""
        left_out = voter.predictor.left_out
        known = self.is_last & np.isfinite(left_out)
        if not known.any():
            return np.inf
        return float(np.average((left_out - self.scores)[known] ** 2, weights=self.weights[known]))

    def reason_against(self, voter: Voter, best_simple: Voter) -> str | None:
        """Say why a predictor has no vote; None where it has one."""
        error = self.error(voter)
        if not np.isfinite(error):
            return "it has left out no score to be judged by"
        if error < self.error(best_simple):
            return None
        return f"no better than {best_simple.name} on the last round"

    def votes(self, voters: Sequence[Voter]) -> Floats:
        """Return each predictor's vote, (predictors,)."""
        residuals = np.column_stack([voter.predictor.left_out for voter in voters]) - self.scores[:, None]
        known = np.isfinite(residuals).all(1)
        if not known.any():
            return np.full(len(voters), 1 / len(voters))
        return best_votes(residuals[known], self.weights[known])


class StackedPredictor:
    """Predictors and their votes."""

    def __init__(self, voters: Sequence[Voter], votes: Floats, lost: Mapping[str, str], guide: Voter) -> None:
        """
        Args:
            lost: why a kind has no vote, by its name.
            guide: a fast predictor, which says what slow ones are to read where no fast one has a vote.
        """
        self._voters = [(voter, vote) for voter, vote in zip(voters, votes.tolist(), strict=True) if vote > 0]
        self._lost, self._guide = lost, guide
        self.left_out: Scores = _sum(vote * voter.predictor.left_out for voter, vote in self._voters)

    @property
    def description(self) -> str:
        """Say whose votes count how much, and who has none, and why."""
        shares = sorted(self._voters, key=lambda each: -each[1])
        votes = ", ".join(f"{voter.name} {vote:.0%}" for voter, vote in shares)
        return "; ".join([votes, *(f"{name} lost its vote: {reason}" for name, reason in self._lost.items())])

    def predict(self, candidates: Candidates) -> Scores:
        fast = [(voter, vote) for voter, vote in self._voters if not voter.is_slow]
        slow = [(voter, vote) for voter, vote in self._voters if voter.is_slow]
        predicted = _sum(vote * voter.predictor.predict(candidates) for voter, vote in fast)
        if not slow:
            return predicted
        guide = predicted if fast else self._guide.predictor.predict(candidates)
        return predicted + _sum(vote * _read(voter.predictor, candidates, guide) for voter, vote in slow)


def _sum(terms: Iterable[Scores]) -> Scores:
    return np.asarray(sum(terms), dtype=np.float64)


def _read(slow: _Predicts, candidates: Candidates, guide: Scores) -> Scores:
    """Return the predictions of a slow predictor; where candidates are many, a line in the guide for most of them."""
    if len(candidates) <= READ_BEST + READ_SAMPLE:
        return slow.predict(candidates)
    order = np.argsort(-guide, kind="stable")
    sample = order[np.linspace(READ_BEST, len(order) - 1, READ_SAMPLE).astype(np.int64)]
    read = np.concatenate([order[:READ_BEST], sample])
    predicted = slow.predict(candidates.at(read))
    deviations = guide[sample] - guide[sample].mean()
    slope = deviations @ predicted[READ_BEST:] / max(float(deviations @ deviations), np.finfo(float).tiny)
    values: Scores = predicted[READ_BEST:].mean() + slope * (guide - guide[sample].mean())
    values[read] = predicted
    return values


def _is_last(rounds: Integers) -> npt.NDArray[np.bool_]:
    """Say which observations are of the last round, or of the last rounds that have `LEAST_COMPARED` together."""
    first = next(
        (each for each in np.unique(rounds)[::-1] if np.count_nonzero(rounds >= each) >= LEAST_COMPARED), rounds.min()
    )
    is_last: npt.NDArray[np.bool_] = rounds >= first
    return is_last
