"""The sections of a report."""

SECTIONS = (
    "figures",
    "progress",
    "predictions",
    "front",
    "cells",
    "depth",
    "curves",
    "networks",
    "board",
    "cost",
    "reproduce",
)
"""Their ids, in order."""
