"""A short, deterministic run of ``make fuzz``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from tests.fuzz._run import quiet, run_case, table

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _quiet() -> Iterator[None]:
    quiet()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("_quiet")
@pytest.mark.filterwarnings("default")
def test_odd_input_ends_in_a_result_or_a_clear_error() -> None:
    outcomes = [run_case(0, number) for number in range(60)]
    findings = [str(outcome) for outcome in outcomes if outcome.findings]
    assert not findings, "\n".join(findings)
    ends = {outcome.ended for outcome in outcomes}
    assert ends == {"result", "error"}, table(outcomes)
