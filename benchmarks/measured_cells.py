"""
Random cells that were trained, from `benchmarks/data/real-cells/`, and a space of them alone.

A search in that space is a search of real cells at no cost: every trial that it proposes is looked up, with the seconds
that it took. Cells of one block are its smallest candidates, and all cells of three blocks their children.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from metasearch.api import Classification, Space
from metasearch.search.candidates import Candidate
from metasearch.search.cells import Cell, parse_cell
from metasearch.search.encoded_cells import Floats
from metasearch.search.space import CellSpace
from metasearch.search.trials import State, TrialResult, TrialSpec

FOLDER = Path("benchmarks/data/real-cells")

TRANSDUCTIVE = Classification.TRANSDUCTIVE.field


@dataclass(frozen=True)
class Training:
    """One training of a cell, as a line of a file has it."""

    cell: str
    seed: int
    meta_iterations: int
    parameters: int
    multiply_adds: int
    training_loss: tuple[float, ...]
    """The loss of every outer step."""
    examinations: tuple[Examination, ...]

    @classmethod
    def read(cls, line: str) -> Training:
        fields = json.loads(line)
        examinations = tuple(Examination(**each) for each in fields.pop("examinations"))
        return cls(**{**fields, "training_loss": tuple(fields["training_loss"]), "examinations": examinations})

    @property
    def last(self) -> Examination:
        return self.examinations[-1]

    @property
    def first(self) -> Examination:
        return self.examinations[0]

    def beginning(self) -> tuple[float, float]:
        """Return the score of its beginning and the standard error: those of a trial that ended at the first look."""
        end = self.first.meta_iteration
        losses = self.training_loss[end // 2 : end]
        score = exp(-fmean(losses))
        return score, score * stdev(losses) / len(losses) ** 0.5


@dataclass(frozen=True)
class Examination:
    """The measurements on 100 validation tasks after so many meta-iterations."""

    meta_iteration: int
    training_seconds: float
    """CPU time until then."""
    seconds: float
    """CPU time of the examination."""
    accuracy: dict[str, dict[str, tuple[float, float]]]
    """Mean and standard error, by the way of classifying and the number of tasks."""
    loss: dict[str, dict[str, tuple[float, float]]]

    def likelihood(self, way: str = TRANSDUCTIVE, tasks: int = 100) -> tuple[float, float]:
        """Return the score that trials have, and its standard error."""
        mean, error = self.loss[way][str(tasks)]
        return exp(-mean), exp(-mean) * error


class MeasuredCells:
    """All trainings of one learner."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings = trainings
        self.short_length = min(each.meta_iterations for each in trainings)
        """Meta-iterations of a search trial."""

    @classmethod
    def of(cls, learner: str, folder: Path = FOLDER) -> MeasuredCells:
        """Read the trainings of a learner, by its name in `cell_table.py`."""
        lines = (folder / f"{learner.lower()}.jsonl").read_text(encoding="utf-8").splitlines()
        return cls([Training.read(line) for line in lines])

    @cached_property
    def search_trials(self) -> dict[str, Training]:
        """The training with the first seed and the length of a search trial, by cell."""
        return {each.cell: each for each in self.trainings if each.seed == 0 and self._is_short(each)}

    @cached_property
    def pool(self) -> list[str]:
        """The random cells of the largest size."""
        return [cell for cell in self.search_trials if "|" in cell]

    @cached_property
    def one_block(self) -> list[str]:
        return [cell for cell in self.search_trials if "|" not in cell]

    @property
    def second_seeds(self) -> dict[str, Training]:
        return {each.cell: each for each in self.trainings if each.seed == 1 and self._is_short(each)}

    @property
    def long(self) -> dict[str, Training]:
        return {each.cell: each for each in self.trainings if not self._is_short(each)}

    def _is_short(self, training: Training) -> bool:
        return training.meta_iterations == self.short_length

    def best(self, share: float) -> set[str]:
        """Return that share of the cells of the largest size, at least one."""
        ordered = sorted(self.pool, key=self.worth, reverse=True)
        return set(ordered[: max(1, round(share * len(ordered)))])

    def worth(self, cell: str) -> float:
        """Return the score of a whole search trial; the best there is to say what a cell is worth."""
        return self.search_trials[cell].last.likelihood()[0]

    def whole_seconds(self, cell: str) -> float:
        """Return the CPU time of a whole search trial."""
        last = self.search_trials[cell].last
        return last.training_seconds + last.seconds

    def result(self, spec: TrialSpec) -> TrialResult:
        """Look up what a trial measures."""
        training = self.search_trials[spec.candidate.architecture]
        score, error = training.beginning() if spec.is_beginning else training.last.likelihood()
        return TrialResult(
            state=State.SUCCEEDED,
            score=score,
            score_error=error,
            parameter_count=training.parameters,
            multiply_adds=training.multiply_adds,
        )

    def seconds(self, spec: TrialSpec) -> float:
        """Return the CPU time of a trial: of a beginning without an examination, of what goes on from it the rest."""
        training = self.search_trials[spec.candidate.architecture]
        begun = training.first.training_seconds
        if spec.is_beginning:
            return begun
        return self.whole_seconds(training.cell) - (begun if spec.resumes else 0.0)


class MeasuredSpace(CellSpace):
    """The space of measured cells: of one block, and all others as their children."""

    def __init__(self, cells: MeasuredCells, space: Space, added: Mapping[str, Sequence[float]] | None = None) -> None:
        """
        Make the space.

        Args:
            added: further features of every cell, by its text.
        """
        super().__init__(space.operations, space.max_blocks, space)
        self._added = added
        self.max_size = 2
        self._pool = [parse_cell(cell).canonical for cell in cells.pool]
        self._one_block = [parse_cell(cell).canonical for cell in cells.one_block]

    def read(self, recorded: Candidate) -> Cell:
        return parse_cell(recorded.architecture).canonical

    def features(self, candidates: Sequence[Cell]) -> Floats:
        known = super().features(candidates)
        if self._added is None:
            return known
        return np.column_stack([known, [self._added[str(each)] for each in candidates]])

    def size(self, candidate: Cell) -> int:
        return min(len(candidate), 2)

    def smallest(self) -> Sequence[Cell]:
        return self._one_block

    def children(self, candidate: Cell) -> Iterable[Cell]:
        return self._pool if len(candidate) == 1 else ()

    def parents(self, candidate: Cell) -> Iterator[Cell]:
        """Yield the blocks that read nothing but other cells."""
        if len(candidate) > 1:
            yield from (Cell((block,)) for block in candidate.blocks if max(branch.input for branch in block) < 0)

    def neighbours(self, candidate: Cell) -> Iterable[Cell]:
        """Yield nothing: that a random cell is one change from another would be chance."""
        del candidate
        return ()

    def sample(self, rng: np.random.Generator) -> Cell:
        return self._pool[rng.integers(len(self._pool))]

    def everything(self) -> Iterator[Cell]:
        return iter(self._pool)
