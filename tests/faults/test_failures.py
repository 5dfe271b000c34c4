"""What goes wrong in a stage or a cell becomes a record; the others go on; a later success replaces it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.engine.events import Listener
from bench.engine.executors.base import Executor, Resources
from bench.engine.executors.local import Workers
from bench.engine.executors.ray import OnRay
from bench.engine.failures import Failure, read_failures
from bench.engine.plan import Plan, make_plan
from bench.engine.run import Outcome, run
from bench.engine.work import _release_gpu, perform
from bench.grid.spec import load_spec
from bench.results.rows import read_rows
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.engine.runs import TINY
from tests.narrowing import present

pytestmark = [pytest.mark.faults, pytest.mark.integration]

LIMIT = 40.0
"""Seconds in which a tiny cell ends on a busy machine too (over 10 were seen there); what hangs never does."""


class Notes(Listener):
    """Remembers tries."""

    def __init__(self) -> None:
        self.retried: list[tuple[str, str]] = []
        self.ended: Counter[str] = Counter()

    def cell_end(self, cell: Cell, accuracy: float | None, seconds: float, error: str | None) -> None:
        self.ended[cell.cell_id] += 1

    def retry(self, title: str, reason: str) -> None:
        self.retried.append((title, reason))

    def session_lost(self, reason: str, *, again: bool) -> None:
        raise AssertionError("Ray died")


def go(
    folder: Path, executor: Executor, *, limit: float | None = None, retries: int = 0, **given: Any
) -> tuple[Plan, Outcome, Notes]:
    workspace = Session(out=folder / "out", cache=folder / "cache", time_limit=limit)
    plan = make_plan(load_spec(given={**TINY, **given}), out=workspace.out)
    notes = Notes()
    return plan, run(plan, workspace, executor, notes, retries=retries), notes


def failures(folder: Path) -> dict[str, Failure]:
    return {failure.cell["method"]: failure for failure in read_failures(folder / "out")}


@pytest.mark.usefixtures("troublemakers")
def test_a_cell_over_the_time_limit_is_recorded_and_succeeds_with_more_time(tmp_path: Path) -> None:
    endless = f"sleeps-in-training(mark={tmp_path / 'mark'},seconds=3600)"
    # torch imports parts of itself in the first training of a process, and an import must not be cut.
    [first] = make_plan(load_spec(given={**TINY, "methods": "random"}), out=tmp_path / "first").cells
    assert perform(first, Session(out=tmp_path / "first", cache=tmp_path / "cache")).accuracy is not None
    # On a busy machine too it is the training that takes longer than this.
    short = Session(out=tmp_path / "out", cache=tmp_path / "cache", time_limit=20.0)
    [cell] = make_plan(load_spec(given={**TINY, "methods": "random", "models": endless}), out=short.out).cells
    assert "time limit" in present(perform(cell, short).fault).reason
    [failure] = read_failures(short.out)
    assert failure.status == "time-limit"
    assert "in train" in (short.out / "failed" / failure.traceback).read_text()
    assert sorted(path.suffix for path in (short.out / "failed").iterdir()) == [".json", ".txt"]


def test_a_cell_on_a_full_disk_fails_and_succeeds_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    workspace = Session(out=small_disk / "out", cache=tmp_path / "cache")
    [cell] = make_plan(load_spec(given={**TINY, "methods": "random"}), out=workspace.out).cells
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(4 * 2**20))
    assert "No space left" in present(perform(cell, workspace).fault).reason
    assert not list(workspace.out.glob("*/*.json")), "neither half a row nor half a record"
    filler.unlink()
    assert perform(cell, workspace).accuracy is not None
    assert [row.cell_id for row in read_rows(workspace.out)] == [cell.cell_id]


@pytest.mark.usefixtures("troublemakers")
def test_each_kind_of_failure_has_its_record_and_the_others_go_on(tmp_path: Path, executor: Executor) -> None:
    mark = tmp_path / "mark"
    methods = f"random,raises,hungry,cannot-read,dies,vanishes,dies-once(mark={mark})"
    _, outcome, notes = go(tmp_path, executor, methods=methods, retries=1)
    found = failures(tmp_path)
    assert {name: (item.status, item.attempts) for name, item in found.items()} == {
        "raises": ("error", 1),
        "hungry": ("out-of-memory", 2),
        "cannot-read": ("error", 2),
        "dies": ("lost", 2),
        "vanishes": ("lost", 2),
    }
    assert {row.method for row in read_rows(tmp_path / "out")} == {"random", "dies-once"}
    assert (outcome.written, len(outcome.failed), outcome.interrupted, outcome.lost) == (2, 5, False, False)
    assert set(notes.ended.values()) == {1}, "every cell ends once, however often it is tried"
    again = {item.stage for name, item in found.items() if name != "raises"}
    assert {title for title, _ in notes.retried if "dies-once" not in title} == again
    assert len(notes.retried) == 5, "and dies-once, which then goes well"
    assert not any(title in reason for title, reason in notes.retried), "a line that names the stage already"
    stored = {path.parent.name: path for path in (tmp_path / "cache").glob("*/*.json")}
    assert set(stored) == {"selection"}
    assert len(list((tmp_path / "cache" / "selection").glob("*.json"))) == 2, "a failure is never stored"
    for item in found.values():
        assert (tmp_path / "out" / "failed" / item.traceback).read_text()
        assert item.cell["method"] in item.stage
        assert item.reason.count(item.stage) == 1


@pytest.mark.usefixtures("troublemakers")
def test_sys_exit_in_a_method_or_model_is_an_error_of_its_cell_that_names_the_line(
    tmp_path: Path, executor: Executor
) -> None:
    given: dict[str, Any] = {"methods": "random,exits", "models": "small_cnn,exits-in-training", "retries": 1}
    _, outcome, notes = go(tmp_path, executor=executor, **given)
    assert outcome.written == 1
    assert notes.retried == []
    found = {(item.cell["method"], item.cell["model"]["name"]): item for item in read_failures(tmp_path / "out")}
    assert set(found) == {("exits", "small_cnn"), ("exits", "exits-in-training"), ("random", "exits-in-training")}
    for (method, _), item in found.items():
        said, line = ("SystemExit: 0", "in exits") if method == "exits" else ("SystemExit: done", "in forward")
        assert item.status == "error"
        assert item.reason.endswith(said)
        assert ("exits" in item.stage) == (method == "exits")
        assert line in (tmp_path / "out" / "failed" / item.traceback).read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("troublemakers")
def test_what_does_not_react_to_the_limit_is_ended(tmp_path: Path, executor: Executor) -> None:
    _, outcome, _ = go(tmp_path, executor, methods="random,sleeps(deaf=true)", retries=1, limit=LIMIT)
    [failure] = read_failures(tmp_path / "out")
    assert failure.status == "time-limit"
    assert failure.attempts == 1
    assert failure.reason.endswith("the time limit (--time-limit), and did not react.")
    assert "in sleeps" in (tmp_path / "out" / "failed" / failure.traceback).read_text()
    assert outcome.written == 1


@pytest.mark.slow
@pytest.mark.usefixtures("troublemakers")
def test_a_process_whose_work_was_cut_takes_no_other(tmp_path: Path, executor: Executor) -> None:
    names = ("late", "swift")
    late, swift = (
        f"sleeps-in-training(mark={tmp_path / name},seconds={seconds})"
        for name, seconds in zip(names, (600, 0), strict=True)
    )
    one_at_a_time = OnRay(Resources(cpus=2)) if isinstance(executor, OnRay) else Workers(1)
    _, outcome, _ = go(tmp_path, one_at_a_time, methods="random", models=f"{late},{swift}", limit=LIMIT)
    [failure] = read_failures(tmp_path / "out")
    assert failure.status == "time-limit"
    assert "in forward" in (tmp_path / "out" / "failed" / failure.traceback).read_text()
    assert outcome.written == 1
    assert len({(tmp_path / name).read_text() for name in names}) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("troublemakers")
def test_a_trial_that_is_killed_is_tried_again_and_a_success_removes_its_record(
    tmp_path: Path, executor: Executor
) -> None:
    plan, outcome, notes = go(tmp_path, executor, methods="random", models="dies-in-training,small_cnn", retries=1)
    [failure] = read_failures(tmp_path / "out")
    assert (failure.status, failure.attempts) == ("lost", 2)
    assert len(notes.retried) == 1
    assert (outcome.written, set(notes.ended.values())) == (1, {1})
    [dead] = [cell for cell in plan.cells if cell.model.name == "dies-in-training"]
    # Its process dies in the fifth forward pass; two iterations and one evaluation have fewer.
    short = {**TINY["recipe"], "iterations": 1}
    plan, outcome, _ = go(tmp_path, executor, methods="random", models="dies-in-training", recipe=short)
    assert dead.cell_id not in {cell.cell_id for cell in plan.cells}
    assert outcome.written == 1
    assert len(list(read_failures(tmp_path / "out"))) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU that does not answer is one that is not there")
def test_a_cell_whose_gpu_does_not_answer_is_recorded_with_its_own_error(tmp_path: Path, executor: Executor) -> None:
    workspace = Session(out=tmp_path / "out", cache=tmp_path / "cache", device="cuda")
    plan = make_plan(load_spec(given={**TINY, "methods": "random", "seeds": 2}), out=workspace.out)
    assert not _release_gpu(), "so that the processes end"
    outcome = run(plan, workspace, executor, Notes())
    assert len(outcome.failed) == 2
    for failure in read_failures(workspace.out):
        assert failure.status == "error", "not lost, though its process ended"
        assert "NVIDIA" in failure.reason or "CUDA" in failure.reason
