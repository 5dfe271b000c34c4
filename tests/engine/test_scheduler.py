"""What is handed out next."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engine.events import Listener
from bench.engine.plan import make_plan
from bench.engine.scheduler import Scheduler
from bench.engine.work import perform
from bench.grid.spec import load_spec
from tests.engine.runs import TINY, place

pytestmark = pytest.mark.integration


def test_a_cell_starts_as_soon_as_its_coreset_is_there(tmp_path: Path) -> None:
    """A cell is handed out before stages of others that could start too, on any executor."""
    workspace = place(tmp_path)
    plan = make_plan(load_spec(given={**TINY, "methods": "aum,random", "seeds": 2}), out=workspace.out)
    scheduler = Scheduler(plan, workspace, Listener())
    order = []
    while (work := scheduler.next()) is not None:
        order.append(work.kind)
        scheduler.ended(work, perform(work, workspace))
    assert scheduler.done
    assert order == ["dynamics"] * 2 + ["selection", "cell"] * 4
