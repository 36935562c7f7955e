"""Make the report's figures: each a drawing with the words that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from metasearch.api import MetaSearchSpec
from metasearch.outcome.figures import CellSummary
from metasearch.outcome.results import SearchResult, cell_summary
from metasearch.outcome.rounds import Round
from metasearch.search import pareto
from metasearch.search.candidates import Candidate
from metasearch.search.cells import parse_cell
from metasearch.search.hyperparameters import varied_space
from metasearch.search.pareto import MeasuredCandidate
from metasearch.search.trials import Stage, State, Trial
from metasearch_cli.report import charts, series
from metasearch_cli.report.canvas import round_colour
from metasearch_cli.report.drawing import draw_cell
from metasearch_cli.report.examination import figure_or_none
from metasearch_cli.report.formats import (
    correlation,
    count,
    percent,
    percent_with_interval,
    plural,
)
from metasearch_cli.report.sentences import ranking, score_meaning, trained_for
from metasearch_cli.report.tables import blocks

CELLS_SHOWN = 3


@dataclass(frozen=True)
class Key:
    """An entry of a legend."""

    shape: str
    """A class of the style sheet: dot, ring, cross, line, dashes, dots, diamond, hollow or square."""
    colour: str
    """The name of a colour, which the style sheet defines as `--chart-<name>`."""
    text: str


@dataclass(frozen=True)
class Figure:
    """A drawing, its legend, and what is to be said of it."""

    svg: str
    caption: str
    legend: tuple[Key, ...] = ()
    title: str = ""
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellCard:
    """A cell, drawn."""

    title: str
    svg: str
    facts: tuple[str, ...]
    blocks: tuple[str, ...]
    is_wide: bool
    """True if the drawing needs the page's whole width."""


# --- progress -----------------------------------------------------------------------------------------------------


def progress(result: SearchResult, trials: Sequence[Trial]) -> Figure | None:
    """Draw the score of each search trial; None where none has ended."""
    spec = result.search.spec
    ended = series.ended_in_order(trials)
    if not any(each.score is not None for each in ended):
        return None
    best = max((each.best for each in ended if each.best is not None), default=None)
    label = f"Scores of {plural(len(ended), 'search trial')} in the order in which they ended; best {percent(best)}."
    titles = {round.round: round.title for round in result.rounds}
    svg = charts.progress(ended, _rounds(result), 1 / spec.task.ways, titles, label)
    unseen = sum(1 for trial in series.of_stage(trials, Stage.SEARCH) if trial.state.is_over) - len(ended)
    left_out = f" {plural(unseen, 'trial')} given up before beginning {'is' if unseen == 1 else 'are'} not shown."
    return Figure(
        svg,
        score_meaning(spec) + (left_out if unseen else ""),
        (*_round_keys(result), *_progress_keys(ended, spec)),
    )


def _rounds(result: SearchResult) -> int:
    """Count the rounds that colours are spread over: all there will be, or those so far where nobody knows."""
    return result.search.rounds or max((round.round for round in result.rounds), default=1)


def _round_keys(result: SearchResult) -> list[Key]:
    rounds = _rounds(result)
    return [Key("dot", round_colour(round.round, rounds), round.title) for round in result.rounds]


def _progress_keys(ended: Sequence[series.Ended], spec: MetaSearchSpec) -> list[Key]:
    keys = []
    if any(each.best is not None for each in ended):
        keys.append(Key("line", "ink", "best whole training so far" if _has_beginnings(ended) else "best so far"))
    if _has_beginnings(ended):
        keys.append(Key("hollow", "muted", "beginning of a training, scored by its loss: compare beginnings only"))
    if any(each.state is State.STOPPED for each in ended):
        keys.append(Key("ring", "muted", "given up early, at its last score"))
    if any(each.state is State.FAILED for each in ended):
        keys.append(Key("cross", "bad", "failed"))
    if charts.is_in_sight(1 / spec.task.ways, [each.score for each in ended if each.score is not None]):
        keys.append(Key("dots", "muted", f"chance, {percent(1 / spec.task.ways, 0)}"))
    return keys


