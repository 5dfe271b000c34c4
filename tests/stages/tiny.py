"""Cells of 120 digits that take a moment, and what their methods would read."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench import Outputs, Pool
from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.stages.session import Session
from bench.stages.source import StageSource
from bench.stages.training import Cell
from tests.whole_pool import whole_pool

TINY: dict[str, Any] = {
    "datasets": "digits",
    "pool_size": 120,
    "rates": "0.5",
    "recipe": {"iterations": 4, "proxy_epochs": 4, "evaluations": 1},
}
ELFS = "elfs(heads=2, cluster_epochs=3)"


def cells(workspace: Session, **given: Any) -> list[Cell]:
    return make_plan(load_spec(given={**TINY, **given}), out=workspace.out).cells


def source_of(workspace: Session, method: str = ELFS, **given: Any) -> Pool:
    [cell] = cells(workspace, methods=method, **given)
    return whole_pool(StageSource(cell.selection(), workspace), 120)


def outputs_of(workspace: Session, revealed: list[int] | np.ndarray, **given: Any) -> Outputs:
    pool = source_of(workspace, "badge", **given)
    pool.reveal(revealed)
    return pool.outputs()


CLUSTERING: dict[str, Any] = {"heads": 2, "epochs": 3}
SIMSIAM = "simsiam(epochs=1, size=8, width=8)"
