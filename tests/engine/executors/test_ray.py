"""What Ray is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.engine.events import Listener
from bench.engine.executors.base import Resources
from bench.engine.executors.ray import _Carrier
from bench.engine.executors.ray_cluster import RayCluster
from bench.engine.plan import make_plan
from bench.engine.scheduler import Scheduler
from bench.engine.work import End
from bench.grid.spec import load_spec
from tests.engine.runs import TINY, place


@pytest.mark.usefixtures("ray_session")
def test_a_stage_that_needs_no_gpu_waits_for_none(tmp_path: Path) -> None:
    """Ray has no GPU here, so a stage that asked for one would never start."""
    workspace = place(tmp_path)
    plan = make_plan(load_spec(given={**TINY, "methods": "d2-label-free"}), out=workspace.out)
    [cell] = plan.cells
    workspace.get(cell.selection().embeddings())
    scheduler = Scheduler(plan, workspace, Listener())
    cluster = RayCluster(memory=0, slots=1)
    carrier = _Carrier(scheduler, workspace, plan.memory, Resources(gpus=1), cluster)
    asked = {}
    while (trial := carrier.next()) is not None:
        work = carrier._trials[trial["name"]]
        asked[work.kind] = trial["asks"]
        carrier.ended(trial["name"], End(reused=False).model_dump_json())
    assert {kind: asks.get("GPU", 0) for kind, asks in asked.items()} == {"neighbors": 0, "selection": 0, "cell": 1}
