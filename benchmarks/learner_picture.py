"""
Draw the accuracy that each meta-learner reaches against its CPU time, from the figures of `benchmarks/learners.py`.

    python benchmarks/learner_picture.py      benchmarks/results/learners.json to docs/images/learners.svg
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

INCHES_OF_A_PANEL = (4.2, 5.2)
COLOURS = {"Prototypes": "#0b6e4f", "ProtoMAML": "#c8553d", "Reptile": "#27509b"}
"""The learners to be told apart at a glance; the others are grey, with their names."""
OTHERS = "#8a8f98"
LABEL_DISTANCE = 2.6
"""The least distance of two names, in percent of accuracy."""

Row = dict[str, Any]


def main() -> int:
    """Draw one panel for each network."""
    arguments = _arguments()
    rows: list[Row] = json.loads(arguments.figures.read_text(encoding="utf-8"))["rows"]
    networks = list(dict.fromkeys(row["network"] for row in rows))
    # A fixed salt, and no date: equal figures make an equal file.
    with matplotlib.rc_context({"svg.hashsalt": "learners", "font.size": 10.0}):
        width, height = INCHES_OF_A_PANEL
        figure = Figure((width * len(networks), height), layout="constrained")
        panels = figure.subplots(1, len(networks), sharey=True, squeeze=False)[0]
        for axes, network in zip(panels, networks, strict=True):
            _panel(axes, [row for row in rows if row["network"] == network])
        panels[0].set_ylabel("accuracy on test classes, each query alone (%)")
        figure.savefig(arguments.picture, metadata={"Date": None}, facecolor="white")
    return 0


def _panel(axes: Axes, rows: Sequence[Row]) -> None:
    """Draw the learners on one network: accuracy, with its 95% interval, against seconds."""
    seconds = sorted({row["CPU s"] for row in rows})
    ends: list[tuple[float, float, str, str]] = []
    for learner, group in itertools.groupby(sorted(rows, key=lambda row: row["learner"]), lambda row: row["learner"]):
        points = sorted(group, key=lambda row: row["CPU s"])
        times = [row["CPU s"] for row in points]
        accuracies = [row["non_transductive"] for row in points]
        colour = COLOURS.get(learner, OTHERS)
        axes.errorbar(
            times,
            accuracies,
            [row["non_transductive ±"] for row in points],
            color=colour,
            lw=2 if learner in COLOURS else 1.2,
            elinewidth=0.8,
            capsize=2,
            marker="o",
            ms=4,
            zorder=3 if learner in COLOURS else 2,
        )
        ends.append((accuracies[-1], times[-1], learner, colour))
    for height, (accuracy, last, learner, colour) in zip(_apart([end[0] for end in ends]), sorted(ends), strict=True):
        text_place = (seconds[-1] * 1.25, height)
        line = {"arrowstyle": "-", "color": colour, "lw": 0.6}
        axes.annotate(learner, (last, accuracy), text_place, color=colour, va="center", fontsize=9, arrowprops=line)
    axes.set_xscale("log")
    axes.set_xlim(seconds[0] * 0.8, seconds[-1] * 5)
    axes.xaxis.set_major_locator(FixedLocator(seconds))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([str(each) for each in seconds])
    axes.set_xlabel("CPU seconds of training")
    axes.set_title(f"{rows[0]['network']}, {rows[0]['parameters']:,} parameters", fontsize=10)
    axes.grid(axis="y", color="#e4e6ea")
    axes.spines[["top", "right"]].set_visible(False)


def _apart(accuracies: Sequence[float]) -> list[float]:
    """Return heights for the names of accuracies, lowest first, of which no two are too near each other."""
    heights: list[float] = []
    for accuracy in sorted(accuracies):
        heights.append(max(accuracy, heights[-1] + LABEL_DISTANCE) if heights else accuracy)
    # What was pushed up above the highest accuracy is moved down again, from the top.
    ceiling = max(accuracies) + LABEL_DISTANCE
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - LABEL_DISTANCE
    return heights


def _arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--figures", type=Path, default=Path("benchmarks/results/learners.json"), help="default: %(default)s"
    )
    made.add_argument("--picture", type=Path, default=Path("docs/images/learners.svg"), help="default: %(default)s")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
