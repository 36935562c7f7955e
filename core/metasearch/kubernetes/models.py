"""Types that the models of MetaTrial and of a search's status share, besides those of `metasearch.api`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from metasearch.api import SpecModel
from metasearch.quantities import NumberText

CANDIDATE_MAX_LENGTH = 512
"""Length of a cell's text; eight blocks with the longest names take half of it."""

TRIAL_NAME_MAX_LENGTH = 63
"""Length of a trial's name: that of a label's value, so that a label can name a trial."""

Count = Annotated[int, Field(ge=0)]

Share = Annotated[NumberText, Field(ge=0, le=1)]
"""A share of a whole, in [0, 1]."""

Candidate = Annotated[str, Field(min_length=1, max_length=CANDIDATE_MAX_LENGTH, pattern=r"^[-A-Za-z0-9_()+| ]+$")]


class ClusterModel(SpecModel):
    """
    A part of what the operator and its workers write, for each other and for people.

    Unknown fields are ignored: a newer version has written them.
    """

    model_config = ConfigDict(extra="ignore")
