"""
The errors that a user can mend. The type says what to do next, the text is one sentence: what, where, what would be
right.

    MetaSearchError
    ├── InvalidSpec        the resource or the command line is wrong: change it, never retry
    │   └── InvalidCell    a cell's text, JSON or structure is wrong
    ├── InvalidData        the images or the split are wrong, or too few for the task: change the data or the spec
    ├── FolderConflict     the folder has no search, another one or another driver: choose another, or stop that
    ├── StoreUnavailable   the store cannot be used now (full disk, unreachable server): mend that, then resume
    ├── ClusterUnusable    the kubeconfig is wrong, or the cluster refuses the user: change that, never retry
    └── SearchFailed       the search ended without a network: read the failed trials

A trial that fails is none of these. It is a result with a reason (see `search.trials.Reason`).
"""

from __future__ import annotations


class MetaSearchError(Exception):
    """Anything the user can mend. `str(error)` is a sentence to print as it is."""

    exit_code = 1


class InvalidSpec(MetaSearchError):
    """The resource or a command-line value is wrong."""

    exit_code = 2


class InvalidCell(InvalidSpec):
    """A cell's text, JSON or structure is wrong."""


class InvalidData(MetaSearchError):
    """Images or splits are missing, unreadable, or too few for the task."""

    exit_code = 3


class FolderConflict(MetaSearchError):
    """The folder holds no search or another one, or another driver is at work in it."""

    exit_code = 4


class StoreUnavailable(MetaSearchError):
    """The store cannot be read or written now; nothing recorded is lost, and resuming is safe."""

    exit_code = 5


class ClusterUnusable(MetaSearchError):
    """The cluster cannot be used with this kubeconfig, or as this user; retrying does not help."""

    exit_code = 5


class SearchFailed(MetaSearchError):
    """The search ended without a trained network to hand over."""

    exit_code = 6
