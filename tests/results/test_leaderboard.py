from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bench.errors import RowError
from bench.results.block import Block
from bench.results.leaderboard import column_weights, leaderboard_records, leaderboard_table, standings
from bench.results.rendering import TextTable, latex, markdown, to_csv
from bench.results.rows import Row
from bench.results.stats import rank_intervals
from bench.results.tables import blocks

Grid = Callable[..., list[Row]]
RATES = [0.5, 0.9]
MEANS = {"full": [97.0], "random": [90.0, 80.0], "elfs": [91.0, 82.0], "aum": [92.0, 60.0], "ccs": [88.0, 81.0]}


def ranked(rows: list[Row]) -> list[Any]:
    return list(standings(blocks(rows)).itertuples())


def board(made: list[Block]) -> TextTable:
    return leaderboard_table(made, standings(made))


def test_methods_are_ranked_by_mean_rank(grid: Grid) -> None:
    table = ranked(grid(MEANS, RATES))
    assert [(entry.method, entry.mean_rank, entry.wins) for entry in table] == [
        ("elfs", 1.5, 0.5),
        ("aum", 2.5, 0.5),
        ("random", 3.0, 0.0),
        ("ccs", 3.0, 0.0),
    ]
    assert [entry.mean_accuracy for entry in table] == pytest.approx([86.5, 76.0, 85.0, 84.5])


def test_a_method_with_a_hole_is_listed_and_takes_no_part_in_the_ranks(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES) if (row.method, row.rate, row.seed) != ("elfs", 0.9, 1)]
    table = ranked(rows)
    assert [entry.method for entry in table] == ["random", "ccs", "aum", "elfs"]
    assert table[0].mean_rank == pytest.approx(2.0)
    last = table[-1]
    assert all(map(pd.isna, (last.rank, last.mean_rank, last.rank_low, last.mean_accuracy, last.wins)))
    assert last.missing == ["digits, encoder pixels, model small_cnn: 90 % (2 of 3 seeds)"]


def test_a_method_that_another_data_set_lacks_is_not_ranked(grid: Grid) -> None:
    rows = [*grid(MEANS, RATES), *grid({"random": [70.0], "elfs": [75.0]}, [0.7], dataset="mnist5k")]
    table = ranked(rows)
    assert [entry.method for entry in table] == ["elfs", "random", "aum", "ccs"]
    assert [entry.mean_rank for entry in table] == pytest.approx([1.0, 2.0, np.nan, np.nan], nan_ok=True)
    assert table[0].mean_accuracy == pytest.approx((91 + 82) / 4 + 75 / 2)
    assert table[2].missing == ["mnist5k, encoder pixels, model small_cnn: all"]


def test_full_is_not_ranked_and_alone_is_refused(grid: Grid) -> None:
    assert "full" not in {entry.method for entry in ranked(grid(MEANS, RATES))}
    with pytest.raises(RowError, match="nothing to rank"):
        ranked(grid({"full": [97.0]}, []))


def test_variants_are_ranked_apart_and_the_plain_name_stands_for_itself_only(grid: Grid) -> None:
    rows = [
        *grid({"ccs": [90.0], "ccs(beta=0.3)": [91.0], "random": [80.0]}, [0.5]),
        *grid({"ccs(beta=0.3)": [91.0], "random": [80.0]}, [0.5], dataset="mnist5k"),
    ]
    table = {entry.method: entry for entry in ranked(rows)}
    assert table["ccs(beta=0.3)"].mean_rank == 1.0
    assert table["ccs"].missing == ["mnist5k, no encoder, model small_cnn: all"]


def test_equal_methods_share_rank_place_and_win(grid: Grid) -> None:
    made = blocks(grid({"random": [90.0, 80.0], "prototypicality": [90.0, 80.0], "elfs": [70.0, 60.0]}, RATES))
    table = standings(made)
    assert table[["rank", "mean_rank", "wins"]].to_numpy().tolist() == [[1, 1.5, 1.0], [1, 1.5, 1.0], [3, 3.0, 0.0]]
    assert [line[0].text for line in board(made).sections[0].lines] == ["1", "1", "3"]


def test_without_a_complete_method_nothing_is_ranked_and_that_is_said(grid: Grid) -> None:
    rows = [*grid({"random": [90.0]}, [0.5]), *grid({"aum": [90.0]}, [0.9])]
    made = board(blocks(rows))
    assert [section.heading for section in made.sections] == ["not ranked"]
    assert made.notes[0].startswith("Ranked: none, since no method is complete in every column")


