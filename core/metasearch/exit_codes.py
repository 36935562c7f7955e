"""Exit codes of processes, and what the process that started them should do next."""

from __future__ import annotations

from metasearch.errors import MetaSearchError

EXIT_RESTART = 75
"""
A worker ended in order, and another may be started in its place.

EX_TEMPFAIL of BSD's sysexits.h: "temporary failure; the user is invited to retry". It lies apart from Python's own
codes, the errors' 1 to 6 and a shell's 126 and above, so that no crash is taken for it.
"""


def error_type(code: int) -> type[MetaSearchError] | None:
    """Return the type of error that ends a process with this code, or None where there is none."""
    # 1 is the code of any error without one of its own, and of a crash, so it names no type.
    if code == MetaSearchError.exit_code:
        return None
    # Subclasses of these share their code: what can be done about an InvalidCell is what can about any InvalidSpec.
    return next((kind for kind in MetaSearchError.__subclasses__() if kind.exit_code == code), None)
