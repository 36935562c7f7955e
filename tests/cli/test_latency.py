"""`metasearch latency` measures the parts of a search's networks, and prints a constraint that a search takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from builders import make_spec
from command_errors import error_sentence
from local_search import metasearch, write_resource

from metasearch.api import Space
from metasearch.api.latency import CLASSIFIER, CONCATENATION, STEM, SUM, Part
from metasearch.search.cells import parse_cell
from metasearch_cli.local.latency_table import measured
from metasearch_trainer.latency import Batch, measure, part_runner
from metasearch_trainer.network import cell_network

CPU = torch.device("cpu")

SPACE = {"operations": ["conv3x3", "identity"], "maxBlocks": 1, "filters": 4, "reductions": 1}


def test_what_is_printed_is_a_constraint_that_a_search_takes(tmp_path: Path) -> None:
    resource = write_resource(tmp_path, space=SPACE)
    ended = metasearch("latency", resource, "--repeats", "3", "--images", "2", "--limit", "1234.5678")
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("1,000 random networks take ")
    latency = yaml.safe_load(ended.stdout)["spec"]["search"]["constraints"]["latency"]
    assert (latency["maxMilliseconds"], latency["images"], latency["shifts"]) == ("1235", 2, 0)
    # The stem; an input, both operations, a sum and the classifier of the only cell.
    assert len(latency["parts"]) == ended.stdout.count("- {part: ") == 6
    assert min(float(part["milliseconds"]) for part in latency["parts"]) > 0
    again = ["--set", f"search.constraints.latency={json.dumps(latency)}"]
    assert metasearch("validate", resource, *again).returncode == 0
    other = metasearch("validate", resource, *again, "--set", "space.filters=5")
    assert error_sentence(other, code=2) == (
        "spec.search.constraints.latency.parts has no Stem from 1 to 5 channels at 28 pixels and stride 1, nor 5 other "
        "parts of its networks; take spec.search.constraints.latency out and measure it anew with metasearch latency"
    )
    # A resource with an old table is measured anew, within the old limit; as JSON, it is for --set.
    anew = metasearch("latency", resource, *again, "--set", "space.filters=5", "--repeats", "1", "-o", "json")
    assert json.loads(anew.stdout)["maxMilliseconds"] == "1235"
    taken = ["--set", "space.filters=5", "--set", f"search.constraints.latency={anew.stdout}"]
    assert metasearch("validate", resource, *taken).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--device", "gpu"], "--device gpu cannot be used here; it must be cpu or, where there is a GPU, cuda"),
        (["--set", "space.operations=[warp]"], "spec.space.operations is 'warp', which is not installed here"),
    ],
)
def test_what_cannot_be_measured_is_said(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    ended = metasearch("latency", write_resource(tmp_path, space=SPACE), *arguments)
    assert error_sentence(ended, code=2).startswith(sentence)


def test_the_limit_is_by_default_what_half_of_random_networks_take() -> None:
    threads = torch.get_num_threads()
    found = measured(make_spec(space={**SPACE, "maxBlocks": 2}), 1, threads + 1, "cpu", repeats=1)
    assert torch.get_num_threads() == threads
    limit = float(found.constraint(None).max_milliseconds)
    # Of a thousand, so many are strictly below that the rest is at least half, and the limit has four digits.
    assert (found.drawn <= 1.001 * limit).mean() >= 0.5
    assert (found.drawn < 0.999 * limit).mean() <= 0.5


# --- what is timed ------------------------------------------------------------------------------------------------


def test_a_batch_has_the_support_images_and_the_new_ones_with_their_copies() -> None:
    assert Batch.of(make_spec(task={"ways": 4, "shots": 3}), images=2) == Batch(support=12, queries=2)
    assert Batch.of(make_spec(evaluation={"shifts": 1}), images=1) == Batch(support=25, queries=5)


def test_parts_compute_what_they_do_in_a_network() -> None:
    """Each part of a network has the shapes of its place: an image of six, 8 x 8 pixels, 2 to 3 filters."""
    space = Space(operations=("conv3x3", "identity"), filters=3, filter_scale=2, reductions=1)
    parts = cell_network(parse_cell("conv3x3(-1)+identity(-2) | conv3x3(0)+identity(0)"), space, 2, 8, 4).parts
    shapes = {part: tuple(part_runner(part, Batch(5, 1), CPU)().shape) for part in parts}  # type: ignore[attr-defined]
    assert shapes == {
        Part(STEM, 2, 3, 8): (6, 3, 8, 8),
        Part("Input", 3, 6, 8): (6, 6, 8, 8),
        Part("conv3x3", 6, 6, 8, 2): (6, 6, 4, 4),
        Part("identity", 6, 6, 8, 2): (6, 6, 4, 4),
        Part("conv3x3", 6, 6, 4): (6, 6, 4, 4),
        Part("identity", 6, 6, 4): (6, 6, 4, 4),
        Part(SUM, 6, 6, 4): (6, 6, 4, 4),
        Part(CONCATENATION, 6, 12, 4): (6, 12, 4, 4),
        Part(CLASSIFIER, 12, 4, 4): (1, 6, 4),
    }


def test_functions_are_timed_in_turn_after_a_warm_up() -> None:
    calls: list[str] = []
    ticks = iter(range(1000))
    found = measure([lambda: calls.append("a"), lambda: calls.append("b")], CPU, 3, clock=lambda: float(next(ticks)))
    assert found.tolist() == [[1000.0, 1000.0]] * 3
    assert calls == ["a", "b"] * 8
