"""
Trials that a limit of the budget has stopped before their end, and the trials that train the same anew.

A result stays for ever, that of a stopped trial too. Under a larger budget its training is therefore done by another
trial, which says what it `replaces` and has a name of its own. To a strategy the stopped one does not exist, so the
search comes to what it would have come to without the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace

from metasearch.search.trials import Reason, Stage, State, Trial, TrialSpec


def is_cut(trial: Trial) -> bool:
    """Tell whether a limit of the budget stopped a trial before its training was done."""
    if trial.state is not State.STOPPED or trial.result is None:
        return False
    is_trained = trial.has_network and not trial.is_cut_short  # it was stopped in its test
    return trial.result.reason is Reason.BUDGET_EXHAUSTED and not is_trained


def without_cut(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that no limit has stopped."""
    return [trial for trial in trials if not is_cut(trial)]


def without_replaced(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials in whose place there is no other."""
    listed = list(trials)
    replaced = {trial.spec.replaces for trial in listed}
    return [trial for trial in listed if trial.name not in replaced]


def missing(
    wanted: Iterable[TrialSpec], recorded: Sequence[Trial], named: Callable[[TrialSpec], TrialSpec]
) -> Iterator[TrialSpec]:
    """
    Yield the trials to propose for wanted trainings that are neither done nor under way.

    Args:
        wanted: with their names.
        recorded: all trials of their stages.
        named: gives a trial its name, which depends on what it replaces.
    """
    there = [trial.spec for trial in without_cut(recorded)]
    names = {named(replace(spec, replaces=None)).name if spec.replaces else spec.name for spec in there}
    final = {_final_training(spec) for spec in there if spec.stage is not Stage.SEARCH}
    cut = {trial.name for trial in recorded if is_cut(trial)}
    for spec in wanted:
        if spec.name not in names and _final_training(spec) not in final:
            yield _first_free(spec, cut, named)


def _first_free(spec: TrialSpec, cut: Container[str], named: Callable[[TrialSpec], TrialSpec]) -> TrialSpec:
    """Return a training's first trial that no limit has stopped yet; replacements may have been stopped as well."""
    while spec.name in cut:
        spec = named(replace(spec, replaces=spec.name))
    return spec


def _final_training(spec: TrialSpec) -> tuple[object, ...]:
    """Return what says which final training it is; in another round, the same candidate is trained the same."""
    return spec.stage, spec.candidate.text, spec.meta_iterations, spec.seed
