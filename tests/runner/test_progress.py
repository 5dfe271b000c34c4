from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench.cells import Cell
from bench.cli.progress import ProgressReporter
from bench.preflight import make_plan
from bench.spec import load_spec


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    given = {"methods": "random,ccs(beta=0.1),prototypicality", "datasets": "digits", "rates": "0.9", "pool_size": 50}
    return make_plan(load_spec(given=given), out=tmp_path / "out").cells


def report(cells: list[Cell], *, terminal: bool = False, quiet: bool = False) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=60, highlight=False, color_system=None)
    with ProgressReporter(console, quiet=quiet) as reporter:
        reporter.stages_begin(2, {"embeddings": 4, "dynamics": 1})
        reporter.retry("neighbours", "the [worker] was lost")
        reporter.stage_end("proxy [small]", 1.25)
        reporter.stage_end("neighbours", 0.0, error="out of [memory]")
        reporter.cells_begin(12, 4)
        reporter.cell_end(cells[0], 71.254, 3.04, None)
        reporter.cell_end(cells[1], None, 0.0, "loss [is] not finite")
        reporter.cell_end(cells[2], 12.0, 1.0, None)
    return written.getvalue()


def test_one_line_per_event_where_output_is_piped(cells):
    assert report(cells).splitlines() == [
        "2 shared stages to compute, 5 reused (4 embeddings, 1 dynamics)",
        "neighbours: the [worker] was lost; it will be tried again",
        "[1/2] proxy [small] (1.2 s)",
        "[2/2] neighbours failed: out of [memory]",
        "12 cells to train, 4 already have a row",
        "[ 1/12] digits(pool_size=50), random, rate 0.9, seed 0, small_cnn: 71.25 % (3.0 s)",
        "[ 2/12] digits(pool_size=50), ccs(beta=0.1), rate 0.9, seed 0, small_cnn failed: loss [is] not finite",
        "[ 3/12] digits(pool_size=50), prototypicality, pixels, rate 0.9, seed 0, small_cnn: 12.00 % (1.0 s)",
    ]


def test_quiet_prints_failures_only(cells):
    lines = report(cells, quiet=True).splitlines()
    assert len(lines) == 2
    assert all("failed" in line for line in lines)


def test_a_terminal_has_a_bar_with_the_time_left(cells):
    shown = report(cells, terminal=True)
    assert "cells" in shown
    assert "3/12" in shown
    assert "left" in shown
