"""Shared cost is attributed once."""

from __future__ import annotations

import math
from collections.abc import Callable

from bench.grid.cells import Cell
from bench.grid.stages import in_order
from bench.results.rows import StageUse
from bench.runner.costs import attributed


def test_the_parts_of_a_stage_add_up_to_what_it_took(cells_of: Callable[..., list[Cell]]) -> None:
    cells = cells_of(methods="aum,ccs,random", rates="0.5,0.9", seeds=2)
    stages = in_order([stage for cell in cells for stage in cell.stages()])
    seconds = {stage.key: float(number) for number, stage in enumerate(stages, start=1)}
    reused = {stage.key for stage in stages if stage.kind == "dynamics" and stage.seed == 1}
    uses = {
        stage.key: StageUse(kind=stage.kind, key=stage.key, seconds=seconds[stage.key], reused=stage.key in reused)
        for stage in stages
    }
    paid = attributed(cells, uses, {})
    assert {key: use.seconds for key, use in paid.items()} == seconds
    total = sum(paid[stage.key].paid_seconds or 0 for cell in cells for stage in in_order(cell.stages()))
    assert reused
    assert math.isclose(total, sum(value for key, value in seconds.items() if key not in reused))
    [shared] = [stage for stage in stages if stage.kind == "dynamics" and stage.seed == 0]
    assert math.isclose(paid[shared.key].paid_seconds or 0, seconds[shared.key] / 4), "two methods at two rates"


def test_what_an_earlier_run_left_unpaid_is_divided_too(cells_of: Callable[..., list[Cell]]) -> None:
    cells = cells_of(methods="aum", rates="0.5,0.9", seeds=1)
    [dynamics] = {stage for cell in cells for stage in in_order(cell.stages()) if stage.kind == "dynamics"}
    use = StageUse(kind=dynamics.kind, key=dynamics.key, seconds=9.0, reused=True)
    assert attributed(cells, {dynamics.key: use}, {dynamics.key: 5.0})[dynamics.key].paid_seconds == 2.5
    assert attributed(cells, {dynamics.key: use}, {})[dynamics.key].paid_seconds == 0.0
