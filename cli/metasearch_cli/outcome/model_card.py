"""The text that goes with delivered weights: what they are, how good, and on what."""

from __future__ import annotations

from collections.abc import Sequence

from metasearch.api import MetaSearchSpec, Split
from metasearch.outcome.figures import Estimate, FinalNetwork, FoundNetwork
from metasearch.outcome.results import SearchResult
from metasearch.plurals import counted

_CARD = """\
# {name}: a {ways}-way {shots}-shot learner

A small network that learns {ways} new classes from {images} of each. MetaSearch {version} found its cell
and meta-trained it with {meta_learner} for {meta_iterations:,} meta-iterations on {data}.{cut_short}

    {cell}

| | parameters | accuracy, queries alone | alone, support statistics | queries together (transductive) |
|---|---|---|---|---|
{rows}

Accuracy in percent with 95% intervals, on {tasks:,} tasks of test classes for each of {seeds}.
{unseen}
The columns are not comparable with each other. Batch normalisation sees, in the first, one query and the images that
were learned from; in the second, only those images; in the third, one query of every class, which makes the task
easier.{shifts}

**Use.** `python use.py`, with metasearch-operator[trainer] installed. Images must be {side} and scaled to [0, 1]. By
default, images are classified as in the second column: each by itself.

**Limits.** It knows nothing of images unlike its training data, and does not say how sure it is.
"""

_UNSEEN = {
    Split.VALIDATION: "None of those classes was seen in training or in the choice of the cell.",
    Split.TEST: "None of those classes was seen in training, but the cell was chosen by its accuracy on them "
    "(evaluation.split is Test), so these figures flatter it.",
}


def model_card(result: SearchResult, network: FoundNetwork[float]) -> str:
    """Write, in Markdown, what somebody who finds the weights should know."""
    spec = result.search.spec
    networks = [
        ("this network", network),
        *((f"{baseline.name} baseline", baseline) for baseline in result.baselines),
    ]
    return _CARD.format(
        name=result.search.name,
        version=result.search.version,
        ways=spec.task.ways,
        shots=spec.task.shots,
        images=counted(spec.task.shots, "image"),
        meta_learner=(spec.final.training or spec.training).meta_learner,
        meta_iterations=network.meta_iterations,
        data=_data(spec),
        cut_short=_cut_short(networks, spec.final.meta_iterations),
        cell=network.candidate,
        rows="\n".join(_row(name, each) for name, each in networks),
        tasks=network.tasks,
        seeds=counted(network.seeds, "seed"),
        unseen=_UNSEEN[spec.evaluation.split],
        shifts=_shifts(spec.evaluation.shifts),
        side="as large as those it was trained on"
        if spec.dataset.image_size is None
        else f"{spec.dataset.image_size} pixels wide and high",
    )


def _cut_short(networks: Sequence[tuple[str, FinalNetwork[float]]], asked: int) -> str:
    """Return a sentence on the networks whose training a limit of the budget cut short; empty where there is none."""
    cut = [
        f"{name} cut short after {network.meta_iterations:,} of {asked:,} meta-iterations"
        for name, network in networks
        if network.cut_short
    ]
    return f"\nThe search's budget was spent before the end: {' and '.join(cut)}." if cut else ""


def _shifts(pixels: int) -> str:
    """Return a sentence on the copies over which predictions are averaged; empty where there are none."""
    return (
        f"\nEach prediction is a mean over an image and copies moved by {counted(pixels, 'pixel')}." if pixels else ""
    )


def _data(spec: MetaSearchSpec) -> str:
    name = spec.dataset.title
    return name if spec.dataset.training_rotations == 1 else f"{name} with rotated classes"


def _row(name: str, network: FinalNetwork[float]) -> str:
    measured = (network.non_transductive, network.support_statistics, network.transductive)
    return f"| {name} | {network.parameter_count:,} | {' | '.join(map(_text, measured))} |"


def _text(measured: Estimate[float]) -> str:
    return f"{100 * measured.accuracy:.2f} ± {100 * measured.interval:.2f}"
