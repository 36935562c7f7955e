"""The folder that `metasearch export` writes."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from builders import STARTED, make_accuracies, make_result, make_search, make_trial

from metasearch.api import Space
from metasearch.errors import FolderConflict, SearchFailed
from metasearch.outcome.figures import Estimate
from metasearch.outcome.results import SearchResult, summarize
from metasearch.search.cells import cell_from_json, parse_cell
from metasearch.search.planner import current_status
from metasearch.search.trials import Stage
from metasearch_cli.outcome.export import drop_beyond, export, require_delivered, require_front

CELL = "conv3x3(-1)+identity(-2) | conv3x3(0)+conv3x3(0)"
FILES = {"README.md", "cell.json", "metrics.json", "use.py", "weights.safetensors"}


def result_with(
    *, final: bool = True, baseline: bool = True, split: str = "Validation", shifts: int = 0
) -> SearchResult:
    trials = [make_trial("test-2-a", make_result(0.5), candidate=CELL, round=2)]
    if final:
        tested = make_result(0.6, 1_234, test=make_accuracies(0.625), weights="test-2-f.safetensors")
        trials.append(make_trial("test-2-f", tested, stage=Stage.FINAL, candidate=CELL, round=2, meta_iterations=10))
    if baseline:
        tested = make_result(0.6, 112_707, test=make_accuracies(0.75))
        trials.append(make_trial("test-0-c", tested, stage=Stage.BASELINE, candidate="Conv4", round=0))
    settings = {"top": 1, "seeds": 1, "metaIterations": 10, "baselines": ["Conv4"] if baseline else []}
    search = make_search(final=settings, evaluation={"split": split, "shifts": shifts}, task={"ways": 4, "shots": 1})
    return summarize(search, trials, current_status(search, trials, STARTED + 60), STARTED + 60)


def exported(result: SearchResult, weights: Path, output: Path) -> None:
    """Write the folder of the delivered network."""
    export(result, require_delivered(result), weights, output)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Return a folder with the final trial's weights."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "test-2-f.safetensors").write_bytes(b"numbers")
    return tmp_path / "weights"


def test_everything_is_in_the_folder(weights: Path, tmp_path: Path) -> None:
    exported(result_with(), weights, tmp_path / "out" / "best")
    assert {path.name for path in (tmp_path / "out" / "best").iterdir()} == FILES
    assert (tmp_path / "out" / "best" / "weights.safetensors").read_bytes() == b"numbers"


def test_the_cell_can_be_read_back_with_its_space(weights: Path, tmp_path: Path) -> None:
    result = result_with()
    exported(result, weights, tmp_path)
    written = json.loads((tmp_path / "cell.json").read_text(encoding="utf-8"))
    assert cell_from_json(written) == parse_cell(written["text"]) == parse_cell(CELL)
    assert Space.model_validate_json(json.dumps(written["space"])) == result.search.spec.space


def test_metrics_are_those_of_the_result(weights: Path, tmp_path: Path) -> None:
    exported(result_with(), weights, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["delivered"]["nonTransductive"] == {"accuracy": 0.625, "interval": 0.01}
    assert [baseline["name"] for baseline in metrics["baselines"]] == ["Conv4"]
    assert metrics["comparison"]["accuracyDifference"] == -0.125


def test_without_a_baseline_there_is_nothing_to_compare(weights: Path, tmp_path: Path) -> None:
    exported(result_with(baseline=False), weights, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["baselines"], metrics["comparison"]) == ([], None)
    assert "Conv4" not in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_model_card_says_what_it_is_and_how_good(weights: Path, tmp_path: Path) -> None:
    exported(result_with(), weights, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# test: a 4-way 1-shot learner\n")
    assert "learns 4 new classes from 1 image of each" in card
    assert "| this network | 1,234 | 62.50 ± 1.00 | 62.50 ± 1.00 | 62.50 ± 1.00 |" in card
    assert "| Conv4 baseline | 112,707 | 75.00 ± 1.00 | 75.00 ± 1.00 | 75.00 ± 1.00 |" in card
    assert CELL in card
    assert "copies moved" not in card


def test_the_model_card_has_each_accuracy_under_its_own_heading(weights: Path, tmp_path: Path) -> None:
    whole = result_with()
    assert whole.delivered is not None
    measured = {
        "non_transductive": Estimate[float](accuracy=0.5, interval=0.01),
        "support_statistics": Estimate[float](accuracy=0.6, interval=0.02),
        "transductive": Estimate[float](accuracy=0.7, interval=0.03),
    }
    exported(whole.model_copy(update={"final": (whole.delivered.model_copy(update=measured),)}), weights, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| accuracy, queries alone | alone, support statistics | queries together (transductive) |" in card
    assert "| this network | 1,234 | 50.00 ± 1.00 | 60.00 ± 2.00 | 70.00 ± 3.00 |" in card


def test_the_model_card_says_over_which_copies_predictions_are_averaged(weights: Path, tmp_path: Path) -> None:
    exported(result_with(shifts=2), weights, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "Each prediction is a mean over an image and copies moved by 2 pixels." in card


def test_the_model_card_has_every_baseline(weights: Path, tmp_path: Path) -> None:
    result = result_with()
    smaller = result.baselines[0].model_copy(update={"name": "Conv4-5", "parameter_count": 1_200})
    exported(result.model_copy(update={"baselines": (*result.baselines, smaller)}), weights, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| Conv4 baseline | 112,707 | 75.00 ± 1.00 | 75.00 ± 1.00 | 75.00 ± 1.00 |\n" in card
    assert "| Conv4-5 baseline | 1,200 | 75.00 ± 1.00 | 75.00 ± 1.00 | 75.00 ± 1.00 |\n" in card


def test_the_model_card_says_what_was_cut_short(weights: Path, tmp_path: Path) -> None:
    whole = result_with()
    assert whole.delivered is not None
    network = whole.delivered.model_copy(update={"cut_short": True, "meta_iterations": 3})
    exported(whole.model_copy(update={"final": (network,)}), weights, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "for 3 meta-iterations on Omniglot" in card
    assert "budget was spent before the end: this network cut short after 3 of 10 meta-iterations." in card
    assert "Conv4 baseline cut" not in card


@pytest.mark.parametrize(("split", "admitted"), [("Validation", False), ("Test", True)])
def test_the_model_card_admits_to_a_choice_by_test_classes(
    weights: Path, tmp_path: Path, split: str, admitted: bool
) -> None:
    exported(result_with(split=split), weights, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert ("these figures flatter it" in card) is admitted


def test_the_snippet_is_python(weights: Path, tmp_path: Path) -> None:
    exported(result_with(), weights, tmp_path)
    ast.parse((tmp_path / "use.py").read_text(encoding="utf-8"))


def test_an_earlier_export_is_replaced(weights: Path, tmp_path: Path) -> None:
    exported(result_with(), weights, tmp_path)
    before = (tmp_path / "README.md").read_bytes()
    (tmp_path / "README.md").write_text("old " * 1000, encoding="utf-8")
    exported(result_with(), weights, tmp_path)
    assert (tmp_path / "README.md").read_bytes() == before


@pytest.mark.parametrize("name", ["README.md", "use.py"])
def test_files_of_somebody_elses_are_not_replaced(weights: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / "mine"
    output.mkdir()
    (output / name).write_text("mine", encoding="utf-8")
    with pytest.raises(FolderConflict, match=f"{name} is there and of no export; name another folder"):
        exported(result_with(), weights, output)
    assert [(each.name, each.read_text()) for each in output.iterdir()] == [(name, "mine")]


def test_there_must_be_a_final_network(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(SearchFailed, match=r"'test' has no final network yet \(Searching\)"):
        exported(result_with(final=False, baseline=False), weights, tmp_path / "best")
    assert not (tmp_path / "best").exists()


def test_weights_that_are_gone_are_missed(weights: Path, tmp_path: Path) -> None:
    (weights / "test-2-f.safetensors").unlink()
    with pytest.raises(FolderConflict, match=r"test-2-f\.safetensors is missing; .* put it back"):
        exported(result_with(), weights, tmp_path / "best")
    assert not (tmp_path / "best").exists()


# --- fronts -------------------------------------------------------------------------------------------------------


def front_result(**final: object) -> SearchResult:
    """Return the result of a search with two cells, the smaller of which scores less, trained in full."""
    cells = (("a", CELL, 0.6, 1_234), ("b", "identity(-1)+identity(-2)", 0.5, 200))
    trials = [
        make_trial(f"test-{stage.lower()}-{name}", make_result(score, size, **measured), stage=stage, candidate=cell)
        for name, cell, score, size in cells
        for stage, measured in (
            (Stage.SEARCH, {}),
            (Stage.FINAL, {"test": make_accuracies(0.25), "weights": f"test-final-{name}.safetensors"}),
        )
    ]
    tested = make_result(0.6, 210, test=make_accuracies(0.75))
    trials.append(make_trial("test-0-c", tested, stage=Stage.BASELINE, candidate="Conv4-3", round=0))
    search = make_search(final={"top": 2, "seeds": 1, "metaIterations": 10, "baselines": ["Conv4Matched"], **final})
    return summarize(search, trials, current_status(search, trials, STARTED + 60), STARTED + 60)


def test_every_network_of_a_front_is_compared_with_a_baseline_of_its_own_size(weights: Path, tmp_path: Path) -> None:
    result = front_result(deliver="Front")
    assert [network.parameter_count for network in require_front(result)] == [1_234, 200]
    for number, network in enumerate(require_front(result), start=1):
        (weights / f"{network.trials[0]}.safetensors").write_bytes(str(number).encode())
        export(result, network, weights, tmp_path / str(number))
    compared = [json.loads((tmp_path / str(number) / "metrics.json").read_text())["comparison"] for number in (1, 2)]
    assert [each["sameSize"] for each in compared] == [False, True]
    assert (tmp_path / "2" / "weights.safetensors").read_bytes() == b"2"
    assert "| this network | 200 |" in (tmp_path / "2" / "README.md").read_text(encoding="utf-8")


def test_a_search_for_the_best_has_no_front_to_export() -> None:
    with pytest.raises(
        SearchFailed, match=r"delivers its best network alone; a front is delivered where final\.deliver"
    ):
        require_front(front_result())


def test_a_front_that_is_not_trained_yet_cannot_be_exported() -> None:
    search = make_search(final={"deliver": "Front"})
    result = summarize(search, [], current_status(search, [], STARTED + 60), STARTED + 60)
    with pytest.raises(SearchFailed, match=r"has no final network yet \(Searching\)"):
        require_front(result)


def test_folders_of_an_earlier_and_longer_front_are_removed(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "12", "notes"):
        (tmp_path / name).mkdir()
    drop_beyond(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2", "notes"}
