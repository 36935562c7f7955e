"""Faults that happen to an operator on a real API server, and what becomes of a search that they happen to."""
