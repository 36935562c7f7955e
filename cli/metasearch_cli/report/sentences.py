"""Put the report's claims into plain words, and claim no more than the numbers support."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from metasearch.api import Classification, MetaSearchSpec, Score, Split
from metasearch.outcome.figures import CellSummary, FinalNetwork, HandMadeNetwork
from metasearch.outcome.results import BestCell, SearchResult
from metasearch.search.budget import Limit
from metasearch.search.planner import Phase
from metasearch.search.trials import Reason, Stage, State, Trial
from metasearch_cli.report import series
from metasearch_cli.report.formats import SPACE, count, moment, percent, percent_with_interval, plural
from metasearch_cli.report.notices import Importance, Notice
from metasearch_cli.report.series import has_predicted

# --- what came out ------------------------------------------------------------------------------------------------


def headline(result: SearchResult) -> str:
    """Say in one sentence what the search has found."""
    if result.delivered is not None:
        return _found(result.delivered, result.compared, result.search.spec)
    if result.best is not None:
        return _best_so_far(result)
    if result.search.phase is Phase.FAILED:
        return "The search found no network."
    if not result.trials.total:
        return "The search has begun; it has no trials yet."
    return f"The search is under way; none of its {plural(result.trials.total, 'trial')} has a score yet."


def _found(network: FinalNetwork[float], baseline: HandMadeNetwork[float] | None, spec: MetaSearchSpec) -> str:
    things = _things(spec)
    images = "one image" if spec.task.shots == 1 else f"{spec.task.shots} images"
    text = (
        f"Found a network with {count(network.parameter_count)} parameters that learns {spec.task.ways} new {things} "
        f"from {images} of each, and then classifies {_measured(network)} of new images right (queries alone), on "
        f"{things} that it never saw in training"
    )
    if baseline is None:
        return f"{text}."
    return (
        f"{text}. {baseline.name} with {count(baseline.parameter_count)} parameters gets {_measured(baseline)} right."
    )


def _measured(network: FinalNetwork[float]) -> str:
    return percent_with_interval(network.non_transductive.accuracy, network.non_transductive.interval)


def _best_so_far(result: SearchResult) -> str:
    spec = result.search.spec
    assert result.best is not None
    so_far = "" if result.search.phase.is_over else " so far"
    steps = count(result.best.search.meta_iterations)
    if result.best.search.is_beginning:
        whole = f"a whole training of {count(spec.training.meta_iterations)} meta-iterations"
        return (
            f"No cell has had {whole}{_yet(result)}. "
            f"The best beginning{so_far} is of a network with {count(result.best.parameter_count)} parameters; it "
            f"scores {result.best.search.score:.3f} by its training loss after {steps} meta-iterations."
        )
    return (
        f"The best cell{so_far} makes a network with {count(result.best.parameter_count)} parameters, which scores "
        f"{_scored(result.best)} after {steps} meta-iterations; chance is {percent(1 / spec.task.ways)}. "
        f"No network has been trained in full{_yet(result)}."
    )


def _yet(result: SearchResult) -> str:
    return "" if result.search.phase.is_over else " yet"


def _scored(best: BestCell) -> str:
    """Say how good the best cell so far is."""
    if best.accuracy is None or best.interval is None:
        return f"a {best.search.score:.3f}"
    return percent_with_interval(best.accuracy, best.interval)


def _things(spec: MetaSearchSpec) -> str:
    """Name the kind of classes that a network learns."""
    return "characters" if spec.dataset.is_omniglot else "classes"


# --- what else to know --------------------------------------------------------------------------------------------


def notices(result: SearchResult, trials: Sequence[Trial]) -> list[Notice]:
    """Return the notices without which a reader might take the numbers for more than they are."""
    return [
        *_failure(result, trials),
        *_under_way(result),
        *_limit(result, trials),
        *_cut_short(result),
        *_chosen_on_test(result),
        *_no_baseline(result, trials),
    ]


def _failure(result: SearchResult, trials: Sequence[Trial]) -> Iterator[Notice]:
    if result.search.phase is Phase.FAILED:
        message = result.search.message or "no reason was recorded"
        reasons = Counter(str(trial.result.reason) for trial in trials if trial.state is State.FAILED and trial.result)
        text = f"{message[:1].upper()}{message[1:].rstrip('.')}."
        if reasons:
            counted = ", ".join(f"{reason} {number:,}" for reason, number in reasons.most_common())
            text += f" Trials failed for these reasons: {counted}."
        yield Notice(Importance.BAD, "The search failed.", text)


def _under_way(result: SearchResult) -> Iterator[Notice]:
    if not result.search.phase.is_over:
        stage = "Cells are being searched" if result.search.phase is Phase.SEARCHING else "The best are trained in full"
        text = (
            f"{stage}; {plural(result.trials.running, 'trial')} running, {count(result.trials.pending)} waiting. "
            f"Everything here is as it was at {moment(result.search.seen_at)}, when the search was last seen at work."
        )
        yield Notice(Importance.PLAIN, "Under way.", text)


def _limit(result: SearchResult, trials: Sequence[Trial]) -> Iterator[Notice]:
    spec = result.search.spec
    limit = result.search.limit
    if limit is None or limit is Limit.FAILED_TRIALS:
        return
    field = f"budget.{limit}"
    if limit is Limit.TRIALS:
        yield Notice(
            Importance.PLAIN,
            "The budget ended the search stage.",
            f"{field} ({count(spec.budget.max_trials)}) was reached before the strategy was through.",
        )
        return
    value = spec.budget.wall_time if limit is Limit.WALL_TIME else spec.budget.gpu_hours
    kept = (
        f", of which {percent(float(spec.final.reserve), 0)} is kept for final training" if spec.final.reserve else ""
    )
    yield Notice(
        Importance.WARNING,
        "A limit ended a stage early.",
        f"{field} ({value}{kept}) was reached{_given_up(trials)}. How far a search gets in a given time depends on the "
        "machine’s speed, so on another machine, or run again, the results may differ.",
    )


def _cut_short(result: SearchResult) -> Iterator[Notice]:
    asked = result.search.spec.final.meta_iterations
    cut = [f"{name} had {count(network.meta_iterations)}" for name, network in _networks(result) if network.cut_short]
    if cut:
        yield Notice(
            Importance.WARNING,
            "Training was cut short.",
            f"Of the {count(asked)} meta-iterations asked for, {' and '.join(cut)} when the budget was spent. "
            "Accuracies are of what was trained until then; a larger budget or a smaller final.metaIterations lets "
            "training come to its end.",
        )


def _networks(result: SearchResult) -> Iterator[tuple[str, FinalNetwork[float]]]:
    """Yield the networks of the final stage, with their names in a sentence."""
    for place, network in enumerate(result.final):
        yield "the delivered network" if place == 0 else f"the cell in place {place + 1}", network
    yield from ((network.name, network) for network in result.baselines)


def _given_up(trials: Sequence[Trial]) -> str:
    """Count the trials of each stage that a limit stopped."""
    ended = Counter(
        trial.spec.stage
        for trial in trials
        if trial.result and trial.result.reason is Reason.BUDGET_EXHAUSTED and not trial.has_network
    )
    names = {Stage.SEARCH: "search trial", Stage.FINAL: "final trial", Stage.BASELINE: "baseline trial"}
    counted = [plural(ended[stage], name) for stage, name in names.items() if ended[stage]]
    if not counted:
        return ""
    return f", and {' and '.join(counted)} {'was' if ended.total() == 1 else 'were'} given up"


def _chosen_on_test(result: SearchResult) -> Iterator[Notice]:
    if result.search.spec.evaluation.split is Split.TEST and result.best is not None:
        yield Notice(
            Importance.WARNING,
            "Test accuracies flatter the found cells.",
            "Cells were chosen by their score on the test classes (evaluation.split: Test, as in Auto-Meta), so their "
            "accuracy on the same classes is not that on classes which nothing was chosen by.",
        )


def _no_baseline(result: SearchResult, trials: Sequence[Trial]) -> Iterator[Notice]:
    """Say which hand-made networks there is nothing of to compare with."""
    if result.delivered is None:
        return
    asked = result.search.spec.final.baselines
    if not asked:
        text = "None was asked for (final.baselines: []), so nothing here says whether searching was worth it."
        yield Notice(Importance.PLAIN, "Without a baseline.", text)
        return
    # A network has another name than what was asked for, where its number of filters was chosen for its size.
    proposed = {trial.spec.candidate.text for trial in series.of_stage(trials, Stage.BASELINE)}
    lacking = sorted(proposed - {network.name for network in result.baselines}) or ([] if result.baselines else asked)
    if lacking:
        heading = "Not every baseline is here." if result.baselines else "Without a baseline."
        were, their = ("was", "its") if len(lacking) == 1 else ("were", "their")
        ran = "ran to its end" if result.search.phase.is_over else "has run to its end yet"
        text = f"{' and '.join(lacking)} {were} asked for, but none of {their} trials {ran}."
        yield Notice(Importance.PLAIN, heading, text)


# --- smaller texts ------------------------------------------------------------------------------------------------


def score_meaning(spec: MetaSearchSpec) -> str:
    """Explain what `score` is in this search."""
    evaluation = spec.evaluation
    what = {
        Score.ACCURACY: "the share of query images classified right",
        Score.LIKELIHOOD: "the probability that a query image’s class is given (geometric mean)",
    }[evaluation.score]
    how = {
        Classification.NON_TRANSDUCTIVE: "each alone",
        Classification.SUPPORT_STATISTICS: "each alone by the support images’ statistics",
        Classification.TRANSDUCTIVE: "the queries of a task together (transductive)",
    }[evaluation.classification]
    classes, tasks = f"{evaluation.split.lower()} classes", f"{count(evaluation.tasks)} tasks"
    if evaluation.folds > 1:
        classes, tasks = "classes that training left out", f"{count(evaluation.folds)} folds with {tasks} each"
    return f"Score: {what}, {how}, on {classes}, {tasks}."


def trained_for(found: CellSummary[float]) -> str:
    """Say how long the cells of a front were trained, which is as long for all of them."""
    steps = plural(found.meta_iterations, "meta-iteration")
    if found.is_beginning:
        return f"No search trial is a whole training yet; beginnings are scored by their training loss after {steps}."
    return f"Search trials are scored after {steps}."


def shifts(spec: MetaSearchSpec) -> str:
    """Say over which copies predictions are averaged; empty where there are none."""
    pixels = spec.evaluation.shifts
    return f"Each prediction is a mean over an image and copies moved by {plural(pixels, 'pixel')}." if pixels else ""


def ranking(p_value: float | None, spearman: float | None, number: int) -> str:
    """
    Say how well a round was ranked.

    Args:
        p_value: probability of a ranking at least as good by chance.
        number: of candidates that were both predicted and measured.
    """
    if p_value is None or spearman is None:
        return "Too few measured candidates to say how well they were ranked."
    if spearman <= 0:
        return "No better than chance."
    if p_value > series.CHANCE:
        return f"Cannot be told from chance with {plural(number, 'candidate')} (p{SPACE}={SPACE}{p_value:.2f})."
    return f"Better than chance (p{SPACE}{f'={SPACE}{p_value:.3f}' if p_value >= 0.001 else f'<{SPACE}0.001'})."


def round_title(result: SearchResult, number: int) -> str:
    """Return the strategy's name of a round that has begun."""
    return next(round.title for round in result.rounds if round.round == number)


def intervals(result: SearchResult) -> str:
    """Explain what the intervals of networks trained in full are over."""
    networks = [*result.final, *result.baselines]
    if not networks:
        return ""
    tasks = count(networks[0].tasks)
    if all(network.seeds == 1 for network in networks):
        return f"With one seed each, the 95{SPACE}% intervals are over its {tasks} test tasks."
    return (
        f"The 95{SPACE}% intervals are over seeds (over tasks where there is one seed), with {tasks} test tasks each."
    )


def subtitle(result: SearchResult, trials: Sequence[Trial]) -> str:
    """Say what was searched for, and how."""
    spec = result.search.spec
    how = f"{spec.search.strategy.lower()} search"
    if has_predicted(trials):
        how += f" with the surrogate {spec.search.surrogate.type}"
    return f"{spec.task.ways}-way {spec.task.shots}-shot on {spec.dataset.title}, {how}"
