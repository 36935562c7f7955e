"""Format numbers as people read them. A number and its unit stay on one line."""

from __future__ import annotations

from datetime import UTC, datetime

from metasearch.plurals import counted

SPACE = "\N{NO-BREAK SPACE}"
NOTHING = "–"
"""The text in place of a figure that was not measured."""

_DURATIONS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def percent(share: float | None, digits: int = 1) -> str:
    """Format a share in percent: 0.744 becomes 74.4 %."""
    return NOTHING if share is None else f"{100 * share:.{digits}f}{SPACE}%"


def percent_with_interval(share: float, interval: float) -> str:
    """Format a share and its interval in percent: 0.744 and 0.019 become 74.4 ± 1.9 %."""
    return f"{100 * share:.1f}{SPACE}±{SPACE}{100 * interval:.1f}{SPACE}%"


def points(difference: float) -> str:
    """Format a difference of two shares without its sign: 0.007 becomes 0.7 percentage points."""
    return f"{100 * abs(difference):.1f} percentage points"


def share_of(ratio: float) -> str:
    """Format a ratio to something else: 0.058 is 5.8 %, and 12.5 is 12.5 times."""
    return percent(ratio) if ratio <= 1 else f"{ratio:,.1f} times"


def count(number: int | None) -> str:
    """Format a number with thousands separated."""
    return NOTHING if number is None else f"{number:,}"


def short(number: float) -> str:
    """Format a number with three digits at most and a suffix: 6555 becomes 6.6k."""
    for suffix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= 0.9995 * size:  # from here on the smaller unit would be rounded to 1000
            scaled = number / size
            return f"{scaled:.0f}{suffix}" if scaled >= 10 or scaled == round(scaled) else f"{scaled:.1f}{suffix}"
    return f"{number:g}"


def plural(number: int, noun: str) -> str:
    """Format a number of things: 1 trial, 2 trials."""
    return counted(number, noun).replace(" ", SPACE, 1)


def duration(seconds: float | None) -> str:
    """Format seconds in their two largest units: 304.2 becomes 5 min 4 s. Days are used from the third on."""
    if seconds is None:
        return NOTHING
    if 0 < seconds < 10:
        return f"{seconds:.1f}{SPACE}s"
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in _DURATIONS if left >= 3 * 86_400 else _DURATIONS[1:]:
        whole, left = divmod(left, size)
        if whole or parts:
            parts.append((whole, unit))
    return SPACE.join(f"{whole}{SPACE}{unit}" for whole, unit in parts[:2] if whole) or f"0{SPACE}s"


def memory(size: int | None) -> str:
    """Format bytes in the unit that leaves few digits."""
    if size is None:
        return NOTHING
    mebibytes = size / 2**20
    return f"{mebibytes:,.0f}{SPACE}MiB" if mebibytes < 1000 else f"{mebibytes / 1024:,.1f}{SPACE}GiB"


def milliseconds(value: float | None) -> str:
    """Format milliseconds, with one digit behind the point below ten."""
    return NOTHING if value is None else f"{value:,.{1 if value < 10 else 0}f}{SPACE}ms"


def correlation(value: float | None) -> str:
    """Format a correlation with two digits and a true minus sign."""
    return NOTHING if value is None else f"{value:.2f}".replace("-", "−")


def moment(unix_seconds: float) -> str:
    """Format a time to the minute, in UTC: a report reads the same everywhere."""
    return f"{datetime.fromtimestamp(unix_seconds, UTC):%Y-%m-%d %H:%M} UTC"
