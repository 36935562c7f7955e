"""Time series, state timelines and heatmaps, as SVG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from monitoring.dashboards.drawing.formats import formatted, formatted_alike
from monitoring.dashboards.drawing.scales import Scale, ticks, time_ticks
from monitoring.dashboards.model import Colour, Panel
from monitoring.dashboards.recording import Series
from monitoring.dashboards.substitution import View

COLOURS = {
    Colour.GREEN: "#3d9140",
    Colour.YELLOW: "#d9a400",
    Colour.ORANGE: "#f2720c",
    Colour.RED: "#d4293d",
    Colour.BLUE: "#2f6fd0",
    Colour.PURPLE: "#9447c0",
    Colour.GREY: "#8a9099",
}
PALETTE = (*(COLOURS[each] for each in Colour if each is not Colour.GREY), "#0f8a8a", "#8a5a2b", "#c2478f", "#5f6b3a")

LEFT, RIGHT, TOP, BOTTOM = 66, 10, 8, 22
"""Pixels around the area that data is drawn in."""

LEAST_LABEL_WIDTH = 52
"""A state is named where its bar is at least so many pixels wide."""


@dataclass(frozen=True)
class Frame:
    """A drawing's size in pixels, and the time that it shows."""

    width: int
    height: int
    start: float
    end: float

    @classmethod
    def of(cls, width: int, height: int, view: View, end: float) -> Frame:
        """Return a frame for a view that ends at a time."""
        return cls(width, height, end - view.range_seconds, end)

    @property
    def times(self) -> Scale:
        """The scale of the time."""
        return Scale(self.start, self.end, LEFT, self.width - RIGHT)

    def svg(self, *parts: str) -> str:
        """Return the drawing, with the axis of time."""
        bottom = self.height - BOTTOM
        axis = [
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
            f'<text x="{x:.1f}" y="{self.height - 6}" text-anchor="middle">{_clock(at)}</text>'
            for at in time_ticks(self.start, self.end, (self.width - LEFT) // 70)
            # One at the very edge would be cut off.
            if LEFT + 12 < (x := self.times.at(at)) < self.width - RIGHT - 14
        ]
        return f'<svg width="{self.width}" height="{self.height}">{"".join([*axis, *parts])}</svg>'


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M")


def colour_of(panel: Panel, name: str, index: int) -> str:
    """Return the colour of a panel's series: that of its name where it has one."""
    for text in panel.texts:
        if text.value == name:
            return COLOURS[text.colour]
    return PALETTE[index % len(PALETTE)]


# --- time series --------------------------------------------------------------------------------------------------


def time_series(panel: Panel, series: Sequence[Series], frame: Frame, step: float) -> str:
    """Draw lines, or areas above each other where the panel is stacked."""
    layers = _stacked(series) if panel.is_stacked else [(each, [0.0] * len(each.points)) for each in series]
    highest = max(value + base for each, bases in layers for (_, value), base in zip(each.points, bases, strict=True))
    lowest = min(value for each, _ in layers for _, value in each.points)
    highest = max([highest, *(value for value, _ in panel.thresholds if value <= 1.5 * highest)])
    low = panel.minimum if panel.minimum is not None else lowest
    marks = ticks(low, panel.maximum if panel.maximum is not None else highest, panel.unit)
    values = Scale(marks[0], marks[-1], frame.height - BOTTOM, TOP)
    labels = formatted_alike(marks, panel.unit)
    parts = [_mark(values.at(mark), label, frame) for mark, label in zip(marks, labels, strict=True)]
    for index, (each, bases) in enumerate(layers):
        parts.append(_line(each, bases, frame, values, colour_of(panel, each.name, index), step, panel.is_stacked))
    for value, colour in panel.thresholds:
        if marks[0] <= value <= marks[-1]:
            y = values.at(value)
            parts.append(
                f'<line x1="{LEFT}" x2="{frame.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="{COLOURS[colour]}" '
                'stroke-dasharray="6 4"/>'
            )
    return frame.svg(*parts)


def _stacked(series: Sequence[Series]) -> list[tuple[Series, list[float]]]:
    """Return each series with what it stands on at each of its times."""
    heights: dict[float, float] = {}
    found = []
    for each in series:
        found.append((each, [heights.get(at, 0.0) for at, _ in each.points]))
        for at, value in each.points:
            heights[at] = heights.get(at, 0.0) + value
    return found


def _mark(y: float, label: str, frame: Frame) -> str:
    return (
        f'<line class="grid" x1="{LEFT}" x2="{frame.width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{html.escape(label)}</text>'
    )


def _line(
    series: Series, bases: Sequence[float], frame: Frame, values: Scale, colour: str, step: float, is_area: bool
) -> str:
    """Draw a line that is broken where there is no data for longer than two steps."""
    runs: list[list[tuple[float, float, float]]] = []
    previous = float("-inf")
    for (at, value), base in zip(series.points, bases, strict=True):
        if at - previous > 2 * step:
            runs.append([])
        runs[-1].append((frame.times.at(at), values.at(base + value), values.at(base)))
        previous = at
    parts = []
    for run in runs:
        over = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in run)
        if is_area:
            under = " ".join(f"{x:.1f},{y:.1f}" for x, _, y in reversed(run))
            parts.append(f'<polygon points="{over} {under}" fill="{colour}" opacity="0.35"/>')
        parts.append(f'<polyline points="{over}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        if len(run) == 1:  # a line of one point would not be seen
            parts.append(f'<circle cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="2" fill="{colour}"/>')
    return "".join(parts)


# --- states -------------------------------------------------------------------------------------------------------


def state_timeline(panel: Panel, series: Sequence[Series], frame: Frame, step: float) -> str:
    """Draw a bar for each series, in the colours of its states."""
    texts = {float(each.value): each for each in panel.texts}
    height = (frame.height - TOP - BOTTOM) / len(series)
    left = 120  # names are longer than numbers
    times = Scale(frame.start, frame.end, left, frame.width - RIGHT)
    parts = []
    for index, each in enumerate(series):
        y = TOP + index * height
        middle = y + height / 2 + 4
        parts.append(f'<text x="{left - 8}" y="{middle:.1f}" text-anchor="end">{html.escape(each.name)}</text>')
        for begin, end, value in _runs(each.points, step):
            text, x = texts[value], times.at(begin)
            width = times.at(min(end, frame.end)) - x
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 2:.1f}" width="{max(1.0, width):.1f}" height="{height - 4:.1f}" '
                f'fill="{COLOURS[text.colour]}" opacity="0.75"/>'
            )
            if width >= LEAST_LABEL_WIDTH:
                parts.append(f'<text class="on" x="{x + 6:.1f}" y="{middle:.1f}">{html.escape(text.text)}</text>')
    axis = [
        f'<text x="{times.at(at):.1f}" y="{frame.height - 6}" text-anchor="middle">{_clock(at)}</text>'
        for at in time_ticks(frame.start, frame.end)
        if left + 12 < times.at(at) < frame.width - RIGHT - 14
    ]
    return f'<svg width="{frame.width}" height="{frame.height}">{"".join([*parts, *axis])}</svg>'


