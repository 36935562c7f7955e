"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """
    Return a number of things: `1 trial`, `1,200 trials`.

    Args:
        plural: of a noun that does not take an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
