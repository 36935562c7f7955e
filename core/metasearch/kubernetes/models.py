"""Types that the models of MetaTrial and of a search's status share, besides those of `metasearch.api`."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from metasearch.api import SpecModel
from metasearch.quantities import NumberText

INT32_MAX = 2**31 - 1
"""The largest integer of the format int32, which the definitions state for integers up to it."""

Share = Annotated[NumberText, Field(ge=0, le=1)]
"""A part of a whole as text, in [0, 1]."""


class ClusterModel(SpecModel):
    """
    A part of a resource that the operator or its workers write.

    Unknown fields are ignored: a newer version has written them.
    """

    model_config = ConfigDict(extra="ignore")
