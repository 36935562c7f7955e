"""What the resources' models have in common beyond those of `spec`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from metasearch.api import SpecModel
from metasearch.quantities import NumberText

CANDIDATE_MAX_LENGTH = 512
"""Eight blocks of the longest names take half of it."""

TRIAL_NAME_MAX_LENGTH = 63
"""As a label's value, so that a trial can be named in one."""

Count = Annotated[int, Field(ge=0)]

Share = Annotated[NumberText, Field(ge=0, le=1)]
"""Of a whole, in [0, 1]."""

Candidate = Annotated[str, Field(min_length=1, max_length=CANDIDATE_MAX_LENGTH, pattern=r"^[-A-Za-z0-9_()+| ]+$")]


class ClusterModel(SpecModel):
    """
    A part of what the operator and its workers write, for each other and for people to read.

    An unknown field is passed over: it was written by a newer version.
    """

    model_config = ConfigDict(extra="ignore")
