"""The judge is part of what a selection rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.stages import judging
from bench.stages.training import Cell

Expand = Callable[..., list[Cell]]


def test_a_judge_that_judges_otherwise_is_another_selection(cells_of: Expand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge runs while the method does, so no stage of its own would be computed again."""

    def selections() -> dict[str, tuple[str, str]]:
        cells = cells_of(methods="elfs,auto,elfs(beta=0.2),random", rates="0.9")
        return {cell.variant: (cell.selection().key, cell.selection().all_code()) for cell in cells}

    before = selections()
    monkeypatch.setitem(judging.GIVERS, "judge", replace(judging.GIVERS["judge"], version=2))
    changed = {name for name, identity in selections().items() if identity != before[name]}
    assert changed == {"elfs", "auto"}
