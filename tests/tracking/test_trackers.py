"""Tracking for real: the wandb package offline and TensorBoard's event files, read back with their own readers."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.engine.plan import make_plan
from bench.engine.work import perform
from bench.errors import RunError, SpecError, UnknownName
from bench.grid.spec import load_spec
from bench.results.export import columns, flat
from bench.results.rows import Row, read_row, read_rows
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.tracking.trackers import Tracker, make_trackers, tracked
from bench.tracking.with_tensorboard import TensorBoardTracker

GRID = {
    "datasets": "digits",
    "methods": "random,full",
    "rates": "0.9",
    "pool_size": 300,
    "recipe": {"iterations": 8, "proxy_epochs": 1, "evaluations": 4},
}


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_PROJECT", "WANDB_ENTITY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "no-wandb-settings"))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Cell], Session]:
    """Three cells: two that have rows, and one that fails."""
    folder = tmp_path_factory.mktemp("tracked")
    workspace = Session(out=folder / "out", cache=folder / "cache")
    cells = make_plan(load_spec(given={**GRID, "seeds": 2}), out=workspace.out).cells
    for cell in cells[:2]:
        assert perform(cell, workspace).fault is None
    return cells[:3], workspace


def report(grid: tuple[list[Cell], Session], trackers: Sequence[Tracker]) -> list[str]:
    """Tell trackers of a run of the grid, whose last cell fails; return the warnings."""
    cells, workspace = grid
    warnings: list[str] = []
    with tracked(trackers, cells, workspace.out, warnings.append) as reporter:
        reporter.cells_begin(3, 0)
        for cell in cells[:2]:
            reporter.cell_end(cell, 50.0, 1.0, None)
        reporter.cell_end(cells[2], None, 1.0, "it failed")
    return warnings


def chunks(content: bytes) -> Iterator[bytes]:
    """Records of a ``.wandb`` file: LevelDB's log format (blocks of 32 KiB; CRC, length, type), after 7 bytes."""
    assert content[:4] == b":W&B"
    position, parts = 7, b""
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def wandb_records(out: Path) -> tuple[Path, list[Any]]:
    """The only run below ``out/wandb``, and its records, which ``wandb sync`` would send."""
    from wandb.proto import wandb_internal_pb2

    [file] = (out / "wandb").glob("offline-run-*/run-*.wandb")
    end = time.monotonic() + 300
    while True:
        records = [vars(wandb_internal_pb2)["Record"].FromString(chunk) for chunk in chunks(file.read_bytes())]
        # wandb's own process may still be writing when `finish` has returned.
        if {"run", "exit"} <= {record.WhichOneof("record_type") for record in records} or time.monotonic() > end:
            return file.parent, records
        time.sleep(0.1)


def history(records: Sequence[Any]) -> list[dict[str, Any]]:
    lines = [record.history for record in records if record.WhichOneof("record_type") == "history"]
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in line.item} for line in lines
    ]


@pytest.mark.integration
def test_wandb_offline_holds_the_table_of_rows_and_curves(grid: tuple[list[Cell], Session]) -> None:
    cells, workspace = grid
    warnings = report(grid, make_trackers("wandb", curves=True))
    assert warnings == []
    folder, records = wandb_records(workspace.out)
    [run] = [record.run for record in records if record.WhichOneof("record_type") == "run"][:1]
    assert (run.project, run.display_name) == ("coreset-bench", "out")
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["cells"], config["rates"], config["methods"]) == (3, [0.9, 0.0], ["random", "full"])
    lines = history(records)
    assert [line["cells/done"] for line in lines if "cells/done" in line] == [1, 2, 2]
    assert [line["cells/failed"] for line in lines if "cells/failed" in line] == [0, 0, 1]
    rows = [read_row(workspace.out / "rows" / f"{cell.cell_id}.json") for cell in cells[:2]]
    for row in rows:
        name = f"curves/{row.cell_id.replace('-', '_').replace('.', '_')}"
        assert [(line["iteration"], line[name]) for line in lines if name in line] == row.curve
    [table] = (folder / "files" / "media" / "table").iterdir()
    stored = json.loads(table.read_text())
    names, expected = columns(rows)
    assert stored["columns"] == names
    assert stored["data"] == expected
    assert not list(folder.rglob("requirements.txt"))
    assert not list(folder.rglob("wandb-metadata.json"))


def test_tensorboard_holds_the_table_of_rows_and_curves(grid: tuple[list[Cell], Session]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    cells, workspace = grid
    warnings = report(grid, make_trackers("tensorboard", curves=True))
    assert warnings == []
    folder = workspace.out / "tensorboard"
    whole = EventAccumulator(str(folder)).Reload()
    assert [(event.step, event.value) for event in whole.Scalars("cells/done")] == [(1, 1), (2, 2), (3, 2)]
    assert [event.value for event in whole.Scalars("cells/failed")] == [0, 0, 1]
    for cell in cells[:2]:
        row = read_row(workspace.out / "rows" / f"{cell.cell_id}.json")
        own = EventAccumulator(str(folder / cell.cell_id)).Reload()
        curve = [(event.step, event.value) for event in own.Scalars("test_accuracy")]
        assert curve == [(step, pytest.approx(accuracy)) for step, accuracy in row.curve]
        assert own.Scalars("row/accuracy")[0].value == pytest.approx(row.accuracy)
        content = own.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        start = HParamsPluginData.FromString(content).session_start_info
        shown = {
            name: getattr(value, value.WhichOneof("kind") or "string_value") for name, value in start.hparams.items()
        }
        record = flat(row)
        assert shown == {name: record[name] for name in shown}
        assert {"dataset", "variant", "rate", "seed", "model"} <= set(shown)
    assert not (folder / cells[2].cell_id).exists()


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
        tracked([tracker], cells, workspace.out, lambda line: None),
    ):
        raise KeyboardInterrupt
    assert tracker.called == ["begin", "end"], "what is there is logged all the same"


def test_a_run_that_cannot_start_leaves_no_tracked_run(grid: tuple[list[Cell], Session]) -> None:
    cells, workspace = grid
    tracker = Raising("nowhere")
    with pytest.raises(RunError), tracked([tracker], cells, workspace.out, lambda line: None):
        raise RunError("Ray could not start.")
    assert tracker.called == []
    with tracked([tracker], cells, workspace.out, lambda line: None):
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


def test_wandb_without_its_server_stops_tracking_alone(
    grid: tuple[list[Cell], Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.tracking.with_wandb._CONNECT", 2.0)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    workspace = grid[1].model_copy(update={"out": tmp_path})
    warnings = report((grid[0], workspace), make_trackers("wandb", mode="online"))
    [line] = warnings
    assert line.startswith("Tracking with wandb stopped: ")


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


@pytest.mark.integration
def test_a_run_that_needs_wandb_says_so_before_anything_starts(tmp_path: Path) -> None:
    # None in sys.modules is how Python itself marks a module that cannot be imported.
    code = "import sys; sys.modules['wandb'] = None; from bench.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "run",
        "--methods",
        "random",
        "--track",
        "wandb",
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 2, done.stderr
    assert "--track wandb needs the package wandb: pip install -e '.[wandb]'" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_an_unknown_tracker_stops_before_anything_starts(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["run", "--methods", "random", "--track", "tensorbord", "--out", str(tmp_path / "out")]
    )
    assert isinstance(done.exception, UnknownName)
    assert not (tmp_path / "out").exists()
