"""The charts of the report. Each takes values and gives an SVG element; `canvas` has the style."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from metasearch.search.trials import Stage, State
from metasearch_cli.report.canvas import chart, colour, round_colour
from metasearch_cli.report.comparison import Point
from metasearch_cli.report.formats import short
from metasearch_cli.report.series import Curve, Ended, PredictedRound

WIDE, HALF, QUARTER = 1052, 516, 252
"""Widths in pixels, for one, two or four charts in a row of the page."""

Style = dict[str, Any]
"""Keywords of matplotlib's."""

_HEADROOM = 0.06
_STEPS = (1, 2, 5, 10)  # between ticks
_NAMES_IN_A_CHART = 16  # one above the other


# --- progress -----------------------------------------------------------------------------------------------------


def progress(ended: Sequence[Ended], rounds: int, chance: float, titles: Mapping[int, str], label: str) -> str:
    """Draw the score of each search trial in the order in which they ended, with the best so far."""

    def draw(axes: Axes) -> None:
        _score_axis(axes, [each.score for each in ended if each.score is not None], chance)
        _round_bands(axes, ended, titles)
        for number in sorted({each.round for each in ended}):
            _round_marks(axes, [each for each in ended if each.round == number], colour(round_colour(number, rounds)))
        failed = [each.place for each in ended if each.state is State.FAILED]
        foot: Style = {"transform": axes.get_xaxis_transform(), "clip_on": False}  # for a failed trial has no score
        axes.scatter(failed, [0.0] * len(failed), marker="x", s=36, lw=1.6, c=colour("bad"), zorder=4, **foot)
        best = [(each.place, each.best) for each in ended if each.best is not None]
        axes.step([x for x, _ in best], _percents(y for _, y in best), where="post", **_line("ink", 1.5))
        axes.set_xlim(0, len(ended) + 1)
        axes.xaxis.set_major_locator(MaxNLocator(12, steps=_STEPS, integer=True, min_n_ticks=1))
        axes.set_xlabel("search trials, in the order in which they ended")

    return chart("progress", label, WIDE, 340, draw)


def _round_marks(axes: Axes, ended: Sequence[Ended], hue: str) -> None:
    """Draw dots for trials that ran to their end, diamonds for beginnings, rings for those given up."""
    kinds: Sequence[tuple[State, bool, Style]] = (
        (State.SUCCEEDED, False, _filled(hue)),
        (State.SUCCEEDED, True, {**_ring(hue), "marker": "D"}),
        (State.STOPPED, False, _ring(hue)),
        (State.STOPPED, True, _ring(hue)),
    )
    for state, is_beginning, style in kinds:
        of_kind = [each for each in ended if (each.state, each.is_beginning) == (state, is_beginning)]
        scored = [(each.place, each.score) for each in of_kind if each.score is not None]
        axes.scatter([x for x, _ in scored], _percents(y for _, y in scored), s=26, alpha=0.85, zorder=3, **style)


def _round_bands(axes: Axes, ended: Sequence[Ended], titles: Mapping[int, str]) -> None:
    """Draw a line where one round ends and the next begins, and the round's title where there is room for it."""
    numbers = sorted({each.round for each in ended})
    for number in numbers if len(numbers) > 1 else []:
        places = [each.place for each in ended if each.round == number]
        first, last = min(places), max(places)
        if first > 1:
            axes.axvline(first - 0.5, color=colour("line"), lw=1, ls=(0, (2, 3)))
        if (last - first + 1) / len(ended) > 0.06:
            style: Style = {"transform": axes.get_xaxis_transform(), "color": colour("muted"), "va": "bottom"}
            axes.text((first + last) / 2, 1.0, titles[number], ha="center", **style)


# --- progress of several searches ---------------------------------------------------------------------------------

LINE_KEYS = ("line", "dashes", "dots")
"""The kinds of lines in turn, as the style sheet's keys have them: beside the colour, for those who see none."""
_LINE_KINDS: Sequence[Any] = ("-", (0, (5, 2.5)), (0, (1.2, 1.8)))


@dataclass(frozen=True)
class ProgressLine:
    """The best score so far of one of several searches."""

    index: int
    """The search's place among all, which gives its line colour and kind."""
    points: Sequence[Point]
    """At least one."""


def progress_by_trials(lines: Sequence[ProgressLine], label: str) -> str:
    """Draw the best score so far of several searches against the number of trials that were over."""

    def draw(axes: Axes) -> None:
        _progress_lines(axes, lines, lambda point: point.trials)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS, integer=True, min_n_ticks=1))
        axes.set_xlabel("search trials that are over")

    return chart("progress-by-trials", label, HALF, 320, draw)


def progress_by_seconds(lines: Sequence[ProgressLine], label: str) -> str:
    """Draw the best score so far of several searches against time."""
    longest = max(line.points[-1].seconds for line in lines)
    unit, size = next(((unit, size) for unit, size in _TIME_UNITS if longest >= 2 * size), _TIME_UNITS[-1])

    def draw(axes: Axes) -> None:
        _progress_lines(axes, lines, lambda point: point.seconds / size)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
        axes.set_xlabel(f"{unit} with workers")

    return chart("progress-by-seconds", label, HALF, 320, draw)


