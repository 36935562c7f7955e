"""Draw a search again and again until it is over: in place on a terminal, one below the other elsewhere."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from metasearch.errors import ClusterUnusable, StoreUnavailable

Draw = Callable[[Console], bool]
"""Reads a search, prints it on a console, and returns True where the search is over."""

GRACE_SECONDS = 60.0
"""Time for which refusals are taken for those of an API server that has just started, and knows no rights yet."""


@dataclass(frozen=True)
class Clock:
    """The time and the way to wait of a watch."""

    monotonic: Callable[[], float]
    """Seconds."""
    sleep: Callable[[float], None]


@dataclass
class _Looks:
    """Looks at a search, and remembers when the last one succeeded."""

    clock: Clock
    interval: float
    seen_at: float | None = field(default=None, init=False)
    """Time of the last look that succeeded, on the clock."""

    def look(self, draw: Draw, sketch: Console) -> tuple[bool, str | None]:
        """
        Draw once; return whether the search is over, and a sentence where it cannot be read now.

        Raises:
            MetaSearchError: it cannot be read, and waiting does not help; or it has never been read.
        """
        try:
            is_over = draw(sketch)
        except (StoreUnavailable, ClusterUnusable) as error:
            if self.seen_at is None:
                raise
            away = self.clock.monotonic() - self.seen_at
            if isinstance(error, ClusterUnusable) and away > GRACE_SECONDS:
                raise
            return False, f"{error}; the search was last read {away:.0f} s ago, trying again every {self.interval:g} s"
        self.seen_at = self.clock.monotonic()
        return is_over, None


def watch(console: Console, draw: Draw, interval: float, clock: Clock) -> None:
    """
    Draw a search until it is over.

    A store that cannot be read for a while, such as an API server that restarts, is said in a sentence and tried again.

    Args:
        interval: seconds between two looks.

    Raises:
        MetaSearchError: the search cannot be read at the first look, or not for a reason that passes.
        KeyboardInterrupt: passed on.
    """
    looks = _Looks(clock, interval)
    with _screen(console) as show:
        while True:
            sketch = Console(
                file=io.StringIO(),
                width=console.width,
                height=console.height,
                force_terminal=console.is_terminal,
                no_color=console.no_color,
            )
            is_over, trouble = looks.look(draw, sketch)
            assert isinstance(sketch.file, io.StringIO)
            show(sketch.file.getvalue() if trouble is None else None, trouble)
            if is_over:
                return
            clock.sleep(interval)


Show = Callable[[str | None, str | None], None]
"""Shows a new drawing, or a sentence that says why there is none."""


@contextmanager
def _screen(console: Console) -> Iterator[Show]:
    if not console.is_terminal or console.is_dumb_terminal:  # a dumb one cannot move its cursor
        yield _Log(console).show
        return
    # Not refreshed by a thread of its own: nothing changes between two looks.
    with Live(console=console, auto_refresh=False) as live:
        yield _Redrawn(live).show


class _Redrawn:
    """Draws in the place of the last drawing."""

    def __init__(self, live: Live) -> None:
        self._live, self._last = live, Text()

    def show(self, drawing: str | None, trouble: str | None) -> None:
        if drawing is not None:
            self._last = Text.from_ansi(drawing.rstrip("\n"))
        shown: RenderableType = self._last if trouble is None else Group(self._last, Text(trouble, style="bold"))
        self._live.update(shown, refresh=True)


class _Log:
    """Prints one drawing below the other, and a sentence once for as long as it holds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_first, self._in_trouble = True, False

    def show(self, drawing: str | None, trouble: str | None) -> None:
        file = self._console.file
        if drawing is not None:
            file.write(drawing if self._is_first else f"\n{drawing}")
        elif trouble is not None and not self._in_trouble:
            file.write(f"\n{trouble}\n")
        self._is_first, self._in_trouble = False, trouble is not None
        file.flush()
