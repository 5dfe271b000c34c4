"""Tracking with the wandb package, offline."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.results.export import columns
from bench.results.rows import read_row
from bench.stages.session import Session
from bench.stages.training import Cell
from bench.tracking.trackers import make_trackers
from tests.tracking.runs import report, wandb_records


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


@pytest.mark.integration
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
