"""``bench leaderboard``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from bench.cli import app
from bench.results.rows import Row

Grid = Callable[..., list[Row]]


def test_leaderboard_writes_the_same_bytes_again(two_methods: Path, tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        done = CliRunner().invoke(app, ["leaderboard", str(two_methods), "--out", str(tmp_path / "results")])
        assert done.exit_code == 0, done.output
        written.append({path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()})
    assert written[0].keys() == {"leaderboard.md", "leaderboard.csv", "leaderboard.tex"}
    assert written[0] == written[1]