def test_a_method_without_a_rival_has_an_accuracy_and_no_rank(grid: Grid) -> None:
    """It was first of one with 100 % wins, whatever its accuracy."""
    dash = "\N{EN DASH}"
    made = board(blocks([*grid({"random": [90.0, 80.0]}, RATES), *grid({"elfs": [91.0]}, [0.5])]))
    assert [section.heading for section in made.sections] == ["not ranked"]
    assert [[field.text for field in line] for line in made.sections[0].lines] == [
        [dash, "random", "none", dash, dash, dash, "85.0", "3"],
        [dash, "elfs", "pseudo", dash, dash, dash, dash, "3"],
    ]
    reason = "none, since only random is complete in every column, and a rank takes two methods"
    assert f"Ranked: {reason}; leave a folder out, or run what is missing" in made.notes
    assert [note for note in made.notes if note.startswith("Not ranked")] == [
        "Not ranked: elfs: misses digits, encoder pixels, model small_cnn: 90 % (0 of 3 seeds)"
    ]


def test_methods_that_miss_the_same_columns_share_a_note(grid: Grid) -> None:
    rows = [*grid({"random": [90.0, 80.0]}, RATES), *grid({"elfs": [91.0], "aum": [92.0], "ccs": [93.0]}, [0.5])]
    made = board(blocks([row for row in rows if (row.method, row.seed) != ("ccs", 1)]))
    columns = "digits, encoder pixels, model small_cnn: "
    assert [note for note in made.notes if note.startswith("Not ranked")] == [
        f"Not ranked: aum, elfs: miss {columns}90 % (0 of 3 seeds)",
        f"Not ranked: ccs: misses {columns}50 % (2 of 3 seeds), 90 % (0 of 3 seeds)",
    ]


def test_renderings_are_byte_stable_and_hold_no_dates(grid: Grid) -> None:
    rows = [*grid(MEANS, RATES), *grid(MEANS, RATES, dataset="mnist5k")]
    later = [row.model_copy(update={"created": "2026-01-01T00:00:00+00:00"}) for row in rows[::-1]]

    def render(given: list[Row]) -> str:
        made = blocks(given)
        table = standings(made)
        rendered = leaderboard_table(made, table)
        return markdown([rendered]) + latex([rendered]) + to_csv(leaderboard_records(table))

    assert render(rows) == render(later)
    assert not re.search(r"20\d\d-\d\d", render(rows))


def test_csv_agrees_with_the_standings(grid: Grid) -> None:
    rows = [row for row in grid(MEANS, RATES) if (row.method, row.rate, row.seed) != ("ccs", 0.9, 1)]
    records = list(csv.DictReader(io.StringIO(to_csv(leaderboard_records(standings(blocks(rows)))))))
    assert [(record["rank"], record["method"]) for record in records] == [
        ("1", "elfs"),
        ("2", "aum"),
        ("3", "random"),
        ("", "ccs"),
    ]
    assert records[-1]["mean_rank"] == ""
    assert "90 % (2 of 3 seeds)" in records[-1]["missing"]


def test_every_data_set_counts_once_however_many_encoders_and_rates_it_has(grid: Grid) -> None:
    without = {"random": [90.0, 80.0], "aum": [80.0, 70.0]}
    rows = [
        *grid({**without, "elfs": [70.0, 60.0]}, RATES),
        *grid({"elfs": [95.0, 95.0]}, RATES, encoder="vit"),
        *grid({"random": [60.0], "aum": [65.0], "elfs": [70.0]}, [0.5], dataset="mnist5k"),
    ]
    made = blocks(rows)
    assert column_weights(made) == [1 / 8, 1 / 8, 1 / 2]
    found = {entry.method: entry for entry in ranked(rows)}
    assert found["random"].mean_rank == pytest.approx((1 + 2) / 2 / 2 + 3 / 2)
    assert found["aum"].mean_rank == pytest.approx((2 + 3) / 2 / 2 + 2 / 2)
    assert found["elfs"].mean_rank == pytest.approx((3 + 1) / 2 / 2 + 1 / 2)
    assert {name: entry.wins for name, entry in found.items()} == {"random": 0.25, "aum": 0.0, "elfs": 0.75}
    assert found["aum"].mean_accuracy == pytest.approx(75 / 2 + 65 / 2)
    assert any("every pair of data set and model has the same" in note for note in board(made).notes)


