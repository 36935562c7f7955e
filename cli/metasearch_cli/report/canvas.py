"""
Matplotlib figures as SVG elements of a page: in the page's colours, light or dark, with the page's own font.

Charts are drawn in stand-in colours, which become references to the CSS variables `--chart-<name>` afterwards. Sizes
are pixels. Nothing of matplotlib's global state is left changed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from html import escape
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROUND_COLOURS = 8
SEARCH_COLOURS = 8
_NAMES = (
    *("ink", "muted", "line", "grid", "paper", "accent", "delivered", "baseline", "bad"),
    *(f"round-{number}" for number in range(1, ROUND_COLOURS + 1)),
    *(f"search-{number}" for number in range(1, SEARCH_COLOURS + 1)),
)
_STAND_IN = {name: f"#0a0b{index:02x}" for index, name in enumerate(_NAMES)}
_NAMED = {stand_in: name for name, stand_in in _STAND_IN.items()}

_PIXELS_PER_INCH = 72  # matplotlib's SVG has 72 user units to the inch
_FONT_SIZE = 12.0

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": [
        "DejaVu Sans"
    ],  # comes with matplotlib, and is wider than what pages are set in: nothing is cut off
    "font.size": _FONT_SIZE,
    "text.parse_math": False,  # a user's name may have a $, which would begin a formula
    "text.color": _STAND_IN["ink"],
    "axes.labelcolor": _STAND_IN["muted"],
    "axes.labelsize": _FONT_SIZE,
    "axes.edgecolor": _STAND_IN["line"],
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _STAND_IN["grid"],
    "grid.linewidth": 1.0,
    "xtick.labelcolor": _STAND_IN["muted"],
    "ytick.labelcolor": _STAND_IN["muted"],
    "xtick.color": _STAND_IN["line"],
    "ytick.color": _STAND_IN["line"],
    "xtick.major.size": 4.0,
    "xtick.minor.size": 0.0,
    "ytick.major.size": 0.0,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "figure.constrained_layout.w_pad": 4 / _PIXELS_PER_INCH,
    "figure.constrained_layout.h_pad": 4 / _PIXELS_PER_INCH,
}


def colour(name: str) -> str:
    """Return the stand-in that matplotlib draws one of the page's colours with."""
    return _STAND_IN[name]


def round_colour(number: int, rounds: int) -> str:
    """Name a round's colour: however many rounds there are, they span the whole scale."""
    position = (number - 1) / max(1, rounds - 1)
    return f"round-{1 + round(min(1.0, position) * (ROUND_COLOURS - 1))}"


def chart(name: str, label: str, width: int, height: int, draw: Callable[[Axes], None]) -> str:
    """
    Draw one chart.

    Args:
        name: of no other chart of the page, for ids are made of it.
        label: what the chart shows, for those who cannot see it.
    """
    # Matplotlib makes ids from a salted hash. A random salt, its default, would make equal searches into unequal files,
    # and one salt for all charts could give two elements of the page the same id.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure((width / _PIXELS_PER_INCH, height / _PIXELS_PER_INCH), layout="constrained")
        draw(figure.add_subplot())
        written = io.StringIO()
        # The time and the version of matplotlib would differ between files of equal searches.
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    head = (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">'
    )
    return f"{head}{_inner(written.getvalue())}</svg>"


def _inner(document: str) -> str:
    """
    Return the content of the root element in the page's colours.

    Matplotlib's SVG is a document of its own. Inside a page its style element would apply to everything, its ids of
    groups would be there several times, and its colours would not follow the reader's theme; it has no setting for any
    of these.
    """
    root = ElementTree.fromstring(document)  # noqa: S314 - we have just drawn it
    for element in root.iter():
        # HTML knows the elements of SVG without their namespace.
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {_attribute(name): value for name, value in element.attrib.items()}
        if element.tag == "g":
            element.attrib.pop("id", None)  # alike in every figure
        element.tail = "\n"  # instead of the indentation; texts are in leaves
        if "style" in element.attrib:
            element.attrib["style"] = _page_style(element.attrib["style"])
    drawn = [child for child in root if child.find("style") is None]
    return "".join(ElementTree.tostring(child, encoding="unicode") for child in drawn)


def _attribute(name: str) -> str:
    """Name an attribute as HTML does, which knows the prefix of XLink alone."""
    namespace, _, local = name.rpartition("}")
    return f"xlink:{local}" if namespace.endswith("xlink") else local


def _page_style(style: str) -> str:
    """Refer to the page's colours instead of their stand-ins, and leave the font to the page."""
    for stand_in, name in _NAMED.items():
        style = style.replace(stand_in, f"var(--chart-{name})")
    return "; ".join(each for each in style.split("; ") if not each.startswith("font-family:"))
