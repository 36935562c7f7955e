"""Check for what the kernels of GPUs are compiled with: Triton, and a C compiler for the few lines that launch them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path

COMPILERS = ("gcc", "clang")


def missing(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return what the kernels cannot be compiled without, for a sentence; None where everything is there."""
    if importlib.util.find_spec("triton") is None:
        return "Triton, which comes with PyTorch for GPUs"
    if not environment.get("CC") and not any(map(shutil.which, COMPILERS)):
        return "a C compiler (gcc or clang)"
    if not (_headers() / "Python.h").exists():
        return f"Python's headers ({_headers()}), which Debian has in python3-dev"
    return None


def advice(device_type: str, lacking: str | None) -> str | None:
    """Say why training on a device is slower than it could be; None where it is not."""
    if device_type != "cuda" or lacking is None:
        return None
    return f"convolutions are PyTorch's, at a third of the speed of our own, which need {lacking}"


def _headers() -> Path:
    """Return the folder in which Triton looks for Python's headers."""
    scheme = sysconfig.get_default_scheme()
    # Debian's Python installs packages by another scheme than the one that its headers are under.
    return Path(sysconfig.get_path("include", "posix_prefix" if scheme == "posix_local" else scheme))
