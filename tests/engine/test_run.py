from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.engine.events import Listener
from bench.engine.executors.base import Executor
from bench.engine.plan import make_plan
from bench.engine.run import run
from bench.engine.scheduler import Scheduler
from bench.errors import ExecutorLost
from bench.grid.spec import load_spec
from bench.progress import running_tasks
from bench.stages.base import Stage
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.engine.runs import TINY, check_against_this_process, go, place, rows_of
from tests.narrowing import present


@contextmanager
def seen_tasks(workspace: Session) -> Iterator[set[str]]:
    """The titles of what the workers announce while the block runs."""
    titles: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            titles.update(item.title for item in running_tasks(workspace.underway).values())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield titles
    finally:
        stop.set()
        thread.join()


def record_of(workspace: Session, cell: Cell) -> tuple[str, str]:
    path = workspace.out / "failed" / f"{cell.cell_id}.json"
    record = json.loads(path.read_text())
    assert Cell.model_validate(record["cell"]) == cell
    return record["reason"], path.with_suffix(".txt").read_text()


@pytest.mark.slow
def test_smoke_grid_from_start_to_rows(tmp_path: Path, executor: Executor) -> None:
    workspace = place(tmp_path)
    plan, outcome, events = go(workspace, executor, preset="smoke")
    rows = rows_of(workspace)
    assert set(rows) == {cell.cell_id for cell in plan.cells} == set(events.cells)
    assert (outcome.written, outcome.failed, outcome.interrupted) == (4, {}, False)
    assert sorted(path.name for path in workspace.out.iterdir()) == [
        ".planned.lock",
        "indices",
        "planned.json",
        "rows",
        "scores",
    ]
    by_method = {row.method: row for row in rows.values()}
    judge = ["labelings", "judge-features"]
    kinds = ["encoder", "embeddings", "neighbors", "pseudo-labels", "dynamics", *judge, "selection"]
    assert [use.kind for use in by_method["elfs"].stages] == kinds
    assert [use.kind for use in by_method["random"].stages] == ["selection"]
    assert not any(use.reused for row in rows.values() for use in row.stages)
    for row in rows.values():
        indices = np.load(workspace.out / "indices" / f"{row.cell_id}.npy")
        assert hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest() == row.indices_sha256
        assert len(indices) == row.budget == 40
    [cell] = [cell for cell in plan.cells if cell.method == "elfs"]
    check_against_this_process(cell, by_method["elfs"], tmp_path)


@pytest.mark.parametrize("executor", [pytest.param("ray", marks=pytest.mark.long), "local"], indirect=True)
def test_grid_then_nothing_then_only_what_is_new(tmp_path: Path, executor: Executor) -> None:
    workspace = place(tmp_path)
    with seen_tasks(workspace) as titles:
        plan, outcome, events = go(workspace, executor, methods="aum")
    [cell] = plan.cells
    assert {cell.title(), *(stage.title() for stage in cell.stages()[0].inputs())} <= titles
    assert (outcome.written, outcome.failed, outcome.interrupted) == (1, {}, False)
    assert events.cells == {cell.cell_id: None}
    assert events.begun == [("stages", 2, 0), ("cells", 1, 0)]
    before = {path: path.stat().st_mtime_ns for path in (workspace.out / "rows").iterdir()}
    check_against_this_process(cell, rows_of(workspace)[cell.cell_id], tmp_path)

    _, again, nothing = go(workspace, executor, methods="aum")
    assert (again.written, nothing.begun, nothing.cells) == (1, [], {})

    larger, outcome, only = go(workspace, executor, methods="aum,random", rates="0.9,0.8")
    assert outcome.written == len(larger.cells) == 4
    assert set(only.cells) == {item.cell_id for item in larger.cells} - {cell.cell_id}
    assert only.begun == [("stages", 3, 1), ("cells", 3, 1)]
    assert all(path.stat().st_mtime_ns == modified for path, modified in before.items())
    [row] = [row for row in rows_of(workspace).values() if (row.method, row.rate) == ("aum", 0.8)]
    assert [(use.kind, use.reused) for use in row.stages] == [("dynamics", True), ("selection", False)]
    dynamics, selection = row.stages
    assert selection.seconds > 0
    assert dynamics.seconds > 0, "what the first run paid is still told"
    if sys.platform == "linux":
        assert all(present(use.peak_bytes) > 50e6 for use in row.stages), "processes with torch in them, in bytes"


