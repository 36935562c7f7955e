"""Trains one candidate: data, tasks, networks, meta-learners, evaluation, and the worker that runs them."""
