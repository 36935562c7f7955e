"""A program for tests of ways to start a process; it does what its first argument says."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from metasearch_trainer.process_output import log
from metasearch_trainer.shutdown import ShutdownSignal


def main() -> int:
    """Return the exit code."""
    parent = int(sys.argv[sys.argv.index("--parent") + 1])
    match sys.argv[1]:
        case "exit":
            log(f"exits with {sys.argv[2]}")
            return int(sys.argv[2])
        case "fail":
            raise RuntimeError("fails")
        case "misuse":
            sys.exit(2)
        case "kill":
            os.kill(os.getpid(), signal.Signals[sys.argv[2]])
        case "wait":
            shutdown = ShutdownSignal(parent)
            log(os.getpid())
            while not shutdown.wait(60):
                pass
        case "stay":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            log(os.getpid())
            time.sleep(600)
        case "describe":
            sys.stdout.write(json.dumps(_description(parent)) + "\n")
    return 0


def _description(parent: int) -> dict[str, object]:
    import torch  # here, for most tests have no need of it

    from metasearch_trainer.torch_setup import prepare_torch

    prepare_torch()
    images = torch.rand(8, 3, 20, 20, generator=torch.Generator().manual_seed(3), requires_grad=True)
    kernels = torch.rand(16, 3, 3, 3, generator=torch.Generator().manual_seed(4), requires_grad=True)
    outputs = torch.nn.functional.conv2d(images, kernels).relu().pow(1.5)
    outputs.mean().backward()
    assert kernels.grad is not None
    return {
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "parent": os.getppid() == parent,
        "arguments": sys.argv[2:3],
        "oom": int(Path("/proc/self/oom_score_adj").read_text()),
        "omp": os.environ.get("OMP_NUM_THREADS"),
        "descriptors": [number for number in range(1024) if _is_open(number)],
        "cuda": torch.cuda.is_initialized(),
        "random": random.random(),
        "numbers": [value.hex() for value in [*outputs.flatten()[:50].tolist(), *kernels.grad.flatten().tolist()]],
    }


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
