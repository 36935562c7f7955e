"""
Time and memory of the surrogates that rank the five-block children of four-block cells.

The LSTM ensemble ranks the 46,500 children of 100 cells; its predictions must be those of torch.nn.LSTM, on one thread,
reading each child's whole sequence. Stacked ranks 100,000 children from cells to predictions, features included, in
the case that costs most, which is when LSTM, Ridge and Trees all vote.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, as in a driver; chunks have threads of their own

import numpy as np
import torch
from torch import Tensor

from metasearch import api
from metasearch.search.cells import Cell
from metasearch.search.space import CellSpace
from metasearch.search.surrogates.base import Candidates, Observations
from metasearch.search.surrogates.boosted_trees import TreesSurrogate
from metasearch.search.surrogates.ensemble import Ensemble, FittedEnsemble
from metasearch.search.surrogates.lstm import LSTM
from metasearch.search.surrogates.ridge import RidgeSurrogate
from metasearch.search.surrogates.stacked import StackedPredictor, Voter
from metasearch_trainer import memory
from reporting import Claim, parser, publish

PARENTS, BLOCKS, MEMBERS, HIDDEN = 100, 5, 5, 100
MANY, MANY_PARENTS, MOST_STACKED_SECONDS = 100_000, 220, 1.0
MOST_SECONDS, MOST_MB, MOST_DIFFERENCE = 2.0, 500, 1e-5
PLAIN_AT_ONCE = 4096


def main() -> int:
    """Fit on some of the children, rank them all, and compare."""
    arguments = _arguments()
    torch.set_num_threads(1)
    imported = memory.resident_bytes()
    space = CellSpace(api.Space().operations, BLOCKS)
    cells = _children(space, PARENTS)
    fitted, inputs = _fitted(space, cells), Candidates.of(space, cells, np.full(len(cells), 0.5))
    memory.reset_peak(torch.device("cpu"))
    ours, seconds, cpu_seconds = _timed(lambda: fitted.predict(inputs), arguments.repeats)
    peak = memory.peak_bytes(torch.device("cpu")) / 1e6
    theirs, plain_seconds, _ = _timed(lambda: _plain_predictions(fitted, inputs), 1)
    difference = float(np.abs(ours - theirs).max())
    beyond = peak - imported / 1e6
    many = _children(space, MANY_PARENTS)[:MANY]
    stacked = _stacked(space, cells, fitted)
    parents = np.full(len(many), 0.5)
    _, stacked_seconds, stacked_cpu = _timed(
        lambda: stacked.predict(Candidates.of(space, many, parents)), arguments.repeats
    )
    row = {
        "surrogate": "LSTM",
        "children": len(cells),
        "seconds": seconds,
        "CPU seconds": cpu_seconds,
        "plain LSTM seconds": plain_seconds,
        "speed-up": plain_seconds / seconds,
        "MB at the peak": peak,
        "MB after imports": imported / 1e6,
        "difference": difference,
    }
    whole = {
        **dict.fromkeys(row, "–"),
        "surrogate": "Stacked",
        "children": len(many),
        "seconds": stacked_seconds,
        "CPU seconds": stacked_cpu,
    }
    claims = [
        Claim(
            f"Stacked ranked {len(many):,} in {stacked_seconds:.2f} s, at most {MOST_STACKED_SECONDS:.0f}",
            stacked_seconds <= MOST_STACKED_SECONDS,
        ),
        Claim(f"the LSTM ranked in {seconds:.2f} s, at most {MOST_SECONDS:.0f}", seconds <= MOST_SECONDS),
        Claim(f"{beyond:.0f} MB beyond imports, at most {MOST_MB}", beyond <= MOST_MB),
        Claim(f"predictions differ by at most {difference:.1e}, no more than 1e-5", difference <= MOST_DIFFERENCE),
        Claim("the best hundred are the same", set(_best(ours)) == set(_best(theirs))),
    ]
    return publish("surrogate_speed", [row, whole], claims, arguments.json)


def _children(space: CellSpace, parents: int) -> list[Cell]:
    """Return the different children of random parents; of 100 there are 46,375, of 46,500."""
    smaller = CellSpace(space.operations, BLOCKS - 1)
    rng = np.random.default_rng(0)
    drawn = dict.fromkeys(smaller.sample(rng) for _ in range(2 * parents))
    return list(dict.fromkeys(child for parent in list(drawn)[:parents] for child in space.children(parent)))


def _observations(space: CellSpace, cells: Sequence[Cell]) -> Observations:
    """Return some of the cells with random scores; search_quality.py measures how well surrogates predict."""
    sample = cells[:: len(cells) // 100]
    count = len(sample)
    rng = np.random.default_rng(0)
    read = Candidates.of(space, sample, rng.random(count))
    return Observations(
        candidates=read, scores=rng.random(count), errors=np.zeros(count), rounds=np.ones(count, dtype=np.int64)
    )


def _fitted(space: CellSpace, cells: Sequence[Cell]) -> FittedEnsemble[Any]:
    model = LSTM(space.vocabulary_size, HIDDEN, layers=1)
    return Ensemble(model, MEMBERS, epochs=10).fit(_observations(space, cells), seed=(0, 1))


def _stacked(space: CellSpace, cells: Sequence[Cell], fitted_lstm: FittedEnsemble[Any]) -> StackedPredictor:
    """Return the three kinds with a third of the votes each."""
    seen = _observations(space, cells)
    voters = [
        Voter("LSTM", fitted_lstm, is_slow=True),
        Voter("Ridge", RidgeSurrogate().fit(seen, seed=(0, 1))),
        Voter("Trees", TreesSurrogate().fit(seen, seed=(0, 1))),
    ]
    return StackedPredictor(voters, np.full(3, 1 / 3), {}, guide=voters[1])


def _timed(work: Callable[[], np.ndarray], repeats: int) -> tuple[np.ndarray, float, float]:
    """Return the output of some work, and the medians of the seconds and of the CPU seconds that it takes."""
    seconds, cpu_seconds = [], []
    for _ in range(repeats):
        started, cpu_started = time.perf_counter(), time.process_time()
        made = work()
        seconds.append(time.perf_counter() - started)
        cpu_seconds.append(time.process_time() - cpu_started)
    return made, statistics.median(seconds), statistics.median(cpu_seconds)


@torch.no_grad()
def _plain_predictions(fitted: FittedEnsemble[Any], inputs: Candidates) -> np.ndarray:
    """Predict with torch's own modules, each member reading every child's whole sequence."""
    members, parents = fitted.members, fitted.reader.read(inputs)
    ids = torch.tensor(list(inputs.tokens)).flatten(1)  # (children, tokens)
    total = torch.zeros(len(inputs), dtype=torch.float64)
    for member in range(MEMBERS):
        embedding, lstm, output = _modules([tensor[member] for tensor in members.weights])
        logits = torch.cat([lstm(embedding[part])[0][:, -1] @ output for part in ids.split(PLAIN_AT_ONCE)])
        total += torch.sigmoid(logits.squeeze(1) + members.bias[member] + members.slope[member] * parents).double()
    return fitted.stretch.undo(total / MEMBERS).numpy()


def _modules(weights: Sequence[Tensor]) -> tuple[Tensor, torch.nn.LSTM, Tensor]:
    embedding, inputs, recurrent, bias, output = weights
    lstm = torch.nn.LSTM(embedding.shape[1], HIDDEN, batch_first=True)
    lstm.load_state_dict(
        {
            "weight_ih_l0": inputs.T,
            "weight_hh_l0": recurrent.T,
            "bias_ih_l0": bias[0],
            "bias_hh_l0": torch.zeros_like(bias[0]),
        }
    )
    return embedding, lstm, output


def _best(predicted: np.ndarray) -> np.ndarray:
    return np.argsort(-predicted, kind="stable")[:100]


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--repeats", type=int, default=3)
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
