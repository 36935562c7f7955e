"""Print the metadata of a data set as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rich.console import Console
from rich.table import Table

from metasearch.dataset_metadata import DatasetMetadata, SplitMetadata

_ROWS: Mapping[str, Callable[[SplitMetadata], str]] = {
    "classes": lambda split: f"{split.classes:,}",
    "classes with rotations": lambda split: f"{split.task_classes:,}",
    "images": lambda split: f"{split.images:,}",
    "images of a class, fewest": lambda split: f"{split.fewest_images:,}",
    "images of a class, median": lambda split: f"{split.median_images:,g}",
    "images of a class, most": lambda split: f"{split.most_images:,}",
    "pixels in [0, 1], lowest": lambda split: f"{split.lowest:.3f}",
    "pixels, highest": lambda split: f"{split.highest:.3f}",
    "pixels, mean": lambda split: _of_channels(split.mean),
    "pixels, standard deviation": lambda split: _of_channels(split.standard_deviation),
    "identical images": lambda split: f"{split.identical_images:,}",
    "near duplicates": lambda split: f"{split.near_duplicates:,} ({100 * split.near_duplicate_share:.2f}%)",
    "near duplicates in other classes": lambda split: f"{split.in_other_classes:,}",
    "near duplicates in other splits": lambda split: f"{split.in_other_splits:,}",
    "ways x images of a task": lambda split: f"{split.ways} x {split.images_per_task_class}",
    "different tasks": lambda split: "none" if split.log10_tasks is None else f"10^{split.log10_tasks:.1f}",
}
"""The rows of the table: a title, and a function that returns a split's value."""


def print_dataset(console: Console, dataset: DatasetMetadata) -> None:
    """Print what a data set holds, then what a search would refuse of it."""
    megabytes = dataset.device_bytes / 1e6
    console.print(
        f"{dataset.name}: images of {dataset.channels} x {dataset.side} x {dataset.side} pixels, "
        f"{megabytes:,.1f} MB on a device",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    table = Table(box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    for heading in ("training", "validation", "test"):
        table.add_column(heading, justify="right", no_wrap=True)
    for title, value in _ROWS.items():
        table.add_row(title, *(value(split) for split in (dataset.training, dataset.validation, dataset.test)))
    console.print(table)
    for sentence in dataset.refusals:
        console.print(f"refused: {sentence}", highlight=False, markup=False, soft_wrap=True)


def _of_channels(values: Iterable[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)
