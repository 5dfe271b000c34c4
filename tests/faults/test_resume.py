"""After the driver, its Ray node or the power is gone: the same command runs what is missing, and nothing else."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from bench.data import Arrays
from bench.engine.plan import make_plan
from bench.engine.resume import set_aside, valid_row
from bench.engine.work import perform
from bench.grid.spec import load_spec
from bench.results.rows import read_rows
from bench.stages.dynamics import ProxyDynamics
from bench.stages.session import Session
from bench.stages.training import Cell
from tests.faults.bench_command import Command, alive, finish, tasks_under_way

pytestmark = [pytest.mark.faults, pytest.mark.integration]

TINY: dict[str, Any] = {
    "datasets": "digits",
    "methods": "random",
    "rates": "0.9",
    "pool_size": 300,
    "seeds": 2,
    "recipe": {"iterations": 4, "evaluations": 1},
}
SIX = ("--methods", "random", "--rates", "0.5", "--seeds", "6", "--recipe", "iterations=300,evaluations=1")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Name -> bytes and time of change of every row."""
    rows = (folder / "out" / "rows").glob("*.json")
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in rows}


def finished(out: Path, cells: list[Cell]) -> set[str]:
    return {cell.cell_id for cell in cells if valid_row(out, cell) is not None}


@pytest.fixture
def two_rows(tmp_path: Path) -> tuple[Session, list[Cell]]:
    workspace = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    cells = make_plan(load_spec(given=TINY), out=workspace.out).cells
    for cell in cells:
        assert perform(cell, workspace).accuracy is not None
    return workspace, cells


def test_a_row_cut_at_any_byte_runs_again_and_the_other_stays(two_rows: tuple[Session, list[Cell]]) -> None:
    workspace, cells = two_rows
    first, second = (workspace.out / "rows" / f"{cell.cell_id}.json" for cell in cells)
    whole, other = first.read_bytes(), second.read_bytes()
    for length in range(0, len(whole), 10):
        first.write_bytes(whole[:length])
        assert set_aside(workspace.out, cells) == [workspace.out / "damaged" / first.name]
        assert finished(workspace.out, cells) == {cells[1].cell_id}, f"cut to {length} bytes"
    assert second.read_bytes() == other
    assert perform(cells[0], workspace).accuracy is not None
    assert finished(workspace.out, cells) == {cell.cell_id for cell in cells}
    again, before = (next(read_rows(folder)) for folder in (workspace.out, restored(workspace.out, first, whole)))
    own = {"created", "train_seconds", "select_seconds", "train_peak_bytes", "stages"}
    assert again.model_dump(exclude=own) == before.model_dump(exclude=own)


def restored(out: Path, path: Path, whole: bytes) -> Path:
    """A folder that holds the row as it was before it was cut."""
    copy = out.parent / "before" / "rows" / path.name
    copy.parent.mkdir(parents=True)
    copy.write_bytes(whole)
    return copy.parents[1]


@pytest.mark.slow
def test_driver_killed(tmp_path: Path) -> None:
    command = Command(tmp_path, *SIX)
    command.wait_for(lambda: contents(tmp_path), "row")
    started = command.descendants()
    assert "raylet" in started.values()
    command.kill()
    before = contents(tmp_path)
    selected = len(list((tmp_path / "cache" / "selection").glob("*.json")))
    assert 1 <= len(before) <= selected
    assert len(before) < 6
    killed = time.monotonic()
    # The next run begins at once, while what is left of the killed one is still ending.
    text = finish(tmp_path, *SIX)
    after = contents(tmp_path)
    assert len(after) == 6
    left = int(re.findall(r"(\d) shared stages? to compute", text)[0])
    assert left <= 6 - selected, "the killed run's stages are there"
    # An orphaned trial may still have finished its row before the second run looked.
    assert {name: content for name, content in after.items() if name in before} == before
    while alive(started):
        assert time.monotonic() - killed < 150, f"orphans: {alive(started)}"
        time.sleep(1)
    assert "6 with a row in" in finish_nothing(tmp_path)


def finish_nothing(folder: Path) -> str:
    """The same command once more, which finds all there."""
    before = contents(folder)
    text = finish(folder, *SIX, "--dry-run")
    assert contents(folder) == before
    return text


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    """Else they would train on beside the run that resumes, here for ever."""
    endless = ("--methods", "random", "--rates", "0.9", "--recipe", "iterations=1000000,evaluations=1")
    command = Command(tmp_path, *endless, "--executor", "local", "--workers", "1")
    command.wait_for(
        lambda: any(path.name.startswith("digits-") for path in tasks_under_way(tmp_path)), "cell under way"
    )
    workers = command.descendants()
    assert workers
    command.process.kill()
    Command.wait_for_end(workers)
    command.close()


@pytest.mark.slow
def test_trial_killed_and_then_the_whole_node(tmp_path: Path) -> None:
    command = Command(tmp_path, *SIX)
    command.wait_for(lambda: contents(tmp_path), "row")
    trials = [number for number, name in command.descendants().items() if name.startswith("ray::ResourceTr")]
    for number in trials:  # both, as one may have written its row just now, with nothing left to try again
        os.kill(number, signal.SIGKILL)
    command.wait_for(lambda: "the trial's process was lost; it will be tried again" in command.text, "lost trial")
    before = contents(tmp_path)
    assert len(before) < 6
    for number, name in command.descendants().items():
        if name == "raylet" or name.startswith("ray::"):
            os.kill(number, signal.SIGKILL)
    command.close()
    assert command.process.returncode == 0, command.text
    assert re.search(r"Ray's processes died \(.*below /tmp/ray; starting it again", command.text)
    assert "Shared stages: 6 computed, 0 reused." in command.text
    after = contents(tmp_path)
    assert len(after) == 6
    assert {name: content for name, content in after.items() if name in before} == before
    assert not list((tmp_path / "out" / "failed").glob("*"))


@pytest.mark.slow
def test_a_stage_that_another_run_computes_is_waited_for_and_reused(tmp_path: Path) -> None:
    given = {**TINY, "methods": "aum", "rates": "0.3,0.5,0.7,0.8,0.9", "seeds": 1}
    workspace = Session(out=tmp_path / "here", cache=tmp_path / "cache")
    plan = make_plan(load_spec(given=given), out=workspace.out)
    [proxy] = [stage for stage in plan.stages(workspace.store) if isinstance(stage, ProxyDynamics)]
    command: list[Command] = []

    def compute() -> Arrays:
        """This process is the other run; it is not done before the command has noticed."""
        recipe = ("--recipe", "iterations=4,evaluations=1", "--pool-size", "300")
        command.append(Command(tmp_path, "--methods", "aum", "--rates", given["rates"], "--seeds", "1", *recipe))
        command[0].wait_for(lambda: "another run is computing it" in command[0].text, "word of the other run")
        return proxy.compute(workspace, lambda done, total: None)

    made = workspace.store.get(proxy, compute)
    command[0].close()
    text = command[0].text
    assert command[0].process.returncode == 0, text
    assert "computed by another run" in text
    assert "Shared stages: 5 computed, 1 reused." in text
    assert len(list((tmp_path / "cache" / "dynamics").glob("*.json"))) == 1, "one proxy for five rates"
    rows = list(read_rows(tmp_path / "out"))
    assert len(rows) == 5
    used = [use for row in rows for use in row.stages if use.kind == "dynamics"]
    assert {(use.key, use.reused, use.seconds) for use in used} == {(proxy.key, True, made.seconds)}