def _has_beginnings(ended: Sequence[series.Ended]) -> bool:
    return any(each.is_beginning for each in ended)


# --- predictions --------------------------------------------------------------------------------------------------


def predictions(result: SearchResult, trials: Sequence[Trial]) -> list[Figure]:
    """Draw a figure for each round that has measured predictions."""
    predicted = [round for round in series.predicted_rounds(trials) if round.predictions]
    if not predicted:
        return []
    limits = charts.prediction_limits(predicted)
    quality = {round.round: round for round in result.rounds}
    return [_prediction(each, quality[each.round], limits, _rounds(result)) for each in predicted]


def _prediction(predicted: series.PredictedRound, round: Round, limits: tuple[float, float], rounds: int) -> Figure:
    number = len(predicted.predictions)
    label = f"Predicted against measured scores of {plural(number, 'candidate')} ({round.title})."
    return Figure(
        charts.predicted(predicted, rounds, limits, label),
        f"{ranking(predicted.p_value, round.spearman, number)}{_noise(round)}{_predicted_by(round)}",
        title=f"{round.title.capitalize()}, {plural(number, 'candidate')}",
        facts=(
            f"Spearman {correlation(round.spearman)}, ceiling {figure_or_none(round.ceiling)}",
            f"Kendall {correlation(round.kendall)}",
            f"top-quarter recall {percent(round.top_recall, 0)}",
        ),
    )


def _noise(round: Round) -> str:
    return " The scores differ by no more than their errors." if round.ceiling == 0 else ""


def _predicted_by(round: Round) -> str:
    return f" Predicted by: {round.predicted_by}." if round.predicted_by else ""


# --- front --------------------------------------------------------------------------------------------------------


def front(result: SearchResult, trials: Sequence[Trial]) -> Figure | None:
    """Draw score against parameters; None where no search trial has run to its end."""
    spec = result.search.spec
    if not result.front:
        return None
    marks = _front_marks(result, trials)
    label = (
        f"Score against number of parameters of {plural(len(marks.trials), 'search trial')}; "
        f"{len(marks.front)} of them are on the front."
    )
    caption = f"{trained_for(result.front[0])} No trial is both better and smaller than one on the front."
    if result.delivered or result.baselines:
        caption += (
            f" Networks trained in full have {count(spec.final.meta_iterations)} meta-iterations"
            f"{', fewer where they were cut short,' if _is_cut_short(result) else ''} and are scored on the same "
            f"{spec.evaluation.split.lower()} classes; compare them with each other only."
        )
    return Figure(charts.front(marks, label), caption, tuple(_front_keys(marks, result)))


def _is_cut_short(result: SearchResult) -> bool:
    return any(network.cut_short for network in (*result.final, *result.baselines))


def _front_marks(result: SearchResult, trials: Sequence[Trial]) -> charts.FrontMarks:
    searched = series.longest_trained(trials)
    names = {each.trial.name for each in searched}
    best = result.best if result.best and result.best.search.trial in names else None
    final = [charts.Mark(network.parameter_count, network.score) for network in result.final]
    return charts.FrontMarks(
        trials=_marks(searched),
        front=_marks(
            pareto.front(trial for each in searched for trial in each.seeds)
        ),  # all of it; the result has the best of it only
        best=charts.Mark(best.parameter_count, best.search.score) if best else None,
        delivered=final[0] if final else None,
        others=final[1:],
        baselines=[charts.Mark(network.parameter_count, network.score, network.name) for network in result.baselines],
    )


def _marks(measured: Sequence[MeasuredCandidate]) -> list[charts.Mark]:
    sizes = [each.trial.result.parameter_count if each.trial.result else None for each in measured]
    return [charts.Mark(size, each.score) for size, each in zip(sizes, measured, strict=True) if size is not None]


def _front_keys(marks: charts.FrontMarks, result: SearchResult) -> list[Key]:
    keys = [Key("dot", "muted", "search trial"), Key("dot", "accent", "on the front")]
    if marks.best:
        name = "delivered cell, in the search" if marks.delivered else _best_name(result).lower()
        keys.append(Key("ring", "delivered", name))
    if marks.delivered:
        best = "best of the delivered front" if result.delivered_front else "delivered"
        keys.append(Key("diamond", "delivered", f"{best}, trained in full"))
    if marks.others:
        keys.append(Key("hollow", "delivered", "others trained in full"))
    if result.baselines:
        names = ", ".join(network.name for network in result.baselines)
        keys.append(Key("square", "baseline", f"{names}, trained in full"))
    return keys


