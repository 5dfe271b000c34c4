"""What a run computed and what it found, over workers that die."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.grid.cells import Cell
from bench.grid.stages import Selection
from bench.results.rows import StageUse
from bench.runner.ledger import NAME, Ledger, only_run, unpaid


@pytest.fixture
def stage(cells_of: Callable[..., list[Cell]]) -> Selection:
    [cell] = cells_of(methods="random", rates="0.5")
    return cell.selection()


def use_of(ledger: Ledger, stage: Selection) -> tuple[float, bool]:
    return ledger.uses[stage.key].seconds, ledger.uses[stage.key].reused


def test_what_lies_in_the_store_is_reused(stage: Selection, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.found(stage, 3.0)
    assert use_of(ledger, stage) == (3.0, True)


@pytest.mark.parametrize("stored", [False, True])
def test_what_the_first_worker_computed_is_not_and_what_it_found_is(
    stage: Selection, stored: bool, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(stage)
    ledger.ended(stage, 3.0, stored=stored)
    assert use_of(ledger, stage) == (3.0, stored)
    ledger.found(stage, 3.0)  # a later Ray session of the run sees it lie there
    assert use_of(ledger, stage) == (3.0, stored)


def test_what_a_worker_stored_before_it_died_is_not_reused(stage: Selection, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(stage)
    ledger.begin(stage)
    ledger.ended(stage, 3.0, stored=True)
    assert use_of(ledger, stage) == (3.0, False)


def test_what_a_lost_session_stored_is_not_reused(stage: Selection, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(stage)
    ledger.found(stage, 3.0)
    assert use_of(ledger, stage) == (3.0, False)


def test_what_another_run_computed_meanwhile_is_reused(stage: Selection, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(stage)
    ledger.refused(stage)
    ledger.begin(stage)
    ledger.ended(stage, 3.0, stored=True)
    assert use_of(ledger, stage) == (3.0, True)


def test_what_a_killed_run_spent_is_paid_by_the_rows_of_the_next(stage: Selection, tmp_path: Path) -> None:
    killed = Ledger(tmp_path)
    killed.begin(stage)
    killed.ended(stage, 6.0, stored=False)
    with (tmp_path / NAME).open("a") as file:
        file.write('{"key": "cut sh')
    spent = Ledger(tmp_path).spent
    assert spent == {stage.key: 6.0}
    use = StageUse(kind=stage.kind, key=stage.key, seconds=6.0, reused=True, paid_seconds=2.0)
    assert unpaid(spent, []) == {stage.key: 6.0}
    assert unpaid(spent, [use, use]) == {stage.key: 2.0}
    assert unpaid(spent, [use] * 4) == {stage.key: 0.0}


def test_what_was_reused_is_not_spent(stage: Selection, tmp_path: Path) -> None:
    Ledger(tmp_path).found(stage, 3.0)
    assert Ledger(tmp_path).spent == {}


def test_a_run_knows_whether_another_is_at_work_in_the_folder(tmp_path: Path) -> None:
    with only_run(tmp_path) as first:
        with only_run(tmp_path) as second, only_run(tmp_path) as third:
            assert (first, second, third) == (True, False, False)
        with only_run(tmp_path / ".." / tmp_path.name) as later:
            assert not later
    with only_run(tmp_path) as next_day:
        assert next_day


def test_one_of_several_that_goes_on_is_still_seen(tmp_path: Path) -> None:
    with ExitStack() as goes_on:
        with only_run(tmp_path):
            assert not goes_on.enter_context(only_run(tmp_path))
        with only_run(tmp_path) as alone:
            assert not alone
