"""``bench leaderboard``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.results.rows import Row, write_row

Grid = Callable[..., list[Row]]
RATES = [0.3, 0.5, 0.7, 0.8, 0.9]
MEANS = {"random": [94.0, 93.0, 91.0, 88.0, 79.0], "elfs(heads=10)": [95.0, 94.0, 93.0, 90.0, 87.0]}


@pytest.fixture
def folder(tmp_path: Path, grid: Grid) -> Path:
    for row in grid(MEANS, RATES):
        write_row(row, tmp_path / "run")
    return tmp_path / "run"


def test_leaderboard_writes_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        done = CliRunner().invoke(app, ["leaderboard", str(folder), "--out", str(tmp_path / "results")])
        assert done.exit_code == 0, done.output
        written.append({path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()})
    assert written[0].keys() == {"leaderboard.md", "leaderboard.csv", "leaderboard.tex"}
    assert written[0] == written[1]
