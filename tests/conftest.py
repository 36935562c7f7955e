"""Said before anything imports torch: one thread per process, for the machines that run tests share their cores."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
