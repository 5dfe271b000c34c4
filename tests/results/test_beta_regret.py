from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from bench.errors import BenchError
from bench.results.rows import Row, write_row

MakeRow = Callable[..., Row]


@pytest.fixture(scope="module")
def script(script_of: Callable[[str], ModuleType]) -> ModuleType:
    """The script that makes the figure of results/elfs-beta."""
    return script_of("elfs-beta/beta_regret.py")


@pytest.fixture
def rows(row: MakeRow) -> list[Row]:
    """Fixed betas, whose best is 0.2 on average though 0 wins at seed 1; auto took 0.4 and 0."""
    fixed = {0.0: (60, 70), 0.2: (70, 68), 0.4: (64, 60)}
    made = [row(f"elfs(beta={b})", 0.9, seed, values[seed]) for b, values in fixed.items() for seed in (0, 1)]
    auto = ((0, 64.0, 0.4), (1, 70.0, 0.0))
    made += [row("elfs", 0.9, seed, accuracy, chosen={"beta": beta}) for seed, accuracy, beta in auto]
    return [*made, *(row("random", 0.9, seed, 65.0) for seed in (0, 1))]


def test_regret_is_against_the_beta_that_is_best_on_average(script: ModuleType, rows: list[Row]) -> None:
    [(rate, found)] = script.by_rate(rows).items()
    assert (rate, found.best, found.chosen) == (0.9, 0.2, {0: 0.4, 1: 0.0})
    assert found.regret.mean == pytest.approx((70 - 64 + 68 - 70) / 2)
    [line] = [line for line in script.table({rate: found}).splitlines() if line.startswith("| 90 %")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == [
        "90 %", "65.0 ± 0.0", "0.2: 69.0 ± 1.4", "67.0 ± 4.2", "0.4, 0", "+2.0 ± 5.7", "+2.0 ± 4.2"
    ]  # fmt: skip


def test_files_are_written_from_rows_alone(
    script: ModuleType, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in rows:
        write_row(item, tmp_path)
    monkeypatch.setattr(sys, "argv", ["beta_regret.py", str(tmp_path)])
    script.main()
    assert (tmp_path / "tables" / "beta_regret.png").read_bytes().startswith(b"\x89PNG")
    assert "| 90 % |" in (tmp_path / "tables" / "beta_regret.md").read_text(encoding="utf-8")


def test_figure_shows_every_beta_and_every_choice(script: ModuleType, rows: list[Row]) -> None:
    [panel] = script.figure(script.by_rate(rows), "title").axes
    stars = panel.collections[-1].get_offsets().tolist()
    assert [0.4, 64.0] in stars
    assert [0.0, 70.0] in stars
    assert next(list(line.get_xdata()) for line in panel.lines if len(line.get_xdata()) == 3) == [0.0, 0.2, 0.4]


def test_a_rate_without_automatic_rows_is_refused(script: ModuleType, rows: list[Row]) -> None:
    with pytest.raises(BenchError, match=r"rate 0\.9 lacks rows of elfs with beta=auto"):
        script.by_rate(item for item in rows if item.params.get("beta") != "auto")
