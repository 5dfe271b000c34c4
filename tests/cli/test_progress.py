from __future__ import annotations

import io
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from bench.cli.progress import ProgressReporter
from bench.cli.run import _print_summary
from bench.engine.forecast import Forecast, Outlook, TimedWork
from bench.engine.plan import make_plan
from bench.engine.run import Outcome
from bench.grid.spec import load_spec
from bench.stages.base import Stage
from bench.stages.session import Session
from bench.stages.training import Cell


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    given = {"methods": "random,ccs(beta=0.1),prototypicality", "datasets": "digits", "rates": "0.9", "pool_size": 50}
    return make_plan(load_spec(given=given), out=tmp_path / "out").cells


class Titled(Stage):
    """A stage of a given title."""

    words: str

    def title(self) -> str:
        return self.words


class Embedding(Titled):
    kind = "embeddings"


class Proxy(Titled):
    kind = "dynamics"


def report(cells: list[Cell], *, terminal: bool = False, quiet: bool = False) -> str:
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=60, highlight=False, color_system=None)
    with ProgressReporter(console, quiet=quiet) as reporter:
        proxy, present = Proxy(words="proxy [small]"), [Embedding(words=word) for word in "abcd"]
        reporter.stages_begin([proxy, proxy], [*present, proxy])
        reporter.retry("neighbours", "the [worker] was lost")
        reporter.stage_end(proxy, 1.25)
        reporter.stage_end(Proxy(words="neighbours"), 0.0, error="out of [memory]")
        reporter.cells_begin(12, 4)
        reporter.cell_end(cells[0], 71.254, 3.04, None)
        reporter.cell_end(cells[1], None, 0.0, "loss [is] not finite")
        reporter.cell_end(cells[2], 12.0, 1.0, None)
    return written.getvalue()


def test_one_line_per_event_where_output_is_piped(cells: list[Cell]) -> None:
    assert report(cells).splitlines() == [
        "2 shared stages to compute, 5 reused (4 embeddings, 1 dynamics)",
        "neighbours: the [worker] was lost; it will be tried again",
        "stage 1/2 proxy [small] (1.2 s)",
        "stage 2/2 neighbours failed: out of [memory]",
        "12 cells to train, 4 with a row already",
        "cell  1/12 digits(pool_size=50), random, rate 0.9, seed 0, small_cnn: 71.25 % (3.0 s)",
        "cell  2/12 digits(pool_size=50), ccs(beta=0.1), rate 0.9, seed 0, small_cnn failed: loss [is] not finite",
        "cell  3/12 digits(pool_size=50), prototypicality, pixels, rate 0.9, seed 0, small_cnn: 12.00 % (1.0 s)",
    ]


def test_quiet_prints_failures_only(cells: list[Cell]) -> None:
    lines = report(cells, quiet=True).splitlines()
    assert len(lines) == 2
    assert all("failed" in line for line in lines)


def test_one_time_left_for_the_whole_and_no_line_for_stages_of_no_time(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.cli.progress.SAY", 0.0)
    outlook = Outlook(
        Forecast(tuple(TimedWork(cell.key, "cell", 600.0) for cell in cells), 1), clock=count(0, 2).__next__
    )
    lines = []
    for terminal in (False, True):
        written = io.StringIO()
        console = Console(file=written, force_terminal=terminal, width=100, highlight=False, color_system=None)
        with ProgressReporter(console, outlook=outlook) as reporter:
            reporter.stages_begin([Proxy(words="a"), Proxy(words="b")], [])
            reporter.stage_end(Proxy(words="a coreset"), 0.04)
            reporter.stage_end(Proxy(words="another"), 0.0, error="no")
            reporter.cells_begin(3, 0)
            if not terminal:
                reporter.cell_end(cells[0], 50.0, 300.0, None)
        lines.append(written.getvalue())
    assert "a coreset" not in lines[0]
    assert "stage 2/2 another failed: no" in lines[0]
    assert "(300.0 s); about 10 min left" in lines[0], "two cells of ten minutes, each done in half the time"
    assert " min left" in lines[1]


def test_a_terminal_has_a_bar_with_the_time_left(cells: list[Cell]) -> None:
    shown = report(cells, terminal=True)
    assert "cells" in shown
    assert "3/12" in shown
    assert "left" in shown


def test_quiet_says_nothing_of_what_runs(tmp_path: Path) -> None:
    written = io.StringIO()
    with ProgressReporter(Console(file=written), quiet=True, session=Session(out=tmp_path, cache=tmp_path)) as reporter:
        assert reporter._watch is None
    assert written.getvalue() == ""


@pytest.mark.parametrize(
    ("written", "said"),
    [(0, "Interrupted; 1 cell left. The same command resumes."), (1, "Interrupted; every cell has its row.")],
)
def test_an_interrupted_run_says_what_is_left(tmp_path: Path, written: int, said: str) -> None:
    session = Session(out=tmp_path / "out", cache=tmp_path / "cache")
    given = {"methods": "random", "datasets": "digits", "rates": "0.9", "pool_size": 50}
    plan = make_plan(load_spec(given=given), out=session.out)
    told = io.StringIO()
    _print_summary(plan, Outcome(written=written, interrupted=True), session, Console(file=told, width=200))
    assert told.getvalue().splitlines()[-1] == said
