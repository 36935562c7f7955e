"""Measure the table of latencies that `search.constraints.latency` takes, and write it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from metasearch.api import MetaSearchSpec
from metasearch.api.latency import Latency, MeasuredPart, Part
from metasearch.errors import InvalidSpec
from metasearch.quantities import PlainNumber
from metasearch.search.build import random_figures, require_known_names
from metasearch.search.encoded_cells import Floats
from metasearch.search.network_latency import possible_parts
from metasearch.search.network_limits import images_of
from metasearch_cli.extras import Extra, needing

if TYPE_CHECKING:
    import torch

DRAWN = 1000
"""Random networks whose latencies are said, so that a limit can be chosen."""

DIGITS = 4
"""The digits of a latency that are written."""

NO_LIMIT = PlainNumber("999999999999")


@dataclass(frozen=True)
class MeasuredLatencies:
    """The latencies of all parts of a spec's networks, and of random ones of the networks."""

    table: Latency
    """The table without a limit."""
    asked: PlainNumber | None
    """The limit of the spec."""
    drawn: Floats
    """The milliseconds of random networks within the spec's other constraints, (networks,)."""

    @property
    def summary(self) -> str:
        """The sentence about the networks."""
        low, middle, high = (_rounded(each) for each in np.quantile(self.drawn, [0, 0.5, 1]).tolist())
        return f"{DRAWN:,} random networks take {low} to {high} ms, half of them at most {middle}: {self.table.device}"

    def constraint(self, limit: float | None) -> Latency:
        """
        Return the constraint.

        Args:
            limit: in milliseconds; None for that of the spec or, where it has none, the median of random networks.
        """
        wanted = PlainNumber(_rounded(float(np.median(self.drawn)) if limit is None else limit))
        chosen = wanted if limit is not None else self.asked or wanted
        return self.table.model_copy(update={"max_milliseconds": chosen})


def measured(spec: MetaSearchSpec, images: int, threads: int, device: str, repeats: int) -> MeasuredLatencies:
    """
    Measure all parts that the networks of a spec can have, on this machine.

    Args:
        images: classified at a time.
        threads: of PyTorch.
        device: as PyTorch names it.
        repeats: runs of each part, whose median counts.

    Raises:
        InvalidSpec: the space has too many parts, or there is no such device.
        MetaSearchError: PyTorch is not installed.
    """
    with needing(Extra.TRAINER, "a measurement of latencies"):
        from metasearch_trainer import latency, torch_setup

    asked, spec = spec.search.constraints.latency, _constrained(spec, None)
    require_known_names(spec)
    parts = possible_parts(spec, images_of(spec))
    where = _device(device)
    with torch_setup.threads(threads):
        found = latency.measure_parts(parts, latency.Batch.of(spec, images), where, repeats)
    table = Latency(
        max_milliseconds=NO_LIMIT,
        images=images,
        ways=spec.task.ways,
        shots=spec.task.shots,
        shifts=spec.evaluation.shifts,
        device=_described(where, threads),
        parts=tuple(_row(part, milliseconds) for part, milliseconds in found.items()),
    )
    drawn = random_figures(_constrained(spec, table), DRAWN, np.random.default_rng(spec.seed)).max_latency
    assert drawn is not None
    return MeasuredLatencies(table, None if asked is None else asked.max_milliseconds, drawn)


def as_yaml(latency: Latency) -> str:
    """Return a constraint in its place in a resource, a line for each part."""
    inner = {"spec": {"search": {"constraints": {"latency": _plain(latency)}}}}
    # With None, lists and objects that hold no others are written in one line.
    return yaml.safe_dump(inner, sort_keys=False, default_flow_style=None, width=120)


def as_json(latency: Latency) -> str:
    """Return a constraint in one line, as --set takes it."""
    return latency.model_dump_json(by_alias=True) + "\n"


def _plain(latency: Latency) -> Any:
    return latency.model_dump(mode="json", by_alias=True)


def _row(part: Part, milliseconds: float) -> MeasuredPart:
    name, channels, filters, side, stride = part
    rounded = Decimal(_rounded(milliseconds))
    return MeasuredPart(part=name, channels=channels, filters=filters, side=side, stride=stride, milliseconds=rounded)


def _rounded(milliseconds: float) -> str:
    """Return a number with four digits, without an exponent and to a millionth at the finest."""
    return f"{Decimal(f'{milliseconds:.{DIGITS}g}').quantize(Decimal('0.000001')).normalize():f}"


def _constrained(spec: MetaSearchSpec, latency: Latency | None) -> MetaSearchSpec:
    constraints = spec.search.constraints.model_copy(update={"latency": latency})
    return spec.model_copy(update={"search": spec.search.model_copy(update={"constraints": constraints})})


def _device(name: str) -> torch.device:
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    # PyTorch raises either for a device that was not built in, and one without a driver.
    except (RuntimeError, AssertionError) as error:
        raise InvalidSpec(
            f"--device {name} cannot be used here; it must be cpu or, where there is a GPU, cuda"
        ) from error
    return device


def _described(device: torch.device, threads: int) -> str:
    import torch

    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return (
        f"{device.type} ({hardware}), {threads} {'thread' if threads == 1 else 'threads'}, PyTorch {torch.__version__}"
    )
