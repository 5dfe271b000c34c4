from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest

from bench.errors import RowError
from bench.leaderboard import leaderboard_csv, leaderboard_sheet, standings
from bench.rows import Row
from bench.sheets import latex, markdown
from bench.tables import blocks

Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]
MEANS = {"full": [97.0], "random": [90.0, 80.0], "elfs": [91.0, 82.0], "aum": [92.0, 60.0], "ccs": [88.0, 81.0]}


def test_methods_are_ranked_by_mean_rank(grid: Grid) -> None:
    table = standings(blocks(grid(MEANS, RATES)))
    assert [(entry.label, entry.mean_rank, entry.wins) for entry in table] == [
        ("elfs", 1.5, 1),
        ("aum", 2.5, 1),
        ("random", 3.0, 0),
        ("ccs", 3.0, 0),
    ]
    assert [entry.mean_accuracy for entry in table] == pytest.approx([86.5, 76.0, 85.0, 84.5])


def test_a_method_with_a_hole_is_listed_and_takes_no_part_in_the_ranks(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES) if (row.method, row.rate, row.seed) != ("elfs", 0.9, 1)]
    table = standings(blocks(rows))
    assert [entry.label for entry in table] == ["random", "ccs", "aum", "elfs"]
    assert table[0].mean_rank == pytest.approx(2.0)
    last = table[-1]
    assert (last.mean_rank, last.mean_accuracy, last.wins) == (None, None, 0)
    assert last.missing == ("digits, encoder pixels, model small_cnn: 90 % (2 of 3 seeds)",)


def test_a_method_that_another_data_set_lacks_is_not_ranked(grid: Grid) -> None:
    rows = [*grid(MEANS, RATES), *grid({"random": [70.0], "elfs": [75.0]}, [0.7], dataset="mnist5k")]
    table = standings(blocks(rows))
    assert [(entry.label, entry.mean_rank) for entry in table] == [
        ("elfs", 1.0),
        ("random", 2.0),
        ("aum", None),
        ("ccs", None),
    ]
    assert table[0].mean_accuracy == pytest.approx((91 + 82 + 75) / 3)
    assert table[2].missing == ("mnist5k, encoder pixels, model small_cnn: all",)


def test_full_is_not_ranked_and_alone_is_refused(grid: Grid) -> None:
    assert "full" not in {entry.label for entry in standings(blocks(grid(MEANS, RATES)))}
    with pytest.raises(RowError, match="nothing to rank"):
        standings(blocks(grid({"full": [97.0]}, [])))


def test_variants_are_ranked_apart_and_the_plain_name_stands_for_itself_only(grid: Grid) -> None:
    rows = [
        *grid({"ccs": [90.0], "ccs(beta=0.3)": [91.0], "random": [80.0]}, [0.5]),
        *grid({"ccs(beta=0.3)": [91.0], "random": [80.0]}, [0.5], dataset="mnist5k"),
    ]
    table = {entry.label: entry for entry in standings(blocks(rows))}
    assert table["ccs(beta=0.3)"].mean_rank == 1.0
    assert table["ccs"].missing == ("mnist5k, no encoder, model small_cnn: all",)


def test_equal_methods_share_rank_place_and_win(grid: Grid) -> None:
    made = blocks(grid({"random": [90.0, 80.0], "prototypicality": [90.0, 80.0], "elfs": [70.0, 60.0]}, RATES))
    assert [(entry.mean_rank, entry.wins) for entry in standings(made)] == [(1.5, 2), (1.5, 2), (3.0, 0)]
    assert [line[0].text for line in leaderboard_sheet(made).sections[0].lines] == ["1", "1", "3"]


def test_without_a_complete_method_nothing_is_ranked_and_that_is_said(grid: Grid) -> None:
    rows = [*grid({"random": [90.0]}, [0.5]), *grid({"aum": [90.0]}, [0.9])]
    board = leaderboard_sheet(blocks(rows))
    assert [section.heading for section in board.sections] == ["not ranked"]
    assert board.notes[0].startswith("No method is complete in all 2 columns")


def test_renderings_are_byte_stable_and_hold_no_dates(grid: Grid) -> None:
    rows = [*grid(MEANS, RATES), *grid(MEANS, RATES, dataset="mnist5k")]
    later = [row.model_copy(update={"created": "2026-01-01T00:00:00+00:00"}) for row in rows[::-1]]

    def render(given: list[Row]) -> str:
        made = blocks(given)
        board = leaderboard_sheet(made)
        return markdown([board]) + latex([board]) + leaderboard_csv(made)

    assert render(rows) == render(later)
    assert not re.search(r"20\d\d-\d\d", render(rows))


def test_csv_agrees_with_the_standings(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES) if (row.method, row.rate, row.seed) != ("ccs", 0.9, 1)]
    records = list(csv.DictReader(io.StringIO(leaderboard_csv(blocks(rows)))))
    assert [(record["rank"], record["method"]) for record in records] == [
        ("1", "elfs"),
        ("2", "aum"),
        ("3", "random"),
        ("", "ccs"),
    ]
    assert records[-1]["mean_rank"] == ""
    assert "90 % (2 of 3 seeds)" in records[-1]["missing"]
