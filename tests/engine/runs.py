"""A small grid that is run on an executor, and a listener that remembers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.engine.events import Listener
from bench.engine.executors.base import Executor
from bench.engine.plan import Plan, make_plan
from bench.engine.run import Outcome, run
from bench.engine.work import perform
from bench.grid.spec import load_spec
from bench.results.rows import Row, read_row, read_rows
from bench.stages.base import Stage
from bench.stages.session import Session
from bench.stages.training import Cell

TINY: dict[str, Any] = {
    "datasets": "digits",
    "rates": "0.9",
    "pool_size": 300,
    "recipe": {"iterations": 8, "proxy_epochs": 2, "evaluations": 1},
}


class Events(Listener):
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, str | None]] = []
        self.cells: dict[str, str | None] = {}
        self.begun: list[tuple[str, int, int]] = []
        self.waited: list[str] = []
        self.retried: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def stages_begin(self, todo: Sequence[Stage], present: Sequence[Stage]) -> None:
        self.begun.append(("stages", len(todo), len(present)))

    def stage_end(self, stage: Stage, seconds: float, *, reused: bool = False, error: str | None = None) -> None:
        self.stages.append((stage.title(), error))

    def note(self, text: str) -> None:
        self.notes.append(text)

    def waiting(self, title: str) -> None:
        self.waited.append(title)

    def retry(self, title: str, reason: str) -> None:
        self.retried.append((title, reason))

    def session_lost(self, reason: str, *, again: bool) -> None:
        raise AssertionError("Ray died")

    def cells_begin(self, total: int, finished: int) -> None:
        self.begun.append(("cells", total, finished))

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        assert cell.cell_id not in self.cells, "a cell ended twice"
        assert (accuracy is None) == (error is not None)
        self.cells[cell.cell_id] = error


def place(folder: Path) -> Session:
    return Session(out=folder / "out", cache=folder / "cache")


def go(workspace: Session, executor: Executor, *, retries: int = 0, **given: Any) -> tuple[Plan, Outcome, Events]:
    events = Events()
    preset = given.pop("preset", None)
    plan = make_plan(load_spec(preset=preset, given=given if preset else {**TINY, **given}), out=workspace.out)
    return plan, run(plan, workspace, executor, events, retries=retries), events


def rows_of(workspace: Session) -> dict[str, Row]:
    return {row.cell_id: row for row in read_rows(workspace.out)}


def check_against_this_process(cell: Cell, row: Row, folder: Path) -> None:
    """A trial on Ray and one in this process, with a cache of its own, give the same row."""
    alone = place(folder / "alone")
    perform(cell, alone)
    own = {"created", "train_seconds", "train_peak_bytes", "select_seconds", "stages"}
    here = read_row(alone.out / "rows" / f"{cell.cell_id}.json")
    assert here.model_dump(exclude=own) == row.model_dump(exclude=own)