_TIME_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


def _progress_lines(axes: Axes, lines: Sequence[ProgressLine], place: Callable[[Point], float]) -> None:
    """Draw a step for each new best, and at the end of each line the 95% interval of its last best."""
    ends = [(line.points[-1].best, line.points[-1].interval) for line in lines]
    bounds = [bound for best, interval in ends for bound in (best - interval, best + interval)]
    _score_axis(axes, [*(point.best for line in lines for point in line.points), *bounds])
    for line in lines:
        style = _line(f"search-{line.index + 1}", 1.8) | {"ls": _LINE_KINDS[line.index % len(_LINE_KINDS)]}
        axes.step(
            [place(point) for point in line.points], _percents(p.best for p in line.points), where="post", **style
        )
        axes.plot([place(line.points[-1])], [100 * line.points[-1].best], "o", ms=5, mew=0, color=style["color"])
    right = max(place(line.points[-1]) for line in lines)
    for position, line in enumerate(lines):
        # Beside the chart, one after the other: at the ends of lines that are equally long they would hide each other.
        bar: Style = {"color": colour(f"search-{line.index + 1}"), "elinewidth": 1.4, "capsize": 3, "fmt": "none"}
        at, last = right * (1.03 + 0.025 * position), line.points[-1]
        axes.errorbar([at], [100 * last.best], yerr=[100 * last.interval], **bar)
    axes.set_xlim(0, right * (1.04 + 0.025 * len(lines)))


# --- predictions --------------------------------------------------------------------------------------------------


def predicted(round: PredictedRound, rounds: int, limits: tuple[float, float], label: str) -> str:
    """Draw predicted against measured scores of one round; `limits` are shares, alike for all rounds."""

    def draw(axes: Axes) -> None:
        low, high = (100 * limit for limit in limits)
        axes.grid(True, axis="both")
        axes.plot([low, high], [low, high], color=colour("muted"), lw=1, ls=(0, (4, 3)))
        hue = colour(round_colour(round.round, rounds))
        for each in round.predictions:
            style = _filled(hue) if each.complete else _ring(hue)
            place = _percents([each.predicted]), _percents([each.measured])
            axes.scatter(*place, s=28, alpha=0.85, marker="D" if each.is_drawn else "o", **style)
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="predicted, %", ylabel="measured, %")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4, steps=_STEPS))

    return chart(f"predicted-{round.round}", label, QUARTER, QUARTER, draw)


def prediction_limits(rounds: Sequence[PredictedRound]) -> tuple[float, float]:
    """Return the range that holds every prediction and measurement, with room around it."""
    values = [value for round in rounds for each in round.predictions for value in (each.predicted, each.measured)]
    room = max(_HEADROOM * (max(values) - min(values)), 0.01)
    return min(values) - room, max(values) + room


# --- front --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mark:
    """A network on the chart of score against parameters."""

    parameters: int
    score: float
    name: str = ""
    """The name to write beside it; empty for none."""


@dataclass(frozen=True)
class FrontMarks:
    """Everything on that chart."""

    trials: Sequence[Mark]
    front: Sequence[Mark]
    best: Mark | None
    """The delivered cell as the search measured it."""
    delivered: Mark | None
    """The same after full training."""
    others: Sequence[Mark]
    """Other networks trained in full."""
    baselines: Sequence[Mark]


def front(marks: FrontMarks, label: str) -> str:
    """Draw score against parameters: all search trials, their front, and what was trained in full."""

    def draw(axes: Axes) -> None:
        every = [*marks.trials, *marks.others, *marks.baselines, *filter(None, [marks.delivered])]
        _score_axis(axes, [each.score for each in every])
        _parameter_axis(axes, [each.parameters for each in every])
        _scatter(axes, marks.trials, s=20, c=colour("muted"), lw=0, alpha=0.35)
        _front_line(axes, marks.front)
        if marks.best and marks.delivered:
            _join(axes, (marks.best, marks.delivered), **_line("delivered", 1.2), ls=(0, (2, 3)))
        _scatter(axes, filter(None, [marks.best]), s=110, facecolors="none", edgecolors=colour("delivered"), lw=1.6)
        _scatter(axes, marks.others, s=34, marker="D", facecolors="none", edgecolors=colour("delivered"), lw=1)
        _scatter(axes, filter(None, [marks.delivered]), s=62, marker="D", c=colour("delivered"), lw=0)
        _scatter(axes, marks.baselines, s=62, marker="s", c=colour("baseline"), lw=0)
        # To the left, for baselines are mostly larger than what is found.
        _write_names(axes, ((mark.name, mark.parameters, mark.score) for mark in marks.baselines), "left")

    return chart("front", label, WIDE, 400, draw)


def _scatter(axes: Axes, marks: Iterable[Mark], **style: Any) -> None:
    each = list(marks)
    axes.scatter([mark.parameters for mark in each], _percents(mark.score for mark in each), zorder=3, **style)


