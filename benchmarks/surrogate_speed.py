"""
Time and memory of an LSTM ensemble that ranks the 46,500 five-block children of 100 four-block cells.

Its predictions must be those of torch.nn.LSTM, on one thread, reading each child's whole sequence.
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
from metasearch.search.space import CellSpace, Tokens
from metasearch.search.surrogates.base import Candidates, Observations
from metasearch.search.surrogates.ensemble import Ensemble, FittedEnsemble
from metasearch.search.surrogates.lstm import LSTM
from metasearch_trainer import memory
from reporting import Claim, parser, publish

PARENTS, BLOCKS, MEMBERS, HIDDEN = 100, 5, 5, 100
MOST_SECONDS, MOST_MB, MOST_DIFFERENCE = 2.0, 500, 1e-5
PLAIN_AT_ONCE = 4096


def main() -> int:
    """Fit on some of the children, rank them all, and compare."""
    arguments = _arguments()
    torch.set_num_threads(1)
    imported = memory.resident_bytes()
    children = _children()
    fitted, inputs = _fitted(children), _as_read(children)
    memory.reset_peak(torch.device("cpu"))
    ours, seconds = _timed(lambda: fitted.predict(inputs), arguments.repeats)
    peak = memory.peak_bytes(torch.device("cpu")) / 1e6
    theirs, plain_seconds = _timed(lambda: _plain_predictions(fitted, children), 1)
    difference = float(np.abs(ours - theirs).max())
    beyond = peak - imported / 1e6
    row = {
        "children": len(children),
        "seconds": seconds,
        "plain LSTM seconds": plain_seconds,
        "speed-up": plain_seconds / seconds,
        "MB at the peak": peak,
        "MB after imports": imported / 1e6,
        "difference": difference,
    }
    claims = [
        Claim(f"ranked in {seconds:.2f} s, at most {MOST_SECONDS:.0f}", seconds <= MOST_SECONDS),
        Claim(f"{beyond:.0f} MB beyond imports, at most {MOST_MB}", beyond <= MOST_MB),
        Claim(f"predictions differ by at most {difference:.1e}, no more than 1e-5", difference <= MOST_DIFFERENCE),
        Claim("the best hundred are the same", set(_best(ours)) == set(_best(theirs))),
    ]
    return publish("surrogate_speed", [row], claims, arguments.json)


def _children() -> list[Tokens]:
    """Return the different children of random parents, 46,375 of 46,500."""
    parents = CellSpace(api.Space().operations, BLOCKS - 1)
    space = CellSpace(api.Space().operations, BLOCKS)
    rng = np.random.default_rng(0)
    drawn = dict.fromkeys(parents.sample(rng) for _ in range(2 * PARENTS))
    children = dict.fromkeys(child for parent in list(drawn)[:PARENTS] for child in space.children(parent))
    return [space.tokens(child) for child in children]


def _fitted(children: Sequence[Tokens]) -> FittedEnsemble[Any]:
    """Fit an ensemble on some children; search_quality.py measures how well it predicts."""
    vocabulary_size = CellSpace(api.Space().operations, BLOCKS).vocabulary_size
    sample = children[:: len(children) // 100]
    scores = np.random.default_rng(0).random(len(sample))
    seen = Observations(candidates=_as_read(sample), scores=scores, errors=np.zeros(len(sample)))
    return Ensemble(LSTM(vocabulary_size, HIDDEN, layers=1), MEMBERS, epochs=10).fit(seen, seed=(0, 1))


def _as_read(children: Sequence[Tokens]) -> Candidates:
    nothing = np.zeros(len(children))
    return Candidates(tokens=children, features=nothing[:, None], parent_scores=nothing)


def _timed(work: Callable[[], np.ndarray], repeats: int) -> tuple[np.ndarray, float]:
    """Return the output of some work, and the median of the seconds it takes."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        made = work()
        seconds.append(time.perf_counter() - started)
    return made, statistics.median(seconds)


@torch.no_grad()
def _plain_predictions(fitted: FittedEnsemble[Any], children: Sequence[Tokens]) -> np.ndarray:
    """Predict with torch's own modules, each member reading every child's whole sequence."""
    ids = torch.tensor(children).flatten(1)  # (children, tokens)
    total = torch.zeros(len(children), dtype=torch.float64)
    for member in range(MEMBERS):
        embedding, lstm, output = _modules([tensor[member] for tensor in fitted.weights])
        logits = torch.cat([lstm(embedding[part])[0][:, -1] @ output for part in ids.split(PLAIN_AT_ONCE)])
        total += torch.sigmoid(logits.squeeze(1) + fitted.bias[member]).double()
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
