"""The report without a browser: one file that needs no network, and the numbers in it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from bench.report.data import leaderboard_data
from bench.report.gallery import ends
from bench.results.tables import blocks, collect


class Addresses(HTMLParser):
    """Collects what a page refers to, and the data inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.data, self._inside = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self._inside = ("id", "data") in attrs

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = False


def test_the_report_is_one_file_with_the_numbers_of_the_rows(report: Path, folder: Path) -> None:
    page = Addresses()
    page.feed(report.read_text(encoding="utf-8"))
    assert {address.partition(":")[0].partition("#")[0] for address in page.found} == {"", "data"}
    assert json.loads(page.data) == leaderboard_data(blocks(collect([folder])))


def test_an_enlarged_grid_has_its_numbers_on_the_page(row) -> None:
    first, later = "ccs(beta={0.5: 0.0, 0.9: 0.3})", "ccs(beta={0.5: 0.0, 0.7: 0.1, 0.9: 0.3})"
    rows = [
        row(variant, rate, seed, params={"beta": beta})
        for seed, variant in enumerate((first, later))
        for rate, beta in ((0.5, 0.0), (0.9, 0.3))
    ]
    assert [(record["seeds"], record["accuracy"], record["seconds"]) for record in leaderboard_data(blocks(rows))] == [
        (2, 50.0, 3.5),
        (2, 50.0, 3.5),
    ]


def test_contact_sheets_show_the_ends() -> None:
    scores = np.array([0.1, 0.9, 0.5, 0.7, 0.3])
    kept = np.array([True, False, True, True, False])
    found = {name: places.tolist() for name, places in ends(scores, kept, count=2).items()}
    assert found == {"hardest kept": [3, 2], "hardest dropped": [1, 4], "easiest dropped": [4, 1]}
