"""Names of workers."""

from __future__ import annotations

import pytest

from metasearch.worker_names import WorkerName


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("quick-workers-1234abcd-x.1-3", WorkerName("quick-workers-1234abcd-x", 1, 3)),
        ("with.dots.10-12", WorkerName("with.dots", 10, 12)),
    ],
)
def test_a_name_is_read_back(text: str, name: WorkerName) -> None:
    assert WorkerName.parse(text) == name
    assert str(name) == text


@pytest.mark.parametrize("text", ["", "w", "pod.1", "pod-1", ".1-2", "pod.a-1", "pod.1-2 "])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"has the form POD\.SLOT-START, not "):
        WorkerName.parse(text)
