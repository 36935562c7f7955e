"""All cases."""

from __future__ import annotations

from alert_cases import budget, gpu, operator, search, surrogate, workers

CASES = (*operator.CASES, *search.CASES, *workers.CASES, *budget.CASES, *surrogate.CASES, *gpu.CASES)
