"""What a page holds: the numbers of the rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.report.data import leaderboard_data
from bench.report.page import PagePart, page
from bench.results.rows import Row
from bench.results.tables import blocks, collect
from tests.report.addresses import Addresses

pytestmark = pytest.mark.integration


def test_the_report_is_one_file_with_the_numbers_of_the_rows(report: Path, folder: Path) -> None:
    page = Addresses()
    page.feed(report.read_text(encoding="utf-8"))
    assert {address.partition(":")[0].partition("#")[0] for address in page.found} == {"", "data"}
    expected = leaderboard_data({folder.name: blocks(collect([folder]))})
    assert json.loads(page.data) == json.loads(json.dumps(expected))


def test_an_enlarged_grid_has_its_numbers_on_the_page(row: Callable[..., Row]) -> None:
    first, later = "ccs(beta={0.5: 0.0, 0.9: 0.3})", "ccs(beta={0.5: 0.0, 0.7: 0.1, 0.9: 0.3})"
    rows = [
        row(variant, rate, seed, params={"beta": beta})
        for seed, variant in enumerate((first, later))
        for rate, beta in ((0.5, 0.0), (0.9, 0.3))
    ]
    cells = leaderboard_data({"run": blocks(rows)})["cells"]
    assert [(record["seeds"], record["accuracy"]) for record in cells] == [(2, 50.0), (2, 50.0)]
    assert "4 rows of 1 method," in page([PagePart("run", blocks(rows))], [None], [], [])


def test_a_method_counts_once_for_each_set_of_parameters(row: Callable[..., Row]) -> None:
    rows = [row(f"ccs(beta={beta})", 0.5, 0, params={"beta": beta}) for beta in (0.1, 0.2)]
    assert "2 rows of 2 methods," in page([PagePart("run", blocks(rows))], [None], [], [])
