from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from bench.cli._screen import show
from bench.cli.leaderboard import leaderboard
from bench.cli.table import table
from bench.errors import RowError
from bench.results.accuracy_table import accuracy_table
from bench.results.rows import Row, write_row
from bench.results.tables import blocks

Grid = Callable[..., list[Row]]
RATES = [0.3, 0.5, 0.7, 0.8, 0.9]
MEANS = {"random": [94.0, 93.0, 91.0, 88.0, 79.0], "elfs(heads=10)": [95.0, 94.0, 93.0, 90.0, 87.0]}

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(table)
app.command()(leaderboard)


@pytest.fixture
def folder(tmp_path: Path, grid: Grid) -> Path:
    for row in grid(MEANS, RATES):
        write_row(row, tmp_path / "run")
    return tmp_path / "run"


def test_table_prints_and_writes_three_files(folder: Path) -> None:
    done = CliRunner().invoke(app, ["table", str(folder)])
    assert done.exit_code == 0, done.output
    assert "95.0 ± 0.5" in done.output
    assert "\x1b" not in done.output
    assert "Bold" not in done.output
    assert sorted(path.name for path in (folder / "tables").iterdir()) == [
        "accuracy.csv",
        "accuracy.md",
        "accuracy.tex",
    ]
    assert "95.0 ± 0.5" in (folder / "tables" / "accuracy.md").read_text(encoding="utf-8")


def test_metric_best_leaves_the_other_table_alone(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["table", str(folder), "--metric", "best", "--compare", "paper", "--out", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert "Reported numbers: none" in done.output
    assert (tmp_path / "best_accuracy.md").exists()
    assert not (folder / "tables").exists()


def test_leaderboard_writes_the_same_bytes_again(folder: Path, tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        done = CliRunner().invoke(app, ["leaderboard", str(folder), "--out", str(tmp_path / "results")])
        assert done.exit_code == 0, done.output
        written.append({path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()})
    assert written[0].keys() == {"leaderboard.md", "leaderboard.csv", "leaderboard.tex"}
    assert written[0] == written[1]


def test_refused_rows_write_nothing(folder: Path, grid: Grid) -> None:
    write_row(grid({"random": [1.0]}, [0.3], 1, protocol=2, cell_id="other")[0], folder)
    done = CliRunner().invoke(app, ["table", str(folder)])
    assert isinstance(done.exception, RowError)
    assert not (folder / "tables").exists()


@pytest.mark.parametrize(("width", "shown"), [(140, "95.0 ± 0.5"), (76, "95.0±0.5"), (50, "±0.5")])
def test_no_number_is_cut_on_a_terminal(grid: Grid, width: int, shown: str) -> None:
    out = io.StringIO()
    [block] = blocks(grid(MEANS, RATES))
    assert any(note.startswith("Bold") for note in accuracy_table(block).notes)
    show(accuracy_table(block), Console(file=out, width=width, force_terminal=True, no_color=True, highlight=False))
    printed = out.getvalue()
    assert shown in printed
    assert "91.8" in printed
    assert all(f"{mean:.1f}" in printed for column in MEANS.values() for mean in column)


def test_a_block_of_full_alone_is_shown(grid: Grid) -> None:
    out = io.StringIO()
    [block] = blocks(grid({"full": [97.0]}, []))
    show(accuracy_table(block), Console(file=out, width=80))
    assert "full data (0 % removed): 97.0 ± 0.5" in out.getvalue()


def test_importing_the_tables_imports_no_heavy_package() -> None:
    code = (
        "import sys, bench.cli\n"
        "from bench.results import comparison, comparison_tables, tables, accuracy_table\n"
        "from bench.results import facts, leaderboard, reported, stats\n"
        "print(sorted({'torch', 'torchvision', 'ray', 'pandas', 'scipy', 'sklearn', 'faiss'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
