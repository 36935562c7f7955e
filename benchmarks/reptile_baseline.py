"""
Reptile as published, on Omniglot with its own network and settings (5-way, 1-shot), through our trainer.

    python benchmarks/reptile_baseline.py                             2,000 meta-iterations, some minutes on one core
    python benchmarks/reptile_baseline.py --meta-iterations 100000    the paper's length, two hours and more

Settings and split are those of supervised-reptile (openai/supervised-reptile, README and `run_omniglot.py`): 1,200
characters at random to train on, 423 to test; Vinyals' split, which a search uses, is harder. One thing differs: the
tasks of a meta-batch start from the same second moment of Adam (docs/choices.md). An interrupted run goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress as ProgressBar

from metasearch.api import (
    Baseline,
    Dataset,
    DatasetName,
    Evaluation,
    Final,
    MetaSearchSpec,
    ReptileSettings,
    Split,
    Training,
)
from metasearch.search.candidates import Candidate
from metasearch.search.trials import Accuracy, Progress, Stage, State, TrialResult, TrialSpec
from metasearch_trainer.data import omniglot
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.trainer import Trainer
from reporting import Claim, parser, publish

PUBLISHED_LENGTH = 100_000
PUBLISHED = {"together (transductive)": 97.68, "queries alone": 95.39}
"""Accuracies in percent after 100,000 meta-iterations (Nichol, Achiam and Schulman 2018, table 2)."""
BAND = 0.4
"""
The allowed difference in percentage points; an independent reproduction (deepsense.ai) had 95.2 to 95.6 and 97.6 to
97.8.
"""

TRAIN_CLASSES, SPLIT_SEED = 1200, 5

CURVE_TASKS = 100
"""The tasks for each point of the curve; the final comparison has tasks of its own."""


def main() -> int:
    """Train the network, evaluate it, and compare it with the published accuracies."""
    arguments = _arguments()
    torch.set_num_threads(1)
    spec = published_spec(arguments.meta_iterations, arguments.tasks, arguments.curve_points)
    trainer = Trainer(
        spec, published_splits(), torch.device(arguments.device), LocalStorage(arguments.folder, arguments.folder)
    )
    result = _run(trainer, _trial(arguments.meta_iterations))
    if result.state is not State.SUCCEEDED or result.test is None:
        print(f"the training failed: {result.message}", file=sys.stderr)
        return 1
    measured = {"together (transductive)": result.test.transductive, "queries alone": result.test.non_transductive}
    rows = [_row(name, accuracy, arguments.meta_iterations) for name, accuracy in measured.items()]
    print(f"{result.parameter_count:,} parameters, {result.wall_seconds:.0f} s; accuracy in percent, test classes")
    print("curve, queries alone:", *(f"{point.meta_iteration}: {100 * point.score:.1f}" for point in result.curve))
    is_full = arguments.meta_iterations == PUBLISHED_LENGTH
    curve = [{"meta_iteration": point.meta_iteration, "score": point.score} for point in result.curve]
    return publish("reptile_baseline", rows, _claims(rows) if is_full else [], arguments.json, curve=curve)


def published_spec(meta_iterations: int, tasks: int, curve_points: int) -> MetaSearchSpec:
    """Return the 5-way 1-shot settings for Omniglot of supervised-reptile."""
    return MetaSearchSpec(
        dataset=Dataset(name=DatasetName.OMNIGLOT, rotations=4),
        training=Training(
            meta_iterations=meta_iterations,
            reptile=ReptileSettings(
                meta_batch_size=5,
                inner_steps=5,
                inner_batch_size=10,
                shots=10,
                evaluation_steps=50,
                evaluation_batch_size=5,
            ),
        ),
        evaluation=Evaluation(
            split=Split.TEST,
            tasks=CURVE_TASKS,
            curve_points=curve_points,
            curve_tasks=CURVE_TASKS,
        ),
        final=Final(tasks=tasks),
    )


def published_splits() -> Splits:
    """Draw 1,200 characters to train on, and test on the other 423; nothing is chosen on validation classes."""
    splits = omniglot.load()
    parts = (splits.train, splits.validation, splits.test)
    classes = [
        (name, part.pixels[start : start + count])
        for part in parts
        for name, start, count in zip(part.class_names, part.starts, part.counts, strict=True)
    ]
    order = np.random.default_rng(SPLIT_SEED).permutation(len(classes))
    shuffled = [classes[index] for index in order]
    train, test = ImageSet.of(shuffled[:TRAIN_CLASSES]), ImageSet.of(shuffled[TRAIN_CLASSES:])
    return Splits(train, test, test)


def _trial(meta_iterations: int) -> TrialSpec:
    return TrialSpec(
        name=f"reptile-{meta_iterations}",
        stage=Stage.BASELINE,
        candidate=Candidate(Baseline.CONV4),
        seed=0,
        meta_iterations=meta_iterations,
        round=0,
    )


def _run(trainer: Trainer, trial: TrialSpec) -> TrialResult:
    with ProgressBar(console=Console(stderr=True), transient=True) as bar:
        training = bar.add_task("meta-iterations", total=trial.meta_iterations)

        def observe(progress: Progress) -> None:
            bar.update(training, completed=progress.meta_iteration)

        return trainer.run(trial, observe)


def _row(name: str, accuracy: Accuracy, meta_iterations: int) -> dict[str, Any]:
    return {
        "evaluated": name,
        "meta-iterations": meta_iterations,
        "accuracy": 100 * accuracy.mean,
        "± 95%": 100 * accuracy.interval,
        "published at 100,000": PUBLISHED[name],
        "difference": 100 * accuracy.mean - PUBLISHED[name],
    }


def _claims(rows: list[dict[str, Any]]) -> list[Claim]:
    return [
        Claim(
            f"{row['evaluated']}: {row['difference']:+.2f} points from the published, at most ±{BAND}",
            abs(row["difference"]) <= BAND,
        )
        for row in rows
    ]


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--meta-iterations", type=int, default=2000, help="default: 2000; the paper's: 100000")
    made.add_argument(
        "--tasks", type=int, default=1000, help="test tasks at the end; default: 1000; the paper's: 10000"
    )
    made.add_argument("--curve-points", type=int, default=10, help="default: 10")
    made.add_argument("--device", default="cpu", help="cpu or cuda")
    made.add_argument("--folder", type=Path, default=Path(".cache/reptile_baseline"), help="for checkpoints")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
