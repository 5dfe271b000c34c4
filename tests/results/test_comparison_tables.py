"""Tables of a comparison say how few seeds there were and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.results.comparison import contests, find_baseline, method_agreements
from bench.results.comparison_tables import contest_table, overlap_tables
from bench.results.rows import Row
from bench.results.tables import blocks
from tests.results.coresets import MEANS, RATES, put

Grid = Callable[..., list[Row]]


def test_scores_that_are_the_same_at_all_rates_are_shown_once(grid: Grid, tmp_path: Path) -> None:
    [block] = blocks(put(grid(MEANS, RATES), tmp_path))
    tables = overlap_tables(block, method_agreements(block, [tmp_path]))
    titles = [table.title.partition("model small_cnn, ")[2] for table in tables]
    assert titles == [
        "50 % removed: overlap of coresets",
        "90 % removed: overlap of coresets",
        "50 %, 90 % removed: agreement of scores",
    ]


def test_one_method_at_one_seed_agrees_with_nothing(grid: Grid, tmp_path: Path) -> None:
    rows = [row for row in put(grid(MEANS, RATES), tmp_path) if row.method == "aum" and row.seed == 0]
    [block] = blocks(rows)
    assert overlap_tables(block, method_agreements(block, [tmp_path])) == []


def test_few_seeds_and_chosen_parameters_are_said(grid: Grid) -> None:
    rows = [
        r.model_copy(update={"chosen": {"beta": 0.1 * r.seed}}) if r.method == "elfs" else r for r in grid(MEANS, RATES)
    ]
    [block] = blocks(rows)
    [line] = find_baseline([block], "random")
    notes = contest_table(block, line, contests(block, line)).notes
    assert "elfs chose beta, by seed: 0, 0.1, 0.2 at 50 %; 0, 0.1, 0.2 at 90 %" in notes
    assert not any("took" in note for note in notes)
    assert any("with 3 pairs no test without assumptions gives p below 0.25" in note for note in notes)
    [block] = blocks([row for row in rows if row.method != "aum" or row.seed == 0])
    [line] = find_baseline([block], "random")
    notes = contest_table(block, line, contests(block, line)).notes
    assert any("with 3 pairs no test" in note for note in notes), "the method with one pair has no p"


def test_a_missing_seed_is_shown_beside_the_numbers_it_touches(grid: Callable[..., list[Row]]) -> None:
    rows = [row for row in grid({"random": [90.0], "ccs": [91.0]}, [0.5]) if (row.method, row.seed) != ("ccs", 2)]
    [block] = blocks(rows, digits=2)
    [baseline] = find_baseline([block], "random")
    table = contest_table(block, baseline, contests(block, baseline))
    texts = {line[0].text: [field.text for field in line] for section in table.sections for line in section.lines}
    assert texts["random"][1] == "90.00"
    assert texts["ccs"][1].endswith("(n=2)")
    assert texts["ccs"][2].endswith("(n=2)")