@pytest.mark.long
def test_failing_stages_are_recorded_and_the_others_finish(
    tmp_path: Path, troublemakers: None, executor: Executor
) -> None:
    workspace = place(tmp_path)
    plan, outcome, events = go(
        workspace,
        executor,
        methods="random,raises,dies,refuses(above=50),aum,forgetting",
        proxy_model="dies-in-training",
        models="small_cnn",
        rates="0.5,0.9",
    )
    by_name = {(cell.method, cell.rate): cell for cell in plan.cells}
    fine = {("random", 0.5), ("random", 0.9), ("refuses", 0.9)}
    assert set(rows_of(workspace)) == {by_name[name].cell_id for name in fine}
    assert set(outcome.failed) == {cell.cell_id for name, cell in by_name.items() if name not in fine}
    assert {name for name, error in events.cells.items() if error} == set(outcome.failed)
    assert (outcome.written, outcome.interrupted) == (3, False)
    reason, details = record_of(workspace, by_name["raises", 0.9])
    assert reason.endswith("ZeroDivisionError: this method divides by zero")
    assert "in raises" in details
    reason, details = record_of(workspace, by_name["refuses", 0.5])
    assert reason.endswith("cannot keep 150, at most 50")
    assert "SelectionError" in details
    reason, details = record_of(workspace, by_name["dies", 0.5])
    assert reason.endswith("the worker was lost")
    assert "dies on digits" in reason
    assert details
    reasons = {record_of(workspace, cell)[0] for cell in plan.cells if cell.proxy is not None}
    assert len(reasons) == 1, "aum and forgetting rest on one proxy"
    assert "proxy dies-in-training" in reasons.pop()
    assert len(list((workspace.out / "failed").glob("*.json"))) == 9
    assert running_tasks(workspace.underway) == {}, "also of workers that died"


def test_stages_that_were_pruned_or_damaged_are_computed_before_the_cells(tmp_path: Path, executor: Executor) -> None:
    """Else a trial would compute them, or wait for another that does, and hold its CPU and GPU meanwhile."""
    workspace = place(tmp_path)
    given: dict[str, Any] = {"methods": "elfs(clustering=kmeans,beta=0.1)"}
    [cell] = go(workspace, executor, **given)[0].cells
    [row] = rows_of(workspace).values()
    # Another cell of the same coreset, of which the row tells how good the pseudo-labels are.
    shutil.rmtree(workspace.cache / "pseudo-labels")
    [arrays] = (workspace.cache / "selection").glob("*.npz")
    arrays.write_bytes(arrays.read_bytes()[:-9])
    again = {**TINY["recipe"], "iterations": 9}
    elsewhere = workspace.model_copy(update={"out": tmp_path / "again"})
    _, outcome, events = go(elsewhere, executor, **given, recipe=again)
    assert (outcome.written, outcome.failed) == (1, {})
    assert sorted(title.partition(" ")[0] for title, _ in events.stages) == ["coreset", "kmeans(num_clusters=10)"]
    assert [line.partition(" was damaged")[0] for line in events.notes] == [cell.selection().title()]
    [other] = rows_of(elsewhere).values()
    assert other.indices_sha256 == row.indices_sha256
    assert {use.kind: use.reused for use in other.stages}["pseudo-labels"] is False


@pytest.mark.slow
def test_a_trial_that_fails_or_dies_leaves_the_others_alone(
    tmp_path: Path, troublemakers: None, executor: Executor
) -> None:
    workspace = place(tmp_path)
    plan, outcome, _ = go(workspace, executor, methods="random", models="dies-in-training,small_cnn", seeds=2)
    dead = [cell for cell in plan.cells if cell.model.name == "dies-in-training"]
    assert set(outcome.failed) == {cell.cell_id for cell in dead}
    assert {row.model for row in rows_of(workspace).values()} == {"small_cnn"}
    assert (outcome.written, outcome.interrupted) == (2, False)
    for cell in dead:
        reason, details = record_of(workspace, cell)
        assert reason == "the trial's process was lost"
        assert "died" in details or "ended with exit code -9" in details, "as Ray or the other executor says it"
    assert running_tasks(workspace.underway) == {}

    elsewhere = workspace.model_copy(update={"out": tmp_path / "again"})
    _, outcome, events = go(
        elsewhere, executor, methods="random", recipe={**TINY["recipe"], "lr": 1e12, "iterations": 20}
    )
    assert outcome.written == 0
    assert "not finite" in next(iter(outcome.failed.values()))
    assert events.stages == [], "the coreset of the run before is used again"


class Fails(Executor):
    """An executor whose tries end with the given exceptions, one after the other."""

    def __init__(self, *ends: BaseException) -> None:
        self.ends = list(ends)

    def slots(self, session: Session) -> int:
        return 1

    def run(self, scheduler: Scheduler, session: Session, memory: Callable[[Stage], int]) -> None:
        raise self.ends.pop(0)


@pytest.mark.parametrize(
    ("ends", "told", "interrupted", "lost"),
    [
        ([ExecutorLost("a"), ExecutorLost("b")], [("a", True), ("b", False)], False, True),
        ([ExecutorLost("a"), KeyboardInterrupt()], [("a", True)], True, False),
        ([ExecutorLost("a", final=True)], [("a", False)], False, True),
    ],
)
def test_an_executor_that_is_lost_is_started_anew_unless_that_is_in_vain(
    tmp_path: Path, ends: list[Any], told: list[tuple[str, bool]], interrupted: bool, lost: bool
) -> None:
    class Told(Listener):
        def session_lost(self, reason: str, *, again: bool) -> None:
            heard.append((reason, again))

    heard: list[tuple[str, bool]] = []
    workspace, executor = place(tmp_path), Fails(*ends)
    plan = make_plan(load_spec(given={**TINY, "methods": "random"}), out=workspace.out)
    outcome = run(plan, workspace, executor, Told(), retries=1)
    assert (heard, outcome.interrupted, outcome.lost, outcome.written) == (told, interrupted, lost, 0)
    assert executor.ends == []
