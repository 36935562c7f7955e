"""Exit codes of our processes."""

from __future__ import annotations

import os

import pytest

from metasearch import errors
from metasearch.exit_codes import EXIT_RESTART, error_type


def test_the_code_of_a_worker_that_may_be_replaced_is_that_of_sysexits() -> None:
    assert os.EX_TEMPFAIL == EXIT_RESTART


KINDS = [errors.InvalidSpec, errors.InvalidData, errors.FolderConflict, errors.StoreUnavailable, errors.SearchFailed]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_known_by_its_code(kind: type[errors.MetaSearchError]) -> None:
    assert error_type(kind.exit_code) is kind


@pytest.mark.parametrize("code", [-9, 0, 1, EXIT_RESTART])
def test_other_codes_are_no_errors(code: int) -> None:
    assert error_type(code) is None
