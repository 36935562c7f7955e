"""An operator is upgraded, and taken away and installed again, while a search of it is under way."""

from __future__ import annotations

from pathlib import Path

from devcluster.operator_installation import SMALL_WORKERS, OperatorInstallation
from devcluster.searches import SearchHandle
from installed_searches import Apply, scores_on
from local_search import scores_of

OTHER_VALUES = {
    "worker": {"resources": {"requests": {"cpu": "110m"}}},
    "operator": {"annotations": {"example.com/a": "b"}},
}


def is_under_way(search: SearchHandle) -> bool:
    """Tell whether some trials are over and others are not."""
    return {trial.state.is_over for trial in search.trials()} == {True, False}


def test_an_upgrade_leaves_searches_to_come_to_their_end(
    apply: Apply, installation: OperatorInstallation, local_run: Path
) -> None:
    search = apply()
    search.wait_for(lambda: is_under_way(search))
    operator = installation.operator_pod()
    installation.upgrade(OTHER_VALUES)
    assert installation.operator_pod() != operator
    assert search.wait_until_over(seconds=600) == "Succeeded"
    assert scores_on(installation, search) == scores_of(local_run)


def test_a_search_goes_on_once_there_is_an_operator_again(
    apply: Apply, installation: OperatorInstallation, local_run: Path
) -> None:
    """Definitions and searches are kept; the workers' rights are not, so that they keep what they measure."""
    search = apply()
    search.wait_for(lambda: is_under_way(search))
    installation.uninstall()
    assert search.trials()
    installation.install(SMALL_WORKERS)
    assert search.wait_until_over(seconds=600) == "Succeeded"
    assert scores_on(installation, search) == scores_of(local_run)
