"""The judge is part of what a selection rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.progress import Task, running_tasks
from bench.stages import judging
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.training import loop
from tests.stages.tiny import source_of

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


@pytest.mark.integration
def test_the_network_judge_tells_how_far_it_is(workspace: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trains while the method runs, whose own progress nobody knows; a run of hours said nothing meanwhile."""
    seen: list[Task] = []
    real = loop.train

    def watched(*args: Any, **keywords: Any) -> Any:
        result = real(*args, **keywords)
        seen.extend(running_tasks(workspace.underway).values())
        return result

    monkeypatch.setattr("bench.judging.network.train", watched)
    monkeypatch.setattr("bench.progress._EVERY", 0.0)
    pool = source_of(workspace, "elfs(rehearsal=network)")
    pool.judge([np.arange(0, 120, 2), np.arange(0, 120, 3)], by="network")
    title = "judging 2 candidates for the coreset of elfs(rehearsal=network) on digits"
    assert [task.title.startswith(title) for task in seen] == [True, True]
    [first, second] = seen
    assert (first.done, second.done) == (second.done // 2, second.total)
    assert running_tasks(workspace.underway) == {}
