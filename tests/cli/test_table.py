from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import RowError
from bench.recipe import Recipe
from bench.results.rows import Row, write_row

Grid = Callable[..., list[Row]]


def test_table_prints_and_writes_three_files(two_methods: Path) -> None:
    done = CliRunner().invoke(app, ["table", str(two_methods)])
    assert done.exit_code == 0, done.output
    assert "95.0 ± 0.5" in done.output
    assert "\x1b" not in done.output
    assert "Bold" not in done.output
    assert sorted(path.name for path in (two_methods / "tables").iterdir()) == [
        "accuracy.csv",
        "accuracy.md",
        "accuracy.tex",
    ]
    assert "95.0 ± 0.5" in (two_methods / "tables" / "accuracy.md").read_text(encoding="utf-8")


def test_metric_best_leaves_the_other_table_alone(two_methods: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["table", str(two_methods), "--metric", "best", "--compare", "paper", "--out", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert "Reported numbers: none" in done.output
    assert (tmp_path / "accuracy-best.md").exists()
    assert not (two_methods / "tables").exists()


def test_the_metric_with_mirror_images_has_a_table_of_its_own(tmp_path: Path, grid: Grid) -> None:
    recipe = Recipe(test_flip=True)
    for row in grid({"random": [90.0]}, [0.3], 2, recipe=recipe, flipped_accuracy=92.5):
        write_row(row, tmp_path)
    done = CliRunner().invoke(app, ["table", str(tmp_path), "--metric", "flipped"])
    assert done.exit_code == 0, done.output
    assert "92.5" in done.output
    assert "mirror image" in done.output
    assert (tmp_path / "tables" / "accuracy-flipped.md").exists()


def test_rows_without_mirror_images_say_how_to_get_them(two_methods: Path) -> None:
    done = CliRunner().invoke(app, ["table", str(two_methods), "--metric", "flipped"])
    assert isinstance(done.exception, RowError)
    assert "--recipe test_flip=true" in str(done.exception)
    assert not (two_methods / "tables").exists()


def test_refused_rows_write_nothing(two_methods: Path, grid: Grid) -> None:
    write_row(grid({"random": [1.0]}, [0.3], 1, protocol=2, cell_id="other")[0], two_methods)
    done = CliRunner().invoke(app, ["table", str(two_methods)])
    assert isinstance(done.exception, RowError)
    assert not (two_methods / "tables").exists()


@pytest.mark.integration
def test_importing_the_tables_imports_no_heavy_package() -> None:
    code = (
        "import sys, bench.cli\n"
        "from bench.results import comparison, comparison_tables, tables, accuracy_table\n"
        "from bench.results import facts, leaderboard, reported, stats\n"
        "print(sorted({'torch', 'torchvision', 'ray', 'pandas', 'scipy', 'sklearn', 'faiss'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
