from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench import Pool
from bench.engine import work
from bench.engine.events import Listener
from bench.engine.executors.local import InProcess
from bench.engine.plan import Plan
from bench.engine.run import run
from bench.engine.work import perform
from bench.plugins import methods
from bench.results.published import find_coreset
from bench.results.rows import read_row
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.engine.one_cell import TINY, one_cell, place, row_of
from tests.narrowing import present


def failure_of(cell: Cell, workspace: Session) -> tuple[dict[str, Any], str]:
    record = workspace.out / "failed" / f"{cell.cell_id}.json"
    return json.loads(record.read_text()), record.with_suffix(".txt").read_text()


@pytest.mark.integration
def test_two_places_with_caches_of_their_own_agree(tmp_path: Path) -> None:
    rows = []
    for name in ("first", "second"):
        workspace = place(tmp_path / name)
        cell = one_cell(workspace, methods="elfs(heads=2, cluster_epochs=3)")
        perform(cell, workspace)
        rows.append(row_of(cell, workspace))
    own = {"created", "train_seconds", "train_peak_bytes", "select_seconds", "stages"}
    assert rows[0].model_dump(exclude=own) == rows[1].model_dump(exclude=own)


def test_a_row_of_another_version_of_the_method_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace)
    perform(cell, workspace)
    # Nothing is missing, so nothing is run.
    plan = Plan([cell], {cell.cell_id}, {}, {})
    assert run(plan, workspace, InProcess(), Listener()).written == 1
    entry = methods.get("random")
    newer = replace(entry, info=replace(entry.info, version=2))
    monkeypatch.setattr(methods, "get", lambda name: newer)
    assert run(plan, workspace, InProcess(), Listener()).written == 0


def test_a_finished_row_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs into one folder may both find that a cell is missing."""
    workspace = place(tmp_path)
    cell = one_cell(workspace)
    first = perform(cell, workspace)
    [path] = (workspace.out / "rows").iterdir()
    written = path.read_bytes(), path.stat().st_mtime_ns
    assert perform(cell, workspace).accuracy == first.accuracy
    looks = iter([None, read_row(path), read_row(path)])
    monkeypatch.setattr(work, "valid_row", lambda out, cell: next(looks))  # it is written while this one trains
    assert perform(cell, workspace).accuracy == first.accuracy
    assert (path.read_bytes(), path.stat().st_mtime_ns) == written


def first_images(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(budget)


def test_a_training_that_fails_leaves_the_coreset_of_the_row_that_is_there(
    tmp_path: Path, troublemakers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of a former version of the method stays until the new one is written, and its coreset with it."""
    workspace, mark = place(tmp_path), tmp_path / "mark"
    cell = one_cell(workspace, models=f"sleeps-in-training(mark={mark})")
    perform(cell, workspace)
    row = row_of(cell, workspace)
    entry = methods.get("random")
    newer = replace(entry, function=first_images, info=replace(entry.info, version=2))
    monkeypatch.setitem(methods._entries, "random", newer)
    mark.unlink()
    mark.mkdir()  # so that the training fails, in which the model writes to it
    assert present(perform(cell, workspace).fault).reason.startswith("IsADirectoryError")
    assert row_of(cell, workspace) == row
    assert find_coreset(row, [workspace.out]) is not None


def test_the_run_that_comes_second_leaves_the_coreset_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines may share a folder of rows and no cache, and select other images."""
    first = place(tmp_path)
    second = first.model_copy(update={"cache": tmp_path / "another cache"})
    cell = one_cell(first)
    entry = methods.get("random")

    def slow(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
        monkeypatch.setitem(methods._entries, "random", entry)
        perform(cell, first)
        return first_images(pool, budget, rng)

    monkeypatch.setitem(methods._entries, "random", replace(entry, function=slow))
    assert perform(cell, second).accuracy == row_of(cell, first).accuracy
    assert find_coreset(row_of(cell, first), [first.out]) is not None


def test_a_cell_that_another_run_finished_has_not_failed(
    tmp_path: Path, troublemakers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where its training fails in this run, nor where one of its stages does."""
    workspace, mark = place(tmp_path), tmp_path / "mark"
    cell = one_cell(workspace, models=f"sleeps-in-training(mark={mark})")
    entry = methods.get("random")

    def late(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
        monkeypatch.setitem(methods._entries, "random", entry)
        perform(cell, workspace)
        mark.unlink()
        mark.mkdir()  # so that the training fails, in which the model writes to it
        return first_images(pool, budget, rng)

    def failing(pool: Pool, budget: int, rng: np.random.Generator) -> NDArray[np.int64]:
        late(pool, budget, rng)
        raise ZeroDivisionError

    for number, function in enumerate((late, failing)):
        monkeypatch.setitem(methods._entries, "random", replace(entry, function=function))
        mine = workspace.model_copy(update={"cache": tmp_path / f"cache {number}"})
        outcome = run(Plan([cell], set(), {}, {}), mine, InProcess(), Listener())
        assert (outcome.written, outcome.failed) == (1, {})
        assert not list((workspace.out / "failed").glob("*.json"))
        (workspace.out / "rows" / f"{cell.cell_id}.json").unlink()
        mark.rmdir()


def test_a_loss_that_is_not_finite_is_recorded_with_the_learning_rate(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, recipe={**TINY["recipe"], "lr": 1e12, "iterations": 30})
    result = perform(cell, workspace)
    assert "not finite" in present(result.fault).reason
    assert "lr=1000000000000.0" in present(result.fault).reason
    record, details = failure_of(cell, workspace)
    assert record["reason"] == present(result.fault).reason
    assert Cell.model_validate(record["cell"]) == cell
    assert details.startswith("Traceback")
    assert not (workspace.out / "rows").exists()


def test_success_removes_the_record_of_an_earlier_failure(tmp_path: Path) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace)
    failed = workspace.out / "failed"
    failed.mkdir(parents=True, exist_ok=True)
    for suffix in ("json", "txt"):
        (failed / f"{cell.cell_id}.{suffix}").write_text("{}")
    assert perform(cell, workspace).accuracy is not None
    assert not list(failed.iterdir())


def test_an_unexpected_error_is_recorded_with_its_type(tmp_path: Path, troublemakers: None) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, methods="raises")
    assert present(perform(cell, workspace).fault).reason == "ZeroDivisionError: this method divides by zero"
    assert "in raises" in failure_of(cell, workspace)[1]


def test_a_full_disk_does_not_hide_the_reason(tmp_path: Path, troublemakers: None) -> None:
    workspace = place(tmp_path)
    cell = one_cell(workspace, methods="raises")
    workspace.out.mkdir(exist_ok=True)
    (workspace.out / "failed").write_text("a file where the folder should be")
    assert "divides by zero" in present(perform(cell, workspace).fault).reason
