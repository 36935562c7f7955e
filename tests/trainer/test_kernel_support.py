"""A worker that cannot compile the kernels for GPUs says what is missing, and trains without them."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from metasearch_trainer import kernel_support


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Everything is there; returns the folder of headers."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(kernel_support, "_headers", lambda: tmp_path)
    return tmp_path


@pytest.mark.usefixtures("complete")
def test_nothing_is_said_where_nothing_is_missing() -> None:
    assert kernel_support.missing({}) is None
    assert kernel_support.advice("cuda", None) is None


@pytest.mark.usefixtures("complete")
def test_a_pytorch_for_cpus_has_no_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert kernel_support.missing({}) == "Triton, which comes with PyTorch for GPUs"


@pytest.mark.usefixtures("complete")
def test_a_small_image_has_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    lacking = kernel_support.missing({})
    assert lacking == "a C compiler (gcc or clang)"
    assert kernel_support.missing({"CC": "/opt/zig"}) is None
    said = kernel_support.advice("cuda", lacking)
    assert said is not None
    assert said.endswith("our own, which need a C compiler (gcc or clang)")
    assert kernel_support.advice("cpu", lacking) is None


def test_debians_python_may_have_no_headers(complete: Path) -> None:
    (complete / "Python.h").unlink()
    lacking = kernel_support.missing({})
    assert lacking is not None
    assert lacking.startswith("Python's headers")
