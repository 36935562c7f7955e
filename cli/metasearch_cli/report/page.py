"""The page: everything there is to show, handed to the template."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from metasearch.outcome.results import SearchResult
from metasearch.search.planner import Phase
from metasearch.search.trials import Trial
from metasearch_cli.report import figures, sentences, series, tables, tiles
from metasearch_cli.report.board import board
from metasearch_cli.report.certainty import certainty
from metasearch_cli.report.earlier_ends import earlier_ends
from metasearch_cli.report.examination import examination
from metasearch_cli.report.formats import moment
from metasearch_cli.report.notices import compare, question
from metasearch_cli.report.template_files import template

PHASES = {
    Phase.SEARCHING: "searching",
    Phase.FINAL: "training in full",
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
}


def render(result: SearchResult, trials: Sequence[Trial]) -> str:
    """Return the whole HTML file."""
    in_order = sorted(trials, key=lambda trial: trial.name)  # a store may hand them in any order
    return template("page.html.j2").render(_context(result, in_order))


def _context(result: SearchResult, trials: Sequence[Trial]) -> dict[str, object]:
    return {
        "result": result,
        "spec": result.search.spec,
        **_head(result, trials),
        **_search(result, trials),
        **_networks(result, trials),
        **_cost(result, trials),
        "resource": as_yaml(result),
        "started": moment(result.search.started_at),
    }


def _head(result: SearchResult, trials: Sequence[Trial]) -> dict[str, object]:
    return {
        "phase": PHASES[result.search.phase],
        "subtitle": sentences.subtitle(result, trials),
        "headline": sentences.headline(result),
        "certainty": certainty(result),
        "question": question(result.comparison) if result.comparison else "",
        "answer": compare(result),
        "notices": sentences.notices(result, trials),
        "tiles": tiles.tiles(result),
    }


def _search(result: SearchResult, trials: Sequence[Trial]) -> dict[str, object]:
    return {
        "progress": figures.progress(result, trials),
        "predictions": figures.predictions(result, trials),
        "examination": examination(result),
        "has_predicted": series.has_predicted(trials),
        "front": figures.front(result, trials),
        "front_rows": tables.front(result),
        "front_figures": list(tables.FRONT_FIGURES),
        "cells": figures.cells(result, trials),
        "depths": tables.depths(result),
    }


def _networks(result: SearchResult, trials: Sequence[Trial]) -> dict[str, object]:
    return {
        "curves": figures.learning_curves(result, trials),
        "networks": tables.networks(result),
        "intervals": sentences.intervals(result),
        "shifts": sentences.shifts(result.search.spec),
        "board": board(result, trials),
    }


def _cost(result: SearchResult, trials: Sequence[Trial]) -> dict[str, object]:
    time = tables.time_spent(result, trials)
    return {
        "budget": tables.budget(result),
        "earlier_ends": earlier_ends(result),
        "time": time,
        "outcomes": {outcome for row in time for outcome, _ in row.bars},
        "failed": list(tables.failed(trials, result)),
        "failed_count": len(series.failed(trials)),
    }


def as_yaml(result: SearchResult) -> str:
    """Return the resource as YAML, as it would be applied: with defaults, without the fields that have none."""
    resource = {
        "apiVersion": "metasearch.dev/v1alpha1",
        "kind": "MetaSearch",
        "metadata": {"name": result.search.name},
        "spec": result.search.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
    }
    return yaml.safe_dump(resource, sort_keys=False, allow_unicode=True, width=100)