def _best_name(result: SearchResult) -> str:
    if result.best and result.best.search.is_beginning:
        return "Best beginning" if result.search.phase.is_over else "Best beginning so far"
    return "Best by score" if result.search.phase.is_over else "Best so far"


# --- cells --------------------------------------------------------------------------------------------------------


def cells(result: SearchResult, trials: Sequence[Trial]) -> list[CellCard]:
    """Draw the delivered cell or the best so far, then the next on the front, then the next by score."""
    first = "Delivered" if result.delivered else _best_name(result)
    chosen: dict[Candidate, tuple[str, CellSummary[float]]] = {}
    if result.best:
        chosen[result.best.search.candidate] = (first, result.best.search)
    for found in result.front:
        chosen.setdefault(found.candidate, ("On the front", found))
    for measured in pareto.ranked(series.of_stage(trials, Stage.SEARCH)):
        chosen.setdefault(measured.trial.spec.candidate, ("Next by score", cell_summary(measured)))
    return [_card(title, found, result.search.spec) for title, found in islice(chosen.values(), CELLS_SHOWN)]


def _card(title: str, found: CellSummary[float], spec: MetaSearchSpec) -> CellCard:
    candidate = found.candidate
    cell, space = parse_cell(candidate.architecture), varied_space(spec.space, candidate.hyperparameters)
    score = percent_with_interval(found.score, found.interval)
    steps = plural(found.meta_iterations, "meta-iteration")
    facts = (
        f"score by the training loss of {steps} {score}" if found.is_beginning else f"search score {score}",
        *([f"the mean of {found.seeds} seeds"] if found.seeds > 1 else []),
        f"{count(found.parameter_count)} parameters",
        plural(len(cell), "block"),
        f"depth {cell.depth}",
    )
    return CellCard(title, draw_cell(cell, space.concat), facts, blocks(candidate), is_wide=cell.depth > 1)


# --- learning curves ----------------------------------------------------------------------------------------------


def learning_curves(result: SearchResult, trials: Sequence[Trial]) -> list[Figure]:
    """Draw the curves of the best search trials and of the final trials, as far as there are any."""
    searched, full = series.search_curves(trials), series.final_curves(trials)
    if not searched:
        return []
    limits = charts.curve_limits([*searched, *full])  # one scale, so that the two charts can be compared
    figures = [_search_curves(searched, limits, result)]
    return [*figures, _final_curves(full, limits, result)] if full else figures


def _search_curves(curves: Sequence[series.Curve], limits: tuple[float, float], result: SearchResult) -> Figure:
    number, rounds = plural(len(curves), "search trial"), _rounds(result)
    svg = charts.search_curves(curves, rounds, limits, f"Learning curves of the best {number}.")
    seen = {curve.round for curve in curves}
    keys = tuple(
        Key("line", round_colour(round.round, rounds), round.title) for round in result.rounds if round.round in seen
    )
    return Figure(svg, "", keys, title=f"The best {number}")


def _final_curves(curves: Sequence[series.Curve], limits: tuple[float, float], result: SearchResult) -> Figure:
    delivered = result.delivered.candidate.text if result.delivered else None
    svg = charts.final_curves(
        curves, delivered, limits, f"Learning curves of {plural(len(curves), 'trial')} trained in full."
    )
    keys = [Key("line", "delivered", "delivered")] if delivered else []
    if any(curve.stage is Stage.FINAL and curve.candidate != delivered for curve in curves):
        keys.append(Key("line", "muted", "other final trials"))
    baselines = sorted({curve.candidate for curve in curves if curve.stage is Stage.BASELINE})
    if baselines:
        keys.append(Key("dashes", "baseline", ", ".join(baselines)))
    return Figure(svg, "", tuple(keys), title="Training in full, one line per seed")
