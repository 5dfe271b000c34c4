"""The lines of a block: their order, their holes, and which of them is best."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.results.block import Block, Line
from bench.results.rows import Row
from bench.results.tables import blocks

Make = Callable[..., Row]
Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]


def line_of(block: Block, label: str) -> Line:
    return next(line for line in block.lines if line.label == label)


def test_lines_are_grouped_by_supervision_with_full_apart(grid: Grid) -> None:
    names = ("aum", "badge", "elfs", "prototypicality", "random")
    [block] = blocks(grid({**{name: [1.0, 1.0] for name in names}, "full": [97.0]}, RATES))
    assert [line.label for line in block.lines] == ["random", "prototypicality", "elfs", "badge", "aum"]
    assert block.rates == (0.5, 0.9)
    assert block.full is not None
    assert block.means_of(block.full)[0].mean == pytest.approx(97.0)


def test_a_missing_cell_stays_missing_and_ends_the_average(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "aum": [91.0, 60.0]}, RATES)
    rows = [row for row in rows if (row.method, row.rate) != ("aum", 0.9)]
    [block] = blocks(rows)
    assert block.averages["mean"].to_dict() == pytest.approx({"random": 85.0})
    assert block.means_of(line_of(block, "aum"))[1].n == 0


def test_fewer_seeds_are_incomplete_and_cannot_be_best(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "prototypicality": [99.0, 79.0], "elfs": [91.0, 78.0]}, RATES)
    rows = [row for row in rows if (row.method, row.rate, row.seed) != ("prototypicality", 0.5, 2)]
    [block] = blocks(rows)
    cell = block.means_of(line_of(block, "prototypicality"))[0]
    assert (cell.seeds, cell.complete, cell.best) == ([0, 1], False, False)
    assert "prototypicality" not in block.averages.index
    assert [block.means_of(line)[0].best for line in block.lines] == [False, False, True]


def test_extra_seeds_of_full_do_not_make_the_others_incomplete(grid: Grid) -> None:
    [block] = blocks([*grid({"full": [97.0]}, [], seeds=5), *grid({"random": [90.0, 80.0]}, RATES, seeds=2)])
    assert block.seeds == (0, 1)
    assert all(cell.complete for cell in block.means_of(block.lines[0]))


def test_other_seeds_are_incomplete_though_they_are_as_many(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "elfs": [91.0, 82.0]}, RATES, seeds=2)
    late = [row.model_copy(update={"seed": row.seed + 5}) for row in grid({"prototypicality": [99.0, 99.0]}, RATES, 2)]
    [block] = blocks([*late, *rows])
    assert block.seeds == (0, 1)
    means = block.means_of(line_of(block, "prototypicality"))
    assert [(one.seeds, one.complete, one.best) for one in means] == [([5, 6], False, False)] * 2
    assert "prototypicality" not in block.averages.index
    assert [one.best for one in block.means_of(line_of(block, "elfs"))] == [True, True]


def test_seeds_are_those_of_most_cells_that_have_most_and_holes_do_not_count(grid: Grid) -> None:
    rows = grid({"random": [90.0, 80.0], "elfs": [91.0, 82.0], "aum": [1.0, 1.0]}, RATES)
    rows = [row for row in rows if (row.method, row.seed) not in (("random", 0), ("aum", 1))]
    rows += [row.model_copy(update={"seed": row.seed + 4}) for row in grid({"ccs": [9.0]}, [0.5])]
    [block] = blocks(rows)
    assert block.seeds == (0, 1, 2)
    assert [line.label for line in block.lines if all(one.complete for one in block.means_of(line))] == ["elfs"]


def test_best_is_marked_with_and_without_labels_apart_ties_at_the_shown_decimals_included(grid: Grid) -> None:
    means = {"random": [90.0, 80.0], "elfs": [90.04, 82.0], "aum": [95.0, 60.0], "ccs": [94.0, 70.0]}
    [block] = blocks(grid(means, RATES))
    best = {line.label: tuple(cell.best for cell in block.means_of(line)) for line in block.lines}
    assert best == {"random": (True, False), "elfs": (True, True), "aum": (True, False), "ccs": (False, True)}
    assert set(block.averages.query("best").index) == {"elfs", "ccs"}


def test_labels_of_the_coreset_are_labels_when_the_best_are_marked(grid: Grid) -> None:
    means = {"random": [90.0, 80.0], "elfs": [91.0, 79.0], "badge": [93.0, 85.0], "aum": [92.0, 86.0]}
    [block] = blocks(grid(means, RATES))
    best = {line.label: tuple(cell.best for cell in block.means_of(line)) for line in block.lines}
    assert best == {"random": (False, True), "elfs": (True, False), "badge": (True, False), "aum": (False, True)}


def test_a_lone_method_with_or_without_labels_is_not_marked_best(grid: Grid) -> None:
    [block] = blocks(grid({"random": [90.0, 80.0], "aum": [91.0, 60.0]}, RATES))
    assert not any(cell.best for line in block.lines for cell in block.means_of(line))


def test_labels_name_the_variant_only_where_a_method_has_several(grid: Grid) -> None:
    means = {"ccs(beta=0.1)": [90.0, 80.0], "ccs(beta=0.3)": [89.0, 81.0], "elfs(heads=10)": [88.0, 79.0]}
    [block] = blocks(grid(means, RATES))
    assert [line.label for line in block.lines] == ["elfs", "ccs(beta=0.1)", "ccs(beta=0.3)"]


def test_metric_best_shows_the_best_accuracy(row: Make) -> None:
    rows = [row("random", 0.5, 0, 80.0, best_accuracy=83.0)]
    made = [block for metric in ("last", "best") for block in blocks(rows, metric=metric)]
    assert [block.means["mean"].tolist() for block in made] == [[80.0], [83.0]]
