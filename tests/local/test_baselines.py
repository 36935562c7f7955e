"""All hand-made networks beside a found one, from a resource to what people read."""

from __future__ import annotations

from pathlib import Path

import pytest
from local_search import metasearch, write_resource

from metasearch.outcome.results import SearchResult

ALL = {"top": 1, "seeds": 1, "baselines": ["Conv4", "Conv4Matched", "Conv4Pooled"]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run with every baseline."""
    folder = tmp_path_factory.mktemp("baselines")
    ended = metasearch("run", write_resource(folder, space={"maxBlocks": 1}, final=ALL), "--output", folder / "out")
    assert ended.returncode == 0, ended.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def result(run: Path) -> SearchResult:
    return SearchResult.model_validate_json((run / "result.json").read_text(encoding="utf-8"))


def size_of(filters: int) -> int:
    """Count Conv4's parameters by hand, for Omniglot's 28 pixels, which become 2, and 3 ways."""
    return 12 * filters + 3 * filters * (9 * filters + 3) + 3 * (4 * filters + 1)


def test_each_baseline_is_trained_and_measured(result: SearchResult) -> None:
    sizes = {baseline.name: baseline.parameter_count for baseline in result.baselines}
    assert len(sizes) == 3
    assert sizes["Conv4"] == size_of(64)
    assert sizes["Conv4Pooled"] == size_of(64) - 3 * 64 * 3
    assert all(baseline.tasks == 10 for baseline in result.baselines)


def test_one_baseline_is_as_large_as_the_best_found_network(result: SearchResult) -> None:
    (name,) = {baseline.name for baseline in result.baselines} - {"Conv4", "Conv4Pooled"}
    nearest = min(range(1, 64), key=lambda filters: abs(size_of(filters) - result.ranked[0].parameter_count))
    assert name == f"Conv4-{nearest}"


def test_people_see_every_baseline(run: Path, result: SearchResult) -> None:
    shown = metasearch("status", run).stdout
    card = (run / "best" / "README.md").read_text(encoding="utf-8")
    report = (run / "report.html").read_text(encoding="utf-8")
    for baseline in result.baselines:
        size = f"{baseline.parameter_count:,}"
        assert any(line.split()[:2] == [baseline.name, size] for line in shown.splitlines())
        assert f"| {baseline.name} baseline | {size} | " in card
        assert f'{baseline.name} <span class="badge plain">baseline</span></th><td class="n">{size}</td>' in report


def test_the_question_is_about_the_baseline_that_is_compared(run: Path, result: SearchResult) -> None:
    assert result.comparison is not None
    asked = f"Is the found network at least as accurate as {result.comparison.baseline}, "
    assert asked in (run / "report.html").read_text(encoding="utf-8")
