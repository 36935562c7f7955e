"""Show the progress of a local search: bars in a terminal, a line per event elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from metasearch.plurals import counted
from metasearch.reconcile import Step
from metasearch.search import budget, confirmation, pareto
from metasearch.search.cut_trials import is_cut, without_replaced
from metasearch.search.planner import Search
from metasearch.search.trials import Stage, State, Trial, by_round
from metasearch_cli.extras import Extra, needing

if TYPE_CHECKING:
    from metasearch_cli.local.driver import Display


def display_for(console: Console) -> BarDisplay | LineDisplay:
    """Return bars for a terminal, lines for a log."""
    return BarDisplay(console) if console.is_terminal else LineDisplay(console)


@contextmanager
def progress_shown(console: Console, metrics_port: int | None) -> Iterator[Display]:
    """
    Give a display on a console, which Prometheus reads too where a port is given.

    Raises:
        InvalidSpec: the port is in use, or may not be taken.
        MetaSearchError: what exposes metrics is not installed.
    """
    with display_for(console) as display:
        if metrics_port is None:
            yield display
            return
        with needing(Extra.TRAINER, "--metrics-port"):
            from metasearch_cli.local.metrics import exposed_on
        with exposed_on(metrics_port, display) as exposed:
            yield exposed


class LineDisplay:
    """Prints a line when a round begins and when a trial ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ended: set[str] = set()
        self._begun: set[str] = set()
        self._is_first = True

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, search: Search, step: Step, now: float) -> None:
        if self._is_first:
            self._is_first = False
            self._pass_over_earlier(search, step)
        for title, trials in _stages(search, step.trials):
            if title not in self._begun:
                self._begun.add(title)
                self._print(f"{title}: {counted(len(trials), 'trial')} ({_spending(search, step, now)})")
            over = [trial for trial in trials if trial.state.is_over]
            for trial in over:
                if trial.name not in self._ended:
                    self._ended.add(trial.name)
                    whole = search.spec.training.meta_iterations
                    self._print(
                        f"  {trial.name} {_outcome(trial, whole)} [{len(over)}/{len(trials)}] "
                        f"{trial.spec.candidate.text}"
                    )

    def _pass_over_earlier(self, search: Search, step: Step) -> None:
        """Count what an earlier run has printed, where this one goes on with its trials."""
        self._ended = {trial.name for trial in step.trials if trial.state.is_over}
        if self._ended:
            self._begun = {title for title, trials in _stages(search, step.trials) if self._is_any_of(trials)}
            self._print(f"going on after {counted(len(self._ended), 'trial')} of before")

    def _is_any_of(self, trials: Sequence[Trial]) -> bool:
        return any(trial.name in self._ended for trial in trials)

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


class BarDisplay:
    """Shows one bar per round and stage, with the best score; below them what was spent and what is left."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description:<24}"), BarColumn(), TextColumn("{task.fields[text]}"))
        self._progress = Progress(*columns, console=console, transient=False)
        self._bars: dict[str, TaskID] = {}
        self._spending = self._progress.add_task("Spent", total=1.0, text="")

    def __enter__(self) -> BarDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, search: Search, step: Step, now: float) -> None:
        for title, trials in _stages(search, step.trials):
            if title not in self._bars:
                self._bars[title] = self._progress.add_task(title, total=1.0, text="")
            over = sum(trial.state.is_over for trial in trials)
            text = f"{over}/{counted(len(trials), 'trial')}{_best_text(trials)}"
            self._progress.update(self._bars[title], completed=_share_done(trials), text=text)
        used = budget.spent(step.trials, search.wall_seconds(now), now)
        share = min(1.0, budget.used_share(search.spec, used))
        self._progress.update(self._spending, completed=share, text=_spending(search, step, now))


def _stages(search: Search, trials: Sequence[Trial]) -> list[tuple[str, Sequence[Trial]]]:
    """Group the trials as a person thinks of them: round after round, then the final ones."""
    of = f" of {search.strategy.rounds}" if search.strategy.rounds else ""
    stages: list[tuple[str, Sequence[Trial]]] = [
        (f"Round {round[0].spec.round}{of}, {search.strategy.title(round[0].spec.round)}", round)
        for round in by_round(without_replaced(trials))
    ]
    final = [trial for trial in trials if trial.spec.stage is not Stage.SEARCH]
    return [*stages, ("Final", final)] if final else stages


def _share_done(trials: Sequence[Trial]) -> float:
    """Return the share of the meta-iterations that are done, running trials included."""
    done = sum(trial.spec.meta_iterations if trial.state.is_over else trial.progress.meta_iteration for trial in trials)
    return done / sum(trial.spec.meta_iterations for trial in trials)


def _best_text(trials: Sequence[Trial]) -> str:
    """Return the best score among the longest trainings, with which no others are comparable."""
    ranked = pareto.ranked(trials)
    if not ranked:
        return ""
    return f", best {'beginning ' if ranked[0].trial.spec.is_beginning else ''}{ranked[0].score:.3f}"


def _outcome(trial: Trial, whole: int) -> str:
    """
    Say what became of a trial.

    Args:
        whole: the meta-iterations of a whole training of the search.
    """
    if trial.state is State.SUCCEEDED and trial.result is not None:
        made = f"with {trial.result.parameter_count:,} parameters in {trial.result.wall_seconds:.1f} s"
        return f"{trial.score:.3f}{_training(trial, whole)} {made}"
    reason = trial.result.reason if trial.result else None
    return f"{trial.state} ({reason}: {trial.result.message if trial.result else ''})"


def _training(trial: Trial, whole: int) -> str:
    """Say what a trial's training is, where it is not a first and whole one."""
    if trial.spec.is_beginning:
        # By its training loss it may score far less than a whole training does when it is evaluated.
        return f" by the training loss of a beginning ({trial.spec.meta_iterations:,} of {whole:,} meta-iterations)"
    return " in a second look (another seed)" if confirmation.is_second_look(trial) else ""


def _spending(search: Search, step: Step, now: float) -> str:
    limits, used = search.spec.budget, budget.spent(step.trials, search.wall_seconds(now), now)
    ended = sum(_is_done(trial) for trial in step.trials)
    # Of the budget is spent what is proposed; to a person, a trial that waits is none yet.
    waiting = [f"{used.trials} proposed"] if used.trials > ended else []
    trials = f"{ended} of {counted(limits.max_trials, 'trial')}"
    parts = [trials, *waiting, _time(used.wall_seconds, limits.wall_time)]
    if used.gpu_hours > 0 or limits.gpu_hours is not None:
        of = f" of {limits.gpu_hours}" if limits.gpu_hours is not None else ""
        parts.append(f"{used.gpu_hours:.2f}{of} GPU-hours")
    return ", ".join(parts)


def _is_done(trial: Trial) -> bool:
    """Tell whether a trial is over that counts against `budget.maxTrials`."""
    return trial.spec.stage is Stage.SEARCH and trial.state.is_over and not is_cut(trial)


def _time(seconds: float, limit: str | None) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}{f' of {limit}' if limit else ''}"
