"""What a run computed and what it found, over workers that die."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.cells import Cell
from bench.ledger import Ledger
from bench.stages import Selection


@pytest.fixture
def stage(cells_of: Callable[..., list[Cell]]) -> Selection:
    [cell] = cells_of(methods="random", rates="0.5")
    return cell.selection()


def use_of(ledger: Ledger, stage: Selection) -> tuple[float, bool]:
    return ledger.uses[stage.key].seconds, ledger.uses[stage.key].reused


def test_what_lies_in_the_store_is_reused(stage: Selection) -> None:
    ledger = Ledger()
    ledger.found(stage, 3.0)
    assert use_of(ledger, stage) == (3.0, True)


@pytest.mark.parametrize("stored", [False, True])
def test_what_the_first_worker_computed_is_not_and_what_it_found_is(stage: Selection, stored: bool) -> None:
    ledger = Ledger()
    ledger.begin(stage)
    ledger.ended(stage, 3.0, stored=stored)
    assert use_of(ledger, stage) == (3.0, stored)
    ledger.found(stage, 3.0)  # a later Ray session of the run sees it lie there
    assert use_of(ledger, stage) == (3.0, stored)


def test_what_a_worker_stored_before_it_died_is_not_reused(stage: Selection) -> None:
    ledger = Ledger()
    ledger.begin(stage)
    ledger.begin(stage)
    ledger.ended(stage, 3.0, stored=True)
    assert use_of(ledger, stage) == (3.0, False)


def test_what_a_lost_session_stored_is_not_reused(stage: Selection) -> None:
    ledger = Ledger()
    ledger.begin(stage)
    ledger.found(stage, 3.0)
    assert use_of(ledger, stage) == (3.0, False)


def test_what_another_run_computed_meanwhile_is_reused(stage: Selection) -> None:
    ledger = Ledger()
    ledger.begin(stage)
    ledger.refused(stage)
    ledger.begin(stage)
    ledger.ended(stage, 3.0, stored=True)
    assert use_of(ledger, stage) == (3.0, True)