def test_two_data_sets_do_not_depend_on_a_second_encoder_of_label_reading_methods(grid: Grid) -> None:
    means = {"aum": [92.0, 60.0], "ccs": [88.0, 81.0], "random": [90.0, 80.0]}
    plain = [*grid({**means, "elfs": [91.0, 82.0]}, RATES), *grid({**means, "elfs": [1.0, 1.0]}, RATES, dataset="svhn")]
    more = [*plain, *grid({"elfs": [91.0, 82.0]}, RATES, encoder="vit")]
    assert [(e.method, e.mean_rank) for e in ranked(plain)] == [(e.method, e.mean_rank) for e in ranked(more)]


def test_intervals_are_those_of_one_block_and_need_two_seeds(grid: Grid) -> None:
    rng = np.random.default_rng(3)
    rows = [
        row.model_copy(update={"accuracy": row.accuracy + float(rng.normal(0, 4))})
        for row in grid({"random": [90.0, 80.0], "elfs": [91.0, 82.0], "aum": [92.0, 81.0]}, RATES, seeds=4)
    ]
    [block] = blocks(rows)
    columns = [block.accuracies.loc[rate][[line.label for line in block.lines]].T for rate in block.rates]
    alone = rank_intervals(columns, [0.5, 0.5])
    expected = {line.label: entry for line, entry in zip(block.lines, alone, strict=True)}
    for entry in ranked(rows):
        assert (entry.mean_rank, entry.rank_low, entry.rank_high) == pytest.approx(expected[entry.method])
    assert any(entry.low < entry.high for entry in alone)
    # A second encoder repeats the numbers of methods without one.
    both = blocks([*rows, *[row.model_copy(update={"encoder": "vit"}) for row in rows if row.method == "elfs"]])
    entries: Any = standings(both).itertuples()
    for entry in entries:
        assert (entry.mean_rank, entry.rank_low, entry.rank_high) == pytest.approx(expected[entry.method])
    single = grid({"random": [70.0], "elfs": [71.0], "aum": [72.0]}, [0.5], seeds=1, dataset="svhn")
    made = blocks([*rows, *single])
    assert standings(made)[["rank_low", "rank_high"]].isna().all(axis=None)
    assert "Rank 95 %: none, since some column has one seed, which has no spread" in board(made).notes


def test_float32_accuracies_that_are_equal_share_a_rank(grid: Grid) -> None:
    exact = 100 * 353 / 359
    rows = grid({"random": [exact], "elfs": [float(np.float32(353 / 359)) * 100], "aum": [50.0]}, [0.5])
    assert [(entry.method, entry.mean_rank) for entry in ranked(rows)][:2] == [("elfs", 1.5), ("random", 1.5)]


def test_a_grid_enlarged_in_one_data_set_is_one_method_in_both(row: Callable[..., Row]) -> None:
    short, long = "ccs(beta={0.5: 0.0})", "ccs(beta={0.5: 0.0, 0.9: 0.3})"
    params = {"beta": 0.0, "strata": 50, "score": "aum"}
    rows = [row(variant, 0.5, 0, dataset=name, params=params) for name, variant in (("digits", short), ("svhn", long))]
    others = ("random", "ccs(beta=0.2)")
    rows += [row(variant, 0.5, dataset=name) for name in ("digits", "svhn") for variant in others]
    table = ranked(rows)
    assert len(table) == 3
    assert not any(entry.missing for entry in table)
    assert sorted((short, long)) in [entry.variants for entry in table]


def test_a_method_at_other_seeds_is_not_ranked_and_that_is_said(grid: Grid) -> None:
    rows = grid({"random": [90.0], "aum": [80.0]}, [0.5], seeds=2)
    rows += [row.model_copy(update={"seed": row.seed + 5}) for row in grid({"elfs": [99.0]}, [0.5], seeds=2)]
    made = board(blocks(rows))
    assert [[line[1].text for line in section.lines] for section in made.sections] == [["random", "aum"], ["elfs"]]
    assert any("elfs was run at the seeds 5, 6 at 50 %, not at the seeds 0, 1" in note for note in made.notes)


def test_a_method_of_another_version_in_another_data_set_is_said(grid: Grid) -> None:
    digits = grid({"random": [90.0], "elfs": [80.0]}, [0.5])
    other = [row.model_copy(update={"dataset": "svhn"}) for row in digits]
    assert not any("not one method" in note for note in board(blocks(digits + other)).notes)
    newer = [row.model_copy(update={"method_version": 1 + (row.method == "elfs")}) for row in other]
    [said] = [note for note in board(blocks(digits + newer)).notes if "not one method" in note]
    assert said.startswith("Warning: elfs is not one method over all columns: version 1 (digits")
    assert "version 2 (svhn" in said
