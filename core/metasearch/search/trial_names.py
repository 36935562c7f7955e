"""Names of trials: equal evaluations have equal names, so that proposing one twice makes one trial."""

from __future__ import annotations

import hashlib
import json

from metasearch.search.trials import Stage


def trial_name(
    search: str,
    stage: Stage,
    round: int,
    key: str,
    meta_iterations: int,
    seed: int,
    search_seed: int,
    resumes: str | None = None,
    is_beginning: bool = False,
) -> str:
    """
    Name an evaluation: the same for the same one, so that proposing it twice makes one trial.

    Args:
        key: of the candidate, as `Candidate.key` makes it.
        resumes: the trial that it goes on from. Part of the name, because it may end elsewhere than one begun anew.
    """
    # Ten hex digits are 40 bits: of 100,000 trials, any two share a name with a probability of 0.5%.
    identity = [key, stage, meta_iterations, seed, search_seed]
    # Only where they are given: names of trials that are whole trainings stay as they were.
    identity += [resumes] if resumes else []
    identity += ["beginning"] if is_beginning else []
    return f"{search}-{round}-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:10]}"
