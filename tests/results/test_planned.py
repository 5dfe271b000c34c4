"""What a run was asked for, and what of it is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import BenchError
from bench.results.planned import NAME, GridPoint, Planned, grid_point, missing_words, read_planned, write_planned
from bench.results.rows import Row, write_row
from tests.grid_fixtures import expanded
from tests.row_fixtures import TWO_BETAS

Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]
MEANS = TWO_BETAS


def plan(rows: list[Row], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_text(Planned(cells=tuple(map(grid_point, rows))).model_dump_json())


@pytest.mark.integration
def test_runs_that_begin_at_the_same_moment_lose_no_planned_cell(tmp_path: Path) -> None:
    cells = expanded(methods="random", datasets="digits", seeds="40", rates="0.9")
    with ThreadPoolExecutor(8) as runs:
        list(runs.map(lambda cell: write_planned(tmp_path / "out", [cell]), cells))
    assert {point.seed for point in read_planned([tmp_path / "out"])} == set(range(40))


def test_the_table_of_an_interrupted_grid_says_what_is_missing(grid: Grid, tmp_path: Path) -> None:
    rows = grid(MEANS, RATES)
    plan([*rows, *grid({"random": [50.0]}, [0.5], dataset="mnist5k")], tmp_path)
    there = [row for row in rows if row.method in ("full", "random") and (row.rate, row.seed) != (0.9, 1)]
    there += [row for row in rows if row.variant == "elfs(beta=0.1)" and row.rate == 0.5]
    for row in there:
        write_row(row, tmp_path)
    done = CliRunner().invoke(app, ["table", str(tmp_path)])
    assert done.exit_code == 0, done.output
    parts = ["aum: all", "elfs(beta=0.1): seeds 0, 1, 2 at 90 %", "elfs(beta=0.2): all", "random: seed 1 at 90 %"]
    assert sorted(done.output.partition("missing: ")[2].splitlines()[0].split("; ")) == parts
    assert "Incomplete: 11 of 27 cells have a row" in done.output
    assert "Incomplete: 11 of 30 cells have a row" in done.output, "a data set without any row has no table"
    assert "Incomplete" in (tmp_path / "tables" / "accuracy.md").read_text()
    document = json.loads(CliRunner().invoke(app, ["table", str(tmp_path), "--json"]).output)
    assert len(document["missing"]) == 19
    assert GridPoint("mnist5k", "random", "-", "small_cnn", 0.5, 2)._asdict() in document["missing"]
    of_random = CliRunner().invoke(app, ["table", str(tmp_path), "--methods", "random"])
    assert "5 of 6 cells have a row; missing: random: seed 1 at 90 %" in of_random.output


def test_a_finished_grid_and_a_folder_without_a_plan_miss_nothing(grid: Grid, tmp_path: Path) -> None:
    rows = grid(MEANS, RATES)
    assert read_planned([tmp_path]) == ()
    plan(rows, tmp_path)
    assert missing_words(read_planned([tmp_path]), set(map(grid_point, rows))) == ""
    whole = (tmp_path / NAME).read_text()
    for text in ("{", whole.replace("random", "ran\\u001b[2Jdom"), whole.replace("random", "ran\\u202edom")):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(BenchError, match=r"planned.json cannot be read; delete it"):
            read_planned([tmp_path])


def test_an_enlarged_grid_keeps_its_places(row: Callable[..., Row]) -> None:
    short, long = "ccs(beta={0.5: 0.0})", "ccs(beta={0.5: 0.0, 0.9: 0.3})"
    planned = [grid_point(row(short, 0.5)), GridPoint(*grid_point(row(long, 0.9)))]
    assert missing_words(planned, {grid_point(row(long, rate)) for rate in (0.5, 0.9)}) == ""
