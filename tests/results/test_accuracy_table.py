from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest

from bench.recipe import Recipe
from bench.results.accuracy_table import accuracy_table, table_records
from bench.results.rendering import MISSING, latex, markdown, to_csv
from bench.results.rows import Row
from bench.results.tables import blocks

Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]
MEANS = {"full": [97.0], "random": [90.0, 80.0], "elfs(beta=0.4)": [91.0, 82.0], "aum": [92.0, 60.0]}
PAPER = {"dataset": "cifar10", "pool_size": 50_000, "model": "resnet18", "recipe": Recipe()}


def test_layout(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES))
    made = accuracy_table(block)
    assert made.columns == ("method", "50 %", "90 %", "Avg")
    assert made.lead == "full data (0 % removed): 97.0 ± 0.5"
    assert [section.heading for section in made.sections] == ["no labels", "pseudo-labels", "labels"]
    assert [field.text for field in made.sections[1].lines[0]] == ["elfs", "91.0 ± 0.5", "82.0 ± 0.5", "86.5"]
    assert "elfs: beta=0.4" in made.notes


def test_labels_of_the_coreset_only_have_a_section_between(grid: Grid) -> None:
    [block] = blocks(grid({**MEANS, "badge": [91.5, 83.0]}, RATES))
    headings = [section.heading for section in accuracy_table(block).sections]
    assert headings == ["no labels", "pseudo-labels", "labels of the coreset only", "labels"]


def test_holes_and_unequal_seeds_are_shown(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES) if (row.method, row.rate) != ("aum", 0.9)]
    rows = [row for row in rows if (row.method, row.rate, row.seed) != ("random", 0.5, 2)]
    [block] = blocks(rows)
    sections = accuracy_table(block).sections
    texts = {line[0].text: [field.text for field in line[1:]] for part in sections for line in part.lines}
    assert texts["aum"] == ["92.0 ± 0.5", MISSING, MISSING]
    assert texts["random"] == ["89.8 ± 0.4 (n=2)", "80.0 ± 0.5", MISSING]
    assert texts["elfs"][-1] == "86.5"
    assert "n = 3 where no n is shown" in accuracy_table(block).notes[0]
    assert f"{MISSING}: missing, no row" in accuracy_table(block).notes


def test_no_average_where_every_method_has_a_hole_or_one_rate(grid: Grid) -> None:
    [hole] = blocks([row for row in grid({"random": [90.0, 80.0]}, RATES) if (row.rate, row.seed) != (0.9, 0)])
    [single] = blocks(grid({"random": [90.0]}, [0.5]))
    assert "Avg" not in accuracy_table(hole).columns
    assert "Avg" not in accuracy_table(single).columns


def test_one_seed_shows_no_std(grid: Grid) -> None:
    [block] = blocks(grid({"random": [90.0, 80.0]}, RATES, seeds=1))
    assert [field.text for field in accuracy_table(block).sections[0].lines[0]] == ["random", "90.0", "80.0", "85.0"]
    assert "one seed per cell (0), so no std" in accuracy_table(block).notes[0]


def test_metric_best_is_named(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES), metric="best")
    assert accuracy_table(block).notes[0].startswith("Accuracy: best test accuracy seen during training")
    assert accuracy_table(block).sections[0].lines[0][1].text == "90.8 ± 0.5"


def test_reported_numbers_stand_below_ours(grid: Grid) -> None:
    [block] = blocks(grid(MEANS, RATES, **PAPER), compare=True)
    made = accuracy_table(block)
    assert [field.text for field in made.sections[1].lines[1]] == ["reported (ELFS)", "94.9 (-3.9)", "86.9 (-4.9)", ""]
    # The 90 % point of AUM lies below the figure: extrapolated, so marked.
    assert made.sections[2].lines[1][2].text.startswith("28.0* (+32.0)")
    assert made.lead.endswith("reported (ELFS): 95.5 (+1.5)")
    text = " ".join(made.notes)
    assert "The papers report the best test accuracy seen during training; ours is last-iteration" in text
    assert "ELFS (arXiv 2406.04273, ICLR 2025): full, random, elfs (figure-digitised)" in text
    assert "worse where marked *" in text
    assert "README commands use DINO ViT-B/16); ours: pixels" in text


def test_a_difference_that_rounds_to_zero_has_no_minus(grid: Grid) -> None:
    [block] = blocks(grid({"elfs": [94.84, 86.9]}, RATES, **PAPER), compare=True)
    texts = [field.text for field in accuracy_table(block).sections[0].lines[1]]
    assert texts[1:3] == ["94.9 (+0.0)", "86.9 (+0.0)"]


def test_csv_holds_numbers_with_holes_as_holes(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES, **PAPER) if (row.method, row.rate) != ("aum", 0.9)]
    records = list(csv.DictReader(io.StringIO(to_csv(table_records(blocks(rows, compare=True))))))
    assert len(records) == 1 + 3 * 2
    found = {(record["method"], record["rate"]): record for record in records}
    elfs, hole = found["elfs", "0.9"], found["aum", "0.9"]
    assert (float(elfs["mean"]), float(elfs["std"]), elfs["n"], elfs["seeds"]) == (82.0, 0.5, "3", "0 1 2")
    assert float(elfs["difference"]) == pytest.approx(82.0 - float(elfs["reported"]))
    assert float(elfs["ci_low"]) < 82.0 < float(elfs["ci_high"])
    assert elfs["reported_kind"] == "figure-digitised"
    assert (hole["n"], hole["mean"], hole["complete"], hole["difference"]) == ("0", "", "0", "")


def test_renderings_do_not_depend_on_the_order_of_the_rows(grid: Grid) -> None:
    rows = grid(MEANS, RATES, **PAPER)

    def render(given: list[Row]) -> tuple[str, str, str]:
        made = blocks(given, compare=True)
        tables = [accuracy_table(block) for block in made]
        return markdown(tables), latex(tables), to_csv(table_records(made))

    assert render(rows) == render(rows[::-1])
