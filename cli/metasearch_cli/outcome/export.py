"""
Write the folder of a network that a search hands over, which stands by itself.

    cell.json             the cell's structure, and all else it takes to build the network
    weights.safetensors   a trained network; loads with metasearch_trainer.learner
    metrics.json          what was measured of it, and of the baselines
    README.md             the model card
    use.py                loads it and adapts it to a task
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from metasearch.api import Deliver
from metasearch.errors import FolderConflict, SearchFailed
from metasearch.outcome.figures import FoundNetwork
from metasearch.outcome.results import SearchResult, compare
from metasearch.search.cells import cell_to_json, parse_cell
from metasearch.search.hyperparameters import varied_space
from metasearch.storage_layout import file_name
from metasearch_cli.outcome.model_card import model_card

USE = '''\
"""Learn new characters from one image of each, with the network beside this file."""
import pathlib

import torch
from metasearch_trainer.learner import FewShotLearner

learner = FewShotLearner.load(pathlib.Path(__file__).with_name("weights.safetensors"))
side, channels, ways = learner.description.side, learner.description.channels, learner.description.ways
support = torch.rand(ways, channels, side, side)  # put your images here: one or more of each class, in [0, 1]
classifier = learner.adapt(support, labels=torch.arange(ways))
print(classifier.classify(support))  # which class each image belongs to
'''


def require_delivered(result: SearchResult) -> FoundNetwork[float]:
    """Return the network to hand over; raises SearchFailed where there is none (yet)."""
    if result.delivered is None:
        raise SearchFailed(f"the search {result.search.name!r} has no final network yet ({result.search.phase})")
    return result.delivered


def require_front(result: SearchResult) -> tuple[FoundNetwork[float], ...]:
    """Return the front to hand over, best score first; raises SearchFailed where there is none (yet)."""
    if result.search.spec.final.deliver is not Deliver.FRONT:
        raise SearchFailed(
            f"the search {result.search.name!r} delivers its best network alone; a front is delivered where "
            "final.deliver is Front"
        )
    require_delivered(result)
    return result.delivered_front


def export(result: SearchResult, network: FoundNetwork[float], weights: Path, output: Path) -> None:
    """
    Write the folder of a network.

    Args:
        network: one of the result's, found and trained in full.
        weights: the folder with the final trials' weights, `<trial>.safetensors` each.
        output: made where it is missing; files of an earlier export are replaced.

    Raises:
        FolderConflict: the weights are gone, or the folder has files of these names that are no export's.
    """
    source = weights / file_name(network.trials[0])
    if not source.exists():
        raise weights_are_gone(str(source))
    _require_no_others_files(output)
    output.mkdir(parents=True, exist_ok=True)
    # A cell alone does not say how often it is repeated and with how many filters.
    candidate = network.candidate
    space = varied_space(result.search.spec.space, candidate.hyperparameters).model_dump(mode="json", by_alias=True)
    cell = cell_to_json(parse_cell(network.cell))
    described = {"text": network.cell, **cell, "hyperparameters": candidate.texts, "space": space}
    _write(output / "cell.json", described)
    _write(output / "metrics.json", _metrics(result, network))
    (output / "README.md").write_text(model_card(result, network), encoding="utf-8")
    (output / "use.py").write_text(USE, encoding="utf-8")
    # Last, since it is the part that a full disk is most likely to refuse.
    shutil.copyfile(source, output / "weights.safetensors")


def drop_beyond(front: Path, number: int) -> None:
    """Remove the folders of an earlier export of a front that had more networks; other files stay."""
    for folder in front.iterdir():
        if folder.name.isdecimal() and int(folder.name) > number:
            shutil.rmtree(folder)


def weights_are_gone(where: str) -> FolderConflict:
    """Return the error for weights that are on record and missing."""
    return FolderConflict(f"{where} is missing; a final trial wrote it, so put it back or run the search again")


def _require_no_others_files(output: Path) -> None:
    """Raise FolderConflict where an export would replace somebody's own files, such as a README.md."""
    # The first file that an export writes, so that one which was cut short is known, too.
    if (output / "cell.json").exists():
        return
    for name in ("metrics.json", "README.md", "use.py", "weights.safetensors"):
        if (output / name).exists():
            raise FolderConflict(
                f"{output / name} is there and of no export; name another folder, or move the file away"
            )


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _metrics(result: SearchResult, network: FoundNetwork[float]) -> dict[str, object]:
    comparison = compare(network, result.baselines) if result.baselines else None
    return {
        "search": result.search.name,
        "version": result.search.version,
        "delivered": network.model_dump(mode="json", by_alias=True),
        "baselines": [network.model_dump(mode="json", by_alias=True) for network in result.baselines],
        "comparison": comparison.model_dump(mode="json", by_alias=True) if comparison else None,
    }
