"""``run.log`` tells hits from misses."""

from __future__ import annotations

from pathlib import Path

from bench.engine.plan import make_plan
from bench.engine.run_log import NAME, RunLog
from bench.grid.spec import load_spec
from bench.stages.base import in_order

GRID = {"methods": "aum", "datasets": "digits", "rates": "0.9", "pool_size": 50}


def test_every_event_is_one_line(tmp_path: Path) -> None:
    [cell] = make_plan(load_spec(given=GRID), out=tmp_path).cells
    dynamics, selection = in_order(cell.stages())
    log = RunLog(tmp_path)
    log.stages_begin([selection], [dynamics])
    log.waiting(selection.title())
    log.retry(selection.title(), "the worker was lost")
    log.stage_end(selection, 1.25)
    log.stage_end(selection, 1.25, reused=True)
    log.stage_end(selection, 0.0, error="two\nlines")
    log.note("something")
    log.cells_begin(1, 0)
    log.cell_end(cell, 71.25, 2.0, None)
    log.cell_end(cell, None, 2.0, "it failed")
    log.session_lost("no node is alive", again=False)
    lines = [line.split(" ", 1)[1] for line in (tmp_path / NAME).read_text().splitlines()]
    of_dynamics, of_selection = (f"{stage.kind} {stage.key[:12]} {stage.title()}" for stage in (dynamics, selection))
    assert lines == [
        "run   1 shared stage to compute, 1 in the store",
        f"hit   {of_dynamics}",
        f"wait  {selection.title()}: another run is computing it",
        f"retry {selection.title()}: the worker was lost",
        f"miss  {of_selection}: computed in 1.2 s",
        f"hit   {of_selection}: computed by another run meanwhile",
        f"fail  {of_selection}: two lines",
        "note  something",
        "run   1 cell to train, 0 with a row already",
        f"cell  {cell.cell_id}: 71.25 % in 2.0 s",
        f"fail  {cell.cell_id}: it failed",
        "lost  no node is alive; the end",
    ]


def test_a_folder_that_is_gone_costs_lines_only(tmp_path: Path) -> None:
    RunLog(tmp_path / "gone").note("something")
    assert not (tmp_path / "gone").exists()
