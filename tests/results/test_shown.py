"""``--methods``: which methods, in which order, under which names; and what an interrupted grid lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import bench
from bench.cli import app
from bench.errors import BenchError, SpecError, UnknownName
from bench.results.accuracy_table import accuracy_table
from bench.results.comparison import contests, find_baseline
from bench.results.planned import read_planned
from bench.results.rows import Row, write_row
from bench.results.shown import Shown
from bench.results.tables import blocks
from tests.row_fixtures import TWO_BETAS

Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]
MEANS = TWO_BETAS


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ("aum,random", ["aum", "random"]),
        ("random=Random,elfs(beta=0.2)=ELFS (ours),aum=AUM", ["Random", "ELFS (ours)", "AUM"]),
        ("elfs,aum", ["elfs(beta=0.1)", "elfs(beta=0.2)", "aum"]),
        (["elfs( beta = 0.2 )"], ["elfs"]),
        ({"aum": "AUM", "random": "chance"}, ["AUM", "chance"]),
    ],
)
def test_lines_are_the_chosen_ones_in_their_order(
    grid: Grid, given: dict[str, str] | list[str] | str, labels: list[str]
) -> None:
    [block] = blocks(grid(MEANS, RATES), shown=Shown(given))
    assert [line.label for line in block.lines] == labels
    assert block.full is None
    assert f"Methods: {len(labels)} of the 5 in these rows, compared among themselves" in accuracy_table(block).notes


def test_the_best_and_the_adjusted_are_among_the_chosen(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES), shown=Shown("random,elfs(beta=0.1)"), keep="random")
    assert [block.means_of(line)[1].best for line in block.lines] == [False, True]
    rows = [row.model_copy(update={"accuracy": row.accuracy + row.seed % 2}) for row in grid(MEANS, RATES)]
    [pair] = blocks(rows, shown=Shown("aum,elfs(beta=0.1)=ELFS"), keep="random")
    made = contests(pair, find_baseline([pair], "random")[0])
    assert made["label"].tolist() == ["aum", "ELFS", "random"] * 3, "the baseline stays, at the end"
    assert find_baseline([pair], "ELFS") == [pair.lines[1]]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("rnadom", UnknownName, "'rnadom'. Did you mean random"),
        ("elfs(beta=0.3)", UnknownName, r"'elfs\(beta=0.3\)'"),
        ("elfs=ELFS", SpecError, r"calls elfs\(beta=0.1\) and elfs\(beta=0.2\) 'ELFS' alike"),
        ("aum,aum=A", SpecError, "aum is given twice"),
        ("random,=X", SpecError, "cannot read '=X'; write METHOD or METHOD=NAME"),
        ("random,", SpecError, "a comma too many"),
        ("", SpecError, "no method was named"),
    ],
)
def test_what_cannot_be_shown_is_refused(grid: Grid, given: str, error: type[BenchError], message: str) -> None:
    with pytest.raises(error, match=message):
        blocks(grid(MEANS, RATES), shown=Shown(given))


@pytest.mark.parametrize("command", ["table", "compare", "leaderboard"])
def test_every_command_takes_methods_and_digits(grid: Grid, tmp_path: Path, command: str) -> None:
    for row in grid(MEANS, RATES):
        write_row(row, tmp_path)
    options = ["--methods", "random=Chance,aum", "--digits", "3", *["--no-overlap"] * (command == "compare")]
    done = CliRunner().invoke(app, [command, str(tmp_path), *options])
    assert done.exit_code == 0, done.output
    assert "Chance" in done.output
    assert "elfs" not in done.output
    assert "80.000" in done.output or "85.000" in done.output


def test_python_takes_methods_too(grid: Grid, tmp_path: Path) -> None:
    for row in grid(MEANS, RATES):
        write_row(row, tmp_path)
    frame = bench.load_rows(tmp_path)
    table = bench.table(frame, methods={"aum": "AUM", "random": "Random"}, digits=0)
    assert [name for *_, name in table.index] == ["AUM", "Random"]
    assert "| AUM | **92" not in table.to_markdown(), "a lone value of its kind is no winner"
    assert "92 ± 0" in table.to_markdown()
    assert r"\label{tab:a}" in table.to_latex(label="tab:a", notes="comments")
    assert set(bench.compare(frame, methods="aum").method) == {"aum", "random"}


def test_equal_in_the_digits_shown_is_equally_good(grid: Grid) -> None:
    rows = grid({"random": [90.01], "prototypicality": [90.04]}, [0.5])
    marks = [blocks(rows, digits=digits)[0].means["best"].tolist() for digits in (1, 2)]
    assert marks == [[True, True], [False, True]]


def test_a_run_says_what_it_was_asked_for(tmp_path: Path) -> None:
    grid: dict[str, Any] = {"methods": "random", "datasets": "digits", "rates": [0.9], "pool_size": 100, "quiet": True}
    recipe = {"iterations": 2, "evaluations": 1}
    for seeds in (1, [4]):
        bench.run(**grid, seeds=seeds, recipe=recipe, out=tmp_path / "out", cache_dir=tmp_path / "cache")
    assert [place.seed for place in read_planned([tmp_path / "out"])] == [0, 4]
    next((tmp_path / "out" / "rows").glob("*-s4-*")).unlink()
    done = CliRunner().invoke(app, ["table", str(tmp_path / "out")])
    assert "1 of 2 cells has a row; missing: random: seed 4 at 90 %" in done.output
