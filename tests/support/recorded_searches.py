"""Hours of metrics of a simulated cluster, written into a Prometheus' database without waiting for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from devcluster.prometheus import promtool
from watched_searches import Target, WatchedCluster


def write_history(cluster: WatchedCluster, start: float, end: float, step: float, folder: Path) -> None:
    """
    Write what a Prometheus would have scraped into the folder of its database.

    Args:
        start: Unix time in seconds of the first scrape.
        step: seconds between two scrapes.
    """
    text = folder.with_name(f"{folder.name}.txt")
    with text.open("w", encoding="utf-8") as file:
        for index in range(int((end - start) / step) + 1):
            now = start + index * step
            cluster.show(now)
            for target in cluster.targets():
                file.writelines(_lines(target, now))
        file.write("# EOF\n")
    ended = promtool("tsdb", "create-blocks-from", "openmetrics", text, folder)
    assert ended.returncode == 0, ended.stderr
    text.unlink()


def _lines(target: Target, now: float) -> Iterator[str]:
    """Yield the samples of a target as lines with a time; labels of its own stand against the target's."""
    for family in target.registry.collect():
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                yield f"{sample.name}{{{_written({**target.labels, **sample.labels})}}} {sample.value} {now}\n"


def _written(labels: Mapping[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())