def _runs(points: Sequence[tuple[float, float]], step: float) -> list[tuple[float, float, float]]:
    """Return begin, end and value of each time in which a value stays."""
    runs: list[tuple[float, float, float]] = []
    for at, value in points:
        if runs and runs[-1][2] == value and at - runs[-1][1] <= 2 * step:
            runs[-1] = (runs[-1][0], at + step, value)
        else:
            runs.append((at, at + step, value))
    return runs


# --- heatmaps -----------------------------------------------------------------------------------------------------


def heatmap(panel: Panel, series: Sequence[Series], frame: Frame, step: float) -> str:
    """Draw how many observations were in each bucket; series count those up to a bound, given as their name."""
    buckets = sorted(series, key=lambda each: float(each.name))
    counts: list[dict[float, float]] = []
    below: dict[float, float] = {}
    for bucket in buckets:
        total = dict(bucket.points)
        counts.append({at: value - below.get(at, 0.0) for at, value in total.items()})
        below = total
    most = max((value for each in counts for value in each.values()), default=0.0) or 1.0
    height = (frame.height - TOP - BOTTOM) / len(buckets)
    width = frame.times.at(frame.start + step) - frame.times.at(frame.start)
    parts = []
    for index, (bucket, each) in enumerate(zip(buckets, counts, strict=True)):
        y = frame.height - BOTTOM - (index + 1) * height
        bound = float(bucket.name)
        label = "more" if bound == float("inf") else formatted(bound, panel.unit)
        parts.append(f'<text x="{LEFT - 6}" y="{y + height / 2 + 4:.1f}" text-anchor="end">{label}</text>')
        parts += [
            f'<rect x="{frame.times.at(at) - width:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{COLOURS[Colour.BLUE]}" opacity="{0.15 + 0.85 * value / most:.2f}"/>'
            for at, value in each.items()
            if value > 1e-9 and at > frame.start
        ]
    return frame.svg(*parts)
