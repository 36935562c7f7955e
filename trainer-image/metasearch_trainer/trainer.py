"""
The trainer of a process: it keeps the images of a search on one device, and runs one trial after another.

A result depends on the search's spec and the trial's alone (see `training`), never on the trials that ran before.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from metasearch.api import MetaSearchSpec
from metasearch.errors import InvalidData, StoreUnavailable
from metasearch.search.build import require_known_names
from metasearch.search.trial_parts import Part
from metasearch.search.trials import Reason, State, TrialResult, TrialSpec
from metasearch_trainer import memory
from metasearch_trainer.cross_validation import Images
from metasearch_trainer.data.images import Splits
from metasearch_trainer.network import Network
from metasearch_trainer.part_timer import PartTimer
from metasearch_trainer.storage import Storage
from metasearch_trainer.trial import Observer, StepObserver, TrialEnded, ignore_step
from metasearch_trainer.trial_run import Environment, TrialRun, build_network


class Trainer:
    """Runs trials of one search on one device, and keeps the images loaded in between."""

    def __init__(
        self,
        spec: MetaSearchSpec,
        splits: Splits,
        device: torch.device,
        storage: Storage,
        clock: Callable[[], float] = time.monotonic,
        cap: memory.Cap | None = None,
        on_step: StepObserver = ignore_step,
        part_clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        Args:
            clock: returns seconds, from any start.
            cap: the most memory that may be held where that is less than `budget.trialMemory`.
            on_step: observes the outer steps of all trials.
            part_clock: returns seconds, from any start; the parts of a trial are measured by it.

        Raises:
            InvalidSpec: a name in the spec is not installed here; better now than once per trial.
        """
        require_known_names(spec)
        self.spec, self.device, self.storage, self.clock = spec, device, storage, clock
        self.part_clock, self.on_step = part_clock, on_step
        self.cap = memory.lowest(memory.Cap.of_trial(spec.budget.trial_memory), cap)
        self.images = Images.of(splits, spec, device)

    def run(self, trial: TrialSpec, observe: Observer) -> TrialResult:
        """
        Train and evaluate a candidate. Whatever goes wrong with it is part of the result.

        Raises:
            StoreUnavailable: the disk is full, say, which is not the candidate's failure; the trial can go on later.
            BaseException: `observe` raised one, such as the worker's own end; the trial can go on later.
        """
        timer = PartTimer(self.part_clock)
        with timer.part(Part.DATA):
            self.storage.fetch(trial)
        memory.reset_peak(self.device)
        run = TrialRun(self._environment, trial, observe, timer)
        try:
            with memory.limited(self._max_bytes):
                result = run.result()
        except TrialEnded as ended:
            result = run.partial_result(ended)
        except StoreUnavailable:  # before Exception, of which it is one
            raise
        except (MemoryError, torch.OutOfMemoryError) as error:
            result = run.partial_result(self._out_of_memory(str(error)))
        except Exception as error:  # a trial that fails is a result; the search goes on
            result = run.partial_result(self._failed(error))
        except BaseException:
            self.storage.keep(trial)
            raise
        images = self.images.train.images
        # Also of a trial that ended early, as far as it got: its cost counts, whatever its result.
        return replace(
            result,
            parameter_count=run.network.layout.size if run.network else None,
            multiply_adds=run.network.multiply_adds if run.network else None,
            image_channels=images.channels,
            image_side=images.side,
            meta_iterations=run.state.meta_iteration if run.state else None,
            wall_seconds=run.seconds,
            part_seconds=timer.seconds,
            peak_memory_bytes=memory.peak_bytes(self.device),
            device=device_name(self.device),
        )

    def forget(self, trial: TrialSpec) -> None:
        """Drop the checkpoint of a trial whose result is on record. One that failed may be tried again from there."""
        self.storage.forget(trial)

    def network(self, trial: TrialSpec) -> Network:
        """Build the network that a trial trains, without its weights."""
        return build_network(trial, self.spec, self.images.train.images)

    @property
    def _environment(self) -> Environment:
        return Environment(self.spec, self.device, self.images, self.storage, self.clock, self._max_bytes, self.on_step)

    @property
    def _max_bytes(self) -> int | None:
        # On a GPU the cap is the driver's; what the process holds besides says little.
        return self.cap.bytes if self.cap is not None and self.device.type == "cpu" else None

    def _failed(self, error: Exception) -> TrialEnded:
        """Return the end of a trial that an unforeseen exception caused."""
        if isinstance(error, RuntimeError) and "allocate memory" in str(error):  # PyTorch's, for memory of a CPU
            return self._out_of_memory(str(error).splitlines()[0])
        reason = Reason.INVALID_DATA if isinstance(error, InvalidData) else Reason.ERROR
        return TrialEnded(State.FAILED, reason, f"{type(error).__name__}: {error}")

    def _out_of_memory(self, detail: str) -> TrialEnded:
        allowed = "the machine's memory" if self._max_bytes is None or self.cap is None else self.cap.source
        return TrialEnded(State.FAILED, Reason.OUT_OF_MEMORY, f"the trial needs more than {allowed}: {detail}")


def device_name(device: torch.device) -> str:
    """Return the device's name for records: times are comparable only between devices of one name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"
