"""Runs in this process."""

from __future__ import annotations

from pathlib import Path

from bench.engine.executors.local import InProcess
from tests.engine.runs import check_against_this_process, go, place, rows_of


def test_this_process_gives_the_same_rows(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    plan, outcome, _ = go(workspace, InProcess(), methods="aum")
    assert (outcome.written, outcome.failed, outcome.interrupted, outcome.stages_computed) == (1, {}, False, 2)
    check_against_this_process(plan.cells[0], next(iter(rows_of(workspace).values())), tmp_path)
