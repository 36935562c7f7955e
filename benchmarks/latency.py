"""
Show how well a network's latency is told by the sum of its parts', which `search.constraints.latency` limits.

    python benchmarks/latency.py            40 random cells of examples/omniglot-quick.yaml; half a minute of one core

All parts of the space and all networks are timed in turn on one thread, each network as a delivered learner classifies
an image; medians count. Time is that of the thread on the CPU, which is the latency where nothing else is at work.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch
from scipy.stats import spearmanr

from metasearch import api
from metasearch.api.latency import Part
from metasearch.loading import load_search
from metasearch.search.encoded_cells import OUTER, EncodedCells, Floats
from metasearch.search.network_latency import Images, latencies, possible_parts
from metasearch.search.network_limits import images_of
from metasearch.search.space import CellSpace
from metasearch_trainer.classification import AdaptedNetwork
from metasearch_trainer.latency import Batch, measure, part_runner
from metasearch_trainer.network import CellNetwork, cell_network
from metasearch_trainer.torch_setup import prepare_torch
from reporting import Claim, parser, publish

EXAMPLE = Path(__file__).parent.parent / "examples" / "omniglot-quick.yaml"

DEVICE = torch.device("cpu")

CANDIDATES = 100_000

MOST_ERROR, LEAST_CORRELATION, MOST_SECONDS = 0.1, 0.95, 0.5


def main() -> int:
    """Measure parts and networks, and compare."""
    arguments = _arguments()
    prepare_torch()
    spec = load_search(arguments.file).spec
    space, images, batch = spec.space, images_of(spec), Batch.of(spec, images=1)
    drawn, rng = CellSpace(space.operations, space.max_blocks), np.random.default_rng(arguments.seed)
    cells = [drawn.sample(rng) for _ in range(arguments.cells)]
    networks = [cell_network(cell, space, images.channels, images.side, spec.task.ways) for cell in cells]
    parts = possible_parts(spec, images)
    runs = [
        *(part_runner(part, batch, DEVICE) for part in parts),
        *(_classifying(network, batch, images) for network in networks),
    ]
    milliseconds = np.median(measure(runs, DEVICE, arguments.repeats, time.thread_time), axis=0)
    table, measured = dict(zip(parts, milliseconds.tolist(), strict=False)), milliseconds[len(parts) :]
    filters = np.array([network.filters for network in networks])
    predicted = latencies(EncodedCells.of(cells, space.operations), space, filters, images, spec.task.ways, table)
    multiply_adds = np.array([network.multiply_adds for network in networks])
    seconds = _seconds_of_sums(spec, images, table)
    return _publish(predicted, measured, multiply_adds, [str(cell) for cell in cells], seconds, arguments.json)


def _seconds_of_sums(spec: api.MetaSearchSpec, images: Images, table: dict[Part, float]) -> float:
    """Return the seconds in which the sums of many random cells of the largest size are computed."""
    rng, blocks = np.random.default_rng(0), spec.space.max_blocks
    sources = np.stack([rng.integers(0, OUTER + block, (CANDIDATES, 2)) for block in range(blocks)], axis=1)
    cells = EncodedCells(sources, rng.integers(0, len(spec.space.operations), sources.shape))
    started = time.thread_time()
    latencies(cells, spec.space, np.full(CANDIDATES, spec.space.filters), images, spec.task.ways, table)
    return time.thread_time() - started


def _classifying(network: CellNetwork, batch: Batch, images: Images) -> Callable[[], object]:
    """Return a function that classifies random images, as a delivered learner does that has learned a task."""
    generator = torch.Generator().manual_seed(0)
    support, queries = (
        torch.rand(1, count, images.channels, images.side, images.side, generator=generator)
        for count in (batch.support, batch.queries)
    )
    phi = network.layout.initial(generator).float()[None]
    adapted = AdaptedNetwork(network, phi, support, shifts=0)
    return partial(adapted.logits, queries, api.Classification.SUPPORT_STATISTICS)


def _publish(
    predicted: Floats,
    measured: Floats,
    multiply_adds: Floats,
    cells: list[str],
    seconds: float,
    json_file: Path | None,
) -> int:
    errors = np.abs(predicted / measured - 1)
    error, worst = float(np.median(errors)), float(errors.max())
    of_sum, of_size = (float(spearmanr(each, measured).statistic) for each in (predicted, multiply_adds))
    rows: list[dict[str, Any]] = [
        {
            "networks": len(cells),
            "ms, least": float(measured.min()),
            "ms, most": float(measured.max()),
            "median error": error,
            "largest error": worst,
            "Spearman of the sum": of_sum,
            "of multiply-adds": of_size,
            "s for 100,000 sums": seconds,
        }
    ]
    claims = [
        Claim(f"the median error of the sum is {error:.1%}, at most {MOST_ERROR:.0%}", error <= MOST_ERROR),
        Claim(
            f"the sum's rank correlation is {of_sum:.3f}, at least {LEAST_CORRELATION}, and that of multiply-adds "
            f"{of_size:.3f}",
            of_sum >= max(LEAST_CORRELATION, of_size),
        ),
        Claim(f"{CANDIDATES:,} sums take {seconds:.2f} s, at most {MOST_SECONDS}", seconds <= MOST_SECONDS),
    ]
    networks = [
        {"cell": cell, "predicted ms": round(sum_, 4), "measured ms": round(ms, 4), "multiply-adds": count}
        for cell, sum_, ms, count in zip(
            cells, predicted.tolist(), measured.tolist(), multiply_adds.tolist(), strict=True
        )
    ]
    return publish("latency", rows, claims, json_file, networks=networks)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--file", type=Path, default=EXAMPLE, help="the search whose cells are drawn")
    made.add_argument("--cells", type=int, default=40)
    made.add_argument("--repeats", type=int, default=100)
    made.add_argument("--seed", type=int, default=0)
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