def _write_names(axes: Axes, marks: Iterable[tuple[str, float, float]], side: str) -> None:
    """
    Write the names of baselines beside their marks, no two of them over each other.

    Args:
        marks: a name, a place on the horizontal axis and a score for each.
        side: left or right.
    """
    low, high = axes.get_ylim()
    free = low
    for name, x, score in sorted(marks, key=lambda mark: mark[2]):
        height = max(free, 100 * score)
        free = height + (high - low) / _NAMES_IN_A_CHART
        beside: Style = {"xytext": (-8 if side == "left" else 8, 0), "textcoords": "offset points", "va": "center"}
        align = "right" if side == "left" else "left"
        axes.annotate(name, (x, height), ha=align, color=colour("baseline"), annotation_clip=False, **beside)


def _join(axes: Axes, marks: Sequence[Mark], **style: Any) -> None:
    axes.plot([mark.parameters for mark in marks], _percents(mark.score for mark in marks), **style)


def _front_line(axes: Axes, marks: Sequence[Mark]) -> None:
    """Draw the front in steps: between two of its points, nothing better was found than the smaller."""
    rising = sorted(marks, key=lambda mark: mark.parameters)
    _join(axes, rising, **_line("accent", 1.6), drawstyle="steps-post")
    _scatter(axes, rising, s=28, c=colour("accent"), lw=0)


def _parameter_axis(axes: Axes, parameters: Sequence[int]) -> None:
    low, high = max(1, min(parameters)), max(1, *parameters)
    axes.set_xscale("log")
    room = 1.12 if high > low else 1.6
    axes.set_xlim(low / room, high * room)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.set_xlabel("parameters (logarithmic)")


# --- learning curves ----------------------------------------------------------------------------------------------


def search_curves(curves: Sequence[Curve], rounds: int, limits: tuple[float, float], label: str) -> str:
    """Draw the curves of search trials, coloured by round."""
    return _curve_chart(
        "search-curves", curves, limits, label, lambda curve: _line(round_colour(curve.round, rounds), 1.3, 0.75)
    )


def final_curves(curves: Sequence[Curve], delivered: str | None, limits: tuple[float, float], label: str) -> str:
    """Draw the curves of final trials and the baselines'; those of the delivered cell stand out."""

    def style(curve: Curve) -> Style:
        if curve.stage is Stage.BASELINE:
            return _line("baseline", 1.8) | {"ls": (0, (4, 2))}
        return _line("delivered", 2.2) if curve.candidate == delivered else _line("muted", 1.1, 0.6)

    # What is drawn later covers what was drawn before.
    back_to_front = sorted(curves, key=lambda curve: (curve.stage is Stage.BASELINE, curve.candidate == delivered))
    return _curve_chart("final-curves", back_to_front, limits, label, style)


def curve_limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Return the range of all curves."""
    scores = [point.score for curve in curves for point in curve.points]
    return min(scores), max(scores)


def _curve_chart(
    name: str,
    curves: Sequence[Curve],
    limits: tuple[float, float],
    label: str,
    style: Callable[[Curve], Style],
) -> str:
    def draw(axes: Axes) -> None:
        _score_axis(axes, limits)
        for curve in curves:
            steps = [point.meta_iteration for point in curve.points]
            axes.plot(
                steps, _percents(point.score for point in curve.points), marker="o", ms=3.5, mew=0, **style(curve)
            )
        # Several baselines look alike; of one's seeds, one is named.
        named = {curve.candidate: curve.points[-1] for curve in curves if curve.stage is Stage.BASELINE}
        _write_names(axes, ((name, point.meta_iteration, point.score) for name, point in named.items()), "right")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.set_xlabel("meta-iterations")

    return chart(name, label, HALF, 300, draw)


# --- parts --------------------------------------------------------------------------------------------------------


def is_in_sight(chance: float, scores: Sequence[float]) -> bool:
    """Tell whether a chart of these scores can go down to chance without being mostly empty."""
    return min(scores) - chance < 0.5 * (max(scores) - min(scores))


def _score_axis(axes: Axes, scores: Sequence[float], chance: float | None = None) -> None:
    """Set up an axis in percent from the lowest score to the highest, with a line at chance where that is in sight."""
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    room = max(_HEADROOM * (high - low), 0.01)
    if chance is not None and is_in_sight(chance, scores):
        low = min(low, chance)
        axes.axhline(100 * chance, color=colour("muted"), lw=1, ls=(0, (1, 3)))
    axes.set_ylim(100 * (low - room), 100 * (high + room))
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=_STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylabel("score, %")


def _filled(hue: str) -> Style:
    return {"c": hue, "lw": 0}


def _ring(hue: str) -> Style:
    return {"facecolors": "none", "edgecolors": hue, "lw": 1.1}


def _line(name: str, width: float, alpha: float = 1.0) -> Style:
    return {"color": colour(name), "lw": width, "alpha": alpha}


def _percents(shares: Iterable[float | None]) -> list[float]:
    return [100 * share for share in shares if share is not None]
