"""One small cell on digits, and its row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.engine.plan import make_plan
from bench.grid.spec import load_spec
from bench.results.rows import Row, read_row
from bench.stages.session import Session
from bench.stages.training import Cell

TINY: dict[str, Any] = {
    "datasets": "digits",
    "methods": "random",
    "rates": "0.9",
    "pool_size": 300,
    "recipe": {"iterations": 12, "proxy_epochs": 2, "evaluations": 3},
}


def place(folder: Path) -> Session:
    return Session(out=folder / "out", cache=folder / "cache")


def one_cell(workspace: Session, **given: Any) -> Cell:
    [cell] = make_plan(load_spec(given={**TINY, **given}), out=workspace.out).cells
    return cell


def row_of(cell: Cell, workspace: Session) -> Row:
    return read_row(workspace.out / "rows" / f"{cell.cell_id}.json")
