"""Values with their units, written as Grafana writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from monitoring.dashboards.model import DisplayUnit

TIMES = ((1e-6, " ns", 1e-9), (1e-3, " µs", 1e-6), (1, " ms", 1e-3), (60, " s", 1), (3_600, " mins", 60))
LONG_TIMES = ((86_400, " hours", 3_600), (604_800, " days", 86_400), (31_536_000, " weeks", 604_800))
MOST_DECIMALS = 6
NUMBER = re.compile(r"-?[0-9.]+")
YEAR = 31_536_000
BYTES = (" B", " KiB", " MiB", " GiB", " TiB")
COUNTS = ("", " K", " Mil", " Bil")


def formatted(value: float, unit: DisplayUnit, decimals: int | None = None) -> str:
    """
    Return a value with its unit.

    Args:
        decimals: None keeps three digits, and none of a whole number.
    """
    match unit:
        case DisplayUnit.SECONDS:
            return _time(value, decimals)
        case DisplayUnit.SHARE:
            return f"{_fixed(100 * value, decimals)}%"
        case DisplayUnit.BYTES:
            return _scaled(value, 1024, BYTES, decimals)
        case DisplayUnit.COUNT:
            return _scaled(value, 1000, COUNTS, decimals)
        case DisplayUnit.REQUESTS_PER_SECOND:
            # Its thousands have no space before the letter.
            return _scaled(value, 1000, [each.strip() for each in COUNTS], decimals) + " req/s"
        case DisplayUnit.MOMENT:
            return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        case DisplayUnit.NUMBER:
            return _fixed(value, decimals)
        case _:
            return f"{_fixed(value, decimals)} {unit.removeprefix('suffix:')}"


def formatted_alike(values: Sequence[float], unit: DisplayUnit) -> Sequence[str]:
    """Return values with their unit and as few decimals as all of them can do with, for the ticks of an axis."""
    exact = [_number(formatted(value, unit, MOST_DECIMALS)) for value in values]
    for decimals in range(MOST_DECIMALS):
        found = [formatted(value, unit, decimals) for value in values]
        if all(abs(_number(text) - number) < 1e-6 for text, number in zip(found, exact, strict=True)):
            return found
    return [formatted(value, unit) for value in values]


def _number(text: str) -> float:
    found = NUMBER.match(text)
    assert found, f"{text} begins with no number"
    return float(found[0])


def _time(value: float, decimals: int | None) -> str:
    if value == 0:
        return "0 s"
    for limit, suffix, size in (*TIMES, *LONG_TIMES):
        if abs(value) < limit:
            return f"{_fixed(value / size, decimals)}{suffix}"
    return f"{_fixed(value / YEAR, decimals)} years"


def _scaled(value: float, factor: int, suffixes: Sequence[str], decimals: int | None) -> str:
    steps = 0
    while abs(value) >= factor and steps < len(suffixes) - 1:
        value, steps = value / factor, steps + 1
    return f"{_fixed(value, decimals)}{suffixes[steps]}"


def _fixed(value: float, decimals: int | None) -> str:
    if decimals is None:
        is_whole = value == 0 or value % 1 == 0
        decimals = 0 if is_whole else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"
