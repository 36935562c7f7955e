"""The version of the distribution; all four packages have the same."""

__version__ = "0.1.0"
