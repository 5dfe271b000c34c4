"""``bench compare``."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app
from bench.errors import RowError
from bench.results.rows import Row, write_row
from tests.results.coresets import MEANS, RATES, put

Grid = Callable[..., list[Row]]


@pytest.mark.integration
def test_command_writes_the_same_files_again(grid: Grid, tmp_path: Path) -> None:
    put(grid({"full": [97.0], **MEANS}, RATES), tmp_path / "run")
    written = []
    for _ in range(2):
        done = CliRunner().invoke(app, ["compare", str(tmp_path / "run"), "--out", str(tmp_path / "out")])
        assert done.exit_code == 0, done.output
        written.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert written[0].keys() == {"comparison.md", "comparison.csv", "comparison.tex", "overlap.csv"}
    assert written[0] == written[1]
    assert "+6.00" in done.output
    records = list(csv.DictReader(written[0]["comparison.csv"].decode().splitlines()))
    elfs = next(record for record in records if (record["method"], record["rate"]) == ("elfs", "0.9"))
    # Equal differences at every seed have no spread, so no p-value.
    assert (elfs["difference"], elfs["pairs"], elfs["p"], elfs["win_rate"]) == ("6.000000", "3", "", "1.000000")


def test_rows_of_the_full_set_alone_leave_nothing_to_compare(row: Callable[..., Row], tmp_path: Path) -> None:
    write_row(row("full", 0.0), tmp_path)
    done = CliRunner().invoke(app, ["compare", str(tmp_path)])
    assert isinstance(done.exception, RowError)
    assert str(done.exception) == "nothing to compare: all rows are of the full data set."
