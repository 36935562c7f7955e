"""Times in the format of Kubernetes. Everything else counts in Unix time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Self

from metasearch.quantities import PatternText

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Time(PatternText):
    """A time such as `2026-01-31T12:00:00.000000Z`: RFC 3339, in UTC, with microseconds."""

    pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
    max_length = 27
    expected = "a time since 1970 such as 2026-01-31T12:00:00Z"

    @classmethod
    def _checked(cls, text: str) -> Self:
        time = super()._checked(text)
        try:
            is_since_1970 = time.unix_seconds >= 0
        except ValueError:  # such as the 31st of February, which fits the pattern
            is_since_1970 = False
        if not is_since_1970:
            raise cls._refusal()
        return time

    @classmethod
    def at(cls, unix_seconds: float) -> Self:
        """Return a Unix time as text, rounded to the microsecond."""
        time = _EPOCH + timedelta(microseconds=round(unix_seconds * 1e6))
        return cls(time.isoformat(timespec="microseconds").replace("+00:00", "Z"))

    @property
    def unix_seconds(self) -> float:
        """The time in seconds since 1970."""
        return (datetime.fromisoformat(self) - _EPOCH) / timedelta(seconds=1)
