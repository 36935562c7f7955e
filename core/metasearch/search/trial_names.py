"""Names of trials: equal evaluations have equal names, so that proposing one twice makes one trial."""

from __future__ import annotations

import hashlib
import json

from metasearch.search.trials import TrialSpec


def trial_name(search: str, spec: TrialSpec, key: str, search_seed: int) -> str:
    """
    Name an evaluation: the same for the same one.

    Args:
        search: the search's name, with which the trial's begins.
        spec: the trial's; its own name is not looked at.
        key: of the candidate, as `candidate_key` makes it.
    """
    identity = [key, spec.stage, spec.meta_iterations, spec.seed, search_seed]
    # Part of the name, because it may end elsewhere; but only where given, so that other names stay as they were.
    identity += [spec.resumes] if spec.resumes else []
    identity += ["beginning"] if spec.is_beginning else []
    identity += ["replaces", spec.replaces] if spec.replaces else []
    # Ten hex digits are 40 bits: of 100,000 trials, any two share a name with a probability of 0.5%.
    return f"{search}-{spec.round}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:10]}"
