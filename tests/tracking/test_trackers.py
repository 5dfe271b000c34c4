"""Trackers of a run: when they are told what, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import RunError, SpecError, UnknownName
from bench.results.rows import Row, read_rows
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.tracking.trackers import TrackingReporter, make_trackers
from bench.tracking.with_tensorboard import TensorBoardTracker
from tests.tracking.runs import report, wandb_records


class Raising:
    """A tracker that raises in one of its methods."""

    name = "raising"

    def __init__(self, where: str) -> None:
        self._where = where
        self.called: list[str] = []

    def begin(self, out: Path, grid: Mapping[str, Any]) -> None:
        self._called("begin")

    def cell_end(self, row: Row | None, counts: Mapping[str, int]) -> None:
        self._called("cell_end")

    def end(self, rows: Sequence[Row]) -> None:
        self._called("end")

    def _called(self, name: str) -> None:
        self.called.append(name)
        if name == self._where:
            raise RuntimeError("the logger\nbroke.")


@pytest.mark.parametrize(
    ("where", "calls"), [("begin", 1), ("cell_end", 2), ("end", 5), ("nowhere", 5)], ids=lambda value: str(value)
)
def test_a_tracker_that_raises_is_named_once_and_left_out(
    grid: tuple[list[Cell], Session], where: str, calls: int
) -> None:
    broken, healthy = Raising(where), Raising("nowhere")
    warnings = report(grid, [broken, healthy])
    line = "Tracking with raising stopped: the logger broke. The run continues without it."
    assert warnings == ([] if where == "nowhere" else [line])
    assert len(broken.called) == calls
    assert healthy.called == ["begin", "cell_end", "cell_end", "cell_end", "end"]


def test_an_interrupt_of_the_user_is_not_swallowed(grid: tuple[list[Cell], Session]) -> None:
    cells, workspace = grid
    tracker = Raising("nowhere")
    with (
        pytest.raises(KeyboardInterrupt),
        TrackingReporter([tracker], cells, workspace.out, lambda line: None),
    ):
        raise KeyboardInterrupt
    assert tracker.called == ["begin", "end"], "what is there is logged all the same"


def test_a_run_that_cannot_start_leaves_no_tracked_run(grid: tuple[list[Cell], Session]) -> None:
    cells, workspace = grid
    tracker = Raising("nowhere")
    with pytest.raises(RunError), TrackingReporter([tracker], cells, workspace.out, lambda line: None):
        raise RunError("Ray could not start.")
    assert tracker.called == []
    with TrackingReporter([tracker], cells, workspace.out, lambda line: None):
        pass  # every cell has its row already
    assert tracker.called == ["begin", "end"]


@pytest.mark.parametrize("name", ["wandb", "tensorboard"])
def test_a_folder_that_cannot_be_written_stops_tracking_alone(tmp_path: Path, name: str, grid: Any) -> None:
    workspace = grid[1].model_copy(update={"out": tmp_path})
    (tmp_path / name).write_text("a file where the folder would be")
    warnings = report((grid[0], workspace), make_trackers(name))
    [line] = warnings
    assert line.startswith(f"Tracking with {name} stopped: ")
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_names_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_trackers(None) == []
    assert [tracker.name for tracker in make_trackers("tensorboard,tensorboard")] == ["tensorboard"]
    with pytest.raises(UnknownName, match=r"unknown tracker 'wandbb'\. Did you mean wandb"):
        make_trackers("wandbb")
    monkeypatch.setattr("bench.tracking.trackers.find_spec", lambda name: None)
    with pytest.raises(SpecError, match="--track tensorboard needs the package tensorboardX: pip install tensorboardX"):
        make_trackers("tensorboard")
    with pytest.raises(SpecError, match=r"--track wandb needs the package wandb: pip install -e '\.\[wandb\]' in a"):
        make_trackers("wandb")


@pytest.mark.usefixtures("ray_session")
def test_bench_run_tracks_and_survives_a_tracker_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, row: Row | None, counts: Mapping[str, int]) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(TensorBoardTracker, "cell_end", refuse)
    recipe = "iterations=4,proxy_epochs=1,evaluations=1"
    options = ["--methods", "random", "--rates", "0.9", "--pool-size", "100", "--recipe", recipe, "--device", "cpu"]
    places = ["--out", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")]
    done = CliRunner().invoke(app, ["run", *options, *places, "--track", "wandb,tensorboard"])
    assert done.exit_code == 0, done.output
    assert done.output.count("Tracking with tensorboard stopped: disk full. The run continues without it.") == 1
    [row] = read_rows(tmp_path / "out")
    folder, _ = wandb_records(tmp_path / "out")
    [table] = (folder / "files" / "media" / "table").iterdir()
    assert row.cell_id in table.read_text()


def test_an_unknown_tracker_stops_before_anything_starts(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["run", "--methods", "random", "--track", "tensorbord", "--out", str(tmp_path / "out")]
    )
    assert isinstance(done.exception, UnknownName)
    assert not (tmp_path / "out").exists()
